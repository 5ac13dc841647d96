//! Its end, and a model that changes while it is asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::client::{Server, row};
use crate::folder::Folder;

#[cfg(unix)]
#[test]
fn what_was_taken_on_before_the_end_is_answered() {
    use std::io::{Read, Write};

    use super::client::{answer, head};

    let folder = super::runs::runs();
    let server = Server::start(folder, "runs/a --max-batch 1");
    let body = row(&folder.read_bytes("5.png"), &json!({"beds": 1})).to_string();
    let begun = |sent: usize| {
        let mut stream = server.connect();
        let head = head("/v1/predict", "application/json", body.len());
        write!(stream, "{head}host: localhost\r\n\r\n").unwrap();
        stream.write_all(&body.as_bytes()[..sent]).unwrap();
        stream
    };
    let whole: Vec<_> = (0..40).map(|_| begun(body.len())).collect();
    let mut halves: Vec<_> = (0..5).map(|_| begun(body.len() / 2)).collect();
    assert_eq!(server.get("/readyz").status, 200);
    let mut asks = server.connect();
    asks.write_all(b"GET /readyz HTTP/1.1\r\n").unwrap();
    // An answer to a later connection: those before it were taken.
    assert_eq!(server.get("/healthz").status, 200);
    server.terminate();
    thread::sleep(Duration::from_millis(300));
    for half in &mut halves {
        half.write_all(&body.as_bytes()[body.len() / 2..]).unwrap();
    }
    asks.write_all(b"host: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut last_word = String::new();
    // A machine that takes a second for this has lost the connection, which says nothing.
    let _ = asks.read_to_string(&mut last_word);
    let is_refused =
        last_word.starts_with("HTTP/1.1 503") && last_word.contains("the server is stopping");
    assert!(is_refused || last_word.is_empty(), "{last_word}");
    for stream in whole.into_iter().chain(halves) {
        let answer = answer(stream);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let (code, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("all accepted requests were answered"),
        "{said}"
    );
}

#[test]
fn a_run_that_changes_is_read_again_and_no_request_is_lost() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out runs/a");
    let server = Server::start(&folder, "runs/a");
    let request = row(
        &folder.read_bytes("5.png"),
        &json!({"beds": 1, "tree": "oak"}),
    );
    let ask = || {
        let answer = server.post("/v1/predict", &request);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["prediction"].clone()
    };
    let before = ask();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut n = 0;
            while !is_over.load(Ordering::SeqCst) {
                ask();
                n += 1;
            }
            n
        });
        folder.done("train houses.toml --out runs/a --overwrite --set train.epochs=3");
        // A minute is far more than it takes; without an end a failure would never be one.
        let changed = (0..600).any(|_| {
            thread::sleep(Duration::from_millis(100));
            ask() != before
        });
        is_over.store(true, Ordering::SeqCst);
        assert!(changed, "the new model never came");
        assert!(asking.join().unwrap() > 0);
    });
    assert!(
        server
            .get("/metrics")
            .body
            .contains("sidelight_reloads_total{model=\"a\",outcome=\"done\"} 1")
    );

    // A folder that is damaged changes nothing.
    let now = ask();
    folder.write("runs/a/model/model.json", "{");
    let noticed = (0..600).any(|_| {
        thread::sleep(Duration::from_millis(100));
        server
            .get("/metrics")
            .body
            .contains("outcome=\"failed\"} 1")
    });
    assert!(noticed && ask() == now);
}
