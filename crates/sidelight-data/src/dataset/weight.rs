//! How much each row counts: the column of `data.weight`.

use super::metadata::{Misread, MissingMarkers};
use crate::error::{Result, setting};
use crate::schema;
use crate::spelling::Spelling;
use crate::table::Column;

/// What a cell of the column is to be.
pub(crate) const EXPECTED: &str = "the weight of its row: a number, 0 or more";

/// How much each row counts. Only the proportions matter: a row that counts 2 among rows that count 1 is as good as
/// two equal rows, and one that counts 0 is as good as none.
#[derive(Debug, Clone, PartialEq)]
pub struct RowWeights {
    /// One a row, finite, 0 or more.
    of_row: Vec<f64>,
    /// The largest, of these rows and of those that were not selected.
    largest: f64,
}

impl RowWeights {
    /// One number a row, finite, 0 or more.
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::dataset::RowWeights;
    ///
    /// let weights = RowWeights::new(vec![1.0, 4.0, 4.0]);
    /// assert_eq!(weights.of(&[0, 1]), Some(vec![1.0, 4.0]));
    /// // These two count the same: as without weights.
    /// assert_eq!(weights.of(&[1, 2]), None);
    /// assert_eq!(weights.in_loss(0), 0.25);
    /// ```
    pub fn new(of_row: Vec<f64>) -> Self {
        let largest = of_row.iter().copied().fold(0.0, f64::max);
        Self { of_row, largest }
    }

    /// The rows at these positions, in this order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            of_row: indices.iter().map(|&row| self.of_row[row]).collect(),
            largest: self.largest,
        }
    }

    /// One a row, as in the table.
    pub fn of_row(&self) -> &[f64] {
        &self.of_row
    }

    /// As in the table, of these rows; `None` where they all count the same: what they count then changes nothing, not
    /// even the last bit.
    pub fn of(&self, rows: &[usize]) -> Option<Vec<f64>> {
        let own: Vec<f64> = rows.iter().map(|&row| self.of_row[row]).collect();
        let first = *own.first()?;
        (first == 0.0 || own.iter().any(|weight| *weight != first)).then_some(own)
    }

    /// Of a row as a share of the largest, in [0, 1]: what its loss is multiplied by. Where all count the same it is 1.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a share: what is lost is far below what it is multiplied with"
    )]
    pub fn in_loss(&self, row: usize) -> f32 {
        (self.of_row[row] / self.largest.max(f64::MIN_POSITIVE)) as f32
    }

    /// Refuses rows of which none counts anything: there is nothing to learn from them, and no score.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting); `which` names the rows, as in `the training rows`.
    pub fn check(&self, column: &str, rows: &[usize], which: &str) -> Result<()> {
        match rows.is_empty() || rows.iter().any(|&row| self.of_row[row] > 0.0) {
            true => Ok(()),
            false => Err(setting(
                "data.weight",
                format!("a column that is above 0 in some of {which}"),
                format_args!("{column}, which is 0 in all {} of them", rows.len()),
            )),
        }
    }
}

/// Weights of rows divided by their mean, so that what they are added to counts as so many rows; as they are where none is
/// above 0.
pub fn of_mean_one(weights: &[f64]) -> Vec<f64> {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    // Shares of the largest first: a sum may be beyond all numbers.
    let mean = weights.iter().map(|weight| weight / largest).sum::<f64>() / weights.len() as f64;
    match largest > 0.0 {
        true => weights
            .iter()
            .map(|weight| weight / largest / mean)
            .collect(),
        false => weights.to_vec(),
    }
}

/// The weights in a column. A cell that is none is misread, and counts nothing.
pub(super) fn read(
    column: &Column,
    spelling: Spelling<'_>,
    gaps: MissingMarkers<'_>,
    rows: &[usize],
    misread: &mut Vec<Misread>,
) -> RowWeights {
    let mut unread = Misread::new(&column.name, EXPECTED);
    let mut weight = |&row: &usize| {
        let cell = gaps.read(column.cell(row));
        let number = schema::number_as(cell, &spelling);
        let weight = number.filter(|number| number.is_finite() && *number >= 0.0);
        weight.unwrap_or_else(|| {
            unread.push(row, &column.cell(row).to_text().unwrap_or_default());
            0.0
        })
    };
    let of_row = rows.iter().map(&mut weight).collect();
    misread.push(unread);
    RowWeights::new(of_row)
}
