use burn::backend::Flex;
use sidelight_kernels::{
    BatchNorm, affine as kernel_affine, batch_norm_gradients, batch_norm_output,
};

use super::{
    Flat, Gradient, NormalizedParts, Then, contiguous, from_values, like_rows, numbers, rows, then,
};

pub(super) fn forward(
    x: &Flat,
    weight: &Flat,
    bias: &Flat,
    other: Option<&Flat>,
    epsilon: f32,
    function: Then,
) -> NormalizedParts<Flex> {
    let (values, weight, bias) = (rows(x), contiguous(weight), contiguous(bias));
    let other = other.map(rows);
    let norm = BatchNorm {
        gamma: numbers(&weight),
        beta: numbers(&bias),
        eps: epsilon,
        residual: other.as_ref().map(numbers),
        activation: then(function),
    };
    let channels = norm.gamma.len();
    let values = numbers(&values);
    let (mut mean, mut variance) = (vec![0.0; channels], vec![0.0; channels]);
    let y = batch_norm_output(&norm, values, &mut mean, &mut variance);
    NormalizedParts {
        output: like_rows(y, x),
        mean: from_values(mean, &[channels]),
        variance: from_values(variance, &[channels]),
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
    epsilon: f32,
    then: Then,
}

impl Saved {
    pub(super) fn new(
        x: Flat,
        weight: Flat,
        bias: Flat,
        other: Option<Flat>,
        parts: &NormalizedParts<Flex>,
        epsilon: f32,
        then: Then,
    ) -> Self {
        let (mean, variance) = (parts.mean.clone(), parts.variance.clone());
        // Without a function the sum's gradient does not depend on what was added.
        let other = other.filter(|_| then.is_some());
        Self {
            x,
            weight,
            bias,
            other,
            mean,
            variance,
            epsilon,
            then,
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
            eps: self.epsilon,
            residual: other.as_ref().map(numbers),
            activation: then(self.then),
        };
        let channels = norm.gamma.len();
        let (mut d_gamma, mut d_beta) = (vec![0.0; channels], vec![0.0; channels]);
        let (dx, d_other) = batch_norm_gradients(
            &norm,
            numbers(&x),
            numbers(&dy),
            (numbers(&self.mean), numbers(&self.variance)),
            (&mut d_gamma, &mut d_beta),
            // Without a function the gradient goes to the other as it is.
            other_wanted && self.then.is_some(),
        );
        let d_other = match d_other {
            Some(values) => Some(like_rows(values, &self.x)),
            None => other_wanted.then(|| output.clone()),
        };
        let channels = [channels];
        [
            Some(like_rows(dx, &self.x)),
            Some(from_values(d_gamma, &channels)),
            Some(from_values(d_beta, &channels)),
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
