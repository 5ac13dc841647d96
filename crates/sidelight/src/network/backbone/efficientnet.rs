//! EfficientNet-B0, with torchvision's names.
//!
//! # Source
//!
//! Tan and Le 2019, "EfficientNet", arXiv:1905.11946, table 1. Weights: torchvision (BSD-3-Clause; made by timm's
//! training, Apache-2.0), trained on ImageNet. Blocks are left out at random while training, up to 0.2 in the last.

use super::blocks::{around, conv_norm, squeeze_excite};
use super::{Backbone, IMAGENET_MEAN, IMAGENET_SD};
use crate::network::layer::{AdaptivePool, Conv2d, DropPath, Dropout, Layer, Linear};
use crate::network::plan::Plan;

pub(super) const B0: Backbone = Backbone {
    name: "efficientnet_b0",
    source: "Tan and Le 2019, arXiv:1905.11946",
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

/// expansion, kernel, stride of the first block, channels, blocks: table 1 of the paper.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
];
const EPSILON: f64 = 1e-5;

fn block(
    from: usize,
    to: usize,
    expansion: usize,
    kernel: usize,
    stride: usize,
    drop: f64,
) -> Plan {
    let expanded = from * expansion;
    let mut layers = Vec::new();
    if expansion != 1 {
        layers.push(conv_norm(
            Conv2d::new(from, expanded, 1, 1),
            EPSILON,
            Layer::Silu,
        ));
    }
    layers.push(conv_norm(
        Conv2d::depthwise(expanded, kernel, stride),
        EPSILON,
        Layer::Silu,
    ));
    layers.push(squeeze_excite(
        expanded,
        (from / 4).max(1),
        Layer::Silu,
        Layer::Sigmoid,
    ));
    layers.push(conv_norm(
        Conv2d::new(expanded, to, 1, 1),
        EPSILON,
        Layer::Identity,
    ));
    let mut parts = vec![("block", Plan::numbered(layers))];
    let is_residual = stride == 1 && from == to;
    if is_residual {
        parts.push((
            "stochastic_depth",
            Layer::DropPath(DropPath { p: drop }).into(),
        ));
    }
    Plan::with(around(is_residual), parts)
}

fn plan(n_classes: usize) -> Plan {
    let n_blocks: usize = STAGES.iter().map(|stage| stage.4).sum();
    let mut features = vec![conv_norm(Conv2d::new(3, 32, 3, 2), EPSILON, Layer::Silu)];
    let (mut from, mut done) = (32, 0);
    for (expansion, kernel, stride, to, n) in STAGES {
        let stage = (0..n).map(|i| {
            let drop = 0.2 * done as f64 / n_blocks as f64;
            let block = block(
                from,
                to,
                expansion,
                kernel,
                if i == 0 { stride } else { 1 },
                drop,
            );
            (from, done) = (to, done + 1);
            block
        });
        features.push(Plan::numbered(stage.collect::<Vec<_>>()));
    }
    features.push(conv_norm(
        Conv2d::new(320, 1280, 1, 1),
        EPSILON,
        Layer::Silu,
    ));
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
