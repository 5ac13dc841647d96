//! Dense convolution by register tiles.
//!
//! The outputs are cut into blocks of pixels; each block's inputs are copied with their zeros into a buffer that fits
//! the second cache ([`super::window`]), or read in place where no zero is needed. Then every panel of 32 output
//! channels meets every tile of 14 pixels; a tile may cross rows and images, so small images fill it as well.

use super::Words;
use super::geometry::Axis;
pub(crate) use super::window::Source;
use super::window::Window;
use crate::activation::Epilogue;
use crate::dispatch::SimdPath;
use crate::parallel::{SharedMut, each, piece};
use crate::scratch::{self, Scratch};
use crate::simd::{Kernel, Simd, kernel};
use crate::tile::{self, Panels, Rows, Target, panel_width};
use std::ops::Range;

/// Every output pixel adds up some input pixels times weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correlation<'a> {
    pub(crate) path: SimdPath,
    pub(crate) words: Words,
    pub(crate) batch: usize,
    pub(crate) source: Source<'a>,
    pub(crate) rows: Axis,
    pub(crate) cols: Axis,
    /// Height, width, channels of the whole output.
    pub(crate) out: [usize; 3],
    /// First output channel written.
    pub(crate) first_column: usize,
    /// Output channels written.
    pub(crate) columns: usize,
    /// Panels in the order (row tap, column tap, channel).
    pub(crate) weights: &'a [f32],
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) epilogue: Epilogue<'a>,
}

/// Words of input that one block may take: a quarter of a mebibyte, so that weights fit beside it in the second cache.
const BLOCK_WORDS: usize = 64 * 1024;
/// Pixels of one block: enough to make the reading of a panel of weights cheap.
const BLOCK_PIXELS: usize = 1024;

/// How a block reads its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// From the tensor itself.
    InPlace,
    /// From a copy of the window it sees.
    Window,
    /// From a copy of just the pixels of its only tap.
    Gather,
}

impl Correlation<'_> {
    /// Computes the outputs of these axes and columns; no other element of `out` is touched.
    pub(crate) fn run(&self, out: SharedMut) {
        let [out_h, out_w, out_c] = self.out;
        let width = panel_width(self.path);
        let panels = self.columns.div_ceil(width);
        let panel_len =
            self.rows.taps * self.cols.taps * self.words.count(self.source.channels) * width;
        // The unsafe code below relies on these.
        let [h, w, c] = self.source.shape;
        assert!(
            self.source.x.len() == self.batch * h * w * c
                && self.source.first_channel + self.source.channels <= c
        );
        assert!(
            self.weights.len() == panels * panel_len && self.first_column + self.columns <= out_c
        );
        assert!(self.rows.writes_inside(out_h) && self.cols.writes_inside(out_w));
        assert!(self.bias.is_none_or(|b| b.len() >= out_c));
        assert!(
            self.epilogue
                .residual
                .is_none_or(|r| r.len() == self.batch * out_h * out_w * out_c)
        );

        let lines = self.batch * self.rows.count;
        if lines == 0 || self.cols.count == 0 || panels == 0 {
            return;
        }
        let access = self.access();
        let threads = rayon::current_num_threads();
        let blocks = lines.div_ceil(self.block_lines(access, lines, threads));
        // With few blocks the panels are shared out as well. Neither cut changes any sum.
        let parts = if threads == 1 {
            1
        } else {
            (3 * threads).div_ceil(blocks).min(panels)
        };
        each(blocks * parts, |i| {
            let block = Block {
                of: self,
                access,
                lines: piece(lines, blocks, i / parts),
                panels: piece(panels, parts, i % parts),
                panel_len,
                out,
            };
            self.words.run(self.path, run_block(&block));
        });
    }

    fn access(&self) -> Access {
        let inside =
            self.rows.is_inside(self.source.shape[0]) && self.cols.is_inside(self.source.shape[1]);
        // Rows of a tile that lie a multiple of 4 KiB apart would share one set of the first cache.
        let collides = (self.cols.stride * self.source.shape[2]).is_multiple_of(1024);
        if self.words == Words::Full && inside && !collides {
            Access::InPlace
        } else if self.rows.taps * self.cols.taps == 1 {
            Access::Gather
        } else {
            Access::Window
        }
    }

    /// Words from one copied pixel to the next.
    fn pitch(&self) -> usize {
        let words = self.words.count(self.source.channels);
        if words.is_multiple_of(512) {
            words + 16
        } else {
            words
        }
    }

    /// Output lines per block.
    fn block_lines(&self, access: Access, lines: usize, threads: usize) -> usize {
        let budget = match access {
            Access::InPlace => {
                BLOCK_WORDS / (self.cols.count * self.words.count(self.source.channels))
            }
            Access::Gather => BLOCK_WORDS / (self.cols.count * self.pitch()),
            Access::Window => {
                // A class of inputs that no tap reaches has windows without pixels.
                let row = (self.cols.span(self.cols.count) * self.pitch()).max(1);
                let image = (self.rows.span(self.rows.count) * row).max(1);
                if image <= BLOCK_WORDS {
                    BLOCK_WORDS / image * self.rows.count
                } else {
                    (BLOCK_WORDS / row).saturating_sub(self.rows.taps) / self.rows.stride + 1
                }
            }
        };
        let pixels = (BLOCK_PIXELS / self.cols.count).max(1);
        // Enough blocks for every thread, unless they would get too small to be worth their weights.
        let share = lines
            .div_ceil(4 * threads)
            .max(112usize.div_ceil(self.cols.count));
        budget.clamp(1, pixels).min(share)
    }
}

/// One thread's piece of work: some lines of the output, some panels.
struct Block<'a> {
    of: &'a Correlation<'a>,
    access: Access,
    lines: Range<usize>,
    panels: Range<usize>,
    panel_len: usize,
    out: SharedMut,
}

kernel! {
    fn run_block<'a>(s: S, block: &'a Block<'a>) {
        let of = block.of;
        let layout = block.layout();
        let (inputs, outputs) = block.pixels(layout);
        let copy = block.copy(s, layout);
        let (segments, segment_len) = block.segments(layout);
        let source = if block.access == Access::InPlace { of.source.x } else { &copy };
        if let (Some(&i), Some(&g)) = (inputs.iter().max(), segments.iter().max()) {
            assert!(i + g + segment_len <= source.len());
        }
        let rows = Rows {
            source: source.as_ptr(),
            pixels: &inputs,
            segments: &segments,
            segment_len,
        };
        let target = Target {
            out: block.out.0,
            pixels: &outputs,
            bias: of.bias.map(|b| &b[of.first_column..]),
            epilogue: of.epilogue,
        };
        let panels = Panels {
            words: of.weights,
            len: block.panel_len,
            columns: of.columns,
        };
        // SAFETY: the assertion above keeps every read inside the source; a panel's length is segments times their
        // length times the width; outputs lie inside the tensor by the assertions in `run`, and blocks differ in lines
        // or in panels, so no two threads write the same element.
        unsafe { tile::sum_over_channels(s, &rows, &panels, block.panels.clone(), &target) };
    }
}

/// Distances in the source that the tiles read, in words.
#[derive(Clone, Copy)]
struct Layout {
    /// From a pixel to the next.
    pixel: usize,
    /// From a row to the next.
    row: usize,
    /// Rows and pixels from what one output sees to what the next sees.
    step: [usize; 2],
}

impl Block<'_> {
    #[inline(always)]
    fn layout(&self) -> Layout {
        let of = self.of;
        let [_, w, c] = of.source.shape;
        let (pixel, row) = match self.access {
            Access::InPlace => (c, w * c),
            Access::Window => (of.pitch(), of.cols.span(of.cols.count) * of.pitch()),
            Access::Gather => (of.pitch(), of.cols.count * of.pitch()),
        };
        let step = match self.access {
            Access::Gather => [1, 1],
            _ => [of.rows.stride, of.cols.stride],
        };
        Layout { pixel, row, step }
    }

    /// Rows that are copied for some lines of one image.
    #[inline(always)]
    fn copied_rows(&self, lines: usize) -> usize {
        match self.access {
            Access::InPlace => 0,
            Access::Window => self.of.rows.span(lines),
            Access::Gather => lines,
        }
    }

    /// For every output pixel, where in the source its first word lies, and where in the output it lies itself.
    #[inline(always)]
    fn pixels(&self, layout: Layout) -> (Vec<usize>, Vec<usize>) {
        let of = self.of;
        let [h, _, c] = of.source.shape;
        let [out_h, out_w, out_c] = of.out;
        let (rows, cols) = (&of.rows, &of.cols);
        let count = self.lines.len() * cols.count;
        let mut inputs = Vec::with_capacity(count);
        let mut outputs = Vec::with_capacity(count);
        let mut copied = 0;
        for (image, lines) in self.images() {
            let first = match self.access {
                // Non-negative: in place means that nothing lies outside.
                Access::InPlace => {
                    ((image * h) as isize + rows.source(lines.start)) as usize * layout.row
                        + cols.source(0) as usize * c
                        + of.source.first_channel
                }
                _ => copied,
            };
            copied += self.copied_rows(lines.len()) * layout.row;
            for (i, line) in lines.enumerate() {
                let y = rows.first + line * rows.step;
                for j in 0..cols.count {
                    let step = i * layout.step[0] * layout.row + j * layout.step[1] * layout.pixel;
                    inputs.push(first + step);
                    let x = cols.first + j * cols.step;
                    outputs.push(((image * out_h + y) * out_w + x) * out_c + of.first_column);
                }
            }
        }
        (inputs, outputs)
    }

    /// The copy that the tiles read; empty where they read in place.
    #[inline(always)]
    fn copy<S: Simd>(&self, s: S, layout: Layout) -> Scratch {
        let of = self.of;
        let (rows, cols) = (&of.rows, &of.cols);
        let copied = |lines: usize| self.copied_rows(lines) * layout.row;
        let len = self.images().map(|(_, lines)| copied(lines.len())).sum();
        let mut copy = scratch::take(len);
        let mut at = 0;
        if self.access == Access::InPlace {
            return copy;
        }
        for (image, lines) in self.images() {
            let (n_cols, step) = match self.access {
                Access::Gather => (cols.count, [rows.stride, cols.stride]),
                _ => (cols.span(cols.count), [1, 1]),
            };
            let window = Window {
                image,
                top: rows.source(lines.start),
                left: cols.source(0),
                rows: self.copied_rows(lines.len()),
                cols: n_cols,
                step,
            };
            let to = &mut copy[at..at + copied(lines.len())];
            of.source.copy(&window, of.words, of.pitch(), to, s);
            at += to.len();
        }
        copy
    }

    /// Offsets of the stretches of the source that a pixel reads, and their length. Taps that lie next to each other
    /// are one long stretch.
    #[inline(always)]
    fn segments(&self, layout: Layout) -> (Vec<usize>, usize) {
        let (rows, cols) = (&self.of.rows, &self.of.cols);
        let words = self.of.words.count(self.of.source.channels);
        let joined = layout.pixel == words && cols.taps > 1;
        let (per_row, len) = if joined {
            (1, cols.taps * words)
        } else {
            (cols.taps, words)
        };
        let segments = (0..rows.taps)
            .flat_map(|y| (0..per_row).map(move |x| y * layout.row + x * layout.pixel))
            .collect();
        (segments, len)
    }

    /// The images of the block, with the lines of each.
    fn images(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let per_image = self.of.rows.count;
        let lines = self.lines.clone();
        (lines.start / per_image..lines.end.div_ceil(per_image)).map(move |image| {
            let base = image * per_image;
            (
                image,
                lines.start.max(base) - base..lines.end.min(base + per_image) - base,
            )
        })
    }
}
