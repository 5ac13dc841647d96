//! What one cell says when it is read as a truth value, a number or a time.

use crate::spelling::Spelling;
use crate::table::Cell;

/// Reads `true/false`, `yes/no`, `t/f`, `y/n`, `1/0` in any case; `1.0` and `0.0`, as data frames write
/// truth values among gaps.
///
/// # Example
///
/// ```
/// use sidelight_data::schema::boolean;
/// use sidelight_data::table::Cell;
///
/// assert_eq!(boolean(Cell::Text(" Yes")), Some(true));
/// assert_eq!(boolean(Cell::Number(0.0)), Some(false));
/// assert_eq!(boolean(Cell::Text("maybe")), None);
/// ```
pub fn boolean(cell: Cell<'_>) -> Option<bool> {
    match cell {
        Cell::Boolean(value) => Some(value),
        Cell::Number(1.0) => Some(true),
        Cell::Number(0.0) => Some(false),
        Cell::Text(text) => {
            let text = text.trim();
            let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
            if is(&["true", "yes", "t", "y", "1", "1.0"]) {
                Some(true)
            } else if is(&["false", "no", "f", "n", "0", "0.0"]) {
                Some(false)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// Reads a finite number written with a decimal point, an exponent allowed; `1,5`, `50+`, `$3` and `inf` are none
/// ([`Spelling`] says of a column how they are meant).
///
/// # Example
///
/// ```
/// use sidelight_data::schema::number;
/// use sidelight_data::table::Cell;
///
/// assert_eq!(number(Cell::Text("1e-3")), Some(0.001));
/// assert_eq!(number(Cell::Text("50+")), None);
/// ```
pub fn number(cell: Cell<'_>) -> Option<f64> {
    number_as(cell, &Spelling::default())
}

/// Reads a date, a time of day, or both, as seconds since 1970-01-01T00:00:00.
///
/// Understood are RFC 3339 (an offset is applied), `2024-05-01`, `2024-05-01 13:30[:05.25]`, `13:30[:05]`
/// (on the first day), `20240501`, `2024/05/01` and the camera's `2024:05:01 13:30:05`.
/// Day and month before the year (`05/01/2024`) are not: which is which, a whole column may prove ([`Spelling`]).
///
/// # Example
///
/// ```
/// use sidelight_data::schema::datetime;
/// use sidelight_data::table::Cell;
///
/// assert_eq!(datetime(Cell::Text("1970-01-02")), Some(86400.0));
/// assert_eq!(datetime(Cell::Text("1970-01-01T02:00:00+02:00")), Some(0.0));
/// assert_eq!(datetime(Cell::Text("00:01:30.5")), Some(90.5));
/// assert_eq!(datetime(Cell::Text("05/01/2024")), None);
/// ```
pub fn datetime(cell: Cell<'_>) -> Option<f64> {
    datetime_as(cell, &Spelling::default())
}

/// As [`number`], written in this way.
pub(crate) fn number_as(cell: Cell<'_>, spelling: &Spelling<'_>) -> Option<f64> {
    match cell {
        Cell::Number(number) => number.is_finite().then_some(number),
        Cell::Boolean(value) => Some(f64::from(u8::from(value))),
        Cell::Text(text) => spelling.number(text),
        _ => None,
    }
}

/// As [`datetime`], written in this way.
pub(crate) fn datetime_as(cell: Cell<'_>, spelling: &Spelling<'_>) -> Option<f64> {
    match cell {
        Cell::Text(text) => spelling.datetime(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_spellings_of_truth_are_read() {
        for text in ["true", "TRUE", "Yes", "t", "Y", "1", "1.0"] {
            assert_eq!(boolean(Cell::Text(text)), Some(true), "{text}");
        }
        for text in ["false", "No", "F", "n", "0", "0.0"] {
            assert_eq!(boolean(Cell::Text(text)), Some(false), "{text}");
        }
        for text in ["2", "yes!", "", "unknown", "-1"] {
            assert_eq!(boolean(Cell::Text(text)), None, "{text}");
        }
        assert_eq!(boolean(Cell::Number(2.0)), None);
    }

    #[test]
    fn only_finite_plain_numbers_are_numbers() {
        for (text, expected) in [
            ("3", 3.0),
            (" -2.5 ", -2.5),
            ("+7", 7.0),
            ("1E5", 1e5),
            (".5", 0.5),
        ] {
            assert_eq!(number(Cell::Text(text)), Some(expected), "{text}");
        }
        for text in [
            "1,5", "1,000", "50+", "$3", "inf", "NaN", "0x10", "1 000", "12 px", "1e999",
        ] {
            assert_eq!(number(Cell::Text(text)), None, "{text}");
        }
    }

    #[test]
    fn dates_and_times_are_seconds_since_1970() {
        for (text, expected) in [
            ("2000-01-01", 946_684_800.0),
            ("20000101", 946_684_800.0),
            ("2000/01/01", 946_684_800.0),
            ("2000-01-01T00:00:01", 946_684_801.0),
            ("2000-01-01 00:01", 946_684_860.0),
            ("2000:01:01 00:00:02", 946_684_802.0),
            ("2000-01-01T01:00:00+01:00", 946_684_800.0),
            ("2000-01-01T00:00:00.250Z", 946_684_800.25),
            ("1969-12-31T23:59:59.5Z", -0.5),
            ("13:30", 48_600.0),
            ("00:00:10", 10.0),
        ] {
            assert_eq!(datetime(Cell::Text(text)), Some(expected), "{text}");
        }
        for text in [
            "01/02/2000",
            "2000-13-01",
            "2000",
            "25:00",
            "yesterday",
            "3.14",
            "12345",
            "2000-02-30",
            "1.234567",
        ] {
            assert_eq!(datetime(Cell::Text(text)), None, "{text}");
        }
    }
}
