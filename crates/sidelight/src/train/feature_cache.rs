//! Features on disk: what frozen layers say of an image is computed once, for all runs of one machine.
//!
//! One file per key; the key is a hash of everything that shapes a feature but the image: the frozen layers and their
//! weights, the precision and the instruction set that computed them, the way from a file to pixels. In it one record
//! per image, under the hash of its bytes as stored, with a check of its own. A file that is cut off, altered or of
//! another format gives fewer records or none, never wrong ones.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use sidelight_kernels::SimdPath;

use crate::digest::hexadecimal;
use crate::error::{Result, cannot_write};
use crate::loader::Preprocess;
use crate::network::Network;
use crate::ranks::{from_bytes, to_bytes};
use crate::run::write_whole;

/// First bytes of a file. The number changes with everything that changes features and is not hashed: how images are
/// decoded and resized, how layers are computed.
const FORMAT: &[u8; 16] = b"sidelight-feat-2";
const ENDING: &str = "features";
/// A map of a million numbers is none that anyone keeps per image.
const MOST_NUMBERS: usize = 1 << 22;

pub(super) type Hash = [u8; 32];

/// A folder of features, of bounded size: where it grows beyond it, the files that were not used for longest go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureCache {
    /// The folder; made when it is first needed.
    pub dir: PathBuf,
    /// Most bytes of all its files.
    pub max_bytes: u64,
}

/// The features of one key.
#[derive(Debug)]
pub(super) struct Records {
    path: PathBuf,
    /// Of one image.
    pub(super) shape: Vec<usize>,
    known: HashMap<Hash, Vec<f32>>,
    is_changed: bool,
}

/// The key of what the network's first `n` children say of images that come this way.
pub(super) fn key(network: &Network, n: usize, preprocess: &Preprocess) -> Hash {
    let mut hash = Sha256::new();
    hash.update(FORMAT);
    let Preprocess {
        size,
        resize,
        mean,
        sd,
        range,
        // Those of the first convolution.
        channels: _,
    } = preprocess;
    hash.update(format!(
        "{size} {resize:?} {mean:?} {sd:?} {range:?} {:?} {:?}",
        network.precision,
        SimdPath::best()
    ));
    for (name, child) in &network.root.children[..n] {
        hash.update(name);
        hash.update(
            serde_json::to_vec(&child.architecture()).expect("an architecture is written as JSON"),
        );
    }
    let prefix: Vec<&str> = network.root.children[..n]
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    for (path, _, values) in network.state_dict() {
        if prefix.contains(&path.split('.').next().unwrap_or_default()) {
            hash.update(&path);
            hash.update(to_bytes(&values));
        }
    }
    hash.finalize().into()
}

impl FeatureCache {
    /// What is known under this key; nothing where the file cannot be read.
    pub(super) fn open(&self, key: Hash) -> Records {
        let path = self
            .dir
            .join(hexadecimal(&key[..16]))
            .with_extension(ENDING);
        let mut records = Records {
            shape: Vec::new(),
            known: HashMap::new(),
            is_changed: false,
            path,
        };
        if let Ok(file) = File::open(&records.path) {
            // Used: among the last to go.
            let _ = file.set_modified(SystemTime::now());
            let limit = file.metadata().map_or(0, |found| found.len());
            if limit <= self.max_bytes {
                records.read(&mut BufReader::new(file));
            }
        }
        records
    }

    /// Writes what is new, whole or not at all, and keeps the folder within its size.
    pub(super) fn save(&self, records: &Records) -> Result<()> {
        if !records.is_changed || records.n_bytes() > self.max_bytes {
            return Ok(());
        }
        fs::create_dir_all(&self.dir).map_err(cannot_write(&self.dir))?;
        write_whole(&records.path, |file| records.write(file))?;
        self.evict(&records.path);
        Ok(())
    }

    /// Removes the files that were not used for longest until the rest fits; never the one just written.
    fn evict(&self, kept: &Path) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let found = path.metadata().ok()?;
                let is_ours = path.extension().is_some_and(|ending| ending == ENDING);
                is_ours.then_some((found.modified().ok()?, found.len(), path))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, n, _)| n).sum();
        for (_, n, path) in files {
            if total <= self.max_bytes {
                break;
            }
            if path != kept && fs::remove_file(path).is_ok() {
                total -= n;
            }
        }
    }
}

impl Records {
    pub(super) fn get(&self, image: &Hash) -> Option<&[f32]> {
        self.known.get(image).map(Vec::as_slice)
    }

    /// Forgets what is of another shape: the numbers have a check each, how they lie has none.
    pub(super) fn keep_shape(&mut self, shape: &[usize]) {
        if self.shape != shape {
            self.shape.clear();
            self.known.clear();
        }
    }

    /// Adds what was computed. Features of another shape than the others are not taken.
    fn put(&mut self, image: Hash, shape: &[usize], values: Vec<f32>) {
        if self.known.is_empty() {
            self.shape = shape.to_vec();
        }
        if self.shape == shape {
            self.known.insert(image, values);
            self.is_changed = true;
        }
    }

    /// Adds what was computed of these images, one after another, where it is not known already.
    pub(super) fn put_all(&mut self, images: &[Hash], shape: &[usize], values: &[f32]) {
        let width = shape.iter().product::<usize>().max(1);
        for (image, values) in images.iter().zip(values.chunks_exact(width)) {
            if self.get(image).is_none() {
                self.put(*image, shape, values.to_vec());
            }
        }
    }

    fn n_bytes(&self) -> u64 {
        let width: usize = self.shape.iter().product();
        (self.known.len() * (width * 4 + 64)) as u64
    }

    fn write(&self, file: &mut dyn std::io::Write) -> std::io::Result<()> {
        file.write_all(FORMAT)?;
        file.write_all(&(self.shape.len() as u32).to_le_bytes())?;
        for &side in &self.shape {
            file.write_all(&(side as u32).to_le_bytes())?;
        }
        let mut images: Vec<&Hash> = self.known.keys().collect();
        images.sort();
        for image in images {
            let values = to_bytes(&self.known[image]);
            file.write_all(image)?;
            file.write_all(&values)?;
            file.write_all(&check(image, &values))?;
        }
        Ok(())
    }

    /// Reads as far as it can.
    fn read(&mut self, file: &mut impl Read) -> Option<()> {
        let mut start = [0; 20];
        file.read_exact(&mut start).ok()?;
        let n_sides = u32::from_le_bytes(start[16..].try_into().ok()?) as usize;
        if &start[..16] != FORMAT || n_sides > 3 {
            return None;
        }
        let mut shape = Vec::new();
        for _ in 0..n_sides {
            let mut side = [0; 4];
            file.read_exact(&mut side).ok()?;
            shape.push(u32::from_le_bytes(side) as usize);
        }
        let width = shape
            .iter()
            .try_fold(1usize, |n, &side| n.checked_mul(side))
            .filter(|&n| n > 0 && n <= MOST_NUMBERS)?;
        self.shape = shape;
        let mut record = vec![0; 32 + width * 4 + 32];
        loop {
            file.read_exact(&mut record).ok()?;
            let (image, rest) = record.split_at(32);
            let (values, found) = rest.split_at(width * 4);
            let image: Hash = image.try_into().ok()?;
            if check(&image, values) == found {
                self.known.insert(image, from_bytes(values));
            }
        }
    }
}

fn check(image: &Hash, values: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(image);
    hash.update(values);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(cache: &FeatureCache, key: u8) -> Records {
        let mut records = cache.open([key; 32]);
        for image in 0..4u8 {
            let values = (0..6).map(|i| f32::from(image) + i as f32 / 8.0).collect();
            records.put([image; 32], &[2, 3], values);
        }
        cache.save(&records).unwrap();
        records
    }

    fn cache(dir: &Path, max_bytes: u64) -> FeatureCache {
        FeatureCache {
            dir: dir.join("features"),
            max_bytes,
        }
    }

    #[test]
    fn what_was_written_is_read_again_and_another_key_knows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 1 << 20);
        let written = filled(&cache, 7);
        let read = cache.open([7; 32]);
        assert_eq!((&read.shape, &read.known), (&written.shape, &written.known));
        assert!(cache.open([8; 32]).known.is_empty());
    }

    #[test]
    fn a_damaged_file_gives_fewer_records_never_wrong_ones() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 1 << 20);
        let whole = filled(&cache, 7);
        let bytes = fs::read(&whole.path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            fs::write(&whole.path, &damaged).unwrap();
            let read = cache.open([7; 32]);
            for (image, values) in &read.known {
                assert_eq!(Some(values), whole.known.get(image), "byte {at}");
            }
            fs::write(&whole.path, &bytes[..at]).unwrap();
            let read = cache.open([7; 32]);
            assert!(read.known.len() < 4);
            for (image, values) in &read.known {
                assert_eq!(Some(values), whole.known.get(image), "cut at {at}");
            }
        }
    }

    #[test]
    fn beyond_its_size_the_file_unused_for_longest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 1000);
        for key in [1, 2] {
            let records = filled(&cache, key);
            let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(key.into());
            let file = File::open(&records.path).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        cache.open([1; 32]); // used, so that 2 is now the oldest
        filled(&cache, 3);
        let is_known = |key: u8| !cache.open([key; 32]).known.is_empty();
        assert_eq!([1, 2, 3].map(is_known), [true, false, true]);
    }
}
