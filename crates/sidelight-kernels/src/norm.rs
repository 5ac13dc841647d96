//! Batch norm over channels-last rows, with the residual and the activation that follow it.
//!
//! Memory is the limit, so forward reads the input twice and writes once, and backward reads its inputs twice: the
//! activation's input is computed again instead of stored.

use crate::activation::Activation;
use crate::dispatch::{self, SimdPath};
use crate::parallel::{CHUNK, SharedMut, written};
use crate::scratch;
use crate::simd::{Kernel, Simd};
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
    /// Applied last.
    pub activation: Activation,
}

/// Where the gradients of a batch norm go.
#[derive(Debug)]
pub struct BatchNormGradients<'a> {
    /// To the input.
    pub dx: &'a mut [f32],
    /// To the scale.
    pub d_gamma: &'a mut [f32],
    /// To the shift.
    pub d_beta: &'a mut [f32],
    /// To the residual, where it is wanted.
    pub d_residual: Option<&'a mut [f32]>,
}

/// Others who hold rows of the same batch: its statistics are those of all rows together.
#[derive(Clone, Copy)]
pub struct Among<'a> {
    /// Replaces each number by its sum over all who take part: the same on each of them. All call the same functions of
    /// this module on equally many channels in the same order.
    pub sum: &'a dyn Fn(&mut [f64]),
    /// Whether the rows here count: what is there to fill a place changes no statistics and learns nothing.
    pub counts: bool,
}

impl Among<'_> {
    /// From means and variances of so many rows to those of all that count, and how many these are.
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

impl std::fmt::Debug for Among<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Among")
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
    fn fold(&self, mean: &[f32], var: &[f32], scale: &mut [f32], shift: &mut [f32]) {
        for c in 0..self.channels() {
            let s = f64::from(self.gamma[c]) / (f64::from(var[c]) + f64::from(self.eps)).sqrt();
            scale[c] = s as f32;
            shift[c] = (f64::from(self.beta[c]) - f64::from(mean[c]) * s) as f32;
        }
    }
}

/// Rows per piece of work; from the shape alone, so that sums do not depend on threads.
fn rows_per_chunk(channels: usize) -> usize {
    (CHUNK / channels).max(8)
}

/// Normalises with the statistics of this batch.
///
/// `mean` and `var` receive each channel's mean and *biased* variance (divided by the number of rows), which backward
/// needs; for running statistics PyTorch uses the unbiased one, `var * rows / (rows - 1)`.
///
/// # Shapes
///
/// `x`, `y` and the residual: `[rows, channels]`, rows being batch, height and width; the rest `[channels]`.
///
/// # Panics
///
/// When a length does not fit, or there are no rows.
pub fn batch_norm_forward(
    norm: &BatchNorm<'_>,
    x: &[f32],
    y: &mut [f32],
    mean: &mut [f32],
    var: &mut [f32],
) {
    assert!(y.len() == x.len(), "lengths differ");
    forward(norm, None, x, SharedMut(y.as_mut_ptr()), mean, var);
}

/// As [`batch_norm_forward`], `among` others by the statistics of the rows of all together, and into memory of its own,
/// which is written once: nothing fills it with zeros before. With it the number of rows that the statistics are of.
///
/// # Source
///
/// Of several: Zhang et al. 2018, "Context encoding for semantic segmentation", arXiv:1803.08904, section 3.3: sums of
/// `x` and `x²` of all; here of `f64`, so that `E[x²] - E[x]²` keeps its digits.
///
/// # Panics
///
/// When a length does not fit, or there are no rows.
#[must_use]
pub fn batch_norm_output(
    norm: &BatchNorm<'_>,
    among: Option<Among<'_>>,
    x: &[f32],
    mean: &mut [f32],
    var: &mut [f32],
) -> (Vec<f32>, f64) {
    let mut n = 0.0;
    // SAFETY: the output is as long as the input, and every number of it is written and none read.
    let y = unsafe { written(x.len(), |y| n = forward(norm, among, x, y, mean, var)) };
    (y, n)
}

fn forward(
    norm: &BatchNorm<'_>,
    among: Option<Among<'_>>,
    x: &[f32],
    y: SharedMut,
    mean: &mut [f32],
    var: &mut [f32],
) -> f64 {
    norm.check(x);
    let c = norm.channels();
    assert!(
        mean.len() == c && var.len() == c,
        "statistics need {c} channels"
    );
    assert!(!x.is_empty(), "there are no rows");
    let (mut exact_mean, mut exact_var) = (vec![0.0; c], vec![0.0; c]);
    moments(x, &mut exact_mean, &mut exact_var);
    let rows = (x.len() / c) as f64;
    let n = among.map_or(rows, |among| {
        among.moments(rows, &mut exact_mean, &mut exact_var)
    });
    for i in 0..c {
        mean[i] = exact_mean[i] as f32;
        var[i] = exact_var[i] as f32;
    }
    let (mut scale, mut shift) = (vec![0.0; c], vec![0.0; c]);
    norm.fold(mean, var, &mut scale, &mut shift);
    affine_to(x, &scale, &shift, norm.residual, norm.activation, y);
    n
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
    let rows = rows_per_chunk(c);
    let chunks = x.len().div_ceil(rows * c);
    let origin = &x[..c];
    let mut partial = scratch::take(chunks * 2 * c);
    partial
        .par_chunks_mut(2 * c)
        .zip(x.par_chunks(rows * c))
        .for_each(|(sums, x)| {
            let (sum, square) = sums.split_at_mut(c);
            dispatch::run(
                path,
                Moments {
                    x,
                    origin,
                    sum,
                    square,
                },
            );
        });
    let n = (x.len() / c) as f64;
    for i in 0..c {
        let total = |from: usize| {
            (0..chunks)
                .map(|k| f64::from(partial[k * 2 * c + from + i]))
                .sum::<f64>()
                / n
        };
        let (first, second) = (total(0), total(c));
        mean[i] = f64::from(origin[i]) + first;
        var[i] = (second - first * first).max(0.0);
    }
}

struct Moments<'a> {
    x: &'a [f32],
    origin: &'a [f32],
    sum: &'a mut [f32],
    square: &'a mut [f32],
}

impl Kernel for Moments<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let c = self.sum.len();
        self.sum.fill(0.0);
        self.square.fill(0.0);
        each_row_block(self.x.len() / c, |rows| {
            each_vector::<S>(c, |i, n| {
                // SAFETY: `i + n <= c`, the slices of channels have `c` numbers, and row `r` starts at `r * c` of `x`.
                unsafe {
                    let origin = s.load_n(self.origin.as_ptr().add(i), n);
                    let mut sum = s.load_n(self.sum.as_ptr().add(i), n);
                    let mut square = s.load_n(self.square.as_ptr().add(i), n);
                    for r in rows.clone() {
                        let d = s.sub(s.load_n(self.x.as_ptr().add(r * c + i), n), origin);
                        sum = s.add(sum, d);
                        square = s.fma(d, d, square);
                    }
                    s.store_n(self.sum.as_mut_ptr().add(i), sum, n);
                    s.store_n(self.square.as_mut_ptr().add(i), square, n);
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

/// Computes `y = activation(x * scale + shift + residual)`; inference of a batch norm after [`fold_batch_norm`].
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
    let chunk = rows_per_chunk(c) * c;
    x.par_chunks(chunk).enumerate().for_each(|(i, x)| {
        let range = i * chunk..i * chunk + x.len();
        // SAFETY: the range lies inside the output, which is as long as the input, and is this piece's alone.
        let y = SharedMut(unsafe { { y }.0.add(range.start) });
        let residual = residual.map(|r| &r[range]);
        dispatch::run(
            path,
            Affine {
                x,
                scale,
                shift,
                residual,
                activation,
                y,
            },
        );
    });
}

struct Affine<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    residual: Option<&'a [f32]>,
    activation: Activation,
    /// As many numbers as `x` has.
    y: SharedMut,
}

impl Kernel for Affine<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let c = self.scale.len();
        for r in 0..self.x.len() / c {
            each_vector::<S>(c, |i, n| {
                let at = r * c + i;
                // SAFETY: `i + n <= c`, and every row of `x`, `y` and the residual has `c` numbers.
                unsafe {
                    let scale = s.load_n(self.scale.as_ptr().add(i), n);
                    let shift = s.load_n(self.shift.as_ptr().add(i), n);
                    let mut z = s.fma(s.load_n(self.x.as_ptr().add(at), n), scale, shift);
                    if let Some(residual) = self.residual {
                        z = s.add(z, s.load_n(residual.as_ptr().add(at), n));
                    }
                    s.store_n(self.y.0.add(at), self.activation.apply(s, z), n);
                }
            });
        }
    }
}

/// Folds the running statistics of a batch norm into the convolution before it: scaled weights and a bias.
///
/// Weights are `[out_c, ...]`; returns the new weights and bias such that convolving with them equals convolving, then
/// normalising (without residual and activation, which go to the epilogue).
///
/// # Panics
///
/// When a length does not fit.
#[must_use]
pub fn fold_batch_norm(
    norm: &BatchNorm<'_>,
    mean: &[f32],
    var: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
) -> (Vec<f32>, Vec<f32>) {
    let c = norm.channels();
    assert!(
        c > 0 && mean.len() == c && var.len() == c && norm.beta.len() == c,
        "statistics need {c} channels"
    );
    assert!(
        w.len().is_multiple_of(c) && bias.is_none_or(|b| b.len() == c),
        "the weight does not have {c} channels"
    );
    let (mut scale, mut shift) = (vec![0.0; c], vec![0.0; c]);
    norm.fold(mean, var, &mut scale, &mut shift);
    if let Some(bias) = bias {
        for i in 0..c {
            shift[i] += bias[i] * scale[i];
        }
    }
    let per_channel = w.len() / c;
    let w = w
        .iter()
        .enumerate()
        .map(|(i, w)| w * scale[i / per_channel])
        .collect();
    (w, shift)
}

/// The gradients of [`batch_norm_forward`]; `mean` and `var` are what it returned.
///
/// # Source
///
/// Ioffe and Szegedy 2015, section 3. With `g` the gradient before the activation and `x̂` the normalised input:
/// `dx = gamma / sqrt(var + eps) * (g - mean(g) - x̂ mean(g x̂))`.
///
/// # Panics
///
/// When a length does not fit.
pub fn batch_norm_backward(
    norm: &BatchNorm<'_>,
    x: &[f32],
    dy: &[f32],
    mean: &[f32],
    var: &[f32],
    gradients: BatchNormGradients<'_>,
) {
    let BatchNormGradients {
        dx,
        d_gamma,
        d_beta,
        d_residual,
    } = gradients;
    assert!(
        dx.len() == x.len() && d_residual.as_ref().is_none_or(|d| d.len() == x.len()),
        "lengths differ"
    );
    let to = (
        SharedMut(dx.as_mut_ptr()),
        d_residual.map(|d| SharedMut(d.as_mut_ptr())),
    );
    backward(norm, None, x, dy, (mean, var), to, (d_gamma, d_beta));
}

/// As [`batch_norm_backward`] into memory of its own, which is written once: the gradients to the input and, where it
/// is wanted, to the residual.
///
/// `among` others it is of [`batch_norm_output`], with the number of rows that that returned: the gradients to scale and
/// shift are of the rows here, and add up over all who take part. Where the rows here do not count, `dy` must be 0.
///
/// # Panics
///
/// When a length does not fit.
#[must_use]
pub fn batch_norm_gradients(
    norm: &BatchNorm<'_>,
    among: Option<(Among<'_>, f64)>,
    x: &[f32],
    dy: &[f32],
    statistics: (&[f32], &[f32]),
    d_affine: (&mut [f32], &mut [f32]),
    wants_residual: bool,
) -> (Vec<f32>, Option<Vec<f32>>) {
    let (n, mut d_residual) = (x.len(), None);
    // SAFETY: both are as long as the input, and every number of them is written and none read.
    let dx = unsafe {
        written(n, |dx| {
            if wants_residual {
                d_residual = Some(written(n, |d| {
                    backward(norm, among, x, dy, statistics, (dx, Some(d)), d_affine);
                }));
            } else {
                backward(norm, among, x, dy, statistics, (dx, None), d_affine);
            }
        })
    };
    (dx, d_residual)
}

/// To the input and the residual, each of the input's length, and to the scale and the shift.
fn backward(
    norm: &BatchNorm<'_>,
    among: Option<(Among<'_>, f64)>,
    x: &[f32],
    dy: &[f32],
    (mean, var): (&[f32], &[f32]),
    (dx, d_residual): (SharedMut, Option<SharedMut>),
    (d_gamma, d_beta): (&mut [f32], &mut [f32]),
) {
    norm.check(x);
    let c = norm.channels();
    assert!(
        mean.len() == c && var.len() == c && d_gamma.len() == c && d_beta.len() == c,
        "statistics need {c} channels"
    );
    assert!(!x.is_empty() && dy.len() == x.len(), "lengths differ");
    let path = SimdPath::current();
    let (mut scale, mut shift) = (vec![0.0; c], vec![0.0; c]);
    norm.fold(mean, var, &mut scale, &mut shift);
    let chunk = rows_per_chunk(c) * c;
    let chunks = x.len().div_ceil(chunk);
    let pull = Pull {
        norm,
        x,
        dy,
        scale: &scale,
        shift: &shift,
        mean,
    };

    let mut partial = scratch::take(chunks * 2 * c);
    partial
        .par_chunks_mut(2 * c)
        .enumerate()
        .for_each(|(k, sums)| {
            let (sum, product) = sums.split_at_mut(c);
            let range = k * chunk..((k + 1) * chunk).min(x.len());
            dispatch::run(
                path,
                GradientSums {
                    pull: pull.part(range),
                    sum,
                    product,
                },
            );
        });
    let inverse = |i: usize| 1.0 / (f64::from(var[i]) + f64::from(norm.eps)).sqrt();
    let mut sums = vec![0.0; 2 * c];
    for i in 0..c {
        let total = |from: usize| {
            (0..chunks)
                .map(|k| f64::from(partial[k * 2 * c + from + i]))
                .sum::<f64>()
        };
        (sums[i], sums[c + i]) = (total(0), total(c) * inverse(i));
        d_beta[i] = sums[i] as f32;
        d_gamma[i] = sums[c + i] as f32;
    }
    // dx = scale * g + a * x + b for each channel, with the means of the formula above in a and b.
    let (mut a, mut b) = (vec![0.0; c], vec![0.0; c]);
    // Rows that do not count are none of those that the statistics are of.
    let n = match among {
        None => Some((x.len() / c) as f64),
        Some((among, n)) => {
            (among.sum)(&mut sums);
            among.counts.then_some(n)
        }
    };
    if let Some(n) = n {
        for i in 0..c {
            let (inverse, sum, product) = (inverse(i), sums[i], sums[c + i]);
            let scale = f64::from(norm.gamma[i]) * inverse;
            a[i] = (-scale * inverse * product / n) as f32;
            b[i] = (-scale * sum / n) as f32;
        }
    }
    (0..chunks).into_par_iter().for_each(|k| {
        let range = k * chunk..((k + 1) * chunk).min(x.len());
        // SAFETY: the range lies inside both outputs, which are as long as the input, and is this piece's alone.
        let part = |to: SharedMut| SharedMut(unsafe { { to }.0.add(range.start) });
        dispatch::run(
            path,
            InputGradient {
                pull: pull.part(range.clone()),
                a: &a,
                b: &b,
                dx: part(dx),
                d_residual: d_residual.map(part),
            },
        );
    });
}

/// Some rows of the input and output gradient, and what is needed to carry the latter back through the activation.
#[derive(Clone, Copy)]
struct Pull<'a> {
    norm: &'a BatchNorm<'a>,
    x: &'a [f32],
    dy: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    mean: &'a [f32],
}

impl<'a> Pull<'a> {
    /// A part whose residual is indexed from its own start.
    fn part(&self, range: Range<usize>) -> PullPart<'a> {
        PullPart {
            x: &self.x[range.clone()],
            dy: &self.dy[range.clone()],
            residual: self.norm.residual.map(|r| &r[range]),
            activation: self.norm.activation,
            scale: self.scale,
            shift: self.shift,
            mean: self.mean,
        }
    }
}

#[derive(Clone, Copy)]
struct PullPart<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    residual: Option<&'a [f32]>,
    activation: Activation,
    scale: &'a [f32],
    shift: &'a [f32],
    mean: &'a [f32],
}

impl PullPart<'_> {
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

struct GradientSums<'a> {
    pull: PullPart<'a>,
    /// Of the gradient.
    sum: &'a mut [f32],
    /// Of the gradient times `x - mean`.
    product: &'a mut [f32],
}

impl Kernel for GradientSums<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let c = self.sum.len();
        self.sum.fill(0.0);
        self.product.fill(0.0);
        let pull = self.pull;
        each_row_block(pull.x.len() / c, |rows| {
            each_vector::<S>(c, |i, n| {
                // SAFETY: `i + n <= c`, slices of channels have `c` numbers, rows of the part have `c` numbers.
                unsafe {
                    let scale = s.load_n(pull.scale.as_ptr().add(i), n);
                    let shift = s.load_n(pull.shift.as_ptr().add(i), n);
                    let mean = s.load_n(pull.mean.as_ptr().add(i), n);
                    let mut sum = s.load_n(self.sum.as_ptr().add(i), n);
                    let mut product = s.load_n(self.product.as_ptr().add(i), n);
                    for r in rows.clone() {
                        let (x, g) = pull.gradient(s, r * c + i, n, scale, shift);
                        sum = s.add(sum, g);
                        product = s.fma(g, s.sub(x, mean), product);
                    }
                    s.store_n(self.sum.as_mut_ptr().add(i), sum, n);
                    s.store_n(self.product.as_mut_ptr().add(i), product, n);
                }
            });
        });
    }
}

struct InputGradient<'a> {
    pull: PullPart<'a>,
    a: &'a [f32],
    b: &'a [f32],
    /// As many numbers as the part has; the other as well.
    dx: SharedMut,
    d_residual: Option<SharedMut>,
}

impl Kernel for InputGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let c = self.a.len();
        let pull = self.pull;
        for r in 0..pull.x.len() / c {
            each_vector::<S>(c, |i, n| {
                let at = r * c + i;
                // SAFETY: `i + n <= c`, slices of channels have `c` numbers, rows of the part have `c` numbers.
                unsafe {
                    let scale = s.load_n(pull.scale.as_ptr().add(i), n);
                    let shift = s.load_n(pull.shift.as_ptr().add(i), n);
                    let mean = s.load_n(pull.mean.as_ptr().add(i), n);
                    let (a, b) = (
                        s.load_n(self.a.as_ptr().add(i), n),
                        s.load_n(self.b.as_ptr().add(i), n),
                    );
                    let (x, g) = pull.gradient(s, at, n, scale, shift);
                    let dx = s.fma(scale, g, s.fma(a, s.sub(x, mean), b));
                    s.store_n(self.dx.0.add(at), dx, n);
                    if let Some(d) = self.d_residual {
                        s.store_n(d.0.add(at), g, n);
                    }
                }
            });
        }
    }
}
