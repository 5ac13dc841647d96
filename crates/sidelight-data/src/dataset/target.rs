//! Cells of the target's columns as targets.

use std::collections::{BTreeMap, BTreeSet};

use super::Targets;
use super::metadata::{Misread, MissingMarkers};
use crate::config::{TargetConfig, TargetKind, TargetScale};
use crate::schema;
use crate::table::{Cell, Column};

/// Reads the targets of every row; a cell that is not what it should be is missing and noted.
pub(super) fn read(
    config: &TargetConfig,
    columns: &[&Column],
    gaps: MissingMarkers<'_>,
    misread: &mut Vec<Misread>,
) -> Targets {
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    match config.kind {
        TargetKind::Keypoints => {
            let columns = numbers(columns, gaps, misread, "a number (pixels)", |_| true);
            let n_points = columns.len() / 2;
            let n_rows = columns.first().map_or(0, Vec::len);
            let mut xy = Vec::with_capacity(n_rows * n_points);
            for row in 0..n_rows {
                xy.extend(
                    columns
                        .chunks_exact(2)
                        .map(|pair| match [pair[0][row], pair[1][row]] {
                            // Half a point is none.
                            [x, y] if x.is_nan() || y.is_nan() => [f32::NAN; 2],
                            [x, y] => [x as f32, y as f32],
                        }),
                );
            }
            Targets::Keypoints { n_points, xy }
        }
        TargetKind::Regression => {
            let log = config.scale == TargetScale::Log;
            let expected = if log {
                "a number above 0 (its logarithm is learned)"
            } else {
                "a number"
            };
            let columns = numbers(columns, gaps, misread, expected, |value| {
                !log || value > 0.0
            });
            let n_rows = columns.first().map_or(0, Vec::len);
            let values = (0..n_rows)
                .flat_map(|row| columns.iter().map(move |column| column[row]))
                .collect();
            Targets::Regression { names, values }
        }
        TargetKind::Class => {
            let texts: Vec<Option<String>> = columns.first().map_or_else(Vec::new, |column| {
                let cell = |row| {
                    gaps.read(column.cell(row))
                        .to_text()
                        .map(|name| name.trim().to_owned())
                };
                (0..column.len()).map(cell).collect()
            });
            let names: BTreeSet<&String> = texts.iter().flatten().collect();
            let code: BTreeMap<&String, u32> = names
                .iter()
                .zip(0..)
                .map(|(name, code)| (*name, code))
                .collect();
            let index = texts
                .iter()
                .map(|name| name.as_ref().map(|name| code[name]))
                .collect();
            Targets::Class {
                names: names.into_iter().cloned().collect(),
                index,
            }
        }
        // One column of truth values is one label; one column of anything else lists the labels.
        TargetKind::Multilabel if columns.len() > 1 || config.column.is_none() => {
            let mut by_column: Vec<Vec<Option<bool>>> = Vec::new();
            for column in columns {
                let mut wrong = Misread::new(&column.name, "true or false");
                by_column.push(typed(column, gaps, &mut wrong, schema::boolean));
                misread.push(wrong);
            }
            let n_rows = by_column.first().map_or(0, Vec::len);
            let present = (0..n_rows)
                .flat_map(|row| by_column.iter().map(move |column| column[row]))
                .collect();
            Targets::Multilabel { names, present }
        }
        TargetKind::Multilabel => {
            let cells: Vec<Option<Vec<String>>> = columns.first().map_or_else(Vec::new, |column| {
                (0..column.len())
                    .map(|row| {
                        gaps.read(column.cell(row))
                            .to_text()
                            .map(|cell| schema::labels(&cell))
                    })
                    .collect()
            });
            let names: BTreeSet<String> = cells.iter().flatten().flatten().cloned().collect();
            let names: Vec<String> = names.into_iter().collect();
            let mut present = Vec::with_capacity(cells.len() * names.len());
            for cell in &cells {
                present.extend(
                    names
                        .iter()
                        .map(|name| cell.as_ref().map(|labels| labels.contains(name))),
                );
            }
            Targets::Multilabel { names, present }
        }
    }
}

/// Number columns; NaN: missing.
fn numbers(
    columns: &[&Column],
    gaps: MissingMarkers<'_>,
    misread: &mut Vec<Misread>,
    expected: &'static str,
    fits: impl Fn(f64) -> bool,
) -> Vec<Vec<f64>> {
    let mut values = Vec::new();
    for column in columns {
        let mut wrong = Misread::new(&column.name, expected);
        let read = typed(column, gaps, &mut wrong, |cell| {
            schema::number(cell).filter(|value| fits(*value))
        });
        values.push(
            read.into_iter()
                .map(|value| value.unwrap_or(f64::NAN))
                .collect(),
        );
        misread.push(wrong);
    }
    values
}

fn typed<T>(
    column: &Column,
    gaps: MissingMarkers<'_>,
    wrong: &mut Misread,
    parse: impl Fn(Cell<'_>) -> Option<T>,
) -> Vec<Option<T>> {
    let read = |row| match gaps.read(column.cell(row)) {
        Cell::Missing => None,
        cell => {
            let value = parse(cell);
            if value.is_none() {
                wrong.push(row, &cell.to_text().unwrap_or("an image".into()));
            }
            value
        }
    };
    (0..column.len()).map(read).collect()
}
