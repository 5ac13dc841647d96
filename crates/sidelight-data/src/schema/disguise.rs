//! Columns that are the target in other words: they would make any score meaningless.

use std::fmt;

use super::scan::{Scan, percent};
use crate::config::TargetKind;

/// How a column gives the target away.
#[derive(Debug, Clone, PartialEq)]
pub enum Disguise {
    /// Each of its values occurs with one value of the target only (and the other way round, if `both_ways`).
    Determines {
        /// The target's column.
        target: String,
        /// Whether each value of the target has one value of the column, too.
        both_ways: bool,
    },
    /// A row's target is, almost always, that of the other rows with the same value.
    Predicts {
        /// The target's column.
        target: String,
        /// Share of rows guessed right from the other rows, in [0, 1].
        share: f64,
        /// Share guessed right without the column: the commonest class.
        baseline: f64,
    },
    /// Each value of the target has one value of the column: it was derived from the target.
    DerivedFrom {
        /// The target's column.
        target: String,
    },
    /// Sorting rows by it sorts them by the target.
    SameOrder {
        /// The target's column.
        target: String,
        /// Spearman's rank correlation, or for two classes the AUROC mapped to [−1, 1].
        correlation: f64,
    },
}

impl fmt::Display for Disguise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Determines {
                target,
                both_ways: true,
            } => write!(f, "the same as `{target}` in other words"),
            Self::Determines {
                target,
                both_ways: false,
            } => write!(
                f,
                "each value belongs to one `{target}`: the target in disguise"
            ),
            Self::Predicts {
                target,
                share,
                baseline,
            } => write!(
                f,
                "alone guesses `{target}` right in {} of rows ({} without it): the target in disguise?",
                percent(*share),
                percent(*baseline)
            ),
            Self::DerivedFrom { target } => {
                write!(f, "each `{target}` has one value: derived from the target")
            }
            Self::SameOrder {
                target,
                correlation,
            } => {
                write!(
                    f,
                    "sorts rows as `{target}` does (rank correlation {correlation:.4}): the target in disguise"
                )
            }
        }
    }
}

/// A target column, scanned.
pub(super) struct Target<'a> {
    pub(super) name: String,
    pub(super) kind: TargetKind,
    pub(super) scan: Scan<'a>,
    /// Each row as a number, for targets that are.
    pub(super) numbers: Vec<f64>,
}

/// Fewer rows prove nothing.
const LEAST_ROWS: usize = 20;

/// How this column gives this target away, if it does.
///
/// `numeric`: whether the column holds quantities, so that its order says something.
pub(super) fn disguise(column: &Scan<'_>, numeric: bool, target: &Target<'_>) -> Option<Disguise> {
    let name = || target.name.clone();
    match target.kind {
        TargetKind::Class | TargetKind::Multilabel => {
            if let Some(disguise) = by_values(column, target) {
                return Some(disguise);
            }
            let n_classes = target.scan.n_distinct();
            if numeric && n_classes == 2 {
                let classes: Vec<f64> = target
                    .scan
                    .codes
                    .iter()
                    .map(|code| code.map_or(f64::NAN, f64::from))
                    .collect();
                let separation = separation(&column.number_rows(), &classes)?;
                if separation.abs() >= 0.99 {
                    return Some(Disguise::SameOrder {
                        target: name(),
                        correlation: separation,
                    });
                }
            }
            None
        }
        TargetKind::Regression | TargetKind::Keypoints => {
            // A few different numbers are told by a name as classes are.
            let few = target.kind == TargetKind::Regression && target.scan.n_distinct() <= FEW;
            if let Some(disguise) = few.then(|| by_values(column, target)).flatten() {
                return Some(disguise);
            }
            let correlation = if numeric {
                rank_correlation(&column.number_rows(), &target.numbers)?
            } else {
                return None;
            };
            (correlation.abs() >= 0.999).then(|| Disguise::SameOrder {
                target: name(),
                correlation,
            })
        }
    }
}

/// Numbers that may as well be classes.
const FEW: usize = 20;

/// How the values of this column give those of the target away, each taken for a name.
fn by_values(column: &Scan<'_>, target: &Target<'_>) -> Option<Disguise> {
    let name = || target.name.clone();
    let of_column = Mapping::new(&column.codes, &target.scan.codes)?;
    let of_target = Mapping::new(&target.scan.codes, &column.codes)?;
    // A guess that the commonest class makes nearly as well is no proof.
    if of_column.baseline <= 0.95 && of_column.repeated >= 0.8 {
        if of_column.is_function {
            return Some(Disguise::Determines {
                target: name(),
                both_ways: of_target.is_function,
            });
        }
        if of_column.guessed >= 0.98
            && of_column.guessed - of_column.baseline >= 0.5 * (1.0 - of_column.baseline)
        {
            return Some(Disguise::Predicts {
                target: name(),
                share: of_column.guessed,
                baseline: of_column.baseline,
            });
        }
    }
    let n_classes = target.scan.n_distinct();
    if n_classes >= 3
        && of_target.is_function
        && of_target.repeated >= 0.9
        && of_target.baseline <= 0.9
    {
        return Some(Disguise::DerivedFrom { target: name() });
    }
    None
}

/// What one column says about another, where both are known.
struct Mapping {
    /// Each value of the one occurs with one value of the other only, as far as it repeats.
    is_function: bool,
    /// Share of rows guessed right from the *other* rows with the same value; a value that does not repeat guesses nothing.
    guessed: f64,
    /// Share guessed right by the commonest value alone.
    baseline: f64,
    /// Share of rows whose value repeats.
    repeated: f64,
}

impl Mapping {
    fn new(from: &[Option<u32>], to: &[Option<u32>]) -> Option<Self> {
        let mut pairs: Vec<(u32, u32)> = from
            .iter()
            .zip(to)
            .filter_map(|(from, to)| Some(((*from)?, (*to)?)))
            .collect();
        if pairs.len() < LEAST_ROWS {
            return None;
        }
        pairs.sort_unstable();
        let mut totals = std::collections::HashMap::new();
        for (_, to) in &pairs {
            *totals.entry(*to).or_insert(0_usize) += 1;
        }
        let (mut guessed, mut repeated) = (0, 0);
        let mut is_function = true;
        for rows in pairs.chunk_by(|a, b| a.0 == b.0) {
            if rows.len() < 2 {
                continue;
            }
            repeated += rows.len();
            let counts: Vec<usize> = rows.chunk_by(|a, b| a.1 == b.1).map(<[_]>::len).collect();
            is_function &= counts.len() == 1;
            for (index, count) in counts.iter().enumerate() {
                let others = counts
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != index)
                    .map(|(_, count)| *count);
                // Of the row's own value one fewer is left; a tie guesses wrong.
                if count - 1 > others.max().unwrap_or(0) {
                    guessed += count;
                }
            }
        }
        let n = pairs.len() as f64;
        Some(Self {
            // One value everywhere is a function of anything.
            is_function: is_function && totals.len() > 1,
            guessed: guessed as f64 / n,
            baseline: totals.values().max().copied().unwrap_or(0) as f64 / n,
            repeated: repeated as f64 / n,
        })
    }
}

/// 2·AUROC − 1 of a number for two classes (0 and 1), rows without either left out.
fn separation(numbers: &[f64], classes: &[f64]) -> Option<f64> {
    let known: Vec<(f64, f64)> = numbers
        .iter()
        .zip(classes)
        .filter(|(x, y)| !x.is_nan() && !y.is_nan())
        .map(|(x, y)| (*x, *y))
        .collect();
    let n_positive = known.iter().filter(|(_, class)| *class == 1.0).count();
    let n_negative = known.len() - n_positive;
    if known.len() < LEAST_ROWS || n_positive.min(n_negative) < 5 {
        return None;
    }
    let ranks = ranks(&known.iter().map(|(x, _)| *x).collect::<Vec<_>>());
    let sum: f64 = ranks
        .iter()
        .zip(&known)
        .filter(|(_, (_, class))| *class == 1.0)
        .map(|(rank, _)| rank)
        .sum();
    // Mann-Whitney: U = R − n(n+1)/2, AUROC = U / (n₁ n₀).
    let u = sum - (n_positive * (n_positive + 1)) as f64 / 2.0;
    Some(2.0 * u / (n_positive as f64 * n_negative as f64) - 1.0)
}

/// Spearman's rank correlation where both are known.
fn rank_correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a, b): (Vec<f64>, Vec<f64>) = a
        .iter()
        .zip(b)
        .filter(|(a, b)| !a.is_nan() && !b.is_nan())
        .map(|(a, b)| (*a, *b))
        .unzip();
    if a.len() < LEAST_ROWS {
        return None;
    }
    // The numbers go as soon as they are ranked: of a million rows each list is felt.
    let [a, b] = [a, b].map(|values| ranks(&values));
    let mean = (a.len() as f64 + 1.0) / 2.0;
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        ab += (a - mean) * (b - mean);
        aa += (a - mean).powi(2);
        bb += (b - mean).powi(2);
    }
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

/// Ranks from 1, ties sharing their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for tied in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|index| ranks[*index] = rank);
        start += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Column;

    fn target(kind: TargetKind, cells: &[String]) -> (Column, TargetKind) {
        (
            Column::text("y", cells.iter().map(|cell| Some(cell.as_str()))),
            kind,
        )
    }

    fn found(
        column: impl Fn(usize) -> String,
        y: impl Fn(usize) -> String,
        kind: TargetKind,
        numeric: bool,
    ) -> Option<Disguise> {
        let cells: Vec<String> = (0..60).map(column).collect();
        let column = Column::text("x", cells.iter().map(|cell| Some(cell.as_str())));
        let cells: Vec<String> = (0..60).map(y).collect();
        let (y, kind) = target(kind, &cells);
        let scan = Scan::new(&y, &[]);
        let numbers = scan.number_rows();
        disguise(
            &Scan::new(&column, &[]),
            numeric,
            &Target {
                name: "y".into(),
                kind,
                scan,
                numbers,
            },
        )
    }

    #[test]
    fn a_column_that_determines_the_class_is_found() {
        let finding = |row: usize| format!("finding {}", row % 6);
        let covid = |row: usize| (row % 6 < 2).to_string();
        let expected = Disguise::Determines {
            target: "y".into(),
            both_ways: false,
        };
        assert_eq!(
            found(finding, covid, TargetKind::Class, false),
            Some(expected)
        );
        let same = Disguise::Determines {
            target: "y".into(),
            both_ways: true,
        };
        assert_eq!(
            found(
                covid,
                |row| if row % 6 < 2 { "a".into() } else { "b".into() },
                TargetKind::Class,
                false
            ),
            Some(same)
        );
    }

    #[test]
    fn a_column_derived_from_the_class_is_found() {
        let genus = |row: usize| (row % 12 / 4).to_string();
        let species = |row: usize| (row % 12).to_string();
        assert_eq!(
            found(genus, species, TargetKind::Class, false),
            Some(Disguise::DerivedFrom { target: "y".into() })
        );
    }

    #[test]
    fn an_honest_column_and_one_of_unique_values_are_not() {
        let side = |row: usize| (row % 2).to_string();
        let class = |row: usize| (row % 3).to_string();
        assert_eq!(found(side, class, TargetKind::Class, true), None);
        assert_eq!(
            found(|row| format!("id {row}"), class, TargetKind::Class, false),
            None
        );
        // It agrees in 54 of 60 rows: a good predictor, not the target.
        assert_eq!(
            found(
                |row| (row % 3 * usize::from(row > 9)).to_string(),
                class,
                TargetKind::Class,
                false
            ),
            None
        );
    }

    #[test]
    fn a_number_in_another_unit_is_the_target_in_disguise() {
        let price = |row: usize| (1000 + row * row * 17).to_string();
        let in_thousands = |row: usize| ((1000 + row * row * 17) as f64 / 1000.0).ln().to_string();
        assert!(
            matches!(found(in_thousands, price, TargetKind::Regression, true), Some(Disguise::SameOrder { correlation, .. }) if correlation > 0.9999)
        );
        assert_eq!(
            found(
                |row| (row * 7 % 13).to_string(),
                price,
                TargetKind::Regression,
                true
            ),
            None
        );
    }

    #[test]
    fn a_number_that_separates_two_classes_without_fail_is_found() {
        let score = |row: usize| {
            if row.is_multiple_of(2) {
                row.to_string()
            } else {
                (row + 1000).to_string()
            }
        };
        let class = |row: usize| (row % 2).to_string();
        assert!(matches!(
            found(score, class, TargetKind::Class, true),
            Some(Disguise::SameOrder { .. })
        ));
    }
}
