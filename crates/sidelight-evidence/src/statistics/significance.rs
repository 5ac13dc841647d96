//! Tests of a difference, each with its assumptions.

use serde::{Deserialize, Serialize};

use super::Interval;
use super::distribution::{normal_quantile, t_quantile, t_two_sided};

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

/// Share of the variance over units in a difference's variance.
const OF_UNITS: f64 = 0.3;
/// Share of the variance over fits. Together above 1: training sets overlap, and few folds tell little.
const OF_FITS: f64 = 1.0;

/// A t test of a difference that two things vary: which units were drawn, and how each fit turned out.
///
/// `se` is the difference's standard error over `n_units` independent units (a bootstrap's, say). `fits` has, for
/// each seed, a difference and a weight (its rows) for each fold. Both are estimates of the same variance where a fit
/// adds none of its own; folds alone see the luck of fits, but there are few of them. The variance is
/// `0.3 U + F`, `U = n/(n-1) se²`, `F` being that over fits: `Σ (w/Σw)² (d - d̄)² J/(J-1)`, with `S` seeds
/// `(1 - 1/S) U + F̄/S`, as they share their rows. Degrees of freedom are Satterthwaite's, so that few folds count as
/// few. Interval and p are of one distribution: the interval excludes 0 exactly where p is below 1 − level.
///
/// The two shares were chosen by simulation (`--example false_alarms`): at most 5 % false alarms in each of its lines,
/// those included in which fits vary by as much again as rows do, and the most power. Nadeau and Bengio's own
/// correction, `(1/J + n_test/n_train) s²` over folds alone, finds half as much.
///
/// # Source
///
/// Satterthwaite 1946, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2(6);
/// variances of whole clusters: Liang & Zeger 1986, "Longitudinal data analysis using generalized linear models",
/// Biometrika 73(1); why folds need more than their variance: Nadeau & Bengio 2003, "Inference for the Generalization
/// Error", Machine Learning 52.
///
/// # Example
///
/// ```
/// use sidelight_evidence::statistics::significance::of_units_and_fits;
/// let folds = [0.02, 0.03, 0.01, 0.04, 0.02].map(|difference| (difference, 20.0)).to_vec();
/// let found = of_units_and_fits(0.024, 0.006, 100, &[folds], 0.95);
/// assert!((found.p - 0.0042293).abs() < 1e-7 && (found.df - 8.0039).abs() < 1e-4);
/// assert!(found.interval.low > 0.0);
/// ```
pub fn of_units_and_fits(
    difference: f64,
    se: f64,
    n_units: usize,
    fits: &[Vec<(f64, f64)>],
    level: f64,
) -> TTest {
    let n = n_units as f64;
    let units = n / (n - 1.0) * se * se;
    let seeds = || fits.iter().filter(|folds| folds.len() > 1);
    let n_seeds = seeds().count() as f64;
    let over_fits = if n_seeds > 0.0 {
        seeds().map(|folds| variance_of_mean(folds)).sum::<f64>() / n_seeds
    } else {
        0.0
    };
    let share = 1.0 / n_seeds.max(1.0) * f64::from(u8::from(n_seeds > 0.0));
    let parts = [
        (OF_UNITS + OF_FITS * (1.0 - share)) * units,
        OF_FITS * share * over_fits,
    ];
    let df = [
        n - 1.0,
        seeds().map(|folds| folds.len() - 1).sum::<usize>() as f64,
    ];
    let variance = parts[0] + parts[1];
    // Equal differences vary by what rounding leaves.
    let se = Some(variance.sqrt()).filter(|se| *se > 1e-12 * difference.abs());
    // Of shares of the variance: its square is soon too small, or too large, for a number.
    let spread = parts
        .iter()
        .zip(df)
        .map(|(part, df)| (part / variance).powi(2) / df.max(1.0));
    let df = se.map_or(n - 1.0, |_| 1.0 / spread.sum::<f64>());
    let t = match difference == 0.0 {
        true => 0.0,
        false => difference / se.unwrap_or(0.0),
    };
    let half = se.map_or(0.0, |se| -t_quantile((1.0 - level) / 2.0, df) * se);
    TTest {
        mean: difference,
        t,
        df,
        p: t_two_sided(t, df),
        interval: Interval {
            low: difference - half,
            high: difference + half,
        },
    }
}

/// The variance of a weighted mean of values that vary alike.
fn variance_of_mean(values: &[(f64, f64)]) -> f64 {
    let total: f64 = values.iter().map(|(_, weight)| weight).sum();
    let mean = values.iter().map(|(x, weight)| x * weight).sum::<f64>() / total;
    let n = values.len() as f64;
    let squares = values
        .iter()
        .map(|(x, weight)| (weight / total * (x - mean)).powi(2));
    n / (n - 1.0) * squares.sum::<f64>()
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
    }

    #[test]
    fn units_and_fits_are_the_formula_with_scipys_distribution() {
        for case in reference()["units_and_fits"].as_array().expect("is a list") {
            let fits: Vec<Vec<(f64, f64)>> = case["fits"]
                .as_array()
                .expect("is a list")
                .iter()
                .map(|seed| {
                    let [d, w] = [&seed["differences"], &seed["weights"]].map(numbers);
                    d.into_iter().zip(w).collect()
                })
                .collect();
            let number = |name: &str| case[name].as_f64().expect("is a number");
            let n_units = case["n_units"].as_u64().expect("is a number") as usize;
            let found = of_units_and_fits(number("difference"), number("se"), n_units, &fits, 0.95);
            near(found.df, &case["df"], "df");
            near(found.t, &case["t"], "t");
            near(found.p, &case["p"], "p");
            near(found.interval.low, &case["low"], "low");
            near(found.interval.high, &case["high"], "high");
        }
    }

    #[test]
    fn equal_differences_are_certain_and_no_differences_are_nothing() {
        let fits = |d: f64| vec![vec![(d, 1.0); 5]];
        let found = of_units_and_fits(0.1, 0.0, 20, &fits(0.1), 0.95);
        assert_eq!((found.t, found.p), (f64::INFINITY, 0.0));
        let found = of_units_and_fits(0.0, 0.0, 20, &fits(0.0), 0.95);
        assert_eq!((found.t, found.p), (0.0, 1.0));
        assert!(found.interval.contains(0.0));
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
    fn wilsons_interval_is_statsmodels() {
        for case in reference()["wilson"].as_array().expect("is a list") {
            let [k, n] = ["k", "n"].map(|name| case[name].as_u64().expect("is a number") as usize);
            let found = wilson(k, n, 0.95);
            near(found.low, &case["low"], "low");
            near(found.high, &case["high"], "high");
        }
    }
}
