//! Connections: accepted up to a limit, dropped if their head does not arrive, finished before the server stops.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Connections at once; others wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// How long the head of a request may take, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(15);
/// How long connections are still accepted from the listener's queue after the server was asked to stop. Also the time
/// to read from a connection that was just accepted: one that nothing was read from is closed at once.
const LAST_CALL: Duration = Duration::from_millis(250);
/// Largest head of a request, bytes.
const HEAD_BYTES: usize = 64 << 10;

/// Answers until `stop`, then finishes accepted requests for `grace` at most. Returns whether it finished all of them.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> bool {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let take = |stream: TcpStream, permit| {
        // Answers are small, and wanted without delay.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // A client may go away in the middle.
            let _ = watched.await;
            drop(permit);
        });
    };
    let mut stop = std::pin::pin!(stop);
    loop {
        let taken = async {
            let permit = Arc::clone(&room).acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        tokio::select! {
            (accepted, permit) = taken => match accepted {
                Ok((stream, _)) => take(stream, permit),
                // Out of file handles, for one: open ones must close first.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            () = &mut stop => break,
        }
    }
    while let Ok(Ok((stream, _))) = timeout(LAST_CALL, listener.accept()).await {
        take(stream, None);
    }
    drop(listener);
    timeout(grace, graceful.shutdown()).await.is_ok()
}
