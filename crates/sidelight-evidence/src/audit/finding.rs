//! What is to be said of rows and images.

use std::fmt;

use super::images::{SameImage, Seen};
use super::{Power, advice, shift};
use crate::statistics::two_sample::Shift;
use sidelight_data::config::Config;
use sidelight_data::dataset::Dataset;

/// Fewer independent units than this make any finding doubtful.
const FEW_UNITS: usize = 30;

/// What is to be said of rows and images. `Display` says it in a sentence.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// Images that could not be read.
    Unreadable {
        /// Number of such cells.
        count: usize,
        /// Why the first could not.
        because: String,
    },
    /// Images that occur in several rows, or nearly.
    SameImages {
        /// Number of different images.
        images: usize,
        /// Rows that have them.
        rows: usize,
        /// Rows that have the very file of an earlier one.
        copies: usize,
    },
    /// Of them, those of the same file with different targets.
    Conflicts {
        /// Number of different images.
        images: usize,
    },
    /// Of them, those in rows of several groups.
    SameAcrossGroups {
        /// Number of different images.
        images: usize,
        /// The group column.
        column: String,
    },
    /// Of them, those both in training rows and others.
    SameAcrossParts {
        /// Number of different images.
        images: usize,
        /// The column of parts.
        column: String,
    },
    /// No group column keeps rows of the same image together.
    NoGroup {
        /// Rows that share an image with others.
        rows: usize,
    },
    /// Groups of which rows are in several parts.
    GroupsDivided {
        /// The group column.
        group: String,
        /// The column of parts.
        column: String,
        /// Groups that are divided.
        divided: usize,
        /// Number of different groups.
        groups: usize,
    },
    /// Which of the columns in use a row lacks, taken together, tells the target.
    GapsTogether(Power),
    /// The target is distributed differently in training rows and in the others.
    TargetShifted(Shift),
    /// Few independent units.
    FewUnits {
        /// Number of independent units.
        units: usize,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let images = |n: &usize| match n {
            1 => "1 image".to_owned(),
            n => format!("{n} images"),
        };
        match self {
            Self::Unreadable { count, because } => {
                write!(f, "{} cannot be read: {because}", images(count))
            }
            Self::SameImages {
                images: n,
                rows,
                copies,
            } => write!(
                f,
                "{} in {rows} rows that share them: {copies} to the last byte, {} nearly the same",
                images(n),
                rows - n - copies
            ),
            Self::Conflicts { images: n } => write!(
                f,
                "{} to the last byte the same in rows of different targets: one of them is wrong, or the target is not visible",
                images(n)
            ),
            Self::SameAcrossGroups { images: n, column } => write!(
                f,
                "{} in rows of several values of `{column}`: they can end up in both training and test",
                images(n)
            ),
            Self::SameAcrossParts { images: n, column } => write!(
                f,
                "{} both in training rows and in others by `{column}`: the score rewards memorising",
                images(n)
            ),
            Self::NoGroup { rows } => write!(
                f,
                "no `data.group` keeps these {rows} rows together: they may end up in both training and test"
            ),
            Self::GroupsDivided {
                group,
                column,
                divided,
                groups,
            } => write!(
                f,
                "{divided} of {groups} values of `{group}` are in several parts of `{column}`: scores on that split are too optimistic"
            ),
            Self::GapsTogether(power) => write!(
                f,
                "which columns are missing, taken together, predicts the target ({:.2} of 1, p {:.3}): why are they missing?",
                power.score, power.p
            ),
            Self::TargetShifted(shift) => write!(
                f,
                "the target differs between training and other rows (distance {:.2} of 1)",
                shift.distance
            ),
            Self::FewUnits { units } => {
                write!(
                    f,
                    "only {units} independent units: no figure here is reliable"
                )
            }
        }
    }
}

/// What is to be said of rows and images.
pub(super) fn findings(
    dataset: &Dataset,
    config: &Config,
    seen: &Seen,
    units: usize,
) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some((count, error)) = &seen.unreadable {
        found.push(Finding::Unreadable {
            count: *count,
            because: error.to_string(),
        });
    }
    let group = config.data.group.clone();
    let column = config.data.split.column.clone();
    let count = |is: &dyn Fn(&SameImage) -> bool| seen.same.iter().filter(|same| is(same)).count();
    let rows = seen.same.iter().map(|same| same.rows.len()).sum();
    if !seen.same.is_empty() {
        found.push(Finding::SameImages {
            images: seen.same.len(),
            rows,
            copies: seen.same.iter().map(|same| same.copies).sum(),
        });
    }
    let conflicts = count(&|same| same.conflict);
    if conflicts > 0 {
        found.push(Finding::Conflicts { images: conflicts });
    }
    let across = count(&|same| same.across_parts);
    if let Some(column) = column.clone().filter(|_| across > 0) {
        found.push(Finding::SameAcrossParts {
            images: across,
            column,
        });
    }
    let across = count(&|same| same.across_groups);
    match &group {
        Some(column) if across > 0 => found.push(Finding::SameAcrossGroups {
            images: across,
            column: column.clone(),
        }),
        None if !seen.same.is_empty() => found.push(Finding::NoGroup { rows }),
        _ => {}
    }
    if let (Some(group), Some(column)) = (group, column) {
        let (divided, groups) = dataset.divided_groups();
        if !divided.is_empty() {
            found.push(Finding::GroupsDivided {
                group,
                column,
                divided: divided.len(),
                groups,
            });
        }
    }
    if let (Some(targets), Some(parts)) = (&dataset.targets, &dataset.splits) {
        let shift = shift::of_target(targets, config.target.scale, parts);
        let moved = |shift: &Shift| shift.p <= advice::ALPHA && shift.distance >= advice::MOVED;
        found.extend(shift.filter(moved).map(Finding::TargetShifted));
    }
    if units < FEW_UNITS {
        found.push(Finding::FewUnits { units });
    }
    found
}
