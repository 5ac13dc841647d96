//! `sidelight serve RUN…`

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::HeaderValue;

use super::Answer;
use crate::args::serve::ServeArgs;
use crate::refusal::Refusal;
use crate::serve::{
    Access, App, Batching, ConnectionLimits, Door, Limits, Log, LogFormat, Metrics, Models,
    Visitors, acceptor, listen, places, router, serve,
};
use crate::stop;
use crate::terminal::{Terminal, count};

/// Time between two checks whether to stop.
const TICK: Duration = Duration::from_millis(50);

/// The models with the routes to them.
pub(crate) struct Site {
    models: Arc<Models>,
    /// Every route.
    pub(crate) router: Router,
    has_token: bool,
    is_stopping: Arc<AtomicBool>,
}

impl Site {
    /// Loads the models.
    pub(crate) fn open(args: &ServeArgs, log: Arc<Log>) -> anyhow::Result<Self> {
        let token = args.token_file.as_deref().map(token).transpose()?;
        let has_token = token.is_some();
        let origins = args.allow_origin.iter().map(|origin| parse_origin(origin));
        let origins = origins.collect::<anyhow::Result<Vec<HeaderValue>>>()?;
        let batching = Batching {
            most: args.max_batch,
            wait: Duration::from_millis(args.batch_wait),
        };
        let limits = Limits {
            max_body: args.max_body << 20,
            max_pixels: args.max_pixels * 1_000_000,
            max_rows: args.queue.min(256),
            time: Duration::from_secs(args.timeout),
        };
        let metrics = Arc::new(Metrics::new());
        let shared = Arc::clone(&metrics);
        let models = Models::open(&args.runs, batching, args.queue, shared, args.machine)?;
        let models = Arc::new(models);
        let access = match has_token || !args.addr.ip().is_loopback() {
            true => Access::Any,
            false => Access::ThisMachine,
        };
        let visitors = Visitors {
            token,
            access,
            origins,
        };
        let app = App::new(Arc::clone(&models), limits, metrics, log, visitors);
        let is_stopping = app.stopping();
        Ok(Self {
            models,
            router: router(app),
            has_token,
            is_stopping,
        })
    }
}

/// Serves the runs until Ctrl-C or SIGTERM, then finishes accepted requests.
pub(crate) fn run(args: &ServeArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    args.machine.prepare()?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => Some(acceptor(cert, key)?),
        _ => None,
    };
    let (format, is_quiet) = match terminal.is_quiet() {
        true => (args.log.unwrap_or(LogFormat::Off), true),
        false => (args.log.unwrap_or(LogFormat::Text), false),
    };
    let log = Log::new(format, is_quiet, std::io::stderr());
    let log = Arc::new(log.context("cannot start the thread of the log")?);
    let site = Site::open(args, Arc::clone(&log))?;
    let stop = stop::on_ctrl_c()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the server's threads")?;
    let limits = ConnectionLimits::default();
    let limits = ConnectionLimits {
        places: places(limits.places),
        ..limits
    };
    let finished = runtime.block_on(async {
        let listener =
            listen(args.addr).with_context(|| format!("cannot listen on {}", args.addr))?;
        let at = listener.local_addr().context("cannot read the address")?;
        if !at.ip().is_loopback() {
            if !site.has_token {
                log.warn("anyone who can reach this machine can use the models; restrict access with --token-file");
            } else if tls.is_none() {
                log.warn("the token travels unencrypted; use --tls-cert and --tls-key, or a proxy with HTTPS");
            }
        }
        let names: Vec<&str> = site.models.all().iter().map(|model| &*model.name).collect();
        let n = count(names.len(), "model");
        log.say(&format!("serving {n}: {}", names.join(", ")));
        let scheme = if tls.is_some() { "https" } else { "http" };
        terminal.data(&format!("{scheme}://{}\n", reachable(at)))?;
        tokio::spawn(Arc::clone(&site.models).watch(Arc::clone(&log)));
        let grace = Duration::from_secs(2 * args.timeout + 5);
        let door = Door {
            router: site.router,
            tls,
            is_stopping: site.is_stopping,
        };
        anyhow::Ok(serve(listener, door, limits, until(stop), grace).await)
    })?;
    match finished {
        true => log.say("stopped; all accepted requests were answered"),
        false => log.warn("stopped; some connections did not finish in time"),
    }
    log.close();
    // Do not wait for threads that still decode for clients who have left.
    runtime.shutdown_background();
    Ok(Answer::Done)
}

async fn until(stop: &'static AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(TICK).await;
    }
}

/// An address that a browser on this machine can open: of "all addresses", this machine's own.
fn reachable(at: SocketAddr) -> SocketAddr {
    match at.ip().is_unspecified() {
        true => SocketAddr::new([127, 0, 0, 1].into(), at.port()),
        false => at,
    }
}

fn token(path: &Path) -> anyhow::Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let token = text.trim();
    if token.len() < 8 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::new(
            format!("{} does not hold a token", path.display()),
            "a token is 8 or more letters, digits or signs without spaces: `openssl rand -hex 16 > FILE` makes one",
        )
        .into());
    }
    Ok(token.to_owned())
}

fn parse_origin(origin: &str) -> anyhow::Result<HeaderValue> {
    let is_origin = origin.split_once("://").is_some_and(|(scheme, host)| {
        !scheme.is_empty() && !host.is_empty() && !host.contains('/')
    });
    let value = HeaderValue::from_str(origin).ok().filter(|_| is_origin);
    value.ok_or_else(|| {
        Refusal::new(
            format!("`{origin}` is not an origin"),
            "an origin is a scheme and a host, such as https://example.org",
        )
        .into()
    })
}
