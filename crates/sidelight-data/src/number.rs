//! Numbers as a reader wants them: three digits that matter, a real minus, thin spaces.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

const MINUS: char = '\u{2212}';
/// Narrow and not breaking.
const THIN: char = '\u{202F}';

/// Three significant digits; whole numbers whole. Not finite: a dash.
///
/// # Example
///
/// ```
/// use sidelight_data::number::number;
/// assert_eq!(number(0.33149), "0.331");
/// assert_eq!(number(-12.34), "−12.3");
/// assert_eq!(number(535.0), "535");
/// assert_eq!(number(0.0000123), "1.23 × 10⁻⁵");
/// ```
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let exponent = magnitude(value);
    if !(-4..7).contains(&exponent) {
        return scientific(value, exponent);
    }
    let decimals = match value.fract() == 0.0 {
        true => 0,
        false => usize::try_from(2 - exponent).unwrap_or(0),
    };
    fixed(value, decimals)
}

/// With so many decimals, a real minus, and thousands apart from 10 000 on.
pub fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if value < 0.0 && !is_zero {
        String::from(MINUS)
    } else {
        String::new()
    };
    format!("{sign}{}{rest}", grouped(whole))
}

/// Decimals that give the largest of these numbers three significant digits: for a column
/// whose numbers should stand digit under digit.
///
/// ```
/// use sidelight_data::number::{decimals, fixed};
/// let shown = decimals([0.412, 0.0191]);
/// assert_eq!(fixed(0.0191, shown), "0.019");
/// ```
pub fn decimals(values: impl IntoIterator<Item = f64>) -> usize {
    let finite = values.into_iter().filter(|value| value.is_finite());
    let largest = finite.fold(0.0, |largest: f64, value| largest.max(value.abs()));
    match largest > 0.0 {
        true => usize::try_from(2 - magnitude(largest)).map_or(0, |n| n.min(6)),
        false => 0,
    }
}

/// As [`fixed`], plus included.
pub fn signed_fixed(value: f64, decimals: usize) -> String {
    match value > 0.0 {
        true => format!("+{}", fixed(value, decimals)),
        false => fixed(value, decimals),
    }
}

/// With its sign, plus included: for differences.
///
/// ```
/// use sidelight_data::number::signed;
/// assert_eq!(signed(0.081), "+0.0810");
/// assert_eq!(signed(-3.0), "−3");
/// ```
pub fn signed(value: f64) -> String {
    match value > 0.0 {
        true => format!("+{}", number(value)),
        false => number(value),
    }
}

/// A count, thousands apart from 10 000 on.
pub fn count(n: usize) -> String {
    grouped(&n.to_string())
}

/// A count with its noun.
///
/// ```
/// use sidelight_data::number::counted;
/// assert_eq!(counted(1, "row"), "1 row");
/// assert_eq!(counted(2, "category"), "2 categories");
/// ```
pub fn counted(n: usize, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if n == 1 => format!("1 {noun}"),
        Some(stem) => format!("{n} {stem}ies"),
        None => format!("{n} {noun}s"),
    }
}

/// How many stand behind a number: `n = 535`, never broken over two lines.
///
/// ```
/// assert_eq!(sidelight_data::number::n_is(535), "n\u{a0}=\u{a0}535");
/// ```
pub fn n_is(n: usize) -> String {
    format!("n\u{a0}=\u{a0}{}", count(n))
}

/// A share in [0, 1] as a percentage.
///
/// ```
/// use sidelight_data::number::percent;
/// assert_eq!(percent(0.983), "98.3\u{202F}%");
/// assert_eq!(percent(1.0), "100\u{202F}%");
/// ```
pub fn percent(share: f64) -> String {
    let hundred = share * 100.0;
    let decimals = usize::from(hundred.fract().abs() > 1e-9);
    format!("{}{THIN}%", fixed(hundred, decimals))
}

/// A share in [0, 1] as a percentage without decimals.
pub fn whole_percent(share: f64) -> String {
    format!("{}{THIN}%", fixed(share * 100.0, 0))
}

/// A p-value: never 0, since no test can say so.
///
/// ```
/// use sidelight_data::number::p_value;
/// assert_eq!(p_value(0.0312), "0.031");
/// assert_eq!(p_value(1e-9), "< 0.001");
/// ```
pub fn p_value(p: f64) -> String {
    match p < 0.001 {
        true => "< 0.001".into(),
        false => fixed(p, 3),
    }
}

/// A duration in the units one would say it in.
///
/// ```
/// use sidelight_data::number::duration;
/// assert_eq!(duration(61.4), "1 min 1 s");
/// assert_eq!(duration(0.42), "0.420 s");
/// ```
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 10 on; saturates"
)]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 10.0 {
        return format!("{} s", number(seconds));
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// The power of ten of the number as it will be rounded: 0.9999 is 1.00.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the exponent of a finite number that is not 0"
)]
fn magnitude(value: f64) -> i32 {
    let exponent = value.abs().log10().floor() as i32;
    let rounded = (mantissa(value.abs(), exponent) * 100.0).round() / 100.0;
    exponent + i32::from(rounded >= 10.0)
}

fn mantissa(value: f64, exponent: i32) -> f64 {
    match exponent < -300 {
        // Of a subnormal number the power alone would be 0.
        true => value * 1e300 / 10f64.powi(exponent + 300),
        false => value / 10f64.powi(exponent),
    }
}

fn scientific(value: f64, exponent: i32) -> String {
    let digits = exponent.to_string();
    let raised: String = digits.chars().map(superscript).collect();
    format!("{} × 10{raised}", fixed(mantissa(value, exponent), 2))
}

fn superscript(character: char) -> char {
    match character {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        _ => '⁹',
    }
}

fn grouped(digits: &str) -> String {
    if digits.len() < 5 {
        return digits.to_owned();
    }
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(THIN);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_up_to_the_next_power_does_not_add_a_digit() {
        assert_eq!(number(0.99999), "1.00");
        assert_eq!(number(99.96), "100");
    }

    #[test]
    fn the_smallest_and_the_largest_number_are_told() {
        assert_eq!(number(5e-324), "4.94 × 10⁻³²⁴");
        assert_eq!(number(-2.5e-310), "−2.50 × 10⁻³¹⁰");
        assert_eq!(number(f64::MAX), "1.80 × 10³⁰⁸");
        assert_eq!((decimals([5e-324]), decimals([f64::MAX])), (6, 0));
        assert_eq!(duration(f64::MAX), "5124095576030431 h 0 min");
    }

    #[test]
    fn numbers_are_told_with_three_digits() {
        let told = [0.081_23, -12.345, 123_456.0, 0.000_123_4, 0.5, 0.0].map(number);
        let expected = [
            "0.0812",
            "−12.3",
            "123\u{202F}456",
            "0.000123",
            "0.500",
            "0",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_small_negative_number_does_not_become_minus_zero() {
        assert_eq!(fixed(-0.001, 1), "0.0");
    }

    #[test]
    fn what_is_not_a_number_is_a_dash() {
        assert_eq!(number(f64::NAN), "–");
        assert_eq!(percent(f64::INFINITY), "–\u{202F}%");
    }

    #[test]
    fn thousands_are_set_apart_from_ten_thousand_on() {
        assert_eq!(number(9999.0), "9999");
        assert_eq!(number(535_000.4), "535\u{202F}000");
        assert_eq!(count(1_234_567), "1\u{202F}234\u{202F}567");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        assert_eq!(duration(3725.0), "1 h 2 min");
        assert_eq!(duration(59.7), "1 min 0 s");
        assert_eq!(duration(12.0), "12 s");
    }
}
