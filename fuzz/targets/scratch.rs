//! Where inputs lie that are read as files, and the checksum that formats have in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A folder of this process.
pub(crate) fn scratch() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        match memory.is_dir() {
            true => tempfile::tempdir_in(memory).expect("a folder in memory"),
            false => tempfile::tempdir().expect("a folder"),
        }
    });
    folder.path()
}

/// A file of this thread with these bytes.
pub(crate) fn put(name: &str, data: &[u8]) -> PathBuf {
    let folder = scratch().join(format!("{:?}", std::thread::current().id()));
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    fs::write(&path, data).expect("a file");
    path
}

/// The checksum of a chunk of PNG, and of a member of a zip.
///
/// # Source
///
/// W3C, "Portable Network Graphics Specification", annex D.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(!0, step)
}

/// A zip archive of members that are stored as they are, by their names; without checksums.
///
/// # Source
///
/// PKWARE, "APPNOTE.TXT: .ZIP File Format Specification", 4.3.
pub(crate) fn zipped(members: &[(&[u8], &[u8])]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let (name, start) = (&name[..name.len().min(1000)], zip.len() as u32);
        let mut facts = vec![20, 0];
        facts.extend([0; 12]);
        facts.extend((content.len() as u32).to_le_bytes());
        facts.extend((content.len() as u32).to_le_bytes());
        facts.extend((name.len() as u16).to_le_bytes());
        facts.extend([0; 2]);
        zip.extend(b"PK\x03\x04");
        zip.extend([&facts, name, content].concat());
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&facts);
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name);
    }
    let (n, start) = ((members.len() as u16).to_le_bytes(), zip.len() as u32);
    zip.extend(&directory);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend([n, n].concat());
    zip.extend((directory.len() as u32).to_le_bytes());
    zip.extend(start.to_le_bytes());
    zip.extend([0; 2]);
    zip
}

/// A panic is said in a line: one that the library catches and makes an error of must not end the process, as it does with
/// the hook of libFuzzer's crate, which ends it for any that reaches the target all the same.
#[allow(clippy::print_stderr, reason = "a program of its own")]
pub(crate) fn say_panics() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}
