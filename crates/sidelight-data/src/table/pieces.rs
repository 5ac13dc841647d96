//! A table read piece by piece: so many rows at a time, however many there are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::Digest as _;

use super::{SourceFormat, Table, csv, extension, folder, jsonl, webdataset};
use crate::digest::hexadecimal;
use crate::error::{Error, Place, Result};
use crate::store::{RemoteConfig, Shard, is_remote};

/// The most bytes that a row of text can have. Without a bound a quote that is never closed would fill the memory.
pub const MAX_ROW_BYTES: usize = 16 << 20;

/// The most columns of a table with a header.
pub(super) const MAX_COLUMNS: usize = 100_000;

/// Refuses cells that no row has, as many as would fill the memory: above 4 million and 8 for each byte that was read.
pub(super) fn check_gaps(n_gaps: usize, n_bytes: usize, at: impl Fn() -> Place) -> Result<()> {
    let most = n_bytes.saturating_mul(8).saturating_add(4 << 20);
    match n_gaps <= most {
        true => Ok(()),
        false => Err(Error::TooManyGaps {
            at: at(),
            found: n_gaps,
            most,
        }),
    }
}

/// A table that is read piece by piece, in its order; the memory does not grow with its rows.
///
/// CSV, TSV, JSON Lines, Parquet, workbooks and webdataset archives are read as they come. An imagefolder with a metadata file is
/// read as that file; one without, or with one in each part, is held as a whole, as its list of files must be.
///
/// # Example
///
/// ```
/// use sidelight_data::table::{Cell, Pieces, ReadLimit};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("houses.csv");
/// std::fs::write(&path, "file_name,beds\n1.jpg,4\n2.jpg\n3.jpg,2\n")?;
/// let mut pieces = Pieces::open(&[path])?;
/// let first = pieces.next(ReadLimit::rows(2))?.unwrap();
/// assert_eq!(first.table.n_rows, 2);
/// // A row that cannot be read keeps its place, without cells.
/// assert_eq!(first.bad[0].row, 1);
/// let second = pieces.next(ReadLimit::rows(2))?.unwrap();
/// assert_eq!(second.table.first_row, 2);
/// assert_eq!(second.table.column("beds")?.cell(0), Cell::Text("2"));
/// assert!(pieces.next(ReadLimit::rows(2))?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pieces {
    rows: Box<dyn Rows>,
    /// What image paths are relative to, where it is not the file's folder.
    root: Option<PathBuf>,
    next_row: usize,
}

/// How much a piece holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimit {
    /// Rows, at most.
    pub rows: usize,
    /// A piece that is full of bytes before ends after a multiple of so many rows.
    pub step: usize,
    /// Bytes of cells from which on it is full.
    pub bytes: usize,
}

impl ReadLimit {
    pub(super) const ALL: Self = Self {
        rows: usize::MAX,
        step: 1,
        bytes: usize::MAX,
    };

    /// So many rows, whatever their bytes.
    pub fn rows(rows: usize) -> Self {
        Self { rows, ..Self::ALL }
    }

    pub(super) fn is_full(&self, n_rows: usize, n_bytes: usize) -> bool {
        n_rows >= self.rows
            || (n_rows > 0 && n_bytes >= self.bytes && n_rows.is_multiple_of(self.step.max(1)))
    }
}

/// Rows of a table that follow one another.
#[derive(Debug)]
pub struct Piece {
    /// The rows; [`Table::first_row`] says which they are. A column of mixed types keeps the type of each cell, so that
    /// a row reads the same in whatever piece it is.
    pub table: Table,
    /// Those that could not be read, in order: they keep their place in the table, without cells.
    pub bad: Vec<BadRow>,
}

/// A row that cannot be read.
#[derive(Debug)]
pub struct BadRow {
    /// Which row of the piece, from 0.
    pub row: usize,
    /// What is wrong with it, and where.
    pub error: Error,
}

impl Pieces {
    /// Opens a table, or several tar archives as one.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], [`Error::TableKind`], [`Error::EmptyTable`] (no header), [`Error::SeveralTables`], and those of
    /// a header.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        Self::open_with(paths, &RemoteConfig::default())
    }

    /// As [`Pieces::open`]; archives may be addresses, and are fetched as is said here.
    ///
    /// # Errors
    ///
    /// As [`Pieces::open`]; those of [`Store::shards`](crate::store::Store::shards).
    pub fn open_with(paths: &[PathBuf], remote: &RemoteConfig) -> Result<Self> {
        Self::open_as(paths, remote, &SourceFormat::default())
    }

    /// As [`Pieces::open_with`], where it is said how the file is written, or which sheet of it is meant.
    ///
    /// # Errors
    ///
    /// As [`Pieces::open_with`].
    pub fn open_as(
        paths: &[PathBuf],
        remote: &RemoteConfig,
        format: &SourceFormat,
    ) -> Result<Self> {
        let (rows, root): (Box<dyn Rows>, _) = match paths {
            [path] if path.is_dir() && webdataset::archives(path, remote)?.is_none() => {
                match folder::metadata_file(path) {
                    Some(file) => (open(&file, remote, format)?, Some(path.clone())),
                    None => (Box::new(Held::new(folder::read(path)?)), None),
                }
            }
            [path] => (open(path, remote, format)?, None),
            paths => {
                let archives = webdataset::all(paths, remote)?;
                (
                    Box::new(webdataset::Samples::open(&archives, remote)?),
                    None,
                )
            }
        };
        Ok(Self {
            rows,
            root,
            next_row: 0,
        })
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    ///
    /// What ends the reading: [`Error::Read`], [`Error::RowBytes`], [`Error::Parquet`], [`Error::Workbook`]. A row that cannot be read does not.
    pub fn next(&mut self, take: ReadLimit) -> Result<Option<Piece>> {
        let mut piece = self.rows.take(self.next_row, take, OnBadRow::Piece)?;
        self.next_row += piece.table.n_rows;
        if let Some(root) = &self.root {
            piece.table.root.clone_from(root);
        }
        Ok((piece.table.n_rows > 0).then_some(piece))
    }

    /// Passes over so many rows; returns how many there were, which is fewer at the end.
    ///
    /// # Errors
    ///
    /// As [`Pieces::next`].
    pub fn skip(&mut self, n_rows: usize) -> Result<usize> {
        let skipped = self.rows.skip(self.next_row, n_rows)?;
        self.next_row += skipped;
        Ok(skipped)
    }

    /// The files that the table is made of, in order; of a folder of images without a file of metadata, none.
    pub fn files(&self) -> Vec<Arc<Shard>> {
        self.rows.files()
    }

    /// What tells a folder of images without a file of metadata from another: a checksum of their names; `None`: there
    /// are [`Pieces::files`].
    pub fn listing(&self) -> Option<String> {
        self.rows.listing()
    }

    /// How much of the table was read, in [0, 1].
    pub fn share_read(&self) -> f64 {
        self.rows.share_read().clamp(0.0, 1.0)
    }
}

/// What is done with a row that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnBadRow {
    /// The whole table: the first such row is the error, and a column of mixed types is text.
    Whole,
    /// The whole table, but such a row is noted.
    WholeWithGaps,
    /// A piece: it is noted, and each cell keeps its type.
    Piece,
}

impl OnBadRow {
    /// The error, or a note of it.
    pub(super) fn bad(self, row: usize, error: Error, bad: &mut Vec<BadRow>) -> Result<()> {
        match self {
            Self::Whole => Err(error),
            Self::WholeWithGaps | Self::Piece => {
                bad.push(BadRow { row, error });
                Ok(())
            }
        }
    }
}

/// A reader of one format.
pub(super) trait Rows: fmt::Debug {
    /// The next rows, which begin with this one (from 0); a table without rows at the end.
    fn take(&mut self, first_row: usize, take: ReadLimit, on_bad_row: OnBadRow) -> Result<Piece>;
    /// Passes over so many rows or as many as there are; returns how many.
    fn skip(&mut self, first_row: usize, n_rows: usize) -> Result<usize>;
    /// How much was read, in [0, 1].
    fn share_read(&self) -> f64;
    /// The files that are read.
    fn files(&self) -> Vec<Arc<Shard>>;
    /// A checksum of the names of images, where they are all there is.
    fn listing(&self) -> Option<String> {
        None
    }
}

/// The reader for a file's extension.
pub(super) fn open(
    path: &Path,
    remote: &RemoteConfig,
    format: &SourceFormat,
) -> Result<Box<dyn Rows>> {
    if let Some(archives) = webdataset::archives(path, remote)? {
        return Ok(Box::new(webdataset::Samples::open(&archives, remote)?));
    }
    if is_remote(path) {
        return Err(Error::ObjectAddress {
            address: path.to_path_buf(),
            expected: "the address of tar archives (`….tar`), or of a folder of them (`…/`)".into(),
        });
    }
    Ok(match extension(path).as_str() {
        "csv" | "txt" => Box::new(csv::Records::open(path, None, format)?),
        "tsv" | "tab" => Box::new(csv::Records::open(path, Some(b'\t'), format)?),
        "jsonl" | "ndjson" => Box::new(jsonl::Lines::open(path)?),
        #[cfg(feature = "parquet")]
        "parquet" => Box::new(super::parquet::Batches::open(path)?),
        #[cfg(not(feature = "parquet"))]
        "parquet" => {
            return Err(Error::NotBuilt {
                what: path.display().to_string(),
                feature: "parquet",
            });
        }
        #[cfg(feature = "xlsx")]
        "xlsx" | "xlsm" => Box::new(super::xlsx::Sheet::open(path, format)?),
        #[cfg(not(feature = "xlsx"))]
        "xlsx" | "xlsm" => {
            return Err(Error::NotBuilt {
                what: path.display().to_string(),
                feature: "xlsx",
            });
        }
        // A name that is not there is answered as such, whatever its extension.
        _ => {
            let path = path.to_path_buf();
            return Err(match std::fs::metadata(&path) {
                Ok(_) => Error::TableKind { path },
                Err(source) => Error::Read { path, source },
            });
        }
    })
}

/// A line as tables remember it: 0 where it is not known, or too far down to be remembered.
pub(super) fn known_line(line: Option<usize>) -> u32 {
    line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0)
}

/// Lines of rows, remembered only from the first row on that is not where one line a row puts it.
#[derive(Debug)]
pub(super) struct RowLines {
    /// Where one line a row puts the first.
    first: usize,
    n_rows: usize,
    lines: Option<Vec<u32>>,
}

impl RowLines {
    pub(super) fn new(first: usize) -> Self {
        Self {
            first,
            n_rows: 0,
            lines: None,
        }
    }
    pub(super) fn push(&mut self, line: usize) {
        match &mut self.lines {
            Some(lines) => lines.push(known_line(Some(line))),
            None if line == self.first + self.n_rows => {}
            None => {
                let before = self.first..self.first + self.n_rows;
                let lines = before.chain([line]).map(|line| known_line(Some(line)));
                self.lines = Some(lines.collect());
            }
        }
        self.n_rows += 1;
    }
    pub(super) fn finish(self) -> Option<Arc<[u32]>> {
        self.lines.map(Into::into)
    }
}

/// A table in memory, given out in pieces.
#[derive(Debug)]
struct Held {
    table: Table,
    next: usize,
}

impl Held {
    fn new(table: Table) -> Self {
        Self { table, next: 0 }
    }
}

impl Rows for Held {
    fn take(&mut self, _: usize, take: ReadLimit, _: OnBadRow) -> Result<Piece> {
        let n_rows = take.rows.min(self.table.n_rows - self.next);
        let table = self.table.slice(self.next, n_rows);
        self.next += n_rows;
        Ok(Piece {
            table,
            bad: Vec::new(),
        })
    }
    fn skip(&mut self, _: usize, n_rows: usize) -> Result<usize> {
        let n_rows = n_rows.min(self.table.n_rows - self.next);
        self.next += n_rows;
        Ok(n_rows)
    }
    fn share_read(&self) -> f64 {
        self.next as f64 / self.table.n_rows.max(1) as f64
    }
    fn files(&self) -> Vec<Arc<Shard>> {
        let files = self.table.files.iter();
        files
            .map(|file| Arc::new(Shard::file(file.path.clone())))
            .collect()
    }
    fn listing(&self) -> Option<String> {
        if !self.table.files.is_empty() {
            return None;
        }
        let mut digest = sha2::Sha256::new();
        for column in &self.table.columns {
            for row in 0..self.table.n_rows {
                digest.update(column.cell(row).to_text().unwrap_or_default().as_bytes());
                digest.update([0]);
            }
        }
        Some(hexadecimal(&digest.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_beyond_what_is_remembered_is_not_named_as_another() {
        let far = u32::MAX as usize;
        let mut lines = RowLines::new(far - 1);
        [far - 1, far, far + 1, far + 3]
            .into_iter()
            .for_each(|line| lines.push(line));
        assert_eq!(lines.finish().unwrap()[..], [u32::MAX - 1, u32::MAX, 0, 0]);
        // Where each is expected nothing is remembered, however far down.
        let mut lines = RowLines::new(far);
        [far, far + 1].into_iter().for_each(|line| lines.push(line));
        assert_eq!(lines.finish(), None);
    }
}
