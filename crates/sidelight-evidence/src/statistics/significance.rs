//! Tests of a difference, each with its assumptions.

use serde::{Deserialize, Serialize};

use super::Interval;
use super::distribution::{binomial_cdf, binomial_pmf, normal_quantile, t_quantile, t_two_sided};

/// What a t test found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TTest {
    /// Mean of the differences.
    pub mean: f64,
    /// Mean over standard error; infinite where all differences are one number other than 0.
    pub t: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Two-sided p value.
    pub p: f64,
    /// Of the mean difference, at the level asked for.
    pub interval: Interval,
}

/// The corrected resampled t test of differences over folds (and seeds): training sets overlap,
/// so folds are not independent, and the variance is `(1/J + n_test/n_train) s²`, not `s²/J`.
///
/// `test_to_train` is `n_test / n_train`: 1/(k − 1) for k folds. `None` with fewer than two differences.
///
/// # Source
///
/// Nadeau & Bengio 2003, "Inference for the Generalization Error", Machine Learning 52, eq. 9;
/// for repeated folds: Bouckaert & Frank 2004, "Evaluating the Replicability of Significance
/// Tests for Comparing Learning Algorithms", PAKDD.
///
/// # Example
///
/// ```
/// use sidelight_evidence::statistics::significance::corrected_resampled_t;
/// let found = corrected_resampled_t(&[0.02, 0.03, 0.01, 0.04, 0.02], 1.0 / 4.0, 0.95).unwrap();
/// assert!((found.t - 3.137858).abs() < 1e-6 && found.df == 4.0);
/// assert!((found.p - 0.034920).abs() < 1e-6);
/// ```
pub fn corrected_resampled_t(differences: &[f64], test_to_train: f64, level: f64) -> Option<TTest> {
    let n = differences.len() as f64;
    if differences.len() < 2 {
        return None;
    }
    let mean = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    // Equal differences vary by what rounding leaves.
    let variance = if variance.sqrt() <= 1e-12 * mean.abs() {
        0.0
    } else {
        variance
    };
    let se = ((1.0 / n + test_to_train) * variance).sqrt();
    let t = if mean == 0.0 { 0.0 } else { mean / se };
    let df = n - 1.0;
    let half = -t_quantile((1.0 - level) / 2.0, df) * se;
    let interval = Interval {
        low: mean - half,
        high: mean + half,
    };
    Some(TTest {
        mean,
        t,
        df,
        p: t_two_sided(t, df),
        interval,
    })
}

/// Holm's adjusted p values: below α, the claim holds with all of them together wrong at most
/// with probability α. Never larger than Bonferroni's.
///
/// # Source
///
/// Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6(2).
///
/// # Example
///
/// ```
/// use sidelight_evidence::statistics::significance::holm;
/// assert_eq!(holm(&[0.03, 0.01, 0.04]), [0.06, 0.03, 0.06]);
/// ```
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max(((p.len() - rank) as f64 * p[i]).min(1.0));
        adjusted[i] = largest;
    }
    adjusted
}

/// What McNemar's test found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Rows that only the first got right.
    pub only_a: u64,
    /// Rows that only the second got right.
    pub only_b: u64,
    /// Two-sided, exact: never more false alarms than stated, often fewer.
    pub p_exact: f64,
    /// Two-sided, mid-p: about as many false alarms as stated.
    pub p_mid: f64,
}

/// McNemar's test of two accuracies on the same rows, rows being independent.
///
/// # Source
///
/// McNemar 1947, Psychometrika 12(2); the mid-p form as Fagerland, Lydersen & Laake 2013, "The
/// McNemar test for binary matched-pairs data: mid-p and asymptotic are better than exact
/// conditional", BMC Medical Research Methodology 13:91.
pub fn mcnemar(right_a: &[bool], right_b: &[bool]) -> McNemar {
    let count = |a: bool, b: bool| {
        right_a
            .iter()
            .zip(right_b)
            .filter(|&(&is_a, &is_b)| is_a == a && is_b == b)
            .count() as u64
    };
    let (only_a, only_b) = (count(true, false), count(false, true));
    let (p_exact, p_mid) = sign_p(only_a, only_b);
    McNemar {
        only_a,
        only_b,
        p_exact,
        p_mid,
    }
}

fn sign_p(a: u64, b: u64) -> (f64, f64) {
    let n = a + b;
    if n == 0 {
        return (1.0, 1.0);
    }
    let few = a.min(b);
    let tail = binomial_cdf(few, n, 0.5);
    let exact = (2.0 * tail).min(1.0);
    // Where both are equal the two tails meet in one value, which counts once.
    let mid = if a == b {
        1.0 - binomial_pmf(few, n, 0.5)
    } else {
        2.0 * tail - binomial_pmf(few, n, 0.5)
    };
    (exact, mid.min(1.0))
}

/// Wilson's interval of a share.
///
/// # Source
///
/// Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
pub fn wilson(successes: usize, n: usize, level: f64) -> Interval {
    if n == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let (n, share) = (n as f64, successes as f64 / n as f64);
    let z2 = normal_quantile((1.0 - level) / 2.0).powi(2);
    let middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = (z2 * share * (1.0 - share) / n + z2 * z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
    Interval {
        low: (middle - half).max(0.0),
        high: (middle + half).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::delong::delong;
    use super::super::distribution;
    use super::*;
    use serde_json::Value;

    /// Written by `tests/reference/statistics.py` with scipy and statsmodels.
    fn reference() -> Value {
        serde_json::from_str(include_str!("../../tests/reference/statistics.json"))
            .expect("is JSON")
    }

    fn numbers(value: &Value) -> Vec<f64> {
        value
            .as_array()
            .expect("is a list")
            .iter()
            .map(|x| x.as_f64().expect("is a number"))
            .collect()
    }

    fn near(found: f64, expected: &Value, what: &str) {
        let expected = expected.as_f64().expect("is a number");
        assert!(
            (found - expected).abs() <= 1e-9 + 1e-7 * expected.abs(),
            "{what}: {found}, expected {expected}"
        );
    }

    #[test]
    fn distributions_are_scipys() {
        for row in reference()["distributions"].as_array().expect("is a list") {
            let [x, df] = [
                row["x"].as_f64().expect("is a number"),
                row["df"].as_f64().expect("is a number"),
            ];
            near(
                distribution::normal_cdf(x),
                &row["normal_cdf"],
                "normal cdf",
            );
            near(distribution::t_cdf(x, df), &row["t_cdf"], "t cdf");
            near(
                distribution::normal_quantile(row["p"].as_f64().expect("p")),
                &row["normal_quantile"],
                "normal quantile",
            );
            near(
                distribution::t_quantile(row["p"].as_f64().expect("p"), df),
                &row["t_quantile"],
                "t quantile",
            );
        }
        for row in reference()["binomial"].as_array().expect("is a list") {
            let [k, n] = ["k", "n"].map(|name| row[name].as_u64().expect("is a number"));
            let p = row["p"].as_f64().expect("is a number");
            near(binomial_cdf(k, n, p), &row["cdf"], "binomial cdf");
            near(binomial_pmf(k, n, p), &row["pmf"], "binomial pmf");
        }
    }

    #[test]
    fn the_corrected_t_is_the_formula_with_scipys_distribution() {
        for case in reference()["corrected_t"].as_array().expect("is a list") {
            let ratio = case["test_to_train"].as_f64().expect("is a number");
            let found = corrected_resampled_t(&numbers(&case["differences"]), ratio, 0.95)
                .expect("is defined");
            near(found.t, &case["t"], "t");
            near(found.p, &case["p"], "p");
            near(found.interval.low, &case["low"], "low");
            near(found.interval.high, &case["high"], "high");
        }
    }

    #[test]
    fn equal_differences_are_certain_and_no_differences_are_nothing() {
        let found = corrected_resampled_t(&[0.1; 5], 0.25, 0.95).expect("is defined");
        assert_eq!((found.t, found.p), (f64::INFINITY, 0.0));
        let found = corrected_resampled_t(&[0.0; 5], 0.25, 0.95).expect("is defined");
        assert_eq!((found.t, found.p), (0.0, 1.0));
        assert_eq!(corrected_resampled_t(&[0.1], 0.25, 0.95), None);
    }

    #[test]
    fn holm_is_statsmodels() {
        for case in reference()["holm"].as_array().expect("is a list") {
            let expected = case["adjusted"].as_array().expect("is a list");
            for (found, expected) in holm(&numbers(&case["p"])).into_iter().zip(expected) {
                near(found, expected, "holm");
            }
        }
        assert_eq!(holm(&[]), Vec::<f64>::new());
    }

    #[test]
    fn mcnemar_is_statsmodels() {
        for case in reference()["mcnemar"].as_array().expect("is a list") {
            let [b, c] = ["b", "c"].map(|name| case[name].as_u64().expect("is a number") as usize);
            let right = |only: usize, after: usize, total: usize| {
                (0..total)
                    .map(|row| (after..after + only).contains(&row) || row >= b + c)
                    .collect::<Vec<_>>()
            };
            let found = mcnemar(&right(b, 0, b + c + 3), &right(c, b, b + c + 3));
            assert_eq!((found.only_a, found.only_b), (b as u64, c as u64));
            near(found.p_exact, &case["exact"], "exact");
            near(found.p_mid, &case["mid"], "mid-p");
        }
    }

    #[test]
    fn delong_is_the_definition_by_pairs() {
        for case in reference()["delong"].as_array().expect("is a list") {
            let positive: Vec<bool> = numbers(&case["positive"])
                .into_iter()
                .map(|x| x > 0.5)
                .collect();
            let found =
                delong(&positive, &numbers(&case["a"]), &numbers(&case["b"])).expect("is defined");
            near(found.auroc_a, &case["auroc_a"], "a");
            near(found.auroc_b, &case["auroc_b"], "b");
            near(found.variance_a, &case["variance_a"], "variance a");
            near(found.covariance, &case["covariance"], "covariance");
            near(found.z, &case["z"], "z");
            near(found.p, &case["p"], "p");
            let same =
                delong(&positive, &numbers(&case["a"]), &numbers(&case["a"])).expect("is defined");
            assert_eq!((same.z, same.p), (0.0, 1.0));
        }
        assert_eq!(
            delong(&[true, false, false], &[0.1, 0.2, 0.3], &[0.1, 0.2, 0.3]),
            None
        );
    }

    #[test]
    fn wilsons_interval_is_statsmodels() {
        for case in reference()["wilson"].as_array().expect("is a list") {
            let [k, n] = ["k", "n"].map(|name| case[name].as_u64().expect("is a number") as usize);
            let found = wilson(k, n, 0.95);
            near(found.low, &case["low"], "low");
            near(found.high, &case["high"], "high");
        }
    }
}
