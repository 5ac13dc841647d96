//! Operations on one element, one channel or one column at a time.

use crate::activation::Activation;
use crate::dispatch::{self, SimdPath};
use crate::parallel::CHUNK;
use crate::scratch;
use crate::simd::{Kernel, Simd};
use rayon::prelude::*;

/// Computes `y = activation(x + other)`, or `activation(x)` without `other`.
///
/// # Panics
///
/// When the lengths differ.
pub fn add_activate(x: &[f32], other: Option<&[f32]>, activation: Activation, y: &mut [f32]) {
    assert!(
        x.len() == y.len() && other.is_none_or(|o| o.len() == x.len()),
        "lengths differ"
    );
    let path = SimdPath::current();
    y.par_chunks_mut(CHUNK).enumerate().for_each(|(i, y)| {
        let range = i * CHUNK..i * CHUNK + y.len();
        let other = other.map(|o| &o[range.clone()]);
        dispatch::run(
            path,
            AddActivate {
                x: &x[range],
                other,
                activation,
                y,
            },
        );
    });
}

struct AddActivate<'a> {
    x: &'a [f32],
    other: Option<&'a [f32]>,
    activation: Activation,
    y: &'a mut [f32],
}

impl Kernel for AddActivate<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let len = self.y.len();
        for i in (0..len).step_by(S::LANES) {
            let n = (len - i).min(S::LANES);
            // SAFETY: all slices have `len` numbers and `i + n <= len`.
            unsafe {
                let mut z = s.load_n(self.x.as_ptr().add(i), n);
                if let Some(o) = self.other {
                    z = s.add(z, s.load_n(o.as_ptr().add(i), n));
                }
                s.store_n(self.y.as_mut_ptr().add(i), self.activation.apply(s, z), n);
            }
        }
    }
}

/// Carries `dy` back through the activation of [`add_activate`]; the gradient to `x` and to `other` is the same.
///
/// # Panics
///
/// When the lengths differ.
pub fn add_activate_backward(
    x: &[f32],
    other: Option<&[f32]>,
    activation: Activation,
    dy: &[f32],
    dx: &mut [f32],
) {
    assert!(
        x.len() == dx.len() && dy.len() == dx.len() && other.is_none_or(|o| o.len() == x.len()),
        "lengths differ"
    );
    let path = SimdPath::current();
    dx.par_chunks_mut(CHUNK).enumerate().for_each(|(i, dx)| {
        let range = i * CHUNK..i * CHUNK + dx.len();
        let other = other.map(|o| &o[range.clone()]);
        dispatch::run(
            path,
            Pull {
                x: &x[range.clone()],
                other,
                activation,
                dy: &dy[range],
                dx,
            },
        );
    });
}

struct Pull<'a> {
    x: &'a [f32],
    other: Option<&'a [f32]>,
    activation: Activation,
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for Pull<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let len = self.dx.len();
        for i in (0..len).step_by(S::LANES) {
            let n = (len - i).min(S::LANES);
            // SAFETY: all slices have `len` numbers and `i + n <= len`.
            unsafe {
                let mut z = s.load_n(self.x.as_ptr().add(i), n);
                if let Some(o) = self.other {
                    z = s.add(z, s.load_n(o.as_ptr().add(i), n));
                }
                let g = s.load_n(self.dy.as_ptr().add(i), n);
                s.store_n(
                    self.dx.as_mut_ptr().add(i),
                    self.activation.pull(s, z, g),
                    n,
                );
            }
        }
    }
}

/// Sums the rows of a `[rows, columns]` matrix: `f32` within fixed blocks of rows, `f64` across them.
///
/// # Panics
///
/// When `x` is not a whole number of rows of `sums.len()`.
pub fn column_sums(x: &[f32], sums: &mut [f32]) {
    let columns = sums.len();
    if columns == 0 {
        assert!(x.is_empty(), "numbers but no columns");
        return;
    }
    assert!(
        x.len().is_multiple_of(columns),
        "{} numbers are not rows of {columns}",
        x.len()
    );
    let rows = (CHUNK / columns).clamp(8, 1024);
    let chunks = x.len().div_ceil(rows * columns);
    let mut partial = scratch::take(chunks * columns);
    let path = SimdPath::current();
    partial
        .par_chunks_mut(columns)
        .zip(x.par_chunks(rows * columns))
        .for_each(|(sums, x)| {
            dispatch::run(path, ColumnSums { x, sums });
        });
    for (c, sum) in sums.iter_mut().enumerate() {
        *sum = (0..chunks)
            .map(|i| f64::from(partial[i * columns + c]))
            .sum::<f64>() as f32;
    }
}

struct ColumnSums<'a> {
    x: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for ColumnSums<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        self.sums.fill(0.0);
        for row in self.x.chunks_exact(self.sums.len()) {
            for (sum, x) in self.sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
}

/// Squeeze and excite: multiplies every pixel of an image with that image's gates, `y[n, p, c] = x[n, p, c] * gate[n, c]`.
///
/// # Shapes
///
/// - `x`, `y`: `[batch, pixels, channels]`
/// - `gate`: `[batch, channels]`
///
/// # Panics
///
/// When a length does not fit.
pub fn scale_channels(x: &[f32], gate: &[f32], batch: usize, channels: usize, y: &mut [f32]) {
    check_gate(x, gate, batch, channels);
    assert_eq!(x.len(), y.len(), "lengths differ");
    let image = x.len() / batch.max(1);
    let path = SimdPath::current();
    y.par_chunks_mut(image.max(1))
        .zip(x.par_chunks(image.max(1)))
        .enumerate()
        .for_each(|(n, (y, x))| {
            dispatch::run(
                path,
                Scale {
                    x,
                    gate: &gate[n * channels..][..channels],
                    y,
                },
            );
        });
}

fn check_gate(x: &[f32], gate: &[f32], batch: usize, channels: usize) {
    assert_eq!(
        gate.len(),
        batch * channels,
        "the gate has {} numbers, not {batch} x {channels}",
        gate.len()
    );
    assert!(
        gate.is_empty() && x.is_empty() || x.len().is_multiple_of(gate.len().max(1)),
        "{} numbers do not fit the gate",
        x.len()
    );
}

struct Scale<'a> {
    x: &'a [f32],
    gate: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Scale<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let c = self.gate.len();
        for (y, x) in self.y.chunks_exact_mut(c).zip(self.x.chunks_exact(c)) {
            for ((y, x), gate) in y.iter_mut().zip(x).zip(self.gate) {
                *y = x * gate;
            }
        }
    }
}

/// The gradients of [`scale_channels`]: `dx = dy * gate` and `d_gate = sum over pixels of dy * x`.
///
/// # Panics
///
/// When a length does not fit.
pub fn scale_channels_backward(
    x: &[f32],
    gate: &[f32],
    dy: &[f32],
    [batch, channels]: [usize; 2],
    dx: &mut [f32],
    d_gate: &mut [f32],
) {
    check_gate(x, gate, batch, channels);
    assert!(
        x.len() == dy.len() && x.len() == dx.len() && d_gate.len() == gate.len(),
        "lengths differ"
    );
    if x.is_empty() {
        d_gate.fill(0.0);
        return;
    }
    let image = x.len() / batch;
    let path = SimdPath::current();
    dx.par_chunks_mut(image)
        .zip(d_gate.par_chunks_mut(channels))
        .enumerate()
        .for_each(|(n, (dx, d_gate))| {
            let (x, dy) = (&x[n * image..][..image], &dy[n * image..][..image]);
            dispatch::run(
                path,
                ScaleBackward {
                    x,
                    gate: &gate[n * channels..][..channels],
                    dy,
                    dx,
                    d_gate,
                },
            );
        });
}

struct ScaleBackward<'a> {
    x: &'a [f32],
    gate: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    d_gate: &'a mut [f32],
}

impl Kernel for ScaleBackward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let c = self.gate.len();
        self.d_gate.fill(0.0);
        for ((dx, dy), x) in self
            .dx
            .chunks_exact_mut(c)
            .zip(self.dy.chunks_exact(c))
            .zip(self.x.chunks_exact(c))
        {
            for i in 0..c {
                dx[i] = dy[i] * self.gate[i];
                self.d_gate[i] += dy[i] * x[i];
            }
        }
    }
}
