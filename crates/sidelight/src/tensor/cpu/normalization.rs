use burn::backend::Flex;
use sidelight_kernels::{
    Among, BatchNorm, BatchNormGradients, affine as kernel_affine, batch_norm_backward,
    batch_norm_backward_among, batch_norm_forward, batch_norm_forward_among,
};

use super::{
    Flat, Gradient, Normalize, NormalizedParts, Then, contiguous, from_values, like_rows, numbers,
    rows, then,
};

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
    let values = numbers(&values);
    let (mut y, mut mean, mut variance) = (
        vec![0.0; values.len()],
        vec![0.0; channels],
        vec![0.0; channels],
    );
    let n = match &how.together {
        None => {
            batch_norm_forward(&norm, values, &mut y, &mut mean, &mut variance);
            (values.len() / channels) as f64
        }
        Some(together) => {
            let among = Among {
                sum: &|values| together.ranks.sum_f64(values),
                counts: together.counts,
            };
            batch_norm_forward_among(&norm, among, values, &mut y, &mut mean, &mut variance)
        }
    };
    NormalizedParts {
        n: from_values(vec![n as f32], &[1]),
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
        let channels = norm.gamma.len();
        let n = numbers(&x).len();
        let (mut dx, mut d_gamma, mut d_beta) =
            (vec![0.0; n], vec![0.0; channels], vec![0.0; channels]);
        // Without a function the gradient goes to the other as it is.
        let mut d_other = (other_wanted && self.how.then.is_some()).then(|| vec![0.0; n]);
        let gradients = BatchNormGradients {
            dx: &mut dx,
            d_gamma: &mut d_gamma,
            d_beta: &mut d_beta,
            d_residual: d_other.as_deref_mut(),
        };
        let (mean, variance) = (numbers(&self.mean), numbers(&self.variance));
        let (x, dy) = (numbers(&x), numbers(&dy));
        match &self.how.together {
            None => batch_norm_backward(&norm, x, dy, mean, variance, gradients),
            Some(together) => {
                let among = Among {
                    sum: &|values| together.ranks.sum_f64(values),
                    counts: together.counts,
                };
                let statistics = (mean, variance);
                batch_norm_backward_among(&norm, (among, self.n), x, dy, statistics, gradients);
            }
        }
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
