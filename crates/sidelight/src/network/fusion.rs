//! How metadata joins the image: one file per published method, chosen by name.
//!
//! A method is a [`Layer::Fusion`] whose children read and prepare the metadata
//! (or is built of plain layers: `concat`, `sum-logits`). Where the method allows it, the
//! children's last layer starts as zeros, and zeros leave the image's features unchanged.

mod attention;
mod concat;
mod daft;
mod film;
mod gate;
mod metablock;
mod metanet;
mod sum_logits;
mod tile;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::head;
use super::layer::{Layer, Linear, MetadataSource};
use super::plan::Plan;
use super::shape::{At, Shape};
use super::value::Value;
use crate::error::{Error, Result};

/// The methods' names.
pub const NAMES: [&str; 8] = [
    "concat",
    "sum-logits",
    "film",
    "daft",
    "metablock",
    "metanet",
    "gate",
    "attention",
];

/// A method that changes the image's features by the metadata, in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Fusion {
    /// Scale and offset per channel.
    Film,
    /// Scale and offset per channel, decided by the image as well.
    Daft,
    /// Gates and offsets through tanh and σ.
    Metablock,
    /// A factor in (0, 1) per channel.
    Metanet,
    /// A factor in (0, 2) per channel, decided by the image as well.
    Gate,
    /// The metadata asks where in the image to look.
    Attention,
    /// The metadata at every place, as further channels.
    Tile,
}

impl Fusion {
    /// The shape that the children are given: nothing, or the pooled features where the image decides as well.
    pub(super) fn reads(&self, at: &At<'_>, input: Shape) -> Result<Shape> {
        if input == Shape::Nothing {
            return Err(at.misfit("a map or features to change", input, None));
        }
        if *self == Self::Attention && !matches!(input, Shape::Map { .. } | Shape::Tokens { .. }) {
            let fit = "it belongs before the pooling, where there are places to look at".to_owned();
            return Err(at.misfit("a map or tokens", input, Some(fit)));
        }
        Ok(match self {
            Self::Daft | Self::Gate => Shape::Features(input.channels()),
            Self::Film | Self::Metablock | Self::Metanet | Self::Attention | Self::Tile => {
                Shape::Nothing
            }
        })
    }
    /// The shape of what comes out: that of what comes in, but for the channels that [`Fusion::Tile`] adds.
    pub(super) fn output(&self, at: &At<'_>, input: Shape, control: Shape) -> Result<Shape> {
        let channels = input.channels();
        if *self == Self::Tile {
            let Shape::Features(n) = control else {
                return Err(at.misfit("features from its children", control, None));
            };
            return Ok(input.with_channels(channels + n));
        }
        let wanted = match self {
            Self::Film | Self::Daft | Self::Metablock => 2 * channels,
            Self::Metanet | Self::Gate | Self::Attention | Self::Tile => channels,
        };
        if control == Shape::Features(wanted) {
            return Ok(input);
        }
        let fit = format!("let its last layer have `out_features = {wanted}`");
        Err(at.misfit(
            format!("{wanted} features from its children ({channels} channels come in)"),
            control,
            Some(fit),
        ))
    }
    /// What the children are given.
    pub(super) fn read(&self, x: &Value) -> Value {
        match self {
            Self::Daft | Self::Gate => Value::Features(x.pooled()),
            Self::Film | Self::Metablock | Self::Metanet | Self::Attention | Self::Tile => {
                Value::Nothing
            }
        }
    }
    /// The image's features changed by what the children made of the metadata.
    pub(super) fn forward(&self, x: Value, control: Tensor<2>) -> Value {
        match self {
            Self::Film | Self::Daft => film::modulate(x, control),
            Self::Metablock => metablock::block(x, control),
            Self::Metanet => metanet::attend(x, control),
            Self::Gate => gate::gate(x, control),
            Self::Attention => attention::look(x, control),
            Self::Tile => tile::tile(x, control),
        }
    }
}

/// What a method is built for.
#[derive(Debug, Clone)]
pub struct FusionSpec {
    /// The metadata.
    pub source: MetadataSource,
    /// The last map of the backbone, or its features where it has no map left.
    pub map: Shape,
    /// The features that the head would read without metadata.
    pub features: usize,
    /// What those are.
    pub reads: head::Features,
    /// Share of rows whose image `concat` leaves out while training.
    pub drop_image: f64,
    /// Whether each branch is given an output of its own, for an auxiliary loss.
    pub auxiliary: bool,
    /// Width of the head's hidden layer; 0: none.
    pub hidden: usize,
    /// Dropout before the head's last layer.
    pub dropout: f64,
    /// Numbers that the network puts out.
    pub n_outputs: usize,
}

/// Where the parts of a method stand in the network.
#[derive(Debug)]
pub struct Parts {
    /// Before the pooling, named `fusion`.
    pub at_map: Option<Plan>,
    /// After the pooling, named `fusion`.
    pub at_features: Option<Plan>,
    /// The head.
    pub head: Plan,
}

/// The methods whose image and metadata are branches until the head, so that each can have a loss of its own.
pub const WITH_BRANCHES: [&str; 2] = ["concat", "sum-logits"];

/// Builds the method of this name.
///
/// # Errors
///
/// [`Error::NoFusion`].
pub fn build(name: &str, spec: &FusionSpec) -> Result<Parts> {
    match name {
        "concat" if matches!(spec.reads, head::Features::Map { .. }) => {
            Ok(at_map(Fusion::Tile, tile::children(spec), spec))
        }
        "concat" => Ok(concat::build(spec)),
        "sum-logits" => Ok(sum_logits::build(spec)),
        "film" => Ok(at_map(Fusion::Film, film::children(spec), spec)),
        "daft" => Ok(at_map(Fusion::Daft, daft::children(spec), spec)),
        "metablock" => Ok(at_map(Fusion::Metablock, metablock::children(spec), spec)),
        "metanet" => Ok(at_map(Fusion::Metanet, metanet::children(spec), spec)),
        "gate" => Ok(at_map(Fusion::Gate, gate::children(spec), spec)),
        "attention" => Ok(at_map(Fusion::Attention, attention::children(spec), spec)),
        _ => Err(Error::NoFusion {
            name: name.to_owned(),
            names: NAMES.map(String::from).to_vec(),
        }),
    }
}

/// The parts of a model of metadata alone: what `concat` is without an image.
pub fn metadata_only(spec: &FusionSpec) -> Parts {
    concat::build(&FusionSpec {
        features: 0,
        ..spec.clone()
    })
}

/// The metadata of the rows: the source and its tables.
pub fn source(spec: &FusionSpec) -> Plan {
    spec.source.plan()
}

fn at_map(method: Fusion, children: Vec<(&'static str, Plan)>, spec: &FusionSpec) -> Parts {
    Parts {
        at_map: Some(Plan::with(Layer::Fusion(method), children)),
        at_features: None,
        head: head::image(spec.reads, spec.hidden, spec.dropout, spec.n_outputs),
    }
}

/// The metadata through a small network of one hidden layer to so many numbers, starting at zero.
fn two_layers(spec: &FusionSpec, hidden: usize, out: usize) -> Vec<(&'static str, Plan)> {
    vec![
        ("embed", source(spec)),
        ("fc1", Layer::Linear(Linear::new(0, hidden)).into()),
        ("relu", Layer::Relu.into()),
        ("fc2", Layer::Linear(Linear::new(0, out).zeros()).into()),
    ]
}
