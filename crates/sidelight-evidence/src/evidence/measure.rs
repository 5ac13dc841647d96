//! Arms made comparable: the same rows, metrics that can be reweighted, differences with intervals.

use std::collections::BTreeSet;

use super::{Arm, ArmScore, Difference, Role, Study, chance, no_arm};
use crate::error::{Error, Result};
use crate::metric::{Better, Evaluation, WeightedMetric, better};
use crate::statistics::bootstrap::{Bootstrap, Bootstrapped, cluster_bootstrap, numbered};
use crate::statistics::significance::{TTest, corrected_resampled_t};
use sidelight_data::task::Prediction;

/// A study, its rows and metrics prepared.
pub(super) struct Scored<'a> {
    pub(super) study: &'a Study<'a>,
    pub(super) better: Better,
    /// Rows that every arm predicted.
    pub(super) rows: Vec<usize>,
    /// The unit of each of them.
    pub(super) units: Vec<u32>,
    pub(super) n_units: usize,
    pub(super) n_folds: usize,
    pub(super) sizes: Option<Vec<[f32; 2]>>,
    pub(super) arms: Vec<ScoredArm>,
}

/// An arm, its predictions of the common rows and its metric.
pub(super) struct ScoredArm {
    pub(super) name: String,
    pub(super) role: Role,
    /// `[seed][row of Scored::rows]`.
    pub(super) predictions: Vec<Vec<Prediction>>,
    /// One a seed.
    metric: Vec<WeightedMetric>,
}

impl ScoredArm {
    /// The pooled metric, mean over seeds.
    pub(super) fn value(&self, weights: Option<&[f64]>) -> Option<f64> {
        mean_over_seeds(&self.metric, weights)
    }
}

/// The mean over seeds of a metric; `None` where one is not defined.
pub(super) fn mean_over_seeds(metrics: &[WeightedMetric], weights: Option<&[f64]>) -> Option<f64> {
    let values: Option<Vec<f64>> = metrics.iter().map(|metric| metric.value(weights)).collect();
    values.and_then(|values| crate::statistics::mean(&values))
}

impl<'a> Scored<'a> {
    pub(super) fn new(study: &'a Study<'a>) -> Result<Self> {
        let n_rows = study.units.len();
        assert!(
            study.folds.iter().all(|folds| folds.len() == n_rows),
            "one fold a row"
        );
        for arm in study.arms {
            assert_eq!(
                arm.predictions.len(),
                study.folds.len(),
                "arm {}: predictions of every seed",
                arm.name
            );
            assert!(
                arm.predictions.iter().all(|seed| seed.len() == n_rows),
                "arm {}: one prediction a row",
                arm.name
            );
        }
        if !study.arms.iter().any(|arm| arm.role == Role::Image) {
            return Err(no_arm("the image alone"));
        }
        let predicted = |row: &usize| {
            study
                .arms
                .iter()
                .all(|arm| arm.predictions.iter().all(|seed| seed[*row].is_some()))
        };
        let rows: Vec<usize> = (0..n_rows).filter(predicted).collect();
        let units: Vec<u32> = rows.iter().map(|&row| study.units[row]).collect();
        let mut scored = Self {
            study,
            better: better(study.metric),
            n_units: numbered(&units).1,
            n_folds: study.folds.iter().flatten().collect::<BTreeSet<_>>().len(),
            sizes: study
                .sizes
                .map(|sizes| rows.iter().map(|&row| sizes[row]).collect()),
            rows,
            units,
            arms: Vec::new(),
        };
        for arm in study.arms {
            let prepared = scored.prepare(arm)?;
            scored.arms.push(prepared);
        }
        if scored.first(Role::Chance).is_none()
            && let Some(predictions) = chance::predictions(study, &scored.rows)
        {
            let metric = scored.metrics(study.metric, &predictions);
            scored.arms.extend(metric.map(|metric| ScoredArm {
                name: "chance".into(),
                role: Role::Chance,
                predictions,
                metric,
            }));
        }
        Ok(scored)
    }

    fn prepare(&self, arm: &Arm) -> Result<ScoredArm> {
        let kept = |seed: &Vec<Option<Prediction>>| -> Vec<Prediction> {
            self.rows
                .iter()
                .filter_map(|&row| seed[row].clone())
                .collect()
        };
        let predictions: Vec<Vec<Prediction>> = arm.predictions.iter().map(kept).collect();
        let uncomparable = || Error::Uncomparable {
            metric: self.study.metric.into(),
            arm: arm.name.clone(),
        };
        let metric = self
            .metrics(self.study.metric, &predictions)
            .ok_or_else(uncomparable)?;
        let scored = ScoredArm {
            name: arm.name.clone(),
            role: arm.role,
            predictions,
            metric,
        };
        scored
            .value(None)
            .filter(|value| value.is_finite())
            .ok_or_else(uncomparable)?;
        Ok(scored)
    }

    /// A metric of some predictions `[seed][row]`, one a seed.
    pub(super) fn metrics(
        &self,
        metric: &str,
        predictions: &[Vec<Prediction>],
    ) -> Option<Vec<WeightedMetric>> {
        predictions
            .iter()
            .map(|seed| WeightedMetric::new(metric, &self.evaluation(seed)))
            .collect()
    }

    /// Predictions of the common rows beside their targets.
    pub(super) fn evaluation<'s>(&'s self, predictions: &'s [Prediction]) -> Evaluation<'s> {
        Evaluation {
            task: self.study.task,
            targets: self.study.targets,
            rows: &self.rows,
            predictions,
            sizes: self.sizes.as_deref(),
        }
    }

    pub(super) fn first(&self, role: Role) -> Option<&ScoredArm> {
        self.arms.iter().find(|arm| arm.role == role)
    }

    pub(super) fn image(&self) -> &ScoredArm {
        self.first(Role::Image)
            .expect("a study without the image alone was refused")
    }

    /// How much better `arm` is than `reference`.
    pub(super) fn gain(&self, delta: f64) -> f64 {
        self.better.sign() * delta
    }

    /// The difference of the pooled metrics, units resampled.
    pub(super) fn bootstrap(&self, arm: &ScoredArm, reference: &ScoredArm) -> Option<Bootstrapped> {
        self.bootstrap_of(
            |weights| Some(arm.value(Some(weights))? - reference.value(Some(weights))?),
            self.study.how,
        )
    }

    /// Any statistic, units resampled.
    pub(super) fn bootstrap_of(
        &self,
        statistic: impl Fn(&[f64]) -> Option<f64> + Sync,
        how: Bootstrap,
    ) -> Option<Bootstrapped> {
        cluster_bootstrap(&self.units, statistic, how)
    }

    /// The differences from fold to fold and seed to seed, corrected for what folds share.
    pub(super) fn fold_test(&self, arm: &ScoredArm, reference: &ScoredArm) -> Option<TTest> {
        let pairs = self.per_fold(arm).into_iter().zip(self.per_fold(reference));
        let differences: Vec<f64> = pairs.filter_map(|(a, b)| Some(a? - b?)).collect();
        let test_to_train = 1.0 / (self.n_folds.max(2) as f64 - 1.0);
        corrected_resampled_t(&differences, test_to_train, self.study.how.level)
    }

    /// The metric of each fold, all folds of the first seed first.
    pub(super) fn per_fold(&self, arm: &ScoredArm) -> Vec<Option<f64>> {
        let mut values = Vec::new();
        for (metric, folds) in arm.metric.iter().zip(self.study.folds) {
            for fold in folds.iter().collect::<BTreeSet<_>>() {
                let weights: Vec<f64> = self
                    .rows
                    .iter()
                    .map(|&row| f64::from(u8::from(folds[row] == *fold)))
                    .collect();
                values.push(
                    metric
                        .value(Some(&weights))
                        .filter(|value| value.is_finite()),
                );
            }
        }
        values
    }

    pub(super) fn arm_score(&self, arm: &ScoredArm) -> ArmScore {
        let per_fold = self.per_fold(arm);
        let known: Vec<f64> = per_fold.iter().flatten().copied().collect();
        let mean = crate::statistics::mean(&known);
        let sd = mean.filter(|_| known.len() > 1).map(|mean| {
            (known.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (known.len() - 1) as f64)
                .sqrt()
        });
        ArmScore {
            name: arm.name.clone(),
            role: arm.role,
            n: self.rows.len(),
            mean,
            sd,
            pooled: arm.value(None),
            per_fold,
        }
    }

    /// A bootstrapped difference as a line of the table.
    pub(super) fn difference(&self, arm: &ScoredArm, reference: &ScoredArm) -> Option<Difference> {
        let found = self.bootstrap(arm, reference)?;
        Some(Difference {
            arm: arm.name.clone(),
            reference: reference.name.clone(),
            delta: found.estimate,
            low: Some(found.interval.low),
            high: Some(found.interval.high),
            p: found.p,
            p_adjusted: None,
            method: BOOTSTRAP.into(),
        })
    }
}

pub(super) const BOOTSTRAP: &str = "cluster bootstrap";
pub(super) const CORRECTED_T: &str = "corrected resampled t";
