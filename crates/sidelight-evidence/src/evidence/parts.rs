//! The change part by part: classes, labels, points, columns, subgroups; and calibration.

use super::measure::{Scored, ScoredArm, mean_over_seeds};
use super::{Calibration, Grouping, PartChange};
use crate::metric::calibration::{self, BINS};
use crate::metric::{WeightedMetric, scoring};
use crate::statistics::bootstrap::{Bootstrap, Bootstrapped};
use crate::statistics::mean;
use sidelight_data::config::TargetKind;

/// Fewest rows that a change is told of.
const MIN_ROWS: usize = 5;
/// Most parts that get an interval.
const MAX_PARTS: usize = 200;

/// Every part's change from the image alone to `arm`.
pub(super) fn changes(scored: &Scored, arm: &ScoredArm) -> Vec<PartChange> {
    let mut changes = own_parts(scored, arm);
    for grouping in &scored.study.facts.subgroups {
        changes.extend(subgroup_changes(scored, arm, grouping));
    }
    changes
}

/// Classes, labels, points or columns: what the task itself consists of.
fn own_parts(scored: &Scored, arm: &ScoredArm) -> Vec<PartChange> {
    let task = scored.study.task;
    let (by, metric) = (
        task.part(),
        scoring(task.kind(), task.n_outputs()).part_metric,
    );
    let names = task.part_names();
    if names.len() > MAX_PARTS || (names.len() == 1 && by != "label") {
        return Vec::new();
    }
    let level = 1.0 - (1.0 - scored.study.how.level) / names.len() as f64;
    let change = |(part, name): (usize, &String)| {
        let of = |arm: &ScoredArm| -> Option<Vec<WeightedMetric>> {
            let seeds = arm.predictions.iter();
            seeds
                .map(|seed| WeightedMetric::of_part(part, &scored.evaluation(seed)))
                .collect()
        };
        let ones = vec![1.0; scored.rows.len()];
        let (with, without) = (of(arm)?, of(scored.image())?);
        let n = with.first()?.n_rows();
        compare(scored, &with, &without, &ones, level)
            .map(|found| (found, n))
            .map(|((image, found), n)| part_change(by, name, metric, n, image, &found))
    };
    names.iter().enumerate().filter_map(change).collect()
}

fn subgroup_changes(scored: &Scored, arm: &ScoredArm, grouping: &Grouping) -> Vec<PartChange> {
    let metric = scored.study.metric;
    let (Some(with), Some(without)) = (
        scored.metrics(metric, &arm.predictions),
        scored.metrics(metric, &scored.image().predictions),
    ) else {
        return Vec::new();
    };
    if grouping.levels.len() > MAX_PARTS {
        return Vec::new();
    }
    let change = |(level, name): (u32, &String)| {
        let inside: Vec<f64> = scored
            .rows
            .iter()
            .map(|&row| f64::from(u8::from(grouping.of_row[row] == Some(level))))
            .collect();
        let n = inside.iter().filter(|weight| **weight > 0.0).count();
        if n < MIN_ROWS {
            return None;
        }
        let confidence = 1.0 - (1.0 - scored.study.how.level) / grouping.levels.len() as f64;
        let (image, found) = compare(scored, &with, &without, &inside, confidence)?;
        Some(part_change(&grouping.name, name, metric, n, image, &found))
    };
    (0..).zip(&grouping.levels).filter_map(change).collect()
}

/// The metric without metadata, and the difference, over the rows where `inside` is 1.
fn compare(
    scored: &Scored,
    with: &[WeightedMetric],
    without: &[WeightedMetric],
    inside: &[f64],
    level: f64,
) -> Option<(f64, Bootstrapped)> {
    let image = mean_over_seeds(without, Some(inside))?;
    // Fewer resamples than for the claim itself: there may be hundreds of parts.
    let replicates = scored.study.how.replicates.min(2000);
    let how = Bootstrap {
        replicates,
        level,
        ..scored.study.how
    };
    let difference = |weights: &[f64]| {
        let own: Vec<f64> = weights
            .iter()
            .zip(inside)
            .map(|(weight, inside)| weight * inside)
            .collect();
        Some(mean_over_seeds(with, Some(&own))? - mean_over_seeds(without, Some(&own))?)
    };
    let found = scored.bootstrap_of(difference, how);
    let found = found.or_else(|| {
        let delta = mean_over_seeds(with, Some(inside))? - image;
        let interval = crate::statistics::Interval {
            low: f64::NAN,
            high: f64::NAN,
        };
        Some(Bootstrapped {
            estimate: delta,
            interval,
            se: f64::NAN,
            p: 1.0,
            n_units: 0,
            n_replicates: 0,
        })
    })?;
    Some((image, found))
}

fn part_change(
    by: &str,
    part: &str,
    metric: &str,
    n: usize,
    image: f64,
    found: &Bootstrapped,
) -> PartChange {
    PartChange {
        by: by.into(),
        part: part.into(),
        metric: metric.into(),
        n,
        image,
        with_metadata: image + found.estimate,
        delta: found.estimate,
        interval: Some(found.interval).filter(|interval| interval.low.is_finite()),
    }
}

/// Every arm's calibration, for classes and labels.
pub(super) fn calibration(scored: &Scored) -> Vec<Calibration> {
    scored
        .arms
        .iter()
        .filter_map(|arm| of_arm(scored, arm))
        .collect()
}

fn of_arm(scored: &Scored, arm: &ScoredArm) -> Option<Calibration> {
    let ece = scored.metrics("ece", &arm.predictions)?;
    let ece: Vec<f64> = ece.iter().filter_map(|seed| seed.value(None)).collect();
    let (mut confidence, mut correct) = (Vec::new(), Vec::new());
    let (mut of_cells, mut of_rows) = (Vec::new(), Vec::new());
    let weight = |row: usize| scored.weights.as_ref().map_or(1.0, |weights| weights[row]);
    // Class and probabilities of rows of one of several classes.
    let (mut truth, mut probabilities) = (Vec::new(), Vec::new());
    for predictions in &arm.predictions {
        let cells = scored.evaluation(predictions).classes();
        for (row, p, is) in cells.confidence() {
            of_cells.push(weight(row));
            confidence.push(p);
            correct.push(is);
        }
        for (row, class) in cells.classes() {
            truth.push(class);
            of_rows.push(weight(row));
            probabilities.extend_from_slice(&cells.p[cells.row(row)]);
        }
    }
    let task = scored.study.task;
    let temperature = match task.kind() {
        TargetKind::Class => {
            calibration::fit_temperature(&truth, Some(&of_rows), &probabilities, task.n_outputs())
        }
        _ => calibration::fit_binary_temperature(&correct, Some(&of_cells), &confidence),
    };
    Some(Calibration {
        arm: arm.name.clone(),
        ece: mean(&ece)?,
        temperature,
        bins: calibration::reliability(&confidence, &correct, Some(&of_cells), BINS),
    })
}
