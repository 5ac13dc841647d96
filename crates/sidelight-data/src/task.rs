//! From targets to what the network learns, and from what it puts out to predictions in the target's own unit.
//!
//! There are four kinds of task, each a file: [`keypoints`], [`class`], [`multilabel`], [`regression`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{Normalizer, TargetConfig, TargetKind, TargetScale};
use crate::dataset::{Dataset, Targets};
use crate::error::{Error, Result};

mod class;
mod keypoints;
mod multilabel;
mod regression;
mod set;

pub use keypoints::mean_places;
pub use set::{LabelState, PredictionSet};

/// A task, fitted on training rows: class names, scale of values; stored in the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Task {
    /// Keypoints in pixels of the stored image.
    #[serde(alias = "points")]
    Keypoints {
        /// Columns, x and y of each point in turn.
        columns: Vec<String>,
        /// Pairs that swap under a flip.
        symmetric: Vec<[usize; 2]>,
        /// What each point is called; empty: its number.
        #[serde(default)]
        names: Vec<String>,
        /// Pairs between which pictures draw a line.
        #[serde(default)]
        skeleton: Vec<[usize; 2]>,
        /// σ of each point, for the object keypoint similarity; empty: it is not told.
        #[serde(default)]
        sigmas: Vec<f64>,
        /// What errors are divided by.
        normalizer: Normalizer,
        /// Mean place of each point over training rows, in widths and heights of its image; empty where no image of a
        /// training row could be measured, and in models of earlier versions.
        #[serde(default)]
        mean: Vec<[f32; 2]>,
    },
    /// One of several classes.
    Class {
        /// Name of the target's column.
        column: String,
        /// Class names, in the order of the logits: as a person would sort them.
        names: Vec<String>,
        /// Training rows of each class.
        counts: Vec<usize>,
    },
    /// Any number of labels.
    #[serde(alias = "classes")]
    Multilabel {
        /// Labels, in the order of the logits.
        names: Vec<String>,
        /// Training rows with each label.
        counts: Vec<usize>,
        /// Training rows where it is known.
        known: Vec<usize>,
    },
    /// One or several numbers, in their own unit.
    #[serde(alias = "value")]
    Regression {
        /// Names of the target's columns.
        columns: Vec<String>,
        /// Linear or logarithmic.
        scale: TargetScale,
        /// Mean of each (on that scale) over training rows.
        mean: Vec<f64>,
        /// Standard deviation of each; 1 where it is constant.
        sd: Vec<f64>,
        /// Range of each over training rows, in its own unit.
        range: Vec<[f64; 2]>,
    },
}

/// A prediction in the target's own unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Prediction {
    /// Pixels of the image as stored.
    #[serde(alias = "points")]
    Keypoints {
        /// One `[x, y]` a point.
        xy: Vec<[f32; 2]>,
        /// How sure each point is; empty of models that do not say.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        confidence: Vec<Confidence>,
        /// Where else the object may be, the most probable first, which `xy` is; empty of models without candidates.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        candidates: Vec<Candidate>,
    },
    /// Probabilities that sum to 1.
    Class {
        /// One a class.
        probabilities: Vec<f32>,
    },
    /// Probabilities, each in [0, 1].
    #[serde(alias = "classes")]
    Multilabel {
        /// One a label.
        probabilities: Vec<f32>,
    },
    /// Numbers in their own unit.
    #[serde(alias = "value")]
    Regression {
        /// One a column.
        values: Vec<f64>,
    },
}

/// One of the places where an object may lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// How probable it is that it is the one that is meant; those of all candidates sum to 1.
    pub probability: f32,
    /// One `[x, y]` a point, in pixels of the image as stored.
    pub xy: Vec<[f32; 2]>,
}

/// How sure a predicted point is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// The probability that it is in the image and can be seen.
    pub visible: f32,
    /// How far off it is expected to be where it is there, in pixels of the image as stored.
    pub error: f32,
}

impl Prediction {
    /// Points without a word of how sure they are.
    pub fn keypoints(xy: Vec<[f32; 2]>) -> Self {
        Self::Keypoints {
            xy,
            confidence: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// Takes points away that are less probably visible than this: both coordinates are NaN then.
    pub fn leave_out_unsure(&mut self, least: f32) {
        if let Self::Keypoints { xy, confidence, .. } = self {
            let unsure = xy
                .iter_mut()
                .zip(confidence)
                .filter(|(_, of)| of.visible < least);
            unsure.for_each(|(point, _)| *point = [f32::NAN; 2]);
        }
    }

    /// How sure each point is; empty where the model does not say, and for other kinds.
    pub fn confidence(&self) -> &[Confidence] {
        match self {
            Self::Keypoints { confidence, .. } => confidence,
            _ => &[],
        }
    }

    /// Where else an object may lie, the most probable place first; empty where the model has no candidates.
    pub fn candidates(&self) -> &[Candidate] {
        match self {
            Self::Keypoints { candidates, .. } => candidates,
            _ => &[],
        }
    }

    /// Whether it has what such a task asks for: a number for each of its outputs.
    pub fn fits(&self, task: &Task) -> bool {
        let n = match self {
            Self::Keypoints { xy, .. } => 2 * xy.len(),
            Self::Class { probabilities } | Self::Multilabel { probabilities } => {
                probabilities.len()
            }
            Self::Regression { values } => values.len(),
        };
        self.kind() == task.kind() && n == task.n_outputs()
    }

    /// Which kind of task it is of.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Keypoints { .. } => TargetKind::Keypoints,
            Self::Class { .. } => TargetKind::Class,
            Self::Multilabel { .. } => TargetKind::Multilabel,
            Self::Regression { .. } => TargetKind::Regression,
        }
    }

    /// Probabilities of classes or labels; empty for other kinds.
    pub fn probabilities(&self) -> &[f32] {
        match self {
            Self::Class { probabilities } | Self::Multilabel { probabilities } => probabilities,
            Self::Keypoints { .. } | Self::Regression { .. } => &[],
        }
    }

    /// Its numbers, as many as the task has outputs: probabilities, values, x and y of each point in turn.
    pub fn numbers(&self) -> Vec<f64> {
        let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect();
        match self {
            Self::Keypoints { xy, .. } => wide(xy.as_flattened()),
            Self::Class { probabilities } | Self::Multilabel { probabilities } => {
                wide(probabilities)
            }
            Self::Regression { values } => values.clone(),
        }
    }

    /// The prediction of which [`numbers`](Self::numbers) are these.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "as the network gave them, in single precision"
    )]
    pub fn from_numbers(kind: TargetKind, numbers: &[f64]) -> Self {
        let narrow: Vec<f32> = numbers.iter().map(|&value| value as f32).collect();
        match kind {
            TargetKind::Keypoints => Self::keypoints(narrow.as_chunks::<2>().0.to_vec()),
            TargetKind::Class => Self::Class {
                probabilities: narrow,
            },
            TargetKind::Multilabel => Self::Multilabel {
                probabilities: narrow,
            },
            TargetKind::Regression => Self::Regression {
                values: numbers.to_vec(),
            },
        }
    }
}

/// The most probable class, the first of equals; `None` of no probability.
pub fn argmax(probabilities: &[f32]) -> Option<usize> {
    let order = |&a: &usize, &b: &usize| {
        let by_size = probabilities[a].total_cmp(&probabilities[b]);
        by_size.then(b.cmp(&a))
    };
    (0..probabilities.len()).max_by(order)
}

impl Task {
    /// Fits on the rows at these positions (training rows only).
    ///
    /// A class (or label) without a training row is left out: what never occurs cannot be learned.
    ///
    /// # Errors
    ///
    /// - [`Error::TargetKind`]: no targets, or of another kind than configured.
    /// - [`Error::TooFewClasses`]: fewer than two classes (or no label).
    /// - [`Error::NoTargetValues`]: a column of points or values that is empty.
    /// - [`Error::LogOfTarget`]: a log scale and a training value at or below 0.
    /// - [`Error::Setting`]: a point number in `symmetric` or `normalizer` that there is not.
    pub fn fit(dataset: &Dataset, config: &TargetConfig, rows: &[usize]) -> Result<Self> {
        let wrong_kind = || Error::TargetKind {
            expected: config.kind,
            found: dataset.kind(),
        };
        match dataset.targets.as_ref().ok_or_else(wrong_kind)? {
            targets if targets.kind() != config.kind => Err(wrong_kind()),
            Targets::Keypoints { n_points, xy, .. } => {
                keypoints::fit(config, &dataset.images, *n_points, xy, rows)
            }
            Targets::Class { names, index } => class::fit(config, names, index, rows),
            Targets::Multilabel { names, present } => multilabel::fit(config, names, present, rows),
            Targets::Regression { names, values } => {
                regression::fit(dataset, config.scale, names, values, rows)
            }
        }
    }

    /// Which of the four kinds.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Keypoints { .. } => TargetKind::Keypoints,
            Self::Class { .. } => TargetKind::Class,
            Self::Multilabel { .. } => TargetKind::Multilabel,
            Self::Regression { .. } => TargetKind::Regression,
        }
    }

    /// Names of the network's outputs: classes, labels or columns; `x` and `y` columns of keypoints.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Keypoints { columns, .. } | Self::Regression { columns, .. } => columns,
            Self::Class { names, .. } | Self::Multilabel { names, .. } => names,
        }
    }

    /// Names of the target's columns in a table: of classes the one column, else as [`names`](Self::names).
    pub fn target_names(&self) -> &[String] {
        match self {
            Self::Class { column, .. } => std::slice::from_ref(column),
            _ => self.names(),
        }
    }

    /// What the task consists of, and is scored by one by one: `point`, `class`, `label` or `column`.
    pub fn part(&self) -> &'static str {
        match self {
            Self::Keypoints { .. } => "point",
            Self::Class { .. } => "class",
            Self::Multilabel { .. } => "label",
            Self::Regression { .. } => "column",
        }
    }

    /// Names of the parts: classes, labels, columns; those of keypoints, else `point 0` ….
    pub fn part_names(&self) -> Vec<String> {
        match self {
            Self::Keypoints { names, .. } if !names.is_empty() => names.clone(),
            Self::Keypoints { columns, .. } => (0..columns.len() / 2)
                .map(|point| format!("point {point}"))
                .collect(),
            _ => self.names().to_vec(),
        }
    }

    /// Numbers the network puts out per row: 2n, classes, labels, columns.
    pub fn n_outputs(&self) -> usize {
        self.names().len()
    }

    /// The first of its lists that is not as long as there are outputs: which, and its length.
    pub fn misfit(&self) -> Option<(&'static str, usize)> {
        let n = self.n_outputs();
        let lengths = match self {
            Self::Keypoints {
                symmetric,
                names,
                skeleton,
                sigmas,
                mean,
                ..
            } => {
                let reach_of = |pairs: &[[usize; 2]]| {
                    let points = pairs.as_flattened().iter();
                    let reach = points.map(|&point| point.saturating_add(1)).max();
                    reach.unwrap_or(0).saturating_mul(2)
                };
                let reach = reach_of(symmetric);
                let mean = if mean.is_empty() { n } else { 2 * mean.len() };
                vec![
                    ("columns", n & !1),
                    ("symmetric", reach.max(n)),
                    ("names", if names.is_empty() { n } else { 2 * names.len() }),
                    ("skeleton", reach_of(skeleton).max(n)),
                    (
                        "sigmas",
                        if sigmas.is_empty() {
                            n
                        } else {
                            2 * sigmas.len()
                        },
                    ),
                    ("mean", mean),
                ]
            }
            Self::Class { counts, .. } => vec![("counts", counts.len())],
            Self::Multilabel { counts, known, .. } => {
                vec![("counts", counts.len()), ("known", known.len())]
            }
            Self::Regression {
                mean, sd, range, ..
            } => vec![
                ("mean", mean.len()),
                ("sd", sd.len()),
                ("range", range.len()),
            ],
        };
        lengths.into_iter().find(|(_, length)| *length != n)
    }

    /// Width of an encoded target: 1 for `class` (its index), else `n_outputs`.
    pub fn d_target(&self) -> usize {
        self.target_names().len()
    }

    /// The best guess of a row of which nothing is known but its image's width and height in pixels, from the training rows:
    /// how common the classes or labels are, the mean of a value (on the scale that it is learned on), the mean place of each
    /// point in its image. `None` for keypoints where no place is known, or the image's size is not.
    pub fn constant(&self, size: [f32; 2]) -> Option<Prediction> {
        let outputs: Vec<f32> = match self {
            Self::Class { counts, .. } => counts.iter().map(|&n| (n as f32).ln()).collect(),
            Self::Multilabel { counts, known, .. } => counts
                .iter()
                .zip(known)
                // Half a row more on each side: never sure.
                .map(|(&n, &known)| ((n as f32 + 0.5) / ((known - n) as f32 + 0.5)).ln())
                .collect(),
            Self::Regression { .. } => vec![0.0; self.n_outputs()],
            Self::Keypoints { mean, .. } => {
                let is_known = !mean.is_empty() && size.iter().all(|side| side.is_finite());
                let places = mean.iter().flat_map(|[x, y]| [x * size[0], y * size[1]]);
                return is_known.then(|| self.decode(&places.collect::<Vec<f32>>()));
            }
        };
        Some(self.decode(&outputs))
    }

    /// What is predicted, in words: `price, a value`, `species, one of 7 classes`.
    pub fn in_words(&self, columns: &[String]) -> String {
        let name = match columns {
            [name] => format!("`{name}`"),
            columns => format!("{} columns", columns.len()),
        };
        match self {
            Self::Keypoints { .. } => format!("{} points", columns.len() / 2),
            Self::Class { names, .. } => format!("{name}, one of {} classes", names.len()),
            Self::Multilabel { names, .. } => format!("{name}, any of {} labels", names.len()),
            Self::Regression { columns, .. } if columns.len() == 1 => format!("{name}, a value"),
            Self::Regression { columns, .. } => format!("{} values", columns.len()),
        }
    }

    /// The target of a row as the loss wants it, and a mask (0: missing, counts for nothing); both `d_target` wide.
    /// Points stay in pixels of the stored image here; the loader maps them into [-1, 1] of the network's input.
    ///
    /// A class that training did not have is masked: [`Task::unseen`] counts them. Where the mask is 0
    /// the target is 0. Both are all 0 where the targets are of another kind.
    pub fn encode(&self, targets: &Targets, row: usize) -> (Vec<f32>, Vec<f32>) {
        let width = self.d_target();
        let cells: Vec<Option<f32>> = match (self, targets) {
            (Self::Keypoints { .. }, Targets::Keypoints { n_points, xy, .. }) => {
                keypoints::encode(&xy[row * n_points..(row + 1) * n_points])
            }
            (
                Self::Class { names, .. },
                Targets::Class {
                    names: found,
                    index,
                },
            ) => {
                vec![class::encode(names, found, index[row])]
            }
            (
                Self::Multilabel { names, .. },
                Targets::Multilabel {
                    names: found,
                    present,
                },
            ) => {
                let cells = &present[row * found.len()..(row + 1) * found.len()];
                multilabel::encode(names, found, cells)
            }
            (
                Self::Regression {
                    scale, mean, sd, ..
                },
                Targets::Regression { names, values },
            ) => {
                let values = &values[row * names.len()..(row + 1) * names.len()];
                regression::encode(*scale, mean, sd, values)
            }
            _ => vec![None; width],
        };
        debug_assert_eq!(cells.len(), width, "targets have the task's columns");
        let target = cells.iter().map(|cell| cell.unwrap_or(0.0)).collect();
        let mask = cells
            .iter()
            .map(|cell| f32::from(u8::from(cell.is_some())))
            .collect();
        (target, mask)
    }

    /// A row's network output (logits; points in [-1, 1] already mapped back to pixels by the caller) as a prediction.
    pub fn decode(&self, output: &[f32]) -> Prediction {
        match self {
            Self::Keypoints { .. } => Prediction::keypoints(output.as_chunks::<2>().0.to_vec()),
            Self::Class { .. } => Prediction::Class {
                probabilities: softmax(output),
            },
            Self::Multilabel { .. } => Prediction::Multilabel {
                probabilities: multilabel::sigmoid(output),
            },
            Self::Regression {
                scale, mean, sd, ..
            } => Prediction::Regression {
                values: regression::decode(*scale, mean, sd, output),
            },
        }
    }

    /// A prediction of a model whose task was fitted on other rows, as one of this task: classes (or
    /// labels) by name, with probability 0 for one that model never learned. Class probabilities
    /// are made to sum to 1 over those that this task has.
    ///
    /// A comparison fits one task on all rows to score what the models of all folds predict.
    #[must_use]
    pub fn adopt(&self, prediction: &Prediction, from: &Self) -> Prediction {
        let place = |name: &String| from.names().iter().position(|other| other == name);
        let by_name = |probabilities: &[f32]| -> Vec<f32> {
            self.names()
                .iter()
                .map(|name| place(name).map_or(0.0, |i| probabilities[i]))
                .collect()
        };
        match prediction {
            Prediction::Class { probabilities } if self.names() != from.names() => {
                let adopted = by_name(probabilities);
                let total: f32 = adopted.iter().sum();
                let even = 1.0 / adopted.len().max(1) as f32;
                let share = |p: f32| if total > 0.0 { p / total } else { even };
                Prediction::Class {
                    probabilities: adopted.into_iter().map(share).collect(),
                }
            }
            Prediction::Multilabel { probabilities } if self.names() != from.names() => {
                Prediction::Multilabel {
                    probabilities: by_name(probabilities),
                }
            }
            same => same.clone(),
        }
    }

    /// How far several models are apart in the target's own unit, from the standard deviation of each output of theirs: of
    /// probabilities, of points in half-sides of a square of `side` pixels, of values on the scale that they are learned on.
    /// Of classes it is that of the one that is predicted; on a log scale it is to the first order.
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::task::{Prediction, Task};
    /// let task = Task::Class {
    ///     column: "species".into(),
    ///     names: vec!["oak".into(), "elm".into()],
    ///     counts: vec![5, 7],
    /// };
    /// let prediction = Prediction::Class { probabilities: vec![0.25, 0.75] };
    /// assert_eq!(task.spread(&[0.125, 0.0625], &prediction, 1.0), [0.0625]);
    /// ```
    pub fn spread(&self, outputs: &[f64], prediction: &Prediction, side: f64) -> Vec<f64> {
        match (self, prediction) {
            (Self::Class { .. }, Prediction::Class { probabilities }) => {
                let best = argmax(probabilities).and_then(|best| outputs.get(best));
                best.copied().into_iter().collect()
            }
            (Self::Regression { scale, sd, .. }, Prediction::Regression { values }) => {
                let of_column = outputs.iter().zip(sd).zip(values);
                of_column
                    .map(|((spread, sd), value)| match scale {
                        TargetScale::Linear => spread * sd,
                        TargetScale::Log => spread * sd * value,
                    })
                    .collect()
            }
            (Self::Keypoints { .. }, _) => {
                let points = outputs.as_chunks::<2>().0.iter();
                points.map(|[x, y]| x.hypot(*y) * side / 2.0).collect()
            }
            _ => outputs.to_vec(),
        }
    }

    /// Classes (or labels) in these targets that training did not have, and in how many of these rows.
    pub fn unseen(&self, targets: &Targets, rows: &[usize]) -> BTreeMap<String, usize> {
        match (self, targets) {
            (
                Self::Class { names, .. },
                Targets::Class {
                    names: found,
                    index,
                },
            ) => class::unseen(names, found, index, rows),
            (
                Self::Multilabel { names, .. },
                Targets::Multilabel {
                    names: found,
                    present,
                },
            ) => multilabel::unseen(names, found, present, rows),
            _ => BTreeMap::new(),
        }
    }

    /// What a prediction for a mirrored image says of the image itself, its points mapped back already: those of a
    /// symmetric pair swap, for in a mirrored image the left one is where the right one was.
    #[must_use]
    pub fn unmirrored(&self, mut prediction: Prediction) -> Prediction {
        if let Self::Keypoints { symmetric, .. } = self
            && let Prediction::Keypoints {
                xy,
                confidence,
                candidates,
            } = &mut prediction
        {
            for &[first, second] in symmetric {
                let all = candidates.iter_mut().map(|candidate| &mut candidate.xy);
                all.chain([&mut *xy]).for_each(|xy| xy.swap(first, second));
                if !confidence.is_empty() {
                    confidence.swap(first, second);
                }
            }
        }
        prediction
    }

    /// The mean of predictions of this task, of an image that was looked at more than once: of probabilities, of points
    /// in pixels, of values on the scale that they are learned on (their logarithms, on a log scale). `None` of none.
    pub fn mean(&self, predictions: &[Prediction]) -> Option<Prediction> {
        let scale = match self {
            Self::Regression { scale, .. } => *scale,
            _ => TargetScale::Linear,
        };
        let all: Vec<Vec<f64>> = predictions.iter().map(Prediction::numbers).collect();
        let mean = |at: usize| {
            let sum: f64 = all.iter().map(|numbers| scale.forward(numbers[at])).sum();
            scale.backward(sum / all.len() as f64)
        };
        let numbers: Vec<f64> = (0..all.first()?.len()).map(mean).collect();
        let mut joined = Prediction::from_numbers(self.kind(), &numbers);
        if let Prediction::Keypoints {
            xy,
            confidence,
            candidates,
        } = &mut joined
        {
            let of_point = |point: usize| mean_confidence(predictions, point);
            *confidence = (0..xy.len()).map_while(of_point).collect();
            *candidates = mean_candidates(predictions);
            if let Some(best) = candidates.first() {
                xy.clone_from(&best.xy);
            }
        }
        Some(joined)
    }
}

/// The candidates of several looks, the most probable first: each of the first look's is joined with that of every other
/// look that is nearest to it, for the mean of two objects is none.
fn mean_candidates(predictions: &[Prediction]) -> Vec<Candidate> {
    let [first, others @ ..] = predictions else {
        return Vec::new();
    };
    let n = predictions.len() as f32;
    let mean = |own: &Candidate| {
        let near = others
            .iter()
            .filter_map(|other| own.nearest(other.candidates()));
        let mut mean = near.fold(own.clone(), |mut sum, near| {
            sum.probability += near.probability;
            for (sum, near) in sum.xy.iter_mut().zip(&near.xy) {
                *sum = [sum[0] + near[0], sum[1] + near[1]];
            }
            sum
        });
        mean.probability /= n;
        let points = mean.xy.iter_mut().flatten();
        points.for_each(|coordinate| *coordinate /= n);
        mean
    };
    let mut all: Vec<Candidate> = first.candidates().iter().map(mean).collect();
    let total: f32 = all.iter().map(|candidate| candidate.probability).sum();
    if total > 0.0 {
        for candidate in &mut all {
            candidate.probability /= total;
        }
    }
    all.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    all
}

impl Candidate {
    /// That among others whose points lie nearest to its own.
    fn nearest<'a>(&self, others: &'a [Self]) -> Option<&'a Self> {
        let away = |other: &Self| -> f64 {
            let points = self.xy.iter().zip(&other.xy);
            let squares = points.map(|(a, b)| {
                let [x, y] = [0, 1].map(|axis| f64::from(a[axis]) - f64::from(b[axis]));
                x * x + y * y
            });
            squares.sum()
        };
        others.iter().min_by(|a, b| away(a).total_cmp(&away(b)))
    }
}

/// How sure a point is over several looks; `None`: one of them does not say.
fn mean_confidence(predictions: &[Prediction], point: usize) -> Option<Confidence> {
    let all = predictions.iter();
    let all = all.map(|prediction| prediction.confidence().get(point));
    let all: Vec<&Confidence> = all.collect::<Option<_>>()?;
    let mean =
        |of: fn(&Confidence) -> f32| all.iter().map(|c| of(c)).sum::<f32>() / all.len() as f32;
    Some(Confidence {
        visible: mean(|of| of.visible),
        error: mean(|of| of.error),
    })
}

/// Probabilities from logits; computed in f64 from the largest down, so nothing overflows.
#[expect(clippy::cast_possible_truncation, reason = "in [0, 1]")]
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits
        .iter()
        .map(|&logit| f64::from(logit - largest).exp())
        .collect();
    let total: f64 = powers.iter().sum();
    powers
        .into_iter()
        .map(|power| (power / total) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{ImageSource, Metadata};

    fn dataset(targets: Targets, n: usize) -> Dataset {
        Dataset {
            path: "table.csv".into(),
            rows: (10..10 + n).collect(),
            images: vec![ImageSource::Path("x.jpg".into()); n],
            metadata: Metadata {
                columns: vec![],
                n_rows: n,
            },
            targets: Some(targets),
            groups: None,
            splits: None,
            folds: None,
            times: None,
            weights: None,
            to_table: None,
            remarks: vec![],
        }
    }

    fn config(kind: TargetKind, columns: &[&str]) -> TargetConfig {
        TargetConfig {
            kind,
            column: None,
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            ..TargetConfig::class("")
        }
    }

    fn class(names: &[&str], index: &[Option<u32>]) -> Targets {
        Targets::Class {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            index: index.to_vec(),
        }
    }

    #[test]
    fn class_names_are_sorted_as_a_person_would_and_those_without_training_rows_left_out() {
        let targets = class(
            &["10", "2", "x"],
            &[Some(0), Some(1), Some(0), Some(2), None],
        );
        let data = dataset(targets, 5);
        let task = Task::fit(
            &data,
            &config(TargetKind::Class, &["species"]),
            &[0, 1, 2, 4],
        )
        .expect("fits");
        assert_eq!(
            task,
            Task::Class {
                column: "species".into(),
                names: vec!["2".into(), "10".into()],
                counts: vec![1, 2]
            }
        );
        let targets = data.targets.as_ref().expect("has targets");
        assert_eq!(task.encode(targets, 0), (vec![1.0], vec![1.0]));
        assert_eq!(task.encode(targets, 3), (vec![0.0], vec![0.0]));
        assert_eq!(task.encode(targets, 4), (vec![0.0], vec![0.0]));
        assert_eq!(
            task.unseen(targets, &[0, 3, 4]),
            BTreeMap::from([("x".to_owned(), 1)])
        );
    }

    #[test]
    fn a_class_is_recognised_in_a_table_that_spells_it_as_a_float() {
        let data = dataset(class(&["1", "2"], &[Some(0), Some(1)]), 2);
        let task = Task::fit(&data, &config(TargetKind::Class, &["k"]), &[0, 1]).expect("fits");
        assert_eq!(
            task.encode(&class(&["2.0"], &[Some(0)]), 0),
            (vec![1.0], vec![1.0])
        );
    }

    #[test]
    fn a_class_prediction_is_a_softmax() {
        let data = dataset(class(&["a", "b"], &[Some(0), Some(1)]), 2);
        let task = Task::fit(&data, &config(TargetKind::Class, &["k"]), &[0, 1]).expect("fits");
        assert_eq!((task.n_outputs(), task.d_target()), (2, 1));
        assert_eq!(
            task.decode(&[0.0, 0.0]),
            Prediction::Class {
                probabilities: vec![0.5, 0.5]
            }
        );
        let Prediction::Class { probabilities } = task.decode(&[1e30, -1e30]) else {
            panic!("a class")
        };
        assert_eq!(probabilities, [1.0, 0.0]);
    }

    #[test]
    fn a_prediction_of_a_fold_that_lacked_a_class_is_adopted_by_name() {
        let task = |names: &[&str]| Task::Class {
            column: "k".into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            counts: vec![1; names.len()],
        };
        let (all, fold) = (task(&["a", "b", "c"]), task(&["c", "a"]));
        let prediction = Prediction::Class {
            probabilities: vec![0.25, 0.75],
        };
        assert_eq!(
            all.adopt(&prediction, &fold),
            Prediction::Class {
                probabilities: vec![0.75, 0.0, 0.25]
            }
        );
        assert_eq!(fold.adopt(&prediction, &fold), prediction);
    }

    #[test]
    fn one_class_is_not_enough() {
        let data = dataset(class(&["a", "b"], &[Some(0), Some(0), Some(1)]), 3);
        let error =
            Task::fit(&data, &config(TargetKind::Class, &["k"]), &[0, 1]).expect_err("one class");
        assert_eq!(
            error.to_string(),
            "target `k`: expected at least two classes in 2 training rows, found a"
        );
    }

    #[test]
    fn values_are_standardised_on_their_scale_and_come_back_in_their_unit() {
        let values = vec![1.0, 10.0, 100.0, f64::NAN];
        let data = dataset(
            Targets::Regression {
                names: vec!["price".into()],
                values,
            },
            4,
        );
        let config = TargetConfig {
            scale: TargetScale::Log,
            ..config(TargetKind::Regression, &["price"])
        };
        let task = Task::fit(&data, &config, &[0, 1, 2, 3]).expect("fits");
        let targets = data.targets.as_ref().expect("has targets");
        let (z, mask) = task.encode(targets, 2);
        assert!((z[0] - 1.5f32.sqrt()).abs() < 1e-6 && mask == [1.0]);
        assert_eq!(task.encode(targets, 3), (vec![0.0], vec![0.0]));
        let Prediction::Regression { values } = task.decode(&z) else {
            panic!("a value")
        };
        assert!((values[0] - 100.0).abs() < 1e-4);
        assert!(matches!(task, Task::Regression { range, .. } if range == [[1.0, 100.0]]));
    }

    #[test]
    fn the_logarithm_of_zero_is_refused_with_its_place() {
        let data = dataset(
            Targets::Regression {
                names: vec!["price".into()],
                values: vec![1.0, 0.0],
            },
            2,
        );
        let config = TargetConfig {
            scale: TargetScale::Log,
            ..config(TargetKind::Regression, &["price"])
        };
        let error = Task::fit(&data, &config, &[0, 1]).expect_err("0 has no logarithm");
        assert_eq!(
            error.to_string(),
            "table.csv, row 12, column `price`: expected a number above 0 for the log scale, found `0`"
        );
        assert!(Task::fit(&data, &config, &[0]).is_ok());
    }

    #[test]
    fn a_constant_value_is_learned_as_zero() {
        let data = dataset(
            Targets::Regression {
                names: vec!["y".into()],
                values: vec![7.3; 3],
            },
            3,
        );
        let task =
            Task::fit(&data, &config(TargetKind::Regression, &["y"]), &[0, 1, 2]).expect("fits");
        assert_eq!(
            task.encode(data.targets.as_ref().expect("has targets"), 0)
                .0,
            [0.0]
        );
        assert_eq!(
            task.decode(&[0.0]),
            Prediction::Regression { values: vec![7.3] }
        );
    }

    #[test]
    fn a_half_known_point_is_missing() {
        let xy = vec![[1.0, 2.0], [f32::NAN, 5.0]];
        let data = dataset(Targets::keypoints(2, xy), 1);
        let task = Task::fit(
            &data,
            &config(TargetKind::Keypoints, &["x0", "y0", "x1", "y1"]),
            &[0],
        )
        .expect("fits");
        let (target, mask) = task.encode(data.targets.as_ref().expect("has targets"), 0);
        assert_eq!(
            (target, mask),
            (vec![1.0, 2.0, 0.0, 0.0], vec![1.0, 1.0, 0.0, 0.0])
        );
        assert_eq!((task.n_outputs(), task.d_target()), (4, 4));
        assert_eq!(
            task.decode(&[1.0, 2.0, 3.0, 4.0]),
            Prediction::keypoints(vec![[1.0, 2.0], [3.0, 4.0]])
        );
    }

    #[test]
    fn a_pair_of_points_that_are_not_there_is_refused() {
        let data = dataset(Targets::keypoints(1, vec![[1.0, 2.0]]), 1);
        let config = TargetConfig {
            symmetric: vec![[0, 1]],
            ..config(TargetKind::Keypoints, &["x0", "y0"])
        };
        let error = Task::fit(&data, &config, &[0]).expect_err("there is no point 1");
        assert_eq!(
            error.to_string(),
            "`target.symmetric`: expected pairs of two of the points 0 to 0, found `[0, 1]`"
        );
    }

    #[test]
    fn labels_are_matched_by_name_and_unknown_ones_masked() {
        let names = vec!["b".to_owned(), "a".to_owned(), "never".to_owned()];
        let present = vec![
            Some(true),
            Some(false),
            Some(false),
            Some(true),
            Some(true),
            None,
        ];
        let data = dataset(Targets::Multilabel { names, present }, 2);
        let listed = TargetConfig {
            column: Some("labels".into()),
            ..config(TargetKind::Multilabel, &[])
        };
        let task = Task::fit(&data, &listed, &[0, 1]).expect("fits");
        assert_eq!(
            task,
            Task::Multilabel {
                names: vec!["a".into(), "b".into()],
                counts: vec![1, 2],
                known: vec![2, 2]
            }
        );
        let theirs = Targets::Multilabel {
            names: vec!["b".into(), "z".into()],
            present: vec![Some(true), Some(true), None, None],
        };
        assert_eq!(task.encode(&theirs, 0), (vec![0.0, 1.0], vec![1.0, 1.0]));
        assert_eq!(task.encode(&theirs, 1), (vec![0.0, 0.0], vec![0.0, 0.0]));
        assert_eq!(
            task.unseen(&theirs, &[0, 1]),
            BTreeMap::from([("z".to_owned(), 1)])
        );
        assert_eq!(
            task.decode(&[0.0, 0.0]),
            Prediction::Multilabel {
                probabilities: vec![0.5, 0.5]
            }
        );
    }

    #[test]
    fn targets_of_another_kind_or_none_are_refused() {
        let mut data = dataset(class(&["a"], &[Some(0)]), 1);
        let error = Task::fit(&data, &config(TargetKind::Regression, &["y"]), &[0])
            .expect_err("another kind");
        assert_eq!(
            error.to_string(),
            "expected a target of kind regression, found class"
        );
        data.targets = None;
        let error = Task::fit(&data, &config(TargetKind::Regression, &["y"]), &[0])
            .expect_err("no targets");
        assert_eq!(
            error.to_string(),
            "expected a target of kind regression, found none"
        );
    }

    #[test]
    fn a_task_is_the_same_after_json() {
        let data = dataset(
            Targets::Regression {
                names: vec!["y".into()],
                values: vec![0.1, 0.2, 0.7],
            },
            3,
        );
        let task =
            Task::fit(&data, &config(TargetKind::Regression, &["y"]), &[0, 1, 2]).expect("fits");
        let json = serde_json::to_string(&task).expect("is JSON");
        assert_eq!(
            serde_json::from_str::<Task>(&json).expect("is a task"),
            task
        );
    }

    #[test]
    fn kinds_are_read_by_their_old_names_too() {
        let old = [
            r#"{"kind":"points","xy":[[1.0,2.0]]}"#,
            r#"{"kind":"class","probabilities":[1.0]}"#,
            r#"{"kind":"classes","probabilities":[0.5]}"#,
            r#"{"kind":"value","values":[3.0]}"#,
        ];
        let new = ["keypoints", "class", "multilabel", "regression"];
        for (old, new) in old.into_iter().zip(new) {
            let prediction: Prediction = serde_json::from_str(old).expect("is a prediction");
            let json = serde_json::to_value(&prediction).expect("is JSON");
            assert_eq!(json["kind"], new);
            let kind: TargetKind = serde_json::from_value(json["kind"].clone()).expect("a kind");
            assert_eq!(kind, prediction.kind());
        }
        let task = r#"{"kind":"classes","names":["a"],"counts":[1],"known":[2]}"#;
        let task: Task = serde_json::from_str(task).expect("is a task");
        assert_eq!(task.kind(), TargetKind::Multilabel);
    }

    #[test]
    fn probabilities_points_and_values_have_their_means() {
        let classes = Task::Class {
            column: "kind".into(),
            names: vec!["a".into(), "b".into()],
            counts: vec![1, 1],
        };
        let class = |p: [f32; 2]| Prediction::Class {
            probabilities: p.to_vec(),
        };
        let three = [class([1.0, 0.0]), class([0.5, 0.5]), class([0.0, 1.0])];
        assert_eq!(classes.mean(&three), Some(class([0.5, 0.5])));
        assert_eq!(classes.mean(&[]), None);

        let points = pair();
        let at = |xy: Vec<[f32; 2]>| Prediction::keypoints(xy);
        let two = [
            at(vec![[0.0, 2.0], [8.0, 8.0]]),
            at(vec![[4.0, 4.0], [8.0, 0.0]]),
        ];
        assert_eq!(points.mean(&two), Some(at(vec![[2.0, 3.0], [8.0, 4.0]])));

        // In logarithms: the mean of 1 and 100 is 10.
        let value = |scale| Task::Regression {
            columns: vec!["price".into()],
            scale,
            mean: vec![3.0],
            sd: vec![2.0],
            range: vec![[1.0, 100.0]],
        };
        let of = |x: f64| Prediction::Regression { values: vec![x] };
        let mean = |scale| match value(scale).mean(&[of(1.0), of(100.0)]) {
            Some(Prediction::Regression { values }) => values[0],
            other => panic!("{other:?}"),
        };
        assert!((mean(TargetScale::Log) - 10.0).abs() < 1e-9);
        assert_eq!(mean(TargetScale::Linear), 50.5);
    }

    fn pair() -> Task {
        Task::Keypoints {
            columns: ["x0", "y0", "x1", "y1"].map(String::from).to_vec(),
            symmetric: vec![[0, 1]],
            names: Vec::new(),
            skeleton: Vec::new(),
            sigmas: Vec::new(),
            normalizer: Normalizer::Diagonal,
            mean: vec![[0.25, 0.5], [0.75, 0.5]],
        }
    }

    #[test]
    fn the_mean_of_looks_joins_candidates_that_are_near_each_other() {
        let candidate = |probability, x: f32| Candidate {
            probability,
            xy: vec![[x, 0.0], [x + 1.0, 0.0]],
        };
        let look = |candidates: Vec<Candidate>| Prediction::Keypoints {
            xy: candidates[0].xy.clone(),
            confidence: Vec::new(),
            candidates,
        };
        // The two looks do not agree on which of two objects is meant: the mean of both is none.
        let two = [
            look(vec![candidate(0.6, 10.0), candidate(0.4, 50.0)]),
            look(vec![candidate(0.9, 52.0), candidate(0.1, 14.0)]),
        ];
        let Some(Prediction::Keypoints { xy, candidates, .. }) = pair().mean(&two) else {
            panic!("points")
        };
        assert_eq!(xy, [[51.0, 0.0], [52.0, 0.0]]);
        let said: Vec<(f32, f32)> = candidates
            .iter()
            .map(|of| ((100.0 * of.probability).round(), of.xy[0][0]))
            .collect();
        assert_eq!(said, [(65.0, 51.0), (35.0, 12.0)]);
    }

    #[test]
    fn a_constant_guess_of_points_scales_with_the_image() {
        let guess = Prediction::keypoints(vec![[50.0, 50.0], [150.0, 50.0]]);
        assert_eq!(pair().constant([200.0, 100.0]), Some(guess));
        assert_eq!(pair().constant([f32::NAN; 2]), None);
    }

    #[test]
    fn points_of_a_pair_swap_back() {
        let seen = Prediction::keypoints(vec![[1.0, 2.0], [3.0, 4.0]]);
        let Prediction::Keypoints { xy, .. } = pair().unmirrored(seen) else {
            panic!("points")
        };
        assert_eq!(xy, [[3.0, 4.0], [1.0, 2.0]]);
        let seen = Prediction::Keypoints {
            xy: xy.clone(),
            confidence: Vec::new(),
            candidates: vec![Candidate {
                probability: 1.0,
                xy,
            }],
        };
        let seen = pair().unmirrored(seen);
        assert_eq!(seen.candidates()[0].xy, [[1.0, 2.0], [3.0, 4.0]]);
    }
}
