//! `sidelight._native`: what the Python package asks of the Rust library.
//!
//! Everything is done there; this crate turns frames into tables, errors into exceptions and events into calls. The Python
//! side, `python/sidelight`, is what people see. JSON goes between the two where a value has a structure: it is what the
//! command line writes and what Python reads without help.

#![warn(clippy::expect_used, clippy::indexing_slicing)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments are taken out of objects of Python"
)]

mod error;
mod features;
mod frame;
mod model;
mod network;
mod work;

use pyo3::prelude::*;

use error::Failed;

/// The command `sidelight`; returns its exit code.
#[pyfunction]
fn main(py: Python<'_>, words: Vec<String>) -> u8 {
    // Ctrl-C is the command's own affair, as it is in a terminal.
    py.detach(|| sidelight_cli::run_words(words))
}

/// The configuration that `sidelight init` with these arguments would write, as TOML.
#[pyfunction]
fn init(py: Python<'_>, words: Vec<String>) -> Result<String, Failed> {
    Ok(py.detach(|| sidelight_cli::embed::init(words))?)
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_function(wrap_pyfunction!(init, module)?)?;
    module.add_function(wrap_pyfunction!(frame::write_stream, module)?)?;
    module.add_function(wrap_pyfunction!(frame::write_columns, module)?)?;
    module.add_function(wrap_pyfunction!(frame::read_table, module)?)?;
    module.add_function(wrap_pyfunction!(work::train, module)?)?;
    module.add_function(wrap_pyfunction!(work::compare, module)?)?;
    module.add_function(wrap_pyfunction!(work::settings, module)?)?;
    module.add_function(wrap_pyfunction!(features::features, module)?)?;
    module.add_function(wrap_pyfunction!(features::backbones, module)?)?;
    module.add_function(wrap_pyfunction!(features::backbone_of, module)?)?;
    module.add_function(wrap_pyfunction!(features::backbone_features, module)?)?;
    module.add_function(wrap_pyfunction!(features::write_weights, module)?)?;
    module.add_function(wrap_pyfunction!(model::encode_png, module)?)?;
    module.add_class::<model::Model>()?;
    module.add_class::<network::Network>()
}
