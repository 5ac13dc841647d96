//! Which input pixels an output pixel sees, one axis at a time.

/// Output `i` of `count` lies at `first + i * step` and adds up the `taps` inputs from `start + i * stride` on.
///
/// Inputs outside the image count as zeros. Both a convolution and its gradient to the input have this form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) first: usize,
    pub(crate) step: usize,
    pub(crate) count: usize,
    pub(crate) start: isize,
    pub(crate) stride: usize,
    pub(crate) taps: usize,
}

impl Axis {
    pub(crate) fn forward(out_len: usize, stride: usize, padding: usize, kernel: usize) -> Axis {
        Axis {
            first: 0,
            step: 1,
            count: out_len,
            start: -(padding as isize),
            stride,
            taps: kernel,
        }
    }

    /// The inputs `i` of a convolution with `(i + padding) % stride == class`, as sums over its outputs, and the kernel
    /// index of each tap.
    ///
    /// From `i + padding = o * stride + k` follows `k = class + stride * t` and `o = (i + padding - class) / stride - t`.
    /// Taps are listed from the last to the first, so that the outputs they meet ascend.
    pub(crate) fn backward(
        in_len: usize,
        stride: usize,
        padding: usize,
        kernel: usize,
        class: usize,
    ) -> (Axis, Vec<usize>) {
        let first = (class as isize - padding as isize).rem_euclid(stride as isize) as usize;
        let taps: Vec<usize> = (class..kernel).step_by(stride).rev().collect();
        let axis = Axis {
            first,
            step: stride,
            count: in_len.saturating_sub(first).div_ceil(stride),
            start: ((first + padding - class) / stride) as isize - (taps.len() as isize - 1),
            stride: 1,
            taps: taps.len(),
        };
        (axis, taps)
    }

    /// Whether every output lies inside a tensor of `len`.
    pub(crate) fn writes_inside(&self, len: usize) -> bool {
        self.count == 0 || self.first + (self.count - 1) * self.step < len
    }

    /// The first input of output `i`.
    pub(crate) fn source(&self, i: usize) -> isize {
        self.start + (i * self.stride) as isize
    }

    /// Inputs from the first to the last one that `count` neighbouring outputs see.
    pub(crate) fn span(&self, count: usize) -> usize {
        (count - 1) * self.stride + self.taps
    }

    /// Whether no output sees beyond an input of `len`.
    pub(crate) fn is_inside(&self, len: usize) -> bool {
        self.count == 0 || (self.start >= 0 && self.start as usize + self.span(self.count) <= len)
    }

    /// The taps of output `i` that fall inside an input of `len`.
    pub(crate) fn valid_taps(&self, i: usize, len: usize) -> std::ops::Range<usize> {
        let source = self.source(i);
        let low = (-source).clamp(0, self.taps as isize) as usize;
        let high = (len as isize - source).clamp(low as isize, self.taps as isize) as usize;
        low..high
    }

    /// The outputs whose tap `tap` falls inside an input of `len`.
    pub(crate) fn outputs_of_tap(&self, tap: usize, len: usize) -> std::ops::Range<usize> {
        let start = self.start + tap as isize;
        let low = ((-start).max(0) as usize)
            .div_ceil(self.stride)
            .min(self.count);
        let room = len as isize - 1 - start;
        let high = if room < 0 {
            0
        } else {
            (room as usize / self.stride + 1).min(self.count)
        };
        low..high.max(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_input_and_output_appears_once_in_backward() {
        for (len, kernel, stride, padding) in [
            (5, 3, 1, 1),
            (8, 3, 2, 1),
            (7, 5, 3, 2),
            (9, 1, 2, 0),
            (4, 2, 2, 3),
            (6, 7, 2, 3),
        ] {
            let out = super::super::extent(len, kernel, stride, padding);
            let mut pairs = Vec::new();
            for class in 0..stride {
                let (axis, taps) = Axis::backward(len, stride, padding, kernel, class);
                for i in 0..axis.count {
                    for t in axis.valid_taps(i, out) {
                        let o = (axis.source(i) + t as isize) as usize;
                        pairs.push((axis.first + i * axis.step, o, taps[t]));
                    }
                }
            }
            pairs.sort_unstable();
            let mut expected = Vec::new();
            for o in 0..out {
                for k in 0..kernel {
                    let i = (o * stride + k) as isize - padding as isize;
                    if (0..len as isize).contains(&i) {
                        expected.push((i as usize, o, k));
                    }
                }
            }
            expected.sort_unstable();
            assert_eq!(pairs, expected);
        }
    }

    #[test]
    fn outputs_of_a_tap_are_those_whose_tap_is_valid() {
        for (len, kernel, stride, padding) in [
            (5, 3, 1, 1),
            (8, 3, 2, 1),
            (2, 5, 1, 2),
            (1, 3, 1, 1),
            (7, 7, 2, 3),
        ] {
            let out = super::super::extent(len, kernel, stride, padding);
            let axis = Axis::forward(out, stride, padding, kernel);
            for i in 0..out {
                for t in 0..kernel {
                    assert_eq!(
                        axis.outputs_of_tap(t, len).contains(&i),
                        axis.valid_taps(i, len).contains(&t)
                    );
                }
            }
        }
    }
}
