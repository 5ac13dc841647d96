//! ConvNeXt: atto, femto, pico, nano and tiny, with torchvision's names; timm's are read as well.
//!
//! # Source
//!
//! Liu et al. 2022, "A ConvNet for the 2020s", arXiv:2201.03545, section 2; the sizes below tiny are timm's
//! (`convnext.py`), not the paper's. Weights of tiny: torchvision (BSD-3-Clause), or Meta's by way of timm
//! (`convnext_tiny.fb_in1k`, Apache-2.0); of the others timm's own (Apache-2.0, `license` in timm 1.0.31). All were trained
//! on ImageNet. Blocks are left out at random while training, up to 0.1 in the last.

use super::blocks::classified;
use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{Conv2d, DropPath, Layer, LayerNorm, Linear, Residual};

pub(super) const TINY: Backbone = Backbone {
    name: "convnext_tiny",
    source: "Liu et al. 2022, arXiv:2201.03545",
    weights: "torchvision, or Meta by way of timm, ImageNet-1k",
    hub: "timm/convnext_tiny.fb_in1k",
    licence: "BSD-3-Clause; timm: Apache-2.0",
    architecture: |n| convnext([3, 3, 9, 3], 96, n),
    spellings: &[from_timm],
    ..TORCHVISION
};
/// What is timm's own.
const SMALLER: Backbone = Backbone {
    weights: "timm, ImageNet-1k",
    licence: "Apache-2.0",
    ..TINY
};
pub(super) const ATTO: Backbone = Backbone {
    name: "convnext_atto",
    hub: "timm/convnext_atto.d2_in1k",
    architecture: |n| convnext([2, 2, 6, 2], 40, n),
    ..SMALLER
};
pub(super) const FEMTO: Backbone = Backbone {
    name: "convnext_femto",
    hub: "timm/convnext_femto.d1_in1k",
    architecture: |n| convnext([2, 2, 6, 2], 48, n),
    ..SMALLER
};
pub(super) const PICO: Backbone = Backbone {
    name: "convnext_pico",
    hub: "timm/convnext_pico.d1_in1k",
    architecture: |n| convnext([2, 2, 6, 2], 64, n),
    ..SMALLER
};
pub(super) const NANO: Backbone = Backbone {
    name: "convnext_nano",
    hub: "timm/convnext_nano.d1h_in1k",
    architecture: |n| convnext([2, 2, 8, 2], 80, n),
    ..SMALLER
};

fn norm() -> Architecture {
    LayerNorm::of_transformers().into()
}
/// Without padding, moved by its own side.
fn patches(channels: usize, side: usize) -> Architecture {
    let conv = Conv2d::new(channels, side).with_stride(side);
    conv.with_padding(0).with_bias().into()
}
/// A matrix product of each pixel's channels.
fn pixelwise(channels: usize) -> Architecture {
    Linear::new(channels).per_pixel().into()
}

fn block(channels: usize, drop: f64) -> Architecture {
    // torchvision's `1` and `6` turn the axes, which here is the layers' own affair.
    let layers = [
        Conv2d::depthwise(7).with_bias().into(),
        Layer::Identity.into(),
        norm(),
        pixelwise(4 * channels),
        Layer::Gelu.into(),
        pixelwise(channels),
        Layer::Identity.into(),
    ];
    let scaled = Residual {
        layer_scale: channels,
        ..Residual::default()
    };
    let drop = DropPath { p: drop }.into();
    Architecture::with(
        scaled,
        [
            ("block", Architecture::numbered(layers)),
            ("stochastic_depth", drop),
        ],
    )
}

/// Of so many blocks in each stage; the first stage has `width` channels, each further one twice as many.
fn convnext(blocks: [usize; 4], width: usize, n_classes: usize) -> Architecture {
    let n_blocks: usize = blocks.iter().sum();
    let mut done = 0;
    let mut features = Vec::new();
    for (stage, n) in blocks.into_iter().enumerate() {
        let channels = width << stage;
        features.push(Architecture::numbered(match done {
            0 => [patches(channels, 4), norm()],
            _ => [norm(), patches(channels, 2)],
        }));
        let stage = (0..n).map(|_| {
            done += 1;
            block(channels, 0.1 * (done - 1) as f64 / (n_blocks - 1) as f64)
        });
        features.push(Architecture::numbered(stage.collect::<Vec<_>>()));
    }
    let classifier = [norm(), Layer::Flatten.into(), Linear::new(n_classes).into()];
    classified(
        Architecture::numbered(features),
        Architecture::numbered(classifier),
    )
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
