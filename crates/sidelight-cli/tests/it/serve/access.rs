//! Who may ask.

use axum::http::Request;
use serde_json::json;

use super::client::{assert_refused, row};
use super::runs::runs;
use super::site::Site;

#[test]
fn with_a_token_only_the_page_and_the_health_are_open() {
    let folder = runs();
    folder.write("token.txt", "s3cret-token\n");
    let server = Site::open(folder, "runs/a --token-file token.txt");
    for open in ["/", "/page.css", "/page.js", "/healthz", "/readyz"] {
        assert_eq!(server.get(open).status, 200, "{open}");
    }
    for shut in [
        "/v1/schema",
        "/v1/models",
        "/openapi.json",
        "/metrics",
        "/nowhere",
    ] {
        let answer = server.get(shut);
        assert_eq!(answer.status, 401, "{shut}");
        assert!(
            answer.head.contains("www-authenticate: bearer"),
            "{answer:?}"
        );
    }
    let request = row(&folder.read_bytes("1.png"), &json!({}));
    assert_eq!(server.post("/v1/predict", &request).status, 401);
    let with = |token: &str| {
        let head = Request::get("/v1/schema").header("authorization", format!("Bearer {token}"));
        server.ask(head, b"").status
    };
    assert_eq!(
        (with("s3cret-token"), with("s3cret-toke"), with("")),
        (200, 401, 401)
    );
}

#[test]
fn other_origins_may_ask_only_where_they_are_allowed() {
    let folder = runs();
    let asks = |server: &Site| {
        let head = Request::get("/v1/models").header("origin", "https://example.org");
        server
            .ask(head, b"")
            .head
            .contains("access-control-allow-origin")
    };
    assert!(!asks(&Site::open(folder, "runs/a")));
    assert!(asks(&Site::open(
        folder,
        "runs/a --allow-origin https://example.org"
    )));
    assert!(!asks(&Site::open(
        folder,
        "runs/a --allow-origin https://example.com"
    )));
}

#[test]
fn a_page_from_elsewhere_cannot_have_a_row_predicted() {
    let folder = runs();
    let body = row(&folder.read_bytes("1.png"), &json!({"beds": 1})).to_string();
    let asked = |server: &Site, sent: &[(&str, &str)]| {
        let head = Request::post("/v1/predict").header("content-type", "application/json");
        let head = head.header("content-length", body.len());
        let head = head.header("host", "localhost:8080");
        let add = |head: axum::http::request::Builder, (name, value): &(&str, &str)| {
            head.header(*name, *value)
        };
        server.ask(sent.iter().fold(head, add), body.as_bytes())
    };
    let server = Site::open(folder, "runs/a");
    assert_eq!(asked(&server, &[]).status, 200);
    assert_eq!(
        asked(&server, &[("origin", "http://localhost:8080")]).status,
        200
    );
    let refused = asked(&server, &[("origin", "https://evil.example")]);
    assert_refused("a foreign page", &refused, &[403]);
    let refused = asked(&server, &[("sec-fetch-site", "cross-site")]);
    assert_refused("a foreign page", &refused, &[403]);
    let server = Site::open(folder, "runs/a --allow-origin https://friend.example");
    let friend = [
        ("origin", "https://friend.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    let answer = asked(&server, &friend);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer
            .head
            .contains("access-control-expose-headers: x-request-id"),
        "{answer:?}"
    );
}

#[test]
fn long_text_is_compressed_for_who_asks_for_it() {
    let server = Site::open(runs(), "runs/a");
    let asked = |path: &str, coding: &str| {
        let head = Request::get(path).header("accept-encoding", coding);
        let (status, head, body) = server.ask_bytes(head, b"");
        assert_eq!(status, 200);
        (head.contains("content-encoding: gzip"), body)
    };
    let (is_packed, plain) = asked("/page.js", "identity");
    assert!(!is_packed && plain.len() > 1024);
    let (is_packed, packed) = asked("/page.js", "br;q=1, gzip;q=0.5");
    assert!(is_packed && packed.len() < plain.len() / 2);
    // The end of a gzip file is the length of what was compressed.
    assert_eq!(packed[..2], [0x1f, 0x8b]);
    assert_eq!(
        packed[packed.len() - 4..],
        (plain.len() as u32).to_le_bytes()
    );
    assert!(!asked("/healthz", "gzip").0);
    assert!(!asked("/page.js", "gzip;q=0").0);
}

#[test]
fn what_cannot_be_served_is_said_at_once() {
    let folder = runs();
    folder.write("short.txt", "abc");
    for (line, expected) in [
        ("serve runs/nowhere", "nowhere"),
        ("serve runs/a runs/a", "two models are named `a`"),
        (
            "serve runs/a --token-file short.txt",
            "does not hold a token",
        ),
        (
            "serve runs/a --allow-origin example.org",
            "is not an origin",
        ),
        ("serve runs/a --addr here", "invalid"),
        ("serve runs/a --queue 0", "1 to 65536"),
        ("serve runs/a --tls-cert short.txt", "--tls-key"),
        (
            "serve runs/a --tls-cert short.txt --tls-key short.txt",
            "is not a certificate in PEM",
        ),
        ("serve runs/a --log yaml", "text, json, off"),
    ] {
        let said = folder.run(line);
        assert_eq!(said.code, 2, "{line}: {}", said.stderr);
        assert!(said.stderr.contains(expected), "{line}: {}", said.stderr);
    }
}
