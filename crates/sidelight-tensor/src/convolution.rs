//! Two-dimensional convolution.

use burn::tensor::{Tensor, module, ops::ConvOptions};

use super::activation::{Activation, activate, add_activate};
use super::cpu;
use super::prepared::Prepared;

/// How a square kernel moves over a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolution {
    /// Pixels from one position to the next, at least 1.
    pub stride: usize,
    /// Pixels of zeros around the map.
    pub padding: usize,
    /// Pixels from one tap of the kernel to the next, at least 1.
    pub dilation: usize,
    /// Groups of channels that do not see each other; as many as channels: depthwise.
    pub groups: usize,
    /// How products are formed.
    pub precision: Precision,
}

/// How a convolution forms its products, forward and backward. Sums are `f32` either way, and so is what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Products of `f32`.
    #[default]
    F32,
    /// Products of operands rounded to bf16 (8 bits of mantissa), on the CPU; depthwise convolutions stay in `f32`.
    Bf16,
}

impl Precision {
    /// By its name in a configuration: `bf16`, or `f32` for all others.
    pub fn from_name(name: &str) -> Self {
        match name {
            "bf16" => Self::Bf16,
            _ => Self::F32,
        }
    }
}

/// Convolves a map with a kernel (correlation, as every deep-learning library calls it).
///
/// # Shapes
///
/// - `x`: `[batch, in_channels, height, width]`
/// - `weight`: `[out_channels, in_channels / groups, side, side]`
/// - `bias`: `[out_channels]`
/// - returns: `[batch, out_channels, (height + 2·padding − dilation·(side − 1) − 1) / stride + 1, …]`
///
/// # Panics
///
/// Where the shapes do not fit; the network's static shape pass finds that before.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    how: Convolution,
) -> Tensor<4> {
    if !by_kernels(&x, &weight, how) {
        return by_burn(x, weight, bias, how);
    }
    match bias {
        None => cpu::call!(sl_convolve(x.into_dispatch(), weight.into_dispatch(), how)),
        Some(bias) => {
            cpu::call!(sl_convolve_bias(
                x.into_dispatch(),
                weight.into_dispatch(),
                bias.into_dispatch(),
                how
            ))
        }
    }
}

/// A factor and an offset per outgoing channel: a normalisation by known statistics, folded into the convolution before it.
#[derive(Debug, Clone)]
pub struct Folded {
    /// What each output channel is multiplied by, `[out_channels]`.
    pub scale: Tensor<1>,
    /// What is added to each output channel, `[out_channels]`.
    pub shift: Tensor<1>,
}

/// `then(conv2d(x) · scale + shift + other)` in one pass over memory, without gradients: for what is frozen or evaluating.
///
/// # Shapes
///
/// As [`conv2d`]; `other` as the result.
pub fn conv2d_folded(
    x: Tensor<4>,
    weight: Tensor<4>,
    folded: Folded,
    other: Option<Tensor<4>>,
    how: Convolution,
    then: Option<Activation>,
) -> Tensor<4> {
    let once = Prepared::default();
    let end = (other.as_ref(), then);
    if let Some(y) = once.run(&x, &weight, &[], || folded.clone(), end, how) {
        return y;
    }
    let Folded { scale, shift } = folded;
    let channels = scale.dims()[0];
    let y = conv2d(x, weight, None, how) * scale.reshape([1, channels, 1, 1])
        + shift.reshape([1, channels, 1, 1]);
    match (other, then) {
        (Some(other), then) => add_activate(y, other, then),
        (None, Some(function)) => activate(y, function),
        (None, None) => y,
    }
}

/// Whether the kernels do it: they have no dilation.
pub(super) fn by_kernels(x: &Tensor<4>, weight: &Tensor<4>, how: Convolution) -> bool {
    how.dilation == 1 && cpu::is_ours(x) && cpu::is_ours(weight)
}

/// The convolution by Burn's operation.
pub(super) fn by_burn(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    how: Convolution,
) -> Tensor<4> {
    let Convolution {
        stride,
        padding,
        dilation,
        groups,
        precision: _,
    } = how;
    module::conv2d(
        x,
        weight,
        bias,
        ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], groups),
    )
}
