//! Functions applied to each number.

use burn::tensor::{Tensor, activation};

use super::kernel;
use serde::{Deserialize, Serialize};

/// A function applied to each number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(x, 0).
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
    /// Hyperbolic tangent.
    Tanh,
}

/// Applies `function` to each number.
///
/// # Source
///
/// Hard swish and hard sigmoid: Howard et al. 2019, "Searching for MobileNetV3", arXiv:1905.02244, section 5.2.
/// GELU: Hendrycks and Gimpel 2016, arXiv:1606.08415.
pub fn activate<const D: usize>(x: Tensor<D>, function: Activation) -> Tensor<D> {
    if D == 4
        && kernel::applies(&x)
        && let Some(function) = kernel::kernel_activation(function)
    {
        // `D` is 4: the type alone changes.
        let map = Tensor::<4>::from_dispatch(x.into_dispatch());
        return Tensor::<D>::from_dispatch(kernel::activate(map, function).into_dispatch());
    }
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
