//! Pretrained CNNs that also read the metadata of each image.
//!
//! The modules are the pipeline, in reading order; a module uses only those above it.
//! Burn begins at [`tensor`]: everything before works on slices, vectors and plain structs, and is a crate of its
//! own (`sidelight-host`), so that the compiler sees to it.

pub use sidelight_host::{
    audit, augment, check, config, dataset, demo, digest, encode, error, evidence, hub, image,
    loader, metric, report, run, schema, split, statistics, store, table, task,
};
pub mod ranks;
// — Burn begins here —
pub mod compare;
pub mod explain;
pub mod export;
pub mod loss;
pub mod network;
mod onnx;
pub mod predict;
pub mod tensor;
pub mod train;

pub use error::{Error, Place, Result};
