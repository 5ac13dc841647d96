use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::network::shape::{At, Shape};
use crate::network::value::{Mode, Value, Walk};
use crate::tensor::dropout_mask;

/// Sets each number to zero with probability `p` while training, and scales the others by 1/(1 − p).
/// The mask depends on the step's seed and the layer's path alone.
///
/// # Source
///
/// Srivastava et al. 2014, "Dropout", JMLR 15.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Probability, in [0, 1).
    pub p: f64,
}

impl Dropout {
    pub(super) fn output(&self, at: &At, input: Shape) -> Result<Shape> {
        probability(self.p, at)?;
        Ok(input)
    }
    pub(super) fn forward(&self, x: Value, walk: &Walk<'_>) -> Value {
        if walk.context.mode == Mode::Evaluate || self.p == 0.0 {
            return x;
        }
        match x {
            Value::Map(x) => Value::Map(drop(x, self.p, walk)),
            Value::Tokens(x) => Value::Tokens(drop(x, self.p, walk)),
            Value::Features(x) => Value::Features(drop(x, self.p, walk)),
            Value::Nothing => Value::Nothing,
        }
    }
}

fn drop<const D: usize>(x: Tensor<D>, p: f64, walk: &Walk<'_>) -> Tensor<D> {
    let mask = dropout_mask(x.dims(), p, walk.context.seed, walk.path(), &x.device());
    x * mask
}

/// Sets a whole row to zero with probability `p` while training: the end of a residual body.
///
/// # Source
///
/// Huang et al. 2016, "Deep networks with stochastic depth", arXiv:1603.09382, scaled by 1/(1 − p) as torchvision does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropPath {
    /// Probability, in [0, 1).
    pub p: f64,
}

/// Leaves out the image of a row: at random with probability `p` while training, and wherever the row has none. What
/// follows has then learned what to make of the metadata alone, and a row without an image is predicted as one whose
/// image was left out.
///
/// # Source
///
/// Neverova et al. 2015, "ModDrop", arXiv:1501.00102, section 4.2. What it leaves in is scaled by 1/(1 − p), which
/// ModDrop does not do: measured, it holds back the image where it has little to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropImage {
    /// Probability, in [0, 1).
    pub p: f64,
}

impl DropImage {
    pub(super) fn output(&self, at: &At, input: Shape) -> Result<Shape> {
        probability(self.p, at)?;
        at.features(input)?;
        Ok(input)
    }
    pub(super) fn forward(&self, x: Value, walk: &Walk<'_>) -> Value {
        let x = match &walk.context.has_image {
            Some(has_image) => Value::Features(x.features() * has_image.clone()),
            None => x,
        };
        DropPath { p: self.p }.forward(x, walk)
    }
}

impl DropPath {
    pub(super) fn output(&self, at: &At, input: Shape) -> Result<Shape> {
        probability(self.p, at)?;
        Ok(input)
    }
    pub(super) fn forward(&self, x: Value, walk: &Walk<'_>) -> Value {
        if walk.context.mode == Mode::Evaluate || self.p == 0.0 {
            return x;
        }
        let (p, seed, path) = (self.p, walk.context.seed, walk.path());
        match x {
            Value::Map(x) => {
                let mask = dropout_mask([x.dims()[0], 1, 1, 1], p, seed, path, &x.device());
                Value::Map(x * mask)
            }
            Value::Tokens(x) => {
                let mask = dropout_mask([x.dims()[0], 1, 1], p, seed, path, &x.device());
                Value::Tokens(x * mask)
            }
            Value::Features(x) => {
                let mask = dropout_mask([x.dims()[0], 1], p, seed, path, &x.device());
                Value::Features(x * mask)
            }
            Value::Nothing => Value::Nothing,
        }
    }
}

fn probability(p: f64, at: &At) -> Result<()> {
    if (0.0..1.0).contains(&p) {
        Ok(())
    } else {
        Err(at.field("p", "in [0, 1)", p))
    }
}
