//! Middleware for every request: checks the token, sets security headers, counts and times.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::fault::Fault;
use super::{Access, App};

/// Routes without the token: the page, which asks for it, and the health check.
const OPEN: [&str; 4] = ["/", "/page.css", "/page.js", "/healthz"];

/// The page loads from this server alone, and cannot be framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Refuses requests without the token; counts and times all.
pub(super) async fn pass(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or("none", MatchedPath::as_str).to_owned();
    let is_allowed = match &app.token {
        Some(token) => OPEN.contains(&&*route) || has_token(request.headers(), token),
        None => true,
    };
    let is_meant = app.access == Access::Any || names_this_machine(request.headers());
    let mut response = match is_allowed {
        true if is_meant => next.run(request).await,
        true => Fault::new(StatusCode::MISDIRECTED_REQUEST, "the `Host` of the request is not this machine")
            .hint("ask http://localhost or http://127.0.0.1; behind a proxy that keeps another name, start the server with --token-file")
            .into_response(),
        false => Fault::new(StatusCode::UNAUTHORIZED, "the token is missing or wrong")
            .hint("send it as `Authorization: Bearer TOKEN`")
            .into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let status = response.status().as_u16();
    app.metrics.request(&route, status, began.elapsed());
    response
}

/// Whether the request is for an address or `localhost`: a page of `evil.example`, whose name was made to lead here,
/// says its own (DNS rebinding).
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let host = host.to_str().unwrap_or_default();
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or("", |(_, sent)| sent.trim());
    is_same(sent.as_bytes(), token.as_bytes())
}

/// Takes constant time, so that the token cannot be guessed letter by letter.
fn is_same(sent: &[u8], token: &[u8]) -> bool {
    let differences = token.iter().enumerate().fold(0, |sum, (at, byte)| {
        sum | (byte ^ sent.get(at).unwrap_or(&0))
    });
    sent.len() == token.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_made_to_lead_here_is_not_this_machine() {
        let names = |host: &'static str| {
            let headers = [(header::HOST, HeaderValue::from_static(host))];
            names_this_machine(&HeaderMap::from_iter(headers))
        };
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1:8080",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(names(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "",
        ] {
            assert!(!names(host), "{host}");
        }
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let sent = |value: &'static str| {
            HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))])
        };
        assert!(has_token(&sent("Bearer s3cret"), "s3cret"));
        assert!(has_token(&sent("bearer s3cret"), "s3cret"));
        for wrong in [
            "Bearer s3cre",
            "Bearer s3crets",
            "Basic s3cret",
            "s3cret",
            "Bearer",
        ] {
            assert!(!has_token(&sent(wrong), "s3cret"), "{wrong}");
        }
        assert!(!has_token(&HeaderMap::new(), "s3cret"));
    }
}
