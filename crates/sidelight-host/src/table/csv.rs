//! CSV and TSV: UTF-8 with a header, cells in double quotes where they hold the separator or a line break.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use arrow_array::builder::LargeStringBuilder;

use super::{Column, Table, Values, unique_names};
use crate::error::{Error, Place, Result};

/// Reads the file; `separator` holds unless it is a comma that the header does not have.
pub(super) fn read(path: &Path, separator: u8) -> Result<Table> {
    let cannot_read = |source| Error::Read {
        path: path.to_path_buf(),
        source,
    };
    let file = File::open(path).map_err(cannot_read)?;
    let mut file = BufReader::with_capacity(1 << 18, file);
    let start = file.fill_buf().map_err(cannot_read)?;
    // UTF-16, as spreadsheet programs export "Unicode text".
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        return Err(Error::NotUtf8 {
            at: Place::file(path),
        });
    }
    let separator = if separator == b',' {
        sniff(start)
    } else {
        separator
    };
    let starts = Starts::default();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .has_headers(false)
        .from_reader(Lines {
            inner: file,
            offset: 0,
            line: 1,
            at_start: true,
            starts: Rc::clone(&starts),
        });
    let not_read = |error: csv::Error| {
        let text = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(source) => cannot_read(source),
            // No other kind can come of reading flexible byte records; if one did, this says which.
            _ => cannot_read(std::io::Error::other(text)),
        }
    };

    let mut record = csv::ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(not_read)? {
        return Err(Error::EmptyTable {
            path: path.to_path_buf(),
            what: "header",
        });
    }
    let mut names = Vec::with_capacity(record.len());
    for (position, name) in record.iter().enumerate() {
        let name = str::from_utf8(name).map_err(|_| Error::NotUtf8 {
            at: Place {
                line: Some(1),
                ..Place::file(path)
            },
        })?;
        // Data frames leave the name of their index empty.
        let name = name.trim_start_matches('\u{feff}').trim();
        names.push(if name.is_empty() {
            format!("column {}", position + 1)
        } else {
            name.to_owned()
        });
    }

    let mut builders: Vec<_> = names.iter().map(|_| LargeStringBuilder::new()).collect();
    // Lines are remembered only from the first row on that is not where one line a row puts it.
    let mut lines: Option<Vec<u32>> = None;
    let mut n_rows = 0;
    while reader.read_byte_record(&mut record).map_err(not_read)? {
        let line = line_of(&starts, record.position().map_or(0, csv::Position::byte));
        let at = |n_rows: usize| Place {
            line: Some(line),
            ..Place::file(path).with_row(n_rows + 1)
        };
        if record.len() != builders.len() {
            // One blank column at the end of each row is how some programs end a line.
            let blank_end = record.len() == builders.len() + 1
                && record.iter().next_back().is_some_and(<[u8]>::is_empty);
            if !blank_end {
                return Err(Error::Ragged {
                    at: at(n_rows),
                    expected: builders.len(),
                    found: record.len(),
                    spans_lines: record.iter().any(|cell| cell.contains(&b'\n')),
                });
            }
        }
        for ((builder, cell), name) in builders.iter_mut().zip(&record).zip(&names) {
            match str::from_utf8(cell) {
                Ok("") => builder.append_null(),
                Ok(cell) => builder.append_value(cell),
                Err(_) => {
                    return Err(Error::NotUtf8 {
                        at: at(n_rows).with_column(name),
                    });
                }
            }
        }
        match &mut lines {
            Some(lines) => lines.push(line as u32),
            None if line == n_rows + 2 => {}
            None => {
                lines = Some(
                    (0..n_rows)
                        .map(|row| row as u32 + 2)
                        .chain([line as u32])
                        .collect(),
                )
            }
        }
        n_rows += 1;
    }

    let columns: Vec<Column> = names
        .into_iter()
        .zip(builders)
        .map(|(name, mut builder)| Column {
            name,
            values: Values::Text(builder.finish()),
        })
        .collect();
    unique_names(path, &columns)?;
    Ok(Table::of_file(path, columns, n_rows, lines.map(Into::into)))
}

/// The separator: a comma, unless the header has none but has semicolons or tabs.
fn sniff(start: &[u8]) -> u8 {
    let header = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let count = |separator: u8| header.iter().filter(|byte| **byte == separator).count();
    match (count(b','), count(b';'), count(b'\t')) {
        (0, 0, tabs) if tabs > 0 => b'\t',
        (0, semicolons, _) if semicolons > 0 => b';',
        _ => b',',
    }
}

/// Line starts that were read and not yet asked for: offset of the first byte, and the line.
type Starts = Rc<RefCell<VecDeque<(u64, u32)>>>;

/// Passes bytes on and notes where each line that is not blank begins.
///
/// The CSV reader's own position for a record is where it began to look: before any blank lines, and between the two
/// bytes of a line end of two. A record begins at the first line start from there on; the line starts inside its
/// quoted cells are passed over by the next.
struct Lines<R> {
    inner: R,
    offset: u64,
    line: u32,
    at_start: bool,
    starts: Starts,
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let mut starts = self.starts.borrow_mut();
        for (byte, offset) in buffer[..n].iter().zip(self.offset..) {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.at_start = true;
                }
                b'\r' => {}
                _ if self.at_start => {
                    starts.push_back((offset, self.line));
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
fn line_of(starts: &Starts, looked_from: u64) -> usize {
    let mut starts = starts.borrow_mut();
    while starts
        .front()
        .is_some_and(|(offset, _)| *offset < looked_from)
    {
        starts.pop_front();
    }
    starts.front().map_or(0, |(_, line)| *line as usize)
}
