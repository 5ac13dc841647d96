//! Backbones: one file each, with its paper, its weights and their licence.
//!
//! Every layer has the name that the weights' makers gave it, so that a path and a key in a file of weights are one string.

mod blocks;

use serde::Serialize;

use super::architecture::Architecture;
use super::shape::{self, Shape};
use crate::error::{Error, Result};

/// The mean of ImageNet's pixels, red, green, blue, in [0, 1]; torchvision's numbers.
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// The standard deviation of ImageNet's pixels likewise.
pub const IMAGENET_SD: [f32; 3] = [0.229, 0.224, 0.225];

/// A network that turns images into features.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Backbone {
    /// The name that configuration uses.
    pub name: &'static str,
    /// The paper that describes it.
    pub source: &'static str,
    /// Where pretrained weights come from; empty: there are none.
    pub weights: &'static str,
    /// The name on the Hugging Face hub that `model.weights` can take for them; empty: none whose keys are read here.
    pub hub: &'static str,
    /// The licence of those weights.
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
    pub architecture: fn(usize) -> Architecture,
    /// Other namings of the same weights: their key to ours, or nothing for what is not needed.
    #[serde(skip)]
    pub spellings: &'static [fn(&str) -> Option<String>],
    /// How much larger the ε of all normalisations is where weights are in another spelling: 0, the same.
    #[serde(skip)]
    pub epsilon_beyond: f32,
}

/// What torchvision's backbones have in common.
const TORCHVISION: Backbone = Backbone {
    name: "",
    source: "",
    weights: "torchvision, ImageNet-1k",
    hub: "",
    licence: "BSD-3-Clause",
    mean: IMAGENET_MEAN,
    sd: IMAGENET_SD,
    size: 224,
    classifier: "classifier",
    pooling: &["avgpool", "flatten"],
    architecture: |_| unreachable!("each backbone has its own"),
    spellings: &[],
    epsilon_beyond: 0.0,
};

/// All backbones: `file { name: CONSTANT }`.
macro_rules! each_backbone {
    ($then:ident) => {
        $then! {
            small_cnn { small_cnn: SMALL_CNN }
            mobilenet_v2 { mobilenet_v2: MOBILENET_V2 }
            mobilenet_v3 { mobilenet_v3_small: SMALL, mobilenet_v3_large: LARGE }
            mobilenet_v4 { mobilenetv4_conv_small: SMALL, mobilenetv4_conv_medium: MEDIUM }
            efficientnet_lite { efficientnet_lite0: LITE0, efficientnet_lite1: LITE1, efficientnet_lite2: LITE2 }
            efficientnet { efficientnet_b0: B0 }
            hgnet { hgnetv2_b0: B0, hgnetv2_b1: B1, hgnetv2_b2: B2 }
            resnet { resnet18: RESNET18, resnet34: RESNET34, resnet50: RESNET50, resnet101: RESNET101 }
            regnet { regnety_016: Y016 }
            convnext { convnext_atto: ATTO, convnext_femto: FEMTO, convnext_pico: PICO, convnext_nano: NANO, convnext_tiny: TINY }
            vit { vit_s16: S16, dinov2_s14: DINOV2_S14 }
        }
    };
}

macro_rules! declare {
    ($($file:ident { $($name:ident: $BACKBONE:ident),* })*) => {
        $(mod $file;)*

        /// All backbones, small ones first.
        pub const BACKBONES: &[Backbone] = &[$($($file::$BACKBONE),*),*];
    };
}
each_backbone!(declare);

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
    /// Whether features are pooled from a map, and not from tokens.
    pub(crate) fn ends_in_map(&self) -> bool {
        self.pooling.contains(&"avgpool")
    }

    /// The network with torch's own classifier, of so many classes.
    pub fn with_classifier(&self, n_classes: usize) -> Architecture {
        (self.architecture)(n_classes)
    }
    /// The network up to its features: torch's classifier removed.
    pub fn body(&self) -> Architecture {
        let mut architecture = (self.architecture)(1);
        architecture
            .children
            .retain(|(name, _)| name != self.classifier);
        architecture
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
pub(super) use each_backbone;

#[cfg(test)]
mod tests {
    use super::BACKBONES;
    use crate::config::HubName;

    #[test]
    fn names_on_the_hub_are_names() {
        let named = BACKBONES.iter().filter(|backbone| !backbone.hub.is_empty());
        for backbone in named {
            HubName::parse(backbone.hub).unwrap();
            assert!(!backbone.weights.is_empty(), "{}", backbone.name);
        }
    }
}
