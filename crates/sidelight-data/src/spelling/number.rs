//! Numbers as other countries write them, and with their unit beside them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What stands before the decimals of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Decimal {
    /// `1,234.5`: a point; commas, blanks and apostrophes group thousands.
    #[serde(rename = ".")]
    Point,
    /// `1.234,5`: a comma; points, blanks and apostrophes group thousands.
    #[serde(rename = ",")]
    Comma,
}

impl Decimal {
    /// The character.
    pub fn sign(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }

    /// Reads a finite number; groups of thousands have exactly three digits, or it is none.
    pub(crate) fn read(self, text: &str) -> Option<f64> {
        let text = text.trim();
        let (minus, digits) = match text.strip_prefix(['-', '−']) {
            Some(rest) => ("-", rest),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == self.sign()) {
            return None;
        }
        let (whole, rest) = match digits.split_once(self.sign()) {
            Some((whole, rest)) => (whole, Some(rest)),
            None => (digits, None),
        };
        let whole = ungrouped(whole, self)?;
        if let Some(rest) = rest {
            // Decimals are not grouped; an exponent may follow.
            if !rest.starts_with(|c: char| c.is_ascii_digit()) || rest.contains([',', ' ']) {
                return None;
            }
        }
        let plain = match rest {
            Some(rest) => format!("{minus}{whole}.{rest}"),
            None => format!("{minus}{whole}"),
        };
        plain.parse().ok().filter(|number: &f64| number.is_finite())
    }
}

/// The digits of a whole number without what groups them: `1 234 567`, by three from the second group on.
fn ungrouped(whole: &str, decimal: Decimal) -> Option<String> {
    let is_separator = |c: char| {
        matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\'' | '’')
            || c == if decimal == Decimal::Point { ',' } else { '.' }
    };
    let Some(separator) = whole.chars().find(|c| is_separator(*c)) else {
        return Some(whole.to_owned());
    };
    let mut groups = whole.split(separator);
    let first = groups.next()?;
    let are_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    // 0,123 is no thousand.
    let begins = (1..=3).contains(&first.len()) && are_digits(first) && !first.starts_with('0');
    let follow = groups.all(|group| group.len() == 3 && are_digits(group));
    (begins && follow).then(|| whole.chars().filter(char::is_ascii_digit).collect())
}

/// How all numbers of a column are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Written {
    /// The decimal sign, where they are not plain numbers; `None`: as a program writes them.
    pub(crate) decimal: Option<Decimal>,
    /// What stands beside every one.
    pub(crate) unit: Option<String>,
}

/// What a column's cells say of how its numbers are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NumberStyle {
    /// In this way, each of them.
    So(Written),
    /// `1,234`: thousands for some, decimals for others, and no cell says which.
    Ambiguous,
    /// They are not numbers, or not all.
    NotNumbers,
}

/// How the numbers of a column are written, of its different cells; `usual` is how others of the table are.
pub(crate) fn written<'a>(
    cells: &(impl Iterator<Item = &'a str> + Clone),
    usual: Option<Decimal>,
) -> NumberStyle {
    let plain = |text: &str| super::plain_number(text).is_some();
    if cells.clone().all(plain) {
        // 1.234 beside columns of 28,7: thousands, if every point has three digits behind it.
        let is_dotted = cells.clone().any(|text| text.contains('.'));
        let decimal = match usual {
            Some(Decimal::Comma) if is_dotted => {
                let grouped = cells
                    .clone()
                    .all(|text| Decimal::Comma.read(text).is_some());
                Some(if grouped {
                    Decimal::Comma
                } else {
                    Decimal::Point
                })
            }
            _ => None,
        };
        return NumberStyle::So(Written {
            decimal,
            unit: None,
        });
    }
    let mut numbers = cells.clone();
    let unit = numbers.next().and_then(unit_of);
    let core = |text: &'a str| match unit {
        Some(unit) => Some(without_unit(text, unit)).filter(|core| core.len() < text.trim().len()),
        None => Some(text),
    };
    // Fails at the first cell that is no number, which for names is the first.
    let all = |read: &dyn Fn(&str) -> bool| cells.clone().all(|text| core(text).is_some_and(read));
    let so = |decimal| {
        NumberStyle::So(Written {
            decimal,
            unit: unit.map(str::to_owned),
        })
    };
    if unit.is_some() && all(&|text| super::plain_number(text).is_some()) {
        return so(None);
    }
    let comma = all(&|text| Decimal::Comma.read(text).is_some());
    let point = all(&|text| Decimal::Point.read(text).is_some());
    let same = || all(&|text| Decimal::Comma.read(text) == Decimal::Point.read(text));
    match (comma, point) {
        (false, false) => NumberStyle::NotNumbers,
        (true, false) => so(Some(Decimal::Comma)),
        (false, true) => so(Some(Decimal::Point)),
        (true, true) if same() => so(Some(usual.unwrap_or(Decimal::Point))),
        (true, true) => usual.map_or(NumberStyle::Ambiguous, |usual| so(Some(usual))),
    }
}

/// Units that are written right behind the number.
const CLOSE_UNITS: [&str; 43] = [
    "%", "‰", "°", "°C", "°F", "'", "\"", "€", "$", "£", "¥", "mm", "cm", "m", "km", "in", "ft",
    "g", "kg", "mg", "µg", "lb", "lbs", "oz", "ml", "mL", "l", "L", "s", "ms", "min", "h", "y",
    "yr", "px", "Hz", "V", "mV", "W", "kW", "K", "mmHg", "bpm",
];

/// What is written before a number.
const SIGNS: [&str; 9] = ["$", "€", "£", "¥", "US$", "USD", "EUR", "GBP", "CHF"];

/// The unit beside the number in a cell, if there is one: `12 cm`, `35%`, `$ 1,200`. `P12` and `50+` have none.
pub(crate) fn unit_of(cell: &str) -> Option<&str> {
    let cell = cell.trim();
    let digit = |c: char| c.is_ascii_digit();
    let (first, last) = (cell.find(digit)?, cell.rfind(digit)? + 1);
    let before = cell[..first]
        .trim_end_matches(['.', ',', '-', '−', '+'])
        .trim();
    let before = before.trim_start_matches(['-', '−', '+']).trim();
    let after = &cell[last..];
    match (before.is_empty(), after.trim()) {
        (false, "") => SIGNS.contains(&before).then_some(before),
        (true, unit) if !unit.is_empty() => {
            let is_apart = after.starts_with(|c: char| c.is_whitespace());
            let is_word = unit.chars().count() <= 12
                && unit.starts_with(|c: char| c.is_alphabetic() || "%‰°€$£¥µ'\"".contains(c));
            ((is_apart && is_word) || CLOSE_UNITS.contains(&unit)).then_some(unit)
        }
        _ => None,
    }
}

/// The number in a cell without its unit, which may stand before or behind it, or not at all.
pub(super) fn without_unit<'a>(cell: &'a str, unit: &str) -> &'a str {
    let cell = cell.trim();
    let rest = cell.strip_suffix(unit).or_else(|| cell.strip_prefix(unit));
    rest.map_or(cell, str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_other_countries_are_read_and_groups_have_three_digits() {
        for (decimal, text, expected) in [
            (Decimal::Comma, "28,7", Some(28.7)),
            (Decimal::Comma, "1.502,8", Some(1502.8)),
            (Decimal::Comma, "1.234.567", Some(1_234_567.0)),
            (Decimal::Comma, "1 234,5", Some(1234.5)),
            (Decimal::Comma, "1\u{a0}234", Some(1234.0)),
            (Decimal::Comma, "-0,5", Some(-0.5)),
            (Decimal::Comma, "−3", Some(-3.0)),
            (Decimal::Comma, ",5", Some(0.5)),
            (Decimal::Comma, "1,5e3", Some(1500.0)),
            (Decimal::Comma, "1.5", None),
            (Decimal::Comma, "0.123", None),
            (Decimal::Comma, "1,2,3", None),
            (Decimal::Comma, "28,", None),
            (Decimal::Comma, "20.10.2011", None),
            (Decimal::Point, "1,234.5", Some(1234.5)),
            (Decimal::Point, "1,234,567", Some(1_234_567.0)),
            (Decimal::Point, "1'234", Some(1234.0)),
            (Decimal::Point, "12,34", None),
            (Decimal::Point, "28,7", None),
            (Decimal::Point, "inf", None),
            (Decimal::Point, "", None),
        ] {
            assert_eq!(decimal.read(text), expected, "{decimal:?} {text}");
        }
    }

    fn found(cells: &[&str], usual: Option<Decimal>) -> NumberStyle {
        written(&cells.iter().copied(), usual)
    }

    fn so(decimal: Option<Decimal>, unit: Option<&str>) -> NumberStyle {
        NumberStyle::So(Written {
            decimal,
            unit: unit.map(str::to_owned),
        })
    }

    #[test]
    fn a_column_says_how_its_numbers_are_written() {
        let (comma, point) = (Some(Decimal::Comma), Some(Decimal::Point));
        assert_eq!(found(&["1", "2.5"], None), so(None, None));
        assert_eq!(found(&["1", "28,7", "1.502,8"], None), so(comma, None));
        assert_eq!(found(&["1,234.5", "7"], None), so(point, None));
        assert_eq!(found(&["1,234", "2,345"], None), NumberStyle::Ambiguous);
        assert_eq!(found(&["1,234", "2,345"], comma), so(comma, None));
        assert_eq!(found(&["1 234", "20 000"], None), so(point, None));
        assert_eq!(found(&["0,123", "0,234"], None), so(comma, None));
        // Beside columns with commas.
        assert_eq!(found(&["1.234", "2.500"], comma), so(comma, None));
        assert_eq!(found(&["48.137", "11.5"], comma), so(point, None));
        assert_eq!(found(&["3", "4"], comma), so(None, None));
    }

    #[test]
    fn units_are_taken_off_and_names_with_numbers_stay_names() {
        let point = Some(Decimal::Point);
        assert_eq!(found(&["12 cm", "7.5 cm"], None), so(None, Some("cm")));
        assert_eq!(found(&["35%", "4%"], None), so(None, Some("%")));
        assert_eq!(found(&["$1,200", "$950.5"], None), so(point, Some("$")));
        assert_eq!(
            found(&["12,5 kg", "7 kg"], None),
            so(Some(Decimal::Comma), Some("kg"))
        );
        assert_eq!(found(&["-3 °C", "4 °C"], None), so(None, Some("°C")));
        for names in [
            &["P12", "P13"][..],
            &["12A", "13A"],
            &["50+", "60+"],
            &["12 cm", "3 m"],
            &["12 cm", "3"],
            &["room 3", "room 4"],
            &["2011-05-01", "2011-05-02"],
            &["1,2", "3,4,5"],
        ] {
            assert_eq!(found(names, None), NumberStyle::NotNumbers, "{names:?}");
        }
    }
}
