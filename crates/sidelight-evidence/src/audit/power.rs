//! What one column can do alone: a small learner, cross-validated, against chance and against permutations.
//!
//! # The learner
//!
//! A column is divided into cells: a category each, or quantile bins of a number; missing is a cell of its own.
//! In a cell the target's mean over training rows is shrunk towards the mean of all training rows by
//! credibility: with n rows in cell c
//!
//! > prediction(c) = mean + Z (mean(c) − mean),  Z = n / (n + s² / τ²)
//!
//! where s² is the variance within cells and τ² that between them, both estimated from training rows. Where τ² is
//! not above 0 every prediction is the mean: noise is not learned by heart, whatever the number of its categories.
//! A class is learned as its indicators, a value standardised, points as shares of the image, so that one formula
//! serves all. The score is
//!
//! > 1 − Σ (target − prediction)² / Σ (target − mean)²
//!
//! over held-out rows: 0 as good as chance, 1 perfect, below 0 worse than chance. For classes it is Brier's skill
//! score, for values R².
//!
//! # Chance
//!
//! The column's cells are permuted among the units (groups keep theirs together, so that what persons share
//! cannot pass for a finding) and scored again, many times; all columns are permuted alike. Scores are standardised by
//! the mean and standard deviation over the column's own permutations, since a column of many cells strays further by
//! chance than a flag. The p value of a column is the share of permutations in which *any* column stands out as far, which
//! corrects for the number of columns looked at.
//!
//! # Source
//!
//! Bühlmann & Straub 1970, "Glaubwürdigkeit für Schadensätze" (credibility; the estimators of s² and τ² are
//! those of its section 4, with a row as the unit of volume); the same idea as target encoding, Micci-Barreca 2001,
//! SIGKDD Explorations 3(1). Skill scores: Murphy 1973. Largest standardised statistic over columns: Westfall &
//! Young 1993, "Resampling-based multiple testing", section 2.3.

use rayon::prelude::*;

use super::signal::Signal;
use sidelight_data::random::{for_purpose, shuffle};

/// Permutations; the smallest p value is 1 / (N_PERMUTATIONS + 1).
pub const N_PERMUTATIONS: usize = 199;

/// A column as cells.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cells {
    /// Number of cells.
    pub(super) n: usize,
    /// The cell of each row; `None`: in no cell, so that chance is the best guess.
    pub(super) of_row: Vec<Option<u32>>,
}

/// What a column can do.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Power {
    /// 0 as good as chance, 1 perfect; noise is about 0, on either side.
    pub score: f64,
    /// Probability of such a score for the best of all columns without any relation to the target.
    pub p: f64,
}

/// The rows and how they are divided, the same for all columns.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    pub(super) signal: &'a Signal,
    /// The fold of each row.
    pub(super) folds: &'a [u32],
    /// Rows that are permuted together, in order.
    pub(super) units: Vec<Vec<usize>>,
    pub(super) seed: u64,
}

impl<'a> Trial<'a> {
    pub(super) fn new(
        signal: &'a Signal,
        folds: &'a [u32],
        groups: Option<&[u32]>,
        seed: u64,
    ) -> Self {
        let mut units: Vec<Vec<usize>> = Vec::new();
        for row in 0..folds.len() {
            let unit = groups.map_or(row, |groups| groups[row] as usize);
            if units.len() <= unit {
                units.resize(unit + 1, Vec::new());
            }
            units[unit].push(row);
        }
        units.retain(|rows| !rows.is_empty());
        Self {
            signal,
            folds,
            units,
            seed,
        }
    }

    /// The power of every column.
    pub(super) fn powers(&self, columns: &[Cells]) -> Vec<Power> {
        let n_folds = self.folds.iter().max().map_or(0, |last| *last as usize + 1);
        let score = |cells: &Cells, donors: Option<&[usize]>| {
            score(self.signal, cells, donors, self.folds, n_folds)
        };
        let scores: Vec<f64> = columns.par_iter().map(|cells| score(cells, None)).collect();
        // [permutation][column]
        let permuted: Vec<Vec<f64>> = (0..N_PERMUTATIONS)
            .into_par_iter()
            .map(|nth| {
                let donors = self.donors(nth);
                let scores = columns.iter().map(|cells| score(cells, Some(&donors)));
                scores.collect()
            })
            .collect();
        let chance: Vec<Chance> = (0..columns.len())
            .map(|column| Chance::from_scores(permuted.iter().map(|scores| scores[column])))
            .collect();
        let furthest: Vec<f64> = permuted
            .iter()
            .map(|scores| {
                let far = scores
                    .iter()
                    .zip(&chance)
                    .map(|(score, chance)| chance.far(*score));
                far.fold(f64::NEG_INFINITY, f64::max)
            })
            .collect();
        let power = |(score, chance): (f64, &Chance)| {
            let far = chance.far(score);
            let as_far = furthest.iter().filter(|other| **other >= far).count();
            Power {
                score,
                p: (as_far + 1) as f64 / (N_PERMUTATIONS + 1) as f64,
            }
        };
        scores.into_iter().zip(&chance).map(power).collect()
    }

    /// The row that each row takes its cell from: units trade places, their rows in order, and begin again where
    /// the other has more.
    fn donors(&self, nth: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.units.len()).collect();
        shuffle(
            &mut order,
            &mut for_purpose(&format!("audit deal {nth}"), self.seed),
        );
        let mut donors = vec![0; self.folds.len()];
        for (unit, donor) in self.units.iter().zip(order) {
            let from = self.units[donor].iter().cycle();
            for (row, from) in unit.iter().zip(from) {
                donors[*row] = *from;
            }
        }
        donors
    }
}

/// How a column scores by chance.
struct Chance {
    mean: f64,
    sd: f64,
}

impl Chance {
    fn from_scores(scores: impl Iterator<Item = f64> + Clone) -> Self {
        let n = scores.clone().count() as f64;
        let mean = scores.clone().sum::<f64>() / n;
        let variance = scores.map(|score| (score - mean).powi(2)).sum::<f64>() / n;
        Self {
            mean,
            sd: variance.sqrt(),
        }
    }

    /// How far a score stands out, in standard deviations.
    fn far(&self, score: f64) -> f64 {
        // A column that scores the same however it is permuted says nothing, but for rounding.
        match score - self.mean {
            above if above.abs() < 1e-9 => 0.0,
            above => above / self.sd.max(1e-9),
        }
    }
}

/// Sums over rows: all that the learner needs of them.
#[derive(Debug, Clone)]
struct Sums {
    d: usize,
    d_known: usize,
    /// Number of rows, `[cell][d_known]`.
    n: Vec<f64>,
    /// `[cell][d]`: sum of the target.
    sum: Vec<f64>,
    /// `[cell]`: sum of its squares over all dimensions.
    squares: Vec<f64>,
}

impl Sums {
    fn new(signal: &Signal, n_cells: usize) -> Self {
        let (d, d_known) = (signal.d(), signal.d_known());
        Self {
            d,
            d_known,
            n: vec![0.0; n_cells * d_known],
            sum: vec![0.0; n_cells * d],
            squares: vec![0.0; n_cells],
        }
    }

    /// Rows and sum of one dimension in one cell.
    fn at(&self, cell: usize, dimension: usize) -> (f64, f64) {
        let known = dimension.min(self.d_known - 1);
        (
            self.n[cell * self.d_known + known],
            self.sum[cell * self.d + dimension],
        )
    }

    fn add_row(&mut self, signal: &Signal, row: usize, cell: usize) {
        let n = &mut self.n[cell * self.d_known..][..self.d_known];
        let sum = &mut self.sum[cell * self.d..][..self.d];
        self.squares[cell] += signal.add(row, n, sum);
    }

    fn add(&mut self, other: &Self, sign: f64) {
        let add = |to: &mut [f64], from: &[f64]| {
            to.iter_mut()
                .zip(from)
                .for_each(|(to, from)| *to += sign * from);
        };
        add(&mut self.n, &other.n);
        add(&mut self.sum, &other.sum);
        add(&mut self.squares, &other.squares);
    }

    /// The mean of each dimension over the first so many cells.
    fn mean(&self, n_cells: usize) -> Vec<f64> {
        let mean = |dimension: usize| {
            let (n, sum) = (0..n_cells)
                .map(|cell| self.at(cell, dimension))
                .fold((0.0, 0.0), |(n, sum), (m, s)| (n + m, sum + s));
            sum / n.max(1.0)
        };
        (0..self.d).map(mean).collect()
    }
}

fn score(
    signal: &Signal,
    cells: &Cells,
    donors: Option<&[usize]>,
    folds: &[u32],
    n_folds: usize,
) -> f64 {
    // The last is for rows in no cell.
    let n_cells = cells.n + 1;
    let mut all = Sums::new(signal, n_cells);
    let mut of_fold = vec![all.clone(); n_folds];
    for (row, fold) in folds.iter().enumerate() {
        let from = donors.map_or(row, |donors| donors[row]);
        let cell = cells.of_row[from].map_or(cells.n, |cell| cell as usize);
        of_fold[*fold as usize].add_row(signal, row, cell);
    }
    of_fold.iter().for_each(|sums| all.add(sums, 1.0));
    let (mut loss, mut chance) = (0.0, 0.0);
    for held_out in &of_fold {
        let mut train = all.clone();
        train.add(held_out, -1.0);
        let (mean, guess) = learn(&train, cells.n);
        for cell in 0..n_cells {
            loss += held_out.squares[cell];
            chance += held_out.squares[cell];
            for (at, mean) in mean.iter().enumerate() {
                let (n, sum) = held_out.at(cell, at);
                let guess = guess[cell * signal.d() + at];
                // Σ (y − g)² = Σ y² − 2 g Σ y + n g²
                loss += guess * (n * guess - 2.0 * sum);
                chance += mean * (n * mean - 2.0 * sum);
            }
        }
    }
    match chance > 0.0 {
        true => 1.0 - loss / chance,
        false => 0.0,
    }
}

/// The mean of all training rows `[d]`, and what is guessed in each cell `[cell][d]`.
fn learn(train: &Sums, n_cells: usize) -> (Vec<f64>, Vec<f64>) {
    let mean = train.mean(n_cells + 1);
    let mut guess = mean.repeat(n_cells + 1);
    if let Some(k) = credibility(train, n_cells) {
        for cell in 0..n_cells {
            for (at, mean) in mean.iter().enumerate() {
                let (n, sum) = train.at(cell, at);
                if n > 0.0 {
                    guess[cell * train.d + at] += n / (n + k) * (sum / n - mean);
                }
            }
        }
    }
    (mean, guess)
}

/// s² / τ²: the rows that a cell needs for half of its mean to be believed. `None`: no cell differs from the others.
fn credibility(train: &Sums, n_cells: usize) -> Option<f64> {
    let mean = train.mean(n_cells);
    let (mut within, mut between) = (0.0, 0.0);
    let (mut rows, mut squared_rows, mut occupied) = (0.0, 0.0, 0.0);
    for cell in 0..n_cells {
        let known = &train.n[cell * train.d_known..][..train.d_known];
        // Where some of the target is missing: rows as if it were whole.
        let n_rows = known.iter().sum::<f64>() / train.d_known as f64;
        if n_rows <= 0.0 {
            continue;
        }
        within += train.squares[cell];
        for (at, mean) in mean.iter().enumerate() {
            let (n, sum) = train.at(cell, at);
            if n > 0.0 {
                within -= sum * sum / n;
                between += n * (sum / n - mean).powi(2);
            }
        }
        rows += n_rows;
        squared_rows += n_rows * n_rows;
        occupied += 1.0;
    }
    let free = rows - occupied;
    let volume = rows - squared_rows / rows;
    if free < 1.0 || volume <= 0.0 {
        return None;
    }
    // What rounding leaves of a variance of 0 is not below it.
    let s2 = (within / free).max(0.0);
    let tau2 = (between - (occupied - 1.0) * s2) / volume;
    (tau2 > 0.0).then(|| s2 / tau2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(n: usize, of_row: impl Iterator<Item = u32>) -> Cells {
        Cells {
            n,
            of_row: of_row.map(Some).collect(),
        }
    }

    fn folds(n: usize) -> Vec<u32> {
        (0..n as u32).map(|row| row % 5).collect()
    }

    fn noise(n: usize, seed: u64) -> Vec<usize> {
        let mut values: Vec<usize> = (0..n).collect();
        shuffle(&mut values, &mut for_purpose("test", seed));
        values
    }

    #[test]
    fn a_column_that_is_the_target_scores_1_and_noise_about_0() {
        let classes = noise(200, 1).into_iter().map(|x| Some(x as u32 % 4));
        let signal = Signal::Class {
            n: 4,
            index: classes.collect(),
        };
        let folds = folds(200);
        let trial = Trial::new(&signal, &folds, None, 0);
        let Signal::Class { index, .. } = &signal else {
            unreachable!()
        };
        let leak = Cells {
            n: 4,
            of_row: index.clone(),
        };
        let noise = cells(20, noise(200, 2).into_iter().map(|x| x as u32 % 20));
        let found = trial.powers(&[leak, noise]);
        assert!((found[0].score - 1.0).abs() < 1e-9, "{found:?}");
        assert_eq!(found[0].p, 1.0 / 200.0);
        assert!(
            found[1].score.abs() < 0.03 && found[1].p > 0.05,
            "{found:?}"
        );
    }

    #[test]
    fn the_score_of_a_value_is_the_formula_by_hand() {
        // Two folds of two rows a cell; in training the cell means are 1 and 3, the mean 2, s² = 0: Z = 1.
        let signal = Signal::dense(1, vec![1.0, 1.0, 3.0, 3.0, 1.0, 2.0, 3.0, 3.0]);
        let cells = cells(2, [0, 0, 1, 1, 0, 0, 1, 1].into_iter());
        let found = score(&signal, &cells, None, &[0, 0, 0, 0, 1, 1, 1, 1], 2);
        // Fold 1 is guessed 1, 1, 3, 3 from fold 0: loss 1; by its mean 2: 1 + 0 + 1 + 1 = 3.
        // Fold 0 from fold 1: means 1.5 and 3, mean 2.25; s² = 0.5 / 2, between = 4 · 0.5625 = 2.25,
        // τ² = (2.25 − 0.25) / (4 − 8 / 4) = 1, k = 0.25, Z = 2 / 2.25.
        let z: f64 = 2.0 / 2.25;
        let [low, high] = [2.25 - z * 0.75, 2.25 + z * 0.75];
        let loss = 1.0 + 2.0 * (1.0 - low).powi(2) + 2.0 * (3.0 - high).powi(2);
        let chance = 3.0 + 2.0 * (1.25_f64.powi(2) + 0.75_f64.powi(2));
        assert!((found - (1.0 - loss / chance)).abs() < 1e-12, "{found}");
    }

    #[test]
    fn what_a_person_repeats_is_no_finding() {
        // 12 persons of 20 rows; each has a class and a value of its own, unrelated.
        let person = |row: usize| row / 20;
        let (classes, values) = (noise(12, 3), noise(12, 4));
        let signal = Signal::Class {
            n: 2,
            index: (0..240)
                .map(|row| Some(classes[person(row)] as u32 % 2))
                .collect(),
        };
        let column = cells(3, (0..240).map(|row| values[person(row)] as u32 % 3));
        let groups: Vec<u32> = (0..240).map(|row| person(row) as u32).collect();
        let folds: Vec<u32> = groups.iter().map(|group| group % 4).collect();
        let found = Trial::new(&signal, &folds, Some(&groups), 0).powers(&[column])[0];
        assert!(found.p > 0.05, "{found:?}");
    }

    #[test]
    fn rows_in_no_cell_are_guessed_by_the_mean() {
        let signal = Signal::dense(1, (0..50).map(|row| f64::from(row % 2)).collect());
        let nothing = Cells {
            n: 0,
            of_row: vec![None; 50],
        };
        assert_eq!(score(&signal, &nothing, None, &folds(50), 5), 0.0);
    }
}
