//! Several operations as one, where the kernels have them so, and one after the other elsewhere.

use burn::tensor::Tensor;
use sidelight_kernels as kernels;

use super::kernel::{self, NormEnd};
use super::{Activation, Convolution, Normalized, activate, batch_norm, batch_norm_train, conv2d};

/// What follows an operation: a residual is added, then a function applied.
#[derive(Debug, Default)]
pub struct Ending {
    /// `[batch, channels, height, width]`, as the operation's output.
    pub residual: Option<Tensor<4>>,
    /// Applied last.
    pub activation: Option<Activation>,
}

impl Ending {
    fn apply(self, y: Tensor<4>) -> Tensor<4> {
        let y = match self.residual {
            Some(residual) => add(y, residual),
            None => y,
        };
        match self.activation {
            Some(function) => activate(y, function),
            None => y,
        }
    }
    /// The kernels' name of its function; `None` where they lack it.
    fn kernel(&self) -> Option<kernels::Activation> {
        match self.activation {
            Some(function) => kernel::kernel_activation(function),
            None => Some(kernels::Activation::None),
        }
    }
}

/// The sum of two maps.
pub fn add(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    if kernel::applies(&a) && kernel::applies(&b) && a.dims() == b.dims() {
        return kernel::add_activate(a, b, kernels::Activation::None);
    }
    a + b
}

/// [`batch_norm_train`] and what follows it.
pub fn batch_norm_train_ended(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
    ending: Ending,
) -> Normalized<4> {
    let residual = ending.residual.as_ref();
    if let Some(activation) = ending.kernel()
        && kernel::applies(&x)
        && kernel::applies(&weight)
        && residual.is_none_or(|residual| kernel::applies(residual) && residual.dims() == x.dims())
    {
        let [batch, _, height, width] = x.dims();
        let n = (batch * height * width) as f64;
        let end = NormEnd { epsilon: epsilon as f32, activation };
        let (output, mean, variance) = kernel::batch_norm(x, weight, bias, ending.residual, end);
        return Normalized { output, mean, variance: variance * (n / (n - 1.0)) };
    }
    let Normalized { output, mean, variance } = batch_norm_train(x, weight, bias, epsilon);
    Normalized { output: ending.apply(output), mean, variance }
}

/// A convolution, its normalisation by running statistics and what follows, in one pass on the CPU: the
/// normalisation is folded into the weights. Only where no gradient is wanted.
///
/// # Source
///
/// `γ (w·x − μ)/√(σ² + ε) + β = (γ/√(σ² + ε)) w · x + (β − γ μ/√(σ² + ε))`.
#[allow(clippy::too_many_arguments, reason = "the parameters of two layers, as their own functions take them")]
pub fn conv2d_batch_norm(
    x: Tensor<4>,
    weight: Tensor<4>,
    how: Convolution,
    [scale, offset, mean, variance]: [Tensor<1>; 4],
    epsilon: f64,
    ending: Ending,
) -> Tensor<4> {
    let residual = ending.residual.as_ref();
    if let Some(activation) = ending.kernel()
        && how.dilation == 1
        && kernel::applies(&x)
        && kernel::applies(&weight)
        && residual.is_none_or(kernel::applies)
    {
        let factor = scale / (variance + epsilon).sqrt();
        let offset = offset - mean * factor.clone();
        let channels = factor.dims()[0];
        let folded = weight * factor.reshape([channels, 1, 1, 1]);
        return kernel::conv2d_ended(x, folded, offset, ending.residual, how, activation);
    }
    ending.apply(batch_norm(conv2d(x, weight, None, how), scale, offset, mean, variance, epsilon))
}
