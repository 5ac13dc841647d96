//! Connections: taken up to a bound, given up where their head does not come, finished before the end.

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

/// Connections at once; others wait to be taken.
const MOST: usize = 1024;
/// How long the head of a request may take, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(15);
/// What is left in the listener's queue when the server is asked to stop is taken all the same.
/// It is also the time in which a connection that was just taken is read from: one of which nothing was read yet is
/// closed at once.
const LAST_CALL: Duration = Duration::from_millis(250);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;

/// Answers until `stop`, then finishes what was taken, for `grace` at most. Whether all of it was finished.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> bool {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MOST));
    let take = |stream: TcpStream, permit| {
        // Answers are small and wanted at once.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that goes away in the middle is no fault of anybody's.
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
                // Out of file handles, say: those that are open must close first.
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
