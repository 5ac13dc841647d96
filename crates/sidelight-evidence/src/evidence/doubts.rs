//! What speaks against believing a result, looked for one by one.

use std::collections::BTreeMap;

use super::doubt::PERFECT;
use super::measure::{Scored, ScoredArm, mean_over_seeds};
use super::verdict::{ALPHA, Claim};
use super::within::Within;
use super::{ColumnFact, Difference, Doubt, DoubtEntry, Grouping, PartChange, Role, opponent};
use crate::statistics::bootstrap::numbered;
use sidelight_data::task::Task;

/// Below so many independent units an interval is not to be believed.
const MIN_UNITS: usize = 30;
/// The same for the units of one class.
const MIN_CLASS_UNITS: usize = 10;
/// A share of the gain that counts as all of it.
const ALL: f64 = 0.8;
/// A share of the gain that explains it.
const MOST: f64 = 0.5;
/// What a column of the file can do alone before it is worth a word.
const NOTABLE: f64 = 0.1;
/// A gain within strata below this share of the overall gain has vanished.
const VANISHED: f64 = 0.25;

/// Every doubt there is, those that explain the gain away first.
pub(super) fn doubts(
    scored: &Scored,
    best: &Claim,
    differences: &[Difference],
    parts: &[PartChange],
) -> Vec<DoubtEntry> {
    let mut found: Vec<(Doubt, bool)> = Vec::new();
    found.extend(shuffled(scored, best, differences));
    found.extend(no_better_than_chance(scored, best, differences));
    found.extend(gaps(scored, differences));
    found.extend(duplicates(scored, best));
    found.extend(
        scored
            .study
            .facts
            .strata
            .iter()
            .filter_map(|strata| vanishes(scored, best, strata)),
    );
    found.extend(columns(&scored.study.facts.columns));
    found.extend(metadata_alone(scored, best, differences));
    found.extend(below_metadata(scored, best, differences));
    found.extend(opponent::doubt(scored).map(|doubt| (doubt, false)));
    found.extend(worst_part(scored, best, parts));
    found.extend(calibration(scored, best));
    found.extend(too_few(scored));
    found.extend(uncertain(best));
    // A gain that is not there cannot be spurious.
    let entry = |(doubt, spurious): (Doubt, bool)| DoubtEntry {
        sentence: doubt.sentence(scored.study.metric),
        doubt,
        spurious: spurious && best.helps(),
    };
    let mut entries: Vec<DoubtEntry> = found.into_iter().map(entry).collect();
    entries.sort_by_key(|entry| !entry.spurious);
    entries
}

/// The bootstrapped line of one comparison.
fn line<'d>(differences: &'d [Difference], arm: &str, reference: &str) -> Option<&'d Difference> {
    differences.iter().find(|line| {
        line.arm == arm && line.reference == reference && line.method == super::measure::BOOTSTRAP
    })
}

fn shuffled(scored: &Scored, best: &Claim, differences: &[Difference]) -> Option<(Doubt, bool)> {
    let control = scored.first(Role::Shuffled)?;
    let found = line(differences, &control.name, &scored.image().name)?;
    let gain = scored.gain(found.delta);
    if gain <= 0.0 || found.p >= ALPHA {
        return None;
    }
    let share = gain / best.gain;
    Some((Doubt::ShuffledControlGains { gain, share }, share >= MOST))
}

/// To beat a reference that has learned nothing is no feat: both must beat chance.
fn no_better_than_chance(
    scored: &Scored,
    best: &Claim,
    differences: &[Difference],
) -> Option<(Doubt, bool)> {
    let (image, chance) = (scored.image(), scored.first(Role::Chance)?);
    let found = line(differences, &image.name, &chance.name)?;
    if scored.gain(found.delta) > 0.0 && found.p < ALPHA {
        return None;
    }
    let both = scored.bootstrap(best.arm, chance)?;
    let both_better = scored.gain(both.estimate) > 0.0 && both.p < ALPHA;
    let doubt = Doubt::ImageNoBetterThanChance {
        image: image.value(None)?,
        chance: chance.value(None)?,
        both_better,
    };
    Some((doubt, !both_better))
}

fn gaps(scored: &Scored, differences: &[Difference]) -> Option<(Doubt, bool)> {
    let (control, chance) = (scored.first(Role::GapsOnly)?, scored.first(Role::Chance)?);
    let found = line(differences, &control.name, &chance.name)?;
    if scored.gain(found.delta) <= 0.0 || found.p >= ALPHA {
        return None;
    }
    let whole = scored
        .first(Role::Metadata)
        .and_then(|metadata| line(differences, &metadata.name, &chance.name));
    let share = whole
        .map(|whole| found.delta / whole.delta)
        .filter(|share| share.is_finite() && *share > 0.0);
    let doubt = Doubt::MissingnessAlonePredictsTarget {
        gaps: control.value(None)?,
        chance: chance.value(None)?,
        share,
    };
    Some((doubt, share.is_none_or(|share| share >= MOST)))
}

/// Rows whose image is also in another fold: does the gain live on them?
fn duplicates(scored: &Scored, best: &Claim) -> Option<(Doubt, bool)> {
    let folds = scored.study.folds.first()?;
    let crossing = scored
        .study
        .facts
        .duplicates
        .iter()
        .filter(|[a, b]| folds[*a] != folds[*b]);
    let rows: std::collections::BTreeSet<usize> = crossing.flatten().copied().collect();
    if rows.is_empty() {
        return None;
    }
    let kept: Vec<f64> = scored
        .rows
        .iter()
        .map(|row| f64::from(u8::from(!rows.contains(row))))
        .collect();
    let n = scored.rows.iter().filter(|row| rows.contains(row)).count();
    let difference = |weights: &[f64]| {
        let own: Vec<f64> = weights
            .iter()
            .zip(&kept)
            .map(|(weight, kept)| weight * kept)
            .collect();
        Some(best.arm.value(Some(&own))? - scored.image().value(Some(&own))?)
    };
    let without = scored.bootstrap_of(difference, scored.study.how);
    let gain_without = without.map(|without| scored.gain(without.estimate));
    let survives =
        without.is_some_and(|without| without.p < ALPHA && scored.gain(without.estimate) > 0.0);
    Some((
        Doubt::DuplicatesAcrossFolds {
            rows: n,
            gain_without,
        },
        !survives,
    ))
}

fn vanishes(scored: &Scored, best: &Claim, strata: &Grouping) -> Option<(Doubt, bool)> {
    let whole = Grouping {
        of_row: vec![Some(0); strata.of_row.len()],
        ..Grouping::default()
    };
    let gain = |strata: &Grouping| {
        let with = Within::new(scored, best.arm, strata)?;
        let without = Within::new(scored, scored.image(), strata)?;
        let measure = with.first()?.measure();
        let value = |seeds: &[Within], weights: &[f64]| {
            let values: Option<Vec<f64>> = seeds.iter().map(|seed| seed.value(weights)).collect();
            values.and_then(|values| crate::statistics::mean(&values))
        };
        let difference = |weights: &[f64]| Some(value(&with, weights)? - value(&without, weights)?);
        Some((measure, scored.bootstrap_of(difference, scored.study.how)?))
    };
    let (measure, overall) = gain(&whole)?;
    let (_, within) = gain(strata)?;
    let there = overall.estimate > 0.0 && overall.p < ALPHA;
    let gone = within.interval.low <= 0.0 && within.estimate < VANISHED * overall.estimate;
    let doubt = || Doubt::GainVanishesWithin {
        strata: strata.name.clone(),
        overall: overall.estimate,
        within: within.estimate,
        measure: measure.into(),
    };
    (there && gone).then(|| (doubt(), true))
}

fn columns(facts: &[ColumnFact]) -> Vec<(Doubt, bool)> {
    let used = facts.iter().filter(|fact| fact.used).count();
    let mut found = Vec::new();
    for fact in facts {
        let (column, share_of_gain, alone) = (fact.column.clone(), fact.share_of_gain, fact.alone);
        let carries_most = fact.used && share_of_gain.is_some_and(|share| share >= MOST);
        let perfect = alone.is_some_and(|alone| alone >= PERFECT);
        let carries_all = used > 1 && share_of_gain.is_some_and(|share| share >= ALL);
        if fact.used && (perfect || carries_all) {
            found.push((
                Doubt::OneColumnCarriesItAll {
                    column: column.clone(),
                    share_of_gain,
                    alone,
                },
                perfect,
            ));
        }
        if fact.used && fact.identifier {
            found.push((
                Doubt::IdentifierLikeColumn {
                    column: column.clone(),
                    share_of_gain,
                },
                carries_most,
            ));
        }
        if let Some(alone) = alone.filter(|alone| fact.from_file && *alone >= NOTABLE) {
            found.push((
                Doubt::FilePredictsTarget {
                    column,
                    alone,
                    used: fact.used,
                },
                carries_most,
            ));
        }
    }
    found
}

fn metadata_alone(
    scored: &Scored,
    best: &Claim,
    differences: &[Difference],
) -> Option<(Doubt, bool)> {
    let metadata = scored.first(Role::Metadata)?;
    let found = line(differences, &best.arm.name, &metadata.name)?;
    let gain = scored.gain(found.delta);
    if gain > 0.0 && found.p < ALPHA {
        return None;
    }
    // Metadata that is no better than the image is no reason to do without the image.
    let against_image = line(differences, &metadata.name, &scored.image().name)?;
    if scored.gain(against_image.delta) <= 0.0 {
        return None;
    }
    let better = gain < 0.0 && found.p < ALPHA;
    let (metadata, both) = (metadata.value(None)?, best.arm.value(None)?);
    Some((
        Doubt::MetadataAloneDoesAsWell {
            metadata,
            both,
            better,
        },
        false,
    ))
}

/// Fusions other than the best arm that lose what the metadata alone can do.
fn below_metadata(scored: &Scored, best: &Claim, differences: &[Difference]) -> Vec<(Doubt, bool)> {
    let Some(metadata) = scored.first(Role::Metadata) else {
        return Vec::new();
    };
    let fusions = scored
        .arms
        .iter()
        .filter(|arm| arm.role == Role::Fusion && arm.name != best.arm.name);
    let below = |arm: &&ScoredArm| {
        line(differences, &arm.name, &metadata.name)
            .is_some_and(|found| scored.gain(found.delta) < 0.0 && found.p < ALPHA)
    };
    fusions
        .filter(below)
        .filter_map(|arm| {
            let doubt = Doubt::FusionBelowMetadata {
                arm: arm.name.clone(),
                metadata: metadata.value(None)?,
                fusion: arm.value(None)?,
            };
            Some((doubt, false))
        })
        .collect()
}

fn worst_part(scored: &Scored, best: &Claim, parts: &[PartChange]) -> Option<(Doubt, bool)> {
    if best.gain <= 0.0 {
        return None;
    }
    let loss = |part: &PartChange| -crate::metric::better(&part.metric).sign() * part.delta;
    let down = parts.iter().filter(|part| {
        let own = ["class", "label", "point", "column"].contains(&part.by.as_str())
            || scored
                .study
                .facts
                .subgroups
                .iter()
                .any(|grouping| grouping.name == part.by);
        own && loss(part) > 0.0
            && part
                .interval
                .is_some_and(|interval| !interval.contains(0.0))
    });
    let worst = down.max_by(|a, b| loss(a).total_cmp(&loss(b)))?;
    let doubt = Doubt::WorstPartDown {
        part: format!("{} {}", worst.by, worst.part),
        metric: worst.metric.clone(),
        from: worst.image,
        to: worst.with_metadata,
    };
    Some((doubt, false))
}

fn calibration(scored: &Scored, best: &Claim) -> Option<(Doubt, bool)> {
    let (with, without) = (
        scored.metrics("ece", &best.arm.predictions)?,
        scored.metrics("ece", &scored.image().predictions)?,
    );
    let difference = |weights: &[f64]| {
        Some(mean_over_seeds(&with, Some(weights))? - mean_over_seeds(&without, Some(weights))?)
    };
    let found = scored.bootstrap_of(difference, scored.study.how)?;
    let doubt = Doubt::CalibrationWorse {
        from: mean_over_seeds(&without, None)?,
        to: mean_over_seeds(&with, None)?,
    };
    (found.interval.low > 0.0).then_some((doubt, false))
}

fn too_few(scored: &Scored) -> Option<(Doubt, bool)> {
    if scored.n_units < MIN_UNITS {
        return Some((
            Doubt::TooFewUnits {
                units: scored.n_units,
                class: None,
            },
            false,
        ));
    }
    let Task::Class { names, .. } = scored.study.task else {
        return None;
    };
    let first = scored.image().predictions.first()?;
    let mut units: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for (i, class) in scored.evaluation(first).classes().classes() {
        units.entry(class).or_default().push(scored.units[i]);
    }
    let (class, units) = units
        .into_iter()
        .map(|(class, units)| (class, numbered(&units).1))
        .min_by_key(|(_, n)| *n)?;
    let doubt = Doubt::TooFewUnits {
        units,
        class: Some(names[class].clone()),
    };
    (units < MIN_CLASS_UNITS).then_some((doubt, false))
}

fn uncertain(best: &Claim) -> Option<(Doubt, bool)> {
    let interval = best.rows.interval;
    // An arm that is the image (a vote that gave the metadata no weight) leaves nothing to doubt.
    if interval.low == 0.0 && interval.high == 0.0 {
        return None;
    }
    if interval.contains(0.0) {
        return Some((
            Doubt::IntervalCrossesZero {
                low: interval.low,
                high: interval.high,
            },
            false,
        ));
    }
    let p = best.folds.map(|folds| folds.p).filter(|p| *p >= ALPHA)?;
    Some((Doubt::FoldsDisagree { p }, false))
}
