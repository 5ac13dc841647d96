//! Every way this library can fail, where it happened and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A cell, a row or a file: where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: PathBuf,
    /// Data row, the first being 1.
    pub row: Option<usize>,
    /// Line in the file where the format has lines, the first being 1.
    pub line: Option<usize>,
    /// Column name.
    pub column: Option<String>,
}

impl Place {
    /// The file as a whole.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self { file: path.as_ref().to_path_buf(), row: None, line: None, column: None }
    }
    /// The same place, in this data row (the first is 1).
    #[must_use]
    pub fn with_row(mut self, row: usize) -> Self {
        self.row = Some(row);
        self
    }
    /// The same place, in this column.
    #[must_use]
    pub fn with_column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
            if let Some(line) = self.line {
                write!(f, " (line {line})")?;
            }
        }
        if let Some(column) = &self.column {
            write!(f, ", column `{column}`")?;
        }
        Ok(())
    }
}

/// Why it could not be done.
///
/// `Display` says this level only, the cause is [`std::error::Error::source`],
/// and [`Error::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // === files ===
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    // === configuration ===
    /// The TOML does not parse, or a field has the wrong type.
    #[error("{}: {message}", path.display())]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// What is wrong, with the line.
        message: String,
    },
    /// A field's value is not one that it can take.
    #[error("`{field}`: expected {expected}, found `{found}`")]
    Setting {
        /// The field's path, as in `train.epochs`.
        field: String,
        /// What it can be.
        expected: String,
        /// What it is.
        found: String,
    },

    // === table ===
    /// A column that was asked for is not there.
    #[error("no column `{name}` in {}", path.display())]
    NoColumn {
        /// The table.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        columns: Vec<String>,
    },
    /// A cell that is not what its column is said to be.
    #[error("{at}: expected {expected}, found `{found}`")]
    Cell {
        /// Where.
        at: Place,
        /// What was expected.
        expected: String,
        /// What is there.
        found: String,
    },

    // === schema, dataset, split ===

    // === encode, task ===
    /// A metadata column that is configured, or that a model was trained with, is not there.
    #[error("no metadata column `{column}`")]
    MissingMetadata {
        /// What was asked for.
        column: String,
        /// What there is.
        columns: Vec<String>,
    },
    /// A metadata column holds values of another kind than it was trained with or configured as.
    #[error("metadata column `{column}`: expected {expected:?} values, found {found:?} ones")]
    MetadataKind {
        /// The column.
        column: String,
        /// What it should hold.
        expected: crate::config::MetadataKind,
        /// What it holds.
        found: crate::config::MetadataKind,
    },
    /// The rows have no target, or one of another kind.
    #[error("expected targets of kind {expected:?}, found {}", found.map_or("none".to_owned(), |kind| format!("{kind:?}")))]
    TargetKind {
        /// What was asked for.
        expected: crate::config::TargetKind,
        /// What there is.
        found: Option<crate::config::TargetKind>,
    },
    /// Nothing to tell apart: fewer than two classes (or no label at all) in the training rows.
    #[error("target `{column}`: expected two classes or more in {n_rows} training rows, found {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })]
    TooFewClasses {
        /// The target's column.
        column: String,
        /// Training rows.
        n_rows: usize,
        /// The classes that occur.
        names: Vec<String>,
    },
    /// A target column without one value in the training rows.
    #[error("target `{column}`: expected values, found none in {n_rows} training rows")]
    NoTargetValues {
        /// The target's column.
        column: String,
        /// Training rows.
        n_rows: usize,
    },
    /// A logarithm was asked for of a number that has none.
    #[error("{at}: expected a number above 0 for the log scale, found `{found}`")]
    LogOfTarget {
        /// Where.
        at: Place,
        /// The number.
        found: f64,
    },
    /// A division would leave a part without rows.
    #[error("the {part} part would be empty: {n_rows} rows in {n_units} {unit}{} to divide", if *n_units == 1 { "" } else { "s" })]
    EmptyPart {
        /// `training`, `validation`, or the fold.
        part: String,
        /// Rows there are.
        n_rows: usize,
        /// What cannot be divided further.
        n_units: usize,
        /// `row` or `group`.
        unit: &'static str,
    },
    /// More folds than there are rows or groups to put into them.
    #[error("expected at least {n_folds} {unit}s for {n_folds} folds, found {n_units}")]
    TooManyFolds {
        /// Folds asked for.
        n_folds: usize,
        /// What there is to divide.
        n_units: usize,
        /// `row` or `group`.
        unit: &'static str,
    },
    /// The split column puts rows of one group into different parts.
    #[error("{}, row {} is in the {:?} part and row {}, of the same group, in the {:?} part", path.display(), rows[0], parts[0], rows[1], parts[1])]
    GroupInTwoParts {
        /// The table.
        path: PathBuf,
        /// Two rows of the group, the first of the table being 1.
        rows: [usize; 2],
        /// Their parts.
        parts: [crate::dataset::Part; 2],
    },

    /// A comparison lacks an arm that it cannot do without.
    #[error("nothing to compare: no arm for {role}")]
    NoSuchArm {
        /// What is missing.
        role: &'static str,
    },
    /// A metric that arms cannot be compared by.
    #[error("arm `{arm}` cannot be compared by `{metric}`: it is not one of the task's metrics, or not defined for these rows")]
    Uncomparable {
        /// The metric.
        metric: String,
        /// The arm.
        arm: String,
    },

    // === image, augment, loader ===

    // === run, report, demo ===

    // === network, weights ===

    // === train, predict ===
}

impl Error {
    /// What to do next, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoColumn { name, columns, .. } => Some(match nearest(name, columns) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the table has: {}", columns.join(", ")),
            }),
            // === encode, task ===
            Self::MissingMetadata { column, columns } => Some(match nearest(column, columns) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the metadata columns are: {}", columns.join(", ")),
            }),
            Self::MetadataKind { column, found, .. } => Some(format!(
                "set `{column} = \"{}\"` under [metadata], or give a table whose column is of the trained kind",
                format!("{found:?}").to_lowercase()
            )),
            Self::TargetKind { expected, found: Some(_) } => {
                Some(format!("set `kind` under [target] to what the column holds, not {expected:?}"))
            }
            Self::TargetKind { found: None, .. } => {
                Some("training and scoring need the target's columns in the table".into())
            }
            Self::TooFewClasses { .. } => {
                Some("is this the right target column, and does the split leave every class in training?".into())
            }
            Self::LogOfTarget { .. } => Some("use `scale = \"linear\"` under [target], or leave the row out".into()),
            Self::EmptyPart { unit: "group", .. } => {
                Some("a group is never divided: is `data.group` the right column?".into())
            }
            Self::EmptyPart { .. } => Some("set `data.split.valid` so that both parts get rows".into()),
            Self::TooManyFolds { n_units, unit, .. } => {
                Some(format!("use at most {n_units} folds: a {unit} is in one fold only"))
            }
            Self::Uncomparable { .. } => Some(
                "points: mean_px, mean_nme, pck@0.1; class: accuracy, balanced_accuracy, auroc, log_loss, brier; \
                 classes: auroc, hamming_accuracy, log_loss, brier; value: mae, rmse, r2"
                    .into(),
            ),
            Self::GroupInTwoParts { .. } => Some(
                "correct the split column, or leave it out and let `data.group` divide the rows".into(),
            ),
            _ => None,
        }
    }
}

/// The candidate nearest to a misspelt name, if any is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: &'a [String]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.as_str())
}
