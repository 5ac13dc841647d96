//! EfficientNet-B0, with torchvision's names.
//!
//! # Source
//!
//! Tan and Le 2019, "EfficientNet", arXiv:1905.11946, table 1. Weights: torchvision (BSD-3-Clause; made by timm's
//! training, Apache-2.0), trained on ImageNet. Blocks are left out at random while training, up to 0.2 in the last.

use super::blocks::{around, classified, conv_norm, squeeze_excite};
use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{Conv2d, DropPath, Dropout, Layer, Linear};

pub(super) const B0: Backbone = Backbone {
    name: "efficientnet_b0",
    source: "Tan and Le 2019, arXiv:1905.11946",
    architecture,
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
