//! Blocks that several backbones are made of, with torchvision's names inside.

use crate::network::layer::{AdaptivePool, BatchNorm, Conv2d, Layer, Residual};
use crate::network::plan::Plan;

/// A convolution, its normalisation and its activation (none where it is the identity): torchvision's `Conv2dNormActivation`.
pub(super) fn conv_norm(conv: Conv2d, epsilon: f64, activation: Layer) -> Plan {
    let norm = BatchNorm {
        epsilon,
        ..BatchNorm::new(conv.out_channels)
    };
    let mut layers = vec![
        Plan::leaf(Layer::Conv2d(conv)),
        Layer::BatchNorm(norm).into(),
    ];
    if activation != Layer::Identity {
        layers.push(activation.into());
    }
    Plan::numbered(layers)
}

/// Squeeze-and-excitation: the mean over the map decides on a factor per channel.
///
/// # Source
///
/// Hu et al. 2018, arXiv:1709.01507, eq. 2–4.
pub(super) fn squeeze_excite(
    channels: usize,
    squeezed: usize,
    activation: Layer,
    gate: Layer,
) -> Plan {
    Plan::with(
        Layer::Gate,
        [
            (
                "avgpool",
                Plan::leaf(Layer::AdaptiveAvgPool(AdaptivePool::default())),
            ),
            (
                "fc1",
                Layer::Conv2d(Conv2d::new(channels, squeezed, 1, 1).with_bias()).into(),
            ),
            ("activation", activation.into()),
            (
                "fc2",
                Layer::Conv2d(Conv2d::new(squeezed, channels, 1, 1).with_bias()).into(),
            ),
            ("scale_activation", gate.into()),
        ],
    )
}

/// Around a block: its input is added where it has the same shape.
pub(super) fn around(is_residual: bool) -> Layer {
    if is_residual {
        Layer::Residual(Residual::default())
    } else {
        Layer::Sequential
    }
}

/// The multiple of 8 nearest to a number of channels, at most a tenth below it.
///
/// # Source
///
/// `_make_divisible` of Google's MobileNet code, as in torchvision.
pub(super) fn divisible_by_8(channels: f64) -> usize {
    let nearest = (((channels + 4.0) as usize) / 8 * 8).max(8);
    if (nearest as f64) < 0.9 * channels {
        nearest + 8
    } else {
        nearest
    }
}
