//! Every image of a data set once, on all cores, and what is kept of a picture to compare it with others.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use sidelight_data::dataset::ImageSource;
use sidelight_data::image::Picture;

/// Looks at each image, however many rows have it, and gives what was seen in the images' order.
///
/// `progress` is told the number of images done and of all images, from any thread.
pub(crate) fn scan<T: Send>(
    images: &[(&ImageSource, Vec<usize>)],
    progress: &(dyn Fn(usize, usize) + Sync),
    look: impl Fn(&ImageSource, &[usize]) -> T + Sync,
) -> Vec<T> {
    let n_done = AtomicUsize::new(0);
    let _ahead = ImageSource::read_ahead(images.iter().map(|(source, _)| *source));
    images
        .par_iter()
        .map(|(source, rows)| {
            let seen = look(source, rows);
            progress(n_done.fetch_add(1, Ordering::Relaxed) + 1, images.len());
            seen
        })
        .collect()
}

/// Mean red, green and blue of a picture's parts, `[rows][columns]`, each in [0, 255].
pub(crate) fn mean_colors(picture: &Picture, columns: usize, rows: usize) -> Vec<[f64; 3]> {
    let span = |at: usize, cells: usize, pixels: usize| {
        let from = at * pixels / cells;
        // A picture smaller than the grid lends its pixels twice.
        from..((at + 1) * pixels / cells).max(from + 1).min(pixels.max(1))
    };
    let mut means = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        for column in 0..columns {
            let (mut sums, mut n) = ([0.0; 3], 0.0);
            for y in span(row, rows, picture.height) {
                let xs = span(column, columns, picture.width);
                let pixels = &picture.rgb[(y * picture.width + xs.start) * 3..][..xs.len() * 3];
                for rgb in pixels.as_chunks::<3>().0 {
                    for (sum, &value) in sums.iter_mut().zip(rgb) {
                        *sum += f64::from(value);
                    }
                    n += 1.0;
                }
            }
            means.push(sums.map(|sum| sum / n));
        }
    }
    means
}
