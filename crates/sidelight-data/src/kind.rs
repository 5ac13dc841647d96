//! The few words that every other module speaks: kinds of metadata and of targets, and the splits of a data set.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

/// What a metadata column holds.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    Display,
    IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum MetadataKind {
    /// true/false, yes/no, 1/0.
    Boolean,
    /// A number, scaled as configured.
    Continuous,
    /// One of several names, number-looking ones included.
    Categorical,
    /// A date, a time or both.
    Datetime,
}

/// The four tasks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Display, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum TargetKind {
    /// n points in pixels of the stored image; some may be missing. Also read as `points`.
    #[serde(alias = "points")]
    Keypoints,
    /// One of several classes.
    Class,
    /// Any number of several labels. Also read as `classes`.
    #[serde(alias = "classes")]
    Multilabel,
    /// One or several numbers. Also read as `value`.
    #[serde(alias = "value")]
    Regression,
}

/// Which rows a row is of.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    IntoStaticStr,
    EnumString,
)]
#[serde(rename_all = "lowercase")]
#[strum(ascii_case_insensitive)]
pub enum Split {
    /// Training set: what the model is fitted on.
    #[strum(to_string = "train", serialize = "training")]
    Train,
    /// Validation set: early stopping and model selection.
    #[strum(
        to_string = "valid",
        serialize = "validation",
        serialize = "val",
        serialize = "dev"
    )]
    Valid,
    /// Test set: set aside, never seen in training.
    #[strum(to_string = "test", serialize = "testing")]
    Test,
}

impl Split {
    /// The one that a cell or a folder names: `train`, `valid` and `test`, but `training`, `validation`, `val`, `dev` and
    /// `testing` are understood too, in any case.
    pub(crate) fn named(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }
}
