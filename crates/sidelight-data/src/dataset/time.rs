//! When each row was made: the column that rows are divided by in the order of time.

use super::metadata::{Misread, MissingMarkers};
use super::text::moment;
use crate::number::number;
use crate::schema;
use crate::spelling::Spelling;
use crate::table::Column;

/// The time of each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// The column in the table.
    pub column: String,
    /// One a row, the later the greater. NaN: it cannot be read, which `check` lists and [`Dataset::new`] refuses.
    ///
    /// [`Dataset::new`]: super::Dataset::new
    pub of_row: Vec<f64>,
    /// Whether they are dates, in seconds since 1970-01-01T00:00:00, and not numbers of the table's own kind.
    pub are_dates: bool,
}

impl Times {
    /// The rows at these positions, in this order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            column: self.column.clone(),
            of_row: indices.iter().map(|&row| self.of_row[row]).collect(),
            are_dates: self.are_dates,
        }
    }

    /// From when to when these rows are: `2024-03-01 to 2024-05-31`.
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::dataset::Times;
    ///
    /// let years = Times { column: "year".into(), of_row: vec![2021.0, 2019.0, 2020.0], are_dates: false };
    /// assert_eq!(years.range(&[0, 1]), "2019 to 2021");
    /// assert_eq!(years.range(&[2]), "2020");
    /// ```
    pub fn range(&self, rows: &[usize]) -> String {
        let times = || rows.iter().map(|&row| self.of_row[row]);
        let (first, last) = (
            times().fold(f64::INFINITY, f64::min),
            times().fold(f64::NEG_INFINITY, f64::max),
        );
        match (self.as_text(first), self.as_text(last)) {
            (first, last) if first == last => first,
            (first, last) => format!("{first} to {last}"),
        }
    }

    fn as_text(&self, time: f64) -> String {
        match self.are_dates {
            true => moment(time),
            false if time.abs() < 1e15 => time.to_string(),
            false => number(time),
        }
    }
}

/// The times in a column: dates where no fewer cells are dates than numbers. A cell that is neither is misread.
pub(super) fn read(
    column: &Column,
    spelling: Spelling<'_>,
    gaps: MissingMarkers<'_>,
    rows: &[usize],
    misread: &mut Vec<Misread>,
) -> Times {
    let cells = || rows.iter().map(|&row| gaps.read(column.cell(row)));
    let dates: Vec<Option<f64>> = cells()
        .map(|cell| schema::datetime_as(cell, &spelling))
        .collect();
    let numbers: Vec<Option<f64>> = cells()
        .map(|cell| schema::number_as(cell, &spelling))
        .collect();
    let n_known = |times: &[Option<f64>]| times.iter().flatten().count();
    let are_dates = n_known(&dates) >= n_known(&numbers);
    let (found, expected) = match are_dates {
        true => (
            dates,
            "the time of its row: a date or a time (2024-05-01, 2024-05-01T13:30:00, 13:30)",
        ),
        false => (numbers, "the time of its row: a number"),
    };
    let mut unread = Misread::new(&column.name, expected);
    let mut of_row = Vec::with_capacity(rows.len());
    for (&row, time) in rows.iter().zip(found) {
        if time.is_none() {
            let text = gaps.read(column.cell(row)).to_text().unwrap_or_default();
            unread.push(row, &text);
        }
        of_row.push(time.unwrap_or(f64::NAN));
    }
    misread.push(unread);
    Times {
        column: column.name.clone(),
        of_row,
        are_dates,
    }
}
