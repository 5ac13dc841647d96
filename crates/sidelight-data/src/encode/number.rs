//! A number on the scale that a network likes: about zero, about one wide, never far out.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::config::{MetadataConfig, NumberScale};
use crate::error::{Result, setting};

/// Most knots that a quantile scale keeps.
const MAX_KNOTS: usize = 256;

/// Standard deviations from where on an extreme value is compressed.
const CLAMP: f64 = 10.0;

/// A fitted scale for one continuous column.
///
/// Encoding is `soft((f(x) - mean) / sd)`, with `f` the [`Transform`], and `soft` the identity
/// up to ±10 and `±(10 + ln(1 + |z| - 10))` beyond: an extreme value stays in order and can be
/// decoded, but cannot overturn a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Number {
    /// What is done before standardising.
    pub transform: Transform,
    /// Mean over training rows, transformed.
    pub mean: f64,
    /// Standard deviation over training rows, transformed; a constant column has `max(|mean|, 1)` here.
    pub sd: f64,
}

/// What happens to a number before it is standardised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "scale", rename_all = "lowercase")]
pub enum Transform {
    /// Leaves the number as it is.
    Linear,
    /// `sign(x) ln(1 + |x| / unit)`.
    Log {
        /// The 5 % quantile of the sizes of the values that are not 0 in training rows: below it
        /// the scale is nearly linear (so that 0 and signs are allowed), above it logarithmic.
        unit: f64,
    },
    /// The normal score of its rank among training rows, interpolated between knots.
    Quantile {
        /// `[value, normal score]`, both increasing.
        knots: Vec<[f64; 2]>,
        /// Normal score per unit outside the knots: one training standard deviation counts 1.
        slope: f64,
    },
    /// Sine and cosine of `2π x / period`; these are not standardised.
    Periodic {
        /// In the column's unit.
        period: f64,
    },
}

impl Number {
    /// Fits on training values, of which there is at least one.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) when the scale is periodic and the period is not a number above 0.
    pub(super) fn fit(column: &str, config: &MetadataConfig, values: &[f64]) -> Result<Self> {
        let transform = match config.scale {
            NumberScale::Linear => Transform::Linear,
            NumberScale::Log => Transform::Log {
                unit: log_unit(values),
            },
            NumberScale::Quantile => quantile(values),
            NumberScale::Periodic => {
                let period = config.period.unwrap_or(f64::NAN);
                if !(period.is_finite() && period > 0.0) {
                    return Err(setting(
                        format!("metadata.{column}.period"),
                        "a number above 0, in the column's unit",
                        config
                            .period
                            .map_or("nothing".into(), |found| found.to_string()),
                    ));
                }
                Transform::Periodic { period }
            }
        };
        let transformed: Vec<f64> = values.iter().map(|&x| transform.forward(x)).collect();
        let (mean, sd) = mean_and_sd(&transformed);
        let sd = if sd > 0.0 { sd } else { mean.abs().max(1.0) };
        Ok(Self {
            transform,
            mean,
            sd,
        })
    }

    /// Slots that hold the value: 2 on a periodic scale, else 1.
    pub(super) fn width(&self) -> usize {
        if matches!(self.transform, Transform::Periodic { .. }) {
            2
        } else {
            1
        }
    }

    /// Names of these slots.
    pub(super) fn slots(&self, column: &str) -> Vec<String> {
        match self.transform {
            Transform::Periodic { .. } => vec![format!("{column} sin"), format!("{column} cos")],
            _ => vec![column.into()],
        }
    }

    /// Writes a value into its slots.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "slots are in single precision"
    )]
    pub(super) fn write(&self, x: f64, slots: &mut [f32]) {
        if let Transform::Periodic { period } = self.transform {
            let angle = std::f64::consts::TAU * turn(x, period);
            slots[0] = angle.sin() as f32;
            slots[1] = angle.cos() as f32;
        } else {
            slots[0] = self.standardize(x);
        }
    }

    /// The value that was written, as the shortest decimal number that would be written alike.
    /// On a periodic scale, the one in `[0, period)`.
    pub(super) fn read(&self, slots: &[f32]) -> f64 {
        if let Transform::Periodic { period } = self.transform {
            let angle = f64::from(slots[0]).atan2(f64::from(slots[1]));
            let turn = (angle / std::f64::consts::TAU).rem_euclid(1.0);
            return shortest(turn * period, |candidate| {
                let mut again = [0.0; 2];
                self.write(candidate, &mut again);
                (0.0..period).contains(&candidate) && again == slots[..2]
            });
        }
        let z = unclamp(f64::from(slots[0]));
        let x = self.transform.backward(z * self.sd + self.mean);
        shortest(x, |candidate| self.standardize(candidate) == slots[0])
    }

    /// So many standard deviations below and above the mean, in the column's unit; one period on a periodic scale.
    pub(super) fn about_the_mean(&self, deviations: f64) -> [f64; 2] {
        if let Transform::Periodic { period } = self.transform {
            return [0.0, period];
        }
        [-deviations, deviations].map(|z| self.transform.backward(self.mean + z * self.sd))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "slots are in single precision, and this one is clamped"
    )]
    fn standardize(&self, x: f64) -> f32 {
        // Halved twice so that the difference of two numbers near f64::MAX does not overflow.
        let z = (self.transform.forward(x) / 4.0 - self.mean / 4.0) / self.sd * 4.0;
        clamp(z.clamp(f64::MIN, f64::MAX)) as f32
    }
}

impl Transform {
    fn forward(&self, x: f64) -> f64 {
        match self {
            Self::Linear | Self::Periodic { .. } => x,
            Self::Log { unit } => x.signum() * (x.abs() / unit).ln_1p().min(f64::MAX.ln()),
            Self::Quantile { knots, slope } => interpolate(knots, *slope, x, 0),
        }
    }

    fn backward(&self, y: f64) -> f64 {
        let x = match self {
            Self::Linear | Self::Periodic { .. } => y,
            Self::Log { unit } => y.signum() * y.abs().exp_m1() * unit,
            Self::Quantile { knots, slope } => interpolate(knots, slope.recip(), y, 1),
        };
        x.clamp(f64::MIN, f64::MAX)
    }
}

/// Piecewise linear from coordinate `from` of the knots to the other one.
fn interpolate(knots: &[[f64; 2]], slope: f64, x: f64, from: usize) -> f64 {
    let to = 1 - from;
    let above = knots.partition_point(|knot| knot[from] <= x);
    let (Some(first), Some(last)) = (knots.first(), knots.last()) else {
        return 0.0;
    };
    if above == 0 {
        return first[to] + (x - first[from]) * slope;
    }
    if above == knots.len() {
        return last[to] + (x - last[from]) * slope;
    }
    let (low, high) = (knots[above - 1], knots[above]);
    // Halved where the difference of two numbers near f64::MAX would overflow.
    let share = match (high[from] - low[from]).is_finite() {
        true => (x - low[from]) / (high[from] - low[from]),
        false => (x / 2.0 - low[from] / 2.0) / (high[from] / 2.0 - low[from] / 2.0),
    };
    match (high[to] - low[to]).is_finite() {
        true => low[to] + share * (high[to] - low[to]),
        false => low[to] * (1.0 - share) + high[to] * share,
    }
}

/// Where in its period a number is, in [0, 1].
fn turn(x: f64, period: f64) -> f64 {
    let turns = x / period;
    match turns.is_finite() {
        true => turns.rem_euclid(1.0),
        // More periods than there are numbers.
        false => x.rem_euclid(period) / period,
    }
}

fn log_unit(values: &[f64]) -> f64 {
    let mut sizes: Vec<f64> = values
        .iter()
        .map(|x| x.abs())
        .filter(|&x| x > 0.0)
        .collect();
    sizes.sort_by(f64::total_cmp);
    let unit = sizes.get(sizes.len() / 20).copied().unwrap_or(1.0);
    // A subnormal unit would make |x| / unit overflow.
    unit.max(1e-290)
}

/// Normal scores `Φ⁻¹((rank - 0.5) / n)` with the middle rank for ties.
///
/// # Source
///
/// Hazen's plotting position as used in rank-based inverse normal transformation: Beasley,
/// Erickson & Allison 2009, "Rank-based inverse normal transformations are increasingly used,
/// but are they merited?", Behavior Genetics 39, 580-595.
fn quantile(values: &[f64]) -> Transform {
    let normal = Normal::standard();
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let mut knots: Vec<[f64; 2]> = Vec::new();
    let mut start = 0;
    while start < sorted.len() {
        let ties = sorted[start..]
            .iter()
            .take_while(|&&x| x == sorted[start])
            .count();
        let middle_rank = start as f64 + (ties as f64 + 1.0) / 2.0;
        knots.push([sorted[start], normal.inverse_cdf((middle_rank - 0.5) / n)]);
        start += ties;
    }
    if knots.len() > MAX_KNOTS {
        let last = knots.len() - 1;
        knots = (0..MAX_KNOTS)
            .map(|k| knots[k * last / (MAX_KNOTS - 1)])
            .collect();
    }
    let (mean, sd) = mean_and_sd(values);
    let unit = if sd > 0.0 { sd } else { mean.abs().max(1.0) };
    Transform::Quantile {
        knots,
        // Of a subnormal unit, and of the slope of one near f64::MAX, the reciprocal would be infinite.
        slope: unit.clamp(1e-290, 1e307).recip(),
    }
}

/// Mean and standard deviation (over n), without overflow for numbers near `f64::MAX`.
pub fn mean_and_sd(values: &[f64]) -> (f64, f64) {
    let largest = values
        .iter()
        .fold(0.0_f64, |largest, x| largest.max(x.abs()));
    if values.is_empty() || largest == 0.0 {
        return (0.0, 0.0);
    }
    let n = values.len() as f64;
    let mean = values.iter().map(|x| x / largest).sum::<f64>() / n;
    let variance = values
        .iter()
        .map(|x| (x / largest - mean).powi(2))
        .sum::<f64>()
        / n;
    // What rounding alone makes of a constant column is no spread.
    let sd = if variance.sqrt() <= 1e-12 * mean.abs() {
        0.0
    } else {
        variance.sqrt()
    };
    (mean * largest, sd * largest)
}

fn clamp(z: f64) -> f64 {
    if z.abs() <= CLAMP {
        z
    } else {
        z.signum() * (CLAMP + (1.0 + z.abs() - CLAMP).ln())
    }
}

fn unclamp(z: f64) -> f64 {
    if z.abs() <= CLAMP {
        z
    } else {
        z.signum() * (CLAMP - 1.0 + (z.abs() - CLAMP).exp())
    }
}

/// The number with the fewest significant digits near `x` that passes; `x` itself if none does.
fn shortest(x: f64, same: impl Fn(f64) -> bool) -> f64 {
    (0..17)
        .filter_map(|digits| format!("{x:.digits$e}").parse::<f64>().ok())
        // 1.8e308 rounded up is infinite.
        .filter(|candidate| candidate.is_finite())
        .map(|candidate| if candidate == 0.0 { 0.0 } else { candidate })
        .find(|&candidate| same(candidate))
        .unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MetadataKind;
    use proptest::prelude::*;

    fn fit(scale: NumberScale, period: Option<f64>, values: &[f64]) -> Number {
        let config = MetadataConfig {
            scale,
            period,
            ..MetadataConfig::new(MetadataKind::Continuous)
        };
        Number::fit("x", &config, values).expect("a scale that can be fitted")
    }

    fn encoded(number: &Number, x: f64) -> Vec<f32> {
        let mut slots = vec![0.0; number.width()];
        number.write(x, &mut slots);
        slots
    }

    #[test]
    fn linear_is_standardised_over_training() {
        let number = fit(NumberScale::Linear, None, &[1.0, 2.0, 3.0]);
        assert_eq!(encoded(&number, 2.0), [0.0]);
        assert!((encoded(&number, 3.0)[0] - 1.224_744_9).abs() < 1e-6);
    }

    #[test]
    fn numbers_at_the_ends_of_what_there_is_are_encoded_as_numbers_and_read_back_as_some() {
        let ends = [f64::MAX, 1e308, 1.0, 1e-310, 5e-324, 0.0];
        let ends: Vec<f64> = ends.iter().flat_map(|x| [*x, -*x]).collect();
        let columns = [&ends[..], &ends[..2], &ends[..4], &ends[6..8], &ends[9..]];
        let mut fits: Vec<Number> = [1e-3, 1e-310, 5e-324, f64::MAX]
            .map(|period| fit(NumberScale::Periodic, Some(period), &[1.0]))
            .into();
        for scale in [NumberScale::Linear, NumberScale::Log, NumberScale::Quantile] {
            fits.extend(columns.map(|values| fit(scale, None, values)));
        }
        for number in &fits {
            // As it is kept in a model, where an infinite number could not be.
            let kept = serde_json::to_string(number).unwrap();
            assert_eq!(serde_json::from_str::<Number>(&kept).unwrap(), *number);
            for &x in &ends {
                let slots = encoded(number, x);
                assert!(slots.iter().all(|z| z.is_finite()), "{x}: {number:?}");
                assert!(number.read(&slots).is_finite(), "{x}: {number:?}");
            }
        }
    }

    #[test]
    fn a_constant_column_encodes_its_value_as_zero_and_others_mildly() {
        let number = fit(NumberScale::Linear, None, &[2020.1; 7]);
        assert_eq!(encoded(&number, 2020.1), [0.0]);
        assert!(encoded(&number, 2021.1)[0].abs() < 0.001);
        let number = fit(NumberScale::Quantile, None, &[5.0; 3]);
        assert_eq!(encoded(&number, 5.0), [0.0]);
        assert!((number.read(&encoded(&number, 6.0)) - 6.0).abs() < 1e-6);
    }

    #[test]
    fn log_is_about_even_in_octaves_and_takes_zero_and_negatives() {
        let times: Vec<f64> = (0..14).map(|k| 2f64.powi(-k)).collect();
        let number = fit(NumberScale::Log, None, &times);
        let steps: Vec<f32> = times
            .windows(2)
            .map(|w| encoded(&number, w[0])[0] - encoded(&number, w[1])[0])
            .collect();
        assert!(steps[0] / steps[8] < 1.2, "{steps:?}");
        assert!(encoded(&number, 0.0)[0] < encoded(&number, times[13])[0]);
        assert!(encoded(&number, -1.0)[0] < encoded(&number, 0.0)[0]);
    }

    #[test]
    fn quantile_gives_normal_scores_whatever_the_distances() {
        let number = fit(
            NumberScale::Quantile,
            None,
            &[1.0, 10.0, 100.0, 1000.0, 1e6],
        );
        let z: Vec<f32> = [1.0, 10.0, 100.0, 1000.0, 1e6]
            .map(|x| encoded(&number, x)[0])
            .to_vec();
        assert_eq!(z[2], 0.0);
        assert!((z[0] + z[4]).abs() < 1e-6 && (z[1] + z[3]).abs() < 1e-6);
        // norm.ppf([.1, .3]) = -1.28155157, -0.52440051; divided by their sd
        let sd = ((2.0 * 1.281_551_57_f64.powi(2) + 2.0 * 0.524_400_51_f64.powi(2)) / 5.0).sqrt();
        assert!((f64::from(z[0]) + 1.281_551_57 / sd).abs() < 1e-6);
    }

    #[test]
    fn a_period_makes_its_ends_meet() {
        let number = fit(NumberScale::Periodic, Some(360.0), &[0.0, 90.0]);
        let (a, b) = (encoded(&number, 359.999), encoded(&number, 0.001));
        assert!((a[0] - b[0]).abs() < 1e-4 && (a[1] - b[1]).abs() < 1e-4);
        assert_eq!(number.read(&encoded(&number, 725.0)), 5.0);
    }

    #[test]
    fn a_period_that_is_not_above_zero_is_refused() {
        for period in [None, Some(0.0), Some(-1.0), Some(f64::INFINITY)] {
            let config = MetadataConfig {
                scale: NumberScale::Periodic,
                period,
                ..MetadataConfig::new(MetadataKind::Continuous)
            };
            let error = Number::fit("angle", &config, &[1.0]).expect_err("no period");
            assert!(
                matches!(error, crate::Error::Setting { field, .. } if field == "metadata.angle.period")
            );
        }
    }

    #[test]
    fn extreme_values_stay_in_order_and_are_read_back() {
        let number = fit(NumberScale::Linear, None, &[-1.0, 1.0]);
        let z: Vec<f32> = [9.0, 10.0, 11.0, 1e3, 1e9, 1e300]
            .map(|x| encoded(&number, x)[0])
            .to_vec();
        assert!(z.windows(2).all(|w| w[0] < w[1]) && z[5] < 800.0, "{z:?}");
        assert!((number.read(&z[3..4]) - 1000.0).abs() < 0.1);
        let number = fit(NumberScale::Linear, None, &[f64::MAX, f64::MIN, 0.0]);
        assert!(encoded(&number, f64::MAX)[0].is_finite());
    }

    #[test]
    fn short_decimals_are_read_back_exactly() {
        let number = fit(NumberScale::Linear, None, &[1200.0, 850.0, 3111.5, 0.1]);
        for x in [1200.0, 850.0, 3111.5, 0.1, 999.25] {
            assert_eq!(number.read(&encoded(&number, x)), x);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_was_written_is_read_back(
            values in prop::collection::vec(-1e4..1e4f64, 1..40),
            x in -1.2e4..1.2e4f64,
            scale in prop::sample::select(vec![NumberScale::Linear, NumberScale::Log, NumberScale::Quantile]),
        ) {
            let number = fit(scale, None, &values);
            let slots = encoded(&number, x);
            prop_assert!(slots[0].is_finite());
            let again = encoded(&number, number.read(&slots));
            prop_assert!((again[0] - slots[0]).abs() <= 4.0 * f32::EPSILON * slots[0].abs().max(1.0));
        }
    }
}
