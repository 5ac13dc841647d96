//! Columns that may name what several images are of: a person, a place, a series.
//!
//! Names give away a few of them (`patient_id`, see the schema). Of the others the pictures do: where two images of one value
//! resemble each other more than two of different values, again and again, the value stands for what is in them, and rows that
//! share it are not independent. Divided at random they are on both sides, and scores are those of known persons and places.

use std::collections::HashMap;

use sidelight_data::config::Config;
use sidelight_data::dataset::{Dataset, MetadataValues};
use sidelight_data::image::Picture;
use sidelight_data::random::{below, named};

use super::problem::{Problem, ProblemKind};
use crate::scan::mean_colors;

/// A column of fewer values is a property, however its images resemble each other.
const FEWEST_VALUES: usize = 20;
/// So many pairs are compared: a share of [`LEAST_SHARE`] of them is four standard errors above a half.
const PAIRS: usize = 400;
/// The share of pairs in which the image of the same value must be the nearer one.
const LEAST_SHARE: f64 = 0.6;
/// Parts of a picture's side whose mean colors are compared.
const SIDE: usize = 4;

/// Mean colors of a picture's parts: enough to tell one room, background or skin from another.
pub(super) type Colors = [u8; SIDE * SIDE * 3];

/// The colors of a picture.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "in [0, 255]"
)]
pub(super) fn colors(picture: &Picture) -> Colors {
    let mut colors = [0; SIDE * SIDE * 3];
    let means = mean_colors(picture, SIDE, SIDE);
    for (color, mean) in colors.iter_mut().zip(means.as_flattened()) {
        *color = mean.round() as u8;
    }
    colors
}

/// A doubt about each column of names, unless a group is named already. `of_row`: the image and the colors of each row that has
/// an image.
pub(super) fn doubts(
    dataset: &Dataset,
    config: &Config,
    of_row: &HashMap<usize, (usize, Colors)>,
) -> Vec<Problem> {
    if config.data.group.is_some() {
        return Vec::new();
    }
    let columns = dataset.metadata.columns.iter();
    let found = columns.filter_map(|column| {
        let MetadataValues::Categorical { names, codes } = &column.values else {
            return None;
        };
        let mut rows_of: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
        for (row, code) in codes.iter().enumerate().filter(|(row, _)| of_row.contains_key(row)) {
            if let Some(rows) = code.and_then(|code| rows_of.get_mut(code as usize)) {
                rows.push(row);
            }
        }
        rows_of.retain(|rows| !rows.is_empty());
        let share = share_of_nearer(&rows_of, of_row, &column.name)?;
        let n_rows: usize = rows_of.iter().map(Vec::len).sum();
        (share >= LEAST_SHARE).then(|| {
            Problem::new(
                ProblemKind::DoubtfulColumn,
                format!(
                    "metadata `{}`: {} values of {:.0} rows on average, and images of one value resemble each other (nearer than one of another value in {:.0} of 100 pairs): it may name what several images are of",
                    column.name,
                    rows_of.len(),
                    n_rows as f64 / rows_of.len() as f64,
                    100.0 * share
                ),
                format!(
                    "if new rows will have other values, take it out of [metadata] and set `data.group = {:?}`: else scores are those of known values",
                    column.name
                ),
            )
        })
    });
    found.collect()
}

/// How often an image is nearer to another of its value than to one of another value, over pairs drawn at random; `None`
/// where there are too few values of several images.
fn share_of_nearer(
    rows_of: &[Vec<usize>],
    of_row: &HashMap<usize, (usize, Colors)>,
    name: &str,
) -> Option<f64> {
    let image_of = |row: &usize| of_row.get(row).map(|(image, _)| *image);
    let of_several: Vec<&Vec<usize>> = rows_of
        .iter()
        .filter(|rows| {
            rows.iter()
                .any(|row| image_of(row) != rows.first().and_then(image_of))
        })
        .collect();
    if of_several.len() < FEWEST_VALUES {
        return None;
    }
    let mut stream = named(0, name);
    let mut nearer = 0.0;
    for _ in 0..PAIRS {
        let value = below(&mut stream, of_several.len());
        // Any of the others.
        let other = (value + 1 + below(&mut stream, of_several.len() - 1)) % of_several.len();
        let mut draw = |rows: &[usize]| {
            rows.get(below(&mut stream, rows.len()))
                .and_then(|row| of_row.get(row))
        };
        let (own, elsewhere) = (draw(of_several[value])?, draw(of_several[other])?);
        let same = loop {
            let drawn = draw(of_several[value])?;
            if drawn.0 != own.0 {
                break drawn;
            }
        };
        let [to_same, to_other] = [same, elsewhere].map(|to| distance(&own.1, &to.1));
        nearer += match to_same.cmp(&to_other) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        };
    }
    Some(nearer / PAIRS as f64)
}

/// The sum of the differences.
fn distance(a: &Colors, b: &Colors) -> u32 {
    let differences = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)));
    differences.sum()
}
