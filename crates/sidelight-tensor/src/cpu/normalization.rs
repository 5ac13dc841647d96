use burn::backend::Flex;
use sidelight_kernels::{
    BatchNorm, BatchStatistics, StatisticsReducer, affine as kernel_affine, batch_norm_gradients,
    batch_norm_output,
};

use super::{
    Flat, Gradient, Normalize, NormalizedParts, Then, contiguous, from_values, like_rows, numbers,
    rows, then,
};

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

pub(super) fn forward(
    x: &Flat,
    weight: &Flat,
    bias: &Flat,
    other: Option<&Flat>,
    how: &Normalize,
) -> NormalizedParts<Flex> {
    let (values, weight, bias) = (rows(x), contiguous(weight), contiguous(bias));
    let other = other.map(rows);
    let norm = BatchNorm {
        gamma: numbers(&weight),
        beta: numbers(&bias),
        eps: how.epsilon,
        residual: other.as_ref().map(numbers),
        activation: then(how.then),
    };
    let channels = norm.gamma.len();
    let sum = |values: &mut [f64]| how.sum(values);
    let output = batch_norm_output(&norm, how.reducer(&sum), numbers(&values));
    NormalizedParts {
        n: from_values(vec![output.n_rows as f32], &[1]),
        output: like_rows(output.y, x),
        mean: from_values(output.mean, &[channels]),
        variance: from_values(output.var, &[channels]),
    }
}

pub(super) fn affine(x: &Flat, scale: &Flat, shift: &Flat, function: Then) -> Flat {
    let (values, scale, shift) = (rows(x), contiguous(scale), contiguous(shift));
    let values = numbers(&values);
    let mut y = vec![0.0; values.len()];
    kernel_affine(
        values,
        numbers(&scale),
        numbers(&shift),
        None,
        then(function),
        &mut y,
    );
    like_rows(y, x)
}

#[derive(Debug, Clone)]
pub(super) struct Saved {
    x: Flat,
    weight: Flat,
    bias: Flat,
    other: Option<Flat>,
    mean: Flat,
    variance: Flat,
    n: f64,
    how: Normalize,
}

impl Saved {
    pub(super) fn new(
        x: Flat,
        weight: Flat,
        bias: Flat,
        other: Option<Flat>,
        parts: &NormalizedParts<Flex>,
        how: Normalize,
    ) -> Self {
        let (mean, variance) = (parts.mean.clone(), parts.variance.clone());
        // Without a function the sum's gradient does not depend on what was added.
        let other = other.filter(|_| how.then.is_some());
        Self {
            x,
            weight,
            bias,
            other,
            mean,
            variance,
            n: f64::from(numbers(&parts.n)[0]),
            how,
        }
    }

    /// To the input, the scale, the shift and, where it was added and is wanted, the other.
    fn all(&self, output: &Flat, other_wanted: bool) -> [Option<Flat>; 4] {
        let (x, dy) = (rows(&self.x), rows(output));
        let (weight, bias) = (contiguous(&self.weight), contiguous(&self.bias));
        let other = self.other.as_ref().map(rows);
        let norm = BatchNorm {
            gamma: numbers(&weight),
            beta: numbers(&bias),
            eps: self.how.epsilon,
            residual: other.as_ref().map(numbers),
            activation: then(self.how.then),
        };
        let channels = [norm.gamma.len()];
        let sum = |values: &mut [f64]| self.how.sum(values);
        let statistics = BatchStatistics {
            mean: numbers(&self.mean),
            var: numbers(&self.variance),
            n_rows: self.n,
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
        [
            Some(like_rows(gradients.dx, &self.x)),
            Some(from_values(gradients.d_gamma, &channels)),
            Some(from_values(gradients.d_beta, &channels)),
            d_other,
        ]
    }
}

impl Gradient<3> for Saved {
    fn gradients(self, output: Flat, _: [bool; 3]) -> [Option<Flat>; 3] {
        let [x, weight, bias, _] = self.all(&output, false);
        [x, weight, bias]
    }
}

impl Gradient<4> for Saved {
    fn gradients(self, output: Flat, wanted: [bool; 4]) -> [Option<Flat>; 4] {
        self.all(&output, wanted[3])
    }
}
