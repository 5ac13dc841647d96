//! What each column is worth on held-out rows: the metric with its cells shuffled among the rows, minus the metric
//! as it is.
//!
//! A column moves as a whole, flag and slots and code together, so that only its bond with the row is cut. What two
//! columns both say is worth nothing in either: shuffling one leaves the other. A shuffled row may be one that
//! there is nowhere (a child of 80 kg), which a model may answer wildly.
//!
//! # Source
//!
//! Breiman 2001, "Random forests", section 10, made independent of the model by Fisher, Rudin & Dominici 2019, "All
//! models are wrong, but many are useful", arXiv:1801.01489, section 3. The spread is that over shuffles.

use super::{Picture, Prepared};
use crate::batch::{image_sizes, score};
use crate::error::{Error, Result, setting};
use crate::metric::{Better, main_metric, selection_metric};
use crate::random::{Purpose, for_row, shuffle};
use crate::task::Prediction;

/// What a column is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// Name of the metadata column.
    pub column: String,
    /// How each metric changes for the worse: the smoother one first (`log_loss` of classes and labels, `mae`,
    /// `mean_px`), then the one that a task is told by (`accuracy`, `auroc`), where it is another.
    pub changes: Vec<Change>,
}

/// How a metric changes when a column is shuffled.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Name of the metric.
    pub metric: &'static str,
    /// With the column as it is.
    pub intact: f64,
    /// Mean loss over shuffles: positive where the model is worse without the column, whichever way the metric goes.
    pub mean: f64,
    /// Standard deviation over shuffles.
    pub sd: f64,
}

/// Shuffles of a column, at most.
const MOST_REPEATS: usize = 100_000;

/// The importance of every column that the model reads, the largest first; none for a model that reads none.
///
/// `repeats` shuffles a column; the result depends on `seed` and on nothing else.
///
/// # Errors
///
/// [`Error::NoTargets`]: rows without targets cannot be scored; [`DataError::Setting`](crate::error::DataError::Setting): no repeats.
pub fn importance(rows: &Prepared<'_>, repeats: usize, seed: u64) -> Result<Vec<Importance>> {
    if !(1..=MOST_REPEATS).contains(&repeats) {
        return Err(setting("repeats", format!("1 to {MOST_REPEATS}"), repeats).into());
    }
    let (model, dataset) = (rows.model, rows.dataset);
    let Some(targets) = &dataset.targets else {
        return Err(Error::NoTargets {
            path: dataset.path.clone(),
            columns: model.config.target.names(),
        });
    };
    let metrics = metrics_of(rows);
    let all: Vec<usize> = (0..dataset.len()).collect();
    let sizes = image_sizes(&model.task, dataset, &all);
    let scored = |predictions: &[Option<Prediction>]| -> Vec<Option<f64>> {
        let weights = dataset.weights.as_ref();
        let found = score(
            &model.task,
            targets,
            weights,
            &all,
            predictions,
            sizes.as_deref(),
        );
        metrics
            .iter()
            .map(|(metric, _)| found.get(metric))
            .collect()
    };
    let intact = scored(&rows.predict(Picture::Own, &rows.metadata));
    let reads = model.network.reads_metadata();
    let spans = model.encoder.spans();
    let columns = model.encoder.columns.iter().zip(&spans).enumerate();
    let mut found = Vec::new();
    for (at, (column, span)) in columns.filter(|_| reads) {
        let mut worse = vec![Vec::with_capacity(repeats); metrics.len()];
        for repeat in 0..repeats {
            let mut from = all.clone();
            shuffle(
                &mut from,
                &mut for_row(seed, at as u64, repeat as u64, Purpose::Order),
            );
            let mut with = rows.metadata.clone();
            for (row, from) in from.iter().enumerate() {
                span.copy(&rows.metadata, *from, &mut with, row);
            }
            let shuffled = scored(&rows.predict(Picture::Own, &with));
            for (nth, worse) in worse.iter_mut().enumerate() {
                if let (Some(shuffled), Some(intact)) = (shuffled[nth], intact[nth]) {
                    worse.push(metrics[nth].1.sign() * (intact - shuffled));
                }
            }
        }
        let changes = worse.iter().zip(&metrics).zip(&intact);
        let changes = changes.filter_map(|((worse, (metric, _)), intact)| {
            let (mean, sd) = mean_and_sd(worse)?;
            Some(Change {
                metric,
                intact: (*intact)?,
                mean,
                sd,
            })
        });
        found.push(Importance {
            column: column.name.clone(),
            changes: changes.collect(),
        });
    }
    let size =
        |importance: &Importance| importance.changes.first().map_or(0.0, |change| change.mean);
    found.sort_by(|a, b| size(b).total_cmp(&size(a)));
    Ok(found)
}

/// The metrics of a task, the smoother one first.
fn metrics_of(rows: &Prepared<'_>) -> Vec<(&'static str, Better)> {
    let mut metrics = vec![
        selection_metric(&rows.model.task),
        main_metric(&rows.model.task),
    ];
    metrics.dedup();
    metrics
}

/// Mean and standard deviation (n − 1; 0 of one).
fn mean_and_sd(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (!values.is_empty()).then(|| (mean, (squares / (n - 1.0).max(1.0)).sqrt()))
}
