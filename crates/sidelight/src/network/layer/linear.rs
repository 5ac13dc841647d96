//! Matrix products.

use super::prelude::*;
use crate::tensor::{Convolution, Folded, linear, linear_tokens};

/// `x · weightᵀ + bias`, of features or of each token.
///
/// # Shapes
///
/// - input: `[batch, in_features]` or `[batch, tokens, in_features]`
/// - `weight`: `[out_features, in_features]`, torch's layout; `bias`: `[out_features]`
///
/// # Source
///
/// Starts as torch's `nn.Linear`: uniform in ±1/√in_features, weight and bias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Features that come in; 0: inferred.
    #[serde(default)]
    pub in_features: usize,
    /// Features that go out.
    pub out_features: usize,
    /// Whether a bias is added. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Of each pixel's channels, where a map comes in. Default: false, a map is refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub per_pixel: bool,
    /// What it starts as. Default: torch's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start: LinearStart,
}

/// What a [`Linear`] starts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinearStart {
    /// Uniform in ±1/√in_features.
    #[default]
    Torch,
    /// Zeros: a last layer that starts at the mean of its targets, a fusion that starts by changing nothing.
    Zeros,
    /// Normal, standard deviation 0.02: transformers.
    Normal,
}

impl Linear {
    /// To so many features, with a bias.
    pub fn new(out_features: usize) -> Self {
        Self {
            in_features: 0,
            out_features,
            bias: true,
            per_pixel: false,
            start: LinearStart::Torch,
        }
    }
    /// The same, starting as zeros.
    #[must_use]
    pub fn zeros(self) -> Self {
        let start = LinearStart::Zeros;
        Self { start, ..self }
    }
    /// The same without bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        let bias = false;
        Self { bias, ..self }
    }
    /// The same, of each pixel's channels where a map comes in.
    #[must_use]
    pub fn per_pixel(self) -> Self {
        let per_pixel = true;
        Self { per_pixel, ..self }
    }

    /// With its weights packed once, where nothing wants a gradient: a convolution over single pixels.
    fn forward_packed(&self, node: &Node, x: &Value, walk: &Walk<'_>) -> Option<Value> {
        let Value::Features(x) = x else {
            return None;
        };
        let (weight, bias) = (node.parameters.d2("weight"), node.parameters.bias("bias"));
        let is_tracked =
            x.is_tracked() || weight.is_tracked() || bias.as_ref().is_some_and(Tensor::is_tracked);
        if is_tracked || walk.context.mode == Mode::Train {
            return None;
        }
        let ([batch, width], [out, _]) = (x.dims(), weight.dims());
        let fold = || Folded {
            scale: Tensor::ones([out], &weight.device()),
            shift: bias
                .clone()
                .unwrap_or_else(|| Tensor::zeros([out], &weight.device())),
        };
        let pixels = x.clone().reshape([batch, width, 1, 1]);
        let kernel = weight.clone().reshape([out, width, 1, 1]);
        let of = bias.as_slice();
        let y = node.prepared.run(
            &pixels,
            &kernel,
            of,
            fold,
            (None, None),
            Convolution::POINTWISE,
        )?;
        Some(Value::Features(y.reshape([batch, out])))
    }
}

impl Leaf for Linear {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let bound = Initial::Uniform(1.0 / (self.in_features.max(1) as f64).sqrt());
        let zero = Initial::Constant(0.0);
        let (weight, bias) = match self.start {
            LinearStart::Torch => (bound, bound),
            LinearStart::Zeros => (zero, zero),
            LinearStart::Normal => (Initial::Normal(0.02), zero),
        };
        let shape = [self.out_features, self.in_features];
        weight_and_bias(shape, weight, self.bias.then_some(bias))
    }
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        if self.out_features == 0 {
            return Err(at.field("out_features", "at least 1", 0));
        }
        let width = match input {
            Shape::Tokens { width, .. } => width,
            Shape::Map { channels, .. } if self.per_pixel => channels,
            _ => at.features(input)?,
        };
        at.width("in_features", &mut self.in_features, width, input)?;
        Ok(input.with_channels(self.out_features))
    }
    fn multiply_adds(&self, input: Shape, _: Shape) -> usize {
        self.in_features * self.out_features * input.positions()
    }
    fn forward(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        if let Some(y) = self.forward_packed(node, &x, walk) {
            return y;
        }
        let (weight, bias) = (node.parameters.d2("weight"), node.parameters.bias("bias"));
        match x {
            Value::Tokens(x) => Value::Tokens(linear_tokens(x, weight, bias)),
            Value::Map(x) => {
                let [batch, channels, height, width] = x.dims();
                let pixels = x
                    .permute([0, 2, 3, 1])
                    .reshape([batch * height * width, channels]);
                let y =
                    linear(pixels, weight, bias).reshape([batch, height, width, self.out_features]);
                Value::Map(y.permute([0, 3, 1, 2]))
            }
            x => Value::Features(linear(x.features(), weight, bias)),
        }
    }
    fn onnx(&self, graph: &mut Graph, node: &Node, x: &Flow) -> Option<String> {
        let matrix = parameter(graph, node, "weight"); // [out, in]
        let bias = self.bias.then(|| parameter(graph, node, "bias"));
        let (op, matrix, attribute) = match x.shape {
            Shape::Tokens { .. } => {
                return Some(onnx_of_tokens(graph, &x.name, &matrix, bias.as_deref()));
            }
            // Of each pixel's channels: a 1×1 convolution.
            Shape::Map { .. } => {
                let kernel = graph.unsqueeze(&matrix, &[2, 3]);
                ("Conv", kernel, ("kernel_shape", Attr::Ints(&[1, 1])))
            }
            Shape::Nothing | Shape::Features(_) => ("Gemm", matrix, ("transB", Attr::Int(1))),
        };
        let inputs = [x.name.as_str(), &matrix].into_iter();
        let inputs: Vec<&str> = inputs.chain(bias.as_deref()).collect();
        Some(graph.call(op, &inputs, &[attribute]))
    }
}

/// The nodes of `x · matrixᵀ + bias` of each token.
pub(super) fn onnx_of_tokens(
    graph: &mut Graph,
    x: &str,
    matrix: &str,
    bias: Option<&str>,
) -> String {
    let matrix = graph.transpose(matrix, &[1, 0]);
    let y = graph.binary("MatMul", x, &matrix);
    match bias {
        Some(bias) => graph.binary("Add", &y, bias),
        None => y,
    }
}
