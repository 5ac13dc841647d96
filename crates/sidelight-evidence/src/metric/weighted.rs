//! A metric of rows that count more or less than once: what a bootstrap asks for thousands of times.

use std::ops::Range;

use super::calibration::{BINS, ece};
use super::ranking::Ranking;
use super::{Cells, Evaluation, Metric, scoring};

/// One metric of one set of predictions, prepared so that weights can be tried quickly.
///
/// # Example
///
/// ```
/// use sidelight_data::dataset::Targets;
/// use sidelight_evidence::metric::{Evaluation, WeightedMetric};
/// use sidelight_data::task::{Prediction, Task};
/// # use sidelight_data::config::TargetScale;
/// let task = Task::Regression {
///     columns: vec!["price".into()], scale: TargetScale::Linear,
///     mean: vec![0.0], sd: vec![1.0], range: vec![[0.0, 9.0]],
/// };
/// let targets = Targets::Regression { names: vec!["price".into()], values: vec![1.0, 2.0] };
/// let predictions = [1.0, 5.0].map(|value| Prediction::Regression { values: vec![value] });
/// let evaluation = Evaluation {
///     task: &task, targets: &targets, rows: &[0, 1], predictions: &predictions, sizes: None, weights: None,
/// };
/// let mae = WeightedMetric::new("mae", &evaluation).unwrap();
/// assert_eq!(mae.value(None), Some(1.5));
/// assert_eq!(mae.value(Some(&[0.0, 1.0])), Some(3.0));
/// ```
#[derive(Debug, Clone)]
pub struct WeightedMetric {
    /// The metric is their mean, undefined ones left out.
    terms: Vec<Term>,
    /// How much each row counts as it is; `None`: once.
    own: Option<Vec<f64>>,
}

impl WeightedMetric {
    fn of(terms: Vec<Term>, evaluation: &Evaluation) -> Self {
        Self {
            terms,
            own: evaluation.weights.map(<[f64]>::to_vec),
        }
    }

    /// Prepares a metric of these predictions. `None`: the task has no such metric.
    pub fn new(name: &str, evaluation: &Evaluation) -> Option<Self> {
        let metric = Metric::named(name)?;
        let task = evaluation.task;
        let listed = scoring(task.kind(), task.n_outputs()).metrics;
        if !listed.contains(&name) && metric.threshold.is_none() {
            return None;
        }
        let cells = evaluation.cells();
        let of = metric.averaged().and_then(Metric::named).unwrap_or(metric);
        let terms: Option<Vec<Term>> = match metric.averaged() {
            Some(_) => metric
                .columns(&cells)
                .map(|part| of.term(&cells, part..part + 1))
                .collect(),
            None => Some(vec![of.term(&cells, metric.columns(&cells))?]),
        };
        Some(Self::of(terms?, evaluation))
    }

    /// The metric of one part of the task: recall of a class, AUROC of a label, `mean_px` of a
    /// keypoint, `mae` of a column. `None`: no such part.
    pub fn of_part(part: usize, evaluation: &Evaluation) -> Option<Self> {
        let task = evaluation.task;
        let metric = Metric::named(scoring(task.kind(), task.n_outputs()).part_metric)?;
        if part >= task.part_names().len() {
            return None;
        }
        let terms = vec![metric.term(&evaluation.cells(), part..part + 1)?];
        Some(Self::of(terms, evaluation))
    }

    /// [Huber's](super::cells::NumberCells::huber) loss of all standardised errors together. `None`: not a regression.
    pub(crate) fn huber(evaluation: &Evaluation, bends: &[f64]) -> Option<Self> {
        match evaluation.cells() {
            Cells::Numbers(cells) => Some(Self::of(vec![cells.huber(bends)], evaluation)),
            _ => None,
        }
    }

    /// Rows that count for something.
    pub fn n_rows(&self) -> usize {
        let mut rows: Vec<usize> = self.terms.iter().flat_map(Term::rows).collect();
        rows.sort_unstable();
        rows.dedup();
        rows.len()
    }

    /// The metric, row `i` counting `weights[i]` times (once without weights) what it counts by
    /// [`Evaluation::weights`]. `None` where it is not defined, such as an AUROC of one class.
    pub fn value(&self, weights: Option<&[f64]>) -> Option<f64> {
        let both: Option<Vec<f64>> = match (weights, &self.own) {
            (Some(weights), Some(own)) => {
                Some(weights.iter().zip(own).map(|(a, b)| a * b).collect())
            }
            _ => None,
        };
        let weights = both.as_deref().or(weights).or(self.own.as_deref());
        let (mut sum, mut n) = (0.0, 0.0);
        for value in self.terms.iter().filter_map(|term| term.value(weights)) {
            sum += value;
            n += 1.0;
        }
        (n > 0.0).then(|| sum / n)
    }

    /// Each row's own contribution where the metric is one mean over rows (of errors, hits or
    /// losses): `None` for a row without a target. `None` altogether for metrics of the whole.
    pub fn per_row(&self) -> Option<Vec<Option<f64>>> {
        let [Term::Ratio { over, under }] = &self.terms[..] else {
            return None;
        };
        let rows = over.iter().zip(under);
        Some(
            rows.map(|(over, under)| (*under > 0.0).then(|| over / under))
                .collect(),
        )
    }
}

/// The mean of the best precision that is had at a recall of 0, .01, … 1 or more, of objects in order, each its weight and
/// its similarity: one that reaches the threshold is found.
///
/// # Source
///
/// pycocotools' `COCOeval.accumulate`, of one object and one detection an image.
fn precision_over_recall(objects: &[(f64, f64)], threshold: f64) -> f64 {
    let total: f64 = objects.iter().map(|(weight, _)| weight).sum();
    let (mut found, mut all) = (0.0, 0.0);
    let mut curve: Vec<[f64; 2]> = objects
        .iter()
        .map(|(weight, similarity)| {
            all += weight;
            found += if *similarity >= threshold {
                *weight
            } else {
                0.0
            };
            [found / total, found / all]
        })
        .collect();
    for at in (1..curve.len()).rev() {
        curve[at - 1][1] = curve[at - 1][1].max(curve[at][1]);
    }
    let at_recall = |percent: u32| {
        // As NumPy's `linspace`, to the last bit: 14 of 200 do not reach 7 · 0.01.
        let recall = match percent {
            100 => 1.0,
            _ => f64::from(percent) * 0.01,
        };
        let first = curve.partition_point(|[reached, _]| *reached < recall);
        curve.get(first).map_or(0.0, |[_, precision]| *precision)
    };
    (0..=100).map(at_recall).sum::<f64>() / 101.0
}

/// A number that is computed from rows with weights.
#[derive(Debug, Clone)]
pub(super) enum Term {
    /// `Σ w over / Σ w under`, one of each a row.
    Ratio { over: Vec<f64>, under: Vec<f64> },
    /// `√(Σ w e² / Σ w)`, over rows that have an error.
    RootMeanSquare(Vec<Option<f64>>),
    /// An area under a curve; `rows[i]` is the row of the i-th score.
    Area {
        rows: Vec<usize>,
        ranking: Ranking,
        area: fn(&Ranking, Option<&[f64]>) -> Option<f64>,
    },
    /// COCO's average precision of objects, the surest first, each its row and its similarity to the true one.
    Objects(Vec<(usize, f64)>),
    /// `1 - Σ w (y - p)² / Σ w (y - ȳ)²`, over rows that have a truth y, and a prediction p of it.
    R2(Vec<Option<(f64, f64)>>),
    /// The value in the middle; values ascending, each with its row.
    Median(Vec<(f64, usize)>),
    /// The expected calibration error of confidences.
    CalibrationError {
        rows: Vec<usize>,
        confidence: Vec<f64>,
        correct: Vec<bool>,
    },
}

impl Term {
    /// A ratio from cells `[row][width]` of these columns: `cell` gives what one adds above and below the line.
    pub(super) fn ratio(
        n_cells: usize,
        width: usize,
        columns: Range<usize>,
        cell: impl Fn(usize) -> Option<(f64, f64)>,
    ) -> Self {
        let of_row = |row: usize| {
            let cells = columns
                .clone()
                .filter_map(|column| cell(row * width + column));
            cells.fold((0.0, 0.0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1))
        };
        let (over, under) = (0..n_cells / width.max(1)).map(of_row).unzip();
        Self::Ratio { over, under }
    }

    /// The median of cells as in [`Term::ratio`].
    pub(super) fn median(
        n_cells: usize,
        width: usize,
        columns: Range<usize>,
        cell: impl Fn(usize) -> Option<f64>,
    ) -> Self {
        let rows = 0..n_cells / width.max(1);
        let places = rows.flat_map(|row| columns.clone().map(move |column| (row, column)));
        // What is not a number is largest, whatever its sign.
        let place = |x: f64| if x.is_nan() { f64::NAN } else { x };
        let known =
            places.filter_map(|(row, column)| Some((place(cell(row * width + column)?), row)));
        let mut sorted: Vec<(f64, usize)> = known.collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self::Median(sorted)
    }

    pub(super) fn value(&self, weights: Option<&[f64]>) -> Option<f64> {
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let of = |rows: &[usize]| -> Option<Vec<f64>> {
            weights.map(|weights| rows.iter().map(|&row| weights[row]).collect())
        };
        match self {
            Self::Ratio { over, under } => {
                let rows = || over.iter().zip(under).enumerate();
                // A row that counts for nothing does so even if it is infinite.
                let counted = || rows().filter(|(row, _)| weight(*row) != 0.0);
                let (mut above, mut below) = (0.0, 0.0);
                for (row, (over, under)) in counted() {
                    above += weight(row) * over;
                    below += weight(row) * under;
                }
                // A sum may be beyond all numbers where the mean is not.
                if above.is_infinite() {
                    let shares = counted().map(|(row, (over, _))| weight(row) / below * over);
                    return (below > 0.0).then(|| shares.sum());
                }
                (below > 0.0).then(|| above / below)
            }
            Self::RootMeanSquare(errors) => {
                let counted: Vec<(f64, f64)> = counted(errors, weight).collect();
                let scale = square_scale(counted.iter().map(|(_, error)| *error));
                let (mut n, mut sum) = (0.0, 0.0);
                for (weight, error) in counted {
                    n += weight;
                    sum += weight * (error / scale).powi(2);
                }
                (n > 0.0).then(|| (sum / n).sqrt() * scale)
            }
            Self::Area {
                rows,
                ranking,
                area,
            } => area(ranking, of(rows).as_deref()),
            Self::Objects(rows) => {
                let counted = rows
                    .iter()
                    .map(|(row, similarity)| (weight(*row), *similarity));
                let counted: Vec<(f64, f64)> =
                    counted.filter(|(weight, _)| *weight > 0.0).collect();
                let areas = (0..10).map(|step| {
                    let threshold = 0.5 + 0.05 * f64::from(step);
                    precision_over_recall(&counted, threshold)
                });
                (!counted.is_empty()).then(|| areas.sum::<f64>() / 10.0)
            }
            Self::R2(pairs) => {
                let counted: Vec<(f64, (f64, f64))> = counted(pairs, weight).collect();
                let scale = square_scale(counted.iter().map(|(_, (y, _))| *y));
                // Seen from one of them, the mean of equal numbers is that number to the last bit.
                let from = counted.first()?.1.0 / scale;
                let (mut n, mut sum) = (0.0, 0.0);
                for (weight, (y, _)) in &counted {
                    n += weight;
                    sum += weight * (y / scale - from);
                }
                let mean = sum / n;
                let (mut unexplained, mut total) = (0.0, 0.0);
                for (weight, (y, predicted)) in &counted {
                    unexplained += weight * (y / scale - predicted / scale).powi(2);
                    total += weight * (y / scale - from - mean).powi(2);
                }
                (total > 0.0).then(|| 1.0 - unexplained / total)
            }
            Self::Median(sorted) => {
                let total: f64 = sorted.iter().map(|(_, row)| weight(*row)).sum();
                let mut seen = 0.0;
                let mut low = None;
                for (value, row) in sorted {
                    seen += weight(*row);
                    if low.is_none() && 2.0 * seen >= total {
                        low = Some(*value);
                    }
                    if 2.0 * seen > total {
                        return low.map(|low| f64::midpoint(low, *value));
                    }
                }
                None
            }
            Self::CalibrationError {
                rows,
                confidence,
                correct,
            } => ece(confidence, correct, of(rows).as_deref(), BINS),
        }
    }

    /// Rows that count for something.
    fn rows(&self) -> Vec<usize> {
        let positive =
            |of_row: &[f64]| (0..of_row.len()).filter(|&row| of_row[row] > 0.0).collect();
        match self {
            Self::Ratio { under, .. } => positive(under),
            Self::RootMeanSquare(errors) => known(errors),
            Self::R2(pairs) => known(pairs),
            Self::Area { rows, .. } | Self::CalibrationError { rows, .. } => rows.clone(),
            Self::Median(sorted) => sorted.iter().map(|(_, row)| *row).collect(),
            Self::Objects(rows) => rows.iter().map(|(row, _)| *row).collect(),
        }
    }
}

/// Rows that have a value.
fn known<T>(values: &[Option<T>]) -> Vec<usize> {
    let rows = values.iter().enumerate();
    rows.filter_map(|(row, value)| value.is_some().then_some(row))
        .collect()
}

/// Weight and value of the rows that have one and count for something.
fn counted<T: Copy>(
    values: &[Option<T>],
    weight: impl Fn(usize) -> f64,
) -> impl Iterator<Item = (f64, T)> {
    let rows = values.iter().enumerate();
    rows.filter_map(move |(row, value)| Some((weight(row), (*value)?)))
        .filter(|(weight, _)| *weight != 0.0)
}

/// What numbers are divided by before they are squared: 1, except where the squares of the largest would be beyond all
/// numbers or vanish.
fn square_scale(numbers: impl Iterator<Item = f64>) -> f64 {
    let finite = numbers.map(f64::abs).filter(|number| number.is_finite());
    let largest = finite.fold(0.0, f64::max);
    match largest == 0.0 || (1e-100..1e100).contains(&largest) {
        true => 1.0,
        false => largest,
    }
}
