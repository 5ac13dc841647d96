//! Buffers that start on a cache line and are reused from call to call, one stack of them per thread.

use std::cell::RefCell;

/// One cache line; the unit of allocation, so that vector loads never straddle two.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Numbers that start on a cache line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

impl Aligned {
    pub(crate) fn zeros(len: usize) -> Self {
        Aligned {
            lines: vec![Line([0.0; 16]); len.div_ceil(16)],
            len,
        }
    }
}

impl std::ops::Deref for Aligned {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen numbers without padding, and `len` never exceeds what the lines hold.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl std::ops::DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

thread_local! {
    static FREE: RefCell<Vec<Aligned>> = const { RefCell::new(Vec::new()) };
}

/// A borrowed buffer; goes back to its thread's stack when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(Aligned);

/// Borrows a buffer of `len` numbers of any value.
///
/// Taking a buffer out, instead of borrowing it in place, keeps this sound when a waiting rayon worker starts another
/// kernel on the same thread.
pub(crate) fn take(len: usize) -> Scratch {
    let mut buffer = FREE.with_borrow_mut(|free| {
        // The smallest that fits, else the largest to replace.
        let fit = (0..free.len())
            .filter(|&i| free[i].lines.len() * 16 >= len)
            .min_by_key(|&i| free[i].lines.len());
        let pick = fit.or_else(|| (0..free.len()).max_by_key(|&i| free[i].lines.len()));
        pick.map(|i| free.swap_remove(i)).unwrap_or_default()
    });
    if buffer.lines.len() * 16 < len {
        buffer = Aligned::zeros(len);
    }
    buffer.len = len;
    Scratch(buffer)
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // A thread that is ending has no stack left to return to.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            // More than a handful at once only happens in nested work; those buffers are freed.
            if free.len() < 8 {
                free.push(buffer);
            }
        });
    }
}

impl std::ops::Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl std::ops::DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}
