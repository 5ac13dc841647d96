//! What kind of target columns are, from their names and cells; short ways to name many.

use std::collections::BTreeSet;

use super::boolean;
use super::infer::is_skewed;
use super::name::is_quantity;
use super::scan::Scan;
use super::usual::decimal_of;
use crate::config::{TargetConfig, TargetKind, TargetScale, default_missing, expand_range};
use crate::error::{Error, Result, setting};
use crate::spelling::{Decimal, NumberStyle, Written};
use crate::table::{Cell, Column, Table};

/// The target's configuration from the names, ranges or patterns that a person gave.
///
/// A name is a column. `x0..y188` is `x0, y0, x1, y1, …`; where the ends hold no number, every column of the table
/// from the one to the other. `x*` is every column that begins with `x`; several such patterns over the two
/// coordinates (`x*`, `y*`) are put in turn by their numbers.
///
/// Several columns named as coordinates are points, several truth values are labels, several numbers are values.
/// One column is a list of labels where cells hold `;` or `|`, a value where it has many different numbers,
/// otherwise a class: twenty different whole numbers are, unless the name says a quantity (`age`, `n_seeds`). Positive values that reach over a factor of 20 and are skewed get `scale = "log"`.
///
/// # Errors
///
/// [`Error::NoColumn`]; [`Error::Setting`] where the columns make no target together.
pub fn target_of(table: &Table, wanted: &[String]) -> Result<TargetConfig> {
    target_of_kind(table, wanted, &TargetWishes::default())
}

/// What a person said of the target beside its columns.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetWishes {
    /// Its kind; `None`: guessed.
    pub kind: Option<TargetKind>,
    /// Spellings of "missing" beside the empty cell.
    pub missing: Vec<String>,
    /// How its numbers are written; `None`: found.
    pub decimal: Option<Decimal>,
}

impl Default for TargetWishes {
    fn default() -> Self {
        Self {
            kind: None,
            missing: default_missing(),
            decimal: None,
        }
    }
}

/// As [`target_of`], knowing this.
///
/// # Errors
///
/// As [`target_of`]; [`Error::AmbiguousNumber`] where numbers mean one thing in one country and another in the next.
pub fn target_of_kind(
    table: &Table,
    wanted: &[String],
    wishes: &TargetWishes,
) -> Result<TargetConfig> {
    let names = expand(table, wanted)?;
    let mut columns = Vec::new();
    for name in &names {
        columns.push(table.column(name)?);
    }
    let mut config = TargetConfig {
        missing: Vec::new(),
        ..TargetConfig::class("")
    };
    config.column = None;
    let mut log = false;
    let usual = match wishes.decimal {
        Some(decimal) => Some(decimal),
        None => decimal_of(table, &wishes.missing),
    };
    let mut scans = Vec::new();
    let mut written: Option<Written> = None;
    for column in &columns {
        let mut scan = Scan::new(column, &wishes.missing);
        match scan.find_spelling(usual) {
            NumberStyle::So(found)
                if written
                    .as_ref()
                    .is_none_or(|first| *first == Written::default()) =>
            {
                written = Some(found);
            }
            NumberStyle::Ambiguous
                if wishes
                    .kind
                    .is_none_or(|kind| kind == TargetKind::Regression) =>
            {
                return Err(Error::AmbiguousNumber {
                    at: table.place(scan.first_rows[0], &column.name),
                    found: scan.names[0].to_string(),
                });
            }
            _ => {}
        }
        scans.push(scan);
    }
    config.kind = match (&columns[..], wishes.kind) {
        ([], _) => return Err(not_a_target("the name of a column", "nothing")),
        ([column], kind) => {
            log = wants_log(&scans[0]);
            kind.unwrap_or_else(|| kind_of_one(&column.name, &scans[0]))
        }
        (_, Some(kind)) => kind,
        _ if are_points(&names) => TargetKind::Keypoints,
        _ => {
            let all = |test: &dyn Fn(&str) -> bool| {
                scans
                    .iter()
                    .all(|scan| scan.names.iter().all(|name| test(name)))
            };
            if all(&|name| boolean(Cell::Text(name)).is_some()) {
                TargetKind::Multilabel
            } else if scans
                .iter()
                .all(|scan| scan.numbers().iter().all(Option::is_some))
            {
                log = scans.iter().all(wants_log);
                TargetKind::Regression
            } else {
                let expected =
                    "columns that are coordinates (x0, y0, …), all true or false, or all numbers";
                return Err(not_a_target(expected, &names.join(", ")));
            }
        }
    };
    if log && config.kind == TargetKind::Regression {
        config.scale = TargetScale::Log;
    }
    if let (TargetKind::Regression | TargetKind::Keypoints, Some(written)) = (config.kind, written)
    {
        let of_table = usual.filter(|decimal| *decimal == Decimal::Comma);
        config.decimal = written.decimal.filter(|decimal| Some(*decimal) != of_table);
        config.unit = written.unit;
    }
    match <[String; 1]>::try_from(names) {
        Ok([name]) => config.column = Some(name),
        Err(names) => config.columns = names,
    }
    Ok(config)
}

fn not_a_target(expected: &str, found: &str) -> Error {
    setting("target", expected, found)
}

/// Patterns written out to names of columns.
fn expand(table: &Table, wanted: &[String]) -> Result<Vec<String>> {
    let wanted = wanted
        .iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let mut names = Vec::new();
    let mut by_star = false;
    for name in wanted {
        // A column of that very name is meant, whatever characters it has.
        if table.find(name).is_some() {
            names.push(name.to_owned());
        } else if let Some(range) = expand_range(name) {
            names.extend(range);
        } else if let Some((first, last)) = name.split_once("..") {
            table.column(first.trim())?;
            table.column(last.trim())?;
            let position = |name: &str| {
                table
                    .columns
                    .iter()
                    .position(|column| column.name == name.trim())
                    .unwrap_or(0)
            };
            let (first, last) = (position(first), position(last));
            names.extend(
                table
                    .columns
                    .get(first..=last)
                    .unwrap_or_default()
                    .iter()
                    .map(|column| column.name.clone()),
            );
        } else if let Some((before, after)) = name.split_once('*') {
            let fits = |column: &&Column| {
                column.name.len() >= before.len() + after.len()
                    && column.name.starts_with(before)
                    && column.name.ends_with(after)
            };
            let before_now = names.len();
            names.extend(
                table
                    .columns
                    .iter()
                    .filter(fits)
                    .map(|column| column.name.clone()),
            );
            if names.len() == before_now {
                table.column(name)?;
            }
            by_star = true;
        } else {
            table.column(name)?;
            names.push(name.to_owned());
        }
    }
    if by_star && !are_points(&names) {
        // `x*,y*` gives all x and then all y; points want them in turn.
        let mut interleaved = names.clone();
        interleaved.sort_by_key(|name| (number_in(name), name.clone()));
        if are_points(&interleaved) {
            names = interleaved;
        }
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
        return Err(not_a_target("each column once", twice));
    }
    Ok(names)
}

/// The digits in a name, as a number.
fn number_in(name: &str) -> Option<u64> {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Whether the names are x and y of points in turn: the same but for an `x` that is a `y`.
pub(super) fn are_points(names: &[String]) -> bool {
    let is_pair = |x: &str, y: &str| {
        x.len() == y.len()
            && x.char_indices().any(|(at, c)| {
                let other = match c {
                    'x' => "y",
                    'X' => "Y",
                    _ => return false,
                };
                format!("{}{other}{}", &x[..at], &x[at + 1..]) == y
            })
    };
    !names.is_empty()
        && names.len().is_multiple_of(2)
        && names
            .chunks_exact(2)
            .all(|pair| is_pair(&pair[0], &pair[1]))
}

fn kind_of_one(name: &str, scan: &Scan<'_>) -> TargetKind {
    let numbers: Option<Vec<f64>> = scan.numbers().into_iter().collect();
    if let Some(numbers) = numbers {
        let whole = numbers.iter().all(|number| number.fract() == 0.0);
        // A fraction is measured, and so are ages and counts; twenty whole numbers of another name may be grades.
        let is_truth = numbers.iter().all(|number| [0.0, 1.0].contains(number));
        let many = numbers.len() > 20
            || (numbers.len() > 2 && !whole)
            || (numbers.len() > 2 && !is_truth && is_quantity(name));
        return if many {
            TargetKind::Regression
        } else {
            TargetKind::Class
        };
    }
    let n_lists: usize = scan
        .names
        .iter()
        .zip(&scan.counts)
        .filter(|(name, _)| name.contains([';', '|']) || name.starts_with('['))
        .map(|(_, n)| n)
        .sum();
    if n_lists * 20 < scan.n_present().max(1) {
        return TargetKind::Class;
    }
    // Lists share their labels; sentences with a semicolon do not.
    let labels: BTreeSet<String> = scan
        .names
        .iter()
        .flat_map(|name| super::labels(name))
        .collect();
    if labels.len() < scan.n_present() / 2 + 2 {
        TargetKind::Multilabel
    } else {
        TargetKind::Class
    }
}

fn wants_log(scan: &Scan<'_>) -> bool {
    let numbers: Option<Vec<f64>> = scan.numbers().into_iter().collect();
    numbers.is_some_and(|numbers| is_skewed(&numbers, &scan.counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, &[&str])]) -> Table {
        let n_rows = columns[0].1.len();
        Table {
            path: "t.csv".into(),
            root: "".into(),
            columns: columns
                .iter()
                .map(|(name, cells)| Column::text(name, cells.iter().map(|cell| Some(*cell))))
                .collect(),
            n_rows,
            first_row: 0,
            lines: None,
            files: Vec::new(),
            samples: None,
            remarks: Vec::new(),
        }
    }

    fn wanted(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn ranges_and_stars_name_the_same_points() {
        let table = table(&[
            ("x0", &["1"]),
            ("x1", &["1"]),
            ("y0", &["1"]),
            ("y1", &["1"]),
        ]);
        for text in ["x0..y1", "x*,y*", "x0,y0,x1,y1", "x0, y0, x1..y1"] {
            let target = target_of(&table, &wanted(text)).unwrap();
            assert_eq!(target.kind, TargetKind::Keypoints, "{text}");
            assert_eq!(target.columns, ["x0", "y0", "x1", "y1"], "{text}");
        }
    }

    #[test]
    fn a_range_of_names_without_numbers_follows_the_table() {
        let table = table(&[
            ("a_x", &["1"]),
            ("a_y", &["1"]),
            ("b_x", &["1"]),
            ("b_y", &["1"]),
            ("z", &["1"]),
        ]);
        let target = target_of(&table, &wanted("a_x..b_y")).unwrap();
        assert_eq!(
            (target.kind, target.columns.len()),
            (TargetKind::Keypoints, 4)
        );
    }

    #[test]
    fn a_name_that_is_not_there_is_answered_with_the_nearest() {
        let table = table(&[("price", &["1"])]);
        let error = target_of(&table, &wanted("prise")).unwrap_err();
        assert_eq!(error.to_string(), "no column `prise` in t.csv");
        assert_eq!(error.hint().unwrap(), "did you mean `price`?");
        let error = target_of(&table, &wanted("q*")).unwrap_err();
        assert_eq!(error.to_string(), "no column `q*` in t.csv");
    }

    #[test]
    fn the_cells_say_what_kind_one_column_is() {
        let many: Vec<String> = (1..60).map(|i| (i * i * i).to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let few: Vec<&str> = (0..59).map(|i| ["1", "2", "3"][i % 3]).collect();
        let lists: Vec<&str> = (0..59).map(|i| ["a;b", "b", "a|c", ""][i % 4]).collect();
        let words: Vec<&str> = (0..59).map(|i| ["cat", "dog"][i % 2]).collect();
        let table = table(&[
            ("many", &many),
            ("few", &few),
            ("lists", &lists),
            ("words", &words),
        ]);
        for (name, kind, scale) in [
            ("many", TargetKind::Regression, TargetScale::Log),
            ("few", TargetKind::Class, TargetScale::Linear),
            ("lists", TargetKind::Multilabel, TargetScale::Linear),
            ("words", TargetKind::Class, TargetScale::Linear),
        ] {
            let target = target_of(&table, &wanted(name)).unwrap();
            assert_eq!(
                (target.kind, target.scale, target.column.as_deref()),
                (kind, scale, Some(name))
            );
        }
    }

    #[test]
    fn columns_that_make_no_target_together_are_refused() {
        let table = table(&[("a", &["1", "2"]), ("b", &["cat", "dog"])]);
        let error = target_of(&table, &wanted("a,b")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`target`: expected columns that are coordinates (x0, y0, …), all true or false, or all numbers, found `a, b`"
        );
    }
}
