//! EfficientNet-B0, with torchvision's names.
//!
//! # Source
//!
//! Tan and Le 2019, "EfficientNet", arXiv:1905.11946, table 1. Weights: torchvision (BSD-3-Clause; made by timm's
//! training, Apache-2.0), or timm's `efficientnet_b0`, trained on ImageNet. Blocks are left out at random while training, up to 0.2 in the last.

use super::blocks::{self, around, classified, conv_norm, squeeze_excite};
use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{Conv2d, DropPath, Dropout, Layer, Linear};

pub(super) const B0: Backbone = Backbone {
    name: "efficientnet_b0",
    source: "Tan and Le 2019, arXiv:1905.11946",
    weights: "torchvision, or timm's efficientnet_b0, ImageNet-1k",
    hub: "timm/efficientnet_b0.ra_in1k",
    licence: "BSD-3-Clause; timm: Apache-2.0",
    architecture,
    spellings: &[from_timm],
    ..TORCHVISION
};

/// expansion, kernel, stride of the first block, channels, blocks: table 1 of the paper.
pub(super) const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
];
const EPSILON: f64 = 1e-5;

fn conv(conv: Conv2d, activation: Layer) -> Architecture {
    conv_norm(conv, EPSILON, activation)
}

fn block(
    from: usize,
    to: usize,
    expansion: usize,
    kernel: usize,
    stride: usize,
    drop: f64,
) -> Architecture {
    let expanded = from * expansion;
    let mut layers = Vec::new();
    if expansion != 1 {
        layers.push(conv(Conv2d::new(expanded, 1), Layer::Silu));
    }
    let depthwise = Conv2d::depthwise(kernel).with_stride(stride);
    layers.push(conv(depthwise, Layer::Silu));
    let squeezed = (from / 4).max(1);
    layers.push(squeeze_excite(
        expanded,
        squeezed,
        Layer::Silu,
        Layer::Sigmoid,
    ));
    layers.push(conv(Conv2d::new(to, 1), Layer::Identity));
    let mut parts = vec![("block", Architecture::numbered(layers))];
    let is_residual = stride == 1 && from == to;
    if is_residual {
        parts.push(("stochastic_depth", DropPath { p: drop }.into()));
    }
    Architecture::with(around(is_residual), parts)
}

fn architecture(n_classes: usize) -> Architecture {
    let n_blocks: usize = STAGES.iter().map(|stage| stage.4).sum();
    let stem = Conv2d::new(32, 3).with_stride(2);
    let mut features = vec![conv(stem, Layer::Silu)];
    let (mut from, mut done) = (32, 0);
    for (expansion, kernel, stride, to, n) in STAGES {
        let stage = (0..n).map(|i| {
            let drop = 0.2 * done as f64 / n_blocks as f64;
            let stride = if i == 0 { stride } else { 1 };
            let block = block(from, to, expansion, kernel, stride, drop);
            (from, done) = (to, done + 1);
            block
        });
        features.push(Architecture::numbered(stage.collect::<Vec<_>>()));
    }
    features.push(conv(Conv2d::new(1280, 1), Layer::Silu));
    let classifier = [Dropout { p: 0.2 }.into(), Linear::new(n_classes).into()];
    classified(
        Architecture::numbered(features),
        Architecture::numbered(classifier),
    )
}

/// A key of timm's `efficientnet_b0` in torchvision's spelling.
fn from_timm(key: &str) -> Option<String> {
    blocks::from_timm(key, 8, |stage, block, layer| {
        // Without expansion a block has one convolution less, and what follows is counted from there.
        let is_first = STAGES.get(stage)?.0 == 1;
        let shift = usize::from(is_first);
        let layer = match (layer, is_first) {
            ("conv_pw", false) => "0.0".to_owned(),
            ("bn1", false) => "0.1".to_owned(),
            ("conv_dw", _) => format!("{}.0", 1 - shift),
            ("bn1", true) | ("bn2", false) => format!("{}.1", 1 - shift),
            ("se.conv_reduce", _) => format!("{}.fc1", 2 - shift),
            ("se.conv_expand", _) => format!("{}.fc2", 2 - shift),
            ("conv_pw", true) | ("conv_pwl", false) => format!("{}.0", 3 - shift),
            ("bn2", true) | ("bn3", false) => format!("{}.1", 3 - shift),
            _ => return None,
        };
        Some(format!("{}.{block}.block.{layer}", stage + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::from_timm;

    #[test]
    fn timms_keys_become_torchvisions() {
        let renamed = |key| from_timm(key).unwrap_or_default();
        assert_eq!(renamed("bn1.bias"), "features.0.1.bias");
        assert_eq!(
            renamed("blocks.0.0.conv_pw.weight"),
            "features.1.0.block.2.0.weight"
        );
        assert_eq!(
            renamed("blocks.0.0.se.conv_reduce.bias"),
            "features.1.0.block.1.fc1.bias"
        );
        assert_eq!(
            renamed("blocks.2.1.bn2.running_mean"),
            "features.3.1.block.1.1.running_mean"
        );
        assert_eq!(
            renamed("blocks.6.0.conv_pwl.weight"),
            "features.7.0.block.3.0.weight"
        );
        assert_eq!(renamed("conv_head.weight"), "features.8.0.weight");
        assert_eq!(from_timm("blocks.9.0.bn1.weight"), None);
    }
}
