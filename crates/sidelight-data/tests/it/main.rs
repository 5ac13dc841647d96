//! Tests of what is public.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]
#![allow(clippy::print_stdout, reason = "a test that skips says so")]

mod encode;
mod image;
mod loader;
mod real_data;
