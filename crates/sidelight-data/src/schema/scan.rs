//! One pass over a column: which values occur, how often, and where first.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use crate::number::counted;
use crate::spelling::{Decimal, NumberStyle, Spelling, Written, written};
use crate::table::{Cell, Column};

/// Distinct values that are told apart; beyond them a column is an identifier or a measurement in any case,
/// and ten million of them would not be worth their memory.
const MOST_DISTINCT: usize = 1_000_000;

/// What was seen of a column, as evidence for what it is said to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Rows of the table.
    pub n_rows: usize,
    /// Rows where the column is missing.
    pub n_missing: usize,
    /// Rows where it holds an image itself, not a name of one.
    pub n_images: usize,
    /// Distinct values (counted up to a million).
    pub n_distinct: usize,
    /// Least and greatest, where all values are numbers.
    pub range: Option<[f64; 2]>,
    /// The commonest values and their rows, at most five, the commonest first.
    pub commonest: Vec<(String, usize)>,
    /// Of the missing cells, those that are not empty: what they say, and their rows.
    pub spelt_missing: Vec<(String, usize)>,
}

impl Evidence {
    /// Share of rows where the column is missing, in [0, 1].
    pub fn missing_share(&self) -> f64 {
        self.n_missing as f64 / self.n_rows.max(1) as f64
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.n_images {
            0 => write!(f, "{} distinct", self.n_distinct)?,
            n => f.write_str(&counted(n, "image"))?,
        }
        match self.range {
            Some([least, greatest]) => write!(f, ", {} to {}", short(least), short(greatest))?,
            None if !self.commonest.is_empty() => {
                let named = self
                    .commonest
                    .iter()
                    .take(3)
                    .map(|(name, count)| format!("{} ({count})", cut(name)));
                write!(f, ": {}", named.collect::<Vec<_>>().join(", "))?;
                if self.n_distinct > 3 {
                    write!(f, ", …")?;
                }
            }
            None => {}
        }
        match self.n_missing {
            0 => Ok(()),
            missing if missing == self.n_rows => write!(f, ", all missing"),
            _ => write!(f, ", {} missing", percent(self.missing_share())),
        }?;
        for (name, count) in &self.spelt_missing {
            write!(f, ", `{name}` ({count}) read as missing")?;
        }
        Ok(())
    }
}

/// A column with its values numbered.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    /// Each distinct value, trimmed, in order of first appearance.
    pub(super) names: Vec<Cow<'a, str>>,
    /// Rows of each.
    pub(super) counts: Vec<usize>,
    /// First row (from 0) of each.
    pub(super) first_rows: Vec<usize>,
    /// Index into `names` of each row; `None`: missing, or beyond the values told apart.
    pub(super) codes: Vec<Option<u32>>,
    /// Rows where it is missing.
    pub(super) n_missing: usize,
    /// Of these, rows where it holds an image: nothing that could be told apart.
    n_images: usize,
    /// What missing cells say that are not empty, and their rows.
    pub(super) spelt_missing: Vec<(String, usize)>,
    /// How its numbers are written.
    pub(super) written: Written,
}

impl<'a> Scan<'a> {
    /// Reads the column; these spellings, beside the empty cell, mean missing.
    pub(super) fn new(column: &'a Column, missing: &[String]) -> Self {
        let mut code_of: HashMap<Cow<'a, str>, u32> = HashMap::new();
        let mut scan = Self {
            names: Vec::new(),
            counts: Vec::new(),
            first_rows: Vec::new(),
            codes: Vec::with_capacity(column.len()),
            n_missing: 0,
            n_images: 0,
            spelt_missing: Vec::new(),
            written: Written::default(),
        };
        for row in 0..column.len() {
            let name: Cow<'a, str> = match column.cell(row) {
                Cell::Text(text) => Cow::Borrowed(text.trim()),
                Cell::Number(number) => Cow::Owned(number.to_string()),
                Cell::Boolean(value) => Cow::Borrowed(if value { "true" } else { "false" }),
                Cell::Image(_) | Cell::Member(_) => {
                    scan.push_missing();
                    scan.n_images += 1;
                    continue;
                }
                Cell::Missing => {
                    scan.push_missing();
                    continue;
                }
            };
            if missing.iter().any(|spelling| *spelling == name) {
                scan.push_missing();
                match scan
                    .spelt_missing
                    .iter_mut()
                    .find(|(spelt, _)| *spelt == name)
                {
                    Some((_, count)) => *count += 1,
                    None => scan.spelt_missing.push((name.into_owned(), 1)),
                }
                continue;
            }
            let code = match code_of.get(&name) {
                Some(code) => *code,
                None if scan.names.len() == MOST_DISTINCT => {
                    scan.codes.push(None);
                    continue;
                }
                None => {
                    #[expect(clippy::cast_possible_truncation, reason = "at most `MOST_DISTINCT`")]
                    let code = scan.names.len() as u32;
                    scan.names.push(name.clone());
                    scan.counts.push(0);
                    scan.first_rows.push(row);
                    code_of.insert(name, code);
                    code
                }
            };
            scan.counts[code as usize] += 1;
            scan.codes.push(Some(code));
        }
        scan
    }

    fn push_missing(&mut self) {
        self.codes.push(None);
        self.n_missing += 1;
    }

    pub(super) fn n_rows(&self) -> usize {
        self.codes.len()
    }

    pub(super) fn n_present(&self) -> usize {
        self.codes.len() - self.n_missing
    }

    pub(super) fn n_distinct(&self) -> usize {
        self.names.len()
    }

    /// Each distinct value as a number, where it is one.
    pub(super) fn numbers(&self) -> Vec<Option<f64>> {
        self.names
            .iter()
            .map(|name| self.spelling().number(name))
            .collect()
    }

    /// The distinct values, as they are written.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> + Clone {
        self.names.iter().map(|name| &**name)
    }

    /// How its numbers are written.
    pub(super) fn spelling(&self) -> Spelling<'_> {
        Spelling {
            decimal: self.written.decimal,
            unit: self.written.unit.as_deref(),
            date_order: None,
        }
    }

    /// Finds how its numbers are written, where they are; `usual` is how others of the table are.
    pub(super) fn find_spelling(&mut self, usual: Option<Decimal>) -> NumberStyle {
        let found = written(&self.texts(), usual);
        if let NumberStyle::So(written) = &found {
            self.written = written.clone();
        }
        found
    }

    /// Each row as a number; NaN: missing or no number.
    pub(super) fn number_rows(&self) -> Vec<f64> {
        let numbers = self.numbers();
        self.codes
            .iter()
            .map(|code| {
                code.and_then(|code| numbers[code as usize])
                    .unwrap_or(f64::NAN)
            })
            .collect()
    }

    pub(super) fn evidence(&self) -> Evidence {
        let numbers: Option<Vec<f64>> = self.numbers().into_iter().collect();
        let range = numbers
            .filter(|numbers| !numbers.is_empty())
            .map(|numbers| {
                numbers
                    .iter()
                    .fold([f64::INFINITY, f64::NEG_INFINITY], |range, x| {
                        [range[0].min(*x), range[1].max(*x)]
                    })
            });
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        // Ties in order of first appearance, so that the same table always reads the same.
        order.sort_by_key(|index| (std::cmp::Reverse(self.counts[*index]), *index));
        let commonest = order
            .iter()
            .take(5)
            .map(|index| (self.names[*index].to_string(), self.counts[*index]))
            .collect();
        Evidence {
            n_rows: self.n_rows(),
            n_missing: self.n_missing - self.n_images,
            n_images: self.n_images,
            n_distinct: self.n_distinct(),
            range,
            commonest,
            spelt_missing: self.spelt_missing.clone(),
        }
    }
}

/// A number with at most five digits that matter.
pub(super) fn short(number: f64) -> String {
    if number == 0.0 || (number.fract() == 0.0 && number.abs() < 1e9) {
        return number.to_string();
    }
    #[expect(clippy::cast_possible_truncation, reason = "an exponent; saturates")]
    let exponent = number.abs().log10().floor() as i32;
    let decimals = usize::try_from(4_i32.saturating_sub(exponent)).map_or(0, |n| n.min(12));
    let text = format!("{number:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A share in percent; never 0 % or 100 % unless it is none or all.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        x if x > 0.0 && x < 0.1 => "below 0.1 %".into(),
        x if x < 1.0 || (x > 99.0 && x < 100.0) => format!("{:.1} %", (x * 10.0).floor() / 10.0),
        x => format!("{} %", x.round().min(if x < 100.0 { 99.0 } else { 100.0 })),
    }
}

/// Text cut to a length that fits a comment, on one line.
pub(super) fn cut(text: &str) -> String {
    let line = text.replace(['\n', '\r', '\t'], " ");
    if line.chars().count() <= 28 {
        line
    } else {
        format!("{}…", line.chars().take(27).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_counts_what_is_there() {
        let column = Column::text(
            "side",
            [Some("left"), Some(" right"), None, Some("left"), Some("NA")],
        );
        let evidence = Scan::new(&column, &["NA".into()]).evidence();
        assert_eq!(
            (evidence.n_rows, evidence.n_missing, evidence.n_distinct),
            (5, 2, 2)
        );
        assert_eq!(
            evidence.commonest,
            [("left".to_owned(), 2), ("right".to_owned(), 1)]
        );
        assert_eq!(
            evidence.to_string(),
            "2 distinct: left (2), right (1), 40 % missing, `NA` (1) read as missing"
        );
    }

    #[test]
    fn numbers_are_shown_short_and_shares_are_never_rounded_to_all_or_none() {
        for (number, text) in [
            (0.0, "0"),
            (5_858_000.0, "5858000"),
            (0.033_203, "0.033203"),
            (1_234.567_8, "1234.6"),
            (-0.5, "-0.5"),
        ] {
            assert_eq!(short(number), text);
        }
        for (share, text) in [
            (0.0, "0.0 %"),
            (0.0001, "below 0.1 %"),
            (0.253, "25 %"),
            (0.9949, "99.4 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(percent(share), text);
        }
    }
}
