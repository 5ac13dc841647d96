//! The layers a network is made of: an enum, so that they can be listed, matched and written down.
//!
//! A layer is only its description. Its parameters, named and laid out as torch's, stand beside it
//! in the [`Node`](super::Node), so that a path, a checkpoint's key, an edit and a parameter group are one string.

mod attention;
mod batch_norm;
mod convolution;
mod custom;
mod dropout;
mod heatmap;
mod layer_norm;
mod linear;
mod metadata;
mod pool;
mod rearrange;
mod tokens;

use serde::{Deserialize, Serialize};

pub use attention::SelfAttention;
pub use batch_norm::BatchNorm;
pub use convolution::Conv2d;
pub use custom::{Constructors, Custom, CustomLayer};
pub use dropout::{DropImage, DropPath, Dropout};
pub use heatmap::Upsample;
pub use layer_norm::LayerNorm;
pub use linear::{Linear, LinearStart};
pub use metadata::{EmbeddingTable, MetadataSource};
pub use pool::{AdaptivePool, Pool};
pub use rearrange::{Scale, Slice};
pub use tokens::{ClassToken, ToTokens};

use super::fusion::Fusion;
use super::parameter::{Initial, ParameterKind, ParameterSpec, Parameters};
use super::shape::{At, Shape};
use super::value::{Value, Walk};
use crate::error::Result;
use crate::tensor::{Activation, activate};

/// The child of a residual block that the input goes through on its way around the body; torchvision's name.
pub const SHORTCUT: &str = "downsample";

/// What one node of the network does. Written as a table whose `kind` is the variant in snake case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Layer {
    // — containers —
    /// Its children, one after another.
    Sequential,
    /// The children in turn, plus the input (gone through the child `downsample` where there is one).
    Residual(Residual),
    /// The input times what the children in turn make of it: squeeze-and-excitation
    /// (Hu et al. 2018, arXiv:1709.01507) with torchvision's names inside.
    Gate,
    /// The input unchanged; while training, what the children in turn make of it is left in the context, to be given a
    /// loss of its own ([`Context::auxiliary`](super::Context::auxiliary)).
    Auxiliary,
    /// Each child on the same input, their features side by side.
    Concat,
    /// Each child on the same input, their results added.
    Sum,
    /// The input changed by the metadata, which the children in turn read and prepare.
    Fusion(Fusion),
    /// The row's metadata as features; ignores its input. Its children are the embedding tables.
    Metadata(MetadataSource),
    // — layers —
    /// Two-dimensional convolution.
    Conv2d(Conv2d),
    /// Normalisation over the batch, of maps or features.
    BatchNorm(BatchNorm),
    /// Normalisation over each row's features, token or pixel.
    LayerNorm(LayerNorm),
    /// Matrix product, of features or tokens.
    Linear(Linear),
    /// A learned vector per code; the table of one metadata column.
    Embedding(EmbeddingTable),
    /// Random zeros while training.
    Dropout(Dropout),
    /// A residual body left out at random, row by row, while training.
    DropPath(DropPath),
    /// The image left out, at random while training, and where a row has none.
    DropImage(DropImage),
    /// A learned factor per channel.
    Scale(Scale),
    /// A part of the features.
    Slice(Slice),
    /// Multi-head self-attention over tokens.
    SelfAttention(SelfAttention),
    /// A map as a sequence of pixels.
    ToTokens(ToTokens),
    /// Puts a learned token first and adds learned positions.
    ClassToken(ClassToken),
    /// The first token.
    FirstToken,
    // — pooling —
    /// Largest number of each window.
    MaxPool(Pool),
    /// Mean of each window.
    AvgPool(Pool),
    /// Mean of each cell of a grid.
    AdaptiveAvgPool(AdaptivePool),
    /// Largest and mean of each cell of a grid, side by side (fastai's order: the largest first).
    AdaptiveConcatPool(AdaptivePool),
    /// Each pixel several times.
    Upsample(Upsample),
    /// Each channel of a map as the place x, y of its mass.
    SoftArgmax,
    /// A map, or tokens, as features.
    Flatten,
    /// Nothing.
    Identity,
    // — activations —
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// x · σ(x).
    Silu,
    /// x · min(max(x + 3, 0), 6) / 6.
    HardSwish,
    /// min(max(x + 3, 0), 6) / 6.
    HardSigmoid,
    /// x · Φ(x).
    Gelu,
    /// 1 / (1 + exp(−x)).
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// A library user's own.
    Custom(Custom),
}

/// `y = body(x) + shortcut(x)`.
///
/// # Source
///
/// He et al. 2016, "Deep residual learning", arXiv:1512.03385. The factor per channel: Liu et al. 2022, arXiv:2201.03545.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Residual {
    /// Whether a ReLU follows the sum. Default: false.
    pub relu_after: bool,
    /// A child before which a second sum begins, as in a transformer's block: `x = x + a(x)`, then `x + b(x)`.
    /// Default: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub again_at: String,
    /// Channels of a learned factor of the body, the parameter `layer_scale` `[channels, 1, 1]`, applied
    /// before a `stochastic_depth` child. Default: 0, none.
    #[serde(skip_serializing_if = "is_zero")]
    pub layer_scale: usize,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl Residual {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let scale = (self.layer_scale > 0).then(|| {
            let shape = [self.layer_scale, 1, 1];
            ParameterSpec::new(
                "layer_scale",
                shape,
                ParameterKind::Norm,
                Initial::Constant(1e-6),
            )
        });
        scale.into_iter().collect()
    }
}

impl Layer {
    /// The kind's name, as it is written.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Residual(_) => "residual",
            Self::Gate => "gate",
            Self::Auxiliary => "auxiliary",
            Self::Concat => "concat",
            Self::Sum => "sum",
            Self::Fusion(_) => "fusion",
            Self::Metadata(_) => "metadata",
            Self::Conv2d(_) => "conv2d",
            Self::BatchNorm(_) => "batch_norm",
            Self::LayerNorm(_) => "layer_norm",
            Self::Linear(_) => "linear",
            Self::Embedding(_) => "embedding",
            Self::Dropout(_) => "dropout",
            Self::DropPath(_) => "drop_path",
            Self::DropImage(_) => "drop_image",
            Self::Scale(_) => "scale",
            Self::Slice(_) => "slice",
            Self::SelfAttention(_) => "self_attention",
            Self::ToTokens(_) => "to_tokens",
            Self::ClassToken(_) => "class_token",
            Self::FirstToken => "first_token",
            Self::MaxPool(_) => "max_pool",
            Self::AvgPool(_) => "avg_pool",
            Self::AdaptiveAvgPool(_) => "adaptive_avg_pool",
            Self::AdaptiveConcatPool(_) => "adaptive_concat_pool",
            Self::Upsample(_) => "upsample",
            Self::SoftArgmax => "soft_argmax",
            Self::Flatten => "flatten",
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::Silu => "silu",
            Self::HardSwish => "hard_swish",
            Self::HardSigmoid => "hard_sigmoid",
            Self::Gelu => "gelu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Custom(_) => "custom",
        }
    }

    /// The function applied to each number, where that is all it does.
    pub fn activation(&self) -> Option<Activation> {
        match self {
            Self::Relu => Some(Activation::Relu),
            Self::Relu6 => Some(Activation::Relu6),
            Self::Silu => Some(Activation::Silu),
            Self::HardSwish => Some(Activation::HardSwish),
            Self::HardSigmoid => Some(Activation::HardSigmoid),
            Self::Gelu => Some(Activation::Gelu),
            Self::Sigmoid => Some(Activation::Sigmoid),
            Self::Tanh => Some(Activation::Tanh),
            _ => None,
        }
    }

    /// The parameters that it needs; widths must have been inferred.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        match self {
            Self::Residual(layer) => layer.parameters(),
            Self::Conv2d(layer) => layer.parameters(),
            Self::BatchNorm(layer) => layer.parameters(),
            Self::LayerNorm(layer) => layer.parameters(),
            Self::Linear(layer) => layer.parameters(),
            Self::Embedding(layer) => layer.parameters(),
            Self::Scale(layer) => layer.parameters(),
            Self::SelfAttention(layer) => layer.parameters(),
            Self::ClassToken(layer) => layer.parameters(),
            Self::Custom(layer) => layer.0.parameters(),
            _ => Vec::new(),
        }
    }

    /// The shape that a layer without children makes of its input; fills in widths left to be inferred.
    pub(super) fn output(&mut self, at: &At, input: Shape) -> Result<Shape> {
        match self {
            Self::Conv2d(layer) => layer.output(at, input),
            Self::BatchNorm(layer) => layer.output(at, input),
            Self::LayerNorm(layer) => layer.output(at, input),
            Self::Linear(layer) => layer.output(at, input),
            Self::Embedding(layer) => layer.output(at),
            Self::Dropout(layer) => layer.output(at, input),
            Self::DropPath(layer) => layer.output(at, input),
            Self::DropImage(layer) => layer.output(at, input),
            Self::Scale(layer) => layer.output(at, input),
            Self::Slice(layer) => layer.output(at, input),
            Self::SelfAttention(layer) => layer.output(at, input),
            Self::ToTokens(layer) => layer.output(at, input),
            Self::ClassToken(layer) => layer.output(at, input),
            Self::FirstToken => match input {
                Shape::Tokens { width, .. } => Ok(Shape::Features(width)),
                other => Err(at.misfit("tokens", other, None)),
            },
            Self::MaxPool(layer) | Self::AvgPool(layer) => layer.output(at, input),
            Self::AdaptiveAvgPool(layer) => layer.output(at, input, 1),
            Self::AdaptiveConcatPool(layer) => layer.output(at, input, 2),
            Self::Upsample(layer) => layer.output(at, input),
            Self::SoftArgmax => heatmap::soft_argmax_output(at, input),
            Self::Flatten => match input {
                Shape::Nothing => Err(at.misfit("a map", input, None)),
                other => Ok(Shape::Features(other.channels() * other.positions())),
            },
            Self::Custom(layer) => layer.output(at, input),
            Self::Relu
            | Self::Relu6
            | Self::Silu
            | Self::HardSwish
            | Self::HardSigmoid
            | Self::Gelu
            | Self::Sigmoid
            | Self::Tanh
            | Self::Identity => Ok(input),
            Self::Sequential
            | Self::Residual(_)
            | Self::Gate
            | Self::Auxiliary
            | Self::Concat
            | Self::Sum
            | Self::Fusion(_)
            | Self::Metadata(_) => unreachable!("the shape pass goes through containers itself"),
        }
    }

    /// Runs a layer without children.
    pub(super) fn forward(&self, parameters: &Parameters, x: Value, walk: &mut Walk<'_>) -> Value {
        if let Some(function) = self.activation() {
            return match x {
                Value::Map(x) => Value::Map(activate(x, function)),
                Value::Tokens(x) => Value::Tokens(activate(x, function)),
                Value::Features(x) => Value::Features(activate(x, function)),
                Value::Nothing => Value::Nothing,
            };
        }
        match self {
            Self::Conv2d(layer) => layer.forward(parameters, x, walk),
            Self::BatchNorm(layer) => layer.forward(parameters, x, walk),
            Self::LayerNorm(layer) => layer.forward(parameters, x),
            Self::Linear(layer) => layer.forward(parameters, x),
            Self::Dropout(layer) => layer.forward(x, walk),
            Self::DropPath(layer) => layer.forward(x, walk),
            Self::DropImage(layer) => layer.forward(x, walk),
            Self::Scale(layer) => layer.forward(parameters, x),
            Self::Slice(layer) => layer.forward(x),
            Self::SelfAttention(layer) => layer.forward(parameters, x),
            Self::ToTokens(layer) => layer.forward(x),
            Self::ClassToken(layer) => layer.forward(parameters, x),
            Self::FirstToken => tokens::first(x),
            Self::MaxPool(layer) => Value::Map(crate::tensor::max_pool2d(x.map(), layer.window())),
            Self::AvgPool(layer) => Value::Map(crate::tensor::avg_pool2d(x.map(), layer.window())),
            Self::AdaptiveAvgPool(layer) => {
                Value::Map(crate::tensor::adaptive_avg_pool2d(x.map(), layer.side))
            }
            Self::AdaptiveConcatPool(layer) => layer.concat(x.map()),
            Self::Upsample(layer) => layer.forward(x.map()),
            Self::SoftArgmax => heatmap::soft_argmax(x.map()),
            Self::Flatten => rearrange::flatten(x),
            Self::Custom(layer) => layer.0.forward(parameters, x, walk),
            // The other activations were taken above; the walk goes through containers itself.
            _ => x,
        }
    }

    /// Products per row that a layer without children takes; normalisations and activations count as none.
    pub(super) fn multiply_adds(&self, input: Shape, output: Shape) -> usize {
        match self {
            Self::Conv2d(conv) => {
                output.channels()
                    * output.positions()
                    * (conv.in_channels / conv.groups.max(1))
                    * conv.kernel
                    * conv.kernel
            }
            Self::Linear(linear) => linear.in_features * linear.out_features * input.positions(),
            Self::SelfAttention(attention) => attention.multiply_adds(input),
            _ => 0,
        }
    }
}
