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

    // === image, augment, loader ===

    // === run, report, demo ===
    /// The caller asked to stop before it was done.
    #[error("stopped while {what}")]
    Interrupted {
        /// What was being done.
        what: &'static str,
    },

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
