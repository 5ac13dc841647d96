//! Cells of a metadata column as typed values.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use super::{Fact, Metadata, MetadataColumn, MetadataValues};
use crate::config::{MetadataConfig, MetadataKind};
use crate::error::{Error, Place, Result, setting};
use crate::schema;
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
        match cell {
            Cell::Text(text) if self.spelt(text.trim()) => Cell::Missing,
            // `-999` in a column that the file types as numbers.
            Cell::Number(number) if !self.column.is_empty() && self.spelt(&number.to_string()) => {
                Cell::Missing
            }
            cell => cell,
        }
    }
    fn spelt(&self, text: &str) -> bool {
        self.table
            .iter()
            .chain(self.column)
            .any(|spelling| spelling.trim() == text)
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
    gaps: MissingMarkers<'_>,
    cells: impl Iterator<Item = (usize, Cell<'a>)>,
    misread: &mut Misread,
) -> Result<MetadataValues> {
    let pattern = match &config.pattern {
        None => None,
        Some(pattern) => Some(
            regex::Regex::new(pattern)
                .map_err(|_| setting("pattern", "a regular expression", pattern.clone()))?,
        ),
    };
    // The pattern works on text, whatever the file's type; what it captures is text.
    let cells = cells.map(|(row, cell)| (row, Captured::new(cell, pattern.as_ref())));
    let values = match config.kind {
        MetadataKind::Boolean => {
            MetadataValues::Boolean(typed(cells, gaps, misread, schema::boolean))
        }
        MetadataKind::Continuous => {
            MetadataValues::Continuous(typed(cells, gaps, misread, schema::number))
        }
        MetadataKind::Datetime => {
            MetadataValues::Datetime(typed(cells, gaps, misread, schema::datetime))
        }
        MetadataKind::Categorical => categories(cells, gaps, misread),
    };
    Ok(values)
}

/// A cell, or what a pattern captured of its text.
enum Captured<'a> {
    Cell(Cell<'a>),
    Text(Cow<'a, str>),
}

impl<'a> Captured<'a> {
    fn new(cell: Cell<'a>, pattern: Option<&regex::Regex>) -> Self {
        let Some(pattern) = pattern else {
            return Self::Cell(cell);
        };
        let text = match cell {
            Cell::Text(text) => Cow::Borrowed(text),
            Cell::Number(number) => Cow::Owned(number.to_string()),
            _ => return Self::Cell(Cell::Missing),
        };
        let captured = pattern
            .captures(&text)
            .and_then(|captures| captures.get(1))
            .map(|group| group.range());
        match (captured, text) {
            (None, _) => Self::Cell(Cell::Missing),
            (Some(range), Cow::Borrowed(text)) => Self::Text(Cow::Borrowed(&text[range])),
            (Some(range), Cow::Owned(text)) => Self::Text(Cow::Owned(text[range].to_owned())),
        }
    }
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Cell(cell) => *cell,
            Self::Text(text) if text.trim().is_empty() => Cell::Missing,
            Self::Text(text) => Cell::Text(text),
        }
    }
}

fn typed<'a, T>(
    cells: impl Iterator<Item = (usize, Captured<'a>)>,
    gaps: MissingMarkers<'_>,
    misread: &mut Misread,
    parse: impl Fn(Cell<'_>) -> Option<T>,
) -> Vec<Option<T>> {
    let read = |(row, cell): (usize, Captured<'a>)| match gaps.read(cell.cell()) {
        Cell::Missing => None,
        cell => {
            let value = parse(cell);
            if value.is_none() {
                misread.push(row, &cell.to_text().unwrap_or("an image".into()));
            }
            value
        }
    };
    cells.map(read).collect()
}

fn categories<'a>(
    cells: impl Iterator<Item = (usize, Captured<'a>)>,
    gaps: MissingMarkers<'_>,
    misread: &mut Misread,
) -> MetadataValues {
    let mut names: Vec<String> = Vec::new();
    let mut code_of: HashMap<String, u32> = HashMap::new();
    let mut code = |name: &str| match code_of.get(name) {
        Some(code) => *code,
        None => {
            let code = names.len() as u32;
            names.push(name.to_owned());
            code_of.insert(name.to_owned(), code);
            code
        }
    };
    let codes = cells
        .map(|(row, cell)| match gaps.read(cell.cell()) {
            Cell::Missing => None,
            Cell::Image(_) | Cell::Member(_) => {
                misread.push(row, "an image");
                None
            }
            cell => cell.to_text().map(|name| code(name.trim())),
        })
        .collect();
    MetadataValues::Categorical { names, codes }
}

impl Metadata {
    /// Metadata from JSON objects, as a service gets them: `{"area": 120, "side": "left", "taken": null}`.
    ///
    /// What a row does not name is missing, and so is `null`. A column with `from` and `pattern` is captured from
    /// `from` where that is given, otherwise taken as it is.
    ///
    /// # Errors
    ///
    /// [`Error::NoColumn`] for a key that is no column (a misspelt one would be silently missing);
    /// [`Error::Cell`] for a value that is not what its column holds, its row counted from 1 in the file `request`.
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::config::{MetadataConfig, MetadataKind};
    /// use sidelight_data::dataset::{Metadata, MetadataValues};
    ///
    /// let columns = [("area".to_owned(), MetadataConfig::new(MetadataKind::Continuous))];
    /// let row = serde_json::json!({"area": 120});
    /// let metadata = Metadata::from_json_rows(&columns, &[row.as_object().unwrap().clone()])?;
    /// assert_eq!(metadata.columns[0].values, MetadataValues::Continuous(vec![Some(120.0)]));
    /// # Ok::<(), sidelight_data::Error>(())
    /// ```
    pub fn from_json_rows(
        columns: &[(String, MetadataConfig)],
        rows: &[serde_json::Map<String, Value>],
    ) -> Result<Self> {
        let rows: Vec<&serde_json::Map<String, Value>> = rows.iter().collect();
        from_cells(columns, &rows, 1, &[], &|_, _, _| None)
    }
}

/// Metadata from JSON objects: `first` is the number of the first row in messages, `gaps` the table's spellings of
/// "missing". What a row names neither by the column's own name nor by that of its `from` is what `otherwise` has for
/// the row (from 0) and column.
pub(super) fn from_cells(
    columns: &[(String, MetadataConfig)],
    rows: &[&serde_json::Map<String, Value>],
    first: usize,
    gaps: &[String],
    otherwise: &dyn Fn(usize, &str, &MetadataConfig) -> Option<Fact>,
) -> Result<Metadata> {
    let known = |key: &str| {
        columns
            .iter()
            .any(|(name, config)| name == key || config.from.as_deref() == Some(key))
    };
    for key in rows.iter().flat_map(|row| row.keys()) {
        if !known(key) {
            let columns = columns.iter().map(|(name, _)| name.clone()).collect();
            return Err(Error::NoColumn {
                path: "request".into(),
                name: key.clone(),
                columns,
            });
        }
    }
    let mut read_columns = Vec::new();
    for (name, config) in columns {
        let is_given = |key: &str| {
            rows.iter()
                .any(|row| row.get(key).is_some_and(|value| !value.is_null()))
        };
        // The value itself, under the column's own name, needs no capturing.
        let is_direct = is_given(name);
        let source = match (&config.from, is_direct) {
            (Some(from), false) => from,
            _ => name,
        };
        let config = if is_direct {
            MetadataConfig {
                pattern: None,
                ..config.clone()
            }
        } else {
            config.clone()
        };
        let elsewhere: Vec<Option<Fact>> = match is_given(source) {
            true => Vec::new(),
            false => (0..rows.len())
                .map(|row| otherwise(row, name, &config))
                .collect(),
        };
        let cells = rows.iter().enumerate().map(|(row, cells)| {
            let fact = elsewhere.get(row).and_then(Option::as_ref);
            let cell = fact.map_or_else(|| json_cell(cells.get(source)), Fact::cell);
            (row, cell)
        });
        let gaps = MissingMarkers {
            table: gaps,
            column: &config.missing,
        };
        let mut misread = Misread::new(name, expected(config.kind));
        let values = read(&config, gaps, cells, &mut misread)?;
        let nested = rows
            .iter()
            .position(|row| matches!(row.get(source), Some(Value::Array(_) | Value::Object(_))));
        let wrong = match nested {
            Some(row) => Some((row, rows[row][source].to_string())),
            None => misread.first.into_iter().next(),
        };
        if let Some((row, found)) = wrong {
            let at = Place::file("request")
                .with_row(row + first)
                .with_column(name);
            return Err(Error::Cell {
                at,
                expected: misread.expected.into(),
                found,
            });
        }
        read_columns.push(MetadataColumn {
            name: name.clone(),
            values,
        });
    }
    Ok(Metadata {
        columns: read_columns,
        n_rows: rows.len(),
    })
}

fn json_cell(value: Option<&Value>) -> Cell<'_> {
    match value {
        Some(Value::Bool(value)) => Cell::Boolean(*value),
        Some(Value::Number(value)) => value.as_f64().map_or(Cell::Missing, Cell::Number),
        Some(Value::String(value)) if !value.trim().is_empty() => Cell::Text(value),
        _ => Cell::Missing,
    }
}
