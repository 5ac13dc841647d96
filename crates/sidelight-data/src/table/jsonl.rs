//! JSON Lines: one object a line; the columns are the keys of all of them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::pieces::{MAX_ROW_BYTES, OnBadRow, Piece, ReadLimit, RowLines, Rows, check_gaps};
use super::steady::Steady;
use super::{Accumulator, Column, Table};
use crate::error::{Error, Place, Result, cannot_read};
use crate::store::Shard;

/// The most columns that rows can name: one with new keys in each row would fill the memory with gaps.
const MAX_COLUMNS: usize = 10_000;

/// The lines of a file, one after another.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    n_bytes: u64,
    n_read: u64,
    file: BufReader<Steady<File>>,
    /// The line read last; of one that is too long, its beginning.
    line: Vec<u8>,
    is_too_long: bool,
    number: usize,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let cannot_read = cannot_read(path);
        let file = File::open(path).map_err(cannot_read)?;
        Ok(Self {
            path: path.to_path_buf(),
            n_bytes: file.metadata().map_err(cannot_read)?.len(),
            n_read: 0,
            file: BufReader::with_capacity(1 << 18, Steady(file)),
            line: Vec::new(),
            is_too_long: false,
            number: 0,
        })
    }

    /// Reads the next line that is not blank; `false` at the end.
    fn advance(&mut self) -> Result<bool> {
        loop {
            self.line.clear();
            let is_there = self.read_line().map_err(cannot_read(&self.path))?;
            if !is_there {
                return Ok(false);
            }
            self.number += 1;
            if self.is_too_long || !content(&self.line).is_empty() {
                return Ok(true);
            }
        }
    }

    fn read_line(&mut self) -> std::io::Result<bool> {
        let limit = MAX_ROW_BYTES as u64 + 1;
        let mut limited = self.file.by_ref().take(limit);
        self.n_read += limited.read_until(b'\n', &mut self.line)? as u64;
        self.is_too_long = self.line.len() > MAX_ROW_BYTES && !self.line.ends_with(b"\n");
        let mut is_in_line = self.is_too_long;
        while is_in_line {
            let bytes = self.file.fill_buf()?;
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let n = end.map_or(bytes.len(), |end| end + 1);
            is_in_line = end.is_none() && n > 0;
            self.file.consume(n);
            self.n_read += n as u64;
        }
        Ok(!self.line.is_empty())
    }

    /// The line as an object.
    fn object(&self, row: usize) -> Result<Map<String, Value>> {
        let at = || Place {
            line: Some(self.number),
            ..Place::file(&self.path).with_row(row + 1)
        };
        if self.is_too_long {
            return Err(Error::RowBytes {
                at: at(),
                max_bytes: MAX_ROW_BYTES,
            });
        }
        object(content(&self.line), at)
    }
}

/// The line without a byte order mark and the blanks around.
fn content(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(line)
        .trim_ascii()
}

/// JSON text as an object.
pub(super) fn object(text: &[u8], at: impl Fn() -> Place) -> Result<Map<String, Value>> {
    let text = str::from_utf8(text).map_err(|_| Error::NotUtf8 { at: at() })?;
    match serde_json::from_str(text).map_err(|source| Error::Json { at: at(), source })? {
        Value::Object(row) => Ok(row),
        other => Err(Error::JsonRow {
            at: at(),
            found: kind_of(&other),
        }),
    }
}

impl Rows for Lines {
    fn take(&mut self, first_row: usize, take: ReadLimit, on_bad_row: OnBadRow) -> Result<Piece> {
        let mut objects = Objects::default();
        let mut lines = RowLines::new(first_row + 1);
        let (mut n_bytes, mut bad) = (0, Vec::new());
        while !take.is_full(objects.n_rows, n_bytes) && self.advance()? {
            let row = objects.n_rows;
            let pushed = self.object(first_row + row).and_then(|object| {
                objects.push(object, || Place {
                    line: Some(self.number),
                    ..Place::file(&self.path).with_row(first_row + row + 1)
                })
            });
            if let Err(error) = pushed {
                on_bad_row.bad(row, error, &mut bad)?;
                objects.push_missing();
            }
            lines.push(self.number);
            n_bytes += self.line.len();
            check_gaps(objects.n_gaps(), n_bytes, || {
                Place::file(&self.path).with_row(first_row + row + 1)
            })?;
        }
        let n_rows = objects.n_rows;
        let table = Table {
            first_row,
            ..Table::of_file(
                &self.path,
                objects.finish(on_bad_row),
                n_rows,
                lines.finish(),
            )
        };
        Ok(Piece { table, bad })
    }

    fn skip(&mut self, _: usize, n_rows: usize) -> Result<usize> {
        for row in 0..n_rows {
            if !self.advance()? {
                return Ok(row);
            }
        }
        Ok(n_rows)
    }

    fn share_read(&self) -> f64 {
        self.n_read as f64 / self.n_bytes.max(1) as f64
    }

    fn files(&self) -> Vec<Arc<Shard>> {
        vec![Arc::new(Shard::file(self.path.clone()))]
    }
}

/// Columns that grow object by object; they are the keys of all of them.
#[derive(Debug, Default)]
pub(super) struct Objects {
    columns: Vec<(String, Accumulator)>,
    position: HashMap<String, usize>,
    /// Number of cells each column has: what a row does not name is filled in when the next one does.
    filled: Vec<usize>,
    pub(super) n_rows: usize,
    /// Cells that rows name.
    n_cells: usize,
}

impl Objects {
    /// Adds a row; after an error it was not added.
    pub(super) fn push(&mut self, row: Map<String, Value>, at: impl Fn() -> Place) -> Result<()> {
        let n_new = row
            .keys()
            .filter(|key| !self.position.contains_key(*key))
            .count();
        if self.columns.len() + n_new > MAX_COLUMNS {
            return Err(Error::TooManyColumns {
                at: at(),
                most: MAX_COLUMNS,
            });
        }
        self.n_cells += row.len();
        for (key, value) in row {
            let column = match self.position.get(&key) {
                Some(column) => *column,
                None => {
                    self.columns.push((key.clone(), Accumulator::Empty(0)));
                    self.filled.push(0);
                    self.position.insert(key, self.columns.len() - 1);
                    self.columns.len() - 1
                }
            };
            let place = self
                .columns
                .get_mut(column)
                .zip(self.filled.get_mut(column));
            let Some(((_, cells), filled)) = place else {
                continue;
            };
            for _ in *filled..self.n_rows {
                cells.push_missing();
            }
            *filled = self.n_rows + 1;
            push(cells, &value);
        }
        self.n_rows += 1;
        Ok(())
    }

    /// Cells that rows do not name.
    pub(super) fn n_gaps(&self) -> usize {
        self.n_rows * self.columns.len() - self.n_cells
    }

    /// Adds a row without cells.
    pub(super) fn push_missing(&mut self) {
        self.n_rows += 1;
    }

    pub(super) fn finish(self, on_bad_row: OnBadRow) -> Vec<Column> {
        let columns = self.columns.into_iter().zip(self.filled);
        columns
            .map(|((name, mut cells), filled)| {
                for _ in filled..self.n_rows {
                    cells.push_missing();
                }
                Column {
                    name,
                    values: cells.finish(on_bad_row),
                }
            })
            .collect()
    }
}

fn push(cells: &mut Accumulator, value: &Value) {
    match value {
        Value::Null => cells.push_missing(),
        Value::Bool(value) => cells.push_boolean(*value),
        Value::String(value) => cells.push_text(value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => cells.push_integer(integer.into()),
            (_, Some(integer)) => cells.push_integer(integer.into()),
            _ => match number.as_f64() {
                Some(number) => cells.push_number(number),
                None => cells.push_text(&number.to_string()),
            },
        },
        // Lists and objects stay JSON; a list of labels is read from it by whoever wants labels.
        nested => cells.push_text(&nested.to_string()),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
