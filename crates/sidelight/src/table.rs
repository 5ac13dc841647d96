//! Rows and columns from a file; every cell remembers where it came from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Place, Result};

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
    /// Line of each row, where the format has lines and rows can span several; `None`: no lines, or row + 2.
    pub lines: Option<Arc<[u32]>>,
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
    /// # Errors
    ///
    /// [`Error::Read`](crate::Error::Read) and the table errors, each with its [`Place`].
    pub fn read(path: &Path) -> Result<Self> {
        let _ = path;
        todo!()
    }
    /// The column of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NoColumn`](crate::Error::NoColumn), with the nearest name.
    pub fn column(&self, name: &str) -> Result<&Column> {
        let _ = name;
        todo!()
    }
    /// Where a cell is: `row` counts from 0.
    pub fn place(&self, row: usize, column: &str) -> Place {
        let _ = (row, column);
        todo!()
    }
}

impl Column {
    /// The cell in this row (from 0).
    pub fn cell(&self, row: usize) -> Cell<'_> {
        let _ = row;
        todo!()
    }
}
