//! What is written of each request, and what is not.

use std::io::Write;

use serde_json::{Value, json};

use super::client::{Server, answer, head, row};
use super::runs::runs;

#[test]
fn every_request_is_a_line_of_the_log_without_what_its_cells_hold() {
    let folder = runs();
    let server = Server::start(folder, "runs/a runs/alone --log json");
    let body = row(&folder.read_bytes("1.png"), &json!({"tree": "cell-7315"})).to_string();
    let head_of = |path: &str| head(path, "application/json", body.len());
    let named = server.ask(
        &format!(
            "{}x-request-id: order/17\r\n",
            head_of("/v1/predict?coverage=0.6")
        ),
        body.as_bytes(),
    );
    assert_eq!(named.status, 200, "{named:?}");
    assert!(named.head.contains("x-request-id: order/17"), "{named:?}");
    let two = json!([{"metadata": {"beds": 1}}, {"metadata": {"beds": 2}}]);
    let unnamed = server.post("/v1/predict?model=alone", &two);
    assert_eq!(unnamed.status, 200, "{unnamed:?}");
    assert_eq!(server.get("/cell%0a%1b[2J").status, 404);
    // A client that leaves in the middle of its body.
    let mut leaves = server.connect();
    write!(
        leaves,
        "{}host: localhost\r\n\r\n{{",
        head_of("/v1/explain")
    )
    .unwrap();
    drop(leaves);
    // One that stays, so that the one that left was noticed.
    for _ in 0..3 {
        assert_eq!(server.get("/healthz").status, 200);
    }
    server.terminate();
    let (code, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(
        !said.contains("cell-7315") && !said.contains("coverage"),
        "{said}"
    );

    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let of = |path: &str| {
        let found = lines.iter().filter(|line| line["path"] == path);
        found.collect::<Vec<&Value>>()
    };
    let [one, two] = of("/v1/predict")[..] else {
        panic!("{said}")
    };
    assert_eq!((&one["id"], &one["rows"]), (&json!("order/17"), &json!(1)));
    assert_eq!(
        (&one["method"], &one["status"]),
        (&json!("POST"), &json!(200))
    );
    assert_eq!(one["received"], body.len());
    assert_eq!(one["sent"], named.body.len());
    assert!(one["seconds"].as_f64().unwrap() > 0.0, "{one}");
    let id = two["id"].as_str().unwrap();
    assert!(unnamed.head.contains(&format!("x-request-id: {id}")) && id.len() == 16);
    assert_eq!(two["rows"], 2);
    assert_eq!(of("/cell%0a%1b[2J")[0]["status"], 404);
    let [left] = of("/v1/explain")[..] else {
        panic!("{said}")
    };
    assert!(
        [400, 499].contains(&left["status"].as_u64().unwrap()),
        "{left}"
    );
    assert_eq!(of("/healthz").len(), 3);
    let last = lines.last().unwrap();
    assert_eq!(
        last["message"],
        "stopped; all accepted requests were answered"
    );
}

#[test]
fn where_nobody_reads_the_log_requests_are_answered_all_the_same() {
    let server = Server::start(runs(), "runs/alone");
    let mut stream = server.connect();
    // More lines than the pipe that nobody reads here holds (64 kB), on one connection.
    let n = 1500;
    for at in 0..n {
        let close = if at + 1 == n {
            "connection: close\r\n"
        } else {
            ""
        };
        write!(
            stream,
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\n{close}\r\n"
        )
        .unwrap();
    }
    let answered = answer(stream);
    assert_eq!(answered.status, 200);
    assert_eq!(answered.body.matches("HTTP/1.1 200 OK").count(), n - 1);
    server.terminate();
    assert_eq!(server.end().0, Some(0));
}
