//! Two-dimensional convolution.

use burn::tensor::{Tensor, module, ops::ConvOptions};

use super::kernel;

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
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, how: Convolution) -> Tensor<4> {
    if how.dilation == 1 && kernel::applies(&x) && kernel::applies(&weight) {
        let y = kernel::conv2d(x, weight, how);
        return match bias {
            Some(bias) => {
                let channels = bias.dims()[0];
                y + bias.reshape([1, channels, 1, 1])
            }
            None => y,
        };
    }
    let Convolution { stride, padding, dilation, groups } = how;
    module::conv2d(x, weight, bias, ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], groups))
}
