//! HTTPS.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::client::{Server, answer, head, row};
use super::runs::runs;

type Stream = StreamOwned<ClientConnection, std::net::TcpStream>;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls")
        .join(name);
    path.to_str().unwrap().to_owned()
}

fn served() -> Server {
    let folder = runs();
    for name in ["cert.pem", "key.pem"] {
        folder.write_bytes(name, &std::fs::read(file(name)).unwrap());
    }
    Server::start(folder, "runs/a --tls-cert cert.pem --tls-key key.pem")
}

/// A client that trusts the authority of the tests, or nobody.
fn connect(server: &Server, trusts: bool) -> Stream {
    let mut roots = RootCertStore::empty();
    if trusts {
        let authority = CertificateDer::from_pem_file(file("authority.pem")).unwrap();
        roots.add(authority).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(client, server.connect())
}

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[test]
fn with_a_certificate_it_speaks_https_and_tells_who_does_not() {
    let server = served();
    let mut client = connect(&server, true);
    client.write_all(GET).unwrap();
    let healthy = answer(&mut client);
    assert_eq!((healthy.status, &*healthy.body), (200, "ok\n"));
    assert_eq!(client.conn.alpn_protocol(), Some(&b"http/1.1"[..]));

    let plain = server.get("/healthz");
    assert_eq!(plain.status, 400, "{plain:?}");
    assert_eq!(plain.error(), "this server speaks HTTPS");

    assert!(connect(&server, false).write_all(GET).is_err());
    // What is neither is left without a word.
    for bytes in [&b"\x16\x03\x01\x02"[..], b"\x16", b""] {
        let mut stream = server.connect();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut said = Vec::new();
        // It may be reset.
        let _ = stream.read_to_end(&mut said);
        assert!(!said.starts_with(b"HTTP"), "{said:?}");
    }
    let mut client = connect(&server, true);
    client.write_all(GET).unwrap();
    assert_eq!(answer(&mut client).status, 200);
}

#[cfg(unix)]
#[test]
fn over_https_what_was_taken_on_before_the_end_is_answered() {
    let server = served();
    let body = row(&runs().read_bytes("5.png"), &json!({"beds": 1})).to_string();
    let begin = || {
        let mut client = connect(&server, true);
        let head = head("/v1/predict", "application/json", body.len());
        write!(client, "{head}host: localhost\r\n\r\n").unwrap();
        client
            .write_all(&body.as_bytes()[..body.len() / 2])
            .unwrap();
        client.flush().unwrap();
        client
    };
    let clients = [begin(), begin()];
    // Has not begun to speak, and does not keep the server from ending.
    let _silent = server.connect();
    let mut last = connect(&server, true);
    last.write_all(GET).unwrap();
    assert_eq!(answer(&mut last).status, 200);
    server.terminate();
    std::thread::sleep(std::time::Duration::from_millis(300));
    for mut client in clients {
        client
            .write_all(&body.as_bytes()[body.len() / 2..])
            .unwrap();
        assert_eq!(answer(&mut client).status, 200);
    }
    let (code, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("all accepted requests were answered"),
        "{said}"
    );
}
