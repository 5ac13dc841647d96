//! MobileNetV3, small and large, with torchvision's names.
//!
//! # Source
//!
//! Howard et al. 2019, "Searching for MobileNetV3", arXiv:1905.02244, tables 1 and 2.
//! Weights: torchvision (BSD-3-Clause), trained on ImageNet.

use super::blocks::{around, conv_norm, divisible_by_8, squeeze_excite};
use super::{Backbone, IMAGENET_MEAN, IMAGENET_SD};
use crate::network::layer::{AdaptivePool, Conv2d, Dropout, Layer, Linear};
use crate::network::plan::Plan;

pub(super) const LARGE: Backbone = Backbone {
    name: "mobilenet_v3_large",
    source: "Howard et al. 2019, arXiv:1905.02244",
    weights: "torchvision, ImageNet-1k",
    hub: "",
    licence: "BSD-3-Clause",
    mean: IMAGENET_MEAN,
    sd: IMAGENET_SD,
    size: 224,
    classifier: "classifier",
    pooling: &["avgpool", "flatten"],
    plan: |n| mobilenet(&LARGE_BLOCKS, 1280, n),
    spellings: &[],
};
pub(super) const SMALL: Backbone = Backbone {
    name: "mobilenet_v3_small",
    plan: |n| mobilenet(&SMALL_BLOCKS, 1024, n),
    ..LARGE
};

/// Whether squeeze-and-excitation is in a block.
#[derive(Clone, Copy, PartialEq)]
enum Squeeze {
    Yes,
    No,
}
use Squeeze::{No, Yes};

/// One row of the paper's tables: kernel, expanded and outgoing channels, squeeze, activation, stride.
type Row = (usize, usize, usize, Squeeze, Layer, usize);

const LARGE_BLOCKS: [Row; 15] = [
    (3, 16, 16, No, Layer::Relu, 1),
    (3, 64, 24, No, Layer::Relu, 2),
    (3, 72, 24, No, Layer::Relu, 1),
    (5, 72, 40, Yes, Layer::Relu, 2),
    (5, 120, 40, Yes, Layer::Relu, 1),
    (5, 120, 40, Yes, Layer::Relu, 1),
    (3, 240, 80, No, Layer::HardSwish, 2),
    (3, 200, 80, No, Layer::HardSwish, 1),
    (3, 184, 80, No, Layer::HardSwish, 1),
    (3, 184, 80, No, Layer::HardSwish, 1),
    (3, 480, 112, Yes, Layer::HardSwish, 1),
    (3, 672, 112, Yes, Layer::HardSwish, 1),
    (5, 672, 160, Yes, Layer::HardSwish, 2),
    (5, 960, 160, Yes, Layer::HardSwish, 1),
    (5, 960, 160, Yes, Layer::HardSwish, 1),
];
const SMALL_BLOCKS: [Row; 11] = [
    (3, 16, 16, Yes, Layer::Relu, 2),
    (3, 72, 24, No, Layer::Relu, 2),
    (3, 88, 24, No, Layer::Relu, 1),
    (5, 96, 40, Yes, Layer::HardSwish, 2),
    (5, 240, 40, Yes, Layer::HardSwish, 1),
    (5, 240, 40, Yes, Layer::HardSwish, 1),
    (5, 120, 48, Yes, Layer::HardSwish, 1),
    (5, 144, 48, Yes, Layer::HardSwish, 1),
    (5, 288, 96, Yes, Layer::HardSwish, 2),
    (5, 576, 96, Yes, Layer::HardSwish, 1),
    (5, 576, 96, Yes, Layer::HardSwish, 1),
];

/// torchvision's ε in this network.
const EPSILON: f64 = 1e-3;

fn block(from: usize, row: &Row) -> Plan {
    let &(kernel, expanded, to, squeeze, ref activation, stride) = row;
    let mut layers = Vec::new();
    if expanded != from {
        layers.push(conv_norm(
            Conv2d::new(from, expanded, 1, 1),
            EPSILON,
            activation.clone(),
        ));
    }
    layers.push(conv_norm(
        Conv2d::depthwise(expanded, kernel, stride),
        EPSILON,
        activation.clone(),
    ));
    if squeeze == Yes {
        let squeezed = divisible_by_8(expanded as f64 / 4.0);
        layers.push(squeeze_excite(
            expanded,
            squeezed,
            Layer::Relu,
            Layer::HardSigmoid,
        ));
    }
    layers.push(conv_norm(
        Conv2d::new(expanded, to, 1, 1),
        EPSILON,
        Layer::Identity,
    ));
    Plan::with(
        around(stride == 1 && from == to),
        [("block", Plan::numbered(layers))],
    )
}

fn mobilenet(rows: &[Row], last: usize, n_classes: usize) -> Plan {
    let mut features = vec![conv_norm(
        Conv2d::new(3, 16, 3, 2),
        EPSILON,
        Layer::HardSwish,
    )];
    let mut from = 16;
    for row in rows {
        features.push(block(from, row));
        from = row.2;
    }
    let wide = from * 6;
    features.push(conv_norm(
        Conv2d::new(from, wide, 1, 1),
        EPSILON,
        Layer::HardSwish,
    ));
    let classifier = [
        Plan::leaf(Layer::Linear(Linear::new(wide, last))),
        Layer::HardSwish.into(),
        Layer::Dropout(Dropout { p: 0.2 }).into(),
        Layer::Linear(Linear::new(last, n_classes)).into(),
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
