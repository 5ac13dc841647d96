//! Every metric, one row each.

use std::ops::Range;

use super::Better::{self, Higher, Lower};
use super::cells::{Cells, ClassCells, KeypointCells, NumberCells};
use super::ranking::Ranking;
use super::weighted::Term;

/// A metric: what every page and every file knows of it.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// As in `metrics.json`; without its threshold, if it has one.
    pub name: &'static str,
    /// Which way it improves.
    pub better: Better,
    /// What comes after the `@` of its name.
    pub(super) threshold: Option<f64>,
    meaning: &'static str,
    formula: Formula,
}

/// Columns of a task: keypoints, classes, labels, columns.
type Columns = Range<usize>;

#[derive(Debug, Clone, Copy)]
enum Formula {
    /// Over the cells of all keypoints together.
    Keypoints(fn(&KeypointCells, Columns, f64) -> Term),
    /// Over the cells of all classes together.
    Classes(fn(&ClassCells, Columns) -> Term),
    /// The mean of one for each class or label.
    PerClass(fn(&ClassCells, Columns) -> Term),
    /// The mean of one for each column, as scikit-learn's `uniform_average`.
    PerColumn(fn(&NumberCells, Columns) -> Term),
    /// The mean over classes or labels of another metric.
    MeanOf(&'static str),
    /// Known from training or from a comparison, not computed from predictions alone.
    Elsewhere,
}

const fn row(
    name: &'static str,
    better: Better,
    meaning: &'static str,
    formula: Formula,
) -> Metric {
    Metric {
        name,
        better,
        threshold: None,
        meaning,
        formula,
    }
}

/// Every metric there is. What a task is scored by, and in which order, is listed with its kind.
pub const METRICS: &[Metric] = &[
    row(
        "mean_px",
        Lower,
        "mean distance to the true point, pixels",
        Formula::Keypoints(|cells, points, _| cells.mean(points, |at| cells.px[at])),
    ),
    row(
        "median_px",
        Lower,
        "median distance to the true point, pixels",
        Formula::Keypoints(|cells, points, _| {
            Term::median(cells.px.len(), cells.n_points, points, |at| cells.px[at])
        }),
    ),
    row(
        "mean_nme",
        Lower,
        "mean distance over the normaliser",
        Formula::Keypoints(|cells, points, _| cells.mean(points, |at| cells.nme[at])),
    ),
    // Percentage of correct keypoints: Yang & Ramanan 2013, "Articulated Human Detection with Flexible Mixtures of
    // Parts", TPAMI 35(12). An error that is NaN is not correct.
    row(
        "pck",
        Higher,
        "share of points within {} of the normaliser",
        Formula::Keypoints(|cells, points, threshold| {
            cells.mean(points, |at| {
                cells.nme[at].map(|nme| share(nme <= threshold))
            })
        }),
    ),
    row(
        "mean_mm",
        Lower,
        "mean distance to the true point, millimetres",
        Formula::Keypoints(|cells, points, _| cells.mean(points, |at| cells.mm[at])),
    ),
    // Wang et al. 2016, "A benchmark for comparison of dental radiography analysis algorithms", Medical Image Analysis 31.
    row(
        "sdr",
        Higher,
        "successful detection rate: share of points within {} mm",
        Formula::Keypoints(|cells, points, threshold| {
            cells.mean(points, |at| cells.mm[at].map(|mm| share(mm <= threshold)))
        }),
    ),
    // COCO keypoints; of one object a row, the mean over rows.
    row(
        "oks",
        Higher,
        "object keypoint similarity, as COCO has it",
        Formula::Keypoints(|cells, points, _| cells.per_row(points, |similarity| similarity)),
    ),
    row(
        "ar",
        Higher,
        "share of objects whose similarity reaches a threshold, mean over .5, .55, … .95",
        Formula::Keypoints(|cells, points, _| {
            cells.per_row(points, |similarity| {
                let reached = (0..10).filter(|step| similarity >= 0.5 + 0.05 * f64::from(*step));
                reached.count() as f64 / 10.0
            })
        }),
    ),
    row(
        "ap",
        Higher,
        "COCO's average precision, objects in the order of how sure they are, mean over the same thresholds",
        Formula::Keypoints(KeypointCells::average_precision),
    ),
    row(
        "accuracy",
        Higher,
        "share of rows whose class is right",
        Formula::Classes(recall),
    ),
    // Brodersen, Ong, Stephan & Buhmann 2010, "The balanced accuracy and its posterior distribution", ICPR.
    row(
        "balanced_accuracy",
        Higher,
        "mean over classes of the share of their rows that is right",
        Formula::MeanOf("recall"),
    ),
    row(
        "recall",
        Higher,
        "share of the rows of a class that is found",
        Formula::PerClass(recall),
    ),
    row(
        "precision",
        Higher,
        "share of the rows predicted as a class that is of it",
        Formula::PerClass(|cells, classes| {
            cells.ratio(classes, |at, present| {
                cells.predicted[at].then_some((share(present), 1.0))
            })
        }),
    ),
    row(
        "f1",
        Higher,
        "harmonic mean of precision and recall",
        Formula::PerClass(f1),
    ),
    row(
        "macro_f1",
        Higher,
        "mean over classes of the harmonic mean of precision and recall",
        Formula::MeanOf("f1"),
    ),
    row(
        "micro_f1",
        Higher,
        "harmonic mean of precision and recall, all labels together",
        Formula::Classes(f1),
    ),
    row(
        "hamming_accuracy",
        Higher,
        "share of labels, row by row, that is right",
        Formula::Classes(|cells, labels| {
            cells.ratio(labels, |at, present| {
                Some((share(cells.predicted[at] == present), 1.0))
            })
        }),
    ),
    // Over several classes the mean of one against the rest.
    row(
        "auroc",
        Higher,
        "chance that a positive is ranked above a negative",
        Formula::PerClass(|cells, classes| cells.area(classes, Ranking::auroc)),
    ),
    row(
        "micro_auroc",
        Higher,
        "chance that a positive is ranked above a negative, all labels together",
        Formula::Classes(|cells, labels| cells.area(labels, Ranking::auroc)),
    ),
    row(
        "average_precision",
        Higher,
        "area under the precision–recall curve",
        Formula::PerClass(|cells, classes| cells.area(classes, Ranking::average_precision)),
    ),
    row(
        "map",
        Higher,
        "mean over labels of the area under the precision–recall curve",
        Formula::MeanOf("average_precision"),
    ),
    // Probabilities are kept within [ε, 1 - ε], ε = 2⁻⁵², as in scikit-learn. A row of one class tells of that class
    // alone, a row of labels of each.
    row(
        "log_loss",
        Lower,
        "mean of −ln of the probability given to the truth, nats",
        Formula::Classes(|cells, classes| {
            cells.ratio(classes, |at, present| {
                let p = if present {
                    cells.p[at]
                } else {
                    1.0 - cells.p[at]
                };
                (present || !cells.exclusive).then(|| (negative_log_likelihood(p), 1.0))
            })
        }),
    ),
    // Brier 1950, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78(1).
    // For two classes the mean of (p₁ - y)², in [0, 1]; for more the mean over rows of the sum over classes, in
    // [0, 2]; for labels the mean over their cells: as scikit-learn has all three.
    row(
        "brier",
        Lower,
        "mean squared error of the probabilities",
        Formula::Classes(|cells, classes| {
            let first = cells.curves().start;
            cells.ratio(classes, |at, present| {
                let class = at % cells.n_classes;
                let counts = !cells.exclusive || class == first;
                let square = (cells.p[at] - share(present)).powi(2);
                (class >= first).then_some((square, share(counts)))
            })
        }),
    ),
    row(
        "ece",
        Lower,
        "expected calibration error: mean distance of confidence and accuracy",
        Formula::Classes(|cells, _| {
            let mut found = (Vec::new(), Vec::new(), Vec::new());
            for (row, confidence, correct) in cells.confidence() {
                found.0.push(row);
                found.1.push(confidence);
                found.2.push(correct);
            }
            let (rows, confidence, correct) = found;
            Term::CalibrationError {
                rows,
                confidence,
                correct,
            }
        }),
    ),
    row(
        "mae",
        Lower,
        "mean absolute error, in the target’s unit",
        Formula::PerColumn(|cells, column| {
            cells.ratio(column, |y, predicted| Some((y - predicted).abs()))
        }),
    ),
    row(
        "rmse",
        Lower,
        "root mean squared error, in the target’s unit",
        Formula::PerColumn(|cells, column| {
            let error = |(y, predicted): (f64, f64)| y - predicted;
            let errors = cells.pairs(column.start).map(|pair| pair.map(error));
            Term::RootMeanSquare(errors.collect())
        }),
    ),
    // 1 is perfect, 0 as good as the mean of these rows, below 0 worse.
    row(
        "r2",
        Higher,
        "share of the variance explained",
        Formula::PerColumn(NumberCells::r2),
    ),
    row(
        "median_ae",
        Lower,
        "median absolute error, in the target’s unit",
        Formula::PerColumn(|cells, column| {
            let error = |at: usize| cells.pair(at).map(|(y, predicted)| (y - predicted).abs());
            Term::median(cells.truth.len(), cells.n_columns, column, error)
        }),
    ),
    // Over rows whose truth is not 0.
    row(
        "mape",
        Lower,
        "mean absolute error over the true value",
        Formula::PerColumn(|cells, column| {
            let error = |y: f64, predicted: f64| (y != 0.0).then(|| ((y - predicted) / y).abs());
            cells.ratio(column, error)
        }),
    ),
    // Several targets have several units; each error is divided by its target's spread, on the scale that is learned.
    row(
        "scaled_mae",
        Lower,
        "mean absolute error over the target’s standard deviation, mean over targets",
        Formula::PerColumn(|cells, column| {
            let error = |at: usize| cells.scaled(at).map(|error| (error.abs(), 1.0));
            Term::ratio(cells.truth.len(), cells.n_columns, column, error)
        }),
    ),
    row(
        "huber",
        Lower,
        "mean Huber loss of the standardised errors: what a comparison of values is decided by",
        Formula::Elsewhere,
    ),
    row("loss", Lower, "what training minimises", Formula::Elsewhere),
];

impl Metric {
    /// The metric of this name.
    ///
    /// ```
    /// use sidelight_evidence::metric::{Better, Metric};
    /// let metric = Metric::named("pck@0.05").unwrap();
    /// assert_eq!(metric.better, Better::Higher);
    /// assert_eq!(metric.meaning(), "share of points within 0.05 of the normaliser");
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        let (name, threshold) = match name.split_once('@') {
            Some((name, threshold)) => (name, Some(threshold.parse().ok()?)),
            None => (name, None),
        };
        let found = METRICS.iter().find(|metric| metric.name == name)?;
        // A threshold belongs to the one metric whose meaning mentions it.
        (found.meaning.contains("{}") == threshold.is_some()).then_some(Self {
            threshold,
            ..*found
        })
    }

    /// What it is, in words.
    pub fn meaning(&self) -> String {
        match self.threshold {
            Some(threshold) => self.meaning.replace("{}", &threshold.to_string()),
            None => self.meaning.to_owned(),
        }
    }

    /// The metric of one part whose mean over parts this one is; `None` where cells are taken together.
    pub(super) fn averaged(&self) -> Option<&'static str> {
        match self.formula {
            Formula::MeanOf(part) => Some(part),
            Formula::PerClass(_) | Formula::PerColumn(_) => Some(self.name),
            Formula::Keypoints(_) | Formula::Classes(_) | Formula::Elsewhere => None,
        }
    }

    /// The parts that it is over.
    pub(super) fn columns(&self, cells: &Cells) -> Columns {
        match (cells, self.formula) {
            (Cells::Classes(cells), Formula::PerClass(_)) => cells.curves(),
            (Cells::Classes(cells), _) => 0..cells.n_classes,
            (Cells::Keypoints(cells), _) => 0..cells.n_points,
            (Cells::Numbers(cells), _) => 0..cells.n_columns,
        }
    }

    /// Its formula over the cells of these parts; `None` for cells of another kind of task.
    pub(super) fn term(&self, cells: &Cells, parts: Columns) -> Option<Term> {
        match (cells, self.formula) {
            (Cells::Keypoints(cells), Formula::Keypoints(term)) => {
                Some(term(cells, parts, self.threshold.unwrap_or_default()))
            }
            (Cells::Classes(cells), Formula::Classes(term) | Formula::PerClass(term)) => {
                Some(term(cells, parts))
            }
            (Cells::Numbers(cells), Formula::PerColumn(term)) => Some(term(cells, parts)),
            _ => None,
        }
    }
}

/// `-ln p` in nats, p kept within `[ε, 1 - ε]`.
fn negative_log_likelihood(p: f64) -> f64 {
    -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

fn share(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn recall(cells: &ClassCells, classes: Columns) -> Term {
    cells.ratio(classes, |at, present| {
        present.then_some((share(cells.predicted[at]), 1.0))
    })
}

/// `2 TP / (2 TP + FP + FN)`.
fn f1(cells: &ClassCells, classes: Columns) -> Term {
    cells.ratio(classes, |at, present| {
        let predicted = cells.predicted[at];
        let found = share(present && predicted);
        Some((2.0 * found, share(present) + share(predicted)))
    })
}

impl KeypointCells {
    /// The mean over rows of something of the mean similarity of a row's points.
    fn per_row(&self, points: Columns, of: impl Fn(f64) -> f64) -> Term {
        let of_row = |row: &[Option<f64>]| {
            let known: Vec<f64> = row[points.clone()].iter().flatten().copied().collect();
            match known.is_empty() {
                true => (0.0, 0.0),
                false => (of(known.iter().sum::<f64>() / known.len() as f64), 1.0),
            }
        };
        let rows = self.similarity.chunks_exact(self.n_points.max(1));
        let (over, under) = rows.map(of_row).unzip();
        Term::Ratio { over, under }
    }

    /// Objects by how sure they are, with their similarities.
    fn average_precision(&self, points: Columns, _: f64) -> Term {
        let Term::Ratio { over, under } = self.per_row(points, |similarity| similarity) else {
            return Term::Objects(Vec::new());
        };
        let known = (0..over.len()).filter(|row| under[*row] > 0.0);
        let mut rows: Vec<(usize, f64)> = known.map(|row| (row, over[row])).collect();
        // As COCO's evaluation sorts: those that are as sure stay in their order.
        rows.sort_by(|(a, _), (b, _)| self.sureness[*b].total_cmp(&self.sureness[*a]));
        Term::Objects(rows)
    }

    fn mean(&self, points: Columns, cell: impl Fn(usize) -> Option<f64>) -> Term {
        let cell = |at| cell(at).map(|x| (x, 1.0));
        Term::ratio(self.px.len(), self.n_points, points, cell)
    }
}

impl ClassCells {
    /// A ratio over known cells.
    fn ratio(&self, classes: Columns, cell: impl Fn(usize, bool) -> Option<(f64, f64)>) -> Term {
        let cell = |at: usize| self.present[at].and_then(|present| cell(at, present));
        Term::ratio(self.p.len(), self.n_classes, classes, cell)
    }

    fn area(&self, classes: Columns, area: fn(&Ranking, Option<&[f64]>) -> Option<f64>) -> Term {
        let mut found = (Vec::new(), Vec::new(), Vec::new());
        for (row, present, p) in self.known(classes) {
            found.0.push(row);
            found.1.push(present);
            found.2.push(p);
        }
        Term::Area {
            rows: found.0,
            ranking: Ranking::new(&found.1, &found.2),
            area,
        }
    }
}

impl NumberCells {
    /// The mean of an error over known cells.
    fn ratio(&self, column: Columns, error: impl Fn(f64, f64) -> Option<f64>) -> Term {
        let cell = |at: usize| {
            let (y, predicted) = self.pair(at)?;
            Some((error(y, predicted)?, 1.0))
        };
        Term::ratio(self.truth.len(), self.n_columns, column, cell)
    }

    /// `e²/2` of a standardised error up to the column's bend `δ`, `δ (|e| − δ/2)` beyond, mean over all cells: a
    /// squared error that no single row decides. Least for the centre of what is possible, as squared and absolute
    /// errors are.
    ///
    /// # Source
    ///
    /// Huber 1964, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35(1); as a score of
    /// predictions: Taggart 2022, "Point forecasting and forecast evaluation with generalized Huber loss", Electronic
    /// Journal of Statistics 16(1).
    pub(super) fn huber(&self, bends: &[f64]) -> Term {
        Term::ratio(self.truth.len(), self.n_columns, 0..self.n_columns, |at| {
            let (size, bend) = (self.scaled(at)?.abs(), bends[at % self.n_columns]);
            let inside = size.min(bend);
            Some((inside * (size - inside / 2.0), 1.0))
        })
    }

    /// Truth and prediction of a column's cells, row by row.
    fn pairs(&self, column: usize) -> impl Iterator<Item = Option<(f64, f64)>> {
        let cells = (column..self.truth.len()).step_by(self.n_columns);
        cells.map(|at| self.pair(at))
    }

    fn r2(&self, column: Columns) -> Term {
        Term::R2(self.pairs(column.start).collect())
    }
}
