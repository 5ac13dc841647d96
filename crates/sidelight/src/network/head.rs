//! Heads: from features to the numbers that a task asks for.

use super::layer::{BatchNorm, Conv2d, Dropout, Layer, Linear};
use super::plan::Plan;
use super::shape::Shape;

/// The head of a model of the image: normalised, a hidden layer, dropout before each linear layer.
/// The last layer starts as zeros, so that training starts at the mean of the targets.
///
/// # Source
///
/// fastai's `create_head` (Howard and Gugger 2020, arXiv:2002.04688): norm, dropout p/2, linear without offset, ReLU,
/// norm, dropout p, linear. Departs from it: the last layer starts as zeros.
pub fn image(hidden: usize, dropout: f64, n_outputs: usize) -> Plan {
    let last = Layer::Linear(Linear::new(0, n_outputs).zeros());
    if hidden == 0 {
        return Plan::numbered([
            Plan::leaf(Layer::BatchNorm(BatchNorm::default())),
            Layer::Dropout(Dropout { p: dropout }).into(),
            last.into(),
        ]);
    }
    Plan::numbered([
        Plan::leaf(Layer::BatchNorm(BatchNorm::default())),
        Layer::Dropout(Dropout { p: dropout / 2.0 }).into(),
        Layer::Linear(Linear::new(0, hidden).without_bias()).into(),
        Layer::Relu.into(),
        Layer::BatchNorm(BatchNorm::default()).into(),
        Layer::Dropout(Dropout { p: dropout }).into(),
        last.into(),
    ])
}

/// The head of features that were joined before, each prepared in its own way: no norm in front.
pub(super) fn deep(hidden: usize, dropout: f64, n_outputs: usize) -> Plan {
    let last = Plan::leaf(Layer::Linear(Linear::new(0, n_outputs).zeros()));
    let dropout = Plan::leaf(Layer::Dropout(Dropout { p: dropout }));
    if hidden == 0 {
        return Plan::numbered([dropout, last]);
    }
    Plan::numbered([
        Plan::leaf(Layer::Linear(Linear::new(0, hidden))),
        Layer::Relu.into(),
        dropout,
        last,
    ])
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
