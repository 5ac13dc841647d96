//! After training: how sure each predicted point is, and how far off it is expected to be.
//!
//! A network of points says where they are whether or not they can be seen. Beside its head a small perceptron reads what
//! the head reads, and the metadata, and puts out two numbers a point: the log-odds that it is in the image and can be
//! seen, and the logarithm of its expected error. It learns after everything else, so that the points are the same to the
//! bit with and without it:
//!
//! ```text
//! read = concat(places, features, metadata)            where the head puts the points, what it saw, and the row
//! say  = concat(places, W₂ ReLU(W₁ norm(read)))        [batch, 2 n] and [batch, 2 n]
//! loss = BCE(visible, v) + (d exp(−s) + s)    d: distance of a point that is there, in half-sides of the input
//! ```
//!
//! The second term is the negative log-likelihood of an exponential distribution, whose best `exp(s)` is the mean distance.
//! Where the members of a stack each left out a fold, distances are those of the member that has not learned from a row.
//! In the end both are calibrated on the validation rows: log-odds by a temperature, errors by a factor.
//!
//! Where points are hidden in the training rows, and the backbone learns, it also learns from that: beside the head a few
//! layers ([`Layer::Visibility`]) say which points can be seen, and their loss is a small part of the whole. What they say
//! becomes one of the inputs of the perceptron, and they go.
//!
//! # Source
//!
//! Learned confidence of a regression: Kendall and Gal 2017, "What uncertainties do we need in Bayesian deep learning for
//! computer vision?", arXiv:1703.04977, section 3.1 (there Gaussian, learned together with what it is about). Visibility as
//! in COCO keypoints: `v = 0, 1, 2`.

mod perceptron;

use std::collections::HashSet;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::batch::{Batch, Input, numbers, of_task};
use crate::dataset::Targets;
use crate::error::Result;
use crate::loss::Loss;
use crate::metric::calibration::{Prior, temperature_of_label_logits};
use crate::metric::keypoints::distance;
use crate::network::head::{HEAD, PLACES};
use crate::network::layer::{
    AdaptiveAvgPool, BatchNorm, Conv2d, Layer, Linear, MetadataSource, Slice,
};
use crate::network::parameter::Start;
use crate::network::{Architecture, Context, Edit, Network, Node, Shape, Value, Walk, shape};
use crate::ranks::gather_numbers;
use crate::task::{Prediction, Task};

use super::Session;
use perceptron::{Perceptron, Samples};

/// Width of the hidden layer.
const HIDDEN: usize = 128;
/// Of a map, so many channels (projected at random) in so many cells a side are read.
const CHANNELS: usize = 64;
const CELLS: usize = 4;
/// More training rows are sampled evenly.
const MOST_ROWS: usize = 4000;
/// Errors are not made larger or smaller by more than this.
const MOST_FACTOR: f64 = 10.0;

/// Where what they say is read by the head.
const SEEN: &str = "read.inputs.seen";
/// The child before the head that says which points can be seen, while the network learns.
const VISIBILITY: &str = "visibility";
/// It is there where at least so many of the points of training rows are hidden.
const LEAST_HIDDEN: f64 = 0.01;
/// What a point's visibility counts in the loss, where each of its coordinates counts 1.
const WEIGHT: f64 = 0.02;

/// Has a network of points learn which of them can be seen, where these rows hide some.
///
/// # Errors
///
/// Those of [`Network::edit`].
pub(super) fn watch(network: &mut Network, targets: &Targets, rows: &[usize]) -> Result<()> {
    let seen = rows.iter().flat_map(|&row| targets.visible(row)).flatten();
    let (mut n_hidden, mut n) = (0, 0);
    seen.for_each(|is_seen| {
        n_hidden += usize::from(!is_seen);
        n += 1;
    });
    let layers = network.inspect()?;
    let head = layers.iter().find(|layer| layer.path == HEAD);
    let are_some = n_hidden > 0 && n_hidden as f64 >= LEAST_HIDDEN * n as f64;
    let Some(head) = head.filter(|head| are_some && head.input != Shape::Nothing) else {
        return Ok(());
    };
    let n_points = targets.visible(rows[0]).len();
    let mut layers = features_of(head.input);
    layers.extend([
        Linear::new(HIDDEN).into(),
        Layer::Relu.into(),
        Linear::new(n_points).zeros().into(),
    ]);
    let layer = Architecture {
        layer: Layer::Visibility,
        ..Architecture::numbered(layers)
    };
    network.edit(Edit::insert_before(HEAD, VISIBILITY, layer))?;
    Ok(())
}

/// The loss of a batch of a network that [learns](watch) which points can be seen, a mean, and the weight of it; of the places
/// alone they are `own` and `weight`.
///
/// # Shapes
///
/// - `said`: `[batch, n_points]`, log-odds; `visible`, `mask`: as in a [`Batch`]
pub(super) fn with_visibility(
    (own, weight): (Tensor<1>, f64),
    said: Tensor<2>,
    (visible, mask): (Tensor<2>, Tensor<2>),
) -> (Tensor<1>, f64) {
    let loss = Loss::BinaryCrossEntropy {
        positive_weights: Vec::new(),
        focus: 0.0,
    };
    let further = WEIGHT * loss.weight(visible.clone(), mask.clone());
    let all = (weight + further).max(f64::from(f32::MIN_POSITIVE));
    let seen = loss.mean(said, visible, mask);
    (own * (weight / all) + seen * (further / all), all)
}

/// What is known of a row's points: what the perceptron reads, and what it is to say.
struct Row {
    /// Position in the data set.
    row: usize,
    inputs: Vec<f32>,
    /// 1, 0, NaN: not known.
    visible: Vec<f32>,
    /// Distance from the truth in half-sides of the input; NaN: not known.
    distances: Vec<f32>,
}

impl Session {
    /// Has a network of points say how sure it is; all ranks do. Nothing happens where the task is another.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub(crate) fn assure(&mut self) -> Result<()> {
        let Task::Keypoints { columns, .. } = &*self.setup.task else {
            return Ok(());
        };
        let n_points = columns.len() / 2;
        let children = &mut self.state.network.root.children;
        let watched = children.iter().position(|(name, _)| name == VISIBILITY);
        let watched = watched.map(|at| {
            let (_, mut node) = children.remove(at);
            node.layer = Layer::Sequential;
            node
        });
        let network = &self.state.network;
        let layers = network.inspect()?;
        let Some(head) = layers.iter().find(|layer| layer.path == HEAD) else {
            return Ok(());
        };
        let d_dense = match network.reads_metadata() {
            true => self.setup.batches.source.encoder.d_dense(),
            false => 0,
        };
        let (input, output) = (head.input, head.output.channels());
        let Some((_, places)) = network.root.children.iter().find(|(name, _)| name == HEAD) else {
            return Ok(());
        };
        let of_image = watched.as_ref().map(Node::architecture);
        let mut layers = with_certainty(
            (places.architecture(), output),
            (input, of_image),
            d_dense,
            n_points,
        );
        shape::infer(&mut layers, input)?;
        let (seed, device) = (
            self.setup.config.train.seed,
            self.setup.batches.device.clone(),
        );
        let mut node = Node::new(&layers, HEAD, Start::Seed(seed), &device);
        *node.get_mut(PLACES)? = places.clone();
        if let Some(watched) = watched {
            *node.get_mut(SEEN)? = watched;
        }

        let rows = self.rows_of_points(node.get_mut("read")?)?;
        let is_valid = |row: &Row| self.setup.batches.valid.contains(&row.row);
        let (held_out, learned): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(is_valid);
        if learned.is_empty() {
            return Ok(());
        }
        let dataset = &self.setup.batches.source.dataset;
        let unit = |row: &Row| match &dataset.groups {
            Some(groups) => u64::from(groups[row.row]),
            None => row.row as u64,
        };
        let units: Vec<u64> = learned.iter().map(unit).collect();
        let mut perceptron = Perceptron::fit(&samples(&learned), &units, HIDDEN, seed);
        calibrate(&mut perceptron, &held_out);
        perceptron.write_into(&mut node);

        *self.state.network.root.get_mut(HEAD)? = node;
        Ok(())
    }

    /// What is known of the points of training and validation rows, in the order of the data set; every rank its share, and
    /// all get all.
    fn rows_of_points(&self, read: &Node) -> Result<Vec<Row>> {
        let setup = &self.setup;
        let (batches, task) = (&setup.batches, &setup.task);
        let (network, read) = (self.state.network.valid(), read.valid());
        let device = batches.device.clone().inner();
        let targets = batches.source.dataset.targets.as_ref();
        let targets = targets.expect("a session has targets");
        let every = batches.train.len().div_ceil(MOST_ROWS).max(1);
        let valid: HashSet<usize> = batches.valid.iter().copied().collect();
        let mut flat = Vec::new();
        let (n, mut width) = (task.n_outputs() / 2, 0);
        for batch in batches.validation().chain(batches.training_in_order()) {
            let batch = setup.members.hold_out(batch?, &device);
            let mut context = Context::evaluate(None);
            let value = before_head(&batch, &network, &mut context);
            let mut walk = Walk::new(&mut context, &[]);
            let all = read.forward(value, &mut walk).features();
            width = all.dims()[1];
            let predictions = batch.decode(task, of_task(task, all.clone()));
            let all = numbers(all);
            let visible = visible_in(&batch);
            let of_rows = batch.rows.iter().zip(batch.sides()).zip(predictions);
            let of_rows = of_rows
                .zip(visible.chunks_exact(n))
                .zip(all.chunks_exact(width));
            for ((((&row, side), prediction), visible), inputs) in of_rows {
                let is_sampled = row % every == 0 || valid.contains(&row);
                let Prediction::Keypoints { xy, .. } = prediction else {
                    continue;
                };
                if batches.is_unreadable(row) || !is_sampled {
                    continue;
                }
                flat.push(row as f64);
                flat.extend(visible);
                let (truth, mask) = task.encode(targets, row);
                let truth = truth.as_chunks::<2>().0.iter().zip(mask.as_chunks::<2>().0);
                flat.extend(xy.iter().zip(truth).map(|(found, (truth, mask))| {
                    match mask[0] > 0.0 {
                        true => distance(found.map(f64::from), truth.map(f64::from)) / (side / 2.0),
                        false => f64::NAN,
                    }
                }));
                flat.extend(inputs.iter().map(|&number| f64::from(number)));
            }
        }
        // A rank without a row does not know how wide they are.
        let widths = gather_numbers(&*batches.ranks, &[width as f64]);
        let width = widths.into_iter().fold(0.0, f64::max) as usize;
        let flat = gather_numbers(&*batches.ranks, &flat);
        let narrow = |numbers: &[f64]| numbers.iter().map(|&number| number as f32).collect();
        let rows = flat.chunks_exact(1 + 2 * n + width).map(|row| Row {
            row: row[0] as usize,
            visible: narrow(&row[1..=n]),
            distances: narrow(&row[1 + n..=2 * n]),
            inputs: narrow(&row[1 + 2 * n..]),
        });
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by_key(|row| row.row);
        Ok(rows)
    }
}

/// What the head is given, as a list of numbers.
fn features_of(input: Shape) -> Vec<Architecture> {
    match input {
        Shape::Nothing => Vec::new(),
        Shape::Features(_) => vec![Layer::Identity.into()],
        Shape::Tokens { .. } => vec![Layer::FirstToken.into()],
        Shape::Map { height, width, .. } => {
            let pool = AdaptiveAvgPool { side: CELLS }.into();
            let mut layers = vec![Conv2d::new(CHANNELS, 1).into()];
            layers.extend((height.max(width) > CELLS).then_some(pool));
            layers.push(Layer::Flatten.into());
            layers
        }
    }
}

/// A head of points that also says how sure they are, where such features come to it, of which layers say already which
/// points can be seen.
fn with_certainty(
    (places, width): (Architecture, usize),
    (features, seen): (Shape, Option<Architecture>),
    d_dense: usize,
    n_points: usize,
) -> Architecture {
    let mut inputs = Vec::new();
    if features != Shape::Nothing {
        inputs.push(("features", Architecture::numbered(features_of(features))));
    }
    inputs.extend(seen.map(|seen| ("seen", seen)));
    if d_dense > 0 {
        let source = MetadataSource {
            d_dense,
            ..MetadataSource::default()
        };
        inputs.push(("metadata", source.architecture()));
    }
    let own = Slice {
        start: 0,
        length: width,
    };
    let certainty = [
        ("norm", BatchNorm::default().into()),
        ("fc1", Linear::new(HIDDEN).into()),
        ("relu", Layer::Relu.into()),
        ("fc2", Linear::new(2 * n_points).zeros().into()),
    ];
    let certainty = Architecture::sequence(certainty);
    let say = [("places", own.into()), ("certainty", certainty)];
    let mut read = vec![("places", places)];
    if !inputs.is_empty() {
        read.push(("inputs", Architecture::with(Layer::Concat, inputs)));
    }
    Architecture::sequence([
        ("read", Architecture::with(Layer::Concat, read)),
        ("say", Architecture::with(Layer::Concat, say)),
    ])
}

/// Where among its children a network has its head.
fn position_of_head(network: &Network) -> usize {
    let children = &network.root.children;
    let head = children.iter().position(|(name, _)| name == HEAD);
    head.unwrap_or(children.len())
}

/// What comes to the head.
fn before_head(batch: &Batch, network: &Network, context: &mut Context) -> Value {
    let to = position_of_head(network);
    batch.tell(context);
    match &batch.input {
        Input::Nothing => network.forward_part(0, to, Value::Nothing, context),
        Input::Images(images) => network.forward_part(0, to, Value::Map(images.clone()), context),
        Input::Features { n, value } => network.forward_part(*n, to, value.clone(), context),
    }
}

/// Of each point of each row 1 where it can be seen in the square that the network is given, else 0; NaN: not known.
fn visible_in(batch: &Batch) -> Vec<f64> {
    let of = |tensor: &Tensor<2>| numbers(tensor.clone()).into_iter();
    let all = batch.visible.as_ref().map(|(visible, known)| {
        let points = of(visible).zip(of(known));
        points.map(|(is, known)| if known > 0.0 { f64::from(is) } else { f64::NAN })
    });
    all.into_iter().flatten().collect()
}

fn samples(rows: &[Row]) -> Samples {
    let all = |of: fn(&Row) -> &Vec<f32>| rows.iter().flat_map(of).copied().collect();
    Samples {
        n: rows.len(),
        inputs: all(|row| &row.inputs),
        visible: all(|row| &row.visible),
        distances: all(|row| &row.distances),
    }
}

/// Makes log-odds as sure as they are right on these rows, and expected errors as large as the errors are in the mean.
fn calibrate(perceptron: &mut Perceptron, held_out: &[Row]) {
    let samples = samples(held_out);
    let said = perceptron.say(&samples);
    let n_points = said.len() / (2 * held_out.len()).max(1);
    let (mut truth, mut log_odds) = (Vec::new(), Vec::new());
    let (mut errors, mut expected) = (0.0, 0.0);
    for (row, said) in held_out
        .iter()
        .zip(said.chunks_exact((2 * n_points).max(1)))
    {
        let (v, s) = said.split_at(n_points);
        for point in 0..n_points {
            if !row.visible[point].is_nan() {
                truth.push(row.visible[point] > 0.5);
                log_odds.push(f64::from(v[point]));
            }
            if !row.distances[point].is_nan() {
                errors += f64::from(row.distances[point]);
                expected += f64::from(s[point]).exp();
            }
        }
    }
    let are_both = truth.contains(&true) && truth.contains(&false);
    let temperature = match are_both {
        true => temperature_of_label_logits(&truth, None, &log_odds, Prior::OF_A_MODEL),
        false => 1.0,
    };
    let factor = match errors > 0.0 && expected > 0.0 {
        true => (errors / expected).clamp(MOST_FACTOR.recip(), MOST_FACTOR),
        false => 1.0,
    };
    perceptron.scale(temperature.recip() as f32, factor.ln() as f32);
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::config::{Arm, ModelConfig};
    use crate::network::ModelSpec;

    fn network() -> Network {
        let config = ModelConfig {
            arm: Arm::Image,
            ..ModelConfig::default()
        };
        let spec = ModelSpec {
            n_outputs: 4,
            size: 64,
            spatial: true,
            ..ModelSpec::default()
        };
        Network::build(&config, &spec, 1, &Device::flex()).unwrap()
    }

    /// Two points a row, of which the second is hidden in as many rows.
    fn targets(n_rows: usize, n_hidden: usize) -> Targets {
        let mut targets = Targets::keypoints(2, vec![[1.0, 2.0]; 2 * n_rows]);
        if let Targets::Keypoints { visible, .. } = &mut targets {
            let of_row = |row: usize| [Some(true), Some(row >= n_hidden)];
            *visible = (0..n_rows).flat_map(of_row).collect();
        }
        targets
    }

    #[test]
    fn hidden_points_are_learned_where_there_are_some() {
        let rows: Vec<usize> = (0..100).collect();
        for (n_hidden, are_some) in [(0, false), (1, false), (2, true), (50, true)] {
            let mut network = network();
            watch(&mut network, &targets(100, n_hidden), &rows).unwrap();
            let names = network.root.child_names();
            assert_eq!(
                names.contains(&VISIBILITY.to_owned()),
                are_some,
                "{n_hidden}: {names:?}"
            );
            // What it says is left beside: the places are what they would be without.
            let images = Tensor::ones([3, 3, 64, 64], &Device::flex());
            let mut context = Context::train(None, 1);
            let places = network.forward(Some(images), &mut context);
            assert_eq!(places.dims(), [3, 4]);
            let said = context.visibility.map(|said| said.dims());
            assert_eq!(said, are_some.then_some([3, 2]), "{n_hidden}");
        }
    }

    #[test]
    fn what_is_seen_is_a_small_part_of_the_loss() {
        let device = Device::flex();
        let matrix = |values: [f32; 4]| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 2]), &device)
        };
        // Of three known points one is taken for hidden with the odds 3 : 1, and is.
        let said = matrix([-(3.0_f32.ln()), 0.0, 0.0, 7.0]);
        let (visible, mask) = (matrix([0.0, 1.0, 0.0, 0.0]), matrix([1.0, 1.0, 1.0, 0.0]));
        let own = Tensor::<1>::from_data(TensorData::new(vec![0.5_f32], [1]), &device);
        let (loss, weight) = with_visibility((own, 6.0), said, (visible, mask));
        let sum = 0.75_f64.ln() + 2.0 * 0.5_f64.ln();
        assert!((weight - (6.0 + 3.0 * WEIGHT)).abs() < 1e-12);
        let expected = (0.5 * 6.0 - WEIGHT * sum) / weight;
        assert!((f64::from(loss.into_scalar::<f32>()) - expected).abs() < 1e-6);
    }
}
