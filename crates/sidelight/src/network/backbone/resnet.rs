//! ResNet-18, -34, -50 and -101, with torchvision's names (timm's are the same).
//!
//! # Source
//!
//! He et al. 2016, "Deep residual learning for image recognition", arXiv:1512.03385, table 1. The stride of a bottleneck
//! is in its 3×3 convolution ("v1.5"), as in torchvision. Weights: torchvision (BSD-3-Clause), trained on ImageNet;
//! timm's `tv_in1k` on the hub are the same.

use super::{Backbone, IMAGENET_MEAN, IMAGENET_SD};
use crate::network::layer::{AdaptivePool, BatchNorm, Conv2d, Layer, Linear, Pool, Residual};
use crate::network::plan::Plan;

const RESNET: Backbone = Backbone {
    name: "",
    source: "He et al. 2016, arXiv:1512.03385",
    weights: "torchvision, ImageNet-1k",
    hub: "",
    licence: "BSD-3-Clause",
    mean: IMAGENET_MEAN,
    sd: IMAGENET_SD,
    size: 224,
    classifier: "fc",
    pooling: &["avgpool", "flatten"],
    plan: |n| basic([2, 2, 2, 2], n),
    spellings: &[],
};
pub(super) const RESNET18: Backbone = Backbone {
    name: "resnet18",
    hub: "timm/resnet18.tv_in1k",
    ..RESNET
};
pub(super) const RESNET34: Backbone = Backbone {
    name: "resnet34",
    hub: "timm/resnet34.tv_in1k",
    plan: |n| basic([3, 4, 6, 3], n),
    ..RESNET
};
pub(super) const RESNET50: Backbone = Backbone {
    name: "resnet50",
    hub: "timm/resnet50.tv_in1k",
    plan: |n| bottleneck([3, 4, 6, 3], n),
    ..RESNET
};
pub(super) const RESNET101: Backbone = Backbone {
    name: "resnet101",
    hub: "timm/resnet101.tv_in1k",
    plan: |n| bottleneck([3, 4, 23, 3], n),
    ..RESNET
};

fn conv(from: usize, to: usize, kernel: usize, stride: usize) -> Plan {
    Layer::Conv2d(Conv2d::new(from, to, kernel, stride)).into()
}
fn norm(channels: usize) -> Plan {
    Layer::BatchNorm(BatchNorm::new(channels)).into()
}

/// Two 3×3 convolutions.
fn basic_block(from: usize, width: usize, stride: usize) -> Vec<(&'static str, Plan)> {
    vec![
        ("conv1", conv(from, width, 3, stride)),
        ("bn1", norm(width)),
        ("relu", Layer::Relu.into()),
        ("conv2", conv(width, width, 3, 1)),
        ("bn2", norm(width)),
    ]
}

/// 1×1 to fewer channels, 3×3, 1×1 to four times as many.
fn bottleneck_block(from: usize, width: usize, stride: usize) -> Vec<(&'static str, Plan)> {
    vec![
        ("conv1", conv(from, width, 1, 1)),
        ("bn1", norm(width)),
        ("relu", Layer::Relu.into()),
        ("conv2", conv(width, width, 3, stride)),
        ("bn2", norm(width)),
        ("relu2", Layer::Relu.into()),
        ("conv3", conv(width, width * 4, 1, 1)),
        ("bn3", norm(width * 4)),
    ]
}

/// A block's layers, from channels in, width and stride.
type Block = fn(usize, usize, usize) -> Vec<(&'static str, Plan)>;

fn basic(blocks: [usize; 4], n_classes: usize) -> Plan {
    resnet(basic_block, 1, blocks, n_classes)
}
fn bottleneck(blocks: [usize; 4], n_classes: usize) -> Plan {
    resnet(bottleneck_block, 4, blocks, n_classes)
}

fn resnet(block: Block, expansion: usize, blocks: [usize; 4], n_classes: usize) -> Plan {
    let mut children = vec![
        ("conv1", conv(3, 64, 7, 2)),
        ("bn1", norm(64)),
        ("relu", Layer::Relu.into()),
        (
            "maxpool",
            Layer::MaxPool(Pool {
                kernel: 3,
                stride: 2,
                padding: 1,
            })
            .into(),
        ),
    ];
    let mut from = 64;
    for (i, (name, n)) in ["layer1", "layer2", "layer3", "layer4"]
        .into_iter()
        .zip(blocks)
        .enumerate()
    {
        let width = 64 << i;
        let stage = (0..n).map(|b| {
            let stride = if i > 0 && b == 0 { 2 } else { 1 };
            let mut layers = block(from, width, stride);
            if stride != 1 || from != width * expansion {
                let shortcut = [
                    conv(from, width * expansion, 1, stride),
                    norm(width * expansion),
                ];
                layers.push(("downsample", Plan::numbered(shortcut)));
            }
            from = width * expansion;
            Plan::with(
                Layer::Residual(Residual {
                    relu_after: true,
                    ..Residual::default()
                }),
                layers,
            )
        });
        children.push((name, Plan::numbered(stage.collect::<Vec<_>>())));
    }
    children.extend([
        (
            "avgpool",
            Layer::AdaptiveAvgPool(AdaptivePool::default()).into(),
        ),
        ("flatten", Layer::Flatten.into()),
        ("fc", Layer::Linear(Linear::new(from, n_classes)).into()),
    ]);
    Plan::sequence(children)
}
