//! Middleware for every request: checks its token, its `Host` and its `Origin`, and sets security headers.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::fault::Fault;
use super::{Access, App};

/// Routes without the token: the page, which asks for it, and the two checks of those who watch over programs.
const OPEN: [&str; 5] = ["/", "/page.css", "/page.js", "/healthz", "/readyz"];

/// The page loads from this server alone, and cannot be framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Refuses requests that are not meant for this server, those that another page has sent, and those without the token.
pub(super) async fn pass(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or("none", MatchedPath::as_str);
    let mut response = match app.refusal(route, request.method(), request.headers()) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
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
    response
}

impl App {
    fn refusal(&self, route: &str, method: &Method, headers: &HeaderMap) -> Option<Fault> {
        let is_allowed = match &self.token {
            Some(token) => OPEN.contains(&route) || has_token(headers, token),
            None => true,
        };
        if !is_allowed {
            let fault = Fault::new(StatusCode::UNAUTHORIZED, "the token is missing or wrong");
            return Some(fault.hint("send it as `Authorization: Bearer TOKEN`"));
        }
        if self.access == Access::ThisMachine && !names_this_machine(headers) {
            let message = "the `Host` of the request is not this machine";
            return Some(Fault::new(StatusCode::MISDIRECTED_REQUEST, message).hint("ask http://localhost or http://127.0.0.1; behind a proxy that keeps another name, start the server with --token-file"));
        }
        if !method.is_safe() && is_from_elsewhere(headers, &self.origins) {
            let message = "the request comes from a page of another origin";
            return Some(
                Fault::new(StatusCode::FORBIDDEN, message)
                    .hint("whoever runs the server can allow that origin with --allow-origin"),
            );
        }
        None
    }
}

/// Whether a browser says that a page of another origin has sent this (cross-site request forgery). The rules are those
/// of Go's `net/http.CrossOriginProtection`: `Sec-Fetch-Site` where the browser sends it, else `Origin` beside `Host`;
/// a program that is no browser sends neither.
fn is_from_elsewhere(headers: &HeaderMap, allowed: &[HeaderValue]) -> bool {
    let origin = headers.get(header::ORIGIN);
    if origin.is_some_and(|origin| allowed.contains(origin)) {
        return false;
    }
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = origin else {
        return false;
    };
    let host = headers
        .get(header::HOST)
        .map_or(&b""[..], HeaderValue::as_bytes);
    let own = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    own.is_none_or(|(_, name)| !name.as_bytes().eq_ignore_ascii_case(host))
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
    fn what_a_page_from_elsewhere_sends_is_told_from_what_a_program_sends() {
        let is_foreign = |sent: &[(&'static str, &'static str)]| {
            let headers = sent
                .iter()
                .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value)));
            let allowed = [HeaderValue::from_static("https://friend.example")];
            is_from_elsewhere(&HeaderMap::from_iter(headers), &allowed)
        };
        let host = ("host", "127.0.0.1:8080");
        for own in [
            &[host][..],
            &[host, ("origin", "http://127.0.0.1:8080")],
            &[host, ("origin", "https://friend.example")],
            &[
                host,
                ("origin", "https://friend.example"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[host, ("sec-fetch-site", "none")],
            // Behind a proxy that gives another host, the browser's own word counts.
            &[
                host,
                ("origin", "https://here.example"),
                ("sec-fetch-site", "same-origin"),
            ],
        ] {
            assert!(!is_foreign(own), "{own:?}");
        }
        for foreign in [
            &[host, ("origin", "https://evil.example")][..],
            &[host, ("origin", "http://127.0.0.1:8081")],
            &[host, ("origin", "null")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[host, ("sec-fetch-site", "same-site")],
            &[
                host,
                ("origin", "http://127.0.0.1:8080"),
                ("sec-fetch-site", "cross-site"),
            ],
        ] {
            assert!(is_foreign(foreign), "{foreign:?}");
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
