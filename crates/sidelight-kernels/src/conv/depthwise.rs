//! Depthwise convolution: every channel has its own kernel, so channels fill the vectors and nothing is multiplied
//! that a neighbour could share. Reading the input once is the limit; weights and sums stay in registers.

use super::geometry::Axis;
use crate::activation::Epilogue;
use crate::dispatch::{self, SimdPath};
use crate::parallel::{SharedMut, each, piece};
use crate::simd::{Kernel, Simd, kernel};
use std::ops::Range;

/// Numbers of output per unit of work.
const UNIT: usize = 32 * 1024;

/// Every output pixel adds up some input pixels, channel by channel, times weights `[row taps, column taps, channels]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correlation<'a> {
    pub(crate) batch: usize,
    /// Height, width, channels.
    pub(crate) input: [usize; 3],
    pub(crate) x: &'a [f32],
    pub(crate) rows: Axis,
    pub(crate) cols: Axis,
    /// Height, width, channels.
    pub(crate) out: [usize; 3],
    pub(crate) weights: &'a [f32],
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) epilogue: Epilogue<'a>,
}

/// Turns `[channels, taps]` into `[taps, channels]`, choosing the listed taps.
pub(crate) fn pack(channels: usize, taps: &[usize], w: &[f32], packed: &mut [f32]) {
    let all = w.len() / channels;
    for (t, &tap) in taps.iter().enumerate() {
        for (channel, packed) in packed[t * channels..][..channels].iter_mut().enumerate() {
            *packed = w[channel * all + tap];
        }
    }
}

/// Computes the outputs of the axes of all `parts`, which must not share any; no other element of `out` is touched.
///
/// Parts of one image are computed after another on the same thread, so that what they share is read once.
pub(crate) fn run(parts: &[Correlation<'_>], path: SimdPath, out: SharedMut) {
    for of in parts {
        let [h, w, c] = of.input;
        let [out_h, out_w, out_c] = of.out;
        // The unsafe code below relies on these.
        assert!(of.x.len() == of.batch * h * w * c && c == out_c);
        assert!(of.weights.len() == of.rows.taps * of.cols.taps * c);
        assert!(of.rows.writes_inside(out_h) && of.cols.writes_inside(out_w));
        assert!(of.bias.is_none_or(|b| b.len() == c));
        assert!(
            of.epilogue
                .residual
                .is_none_or(|r| r.len() == of.batch * out_h * out_w * c)
        );
    }
    let size: usize = parts
        .iter()
        .map(|of| of.rows.count * of.cols.count * of.out[2])
        .sum();
    let lines = parts.iter().map(|of| of.rows.count).max().unwrap_or(0);
    let (Some(first), true) = (parts.first(), size > 0) else {
        return;
    };
    let pieces = size.div_ceil(UNIT).min(lines);
    each(first.batch * pieces, |i| {
        for of in parts {
            let unit = Unit {
                of,
                image: i / pieces,
                lines: piece(of.rows.count, pieces, i % pieces),
                out,
            };
            if of.cols.count > 0 {
                dispatch::run(path, run_unit(&unit));
            }
        }
    });
}

struct Unit<'a> {
    of: &'a Correlation<'a>,
    image: usize,
    lines: Range<usize>,
    out: SharedMut,
}

/// The vectors of one block of channels: all lanes, or the first few.
#[derive(Clone, Copy)]
pub(super) struct Lanes<S: Simd, const ALL: bool> {
    pub(super) s: S,
    pub(super) n: usize,
}

impl<S: Simd, const ALL: bool> Lanes<S, ALL> {
    /// # Safety
    /// As `Simd::load`, or `load_n` of `n`.
    #[inline(always)]
    pub(super) unsafe fn load(self, p: *const f32) -> S::V {
        // SAFETY: forwarded from the caller.
        unsafe {
            if ALL {
                self.s.load(p)
            } else {
                self.s.load_n(p, self.n)
            }
        }
    }
    /// # Safety
    /// As `Simd::store`, or `store_n` of `n`.
    #[inline(always)]
    pub(super) unsafe fn store(self, p: *mut f32, v: S::V) {
        // SAFETY: forwarded from the caller.
        unsafe {
            if ALL {
                self.s.store(p, v)
            } else {
                self.s.store_n(p, v, self.n)
            }
        }
    }
}

/// Calls `$body` for every vector of `$c` channels, whole ones and then the rest.
macro_rules! each_lanes {
    ($s:expr, $c:expr, |$lanes:ident, $channel:ident| $body:expr) => {
        let whole = $c / S::LANES * S::LANES;
        for $channel in (0..whole).step_by(S::LANES) {
            let $lanes = Lanes::<S, true> { s: $s, n: S::LANES };
            $body;
        }
        if whole < $c {
            let $channel = whole;
            let $lanes = Lanes::<S, false> {
                s: $s,
                n: $c - whole,
            };
            $body;
        }
    };
}
pub(super) use each_lanes;

kernel! {
    fn run_unit<'a>(s: S, unit: &'a Unit<'a>) {
        let cols = &unit.of.cols;
        for line in unit.lines.clone() {
            // The kernel's width and stride as constants keep its window in registers.
            match (cols.taps, cols.stride) {
                (3, 1) => s.kernel(strip_line::<3, 1, 6>(unit, line)),
                (3, 2) => s.kernel(strip_line::<3, 2, 9>(unit, line)),
                (5, 1) => s.kernel(strip_line::<5, 1, 8>(unit, line)),
                (5, 2) => s.kernel(strip_line::<5, 2, 11>(unit, line)),
                (2, 1) => s.kernel(strip_line::<2, 1, 5>(unit, line)),
                (1, 1) => s.kernel(strip_line::<1, 1, 4>(unit, line)),
                _ => s.kernel(any_line(unit, line)),
            }
            if !unit.of.epilogue.is_plain() {
                s.kernel(finish_line(unit, line));
            }
        }
    }
}

/// Outputs computed side by side: four hide the latency of a multiplication, and share most of their window.
const STRIP: usize = 4;

kernel! {
    /// One line of outputs under a kernel `K` wide with stride `D`; four outputs see `W` columns.
    fn strip_line<'a, const K: usize, const D: usize, const W: usize>(
        s: S,
        unit: &'a Unit<'a>,
        line: usize,
    ) {
        const { assert!(W == (STRIP - 1) * D + K) };
        let of = unit.of;
        let [h, w, c] = of.input;
        let taps = of.rows.valid_taps(line, h);
        let top = (of.rows.source(line) + taps.start as isize).max(0) as usize;
        let view = LineView {
            // Never read where no row is valid; then the offset may lie beyond the end.
            x: of.x.as_ptr().wrapping_add((unit.image * h + top) * w * c),
            row: w * c,
            rows: taps.len(),
            weights: of.weights.as_ptr().wrapping_add(taps.start * K * c),
            // SAFETY: the first output of this line lies inside the tensor, by the assertions of `run`.
            out: unsafe { unit.out.0.add(unit.output(0, line, 0)) },
            out_step: of.cols.step * c,
            c,
        };
        for col in (0..of.cols.count).step_by(STRIP) {
            let left = of.cols.source(col);
            let count = STRIP.min(of.cols.count - col);
            let whole = count == STRIP && left >= 0 && left as usize + W <= w;
            if whole {
                each_lanes!(s, c, |lanes, channel| {
                    let bias = unit.bias(lanes, channel);
                    let seen = Seen { columns: 0..W, count: STRIP };
                    // SAFETY: all columns of the window lie inside the input and all outputs inside the line.
                    unsafe { view.strip::<S, _, K, D, W>(lanes, channel, col, left, &seen, bias) }
                });
            } else {
                let low = (-left).clamp(0, W as isize) as usize;
                let high = (w as isize - left).clamp(low as isize, W as isize) as usize;
                each_lanes!(s, c, |lanes, channel| {
                    let bias = unit.bias(lanes, channel);
                    let seen = Seen { columns: low..high, count };
                    // SAFETY: the columns `low..high` of the window lie inside the input, `count` outputs inside the line.
                    unsafe { view.strip::<S, _, K, D, W>(lanes, channel, col, left, &seen, bias) }
                });
            }
        }
    }
}

/// The columns of a window that lie inside the input, and the outputs that exist.
struct Seen {
    columns: Range<usize>,
    count: usize,
}

/// The memory of one line of outputs.
struct LineView {
    /// Column 0 of the first valid row.
    x: *const f32,
    row: usize,
    rows: usize,
    /// Weights of the first valid row.
    weights: *const f32,
    out: *mut f32,
    out_step: usize,
    c: usize,
}

impl LineView {
    /// # Safety
    /// The columns `seen.columns` from `left` on must lie inside the input for all rows, and outputs `col` to
    /// `col + seen.count` inside the line, for the lanes at `channel`.
    #[inline(always)]
    unsafe fn strip<S: Simd, const ALL: bool, const K: usize, const D: usize, const W: usize>(
        &self,
        lanes: Lanes<S, ALL>,
        channel: usize,
        col: usize,
        left: isize,
        seen: &Seen,
        bias: S::V,
    ) {
        let s = lanes.s;
        let mut acc = [bias; STRIP];
        let mut x = self
            .x
            .wrapping_offset(left * self.c as isize)
            .wrapping_add(channel);
        let mut weights = self.weights.wrapping_add(channel);
        // SAFETY: forwarded from the caller; columns not seen are not read.
        unsafe {
            for _ in 0..self.rows {
                let mut window = [s.zero(); W];
                for (i, v) in window.iter_mut().enumerate() {
                    if i >= seen.columns.start && i < seen.columns.end {
                        *v = lanes.load(x.wrapping_add(i * self.c));
                    }
                }
                for k in 0..K {
                    let weight = lanes.load(weights.add(k * self.c));
                    for t in 0..STRIP {
                        acc[t] = s.fma(window[t * D + k], weight, acc[t]);
                    }
                }
                x = x.wrapping_add(self.row);
                weights = weights.wrapping_add(K * self.c);
            }
            for (t, acc) in acc.into_iter().enumerate() {
                if t < seen.count {
                    lanes.store(self.out.add((col + t) * self.out_step + channel), acc);
                }
            }
        }
    }
}

kernel! {
    /// One line of outputs under any other kernel, one at a time.
    fn any_line<'a>(s: S, unit: &'a Unit<'a>, line: usize) {
        for col in 0..unit.of.cols.count {
            each_lanes!(s, unit.of.input[2], |lanes, channel| unit.edge(lanes, channel, line, col));
        }
    }
}

kernel! {
    /// Residual and activation of one line, while it is in cache.
    fn finish_line<'a>(s: S, unit: &'a Unit<'a>, line: usize) {
        for col in 0..unit.of.cols.count {
            each_lanes!(s, unit.of.input[2], |lanes, channel| unit.finish(lanes, channel, line, col));
        }
    }
}

impl Unit<'_> {
    /// One output whose window may reach beyond the input.
    #[inline(always)]
    fn edge<S: Simd, const ALL: bool>(
        &self,
        lanes: Lanes<S, ALL>,
        channel: usize,
        line: usize,
        col: usize,
    ) {
        let of = self.of;
        let [h, w, c] = of.input;
        let mut acc = self.bias(lanes, channel);
        for tap_y in of.rows.valid_taps(line, h) {
            for tap_x in of.cols.valid_taps(col, w) {
                let y = (of.rows.source(line) + tap_y as isize) as usize;
                let x = (of.cols.source(col) + tap_x as isize) as usize;
                // SAFETY: both taps are valid, so the pixel lies inside the input.
                unsafe {
                    let x = lanes.load(
                        of.x.as_ptr()
                            .add(((self.image * h + y) * w + x) * c + channel),
                    );
                    let weight = lanes.load(
                        of.weights
                            .as_ptr()
                            .add((tap_y * of.cols.taps + tap_x) * c + channel),
                    );
                    acc = lanes.s.fma(x, weight, acc);
                }
            }
        }
        self.store(lanes, channel, line, col, acc);
    }

    #[inline(always)]
    fn bias<S: Simd, const ALL: bool>(&self, lanes: Lanes<S, ALL>, channel: usize) -> S::V {
        // SAFETY: the bias has a number for every channel.
        self.of.bias.map_or(lanes.s.zero(), |b| unsafe {
            lanes.load(b.as_ptr().add(channel))
        })
    }

    /// Where this channel of an output lies.
    #[inline(always)]
    fn output(&self, channel: usize, line: usize, col: usize) -> usize {
        let of = self.of;
        let [h, w, c] = of.out;
        let (y, x) = (
            of.rows.first + line * of.rows.step,
            of.cols.first + col * of.cols.step,
        );
        ((self.image * h + y) * w + x) * c + channel
    }

    #[inline(always)]
    fn store<S: Simd, const ALL: bool>(
        &self,
        lanes: Lanes<S, ALL>,
        channel: usize,
        line: usize,
        col: usize,
        sum: S::V,
    ) {
        // SAFETY: the axes stay inside the output (asserted in `run`); units differ in image or lines, so no two
        // threads write the same element.
        unsafe { lanes.store(self.out.0.add(self.output(channel, line, col)), sum) }
    }

    /// Adds the residual to a stored sum and applies the activation, while the line is in the first cache.
    #[inline(always)]
    fn finish<S: Simd, const ALL: bool>(
        &self,
        lanes: Lanes<S, ALL>,
        channel: usize,
        line: usize,
        col: usize,
    ) {
        let at = self.output(channel, line, col);
        let Epilogue {
            activation,
            residual,
        } = self.of.epilogue;
        // SAFETY: as in `store`; the residual has the output's length.
        unsafe {
            let mut z = lanes.load(self.out.0.add(at));
            if let Some(residual) = residual {
                z = lanes.s.add(z, lanes.load(residual.as_ptr().add(at)));
            }
            lanes.store(self.out.0.add(at), activation.apply(lanes.s, z));
        }
    }
}
