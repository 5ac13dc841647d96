//! Whose weights a training began with, and under which licence these are.

use std::path::Path;

use super::{code, text};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::hub::{begun_from, weights_licence};

/// The hub's word for a licence that is not known.
const UNKNOWN: &str = "unknown";

/// The licence of a model, and why it is that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::export) struct Licence {
    id: Option<String>,
    /// The repository on the hub that the weights came from.
    pub(super) base_model: Option<String>,
    /// For a person, as Markdown.
    pub(super) sentence: String,
}

impl Licence {
    /// That of the weights that training began with, as far as it is known whose they are: a name on the hub that is the
    /// backbone's, or a file that is called as its makers call it.
    pub(in crate::export) fn of_weights(model: &ModelConfig) -> Result<Self> {
        let Some(backbone) = begun_from(model)? else {
            return Ok(Self {
                id: None,
                base_model: None,
                sentence: "It was trained from scratch, without anybody's weights. Its licence has not been chosen yet.".into(),
            });
        };
        let id = weights_licence(model);
        let is_known = id.is_some();
        if let Some(name) = model.weights_on_hub()? {
            let repository = name.repository();
            let link = format!(
                "[{}](https://huggingface.co/{repository})",
                text(repository)
            );
            let sentence = match is_known {
                true => format!(
                    "Training began with the weights of {link} ({}), which are under {}.",
                    text(backbone.weights),
                    text(backbone.licence)
                ),
                false => format!(
                    "Training began with the weights of {link}: their licence is said there, and holds here too."
                ),
            };
            return Ok(Self {
                id,
                base_model: Some(repository.to_owned()),
                sentence,
            });
        }
        let file = Path::new(&model.weights).file_name().unwrap_or_default();
        let file = file.to_string_lossy();
        let sentence = match is_known {
            true => format!(
                "Training began with the weights in {}, by their name those of {} ({}), which are under {}.",
                code(&file),
                code(backbone.name),
                text(backbone.weights),
                text(backbone.licence)
            ),
            false => format!(
                "Training began with weights in a file, {}. It is not known here whose they are; their licence holds for this \
                 model too.",
                code(&file)
            ),
        };
        Ok(Self {
            id,
            base_model: None,
            sentence,
        })
    }

    /// The one that a person named.
    pub(in crate::export) fn named(id: &str, model: &ModelConfig) -> Result<Self> {
        let weights = Self::of_weights(model)?;
        let sentence = match begun_from(model)? {
            Some(_) => format!("Licence: {}. {}", text(id), weights.sentence),
            None => format!(
                "Licence: {}. It was trained from scratch, without anybody's weights.",
                text(id)
            ),
        };
        Ok(Self {
            id: Some(id.to_owned()),
            sentence,
            ..weights
        })
    }

    pub(super) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or(UNKNOWN)
    }

    pub(in crate::export) fn is_known(&self) -> bool {
        self.id.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn licence(backbone: &str, weights: &str) -> Licence {
        let model = ModelConfig {
            backbone: backbone.into(),
            weights: weights.into(),
            ..ModelConfig::default()
        };
        Licence::of_weights(&model).unwrap()
    }

    #[test]
    fn a_licence_is_told_where_it_is_known_whose_the_weights_are() {
        for (backbone, weights, id) in [
            ("resnet18", "timm/resnet18.tv_in1k", "bsd-3-clause"),
            ("convnext_tiny", "timm/convnext_tiny.fb_in1k", "apache-2.0"),
            (
                "convnext_tiny",
                "/home/jo/convnext_tiny-983f1562.pth",
                "bsd-3-clause",
            ),
            (
                "mobilenet_v2",
                "w/mobilenet_v2-b0353104.safetensors",
                "bsd-3-clause",
            ),
            (
                "efficientnet_lite0",
                "w/efficientnet-lite0-57934424.pth",
                "apache-2.0",
            ),
            (
                "efficientnet_b0",
                "w/efficientnet_b0_rwightman-7f5810bc.pth",
                "bsd-3-clause",
            ),
            ("dinov2_s14", "w/dinov2_vits14_pretrain.pth", "apache-2.0"),
            ("resnet18", "somebody/resnet18", "unknown"),
            ("resnet18", "runs/a/model/weights.safetensors", "unknown"),
            ("resnet18", "resnet50-0676ba61.pth", "unknown"),
            ("small_cnn", "none", "unknown"),
        ] {
            let licence = licence(backbone, weights);
            assert_eq!(licence.id(), id, "{weights}");
            assert!(!licence.sentence.contains("jo/"), "{}", licence.sentence);
        }
        let base = licence("resnet18", "timm/resnet18.tv_in1k@v1").base_model;
        assert_eq!(base.as_deref(), Some("timm/resnet18.tv_in1k"));
        let model = ModelConfig::default();
        assert_eq!(Licence::named("mit", &model).unwrap().id(), "mit");
    }
}
