//! The register tile: a few pixels (rows) by one or two vectors of channels (columns), kept in registers while the sum
//! over taps and input channels runs. Everything dense is made of it.
//!
//! Two directions of the same product:
//! * [`sum_over_channels`]: rows are output pixels, the sum runs over (tap, input channel). Forward, and backward to
//!   the input.
//! * [`sum_over_pixels`]: rows are input channels of one tap, the sum runs over output pixels. Backward to the weights.
//!
//! Operands are 32-bit words: an `f32`, or a pair of bf16 whose two products are added at once ([`Simd::mla`]).

#![expect(
    clippy::needless_range_loop,
    reason = "indices name registers, in several arrays at once"
)]

use crate::activation::Epilogue;
use crate::simd::{Kernel, RowTile, Simd, kernel};

/// The most rows of any instruction set's tile.
pub(crate) const MAX_ROWS: usize = 14;
/// The most columns of any instruction set's tile.
const MAX_COLUMNS: usize = 32;

/// Columns of one panel of packed weights: two vectors.
pub(crate) fn panel_width(path: crate::SimdPath) -> usize {
    match path {
        crate::SimdPath::Avx512Bf16 | crate::SimdPath::Avx512 => 32,
        crate::SimdPath::Avx2 | crate::SimdPath::Portable => 16,
    }
}

/// The words in front of each output pixel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    /// Start of the source.
    pub(crate) source: *const f32,
    /// For each output pixel, where its first word lies.
    pub(crate) pixels: &'a [usize],
    /// Offsets, from there, of the pieces that a pixel reads.
    pub(crate) segments: &'a [usize],
    /// Words in each piece.
    pub(crate) segment_len: usize,
}

/// Where a product is stored, and what is done to it before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// Start of the output.
    pub(crate) out: *mut f32,
    /// For each output pixel, where its first channel lies; also in the residual.
    pub(crate) pixels: &'a [usize],
    /// One number per column, added to it.
    pub(crate) bias: Option<&'a [f32]>,
    /// Residual and activation.
    pub(crate) epilogue: Epilogue<'a>,
}

/// Packed weights: panels of [`panel_width`] columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panels<'a> {
    pub(crate) words: &'a [f32],
    /// Words of one panel: a row of columns for every word in front of a pixel.
    pub(crate) len: usize,
    /// Columns of all panels together; the last one may be narrower.
    pub(crate) columns: usize,
}

/// Bytes of weights that are read again for every tile without leaving the second cache.
const CACHED_BYTES: usize = 320 * 1024;

/// Multiplies all pixels of `rows` with some panels and stores their columns.
///
/// # Safety
///
/// Every word named by `rows` must be readable; every pixel of `target` writable for all columns, with no other thread
/// touching those of `range`; the bias and the residual must reach as far as the output does. `rows.pixels` and
/// `target.pixels` have equal lengths, and a panel a row for every word in front of a pixel.
#[inline(always)]
pub(crate) unsafe fn sum_over_channels<S: Simd>(
    s: S,
    rows: &Rows<'_>,
    panels: &Panels<'_>,
    range: std::ops::Range<usize>,
    target: &Target<'_>,
) {
    let n = rows.pixels.len();
    let tiles = n.div_ceil(S::ROWS);
    let step = |i: usize, panel: usize| {
        let pixels = crate::parallel::piece(n, tiles, i);
        let part = Rows {
            pixels: &rows.pixels[pixels.clone()],
            ..*rows
        };
        let target = Target {
            pixels: &target.pixels[pixels],
            ..*target
        };
        let first = panel * 2 * S::LANES;
        let columns = (panels.columns - first).min(2 * S::LANES);
        let words = &panels.words[panel * panels.len..][..panels.len];
        // SAFETY: forwarded from the caller; the pixels are a part of the caller's.
        s.kernel(tile(&part, words.as_ptr(), &target, first, columns));
    };
    if range.len() * panels.len * 4 <= CACHED_BYTES {
        // Pixel by pixel: the output is written as one stream.
        for i in 0..tiles {
            for panel in range.clone() {
                step(i, panel);
            }
        }
    } else {
        // Panel by panel: each is read from far away only once.
        for panel in range {
            for i in 0..tiles {
                step(i, panel);
            }
        }
    }
}

kernel! {
    /// One tile. Made only by [`sum_over_channels`], whose caller vouches for the memory.
    fn tile<'a>(
        s: S,
        rows: &'a Rows<'a>,
        panel: *const f32,
        target: &'a Target<'a>,
        first_column: usize,
        columns: usize,
    ) {
        let n = rows.pixels.len();
        let mut bias = [0.0f32; MAX_COLUMNS];
        if let Some(b) = target.bias {
            bias[..columns].copy_from_slice(&b[first_column..first_column + columns]);
        }
        // Whole vectors that need nothing else are stored in place; others go through a buffer.
        let direct = target.epilogue.is_plain() && (columns == S::LANES || columns == 2 * S::LANES);
        let mut spilled = std::mem::MaybeUninit::<[f32; MAX_ROWS * MAX_COLUMNS]>::uninit();
        let spill = spilled.as_mut_ptr().cast::<f32>();
        let mut outs = [spill; MAX_ROWS];
        for (r, (out, &pixel)) in outs.iter_mut().zip(target.pixels).enumerate() {
            // SAFETY: the output is the caller's; the buffer has `MAX_ROWS` rows.
            *out = unsafe {
                if direct {
                    target.out.add(pixel + first_column)
                } else {
                    spill.add(r * MAX_COLUMNS)
                }
            };
        }
        let (bias, outs) = (&bias, &outs);
        if columns > S::LANES {
            s.tile(n, PixelTile::<2> { rows, panel, bias, outs });
        } else {
            s.tile(n, PixelTile::<1> { rows, panel, bias, outs });
        }
        if !direct {
            // SAFETY: the tile wrote whole vectors for all `columns` of each pixel; the output is the caller's.
            unsafe { finish(s, spill, target, first_column, columns) };
        }
    }
}

/// The sums of a few output pixels and `NV` vectors of channels. Made only by [`sum_over_channels`], whose caller
/// vouches for the memory.
struct PixelTile<'a, const NV: usize> {
    rows: &'a Rows<'a>,
    panel: *const f32,
    bias: &'a [f32; MAX_COLUMNS],
    outs: &'a [*mut f32; MAX_ROWS],
}

impl<const NV: usize> RowTile for PixelTile<'_, NV> {
    #[inline(always)]
    fn run<S: Simd, const R: usize>(self, s: S) {
        let PixelTile {
            rows,
            panel,
            bias,
            outs,
        } = self;
        let pixels: &[usize; R] = rows.pixels.try_into().expect("one tile has R pixels");
        // SAFETY: each address is the source plus offsets, or inside the panel, which is read front to back once, or
        // one of the rows of outputs: the caller of `sum_over_channels` vouches for them.
        unsafe {
            let mut first = [s.zero(); NV];
            for v in 0..NV {
                first[v] = s.load(bias.as_ptr().add(v * S::LANES));
            }
            let mut acc = [first; R];
            let mut b = panel;
            for &segment in rows.segments {
                let mut a = [std::ptr::null::<f32>(); R];
                for r in 0..R {
                    a[r] = rows.source.add(pixels[r] + segment);
                }
                for k in 0..rows.segment_len {
                    let mut w = [s.zero(); NV];
                    for v in 0..NV {
                        w[v] = s.load(b.add(v * S::LANES));
                    }
                    for r in 0..R {
                        let x = s.splat(*a[r].add(k));
                        for v in 0..NV {
                            acc[r][v] = s.mla(acc[r][v], x, w[v]);
                        }
                    }
                    b = b.add(2 * S::LANES);
                }
            }
            for r in 0..R {
                for v in 0..NV {
                    s.store(outs[r].add(v * S::LANES), acc[r][v]);
                }
            }
        }
    }
}

/// Stores spilled sums after residual and activation.
///
/// # Safety
/// `spilled` is readable for a row of `MAX_COLUMNS` per pixel of `target`; the rest as [`sum_over_channels`].
#[inline(always)]
unsafe fn finish<S: Simd>(
    s: S,
    spilled: *const f32,
    target: &Target<'_>,
    first_column: usize,
    columns: usize,
) {
    let Epilogue {
        activation,
        residual,
    } = target.epilogue;
    for (r, &pixel) in target.pixels.iter().enumerate() {
        let mut c = 0;
        while c < columns {
            let n = (columns - c).min(S::LANES);
            let at = pixel + first_column + c;
            // SAFETY: `n` keeps within the columns that the caller vouches for; the spilled row holds all of them.
            unsafe {
                let mut z = s.load(spilled.add(r * MAX_COLUMNS + c));
                if let Some(residual) = residual {
                    z = s.add(z, s.load_n(residual.as_ptr().add(at), n));
                }
                s.store_n(target.out.add(at), activation.apply(s, z), n);
            }
            c += S::LANES;
        }
    }
}

/// A run of output pixels in one row, and the input pixels one tap sees there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Offset of the first input pixel.
    pub(crate) input: usize,
    /// Index of the first output pixel in the packed gradient.
    pub(crate) output: usize,
    pub(crate) len: usize,
}

/// The operands of [`sum_over_pixels`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels<'a> {
    /// The tile's first input channel in the input's first pixel.
    pub(crate) x: *const f32,
    /// Words from one input pixel of a run to the next.
    pub(crate) step: usize,
    pub(crate) runs: &'a [Run],
    /// The packed output gradient: a row of two vectors per output pixel.
    pub(crate) gradient: *const f32,
    /// Where the sums go: a row of two vectors per input channel.
    pub(crate) sums: *mut f32,
    pub(crate) start: Start,
}

/// What a sum starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nothing; what is stored is overwritten unread.
    Zero,
    /// What is stored.
    Stored,
}

/// Adds, for `rows` input channels, the products with the packed output gradient over all runs.
///
/// # Safety
///
/// `x + run.input + i * step` must be readable for `rows` words for every `i < run.len`, `gradient` for every output
/// pixel of the runs, `sums` writable for `rows` rows with no other thread touching it; `rows <= S::ROWS`.
#[inline(always)]
pub(crate) unsafe fn sum_over_pixels<S: Simd>(
    s: S,
    pixels: &Pixels<'_>,
    rows: usize,
    columns: usize,
) {
    if columns > S::LANES {
        s.tile(rows, ChannelTile::<2>(pixels));
    } else {
        s.tile(rows, ChannelTile::<1>(pixels));
    }
}

/// Made only by [`sum_over_pixels`], whose caller vouches for the memory.
struct ChannelTile<'a, const NV: usize>(&'a Pixels<'a>);

impl<const NV: usize> RowTile for ChannelTile<'_, NV> {
    #[inline(always)]
    fn run<S: Simd, const R: usize>(self, s: S) {
        let Pixels {
            x,
            step,
            runs,
            gradient,
            sums,
            start,
        } = *self.0;
        // SAFETY: the caller vouches for every input pixel, every row of the gradient and `R` rows of sums.
        unsafe {
            let mut acc = [[s.zero(); NV]; R];
            if start == Start::Stored {
                for r in 0..R {
                    for v in 0..NV {
                        acc[r][v] = s.load(sums.add((r * 2 + v) * S::LANES));
                    }
                }
            }
            for run in runs {
                let mut a = x.add(run.input);
                let mut g = gradient.add(run.output * 2 * S::LANES);
                for _ in 0..run.len {
                    let mut d = [s.zero(); NV];
                    for v in 0..NV {
                        d[v] = s.load(g.add(v * S::LANES));
                    }
                    for r in 0..R {
                        let x = s.splat(*a.add(r));
                        for v in 0..NV {
                            acc[r][v] = s.mla(acc[r][v], x, d[v]);
                        }
                    }
                    a = a.wrapping_add(step);
                    g = g.add(2 * S::LANES);
                }
            }
            for r in 0..R {
                for v in 0..NV {
                    s.store(sums.add((r * 2 + v) * S::LANES), acc[r][v]);
                }
            }
        }
    }
}
