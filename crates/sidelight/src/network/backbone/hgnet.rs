//! PP-HGNetV2: B0, B1 and B2, with timm's names.
//!
//! Two of its places need names of their own here: what timm has beside each other in the stem is below `stem.stem2`, and
//! what it has in `head` is below `classifier` (`head.fc.weight` is `classifier.fc.weight`). The layer of 2048 features after the
//! pooling is part of the classifier, so that features are those of the last map.
//!
//! # Source
//!
//! No paper: PaddlePaddle's code (PaddleClas, `pp_hgnet_v2.py`) and its documentation, as timm has them (`hgnet.py`). Blocks
//! join all that their layers say, as Lee et al. 2019 (VoVNet, arXiv:1904.09730, section 3.2) do. Weights: PaddlePaddle's,
//! distilled as Cui et al. 2021, arXiv:2103.05959, describe (SSLD), by way of timm (Apache-2.0, `license` in timm 1.0.31),
//! trained on ImageNet.

use super::blocks::conv_norm_named;
use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{AdaptiveAvgPool, Conv2d, Layer, Linear, MaxPool, Pad, Pool, Residual};

pub(super) const B0: Backbone = Backbone {
    name: "hgnetv2_b0",
    source: "PaddlePaddle 2023, PP-HGNetV2 (PaddleClas); weights: Cui et al. 2021, arXiv:2103.05959",
    weights: "PaddlePaddle by way of timm, ImageNet-1k",
    hub: "timm/hgnetv2_b0.ssld_stage2_ft_in1k",
    licence: "Apache-2.0",
    architecture: |n| hgnet(&SIZE0, n),
    spellings: &[from_timm],
    ..TORCHVISION
};
pub(super) const B1: Backbone = Backbone {
    name: "hgnetv2_b1",
    hub: "timm/hgnetv2_b1.ssld_stage2_ft_in1k",
    architecture: |n| hgnet(&SIZE1, n),
    ..B0
};
pub(super) const B2: Backbone = Backbone {
    name: "hgnetv2_b2",
    hub: "timm/hgnetv2_b2.ssld_stage2_ft_in1k",
    architecture: |n| hgnet(&SIZE2, n),
    ..B0
};

/// What differs between the networks.
struct Size {
    /// Channels inside the stem, and those that it ends in.
    stem: (usize, usize),
    /// Of each stage: channels of a block's layers, channels that it ends in, blocks.
    stages: [(usize, usize, usize); 4],
    /// Layers of a block.
    n_layers: usize,
}

const SIZE0: Size = Size {
    stem: (16, 16),
    stages: [(16, 64, 1), (32, 256, 1), (64, 512, 2), (128, 1024, 1)],
    n_layers: 3,
};
const SIZE1: Size = Size {
    stem: (24, 32),
    stages: [(32, 64, 1), (48, 256, 1), (96, 512, 2), (192, 1024, 1)],
    n_layers: 3,
};
const SIZE2: Size = Size {
    stem: (24, 32),
    stages: [(32, 96, 1), (64, 384, 1), (128, 768, 3), (256, 1536, 1)],
    n_layers: 4,
};

/// A convolution, its normalisation, ReLU, and a factor and an offset for all channels.
fn conv(conv: Conv2d) -> Architecture {
    let mut layers = conv_norm_named(conv, Layer::Relu);
    layers.children.push(("lab".into(), Layer::Affine.into()));
    layers
}
/// A convolution and its normalisation.
fn plain(conv: Conv2d) -> Architecture {
    conv_norm_named(conv, Layer::Identity)
}

/// To a quarter of the side; two 2×2 convolutions and a pooling side by side in between.
fn stem((inside, to): (usize, usize)) -> Architecture {
    // One more row and column below and right, of zeros, for the pooling too.
    let beyond = Pad {
        bottom: 1,
        right: 1,
        ..Pad::default()
    };
    let window = Pool {
        kernel: 2,
        stride: 1,
        padding: 0,
    };
    let second = Conv2d {
        same: true,
        padding: 0,
        ..Conv2d::new(inside, 2)
    };
    let convs = [
        ("stem2a", conv(Conv2d::new(inside / 2, 2).with_padding(0))),
        ("stem2b", conv(second)),
    ];
    let ways = [
        ("pool", MaxPool(window).into()),
        ("convs", Architecture::sequence(convs)),
    ];
    Architecture::sequence([
        ("stem1", conv(Conv2d::new(inside, 3).with_stride(2))),
        ("pad", beyond.into()),
        ("stem2", Architecture::with(Layer::Concat, ways)),
        ("stem3", conv(Conv2d::new(inside, 3).with_stride(2))),
        ("stem4", conv(Conv2d::new(to, 1))),
    ])
}

/// A layer of the last two stages: 1×1, then depthwise 5×5.
fn light(channels: usize) -> Architecture {
    Architecture::sequence([
        ("conv1", plain(Conv2d::new(channels, 1))),
        ("conv2", conv(Conv2d::depthwise(5))),
    ])
}

fn hgnet(size: &Size, n_classes: usize) -> Architecture {
    let stages = size.stages.iter().enumerate();
    let stages = stages.map(|(stage, &(inside, to, n))| {
        let blocks = (0..n).map(|block| {
            let layers = (0..size.n_layers).map(|i| {
                let layer = match stage {
                    0 | 1 => conv(Conv2d::new(inside, 3)),
                    _ => light(inside),
                };
                (i.to_string(), layer)
            });
            let joined = [conv(Conv2d::new(to / 2, 1)), conv(Conv2d::new(to, 1))];
            let around = match block {
                0 => Layer::Sequential,
                _ => Residual::default().into(),
            };
            let parts = [
                ("layers", Architecture::with(Layer::Aggregate, layers)),
                ("aggregation", Architecture::numbered(joined)),
            ];
            Architecture::with(around, parts)
        });
        let blocks = ("blocks", Architecture::numbered(blocks.collect::<Vec<_>>()));
        let halved = ("downsample", plain(Conv2d::depthwise(3).with_stride(2)));
        Architecture::sequence((stage > 0).then_some(halved).into_iter().chain([blocks]))
    });
    let stages = Architecture::numbered(stages);
    let last = Architecture::numbered([
        Linear::new(2048).without_bias().into(),
        Layer::Relu.into(),
        Layer::Affine.into(),
    ]);
    let classifier = [("last_conv", last), ("fc", Linear::new(n_classes).into())];
    Architecture::sequence([
        ("stem", stem(size.stem)),
        ("stages", stages),
        ("avgpool", AdaptiveAvgPool::default().into()),
        ("flatten", Layer::Flatten.into()),
        ("classifier", Architecture::sequence(classifier)),
    ])
}

/// timm's key in the names of this file.
fn from_timm(key: &str) -> Option<String> {
    let inside = [
        ("stem.stem2a.", "stem.stem2.convs.stem2a."),
        ("stem.stem2b.", "stem.stem2.convs.stem2b."),
        ("head.", "classifier."),
    ];
    let renamed = inside
        .iter()
        .find_map(|(theirs, ours)| key.strip_prefix(theirs).map(|rest| format!("{ours}{rest}")));
    Some(renamed.unwrap_or_else(|| key.to_owned()))
}
