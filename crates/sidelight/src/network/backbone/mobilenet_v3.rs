//! MobileNetV3, small and large, with torchvision's names; timm's are read as well.
//!
//! # Source
//!
//! Howard et al. 2019, "Searching for MobileNetV3", arXiv:1905.02244, tables 1 and 2.
//! Weights: torchvision (BSD-3-Clause), or timm's `mobilenetv3_large_100` and `mobilenetv3_small_100` (Apache-2.0, `license` in
//! timm 1.0.31), trained on ImageNet. timm's normalisations have torch's ε of 1e-5, torchvision's 1e-3.

use super::blocks::{self, around, classified, conv_norm, divisible_by_8, squeeze_excite};
use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{Conv2d, Dropout, Layer, Linear};

pub(super) const LARGE: Backbone = Backbone {
    name: "mobilenet_v3_large",
    source: "Howard et al. 2019, arXiv:1905.02244",
    weights: "torchvision, or timm's mobilenetv3_large_100, ImageNet-1k",
    hub: "timm/mobilenetv3_large_100.ra_in1k",
    licence: "BSD-3-Clause; timm: Apache-2.0",
    architecture: |n| mobilenet(&LARGE_BLOCKS, 1280, n),
    spellings: &[|key| from_timm(key, &LARGE_BLOCKS, &[1, 2, 3, 4, 2, 3])],
    epsilon_beyond: TIMMS_EPSILON_BEYOND,
    ..TORCHVISION
};
pub(super) const SMALL: Backbone = Backbone {
    name: "mobilenet_v3_small",
    weights: "torchvision, or timm's mobilenetv3_small_100, ImageNet-1k",
    hub: "timm/mobilenetv3_small_100.lamb_in1k",
    architecture: |n| mobilenet(&SMALL_BLOCKS, 1024, n),
    spellings: &[|key| from_timm(key, &SMALL_BLOCKS, &[1, 2, 3, 2, 3])],
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
/// timm's is 1e-5.
const TIMMS_EPSILON_BEYOND: f32 = 1e-5 - 1e-3;

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

/// timm's key in torchvision's spelling; its stages have so many blocks, and a last one has the last convolution.
fn from_timm(key: &str, rows: &[Row], stages: &[usize]) -> Option<String> {
    for (theirs, ours) in [
        ("conv_head.", "classifier.0."),
        ("classifier.", "classifier.3."),
    ] {
        if let Some(rest) = key.strip_prefix(theirs) {
            return Some(format!("{ours}{rest}"));
        }
    }
    let last = rows.len() + 1;
    blocks::from_timm(key, last, |stage, block, layer| {
        if stage == stages.len() {
            let layer = ["conv", "bn1"].iter().position(|name| *name == layer)?;
            return Some(format!("{last}.{layer}"));
        }
        let row = stages.get(..stage)?.iter().sum::<usize>() + block;
        let &(_, _, _, squeeze, ..) = rows.get(row)?;
        // The first block has no layer that makes it wider, and what follows is counted from there.
        let is_first = row == 0;
        let depthwise = usize::from(!is_first);
        let projection = depthwise + 1 + usize::from(squeeze == Yes);
        let layer = match (layer, is_first) {
            ("conv_pw", false) => "0.0".to_owned(),
            ("bn1", false) => "0.1".to_owned(),
            ("conv_dw", _) => format!("{depthwise}.0"),
            ("bn1", true) | ("bn2", false) => format!("{depthwise}.1"),
            ("se.conv_reduce", _) => format!("{}.fc1", depthwise + 1),
            ("se.conv_expand", _) => format!("{}.fc2", depthwise + 1),
            ("conv_pw", true) | ("conv_pwl", false) => format!("{projection}.0"),
            ("bn2", true) | ("bn3", false) => format!("{projection}.1"),
            _ => return None,
        };
        Some(format!("{}.block.{layer}", row + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::LARGE;

    #[test]
    fn timms_keys_become_torchvisions() {
        let renamed = |key| LARGE.spellings[0](key).unwrap_or_default();
        assert_eq!(renamed("bn1.weight"), "features.0.1.weight");
        assert_eq!(
            renamed("blocks.0.0.conv_pw.weight"),
            "features.1.block.1.0.weight"
        );
        assert_eq!(
            renamed("blocks.2.1.se.conv_expand.bias"),
            "features.5.block.2.fc2.bias"
        );
        assert_eq!(renamed("blocks.2.1.bn3.bias"), "features.5.block.3.1.bias");
        assert_eq!(renamed("blocks.3.0.bn3.bias"), "features.7.block.2.1.bias");
        assert_eq!(renamed("blocks.6.0.bn1.bias"), "features.16.1.bias");
        assert_eq!(renamed("conv_head.bias"), "classifier.0.bias");
        assert_eq!(renamed("classifier.bias"), "classifier.3.bias");
        assert_eq!(renamed("blocks.5.3.bn1.weight"), "");
    }
}
