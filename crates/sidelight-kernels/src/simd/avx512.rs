//! AVX-512, with and without bf16 dot products.

use super::{Kernel, MAX_LANES, RowTile, Simd};
use std::arch::x86_64::*;

/// Proof that AVX-512 F/BW/DQ/VL may run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

/// Proof that AVX-512 BF16 may run as well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512Bf16(());

fn first(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as __mmask16
}

/// Rows to columns, in four rounds: pairs of numbers, pairs of pairs, and two of quarters.
/// # Safety
/// The machine must have AVX-512 F.
#[inline(always)]
unsafe fn turned(rows: [__m512; 16]) -> [__m512; 16] {
    // SAFETY: forwarded from the caller; no memory is touched.
    unsafe {
        let mut fours = [_mm512_setzero_ps(); 16];
        // Quarter q of `fours[4g + j]` holds column 4q + j of the rows 4g to 4g + 3.
        for g in (0..16).step_by(4) {
            let low = |a: usize| _mm512_castps_pd(_mm512_unpacklo_ps(rows[g + a], rows[g + a + 1]));
            let high =
                |a: usize| _mm512_castps_pd(_mm512_unpackhi_ps(rows[g + a], rows[g + a + 1]));
            fours[g] = _mm512_castpd_ps(_mm512_unpacklo_pd(low(0), low(2)));
            fours[g + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low(0), low(2)));
            fours[g + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high(0), high(2)));
            fours[g + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high(0), high(2)));
        }
        let mut columns = [_mm512_setzero_ps(); 16];
        for j in 0..4 {
            // Even quarters of two vectors, odd quarters of two vectors.
            const EVEN: i32 = 0x88;
            const ODD: i32 = 0xdd;
            let [a, b, c, d] = [fours[j], fours[4 + j], fours[8 + j], fours[12 + j]];
            let (even, odd) = (
                [
                    _mm512_shuffle_f32x4::<EVEN>(a, b),
                    _mm512_shuffle_f32x4::<EVEN>(c, d),
                ],
                [
                    _mm512_shuffle_f32x4::<ODD>(a, b),
                    _mm512_shuffle_f32x4::<ODD>(c, d),
                ],
            );
            columns[j] = _mm512_shuffle_f32x4::<EVEN>(even[0], even[1]);
            columns[4 + j] = _mm512_shuffle_f32x4::<EVEN>(odd[0], odd[1]);
            columns[8 + j] = _mm512_shuffle_f32x4::<ODD>(even[0], even[1]);
            columns[12 + j] = _mm512_shuffle_f32x4::<ODD>(odd[0], odd[1]);
        }
        columns
    }
}

// One safe arithmetic operation.
macro_rules! operation {
    ($name:ident ( $($a:ident),* ) => $body:expr) => {
        #[inline(always)]
        fn $name(self, $($a: __m512),*) -> __m512 {
            // SAFETY: the token proves that the machine has these instructions; they touch no memory.
            unsafe { $body }
        }
    };
}

macro_rules! implement {
    ($token:ident, $features:literal, { $($extra:tt)* }) => {
        impl $token {
            /// # Safety
            /// The machine must have the instructions the token stands for.
            #[inline(always)]
            pub(crate) unsafe fn new() -> Self {
                Self(())
            }
        }

        impl Simd for $token {
            type V = __m512;
            const LANES: usize = 16;
            const ROWS: usize = 14;

            #[inline(always)]
            fn splat(self, x: f32) -> __m512 {
                // SAFETY: the token proves that the machine has AVX-512.
                unsafe { _mm512_set1_ps(x) }
            }
            operation!(add(a, b) => _mm512_add_ps(a, b));
            operation!(sub(a, b) => _mm512_sub_ps(a, b));
            operation!(mul(a, b) => _mm512_mul_ps(a, b));
            operation!(div(a, b) => _mm512_div_ps(a, b));
            operation!(min(a, b) => _mm512_min_ps(a, b));
            operation!(max(a, b) => _mm512_max_ps(a, b));
            operation!(fma(a, b, c) => _mm512_fmadd_ps(a, b, c));
            operation!(keep_gt(a, b, v) => _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), v));
            operation!(round(a) => _mm512_roundscale_ps::<0>(a));
            operation!(pow2(a) => _mm512_scalef_ps(_mm512_set1_ps(1.0), a));
            #[inline(always)]
            fn turned(self, block: &mut [__m512; MAX_LANES]) {
                // SAFETY: the token proves that the machine has AVX-512; no memory is touched.
                *block = unsafe { turned(*block) };
            }
            #[inline(always)]
            unsafe fn load(self, p: *const f32) -> __m512 {
                // SAFETY: the token proves AVX-512; the caller vouches for the memory.
                unsafe { _mm512_loadu_ps(p) }
            }
            #[inline(always)]
            unsafe fn load_n(self, p: *const f32, n: usize) -> __m512 {
                // SAFETY: masked lanes are not read; the caller vouches for the first `n`.
                unsafe { _mm512_maskz_loadu_ps(first(n), p) }
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut f32, v: __m512) {
                // SAFETY: as in `load`.
                unsafe { _mm512_storeu_ps(p, v) }
            }
            #[inline(always)]
            unsafe fn store_n(self, p: *mut f32, v: __m512, n: usize) {
                // SAFETY: masked lanes are not written; the caller vouches for the first `n`.
                unsafe { _mm512_mask_storeu_ps(p, first(n), v) }
            }
            #[inline(always)]
            fn kernel<K: Kernel>(self, kernel: K) -> K::Output {
                #[target_feature(enable = $features)]
                fn compiled<K: Kernel>(s: $token, kernel: K) -> K::Output {
                    kernel.run(s)
                }
                // SAFETY: the token proves that the machine has these features.
                unsafe { compiled(self, kernel) }
            }
            #[inline(always)]
            fn tile<T: RowTile>(self, rows: usize, tile: T) {
                #[target_feature(enable = $features)]
                fn compiled<T: RowTile, const R: usize>(s: $token, tile: T) {
                    tile.run::<$token, R>(s);
                }
                // SAFETY: the token proves that the machine has these features.
                unsafe {
                    match rows {
                        1 => compiled::<T, 1>(self, tile),
                        2 => compiled::<T, 2>(self, tile),
                        3 => compiled::<T, 3>(self, tile),
                        4 => compiled::<T, 4>(self, tile),
                        5 => compiled::<T, 5>(self, tile),
                        6 => compiled::<T, 6>(self, tile),
                        7 => compiled::<T, 7>(self, tile),
                        8 => compiled::<T, 8>(self, tile),
                        9 => compiled::<T, 9>(self, tile),
                        10 => compiled::<T, 10>(self, tile),
                        11 => compiled::<T, 11>(self, tile),
                        12 => compiled::<T, 12>(self, tile),
                        13 => compiled::<T, 13>(self, tile),
                        14 => compiled::<T, 14>(self, tile),
                        _ => unreachable!("tiles have 1 to 14 rows"),
                    }
                }
            }
            $($extra)*
        }
    };
}

implement!(Avx512, "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl", {});
implement!(
    Avx512Bf16,
    "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16",
    {
        #[inline(always)]
        fn mla(self, acc: __m512, a: __m512, b: __m512) -> __m512 {
            // SAFETY: the token proves AVX-512 BF16; `__m512bh` is 512 bits of any pattern, as `__m512` is.
            unsafe {
                _mm512_dpbf16_ps(
                    acc,
                    std::mem::transmute::<__m512, __m512bh>(a),
                    std::mem::transmute::<__m512, __m512bh>(b),
                )
            }
        }
        #[inline(always)]
        fn pair(self, a: __m512, b: __m512) -> __m512 {
            // SAFETY: the token proves AVX-512 BF16; the casts are between vectors of bits.
            unsafe {
                let a = _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(
                    _mm512_cvtneps_pbh(a),
                ));
                let b = _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(
                    _mm512_cvtneps_pbh(b),
                ));
                _mm512_castsi512_ps(_mm512_or_si512(a, _mm512_slli_epi32::<16>(b)))
            }
        }
        #[inline(always)]
        unsafe fn convert(self, src: *const f32, dst: *mut u16, n: usize) {
            let mut i = 0;
            while i < n {
                let left = (n - i).min(16);
                // SAFETY: lanes from `left` on are masked, so only elements below `n` are read and written.
                unsafe {
                    let v = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(first(left), src.add(i)));
                    _mm256_mask_storeu_epi16(
                        dst.add(i).cast(),
                        first(left),
                        std::mem::transmute::<__m256bh, __m256i>(v),
                    );
                }
                i += 16;
            }
        }
    }
);
