//! Ctrl-C: the first one saves and stops, the second quits.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

static STOP: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C (and SIGTERM) set the returned flag.
pub(crate) fn on_ctrl_c() -> anyhow::Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            quit();
        }
    })
    .context("cannot install a handler for Ctrl-C")?;
    Ok(&STOP)
}

/// Loses no saved work: files are written atomically.
#[expect(clippy::exit, reason = "a person who asks twice does not want to wait")]
fn quit() {
    process::exit(130);
}
