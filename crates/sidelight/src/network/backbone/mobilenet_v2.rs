//! MobileNetV2, with torchvision's names.
//!
//! # Source
//!
//! Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks", arXiv:1801.04381, table 2.
//! Weights: torchvision (BSD-3-Clause), trained on ImageNet.

use super::blocks::{around, classified, conv_norm};
use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{BatchNorm, Conv2d, Dropout, Layer, Linear};

pub(super) const MOBILENET_V2: Backbone = Backbone {
    name: "mobilenet_v2",
    source: "Sandler et al. 2018, arXiv:1801.04381",
    architecture,
    ..TORCHVISION
};

/// torch's default ε of a normalisation.
const EPSILON: f64 = 1e-5;

/// A convolution with what follows it.
fn block(conv: Conv2d) -> Architecture {
    conv_norm(conv, EPSILON, Layer::Relu6)
}

/// Wider by 1×1, depthwise 3×3, narrower by 1×1 without activation.
fn inverted_residual(from: usize, to: usize, stride: usize, expansion: usize) -> Architecture {
    let mut layers = Vec::new();
    if expansion != 1 {
        layers.push(block(Conv2d::new(from * expansion, 1)));
    }
    layers.push(block(Conv2d::depthwise(3).with_stride(stride)));
    layers.push(Conv2d::new(to, 1).into());
    layers.push(BatchNorm::default().into());
    let layers = Architecture::numbered(layers);
    Architecture::with(around(stride == 1 && from == to), [("conv", layers)])
}

fn architecture(n_classes: usize) -> Architecture {
    let mut features = vec![block(Conv2d::new(32, 3).with_stride(2))];
    let mut from = 32;
    // expansion, channels, blocks, stride of the first: table 2 of the paper.
    let stages = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ];
    for (expansion, to, n, stride) in stages {
        for i in 0..n {
            let stride = if i == 0 { stride } else { 1 };
            features.push(inverted_residual(from, to, stride, expansion));
            from = to;
        }
    }
    features.push(block(Conv2d::new(1280, 1)));
    let classifier = [Dropout { p: 0.2 }.into(), Linear::new(n_classes).into()];
    classified(
        Architecture::numbered(features),
        Architecture::numbered(classifier),
    )
}
