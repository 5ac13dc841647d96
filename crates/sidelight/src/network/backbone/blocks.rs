//! Blocks that several backbones are made of, with torchvision's names inside, or timm's.

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

/// The same with torch's default ε and timm's names: `conv`, `bn` and, where it is one, `act`.
pub(super) fn conv_norm_named(conv: Conv2d, activation: Layer) -> Architecture {
    let mut layers = vec![("conv", conv.into()), ("bn", BatchNorm::default().into())];
    if activation != Layer::Identity {
        layers.push(("act", activation.into()));
    }
    Architecture::sequence(layers)
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

/// A key of timm's EfficientNet family (`conv_stem.weight`, `blocks.2.1.bn2.bias`) in torchvision's spelling of the same network:
/// its last convolution is `features.{head}`, and `in_block` says where below `features` a layer of a stage's block is.
pub(super) fn from_timm(
    key: &str,
    head: usize,
    in_block: impl FnOnce(usize, usize, &str) -> Option<String>,
) -> Option<String> {
    let (first, rest) = key.split_once('.')?;
    let (path, rest) = match first {
        "conv_stem" => ("0.0".to_owned(), rest),
        "bn1" => ("0.1".to_owned(), rest),
        "conv_head" => (format!("{head}.0"), rest),
        "bn2" => (format!("{head}.1"), rest),
        "classifier" => return Some(format!("classifier.1.{rest}")),
        "blocks" => {
            let mut parts = rest.splitn(3, '.');
            let mut number = || parts.next()?.parse().ok();
            let (stage, block) = (number()?, number()?);
            // Squeeze-and-excitation is a layer with two inside.
            let (layer, rest) = parts.next()?.rsplit_once('.')?;
            (in_block(stage, block, layer)?, rest)
        }
        _ => return None,
    };
    Some(format!("features.{path}.{rest}"))
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
