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

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

mod download;
#[cfg(test)]
mod tests;

/// The hub itself.
pub const ENDPOINT: &str = "https://huggingface.co";

/// Larger files are not downloaded: 4 GiB, several times the largest backbone here.
pub const LIMIT: u64 = 4 << 30;

/// The revision where none is named.
const MAIN: &str = "main";

/// The files of a repository that hold weights, the first that is there.
const FILES: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// A repository on the hub and a revision of it: `timm/resnet18.tv_in1k`, or with `@` and a branch, tag or commit.
///
/// # Example
///
/// ```
/// use sidelight_host::hub::HubName;
///
/// let name = HubName::parse("timm/resnet18.tv_in1k@v1.0")?;
/// assert_eq!((name.repository(), name.revision()), ("timm/resnet18.tv_in1k", "v1.0"));
/// assert!(HubName::parse("timm/../resnet18").is_err());
/// # Ok::<(), sidelight_host::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubName {
    repository: String,
    revision: String,
}

impl HubName {
    /// Reads a name; what it consists of can stand in a URL and in a path as it is.
    ///
    /// # Errors
    ///
    /// [`Error::HubName`].
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: String| Error::HubName {
            name: text.to_owned(),
            reason,
        };
        let (repository, revision) = text.split_once('@').unwrap_or((text, MAIN));
        let parts: Vec<&str> = repository.split('/').collect();
        let [owner, name] = parts[..] else {
            return Err(wrong(format!(
                "expected one `/`, found {}",
                parts.len() - 1
            )));
        };
        for (part, what) in [(owner, "owner"), (name, "name"), (revision, "revision")] {
            check(part, what).map_err(wrong)?;
        }
        // The cache's folders are named with `--` for the slash.
        if repository.contains("--") {
            return Err(wrong("`--` is in no name".into()));
        }
        Ok(Self {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// `timm/resnet18.tv_in1k`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// A branch, a tag or a commit; `main` where none was named.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Its folder in a cache.
    pub fn folder(&self, cache: &Path) -> PathBuf {
        cache.join(self.folder_name())
    }

    fn folder_name(&self) -> String {
        format!("models--{}", self.repository.replace('/', "--"))
    }

    /// Where a file of it is downloaded from.
    fn url(&self, endpoint: &str, revision: &str, file: &str) -> String {
        format!(
            "{}/{}/resolve/{revision}/{file}",
            endpoint.trim_end_matches('/'),
            self.repository
        )
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if self.revision == MAIN {
            Ok(())
        } else {
            write!(f, "@{}", self.revision)
        }
    }
}

/// Looks whether an owner, a name or a revision is one: what it may not hold could lead out of its place in a URL or a path.
fn check(part: &str, what: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c);
    if part.is_empty() {
        Err(format!("the {what} is empty"))
    } else if part.len() > 96 {
        Err(format!("the {what} is longer than 96 characters"))
    } else if let Some(c) = part.chars().find(|c| !is_plain(*c)) {
        Err(format!("{c:?} is in no {what}"))
    } else if part.contains("..") || part.starts_with(['.', '-']) || part.ends_with(['.', '-']) {
        Err(format!(
            "the {what} begins or ends with `.` or `-`, or has two dots in a row"
        ))
    } else {
        Ok(())
    }
}

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
        /// From where.
        url: &'a str,
        /// Bytes that are there already.
        done: u64,
        /// Bytes in all, where the hub says it.
        size: Option<u64>,
    },
    /// Something arrived.
    Bytes {
        /// Bytes that are there.
        done: u64,
        /// Bytes in all, where the hub says it.
        size: Option<u64>,
    },
}

/// The weights of a repository as a file: from the cache, else downloaded into it.
///
/// # Errors
///
/// [`Error::HubOffline`]; [`Error::HubUnreachable`], [`Error::HubNotFound`], [`Error::HubRefused`],
/// [`Error::HubAnswer`], [`Error::HubSize`], [`Error::HubBroken`], [`Error::HubChecksum`];
/// [`Error::Write`] where the cache cannot be written; [`Error::Setting`] of an endpoint, a token or a proxy that is none.
pub fn fetch(
    name: &HubName,
    options: &HubOptions,
    on_event: &mut dyn FnMut(HubEvent<'_>),
) -> Result<PathBuf> {
    match cached(name, &options.cache) {
        Some(path) => Ok(path),
        None if options.offline => Err(Error::HubOffline {
            name: name.to_string(),
            url: name.url(&options.endpoint, &name.revision, FILES[0]),
            folder: name.folder(&options.cache),
        }),
        None => download::download(name, options, on_event),
    }
}

/// The weights of a repository, where the cache has them.
fn cached(name: &HubName, cache: &Path) -> Option<PathBuf> {
    let folder = name.folder(cache);
    let commit = match std::fs::read_to_string(folder.join("refs").join(&name.revision)) {
        Ok(commit) => commit.trim().to_owned(),
        Err(_) => name.revision.clone(),
    };
    // It becomes part of a path.
    check(&commit, "revision").ok()?;
    let snapshot = folder.join("snapshots").join(commit);
    FILES
        .iter()
        .map(|file| snapshot.join(file))
        .find(|path| path.is_file())
}
