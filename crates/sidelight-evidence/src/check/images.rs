//! Every image: is it there, can it be decoded, do its points lie inside, does another row have it too?

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use sha2::Digest as _;

use super::{OutsidePoint, Problem};
use sidelight_data::dataset::{Dataset, Findings, ImageSource, Split, Targets};
use sidelight_data::error::Error;
use sidelight_data::image::{self, Limits};
use sidelight_data::split::SplitRows;
use sidelight_data::table::Table;

/// What one image turned out to be.
enum Seen {
    /// Its hash, and the points of its rows that are outside, with the image's size.
    Good {
        hash: [u8; 32],
        outside: Vec<(usize, OutsidePoint)>,
    },
    Missing,
    Bad(Error),
}

/// Checks every image once, however many rows have it, on all cores; returns how many there are.
pub(super) fn check(
    table: &Table,
    dataset: &Dataset,
    findings: &Findings,
    split: Option<&SplitRows>,
    progress: &(dyn Fn(usize, usize) + Sync),
    problems: &mut Vec<Problem>,
) -> usize {
    // Rows without the name of an image were listed already.
    let nameless: std::collections::HashSet<usize> = findings.no_image.iter().copied().collect();
    let mut position: HashMap<&ImageSource, usize> = HashMap::new();
    let mut images: Vec<(&ImageSource, Vec<usize>)> = Vec::new();
    for (row, source) in dataset.images.iter().enumerate() {
        if nameless.contains(&dataset.rows[row]) {
            continue;
        }
        let index = *position.entry(source).or_insert_with(|| {
            images.push((source, Vec::new()));
            images.len() - 1
        });
        images[index].1.push(row);
    }

    let n_done = AtomicUsize::new(0);
    let seen: Vec<Seen> = images
        .par_iter()
        .map(|(source, rows)| {
            let seen = look(table, dataset, source, rows);
            progress(n_done.fetch_add(1, Ordering::Relaxed) + 1, images.len());
            seen
        })
        .collect();

    let place = |row: usize| table.row_place(dataset.rows[row]);
    let (mut missing, mut n_missing) = (Vec::new(), 0);
    let (mut outside, mut n_outside, mut n_with_outside) = (Vec::new(), 0, 0);
    let mut same: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
    // In the order of the rows, whichever thread was first.
    for ((source, rows), seen) in images.iter().zip(seen) {
        match seen {
            Seen::Missing => {
                n_missing += 1;
                if missing.len() < 3
                    && let ImageSource::Path(path) = source
                {
                    missing.push((place(rows[0]), path.clone()));
                }
            }
            Seen::Bad(source) => problems.push(Problem::UnreadableImage {
                at: place(rows[0]),
                source,
            }),
            Seen::Good {
                hash,
                outside: found,
            } => {
                same.entry(hash).or_default().extend(rows);
                n_outside += found.len();
                n_with_outside += usize::from(!found.is_empty());
                outside.extend(found);
            }
        }
    }
    if n_missing > 0 {
        problems.push(Problem::MissingImages {
            count: n_missing,
            n_images: images.len(),
            first: missing,
        });
    }
    if n_outside > 0 {
        outside.sort_by_key(|(row, point)| (*row, point.point));
        let first = outside
            .into_iter()
            .take(3)
            .map(|(_, point)| point)
            .collect();
        problems.push(Problem::PointsOutside {
            n_points: n_outside,
            n_images: n_with_outside,
            first,
        });
    }
    duplicates(table, dataset, split, same, problems);
    images.len()
}

fn look(table: &Table, dataset: &Dataset, source: &ImageSource, rows: &[usize]) -> Seen {
    if let ImageSource::Path(path) = source
        && !path.exists()
    {
        return Seen::Missing;
    }
    let limits = Limits::default();
    let decoded = image::read(source, &limits).and_then(|bytes| {
        let picture = image::decode_bytes(&image::name(source), &bytes, None, &limits)?;
        Ok((sha2::Sha256::digest(&bytes).into(), picture))
    });
    let (hash, picture) = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return Seen::Bad(error),
    };
    let mut outside = Vec::new();
    if let Some(Targets::Keypoints { n_points, xy }) = &dataset.targets {
        let to_stored = picture.from_stored.inverse();
        let corner = to_stored.apply([picture.width as f32, picture.height as f32]);
        let origin = to_stored.apply([0.0, 0.0]);
        // Turned or not, the stored image has these sides.
        let size = [0, 1].map(|axis| (corner[axis] - origin[axis]).abs().round() as usize);
        for row in rows {
            for (point, xy) in xy[row * n_points..][..*n_points].iter().enumerate() {
                let is_outside = |axis: usize| !(0.0..=size[axis] as f32).contains(&xy[axis]);
                if !xy[0].is_nan() && (is_outside(0) || is_outside(1)) {
                    let at = table.row_place(dataset.rows[*row]);
                    outside.push((
                        *row,
                        OutsidePoint {
                            at,
                            point,
                            xy: *xy,
                            size,
                        },
                    ));
                }
            }
        }
    }
    Seen::Good { hash, outside }
}

/// Images of the same bytes in several rows.
fn duplicates(
    table: &Table,
    dataset: &Dataset,
    split: Option<&SplitRows>,
    same: HashMap<[u8; 32], Vec<usize>>,
    problems: &mut Vec<Problem>,
) {
    let mut sets: Vec<Vec<usize>> = same.into_values().filter(|rows| rows.len() > 1).collect();
    if sets.is_empty() {
        return;
    }
    sets.iter_mut().for_each(|rows| rows.sort_unstable());
    sets.sort();
    let mut in_training = vec![false; dataset.len()];
    match (split, &dataset.splits) {
        (Some(split), _) => split.train.iter().for_each(|row| in_training[*row] = true),
        // A split that divides groups is still the one that was asked for.
        (None, Some(parts)) => {
            in_training
                .iter_mut()
                .zip(parts)
                .for_each(|(in_training, part)| *in_training = *part == Split::Train);
        }
        (None, None) => {}
    }
    let differ = |rows: &&Vec<usize>, same: &dyn Fn(usize, usize) -> bool| {
        rows.iter().any(|row| !same(rows[0], *row))
    };
    let targets = dataset.targets.as_ref();
    let n_different_targets = sets
        .iter()
        .filter(|rows| targets.is_some_and(|targets| differ(rows, &|a, b| targets.same(a, b))))
        .count();
    let n_across = sets
        .iter()
        .filter(|rows| differ(rows, &|a, b| in_training[a] == in_training[b]))
        .count();
    let n_rows = sets.iter().map(Vec::len).sum();
    let first = sets
        .iter()
        .take(3)
        .map(|rows| {
            rows.iter()
                .map(|row| table.row_place(dataset.rows[*row]))
                .collect()
        })
        .collect();
    problems.push(Problem::DuplicateImages {
        n_images: sets.len(),
        n_rows,
        n_different_targets,
        n_across,
        first,
    });
}
