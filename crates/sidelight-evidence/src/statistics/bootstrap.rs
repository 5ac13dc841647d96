//! Resampling units to see how a number might have come out.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::distribution::{normal_cdf, normal_quantile, t_cdf, t_quantile};
use super::{Interval, mean};
use sidelight_data::random::{below, for_purpose};

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Resamples. Default: 5000.
    pub replicates: usize,
    /// Confidence of the interval. Default: 0.95.
    pub level: f64,
    /// Seed of the resampling. Default: 0.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            replicates: 5000,
            level: 0.95,
            seed: 0,
        }
    }
}

/// What resampling found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bootstrapped {
    /// The statistic of the rows as they are.
    pub estimate: f64,
    /// The estimate's percentile interval, at the level asked for.
    pub interval: Interval,
    /// Standard deviation over resamples.
    pub se: f64,
    /// Two-sided p for the true value being 0: 1 minus the confidence of the widest interval without 0.
    pub p: f64,
    /// Number of independent units that were resampled.
    pub n_units: usize,
    /// Resamples in which the statistic was defined.
    pub n_replicates: usize,
}

/// Resamples units with replacement and gives the interval of a statistic.
///
/// `unit_of_row[row]` is the independent unit of a row (its group; a number of its own where there
/// are none). `statistic(weights)` is the number of interest when row `i` counts `weights[i]`
/// times; `None` where it is not defined. The result depends on the seed alone, not on threads.
///
/// The interval is the *expanded percentile* one: the percentile interval is too narrow for few
/// units (its variance is over n, not n − 1, and it knows nothing of the t distribution), so its tails are taken at
/// `Φ(-√(n/(n-1)) t(α/2, n-1))` instead of α/2. With many units the two are the same. It was
/// preferred to BCa, which is no wider for few units and needs as many evaluations again as
/// there are units.
///
/// Returns `None` with fewer than two units, or where the statistic is not defined as the rows are
/// or in more than half of the resamples.
///
/// # Source
///
/// Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13; Hesterberg 2015,
/// "What Teachers Should Know About the Bootstrap", The American Statistician 69(4), section 5.3
/// (arXiv:1411.5279). Resampling whole clusters: Field & Welsh 2007, "Bootstrapping clustered
/// data", JRSS B 69(3).
///
/// # Example
///
/// ```
/// use sidelight_evidence::statistics::bootstrap::{Bootstrap, cluster_bootstrap};
/// let gains: [f64; 6] = [0.2, 0.3, 0.1, 0.4, 0.2, 0.3];
/// let mean = |weights: &[f64]| -> Option<f64> {
///     let total: f64 = weights.iter().sum();
///     Some(gains.iter().zip(weights).map(|(gain, weight)| gain * weight).sum::<f64>() / total)
/// };
/// let found = cluster_bootstrap(&[0, 1, 2, 3, 4, 5], mean, Bootstrap::default()).unwrap();
/// assert!((found.estimate - 0.25).abs() < 1e-12);
/// assert!(found.interval.low > 0.1 && found.interval.high < 0.4 && found.p < 0.05);
/// ```
pub fn cluster_bootstrap(
    unit_of_row: &[u32],
    statistic: impl Fn(&[f64]) -> Option<f64> + Sync,
    how: Bootstrap,
) -> Option<Bootstrapped> {
    let (units, n_units) = numbered(unit_of_row);
    let estimate = statistic(&vec![1.0; units.len()]).filter(|estimate| estimate.is_finite())?;
    if n_units < 2 {
        return None;
    }
    let mut found: Vec<f64> = (0..how.replicates)
        .into_par_iter()
        .map_init(
            || (vec![0.0; n_units], vec![0.0; units.len()]),
            |(counts, weights), replicate| {
                resample(counts, &mut replicate_stream(how.seed, replicate));
                for (weight, &unit) in weights.iter_mut().zip(&units) {
                    *weight = counts[unit];
                }
                statistic(weights).filter(|value| value.is_finite())
            },
        )
        .flatten()
        .collect();
    if found.len() < 2 || found.len() < how.replicates / 2 {
        return None;
    }
    found.sort_by(f64::total_cmp);
    let tail = expanded_tail((1.0 - how.level) / 2.0, n_units);
    let interval = Interval {
        low: quantile(&found, tail),
        high: quantile(&found, 1.0 - tail),
    };
    let p = p_of_zero(&found, n_units);
    let mean = mean(&found)?;
    let variance = found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (found.len() - 1) as f64;
    Some(Bootstrapped {
        estimate,
        interval,
        se: variance.sqrt(),
        p,
        n_units,
        n_replicates: found.len(),
    })
}

/// Units numbered from 0 in order of first appearance, and how many there are.
pub fn numbered(unit_of_row: &[u32]) -> (Vec<usize>, usize) {
    let mut numbers: BTreeMap<u32, usize> = BTreeMap::new();
    let of_row = unit_of_row.iter().map(|unit| {
        let next = numbers.len();
        *numbers.entry(*unit).or_insert(next)
    });
    (of_row.collect(), numbers.len())
}

fn replicate_stream(seed: u64, replicate: usize) -> ChaCha8Rng {
    let mut rng = for_purpose("bootstrap", seed);
    rng.set_stream(replicate as u64);
    rng
}

fn resample(counts: &mut [f64], rng: &mut ChaCha8Rng) {
    counts.fill(0.0);
    for _ in 0..counts.len() {
        counts[below(rng, counts.len())] += 1.0;
    }
}

/// Where a percentile interval is to be cut so that it covers as a t interval would.
fn expanded_tail(tail: f64, n_units: usize) -> f64 {
    let n = n_units as f64;
    normal_cdf((n / (n - 1.0)).sqrt() * t_quantile(tail, n - 1.0))
}

/// The p value that belongs to [`expanded_tail`]: its inverse at the share of resamples beyond 0.
fn p_of_zero(sorted: &[f64], n_units: usize) -> f64 {
    let at_most = sorted.partition_point(|x| *x <= 0.0) as f64;
    let below = sorted.partition_point(|x| *x < 0.0) as f64;
    let (b, n) = (sorted.len() as f64, n_units as f64);
    // One more in each tail: a p of exactly 0 cannot be had from finitely many resamples.
    let share = ((at_most + 1.0) / (b + 1.0)).min((b - below + 1.0) / (b + 1.0));
    if share >= 0.5 {
        return 1.0;
    }
    let t = normal_quantile(share) / (n / (n - 1.0)).sqrt();
    (2.0 * t_cdf(t, n - 1.0)).min(1.0)
}

/// The quantile of sorted numbers, linear between them (Hyndman & Fan's type 7, numpy's default); NaN of none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among the numbers"
)]
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = p.clamp(0.0, 1.0) * last as f64;
    let (low, share) = (place.floor() as usize, place.fract());
    let high = (low + 1).min(last);
    let step = sorted[high] - sorted[low];
    match step.is_infinite() {
        true => (1.0 - share) * sorted[low] + share * sorted[high],
        false => sorted[low] + share * step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(values: &[f64]) -> impl Fn(&[f64]) -> Option<f64> + Sync {
        |weights| {
            let total: f64 = weights.iter().sum();
            (total > 0.0)
                .then(|| values.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() / total)
        }
    }

    fn normals(n: usize, seed: u64) -> Vec<f64> {
        let mut rng = for_purpose("test", seed);
        (0..n)
            .map(|_| normal_quantile((below(&mut rng, 1 << 30) as f64 + 0.5) / f64::from(1 << 30)))
            .collect()
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_the_t_distribution() {
        for n in [8, 30, 400] {
            let values = normals(n, 1);
            let units: Vec<u32> = (0..n as u32).collect();
            let how = Bootstrap {
                replicates: 20_000,
                ..Bootstrap::default()
            };
            let found = cluster_bootstrap(&units, mean_of(&values), how).expect("is defined");
            let mean = values.iter().sum::<f64>() / n as f64;
            let variance =
                values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n as f64 - 1.0);
            let half = -t_quantile(0.025, n as f64 - 1.0) * (variance / n as f64).sqrt();
            assert!((found.estimate - mean).abs() < 1e-12);
            let (low, high) = (
                found.estimate - found.interval.low,
                found.interval.high - found.estimate,
            );
            // Within 15 % each: the sample's own skewness and 20000 resamples' noise are in it.
            assert!(
                (low / half - 1.0).abs() < 0.15 && (high / half - 1.0).abs() < 0.15,
                "{n}: {low} {high} {half}"
            );
        }
    }

    #[test]
    fn rows_of_one_unit_are_drawn_together() {
        // Ten units of ten equal rows: as sure as ten rows, not as a hundred.
        let unit_values = normals(10, 2);
        let values: Vec<f64> = unit_values.iter().flat_map(|&x| [x; 10]).collect();
        let units: Vec<u32> = (0..100).map(|row| 1000 + row / 10).collect();
        let clustered =
            cluster_bootstrap(&units, mean_of(&values), Bootstrap::default()).expect("is defined");
        let alone = cluster_bootstrap(
            &(0..10).collect::<Vec<_>>(),
            mean_of(&unit_values),
            Bootstrap::default(),
        );
        let alone = alone.expect("is defined");
        assert_eq!(clustered.n_units, 10);
        assert!((clustered.interval.low - alone.interval.low).abs() < 1e-9);
    }

    #[test]
    fn p_and_interval_agree_about_zero() {
        for seed in 0..30 {
            let values: Vec<f64> = normals(20, seed).iter().map(|x| x + 0.45).collect();
            let units: Vec<u32> = (0..20).collect();
            let how = Bootstrap {
                replicates: 4000,
                ..Bootstrap::default()
            };
            let found = cluster_bootstrap(&units, mean_of(&values), how).expect("is defined");
            let outside = !found.interval.contains(0.0);
            assert!(
                (found.p < 0.05) == outside || (found.p - 0.05).abs() < 0.003,
                "{found:?}"
            );
        }
    }

    #[test]
    fn one_seed_is_one_result_whatever_the_number_of_threads() {
        let values = normals(30, 3);
        let units: Vec<u32> = (0..30).collect();
        let run = || cluster_bootstrap(&units, mean_of(&values), Bootstrap::default());
        let one = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .expect("a pool")
            .install(run);
        let four = rayon::ThreadPoolBuilder::new()
            .num_threads(4)
            .build()
            .expect("a pool")
            .install(run);
        assert_eq!(one, four);
        let other = cluster_bootstrap(
            &units,
            mean_of(&values),
            Bootstrap {
                seed: 1,
                ..Bootstrap::default()
            },
        );
        assert_ne!(one, other);
    }

    #[test]
    fn what_is_not_defined_has_no_interval() {
        assert_eq!(
            cluster_bootstrap(&[0, 0, 0], mean_of(&[1.0, 2.0, 3.0]), Bootstrap::default()),
            None
        );
        assert_eq!(
            cluster_bootstrap(&[0, 1], |_: &[f64]| None, Bootstrap::default()),
            None
        );
        assert_eq!(
            cluster_bootstrap(&[], mean_of(&[]), Bootstrap::default()),
            None
        );
    }

    #[test]
    fn no_difference_at_all_is_p_one() {
        let found = cluster_bootstrap(&[0, 1, 2], mean_of(&[0.0; 3]), Bootstrap::default())
            .expect("is defined");
        assert_eq!(
            (found.p, found.interval),
            (
                1.0,
                Interval {
                    low: 0.0,
                    high: 0.0
                }
            )
        );
    }

    #[test]
    fn quantiles_are_numpys() {
        // np.quantile([1, 2, 4, 8], [0, .1, .5, 1])
        let of = |p| quantile(&[1.0, 2.0, 4.0, 8.0], p);
        assert_eq!([of(0.0), of(0.5), of(1.0)], [1.0, 3.0, 8.0]);
        assert!((of(0.1) - 1.3).abs() < 1e-12);
        let far = |p| quantile(&[-1e308, 1e308], p);
        assert_eq!([far(0.0), far(0.5), far(1.0)], [-1e308, 0.0, 1e308]);
    }
}
