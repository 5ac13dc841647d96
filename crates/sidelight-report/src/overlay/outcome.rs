//! What is true and what was predicted for one row, drawn.

use maud::{Markup, html};

use super::Thumbnail;
use super::draw::{arrows, bones, class_rows, label_rows, point, value_row};
use crate::number::{fixed, number};
use crate::page;
use sidelight_data::dataset::Targets;
use sidelight_data::image::Affine;
use sidelight_data::task::{Confidence, Prediction, Task};
use sidelight_data::write::TargetCell;
use sidelight_evidence::statistics::mean;

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
        /// Names of the classes.
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

/// A keypoint, true and predicted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PointMark {
    /// What it is called; its number where it has no name.
    pub name: String,
    /// Where it is.
    pub truth: Option<[f32; 2]>,
    /// Where the model puts it.
    pub prediction: Option<[f32; 2]>,
    /// Where other candidates for the object have it, those that are possible.
    pub others: Vec<[f32; 2]>,
    /// How sure the model is of it, where it says so.
    pub confidence: Option<Confidence>,
    /// Numbers of the points to which a line is drawn from here (`target.skeleton`).
    pub bones: Vec<usize>,
    /// What moves it to where the model puts it.
    pub arrows: Vec<ArrowMark>,
}

/// What moves a point.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ArrowMark {
    /// What moves it.
    pub name: String,
    /// Where the point would be without it.
    pub from: [f32; 2],
}

/// A label with its probability and whether it is true.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LabelBar {
    /// Name of the label.
    pub name: String,
    /// Predicted probability of the label.
    pub probability: Option<f32>,
    /// Whether it is true, where that is known.
    pub truth: Option<bool>,
}

/// A number on the range of the training rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ValueMark {
    /// Name of the target's column.
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
        let same_kind = target.is_none_or(|target| target.targets.kind() == task.kind())
            && prediction.is_none_or(|prediction| prediction.kind() == task.kind());
        assert!(same_kind, "target and prediction of the task's kind");
        match task {
            Task::Keypoints { .. } => points(task, target, prediction),
            Task::Class { names, .. } => class(names, target, prediction),
            Task::Multilabel { names, .. } => labels(names, target, prediction),
            Task::Regression { columns, range, .. } => values(columns, range, target, prediction),
        }
    }

    /// The same with its points in other coordinates.
    #[must_use]
    pub fn moved(self, to: &Affine) -> Self {
        let moved = |xy| to.apply(xy);
        let arrow = |arrow: ArrowMark| ArrowMark {
            from: moved(arrow.from),
            ..arrow
        };
        match self {
            Self::Keypoints(points) => Self::Keypoints(
                points
                    .into_iter()
                    .map(|point| PointMark {
                        truth: point.truth.map(moved),
                        prediction: point.prediction.map(moved),
                        others: point.others.into_iter().map(moved).collect(),
                        arrows: point.arrows.into_iter().map(arrow).collect(),
                        ..point
                    })
                    .collect(),
            ),
            other => other,
        }
    }

    /// How wrong it is, in words; empty where truth or prediction is unknown.
    pub fn score(&self) -> String {
        match self {
            Self::Keypoints(_) => self.mean_distance().map_or_else(String::new, |distance| {
                format!("error {} px", number(distance))
            }),
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
            let distance = (truth[0] - prediction[0]).hypot(truth[1] - prediction[1]);
            Some(f64::from(distance))
        };
        mean(&points.iter().filter_map(distance).collect::<Vec<f64>>())
    }

    /// The picture with the points over it.
    pub fn over(&self, picture: &Thumbnail, name: &str) -> Markup {
        let image = html! {
            image width=(picture.width) height=(picture.height) href=(picture.uri) {}
        };
        self.over_image([picture.width, picture.height], &image, name)
    }

    /// The same over an SVG element that draws the picture (one that is used several times, say).
    pub fn over_image(&self, [width, height]: [usize; 2], image: &Markup, name: &str) -> Markup {
        let points: &[PointMark] = match self {
            Self::Keypoints(points) => points,
            _ => &[],
        };
        // Marks keep their size on the page whatever the picture's; many are drawn smaller.
        let crowd = if points.len() > CROWD { 0.6 } else { 1.0 };
        let unit = width.max(height) as f32 / 240.0 * crowd;
        let magnified = magnified(points, width.max(height));
        html! {
            svg.picture viewBox={ "0 0 " (width) " " (height) } role="img" aria-label={ (name) (self.words()) } {
                (image)
                (bones(points))
                @for mark in points { (point(mark, unit)) }
                @for mark in points { (arrows(mark, unit, magnified)) }
            }
        }
    }

    /// How many times as long as they are its arrows are drawn on a picture of these sides.
    pub fn magnified(&self, [width, height]: [usize; 2]) -> f32 {
        match self {
            Self::Keypoints(points) => magnified(points, width.max(height)),
            _ => 1.0,
        }
    }

    /// What stands beneath the picture: bars of classes, numbers on their range.
    pub fn beneath(&self) -> Markup {
        match self {
            Self::Nothing | Self::Keypoints(_) => Markup::default(),
            Self::Class {
                names,
                probabilities,
                truth,
            } => class_rows(names, probabilities.as_deref(), *truth),
            Self::Multilabel(labels) => label_rows(labels),
            Self::Regression(marks) => page::all(marks.iter().map(value_row)),
        }
    }

    fn words(&self) -> String {
        let Self::Keypoints(points) = self else {
            return String::new();
        };
        let n = |is: fn(&&PointMark) -> bool| points.iter().filter(is).count();
        let n_true = n(|point| point.truth.is_some());
        let n_predicted = n(|point| point.prediction.is_some());
        let score = match self.score() {
            score if score.is_empty() => score,
            score => format!(", {score}"),
        };
        format!(": {n_true} true points (circles), {n_predicted} predicted (crosses){score}")
    }
}

/// 1, 2, 5, 10, … until the longest arrow would be longer than a quarter of the picture.
fn magnified(points: &[PointMark], side: usize) -> f32 {
    let length = |point: &PointMark| {
        let [x, y] = point.prediction?;
        let length = |arrow: &ArrowMark| (arrow.from[0] - x).hypot(arrow.from[1] - y);
        Some(point.arrows.iter().map(length).fold(0.0, f32::max))
    };
    let longest = points.iter().filter_map(length).fold(0.0, f32::max);
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
    let fits = |step: &f32| *step == 1.0 || step * longest <= side as f32 / 4.0;
    steps.into_iter().filter(fits).fold(1.0, f32::max)
}

fn points(task: &Task, target: Option<TargetCell<'_>>, prediction: Option<&Prediction>) -> Outcome {
    let known = |xy: [f32; 2]| (xy[0].is_finite() && xy[1].is_finite()).then_some(xy);
    let truth = |at: usize| match target?.targets {
        Targets::Keypoints { n_points, xy, .. } => known(xy[target?.position * n_points + at]),
        _ => None,
    };
    let predicted = |at: usize| match prediction? {
        Prediction::Keypoints { xy, .. } => known(xy[at]),
        _ => None,
    };
    let marks = point_marks(task).into_iter().enumerate();
    let mark = |(at, mark)| PointMark {
        truth: truth(at),
        prediction: predicted(at),
        others: others(prediction, at),
        confidence: prediction.and_then(|all| all.confidence().get(at).copied()),
        ..mark
    };
    Outcome::Keypoints(marks.map(mark).collect())
}

/// Less probable candidates are not drawn.
const LEAST_PROBABLE: f32 = 0.01;

/// Where the candidates after the first have a point.
pub(crate) fn others(prediction: Option<&Prediction>, point: usize) -> Vec<[f32; 2]> {
    let candidates = prediction.map_or(&[][..], Prediction::candidates);
    let possible = candidates.iter().skip(1);
    let possible = possible.filter(|of| of.probability >= LEAST_PROBABLE);
    possible
        .filter_map(|of| of.xy.get(point).copied())
        .collect()
}

/// The points of a task, without places.
pub(crate) fn point_marks(task: &Task) -> Vec<PointMark> {
    let skeleton: &[[usize; 2]] = match task {
        Task::Keypoints { skeleton, .. } => skeleton,
        _ => &[],
    };
    let bones = |at: usize| skeleton.iter().filter(move |bone| bone[0] == at);
    let names = task.part_names().into_iter().enumerate();
    names
        .map(|(at, name)| PointMark {
            name,
            bones: bones(at).map(|bone| bone[1]).collect(),
            ..PointMark::default()
        })
        .collect()
}

fn class(
    names: &[String],
    target: Option<TargetCell<'_>>,
    prediction: Option<&Prediction>,
) -> Outcome {
    let truth = || match target?.targets {
        Targets::Class {
            names: found,
            index,
        } => {
            let name = &found[index[target?.position]? as usize];
            names.iter().position(|known| known == name)
        }
        _ => None,
    };
    Outcome::Class {
        names: names.to_vec(),
        probabilities: prediction.map(|prediction| prediction.probabilities().to_vec()),
        truth: truth(),
    }
}

fn labels(
    names: &[String],
    target: Option<TargetCell<'_>>,
    prediction: Option<&Prediction>,
) -> Outcome {
    let truth = |name: &String| match target?.targets {
        Targets::Multilabel {
            names: found,
            present,
        } => {
            let at = found.iter().position(|known| known == name)?;
            present[target?.position * found.len() + at]
        }
        _ => None,
    };
    let bar = |(at, name): (usize, &String)| LabelBar {
        name: name.clone(),
        probability: prediction.map(|prediction| prediction.probabilities()[at]),
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
    let truth = |at: usize| match target?.targets {
        Targets::Regression { names, values } => known(values[target?.position * names.len() + at]),
        _ => None,
    };
    let predicted = prediction.map(Prediction::numbers);
    let mark = |(at, name): (usize, &String)| ValueMark {
        name: name.clone(),
        truth: truth(at),
        prediction: predicted.as_ref().and_then(|values| known(values[at])),
        range: range[at],
    };
    Outcome::Regression(columns.iter().enumerate().map(mark).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidelight_data::config::Normalizer;
    use sidelight_data::task::Candidate;

    fn task() -> Task {
        Task::Keypoints {
            columns: ["x0", "y0", "x1", "y1"].map(String::from).to_vec(),
            symmetric: Vec::new(),
            names: Vec::new(),
            skeleton: Vec::new(),
            sigmas: Vec::new(),
            normalizer: Normalizer::Diagonal,
            mean: Vec::new(),
        }
    }

    fn outcome() -> Outcome {
        let targets = Targets::keypoints(2, vec![[1.0, 2.0], [f32::NAN, 3.0]]);
        let target = TargetCell {
            targets: &targets,
            position: 0,
        };
        let prediction = Prediction::keypoints(vec![[4.0, 6.0], [7.0, 8.0]]);
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
        let svg = outcome.over(&picture, "row 1").into_string();
        insta::assert_snapshot!(svg.replace("><", ">\n<"), @r#"
        <svg class="picture" viewBox="0 0 240 120" role="img" aria-label="row 1: 1 true points (circles), 2 predicted (crosses), error 5 px">
        <image width="240" height="120" href="data:,">
        </image>
        <g class="point">
        <title>point 0</title>
        <path class="edge between" d="M1 2L4 6">
        </path>
        <circle class="edge truth" cx="1" cy="2" r="5">
        </circle>
        <path class="edge predicted" d="M0 2L8 10M0 10L8 2">
        </path>
        <path class="face between" d="M1 2L4 6">
        </path>
        <circle class="face truth" cx="1" cy="2" r="5">
        </circle>
        <path class="face predicted" d="M0 2L8 10M0 10L8 2">
        </path>
        </g>
        <g class="point">
        <title>point 1</title>
        <path class="edge predicted" d="M3 4L11 12M3 12L11 4">
        </path>
        <path class="face predicted" d="M3 4L11 12M3 12L11 4">
        </path>
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
                name: "point 1".into(),
                prediction: Some([2.0, 7.0]),
                ..PointMark::default()
            }
        );
    }

    #[test]
    fn bones_join_points_and_a_point_says_how_sure_it_is() {
        let mut task = task();
        if let Task::Keypoints {
            names, skeleton, ..
        } = &mut task
        {
            *names = ["nose", "ear"].map(String::from).to_vec();
            *skeleton = vec![[0, 1]];
        }
        let confidence = [0.97, 0.31].map(|visible| Confidence {
            visible,
            error: 2.25,
        });
        let prediction = Prediction::Keypoints {
            xy: vec![[4.0, 6.0], [7.0, 8.0]],
            confidence: confidence.to_vec(),
            candidates: [(0.7, 4.0), (0.299, 2.0), (0.001, 9.0)]
                .map(|(probability, x)| Candidate {
                    probability,
                    xy: vec![[x, 6.0], [x + 3.0, 8.0]],
                })
                .to_vec(),
        };
        let picture = Thumbnail {
            width: 10,
            height: 10,
            uri: String::new(),
        };
        let outcome = Outcome::new(&task, None, Some(&prediction));
        let html = outcome.over(&picture, "a.jpg").into_string();
        assert!(html.contains("d=\"M4 6L7 8\""), "{html}");
        assert!(
            html.contains("<title>nose: visible 97 %, expected error 2.25 px</title>"),
            "{html}"
        );
        assert_eq!(html.matches("point unsure").count(), 1, "{html}");
        // Of the other candidates the one that is possible, each point on an edge.
        assert_eq!(html.matches(" other\"").count(), 4, "{html}");
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
        .beneath()
        .into_string();
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
