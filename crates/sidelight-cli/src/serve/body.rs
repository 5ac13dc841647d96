//! The body of a request, read within limits: its size, its time, and what all bodies hold together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::fault::Fault;

/// Bytes that are counted as one.
const UNIT: usize = 1 << 12;
/// How long what is too much is read on and thrown away, so that the refusal can be read.
const LINGER: Duration = Duration::from_secs(1);

/// What bodies may be.
#[derive(Debug)]
pub(crate) struct Bodies {
    /// Bytes of one.
    max: usize,
    /// How long the sender may take.
    time: Duration,
    /// What all of them may hold, in units.
    free: Arc<Semaphore>,
}

/// A body; what it holds is free again when this goes.
#[derive(Debug)]
pub(crate) struct Held {
    /// The body.
    pub(crate) bytes: Bytes,
    permit: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Of so many bytes, eight of that size at once.
    pub(crate) fn new(max: usize, time: Duration) -> Self {
        Self {
            max,
            time,
            free: Arc::new(Semaphore::new((8 * max).div_ceil(UNIT))),
        }
    }

    /// Reads a body.
    pub(crate) async fn read(&self, headers: &HeaderMap, mut body: Body) -> Result<Held, Fault> {
        if let Some(coding) = headers.get(header::CONTENT_ENCODING) {
            return Err(Fault::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("a body in content coding {coding:?} is not read"),
            )
            .hint("send it as it is"));
        }
        let said = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if said.is_some_and(|said| said > self.max as u64) {
            // Who waits to be told to go on is told not to.
            if !headers.contains_key(header::EXPECT) {
                drain(body, 4 * self.max).await;
            }
            return Err(self.too_large());
        }
        let deadline = Instant::now() + self.time;
        let mut held = Held {
            bytes: Bytes::new(),
            permit: None,
        };
        let mut read: Vec<u8> = Vec::new();
        loop {
            let frame = timeout_at(deadline, body.frame()).await.map_err(|_| {
                let seconds = self.time.as_secs();
                Fault::new(
                    StatusCode::REQUEST_TIMEOUT,
                    format!("the request was not all there after {seconds} s"),
                )
            })?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|_| {
                Fault::new(
                    StatusCode::BAD_REQUEST,
                    "the request broke off before its end",
                )
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if read.len() + data.len() > self.max {
                drain(body, 4 * self.max).await;
                return Err(self.too_large());
            }
            self.hold(&mut held, read.len() + data.len())?;
            read.extend_from_slice(&data);
        }
        held.bytes = read.into();
        Ok(held)
    }

    /// Makes room for so many bytes.
    fn hold(&self, held: &mut Held, bytes: usize) -> Result<(), Fault> {
        let has = held
            .permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(UNIT).saturating_sub(has);
        if more == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.free)
            .try_acquire_many_owned(more as u32)
            .map_err(|_| Fault::busy("too much is being sent at once"))?;
        match &mut held.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    fn too_large(&self) -> Fault {
        Fault::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the request is larger than the {} MiB that are allowed",
                self.max >> 20
            ),
        )
        .hint("send a smaller image or fewer rows; the server's --max-body allows more")
    }
}

/// Reads and throws away: closing at once would take the refusal away from a sender that is still busy.
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
        let bodies = Bodies::new(UNIT, Duration::from_secs(1));
        let empty = || Held {
            bytes: Bytes::new(),
            permit: None,
        };
        let (mut one, mut other) = (empty(), empty());
        bodies.hold(&mut one, 100).unwrap();
        // What it has already is not taken again.
        bodies.hold(&mut one, 7 * UNIT).unwrap();
        bodies.hold(&mut other, UNIT).unwrap();
        let refused = bodies.hold(&mut other, UNIT + 1).unwrap_err();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        drop(one);
        bodies.hold(&mut other, 8 * UNIT).unwrap();
    }
}
