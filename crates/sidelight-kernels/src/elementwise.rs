//! Operations on one element, one channel or one column at a time.

use crate::activation::Activation;
use crate::dispatch::{self, SimdPath};
use crate::parallel::CHUNK;
use crate::scratch;
use crate::simd::{Kernel, Simd, kernel};
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
        dispatch::run(path, add_activate_chunk(&x[range], other, activation, y));
    });
}

kernel! {
    fn add_activate_chunk<'a>(
        s: S,
        x: &'a [f32],
        other: Option<&'a [f32]>,
        activation: Activation,
        y: &'a mut [f32],
    ) {
        let len = y.len();
        for i in (0..len).step_by(S::LANES) {
            let n = (len - i).min(S::LANES);
            // SAFETY: all slices have `len` numbers and `i + n <= len`.
            unsafe {
                let mut z = s.load_n(x.as_ptr().add(i), n);
                if let Some(o) = other {
                    z = s.add(z, s.load_n(o.as_ptr().add(i), n));
                }
                s.store_n(y.as_mut_ptr().add(i), activation.apply(s, z), n);
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
        let (x, dy) = (&x[range.clone()], &dy[range]);
        dispatch::run(path, pull_chunk(x, other, activation, dy, dx));
    });
}

kernel! {
    fn pull_chunk<'a>(
        s: S,
        x: &'a [f32],
        other: Option<&'a [f32]>,
        activation: Activation,
        dy: &'a [f32],
        dx: &'a mut [f32],
    ) {
        let len = dx.len();
        for i in (0..len).step_by(S::LANES) {
            let n = (len - i).min(S::LANES);
            // SAFETY: all slices have `len` numbers and `i + n <= len`.
            unsafe {
                let mut z = s.load_n(x.as_ptr().add(i), n);
                if let Some(o) = other {
                    z = s.add(z, s.load_n(o.as_ptr().add(i), n));
                }
                let g = s.load_n(dy.as_ptr().add(i), n);
                s.store_n(dx.as_mut_ptr().add(i), activation.pull(s, z, g), n);
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
        .for_each(|(sums, x)| dispatch::run(path, sum_rows(x, sums)));
    for (c, sum) in sums.iter_mut().enumerate() {
        *sum = (0..chunks)
            .map(|i| f64::from(partial[i * columns + c]))
            .sum::<f64>() as f32;
    }
}

kernel! {
    fn sum_rows<'a>(_: S, x: &'a [f32], sums: &'a mut [f32]) {
        sums.fill(0.0);
        for row in x.chunks_exact(sums.len()) {
            for (sum, x) in sums.iter_mut().zip(row) {
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
            let gate = &gate[n * channels..][..channels];
            dispatch::run(path, scale_image(x, gate, y));
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

kernel! {
    fn scale_image<'a>(_: S, x: &'a [f32], gate: &'a [f32], y: &'a mut [f32]) {
        let c = gate.len();
        for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
            for ((y, x), gate) in y.iter_mut().zip(x).zip(gate) {
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
            let gate = &gate[n * channels..][..channels];
            dispatch::run(path, scale_image_backward(x, gate, dy, dx, d_gate));
        });
}

kernel! {
    fn scale_image_backward<'a>(
        _: S,
        x: &'a [f32],
        gate: &'a [f32],
        dy: &'a [f32],
        dx: &'a mut [f32],
        d_gate: &'a mut [f32],
    ) {
        let c = gate.len();
        d_gate.fill(0.0);
        let pixels = dx.chunks_exact_mut(c).zip(dy.chunks_exact(c));
        for ((dx, dy), x) in pixels.zip(x.chunks_exact(c)) {
            for i in 0..c {
                dx[i] = dy[i] * gate[i];
                d_gate[i] += dy[i] * x[i];
            }
        }
    }
}
