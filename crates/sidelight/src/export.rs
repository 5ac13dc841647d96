//! A trained model as files that other programs run: ONNX, or the weights alone as safetensors; and as a folder for the
//! Hugging Face hub ([`share`]), with a card that says what it is.
//!
//! [`onnx`] writes one graph that does all that [`Model::predict`] does but decode the
//! file: resize and normalisation, the encoding of the metadata with its flags and *unknown* slots, the network, and
//! the way back to class names, pixels of the image, values in their own unit.
//!
//! # Why by hand
//!
//! Burn's exporter (`burn-onnx`) records a forward pass: it sees the network only, in the shapes of one sample, and
//! takes ten minutes to build. Our network is plain data ([`Layer`](crate::network::Layer) is an enum), and each
//! layer's file says what it is in ONNX: a new layer does not compile until it does. The batch is free,
//! nodes and weights carry our paths, and what comes before and after the network is in the graph too. The file is
//! protobuf, written by `prost` from the few messages that we fill.
//!
//! # Versions
//!
//! Operators of opset 17 and `ai.onnx.ml` 3, IR version 8: ONNX Runtime from 1.12 on. What only training does (dropout,
//! auxiliary outputs, hidden metadata) is not there.

mod card;
mod image;
mod metadata;
mod output;
mod share;

use std::fmt;
use std::path::Path;

use prost::Message;
use serde::Serialize;
use serde_json::json;

use crate::error::{Error, Result};
use crate::hub::weights_licence;
use crate::model::Model;
use crate::network::GraphMetadata;
use crate::onnx::{Graph, proto};
use crate::run::write_whole;
use crate::task::Task;

pub use share::{ShareOptions, Shared, share};

/// Operators of the default domain are those of this version.
pub const OPSET: i64 = 17;
/// Operators of `ai.onnx.ml` (names to codes) are those of this version.
pub const OPSET_ML: i64 = 3;
const IR_VERSION: i64 = 8;

/// Protobuf's own limit on a message.
const MOST_BYTES: usize = i32::MAX as usize;

/// What the input `image` of the graph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageInput {
    /// `uint8 [n, height, width, 3]` of any size (of several images of a row each is an input, `image.kitchen`): the graph resizes it as we do, pixel for pixel. Default.
    #[default]
    AnySize,
    /// `uint8 [n, size, size, 3]`, already fitted to the square; a plainer graph, for small devices.
    /// Points need the input `image_size` then, `int64 [n, 2]`.
    Sized,
    /// `float32 [n, 3, size, size]` in [0, 1], as torchvision's `ToTensor` gives it; else as `Sized`.
    Float,
}

/// An input or output of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Its name in the graph.
    pub name: String,
    /// `uint8`, `float32`, `float64`, `int64` or `string`.
    pub kind: String,
    /// Its axes: a number, or a name for what may vary.
    pub shape: Vec<String>,
    /// What it holds, its unit, how *missing* is said.
    pub meaning: String,
}

/// A model as an ONNX graph.
#[derive(Debug, Clone)]
pub struct Onnx {
    model: proto::Model,
}

/// Writes a model as a graph; with a coverage it also puts out what holds the truth of this share of rows
/// ([`Model::thresholds`]).
///
/// # Errors
///
/// [`Error::NoOnnx`] of a library user's own layer ([`Custom`](crate::network::Custom)), and those of
/// [`Model::thresholds`].
pub fn onnx(model: &Model, image: ImageInput, coverage: Option<f64>) -> Result<Onnx> {
    let within = coverage
        .map(|coverage| model.thresholds(coverage))
        .transpose()?;
    let network = model.network.valid();
    let preprocess = model.preprocess();
    let reads_metadata = network.reads_metadata();
    let columns: Vec<&str> = match reads_metadata {
        true => model
            .encoder
            .columns
            .iter()
            .map(|c| c.name.as_str())
            .collect(),
        false => Vec::new(),
    };
    let images = image::names(&model.config.data.image_names());
    let own = [image::IMAGE, image::IMAGE_SIZE]
        .into_iter()
        .chain((images.len() > 1).then_some(image::HAS_IMAGES))
        .chain(output::names(within.is_some()));
    let own = own.map(str::to_owned).chain(images.iter().cloned());
    let own: Vec<String> = own.collect();
    let inputs = input_names(&columns, &own);
    let mut graph = Graph::new(own.into_iter().chain(inputs.iter().cloned()));

    let reads_image = model.reads_image();
    let (mut pixels, mut sides, mut has_images) = (None, None, None);
    match images.as_slice() {
        _ if !reads_image => {}
        [one] => {
            let (read, sides_of) = image::read(&mut graph, one, &preprocess, image);
            (pixels, sides) = (Some(read), sides_of);
        }
        several => {
            let (read, has) = image::read_several(&mut graph, several, &preprocess, image);
            (pixels, has_images) = (Some(read), Some(has));
        }
    }
    let is_points = matches!(*model.task, Task::Keypoints { .. });
    if is_points && sides.is_none() {
        sides = Some(image::read_sides(&mut graph));
    }
    let mut encoded = match reads_metadata {
        true => {
            let missing = &model.config.data.missing;
            metadata::read(&mut graph, &model.encoder, &inputs, missing)?
        }
        false => GraphMetadata::default(),
    };
    encoded.has_images = has_images;
    let output = network.write_onnx(&mut graph, pixels, &encoded)?;
    output::write(
        &mut graph,
        &model.task,
        (&output, model.points_layout()),
        sides.as_ref(),
        &preprocess,
        within.as_ref(),
    );

    let renamed = inputs.iter().zip(&columns);
    let columns: serde_json::Map<_, _> = renamed
        .map(|(input, column)| (input.clone(), json!(column)))
        .collect();
    let entry = |key: &str, value: String| proto::Entry {
        key: Some(key.into()),
        value: Some(value),
    };
    let licence = weights_licence(&model.config.model);
    let opset = |domain: &str, version| proto::OperatorSet {
        domain: Some(domain.into()),
        version: Some(version),
    };
    Ok(Onnx {
        model: proto::Model {
            ir_version: Some(IR_VERSION),
            producer_name: Some("sidelight".into()),
            producer_version: Some(env!("CARGO_PKG_VERSION").into()),
            doc_string: Some("decode the image, apply its EXIF orientation, give the rest".into()),
            graph: Some(graph.finish()),
            opset_import: vec![opset("", OPSET), opset("ai.onnx.ml", OPSET_ML)],
            metadata_props: coverage
                .map(|coverage| entry("coverage", coverage.to_string()))
                .into_iter()
                .chain(licence.map(|licence| entry("weights_licence", licence)))
                .chain([
                    entry("task", word(&model.task.kind())),
                    entry("names", json!(model.task.names()).to_string()),
                    entry("columns", json!(columns).to_string()),
                    entry("size", preprocess.size.to_string()),
                    entry("resize", word(&preprocess.resize)),
                ])
                .collect(),
        },
    })
}

/// A choice as it is written in a configuration.
fn word(choice: &impl Serialize) -> String {
    let written = json!(choice);
    written.as_str().unwrap_or_default().to_owned()
}

/// Names of the columns' inputs: their own, where that is not one of the graph's.
fn input_names(columns: &[&str], taken: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for column in columns {
        let mut name = (*column).to_owned();
        while taken.contains(&name) || names.contains(&name) || name.is_empty() {
            name = format!("metadata.{name}");
        }
        names.push(name);
    }
    names
}

impl Onnx {
    /// The inputs, in order.
    pub fn inputs(&self) -> Vec<Port> {
        self.ports(|graph| &graph.input)
    }

    /// The outputs, in order.
    pub fn outputs(&self) -> Vec<Port> {
        self.ports(|graph| &graph.output)
    }

    fn ports(&self, of: impl Fn(&proto::Graph) -> &Vec<proto::ValueInfo>) -> Vec<Port> {
        let graph = self.model.graph.as_ref();
        graph.map(of).into_iter().flatten().map(port).collect()
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.model.encode_to_vec()
    }

    /// Writes the file, whole or not at all; returns its length in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::OnnxSize`] above 2 GiB, [`DataError::Write`](crate::error::DataError::Write).
    pub fn save(&self, path: &Path) -> Result<usize> {
        let n_bytes = self.model.encoded_len();
        if n_bytes > MOST_BYTES {
            return Err(Error::OnnxSize {
                n_bytes,
                most: MOST_BYTES,
            });
        }
        let bytes = self.to_bytes();
        write_whole(path, |file| file.write_all(&bytes))?;
        Ok(n_bytes)
    }
}

/// A line a node in the order in which they run, as in `y = Conv(x, conv1.weight, strides=[2, 2])`.
impl fmt::Display for Onnx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| format!("{:?}", String::from_utf8_lossy(bytes));
        for node in self.model.graph.iter().flat_map(|graph| &graph.node) {
            let attributes = node.attribute.iter().map(|attribute| {
                let name = attribute.name.as_deref().unwrap_or_default();
                let value = match (attribute.i, attribute.f, &attribute.s) {
                    (Some(i), ..) => i.to_string(),
                    (_, Some(x), _) => x.to_string(),
                    (_, _, Some(s)) => text(s),
                    _ if attribute.strings.is_empty() => format!("{:?}", attribute.ints),
                    _ => {
                        let texts: Vec<String> =
                            attribute.strings.iter().map(|s| text(s)).collect();
                        format!("[{}]", texts.join(", "))
                    }
                };
                format!("{name}={value}")
            });
            let given: Vec<String> = node.input.iter().cloned().chain(attributes).collect();
            let op = node.op_type.as_deref().unwrap_or_default();
            writeln!(f, "{} = {op}({})", node.output.join(", "), given.join(", "))?;
        }
        Ok(())
    }
}

fn port(info: &proto::ValueInfo) -> Port {
    let tensor = info.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
    let kind = tensor.and_then(|tensor| proto::Type::from_repr(tensor.elem_type?));
    let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
    let axis = |dim: &proto::Dimension| match (dim.dim_value, &dim.dim_param) {
        (Some(n), _) => n.to_string(),
        (None, name) => name.clone().unwrap_or_default(),
    };
    Port {
        name: info.name.clone().unwrap_or_default(),
        kind: kind.map_or("", Into::into).to_owned(),
        shape: shape.iter().flat_map(|s| &s.dim).map(axis).collect(),
        meaning: info.doc_string.clone().unwrap_or_default(),
    }
}

/// Writes the network's numbers as safetensors, whole or not at all: torch's keys and layouts, torchvision's (or timm's)
/// names in the backbone. The header says what the images are normalised by, and what logits are divided by. Returns the length in bytes.
///
/// # Errors
///
/// [`DataError::Write`](crate::error::DataError::Write).
pub fn safetensors(model: &Model, path: &Path) -> Result<usize> {
    let header = [
        ("format", "pt".to_owned()),
        ("backbone", model.config.model.backbone.clone()),
        ("task", word(&model.task.kind())),
        ("names", json!(model.task.names()).to_string()),
        ("input", json!(model.network.input).to_string()),
        ("temperature", model.temperature().to_string()),
    ];
    let header = header.map(|(key, value)| (key.to_owned(), value)).into();
    model.network.write_weights(path, Some(header))
}
