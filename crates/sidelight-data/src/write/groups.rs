//! Predictions of groups as a table: one row for several rows of one thing.
//!
//! The group's name comes first, under the name of its column; then `rows`, how many it has, and `predicted`, how many of
//! them have a prediction; then the mean of those, in the columns of a table of predictions.

use std::path::Path;

use super::predictions::{made_different, prediction_cells, prediction_columns};
use super::spreadsheet::CsvText;
use super::table::{ColumnKind, TableWriter, Value};
use crate::error::Result;
use crate::task::{Prediction, Task};

/// A group of rows and what is said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRow<'a> {
    /// What its rows have in common; `None`: a row without a group.
    pub name: Option<&'a str>,
    /// How many rows it has.
    pub rows: u64,
    /// How many of them have a prediction.
    pub predicted: u64,
    /// The mean of those; `None`: there is none.
    pub prediction: Option<&'a Prediction>,
}

/// Writes groups as CSV, JSON Lines or Parquet, by the path's ending.
/// Dropped before [`finish`](Self::finish), it leaves nothing.
///
/// # Example
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("plants.csv");
/// use sidelight_data::task::{Prediction, Task};
/// use sidelight_data::write::{CsvText, GroupRow, GroupsWriter};
///
/// let task = Task::Class {
///     column: "species".into(),
///     names: vec!["oak".into(), "elm".into()],
///     counts: vec![5, 7],
/// };
/// let mut writer = GroupsWriter::create(&path, &task, "plant", CsvText::Exact)?;
/// let mean = Prediction::Class { probabilities: vec![0.25, 0.75] };
/// writer.write(&GroupRow { name: Some("P1"), rows: 3, predicted: 2, prediction: Some(&mean) })?;
/// writer.finish()?;
/// assert_eq!(
///     std::fs::read_to_string(&path)?,
///     "plant,rows,predicted,prediction,probability,p(oak),p(elm)\nP1,3,2,elm,0.75,0.25,0.75\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GroupsWriter {
    table: TableWriter,
    task: Task,
}

impl GroupsWriter {
    /// Begins the table of the groups of a column.
    ///
    /// # Errors
    ///
    /// [`Error::OutputFormat`](crate::Error::OutputFormat), [`Error::Write`](crate::Error::Write).
    pub fn create(path: &Path, task: &Task, column: &str, text: CsvText) -> Result<Self> {
        let mut columns = vec![
            (column.to_owned(), ColumnKind::Text),
            ("rows".to_owned(), ColumnKind::Integer),
            ("predicted".to_owned(), ColumnKind::Integer),
        ];
        columns.extend(prediction_columns(task));
        made_different(&mut columns);
        Ok(Self {
            table: TableWriter::create_as(path, &columns, text)?,
            task: task.clone(),
        })
    }

    /// Appends a group.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write).
    ///
    /// # Panics
    ///
    /// Where the prediction is of another task.
    pub fn write(&mut self, group: &GroupRow<'_>) -> Result<()> {
        let name = group
            .name
            .map_or(Value::Missing, |name| Value::Text(name.into()));
        let mut cells = vec![
            name,
            Value::count(group.rows),
            Value::count(group.predicted),
        ];
        match group.prediction {
            Some(prediction) => prediction_cells(&self.task, prediction, None, &mut cells),
            None => cells.extend(
                prediction_columns(&self.task)
                    .iter()
                    .map(|_| Value::Missing),
            ),
        }
        self.table.write(&cells)
    }

    /// Puts the table in its place.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write).
    pub fn finish(self) -> Result<()> {
        self.table.finish()
    }
}
