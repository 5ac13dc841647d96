//! Depthwise convolution: every channel has its own kernel, so channels fill the vectors and nothing is multiplied
//! that a neighbour could share. Reading the input once is the limit; weights and sums stay in registers.

use super::geometry::Axis;
use super::Conv2d;
use crate::activation::Epilogue;
use crate::dispatch::{self, SimdPath};
use crate::parallel::{SharedMut, each, piece};
use crate::scratch;
use crate::simd::{Kernel, Simd};
use rayon::prelude::*;
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
    pub(crate) y: Axis,
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

impl Correlation<'_> {
    /// Computes the outputs of these axes; no other element of `out` is touched.
    pub(crate) fn run(&self, path: SimdPath, out: SharedMut) {
        let [h, w, c] = self.input;
        let [out_h, out_w, out_c] = self.out;
        // The unsafe code below relies on these.
        assert!(self.x.len() == self.batch * h * w * c && c == out_c);
        assert!(self.weights.len() == self.y.taps * self.cols.taps * c);
        assert!(self.y.count == 0 || self.y.first + (self.y.count - 1) * self.y.step < out_h);
        assert!(self.cols.count == 0 || self.cols.first + (self.cols.count - 1) * self.cols.step < out_w);
        assert!(self.bias.is_none_or(|b| b.len() == c));
        assert!(self.epilogue.residual.is_none_or(|r| r.len() == self.batch * out_h * out_w * c));
        if self.batch * self.y.count * self.cols.count == 0 {
            return;
        }
        let parts = (self.y.count * self.cols.count * c).div_ceil(UNIT).min(self.y.count);
        each(self.batch * parts, |i| {
            let unit = Unit { of: self, image: i / parts, lines: piece(self.y.count, parts, i % parts), out };
            dispatch::run(path, &unit);
        });
    }
}

struct Unit<'a> {
    of: &'a Correlation<'a>,
    image: usize,
    lines: Range<usize>,
    out: SharedMut,
}

/// The vectors of one block of channels: all lanes, or the first few.
#[derive(Clone, Copy)]
struct Lanes<S: Simd, const ALL: bool> {
    s: S,
    n: usize,
}

impl<S: Simd, const ALL: bool> Lanes<S, ALL> {
    /// # Safety
    /// As `Simd::load`, or `load_n` of `n`.
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> S::V {
        // SAFETY: forwarded from the caller.
        unsafe { if ALL { self.s.load(p) } else { self.s.load_n(p, self.n) } }
    }
    /// # Safety
    /// As `Simd::store`, or `store_n` of `n`.
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: S::V) {
        // SAFETY: forwarded from the caller.
        unsafe { if ALL { self.s.store(p, v) } else { self.s.store_n(p, v, self.n) } }
    }
}

impl Kernel for &Unit<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let cols = &self.of.cols;
        // The kernel's width as a constant keeps its window in registers.
        let strips = |line: usize, first: usize, count: usize| match cols.taps {
            3 => s.kernel(Strips::<3> { of: self, line, first, count }),
            5 => s.kernel(Strips::<5> { of: self, line, first, count }),
            2 => s.kernel(Strips::<2> { of: self, line, first, count }),
            1 => s.kernel(Strips::<1> { of: self, line, first, count }),
            _ => (first..first + count).for_each(|col| s.kernel(Edge { of: self, line, col })),
        };
        for line in self.lines.clone() {
            let inner = cols.interior(self.of.input[1]);
            for col in 0..inner.start {
                s.kernel(Edge { of: self, line, col });
            }
            if !inner.is_empty() {
                strips(line, inner.start, inner.len());
            }
            for col in inner.end..cols.count {
                s.kernel(Edge { of: self, line, col });
            }
            if !self.of.epilogue.is_plain() {
                s.kernel(Finish { of: self, line });
            }
        }
    }
}

/// Calls `$body` for every vector of channels of `$c`, whole ones and then the rest.
macro_rules! each_lanes {
    ($s:expr, $c:expr, |$lanes:ident, $channel:ident| $body:expr) => {
        let whole = $c / S::LANES * S::LANES;
        for $channel in (0..whole).step_by(S::LANES) {
            let $lanes = Lanes::<S, true> { s: $s, n: S::LANES };
            $body;
        }
        if whole < $c {
            let $channel = whole;
            let $lanes = Lanes::<S, false> { s: $s, n: $c - whole };
            $body;
        }
    };
}

/// Outputs of one line whose windows lie inside the input from left to right; the kernel is `K` wide.
struct Strips<'a, const K: usize> {
    of: &'a Unit<'a>,
    line: usize,
    first: usize,
    count: usize,
}

impl<const K: usize> Kernel for Strips<'_, K> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Strips { of, line, first, count } = self;
        let c = of.of.input[2];
        // Four at a time hide the latency of a multiplication; channels inside make all memory a few streams.
        let fours = count / 4 * 4;
        for col in (first..first + fours).step_by(4) {
            each_lanes!(s, c, |lanes, channel| of.strip::<S, _, K, 4>(lanes, channel, line, col));
        }
        for col in first + fours..first + count {
            each_lanes!(s, c, |lanes, channel| of.strip::<S, _, K, 1>(lanes, channel, line, col));
        }
    }
}

/// One output whose window may reach beyond the input.
struct Edge<'a> {
    of: &'a Unit<'a>,
    line: usize,
    col: usize,
}

impl Kernel for Edge<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Edge { of, line, col } = self;
        each_lanes!(s, of.of.input[2], |lanes, channel| of.edge(lanes, channel, line, col));
    }
}

/// Residual and activation of one line, while it is in cache.
struct Finish<'a> {
    of: &'a Unit<'a>,
    line: usize,
}

impl Kernel for Finish<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Finish { of, line } = self;
        for col in 0..of.of.cols.count {
            each_lanes!(s, of.of.input[2], |lanes, channel| of.finish(lanes, channel, line, col));
        }
    }
}

impl Unit<'_> {
    #[inline(always)]
    fn strip<S: Simd, const ALL: bool, const K: usize, const T: usize>(
        &self,
        lanes: Lanes<S, ALL>,
        channel: usize,
        line: usize,
        col: usize,
    ) {
        let of = self.of;
        let s = lanes.s;
        let [h, w, c] = of.input;
        let rows = of.y.valid_taps(line, h);
        let mut acc = [self.bias(lanes, channel); T];
        let left = of.cols.source(col) as usize;
        for tap in rows {
            let y = (of.y.source(line) + tap as isize) as usize;
            // SAFETY: row `y` is valid, and columns `left..left + (T - 1) * stride + K` lie inside the input because
            // all of these outputs are interior; the weights have `K` columns of taps.
            unsafe {
                let x = of.x.as_ptr().add(((self.image * h + y) * w + left) * c + channel);
                let weights = of.weights.as_ptr().add(tap * K * c + channel);
                for k in 0..K {
                    let weight = lanes.load(weights.add(k * c));
                    for (t, acc) in acc.iter_mut().enumerate() {
                        *acc = s.fma(lanes.load(x.add((t * of.cols.stride + k) * c)), weight, *acc);
                    }
                }
            }
        }
        for (t, acc) in acc.into_iter().enumerate() {
            self.store(lanes, channel, line, col + t, acc);
        }
    }

    /// One output whose window may reach beyond the input.
    #[inline(always)]
    fn edge<S: Simd, const ALL: bool>(&self, lanes: Lanes<S, ALL>, channel: usize, line: usize, col: usize) {
        let of = self.of;
        let [h, w, c] = of.input;
        let mut acc = self.bias(lanes, channel);
        for tap_y in of.y.valid_taps(line, h) {
            for tap_x in of.cols.valid_taps(col, w) {
                let y = (of.y.source(line) + tap_y as isize) as usize;
                let x = (of.cols.source(col) + tap_x as isize) as usize;
                // SAFETY: both taps are valid, so the pixel lies inside the input.
                unsafe {
                    let x = lanes.load(of.x.as_ptr().add(((self.image * h + y) * w + x) * c + channel));
                    let weight = lanes.load(of.weights.as_ptr().add((tap_y * of.cols.taps + tap_x) * c + channel));
                    acc = lanes.s.fma(x, weight, acc);
                }
            }
        }
        self.store(lanes, channel, line, col, acc);
    }

    #[inline(always)]
    fn bias<S: Simd, const ALL: bool>(&self, lanes: Lanes<S, ALL>, channel: usize) -> S::V {
        // SAFETY: the bias has a number for every channel.
        self.of.bias.map_or(lanes.s.zero(), |b| unsafe { lanes.load(b.as_ptr().add(channel)) })
    }

    /// Where this channel of an output lies.
    #[inline(always)]
    fn output(&self, channel: usize, line: usize, col: usize) -> usize {
        let of = self.of;
        let [h, w, c] = of.out;
        let (y, x) = (of.y.first + line * of.y.step, of.cols.first + col * of.cols.step);
        ((self.image * h + y) * w + x) * c + channel
    }

    #[inline(always)]
    fn store<S: Simd, const ALL: bool>(&self, lanes: Lanes<S, ALL>, channel: usize, line: usize, col: usize, sum: S::V) {
        // SAFETY: the axes stay inside the output (asserted in `run`); units differ in image or lines, so no two
        // threads write the same element.
        unsafe { lanes.store(self.out.0.add(self.output(channel, line, col)), sum) }
    }

    /// Adds the residual to a stored sum and applies the activation, while the line is in the first cache.
    #[inline(always)]
    fn finish<S: Simd, const ALL: bool>(&self, lanes: Lanes<S, ALL>, channel: usize, line: usize, col: usize) {
        let at = self.output(channel, line, col);
        let Epilogue { activation, residual } = self.of.epilogue;
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

/// The gradient to the weights `[channels, 1, kernel_h, kernel_w]`.
pub(crate) fn backward_weight(c: &Conv2d, path: SimdPath, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let [rows, cols] = c.axes();
    let taps = c.kernel[0] * c.kernel[1];
    // The cut follows from the shape alone: images, and pieces of them where there are few.
    let parts = 16usize.div_ceil(c.batch.max(1)).min(rows.count).max(1);
    let units = c.batch * parts;
    let sums = taps * c.in_c;
    let mut partial = scratch::take(units * sums);
    let work = Gradient { c, rows, cols, x, dy };
    partial.par_chunks_mut(sums).enumerate().for_each(|(i, sums)| {
        dispatch::run(path, GradientUnit { of: &work, image: i / parts, lines: piece(rows.count, parts, i % parts), sums });
    });
    for channel in 0..c.in_c {
        for tap in 0..taps {
            let sum: f64 = (0..units).map(|u| f64::from(partial[u * sums + tap * c.in_c + channel])).sum();
            dw[channel * taps + tap] = sum as f32;
        }
    }
}

struct Gradient<'a> {
    c: &'a Conv2d,
    rows: Axis,
    cols: Axis,
    x: &'a [f32],
    dy: &'a [f32],
}

struct GradientUnit<'a> {
    of: &'a Gradient<'a>,
    image: usize,
    lines: Range<usize>,
    /// `[taps, channels]`, this unit's own.
    sums: &'a mut [f32],
}

impl Kernel for GradientUnit<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let c = self.of.c.in_c;
        for channel in (0..c).step_by(S::LANES) {
            let n = (c - channel).min(S::LANES);
            if n == S::LANES {
                self.channels(Lanes::<S, true> { s, n }, channel);
            } else {
                self.channels(Lanes::<S, false> { s, n }, channel);
            }
        }
    }
}

impl GradientUnit<'_> {
    #[inline(always)]
    fn channels<S: Simd, const ALL: bool>(&mut self, lanes: Lanes<S, ALL>, channel: usize) {
        match self.of.c.kernel {
            [3, 3] => self.taps::<S, ALL, 3, 3>(lanes, channel, 0, 0),
            [5, 5] => self.taps::<S, ALL, 5, 5>(lanes, channel, 0, 0),
            [kh, kw] => {
                for y in 0..kh {
                    for x in 0..kw {
                        self.taps::<S, ALL, 1, 1>(lanes, channel, y, x);
                    }
                }
            }
        }
    }

    /// Sums of the `KH * KW` taps from (`first_y`, `first_x`) on, kept in registers over all lines.
    #[inline(always)]
    fn taps<S: Simd, const ALL: bool, const KH: usize, const KW: usize>(
        &mut self,
        lanes: Lanes<S, ALL>,
        channel: usize,
        first_y: usize,
        first_x: usize,
    ) {
        let of = self.of;
        let s = lanes.s;
        let (h, w, c) = (of.c.in_h, of.c.in_w, of.c.in_c);
        let (height, width) = (of.rows.count, of.cols.count);
        let stride = of.cols.stride;
        let mut acc = [[s.zero(); KW]; KH];
        // Outputs that see all of these columns; the others are edges.
        let inner = of.cols.outputs_of_tap(first_x, w);
        let last = of.cols.outputs_of_tap(first_x + KW - 1, w);
        let inner = inner.start.max(last.start)..inner.end.min(last.end);
        for line in self.lines.clone() {
            let top = of.rows.source(line) + first_y as isize;
            let whole = top >= 0 && top as usize + KH <= h;
            // SAFETY: every load of `x` is guarded by its row and column lying inside the input, either by `whole` and
            // `inner` or one by one; `dy` has this line.
            unsafe {
                let dy = of.dy.as_ptr().add((self.image * height + line) * width * c + channel);
                let image = of.x.as_ptr().add(self.image * h * w * c + channel);
                let inner = if whole { inner.clone() } else { 0..0 };
                let inner = if inner.is_empty() { width..width } else { inner };
                for col in (0..inner.start).chain(inner.end..width) {
                    let d = lanes.load(dy.add(col * c));
                    let left = of.cols.source(col) + first_x as isize;
                    for (y, acc) in acc.iter_mut().enumerate() {
                        let row = top + y as isize;
                        for (x, acc) in acc.iter_mut().enumerate() {
                            let column = left + x as isize;
                            if row >= 0 && (row as usize) < h && column >= 0 && (column as usize) < w {
                                let v = lanes.load(image.add((row as usize * w + column as usize) * c));
                                *acc = s.fma(v, d, *acc);
                            }
                        }
                    }
                }
                if inner.is_empty() {
                    continue;
                }
                let left = (of.cols.source(inner.start) + first_x as isize) as usize;
                let mut x = image.add((top as usize * w + left) * c);
                for col in inner {
                    let d = lanes.load(dy.add(col * c));
                    for (y, acc) in acc.iter_mut().enumerate() {
                        for (k, acc) in acc.iter_mut().enumerate() {
                            *acc = s.fma(lanes.load(x.add((y * w + k) * c)), d, *acc);
                        }
                    }
                    x = x.wrapping_add(stride * c);
                }
            }
        }
        for (y, acc) in acc.iter().enumerate() {
            for (x, acc) in acc.iter().enumerate() {
                let tap = (first_y + y) * of.c.kernel[1] + first_x + x;
                // SAFETY: the sums have a row of channels for every tap.
                unsafe { lanes.store(self.sums.as_mut_ptr().add(tap * c + channel), *acc) };
            }
        }
    }
}
