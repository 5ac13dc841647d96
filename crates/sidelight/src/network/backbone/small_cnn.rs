//! A small network from scratch, for the demonstration and for images unlike photographs.
//!
//! Five stages of 3×3 convolution, normalisation and ReLU, the first four halving the side:
//! 0.2 million parameters, 42 million multiply-adds at 128 pixels. A total stride of 16 leaves an 8×8 map
//! at 128 pixels, fine enough to say where things are.
//!
//! # Source
//!
//! Ours; the plain stacking of Simonyan and Zisserman 2015 (VGG), arXiv:1409.1556, with
//! strides for pooling (Springenberg et al. 2015, arXiv:1412.6806) and batch normalisation. No pretrained weights.

use super::{Backbone, IMAGENET_MEAN, IMAGENET_SD};
use crate::network::layer::{AdaptivePool, BatchNorm, Conv2d, Layer, Linear};
use crate::network::plan::Plan;

pub(super) const SMALL_CNN: Backbone = Backbone {
    name: "small_cnn",
    source: "ours: five plain 3×3 stages, after Simonyan and Zisserman 2015, arXiv:1409.1556",
    weights: "",
    hub: "",
    licence: "",
    mean: IMAGENET_MEAN,
    sd: IMAGENET_SD,
    size: 128,
    classifier: "classifier",
    pooling: &["avgpool", "flatten"],
    plan,
    spellings: &[],
};

fn plan(n_classes: usize) -> Plan {
    let stages = [
        (3, 16, 2),
        (16, 32, 2),
        (32, 64, 2),
        (64, 96, 2),
        (96, 128, 1),
    ];
    let stage = |(from, to, stride)| {
        Plan::numbered([
            Plan::leaf(Layer::Conv2d(Conv2d::new(from, to, 3, stride))),
            Layer::BatchNorm(BatchNorm::new(to)).into(),
            Layer::Relu.into(),
        ])
    };
    Plan::sequence([
        ("features", Plan::numbered(stages.map(stage))),
        (
            "avgpool",
            Layer::AdaptiveAvgPool(AdaptivePool::default()).into(),
        ),
        ("flatten", Layer::Flatten.into()),
        (
            "classifier",
            Layer::Linear(Linear::new(128, n_classes)).into(),
        ),
    ])
}
