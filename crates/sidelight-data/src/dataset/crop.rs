//! The part of each row's image that a network sees (`data.crop`).

use super::metadata::{self, Misread, MissingMarkers};
use crate::image::{Affine, Area, ImageSource};
use crate::schema;
use crate::spelling::Spelling;
use crate::table::{Cell, Column};

/// Gives each of these rows' images the part that the columns of x, y, width and height say; `turns` are from pixels as
/// stored to those that the columns are in. A row that lacks one of the four has the whole image; a width or height that is
/// not above 0, and a box that lies left of the image or above it, are noted.
pub(super) fn cut(
    images: &mut [ImageSource],
    columns: &[&Column],
    (rows, turns): (&[usize], Option<&[Affine]>),
    spelling: Spelling<'_>,
    gaps: MissingMarkers<'_>,
    misread: &mut Vec<Misread>,
) {
    let mut cells = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let (expected, least) = match at {
            0 | 1 => ("a number, pixels", f64::NEG_INFINITY),
            _ => ("a number above 0, pixels", 0.0),
        };
        let mut wrong = Misread::new(&column.name, expected);
        let number = |cell: Cell<'_>| {
            schema::number_as(cell, &spelling).filter(|value| value.is_finite() && *value > least)
        };
        let of_rows = rows.iter().map(|&row| (row, column.cell(row)));
        cells.push(metadata::typed(of_rows, None, gaps, &mut wrong, number));
        misread.push(wrong);
    }
    let expected = "a box that reaches into the image, right of 0 and below it";
    let mut outside = columns
        .first()
        .map(|column| Misread::new(&column.name, expected));
    for (at, image) in images.iter_mut().enumerate() {
        let edges: Option<Vec<f64>> = cells.iter().map(|cells| cells[at]).collect();
        let Some(&[x, y, width, height]) = edges.as_deref() else {
            continue;
        };
        let turn = turns.map(|turns| turns[at].inverse());
        match Area::of_box(stored([x, y, width, height], turn)) {
            Some(area) => *image = std::mem::replace(image, ImageSource::absent()).cropped(area),
            None => {
                if let Some(outside) = &mut outside {
                    outside.push(rows[at], &format!("{x}, {y}, {width}, {height}"));
                }
            }
        }
    }
    misread.extend(outside);
}

/// The box in pixels of the image as stored.
#[expect(
    clippy::cast_possible_truncation,
    reason = "maps are in single precision"
)]
fn stored([x, y, width, height]: [f64; 4], turn: Option<Affine>) -> [f64; 4] {
    let Some(turn) = turn else {
        return [x, y, width, height];
    };
    let corners = [[x, y], [x + width, y + height]];
    let [[ax, ay], [bx, by]] =
        corners.map(|corner| turn.apply(corner.map(|at| at as f32)).map(f64::from));
    [ax.min(bx), ay.min(by), (bx - ax).abs(), (by - ay).abs()]
}
