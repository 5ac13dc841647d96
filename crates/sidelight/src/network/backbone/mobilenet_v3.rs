//! MobileNetV3, small and large, with torchvision's names.
//!
//! # Source
//!
//! Howard et al. 2019, "Searching for MobileNetV3", arXiv:1905.02244, tables 1 and 2.
//! Weights: torchvision (BSD-3-Clause), trained on ImageNet.

use super::blocks::{around, classified, conv_norm, divisible_by_8, squeeze_excite};
use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{Conv2d, Dropout, Layer, Linear};

pub(super) const LARGE: Backbone = Backbone {
    name: "mobilenet_v3_large",
    source: "Howard et al. 2019, arXiv:1905.02244",
    architecture: |n| mobilenet(&LARGE_BLOCKS, 1280, n),
    ..TORCHVISION
};
pub(super) const SMALL: Backbone = Backbone {
    name: "mobilenet_v3_small",
    architecture: |n| mobilenet(&SMALL_BLOCKS, 1024, n),
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

fn conv(conv: Conv2d, activation: &Layer) -> Architecture {
    conv_norm(conv, EPSILON, activation.clone())
}

fn block(from: usize, row: &Row) -> Architecture {
    let &(kernel, expanded, to, squeeze, ref activation, stride) = row;
    let mut layers = Vec::new();
    if expanded != from {
        layers.push(conv(Conv2d::new(expanded, 1), activation));
    }
    let depthwise = Conv2d::depthwise(kernel).with_stride(stride);
    layers.push(conv(depthwise, activation));
    if squeeze == Yes {
        let squeezed = divisible_by_8(expanded as f64 / 4.0);
        let (activation, gate) = (Layer::Relu, Layer::HardSigmoid);
        layers.push(squeeze_excite(expanded, squeezed, activation, gate));
    }
    layers.push(conv(Conv2d::new(to, 1), &Layer::Identity));
    let layers = Architecture::numbered(layers);
    Architecture::with(around(stride == 1 && from == to), [("block", layers)])
}

fn mobilenet(rows: &[Row], last: usize, n_classes: usize) -> Architecture {
    let stem = Conv2d::new(16, 3).with_stride(2);
    let mut features = vec![conv(stem, &Layer::HardSwish)];
    let mut from = 16;
    for row in rows {
        features.push(block(from, row));
        from = row.2;
    }
    features.push(conv(Conv2d::new(from * 6, 1), &Layer::HardSwish));
    let classifier = [
        Linear::new(last).into(),
        Layer::HardSwish.into(),
        Dropout { p: 0.2 }.into(),
        Linear::new(n_classes).into(),
    ];
    classified(
        Architecture::numbered(features),
        Architecture::numbered(classifier),
    )
}
