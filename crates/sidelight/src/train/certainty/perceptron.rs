//! A perceptron of one hidden layer, fitted by AdamW to what is known of points.

use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use crate::network::Node;
use crate::random::{named, shuffle, uniform};
use crate::tensor::numbers;

const EPOCHS: usize = 150;
const BATCH: usize = 64;
/// So many epochs without a better one end it.
const PATIENCE: usize = 15;
/// One unit in so many is not learned from, and says which epoch is the best.
const INNER: u64 = 6;
const RATE: f32 = 1e-3;
const DECAY: f32 = 1e-2;
const DROPOUT: f64 = 0.2;
/// No error pulls harder than one so many times as large as expected.
const FARTHEST: f32 = 20.0;

/// Rows, one after another.
pub(super) struct Samples {
    pub(super) n: usize,
    /// `[row][width]`
    pub(super) inputs: Vec<f32>,
    /// `[row][point]`: 1, 0, NaN.
    pub(super) visible: Vec<f32>,
    /// `[row][point]`, NaN where it is not known.
    pub(super) distances: Vec<f32>,
}

impl Samples {
    fn n_points(&self) -> usize {
        self.visible.len() / self.n.max(1)
    }
    fn width(&self) -> usize {
        self.inputs.len() / self.n.max(1)
    }
}

/// Standardised inputs, a hidden layer, two numbers a point: log-odds of all, then logarithms of expected distances.
pub(super) struct Perceptron {
    mean: Vec<f32>,
    variance: Vec<f32>,
    /// `fc1.weight` `[hidden, width]`, `fc1.bias`, `fc2.weight` `[2 n, hidden]`, `fc2.bias`.
    parameters: [Tensor<2>; 4],
}

/// The square root's guard, that of [`BatchNorm`](crate::network::layer::BatchNorm).
const EPSILON: f32 = 1e-5;

impl Perceptron {
    /// Fits it; `units` are one a row: those of one unit are all learned from, or none is.
    pub(super) fn fit(samples: &Samples, units: &[u64], hidden: usize, seed: u64) -> Self {
        let device = Device::flex();
        let (n_points, width) = (samples.n_points(), samples.width());
        let mut random = named(seed, "certainty");
        let (mean, variance) = moments(samples);
        let bound = (width.max(1) as f32).sqrt().recip();
        let start = |random: &mut ChaCha8Rng| (2.0 * uniform(random) as f32 - 1.0) * bound;
        let weight: Vec<f32> = (0..hidden * width).map(|_| start(&mut random)).collect();
        let bias: Vec<f32> = (0..hidden).map(|_| start(&mut random)).collect();
        let matrix = |values: Vec<f32>, shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(values, shape), &device)
        };
        let mut found = Self {
            mean,
            variance,
            parameters: [
                matrix(weight, [hidden, width]),
                matrix(bias, [1, hidden]),
                matrix(vec![0.0; 2 * n_points * hidden], [2 * n_points, hidden]),
                matrix(constants(samples), [1, 2 * n_points]),
            ],
        };
        // Multiplied by the golden ratio, neighbours lie far apart.
        let is_inner = |row: &usize| {
            (units[*row].wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).is_multiple_of(INNER)
        };
        let (inner, mut learned): (Vec<usize>, Vec<usize>) = (0..samples.n).partition(is_inner);
        if inner.is_empty() || learned.is_empty() {
            return found;
        }
        let all = found.standardised(samples);
        let mut steps = Steps::new(&found.parameters);
        let mut best = (
            found.loss(samples, &all, &inner),
            found.parameters.clone(),
            0,
        );
        for epoch in 1..=EPOCHS {
            shuffle(&mut learned, &mut random);
            for rows in learned.chunks(BATCH) {
                let gradients = found.gradients(samples, &all, rows, &mut random);
                steps.step(&mut found.parameters, gradients);
            }
            let loss = found.loss(samples, &all, &inner);
            if loss < best.0 {
                best = (loss, found.parameters.clone(), epoch);
            } else if epoch - best.2 >= PATIENCE || !loss.is_finite() {
                break;
            }
        }
        found.parameters = best.1;
        found
    }

    /// What it puts out: `[row][2 n]`.
    pub(super) fn say(&self, samples: &Samples) -> Vec<f32> {
        match samples.n {
            0 => Vec::new(),
            _ => numbers(self.outputs(self.standardised(samples), None).1),
        }
    }

    /// Multiplies log-odds by a factor, and adds to the logarithms of distances.
    pub(super) fn scale(&mut self, factor: f32, offset: f32) {
        let [_, _, weight, bias] = &self.parameters;
        let [outputs, hidden] = weight.dims();
        let half = outputs / 2;
        let scaled = |of: &Tensor<2>, axis: usize| {
            let (v, s) = (
                of.clone().narrow(axis, 0, half),
                of.clone().narrow(axis, half, half),
            );
            (v * factor, s)
        };
        let (v, s) = scaled(weight, 0);
        let weight = Tensor::cat(vec![v, s], 0).reshape([outputs, hidden]);
        let (v, s) = scaled(bias, 1);
        let bias = Tensor::cat(vec![v, s + offset], 1);
        self.parameters[2] = weight;
        self.parameters[3] = bias;
    }

    /// Gives its numbers to the layers `norm`, `fc1` and `fc2` of a head.
    pub(super) fn write_into(&self, node: &mut Node) {
        let [first, first_bias, second, second_bias] = self.parameters.clone().map(numbers);
        node.each_parameter_mut("", &mut |path, parameter| {
            let values = match path {
                "say.certainty.norm.running_mean" => &self.mean,
                "say.certainty.norm.running_var" => &self.variance,
                "say.certainty.fc1.weight" => &first,
                "say.certainty.fc1.bias" => &first_bias,
                "say.certainty.fc2.weight" => &second,
                "say.certainty.fc2.bias" => &second_bias,
                _ => return,
            };
            parameter.set_values(values.clone());
        });
    }

    fn standardised(&self, samples: &Samples) -> Tensor<2> {
        let factors: Vec<f32> = self
            .variance
            .iter()
            .map(|variance| (variance + EPSILON).sqrt().recip())
            .collect();
        let width = samples.width();
        let value = |(at, x): (usize, &f32)| (x - self.mean[at % width]) * factors[at % width];
        let values = samples.inputs.iter().enumerate().map(value).collect();
        Tensor::from_data(TensorData::new(values, [samples.n, width]), &Device::flex())
    }

    /// The hidden layer, some of it dropped, and the outputs.
    fn outputs(&self, x: Tensor<2>, kept: Option<Tensor<2>>) -> (Tensor<2>, Tensor<2>) {
        let [weight, bias, second, second_bias] = self.parameters.clone();
        let mut hidden = (x.matmul(weight.transpose()) + bias).clamp_min(0.0);
        if let Some(kept) = kept {
            hidden = hidden * kept;
        }
        let outputs = hidden.clone().matmul(second.transpose()) + second_bias;
        (hidden, outputs)
    }

    fn loss(&self, samples: &Samples, all: &Tensor<2>, rows: &[usize]) -> f64 {
        let outputs = numbers(self.outputs(selected(all, rows), None).1);
        let terms = each(samples, rows, &outputs, |kind| match kind {
            Term::Visible { log_odds, is } => {
                let signed = if is { log_odds } else { -log_odds };
                f64::from((-signed).max(0.0) + (-signed.abs()).exp().ln_1p())
            }
            Term::Distance { log, distance } => f64::from(distance * (-log).exp() + log),
        });
        let known: Vec<f64> = terms.into_iter().flatten().collect();
        known.iter().sum::<f64>() / (known.len() as f64).max(1.0)
    }

    /// Of the mean loss of these rows, with respect to each of the parameters.
    fn gradients(
        &self,
        samples: &Samples,
        all: &Tensor<2>,
        rows: &[usize],
        random: &mut ChaCha8Rng,
    ) -> [Tensor<2>; 4] {
        let device = all.device();
        let x = selected(all, rows);
        let hidden = self.parameters[1].dims()[1];
        let share = (1.0 - DROPOUT).recip() as f32;
        let kept = (0..rows.len() * hidden)
            .map(|_| {
                if uniform(random) < DROPOUT {
                    0.0
                } else {
                    share
                }
            })
            .collect::<Vec<f32>>();
        let kept = Tensor::<2>::from_data(TensorData::new(kept, [rows.len(), hidden]), &device);
        let (active, outputs) = self.outputs(x.clone(), Some(kept.clone()));
        let width = outputs.dims()[1];
        let said = numbers(outputs);
        let slopes = each(samples, rows, &said, |kind| match kind {
            Term::Visible { log_odds, is } => {
                let p = (1.0 + (-log_odds).exp()).recip();
                p - if is { 1.0 } else { 0.0 }
            }
            Term::Distance { log, distance } => 1.0 - (distance * (-log).exp()).min(FARTHEST),
        });
        let n = slopes.iter().flatten().count().max(1) as f32;
        let slopes: Vec<f32> = slopes
            .into_iter()
            .map(|slope| slope.unwrap_or(0.0) / n)
            .collect();
        let slopes = Tensor::<2>::from_data(TensorData::new(slopes, [rows.len(), width]), &device);
        let is_active = active.clone().greater_elem(0.0).float();
        let back = slopes.clone().matmul(self.parameters[2].clone()) * kept * is_active;
        [
            back.clone().transpose().matmul(x),
            back.sum_dim(0),
            slopes.clone().transpose().matmul(active),
            slopes.sum_dim(0),
        ]
    }
}

/// What an output is compared with.
enum Term {
    Visible { log_odds: f32, is: bool },
    Distance { log: f32, distance: f32 },
}

/// Something of each output of these rows, `[row][2 n]`; `None` where the truth is not known.
fn each<T>(
    samples: &Samples,
    rows: &[usize],
    said: &[f32],
    of: impl Fn(Term) -> T,
) -> Vec<Option<T>> {
    let n = samples.n_points();
    let known = |value: f32| (!value.is_nan()).then_some(value);
    let of_row = |(row, said): (&usize, &[f32])| {
        let visible = &samples.visible[row * n..(row + 1) * n];
        let distances = &samples.distances[row * n..(row + 1) * n];
        let first = visible.iter().zip(&said[..n]).map(|(&is, &log_odds)| {
            known(is).map(|is| {
                of(Term::Visible {
                    log_odds,
                    is: is > 0.5,
                })
            })
        });
        let second = distances.iter().zip(&said[n..]).map(|(&distance, &log)| {
            known(distance).map(|distance| of(Term::Distance { log, distance }))
        });
        first.chain(second).collect::<Vec<_>>()
    };
    rows.iter()
        .zip(said.chunks_exact((2 * n).max(1)))
        .flat_map(of_row)
        .collect()
}

fn selected(all: &Tensor<2>, rows: &[usize]) -> Tensor<2> {
    let rows: Vec<i32> = rows
        .iter()
        .filter_map(|&row| i32::try_from(row).ok())
        .collect();
    let n = rows.len();
    let rows = Tensor::<1, burn::tensor::Int>::from_data(TensorData::new(rows, [n]), &all.device());
    all.clone().select(0, rows)
}

/// Mean and variance of each input; what hardly varies has the variance 1, lest a new row's be blown up.
fn moments(samples: &Samples) -> (Vec<f32>, Vec<f32>) {
    let (n, width) = (samples.n.max(1) as f64, samples.width());
    let mut sums = vec![[0.0; 2]; width];
    for row in samples.inputs.chunks_exact(width.max(1)) {
        for (sums, &x) in sums.iter_mut().zip(row) {
            let x = f64::from(x);
            *sums = [sums[0] + x, sums[1] + x * x];
        }
    }
    let of = |[sum, squares]: [f64; 2]| {
        let mean = sum / n;
        let variance = (squares / n - mean * mean).max(0.0);
        let hardly = 1e-6 * (1.0 + mean * mean);
        (
            mean as f32,
            if variance < hardly {
                1.0
            } else {
                variance as f32
            },
        )
    };
    sums.into_iter().map(of).unzip()
}

/// What is best put out where nothing is read: of each point how often it is visible, and its mean distance.
fn constants(samples: &Samples) -> Vec<f32> {
    let n = samples.n_points();
    let known = |values: &[f32], point: usize| -> Vec<f64> {
        let of_point = values.iter().skip(point).step_by(n.max(1));
        of_point
            .filter(|value| !value.is_nan())
            .map(|&value| f64::from(value))
            .collect()
    };
    let visible = (0..n).map(|point| {
        let all = known(&samples.visible, point);
        let seen: f64 = all.iter().sum();
        // Half a row more on each side: never sure.
        ((seen + 0.5) / (all.len() as f64 - seen + 0.5)).ln() as f32
    });
    let of_all: Vec<f64> = (0..n)
        .flat_map(|point| known(&samples.distances, point))
        .collect();
    let mean = |all: &[f64]| (all.iter().sum::<f64>() / all.len() as f64).max(1e-6).ln() as f32;
    let distances = (0..n).map(|point| match known(&samples.distances, point) {
        all if !all.is_empty() => mean(&all),
        _ if !of_all.is_empty() => mean(&of_all),
        _ => 0.0,
    });
    visible.chain(distances).collect()
}

/// Loshchilov and Hutter 2019, "Decoupled weight decay regularization", arXiv:1711.05101, algorithm 2.
struct Steps {
    n: i32,
    first: [Tensor<2>; 4],
    second: [Tensor<2>; 4],
}

impl Steps {
    fn new(parameters: &[Tensor<2>; 4]) -> Self {
        let zeros = || parameters.each_ref().map(Tensor::zeros_like);
        Self {
            n: 0,
            first: zeros(),
            second: zeros(),
        }
    }

    fn step(&mut self, parameters: &mut [Tensor<2>; 4], gradients: [Tensor<2>; 4]) {
        const MOMENTA: [f32; 2] = [0.9, 0.999];
        self.n += 1;
        let corrections = MOMENTA.map(|momentum| 1.0 - momentum.powi(self.n));
        for (at, gradient) in gradients.into_iter().enumerate() {
            let [a, b] = MOMENTA;
            self.first[at] = self.first[at].clone() * a + gradient.clone() * (1.0 - a);
            self.second[at] = self.second[at].clone() * b + gradient.clone() * gradient * (1.0 - b);
            let size = (self.second[at].clone() / corrections[1]).sqrt() + 1e-8;
            let step = self.first[at].clone() / corrections[0] / size;
            // Biases are not pulled to 0.
            let decay = if at % 2 == 0 { RATE * DECAY } else { 0.0 };
            parameters[at] = parameters[at].clone() * (1.0 - decay) - step * RATE;
        }
    }
}
