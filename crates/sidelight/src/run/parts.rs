//! Predictions in the making: parts beside the file that they will be, so that a killed job loses one at most.
//!
//! ```text
//! predictions.csv.parts/
//!   manifest.json       what they are parts of: model, table, options
//!   00000.csv           the first part, written whole
//!   00000.bad.csv       its rows without a prediction, where there are any
//!   00000.json          that both are there, with their checksums: a part without it is none
//!   .lock               held by whoever works here
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sidelight_kernels::SimdPath;
use tempfile::TempDir;

use super::{foreign_in, read_versioned, write_json};
use crate::digest::{self, hexadecimal};
use crate::encode::Unseen;
use crate::error::{
    DataError, Error, FolderContent, Place, Result, cannot_read, cannot_write, in_full,
};
use crate::store::{Shard, is_remote};
use crate::table::{BadRow, Table};
use crate::write::{ColumnKind, CsvText, TableFormat, TableWriter, Value, join_tables};
use crate::write::{hidden_sibling, open_kept, remove_file_if_there, remove_folder_if_there};

const MANIFEST: &str = "manifest.json";
const LOCK: &str = ".lock";

/// The newest schema of the folder's files that this version reads, and the one that it writes.
const SCHEMA: u32 = 1;

/// Rows without a prediction that a record names, at most.
const FIRST_BAD: usize = 10;

/// How much of each end of a large file is looked at to tell it from another.
const END_BYTES: u64 = 1 << 20;

/// What parts are parts of. Parts of one manifest can be joined, whoever made them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    schema: u32,
    /// Version of the program.
    pub version: String,
    /// Checksum of the model.
    pub model: String,
    /// The files of the table.
    pub table: Vec<TableFile>,
    /// Format of the parts: `csv`, `jsonl` or `parquet`.
    pub format: String,
    /// How text is written as CSV.
    #[serde(default)]
    pub text: CsvText,
    /// Rows of each part but the last.
    pub part_rows: usize,
    /// What else a prediction depends on, in words; the processor's instructions among it.
    pub options: String,
}

/// A file of a table, as far as it is looked at to tell it from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFile {
    /// Its name, without its folder: a table may be elsewhere on another machine.
    pub name: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the first and the last MiB.
    pub ends: String,
    /// When it was written, nanoseconds since 1970; 0 where the ends are all of it.
    pub modified: u128,
}

impl TableFile {
    /// Looks at a file, or at what the server said of an object.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`](crate::error::DataError::Read).
    pub fn of_shard(shard: &Shard) -> Result<Self> {
        if !is_remote(shard.path()) {
            return Self::of(shard.path());
        }
        Ok(Self {
            name: shard.path().display().to_string(),
            bytes: shard.n_bytes()?,
            ends: shard.tag().unwrap_or_default().to_owned(),
            modified: 0,
        })
    }

    /// Looks at a file.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`](crate::error::DataError::Read).
    pub fn of(path: &Path) -> Result<Self> {
        let look = || {
            let mut file = File::open(path)?;
            let found = file.metadata()?;
            let bytes = found.len();
            let mut ends = Vec::new();
            (&mut file).take(END_BYTES).read_to_end(&mut ends)?;
            let is_large = bytes > 2 * END_BYTES;
            if is_large {
                file.seek(SeekFrom::Start(bytes - END_BYTES))?;
            }
            file.take(2 * END_BYTES).read_to_end(&mut ends)?;
            let modified = found.modified()?.duration_since(UNIX_EPOCH);
            Ok(Self {
                name: path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into(),
                bytes,
                ends: hexadecimal(&Sha256::digest(&ends)),
                modified: match is_large {
                    true => modified.map_or(0, |since| since.as_nanos()),
                    false => 0,
                },
            })
        };
        Ok(look().map_err(cannot_read(path))?)
    }

    /// A folder of which the names of the files are the table.
    pub fn listing(name: String, checksum: String) -> Self {
        Self {
            name,
            bytes: 0,
            ends: checksum,
            modified: 0,
        }
    }
}

impl Manifest {
    /// A manifest of this version.
    pub fn new(
        model: String,
        table: Vec<TableFile>,
        format: TableFormat,
        part_rows: usize,
        options: String,
    ) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").into(),
            model,
            table,
            format: format.extension().into(),
            text: CsvText::default(),
            part_rows,
            options: options + &format!(", {:?}", SimdPath::best()),
        }
    }

    /// With this say in how text is written as CSV.
    #[must_use]
    pub fn with_text(self, text: CsvText) -> Self {
        Self { text, ..self }
    }

    /// The first thing in which another differs: what, its value here and there.
    fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let short = |checksum: &str| checksum.chars().take(12).collect::<String>();
        let all = |one: &Self| {
            [
                ("version of sidelight", one.version.clone()),
                ("model", short(&one.model)),
                ("format", one.format.clone()),
                ("way to write text", format!("{:?}", one.text)),
                ("number of rows a part", one.part_rows.to_string()),
                ("setting", one.options.clone()),
            ]
        };
        let differs = all(self).into_iter().zip(all(other));
        let mut differs = differs.filter(|(a, b)| a.1 != b.1);
        if let Some(((what, here), (_, there))) = differs.next() {
            return Some((what, here, there));
        }
        let count = |files: &[TableFile]| format!("{} files", files.len());
        if self.table.len() != other.table.len() {
            return Some(("table", count(&self.table), count(&other.table)));
        }
        let in_words = |file: &TableFile| {
            format!(
                "{} of {} bytes, checksum {}{}",
                file.name,
                file.bytes,
                short(&file.ends),
                match file.modified {
                    0 => String::new(),
                    at => format!(", written at {at} ns"),
                }
            )
        };
        let mut files = self.table.iter().zip(&other.table);
        let (here, there) = files.find(|(here, there)| here != there)?;
        Some(("table", in_words(here), in_words(there)))
    }
}

/// What is known of a part that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    schema: u32,
    /// Number of rows in the part.
    pub n_rows: usize,
    /// Those without a prediction.
    pub n_bad: usize,
    /// The first of them, ten at most, in words.
    pub first_bad: Vec<String>,
    /// What of the metadata training had not seen.
    pub unseen: Unseen,
    /// Columns of metadata that it lacked throughout.
    pub absent: Vec<String>,
    sha256: String,
    bad_sha256: Option<String>,
}

impl PartRecord {
    /// Whether [`Parts::commit`] can have written it: a file may have been edited.
    fn is_sound(&self) -> bool {
        let Unseen {
            categories,
            new_gaps,
            new_values,
        } = &self.unseen;
        let of_categories = categories.values().flat_map(|counts| counts.values());
        let mut counts = of_categories
            .chain(new_gaps.values())
            .chain(new_values.values());
        u32::try_from(self.n_rows).is_ok()
            && self.n_bad <= self.n_rows
            && self.first_bad.len() <= self.n_bad.min(FIRST_BAD)
            && self.bad_sha256.is_some() == (self.n_bad > 0)
            && counts.all(|n| *n <= self.n_rows)
    }
}

/// A row without a prediction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRowRecord {
    /// Row of the table, the first being 1.
    pub row: usize,
    /// Where it is.
    pub at: Place,
    /// Why the row has no prediction.
    pub reason: String,
}

impl BadRowRecord {
    /// Of a row of a table or piece. An error that does not say where it is (an archive that broke off) is put there.
    pub fn of_row(bad: &BadRow, table: &Table) -> Self {
        let mut record = Self::of_data(table.first_row + bad.row + 1, &bad.error);
        if bad.error.place().is_none() {
            record.at = table.row_place(bad.row);
        }
        record
    }

    /// Of the row with this number (from 1). The reason is the error and its causes, without the place.
    pub fn new(row: usize, error: &Error) -> Self {
        match error {
            Error::Data(error) => Self::of_data(row, error),
            other => Self::with_reason(row, other, other.place()),
        }
    }

    /// The same of an error met while the row was read.
    pub fn of_data(row: usize, error: &DataError) -> Self {
        // Of a row whose image cannot be used the image's own error says all.
        let inner = match error {
            DataError::RowImage { source, .. } => source,
            error => error,
        };
        Self::with_reason(row, inner, error.place())
    }

    fn with_reason(row: usize, error: &dyn std::error::Error, at: Option<&Place>) -> Self {
        let reason = in_full(error);
        let at = at.cloned().unwrap_or_else(|| Place {
            row: Some(row),
            ..Place::file("")
        });
        let place = format!("{at}: ");
        Self {
            row,
            reason: reason.strip_prefix(&place).unwrap_or(&reason).to_owned(),
            at,
        }
    }
}

impl std::fmt::Display for BadRowRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.reason)
    }
}

/// How a finished share left the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// All parts are joined into the file.
    Whole,
    /// Others are at work: the last of them joins.
    OthersAtWork,
    /// So many parts are missing, which others have to make.
    Missing(usize),
}

/// A folder of parts.
#[derive(Debug)]
pub struct Parts {
    dir: PathBuf,
    out: PathBuf,
    format: TableFormat,
    text: CsvText,
    /// Held as long as this lives: shared while parts are made, alone while they are joined.
    lock: File,
    /// Where the output is a device, which has no place beside it.
    temporary: Option<TempDir>,
}

/// What to do with parts of an earlier job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OldParts {
    /// Go on with them, where they are of the same manifest.
    #[default]
    Continue,
    /// Delete the old parts and begin anew.
    Discard,
}

impl Parts {
    /// Opens the parts of a file, or begins them. Several processes may.
    ///
    /// # Errors
    ///
    /// [`Error::PartsDiffer`], [`Error::PartsFile`], [`Error::SchemaTooNew`], [`Error::OutputNotEmpty`] (a folder of
    /// something else), [`DataError::OutputFormat`](crate::error::DataError::OutputFormat), [`DataError::Write`](crate::error::DataError::Write).
    pub fn open(out: &Path, manifest: &Manifest, old: OldParts) -> Result<Self> {
        let format = TableFormat::from_path(out)?;
        let is_device = fs::metadata(out).is_ok_and(|found| !found.is_file() && !found.is_dir());
        let (dir, temporary) = if is_device {
            let temporary = TempDir::new().map_err(cannot_write(out))?;
            (temporary.path().join("parts"), Some(temporary))
        } else {
            // Said now, not after hours of work.
            if out.is_dir() {
                let kind = std::io::ErrorKind::IsADirectory;
                let source = std::io::Error::new(kind, "there is a folder of that name");
                return Err(cannot_write(out)(source).into());
            }
            (parts_dir(out), None)
        };
        if old == OldParts::Discard {
            refuse_foreign(&dir, |name| {
                name == MANIFEST
                    || name.starts_with(|first: char| first == '.' || first.is_ascii_digit())
            })?;
            discard(&dir)?;
        }
        loop {
            // Not the folders above: a slip in their name should not be made real.
            match fs::create_dir(&dir) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => made.map_err(cannot_write(out))?,
            }
            let lock = dir.join(LOCK);
            let lock_file = match open_kept(&lock) {
                // Another process has just joined the parts and removed the folder.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                opened => opened.map_err(cannot_write(&dir))?,
            };
            // Where a disk knows no locks, parts are only less guarded. Alone only where the parts are to be begun: those
            // who make parts hold the lock as long as that takes.
            let _ = lock_file.lock_shared();
            if !lock.exists() {
                continue;
            }
            let begins = !dir.join(MANIFEST).exists();
            if begins {
                let _ = lock_file.unlock();
                let _ = lock_file.lock();
                if !lock.exists() {
                    continue;
                }
            }
            let parts = Self {
                dir,
                out: out.to_path_buf(),
                format,
                text: manifest.text,
                lock: lock_file,
                temporary,
            };
            parts.agree(manifest)?;
            if begins {
                let _ = parts.lock.unlock();
                let _ = parts.lock.lock_shared();
            }
            return Ok(parts);
        }
    }

    /// Writes the manifest, or compares it with the one that is there.
    fn agree(&self, manifest: &Manifest) -> Result<()> {
        let path = self.dir.join(MANIFEST);
        if !path.exists() {
            refuse_foreign(&self.dir, |name| name.starts_with('.'))?;
            return write_json(&path, manifest);
        }
        let begun: Manifest = read_json(&path)?;
        match begun.difference(manifest) {
            None => Ok(()),
            Some((what, begun, now)) => Err(Error::PartsDiffer {
                path: self.dir.clone(),
                what,
                begun,
                now,
            }),
        }
    }

    /// Where a part is written.
    pub fn path(&self, part: usize) -> PathBuf {
        let extension = self.format.extension();
        self.dir.join(format!("{part:05}.{extension}"))
    }

    fn bad_path(&self, part: usize) -> PathBuf {
        self.dir.join(format!("{part:05}.bad.csv"))
    }

    fn record_path(&self, part: usize) -> PathBuf {
        self.dir.join(format!("{part:05}.json"))
    }

    /// A table for the rows of a part without a prediction.
    pub fn bad_rows(&self, part: usize) -> BadRowsWriter {
        BadRowsWriter::new(&self.bad_path(part)).with_text(self.text)
    }

    /// Says that a part is whole: its predictions are written, and its bad rows.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write), [`DataError::Read`](crate::error::DataError::Read).
    pub fn commit(
        &self,
        part: usize,
        n_rows: usize,
        bad: BadRowsWriter,
        unseen: Unseen,
        absent: Vec<String>,
    ) -> Result<PartRecord> {
        let (n_bad, first_bad) = (bad.n_rows, bad.first.clone());
        bad.finish()?;
        let record = PartRecord {
            schema: SCHEMA,
            n_rows,
            n_bad,
            first_bad,
            unseen,
            absent,
            sha256: digest::of_file(&self.path(part))?.0,
            bad_sha256: match n_bad {
                0 => None,
                _ => Some(digest::of_file(&self.bad_path(part))?.0),
            },
        };
        write_json(&self.record_path(part), &record)?;
        Ok(record)
    }

    /// The record of a part that is whole; `None`: it is still to be made, or again, as its record is damaged.
    ///
    /// # Errors
    ///
    /// [`Error::SchemaTooNew`], [`DataError::Read`](crate::error::DataError::Read).
    pub fn record(&self, part: usize) -> Result<Option<PartRecord>> {
        let path = self.record_path(part);
        if !path.exists() {
            return Ok(None);
        }
        match read_json::<PartRecord>(&path) {
            Ok(record) if !record.is_sound() => remove_file(&path).map(|()| None),
            Err(Error::PartsFile { .. }) => remove_file(&path).map(|()| None),
            read => read.map(Some),
        }
    }

    /// Joins the parts into the file, and their bad rows into `<name>.bad.csv` beside it, each whole or not at all, and
    /// removes them; or says why it is not for this process to do.
    ///
    /// # Errors
    ///
    /// [`DataError::PartDamaged`](crate::error::DataError::PartDamaged), [`DataError::Write`](crate::error::DataError::Write), [`DataError::Read`](crate::error::DataError::Read).
    pub fn join(&self, n_parts: usize, columns: &[(String, ColumnKind)]) -> Result<Joined> {
        let join = |parts: &[PathBuf]| Ok(join_tables(&self.out, columns, parts, self.text)?);
        self.join_as(n_parts, join)
    }

    /// As [`Parts::join`], by something else that makes the file of the parts, whole or not at all.
    ///
    /// # Errors
    ///
    /// As [`Parts::join`], and those of `join`.
    pub fn join_as(
        &self,
        n_parts: usize,
        join: impl FnOnce(&[PathBuf]) -> Result<()>,
    ) -> Result<Joined> {
        let _ = self.lock.unlock();
        if let Err(TryLockError::WouldBlock) = self.lock.try_lock() {
            return Ok(Joined::OthersAtWork);
        }
        if !self.dir.join(LOCK).exists() {
            // Another process was quicker.
            return Ok(Joined::Whole);
        }
        let mut n_missing = 0;
        let mut with_bad = Vec::new();
        for part in 0..n_parts {
            match self.record(part)? {
                None => n_missing += 1,
                Some(record) => {
                    self.check(part, &record)?;
                    with_bad.extend((record.n_bad > 0).then(|| self.bad_path(part)));
                }
            }
        }
        if n_missing > 0 {
            return Ok(Joined::Missing(n_missing));
        }
        // The side file first: where the output is there, all is there.
        if self.temporary.is_none() {
            let bad = bad_rows_path(&self.out);
            if with_bad.is_empty() {
                remove_file(&bad)?;
            } else {
                join_tables(&bad, &bad_columns(), &with_bad, self.text)?;
            }
        }
        let parts: Vec<PathBuf> = (0..n_parts).map(|part| self.path(part)).collect();
        join(&parts)?;
        discard(&self.dir)?;
        Ok(Joined::Whole)
    }

    /// Whether the files of a part are what was written; what is damaged is removed, so that it is made again.
    fn check(&self, part: usize, record: &PartRecord) -> Result<()> {
        let mut files = vec![(self.path(part), &record.sha256)];
        files.extend(
            record
                .bad_sha256
                .iter()
                .map(|sum| (self.bad_path(part), sum)),
        );
        for (path, expected) in files {
            let found = digest::of_file(&path).map(|(sha256, _)| sha256);
            if found.ok().as_ref() != Some(expected) {
                remove_file(&self.record_path(part))?;
                remove_file(&path)?;
                return Err(DataError::PartDamaged { path }.into());
            }
        }
        Ok(())
    }
}

/// The rows of a part that get no prediction, written as they come; the file is begun with the first.
#[derive(Debug)]
pub struct BadRowsWriter {
    path: PathBuf,
    text: CsvText,
    table: Option<TableWriter>,
    n_rows: usize,
    first: Vec<String>,
}

impl BadRowsWriter {
    /// A file that is there once it is [finished](BadRowsWriter::finish), if there is a row in it.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            text: CsvText::default(),
            table: None,
            n_rows: 0,
            first: Vec::new(),
        }
    }

    /// With this say in how text is written.
    #[must_use]
    pub fn with_text(self, text: CsvText) -> Self {
        Self { text, ..self }
    }

    /// Appends one.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write).
    pub fn write(&mut self, bad: &BadRowRecord) -> Result<()> {
        let table = match &mut self.table {
            Some(table) => table,
            none => {
                let columns = bad_columns();
                none.insert(TableWriter::create_as(&self.path, &columns, self.text)?)
            }
        };
        let file = bad.at.file.to_string_lossy();
        let text = |text: &Option<String>| {
            let text = text.clone();
            text.map_or(Value::Missing, |text| Value::Text(text.into()))
        };
        let line = bad.at.line.filter(|line| *line > 0);
        table.write(&[
            Value::count(bad.row),
            Value::Text(file),
            line.map_or(Value::Missing, Value::count),
            text(&bad.at.key),
            text(&bad.at.column),
            Value::Text(bad.reason.as_str().into()),
        ])?;
        self.n_rows += 1;
        if self.first.len() < FIRST_BAD {
            self.first.push(bad.to_string());
        }
        Ok(())
    }

    /// Puts the file there, or removes an old one where there is no row.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write).
    pub fn finish(self) -> Result<()> {
        match self.table {
            Some(table) => Ok(table.finish()?),
            None => remove_file(&self.path),
        }
    }
}

/// Reads what a [`BadRowsWriter`] wrote; nothing where there is no file.
///
/// # Errors
///
/// Those of a table.
pub fn read_bad_rows(path: &Path) -> Result<Vec<BadRowRecord>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let table = Table::read(path)?;
    let text = |row: usize, name: &str| -> Result<Option<String>> {
        let cell = table.column(name)?.cell(row).to_text();
        Ok(cell.map(std::borrow::Cow::into_owned))
    };
    let number = |row: usize, name: &str| -> Result<Option<usize>> {
        Ok(text(row, name)?.and_then(|text| text.parse().ok()))
    };
    let record = |row: usize| {
        let n = number(row, "row")?.unwrap_or_default();
        Ok(BadRowRecord {
            row: n,
            at: Place {
                row: Some(n),
                line: number(row, "line")?,
                key: text(row, "key")?,
                column: text(row, "column")?,
                ..Place::file(text(row, "file")?.unwrap_or_default())
            },
            reason: text(row, "reason")?.unwrap_or_default(),
        })
    };
    (0..table.n_rows).map(record).collect()
}

fn bad_columns() -> [(String, ColumnKind); 6] {
    use ColumnKind::{Integer, Text};
    let columns = [
        ("row", Integer),
        ("file", Text),
        ("line", Integer),
        ("key", Text),
        ("column", Text),
        ("reason", Text),
    ];
    columns.map(|(name, kind)| (name.to_owned(), kind))
}

/// `predictions.csv` → `predictions.csv.parts`, the folder of its parts while they are made.
pub fn parts_dir(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".parts");
    name.into()
}

/// `predictions.csv` → `predictions.bad.csv`, the rows without a prediction.
pub fn bad_rows_path(out: &Path) -> PathBuf {
    out.with_extension("bad.csv")
}

/// Removes a folder of parts, which is gone at once: first it is renamed. One of something else stays.
fn discard(dir: &Path) -> Result<()> {
    let aside = hidden_sibling(dir, "discarded").map_err(cannot_write(dir))?;
    let discard = || {
        remove_folder_if_there(&aside)?;
        if dir.join(MANIFEST).exists() {
            // Some systems do not rename a folder with an open file in it.
            match fs::rename(dir, &aside) {
                Ok(()) => remove_folder_if_there(&aside)?,
                Err(_) => remove_folder_if_there(dir)?,
            }
        }
        Ok(())
    };
    Ok(discard().map_err(cannot_write(dir))?)
}

/// Refuses a folder in which there is anything else, by its name.
fn refuse_foreign(dir: &Path, is_ours: impl Fn(&str) -> bool) -> Result<()> {
    match foreign_in(dir, is_ours).map_err(cannot_write(dir))? {
        None => Ok(()),
        Some(file) => Err(Error::OutputNotEmpty {
            path: dir.to_path_buf(),
            found: FolderContent::OtherFiles { file },
        }),
    }
}

fn remove_file(path: &Path) -> Result<()> {
    Ok(remove_file_if_there(path).map_err(cannot_write(path))?)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    read_versioned(path, SCHEMA, |path, source| Error::PartsFile {
        path,
        source,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn columns() -> Vec<(String, ColumnKind)> {
        [
            ("row", ColumnKind::Integer),
            ("a \"quoted\",\nname", ColumnKind::Single),
            ("value", ColumnKind::Number),
            ("text", ColumnKind::Text),
        ]
        .map(|(name, kind)| (name.to_owned(), kind))
        .to_vec()
    }

    fn write(path: &Path, rows: &[(i64, f32, f64, String)]) {
        let mut table = TableWriter::create(path, &columns()).unwrap();
        for (row, single, number, text) in rows {
            let cells = [
                Value::Integer(*row),
                Value::Single(*single),
                Value::Number(*number),
                match text.is_empty() {
                    true => Value::Missing,
                    false => Value::Text(text.into()),
                },
            ];
            table.write(&cells).unwrap();
        }
        table.finish().unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// However rows are cut into parts, joined they are the same bytes, in every format.
        #[test]
        fn parts_of_any_cut_join_to_the_same_bytes(
            rows in proptest::collection::vec(
                (any::<i64>(), any::<f32>(), any::<f64>(), "[a\"\n,;\u{e9}]{0,5}"),
                0..60,
            ),
            sizes in proptest::collection::vec(1usize..20, 1..5),
            format in prop_oneof![Just("csv"), Just("jsonl"), Just("parquet")],
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(format!("{name}.{format}"));
            write(&path("whole"), &rows);
            let (mut rest, mut parts) = (rows.as_slice(), Vec::new());
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, after) = rest.split_at(rest.len().min(*size));
                let part_path = path(&parts.len().to_string());
                write(&part_path, part);
                parts.push(part_path);
                rest = after;
            }
            join_tables(&path("joined"), &columns(), &parts, CsvText::Exact).unwrap();
            prop_assert_eq!(fs::read(path("joined")).unwrap(), fs::read(path("whole")).unwrap());
        }
    }

    #[test]
    fn more_rows_than_parquet_encodes_at_once_join_to_the_same_bytes() {
        let rows: Vec<_> = (0..20_000)
            .map(|row| {
                (
                    row,
                    row as f32 / 7.0,
                    1.0 / row as f64,
                    format!("{}", row % 9),
                )
            })
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(format!("{name}.parquet"));
        write(&path("whole"), &rows);
        write(&path("a"), &rows[..8191]);
        write(&path("b"), &rows[8191..]);
        let parts = [path("a"), path("b")];
        join_tables(&path("joined"), &columns(), &parts, CsvText::Exact).unwrap();
        assert_eq!(
            fs::read(path("joined")).unwrap(),
            fs::read(path("whole")).unwrap()
        );
    }

    #[test]
    fn a_table_is_told_from_another_by_its_bytes_and_a_large_one_by_its_ends_and_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let look = |bytes: &[u8], at: u64| {
            fs::write(&path, bytes).unwrap();
            let time = UNIX_EPOCH + std::time::Duration::from_secs(at);
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(time).unwrap();
            TableFile::of(&path).unwrap()
        };
        let small = look(b"a,b\n1,2\n", 1);
        assert_eq!(small, look(b"a,b\n1,2\n", 2));
        assert_ne!(small, look(b"a,b\n1,3\n", 1));
        let mut large = vec![b'x'; 3 << 20];
        let before = look(&large, 1);
        assert_ne!(before, look(&large, 2));
        *large.last_mut().unwrap() = b'y';
        assert_ne!(before, look(&large, 1));
    }

    #[test]
    fn a_reason_does_not_repeat_the_place() {
        let at = Place {
            line: Some(4),
            ..Place::file("t.csv").with_row(3)
        };
        let ragged = DataError::Ragged {
            at: at.clone(),
            expected: 2,
            found: 1,
            spans_lines: false,
        };
        let bad = BadRowRecord::of_data(3, &ragged);
        assert_eq!(bad.reason, "1 cells where the header has 2");
        assert_eq!(
            bad.to_string(),
            "t.csv, row 3 (line 4): 1 cells where the header has 2"
        );
        let image = DataError::RowImage {
            at: at.with_column("image"),
            source: Box::new(DataError::ImageEmpty {
                name: "a.jpg".into(),
            }),
        };
        let bad = BadRowRecord::of_data(3, &image);
        assert_eq!(bad.reason, "a.jpg: the image is empty (0 bytes)");
        assert_eq!(bad.at.column.as_deref(), Some("image"));
    }
}
