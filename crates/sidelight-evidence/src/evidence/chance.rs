//! The no-input baseline: what can be predicted of a row before its image and metadata are read.

use super::Study;
use crate::statistics::{mean, median, weighted_median};
use sidelight_data::dataset::Targets;
use sidelight_data::split::FoldOrder;
use sidelight_data::task::{Prediction, Task, mean_places};

/// Constant predictions `[seed][row of rows]` for this metric: the classes' shares, the median (mean for squared
/// errors) of the value, the mean place of each point, over the rows that the row's fold was learned from.
/// Rows count what they weigh, but for the mean places of points.
/// For AUROC over all rows: a constant that differs from fold to fold would rank below chance.
pub(super) fn predictions(
    study: &Study,
    rows: &[usize],
    metric: &str,
) -> Option<Vec<Vec<Prediction>>> {
    let of_seed = |folds: &Vec<u32>| -> Option<Vec<Prediction>> {
        let mut by_fold: Vec<(u32, Prediction)> = Vec::new();
        for &row in rows {
            let fold = folds[row];
            if !by_fold.iter().any(|(known, _)| *known == fold) {
                let others = || rows.iter().copied().filter(|&other| folds[other] != fold);
                let learned: Vec<usize> = match (metric, study.order) {
                    ("auroc", _) => rows.to_vec(),
                    (_, FoldOrder::Any) => others().collect(),
                    (_, FoldOrder::Forward) => study.order.learned(folds, fold, Some(study.units)),
                };
                by_fold.push((fold, constant(study, &learned, metric)?));
            }
        }
        let of_row = |&row: &usize| {
            let constant = by_fold
                .iter()
                .find(|(fold, _)| *fold == folds[row])
                .map(|(_, constant)| constant)?;
            Some(place(study, row, constant))
        };
        rows.iter().map(of_row).collect()
    };
    study.folds.iter().map(of_seed).collect()
}

fn constant(study: &Study, rows: &[usize], metric: &str) -> Option<Prediction> {
    let width = study.task.d_target();
    let weights = study.weights.and_then(|weights| weights.of(rows));
    let weight = |at: usize| weights.as_ref().map_or(1.0, |weights| weights[at]);
    // Values and how much each counts.
    let known: Vec<Vec<(f64, f64)>> = (0..width)
        .map(|cell| {
            let of_row = |(at, &row): (usize, &usize)| {
                let (target, mask) = study.task.encode(study.targets, row);
                (mask[cell] > 0.0).then(|| (f64::from(target[cell]), weight(at)))
            };
            rows.iter().enumerate().filter_map(of_row).collect()
        })
        .collect();
    let total = |cells: &[(f64, f64)]| cells.iter().map(|(_, weight)| weight).sum::<f64>();
    let numbers: Vec<f64> = match study.task {
        Task::Class { names, .. } => {
            let all = total(&known[0]);
            let share = |class: usize| {
                let of_class = known[0]
                    .iter()
                    .filter(|(target, _)| *target == class as f64);
                let of_class: f64 = of_class.map(|(_, weight)| weight).sum();
                of_class / if all > 0.0 { all } else { 1.0 }
            };
            (0..names.len()).map(share).collect()
        }
        Task::Multilabel { .. } => {
            let shares = known
                .iter()
                .map(|cells| weighted_mean(cells).unwrap_or(0.5));
            shares.collect()
        }
        Task::Regression { columns, .. } => {
            let Targets::Regression { values, .. } = study.targets else {
                return None;
            };
            let column = |column: usize| {
                let cells = rows.iter().enumerate();
                let cells =
                    cells.map(|(at, &row)| (values[row * columns.len() + column], weight(at)));
                let known: Vec<(f64, f64)> = cells.filter(|(value, _)| value.is_finite()).collect();
                match (metric, &weights) {
                    ("rmse" | "r2", _) => weighted_mean(&known),
                    (_, None) => median(&known.iter().map(|(value, _)| *value).collect::<Vec<_>>()),
                    (_, Some(_)) => weighted_median(known),
                }
            };
            (0..columns.len()).map(column).collect::<Option<_>>()?
        }
        Task::Keypoints { .. } => points(study, rows)?,
    };
    Some(Prediction::from_numbers(study.task.kind(), &numbers))
}

/// The mean of values with weights; of weights that are all 1 [`mean`]'s to the last bit.
fn weighted_mean(cells: &[(f64, f64)]) -> Option<f64> {
    if cells.iter().all(|(_, weight)| *weight == 1.0) {
        return mean(&cells.iter().map(|(value, _)| *value).collect::<Vec<_>>());
    }
    let total: f64 = cells.iter().map(|(_, weight)| weight).sum();
    // Shares first: a sum may be beyond all numbers where the mean is not.
    let mean = cells.iter().map(|(value, weight)| value * (weight / total));
    (total > 0.0).then(|| mean.sum())
}

/// The mean place of each point: as a share of the image where sizes are known, else in pixels.
fn points(study: &Study, rows: &[usize]) -> Option<Vec<f64>> {
    let Targets::Keypoints { n_points, xy, .. } = study.targets else {
        return None;
    };
    let of_row = |&row: &usize| {
        let size = study.sizes.map_or([1.0, 1.0], |sizes| sizes[row]);
        (&xy[row * n_points..(row + 1) * n_points], size)
    };
    let places = mean_places(*n_points, rows.iter().map(of_row));
    let numbers = places.into_iter().flatten().map(f64::from);
    (!rows.is_empty()).then(|| numbers.collect())
}

/// A constant as the prediction of one row: points scaled to its image.
fn place(study: &Study, row: usize, constant: &Prediction) -> Prediction {
    match (constant, study.sizes) {
        (Prediction::Keypoints { xy, .. }, Some(sizes)) => Prediction::keypoints(
            xy.iter()
                .map(|[x, y]| [x * sizes[row][0], y * sizes[row][1]])
                .collect(),
        ),
        _ => constant.clone(),
    }
}
