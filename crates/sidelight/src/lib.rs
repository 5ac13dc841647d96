//! Pretrained CNNs that also read the row of metadata beside each image, and an honest answer to whether it helps.
//!
//! # Overview
//!
//! There are five things to begin with:
//!
//! - [`Config`] says what the table holds, what to predict and how to train: [`Config::new`] in Rust, [`Config::read`]
//!   from a `sidelight.toml`. Both have the same defaults.
//! - [`train()`] trains a network as configured and writes a [run folder](run): the model, its scores, a log, a report.
//! - [`Model`] is what a run learned. [`Model::open`] a run, [`Model::read`] a table of new rows, [`Model::predict`] them.
//! - [`Network`](network::Network) is the layers of a model as plain data: look at every path and shape, replace a head,
//!   insert a layer, freeze by pattern, run it by hand.
//! - [`compare()`] trains image, metadata and both on the same folds, beside controls, and says whether the metadata helps.
//!
//! Whatever fails is an [`Error`] with its place (file, row, line, column) and, in [`Error::hint`], the next step. The
//! library never prints, never exits and reads no environment variables. On the CPU one seed gives one result, bit for bit.
//!
//! # A whole program
//!
//! A table with an image, four keypoints and three columns of metadata in each row: train, then predict.
//!
//! ```standalone_crate
//! use sidelight::config::{MetadataKind, TargetConfig};
//! use sidelight::{Config, Model};
//!
//! fn main() -> sidelight::Result<()> {
//! #   let folder = tempfile::tempdir().expect("a temporary folder");
//! #   let tiny = sidelight::demo::DemoConfig { rows: 12, side: 64, seed: 0 };
//! #   sidelight::demo::generate(folder.path(), &tiny, &mut |_, _| std::ops::ControlFlow::Continue(()))?;
//! #   std::env::set_current_dir(&folder).expect("it is there");
//!     let config = Config::new("metadata.csv", TargetConfig::keypoints(["x0..y3"]))
//!         .with_metadata("label_is_dirty", MetadataKind::Boolean)
//!         .with_metadata("img_source", MetadataKind::Categorical)
//!         .with_size(32)
//!         .with_epochs(1);
//!     let trained = sidelight::train(&config, "runs/first")?;
//!     println!("report: {}", trained.run.report_path().display());
//!
//!     let model = Model::open("runs/first")?;
//!     let rows = model.read("metadata.csv")?;
//!     let predicted = model.predict(&rows, Default::default())?;
//!     assert_eq!(predicted.predictions.len(), 12);
//!     Ok(())
//! }
//! ```
//!
//! # Where to go next
//!
//! - The examples [`train`, `predict`, `compare`, `replace_head`, `own_layer` and `wrangle`][examples] run on `data/tiny`
//!   of the repository: `cargo run --release -p sidelight --example train`.
//! - Before training: [`check`] lists every problem of a table and its images, [`audit`] what each column predicts alone.
//! - After training: [`explain`] says what a model looks at, [`export`] writes it as ONNX or for PyTorch,
//!   [`predict::predict_table`] predicts tables larger than memory.
//! - A network wrangled by hand: [`network::Edit`], [`network::layer::CustomLayer`], [`train::Session`].
//! - Burn, which the tensors are of, is re-exported as [`burn`].
//!
//! # The modules
//!
//! They are the pipeline, in reading order; a module uses only those above it. [`ARCHITECTURE.md`][architecture] is the map.
//! Burn begins at [`tensor`] (`sidelight-tensor`). What comes before works on slices, vectors and plain structs, in
//! crates of its own (`sidelight-data`, `sidelight-evidence`, `sidelight-report`), so that the compiler enforces it.
//!
//! # Cargo features
//!
//! | feature | adds | brings in |
//! |---|---|---|
//! | `parquet` | tables and predictions in Parquet | parquet |
//! | `remote` | tar archives in object stores and on HTTP servers | object_store, tokio, ureq |
//! | `hub` | weights by name from the Hugging Face hub | ureq |
//! | `report` | HTML pages of runs, comparisons and explanations | maud |
//! | `mpi` | several processes under `mpirun`; needs an MPI library and libclang | mpi |
//!
//! All but `mpi` are on by default. What a build leaves out is an error that names the feature, not a silent difference;
//! only the pages are simply not written.
//!
//! [examples]: https://github.com/sidelight/sidelight/tree/main/crates/sidelight/examples
//! [architecture]: https://github.com/sidelight/sidelight/blob/main/ARCHITECTURE.md

#![forbid(unsafe_code)]

#[doc(inline)]
pub use sidelight_data::{config, dataset, table, task};
#[doc(inline)]
pub use sidelight_evidence::{audit, check, evidence, metric};
// What commands and other crates of this workspace need, and a program seldom does.
#[doc(hidden)]
pub use sidelight_data::{
    annotation, augment, demo, digest, encode, image, join, kind, loader, number, random, schema,
    spelling, split, store, write,
};
#[doc(hidden)]
pub use sidelight_evidence::statistics;
#[cfg(feature = "report")]
#[doc(hidden)]
pub use sidelight_report as report;
// — Burn begins here —
#[doc(hidden)]
pub use sidelight_tensor as tensor;
#[doc(hidden)]
pub mod batch;
mod boosting;
pub mod compare;
pub mod conformal;
pub mod error;
pub mod explain;
pub mod export;
#[doc(hidden)]
pub mod hub;
pub mod json_schema;
pub mod loss;
pub mod model;
pub mod network;
mod onnx;
pub mod predict;
#[doc(hidden)]
pub mod ranks;
pub mod run;
pub mod train;

#[doc(no_inline)]
pub use burn;

#[doc(inline)]
pub use compare::compare;
#[doc(inline)]
pub use config::Config;
#[doc(inline)]
pub use error::{Error, Place, Result};
#[doc(inline)]
pub use model::Model;
#[doc(inline)]
pub use train::train;

/// The program of the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
