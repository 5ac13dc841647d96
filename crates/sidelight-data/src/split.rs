//! Divides rows into parts or folds, never splitting a group: at random, as the table says, or by time.
//!
//! Rows are assigned by stratum: a class, a set of labels, or a tenth of the value's range of ranks
//! (of the first column where there are several); points have one stratum. Rows without a target
//! are a stratum of their own. Where rows are in groups, whole groups are assigned, the largest and
//! the ones with the rarest classes first, each to the part that is then nearest to its due.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;

use crate::config::SplitConfig;
use crate::dataset::{Dataset, Folds, Split, Targets};
use crate::error::{Error, Result, setting};
use crate::random::{for_purpose, shuffle};
use crate::schema::same_value;

mod time;

pub use time::{FoldOrder, forward_folds};

/// Strata of a value: tenths of its ranks.
const QUANTILES: usize = 10;

/// Positions of the rows of each part, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SplitRows {
    /// Rows of the training set, in ascending order.
    pub train: Vec<usize>,
    /// Rows of the validation set, in ascending order.
    pub valid: Vec<usize>,
    /// Set aside (only where a split column says so).
    pub test: Vec<usize>,
    /// What was decided and should be said.
    pub remarks: Vec<String>,
}

/// Training rows and validation rows, each in order.
type Carved = (Vec<usize>, Vec<usize>);

/// Divides a data set as configured: by its column, by time, or at random by seed, group-safe and stratified.
///
/// Where the split column has no validation rows, they are carved from its training rows by
/// `valid` and `seed`, and a remark says so: the test rows stay untouched.
///
/// A class of two rows or more (groups, where there are groups) is in both parts, however small
/// the validation share; a class of one row is in training.
///
/// With `folds` the validation rows are those of the fold that `fold` names, else of the first, and all others but test
/// rows are for training.
///
/// # Errors
///
/// - [`Error::EmptyPart`]: a part that would be empty.
/// - [`Error::TooManyFolds`]: fewer groups (or rows) than folds.
/// - [`Error::GroupInTwoParts`]: the split column divides a group.
/// - [`Error::Setting`]: a validation share that is not in (0, 1).
pub fn split(dataset: &Dataset, config: &SplitConfig) -> Result<SplitRows> {
    if config.folds > 0 {
        return hold_out(dataset, config);
    }
    let Some(parts) = dataset.splits.as_ref().filter(|_| config.column.is_some()) else {
        if let Some(folds) = &dataset.folds {
            return of_folds(dataset, folds, config);
        }
        let all: Vec<usize> = (0..dataset.len()).collect();
        let carved = carve(dataset, &all, config)?;
        let remark = dataset.times.as_ref();
        let remark = remark.map(|times| time::remark(times, all.len(), &carved));
        let (train, valid) = carved;
        return Ok(SplitRows {
            train,
            valid,
            remarks: remark.into_iter().collect(),
            ..SplitRows::default()
        });
    };
    check_groups(dataset, parts)?;
    let of = |wanted: Split| -> Vec<usize> {
        parts
            .iter()
            .enumerate()
            .filter(|(_, part)| **part == wanted)
            .map(|(row, _)| row)
            .collect()
    };
    let mut split = SplitRows {
        train: of(Split::Train),
        valid: of(Split::Valid),
        test: of(Split::Test),
        remarks: Vec::new(),
    };
    if split.train.is_empty() {
        return Err(Error::EmptyPart {
            part: "training".into(),
            n_rows: dataset.len(),
            n_units: dataset.len(),
            unit: "row",
        });
    }
    if split.valid.is_empty() {
        let (train, valid) = carve(dataset, &split.train, config)?;
        split.remarks.push(format!(
            "the split column has no validation rows: {} of its {} training rows were taken (seed {}){}",
            valid.len(),
            split.train.len(),
            config.seed,
            if split.test.is_empty() { "" } else { "; the test rows stay untouched" }
        ));
        (split.train, split.valid) = (train, valid);
    }
    Ok(split)
}

/// Validation on one of several folds, which are dealt here or are the table's; training on the others.
fn hold_out(dataset: &Dataset, config: &SplitConfig) -> Result<SplitRows> {
    let (n, held) = (config.folds, config.fold.saturating_sub(1));
    if dataset.times.is_some() {
        let expected = "0, since rows are divided by time (`data.time`)";
        return Err(setting("data.split.folds", expected, n));
    }
    let parts = dataset.splits.as_ref().filter(|_| config.column.is_some());
    if let Some(parts) = parts {
        check_groups(dataset, parts)?;
    }
    let is_test = |row: &usize| parts.is_some_and(|parts| parts[*row] == Split::Test);
    let (test, rows): (Vec<usize>, Vec<usize>) = (0..dataset.len()).partition(is_test);
    let fold_of_row = match &dataset.folds {
        Some(folds) if folds.names.len() != n => {
            let expected = format!(
                "{}, as many as the column of folds (`data.fold`) has",
                folds.names.len()
            );
            return Err(setting("data.split.folds", expected, n));
        }
        Some(folds) => rows.iter().map(|&row| folds.of_row[row]).collect(),
        None => deal(dataset, &rows, n, config.seed)?,
    };
    let is_held = |at: &usize| fold_of_row[*at] as usize == held;
    let (valid, train): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(is_held);
    let rows_at = |places: Vec<usize>| places.into_iter().map(|at| rows[at]).collect();
    let (train, valid): (Vec<usize>, Vec<usize>) = (rows_at(train), rows_at(valid));
    for (part, of_part) in [("training", &train), ("validation", &valid)] {
        if of_part.is_empty() {
            return Err(Error::EmptyPart {
                part: part.into(),
                n_rows: rows.len(),
                n_units: n,
                unit: "fold",
            });
        }
    }
    if dataset.folds.is_some() {
        let part = |row: usize| match valid.binary_search(&row) {
            Ok(_) => Split::Valid,
            Err(_) => Split::Train,
        };
        let parts: Vec<Split> = (0..dataset.len()).map(part).collect();
        check_groups(dataset, &parts)?;
    }
    let remark = format!("validation rows are those of fold {} of {n}", held + 1);
    Ok(SplitRows {
        train,
        valid,
        test,
        remarks: vec![remark],
    })
}

/// Validation on the folds that `valid_where` names, else on the first; training on the others.
fn of_folds(dataset: &Dataset, folds: &Folds, config: &SplitConfig) -> Result<SplitRows> {
    let is_held = |name: &String| match config.valid_where.is_empty() {
        true => folds.names.first() == Some(name),
        false => config.valid_where.iter().any(|held| same_value(held, name)),
    };
    let held: Vec<bool> = folds.names.iter().map(is_held).collect();
    let (valid, train): (Vec<usize>, Vec<usize>) =
        (0..dataset.len()).partition(|row| held[folds.of_row[*row] as usize]);
    for (part, rows) in [("training", &train), ("validation", &valid)] {
        if rows.is_empty() {
            return Err(Error::EmptyPart {
                part: part.into(),
                n_rows: dataset.len(),
                n_units: folds.names.len(),
                unit: "fold",
            });
        }
    }
    let part = |fold: &u32| {
        if held[*fold as usize] {
            Split::Valid
        } else {
            Split::Train
        }
    };
    let parts: Vec<Split> = folds.of_row.iter().map(part).collect();
    check_groups(dataset, &parts)?;
    let names = folds.names.iter().zip(&held);
    let names: Vec<&str> = names
        .filter(|(_, held)| **held)
        .map(|(name, _)| name.as_str())
        .collect();
    let remark = format!(
        "validation rows are those of fold {} (`data.split.valid_where` chooses others)",
        names.join(", ")
    );
    Ok(SplitRows {
        train,
        valid,
        test: Vec::new(),
        remarks: vec![remark],
    })
}

/// Divides these rows into training and validation, group-safe and stratified as configured;
/// the split column is not looked at. This is also the inner split of a fold, for early stopping.
///
/// Where the rows have times, the latest are for validation. An earlier row of a group that is among them is in neither
/// part: it can be neither learned from nor judged by what is later.
///
/// # Errors
///
/// [`Error::EmptyPart`], [`Error::Setting`].
pub fn carve(dataset: &Dataset, rows: &[usize], config: &SplitConfig) -> Result<Carved> {
    if !(config.valid > 0.0 && config.valid < 1.0) {
        return Err(setting(
            "data.split.valid",
            "a share above 0 and below 1",
            config.valid,
        ));
    }
    if let Some(times) = &dataset.times {
        return time::carve(dataset, times, rows, config.valid);
    }
    let strata = if config.stratify {
        strata(dataset, rows)
    } else {
        vec![0; rows.len()].into()
    };
    let mut rng = for_purpose("split", config.seed);
    let plan = SplitPlan::new(dataset, rows, &strata);
    let part_of_unit = plan.assign(&[1.0 - config.valid, config.valid], &mut rng);
    let (mut train, mut valid) = (Vec::new(), Vec::new());
    for (&row, &unit) in rows.iter().zip(&plan.unit_of_row) {
        if part_of_unit[unit] == 0 {
            train.push(row)
        } else {
            valid.push(row)
        }
    }
    for (part, rows_of_part) in [("training", &train), ("validation", &valid)] {
        if rows_of_part.is_empty() {
            return Err(Error::EmptyPart {
                part: part.into(),
                n_rows: rows.len(),
                n_units: plan.units.len(),
                unit: plan.unit,
            });
        }
    }
    train.sort_unstable();
    valid.sort_unstable();
    Ok((train, valid))
}

/// Fold number of each row, in `0..n_folds`: stratified, groups whole.
///
/// # Errors
///
/// [`Error::TooManyFolds`]: fewer groups (or rows) than folds; [`Error::Setting`]: fewer than two folds.
pub fn folds(dataset: &Dataset, n_folds: usize, seed: u64) -> Result<Vec<u32>> {
    let rows: Vec<usize> = (0..dataset.len()).collect();
    deal(dataset, &rows, n_folds, seed)
}

/// As [`folds`], of these rows alone: the fold of each.
///
/// # Errors
///
/// As [`folds`].
#[expect(
    clippy::cast_possible_truncation,
    reason = "folds, of which there are no more than rows in memory"
)]
pub fn deal(dataset: &Dataset, rows: &[usize], n_folds: usize, seed: u64) -> Result<Vec<u32>> {
    if n_folds < 2 {
        return Err(setting("folds", "at least 2", n_folds));
    }
    let strata = strata(dataset, rows);
    let mut rng = for_purpose("folds", seed);
    let plan = SplitPlan::new(dataset, rows, &strata);
    if plan.units.len() < n_folds {
        return Err(Error::TooManyFolds {
            n_folds,
            n_units: plan.units.len(),
            unit: plan.unit,
        });
    }
    let fold_of_unit = plan.assign(&vec![1.0 / n_folds as f64; n_folds], &mut rng);
    Ok(plan
        .unit_of_row
        .iter()
        .map(|&unit| fold_of_unit[unit] as u32)
        .collect())
}

/// What is assigned: rows, or groups where there are groups.
struct SplitPlan {
    unit: &'static str,
    unit_of_row: Vec<usize>,
    units: Vec<Unit>,
    /// Rows per stratum.
    totals: Vec<f64>,
    /// Every unit is one row in one stratum: then shares can be met exactly.
    plain: bool,
}

#[derive(Default)]
struct Unit {
    n_rows: f64,
    /// Rows in each stratum that it has rows in, in the order of the strata.
    strata: Vec<(usize, f64)>,
}

impl Unit {
    /// Counts a row in this stratum.
    fn add(&mut self, stratum: usize) {
        match self.strata.binary_search_by_key(&stratum, |(of, _)| *of) {
            Ok(at) => self.strata[at].1 += 1.0,
            Err(at) => self.strata.insert(at, (stratum, 1.0)),
        }
    }
}

/// The strata of rows, numbered from 0: one a row, or several (labels in groups). Lists of their own would be most of what a
/// split of a million rows takes.
struct Strata {
    of: Vec<u32>,
    /// Where those of each row end; `None`: every row has one.
    ends: Option<Vec<usize>>,
}

impl Strata {
    fn of_row(&self, row: usize) -> &[u32] {
        match &self.ends {
            None => &self.of[row..=row],
            Some(ends) => {
                let start = row.checked_sub(1).map_or(0, |before| ends[before]);
                &self.of[start..ends[row]]
            }
        }
    }
}

impl From<Vec<u32>> for Strata {
    fn from(of: Vec<u32>) -> Self {
        Self { of, ends: None }
    }
}

impl SplitPlan {
    fn new(dataset: &Dataset, rows: &[usize], strata: &Strata) -> Self {
        let mut number: BTreeMap<u32, usize> = BTreeMap::new();
        let (unit, unit_of_row): (_, Vec<usize>) = match &dataset.groups {
            Some(groups) => {
                let number_of = |&row: &usize| {
                    let next = number.len();
                    *number.entry(groups[row]).or_insert(next)
                };
                ("group", rows.iter().map(number_of).collect())
            }
            None => ("row", (0..rows.len()).collect()),
        };
        let n_units = unit_of_row.iter().max().map_or(0, |last| last + 1);
        let n_strata = strata.of.iter().max().map_or(0, |last| *last as usize + 1);
        let mut totals = vec![0.0; n_strata];
        let mut units: Vec<Unit> = std::iter::repeat_with(Unit::default)
            .take(n_units)
            .collect();
        for (row, &unit) in unit_of_row.iter().enumerate() {
            units[unit].n_rows += 1.0;
            for &stratum in strata.of_row(row) {
                units[unit].add(stratum as usize);
                totals[stratum as usize] += 1.0;
            }
        }
        let plain = dataset.groups.is_none() && strata.ends.is_none();
        Self {
            unit,
            unit_of_row,
            units,
            totals,
            plain,
        }
    }

    /// The part of each unit, parts being as large as these shares as nearly as can be.
    fn assign(&self, shares: &[f64], rng: &mut ChaCha8Rng) -> Vec<usize> {
        if self.plain {
            self.assign_rows(shares, rng)
        } else {
            self.assign_units(shares, rng)
        }
    }

    /// Deals rows stratum by stratum: every part gets its share of each to within one row.
    fn assign_rows(&self, shares: &[f64], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); self.totals.len()];
        for (idx, unit) in self.units.iter().enumerate() {
            members[unit.strata[0].0].push(idx);
        }
        let mut part_of = vec![0; self.units.len()];
        // What each part is still owed from the strata before, so that totals are met as well.
        let mut owed = vec![0.0; shares.len()];
        for stratum in &mut members {
            shuffle(stratum, rng);
            let counts = apportion(stratum.len(), shares, &mut owed, rng);
            let mut rest = stratum.iter();
            for (part, count) in counts.into_iter().enumerate() {
                for &idx in rest.by_ref().take(count) {
                    part_of[idx] = part;
                }
            }
        }
        part_of
    }

    /// Deals units greedily: the hardest to place first, each to the part where it leaves the
    /// smallest squared distance between what parts have and what they are due, over strata and rows.
    ///
    /// # Source
    ///
    /// The idea of scikit-learn's `StratifiedGroupKFold` and of Sechidis, Tsoumakas & Vlahavas 2011,
    /// "On the stratification of multi-label data" (rarest labels first), joined.
    fn assign_units(&self, shares: &[f64], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let n_rows: f64 = self.units.iter().map(|unit| unit.n_rows).sum();
        let hardness = |idx: usize| {
            let unit = &self.units[idx];
            let rarest = unit
                .strata
                .iter()
                .map(|(stratum, count)| count / self.totals[*stratum]);
            rarest.fold(unit.n_rows / n_rows, f64::max)
        };
        let mut order: Vec<usize> = (0..self.units.len()).collect();
        shuffle(&mut order, rng);
        order.sort_by(|&a, &b| hardness(b).total_cmp(&hardness(a)));
        let mut assigned = Assigned::new(shares.len(), self);
        let mut part_of = vec![0; self.units.len()];
        for idx in order {
            let unit = &self.units[idx];
            let cost = |part: usize| assigned.cost(part, unit, shares[part], &self.totals, n_rows);
            // The first of equals: units were shuffled, so no part is favoured for what it holds.
            let part = (0..shares.len())
                .min_by(|&a, &b| cost(a).total_cmp(&cost(b)))
                .unwrap_or(0);
            assigned.add(part, unit, 1.0);
            part_of[idx] = part;
        }
        self.repair(&mut part_of, &mut assigned);
        part_of
    }

    /// Gives a stratum that is absent from a part, though several units hold it, a unit there:
    /// the smallest one whose leaving takes no stratum away from its own part. Also fills empty parts.
    fn repair(&self, part_of: &mut [usize], assigned: &mut Assigned) {
        let n_parts = assigned.rows.len();
        let mut holders: Vec<Vec<usize>> = vec![Vec::new(); self.totals.len()];
        for (idx, unit) in self.units.iter().enumerate() {
            for &(stratum, _) in &unit.strata {
                holders[stratum].push(idx);
            }
        }
        let everyone: Vec<usize> = (0..self.units.len()).collect();
        for part in (0..n_parts).rev() {
            let absent = (0..holders.len())
                .filter(|&s| holders[s].len() >= n_parts)
                .map(Some)
                .chain([None]);
            for stratum in absent.collect::<Vec<_>>() {
                let present = stratum.map_or(assigned.rows[part], |s| assigned.strata[part][s]);
                if present > 0.0 {
                    continue;
                }
                let candidates = stratum.map_or(&everyone, |s| &holders[s]);
                let can_leave = |idx: usize| {
                    let (unit, from) = (&self.units[idx], part_of[idx]);
                    from != part
                        && assigned.rows[from] > unit.n_rows
                        && unit.strata.iter().all(|&(s, n)| {
                            assigned.strata[from][s] > n || holders[s].len() < n_parts
                        })
                };
                let smallest = candidates
                    .iter()
                    .copied()
                    .filter(|&idx| can_leave(idx))
                    .min_by(|&a, &b| self.units[a].n_rows.total_cmp(&self.units[b].n_rows));
                if let Some(idx) = smallest {
                    assigned.add(part_of[idx], &self.units[idx], -1.0);
                    assigned.add(part, &self.units[idx], 1.0);
                    part_of[idx] = part;
                }
            }
        }
    }
}

/// What each part holds so far.
struct Assigned {
    rows: Vec<f64>,
    strata: Vec<Vec<f64>>,
}

impl Assigned {
    fn new(n_parts: usize, plan: &SplitPlan) -> Self {
        Self {
            rows: vec![0.0; n_parts],
            strata: vec![vec![0.0; plan.totals.len()]; n_parts],
        }
    }

    fn add(&mut self, part: usize, unit: &Unit, sign: f64) {
        self.rows[part] += sign * unit.n_rows;
        for &(stratum, count) in &unit.strata {
            self.strata[part][stratum] += sign * count;
        }
    }

    /// How much the sum of squared distances from what is due grows if this part gets the unit.
    fn cost(&self, part: usize, unit: &Unit, share: f64, totals: &[f64], n_rows: f64) -> f64 {
        let growth = |has: f64, gets: f64, total: f64| {
            let short = share * total - has;
            // Relative to what is due, so that a small part is not filled last.
            gets * (gets - 2.0 * short) / (total * total * share)
        };
        let strata = unit
            .strata
            .iter()
            .map(|&(s, gets)| growth(self.strata[part][s], gets, totals[s]));
        strata.sum::<f64>() + growth(self.rows[part], unit.n_rows, n_rows)
    }
}

/// Divides `n` rows of one stratum by shares, each part within one row of its due but for one rule:
/// a part gets at least one row where there are as many rows as parts. Of unequal parts the first
/// (training) gets a stratum that has fewer rows than that.
/// `owed` carries what rounding took from or gave to each part over to the next stratum.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of `n`"
)]
fn apportion(n: usize, shares: &[f64], owed: &mut [f64], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let unequal = shares
        .windows(2)
        .any(|pair| (pair[0] - pair[1]).abs() > 1e-12);
    let due: Vec<f64> = shares.iter().map(|share| share * n as f64).collect();
    // The margin keeps 0.2 * 10 from being a hair less than 2.
    let mut counts: Vec<usize> = due
        .iter()
        .map(|due| (due + 1e-9).floor() as usize)
        .collect();
    // Ties are broken by chance, so that the first part is not always the larger one.
    let mut order: Vec<usize> = (0..shares.len()).collect();
    shuffle(&mut order, rng);
    let gap = |part: usize, counts: &[usize]| due[part] + owed[part] - counts[part] as f64;
    order.sort_by(|&a, &b| gap(b, &counts).total_cmp(&gap(a, &counts)));
    let rest = n - counts.iter().sum::<usize>();
    order.iter().take(rest).for_each(|&part| counts[part] += 1);
    if unequal && n < shares.len() {
        counts.fill(0);
        counts[0] = n;
    }
    while n >= shares.len()
        && let Some(empty) = counts.iter().position(|&count| count == 0)
        && let Some(largest) = (0..counts.len()).max_by_key(|&part| counts[part])
    {
        counts[largest] -= 1;
        counts[empty] += 1;
    }
    for (part, count) in counts.iter().enumerate() {
        owed[part] += due[part] - *count as f64;
    }
    counts
}

/// The strata of these rows.
#[expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer names and quantiles than 2³²"
)]
fn strata(dataset: &Dataset, rows: &[usize]) -> Strata {
    let Some(targets) = &dataset.targets else {
        return vec![0; rows.len()].into();
    };
    match targets {
        Targets::Keypoints { .. } => vec![0; rows.len()].into(),
        Targets::Class { names, index } => {
            let without = names.len() as u32;
            let class = |&row: &usize| index[row].unwrap_or(without);
            rows.iter().map(class).collect::<Vec<u32>>().into()
        }
        Targets::Multilabel { names, present } => {
            let (mut of, mut ends) = (Vec::new(), Vec::with_capacity(rows.len()));
            for &row in rows {
                let cells = &present[row * names.len()..(row + 1) * names.len()];
                let set = (0..names.len()).filter(|&label| cells[label] == Some(true));
                let before = of.len();
                of.extend(set.map(|label| label as u32));
                if of.len() == before {
                    of.push(names.len() as u32);
                }
                ends.push(of.len());
            }
            let is_one_each = of.len() == rows.len();
            Strata {
                of,
                ends: (!is_one_each).then_some(ends),
            }
        }
        Targets::Regression { names, values } => {
            let value = |row: usize| values[row * names.len()];
            let mut order: Vec<usize> = (0..rows.len())
                .filter(|&i| value(rows[i]).is_finite())
                .collect();
            order.sort_by(|&a, &b| value(rows[a]).total_cmp(&value(rows[b])));
            let mut strata = vec![QUANTILES as u32; rows.len()];
            // Few rows make few strata: below five rows each they would say nothing.
            let n_strata = (order.len() / 5).clamp(1, QUANTILES);
            for (rank, &i) in order.iter().enumerate() {
                strata[i] = (rank * n_strata / order.len()) as u32;
            }
            strata.into()
        }
    }
}

fn check_groups(dataset: &Dataset, parts: &[Split]) -> Result<()> {
    let Some(groups) = &dataset.groups else {
        return Ok(());
    };
    let mut first: BTreeMap<u32, usize> = BTreeMap::new();
    for (row, group) in groups.iter().enumerate() {
        let earlier = *first.entry(*group).or_insert(row);
        if parts[earlier] != parts[row] {
            return Err(Error::GroupInTwoParts {
                path: dataset.path.clone(),
                rows: [dataset.rows[earlier] + 1, dataset.rows[row] + 1],
                parts: [parts[earlier], parts[row]],
            });
        }
    }
    Ok(())
}

/// Number of independent units among these rows: groups where there are groups, else rows.
pub fn n_units(dataset: &Dataset, rows: &[usize]) -> usize {
    match &dataset.groups {
        Some(groups) => rows
            .iter()
            .map(|&row| groups[row])
            .collect::<BTreeSet<_>>()
            .len(),
        None => rows.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{ImageSource, Metadata};
    use proptest::prelude::*;

    pub(super) fn dataset(targets: Targets, groups: Option<Vec<u32>>, n: usize) -> Dataset {
        Dataset {
            path: "table.csv".into(),
            rows: (0..n).collect(),
            images: (0..n)
                .map(|i| ImageSource::Path(format!("{i}.jpg").into()))
                .collect(),
            metadata: Metadata {
                columns: vec![],
                n_rows: n,
            },
            targets: Some(targets),
            groups,
            splits: None,
            folds: None,
            times: None,
            weights: None,
            to_table: None,
            remarks: vec![],
        }
    }

    pub(super) fn classes(index: &[u32]) -> Targets {
        let n = index.iter().max().map_or(0, |last| last + 1);
        Targets::Class {
            names: (0..n).map(|i| format!("c{i}")).collect(),
            index: index.iter().map(|&class| Some(class)).collect(),
        }
    }

    fn class_counts(index: &[u32], rows: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; *index.iter().max().expect("rows") as usize + 1];
        rows.iter()
            .for_each(|&row| counts[index[row] as usize] += 1);
        counts
    }

    #[test]
    fn ten_rows_of_each_of_99_classes_are_two_and_eight() {
        let index: Vec<u32> = (0..990).map(|row| row % 99).collect();
        let split = split(
            &dataset(classes(&index), None, 990),
            &SplitConfig::default(),
        )
        .expect("divides");
        assert_eq!(class_counts(&index, &split.valid), [2; 99]);
        assert_eq!(
            (split.train.len(), split.valid.len(), split.test.len()),
            (792, 198, 0)
        );
    }

    #[test]
    fn a_class_of_two_rows_is_in_both_parts_and_one_of_one_row_in_training() {
        let mut index = vec![0; 100];
        index.extend([1, 1, 2]);
        let config = SplitConfig {
            valid: 0.05,
            ..SplitConfig::default()
        };
        let split = split(&dataset(classes(&index), None, 103), &config).expect("divides");
        assert_eq!(class_counts(&index, &split.valid)[1..], [1, 0]);
    }

    #[test]
    fn each_row_is_a_validation_row_of_one_fold_with_its_whole_group() {
        let index: Vec<u32> = (0..60).map(|row| row % 2).collect();
        let groups: Vec<u32> = (0..60).map(|row| row / 3).collect();
        let mut data = dataset(classes(&index), Some(groups.clone()), 60);
        let mut parts = vec![Split::Train; 60];
        parts[57..].fill(Split::Test);
        data.splits = Some(parts);
        let of_fold = |fold| {
            let config = SplitConfig {
                folds: 4,
                fold,
                column: Some("part".into()),
                ..SplitConfig::default()
            };
            split(&data, &config).expect("divides")
        };
        let mut seen = Vec::new();
        for fold in 1..=4 {
            let SplitRows {
                train, valid, test, ..
            } = of_fold(fold);
            assert_eq!((train.len() + valid.len(), test), (57, vec![57, 58, 59]));
            let of =
                |rows: &[usize]| -> BTreeSet<u32> { rows.iter().map(|&row| groups[row]).collect() };
            assert!(of(&train).is_disjoint(&of(&valid)), "fold {fold}");
            seen.extend(valid);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..57).collect::<Vec<_>>());
        assert_eq!(of_fold(0).valid, of_fold(1).valid, "none named: the first");
    }

    #[test]
    fn folds_of_the_table_are_counted_as_it_names_them() {
        let mut data = dataset(classes(&[0, 1, 0, 1, 0, 1]), None, 6);
        data.folds = Some(Folds {
            of_row: vec![0, 1, 2, 0, 1, 2],
            names: ["a", "b", "c"].map(String::from).to_vec(),
        });
        let of = |folds, fold| {
            let config = SplitConfig {
                folds,
                fold,
                ..SplitConfig::default()
            };
            split(&data, &config)
        };
        assert_eq!(of(3, 2).expect("divides").valid, [1, 4]);
        let refused = of(5, 2).expect_err("there are three");
        assert_eq!(
            refused.to_string(),
            "`data.split.folds`: expected 3, as many as the column of folds (`data.fold`) has, found `5`"
        );
    }

    #[test]
    fn small_strata_do_not_add_up_to_a_wrong_share() {
        // 40 classes of 7 rows: 1.4 validation rows each, 56 in all.
        let index: Vec<u32> = (0..280).map(|row| row / 7).collect();
        let split = split(
            &dataset(classes(&index), None, 280),
            &SplitConfig::default(),
        )
        .expect("divides");
        assert_eq!(split.valid.len(), 56);
    }

    #[test]
    fn a_value_is_stratified_by_its_ranks() {
        let values: Vec<f64> = (0..100).map(|row| f64::from(row).exp()).collect();
        let targets = Targets::Regression {
            names: vec!["y".into()],
            values,
        };
        let split = split(&dataset(targets, None, 100), &SplitConfig::default()).expect("divides");
        for tenth in 0..10 {
            let inside = split.valid.iter().filter(|&&row| row / 10 == tenth).count();
            assert_eq!(inside, 2);
        }
    }

    #[test]
    fn labels_are_in_both_parts() {
        let present: Vec<Option<bool>> = (0..60)
            .flat_map(|row| {
                [
                    Some(row % 2 == 0),
                    Some(row % 20 == 3),
                    Some(row == 5 || row == 6),
                ]
            })
            .collect();
        let names = ["often", "rare", "twice"].map(String::from).to_vec();
        let data = dataset(
            Targets::Multilabel {
                names,
                present: present.clone(),
            },
            None,
            60,
        );
        let split = split(&data, &SplitConfig::default()).expect("divides");
        assert!((10..=14).contains(&split.valid.len()));
        for label in 0..3 {
            for part in [&split.train, &split.valid] {
                assert!(
                    part.iter()
                        .any(|&row| present[row * 3 + label] == Some(true)),
                    "label {label}"
                );
            }
        }
    }

    #[test]
    fn grouped_folds_keep_class_shares_near() {
        // 60 persons of 1 to 7 rows; a third of the persons have the rare class.
        let mut groups = Vec::new();
        let mut index = Vec::new();
        for person in 0..60 {
            for _ in 0..1 + person % 7 {
                groups.push(person);
                index.push(u32::from(person % 3 == 0));
            }
        }
        let n = groups.len();
        let fold_of = folds(&dataset(classes(&index), Some(groups), n), 5, 1).expect("divides");
        for fold in 0..5 {
            let rows: Vec<usize> = (0..n).filter(|&row| fold_of[row] == fold).collect();
            let counts = class_counts(&index, &rows);
            assert!(
                (rows.len() as f64 - n as f64 / 5.0).abs() <= 3.0,
                "fold {fold} has {} rows",
                rows.len()
            );
            let expected = index.iter().filter(|&&class| class == 1).count() as f64 / 5.0;
            assert!(
                (counts[1] as f64 - expected).abs() <= 2.0,
                "fold {fold}: {counts:?}"
            );
        }
    }

    #[test]
    fn a_column_with_train_and_test_keeps_test_apart() {
        let mut data = dataset(classes(&[0; 20]), None, 20);
        data.splits = Some(
            (0..20)
                .map(|row| if row < 15 { Split::Train } else { Split::Test })
                .collect(),
        );
        let config = SplitConfig {
            column: Some("split".into()),
            ..SplitConfig::default()
        };
        let split = split(&data, &config).expect("divides");
        assert_eq!(
            (split.train.len(), split.valid.len(), split.test),
            (12, 3, (15..20).collect())
        );
        assert_eq!(
            split.remarks,
            [
                "the split column has no validation rows: 3 of its 15 training rows were taken (seed 0); \
              the test rows stay untouched"
            ]
        );
    }

    #[test]
    fn a_group_in_two_parts_names_both_rows() {
        let mut data = dataset(classes(&[0; 3]), Some(vec![0, 1, 0]), 3);
        data.splits = Some(vec![Split::Train, Split::Valid, Split::Test]);
        let config = SplitConfig {
            column: Some("split".into()),
            ..SplitConfig::default()
        };
        let error = split(&data, &config).expect_err("group 0 is divided");
        assert_eq!(
            error.to_string(),
            "table.csv: rows 1 and 3 belong to the same group, but are in different splits (train and test)"
        );
    }

    #[test]
    fn one_group_cannot_be_divided() {
        let data = dataset(classes(&[0, 1, 0]), Some(vec![7; 3]), 3);
        let error = split(&data, &SplitConfig::default()).expect_err("one group");
        assert_eq!(
            error.to_string(),
            "the validation part would be empty: 3 rows in 1 group to divide"
        );
        let error = folds(&data, 3, 0).expect_err("one group");
        assert_eq!(
            error.to_string(),
            "expected at least 3 groups for 3 folds, found 1"
        );
        assert!(
            matches!(folds(&data, 1, 0), Err(Error::Setting { field, .. }) if field == "folds")
        );
    }

    #[test]
    fn a_share_outside_0_to_1_is_refused() {
        for valid in [0.0, 1.0, -0.5, f64::NAN] {
            let config = SplitConfig {
                valid,
                ..SplitConfig::default()
            };
            let error = split(&dataset(classes(&[0; 9]), None, 9), &config).expect_err("no share");
            assert!(matches!(error, Error::Setting { field, .. } if field == "data.split.valid"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parts_partition_rows_keep_groups_whole_and_depend_on_the_seed_alone(
            cells in prop::collection::vec((0u32..4, 0u32..12), 12..80),
            grouped in any::<bool>(),
            seed in 0u64..5,
            n_folds in 2usize..6,
        ) {
            let index: Vec<u32> = cells.iter().map(|cell| cell.0).collect();
            let mut groups: Vec<u32> = cells.iter().map(|cell| cell.1).collect();
            for (row, group) in groups.iter_mut().enumerate().take(6) {
                *group = row as u32; // at least six groups
            }
            let n = index.len();
            let data = dataset(classes(&index), grouped.then(|| groups.clone()), n);
            let config = SplitConfig { seed, ..SplitConfig::default() };
            let parts = split(&data, &config).expect("divides");
            let mut all: Vec<usize> = parts.train.iter().chain(&parts.valid).copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..n).collect::<Vec<_>>());
            prop_assert_eq!(&parts, &split(&data, &config).expect("divides"));
            let fold_of = folds(&data, n_folds, seed).expect("divides");
            prop_assert_eq!(&fold_of, &folds(&data, n_folds, seed).expect("divides"));
            for fold in 0..n_folds as u32 {
                prop_assert!(fold_of.contains(&fold));
            }
            if grouped {
                for (a, b) in (0..n).flat_map(|a| (0..a).map(move |b| (a, b))) {
                    if groups[a] == groups[b] {
                        prop_assert_eq!(fold_of[a], fold_of[b]);
                        prop_assert_eq!(parts.train.contains(&a), parts.train.contains(&b));
                    }
                }
            } else {
                for class in 0..4 {
                    let counts: Vec<usize> = (0..n_folds as u32)
                        .map(|fold| (0..n).filter(|&row| fold_of[row] == fold && index[row] == class).count())
                        .collect();
                    let spread = counts.iter().max().expect("folds") - counts.iter().min().expect("folds");
                    prop_assert!(spread <= 1, "{counts:?}");
                }
            }
        }
    }
}
