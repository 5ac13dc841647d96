//! Errors of numbers, in their own unit.

/// Mean; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Median, the mean of the two middle values of an even number; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    (n > 0).then(|| f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]))
}

fn over(truth: &[f64], predicted: &[f64], error: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    truth
        .iter()
        .zip(predicted)
        .map(|(&truth, &predicted)| error(truth, predicted))
        .collect()
}

/// Mean absolute error.
pub fn mae(truth: &[f64], predicted: &[f64]) -> Option<f64> {
    mean(&over(truth, predicted, |truth, predicted| {
        (truth - predicted).abs()
    }))
}

/// Root of the mean squared error.
pub fn rmse(truth: &[f64], predicted: &[f64]) -> Option<f64> {
    mean(&over(truth, predicted, |truth, predicted| {
        (truth - predicted).powi(2)
    }))
    .map(f64::sqrt)
}

/// Share of the variance that is explained, `1 - Σ(y - ŷ)² / Σ(y - ȳ)²`: 1 is perfect, 0 as good as
/// saying the mean of these rows, below 0 worse. `None` where the truth does not vary.
pub fn r2(truth: &[f64], predicted: &[f64]) -> Option<f64> {
    let average = mean(truth)?;
    let unexplained: f64 = over(truth, predicted, |truth, predicted| {
        (truth - predicted).powi(2)
    })
    .iter()
    .sum();
    let total: f64 = truth.iter().map(|truth| (truth - average).powi(2)).sum();
    (total > 0.0).then(|| 1.0 - unexplained / total)
}

/// Median absolute error.
pub fn median_ae(truth: &[f64], predicted: &[f64]) -> Option<f64> {
    median(&over(truth, predicted, |truth, predicted| {
        (truth - predicted).abs()
    }))
}

/// Mean of `|y - ŷ| / |y|`, a share, over rows whose truth is not 0.
pub fn mape(truth: &[f64], predicted: &[f64]) -> Option<f64> {
    let errors = over(truth, predicted, |truth, predicted| {
        ((truth - predicted) / truth).abs()
    });
    let nonzero = errors
        .into_iter()
        .zip(truth)
        .filter(|(_, truth)| **truth != 0.0);
    mean(&nonzero.map(|(error, _)| error).collect::<Vec<_>>())
}
