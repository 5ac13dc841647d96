//! A server that was started for a test, and what asks it: HTTP written by hand, so that it can be slow or wrong.
//! What needs no socket asks a [`super::site::Site`].

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::folder::Folder;

/// Nothing takes longer on a busy machine; a test that waits so long has failed.
const LONGEST: Duration = Duration::from_secs(120);

/// A running server; it is killed when it goes out of scope.
pub(crate) struct Server {
    child: Child,
    /// `127.0.0.1:43211`
    pub(crate) at: String,
}

/// What it answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head's lines, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The message of a refusal.
    pub(crate) fn error(&self) -> String {
        self.json()["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{self:?}"))
            .to_owned()
    }
}

/// Checks that a request was refused with one of these statuses, and a message that says something and not too much.
pub(crate) fn assert_refused(what: &str, answer: &Answer, expected: &[u16]) {
    assert!(expected.contains(&answer.status), "{what}: {answer:?}");
    let message = answer.error();
    assert!((5..400).contains(&message.len()), "{what}: {message}");
    assert!(
        !message.contains("/root") && !message.contains("panicked"),
        "{what}: {message}"
    );
}

impl Server {
    /// Starts `sidelight serve …` on a free port.
    pub(crate) fn start(folder: &Folder, line: &str) -> Self {
        Self::of(folder.command(&format!("serve {line} --addr 127.0.0.1:0")))
    }

    /// The same in a shell that has first run `before`.
    #[cfg(unix)]
    pub(crate) fn start_after(folder: &Folder, before: &str, line: &str) -> Self {
        let own = folder.command(&format!("serve {line} --addr 127.0.0.1:0"));
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-c", &format!("{before}; exec \"$0\" \"$@\"")])
            .arg(own.get_program())
            .args(own.get_args())
            .current_dir(folder.path());
        Self::of(shell)
    }

    fn of(mut command: std::process::Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut first)
            .unwrap();
        let Some((_, at)) = first.trim().split_once("://") else {
            let mut said = String::new();
            child
                .stderr
                .as_mut()
                .unwrap()
                .read_to_string(&mut said)
                .unwrap();
            panic!("{said}");
        };
        let at = at.to_owned();
        Self { child, at }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.at).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        stream
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\n"), b"")
    }

    /// Posts JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(path, "application/json", body.to_string().as_bytes())
    }

    pub(crate) fn send(&self, path: &str, kind: &str, body: &[u8]) -> Answer {
        self.ask(&head(path, kind, body.len()), body)
    }

    /// Sends a head without its end, and a body.
    pub(crate) fn ask(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let whole = format!("{head}host: {}\r\nconnection: close\r\n\r\n", self.at);
        stream.write_all(whole.as_bytes()).unwrap();
        // Whoever refuses early may not read all of it.
        let _ = stream.write_all(body);
        answer(stream)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop.
    #[cfg(unix)]
    pub(crate) fn terminate(&self) {
        let pid = self.pid().to_string();
        let done = std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap();
        assert!(done.success());
    }

    /// Waits for its end: exit code, and what it said.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The head of a POST, without its end.
pub(crate) fn head(path: &str, kind: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n")
}

/// Reads an answer to the end of the connection.
pub(crate) fn answer(mut stream: impl Read) -> Answer {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer ({read:?}): {text:?}"));
    Answer {
        status: head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A row as JSON.
pub(crate) fn row(image: &[u8], metadata: &Value) -> Value {
    json!({"image": base64(image), "metadata": metadata})
}

/// A form: name, name of a file, content.
pub(crate) fn form(parts: &[(&str, Option<&str>, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file
            .map(|file| format!("; filename=\"{file}\""))
            .unwrap_or_default();
        body.extend(
            format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n")
                .bytes(),
        );
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--edge--\r\n");
    ("multipart/form-data; boundary=edge".into(), body)
}
