//! From differences to one of four answers.

use super::measure::{BOOTSTRAP, CORRECTED_T, Scored, ScoredArm};
use super::{Difference, DoubtEntry, Role, Verdict, VerdictCode, no_arm};
use crate::error::{Error, Result};
use crate::metric::ClassCells;
use crate::statistics::bootstrap::Bootstrapped;
use crate::statistics::delong::delong;
use crate::statistics::significance::{TTest, holm, mcnemar};
use sidelight_data::config::TargetKind;
use sidelight_data::number::{count, number};

/// The false-alarm rate that is accepted.
pub(super) const ALPHA: f64 = 0.05;
/// What the folds' p value is divided by before it is compared: they must not contradict at 4 α.
const FOLD_SHARE: f64 = 4.0;

/// One arm with metadata against the image alone.
pub(super) struct Claim<'s> {
    pub(super) arm: &'s ScoredArm,
    pub(super) rows: Bootstrapped,
    pub(super) folds: Option<TTest>,
    /// The larger of the rows' p and a quarter of the folds', after Holm.
    pub(super) p: f64,
    /// The larger of both in full, after Holm: what *harms* is decided by.
    pub(super) p_strict: f64,
    pub(super) gain: f64,
}

impl Claim<'_> {
    pub(super) fn helps(&self) -> bool {
        self.gain > 0.0 && self.p < ALPHA
    }

    pub(super) fn harms(&self) -> bool {
        self.gain < 0.0 && self.p_strict < ALPHA
    }
}

/// Every arm that includes metadata, with the lines of the table.
pub(super) fn claims<'s>(scored: &'s Scored) -> Result<(Vec<Claim<'s>>, Vec<Difference>)> {
    let image = scored.image();
    let mut claims: Vec<Claim> = Vec::new();
    for arm in scored.arms.iter().filter(|arm| arm.role.is_candidate()) {
        let uncomparable = || Error::Uncomparable {
            metric: scored.study.metric.into(),
            arm: arm.name.clone(),
        };
        let rows = scored.bootstrap(arm, image).ok_or_else(uncomparable)?;
        let folds = scored.fold_test(arm, image);
        let p_folds = folds.map_or(0.0, |folds| folds.p);
        let gain = scored.gain(rows.estimate);
        let (p, p_strict) = (rows.p.max(p_folds / FOLD_SHARE), rows.p.max(p_folds));
        claims.push(Claim {
            arm,
            rows,
            folds,
            p,
            p_strict,
            gain,
        });
    }
    if claims.is_empty() {
        return Err(no_arm("any that includes metadata"));
    }
    let adjusted = holm(&claims.iter().map(|claim| claim.p).collect::<Vec<_>>());
    let strict = holm(
        &claims
            .iter()
            .map(|claim| claim.p_strict)
            .collect::<Vec<_>>(),
    );
    for (claim, (p, p_strict)) in claims.iter_mut().zip(adjusted.into_iter().zip(strict)) {
        (claim.p, claim.p_strict) = (p, p_strict);
    }
    let lines = claims
        .iter()
        .flat_map(|claim| lines(scored, claim))
        .collect();
    Ok((claims, lines))
}

fn lines(scored: &Scored, claim: &Claim) -> Vec<Difference> {
    let image = scored.image();
    let line = |method: &str, delta: f64, ends: Option<[f64; 2]>, p: f64| Difference {
        arm: claim.arm.name.clone(),
        reference: image.name.clone(),
        delta,
        low: ends.map(|ends| ends[0]),
        high: ends.map(|ends| ends[1]),
        p,
        p_adjusted: None,
        method: method.into(),
    };
    let interval = claim.rows.interval;
    let mut lines = vec![Difference {
        p_adjusted: Some(claim.p),
        ..line(
            BOOTSTRAP,
            claim.rows.estimate,
            Some([interval.low, interval.high]),
            claim.rows.p,
        )
    }];
    if let Some(folds) = &claim.folds {
        lines.push(line(
            CORRECTED_T,
            folds.mean,
            Some([folds.interval.low, folds.interval.high]),
            folds.p,
        ));
    }
    // Both tests below take rows as independent, and one prediction of each.
    if scored.n_units == scored.rows.len() && claim.arm.predictions.len() == 1 {
        lines.extend(
            independent_rows(scored, claim).map(|(method, delta, p)| line(method, delta, None, p)),
        );
    }
    lines
}

/// The classical test of the metric, where there is one: DeLong for two classes' AUROC, McNemar for accuracy.
fn independent_rows(scored: &Scored, claim: &Claim) -> Option<(&'static str, f64, f64)> {
    if scored.study.task.kind() != TargetKind::Class {
        return None;
    }
    let of = |arm: &ScoredArm| scored.evaluation(&arm.predictions[0]).classes();
    let (with, without) = (of(claim.arm), of(scored.image()));
    match scored.study.metric {
        "auroc" if with.n_classes == 2 => {
            let second = |cells: &ClassCells| -> (Vec<bool>, Vec<f64>) {
                cells.known(1..2).map(|(_, is, p)| (is, p)).unzip()
            };
            let (positive, a) = second(&with);
            let found = delong(&positive, &a, &second(&without).1)?;
            Some(("DeLong", found.auroc_a - found.auroc_b, found.p))
        }
        "accuracy" => {
            let right = |cells: &ClassCells| -> Vec<bool> {
                let rows = cells.classes();
                rows.map(|(row, class)| cells.predicted_class(row) == Some(class))
                    .collect()
            };
            let (with, without) = (right(&with), right(&without));
            let found = mcnemar(&with, &without);
            let delta = (found.only_a as f64 - found.only_b as f64) / with.len().max(1) as f64;
            Some(("McNemar (mid-p)", delta, found.p_mid))
        }
        _ => None,
    }
}

/// The claim that the verdict is about: the surest that helps, else the one with the largest gain.
pub(super) fn best<'c, 's>(claims: &'c [Claim<'s>]) -> &'c Claim<'s> {
    let surest = claims
        .iter()
        .filter(|claim| claim.helps())
        .min_by(|a, b| a.p.total_cmp(&b.p).then(b.gain.total_cmp(&a.gain)));
    let largest = || claims.iter().max_by(|a, b| a.gain.total_cmp(&b.gain));
    surest
        .or_else(largest)
        .expect("a study without an arm that includes metadata was refused")
}

/// The comparisons beside the claims: what each control says.
pub(super) fn controls(scored: &Scored, best: &ScoredArm) -> Vec<Difference> {
    let image = scored.image();
    let mut lines = Vec::new();
    let mut push = |arm: Option<&ScoredArm>, reference: Option<&ScoredArm>| {
        if let (Some(arm), Some(reference)) = (arm, reference) {
            lines.extend(scored.difference(arm, reference));
        }
    };
    push(Some(best), scored.first(Role::Metadata));
    // A fusion that loses what the metadata alone can do should be seen, whichever arm is the best.
    for fusion in scored.arms.iter().filter(|arm| arm.role == Role::Fusion) {
        if fusion.name != best.name {
            push(Some(fusion), scored.first(Role::Metadata));
        }
    }
    push(scored.first(Role::Metadata), Some(image));
    push(scored.first(Role::Shuffled), Some(image));
    push(scored.first(Role::AllMissing), Some(image));
    push(scored.first(Role::GapsOnly), scored.first(Role::Chance));
    push(scored.first(Role::Metadata), scored.first(Role::Chance));
    push(Some(image), scored.first(Role::Chance));
    lines
}

pub(super) fn decide(scored: &Scored, best: &Claim, doubts: Vec<DoubtEntry>) -> Verdict {
    let spurious = doubts.iter().find(|doubt| doubt.spurious);
    let code = match (best.helps(), best.harms(), spurious) {
        (true, _, Some(_)) => VerdictCode::HelpsButSpurious,
        (true, _, None) => VerdictCode::Helps,
        (false, true, _) => VerdictCode::Harms,
        (false, false, _) => VerdictCode::NoEvidence,
    };
    let sentence = sentence(scored, best, code, spurious, &doubts);
    Verdict {
        code,
        sentence,
        arm: best.arm.name.clone(),
        doubts,
    }
}

fn sentence(
    scored: &Scored,
    best: &Claim,
    code: VerdictCode,
    spurious: Option<&DoubtEntry>,
    doubts: &[DoubtEntry],
) -> String {
    let (arm, metric) = (&best.arm.name, scored.study.metric);
    let level = 100.0 * scored.study.how.level;
    let delta = best.rows.estimate;
    let verb = if delta > 0.0 { "raises" } else { "lowers" };
    // The interval of the size of the change, smaller end first.
    let (a, b) = (
        best.rows.interval.low * delta.signum(),
        best.rows.interval.high * delta.signum(),
    );
    let interval = format!(
        "{level} % interval {} to {}",
        number(a.min(b)),
        number(a.max(b))
    );
    let rows = count(scored.rows.len());
    let units = if scored.n_units == scored.rows.len() {
        format!("{rows} rows")
    } else {
        format!("{rows} rows in {} groups", count(scored.n_units))
    };
    let seeds = scored.study.folds.len();
    let repeats = format!(
        "{} folds{}",
        scored.n_folds,
        if seeds > 1 {
            format!(" × {seeds} seeds")
        } else {
            String::new()
        }
    );
    let change = if delta == 0.0 {
        format!("leaves {metric} as it is")
    } else {
        format!("{verb} {metric} by {}", number(delta.abs()))
    };
    let basis = format!("({interval}; {units}, {repeats})");
    let alone = doubts.iter().any(|entry| {
        matches!(
            &entry.doubt,
            super::Doubt::MetadataAloneDoesAsWell { better: true, .. }
        )
    });
    let alone = if alone {
        "; the metadata alone does better still"
    } else {
        ""
    };
    match code {
        VerdictCode::Helps => {
            format!(
                "Metadata helps: adding it (`{arm}`) {change} against the image alone {basis}{alone}."
            )
        }
        VerdictCode::HelpsButSpurious => {
            let doubt = spurious.map_or("", |doubt| &doubt.sentence);
            let stop = if doubt.ends_with('?') { "" } else { "." };
            format!(
                "Metadata seems to help: adding it (`{arm}`) {change} {basis}, but do not believe it yet: {doubt}{stop}"
            )
        }
        VerdictCode::Harms => {
            format!(
                "Metadata harms: adding it (`{arm}`) {change} against the image alone {basis}{alone}."
            )
        }
        VerdictCode::NoEvidence if delta == 0.0 => {
            format!("No evidence that metadata helps: adding it (`{arm}`) {change} {basis}{alone}.")
        }
        VerdictCode::NoEvidence => format!(
            "No evidence that metadata helps: adding it (`{arm}`) {change}, which may be chance {basis}{alone}."
        ),
    }
}
