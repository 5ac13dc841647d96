//! Paired differences, intervals, tests.
//!
//! Two arms are scored on the same rows, so their difference is paired; rows of one unit (one
//! person, say) are not independent, so units are resampled, not rows.
//!
//! | question | function |
//! |---|---|
//! | how large is the difference of any metric, and how sure? | [`bootstrap::cluster_bootstrap`] |
//! | does it hold for other units and other fits? | [`significance::of_units_and_fits`] |
//! | of several claims, which survive? | [`significance::holm`] |
//! | are two samples of one distribution? | [`two_sample::kolmogorov_smirnov`], [`two_sample::category_shift`] |
//! | how sure is a share? | [`significance::wilson`] |

use serde::{Deserialize, Serialize};

pub mod bootstrap;
pub mod distribution;
pub mod significance;
pub mod two_sample;

/// An interval that a true value is in with a stated confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Mean; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let sum: f64 = values.iter().sum();
    // A sum may be beyond all numbers where the mean is not.
    let mean = match sum.is_infinite() {
        true => values.iter().map(|value| value / n).sum(),
        false => sum / n,
    };
    (!values.is_empty()).then_some(mean)
}

/// Median, the mean of the two middle values of an even number; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    (n > 0).then(|| f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]))
}

/// Median of values with weights, 0 or more: the value at half of all weight, the mean of the two beside it where half is
/// reached between them, so that integer weights are as repeated values; `None` where nothing counts.
///
/// ```
/// use sidelight_evidence::statistics::weighted_median;
/// assert_eq!(weighted_median(vec![(3.0, 1.0), (1.0, 2.0), (9.0, 0.0)]), Some(1.0));
/// assert_eq!(weighted_median(vec![(3.0, 2.0), (1.0, 2.0)]), Some(2.0));
/// ```
pub fn weighted_median(mut values: Vec<(f64, f64)>) -> Option<f64> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = values.iter().map(|(_, weight)| weight).sum();
    let (mut seen, mut low) = (0.0, None);
    for (value, weight) in values {
        seen += weight;
        if low.is_none() && 2.0 * seen >= total {
            low = Some(value);
        }
        if 2.0 * seen > total {
            return low.map(|low| f64::midpoint(low, value));
        }
    }
    None
}

impl Interval {
    /// Whether a value is inside, the ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

#[cfg(test)]
pub(crate) mod hostile;
