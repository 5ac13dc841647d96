//! Scores of predictions. A metric is one row of [`METRICS`]: its name, its direction, what it means, its formula.
//!
//! A formula says what each row of the data contributes, so one formula gives both the plain score and the score
//! of rows that count more or less than once ([`WeightedMetric`]), which a bootstrap asks for thousands of times.
//! Rows whose target is missing count for nothing, and every score says over how many rows it is.

use serde::{Deserialize, Serialize};

use crate::statistics::mean;
use sidelight_data::config::TargetKind;
use sidelight_data::task::Task;

pub mod calibration;
mod cells;
mod groups;
pub mod keypoints;
pub mod ranking;
mod table;
mod weighted;

pub(crate) use cells::Cells;
pub use cells::Evaluation;
pub use groups::{Grouped, NoGroups, are_several};
pub use table::{METRICS, Metric};
pub use weighted::WeightedMetric;

/// Scores of one set of predictions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows with a known target.
    pub n: usize,
    /// Name and value, the task's main metric first. A metric that is not defined here (an AUROC
    /// of rows of one class, say) is left out.
    #[serde(with = "pairs")]
    pub values: Vec<(String, f64)>,
    /// Per class, keypoint, label or column: its name, and its own metrics (`n` among them).
    #[serde(with = "nested")]
    pub per_part: Vec<(String, Vec<(String, f64)>)>,
    /// `[true class][predicted class]`, rows; for one of several classes only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<usize>>,
}

impl Metrics {
    /// The value of a metric, if it is defined here.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| *value)
    }
}

/// Whether more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Higher is better: accuracies, AUROC, R².
    Higher,
    /// Lower is better: errors and losses.
    Lower,
}

impl Better {
    /// Whether `a` is the better of two values; any value is better than NaN.
    pub fn prefers(self, a: f64, b: f64) -> bool {
        match self {
            Self::Higher => a > b || (b.is_nan() && !a.is_nan()),
            Self::Lower => a < b || (b.is_nan() && !a.is_nan()),
        }
    }

    /// +1 or −1: what a difference is multiplied by to be a gain.
    pub fn sign(self) -> f64 {
        match self {
            Self::Higher => 1.0,
            Self::Lower => -1.0,
        }
    }

    /// "lower is better" or "higher is better".
    pub fn words(self) -> &'static str {
        match self {
            Self::Higher => "higher is better",
            Self::Lower => "lower is better",
        }
    }
}

/// The metrics that a kind of task is scored by.
pub(crate) struct Scoring {
    /// In the order in which they are told, the headline metric first.
    pub(crate) metrics: &'static [&'static str],
    /// What the best checkpoint is chosen by.
    selection: &'static str,
    /// The metrics of each part.
    part_metrics: &'static [&'static str],
    /// The one by which parts are compared.
    pub(crate) part_metric: &'static str,
}

/// The metrics of a kind of task, which has so many outputs.
pub(crate) fn scoring(kind: TargetKind, n_outputs: usize) -> &'static Scoring {
    // Millimetres and similarity where it is known how large things are.
    const KEYPOINTS: &[&str] = &[
        "mean_px",
        "median_px",
        "mean_nme",
        "pck@0.05",
        "pck@0.1",
        "mean_mm",
        "sdr@2",
        "sdr@2.5",
        "sdr@3",
        "sdr@4",
        "oks",
        "ar",
        "ap",
    ];
    // Objects stand in the order of how sure they are: there is none of the points of one.
    const ONE_POINT: &[&str] = KEYPOINTS.split_at(KEYPOINTS.len() - 1).0;
    const NUMBERS: &[&str] = &["mae", "rmse", "r2", "median_ae", "mape"];
    const ONE_CLASS: &[&str] = &["recall", "precision", "f1", "auroc", "average_precision"];
    const ONE_LABEL: &[&str] = &["auroc", "average_precision", "recall", "precision", "f1"];
    match kind {
        TargetKind::Keypoints => &Scoring {
            metrics: KEYPOINTS,
            selection: "mean_px",
            part_metrics: ONE_POINT,
            part_metric: "mean_px",
        },
        TargetKind::Class => &Scoring {
            metrics: &[
                "accuracy",
                "balanced_accuracy",
                "auroc",
                "log_loss",
                "macro_f1",
                "average_precision",
                "brier",
                "ece",
            ],
            selection: "log_loss",
            part_metrics: ONE_CLASS,
            part_metric: "recall",
        },
        TargetKind::Multilabel => &Scoring {
            metrics: &[
                "auroc",
                "micro_auroc",
                "map",
                "macro_f1",
                "micro_f1",
                "hamming_accuracy",
                "log_loss",
                "brier",
                "ece",
            ],
            selection: "log_loss",
            part_metrics: ONE_LABEL,
            part_metric: "auroc",
        },
        // Errors of several targets have several units: their mean has none, so it is of standardised errors.
        TargetKind::Regression if n_outputs > 1 => &Scoring {
            metrics: &["scaled_mae", "r2", "mape"],
            selection: "scaled_mae",
            part_metrics: NUMBERS,
            part_metric: "mae",
        },
        TargetKind::Regression => &Scoring {
            metrics: NUMBERS,
            selection: "mae",
            part_metrics: NUMBERS,
            part_metric: "mae",
        },
    }
}

/// The headline metric of a task: `mean_px`, `accuracy`, `auroc` (labels), `mae` (of several targets `scaled_mae`).
pub fn main_metric(task: &Task) -> (&'static str, Better) {
    let name = scoring(task.kind(), task.n_outputs()).metrics[0];
    (name, better(name))
}

/// The metric that the best checkpoint is chosen by: the headline metric, but the smoother `log_loss`
/// where there are classes or labels.
pub fn selection_metric(task: &Task) -> (&'static str, Better) {
    let name = scoring(task.kind(), task.n_outputs()).selection;
    (name, better(name))
}

/// Whether more of a metric is better, by its name; of one that is not in [`METRICS`], more is.
pub fn better(metric: &str) -> Better {
    Metric::named(metric).map_or(Better::Higher, |metric| metric.better)
}

/// A metric's name in a sentence: `log loss`, `Huber loss`.
pub(crate) fn words(metric: &str) -> String {
    match metric {
        "huber" => "Huber loss".into(),
        name => name.replace('_', " "),
    }
}

/// What a metric means, by its name; empty for one that is not in [`METRICS`].
pub fn meaning(metric: &str) -> String {
    Metric::named(metric).map_or_else(String::new, |metric| metric.meaning())
}

/// Scores predictions against targets.
///
/// Counts of rows (`n`, the confusion matrix) are of rows, whatever these weigh.
///
/// # Panics
///
/// When `rows` and `predictions` differ in length.
pub fn score(evaluation: &Evaluation) -> Metrics {
    let cells = evaluation.cells();
    let scoring = scoring(evaluation.task.kind(), evaluation.task.n_outputs());
    let names = evaluation.task.part_names();
    // [metric of a part][part]
    let per_part: Vec<Vec<Option<f64>>> = scoring
        .part_metrics
        .iter()
        .filter_map(|name| Metric::named(name))
        .map(|metric| {
            let of_part = |part| {
                metric
                    .term(&cells, part..part + 1)?
                    .value(evaluation.weights)
            };
            (0..names.len()).map(of_part).collect()
        })
        .collect();
    let value = |name: &&'static str| -> Option<(String, f64)> {
        let metric = Metric::named(name)?;
        let value = match metric.averaged() {
            Some(part_metric) => {
                let mut own = scoring.part_metrics.iter();
                let parts = metric.columns(&cells);
                let known: Vec<f64> = match own.position(|name| *name == part_metric) {
                    Some(nth) => per_part[nth][parts].iter().flatten().copied().collect(),
                    None => {
                        let term = |part| {
                            metric
                                .term(&cells, part..part + 1)?
                                .value(evaluation.weights)
                        };
                        parts.filter_map(term).collect()
                    }
                };
                mean(&known)
            }
            None => metric
                .term(&cells, 0..names.len())?
                .value(evaluation.weights),
        };
        Some(((*name).to_owned(), value?))
    };
    let part = |(part, name): (usize, String)| {
        let mut metrics = cells.counts(part);
        let defined = scoring.part_metrics.iter().zip(&per_part);
        metrics
            .extend(defined.filter_map(|(name, values)| Some(((*name).to_owned(), values[part]?))));
        (name, metrics)
    };
    Metrics {
        n: cells.n_known(),
        values: scoring.metrics.iter().filter_map(value).collect(),
        per_part: names.iter().cloned().enumerate().map(part).collect(),
        confusion: cells.confusion(),
    }
}

/// An ordered map in JSON, `null` for a number that is not finite.
mod pairs {
    use serde::ser::SerializeMap;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        pairs: &[(String, f64)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(pairs.len()))?;
        for (name, value) in pairs {
            map.serialize_entry(name, &value.is_finite().then_some(*value))?;
        }
        map.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(String, f64)>, D::Error> {
        let map = serde_json::Map::deserialize(from)?;
        Ok(map
            .into_iter()
            .map(|(name, value)| (name, value.as_f64().unwrap_or(f64::NAN)))
            .collect())
    }
}

/// An ordered map of ordered maps in JSON.
mod nested {
    use serde::ser::SerializeMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type PerGroup = Vec<(String, Vec<(String, f64)>)>;

    #[derive(Serialize)]
    struct Pairs<'a>(#[serde(with = "super::pairs")] &'a Vec<(String, f64)>);

    pub(super) fn serialize<S: Serializer>(parts: &PerGroup, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(parts.len()))?;
        for (name, metrics) in parts {
            map.serialize_entry(name, &Pairs(metrics))?;
        }
        map.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PerGroup, D::Error> {
        let map = serde_json::Map::deserialize(from)?;
        let parts = map.into_iter().map(|(name, metrics)| {
            super::pairs::deserialize(metrics)
                .map(|metrics| (name, metrics))
                .map_err(serde::de::Error::custom)
        });
        parts.collect()
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
