//! More clients than the system lets a program hold.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::client::{Server, head};
use super::runs::runs;

/// Clients that are connected, said this, and go no further.
fn silent(server: &Server, n: usize, said: &str) -> Vec<TcpStream> {
    let begin = |_| {
        let mut stream = server.connect();
        stream.write_all(said.as_bytes()).unwrap();
        stream
    };
    (0..n).map(begin).collect()
}

#[test]
fn where_files_are_few_who_says_nothing_makes_room_for_who_asks() {
    let server = Server::start_after(runs(), "ulimit -n 90", "runs/alone");
    let half = format!(
        "{}host: localhost\r\n\r\n{{",
        head("/v1/predict", "application/json", 100)
    );
    let _held = [
        silent(&server, 60, ""),
        silent(&server, 30, "GET / HTTP/1.1\r\nhos"),
        silent(&server, 30, &half),
    ];
    assert_eq!(server.get("/healthz").status, 200);
    server.terminate();
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_soft_limit_of_open_files_is_raised_as_far_as_all_places_need() {
    let server = Server::start_after(runs(), "ulimit -Sn 100", "runs/alone");
    let Ok(limits) = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())) else {
        return;
    };
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let mut numbers = line
        .split_whitespace()
        .filter_map(|word| word.parse::<u64>().ok());
    let (soft, hard) = (numbers.next().unwrap(), numbers.next().unwrap());
    assert_eq!(soft, hard.min(1024 + 64), "{line}");
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let server = Server::start(runs(), "runs/alone");
    let mut stream = server.connect();
    // Whoever refuses early may not read all of it, and what is not read can take the answer with it.
    let long = "x".repeat(300_000);
    let _ = write!(
        stream,
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\nconnection: close\r\n\r\n"
    );
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said);
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 431"),
        "{said}"
    );
    let many = "x: y\r\n".repeat(200);
    assert_eq!(
        server.ask(&format!("GET / HTTP/1.1\r\n{many}"), b"").status,
        431
    );
    assert_eq!(server.get("/healthz").status, 200);
}
