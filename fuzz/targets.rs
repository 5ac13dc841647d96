//! What is done with bytes from outside, one function a kind of input: whatever they are, an error or a value, and what a
//! value promises.
//!
//! Included by the fuzz targets beside this file (those of `data` without the rest, which takes long to build), by the example `fuzz` of `sidelight-cli`, which needs no nightly
//! compiler, and by the test that runs the corpora.

#[path = "targets/data.rs"]
mod data;
#[path = "targets/network.rs"]
mod network;
#[allow(dead_code, reason = "libFuzzer's own needs")]
#[path = "targets/scratch.rs"]
mod scratch;

/// A kind of input: its name, which is that of its corpus, and what is done with it.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All kinds of input.
pub(crate) const TARGETS: [Target; 11] = [
    ("csv", data::csv),
    ("jsonl", data::jsonl),
    ("parquet", data::parquet),
    ("xlsx", data::xlsx),
    ("tar", data::tar),
    ("image", data::image),
    ("weights", network::weights_file),
    ("safetensors", network::safetensors),
    ("model", network::model),
    ("toml", data::toml),
    ("request", network::request),
];
