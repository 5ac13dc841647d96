//! A column divided into cells: a category each, or quantile bins of a number.

#![expect(
    clippy::cast_possible_truncation,
    reason = "cells, at most `MOST_CATEGORIES`, or patterns of gaps, no more than rows in memory"
)]

use std::collections::{BTreeMap, BTreeSet};

use super::power::Cells;
use sidelight_data::dataset::MetadataValues;

/// Bins of a number, at most.
const MOST_BINS: usize = 20;
/// Known rows that a bin must have on average.
const ROWS_IN_BIN: usize = 10;
/// Categories with a cell of their own, the commonest first; rows of rarer ones are in no cell.
const MOST_CATEGORIES: usize = 512;

/// The cells of a column; missing is the last, where a row lacks it.
///
/// Bins are quantiles of all known rows: they look at the column alone, never at the target. A category of one
/// row has no cell, since nothing learned of it could be tried on another.
pub(super) fn cells(values: &MetadataValues) -> Cells {
    let (n, of_known) = match values {
        MetadataValues::Boolean(values) => {
            let of_row = values.iter().map(|value| value.map(u32::from));
            (2, of_row.collect())
        }
        MetadataValues::Continuous(values) | MetadataValues::Datetime(values) => bins(values),
        MetadataValues::Categorical { names, codes } => categories(names.len(), codes),
    };
    let is_missing = values.missing();
    if !is_missing.contains(&true) {
        return Cells {
            n,
            of_row: of_known,
        };
    }
    let of_row = of_known.into_iter().zip(is_missing);
    let of_row = of_row.map(|(cell, is_missing)| if is_missing { Some(n as u32) } else { cell });
    Cells {
        n: n + 1,
        of_row: of_row.collect(),
    }
}

/// Known or missing: two cells. `None` where all rows are the one or the other.
pub(super) fn gaps(values: &MetadataValues) -> Option<Cells> {
    let is_missing = values.missing();
    if !is_missing.contains(&true) || !is_missing.contains(&false) {
        return None;
    }
    let of_row = is_missing
        .into_iter()
        .map(|is_missing| Some(u32::from(is_missing)));
    Some(Cells {
        n: 2,
        of_row: of_row.collect(),
    })
}

/// Which of several columns a row lacks, as one category: each pattern of gaps a cell. `None` where all rows have
/// the same.
pub(super) fn gap_patterns<'a>(columns: impl Iterator<Item = &'a MetadataValues>) -> Option<Cells> {
    let columns: Vec<Vec<bool>> = columns.map(MetadataValues::missing).collect();
    let n_rows = columns.first()?.len();
    let mut code_of: BTreeMap<Vec<bool>, u32> = BTreeMap::new();
    let mut code = |row: usize| {
        let pattern = columns.iter().map(|column| column[row]).collect();
        let next = code_of.len() as u32;
        Some(*code_of.entry(pattern).or_insert(next))
    };
    let codes: Vec<Option<u32>> = (0..n_rows).map(&mut code).collect();
    let (n, of_row) = categories(code_of.len(), &codes);
    (code_of.len() > 1).then_some(Cells { n, of_row })
}

/// Number of distinct known values.
pub(super) fn n_distinct(values: &MetadataValues) -> usize {
    match values {
        MetadataValues::Continuous(values) | MetadataValues::Datetime(values) => {
            let mut known: Vec<f64> = values.iter().flatten().copied().collect();
            known.sort_by(f64::total_cmp);
            known.dedup();
            known.len()
        }
        names => {
            let codes = names.levels().unwrap_or_default().1;
            codes.into_iter().flatten().collect::<BTreeSet<_>>().len()
        }
    }
}

fn bins(values: &[Option<f64>]) -> (usize, Vec<Option<u32>>) {
    let mut known: Vec<f64> = values.iter().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    let mut distinct = known.clone();
    distinct.dedup();
    let n_bins = (known.len() / ROWS_IN_BIN).clamp(2, MOST_BINS);
    // The first value of each bin but the first.
    let mut edges: Vec<f64> = if distinct.len() <= n_bins {
        distinct.into_iter().skip(1).collect()
    } else {
        (1..n_bins)
            .map(|bin| known[bin * known.len() / n_bins])
            .collect()
    };
    edges.dedup();
    let bin = |value: f64| edges.partition_point(|edge| *edge <= value) as u32;
    let of_row = values.iter().map(|value| value.map(bin)).collect();
    (edges.len() + 1, of_row)
}

fn categories(n_names: usize, codes: &[Option<u32>]) -> (usize, Vec<Option<u32>>) {
    let mut counts = vec![0_usize; n_names];
    codes
        .iter()
        .flatten()
        .for_each(|code| counts[*code as usize] += 1);
    let mut common: Vec<usize> = (0..n_names).filter(|code| counts[*code] > 1).collect();
    common.sort_by_key(|code| std::cmp::Reverse(counts[*code]));
    common.truncate(MOST_CATEGORIES);
    let mut cell_of = vec![None; n_names];
    for (cell, code) in common.iter().enumerate() {
        cell_of[*code] = Some(cell as u32);
    }
    let of_row = codes
        .iter()
        .map(|code| code.and_then(|code| cell_of[code as usize]));
    (common.len(), of_row.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_few_values_has_a_cell_for_each_and_missing_is_the_last() {
        let values = MetadataValues::Continuous(vec![Some(3.0), Some(1.0), None, Some(3.0)]);
        assert_eq!(
            cells(&values),
            Cells {
                n: 3,
                of_row: vec![Some(1), Some(0), Some(2), Some(1)]
            }
        );
        assert_eq!(gaps(&values).map(|gaps| gaps.of_row[2]), Some(Some(1)));
    }

    #[test]
    fn a_number_of_many_values_is_binned_by_quantiles() {
        let values = (0..400).map(|row| Some(f64::from(row).powi(3))).collect();
        let found = cells(&MetadataValues::Continuous(values));
        assert_eq!(found.n, 20);
        for bin in 0..20 {
            let rows = found.of_row.iter().filter(|cell| **cell == Some(bin));
            assert_eq!(rows.count(), 20);
        }
    }

    #[test]
    fn a_category_of_one_row_is_in_no_cell() {
        let values = MetadataValues::Categorical {
            names: ["a", "b", "c"].map(String::from).to_vec(),
            codes: vec![Some(2), Some(0), Some(2), Some(1)],
        };
        let found = cells(&values);
        assert_eq!(
            (found.n, found.of_row),
            (1, vec![Some(0), None, Some(0), None])
        );
        assert_eq!(gaps(&values), None);
    }
}
