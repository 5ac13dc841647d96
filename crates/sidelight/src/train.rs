//! The training loop.
pub mod optimizer;
pub mod schedule;
