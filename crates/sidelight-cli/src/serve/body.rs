//! Reads the body of a request within limits: its size, its time, and the memory of all bodies together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::fault::Fault;

/// Bytes per permit.
const UNIT: usize = 1 << 12;
/// How long an oversized body is read and discarded, so that its sender can read the refusal.
const LINGER: Duration = Duration::from_secs(1);

/// Reads bodies within limits.
#[derive(Debug)]
pub(crate) struct BodyReader {
    /// Bytes of one body.
    max: usize,
    /// How long the sender may take.
    time: Duration,
    /// Memory of all bodies together, in units of [`UNIT`].
    free: Arc<Semaphore>,
}

/// A body in memory, which counts as free again when this is dropped.
#[derive(Debug)]
pub(crate) struct BufferedBody {
    /// The whole body.
    pub(crate) bytes: Bytes,
    permit: Option<OwnedSemaphorePermit>,
}

impl BodyReader {
    /// For bodies of `max` bytes, eight of that size at once.
    pub(crate) fn new(max: usize, time: Duration) -> Self {
        Self {
            max,
            time,
            free: Arc::new(Semaphore::new((8 * max).div_ceil(UNIT))),
        }
    }

    /// Reads a body.
    pub(crate) async fn read(
        &self,
        headers: &HeaderMap,
        mut body: Body,
    ) -> Result<BufferedBody, Fault> {
        if let Some(coding) = headers.get(header::CONTENT_ENCODING) {
            return Err(Fault::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("content encoding {coding:?} is not supported"),
            )
            .hint("send the body unencoded"));
        }
        let said = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if said.is_some_and(|said| said > self.max as u64) {
            // A sender that waits for `100 Continue` is refused at once.
            if !headers.contains_key(header::EXPECT) {
                drain(body, 4 * self.max).await;
            }
            return Err(self.too_large());
        }
        let deadline = Instant::now() + self.time;
        let mut buffered = BufferedBody {
            bytes: Bytes::new(),
            permit: None,
        };
        let mut read: Vec<u8> = Vec::new();
        loop {
            let frame = timeout_at(deadline, body.frame()).await.map_err(|_| {
                let seconds = self.time.as_secs();
                Fault::new(
                    StatusCode::REQUEST_TIMEOUT,
                    format!("the request was incomplete after {seconds} s"),
                )
            })?;
            let Some(frame) = frame else { break };
            let frame = frame
                .map_err(|_| Fault::new(StatusCode::BAD_REQUEST, "the request ended early"))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if read.len() + data.len() > self.max {
                drain(body, 4 * self.max).await;
                return Err(self.too_large());
            }
            self.reserve(&mut buffered, read.len() + data.len())?;
            read.extend_from_slice(&data);
        }
        buffered.bytes = read.into();
        Ok(buffered)
    }

    /// Reserves memory for `bytes` bytes in all.
    fn reserve(&self, buffered: &mut BufferedBody, bytes: usize) -> Result<(), Fault> {
        let has = buffered
            .permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(UNIT).saturating_sub(has);
        if more == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.free)
            .try_acquire_many_owned(u32::try_from(more).unwrap_or(u32::MAX))
            .map_err(|_| Fault::busy("too much data is being sent at once"))?;
        match &mut buffered.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    fn too_large(&self) -> Fault {
        Fault::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the request is larger than the limit of {} MiB",
                self.max >> 20
            ),
        )
        .hint("send a smaller image or fewer rows, or raise the server's --max-body")
    }
}

/// Reads and discards: closing at once would keep a sender that is still busy from reading the refusal.
async fn drain(mut body: Body, most: usize) {
    let all = async {
        let mut n = 0;
        while let Some(Ok(frame)) = body.frame().await {
            n += frame.data_ref().map_or(0, Bytes::len);
            if n > most {
                break;
            }
        }
    };
    let _ = timeout(LINGER, all).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bodies_together_hold_eight_times_the_largest() {
        let bodies = BodyReader::new(UNIT, Duration::from_secs(1));
        let empty = || BufferedBody {
            bytes: Bytes::new(),
            permit: None,
        };
        let (mut one, mut other) = (empty(), empty());
        bodies.reserve(&mut one, 100).unwrap();
        // What it has already is not taken again.
        bodies.reserve(&mut one, 7 * UNIT).unwrap();
        bodies.reserve(&mut other, UNIT).unwrap();
        let refused = bodies.reserve(&mut other, UNIT + 1).unwrap_err();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        drop(one);
        bodies.reserve(&mut other, 8 * UNIT).unwrap();
    }
}
