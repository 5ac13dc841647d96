//! What can go wrong with tables, images and files: where it happened, and what to do next.

use std::any::Any;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use strum::EnumProperty as _;

use crate::kind::{MetadataKind, Split, TargetKind};
use crate::spelling::{DateOrder, Decimal, Spelling, date_in_order, unit_of};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumProperty)]
pub enum ObjectFault {
    /// It is not there.
    #[strum(props(
        hint = "check the address: braces name each shard, as in `train-{000..099}.tar`; of an image, correct its cell, or leave the row out"
    ))]
    Missing,
    /// It may not be read, or not without credentials.
    #[strum(props(
        hint = "give credentials in the environment, by the store's own names (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_SERVICE_ACCOUNT, AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY); for a public bucket AWS_SKIP_SIGNATURE=true"
    ))]
    Denied,
    /// The object changed since it was first read.
    #[strum(props(
        hint = "objects may not change while they are read: begin again with those that are there now"
    ))]
    Changed,
    /// The server gives no parts of large files.
    #[strum(props(hint = "use a server that answers `Range`, or shards of at most 8 MiB"))]
    NoParts,
    /// The network, the server.
    #[strum(props(
        hint = "try again: what is there already is not fetched again. For more patience, set `data.remote.retries` and `data.remote.timeout`"
    ))]
    Other,
}

/// What went wrong.
///
/// `Display` says this level only, the cause is [`std::error::Error::source`],
/// and [`Error::hint`] says what to do next.
#[derive(Debug, thiserror::Error, strum::EnumProperty)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "a variant's message shows what its fields hold"
)]
pub enum Error {
    // === files ===
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// Something that this build leaves out.
    #[error("{what}: built without the feature `{feature}`")]
    NotBuilt {
        /// What was asked for.
        what: String,
        /// The Cargo feature that has it.
        feature: &'static str,
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
    #[error("{}{}: `{field}`: unknown value `{found}`", path.display(), in_line(*line))]
    UnknownChoice {
        /// The configuration file.
        path: PathBuf,
        /// The line, where it stands in the file.
        line: Option<usize>,
        field: String,
        /// What was written.
        found: String,
        /// What it can be.
        known: Vec<String>,
    },
    /// An override that is not of the form `field=value`.
    #[error("`{text}` is not of the form `section.field=value`")]
    #[strum(props(hint = "as in `train.epochs=5` or `metadata.\"exif.ExposureTime\"=continuous`"))]
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
    /// Not a valid Hugging Face repository name.
    #[error("`{name}` is not a valid Hugging Face repository name: {reason}")]
    #[strum(props(
        hint = "`model.weights` is `auto`, `none`, a file (.safetensors, .pth, .pt or .bin, or a path that begins with `./`), or the owner and name of a repository, as in `timm/resnet18.tv_in1k` or `timm/resnet18.tv_in1k@REVISION`"
    ))]
    HubName {
        /// What was written.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Weights named by a repository, used before they were fetched.
    #[error("the weights `{name}` have not been fetched from the hub")]
    #[strum(props(hint = "call `hub::fetch_weights` on the configuration's `model` first"))]
    HubUnfetched { name: String },

    // === tables ===
    /// A column that was asked for is not there.
    #[error("no column `{name}` in {}", path.display())]
    NoColumn {
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        columns: Vec<String>,
    },
    /// A cell that is not what its column is said to be.
    #[error("{at}: expected {expected}, found `{found}`")]
    Cell {
        at: Place,
        /// What was expected.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A number of which one cannot tell what it means.
    #[error("{at}: `{found}` may be a thousand or a decimal")]
    #[strum(props(
        hint = "set `data.decimal` to \".\" or \",\": what stands before the decimals; the other one then groups thousands"
    ))]
    AmbiguousNumber { at: Place, found: String },
    /// A file whose extension names no supported table format.
    #[error("unsupported table format: {}", path.display())]
    #[strum(props(
        hint = "the name must end in .csv, .txt, .tsv, .jsonl, .ndjson, .parquet, .xlsx or .tar, or be a folder of images or of tar archives"
    ))]
    TableKind { path: PathBuf },
    /// A table without a header, a row or a column.
    #[error("{} has no {what}", path.display())]
    EmptyTable {
        path: PathBuf,
        /// What is lacking: `header`, `row`, `image`.
        what: &'static str,
    },
    /// Two columns of the same name.
    #[error("{}: duplicate column name `{name}` (columns {first} and {second})", path.display())]
    #[strum(props(hint = "rename one of them in the header"))]
    DuplicateColumn {
        path: PathBuf,
        name: String,
        /// Position of the first, from 1.
        first: usize,
        /// Position of the second, from 1.
        second: usize,
    },
    /// A row with more or fewer cells than the header.
    #[error("{at}: {found} cells where the header has {expected}")]
    Ragged {
        at: Place,
        /// Cells in the header.
        expected: usize,
        /// Cells in the row.
        found: usize,
        /// Whether a cell of it spans lines, as it does after a quote that is not closed.
        spans_lines: bool,
    },
    /// Bytes that are not UTF-8 text.
    #[error("{at}: not valid UTF-8")]
    #[strum(props(hint = "save the table as UTF-8"))]
    NotUtf8 { at: Place },
    /// A line of JSON Lines that is not JSON.
    #[error("{at}: not valid JSON")]
    Json {
        at: Place,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A line of JSON Lines that is JSON, but not an object.
    #[error("{at}: expected an object (`{{\"file_name\": …}}`), found {found}")]
    #[strum(props(hint = "JSON Lines has one object per line, and no list around them"))]
    JsonRow {
        at: Place,
        /// What is there: `a list`, `a number`, …
        found: &'static str,
    },
    /// A Parquet file that cannot be read.
    #[cfg(feature = "parquet")]
    #[error("cannot read {} as Parquet", path.display())]
    Parquet {
        path: PathBuf,
        /// What the reader said.
        source: parquet::errors::ParquetError,
    },
    /// A workbook that cannot be read.
    #[error("cannot read {} as a workbook: {reason}", path.display())]
    #[strum(props(
        hint = "open it in a spreadsheet program and save it as .xlsx, without a password, or as CSV"
    ))]
    Workbook {
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A cell of a workbook whose formula has failed.
    #[error("{at}: the cell in sheet `{sheet}` holds the error `{found}`")]
    #[strum(props(
        hint = "correct its formula, or clear the cell: an empty one, or `#N/A`, is missing"
    ))]
    ErrorCell {
        at: Place,
        sheet: String,
        /// The error, as `#DIV/0!`.
        found: String,
    },
    /// A row above the size limit.
    #[error("{at}: the row has more than {max_bytes} bytes")]
    #[strum(props(hint = "is a quote left open, or is the file not a table?"))]
    RowBytes {
        /// Where it begins.
        at: Place,
        /// The most that a row can have.
        max_bytes: usize,
    },
    /// More columns than a table can have: each row names others.
    #[error("{at}: more than {most} columns in the rows so far")]
    TooManyColumns {
        /// The row that names one too many.
        at: Place,
        /// The most there can be.
        most: usize,
    },
    /// Cells that no row names, far more than the file has bytes: they would fill the memory.
    #[error(
        "{at}: the rows so far leave {found} cells empty; at most {most} can be, for so many bytes"
    )]
    #[strum(props(
        hint = "each row should have most of the columns: is every line a row of one table?"
    ))]
    TooManyGaps {
        /// The row that makes them too many.
        at: Place,
        /// How many they are.
        found: usize,
        /// The most there can be.
        most: usize,
    },
    /// A tar archive that is cut short or damaged; nothing after that place is read.
    #[error("{}: {what} at byte {offset}", path.display())]
    #[strum(props(hint = "copy the archive again from its source"))]
    Tar {
        path: PathBuf,
        /// Where, from its start.
        offset: u64,
        /// `cut short`, `a damaged header`, …
        what: &'static str,
    },
    /// A member of an archive above the size limit of its kind.
    #[error("{at}: `{name}` has {n_bytes} bytes; the limit is {max_bytes}")]
    MemberBytes {
        at: Place,
        /// The member's name.
        name: String,
        /// What it has.
        n_bytes: u64,
        /// The most that it can have.
        max_bytes: u64,
    },
    /// A name with braces that cannot be expanded.
    #[error("{}: expected braces as in `{{000..009}}` or `{{a,b}}`, found `{found}`", path.display())]
    #[strum(props(hint = "or name the archives one by one, or their folder"))]
    Braces {
        path: PathBuf,
        /// What stands in the braces.
        found: String,
    },
    /// Several tables, not all of them tar archives.
    #[error("{} is not a tar archive; only tar archives can be read together as one table", path.display())]
    #[strum(props(hint = "give one table at a time"))]
    SeveralTables {
        /// The first that is none.
        path: PathBuf,
    },
    /// A directory that is not an imagefolder.
    #[error("{} contains no metadata.csv, .jsonl or .parquet, no tar archives and no folders of images", path.display())]
    NoImagefolder { path: PathBuf },

    // === objects in a store ===
    /// Not a valid address of an object.
    #[error("expected {expected}, found `{}`", address.display())]
    #[strum(props(hint = "or download it first, and name the file"))]
    ObjectAddress {
        /// What was found.
        address: PathBuf,
        /// What an address looks like.
        expected: String,
    },
    /// An object that could not be fetched.
    #[error("cannot fetch {}: {reason}", address.display())]
    Object {
        address: PathBuf,
        /// What kind of failure it is.
        fault: ObjectFault,
        /// What the store said.
        reason: String,
    },
    /// An object larger than the cache.
    #[error("{} has {n_bytes} bytes; the cache holds at most {max_bytes}", address.display())]
    #[strum(props(hint = "make room with `data.remote.cache_size`, or make smaller shards"))]
    ObjectTooLarge {
        address: PathBuf,
        /// What it has.
        n_bytes: u64,
        max_bytes: u64,
    },

    // === schema, dataset ===
    /// No row has a target.
    #[error("no row of {} has a target: `{column}` is empty in all {rows}", path.display())]
    NoTarget {
        path: PathBuf,
        /// The target's first column.
        column: String,
        /// Rows of the table.
        rows: usize,
    },
    /// No column holds images or their paths.
    #[error("no column of {} holds images or their paths", path.display())]
    NoImageColumn {
        path: PathBuf,
        /// What there is.
        columns: Vec<String>,
    },

    // === encode, task, split ===
    /// A metadata column that is configured, or that a model was trained with, is not there.
    #[error("no metadata column `{column}`")]
    MissingMetadata {
        /// What was asked for.
        column: String,
        /// What there is.
        columns: Vec<String>,
    },
    /// A metadata column of another kind than it was trained with or configured as.
    #[error("metadata column `{column}`: expected {expected} values, found {found} values")]
    MetadataKind {
        column: String,
        /// What it should hold.
        expected: MetadataKind,
        /// What it holds.
        found: MetadataKind,
    },
    /// The rows have no target, or one of another kind.
    #[error("expected a target of kind {expected}, found {}", found.map_or("none", Into::into))]
    TargetKind {
        /// What was asked for.
        expected: TargetKind,
        /// What there is.
        found: Option<TargetKind>,
    },
    /// Fewer than two classes in the training set.
    #[error("target `{column}`: expected at least two classes in {n_rows} training rows, found {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })]
    #[strum(props(
        hint = "is this the right target column, and does the split leave every class in training?"
    ))]
    TooFewClasses {
        /// The target's column.
        column: String,
        n_rows: usize,
        /// The classes that occur.
        names: Vec<String>,
    },
    /// A target column without a single value in the training set.
    #[error("target `{column}`: expected values, found none in {n_rows} training rows")]
    NoTargetValues {
        /// The target's column.
        column: String,
        n_rows: usize,
    },
    /// A number without a logarithm, on the log scale.
    #[error("{at}: expected a number above 0 for the log scale, found `{found}`")]
    #[strum(props(hint = "use `scale = \"linear\"` under [target], or leave the row out"))]
    LogOfTarget { at: Place, found: f64 },
    /// A division would leave a part without rows.
    #[error("the {part} part would be empty: {n_rows} row{} in {n_units} {unit}{} to divide", if *n_rows == 1 { "" } else { "s" }, if *n_units == 1 { "" } else { "s" })]
    EmptyPart {
        /// `training`, `validation`, or the fold.
        part: String,
        /// Rows there are.
        n_rows: usize,
        /// What cannot be divided further.
        n_units: usize,
        /// `row`, `group` or `time`.
        unit: &'static str,
    },
    /// More folds than there are rows or groups to put into them.
    #[error("expected at least {} {unit}s for {n_folds} folds, found {n_units}", if *unit == "time" { n_folds + 1 } else { *n_folds })]
    TooManyFolds {
        /// Folds asked for.
        n_folds: usize,
        /// What there is to divide.
        n_units: usize,
        /// `row`, `group` or `time`.
        unit: &'static str,
    },
    /// The split column puts rows of one group into different parts.
    #[error(
        "{}: rows {} and {} belong to the same group, but are in different splits ({} and {})",
        path.display(), rows[0], rows[1], parts[0], parts[1]
    )]
    #[strum(props(
        hint = "correct the split column, or leave it out and let `data.group` divide the rows"
    ))]
    GroupInTwoParts {
        path: PathBuf,
        /// Two rows of the group, the first of the table being 1.
        rows: [usize; 2],
        parts: [Split; 2],
    },

    // === images ===
    /// An image of no bytes.
    #[error("{name}: the image is empty (0 bytes)")]
    #[strum(props(
        hint = "the file is incomplete: copy it again from its source, or leave its row out"
    ))]
    ImageEmpty {
        /// The image as messages call it.
        name: String,
    },
    /// Not an image in a supported format, whatever the file name says.
    #[error("{name}: not a JPEG, PNG, WebP, TIFF, BMP or DICOM image ({found})")]
    #[strum(props(hint = "convert it to JPEG or PNG, or leave its row out"))]
    ImageFormat {
        /// The image as messages call it.
        name: String,
        /// What it is, or how it begins.
        found: String,
    },
    /// A part of an image that lies outside it.
    #[error("{name}: its part of {area} lies outside its {width} × {height} pixels")]
    #[strum(props(
        hint = "`data.crop` names the columns of x, y, width and height, in pixels of the image as stored"
    ))]
    ImageArea {
        /// The image as messages call it.
        name: String,
        /// The part.
        area: String,
        /// Width of the image in pixels.
        width: usize,
        /// Height of the image in pixels.
        height: usize,
    },
    /// An image of other channels than the network takes.
    #[error("{name}: it has {found} channels, and the network takes {expected}")]
    #[strum(props(
        hint = "let `n` of the edit `input_channels` be as many as the images have; leave it out for grey images and colours"
    ))]
    ImageChannels {
        /// The image as messages call it.
        name: String,
        /// Channels of the image.
        found: usize,
        /// Channels of the network's input.
        expected: usize,
    },
    /// An image whose data stops before its end.
    #[error("{name}: the {format} image is truncated after {n_bytes} bytes")]
    #[strum(props(
        hint = "the file is incomplete: copy it again from its source, or leave its row out"
    ))]
    ImageTruncated {
        /// The image as messages call it.
        name: String,
        /// JPEG, PNG, …
        format: &'static str,
        /// How many bytes there are.
        n_bytes: usize,
    },
    /// An image whose data is damaged, or of a kind that the decoder does not support.
    #[error("{name}: cannot decode the {format} image")]
    ImageDecode {
        /// The image as messages call it.
        name: String,
        /// JPEG, PNG, …
        format: &'static str,
        /// What the decoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An image with too many pixels: too large a photograph, or a decompression bomb.
    #[error("{name}: {width} × {height} pixels exceed the limit of {max_pixels}")]
    #[strum(props(
        hint = "scale the image down first; a network reads a few hundred pixels a side"
    ))]
    ImagePixels {
        /// The image as messages call it.
        name: String,
        width: usize,
        height: usize,
        /// Largest number of pixels allowed.
        max_pixels: u64,
    },
    /// An image file above the size limit.
    #[error("{name}: {n_bytes} bytes exceed the limit of {max_bytes}")]
    #[strum(props(
        hint = "scale the image down first; a network reads a few hundred pixels a side"
    ))]
    ImageBytes {
        /// The image as messages call it.
        name: String,
        /// Size of the file.
        n_bytes: u64,
        /// Largest size allowed.
        max_bytes: u64,
    },
    /// The path of an image is a folder or a device.
    #[error("{name}: not a file")]
    ImageNotAFile {
        /// The image as messages call it.
        name: String,
    },
    /// A panic in a decoder, or in this library, while this image was read.
    #[error("{name}: internal error while reading the image: {message}")]
    #[strum(props(hint = "please report it, with the image if you may"))]
    ImageFault {
        /// The image as messages call it.
        name: String,
        /// What the fault said.
        message: String,
    },
    /// A row whose image cannot be used.
    #[error("{at}: cannot use its image")]
    RowImage {
        at: Place,
        /// What is wrong with the image.
        source: Box<Error>,
    },

    // === annotations ===
    /// A file whose content is of none of the formats of annotations.
    #[error("{} has no annotations of a kind that is read: {found}", path.display())]
    #[strum(props(
        hint = "COCO keypoints, YOLO pose, CVAT for images 1.1, LabelMe, Label Studio (its JSON, not JSON-MIN), DeepLabCut's CollectedData CSV and VIA are read"
    ))]
    AnnotationKind {
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// Something in a file of annotations that cannot be.
    #[error("{}{}: expected {expected}, found {found}", path.display(), in_place(at))]
    #[strum(props(hint = "correct it in the annotation tool, and export it again"))]
    Annotation {
        path: PathBuf,
        /// Where in the file: a line, or the path in its JSON. Empty: the file as a whole.
        at: String,
        expected: String,
        found: String,
    },
    /// JSON of annotations that does not parse, or lacks what its format has.
    #[error("{}{}: not what the format has there", path.display(), in_place(at))]
    #[strum(props(hint = "export it again from the annotation tool; is it of another format?"))]
    AnnotationJson {
        path: PathBuf,
        /// The path in its JSON. Empty: the file as a whole.
        at: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// An instance with two points of one name.
    #[error("{}, {at}: two points `{point}` in one instance", path.display())]
    #[strum(props(
        hint = "where an image shows several things, put the points of each into a group of their own (a skeleton in CVAT, a group id in LabelMe and VIA, a rectangle as their parent in Label Studio), and give each point of one a name of its own"
    ))]
    AnnotationRepeats {
        path: PathBuf,
        /// The image.
        at: String,
        /// The point's name.
        point: String,
    },
    /// An image whose size is needed, since its points are shares of it, and is not known.
    #[error("{}: the size of `{image}` is needed, and the image is not found", path.display())]
    #[strum(props(hint = "say which folder the images are in"))]
    AnnotationImage {
        path: PathBuf,
        /// The image as it is named.
        image: String,
    },

    // === writing ===
    /// The caller asked to stop before it was done.
    #[error("stopped while {what}")]
    Interrupted {
        /// What was being done.
        what: &'static str,
    },
    /// A results table whose name does not say its format.
    #[error("{}: expected a name ending in .csv, .jsonl or .parquet", path.display())]
    OutputFormat {
        /// The file as asked for.
        path: PathBuf,
    },
    /// A folder to be written in which something lies.
    #[error("{} is there already, and is not an empty folder", path.display())]
    #[strum(props(hint = "choose a new name, or remove it first"))]
    OutputFolder { path: PathBuf },
    /// A part that is no longer what was written.
    #[error("{} is damaged and was removed", path.display())]
    #[strum(props(hint = "the same command makes that part again"))]
    PartDamaged { path: PathBuf },
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

/// What a caught panic says.
pub fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into())
}

/// The error for a file that could not be read: `fs::read(path).map_err(cannot_read(path))`.
pub fn cannot_read(path: &Path) -> impl Fn(io::Error) -> Error + Copy {
    move |source| Error::Read {
        path: path.to_path_buf(),
        source,
    }
}

/// The error for a file that could not be written.
pub fn cannot_write(path: &Path) -> impl Fn(io::Error) -> Error + Copy {
    move |source| Error::Write {
        path: path.to_path_buf(),
        source,
    }
}

/// The error for a setting that is not one of the `expected` ones.
pub fn setting(
    field: impl Into<String>,
    expected: impl Into<String>,
    found: impl fmt::Display,
) -> Error {
    Error::Setting {
        field: field.into(),
        expected: expected.into(),
        found: found.to_string(),
    }
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
            | Self::AmbiguousNumber { at, .. }
            | Self::RowBytes { at, .. }
            | Self::ErrorCell { at, .. }
            | Self::TooManyColumns { at, .. }
            | Self::MemberBytes { at, .. }
            | Self::RowImage { at, .. }
            | Self::LogOfTarget { at, .. } => Some(at),
            _ => None,
        }
    }

    /// What to do next, where we know: beside the variant where it is always the same.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Write { path, source } => return cannot_write_hint(path, source.kind()),
            Self::NotBuilt { feature, .. } => {
                format!(
                    "add the feature `{feature}` to the dependency on `sidelight` in Cargo.toml"
                )
            }
            Self::UnknownField { field, known, .. } => {
                let (section, name) = field.rsplit_once('.').unwrap_or(("", field));
                let dot = if section.is_empty() { "" } else { "." };
                match nearest(name, known) {
                    Some(near) => format!("did you mean `{section}{dot}{near}`?"),
                    None => format!("there is: {}", listed(known)),
                }
            }
            Self::UnknownChoice { found, known, .. } => nearest_or(found, known, "it can be"),
            Self::TableKind { path } if is_spreadsheet(path) => {
                "save it as .xlsx or CSV in the spreadsheet program".into()
            }
            Self::NoColumn { name, columns, .. } => nearest_or(name, columns, "the table has"),
            Self::NoImageColumn { columns, .. } => {
                format!(
                    "say which one with `data.image`, or the path of each row with columns in braces (`data.image = \"train/{{id}}.jpg\"`); the table has: {}",
                    listed(columns)
                )
            }
            Self::MissingMetadata { column, columns } => {
                nearest_or(column, columns, "the metadata columns are")
            }
            Self::Cell {
                found, expected, ..
            } if !found.trim().is_empty() || [OF_ROW, WEIGHT].iter().any(|of| expected.contains(of)) => {
                cell_hint(expected, found)
            }
            Self::Ragged {
                spans_lines: true, ..
            } => "a cell of this row spans several lines: is a quote left open?".into(),
            Self::Ragged { .. } => {
                "a cell that contains the separator must be in double quotes".into()
            }
            Self::Object { fault, .. } => fault.get_str("hint")?.into(),
            Self::RowImage { source, .. } => return image_hint(source),
            Self::ImageDecode { source, .. } if source.to_string().contains("color type") => {
                "pixels of this kind are not read: save them with 8 or 16 bits a channel, grey or RGB".into()
            }
            Self::MetadataKind { column, found, .. } => format!(
                "set `{column} = \"{found}\"` under [metadata], or give a table whose column is of the trained kind"
            ),
            Self::TargetKind {
                expected,
                found: Some(_),
            } => {
                format!("set `kind` under [target] to what the column holds, not {expected}")
            }
            Self::TargetKind { found: None, .. } => {
                "training and scoring need the target's columns in the table".into()
            }
            Self::EmptyPart { unit: "group", .. } => {
                "a group is never divided: is `data.group` the right column?".into()
            }
            Self::EmptyPart { unit: "time", .. } => {
                "rows of one time stay together, and a group is where its latest row is: are `data.time` and `data.group` the right columns?".into()
            }
            Self::EmptyPart { unit: "fold", .. } => {
                "name folds of the table in `data.split.valid_where`, and not all of them".into()
            }
            Self::EmptyPart { n_rows: ..=1, .. } => "training needs more rows: two at least".into(),
            Self::EmptyPart { .. } => "set `data.split.valid` so that both parts get rows".into(),
            Self::TooManyFolds { n_units: ..=2, unit: "time", .. } => {
                "folds by time need three times at least: is `data.time` the right column?".into()
            }
            Self::TooManyFolds { n_units, unit: "time", .. } => {
                format!("use at most {} folds: each is learned from the times before it, and the first times are only learned from", n_units - 1)
            }
            Self::TooManyFolds { n_units, unit, .. } => {
                format!("use at most {n_units} folds: a {unit} is in one fold only")
            }
            _ => self.get_str("hint")?.into(),
        })
    }
}

/// What to do about a row's image.
fn image_hint(source: &Error) -> Option<String> {
    match source {
        Error::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(
            "`sidelight check` lists all images that are not there, and files whose names differ in capitals alone".into(),
        ),
        _ => source.hint(),
    }
}

/// Whether a file is a workbook of a spreadsheet program that is not read, by its name.
fn is_spreadsheet(path: &Path) -> bool {
    let extension = path
        .extension()
        .map(|extension| extension.to_ascii_lowercase());
    let of_workbooks = ["xls", "xlsb", "xltx", "ods", "fods", "numbers"];
    extension.is_some_and(|extension| of_workbooks.iter().any(|known| extension == *known))
}

/// What is expected of a cell of `data.time`.
const OF_ROW: &str = "the time of its row";
/// What is expected of a cell of `data.weight`.
const WEIGHT: &str = "the weight of its row";
/// What to do about a cell of `data.weight` that is none.
const NO_WEIGHT: &str = "write how much its row counts (0: not at all), or leave the row out of the table; without `data.weight` all rows count the same";

/// What to do about a cell that is not what its column should hold: the setting that reads it, if there is one.
pub fn cell_hint(expected: &str, found: &str) -> String {
    // Without its time a row has no place among the others.
    let needs_time = expected.contains(OF_ROW);
    let is_weight = expected.contains(WEIGHT);
    // A number below 0 reads well, and is no weight all the same.
    if is_weight && found.trim().parse::<f64>().is_ok() {
        return NO_WEIGHT.into();
    }
    let missing = match needs_time {
        _ if is_weight => NO_WEIGHT.into(),
        true => "write its time, or leave the row out of the table; without `data.time` rows are divided at random".into(),
        false => format!("if it means \"missing\", add {found:?} to `missing` of the column"),
    };
    if expected.contains("above 0") {
        return format!("learn it on `scale = \"linear\"`; {missing}");
    }
    if expected.contains("number") {
        let in_comma = Spelling {
            decimal: Some(Decimal::Comma),
            ..Spelling::default()
        };
        let in_point = Spelling {
            decimal: Some(Decimal::Point),
            ..Spelling::default()
        };
        return match (in_comma.number(found), in_point.number(found)) {
            (Some(comma), Some(point)) if comma != point => {
                format!(
                    "`data.decimal = \",\"` reads it as {comma}, `data.decimal = \".\"` as {point}"
                )
            }
            (Some(number), None) => format!("`data.decimal = \",\"` reads it as {number}"),
            (_, Some(number)) => format!("`data.decimal = \".\"` reads it as {number}"),
            (None, None) => match unit_of(found) {
                Some(unit) if !needs_time && !is_weight => {
                    format!("`unit = {unit:?}` of the column reads the number beside it")
                }
                _ => missing,
            },
        };
    }
    if expected.contains("date") {
        let reads = |order| date_in_order(found, order).is_some();
        return match (reads(DateOrder::DayFirst), reads(DateOrder::MonthFirst)) {
            (true, true) => {
                "`data.date_order = \"day-first\"` or `\"month-first\"` reads it".into()
            }
            (true, false) => "`data.date_order = \"day-first\"` reads it".into(),
            (false, true) => "`data.date_order = \"month-first\"` reads it".into(),
            (false, false) => missing,
        };
    }
    if expected.contains("`train`") {
        return "say which of its values are what, as in `split = { column = \"fold\", valid_where = [4] }`".into();
    }
    missing
}

/// `, annotations[3]`, or nothing.
fn in_place(at: &str) -> String {
    match at {
        "" => String::new(),
        at => format!(", {at}"),
    }
}

/// `, line 3`, or nothing.
fn in_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line}"))
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

/// The candidate nearest to a misspelt name, if any is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: &'a [String]) -> Option<&'a str> {
    let (lower, own) = (name.to_lowercase(), words_of(name));
    candidates
        .iter()
        .map(|candidate| {
            // `Age (years)` for `age`: the same words, and some more.
            let words = words_of(candidate);
            let (few, many) = match own.len() < words.len() {
                true => (&own, &words),
                false => (&words, &own),
            };
            let is_within = !few.is_empty() && few.iter().all(|word| many.contains(word));
            let of_words = if is_within {
                0.81 + 0.1 / many.len() as f64
            } else {
                0.0
            };
            let of_letters = strsim::jaro_winkler(&lower, &candidate.to_lowercase());
            (of_letters.max(of_words), candidate)
        })
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.as_str())
}

/// The words of a name in lower case.
fn words_of(name: &str) -> Vec<String> {
    let words = name.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// The hint for a name that is not among the candidates: the nearest one, or all of them.
pub fn nearest_or(name: &str, candidates: &[String], all: &str) -> String {
    match nearest(name, candidates) {
        Some(near) => format!("did you mean `{near}`?"),
        None if candidates.is_empty() => format!("{all}: none"),
        None => format!("{all}: {}", listed(candidates)),
    }
}

/// Names side by side, at most 50 of them, and how many more there are.
///
/// ```
/// use sidelight_data::error::listed;
/// let columns: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
/// assert_eq!(listed(&columns[..3]), "0, 1, 2");
/// assert!(listed(&columns).ends_with("48, 49 and 199950 more"));
/// ```
pub fn listed(names: &[String]) -> String {
    first_of(names, 50)
}

/// As [`listed`], at most so many of them.
pub fn first_of(names: &[String], most: usize) -> String {
    match names.split_at_checked(most) {
        Some((first, rest)) if !rest.is_empty() => {
            format!("{} and {} more", first.join(", "), rest.len())
        }
        _ => names.join(", "),
    }
}
