//! What is known of rows and columns before anything is trained: identical images, properties of files,
//! what each column can do alone.

use std::collections::{BTreeSet, HashMap};

use rayon::prelude::*;

use super::{ColumnFact, Facts, Grouping};
use crate::resemblance::{Colors, colors, resemblances};
use sidelight_data::config::{Config, MetadataConfig};
use sidelight_data::dataset::{
    Dataset, Fact, MetadataColumn, MetadataValues, Targets, image_facts,
};
use sidelight_data::image::{Limits, content_hash, decode, read};
use sidelight_data::number::counted;
use sidelight_data::schema::{Disguise, Reason, Role, Schema, Wishes};
use sidelight_data::split::FoldOrder;
use sidelight_data::table::Table;
use sidelight_data::task::Task;

/// Properties of a file that any image has.
const OF_FILES: [&str; 3] = ["image.width", "image.height", "image.bytes"];
/// A group is one within which a gain should persist only where it holds so many rows on average: a site or a
/// device does; within one patient a patient's age is constant, and rightly tells nothing.
const STRATUM_ROWS: usize = 20;
/// Columns with so many values at most divide the rows into subgroups that are told one by one.
const SUBGROUPS: std::ops::RangeInclusive<usize> = 2..=12;
/// Rows of one image beyond which only pairs with the first of them are listed.
const MOST_PAIRED: usize = 200;
/// Numbers of a target beyond which columns are not tried alone.
const MOST_TARGETS: usize = 512;
/// Of a larger picture no more than these sides are decoded, where its format can do with less: its colors are as good.
const COLORS_AT_LEAST: usize = 64;
/// Bins that a number is divided into, at most.
const MOST_BINS: usize = 32;

impl Facts {
    /// Looks at rows and columns: images of the same bytes, identifiers, what each column of `config`'s metadata
    /// and each property of the files can do alone. `folds` are those of the first seed, tested in this order; `config` has
    /// its metadata written out.
    ///
    /// What a column can do alone is the share of the target's variance (for classes: of the Brier score) that its
    /// mean in the folds that are learned from explains, by value or by quantile; below 0 is 0. Points are taken as shares of their image
    /// where `sizes` are given: in pixels, the size of an image would predict them.
    ///
    /// An image that cannot be read is like no other.
    pub fn gather(
        table: &Table,
        config: &Config,
        dataset: &Dataset,
        task: &Task,
        folds: (&[u32], FoldOrder),
        sizes: Option<&[[f32; 2]]>,
    ) -> Self {
        let alone = Alone::new(dataset, task, folds, sizes);
        let schema = inferred(table, config);
        let of_subjects = resemblances(dataset, config, |rows| colors_of(dataset, rows));
        let mut columns: Vec<ColumnFact> = dataset
            .metadata
            .columns
            .par_iter()
            .map(|column| {
                let settings = config.metadata.get(&column.name).map(|entry| entry.full());
                ColumnFact {
                    column: column.name.clone(),
                    used: true,
                    share_of_gain: None,
                    alone: disguised(schema.as_ref(), &column.name)
                        .or_else(|| alone.as_ref()?.of(&codes(&column.values))),
                    identifier: is_identifier(schema.as_ref(), column),
                    from_file: is_of_file(&column.name, settings.as_ref()),
                    resemblance: of_subjects
                        .iter()
                        .find(|found| found.column == column.name)
                        .map(|found| found.share),
                }
            })
            .collect();
        columns.extend(of_files(dataset, alone.as_ref()));
        Self {
            columns,
            duplicates: duplicates(dataset),
            strata: strata(config, dataset),
            subgroups: dataset
                .metadata
                .columns
                .iter()
                .filter_map(subgroup)
                .collect(),
        }
    }
}

/// What the columns would be if nobody had said; `None` where that cannot be told.
fn inferred(table: &Table, config: &Config) -> Option<Schema> {
    let wishes = Wishes {
        ignore: Vec::new(),
        ..Wishes::from_config(table, config).ok()?
    };
    Schema::infer(table, &wishes).ok()
}

fn reason<'s>(schema: Option<&'s Schema>, column: &str) -> Option<&'s Reason> {
    match &schema?.column(column)?.role {
        Role::Ignored(reason) => Some(reason),
        _ => None,
    }
}

/// 1 for a column that is the target in other words.
fn disguised(schema: Option<&Schema>, column: &str) -> Option<f64> {
    match reason(schema, column)? {
        // What was derived from the target need not give it back.
        Reason::Target(Disguise::DerivedFrom { .. }) => None,
        Reason::Target(_) => Some(1.0),
        _ => None,
    }
}

fn is_identifier(schema: Option<&Schema>, column: &MetadataColumn) -> bool {
    let of_its_own = match &column.values {
        MetadataValues::Categorical { codes, .. } => {
            let known: Vec<u32> = codes.iter().flatten().copied().collect();
            let distinct: BTreeSet<u32> = known.iter().copied().collect();
            known.len() >= 20 && distinct.len() as f64 >= 0.9 * known.len() as f64
        }
        _ => false,
    };
    of_its_own || matches!(reason(schema, &column.name), Some(Reason::Identifier))
}

fn is_of_file(name: &str, config: Option<&MetadataConfig>) -> bool {
    let from = config
        .and_then(|config| config.from.as_deref())
        .unwrap_or(name);
    OF_FILES.contains(&from) || from.starts_with("exif.")
}

/// Width, height and size of the files, where the metadata has no such column.
fn of_files(dataset: &Dataset, alone: Option<&Alone>) -> Vec<ColumnFact> {
    let Some(alone) = alone else {
        return Vec::new();
    };
    let found: Vec<Vec<Option<Fact>>> = dataset
        .images
        .par_iter()
        .map(|image| image_facts(image, &OF_FILES))
        .collect();
    let number = |at: usize| -> Vec<Option<f64>> {
        let number = |facts: &Vec<Option<Fact>>| match facts[at] {
            Some(Fact::Number(number)) => Some(number),
            _ => None,
        };
        found.iter().map(number).collect()
    };
    let is_used = |name: &str| {
        dataset
            .metadata
            .columns
            .iter()
            .any(|column| column.name == name)
    };
    OF_FILES
        .iter()
        .enumerate()
        .filter(|(_, name)| !is_used(name))
        .map(|(at, name)| ColumnFact {
            column: (*name).to_owned(),
            alone: alone.of(&codes(&MetadataValues::Continuous(number(at)))),
            from_file: true,
            ..ColumnFact::default()
        })
        .collect()
}

/// The colors of these rows' images, of those that can be read.
fn colors_of(dataset: &Dataset, rows: &BTreeSet<usize>) -> HashMap<usize, Colors> {
    let of_row = |&row: &usize| {
        let picture = decode(&dataset.images[row], Some(COLORS_AT_LEAST)).ok()?;
        Some((row, colors(&picture)))
    };
    rows.par_iter().filter_map(of_row).collect()
}

/// Pairs of rows whose images have the same bytes.
fn duplicates(dataset: &Dataset) -> Vec<[usize; 2]> {
    let hashed: Vec<(Option<[u8; 32]>, Vec<usize>)> = dataset
        .rows_by_image()
        .into_par_iter()
        .map(|(source, rows)| {
            let bytes = read(source, &Limits::default());
            (bytes.ok().map(|bytes| content_hash(source, &bytes)), rows)
        })
        .collect();
    let mut same: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
    let mut pairs = Vec::new();
    for (hash, rows) in hashed {
        match hash {
            Some(hash) => same.entry(hash).or_default().extend(rows),
            None => pairs.extend(paired(rows)),
        }
    }
    pairs.extend(same.into_values().flat_map(paired));
    pairs.sort_unstable();
    pairs
}

fn paired(mut rows: Vec<usize>) -> Vec<[usize; 2]> {
    rows.sort_unstable();
    rows.dedup();
    let firsts = if rows.len() > MOST_PAIRED {
        1
    } else {
        rows.len()
    };
    (0..firsts)
        .flat_map(|a| {
            rows[a + 1..]
                .iter()
                .map(|&b| [rows[a], b])
                .collect::<Vec<_>>()
        })
        .collect()
}

fn strata(config: &Config, dataset: &Dataset) -> Vec<Grouping> {
    let Some(groups) = &dataset.groups else {
        return Vec::new();
    };
    let n_groups = groups.iter().collect::<BTreeSet<_>>().len();
    if n_groups < 2 || groups.len() < STRATUM_ROWS * n_groups {
        return Vec::new();
    }
    let last = groups.iter().max().copied().unwrap_or_default();
    vec![Grouping {
        name: config.data.group.clone().unwrap_or_default(),
        levels: (0..=last).map(|group| group.to_string()).collect(),
        of_row: groups.iter().copied().map(Some).collect(),
    }]
}

fn subgroup(column: &MetadataColumn) -> Option<Grouping> {
    let (levels, of_row) = column.values.levels()?;
    let found: BTreeSet<u32> = of_row.iter().flatten().copied().collect();
    SUBGROUPS.contains(&found.len()).then(|| Grouping {
        name: column.name.clone(),
        levels,
        of_row,
    })
}

/// Classes, labels and subgroups that a single independent unit has, each as a remark: while that unit is held out, there
/// is nothing to learn them from, and while it is not, nothing to test them on.
pub fn lone_units(dataset: &Dataset) -> Vec<String> {
    let units = match &dataset.groups {
        Some(groups) => groups.clone(),
        None => (0..).take(dataset.len()).collect(),
    };
    let grouping = |name: &str, levels: &[String], of_row| Grouping {
        name: name.to_owned(),
        levels: levels.to_vec(),
        of_row,
    };
    let mut groupings: Vec<Grouping> = match &dataset.targets {
        Some(Targets::Class { names, index }) => vec![grouping("class", names, index.clone())],
        Some(Targets::Multilabel { names, present }) => {
            let label = |(label, name): (usize, &String)| {
                let rows = present.chunks(names.len());
                let of_row = rows.map(|row| (row[label] == Some(true)).then_some(0));
                grouping("label", std::slice::from_ref(name), of_row.collect())
            };
            names.iter().enumerate().map(label).collect()
        }
        _ => Vec::new(),
    };
    groupings.extend(dataset.metadata.columns.iter().filter_map(subgroup));
    let remark = |grouping: &Grouping, (level, name): (u32, &String)| {
        let own = grouping.of_row.iter().zip(&units);
        let own: Vec<u32> = own
            .filter(|(code, _)| **code == Some(level))
            .map(|(_, unit)| *unit)
            .collect();
        let one = own.iter().collect::<BTreeSet<_>>().len() == 1;
        one.then(|| {
            format!(
                "{} `{}` has one independent unit ({}): it cannot be both learned and tested",
                grouping.name,
                name,
                counted(own.len(), "row")
            )
        })
    };
    let of_grouping = |grouping: &Grouping| {
        let levels = (0..).zip(&grouping.levels);
        levels
            .filter_map(|level| remark(grouping, level))
            .collect::<Vec<_>>()
    };
    groupings.iter().flat_map(of_grouping).collect()
}

/// A value as a number of its bin; what is missing is a bin as well.
#[expect(
    clippy::cast_possible_truncation,
    reason = "levels, of which there are no more than rows in memory"
)]
fn codes(values: &MetadataValues) -> Vec<u32> {
    match values {
        MetadataValues::Continuous(values) | MetadataValues::Datetime(values) => quantiles(values),
        names => {
            let (levels, codes) = names.levels().unwrap_or_default();
            let code = |code: Option<u32>| code.unwrap_or(levels.len() as u32);
            codes.into_iter().map(code).collect()
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "at most `MOST_BINS`")]
fn quantiles(values: &[Option<f64>]) -> Vec<u32> {
    let mut sorted: Vec<f64> = values.iter().flatten().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let n_bins = (sorted.len().isqrt()).clamp(1, MOST_BINS);
    let mut edges: Vec<f64> = (1..n_bins)
        .map(|bin| sorted[bin * sorted.len() / n_bins])
        .collect();
    edges.dedup();
    values
        .iter()
        .map(|value| match value {
            Some(value) => edges.partition_point(|edge| edge <= value) as u32,
            None => MOST_BINS as u32,
        })
        .collect()
}

/// The target as numbers, each of about the same weight, to be guessed from one column.
struct Alone<'a> {
    folds: &'a [u32],
    order: FoldOrder,
    /// In the order of time: each tested fold and the rows that are learned from then. Else empty: they are all others.
    learned: Vec<(u32, Vec<usize>)>,
    width: usize,
    /// `[row][width]`.
    target: Vec<f64>,
    /// `[row][width]`: 1 known, 0 missing.
    mask: Vec<f64>,
    /// Squared error of the mean of what is learned from: chance.
    chance: f64,
}

impl<'a> Alone<'a> {
    fn new(
        dataset: &Dataset,
        task: &Task,
        (folds, order): (&'a [u32], FoldOrder),
        sizes: Option<&[[f32; 2]]>,
    ) -> Option<Self> {
        let targets = dataset.targets.as_ref()?;
        let width = match task {
            Task::Class { names, .. } => names.len(),
            other => other.d_target(),
        };
        if width > MOST_TARGETS {
            return None;
        }
        let (mut target, mut mask) = (Vec::new(), Vec::new());
        for row in 0..dataset.len() {
            let (found, known) = task.encode(targets, row);
            if matches!(task, Task::Class { .. }) {
                target
                    .extend((0..width).map(|class| f64::from(u8::from(class as f32 == found[0]))));
                mask.extend(std::iter::repeat_n(f64::from(known[0]), width));
            } else {
                let size = sizes.map_or([1.0; 2], |sizes| sizes[row]);
                for (k, (x, m)) in found.iter().zip(&known).enumerate() {
                    let share = f64::from(x / size[k % 2]);
                    let is_known = *m > 0.0 && share.is_finite();
                    target.push(if is_known { share } else { 0.0 });
                    mask.push(f64::from(u8::from(is_known)));
                }
            }
        }
        if !matches!(task, Task::Class { .. } | Task::Multilabel { .. }) {
            standardize(&mut target, &mask, width);
        }
        let last = folds.iter().max().copied().unwrap_or_default();
        let learned = match order {
            FoldOrder::Any => Vec::new(),
            FoldOrder::Forward => (1..=last)
                .map(|fold| (fold, order.learned(folds, fold, dataset.groups.as_deref())))
                .collect(),
        };
        let mut alone = Self {
            folds,
            order,
            learned,
            width,
            target,
            mask,
            chance: 0.0,
        };
        alone.chance = alone.error(&vec![0; dataset.len()]);
        (alone.chance > 0.0).then_some(alone)
    }

    /// Share of the chance error that a column's mean by bin takes away, in [0, 1].
    fn of(&self, codes: &[u32]) -> Option<f64> {
        Some((1.0 - self.error(codes) / self.chance).max(0.0)).filter(|share| share.is_finite())
    }

    /// Squared error where each tested row gets the mean of its bin's rows among those that are learned from, drawn towards
    /// the mean of all of them as by one row more.
    fn error(&self, codes: &[u32]) -> f64 {
        let n_bins = codes.iter().max().map_or(0, |last| *last as usize + 1);
        let n_folds = self.folds.iter().max().map_or(0, |last| *last as usize + 1);
        let w = self.width;
        // Sums and counts by fold and bin; the last bin is all of them.
        let mut sums = vec![[0.0_f64; 2]; n_folds * (n_bins + 1) * w];
        let at = |fold: usize, bin: usize| (fold * (n_bins + 1) + bin) * w;
        let mut add = |fold: u32, row: usize| {
            for bin in [codes[row] as usize, n_bins] {
                let cell = at(fold as usize, bin);
                for k in 0..w {
                    sums[cell + k][0] += self.target[row * w + k] * self.mask[row * w + k];
                    sums[cell + k][1] += self.mask[row * w + k];
                }
            }
        };
        match self.order {
            FoldOrder::Any => (0..codes.len()).for_each(|row| add(self.folds[row], row)),
            FoldOrder::Forward => (self.learned.iter())
                .for_each(|(fold, rows)| rows.iter().for_each(|&row| add(*fold, row))),
        }
        let mut whole = vec![[0.0_f64; 2]; (n_bins + 1) * w];
        for (cell, sum) in sums.iter().enumerate() {
            let total = &mut whole[cell % ((n_bins + 1) * w)];
            *total = [total[0] + sum[0], total[1] + sum[1]];
        }
        let learned = |fold: usize, bin: usize, k: usize| {
            let (all, own) = (whole[bin * w + k], sums[at(fold, bin) + k]);
            match self.order {
                FoldOrder::Any => [all[0] - own[0], all[1] - own[1]],
                FoldOrder::Forward => own,
            }
        };
        let mut error = 0.0;
        let is_tested = |row: usize| self.order.tests(self.folds[row]);
        for (row, &code) in codes.iter().enumerate().filter(|(row, _)| is_tested(*row)) {
            let fold = self.folds[row] as usize;
            for k in 0..w {
                let [sum, n] = learned(fold, n_bins, k);
                let mean = sum / n.max(1.0);
                let [sum, n] = learned(fold, code as usize, k);
                let guess = (sum + mean) / (n + 1.0);
                let miss = self.target[row * w + k] - guess;
                error += self.mask[row * w + k] * miss * miss;
            }
        }
        error
    }
}

/// Divides each of the target's numbers by its standard deviation, so that none counts for its unit.
fn standardize(target: &mut [f64], mask: &[f64], width: usize) {
    for k in 0..width {
        let cells = || (k..mask.len()).step_by(width);
        let n: f64 = cells().map(|at| mask[at]).sum();
        let mean = cells().map(|at| target[at] * mask[at]).sum::<f64>() / n.max(1.0);
        let variance = cells()
            .map(|at| mask[at] * (target[at] - mean).powi(2))
            .sum::<f64>()
            / n.max(1.0);
        let sd = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        cells().for_each(|at| target[at] = (target[at] - mean) / sd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidelight_data::dataset::Metadata;

    fn alone(target: &[f64], width: usize, folds: &[u32], order: FoldOrder) -> Alone<'static> {
        let folds: &'static [u32] = Vec::leak(folds.to_vec());
        let last = folds.iter().max().copied().unwrap();
        let mut alone = Alone {
            folds,
            order,
            learned: match order {
                FoldOrder::Any => Vec::new(),
                FoldOrder::Forward => (1..=last)
                    .map(|fold| (fold, order.learned(folds, fold, None)))
                    .collect(),
            },
            width,
            target: target.to_vec(),
            mask: vec![1.0; target.len()],
            chance: 0.0,
        };
        alone.chance = alone.error(&vec![0; folds.len()]);
        alone
    }

    #[test]
    fn a_column_that_is_the_target_explains_it_and_one_that_is_constant_does_not() {
        let target: Vec<f64> = (0..200).map(|row| f64::from(row % 2)).collect();
        let folds: Vec<u32> = (0..200).map(|row| row / 2 % 5).collect();
        let alone = alone(&target, 1, &folds, FoldOrder::Any);
        let same: Vec<u32> = (0..200).map(|row| row % 2).collect();
        assert!(alone.of(&same).unwrap() > 0.99);
        assert_eq!(alone.of(&[0; 200]).unwrap(), 0.0);
        // Every row its own bin: nothing of it is in another fold.
        let own: Vec<u32> = (0..200).collect();
        assert!(alone.of(&own).unwrap() < 0.01);
    }

    #[test]
    fn in_the_order_of_time_a_column_explains_what_it_explained_before() {
        // The column is the target in the first two blocks and the contrary of it in the last.
        let target: Vec<f64> = (0..300).map(|row| f64::from(row % 2)).collect();
        let folds: Vec<u32> = (0..300).map(|row| row / 100).collect();
        let codes: Vec<u32> = (0..300)
            .map(|row| (row % 2) ^ u32::from(row >= 200))
            .collect();
        let forward = alone(&target, 1, &folds, FoldOrder::Forward);
        // By hand: in block 1 each row is missed by 0.5 / 51 (50 rows of block 0 have its code, and one more that is the
        // mean, 0.5); in block 2 by 1 - 0.5 / 101.
        let expected = 100.0 * (0.5_f64 / 51.0).powi(2) + 100.0 * (1.0 - 0.5_f64 / 101.0).powi(2);
        assert!((forward.error(&codes) - expected).abs() < 1e-9);
        // Block 0 is tested by nothing: chance is the mean, 0.5 away, in the two hundred rows of the others.
        assert!((forward.chance - 50.0).abs() < 1e-9, "{}", forward.chance);
    }

    #[test]
    fn numbers_are_binned_by_rank_and_gaps_are_a_bin() {
        let values: Vec<Option<f64>> = (0..16).map(|i| (i != 3).then_some(f64::from(i))).collect();
        let bins = quantiles(&values);
        assert_eq!(bins[3], MOST_BINS as u32);
        assert_eq!(bins[0], 0);
        assert_eq!(bins[15], 2);
        assert_eq!(quantiles(&[None, None]), [MOST_BINS as u32; 2]);
        // Ties stay together.
        assert_eq!(
            quantiles(&[Some(1.0); 9])
                .iter()
                .collect::<BTreeSet<_>>()
                .len(),
            1
        );
    }

    #[test]
    fn rows_of_one_image_are_paired_all_with_all() {
        assert_eq!(paired(vec![5, 1, 3]), [[1, 3], [1, 5], [3, 5]]);
        assert_eq!(paired(vec![2]), Vec::<[usize; 2]>::new());
        assert_eq!(paired((0..300).collect()).len(), 299);
    }

    #[test]
    fn what_one_unit_alone_has_is_named() {
        let codes = [0, 0, 1, 1, 0, 0].map(Some).to_vec();
        let names = ["a", "b"].map(String::from).to_vec();
        let mut dataset = Dataset {
            path: "rows.csv".into(),
            rows: (0..6).collect(),
            images: Vec::new(),
            metadata: Metadata {
                columns: vec![MetadataColumn {
                    name: "site".into(),
                    values: MetadataValues::Categorical {
                        names: names.clone(),
                        codes: codes.clone(),
                    },
                }],
                n_rows: 6,
            },
            targets: Some(Targets::Class {
                names,
                index: [0, 1, 0, 1, 0, 1].map(Some).to_vec(),
            }),
            groups: None,
            splits: None,
            folds: None,
            times: None,
            weights: None,
            to_table: None,
            remarks: Vec::new(),
        };
        assert_eq!(lone_units(&dataset), Vec::<String>::new());
        // Rows 2 and 3 are of one group: what only they have is one unit's.
        dataset.groups = Some(vec![0, 0, 1, 1, 2, 2]);
        assert_eq!(
            lone_units(&dataset),
            ["site `b` has one independent unit (2 rows): it cannot be both learned and tested"]
        );
        dataset.groups = Some(vec![0, 1, 0, 2, 0, 1]);
        assert_eq!(lone_units(&dataset).len(), 1);
        assert!(lone_units(&dataset)[0].starts_with("class `a` has one independent unit (3 rows)"));
    }
}
