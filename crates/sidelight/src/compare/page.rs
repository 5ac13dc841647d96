//! The answer as a page.

use super::answer::Answer;
use super::design::Design;
use super::{Speed, arm::Arm};
use crate::error::Result;
use crate::evidence::{Calibration, Doubt, Evidence, Role};
use crate::report::chart::{ReliabilityBin, ReliabilitySeries};
use crate::report::{
    self, ArmRole, ArmRow, ComparisonPage, MetricName, MissingnessCurve, ReliabilityCurve,
    SubgroupChange, SubgroupTable, number, page,
};

/// Rows of one table of parts, at most.
const MOST_PARTS: usize = 24;

/// Everything that the page says.
pub(super) fn page(design: &Design, answer: &Answer, title: &str) -> Result<ComparisonPage> {
    let evidence = &answer.evidence;
    Ok(ComparisonPage {
        title: title.to_owned(),
        verdict: verdict(evidence),
        metric: MetricName::new(&evidence.metric.name),
        design: facts(design, answer),
        arms: arms(evidence),
        differences: differences(evidence),
        reliability: evidence
            .calibration
            .iter()
            .filter(|curve| is_shown(evidence, &curve.arm))
            .map(reliability)
            .collect(),
        missingness: missingness(evidence),
        subgroups: subgroups(evidence),
        remarks: design.remarks.clone(),
        config: design.config.to_toml()?,
        machine: page::machine(),
    })
}

fn verdict(evidence: &Evidence) -> report::Verdict {
    let doubt = |entry: &crate::evidence::DoubtEntry| report::Doubt {
        title: title(&entry.doubt),
        detail: sentence_case(&entry.sentence)
            + if entry.sentence.ends_with('?') {
                ""
            } else {
                "."
            },
    };
    report::Verdict {
        code: evidence.verdict.code.as_str().to_owned(),
        sentence: evidence.verdict.sentence.clone(),
        doubts: evidence.verdict.doubts.iter().map(doubt).collect(),
    }
}

/// A doubt's code in words: `too_few_units` is "Too few units".
fn title(doubt: &Doubt) -> String {
    let value = serde_json::to_value(doubt).unwrap_or_default();
    sentence_case(&value["code"].as_str().unwrap_or_default().replace('_', " "))
}

fn sentence_case(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn facts(design: &Design, answer: &Answer) -> Vec<(String, String)> {
    let evidence = &answer.evidence;
    let config = &design.config;
    let units = match &config.data.group {
        Some(group) => format!(
            "{} values of `{group}`, never divided",
            number::count(evidence.units)
        ),
        None => format!("{} rows (no group column)", number::count(evidence.units)),
    };
    let speed = match design.speed {
        Speed::Quick => {
            "quick: the pretrained part stays frozen and sees each image once, without random changes"
        }
        Speed::Full => "full: trained as the configuration says",
    };
    let epochs = design
        .jobs()
        .iter()
        .map(|job| design.config_of(job).train.epochs)
        .max();
    let candidates = design
        .arms
        .iter()
        .filter(|arm| arm.role().is_candidate())
        .count();
    let mut facts = vec![
        ("target", target(&config.target.names())),
        ("rows", number::count(evidence.rows)),
        ("independent units", units),
        (
            "folds × seeds",
            format!("{} × {}", evidence.folds, evidence.seeds),
        ),
        ("speed", speed.to_owned()),
        (
            "backbone",
            format!("{}, {} pixels", config.model.backbone, config.train.size),
        ),
        (
            "epochs",
            format!(
                "at most {}; the best by inner validation rows, which are part of the other folds",
                epochs.unwrap_or(config.train.epochs)
            ),
        ),
        (
            "intervals",
            "95 %, bootstrap over units of the pooled held-out predictions, 5000 resamples"
                .to_owned(),
        ),
        (
            "p values",
            format!(
                "the larger of the bootstrap's and a quarter of the corrected resampled t's; Holm over {candidates} arms"
            ),
        ),
    ];
    if let Some([mean, low, high]) = answer.weight {
        facts.push(("weighted vote", format!("metadata weighs {mean:.2} ({low:.2} to {high:.2}), learned on the inner validation rows")));
    }
    if design.arms.contains(&Arm::Shuffled) {
        facts.push(("shuffled", "metadata permuted among training rows, among inner validation rows and among held-out rows".to_owned()));
    }
    facts.push(("time of all trainings", number::duration(answer.seconds)));
    facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn arms(evidence: &Evidence) -> Vec<ArmRow> {
    let row = |arm: &crate::evidence::ArmScore| {
        let ece = evidence
            .calibration
            .iter()
            .find(|curve| curve.arm == arm.name);
        ArmRow {
            name: arm.name.clone(),
            role: match arm.role {
                Role::Chance | Role::Shuffled | Role::AllMissing | Role::GapsOnly => {
                    ArmRole::Control
                }
                _ => ArmRole::Arm,
            },
            n: arm.n,
            mean: arm.mean.unwrap_or(f64::NAN),
            sd: arm.sd.unwrap_or(f64::NAN),
            per_fold: arm.per_fold.iter().flatten().copied().collect(),
            ece: ece.map(|curve| curve.ece),
        }
    };
    evidence.arms.iter().map(row).collect()
}

fn differences(evidence: &Evidence) -> Vec<report::Difference> {
    let row = |line: &crate::evidence::Difference| report::Difference {
        arm: line.arm.clone(),
        reference: line.reference.clone(),
        delta: line.delta,
        interval: line.low.zip(line.high).map(|(low, high)| [low, high]),
        p: Some(line.p_adjusted.unwrap_or(line.p)),
        method: match line.p_adjusted {
            Some(_) => format!("{}, p that decides (Holm)", line.method),
            None => line.method.clone(),
        },
        n: evidence.rows,
        units: evidence.units,
    };
    evidence.differences.iter().map(row).collect()
}

/// The reference, the arm that the verdict is about, and the metadata alone: more curves would hide each other.
fn is_shown(evidence: &Evidence, arm: &str) -> bool {
    arm == evidence.verdict.arm || ["image", "metadata"].contains(&arm)
}

fn reliability(curve: &Calibration) -> ReliabilityCurve {
    let filled = curve.bins.iter().filter(|bin| bin.n > 0);
    ReliabilityCurve {
        series: ReliabilitySeries {
            name: curve.arm.clone(),
            bins: filled
                .map(|bin| ReliabilityBin {
                    predicted: bin.confidence,
                    observed: bin.accuracy,
                    n: bin.n,
                })
                .collect(),
        },
        ece: curve.ece,
    }
}

fn missingness(evidence: &Evidence) -> Vec<MissingnessCurve> {
    let mut curves: Vec<MissingnessCurve> = Vec::new();
    for point in &evidence.missingness {
        let at = [100.0 * point.share, point.value];
        match curves.iter_mut().find(|curve| curve.arm == point.arm) {
            Some(curve) => curve.points.push(at),
            None => curves.push(MissingnessCurve {
                arm: point.arm.clone(),
                points: vec![at],
                n: point.n,
            }),
        }
    }
    curves
}

fn subgroups(evidence: &Evidence) -> Vec<SubgroupTable> {
    let mut tables: Vec<SubgroupTable> = Vec::new();
    for part in &evidence.parts {
        let [low, high] = part
            .interval
            .map_or([f64::NAN; 2], |interval| [interval.low, interval.high]);
        let row = SubgroupChange {
            name: part.part.clone(),
            n: part.n,
            image: part.image,
            fused: part.with_metadata,
            delta: part.delta,
            low,
            high,
        };
        match tables.iter_mut().find(|table| table.column == part.by) {
            Some(table) => table.rows.push(row),
            None => tables.push(SubgroupTable {
                column: part.by.clone(),
                metric: part.metric.clone(),
                arm: evidence.verdict.arm.clone(),
                rows: vec![row],
            }),
        }
    }
    tables.iter_mut().for_each(shorten);
    tables
}

/// Leaves of many parts those that change most; all of them are in `compare.json`.
fn shorten(table: &mut SubgroupTable) {
    let n = table.rows.len();
    if n > MOST_PARTS {
        let rows = &mut table.rows;
        rows.sort_by(|a, b| b.delta.abs().total_cmp(&a.delta.abs()));
        rows.truncate(MOST_PARTS);
        rows.sort_by(|a, b| a.delta.total_cmp(&b.delta));
        table.column = format!("{}, the {MOST_PARTS} of {n} that change most", table.column);
    }
}

/// The target's columns; of many the first and the last.
fn target(names: &[String]) -> String {
    match names {
        [first, second, .., last] if names.len() > 8 => {
            format!("{first}, {second}, … {last} ({} columns)", names.len())
        }
        few => few.join(", "),
    }
}
