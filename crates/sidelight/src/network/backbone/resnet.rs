//! ResNet-18, -34, -50 and -101, with torchvision's names (timm's are the same).
//!
//! # Source
//!
//! He et al. 2016, "Deep residual learning for image recognition", arXiv:1512.03385, table 1. The stride of a bottleneck
//! is in its 3×3 convolution ("v1.5"), as in torchvision. Weights: torchvision (BSD-3-Clause), trained on ImageNet;
//! timm's `tv_in1k` on the hub are the same.

use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{
    AdaptiveAvgPool, BatchNorm, Conv2d, Layer, Linear, MaxPool, Pool, Residual,
};

const RESNET: Backbone = Backbone {
    source: "He et al. 2016, arXiv:1512.03385",
    classifier: "fc",
    architecture: |n| basic([2, 2, 2, 2], n),
    ..TORCHVISION
};
pub(super) const RESNET18: Backbone = Backbone {
    name: "resnet18",
    hub: "timm/resnet18.tv_in1k",
    ..RESNET
};
pub(super) const RESNET34: Backbone = Backbone {
    name: "resnet34",
    hub: "timm/resnet34.tv_in1k",
    architecture: |n| basic([3, 4, 6, 3], n),
    ..RESNET
};
pub(super) const RESNET50: Backbone = Backbone {
    name: "resnet50",
    hub: "timm/resnet50.tv_in1k",
    architecture: |n| bottleneck([3, 4, 6, 3], n),
    ..RESNET
};
pub(super) const RESNET101: Backbone = Backbone {
    name: "resnet101",
    hub: "timm/resnet101.tv_in1k",
    architecture: |n| bottleneck([3, 4, 23, 3], n),
    ..RESNET
};

fn conv(channels: usize, kernel: usize, stride: usize) -> Architecture {
    Conv2d::new(channels, kernel).with_stride(stride).into()
}
fn norm() -> Architecture {
    BatchNorm::default().into()
}

/// Two 3×3 convolutions.
fn basic_block(width: usize, stride: usize) -> Vec<(&'static str, Architecture)> {
    vec![
        ("conv1", conv(width, 3, stride)),
        ("bn1", norm()),
        ("relu", Layer::Relu.into()),
        ("conv2", conv(width, 3, 1)),
        ("bn2", norm()),
    ]
}

/// 1×1 to fewer channels, 3×3, 1×1 to four times as many.
fn bottleneck_block(width: usize, stride: usize) -> Vec<(&'static str, Architecture)> {
    vec![
        ("conv1", conv(width, 1, 1)),
        ("bn1", norm()),
        ("relu", Layer::Relu.into()),
        ("conv2", conv(width, 3, stride)),
        ("bn2", norm()),
        ("relu2", Layer::Relu.into()),
        ("conv3", conv(width * 4, 1, 1)),
        ("bn3", norm()),
    ]
}

/// A block's layers, from width and stride.
type Block = fn(usize, usize) -> Vec<(&'static str, Architecture)>;

fn basic(blocks: [usize; 4], n_classes: usize) -> Architecture {
    resnet(basic_block, 1, blocks, n_classes)
}
fn bottleneck(blocks: [usize; 4], n_classes: usize) -> Architecture {
    resnet(bottleneck_block, 4, blocks, n_classes)
}

fn resnet(block: Block, expansion: usize, blocks: [usize; 4], n_classes: usize) -> Architecture {
    let window = Pool {
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    let mut children = vec![
        ("conv1", conv(64, 7, 2)),
        ("bn1", norm()),
        ("relu", Layer::Relu.into()),
        ("maxpool", MaxPool(window).into()),
    ];
    let around = Residual {
        relu_after: true,
        ..Residual::default()
    };
    let mut from = 64;
    let names = ["layer1", "layer2", "layer3", "layer4"];
    for (i, (name, n)) in names.into_iter().zip(blocks).enumerate() {
        let width = 64 << i;
        let to = width * expansion;
        let stage = (0..n).map(|b| {
            let stride = if i > 0 && b == 0 { 2 } else { 1 };
            let mut layers = block(width, stride);
            if stride != 1 || from != to {
                let shortcut = Architecture::numbered([conv(to, 1, stride), norm()]);
                layers.push(("downsample", shortcut));
            }
            from = to;
            Architecture::with(around.clone(), layers)
        });
        children.push((name, Architecture::numbered(stage.collect::<Vec<_>>())));
    }
    children.extend([
        ("avgpool", AdaptiveAvgPool::default().into()),
        ("flatten", Layer::Flatten.into()),
        ("fc", Linear::new(n_classes).into()),
    ]);
    Architecture::sequence(children)
}
