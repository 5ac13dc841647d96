//! Pooling over windows of pixels, channel by channel.

use crate::dispatch::{self, SimdPath};
use crate::simd::{Kernel, Simd, kernel};
use rayon::prelude::*;
use std::ops::Range;

/// The shape of a pooling with a fixed window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool2d {
    /// Number of images in the batch.
    pub batch: usize,
    /// Rows of the input.
    pub in_h: usize,
    /// Columns of the input.
    pub in_w: usize,
    /// Number of channels of input and output.
    pub channels: usize,
    /// Height and width of the window; at most 255 pixels.
    pub kernel: [usize; 2],
    /// Steps between neighbouring windows.
    pub stride: [usize; 2],
    /// Pixels around the image that do not count as values (maximum) or count as zeros (average).
    pub padding: [usize; 2],
}

impl Pool2d {
    /// Rows of the output.
    #[must_use]
    pub fn out_h(&self) -> usize {
        (self.in_h + 2 * self.padding[0])
            .checked_sub(self.kernel[0])
            .map_or(0, |room| room / self.stride[0] + 1)
    }

    /// Columns of the output.
    #[must_use]
    pub fn out_w(&self) -> usize {
        (self.in_w + 2 * self.padding[1])
            .checked_sub(self.kernel[1])
            .map_or(0, |room| room / self.stride[1] + 1)
    }

    /// Numbers in the input, `[batch, in_h, in_w, channels]`.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.batch * self.in_h * self.in_w * self.channels
    }

    /// Numbers in the output, `[batch, out_h, out_w, channels]`.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.batch * self.out_h() * self.out_w() * self.channels
    }

    fn check(&self, input: usize, output: usize) {
        assert!(
            self.kernel.iter().chain(&self.stride).all(|&k| k > 0),
            "window and stride must be positive"
        );
        assert!(
            self.kernel[0] * self.kernel[1] <= 255,
            "a window has at most 255 pixels"
        );
        assert!(
            self.padding[0] * 2 <= self.kernel[0] && self.padding[1] * 2 <= self.kernel[1],
            "padding is at most half the window"
        );
        assert_eq!(input, self.input_len(), "the input's length");
        assert_eq!(output, self.output_len(), "the output's length");
    }

    /// The windows to average: pixels beyond the image count as zeros.
    fn averages(&self) -> Windows {
        Windows {
            input: [self.in_h, self.in_w, self.channels],
            rows: (0..self.out_h()).map(|o| self.covered(0, o)).collect(),
            cols: (0..self.out_w()).map(|o| self.covered(1, o)).collect(),
            weight: Some(1.0 / (self.kernel[0] * self.kernel[1]) as f32),
        }
    }

    /// The rows (or columns, `axis` 1) of the input under window `o`.
    fn covered(&self, axis: usize, o: usize) -> Range<usize> {
        let len = if axis == 0 { self.in_h } else { self.in_w };
        let start = o * self.stride[axis];
        start.saturating_sub(self.padding[axis])
            ..(start + self.kernel[axis] - self.padding[axis]).min(len)
    }

    /// The windows over row (or column) `i`.
    fn windows(&self, axis: usize, i: usize, out: usize) -> Range<usize> {
        let at = i + self.padding[axis];
        (at + 1)
            .saturating_sub(self.kernel[axis])
            .div_ceil(self.stride[axis])..(at / self.stride[axis] + 1).min(out)
    }
}

/// The largest value in each window. `argmax`, where wanted, receives which pixel of the window it was (row by row,
/// the first of equals), for [`max_pool_backward`].
///
/// # Shapes
///
/// `x`: `[batch, in_h, in_w, channels]`; `y`, `argmax`: `[batch, out_h, out_w, channels]`.
///
/// # Panics
///
/// When a length does not fit, the window has more than 255 pixels or the padding is more than half of it.
pub fn max_pool_forward(p: &Pool2d, x: &[f32], y: &mut [f32], argmax: Option<&mut [u8]>) {
    p.check(x.len(), y.len());
    assert!(
        argmax.as_ref().is_none_or(|a| a.len() == y.len()),
        "the argmax has the output's length"
    );
    let path = SimdPath::current();
    let row = p.out_w() * p.channels;
    if y.is_empty() {
        return;
    }
    let work = |line: usize, y: &mut [f32], argmax: Option<&mut [u8]>| {
        dispatch::run(path, max_line(p, x, line, y, argmax));
    };
    match argmax {
        None => y
            .par_chunks_mut(row)
            .enumerate()
            .for_each(|(line, y)| work(line, y, None)),
        Some(a) => y
            .par_chunks_mut(row)
            .zip(a.par_chunks_mut(row))
            .enumerate()
            .for_each(|(line, (y, a))| work(line, y, Some(a))),
    }
}

/// Channels handled at once: their best values and places stay in registers or the first cache.
const BLOCK: usize = 64;

kernel! {
    /// One `line` of the output.
    fn max_line<'a>(
        _: S,
        p: &'a Pool2d,
        x: &'a [f32],
        line: usize,
        y: &'a mut [f32],
        argmax: Option<&'a mut [u8]>,
    ) {
        let mut argmax = argmax;
        let c = p.channels;
        let (image, oy) = (line / p.out_h(), line % p.out_h());
        for ox in 0..p.out_w() {
            let (rows, cols) = (p.covered(0, oy), p.covered(1, ox));
            for first in (0..c).step_by(BLOCK) {
                let n = (c - first).min(BLOCK);
                let mut best = [f32::NEG_INFINITY; BLOCK];
                let place = |row: usize, col: usize| {
                    let tap = [row + p.padding[0] - oy * p.stride[0], col + p.padding[1] - ox * p.stride[1]];
                    (tap[0] * p.kernel[1] + tap[1]) as u32
                };
                let mut at = [place(rows.start, cols.start); BLOCK];
                for row in rows.clone() {
                    for col in cols.clone() {
                        let from = ((image * p.in_h + row) * p.in_w + col) * c + first;
                        let here = place(row, col);
                        let pixel = &x[from..from + n];
                        for ((best, at), &v) in best.iter_mut().zip(&mut at).zip(pixel) {
                            // Not a number wins, as in PyTorch, so that it is not hidden.
                            let better = v > *best || v.is_nan();
                            *best = if better { v } else { *best };
                            *at = if better { here } else { *at };
                        }
                    }
                }
                let to = ox * c + first;
                y[to..to + n].copy_from_slice(&best[..n]);
                if let Some(argmax) = &mut argmax {
                    for (a, at) in argmax[to..to + n].iter_mut().zip(&at) {
                        *a = *at as u8;
                    }
                }
            }
        }
    }
}

/// The gradient of [`max_pool_forward`]: each output's gradient goes to the pixel it came from.
///
/// # Panics
///
/// When a length does not fit.
pub fn max_pool_backward(p: &Pool2d, dy: &[f32], argmax: &[u8], dx: &mut [f32]) {
    p.check(dx.len(), dy.len());
    assert_eq!(argmax.len(), dy.len(), "the argmax has the output's length");
    let path = SimdPath::current();
    let row = p.in_w * p.channels;
    if dx.is_empty() {
        return;
    }
    dx.par_chunks_mut(row).enumerate().for_each(|(line, dx)| {
        dispatch::run(path, max_line_backward(p, dy, argmax, line, dx));
    });
}

kernel! {
    /// One `line` of the input.
    fn max_line_backward<'a>(
        _: S,
        p: &'a Pool2d,
        dy: &'a [f32],
        argmax: &'a [u8],
        line: usize,
        dx: &'a mut [f32],
    ) {
        let c = p.channels;
        let (out_h, out_w) = (p.out_h(), p.out_w());
        let (image, y) = (line / p.in_h, line % p.in_h);
        dx.fill(0.0);
        for (x, dx) in dx.chunks_exact_mut(c).enumerate() {
            for oy in p.windows(0, y, out_h) {
                for ox in p.windows(1, x, out_w) {
                    let row = y + p.padding[0] - oy * p.stride[0];
                    let tap = row * p.kernel[1] + x + p.padding[1] - ox * p.stride[1];
                    let from = ((image * out_h + oy) * out_w + ox) * c;
                    let (dy, argmax) = (&dy[from..from + c], &argmax[from..from + c]);
                    for ((dx, dy), &a) in dx.iter_mut().zip(dy).zip(argmax) {
                        *dx += if usize::from(a) == tap { *dy } else { 0.0 };
                    }
                }
            }
        }
    }
}

/// The mean of each window; pixels beyond the image count as zeros, as in PyTorch's default.
///
/// # Shapes
///
/// `x`: `[batch, in_h, in_w, channels]`; `y`: `[batch, out_h, out_w, channels]`.
///
/// # Panics
///
/// When a length does not fit.
pub fn average_pool_forward(p: &Pool2d, x: &[f32], y: &mut [f32]) {
    p.check(x.len(), y.len());
    p.averages().forward(x, y);
}

/// The gradient of [`average_pool_forward`].
///
/// # Panics
///
/// When a length does not fit.
pub fn average_pool_backward(p: &Pool2d, dy: &[f32], dx: &mut [f32]) {
    p.check(dx.len(), dy.len());
    p.averages().backward(dy, dx);
}

/// The shape of a pooling to a fixed output size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AdaptivePool2d {
    /// Number of images in the batch.
    pub batch: usize,
    /// Rows of the input.
    pub in_h: usize,
    /// Columns of the input.
    pub in_w: usize,
    /// Number of channels of input and output.
    pub channels: usize,
    /// Rows and columns of the output; `[1, 1]` for the global average.
    pub out: [usize; 2],
}

impl AdaptivePool2d {
    fn windows(&self, input: usize, output: usize) -> Windows {
        assert!(self.in_h > 0 && self.in_w > 0, "the image is empty");
        assert_eq!(
            input,
            self.batch * self.in_h * self.in_w * self.channels,
            "the input's length"
        );
        assert_eq!(
            output,
            self.batch * self.out[0] * self.out[1] * self.channels,
            "the output's length"
        );
        // PyTorch's windows: from the floor of the start to the ceiling of the end.
        let ranges = |len: usize, out: usize| {
            (0..out)
                .map(|o| o * len / out..((o + 1) * len).div_ceil(out))
                .collect()
        };
        Windows {
            input: [self.in_h, self.in_w, self.channels],
            rows: ranges(self.in_h, self.out[0]),
            cols: ranges(self.in_w, self.out[1]),
            weight: None,
        }
    }
}

/// The mean of each of `out` windows that cover the image evenly.
///
/// # Shapes
///
/// `x`: `[batch, in_h, in_w, channels]`; `y`: `[batch, out[0], out[1], channels]`.
///
/// # Panics
///
/// When a length does not fit.
pub fn adaptive_average_pool_forward(p: &AdaptivePool2d, x: &[f32], y: &mut [f32]) {
    p.windows(x.len(), y.len()).forward(x, y);
}

/// The gradient of [`adaptive_average_pool_forward`].
///
/// # Panics
///
/// When a length does not fit.
pub fn adaptive_average_pool_backward(p: &AdaptivePool2d, dy: &[f32], dx: &mut [f32]) {
    p.windows(dx.len(), dy.len()).backward(dy, dx);
}

/// Rectangles to average: every pair of a range of rows and a range of columns.
struct Windows {
    input: [usize; 3],
    rows: Vec<Range<usize>>,
    cols: Vec<Range<usize>>,
    /// What each value counts; one over the rectangle's pixels if none is given.
    weight: Option<f32>,
}

impl Windows {
    fn weight(&self, rows: &Range<usize>, cols: &Range<usize>) -> f32 {
        self.weight
            .unwrap_or(1.0 / (rows.len() * cols.len()) as f32)
    }

    fn forward(&self, x: &[f32], y: &mut [f32]) {
        let [h, w, c] = self.input;
        if y.is_empty() {
            return;
        }
        let path = SimdPath::current();
        y.par_chunks_mut(self.rows.len() * self.cols.len() * c)
            .zip(x.par_chunks(h * w * c))
            .for_each(|(y, x)| dispatch::run(path, average_image(self, x, y)));
    }

    fn backward(&self, dy: &[f32], dx: &mut [f32]) {
        let [h, w, c] = self.input;
        if dy.is_empty() {
            dx.fill(0.0);
            return;
        }
        let path = SimdPath::current();
        dx.par_chunks_mut(h * w * c)
            .zip(dy.par_chunks(self.rows.len() * self.cols.len() * c))
            .for_each(|(dx, dy)| dispatch::run(path, average_image_backward(self, dy, dx)));
    }
}

kernel! {
    fn average_image<'a>(_: S, windows: &'a Windows, x: &'a [f32], y: &'a mut [f32]) {
        let [_, w, c] = windows.input;
        let mut outputs = y.chunks_exact_mut(c);
        for rows in &windows.rows {
            for cols in &windows.cols {
                let y = outputs.next().expect("one output per window");
                y.fill(0.0);
                for row in rows.clone() {
                    let seen = &x[(row * w + cols.start) * c..(row * w + cols.end) * c];
                    for x in seen.chunks_exact(c) {
                        for (y, x) in y.iter_mut().zip(x) {
                            *y += x;
                        }
                    }
                }
                let weight = windows.weight(rows, cols);
                for y in y {
                    *y *= weight;
                }
            }
        }
    }
}

kernel! {
    fn average_image_backward<'a>(_: S, windows: &'a Windows, dy: &'a [f32], dx: &'a mut [f32]) {
        let [_, w, c] = windows.input;
        dx.fill(0.0);
        let mut outputs = dy.chunks_exact(c);
        for rows in &windows.rows {
            for cols in &windows.cols {
                let dy = outputs.next().expect("one output per window");
                let weight = windows.weight(rows, cols);
                for row in rows.clone() {
                    let seen = &mut dx[(row * w + cols.start) * c..(row * w + cols.end) * c];
                    for dx in seen.chunks_exact_mut(c) {
                        for (dx, dy) in dx.iter_mut().zip(dy) {
                            *dx += dy * weight;
                        }
                    }
                }
            }
        }
    }
}
