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

use super::blocks::classified;
use super::{Backbone, TORCHVISION};
use crate::network::architecture::Architecture;
use crate::network::layer::{BatchNorm, Conv2d, Layer, Linear};

pub(super) const SMALL_CNN: Backbone = Backbone {
    name: "small_cnn",
    source: "ours: five plain 3×3 stages, after Simonyan and Zisserman 2015, arXiv:1409.1556",
    weights: "",
    licence: "",
    size: 128,
    architecture,
    ..TORCHVISION
};

fn architecture(n_classes: usize) -> Architecture {
    let stages = [(16, 2), (32, 2), (64, 2), (96, 2), (128, 1)];
    let stage = |(channels, stride)| {
        Architecture::numbered([
            Conv2d::new(channels, 3).with_stride(stride).into(),
            BatchNorm::default().into(),
            Layer::Relu.into(),
        ])
    };
    let features = Architecture::numbered(stages.map(stage));
    classified(features, Linear::new(n_classes).into())
}
