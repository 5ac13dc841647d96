//! Cells of a metadata column as typed values.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::MetadataValues;
use crate::config::{MetadataConfig, MetadataKind};
use crate::error::{Result, setting};
use crate::schema;
use crate::spelling::Spelling;
use crate::table::Cell;

/// Cells of one column that are not what it holds; they were read as missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Misread {
    /// The column in the table.
    pub column: String,
    /// What its cells should be.
    pub expected: &'static str,
    /// How many are not.
    pub count: usize,
    /// Table row (from 0) and text of the first three, or of all.
    pub first: Vec<(usize, String)>,
    /// How many of them are kept.
    most: usize,
}

impl Misread {
    pub(super) fn new(column: &str, expected: &'static str) -> Self {
        Self {
            column: column.to_owned(),
            expected,
            count: 0,
            first: Vec::new(),
            most: 3,
        }
    }
    /// Keeps every one, not the first three.
    pub(super) fn all(self) -> Self {
        Self {
            most: usize::MAX,
            ..self
        }
    }
    pub(super) fn push(&mut self, row: usize, found: &str) {
        self.count += 1;
        if self.first.len() < self.most {
            self.first.push((row, found.to_owned()));
        }
    }
}

/// Spellings of "missing".
#[derive(Debug, Clone, Copy)]
pub(super) struct MissingMarkers<'a> {
    /// Of the whole table.
    pub(super) table: &'a [String],
    /// Of this column.
    pub(super) column: &'a [String],
}

impl MissingMarkers<'_> {
    /// The cell, or missing where it is spelt so.
    pub(super) fn read<'a>(&self, cell: Cell<'a>) -> Cell<'a> {
        match self.is_spelt(cell) {
            true => Cell::Missing,
            false => cell,
        }
    }

    /// Whether the cell spells out that it is missing.
    pub(super) fn is_spelt(&self, cell: Cell<'_>) -> bool {
        match cell {
            Cell::Text(text) => self.spelt(text.trim()),
            // `-999` in a column that the file types as numbers.
            Cell::Number(number) => !self.column.is_empty() && self.spelt(&number.to_string()),
            _ => false,
        }
    }
    fn spelt(&self, text: &str) -> bool {
        // What is said of one column is meant as a value: `0` is `0.0` there.
        self.table.iter().any(|spelling| is_trimmed(spelling, text))
            || self
                .column
                .iter()
                .any(|spelling| schema::same_value(spelling, text))
    }
}

/// Whether a spelling is this text, spaces around it aside. It is asked of every cell: most differ by their length already.
fn is_trimmed(spelling: &str, text: &str) -> bool {
    let may_be_space =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_whitespace() || !byte.is_ascii());
    let bytes = spelling.as_bytes();
    match bytes.len().cmp(&text.len()) {
        Ordering::Less => false,
        Ordering::Equal => spelling == text,
        Ordering::Greater => {
            (may_be_space(bytes.first()) || may_be_space(bytes.last())) && spelling.trim() == text
        }
    }
}

/// What a cell of this kind is called in messages.
pub(super) fn expected(kind: MetadataKind) -> &'static str {
    match kind {
        MetadataKind::Boolean => "true or false",
        MetadataKind::Continuous => "a number",
        MetadataKind::Categorical => "a name",
        MetadataKind::Datetime => "a date or a time (2024-05-01, 2024-05-01T13:30:00, 13:30)",
    }
}

/// Reads one column; a cell that is not of its kind is missing and noted.
///
/// `cells` yields the table's row and the cell.
pub(super) fn read<'a>(
    config: &MetadataConfig,
    spelling: Spelling<'_>,
    gaps: MissingMarkers<'_>,
    cells: impl Iterator<Item = (usize, Cell<'a>)>,
    misread: &mut Misread,
) -> Result<MetadataValues> {
    let number = |cell: Cell<'_>| schema::number_as(cell, &spelling);
    let datetime = |cell: Cell<'_>| schema::datetime_as(cell, &spelling);
    let pattern = match &config.pattern {
        None => None,
        Some(pattern) => Some(
            regex::Regex::new(pattern)
                .map_err(|_| setting("pattern", "a regular expression", pattern.clone()))?,
        ),
    };
    let pattern = pattern.as_ref();
    let values = match config.kind {
        MetadataKind::Boolean => {
            MetadataValues::Boolean(typed(cells, pattern, gaps, misread, schema::boolean))
        }
        MetadataKind::Continuous => {
            MetadataValues::Continuous(typed(cells, pattern, gaps, misread, number))
        }
        MetadataKind::Datetime => {
            MetadataValues::Datetime(typed(cells, pattern, gaps, misread, datetime))
        }
        MetadataKind::Categorical => {
            let mut names: Vec<String> = Vec::new();
            let mut code_of: HashMap<String, u32> = HashMap::new();
            let code = |cell: Cell<'_>| {
                let name = cell.to_text()?;
                let name = name.trim();
                if let Some(code) = code_of.get(name) {
                    return Some(*code);
                }
                let code = u32::try_from(code_of.len()).ok()?;
                names.push(name.to_owned());
                code_of.insert(name.to_owned(), code);
                Some(code)
            };
            let codes = typed(cells, pattern, gaps, misread, code);
            MetadataValues::Categorical { names, codes }
        }
    };
    Ok(values)
}

/// Cells as values; one that `parse` cannot read is missing and noted. Where there is a pattern, what its first group
/// captures is read in the cell's place.
pub(super) fn typed<'a, T>(
    cells: impl Iterator<Item = (usize, Cell<'a>)>,
    pattern: Option<&regex::Regex>,
    gaps: MissingMarkers<'_>,
    misread: &mut Misread,
    mut parse: impl FnMut(Cell<'_>) -> Option<T>,
) -> Vec<Option<T>> {
    let mut read = |row: usize, cell: Cell<'_>| match gaps.read(cell) {
        Cell::Missing => None,
        cell => {
            let value = parse(cell);
            if value.is_none() {
                misread.push(row, &cell.to_text().unwrap_or("an image".into()));
            }
            value
        }
    };
    let values = cells.map(|(row, cell)| match (pattern, cell) {
        (None, cell) => read(row, cell),
        // The pattern works on text, whatever the file's type; what it captures is text.
        (Some(pattern), Cell::Text(_) | Cell::Number(_)) => {
            let text = cell.to_text()?;
            let captured = pattern.captures(&text)?.get(1)?.as_str();
            (!captured.trim().is_empty()).then(|| read(row, Cell::Text(captured)))?
        }
        (Some(_), _) => None,
    });
    values.collect()
}
