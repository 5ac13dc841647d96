//! What a folder holds, to be compared, and the pictures that the jobs read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::random::Random;

/// Files by their names.
pub(crate) type Content = BTreeMap<String, Vec<u8>>;

/// The files of a folder and those within, without what tells of time.
pub(crate) fn content(folder: &Path) -> io::Result<Content> {
    let mut files = Content::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap_or(&path);
            let name = name.to_string_lossy().into_owned();
            let bytes = match name.ends_with("log.jsonl") || name.ends_with(".html") {
                true => Vec::new(),
                false => without_times(fs::read(&path)?),
            };
            files.insert(name, bytes);
        }
    }
    Ok(files)
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => self::copy(&path, &copy)?,
            false => drop(fs::copy(path, copy)?),
        }
    }
    Ok(())
}

/// Removes what is in a folder.
pub(crate) fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => fs::remove_dir_all(path)?,
            false => fs::remove_file(path)?,
        }
    }
    Ok(())
}

/// JSON without the values that tell of time.
fn without_times(bytes: Vec<u8>) -> Vec<u8> {
    let Ok(mut text) = String::from_utf8(bytes.clone()) else {
        return bytes;
    };
    for key in ["seconds\":", "per_second\":"] {
        let mut parts = text.split(key);
        let mut kept = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            kept += key;
            kept += part.trim_start_matches(|c: char| " .e+-".contains(c) || c.is_ascii_digit());
        }
        text = kept;
    }
    text.into_bytes()
}

/// A picture of 16 × 16 pixels.
pub(crate) fn bmp(seed: u8) -> Vec<u8> {
    let n_bytes: u32 = 54 + 16 * 16 * 3;
    let mut bytes = b"BM".to_vec();
    bytes.extend(n_bytes.to_le_bytes());
    bytes.extend([0; 4]);
    for number in [54_u32, 40, 16, 16] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0; 24]);
    let mut random = Random(seed.into());
    bytes.extend((0..16 * 16 * 3).map(|_| random.below(256) as u8));
    bytes
}
