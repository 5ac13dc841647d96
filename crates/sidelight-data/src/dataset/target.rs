//! Cells of the target's columns as targets.

use std::collections::{BTreeMap, BTreeSet};

use super::Targets;
use super::metadata::{self, Misread, MissingMarkers};
use crate::config::{Spacing, TargetConfig, TargetKind, TargetScale};
use crate::schema;
use crate::spelling::Spelling;
use crate::table::{Cell, Column};

/// The largest target of a regression: squared and summed over any table it is a number still (1.8e308 at most).
const MAX_VALUE: f64 = 1e100;

/// The largest coordinate of a keypoint, pixels; its square is a number in single precision, in which losses are.
const MAX_PIXELS: f64 = 1e9;

/// Reads the targets of every row; a cell that is not what it should be is missing and noted.
pub(super) fn read(
    config: &TargetConfig,
    spelling: Spelling<'_>,
    columns: &[&Column],
    gaps: MissingMarkers<'_>,
    misread: &mut Vec<Misread>,
) -> Targets {
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    match config.kind {
        TargetKind::Keypoints => {
            let expected = "a number (pixels) within ±1e9";
            let columns = numbers(columns, spelling, gaps, misread, expected, |value| {
                value.abs() <= MAX_PIXELS
            });
            let n_points = columns.len() / 2;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "within ±1e9, in single precision as the network has them"
            )]
            let point = |&[x, y]: &[f64; 2]| match x.is_nan() || y.is_nan() {
                true => [f32::NAN; 2],
                false => [x as f32, y as f32],
            };
            let cells = by_row(&columns);
            let xy = cells.as_chunks::<2>().0.iter().map(point).collect();
            Targets::keypoints(n_points, xy)
        }
        TargetKind::Regression => {
            let log = config.scale == TargetScale::Log;
            let expected = if log {
                "a number above 0 (its logarithm is learned) and up to 1e100"
            } else {
                "a number within ±1e100"
            };
            let columns = numbers(columns, spelling, gaps, misread, expected, |value| {
                value.abs() <= MAX_VALUE && (!log || value > 0.0)
            });
            let values = by_row(&columns);
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
            let read =
                |column: &&Column| typed(column, gaps, misread, "true or false", schema::boolean);
            let by_column: Vec<Vec<Option<bool>>> = columns.iter().map(read).collect();
            let present = by_row(&by_column);
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

/// Gives points the millimetres of their pixels and the area of what they are on, as far as the table has the columns.
pub(super) fn with_scale<'a>(
    targets: &mut Targets,
    config: &TargetConfig,
    find: impl Fn(&str) -> Option<&'a Column>,
    spelling: Spelling<'_>,
    gaps: MissingMarkers<'_>,
    misread: &mut Vec<Misread>,
) {
    let n_rows = targets.len();
    let Targets::Keypoints { scale, .. } = targets else {
        return;
    };
    let mut sizes = |name: &str| -> Option<Vec<f32>> {
        let column = find(name)?;
        let expected = "a number above 0";
        let read = numbers(&[column], spelling, gaps, misread, expected, |value| {
            value > 0.0
        });
        #[expect(
            clippy::cast_possible_truncation,
            reason = "sizes, in single precision"
        )]
        let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        read.into_iter().next().map(narrow)
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "sizes, in single precision"
    )]
    let both = |[across, down]: [f64; 2]| vec![[across as f32, down as f32]; n_rows];
    scale.mm_per_px = match &config.spacing {
        None => Vec::new(),
        Some(Spacing::Same(size)) => both([*size; 2]),
        Some(Spacing::Each(sizes)) => both(*sizes),
        Some(Spacing::Column(name)) => {
            let sizes = sizes(name).unwrap_or_default();
            sizes.into_iter().map(|size| [size; 2]).collect()
        }
        Some(Spacing::Columns([across, down])) => {
            let (across, down) = (sizes(across), sizes(down));
            let pairs = across
                .zip(down)
                .map(|(across, down)| across.into_iter().zip(down));
            pairs
                .into_iter()
                .flatten()
                .map(|(across, down)| [across, down])
                .collect()
        }
    };
    scale.area = config.area.as_deref().and_then(sizes).unwrap_or_default();
}

/// Gives points the visibility that these columns say, one a point: 0, 1 and 2 as in COCO where there is a 2, else false and
/// true. One that is not there has no coordinates, whatever the table has in their place.
pub(super) fn with_visibility(
    targets: &mut Targets,
    columns: &[&Column],
    gaps: MissingMarkers<'_>,
    misread: &mut Vec<Misread>,
) {
    let Targets::Keypoints {
        n_points,
        xy,
        visible,
        ..
    } = targets
    else {
        return;
    };
    let expected = "0, 1 or 2 (not there, hidden, visible), or true or false";
    let number = |cell: Cell<'_>| match schema::boolean(cell) {
        Some(is_visible) => Some(u8::from(is_visible)),
        None => (schema::number(cell)? == 2.0).then_some(2),
    };
    let read = |column: &&Column| typed(column, gaps, misread, expected, number);
    let columns: Vec<Vec<Option<u8>>> = columns.iter().map(read).collect();
    let cells = by_row(&columns);
    let is_coco = cells.contains(&Some(2));
    let seen = |(point, cell): (&mut [f32; 2], Option<u8>)| {
        if is_coco && cell == Some(0) {
            *point = [f32::NAN; 2];
        }
        let is_there = !point[0].is_nan();
        let is_visible = cell.is_none_or(|cell| cell == if is_coco { 2 } else { 1 });
        Some(is_there && is_visible)
    };
    let is_said: Vec<bool> = cells.iter().map(Option::is_some).collect();
    *visible = xy.iter_mut().zip(cells).map(seen).collect();
    // Of a row that says nothing at all nothing is known.
    let width = (*n_points).max(1);
    let rows = visible.chunks_exact_mut(width).zip(xy.chunks_exact(width));
    for ((visible, xy), is_said) in rows.zip(is_said.chunks_exact(width)) {
        if !is_said.contains(&true) && xy.iter().all(|[x, _]| x.is_nan()) {
            visible.fill(None);
        }
    }
}

/// Number columns; NaN: missing.
fn numbers(
    columns: &[&Column],
    spelling: Spelling<'_>,
    gaps: MissingMarkers<'_>,
    misread: &mut Vec<Misread>,
    expected: &'static str,
    fits: impl Fn(f64) -> bool,
) -> Vec<Vec<f64>> {
    let number = |cell: Cell<'_>| schema::number_as(cell, &spelling).filter(|value| fits(*value));
    let read = |column: &&Column| {
        let values = typed(column, gaps, misread, expected, number).into_iter();
        values.map(|value| value.unwrap_or(f64::NAN)).collect()
    };
    columns.iter().map(read).collect()
}

fn typed<T>(
    column: &Column,
    gaps: MissingMarkers<'_>,
    misread: &mut Vec<Misread>,
    expected: &'static str,
    parse: impl Fn(Cell<'_>) -> Option<T>,
) -> Vec<Option<T>> {
    let mut wrong = Misread::new(&column.name, expected);
    let cells = (0..column.len()).map(|row| (row, column.cell(row)));
    let values = metadata::typed(cells, None, gaps, &mut wrong, parse);
    misread.push(wrong);
    values
}

/// Columns of one length as one list, row after row.
fn by_row<T: Copy>(columns: &[Vec<T>]) -> Vec<T> {
    let n_rows = columns.first().map_or(0, Vec::len);
    (0..n_rows)
        .flat_map(|row| columns.iter().map(move |column| column[row]))
        .collect()
}
