//! The folder that objects are kept in: each whole or absent, all of them within a limit, the longest unused leave.
//!
//! ```text
//! 3f1c….object     the bytes
//! 3f1c….json       address, length, tag and SHA-256 of what is in it
//! .lock-3f1       held by the process that fetches one whose name begins so
//! .part-…          what is being fetched
//! ```
//!
//! Several processes may share a folder: what one fetched the other uses, and one fetches what both want.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use object_store::ObjectMeta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::digest::{self, hexadecimal};
use crate::error::{Result, cannot_write};

/// What is left of a process that was killed while it fetched goes after so long.
const STALE: Duration = Duration::from_secs(3600);

/// The time of an object's last use is not written more often than that.
const TOUCH: Duration = Duration::from_secs(1);

/// The folder is listed anew when this share of what it may hold has come since: other processes fill it too, and a
/// listing of a hundred thousand images for each of them would take longer than to fetch them.
const LISTED_EVERY: u64 = 256;

const OBJECT: &str = "object";
const RECORD: &str = "json";
const PART: &str = ".part-";
const LOCK: &str = ".lock-";

/// What tells one content of an object from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) size: u64,
    pub(super) tag: Option<String>,
}

impl Version {
    pub(super) fn from_meta(meta: &ObjectMeta) -> Self {
        Self {
            size: meta.size,
            tag: meta.e_tag.clone(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    address: String,
    version: Version,
    sha256: String,
}

#[derive(Debug)]
pub(super) struct Cache {
    dir: PathBuf,
    max_bytes: u64,
    room: Mutex<Room>,
}

/// Bytes in the folder, as far as this process knows.
#[derive(Debug, Default)]
struct Room {
    /// Those that it is fetching.
    coming: u64,
    /// Those of whole objects: when they were listed, and what came since; `None`: not listed yet.
    held: Option<u64>,
    /// What came since.
    since: u64,
}

impl Cache {
    pub(super) fn new(dir: PathBuf, max_bytes: u64) -> Result<Self> {
        fs::create_dir_all(&dir).map_err(cannot_write(&dir))?;
        Ok(Self {
            dir,
            max_bytes,
            room: Mutex::default(),
        })
    }

    /// Where an object is, if it is here.
    pub(super) fn path(&self, address: &Path) -> PathBuf {
        self.dir.join(name(address)).with_extension(OBJECT)
    }

    /// Makes sure that this version of an object is here; `fetch` writes it where it is not.
    pub(super) fn hold(
        &self,
        address: &Path,
        version: &Version,
        fetch: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let path = self.path(address);
        let failed = cannot_write(&path);
        // Few enough that they need not be cleared away, and so many that two objects rarely wait for each other.
        let lock = self.dir.join(format!("{LOCK}{}", &name(address)[..3]));
        let lock = File::create(lock).map_err(failed)?;
        lock.lock().map_err(failed)?;
        // Another process may have fetched it while we waited.
        if self.is_sound(address, version) {
            return Ok(());
        }
        self.remove(&path).map_err(failed)?;
        let _coming = self.make_room(version.size).map_err(failed)?;
        let mut builder = tempfile::Builder::new();
        let part = builder
            .prefix(PART)
            .tempfile_in(&self.dir)
            .map_err(failed)?;
        let mut out = Hashing {
            file: part.as_file(),
            hash: Sha256::new(),
        };
        fetch(&mut out)?;
        let record = Record {
            address: address.display().to_string(),
            version: version.clone(),
            sha256: hexadecimal(&out.hash.finalize()),
        };
        let put = || {
            part.as_file().sync_data()?;
            // First what says what it should be: without the other it says nothing.
            let record = serde_json::to_vec(&record)?;
            let mut file = builder.prefix(PART).tempfile_in(&self.dir)?;
            file.write_all(&record)?;
            file.persist(path.with_extension(RECORD))?;
            part.persist(&path)?;
            Ok(())
        };
        put().map_err(failed)
    }

    /// Notes that an object was used just now. Where that cannot be noted it merely leaves earlier.
    pub(super) fn touch(&self, file: &File) {
        let last = file.metadata().and_then(|found| found.modified());
        let is_old = |last: SystemTime| last.elapsed().is_ok_and(|since| since > TOUCH);
        if last.is_ok_and(is_old) {
            let _ = file.set_modified(SystemTime::now());
        }
    }

    /// Whether this version is here, byte for byte.
    fn is_sound(&self, address: &Path, version: &Version) -> bool {
        let path = self.path(address);
        let look = || -> Option<bool> {
            let record = fs::read(path.with_extension(RECORD)).ok()?;
            let record: Record = serde_json::from_slice(&record).ok()?;
            let n_bytes = fs::metadata(&path).ok()?.len();
            let is_named = record.version == *version && n_bytes == version.size;
            Some(is_named && digest::of_file(&path).ok()?.0 == record.sha256)
        };
        look() == Some(true)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        for path in [path.to_path_buf(), path.with_extension(RECORD)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Lets the objects go that were not used for longest, until so many bytes fit beside those that are coming.
    fn make_room(&self, n_bytes: u64) -> io::Result<Coming<'_>> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let is_few = room.since + n_bytes <= self.max_bytes / LISTED_EVERY;
        let fits = |held| held + room.coming + n_bytes <= self.max_bytes;
        if !(is_few && room.held.is_some_and(fits)) {
            room.held = Some(self.list_and_remove(room.coming + n_bytes)?);
            room.since = 0;
        }
        room.coming += n_bytes;
        Ok(Coming {
            cache: self,
            n_bytes,
        })
    }

    /// The bytes of the objects that are left where so many more must fit.
    fn list_and_remove(&self, n_bytes: u64) -> io::Result<u64> {
        let (mut objects, mut sum) = (Vec::new(), n_bytes);
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            // What another process removes meanwhile needs no room.
            let Ok(found) = fs::metadata(&path) else {
                continue;
            };
            let modified = found.modified()?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path
                .extension()
                .is_some_and(|extension| extension == OBJECT)
            {
                sum += found.len();
                objects.push((modified, found.len(), path));
            } else if name.starts_with(PART) && modified.elapsed().is_ok_and(|age| age > STALE) {
                let _ = fs::remove_file(&path);
            }
        }
        objects.sort();
        // Where room must be made, some more is: else the next object would be the next to list them all.
        let most = match sum > self.max_bytes {
            true => self.max_bytes - self.max_bytes / LISTED_EVERY,
            false => self.max_bytes,
        };
        for (_, of_object, path) in objects {
            if sum <= most {
                break;
            }
            self.remove(&path)?;
            sum -= of_object;
        }
        Ok(sum - n_bytes)
    }
}

/// Bytes that are being fetched, until it is dropped.
struct Coming<'a> {
    cache: &'a Cache,
    n_bytes: u64,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        let room = &self.cache.room;
        let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
        room.coming -= self.n_bytes;
        // Also where nothing came: then the folder is listed a little earlier.
        room.held = room.held.map(|held| held + self.n_bytes);
        room.since += self.n_bytes;
    }
}

/// A file that is hashed while it is written.
struct Hashing<'a> {
    file: &'a File,
    hash: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hash.update(bytes.get(..n).unwrap_or(bytes));
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The name of an object's files, whatever is in its address.
fn name(address: &Path) -> String {
    let hash = Sha256::digest(address.as_os_str().as_encoded_bytes());
    hexadecimal(&hash)[..32].to_owned()
}
