//! Decoded and scaled images kept in memory, so that each is decoded once and not once an epoch.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::ImageSource;
use super::resize::fit;
use super::{Area, Limits, Picture, PixelFormat, decode_part, read};
use crate::config::ResizeMethod;
use crate::error::Result;

/// Pictures as [`fit`] gives them, under the hash of the encoded bytes and all that shapes them.
///
/// One cache may serve many loaders at once: epochs, arms, folds, seeds, sizes. A file that is written anew is
/// read anew (its size and time of change are looked at every time). Beyond the budget nothing is kept and
/// nothing is thrown out: an epoch visits every image once, so that throwing out the oldest would throw out
/// exactly what comes next.
#[derive(Debug)]
pub struct PixelCache {
    max_bytes: usize,
    /// How pictures are read.
    reading: PixelFormat,
    state: Mutex<State>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    pictures: HashMap<Key, Arc<Picture>>,
    contents: HashMap<PathBuf, (Stamp, [u8; 32])>,
    n_bytes: usize,
}

/// What shows that bytes are still those that they were.
#[derive(Debug, PartialEq)]
enum Stamp {
    /// Length and time of change.
    File(u64, Option<SystemTime>),
    /// Length and the server's tag.
    Object(u64, Option<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    content: [u8; 32],
    size: usize,
    method: u8,
    fill: [u8; 3],
    area: Option<Area>,
}

/// What a cache holds and how often it served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheUse {
    /// Decoded pictures in the cache.
    pub n_pictures: usize,
    /// Bytes that these pictures occupy.
    pub n_bytes: usize,
    /// Requests answered from the cache.
    pub hits: u64,
    /// Requests for which an image was decoded.
    pub misses: u64,
}

/// Decodes an image and fits it to a square of `size`, as [`fit`] does, without any cache.
///
/// A large JPEG is decoded at reduced scale where both sides stay at least twice `size`, which leaves the
/// antialiasing to the final resize (see [`super::decode`]).
///
/// # Errors
///
/// As [`super::decode`].
pub fn fitted(
    source: &ImageSource,
    size: usize,
    method: ResizeMethod,
    fill: [u8; 3],
) -> Result<Picture> {
    fitted_as(source, size, method, fill, PixelFormat::default())
}

/// As [`fitted`], for a network that reads images in this way.
///
/// # Errors
///
/// As [`super::decode_as`].
pub fn fitted_as(
    source: &ImageSource,
    size: usize,
    method: ResizeMethod,
    fill: [u8; 3],
    reading: PixelFormat,
) -> Result<Picture> {
    let limits = Limits::default();
    let bytes = read(source, &limits)?;
    let picture = decode_part(source, &bytes, Some(2 * size), &limits, reading)?;
    Ok(fit(&picture, size, method, fill))
}

impl PixelCache {
    /// An empty cache that will hold at most so many bytes of pixels.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            reading: PixelFormat::default(),
            state: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The same for pictures read in this way ([`fitted_as`]).
    #[must_use]
    pub fn with_format(self, reading: PixelFormat) -> Self {
        Self { reading, ..self }
    }

    /// [`fitted`], from the cache where it is there.
    ///
    /// # Errors
    ///
    /// As [`super::decode_as`]. Failures are not kept: the next request tries again.
    pub fn fitted(
        &self,
        source: &ImageSource,
        size: usize,
        method: ResizeMethod,
        fill: [u8; 3],
    ) -> Result<Arc<Picture>> {
        let key = |content| Key {
            content,
            size,
            method: method as u8,
            fill,
            area: source.area(),
        };
        // Before the bytes are read: what is written meanwhile is read anew next time.
        let before = stamp(source);
        if let Some((path, stamp)) = &before {
            let state = self.state();
            let known = state.contents.get(*path);
            let known = known.filter(|(then, _)| then == stamp);
            if let Some(picture) = known.and_then(|(_, content)| state.pictures.get(&key(*content)))
            {
                self.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(Arc::clone(picture));
            }
        }
        let limits = Limits::default();
        let bytes = read(source, &limits)?;
        let key = key(Sha256::digest(&bytes).into());
        // Of an object nothing is known before it was read, and it cannot change while it is.
        let stamp = before.or_else(|| stamp(source));
        if let Some((path, stamp)) = stamp {
            let known = (stamp, key.content);
            self.state().contents.insert(path.to_path_buf(), known);
        }
        if let Some(picture) = self.state().pictures.get(&key) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Arc::clone(picture));
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let picture = decode_part(source, &bytes, Some(2 * size), &limits, self.reading)?;
        let picture = Arc::new(fit(&picture, size, method, fill));
        let bytes_of = |part: &Picture| {
            let of_deep = part.deep.as_ref().map_or(0, |deep| 2 * deep.len());
            part.rgb.len() + of_deep + size_of::<Picture>()
        };
        let n_bytes = picture.in_threes().map(bytes_of).sum::<usize>() + size_of::<Key>();
        let mut state = self.state();
        // Another thread may have been quicker with the same image.
        if state.n_bytes + n_bytes <= self.max_bytes && !state.pictures.contains_key(&key) {
            state.n_bytes += n_bytes;
            state.pictures.insert(key, Arc::clone(&picture));
        }
        Ok(picture)
    }

    /// What it holds and how often it served.
    pub fn usage(&self) -> CacheUse {
        let state = self.state();
        CacheUse {
            n_pictures: state.pictures.len(),
            n_bytes: state.n_bytes,
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }

    /// Every entry is put in whole, so that what a thread left behind when it panicked is sound.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What shows whether an image is still what it was, and the name to keep that under; `None`: its bytes are read.
fn stamp(source: &ImageSource) -> Option<(&Path, Stamp)> {
    match source.whole() {
        ImageSource::Path(path) => {
            let found = std::fs::metadata(path).ok()?;
            Some((path, Stamp::File(found.len(), found.modified().ok())))
        }
        ImageSource::Object(object) => {
            let tag = object.tag().map(str::to_owned);
            Some((object.path(), Stamp::Object(object.known_bytes()?, tag)))
        }
        ImageSource::Bytes { .. }
        | ImageSource::Member(_)
        | ImageSource::Several(_)
        | ImageSource::Crop(_) => None,
    }
}
