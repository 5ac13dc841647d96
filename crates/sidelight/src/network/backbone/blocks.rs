//! Blocks that several backbones are made of, with torchvision's names inside.

use crate::network::architecture::Architecture;
use crate::network::layer::{AdaptiveAvgPool, BatchNorm, Conv2d, Layer, Residual};

/// A convolution, its normalisation and its activation (none where it is the identity): torchvision's `Conv2dNormActivation`.
pub(super) fn conv_norm(conv: Conv2d, epsilon: f64, activation: Layer) -> Architecture {
    let mut layers = vec![conv.into(), BatchNorm::with_epsilon(epsilon).into()];
    if activation != Layer::Identity {
        layers.push(activation.into());
    }
    Architecture::numbered(layers)
}

/// Squeeze-and-excitation: the mean over the map, through `squeezed` channels, decides on a factor per channel.
///
/// # Source
///
/// Hu et al. 2018, arXiv:1709.01507, eq. 2–4.
pub(super) fn squeeze_excite(
    channels: usize,
    squeezed: usize,
    activation: Layer,
    gate: Layer,
) -> Architecture {
    let pixelwise = |channels| Conv2d::new(channels, 1).with_bias().into();
    Architecture::with(
        Layer::Gate,
        [
            ("avgpool", AdaptiveAvgPool::default().into()),
            ("fc1", pixelwise(squeezed)),
            ("activation", activation.into()),
            ("fc2", pixelwise(channels)),
            ("scale_activation", gate.into()),
        ],
    )
}

/// Around a block: its input is added where it has the same shape.
pub(super) fn around(is_residual: bool) -> Layer {
    if is_residual {
        Residual::default().into()
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

/// A key of a network of timm's EfficientNet family (`blocks.2.1.bn2.weight`), taken apart.
pub(super) enum TimmKey<'a> {
    /// Outside the blocks: the first name, and the rest.
    Outside(&'a str, &'a str),
    /// Stage, block in it, layer, and the rest.
    Block(usize, usize, &'a str, &'a str),
}

impl<'a> TimmKey<'a> {
    /// Nothing where it is not such a key.
    pub(super) fn parse(key: &'a str) -> Option<Self> {
        let (first, rest) = key.split_once('.')?;
        if first != "blocks" {
            return Some(Self::Outside(first, rest));
        }
        let mut parts = rest.splitn(3, '.');
        let mut number = || parts.next()?.parse().ok();
        let (stage, block) = (number()?, number()?);
        let rest = parts.next()?;
        // Squeeze-and-excitation is a layer with two inside.
        let end = rest.rfind('.')?;
        Some(Self::Block(stage, block, &rest[..end], &rest[end + 1..]))
    }
}

/// Features, their mean over the map, and a classifier: the top of torchvision's networks.
pub(super) fn classified(features: Architecture, classifier: Architecture) -> Architecture {
    Architecture::sequence([
        ("features", features),
        ("avgpool", AdaptiveAvgPool::default().into()),
        ("flatten", Layer::Flatten.into()),
        ("classifier", classifier),
    ])
}
