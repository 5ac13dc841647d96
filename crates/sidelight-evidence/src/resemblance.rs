//! Columns that may name what several images are of: a person, a place, a series.
//!
//! Names give away a few of them (`patient_id`, see the schema). Of the others the pictures do: where two images of one value
//! resemble each other more than two of different values, again and again, the value stands for what is in them, and rows that
//! share it are not independent. Divided at random they are on both sides, and scores are those of known persons and places.

use std::collections::{BTreeSet, HashMap};

use sidelight_data::config::Config;
use sidelight_data::dataset::{Dataset, MetadataValues};
use sidelight_data::image::Picture;
use sidelight_data::random::{below, named};

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
pub(crate) type Colors = [u8; SIDE * SIDE * 3];

/// A column whose images of one value resemble each other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resemblance {
    /// Name of the metadata column.
    pub column: String,
    /// How many values it has.
    pub values: usize,
    /// Rows of one value, on average.
    pub rows: f64,
    /// Share of pairs in which the image of the same value is nearer than one of another value.
    pub share: f64,
}

/// The colors of a picture.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "in [0, 255]"
)]
pub(crate) fn colors(picture: &Picture) -> Colors {
    let mut colors = [0; SIDE * SIDE * 3];
    let means = mean_colors(picture, SIDE, SIDE);
    for (color, mean) in colors.iter_mut().zip(means.as_flattened()) {
        *color = mean.round() as u8;
    }
    colors
}

/// The columns of names that may be such, unless a group is named already. `colors_of` gives the colors of rows, as far as
/// they have an image that can be read; it is asked once for each column that has enough values of several images.
pub(crate) fn resemblances(
    dataset: &Dataset,
    config: &Config,
    colors_of: impl Fn(&BTreeSet<usize>) -> HashMap<usize, Colors>,
) -> Vec<Resemblance> {
    if config.data.group.is_some() {
        return Vec::new();
    }
    let mut image_of = vec![0; dataset.len()];
    for (image, (_, rows)) in dataset.rows_by_image().into_iter().enumerate() {
        rows.into_iter().for_each(|row| image_of[row] = image);
    }
    let columns = dataset.metadata.columns.iter();
    let found = columns.filter_map(|column| {
        let MetadataValues::Categorical { names, codes } = &column.values else {
            return None;
        };
        let mut rows_of: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
        for (row, code) in codes.iter().enumerate() {
            if let Some(rows) = code.and_then(|code| rows_of.get_mut(code as usize)) {
                rows.push(row);
            }
        }
        rows_of.retain(|rows| !rows.is_empty());
        let pairs = draw(&rows_of, &image_of, &column.name)?;
        let share = share_of_nearer(
            &pairs,
            &colors_of(&pairs.iter().flatten().copied().collect()),
        )?;
        let (values, n_rows) = (rows_of.len(), rows_of.iter().map(Vec::len).sum::<usize>());
        (share >= LEAST_SHARE).then(|| Resemblance {
            column: column.name.clone(),
            values,
            rows: n_rows as f64 / values as f64,
            share,
        })
    });
    found.collect()
}

/// Two rows of one value, with different images, and a row of another value, so many times; `None` where there are too few
/// values of several images.
fn draw(rows_of: &[Vec<usize>], image_of: &[usize], name: &str) -> Option<Vec<[usize; 3]>> {
    let is_of_several =
        |rows: &&Vec<usize>| rows.iter().any(|row| image_of[*row] != image_of[rows[0]]);
    let of_several: Vec<&Vec<usize>> = rows_of.iter().filter(is_of_several).collect();
    if of_several.len() < FEWEST_VALUES {
        return None;
    }
    let mut stream = named(0, name);
    let pair = |_| {
        let value = below(&mut stream, of_several.len());
        // Any of the others.
        let other = (value + 1 + below(&mut stream, of_several.len() - 1)) % of_several.len();
        let [rows, others] = [of_several[value], of_several[other]];
        let own = rows[below(&mut stream, rows.len())];
        let different: Vec<usize> = rows
            .iter()
            .copied()
            .filter(|row| image_of[*row] != image_of[own])
            .collect();
        let same = different[below(&mut stream, different.len())];
        [own, same, others[below(&mut stream, others.len())]]
    };
    Some((0..PAIRS).map(pair).collect())
}

/// How often the first is nearer to the second than to the third, of those whose colors are known; `None` where these are
/// less than half.
fn share_of_nearer(pairs: &[[usize; 3]], colors: &HashMap<usize, Colors>) -> Option<f64> {
    let (mut nearer, mut n) = (0.0, 0_usize);
    for pair in pairs {
        let [Some(own), Some(same), Some(other)] = pair.map(|row| colors.get(&row)) else {
            continue;
        };
        nearer += match distance(own, same).cmp(&distance(own, other)) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        };
        n += 1;
    }
    (2 * n > pairs.len()).then(|| nearer / n as f64)
}

/// The sum of the differences.
fn distance(a: &Colors, b: &Colors) -> u32 {
    let differences = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)));
    differences.sum()
}
