//! How metadata joins the image: one file per published method, chosen by name.
//!
//! A method is either a layer of its own that changes the image's features ([`Fusion`], a [`Layer::Fusion`] whose
//! children read and prepare the metadata) or is built of other layers (`concat`, `sum-logits`). Where the method
//! allows it, the children's last layer starts as zeros, and zeros leave the image's features unchanged.
//!
//! The list of all methods is `each_fusion!`: a new one is its file and its line there.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Stacking;
use super::architecture::Architecture;
use super::head;
use super::layer::{Layer, Linear, MetadataSource};
use super::onnx::Flow;
use super::shape::{At, Shape};
use super::value::Value;
use crate::config::Arm;
use crate::error::{Error, Result, setting};
use crate::onnx::Graph;

/// What the file of a method begins with.
mod prelude {
    pub(super) use burn::tensor::{Tensor, activation::sigmoid};

    pub(super) use super::{
        Children, Fuse, FusionLayers, FusionSpec, Method, halves, image_and_metadata, onnx_halves,
        two_layers,
    };
    pub(super) use crate::error::Result;
    pub(super) use crate::network::architecture::Architecture;
    pub(super) use crate::network::head;
    pub(super) use crate::network::layer::{Layer, Linear, MetadataSource};
    pub(super) use crate::network::onnx::{Flow, plus_channels, times_channels};
    pub(super) use crate::network::shape::{At, Shape};
    pub(super) use crate::network::value::{Value, map_value};
    pub(super) use crate::onnx::{Attr, Graph};
}

/// All methods: `file::Struct = "name"`, and what a layer of its own does.
macro_rules! each_fusion {
    ($then:ident) => {
        $then! {
            // Built of other layers: the struct is a `Method`.
            composed {
                stacked::Stacked = "stacked",
                vote::Vote = "vote",
                concat::Concat = "concat",
                sum_logits::SumLogits = "sum-logits",
            }
            // A layer of its own: the struct is a `Fuse`.
            layers {
                film::Film = "film": "Scale and offset per channel.",
                daft::Daft = "daft": "Scale and offset per channel, decided by the image as well.",
                metablock::Metablock = "metablock": "Gates and offsets through tanh and σ.",
                metanet::Metanet = "metanet": "A factor in (0, 1) per channel.",
                gate::Gate = "gate": "A factor in (0, 2) per channel, decided by the image as well.",
                attention::Attention = "attention": "The metadata asks where in the image to look.",
            }
            // A layer that a method puts into the network, without a name of its own.
            inner {
                tile::Tile = "tile": "The metadata at every position, as further channels.",
            }
        }
    };
}

macro_rules! declare {
    (
        composed { $($composed_file:ident::$Composed:ident = $composed_name:literal,)* }
        layers { $($file:ident::$Layer:ident = $name:literal: $doc:literal,)* }
        inner { $($inner_file:ident::$Inner:ident = $inner_name:literal: $inner_doc:literal,)* }
    ) => {
        $(mod $composed_file;)*
        $(mod $file;)*
        $(mod $inner_file;)*

        /// The methods' names.
        pub const NAMES: &[&str] = &[$($composed_name,)* $($name,)*];

        const METHODS: &[&dyn Method] = &[
            $(&$composed_file::$Composed,)*
            $(&Fusion::$Layer,)*
        ];

        /// A method that changes the image's features by the metadata, in place.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "method")]
        pub enum Fusion {
            $(#[doc = $doc] #[serde(rename = $name)] $Layer,)*
            $(#[doc = $inner_doc] #[serde(rename = $inner_name)] $Inner,)*
        }

        impl Fusion {
            pub(super) fn method(&self) -> &'static dyn Fuse {
                match self {
                    $(Self::$Layer => &$file::$Layer,)*
                    $(Self::$Inner => &$inner_file::$Inner,)*
                }
            }
        }
    };
}
each_fusion!(declare);

/// The fusion that `model.arm = "vote"` is.
pub const VOTE: &str = "vote";

/// The named layers inside a [`Layer::Fusion`], one after another.
type Children = Vec<(&'static str, Architecture)>;

/// A way to join the metadata to the image.
trait Method: Sync {
    /// Its layers, each where it belongs in the network.
    fn layers(&self, spec: &FusionSpec) -> FusionLayers;
    /// The layers of a model of the image alone, to be compared with it.
    fn image_alone(&self, spec: &FusionSpec) -> FusionLayers {
        FusionLayers {
            at_map: None,
            at_features: None,
            head: head::image(spec.reads, spec.hidden, spec.dropout, spec.n_outputs),
        }
    }
    /// The layers of a model of the metadata alone, to be compared with it: what `concat` is without an image.
    fn metadata_alone(&self, spec: &FusionSpec) -> FusionLayers {
        concat::Concat.layers(&FusionSpec {
            features: 0,
            ..spec.clone()
        })
    }
    /// Whether image and metadata are branches until the head, so that each can have a loss of its own.
    fn has_branches(&self) -> bool {
        false
    }
    /// Whether it leaves the image of some rows out while training (`model.drop_image`).
    fn drops_image(&self) -> bool {
        false
    }
}

/// A method that is a layer: its children make a control `[batch, n_controls]` of the metadata, by which it changes the
/// image's features.
pub(super) trait Fuse {
    /// Whether its children are given the image's features as well, pooled: `[batch, channels]`.
    fn reads_image(&self) -> bool {
        false
    }
    /// Refuses an input that it cannot change.
    fn accepts(&self, at: &At<'_>, input: Shape) -> Result<()> {
        match input {
            Shape::Nothing => Err(at.misfit("a map or features to change", input, None)),
            _ => Ok(()),
        }
    }
    /// The layers that make the control, one after another.
    fn children(&self, spec: &FusionSpec) -> Children;
    /// Width of the control for an input of so many channels: as many, where nothing else is said.
    fn n_controls(&self, channels: usize) -> usize {
        channels
    }
    /// The shape that it makes: its input's, where the control fits.
    fn output(&self, at: &At<'_>, input: Shape, control: Shape) -> Result<Shape> {
        let channels = input.channels();
        let wanted = self.n_controls(channels);
        if control == Shape::Features(wanted) {
            return Ok(input);
        }
        let expected = format!("{wanted} features from its children ({channels} channels come in)");
        let fit = format!("let its last layer have `out_features = {wanted}`");
        Err(at.misfit(expected, control, Some(fit)))
    }
    /// The image's features `x` changed by `control`, `[batch, n_controls]`.
    fn forward(&self, x: Value, control: Tensor<2>) -> Value;
    /// The same as ONNX nodes; returns the name of the result.
    fn onnx(&self, graph: &mut Graph, x: &Flow, control: &Flow) -> String;
}

impl Method for Fusion {
    fn layers(&self, spec: &FusionSpec) -> FusionLayers {
        let layer = Layer::Fusion(self.clone());
        FusionLayers {
            at_map: Some(Architecture::with(layer, self.method().children(spec))),
            at_features: None,
            head: head::image(spec.reads, spec.hidden, spec.dropout, spec.n_outputs),
        }
    }
}

/// What a method is built for.
#[derive(Debug, Clone)]
pub struct FusionSpec {
    /// The metadata layer of the table.
    pub source: MetadataSource,
    /// The last map of the backbone, or its features where it has no map left.
    pub map: Shape,
    /// Width of the features that the head would read without metadata.
    pub features: usize,
    /// Which features those are.
    pub reads: head::Features,
    /// Share of rows whose image `concat` leaves out while training.
    pub drop_image: f64,
    /// Weight of an auxiliary loss, for which each branch is given an output of its own; 0: none.
    pub auxiliary: f64,
    /// What the rows decide of `stacked`.
    pub stacking: Stacking,
    /// Width of the head's hidden layer; 0: none.
    pub hidden: usize,
    /// Dropout before the head's last layer.
    pub dropout: f64,
    /// Numbers that the network puts out.
    pub n_outputs: usize,
}

/// The layers of a method, by where they stand in the network.
#[derive(Debug)]
pub struct FusionLayers {
    /// Before the pooling, named `fusion`.
    pub at_map: Option<Architecture>,
    /// After the pooling, named `fusion`.
    pub at_features: Option<Architecture>,
    /// The layers from there to the outputs, named `head`.
    pub head: Architecture,
}

/// Builds the method of this name for the inputs of an arm: both, or one of them in the network that it would be without
/// the other.
///
/// # Errors
///
/// [`Error::NoFusion`]; [`DataError::Setting`](crate::error::DataError::Setting) of an auxiliary loss, or of images that are
/// left out, where the method knows nothing of it.
pub fn build(name: &str, arm: Arm, spec: &FusionSpec) -> Result<FusionLayers> {
    let mut methods = NAMES.iter().zip(METHODS);
    let Some((_, method)) = methods.find(|(known, _)| **known == name) else {
        return Err(Error::NoFusion {
            name: name.to_owned(),
            names: NAMES.iter().map(|name| (*name).to_owned()).collect(),
        });
    };
    match arm {
        Arm::Image => return Ok(method.image_alone(spec)),
        Arm::Metadata => return Ok(method.metadata_alone(spec)),
        _ => {}
    }
    if spec.auxiliary > 0.0 && !method.has_branches() {
        let names: Vec<String> = with_branches().map(|name| format!("`{name}`")).collect();
        let names = names.join(" and ");
        let expected = format!("0, since `{name}` has no branches; {names} have");
        return Err(setting("model.auxiliary", expected, spec.auxiliary).into());
    }
    if spec.drop_image > 0.0 && !method.drops_image() {
        let expected = format!("0, since `{name}` does not leave images out; `concat` does");
        return Err(setting("model.drop_image", expected, spec.drop_image).into());
    }
    Ok(method.layers(spec))
}

/// Names of the methods whose image and metadata are branches until the head.
pub(super) fn with_branches() -> impl Iterator<Item = &'static str> {
    let all = NAMES.iter().zip(METHODS);
    all.filter(|(_, method)| method.has_branches())
        .map(|(name, _)| *name)
}

/// The metadata through a small network of one hidden layer to so many numbers, starting at zero.
fn two_layers(spec: &FusionSpec, hidden: usize, out: usize) -> Children {
    vec![
        ("embed", spec.source.architecture()),
        ("fc1", Linear::new(hidden).into()),
        ("relu", Layer::Relu.into()),
        ("fc2", Linear::new(out).zeros().into()),
    ]
}

/// The image that the fusion is given, and the metadata beside it.
fn image_and_metadata(spec: &FusionSpec) -> Architecture {
    let parts = [
        ("image", Layer::Identity.into()),
        ("embed", spec.source.architecture()),
    ];
    Architecture::with(Layer::Concat, parts)
}

/// A control `[batch, 2 · channels]` as a factor per channel, 1 plus its first half, and an offset, its second.
fn halves(control: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let channels = control.dims()[1] / 2;
    let factor = control.clone().narrow(1, 0, channels) + 1.0; // [batch, channels]
    (factor, control.narrow(1, channels, channels))
}

/// [`halves`] as nodes.
fn onnx_halves(graph: &mut Graph, x: &Flow, control: &Flow) -> (String, String) {
    let channels = x.shape.channels();
    let factor = graph.slice(&control.name, 0, channels, 1);
    let one = graph.float(1.0);
    let factor = graph.binary("Add", &factor, &one);
    let offset = graph.slice(&control.name, channels, 2 * channels, 1);
    (factor, offset)
}

#[cfg(test)]
pub(super) use each_fusion;
