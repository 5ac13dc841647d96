//! `model.weights`: none, a file, or a name on the hub that becomes one; `auto` is the backbone's own name there.

use std::path::{Path, PathBuf};

use super::{HubName, ModelConfig};
use crate::error::{Error, Result};

/// The value that means none.
pub const NONE: &str = "none";

/// The value that means what the backbone's makers trained, by its name on the hub.
pub const AUTO: &str = "auto";

/// What the names of files of weights end in.
const EXTENSIONS: [&str; 4] = ["pth", "pt", "safetensors", "bin"];

impl ModelConfig {
    /// Whether `weights` names a file: by what it ends in, or as a path that is absolute or begins with a dot.
    pub fn weights_are_a_file(&self) -> bool {
        let path = Path::new(&self.weights);
        let extension = path.extension().and_then(|extension| extension.to_str());
        path.is_absolute()
            || self.weights.starts_with('.')
            || extension.is_some_and(|extension| {
                EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
            })
    }

    /// Whether the backbone begins as it is drawn, with nobody's weights.
    pub fn begins_from_scratch(&self) -> bool {
        self.weights == NONE
    }

    /// The name on the hub that `weights` is, where it is neither `none`, `auto` nor a file.
    ///
    /// # Errors
    ///
    /// [`Error::HubName`].
    pub fn weights_on_hub(&self) -> Result<Option<HubName>> {
        if [NONE, AUTO].contains(&self.weights.as_str()) || self.weights_are_a_file() {
            return Ok(None);
        }
        HubName::parse(&self.weights).map(Some)
    }

    /// The file of the weights; nothing where the network begins from scratch.
    ///
    /// # Errors
    ///
    /// [`Error::HubUnfetched`] where they are on the hub and were not fetched; [`Error::HubName`].
    pub fn weights_file(&self) -> Result<Option<PathBuf>> {
        match self.weights_on_hub()? {
            None if self.begins_from_scratch() => Ok(None),
            None if self.weights == AUTO => Err(Error::HubUnfetched {
                name: AUTO.to_owned(),
            }),
            None => Ok(Some(PathBuf::from(&self.weights))),
            Some(name) => match &self.fetched {
                Some(path) => Ok(Some(path.clone())),
                None => Err(Error::HubUnfetched {
                    name: name.to_string(),
                }),
            },
        }
    }
}
