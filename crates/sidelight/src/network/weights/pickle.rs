//! How long the pickles of a `.pth` are, found without taking the memory that reading them takes.
//!
//! # Source
//!
//! The containers: PyTorch, `torch/serialization.py`. The instructions of a pickle: CPython, `Lib/pickletools.py`.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// The pickles at the start of a file of PyTorch 0.1.10 to 1.5: magic number, protocol, system, tensors, their keys.
const LEGACY_PICKLES: usize = 5;

/// `0x1950a86a20f9469cfc6c`, as `LONG1` and in digits.
const MAGIC: [&[u8]; 2] = [
    &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
    b"119547037146038801333356",
];

/// The name of a pickle in the file that goes on for longer than `limit` bytes. A damaged one is for the reader to say.
///
/// # Errors
///
/// Those of the system.
pub(super) fn too_long(path: &Path, limit: u64) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(2).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    match start[..] {
        // What is no whole zip has no pickle to unpack.
        [b'P', b'K'] => Ok(zip::ZipArchive::new(file)
            .ok()
            .and_then(|zip| in_zip(zip, limit))),
        [0x80, _] => {
            let mut bytes = Vec::new();
            file.take(limit + 1).read_to_end(&mut bytes)?;
            Ok(is_too_long(&bytes, limit).then(|| "the pickle".into()))
        }
        _ => in_tar(file, limit),
    }
}

fn in_zip(mut zip: zip::ZipArchive<File>, limit: u64) -> Option<String> {
    (0..zip.len()).find_map(|index| {
        let entry = zip.by_index_raw(index).ok()?;
        let name = entry.name().ok()?;
        (name.ends_with(".pkl") && entry.size() > limit).then(|| format!("`{name}`"))
    })
}

/// The archives of PyTorch before 0.1.10.
fn in_tar(mut file: File, limit: u64) -> io::Result<Option<String>> {
    let mut at = 0;
    // There are four.
    for _ in 0..64 {
        let mut header = [0; 512];
        file.seek(SeekFrom::Start(at))?;
        if file.read_exact(&mut header).is_err() {
            return Ok(None);
        }
        let text = |range: std::ops::Range<usize>| {
            let text = str::from_utf8(&header[range]).unwrap_or_default();
            text.trim_matches(['\0', ' ']).to_owned()
        };
        let (name, size) = (text(0..100), text(124..136));
        let Ok(size) = u64::from_str_radix(&size, 8) else {
            return Ok(None);
        };
        let name = name.trim_start_matches("./");
        if ["sys_info", "tensors", "pickle"].contains(&name) && size > limit {
            return Ok(Some(format!("`{name}`")));
        }
        at += 512 + size.next_multiple_of(512);
    }
    Ok(None)
}

/// Whether pickles at the start of these bytes, of which there is one more than the limit where the file is longer, have
/// no end before it.
fn is_too_long(bytes: &[u8], limit: u64) -> bool {
    let is_cut = bytes.len() as u64 > limit;
    let Some(first) = end_of_pickle(bytes, 0) else {
        return is_cut;
    };
    let has_magic = |magic: &[u8]| bytes[..first].windows(magic.len()).any(|at| at == magic);
    if !MAGIC.into_iter().any(has_magic) {
        return false;
    }
    let mut at = first;
    for _ in 1..LEGACY_PICKLES {
        match end_of_pickle(bytes, at) {
            Some(end) => at = end,
            None => return is_cut,
        }
    }
    false
}

/// The byte after the pickle that begins there; `None`: it does not end in these bytes.
fn end_of_pickle(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let instruction = *bytes.get(at)?;
        at += 1;
        let line = |at: usize| {
            let rest = bytes.get(at..)?;
            Some(at + 1 + rest.iter().position(|byte| *byte == b'\n')?)
        };
        // A length of so many bytes, and as many bytes as it says.
        let counted = |width: usize| {
            let length = bytes.get(at..at + width)?;
            let length = length.iter().rev().try_fold(0_usize, |sum, byte| {
                sum.checked_mul(256)?.checked_add((*byte).into())
            });
            (at + width).checked_add(length?)
        };
        at = match instruction {
            b'.' => return Some(at),
            b'I' | b'L' | b'F' | b'V' | b'S' | b'g' | b'p' | b'P' => line(at)?,
            b'c' | b'i' => line(line(at)?)?,
            b'K' | b'h' | b'q' | 0x80 | 0x82 => at + 1,
            b'M' | 0x83 => at + 2,
            b'J' | b'j' | b'r' | 0x84 => at + 4,
            b'G' | 0x95 => at + 8,
            b'U' | b'C' | 0x8a | 0x8c => counted(1)?,
            b'T' | b'X' | b'B' | 0x8b => counted(4)?,
            0x8d | 0x8e | 0x96 => counted(8)?,
            _ => at,
        };
    }
}
