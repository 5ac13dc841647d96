//! What decides: one arm named beforehand against the image alone, by one proper score; and what stands beside it.

use super::measure::{Scored, ScoredArm};
use super::{Decision, Difference, Direction, Role, Sensitivity, no_arm};
use crate::error::{Error, Result};
use crate::metric::{scoring, words};
use crate::statistics::bootstrap::{Bootstrap, numbered};
use sidelight_data::number::whole_percent;
use sidelight_data::task::Task;
use std::collections::BTreeMap;

/// Below so many independent units an interval is not to be believed.
pub(super) const MIN_UNITS: usize = 30;
/// Resamples for what only stands beside the decision, at most.
const BESIDE: usize = 2000;

/// The arm that the verdict is about, and what decides.
pub(super) struct Named<'s> {
    pub(super) arm: &'s ScoredArm,
    /// Against the image alone, by the score.
    pub(super) found: Difference,
}

impl<'s> Named<'s> {
    /// The first fusion (the configuration's own comes first), or the first arm that includes metadata.
    pub(super) fn new(scored: &'s Scored) -> Result<Self> {
        let arms = || scored.arms.iter();
        let arm = arms()
            .find(|arm| arm.role == Role::Fusion)
            .or_else(|| arms().find(|arm| arm.role.is_candidate()))
            .ok_or_else(|| no_arm("any that includes metadata"))?;
        let image = scored.image();
        let found = scored
            .by_score(arm, image)
            .ok_or_else(|| Error::Uncomparable {
                metric: scored.score.into(),
                arm: arm.name.clone(),
            })?;
        Ok(Self { arm, found })
    }

    /// How much less the score is than that of the image alone.
    pub(super) fn gain(&self) -> f64 {
        -self.found.delta
    }

    pub(super) fn helps(&self) -> bool {
        self.found.direction == Direction::Better
    }

    /// The decision, with the same arm by other metrics (the one that was asked for first) and other arms by the score.
    pub(super) fn decision(&self, scored: &Scored, differences: &[Difference]) -> Decision {
        let image = scored.image();
        let is_own = |line: &&Difference| {
            line.arm == self.arm.name && line.reference == image.name && line.metric != scored.score
        };
        let mut beside: Vec<Difference> = differences.iter().filter(is_own).cloned().collect();
        let how = Bootstrap {
            replicates: scored.study.how.replicates.min(BESIDE),
            ..scored.study.how
        };
        let task = scored.study.task;
        for metric in scoring(task.kind(), task.n_outputs()).metrics {
            // How far probabilities can be believed is no measure of what they say, and is told on its own.
            if [scored.score, scored.study.metric, "ece"].contains(metric) {
                continue;
            }
            let of = |arm: &ScoredArm| scored.metrics(metric, &arm.predictions);
            beside.extend(of(self.arm).zip(of(image)).and_then(|(with, without)| {
                scored.line(metric, (self.arm, &with), (image, &without), how)
            }));
        }
        let is_other = |line: &&Difference| {
            let arm = scored.arms.iter().find(|arm| arm.name == line.arm);
            line.arm != self.arm.name
                && line.reference == image.name
                && line.metric == scored.score
                && arm.is_some_and(|arm| !arm.role.is_control())
        };
        beside.extend(differences.iter().filter(is_other).cloned());
        let sensitivity = beside
            .into_iter()
            .map(|line| Sensitivity {
                why: (line.direction != self.found.direction).then(|| self.why(scored, &line)),
                line,
            })
            .collect();
        Decision {
            score: scored.score.into(),
            arm: self.arm.name.clone(),
            reference: image.name.clone(),
            difference: self.found.delta,
            low: self.found.low,
            high: self.found.high,
            p: self.found.p,
            direction: self.found.direction,
            sensitivity,
        }
    }

    /// Why a metric or an arm can say something else than what decides.
    fn why(&self, scored: &Scored, line: &Difference) -> String {
        if line.arm != self.arm.name {
            return format!("`{}` is another model than `{}`", line.arm, self.arm.name);
        }
        let (metric, score) = (words(&line.metric), words(scored.score));
        let (by_decision, what) = match line.metric.split('@').next().unwrap_or_default() {
            "accuracy" | "hamming_accuracy" | "micro_f1" => (
                true,
                "counts only which answer is most probable, not how probable it is",
            ),
            "balanced_accuracy" | "macro_f1" => (
                true,
                "counts only which answer is most probable, and every class alike, however rare",
            ),
            "auroc" | "micro_auroc" | "average_precision" | "map" => (
                false,
                "sees only the order of the rows, not the probabilities themselves",
            ),
            "brier" => (false, "forgives confident errors"),
            "rmse" | "r2" => (false, "is decided by the few largest errors"),
            "mape" => (false, "counts errors most where the true value is small"),
            "median_ae" | "median_px" => (false, "sees only the error in the middle"),
            "mean_px" => (false, "counts large images most"),
            "pck" => (false, "sees only whether a point is near enough"),
            _ => (false, "counts a unit of error alike wherever it falls"),
        };
        let mut why = format!("{metric} {what}; {score} does not");
        if let (true, Some((class, share))) = (by_decision, commonest(scored)) {
            why += &format!("; {} of the rows are `{class}`", whole_percent(share));
        }
        let task = scored.study.task;
        if let Task::Regression { columns, .. } = task
            && columns.len() > 1
        {
            why += &format!("; {} targets are averaged", columns.len());
        }
        if scored.n_units < MIN_UNITS {
            why += &format!("; {} independent units are few", scored.n_units);
        }
        why
    }
}

/// The most frequent class and its share of the rows.
fn commonest(scored: &Scored) -> Option<(String, f64)> {
    let Task::Class { names, .. } = scored.study.task else {
        return None;
    };
    let units = units_of_classes(scored, false);
    let (class, n) = units.into_iter().max_by_key(|(_, n)| *n)?;
    Some((names[class].clone(), n as f64 / scored.rows.len() as f64))
}

/// How many rows, or independent units, each class has.
pub(super) fn units_of_classes(scored: &Scored, units: bool) -> BTreeMap<usize, usize> {
    let mut of_class: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    if let Some(first) = scored.image().predictions.first() {
        for (i, class) in scored.evaluation(first).classes().classes() {
            of_class.entry(class).or_default().push(scored.units[i]);
        }
    }
    let size = |found: Vec<u32>| {
        if units {
            numbered(&found).1
        } else {
            found.len()
        }
    };
    of_class
        .into_iter()
        .map(|(class, found)| (class, size(found)))
        .collect()
}

/// Every comparison, by the score and by the metric: arms with metadata against the image alone first.
pub(super) fn differences(scored: &Scored, named: &ScoredArm) -> Vec<Difference> {
    let (image, first) = (Some(scored.image()), |role| scored.first(role));
    let (metadata, chance) = (first(Role::Metadata), first(Role::Chance));
    let candidates = scored.arms.iter().filter(|arm| arm.role.is_candidate());
    let mut pairs: Vec<(Option<&ScoredArm>, Option<&ScoredArm>)> =
        candidates.map(|arm| (Some(arm), image)).collect();
    pairs.extend([
        (Some(named), metadata),
        (first(Role::Trees), metadata),
        (metadata, image),
        (first(Role::Shuffled), image),
        (first(Role::AllMissing), image),
        (first(Role::GapsOnly), chance),
        (metadata, chance),
        (image, chance),
    ]);
    // The model that a person would train, against the others.
    let others = scored.arms.iter().filter(|arm| {
        !arm.role.is_control()
            && !matches!(arm.role, Role::Image | Role::Metadata)
            && arm.name != named.name
    });
    pairs.extend(others.map(|other| (Some(named), Some(other))));
    let both = pairs
        .into_iter()
        .filter_map(|(arm, reference)| arm.zip(reference));
    both.flat_map(|(arm, reference)| scored.lines(arm, reference))
        .collect()
}
