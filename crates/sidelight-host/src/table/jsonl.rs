//! JSON Lines: one object a line; the columns are the keys of all of them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde_json::Value;

use super::{Accumulator, Column, Table};
use crate::error::{Error, Place, Result};

pub(super) fn read(path: &Path) -> Result<Table> {
    let cannot_read = |source| Error::Read {
        path: path.to_path_buf(),
        source,
    };
    let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(cannot_read)?);
    let mut columns: Vec<(String, Accumulator)> = Vec::new();
    let mut position: HashMap<String, usize> = HashMap::new();
    // Number of cells each column has: what a row does not name is filled in when the next one does.
    let mut filled: Vec<usize> = Vec::new();
    let mut lines: Option<Vec<u32>> = None;
    let (mut n_rows, mut line_number) = (0, 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        if file.read_until(b'\n', &mut line).map_err(cannot_read)? == 0 {
            break;
        }
        line_number += 1;
        let at = || Place {
            line: Some(line_number),
            ..Place::file(path).with_row(n_rows + 1)
        };
        let text = str::from_utf8(&line).map_err(|_| Error::NotUtf8 { at: at() })?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            continue;
        }
        let row =
            match serde_json::from_str(text).map_err(|source| Error::Json { at: at(), source })? {
                Value::Object(row) => row,
                other => {
                    return Err(Error::JsonRow {
                        at: at(),
                        found: kind_of(&other),
                    });
                }
            };
        for (key, value) in row {
            let column = match position.get(&key) {
                Some(column) => *column,
                None => {
                    columns.push((key.clone(), Accumulator::Empty(0)));
                    filled.push(0);
                    position.insert(key, columns.len() - 1);
                    columns.len() - 1
                }
            };
            let cells = &mut columns[column].1;
            for _ in filled[column]..n_rows {
                cells.push_missing();
            }
            filled[column] = n_rows + 1;
            push(cells, &value);
        }
        n_rows += 1;
        match &mut lines {
            Some(lines) => lines.push(line_number as u32),
            None if line_number == n_rows => {}
            None => lines = Some((1..n_rows as u32).chain([line_number as u32]).collect()),
        }
    }
    if columns.is_empty() {
        return Err(Error::EmptyTable {
            path: path.to_path_buf(),
            what: "row",
        });
    }
    let columns = columns
        .into_iter()
        .zip(filled)
        .map(|((name, mut cells), filled)| {
            for _ in filled..n_rows {
                cells.push_missing();
            }
            Column {
                name,
                values: cells.finish(),
            }
        })
        .collect();
    Ok(Table::of_file(path, columns, n_rows, lines.map(Into::into)))
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
