//! What a prediction leaves open: a set, an interval or a disc that holds the truth as often as was asked.

use serde::{Deserialize, Serialize};

/// What holds the truth of a row as often as was asked, beside its [`Prediction`](super::Prediction).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum PredictionSet {
    /// A disc about each predicted point.
    Keypoints {
        /// Its radius, in pixels of the image as stored; one a point.
        radii: Vec<f32>,
    },
    /// Some of the classes, perhaps none.
    Class {
        /// Whether a class is in the set; one a class.
        contains: Vec<bool>,
    },
    /// For each label whether it is there, as far as that can be said.
    Multilabel {
        /// One a label.
        states: Vec<LabelState>,
    },
    /// An interval about each predicted value.
    Regression {
        /// Its ends, in the column's unit; one a column.
        intervals: Vec<[f64; 2]>,
    },
}

/// Whether a label is there.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum LabelState {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It cannot be said as surely as was asked.
    Unsure,
}

impl LabelState {
    /// As it is written: `yes`, `no`, `unsure`.
    pub fn word(self) -> &'static str {
        self.into()
    }
}
