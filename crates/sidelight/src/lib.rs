//! Pretrained CNNs that also read the metadata of each image.
//!
//! The modules are the pipeline, in reading order; a module uses only those above it.
//! Burn begins at [`tensor`]. What comes before works on slices, vectors and plain structs, in crates of its own
//! (`sidelight-data`, `sidelight-evidence`, `sidelight-report`), so that the compiler sees to it.

pub use sidelight_data::{
    augment, config, dataset, demo, digest, encode, error, image, kind, loader, random, schema,
    split, store, table, task, write,
};
pub use sidelight_evidence::{audit, check, evidence, metric, statistics};
pub use sidelight_report as report;
pub mod hub;
pub mod ranks;
pub mod run;
// — Burn begins here —
pub mod compare;
pub mod explain;
pub mod export;
pub mod loss;
pub mod network;
pub mod predict;
pub mod tensor;
pub mod train;

pub use error::{Error, Place, Result};
