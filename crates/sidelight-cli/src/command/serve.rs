//! `sidelight serve RUN…`

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::http::HeaderValue;
use tokio::net::TcpListener;
use tokio::sync::mpsc::unbounded_channel;

use super::Answer;
use crate::args::ServeArgs;
use crate::refusal::Refusal;
use crate::serve::{App, Batching, Limits, Metrics, Models, Said, router, serve};
use crate::stop;
use crate::terminal::{Terminal, count};

/// How often it is looked whether to stop.
const TICK: Duration = Duration::from_millis(50);

/// Serves the runs until Ctrl-C or SIGTERM, then finishes what was taken on.
pub(crate) fn run(args: &ServeArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    args.machine.prepare()?;
    let token = args.token_file.as_deref().map(token).transpose()?;
    let origins = args.allow_origin.iter().map(|origin| of_origin(origin));
    let origins = origins.collect::<anyhow::Result<Vec<HeaderValue>>>()?;
    let limits = Limits {
        max_body: args.max_body << 20,
        max_pixels: args.max_pixels * 1_000_000,
        max_rows: args.queue.min(256),
        time: Duration::from_secs(args.timeout),
    };
    let batching = Batching {
        most: args.max_batch,
        wait: Duration::from_millis(args.batch_wait),
    };
    let metrics = Arc::new(Metrics::new());
    let models = Models::open(
        &args.runs,
        batching,
        args.queue,
        Arc::clone(&metrics),
        args.machine,
    )?;
    let models = Arc::new(models);
    let stop = stop::on_ctrl_c()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the server's threads")?;
    let finished = runtime.block_on(async {
        let listener = TcpListener::bind(args.addr)
            .await
            .with_context(|| format!("cannot listen on {}", args.addr))?;
        let at = listener.local_addr().context("cannot tell the address")?;
        if !at.ip().is_loopback() && token.is_none() {
            terminal.warn(
                "whoever can reach this machine can ask the models; --token-file keeps others out",
            );
        }
        let names: Vec<&str> = models.all().iter().map(|model| &*model.name).collect();
        terminal.say(format!(
            "serving {}: {}",
            count(names.len(), "model"),
            names.join(", ")
        ));
        terminal.data(&format!("http://{}\n", reachable(at)))?;
        let (say, mut said) = unbounded_channel();
        tokio::spawn(Arc::clone(&models).watch(say));
        let app = App::new(Arc::clone(&models), limits, metrics, token);
        let grace = 2 * limits.time + Duration::from_secs(5);
        let mut served = std::pin::pin!(serve(listener, router(app, origins), asked(stop), grace));
        loop {
            tokio::select! {
                finished = &mut served => return anyhow::Ok(finished),
                Some(said) = said.recv() => match said {
                    Said::Line(line) => terminal.say(line),
                    Said::Warning(warning) => terminal.warn(warning),
                },
            }
        }
    })?;
    match finished {
        true => terminal.say("stopped; all that was asked is answered"),
        false => terminal.warn("stopped; some connections did not end in time"),
    }
    // Threads that still decode for clients who left are not waited for.
    runtime.shutdown_background();
    Ok(Answer::Done)
}

async fn asked(stop: &'static AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(TICK).await;
    }
}

/// What a browser on this machine can open: of "all addresses", this machine's own.
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
            format!("{} holds no token", path.display()),
            "8 letters, digits or signs at least, without a space: `openssl rand -hex 16 > FILE` makes one",
        )
        .into());
    }
    Ok(token.to_owned())
}

fn of_origin(origin: &str) -> anyhow::Result<HeaderValue> {
    let is_origin = origin.split_once("://").is_some_and(|(scheme, host)| {
        !scheme.is_empty() && !host.is_empty() && !host.contains('/')
    });
    let value = HeaderValue::from_str(origin).ok().filter(|_| is_origin);
    value.ok_or_else(|| {
        Refusal::new(
            format!("`{origin}` is not an origin"),
            "an origin is a scheme and a host, as in https://example.org",
        )
        .into()
    })
}
