//! Whether a gain persists among rows of one stratum, where the stratum itself tells nothing.

use super::Grouping;
use super::measure::{Scored, ScoredArm};
use crate::metric::Cells;
use crate::metric::ranking::Ranking;
use sidelight_data::task::Prediction;

/// A measure within strata, of one arm, that can be reweighted. More is better.
pub(super) enum Within {
    /// Per class (or label), per stratum: which rows, in what order.
    Ranked(Vec<Vec<(Vec<usize>, Ranking)>>),
    /// Per column: the error of each row and its stratum; `None` where the target is missing.
    Centred(Vec<Vec<Option<(f64, usize)>>>),
}

impl Within {
    /// One a seed; `None` for points, of which there is no such measure.
    pub(super) fn new(scored: &Scored, arm: &ScoredArm, strata: &Grouping) -> Option<Vec<Self>> {
        let of_row: Vec<Option<usize>> = scored
            .rows
            .iter()
            .map(|&row| strata.of_row[row].map(|level| level as usize))
            .collect();
        arm.predictions
            .iter()
            .map(|predictions| Self::of_seed(scored, predictions, &of_row))
            .collect()
    }

    fn of_seed(
        scored: &Scored,
        predictions: &[Prediction],
        strata: &[Option<usize>],
    ) -> Option<Self> {
        let n_strata = strata.iter().flatten().max().map_or(0, |last| last + 1);
        let evaluation = scored.evaluation(predictions);
        // Rows, truth and score of one class or label, divided by stratum.
        let ranked =
            |cells: &mut dyn Iterator<Item = (usize, bool, f64)>| -> Vec<(Vec<usize>, Ranking)> {
                let mut divided = vec![(Vec::new(), Vec::new(), Vec::new()); n_strata];
                for (row, positive, score) in cells {
                    if let Some(stratum) = strata[row] {
                        divided[stratum].0.push(row);
                        divided[stratum].1.push(positive);
                        divided[stratum].2.push(score);
                    }
                }
                divided
                    .into_iter()
                    .map(|(rows, truth, scores)| (rows, Ranking::new(&truth, &scores)))
                    .collect()
            };
        match evaluation.cells() {
            Cells::Keypoints(_) => None,
            Cells::Classes(cells) => {
                let of_class = |class: usize| ranked(&mut cells.known(class..class + 1));
                Some(Self::Ranked(cells.curves().map(of_class).collect()))
            }
            Cells::Numbers(cells) => {
                let column = |column: usize| {
                    let cell = |row: usize| {
                        let (truth, predicted) = cells.pair(row * cells.n_columns + column)?;
                        Some((truth - predicted, strata[row]?))
                    };
                    (0..scored.rows.len()).map(cell).collect()
                };
                Some(Self::Centred((0..cells.n_columns).map(column).collect()))
            }
        }
    }

    /// What it is called.
    pub(super) fn measure(&self) -> &'static str {
        match self {
            Self::Ranked(_) => "AUROC",
            Self::Centred(_) => "spread of errors",
        }
    }

    /// The measure, row `i` counting `weights[i]` times.
    pub(super) fn value(&self, weights: &[f64]) -> Option<f64> {
        let values: Vec<f64> = match self {
            Self::Ranked(classes) => classes
                .iter()
                .filter_map(|strata| ranked_value(strata, weights))
                .collect(),
            Self::Centred(columns) => columns
                .iter()
                .filter_map(|cells| centred_value(cells, weights))
                .collect(),
        };
        crate::statistics::mean(&values)
    }
}

/// Of all pairs of a positive and a negative of one stratum, the share that is in order.
fn ranked_value(strata: &[(Vec<usize>, Ranking)], weights: &[f64]) -> Option<f64> {
    let (mut wins, mut pairs) = (0.0, 0.0);
    for (rows, ranking) in strata {
        let own: Vec<f64> = rows.iter().map(|&row| weights[row]).collect();
        let (stratum_wins, stratum_pairs) = ranking.wins(Some(&own));
        wins += stratum_wins;
        pairs += stratum_pairs;
    }
    (pairs > 0.0).then(|| wins / pairs)
}

/// Minus the standard deviation of errors about their stratum's mean.
fn centred_value(cells: &[Option<(f64, usize)>], weights: &[f64]) -> Option<f64> {
    let n_strata = cells
        .iter()
        .flatten()
        .map(|(_, stratum)| stratum + 1)
        .max()?;
    let mut sums = vec![[0.0_f64; 3]; n_strata];
    for (cell, weight) in cells.iter().zip(weights) {
        if let Some((error, stratum)) = cell {
            sums[*stratum][0] += weight;
            sums[*stratum][1] += weight * error;
            sums[*stratum][2] += weight * error * error;
        }
    }
    let filled = sums.iter().filter(|[n, ..]| *n > 0.0);
    let (mut squares, mut total) = (0.0, 0.0);
    for [n, sum, square] in filled {
        squares += (square - sum * sum / n).max(0.0);
        total += n;
    }
    (total > 0.0).then(|| -(squares / total).sqrt())
}
