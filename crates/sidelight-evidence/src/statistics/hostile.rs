//! Every statistic beside a slow and obvious one, over values that nobody would choose.

use proptest::prelude::*;
use proptest::sample::select;

use super::bootstrap::{Bootstrap, cluster_bootstrap, quantile};
use super::distribution::{normal_cdf, normal_quantile, t_cdf, t_quantile};
use super::significance::{holm, of_units_and_fits, wilson};
use super::two_sample::{category_shift, chi_squared, kolmogorov_smirnov};
use super::{mean, median};

/// What nobody would choose, and what anybody would.
pub(crate) fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        select(vec![
            0.0,
            -0.0,
            0.1,
            1.0,
            1e308,
            -1e308,
            9e307,
            f64::MAX,
            f64::MIN,
            1e-308,
            5e-324,
            1e160,
            -1e160,
            1e-160,
        ]),
        (-3..4_i32).prop_map(f64::from),
        -1e3..1e3,
    ]
}

fn near(found: f64, expected: f64, scale: f64) -> bool {
    found == expected || (found - expected).abs() <= 1e-9 * scale.max(f64::MIN_POSITIVE)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn means_medians_and_quantiles_are_those_of_a_slow_reference(
        values in prop::collection::vec(number(), 0..9),
        p in prop_oneof![0.0..=1.0, select(vec![0.0, 0.5, 1.0, -1.0, 2.0])],
    ) {
        let largest = values.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        let scale = if largest > 0.0 { largest } else { 1.0 };
        let shares: Vec<f64> = values.iter().map(|x| x / scale).collect();
        let mut sorted = shares.clone();
        sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let n = values.len();
        let Some(found) = mean(&values) else {
            prop_assert!(n == 0 && median(&values).is_none() && quantile(&values, p).is_nan());
            return Ok(());
        };
        let expected = shares.iter().sum::<f64>() / n as f64;
        prop_assert!(near(found, expected * scale, scale), "mean {found}");
        // At a place of n - 1 steps, by the two values about it.
        let at = |place: f64| {
            let before = sorted[place as usize];
            let after = sorted[(place as usize + 1).min(n - 1)];
            (before * (1.0 - place.fract()) + after * place.fract()) * scale
        };
        let middle = at((n - 1) as f64 / 2.0);
        let found = median(&values).expect("there are values");
        prop_assert!(near(found, middle, scale), "median {found}, expected {middle}");
        let mut ascending = values.clone();
        ascending.sort_by(f64::total_cmp);
        let found = quantile(&ascending, p);
        let expected = at(p.clamp(0.0, 1.0) * (n - 1) as f64);
        prop_assert!(near(found, expected, scale), "quantile {found}, expected {expected}");
        let (low, high) = (ascending[0] / scale, ascending[n - 1] / scale);
        prop_assert!((low - 1e-9..=high + 1e-9).contains(&(found / scale)));
    }

    #[test]
    fn two_samples_are_as_far_apart_as_a_slow_reference_says(
        a in prop::collection::vec(prop_oneof![number(), Just(f64::INFINITY)], 0..9),
        b in prop::collection::vec(prop_oneof![number(), Just(f64::NEG_INFINITY)], 0..9),
    ) {
        let Some(found) = kolmogorov_smirnov(&a, &b) else {
            prop_assert!(a.is_empty() || b.is_empty());
            return Ok(());
        };
        let share = |sample: &[f64], most: f64| {
            sample.iter().filter(|x| **x <= most).count() as f64 / sample.len() as f64
        };
        let gaps = a.iter().chain(&b).map(|x| (share(&a, *x) - share(&b, *x)).abs());
        prop_assert!(near(found.distance, gaps.fold(0.0, f64::max), 1.0), "{found:?}");
        prop_assert!((0.0..=1.0).contains(&found.p), "{found:?}");
        if found.distance == 0.0 {
            prop_assert_eq!(found.p, 1.0);
        }
        let other = kolmogorov_smirnov(&b, &a).expect("is defined");
        prop_assert!(near(other.p, found.p, 1.0));
    }

    #[test]
    fn counts_are_as_far_apart_as_a_slow_reference_says(
        counts in prop::collection::vec((
            prop_oneof![0..5_usize, Just(1 << 40)],
            prop_oneof![0..5_usize, Just(1 << 40)],
        ), 1..6),
    ) {
        let (a, b): (Vec<usize>, Vec<usize>) = counts.iter().copied().unzip();
        let [m, n] = [&a, &b].map(|sample| sample.iter().sum::<usize>() as f64);
        let n_present = counts.iter().filter(|(a, b)| a + b > 0).count();
        let Some(found) = category_shift(&a, &b) else {
            prop_assert!(m == 0.0 || n == 0.0 || n_present < 2);
            prop_assert!(chi_squared(&[&a, &b]).is_none());
            return Ok(());
        };
        // The most that one sample's share of some categories is above the other's.
        let above = counts.iter().map(|(a, b)| (*a as f64 / m - *b as f64 / n).max(0.0));
        prop_assert!(near(found.distance, above.sum(), 1.0), "{found:?}");
        prop_assert!((0.0..=1.0).contains(&found.p), "{found:?}");
        // Of two categories, χ² is the square of a normal number.
        if let [(a0, b0), (a1, b1)] = counts[..] {
            let shares = [a0 as f64 / m, b0 as f64 / n];
            let pooled = (a0 + b0) as f64 / (m + n);
            let z = (shares[0] - shares[1]) / (pooled * (1.0 - pooled) * (1.0 / m + 1.0 / n)).sqrt();
            if a0 + b0 > 0 && a1 + b1 > 0 && (1e-6..1.0 - 1e-6).contains(&pooled) {
                let expected = 2.0 * normal_cdf(-z.abs());
                prop_assert!(near(found.p, expected, 1.0), "{} for z = {z}", found.p);
            }
        }
    }

    #[test]
    fn several_claims_are_adjusted_as_a_slow_reference_does(
        p in prop::collection::vec(prop_oneof![0.0..=1.0, select(vec![0.0, 1.0, 0.05, 5e-324])], 0..7),
    ) {
        let found = holm(&p);
        for (i, found) in found.iter().enumerate() {
            // With the claims in order, the largest of (how many are left) · p up to this one.
            let before = |j: usize| p[j] < p[i] || (p[j] == p[i] && j <= i);
            let rank = |j: usize| {
                (0..p.len()).filter(|&k| p[k] < p[j] || (p[k] == p[j] && k < j)).count()
            };
            let adjusted = |j: usize| ((p.len() - rank(j)) as f64 * p[j]).min(1.0);
            let expected = (0..p.len()).filter(|&j| before(j)).map(adjusted).fold(0.0, f64::max);
            prop_assert!(near(*found, expected, 1.0), "{i} of {p:?}: {found}, expected {expected}");
        }
    }

    #[test]
    fn the_ends_of_wilsons_interval_are_the_shares_that_are_just_possible(
        n in prop_oneof![0..20_usize, Just(1 << 40)],
        part in 0.0..=1.0,
        level in select(vec![0.5, 0.9, 0.95, 0.999]),
    ) {
        let successes = (part * n as f64) as usize;
        let found = wilson(successes, n, level);
        prop_assert!(0.0 <= found.low && found.low <= found.high && found.high <= 1.0, "{found:?}");
        if n == 0 {
            prop_assert_eq!((found.low, found.high), (0.0, 1.0));
            return Ok(());
        }
        let (n, share) = (n as f64, successes as f64 / n as f64);
        prop_assert!(found.low <= share + 1e-12 && share <= found.high + 1e-12, "{found:?}");
        let z2 = normal_quantile((1.0 - level) / 2.0).powi(2);
        for end in [found.low, found.high] {
            let off = (share - end).powi(2) - z2 * end * (1.0 - end) / n;
            prop_assert!(off.abs() < 1e-9, "{end} is off by {off}");
        }
    }

    #[test]
    fn a_test_of_units_and_fits_does_not_depend_on_the_unit_of_measurement(
        difference in -3.0..3.0,
        se in prop_oneof![Just(0.0), 1e-3..2.0],
        n_units in 2..50_usize,
        folds in prop::collection::vec((-3.0..3.0, 1.0..9.0), 0..5),
        power in -100..100_i32,
    ) {
        let test = |scale: f64| {
            let folds = folds.iter().map(|(d, w)| (d * scale, *w)).collect();
            of_units_and_fits(difference * scale, se * scale, n_units, &[folds], 0.95)
        };
        let (one, other) = (test(1.0), test(2_f64.powi(3 * power)));
        prop_assert!((0.0..=1.0).contains(&one.p), "{one:?}");
        prop_assert!(near(one.p, other.p, 1.0) && near(one.df, other.df, one.df), "{one:?} {other:?}");
        let is_outside = !one.interval.contains(0.0);
        prop_assert!((one.p < 0.05) == is_outside || (one.p - 0.05).abs() < 1e-6, "{one:?}");
    }

    #[test]
    fn quantiles_of_t_are_where_its_probabilities_say(p in 0.001..0.999, df in prop_oneof![1.0..40.0, Just(1e7)]) {
        let t = t_quantile(p, df);
        prop_assert!((t_cdf(t, df) - p).abs() < 1e-7, "{t}");
        prop_assert!((t_cdf(-t, df) + p - 1.0).abs() < 1e-7, "{t}");
        if df > 1e4 {
            let z = normal_quantile(p);
            let expected = z + (z.powi(3) + z) / (4.0 * df);
            prop_assert!((t - expected).abs() < 1e-4, "{t}, expected {expected}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_resampled_stays_within_what_there_is(
        rows in prop::collection::vec((0..4_u32, number()), 0..8),
    ) {
        let (units, values): (Vec<u32>, Vec<f64>) = rows.iter().copied().unzip();
        let statistic = |weights: &[f64]| {
            let total: f64 = weights.iter().sum();
            let parts = weights.iter().zip(&values).map(|(w, x)| w / total * x);
            (total > 0.0).then(|| parts.sum::<f64>())
        };
        let how = Bootstrap { replicates: 50, ..Bootstrap::default() };
        let mut different = units.clone();
        different.sort_unstable();
        different.dedup();
        let Some(found) = cluster_bootstrap(&units, statistic, how) else {
            prop_assert!(different.len() < 2 || !statistic(&vec![1.0; rows.len()]).unwrap_or(f64::NAN).is_finite());
            return Ok(());
        };
        let largest = values.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        let [low, high] = [f64::min, f64::max].map(|of| values.iter().copied().fold(values[0], of));
        prop_assert!(found.interval.low <= found.interval.high, "{found:?}");
        prop_assert!(found.interval.low >= low - 1e-9 * largest && found.interval.high <= high + 1e-9 * largest, "{found:?}");
        prop_assert!((0.0..=1.0).contains(&found.p) && found.se >= 0.0, "{found:?}");
        prop_assert_eq!(found.n_units, different.len());
    }
}
