//! The parts of a workbook: XML in a zip archive, of which no size is believed.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::bufread::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::xml::Xml;
use crate::table::steady::Steady;

/// The most bytes of an archive's directory of parts.
const MAX_DIRECTORY: u64 = 8 << 20;
/// What a workbook may inflate to: so many bytes, and so many for each of its own. Sheets of one value in every cell reach
/// 16 for each.
const MAX_INFLATED: (u64, u64) = (1 << 20, 64);

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Fault {
    /// The system cannot read it.
    Io(io::Error),
    /// What it holds is no workbook, or a damaged one.
    Bad(String),
}

/// What is read of a workbook, or what is wrong with it.
pub(super) type Outcome<T> = std::result::Result<T, Fault>;

/// A fault in words.
pub(super) fn bad<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Fault::Bad(reason.into()))
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        // What the system says has a number; the rest is said by those who inflate.
        match error.raw_os_error() {
            Some(_) => Self::Io(error),
            None => Self::Bad(error.to_string()),
        }
    }
}

impl From<zip::result::ZipError> for Fault {
    fn from(error: zip::result::ZipError) -> Self {
        match error {
            zip::result::ZipError::Io(error) => error.into(),
            error => Self::Bad(format!("its archive is damaged: {error}")),
        }
    }
}

/// The archive.
pub(super) struct Package {
    path: PathBuf,
    archive: ZipArchive<Directory>,
    /// Position of each part by its name in lower case.
    positions: HashMap<String, usize>,
    /// Bytes of the file.
    pub(super) n_bytes: u64,
}

impl Package {
    pub(super) fn open(path: &Path) -> Outcome<Self> {
        let mut file = File::open(path)?;
        let n_bytes = file.metadata()?.len();
        let mut start = Vec::new();
        Steady(&mut file).take(8).read_to_end(&mut start)?;
        match start.as_slice() {
            [b'P', b'K', ..] => {}
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" => {
                return bad("it is locked with a password, or of the old format .xls");
            }
            _ => return bad("it is no workbook but another kind of file"),
        }
        let left = MAX_DIRECTORY;
        let archive = ZipArchive::new(Directory { file, left })?;
        let mut positions = HashMap::new();
        for (position, name) in archive.file_names().enumerate() {
            positions.insert(as_key(&name?), position);
        }
        Ok(Self {
            path: path.to_path_buf(),
            archive,
            positions,
            n_bytes,
        })
    }

    /// What may be inflated in one reading.
    pub(super) fn budget(&self) -> Budget {
        Budget(Rc::new(Cell::new(self.most())))
    }

    /// How much that is.
    pub(super) fn most(&self) -> u64 {
        let (least, each) = MAX_INFLATED;
        self.n_bytes.saturating_mul(each).saturating_add(least)
    }

    /// Whether there is a part of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.positions.contains_key(&as_key(name))
    }

    /// The part of this name.
    pub(super) fn part(&mut self, name: &str, budget: &Budget) -> Outcome<Xml> {
        let Some(position) = self.positions.get(&as_key(name)) else {
            return bad(format!("it has no part `{name}`"));
        };
        let part = self.archive.by_index_raw(*position)?;
        let (method, n_bytes) = (part.compression(), part.compressed_size());
        let (Some(start), false) = (part.data_start(), part.encrypted()) else {
            return bad("it is locked with a password");
        };
        drop(part);
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(start))?;
        let stored = BufReader::new(file.take(n_bytes));
        let bytes: Box<dyn Read> = match method {
            CompressionMethod::STORE => Box::new(stored),
            CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(stored)),
            method => return bad(format!("its part `{name}` is packed as {method}")),
        };
        Ok(Xml::new(Part {
            bytes,
            budget: budget.clone(),
            most: self.most(),
        }))
    }
}

impl std::fmt::Debug for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Package")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Names differ in case and slashes between programs.
fn as_key(name: &str) -> String {
    name.trim_start_matches('/')
        .replace('\\', "/")
        .to_lowercase()
}

/// An archive's directory, of which so much may be read: each of its entries becomes ten times as large.
struct Directory {
    file: File,
    left: u64,
}

impl Read for Directory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => {
                return Err(io::Error::other(format!(
                    "its directory of parts has more than {MAX_DIRECTORY} bytes"
                )));
            }
        }
        Ok(n)
    }
}

impl Seek for Directory {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Bytes that may yet be inflated, by all parts of one reading together.
#[derive(Debug, Clone)]
pub(super) struct Budget(Rc<Cell<u64>>);

/// The bytes of a part.
pub(super) struct Part {
    bytes: Box<dyn Read>,
    budget: Budget,
    most: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.bytes.read(buffer)?;
        match self.budget.0.get().checked_sub(n as u64) {
            Some(left) => self.budget.0.set(left),
            None => {
                let (least, each) = MAX_INFLATED;
                return Err(io::Error::other(format!(
                    "it inflates to more than {} bytes ({least}, and {each} for each that it has)",
                    self.most
                )));
            }
        }
        Ok(n)
    }
}
