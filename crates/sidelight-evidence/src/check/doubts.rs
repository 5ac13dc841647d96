//! What is read without an error and may not be what it seems: points, sides, groups.

use std::collections::{BTreeMap, HashMap};

use sidelight_data::config::{Arm, Config, TargetKind, key};
use sidelight_data::dataset::{Dataset, MetadataValues, Targets};
use sidelight_data::schema::sides;
use sidelight_data::table::Table;

use super::problem::{Problem, ProblemKind, listed};

/// Every such doubt.
pub(super) fn all(dataset: &Dataset, config: &Config, table: &Table, problems: &mut Vec<Problem>) {
    repeated_points(dataset, problems);
    shares(dataset, problems);
    laterality(dataset, config, problems);
    unpaired_points(config, problems);
    similar_groups(table, config, problems);
}

/// Points that are in one place in many rows, in the corner that says nothing or in a place that is far commoner than any
/// other: they were never set.
fn repeated_points(dataset: &Dataset, problems: &mut Vec<Problem>) {
    let Some(Targets::Keypoints { n_points, xy, .. }) = &dataset.targets else {
        return;
    };
    let n_rows = dataset.len();
    let mut found = Vec::new();
    let mut values = std::collections::BTreeSet::new();
    for point in 0..*n_points {
        let mut places: HashMap<[u32; 2], usize> = HashMap::new();
        for [x, y] in xy
            .iter()
            .skip(point)
            .step_by(*n_points)
            .filter(|[x, _]| !x.is_nan())
        {
            *places.entry([x.to_bits(), y.to_bits()]).or_default() += 1;
        }
        let mut counts: Vec<(usize, [f32; 2])> = places
            .into_iter()
            .map(|(place, n)| (n, place.map(f32::from_bits)))
            .collect();
        counts.sort_by(|a, b| {
            b.0.cmp(&a.0)
                .then_with(|| a.1.partial_cmp(&b.1).unwrap_or(std::cmp::Ordering::Equal))
        });
        let Some(&(n, [x, y])) = counts.first() else {
            continue;
        };
        let next = counts.get(1).map_or(0, |(n, _)| *n);
        let is_corner = x <= 0.0 && y <= 0.0 && n >= 3;
        let is_common = n >= 5 && n * 4 >= n_rows && n > 4 * next && counts.len() > 1;
        // Outside the image it is said already, with the way out.
        let is_inside = x >= 0.0 && y >= 0.0;
        if is_inside && (is_corner || is_common) {
            found.push(format!(
                "point {point} at ({x}, {y}) in {n} of {n_rows} rows"
            ));
            values.extend([x.to_string(), y.to_string()]);
        }
    }
    if !found.is_empty() {
        let n = found.len();
        let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
        problems.push(Problem::new(
            ProblemKind::RepeatedPoints,
            format!("the same place again and again: {}", listed(found, n)),
            format!(
                "if a point was not set there, `target.missing = [{}]` leaves it out",
                values.join(", ")
            ),
        ));
    }
}

/// Points that are all within a pixel or so of the corner: shares of the image's sides, not pixels.
fn shares(dataset: &Dataset, problems: &mut Vec<Problem>) {
    let Some(Targets::Keypoints { xy, .. }) = &dataset.targets else {
        return;
    };
    let known: Vec<f32> = xy
        .iter()
        .flatten()
        .copied()
        .filter(|at| !at.is_nan())
        .collect();
    let greatest = known.iter().copied().fold(0.0, f32::max);
    let is_share = known.iter().all(|at| (0.0..=1.0).contains(at)) && greatest > 0.0;
    if is_share && dataset.len() > 2 {
        problems.push(Problem::new(
            ProblemKind::PointUnits,
            format!("all points lie between 0 and {greatest}: they look like shares of the image's width and height"),
            "points are in pixels: multiply x by the image's width and y by its height",
        ));
    }
}

/// Columns of left and right beside images that are mirrored.
fn laterality(dataset: &Dataset, config: &Config, problems: &mut Vec<Problem>) {
    let is_flipped = config
        .augment
        .flip
        .unwrap_or(config.target.kind != TargetKind::Keypoints);
    if !is_flipped || config.model.arm != Arm::Both {
        return;
    }
    for column in &dataset.metadata.columns {
        let MetadataValues::Categorical { names, .. } = &column.values else {
            continue;
        };
        let entry = config.metadata.get(&column.name).map(|entry| entry.full());
        let is_declared = entry.is_some_and(|entry| !entry.flip.is_empty());
        if let Some([left, right]) =
            sides(names.iter().map(String::as_str)).filter(|_| !is_declared)
        {
            let name = key(&column.name);
            problems.push(Problem::new(
                ProblemKind::Laterality,
                format!("metadata `{}` says {left} or {right}, and half of the training images are mirrored", column.name),
                format!(
                    "let the sides change with the image: `{name} = {{ kind = \"categorical\", flip = [[{left:?}, {right:?}]] }}`; or `augment.flip = false`"
                ),
            ));
        }
    }
}

/// Points that are mirrored with their image, and none changes sides with another.
fn unpaired_points(config: &Config, problems: &mut Vec<Problem>) {
    let target = &config.target;
    let n_points = target.names().len() / 2;
    let is_flipped = target.kind == TargetKind::Keypoints && config.augment.flip == Some(true);
    if is_flipped && target.symmetric.is_empty() && n_points > 1 {
        problems.push(Problem::new(
            ProblemKind::UnpairedPoints,
            format!("images are mirrored (`augment.flip`), and of {n_points} points none changes sides with another"),
            "name the points that swap, as in `target.symmetric = [[0, 1]]`, or leave `augment.flip` out",
        ));
    }
}

/// Groups whose names are the same but for case and blanks: `P23` and `p23`.
fn similar_groups(table: &Table, config: &Config, problems: &mut Vec<Problem>) {
    let Some(column) = config.data.group.as_ref().and_then(|name| table.find(name)) else {
        return;
    };
    let mut spelt: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in 0..column.len() {
        let Some(name) = column.cell(row).to_text() else {
            continue;
        };
        let name = name.trim();
        let plain: String = name.split_whitespace().collect::<String>().to_lowercase();
        let names = spelt.entry(plain).or_default();
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    let similar: Vec<String> = spelt
        .into_values()
        .filter(|names| names.len() > 1)
        .map(|names| {
            names
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(" and ")
        })
        .collect();
    if !similar.is_empty() {
        let n = similar.len();
        problems.push(Problem::new(
            ProblemKind::SimilarGroups,
            format!("group `{}` has names that differ in case or blanks alone: {}", column.name, listed(similar, n)),
            "if they are one, write them alike: otherwise a group may be in training and validation",
        ));
    }
}
