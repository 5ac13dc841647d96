//! Arrays of eight numbers in plain loops, which the compiler turns into the target's own vectors (SSE2, NEON, …).

#![expect(
    clippy::needless_range_loop,
    reason = "indices name lanes, in several arrays at once"
)]

use super::{Kernel, MAX_LANES, RowTile, Simd};

/// Needs nothing of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(crate) struct Eight([f32; 8]);

impl Portable {
    #[inline(always)]
    fn map2(self, a: Eight, b: Eight, f: impl Fn(f32, f32) -> f32) -> Eight {
        let mut y = [0.0; 8];
        for i in 0..8 {
            y[i] = f(a.0[i], b.0[i]);
        }
        Eight(y)
    }
}

/// One operation on two numbers, lane by lane.
macro_rules! operation {
    ($name:ident ($a:ident, $b:ident) => $body:expr) => {
        #[inline(always)]
        fn $name(self, $a: Eight, $b: Eight) -> Eight {
            self.map2($a, $b, |$a, $b| $body)
        }
    };
}

impl Simd for Portable {
    type V = Eight;
    const LANES: usize = 8;
    // A row of two vectors takes four 128-bit registers: AArch64 has 32 of them, SSE2 has 16.
    const ROWS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 3 };

    #[inline(always)]
    fn splat(self, x: f32) -> Eight {
        Eight([x; 8])
    }
    #[inline(always)]
    fn turned(self, block: &mut [Eight; MAX_LANES]) {
        for r in 0..8 {
            for i in 0..r {
                let upper = block[i].0[r];
                block[i].0[r] = block[r].0[i];
                block[r].0[i] = upper;
            }
        }
    }
    operation!(add(a, b) => a + b);
    operation!(sub(a, b) => a - b);
    operation!(mul(a, b) => a * b);
    operation!(div(a, b) => a / b);
    // As x86 does it: the second operand when either is not a number.
    operation!(min(a, b) => if a < b { a } else { b });
    operation!(max(a, b) => if a > b { a } else { b });
    #[inline(always)]
    fn fma(self, a: Eight, b: Eight, c: Eight) -> Eight {
        let mut y = [0.0; 8];
        for i in 0..8 {
            // Without the instruction `mul_add` is a slow library call, so it is used only where every machine has it.
            y[i] = if cfg!(target_arch = "aarch64") {
                a.0[i].mul_add(b.0[i], c.0[i])
            } else {
                a.0[i] * b.0[i] + c.0[i]
            };
        }
        Eight(y)
    }
    #[inline(always)]
    fn keep_gt(self, a: Eight, b: Eight, v: Eight) -> Eight {
        let mut y = [0.0; 8];
        for i in 0..8 {
            y[i] = if a.0[i] > b.0[i] { v.0[i] } else { 0.0 };
        }
        Eight(y)
    }
    #[inline(always)]
    fn round(self, a: Eight) -> Eight {
        // Adding and taking away 1.5 * 2^23 rounds to the nearest integer without a library call.
        const MAGIC: f32 = 12_582_912.0;
        self.map2(a, a, |a, _| (a + MAGIC) - MAGIC)
    }
    #[inline(always)]
    fn pow2(self, a: Eight) -> Eight {
        self.map2(a, a, |a, _| f32::from_bits(((a as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Eight {
        // SAFETY: the caller vouches for eight numbers; an array of them needs no more alignment than one, and the
        // read is unaligned anyway.
        Eight(unsafe { p.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> Eight {
        if n == 8 {
            // SAFETY: the caller vouches for `n` numbers.
            return unsafe { self.load(p) };
        }
        let mut y = [0.0; 8];
        for (i, y) in y.iter_mut().enumerate().take(n) {
            // SAFETY: `i < n`, which the caller vouches for.
            *y = unsafe { *p.add(i) };
        }
        Eight(y)
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Eight) {
        // SAFETY: as in `load`.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(v.0) }
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: Eight, n: usize) {
        if n == 8 {
            // SAFETY: the caller vouches for `n` numbers.
            return unsafe { self.store(p, v) };
        }
        for i in 0..n.min(8) {
            // SAFETY: `i < n`, which the caller vouches for.
            unsafe { *p.add(i) = v.0[i] }
        }
    }
    fn kernel<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
    #[inline(always)]
    fn tile<T: RowTile>(self, rows: usize, tile: T) {
        match rows {
            1 => tile.run::<Self, 1>(self),
            2 => tile.run::<Self, 2>(self),
            3 => tile.run::<Self, 3>(self),
            #[cfg(target_arch = "aarch64")]
            4 => tile.run::<Self, 4>(self),
            #[cfg(target_arch = "aarch64")]
            5 => tile.run::<Self, 5>(self),
            #[cfg(target_arch = "aarch64")]
            6 => tile.run::<Self, 6>(self),
            _ => unreachable!("tiles have at most `ROWS` rows"),
        }
    }
}
