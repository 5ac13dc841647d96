//! Copies the part of the input that a block of outputs sees, with its zeros, into a small buffer that stays in cache;
//! on the way numbers may be rounded to bf16.

use super::Words;
use crate::simd::Simd;
use half::bf16;

/// One group's channels of a batch of images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) x: &'a [f32],
    /// Height, width, channels of the whole image.
    pub(crate) shape: [usize; 3],
    /// The group's first channel.
    pub(crate) first_channel: usize,
    /// The group's channels.
    pub(crate) channels: usize,
}

/// A rectangle of one image, which may reach beyond it; every `step`-th row and column is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) image: usize,
    pub(crate) top: isize,
    pub(crate) left: isize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) step: [usize; 2],
}

impl Source<'_> {
    /// Copies `window` to `to`: `[rows, cols, pitch]` words.
    ///
    /// Words between the channels and the pitch are left as they are: nothing reads them.
    #[inline(always)]
    pub(crate) fn copy<S: Simd>(
        &self,
        window: &Window,
        words: Words,
        pitch: usize,
        to: &mut [f32],
        s: S,
    ) {
        let [h, w, c] = self.shape;
        let line = window.cols * pitch;
        assert!(to.len() >= window.rows * line);
        // Columns inside the image, as a range of the window's.
        let [step_y, step_x] = window.step;
        let low = ((-window.left).max(0) as usize)
            .div_ceil(step_x)
            .min(window.cols);
        let room = w as isize - window.left;
        let high = if room <= 0 {
            low
        } else {
            (room as usize).div_ceil(step_x).clamp(low, window.cols)
        };
        // Whole stretches of a row can be copied at once where pixels follow each other without a gap on both sides.
        let packed = step_x == 1
            && self.channels == c
            && match words {
                Words::Pairs => c % 2 == 0 && pitch == c / 2,
                _ => pitch == c,
            };
        for (r, to) in to.chunks_mut(line.max(1)).take(window.rows).enumerate() {
            let y = window.top + (r * step_y) as isize;
            if y < 0 || y >= h as isize || high == low {
                to[..line].fill(0.0);
                continue;
            }
            to[..low * pitch].fill(0.0);
            to[high * pitch..line].fill(0.0);
            let first = (window.left + (low * step_x) as isize) as usize;
            let from = ((window.image * h + y as usize) * w + first) * c + self.first_channel;
            let to = &mut to[low * pitch..high * pitch];
            if packed {
                convert(words, &self.x[from..][..(high - low) * c], to, s);
            } else {
                for (i, to) in to.chunks_mut(pitch).enumerate() {
                    convert(
                        words,
                        &self.x[from + i * step_x * c..][..self.channels],
                        &mut to[..words.count(self.channels)],
                        s,
                    );
                }
            }
        }
    }
}

#[inline(always)]
fn convert<S: Simd>(words: Words, from: &[f32], to: &mut [f32], s: S) {
    match words {
        Words::Full => to.copy_from_slice(from),
        Words::Rounded => {
            for (to, from) in to.iter_mut().zip(from) {
                *to = bf16::from_f32(*from).to_f32();
            }
        }
        Words::Pairs => {
            assert!(to.len() >= from.len().div_ceil(2));
            // SAFETY: `to` has room for `from.len()` halves of words, and slices do not overlap.
            unsafe {
                let to = to.as_mut_ptr().cast::<u16>();
                s.convert(from.as_ptr(), to, from.len());
                // The other half of the last word meets a zero weight and must be a number.
                if from.len() % 2 == 1 {
                    *to.add(from.len()) = 0;
                }
            }
        }
    }
}
