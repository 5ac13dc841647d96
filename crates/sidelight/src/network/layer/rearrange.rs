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
            return Err(at.misfit(
                format!("at least {} features", self.start + self.length),
                input,
                None,
            ));
        }
        Ok(Shape::Features(self.length))
    }
    pub(super) fn forward(&self, x: Value) -> Value {
        Value::Features(x.features().narrow(1, self.start, self.length))
    }
}

/// A learned factor per channel, the parameter `gamma`.
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
    /// What it starts as. Default: 1.
    #[serde(default = "one")]
    pub start: f32,
}

fn one() -> f32 {
    1.0
}

impl Scale {
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        vec![ParameterSpec::new(
            "gamma",
            [self.features],
            ParameterKind::Norm,
            Initial::Constant(self.start),
        )]
    }
    pub(super) fn output(&mut self, at: &At, input: Shape) -> Result<Shape> {
        if input == Shape::Nothing {
            return Err(at.misfit("a map, tokens or features", input, None));
        }
        at.width("features", &mut self.features, input.channels(), input)?;
        Ok(input)
    }
    pub(super) fn forward(&self, parameters: &Parameters, x: Value) -> Value {
        x.scaled(parameters.d1("gamma"))
    }
}
