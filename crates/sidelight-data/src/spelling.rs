//! Text as a number or a date, however it is written.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod date;
mod number;

pub use date::DateOrder;
pub(crate) use date::{FoundOrder, date_order};
pub use number::Decimal;
pub(crate) use number::{NumberStyle, Written, unit_of, written};

/// How the numbers and dates of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spelling<'a> {
    /// The decimal sign; `None`: a point, and thousands are not grouped.
    pub decimal: Option<Decimal>,
    /// What may stand beside a number.
    pub unit: Option<&'a str>,
    /// The order of dates that begin with neither the year nor a time.
    pub date_order: Option<DateOrder>,
}

impl Spelling<'_> {
    /// A finite number, written in this way.
    ///
    /// ```
    /// use sidelight_data::spelling::{Decimal, Spelling};
    ///
    /// let german = Spelling { decimal: Some(Decimal::Comma), unit: Some("kg"), ..Spelling::default() };
    /// assert_eq!(german.number("1.502,8 kg"), Some(1502.8));
    /// assert_eq!(german.number("1502.8"), None);
    /// assert_eq!(Spelling::default().number("1502.8"), Some(1502.8));
    /// ```
    pub fn number(&self, text: &str) -> Option<f64> {
        let text = match self.unit {
            Some(unit) => number::without_unit(text, unit),
            None => text,
        };
        match self.decimal {
            Some(decimal) => decimal.read(text),
            None => plain_number(text),
        }
    }

    /// A date, a time of day, or both, as seconds since 1970-01-01T00:00:00: as programs write it, or in this order.
    pub fn datetime(&self, text: &str) -> Option<f64> {
        let in_order = || date_in_order(text, self.date_order?);
        plain_datetime(text).or_else(in_order)
    }
}

/// A date with day and month before the year, as seconds since 1970.
pub(crate) fn date_in_order(text: &str, order: DateOrder) -> Option<f64> {
    plain_datetime(&order.as_iso(text)?)
}

/// A finite number as programs write it.
fn plain_number(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

/// A date, a time of day, or both, as programs write it, in seconds since 1970-01-01T00:00:00.
fn plain_datetime(text: &str) -> Option<f64> {
    let text = text.trim();
    // Every form begins with a digit, and the shortest is 12:30.
    if text.len() < 5 || text.len() > 64 || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(seconds(time));
    }
    let of_civil =
        |time: jiff::civil::DateTime| jiff::tz::Offset::UTC.to_timestamp(time).ok().map(seconds);
    // A name of a zone in brackets says nothing beyond the offset, and no offset means no zone: as written.
    let civil = |text: &str| {
        if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
            return of_civil(time);
        }
        let time = text
            .parse::<jiff::civil::Time>()
            .ok()
            .filter(|_| text.contains(':'))?;
        of_civil(jiff::civil::date(1970, 1, 1).to_datetime(time))
    };
    if let Some(time) = civil(text) {
        return Some(time);
    }
    // 2024/05/01 and 2024:05:01: the date with other separators.
    if let [_, _, _, _, first, _, _, second, _, _, ..] = text.as_bytes()
        && first == second
        && matches!(first, b'/' | b':' | b'.')
        && let Some((date, rest)) = text.split_at_checked(10)
    {
        let date: String = date
            .chars()
            .map(|c| if c.is_ascii_digit() { c } else { '-' })
            .collect();
        return civil(&format!("{date}{rest}"));
    }
    None
}

fn seconds(time: jiff::Timestamp) -> f64 {
    time.as_second() as f64 + f64::from(time.subsec_nanosecond()) * 1e-9
}
