//! Tests of what is public.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]
#![allow(clippy::print_stdout, reason = "a test that skips says so")]

use std::error::Error as _;
use std::path::{Path, PathBuf};

use sidelight_data::Error;

mod encode;
mod image;
mod loader;
mod real_data;

/// An image of the reference set.
fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference/image")
        .join(name)
}

/// The whole chain of messages, as the command line prints it.
fn message(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
