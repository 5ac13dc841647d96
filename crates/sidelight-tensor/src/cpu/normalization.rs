use std::sync::Arc;

use sidelight_kernels::{
    Activation, BatchNorm, BatchStatistics, StatisticsReducer, affine, batch_norm_gradients,
    batch_norm_output,
};

use super::{
    Flat, Gradient, Operation, SyncStatistics, Then, contiguous, from_values, like_rows, numbers,
    rows, then,
};

/// A normalisation by the batch's own statistics: of `x` by a scale and a shift, then the sum with another where there
/// is one, then a function.
#[derive(Debug, Clone)]
pub(crate) struct Normalize {
    pub(crate) epsilon: f32,
    pub(crate) then: Then,
    pub(crate) together: Option<SyncStatistics>,
}

/// The statistics of a batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statistics {
    pub(crate) mean: Arc<[f32]>,
    /// Divided by n.
    pub(crate) variance: Arc<[f32]>,
    /// Numbers a channel, those of all ranks that are normalised together.
    pub(crate) n: f64,
}

impl Normalize {
    /// Replaces numbers by their sums over those who are normalised together.
    fn sum(&self, values: &mut [f64]) {
        if let Some(together) = &self.together {
            together.ranks.sum_f64(values);
        }
    }

    fn reducer<'a>(&self, sum: &'a dyn Fn(&mut [f64])) -> Option<StatisticsReducer<'a>> {
        let counts = self.together.as_ref()?.counts;
        Some(StatisticsReducer { sum, counts })
    }
}

/// The statistics are written into their place beside the output.
impl Operation for (Normalize, &mut Statistics) {
    type Saved = Saved;
    fn run(self, inputs: &[Flat]) -> (Flat, Saved) {
        let (how, statistics) = self;
        let (values, weight, bias) = (
            rows(&inputs[0]),
            contiguous(&inputs[1]),
            contiguous(&inputs[2]),
        );
        let other = inputs.get(3).map(rows);
        let norm = BatchNorm {
            gamma: numbers(&weight),
            beta: numbers(&bias),
            eps: how.epsilon,
            residual: other.as_ref().map(numbers),
            activation: then(how.then),
        };
        let sum = |values: &mut [f64]| how.sum(values);
        let output = batch_norm_output(&norm, how.reducer(&sum), numbers(&values));
        *statistics = Statistics {
            mean: output.mean.into(),
            variance: output.var.into(),
            n: output.n_rows,
        };
        let saved = Saved {
            x: inputs[0].clone(),
            weight,
            bias,
            // Without a function the sum's gradient does not depend on what was added.
            other: inputs.get(3).filter(|_| how.then.is_some()).cloned(),
            statistics: statistics.clone(),
            how,
        };
        (like_rows(output.y, &inputs[0]), saved)
    }
}

/// Each channel of `x` times its scale, plus its shift.
pub(crate) struct Affine;

impl Operation for Affine {
    type Saved = ();
    fn run(self, inputs: &[Flat]) -> (Flat, ()) {
        let (values, scale, shift) = (
            rows(&inputs[0]),
            contiguous(&inputs[1]),
            contiguous(&inputs[2]),
        );
        let values = numbers(&values);
        let mut y = vec![0.0; values.len()];
        let (scale, shift) = (numbers(&scale), numbers(&shift));
        affine(values, scale, shift, None, Activation::None, &mut y);
        (like_rows(y, &inputs[0]), ())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Saved {
    x: Flat,
    weight: Flat,
    bias: Flat,
    other: Option<Flat>,
    statistics: Statistics,
    how: Normalize,
}

impl Gradient for Saved {
    /// To the input, the scale, the shift and, where it was added and is wanted, the other.
    fn gradients(self, output: Flat, wanted: &[bool]) -> Vec<Option<Flat>> {
        let (x, dy) = (rows(&self.x), rows(&output));
        let other = self.other.as_ref().map(rows);
        let other_wanted = wanted.get(3).is_some_and(|wanted| *wanted);
        let norm = BatchNorm {
            gamma: numbers(&self.weight),
            beta: numbers(&self.bias),
            eps: self.how.epsilon,
            residual: other.as_ref().map(numbers),
            activation: then(self.how.then),
        };
        let channels = [norm.gamma.len()];
        let sum = |values: &mut [f64]| self.how.sum(values);
        let statistics = BatchStatistics {
            mean: &self.statistics.mean,
            var: &self.statistics.variance,
            n_rows: self.statistics.n,
        };
        let gradients = batch_norm_gradients(
            &norm,
            self.how.reducer(&sum),
            statistics,
            numbers(&x),
            numbers(&dy),
            // Without a function the gradient goes to the other as it is.
            other_wanted && self.how.then.is_some(),
        );
        let d_other = match gradients.d_residual {
            Some(values) => Some(like_rows(values, &self.x)),
            None => other_wanted.then(|| output.clone()),
        };
        vec![
            Some(like_rows(gradients.dx, &self.x)),
            Some(from_values(gradients.d_gamma, &channels)),
            Some(from_values(gradients.d_beta, &channels)),
            d_other,
        ]
    }
}
