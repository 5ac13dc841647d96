//! Sets, intervals and discs that hold the truth as often as was asked.
//!
//! [`Conformal`] keeps how far off a model was on rows that it had not learned from. Of the error that a share c of them
//! does not exceed it makes a [`PredictionSet`] for any other row, which then holds the truth with a probability of about c,
//! whatever the model is worth: a poor model has large sets. That is true of rows like those (*exchangeable* with them) on
//! the average over all, not of each class or group by itself.
//!
//! | task | error of a row | set |
//! |---|---|---|
//! | class | 1 − probability of the true class | the classes that are probable enough, perhaps none |
//! | labels | 1 − probability of what is true of the label | `yes` or `no` where only that is probable enough, else `unsure` |
//! | values | distance on the scale that is learned (the logarithm's, on a log scale) | an interval, back in the column's unit |
//! | points | distance over the side of the square that the network sees, in pixels of the stored image | a disc |
//!
//! # Source
//!
//! Split-conformal prediction: Vovk, Gammerman & Shafer 2005, "Algorithmic learning in a random world", section 4.1; Lei et
//! al. 2018, "Distribution-free predictive inference for regression", JASA 113. Classes: Sadinle, Lei & Wasserman 2019,
//! "Least ambiguous set-valued classifiers with bounded error levels", JASA 114, whose sets are the smallest on the average.
//! Not those of Romano, Sesia & Candès 2020 ("Classification with valid and adaptive coverage"): without a random number a
//! row they hold the truth more often than was asked, and are larger.

mod covered;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Targets};
use crate::error::{Error, Result, setting};
use crate::task::{LabelState, Prediction, PredictionSet, Task};

pub use covered::{Covered, CoveredPart};

/// A part keeps at most so many errors: of more, evenly spaced quantiles.
pub const MOST_ERRORS: usize = 1000;

/// What is measured of one row whose truth is known.
#[derive(Debug, Clone, PartialEq)]
pub struct RowError {
    /// The group that the row belongs to, or the row itself: what was drawn independently.
    pub unit: usize,
    /// How far off each part is (all classes are one, else each label, column or point); `None` where that is not known.
    pub of_part: Vec<Option<f64>>,
}

impl RowError {
    /// Of what was predicted of a row of this data set; see [`errors`].
    pub(crate) fn measure(
        task: &Task,
        prediction: &Prediction,
        dataset: &Dataset,
        row: usize,
        side: f64,
    ) -> Self {
        let targets = dataset.targets.as_ref();
        let targets = targets.expect("errors are measured where the truth is known");
        Self {
            unit: match &dataset.groups {
                Some(groups) => groups[row] as usize,
                None => row,
            },
            of_part: errors(task, prediction, targets, row, side),
        }
    }
}

/// How far off a model was on rows that it had not learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conformal {
    /// Whether rows come in groups.
    grouped: bool,
    parts: Vec<PartErrors>,
}

/// How far off one label, column or point was; or the classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PartErrors {
    /// Rows whose truth is known.
    rows: usize,
    /// How many of them, or of their groups, are independent.
    units: usize,
    /// Sorted; of more than [`MOST_ERRORS`] rows the errors of ranks that are evenly spaced, the largest among them.
    errors: Vec<f64>,
}

impl Conformal {
    /// What these rows say. `grouped`: units are groups.
    pub fn new(task: &Task, rows: &[RowError], grouped: bool) -> Self {
        let part = |part: usize| {
            let known = rows
                .iter()
                .filter_map(|row| Some((row.unit, row.of_part.get(part).copied().flatten()?)));
            let (units, errors): (BTreeSet<usize>, Vec<f64>) = known.unzip();
            PartErrors::new(errors, units.len())
        };
        Self {
            grouped,
            parts: (0..n_parts(task)).map(part).collect(),
        }
    }

    /// Whether it can be of such a task, and was made by [`Conformal::new`].
    pub fn fits(&self, task: &Task) -> bool {
        self.parts.len() == n_parts(task) && self.parts.iter().all(PartErrors::is_sound)
    }

    /// What makes sets of this coverage, in (0, 1).
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`](crate::error::DataError::Setting) of a coverage that is none;
    /// [`Error::TooFewForCoverage`] where so few rows do not say it.
    pub fn at(&self, task: &Task, coverage: f64) -> Result<Thresholds> {
        if !(coverage > 0.0 && coverage < 1.0) {
            return Err(setting("coverage", "between 0 and 1, both excluded", coverage).into());
        }
        let names = task.part_names();
        let of_part = self.parts.iter().enumerate().map(|(at, part)| {
            part.threshold(coverage)
                .ok_or_else(|| Error::TooFewForCoverage {
                    coverage,
                    part: names.get(at).cloned().filter(|_| self.parts.len() > 1),
                    units: part.units,
                    needed: units_for(coverage),
                    grouped: self.grouped,
                })
        });
        Ok(Thresholds {
            task: task.clone(),
            coverage,
            of_part: of_part.collect::<Result<_>>()?,
        })
    }
}

/// All classes are one part, else each label, column and point is one.
fn n_parts(task: &Task) -> usize {
    match task {
        Task::Class { .. } => 1,
        _ => task.part_names().len(),
    }
}

/// The fewest units that say what holds such a share of the truth.
fn units_for(coverage: f64) -> usize {
    (coverage / (1.0 - coverage) - 1e-9).ceil().max(1.0) as usize
}

impl PartErrors {
    fn new(mut errors: Vec<f64>, units: usize) -> Self {
        // An error that is not a number is as large as one can be; JSON has no word for it.
        for error in &mut errors {
            *error = if error.is_nan() {
                f64::MAX
            } else {
                error.min(f64::MAX)
            };
        }
        errors.sort_by(f64::total_cmp);
        let rows = errors.len();
        if rows > MOST_ERRORS {
            let rank = |j: usize| (j * rows).div_ceil(MOST_ERRORS);
            errors = (1..=MOST_ERRORS).map(|j| errors[rank(j) - 1]).collect();
        }
        Self {
            rows,
            units,
            errors,
        }
    }

    fn is_sound(&self) -> bool {
        let is_sorted = self.errors.is_sorted();
        is_sorted
            && self.errors.len() == self.rows.min(MOST_ERRORS)
            && (self.units > 0) == (self.rows > 0)
            && self.units <= self.rows
            && self.errors.iter().all(|error| error.is_finite())
    }

    /// The error that a new row does not exceed with this probability; `None` where so few rows do not say it.
    ///
    /// A new unit is as likely to be the worst as any: it counts as one more, with as many rows as a unit has on the
    /// average, all of them worse than any. Of `n` rows in `k` units, that is the error of rank ⌈c (n + n/k)⌉; of rows that
    /// are units themselves, the usual ⌈c (n + 1)⌉.
    ///
    /// # Source
    ///
    /// For groups: Lee, Barber & Willett 2023, "Distribution-free inference with hierarchical data", arXiv:2306.06342, where
    /// each group counts alike. Here each row does, since coverage is of rows: over groups drawn alike, the expected number
    /// of rows outside is at most 1 − c of the expected number of rows, by the same argument.
    fn threshold(&self, coverage: f64) -> Option<f64> {
        if self.units == 0 {
            return None;
        }
        let rows = self.rows as f64;
        let rank = coverage * (rows + rows / self.units as f64);
        // A product that should be whole may be a little above it.
        let rank = ((rank - 1e-9).ceil() as usize).max(1);
        if rank > self.rows {
            return None;
        }
        // Of those that are kept, the first of this rank or a higher one: below their number, as the rank is.
        let place = (rank - 1) as u128 * self.errors.len() as u128 / self.rows as u128;
        self.errors.get(usize::try_from(place).ok()?).copied()
    }
}

/// What makes sets of one coverage for one model: the largest error that is within.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    task: Task,
    /// The share of rows whose set holds the truth.
    pub coverage: f64,
    /// One a part: see [`Conformal`] for what is measured.
    pub of_part: Vec<f64>,
}

impl Thresholds {
    /// The set of a row. `side` is that of the square that the network sees, in pixels of the stored image; only points
    /// need it.
    ///
    /// # Panics
    ///
    /// Where the prediction is of another task.
    pub fn set(&self, prediction: &Prediction, side: f64) -> PredictionSet {
        let parts = &self.of_part;
        match (&self.task, prediction) {
            (Task::Class { .. }, Prediction::Class { probabilities }) => PredictionSet::Class {
                contains: probabilities
                    .iter()
                    .map(|&p| 1.0 - f64::from(p) <= parts[0])
                    .collect(),
            },
            (Task::Multilabel { .. }, Prediction::Multilabel { probabilities }) => {
                let state = |(&p, &within): (&f32, &f64)| {
                    let p = f64::from(p);
                    match (1.0 - p <= within, p <= within) {
                        (true, false) => LabelState::Yes,
                        (false, true) => LabelState::No,
                        _ => LabelState::Unsure,
                    }
                };
                PredictionSet::Multilabel {
                    states: probabilities.iter().zip(parts).map(state).collect(),
                }
            }
            (Task::Regression { scale, sd, .. }, Prediction::Regression { values }) => {
                let interval = |((&value, sd), within): ((&f64, &f64), &f64)| {
                    let (at, reach) = (scale.forward(value), within * sd);
                    [at - reach, at + reach].map(|end| scale.backward(end))
                };
                PredictionSet::Regression {
                    intervals: values.iter().zip(sd).zip(parts).map(interval).collect(),
                }
            }
            (Task::Keypoints { .. }, Prediction::Keypoints { .. }) => PredictionSet::Keypoints {
                radii: parts.iter().map(|within| (within * side) as f32).collect(),
            },
            _ => panic!("a prediction of another task"),
        }
    }
}

/// How far off a prediction is, part by part: what [`Conformal`] keeps of each row. `side` as in [`Thresholds::set`].
///
/// # Panics
///
/// Where prediction or targets are of another task.
pub fn errors(
    task: &Task,
    prediction: &Prediction,
    targets: &Targets,
    row: usize,
    side: f64,
) -> Vec<Option<f64>> {
    let (target, mask) = task.encode(targets, row);
    let cells = target.iter().zip(&mask);
    let known = |(&target, &mask): (&f32, &f32)| (mask > 0.0).then_some(f64::from(target));
    let cells: Vec<Option<f64>> = cells.map(known).collect();
    match (task, prediction) {
        (Task::Class { .. }, Prediction::Class { probabilities }) => {
            let error = |class: f64| 1.0 - f64::from(probabilities[class as usize]);
            vec![cells[0].map(error)]
        }
        (Task::Multilabel { .. }, Prediction::Multilabel { probabilities }) => {
            let error = |(cell, &p): (&Option<f64>, &f32)| {
                let p = f64::from(p);
                cell.map(|there| if there > 0.5 { 1.0 - p } else { p })
            };
            cells.iter().zip(probabilities).map(error).collect()
        }
        (
            Task::Regression {
                scale, mean, sd, ..
            },
            Prediction::Regression { values },
        ) => {
            let predicted = values.iter().zip(mean).zip(sd);
            let predicted =
                predicted.map(|((&value, mean), sd)| (scale.forward(value) - mean) / sd);
            let error = |(cell, z): (&Option<f64>, f64)| cell.map(|truth| (truth - z).abs());
            cells.iter().zip(predicted).map(error).collect()
        }
        (Task::Keypoints { .. }, Prediction::Keypoints { xy, .. }) => {
            let error = |(cell, at): (&[Option<f64>], &[f32; 2])| {
                let (x, y) = (cell[0]? - f64::from(at[0]), cell[1]? - f64::from(at[1]));
                Some(x.hypot(y) / side)
            };
            cells.chunks_exact(2).zip(xy).map(error).collect()
        }
        _ => panic!("a prediction of another task"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::Rng;

    use super::*;
    use crate::config::{Normalizer, TargetScale};
    use crate::random::named;

    fn value(scale: TargetScale) -> Task {
        Task::Regression {
            columns: vec!["price".into()],
            scale,
            mean: vec![1.0],
            sd: vec![2.0],
            range: vec![[0.0, 9.0]],
        }
    }

    /// Rows of one part that each are a unit.
    fn rows(errors: &[f64]) -> Vec<RowError> {
        let row = |(unit, &error): (usize, &f64)| RowError {
            unit,
            of_part: vec![Some(error)],
        };
        errors.iter().enumerate().map(row).collect()
    }

    proptest! {
        /// By definition: the smallest error such that, with one more row that is worse than all, at least a share c of the
        /// rows does not exceed it.
        #[test]
        fn the_threshold_is_the_quantile_of_the_rows_and_one_more(
            errors in prop::collection::vec(0u8..50, 1..60), percent in 1usize..100,
        ) {
            let errors: Vec<f64> = errors.into_iter().map(f64::from).collect();
            let known = Conformal::new(&value(TargetScale::Linear), &rows(&errors), false);
            let enough = |at: f64| {
                let within = errors.iter().filter(|error| **error <= at).count();
                100 * within >= percent * (errors.len() + 1)
            };
            let mut sorted = errors.clone();
            sorted.sort_by(f64::total_cmp);
            let expected = sorted.into_iter().find(|&at| enough(at));
            let found = known.at(&value(TargetScale::Linear), percent as f64 / 100.0);
            match (expected, found) {
                (Some(expected), Ok(found)) => prop_assert_eq!(found.of_part, [expected]),
                (None, Err(Error::TooFewForCoverage { units, needed, .. })) => {
                    prop_assert_eq!(units, errors.len());
                    prop_assert!(needed > units && percent * (needed + 1) <= 100 * needed);
                }
                (expected, found) => prop_assert!(false, "{expected:?} is not {found:?}"),
            }
        }
    }

    #[test]
    fn as_many_rows_as_a_file_can_claim_have_a_threshold() {
        let part = PartErrors {
            rows: usize::MAX,
            units: usize::MAX,
            errors: (0..1000).map(f64::from).collect(),
        };
        assert!(part.is_sound());
        let found = part.threshold(0.5).unwrap();
        assert!((499.0..=501.0).contains(&found), "{found}");
    }

    #[test]
    fn of_many_rows_quantiles_are_kept_and_none_is_below_the_exact_one() {
        let n = 12_345;
        let errors: Vec<f64> = (1..=n).map(f64::from).collect();
        let task = value(TargetScale::Linear);
        let known = Conformal::new(&task, &rows(&errors), false);
        assert_eq!(known.parts[0].errors.len(), MOST_ERRORS);
        assert!(known.fits(&task));
        for coverage in [0.001, 0.1, 0.5, 0.9, 0.95, 0.999, 0.9999] {
            let exact = (coverage * f64::from(n + 1)).ceil();
            let found = known.at(&task, coverage).unwrap().of_part[0];
            assert!(
                found >= exact && found - exact < 12.4,
                "{coverage}: {found}"
            );
        }
    }

    #[test]
    fn groups_count_as_units() {
        // Three groups of two rows: rank ⌈c (6 + 2)⌉.
        let mut all = rows(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        for row in &mut all {
            row.unit /= 2;
        }
        let task = value(TargetScale::Linear);
        let known = Conformal::new(&task, &all, true);
        assert_eq!(known.at(&task, 0.5).unwrap().of_part, [4.0]);
        assert_eq!(known.at(&task, 0.75).unwrap().of_part, [6.0]);
        let failed = known.at(&task, 0.76).unwrap_err();
        assert_eq!(
            failed.to_string(),
            "3 groups of rows that the model has not learned from are too few for a coverage of 0.76: at least 4 are needed"
        );
        assert!(
            failed.hint().unwrap().contains("at most 0.75"),
            "{failed:?}"
        );
    }

    #[test]
    fn a_coverage_that_is_none_is_refused() {
        let task = value(TargetScale::Linear);
        let known = Conformal::new(&task, &rows(&[1.0; 9]), false);
        for coverage in [0.0, 1.0, -0.1, 90.0, f64::NAN] {
            let failed = known.at(&task, coverage).unwrap_err();
            assert!(failed.to_string().contains("between 0 and 1"), "{failed}");
        }
        assert_eq!(known.at(&task, 0.9).unwrap().of_part, [1.0]);
    }

    /// Two hundred times, 99 rows to learn the errors from and 50 others: the mean coverage is c within what chance does.
    #[test]
    fn rows_that_are_alike_are_covered_as_often_as_was_asked() {
        let task = Task::Class {
            column: "kind".into(),
            names: ["a", "b", "c"].map(String::from).to_vec(),
            counts: vec![1; 3],
        };
        let mut stream = named(0, "coverage");
        let mut unit = move || (f64::from(stream.next_u32()) + 0.5) / 2f64.powi(32);
        // Probabilities that are too sure; the truth is drawn from milder ones.
        let mut draw = |n: usize| -> (Vec<Option<Prediction>>, Targets) {
            let row = |_| {
                let z: [f64; 3] = std::array::from_fn(|_| 3.0 * unit());
                let powers = z.map(f64::exp);
                let mut left = unit() * powers.iter().sum::<f64>();
                let truth = powers.iter().position(|power| {
                    left -= power;
                    left < 0.0
                });
                let sure: Vec<f32> = z.iter().map(|z| (3.0 * z) as f32).collect();
                (Some(task.decode(&sure)), Some(truth.unwrap_or(2) as u32))
            };
            let (predictions, index) = (0..n).map(row).unzip();
            let names = task.names().to_vec();
            (predictions, Targets::Class { names, index })
        };
        for coverage in [0.6, 0.9] {
            let mut sum = 0.0;
            for _ in 0..200 {
                let (predictions, targets) = draw(99);
                let errors = predictions
                    .iter()
                    .flatten()
                    .enumerate()
                    .map(|(row, found)| RowError {
                        unit: row,
                        of_part: errors(&task, found, &targets, row, 1.0),
                    });
                let known = Conformal::new(&task, &errors.collect::<Vec<_>>(), false);
                let within = known.at(&task, coverage).unwrap();
                let (predictions, targets) = draw(50);
                let sets: Vec<Option<PredictionSet>> = predictions
                    .iter()
                    .map(|found| Some(within.set(found.as_ref()?, 1.0)))
                    .collect();
                let covered = Covered::count(&task, &targets, &predictions, &sets);
                assert_eq!(covered.all.n, 50);
                sum += covered.all.coverage();
            }
            // Of one repeat the variance is c (1 − c) (1/50 + 1/101); of the mean, four standard errors.
            let error = (coverage * (1.0 - coverage) * (1.0 / 50.0 + 1.0 / 101.0) / 200.0).sqrt();
            let found: f64 = sum / 200.0;
            assert!(
                (found - coverage).abs() < 4.0 * error,
                "{found} is not {coverage}"
            );
        }
    }

    #[test]
    fn an_interval_is_on_the_scale_that_is_learned() {
        let of = |scale| Thresholds {
            task: value(scale),
            coverage: 0.9,
            of_part: vec![0.5],
        };
        let prediction = Prediction::Regression { values: vec![7.0] };
        let interval = |scale| match of(scale).set(&prediction, 1.0) {
            PredictionSet::Regression { intervals } => intervals[0],
            other => panic!("{other:?}"),
        };
        // Half of a standard deviation of 2 on either side.
        assert_eq!(interval(TargetScale::Linear), [6.0, 8.0]);
        let [low, high] = interval(TargetScale::Log);
        let e = std::f64::consts::E;
        assert!((low - 7.0 / e).abs() < 1e-9 && (high - 7.0 * e).abs() < 1e-9);
    }

    #[test]
    fn a_disc_grows_with_the_image_and_a_label_can_be_unsure() {
        let points = Task::Keypoints {
            columns: ["x", "y"].map(String::from).to_vec(),
            symmetric: Vec::new(),
            names: Vec::new(),
            skeleton: Vec::new(),
            sigmas: Vec::new(),
            normalizer: Normalizer::Diagonal,
            mean: Vec::new(),
        };
        let prediction = Prediction::keypoints(vec![[3.0, 4.0]]);
        let targets = Targets::keypoints(1, vec![[0.0, 0.0]]);
        // 5 pixels of a square of 20.
        assert_eq!(
            errors(&points, &prediction, &targets, 0, 20.0),
            [Some(0.25)]
        );
        let within = Thresholds {
            task: points,
            coverage: 0.9,
            of_part: vec![0.25],
        };
        let set = within.set(&prediction, 40.0);
        assert_eq!(set, PredictionSet::Keypoints { radii: vec![10.0] });

        let labels = Thresholds {
            task: Task::Multilabel {
                names: ["a", "b", "c", "d"].map(String::from).to_vec(),
                counts: vec![1; 4],
                known: vec![2; 4],
            },
            coverage: 0.9,
            of_part: vec![0.25, 0.25, 0.25, 0.75],
        };
        let prediction = Prediction::Multilabel {
            probabilities: vec![0.875, 0.125, 0.5, 0.5],
        };
        use LabelState::{No, Unsure, Yes};
        let states = vec![Yes, No, Unsure, Unsure];
        assert_eq!(
            labels.set(&prediction, 1.0),
            PredictionSet::Multilabel { states }
        );
    }
}
