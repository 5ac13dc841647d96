//! Files and folders that appear whole or not at all.
//!
//! Everything is written beside its place under a name that begins with a dot and ends in
//! `.partial`, flushed to the disk, and then renamed. A reader sees the old content or the new,
//! never a part; a process that is killed leaves at most a `.partial`, which the next one clears.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Result, cannot_write};

mod stale;

/// Writes a file whole or not at all.
///
/// An existing file is replaced; its old content stays until the new one is complete.
/// A device or a pipe (`/dev/stdout`) is written to directly, since it cannot be replaced.
///
/// # Errors
///
/// [`Error::Write`](crate::Error::Write) with the path as given and what the system said (disk full, no permission);
/// whatever was there before is untouched.
///
/// # Example
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("metrics.json");
/// sidelight_data::write::write_whole(&path, |file| file.write_all(b"{}"))?;
/// assert_eq!(std::fs::read(&path)?, b"{}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let mut file = WholeFile::create(path)?;
    write(&mut file).map_err(cannot_write(path))?;
    file.finish()
}

/// A file in the making: write to it, then [`finish`](Self::finish). Dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    place: Place,
}

/// Where the bytes go meanwhile.
#[derive(Debug)]
enum Place {
    /// A hidden file beside the final one.
    Beside {
        file: BufWriter<NamedTempFile>,
        target: PathBuf,
    },
    /// The thing itself: a device or a pipe.
    Direct(BufWriter<File>),
}

impl WholeFile {
    /// Begins a file that will be at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write) if its folder does not exist or cannot be written to.
    pub fn create(path: &Path) -> Result<Self> {
        let place = Place::open(path).map_err(cannot_write(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            place,
        })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write); whatever was there before is untouched.
    pub fn finish(self) -> Result<()> {
        let Self { path, place } = self;
        place.finish().map_err(cannot_write(&path))
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.place {
            Place::Beside { file, .. } => file.write(bytes),
            Place::Direct(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.place {
            Place::Beside { file, .. } => file.flush(),
            Place::Direct(file) => file.flush(),
        }
    }
}

/// Fails where bytes go straight into a pipe.
impl Seek for WholeFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.place {
            Place::Beside { file, .. } => file.seek(to),
            Place::Direct(file) => file.seek(to),
        }
    }
}

impl Place {
    fn open(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(io::Error::new(
                    io::ErrorKind::IsADirectory,
                    "there is a folder of that name",
                ));
            }
            Ok(found) if !found.is_file() => {
                return Ok(Self::Direct(BufWriter::new(
                    File::options().write(true).open(path)?,
                )));
            }
            _ => {}
        }
        // A link keeps pointing where it points: what it names is replaced, not the link.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let name = name_of(&target)?;
        let file = stale::begin(folder_of(&target), &name, readable_by_others)?;
        Ok(Self::Beside {
            file: BufWriter::new(file),
            target,
        })
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Direct(mut file) => file.flush(),
            Self::Beside { file, target } => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                // Without this a power cut after the rename could leave an empty file.
                file.as_file().sync_all()?;
                file.persist(&target).map_err(|failed| failed.error)?;
                sync_folder(folder_of(&target));
                Ok(())
            }
        }
    }
}

/// A folder in the making: put files under [`path`](Self::path), then [`finish`](Self::finish).
/// Dropped before that, it leaves nothing.
///
/// # Example
///
/// ```
/// # let parent = tempfile::tempdir()?;
/// use sidelight_data::write::FolderWriter;
/// let model = parent.path().join("model");
/// let writer = FolderWriter::create(&model)?;
/// std::fs::write(writer.path().join("task.json"), "{}")?;
/// assert!(!model.exists());
/// writer.finish()?;
/// assert!(model.join("task.json").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FolderWriter {
    target: PathBuf,
    partial: PathBuf,
}

impl FolderWriter {
    /// Begins a folder that will be at `path`; what a killed process left of an earlier try is cleared.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write) if the parent folder does not exist or cannot be written to.
    pub fn create(path: &Path) -> Result<Self> {
        recover_folder(path)?;
        let begin = || {
            let partial = hidden_sibling(path, "partial")?;
            remove_folder_if_there(&partial)?;
            fs::create_dir(&partial)?;
            Ok(Self {
                target: path.to_path_buf(),
                partial,
            })
        };
        begin().map_err(cannot_write(path))
    }

    /// Where to put the files meanwhile.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Puts the folder in its place; one that was there is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write); what was there before stays.
    pub fn finish(self) -> Result<()> {
        self.replace().map_err(cannot_write(&self.target))
    }

    fn replace(&self) -> io::Result<()> {
        sync_tree(&self.partial)?;
        if !self.target.exists() {
            fs::rename(&self.partial, &self.target)?;
        } else {
            // A folder cannot be renamed over another, so for a moment there is only the
            // `.old` one; `recover_folder` puts it back if we are killed in that moment.
            let old = hidden_sibling(&self.target, "old")?;
            remove_folder_if_there(&old)?;
            fs::rename(&self.target, &old)?;
            if let Err(failed) = fs::rename(&self.partial, &self.target) {
                fs::rename(&old, &self.target)?;
                return Err(failed);
            }
            // The new folder is in place: an old one that cannot be removed is only untidy.
            let _ = fs::remove_dir_all(&old);
        }
        sync_folder(folder_of(&self.target));
        Ok(())
    }
}

impl Drop for FolderWriter {
    fn drop(&mut self) {
        // After `finish` it is no longer there. In a destructor nobody hears of a failure;
        // the next `create` clears it.
        let _ = remove_folder_if_there(&self.partial);
    }
}

/// Puts back a folder whose replacement was interrupted between its two renames.
/// Call it before reading a folder that a [`FolderWriter`] replaces (a checkpoint, say).
///
/// # Errors
///
/// [`Error::Write`](crate::Error::Write) if it is there but cannot be renamed.
pub fn recover_folder(path: &Path) -> Result<()> {
    let recover = || {
        let old = hidden_sibling(path, "old")?;
        match (path.exists(), old.is_dir()) {
            (false, true) => fs::rename(old, path),
            _ => Ok(()),
        }
    };
    recover().map_err(cannot_write(path))
}

/// `runs/a` → `runs/.a.partial`.
pub fn hidden_sibling(path: &Path, ending: &str) -> io::Result<PathBuf> {
    Ok(folder_of(path).join(format!(".{}.{ending}", name_of(path)?)))
}

/// Removes a folder with all that is in it; none there is no error.
pub fn remove_folder_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(found) if found.kind() != io::ErrorKind::NotFound => Err(found),
        _ => Ok(()),
    }
}

/// Removes a file; none there is no error.
pub fn remove_file_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(found) if found.kind() != io::ErrorKind::NotFound => Err(found),
        _ => Ok(()),
    }
}

/// Opens a file for writing and keeps what is in it, as for a lock; makes it where there is none.
pub fn open_kept(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true).open(path)
}

fn name_of(path: &Path) -> io::Result<String> {
    match path.file_name() {
        Some(name) => Ok(name.to_string_lossy().into_owned()),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path has no name at its end",
        )),
    }
}

/// The folder a path is in; `.` for a bare name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Temporary files are private to their owner; results should have the usual permissions.
fn readable_by_others(builder: &mut tempfile::Builder<'_, '_>) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's umask takes from this what it takes from any new file.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    #[cfg(not(unix))]
    let _ = builder;
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            // Opened for writing, since Windows flushes no other handle.
            File::options()
                .append(true)
                .open(entry.path())?
                .sync_all()?;
        }
    }
    sync_folder(folder);
    Ok(())
}

/// Makes a rename durable. Some systems cannot open or flush a folder: there the rename is
/// as durable as they make it.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_invisible_until_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_whole(&path, |file| {
            file.write_all(b"half")?;
            file.flush()?;
            assert!(!path.exists());
            file.write_all(b" and half")
        })
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "half and half");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_failure_in_the_middle_keeps_the_old_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, "old").unwrap();
        let failed = write_whole(&path, |file| {
            file.write_all(b"new, but")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert_eq!(
            failed.to_string(),
            format!("cannot write {}", path.display())
        );
        assert!(failed.hint().unwrap().contains("free some space"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere/a.json");
        let failed = write_whole(&path, |_| Ok(())).unwrap_err();
        assert_eq!(
            failed.to_string(),
            format!("cannot write {}", path.display())
        );
        assert!(failed.hint().unwrap().contains("does not exist"));
    }

    #[test]
    fn a_folder_in_the_way_is_not_replaced_by_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let failed = write_whole(folder.path(), |_| Ok(())).unwrap_err();
        assert!(
            matches!(failed, crate::Error::Write { source, .. } if source.kind() == io::ErrorKind::IsADirectory)
        );
        assert!(folder.path().is_dir());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_and_a_device_is_not_replaced() {
        let device = Path::new("/dev/full");
        let failed = write_whole(device, |file| file.write_all(b"too much")).unwrap_err();
        assert_eq!(failed.to_string(), "cannot write /dev/full");
        assert!(failed.hint().unwrap().contains("free some space"));
        assert!(!fs::metadata(device).unwrap().is_file());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_keeps_pointing_where_it_points() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real.json");
        let link = folder.path().join("link.json");
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write_whole(&link, |file| file.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    }

    #[cfg(unix)]
    #[test]
    fn a_written_file_has_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let ours = folder.path().join("ours");
        let usual = folder.path().join("usual");
        write_whole(&ours, |_| Ok(())).unwrap();
        fs::write(&usual, "").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&usual));
    }

    #[test]
    fn a_folder_is_invisible_until_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        let writer = FolderWriter::create(&path).unwrap();
        fs::create_dir(writer.path().join("inner")).unwrap();
        fs::write(writer.path().join("inner/a"), "1").unwrap();
        assert_eq!(names(folder.path()), [".model.partial"]);
        writer.finish().unwrap();
        assert_eq!(names(folder.path()), ["model"]);
        assert_eq!(fs::read_to_string(path.join("inner/a")).unwrap(), "1");
    }

    #[test]
    fn a_folder_given_up_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a"), "old").unwrap();
        let writer = FolderWriter::create(&path).unwrap();
        fs::write(writer.path().join("a"), "new").unwrap();
        drop(writer);
        assert_eq!(fs::read_to_string(path.join("a")).unwrap(), "old");
        assert_eq!(names(folder.path()), ["model"]);
    }

    #[test]
    fn what_a_killed_process_left_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        fs::create_dir(folder.path().join(".model.partial")).unwrap();
        fs::write(folder.path().join(".model.partial/stale"), "").unwrap();
        let writer = FolderWriter::create(&path).unwrap();
        fs::write(writer.path().join("a"), "new").unwrap();
        writer.finish().unwrap();
        assert_eq!(names(&path), ["a"]);
    }

    #[test]
    fn a_replacement_killed_between_its_renames_is_undone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        fs::create_dir(folder.path().join(".checkpoint.old")).unwrap();
        fs::write(folder.path().join(".checkpoint.old/weights"), "good").unwrap();
        recover_folder(&path).unwrap();
        assert_eq!(fs::read_to_string(path.join("weights")).unwrap(), "good");
    }

    #[test]
    fn a_replaced_folder_holds_only_the_new_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        for name in ["first", "second"] {
            let writer = FolderWriter::create(&path).unwrap();
            fs::write(writer.path().join(name), "").unwrap();
            writer.finish().unwrap();
        }
        assert_eq!(names(&path), ["second"]);
        assert_eq!(names(folder.path()), ["model"]);
    }
}
