//! Numbers as their formats show them: dates, times, or the number itself.

use jiff::ToSpan as _;
use jiff::civil::Date;

/// What a number format makes of a number, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    /// A number, also of money or per cent.
    #[default]
    Number,
    /// A point in time: of its day, of its hour, or of both.
    Date,
    Time,
    DateTime,
    /// Hours that go on after 24.
    Elapsed,
}

impl Form {
    /// One of those that every workbook has.
    ///
    /// # Source
    ///
    /// ECMA-376, part 1, 18.8.30 (`numFmt`).
    pub(super) fn of_id(id: u32) -> Self {
        match id {
            14..=17 | 27..=31 | 34..=36 | 50..=58 => Self::Date,
            18..=21 | 32 | 33 | 45 | 47 => Self::Time,
            22 => Self::DateTime,
            46 => Self::Elapsed,
            _ => Self::Number,
        }
    }

    /// One that a workbook brings, by its code, as `dd/mm/yyyy hh:mm`.
    pub(super) fn of_code(code: &str) -> Self {
        let (mut has_day, mut has_month, mut has_hour) = (false, false, false);
        let mut letters = code.chars();
        while let Some(letter) = letters.next() {
            let rest = letters.as_str();
            match letter.to_ascii_lowercase() {
                // What is meant to be seen as it is.
                '"' => while letters.next().is_some_and(|letter| letter != '"') {},
                '\\' | '_' | '*' => {
                    letters.next();
                }
                // A colour, a condition, a country; or hours that go on.
                '[' => {
                    let inside = rest.split(']').next().unwrap_or_default();
                    let is_elapsed = !inside.is_empty()
                        && ["h", "m", "s"]
                            .iter()
                            .any(|unit| inside.to_ascii_lowercase().replace(unit, "").is_empty());
                    if is_elapsed {
                        return Self::Elapsed;
                    }
                    while letters.next().is_some_and(|letter| letter != ']') {}
                }
                // Numbers above 0 have the first form.
                ';' => break,
                'a' if starts_with(rest, "m/pm") || starts_with(rest, "/p") => {
                    has_hour = true;
                    let n = if starts_with(rest, "m/pm") { 4 } else { 2 };
                    letters.by_ref().take(n).for_each(drop);
                }
                'g' if starts_with(rest, "eneral") => {
                    letters.by_ref().take(6).for_each(drop);
                }
                'd' | 'y' => has_day = true,
                'h' | 's' => has_hour = true,
                // A month, or minutes beside hours or seconds.
                'm' => has_month = true,
                _ => {}
            }
        }
        match (has_day || (has_month && !has_hour), has_hour) {
            (true, true) => Self::DateTime,
            (true, false) => Self::Date,
            (false, true) => Self::Time,
            (false, false) => Self::Number,
        }
    }

    /// Appends a number as text. Dates and times are as in ISO 8601; what no calendar has stays a number.
    pub(super) fn write(self, number: f64, is_1904: bool, text: &mut String) {
        let written = match self {
            Self::Number => None,
            Self::Elapsed => elapsed(number),
            Self::Date | Self::Time | Self::DateTime => self.point(number, is_1904),
        };
        text.push_str(&written.unwrap_or_else(|| shortest(number)));
    }

    /// A point in time, by days since the beginning of the calendar. Nothing of it is left out, though the form does.
    fn point(self, number: f64, is_1904: bool) -> Option<String> {
        let (days, milliseconds) = parts(number)?;
        let time = time_of(milliseconds);
        // There is no day before the first; a clock's hands show such numbers.
        if days == 0 && (self == Self::Time || (!is_1904 && milliseconds > 0)) {
            return Some(time);
        }
        let date = match (is_1904, days) {
            (true, days) => day(1904, 1, 1, days)?,
            (false, 0) => return None,
            (false, 1..=59) => day(1899, 12, 31, days)?,
            // A day that there was not: Lotus 1-2-3 held 1900 for a leap year, and Excel had to.
            (false, 60) => "1900-02-29".to_owned(),
            (false, days) => day(1899, 12, 30, days)?,
        };
        Some(match self == Self::Date && milliseconds == 0 {
            true => date,
            false => format!("{date}T{time}"),
        })
    }
}

fn starts_with(text: &str, start: &str) -> bool {
    let own = text.get(..start.len());
    own.is_some_and(|own| own.eq_ignore_ascii_case(start))
}

const DAY: i64 = 86_400_000;

/// Whole days and the milliseconds after them, rounded: numbers have fewer digits than such fractions.
fn parts(number: f64) -> Option<(i64, i64)> {
    // The years up to 9999, in either calendar.
    if !(0.0..2_958_466.0).contains(&number) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fewer than 3e6 days, of 9e7 milliseconds each"
    )]
    let milliseconds = (number * DAY as f64).round() as i64;
    Some((milliseconds / DAY, milliseconds % DAY))
}

fn day(year: i16, month: i8, day: i8, days: i64) -> Option<String> {
    let start = Date::new(year, month, day).ok()?;
    let date = start.checked_add(days.days()).ok()?;
    Some(date.to_string())
}

fn time_of(milliseconds: i64) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match rest {
        0 => format!("{hours:02}:{minutes:02}:{seconds:02}"),
        rest => format!("{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"),
    }
}

/// Hours, as many as there are.
fn elapsed(number: f64) -> Option<String> {
    let (days, milliseconds) = parts(number.abs())?;
    let sign = if number < 0.0 { "-" } else { "" };
    Some(format!("{sign}{}", time_of(days * DAY + milliseconds)))
}

/// The shortest decimal that is read back as the number; a whole one has no point.
fn shortest(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if (1e-6..1e21).contains(&size) => number.to_string(),
        _ => format!("{number:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Form, number: f64, is_1904: bool) -> String {
        let mut text = String::new();
        form.write(number, is_1904, &mut text);
        text
    }

    #[test]
    fn a_format_is_what_its_letters_say_outside_of_quotes_and_colours() {
        let forms = [
            ("General", Form::Number),
            ("0.00%", Form::Number),
            ("#,##0.00\\ [$€-407]", Form::Number),
            ("[Red]#,##0;[Blue]-#,##0", Form::Number),
            ("0\" days\"", Form::Number),
            ("0.00E+00", Form::Number),
            ("#,##0_d", Form::Number),
            ("0*y", Form::Number),
            ("\\Y0000", Form::Number),
            ("@", Form::Number),
            ("0;yyyy", Form::Number),
            ("dd/mm/yyyy", Form::Date),
            ("[$-409]mmm\\-yy;@", Form::Date),
            ("yyyy\"年\"m\"月\"d\"日\"", Form::Date),
            ("m/d/yy h:mm", Form::DateTime),
            ("YYYY-MM-DD HH:MM:SS", Form::DateTime),
            ("mm:ss.0", Form::Time),
            ("h:mm AM/PM", Form::Time),
            ("h A/P", Form::Time),
            ("[h]:mm:ss", Form::Elapsed),
            ("[mm]:ss", Form::Elapsed),
        ];
        for (code, form) in forms {
            assert_eq!(Form::of_code(code), form, "{code}");
        }
    }

    #[test]
    fn numbers_become_the_dates_that_both_calendars_have() {
        let written_1900 = |form, number| written(form, number, false);
        assert_eq!(written_1900(Form::Date, 1.0), "1900-01-01");
        assert_eq!(written_1900(Form::Date, 59.0), "1900-02-28");
        assert_eq!(written_1900(Form::Date, 60.0), "1900-02-29");
        assert_eq!(written_1900(Form::Date, 61.0), "1900-03-01");
        assert_eq!(written_1900(Form::Date, 45352.0), "2024-03-01");
        assert_eq!(written_1900(Form::Date, 2_958_465.0), "9999-12-31");
        assert_eq!(
            written_1900(Form::DateTime, 45_352.430_555_555_555),
            "2024-03-01T10:20:00"
        );
        // Midnight is a time, and a time is not lost because the format hides it.
        assert_eq!(written_1900(Form::DateTime, 45352.0), "2024-03-01T00:00:00");
        assert_eq!(written_1900(Form::Date, 45352.5), "2024-03-01T12:00:00");
        assert_eq!(written_1900(Form::Time, 0.430_555_555_555), "10:20:00");
        assert_eq!(
            written_1900(Form::Time, 0.430_561_342_592_593),
            "10:20:00.500"
        );
        // Just before midnight is not the hour 24.
        assert_eq!(
            written_1900(Form::DateTime, 45_351.999_999_999_99),
            "2024-03-01T00:00:00"
        );
        assert_eq!(written_1900(Form::Elapsed, 1.5), "36:00:00");
        assert_eq!(written_1900(Form::Elapsed, -0.062_5), "-01:30:00");
        // What no calendar has stays what it is.
        assert_eq!(written_1900(Form::Date, 0.0), "0");
        assert_eq!(written_1900(Form::Date, -3.0), "-3");
        assert_eq!(written_1900(Form::Date, 3e6), "3000000");
        assert_eq!(written_1900(Form::Elapsed, 1e300), "1e300");
        assert_eq!(written(Form::Date, 0.0, true), "1904-01-01");
        assert_eq!(written(Form::Date, 43890.0, true), "2024-03-01");
        assert_eq!(written(Form::Date, 2_957_004.0, true), "2957004");
    }

    #[test]
    fn a_number_is_as_short_as_it_can_be() {
        let numbers = [
            (3.0, "3"),
            (-0.0, "0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.5, "0.5"),
            (1e20, "100000000000000000000"),
            (1.5e-7, "1.5e-7"),
            (-1e300, "-1e300"),
        ];
        for (number, text) in numbers {
            assert_eq!(written(Form::Number, number, false), text);
        }
    }
}
