//! The loss of several candidates of which one is meant.

use burn::tensor::Tensor;

use super::{Distance, Terms, known};

/// How far off a candidate may be, in the mean of its coordinates' losses, before another explains the row better.
const TEMPERATURE: f64 = 0.02;
/// Share of the loss by which every candidate learns from every row, so that none is left behind where it never wins.
const RELAXATION: f64 = 0.05;

/// Candidates for all coordinates of a row, and how probable each is:
///
/// ```text
/// d_k = mean over known coordinates of distance(c_k − t)
/// l   = −(1 − ε) T ln Σ_k p_k exp(−d_k / T) + ε mean_k d_k
/// ```
///
/// Each row is explained by the candidates in the measure of `p_k exp(−d_k / T)`: the near one learns the places, and p
/// which of them it will be.
///
/// # Shapes
///
/// - `output`: `[batch, d + n d + n]`: the most probable candidate, which is not read; all of them; logarithms of their
///   probabilities
/// - `target`, `mask`: `[batch, d]`
///
/// # Source
///
/// The likelihood of a mixture: Bishop 1994, "Mixture density networks", NCRG/94/004, eq. 22, of widths that are fixed. ε:
/// Rupprecht et al. 2017, "Learning in an uncertain world: representing ambiguity through multiple hypotheses",
/// arXiv:1612.00197, eq. 10.
pub(super) fn mixture(
    distance: Distance,
    output: Tensor<2>,
    target: Tensor<2>,
    mask: Tensor<2>,
) -> Terms {
    let ([batch, width], [_, d]) = (output.dims(), target.dims());
    let n = (width - d) / (d + 1);
    let is_known = known(mask.clone());
    let of_each = |x: Tensor<2>| {
        let x = x.reshape([batch, 1, d]).expand([batch, n, d]);
        x.reshape([batch * n, d])
    };
    let places = output.clone().narrow(1, d, n * d).reshape([batch * n, d]);
    let log_p = output.narrow(1, d + n * d, n); // [batch, n]
    let away = distance.of((places - of_each(target)) * of_each(is_known.clone()));
    let n_known = is_known.sum_dim(1).clamp_min(1.0); // [batch, 1]
    let away = away.sum_dim(1).reshape([batch, n]) / n_known;
    let explained = log_p - away.clone() / TEMPERATURE;
    let largest = explained.clone().detach().max_dim(1);
    let sum = (explained - largest.clone()).exp().sum_dim(1);
    let mixed = (sum.log() + largest) * -TEMPERATURE;
    let loss = mixed * (1.0 - RELAXATION) + away.mean_dim(1) * RELAXATION; // [batch, 1]
    Terms {
        losses: loss.expand([batch, d]) * mask.clone(),
        weights: mask,
    }
}
