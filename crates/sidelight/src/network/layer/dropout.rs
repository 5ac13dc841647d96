//! Random zeros while training.

use super::prelude::*;
use crate::random;
use crate::tensor::dropout_mask;

/// Sets each number to zero with probability `p` while training, and scales the others by 1/(1 − p).
/// The mask depends on the step's seed and the layer's path alone.
///
/// # Source
///
/// Srivastava et al. 2014, "Dropout", JMLR 15.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Probability, in [0, 1).
    pub p: f64,
}

impl Leaf for Dropout {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        check_probability(self.p, at)?;
        Ok(input)
    }
    fn forward(&self, _: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        if walk.context.mode == Mode::Evaluate || self.p == 0.0 {
            return x;
        }
        map_value!(x, x => {
            let shape = x.dims();
            drop(x, shape, self.p, walk)
        })
    }
    fn onnx(&self, _: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        Some(x.name.clone())
    }
}

/// Sets a whole row to zero with probability `p` while training: the end of a residual body.
///
/// # Source
///
/// Huang et al. 2016, "Deep networks with stochastic depth", arXiv:1603.09382, scaled by 1/(1 − p) as torchvision does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropPath {
    /// Probability, in [0, 1).
    pub p: f64,
}

impl Leaf for DropPath {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        check_probability(self.p, at)?;
        Ok(input)
    }
    fn forward(&self, _: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        drop_rows(x, self.p, walk)
    }
    fn onnx(&self, _: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        Some(x.name.clone())
    }
}

/// Leaves out the image of a row: at random with probability `p` while training, and wherever the row has none. What
/// follows has then learned what to make of the metadata alone, and a row without an image is predicted as one whose
/// image was left out.
///
/// # Source
///
/// Neverova et al. 2015, "ModDrop", arXiv:1501.00102, section 4.2. What it leaves in is scaled by 1/(1 − p), which
/// ModDrop does not do: measured, it holds back the image where it has little to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropImage {
    /// Probability, in [0, 1).
    pub p: f64,
}

impl Leaf for DropImage {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        check_probability(self.p, at)?;
        at.features(input)?;
        Ok(input)
    }
    fn forward(&self, _: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let x = match &walk.context.has_image {
            Some(has_image) => Value::Features(x.features() * has_image.clone()),
            None => x,
        };
        drop_rows(x, self.p, walk)
    }
    fn onnx(&self, _: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        Some(x.name.clone())
    }
}

/// Whole rows at random.
fn drop_rows(x: Value, p: f64, walk: &Walk<'_>) -> Value {
    if walk.context.mode == Mode::Evaluate || p == 0.0 {
        return x;
    }
    map_value!(x, x => {
        let mut shape = x.dims();
        shape[1..].fill(1);
        drop(x, shape, p, walk)
    })
}

/// Times a mask of this shape, which depends on the step's seed and the layer's path alone.
fn drop<const D: usize>(x: Tensor<D>, mask: [usize; D], p: f64, walk: &Walk<'_>) -> Tensor<D> {
    let stream = random::named(walk.context.seed, walk.path());
    let mask = dropout_mask(mask, p, stream, &x.device());
    x * mask
}

fn check_probability(p: f64, at: &At<'_>) -> Result<()> {
    if (0.0..1.0).contains(&p) {
        return Ok(());
    }
    Err(at.field("p", "in [0, 1)", p))
}
