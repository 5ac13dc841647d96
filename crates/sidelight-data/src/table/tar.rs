//! Members of a tar archive, one after another: their names and where their bytes are. Nothing is unpacked.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use ::tar::{EntryType, Header, PaxExtensions};

use crate::error::{Error, Result, cannot_read};
use crate::store::Shard;

const BLOCK: usize = 512;
/// The same, as a way in a file.
const BLOCK_BYTES: u64 = BLOCK as u64;

/// The most bytes of a record that says a long name or other attributes of the next member.
const MAX_ATTRIBUTES: usize = 1 << 20;

/// An archive that is being read.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) shard: Arc<Shard>,
    file: BufReader<File>,
    /// Where the file stands.
    at: u64,
    /// Where the next header is.
    next: u64,
    n_bytes: u64,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name; never used as a path.
    pub(super) name: String,
    /// Where its bytes begin.
    pub(super) offset: u64,
    pub(super) n_bytes: u64,
    /// Whether the archive ends before it does.
    pub(super) is_cut: bool,
}

impl Archive {
    pub(super) fn open(shard: &Arc<Shard>) -> Result<Self> {
        let file = shard.open()?;
        let look = || {
            let found = file.metadata()?;
            if !found.is_file() {
                return Err(std::io::Error::new(ErrorKind::InvalidInput, "not a file"));
            }
            Ok(found.len())
        };
        let n_bytes = look().map_err(cannot_read(shard.path()))?;
        Ok(Self {
            shard: Arc::clone(shard),
            file: BufReader::with_capacity(1 << 16, file),
            at: 0,
            next: 0,
            n_bytes,
        })
    }

    /// Bytes of headers and members passed so far.
    pub(super) fn n_read(&self) -> u64 {
        self.next.min(self.n_bytes)
    }

    /// The next file; `None` at the archive's end mark. Folders, links and devices are passed over. A file that is cut
    /// short is given all the same, so that it is known whose it was; the next call is the error.
    ///
    /// # Errors
    ///
    /// [`Error::Tar`] where the archive is cut short or damaged: there is no way to find what follows.
    pub(super) fn next(&mut self) -> Result<Option<Entry>> {
        let (mut long_name, mut long_size) = (None, None);
        loop {
            let header_at = self.next;
            if header_at + BLOCK_BYTES > self.n_bytes {
                // Also where it stops between two members: an archive that is whole says that it ends.
                return Err(self.cut());
            }
            let mut block = [0; BLOCK];
            self.read_at(header_at, &mut block)?;
            if block.iter().all(|byte| *byte == 0) {
                self.next = self.n_bytes;
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            let size = header.entry_size().ok().filter(|_| is_sound(&block));
            let Some(mut n_bytes) = size else {
                return Err(self.damage("a damaged header", header_at));
            };
            let kind = header.entry_type();
            let is_file = matches!(kind, EntryType::Regular | EntryType::Continuous);
            if is_file {
                n_bytes = long_size.take().unwrap_or(n_bytes);
            }
            let offset = header_at + BLOCK_BYTES;
            let end = offset.checked_add(n_bytes);
            let is_cut = end.is_none_or(|end| end > self.n_bytes);
            if is_cut && !is_file {
                return Err(self.cut());
            }
            self.next = match n_bytes.checked_next_multiple_of(BLOCK_BYTES) {
                Some(padded) if !is_cut => offset + padded,
                _ => self.n_bytes,
            };
            match kind {
                EntryType::GNULongName | EntryType::XHeader => {
                    let n_bytes = usize::try_from(n_bytes).ok();
                    let Some(n_bytes) = n_bytes.filter(|n| *n <= MAX_ATTRIBUTES) else {
                        return Err(self.damage("a name that is too long", header_at));
                    };
                    let mut bytes = vec![0; n_bytes];
                    self.read_at(offset, &mut bytes)?;
                    if kind == EntryType::GNULongName {
                        let end = bytes.iter().position(|byte| *byte == 0);
                        bytes.truncate(end.unwrap_or(bytes.len()));
                        long_name = Some(bytes);
                    } else {
                        for attribute in PaxExtensions::new(&bytes).flatten() {
                            match attribute.key_bytes() {
                                b"path" => long_name = Some(attribute.value_bytes().to_vec()),
                                b"size" => {
                                    long_size = attribute.value().ok().and_then(|n| n.parse().ok());
                                }
                                _ => {}
                            }
                        }
                    }
                }
                _ if is_file => {
                    let name = long_name.unwrap_or_else(|| header.path_bytes().into_owned());
                    return Ok(Some(Entry {
                        name: String::from_utf8_lossy(&name).into_owned(),
                        offset,
                        n_bytes,
                        is_cut,
                    }));
                }
                _ => (long_name, long_size) = (None, None),
            }
        }
    }

    /// The bytes of a member, whose size the caller has looked at.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the caller has looked at it"
    )]
    pub(super) fn read(&mut self, entry: &Entry) -> Result<Vec<u8>> {
        let mut bytes = vec![0; entry.n_bytes as usize];
        self.read_at(entry.offset, &mut bytes)?;
        Ok(bytes)
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let mut read = || {
            // A short way stays in the buffer.
            match i64::try_from(i128::from(offset) - i128::from(self.at)) {
                Ok(way) => self.file.seek_relative(way)?,
                Err(_) => {
                    self.file.seek(SeekFrom::Start(offset))?;
                }
            }
            self.at = offset;
            self.file.read_exact(bytes)?;
            self.at += bytes.len() as u64;
            Ok(())
        };
        read().map_err(|source: std::io::Error| match source.kind() {
            // It was shortened since it was opened.
            ErrorKind::UnexpectedEof => self.damage("cut short", offset),
            _ => Error::Read {
                path: self.shard.path().to_path_buf(),
                source,
            },
        })
    }

    /// The error of an archive that ends too early.
    pub(super) fn cut(&self) -> Error {
        self.damage("cut short", self.n_bytes)
    }

    fn damage(&self, what: &'static str, offset: u64) -> Error {
        Error::Tar {
            path: self.shard.path().to_path_buf(),
            offset,
            what,
        }
    }
}

/// Whether a header's checksum is right: the sum of its bytes, those of the checksum itself taken as blanks.
fn is_sound(block: &[u8; BLOCK]) -> bool {
    let checksum = 148..156;
    let bytes = block.iter().enumerate();
    let sum: u32 = bytes
        .map(|(at, byte)| {
            if checksum.contains(&at) {
                32
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    Header::from_byte_slice(block)
        .cksum()
        .is_ok_and(|said| said == sum)
}
