//! Connections: accepted up to a limit, dropped if their head does not arrive or their answer is not read, finished
//! before the server stops. Where all places are taken, those who keep the server waiting make room for those who wait.

mod patience;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderValue, header};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::tls;
use patience::{InFlight, Patient};

/// How long connections are still accepted from the listener's queue after the server was asked to stop. Also the time
/// to read from a connection that was just accepted: one that nothing was read from is closed at once.
const LAST_CALL: Duration = Duration::from_millis(250);
/// Largest head of a request, bytes.
const HEAD_BYTES: usize = 64 << 10;

/// What connections may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    /// Connections at once; others wait to be accepted.
    pub(crate) places: usize,
    /// How long the head of a request may take, and how long a connection may be idle.
    pub(crate) head: Duration,
    /// How long a client may take no byte of its answer.
    pub(crate) stall: Duration,
    /// Bytes a second that a client takes at least, where it lets the server wait for longer than `stall` in all.
    pub(crate) rate: u32,
    /// How long a client may be idle, or take no byte, while others wait for a place or the server is about to stop.
    pub(crate) haste: Duration,
    /// A connection of this age is closed after its next answer.
    pub(crate) life: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            places: 1024,
            head: Duration::from_secs(15),
            stall: Duration::from_secs(10),
            rate: 4096,
            haste: Duration::from_secs(1),
            life: Duration::from_secs(3600),
        }
    }
}

/// What all connections know of one another.
#[derive(Debug)]
struct Crowd {
    limits: ConnectionLimits,
    /// Somebody waits for a place.
    wants_a_place: AtomicBool,
    /// The server is about to stop.
    is_stopping: AtomicBool,
}

impl Crowd {
    fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            wants_a_place: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
        }
    }

    fn wants_a_place(&self) -> bool {
        self.wants_a_place.load(Ordering::Relaxed)
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    fn wait_for(&self, wants_a_place: bool) {
        self.wants_a_place.store(wants_a_place, Ordering::Relaxed);
    }

    /// A place, for which others make room.
    async fn place(&self, room: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(room).try_acquire_owned() {
            self.wait_for(false);
            return Some(place);
        }
        self.wait_for(true);
        let place = Arc::clone(room).acquire_owned().await;
        self.wait_for(false);
        place.ok()
    }
}

/// How long a failed `accept` is not tried again: open connections must close first.
const NO_FILES: Duration = Duration::from_millis(50);

/// What answers: the routes, over HTTP or HTTPS.
pub(crate) struct Door {
    /// Every route.
    pub(crate) router: Router,
    /// HTTPS.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Set before the listener closes.
    pub(crate) is_stopping: Arc<AtomicBool>,
}

/// Answers until `stop`, then finishes accepted requests for `grace` at most. Returns whether it finished all of them.
pub(crate) async fn serve(
    listener: TcpListener,
    door: Door,
    limits: ConnectionLimits,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> bool {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(limits.places));
    let crowd = Arc::new(Crowd::new(limits));
    let take = |stream: TcpStream, place: Option<OwnedSemaphorePermit>| {
        // Answers are small, and wanted without delay.
        let _ = stream.set_nodelay(true);
        let visit = Visit {
            router: door.router.clone(),
            crowd: Arc::clone(&crowd),
            watcher: graceful.watcher(),
        };
        let tls = door.tls.clone();
        tokio::spawn(async move {
            match tls {
                Some(tls) => visit.answer_tls(stream, tls).await,
                None => visit.answer_plain(stream).await,
            }
            drop(place);
        });
    };
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of files, for one: whoever cannot be accepted waits just as whoever has no place.
            crowd.wait_for(true);
            tokio::time::sleep(NO_FILES).await;
            continue;
        };
        tokio::select! {
            place = crowd.place(&room) => take(stream, place),
            () = &mut stop => {
                take(stream, None);
                break;
            }
        }
    }
    door.is_stopping.store(true, Ordering::SeqCst);
    crowd.wait_for(false);
    crowd.is_stopping.store(true, Ordering::Relaxed);
    // For so long in all: clients who go on asking would keep the server from its end.
    let last = tokio::time::Instant::now() + LAST_CALL;
    while let Ok(Ok((stream, _))) = timeout_at(last, listener.accept()).await {
        take(stream, None);
    }
    drop(listener);
    timeout(grace, graceful.shutdown()).await.is_ok()
}

/// One connection.
struct Visit {
    router: Router,
    crowd: Arc<Crowd>,
    watcher: Watcher,
}

impl Visit {
    async fn answer_plain(self, stream: TcpStream) {
        let in_flight = InFlight::default();
        let stream = Patient::new(stream, Arc::clone(&self.crowd), in_flight.clone());
        self.answer(stream, in_flight).await;
    }

    /// The handshake takes no longer than the head of a request may.
    async fn answer_tls(self, stream: TcpStream, tls: TlsAcceptor) {
        let in_flight = InFlight::default();
        let mut stream = Patient::new(stream, Arc::clone(&self.crowd), in_flight.clone());
        let limits = self.crowd.limits;
        let Ok(Ok(Some(first))) = timeout(limits.head, stream.first_byte()).await else {
            return;
        };
        if first == tls::HANDSHAKE {
            if let Ok(Ok(stream)) = timeout(limits.head, tls.accept(stream)).await {
                self.answer(stream, in_flight).await;
            }
            return;
        }
        let refusal = async {
            stream.write_all(&tls::speak_tls()).await?;
            stream.shutdown().await?;
            // What was sent is read: closing would discard the answer.
            tokio::io::copy(&mut stream.take(HEAD_BYTES as u64), &mut sink()).await
        };
        // Whether it is read is not our concern.
        let _ = timeout(limits.haste, refusal).await;
    }

    async fn answer<S>(self, stream: S, in_flight: InFlight)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let began = Instant::now();
        let limits = self.crowd.limits;
        let router = TowerToHyperService::new(self.router);
        let service = service_fn(move |request: Request<Incoming>| {
            let held = in_flight.hold();
            let answer = router.call(request.map(|body| in_flight.owed(body)));
            async move {
                let mut answer = answer.await?;
                drop(held);
                if began.elapsed() > limits.life {
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(header::CONNECTION, close);
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        // A client may go away in the middle.
        let _ = self.watcher.watch(connection).await;
    }
}

/// What a client is told that keeps the server waiting: nothing, the connection ends.
fn left() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::sync::oneshot::Sender;
    use tokio::task::JoinHandle;

    use super::*;

    const NEVER: Duration = Duration::from_secs(3600);

    /// A server with an answer of a megabyte; it is to stop once the sender is dropped.
    async fn served(limits: ConnectionLimits) -> (SocketAddr, Sender<()>, JoinHandle<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let answer = || async { "x".repeat(1 << 20) };
        let read = |body: axum::body::Bytes| async move { body.len().to_string() };
        let router = Router::new()
            .route("/", axum::routing::get(answer))
            .route("/read", axum::routing::post(read));
        let stopped = async { stopped.await.unwrap_or(()) };
        let door = Door {
            router,
            tls: None,
            is_stopping: Arc::default(),
        };
        let served = tokio::spawn(serve(listener, door, limits, stopped, NEVER));
        (at, stop, served)
    }

    fn patient() -> ConnectionLimits {
        ConnectionLimits {
            head: NEVER,
            stall: NEVER,
            haste: Duration::from_millis(30),
            life: NEVER,
            ..ConnectionLimits::default()
        }
    }

    async fn ask(at: SocketAddr, times: usize) -> TcpStream {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(times);
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn first_line(mut stream: TcpStream) -> String {
        let mut start = [0; 15];
        stream.read_exact(&mut start).await.unwrap();
        String::from_utf8_lossy(&start).into_owned()
    }

    #[tokio::test]
    async fn who_does_not_read_or_says_nothing_makes_room_for_who_waits() {
        let (at, _stop, _) = served(ConnectionLimits {
            places: 2,
            ..patient()
        })
        .await;
        let _does_not_read = ask(at, 100).await;
        let _says_nothing = TcpStream::connect(at).await.unwrap();
        for _ in 0..4 {
            assert_eq!(first_line(ask(at, 1).await).await, "HTTP/1.1 200 OK");
        }
    }

    #[tokio::test]
    async fn who_sends_half_a_body_makes_room_for_who_waits() {
        let limits = ConnectionLimits {
            places: 2,
            ..patient()
        };
        let (at, _stop, _) = served(limits).await;
        let mut half = [ask(at, 0).await, ask(at, 0).await];
        for client in &mut half {
            let head = b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf";
            client.write_all(head).await.unwrap();
        }
        for _ in 0..4 {
            assert_eq!(first_line(ask(at, 1).await).await, "HTTP/1.1 200 OK");
        }
    }

    #[tokio::test]
    async fn a_head_that_does_not_end_is_not_waited_for() {
        let limits = ConnectionLimits {
            head: Duration::from_millis(50),
            ..patient()
        };
        let (at, _stop, _) = served(limits).await;
        let mut client = TcpStream::connect(at).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn a_server_that_is_to_stop_does_not_wait_for_who_does_not_read() {
        let (at, stop, served) = served(patient()).await;
        let _does_not_read = [ask(at, 100).await, ask(at, 100).await];
        assert_eq!(first_line(ask(at, 1).await).await, "HTTP/1.1 200 OK");
        drop(stop);
        assert!(served.await.unwrap());
    }

    #[tokio::test]
    async fn a_server_that_is_to_stop_does_not_wait_for_who_goes_on_asking() {
        let (at, stop, served) = served(patient()).await;
        drop(stop);
        let asking = tokio::spawn(async move { while TcpStream::connect(at).await.is_ok() {} });
        timeout(Duration::from_secs(60), asking)
            .await
            .unwrap()
            .unwrap();
        assert!(served.await.unwrap());
    }

    #[tokio::test]
    async fn an_old_connection_is_closed_after_its_next_answer() {
        let (at, _stop, _) = served(ConnectionLimits {
            life: Duration::ZERO,
            ..patient()
        })
        .await;
        let mut answer = Vec::new();
        ask(at, 1).await.read_to_end(&mut answer).await.unwrap();
        let head = String::from_utf8_lossy(&answer[..200]).to_lowercase();
        assert!(head.contains("connection: close"), "{head}");
    }
}
