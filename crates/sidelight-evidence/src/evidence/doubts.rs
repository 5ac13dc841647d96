//! What speaks against believing a result, looked for one by one.

use super::decision::{MIN_UNITS, Named, units_of_classes};
use super::doubt::PERFECT;
use super::measure::{Scored, mean_over_seeds};
use super::within::Within;
use super::{
    ColumnFact, Difference, Direction, Doubt, DoubtEntry, Grouping, PartChange, Role, opponent,
};
use crate::metric::{Better, better};
use sidelight_data::split::FoldOrder;
use sidelight_data::task::Task;

/// The false-alarm rate that is accepted.
const ALPHA: f64 = 0.05;
/// The same for the units of one class.
const MIN_CLASS_UNITS: usize = 10;
/// A share of the gain that counts as all of it.
const ALL: f64 = 0.8;
/// A share of the gain that explains it.
const MOST: f64 = 0.5;
/// What a column of the file can do alone before it is worth a word.
const NOTABLE: f64 = 0.1;
/// Up to so many times another's error is told as a percentage.
const TWICE: f64 = 2.0;
/// A gain within strata below this share of the overall gain has vanished.
const VANISHED: f64 = 0.25;

/// Every doubt there is, those that explain the gain away first.
pub(super) fn doubts(
    scored: &Scored,
    named: &Named,
    differences: &[Difference],
    parts: &[PartChange],
) -> Vec<DoubtEntry> {
    let mut found: Vec<(Doubt, bool)> = Vec::new();
    found.extend(shuffled(scored, named, differences));
    found.extend(no_better_than_chance(scored, named, differences));
    found.extend(gaps(scored, differences));
    found.extend(duplicates(scored, named));
    found.extend(
        scored
            .study
            .facts
            .strata
            .iter()
            .filter_map(|strata| vanishes(scored, named, strata)),
    );
    found.extend(columns(&scored.study.facts.columns));
    found.extend(metadata_alone(scored, named, differences));
    found.extend(worse_than_another(scored, named, differences));
    found.extend(opponent::doubt(scored).map(|doubt| (doubt, false)));
    found.extend(worst_part(scored, named, parts));
    found.extend(calibration(scored, named));
    found.extend(too_few(scored));
    found.extend(uncertain(named));
    // A gain that is not there cannot be spurious.
    let entry = |(doubt, spurious): (Doubt, bool)| DoubtEntry {
        sentence: doubt.sentence(),
        doubt,
        spurious: spurious && named.helps(),
    };
    let mut entries: Vec<DoubtEntry> = found.into_iter().map(entry).collect();
    entries.sort_by_key(|entry| !entry.spurious);
    entries
}

/// One comparison by the score that decides, which comes before the metric.
fn line<'d>(differences: &'d [Difference], arm: &str, reference: &str) -> Option<&'d Difference> {
    differences
        .iter()
        .find(|line| line.arm == arm && line.reference == reference)
}

fn shuffled(scored: &Scored, named: &Named, differences: &[Difference]) -> Option<(Doubt, bool)> {
    let control = scored.first(Role::Shuffled)?;
    let found = line(differences, &control.name, &scored.image().name)?;
    if found.direction != Direction::Better {
        return None;
    }
    let (gain, share) = (-found.delta, -found.delta / named.gain());
    Some((Doubt::ShuffledControlGains { gain, share }, share >= MOST))
}

/// To beat a reference that has learned nothing is no feat: both must beat chance.
fn no_better_than_chance(
    scored: &Scored,
    named: &Named,
    differences: &[Difference],
) -> Option<(Doubt, bool)> {
    let (image, chance) = (scored.image(), scored.first(Role::Chance)?);
    let found = line(differences, &image.name, &chance.name)?;
    if found.direction == Direction::Better {
        return None;
    }
    let both = scored.lines(named.arm, chance);
    let both_better = both.first()?.direction == Direction::Better;
    // Of the score: a metric can be far from chance where what decides is not.
    let (metric, image, chance) = (scored.score.into(), image.value(None)?, chance.value(None)?);
    let doubt = Doubt::ImageNoBetterThanChance {
        metric,
        image,
        chance,
        both_better,
    };
    Some((doubt, !both_better))
}

fn gaps(scored: &Scored, differences: &[Difference]) -> Option<(Doubt, bool)> {
    let (control, chance) = (scored.first(Role::GapsOnly)?, scored.first(Role::Chance)?);
    let found = line(differences, &control.name, &chance.name)?;
    if found.direction != Direction::Better {
        return None;
    }
    let whole = scored
        .first(Role::Metadata)
        .and_then(|metadata| line(differences, &metadata.name, &chance.name));
    let share = whole
        .map(|whole| found.delta / whole.delta)
        .filter(|share| share.is_finite() && *share > 0.0);
    let (metric, gaps, chance) = scored.told(control, chance)?;
    let doubt = Doubt::MissingnessAlonePredictsTarget {
        metric,
        gaps,
        chance,
        share,
    };
    Some((doubt, share.is_none_or(|share| share >= MOST)))
}

/// Rows whose image was learned from where they were tested: does the gain live on them?
fn duplicates(scored: &Scored, named: &Named) -> Option<(Doubt, bool)> {
    let study = scored.study;
    let folds = study.folds.first()?;
    let is_known = |[tested, other]: &[usize; 2]| {
        let of = [folds[*tested], folds[*other]];
        study.order.tests(of[0])
            && study.order.learns(of[1], of[0])
            // What a fold in the order of time does not learn from although it was before.
            && (study.order == FoldOrder::Any || study.units[*tested] != study.units[*other])
    };
    let pairs = study.facts.duplicates.iter();
    let both_ways = pairs.flat_map(|&[a, b]| [[a, b], [b, a]]);
    let rows: std::collections::BTreeSet<usize> = both_ways
        .filter(is_known)
        .map(|[tested, _]| tested)
        .collect();
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
        Some(named.arm.value(Some(&own))? - scored.image().value(Some(&own))?)
    };
    let without = scored.bootstrap_of(difference, scored.study.how);
    let gain = without.map(|without| -without.estimate);
    let remains = gain.map(|gain| gain / named.gain());
    let remains = remains.filter(|_| named.gain() > 0.0);
    let survives = without.is_some_and(|without| without.p < ALPHA && without.estimate < 0.0);
    Some((Doubt::DuplicatesAcrossFolds { rows: n, remains }, !survives))
}

fn vanishes(scored: &Scored, named: &Named, strata: &Grouping) -> Option<(Doubt, bool)> {
    let whole = Grouping {
        of_row: vec![Some(0); strata.of_row.len()],
        ..Grouping::default()
    };
    let gain = |strata: &Grouping| {
        let with = Within::new(scored, named.arm, strata)?;
        let without = Within::new(scored, scored.image(), strata)?;
        let measure = with.first()?.measure();
        let value = |seeds: &[Within], weights: &[f64]| {
            let values: Option<Vec<f64>> = seeds.iter().map(|seed| seed.value(weights)).collect();
            values.and_then(|values| crate::statistics::mean(&values))
        };
        let difference = |weights: &[f64]| {
            let weights = scored.counted(weights);
            Some(value(&with, &weights)? - value(&without, &weights)?)
        };
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
    let share = |fact: &&ColumnFact| fact.share_of_gain.unwrap_or_default();
    // Of several columns without each of which (nearly) all is lost, the first is told, and names the others.
    let mut all: Vec<&ColumnFact> = facts.iter().filter(|fact| fact.used && used > 1).collect();
    all.retain(|fact| share(fact) >= ALL);
    all.sort_by(|a, b| share(b).total_cmp(&share(a)));
    let mut found = Vec::new();
    for fact in facts {
        let (column, share_of_gain, alone) = (fact.column.clone(), fact.share_of_gain, fact.alone);
        let carries_most = fact.used && share_of_gain.is_some_and(|share| share >= MOST);
        let perfect = alone.is_some_and(|alone| alone >= PERFECT);
        let carries_all = all.first().is_some_and(|first| first.column == column);
        if fact.used && (perfect || carries_all) {
            let others = all
                .iter()
                .filter(|other| carries_all && other.column != column);
            found.push((
                Doubt::OneColumnCarriesItAll {
                    column: column.clone(),
                    share_of_gain,
                    alone,
                    others: others.map(|other| other.column.clone()).collect(),
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
        if let Some(resemblance) = fact.resemblance.filter(|_| fact.used) {
            found.push((
                Doubt::ColumnMayNameSubjects {
                    column: column.clone(),
                    resemblance,
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
    named: &Named,
    differences: &[Difference],
) -> Option<(Doubt, bool)> {
    let metadata = scored.first(Role::Metadata)?;
    let found = line(differences, &named.arm.name, &metadata.name)?;
    // Metadata that is no better than the image is no reason to do without the image.
    let against_image = line(differences, &metadata.name, &scored.image().name)?;
    if found.direction == Direction::Better || against_image.delta >= 0.0 {
        return None;
    }
    let (metric, metadata, both) = scored.told(metadata, named.arm)?;
    let doubt = Doubt::MetadataAloneDoesAsWell {
        metric,
        metadata,
        both,
        better: found.direction == Direction::Worse && !scored.is_negligible(found.delta),
    };
    Some((doubt, false))
}

/// The best of the other arms that could be trained, where the one that the verdict is about is worse beyond chance.
fn worse_than_another(
    scored: &Scored,
    named: &Named,
    differences: &[Difference],
) -> Option<(Doubt, bool)> {
    let better_arms = scored.arms.iter().filter(|arm| {
        let compared = line(differences, &named.arm.name, &arm.name);
        !arm.role.is_control()
            && !matches!(arm.role, Role::Image | Role::Metadata)
            && compared.is_some_and(|line| {
                line.direction == Direction::Worse && !scored.is_negligible(line.delta)
            })
    });
    let score = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
    let other = better_arms.min_by(|a, b| score(a.value(None)).total_cmp(&score(b.value(None))))?;
    let (metric, own, others) = scored.told(named.arm, other)?;
    // Of an error that is (nearly) none any other is many times as much: then the values say it.
    let is_told = better(&metric) == Better::Lower && own <= TWICE * others;
    let doubt = Doubt::WorseThanAnotherArm {
        arm: named.arm.name.clone(),
        other: other.name.clone(),
        worse_by: is_told.then(|| own / others - 1.0),
        metric,
        own,
        others,
    };
    Some((doubt, false))
}

fn worst_part(scored: &Scored, named: &Named, parts: &[PartChange]) -> Option<(Doubt, bool)> {
    if named.gain() <= 0.0 {
        return None;
    }
    let loss = |part: &PartChange| -better(&part.metric).sign() * part.delta;
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

fn calibration(scored: &Scored, named: &Named) -> Option<(Doubt, bool)> {
    let (with, without) = (
        scored.metrics("ece", &named.arm.predictions)?,
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
    let (class, units) = units_of_classes(scored, true)
        .into_iter()
        .min_by_key(|(_, n)| *n)?;
    let doubt = Doubt::TooFewUnits {
        units,
        class: Some(names[class].clone()),
    };
    (units < MIN_CLASS_UNITS).then_some((doubt, false))
}

fn uncertain(named: &Named) -> Option<(Doubt, bool)> {
    let (low, high) = (named.found.low, named.found.high);
    // An arm that is the image (a vote that gave the metadata no weight) leaves nothing to doubt.
    let is_open = named.found.direction == Direction::Undecided && low < high;
    is_open.then_some((
        Doubt::IntervalCrossesZero {
            metric: named.found.metric.clone(),
            low,
            high,
        },
        false,
    ))
}
