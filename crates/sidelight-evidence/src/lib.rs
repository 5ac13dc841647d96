//! What can be known of a table before training, and what can be said of its metadata after: metrics, statistics,
//! evidence, audits.
//!
//! Users want the crate `sidelight`, which re-exports every module of this one.
//!
//! In reading order, in which a module uses only those before it: [`error`] · [`check`] · [`metric`] · [`statistics`] ·
//! [`evidence`] · [`mod@audit`].

#![forbid(unsafe_code)]
// What reads files and requests does not end the program: whatever cannot fail says why.
#![warn(clippy::expect_used)]
#![cfg_attr(not(test), warn(clippy::unreachable))]
// A number from outside is not cut off, wrapped or made another: whatever cannot be says why.
#![cfg_attr(
    not(test),
    warn(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]

pub mod audit;
pub mod check;
pub mod error;
pub mod evidence;
pub mod metric;
mod resemblance;
mod scan;
pub mod statistics;

pub use error::{Error, Result};
