//! Connections: accepted up to a limit, dropped if their head does not arrive or their answer is not read, finished
//! before the server stops.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep, timeout};

/// Connections at once; others wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// How long the head of a request may take, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(15);
/// How long a client may take no byte of its answer.
const STALL: Duration = Duration::from_secs(10);
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
            .serve_connection(TokioIo::new(Patient::new(stream, STALL)), service);
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

/// A stream whose other side must read: a write that waits for longer than `patience` is an error.
struct Patient {
    stream: TcpStream,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            waiting: None,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let patience = self.patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        let is_over = waiting.as_mut().poll(context);
        is_over.map(|()| Err(io::ErrorKind::TimedOut.into()))
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
    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_read_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let _client = std::net::TcpStream::connect(at).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = Patient::new(stream, Duration::from_millis(20));
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
}
