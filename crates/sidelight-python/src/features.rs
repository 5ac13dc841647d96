//! Features of the images of a frame, and the weights of other libraries.

use std::path::PathBuf;

use anyhow::Context as _;
use burn::tensor::{Device, Tensor, TensorData};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::json;
use sidelight::config::ModelConfig;
use sidelight::network::backbone::BACKBONES;
use sidelight::network::{Context, Network, weights};
use sidelight::predict::{FeatureExtractor, FeatureOptions};
use sidelight::schema::images_of;
use sidelight::tensor::numbers;
use sidelight_cli::embed::{configuration, load};

use crate::error::Failed;
use crate::network::to_bytes;
use crate::work::Listener;

/// Whose features: of the backbone of a run, else of a configuration.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Extracting {
    run: Option<PathBuf>,
    /// The configuration's text, the file that it would be, and what `--set` would say.
    text: String,
    path: PathBuf,
    sets: Vec<String>,
    /// Another table than that of the run or the configuration.
    table: Option<PathBuf>,
    /// Whether the column with the images is to be found.
    find_image: bool,
}

/// Writes features of every row into `out`; the number of rows without, and the first of them in words. `None`: it was stopped.
#[pyfunction]
#[pyo3(signature = (of, out, on_event=None))]
pub(crate) fn features(
    py: Python<'_>,
    of: Extracting,
    out: PathBuf,
    on_event: Option<Py<PyAny>>,
) -> Result<Option<(usize, Vec<String>)>, Failed> {
    let listener = Listener::new(on_event);
    let written = py.detach(|| {
        let extractor = extractor(&of)?;
        let mut on_progress = |progress: sidelight::predict::Progress| {
            let (done, share) = (progress.n_rows, progress.share_read);
            listener.tell(&json!({"event": "features", "done": done, "share": share}));
        };
        let options = FeatureOptions {
            stop: Some(listener.stopped()),
            on_progress: Some(&mut on_progress),
            ..FeatureOptions::default()
        };
        let tables = of.table.as_ref().map(std::slice::from_ref);
        anyhow::Ok(extractor.write(tables, &out, options)?)
    });
    listener.outcome()?;
    Ok(written?.map(|written| (written.n_bad, written.first_bad)))
}

fn extractor(of: &Extracting) -> anyhow::Result<FeatureExtractor> {
    if let Some(run) = &of.run {
        return Ok(FeatureExtractor::of_model(&load(run)?)?);
    }
    let mut config = configuration(&of.text, &of.path, &of.sets)?;
    if of.find_image {
        let found = images_of(&config.data.read_table()?, &[])?;
        config.data.images_per_cell = found.per_cell;
        config.data.image = vec![found.image].into();
    }
    Ok(FeatureExtractor::of_config(&config)?)
}

/// A backbone: its name, and the mean, the standard deviation and the side of the images that its weights were trained with.
type Known = (&'static str, [f32; 3], [f32; 3], usize);

/// All backbones.
#[pyfunction]
pub(crate) fn backbones() -> Vec<Known> {
    let known = BACKBONES.iter();
    known
        .map(|backbone| (backbone.name, backbone.mean, backbone.sd, backbone.size))
        .collect()
}

/// The name of the backbone that a file of weights is of; `None`: it is of none.
#[pyfunction]
pub(crate) fn backbone_of(py: Python<'_>, file: PathBuf) -> Result<Option<&'static str>, Failed> {
    let found = py.detach(|| weights::backbone_of(&file))?;
    Ok(found.map(|backbone| backbone.name))
}

/// What a backbone with these weights makes of images `[n, 3, size, size]` of single precision: `[n, features]` likewise.
#[pyfunction]
pub(crate) fn backbone_features<'py>(
    py: Python<'py>,
    backbone: String,
    weights: String,
    images: Vec<u8>,
    size: usize,
) -> Result<Bound<'py, PyBytes>, Failed> {
    let found = py.detach(|| {
        let device = Device::flex();
        let config = ModelConfig {
            backbone,
            weights,
            ..ModelConfig::default()
        };
        let network = Network::backbone_alone(&config, size, 1, 0, &device)?;
        let (all, _) = images.as_chunks::<4>();
        let pixels: Vec<f32> = all.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let side = size.checked_mul(size).and_then(|area| area.checked_mul(3));
        let n = side.and_then(|image| pixels.len().checked_div(image));
        let n = n.context("images of no size")?;
        anyhow::ensure!(
            pixels.len() == n * 3 * size * size,
            "{} numbers are no images of {size} pixels",
            pixels.len()
        );
        let images = Tensor::<4>::from_data(TensorData::new(pixels, [n, 3, size, size]), &device);
        let found = network.forward(Some(images), &mut Context::evaluate(None));
        anyhow::Ok(numbers(found))
    })?;
    Ok(PyBytes::new(py, &to_bytes(&found)))
}

/// Writes tensors (key, shape, little-endian float32) as safetensors.
#[pyfunction]
pub(crate) fn write_weights(
    py: Python<'_>,
    path: PathBuf,
    tensors: Vec<(String, Vec<usize>, Vec<u8>)>,
) -> Result<(), Failed> {
    py.detach(|| weights::write(&path, &tensors, None))?;
    Ok(())
}
