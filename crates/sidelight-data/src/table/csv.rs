//! CSV and TSV: text with a header, cells in double quotes where they hold the separator or a line break.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use arrow_array::builder::LargeStringBuilder;

use super::encoding::{self, Text};
use super::pieces::{
    MAX_COLUMNS, MAX_ROW_BYTES, OnBadRow, Piece, ReadLimit, RowLines, Rows, check_gaps,
};
use super::steady::Steady;
use super::{SourceFormat, Table, unique_names};
use crate::error::{Error, Place, Result, cannot_read, setting};
use crate::store::Shard;

/// The records of a file, one after another.
#[derive(Debug)]
pub(super) struct Records {
    path: PathBuf,
    n_bytes: u64,
    names: Vec<String>,
    reader: csv::Reader<Lines<Text>>,
    /// What should be said of how it is read.
    remarks: Vec<String>,
    /// The record read last.
    record: csv::ByteRecord,
    /// Its line; 0 where lines do not end in `\n`.
    line: usize,
    track: Rc<RefCell<Track>>,
}

impl Records {
    /// Opens the file and reads its header. Where no separator is told, it is the `usual` one of such files, or found.
    pub(super) fn open(path: &Path, usual: Option<u8>, format: &SourceFormat) -> Result<Self> {
        let cannot_read = cannot_read(path);
        let file = File::open(path).map_err(cannot_read)?;
        let n_bytes = file.metadata().map_err(cannot_read)?.len();
        let mut file = BufReader::with_capacity(1 << 18, Steady(file));
        let start = file.fill_buf().map_err(cannot_read)?;
        let (encoding, remark) = encoding::find(path, start, format.encoding.as_deref())?;
        let decoded = encoding.decode_without_bom_handling(start).0;
        // `sep=;`, a line that spreadsheet programs put before the header.
        let first = decoded.trim_start_matches('\u{feff}').lines().next();
        let own = first.and_then(|line| line.strip_prefix("sep="));
        let own = own
            .filter(|own| own.len() == 1)
            .and_then(|own| own.bytes().next());
        let separator = match (format.separator, own.or(usual)) {
            (Some(told), _) => u8::try_from(told)
                .ok()
                .filter(u8::is_ascii)
                .ok_or_else(|| setting("data.separator", "one ASCII character", told))?,
            (None, Some(usual)) => usual,
            (None, None) => sniff(decoded.as_bytes()),
        };
        let mut text = Text::new(file, encoding);
        if own.is_some() {
            skip_line(&mut text).map_err(cannot_read)?;
        }
        let track = Rc::new(RefCell::new(Track::default()));
        let reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .flexible(true)
            .has_headers(false)
            .from_reader(Lines {
                inner: text,
                offset: 0,
                line: 1 + usize::from(own.is_some()),
                at_start: true,
                track: Rc::clone(&track),
            });
        let mut records = Self {
            path: path.to_path_buf(),
            n_bytes,
            names: Vec::new(),
            reader,
            remarks: remark.into_iter().collect(),
            record: csv::ByteRecord::new(),
            line: 0,
            track,
        };
        records.read_header()?;
        Ok(records)
    }

    fn read_header(&mut self) -> Result<()> {
        if !self.advance(None)? {
            return Err(Error::EmptyTable {
                path: self.path.clone(),
                what: "header",
            });
        }
        if self.record.len() > MAX_COLUMNS {
            return Err(Error::TooManyColumns {
                at: Place::file(&self.path),
                most: MAX_COLUMNS,
            });
        }
        for (position, name) in self.record.iter().enumerate() {
            let name = str::from_utf8(name).map_err(|_| Error::NotUtf8 {
                at: Place {
                    line: Some(1),
                    ..Place::file(&self.path)
                },
            })?;
            // Data frames leave the name of their index empty.
            let name = name.trim_start_matches('\u{feff}').trim();
            self.names.push(if name.is_empty() {
                format!("column {}", position + 1)
            } else {
                name.to_owned()
            });
        }
        unique_names(&self.path, self.names.iter().map(String::as_str))
    }

    /// Reads the next record, which is this row (from 0), `None`: the header. `false` at the end.
    fn advance(&mut self, row: Option<usize>) -> Result<bool> {
        let start = self.reader.position().byte();
        self.track.borrow_mut().limit = start + (MAX_ROW_BYTES + READ_AHEAD) as u64;
        let is_there = self.reader.read_byte_record(&mut self.record);
        let is_there = is_there.map_err(|error| {
            let text = error.to_string();
            let is_too_long = self.track.borrow().is_exceeded;
            match error.into_kind() {
                csv::ErrorKind::Io(_) if is_too_long => {
                    let line = line_of(&self.track, start);
                    Error::RowBytes {
                        at: self.place(row, line),
                        max_bytes: MAX_ROW_BYTES,
                    }
                }
                csv::ErrorKind::Io(source) => Error::Read {
                    path: self.path.clone(),
                    source,
                },
                // No other kind can come of reading flexible byte records; if one did, this says which.
                _ => Error::Read {
                    path: self.path.clone(),
                    source: std::io::Error::other(text),
                },
            }
        })?;
        if is_there {
            let start = self.record.position().map_or(0, csv::Position::byte);
            self.line = line_of(&self.track, start);
        }
        Ok(is_there)
    }

    fn place(&self, row: Option<usize>, line: usize) -> Place {
        let file = Place::file(&self.path);
        Place {
            line: Some(line),
            row: row.map(|row| row + 1),
            ..file
        }
    }

    /// Whether the record is a row of the table.
    fn check(&self, row: usize) -> Result<()> {
        let at = || self.place(Some(row), self.line);
        if self.record.len() != self.names.len() {
            // One blank column at the end of each row is how some programs end a line.
            let blank_end = self.record.len() == self.names.len() + 1
                && self.record.iter().next_back().is_some_and(<[u8]>::is_empty);
            if !blank_end {
                return Err(Error::Ragged {
                    at: at(),
                    expected: self.names.len(),
                    found: self.record.len(),
                    spans_lines: self.record.iter().any(|cell| cell.contains(&b'\n')),
                });
            }
        }
        for (cell, name) in self.record.iter().zip(&self.names) {
            if str::from_utf8(cell).is_err() {
                return Err(Error::NotUtf8 {
                    at: at().with_column(name),
                });
            }
        }
        Ok(())
    }
}

impl Rows for Records {
    fn take(&mut self, first_row: usize, take: ReadLimit, on_bad_row: OnBadRow) -> Result<Piece> {
        let mut builders: Vec<_> = self
            .names
            .iter()
            // Grown as cells come: the usual start takes 9 kB a column.
            .map(|_| LargeStringBuilder::with_capacity(0, 0))
            .collect();
        let mut lines = RowLines::new(first_row + 2);
        let (mut n_rows, mut n_bytes, mut bad) = (0, 0, Vec::new());
        while !take.is_full(n_rows, n_bytes) && self.advance(Some(first_row + n_rows))? {
            match self.check(first_row + n_rows) {
                Ok(()) => {
                    for (builder, cell) in builders.iter_mut().zip(&self.record) {
                        match str::from_utf8(cell) {
                            Ok("") | Err(_) => builder.append_null(),
                            Ok(cell) => builder.append_value(cell),
                        }
                    }
                }
                Err(error) => {
                    on_bad_row.bad(n_rows, error, &mut bad)?;
                    check_gaps(bad.len() * self.names.len(), n_bytes, || {
                        self.place(Some(first_row + n_rows), self.line)
                    })?;
                    builders
                        .iter_mut()
                        .for_each(LargeStringBuilder::append_null);
                }
            }
            lines.push(self.line);
            n_bytes += self.record.as_slice().len();
            n_rows += 1;
        }
        let table = Table {
            first_row,
            remarks: self.remarks.clone(),
            ..Table::of_texts(&self.path, &self.names, builders, n_rows, lines.finish())
        };
        Ok(Piece { table, bad })
    }

    fn skip(&mut self, first_row: usize, n_rows: usize) -> Result<usize> {
        for row in 0..n_rows {
            if !self.advance(Some(first_row + row))? {
                return Ok(row);
            }
        }
        Ok(n_rows)
    }

    fn share_read(&self) -> f64 {
        self.reader.position().byte() as f64 / self.n_bytes.max(1) as f64
    }

    fn files(&self) -> Vec<Arc<Shard>> {
        vec![Arc::new(Shard::file(self.path.clone()))]
    }
}

/// Reads to the end of a line.
fn skip_line(text: &mut impl Read) -> std::io::Result<()> {
    let mut byte = [0];
    while text.read(&mut byte)? == 1 && byte != *b"\n" {}
    Ok(())
}

/// What may stand between cells, the rarer in names and numbers first.
const SEPARATORS: [u8; 4] = *b"\t;,|";

/// The separator: what the header and the lines after it have equally often; where nothing is so regular, a comma, unless
/// the header has none.
#[expect(
    clippy::indexing_slicing,
    reason = "there is a first line, and each line has a count for each separator"
)]
fn sniff(start: &[u8]) -> u8 {
    const LINES: usize = 20;
    let mut lines: Vec<[usize; 4]> = vec![[0; 4]];
    let mut is_quoted = false;
    for byte in start {
        match byte {
            b'"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'\n' if lines.len() == LINES => break,
            b'\n' => lines.push([0; 4]),
            byte => {
                if let Some(at) = SEPARATORS.iter().position(|separator| separator == byte) {
                    let last = lines.len() - 1;
                    lines[last][at] += 1;
                }
            }
        }
    }
    let header = lines[0];
    // The last one may be cut, and is empty where the text ends with a line.
    let rows = &lines[1..lines.len().saturating_sub(1).max(1)];
    let is_regular =
        |at: &usize| header[*at] > 0 && rows.iter().all(|line| line[*at] == header[*at]);
    let found = (0..4)
        .find(is_regular)
        .or_else(|| [2, 1, 0, 3].into_iter().find(|at| header[*at] > 0));
    found.map_or(b',', |at| SEPARATORS[at])
}

/// Bytes that the CSV reader may have read beyond the record that it is at.
const READ_AHEAD: usize = 1 << 16;

/// What [`Lines`] and whoever reads records tell one another.
#[derive(Debug, Default)]
struct Track {
    /// Line starts that were read and not yet asked for: offset of the first byte, and the line.
    starts: VecDeque<(u64, usize)>,
    /// The offset that the record in hand may not reach beyond.
    limit: u64,
    /// Whether it would have.
    is_exceeded: bool,
}

/// Passes bytes on and notes where each line that is not blank begins.
///
/// The CSV reader's own position for a record is where it began to look: before any blank lines, and between the two
/// bytes of a line end of two. A record begins at the first line start from there on; the line starts inside its
/// quoted cells are passed over by the next.
#[derive(Debug)]
struct Lines<R> {
    inner: R,
    offset: u64,
    line: usize,
    at_start: bool,
    track: Rc<RefCell<Track>>,
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut track = self.track.borrow_mut();
        if self.offset > track.limit {
            track.is_exceeded = true;
            return Err(std::io::Error::other("a record without an end"));
        }
        let n = self.inner.read(buffer)?;
        for (byte, offset) in buffer.get(..n).unwrap_or(buffer).iter().zip(self.offset..) {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.at_start = true;
                }
                b'\r' => {}
                _ if self.at_start => {
                    track.starts.push_back((offset, self.line));
                    self.at_start = false;
                }
                _ => {}
            }
        }
        self.offset += n as u64;
        Ok(n)
    }
}

/// The line of the record that the reader looked for from this offset on; 0 where lines do not end in `\n`.
fn line_of(track: &RefCell<Track>, looked_from: u64) -> usize {
    let starts = &mut track.borrow_mut().starts;
    while starts
        .front()
        .is_some_and(|(offset, _)| *offset < looked_from)
    {
        starts.pop_front();
    }
    starts.front().map_or(0, |(_, line)| *line)
}
