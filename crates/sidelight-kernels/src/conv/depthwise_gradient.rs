//! The gradient to the weights of a depthwise convolution: for every channel and tap, the sum over pixels of input
//! times output gradient.

use super::Conv2d;
use super::depthwise::{Lanes, each_lanes};
use super::geometry::Axis;
use crate::dispatch::{self, SimdPath};
use crate::parallel::piece;
use crate::scratch;
use crate::simd::{Kernel, Simd, kernel};
use rayon::prelude::*;
use std::ops::Range;

/// Writes the gradient `[channels, 1, kernel_h, kernel_w]`.
pub(crate) fn backward_weight(c: &Conv2d, path: SimdPath, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let [rows, cols] = c.axes();
    let taps = c.kernel[0] * c.kernel[1];
    // The cut follows from the shape alone: runs of images, and of their lines where images are few.
    let lines = c.batch * rows.count;
    let units = UNITS.min(lines);
    let sums = taps * c.in_c;
    let mut partial = scratch::take(units * sums);
    let work = Gradient {
        c,
        rows,
        cols,
        x,
        dy,
    };
    partial
        .par_chunks_mut(sums)
        .enumerate()
        .for_each(|(i, sums)| {
            dispatch::run(path, sum_lines(&work, piece(lines, units, i), sums));
        });
    let mut total = vec![0.0f64; c.in_c];
    for tap in 0..taps {
        total.fill(0.0);
        for unit in partial.chunks(sums) {
            for (total, sum) in total.iter_mut().zip(&unit[tap * c.in_c..]) {
                *total += f64::from(*sum);
            }
        }
        for (channel, total) in total.iter().enumerate() {
            dw[channel * taps + tap] = *total as f32;
        }
    }
}

/// Units of work with sums of their own.
const UNITS: usize = 32;

struct Gradient<'a> {
    c: &'a Conv2d,
    rows: Axis,
    cols: Axis,
    x: &'a [f32],
    dy: &'a [f32],
}

kernel! {
    /// `lines` of all images, counted through; `sums` are `[taps, channels]`, this unit's own.
    fn sum_lines<'a>(s: S, of: &'a Gradient<'a>, lines: Range<usize>, sums: &'a mut [f32]) {
        let Conv2d { kernel: [_, kw], stride, .. } = *of.c;
        sums.fill(0.0);
        for line in lines {
            let (image, y) = (line / of.rows.count, line % of.rows.count);
            let taps = of.rows.valid_taps(y, of.c.in_h);
            if taps.is_empty() {
                continue;
            }
            let view = LineView {
                of,
                image,
                y,
                row: (of.rows.source(y) + taps.start as isize) as usize,
                first_tap: taps.start,
                rows: taps.len(),
                tap_x: 0,
                sums: sums.as_mut_ptr(),
            };
            // The kernel's width and stride as constants keep sums and window in registers.
            match (kw, stride[1]) {
                (3, 1) if S::LANES == 16 => s.kernel(sum_line::<3, 1, 8, 10>(view)),
                (3, 1) => s.kernel(sum_line::<3, 1, 4, 6>(view)),
                (3, 2) => s.kernel(sum_line::<3, 2, 4, 9>(view)),
                (5, 1) => s.kernel(sum_line::<5, 1, 4, 8>(view)),
                (5, 2) => s.kernel(sum_line::<5, 2, 4, 11>(view)),
                _ => {
                    for tap_x in 0..kw {
                        s.kernel(sum_line::<1, 0, 1, 1>(LineView { tap_x, ..view }));
                    }
                }
            }
        }
    }
}

/// One line of outputs and the rows of taps that fall inside the input.
#[derive(Clone, Copy)]
struct LineView<'a> {
    of: &'a Gradient<'a>,
    image: usize,
    /// The output line.
    y: usize,
    /// The input row under the first of these rows of taps.
    row: usize,
    first_tap: usize,
    rows: usize,
    /// The first tap of each row.
    tap_x: usize,
    /// The unit's sums.
    sums: *mut f32,
}

kernel! {
    /// Adds what one line of outputs contributes to `K` taps of each row. With stride `D`, `T` outputs see `W` columns.
    fn sum_line<'a, const K: usize, const D: usize, const T: usize, const W: usize>(
        s: S,
        view: LineView<'a>,
    ) {
        const { assert!(W == (T - 1) * D + K) };
        let of = view.of;
        let Conv2d { in_w: w, in_c: c, .. } = *of.c;
        let count = of.cols.count;
        for col in (0..count).step_by(T) {
            let left = of.cols.source(col) + view.tap_x as isize;
            let outputs = T.min(count - col);
            // Channels inside: input, gradient and sums are a few streams.
            if outputs == T && left >= 0 && left as usize + W <= w {
                each_lanes!(s, c, |lanes, channel| {
                    view.strip::<S, _, K, D, T, W>(lanes, channel, col, left, 0..W, T)
                });
            } else {
                let low = (-left).clamp(0, W as isize) as usize;
                let high = (w as isize - left).clamp(low as isize, W as isize) as usize;
                each_lanes!(s, c, |lanes, channel| {
                    view.strip::<S, _, K, D, T, W>(lanes, channel, col, left, low..high, outputs)
                });
            }
        }
    }
}

impl LineView<'_> {
    /// The columns `seen` of the window from `left` on lie inside the input, and `outputs` from `col` on exist.
    #[inline(always)]
    fn strip<
        S: Simd,
        const ALL: bool,
        const K: usize,
        const D: usize,
        const T: usize,
        const W: usize,
    >(
        &self,
        lanes: Lanes<S, ALL>,
        channel: usize,
        col: usize,
        left: isize,
        seen: Range<usize>,
        outputs: usize,
    ) {
        let LineView {
            of,
            image,
            y,
            row,
            first_tap,
            rows,
            tap_x,
            sums,
        } = *self;
        let s = lanes.s;
        let Conv2d {
            in_h: h,
            in_w: w,
            in_c: c,
            kernel,
            ..
        } = *of.c;
        let x = ((image * h + row) * w) as isize + left;
        let mut x =
            of.x.as_ptr()
                .wrapping_offset(x * c as isize)
                .wrapping_add(channel);
        let dy = ((image * of.rows.count + y) * of.cols.count + col) * c + channel;
        // SAFETY: these rows are valid, columns of the window are read only where they are seen, outputs only where
        // they exist; the sums hold a row of channels for every tap and belong to this unit.
        unsafe {
            let dy = of.dy.as_ptr().add(dy);
            let mut d = [s.zero(); T];
            for (t, d) in d.iter_mut().enumerate() {
                if t < outputs {
                    *d = lanes.load(dy.wrapping_add(t * c));
                }
            }
            let mut sums = sums.add((first_tap * kernel[1] + tap_x) * c + channel);
            for _ in 0..rows {
                let mut acc = [s.zero(); K];
                for (k, acc) in acc.iter_mut().enumerate() {
                    *acc = lanes.load(sums.add(k * c));
                }
                let mut window = [s.zero(); W];
                for (i, v) in window.iter_mut().enumerate() {
                    if i >= seen.start && i < seen.end {
                        *v = lanes.load(x.wrapping_add(i * c));
                    }
                }
                for t in 0..T {
                    for (k, acc) in acc.iter_mut().enumerate() {
                        *acc = s.fma(window[t * D + k], d[t], *acc);
                    }
                }
                for (k, acc) in acc.into_iter().enumerate() {
                    lanes.store(sums.add(k * c), acc);
                }
                x = x.wrapping_add(w * c);
                sums = sums.wrapping_add(kernel[1] * c);
            }
        }
    }
}
