//! Mixup: rows are trained on in pairs, each pair blended into one.

use burn::tensor::{Int, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::batch::{Batch, Input};
use crate::loss::Loss;
use crate::network::Value;
use crate::random::named;
use crate::random::shuffle;

/// How the rows of one batch are blended: row `i` becomes `λ · row i + (1 − λ) · row order[i]`.
///
/// One `λ` a batch, drawn from Beta(α, α), and one random order, as in the authors' code. Images (or features of the
/// frozen part) and dense metadata are blended; the codes of embedded columns cannot be, and stay those of row `i`.
/// So that these are of the row with the larger share, `λ` is the larger of `λ` and `1 − λ`, as in fastai: the pairs
/// are the same in the other order. The loss is blended instead of the targets, which for cross-entropies is the same:
/// `λ · loss(y_i) + (1 − λ) · loss(y_order[i])`.
///
/// # Source
///
/// Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization", arXiv:1710.09412, section 2 and figure 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mix {
    order: Vec<usize>,
    share: f64,
}

impl Mix {
    /// Draws for one batch of `n_rows`; a function of seed, step and part of the step alone.
    pub(crate) fn draw(alpha: f64, n_rows: usize, seed: u64, step: usize, part: usize) -> Self {
        let mut stream = named(seed, &format!("mixup of step {step}, part {part}"));
        let share = beta(alpha, &mut stream);
        let mut order: Vec<usize> = (0..n_rows).collect();
        shuffle(&mut order, &mut stream);
        Self {
            order,
            share: share.max(1.0 - share),
        }
    }

    /// Blends what comes into the network.
    pub(crate) fn inputs(&self, batch: &mut Batch) {
        batch.input = match std::mem::replace(&mut batch.input, Input::Nothing) {
            Input::Nothing => Input::Nothing,
            Input::Images(images) => {
                // Channels last in memory, and so they stay.
                let nhwc = self.blend(images.permute([0, 2, 3, 1]));
                Input::Images(nhwc.permute([0, 3, 1, 2]))
            }
            Input::Features { n, value } => Input::Features {
                n,
                value: match value {
                    Value::Nothing => Value::Nothing,
                    Value::Features(x) => Value::Features(self.blend(x)),
                    Value::Tokens(x) => Value::Tokens(self.blend(x)),
                    Value::Map(x) => Value::Map(self.blend(x)),
                },
            },
        };
        if let Some(metadata) = &mut batch.metadata {
            metadata.dense = self.blend(metadata.dense.clone());
        }
    }

    /// The loss with respect to both rows of each pair. Both means are divided by the same weight, for the rows are
    /// the same in another order.
    pub(crate) fn loss(
        &self,
        loss: &Loss,
        output: Tensor<2>,
        target: Tensor<2>,
        mask: Tensor<2>,
        share: Option<Tensor<2>>,
    ) -> Tensor<1> {
        // A row that is none of its part is none in any pair.
        let share = share.map(|share| share.clone() * self.reordered(share));
        let (other_target, other_mask) =
            (self.reordered(target.clone()), self.reordered(mask.clone()));
        let other = loss.mean_of_share(output.clone(), other_target, other_mask, share.clone());
        loss.mean_of_share(output, target, mask, share) * self.share + other * (1.0 - self.share)
    }

    fn blend<const D: usize>(&self, rows: Tensor<D>) -> Tensor<D> {
        self.reordered(rows.clone()) * (1.0 - self.share) + rows * self.share
    }

    fn reordered<const D: usize>(&self, rows: Tensor<D>) -> Tensor<D> {
        let order: Vec<i32> = self.order.iter().map(|&row| row as i32).collect();
        let order = TensorData::new(order, [self.order.len()]);
        let order = Tensor::<1, Int>::from_data(order, &rows.device());
        rows.select(0, order)
    }
}

/// A number in [0, 1] from Beta(α, α): of two Gamma(α) numbers, the first one's share of their sum.
fn beta(alpha: f64, stream: &mut ChaCha8Rng) -> f64 {
    let (a, b) = (ln_gamma(alpha, stream), ln_gamma(alpha, stream));
    1.0 / (1.0 + (b - a).exp())
}

/// The logarithm of a Gamma(shape) number: for a small shape the number itself is soon 0.
///
/// # Source
///
/// Marsaglia & Tsang 2000, "A simple method for generating gamma variables", of shape + 1, times `U^(1/shape)`
/// (their section 6).
fn ln_gamma(shape: f64, stream: &mut ChaCha8Rng) -> f64 {
    let d = shape + 1.0 - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        // Box and Muller 1958.
        let radius = (-2.0 * unit(stream).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * unit(stream)).cos();
        let v = (1.0 + c * normal).powi(3);
        if v > 0.0 && unit(stream).ln() < 0.5 * normal * normal + d * (1.0 - v + v.ln()) {
            return (d * v).ln() + unit(stream).ln() / shape;
        }
    }
}

/// Uniform in (0, 1).
fn unit(stream: &mut ChaCha8Rng) -> f64 {
    ((stream.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use serde_json::Value as Json;

    /// Made by `tests/reference/mixup.py` with PyTorch.
    const REFERENCE: &str = include_str!("../../tests/reference/mixup.json");

    fn matrix(value: &Json, device: &Device) -> Tensor<2> {
        let rows: Vec<Vec<f32>> = serde_json::from_value(value.clone()).unwrap();
        let shape = [rows.len(), rows[0].len()];
        Tensor::from_data(TensorData::new(rows.concat(), shape), device)
    }

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data_as::<f32>().try_into_vec().unwrap()
    }

    fn assert_near(found: &[f32], expected: &[f32], what: &str) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-6,
                "{what}: {found} is not {expected}"
            );
        }
    }

    #[test]
    fn blended_rows_and_their_loss_agree_with_pytorch_on_soft_targets() {
        let device = Device::flex().autodiff();
        for case in serde_json::from_str::<Vec<Json>>(REFERENCE).unwrap() {
            let name = case["name"].as_str().unwrap();
            let mix = Mix {
                order: serde_json::from_value(case["order"].clone()).unwrap(),
                share: case["share"].as_f64().unwrap(),
            };
            let blended = mix.blend(matrix(&case["input"], &device));
            assert_near(
                &numbers(blended),
                &numbers(matrix(&case["blended"], &device)),
                name,
            );
            let loss: Loss = serde_json::from_value(case["loss"].clone()).unwrap();
            let output = matrix(&case["output"], &device).require_grad();
            let target = matrix(&case["target"], &device);
            let mask = Tensor::ones(target.shape(), &device);
            let mean = mix.loss(&loss, output.clone(), target, mask, None);
            let mut gradients = mean.backward();
            let expected = case["mean"].as_f64().unwrap() as f32;
            assert_near(&[mean.into_scalar()], &[expected], name);
            let gradient = output.grad_remove(&mut gradients).unwrap();
            let expected = numbers(matrix(&case["gradient"], &device));
            assert_near(&numbers(gradient), &expected, name);
        }
    }

    #[test]
    fn images_features_and_dense_metadata_are_blended_and_codes_are_not() {
        use crate::loader::HostBatch;
        let device = Device::flex();
        let mix = Mix {
            order: vec![1, 0],
            share: 0.75,
        };
        let host = HostBatch {
            rows: vec![3, 5],
            size: 1,
            images: vec![0.0, 0.0, 4.0, 4.0, 8.0, 8.0],
            dense: vec![1.0, 5.0],
            codes: vec![2, 6],
            ..HostBatch::default()
        };
        let mut batch = Batch::new(host.clone(), &device);
        mix.inputs(&mut batch);
        let Input::Images(images) = batch.input else {
            panic!("images")
        };
        assert_eq!(numbers(images), [1.0, 2.0, 5.0, 3.0, 6.0, 7.0]);
        let metadata = batch.metadata.unwrap();
        assert_eq!(numbers(metadata.dense), [2.0, 4.0]);
        assert_eq!(numbers(metadata.codes.float()), [2.0, 6.0]);

        let features = Tensor::<2>::from_floats([[0.0], [4.0]], &device);
        let mut batch = Batch::new(host, &device);
        batch.input = Input::Features {
            n: 1,
            value: Value::Features(features),
        };
        mix.inputs(&mut batch);
        let Input::Features {
            value: Value::Features(features),
            ..
        } = batch.input
        else {
            panic!("features")
        };
        assert_eq!(numbers(features), [1.0, 3.0]);
    }

    #[test]
    fn the_share_has_the_distribution_of_beta() {
        // Of Beta(α, α): mean 1/2, variance 1 / (4 (2α + 1)); its distribution function is known for 1/2 and 1.
        let n = 20_000;
        for alpha in [0.01, 0.2, 0.5, 1.0, 8.0] {
            let mut stream = named(3, "beta");
            let drawn: Vec<f64> = (0..n).map(|_| beta(alpha, &mut stream)).collect();
            assert!(drawn.iter().all(|x| (0.0..=1.0).contains(x)));
            let mean = drawn.iter().sum::<f64>() / n as f64;
            let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            // The mean's standard error is below 0.5 / √n = 0.0035.
            assert!((mean - 0.5).abs() < 0.0125, "{alpha}: {mean}");
            assert!(
                (variance / expected - 1.0).abs() < 0.04,
                "{alpha}: {variance} is not {expected}"
            );
            let below = drawn.iter().filter(|x| **x < 0.1).count() as f64 / n as f64;
            let expected = match alpha {
                0.5 => 2.0 / std::f64::consts::PI * 0.1f64.sqrt().asin(),
                1.0 => 0.1,
                _ => continue,
            };
            assert!((below - expected).abs() < 0.01, "{alpha}: {below}");
        }
    }

    #[test]
    fn the_larger_share_is_the_rows_own_and_a_step_always_draws_the_same() {
        for step in 0..50 {
            let mix = Mix::draw(0.4, 6, 1, step, 0);
            assert!((0.5..=1.0).contains(&mix.share), "{mix:?}");
            let mut sorted = mix.order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
            assert_eq!(mix, Mix::draw(0.4, 6, 1, step, 0));
        }
        assert_ne!(Mix::draw(0.4, 6, 1, 0, 0), Mix::draw(0.4, 6, 1, 0, 1));
    }
}
