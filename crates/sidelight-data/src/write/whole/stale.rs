//! Files in the making, and those that a process which was killed left of them.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

const END: &str = ".partial";
/// Letters and digits between the name of the file and the end, drawn at random.
const N_RANDOM: usize = 6;

/// A file in the making beside the one of this name; what killed processes left of that is removed. Whoever makes one holds
/// a lock on it.
pub(super) fn begin(
    folder: &Path,
    name: &str,
    like: impl Fn(&mut Builder<'_, '_>),
) -> io::Result<NamedTempFile> {
    let prefix = format!(".{name}.");
    clear(folder, &prefix);
    loop {
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(END).rand_bytes(N_RANDOM);
        like(&mut builder);
        let file = builder.tempfile_in(folder)?;
        // A file system without locks has none that are left: see `clear`.
        let _ = file.as_file().lock();
        // Another process may have found it before it was locked, and taken it for one that was left.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// Removes those that nobody makes any more. What cannot be removed is only untidy.
fn clear(folder: &Path, prefix: &str) {
    let entries = fs::read_dir(folder).into_iter().flatten();
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let random = name
            .to_str()
            .and_then(|name| name.strip_prefix(prefix)?.strip_suffix(END));
        let is_ours = random.is_some_and(|random| {
            random.len() == N_RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        if is_ours && let Ok(file) = File::open(entry.path()) {
            match file.try_lock() {
                Ok(()) => drop(fs::remove_file(entry.path())),
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_of_a_file_is_cleared_and_what_another_makes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let others = [
            ".b.json.Ab12cd.partial",
            ".a.json.notes.partial",
            "a.json.Ab12cd.partial",
        ];
        for name in others.into_iter().chain([".a.json.Ab12cd.partial"]) {
            fs::write(at(name), "left").unwrap();
        }
        let first = begin(folder.path(), "a.json", |_| ()).unwrap();
        assert!(!at(".a.json.Ab12cd.partial").exists());
        let second = begin(folder.path(), "a.json", |_| ()).unwrap();
        assert!(first.path().exists() && second.path().exists());
        first.persist(at("a.json")).unwrap();
        second.persist(at("a.json")).unwrap();
        assert!(others.iter().all(|name| at(name).exists()));
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1 + others.len()
        );
    }
}
