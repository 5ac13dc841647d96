//! Splitting work over threads.

use rayon::prelude::*;

/// A pointer that several threads write through, each to its own part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedMut(pub(crate) *mut f32);
// SAFETY: every user states why the parts written by different threads do not overlap.
unsafe impl Send for SharedMut {}
// SAFETY: as above.
unsafe impl Sync for SharedMut {}

/// A vector of `len` numbers that `write` writes.
///
/// # Safety
///
/// `write` must write every one of them, and read none before.
pub(crate) unsafe fn written(len: usize, write: impl FnOnce(SharedMut)) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(len);
    // In tests a number that is forgotten is not a number.
    if cfg!(debug_assertions) {
        numbers.resize(len, f32::NAN);
    }
    write(SharedMut(numbers.as_mut_ptr()));
    // SAFETY: the capacity is at least `len`, and by the caller's promise all are written.
    unsafe { numbers.set_len(len) };
    numbers
}

/// Numbers per task in elementwise work: large enough to hide scheduling, small enough to stay in the second cache.
pub(crate) const CHUNK: usize = 32 * 1024;

/// Runs `work(i)` for `0..n` on the pool; on the calling thread where there is nothing to share.
pub(crate) fn each(n: usize, work: impl Fn(usize) + Send + Sync) {
    if n <= 1 || rayon::current_num_threads() == 1 {
        (0..n).for_each(work);
    } else {
        (0..n).into_par_iter().with_max_len(1).for_each(work);
    }
}

/// Sizes of `parts` nearly equal pieces of `total`: the start and length of piece `i`.
pub(crate) fn piece(total: usize, parts: usize, i: usize) -> std::ops::Range<usize> {
    let (q, r) = (total / parts, total % parts);
    let start = i * q + i.min(r);
    start..start + q + usize::from(i < r)
}
