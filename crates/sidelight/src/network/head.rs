//! Heads: from features to the numbers that a task asks for.

use super::layer::{BatchNorm, Conv2d, Dropout, Layer, Linear};
use super::plan::Plan;
use super::shape::Shape;

/// What a head is given of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Features {
    /// Features pooled over all positions.
    Pooled,
    /// The whole grid, which [`spatial`] has just normalised.
    Grid,
}

/// The head of a model of the image, its last layer zeros, so that training starts at the mean of the targets.
///
/// Pooled features are normalised, then a hidden layer, dropout before each linear layer. The grid takes the way that
/// it takes beside metadata as well ([`branch`], then a hidden layer): dropping places would blur where things are.
///
/// # Source
///
/// Of pooled features: fastai's `create_head` (Howard and Gugger 2020, arXiv:2002.04688): norm, dropout p/2, linear
/// without offset, ReLU, norm, dropout p, linear. Departs from it: the last layer starts as zeros.
pub fn image(features: Features, hidden: usize, dropout: f64, n_outputs: usize) -> Plan {
    let last = || Plan::leaf(Layer::Linear(Linear::new(0, n_outputs).zeros()));
    match features {
        Features::Grid => {
            let branch = branch(joined(hidden)).into_iter().map(|(_, plan)| plan);
            Plan::numbered(branch.chain(layers(hidden, dropout, n_outputs)))
        }
        Features::Pooled if hidden == 0 => Plan::numbered([
            Plan::leaf(Layer::BatchNorm(BatchNorm::default())),
            Layer::Dropout(Dropout { p: dropout }).into(),
            last(),
        ]),
        Features::Pooled => Plan::numbered([
            Plan::leaf(Layer::BatchNorm(BatchNorm::default())),
            Layer::Dropout(Dropout { p: dropout / 2.0 }).into(),
            Layer::Linear(Linear::new(0, hidden).without_bias()).into(),
            Layer::Relu.into(),
            Layer::BatchNorm(BatchNorm::default()).into(),
            Layer::Dropout(Dropout { p: dropout }).into(),
            last(),
        ]),
    }
}

/// One side to the width in which the sides are joined: linear, norm, ReLU.
pub(super) fn branch(width: usize) -> Vec<(&'static str, Plan)> {
    vec![
        ("fc", Plan::leaf(Layer::Linear(Linear::new(0, width)))),
        ("norm", Layer::BatchNorm(BatchNorm::default()).into()),
        ("relu", Layer::Relu.into()),
    ]
}

/// Width of each side before they are joined.
pub(super) fn joined(hidden: usize) -> usize {
    if hidden > 0 { (hidden / 2).max(8) } else { 64 }
}

/// The head of features that were joined before, each prepared in its own way: no norm in front.
pub(super) fn deep(hidden: usize, dropout: f64, n_outputs: usize) -> Plan {
    Plan::numbered(layers(hidden, dropout, n_outputs))
}

fn layers(hidden: usize, dropout: f64, n_outputs: usize) -> Vec<Plan> {
    let mut layers = Vec::new();
    if hidden > 0 {
        layers.push(Layer::Linear(Linear::new(0, hidden)).into());
        layers.push(Layer::Relu.into());
    }
    layers.push(Layer::Dropout(Dropout { p: dropout }).into());
    layers.push(Layer::Linear(Linear::new(0, n_outputs).zeros()).into());
    layers
}

/// What stands in the place of the pooling where positions matter: a 1×1 convolution to few channels, so that
/// the whole grid can be flattened (global pooling would forget where anything is).
/// About a thousand features, whatever the grid.
pub fn spatial(map: Shape) -> Option<Plan> {
    let Shape::Map { height, width, .. } = map else {
        return None;
    };
    let channels = (1024 / (height * width).max(1)).clamp(16, 64);
    Some(Plan::numbered([
        Plan::leaf(Layer::Conv2d(Conv2d::new(0, channels, 1, 1))),
        Layer::BatchNorm(BatchNorm::default()).into(),
        Layer::Relu.into(),
    ]))
}
