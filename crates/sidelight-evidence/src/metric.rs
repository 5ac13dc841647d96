//! Scores of predictions: plain functions over slices, each with its definition.
//!
//! [`points`], [`class`], [`ranking`], [`value`] and [`calibration`] hold the functions;
//! [`score`] applies those of a task, [`weighted`] the ones that a bootstrap can reweigh.
//! Rows whose target is missing count for nothing, and every score says over how many rows it is.

use serde::{Deserialize, Serialize};

use sidelight_data::config::{Normalizer, TargetKind};
use sidelight_data::dataset::Targets;
use sidelight_data::task::{Prediction, Task};

pub mod calibration;
pub mod class;
pub mod points;
pub mod ranking;
pub mod value;
pub mod weighted;

/// Scores of one set of predictions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows with a known target.
    pub n: usize,
    /// Name and value, the task's main metric first. A metric that is not defined here (an AUROC
    /// of rows of one class, say) is left out.
    #[serde(with = "pairs")]
    pub values: Vec<(String, f64)>,
    /// Per class, point, label or column: its name, and its own metrics (`n` among them).
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
    /// Scores, shares.
    Higher,
    /// Errors, losses.
    Lower,
}

impl Better {
    /// Whether `a` is the better of two values; NaN is better than nothing.
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
}

/// The metric that a task is told by: `mean_px`, `accuracy`, `auroc` (labels), `mae`.
pub fn main_metric(task: &Task) -> (&'static str, Better) {
    match task.kind() {
        TargetKind::Points => ("mean_px", Better::Lower),
        TargetKind::Class => ("accuracy", Better::Higher),
        TargetKind::Classes => ("auroc", Better::Higher),
        TargetKind::Value => ("mae", Better::Lower),
    }
}

/// The metric that the best checkpoint is chosen by: as [`main_metric`], but the smoother
/// `log_loss` where there are classes or labels.
pub fn selection_metric(task: &Task) -> (&'static str, Better) {
    match task.kind() {
        TargetKind::Class | TargetKind::Classes => ("log_loss", Better::Lower),
        TargetKind::Points | TargetKind::Value => main_metric(task),
    }
}

/// Whether more of a metric is better, by its name.
pub fn better(metric: &str) -> Better {
    const ERRORS: [&str; 10] = [
        "mean_px",
        "median_px",
        "mean_nme",
        "log_loss",
        "mae",
        "rmse",
        "median_ae",
        "mape",
        "brier",
        "ece",
    ];
    if ERRORS.contains(&metric) {
        Better::Lower
    } else {
        Better::Higher
    }
}

/// Scores predictions against targets.
///
/// `predictions[i]` is for row `rows[i]` of the targets. `sizes[i]` is the width and height in
/// pixels of its image as stored: needed for points whose errors are divided by the diagonal;
/// without it `mean_nme` and PCK are left out there.
///
/// # Panics
///
/// When `rows` and `predictions` differ in length.
pub fn score(
    task: &Task,
    targets: &Targets,
    rows: &[usize],
    predictions: &[Prediction],
    sizes: Option<&[[f32; 2]]>,
) -> Metrics {
    assert_eq!(rows.len(), predictions.len(), "one prediction a row");
    match task {
        Task::Points { normalizer, .. } => score_points(&point_errors(
            task,
            *normalizer,
            targets,
            rows,
            predictions,
            sizes,
        )),
        Task::Class { names, .. } => {
            score_class(names, &class_truth(task, targets, rows, predictions))
        }
        Task::Classes { names, .. } => {
            score_classes(names, &label_truth(task, targets, rows, predictions))
        }
        Task::Value { columns, .. } => {
            score_value(columns, &value_truth(task, targets, rows, predictions))
        }
    }
}

fn own(name: &str) -> String {
    name.to_owned()
}

/// Keeps the metrics that are defined.
fn defined<const N: usize>(values: [(&str, Option<f64>); N]) -> Vec<(String, f64)> {
    values
        .into_iter()
        .filter_map(|(name, value)| Some((own(name), value?)))
        .collect()
}

/// Errors of points, `[row][point]`.
pub(crate) struct PointErrors {
    pub(crate) n_points: usize,
    /// Distance in pixels; `None`: the point is missing.
    pub(crate) px: Vec<Option<f64>>,
    /// The same divided by the row's normaliser; `None`: missing, or the row has none.
    pub(crate) nme: Vec<Option<f64>>,
}

pub(crate) fn point_errors(
    task: &Task,
    normalizer: Normalizer,
    targets: &Targets,
    rows: &[usize],
    predictions: &[Prediction],
    sizes: Option<&[[f32; 2]]>,
) -> PointErrors {
    let n_points = task.n_outputs() / 2;
    let mut errors = PointErrors {
        n_points,
        px: Vec::new(),
        nme: Vec::new(),
    };
    for (i, (&row, prediction)) in rows.iter().zip(predictions).enumerate() {
        let (target, mask) = task.encode(targets, row);
        let truth: Vec<Option<[f64; 2]>> = (0..n_points)
            .map(|p| {
                (mask[2 * p] > 0.0)
                    .then(|| [f64::from(target[2 * p]), f64::from(target[2 * p + 1])])
            })
            .collect();
        let by = points::normalizer(
            normalizer,
            &truth,
            sizes.map(|sizes| sizes[i].map(f64::from)),
        );
        for (p, point) in truth.iter().enumerate() {
            let predicted = match prediction {
                Prediction::Points { xy } => xy[p].map(f64::from),
                _ => [f64::NAN; 2],
            };
            let px = point.map(|point| points::distance(point, predicted));
            errors.px.push(px);
            errors.nme.push(px.and_then(|px| by.map(|by| px / by)));
        }
    }
    errors
}

fn score_points(errors: &PointErrors) -> Metrics {
    let all = |values: &[Option<f64>]| values.iter().flatten().copied().collect::<Vec<f64>>();
    let summary = |px: &[f64], nme: &[f64]| {
        defined([
            ("mean_px", value::mean(px)),
            ("median_px", value::median(px)),
            ("mean_nme", value::mean(nme)),
            ("pck@0.05", points::pck(nme, 0.05)),
            ("pck@0.1", points::pck(nme, 0.1)),
        ])
    };
    let part = |p: usize| {
        let of = |values: &[Option<f64>]| -> Vec<f64> {
            values
                .iter()
                .skip(p)
                .step_by(errors.n_points)
                .flatten()
                .copied()
                .collect()
        };
        let px = of(&errors.px);
        let mut metrics = vec![(own("n"), px.len() as f64)];
        metrics.extend(summary(&px, &of(&errors.nme)));
        (format!("point {p}"), metrics)
    };
    Metrics {
        n: errors
            .px
            .chunks(errors.n_points.max(1))
            .filter(|row| row.iter().any(Option::is_some))
            .count(),
        values: summary(&all(&errors.px), &all(&errors.nme)),
        per_part: (0..errors.n_points).map(part).collect(),
        confusion: vec![],
    }
}

/// Rows of known class: the class, and `[row][class]` probabilities.
pub(crate) struct ClassTruth {
    /// Which of the given rows these are.
    pub(crate) kept: Vec<usize>,
    pub(crate) truth: Vec<usize>,
    pub(crate) probabilities: Vec<f64>,
}

pub(crate) fn class_truth(
    task: &Task,
    targets: &Targets,
    rows: &[usize],
    predictions: &[Prediction],
) -> ClassTruth {
    let mut known = ClassTruth {
        kept: vec![],
        truth: vec![],
        probabilities: vec![],
    };
    for (i, (&row, prediction)) in rows.iter().zip(predictions).enumerate() {
        let (target, mask) = task.encode(targets, row);
        if let (Prediction::Class { probabilities }, true) = (prediction, mask[0] > 0.0) {
            known.kept.push(i);
            known.truth.push(target[0] as usize);
            known
                .probabilities
                .extend(probabilities.iter().map(|&p| f64::from(p)));
        }
    }
    known
}

fn score_class(names: &[String], known: &ClassTruth) -> Metrics {
    let (n_classes, truth, probabilities) =
        (names.len(), &known.truth[..], &known.probabilities[..]);
    let predicted = class::most_probable(probabilities, n_classes);
    let confusion = class::confusion(truth, &predicted, n_classes);
    let scores = class::per_class(&confusion);
    let auroc = ranking::auroc_per_class(truth, probabilities, n_classes);
    let precision = ranking::average_precision_per_class(truth, probabilities, n_classes);
    let (confidence, correct) = calibration::top_label(truth, probabilities, n_classes);
    // Of two classes, one curve says it all: that of the second.
    let over = |per_class: &[Option<f64>]| match n_classes {
        2 => per_class[1],
        _ => value::mean(&per_class.iter().flatten().copied().collect::<Vec<_>>()),
    };
    let values = defined([
        ("accuracy", class::accuracy(truth, &predicted)),
        ("balanced_accuracy", class::balanced_accuracy(&confusion)),
        ("auroc", over(&auroc)),
        ("log_loss", class::log_loss(truth, probabilities, n_classes)),
        ("macro_f1", class::macro_f1(&confusion)),
        ("average_precision", over(&precision)),
        ("brier", calibration::brier(truth, probabilities, n_classes)),
        (
            "ece",
            calibration::ece(&confidence, &correct, calibration::BINS),
        ),
    ]);
    let part = |(class, name): (usize, &String)| {
        let score = &scores[class];
        let mut metrics = vec![(own("n"), score.n as f64)];
        metrics.extend(defined([
            ("recall", score.recall),
            ("precision", score.precision),
            ("f1", score.f1),
            ("auroc", auroc[class]),
            ("average_precision", precision[class]),
        ]));
        (name.clone(), metrics)
    };
    Metrics {
        n: truth.len(),
        values,
        per_part: names.iter().enumerate().map(part).collect(),
        confusion,
    }
}

/// Cells `[row][label]`.
pub(crate) struct LabelTruth {
    pub(crate) n_labels: usize,
    /// `None`: not known.
    pub(crate) present: Vec<Option<bool>>,
    pub(crate) probabilities: Vec<f64>,
}

pub(crate) fn label_truth(
    task: &Task,
    targets: &Targets,
    rows: &[usize],
    predictions: &[Prediction],
) -> LabelTruth {
    let n_labels = task.n_outputs();
    let mut cells = LabelTruth {
        n_labels,
        present: vec![],
        probabilities: vec![],
    };
    for (&row, prediction) in rows.iter().zip(predictions) {
        let (target, mask) = task.encode(targets, row);
        cells.present.extend(
            target
                .iter()
                .zip(&mask)
                .map(|(t, m)| (*m > 0.0).then_some(*t > 0.5)),
        );
        match prediction {
            Prediction::Classes { probabilities } => {
                cells
                    .probabilities
                    .extend(probabilities.iter().map(|&p| f64::from(p)));
            }
            _ => cells.probabilities.extend(vec![f64::NAN; n_labels]),
        }
    }
    cells
}

impl LabelTruth {
    /// Known cells of one label: whether it is present, and its probability.
    pub(crate) fn label(&self, label: usize) -> (Vec<bool>, Vec<f64>) {
        let cells = self
            .present
            .iter()
            .zip(&self.probabilities)
            .skip(label)
            .step_by(self.n_labels);
        cells
            .filter_map(|(present, p)| Some(((*present)?, *p)))
            .unzip()
    }

    fn all(&self) -> (Vec<bool>, Vec<f64>) {
        let cells = self.present.iter().zip(&self.probabilities);
        cells
            .filter_map(|(present, p)| Some(((*present)?, *p)))
            .unzip()
    }
}

fn score_classes(names: &[String], cells: &LabelTruth) -> Metrics {
    let labels: Vec<(Vec<bool>, Vec<f64>)> =
        (0..names.len()).map(|label| cells.label(label)).collect();
    let auroc: Vec<Option<f64>> = labels
        .iter()
        .map(|(truth, p)| ranking::auroc(truth, p))
        .collect();
    let precision: Vec<Option<f64>> = labels
        .iter()
        .map(|(truth, p)| ranking::average_precision(truth, p))
        .collect();
    let f1: Vec<class::ClassScore> = labels
        .iter()
        .map(|(truth, p)| class::binary_score(truth, p, 0.5))
        .collect();
    let over = |per_label: &[Option<f64>]| {
        value::mean(&per_label.iter().flatten().copied().collect::<Vec<_>>())
    };
    let (truth, probabilities) = cells.all();
    let values = defined([
        ("auroc", over(&auroc)),
        ("micro_auroc", ranking::auroc(&truth, &probabilities)),
        ("map", over(&precision)),
        (
            "macro_f1",
            over(&f1.iter().map(|score| score.f1).collect::<Vec<_>>()),
        ),
        (
            "micro_f1",
            class::binary_score(&truth, &probabilities, 0.5).f1,
        ),
        (
            "hamming_accuracy",
            class::hamming_accuracy(&truth, &probabilities, 0.5),
        ),
        ("log_loss", class::binary_log_loss(&truth, &probabilities)),
        ("brier", calibration::binary_brier(&truth, &probabilities)),
        (
            "ece",
            calibration::ece(&probabilities, &truth, calibration::BINS),
        ),
    ]);
    let part = |(label, name): (usize, &String)| {
        let mut metrics = vec![
            (own("n"), labels[label].0.len() as f64),
            (own("n_positive"), f1[label].n as f64),
        ];
        metrics.extend(defined([
            ("auroc", auroc[label]),
            ("average_precision", precision[label]),
            ("recall", f1[label].recall),
            ("precision", f1[label].precision),
            ("f1", f1[label].f1),
        ]));
        (name.clone(), metrics)
    };
    let n = cells
        .present
        .chunks(names.len().max(1))
        .filter(|row| row.iter().any(Option::is_some))
        .count();
    Metrics {
        n,
        values,
        per_part: names.iter().enumerate().map(part).collect(),
        confusion: vec![],
    }
}

/// Numbers `[row][column]` in their own unit.
pub(crate) struct ValueTruth {
    pub(crate) n_columns: usize,
    /// NaN: missing.
    pub(crate) truth: Vec<f64>,
    pub(crate) predicted: Vec<f64>,
}

pub(crate) fn value_truth(
    task: &Task,
    targets: &Targets,
    rows: &[usize],
    predictions: &[Prediction],
) -> ValueTruth {
    let n_columns = task.n_outputs();
    let mut numbers = ValueTruth {
        n_columns,
        truth: vec![],
        predicted: vec![],
    };
    for (&row, prediction) in rows.iter().zip(predictions) {
        match targets {
            Targets::Value { values, .. } => {
                numbers
                    .truth
                    .extend_from_slice(&values[row * n_columns..(row + 1) * n_columns]);
            }
            _ => numbers.truth.extend(vec![f64::NAN; n_columns]),
        }
        match prediction {
            Prediction::Value { values } => numbers.predicted.extend_from_slice(values),
            _ => numbers.predicted.extend(vec![f64::NAN; n_columns]),
        }
    }
    numbers
}

impl ValueTruth {
    /// Known rows of one column: truth and prediction.
    pub(crate) fn column(&self, column: usize) -> (Vec<f64>, Vec<f64>) {
        let cells = self
            .truth
            .iter()
            .zip(&self.predicted)
            .skip(column)
            .step_by(self.n_columns);
        cells.filter(|(truth, _)| truth.is_finite()).unzip()
    }
}

/// A metric that may not be defined.
type Named = (&'static str, Option<f64>);

fn score_value(columns: &[String], numbers: &ValueTruth) -> Metrics {
    let summary = |truth: &[f64], predicted: &[f64]| -> [Named; 5] {
        [
            ("mae", value::mae(truth, predicted)),
            ("rmse", value::rmse(truth, predicted)),
            ("r2", value::r2(truth, predicted)),
            ("median_ae", value::median_ae(truth, predicted)),
            ("mape", value::mape(truth, predicted)),
        ]
    };
    let summaries: Vec<_> = (0..columns.len())
        .map(|column| {
            let (truth, predicted) = numbers.column(column);
            (truth.len(), summary(&truth, &predicted))
        })
        .collect();
    // Over several columns: the plain mean of theirs, as scikit-learn's `uniform_average`.
    let mean = |i: usize| {
        let per_column: Vec<f64> = summaries
            .iter()
            .filter_map(|(_, summary)| summary[i].1)
            .collect();
        (
            summaries.first().map_or("", |(_, summary)| summary[i].0),
            value::mean(&per_column),
        )
    };
    let part = |(name, (n, summary)): (&String, &(usize, [Named; 5]))| {
        let mut metrics = vec![(own("n"), *n as f64)];
        metrics.extend(defined(*summary));
        (name.clone(), metrics)
    };
    Metrics {
        n: numbers
            .truth
            .chunks(columns.len().max(1))
            .filter(|row| row.iter().any(|x| x.is_finite()))
            .count(),
        values: defined([mean(0), mean(1), mean(2), mean(3), mean(4)]),
        per_part: columns.iter().zip(&summaries).map(part).collect(),
        confusion: vec![],
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

    type Parts = Vec<(String, Vec<(String, f64)>)>;

    #[derive(Serialize)]
    struct Pairs<'a>(#[serde(with = "super::pairs")] &'a Vec<(String, f64)>);

    pub(super) fn serialize<S: Serializer>(parts: &Parts, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(parts.len()))?;
        for (name, metrics) in parts {
            map.serialize_entry(name, &Pairs(metrics))?;
        }
        map.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Parts, D::Error> {
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
mod tests;
