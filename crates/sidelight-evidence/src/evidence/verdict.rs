//! From the decision to one of four answers, and its sentence.

use super::measure::Scored;
use super::{
    Decision, Difference, Direction, Doubt, DoubtEntry, Sensitivity, Verdict, VerdictCode,
};
use crate::metric::words;
use sidelight_data::number::{count, number, signed};

pub(super) fn decide(scored: &Scored, decision: &Decision, doubts: Vec<DoubtEntry>) -> Verdict {
    let spurious = doubts.iter().any(|doubt| doubt.spurious);
    let code = match decision.direction {
        Direction::Better if spurious => VerdictCode::HelpsButSpurious,
        Direction::Better => VerdictCode::Helps,
        Direction::Worse => VerdictCode::Harms,
        Direction::Undecided => VerdictCode::NoEvidence,
    };
    Verdict {
        code,
        sentence: sentence(scored, decision, code, &doubts),
        arm: decision.arm.clone(),
        doubts,
    }
}

fn sentence(
    scored: &Scored,
    decision: &Decision,
    code: VerdictCode,
    doubts: &[DoubtEntry],
) -> String {
    let score = words(&decision.score);
    let told = decision.sensitivity.first();
    let told = told
        .filter(|told| told.line.arm == decision.arm && told.line.metric == scored.study.metric);
    // Told in the metric that people know where it says what was decided, else in what decides.
    let agrees = told.filter(|told| told.line.direction == decision.direction);
    let (metric, [delta, low, high]) = agrees.map_or(
        (
            &decision.score,
            [decision.difference, decision.low, decision.high],
        ),
        |told| {
            (
                &told.line.metric,
                [told.line.delta, told.line.low, told.line.high],
            )
        },
    );
    let change = change(scored, metric, delta, [low, high]);
    let basis = basis(scored);
    let decides = format!(
        "{score} decides: {} ({} to {})",
        signed(decision.difference),
        number(decision.low),
        number(decision.high)
    );
    let basis = match agrees {
        Some(_) => format!("{basis}; {decides}"),
        None if told.is_some() => format!("{basis}; {score} decides"),
        None => basis,
    };
    let (lead, end) = match code {
        VerdictCode::Helps => ("Metadata helps", " against the image alone"),
        VerdictCode::HelpsButSpurious => ("Metadata seems to help", ""),
        VerdictCode::Harms => ("Metadata harms", " against the image alone"),
        VerdictCode::NoEvidence if decision.difference == 0.0 => {
            ("No evidence that metadata helps", "")
        }
        VerdictCode::NoEvidence => ("No evidence that metadata helps", ", which may be chance"),
    };
    let mut text = format!(
        "{lead}: adding it (`{}`) {change}{end} ({basis})",
        decision.arm
    );
    if let Some(doubt) = doubts.iter().find(|doubt| doubt.spurious) {
        text += &format!(", but do not believe it yet: {}", doubt.sentence);
    }
    let alone = |entry: &DoubtEntry| {
        matches!(
            &entry.doubt,
            Doubt::MetadataAloneDoesAsWell { better: true, .. }
        )
    };
    if code != VerdictCode::HelpsButSpurious && doubts.iter().any(alone) {
        text += "; the metadata alone does better still";
    }
    let stop = |text: &mut String| {
        if !text.ends_with('?') {
            text.push('.');
        }
    };
    stop(&mut text);
    if let Some(told) = told.filter(|_| agrees.is_none()) {
        text += &format!(" {}", otherwise(&told.line, told));
        stop(&mut text);
    }
    let worse = |entry: &&DoubtEntry| matches!(entry.doubt, Doubt::WorseThanAnotherArm { .. });
    if let Some(worse) = doubts.iter().find(worse) {
        text += &format!(" But {}", worse.sentence);
        stop(&mut text);
    }
    text
}

/// `lowers mae by 2.97 (36 %; 95 % interval 2.1 to 3.8)`: the interval is of the size, the smaller end first.
fn change(scored: &Scored, metric: &str, delta: f64, ends: [f64; 2]) -> String {
    let name = words(metric);
    if delta == 0.0 && ends == [0.0; 2] {
        return format!("changes no prediction that {name} would see");
    }
    let [a, b] = ends.map(|end| if delta < 0.0 { -end } else { end });
    let share = scored.share(metric, delta);
    format!(
        "{} {name} by {} ({}{} % interval {} to {})",
        if delta < 0.0 { "lowers" } else { "raises" },
        number(delta.abs()),
        share.map_or(String::new(), |share| format!("{share}; ")),
        100.0 * scored.study.how.level,
        number(a.min(b)),
        number(a.max(b)),
    )
}

/// What the metric says where it does not say what was decided.
fn otherwise(line: &Difference, told: &Sensitivity) -> String {
    let name = words(&line.metric);
    let verb = if line.delta < 0.0 { "falls" } else { "rises" };
    let says = match line.direction {
        Direction::Undecided => "which may be chance",
        Direction::Better => "which is better",
        Direction::Worse => "which is worse",
    };
    format!(
        "By itself, {name} {verb} by {} ({} to {}), {says}, but does not decide: {}",
        number(line.delta.abs()),
        number(line.low),
        number(line.high),
        told.why.as_deref().unwrap_or_default()
    )
}

fn basis(scored: &Scored) -> String {
    let rows = count(scored.rows.len());
    let units = if scored.n_units == scored.rows.len() {
        format!("{rows} rows")
    } else {
        format!("{rows} rows in {} groups", count(scored.n_units))
    };
    let seeds = match scored.study.folds.len() {
        1 => String::new(),
        n => format!(" × {n} seeds"),
    };
    format!("{units}, {} folds{seeds}", scored.n_folds)
}
