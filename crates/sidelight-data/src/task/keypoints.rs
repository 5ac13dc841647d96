//! Keypoints: n points in pixels of the image as stored.

use rayon::prelude::*;

use super::Task;
use crate::config::{Normalizer, TargetConfig};
use crate::error::{Error, Result};
use crate::image::{ImageSource, facts};

/// The mean place of a point is that of so many rows at most: each needs the size of its image, read from the file.
const MOST_ROWS_FOR_MEAN: usize = 1000;

/// Fits on the rows at these positions.
pub(super) fn fit(
    config: &TargetConfig,
    images: &[ImageSource],
    n_points: usize,
    xy: &[[f32; 2]],
    rows: &[usize],
) -> Result<Task> {
    let is_known = |&row: &usize| {
        let points = &xy[row * n_points..(row + 1) * n_points];
        points.iter().any(|[x, y]| x.is_finite() && y.is_finite())
    };
    if !rows.iter().any(is_known) {
        return Err(Error::NoTargetValues {
            column: config.names().join(", "),
            n_rows: rows.len(),
        });
    }
    config.validate()?;
    let every = rows.len().div_ceil(MOST_ROWS_FOR_MEAN).max(1);
    let sampled: Vec<usize> = rows.iter().copied().step_by(every).collect();
    let measured = sampled.par_iter().map(|&row| {
        let size = facts(&images[row]).map(|facts| [facts.width as f32, facts.height as f32]);
        let points = &xy[row * n_points..(row + 1) * n_points];
        size.ok().map(|size| (points, size))
    });
    let measured: Vec<_> = measured.collect();
    Ok(Task::Keypoints {
        columns: config.names(),
        symmetric: config.symmetric.clone(),
        names: config.names.clone(),
        skeleton: config.skeleton.clone(),
        sigmas: config
            .sigmas
            .iter()
            .flat_map(|sigmas| sigmas.of_points(n_points))
            .collect(),
        normalizer: config.normalizer.unwrap_or(Normalizer::Diagonal),
        mean: mean_places(n_points, measured.into_iter().flatten()),
    })
}

/// The mean place of each of `n_points` points over rows, each with the width and height that its places are shares of. A
/// point that no row has is taken for the middle; where there is no row there is no place.
pub fn mean_places<'a>(
    n_points: usize,
    rows: impl Iterator<Item = (&'a [[f32; 2]], [f32; 2])>,
) -> Vec<[f32; 2]> {
    let mut sums = vec![[0.0_f64; 3]; n_points];
    let mut is_any = false;
    for (points, size) in rows {
        is_any = true;
        for (sum, point) in sums.iter_mut().zip(points) {
            let [x, y] = [0, 1].map(|axis| f64::from(point[axis]) / f64::from(size[axis]));
            if x.is_finite() && y.is_finite() {
                *sum = [sum[0] + x, sum[1] + y, sum[2] + 1.0];
            }
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a mean of quotients of `f32`; how it is rounded does not matter"
    )]
    let mean = |[x, y, n]: [f64; 3]| match n > 0.0 {
        true => [x / n, y / n].map(|place| place as f32),
        false => [0.5; 2],
    };
    match is_any {
        true => sums.into_iter().map(mean).collect(),
        false => Vec::new(),
    }
}

/// x and y of each point in turn; a point with one coordinate is no point.
pub(super) fn encode(points: &[[f32; 2]]) -> Vec<Option<f32>> {
    let cells = points.iter().flat_map(|&[x, y]| {
        let is_known = x.is_finite() && y.is_finite();
        [x, y].map(|at| is_known.then_some(at))
    });
    cells.collect()
}
