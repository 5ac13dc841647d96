//! What flows through a network, and what a forward pass may read.

use burn::tensor::{Int, Tensor, TensorData};

use super::shape::Shape;
use crate::tensor::{Precision, SyncStatistics};

/// What flows from one layer to the next.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing: a model of metadata alone has no image.
    Nothing,
    /// A vector per row: `[batch, features]`.
    Features(Tensor<2>),
    /// A sequence of vectors per row: `[batch, tokens, width]`.
    Tokens(Tensor<3>),
    /// A map per row: `[batch, channels, height, width]`.
    Map(Tensor<4>),
}

/// Makes another value by the same expression on the tensor, whatever its rank.
macro_rules! map_value {
    ($value:expr, $x:ident => $body:expr) => {
        match $value {
            $crate::network::Value::Nothing => $crate::network::Value::Nothing,
            $crate::network::Value::Features($x) => $crate::network::Value::Features($body),
            $crate::network::Value::Tokens($x) => $crate::network::Value::Tokens($body),
            $crate::network::Value::Map($x) => $crate::network::Value::Map($body),
        }
    };
}
pub(super) use map_value;

impl Value {
    /// Its shape without the batch axis.
    pub fn shape(&self) -> Shape {
        match self {
            Self::Nothing => Shape::Nothing,
            Self::Features(x) => Shape::Features(x.dims()[1]),
            Self::Tokens(x) => {
                let [_, n, width] = x.dims();
                Shape::Tokens { n, width }
            }
            Self::Map(x) => {
                let [_, channels, height, width] = x.dims();
                Shape::Map {
                    channels,
                    height,
                    width,
                }
            }
        }
    }
    /// The tensor of a map.
    ///
    /// # Panics
    ///
    /// Where it is none: a caller ran a network on an input that its shape pass did not see.
    pub fn map(self) -> Tensor<4> {
        match self {
            Self::Map(x) => x,
            other => other.is_not("a map [batch, channels, height, width]"),
        }
    }
    /// The tensor of tokens.
    ///
    /// # Panics
    ///
    /// As [`Value::map`].
    pub fn tokens(self) -> Tensor<3> {
        match self {
            Self::Tokens(x) => x,
            other => other.is_not("tokens [batch, tokens, width]"),
        }
    }
    /// The tensor of features.
    ///
    /// # Panics
    ///
    /// As [`Value::map`].
    pub fn features(self) -> Tensor<2> {
        match self {
            Self::Features(x) => x,
            other => other.is_not("features [batch, features]"),
        }
    }
    fn is_not(&self, expected: &str) -> ! {
        panic!("expected {expected}, found {}", self.shape())
    }
    /// `n` rows from `start` on.
    pub(super) fn narrow(&self, start: usize, n: usize) -> Self {
        map_value!(self.clone(), x => x.narrow(0, start, n))
    }
    /// The rows at these places, in this order; one may come again.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        fn select<const D: usize>(x: Tensor<D>, rows: &[usize]) -> Tensor<D> {
            let places: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
            let places = TensorData::new(places, [rows.len()]);
            let places = Tensor::<1, Int>::from_data(places, &x.device());
            x.select(0, places)
        }
        map_value!(self.clone(), x => select(x, rows))
    }
    /// Rows of `n` images each as one: what is said of them is one below the other (features: side by side).
    pub(super) fn stacked(self, n: usize) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Features(x) => {
                let [images, width] = x.dims();
                Self::Features(x.reshape([images / n, n * width]))
            }
            Self::Tokens(x) => {
                let [images, tokens, width] = x.dims();
                Self::Tokens(x.reshape([images / n, n * tokens, width]))
            }
            Self::Map(x) => {
                let [images, channels, height, width] = x.dims();
                // Channels are last in memory: nothing moves.
                let x = x.permute([0, 2, 3, 1]);
                let x = x.reshape([images / n, n * height, width, channels]);
                Self::Map(x.permute([0, 3, 1, 2]))
            }
        }
    }
    /// The way back from [`Value::stacked`]: every image is a row.
    pub(crate) fn unstacked(self, n: usize) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Features(x) => {
                let [rows, width] = x.dims();
                Self::Features(x.reshape([rows * n, width / n]))
            }
            Self::Tokens(x) => {
                let [rows, tokens, width] = x.dims();
                Self::Tokens(x.reshape([rows * n, tokens / n, width]))
            }
            Self::Map(x) => {
                let [rows, channels, height, width] = x.dims();
                let x = x.permute([0, 2, 3, 1]);
                let x = x.reshape([rows * n, height / n, width, channels]);
                Self::Map(x.permute([0, 3, 1, 2]))
            }
        }
    }
    /// Rows of one kind after one another.
    pub(super) fn cat(parts: Vec<Self>) -> Self {
        match parts.first() {
            None | Some(Self::Nothing) => Self::Nothing,
            Some(Self::Features(_)) => Self::Features(Tensor::cat(
                parts.into_iter().map(Self::features).collect(),
                0,
            )),
            Some(Self::Tokens(_)) => Self::Tokens(Tensor::cat(
                parts.into_iter().map(Self::tokens).collect(),
                0,
            )),
            Some(Self::Map(_)) => {
                Self::Map(Tensor::cat(parts.into_iter().map(Self::map).collect(), 0))
            }
        }
    }
    /// The sum of two of one shape.
    pub(super) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Map(a), Self::Map(b)) => Self::Map(crate::tensor::add_activate(a, b, None)),
            (Self::Tokens(a), Self::Tokens(b)) => Self::Tokens(a + b),
            (Self::Features(a), Self::Features(b)) => Self::Features(a + b),
            (a, b) => panic!(
                "expected two of a kind to add, found {} and {}",
                a.shape(),
                b.shape()
            ),
        }
    }
    /// This, each channel times the same factor in every row: `factor` is `[channels]`.
    pub(super) fn scaled(self, factor: Tensor<1>) -> Self {
        let [n] = factor.dims();
        match self {
            Self::Nothing => Self::Nothing,
            Self::Features(x) => Self::Features(x * factor.reshape([1, n])),
            Self::Tokens(x) => Self::Tokens(x * factor.reshape([1, 1, n])),
            Self::Map(x) => Self::Map(x * factor.reshape([1, n, 1, 1])),
        }
    }
    /// This, each channel times its factor: `factor` is `[batch, channels]`.
    pub(super) fn times_channels(self, factor: Tensor<2>) -> Self {
        let [batch, n] = factor.dims();
        match self {
            Self::Nothing => Self::Nothing,
            Self::Features(x) => Self::Features(x * factor),
            Self::Tokens(x) => Self::Tokens(x * factor.reshape([batch, 1, n])),
            Self::Map(x) => Self::Map(crate::tensor::scale_channels(x, factor)),
        }
    }
    /// This, each channel plus its offset: `offset` is `[batch, channels]`.
    pub(super) fn plus_channels(self, offset: Tensor<2>) -> Self {
        let [batch, n] = offset.dims();
        match self {
            Self::Nothing => Self::Nothing,
            Self::Features(x) => Self::Features(x + offset),
            Self::Tokens(x) => Self::Tokens(x + offset.reshape([batch, 1, n])),
            Self::Map(x) => Self::Map(x + offset.reshape([batch, n, 1, 1])),
        }
    }
    /// The mean over all positions: `[batch, channels]`.
    pub(super) fn pooled(&self) -> Tensor<2> {
        match self.clone() {
            Self::Features(x) => x,
            Self::Tokens(x) => {
                let [batch, _, width] = x.dims();
                x.mean_dim(1).reshape([batch, width])
            }
            Self::Map(x) => {
                let [batch, channels, ..] = x.dims();
                crate::tensor::adaptive_avg_pool2d(x, 1).reshape([batch, channels])
            }
            Self::Nothing => panic!("expected something to pool, found nothing"),
        }
    }
}

/// A batch's metadata.
#[derive(Debug, Clone)]
pub struct MetadataTensors {
    /// All but the embedded columns, as numbers: `[batch, d_dense]`.
    pub dense: Tensor<2>,
    /// The embedded columns: `[batch, n_embedded]`, each below its table's number of codes.
    pub codes: Tensor<2, Int>,
}

impl MetadataTensors {
    /// Every row `n` times, one after another.
    pub(super) fn repeated(&self, n: usize) -> Self {
        let ([rows, d_dense], [_, n_embedded]) = (self.dense.dims(), self.codes.dims());
        let device = self.dense.device();
        let (dense, codes) = (self.dense.clone(), self.codes.clone());
        Self {
            // Burn neither expands nor reshapes what has no columns.
            dense: match d_dense {
                0 => Tensor::zeros([rows * n, 0], &device),
                _ => {
                    let each = dense.reshape([rows, 1, d_dense]);
                    each.expand([rows, n, d_dense]).reshape([rows * n, d_dense])
                }
            },
            codes: match n_embedded {
                0 => Tensor::zeros([rows * n, 0], &device),
                _ => {
                    let each = codes.reshape([rows, 1, n_embedded]);
                    each.expand([rows, n, n_embedded])
                        .reshape([rows * n, n_embedded])
                }
            },
        }
    }
    /// `n` rows from `start` on.
    pub(super) fn narrow(&self, start: usize, n: usize) -> Self {
        Self {
            dense: self.dense.clone().narrow(0, start, n),
            codes: self.codes.clone().narrow(0, start, n),
        }
    }
}

/// Training or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Dropout drops, normalisations use the batch's statistics and return them.
    Train,
    /// Nothing is random, and a row's output does not depend on its batch.
    #[default]
    Evaluate,
}

/// What a forward pass may read and where it leaves batch statistics. Nothing is global.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The rows' metadata; needed where the network reads any.
    pub metadata: Option<MetadataTensors>,
    /// 1 where a row has an image, 0 where it has none: `[batch, 1]`. `None`: every row has one.
    pub has_image: Option<Tensor<2>>,
    /// Where a row has several images: 1 for each that is there, else 0, `[batch, n_images]`. `None`: all are.
    pub has_images: Option<Tensor<2>>,
    /// How much each member of a [`Stack`](super::layer::Stack) counts in each row, `[batch, members]`. `None`: all alike.
    pub members: Option<Tensor<2>>,
    /// Factors of the stack for the rows of each member alone, `[3, branches]` each, weighed as the members are; empty: its own
    /// factors in every row.
    pub factors: Vec<Tensor<2>>,
    /// Training or not.
    pub mode: Mode,
    /// Seed of this step, for dropout.
    pub seed: u64,
    /// While training: the rows of all ranks are normalised together. `None`: each rank's are by themselves.
    pub sync_statistics: Option<SyncStatistics>,
    /// How convolutions form their products; the network sets its own ([`Network::precision`](super::Network::precision)).
    pub precision: Precision,
    /// Filled while training, to be given to [`Network::apply_statistics`](super::Network::apply_statistics).
    pub statistics: Vec<BatchStatistics>,
    /// What branches of their own put out, `[batch, n_outputs]` each: while training for a loss of their own; those of a
    /// [`Stack`](super::layer::Stack) else as well, the members of each joined.
    pub auxiliary: Vec<Tensor<2>>,
    /// How far the members of an [`Ensemble`](super::layer::Ensemble) are apart, for each output of the task:
    /// `[batch, n_outputs]`, of probabilities or of the numbers that are put out. `None` of a network that is none.
    pub spread: Option<Tensor<2>>,
    /// What a layer [`Visibility`](super::layer::Layer::Visibility) puts out while training: `[batch, n_points]`.
    pub visibility: Option<Tensor<2>>,
    /// `Some`: every [`SoftArgmax`](super::layer::Layer::SoftArgmax) adds its heatmaps before the softmax, for a loss of their
    /// own: `[batch, n_points, height, width]`.
    pub heatmaps: Option<Vec<Tensor<4>>>,
}

impl Context {
    /// To evaluate rows with this metadata.
    pub fn evaluate(metadata: Option<MetadataTensors>) -> Self {
        Self {
            metadata,
            ..Self::default()
        }
    }
    /// To train on rows with this metadata, in the step of this seed.
    pub fn train(metadata: Option<MetadataTensors>, seed: u64) -> Self {
        Self {
            metadata,
            mode: Mode::Train,
            seed,
            ..Self::default()
        }
    }
}

/// What one normalisation saw of one batch.
#[derive(Debug, Clone)]
pub struct BatchStatistics {
    /// The normalisation's path.
    pub path: String,
    /// `[channels]`, apart from any gradient.
    pub mean: Tensor<1>,
    /// `[channels]`, divided by n − 1 as torch stores it.
    pub variance: Tensor<1>,
}

/// Where a forward pass is in the tree.
#[derive(Debug)]
pub struct Walk<'a> {
    /// What the pass may read.
    pub context: &'a mut Context,
    path: String,
    taps: &'a [String],
    tapped: Vec<(String, Value)>,
}

impl<'a> Walk<'a> {
    /// At the root; the values at `taps` are kept.
    pub fn new(context: &'a mut Context, taps: &'a [String]) -> Self {
        Self {
            context,
            path: String::new(),
            taps,
            tapped: Vec::new(),
        }
    }
    /// The path of the layer that runs.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// Whether values inside the network are asked for, so that layers may not be run as one.
    pub(super) fn is_tapped(&self) -> bool {
        !self.taps.is_empty()
    }
    /// Runs something one level deeper.
    pub(super) fn within(&mut self, name: &str, run: impl FnOnce(&mut Self) -> Value) -> Value {
        let end = self.path.len();
        if end > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        let value = run(self);
        if self.taps.contains(&self.path) {
            self.tapped.push((self.path.clone(), value.clone()));
        }
        self.path.truncate(end);
        value
    }
    /// The values kept, in the order in which they came.
    pub fn into_tapped(self) -> Vec<(String, Value)> {
        self.tapped
    }
}
