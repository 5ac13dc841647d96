//! The gradient to the weights of a dense convolution: for every tap, the product of the input (transposed) with the
//! output gradient, summed over pixels.
//!
//! Pixels are cut into blocks. A unit of work is (group of blocks, panel of output channels, some taps): it packs the
//! panel's columns of the output gradient for one block at a time, then walks over tiles of input channels whose sums
//! stay in registers while the block's pixels go by. Zeros around the image are never touched: each tap has its own
//! range of valid outputs. The cut follows from the shape alone, so sums do not depend on threads.

use super::geometry::Axis;
use super::window::{Source, Window};
use super::{Conv2d, Words};
use crate::dispatch::{self, SimdPath};
use crate::parallel::{SharedMut, each, piece};
use crate::scratch;
use crate::simd::{Kernel, Portable, Simd};
use crate::tile::{self, Run, Start, panel_width};
use rayon::prelude::*;

/// Pixels of one block: their packed gradient fits the first cache beside a tile's inputs.
const BLOCK_PIXELS: usize = 192;
/// Bytes that partial sums may take before blocks are no longer summed in groups.
const PARTIAL_BYTES: usize = 2 << 20;
/// Units of work to aim at.
const UNITS: usize = 24;

/// One group of channels of a convolution, seen as sums over pixels.
#[derive(Clone, Copy, Debug)]
struct Gradient<'a> {
    path: SimdPath,
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
    /// Pieces the taps are cut into.
    tap_parts: usize,
}

/// Writes the gradient of every weight.
pub(crate) fn backward_weight(c: &Conv2d, path: SimdPath, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let (cin, cout) = (c.in_c / c.groups, c.out_c / c.groups);
    let [rows, cols] = c.axes();
    if c.batch * rows.count * cols.count == 0 {
        dw.fill(0.0);
        return;
    }
    let taps = c.kernel[0] * c.kernel[1];
    // Few channels would leave most of a tile empty. In a copy with its zeros, the pixels under one kernel row are one
    // stretch of memory: the row becomes a single tap with `kernel_w * channels` channels.
    let unfold = cin < 8 && c.kernel[1] > 1;
    let copy = unfold.then(|| pad(c, x, cin, &rows, &cols));
    for g in 0..c.groups {
        let base = Gradient {
            path,
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
            tap_parts: 0,
        };
        let gradient = match &copy {
            None => base,
            Some(copy) => {
                let shape = [rows.span(rows.count), cols.span(cols.count), cin];
                let len = c.batch * shape[0] * shape[1] * shape[2];
                Gradient {
                    // One group after the other; a little beyond its end, the last tap's stretch still lies inside.
                    x: &copy[g * len..][..len],
                    input: shape,
                    first_channel: 0,
                    channels: cin * c.kernel[1],
                    rows: Axis { start: 0, ..rows },
                    cols: Axis { start: 0, taps: 1, ..cols },
                    ..base
                }
            }
        };
        let weights = cout * cin * taps;
        gradient.cut().run(cin, taps, &mut dw[g * weights..][..weights]);
    }
}

/// Copies the whole batch with its zeros, `[groups, batch, rows, cols, channels]`.
fn pad(c: &Conv2d, x: &[f32], cin: usize, rows: &Axis, cols: &Axis) -> scratch::Scratch {
    let (h, w) = (rows.span(rows.count), cols.span(cols.count));
    let mut copy = scratch::take(c.groups * c.batch * h * w * cin);
    copy.par_chunks_mut(h * w * cin).enumerate().for_each(|(i, to)| {
        let source = Source { x, shape: [c.in_h, c.in_w, c.in_c], first_channel: i / c.batch * cin, channels: cin };
        let window = Window { image: i % c.batch, top: rows.start, left: cols.start, rows: h, cols: w, step: [1, 1] };
        source.copy(&window, Words::Full, cin, to, Portable);
    });
    copy
}

impl Gradient<'_> {
    /// Decides how the work is cut, from the shape alone.
    fn cut(self) -> Self {
        let width = panel_width(self.path);
        let total = self.batch * self.rows.count;
        let lines = BLOCK_PIXELS.div_ceil(self.cols.count).min(total);
        let blocks = total.div_ceil(lines);
        let panels = self.columns.div_ceil(width);
        let taps = self.rows.taps * self.cols.taps;
        let bytes = panels * taps * self.channels * width * 4;
        let groups = (PARTIAL_BYTES / bytes).clamp(1, UNITS.div_ceil(panels)).min(blocks);
        let tap_parts = UNITS.div_ceil(panels * groups).min(taps);
        Gradient { lines, blocks, groups, tap_parts, ..self }
    }

    /// `cin` and `taps` are the weights' own: `channels * taps of the axes` is the same number.
    fn run(&self, cin: usize, taps: usize, dw: &mut [f32]) {
        let [h, w, c] = self.input;
        assert!(self.x.len() == self.batch * h * w * c);
        assert!(self.dy.len() == self.batch * self.rows.count * self.cols.count * self.out_c);
        assert!(self.first_column + self.columns <= self.out_c);
        let width = panel_width(self.path);
        let panels = self.columns.div_ceil(width);
        let sums = cin * taps * width;
        let mut partial = scratch::take(self.groups * panels * sums);
        let shared = SharedMut(partial.as_mut_ptr());
        let axis_taps = self.rows.taps * self.cols.taps;
        each(self.groups * panels * self.tap_parts, |i| {
            let (group, i) = (i / (panels * self.tap_parts), i % (panels * self.tap_parts));
            let (panel, part) = (i / self.tap_parts, i % self.tap_parts);
            let unit = Unit {
                of: self,
                blocks: piece(self.blocks, self.groups, group),
                panel,
                taps: piece(axis_taps, self.tap_parts, part),
                sums: shared,
                offset: (group * panels + panel) * sums,
            };
            dispatch::run(self.path, &unit);
        });
        dw.par_chunks_mut(width * cin * taps).enumerate().for_each(|(panel, dw)| {
            let sums: Vec<&[f32]> = partial.chunks(panels * sums).map(|g| &g[panel * sums..][..sums]).collect();
            dispatch::run(self.path, Combine { sums: &sums, width, cin, taps, dw });
        });
    }
}

/// Adds the sums of all groups in order and turns a panel from [tap, channel, column] into [column, channel, tap].
struct Combine<'a> {
    sums: &'a [&'a [f32]],
    width: usize,
    cin: usize,
    taps: usize,
    dw: &'a mut [f32],
}

impl Kernel for Combine<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Combine { sums, width, cin, taps, dw } = self;
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

/// One thread's piece of work.
struct Unit<'a> {
    of: &'a Gradient<'a>,
    blocks: std::ops::Range<usize>,
    panel: usize,
    taps: std::ops::Range<usize>,
    /// The partial sums of all units, and where this unit's panel begins.
    sums: SharedMut,
    offset: usize,
}

impl Kernel for &Unit<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let of = self.of;
        let width = 2 * S::LANES;
        let total = of.batch * of.rows.count;
        let first_column = self.panel * width;
        let columns = (of.columns - first_column).min(width);
        let step = of.cols.stride * of.input[2];
        let tiles = of.channels.div_ceil(S::ROWS);
        // SAFETY: this unit alone owns the rows of its taps in its panel and group; they lie inside the partial sums.
        let sums = unsafe { self.sums.0.add(self.offset) };
        let mut gradient = scratch::take(of.lines * of.cols.count * width);
        let mut runs = Vec::new();
        for block in self.blocks.clone() {
            let lines = block * of.lines..((block + 1) * of.lines).min(total);
            let pixels = lines.len() * of.cols.count;
            let dy = &of.dy[lines.start * of.cols.count * of.out_c..][..pixels * of.out_c];
            for pixel in 0..pixels {
                for v in 0..2 {
                    let n = columns.saturating_sub(v * S::LANES).min(S::LANES);
                    // SAFETY: the columns lie inside the pixel's channels, the row inside the buffer; with `n` zero
                    // nothing is read.
                    unsafe {
                        let from = dy.as_ptr().wrapping_add(pixel * of.out_c + of.first_column + first_column + v * S::LANES);
                        let d = if n == S::LANES { s.load(from) } else { s.load_n(from, n) };
                        s.store(gradient.as_mut_ptr().add(pixel * width + v * S::LANES), d);
                    }
                }
            }
            for tap in self.taps.clone() {
                of.runs(tap, lines.clone(), &mut runs);
                for tile in 0..tiles {
                    let channels = piece(of.channels, tiles, tile);
                    // SAFETY: `runs` stay inside the image for this tap (and, unfolded, inside the copy, whose rows
                    // hold whole kernels); channels and sums are this unit's.
                    unsafe {
                        let pixels = tile::Pixels {
                            x: of.x.as_ptr().add(of.first_channel + channels.start),
                            step,
                            runs: &runs,
                            gradient: gradient.as_ptr(),
                            sums: sums.add((tap * of.channels + channels.start) * width),
                            start: if block == self.blocks.start { Start::Zero } else { Start::Stored },
                        };
                        tile::sum_over_pixels(s, &pixels, channels.len(), columns);
                    }
                }
            }
        }
    }
}

impl Gradient<'_> {
    /// The stretches of valid outputs of one tap in some lines, neighbouring ones joined.
    #[inline(always)]
    fn runs(&self, tap: usize, lines: std::ops::Range<usize>, runs: &mut Vec<Run>) {
        runs.clear();
        let [h, w, c] = self.input;
        let (tap_y, tap_x) = (tap / self.cols.taps, tap % self.cols.taps);
        let valid_y = self.rows.outputs_of_tap(tap_y, h);
        let valid_x = self.cols.outputs_of_tap(tap_x, w);
        if valid_x.is_empty() {
            return;
        }
        let step = self.cols.stride * c;
        for line in lines.clone() {
            let (image, y) = (line / self.rows.count, line % self.rows.count);
            if !valid_y.contains(&y) {
                continue;
            }
            let row = (self.rows.source(y) + tap_y as isize) as usize;
            let col = (self.cols.source(valid_x.start) + tap_x as isize) as usize;
            let run = Run {
                input: ((image * h + row) * w + col) * c,
                output: (line - lines.start) * self.cols.count + valid_x.start,
                len: valid_x.len(),
            };
            match runs.last_mut() {
                Some(last) if last.input + last.len * step == run.input && last.output + last.len == run.output => {
                    last.len += run.len;
                }
                _ => runs.push(run),
            }
        }
    }
}
