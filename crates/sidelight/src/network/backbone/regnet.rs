//! RegNetY-1.6GF, with timm's names (`regnety_016`).
//!
//! # Source
//!
//! Radosavovic et al. 2020, "Designing network design spaces", arXiv:2003.13678, section 5: bottlenecks of a constant width a
//! stage, their 3×3 convolution in groups of 24 channels, squeeze-and-excitation after it. Widths and depths are what equations 2
//! to 4 make of that network's numbers (w₀ = 48, wₐ = 20.71, w_m = 2.65, 27 blocks). Weights: torchvision's
//! (`regnet_y_1_6gf`, IMAGENET1K_V2), by way of timm (`regnety_016.tv2_in1k`, BSD-3-Clause by `license` in timm 1.0.31),
//! trained on ImageNet.

use super::blocks::{conv_norm_named, squeeze_excite};
use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{AdaptiveAvgPool, Conv2d, Layer, Linear, Residual};

pub(super) const Y016: Backbone = Backbone {
    name: "regnety_016",
    source: "Radosavovic et al. 2020, arXiv:2003.13678",
    weights: "torchvision by way of timm, ImageNet-1k",
    hub: "timm/regnety_016.tv2_in1k",
    classifier: "fc",
    architecture,
    spellings: &[from_timm],
    ..TORCHVISION
};

/// Name, channels and blocks of each stage.
const STAGES: [(&str, usize, usize); 4] = [
    ("s1", 48, 2),
    ("s2", 120, 6),
    ("s3", 336, 17),
    ("s4", 888, 2),
];
/// Channels of a group.
const GROUP: usize = 24;

fn block(from: usize, to: usize, stride: usize) -> Architecture {
    let pixelwise = |activation| conv_norm_named(Conv2d::new(to, 1), activation);
    let grouped = Conv2d {
        groups: to / GROUP,
        ..Conv2d::new(to, 3).with_stride(stride)
    };
    // A quarter of what comes into the block, not of what comes into the layer.
    let squeezed = (from as f64 / 4.0).round() as usize;
    let mut layers = vec![
        ("conv1", pixelwise(Layer::Relu)),
        ("conv2", conv_norm_named(grouped, Layer::Relu)),
        (
            "se",
            squeeze_excite(to, squeezed, Layer::Relu, Layer::Sigmoid),
        ),
        ("conv3", pixelwise(Layer::Identity)),
    ];
    if stride != 1 || from != to {
        let shortcut = Conv2d::new(to, 1).with_stride(stride);
        layers.push(("downsample", conv_norm_named(shortcut, Layer::Identity)));
    }
    let around = Residual {
        relu_after: true,
        ..Residual::default()
    };
    Architecture::with(around, layers)
}

fn architecture(n_classes: usize) -> Architecture {
    let stem = Conv2d::new(32, 3).with_stride(2);
    let mut children = vec![("stem", conv_norm_named(stem, Layer::Relu))];
    let mut from = 32;
    for (name, to, n) in STAGES {
        let blocks = (1..=n).map(|i| {
            let block = block(from, to, if i == 1 { 2 } else { 1 });
            from = to;
            (format!("b{i}"), block)
        });
        let blocks: Vec<_> = blocks.collect();
        children.push((name, Architecture::sequence(blocks)));
    }
    children.extend([
        ("avgpool", AdaptiveAvgPool::default().into()),
        ("flatten", Layer::Flatten.into()),
        ("fc", Linear::new(n_classes).into()),
    ]);
    Architecture::sequence(children)
}

/// timm's key, whose classifier is in a part `head`.
fn from_timm(key: &str) -> Option<String> {
    Some(key.strip_prefix("head.").unwrap_or(key).to_owned())
}
