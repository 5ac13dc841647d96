//! Where the bytes of an image come from.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::store::{ReadAhead, Shard};
use crate::table::Member;

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ImageSource {
    /// An image file on disk.
    Path(PathBuf),
    /// The encoded bytes, with a name for messages.
    Bytes {
        /// What messages call it.
        name: String,
        /// JPEG, PNG, …
        bytes: Arc<[u8]>,
    },
    /// Bytes of an archive, read when they are needed.
    Member(Arc<Member>),
    /// An object in a store or on an HTTP server, fetched when it is needed.
    Object(Arc<Shard>),
}

impl ImageSource {
    /// That of a row without an image: neither a name nor bytes.
    pub fn absent() -> Self {
        Self::Bytes {
            name: String::new(),
            bytes: [].into(),
        }
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Bytes { name, .. } => name.clone(),
            Self::Member(member) => format!("{}: {}", member.archive.path().display(), member.name),
            Self::Object(object) => object.path().display().to_string(),
        }
    }

    /// Fetches those of these images that are objects in the background, in their order, until what is given back is
    /// dropped; `None`: none of them is.
    pub fn read_ahead<'a>(images: impl Iterator<Item = &'a Self>) -> Option<ReadAhead> {
        let mut seen = HashSet::new();
        let object = |image: &'a Self| match image {
            Self::Object(object) if seen.insert(object.path()) => Some(Arc::clone(object)),
            _ => None,
        };
        let objects: Vec<Arc<Shard>> = images.filter_map(object).collect();
        let store = Arc::clone(objects.first()?.store()?);
        Some(store.read_many_ahead(objects))
    }

    /// Whether it is that of a row without an image.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Bytes { name, bytes } if name.is_empty() && bytes.is_empty())
    }
}
