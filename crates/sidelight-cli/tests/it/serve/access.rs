//! Who may ask.

use axum::http::Request;
use serde_json::json;

use super::client::row;
use super::runs::runs;
use super::site::Site;

#[test]
fn with_a_token_only_the_page_and_the_health_are_open() {
    let folder = runs();
    folder.write("token.txt", "s3cret-token\n");
    let server = Site::open(folder, "runs/a --token-file token.txt");
    for open in ["/", "/page.css", "/page.js", "/healthz"] {
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
    ] {
        let said = folder.run(line);
        assert_eq!(said.code, 2, "{line}: {}", said.stderr);
        assert!(said.stderr.contains(expected), "{line}: {}", said.stderr);
    }
}
