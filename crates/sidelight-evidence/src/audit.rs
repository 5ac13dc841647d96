//! What can be said of metadata and images before anything is trained: which column to keep, look at or drop.
//!
//! | what | how |
//! |---|---|
//! | what each column, and that it is missing, predicts alone | [`power`]: shrunk cell means, cross-validated, against permutations |
//! | columns that are the target in disguise, identifiers | [`schema`](sidelight_data::schema), as `init` and `check` do |
//! | images that occur twice | [`fingerprint`]: SHA-256, dHash and correlation |
//! | size of images and files, EXIF as predictors | as columns |
//! | columns that differ between parts | [`two_sample`](crate::statistics::two_sample) |
//!
//! Every column of the table is looked at, also those that the configuration leaves out: it may be right to.

mod advice;
mod cells;
mod columns;
mod finding;
pub mod fingerprint;
mod images;
mod power;
mod shift;
mod signal;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::Serialize;

use crate::statistics::significance::holm;
use crate::statistics::two_sample::Shift;
use sidelight_data::config::{Arm, Config, MetadataKind};
use sidelight_data::dataset::{self, Dataset, MetadataValues};
use sidelight_data::error::{Error, Result, first_of};
use sidelight_data::schema::Reason;
use sidelight_data::split;

pub use advice::{Advice, Why};
pub use finding::Finding;
pub use images::SameImage;
pub use power::{N_PERMUTATIONS, Power};

use columns::Candidate;
use power::{Cells, Trial};
use signal::Signal;

/// Folds of the cross-validation.
pub const FOLDS: usize = 5;
/// Columns that a sentence names.
const NAMED: usize = 8;

/// What an audit found.
#[derive(Debug)]
pub struct Audit {
    /// The target, as one says it: `price`, `4 points`.
    pub target: String,
    /// Rows with a target.
    pub rows: usize,
    /// Independent units among them: groups, or rows.
    pub units: usize,
    /// Images that were read.
    pub images: usize,
    /// Row in the table (from 0) of each position in the data set.
    pub table_rows: Vec<usize>,
    /// Every column, those in use first, then by advice, then by what they can do alone.
    pub columns: Vec<ColumnAudit>,
    /// Sets of rows whose images are the same, or nearly.
    pub same_images: Vec<SameImage>,
    /// What is to be said of rows and images.
    pub findings: Vec<Finding>,
    /// What was noticed while reading.
    pub remarks: Vec<String>,
}

/// What an audit found of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnAudit {
    /// Its name in the configuration, or in the table.
    pub name: String,
    /// Whether the configuration has it as metadata.
    pub used: bool,
    /// Whether it tells of the image's file: its size, EXIF.
    pub from_file: bool,
    /// Whether it tells rows apart and says nothing about them.
    pub identifier: bool,
    /// As what it was read.
    pub kind: MetadataKind,
    /// Number of rows of the table.
    pub rows: usize,
    /// Rows that lack it.
    pub missing: usize,
    /// Number of different values.
    pub distinct: usize,
    /// Share of known rows that have a category of their own; 0 for numbers.
    pub once: f64,
    /// Cells that cannot be read as what it holds: how many, and one of them.
    pub misread: Option<(usize, String)>,
    /// What it predicts alone, that it is missing included; `None` with fewer than two units.
    pub alone: Option<Power>,
    /// What the mere fact that it is missing predicts; `None` where it never or always is.
    pub gaps: Option<Power>,
    /// How far training and other rows differ; `None` without a column of parts.
    pub shift: Option<Moved>,
    /// The same of whether it is missing.
    pub gaps_shift: Option<Moved>,
    /// What to do with it.
    pub advice: Advice,
    /// Why, the gravest reason first.
    pub why: Vec<Why>,
}

impl ColumnAudit {
    /// All reasons in one line.
    pub fn reason(&self) -> String {
        let why: Vec<String> = self.why.iter().map(Why::to_string).collect();
        why.join("; ")
    }
}

/// How far training and other rows differ, p adjusted for the number of columns (Holm 1979).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Moved {
    /// In [0, 1]: 0 the same, 1 nothing in common.
    pub distance: f64,
    /// Probability of this without any difference, rows taken as independent.
    pub p: f64,
}

impl Audit {
    /// The advice in one sentence.
    pub fn sentence(&self) -> String {
        let named = |advice: Advice| {
            let advised = |column: &&ColumnAudit| column.used && column.advice == advice;
            let names: Vec<String> = self
                .columns
                .iter()
                .filter(advised)
                .map(|column| format!("`{}`", column.name))
                .collect();
            first_of(&names, NAMED)
        };
        let part = |advice: Advice| match self.count(advice) {
            0 => None,
            _ => Some(format!("{advice} {}", named(advice))),
        };
        let parts: Vec<String> = [Advice::Drop, Advice::LookAt, Advice::Keep]
            .into_iter()
            .filter_map(part)
            .collect();
        let rows = match self.units == self.rows {
            true => format!("{} rows", self.rows),
            false => format!("{} rows in {} groups", self.rows, self.units),
        };
        match parts.is_empty() {
            true => format!("no column is in use ({rows}, target {})", self.target),
            false => format!("{} ({rows}, target {})", parts.join("; "), self.target),
        }
    }

    /// Columns in use with this advice.
    pub fn count(&self, advice: Advice) -> usize {
        let advised = |column: &&ColumnAudit| column.used && column.advice == advice;
        self.columns.iter().filter(advised).count()
    }

    /// Pairs of positions in the data set whose images are the same, or nearly: each row with the first of its set
    /// and with the one before.
    pub fn pairs(&self) -> Vec<[usize; 2]> {
        let of_set = |same: &SameImage| -> Vec<[usize; 2]> {
            let with_first = same.rows[2.min(same.rows.len())..]
                .iter()
                .map(|row| [same.rows[0], *row]);
            let with_last = same.rows.windows(2).map(|pair| [pair[0], pair[1]]);
            with_last.chain(with_first).collect()
        };
        self.same_images.iter().flat_map(of_set).collect()
    }
}

/// Looks at everything that can be known before training. Beside it the data set, every column of it read.
///
/// `progress` is told the number of images done and of all images, from any thread.
/// Images are left alone where the arm reads none.
///
/// # Errors
///
/// Where the table cannot be read or lacks a column that the configuration names; [`Error::NoTarget`].
/// Cells and images that cannot be read are findings.
///
/// # Example
///
/// ```
/// use sidelight_data::config::Config;
/// use sidelight_evidence::audit::{Advice, audit};
///
/// let folder = tempfile::tempdir()?;
/// let rows: String = (0..60).map(|i| format!("{i}.jpg,{},{},{}\n", i * i, 2 * i * i + 1, i * 37 % 11)).collect();
/// std::fs::write(folder.path().join("t.csv"), format!("file_name,price,price_in_cents,noise\n{rows}"))?;
/// let text = r#"
///     data.table = "t.csv"
///     target = { kind = "regression", column = "price" }
///     metadata = { price_in_cents = "continuous", noise = "continuous" }
///     model.arm = "metadata"
/// "#;
/// let config = Config::parse(text, &folder.path().join("t.toml"), &[])?;
/// let (found, _) = audit(&config, &|_done, _all| {})?;
/// let advice = |name| found.columns.iter().find(|column| column.name == name).unwrap().advice;
/// assert_eq!((advice("price_in_cents"), advice("noise")), (Advice::Drop, Advice::Keep));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn audit(
    config: &Config,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<(Audit, Dataset)> {
    let table = config.data.read_table()?;
    let with_images = config.model.arm != Arm::Metadata;
    let (candidates, part) = columns::candidates(&table, config, with_images)?;
    let config = columns::with_all(config, &candidates, part);
    let (dataset, findings) = dataset::inspect(&table, &config)?;
    if let Some(absent) = findings.absent.first() {
        table.column(&absent.column)?;
    }
    let Some(targets) = dataset.targets.as_ref().filter(|_| !dataset.is_empty()) else {
        return Err(Error::NoTarget {
            path: table.path.clone(),
            column: config.target.names().into_iter().next().unwrap_or_default(),
            rows: table.n_rows,
        });
    };

    let seen = match with_images {
        true => images::look(&dataset, progress),
        false => images::Seen::default(),
    };

    let mut columns: Vec<ColumnAudit> = dataset
        .metadata
        .columns
        .iter()
        .map(|column| described(&column.name, &column.values, &candidates[&column.name]))
        .collect();
    let mut misread: HashMap<String, (usize, (usize, String))> = HashMap::new();
    for found in findings.misread {
        if let Some(example) = found.first.into_iter().next() {
            misread.insert(found.column, (found.count, example));
        }
    }
    for column in &mut columns {
        column.misread = misread
            .remove(&column.name)
            .map(|(count, (_, example))| (count, example));
    }
    let signal = Signal::new(targets, config.target.scale, &sizes(&dataset));
    let gaps_together = measure(&dataset, &signal, config.data.split.seed, &mut columns)?;
    compare_parts(&dataset, &mut columns);
    for column in &mut columns {
        column.why = advice::reasons(column, candidates[&column.name].reason.as_ref());
        column.advice = column
            .why
            .iter()
            .map(Why::advice)
            .max()
            .unwrap_or(Advice::Keep);
    }
    // What a file does not say is not to be listed.
    columns.retain(|column| !column.from_file || column.used || column.distinct > 1);
    let score = |column: &ColumnAudit| column.alone.map_or(f64::NEG_INFINITY, |power| power.score);
    columns.sort_by(|a, b| {
        (b.used, b.advice)
            .cmp(&(a.used, a.advice))
            .then(score(b).total_cmp(&score(a)))
    });

    let all: Vec<usize> = (0..dataset.len()).collect();
    let units = split::n_units(&dataset, &all);
    let mut findings = finding::findings(&dataset, &config, &seen, units);
    let tells = gaps_together.filter(advice::is_striking);
    findings.extend(tells.map(Finding::GapsTogether));
    let audit = Audit {
        target: target_name(&config),
        rows: dataset.len(),
        units,
        images: seen.n_images,
        table_rows: dataset.rows.clone(),
        columns,
        findings,
        same_images: seen.same,
        remarks: dataset.remarks.clone(),
    };
    Ok((audit, dataset))
}

fn target_name(config: &Config) -> String {
    let names = config.target.names();
    match names.len() {
        1..=3 => names.join(", "),
        n if config.target.kind == sidelight_data::config::TargetKind::Keypoints => {
            format!("{} points", n / 2)
        }
        n => format!("{n} columns"),
    }
}

fn described(name: &str, values: &MetadataValues, candidate: &Candidate) -> ColumnAudit {
    let missing = values.n_missing();
    let known = (values.len() - missing).max(1);
    let once = match values {
        MetadataValues::Categorical { names, codes } => {
            let mut counts = vec![0; names.len()];
            codes
                .iter()
                .flatten()
                .for_each(|code| counts[*code as usize] += 1);
            counts.iter().filter(|count| **count == 1).count() as f64 / known as f64
        }
        _ => 0.0,
    };
    ColumnAudit {
        name: name.to_owned(),
        used: candidate.used,
        from_file: candidate.from_file,
        identifier: matches!(
            candidate.reason,
            Some(Reason::Identifier | Reason::Subject | Reason::ImageNames)
        ),
        kind: candidate.config.kind,
        rows: values.len(),
        missing,
        distinct: cells::n_distinct(values),
        once,
        misread: None,
        alone: None,
        gaps: None,
        shift: None,
        gaps_shift: None,
        advice: Advice::Keep,
        why: Vec::new(),
    }
}

/// Width and height of each row's stored image, where known.
fn sizes(dataset: &Dataset) -> Vec<Option<[f64; 2]>> {
    let side = |name: &str| {
        let column = dataset
            .metadata
            .columns
            .iter()
            .find(|column| column.name == name)?;
        match &column.values {
            MetadataValues::Continuous(values) => Some(values),
            _ => None,
        }
    };
    let (Some(width), Some(height)) = (side("image.width"), side("image.height")) else {
        // Without images points are in pixels, which differ from one another by as much as their images do.
        return vec![Some([1.0, 1.0]); dataset.len()];
    };
    let size = |(width, height): (&Option<f64>, &Option<f64>)| Some([(*width)?, (*height)?]);
    width.iter().zip(height).map(size).collect()
}

/// What every column and every gap predicts alone; returns what the pattern of gaps in columns in use does.
fn measure(
    dataset: &Dataset,
    signal: &Signal,
    seed: u64,
    columns: &mut [ColumnAudit],
) -> Result<Option<Power>> {
    let all: Vec<usize> = (0..dataset.len()).collect();
    let n_folds = split::n_units(dataset, &all).min(FOLDS);
    if n_folds < 2 {
        return Ok(None);
    }
    let folds = split::folds(dataset, n_folds, seed)?;
    let trial = Trial::new(signal, &folds, dataset.groups.as_deref(), seed);
    let values = || {
        let columns = dataset.metadata.columns.iter();
        columns.map(|column| &column.values)
    };
    let whole = values().map(cells::cells);
    let gaps: Vec<Option<Cells>> = values().map(cells::gaps).collect();
    let has_gaps: Vec<bool> = gaps.iter().map(Option::is_some).collect();
    let used = values()
        .zip(columns.iter())
        .filter(|(_, column)| column.used);
    // Of one column it would be that column's own gaps.
    let with_gaps = used.filter(|(values, _)| values.n_missing() > 0);
    let together = match with_gaps.clone().count() {
        0 | 1 => None,
        _ => cells::gap_patterns(with_gaps.map(|(values, _)| values)),
    };
    let all: Vec<Cells> = whole
        .chain(gaps.into_iter().flatten())
        .chain(together.clone())
        .collect();
    let mut powers = trial.powers(&all).into_iter();
    for column in columns.iter_mut() {
        column.alone = powers.next();
    }
    for (column, _) in columns.iter_mut().zip(has_gaps).filter(|(_, has)| *has) {
        column.gaps = powers.next();
    }
    Ok(powers.next())
}

/// How far training and other rows differ in each column.
fn compare_parts(dataset: &Dataset, columns: &mut [ColumnAudit]) {
    let Some(parts) = &dataset.splits else { return };
    let values = || dataset.metadata.columns.iter().map(|column| &column.values);
    let whole = values().map(|values| shift::of_column(values, parts));
    let gaps = values().map(|values| shift::of_gaps(values, parts));
    let all: Vec<Option<Shift>> = whole.chain(gaps).collect();
    let p: Vec<f64> = all.iter().flatten().map(|shift| shift.p).collect();
    let mut adjusted = holm(&p).into_iter();
    let moved = |shift: &Option<Shift>| {
        shift.and_then(|shift| {
            Some(Moved {
                distance: shift.distance,
                p: adjusted.next()?,
            })
        })
    };
    let all: Vec<Option<Moved>> = all.iter().map(moved).collect();
    let (whole, gaps) = all.split_at(columns.len());
    for ((column, whole), gaps) in columns.iter_mut().zip(whole).zip(gaps) {
        (column.shift, column.gaps_shift) = (*whole, *gaps);
    }
}
