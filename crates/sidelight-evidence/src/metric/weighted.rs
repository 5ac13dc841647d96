//! A metric of rows that count more or less than once: what a bootstrap asks for thousands of times.

use sidelight_data::dataset::Targets;
use sidelight_data::task::{Prediction, Task};

use super::ranking::Ranking;
use super::{class, class_truth, label_truth, point_errors, value_truth};

/// One metric of one set of predictions, prepared so that weights can be tried quickly.
///
/// # Example
///
/// ```
/// use sidelight_data::dataset::Targets;
/// use sidelight_evidence::metric::weighted::WeightedMetric;
/// use sidelight_data::task::{Prediction, Task};
/// # use sidelight_data::config::TargetScale;
/// let task = Task::Value {
///     columns: vec!["price".into()], scale: TargetScale::Linear,
///     mean: vec![0.0], sd: vec![1.0], range: vec![[0.0, 9.0]],
/// };
/// let targets = Targets::Value { names: vec!["price".into()], values: vec![1.0, 2.0] };
/// let predictions = [1.0, 5.0].map(|value| Prediction::Value { values: vec![value] });
/// let mae = WeightedMetric::new("mae", &task, &targets, &[0, 1], &predictions, None).unwrap();
/// assert_eq!(mae.value(None), Some(1.5));
/// assert_eq!(mae.value(Some(&[0.0, 1.0])), Some(3.0));
/// ```
#[derive(Debug, Clone)]
pub struct WeightedMetric {
    /// The metric is their mean, undefined ones left out.
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    /// `f(Σ w a / Σ w b)`, one `a` and `b` a row.
    Ratio {
        a: Vec<f64>,
        b: Vec<f64>,
        root: Root,
    },
    /// The area under a ROC curve; `rows[i]` is the row of the i-th score.
    Auroc { rows: Vec<usize>, ranking: Ranking },
    /// `1 - Σ w e / Σ w (y - ȳ)²`, with b 0 where the truth is missing.
    R2 {
        squares: Vec<f64>,
        truth: Vec<f64>,
        known: Vec<f64>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Root {
    None,
    Square,
}

/// The metrics that can be reweighted: `mean_px`, `mean_nme`, `pck@…`; `accuracy`,
/// `balanced_accuracy`, `auroc`, `log_loss`, `brier`; `hamming_accuracy`; `mae`, `rmse`, `r2`.
impl WeightedMetric {
    /// Prepares a metric of these predictions (see [`super::score`] for the arguments).
    /// `None`: the task has no such metric, or it cannot be reweighted.
    pub fn new(
        metric: &str,
        task: &Task,
        targets: &Targets,
        rows: &[usize],
        predictions: &[Prediction],
        sizes: Option<&[[f32; 2]]>,
    ) -> Option<Self> {
        let parts = match task {
            Task::Points { normalizer, .. } => {
                let errors = point_errors(task, *normalizer, targets, rows, predictions, sizes);
                point_part(metric, &errors).into_iter().collect()
            }
            Task::Class { names, .. } => {
                class_parts(metric, task, targets, rows, predictions, names.len())
            }
            Task::Classes { .. } => label_parts(metric, task, targets, rows, predictions),
            Task::Value { .. } => value_parts(metric, task, targets, rows, predictions),
        };
        (!parts.is_empty()).then_some(Self { parts })
    }

    /// The metric of one part of the task: recall of a class, AUROC of a label, `mean_px` of a
    /// point, `mae` of a column. `None`: no such part.
    pub fn of_part(
        part: usize,
        task: &Task,
        targets: &Targets,
        rows: &[usize],
        predictions: &[Prediction],
    ) -> Option<Self> {
        let mut parts = match task {
            Task::Points { normalizer, .. } => {
                let errors = point_errors(task, *normalizer, targets, rows, predictions, None);
                let of_point = |p: usize| {
                    let cells: Vec<Option<f64>> = errors
                        .px
                        .iter()
                        .skip(p)
                        .step_by(errors.n_points)
                        .copied()
                        .collect();
                    mean_of(&cells, 1, Root::None)
                };
                (0..errors.n_points).map(of_point).collect()
            }
            Task::Class { names, .. } => class_parts(
                "balanced_accuracy",
                task,
                targets,
                rows,
                predictions,
                names.len(),
            ),
            Task::Classes { .. } => label_parts("auroc", task, targets, rows, predictions),
            Task::Value { .. } => value_parts("mae", task, targets, rows, predictions),
        };
        (part < parts.len()).then(|| Self {
            parts: vec![parts.swap_remove(part)],
        })
    }

    /// Rows that count for something.
    pub fn n_rows(&self) -> usize {
        let mut counts = std::collections::BTreeSet::new();
        for part in &self.parts {
            match part {
                Part::Ratio { b, .. } | Part::R2 { known: b, .. } => {
                    counts.extend((0..b.len()).filter(|&row| b[row] > 0.0));
                }
                Part::Auroc { rows, .. } => counts.extend(rows.iter().copied()),
            }
        }
        counts.len()
    }

    /// The metric, row `i` counting `weights[i]` times (once without weights). `None` where it is
    /// not defined, such as an AUROC of one class.
    pub fn value(&self, weights: Option<&[f64]>) -> Option<f64> {
        let (mut sum, mut n) = (0.0, 0.0);
        for part in &self.parts {
            if let Some(value) = part.value(weights) {
                sum += value;
                n += 1.0;
            }
        }
        (n > 0.0).then(|| sum / n)
    }

    /// Each row's own contribution where the metric is one mean over rows (of errors, hits or
    /// losses): `None` for a row without a target. `None` altogether for metrics of the whole.
    pub fn per_row(&self) -> Option<Vec<Option<f64>>> {
        match &self.parts[..] {
            [
                Part::Ratio {
                    a,
                    b,
                    root: Root::None,
                },
            ] => Some(
                a.iter()
                    .zip(b)
                    .map(|(a, b)| (*b > 0.0).then(|| a / b))
                    .collect(),
            ),
            _ => None,
        }
    }
}

impl Part {
    fn value(&self, weights: Option<&[f64]>) -> Option<f64> {
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        match self {
            Self::Ratio { a, b, root } => {
                let (mut over, mut under) = (0.0, 0.0);
                for (row, (a, b)) in a.iter().zip(b).enumerate() {
                    over += weight(row) * a;
                    under += weight(row) * b;
                }
                let ratio = over / under;
                (under > 0.0).then(|| {
                    if *root == Root::Square {
                        ratio.sqrt()
                    } else {
                        ratio
                    }
                })
            }
            Self::Auroc { rows, ranking } => match weights {
                None => ranking.auroc(None),
                Some(weights) => {
                    let own: Vec<f64> = rows.iter().map(|&row| weights[row]).collect();
                    ranking.auroc(Some(&own))
                }
            },
            Self::R2 {
                squares,
                truth,
                known,
            } => {
                let (mut n, mut sum) = (0.0, 0.0);
                for (row, (truth, known)) in truth.iter().zip(known).enumerate() {
                    n += weight(row) * known;
                    sum += weight(row) * known * truth;
                }
                let mean = sum / n;
                let (mut unexplained, mut total) = (0.0, 0.0);
                for row in 0..truth.len() {
                    unexplained += weight(row) * squares[row];
                    total += weight(row) * known[row] * (truth[row] - mean).powi(2);
                }
                (total > 0.0).then(|| 1.0 - unexplained / total)
            }
        }
    }
}

/// A ratio from cells `[row][width]`, `None` counting for nothing.
fn mean_of(cells: &[Option<f64>], width: usize, root: Root) -> Part {
    let rows = cells.chunks(width.max(1));
    let (a, b) = rows
        .map(|row| {
            (
                row.iter().flatten().sum::<f64>(),
                row.iter().flatten().count() as f64,
            )
        })
        .unzip();
    Part::Ratio { a, b, root }
}

fn point_part(metric: &str, errors: &super::PointErrors) -> Option<Part> {
    let n = errors.n_points;
    match metric {
        "mean_px" => Some(mean_of(&errors.px, n, Root::None)),
        "mean_nme" => Some(mean_of(&errors.nme, n, Root::None)),
        _ => {
            let threshold: f64 = metric.strip_prefix("pck@")?.parse().ok()?;
            let hits = errors
                .nme
                .iter()
                .map(|nme| nme.map(|nme| f64::from(u8::from(nme <= threshold))));
            Some(mean_of(&hits.collect::<Vec<_>>(), n, Root::None))
        }
    }
}

fn class_parts(
    metric: &str,
    task: &Task,
    targets: &Targets,
    rows: &[usize],
    predictions: &[Prediction],
    n_classes: usize,
) -> Vec<Part> {
    let known = class_truth(task, targets, rows, predictions);
    let predicted = class::most_probable(&known.probabilities, n_classes);
    let of_row = |value: &dyn Fn(usize) -> f64| {
        let mut cells = vec![None; rows.len()];
        known
            .kept
            .iter()
            .enumerate()
            .for_each(|(i, &row)| cells[row] = Some(value(i)));
        cells
    };
    let probabilities = |i: usize| &known.probabilities[i * n_classes..(i + 1) * n_classes];
    let hit = |i: usize| f64::from(u8::from(known.truth[i] == predicted[i]));
    let one = |value: &dyn Fn(usize) -> f64| vec![mean_of(&of_row(value), 1, Root::None)];
    match metric {
        "accuracy" => one(&hit),
        "log_loss" => one(&|i| class::surprise(probabilities(i)[known.truth[i]])),
        "brier" => one(&|i| super::calibration::brier_of_row(known.truth[i], probabilities(i))),
        "balanced_accuracy" => {
            let recall = |class: usize| {
                let mut cells = of_row(&hit);
                known
                    .kept
                    .iter()
                    .zip(&known.truth)
                    .filter(|(_, truth)| **truth != class)
                    .for_each(|(&row, _)| {
                        cells[row] = None;
                    });
                mean_of(&cells, 1, Root::None)
            };
            (0..n_classes).map(recall).collect()
        }
        "auroc" => {
            let curve = |class: usize| {
                let positive: Vec<bool> = known.truth.iter().map(|&truth| truth == class).collect();
                let scores: Vec<f64> = (0..positive.len())
                    .map(|i| probabilities(i)[class])
                    .collect();
                Part::Auroc {
                    rows: known.kept.clone(),
                    ranking: Ranking::new(&positive, &scores),
                }
            };
            let first = if n_classes == 2 { 1 } else { 0 };
            (first..n_classes).map(curve).collect()
        }
        _ => vec![],
    }
}

fn label_parts(
    metric: &str,
    task: &Task,
    targets: &Targets,
    rows: &[usize],
    predictions: &[Prediction],
) -> Vec<Part> {
    let cells = label_truth(task, targets, rows, predictions);
    let each = |value: &dyn Fn(bool, f64) -> f64| {
        let values = cells.present.iter().zip(&cells.probabilities);
        let values: Vec<Option<f64>> = values
            .map(|(present, p)| present.map(|present| value(present, *p)))
            .collect();
        vec![mean_of(&values, cells.n_labels, Root::None)]
    };
    match metric {
        "hamming_accuracy" => each(&|present, p| f64::from(u8::from((p >= 0.5) == present))),
        "log_loss" => each(&|present, p| class::surprise(if present { p } else { 1.0 - p })),
        "brier" => each(&|present, p| (p - f64::from(u8::from(present))).powi(2)),
        "auroc" => {
            let curve = |label: usize| {
                let known = (0..rows.len())
                    .filter(|row| cells.present[row * cells.n_labels + label].is_some());
                let (truth, scores) = cells.label(label);
                Part::Auroc {
                    rows: known.collect(),
                    ranking: Ranking::new(&truth, &scores),
                }
            };
            (0..cells.n_labels).map(curve).collect()
        }
        _ => vec![],
    }
}

fn value_parts(
    metric: &str,
    task: &Task,
    targets: &Targets,
    rows: &[usize],
    predictions: &[Prediction],
) -> Vec<Part> {
    let numbers = value_truth(task, targets, rows, predictions);
    let column = |column: usize| -> Option<Part> {
        let cells = numbers
            .truth
            .iter()
            .zip(&numbers.predicted)
            .skip(column)
            .step_by(numbers.n_columns);
        let errors = |error: &dyn Fn(f64) -> f64| -> Vec<Option<f64>> {
            cells
                .clone()
                .map(|(y, predicted)| y.is_finite().then(|| error(y - predicted)))
                .collect()
        };
        match metric {
            "mae" => Some(mean_of(&errors(&f64::abs), 1, Root::None)),
            "rmse" => Some(mean_of(&errors(&|error| error * error), 1, Root::Square)),
            "r2" => Some(Part::R2 {
                squares: errors(&|error| error * error)
                    .into_iter()
                    .map(|square| square.unwrap_or(0.0))
                    .collect(),
                truth: cells
                    .clone()
                    .map(|(y, _)| if y.is_finite() { *y } else { 0.0 })
                    .collect(),
                known: cells
                    .clone()
                    .map(|(y, _)| f64::from(u8::from(y.is_finite())))
                    .collect(),
            }),
            _ => None,
        }
    };
    (0..numbers.n_columns).filter_map(column).collect()
}
