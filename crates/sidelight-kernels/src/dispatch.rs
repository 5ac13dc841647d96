//! The choice of the instruction set when the program runs.

use std::cell::Cell;
use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512, Avx512Bf16};
use crate::simd::{Kernel, Portable};

/// An instruction set the kernels are compiled for, fastest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SimdPath {
    /// AVX-512 F/BW/DQ/VL with BF16 dot products.
    Avx512Bf16,
    /// AVX-512 F/BW/DQ/VL; bf16 products fall back to rounded `f32`.
    Avx512,
    /// AVX2 with FMA.
    Avx2,
    /// What the compiler makes of plain loops for the target: SSE2 on x86-64, NEON on AArch64.
    Portable,
}

impl SimdPath {
    /// Every path, fastest first.
    pub const ALL: [SimdPath; 4] = [
        SimdPath::Avx512Bf16,
        SimdPath::Avx512,
        SimdPath::Avx2,
        SimdPath::Portable,
    ];

    /// Says whether this machine can run the path.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            SimdPath::Avx512Bf16 => {
                SimdPath::Avx512.is_available() && is_x86_feature_detected!("avx512bf16")
            }
            #[cfg(target_arch = "x86_64")]
            SimdPath::Avx512 => {
                SimdPath::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            SimdPath::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            SimdPath::Portable => true,
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The fastest path of this machine.
    #[must_use]
    pub fn best() -> SimdPath {
        static BEST: OnceLock<SimdPath> = OnceLock::new();
        *BEST.get_or_init(|| {
            SimdPath::ALL
                .into_iter()
                .find(|p| p.is_available())
                .unwrap_or(SimdPath::Portable)
        })
    }

    /// The path that kernels called from this thread take: the best one, unless [`with_path`] says otherwise.
    #[must_use]
    pub fn current() -> SimdPath {
        FORCED.get().unwrap_or_else(SimdPath::best)
    }

    /// Whether bf16 products run in hardware.
    #[must_use]
    pub fn has_bf16(self) -> bool {
        self == SimdPath::Avx512Bf16
    }
}

thread_local! {
    static FORCED: Cell<Option<SimdPath>> = const { Cell::new(None) };
}

/// Runs `work` with every kernel called from this thread on `path`; for tests and benches.
///
/// # Panics
///
/// When the machine cannot run the path.
pub fn with_path<T>(path: SimdPath, work: impl FnOnce() -> T) -> T {
    assert!(path.is_available(), "this machine cannot run {path:?}");
    // Restored on unwind too, so that a failing test does not change the next one on its thread.
    struct Restore(Option<SimdPath>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    let _restore = Restore(FORCED.replace(Some(path)));
    work()
}

/// Runs one kernel body compiled for `path`.
#[inline]
pub(crate) fn run<K: Kernel>(path: SimdPath, kernel: K) -> K::Output {
    match path {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a path other than `Portable` reaches this function only after `is_available` (through `best` or the
        // assertion of `with_path`), so the machine has the features that `avx512` and `avx2` enable.
        SimdPath::Avx512Bf16 | SimdPath::Avx512 => unsafe { avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        SimdPath::Avx2 => unsafe { avx2(kernel) },
        _ => kernel.run(Portable),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: this function is compiled with, and only called on machines with, the features the token stands for.
    kernel.run(unsafe { Avx512::new() })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: as in `avx512`.
    kernel.run(unsafe { Avx2::new() })
}

/// Runs a kernel body whose products are those of bf16 pairs.
///
/// # Panics
///
/// When `path` has no bf16 products.
pub(crate) fn run_pairs<K: Kernel>(path: SimdPath, kernel: K) -> K::Output {
    assert!(path.has_bf16(), "{path:?} has no products of bf16 pairs");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as in `run`; the path is the one with bf16.
    unsafe {
        avx512_bf16(kernel)
    }
    #[cfg(not(target_arch = "x86_64"))]
    kernel.run(Portable)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn avx512_bf16<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: as in `avx512`.
    kernel.run(unsafe { Avx512Bf16::new() })
}
