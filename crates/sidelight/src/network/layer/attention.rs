use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::network::parameter::{Initial, ParameterKind, ParameterSpec, Parameters};
use crate::network::shape::{At, Shape};
use crate::network::value::Value;
use crate::tensor::linear_tokens;

/// Multi-head self-attention over tokens, with timm's and DINOv2's names
/// (`qkv.weight`, `qkv.bias`, `proj.weight`, `proj.bias`).
///
/// # Shapes
///
/// - input and output: `[batch, tokens, width]`
///
/// # Source
///
/// Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762, section 3.2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfAttention {
    /// Width of a token; 0: inferred.
    #[serde(default)]
    pub width: usize,
    /// Heads, a divisor of the width.
    pub heads: usize,
}

impl SelfAttention {
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        let width = self.width;
        let weight = |name, out| {
            ParameterSpec::new(
                name,
                [out, width],
                ParameterKind::Weight,
                Initial::Normal(0.02),
            )
        };
        let bias = |name, out| {
            ParameterSpec::new(name, [out], ParameterKind::Bias, Initial::Constant(0.0))
        };
        vec![
            weight("qkv.weight", 3 * width),
            bias("qkv.bias", 3 * width),
            weight("proj.weight", width),
            bias("proj.bias", width),
        ]
    }
    pub(super) fn output(&mut self, at: &At, input: Shape) -> Result<Shape> {
        let Shape::Tokens { width, .. } = input else {
            return Err(at.misfit("tokens", input, None));
        };
        at.width("width", &mut self.width, width, input)?;
        if self.heads == 0 || width % self.heads != 0 {
            return Err(at.field("heads", format!("a divisor of {width}"), self.heads));
        }
        Ok(input)
    }
    pub(super) fn multiply_adds(&self, input: Shape) -> usize {
        let n = input.positions();
        4 * n * self.width * self.width + 2 * n * n * self.width
    }
    pub(super) fn forward(&self, parameters: &Parameters, x: Value) -> Value {
        let x = x.tokens();
        let [batch, tokens, width] = x.dims();
        let each = width / self.heads;
        let qkv = linear_tokens(
            x,
            parameters.d2("qkv.weight"),
            Some(parameters.d1("qkv.bias")),
        )
        .reshape([batch, tokens, 3, self.heads, each])
        .permute([2, 0, 3, 1, 4]); // [3, batch, heads, tokens, each]
        let part = |i| {
            qkv.clone()
                .narrow(0, i, 1)
                .reshape([batch, self.heads, tokens, each])
        };
        let weights = softmax(
            part(0).matmul(part(1).swap_dims(2, 3)) / (each as f64).sqrt(),
            3,
        ); // [batch, heads, tokens, tokens]
        let joined = weights
            .matmul(part(2))
            .swap_dims(1, 2)
            .reshape([batch, tokens, width]);
        Value::Tokens(linear_tokens(
            joined,
            parameters.d2("proj.weight"),
            Some(parameters.d1("proj.bias")),
        ))
    }
}
