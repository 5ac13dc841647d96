//! Pretrained CNNs that also read the metadata of each image.
//!
//! The modules are the pipeline, in reading order; a module uses only those above it.
//! Burn begins at [`tensor`]: everything before works on slices, vectors and plain structs.

pub mod error;
pub mod config;
pub mod table;
pub mod schema;
pub mod dataset;
pub mod split;
pub mod encode;
pub mod task;
pub mod image;
pub mod augment;
pub mod loader;
pub mod check;
pub mod demo;
pub mod metric;
pub mod statistics;
pub mod evidence;
pub mod run;
pub mod report;
// — Burn begins here —
pub mod tensor;
pub mod network;
pub mod loss;
pub mod predict;
pub mod train;

pub use error::{Error, Place, Result};
