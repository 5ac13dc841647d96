//! Tables with metadata and images, as batches for a network: all that works on slices, vectors and plain structs.
//!
//! Users want the crate `sidelight`, which re-exports every module of this one. It is a crate of its own so that
//! the compiler keeps Burn out of it, and so that a change to a network does not compile it again.
//!
//! In reading order, in which a module uses only those before it: [`kind`] · [`number`] · [`error`] · [`random`] · [`digest`] ·
//! [`store`] · [`table`] · [`config`] · [`schema`] · [`mod@image`] · [`dataset`] · [`split`] · [`encode`] · [`task`] ·
//! [`augment`] · [`loader`] · [`write`](mod@write) · [`annotation`] · [`demo`].

#![forbid(unsafe_code)]
// What reads files and requests does not end the program: whatever cannot fail says why.
#![warn(clippy::expect_used, clippy::unreachable)]
// A number from outside is not cut off, wrapped or made another: whatever cannot be says why.
#![cfg_attr(
    not(test),
    warn(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]

pub mod annotation;
pub mod augment;
pub mod config;
pub mod dataset;
pub mod demo;
pub mod digest;
pub mod encode;
pub mod error;
pub mod image;
pub mod join;
pub mod kind;
pub mod loader;
pub mod number;
pub mod random;
pub mod schema;
pub mod spelling;
pub mod split;
pub mod store;
pub mod table;
pub mod task;
pub mod write;

pub use error::{Error, Place, Result};
