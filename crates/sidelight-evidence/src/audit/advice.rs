//! What to do with a column, and why.

use std::fmt;

use serde::Serialize;

use super::{ColumnAudit, Power};
use sidelight_data::schema::{Disguise, Reason};

/// A score that only the target itself has.
const PERFECT: f64 = 0.98;
/// A score after which there is little left for an image to add.
const MOST: f64 = 0.75;
/// The least score of a column that is said to predict the target, beside a p value of at most [`ALPHA`].
///
/// # Source
///
/// Cohen 1988, "Statistical Power Analysis for the Behavioral Sciences", section 8.2.3: of means in cells f = 0.1 is a small
/// effect, and a share f² / (1 + f²) of the variance.
const SMALL: f64 = 0.01;
/// The least score of what a person is asked to look at, as [`SMALL`].
///
/// # Source
///
/// Cohen, ibid.: f = 0.25, a medium effect. Of two cells of one size: half a standard deviation between their means.
const MEDIUM: f64 = 0.0625 / 1.0625;
/// Chance of a false finding anywhere in the table.
pub(super) const ALPHA: f64 = 0.05;
/// A distance between parts that is worth a word.
pub(super) const MOVED: f64 = 0.1;
/// A share of rows that hardly leaves any.
const HARDLY_EVER: f64 = 0.95;
/// A share of rows with a category of their own.
const MOSTLY_ONCE: f64 = 0.5;

/// What to do with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "lowercase")]
pub enum Advice {
    /// Nothing speaks against it.
    Keep,
    /// A person should decide.
    #[strum(to_string = "look at")]
    LookAt,
    /// Leave it out.
    Drop,
}

/// What speaks for or against a column.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Why {
    /// It is the target in other words.
    Disguise(Disguise),
    /// It predicts the target perfectly.
    Perfect(Power),
    /// It is no property: an identifier, a constant, free text, a subject.
    NotAProperty(Reason),
    /// No row has it.
    Empty,
    /// All rows are the same.
    Constant,
    /// It predicts most of the target.
    Most(Power),
    /// That it is missing tells the target.
    Missingness(Power),
    /// It tells of the file, and the target.
    File(Power),
    /// It is distributed differently in training rows and in the others.
    Shifted {
        /// In [0, 1].
        distance: f64,
    },
    /// It is missing more or less often in training rows than in the others.
    GapsShifted {
        /// Difference of the shares of rows that lack it.
        distance: f64,
    },
    /// Most rows have a category of their own.
    MostlyOnce {
        /// Share of known rows.
        share: f64,
    },
    /// Hardly ever known.
    MostlyMissing {
        /// Share of rows.
        share: f64,
    },
    /// Cells that are not what it holds, read as missing.
    Misread {
        /// Number of such cells.
        count: usize,
        /// One of them.
        example: String,
    },
    /// It predicts the target.
    Predicts(Power),
    /// It predicts nothing alone.
    Nothing,
}

impl Why {
    /// What follows from it.
    pub fn advice(&self) -> Advice {
        match self {
            // By its name alone, and the person who named it as metadata may know better.
            Self::NotAProperty(Reason::Subject) => Advice::LookAt,
            Self::Disguise(_)
            | Self::Perfect(_)
            | Self::NotAProperty(_)
            | Self::Empty
            | Self::Constant => Advice::Drop,
            Self::Most(_)
            | Self::Missingness(_)
            | Self::File(_)
            | Self::Shifted { .. }
            | Self::GapsShifted { .. }
            | Self::MostlyOnce { .. }
            | Self::MostlyMissing { .. }
            | Self::Misread { .. } => Advice::LookAt,
            Self::Predicts(_) | Self::Nothing => Advice::Keep,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disguise(disguise) => write!(f, "{disguise}"),
            Self::Perfect(_) => write!(f, "alone predicts the target perfectly: is it the target?"),
            Self::NotAProperty(reason) => write!(f, "{reason}"),
            Self::Empty => write!(f, "empty in every row"),
            Self::Constant => write!(f, "the same in every row"),
            Self::Most(_) => write!(
                f,
                "alone predicts most of the target: is it known before the target is?"
            ),
            Self::Missingness(power) => write!(
                f,
                "whether it is missing predicts the target ({:.2} of 1): why is it missing?",
                power.score
            ),
            Self::File(power) => write!(
                f,
                "the file predicts the target ({:.2} of 1), which the network may learn instead of the scene",
                power.score
            ),
            Self::Shifted { distance } => {
                write!(
                    f,
                    "differs between training and other rows (distance {distance:.2} of 1)"
                )
            }
            Self::GapsShifted { distance } => write!(
                f,
                "missing more often in one split than in the other (by {:.0} %)",
                100.0 * distance
            ),
            Self::MostlyOnce { share } => write!(
                f,
                "{:.0} % of rows have a value of their own: it can only be memorised",
                100.0 * share
            ),
            Self::MostlyMissing { share } => write!(f, "missing in {:.1} % of rows", 100.0 * share),
            Self::Misread { count, example } => match count {
                1 => write!(
                    f,
                    "1 cell cannot be read and counts as missing: {example:?}"
                ),
                n => write!(
                    f,
                    "{n} cells cannot be read and count as missing: {example:?}"
                ),
            },
            Self::Predicts(_) => write!(f, "predicts the target alone"),
            Self::Nothing => write!(f, "nothing alone; it may still help alongside the image"),
        }
    }
}

/// Whether a power is beyond chance and large enough for a person to decide about it.
pub(super) fn is_striking(power: &Power) -> bool {
    power.p <= ALPHA && power.score >= MEDIUM
}

/// Everything that is to be said of a column, the gravest first.
pub(super) fn reasons(column: &ColumnAudit, reason: Option<&Reason>) -> Vec<Why> {
    let known = column.rows - column.missing;
    let mut why = Vec::new();
    if known == 0 {
        return vec![Why::Empty];
    }
    match reason {
        Some(Reason::Target(disguise)) => why.push(Why::Disguise(disguise.clone())),
        // Told to be ignored, which is no reason; read as something all the same, which is looked at below.
        Some(Reason::Told | Reason::Mixed | Reason::Constant | Reason::Empty) | None => {}
        Some(other) => why.push(Why::NotAProperty(other.clone())),
    }
    if reason == Some(&Reason::Mixed) && !column.used {
        why.push(Why::NotAProperty(Reason::Mixed));
    }
    if column.distinct == 1 && column.missing == 0 {
        why.push(Why::Constant);
    }
    if let Some(power) = column.alone {
        if power.score >= PERFECT && why.is_empty() {
            why.push(Why::Perfect(power));
        } else if column.from_file && is_striking(&power) {
            why.push(Why::File(power));
        } else if power.score >= MOST && why.is_empty() {
            why.push(Why::Most(power));
        }
    }
    if let Some(power) = column.gaps.filter(is_striking) {
        why.push(Why::Missingness(power));
    }
    if column.once >= MOSTLY_ONCE && why.is_empty() {
        why.push(Why::MostlyOnce { share: column.once });
    }
    why.extend(
        column
            .misread
            .as_ref()
            .map(|(count, example)| Why::Misread {
                count: *count,
                example: example.clone(),
            }),
    );
    let missing = column.missing as f64 / column.rows as f64;
    if missing > HARDLY_EVER {
        why.push(Why::MostlyMissing { share: missing });
    }
    let moved = |shift: &super::Moved| shift.p <= ALPHA && shift.distance >= MOVED;
    why.extend(column.shift.filter(moved).map(|shift| Why::Shifted {
        distance: shift.distance,
    }));
    why.extend(
        column
            .gaps_shift
            .filter(moved)
            .map(|shift| Why::GapsShifted {
                distance: shift.distance,
            }),
    );
    if why.is_empty() {
        let predicts = |power: &Power| power.p <= ALPHA && power.score >= SMALL;
        why.push(match column.alone.filter(predicts) {
            Some(power) => Why::Predicts(power),
            None => Why::Nothing,
        });
    }
    why.sort_by_key(|why| std::cmp::Reverse(why.advice()));
    why
}
