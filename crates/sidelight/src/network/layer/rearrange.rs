use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::network::parameter::{Initial, ParameterKind, ParameterSpec, Parameters};
use crate::network::shape::{At, Shape};
use crate::network::value::Value;

/// A map, or tokens, as features: channel by channel, row by row, as torch's `flatten(1)`.
pub(super) fn flatten(x: Value) -> Value {
    match x {
        Value::Map(x) => Value::Features(x.flatten(1, 3)),
        Value::Tokens(x) => Value::Features(x.flatten(1, 2)),
        other => other,
    }
}

/// The features from `start` on, `length` of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The first.
    pub start: usize,
    /// How many.
    pub length: usize,
}

impl Slice {
    pub(super) fn output(&self, at: &At, input: Shape) -> Result<Shape> {
        let features = at.features(input)?;
        if self.length == 0 {
            return Err(at.field("length", "at least 1", 0));
        }
        if self.start + self.length > features {
            return Err(at.misfit(format!("at least {} features", self.start + self.length), input, None));
        }
        Ok(Shape::Features(self.length))
    }
    pub(super) fn forward(&self, x: Value) -> Value {
        Value::Features(x.features().narrow(1, self.start, self.length))
    }
}

/// A learned factor per channel.
///
/// # Source
///
/// Touvron et al. 2021, "Going deeper with image transformers" (LayerScale), arXiv:2103.17239, eq. 6.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Channels; 0: inferred.
    #[serde(default)]
    pub features: usize,
    /// What it starts as. Default: 1e-6, ConvNeXt's.
    #[serde(default = "small")]
    pub start: f32,
    /// The parameter's name: `gamma` (DINOv2, timm) or `layer_scale` (torchvision, shape `[channels, 1, 1]`). Default: `gamma`.
    #[serde(default = "gamma")]
    pub parameter: String,
}

fn small() -> f32 {
    1e-6
}
fn gamma() -> String {
    "gamma".into()
}

impl Scale {
    fn is_map_shaped(&self) -> bool {
        self.parameter == "layer_scale"
    }
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        let shape = if self.is_map_shaped() { vec![self.features, 1, 1] } else { vec![self.features] };
        vec![ParameterSpec::new(&self.parameter, shape, ParameterKind::Norm, Initial::Constant(self.start))]
    }
    pub(super) fn output(&mut self, at: &At, input: Shape) -> Result<Shape> {
        if input == Shape::Nothing {
            return Err(at.misfit("a map, tokens or features", input, None));
        }
        if self.parameter.is_empty() || self.parameter.contains('.') {
            return Err(at.field("parameter", "a name without a dot", &self.parameter));
        }
        at.width("features", &mut self.features, input.channels(), input)?;
        Ok(input)
    }
    pub(super) fn forward(&self, parameters: &Parameters, x: Value) -> Value {
        let n = self.features;
        let factor = if self.is_map_shaped() { parameters.d3(&self.parameter).reshape([n]) } else { parameters.d1(&self.parameter) };
        match x {
            Value::Map(x) => Value::Map(x * factor.reshape([1, n, 1, 1])),
            Value::Tokens(x) => Value::Tokens(x * factor.reshape([1, 1, n])),
            Value::Features(x) => Value::Features(x * factor.reshape([1, n])),
            Value::Nothing => Value::Nothing,
        }
    }
}
