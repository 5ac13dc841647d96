//! The gradient to the weights of a dense convolution: for every tap, the product of the input (transposed) with the
//! output gradient, summed over pixels.
//!
//! Pixels are cut into blocks, and blocks into groups with sums of their own; how follows from the shape alone, so
//! sums do not depend on threads. A unit of work is (group, some panels of output channels, some rows of taps): it
//! packs its columns of the output gradient for one block at a time, then walks over tiles of input channels whose
//! sums stay in registers while the block's pixels go by ([`unit`]). Which units there are may depend on threads.

mod unit;

use super::geometry::Axis;
use super::window::{Source, Window};
use super::{Conv2d, Words};
use crate::dispatch::{self, SimdPath};
use crate::parallel::{CHUNK, SharedMut, each, piece};
use crate::scratch::{self, Scratch};
use crate::simd::{Kernel, Portable, Simd, kernel};
use crate::tile::panel_width;
use half::bf16;
use rayon::prelude::*;
use unit::{Unit, run_unit};

/// Pixels of one block: their packed gradient fits the first cache beside a tile's inputs.
const BLOCK_PIXELS: usize = 192;
/// Bytes that partial sums may take before blocks are no longer summed in groups.
const PARTIAL_BYTES: usize = 2 << 20;
/// The most groups.
const GROUPS: usize = 24;

/// One group of channels of a convolution, seen as sums over pixels.
#[derive(Clone, Copy, Debug)]
struct Gradient<'a> {
    path: SimdPath,
    words: Words,
    x: &'a [f32],
    dy: &'a [f32],
    batch: usize,
    /// Height, width, channels of the input.
    input: [usize; 3],
    first_channel: usize,
    channels: usize,
    rows: Axis,
    cols: Axis,
    out_c: usize,
    first_column: usize,
    columns: usize,
    /// Output lines per block, blocks, and groups of blocks with sums of their own.
    lines: usize,
    blocks: usize,
    groups: usize,
}

/// Writes the gradient of every weight.
pub(crate) fn backward_weight(
    c: &Conv2d,
    path: SimdPath,
    words: Words,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
) {
    let (cin, cout) = (c.in_c / c.groups, c.out_c / c.groups);
    let [rows, cols] = c.axes();
    if c.batch * rows.count * cols.count == 0 {
        dw.fill(0.0);
        return;
    }
    if words == Words::Rounded {
        return backward_weight(c, path, Words::Full, &rounded(x), &rounded(dy), dw);
    }
    let taps = c.kernel[0] * c.kernel[1];
    // Few channels would leave most of a tile empty. In a copy with its zeros, the pixels under one kernel row are one
    // stretch of memory: the row becomes a single tap with `kernel_w * channels` channels.
    let unfold = cin < 8 && c.kernel[1] > 1;
    let copy = unfold.then(|| pad(c, x, cin, &rows, &cols));
    for g in 0..c.groups {
        let base = Gradient {
            path,
            words,
            x,
            dy,
            batch: c.batch,
            input: [c.in_h, c.in_w, c.in_c],
            first_channel: g * cin,
            channels: cin,
            rows,
            cols,
            out_c: c.out_c,
            first_column: g * cout,
            columns: cout,
            lines: 0,
            blocks: 0,
            groups: 0,
        };
        let gradient = match &copy {
            None => base,
            Some(copy) => {
                let shape = [rows.span(rows.count), cols.span(cols.count), cin];
                let len = c.batch * shape[0] * shape[1] * shape[2];
                Gradient {
                    x: &copy[g * len..][..len],
                    input: shape,
                    first_channel: 0,
                    channels: cin * c.kernel[1],
                    rows: Axis { start: 0, ..rows },
                    cols: Axis {
                        start: 0,
                        taps: 1,
                        ..cols
                    },
                    ..base
                }
            }
        };
        let weights = cout * cin * taps;
        gradient
            .cut()
            .run(cin, taps, &mut dw[g * weights..][..weights]);
    }
}

/// A copy rounded to bf16, still as `f32`.
fn rounded(x: &[f32]) -> Scratch {
    let mut y = scratch::take(x.len());
    y.par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .for_each(|(y, x)| {
            for (y, x) in y.iter_mut().zip(x) {
                *y = bf16::from_f32(*x).to_f32();
            }
        });
    y
}

/// Copies the whole batch with its zeros, `[groups, batch, rows, cols, channels]`.
fn pad(c: &Conv2d, x: &[f32], cin: usize, rows: &Axis, cols: &Axis) -> Scratch {
    let (h, w) = (rows.span(rows.count), cols.span(cols.count));
    let mut copy = scratch::take(c.groups * c.batch * h * w * cin);
    copy.par_chunks_mut(h * w * cin)
        .enumerate()
        .for_each(|(i, to)| {
            let source = Source {
                x,
                shape: [c.in_h, c.in_w, c.in_c],
                first_channel: i / c.batch * cin,
                channels: cin,
            };
            let window = Window {
                image: i % c.batch,
                top: rows.start,
                left: cols.start,
                rows: h,
                cols: w,
                step: [1, 1],
            };
            source.copy(&window, Words::Full, cin, to, Portable);
        });
    copy
}

impl Gradient<'_> {
    /// Decides how pixels are cut, from the shape alone.
    fn cut(self) -> Self {
        let width = panel_width(self.path);
        let total = self.batch * self.rows.count;
        let lines = BLOCK_PIXELS.div_ceil(self.cols.count).min(total);
        let blocks = total.div_ceil(lines);
        let panels = self.columns.div_ceil(width);
        let bytes = panels * self.rows.taps * self.cols.taps * self.channels * width * 4;
        let groups = (PARTIAL_BYTES / bytes)
            .clamp(1, GROUPS.div_ceil(panels))
            .min(blocks);
        Gradient {
            lines,
            blocks,
            groups,
            ..self
        }
    }

    /// `cin` and `taps` are the weights' own: their product is `channels * taps of the axes`.
    fn run(&self, cin: usize, taps: usize, dw: &mut [f32]) {
        // The unsafe code in `unit` relies on these.
        let [h, w, c] = self.input;
        assert!(
            self.x.len() == self.batch * h * w * c
                && self.first_channel + self.channels <= c * self.stretch()
        );
        assert!(self.dy.len() == self.batch * self.rows.count * self.cols.count * self.out_c);
        assert!(self.first_column + self.columns <= self.out_c);
        let width = panel_width(self.path);
        let panels = self.columns.div_ceil(width);
        let sums = cin * taps * width;
        let mut partial = scratch::take(self.groups * panels * sums);
        let shared = SharedMut(partial.as_mut_ptr());
        // Few units repeat little packing; enough of them keep every thread busy.
        let threads = rayon::current_num_threads();
        let wanted = if threads == 1 { 1 } else { 4 * threads };
        let panel_parts = wanted.div_ceil(self.groups).min(panels);
        let tap_parts = wanted
            .div_ceil(self.groups * panel_parts)
            .min(self.rows.taps);
        each(self.groups * panel_parts * tap_parts, |i| {
            let (group, i) = (i / (panel_parts * tap_parts), i % (panel_parts * tap_parts));
            let unit = Unit {
                of: self,
                blocks: piece(self.blocks, self.groups, group),
                panels: piece(panels, panel_parts, i / tap_parts),
                tap_rows: piece(self.rows.taps, tap_parts, i % tap_parts),
                sums: shared,
                offset: group * panels * sums,
                panel_len: sums,
            };
            self.words.run(self.path, run_unit(&unit));
        });
        dw.par_chunks_mut(width * cin * taps)
            .enumerate()
            .for_each(|(panel, dw)| {
                let sums: Vec<&[f32]> = partial
                    .chunks(panels * sums)
                    .map(|g| &g[panel * sums..][..sums])
                    .collect();
                dispatch::run(self.path, combine(&sums, width, cin, taps, dw));
            });
    }

    /// Neighbouring pixels that count as channels of one: more than one in an unfolded copy.
    fn stretch(&self) -> usize {
        self.channels.div_ceil(self.input[2]).max(1)
    }
}

kernel! {
    /// Adds the `sums` of all groups in order and turns a panel from [tap, channel, column] into [column, channel, tap].
    fn combine<'a>(
        s: S,
        sums: &'a [&'a [f32]],
        width: usize,
        cin: usize,
        taps: usize,
        dw: &'a mut [f32],
    ) {
        let columns = dw.len() / (cin * taps);
        // A few channels at a time, so that what is turned stays in the first cache.
        let some = (64 / taps).max(1);
        let mut turned = vec![0.0f32; width * some * taps];
        let mut row = [0.0f32; 32];
        for first in (0..cin).step_by(some) {
            let n = (cin - first).min(some);
            for channel in 0..n {
                for tap in 0..taps {
                    let at = (tap * cin + first + channel) * width;
                    for v in (0..width).step_by(S::LANES) {
                        // SAFETY: a row of `width` numbers starts at `at` in every group; `row` has 32 >= `width`.
                        unsafe {
                            let mut sum = s.load(sums[0][at..at + width].as_ptr().add(v));
                            for group in &sums[1..] {
                                sum = s.add(sum, s.load(group[at..at + width].as_ptr().add(v)));
                            }
                            s.store(row.as_mut_ptr().add(v), sum);
                        }
                    }
                    for (column, &sum) in row[..width].iter().enumerate() {
                        turned[(column * some + channel) * taps + tap] = sum;
                    }
                }
            }
            for column in 0..columns {
                dw[column * cin * taps + first * taps..][..n * taps]
                    .copy_from_slice(&turned[column * some * taps..][..n * taps]);
            }
        }
    }
}
