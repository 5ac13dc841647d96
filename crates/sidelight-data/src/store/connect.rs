//! Requests of `object_store` through `ureq`: one client and one TLS in the program.

use std::io::ErrorKind;
use std::pin::Pin;
use std::time::Duration;

use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use ureq::http::Request;
use ureq::{Agent, Proxy};

use super::Proxies;
use super::object::PIECE;
use crate::error::{Error, Result};

/// The longest answer that is read: a piece, or a page of a list.
const MAX_ANSWER: u64 = PIECE + (8 << 20);

#[derive(Debug, Clone)]
pub(super) struct Connector {
    proxies: Proxies,
    direct: Agent,
    http: Agent,
    https: Agent,
}

impl Connector {
    pub(super) fn new(patience: Duration, proxies: &Proxies) -> Result<Self> {
        Ok(Self {
            direct: agent(patience, None)?,
            http: agent(patience, proxies.http.as_deref())?,
            https: agent(patience, proxies.https.as_deref())?,
            proxies: proxies.clone(),
        })
    }

    /// Who asks for an address.
    fn agent(&self, address: &str) -> &Agent {
        match self.proxies.of(address) {
            None => &self.direct,
            Some(_) if address.starts_with("http://") => &self.http,
            Some(_) => &self.https,
        }
    }
}

fn agent(patience: Duration, proxy: Option<&str>) -> Result<Agent> {
    let proxy = proxy.map(|proxy| {
        Proxy::new(proxy).map_err(|_| Error::Setting {
            field: "data.remote.proxy".into(),
            expected: "`http://host:port`".into(),
            // It may hold a password.
            found: "something else".into(),
        })
    });
    let config = Agent::config_builder()
        // Said here, so that it is not taken from the environment.
        .proxy(proxy.transpose()?)
        .http_status_as_error(false)
        .max_redirects(5)
        .user_agent(concat!("sidelight/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .timeout_connect(Some(patience))
        .timeout_recv_response(Some(patience))
        .timeout_recv_body(Some(patience));
    Ok(config.build().new_agent())
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

type Answer = Result<HttpResponse, HttpError>;

// Written out, what `#[async_trait]` would make of an `async fn`.
impl HttpService for Connector {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let agent = self.agent(&request.uri().to_string()).clone();
        Box::pin(async move {
            let answer = tokio::task::spawn_blocking(move || exchange(&agent, request));
            answer
                .await
                .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?
        })
    }
}

/// One request and the whole of its answer: an answer that breaks off is none, and the request is repeated.
fn exchange(agent: &Agent, request: HttpRequest) -> Answer {
    let (parts, body) = request.into_parts();
    let answer = match body.as_bytes() {
        Some(bytes) if bytes.is_empty() => agent.run(Request::from_parts(parts, ())),
        Some(bytes) => agent.run(Request::from_parts(parts, bytes.to_vec())),
        None => {
            let text = "requests with a long body are not made here";
            return Err(HttpError::new(
                HttpErrorKind::Unknown,
                std::io::Error::other(text),
            ));
        }
    };
    let (parts, body) = answer.map_err(failed)?.into_parts();
    let bytes = body.into_with_config().limit(MAX_ANSWER).read_to_vec();
    Ok(HttpResponse::from_parts(
        parts,
        bytes.map_err(failed)?.into(),
    ))
}

/// The kind says whether it is worth while to ask again.
fn failed(error: ureq::Error) -> HttpError {
    let kind = match &error {
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => HttpErrorKind::Connect,
        ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            HttpErrorKind::Connect
        }
        ureq::Error::Io(_) => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
