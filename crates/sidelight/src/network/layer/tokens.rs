use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::network::parameter::{Initial, ParameterKind, ParameterSpec, Parameters};
use crate::network::shape::{At, Shape};
use crate::network::value::Value;

/// A map as a sequence of its pixels, row by row.
///
/// # Shapes
///
/// - input: `[batch, channels, height, width]`
/// - output: `[batch, height · width, channels]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToTokens {}

impl ToTokens {
    pub(super) fn output(&self, at: &At, input: Shape) -> Result<Shape> {
        let [channels, height, width] = at.map(input)?;
        Ok(Shape::Tokens {
            n: height * width,
            width: channels,
        })
    }
    pub(super) fn forward(&self, x: Value) -> Value {
        Value::Tokens(x.map().flatten::<3>(2, 3).swap_dims(1, 2))
    }
}

/// Puts a learned token first and adds a learned position to every token.
///
/// # Shapes
///
/// - input: `[batch, tokens, width]`; output: `[batch, tokens + 1, width]`
/// - `cls_token`: `[1, 1, width]`; `pos_embed`: `[1, tokens + 1, width]`
///
/// # Source
///
/// Dosovitskiy et al. 2021, "An image is worth 16×16 words", arXiv:2010.11929, eq. 1.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassToken {
    /// Tokens that come in; 0: inferred.
    pub tokens: usize,
    /// Width of a token; 0: inferred.
    pub width: usize,
}

impl ClassToken {
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        vec![
            ParameterSpec::new(
                "cls_token",
                [1, 1, self.width],
                ParameterKind::Bias,
                Initial::Normal(0.02),
            ),
            ParameterSpec::new(
                "pos_embed",
                [1, self.tokens + 1, self.width],
                ParameterKind::Bias,
                Initial::Normal(0.02),
            ),
        ]
    }
    pub(super) fn output(&mut self, at: &At, input: Shape) -> Result<Shape> {
        let Shape::Tokens { n, width } = input else {
            return Err(at.misfit("tokens", input, None));
        };
        at.width("width", &mut self.width, width, input)?;
        at.width("tokens", &mut self.tokens, n, input)?;
        Ok(Shape::Tokens { n: n + 1, width })
    }
    pub(super) fn forward(&self, parameters: &Parameters, x: Value) -> Value {
        let x = x.tokens();
        let [batch, _, width] = x.dims();
        let class = parameters.d3("cls_token").expand([batch, 1, width]);
        Value::Tokens(Tensor::cat(vec![class, x], 1) + parameters.d3("pos_embed"))
    }
}

/// The first token: `[batch, width]`.
pub(super) fn first(x: Value) -> Value {
    let x = x.tokens();
    let [batch, _, width] = x.dims();
    Value::Features(x.narrow(1, 0, 1).reshape([batch, width]))
}
