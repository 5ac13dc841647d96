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
    /// Several images of one row, in order; one that the row lacks is [absent](ImageSource::is_absent).
    Several(Arc<[ImageSource]>),
}

impl ImageSource {
    /// That of a row without an image: neither a name nor bytes.
    pub fn absent() -> Self {
        Self::Bytes {
            name: String::new(),
            bytes: [].into(),
        }
    }

    /// That of a row with these images, in order.
    pub fn of_parts(mut parts: Vec<Self>) -> Self {
        match parts.len() {
            1 => parts.remove(0),
            _ => Self::Several(parts.into()),
        }
    }

    /// The row's images, one after another, those that it lacks among them; one is itself.
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Several(parts) => parts,
            one => std::slice::from_ref(one),
        }
    }

    /// Those of the row's images that are there.
    pub fn present(&self) -> impl Iterator<Item = &Self> + Clone {
        self.parts().iter().filter(|part| !part.is_absent())
    }

    /// The first of the row's images that is there, if there is one, else the first: what stands for the row where one
    /// picture is shown.
    pub fn first(&self) -> &Self {
        let first = self.present().next();
        first.or(self.parts().first()).unwrap_or(self)
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        match self {
            Self::Several(_) => self
                .present()
                .map(Self::name)
                .collect::<Vec<_>>()
                .join(", "),
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
        let objects = images.flat_map(Self::parts).filter_map(object);
        let objects: Vec<Arc<Shard>> = objects.collect();
        let store = objects.first()?.store().cloned();
        store.map(|store| store.read_many_ahead(objects))
    }

    /// Whether it is that of a row without an image.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Bytes { name, bytes } => name.is_empty() && bytes.is_empty(),
            Self::Several(parts) => parts.iter().all(Self::is_absent),
            Self::Path(_) | Self::Member(_) | Self::Object(_) => false,
        }
    }
}
