//! What can be wrong with a table and its images.

use std::fmt::{self, Display};

use sidelight_data::error::Error;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Training stops at it.
    Error,
    /// Training passes over it, and the result may not mean what it seems to.
    Warning,
}

/// One problem. Those that many rows share are one, with their number and the first three.
///
/// `Display` says what is wrong and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, with its particulars.
    pub kind: ProblemKind,
    /// What to do about it, where we know.
    pub hint: Option<String>,
    pub(super) sentence: String,
}

/// The problems there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A column that the configuration names is not there.
    UnknownColumn,
    /// Cells that are not what their column holds.
    Cells,
    /// Rows that name no image.
    NoImageName,
    /// Images that are not there.
    MissingImages,
    /// An image that is there and cannot be read.
    UnreadableImage,
    /// A target with one class.
    OneClass,
    /// A target that no row has.
    NoTarget,
    /// Groups that the split column divides.
    DividedGroups,
    /// The file of pretrained weights is not there.
    NoWeights,
    /// The rows cannot be divided into training and validation.
    NoSplit,
    /// Points outside their image.
    PointsOutside,
    /// Classes that one row only has.
    ClassesOfOneRow,
    /// A label that all rows have, or none.
    OneSidedLabel,
    /// Images with the same bytes in several rows.
    DuplicateImages,
    /// A column that gives the target away.
    TargetInDisguise,
    /// A metadata column that can hardly be one.
    DoubtfulColumn,
    /// A metadata column that is missing in every row.
    EmptyColumn,
    /// Training would stop before its first step.
    Training,
    /// Rows without a target whose cells say what could be a class.
    MissingName,
    /// A target value that is far from all others.
    FarOut,
    /// Groups whose names differ only in case or blanks.
    SimilarGroups,
    /// Points of which one cannot tell whether they were made on the stored or on the turned picture.
    Frame,
    /// A point in the same place in many rows.
    RepeatedPoints,
    /// Points that are not in pixels.
    PointUnits,
    /// A column of left and right beside images that are mirrored.
    Laterality,
    /// Points that are mirrored without changing sides.
    UnpairedPoints,
    /// Images that use a small part of the range of their pixels.
    PixelRange,
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, sentence: String, hint: impl Into<String>) -> Self {
        Self {
            kind,
            hint: Some(hint.into()),
            sentence,
        }
    }

    /// A problem that is an error of the library's, with the error's own hint.
    pub(super) fn from_error(kind: ProblemKind, sentence: String, error: &Error) -> Self {
        Self {
            kind,
            hint: error.hint(),
            sentence,
        }
    }

    /// What training would stop at before its first step.
    pub fn training(sentence: String, hint: Option<String>) -> Self {
        Self {
            kind: ProblemKind::Training,
            hint,
            sentence,
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self.kind {
            ProblemKind::PointsOutside
            | ProblemKind::ClassesOfOneRow
            | ProblemKind::OneSidedLabel
            | ProblemKind::DuplicateImages
            | ProblemKind::TargetInDisguise
            | ProblemKind::DoubtfulColumn
            | ProblemKind::EmptyColumn
            | ProblemKind::MissingName
            | ProblemKind::FarOut
            | ProblemKind::SimilarGroups
            | ProblemKind::Frame
            | ProblemKind::RepeatedPoints
            | ProblemKind::Laterality
            | ProblemKind::PointUnits
            | ProblemKind::UnpairedPoints
            | ProblemKind::PixelRange => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// The first three of so many, and a sign that there are more.
pub(super) fn listed<T: Display>(items: impl IntoIterator<Item = T>, count: usize) -> String {
    let items = items.into_iter().take(3);
    let first: Vec<String> = items.map(|item| item.to_string()).collect();
    let more = if count > first.len() { "; …" } else { "" };
    format!("{}{more}", first.join("; "))
}
