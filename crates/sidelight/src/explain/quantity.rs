//! The one number of a prediction that is explained.

use crate::error::{Error, Result};
use crate::task::{Prediction, Task, argmax};

/// What is explained of a prediction.
///
/// | task | the number |
/// |---|---|
/// | class | the probability of the predicted class |
/// | labels | the probability of the likeliest label |
/// | value | the value of the first column, in its own unit |
/// | points | how far the points, or the chosen one, are from where the baseline has them, in the direction in which they went: the projection of all displacements onto the whole prediction's, divided by √points. Of the whole prediction it is the root mean square displacement in pixels, of the baseline 0 |
#[derive(Debug, Clone, PartialEq)]
pub enum Quantity {
    /// Probability of a class or label, by its place among the outputs.
    Probability(usize),
    /// The value of a column.
    Value(usize),
    /// Displacement from a baseline.
    Displacement {
        /// Of this point alone; `None`: of all.
        point: Option<usize>,
        /// The baseline's points, pixels.
        from: Vec<[f32; 2]>,
        /// `[point]`: direction of each, all of them together of length 1; 0 of one that is not asked for.
        direction: Vec<[f64; 2]>,
    },
}

impl Quantity {
    /// What is explained of a prediction, given the baseline's; of points all, or the chosen one.
    pub fn from_predictions(
        prediction: &Prediction,
        baseline: &Prediction,
        point: Option<usize>,
    ) -> Self {
        match (prediction, baseline) {
            (Prediction::Class { probabilities } | Prediction::Multilabel { probabilities }, _) => {
                Self::Probability(argmax(probabilities).unwrap_or(0))
            }
            (Prediction::Keypoints { xy, .. }, Prediction::Keypoints { xy: from, .. }) => {
                let pairs = xy.iter().zip(from).enumerate();
                let moved = pairs.map(|(at, (to, from))| match is_asked(point, at) {
                    true => displacement(*from, *to),
                    false => [0.0; 2],
                });
                let moved: Vec<[f64; 2]> = moved.collect();
                let length = moved.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
                let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
                Self::Displacement {
                    point,
                    from: from.clone(),
                    direction: moved.iter().map(|at| at.map(|x| x * scale)).collect(),
                }
            }
            _ => Self::Value(0),
        }
    }

    /// The number.
    ///
    /// # Panics
    ///
    /// Where the prediction is of another task.
    pub fn read(&self, prediction: &Prediction) -> f64 {
        match (self, prediction) {
            (
                Self::Probability(at),
                Prediction::Class { probabilities } | Prediction::Multilabel { probabilities },
            ) => probabilities[*at].into(),
            (Self::Value(column), Prediction::Regression { values }) => values[*column],
            (
                Self::Displacement {
                    point,
                    from,
                    direction,
                },
                Prediction::Keypoints { xy, .. },
            ) => {
                let along = xy.iter().zip(from).zip(direction);
                let along = along.map(|((to, from), direction)| {
                    let [x, y] = displacement(*from, *to);
                    x * direction[0] + y * direction[1]
                });
                along.sum::<f64>() / n_points(*point, xy).sqrt()
            }
            _ => panic!("{self:?} is no quantity of {prediction:?}"),
        }
    }

    /// How it changes from one prediction to another: the second's number minus the first's. Of points it is how far they
    /// are from one another, whatever the direction, in pixels, the root mean square over points.
    ///
    /// # Panics
    ///
    /// As [`Quantity::read`].
    pub fn change(&self, from: &Prediction, to: &Prediction) -> f64 {
        match (self, from, to) {
            (
                Self::Displacement { point, .. },
                Prediction::Keypoints { xy: from, .. },
                Prediction::Keypoints { xy: to, .. },
            ) => {
                let pairs = from.iter().zip(to).enumerate();
                let asked = pairs.filter(|(at, _)| is_asked(*point, *at));
                let squares = asked.map(|(_, (from, to))| {
                    let [x, y] = displacement(*from, *to);
                    x * x + y * y
                });
                (squares.sum::<f64>() / n_points(*point, to)).sqrt()
            }
            _ => self.read(to) - self.read(from),
        }
    }

    /// In words, unit included.
    pub fn name(&self, task: &Task) -> String {
        match self {
            Self::Probability(at) => format!("probability of {}", task.names()[*at]),
            Self::Value(column) => task.names()[*column].clone(),
            Self::Displacement { point: None, .. } => "displacement, px".into(),
            Self::Displacement {
                point: Some(point), ..
            } => format!("displacement of {}, px", task.part_names()[*point]),
        }
    }
}

/// The number of a point, given its name, its number, `p` and its number as in columns of predictions (`p0_conf`), or one of
/// its two columns.
///
/// # Errors
///
/// [`Error::NoPoint`]: there is none, or the target is not keypoints.
pub fn point_number(task: &Task, name: &str) -> Result<usize> {
    let (names, columns) = match task {
        Task::Keypoints { columns, .. } => (task.part_names(), &columns[..]),
        _ => (Vec::new(), &[][..]),
    };
    let named = names.iter().position(|known| known == name);
    let column = || Some(columns.iter().position(|known| known == name)? / 2);
    let digits = name.strip_prefix('p').unwrap_or(name);
    let number = || digits.parse().ok().filter(|number| *number < names.len());
    let found = named.or_else(column).or_else(number);
    found.ok_or_else(|| Error::NoPoint {
        name: name.to_owned(),
        names,
    })
}

/// From one point to another.
pub(super) fn displacement(from: [f32; 2], to: [f32; 2]) -> [f64; 2] {
    [0, 1].map(|axis| f64::from(to[axis]) - f64::from(from[axis]))
}

fn is_asked(point: Option<usize>, at: usize) -> bool {
    point.is_none_or(|point| point == at)
}

fn n_points(point: Option<usize>, xy: &[[f32; 2]]) -> f64 {
    point.map_or(xy.len().max(1), |_| 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displacement_is_the_root_mean_square_of_the_whole_and_0_of_the_baseline() {
        let points = |xy: &[[f32; 2]]| Prediction::keypoints(xy.to_vec());
        let (whole, base) = (points(&[[3.0, 4.0], [0.0, 0.0]]), points(&[[0.0; 2]; 2]));
        let quantity = Quantity::from_predictions(&whole, &base, None);
        assert!((quantity.read(&whole) - (25.0_f64 / 2.0).sqrt()).abs() < 1e-12);
        assert_eq!(quantity.read(&base), 0.0);
        // Sideways of the way it went is no way.
        assert!(quantity.read(&points(&[[-4.0, 3.0], [9.0, 9.0]])).abs() < 1e-12);
    }

    #[test]
    fn a_chosen_point_is_measured_alone() {
        let points = |xy: &[[f32; 2]]| Prediction::keypoints(xy.to_vec());
        let (whole, base) = (
            points(&[[3.0, 4.0], [6.0, 8.0]]),
            points(&[[9.0, 9.0], [0.0, 0.0]]),
        );
        let quantity = Quantity::from_predictions(&whole, &base, Some(1));
        assert!((quantity.read(&whole) - 10.0).abs() < 1e-12);
        // The other point may go where it will; this one goes 5 pixels sideways.
        let elsewhere = points(&[[77.0, 0.0], [10.0, 5.0]]);
        assert!((quantity.read(&elsewhere) - 10.0).abs() < 1e-12);
        assert!((quantity.change(&elsewhere, &whole) - 5.0).abs() < 1e-12);
        // Of both it is the root mean square: 0 and 5 pixels.
        let both = Quantity::from_predictions(&whole, &base, None);
        let beside = points(&[[3.0, 4.0], [10.0, 5.0]]);
        assert!((both.change(&beside, &whole) - (25.0_f64 / 2.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_point_is_found_by_name_number_or_column() {
        let task = Task::Keypoints {
            columns: ["nose_x", "nose_y", "ear_x", "ear_y"]
                .map(String::from)
                .to_vec(),
            symmetric: Vec::new(),
            names: ["nose", "ear"].map(String::from).to_vec(),
            skeleton: Vec::new(),
            sigmas: Vec::new(),
            normalizer: crate::config::Normalizer::Diagonal,
            mean: Vec::new(),
        };
        for name in ["ear", "1", "ear_x", "ear_y"] {
            assert_eq!(point_number(&task, name).unwrap(), 1, "{name}");
        }
        for name in ["eye", "2", "-1", ""] {
            let found = point_number(&task, name).unwrap_err();
            assert!(
                matches!(&found, Error::NoPoint { names, .. } if *names == ["nose", "ear"]),
                "{found:?}"
            );
        }
        let class = Task::Class {
            column: "kind".into(),
            names: ["a", "b"].map(String::from).to_vec(),
            counts: vec![1, 1],
        };
        let found = point_number(&class, "0").unwrap_err();
        assert!(
            matches!(&found, Error::NoPoint { names, .. } if names.is_empty()),
            "{found:?}"
        );
    }

    #[test]
    fn of_a_class_it_is_the_probability_of_the_likeliest() {
        let class = |p: [f32; 3]| Prediction::Class {
            probabilities: p.to_vec(),
        };
        let quantity =
            Quantity::from_predictions(&class([0.2, 0.5, 0.3]), &class([1.0, 0.0, 0.0]), None);
        assert_eq!(quantity, Quantity::Probability(1));
    }
}
