//! MobileNetV2, with torchvision's names.
//!
//! # Source
//!
//! Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks", arXiv:1801.04381, table 2.
//! Weights: torchvision (BSD-3-Clause), trained on ImageNet.

use super::{Backbone, IMAGENET_MEAN, IMAGENET_SD};
use crate::network::layer::{AdaptivePool, BatchNorm, Conv2d, Dropout, Layer, Linear, Residual};
use crate::network::plan::Plan;

pub(super) const MOBILENET_V2: Backbone = Backbone {
    name: "mobilenet_v2",
    source: "Sandler et al. 2018, arXiv:1801.04381",
    weights: "torchvision, ImageNet-1k",
    hub: "",
    licence: "BSD-3-Clause",
    mean: IMAGENET_MEAN,
    sd: IMAGENET_SD,
    size: 224,
    classifier: "classifier",
    pooling: &["avgpool", "flatten"],
    plan,
    spellings: &[],
};

/// A convolution with what follows it.
fn block(conv: Conv2d) -> Plan {
    let channels = conv.out_channels;
    Plan::numbered([
        Plan::leaf(Layer::Conv2d(conv)),
        Layer::BatchNorm(BatchNorm::new(channels)).into(),
        Layer::Relu6.into(),
    ])
}

/// Wider by 1×1, depthwise 3×3, narrower by 1×1 without activation.
fn inverted_residual(from: usize, to: usize, stride: usize, expansion: usize) -> Plan {
    let hidden = from * expansion;
    let mut layers = Vec::new();
    if expansion != 1 {
        layers.push(block(Conv2d::new(from, hidden, 1, 1)));
    }
    layers.push(block(Conv2d::depthwise(hidden, 3, stride)));
    layers.push(Layer::Conv2d(Conv2d::new(hidden, to, 1, 1)).into());
    layers.push(Layer::BatchNorm(BatchNorm::new(to)).into());
    let around = if stride == 1 && from == to {
        Layer::Residual(Residual::default())
    } else {
        Layer::Sequential
    };
    Plan::with(around, [("conv", Plan::numbered(layers))])
}

fn plan(n_classes: usize) -> Plan {
    let mut features = vec![block(Conv2d::new(3, 32, 3, 2))];
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
            features.push(inverted_residual(
                from,
                to,
                if i == 0 { stride } else { 1 },
                expansion,
            ));
            from = to;
        }
    }
    features.push(block(Conv2d::new(from, 1280, 1, 1)));
    let classifier = [
        Plan::leaf(Layer::Dropout(Dropout { p: 0.2 })),
        Layer::Linear(Linear::new(1280, n_classes)).into(),
    ];
    Plan::sequence([
        ("features", Plan::numbered(features)),
        (
            "avgpool",
            Layer::AdaptiveAvgPool(AdaptivePool::default()).into(),
        ),
        ("flatten", Layer::Flatten.into()),
        ("classifier", Plan::numbered(classifier)),
    ])
}
