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
    let normalizer = config.normalizer.unwrap_or(Normalizer::Diagonal);
    let check = |field: &str, pair: [usize; 2]| {
        let wrong = |found: String, expected: String| {
            Err(Error::Setting {
                field: field.into(),
                expected,
                found,
            })
        };
        match pair.iter().find(|point| **point >= n_points) {
            Some(point) => wrong(
                point.to_string(),
                format!("point numbers from 0 to {}", n_points - 1),
            ),
            None if pair[0] == pair[1] => wrong(format!("{pair:?}"), "two different points".into()),
            None => Ok(()),
        }
    };
    for pair in &config.symmetric {
        check("target.symmetric", *pair)?;
    }
    if let Normalizer::Between(pair) = normalizer {
        check("target.normalizer", pair)?;
    }
    Ok(Task::Keypoints {
        columns: config.names(),
        symmetric: config.symmetric.clone(),
        normalizer,
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
