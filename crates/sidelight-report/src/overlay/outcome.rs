//! What is true and what was predicted for one row, drawn.

use super::Thumbnail;
use super::draw::{class_rows, label_rows, put_point, value_row};
use crate::escape::escape;
use crate::number::{fixed, number};
use sidelight_data::dataset::Targets;
use sidelight_data::image::Affine;
use sidelight_data::task::{Prediction, Task};
use sidelight_data::write::TargetCell;

/// More points than this would hide the picture at their usual size.
const CROWD: usize = 16;

/// What is true and what was predicted for one row.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Outcome {
    /// Neither is known.
    #[default]
    Nothing,
    /// Points, in pixels of the picture they are shown on.
    Keypoints(Vec<PointMark>),
    /// One of several classes.
    Class {
        /// The classes.
        names: Vec<String>,
        /// One a class.
        probabilities: Option<Vec<f32>>,
        /// Which is true.
        truth: Option<usize>,
    },
    /// Any number of labels.
    Multilabel(Vec<LabelBar>),
    /// Numbers in their own unit.
    Regression(Vec<ValueMark>),
}

/// A point.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PointMark {
    /// Where it is.
    pub truth: Option<[f32; 2]>,
    /// Where the model puts it.
    pub prediction: Option<[f32; 2]>,
}

/// A label.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LabelBar {
    /// Its name.
    pub name: String,
    /// Its probability.
    pub probability: Option<f32>,
    /// Whether it is true, where that is known.
    pub truth: Option<bool>,
}

/// A number on the range of the training rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ValueMark {
    /// The column.
    pub name: String,
    /// What it is.
    pub truth: Option<f64>,
    /// What the model says.
    pub prediction: Option<f64>,
    /// Smallest and largest value among training rows.
    pub range: [f64; 2],
}

impl Outcome {
    /// What is true and what was predicted, either of which may be unknown.
    ///
    /// # Panics
    ///
    /// Where target or prediction are of another task.
    pub fn new(
        task: &Task,
        target: Option<TargetCell<'_>>,
        prediction: Option<&Prediction>,
    ) -> Self {
        if target.is_none() && prediction.is_none() {
            return Self::Nothing;
        }
        match task {
            Task::Keypoints { columns, .. } => points(columns.len() / 2, target, prediction),
            Task::Class { names, .. } => class(names, target, prediction),
            Task::Multilabel { names, .. } => labels(names, target, prediction),
            Task::Regression { columns, range, .. } => values(columns, range, target, prediction),
        }
    }

    /// The same with its points in other coordinates.
    #[must_use]
    pub fn moved(self, to: &Affine) -> Self {
        let Affine([a, b, c, d, e, f]) = *to;
        let moved = |[x, y]: [f32; 2]| [a * x + b * y + c, d * x + e * y + f];
        match self {
            Self::Keypoints(points) => Self::Keypoints(
                points
                    .into_iter()
                    .map(|point| PointMark {
                        truth: point.truth.map(moved),
                        prediction: point.prediction.map(moved),
                    })
                    .collect(),
            ),
            other => other,
        }
    }

    /// How wrong it is, in words; empty where truth or prediction is unknown.
    pub fn score(&self) -> String {
        match self {
            Self::Keypoints(_) => match self.mean_distance() {
                Some(distance) => format!("error {} px", number(distance)),
                None => String::new(),
            },
            Self::Class {
                probabilities: Some(probabilities),
                truth: Some(truth),
                ..
            } => {
                format!("p(true) = {}", fixed(probabilities[*truth].into(), 2))
            }
            Self::Regression(marks) => match &marks[..] {
                [
                    ValueMark {
                        truth: Some(truth),
                        prediction: Some(prediction),
                        ..
                    },
                ] => {
                    format!("error {}", number((prediction - truth).abs()))
                }
                _ => String::new(),
            },
            _ => String::new(),
        }
    }

    /// Mean distance of predicted from true points, pixels; `None` where there is no such pair.
    pub fn mean_distance(&self) -> Option<f64> {
        let Self::Keypoints(points) = self else {
            return None;
        };
        let distance = |point: &PointMark| {
            let (truth, prediction) = point.truth.zip(point.prediction)?;
            Some(f64::from(
                (truth[0] - prediction[0]).hypot(truth[1] - prediction[1]),
            ))
        };
        let distances: Vec<f64> = points.iter().filter_map(distance).collect();
        match distances.len() {
            0 => None,
            n => Some(distances.iter().sum::<f64>() / n as f64),
        }
    }

    /// The picture with the points over it.
    pub fn over(&self, picture: &Thumbnail, name: &str) -> String {
        let image = format!(
            "<image width=\"{}\" height=\"{}\" href=\"{}\"/>",
            picture.width, picture.height, picture.uri
        );
        self.over_image([picture.width, picture.height], &image, name)
    }

    /// The same over an SVG element that draws the picture (one that is used several times, say).
    pub fn over_image(&self, [width, height]: [usize; 2], image: &str, name: &str) -> String {
        let mut out = String::new();
        put!(
            &mut out,
            "<svg class=\"picture\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">{image}",
            escape(&format!("{name}{}", self.words()))
        );
        if let Self::Keypoints(points) = self {
            // Marks keep their size on the page whatever the picture's; many are drawn smaller.
            let crowd = if points.len() > CROWD { 0.6 } else { 1.0 };
            let unit = width.max(height) as f32 / 240.0 * crowd;
            for (at, point) in points.iter().enumerate() {
                put_point(&mut out, at, point, unit);
            }
        }
        out.push_str("</svg>");
        out
    }

    /// What stands beneath the picture: bars of classes, numbers on their range.
    pub fn beneath(&self) -> String {
        match self {
            Self::Nothing | Self::Keypoints(_) => String::new(),
            Self::Class {
                names,
                probabilities,
                truth,
            } => class_rows(names, probabilities.as_deref(), *truth),
            Self::Multilabel(labels) => label_rows(labels),
            Self::Regression(marks) => marks.iter().map(value_row).collect(),
        }
    }

    fn words(&self) -> String {
        let Self::Keypoints(points) = self else {
            return String::new();
        };
        let n_true = points.iter().filter(|point| point.truth.is_some()).count();
        let n_predicted = points
            .iter()
            .filter(|point| point.prediction.is_some())
            .count();
        let score = self.score();
        let score = if score.is_empty() {
            score
        } else {
            format!(", {score}")
        };
        format!(": {n_true} true points (circles), {n_predicted} predicted (crosses){score}")
    }
}

fn points(n: usize, target: Option<TargetCell<'_>>, prediction: Option<&Prediction>) -> Outcome {
    let known = |xy: [f32; 2]| (xy[0].is_finite() && xy[1].is_finite()).then_some(xy);
    let truth = |at: usize| match target {
        None => None,
        Some(TargetCell {
            targets: Targets::Keypoints { n_points, xy },
            position,
        }) => known(xy[position * n_points + at]),
        Some(_) => panic!("a target of points"),
    };
    let predicted = |at: usize| match prediction {
        None => None,
        Some(Prediction::Keypoints { xy }) => known(xy[at]),
        Some(_) => panic!("a prediction of points"),
    };
    let mark = |at| PointMark {
        truth: truth(at),
        prediction: predicted(at),
    };
    Outcome::Keypoints((0..n).map(mark).collect())
}

fn class(
    names: &[String],
    target: Option<TargetCell<'_>>,
    prediction: Option<&Prediction>,
) -> Outcome {
    let truth = target.and_then(|TargetCell { targets, position }| match targets {
        Targets::Class {
            names: found,
            index,
        } => {
            let name = &found[index[position]? as usize];
            names.iter().position(|known| known == name)
        }
        _ => panic!("a target of one class"),
    });
    let probabilities = prediction.map(|prediction| match prediction {
        Prediction::Class { probabilities } => probabilities.clone(),
        _ => panic!("a prediction of one class"),
    });
    Outcome::Class {
        names: names.to_vec(),
        probabilities,
        truth,
    }
}

fn labels(
    names: &[String],
    target: Option<TargetCell<'_>>,
    prediction: Option<&Prediction>,
) -> Outcome {
    let truth = |name: &String| match target? {
        TargetCell {
            targets:
                Targets::Multilabel {
                    names: found,
                    present,
                },
            position,
        } => {
            let at = found.iter().position(|known| known == name)?;
            present[position * found.len() + at]
        }
        _ => panic!("a target of labels"),
    };
    let probability = |at: usize| match prediction? {
        Prediction::Multilabel { probabilities } => Some(probabilities[at]),
        _ => panic!("a prediction of labels"),
    };
    let bar = |(at, name): (usize, &String)| LabelBar {
        name: name.clone(),
        probability: probability(at),
        truth: truth(name),
    };
    Outcome::Multilabel(names.iter().enumerate().map(bar).collect())
}

fn values(
    columns: &[String],
    range: &[[f64; 2]],
    target: Option<TargetCell<'_>>,
    prediction: Option<&Prediction>,
) -> Outcome {
    let known = |value: f64| value.is_finite().then_some(value);
    let truth = |at: usize| match target? {
        TargetCell {
            targets: Targets::Regression { names, values },
            position,
        } => known(values[position * names.len() + at]),
        _ => panic!("a target of numbers"),
    };
    let predicted = |at: usize| match prediction? {
        Prediction::Regression { values } => known(values[at]),
        _ => panic!("a prediction of numbers"),
    };
    let mark = |(at, name): (usize, &String)| ValueMark {
        name: name.clone(),
        truth: truth(at),
        prediction: predicted(at),
        range: range[at],
    };
    Outcome::Regression(columns.iter().enumerate().map(mark).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidelight_data::config::Normalizer;

    fn task() -> Task {
        Task::Keypoints {
            columns: ["x0", "y0", "x1", "y1"].map(String::from).to_vec(),
            symmetric: Vec::new(),
            normalizer: Normalizer::Diagonal,
        }
    }

    fn outcome() -> Outcome {
        let targets = Targets::Keypoints {
            n_points: 2,
            xy: vec![[1.0, 2.0], [f32::NAN, 3.0]],
        };
        let target = TargetCell {
            targets: &targets,
            position: 0,
        };
        let prediction = Prediction::Keypoints {
            xy: vec![[4.0, 6.0], [7.0, 8.0]],
        };
        Outcome::new(&task(), Some(target), Some(&prediction))
    }

    #[test]
    fn a_missing_point_has_no_circle_and_counts_for_nothing() {
        let outcome = outcome();
        assert_eq!(outcome.score(), "error 5 px");
        let picture = Thumbnail {
            width: 240,
            height: 120,
            uri: "data:,".into(),
        };
        let svg = outcome.over(&picture, "row 1");
        insta::assert_snapshot!(svg.replace("><", ">\n<"), @r#"
        <svg class="picture" viewBox="0 0 240 120" role="img" aria-label="row 1: 1 true points (circles), 2 predicted (crosses), error 5 px">
        <image width="240" height="120" href="data:,"/>
        <g class="point">
        <title>point 0</title>
        <path class="edge between" d="M1 2L4 6"/>
        <circle class="edge truth" cx="1" cy="2" r="5"/>
        <path class="edge predicted" d="M0 2L8 10M0 10L8 2"/>
        <path class="face between" d="M1 2L4 6"/>
        <circle class="face truth" cx="1" cy="2" r="5"/>
        <path class="face predicted" d="M0 2L8 10M0 10L8 2"/>
        </g>
        <g class="point">
        <title>point 1</title>
        <path class="edge predicted" d="M3 4L11 12M3 12L11 4"/>
        <path class="face predicted" d="M3 4L11 12M3 12L11 4"/>
        </g>
        </svg>
        "#);
    }

    #[test]
    fn points_follow_their_picture() {
        // A quarter turn of a picture that is 10 pixels high: (x, y) goes to (10 - y, x).
        let Outcome::Keypoints(points) = outcome().moved(&Affine([0.0, -1.0, 10.0, 1.0, 0.0, 0.0]))
        else {
            panic!("points stay points");
        };
        assert_eq!(points[0].truth, Some([8.0, 1.0]));
        assert_eq!(
            points[1],
            PointMark {
                truth: None,
                prediction: Some([2.0, 7.0])
            }
        );
    }

    #[test]
    fn the_true_class_is_always_among_those_shown() {
        let names: Vec<String> = (0..9).map(|k| format!("class {k}")).collect();
        let probabilities = (0..9).map(|k| 0.2 - k as f32 * 0.02).collect();
        let html = Outcome::Class {
            names,
            probabilities: Some(probabilities),
            truth: Some(8),
        }
        .beneath();
        assert_eq!(html.matches("<tr>").count(), 5);
        assert_eq!(html.matches('○').count(), 1);
    }

    #[test]
    fn a_class_is_matched_by_name_since_tables_number_them_differently() {
        let task = Task::Class {
            column: "kind".into(),
            names: ["a", "b"].map(String::from).to_vec(),
            counts: vec![1, 1],
        };
        let targets = Targets::Class {
            names: vec!["b".into(), "c".into()],
            index: vec![Some(0), Some(1)],
        };
        let truth = |position| match Outcome::new(
            &task,
            Some(TargetCell {
                targets: &targets,
                position,
            }),
            None,
        ) {
            Outcome::Class { truth, .. } => truth,
            other => panic!("{other:?}"),
        };
        assert_eq!((truth(0), truth(1)), (Some(1), None));
    }
}
