//! The layers a network is made of: an enum, so that they can be listed, matched and written down.
//!
//! A layer is only its configuration. Its parameters, named and laid out as torch's, stand beside it
//! in the [`Node`], so that a path, a checkpoint's key, an edit and a parameter group are one string.
//!
//! Each file holds its layers whole: configuration, shape rule, parameters, forward pass, multiply-adds, ONNX form.
//! A layer without others inside it is a [`Leaf`]; one that runs others is an [`Operation`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::onnx::{Flow, OnnxWalk};
use super::parameter::{Initial, ParameterKind, ParameterSpec};
use super::shape::{At, Inside, Shape};
use super::tree::Node;
use super::value::{Value, Walk};
use crate::error::{Error, Result};
use crate::onnx::Graph;
use crate::tensor::Activation;

pub use custom::{Constructors, CustomLayer};
pub use ensemble::{Member, VotedOutputs};
pub(crate) use heatmap::coordinates_tensor;
pub use linear::LinearStart;
pub use piecewise::Bins;
pub use pool::Pool;
pub use stack::Branch;
pub use trees::TreeInput;
pub use vote::Vote;

mod vote;

/// What the file of a layer begins with.
mod prelude {
    pub(super) use burn::tensor::Tensor;
    pub(super) use schemars::JsonSchema;
    pub(super) use serde::{Deserialize, Serialize};

    pub(super) use super::{Layer, Leaf, Operation, is_default, weight_and_bias, yes};
    pub(super) use crate::error::{Error, Result};
    pub(super) use crate::network::architecture::Architecture;
    pub(super) use crate::network::onnx::{Flow, OnnxWalk, parameter};
    pub(super) use crate::network::parameter::{Initial, ParameterKind, ParameterSpec, Parameters};
    pub(super) use crate::network::shape::{At, Inside, Shape};
    pub(super) use crate::network::tree::{Node, join};
    pub(super) use crate::network::value::{Mode, Value, Walk, map_value};
    pub(super) use crate::onnx::{Attr, Graph};
    pub(super) use crate::tensor::{self, Activation};
}

/// Whether a setting need not be written down.
fn is_default<T: Default + PartialEq>(setting: &T) -> bool {
    *setting == T::default()
}

/// The default of a setting that is on.
fn yes() -> bool {
    true
}

/// The parameters `weight`, of this shape, and, where there is one, `bias`, of its first length.
fn weight_and_bias<const N: usize>(
    shape: [usize; N],
    weight: Initial,
    bias: Option<Initial>,
) -> Vec<ParameterSpec> {
    let weight = ParameterSpec::new("weight", shape, ParameterKind::Weight, weight);
    let bias = bias.map(|start| ParameterSpec::new("bias", [shape[0]], ParameterKind::Bias, start));
    std::iter::once(weight).chain(bias).collect()
}

/// A layer with no layers inside it.
pub(super) trait Leaf {
    /// The function, where the layer applies one to each number and does nothing else.
    fn activation(&self) -> Option<Activation> {
        None
    }
    /// The parameters that it needs; widths have been inferred.
    fn parameters(&self) -> Vec<ParameterSpec> {
        Vec::new()
    }
    /// The shape rule: what comes out where `input` comes in. Fills in the widths left to be inferred, and refuses
    /// with [`At::misfit`] or [`At::field`] what does not fit.
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape>;
    /// Multiply-adds per row; normalisations and activations count as none.
    fn multiply_adds(&self, _input: Shape, _output: Shape) -> usize {
        0
    }
    /// Runs it with the parameters of `node`.
    fn forward(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value;
    /// Writes it as nodes that read `x`, and returns the name of the result; nothing where it has no ONNX form.
    fn onnx(&self, graph: &mut Graph, node: &Node, x: &Flow) -> Option<String>;
}

/// A layer that may run others inside it.
pub(super) trait Operation {
    /// As [`Leaf::activation`].
    fn activation(&self) -> Option<Activation> {
        None
    }
    /// As [`Leaf::parameters`].
    fn parameters(&self) -> Vec<ParameterSpec> {
        Vec::new()
    }
    /// As [`Leaf::output`], the layers `inside` included.
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape>;
    /// As [`Leaf::multiply_adds`], those of the layers inside not counted.
    fn multiply_adds(&self, _input: Shape, _output: Shape) -> usize {
        0
    }
    /// As [`Leaf::forward`]; the layers inside are `node.children`.
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value;
    /// As [`Leaf::onnx`], at `path`.
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String>;
}

impl<L: Leaf> Operation for L {
    fn activation(&self) -> Option<Activation> {
        Leaf::activation(self)
    }
    fn parameters(&self) -> Vec<ParameterSpec> {
        Leaf::parameters(self)
    }
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        inside.refuse_any()?;
        self.output(&inside.at, input)
    }
    fn multiply_adds(&self, input: Shape, output: Shape) -> usize {
        Leaf::multiply_adds(self, input, output)
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        self.forward(node, x, walk)
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String> {
        self.onnx(walk.graph, node, &x)
            .ok_or_else(|| Error::NoOnnx {
                path: path.to_owned(),
                layer: node.layer.kind().to_owned(),
            })
    }
}

/// Declares the files and the enum from one list. An entry is a variant with its configuration in brackets, or a
/// variant alone, whose struct of the same name in the file has no fields.
macro_rules! layers {
    ($($file:ident { $($(#[$doc:meta])* $Name:ident $(($Config:ident))?,)* })*) => {
        $(
            mod $file;
            $($(pub use $file::$Config;)?)*
        )*

        /// What one node of the network does. Written as a table whose `kind` is the variant in snake case.
        #[derive(
            Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr,
        )]
        #[serde(tag = "kind", rename_all = "snake_case")]
        #[strum(serialize_all = "snake_case")]
        pub enum Layer {
            $($($(#[$doc])* $Name $(($Config))?,)*)*
        }

        impl Layer {
            fn operation(&self) -> &dyn Operation {
                match self {
                    $($(layers!(@pattern layer $Name $($Config)?) => layers!(@value layer $file $Name $($Config)?),)*)*
                }
            }
            /// The shape of what it makes of `input`, with the layers inside it; fills in widths left to be inferred.
            pub(super) fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
                match self {
                    $($(layers!(@pattern layer $Name $($Config)?) => layers!(@mutable layer $file $Name $($Config)?).infer(inside, input),)*)*
                }
            }
        }

        $($($(
            impl From<$Config> for Layer {
                fn from(layer: $Config) -> Self {
                    Self::$Name(layer)
                }
            }
        )?)*)*
    };
    (@pattern $layer:ident $Name:ident $Config:ident) => { Self::$Name($layer) };
    (@pattern $layer:ident $Name:ident) => { Self::$Name };
    (@value $layer:ident $file:ident $Name:ident $Config:ident) => { $layer };
    (@value $layer:ident $file:ident $Name:ident) => { &$file::$Name };
    (@mutable $layer:ident $file:ident $Name:ident $Config:ident) => { $layer };
    (@mutable $layer:ident $file:ident $Name:ident) => { $file::$Name };
}

layers! {
    sequence {
        /// Its children, one after another.
        Sequential,
        /// The input times what the children in turn make of it: squeeze-and-excitation
        /// (Hu et al. 2018, arXiv:1709.01507) with torchvision's names inside.
        Gate,
        /// The input unchanged; while training, what the children in turn make of it is left in the context, to be
        /// given a loss of its own ([`Context::auxiliary`](super::Context::auxiliary)).
        Auxiliary,
        /// As `Auxiliary`, of points: the log-odds that each can be seen ([`Context::visibility`](super::Context::visibility)).
        Visibility,
    }
    branches {
        /// Each child on the same input, their features, or the channels of their maps, side by side.
        Concat,
        /// The children in turn; the input and what each of them makes, side by side: one-shot aggregation
        /// (Lee et al. 2019, arXiv:1904.09730).
        Aggregate,
        /// Each child on the same input, their results added.
        Sum,
    }
    stack {
        /// Branches with a loss of their own, joined by a factor each.
        Stack(Stack),
    }
    ensemble {
        /// Networks of one task, each trained on other rows, and the mean of what they predict.
        Ensemble(Ensemble),
    }
    trees {
        /// Decision trees over the row's metadata.
        Trees(Trees),
    }
    residual {
        /// The children in turn, plus the input (gone through the child `downsample` where there is one).
        Residual(Residual),
    }
    fusion {
        /// The input changed by the metadata, which the children in turn read and prepare.
        Fusion(Fusion),
    }
    metadata {
        /// The row's metadata as features; ignores its input. Its children are the embedding tables.
        Metadata(MetadataSource),
        /// A learned vector per code; the table of one metadata column.
        Embedding(EmbeddingTable),
    }
    convolution {
        /// Convolution over the two axes of a map.
        Conv2d(Conv2d),
    }
    batch_norm {
        /// Normalisation over the batch, of maps or features.
        BatchNorm(BatchNorm),
    }
    layer_norm {
        /// Normalisation over each row's features, token or pixel.
        LayerNorm(LayerNorm),
    }
    piecewise {
        /// Numbers also cut into pieces, beside the features as they are.
        PiecewiseLinear(PiecewiseLinear),
    }
    linear {
        /// Matrix product, of features or tokens.
        Linear(Linear),
    }
    temperature {
        /// All numbers divided by the same, so that probabilities are as sure as they are right.
        Temperature(Temperature),
    }
    dropout {
        /// Random zeros while training.
        Dropout(Dropout),
        /// A residual body left out at random, row by row, while training.
        DropPath(DropPath),
        /// The image left out, at random while training, and where a row has none.
        DropImage(DropImage),
    }
    rearrange {
        /// A learned factor per channel.
        Scale(Scale),
        /// One learned factor and one offset for all numbers.
        Affine,
        /// Zeros around a map.
        Pad(Pad),
        /// A part of the features.
        Slice(Slice),
        /// A map, or tokens, as features.
        Flatten,
        /// The input as it is.
        Identity,
    }
    attention {
        /// Multi-head self-attention over tokens.
        SelfAttention(SelfAttention),
    }
    tokens {
        /// A map as a sequence of pixels.
        ToTokens(ToTokens),
        /// Puts a learned token first and adds learned positions.
        ClassToken(ClassToken),
        /// The first token.
        FirstToken,
    }
    pool {
        /// Largest number of each window.
        MaxPool(MaxPool),
        /// Mean of each window.
        AvgPool(AvgPool),
        /// Mean of each cell of a grid.
        AdaptiveAvgPool(AdaptiveAvgPool),
        /// Largest and mean of each cell of a grid, side by side (fastai's order: the largest first).
        AdaptiveConcatPool(AdaptiveConcatPool),
    }
    image_pool {
        /// Several images of a row as one.
        ImagePool(ImagePool),
    }
    heatmap {
        /// Each pixel several times.
        Upsample(Upsample),
        /// Each channel of a map as the place x, y of its mass.
        SoftArgmax,
    }
    candidates {
        /// Several candidates for the places of all points, and the choice among them.
        Candidates(Candidates),
    }
    activation {
        /// The larger of x and 0.
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
        /// The hyperbolic tangent.
        Tanh,
    }
    custom {
        /// A library user's own.
        Custom(Custom),
    }
}

impl Layer {
    /// The kind's name, as it is written.
    pub fn kind(&self) -> &'static str {
        self.into()
    }
    /// The function, where the layer applies one to each number and does nothing else.
    pub fn activation(&self) -> Option<Activation> {
        self.operation().activation()
    }
    /// The parameters that it needs; widths must have been inferred.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        self.operation().parameters()
    }
    /// Multiply-adds per row, those of the layers inside not counted; normalisations and activations count as none.
    pub(super) fn multiply_adds(&self, input: Shape, output: Shape) -> usize {
        self.operation().multiply_adds(input, output)
    }
}

impl Node {
    /// Runs the layer and those inside it.
    ///
    /// # Panics
    ///
    /// Where the input is not of the shape that the network was built for, or the context lacks the metadata that it reads.
    pub fn forward(&self, x: Value, walk: &mut Walk<'_>) -> Value {
        self.layer.operation().run(self, x, walk)
    }
    /// Writes it, at `path`, as ONNX nodes; returns the name of the result.
    pub(super) fn write(&self, walk: &mut OnnxWalk<'_>, path: &str, x: Flow) -> Result<String> {
        self.layer.operation().write(walk, self, path, x)
    }
}
