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
        Self {
            file: path.as_ref().to_path_buf(),
            row: None,
            line: None,
            column: None,
        }
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
        } else if let Some(line) = self.line {
            write!(f, ", line {line}")?;
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
    #[error("{}{}: {message}", path.display(), in_line(*line))]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// The line, where it stands in the file.
        line: Option<usize>,
        /// What is wrong.
        message: String,
    },
    /// A field that no section has.
    #[error("{}{}: no field `{field}`", path.display(), in_line(*line))]
    UnknownField {
        /// The configuration file.
        path: PathBuf,
        /// The line, where it stands in the file (an override stands in none).
        line: Option<usize>,
        /// What was written, with its section.
        field: String,
        /// The fields of that section.
        known: Vec<String>,
    },
    /// A word that is not one of those a field can take.
    #[error("{}{}: `{field}`: no choice `{found}`", path.display(), in_line(*line))]
    UnknownChoice {
        /// The configuration file.
        path: PathBuf,
        /// The line, where it stands in the file.
        line: Option<usize>,
        /// The field.
        field: String,
        /// What was written.
        found: String,
        /// What it can be.
        known: Vec<String>,
    },
    /// An override that is not of the form `field=value`.
    #[error("`{text}` is not of the form `section.field=value`")]
    Override {
        /// What was given.
        text: String,
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

    /// A file whose name does not say what kind of table it is.
    #[error("{} is no table that can be read", path.display())]
    TableKind {
        /// The file.
        path: PathBuf,
    },
    /// A table without a header, a row or a column.
    #[error("{} has no {what}", path.display())]
    EmptyTable {
        /// The file.
        path: PathBuf,
        /// What is lacking: `header`, `row`, `image`.
        what: &'static str,
    },
    /// Two columns of one name.
    #[error("{}: two columns are named `{name}` (the {first}. and the {second}.)", path.display())]
    DuplicateColumn {
        /// The table.
        path: PathBuf,
        /// The name.
        name: String,
        /// Position of the first, from 1.
        first: usize,
        /// Position of the second, from 1.
        second: usize,
    },
    /// A row with more or fewer cells than the header.
    #[error("{at}: {found} cells where the header has {expected}")]
    Ragged {
        /// Where.
        at: Place,
        /// Cells in the header.
        expected: usize,
        /// Cells in the row.
        found: usize,
        /// Whether a cell of it spans lines, as it does after a quote that is not closed.
        spans_lines: bool,
    },
    /// Bytes that are not UTF-8 text.
    #[error("{at}: not UTF-8 text")]
    NotUtf8 {
        /// Where.
        at: Place,
    },
    /// A line of JSON Lines that is not JSON.
    #[error("{at}: not JSON")]
    Json {
        /// Where.
        at: Place,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A line of JSON Lines that is JSON but no row.
    #[error("{at}: expected an object (`{{\"file_name\": …}}`), found {found}")]
    JsonRow {
        /// Where.
        at: Place,
        /// What is there: `a list`, `a number`, …
        found: &'static str,
    },
    /// A Parquet file that cannot be read.
    #[error("cannot read {} as Parquet", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: parquet::errors::ParquetError,
    },
    /// A directory that is no imagefolder.
    #[error("{} holds neither metadata.csv, .jsonl or .parquet nor folders of images", path.display())]
    NoImagefolder {
        /// The directory.
        path: PathBuf,
    },

    // === schema, dataset, split ===
    /// No row has a target.
    #[error("no row of {} has a target: `{column}` is empty in all {rows}", path.display())]
    NoTarget {
        /// The table.
        path: PathBuf,
        /// The target's first column.
        column: String,
        /// Rows of the table.
        rows: usize,
    },
    /// No column of the table names images.
    #[error("no column of {} names images", path.display())]
    NoImageColumn {
        /// The table.
        path: PathBuf,
        /// What there is.
        columns: Vec<String>,
    },
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
            Self::UnknownField { field, known, .. } => {
                let (section, name) = field.rsplit_once('.').map_or(("", field.as_str()), |(a, b)| (a, b));
                let dot = if section.is_empty() { "" } else { "." };
                Some(match nearest(name, known) {
                    Some(near) => format!("did you mean `{section}{dot}{near}`?"),
                    None => format!("there is: {}", known.join(", ")),
                })
            }
            Self::UnknownChoice { found, known, .. } => Some(match nearest(found, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it can be: {}", known.join(", ")),
            }),
            Self::Override { .. } => Some("as in `train.epochs=5` or `metadata.\"exif.ExposureTime\"=continuous`".into()),
            Self::TableKind { .. } => {
                Some("the name must end in .csv, .tsv, .jsonl, .ndjson or .parquet, or be a folder of images".into())
            }
            Self::DuplicateColumn { .. } => Some("rename one of them in the header".into()),
            Self::Ragged { spans_lines: true, .. } => {
                Some("a cell of this row spans several lines: is a quote left open?".into())
            }
            Self::Ragged { .. } => Some("a cell that contains the separator must be in double quotes".into()),
            Self::NotUtf8 { .. } => Some("save the table as UTF-8".into()),
            Self::JsonRow { .. } => Some("JSON Lines has one object a line, and no list around them".into()),
            Self::NoImageColumn { columns, .. } => {
                Some(format!("say which one with `data.image`; the table has: {}", columns.join(", ")))
            }
            Self::Cell { found, expected, .. } if expected.contains("number") && !found.trim().is_empty() => Some(format!(
                "if it means \"missing\", add {found:?} to `missing` of the column; `sidelight check` lists all such cells"
            )),
            _ => None,
        }
    }
}

/// `, line 3`, or nothing.
fn in_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line}"))
}

/// The candidate nearest to a misspelt name, if any is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: &'a [String]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.as_str())
}
