//! Two-dimensional convolution.

use burn::tensor::{Tensor, module, ops::ConvOptions};
use sidelight_kernels::Precision;

use super::activation::{Activation, finish};
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
    /// How products are formed, forward and backward, on the CPU.
    pub precision: Precision,
}

impl Convolution {
    /// Of single pixels, in `f32`: a matrix product over the channels.
    pub const POINTWISE: Self = Self {
        stride: 1,
        padding: 0,
        dilation: 1,
        groups: 1,
        precision: Precision::F32,
    };
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
    let inputs = [x.into_dispatch(), weight.into_dispatch()].into_iter();
    cpu::run(how, inputs.chain(bias.map(Tensor::into_dispatch)))
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
    finish(y, other, then)
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
