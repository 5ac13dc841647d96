//! Are two (or more) samples of one distribution?

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// A distance between samples and how likely it is without any difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// In [0, 1]: 0 the same, 1 nothing in common.
    pub distance: f64,
    /// Probability of a distance this large between samples of one distribution; rows taken as independent.
    pub p: f64,
}

/// Kolmogorov and Smirnov's test: the largest difference between two distribution functions.
///
/// `None` where a sample is empty or holds a NaN.
///
/// # Source
///
/// Smirnov 1948, "Table for estimating the goodness of fit of empirical distributions": with
/// λ = √(mn / (m + n)) · D the probability is about 2 Σ (−1)^(k−1) exp(−2k²λ²), the form for large samples
/// (`scipy.special.kolmogorov`). With ties it is too large rather than too small.
///
/// # Example
///
/// ```
/// use sidelight_evidence::statistics::two_sample::kolmogorov_smirnov;
///
/// let shift = kolmogorov_smirnov(&[1.0, 2.0, 3.0], &[2.0, 3.0, 4.0]).unwrap();
/// assert!((shift.distance - 1.0 / 3.0).abs() < 1e-12);
/// ```
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> Option<Shift> {
    let known = |sample: &[f64]| !sample.is_empty() && !sample.iter().any(|x| x.is_nan());
    if !known(a) || !known(b) {
        return None;
    }
    let sorted = |sample: &[f64]| {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted
    };
    let (a, b) = (sorted(a), sorted(b));
    let (m, n) = (a.len() as f64, b.len() as f64);
    let (mut at_a, mut at_b) = (0, 0);
    let mut distance: f64 = 0.0;
    while at_a < a.len() && at_b < b.len() {
        // Both functions step at this value, over all that are equal to it.
        let value = a[at_a].min(b[at_b]);
        at_a += a[at_a..].iter().take_while(|x| **x <= value).count();
        at_b += b[at_b..].iter().take_while(|x| **x <= value).count();
        distance = distance.max((at_a as f64 / m - at_b as f64 / n).abs());
    }
    let p = kolmogorov((m * n / (m + n)).sqrt() * distance);
    Some(Shift { distance, p })
}

/// Probability that Kolmogorov's statistic is at least λ.
fn kolmogorov(lambda: f64) -> f64 {
    // The series converges slowly near 0, where the probability is 1 to 13 digits.
    if lambda < 0.2 {
        return 1.0;
    }
    let mut sum = 0.0;
    for k in 1..=100 {
        let k = f64::from(k);
        let term = (-2.0 * (k * lambda).powi(2)).exp();
        sum += if k % 2.0 == 1.0 { term } else { -term };
        if term < 1e-17 {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

/// Counts `[sample][category]` of two samples: half the sum of the differences of their shares
/// (total variation), with the p value of [`chi_squared`].
///
/// `None` where a sample is empty or all rows are of one category.
///
/// # Example
///
/// ```
/// use sidelight_evidence::statistics::two_sample::category_shift;
///
/// let shift = category_shift(&[30, 10], &[10, 30]).unwrap();
/// assert!((shift.distance - 0.5).abs() < 1e-12 && shift.p < 1e-4);
/// ```
pub fn category_shift(a: &[usize], b: &[usize]) -> Option<Shift> {
    let total = |counts: &[usize]| counts.iter().sum::<usize>() as f64;
    let (m, n) = (total(a), total(b));
    let p = chi_squared(&[a, b])?;
    let differences = a
        .iter()
        .zip(b)
        .map(|(a, b)| (*a as f64 / m - *b as f64 / n).abs());
    let distance = differences.sum::<f64>() / 2.0;
    Some(Shift { distance, p })
}

/// Pearson's test that rows of a table of counts have one distribution: its p value.
///
/// Categories that no row has are left out. `None` where fewer than two rows or categories are left.
///
/// # Source
///
/// Pearson 1900; X² = Σ (observed − expected)² / expected, without a continuity correction, against χ² with
/// (rows − 1)(categories − 1) degrees of freedom: `scipy.stats.chi2_contingency(…, correction=False)`.
#[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
pub fn chi_squared(counts: &[&[usize]]) -> Option<f64> {
    let rows: Vec<f64> = counts
        .iter()
        .map(|row| row.iter().sum::<usize>() as f64)
        .collect();
    let width = counts.first()?.len();
    let columns: Vec<f64> = (0..width)
        .map(|at| counts.iter().map(|row| row[at]).sum::<usize>() as f64)
        .collect();
    let all: f64 = rows.iter().sum();
    let present = columns.iter().filter(|count| **count > 0.0).count();
    if rows.len() < 2 || rows.contains(&0.0) || present < 2 {
        return None;
    }
    let mut statistic = 0.0;
    for (row, total) in counts.iter().zip(&rows) {
        for (observed, column) in row
            .iter()
            .zip(&columns)
            .filter(|(_, column)| **column > 0.0)
        {
            let expected = total * column / all;
            statistic += (*observed as f64 - expected).powi(2) / expected;
        }
    }
    let df = (rows.len() - 1) * (present - 1);
    let distribution = ChiSquared::new(df as f64).expect("degrees of freedom are above 0");
    Some(distribution.sf(statistic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn reference() -> Value {
        serde_json::from_str(include_str!("../../tests/reference/two_sample.json"))
            .expect("is JSON")
    }

    fn numbers(value: &Value) -> Vec<f64> {
        let list = value.as_array().expect("is a list");
        list.iter()
            .map(|x| x.as_f64().expect("is a number"))
            .collect()
    }

    fn near(found: f64, expected: &Value, what: &str) {
        let expected = expected.as_f64().expect("is a number");
        let tolerance = 1e-9 * expected.abs().max(1e-3);
        assert!(
            (found - expected).abs() <= tolerance,
            "{what}: {found}, scipy says {expected}"
        );
    }

    #[test]
    fn kolmogorov_and_smirnovs_distance_and_probability_are_scipys() {
        for case in reference()["kolmogorov_smirnov"]
            .as_array()
            .expect("is a list")
        {
            let found =
                kolmogorov_smirnov(&numbers(&case["a"]), &numbers(&case["b"])).expect("is defined");
            near(found.distance, &case["distance"], "distance");
            near(found.p, &case["p"], "p");
        }
        assert_eq!(kolmogorov_smirnov(&[], &[1.0]), None);
        assert_eq!(kolmogorov_smirnov(&[f64::NAN], &[1.0]), None);
    }

    #[test]
    fn the_test_of_counts_is_scipys() {
        for case in reference()["categories"].as_array().expect("is a list") {
            let [a, b] = ["a", "b"].map(|name| -> Vec<usize> {
                numbers(&case[name])
                    .into_iter()
                    .map(|x| x as usize)
                    .collect()
            });
            let found = category_shift(&a, &b).expect("is defined");
            near(found.distance, &case["distance"], "total variation");
            near(found.p, &case["p"], "p");
        }
        assert_eq!(category_shift(&[3, 0], &[5, 0]), None);
        assert_eq!(category_shift(&[0, 0], &[5, 2]), None);
    }
}
