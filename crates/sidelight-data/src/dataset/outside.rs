//! Points that are not on their image.

use rayon::prelude::*;

use super::{Dataset, Targets};
use crate::error::{Result, setting};
use crate::image::facts;
use crate::number::counted;

/// Makes points that lie outside their image missing: they count for nothing, in the loss as in every score. How many there
/// were, in words; `None`: none. An image that cannot be read leaves its points as they are.
///
/// # Errors
///
/// [`Error::Setting`](crate::Error::Setting) where no point is left.
pub(super) fn leave_out(dataset: &mut Dataset) -> Result<Option<String>> {
    let Some(Targets::Keypoints { n_points, xy }) = &mut dataset.targets else {
        return Ok(None);
    };
    let images = &dataset.images;
    let sides = images
        .par_iter()
        .map(|image| facts(image).ok().map(|facts| [facts.width, facts.height]));
    let sides: Vec<Option<[usize; 2]>> = sides.collect();
    let (mut n, mut n_rows) = (0, 0);
    for (points, sides) in xy.chunks_exact_mut((*n_points).max(1)).zip(sides) {
        let Some(sides) = sides else { continue };
        let [width, height] = sides.map(|side| side as f32);
        let before = n;
        for point in points.iter_mut() {
            let [x, y] = *point;
            let is_inside = (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
            if !is_inside && !x.is_nan() && !y.is_nan() {
                *point = [f32::NAN; 2];
                n += 1;
            }
        }
        n_rows += usize::from(n > before);
    }
    if n > 0 && xy.iter().all(|[x, y]| x.is_nan() || y.is_nan()) {
        let found = format!("{n}, every one of them outside");
        return Err(setting(
            "target.columns",
            "points in pixels of their image",
            found,
        ));
    }
    Ok((n > 0).then(|| {
        format!(
            "{} in {} outside the image: they count for nothing",
            counted(n, "point"),
            counted(n_rows, "row"),
        )
    }))
}
