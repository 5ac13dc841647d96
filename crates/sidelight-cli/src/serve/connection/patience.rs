//! A stream whose other side must go on: reading its answers, and asking where others wait for its place.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::{Crowd, left};

/// What the two sides of a connection owe each other.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight {
    /// Requests that are being answered.
    answering: Arc<AtomicUsize>,
    /// Of those, the ones whose body has not yet come.
    awaited: Arc<AtomicUsize>,
}

/// Something that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Held(Arc<AtomicUsize>);

impl Held {
    fn of(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl InFlight {
    /// A request that is being answered.
    pub(super) fn hold(&self) -> Held {
        Held::of(&self.answering)
    }
    /// The body of a request, which its client still owes.
    pub(super) fn owed<B: Body>(&self, body: B) -> Owed<B> {
        let owed = (!body.is_end_stream()).then(|| Held::of(&self.awaited));
        Owed { body, owed }
    }
    /// A body has not yet come.
    fn is_owed(&self) -> bool {
        self.awaited.load(Ordering::Relaxed) > 0
    }
    /// The next step is the client's.
    fn is_none(&self) -> bool {
        self.is_owed() || self.answering.load(Ordering::Relaxed) == 0
    }
}

/// A body that its client owes until it has come, or is no longer read.
#[derive(Debug)]
pub(super) struct Owed<B> {
    body: B,
    owed: Option<Held>,
}

impl<B: Body + Unpin> Body for Owed<B> {
    type Data = B::Data;
    type Error = B::Error;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.owed = None;
        }
        Poll::Ready(frame)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
fn hurried(is_waited_for: bool, crowd: &Crowd, limit: Duration) -> Duration {
    match is_waited_for {
        true => limit.min(crowd.limits.haste),
        false => limit,
    }
}

impl Patient {
    /// The first byte, which is still there to be read; `None` at the end.
    pub(super) async fn first_byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        let n = poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut byte);
            match self.stream.poll_peek(context, &mut buffer) {
                Poll::Pending => self.wait_to_read(context).map(Err),
                peeked => peeked,
            }
        });
        Ok((n.await? > 0).then_some(byte[0]))
    }

    /// Ready, with what is then to be said, once a client that owes something has let the server wait for too long.
    fn wait_to_read(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let (crowd, in_flight) = (&self.crowd, &self.in_flight);
        // Whoever is sending a body is waited for where only the end of the server asks for haste.
        let is_waited_for =
            || crowd.wants_a_place() || (crowd.is_stopping() && !in_flight.is_owed());
        let limit = || hurried(is_waited_for(), crowd, Duration::MAX);
        let waited = self.reading.poll(context, crowd.limits.haste, limit);
        waited.map(|()| left())
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
        this.wait_to_read(context).map(Err)
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
        let is_waited_for = || this.crowd.wants_a_place() || this.crowd.is_stopping();
        let limit = || hurried(is_waited_for(), &this.crowd, left_to_wait);
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
    use tokio::net::TcpListener;

    use super::super::ConnectionLimits;
    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_read_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let _client = std::net::TcpStream::connect(at).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let crowd = Crowd::new(ConnectionLimits {
            stall: Duration::from_millis(20),
            ..ConnectionLimits::default()
        });
        let mut stream = Patient::new(stream, Arc::new(crowd), InFlight::default());
        let bytes = vec![0; 1 << 20];
        let failed = loop {
            let write =
                |context: &mut Context<'_>| Pin::new(&mut stream).poll_write(context, &bytes);
            if let Err(error) = poll_fn(write).await {
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
