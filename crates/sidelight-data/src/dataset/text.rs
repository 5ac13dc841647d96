//! Metadata as text, as a person would write it.

use super::{Metadata, MetadataColumn, MetadataValues};
use crate::number::number;

impl Metadata {
    /// One row as text, as it was read and before it was encoded: each column with its value, `None` for missing.
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::dataset::{Metadata, MetadataColumn, MetadataValues};
    /// let metadata = Metadata {
    ///     columns: vec![MetadataColumn {
    ///         name: "beds".into(),
    ///         values: MetadataValues::Continuous(vec![Some(3.0), None]),
    ///     }],
    ///     n_rows: 2,
    /// };
    /// assert_eq!(metadata.row_as_text(0), [("beds".into(), Some("3".into()))]);
    /// assert_eq!(metadata.row_as_text(1), [("beds".into(), None)]);
    /// ```
    pub fn row_as_text(&self, position: usize) -> Vec<(String, Option<String>)> {
        self.columns
            .iter()
            .map(|column| (column.name.clone(), column.as_text(position)))
            .collect()
    }
}

impl MetadataColumn {
    /// One value as text; `None` for missing.
    pub fn as_text(&self, position: usize) -> Option<String> {
        match &self.values {
            MetadataValues::Boolean(values) => {
                values[position].map(|yes| (if yes { "yes" } else { "no" }).into())
            }
            MetadataValues::Continuous(values) => values[position].map(|value| value.to_string()),
            MetadataValues::Categorical { names, codes } => {
                codes[position].map(|code| names[code as usize].clone())
            }
            MetadataValues::Datetime(values) => values[position].map(moment),
        }
    }
}

/// Seconds since 1970 as a date, with the time where there is one.
#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates beyond the calendar"
)]
pub(super) fn moment(seconds: f64) -> String {
    match jiff::Timestamp::from_second(seconds as i64) {
        Ok(moment) if seconds % 86_400.0 == 0.0 => moment.strftime("%Y-%m-%d").to_string(),
        Ok(moment) => moment.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        // Beyond year 9999 there is no calendar to write it in.
        Err(_) => number(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_shown_as_a_person_would_write_it() {
        let column = |values| MetadataColumn {
            name: "c".into(),
            values,
        };
        let read = |values| column(values).as_text(0);
        assert_eq!(
            read(MetadataValues::Boolean(vec![Some(true)])).unwrap(),
            "yes"
        );
        assert_eq!(
            read(MetadataValues::Continuous(vec![Some(0.1)])).unwrap(),
            "0.1"
        );
        assert_eq!(
            read(MetadataValues::Datetime(vec![Some(86_400.0)])).unwrap(),
            "1970-01-02"
        );
        assert_eq!(
            read(MetadataValues::Datetime(vec![Some(86_461.0)])).unwrap(),
            "1970-01-02 00:01:01"
        );
        let names = vec!["left".to_owned(), "right".to_owned()];
        let codes = vec![Some(1)];
        assert_eq!(
            read(MetadataValues::Categorical { names, codes }).unwrap(),
            "right"
        );
    }
}
