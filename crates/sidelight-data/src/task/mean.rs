//! Several predictions of one row as one: of an image that was looked at more than once.

use super::{Prediction, Task, backward, forward};

impl Task {
    /// What a prediction for a mirrored image says of the image itself, its points mapped back already: those of a
    /// symmetric pair swap, for in a mirrored image the left one is where the right one was.
    #[must_use]
    pub fn unmirrored(&self, mut prediction: Prediction) -> Prediction {
        if let (Self::Points { symmetric, .. }, Prediction::Points { xy }) = (self, &mut prediction)
        {
            for &[first, second] in symmetric {
                xy.swap(first, second);
            }
        }
        prediction
    }

    /// The mean of predictions of this task: of probabilities, of points in pixels, of values on the scale that they
    /// are learned on (their logarithms, on a log scale). `None` of none.
    pub fn mean(&self, predictions: &[Prediction]) -> Option<Prediction> {
        let n = predictions.len() as f64;
        let mean = |of: &dyn Fn(&Prediction) -> f64| predictions.iter().map(of).sum::<f64>() / n;
        let probabilities = |n_classes: usize| -> Vec<f32> {
            let of = |class: usize| {
                move |prediction: &Prediction| match prediction {
                    Prediction::Class { probabilities } | Prediction::Classes { probabilities } => {
                        f64::from(probabilities[class])
                    }
                    _ => f64::NAN,
                }
            };
            (0..n_classes)
                .map(|class| mean(&of(class)) as f32)
                .collect()
        };
        Some(match (self, predictions.first()?) {
            (_, Prediction::Class { probabilities: p }) => Prediction::Class {
                probabilities: probabilities(p.len()),
            },
            (_, Prediction::Classes { probabilities: p }) => Prediction::Classes {
                probabilities: probabilities(p.len()),
            },
            (_, Prediction::Points { xy }) => {
                let of = |point: usize, axis: usize| {
                    move |prediction: &Prediction| match prediction {
                        Prediction::Points { xy } => f64::from(xy[point][axis]),
                        _ => f64::NAN,
                    }
                };
                let point = |i| [0, 1].map(|axis| mean(&of(i, axis)) as f32);
                Prediction::Points {
                    xy: (0..xy.len()).map(point).collect(),
                }
            }
            (Self::Value { scale, .. }, Prediction::Value { values }) => {
                let of = |column: usize| {
                    move |prediction: &Prediction| match prediction {
                        Prediction::Value { values } => forward(*scale, values[column]),
                        _ => f64::NAN,
                    }
                };
                let value = |column| backward(*scale, mean(&of(column)));
                Prediction::Value {
                    values: (0..values.len()).map(value).collect(),
                }
            }
            (_, other) => other.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Normalizer, TargetScale};

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

        let points = points();
        let at = |xy: Vec<[f32; 2]>| Prediction::Points { xy };
        let two = [
            at(vec![[0.0, 2.0], [8.0, 8.0]]),
            at(vec![[4.0, 4.0], [8.0, 0.0]]),
        ];
        assert_eq!(points.mean(&two), Some(at(vec![[2.0, 3.0], [8.0, 4.0]])));

        // In logarithms: the mean of 1 and 100 is 10.
        let value = |scale| Task::Value {
            columns: vec!["price".into()],
            scale,
            mean: vec![3.0],
            sd: vec![2.0],
            range: vec![[1.0, 100.0]],
        };
        let of = |x: f64| Prediction::Value { values: vec![x] };
        let mean = |scale| match value(scale).mean(&[of(1.0), of(100.0)]) {
            Some(Prediction::Value { values }) => values[0],
            other => panic!("{other:?}"),
        };
        assert!((mean(TargetScale::Log) - 10.0).abs() < 1e-9);
        assert_eq!(mean(TargetScale::Linear), 50.5);
    }

    fn points() -> Task {
        Task::Points {
            columns: ["x0", "y0", "x1", "y1"].map(String::from).to_vec(),
            symmetric: vec![[0, 1]],
            normalizer: Normalizer::Diagonal,
        }
    }

    #[test]
    fn points_of_a_pair_swap_back() {
        let seen = Prediction::Points {
            xy: vec![[1.0, 2.0], [3.0, 4.0]],
        };
        let Prediction::Points { xy } = points().unmirrored(seen) else {
            panic!("points")
        };
        assert_eq!(xy, [[3.0, 4.0], [1.0, 2.0]]);
    }
}
