//! One loss per task: stable in `f32`, with its formula, and masked element by element.
//!
//! A [`Loss`] is made from the fitted task and the name in `train.loss`. [`Loss::mean`] is what training
//! descends; [`Loss::rows`] says how much each row costs, for `predictions.csv` and the worst rows of a report.
//! An element whose mask is 0 counts for nothing: not in the sum, not in the number it is divided by,
//! and no gradient flows from it. A batch with nothing known costs 0. Where rows have weights (`data.weight`) the mask
//! is the row's: the mean is `Σ w l / Σ w`, over all micro-batches and ranks of a step, and class weights are factors of w.

mod candidates;
mod class;
mod distance;
pub(crate) mod heatmap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, setting};
use crate::task::Task;
use crate::tensor::numbers;

pub use distance::Distance;

/// A training loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Loss {
    /// Cross-entropy of one of several classes.
    ///
    /// `−w_y (1 − p_y)^γ ((1 − ε) ln p_y) − ε/C Σ_c w_c ln p_c`, divided by `Σ w_y` over the known rows,
    /// `p = softmax(logits)`. With ε = γ = 0 it is the plain one; `ln p` comes from log-softmax, so that it is
    /// finite for any finite logits.
    ///
    /// # Source
    ///
    /// PyTorch's `CrossEntropyLoss` (weights, label smoothing: Szegedy et al. 2016, arXiv:1512.00567, section 7);
    /// γ: Lin et al. 2017, "Focal loss", arXiv:1708.02002, eq. 4, over a softmax.
    CrossEntropy {
        /// Weight of each class; empty: all 1.
        class_weights: Vec<f32>,
        /// ε in [0, 1).
        smoothing: f32,
        /// γ ≥ 0: how much easy rows are played down.
        focus: f32,
    },
    /// Binary cross-entropy of each label on its own.
    ///
    /// `−w_l t ln σ(x) − (1 − t) ln σ(−x)`, each term times `(1 − p_t)^γ`, divided by the number of known labels.
    /// `ln σ` is evaluated without exponentiating large numbers.
    ///
    /// # Source
    ///
    /// PyTorch's `BCEWithLogitsLoss` (`pos_weight`); γ as torchvision's `sigmoid_focal_loss` without its α,
    /// whose place the positive weights take.
    BinaryCrossEntropy {
        /// Weight of each label's positive rows; empty: all 1.
        positive_weights: Vec<f32>,
        /// γ ≥ 0.
        focus: f32,
    },
    /// Distance of each number (a coordinate, a standardised value), divided by how many are known.
    Distance {
        /// The distance that errors are measured by.
        distance: Distance,
    },
}

/// Whether rare classes count for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weights {
    /// Every row counts the same.
    #[default]
    Even,
    /// Each class counts the same: `n / (classes · n_class)`, as scikit-learn's `balanced`;
    /// for labels, negatives over positives.
    InverseFrequency,
}

/// The names of losses, each of one task or several.
pub(crate) const NAMES: [&str; 8] = [
    "cross_entropy",
    "label_smoothing",
    "focal",
    "bce",
    "smooth_l1",
    "mse",
    "l1",
    "wing",
];

/// Largest weight of a class or of a label's positive rows: a class seen once must not drown all others.
const LARGEST_WEIGHT: f32 = 100.0;

impl Loss {
    /// The loss of this name for this task; an empty name is the task's default.
    ///
    /// | task | names (default first) |
    /// |---|---|
    /// | class | `cross_entropy`, `label_smoothing[:ε]` (0.1), `focal[:γ]` (2) |
    /// | classes | `bce`, `focal[:γ]` (2) |
    /// | points | `smooth_l1[:β]` (0.1), `mse`, `l1`, `wing[:width]` (0.15) |
    /// | value | `smooth_l1[:β]` (1), `mse`, `l1` |
    ///
    /// Distances of points are in half-sides of the input (its square is [-1, 1]), those of values in standard deviations.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`](crate::error::DataError::Setting) for another name, or a number after the colon that does not fit.
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight::loss::{Loss, Weights};
    /// use sidelight::task::Task;
    ///
    /// let task = Task::Class { column: "species".into(), names: vec!["ash".into(), "oak".into()], counts: vec![30, 10] };
    /// let loss = Loss::new(&task, "", Weights::InverseFrequency)?;
    /// // 40 / (2 · 30) and 40 / (2 · 10)
    /// assert!(matches!(loss, Loss::CrossEntropy { class_weights, .. } if class_weights == [2.0 / 3.0, 2.0]));
    /// # Ok::<(), sidelight::Error>(())
    /// ```
    pub fn new(task: &Task, name: &str, weights: Weights) -> Result<Self> {
        let (word, number) = match name.split_once(':') {
            Some((word, number)) => (word, Some(number)),
            None => (name, None),
        };
        let wrong = |expected: &str| Error::from(setting("train.loss", expected, name));
        let parameter = |default: f32, range: std::ops::Range<f32>| match number {
            None => Ok(default),
            Some(text) => text
                .parse::<f32>()
                .ok()
                .filter(|value| range.contains(value))
                .ok_or_else(|| {
                    wrong(&format!(
                        "a number from {} up to {} after the colon",
                        range.start, range.end
                    ))
                }),
        };
        let plain = |loss: Self| {
            if number.is_none() {
                Ok(loss)
            } else {
                Err(wrong(&format!("`{word}` without a number")))
            }
        };
        match task {
            Task::Class { counts, .. } => {
                let class_weights = match weights {
                    Weights::Even => Vec::new(),
                    Weights::InverseFrequency => balanced(counts),
                };
                let with = |smoothing, focus| Self::CrossEntropy {
                    class_weights: class_weights.clone(),
                    smoothing,
                    focus,
                };
                match word {
                    "" | "cross_entropy" => plain(with(0.0, 0.0)),
                    "label_smoothing" => Ok(with(parameter(0.1, 0.0..1.0)?, 0.0)),
                    "focal" => Ok(with(0.0, parameter(2.0, 0.0..10.0)?)),
                    _ => Err(wrong(
                        "`cross_entropy`, `label_smoothing` or `focal` for a class",
                    )),
                }
            }
            Task::Multilabel { counts, known, .. } => {
                let positive_weights = match weights {
                    Weights::Even => Vec::new(),
                    Weights::InverseFrequency => counts
                        .iter()
                        .zip(known)
                        .map(|(&n, &known)| odds(n, known))
                        .collect(),
                };
                match word {
                    "" | "bce" => plain(Self::BinaryCrossEntropy {
                        positive_weights,
                        focus: 0.0,
                    }),
                    "focal" => Ok(Self::BinaryCrossEntropy {
                        positive_weights,
                        focus: parameter(2.0, 0.0..10.0)?,
                    }),
                    _ => Err(wrong("`bce` or `focal` for labels")),
                }
            }
            Task::Keypoints { .. } => match word {
                "" | "smooth_l1" => Ok(Distance::SmoothL1 {
                    beta: parameter(0.1, f32::MIN_POSITIVE..10.0)?,
                }
                .into()),
                "mse" => plain(Distance::Squared.into()),
                "l1" => plain(Distance::Absolute.into()),
                // The paper's 10 and 2 pixels at an input of 128: 10/64 and 2/64 half-sides.
                "wing" => {
                    let width = parameter(0.15, f32::MIN_POSITIVE..10.0)?;
                    Ok(Distance::Wing {
                        width,
                        curvature: width / 5.0,
                    }
                    .into())
                }
                _ => Err(wrong("`smooth_l1`, `mse`, `l1` or `wing` for points")),
            },
            Task::Regression { .. } => match word {
                "" | "smooth_l1" => Ok(Distance::SmoothL1 {
                    beta: parameter(1.0, f32::MIN_POSITIVE..100.0)?,
                }
                .into()),
                "mse" => plain(Distance::Squared.into()),
                "l1" => plain(Distance::Absolute.into()),
                _ => Err(wrong("`smooth_l1`, `mse` or `l1` for a value")),
            },
        }
    }

    /// The loss of a batch: the (weighted) mean over its known elements, 0 where nothing is known.
    ///
    /// # Shapes
    ///
    /// - `output`: `[batch, n_outputs]`, logits, coordinates or standardised values; of candidates as
    ///   [`Candidates`](crate::network::layer::Candidates) puts them out
    /// - `target`, `mask`: `[batch, d_target]` ([`Task::encode`]); mask 0 missing, else what the row counts, 1 without
    ///   weights of rows. Where it is 0 the target is not read
    /// - returns: `[1]`
    ///
    /// # Panics
    ///
    /// When the shapes do not belong to one task.
    pub fn mean(&self, output: Tensor<2>, target: Tensor<2>, mask: Tensor<2>) -> Tensor<1> {
        self.mean_of_share(output, target, mask, None)
    }

    /// As [`Loss::mean`], of a share of each row's loss alone, `[batch, 1]`, divided by the weight of all.
    pub(crate) fn mean_of_share(
        &self,
        output: Tensor<2>,
        target: Tensor<2>,
        mask: Tensor<2>,
        share: Option<Tensor<2>>,
    ) -> Tensor<1> {
        let Terms { losses, weights } = self.terms(output, target, mask);
        let losses = match share {
            Some(share) => losses * share,
            None => losses,
        };
        // The smallest positive number only guards against 0/0: no real sum of weights is as small.
        losses.sum() / weights.sum().clamp_min(f32::MIN_POSITIVE)
    }

    /// The loss of each row on its own, without class weights and whatever the row counts; NaN where nothing in the row is
    /// known, or it counts nothing.
    ///
    /// # Shapes
    ///
    /// As for [`Loss::mean`]; returns `batch` numbers.
    pub fn rows(&self, output: Tensor<2>, target: Tensor<2>, mask: Tensor<2>) -> Vec<f32> {
        let unweighted = match self {
            Self::CrossEntropy {
                smoothing, focus, ..
            } => Self::CrossEntropy {
                class_weights: Vec::new(),
                smoothing: *smoothing,
                focus: *focus,
            },
            Self::BinaryCrossEntropy { focus, .. } => Self::BinaryCrossEntropy {
                positive_weights: Vec::new(),
                focus: *focus,
            },
            Self::Distance { .. } => self.clone(),
        };
        let mask = known(mask);
        let Terms { losses, weights } = unweighted.terms(output, target, mask);
        numbers(losses.sum_dim(1))
            .into_iter()
            .zip(numbers(weights.sum_dim(1)))
            .map(|(loss, weight)| {
                if weight > 0.0 {
                    loss / weight
                } else {
                    f32::NAN
                }
            })
            .collect()
    }

    /// What [`Loss::mean`] divides by: how much is known in a batch, times what rows count, times the class weights.
    ///
    /// # Shapes
    ///
    /// As for [`Loss::mean`].
    pub fn weight(&self, target: Tensor<2>, mask: Tensor<2>) -> f64 {
        let known = numbers(mask).into_iter().map(f64::from);
        match self {
            Self::CrossEntropy { class_weights, .. } if !class_weights.is_empty() => known
                .zip(numbers(target))
                .filter(|(known, _)| *known > 0.0)
                .map(|(known, class)| known * f64::from(class_weights[class as usize]))
                .sum(),
            _ => known.sum(),
        }
    }

    /// Sum of the losses and of the weights of a batch, for a mean over batches of different sizes.
    pub fn sums(&self, output: Tensor<2>, target: Tensor<2>, mask: Tensor<2>) -> (f64, f64) {
        let Terms { losses, weights } = self.terms(output, target, mask);
        let sum = |tensor| numbers(tensor).into_iter().map(f64::from).sum();
        (sum(losses), sum(weights))
    }

    fn terms(&self, output: Tensor<2>, target: Tensor<2>, mask: Tensor<2>) -> Terms {
        // Where nothing is known the target may be anything, NaN included; NaN · 0 would still be NaN.
        let target = target.mask_fill(mask.clone().equal_elem(0.0), 0.0);
        match self {
            Self::CrossEntropy {
                class_weights,
                smoothing,
                focus,
            } => class::cross_entropy(output, target, mask, class_weights, *smoothing, *focus),
            Self::BinaryCrossEntropy {
                positive_weights,
                focus,
            } => class::binary_cross_entropy(output, target, mask, positive_weights, *focus),
            Self::Distance { distance } if output.dims()[1] > target.dims()[1] => {
                candidates::mixture(*distance, output, target, mask)
            }
            Self::Distance { distance } => Terms {
                // Masked first: the square of what is unknown may be infinite, and ∞ · 0 is no number.
                losses: distance.of((output - target) * known(mask.clone())) * mask.clone(),
                weights: mask,
            },
        }
    }
}

/// 1 where a mask is above 0, whatever the row counts.
fn known(mask: Tensor<2>) -> Tensor<2> {
    mask.greater_elem(0.0).float()
}

impl From<Distance> for Loss {
    fn from(distance: Distance) -> Self {
        Self::Distance { distance }
    }
}

/// Losses that are already weighted, and the weights: both `[batch, d_target]`, both 0 where nothing is known.
struct Terms {
    losses: Tensor<2>,
    weights: Tensor<2>,
}

/// `n / (classes · n_class)`, at most [`LARGEST_WEIGHT`]; a class that training never sees weighs 1.
///
/// # Source
///
/// scikit-learn, `class_weight="balanced"`, after King & Zeng 2001.
fn balanced(counts: &[usize]) -> Vec<f32> {
    let total: usize = counts.iter().sum();
    let weight = |&count: &usize| match count {
        0 => 1.0,
        _ => (total as f64 / (counts.len() as f64 * count as f64)) as f32,
    };
    counts
        .iter()
        .map(weight)
        .map(|weight| weight.min(LARGEST_WEIGHT))
        .collect()
}

/// Negatives over positives, in [1/[`LARGEST_WEIGHT`], [`LARGEST_WEIGHT`]]; 1 where one of them is absent.
///
/// # Source
///
/// PyTorch's documentation of `BCEWithLogitsLoss`, `pos_weight`.
fn odds(positive: usize, known: usize) -> f32 {
    let negative = known.saturating_sub(positive);
    if positive == 0 || negative == 0 {
        return 1.0;
    }
    ((negative as f64 / positive as f64) as f32).clamp(1.0 / LARGEST_WEIGHT, LARGEST_WEIGHT)
}

#[cfg(test)]
mod hostile;

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use serde_json::Value;

    /// Made by `tests/reference/losses.py` with PyTorch.
    const REFERENCE: &str = include_str!("../tests/reference/losses.json");

    fn matrix(value: &Value, device: &Device) -> Tensor<2> {
        let rows: Vec<Vec<f32>> = serde_json::from_value(value.clone()).unwrap();
        let shape = [rows.len(), rows[0].len()];
        Tensor::from_data(TensorData::new(rows.concat(), shape), device)
    }

    #[test]
    fn every_name_is_that_of_a_loss() {
        let tasks = [
            Task::Class {
                column: "species".into(),
                names: vec!["ash".into(), "oak".into()],
                counts: vec![30, 10],
            },
            Task::Multilabel {
                names: vec!["wet".into()],
                counts: vec![3],
                known: vec![9],
            },
        ];
        let of_any = |name: &str| {
            let fits = |task: &Task| Loss::new(task, name, Weights::Even).is_ok();
            tasks.iter().any(fits)
        };
        // Of distances the name alone decides.
        let distances = ["smooth_l1", "mse", "l1", "wing"];
        for name in NAMES {
            assert!(of_any(name) || distances.contains(&name), "{name}");
        }
        let documented = include_str!("loss.rs").lines();
        let of_table = documented
            .filter(|line| line.starts_with("    /// | "))
            .skip(1);
        let mut n = 0;
        for word in of_table.flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let word = word.split('[').next().unwrap();
            assert!(NAMES.contains(&word), "{word}");
            n += 1;
        }
        assert_eq!(n, 12);
    }

    #[test]
    fn every_loss_and_its_gradient_agree_with_pytorch() {
        let device = Device::flex().autodiff();
        let cases: Vec<Value> = serde_json::from_str(REFERENCE).unwrap();
        assert!(cases.len() >= 12);
        for case in cases {
            let name = case["name"].as_str().unwrap();
            let loss: Loss = serde_json::from_value(case["loss"].clone()).unwrap();
            let output = matrix(&case["output"], &device).require_grad();
            let (target, mask) = (
                matrix(&case["target"], &device),
                matrix(&case["mask"], &device),
            );
            let mean = loss.mean(output.clone(), target.clone(), mask.clone());
            let mut gradients = mean.backward();
            let found: f32 = mean.into_scalar();
            let expected = case["mean"].as_f64().unwrap() as f32;
            assert!(
                (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
                "{name}: {found} is not {expected}"
            );
            let gradient = numbers(output.grad_remove(&mut gradients).unwrap());
            let expected = numbers(matrix(&case["gradient"], &device));
            for (index, (found, expected)) in gradient.iter().zip(&expected).enumerate() {
                assert!(
                    (found - expected).abs() <= 1e-6,
                    "{name}: gradient {index}: {found} is not {expected}"
                );
            }
            let rows = loss.rows(output.inner(), target.inner(), mask.inner());
            for (index, (found, expected)) in rows
                .iter()
                .zip(case["rows"].as_array().unwrap())
                .enumerate()
            {
                match expected.as_f64() {
                    Some(expected) => assert!(
                        (f64::from(*found) - expected).abs() <= 1e-6 * expected.max(1.0),
                        "{name}: row {index}: {found} is not {expected}"
                    ),
                    None => assert!(
                        found.is_nan(),
                        "{name}: row {index} knows nothing, its loss is {found}"
                    ),
                }
            }
        }
    }

    #[test]
    fn a_batch_with_nothing_known_costs_nothing_and_moves_nothing() {
        let device = Device::flex().autodiff();
        let losses = [
            Loss::CrossEntropy {
                class_weights: vec![1.0, 5.0],
                smoothing: 0.1,
                focus: 2.0,
            },
            Loss::BinaryCrossEntropy {
                positive_weights: vec![2.0, 1.0],
                focus: 2.0,
            },
            Distance::Wing {
                width: 0.2,
                curvature: 0.04,
            }
            .into(),
            Distance::SmoothL1 { beta: 0.1 }.into(),
        ];
        for loss in losses {
            let width = if matches!(loss, Loss::CrossEntropy { .. }) {
                1
            } else {
                2
            };
            let output =
                Tensor::<2>::from_floats([[3.0, -2.0], [0.0, 1.0]], &device).require_grad();
            let target = Tensor::<2>::full([2, width], f32::NAN, &device);
            let mean = loss.mean(output.clone(), target, Tensor::zeros([2, width], &device));
            let mut gradients = mean.backward();
            assert_eq!(mean.into_scalar::<f32>(), 0.0, "{loss:?}");
            assert_eq!(
                numbers(output.grad_remove(&mut gradients).unwrap()),
                [0.0; 4],
                "{loss:?}"
            );
        }
    }

    #[test]
    fn huge_logits_stay_finite() {
        let device = Device::flex();
        let output = Tensor::<2>::from_floats([[1e4, -1e4]], &device);
        let one = Tensor::<2>::ones([1, 1], &device);
        let cross = Loss::CrossEntropy {
            class_weights: vec![],
            smoothing: 0.1,
            focus: 2.0,
        };
        assert!(
            cross
                .mean(output.clone(), one.clone(), one)
                .into_scalar::<f32>()
                .is_finite()
        );
        let ones = Tensor::<2>::ones([1, 2], &device);
        let binary = Loss::BinaryCrossEntropy {
            positive_weights: vec![],
            focus: 0.0,
        };
        assert_eq!(
            binary.mean(output, ones.clone(), ones).into_scalar::<f32>(),
            5e3
        );
    }

    fn classes() -> Task {
        Task::Class {
            column: "kind".into(),
            names: vec!["a".into(), "b".into()],
            counts: vec![90, 10],
        }
    }

    #[test]
    fn a_name_takes_a_number_after_a_colon() {
        let loss = Loss::new(&classes(), "focal:1.5", Weights::Even).unwrap();
        assert_eq!(
            loss,
            Loss::CrossEntropy {
                class_weights: vec![],
                smoothing: 0.0,
                focus: 1.5
            }
        );
    }

    #[test]
    fn an_unknown_loss_names_those_there_are() {
        for name in ["mse", "focal:x", "label_smoothing:1", "cross_entropy:2"] {
            let error = Loss::new(&classes(), name, Weights::Even).unwrap_err();
            assert!(
                matches!(&error, Error::Data(crate::error::DataError::Setting { field, found, .. }) if field == "train.loss" && found == name),
                "{error}"
            );
        }
    }

    #[test]
    fn weights_are_bounded_and_absent_classes_weigh_one() {
        assert_eq!(
            balanced(&[1_000_000, 1, 0]),
            [1.0 / 3.0 * 1.000_001, LARGEST_WEIGHT, 1.0]
        );
        assert_eq!(odds(1, 4), 3.0);
        assert_eq!(odds(0, 4), 1.0);
    }
}
