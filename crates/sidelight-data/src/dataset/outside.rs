//! Points that are not on their image.

use rayon::prelude::*;

use super::{Dataset, Targets};
use crate::error::{Result, setting};
use crate::image::{ImageSource, facts};
use crate::number::counted;

/// Whether a point that is known lies outside an image of these sides, in pixels; on its edge it is inside.
pub fn is_outside([x, y]: [f32; 2], [width, height]: [f32; 2]) -> bool {
    let is_inside = (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
    !x.is_nan() && !is_inside
}

/// Makes points that lie outside their image missing: they count for nothing, in the loss as in every score. How many there
/// were is among the remarks. An image that cannot be read leaves its points as they are.
///
/// # Errors
///
/// [`Error::Setting`](crate::Error::Setting) where no point is left.
pub(super) fn leave_out(dataset: &mut Dataset) -> Result<()> {
    let Some(targets @ Targets::Keypoints { n_points, xy, .. }) = &dataset.targets else {
        return Ok(());
    };
    let images = &dataset.images;
    let _ahead = ImageSource::read_ahead(images.iter());
    let sides = images
        .par_iter()
        .map(|image| facts(image).ok().map(|facts| [facts.width, facts.height]));
    let sides: Vec<Option<[usize; 2]>> = sides.collect();
    let (mut n_rows, mut all) = (0, Vec::new());
    for (row, sides) in sides.into_iter().enumerate() {
        let Some(sides) = sides else { continue };
        let sides = sides.map(|side| side as f32);
        let points = row * n_points..(row + 1) * n_points;
        let outside: Vec<usize> = points
            .filter(|point| is_outside(xy[*point], sides))
            .collect();
        n_rows += usize::from(!outside.is_empty());
        all.extend(outside);
    }
    if all.is_empty() {
        return Ok(());
    }
    let n = all.len();
    // Of a row whose points are all outside it is known that none can be seen.
    let known = (0..targets.len()).flat_map(|row| targets.visible(row));
    let known: Vec<Option<bool>> = known.collect();
    if let Some(Targets::Keypoints { xy, visible, .. }) = &mut dataset.targets {
        *visible = known;
        for point in all {
            xy[point] = [f32::NAN; 2];
            visible[point] = Some(false);
        }
        if xy.iter().all(|[x, _]| x.is_nan()) {
            let found = format!("{n}, every one of them outside");
            return Err(setting(
                "target.columns",
                "points in pixels of their image",
                found,
            ));
        }
    }
    dataset.remarks.push(format!(
        "{} in {} outside the image: they count for nothing",
        counted(n, "point"),
        counted(n_rows, "row"),
    ));
    Ok(())
}
