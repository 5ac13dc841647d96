//! Middleware about every request, whoever asks and whatever is answered: an identity, a count, a line of the log.

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::App;
use super::log::RequestLine;

/// The header by which a client, or a proxy, names a request, and by which the answer repeats that name.
pub(super) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest name of a request.
const LONGEST_ID: usize = 128;
/// What nginx says of a client that left before it was answered.
const CLIENT_LEFT: u16 = 499;

/// How many rows an answer is about; an extension of the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows(pub(super) usize);

/// Gives names to requests that have none.
#[derive(Debug, Default)]
pub(super) struct Names {
    state: RandomState,
    next: AtomicU64,
}

impl Names {
    /// The name that came along, if it may stand in a log; else a new one.
    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let own = headers.get(&REQUEST_ID).filter(|name| {
            let is_plain = |c: &u8| c.is_ascii_alphanumeric() || b"-_.:/+=".contains(c);
            let name = name.as_bytes();
            (1..=LONGEST_ID).contains(&name.len()) && name.iter().all(is_plain)
        });
        own.cloned().unwrap_or_else(|| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("{:016x}", self.state.hash_one(number));
            HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("none"))
        })
    }
}

/// A request that is being answered. It is recorded when this is dropped, which also happens where its client leaves.
struct Record {
    app: Arc<App>,
    began: Instant,
    id: HeaderValue,
    method: String,
    path: String,
    route: String,
    received: u64,
    status: u16,
    rows: usize,
    sent: u64,
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        self.app.metrics.request(&self.route, self.status, took);
        self.app.log.request(&RequestLine {
            id: self.id.to_str().unwrap_or_default(),
            method: &self.method,
            path: &self.path,
            status: self.status,
            took,
            rows: self.rows,
            received: self.received,
            sent: self.sent,
        });
    }
}

/// Names, counts, times and logs a request.
pub(super) async fn keep(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let mut record = Record {
        began: Instant::now(),
        id: app.names.of(request.headers()),
        method: request.method().as_str().to_owned(),
        path: request.uri().path().to_owned(),
        route: matched.map_or("none", MatchedPath::as_str).to_owned(),
        received: length.unwrap_or(0),
        status: CLIENT_LEFT,
        rows: 0,
        sent: 0,
        app,
    };
    let mut response = next.run(request).await;
    record.status = response.status().as_u16();
    record.rows = response.extensions().get::<Rows>().map_or(0, |rows| rows.0);
    record.sent = response.body().size_hint().exact().unwrap_or(0);
    response
        .headers_mut()
        .insert(&REQUEST_ID, record.id.clone());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_may_stand_in_a_log_is_kept_and_another_is_replaced() {
        let names = Names::default();
        let of = |name: &[u8]| {
            let name = HeaderValue::from_bytes(name).unwrap();
            names.of(&HeaderMap::from_iter([(REQUEST_ID.clone(), name)]))
        };
        assert_eq!(of(b"Root=1-67:a/b_c.d+e"), "Root=1-67:a/b_c.d+e");
        for bad in [&b""[..], b"a b", b"a\tb", b"a\"b", b"\xff", &[b'x'; 129]] {
            let name = of(bad);
            assert_eq!(name.len(), 16, "{bad:?}: {name:?}");
        }
        assert_ne!(of(b""), of(b""));
    }
}
