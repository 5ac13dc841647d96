//! Rows and columns from a file; every cell remembers where it came from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::Array as _;

use crate::error::{Error, Place, Result};

mod accumulate;
mod csv;
mod folder;
mod jsonl;
mod parquet;
#[cfg(test)]
mod tests;

use accumulate::Accumulator;

/// A table read from CSV, TSV, JSON Lines, Parquet or an imagefolder directory: columns in Arrow arrays.
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
    /// Line of each row, where the format has lines and rows can span several; `None`: no lines, or one line a row.
    pub lines: Option<Arc<[u32]>>,
    /// The files the rows came from, in order, where there are several (an imagefolder with a metadata file
    /// for each part); empty: all came from `path`.
    pub files: Vec<SourceFile>,
}

/// One of the files that a table was put together from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The file.
    pub path: PathBuf,
    /// Number of its rows.
    pub n_rows: usize,
}

/// One column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name in the file.
    pub name: String,
    /// Its cells.
    pub values: Values,
}

/// The cells of a column, as the file types them: CSV has text only.
#[derive(Debug, Clone)]
pub enum Values {
    /// Text; an empty cell is missing.
    Text(arrow_array::LargeStringArray),
    /// Numbers.
    Number(arrow_array::Float64Array),
    /// true/false.
    Boolean(arrow_array::BooleanArray),
    /// Bytes of an image (Hugging Face's `{bytes, path}` struct), with the path where one is given.
    Image {
        /// Encoded image.
        bytes: arrow_array::LargeBinaryArray,
        /// Its name.
        path: arrow_array::LargeStringArray,
    },
}

/// One cell as the file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Missing,
    /// Text.
    Text(&'a str),
    /// A number.
    Number(f64),
    /// true or false.
    Boolean(bool),
    /// An embedded image.
    Image(&'a [u8]),
}

impl Table {
    /// Reads a table by its extension (`csv`, `tsv`, `jsonl`/`ndjson`, `parquet`), or a directory
    /// that holds `metadata.csv|jsonl|parquet`.
    ///
    /// A CSV is UTF-8 with a header; where the header has no comma, semicolons or tabs separate.
    /// An imagefolder directory may hold one metadata file, or one in each of `train/`, `valid/`, `test/`
    /// (then the table has a column `split`), or no metadata file but a folder of images per class
    /// (then it has the columns `file_name` and `label`).
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and the table errors, each with its [`Place`].
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_host::table::{Cell, Table};
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
        if path.is_dir() {
            return folder::read(path);
        }
        let table = match extension(path).as_str() {
            "csv" => csv::read(path, b','),
            "tsv" | "tab" => csv::read(path, b'\t'),
            "jsonl" | "ndjson" => jsonl::read(path),
            "parquet" => parquet::read(path),
            // A name that is not there is answered as such, whatever its extension.
            _ => match std::fs::metadata(path) {
                Ok(_) => Err(Error::TableKind {
                    path: path.to_path_buf(),
                }),
                Err(source) => Err(Error::Read {
                    path: path.to_path_buf(),
                    source,
                }),
            },
        }?;
        if table.n_rows == 0 {
            return Err(Error::EmptyTable {
                path: path.to_path_buf(),
                what: "row",
            });
        }
        Ok(table)
    }

    /// A table of one file; image paths are relative to its folder.
    fn of_file(
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
            lines,
            files: Vec::new(),
        }
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

    /// The columns' names, in order.
    pub fn names(&self) -> Vec<String> {
        self.columns
            .iter()
            .map(|column| column.name.clone())
            .collect()
    }

    /// Where a cell is: `row` counts from 0.
    pub fn place(&self, row: usize, column: &str) -> Place {
        self.row_place(row).with_column(column)
    }

    /// Where a row is: `row` counts from 0.
    pub fn row_place(&self, row: usize) -> Place {
        let (mut file, mut row_in_file) = (&self.path, row);
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
                "csv" | "tsv" | "tab" => Some(row_in_file + 2),
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
        }
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Text(cells) => cells.len(),
            Values::Number(cells) => cells.len(),
            Values::Boolean(cells) => cells.len(),
            Values::Image { bytes, .. } => bytes.len(),
        }
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

impl<'a> Cell<'a> {
    /// The cell as one would write it: a whole number without a decimal point; nothing for a missing one or an image.
    pub fn to_text(self) -> Option<std::borrow::Cow<'a, str>> {
        match self {
            Self::Missing | Self::Image(_) => None,
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
        text if text.trim().is_empty() => Cell::Missing,
        text => Cell::Text(text),
    }
}

/// The extension in lower case; empty where there is none.
fn extension(path: &Path) -> String {
    path.extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default()
}

/// An error where two columns share a name.
fn unique_names(path: &Path, columns: &[Column]) -> Result<()> {
    let mut seen = std::collections::HashMap::new();
    for (position, column) in columns.iter().enumerate() {
        if let Some(first) = seen.insert(column.name.as_str(), position) {
            let (name, path) = (column.name.clone(), path.to_path_buf());
            return Err(Error::DuplicateColumn {
                path,
                name,
                first: first + 1,
                second: position + 1,
            });
        }
    }
    Ok(())
}
