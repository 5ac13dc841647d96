//! Functions applied to each number.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

use super::cpu;

/// A function applied to each number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Rectified linear unit, max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// x · σ(x), also called swish.
    Silu,
    /// x · min(max(x + 3, 0), 6) / 6.
    HardSwish,
    /// min(max(x + 3, 0), 6) / 6.
    HardSigmoid,
    /// x · Φ(x) with the normal distribution's Φ, not its tanh approximation.
    Gelu,
    /// 1 / (1 + exp(−x)).
    Sigmoid,
    /// The hyperbolic tangent of x.
    Tanh,
}

/// Applies `function` to each number.
///
/// # Source
///
/// Hard swish and hard sigmoid: Howard et al. 2019, "Searching for MobileNetV3", arXiv:1905.02244, section 5.2.
/// GELU: Hendrycks and Gimpel 2016, arXiv:1606.08415.
pub fn activate<const D: usize>(x: Tensor<D>, function: Activation) -> Tensor<D> {
    if cpu::known(function).is_some() && cpu::is_ours(&x) {
        return cpu::run(cpu::AddActivate(Some(function)), [x.into_dispatch()]);
    }
    by_burn(x, function)
}

/// Adds, then applies `then` to each number: the end of a residual block.
///
/// # Shapes
///
/// Both and the result are the same.
pub fn add_activate<const D: usize>(
    x: Tensor<D>,
    other: Tensor<D>,
    then: Option<Activation>,
) -> Tensor<D> {
    if then.is_none_or(|function| cpu::known(function).is_some())
        && cpu::is_ours(&x)
        && cpu::is_ours(&other)
    {
        let inputs = [x.into_dispatch(), other.into_dispatch()];
        return cpu::run(cpu::AddActivate(then), inputs);
    }
    finish(x + other, None, then)
}

/// Adds `other` where there is one, then applies `then` where there is one.
pub fn finish<const D: usize>(
    x: Tensor<D>,
    other: Option<Tensor<D>>,
    then: Option<Activation>,
) -> Tensor<D> {
    match (other, then) {
        (Some(other), then) => add_activate(x, other, then),
        (None, Some(function)) => activate(x, function),
        (None, None) => x,
    }
}

/// Multiplies each channel of each row by its factor.
///
/// # Shapes
///
/// - `x`: `[batch, channels, height, width]`; `factor`: `[batch, channels]`
pub fn scale_channels(x: Tensor<4>, factor: Tensor<2>) -> Tensor<4> {
    if cpu::is_ours(&x) && cpu::is_ours(&factor) {
        return cpu::run(cpu::Gate, [x.into_dispatch(), factor.into_dispatch()]);
    }
    let [batch, channels] = factor.dims();
    x * factor.reshape([batch, channels, 1, 1])
}

/// The function by Burn's operations.
pub(super) fn by_burn<const D: usize>(x: Tensor<D>, function: Activation) -> Tensor<D> {
    match function {
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Silu => activation::silu(x),
        Activation::HardSwish => x.clone() * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::HardSigmoid => (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Gelu => activation::gelu(x),
        Activation::Sigmoid => activation::sigmoid(x),
        Activation::Tanh => x.tanh(),
    }
}
