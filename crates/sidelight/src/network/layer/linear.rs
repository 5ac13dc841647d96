use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::network::parameter::{Initial, ParameterKind, ParameterSpec, Parameters};
use crate::network::shape::{At, Shape};
use crate::network::value::Value;
use crate::tensor::{linear, linear_tokens};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Features that come in; 0: inferred.
    #[serde(default)]
    pub in_features: usize,
    /// Features that go out.
    pub out_features: usize,
    /// Whether an offset is added. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Of each pixel's channels, where a map comes in. Default: false, a map is refused.
    #[serde(default, skip_serializing_if = "is_not")]
    pub per_pixel: bool,
    /// What it starts as. Default: torch's.
    #[serde(default, skip_serializing_if = "is_torch")]
    pub start: LinearStart,
}

/// What a [`Linear`] starts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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

fn yes() -> bool {
    true
}
fn is_not(flag: &bool) -> bool {
    !flag
}
fn is_torch(start: &LinearStart) -> bool {
    *start == LinearStart::Torch
}

impl Linear {
    /// From so many features (0: inferred) to so many, with an offset.
    pub fn new(in_features: usize, out_features: usize) -> Self {
        Self {
            in_features,
            out_features,
            bias: true,
            per_pixel: false,
            start: LinearStart::Torch,
        }
    }
    /// The same, starting as zeros.
    #[must_use]
    pub fn zeros(mut self) -> Self {
        self.start = LinearStart::Zeros;
        self
    }
    /// The same without offset.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        let bound = Initial::Uniform(1.0 / (self.in_features.max(1) as f64).sqrt());
        let (weight, offset) = match self.start {
            LinearStart::Torch => (bound, bound),
            LinearStart::Zeros => (Initial::Constant(0.0), Initial::Constant(0.0)),
            LinearStart::Normal => (Initial::Normal(0.02), Initial::Constant(0.0)),
        };
        let shape = [self.out_features, self.in_features];
        let mut specs = vec![ParameterSpec::new(
            "weight",
            shape,
            ParameterKind::Weight,
            weight,
        )];
        if self.bias {
            specs.push(ParameterSpec::new(
                "bias",
                [self.out_features],
                ParameterKind::Bias,
                offset,
            ));
        }
        specs
    }
    pub(super) fn output(&mut self, at: &At, input: Shape) -> Result<Shape> {
        if self.out_features == 0 {
            return Err(at.field("out_features", "at least 1", 0));
        }
        if let Shape::Tokens { n, width } = input {
            at.width("in_features", &mut self.in_features, width, input)?;
            return Ok(Shape::Tokens {
                n,
                width: self.out_features,
            });
        }
        if let Shape::Map {
            channels,
            height,
            width,
        } = input
            && self.per_pixel
        {
            at.width("in_features", &mut self.in_features, channels, input)?;
            return Ok(Shape::Map {
                channels: self.out_features,
                height,
                width,
            });
        }
        let features = at.features(input)?;
        at.width("in_features", &mut self.in_features, features, input)?;
        Ok(Shape::Features(self.out_features))
    }
    pub(super) fn forward(&self, parameters: &Parameters, x: Value) -> Value {
        let (weight, bias) = (parameters.d2("weight"), parameters.bias("bias"));
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
}
