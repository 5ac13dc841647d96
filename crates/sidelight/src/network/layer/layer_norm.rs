use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::network::parameter::{Initial, ParameterKind, ParameterSpec, Parameters};
use crate::network::shape::{At, Shape};
use crate::network::value::Value;
use crate::tensor::{layer_norm, layer_norm_channels};

/// Normalisation over each row's features, each token, or the channels of each pixel.
///
/// # Source
///
/// Ba et al. 2016, "Layer Normalization", arXiv:1607.06450.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LayerNorm {
    /// Features or channels; 0: inferred.
    pub features: usize,
    /// Added to the variance. Default: 1e-5, torch's.
    pub epsilon: f64,
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self {
            features: 0,
            epsilon: 1e-5,
        }
    }
}

impl LayerNorm {
    /// Of so many features, with torchvision's and timm's ε of transformers.
    pub fn new(features: usize) -> Self {
        Self {
            features,
            epsilon: 1e-6,
        }
    }
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        [("weight", 1.0), ("bias", 0.0)]
            .map(|(name, value)| {
                ParameterSpec::new(
                    name,
                    [self.features],
                    ParameterKind::Norm,
                    Initial::Constant(value),
                )
            })
            .to_vec()
    }
    pub(super) fn output(&mut self, at: &At, input: Shape) -> Result<Shape> {
        if input == Shape::Nothing {
            return Err(at.misfit("a map, tokens or features", input, None));
        }
        at.width("features", &mut self.features, input.channels(), input)?;
        Ok(input)
    }
    pub(super) fn forward(&self, parameters: &Parameters, x: Value) -> Value {
        let (weight, bias) = (parameters.d1("weight"), parameters.d1("bias"));
        match x {
            Value::Map(x) => Value::Map(layer_norm_channels(x, weight, bias, self.epsilon)),
            Value::Tokens(x) => Value::Tokens(layer_norm(x, weight, bias, self.epsilon)),
            Value::Features(x) => Value::Features(layer_norm(x, weight, bias, self.epsilon)),
            Value::Nothing => Value::Nothing,
        }
    }
}
