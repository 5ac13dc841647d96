//! Every image once: its fingerprint, and with it the sets of images that are the same.

use serde::Serialize;

use super::fingerprint::{Fingerprint, near_sets};
use crate::scan::scan;
use sidelight_data::dataset::{Dataset, ImageSource, Split};
use sidelight_data::error::{Error, Result};
use sidelight_data::image::{self, Limits};

/// Rows whose images are the same, or nearly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SameImage {
    /// Positions in the data set, ascending.
    pub rows: Vec<usize>,
    /// Rows that have the very file of an earlier one, to the last byte.
    pub copies: usize,
    /// Whether rows of the *same file* have different targets.
    pub conflict: bool,
    /// Whether they are in several groups, where there are groups.
    pub across_groups: bool,
    /// Whether some are training rows and some are not, where there is a column of parts.
    pub across_parts: bool,
}

impl SameImage {
    /// Whether all of them are the same file.
    pub fn is_exact(&self) -> bool {
        self.copies + 1 == self.rows.len()
    }
}

/// What the images turned out to be.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Images that were read.
    pub(super) n_images: usize,
    /// Images that could not be, and why the first could not.
    pub(super) unreadable: Option<(usize, Error)>,
    /// Images that are in several rows.
    pub(super) same: Vec<SameImage>,
}

/// Reads every image of a data set, on all cores, however many rows have it.
pub(super) fn look(dataset: &Dataset, progress: &(dyn Fn(usize, usize) + Sync)) -> Seen {
    let images = dataset.rows_by_image();
    let prints = scan(&images, progress, |source, _| fingerprint(source));
    let mut seen = Seen::default();
    let (mut readable, mut rows_of) = (Vec::new(), Vec::new());
    for (print, (_, rows)) in prints.into_iter().zip(images) {
        match print {
            Ok(print) => {
                readable.push(print);
                rows_of.push(rows);
            }
            Err(error) => match &mut seen.unreadable {
                Some((count, _)) => *count += 1,
                none => *none = Some((1, error)),
            },
        }
    }
    seen.n_images = readable.len();
    let mut sets = near_sets(&readable);
    // One file named by several rows is a set of its own, unless it is in one already.
    let mut is_in_set = vec![false; readable.len()];
    sets.iter().flatten().for_each(|at| is_in_set[*at] = true);
    let repeated = (0..readable.len()).filter(|at| !is_in_set[*at] && rows_of[*at].len() > 1);
    sets.extend(repeated.map(|at| vec![at]));
    // Several images of one row may resemble each other.
    sets.retain(|set| {
        let mut rows = set.iter().flat_map(|at| &rows_of[*at]);
        let first = rows.next();
        rows.any(|row| Some(row) != first)
    });
    let mut same: Vec<SameImage> = sets
        .iter()
        .map(|set| same_image(dataset, set, &readable, &rows_of))
        .collect();
    same.sort_by(|a, b| a.rows.cmp(&b.rows));
    seen.same = same;
    seen
}

fn fingerprint(source: &ImageSource) -> Result<Fingerprint> {
    let limits = Limits::default();
    let bytes = image::read(source, &limits)?;
    // Large JPEGs need not be decoded in full for a thumbnail of 16 pixels.
    let reading = image::PixelFormat::default();
    let picture = image::decode_part(source, &bytes, Some(64), &limits, reading)?;
    Ok(Fingerprint::new(
        image::content_hash(source, &bytes),
        &picture,
    ))
}

fn same_image(
    dataset: &Dataset,
    set: &[usize],
    prints: &[Fingerprint],
    rows_of: &[Vec<usize>],
) -> SameImage {
    let mut rows: Vec<(usize, [u8; 32])> = set
        .iter()
        .flat_map(|at| rows_of[*at].iter().map(|row| (*row, prints[*at].bytes)))
        .collect();
    rows.sort_unstable();
    let differ = |of_row: &dyn Fn(usize) -> u32| {
        rows.iter()
            .any(|(row, _)| of_row(*row) != of_row(rows[0].0))
    };
    // Of the same bytes only: pictures that merely look alike may well differ.
    let copies: Vec<[usize; 2]> = rows
        .iter()
        .enumerate()
        .filter_map(|(nth, (row, bytes))| {
            let earlier = rows[..nth].iter().find(|(_, other)| other == bytes);
            earlier.map(|(earlier, _)| [*earlier, *row])
        })
        .collect();
    let targets = dataset.targets.as_ref();
    let differ_in_target = |[a, b]: &[usize; 2]| targets.is_some_and(|all| !all.same(*a, *b));
    let groups = dataset.groups.as_ref();
    let parts = dataset.splits.as_ref();
    SameImage {
        copies: copies.len(),
        conflict: copies.iter().any(differ_in_target),
        across_groups: groups.is_some_and(|groups| differ(&|row| groups[row])),
        across_parts: parts
            .is_some_and(|parts| differ(&|row| u32::from(parts[row] == Split::Train))),
        rows: rows.iter().map(|(row, _)| *row).collect(),
    }
}
