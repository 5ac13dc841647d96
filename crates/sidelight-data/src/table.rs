//! Rows and columns from a file; every cell remembers where it came from.
//!
//! [`Table::read`] reads a table as a whole, [`Pieces`] so many rows at a time, by the same readers.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::Array as _;
use arrow_array::builder::LargeStringBuilder;
use icu_normalizer::ComposingNormalizerBorrowed;

use crate::error::{Error, Place, Result};
use crate::store::RemoteConfig;

mod accumulate;
mod csv;
mod encoding;
mod folder;
mod jsonl;
#[cfg(feature = "parquet")]
mod parquet;
mod paths;
mod pieces;
mod steady;
mod tar;
#[cfg(test)]
mod tests;
mod webdataset;
#[cfg(feature = "xlsx")]
mod xlsx;

use accumulate::Accumulator;
use pieces::OnBadRow;

pub use pieces::{BadRow, MAX_ROW_BYTES, Piece, Pieces, ReadLimit};
pub use webdataset::{Member, Sample};

/// A table read from CSV, TSV, JSON Lines, Parquet, a workbook (`xlsx`), an imagefolder directory or tar archives: columns in Arrow arrays.
#[derive(Debug, Clone)]
pub struct Table {
    /// The file (the metadata file inside, for an imagefolder).
    pub path: PathBuf,
    /// What relative image paths are relative to.
    pub root: PathBuf,
    /// The columns, in the file's order; all of one length.
    pub columns: Vec<Column>,
    /// Number of rows.
    pub n_rows: usize,
    /// Which row of the whole table the first is, from 0: not 0 in a [`Piece`].
    pub first_row: usize,
    /// Line of each row, where the format has lines and rows can span several, or its row in the sheet; `None`: no lines, or
    /// one line a row.
    pub lines: Option<Arc<[u32]>>,
    /// The files the rows came from, in order, where there are several (an imagefolder with a metadata file
    /// for each part); empty: all came from `path`.
    pub files: Vec<SourceFile>,
    /// Of a webdataset: where each row came from.
    pub samples: Option<Vec<Sample>>,
    /// How it was read, where a person should know: its encoding, where that was a guess.
    pub remarks: Vec<String>,
}

/// What a file does not say of itself, as far as it is said by a person; the rest is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFormat {
    /// The character between cells of a text table.
    pub separator: Option<char>,
    /// The encoding of a text table, by its name on the web.
    pub encoding: Option<String>,
    /// The sheet of a workbook.
    pub sheet: Option<String>,
}

/// One of the files that a table was put together from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where the file is.
    pub path: PathBuf,
    /// Number of its rows.
    pub n_rows: usize,
}

/// One column of a table: its name and a value for each row.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name in the file.
    pub name: String,
    /// The cells, one per row.
    pub values: Values,
}

/// The cells of a column, as the file types them: CSV has text only.
#[derive(Debug, Clone)]
pub enum Values {
    /// Text; an empty cell is missing.
    Text(arrow_array::LargeStringArray),
    /// Numbers; a null is missing.
    Number(arrow_array::Float64Array),
    /// Booleans; a null is missing.
    Boolean(arrow_array::BooleanArray),
    /// Bytes of an image (Hugging Face's `{bytes, path}` struct), with the path where one is given.
    Image {
        /// The encoded images (JPEG, PNG, …).
        bytes: arrow_array::LargeBinaryArray,
        /// The file names they had, for messages.
        path: arrow_array::LargeStringArray,
    },
    /// Images that are members of archives.
    Members(Vec<Option<Arc<Member>>>),
    /// Cells of several types, in a [`Piece`].
    Mixed(Vec<Scalar>),
}

/// A cell with a type of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// An empty or null cell.
    Missing,
    /// true or false.
    Boolean(bool),
    /// A number, as stored.
    Number(f64),
    /// Text as stored, not trimmed.
    Text(String),
}

/// One cell as the file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// An empty or null cell.
    Missing,
    /// Text as stored, not trimmed.
    Text(&'a str),
    /// A number, as stored.
    Number(f64),
    /// true or false.
    Boolean(bool),
    /// An embedded image.
    Image(&'a [u8]),
    /// An image in an archive.
    Member(&'a Arc<Member>),
}

impl Column {
    /// The cells of these rows, in this order; where there is no row, none.
    pub(crate) fn of_rows(&self, rows: &[Option<usize>]) -> Self {
        let mut cells = Accumulator::Empty(0);
        for row in rows {
            match row {
                Some(row) => cells.extend(&self.values.slice(*row, 1)),
                None => cells.push_missing(),
            }
        }
        Self {
            name: self.name.clone(),
            values: cells.finish(OnBadRow::Whole),
        }
    }
}

impl Table {
    /// Reads a table by its extension (`csv`, `txt`, `tsv`, `jsonl`/`ndjson`, `parquet`, `xlsx`/`xlsm`, `tar`), or a directory
    /// that holds `metadata.csv|jsonl|parquet` or tar archives.
    ///
    /// A CSV (or `txt`) has a header; commas, semicolons, tabs or `|` separate, whichever its lines have equally often. It
    /// is UTF-8 or UTF-16, or else read as windows-1252, which is said in [`Table::remarks`].
    /// Of a workbook the first sheet with cells is read, its first row with cells is the header, and its cells are what
    /// they would be in a CSV saved from it: text, but with all digits, dates as `2024-03-01` or `2024-03-01T10:20:00`, and
    /// `#N/A` is missing. Other sheets with cells are named in [`Table::remarks`].
    ///
    /// An imagefolder directory may hold one metadata file, or one in each of `train/`, `valid/`, `test/`
    /// (then the table has a column `split`), or no metadata file but a folder of images per class
    /// (then it has the columns `file_name` and `label`).
    ///
    /// A webdataset is one tar archive, several as `shards-{000..009}.tar`, or a folder of them. Files whose names are the
    /// same up to the first dot are a row: `key.jpg` (or `png`, `webp`, `tif`, `bmp`, `dcm`) its image, the keys of `key.json`
    /// its cells; `key.cls` and `key.txt` are the columns `cls` and `txt`. Images stay in the archives until they are needed.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and the table errors, each with its [`Place`].
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::table::{Cell, Table};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("houses.csv");
    /// std::fs::write(&path, "file_name,beds\n1.jpg,4\n2.jpg,\n")?;
    /// let table = Table::read(&path)?;
    /// assert_eq!(table.n_rows, 2);
    /// assert_eq!(table.column("beds")?.cell(0), Cell::Text("4"));
    /// assert_eq!(table.column("beds")?.cell(1), Cell::Missing);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_as(path, &RemoteConfig::default(), &SourceFormat::default())
    }

    /// As [`Table::read`]; tar archives may also be addresses in an object store or on an HTTP server.
    ///
    /// # Errors
    ///
    /// As [`Table::read`]; those of [`Store::shards`](crate::store::Store::shards).
    pub fn read_with(path: &Path, remote: &RemoteConfig) -> Result<Self> {
        Self::read_as(path, remote, &SourceFormat::default())
    }

    /// As [`Table::read_with`], where it is said how the file is written, or which sheet of it is meant.
    ///
    /// # Errors
    ///
    /// As [`Table::read_with`].
    pub fn read_as(path: &Path, remote: &RemoteConfig, format: &SourceFormat) -> Result<Self> {
        Ok(Self::all_of(path, remote, format, OnBadRow::Whole)?.table)
    }

    /// As [`Table::read_with`], but a row that cannot be read is noted and keeps its place without cells. Of an archive that
    /// breaks off there are the rows before. Of a folder with a metadata file in each part every row must be readable.
    ///
    /// # Errors
    ///
    /// As [`Pieces::next`].
    pub fn read_with_gaps(
        path: &Path,
        remote: &RemoteConfig,
        format: &SourceFormat,
    ) -> Result<Piece> {
        Self::all_of(path, remote, format, OnBadRow::WholeWithGaps)
    }

    fn all_of(
        path: &Path,
        remote: &RemoteConfig,
        format: &SourceFormat,
        on_bad_row: OnBadRow,
    ) -> Result<Piece> {
        if path.is_dir() && webdataset::archives(path, remote)?.is_none() {
            let table = folder::read(path)?;
            let bad = Vec::new();
            return Ok(Piece { table, bad });
        }
        let mut rows = pieces::open(path, remote, format)?;
        let piece = rows.take(0, ReadLimit::ALL, on_bad_row)?;
        let table = &piece.table;
        if table.n_rows == 0 || table.columns.is_empty() {
            return Err(Error::EmptyTable {
                path: path.to_path_buf(),
                what: "row",
            });
        }
        Ok(piece)
    }

    /// So many rows from this one on (from 0).
    #[expect(
        clippy::indexing_slicing,
        reason = "whoever takes rows knows how many there are"
    )]
    fn slice(&self, start: usize, n_rows: usize) -> Self {
        let columns = self.columns.iter().map(|column| Column {
            name: column.name.clone(),
            values: column.values.slice(start, n_rows),
        });
        Self {
            path: self.path.clone(),
            root: self.root.clone(),
            columns: columns.collect(),
            n_rows,
            first_row: self.first_row + start,
            lines: self
                .lines
                .as_ref()
                .map(|lines| lines[start..start + n_rows].into()),
            files: self.files.clone(),
            samples: self
                .samples
                .as_ref()
                .map(|samples| samples[start..start + n_rows].to_vec()),
            remarks: self.remarks.clone(),
        }
    }

    /// A table of one file; image paths are relative to its folder.
    pub(crate) fn of_file(
        path: &Path,
        columns: Vec<Column>,
        n_rows: usize,
        lines: Option<Arc<[u32]>>,
    ) -> Self {
        let root = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Self {
            path: path.to_path_buf(),
            root,
            columns,
            n_rows,
            first_row: 0,
            lines,
            files: Vec::new(),
            samples: None,
            remarks: Vec::new(),
        }
    }

    /// As [`Table::of_file`], of columns of text that were built cell by cell.
    fn of_texts(
        path: &Path,
        names: &[String],
        builders: Vec<LargeStringBuilder>,
        n_rows: usize,
        lines: Option<Arc<[u32]>>,
    ) -> Self {
        let columns = names.iter().zip(builders);
        let columns = columns.map(|(name, mut builder)| Column {
            name: name.clone(),
            values: Values::Text(builder.finish()),
        });
        Self::of_file(path, columns.collect(), n_rows, lines)
    }

    /// The column of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NoColumn`], with the nearest name.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.find(name).ok_or_else(|| Error::NoColumn {
            path: self.path.clone(),
            name: name.to_owned(),
            columns: self.names(),
        })
    }

    /// The column of this name, if there is one.
    pub fn find(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns by their names, for whoever looks for many: there may be 100,000.
    pub fn by_name(&self) -> std::collections::HashMap<&str, &Column> {
        let columns = self.columns.iter();
        columns
            .map(|column| (column.name.as_str(), column))
            .collect()
    }

    /// The columns' names, in order.
    pub fn names(&self) -> Vec<String> {
        self.columns
            .iter()
            .map(|column| column.name.clone())
            .collect()
    }

    /// Where a cell is: `row` counts from 0, in a piece from its first row.
    pub fn place(&self, row: usize, column: &str) -> Place {
        self.row_place(row).with_column(column)
    }

    /// Where a row is: `row` counts from 0, in a piece from its first row.
    pub fn row_place(&self, row: usize) -> Place {
        if let Some(sample) = self.samples.as_ref().and_then(|samples| samples.get(row)) {
            return sample.place(self.first_row + row);
        }
        let (mut file, mut row_in_file) = (&self.path, self.first_row + row);
        for source in &self.files {
            file = &source.path;
            if row_in_file < source.n_rows {
                break;
            }
            row_in_file -= source.n_rows;
        }
        let line = match &self.lines {
            Some(lines) => lines.get(row).map(|line| *line as usize),
            None => match extension(file).as_str() {
                "csv" | "txt" | "tsv" | "tab" | "xlsx" | "xlsm" => Some(row_in_file + 2),
                "jsonl" | "ndjson" => Some(row_in_file + 1),
                _ => None,
            },
        }
        // Tables put together from files without lines have 0 there.
        .filter(|line| *line > 0);
        Place {
            line,
            ..Place::file(file).with_row(row_in_file + 1)
        }
    }
}

impl Column {
    /// The cell in this row (from 0).
    ///
    /// An empty or blank text is missing, and so is a number that is NaN.
    #[expect(
        clippy::indexing_slicing,
        reason = "whoever asks for a row knows how many there are"
    )]
    pub fn cell(&self, row: usize) -> Cell<'_> {
        match &self.values {
            Values::Text(cells) => text_cell(cells, row),
            Values::Number(cells) if cells.is_null(row) || cells.value(row).is_nan() => {
                Cell::Missing
            }
            Values::Number(cells) => Cell::Number(cells.value(row)),
            Values::Boolean(cells) if cells.is_null(row) => Cell::Missing,
            Values::Boolean(cells) => Cell::Boolean(cells.value(row)),
            // A row of an embedded column may name a file instead.
            Values::Image { bytes, path } if bytes.is_null(row) => text_cell(path, row),
            Values::Image { bytes, .. } => Cell::Image(bytes.value(row)),
            Values::Members(members) => members[row].as_ref().map_or(Cell::Missing, Cell::Member),
            Values::Mixed(cells) => cells[row].cell(),
        }
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A column of text.
    pub fn text<'a>(name: &str, cells: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let values = Values::Text(cells.into_iter().collect());
        Self {
            name: name.to_owned(),
            values,
        }
    }
}

impl Values {
    /// Whether it holds images themselves, not their names.
    pub fn are_images(&self) -> bool {
        matches!(self, Self::Image { .. } | Self::Members(_))
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(cells) => cells.len(),
            Self::Number(cells) => cells.len(),
            Self::Boolean(cells) => cells.len(),
            Self::Image { bytes, .. } => bytes.len(),
            Self::Members(members) => members.len(),
            Self::Mixed(cells) => cells.len(),
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "whoever takes rows knows how many there are"
    )]
    fn slice(&self, start: usize, n: usize) -> Self {
        match self {
            Self::Text(cells) => Self::Text(cells.slice(start, n)),
            Self::Number(cells) => Self::Number(cells.slice(start, n)),
            Self::Boolean(cells) => Self::Boolean(cells.slice(start, n)),
            Self::Image { bytes, path } => Self::Image {
                bytes: bytes.slice(start, n),
                path: path.slice(start, n),
            },
            Self::Members(members) => Self::Members(members[start..start + n].to_vec()),
            Self::Mixed(cells) => Self::Mixed(cells[start..start + n].to_vec()),
        }
    }
}

impl Scalar {
    /// As a cell.
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Boolean(cell) => Cell::Boolean(*cell),
            Self::Number(cell) => Cell::Number(*cell),
            Self::Text(cell) if !cell.trim().is_empty() => Cell::Text(cell),
            Self::Missing | Self::Text(_) => Cell::Missing,
        }
    }
}

impl<'a> Cell<'a> {
    /// The cell as one would write it: a whole number without a decimal point; nothing for a missing one or an image.
    pub fn to_text(self) -> Option<std::borrow::Cow<'a, str>> {
        match self {
            Self::Missing | Self::Image(_) | Self::Member(_) => None,
            Self::Text(text) => Some(text.into()),
            Self::Number(number) => Some(number.to_string().into()),
            Self::Boolean(boolean) => Some(if boolean { "true" } else { "false" }.into()),
        }
    }
}

fn text_cell(cells: &arrow_array::LargeStringArray, row: usize) -> Cell<'_> {
    if cells.is_null(row) {
        return Cell::Missing;
    }
    match cells.value(row) {
        // Every cell passes here: of nearly all one letter is looked at.
        text if text.chars().all(char::is_whitespace) => Cell::Missing,
        text => Cell::Text(text),
    }
}

/// What images' names end in.
pub(crate) const IMAGE_ENDINGS: [&str; 9] = [
    "jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "dcm", "dicom",
];

/// The extension in lower case; empty where there is none.
pub(crate) fn extension(path: &Path) -> String {
    path.extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default()
}

/// A file's name as those see it who do not tell capitals and Unicode forms apart: in lower case, composed (NFC).
pub(crate) fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let composed = ComposingNormalizerBorrowed::new_nfc();
    // Lower case once more composed: `İ` becomes two characters.
    let lower = composed.normalize(name).to_lowercase();
    composed.normalize(&lower).into_owned()
}

/// An error where two columns share a name.
fn unique_names<'a>(path: &Path, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let mut seen = std::collections::HashMap::new();
    for (position, name) in names.into_iter().enumerate() {
        if let Some(first) = seen.insert(name, position) {
            return Err(Error::DuplicateColumn {
                path: path.to_path_buf(),
                name: name.to_owned(),
                first: first + 1,
                second: position + 1,
            });
        }
    }
    Ok(())
}
