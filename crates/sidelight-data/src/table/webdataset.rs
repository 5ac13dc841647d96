//! Webdataset: tar archives of which files that share a name up to the first dot are a row.
//!
//! # Source
//!
//! The names are divided as by `base_plus_ext` of the Python package `webdataset` (github.com/webdataset/webdataset).

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::jsonl::{Objects, object};
use super::pieces::{MAX_ROW_BYTES, OnBadRow, Piece, ReadLimit, Rows, check_gaps};
use super::tar::{Archive, Entry};
use super::{Column, IMAGE_ENDINGS, Table, Values, extension, folder};
use crate::error::{Error, Place, Result, cannot_read};
use crate::store::{ReadAhead, RemoteConfig, Shard, is_remote};

/// Names of the columns that a sample has beside the keys of its JSON.
const IMAGE: &str = "image";
const KEY: &str = "__key__";
const TEXTS: [&str; 2] = ["cls", "txt"];

/// The most archives that braces can name.
const MAX_ARCHIVES: usize = 100_000;

/// An image in an archive: which bytes of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// The archive that holds it.
    pub archive: Arc<Shard>,
    /// Its name there; never used as a path.
    pub name: String,
    /// Where its bytes begin.
    pub offset: u64,
    /// How many there are.
    pub n_bytes: u64,
}

impl Member {
    /// Where the row with this number (from 1) is.
    pub fn place(&self, number: usize) -> Place {
        let key = divided(&self.name).map(|(key, _)| key.to_owned());
        Place {
            key,
            ..Place::file(self.archive.path()).with_row(number)
        }
    }

    /// Its bytes; whoever calls has looked at how many they are.
    ///
    /// # Errors
    ///
    /// The archive is no longer there, or shorter than it was; it cannot be fetched.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whoever calls has looked at it"
    )]
    pub fn read(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.n_bytes as usize];
        let mut file = self.archive.open()?;
        let mut read = || {
            file.seek(SeekFrom::Start(self.offset))?;
            file.read_exact(&mut bytes)
        };
        read().map_err(cannot_read(self.archive.path()))?;
        Ok(bytes)
    }
}

/// Where a row of a webdataset came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The archive that holds it.
    pub archive: Arc<Shard>,
    /// What the names of its files have in common; empty where the archive broke off between two samples.
    pub key: String,
}

impl Sample {
    pub(super) fn place(&self, row: usize) -> Place {
        Place {
            key: (!self.key.is_empty()).then(|| self.key.clone()),
            ..Place::file(self.archive.path()).with_row(row + 1)
        }
    }
}

/// The archives that a path names: itself, those that its braces write out, or those in a folder; `None`: it names none.
pub(super) fn archives(path: &Path, remote: &RemoteConfig) -> Result<Option<Vec<PathBuf>>> {
    if is_remote(path) {
        let text = path.to_str().unwrap_or_default();
        if text.ends_with('/') {
            return Ok(Some(remote.store()?.list(path, ".tar")?));
        }
        return is_archive(path).then(|| written_out(text)).transpose();
    }
    if path.is_dir() {
        if folder::metadata_file(path).is_some() {
            return Ok(None);
        }
        let mut files = folder::entries(path)?;
        files.retain(|file| is_archive(file) && file.is_file());
        return Ok((!files.is_empty()).then_some(files));
    }
    if !is_archive(path) {
        return Ok(None);
    }
    match path.to_str() {
        Some(text) if text.contains('{') && !path.exists() => Ok(Some(written_out(text)?)),
        _ => Ok(Some(vec![path.to_path_buf()])),
    }
}

/// Several archives as one table.
pub(super) fn all(paths: &[PathBuf], remote: &RemoteConfig) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        match archives(path, remote)? {
            Some(archives) => all.extend(archives),
            None => {
                return Err(Error::SeveralTables { path: path.clone() });
            }
        }
    }
    Ok(all)
}

/// The archives, those that are elsewhere once it is known that they are there.
fn shards(paths: &[PathBuf], remote: &RemoteConfig) -> Result<Vec<Arc<Shard>>> {
    if !paths.iter().any(|path| is_remote(path)) {
        let files = paths.iter().map(|path| Arc::new(Shard::file(path.clone())));
        return Ok(files.collect());
    }
    match paths.iter().find(|path| !is_remote(path)) {
        Some(path) => Err(Error::ObjectAddress {
            address: path.clone(),
            expected: "an address as the others are".into(),
        }),
        None => remote.store()?.shards(paths),
    }
}

fn is_archive(path: &Path) -> bool {
    extension(path) == "tar"
}

/// `a-{00..02}.tar` and `{a,b}.tar` as a shell would write them out.
fn written_out(text: &str) -> Result<Vec<PathBuf>> {
    let mut names = vec![String::new()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let wrong = |found: &str| Error::Braces {
            path: text.into(),
            found: found.to_owned(),
        };
        let (inside, after) = after.split_once('}').ok_or_else(|| wrong(after))?;
        let choices = choices(inside).ok_or_else(|| wrong(inside))?;
        if names.len() * choices.len() > MAX_ARCHIVES {
            return Err(wrong(inside));
        }
        names = names
            .iter()
            .flat_map(|name| {
                let one = move |choice: &String| format!("{name}{before}{choice}");
                choices.iter().map(one).collect::<Vec<_>>()
            })
            .collect();
        rest = after;
    }
    Ok(names
        .into_iter()
        .map(|name| format!("{name}{rest}").into())
        .collect())
}

fn choices(inside: &str) -> Option<Vec<String>> {
    let Some((from, to)) = inside.split_once("..") else {
        let parts: Vec<String> = inside.split(',').map(str::to_owned).collect();
        return (parts.len() > 1).then_some(parts);
    };
    let (first, last): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
    if last < first || last - first >= MAX_ARCHIVES {
        return None;
    }
    let has_zeros = |text: &str| text.len() > 1 && text.starts_with('0');
    let width = if has_zeros(from) || has_zeros(to) {
        from.len().max(to.len())
    } else {
        0
    };
    Some((first..=last).map(|n| format!("{n:0width$}")).collect())
}

/// Samples of archives, one after another.
#[derive(Debug)]
pub(super) struct Samples {
    archives: Vec<Arc<Shard>>,
    /// Fetches those that are elsewhere.
    _ahead: Option<ReadAhead>,
    /// Bytes of all archives, and of those that were read to their end.
    n_bytes: u64,
    n_done: u64,
    /// The archive to open next.
    next: usize,
    open: Option<Archive>,
    /// The first file of the next sample: it said that the one before had ended.
    pending: Option<Entry>,
}

/// A row in the making.
#[derive(Debug, Default)]
struct Files {
    key: String,
    image: Option<Entry>,
    json: Option<Entry>,
    texts: [Option<Entry>; TEXTS.len()],
    /// Why the archive broke off in it.
    broken: Option<Error>,
}

impl Samples {
    /// Looks whether all of them are there.
    pub(super) fn open(archives: &[PathBuf], remote: &RemoteConfig) -> Result<Self> {
        let archives = shards(archives, remote)?;
        let n_bytes = archives
            .iter()
            .map(|shard| shard.n_bytes())
            .sum::<Result<u64>>()?;
        let store = archives.first().and_then(|shard| shard.store());
        let ahead = store.map(|store| store.read_ahead(archives.clone(), 1));
        Ok(Self {
            archives,
            _ahead: ahead,
            n_bytes,
            n_done: 0,
            next: 0,
            open: None,
            pending: None,
        })
    }

    /// The next sample and its archive; `None` after the last. Where an archive breaks off there is a last sample of it
    /// that says so; the next archive is read all the same.
    fn advance(&mut self) -> Result<Option<(Arc<Shard>, Files)>> {
        loop {
            let Some(archive) = &mut self.open else {
                let Some(path) = self.archives.get(self.next) else {
                    return Ok(None);
                };
                self.open = Some(Archive::open(path)?);
                self.next += 1;
                continue;
            };
            let path = Arc::clone(&archive.shard);
            let mut files: Option<Files> = None;
            loop {
                let entry = match self.pending.take() {
                    Some(entry) => Ok(Some(entry)),
                    None => archive.next(),
                };
                match entry {
                    Ok(Some(entry)) => {
                        let Some((key, extension)) = divided(&entry.name) else {
                            continue;
                        };
                        let sample = files.get_or_insert_with(|| Files {
                            key: key.to_owned(),
                            ..Files::default()
                        });
                        if sample.key != key {
                            self.pending = Some(entry);
                            break;
                        }
                        if entry.is_cut {
                            sample.broken = Some(archive.cut());
                            self.n_done += archive.n_read();
                            self.open = None;
                            break;
                        }
                        let extension = extension.to_ascii_lowercase();
                        sample.add(&extension, entry);
                    }
                    Ok(None) => {
                        self.n_done += archive.n_read();
                        self.open = None;
                        break;
                    }
                    Err(error @ Error::Tar { .. }) => {
                        files.get_or_insert_default().broken = Some(error);
                        self.n_done += archive.n_read();
                        self.open = None;
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            if let Some(files) = files {
                return Ok(Some((path, files)));
            }
        }
    }

    /// The small files of a sample, by the names of their columns.
    fn cells(
        &mut self,
        archive: &Arc<Shard>,
        files: &Files,
        at: &dyn Fn() -> Place,
    ) -> Result<serde_json::Map<String, Value>> {
        // The archive may have been left for the next; it is rarely.
        let mut closed;
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                closed = Archive::open(archive)?;
                &mut closed
            }
        };
        let mut read = |entry: &Entry| {
            if entry.n_bytes > MAX_ROW_BYTES as u64 {
                return Err(Error::MemberBytes {
                    at: at(),
                    name: entry.name.clone(),
                    n_bytes: entry.n_bytes,
                    max_bytes: MAX_ROW_BYTES as u64,
                });
            }
            open.read(entry)
        };
        let mut cells = match &files.json {
            Some(json) => object(&read(json)?, at)?,
            None => serde_json::Map::new(),
        };
        // The image is the archive's member, whatever its metadata say.
        cells.retain(|name, _| name != IMAGE && name != KEY);
        for (name, entry) in TEXTS.iter().zip(&files.texts) {
            if let Some(entry) = entry
                && !cells.contains_key(*name)
            {
                let bytes = read(entry)?;
                let text = str::from_utf8(&bytes).map_err(|_| Error::NotUtf8 {
                    at: at().with_column(*name),
                })?;
                cells.insert((*name).to_owned(), text.trim().into());
            }
        }
        Ok(cells)
    }
}

impl Files {
    /// Keeps what a row is made of, the first of each kind.
    fn add(&mut self, extension: &str, entry: Entry) {
        let place = match extension {
            _ if IMAGE_ENDINGS.contains(&extension) => &mut self.image,
            "json" => &mut self.json,
            _ => {
                let mut texts = TEXTS.iter().zip(&mut self.texts);
                let Some((_, text)) = texts.find(|(name, _)| **name == extension) else {
                    return;
                };
                text
            }
        };
        place.get_or_insert(entry);
    }
}

/// Key and extension: up to the first dot of the last part of the name, and what follows it.
fn divided(name: &str) -> Option<(&str, &str)> {
    let name_at = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name_at + name[name_at..].find('.')?;
    (dot > name_at).then(|| (&name[..dot], &name[dot + 1..]))
}

impl Rows for Samples {
    fn take(&mut self, first_row: usize, take: ReadLimit, on_bad_row: OnBadRow) -> Result<Piece> {
        let mut objects = Objects::default();
        let (mut images, mut samples) = (Vec::new(), Vec::new());
        let (mut n_bytes, mut bad) = (0, Vec::new());
        while !take.is_full(objects.n_rows, n_bytes) {
            let Some((archive, mut files)) = self.advance()? else {
                break;
            };
            let row = objects.n_rows;
            let sample = Sample {
                archive: Arc::clone(&archive),
                key: files.key.clone(),
            };
            let at = || sample.place(first_row + row);
            let texts = files.json.iter().chain(files.texts.iter().flatten());
            // Whole members of one archive: together no more than its length.
            let n_new: u64 = texts.map(|text| text.n_bytes).sum();
            n_bytes += usize::try_from(n_new).unwrap_or(usize::MAX);
            let pushed = match files.broken.take() {
                Some(error) => Err(error),
                None => self.cells(&archive, &files, &at),
            };
            if let Err(error) = pushed.and_then(|cells| objects.push(cells, at)) {
                on_bad_row.bad(row, error, &mut bad)?;
                objects.push_missing();
            }
            // A member takes a header of its own.
            let n_read = n_bytes + 512 * objects.n_rows;
            check_gaps(objects.n_gaps(), n_read, || sample.place(first_row + row))?;
            images.push(files.image.map(|entry| {
                Arc::new(Member {
                    archive,
                    name: entry.name,
                    offset: entry.offset,
                    n_bytes: entry.n_bytes,
                })
            }));
            samples.push(sample);
        }
        let n_rows = objects.n_rows;
        let keys = samples.iter().map(|sample| Some(sample.key.as_str()));
        let mut columns = vec![
            Column {
                name: IMAGE.into(),
                values: Values::Members(images),
            },
            Column::text(KEY, keys),
        ];
        columns.extend(objects.finish(on_bad_row));
        let path = self
            .archives
            .first()
            .map_or(Path::new(""), |shard| shard.path());
        let table = Table {
            first_row,
            samples: Some(samples),
            ..Table::of_file(path, columns, n_rows, None)
        };
        Ok(Piece { table, bad })
    }

    fn skip(&mut self, _: usize, n_rows: usize) -> Result<usize> {
        for row in 0..n_rows {
            if self.advance()?.is_none() {
                return Ok(row);
            }
        }
        Ok(n_rows)
    }

    fn share_read(&self) -> f64 {
        let open = self.open.as_ref().map_or(0, Archive::n_read);
        (self.n_done + open) as f64 / self.n_bytes.max(1) as f64
    }

    fn files(&self) -> Vec<Arc<Shard>> {
        self.archives.clone()
    }
}
