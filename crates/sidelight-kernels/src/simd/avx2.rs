//! AVX2 with FMA.

use super::{Kernel, MAX_LANES, RowTile, Simd};
use std::arch::x86_64::*;

/// Proof that AVX2 and FMA may run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// # Safety
    /// The machine must have AVX2 and FMA.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }
}

// Lanes below `n` have their top bit set: a window into eight ones followed by eight zeros.
const MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

#[inline(always)]
fn first(n: usize) -> __m256i {
    let window = &MASKS[8 - n..16 - n];
    // SAFETY: the slice holds eight numbers; called by holders of the token only.
    unsafe { _mm256_loadu_si256(window.as_ptr().cast()) }
}

/// Rows to columns, in three rounds: pairs of numbers, pairs of pairs, halves.
/// # Safety
/// The machine must have AVX.
#[inline(always)]
unsafe fn turned(rows: [__m256; 8]) -> [__m256; 8] {
    // SAFETY: forwarded from the caller; no memory is touched.
    unsafe {
        let mut fours = [_mm256_setzero_ps(); 8];
        // Half h of `fours[4g + j]` holds column 4h + j of the rows 4g to 4g + 3.
        for g in [0, 4] {
            let low = |a: usize| _mm256_castps_pd(_mm256_unpacklo_ps(rows[g + a], rows[g + a + 1]));
            let high =
                |a: usize| _mm256_castps_pd(_mm256_unpackhi_ps(rows[g + a], rows[g + a + 1]));
            fours[g] = _mm256_castpd_ps(_mm256_unpacklo_pd(low(0), low(2)));
            fours[g + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low(0), low(2)));
            fours[g + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high(0), high(2)));
            fours[g + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high(0), high(2)));
        }
        let mut columns = [_mm256_setzero_ps(); 8];
        for j in 0..4 {
            columns[j] = _mm256_permute2f128_ps::<0x20>(fours[j], fours[4 + j]);
            columns[4 + j] = _mm256_permute2f128_ps::<0x31>(fours[j], fours[4 + j]);
        }
        columns
    }
}

macro_rules! operation {
    ($name:ident ( $($a:ident),* ) => $body:expr) => {
        #[inline(always)]
        fn $name(self, $($a: __m256),*) -> __m256 {
            // SAFETY: the token proves that the machine has these instructions; they touch no memory.
            unsafe { $body }
        }
    };
}

impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = 8;
    const ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: the token proves that the machine has AVX.
        unsafe { _mm256_set1_ps(x) }
    }
    operation!(add(a, b) => _mm256_add_ps(a, b));
    operation!(sub(a, b) => _mm256_sub_ps(a, b));
    operation!(mul(a, b) => _mm256_mul_ps(a, b));
    operation!(div(a, b) => _mm256_div_ps(a, b));
    operation!(min(a, b) => _mm256_min_ps(a, b));
    operation!(max(a, b) => _mm256_max_ps(a, b));
    operation!(fma(a, b, c) => _mm256_fmadd_ps(a, b, c));
    operation!(keep_gt(a, b, v) => _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b), v));
    operation!(round(a) => _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a));
    operation!(pow2(a) => _mm256_castsi256_ps(_mm256_slli_epi32::<23>(
        _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127)))));
    #[inline(always)]
    fn turned(self, block: &mut [__m256; MAX_LANES]) {
        let rows: [__m256; 8] = std::array::from_fn(|r| block[r]);
        // SAFETY: the token proves that the machine has AVX; no memory is touched.
        block[..8].copy_from_slice(&unsafe { turned(rows) });
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        // SAFETY: the token proves AVX; the caller vouches for the memory.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> __m256 {
        // SAFETY: masked lanes are not read; the caller vouches for the first `n`.
        unsafe {
            if n == 8 {
                _mm256_loadu_ps(p)
            } else {
                _mm256_maskload_ps(p, first(n))
            }
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m256) {
        // SAFETY: as in `load`.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: __m256, n: usize) {
        // SAFETY: masked lanes are not written; the caller vouches for the first `n`.
        unsafe {
            if n == 8 {
                _mm256_storeu_ps(p, v)
            } else {
                _mm256_maskstore_ps(p, first(n), v)
            }
        }
    }
    #[inline(always)]
    fn kernel<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn compiled<K: Kernel>(s: Avx2, kernel: K) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: the token proves that the machine has these features.
        unsafe { compiled(self, kernel) }
    }
    #[inline(always)]
    fn tile<T: RowTile>(self, rows: usize, tile: T) {
        #[target_feature(enable = "avx2,fma")]
        fn compiled<T: RowTile, const R: usize>(s: Avx2, tile: T) {
            tile.run::<Avx2, R>(s);
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
                _ => unreachable!("tiles have 1 to 6 rows"),
            }
        }
    }
}
