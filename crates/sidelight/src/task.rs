//! From targets to what the network learns, and from what it puts out to predictions in the target's own unit.

use serde::{Deserialize, Serialize};

use crate::config::TargetConfig;
use crate::dataset::{Dataset, Targets};
use crate::error::Result;

/// A task, fitted on training rows: class names, scale of values; stored in the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Task {
    /// n points.
    Points {
        /// Columns, x and y of each point in turn.
        columns: Vec<String>,
        /// Pairs that swap under a flip.
        symmetric: Vec<[usize; 2]>,
        /// What errors are divided by.
        normalizer: crate::config::Normalizer,
    },
    /// One of several classes.
    Class {
        /// The column.
        column: String,
        /// Class names, in the order of the logits.
        names: Vec<String>,
        /// Training rows of each class.
        counts: Vec<usize>,
    },
    /// Any number of labels.
    Classes {
        /// Labels, in the order of the logits.
        names: Vec<String>,
        /// Training rows with each label.
        counts: Vec<usize>,
        /// Training rows where it is known.
        known: Vec<usize>,
    },
    /// Numbers.
    Value {
        /// The columns.
        columns: Vec<String>,
        /// Linear or logarithmic.
        scale: crate::config::TargetScale,
        /// Mean of each (on that scale) over training rows.
        mean: Vec<f64>,
        /// Standard deviation of each.
        sd: Vec<f64>,
        /// Range of each over training rows, in its own unit.
        range: Vec<[f64; 2]>,
    },
}

/// A prediction in the target's own unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Prediction {
    /// Pixels of the image as stored.
    Points {
        /// One `[x, y]` a point.
        xy: Vec<[f32; 2]>,
    },
    /// Probabilities that sum to 1.
    Class {
        /// One a class.
        probabilities: Vec<f32>,
    },
    /// Probabilities, each in [0, 1].
    Classes {
        /// One a label.
        probabilities: Vec<f32>,
    },
    /// Numbers in their own unit.
    Value {
        /// One a column.
        values: Vec<f64>,
    },
}

impl Task {
    /// Fits on the rows at these positions (training rows only).
    ///
    /// # Errors
    ///
    /// A class with no training row is left out; fewer than two classes, or a log scale with values at or below 0, is an error.
    pub fn fit(dataset: &Dataset, config: &TargetConfig, rows: &[usize]) -> Result<Self> {
        let _ = (dataset, config, rows);
        todo!()
    }
    /// Numbers the network puts out per row: 2n, classes, labels, columns.
    pub fn n_outputs(&self) -> usize {
        todo!()
    }
    /// Width of an encoded target: 1 for `class` (its index), else `n_outputs`.
    pub fn d_target(&self) -> usize {
        todo!()
    }
    /// The target of a row as the loss wants it, and a mask (0: missing, counts for nothing); both `d_target` wide.
    /// Points stay in pixels of the stored image here; the loader maps them into [-1, 1] of the network's input.
    pub fn encode(&self, targets: &Targets, row: usize) -> (Vec<f32>, Vec<f32>) {
        let _ = (targets, row);
        todo!()
    }
    /// A row's network output (logits; points in [-1, 1] already mapped back to pixels by the caller) as a prediction.
    pub fn decode(&self, output: &[f32]) -> Prediction {
        let _ = output;
        todo!()
    }
}
