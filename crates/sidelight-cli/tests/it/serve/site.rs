//! The server's routes, asked in process: no socket, no second program.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::request::Builder;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use super::client::Answer;
use crate::folder::Folder;

/// What `sidelight serve …` would answer.
pub(crate) struct Site {
    router: Router,
    runtime: Runtime,
}

impl Site {
    /// With the words of `sidelight serve …`; those that name something in the folder are its.
    pub(crate) fn open(folder: &Folder, line: &str) -> Self {
        let own = |word: &str| {
            let (name, path) = word.split_once('=').unwrap_or(("", word));
            let path = folder.path().join(path);
            match (path.exists(), name) {
                (false, _) => word.to_owned(),
                (true, "") => path.to_str().unwrap().to_owned(),
                (true, name) => format!("{name}={}", path.display()),
            }
        };
        let words: Vec<String> = line.split_whitespace().map(own).collect();
        Self {
            router: sidelight_cli::router(words.iter().map(String::as_str)).unwrap(),
            runtime: Runtime::new().unwrap(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path), b"")
    }

    /// Posts JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(path, "application/json", body.to_string().as_bytes())
    }

    pub(crate) fn send(&self, path: &str, kind: &str, body: &[u8]) -> Answer {
        let request = Request::post(path)
            .header("content-type", kind)
            .header("content-length", body.len());
        self.ask(request, body)
    }

    /// Sends a head and a body; may be called from several threads.
    pub(crate) fn ask(&self, head: Builder, body: &[u8]) -> Answer {
        let (status, head, body) = self.ask_bytes(head, body);
        Answer {
            status,
            head,
            body: String::from_utf8(body).unwrap(),
        }
    }

    /// The same where the answer need not be text.
    pub(crate) fn ask_bytes(&self, head: Builder, body: &[u8]) -> (u16, String, Vec<u8>) {
        let request = head.body(Body::from(body.to_vec())).unwrap();
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let headers = response.headers().iter();
            let head = headers
                .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()))
                .collect::<String>()
                .to_lowercase();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, head, body.to_vec())
        })
    }
}
