//! Under which licence the weights are that a training began with, as far as it is known whose they are.

use std::path::Path;

use crate::config::{Arm, ModelConfig};
use crate::error::Result;
use crate::network::backbone::{self, Backbone};

/// The licence of the weights that training began with, as the hub writes it (`apache-2.0`): where these are of a name on the hub
/// that is the backbone's, or in a file that is called as its makers call it. Nothing where training began from scratch, or
/// it is not known whose the weights are.
pub fn weights_licence(model: &ModelConfig) -> Option<String> {
    let backbone = begun_from(model).ok()??;
    let (is_known, is_timm) = match model.weights_on_hub().ok()? {
        Some(name) => {
            let repository = name.repository();
            (repository == backbone.hub, repository.starts_with("timm/"))
        }
        None => {
            let file = Path::new(&model.weights).file_name().unwrap_or_default();
            (
                is_named_as_published(backbone, &file.to_string_lossy()),
                false,
            )
        }
    };
    is_known.then(|| id_of(backbone, is_timm))
}

/// The backbone whose weights training began with, where it began with any.
pub(crate) fn begun_from(model: &ModelConfig) -> Result<Option<&'static Backbone>> {
    let has_weights = model.weights_on_hub()?.is_some() || model.weights_are_a_file();
    match has_weights && model.arm != Arm::Metadata {
        true => backbone::named(&model.backbone).map(Some),
        false => Ok(None),
    }
}

/// The hub's name of a backbone's licence; some are another's at timm: `BSD-3-Clause; timm: Apache-2.0`.
fn id_of(backbone: &Backbone, is_timm: bool) -> String {
    let mut parts = backbone.licence.split("; ");
    let first = parts.next().unwrap_or_default();
    let of_timm = parts.find_map(|part| part.strip_prefix("timm: "));
    let licence = of_timm.filter(|_| is_timm).unwrap_or(first);
    licence.to_ascii_lowercase()
}

/// Whether a file has the name that the makers of the weights gave it: torch's `NAME-12345678.pth`, with the first digits
/// of its checksum, or one that the backbone's list of weights has.
fn is_named_as_published(backbone: &Backbone, file: &str) -> bool {
    let Some((stem, "pth" | "pt" | "bin" | "safetensors")) = file.rsplit_once('.') else {
        return false;
    };
    let spelled = |name: &str| name.replace('-', "_");
    let is_torch = stem.rsplit_once('-').is_some_and(|(name, digits)| {
        let is_sum = digits.len() == 8 && digits.chars().all(|c| c.is_ascii_hexdigit());
        let name = spelled(name);
        // Of those that torchvision took over from timm it says so.
        is_sum && name.strip_suffix("_rwightman").unwrap_or(&name) == backbone.name
    });
    is_torch || backbone.weights.contains(&format!("({stem}."))
}
