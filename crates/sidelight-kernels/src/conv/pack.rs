//! Weights in the order the register tile reads them: panels of columns, and in each, one row per (tap, channel word).

use super::Words;
use crate::dispatch::{self, SimdPath};
use crate::simd::{Kernel, Simd, kernel};
use crate::tile::panel_width;
use rayon::prelude::*;

/// Where the weight of (column, channel, tap) lies in one group's weights.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    /// Channels of the product's output.
    pub(crate) columns: usize,
    /// Channels it sums over.
    pub(crate) channels: usize,
    pub(crate) column_stride: usize,
    pub(crate) channel_stride: usize,
    /// Offset of each tap, in the order of the sum.
    pub(crate) taps: Vec<usize>,
}

impl Weights {
    fn panel_len(&self, path: SimdPath, words: Words) -> usize {
        self.taps.len() * words.count(self.channels) * panel_width(path)
    }

    /// Words the packed weights take.
    pub(crate) fn packed_len(&self, path: SimdPath, words: Words) -> usize {
        self.columns.div_ceil(panel_width(path)) * self.panel_len(path, words)
    }

    /// Packs one group's weights. Columns beyond the last are zeros.
    pub(crate) fn pack(&self, path: SimdPath, words: Words, w: &[f32], packed: &mut [f32]) {
        let width = panel_width(path);
        let len = self.panel_len(path, words);
        if len == 0 {
            return;
        }
        packed
            .par_chunks_mut(len)
            .enumerate()
            .for_each(|(p, panel)| {
                let columns = (self.columns - p * width).min(width);
                let w = &w[p * width * self.column_stride..];
                dispatch::run(path, pack_panel(self, words, w, columns, width, panel));
            });
    }
}

kernel! {
    fn pack_panel<'a>(
        s: S,
        weights: &'a Weights,
        words: Words,
        w: &'a [f32],
        columns: usize,
        width: usize,
        panel: &'a mut [f32],
    ) {
        let Weights { channels, column_stride, channel_stride, ref taps, .. } = *weights;
        // The taps of a (column, channel) lie together, those that are not wanted here among them.
        let all = column_stride.min(channel_stride);
        // A few channels at a time are turned in a buffer that stays in the first cache, because the rows of the panel
        // lie so far apart that writing them one number at a time would miss it every time.
        let some = (128 / all).max(1).next_multiple_of(2);
        let mut turned = vec![0.0f32; some * all * width];
        for first in (0..channels).step_by(some) {
            let n = (channels - first).min(some);
            if column_stride > channel_stride {
                let w = &w[first * channel_stride..];
                turn(s, w, column_stride, [columns, n * all], &mut turned, width);
            } else {
                for channel in 0..n {
                    let w = &w[(first + channel) * channel_stride..];
                    let turned = &mut turned[channel * all * width..];
                    turn(s, w, column_stride, [columns, all], turned, width);
                }
            }
            let row = |channel: usize, t: usize| {
                (channel * all + taps[t]) * width..(channel * all + taps[t] + 1) * width
            };
            for t in 0..taps.len() {
                match words {
                    Words::Full => {
                        for channel in 0..n {
                            panel[(t * channels + first + channel) * width..][..width]
                                .copy_from_slice(&turned[row(channel, t)]);
                        }
                    }
                    Words::Rounded => {
                        for channel in 0..n {
                            let at = (t * channels + first + channel) * width;
                            let to = &mut panel[at..][..width];
                            for (to, from) in to.iter_mut().zip(&turned[row(channel, t)]) {
                                *to = f32::from_bits(round(*from) << 16);
                            }
                        }
                    }
                    Words::Pairs => {
                        for channel in (0..n).step_by(2) {
                            let at = t * words.count(channels) + (first + channel) / 2;
                            let to = &mut panel[at * width..][..width];
                            let low = &turned[row(channel, t)];
                            // A channel beyond the last meets a zero in the input and is a zero itself.
                            if channel + 1 < n {
                                for ((to, low), high) in
                                    to.iter_mut().zip(low).zip(&turned[row(channel + 1, t)])
                                {
                                    *to = f32::from_bits(round(*low) | round(*high) << 16);
                                }
                            } else {
                                for (to, low) in to.iter_mut().zip(low) {
                                    *to = f32::from_bits(round(*low));
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Turns rows of `len` numbers, `stride` apart, into columns: `turned[i · width + r] = w[r · stride + i]`, zeros beyond
/// the last row.
#[inline(always)]
fn turn<S: Simd>(
    s: S,
    w: &[f32],
    stride: usize,
    [rows, len]: [usize; 2],
    turned: &mut [f32],
    width: usize,
) {
    // The unsafe code below relies on these.
    assert!(rows > 0 && rows <= width && width.is_multiple_of(S::LANES));
    assert!((rows - 1) * stride + len <= w.len() && len * width <= turned.len());
    if stride == 1 && len == 1 {
        turned[..rows].copy_from_slice(&w[..rows]);
        turned[rows..width].fill(0.0);
        return;
    }
    for r in (0..width).step_by(S::LANES) {
        let rows = rows.saturating_sub(r).min(S::LANES);
        for i in (0..len).step_by(S::LANES) {
            let len = (len - i).min(S::LANES);
            // SAFETY: rows and numbers of this block lie inside the slices by the assertions above; where no row is
            // left, nothing is read.
            unsafe {
                let src = w.as_ptr().wrapping_add(r * stride + i);
                let dst = turned.as_mut_ptr().add(i * width + r);
                s.turn(src, stride, [rows, len], dst, width);
            }
        }
    }
}

/// The bits of the nearest bf16, ties to even; not a number stays so.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    if bits & 0x7fff_ffff > 0x7f80_0000 {
        bits >> 16 | 0x40
    } else {
        rounded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_equals_that_of_the_half_crate() {
        let special = [
            0.0,
            -0.0,
            1.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN_POSITIVE,
            1e-45,
            1.003_906_3,
        ];
        for x in special
            .into_iter()
            .chain((0..10_000).map(|i| f32::from_bits(i * 214_013 + 0x3f00_0000)))
        {
            assert_eq!(round(x) as u16, half::bf16::from_f32(x).to_bits(), "{x}");
        }
        assert!(half::bf16::from_bits(round(f32::NAN) as u16).is_nan());
    }
}
