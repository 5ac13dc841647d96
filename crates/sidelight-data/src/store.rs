//! Objects in an object store or on an HTTP server, read as files: each is fetched whole into a folder of bounded size,
//! before it is needed where that is known.
//!
//! `s3://bucket/key`, `gs://bucket/key`, `az://container/key` and `http(s)://host/path`, through the crate
//! `object_store`, which signs requests and repeats them with growing, random pauses. An object comes in pieces: what
//! was received is not asked for again. It is checked against the length and the tag that the server gave at first, and
//! what is in the folder against a hash of its own.
//!
//! Nothing here reads the environment: whoever asks gives the settings ([`Options::settings`]), by the names that the
//! stores' own tools use in theirs. One exception is `object_store`'s own: without other credentials it looks for those
//! of Google's tools in the home folder, and asks the machine's metadata service.
//!
//! Without the feature `remote` there are files only, and a store cannot be made.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

#[cfg(feature = "remote")]
mod ahead;
#[cfg(feature = "remote")]
mod cache;
#[cfg(feature = "remote")]
mod connect;
#[cfg(not(feature = "remote"))]
mod no_object;
#[cfg(feature = "remote")]
mod object;
mod remote;

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Result, cannot_read};

#[cfg(feature = "remote")]
pub use ahead::ReadAhead;
#[cfg(not(feature = "remote"))]
use no_object::Object;
#[cfg(not(feature = "remote"))]
pub use no_object::{ReadAhead, Store};
#[cfg(feature = "remote")]
use object::Object;
#[cfg(feature = "remote")]
pub use object::{Options, Store};
pub use remote::{Environment, MadeStore, Proxies, RemoteConfig};

/// Whether a table, an archive or an image is named by an address, not by a path.
pub fn is_remote(path: &Path) -> bool {
    scheme(path).is_some()
}

/// Whether a cell's text is an address, of whatever scheme, and not a path.
pub(crate) fn is_address(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        let is_of_schemes = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        scheme.len() > 1 && scheme.chars().all(is_of_schemes)
    })
}

/// The scheme of an address that is read.
fn scheme(path: &Path) -> Option<&str> {
    let (scheme, _) = path.to_str()?.split_once("://")?;
    let is_known = ["s3", "gs", "az", "http", "https"].contains(&scheme);
    is_known.then_some(scheme)
}

/// An archive or an image: a file, or an object that is fetched when it is opened.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    object: Option<Object>,
}

impl PartialEq for Shard {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Shard {}

impl Hash for Shard {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

impl Shard {
    /// An archive on disk, which is never fetched.
    pub fn file(path: PathBuf) -> Self {
        Self { path, object: None }
    }

    /// Its path or address.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store that it is in, where it is not a file.
    pub fn store(&self) -> Option<&Arc<Store>> {
        self.object.as_ref().map(Object::store)
    }

    /// Its size.
    ///
    /// # Errors
    ///
    /// [`Error::Read`](crate::Error::Read), [`Error::Object`](crate::Error::Object).
    pub fn n_bytes(&self) -> Result<u64> {
        match &self.object {
            Some(object) => object.n_bytes(&self.path),
            None => std::fs::metadata(&self.path)
                .map(|found| found.len())
                .map_err(cannot_read(&self.path)),
        }
    }

    /// What tells its content from another: the server's tag. `None` for a file, or where the server gave none.
    pub fn tag(&self) -> Option<&str> {
        self.object.as_ref()?.tag()
    }

    /// As [`Shard::n_bytes`] of an object, where the server was asked already.
    pub fn known_bytes(&self) -> Option<u64> {
        self.object.as_ref()?.known_bytes()
    }

    /// Opens it, once it is here.
    ///
    /// # Errors
    ///
    /// [`Error::Read`](crate::Error::Read); [`Error::Object`](crate::Error::Object), [`Error::ObjectTooLarge`](crate::Error::ObjectTooLarge), [`Error::Write`](crate::Error::Write) where it is fetched.
    pub fn open(&self) -> Result<File> {
        match &self.object {
            Some(object) => object.open(&self.path),
            None => File::open(&self.path).map_err(cannot_read(&self.path)),
        }
    }

    /// Fetches it, if it is not here.
    #[cfg(feature = "remote")]
    fn fetch(&self) -> Result<()> {
        match &self.object {
            Some(object) => object.fetched(&self.path).map(drop),
            None => Ok(()),
        }
    }
}
