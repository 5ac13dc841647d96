//! The target as numbers that a mean can be taken of.

use sidelight_data::config::TargetScale;
use sidelight_data::dataset::Targets;

/// `[row][dimension]`, NaN: not known; or a class, whose dimensions are its indicators.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Signal {
    /// One class a row.
    Class { n: usize, index: Vec<Option<u32>> },
    /// Numbers.
    Dense { d: usize, values: Vec<f64> },
}

impl Signal {
    /// Values standardised (on the scale they are learned on), labels as 0 and 1, points as shares of the stored
    /// image's width and height (`sizes`, one a row; rows without one are not known).
    pub(super) fn new(targets: &Targets, scale: TargetScale, sizes: &[Option<[f64; 2]>]) -> Self {
        match targets {
            Targets::Class { names, index } => Self::Class {
                n: names.len(),
                index: index.clone(),
            },
            Targets::Multilabel { names, present } => {
                let cell =
                    |cell: &Option<bool>| cell.map_or(f64::NAN, |yes| f64::from(u8::from(yes)));
                Self::dense(names.len(), present.iter().map(cell).collect())
            }
            Targets::Regression { names, values } => {
                let learned = values.iter().map(|value| scale.forward(*value));
                let mut values: Vec<f64> = learned.collect();
                standardise(&mut values, names.len());
                Self::dense(names.len(), values)
            }
            Targets::Keypoints { n_points, xy, .. } => {
                let share = |(at, point): (usize, &[f32; 2])| match sizes[at / (*n_points).max(1)] {
                    Some([width, height]) => {
                        [f64::from(point[0]) / width, f64::from(point[1]) / height]
                    }
                    None => [f64::NAN; 2],
                };
                Self::dense(
                    2 * n_points,
                    xy.iter().enumerate().flat_map(share).collect(),
                )
            }
        }
    }

    pub(super) fn dense(d: usize, values: Vec<f64>) -> Self {
        Self::Dense { d, values }
    }

    /// Number of dimensions.
    pub(super) fn d(&self) -> usize {
        match self {
            Self::Class { n, .. } => *n,
            Self::Dense { d, .. } => *d,
        }
    }

    /// Dimensions that can be missing without the others: a class is known or not as a whole.
    pub(super) fn d_known(&self) -> usize {
        match self {
            Self::Class { .. } => 1,
            Self::Dense { d, .. } => *d,
        }
    }

    /// Adds a row to counts (`d_known` of them) and sums (`d`); returns the sum of its squares.
    pub(super) fn add(&self, row: usize, n: &mut [f64], sum: &mut [f64]) -> f64 {
        match self {
            Self::Class { index, .. } => match index[row] {
                None => 0.0,
                Some(class) => {
                    n[0] += 1.0;
                    sum[class as usize] += 1.0;
                    1.0
                }
            },
            Self::Dense { d, values } => {
                let mut squares = 0.0;
                for (at, value) in values[row * d..][..*d].iter().enumerate() {
                    if value.is_finite() {
                        n[at] += 1.0;
                        sum[at] += value;
                        squares += value * value;
                    }
                }
                squares
            }
        }
    }
}

/// Each column to mean 0 and standard deviation 1, so that none counts for more than another.
fn standardise(values: &mut [f64], width: usize) {
    for at in 0..width {
        let of_column = || values.iter().skip(at).step_by(width);
        let known: Vec<f64> = of_column().copied().filter(|x| x.is_finite()).collect();
        let n = known.len().max(1) as f64;
        let mean = known.iter().sum::<f64>() / n;
        let sd = (known.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        let sd = if sd > 0.0 { sd } else { 1.0 };
        values
            .iter_mut()
            .skip(at)
            .step_by(width)
            .for_each(|x| *x = (*x - mean) / sd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_standardised_on_the_scale_they_are_learned_on() {
        let targets = Targets::Regression {
            names: vec!["price".into()],
            values: vec![1.0, f64::NAN, 1.0_f64.exp().powi(2)],
        };
        let Signal::Dense { d: 1, values } = Signal::new(&targets, TargetScale::Log, &[]) else {
            panic!("a value is dense")
        };
        assert!((values[0] + 1.0).abs() < 1e-12 && (values[2] - 1.0).abs() < 1e-12);
        assert!(values[1].is_nan());
    }

    #[test]
    fn points_are_shares_of_their_image() {
        let targets = Targets::keypoints(1, vec![[50.0, 20.0], [1.0, 1.0]]);
        let sizes = [Some([100.0, 80.0]), None];
        let Signal::Dense { d: 2, values } = Signal::new(&targets, TargetScale::Linear, &sizes)
        else {
            panic!("points are dense")
        };
        assert_eq!(values[..2], [0.5, 0.25]);
        assert!(values[2].is_nan());
    }
}
