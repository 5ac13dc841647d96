//! MobileNetV4, the convolutional ones, small and medium, with timm's names.
//!
//! What timm has after the pooling, a layer of 1280 features and the classifier, is here below `classifier`
//! (`conv_head.weight` is `classifier.conv_head.weight`), so that features are those of the last map, as of MobileNetV3.
//!
//! # Source
//!
//! Qin et al. 2024, "MobileNetV4: universal models for the mobile ecosystem", arXiv:2404.10518, section 3 and its tables of
//! the networks; the rows below are timm's (`mobilenetv3.py`, `_gen_mobilenet_v4`). Weights: timm's own (Apache-2.0,
//! `license` in timm 1.0.31), trained on ImageNet.

use super::blocks::{around, conv_norm_named, divisible_by_8};
use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{AdaptiveAvgPool, BatchNorm, Conv2d, Layer, Linear};

pub(super) const SMALL: Backbone = Backbone {
    name: "mobilenetv4_conv_small",
    source: "Qin et al. 2024, arXiv:2404.10518",
    weights: "timm, ImageNet-1k",
    hub: "timm/mobilenetv4_conv_small.e2400_r224_in1k",
    licence: "Apache-2.0",
    architecture: |n| mobilenet(&SMALL_STAGES, n),
    spellings: &[from_timm],
    ..TORCHVISION
};
pub(super) const MEDIUM: Backbone = Backbone {
    name: "mobilenetv4_conv_medium",
    hub: "timm/mobilenetv4_conv_medium.e500_r224_in1k",
    architecture: |n| mobilenet(&MEDIUM_STAGES, n),
    ..SMALL
};

/// A block, by its outgoing channels and what else tells it from others of its kind.
#[derive(Clone, Copy)]
enum Block {
    /// A convolution: kernel, stride.
    Conv(usize, usize),
    /// A 3×3 convolution of stride 2 to four times as many channels, and a 1×1 one to fewer.
    Fused,
    /// The universal inverted bottleneck of stride 1: kernels of the depthwise convolutions before and after the
    /// channels are made more (0: there is none), and how many times more.
    Uib(usize, usize, usize),
    /// The same of stride 2.
    UibHalving(usize, usize, usize),
}
use Block::{Conv, Fused, Uib, UibHalving};

/// The blocks of a stage, each with its channels.
type Stage = &'static [(Block, usize)];

const SMALL_STAGES: [Stage; 5] = [
    &[(Conv(3, 2), 32), (Conv(1, 1), 32)],
    &[(Conv(3, 2), 96), (Conv(1, 1), 64)],
    &[
        (UibHalving(5, 5, 3), 96),
        (Uib(0, 3, 2), 96),
        (Uib(0, 3, 2), 96),
        (Uib(0, 3, 2), 96),
        (Uib(0, 3, 2), 96),
        (Uib(3, 0, 4), 96),
    ],
    &[
        (UibHalving(3, 3, 6), 128),
        (Uib(5, 5, 4), 128),
        (Uib(0, 5, 4), 128),
        (Uib(0, 5, 3), 128),
        (Uib(0, 3, 4), 128),
        (Uib(0, 3, 4), 128),
    ],
    &[(Conv(1, 1), 960)],
];
const MEDIUM_STAGES: [Stage; 5] = [
    &[(Fused, 48)],
    &[(UibHalving(3, 5, 4), 80), (Uib(3, 3, 2), 80)],
    &[
        (UibHalving(3, 5, 6), 160),
        (Uib(3, 3, 4), 160),
        (Uib(3, 3, 4), 160),
        (Uib(3, 5, 4), 160),
        (Uib(3, 3, 4), 160),
        (Uib(3, 0, 4), 160),
        (Uib(0, 0, 2), 160),
        (Uib(3, 0, 4), 160),
    ],
    &[
        (UibHalving(5, 5, 6), 256),
        (Uib(5, 5, 4), 256),
        (Uib(3, 5, 4), 256),
        (Uib(3, 5, 4), 256),
        (Uib(0, 0, 4), 256),
        (Uib(3, 0, 4), 256),
        (Uib(3, 5, 2), 256),
        (Uib(5, 5, 4), 256),
        (Uib(0, 0, 4), 256),
        (Uib(0, 0, 4), 256),
        (Uib(5, 0, 2), 256),
    ],
    &[(Conv(1, 1), 960)],
];

fn norm() -> Architecture {
    BatchNorm::default().into()
}

fn block(block: Block, from: usize, to: usize) -> Architecture {
    match block {
        Conv(kernel, stride) => Architecture::sequence([
            ("conv", Conv2d::new(to, kernel).with_stride(stride).into()),
            ("bn1", norm()),
            ("act", Layer::Relu.into()),
        ]),
        Fused => Architecture::sequence([
            ("conv_exp", Conv2d::new(4 * from, 3).with_stride(2).into()),
            ("bn1", norm()),
            ("act", Layer::Relu.into()),
            ("conv_pwl", Conv2d::new(to, 1).into()),
            ("bn2", norm()),
        ]),
        Uib(start, middle, expansion) => inverted(from, to, (start, middle), expansion, 1),
        UibHalving(start, middle, expansion) => inverted(from, to, (start, middle), expansion, 2),
    }
}

/// The universal inverted bottleneck, section 3.1 of the paper: the stride is in the second of its depthwise convolutions, or
/// in the first, where there is no second.
fn inverted(
    from: usize,
    to: usize,
    (start, middle): (usize, usize),
    expansion: usize,
    stride: usize,
) -> Architecture {
    let expanded = divisible_by_8((from * expansion) as f64);
    let mut layers = Vec::new();
    if start > 0 {
        let stride = if middle > 0 { 1 } else { stride };
        let depthwise = Conv2d::depthwise(start).with_stride(stride);
        layers.push(("dw_start", conv_norm_named(depthwise, Layer::Identity)));
    }
    let wider = Conv2d::new(expanded, 1);
    layers.push(("pw_exp", conv_norm_named(wider, Layer::Relu)));
    if middle > 0 {
        let depthwise = Conv2d::depthwise(middle).with_stride(stride);
        layers.push(("dw_mid", conv_norm_named(depthwise, Layer::Relu)));
    }
    let narrower = Conv2d::new(to, 1);
    layers.push(("pw_proj", conv_norm_named(narrower, Layer::Identity)));
    Architecture::with(around(stride == 1 && from == to), layers)
}

fn mobilenet(stages: &[Stage], n_classes: usize) -> Architecture {
    let mut from = 32;
    let stages = stages.iter().map(|stage| {
        let blocks = stage.iter().map(|&(kind, to)| {
            let block = block(kind, from, to);
            from = to;
            block
        });
        Architecture::numbered(blocks.collect::<Vec<_>>())
    });
    let stages: Vec<_> = stages.collect();
    let classifier = [
        ("conv_head", Linear::new(1280).without_bias().into()),
        ("norm_head", norm()),
        ("act2", Layer::Relu.into()),
        ("classifier", Linear::new(n_classes).into()),
    ];
    Architecture::sequence([
        ("conv_stem", Conv2d::new(32, 3).with_stride(2).into()),
        ("bn1", norm()),
        ("act1", Layer::Relu.into()),
        ("blocks", Architecture::numbered(stages)),
        ("avgpool", AdaptiveAvgPool::default().into()),
        ("flatten", Layer::Flatten.into()),
        ("classifier", Architecture::sequence(classifier)),
    ])
}

/// timm's key; what comes after the pooling is below `classifier` here.
fn from_timm(key: &str) -> Option<String> {
    let (first, _) = key.split_once('.')?;
    Some(match first {
        "conv_head" | "norm_head" | "classifier" => format!("classifier.{key}"),
        _ => key.to_owned(),
    })
}
