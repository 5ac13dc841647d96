//! The few vector operations the kernels are written in, one implementation per instruction set.
//!
//! A value of a [`Simd`] type is a *token*: it exists only where its instructions may run, so arithmetic is safe to
//! call; only memory access is `unsafe`. Kernel bodies are generic, `#[inline(always)]`, and compiled once per
//! instruction set by [`crate::dispatch::run`].

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::{Avx512, Avx512Bf16};
pub(crate) use portable::Portable;

/// Numbers of the longest vector.
pub(crate) const MAX_LANES: usize = 16;

/// Vectors of `f32` under one instruction set.
pub(crate) trait Simd: Copy + Send + Sync {
    /// A vector of [`Simd::LANES`] numbers.
    type V: Copy;
    /// Numbers per vector.
    const LANES: usize;
    /// Rows of a register tile two vectors wide that leave room for its operands; at most [`crate::tile::MAX_ROWS`].
    const ROWS: usize;

    fn splat(self, x: f32) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the machine can.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `v` where `a > b`, else zero.
    fn keep_gt(self, a: Self::V, b: Self::V, v: Self::V) -> Self::V;
    /// What one 32-bit word of either operand adds to a sum: one product of `f32`, or for [`Avx512Bf16`] two of bf16.
    #[inline(always)]
    fn mla(self, acc: Self::V, a: Self::V, b: Self::V) -> Self::V {
        self.fma(a, b, acc)
    }
    /// Rounds `n` numbers to bf16, to nearest even; only where [`Simd::mla`] multiplies pairs.
    /// # Safety
    /// `src` must be readable and `dst` writable for `n` elements, without overlap.
    unsafe fn convert(self, _src: *const f32, _dst: *mut u16, _n: usize) {
        unreachable!("only words that are pairs are converted")
    }
    /// Rounds two vectors to bf16 and pairs them up, `a` in the lower halves; only where [`Simd::mla`] multiplies pairs.
    fn pair(self, _a: Self::V, _b: Self::V) -> Self::V {
        unreachable!("only words that are pairs are paired")
    }
    /// Runs `tile` compiled for this instruction set and for `rows`, at most [`Simd::ROWS`], as a function of its own.
    ///
    /// Without functions of their own, dozens of unrolled tiles in one body would take the compiler minutes.
    fn tile<T: RowTile>(self, rows: usize, tile: T);
    /// Runs `kernel` compiled for this instruction set as a function of its own.
    fn kernel<K: Kernel>(self, kernel: K) -> K::Output;

    /// The nearest integer.
    fn round(self, a: Self::V) -> Self::V;
    /// `2^a` for integral `a` in [-126, 127].
    fn pow2(self, a: Self::V) -> Self::V;

    /// # Safety
    /// `p` must be readable for [`Simd::LANES`] numbers.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// The first `n` lanes from memory, the others zero.
    /// # Safety
    /// `p` must be readable for `n` numbers and `n <= LANES`.
    unsafe fn load_n(self, p: *const f32, n: usize) -> Self::V;
    /// # Safety
    /// `p` must be writable for [`Simd::LANES`] numbers.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// # Safety
    /// `p` must be writable for `n` numbers and `n <= LANES`.
    unsafe fn store_n(self, p: *mut f32, v: Self::V, n: usize);

    /// Turns rows of numbers into columns: `dst[i · pitch + r] = src[r · stride + i]` for `i` below `len` and `r` below
    /// [`Simd::LANES`]; rows from `rows` on count as zeros.
    /// # Safety
    /// `src` must be readable for `rows` rows of `len` numbers, `stride` apart, and `dst` writable for `len` rows of
    /// [`Simd::LANES`] numbers, `pitch` apart; neither `rows` nor `len` may be more than [`Simd::LANES`].
    #[inline(always)]
    unsafe fn turn(
        self,
        src: *const f32,
        stride: usize,
        [rows, len]: [usize; 2],
        dst: *mut f32,
        pitch: usize,
    ) {
        let mut block = [self.zero(); MAX_LANES];
        // SAFETY: forwarded from the caller.
        unsafe {
            for (r, row) in block.iter_mut().enumerate().take(rows) {
                *row = self.load_n(src.add(r * stride), len);
            }
            self.turned(&mut block);
            for (i, column) in block.into_iter().enumerate().take(len) {
                self.store(dst.add(i * pitch), column);
            }
        }
    }
    /// Turns the first [`Simd::LANES`] vectors, rows of a square, into its columns.
    fn turned(self, block: &mut [Self::V; MAX_LANES]);

    #[inline(always)]
    fn zero(self) -> Self::V {
        self.splat(0.0)
    }

    /// `e^x`, within 2 units in the last place for x in [-87, 88]; clamped outside.
    ///
    /// # Source
    /// Cephes `expf` (S. Moshier): range reduction by ln 2 in two parts and a polynomial of degree 5.
    #[inline(always)]
    fn exp(self, x: Self::V) -> Self::V {
        let x = self.max(self.min(x, self.splat(88.0)), self.splat(-87.0));
        let n = self.round(self.mul(x, self.splat(std::f32::consts::LOG2_E)));
        let r = self.fma(n, self.splat(-0.693_359_4), x);
        let r = self.fma(n, self.splat(2.121_944_4e-4), r);
        let mut p = self.splat(1.987_569_1e-4);
        for c in [
            1.398_2e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            5e-1,
        ] {
            p = self.fma(p, r, self.splat(c));
        }
        let y = self.add(self.fma(p, self.mul(r, r), r), self.splat(1.0));
        self.mul(y, self.pow2(n))
    }

    /// `1 / (1 + e^-x)`.
    #[inline(always)]
    fn sigmoid(self, x: Self::V) -> Self::V {
        let one = self.splat(1.0);
        self.div(one, self.add(one, self.exp(self.sub(self.zero(), x))))
    }
}

/// A computation that can be compiled for any instruction set. `run` must be `#[inline(always)]`.
pub(crate) trait Kernel {
    type Output;
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// Writes a computation for every instruction set as a function of the token `s`.
///
/// `kernel! { fn double<'a>(s: S, x: &'a mut [f32]) { … } }` makes a function `double(x)`, which computes nothing: it
/// returns the operands as a [`Kernel`]. [`crate::dispatch::run`] runs that on a path, [`Simd::kernel`] inside another.
macro_rules! kernel {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$life:lifetime $(, const $n:ident: usize)*>(
            $s:tt: S $(, $operand:ident: $type:ty)* $(,)?
        ) $(-> $output:ty)? $body:block
    ) => {
        $(#[$meta])*
        #[inline(always)]
        $vis fn $name<$life $(, const $n: usize)*>(
            $($operand: $type),*
        ) -> impl Kernel<Output = kernel!(@output $($output)?)> {
            struct Operands<$life $(, const $n: usize)*> {
                $($operand: $type),*
            }
            impl<$life $(, const $n: usize)*> Kernel for Operands<$life $(, $n)*> {
                type Output = kernel!(@output $($output)?);
                #[inline(always)]
                fn run<S: Simd>(self, $s: S) -> Self::Output {
                    let Operands { $($operand),* } = self;
                    $body
                }
            }
            Operands::<$life $(, $n)*> { $($operand),* }
        }
    };
    (@output) => { () };
    (@output $output:ty) => { $output };
}
pub(crate) use kernel;

/// A computation on a tile of `R` rows, `R` a constant so that the tile lives in registers. `run` must be
/// `#[inline(always)]`.
pub(crate) trait RowTile {
    fn run<S: Simd, const R: usize>(self, s: S);
}
