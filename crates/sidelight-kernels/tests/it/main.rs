//! Every kernel on every path against plain loops.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod conv;
mod layers;
mod reference;
