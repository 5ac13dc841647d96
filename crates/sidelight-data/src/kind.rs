//! The few words that every other module speaks: kinds of metadata and of targets, and the parts of a division.

use serde::{Deserialize, Serialize};

/// What a metadata column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetadataKind {
    /// true/false, yes/no, 1/0.
    Boolean,
    /// A number.
    Continuous,
    /// One of several names, number-looking ones included.
    Categorical,
    /// A date, a time or both.
    Datetime,
}

/// The four tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// n points in pixels of the stored image; some may be missing.
    Points,
    /// One of several classes.
    Class,
    /// Any number of several labels.
    Classes,
    /// One or several numbers.
    Value,
}

/// A part of a division.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Learned from.
    Train,
    /// Watched during training: early stopping, the best checkpoint.
    Valid,
    /// Never looked at in training.
    Test,
}
