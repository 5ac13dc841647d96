//! A table whose columns have meaning: images, metadata, targets, groups, parts.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Config, TargetKind};
use crate::error::Result;
use crate::table::Table;

/// Rows ready to be encoded: everything typed, nothing fitted.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The table it came from, for places in messages.
    pub path: PathBuf,
    /// Row in that table (from 0) of each row here: some may have been left out (no target, `limit`).
    pub rows: Vec<usize>,
    /// One image a row.
    pub images: Vec<ImageSource>,
    /// The metadata columns.
    pub metadata: Metadata,
    /// The targets; `None` where the table has none of the target's columns (new rows).
    pub targets: Option<Targets>,
    /// Group number of each row, where there is a group column.
    pub groups: Option<Vec<u32>>,
    /// The part each row is said to belong to, where there is a split column.
    pub parts: Option<Vec<Part>>,
    /// What was noticed while reading and should be said (rows without target left out, say).
    pub remarks: Vec<String>,
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ImageSource {
    /// A file.
    Path(PathBuf),
    /// The encoded bytes, with a name for messages.
    Bytes {
        /// What messages call it.
        name: String,
        /// JPEG, PNG, …
        bytes: Arc<[u8]>,
    },
}

/// A part of a division.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Learned from.
    Train,
    /// Watched during training: early stopping, the best checkpoint.
    Valid,
    /// Never looked at in training.
    Test,
}

/// Metadata as read: typed columns of one length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// The columns, in the configuration's order.
    pub columns: Vec<MetadataColumn>,
    /// Number of rows (columns may be none).
    pub n_rows: usize,
}

/// One metadata column.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataColumn {
    /// Its name in the configuration.
    pub name: String,
    /// Its values; `None`: missing.
    pub values: MetadataValues,
}

/// Typed values.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataValues {
    /// true/false.
    Boolean(Vec<Option<bool>>),
    /// Finite numbers, in the column's unit.
    Continuous(Vec<Option<f64>>),
    /// Index into the names that occur in this table.
    Categorical {
        /// The names, in order of first appearance.
        names: Vec<String>,
        /// One a row.
        codes: Vec<Option<u32>>,
    },
    /// Seconds since 1970-01-01T00:00:00 (a time zone, if given, is applied).
    Datetime(Vec<Option<f64>>),
}

/// Targets as read.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// n points a row.
    Points {
        /// Number of points.
        n_points: usize,
        /// `[row][point] = [x, y]`, pixels of the image as stored (before EXIF orientation); NaN: missing.
        xy: Vec<[f32; 2]>,
    },
    /// One class a row.
    Class {
        /// The names that occur, sorted.
        names: Vec<String>,
        /// Index into them; `None`: missing.
        index: Vec<Option<u32>>,
    },
    /// Any number of labels a row.
    Classes {
        /// The labels that occur (one cell) or the columns, in order.
        names: Vec<String>,
        /// `[row][label]`; `None`: not known.
        present: Vec<Option<bool>>,
    },
    /// One or several numbers a row, in their own unit.
    Value {
        /// The columns.
        names: Vec<String>,
        /// `[row][column]`; NaN: missing.
        values: Vec<f64>,
    },
}

impl Dataset {
    /// Gives the table's columns their meaning. With an empty `config.metadata` the columns are inferred.
    ///
    /// Rows without a target are left out and said in `remarks` when the table has the target's
    /// columns; where it has none of them (new rows to predict), all rows stay and `targets` is `None`.
    ///
    /// # Errors
    ///
    /// The first cell that is not what its column is said to be, with its place.
    pub fn new(table: &Table, config: &Config) -> Result<Self> {
        let _ = (table, config);
        todo!()
    }
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// Which task the targets are.
    pub fn kind(&self) -> Option<TargetKind> {
        self.targets.as_ref().map(|targets| match targets {
            Targets::Points { .. } => TargetKind::Points,
            Targets::Class { .. } => TargetKind::Class,
            Targets::Classes { .. } => TargetKind::Classes,
            Targets::Value { .. } => TargetKind::Value,
        })
    }
    /// The rows at these positions, in this order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let _ = indices;
        todo!()
    }
}
