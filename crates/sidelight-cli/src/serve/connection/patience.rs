//! A stream whose other side must go on: reading its answers, and asking where others wait for its place.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::{Crowd, left};

/// How many requests of a connection are being answered.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<AtomicUsize>);

/// A request that is being answered, until it is dropped.
pub(super) struct Held(InFlight);

impl InFlight {
    pub(super) fn hold(&self) -> Held {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(self.clone())
    }
    fn is_none(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a client may still let the server wait with its answers. Time spent comes back with the bytes it takes, so
/// that a byte now and then does not keep a connection forever.
#[derive(Debug)]
struct Credit {
    left: Duration,
    most: Duration,
    rate: u32,
}

impl Credit {
    fn new(most: Duration, rate: u32) -> Self {
        Self {
            left: most,
            most,
            rate,
        }
    }
    /// The client took so many bytes after so long.
    fn settle(&mut self, waited: Duration, n_bytes: usize) {
        let earned = Duration::from_secs_f64(n_bytes as f64 / f64::from(self.rate));
        let left = self.left.saturating_sub(waited).saturating_add(earned);
        self.left = left.min(self.most);
    }
}

/// How long something has not happened, looked at again and again.
#[derive(Debug, Default)]
struct Wait {
    since: Option<Instant>,
    tick: Option<Pin<Box<Sleep>>>,
}

impl Wait {
    /// It happened; how long that took.
    fn end(&mut self) -> Duration {
        self.tick = None;
        self.since.take().map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// Ready once it has taken as long as it may, which is asked for anew at every tick.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        tick: Duration,
        limit: impl Fn() -> Duration,
    ) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        loop {
            let Some(rest) = limit()
                .checked_sub(since.elapsed())
                .filter(|rest| !rest.is_zero())
            else {
                return Poll::Ready(());
            };
            let sleeping = self
                .tick
                .get_or_insert_with(|| Box::pin(sleep(rest.min(tick))));
            ready!(sleeping.as_mut().poll(context));
            self.tick = None;
        }
    }
}

/// A stream that ends with an error where its other side does not go on.
#[derive(Debug)]
pub(super) struct Patient {
    stream: TcpStream,
    crowd: Arc<Crowd>,
    in_flight: InFlight,
    credit: Credit,
    reading: Wait,
    writing: Wait,
}

impl Patient {
    pub(super) fn new(stream: TcpStream, crowd: Arc<Crowd>, in_flight: InFlight) -> Self {
        let credit = Credit::new(crowd.limits.stall, crowd.limits.rate);
        Self {
            stream,
            crowd,
            in_flight,
            credit,
            reading: Wait::default(),
            writing: Wait::default(),
        }
    }
}

/// The limit, shorter where others wait.
fn hurried(crowd: &Crowd, limit: Duration) -> Duration {
    match crowd.is_waited_for.load(Ordering::Relaxed) {
        true => limit.min(crowd.limits.haste),
        false => limit,
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        // While a request is answered, nothing needs to come.
        if read.is_ready() || !this.in_flight.is_none() {
            this.reading.end();
            return read;
        }
        let haste = this.crowd.limits.haste;
        let limit = || hurried(&this.crowd, Duration::MAX);
        this.reading
            .poll(context, haste, limit)
            .map(|()| Err(left()))
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if let Poll::Ready(written) = written {
            let waited = this.writing.end();
            this.credit.settle(waited, *written.as_ref().unwrap_or(&0));
            // A client that takes what it asked for is not idle.
            this.reading.end();
            return Poll::Ready(written);
        }
        let (haste, left_to_wait) = (this.crowd.limits.haste, this.credit.left);
        let limit = || hurried(&this.crowd, left_to_wait);
        this.writing
            .poll(context, haste, limit)
            .map(|()| Err(left()))
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use tokio::net::TcpListener;

    use super::super::ConnectionLimits;
    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_read_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let _client = std::net::TcpStream::connect(at).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let crowd = Crowd {
            limits: ConnectionLimits {
                stall: Duration::from_millis(20),
                ..ConnectionLimits::default()
            },
            is_waited_for: AtomicBool::new(false),
        };
        let mut stream = Patient::new(stream, Arc::new(crowd), InFlight::default());
        let bytes = vec![0; 1 << 20];
        let failed = loop {
            let write =
                |context: &mut Context<'_>| Pin::new(&mut stream).poll_write(context, &bytes);
            if let Err(error) = std::future::poll_fn(write).await {
                break error;
            }
        };
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_byte_now_and_then_does_not_keep_a_connection_and_a_slow_line_does() {
        let seconds = Duration::from_secs;
        let mut credit = Credit::new(seconds(10), 4096);
        for _ in 0..3 {
            credit.settle(seconds(4), 1);
        }
        assert!(credit.left < seconds(1), "{credit:?}");
        let mut credit = Credit::new(seconds(10), 4096);
        for _ in 0..100 {
            credit.settle(seconds(4), 4 * 4096);
        }
        assert_eq!(credit.left, seconds(10));
    }
}
