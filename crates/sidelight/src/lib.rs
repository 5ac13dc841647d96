//! Pretrained CNNs that also read the metadata of each image.
//!
//! The modules are the pipeline, in reading order; a module uses only those above it.
//! Burn begins at [`tensor`]: everything before works on slices, vectors and plain structs.

pub mod augment;
pub mod check;
pub mod config;
pub mod dataset;
pub mod demo;
pub mod encode;
pub mod error;
pub mod evidence;
pub mod image;
pub mod loader;
pub mod metric;
pub mod report;
pub mod run;
pub mod schema;
pub mod split;
pub mod statistics;
pub mod table;
pub mod task;
// — Burn begins here —
pub mod loss;
pub mod network;
pub mod predict;
pub mod tensor;
pub mod train;

pub use error::{Error, Place, Result};
