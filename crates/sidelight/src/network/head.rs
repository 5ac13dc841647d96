//! Heads: from features to the numbers that a task asks for.

use super::layer::{BatchNorm, Conv2d, Dropout, Layer, Linear, Upsample};
use super::plan::Plan;
use super::shape::Shape;

/// What a head is given of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Features {
    /// Features pooled over all positions.
    Pooled,
    /// The whole grid, which [`spatial`] has just normalised.
    Grid,
    /// The last map itself, of so many pixels a side, for a heatmap.
    Map {
        /// Pixels of the shorter side.
        side: usize,
    },
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
        Features::Map { side } => heatmap(side, n_outputs),
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

/// Side of a heatmap, at least.
const HEATMAP_SIDE: usize = 32;
/// Channels on the way to it.
const HEATMAP_CHANNELS: usize = 64;

/// A heatmap per point, read by its mass: the map is doubled until it has 32 pixels a side.
///
/// # Source
///
/// A decoder of upsampling and 3×3 convolutions, as Xiao et al. 2018, "Simple baselines for human pose estimation",
/// arXiv:1804.06208, fig. 1 (there transposed convolutions of 256 channels; here nearest neighbour and 64, for the CPU);
/// read by [`Layer::SoftArgmax`]. The last layer starts as zeros: training starts in the middle of the image.
fn heatmap(side: usize, n_outputs: usize) -> Plan {
    let block = |kernel: usize| {
        [
            Plan::leaf(Layer::Conv2d(Conv2d::new(0, HEATMAP_CHANNELS, kernel, 1))),
            Layer::BatchNorm(BatchNorm::default()).into(),
            Layer::Relu.into(),
        ]
    };
    let mut layers: Vec<Plan> = block(1).into();
    let mut side = side.max(1);
    while side < HEATMAP_SIDE {
        side *= 2;
        layers.push(Layer::Upsample(Upsample { factor: 2 }).into());
        layers.extend(block(3));
    }
    // An offset would not move the mass of a softmax.
    let last = Linear::new(0, n_outputs / 2).zeros().without_bias();
    layers.push(
        Layer::Linear(Linear {
            per_pixel: true,
            ..last
        })
        .into(),
    );
    layers.push(Layer::SoftArgmax.into());
    Plan::numbered(layers)
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
