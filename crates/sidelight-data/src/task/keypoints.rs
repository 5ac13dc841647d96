//! Keypoints: n points in pixels of the image as stored.

use super::Task;
use crate::config::{Normalizer, TargetConfig};
use crate::error::{Error, Result};

/// Fits on the rows at these positions.
pub(super) fn fit(
    config: &TargetConfig,
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
    Ok(Task::Keypoints {
        columns: config.names(),
        symmetric: config.symmetric.clone(),
        normalizer: config.normalizer.unwrap_or(Normalizer::Diagonal),
    })
}

/// x and y of each point in turn; a point with one coordinate is no point.
pub(super) fn encode(points: &[[f32; 2]]) -> Vec<Option<f32>> {
    let cells = points.iter().flat_map(|&[x, y]| {
        let is_known = x.is_finite() && y.is_finite();
        [x, y].map(|at| is_known.then_some(at))
    });
    cells.collect()
}
