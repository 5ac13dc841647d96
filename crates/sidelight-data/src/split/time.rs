//! Divides rows by time: what is judged is never earlier than what was learned from.
//!
//! Rows of one time stay together. A group is where its latest row is: its earlier rows are neither learned from, where the
//! group is judged, nor judged, since what was learned from is later than they are.

use std::collections::HashSet;

use super::Carved;
use crate::dataset::{Dataset, Times};
use crate::error::{Error, Result, setting};
use crate::number::counted;

/// In which order folds are tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FoldOrder {
    /// In any: each is tested on what was learned from all others.
    #[default]
    Any,
    /// In that of time, which is that of their numbers: each is tested on what was learned from those before it. The first,
    /// number 0, is only learned from.
    Forward,
}

impl FoldOrder {
    /// Whether rows of this fold are tested.
    pub fn tests(self, fold: u32) -> bool {
        self == Self::Any || fold > 0
    }

    /// Whether a fold is learned from where another is tested.
    pub fn learns(self, fold: u32, tested: u32) -> bool {
        match self {
            Self::Any => fold != tested,
            Self::Forward => fold < tested,
        }
    }

    /// The rows that are learned from where a fold is tested, in order: none of a group that has rows in it. `of_row` is the
    /// fold of each row.
    pub fn learned(self, of_row: &[u32], tested: u32, groups: Option<&[u32]>) -> Vec<usize> {
        let group_of = |row: usize| groups.map(|groups| groups[row]);
        let held: HashSet<u32> = (0..of_row.len())
            .filter(|&row| of_row[row] == tested)
            .filter_map(group_of)
            .collect();
        (0..of_row.len())
            .filter(|&row| self.learns(of_row[row], tested))
            .filter(|&row| group_of(row).is_none_or(|group| !held.contains(&group)))
            .collect()
    }
}

/// The fold of each row in the order of time, for [`FoldOrder::Forward`]: 0 for the first block, which is only learned from,
/// then 1 to `n_folds`, all as large as can be with the rows of one time together; what is left over is in the first.
///
/// # Source
///
/// scikit-learn's `TimeSeriesSplit`; the blocks are the same where no two rows are of one time.
///
/// # Errors
///
/// [`Error::TooManyFolds`]: no more times than folds; [`Error::Setting`]: fewer than two folds.
///
/// # Example
///
/// ```
/// use sidelight_data::dataset::Times;
/// use sidelight_data::split::forward_folds;
///
/// let of_row = vec![2020.0, 2017.0, 2019.0, 2018.0, 2021.0];
/// let times = Times { column: "year".into(), of_row, are_dates: false };
/// assert_eq!(forward_folds(&times, 2)?, [1, 0, 0, 0, 2]);
/// # Ok::<(), sidelight_data::Error>(())
/// ```
#[expect(
    clippy::cast_possible_truncation,
    reason = "folds, of which there are no more than rows in memory"
)]
pub fn forward_folds(times: &Times, n_folds: usize) -> Result<Vec<u32>> {
    if n_folds < 2 {
        return Err(setting("folds", "at least 2", n_folds));
    }
    let sorted = sorted(times.of_row.iter().copied());
    let size = sorted.len() / (n_folds + 1);
    let wanted: Vec<usize> = (0..n_folds)
        .map(|fold| sorted.len() - (n_folds - fold) * size)
        .collect();
    let borders = borders(&sorted, &wanted).map_err(|n_units| Error::TooManyFolds {
        n_folds,
        n_units,
        unit: "time",
    })?;
    let fold = |time: &f64| borders.partition_point(|border| border.total_cmp(time).is_le()) as u32;
    Ok(times.of_row.iter().map(fold).collect())
}

/// Divides these rows into the latest, which are validated on, as nearly as can be so large a share of them, and those
/// that are earlier.
///
/// # Errors
///
/// [`Error::EmptyPart`].
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the rows"
)]
pub(super) fn carve(
    dataset: &Dataset,
    times: &Times,
    rows: &[usize],
    share: f64,
) -> Result<Carved> {
    let sorted = sorted(rows.iter().map(|&row| times.of_row[row]));
    let wanted = sorted.len() - (share * sorted.len() as f64).round() as usize;
    let empty = |part: &str, n_units| Error::EmptyPart {
        part: part.into(),
        n_rows: rows.len(),
        n_units,
        unit: "time",
    };
    let borders = borders(&sorted, &[wanted]).map_err(|n_times| empty("validation", n_times))?;
    let is_late = |row: &usize| times.of_row[*row].total_cmp(&borders[0]).is_ge();
    let (mut valid, mut train): (Vec<usize>, Vec<usize>) =
        rows.iter().partition(|row| is_late(row));
    if let Some(groups) = &dataset.groups {
        let held: HashSet<u32> = valid.iter().map(|&row| groups[row]).collect();
        train.retain(|&row| !held.contains(&groups[row]));
    }
    if train.is_empty() {
        return Err(empty("training", n_times(&sorted)));
    }
    train.sort_unstable();
    valid.sort_unstable();
    Ok((train, valid))
}

/// What should be said of a division by time.
pub(super) fn remark(times: &Times, n_rows: usize, (train, valid): &Carved) -> String {
    let n_left_out = n_rows - train.len() - valid.len();
    let left_out = match n_left_out {
        0 => String::new(),
        n => format!(
            "; left out: {} of groups that have rows in validation (`data.group`)",
            counted(n, "earlier row")
        ),
    };
    format!(
        "rows are divided by time: training rows are of `{}` {}, validation rows of {}{left_out}",
        times.column,
        times.range(train),
        times.range(valid)
    )
}

fn sorted(times: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = times.collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// How many different times there are.
fn n_times(sorted: &[f64]) -> usize {
    usize::from(!sorted.is_empty()) + starts(sorted).len()
}

/// Where a time begins that is not that of the row before.
fn starts(sorted: &[f64]) -> Vec<usize> {
    (1..sorted.len())
        .filter(|&at| sorted[at].total_cmp(&sorted[at - 1]).is_ne())
        .collect()
}

/// The times at which parts begin, each as near as can be to the wanted place among the sorted ones, and all different; the
/// number of times where they are too few. `wanted` ascends.
fn borders(sorted: &[f64], wanted: &[usize]) -> Result<Vec<f64>, usize> {
    let starts = starts(sorted);
    if starts.len() < wanted.len() {
        return Err(n_times(sorted));
    }
    let mut next = 0;
    let border = |(at, &wanted_start): (usize, &usize)| {
        // Each border after it needs a start as well.
        let last = starts.len() - (wanted.len() - at);
        let after = starts.partition_point(|&start| start < wanted_start);
        let nearest = [after.saturating_sub(1), after]
            .map(|place| place.clamp(next, last))
            .into_iter()
            .min_by_key(|&place| starts[place].abs_diff(wanted_start))
            .unwrap_or(last);
        next = nearest + 1;
        sorted[starts[nearest]]
    };
    Ok(wanted.iter().enumerate().map(border).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SplitConfig;
    use crate::split::split;
    use crate::split::tests::{classes, dataset};

    fn times(of_row: &[f64]) -> Times {
        Times {
            column: "day".into(),
            of_row: of_row.to_vec(),
            are_dates: false,
        }
    }

    /// Rows of one class each, of these times and groups.
    fn timed(of_row: &[f64], groups: Option<&[u32]>) -> Dataset {
        let n = of_row.len();
        Dataset {
            times: Some(times(of_row)),
            ..dataset(classes(&vec![0; n]), groups.map(<[u32]>::to_vec), n)
        }
    }

    /// `[fold][training rows, test rows]`
    fn folds(of_row: &[f64], n_folds: usize, groups: Option<&[u32]>) -> Vec<[Vec<usize>; 2]> {
        let folds = forward_folds(&times(of_row), n_folds).unwrap();
        let fold = |fold: u32| {
            let tested = (0..folds.len()).filter(|&row| folds[row] == fold);
            [
                FoldOrder::Forward.learned(&folds, fold, groups),
                tested.collect(),
            ]
        };
        (1..=n_folds as u32).map(fold).collect()
    }

    /// ```python
    /// import numpy as np
    /// from sklearn.model_selection import TimeSeriesSplit  # 1.9.1
    /// for n, k in [(13, 3), (10, 5), (12, 4)]:
    ///     for train, test in TimeSeriesSplit(n_splits=k).split(np.zeros(n)):
    ///         print(list(train), list(test))
    /// ```
    #[test]
    fn folds_by_time_are_those_of_scikit_learn() {
        let expected: [(usize, &[std::ops::Range<usize>]); 3] = [
            (13, &[4..7, 7..10, 10..13]),
            (10, &[5..6, 6..7, 7..8, 8..9, 9..10]),
            (12, &[4..6, 6..8, 8..10, 10..12]),
        ];
        for (n, tested) in expected {
            // Rows stand in the table in an order of their own: row r is the (7 r mod n)-th in time where 7 and n have no
            // common divisor.
            let of_row: Vec<f64> = (0..n).map(|row| (7 * row % n) as f64).collect();
            let place = |rows: &[usize]| -> Vec<usize> {
                let mut places: Vec<usize> = rows.iter().map(|row| 7 * row % n).collect();
                places.sort_unstable();
                places
            };
            let found: Vec<[Vec<usize>; 2]> = folds(&of_row, tested.len(), None)
                .iter()
                .map(|[train, test]| [place(train), place(test)])
                .collect();
            let expected: Vec<[Vec<usize>; 2]> = tested
                .iter()
                .map(|test| [(0..test.start).collect(), test.clone().collect()])
                .collect();
            assert_eq!(found, expected, "{n} rows");
        }
    }

    #[test]
    fn rows_of_one_time_are_in_one_fold_and_no_fold_is_empty() {
        // Alone, the second block would begin in the middle of the rows of time 1: before them is nearer than after.
        assert_eq!(
            forward_folds(&times(&[0.0, 1.0, 1.0, 1.0, 2.0, 3.0]), 2).unwrap(),
            [0, 1, 1, 1, 2, 2]
        );
        // Nearly all rows are of one time: the other blocks are small, and there.
        assert_eq!(
            forward_folds(&times(&[0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 6.0]), 2).unwrap(),
            [0, 1, 1, 1, 1, 1, 2]
        );
        let error = forward_folds(&times(&[1.0, 1.0, 2.0, 2.0, 3.0, 3.0]), 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected at least 4 times for 3 folds, found 3"
        );
        assert!(error.hint().unwrap().starts_with("use at most 2 folds"));
    }

    #[test]
    fn nothing_is_learned_from_a_group_that_is_tested() {
        let of_row: Vec<f64> = (0..6).map(f64::from).collect();
        // Rows 1 and 4 are of one group, and so are 0 and 2.
        let found = folds(&of_row, 2, Some(&[7, 3, 7, 5, 3, 6]));
        assert_eq!(found, [[vec![1], vec![2, 3]], [vec![0, 2, 3], vec![4, 5]]]);
    }

    #[test]
    fn validation_rows_are_the_latest() {
        let of_row = [9.0, 3.0, 8.0, 1.0, 7.0, 2.0, 5.0, 6.0, 4.0, 0.0];
        let divided = split(&timed(&of_row, None), &SplitConfig::default()).unwrap();
        assert_eq!(divided.valid, [0, 2]);
        assert_eq!(divided.train, [1, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(
            divided.remarks,
            [
                "rows are divided by time: training rows are of `day` 0 to 7, validation rows of 8 to 9"
            ]
        );
    }

    #[test]
    fn the_border_is_between_two_times_and_a_group_is_where_its_latest_row_is() {
        let config = |valid| SplitConfig {
            valid,
            ..SplitConfig::default()
        };
        // The nearest border to 7 of 10 is before the four rows of time 3.
        let of_row = [0.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0];
        let divided = split(&timed(&of_row, None), &config(0.3)).unwrap();
        assert_eq!(divided.valid, [6, 7, 8, 9]);
        // Row 1 is of a group that is seen again at the end: it is in no part.
        let of_row: Vec<f64> = (0..6).map(f64::from).collect();
        let divided = split(&timed(&of_row, Some(&[0, 1, 2, 3, 4, 1])), &config(0.2)).unwrap();
        assert_eq!(
            (&*divided.train, &*divided.valid),
            (&[0, 2, 3, 4][..], &[5][..])
        );
        assert!(
            divided.remarks[0].ends_with(
                "; left out: 1 earlier row of groups that have rows in validation (`data.group`)"
            ),
            "{:?}",
            divided.remarks
        );
    }

    #[test]
    fn rows_that_time_cannot_divide_are_refused() {
        let refused = |of_row: &[f64], groups: Option<&[u32]>| {
            split(&timed(of_row, groups), &SplitConfig::default()).unwrap_err()
        };
        let error = refused(&[4.0; 5], None);
        assert_eq!(
            error.to_string(),
            "the validation part would be empty: 5 rows in 1 time to divide"
        );
        assert!(error.hint().unwrap().contains("`data.time`"));
        // Both groups are seen to the end.
        let error = refused(&[1.0, 1.0, 2.0, 2.0], Some(&[0, 1, 0, 1]));
        assert_eq!(
            error.to_string(),
            "the training part would be empty: 4 rows in 2 times to divide"
        );
        assert!(error.hint().unwrap().contains("`data.group`"));
    }
}
