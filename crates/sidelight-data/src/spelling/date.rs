//! Dates with day and month before the year, in the order that a whole column proves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which of day and month stands first in `03/04/2011`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DateOrder {
    /// The third of April.
    DayFirst,
    /// The fourth of March.
    MonthFirst,
}

impl DateOrder {
    /// As a configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DayFirst => "day-first",
            Self::MonthFirst => "month-first",
        }
    }

    /// The order in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::DayFirst => "day/month/year",
            Self::MonthFirst => "month/day/year",
        }
    }

    /// The same moment as a program writes it, where a cell is of this order: `20/10/2011 8:30 PM` is
    /// `2011-10-20T20:30:00`. Years have four digits; `/`, `.` and `-` separate.
    pub(super) fn as_iso(self, cell: &str) -> Option<String> {
        let cell = cell.trim();
        let (date, time) = match cell.split_once([' ', 'T', ',']) {
            Some((date, time)) => (date, time.trim()),
            None => (cell, ""),
        };
        let separator = date.chars().find(|c| matches!(c, '/' | '.' | '-'))?;
        let mut fields = date.split(separator);
        let (first, second, year) = (fields.next()?, fields.next()?, fields.next()?);
        let is_short = |field: &str| matches!(field.len(), 1 | 2);
        let are_digits = |field: &str| field.bytes().all(|byte| byte.is_ascii_digit());
        if fields.next().is_some()
            || !is_short(first)
            || !is_short(second)
            || year.len() != 4
            || ![first, second, year].into_iter().all(are_digits)
        {
            return None;
        }
        let (day, month) = match self {
            Self::DayFirst => (first, second),
            Self::MonthFirst => (second, first),
        };
        let time = clock(time)?;
        Some(format!("{year}-{month:0>2}-{day:0>2}{time}"))
    }
}

/// `8:30 PM` as `T20:30:00`; nothing for nothing.
fn clock(time: &str) -> Option<String> {
    if time.is_empty() {
        return Some(String::new());
    }
    let upper = time.to_ascii_uppercase();
    let mut halves = [("AM", 0), ("PM", 12)].into_iter();
    let half = halves.find(|(half, _)| upper.ends_with(half));
    let time = half.map_or(upper.as_str(), |_| upper[..upper.len() - 2].trim());
    let (hour, rest) = time.split_once(':')?;
    let hour: u32 = hour.parse().ok()?;
    let hour = match half {
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some((_, more)) => hour % 12 + more,
    };
    let seconds = if rest.contains(':') { "" } else { ":00" };
    Some(format!("T{hour:02}:{rest}{seconds}"))
}

/// What a column's cells say of the order of their dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoundOrder {
    /// Every cell is a date in this order, and one at least in no other.
    Proven(DateOrder),
    /// Every cell is a date in both orders.
    Ambiguous,
    /// Dates, but not all in one order.
    Mixed,
    /// Not dates of this form.
    NotDates,
}

/// The order of the dates in a column, of its different cells.
pub(crate) fn date_order<'a>(cells: &(impl Iterator<Item = &'a str> + Clone)) -> FoundOrder {
    let all = |order: DateOrder| {
        cells
            .clone()
            .all(|text| super::date_in_order(text, order).is_some())
    };
    match (all(DateOrder::DayFirst), all(DateOrder::MonthFirst)) {
        // No country that writes points puts the month first.
        (true, true) if cells.clone().all(|text| text.contains('.')) => {
            FoundOrder::Proven(DateOrder::DayFirst)
        }
        (true, true) => FoundOrder::Ambiguous,
        (true, false) => FoundOrder::Proven(DateOrder::DayFirst),
        (false, true) => FoundOrder::Proven(DateOrder::MonthFirst),
        (false, false) => {
            let is_date = |text: &str| {
                [DateOrder::DayFirst, DateOrder::MonthFirst]
                    .iter()
                    .any(|order| super::date_in_order(text, *order).is_some())
            };
            match cells.clone().all(is_date) {
                true => FoundOrder::Mixed,
                false => FoundOrder::NotDates,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_proves_its_order_or_does_not() {
        let order = |cells: &[&str]| date_order(&cells.iter().copied());
        assert_eq!(
            order(&["11/03/2011", "20/10/2011"]),
            FoundOrder::Proven(DateOrder::DayFirst)
        );
        assert_eq!(
            order(&["11/03/2011", "10/20/2011"]),
            FoundOrder::Proven(DateOrder::MonthFirst)
        );
        assert_eq!(order(&["11/03/2011", "1/2/2011"]), FoundOrder::Ambiguous);
        assert_eq!(
            order(&["11.03.2011", "1.2.2011"]),
            FoundOrder::Proven(DateOrder::DayFirst)
        );
        assert_eq!(order(&["20/10/2011", "10/20/2011"]), FoundOrder::Mixed);
        assert_eq!(order(&["20/10/2011", "soon"]), FoundOrder::NotDates);
        assert_eq!(order(&["1/2/3", "1/2/3"]), FoundOrder::NotDates);
    }

    #[test]
    fn a_date_is_the_same_moment_in_either_order() {
        for (order, text, iso) in [
            (DateOrder::DayFirst, "20/10/2011", "2011-10-20"),
            (DateOrder::DayFirst, "3.4.2011 8:05", "2011-04-03T08:05:00"),
            (
                DateOrder::MonthFirst,
                "10/20/2011 8:30 PM",
                "2011-10-20T20:30:00",
            ),
            (
                DateOrder::MonthFirst,
                "1/2/2011 12:00:01 AM",
                "2011-01-02T00:00:01",
            ),
        ] {
            assert_eq!(order.as_iso(text).as_deref(), Some(iso), "{text}");
        }
        for text in [
            "20/10/11",
            "2011/10/20",
            "20/10/2011/1",
            "20/10",
            "a/b/2011",
        ] {
            assert_eq!(DateOrder::DayFirst.as_iso(text), None, "{text}");
        }
    }
}
