//! Arms made comparable: the same rows, metrics that can be reweighted, differences with intervals.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Arm, ArmScore, Difference, Direction, Role, Study, chance, no_arm};
use crate::error::{Error, Result};
use crate::metric::{Better, Cells, Evaluation, Grouped, WeightedMetric, are_several, better};
use crate::statistics::bootstrap::{Bootstrap, Bootstrapped, cluster_bootstrap, numbered};
use crate::statistics::median;
use crate::statistics::significance::{TTest, of_units_and_fits};
use sidelight_data::config::TargetKind;
use sidelight_data::number::number;
use sidelight_data::task::Prediction;

/// Standard deviations beyond which Huber's loss is absolute: 95 % as sharp as a squared error where errors are normal.
/// Huber 1981, "Robust Statistics", chapter 4.
const BEND: f64 = 1.345;
/// The median absolute deviation of a normal distribution, in standard deviations.
const NORMAL_MAD: f64 = 0.6745;

/// Of what a perfect model would spare a constant guess a difference below this share is nothing to a person, however sure
/// it is: of two models that are practically perfect one is always some orders of magnitude nearer to it.
const NEGLIGIBLE: f64 = 1e-3;

/// A share with three digits that matter, as a percentage.
pub(super) fn hundredths(share: f64) -> String {
    format!("{}\u{202F}%", number(100.0 * share))
}

/// A study, its rows and metrics prepared.
pub(super) struct Scored<'a> {
    pub(super) study: &'a Study<'a>,
    /// The proper score that decides. Less is better of each of them.
    pub(super) score: &'static str,
    /// Where the loss of each column of values bends, in standard deviations of the target.
    bends: Vec<f64>,
    /// Rows that every arm predicted.
    pub(super) rows: Vec<usize>,
    /// The unit of each of them.
    pub(super) units: Vec<u32>,
    pub(super) n_units: usize,
    pub(super) n_folds: usize,
    pub(super) sizes: Option<Vec<[f32; 2]>>,
    /// How much each of the rows counts; `None`: all the same.
    pub(super) weights: Option<Vec<f64>>,
    pub(super) arms: Vec<ScoredArm>,
}

/// An arm, its predictions of the common rows and its metric.
pub(super) struct ScoredArm {
    pub(super) name: String,
    pub(super) role: Role,
    /// `[seed][row of Scored::rows]`.
    pub(super) predictions: Vec<Vec<Prediction>>,
    /// The score that decides, one a seed.
    pub(super) score: Vec<WeightedMetric>,
    /// The metric that people know, one a seed.
    pub(super) metric: Vec<WeightedMetric>,
}

impl ScoredArm {
    /// The score over all held-out rows, mean over seeds.
    pub(super) fn value(&self, weights: Option<&[f64]>) -> Option<f64> {
        mean_over_seeds(&self.score, weights)
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
        let is_tested = |fold: &u32| study.order.tests(*fold);
        // What counts nothing is no evidence, and no independent unit.
        let counts = |row: usize| {
            study
                .weights
                .is_none_or(|weights| weights.of_row()[row] > 0.0)
        };
        let predicted = |row: &usize| {
            counts(*row)
                && study.folds.iter().all(|folds| is_tested(&folds[*row]))
                && study
                    .arms
                    .iter()
                    .all(|arm| arm.predictions.iter().all(|seed| seed[*row].is_some()))
        };
        let rows: Vec<usize> = (0..n_rows).filter(predicted).collect();
        let units: Vec<u32> = rows.iter().map(|&row| study.units[row]).collect();
        let mut scored = Self {
            study,
            score: "",
            bends: Vec::new(),
            n_units: numbered(&units).1,
            n_folds: (study.folds.iter().flatten())
                .filter(|fold| is_tested(fold))
                .collect::<BTreeSet<_>>()
                .len(),
            sizes: study
                .sizes
                .map(|sizes| rows.iter().map(|&row| sizes[row]).collect()),
            weights: study.weights.and_then(|weights| weights.of(&rows)),
            rows,
            units,
            arms: Vec::new(),
        };
        scored.choose_score();
        for arm in study.arms {
            let prepared = scored.prepare(arm)?;
            scored.arms.push(prepared);
        }
        if scored.first(Role::Chance).is_none() {
            let chance = scored.chance();
            scored.arms.extend(chance);
        }
        Ok(scored)
    }

    /// The proper score of the task: least, on average, for whoever says what they know. It never depends on the
    /// metric that was asked for.
    #[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
    fn choose_score(&mut self) {
        let image = self.study.arms.iter().find(|arm| arm.role == Role::Image);
        let predictions = self.common(image.expect("it was looked for"));
        let has_nme = |seed: &Vec<Prediction>| {
            let nme = WeightedMetric::new("mean_nme", &self.evaluation(seed));
            nme.and_then(|nme| nme.value(None)).is_some()
        };
        self.score = match self.study.task.kind() {
            TargetKind::Class | TargetKind::Multilabel => "log_loss",
            TargetKind::Regression => "huber",
            TargetKind::Keypoints if predictions.iter().all(has_nme) => "mean_nme",
            TargetKind::Keypoints => "mean_px",
        };
        if self.score == "huber" {
            let mut errors = vec![Vec::new(); self.study.task.n_outputs()];
            for seed in &predictions {
                if let Cells::Numbers(cells) = self.evaluation(seed).cells() {
                    for at in 0..cells.truth.len() {
                        errors[at % cells.n_columns].extend(cells.scaled(at).map(f64::abs));
                    }
                }
            }
            let bend = |errors: &Vec<f64>| {
                let spread = median(errors).filter(|spread| *spread > 0.0);
                spread.map_or(1.0, |spread| BEND * spread / NORMAL_MAD)
            };
            self.bends = errors.iter().map(bend).collect();
        }
    }

    fn chance(&self) -> Option<ScoredArm> {
        let of = |by| chance::predictions(self.study, &self.rows, by);
        let predictions = of(self.score)?;
        Some(ScoredArm {
            name: "chance".into(),
            role: Role::Chance,
            score: self.metrics(self.score, &predictions)?,
            metric: self.metrics(self.study.metric, &of(self.study.metric)?)?,
            predictions,
        })
    }

    /// What an arm predicted of the common rows.
    fn common(&self, arm: &Arm) -> Vec<Vec<Prediction>> {
        let kept = |seed: &Vec<Option<Prediction>>| {
            let rows = self.rows.iter();
            rows.filter_map(|&row| seed[row].clone()).collect()
        };
        arm.predictions.iter().map(kept).collect()
    }

    fn prepare(&self, arm: &Arm) -> Result<ScoredArm> {
        let predictions = self.common(arm);
        let defined = |name: &str| {
            let metrics = self.metrics(name, &predictions);
            let is_defined = |metrics: &Vec<WeightedMetric>| {
                mean_over_seeds(metrics, None).is_some_and(f64::is_finite)
            };
            metrics
                .filter(is_defined)
                .ok_or_else(|| Error::Uncomparable {
                    metric: name.into(),
                    arm: arm.name.clone(),
                })
        };
        Ok(ScoredArm {
            name: arm.name.clone(),
            role: arm.role,
            metric: defined(self.study.metric)?,
            score: defined(self.score)?,
            predictions,
        })
    }

    /// A metric of some predictions `[seed][row]`, one a seed.
    pub(super) fn metrics(
        &self,
        metric: &str,
        predictions: &[Vec<Prediction>],
    ) -> Option<Vec<WeightedMetric>> {
        predictions
            .iter()
            .map(|seed| match metric {
                "huber" => WeightedMetric::huber(&self.evaluation(seed), &self.bends),
                _ => WeightedMetric::new(metric, &self.evaluation(seed)),
            })
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
            weights: self.weights.as_deref(),
        }
    }

    /// Weights of rows, times what the rows count by themselves.
    pub(super) fn counted<'w>(&self, weights: &'w [f64]) -> Cow<'w, [f64]> {
        match &self.weights {
            None => weights.into(),
            Some(own) => weights.iter().zip(own).map(|(a, b)| a * b).collect(),
        }
    }

    pub(super) fn first(&self, role: Role) -> Option<&ScoredArm> {
        self.arms.iter().find(|arm| arm.role == role)
    }

    #[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
    pub(super) fn image(&self) -> &ScoredArm {
        self.first(Role::Image)
            .expect("a study without the image alone was refused")
    }

    /// Whether a difference of the score that decides is too small to matter: below a thousandth of what chance has.
    pub(super) fn is_negligible(&self, delta: f64) -> bool {
        let chance = self
            .first(Role::Chance)
            .and_then(|chance| chance.value(None));
        chance.is_some_and(|chance| delta.abs() < NEGLIGIBLE * chance)
    }

    /// A change from the image alone as a share of its error: `36.1 %`. `None` where more is better.
    pub(super) fn share(&self, metric: &str, delta: f64) -> Option<String> {
        let of_image = match metric == self.score {
            true => &self.image().score,
            false => &self.image().metric,
        };
        let value = mean_over_seeds(of_image, None).filter(|value| *value > 0.0)?;
        (better(metric) == Better::Lower).then(|| hundredths((delta / value).abs()))
    }

    /// Two arms' values of one metric, the one that was asked for unless the score orders them otherwise.
    pub(super) fn told(&self, a: &ScoredArm, b: &ScoredArm) -> Option<(String, f64, f64)> {
        let by = |name: &str, a: &[WeightedMetric], b: &[WeightedMetric]| {
            Some((
                name.to_owned(),
                mean_over_seeds(a, None)?,
                mean_over_seeds(b, None)?,
            ))
        };
        let score = by(self.score, &a.score, &b.score)?;
        let sign = better(self.study.metric).sign();
        let same = |(_, x, y): &(String, f64, f64)| sign * (x - y) * (score.1 - score.2) < 0.0;
        by(self.study.metric, &a.metric, &b.metric)
            .filter(same)
            .or(Some(score))
    }

    /// Any statistic, units resampled.
    pub(super) fn bootstrap_of(
        &self,
        statistic: impl Fn(&[f64]) -> Option<f64> + Sync,
        how: Bootstrap,
    ) -> Option<Bootstrapped> {
        cluster_bootstrap(&self.units, statistic, how)
    }

    /// The difference of two arms' metrics, by the luck of units and of fits.
    pub(super) fn compare(
        &self,
        with: &[WeightedMetric],
        without: &[WeightedMetric],
        how: Bootstrap,
    ) -> Option<TTest> {
        let difference = |weights: &[f64]| {
            Some(mean_over_seeds(with, Some(weights))? - mean_over_seeds(without, Some(weights))?)
        };
        let rows = self.bootstrap_of(difference, how)?;
        let of_fold = |((a, b), weight): ((Option<f64>, Option<f64>), f64)| Some((a? - b?, weight));
        let fits: Vec<Vec<(f64, f64)>> = with
            .iter()
            .zip(without)
            .zip(self.study.folds)
            .map(|((with, without), folds)| {
                let values = self.per_fold(with, folds).into_iter();
                let pairs = values.zip(self.per_fold(without, folds));
                pairs
                    .map(|((a, weight), (b, _))| ((a, b), weight))
                    .filter_map(of_fold)
                    .collect()
            })
            .collect();
        Some(of_units_and_fits(
            rows.estimate,
            rows.se,
            rows.n_units,
            &fits,
            how.level,
        ))
    }

    /// A metric in each fold, and how much the fold's rows count.
    fn per_fold(&self, metric: &WeightedMetric, folds: &[u32]) -> Vec<(Option<f64>, f64)> {
        let of_fold = |fold: &u32| {
            let own = |&row: &usize| f64::from(u8::from(folds[row] == *fold));
            let weights: Vec<f64> = self.rows.iter().map(own).collect();
            let value = metric.value(Some(&weights));
            (
                value.filter(|value| value.is_finite()),
                self.counted(&weights).iter().sum(),
            )
        };
        let tested = folds.iter().filter(|fold| self.study.order.tests(**fold));
        let distinct: BTreeSet<&u32> = tested.collect();
        distinct.into_iter().map(of_fold).collect()
    }

    pub(super) fn arm_score(&self, arm: &ScoredArm) -> ArmScore {
        let seeds = arm.metric.iter().zip(self.study.folds);
        let per_fold: Vec<Option<f64>> = seeds
            .flat_map(|(metric, folds)| self.per_fold(metric, folds))
            .map(|(value, _)| value)
            .collect();
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
            pooled: mean_over_seeds(&arm.metric, None),
            score: arm.value(None),
            by_unit: self.by_unit(arm),
            per_fold,
        }
    }

    /// The metric of the units' mean predictions, mean over seeds; `None` where they have no score, or a row each.
    fn by_unit(&self, arm: &ScoredArm) -> Option<f64> {
        if !are_several(self.units.iter().copied()) {
            return None;
        }
        let of_seed = |predictions: &Vec<Prediction>| {
            let rows = self.evaluation(predictions);
            let units = Grouped::new(&rows, &self.units).ok()?;
            WeightedMetric::new(self.study.metric, &units.evaluation(&rows))?.value(None)
        };
        let values: Option<Vec<f64>> = arm.predictions.iter().map(of_seed).collect();
        crate::statistics::mean(&values?)
    }

    /// The comparison of two arms, as lines of the table: by the score that decides, and by the metric.
    pub(super) fn lines(&self, arm: &ScoredArm, reference: &ScoredArm) -> Vec<Difference> {
        let score = self.by_score(arm, reference);
        let told = self.study.metric;
        let metric = || {
            self.line(
                told,
                (arm, &arm.metric),
                (reference, &reference.metric),
                self.study.how,
            )
        };
        let metric = (told != self.score).then(metric).flatten();
        score.into_iter().chain(metric).collect()
    }

    /// The comparison of two arms by the score that decides.
    pub(super) fn by_score(&self, arm: &ScoredArm, reference: &ScoredArm) -> Option<Difference> {
        let (with, without) = ((arm, &*arm.score), (reference, &*reference.score));
        self.line(self.score, with, without, self.study.how)
    }

    /// One line of the table.
    pub(super) fn line(
        &self,
        metric: &str,
        (arm, with): (&ScoredArm, &[WeightedMetric]),
        (reference, without): (&ScoredArm, &[WeightedMetric]),
        how: Bootstrap,
    ) -> Option<Difference> {
        let found = self.compare(with, without, how)?;
        Some(Difference {
            arm: arm.name.clone(),
            reference: reference.name.clone(),
            metric: metric.into(),
            delta: found.mean,
            low: found.interval.low,
            high: found.interval.high,
            p: found.p,
            direction: Direction::of(better(metric), found.interval),
        })
    }
}
