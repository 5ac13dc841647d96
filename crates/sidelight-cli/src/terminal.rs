//! The only place that writes: data to stdout, messages and progress to stderr.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Context;
use comfy_table::{CellAlignment, presets};
use serde_json::{Map, Value};

use crate::args::Format;
use sidelight::report::text::without_controls;

pub(crate) use sidelight::number::counted as count;

/// Time between two redraws of the progress line.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// The output streams of this process.
#[derive(Debug)]
pub(crate) struct Terminal {
    is_quiet: bool,
    /// Nothing is written at all: of several processes another one reports.
    is_mute: bool,
    has_colour: bool,
    /// stderr is a terminal: the progress line can be redrawn.
    is_live: bool,
    /// When the progress line was drawn, while it is there.
    drawn: Option<Instant>,
}

impl Terminal {
    /// In colour only on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) fn new(is_quiet: bool) -> Self {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_live = io::stderr().is_terminal();
        Self {
            is_quiet,
            is_mute: false,
            has_colour: is_live && !is_plain,
            is_live,
            drawn: None,
        }
    }

    /// Suppresses all output, data included, or resumes it.
    pub(crate) fn mute(&mut self, is_mute: bool) {
        self.is_mute = is_mute;
    }

    /// Whether messages are left out.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// A message, left out with `--quiet`.
    pub(crate) fn say(&mut self, text: impl AsRef<str>) {
        if !self.is_quiet {
            self.line("", text.as_ref());
        }
    }

    /// Messages, left out with `--quiet`.
    pub(crate) fn say_all(&mut self, texts: &[String]) {
        texts.iter().for_each(|text| self.say(text));
    }

    /// Something that may be wrong.
    pub(crate) fn warn(&mut self, text: impl AsRef<str>) {
        let label = self.paint("warning:", "33;1");
        self.line(&format!("{label} "), text.as_ref());
    }

    /// An error with its causes, one per line, and a hint.
    pub(crate) fn error(&mut self, error: &anyhow::Error, hint: Option<&str>) {
        let label = self.paint("error:", "31;1");
        self.line(&format!("{label} "), &error.to_string());
        for cause in error.chain().skip(1) {
            self.line("  caused by: ", &cause.to_string());
        }
        if let Some(hint) = hint {
            let label = self.paint("hint:", "36;1");
            self.line(&format!("\n{label} "), hint);
        }
    }

    /// Redraws the progress line; on a terminal only, at most ten times a second.
    pub(crate) fn progress(&mut self, text: impl FnOnce() -> String) {
        let is_due = self
            .drawn
            .is_none_or(|drawn| drawn.elapsed() > REDRAW_INTERVAL);
        if self.is_live && !self.is_quiet && is_due {
            let text = text();
            let text = without_controls(&text);
            let text: String = text.chars().take(width() - 1).collect();
            // To the start of the line, and erases what is left of the old one.
            self.write_error(&format!("\r{text}\x1b[K"));
            self.drawn = Some(Instant::now());
        }
    }

    /// Text on stdout, as it is.
    pub(crate) fn data(&mut self, text: &str) -> anyhow::Result<()> {
        self.end_progress();
        if self.is_mute {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
        {
            // The reader has seen enough: `sidelight … | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("cannot write to stdout"),
        }
    }

    /// A table on stdout.
    pub(crate) fn table(&mut self, table: &Table, format: Format) -> anyhow::Result<()> {
        let text = match format {
            Format::Text => without_controls(&table.to_text()).into_owned(),
            Format::Json => table.to_json(),
            Format::Csv => table.to_csv()?,
        };
        self.data(&text)
    }

    /// The conclusion from a table: a result, so not subject to `--quiet`. Below the table on stdout if that is read by
    /// people, else on stderr.
    pub(crate) fn conclude(&mut self, sentence: &str, format: Format) -> anyhow::Result<()> {
        match format {
            Format::Text => self.data(&format!("\n{}\n", without_controls(sentence))),
            Format::Json | Format::Csv => {
                self.line("", sentence);
                Ok(())
            }
        }
    }

    /// A label of ours, and text in which names from files may stand: none of them may move the cursor.
    fn line(&mut self, label: &str, text: &str) {
        self.end_progress();
        self.write_error(&format!("{label}{}\n", without_controls(text)));
    }

    fn end_progress(&mut self) {
        if self.drawn.take().is_some() {
            self.write_error("\r\x1b[K");
        }
    }

    fn write_error(&self, text: &str) {
        if !self.is_mute {
            // Without a stderr there is nobody to tell.
            let _ = io::stderr().lock().write_all(text.as_bytes());
        }
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.has_colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Columns of the terminal: what the shell says, else 80.
fn width() -> usize {
    let columns = std::env::var("COLUMNS");
    let columns = columns.ok().and_then(|columns| columns.parse().ok());
    columns.filter(|columns| *columns >= 20).unwrap_or(80)
}

/// Rows and columns to print.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Left-aligned.
    Text(String),
    /// Right-aligned, to four significant digits in text and whole elsewhere.
    Number(f64),
    /// Right-aligned, to three decimals everywhere: more would be noise.
    Rounded(f64),
    /// Right-aligned, in full.
    Count(usize),
    /// Nothing.
    Empty,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::Empty, Into::into)
    }
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => significant(*number),
            Self::Rounded(number) => format!("{:.3}", rounded(*number)),
            Self::Count(count) => count.to_string(),
            Self::Empty => String::new(),
        }
    }

    fn is_right(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Rounded(_) | Self::Count(_))
    }
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(header: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            header: header.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: one cell per column.
    pub(crate) fn push(&mut self, cells: impl Into<Vec<Cell>>) {
        let cells = cells.into();
        debug_assert_eq!(cells.len(), self.header.len());
        self.rows.push(cells);
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn to_text(&self) -> String {
        let mut text = comfy_table::Table::new();
        text.load_style(presets::NOTHING).set_header(&self.header);
        for row in &self.rows {
            text.add_row(row.iter().map(Cell::text));
        }
        for (c, column) in text.column_iter_mut().enumerate() {
            column.set_padding((2, 0));
            if self.rows.iter().any(|row| row[c].is_right()) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        text.trim_fmt() + "\n"
    }

    fn to_json(&self) -> String {
        let object = |row: &Vec<Cell>| {
            let value = |cell: &Cell| match cell {
                Cell::Text(text) => Value::from(text.as_str()),
                Cell::Number(number) => Value::from(*number),
                Cell::Rounded(number) => Value::from(rounded(*number)),
                Cell::Count(count) => Value::from(*count),
                Cell::Empty => Value::Null,
            };
            Value::Object(
                self.header
                    .iter()
                    .cloned()
                    .zip(row.iter().map(value))
                    .collect::<Map<_, _>>(),
            )
        };
        format!(
            "{:#}\n",
            Value::Array(self.rows.iter().map(object).collect())
        )
    }

    fn to_csv(&self) -> anyhow::Result<String> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(&self.header)?;
        for row in &self.rows {
            csv.write_record(row.iter().map(|cell| match cell {
                Cell::Number(number) => number.to_string(),
                cell => cell.text(),
            }))?;
        }
        Ok(String::from_utf8(csv.into_inner()?)?)
    }
}

/// A number to four significant digits, without an exponent where it can be read without one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an exponent of a finite number has three digits, and `digits` is 1 to 8 where it is cast"
)]
pub(crate) fn significant(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        // Without the sign that a zero may have.
        return (number + 0.0).to_string();
    }
    let digits = 3 - number.abs().log10().floor() as i32;
    match digits {
        ..=0 if number.abs() < 1e9 => format!("{number:.0}"),
        1..=8 => format!("{number:.*}", digits as usize),
        _ => format!("{number:.3e}"),
    }
}

/// To three decimals, and 0 without a sign.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0 + 0.0
}

/// A duration in whole seconds as one says it: `48 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn duration(seconds: f64) -> String {
    sidelight::report::number::duration(seconds.max(0.0).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table {
        let mut table = Table::new(["arm", "mean_px", "n"]);
        table.push(["image".into(), 21.5.into(), 400.into()]);
        table.push(["a, \"b\"".into(), Cell::Empty, 7.into()]);
        table
    }

    #[test]
    fn numbers_are_aligned_right_and_words_left() {
        assert_eq!(
            example().to_text(),
            "  arm     mean_px    n\n  image     21.50  400\n  a, \"b\"             7\n"
        );
    }

    #[test]
    fn json_keeps_the_order_of_the_columns_and_says_null() {
        let rows: Value = serde_json::from_str(&example().to_json()).unwrap();
        assert_eq!(
            rows[1],
            serde_json::json!({"arm": "a, \"b\"", "mean_px": null, "n": 7})
        );
        assert_eq!(
            rows[0].as_object().unwrap().keys().collect::<Vec<_>>(),
            ["arm", "mean_px", "n"]
        );
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        assert_eq!(
            example().to_csv().unwrap(),
            "arm,mean_px,n\nimage,21.5,400\n\"a, \"\"b\"\"\",,7\n"
        );
    }

    #[test]
    fn numbers_have_four_significant_digits() {
        assert_eq!(significant(-0.0), "0");
        let shown = [
            0.0,
            21.5,
            0.018_512,
            123_456.7,
            -3.0,
            0.99996,
            f64::NAN,
            2e-9,
        ]
        .map(significant);
        assert_eq!(
            shown,
            [
                "0", "21.50", "0.01851", "123457", "-3.000", "1.0000", "NaN", "2.000e-9"
            ]
        );
    }

    #[test]
    fn durations_are_said_in_two_units_at_most() {
        assert_eq!(
            [0.4, 59.6, 200.0, 7530.0].map(duration),
            ["0 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"]
        );
    }
}
