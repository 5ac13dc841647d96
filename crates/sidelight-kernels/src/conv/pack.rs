//! Weights in the order the register tile reads them: panels of columns, and in each, one row per (tap, channel word).

use super::Words;
use crate::dispatch::SimdPath;
use crate::tile::panel_width;
use half::bf16;
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
        packed.par_chunks_mut(len).enumerate().for_each(|(p, panel)| {
            let columns = (self.columns - p * width).min(width);
            let w = &w[p * width * self.column_stride..];
            match words {
                Words::Full => self.pack_panel(w, columns, width, panel, |v| v),
                Words::Rounded => self.pack_panel(w, columns, width, panel, |v| bf16::from_f32(v).to_f32()),
                Words::Pairs => self.pack_pairs(w, columns, width, panel),
            }
        });
    }

    fn pack_panel(&self, w: &[f32], columns: usize, width: usize, panel: &mut [f32], convert: impl Fn(f32) -> f32) {
        if columns < width {
            panel.fill(0.0);
        }
        for channel in 0..self.channels {
            for column in 0..columns {
                let w = &w[column * self.column_stride + channel * self.channel_stride..];
                for (t, &tap) in self.taps.iter().enumerate() {
                    panel[(t * self.channels + channel) * width + column] = convert(w[tap]);
                }
            }
        }
    }

    fn pack_pairs(&self, w: &[f32], columns: usize, width: usize, panel: &mut [f32]) {
        if columns < width {
            panel.fill(0.0);
        }
        let half = self.channels.div_ceil(2);
        for pair in 0..half {
            for column in 0..columns {
                let at = column * self.column_stride + 2 * pair * self.channel_stride;
                for (t, &tap) in self.taps.iter().enumerate() {
                    let low = bf16::from_f32(w[at + tap]).to_bits();
                    // A channel beyond the last meets a zero in the input and is a zero itself.
                    let high = if 2 * pair + 1 < self.channels { bf16::from_f32(w[at + self.channel_stride + tap]).to_bits() } else { 0 };
                    panel[(t * half + pair) * width + column] = f32::from_bits(u32::from(low) | u32::from(high) << 16);
                }
            }
        }
    }
}
