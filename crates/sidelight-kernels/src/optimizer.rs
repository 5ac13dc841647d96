//! Optimiser steps over flat slices, each in one pass over memory.

use crate::dispatch::{self, SimdPath};
use crate::parallel::CHUNK;
use crate::simd::{Kernel, Simd, kernel};
use rayon::prelude::*;

/// One AdamW step.
///
/// # Source
///
/// Loshchilov and Hutter 2019, in PyTorch's form: `p *= 1 - lr * decay`; `m = b1 m + (1 - b1) g`;
/// `v = b2 v + (1 - b2) g²`; `p -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// The learning rate of this step.
    pub lr: f32,
    /// Decay of the mean of gradients.
    pub beta1: f32,
    /// Decay of the mean of squares.
    pub beta2: f32,
    /// Added to the denominator; PyTorch's default is 1e-8.
    pub eps: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Steps taken, this one included: 1 for the first.
    pub step: u64,
    /// Multiplies every gradient first; 1, or less where the global norm is clipped.
    pub gradient_scale: f32,
}

impl AdamW {
    /// Updates `params`, the means `m` and the mean squares `v` from `grads`.
    ///
    /// # Panics
    ///
    /// When the lengths differ, or `step` is 0.
    pub fn update(&self, params: &mut [f32], grads: &[f32], m: &mut [f32], v: &mut [f32]) {
        let n = params.len();
        assert!(
            grads.len() == n && m.len() == n && v.len() == n,
            "lengths differ"
        );
        assert!(self.step > 0, "the first step is 1");
        let path = SimdPath::current();
        // Powers in f64: 0.999^t needs more digits than f32 has.
        let correction = |beta: f32| 1.0 - f64::from(beta).powf(self.step as f64);
        let (c1, c2) = (correction(self.beta1), correction(self.beta2));
        let rates = Rates {
            keep: (1.0 - f64::from(self.lr) * f64::from(self.weight_decay)) as f32,
            step: (f64::from(self.lr) / c1) as f32,
            root: (1.0 / c2.sqrt()) as f32,
            optimizer: *self,
        };
        params
            .par_chunks_mut(CHUNK)
            .zip(grads.par_chunks(CHUNK))
            .zip(m.par_chunks_mut(CHUNK))
            .zip(v.par_chunks_mut(CHUNK))
            .for_each(|(((p, g), m), v)| dispatch::run(path, adamw_step(&rates, p, g, m, v)));
    }
}

/// What is the same for every number of a step.
struct Rates {
    /// What weight decay leaves of a parameter.
    keep: f32,
    /// The learning rate over the bias correction of the mean.
    step: f32,
    /// One over the root of the bias correction of the mean square.
    root: f32,
    optimizer: AdamW,
}

kernel! {
    fn adamw_step<'a>(
        _: S,
        rates: &'a Rates,
        p: &'a mut [f32],
        g: &'a [f32],
        m: &'a mut [f32],
        v: &'a mut [f32],
    ) {
        let Rates { keep, step, root, optimizer } = *rates;
        let (a1, a2) = (1.0 - optimizer.beta1, 1.0 - optimizer.beta2);
        for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * optimizer.gradient_scale;
            *m += (g - *m) * a1;
            *v = *v * optimizer.beta2 + g * g * a2;
            *p = *p * keep - step * *m / (v.sqrt() * root + optimizer.eps);
        }
    }
}

/// How momentum enters an SGD step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Momentum {
    /// The step follows the velocity.
    #[default]
    Classical,
    /// The step follows the gradient plus the velocity to come.
    Nesterov,
}

/// One step of SGD with momentum.
///
/// # Source
///
/// PyTorch's form, without dampening: `g += decay * p`; `v = momentum * v + g`; `p -= lr * v`, or
/// `p -= lr * (g + momentum * v)` for Nesterov. With `v` zero at first, the first step is `v = g`, as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// The learning rate of this step.
    pub lr: f32,
    /// Decay of the velocity.
    pub momentum: f32,
    /// Classical or Nesterov momentum.
    pub kind: Momentum,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f32,
    /// Multiplies every gradient first; 1, or less where the global norm is clipped.
    pub gradient_scale: f32,
}

impl Sgd {
    /// Updates `params` and `velocity` from `grads`.
    ///
    /// # Panics
    ///
    /// When the lengths differ.
    pub fn update(&self, params: &mut [f32], grads: &[f32], velocity: &mut [f32]) {
        let n = params.len();
        assert!(grads.len() == n && velocity.len() == n, "lengths differ");
        let path = SimdPath::current();
        params
            .par_chunks_mut(CHUNK)
            .zip(grads.par_chunks(CHUNK))
            .zip(velocity.par_chunks_mut(CHUNK))
            .for_each(|((p, g), v)| dispatch::run(path, sgd_step(self, p, g, v)));
    }
}

kernel! {
    fn sgd_step<'a>(_: S, sgd: &'a Sgd, p: &'a mut [f32], g: &'a [f32], v: &'a mut [f32]) {
        let Sgd { lr, momentum, kind, weight_decay, gradient_scale } = *sgd;
        let is_nesterov = kind == Momentum::Nesterov;
        let ahead = if is_nesterov { momentum } else { 0.0 };
        let now = if is_nesterov { 1.0 } else { 0.0 };
        for ((p, g), v) in p.iter_mut().zip(g).zip(v) {
            let g = g * gradient_scale + weight_decay * *p;
            *v = momentum * *v + g;
            let step = if is_nesterov { now * g + ahead * *v } else { *v };
            *p -= lr * step;
        }
    }
}

/// The sum of squares, in `f64` and a fixed order; the global norm is the root of the sum over all slices.
#[must_use]
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let path = SimdPath::current();
    let parts: Vec<f64> = x
        .par_chunks(CHUNK)
        .map(|x| dispatch::run(path, sum_chunk_of_squares(x)))
        .collect();
    parts.iter().sum()
}

/// The factor that keeps the global norm at most `max`, and 1 where it already is.
///
/// # Source
///
/// `torch.nn.utils.clip_grad_norm_`: `max / (norm + 1e-6)`, at most 1.
#[must_use]
pub fn clip_factor(norm: f64, max: f64) -> f32 {
    (max / (norm + 1e-6)).min(1.0) as f32
}

kernel! {
    fn sum_chunk_of_squares<'a>(_: S, x: &'a [f32]) -> f64 {
        // Sixteen sums side by side, whatever the vector length, so that every path adds in the same order.
        let mut sums = [0.0f64; 16];
        let chunks = x.chunks_exact(16);
        let rest = chunks.remainder();
        for x in chunks {
            for i in 0..16 {
                sums[i] += f64::from(x[i]) * f64::from(x[i]);
            }
        }
        sums.iter().sum::<f64>() + rest.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>()
    }
}
