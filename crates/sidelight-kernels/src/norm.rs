//! Batch norm over channels-last rows, with the residual and the activation that follow it.
//!
//! Memory is the limit, so forward reads the input twice and writes once, and backward reads its inputs twice: the
//! activation's input is computed again instead of stored.

use crate::activation::Activation;
use crate::dispatch::{self, SimdPath};
use crate::parallel::{CHUNK, SharedMut, written};
use crate::scratch;
use crate::simd::{Kernel, Simd, kernel};
use rayon::prelude::*;
use std::ops::Range;

/// A batch norm's weights and what follows it: `activation(gamma * (x - mean) / sqrt(var + eps) + beta + residual)`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// Scale of each channel.
    pub gamma: &'a [f32],
    /// Shift of each channel.
    pub beta: &'a [f32],
    /// Added to the variance.
    pub eps: f32,
    /// Added before the activation, of the input's shape.
    pub residual: Option<&'a [f32]>,
    /// The activation, applied last.
    pub activation: Activation,
}

/// What a batch norm gives.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormOutput {
    /// The output, of the input's shape.
    pub y: Vec<f32>,
    /// Each channel's mean.
    pub mean: Vec<f32>,
    /// Each channel's *biased* variance: divided by the number of rows. For running statistics PyTorch uses the
    /// unbiased one, `var * rows / (rows - 1)`.
    pub var: Vec<f32>,
    /// Rows that the statistics are of.
    pub n_rows: f64,
}

/// The statistics that a batch was normalised with, as [`BatchNormOutput`] has them.
#[derive(Clone, Copy, Debug)]
pub struct BatchStatistics<'a> {
    /// Each channel's mean.
    pub mean: &'a [f32],
    /// Each channel's biased variance.
    pub var: &'a [f32],
    /// Rows that they are of; read where they are those of several ranks.
    pub n_rows: f64,
}

/// The gradients of a batch norm.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormGradients {
    /// To the input.
    pub dx: Vec<f32>,
    /// To the scale.
    pub d_gamma: Vec<f32>,
    /// To the shift.
    pub d_beta: Vec<f32>,
    /// To the residual, where it is wanted.
    pub d_residual: Option<Vec<f32>>,
}

/// Makes the statistics of a batch those of its rows on all ranks (synchronised batch norm).
///
/// # Source
///
/// Zhang et al. 2018, "Context encoding for semantic segmentation", arXiv:1803.08904, section 3.3: sums of `x` and `x²`
/// over all ranks; here in `f64`, so that `E[x²] - E[x]²` keeps its digits.
#[derive(Clone, Copy)]
pub struct StatisticsReducer<'a> {
    /// All-reduce: replaces each number by its sum over all ranks, the same bits on each. All ranks call the same
    /// functions of this module on equally many channels in the same order.
    pub sum: &'a dyn Fn(&mut [f64]),
    /// Whether the rows of this rank count: rows that only fill a place change no statistics and learn nothing.
    pub counts: bool,
}

impl StatisticsReducer<'_> {
    /// Replaces means and variances of `rows` rows by those of all rows that count, and returns how many those are.
    fn moments(self, rows: f64, mean: &mut [f64], var: &mut [f64]) -> f64 {
        let c = mean.len();
        let own = if self.counts { rows } else { 0.0 };
        let firsts = mean.iter().map(|mean| own * mean);
        let seconds = mean.iter().zip(var.iter());
        let seconds = seconds.map(|(mean, var)| own * (var + mean * mean));
        let mut sums: Vec<f64> = std::iter::once(own).chain(firsts).chain(seconds).collect();
        (self.sum)(&mut sums);
        let n = sums[0];
        for i in 0..c {
            mean[i] = sums[1 + i] / n;
            var[i] = (sums[1 + c + i] / n - mean[i] * mean[i]).max(0.0);
        }
        n
    }
}

impl std::fmt::Debug for StatisticsReducer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatisticsReducer")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl BatchNorm<'_> {
    fn channels(&self) -> usize {
        self.gamma.len()
    }

    fn check(&self, x: &[f32]) {
        let c = self.channels();
        assert!(
            c > 0 && self.beta.len() == c,
            "gamma has {c} channels, beta {}",
            self.beta.len()
        );
        assert!(
            x.len().is_multiple_of(c),
            "{} numbers are not rows of {c} channels",
            x.len()
        );
        assert!(
            self.residual.is_none_or(|r| r.len() == x.len()),
            "the residual's length differs"
        );
    }

    /// The affine form of the norm with these statistics: scale and shift of each channel.
    fn fold(&self, mean: &[f32], var: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let channels = 0..self.channels();
        let folded = channels.map(|c| {
            let s = f64::from(self.gamma[c]) / (f64::from(var[c]) + f64::from(self.eps)).sqrt();
            let shift = f64::from(self.beta[c]) - f64::from(mean[c]) * s;
            (s as f32, shift as f32)
        });
        folded.unzip()
    }
}

/// Pieces of work, each some rows of `len` numbers; from the shape alone, so that sums do not depend on threads.
fn pieces(len: usize, channels: usize) -> Vec<Range<usize>> {
    let chunk = (CHUNK / channels).max(8) * channels;
    (0..len)
        .step_by(chunk)
        .map(|start| start..(start + chunk).min(len))
        .collect()
}

/// Normalises with the statistics of this batch: of its rows on all ranks, where there is a `reducer`.
///
/// # Shapes
///
/// `x`, the output and the residual: `[rows, channels]`, rows being batch, height and width; the rest `[channels]`.
///
/// # Panics
///
/// When a length does not fit, or there are no rows.
#[must_use]
pub fn batch_norm_output(
    norm: &BatchNorm<'_>,
    reducer: Option<StatisticsReducer<'_>>,
    x: &[f32],
) -> BatchNormOutput {
    norm.check(x);
    let c = norm.channels();
    assert!(!x.is_empty(), "there are no rows");
    let (mut mean, mut var) = (vec![0.0; c], vec![0.0; c]);
    moments(x, &mut mean, &mut var);
    let rows = (x.len() / c) as f64;
    let n_rows = reducer.map_or(rows, |reducer| reducer.moments(rows, &mut mean, &mut var));
    let rounded = |of: Vec<f64>| of.into_iter().map(|v| v as f32).collect::<Vec<f32>>();
    let (mean, var) = (rounded(mean), rounded(var));
    let (scale, shift) = norm.fold(&mean, &var);
    // SAFETY: the output is as long as the input, and every number of it is written and none read.
    let y = unsafe {
        written(x.len(), |y| {
            affine_to(x, &scale, &shift, norm.residual, norm.activation, y);
        })
    };
    BatchNormOutput {
        y,
        mean,
        var,
        n_rows,
    }
}

/// Means and biased variances of each channel of `[rows, channels]`, the channels being those of `mean`.
///
/// # Source
///
/// Sums of differences to the first row, which keeps the subtraction `E[d²] - E[d]²` from cancelling when the mean is
/// large against the spread (Chan, Golub, LeVeque 1983, "shifted data"); `f32` in blocks of rows, `f64` across blocks.
fn moments(x: &[f32], mean: &mut [f64], var: &mut [f64]) {
    let c = mean.len();
    let path = SimdPath::current();
    let origin = &x[..c];
    let sums = two_sums(x.len(), c, |range, sum, square| {
        dispatch::run(path, sum_moments(&x[range], origin, sum, square));
    });
    let n = (x.len() / c) as f64;
    for i in 0..c {
        let (first, second) = (sums[i] / n, sums[c + i] / n);
        mean[i] = f64::from(origin[i]) + first;
        var[i] = (second - first * first).max(0.0);
    }
}

/// Two sums for each channel over all rows of `len` numbers, all the first ones first; `add` makes those of some rows.
fn two_sums(
    len: usize,
    c: usize,
    add: impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync,
) -> Vec<f64> {
    let pieces = pieces(len, c);
    let mut partial = scratch::take(pieces.len() * 2 * c);
    partial
        .par_chunks_mut(2 * c)
        .zip(&pieces)
        .for_each(|(sums, range)| {
            let (first, second) = sums.split_at_mut(c);
            add(range.clone(), first, second);
        });
    let total = |i: usize| {
        let parts = (0..pieces.len()).map(|k| f64::from(partial[k * 2 * c + i]));
        parts.sum::<f64>()
    };
    (0..2 * c).map(total).collect()
}

kernel! {
    fn sum_moments<'a>(
        s: S,
        x: &'a [f32],
        origin: &'a [f32],
        sum: &'a mut [f32],
        square: &'a mut [f32],
    ) {
        let c = sum.len();
        sum.fill(0.0);
        square.fill(0.0);
        each_row_block(x.len() / c, |rows| {
            each_vector::<S>(c, |i, n| {
                // SAFETY: `i + n <= c`, the slices of channels have `c` numbers, and row `r` starts at `r * c` of `x`.
                unsafe {
                    let from = s.load_n(origin.as_ptr().add(i), n);
                    let mut first = s.load_n(sum.as_ptr().add(i), n);
                    let mut second = s.load_n(square.as_ptr().add(i), n);
                    for r in rows.clone() {
                        let d = s.sub(s.load_n(x.as_ptr().add(r * c + i), n), from);
                        first = s.add(first, d);
                        second = s.fma(d, d, second);
                    }
                    s.store_n(sum.as_mut_ptr().add(i), first, n);
                    s.store_n(square.as_mut_ptr().add(i), second, n);
                }
            });
        });
    }
}

/// Cuts rows into blocks of eight, so that sums are loaded and stored once per block.
#[inline(always)]
fn each_row_block(rows: usize, mut f: impl FnMut(Range<usize>)) {
    let mut r = 0;
    while r < rows {
        let end = (r + 8).min(rows);
        f(r..end);
        r = end;
    }
}

/// Calls `f(i, n)` for every vector of channels: whole ones with `n` a constant, then the rest.
#[inline(always)]
fn each_vector<S: Simd>(channels: usize, mut f: impl FnMut(usize, usize)) {
    let mut i = 0;
    while i < channels {
        f(i, (channels - i).min(S::LANES));
        i += S::LANES;
    }
}

/// Computes `y = activation(x * scale + shift + residual)`; inference of a batch norm that is folded into a factor and
/// an offset per channel.
///
/// # Shapes
///
/// `x`, `y`, `residual`: `[rows, channels]`; `scale`, `shift`: `[channels]`.
///
/// # Panics
///
/// When a length does not fit.
pub fn affine(
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    residual: Option<&[f32]>,
    activation: Activation,
    y: &mut [f32],
) {
    assert!(y.len() == x.len(), "lengths differ");
    let y = SharedMut(y.as_mut_ptr());
    affine_to(x, scale, shift, residual, activation, y);
}

/// As [`affine`], to as many numbers as `x` has, each written and none read.
fn affine_to(
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    residual: Option<&[f32]>,
    activation: Activation,
    y: SharedMut,
) {
    let c = scale.len();
    assert!(
        c > 0 && shift.len() == c && x.len().is_multiple_of(c),
        "{} numbers are not rows of {c} channels",
        x.len()
    );
    assert!(
        residual.is_none_or(|r| r.len() == x.len()),
        "lengths differ"
    );
    let path = SimdPath::current();
    pieces(x.len(), c).into_par_iter().for_each(|range| {
        // SAFETY: the range lies inside the output, which is as long as the input, and is this piece's alone.
        let y = SharedMut(unsafe { { y }.0.add(range.start) });
        let (x, residual) = (&x[range.clone()], residual.map(|r| &r[range]));
        dispatch::run(path, affine_rows(x, scale, shift, residual, activation, y));
    });
}

kernel! {
    /// `y` has as many numbers as `x`.
    fn affine_rows<'a>(
        s: S,
        x: &'a [f32],
        scale: &'a [f32],
        shift: &'a [f32],
        residual: Option<&'a [f32]>,
        activation: Activation,
        y: SharedMut,
    ) {
        let c = scale.len();
        for r in 0..x.len() / c {
            each_vector::<S>(c, |i, n| {
                let at = r * c + i;
                // SAFETY: `i + n <= c`, and every row of `x`, `y` and the residual has `c` numbers.
                unsafe {
                    let scale = s.load_n(scale.as_ptr().add(i), n);
                    let shift = s.load_n(shift.as_ptr().add(i), n);
                    let mut z = s.fma(s.load_n(x.as_ptr().add(at), n), scale, shift);
                    if let Some(residual) = residual {
                        z = s.add(z, s.load_n(residual.as_ptr().add(at), n));
                    }
                    s.store_n(y.0.add(at), activation.apply(s, z), n);
                }
            });
        }
    }
}

/// The gradients of [`batch_norm_output`] under the same `reducer`; the `statistics` are what it returned.
///
/// With a reducer the gradients to scale and shift are of the rows here, and add up over all ranks. Where the rows here
/// do not count, `dy` must be 0.
///
/// # Source
///
/// Ioffe and Szegedy 2015, section 3. With `g` the gradient before the activation and `x̂` the normalised input:
/// `dx = gamma / sqrt(var + eps) * (g - mean(g) - x̂ mean(g x̂))`.
///
/// # Panics
///
/// When a length does not fit.
#[must_use]
pub fn batch_norm_gradients(
    norm: &BatchNorm<'_>,
    reducer: Option<StatisticsReducer<'_>>,
    statistics: BatchStatistics<'_>,
    x: &[f32],
    dy: &[f32],
    wants_residual: bool,
) -> BatchNormGradients {
    norm.check(x);
    let c = norm.channels();
    let BatchStatistics { mean, var, n_rows } = statistics;
    assert!(
        mean.len() == c && var.len() == c,
        "statistics need {c} channels"
    );
    assert!(!x.is_empty() && dy.len() == x.len(), "lengths differ");
    let (scale, shift) = norm.fold(mean, var);
    let pull = Pull {
        x,
        dy,
        residual: norm.residual,
        activation: norm.activation,
        scale: &scale,
        shift: &shift,
        mean,
    };
    let inverse: Vec<f64> = var
        .iter()
        .map(|var| 1.0 / (f64::from(*var) + f64::from(norm.eps)).sqrt())
        .collect();
    let mut sums = pull.sums(&inverse);
    let rounded = |of: &[f64]| of.iter().map(|v| *v as f32).collect::<Vec<f32>>();
    let (d_beta, d_gamma) = (rounded(&sums[..c]), rounded(&sums[c..]));
    // Rows that do not count are none of those that the statistics are of.
    let n = match reducer {
        None => Some((x.len() / c) as f64),
        Some(reducer) => {
            (reducer.sum)(&mut sums);
            reducer.counts.then_some(n_rows)
        }
    };
    // dx = scale * g + a * (x - mean) + b for each channel, with the means of the formula above in a and b.
    let (mut a, mut b) = (vec![0.0; c], vec![0.0; c]);
    if let Some(n) = n {
        for i in 0..c {
            let (inverse, sum, product) = (inverse[i], sums[i], sums[c + i]);
            let scale = f64::from(norm.gamma[i]) * inverse;
            a[i] = (-scale * inverse * product / n) as f32;
            b[i] = (-scale * sum / n) as f32;
        }
    }
    let (n, mut d_residual) = (x.len(), None);
    // SAFETY: both are as long as the input, and every number of them is written and none read.
    let dx = unsafe {
        written(n, |dx| {
            if wants_residual {
                d_residual = Some(written(n, |d| pull.input_gradient(&a, &b, dx, Some(d))));
            } else {
                pull.input_gradient(&a, &b, dx, None);
            }
        })
    };
    BatchNormGradients {
        dx,
        d_gamma,
        d_beta,
        d_residual,
    }
}

/// The input and the output's gradient, and what is needed to carry the latter back through the activation.
#[derive(Clone, Copy)]
struct Pull<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    residual: Option<&'a [f32]>,
    activation: Activation,
    scale: &'a [f32],
    shift: &'a [f32],
    mean: &'a [f32],
}

impl Pull<'_> {
    /// Some rows, indexed from their own start.
    fn part(&self, range: Range<usize>) -> Self {
        Self {
            x: &self.x[range.clone()],
            dy: &self.dy[range.clone()],
            residual: self.residual.map(|r| &r[range]),
            ..*self
        }
    }

    /// For each channel the sum of the gradient before the activation, then for each channel that of its product with
    /// the normalised input; `inverse` is one over the standard deviations.
    fn sums(&self, inverse: &[f64]) -> Vec<f64> {
        let path = SimdPath::current();
        let mut sums = two_sums(self.x.len(), inverse.len(), |range, sum, product| {
            dispatch::run(path, sum_gradients(self.part(range), sum, product));
        });
        for (product, inverse) in sums[inverse.len()..].iter_mut().zip(inverse) {
            *product *= inverse;
        }
        sums
    }

    /// Writes the gradients to the input and the residual, both as long as the input.
    fn input_gradient(&self, a: &[f32], b: &[f32], dx: SharedMut, d_residual: Option<SharedMut>) {
        let path = SimdPath::current();
        pieces(self.x.len(), a.len())
            .into_par_iter()
            .for_each(|range| {
                // SAFETY: the range lies inside both outputs, which are as long as the input, and is this piece's alone.
                let part = |to: SharedMut| SharedMut(unsafe { { to }.0.add(range.start) });
                let (dx, d_residual) = (part(dx), d_residual.map(part));
                let pull = self.part(range.clone());
                dispatch::run(path, input_gradient(pull, a, b, dx, d_residual));
            });
    }

    /// The input, and the gradient before the activation, of `n` elements from `at` on.
    ///
    /// # Safety
    /// `at + n` must lie inside the part; `scale` and `shift` belong to these channels.
    #[inline(always)]
    unsafe fn gradient<S: Simd>(
        &self,
        s: S,
        at: usize,
        n: usize,
        scale: S::V,
        shift: S::V,
    ) -> (S::V, S::V) {
        // SAFETY: forwarded from the caller; all slices of the part have equal lengths.
        unsafe {
            let x = s.load_n(self.x.as_ptr().add(at), n);
            let g = s.load_n(self.dy.as_ptr().add(at), n);
            if self.activation == Activation::None {
                return (x, g);
            }
            let mut z = s.fma(x, scale, shift);
            if let Some(residual) = self.residual {
                z = s.add(z, s.load_n(residual.as_ptr().add(at), n));
            }
            (x, self.activation.pull(s, z, g))
        }
    }
}

kernel! {
    /// `sum`s the gradient, and its `product` with `x - mean`.
    fn sum_gradients<'a>(
        s: S,
        pull: Pull<'a>,
        sum: &'a mut [f32],
        product: &'a mut [f32],
    ) {
        let c = sum.len();
        sum.fill(0.0);
        product.fill(0.0);
        each_row_block(pull.x.len() / c, |rows| {
            each_vector::<S>(c, |i, n| {
                // SAFETY: `i + n <= c`, slices of channels have `c` numbers, rows of the part have `c` numbers.
                unsafe {
                    let scale = s.load_n(pull.scale.as_ptr().add(i), n);
                    let shift = s.load_n(pull.shift.as_ptr().add(i), n);
                    let mean = s.load_n(pull.mean.as_ptr().add(i), n);
                    let mut first = s.load_n(sum.as_ptr().add(i), n);
                    let mut second = s.load_n(product.as_ptr().add(i), n);
                    for r in rows.clone() {
                        let (x, g) = pull.gradient(s, r * c + i, n, scale, shift);
                        first = s.add(first, g);
                        second = s.fma(g, s.sub(x, mean), second);
                    }
                    s.store_n(sum.as_mut_ptr().add(i), first, n);
                    s.store_n(product.as_mut_ptr().add(i), second, n);
                }
            });
        });
    }
}

kernel! {
    /// `dx` and `d_residual` have as many numbers as the part.
    fn input_gradient<'a>(
        s: S,
        pull: Pull<'a>,
        a: &'a [f32],
        b: &'a [f32],
        dx: SharedMut,
        d_residual: Option<SharedMut>,
    ) {
        let c = a.len();
        for r in 0..pull.x.len() / c {
            each_vector::<S>(c, |i, n| {
                let at = r * c + i;
                // SAFETY: `i + n <= c`, slices of channels have `c` numbers, rows of the part have `c` numbers.
                unsafe {
                    let scale = s.load_n(pull.scale.as_ptr().add(i), n);
                    let shift = s.load_n(pull.shift.as_ptr().add(i), n);
                    let mean = s.load_n(pull.mean.as_ptr().add(i), n);
                    let a = s.load_n(a.as_ptr().add(i), n);
                    let b = s.load_n(b.as_ptr().add(i), n);
                    let (x, g) = pull.gradient(s, at, n, scale, shift);
                    let to_x = s.fma(scale, g, s.fma(a, s.sub(x, mean), b));
                    s.store_n(dx.0.add(at), to_x, n);
                    if let Some(d) = d_residual {
                        s.store_n(d.0.add(at), g, n);
                    }
                }
            });
        }
    }
}
