//! One or several numbers, standardised on a linear or logarithmic scale.

use super::Task;
use crate::config::TargetScale;
use crate::dataset::Dataset;
use crate::error::{Error, Place, Result};

/// Fits on the rows at these positions: mean and spread on the scale that is learned.
pub(super) fn fit(
    dataset: &Dataset,
    scale: TargetScale,
    names: &[String],
    values: &[f64],
    rows: &[usize],
) -> Result<Task> {
    let (mut mean, mut sd, mut range) = (Vec::new(), Vec::new(), Vec::new());
    for (column_idx, name) in names.iter().enumerate() {
        let mut known = Vec::new();
        for &row in rows {
            let value = values[row * names.len() + column_idx];
            if scale == TargetScale::Log && value <= 0.0 {
                let at = Place::file(&dataset.path)
                    .with_row(dataset.rows[row] + 1)
                    .with_column(name);
                return Err(Error::LogOfTarget { at, found: value });
            }
            known.extend(Some(value).filter(|value| value.is_finite()));
        }
        if known.is_empty() {
            return Err(Error::NoTargetValues {
                column: name.clone(),
                n_rows: rows.len(),
            });
        }
        let bounds = known
            .iter()
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], &x| {
                [low.min(x), high.max(x)]
            });
        let scaled: Vec<f64> = known.iter().map(|&value| scale.forward(value)).collect();
        let (column_mean, column_sd) = crate::encode::number::mean_and_sd(&scaled);
        mean.push(column_mean);
        sd.push(if column_sd > 0.0 { column_sd } else { 1.0 });
        range.push(bounds);
    }
    Ok(Task::Regression {
        columns: names.to_vec(),
        scale,
        mean,
        sd,
        range,
    })
}

/// Each value standardised; one that is missing, or has no logarithm where there must be one, has no cell.
pub(super) fn encode(
    scale: TargetScale,
    mean: &[f64],
    sd: &[f64],
    values: &[f64],
) -> Vec<Option<f32>> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "standardised, in single precision as networks compute"
    )]
    let cell = |(&value, (mean, sd)): (&f64, (&f64, &f64))| {
        let scaled = scale.forward(value);
        scaled.is_finite().then_some(((scaled - mean) / sd) as f32)
    };
    values.iter().zip(mean.iter().zip(sd)).map(cell).collect()
}

/// Standardised values in the target's unit.
pub(super) fn decode(scale: TargetScale, mean: &[f64], sd: &[f64], output: &[f32]) -> Vec<f64> {
    let own_unit =
        |(&z, (mean, sd)): (&f32, (&f64, &f64))| scale.backward(f64::from(z) * sd + mean);
    output
        .iter()
        .zip(mean.iter().zip(sd))
        .map(own_unit)
        .collect()
}

impl TargetScale {
    /// From the target's unit to the scale that it is learned on; NaN for a number that has no place there.
    pub fn forward(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            // Of a value at or below 0 outside training there is no logarithm: NaN, and masked.
            Self::Log if value > 0.0 => value.ln(),
            Self::Log => f64::NAN,
        }
    }

    /// [`Self::forward`] of what was predicted: what has no logarithm counts as the smallest number that has one.
    pub fn forward_predicted(self, value: f64) -> f64 {
        self.forward(match self {
            Self::Linear => value,
            Self::Log => value.max(f64::MIN_POSITIVE),
        })
    }

    /// Back to the target's unit.
    pub fn backward(self, scaled: f64) -> f64 {
        match self {
            Self::Linear => scaled,
            Self::Log => scaled.exp().min(f64::MAX),
        }
    }
}
