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
    #[error(
        "{first} is in the {first_part:?} part and row {second_row}, of the same group, in the {second_part:?} part"
    )]
    GroupInTwoParts {
        /// A row of the group.
        first: Place,
        /// Its part.
        first_part: crate::dataset::Part,
        /// Another row of the group, the first of the table being 1.
        second_row: usize,
        /// That row's part.
        second_part: crate::dataset::Part,
    },

    // === image, augment, loader ===
    /// An image of no bytes.
    #[error("{name}: the image is empty (0 bytes)")]
    ImageEmpty {
        /// The image as messages call it.
        name: String,
    },
    /// Bytes that are no image in a format read here, whatever the file's extension says.
    #[error("{name}: not a JPEG, PNG, WebP, TIFF or BMP image ({found})")]
    ImageFormat {
        /// The image as messages call it.
        name: String,
        /// What it is, or how it begins.
        found: String,
    },
    /// An image whose data stops before its end.
    #[error("{name}: the {format} image is truncated after {n_bytes} bytes")]
    ImageTruncated {
        /// The image as messages call it.
        name: String,
        /// JPEG, PNG, …
        format: &'static str,
        /// How many bytes there are.
        n_bytes: usize,
    },
    /// An image whose data is damaged, or of a kind that the decoder does not know.
    #[error("{name}: cannot decode the {format} image")]
    ImageDecode {
        /// The image as messages call it.
        name: String,
        /// JPEG, PNG, …
        format: &'static str,
        /// What the decoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An image of more pixels than are allowed: a photograph too many, or a decompression bomb.
    #[error("{name}: {width} × {height} pixels are more than the {max_pixels} that are allowed")]
    ImagePixels {
        /// The image as messages call it.
        name: String,
        /// Pixels.
        width: usize,
        /// Pixels.
        height: usize,
        /// Largest number of pixels allowed.
        max_pixels: u64,
    },
    /// An image file of more bytes than are allowed.
    #[error("{name}: {n_bytes} bytes are more than the {max_bytes} that are allowed")]
    ImageBytes {
        /// The image as messages call it.
        name: String,
        /// Size of the file.
        n_bytes: u64,
        /// Largest size allowed.
        max_bytes: u64,
    },
    /// The image's path leads to a folder or a device.
    #[error("{name}: not a file")]
    ImageNotAFile {
        /// The image as messages call it.
        name: String,
    },
    /// A fault in a decoder, or in this library, met while this image was read.
    #[error("{name}: reading it stopped at a fault in the program: {message}")]
    ImageFault {
        /// The image as messages call it.
        name: String,
        /// What the fault said.
        message: String,
    },
    /// A row whose image cannot be used.
    #[error("{at}: its image cannot be used")]
    RowImage {
        /// The row.
        at: Place,
        /// What is wrong with the image.
        source: Box<Error>,
    },
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
            Self::ImageEmpty { .. } | Self::ImageTruncated { .. } => {
                Some("the file is incomplete: copy it again from where it came, or leave its row out".into())
            }
            Self::ImageFormat { .. } => Some("convert it to JPEG or PNG, or leave its row out".into()),
            Self::ImagePixels { .. } | Self::ImageBytes { .. } => {
                Some("scale the image down before; a network reads a few hundred pixels a side".into())
            }
            Self::ImageFault { .. } => Some("please report it, with the image if you may".into()),
            Self::RowImage { source, .. } => source.hint(),
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
            Self::GroupInTwoParts { .. } => Some(
                "correct the split column, or leave it out and let `data.group` divide the rows".into(),
            ),
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
