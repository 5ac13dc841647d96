//! MobileNetV2, with torchvision's names.
//!
//! # Source
//!
//! Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks", arXiv:1801.04381, table 2.
//! Weights: torchvision (BSD-3-Clause), or timm's `mobilenetv2_100` (Apache-2.0), trained on ImageNet.

use super::blocks::{self, around, classified, conv_norm};
use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{BatchNorm, Conv2d, Dropout, Layer, Linear};

pub(super) const MOBILENET_V2: Backbone = Backbone {
    name: "mobilenet_v2",
    source: "Sandler et al. 2018, arXiv:1801.04381",
    weights: "torchvision, or timm's mobilenetv2_100, ImageNet-1k",
    hub: "timm/mobilenetv2_100.ra_in1k",
    licence: "BSD-3-Clause; timm: Apache-2.0",
    architecture,
    spellings: &[from_timm],
    ..TORCHVISION
};

/// expansion, channels, blocks, stride of the first: table 2 of the paper.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

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
    for (expansion, to, n, stride) in STAGES {
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

/// A key of timm's `mobilenetv2_100` in torchvision's spelling.
fn from_timm(key: &str) -> Option<String> {
    blocks::from_timm(key, 18, |stage, block, layer| {
        let before: usize = STAGES.get(..stage)?.iter().map(|stage| stage.2).sum();
        let is_first = STAGES.get(stage)?.0 == 1;
        let layer = match (layer, is_first) {
            ("conv_dw", true) | ("conv_pw", false) => "0.0",
            ("bn1", _) => "0.1",
            ("conv_dw", false) => "1.0",
            ("bn2", false) => "1.1",
            ("conv_pw", true) => "1",
            ("bn2", true) | ("conv_pwl", false) => "2",
            ("bn3", false) => "3",
            _ => return None,
        };
        Some(format!("{}.conv.{layer}", 1 + before + block))
    })
}

#[cfg(test)]
mod tests {
    use super::from_timm;

    #[test]
    fn timms_keys_become_torchvisions() {
        let renamed = |key| from_timm(key).unwrap_or_default();
        assert_eq!(renamed("conv_stem.weight"), "features.0.0.weight");
        assert_eq!(renamed("blocks.0.0.bn2.bias"), "features.1.conv.2.bias");
        assert_eq!(
            renamed("blocks.1.1.conv_dw.weight"),
            "features.3.conv.1.0.weight"
        );
        assert_eq!(
            renamed("blocks.6.0.bn3.running_var"),
            "features.17.conv.3.running_var"
        );
        assert_eq!(renamed("bn2.weight"), "features.18.1.weight");
        assert_eq!(renamed("classifier.bias"), "classifier.1.bias");
        for other in [
            "blocks.7.0.bn1.weight",
            "blocks.0.bn1.weight",
            "blocks.1.0.se.conv_reduce.weight",
            "weight",
        ] {
            assert_eq!(from_timm(other), None, "{other}");
        }
    }
}
