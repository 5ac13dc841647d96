//! One thread's piece of the gradient to the weights.
//!
//! Words of `f32` are read from the input in place, and zeros around the image are never touched: each tap has its own
//! range of valid outputs. Pairs of bf16 are pairs of neighbouring *pixels*, because the sum runs over pixels: for
//! each column of taps, the block's input rows are copied as pairs, with zeros beyond the image.

use super::Gradient;
use crate::conv::Words;
use crate::parallel::SharedMut;
use crate::parallel::piece;
use crate::scratch;
use crate::simd::{Kernel, Simd, kernel};
use crate::tile::{Pixels, Run, Start, sum_over_pixels};
use std::ops::Range;

/// Some blocks of pixels, panels of output channels and rows of taps.
pub(super) struct Unit<'a> {
    pub(super) of: &'a Gradient<'a>,
    pub(super) blocks: Range<usize>,
    pub(super) panels: Range<usize>,
    pub(super) tap_rows: Range<usize>,
    /// The sums of all units, where this group's begin, and the numbers of one panel.
    pub(super) sums: SharedMut,
    pub(super) offset: usize,
    pub(super) panel_len: usize,
}

kernel! {
    pub(super) fn run_unit<'a>(s: S, unit: &'a Unit<'a>) {
        let of = unit.of;
        let width = 2 * S::LANES;
        let total = of.batch * of.rows.count;
        let is_paired = of.words == Words::Pairs;
        let row_words = if is_paired { of.cols.count.div_ceil(2) } else { of.cols.count };
        let panel_words = of.lines * row_words * width;
        let mut gradient = scratch::take(unit.panels.len() * panel_words);
        let mut pairs = scratch::take(unit.pair_words(of.lines, row_words));
        let mut runs = Vec::new();
        for block in unit.blocks.clone() {
            let lines = block * of.lines..((block + 1) * of.lines).min(total);
            let start = if block == unit.blocks.start { Start::Zero } else { Start::Stored };
            for (i, panel) in unit.panels.clone().enumerate() {
                let to = &mut gradient[i * panel_words..][..lines.len() * row_words * width];
                s.kernel(pack_gradient(of, lines.clone(), panel * width, to));
            }
            for tap_x in 0..of.cols.taps {
                if is_paired {
                    s.kernel(pack_pairs(of, tap_x, lines.clone(), row_words, &mut pairs));
                }
                for tap_y in unit.tap_rows.clone() {
                    let (x, step) = if is_paired {
                        of.pair_runs(tap_y, lines.clone(), row_words, &mut runs);
                        (pairs.as_ptr(), of.channels)
                    } else {
                        of.runs(tap_y, tap_x, lines.clone(), &mut runs);
                        let x = of.x.as_ptr().wrapping_add(of.first_channel);
                        (x, of.cols.stride * of.input[2])
                    };
                    for (i, panel) in unit.panels.clone().enumerate() {
                        let columns = (of.columns - panel * width).min(width);
                        let row = (tap_y * of.cols.taps + tap_x) * of.channels;
                        let at = unit.offset + panel * unit.panel_len + row * width;
                        let pixels = Pixels {
                            x,
                            step,
                            runs: &runs,
                            gradient: gradient[i * panel_words..].as_ptr(),
                            // SAFETY: the panel's sums lie inside those of the group; this unit alone has this panel
                            // and row of taps.
                            sums: unsafe { unit.sums.0.add(at) },
                            start,
                        };
                        s.kernel(sum_tiles(of.channels, pixels, columns));
                    }
                }
            }
        }
    }
}

impl Unit<'_> {
    /// Words that the pairs of one block take for one column of taps.
    fn pair_words(&self, lines: usize, row_words: usize) -> usize {
        let of = self.of;
        if of.words != Words::Pairs {
            return 0;
        }
        // Every image in the block has its own rows; a block of `lines` touches at most this many images.
        let images = (lines - 1).div_ceil(of.rows.count) + 1;
        (lines * of.pair_step() + images * of.rows.taps) * row_words * of.channels
    }
}

kernel! {
    /// All tiles of input channels for one tap and one panel; `pixels` are those of the first channel.
    fn sum_tiles<'a>(s: S, channels: usize, pixels: Pixels<'a>, columns: usize) {
        let tiles = channels.div_ceil(S::ROWS);
        for tile in 0..tiles {
            let channels = piece(channels, tiles, tile);
            // SAFETY: the runs stay inside the image for this tap, inside the pairs, or inside the unfolded copy, whose
            // rows hold whole kernels; channels and sums are this unit's.
            unsafe {
                let pixels = Pixels {
                    x: pixels.x.add(channels.start),
                    sums: pixels.sums.add(channels.start * 2 * S::LANES),
                    ..pixels
                };
                sum_over_pixels(s, &pixels, channels.len(), columns);
            }
        }
    }
}

kernel! {
    /// Copies one panel's columns of the output gradient, from `first` on: a row of two vectors per pixel, or per pair
    /// of pixels.
    fn pack_gradient<'a>(
        s: S,
        of: &'a Gradient<'a>,
        lines: Range<usize>,
        first: usize,
        to: &'a mut [f32],
    ) {
        let width = 2 * S::LANES;
        let columns = (of.columns - first).min(width);
        let count = of.cols.count;
        let dy = &of.dy[lines.start * count * of.out_c..][..lines.len() * count * of.out_c];
        // Two loads per pixel or pair, each below `lines.len() * count`.
        let load = |pixel: usize, v: usize| {
            let n = columns.saturating_sub(v * S::LANES).min(S::LANES);
            let at = pixel * of.out_c + of.first_column + first + v * S::LANES;
            let from = dy.as_ptr().wrapping_add(at);
            // SAFETY: the pixel lies inside `dy`, and the first `n` columns inside the pixel; with `n` zero, where the
            // address may lie beyond the end, nothing is read.
            unsafe {
                if n == S::LANES {
                    s.load(from)
                } else {
                    s.load_n(from, n)
                }
            }
        };
        let mut rows = to.chunks_exact_mut(width);
        for line in 0..lines.len() {
            let step = if of.words == Words::Pairs { 2 } else { 1 };
            for col in (0..count).step_by(step) {
                let row = rows.next().expect("a row for every pixel or pair");
                let pixel = line * count + col;
                for v in 0..2 {
                    let mut d = load(pixel, v);
                    if of.words == Words::Pairs {
                        let next = if col + 1 < count { load(pixel + 1, v) } else { s.zero() };
                        d = s.pair(d, next);
                    }
                    // SAFETY: the row has two vectors.
                    unsafe { s.store(row.as_mut_ptr().add(v * S::LANES), d) };
                }
            }
        }
    }
}

kernel! {
    /// Copies the input rows that a block sees, for one column of taps: `[rows, pairs of outputs, channels]`, a word
    /// being what two neighbouring outputs see.
    fn pack_pairs<'a>(
        s: S,
        of: &'a Gradient<'a>,
        tap_x: usize,
        lines: Range<usize>,
        row_words: usize,
        to: &'a mut [f32],
    ) {
        let [h, w, c] = of.input;
        let mut at = 0;
        for (image, lines) in of.images(lines) {
            let top = of.rows.source(lines.start);
            for r in 0..of.pair_rows(lines.len()) {
                let to = &mut to[at + r * row_words * of.channels..][..row_words * of.channels];
                let y = top + (r * of.pair_row_step()) as isize;
                if y < 0 || y >= h as isize {
                    // No run reads this row.
                    continue;
                }
                let row = (image * h + y as usize) * w;
                for (pair, to) in to.chunks_exact_mut(of.channels).enumerate() {
                    let pixel = |col: usize| {
                        let x = of.cols.source(col) + tap_x as isize;
                        let inside = col < of.cols.count && x >= 0 && (x as usize) < w;
                        inside.then(|| (row + x as usize) * c + of.first_channel)
                    };
                    let (a, b) = (pixel(2 * pair), pixel(2 * pair + 1));
                    for i in (0..of.channels).step_by(S::LANES) {
                        let n = (of.channels - i).min(S::LANES);
                        // SAFETY: both pixels lie inside the input with all their channels (in an unfolded copy, with
                        // the pixels under the kernel's row); `to` has all channels.
                        unsafe {
                            let a = a.map_or(s.zero(), |a| s.load_n(of.x.as_ptr().add(a + i), n));
                            let b = b.map_or(s.zero(), |b| s.load_n(of.x.as_ptr().add(b + i), n));
                            s.store_n(to.as_mut_ptr().add(i), s.pair(a, b), n);
                        }
                    }
                }
            }
            at += of.pair_rows(lines.len()) * row_words * of.channels;
        }
    }
}

impl Gradient<'_> {
    /// The images of some lines, with the lines of each.
    fn images(&self, lines: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        let per_image = self.rows.count;
        (lines.start / per_image..lines.end.div_ceil(per_image)).map(move |image| {
            let base = image * per_image;
            (
                image,
                lines.start.max(base) - base..lines.end.min(base + per_image) - base,
            )
        })
    }

    /// Input rows from one copied row to the next: with one row of taps only the rows it meets are copied.
    fn pair_row_step(&self) -> usize {
        if self.rows.taps == 1 {
            self.rows.stride
        } else {
            1
        }
    }

    /// Copied rows from one output line to the next.
    fn pair_step(&self) -> usize {
        self.rows.stride / self.pair_row_step()
    }

    /// Rows copied for some lines of one image.
    fn pair_rows(&self, lines: usize) -> usize {
        (lines - 1) * self.pair_step() + self.rows.taps
    }

    /// The stretches of outputs of one row of taps, in the pairs of some lines.
    #[inline(always)]
    fn pair_runs(&self, tap_y: usize, lines: Range<usize>, row_words: usize, runs: &mut Vec<Run>) {
        runs.clear();
        let valid = self.rows.outputs_of_tap(tap_y, self.input[0]);
        let (mut rows, mut output) = (0, 0);
        for (_, lines) in self.images(lines) {
            for (i, line) in lines.clone().enumerate() {
                if valid.contains(&line) {
                    let input = (rows + i * self.pair_step() + tap_y) * row_words * self.channels;
                    join(
                        runs,
                        Run {
                            input,
                            output,
                            len: row_words,
                        },
                        self.channels,
                    );
                }
                output += row_words;
            }
            rows += self.pair_rows(lines.len());
        }
    }

    /// The stretches of valid outputs of one tap in some lines.
    #[inline(always)]
    fn runs(&self, tap_y: usize, tap_x: usize, lines: Range<usize>, runs: &mut Vec<Run>) {
        runs.clear();
        let [h, w, c] = self.input;
        let valid_y = self.rows.outputs_of_tap(tap_y, h);
        let valid_x = self.cols.outputs_of_tap(tap_x, w);
        if valid_x.is_empty() {
            return;
        }
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
            join(runs, run, self.cols.stride * c);
        }
    }
}

/// Appends a run, as part of the last one where it continues that.
#[inline(always)]
fn join(runs: &mut Vec<Run>, run: Run, step: usize) {
    match runs.last_mut() {
        Some(last)
            if last.input + last.len * step == run.input
                && last.output + last.len == run.output =>
        {
            last.len += run.len;
        }
        _ => runs.push(run),
    }
}
