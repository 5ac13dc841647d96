//! The one number of a prediction that is explained.

use crate::task::{Prediction, Task};

/// What is explained of a prediction.
///
/// | task | the number |
/// |---|---|
/// | class | the probability of the predicted class |
/// | labels | the probability of the likeliest label |
/// | value | the value of the first column, in its own unit |
/// | points | how far the points are from where the baseline has them, in the direction in which they went: the projection of all displacements onto the whole prediction's, divided by √points. Of the whole prediction it is the root mean square displacement in pixels, of the baseline 0 |
#[derive(Debug, Clone, PartialEq)]
pub enum Quantity {
    /// Probability of a class or label, by its place among the outputs.
    Probability(usize),
    /// The value of a column.
    Value(usize),
    /// Displacement from a baseline.
    Displacement {
        /// The baseline's points, pixels.
        from: Vec<[f32; 2]>,
        /// `[point]`: direction of each, all of them together of length 1.
        direction: Vec<[f64; 2]>,
    },
}

impl Quantity {
    /// What is explained of a prediction, given the baseline's.
    pub fn from_predictions(prediction: &Prediction, baseline: &Prediction) -> Self {
        match (prediction, baseline) {
            (Prediction::Class { probabilities } | Prediction::Multilabel { probabilities }, _) => {
                Self::Probability(largest(probabilities))
            }
            (Prediction::Keypoints { xy, .. }, Prediction::Keypoints { xy: from, .. }) => {
                let moved = xy.iter().zip(from).map(|(to, from)| {
                    [
                        f64::from(to[0]) - f64::from(from[0]),
                        f64::from(to[1]) - f64::from(from[1]),
                    ]
                });
                let moved: Vec<[f64; 2]> = moved.collect();
                let length = moved.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
                let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
                Self::Displacement {
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
            (Self::Displacement { from, direction }, Prediction::Keypoints { xy, .. }) => {
                let along = xy.iter().zip(from).zip(direction);
                let along = along.map(|((to, from), direction)| {
                    (f64::from(to[0]) - f64::from(from[0])) * direction[0]
                        + (f64::from(to[1]) - f64::from(from[1])) * direction[1]
                });
                along.sum::<f64>() / (xy.len().max(1) as f64).sqrt()
            }
            _ => panic!("{self:?} is no quantity of {prediction:?}"),
        }
    }

    /// In words, unit included.
    pub fn name(&self, task: &Task) -> String {
        match self {
            Self::Probability(at) => format!("probability of {}", task.names()[*at]),
            Self::Value(column) => task.names()[*column].clone(),
            Self::Displacement { .. } => "displacement, px".into(),
        }
    }

    /// The weight of each network output in the number that [`grad_cam()`](super::grad_cam()) differentiates: the
    /// class's logit, the value on the scale it is learned on, the displacement of the points in the input square.
    pub fn weights(&self, output: &[f32], baseline: &[f32]) -> Vec<f32> {
        match self {
            Self::Probability(at) | Self::Value(at) => (0..output.len())
                .map(|other| f32::from(u8::from(other == *at)))
                .collect(),
            Self::Displacement { .. } => {
                let moved = output.iter().zip(baseline).map(|(to, from)| to - from);
                let moved: Vec<f32> = moved.collect();
                let length = moved.iter().map(|x| x * x).sum::<f32>().sqrt();
                let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
                moved.iter().map(|x| x * scale).collect()
            }
        }
    }
}

/// The first of the largest.
fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (at, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = at;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displacement_is_the_root_mean_square_of_the_whole_and_0_of_the_baseline() {
        let points = |xy: &[[f32; 2]]| Prediction::keypoints(xy.to_vec());
        let (whole, base) = (points(&[[3.0, 4.0], [0.0, 0.0]]), points(&[[0.0; 2]; 2]));
        let quantity = Quantity::from_predictions(&whole, &base);
        assert!((quantity.read(&whole) - (25.0_f64 / 2.0).sqrt()).abs() < 1e-12);
        assert_eq!(quantity.read(&base), 0.0);
        // Sideways of the way it went is no way.
        assert!(quantity.read(&points(&[[-4.0, 3.0], [9.0, 9.0]])).abs() < 1e-12);
    }

    #[test]
    fn of_a_class_it_is_the_probability_of_the_likeliest() {
        let class = |p: [f32; 3]| Prediction::Class {
            probabilities: p.to_vec(),
        };
        let quantity = Quantity::from_predictions(&class([0.2, 0.5, 0.3]), &class([1.0, 0.0, 0.0]));
        assert_eq!(quantity, Quantity::Probability(1));
        assert_eq!(
            quantity.weights(&[1.0, 2.0, 0.0], &[0.0; 3]),
            [0.0, 1.0, 0.0]
        );
    }
}
