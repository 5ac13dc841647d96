//! How numbers and dates are written in most columns of a table, from a few rows of each.

use super::infer::Wishes;
use crate::spelling::{DateOrder, Decimal, FoundOrder, NumberStyle, Written, date_order, written};
use crate::table::{Cell, Column, Table, Values};

/// Cells of a column that are looked at.
const CELLS: usize = 1000;

/// What other columns of the table say of one that does not say it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Usual {
    /// The decimal sign that some column proves; a comma wins.
    pub(super) decimal: Option<Decimal>,
    /// The order of dates that some column proves, or that is used where none does.
    pub(super) date_order: Option<DateOrder>,
}

/// What is usual in a table, where nobody said it.
pub(super) fn usual(table: &Table, wishes: &Wishes) -> Usual {
    let mut usual = Usual {
        decimal: wishes.decimal,
        date_order: wishes.date_order,
    };
    let mut is_ambiguous = false;
    usual.decimal = usual.decimal.or_else(|| decimal_of(table, &wishes.missing));
    for column in &table.columns {
        let cells = first_cells(column, &wishes.missing);
        if usual.date_order.is_none() && !cells.is_empty() {
            match date_order(&cells.into_iter()) {
                FoundOrder::Proven(order) => usual.date_order = Some(order),
                FoundOrder::Ambiguous => is_ambiguous = true,
                FoundOrder::Mixed | FoundOrder::NotDates => {}
            }
        }
    }
    if is_ambiguous {
        // As most of the world writes it; a column that fits both is said to.
        usual.date_order = usual.date_order.or(Some(DateOrder::DayFirst));
    }
    usual
}

/// The decimal sign that is usual in a table.
pub(super) fn decimal_of(table: &Table, missing: &[String]) -> Option<Decimal> {
    let proven_by = |column| proven(&first_cells(column, missing).into_iter());
    let found: Vec<Decimal> = table.columns.iter().filter_map(proven_by).collect();
    let is_comma = found.contains(&Decimal::Comma);
    is_comma
        .then_some(Decimal::Comma)
        .or(found.first().copied())
}

/// The decimal sign that these cells prove.
fn proven<'a>(cells: &(impl Iterator<Item = &'a str> + Clone)) -> Option<Decimal> {
    match written(cells, None) {
        NumberStyle::So(Written {
            decimal: Some(decimal),
            ..
        }) => Some(decimal),
        NumberStyle::So(_) => {
            let is_decimal = |text: &str| text.contains('.') && Decimal::Comma.read(text).is_none();
            cells.clone().any(is_decimal).then_some(Decimal::Point)
        }
        NumberStyle::Ambiguous | NumberStyle::NotNumbers => None,
    }
}

fn first_cells<'a>(column: &'a Column, missing: &[String]) -> Vec<&'a str> {
    if !matches!(column.values, Values::Text(_)) {
        return Vec::new();
    }
    let text = |row| match column.cell(row) {
        Cell::Text(text) => Some(text.trim()),
        _ => None,
    };
    (0..column.len().min(4 * CELLS))
        .filter_map(text)
        .filter(|text| !missing.iter().any(|spelling| spelling == text))
        .take(CELLS)
        .collect()
}
