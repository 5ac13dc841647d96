//! Every image of a data set once, on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use sidelight_data::dataset::ImageSource;

/// Looks at each image, however many rows have it, and gives what was seen in the images' order.
///
/// `progress` is told the number of images done and of all images, from any thread.
pub(crate) fn scan<T: Send>(
    images: &[(&ImageSource, Vec<usize>)],
    progress: &(dyn Fn(usize, usize) + Sync),
    look: impl Fn(&ImageSource, &[usize]) -> T + Sync,
) -> Vec<T> {
    let n_done = AtomicUsize::new(0);
    images
        .par_iter()
        .map(|(source, rows)| {
            let seen = look(source, rows);
            progress(n_done.fetch_add(1, Ordering::Relaxed) + 1, images.len());
            seen
        })
        .collect()
}
