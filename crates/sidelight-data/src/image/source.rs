//! Where the bytes of an image come from.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::Area;
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
    /// A part of an image, which a network sees in the place of the whole; everything else is of the whole.
    Crop(Arc<(ImageSource, Area)>),
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

    /// This part of it, in the place of the whole; of several images of each.
    #[must_use]
    pub fn cropped(self, area: Area) -> Self {
        match self {
            Self::Several(parts) => {
                let parts = parts.iter().map(|part| part.clone().cropped(area));
                Self::Several(parts.collect())
            }
            absent if absent.is_absent() => absent,
            whole => Self::Crop(Arc::new((whole, area))),
        }
    }

    /// The whole image, where it is a part of one, else itself.
    pub fn whole(&self) -> &Self {
        match self {
            Self::Crop(crop) => crop.0.whole(),
            whole => whole,
        }
    }

    /// Which part of it a network sees; `None`: all of it.
    pub fn area(&self) -> Option<Area> {
        match self {
            Self::Crop(crop) => Some(crop.1),
            _ => None,
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
            Self::Crop(crop) => crop.0.name(),
            Self::Path(path) => path.display().to_string(),
            Self::Bytes { name, .. } => name.clone(),
            Self::Member(member) => format!("{}: {}", member.archive.path().display(), member.name),
            Self::Object(object) => object.path().display().to_string(),
        }
    }

    /// What tells it from others of its folder: a folder may be moved between two sittings, or be elsewhere on another
    /// machine. Nothing for several, whose parts have each its own.
    pub fn local_name(&self) -> Vec<u8> {
        match self {
            Self::Path(path) => path
                .file_name()
                .unwrap_or_default()
                .as_encoded_bytes()
                .into(),
            Self::Bytes { name, .. } => name.clone().into(),
            Self::Member(member) => member.name.clone().into(),
            Self::Object(_) => self.name().into(),
            Self::Several(_) => Vec::new(),
            Self::Crop(crop) => {
                let mut name = crop.0.local_name();
                name.extend(crop.1.to_string().into_bytes());
                name
            }
        }
    }

    /// Fetches those of these images that are objects in the background, in their order, until what is given back is
    /// dropped; `None`: none of them is.
    pub fn read_ahead<'a>(images: impl Iterator<Item = &'a Self>) -> Option<ReadAhead> {
        let mut seen = HashSet::new();
        let object = |image: &'a Self| match image.whole() {
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
            Self::Crop(crop) => crop.0.is_absent(),
            Self::Path(_) | Self::Member(_) | Self::Object(_) => false,
        }
    }
}
