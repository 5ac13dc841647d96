//! Backbones: one file each, with its paper, its weights and their licence.
//!
//! Every layer has the name that the weights' makers gave it, so that a path and a key in a file of weights are one string.

mod blocks;
mod convnext;
mod efficientnet;
mod efficientnet_lite;
mod mobilenet_v2;
mod mobilenet_v3;
mod resnet;
mod small_cnn;
mod vit;

use serde::Serialize;

use super::plan::Plan;
use super::shape::{self, Shape};
use crate::error::{Error, Result};

/// The mean of ImageNet's pixels, red, green, blue, in [0, 1]; torchvision's numbers.
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Their standard deviation.
pub const IMAGENET_SD: [f32; 3] = [0.229, 0.224, 0.225];

/// A network that turns images into features.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Backbone {
    /// The name that configuration uses.
    pub name: &'static str,
    /// The paper.
    pub source: &'static str,
    /// Where pretrained weights come from; empty: there are none.
    pub weights: &'static str,
    /// The name on the Hugging Face hub that `model.weights` can take for them; empty: none whose keys are read here.
    pub hub: &'static str,
    /// The weights' licence.
    pub licence: &'static str,
    /// Mean of a pixel that its weights were trained with, RGB in [0, 1].
    pub mean: [f32; 3],
    /// Standard deviation likewise.
    pub sd: [f32; 3],
    /// Side of the images that its weights were trained with, in pixels.
    pub size: usize,
    /// The child that is torch's classifier.
    #[serde(skip)]
    pub classifier: &'static str,
    /// The children between the last map and the classifier.
    #[serde(skip)]
    pub pooling: &'static [&'static str],
    /// The whole network with a classifier of so many classes.
    #[serde(skip)]
    pub plan: fn(usize) -> Plan,
    /// Other namings of the same weights: their key to ours, or nothing for what is not needed.
    #[serde(skip)]
    pub spellings: &'static [fn(&str) -> Option<String>],
}

/// All of them.
pub const BACKBONES: &[Backbone] = &[
    small_cnn::SMALL_CNN,
    mobilenet_v2::MOBILENET_V2,
    mobilenet_v3::SMALL,
    mobilenet_v3::LARGE,
    efficientnet_lite::LITE0,
    efficientnet::B0,
    resnet::RESNET18,
    resnet::RESNET34,
    resnet::RESNET50,
    resnet::RESNET101,
    convnext::TINY,
    vit::S16,
    vit::DINOV2_S14,
];

/// The name that stands for no backbone: a model of metadata alone.
pub const NONE: &str = "none";

/// The backbone of this name.
///
/// # Errors
///
/// [`Error::NoBackbone`], with the nearest name in its hint.
pub fn named(name: &str) -> Result<&'static Backbone> {
    BACKBONES
        .iter()
        .find(|backbone| backbone.name == name)
        .ok_or_else(|| Error::NoBackbone {
            name: name.to_owned(),
            names: BACKBONES
                .iter()
                .map(|backbone| backbone.name)
                .chain([NONE])
                .map(String::from)
                .collect(),
        })
}

impl Backbone {
    /// The network with torch's own classifier, of so many classes.
    pub fn classifier(&self, n_classes: usize) -> Plan {
        (self.plan)(n_classes)
    }
    /// The network up to its features: torch's classifier removed.
    pub fn body(&self) -> Plan {
        let mut plan = (self.plan)(1);
        plan.children.retain(|(name, _)| name != self.classifier);
        plan
    }
    /// The shape of the last map before the pooling, for square images of this side.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where the images are too small.
    pub fn last_map(&self, size: usize) -> Result<Shape> {
        let mut body = self.body();
        body.children
            .retain(|(name, _)| !self.pooling.contains(&name.as_str()));
        Ok(shape::infer(&mut body, Shape::square(3, size))?[0].output)
    }
}

#[cfg(test)]
mod tests {
    use super::BACKBONES;
    use crate::hub::HubName;

    #[test]
    fn names_on_the_hub_are_names() {
        let named = BACKBONES.iter().filter(|backbone| !backbone.hub.is_empty());
        for backbone in named {
            HubName::parse(backbone.hub).unwrap();
            assert!(!backbone.weights.is_empty(), "{}", backbone.name);
        }
    }
}
