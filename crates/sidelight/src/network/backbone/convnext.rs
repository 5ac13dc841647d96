//! ConvNeXt-Tiny, with torchvision's names; timm's are read as well.
//!
//! # Source
//!
//! Liu et al. 2022, "A ConvNet for the 2020s", arXiv:2201.03545, section 2.
//! Weights: torchvision (BSD-3-Clause), or Meta's by way of timm (`convnext_tiny.fb_in1k`, Apache-2.0), trained on
//! ImageNet. Blocks are left out at random while training, up to 0.1 in the last.

use super::{Backbone, IMAGENET_MEAN, IMAGENET_SD};
use crate::network::layer::{AdaptivePool, Conv2d, DropPath, Layer, LayerNorm, Linear, Residual};
use crate::network::plan::Plan;

pub(super) const TINY: Backbone = Backbone {
    name: "convnext_tiny",
    source: "Liu et al. 2022, arXiv:2201.03545",
    weights: "torchvision, or Meta by way of timm, ImageNet-1k",
    hub: "timm/convnext_tiny.fb_in1k",
    licence: "BSD-3-Clause; timm: Apache-2.0",
    mean: IMAGENET_MEAN,
    sd: IMAGENET_SD,
    size: 224,
    classifier: "classifier",
    pooling: &["avgpool", "flatten"],
    plan,
    spellings: &[from_timm],
};

/// Channels and blocks of each stage.
const STAGES: [(usize, usize); 4] = [(96, 3), (192, 3), (384, 9), (768, 3)];

fn norm(channels: usize) -> Plan {
    Layer::LayerNorm(LayerNorm::new(channels)).into()
}
fn conv(conv: Conv2d) -> Plan {
    Layer::Conv2d(conv.with_bias()).into()
}
/// A matrix product of each pixel's channels.
fn pixelwise(from: usize, to: usize) -> Plan {
    Layer::Linear(Linear {
        per_pixel: true,
        ..Linear::new(from, to)
    })
    .into()
}

fn block(channels: usize, drop: f64) -> Plan {
    // torchvision's `1` and `6` turn the axes, which here is the layers' own affair.
    let layers = [
        conv(Conv2d::depthwise(channels, 7, 1)),
        Layer::Identity.into(),
        norm(channels),
        pixelwise(channels, 4 * channels),
        Layer::Gelu.into(),
        pixelwise(4 * channels, channels),
        Layer::Identity.into(),
    ];
    let scaled = Residual {
        layer_scale: channels,
        ..Residual::default()
    };
    Plan::with(
        Layer::Residual(scaled),
        [
            ("block", Plan::numbered(layers)),
            (
                "stochastic_depth",
                Layer::DropPath(DropPath { p: drop }).into(),
            ),
        ],
    )
}

fn plan(n_classes: usize) -> Plan {
    let n_blocks: usize = STAGES.iter().map(|(_, n)| n).sum();
    let mut done = 0;
    let mut features = Vec::new();
    let mut from = 3;
    for (channels, n) in STAGES {
        features.push(if from == 3 {
            Plan::numbered([
                conv(Conv2d::new(3, channels, 4, 4).with_padding(0)),
                norm(channels),
            ])
        } else {
            Plan::numbered([
                norm(from),
                conv(Conv2d::new(from, channels, 2, 2).with_padding(0)),
            ])
        });
        let stage = (0..n).map(|_| {
            done += 1;
            block(channels, 0.1 * (done - 1) as f64 / (n_blocks - 1) as f64)
        });
        features.push(Plan::numbered(stage.collect::<Vec<_>>()));
        from = channels;
    }
    let classifier = [
        norm(768),
        Layer::Flatten.into(),
        Layer::Linear(Linear::new(768, n_classes)).into(),
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

/// timm's key in torchvision's spelling.
fn from_timm(key: &str) -> Option<String> {
    if let Some(rest) = key.strip_prefix("stem.") {
        return Some(format!("features.0.{rest}"));
    }
    if let Some(rest) = key.strip_prefix("head.norm.") {
        return Some(format!("classifier.0.{rest}"));
    }
    if let Some(rest) = key.strip_prefix("head.fc.") {
        return Some(format!("classifier.2.{rest}"));
    }
    let (stage, rest) = key.strip_prefix("stages.")?.split_once('.')?;
    let stage: usize = stage.parse().ok()?;
    if let Some(rest) = rest.strip_prefix("downsample.") {
        return Some(format!("features.{}.{rest}", 2 * stage));
    }
    let (block, rest) = rest.strip_prefix("blocks.")?.split_once('.')?;
    let inside = [
        ("gamma", "layer_scale"),
        ("conv_dw.", "block.0."),
        ("norm.", "block.2."),
        ("mlp.fc1.", "block.3."),
        ("mlp.fc2.", "block.5."),
    ]
    .iter()
    .find_map(|(timms, ours)| rest.strip_prefix(timms).map(|rest| format!("{ours}{rest}")))?;
    Some(format!("features.{}.{block}.{inside}", 2 * stage + 1))
}

#[cfg(test)]
mod tests {
    use super::from_timm;

    #[test]
    fn timms_keys_become_torchvisions() {
        let renamed = |key| from_timm(key).unwrap_or_default();
        assert_eq!(renamed("stem.1.weight"), "features.0.1.weight");
        assert_eq!(
            renamed("stages.0.blocks.2.gamma"),
            "features.1.2.layer_scale"
        );
        assert_eq!(renamed("stages.2.downsample.1.bias"), "features.4.1.bias");
        assert_eq!(
            renamed("stages.3.blocks.0.mlp.fc2.weight"),
            "features.7.0.block.5.weight"
        );
        assert_eq!(renamed("head.norm.weight"), "classifier.0.weight");
        assert_eq!(renamed("fc.weight"), "");
    }
}
