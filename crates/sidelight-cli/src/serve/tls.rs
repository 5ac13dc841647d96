//! HTTPS: a certificate and its key from two files in PEM.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error, ServerConfig};

use crate::refusal::Refusal;

/// First byte of every TLS connection: a handshake record.
pub(super) const HANDSHAKE: u8 = 0x16;

/// What a client is told that speaks HTTP where HTTPS is expected.
pub(super) fn speak_tls() -> Vec<u8> {
    let body =
        r#"{"error": "this server speaks HTTPS", "hint": "ask https:// instead of http://"}"#;
    let n = body.len();
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close";
    format!("{head}\r\ncontent-length: {n}\r\n\r\n{body}").into_bytes()
}

/// Accepts TLS with the certificate (and those between it and its authority) of `cert` and the private key of `key`.
///
/// # Errors
///
/// Where a file cannot be read or does not hold what it should, or where the key is not that of the certificate.
pub(crate) fn acceptor(cert: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let unreadable = |path: &Path| format!("cannot read {}", path.display());
    let text = std::fs::read(cert).with_context(|| unreadable(cert))?;
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, PemError>>()
        .map_err(|error| no_certificate(cert, &error.to_string()))?;
    if chain.is_empty() {
        return Err(no_certificate(
            cert,
            "no part of it begins with `BEGIN CERTIFICATE`",
        ));
    }
    let text = std::fs::read(key).with_context(|| unreadable(key))?;
    let own = PrivateKeyDer::from_pem_slice(&text).map_err(|error| no_key(key, &text, &error))?;
    let chain = chain.into_iter().map(CertificateDer::into_owned).collect();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?
        .with_no_client_auth()
        .with_single_cert(chain, own)
        .map_err(|error| not_a_pair(cert, key, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn no_certificate(path: &Path, why: &str) -> anyhow::Error {
    Refusal::new(
        format!("{} is not a certificate in PEM: {why}", path.display()),
        "give the file that begins with `-----BEGIN CERTIFICATE-----`; with Let's Encrypt it is fullchain.pem",
    )
    .into()
}

fn no_key(path: &Path, text: &[u8], error: &PemError) -> anyhow::Error {
    let shown = path.display();
    let is_locked = text
        .windows(9)
        .any(|word| word.eq_ignore_ascii_case(b"ENCRYPTED"));
    let refusal = match is_locked {
        true => Refusal::new(
            format!("the private key in {shown} has a password"),
            format!(
                "take it off, into a file that only you can read: `openssl pkey -in {shown} -out key.pem`"
            ),
        ),
        false => Refusal::new(
            format!("{shown} is not a private key in PEM: {error}"),
            "give the file that begins with `-----BEGIN PRIVATE KEY-----`; with Let's Encrypt it is privkey.pem",
        ),
    };
    refusal.into()
}

fn not_a_pair(cert: &Path, key: &Path, error: &Error) -> anyhow::Error {
    let (cert, key) = (cert.display(), key.display());
    let refusal = match error {
        Error::InconsistentKeys(_) => Refusal::new(
            format!("the private key in {key} is not that of the certificate in {cert}"),
            "give the two files that were made together; the certificate of the server itself comes first",
        ),
        other => Refusal::new(
            format!("{cert} and {key} cannot be used: {other}"),
            format!(
                "`openssl x509 -in {cert} -text` and `openssl pkey -in {key} -text` show what they hold"
            ),
        ),
    };
    refusal.into()
}

#[cfg(test)]
mod tests {
    use crate::hint;

    use super::*;

    fn refused(cert: &str, key: &str) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
        let Err(error) = acceptor(&folder.join(cert), &folder.join(key)) else {
            return "taken".into();
        };
        let hint = hint::of_chain(&error).unwrap_or_default();
        format!("{error}; {hint}").replace(&format!("{}/", folder.display()), "")
    }

    #[test]
    fn files_that_are_no_certificate_and_key_are_named_with_the_way_out() {
        assert_eq!(refused("cert.pem", "key.pem"), "taken");
        for (cert, key, expected) in [
            ("key.pem", "key.pem", "key.pem is not a certificate in PEM"),
            (
                "cert.pem",
                "cert.pem",
                "cert.pem is not a private key in PEM",
            ),
            (
                "cert.pem",
                "other_key.pem",
                "the private key in other_key.pem is not that of the certificate in cert.pem; give the two files",
            ),
            (
                "authority.pem",
                "key.pem",
                "is not that of the certificate in authority.pem",
            ),
            ("cert.pem", "locked_key.pem", "has a password; take it off"),
            (
                "README.md",
                "key.pem",
                "README.md is not a certificate in PEM: no part of it",
            ),
            ("nowhere.pem", "key.pem", "cannot read nowhere.pem"),
        ] {
            let said = refused(cert, key);
            assert!(said.contains(expected), "{cert}, {key}: {said}");
        }
    }
}
