//! Predictions beside their targets, cell by cell: what every formula reads.

use std::ops::Range;

use super::keypoints::{distance, normalizer, similarity};
use sidelight_data::config::{Normalizer, TargetKind, TargetScale};
use sidelight_data::dataset::Targets;
use sidelight_data::task::{Prediction, Task, argmax};

/// Predictions of some rows, and what they are scored against.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation<'a> {
    /// The task that the predictions are of.
    pub task: &'a Task,
    /// The true targets of all rows.
    pub targets: &'a Targets,
    /// Rows of `targets`, one a prediction.
    pub rows: &'a [usize],
    /// One for each of `rows`.
    pub predictions: &'a [Prediction],
    /// Width and height in pixels of each row's image as stored: needed for keypoints whose errors are divided by
    /// the diagonal; without it `mean_nme` and PCK are left out there.
    pub sizes: Option<&'a [[f32; 2]]>,
    /// How much each prediction counts, finite and 0 or more, as scikit-learn's `sample_weight`; `None`: all the same.
    pub weights: Option<&'a [f64]>,
}

impl Evaluation<'_> {
    /// Truth and prediction of every cell.
    ///
    /// # Panics
    ///
    /// When `rows` and `predictions` differ in length.
    pub(crate) fn cells(&self) -> Cells {
        assert_eq!(
            self.rows.len(),
            self.predictions.len(),
            "one prediction a row"
        );
        match self.task {
            Task::Keypoints { normalizer, .. } => Cells::Keypoints(self.keypoints(*normalizer)),
            Task::Class { .. } | Task::Multilabel { .. } => Cells::Classes(self.classes()),
            Task::Regression { .. } => Cells::Numbers(self.numbers()),
        }
    }

    fn keypoints(&self, by: Normalizer) -> KeypointCells {
        let n_points = self.task.n_outputs() / 2;
        let mut cells = KeypointCells {
            n_points,
            px: Vec::new(),
            nme: Vec::new(),
            mm: Vec::new(),
            similarity: Vec::new(),
            sureness: self.predictions.iter().map(sureness).collect(),
        };
        let (sigmas, scale) = match (self.task, self.targets) {
            (Task::Keypoints { sigmas, .. }, Targets::Keypoints { scale, .. }) => {
                (&sigmas[..], Some(scale))
            }
            _ => (&[][..], None),
        };
        for (i, (&row, prediction)) in self.rows.iter().zip(self.predictions).enumerate() {
            let (target, mask) = self.task.encode(self.targets, row);
            let truth: Vec<Option<[f64; 2]>> = (0..n_points)
                .map(|p| {
                    let xy = [target[2 * p], target[2 * p + 1]].map(f64::from);
                    (mask[2 * p] > 0.0).then_some(xy)
                })
                .collect();
            let size = self.sizes.map(|sizes| sizes[i].map(f64::from));
            let said = scale
                .and_then(|scale| scale.area.get(row))
                .map(|area| f64::from(*area));
            let area =
                said.or_else(|| normalizer(Normalizer::Box, &truth, None).map(|side| side * side));
            let area = area.filter(|area| *area > 0.0);
            let by = normalizer(by, &truth, size);
            for (p, point) in truth.iter().enumerate() {
                let predicted = match prediction {
                    Prediction::Keypoints { xy, .. } => xy[p].map(f64::from),
                    _ => [f64::NAN; 2],
                };
                let px = point.map(|point| distance(point, predicted));
                cells.px.push(px);
                let spacing = scale.and_then(|scale| scale.mm_per_px.get(row));
                cells.mm.push(
                    point
                        .zip(spacing)
                        .map(|(point, spacing)| {
                            let [across, down] = [0, 1].map(|axis| {
                                (point[axis] - predicted[axis]) * f64::from(spacing[axis])
                            });
                            across.hypot(down)
                        })
                        .filter(|mm| !mm.is_nan() || predicted[0].is_nan()),
                );
                let sigma = sigmas.get(p).zip(area);
                cells.similarity.push(
                    px.zip(sigma)
                        .map(|(px, (sigma, area))| similarity(px, *sigma, area)),
                );
                cells.nme.push(px.and_then(|px| by.map(|by| px / by)));
            }
        }
        cells
    }

    /// One yes-or-no cell for each class or label of each row.
    pub(crate) fn classes(&self) -> ClassCells {
        let n_classes = self.task.n_outputs();
        let exclusive = self.task.kind() == TargetKind::Class;
        let mut cells = ClassCells {
            n_classes,
            exclusive,
            present: Vec::new(),
            p: Vec::new(),
            predicted: Vec::new(),
        };
        for (&row, prediction) in self.rows.iter().zip(self.predictions) {
            let (target, mask) = self.task.encode(self.targets, row);
            let p = prediction.probabilities();
            let of_this_kind = p.len() == n_classes;
            if exclusive {
                let known = mask[0] > 0.0 && of_this_kind;
                let class = |class| known.then_some(class as f32 == target[0]);
                let best = argmax(p);
                cells.present.extend((0..n_classes).map(class));
                cells
                    .predicted
                    .extend((0..n_classes).map(|class| Some(class) == best));
            } else {
                let known = target.iter().zip(&mask);
                cells
                    .present
                    .extend(known.map(|(t, m)| (*m > 0.0).then_some(*t > 0.5)));
                let said = |class: usize| of_this_kind && f64::from(p[class]) >= 0.5;
                cells.predicted.extend((0..n_classes).map(said));
            }
            match of_this_kind {
                true => cells.p.extend(p.iter().map(|&p| f64::from(p))),
                false => cells.p.extend(std::iter::repeat_n(f64::NAN, n_classes)),
            }
        }
        cells
    }

    /// Truth and prediction of each column of each row.
    fn numbers(&self) -> NumberCells {
        let n_columns = self.task.n_outputs();
        let (scale, sd) = match self.task {
            Task::Regression { scale, sd, .. } => (*scale, sd.clone()),
            _ => (TargetScale::Linear, vec![1.0; n_columns]),
        };
        let mut cells = NumberCells {
            n_columns,
            scale,
            sd,
            truth: Vec::new(),
            predicted: Vec::new(),
        };
        let nothing = vec![f64::NAN; n_columns];
        for (&row, prediction) in self.rows.iter().zip(self.predictions) {
            cells.truth.extend_from_slice(match self.targets {
                Targets::Regression { values, .. } => {
                    &values[row * n_columns..(row + 1) * n_columns]
                }
                _ => &nothing,
            });
            cells.predicted.extend_from_slice(match prediction {
                Prediction::Regression { values } => values,
                _ => &nothing,
            });
        }
        cells
    }
}

/// The cells of one task, `[row][part]`: a part is a keypoint, a class, a label, a column.
pub(crate) enum Cells {
    Keypoints(KeypointCells),
    Classes(ClassCells),
    Numbers(NumberCells),
}

impl Cells {
    /// Rows with a known target.
    pub(super) fn n_known(&self) -> usize {
        let any = |known: &[bool], width: usize| {
            let rows = known.chunks(width.max(1));
            rows.filter(|row| row.contains(&true)).count()
        };
        match self {
            Self::Keypoints(cells) => any(&each(&cells.px, Option::is_some), cells.n_points),
            Self::Classes(cells) => any(&each(&cells.present, Option::is_some), cells.n_classes),
            Self::Numbers(cells) => any(&each(&cells.truth, |y| y.is_finite()), cells.n_columns),
        }
    }

    /// How many rows stand behind the metrics of a part, as they are told: `n`, and `n_positive` of a label.
    pub(super) fn counts(&self, part: usize) -> Vec<(String, f64)> {
        let n = |name: &str, n: usize| (name.to_owned(), n as f64);
        match self {
            Self::Keypoints(cells) => {
                let own = cells.px.iter().skip(part).step_by(cells.n_points);
                vec![n("n", own.flatten().count())]
            }
            Self::Classes(cells) => {
                let own = || cells.present.iter().skip(part).step_by(cells.n_classes);
                let positive = own().filter(|present| **present == Some(true)).count();
                match cells.exclusive {
                    true => vec![n("n", positive)],
                    false => vec![n("n", own().flatten().count()), n("n_positive", positive)],
                }
            }
            Self::Numbers(cells) => {
                let own = cells.truth.iter().skip(part).step_by(cells.n_columns);
                vec![n("n", own.filter(|y| y.is_finite()).count())]
            }
        }
    }

    /// Rows by `[true class][predicted class]`; empty unless a row is of one of several classes.
    pub(super) fn confusion(&self) -> Vec<Vec<usize>> {
        let Self::Classes(cells) = self else {
            return Vec::new();
        };
        let mut counts = match cells.exclusive {
            true => vec![vec![0; cells.n_classes]; cells.n_classes],
            false => Vec::new(),
        };
        for (row, truth) in cells.classes() {
            if let Some(predicted) = cells.predicted_class(row) {
                counts[truth][predicted] += 1;
            }
        }
        counts
    }
}

fn each<T>(cells: &[T], known: impl Fn(&T) -> bool) -> Vec<bool> {
    cells.iter().map(known).collect()
}

/// Errors of keypoints.
pub(crate) struct KeypointCells {
    pub(super) n_points: usize,
    /// Distance in pixels; `None`: the point is missing.
    pub(super) px: Vec<Option<f64>>,
    /// The same divided by the row's normalizer; `None`: missing, or the row has none.
    pub(super) nme: Vec<Option<f64>>,
    /// Distance in millimetres; `None`: missing, or it is not known how large a pixel is.
    pub(super) mm: Vec<Option<f64>>,
    /// COCO's similarity; `None`: missing, or it is not known how large the object is.
    pub(super) similarity: Vec<Option<f64>>,
    /// Of each row how sure its prediction is, in [0, 1].
    pub(super) sureness: Vec<f64>,
}

/// How sure a prediction of points is: the mean probability that a point can be seen, times that of the candidate; 1 where
/// the model says nothing of it.
fn sureness(prediction: &Prediction) -> f64 {
    let confidence = prediction.confidence();
    let visible: f64 = confidence.iter().map(|of| f64::from(of.visible)).sum();
    let mean = match confidence.len() {
        0 => 1.0,
        n => visible / n as f64,
    };
    let candidates = prediction.candidates().first();
    mean * candidates.map_or(1.0, |best| f64::from(best.probability))
}

/// Classes or labels as yes-or-no questions.
pub(crate) struct ClassCells {
    pub(crate) n_classes: usize,
    /// Whether a row is of exactly one class.
    pub(crate) exclusive: bool,
    /// `None`: not known.
    pub(crate) present: Vec<Option<bool>>,
    /// The probability of presence.
    pub(crate) p: Vec<f64>,
    /// Whether presence is predicted: the most probable class (the first of equals), or a label of at least 0.5.
    pub(crate) predicted: Vec<bool>,
}

impl ClassCells {
    /// The cells of one row.
    pub(crate) fn row(&self, row: usize) -> Range<usize> {
        row * self.n_classes..(row + 1) * self.n_classes
    }

    /// Rows of known class, and the class; nothing where a row may have several.
    pub(crate) fn classes(&self) -> impl Iterator<Item = (usize, usize)> {
        let n_rows = match self.exclusive {
            true => self.p.len() / self.n_classes.max(1),
            false => 0,
        };
        (0..n_rows).filter_map(|row| {
            let own = &self.present[self.row(row)];
            let class = own.iter().position(|present| *present == Some(true))?;
            Some((row, class))
        })
    }

    /// The most probable class of a row.
    pub(crate) fn predicted_class(&self, row: usize) -> Option<usize> {
        self.predicted[self.row(row)].iter().position(|said| *said)
    }

    /// The classes with a curve of their own: of two exclusive ones only the second, whose curve is the first's
    /// seen from the other side.
    pub(crate) fn curves(&self) -> Range<usize> {
        let first = usize::from(self.exclusive && self.n_classes == 2);
        first..self.n_classes
    }

    /// Row, truth and probability of the known cells of these classes.
    pub(crate) fn known(&self, classes: Range<usize>) -> impl Iterator<Item = (usize, bool, f64)> {
        let n_rows = self.p.len() / self.n_classes.max(1);
        (0..n_rows).flat_map(move |row| {
            let own = classes
                .clone()
                .map(move |class| row * self.n_classes + class);
            own.filter_map(move |at| Some((row, self.present[at]?, self.p[at])))
        })
    }

    /// Row, confidence and whether it was right to be confident: of the most probable class, or of each label.
    pub(crate) fn confidence(&self) -> impl Iterator<Item = (usize, f64, bool)> {
        let cells = self.present.iter().enumerate();
        cells.filter_map(|(at, present)| {
            (!self.exclusive || self.predicted[at]).then_some((
                at / self.n_classes,
                self.p[at],
                (*present)?,
            ))
        })
    }
}

/// Numbers in their own unit.
pub(crate) struct NumberCells {
    pub(crate) n_columns: usize,
    scale: TargetScale,
    /// Of each column, on that scale.
    sd: Vec<f64>,
    /// NaN: missing.
    pub(crate) truth: Vec<f64>,
    pub(crate) predicted: Vec<f64>,
}

impl NumberCells {
    /// Truth and prediction of a cell; `None` where the truth is missing.
    pub(crate) fn pair(&self, at: usize) -> Option<(f64, f64)> {
        Some((self.truth[at], self.predicted[at])).filter(|(truth, _)| truth.is_finite())
    }

    /// The error of a cell in standard deviations of its column, on the scale that is learned.
    pub(crate) fn scaled(&self, at: usize) -> Option<f64> {
        let (truth, predicted) = self.pair(at)?;
        let error = self.scale.forward(truth) - self.scale.forward_predicted(predicted);
        Some(error / self.sd[at % self.n_columns]).filter(|_| self.scale.forward(truth).is_finite())
    }
}
