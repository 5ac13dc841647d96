//! Predicted against true: the drawings that suit each task.

use maud::Markup;

use crate::chart::{ConfusionMatrix, Histogram, ReliabilityDiagram, ScaleKind, ScatterPlot};
use crate::number::n_is;
use crate::overlay::{LabelBar, Outcome};
use crate::page;
use sidelight_data::config::TargetScale;
use sidelight_data::dataset::Targets;
use sidelight_data::task::{Prediction, Task, argmax};
use sidelight_data::write::TargetCell;
use sidelight_evidence::metric::calibration::reliability;

/// Bins of a reliability diagram.
const BINS: usize = 10;

/// A drawing of predicted against true.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// Which classes are taken for which.
    Confusion(ConfusionMatrix),
    /// A number against its truth.
    Scatter(ScatterPlot),
    /// How often each size of error occurs.
    Errors(Histogram),
    /// Whether probabilities mean what they say.
    Reliability(ReliabilityDiagram),
}

impl Detail {
    /// Drawings that suit the task, over rows whose target and prediction are known.
    ///
    /// `predictions` are those of the rows at `positions`.
    ///
    /// # Panics
    ///
    /// Where targets or predictions are of another task.
    pub fn new(
        task: &Task,
        targets: &Targets,
        positions: &[usize],
        predictions: &[Option<Prediction>],
    ) -> Vec<Self> {
        let outcomes: Vec<Outcome> = positions
            .iter()
            .zip(predictions)
            .filter_map(|(&position, prediction)| {
                let target = TargetCell { targets, position };
                Some(Outcome::new(task, Some(target), Some(prediction.as_ref()?)))
            })
            .collect();
        match task {
            Task::Keypoints { .. } => vec![Self::Errors(point_errors(&outcomes))],
            Task::Class { names, .. } => {
                vec![
                    Self::Reliability(class_reliability(&outcomes)),
                    Self::Confusion(confusion(names, &outcomes)),
                ]
            }
            Task::Multilabel { .. } => vec![Self::Reliability(label_reliability(&outcomes))],
            Task::Regression { columns, scale, .. } => {
                let column = |at| Self::Scatter(scatter(&outcomes, at, *scale));
                (0..columns.len()).map(column).collect()
            }
        }
    }

    pub(super) fn html(&self) -> Markup {
        let (drawing, title, caption, n) = match self {
            Self::Confusion(matrix) => (
                matrix.html(),
                "Confusion.",
                "Rows of each class and what they were taken for",
                matrix.n(),
            ),
            Self::Scatter(plot) => (
                plot.svg(),
                "Predicted against true.",
                "One point per row; on the dotted line both are equal",
                plot.n(),
            ),
            Self::Errors(histogram) => (
                histogram.svg(),
                "Size of the error.",
                "One count per row",
                histogram.n(),
            ),
            Self::Reliability(diagram) => (
                diagram.svg(),
                "Calibration.",
                "On the dotted line probabilities mean what they say; whiskers are 95 % intervals",
                diagram.n(),
            ),
        };
        page::figure(&drawing, title, &format!("{caption}; {}.", n_is(n)))
    }
}

fn point_errors(outcomes: &[Outcome]) -> Histogram {
    let error = |outcome: &Outcome| match outcome {
        Outcome::Keypoints(_) => outcome.mean_distance(),
        _ => None,
    };
    Histogram {
        label: "mean error of a row, px".into(),
        values: outcomes.iter().filter_map(error).collect(),
    }
}

/// True class, predicted class and its probability of the rows whose class is known.
fn decisions(outcomes: &[Outcome]) -> impl Iterator<Item = (usize, usize, f32)> {
    outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Class {
            probabilities: Some(probabilities),
            truth: Some(truth),
            ..
        } => {
            let best = argmax(probabilities)?;
            Some((*truth, best, probabilities[best]))
        }
        _ => None,
    })
}

fn confusion(names: &[String], outcomes: &[Outcome]) -> ConfusionMatrix {
    ConfusionMatrix::from_pairs(
        names,
        decisions(outcomes).map(|(truth, predicted, _)| (truth, predicted)),
    )
}

fn class_reliability(outcomes: &[Outcome]) -> ReliabilityDiagram {
    let pairs = decisions(outcomes).map(|(truth, predicted, p)| (f64::from(p), truth == predicted));
    one_series("predicted class", pairs)
}

fn label_reliability(outcomes: &[Outcome]) -> ReliabilityDiagram {
    let pairs = outcomes.iter().flat_map(|outcome| match outcome {
        Outcome::Multilabel(labels) => {
            let known = |label: &LabelBar| Some((f64::from(label.probability?), label.truth?));
            labels.iter().filter_map(known).collect()
        }
        _ => Vec::new(),
    });
    one_series("all labels", pairs)
}

fn one_series(name: &str, pairs: impl Iterator<Item = (f64, bool)>) -> ReliabilityDiagram {
    let (given, came_true): (Vec<f64>, Vec<bool>) = pairs.unzip();
    ReliabilityDiagram {
        series: vec![(name.into(), reliability(&given, &came_true, None, BINS))],
    }
}

fn scatter(outcomes: &[Outcome], column: usize, scale: TargetScale) -> ScatterPlot {
    let mark = |outcome: &Outcome| match outcome {
        Outcome::Regression(marks) => {
            let mark = &marks[column];
            Some((mark.name.clone(), [mark.truth?, mark.prediction?]))
        }
        _ => None,
    };
    let (names, points): (Vec<_>, Vec<_>) = outcomes.iter().filter_map(mark).unzip();
    let scale = match scale {
        TargetScale::Linear => ScaleKind::Linear,
        TargetScale::Log => ScaleKind::Log,
    };
    ScatterPlot {
        label: names.into_iter().next().unwrap_or_default(),
        points,
        scale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_prediction_or_truth_are_not_drawn() {
        let task = Task::Regression {
            columns: vec!["price".into()],
            scale: TargetScale::Log,
            mean: vec![0.0],
            sd: vec![1.0],
            range: vec![[1.0, 2.0]],
        };
        let targets = Targets::Regression {
            names: vec!["price".into()],
            values: vec![1.0, f64::NAN, 3.0],
        };
        let value = |value| {
            Some(Prediction::Regression {
                values: vec![value],
            })
        };
        let details = Detail::new(&task, &targets, &[0, 1, 2], &[value(1.5), value(2.0), None]);
        let [Detail::Scatter(plot)] = &details[..] else {
            panic!("{details:?}")
        };
        assert_eq!(
            (plot.points.as_slice(), plot.scale),
            (&[[1.0, 1.5]][..], ScaleKind::Log)
        );
    }

    #[test]
    fn decisions_fill_matrix_and_diagram() {
        let names: Vec<String> = ["a", "b"].map(String::from).to_vec();
        let task = Task::Class {
            column: "kind".into(),
            names: names.clone(),
            counts: vec![1, 1],
        };
        let targets = Targets::Class {
            names,
            index: vec![Some(0), Some(1), None],
        };
        let p = |p: f32| {
            Some(Prediction::Class {
                probabilities: vec![p, 1.0 - p],
            })
        };
        let details = Detail::new(&task, &targets, &[0, 1, 2], &[p(0.9), p(0.8), p(0.5)]);
        let [Detail::Reliability(diagram), Detail::Confusion(matrix)] = &details[..] else {
            panic!("{details:?}")
        };
        assert_eq!(matrix.counts, [[1, 0], [1, 0]]);
        assert_eq!(diagram.n(), 2);
    }
}
