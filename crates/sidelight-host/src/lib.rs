//! Sidelight before the first tensor: what works on slices, vectors and plain structs.
//!
//! Users want the crate `sidelight`, which re-exports every module of this one. It is a crate of its own so that
//! the compiler keeps Burn out of it, and so that a change to a network does not compile it again.
//!
//! In reading order, in which a module uses only those before it: [`error`] · [`digest`] · [`store`] · [`hub`] · [`config`] · [`table`] · [`schema`] ·
//! [`dataset`] · [`split`] · [`encode`] · [`task`] · [`mod@image`] · [`augment`] · [`loader`] · [`check`] · [`demo`] ·
//! [`metric`] · [`statistics`] · [`run`] · [`report`] · [`evidence`] · [`mod@audit`].

pub mod audit;
pub mod augment;
pub mod check;
pub mod config;
pub mod dataset;
pub mod demo;
pub mod digest;
pub mod encode;
pub mod error;
pub mod evidence;
pub mod hub;
pub mod image;
pub mod loader;
pub mod metric;
pub mod report;
pub mod run;
pub mod schema;
pub mod split;
pub mod statistics;
pub mod store;
pub mod table;
pub mod task;

pub use error::{Error, Place, Result};
