//! Heads: from features to the numbers that a task asks for.

use std::ops::Range;

use super::Network;
use super::architecture::Architecture;
use super::layer::{
    BatchNorm, Candidates, Conv2d, Dropout, Layer, Linear, MetadataSource, Upsample,
};
use super::shape::Shape;

/// Where the head stands in a network.
pub(crate) const HEAD: &str = "head";
/// Where a head of points also says how sure they are: its own layers are below the first, what says it below the others.
pub(crate) const PLACES: &str = "read.places";
pub(crate) const CERTAINTY: [&str; 2] = ["read.inputs", "say"];

/// How the outputs of a network of points follow one another: the places, those of all candidates, the logarithms of their
/// probabilities, how sure each point is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PointsLayout {
    /// Coordinates of all points.
    pub(crate) n_outputs: usize,
    /// Candidates for them.
    pub(crate) n_candidates: usize,
    /// Whether it says how sure each point is.
    pub(crate) is_sure: bool,
}

impl PointsLayout {
    /// That of so many outputs in all, where so many are the places.
    pub(crate) fn new(n_outputs: usize, width: usize) -> Self {
        let further = width - n_outputs;
        Self {
            n_outputs,
            n_candidates: further / (n_outputs + 1),
            is_sure: further % (n_outputs + 1) == n_outputs,
        }
    }

    /// That of a network, of whose outputs so many are the places.
    pub(crate) fn of_network(network: &Network, n_outputs: usize) -> Self {
        let layers = network.inspect().unwrap_or_default();
        let width = layers.first().map_or(0, |all| all.output.channels());
        Self::new(n_outputs, width.max(n_outputs))
    }

    /// Of all places, those of candidates among them.
    pub(crate) fn n_coordinates(self) -> usize {
        self.n_outputs * (1 + self.n_candidates)
    }

    /// The logarithms of the candidates' probabilities.
    pub(crate) fn log_probabilities(self) -> Range<usize> {
        let first = self.n_coordinates();
        first..first + self.n_candidates
    }

    /// How sure points are.
    pub(crate) fn certainty(self) -> Range<usize> {
        let first = self.log_probabilities().end;
        first..first + if self.is_sure { self.n_outputs } else { 0 }
    }
}

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
/// without bias, ReLU, norm, dropout p, linear. Departs from it: the last layer starts as zeros.
pub fn image(features: Features, hidden: usize, dropout: f64, n_outputs: usize) -> Architecture {
    let norm = || BatchNorm::default().into();
    let last = || Linear::new(n_outputs).zeros().into();
    match features {
        Features::Map { side } => heatmap(side, n_outputs),
        Features::Grid => {
            let branch = branch(branch_width(hidden)).into_iter();
            let branch = branch.map(|(_, layer)| layer);
            Architecture::numbered(branch.chain(layers(hidden, dropout, n_outputs)))
        }
        Features::Pooled if hidden == 0 => {
            Architecture::numbered([norm(), Dropout { p: dropout }.into(), last()])
        }
        Features::Pooled => Architecture::numbered([
            norm(),
            Dropout { p: dropout / 2.0 }.into(),
            Linear::new(hidden).without_bias().into(),
            Layer::Relu.into(),
            norm(),
            Dropout { p: dropout }.into(),
            last(),
        ]),
    }
}

/// One side to the width in which the sides are joined: linear, norm, ReLU.
pub(super) fn branch(width: usize) -> Vec<(&'static str, Architecture)> {
    vec![
        ("fc", Linear::new(width).into()),
        ("norm", BatchNorm::default().into()),
        ("relu", Layer::Relu.into()),
    ]
}

/// Width of each side before they are joined.
pub(super) fn branch_width(hidden: usize) -> usize {
    if hidden > 0 { (hidden / 2).max(8) } else { 64 }
}

/// The head of features that were joined before, each prepared in its own way: no norm in front.
pub(super) fn deep(hidden: usize, dropout: f64, n_outputs: usize) -> Architecture {
    Architecture::numbered(layers(hidden, dropout, n_outputs))
}

fn layers(hidden: usize, dropout: f64, n_outputs: usize) -> Vec<Architecture> {
    let mut layers = Vec::new();
    if hidden > 0 {
        layers.extend([Linear::new(hidden).into(), Layer::Relu.into()]);
    }
    layers.push(Dropout { p: dropout }.into());
    layers.push(Linear::new(n_outputs).zeros().into());
    layers
}

/// Side of a heatmap, at least.
const HEATMAP_SIDE: usize = 32;
/// Side of a candidate's heatmaps, at least: there are several times as many.
const CANDIDATE_SIDE: usize = 24;
/// Channels on the way to them.
const HEATMAP_CHANNELS: usize = 64;

/// The last map doubled until it has so many pixels a side, of 64 channels.
///
/// # Source
///
/// A decoder of upsampling and 3×3 convolutions, as Xiao et al. 2018, "Simple baselines for human pose estimation",
/// arXiv:1804.06208, fig. 1 (there transposed convolutions of 256 channels; here nearest neighbour and 64, for the CPU).
fn decoder(side: usize, least: usize) -> Vec<Architecture> {
    let block = |kernel| conv_norm_relu(Conv2d::new(HEATMAP_CHANNELS, kernel));
    let mut layers: Vec<Architecture> = block(1).into();
    let mut side = side.max(1);
    while side < least {
        side *= 2;
        layers.push(Upsample { factor: 2 }.into());
        layers.extend(block(3));
    }
    layers
}

/// A heatmap per point, read by [`Layer::SoftArgmax`]. The last layer starts as zeros: training starts in the middle of the
/// image.
fn heatmap(side: usize, n_outputs: usize) -> Architecture {
    let mut layers = decoder(side, HEATMAP_SIDE);
    // A bias would not move the mass of a softmax.
    let last = Linear::new(n_outputs / 2).zeros().without_bias();
    layers.push(last.per_pixel().into());
    layers.push(Layer::SoftArgmax.into());
    Architecture::numbered(layers)
}

/// Channels by which a candidate is told from another.
const LOOK_CHANNELS: usize = 16;

/// Several heatmaps per point and the choice among them ([`Candidates`]), by what is seen there and, where `metadata` has
/// any, by the row's own.
pub(super) fn candidates(
    (side, n): (usize, usize),
    metadata: Option<&MetadataSource>,
    (hidden, dropout): (usize, f64),
    n_outputs: usize,
) -> Architecture {
    let points = n_outputs / 2;
    // They do not start as zeros: candidates that are all alike would stay so.
    let maps = Linear::new(n * points).without_bias().per_pixel();
    let look = Architecture::numbered(conv_norm_relu(Conv2d::new(LOOK_CHANNELS, 1)));
    let mut reads = vec![("seen", Architecture::from(Layer::Identity))];
    reads.extend(metadata.map(|source| ("metadata", source.architecture())));
    let gate = Architecture::sequence([
        ("reads", Architecture::with(Layer::Concat, reads)),
        ("choose", deep(hidden, dropout, n)),
    ]);
    let candidates = Candidates { n, points };
    let children = [("maps", maps.into()), ("look", look), ("gate", gate)];
    let mut layers = decoder(side, CANDIDATE_SIDE);
    layers.push(Architecture::with(candidates, children));
    Architecture::numbered(layers)
}

fn conv_norm_relu(conv: Conv2d) -> [Architecture; 3] {
    [conv.into(), BatchNorm::default().into(), Layer::Relu.into()]
}

/// What stands in the place of the pooling where positions matter: a 1×1 convolution to few channels, so that
/// the whole grid can be flattened (global pooling would forget where anything is).
/// About a thousand features, whatever the grid.
pub fn spatial(map: Shape) -> Option<Architecture> {
    let Shape::Map { height, width, .. } = map else {
        return None;
    };
    let channels = (1024 / (height * width).max(1)).clamp(16, 64);
    Some(Architecture::numbered(conv_norm_relu(Conv2d::new(
        channels, 1,
    ))))
}
