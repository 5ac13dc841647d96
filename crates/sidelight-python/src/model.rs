//! A trained model: predictions of tables and of single rows, explanations, its network.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use burn::tensor::Device;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde_json::{Map, Value};
use sidelight::batch::{Batch, Input};
use sidelight::dataset::{ImageSource, RequestRow};
use sidelight::explain::point_number;
use sidelight::image::Limits;
use sidelight::loader::{BatchPlan, Loader, LoaderOptions};
use sidelight::network::Context;
use sidelight::predict::{Absent, BadRows, Predictor, TableOptions, predict_table};
use sidelight::run::OldParts;
use sidelight::tensor::numbers;

use crate::error::Failed;
use crate::network::{Network, to_bytes};

/// A model of a finished run.
#[pyclass(frozen)]
pub(crate) struct Model {
    run: PathBuf,
    predictor: Predictor,
}

/// How a table is predicted.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Predicting {
    tta: usize,
    coverage: Option<f64>,
    min_confidence: Option<f32>,
    allow_missing: bool,
    strict: bool,
}

#[pymethods]
impl Model {
    #[new]
    fn open(py: Python<'_>, run: PathBuf) -> Result<Self, Failed> {
        let predictor = py.detach(|| sidelight_cli::embed::load(&run).map(Predictor::new))?;
        Ok(Self { run, predictor })
    }

    /// Predicts a table into a file; the number of rows without a prediction, and the first of them in words.
    fn predict_table(
        &self,
        py: Python<'_>,
        table: PathBuf,
        out: PathBuf,
        options: Predicting,
    ) -> Result<(usize, Vec<String>), Failed> {
        let predicted = py.detach(|| {
            let model = self.predictor.model();
            let checksum = sidelight::Model::checksum(&sidelight::Model::folder(&self.run)?)?;
            let options = TableOptions {
                tta_passes: options.tta,
                coverage: options.coverage,
                min_confidence: options.min_confidence,
                absent: if options.allow_missing {
                    Absent::Missing
                } else {
                    Absent::Refused
                },
                bad_rows: if options.strict {
                    BadRows::Stop
                } else {
                    BadRows::Listed
                },
                old_parts: OldParts::Discard,
                ..TableOptions::default()
            };
            anyhow::Ok(predict_table(model, &checksum, &[table], &out, options)?)
        })?;
        Ok((predicted.n_bad, predicted.first_bad))
    }

    /// What the network reads of a table and what it puts out: by name the numbers, their type and their shape.
    fn batch<'py>(&self, py: Python<'py>, table: PathBuf) -> Result<Bound<'py, PyDict>, Failed> {
        let model = self.predictor.model();
        let arrays = py.detach(|| Arrays::of(model, &table))?;
        let parts = PyDict::new(py);
        for (name, array) in arrays.parts() {
            let Some(Array { bytes, kind, shape }) = array else {
                continue;
            };
            parts.set_item(name, (PyBytes::new(py, &bytes), kind, shape))?;
        }
        Ok(parts)
    }

    /// The prediction of one row, as `/v1/predict` of the server has it.
    fn predict_one(
        &self,
        py: Python<'_>,
        image: Option<Vec<u8>>,
        cells: &str,
    ) -> Result<String, Failed> {
        let row = row(image, cells)?;
        let said = py.detach(|| {
            let ready = self.predictor.read(&row, &Limits::default())?;
            let mut predictions = self.predictor.predict(&[&ready]);
            let prediction = predictions.pop().context("a row has a prediction")?;
            anyhow::Ok(sidelight_cli::embed::prediction(
                &self.predictor.model().task,
                &prediction,
            ))
        })?;
        Ok(said.to_string())
    }

    /// What the prediction of one row is made of, as `/v1/explain` of the server has it.
    #[pyo3(signature = (image, cells, point=None))]
    fn explain(
        &self,
        py: Python<'_>,
        image: Option<Vec<u8>>,
        cells: &str,
        point: Option<&str>,
    ) -> Result<String, Failed> {
        let row = row(image, cells)?;
        let task = &self.predictor.model().task;
        let point = point.map(|name| point_number(task, name)).transpose()?;
        let said = py.detach(|| sidelight_cli::embed::explanation(&self.predictor, &row, point))?;
        Ok(said.to_string())
    }

    /// A copy of its network.
    fn network(&self) -> Network {
        Network::new(self.predictor.model().network.clone())
    }

    /// The resolved configuration it was made with, as JSON.
    fn config(&self) -> Result<String, Failed> {
        let config = &self.predictor.model().config;
        Ok(serde_json::to_string(config).map_err(anyhow::Error::from)?)
    }

    /// The columns of metadata that it reads.
    fn columns(&self) -> Vec<String> {
        self.predictor
            .model()
            .config
            .metadata
            .keys()
            .cloned()
            .collect()
    }
}

/// Numbers as bytes, as NumPy calls their type, and their shape.
struct Array {
    bytes: Vec<u8>,
    kind: &'static str,
    shape: Vec<usize>,
}

/// What a network reads of rows, and what it puts out.
#[derive(Default)]
struct Arrays {
    rows: usize,
    images: Vec<f32>,
    /// Channels, height and width of an image.
    image_shape: Vec<usize>,
    has_image: Vec<f32>,
    dense: Vec<f32>,
    codes: Vec<i64>,
    outputs: Vec<f32>,
}

impl Arrays {
    fn of(model: &sidelight::Model, table: &Path) -> anyhow::Result<Self> {
        let (source, _) = model.source(model.read(table)?)?;
        let (network, device) = (model.network.valid(), Device::flex());
        let rows: Vec<usize> = (0..source.dataset.len()).collect();
        let plan = BatchPlan::evaluation(&rows, model.config.train.batch);
        let mut all = Self {
            rows: rows.len(),
            ..Self::default()
        };
        for host in Loader::new(source, plan, LoaderOptions::default()) {
            let batch = Batch::new(host?, &device);
            all.outputs
                .extend(numbers(batch.run(&network, &mut Context::evaluate(None))));
            if let Input::Images(images) = &batch.input {
                all.image_shape = images.dims()[1..].to_vec();
                all.images.extend(numbers(images.clone()));
                match &batch.has_image {
                    Some(has) => all.has_image.extend(numbers(has.clone())),
                    None => all.has_image.extend(batch.rows.iter().map(|_| 1.0)),
                }
            }
            if let Some(metadata) = &batch.metadata {
                all.dense.extend(numbers(metadata.dense.clone()));
                let codes = numbers(metadata.codes.clone().float()).into_iter();
                all.codes.extend(codes.map(|code| code.round() as i64));
            }
        }
        Ok(all)
    }

    fn parts(self) -> [(&'static str, Option<Array>); 5] {
        let n = self.rows;
        let floats = |values: Vec<f32>, mut shape: Vec<usize>| {
            shape.insert(0, n);
            (!values.is_empty()).then(|| Array {
                bytes: to_bytes(&values),
                kind: "<f4",
                shape,
            })
        };
        let width = |values: usize| values / n.max(1);
        let codes = (!self.codes.is_empty()).then(|| Array {
            bytes: self.codes.iter().flat_map(|x| x.to_le_bytes()).collect(),
            kind: "<i8",
            shape: vec![n, width(self.codes.len())],
        });
        let (dense, outputs) = (width(self.dense.len()), width(self.outputs.len()));
        [
            ("images", floats(self.images, self.image_shape)),
            ("has_image", floats(self.has_image, vec![1])),
            ("dense", floats(self.dense, vec![dense])),
            ("codes", codes),
            ("outputs", floats(self.outputs, vec![outputs])),
        ]
    }
}

fn row(image: Option<Vec<u8>>, cells: &str) -> Result<RequestRow, Failed> {
    let cells: Map<String, Value> = serde_json::from_str(cells).map_err(anyhow::Error::from)?;
    let image = image.map(|bytes| ImageSource::Bytes {
        name: "image".into(),
        bytes: bytes.into(),
    });
    Ok(RequestRow {
        number: 1,
        image,
        cells,
        ..RequestRow::default()
    })
}

/// Pixels `[height, width, channels]` of 8 or 16 bits, row by row, as a PNG.
#[pyfunction]
pub(crate) fn encode_png<'py>(
    py: Python<'py>,
    pixels: Vec<u8>,
    width: u32,
    height: u32,
    channels: u8,
    deep: bool,
) -> Result<Bound<'py, PyBytes>, Failed> {
    use image::ExtendedColorType as Colour;
    use image::ImageEncoder as _;
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    let colour = match (channels, deep) {
        (1, false) => Colour::L8,
        (2, false) => Colour::La8,
        (3, false) => Colour::Rgb8,
        (4, false) => Colour::Rgba8,
        (1, true) => Colour::L16,
        (2, true) => Colour::La16,
        (3, true) => Colour::Rgb16,
        (4, true) => Colour::Rgba16,
        _ => return Err(anyhow::anyhow!("an image of {channels} channels is no PNG").into()),
    };
    let wanted = u64::from(width) * u64::from(height) * u64::from(channels) * (1 + u64::from(deep));
    if wanted != pixels.len() as u64 {
        return Err(
            anyhow::anyhow!("{} bytes are no image of {width} × {height}", pixels.len()).into(),
        );
    }
    let png = py.detach(|| {
        let mut png = Vec::new();
        // Many are written once and read once.
        let (fast, filter) = (CompressionType::Fast, FilterType::Adaptive);
        let encoder = PngEncoder::new_with_quality(&mut png, fast, filter);
        encoder.write_image(&pixels, width, height, colour)?;
        anyhow::Ok(png)
    })?;
    Ok(PyBytes::new(py, &png))
}
