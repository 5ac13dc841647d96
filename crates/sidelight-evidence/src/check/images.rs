//! Every image: is it there, can it be decoded, do its points lie inside, does another row have it too?

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sidelight_data::config::{Config, ImageRange};
use sidelight_data::dataset::{
    Dataset, Findings, ImageSource, SimilarNames, Split, Targets, is_outside,
};
use sidelight_data::error::{Error, ObjectFault, in_full};
use sidelight_data::image::{self, Limits, Picture};
use sidelight_data::number::counted;
use sidelight_data::schema::images_elsewhere;
use sidelight_data::split::SplitRows;
use sidelight_data::table::Table;

use super::problem::{Problem, ProblemKind, listed};
use crate::resemblance::{Colors, colors, resemblances};
use crate::scan::scan;

/// What one image turned out to be.
enum Seen {
    /// Its hash, and the points of its rows that are outside: row, number and sentence.
    Good {
        hash: [u8; 32],
        colors: Colors,
        outside: Vec<(usize, usize, String)>,
        /// The values of its pixels, where they have more than 8 bits.
        deep: Option<[f32; 2]>,
        /// Where EXIF turns it: how many points would be outside, if they were on the turned picture.
        turned: Option<usize>,
    },
    Missing,
    Bad(Error),
}

/// Checks every image once; returns how many there are.
pub(super) fn check(
    table: &Table,
    dataset: &Dataset,
    findings: &Findings,
    config: &Config,
    split: Option<&SplitRows>,
    progress: &(dyn Fn(usize, usize) + Sync),
    problems: &mut Vec<Problem>,
) -> usize {
    // Rows without the name of an image were listed already.
    let nameless: HashSet<usize> = findings.no_image.iter().copied().collect();
    let mut images = dataset.rows_by_image();
    images.retain(|(_, rows)| !nameless.contains(&dataset.rows[rows[0]]));
    let seen = scan(&images, progress, |source, rows| {
        look(table, dataset, source, rows)
    });

    let (mut n_deep, mut deepest) = (0, [f32::INFINITY, f32::NEG_INFINITY]);
    let mut is_address = false;
    let (mut look, mut look_alike) = (SimilarNames::default(), None);
    let outside_alike = one_place(dataset);
    let place = |row: usize| table.row_place(dataset.rows[row]);
    let (mut missing, mut outside, mut n_with_outside) = (Vec::new(), Vec::new(), 0);
    let (mut n_turned, mut n_outside_upright) = (0, 0);
    let mut bad: Vec<(String, Problem)> = Vec::new();
    let mut good: Vec<Option<([u8; 32], Colors)>> = vec![None; images.len()];
    let of_images = images.iter().zip(&mut good);
    for (((source, rows), good), seen) in of_images.zip(seen) {
        match seen {
            Seen::Missing => {
                look_alike = look_alike.or_else(|| similar_name(&mut look, source));
                is_address |= matches!(source.whole(), ImageSource::Object(_));
                missing.push(format!("{} ({})", image::name(source), place(rows[0])));
            }
            Seen::Bad(error) => {
                let reason = in_full(&error);
                let sentence = format!("{}: {reason}", place(rows[0]));
                let kind = ProblemKind::UnreadableImage;
                let reason = reason.replace(&image::name(source), "");
                bad.push((reason, Problem::from_error(kind, sentence, &error)));
            }
            Seen::Good {
                hash,
                colors,
                outside: found,
                turned,
                deep,
            } => {
                if let Some([least, greatest]) = deep {
                    n_deep += 1;
                    deepest = [deepest[0].min(least), deepest[1].max(greatest)];
                }
                if let Some(n_upright) = turned {
                    n_turned += 1;
                    n_outside_upright += n_upright;
                }
                *good = Some((hash, colors));
                n_with_outside += usize::from(!found.is_empty());
                outside.extend(found);
            }
        }
    }
    problems.extend(by_reason(bad));
    let n_missing = missing.len();
    if n_missing > 0 {
        let are = if n_missing == 1 { "is" } else { "are" };
        problems.push(Problem::new(
            ProblemKind::MissingImages,
            format!(
                "{n_missing} of {} images {are} not there: {}",
                images.len(),
                listed(missing, n_missing)
            ),
            match images_elsewhere(table, &config.data.image) {
                Some(found) if n_missing * 2 > images.len() => {
                    format!("`data.image = {}` finds them", found.to_toml())
                }
                _ => match (n_missing == images.len(), look_alike) {
                    (_, Some(look_alike)) => look_alike,
                    _ if is_address => "correct the addresses, or leave their rows out".into(),
                    (true, _) => {
                        "paths are relative to the folder of the table: is it the right one?".into()
                    }
                    (false, _) => {
                        "copy them to where the table says, or leave their rows out".into()
                    }
                },
            },
        ));
    }
    let n_outside = outside.len();
    let is_pointed = matches!(dataset.targets, Some(Targets::Keypoints { .. }));
    let frame = config.target.frame;
    if is_pointed && n_turned > 0 && frame.is_none() {
        problems.push(Problem::new(
            ProblemKind::Frame,
            format!(
                "{n_turned} of {} images are turned by EXIF, and points are taken in pixels of the stored image, before it is turned ({n_outside} lie outside it so, {n_outside_upright} of the turned picture)",
                images.len()
            ),
            "labelling tools show pictures turned: `target.frame = \"upright\"` takes points so, `\"stored\"` as now",
        ));
    }
    if n_outside > 0 {
        outside.sort();
        problems.push(Problem::new(
            ProblemKind::PointsOutside,
            format!(
                "{} in {} outside the image: {}",
                counted(n_outside, "point"),
                counted(n_with_outside, "image"),
                listed(outside.iter().map(|(.., sentence)| sentence), n_outside)
            ),
            match outside_alike {
                Some(value) => format!("they count for nothing in loss and metrics; if they were not set, `target.missing = [{value:?}]` says so"),
                None => "they count for nothing in loss and metrics; are they in pixels of the image as it is stored?".into(),
            },
        ));
    }
    problems.extend(pixel_range(config, n_deep, deepest));
    let n_images = images.len();
    let colors_of = |wanted: &BTreeSet<usize>| {
        let of_images = images.iter().zip(&good);
        let known = of_images.filter_map(|((_, rows), good)| Some((rows, good.as_ref()?.1)));
        let known = known.flat_map(|(rows, colors)| {
            let rows = rows.iter().filter(|row| wanted.contains(row));
            rows.map(move |row| (*row, colors))
        });
        known.collect()
    };
    let subjects: Vec<Problem> = subjects(dataset, config, colors_of).collect();
    let mut same: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for ((_, mut rows), good) in images.into_iter().zip(good) {
        if let Some((hash, _)) = good {
            same.entry(hash).or_default().append(&mut rows);
        }
    }
    problems.extend(duplicates(dataset, split, same));
    problems.extend(subjects);
    n_images
}

fn look(table: &Table, dataset: &Dataset, source: &ImageSource, rows: &[usize]) -> Seen {
    if let ImageSource::Path(path) = source.whole()
        && !path.exists()
    {
        return Seen::Missing;
    }
    let limits = Limits::default();
    let decoded = image::read(source, &limits).and_then(|bytes| {
        let picture = image::decode_bytes(&image::name(source), &bytes, None, &limits)?;
        let deep = image::deep_range(&image::name(source), &bytes, &limits)?;
        Ok((image::content_hash(source, &bytes), picture, deep))
    });
    match decoded {
        Ok((hash, picture, deep)) => Seen::Good {
            hash,
            deep,
            colors: colors(&picture),
            outside: outside(table, dataset, &picture, rows),
            turned: (!is_straight(&picture)).then(|| outside_upright(dataset, &picture, rows)),
        },
        Err(Error::Object {
            fault: ObjectFault::Missing,
            ..
        }) => Seen::Missing,
        Err(error) => Seen::Bad(error),
    }
}

/// The points of these rows that are not on their picture.
fn outside(
    table: &Table,
    dataset: &Dataset,
    picture: &Picture,
    rows: &[usize],
) -> Vec<(usize, usize, String)> {
    let Some(Targets::Keypoints { n_points, xy, .. }) = &dataset.targets else {
        return Vec::new();
    };
    let to_stored = picture.from_stored.inverse();
    let corner = to_stored.apply([picture.width as f32, picture.height as f32]);
    let origin = to_stored.apply([0.0, 0.0]);
    // Turned or not, the stored image has these sides.
    let [width, height] = [0, 1].map(|axis| (corner[axis] - origin[axis]).abs().round());
    let mut outside = Vec::new();
    for &row in rows {
        for (point, &[x, y]) in xy[row * n_points..][..*n_points].iter().enumerate() {
            if is_outside([x, y], [width, height]) {
                let at = table.row_place(dataset.rows[row]);
                let sentence = format!("point {point} at ({x}, {y}) of {width} × {height} in {at}");
                outside.push((row, point, sentence));
            }
        }
    }
    outside
}

/// Deep images that use a small part of the range that is given to them, or go beyond it.
fn pixel_range(config: &Config, n_deep: usize, [least, greatest]: [f32; 2]) -> Option<Problem> {
    // Training takes what it finds.
    if n_deep == 0 || config.image.range == ImageRange::Auto {
        return None;
    }
    // All that 16 bits hold; of numbers that are not whole, or below 0, from 0 to 1.
    let are_whole = least >= 0.0 && greatest.fract() == 0.0;
    let all = if are_whole {
        [0.0, 65_535.0]
    } else {
        [0.0, 1.0]
    };
    let [low, high] = config.image.range.known().unwrap_or(all);
    let share = (greatest - least.max(low)) / (high - low);
    let images = counted(n_deep, "image");
    let what = if greatest > high || least < low {
        format!(
            "{images} of more than 8 bits a channel have values from {least} to {greatest}: what is outside {low} to {high} is black or white"
        )
    } else if share < 0.5 {
        format!(
            "{images} of more than 8 bits a channel have values from {least} to {greatest} of {low} to {high}: all that differs in them is in {:.1} % of what a network sees",
            share * 100.0
        )
    } else {
        return None;
    };
    let [low, high] = image::usual_range([least, greatest]);
    Some(Problem::new(
        ProblemKind::PixelRange,
        what,
        format!(
            "`image.range = [{low}, {high}]` makes these values black and white, `\"auto\"` those that training finds"
        ),
    ))
}

/// Whether the picture is as it is stored.
fn is_straight(picture: &Picture) -> bool {
    let [a, b, _, d, e, _] = picture.from_stored.0;
    a > 0.0 && e > 0.0 && b == 0.0 && d == 0.0
}

/// How many points of these rows, taken as they are written, are not on the turned picture.
fn outside_upright(dataset: &Dataset, picture: &Picture, rows: &[usize]) -> usize {
    let Some(Targets::Keypoints { n_points, xy, .. }) = &dataset.targets else {
        return 0;
    };
    let sides = [picture.width as f32, picture.height as f32];
    let points = rows
        .iter()
        .flat_map(|row| &xy[row * n_points..][..*n_points]);
    points.filter(|point| is_outside(**point, sides)).count()
}

/// The one negative number that all points left of or above their image have for coordinates: -1, say.
fn one_place(dataset: &Dataset) -> Option<String> {
    let Some(Targets::Keypoints { xy, .. }) = &dataset.targets else {
        return None;
    };
    let mut negative = xy.iter().filter(|[x, y]| *x < 0.0 && *y < 0.0);
    let first = negative.next()?;
    let is_one = first[0] == first[1] && negative.clone().count() >= 2;
    (is_one && negative.all(|point| point == first)).then(|| first[0].to_string())
}

/// The files beside a missing one whose names differ in capitals or Unicode form alone, in words.
fn similar_name(look: &mut SimilarNames, source: &ImageSource) -> Option<String> {
    let ImageSource::Path(path) = source.whole() else {
        return None;
    };
    let found = look.of(path);
    (!found.is_empty()).then(|| {
        let found: Vec<String> = found.iter().map(|name| format!("`{name}`")).collect();
        format!(
            "there is {}: names must be written as the files are, capitals included",
            found.join(" and ")
        )
    })
}

/// Unreadable images, those of one reason in one problem where they are many.
fn by_reason(bad: Vec<(String, Problem)>) -> Vec<Problem> {
    /// So many are named one by one.
    const MOST: usize = 5;
    let mut reasons: BTreeMap<String, Vec<Problem>> = BTreeMap::new();
    for (reason, problem) in bad {
        reasons.entry(reason).or_default().push(problem);
    }
    let mut problems = Vec::new();
    for of_reason in reasons.into_values() {
        if of_reason.len() <= MOST {
            problems.extend(of_reason);
            continue;
        }
        let n = of_reason.len();
        let sentence = format!("{n} images for one reason: {}", listed(&of_reason, n));
        let first = of_reason.into_iter().next();
        problems.extend(first.map(|first| Problem { sentence, ..first }));
    }
    problems
}

/// Columns whose images show that they may name persons, places or series.
fn subjects(
    dataset: &Dataset,
    config: &Config,
    colors_of: impl Fn(&BTreeSet<usize>) -> HashMap<usize, Colors>,
) -> impl Iterator<Item = Problem> {
    let found = resemblances(dataset, config, colors_of);
    found.into_iter().map(|found| {
        Problem::new(
            ProblemKind::DoubtfulColumn,
            format!(
                "metadata `{}`: {} values of {:.0} rows on average, and images of one value resemble each other (nearer than one of another value in {:.0} of 100 pairs): it may name what several images are of",
                found.column,
                found.values,
                found.rows,
                100.0 * found.share
            ),
            format!(
                "if new rows will have other values, take it out of [metadata] and set `data.group = {:?}`: else scores are those of known values",
                found.column
            ),
        )
    })
}

/// Images of the same bytes in several rows.
fn duplicates(
    dataset: &Dataset,
    split: Option<&SplitRows>,
    same: BTreeMap<[u8; 32], Vec<usize>>,
) -> Option<Problem> {
    let mut sets: Vec<Vec<usize>> = same.into_values().collect();
    for rows in &mut sets {
        rows.sort_unstable();
        // A row may have an image twice.
        rows.dedup();
    }
    sets.retain(|rows| rows.len() > 1);
    if sets.is_empty() {
        return None;
    }
    sets.sort();
    let mut in_training = vec![false; dataset.len()];
    match (split, &dataset.splits) {
        (Some(split), _) => split.train.iter().for_each(|row| in_training[*row] = true),
        // A split that divides groups is still the one that was asked for.
        (None, Some(splits)) => {
            in_training = splits.iter().map(|split| *split == Split::Train).collect();
        }
        (None, None) => {}
    }
    let count = |differ: &dyn Fn(usize, usize) -> bool| {
        let is_divided = |rows: &&Vec<usize>| rows.iter().any(|row| differ(rows[0], *row));
        sets.iter().filter(is_divided).count()
    };
    let targets = dataset.targets.as_ref();
    let n_conflicts = count(&|a, b| targets.is_some_and(|targets| !targets.same(a, b)));
    let n_across = count(&|a, b| in_training[a] != in_training[b]);
    let n_rows: usize = sets.iter().map(Vec::len).sum();
    let mut sentence = format!(
        "{} in several rows ({n_rows} in all)",
        counted(sets.len(), "identical image")
    );
    if n_across > 0 {
        sentence += &format!(", {n_across} of them both in and outside training");
    }
    if n_conflicts > 0 {
        sentence += &format!(", {n_conflicts} with different targets");
    }
    let first = sets.iter().map(|rows| {
        let numbers = rows.iter().take(4);
        let numbers: Vec<String> = numbers
            .map(|row| (dataset.rows[*row] + 1).to_string())
            .collect();
        let more = if rows.len() > 4 { ", …" } else { "" };
        format!("rows {}{more}", numbers.join(" = "))
    });
    sentence += &format!(": {}", listed(first, sets.len()));
    let hint = match n_across {
        0 => "leave one row of each, unless they are meant",
        _ => "the score rewards memorising: leave one row of each, or give them one group",
    };
    Some(Problem::new(ProblemKind::DuplicateImages, sentence, hint))
}
