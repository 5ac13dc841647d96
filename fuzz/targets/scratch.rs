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

/// A panic is said in a line: one that the library catches and makes an error of must not end the process, as it does with
/// the hook of libFuzzer's crate, which ends it for any that reaches the target all the same.
pub(crate) fn say_panics() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}
