//! Predictions of groups: several photographs of one thing, each a row, and one prediction for all of them.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{DataError, Result, setting};
use crate::store::RemoteConfig;
use crate::table::{Cell, Pieces, ReadLimit, SourceFormat};
use crate::task::{Prediction, Task};
use crate::write::{ColumnKind, CsvText, GroupRow, GroupsWriter, PredictionsWriter};

use super::table::labels;
use crate::run::Extra;

/// Rows of a part that are read at once.
const ROWS: usize = 8192;

/// Bytes that sums may take: beyond, there are as good as as many groups as rows.
const MOST_BYTES: usize = 4 << 30;

/// What a group takes beside its name and its sums, about: its place, its counts.
const BYTES_OF_GROUP: usize = 96;

/// The groups of the rows so far, in the order in which their first rows came: their sums, not their rows, so that memory
/// grows with the number of groups alone.
#[derive(Debug)]
pub(super) struct GroupMeans<'a> {
    task: &'a Task,
    /// Name of their column.
    column: &'a str,
    /// What means that a row has no group.
    missing: &'a [String],
    place: HashMap<String, usize>,
    /// `None`: a row without a group.
    names: Vec<Option<String>>,
    /// Rows of each, and those with a prediction.
    counts: Vec<[u64; 2]>,
    /// `[group][output]`, of the predictions' numbers: probabilities, or values in the target's own unit.
    sums: Vec<f64>,
    n_bytes: usize,
}

impl<'a> GroupMeans<'a> {
    /// None yet.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] of keypoints: places in several images have no mean.
    pub(super) fn new(task: &'a Task, column: &'a str, missing: &'a [String]) -> Result<Self> {
        check_task(task)?;
        Ok(Self {
            task,
            column,
            missing,
            place: HashMap::new(),
            names: Vec::new(),
            counts: Vec::new(),
            sums: Vec::new(),
            n_bytes: 0,
        })
    }

    /// How many groups.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Counts a row: its group's name as the table has it, and its prediction. One that has neither is in no group.
    fn add(&mut self, name: Option<&str>, numbers: Option<&[f64]>) -> Result<()> {
        let name = name.map(str::trim);
        let name = name.filter(|name| !name.is_empty() && !self.missing.iter().any(|m| m == name));
        if name.is_none() && numbers.is_none() {
            return Ok(());
        }
        let at = match name.and_then(|name| self.place.get(name)) {
            Some(at) => *at,
            None => self.begin(name)?,
        };
        self.counts[at][0] += 1;
        if let Some(numbers) = numbers {
            self.counts[at][1] += 1;
            let n = numbers.len();
            let sums = self.sums[at * n..].iter_mut();
            sums.zip(numbers).for_each(|(sum, number)| *sum += number);
        }
        Ok(())
    }

    fn begin(&mut self, name: Option<&str>) -> Result<usize> {
        let (at, width) = (self.names.len(), self.task.n_outputs());
        self.n_bytes += BYTES_OF_GROUP + 2 * name.map_or(0, str::len) + 8 * width;
        if self.n_bytes > MOST_BYTES {
            let expected = format!(
                "a column of fewer groups, whose sums fit in {} GiB; `--keep` writes it beside the predictions of rows",
                MOST_BYTES >> 30
            );
            let found = format!("{}, of which there are {at} and more", self.column);
            return Err(setting("by", expected, found).into());
        }
        if let Some(name) = name {
            self.place.insert(name.to_owned(), at);
        }
        self.names.push(name.map(str::to_owned));
        self.counts.push([0; 2]);
        self.sums.resize((at + 1) * width, 0.0);
        Ok(at)
    }

    /// Counts the rows of a part, whose first column is their group, as [`PredictionsWriter`] wrote it.
    ///
    /// # Errors
    ///
    /// Those of a table; [`DataError::PartDamaged`] of one with other columns.
    pub(super) fn read(&mut self, part: &Path, extras: &[Extra]) -> Result<()> {
        let by = [self.column.to_owned()];
        let columns = PredictionsWriter::columns(self.task, extras, &labels(&by));
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        // The group, `row` and `image`; of a class its name and its probability.
        let first = match self.task {
            Task::Class { .. } => 5,
            _ => 3,
        };
        let numbers = &columns[first..first + self.task.n_outputs()];
        // What we wrote is not to be guessed.
        let format = SourceFormat {
            separator: Some(','),
            encoding: Some("utf-8".into()),
            sheet: None,
        };
        let mut pieces = Pieces::open_as(&[part.to_path_buf()], &RemoteConfig::default(), &format)?;
        while let Some(piece) = pieces.next(ReadLimit::rows(ROWS))? {
            let damaged = || DataError::PartDamaged {
                path: part.to_path_buf(),
            };
            let column = |name: &str| piece.table.find(name).ok_or_else(damaged);
            let group = column(names[0])?;
            let of_numbers: Vec<_> = numbers
                .iter()
                .map(|(name, kind)| Ok((column(name)?, *kind)))
                .collect::<Result<_, DataError>>()?;
            for row in 0..piece.table.n_rows {
                let cells = of_numbers.iter();
                let found: Option<Vec<f64>> = cells
                    .map(|(column, kind)| number(column.cell(row), *kind))
                    .collect();
                self.add(group.cell(row).to_text().as_deref(), found.as_deref())?;
            }
        }
        Ok(())
    }

    /// Writes a row a group, in the order of their first rows.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`].
    pub(super) fn write(&self, path: &Path, text: CsvText) -> Result<()> {
        let mut writer = GroupsWriter::create(path, self.task, self.column, text)?;
        let width = self.task.n_outputs();
        let groups = self.names.iter().zip(&self.counts).enumerate();
        for (at, (name, &[rows, predicted])) in groups {
            let sums = &self.sums[at * width..][..width];
            let numbers: Vec<f64> = sums.iter().map(|sum| sum / predicted as f64).collect();
            let mean = Prediction::from_numbers(self.task.kind(), &numbers);
            writer.write(&GroupRow {
                name: name.as_deref(),
                rows,
                predicted,
                prediction: (predicted > 0).then_some(&mean),
            })?;
        }
        Ok(writer.finish()?)
    }
}

/// Refuses a task whose predictions of several rows have no mean.
pub(super) fn check_task(task: &Task) -> Result<()> {
    match task {
        Task::Keypoints { .. } => Err(setting(
            "by",
            "a class, labels or numbers: points are places in one image, and those in several have no mean",
            "keypoints",
        )
        .into()),
        _ => Ok(()),
    }
}

/// A number as it was written: of single precision in every format.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it was of single precision before it was written"
)]
fn number(cell: Cell<'_>, kind: ColumnKind) -> Option<f64> {
    let number = match cell {
        Cell::Number(number) => number,
        cell => cell.to_text()?.parse().ok()?,
    };
    Some(match kind {
        ColumnKind::Single => f64::from(number as f32),
        _ => number,
    })
}
