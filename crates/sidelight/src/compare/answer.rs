//! From the predictions of all jobs to the answer.

use std::collections::BTreeMap;

use super::arm::{Arm, Model};
use super::design::{Design, Job};
use super::job::{Finished, SHARES};
use crate::config::TargetScale;
use crate::error::Result;
use crate::evidence::{self, Evidence, Facts, MissingnessPoint, Study, evaluate};
use crate::metric::selection_metric;
use crate::statistics::bootstrap::Bootstrap;
use crate::task::{Prediction, Task};

/// Weights that the vote chooses among are multiples of 1 over this.
const WEIGHT_STEPS: usize = 20;

/// What all jobs say together.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "report"),
    expect(dead_code, reason = "only the page tells all of it")
)]
pub(super) struct Answer {
    pub(super) evidence: Evidence,
    pub(super) seconds: f64,
    /// Mean weight of the metadata in the weighted vote, and its range over folds and seeds.
    pub(super) weight: Option<[f64; 3]>,
    /// What every arm predicted of every held-out row.
    pub(super) arms: Vec<evidence::Arm>,
}

impl Answer {
    /// Puts the folds together and weighs them.
    pub(super) fn new(design: &Design, finished: &BTreeMap<Job, Finished>) -> Result<Self> {
        let pooled = Pooled::new(design, finished);
        let arms: Vec<evidence::Arm> = design
            .arms
            .iter()
            .map(|arm| evidence::Arm {
                name: arm.name().to_owned(),
                role: arm.role(),
                predictions: pooled.predictions(arm, None),
            })
            .collect();
        let n_rows = design.dataset.len();
        let units = match &design.dataset.groups {
            Some(groups) => groups.clone(),
            None => (0..n_rows as u32).collect(),
        };
        let mut facts = Facts::gather(
            &design.table,
            &design.config,
            &design.dataset,
            &design.task,
            (&design.folds[0], design.order),
            design.sizes.as_deref(),
        );
        for fact in &mut facts.columns {
            fact.share_of_gain = share_of_gain(design, finished, &fact.column);
        }
        let mut evidence = evaluate(&Study {
            task: &design.task,
            targets: design
                .dataset
                .targets
                .as_ref()
                .expect("the task was fitted on them"),
            metric: &design.metric,
            units: &units,
            folds: &design.folds,
            order: design.order,
            sizes: design.sizes.as_deref(),
            weights: design.dataset.weights.as_ref(),
            arms: &arms,
            facts: &facts,
            how: Bootstrap::default(),
        })?;
        evidence.missingness = pooled.missingness();
        Ok(Self {
            evidence,
            seconds: finished.values().map(|finished| finished.seconds).sum(),
            weight: pooled.weight_range(),
            arms,
        })
    }
}

/// The held-out predictions of every model, and what is made of two of them.
struct Pooled<'a> {
    design: &'a Design,
    finished: &'a BTreeMap<Job, Finished>,
    /// Weight of the metadata in the weighted vote, `[seed][fold]`.
    weights: Vec<Vec<f64>>,
}

impl<'a> Pooled<'a> {
    fn new(design: &'a Design, finished: &'a BTreeMap<Job, Finished>) -> Self {
        let mut pooled = Self {
            design,
            finished,
            weights: Vec::new(),
        };
        if design.arms.contains(&Arm::WeightedVote) {
            let of_seed = |seed| {
                (0..design.n_folds())
                    .map(|fold| pooled.learned_weight(seed, fold))
                    .collect()
            };
            pooled.weights = (0..design.fold_rows.len()).map(of_seed).collect();
        }
        pooled
    }

    fn finished(&self, model: &Model, seed: usize, fold: usize) -> &Finished {
        let job = Job {
            model: model.clone(),
            seed,
            fold,
        };
        self.finished
            .get(&job)
            .expect("an arm's models are all among the jobs")
    }

    /// `[seed][row]`, `None` for rows that are only learned from; `gap`: with this one of [`SHARES`] of the metadata missing.
    fn predictions(&self, arm: &Arm, gap: Option<usize>) -> Vec<Vec<Option<Prediction>>> {
        (0..self.design.fold_rows.len())
            .map(|seed| {
                let mut by_row: Vec<Option<Prediction>> = vec![None; self.design.dataset.len()];
                for (fold, rows) in self.design.fold_rows[seed].iter().enumerate() {
                    let predictions = self.predictions_of_fold(arm, gap, seed, fold);
                    for (&row, prediction) in rows.test.iter().zip(predictions) {
                        by_row[row] = Some(prediction);
                    }
                }
                by_row
            })
            .collect()
    }

    fn predictions_of_fold(
        &self,
        arm: &Arm,
        gap: Option<usize>,
        seed: usize,
        fold: usize,
    ) -> Vec<Prediction> {
        let of = |model: &Model| self.finished(model, seed, fold);
        let with_gaps = |finished: &Finished| match gap {
            Some(gap) => finished.with_gaps[gap].clone(),
            None => finished.test.clone(),
        };
        let vote = |weight| {
            let (image, metadata) = (&of(&Model::Image).test, with_gaps(of(&Model::Metadata)));
            image
                .iter()
                .zip(&metadata)
                .map(|(a, b)| blend(&self.design.task, a, b, weight))
                .collect()
        };
        let first = || {
            self.design
                .first_fusion()
                .expect("its controls were refused without it")
        };
        match arm {
            Arm::Image => of(&Model::Image).test.clone(),
            Arm::Metadata => with_gaps(of(&Model::Metadata)),
            Arm::Trees => with_gaps(of(&Model::Trees)),
            Arm::Vote => vote(0.5),
            Arm::WeightedVote => vote(self.weights[seed][fold]),
            Arm::Fusion(name) => with_gaps(of(&Model::Fusion(name.clone()))),
            Arm::Shuffled => {
                let Model::Fusion(name) = first() else {
                    unreachable!("the first fusion is one")
                };
                of(&Model::Shuffled(name)).test.clone()
            }
            Arm::AllMissing => of(&first()).with_gaps[SHARES.len() - 1].clone(),
            Arm::GapsOnly => of(&Model::GapsOnly).test.clone(),
        }
    }

    /// The weight of the metadata that is best on the fold's inner validation rows; the nearest to a half of equals.
    fn learned_weight(&self, seed: usize, fold: usize) -> f64 {
        let rows = &self.design.fold_rows[seed][fold].valid;
        let (image, metadata) = (
            &self.finished(&Model::Image, seed, fold).valid,
            &self.finished(&Model::Metadata, seed, fold).valid,
        );
        let (name, better) = selection_metric(&self.design.task);
        let mut best: Option<(f64, f64)> = None;
        let mut steps: Vec<usize> = (0..=WEIGHT_STEPS).collect();
        steps.sort_by_key(|step| step.abs_diff(WEIGHT_STEPS / 2));
        for step in steps {
            let weight = step as f64 / WEIGHT_STEPS as f64;
            let voted = image
                .iter()
                .zip(metadata)
                .map(|(a, b)| blend(&self.design.task, a, b, weight))
                .collect();
            let score = value(&self.design.score(rows, voted), name);
            if let Some(score) = score
                && best.is_none_or(|(known, _)| better.prefers(score, known))
            {
                best = Some((score, weight));
            }
        }
        best.map_or(0.5, |(_, weight)| weight)
    }

    fn weight_range(&self) -> Option<[f64; 3]> {
        let all: Vec<f64> = self.weights.iter().flatten().copied().collect();
        let mean = crate::statistics::mean(&all)?;
        let (low, high) = all.iter().fold((1.0, 0.0), |(low, high): (f64, f64), w| {
            (low.min(*w), high.max(*w))
        });
        Some([mean, low, high])
    }

    /// The metric of every arm that could be used, as metadata goes missing.
    fn missingness(&self) -> Vec<MissingnessPoint> {
        let is_usable = |arm: &&Arm| {
            arm.role().is_candidate() || matches!(arm, Arm::Image | Arm::Metadata | Arm::Trees)
        };
        let rows = self.design.tested();
        let mut points = Vec::new();
        for arm in self.design.arms.iter().filter(is_usable) {
            for (gap, share) in std::iter::once((None, 0.0)).chain(
                SHARES
                    .iter()
                    .enumerate()
                    .map(|(at, share)| (Some(at), *share)),
            ) {
                let of_seed = |predictions: Vec<Option<Prediction>>| {
                    let tested = predictions.into_iter().flatten().collect();
                    value(&self.design.score(&rows, tested), &self.design.metric)
                };
                let values: Option<Vec<f64>> = self
                    .predictions(arm, gap)
                    .into_iter()
                    .map(of_seed)
                    .collect();
                if let Some(value) = values.and_then(|values| crate::statistics::mean(&values)) {
                    points.push(MissingnessPoint {
                        arm: arm.name().to_owned(),
                        share,
                        value,
                        n: rows.len(),
                    });
                }
            }
        }
        points
    }
}

fn value(metrics: &[(String, f64)], name: &str) -> Option<f64> {
    metrics
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| *value)
}

/// `(1 - weight) a + weight b`: of probabilities, of values on the scale that they are learned on (as the model that
/// `model.arm = "vote"` is), of points in pixels.
fn blend(task: &Task, a: &Prediction, b: &Prediction, weight: f64) -> Prediction {
    let scale = match task {
        Task::Regression { scale, .. } => *scale,
        _ => TargetScale::Linear,
    };
    let numbers = a.numbers().into_iter().zip(b.numbers());
    let blended = numbers.map(|(a, b)| {
        let [a, b] = [a, b].map(|x| scale.forward_predicted(x));
        scale.backward(a + weight * (b - a))
    });
    Prediction::from_numbers(a.kind(), &blended.collect::<Vec<f64>>())
}

/// Share of the first fusion's gain over the image alone that is lost when a column is permuted among held-out rows:
/// what it adds to the other columns. Means over folds and seeds, by the metric that epochs are chosen by, whatever the
/// comparison is told in. `None` where there is no gain to speak of: below twice its standard error.
fn share_of_gain(design: &Design, finished: &BTreeMap<Job, Finished>, column: &str) -> Option<f64> {
    let (metric, better) = selection_metric(&design.task);
    let sign = better.sign();
    let (mut gains, mut losses) = (Vec::new(), Vec::new());
    let fusion = design.first_fusion()?;
    for (job, with) in finished.iter().filter(|(job, _)| job.model == fusion) {
        let test = &design.rows_of(job).test;
        let image = finished.get(&Job {
            model: Model::Image,
            ..job.clone()
        })?;
        let score = |finished: &Finished| value(&design.score(test, finished.test.clone()), metric);
        let permuted = with
            .columns
            .iter()
            .find(|permuted| permuted.column == column)?;
        let (Some(with), Some(image), Some(without)) =
            (score(with), score(image), value(&permuted.metrics, metric))
        else {
            continue;
        };
        gains.push(sign * (with - image));
        losses.push(sign * (with - without));
    }
    let n = gains.len() as f64;
    let gain = crate::statistics::mean(&gains)?;
    let variance = gains.iter().map(|x| (x - gain).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    if gain <= 0.0 || gain < 2.0 * (variance / n).sqrt() {
        return None;
    }
    Some((crate::statistics::mean(&losses)? / gain).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vote_is_a_weighted_mean_on_the_scale_of_the_target() {
        let class = |p: [f32; 2]| Prediction::Class {
            probabilities: p.to_vec(),
        };
        let classes = Task::Class {
            column: "kind".into(),
            names: vec!["a".into(), "b".into()],
            counts: vec![1, 1],
        };
        assert_eq!(
            blend(&classes, &class([1.0, 0.0]), &class([0.5, 0.5]), 0.5),
            class([0.75, 0.25])
        );
        let value = |x: f64| Prediction::Regression { values: vec![x] };
        let mean = |scale, a, b, weight| {
            let task = Task::Regression {
                columns: vec!["price".into()],
                scale,
                mean: vec![0.0],
                sd: vec![1.0],
                range: vec![[1.0, 100.0]],
            };
            blend(&task, &value(a), &value(b), weight).numbers()[0]
        };
        assert_eq!(mean(TargetScale::Linear, 10.0, 20.0, 0.0), 10.0);
        assert_eq!(mean(TargetScale::Linear, 10.0, 20.0, 0.75), 17.5);
        assert!((mean(TargetScale::Log, 10.0, 1000.0, 0.5) - 100.0).abs() < 1e-9);
        // What rounds to 0 has no logarithm.
        assert!(mean(TargetScale::Log, 0.0, 1000.0, 0.5) > 0.0);
        let points = |x: f32| Prediction::keypoints(vec![[x, -x]]);
        let linear = blend(&classes, &points(4.0), &points(8.0), 0.25);
        assert_eq!(linear, points(5.0));
    }
}
