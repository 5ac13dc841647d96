//! Ctrl-C: the first asks to save and stop, the second quits.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

static STOP: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C (and a polite request to end) sets the returned flag.
pub fn on_ctrl_c() -> anyhow::Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            quit();
        }
    })
    .context("cannot listen to Ctrl-C")?;
    Ok(&STOP)
}

/// Nothing of value is lost: files are written beside and renamed.
#[expect(clippy::exit, reason = "a person who asks twice does not want to wait")]
fn quit() {
    process::exit(130);
}
