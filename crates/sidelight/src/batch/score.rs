//! Predictions against the targets.

use rayon::prelude::*;

use crate::config::Normalizer;
use crate::dataset::{Dataset, RowWeights, Targets};
use crate::image::facts;
use crate::metric::{self, Grouped, Metrics, NoGroups};
use crate::task::{Prediction, Task};

/// Scores the rows that have a prediction. `predictions` and `sizes` are one for each of `rows`; `weights` are of all rows
/// of the data set.
pub(crate) fn score(
    task: &Task,
    targets: &Targets,
    weights: Option<&RowWeights>,
    rows: &[usize],
    predictions: &[Option<Prediction>],
    sizes: Option<&[[f32; 2]]>,
) -> Metrics {
    let has = |i: &usize| predictions[*i].is_some();
    let kept: Vec<usize> = (0..rows.len()).filter(has).collect();
    let sizes: Option<Vec<[f32; 2]>> = sizes.map(|sizes| kept.iter().map(|&i| sizes[i]).collect());
    let predictions: Vec<Prediction> = kept
        .iter()
        .filter_map(|&i| predictions[i].clone())
        .collect();
    let rows: Vec<usize> = kept.into_iter().map(|i| rows[i]).collect();
    let weights = weights.and_then(|weights| weights.of(&rows));
    metric::score(&metric::Evaluation {
        task,
        targets,
        rows: &rows,
        predictions: &predictions,
        sizes: sizes.as_deref(),
        weights: weights.as_deref(),
    })
}

/// Scores the groups of the rows that have a prediction ([`Grouped`]); `predictions` are one for each of `rows`. `None`
/// without groups or targets.
pub(crate) fn score_groups(
    task: &Task,
    dataset: &Dataset,
    rows: &[usize],
    predictions: &[Option<Prediction>],
) -> Option<std::result::Result<Metrics, NoGroups>> {
    let (groups, targets) = (dataset.groups.as_ref()?, dataset.targets.as_ref()?);
    let found = rows.iter().zip(predictions);
    let found = found.filter_map(|(&row, prediction)| Some((row, prediction.clone()?)));
    let (rows, predictions): (Vec<usize>, Vec<Prediction>) = found.unzip();
    let groups: Vec<u32> = rows.iter().map(|&row| groups[row]).collect();
    let weights = dataset.weights_of(&rows);
    let of_rows = metric::Evaluation {
        task,
        targets,
        rows: &rows,
        predictions: &predictions,
        sizes: None,
        weights: weights.as_deref(),
    };
    let grouped = Grouped::new(&of_rows, &groups);
    Some(grouped.map(|grouped| metric::score(&grouped.evaluation(&of_rows))))
}

/// Width and height of each row's image as stored, where errors are divided by its diagonal; read from the
/// files' headers alone. NaN where an image cannot be read.
pub(crate) fn image_sizes(task: &Task, dataset: &Dataset, rows: &[usize]) -> Option<Vec<[f32; 2]>> {
    let Task::Keypoints {
        normalizer: Normalizer::Diagonal,
        ..
    } = task
    else {
        return None;
    };
    Some(sizes_of(dataset, rows))
}

/// Width and height of every row's image as stored; NaN where it cannot be read.
pub(crate) fn all_image_sizes(dataset: &Dataset) -> Vec<[f32; 2]> {
    let rows: Vec<usize> = (0..dataset.len()).collect();
    sizes_of(dataset, &rows)
}

/// What a constant guess from the training rows ([`Task::constant`]) scores over these rows; `None` where there is none.
pub(crate) fn score_of_constant(task: &Task, dataset: &Dataset, rows: &[usize]) -> Option<Metrics> {
    let targets = dataset.targets.as_ref()?;
    let (guesses, sizes) = constant_guesses(task, dataset, rows);
    let is_any = guesses.iter().any(Option::is_some);
    let weights = dataset.weights.as_ref();
    is_any.then(|| score(task, targets, weights, rows, &guesses, sizes.as_deref()))
}

/// A constant guess of each of these rows ([`Task::constant`]); of points beside it the width and height of each image.
pub(crate) fn constant_guesses(
    task: &Task,
    dataset: &Dataset,
    rows: &[usize],
) -> (Vec<Option<Prediction>>, Option<Vec<[f32; 2]>>) {
    // No other task's guess depends on an image.
    let sizes = matches!(task, Task::Keypoints { .. }).then(|| sizes_of(dataset, rows));
    let guesses = match &sizes {
        Some(sizes) => sizes.iter().map(|&size| task.constant(size)).collect(),
        None => vec![task.constant([f32::NAN; 2]); rows.len()],
    };
    (guesses, sizes)
}

fn sizes_of(dataset: &Dataset, rows: &[usize]) -> Vec<[f32; 2]> {
    let size = |&row: &usize| match facts(&dataset.images[row]) {
        Ok(facts) => [facts.width as f32, facts.height as f32],
        Err(_) => [f32::NAN; 2],
    };
    rows.par_iter().map(size).collect()
}
