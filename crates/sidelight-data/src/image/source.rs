//! Where the bytes of an image come from.

use std::path::PathBuf;
use std::sync::Arc;

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
        }
    }

    /// Whether it is that of a row without an image.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Bytes { name, bytes } if name.is_empty() && bytes.is_empty())
    }
}
