//! Weights by `org/name` from the Hugging Face hub: taken from the cache, else downloaded, checked and kept there.
//!
//! The cache is laid out as the hub's own tools lay theirs out, so that each finds what the other downloaded:
//!
//! ```text
//! models--timm--resnet18.tv_in1k/
//!     refs/main                           the commit that `main` was when it was fetched
//!     snapshots/<commit>/model.safetensors
//!     blobs/<checksum>.part               a download that is not whole yet
//! ```
//!
//! What is in the cache is used without asking the hub, so that a run that was begun can go on without a network,
//! and with the same numbers. To follow a moving name, delete its folder; to be sure of the numbers, name a commit.
//! Nothing that is downloaded is executed.
//!
//! # Source
//!
//! The answers' headers (`x-repo-commit`, `x-linked-etag`, `x-linked-size`) and the layout: huggingface_hub,
//! `file_download.py` (Apache-2.0).

#![cfg_attr(
    not(test),
    warn(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::{AUTO, NONE};
use crate::config::{ModelConfig, check_hub_part};
use crate::error::{Error, Result};
use crate::network::backbone;

pub use crate::config::HubName;
pub(crate) use licence::begun_from;
pub use licence::weights_licence;

#[cfg(feature = "hub")]
mod download;
mod licence;
#[cfg(test)]
#[cfg(feature = "hub")]
mod tests;

/// The hub itself.
pub const ENDPOINT: &str = "https://huggingface.co";

/// Larger files are not downloaded: 4 GiB, several times the largest backbone here.
pub const LIMIT: u64 = 4 << 30;

/// The files of a repository that hold weights, the first that is there.
const FILES: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// Where weights come from and are kept. The library reads no environment: the caller says it.
#[derive(Clone, PartialEq, Eq)]
pub struct HubOptions {
    /// The hub or a mirror of it. Default: [`ENDPOINT`].
    pub endpoint: String,
    /// Folder of what was downloaded.
    pub cache: PathBuf,
    /// true: nothing is downloaded. Default: false.
    pub offline: bool,
    /// Proves who asks, for repositories that are not open to all; goes to the endpoint alone. Default: none.
    pub token: Option<String>,
    /// `http://host:port` that connections go through. Default: none.
    pub proxy: Option<String>,
    /// Largest file that is downloaded, in bytes. Default: [`LIMIT`].
    pub limit: u64,
}

impl HubOptions {
    /// The hub itself, with this cache.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            endpoint: ENDPOINT.into(),
            cache: cache.into(),
            offline: false,
            token: None,
            proxy: None,
            limit: LIMIT,
        }
    }
}

// By hand, so that no log shows the token, nor the password of a proxy.
impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "…");
        f.debug_struct("HubOptions")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("offline", &self.offline)
            .field("token", &hidden(&self.token))
            .field("proxy", &hidden(&self.proxy))
            .field("limit", &self.limit)
            .finish()
    }
}

/// What happens while weights are downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubEvent<'a> {
    /// A download begins, or goes on where an earlier one broke off.
    Begin {
        /// Where it is downloaded from.
        url: &'a str,
        /// Bytes that are there already.
        done: u64,
        /// Bytes in all, where the hub says it.
        size: Option<u64>,
    },
    /// Part of the file has arrived.
    Bytes {
        /// Bytes that are there.
        done: u64,
        /// Bytes in all, where the hub says it.
        size: Option<u64>,
    },
}

/// Puts the name on the hub in the place of `weights = "auto"`, or `none` where the backbone has no pretrained weights.
///
/// # Errors
///
/// [`Error::HubNone`] where those that it has are not on the hub; [`Error::NoBackbone`].
pub fn name_weights(config: &mut ModelConfig) -> Result<()> {
    if config.weights != AUTO {
        return Ok(());
    }
    let named = match config.backbone.as_str() {
        backbone::NONE => NONE,
        name => {
            let backbone = backbone::named(name)?;
            match (backbone.hub, backbone.weights) {
                ("", "") => NONE,
                ("", _) => {
                    return Err(Error::HubNone {
                        backbone: backbone.name,
                    });
                }
                (hub, _) => hub,
            }
        }
    };
    config.weights = named.to_owned();
    Ok(())
}

/// Fetches the weights that a configuration names by `org/name`: once, before a network is built.
/// What was written stays as it is, but for `auto`, which becomes such a name ([`name_weights`]); where the file is, is in
/// [`ModelConfig::fetched`].
///
/// # Errors
///
/// As [`fetch`] and [`name_weights`]; [`DataError::HubName`](crate::error::DataError::HubName).
pub fn fetch_weights(
    config: &mut ModelConfig,
    options: &HubOptions,
    on_event: &mut dyn FnMut(HubEvent<'_>),
) -> Result<()> {
    name_weights(config)?;
    config.fetched = match config.weights_on_hub()? {
        Some(name) => Some(fetch(&name, options, on_event)?),
        None => None,
    };
    Ok(())
}

/// The weights of a repository as a file: from the cache, else downloaded into it.
///
/// # Errors
///
/// [`Error::HubOffline`]; [`Error::HubUnreachable`], [`Error::HubNotFound`], [`Error::HubRefused`],
/// [`Error::HubAnswer`], [`Error::HubSize`], [`Error::HubBroken`], [`Error::HubChecksum`];
/// [`DataError::Write`](crate::error::DataError::Write) where the cache cannot be written; [`DataError::Setting`](crate::error::DataError::Setting) of an endpoint, a token or a proxy that is none.
pub fn fetch(
    name: &HubName,
    options: &HubOptions,
    on_event: &mut dyn FnMut(HubEvent<'_>),
) -> Result<PathBuf> {
    match cached(name, &options.cache) {
        Some(path) => Ok(path),
        None if options.offline => Err(Error::HubOffline {
            name: name.to_string(),
            url: address(name, &options.endpoint, name.revision(), FILES[0]),
            folder: name.folder(&options.cache),
        }),
        #[cfg(feature = "hub")]
        None => download::download(name, options, on_event),
        #[cfg(not(feature = "hub"))]
        None => {
            let _ = on_event;
            Err(crate::error::DataError::NotBuilt {
                what: format!("the weights `{name}`"),
                feature: "hub",
            }
            .into())
        }
    }
}

/// The weights of a repository, where the cache has them.
fn cached(name: &HubName, cache: &Path) -> Option<PathBuf> {
    let folder = name.folder(cache);
    let commit = match std::fs::read_to_string(folder.join("refs").join(name.revision())) {
        Ok(commit) => commit.trim().to_owned(),
        Err(_) => name.revision().to_owned(),
    };
    // It becomes part of a path.
    check_hub_part(&commit, "revision").ok()?;
    let snapshot = folder.join("snapshots").join(commit);
    FILES
        .iter()
        .map(|file| snapshot.join(file))
        .find(|path| path.is_file())
}

/// Where a file of a repository is downloaded from.
fn address(name: &HubName, endpoint: &str, revision: &str, file: &str) -> String {
    format!(
        "{}/{}/resolve/{revision}/{file}",
        endpoint.trim_end_matches('/'),
        name.repository()
    )
}
