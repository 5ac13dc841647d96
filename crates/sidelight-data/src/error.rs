//! Every way this library can fail, where it happened and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::kind::{MetadataKind, Split, TargetKind};

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A cell, a row or a file: where something was found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// The file as the user named it.
    pub file: PathBuf,
    /// Data row, the first being 1.
    pub row: Option<usize>,
    /// Line in the file where the format has lines, the first being 1.
    pub line: Option<usize>,
    /// Key of the sample, where the rows are samples of an archive.
    pub key: Option<String>,
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
            key: None,
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
        if let Some(key) = &self.key {
            write!(f, ", sample `{key}`")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column `{column}`")?;
        }
        Ok(())
    }
}

/// Why an object could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectFault {
    /// It is not there.
    Missing,
    /// Nobody may read it, or not without credentials.
    Denied,
    /// It is another than it was when it was first looked at.
    Changed,
    /// The server gives no parts of large files.
    NoParts,
    /// The network, the server.
    Other,
}

impl ObjectFault {
    fn hint(self) -> &'static str {
        match self {
            Self::Missing => {
                "look at the address; braces name each object, as in `train-{000..099}.tar`"
            }
            Self::Denied => {
                "give credentials in the environment, by the store's own names (AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, GOOGLE_SERVICE_ACCOUNT, AZURE_STORAGE_ACCOUNT_NAME and \
                 AZURE_STORAGE_ACCOUNT_KEY); for a public bucket AWS_SKIP_SIGNATURE=true"
            }
            Self::Changed => {
                "objects may not change while they are read: begin again with those that are there now"
            }
            Self::NoParts => "use a server that answers `Range`, or shards of at most 8 MiB",
            Self::Other => {
                "try again: what is there already is not fetched again. More patience: `data.remote.retries`, \
                 `data.remote.timeout`"
            }
        }
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

    // === hub ===
    /// A name that can be none of a repository on the hub.
    #[error("`{name}` is not the name of weights on the hub: {reason}")]
    HubName {
        /// What was written.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Weights by a name, used before they were fetched.
    #[error("the weights `{name}` were not fetched from the hub")]
    HubUnfetched {
        /// The name.
        name: String,
    },
    /// Weights that the cache does not have, and nothing may be downloaded.
    #[error("the weights `{name}` are not in {}, and nothing is downloaded offline", folder.display())]
    HubOffline {
        /// The name.
        name: String,
        /// Where they would be downloaded from.
        url: String,
        /// Where they would be.
        folder: PathBuf,
    },
    /// The hub, or the store that it leads to, does not answer.
    #[error("cannot reach {url}")]
    HubUnreachable {
        /// The name.
        name: String,
        /// Who was asked, without what may be secret in it.
        url: String,
        /// The file at the hub.
        file: String,
        /// What the connection said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No such repository or revision, or no weights in it.
    #[error("no weights `{name}` at {endpoint}: it has neither {}", files.join(" nor "))]
    HubNotFound {
        /// The name.
        name: String,
        /// Where it was looked for.
        endpoint: String,
        /// The files that were looked for.
        files: Vec<&'static str>,
    },
    /// Weights that are not given to everybody.
    #[error("{endpoint} does not give out `{name}` (HTTP {status})")]
    HubRefused {
        /// The name.
        name: String,
        /// Who refuses.
        endpoint: String,
        /// 401 or 403.
        status: u16,
        /// Whether a token was shown.
        has_token: bool,
    },
    /// An answer that is no file.
    #[error("{url} answered with {answer}")]
    HubAnswer {
        /// Who answered, without what may be secret in it.
        url: String,
        /// What, in words.
        answer: String,
    },
    /// A download that is larger than is allowed, or than it was said to be.
    #[error("{url} has {bytes} bytes or more, no more than {limit} are accepted")]
    HubSize {
        /// The file.
        url: String,
        /// What it has, or what had come when it was refused.
        bytes: u64,
        /// What it may have.
        limit: u64,
    },
    /// A download that broke off, again and again.
    #[error("the download of {url} broke off after {done}{} bytes", size.map_or_else(String::new, |size| format!(" of {size}")))]
    HubBroken {
        /// The file.
        url: String,
        /// Bytes that are there.
        done: u64,
        /// Bytes in all, where that is known.
        size: Option<u64>,
        /// What the connection said.
        source: std::io::Error,
    },
    /// A download whose checksum is not what the hub says.
    #[error("{url} arrived damaged: its SHA-256 is {found}, expected {expected}")]
    HubChecksum {
        /// The file.
        url: String,
        /// What the hub says.
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
    /// A row of more bytes than are read.
    #[error("{at}: the row has more than {max_bytes} bytes")]
    RowBytes {
        /// Where it begins.
        at: Place,
        /// The most that a row can have.
        max_bytes: usize,
    },
    /// More columns than a table can have: each row names others.
    #[error("{at}: the rows up to here name more than {most} columns")]
    TooManyColumns {
        /// The row that names one too many.
        at: Place,
        /// The most there can be.
        most: usize,
    },
    /// A tar archive that is cut short or damaged; nothing after that place is read.
    #[error("{}: {what} at byte {offset}", path.display())]
    Tar {
        /// The archive.
        path: PathBuf,
        /// Where, from its start.
        offset: u64,
        /// `cut short`, `a damaged header`, …
        what: &'static str,
    },
    /// A member of an archive that is larger than its kind can be.
    #[error("{at}: `{name}` has {n_bytes} bytes, more than the {max_bytes} that are read")]
    MemberBytes {
        /// The sample.
        at: Place,
        /// The member's name.
        name: String,
        /// What it has.
        n_bytes: u64,
        /// The most that it can have.
        max_bytes: u64,
    },
    /// A name with braces that cannot be written out.
    #[error("{}: expected braces as in `{{000..009}}` or `{{a,b}}`, found `{found}`", path.display())]
    Braces {
        /// The name.
        path: PathBuf,
        /// What stands in the braces.
        found: String,
    },
    /// Several tables where one was expected: only the archives of a webdataset are read as one.
    #[error("{} is not a tar archive, and only those are read several as one table", path.display())]
    SeveralTables {
        /// The first that is none.
        path: PathBuf,
    },
    /// A directory that is no imagefolder.
    #[error("{} holds neither metadata.csv, .jsonl or .parquet nor tar archives nor folders of images", path.display())]
    NoImagefolder {
        /// The directory.
        path: PathBuf,
    },

    // === objects in a store ===
    /// An address that is none.
    #[error("expected {expected}, found `{}`", address.display())]
    ObjectAddress {
        /// What was found.
        address: PathBuf,
        /// What an address looks like.
        expected: String,
    },
    /// An object that could not be fetched.
    #[error("cannot fetch {}: {reason}", address.display())]
    Object {
        /// Its address.
        address: PathBuf,
        /// What kind of failure it is.
        fault: ObjectFault,
        /// What the store said.
        reason: String,
    },
    /// An object that is larger than the folder it would be kept in.
    #[error("{} has {n_bytes} bytes, more than the {max_bytes} that are kept of all objects", address.display())]
    ObjectTooLarge {
        /// Its address.
        address: PathBuf,
        /// What it has.
        n_bytes: u64,
        /// The limit.
        max_bytes: u64,
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
        expected: MetadataKind,
        /// What it holds.
        found: MetadataKind,
    },
    /// The rows have no target, or one of another kind.
    #[error("expected targets of kind {expected:?}, found {}", found.map_or("none".to_owned(), |kind| format!("{kind:?}")))]
    TargetKind {
        /// What was asked for.
        expected: TargetKind,
        /// What there is.
        found: Option<TargetKind>,
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
        "{}, row {} is in the {:?} part and row {}, of the same group, in the {:?} part",
        path.display(), rows[0], parts[0], rows[1], parts[1]
    )]
    GroupInTwoParts {
        /// The table.
        path: PathBuf,
        /// Two rows of the group, the first of the table being 1.
        rows: [usize; 2],
        /// Their parts.
        parts: [Split; 2],
    },

    /// A comparison lacks an arm that it cannot do without.
    #[error("nothing to compare: no arm for {role}")]
    NoSuchArm {
        /// What is missing.
        role: &'static str,
    },
    /// A network whose places of attention are asked for has no map: it reads no image, or its last layers are tokens.
    #[error("the network has no last map to look at")]
    NoMap,
    /// An arm that there is not.
    #[error("no arm `{name}`")]
    NoArm {
        /// What was asked for.
        name: String,
        /// What there is.
        names: Vec<String>,
    },
    /// A comparison that asks for something other than it began with.
    #[error("{} was made with other settings or other rows", path.display())]
    JobDiffers {
        /// The kept result.
        path: PathBuf,
    },
    /// A kept result of a comparison that cannot be understood.
    #[error("{} is not a result of a comparison", path.display())]
    JobFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        source: serde_json::Error,
    },
    /// Results that are to be joined and are not all there.
    #[error("{missing} of {total} results are not in {}, the first being that of {first}", path.display())]
    JobsMissing {
        /// The folder.
        path: PathBuf,
        /// How many.
        missing: usize,
        /// Of how many.
        total: usize,
        /// The first of them, in words.
        first: String,
    },
    /// A metric that arms cannot be compared by.
    #[error(
        "arm `{arm}` cannot be compared by `{metric}`: it is not one of the task's metrics, or not defined for these rows"
    )]
    Uncomparable {
        /// The metric.
        metric: String,
        /// The arm.
        arm: String,
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
    /// More records cannot be read than `data.unreadable = "skip"` passes over.
    #[error("{n} records of {} cannot be read, more than the {most} that are passed over", path.display())]
    TooManyUnreadable {
        /// The table.
        path: PathBuf,
        /// How many were met so far.
        n: usize,
        /// The most that there may be.
        most: usize,
    },
    // === run, report, demo ===
    /// The caller asked to stop before it was done.
    #[error("stopped while {what}")]
    Interrupted {
        /// What was being done.
        what: &'static str,
    },
    /// A results folder that already holds something, and nothing said what to do with it.
    #[error("{} already holds {found}", path.display())]
    OutputNotEmpty {
        /// The folder.
        path: PathBuf,
        /// What is in it.
        found: Found,
    },
    /// A folder that another process is writing a run into.
    #[error("another process is writing to {}", path.display())]
    RunInUse {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that is not a run.
    #[error("{} is not a run: it has no `{missing}`", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// The file or folder that every run has.
        missing: &'static str,
    },
    /// A run that was stopped or killed before its end.
    #[error("the run in {} is not finished", path.display())]
    UnfinishedRun {
        /// The folder.
        path: PathBuf,
    },
    /// A `metrics.json` that cannot be understood.
    #[error("{} is not a file of metrics", path.display())]
    MetricsFile {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A file written by a version of this program that is newer than this one.
    #[error("{} has schema {found}, this version knows schemas up to {known}", path.display())]
    SchemaTooNew {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest that we can read.
        known: u32,
    },
    /// A line of `log.jsonl` that cannot be understood.
    #[error("{}, line {line}: not a line of a log", path.display())]
    LogLine {
        /// The log.
        path: PathBuf,
        /// The line, the first being 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A results table whose name does not say its format.
    #[error("{}: expected a name ending in .csv, .jsonl or .parquet", path.display())]
    OutputFormat {
        /// The file as asked for.
        path: PathBuf,
    },

    // === network, weights ===
    /// No backbone of that name.
    #[error("no backbone `{name}`")]
    NoBackbone {
        /// What was asked for.
        name: String,
        /// What there is.
        names: Vec<String>,
    },
    /// No fusion of that name.
    #[error("no fusion `{name}`")]
    NoFusion {
        /// What was asked for.
        name: String,
        /// What there is.
        names: Vec<String>,
    },
    /// A path that leads to no layer of the network.
    #[error("no layer `{path}` in the network")]
    NoLayer {
        /// The path as it was given.
        path: String,
        /// The layer up to which it leads; empty: the network itself.
        parent: String,
        /// The names of that layer's children.
        children: Vec<String>,
    },
    /// A freeze or unfreeze pattern that matches no parameter.
    #[error("no parameter of the network matches `{pattern}`")]
    NoParameter {
        /// The pattern.
        pattern: String,
        /// The names of the network's children.
        children: Vec<String>,
    },
    /// A layer that would have the name of another.
    #[error("there is already a layer `{path}` in the network")]
    LayerExists {
        /// The path.
        path: String,
    },
    /// A name that a layer cannot have: empty, or with a dot.
    #[error("`{name}` cannot be a layer's name")]
    LayerName {
        /// The name.
        name: String,
    },
    /// Two layers that do not fit together: found before anything runs.
    #[error("`{path}` ({layer}) takes {expected}, and is given {found}")]
    Shape {
        /// The layer that does not fit.
        path: String,
        /// Its kind.
        layer: String,
        /// What it takes.
        expected: String,
        /// What comes to it.
        found: String,
        /// The edit that would fit, where there is one.
        fit: Option<String>,
    },
    /// A layer's own numbers make no sense (a stride of 0, groups that do not divide the channels, …).
    #[error("`{path}` ({layer}): `{field}` must be {expected}, found `{found}`")]
    LayerField {
        /// The layer.
        path: String,
        /// Its kind.
        layer: String,
        /// The field.
        field: &'static str,
        /// What it can be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A layer written in JSON or TOML that cannot be read.
    #[error("cannot read the layer {at}")]
    LayerDescription {
        /// Which one.
        at: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A network that was saved with a layer of a library user's own.
    #[error("`{path}` is a custom layer `{name}`, which is not known here")]
    CustomLayer {
        /// Where it stands.
        path: String,
        /// Its name.
        name: String,
    },
    /// A layer that has no counterpart in ONNX.
    #[error("`{path}` is a `{layer}` layer, which cannot be written as ONNX")]
    NoOnnx {
        /// Where it stands.
        path: String,
        /// Its kind.
        layer: String,
    },
    /// A graph too large for one file.
    #[error("the graph takes {n_bytes} bytes, and an ONNX file holds {most} at most")]
    OnnxSize {
        /// What it takes.
        n_bytes: usize,
        /// What a file holds.
        most: usize,
    },
    /// A weights file that is none, is cut short or holds something else.
    #[error("cannot read weights from {}: {reason}", path.display())]
    WeightsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A weights file beyond the size that is read.
    #[error("{} is {bytes} bytes; weights above {limit} bytes are not read", path.display())]
    WeightsSize {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// A weights file that lacks parameters of the network, or has others.
    #[error("weights in {} do not fit the network: {}", path.display(), key_summary(missing, unexpected))]
    WeightsKeys {
        /// The file.
        path: PathBuf,
        /// The network's keys that the file lacks.
        missing: Vec<String>,
        /// The file's keys that the network lacks.
        unexpected: Vec<String>,
    },
    /// Parameters of another shape than the network's.
    #[error("weights in {} do not fit the network: {}", path.display(), shape_summary(wrong))]
    WeightsShape {
        /// The file.
        path: PathBuf,
        /// Key, the network's shape, the file's.
        wrong: Vec<(String, Vec<usize>, Vec<usize>)>,
    },
    /// A parameter that is not made of numbers the network can compute with.
    #[error("weights in {}: `{key}` is {found}, expected floating-point numbers", path.display())]
    WeightsType {
        /// The file.
        path: PathBuf,
        /// The parameter.
        key: String,
        /// Its element type.
        found: String,
    },
    /// A parameter with an infinite or undefined value.
    #[error("weights in {}: `{key}` holds {value} at element {index}", path.display())]
    WeightsNotFinite {
        /// The file.
        path: PathBuf,
        /// The parameter.
        key: String,
        /// Position in row-major order.
        index: usize,
        /// What is there.
        value: f32,
    },
    /// A saved state that does not belong to this network.
    #[error(
        "the saved state does not fit the network: {}",
        key_summary(missing, unexpected)
    )]
    State {
        /// The network's keys that it lacks or that have another shape there.
        missing: Vec<String>,
        /// Its keys that the network lacks.
        unexpected: Vec<String>,
    },

    // === train, predict ===
    /// The loss became infinite or not a number.
    #[error(
        "the loss is {loss} at epoch {epoch}, step {step}, at a learning rate of {learning_rate:.2e}"
    )]
    Diverged {
        /// Epoch, the first being 1.
        epoch: usize,
        /// Step in the epoch, the first being 1.
        step: usize,
        /// What it became.
        loss: f64,
        /// The rate that this step had.
        learning_rate: f64,
    },
    /// No parameter of the network would learn.
    #[error("nothing to train: all {n_parameters} parameters of the network are frozen")]
    NothingToTrain {
        /// How many there are.
        n_parameters: usize,
    },
    /// Too few rows to learn from.
    #[error("{}: expected at least {expected} training rows, found {found}", path.display())]
    TooFewRows {
        /// The table.
        path: PathBuf,
        /// The least.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// The configuration is not the one that the run was begun with.
    #[error("{}: the run was begun with `{field} = {begun}`, now it is `{now}`", path.display())]
    ResumeDiffers {
        /// The run folder.
        path: PathBuf,
        /// The first field that differs.
        field: String,
        /// What it was.
        begun: String,
        /// What it is.
        now: String,
    },
    /// A file is not what was written: its checksum differs.
    #[error("{} is damaged: its SHA-256 is {found}, expected {expected}", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// What was noted when it was written.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A file of a model or of a checkpoint does not parse.
    #[error("{} is not a file of a model or checkpoint", path.display())]
    StoredJson {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        source: serde_json::Error,
    },
    /// A safetensors file does not parse, or lacks a tensor.
    #[error("{} is not a file of tensors: {expected}", path.display())]
    StoredTensors {
        /// The file.
        path: PathBuf,
        /// What should have been there.
        expected: String,
        /// What is wrong.
        source: Option<safetensors::SafeTensorError>,
    },
    /// A file is larger than anything of its kind can be.
    #[error("{} has {found} bytes, more than the {largest} that it can have", path.display())]
    StoredSize {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: u64,
        /// What it can have.
        largest: u64,
    },
    /// Two parts of a stored model do not belong together.
    #[error("{}: the {part} has {found}, expected {expected}", path.display())]
    ModelParts {
        /// The folder of the model.
        path: PathBuf,
        /// Which part.
        part: &'static str,
        /// What the other parts ask for.
        expected: String,
        /// What it has.
        found: String,
    },
    /// A row that gets no prediction, where each was to have one.
    #[error("{at}: {reason}")]
    BadRow {
        /// The row.
        at: Place,
        /// Why.
        reason: String,
    },
    /// The same, of a row that an earlier job listed.
    #[error("{bad}")]
    ListedBadRow {
        /// Where it is, and why it has no prediction.
        bad: String,
    },
    /// Parts of predictions that were begun with something else.
    #[error("{} holds parts of predictions that were begun with another {what}: {begun}, now {now}", path.display())]
    PartsDiffer {
        /// The folder of the parts.
        path: PathBuf,
        /// The first thing that differs.
        what: &'static str,
        /// What it was.
        begun: String,
        /// What it is.
        now: String,
    },
    /// A file of a folder of parts that cannot be understood.
    #[error("{} is not a file of parts of predictions", path.display())]
    PartsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        source: serde_json::Error,
    },
    /// A part that is no longer what was written.
    #[error("{} is damaged, and was removed", path.display())]
    PartDamaged {
        /// The part.
        path: PathBuf,
    },
    /// Scores were asked for, and the table has no targets.
    #[error("{}: expected the target's columns {}, found none of them", path.display(), columns.join(", "))]
    NoTargets {
        /// The table.
        path: PathBuf,
        /// The target's columns.
        columns: Vec<String>,
    },

    // === ranks ===
    /// One of several processes that work together cannot go on; the others may not know yet.
    #[error("rank {rank} on {host}")]
    OnRank {
        /// Its number, from 0.
        rank: usize,
        /// Its machine.
        host: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process cannot go on, and says why.
    #[error("rank {rank} cannot go on")]
    OtherRank {
        /// Its number, from 0.
        rank: usize,
    },
    /// Processes that work together do not have the same before them.
    #[error(
        "the {what} of rank {rank} on {host} differ from those of rank 0: expected {first}, found {found}"
    )]
    RanksDiffer {
        /// Of what.
        what: &'static str,
        /// The first that differs.
        rank: usize,
        /// Its machine.
        host: String,
        /// What rank 0 has.
        first: String,
        /// What this one has.
        found: String,
    },
}

/// An error with its causes in one line.
pub fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text += &format!(": {next}");
        cause = next.source();
    }
    text
}

impl Error {
    /// The row or cell that it is about, where it is about one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Cell { at, .. }
            | Self::Ragged { at, .. }
            | Self::NotUtf8 { at }
            | Self::Json { at, .. }
            | Self::JsonRow { at, .. }
            | Self::RowBytes { at, .. }
            | Self::TooManyColumns { at, .. }
            | Self::MemberBytes { at, .. }
            | Self::RowImage { at, .. }
            | Self::BadRow { at, .. }
            | Self::LogOfTarget { at, .. } => Some(at),
            _ => None,
        }
    }

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
            Self::HubName { .. } => Some(
                "`model.weights` is `none`, a file (.safetensors, .pth, .pt or .bin, or a path that begins with `./`), or the \
                 owner and name of a repository, as in `timm/resnet18.tv_in1k` or `timm/resnet18.tv_in1k@REVISION`"
                    .into(),
            ),
            Self::HubUnfetched { .. } => Some("call `hub::fetch_weights` on the configuration's `model` first".into()),
            Self::HubOffline { url, folder, .. } => Some(format!(
                "where there is a network, download {url} and set `model.weights` to the file; or copy {} from there \
                 (offline is what HF_HUB_OFFLINE asks for)",
                folder.display()
            )),
            Self::HubUnreachable { file, .. } => Some(format!(
                "without a network, download {file} elsewhere and set `model.weights` to the file; behind a proxy, set \
                 HTTPS_PROXY; a mirror is named with HF_ENDPOINT"
            )),
            Self::HubNotFound { .. } => Some(
                "is the name right? `sidelight backbones` lists names that fit; a file that is there under another name can \
                 be downloaded by hand and given as a path"
                    .into(),
            ),
            Self::HubRefused { name, endpoint, has_token: false, .. } => Some(format!(
                "a private or gated repository needs a token: set HF_TOKEN to one from {endpoint}/settings/tokens; if \
                 `{name}` should be open to all, is the name right?"
            )),
            Self::HubRefused { name, endpoint, .. } => Some(format!(
                "the token in HF_TOKEN does not open it: is it still valid, and are the conditions at {endpoint}/{} accepted?",
                name.split('@').next().unwrap_or(name)
            )),
            Self::HubAnswer { .. } => Some("try again later; a mirror is named with HF_ENDPOINT".into()),
            Self::HubSize { .. } => Some("is this the repository that you mean? Nothing of it was kept".into()),
            Self::HubBroken { .. } => Some("the same command goes on where it broke off".into()),
            Self::HubChecksum { .. } => Some("it was removed: the same command downloads it again".into()),
            Self::TableKind { .. } => {
                Some("the name must end in .csv, .tsv, .jsonl, .ndjson, .parquet or .tar, or be a folder of images or of tar archives".into())
            }
            Self::DuplicateColumn { .. } => Some("rename one of them in the header".into()),
            Self::Ragged { spans_lines: true, .. } => {
                Some("a cell of this row spans several lines: is a quote left open?".into())
            }
            Self::Ragged { .. } => Some("a cell that contains the separator must be in double quotes".into()),
            Self::NotUtf8 { .. } => Some("save the table as UTF-8".into()),
            Self::RowBytes { .. } => Some("is a quote left open, or is the file no table?".into()),
            Self::Object { fault, .. } => Some(fault.hint().into()),
            Self::ObjectTooLarge { .. } => Some("make room with `data.remote.cache_size`, or make smaller shards".into()),
            Self::Tar { .. } => Some("copy the archive again from where it came".into()),
            Self::Braces { .. } => Some("or name the archives one by one, or their folder".into()),
            Self::SeveralTables { .. } => Some("give one table at a time".into()),
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
            Self::RanksDiffer { what: "processors", .. } => Some(
                "machines with other instructions round differently: run on machines of one kind".into(),
            ),
            Self::RanksDiffer { .. } => Some(
                "all ranks need the same program, configuration and files: a folder that all machines share".into(),
            ),
            Self::TooManyUnreadable { .. } => {
                Some("`skipped.csv` in the run folder names them; `sidelight check` lists what is wrong".into())
            }
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
                "keypoints: mean_px, median_px, mean_nme, pck@0.1; class: accuracy, balanced_accuracy, auroc, log_loss, \
                 macro_f1, average_precision, brier, ece; multilabel: auroc, micro_auroc, map, macro_f1, micro_f1, \
                 hamming_accuracy, log_loss, brier, ece; regression: mae, rmse, r2, median_ae, mape"
                    .into(),
            ),
            Self::NoSuchArm { .. } => Some(
                "name a fusion (`both` is the configuration's own) or a vote; `shuffled` and `all-missing` are of a fusion"
                    .into(),
            ),
            Self::NoArm { name, names } => Some(match nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", names.join(", ")),
            }),
            Self::JobDiffers { .. } => Some(
                "ask for what it began with, choose another folder with --out, or begin anew with --overwrite"
                    .into(),
            ),
            Self::JobFile { path, .. } => Some(format!(
                "delete {} and run the comparison again: only that result is made anew",
                path.display()
            )),
            Self::JobsMissing { .. } => Some(
                "run the same command without --merge: it makes what is missing and joins all".into(),
            ),
            Self::GroupInTwoParts { .. } => Some(
                "correct the split column, or leave it out and let `data.group` divide the rows".into(),
            ),
            Self::Write { path, source } => cannot_write_hint(path, source.kind()),
            Self::OutputNotEmpty { path, found } => Some(found.hint(path)),
            Self::RunInUse { .. } => {
                Some("wait for it to end, or choose another folder with --out".into())
            }
            Self::NotARun { .. } => {
                Some("a run is the folder that `sidelight train … --out FOLDER` writes".into())
            }
            Self::UnfinishedRun { path } => Some(format!(
                "finish it with `sidelight train {0}/config.toml --out {0} --resume`",
                path.display()
            )),
            Self::SchemaTooNew { .. } => Some("it needs a newer version of sidelight".into()),
            Self::OutputFormat { .. } => Some("for example --out predictions.csv".into()),
            // network, weights
            Self::NoBackbone { name, names } | Self::NoFusion { name, names } => Some(match nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", names.join(", ")),
            }),
            Self::NoLayer { path, parent, children } => {
                let asked = path.strip_prefix(parent.as_str()).unwrap_or(path).trim_start_matches('.');
                let asked = asked.split('.').next().unwrap_or(asked);
                let parent = if parent.is_empty() { "the network".into() } else { format!("`{parent}`") };
                Some(match nearest(asked, children) {
                    Some(near) => format!("{parent} has `{near}`, did you mean that?"),
                    None if children.is_empty() => format!("{parent} has no layers inside"),
                    None => format!("{parent} has: {}", children.join(", ")),
                })
            }
            Self::NoParameter { children, .. } => {
                Some(format!("a pattern is a path, or one with `*`, as in `layer4.*`; the network has: {}", children.join(", ")))
            }
            Self::LayerExists { path } => Some(format!("give the new layer another `name`, or replace `{path}`")),
            Self::LayerName { .. } => Some("a name has at least one character and no dot".into()),
            Self::Shape { fit, .. } => fit.clone(),
            Self::CustomLayer { name, .. } => {
                Some(format!("give the function that makes `{name}` to `Network::from_description_with`"))
            }
            Self::NoOnnx { .. } => Some(
                "replace it by layers of the list (`sidelight inspect` shows them), or export the weights alone with `--safetensors`".into(),
            ),
            Self::OnnxSize { .. } => Some("export the weights with `--safetensors`, or train a smaller `model.backbone`".into()),
            Self::WeightsFile { .. } => {
                Some("weights are read from `.safetensors` and from PyTorch's `.pth` or `.pt`; fetch the file again if it was cut short".into())
            }
            Self::WeightsSize { .. } => Some("is this the file of weights that you mean?".into()),
            Self::WeightsKeys { missing, unexpected, .. } => Some(if missing.is_empty() {
                format!("the file has {} parameters too many: is `model.backbone` the network that it was made for?", unexpected.len())
            } else {
                "is `model.backbone` the network that the file was made for?".into()
            }),
            Self::WeightsShape { .. } => Some("the file was made for another variant of this network: change `model.backbone`, or take another file".into()),
            Self::WeightsType { .. } => Some("float32, float64, float16 and bfloat16 are read; quantised weights are not".into()),
            Self::WeightsNotFinite { .. } => Some("the file comes from a training that diverged; take another one".into()),
            // === train, predict ===
            Self::Diverged { learning_rate, .. } => {
                Some(format!("lower `train.learning_rate`, to {:.0e} say; `train.clip = 1` limits single steps", learning_rate / 10.0))
            }
            Self::NothingToTrain { .. } => Some("take out a freezing edit, or set `train.freeze = false`".into()),
            Self::TooFewRows { .. } => Some("is `data.limit` or the split too small?".into()),
            Self::ResumeDiffers { field, begun, path, .. } => Some(format!(
                "set `{field} = {begun}` again, or begin anew in another folder than {}",
                path.display()
            )),
            Self::Checksum { .. } | Self::StoredJson { .. } | Self::StoredTensors { .. } | Self::StoredSize { .. } => {
                Some("copy the whole folder again from where it came, or train again".into())
            }
            Self::ModelParts { .. } => {
                Some("the files come from different runs: copy the whole `model` folder of one".into())
            }
            Self::BadRow { .. } | Self::ListedBadRow { .. } => {
                Some("without --strict the job goes on, and such rows are listed in a file beside the predictions".into())
            }
            Self::PartsDiffer { .. } => Some(
                "give what they were begun with, choose another --out, or discard them with --overwrite".into(),
            ),
            Self::PartsFile { .. } => Some("discard the parts with --overwrite".into()),
            Self::PartDamaged { .. } => Some("the same command makes that part again".into()),
            Self::NoTargets { .. } => Some("`sidelight predict` needs no targets".into()),
            _ => None,
        }
    }
}

/// `, line 3`, or nothing.
fn in_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line}"))
}

/// What is in a folder that results should go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or no such folder.
    Nothing,
    /// A run with its scores.
    FinishedRun,
    /// A run that was stopped or killed before its end.
    UnfinishedRun,
    /// Files that are none of ours.
    OtherFiles,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::FinishedRun => "a finished run",
            Self::UnfinishedRun => "an unfinished run",
            Self::OtherFiles => "files that are not a run",
        })
    }
}

impl Found {
    fn hint(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Nothing => format!("{path} can be used"),
            Self::FinishedRun => {
                "--overwrite replaces it; another folder with --out keeps both".into()
            }
            Self::UnfinishedRun => {
                "--resume goes on with it; --overwrite begins anew; --out chooses another folder"
                    .into()
            }
            Self::OtherFiles => "choose a new or an empty folder with --out".into(),
        }
    }
}

/// What to do about a file that could not be written.
fn cannot_write_hint(path: &Path, kind: std::io::ErrorKind) -> Option<String> {
    use std::io::ErrorKind;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).display();
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("the disk is full: free some space, or choose another disk".into())
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Some(format!(
            "{folder} cannot be written to: choose another folder"
        )),
        ErrorKind::NotFound => Some(format!("the folder {folder} does not exist")),
        _ => None,
    }
}

/// Up to five keys, and how many more there are.
fn five(keys: &[String]) -> String {
    let shown: Vec<String> = keys.iter().take(5).map(|key| format!("`{key}`")).collect();
    match keys.len().checked_sub(5) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}

fn key_summary(missing: &[String], unexpected: &[String]) -> String {
    match (missing.is_empty(), unexpected.is_empty()) {
        (false, true) => format!("missing {}", five(missing)),
        (true, _) => format!("unexpected {}", five(unexpected)),
        (false, false) => format!("missing {}; unexpected {}", five(missing), five(unexpected)),
    }
}

fn shape_summary(wrong: &[(String, Vec<usize>, Vec<usize>)]) -> String {
    let shown: Vec<String> = wrong
        .iter()
        .take(5)
        .map(|(key, expected, found)| {
            format!("`{key}` is {found:?}, the network wants {expected:?}")
        })
        .collect();
    match wrong.len().checked_sub(5) {
        None | Some(0) => shown.join("; "),
        Some(more) => format!("{}; and {more} more", shown.join("; ")),
    }
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
