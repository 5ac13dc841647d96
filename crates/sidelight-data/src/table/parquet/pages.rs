//! The pages of a Parquet file, each looked at before the reader makes room for what it claims to hold.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::parquet::arrow::arrow_reader::RowGroups;
use ::parquet::basic::{Encoding, Type};
use ::parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use ::parquet::errors::{ParquetError, Result as ParquetResult};
use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use ::parquet::file::reader::{ChunkReader, Length};
use ::parquet::file::serialized_reader::SerializedPageReader;
use ::parquet::schema::types::ColumnDescriptor;

use super::{delta, thrift};

/// A header of a page is looked for in so many bytes: mostly it is short, and no longer than the last of these.
const HEADER_LENGTHS: [u64; 4] = [4 << 10, 64 << 10, 1 << 20, 16 << 20];
/// Whatever its compressed size, a page may have so many bytes, and …
const PAGE_BYTES: u64 = 64 << 20;
/// … so many for each of its own.
const PAGE_RATIO: u64 = 64;
/// All items of the file's lists may take so many bytes, and …
const LIST_BYTES: u64 = 64 << 20;
/// … so many for each of its own.
const LIST_RATIO: u64 = 64;

pub(super) fn damaged(reason: String) -> ParquetError {
    ParquetError::General(reason)
}

/// The row groups from one on.
pub(super) struct Groups {
    pages: Arc<Pages>,
    metadata: Arc<ParquetMetaData>,
    first: usize,
    /// The bytes that items of lists may take yet.
    for_lists: Arc<AtomicU64>,
}

impl Groups {
    pub(super) fn new(file: File, metadata: Arc<ParquetMetaData>, first: usize) -> Self {
        let for_lists = LIST_BYTES.saturating_add(Length::len(&file).saturating_mul(LIST_RATIO));
        Self {
            pages: Arc::new(Pages(file)),
            metadata,
            first,
            for_lists: Arc::new(for_lists.into()),
        }
    }
}

impl RowGroups for Groups {
    fn num_rows(&self) -> usize {
        self.row_groups().map(n_rows).sum()
    }

    fn column_chunks(&self, column: usize) -> ParquetResult<Box<dyn PageIterator>> {
        Ok(Box::new(Chunks {
            pages: self.pages.clone(),
            metadata: self.metadata.clone(),
            column,
            next: self.first,
            for_lists: self.for_lists.clone(),
        }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.metadata.row_groups().iter().skip(self.first))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

pub(super) fn n_rows(group: &RowGroupMetaData) -> usize {
    usize::try_from(group.num_rows()).unwrap_or(0)
}

/// Whether texts of a chunk are written as what they share with the one before, so that many can be longer than the page.
pub(super) fn has_prefixes(chunk: &ColumnChunkMetaData) -> bool {
    chunk
        .encodings()
        .any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY)
}

/// The chunks of one column, a row group each.
struct Chunks {
    pages: Arc<Pages>,
    metadata: Arc<ParquetMetaData>,
    column: usize,
    next: usize,
    for_lists: Arc<AtomicU64>,
}

impl Iterator for Chunks {
    type Item = ParquetResult<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.metadata.row_groups().get(self.next)?;
        self.next += 1;
        let chunk = group.column(self.column);
        let n_rows = n_rows(group);
        let pages = SerializedPageReader::new(self.pages.clone(), chunk, n_rows, None);
        Some(pages.map(|pages| {
            let reader = Checked {
                pages,
                column: chunk.column_descr_ptr(),
                n_rows,
                has_prefixes: has_prefixes(chunk),
                for_lists: self.for_lists.clone(),
            };
            Box::new(reader) as _
        }))
    }
}

impl PageIterator for Chunks {}

/// The pages of a chunk, none of which claims to hold more than it can.
struct Checked {
    pages: SerializedPageReader<Pages>,
    column: Arc<ColumnDescriptor>,
    n_rows: usize,
    has_prefixes: bool,
    for_lists: Arc<AtomicU64>,
}

impl Checked {
    fn check(&self, page: &Page) -> ParquetResult<()> {
        let n_values = u64::from(page.num_values());
        let n_bytes = page.buffer().len() as u64;
        let too_many = |most: u64, of: &str| {
            let column = self.column.path();
            damaged(format!(
                "a page of its column `{column}` claims {n_values} values, {of} {most}"
            ))
        };
        if let Page::DictionaryPage { .. } = page {
            // Each has a byte at least, a text the four of its length.
            return match n_values > n_bytes {
                true => Err(too_many(n_bytes, "in bytes")),
                false => Ok(()),
            };
        }
        if self.column.max_rep_level() == 0 && n_values > self.n_rows as u64 {
            return Err(too_many(self.n_rows as u64, "in rows"));
        }
        if self.column.max_rep_level() > 0 {
            let width = match self.column.physical_type() {
                Type::FIXED_LEN_BYTE_ARRAY => {
                    u64::try_from(self.column.type_length()).unwrap_or(0).max(8)
                }
                _ => 8,
            };
            let taken = n_values.saturating_mul(width);
            let take = |left: u64| left.checked_sub(taken);
            let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
            self.for_lists
                .fetch_update(set, get, take)
                .map_err(|left| too_many(left / width, "where the lists of the file may have"))?;
        }
        let differences = match page.encoding() {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
            // Of a chunk that has any, few rows are decoded at a time.
            Encoding::DELTA_BYTE_ARRAY if self.has_prefixes => 2,
            Encoding::DELTA_BYTE_ARRAY => {
                return Err(damaged(format!(
                    "a page of its column `{}` is of an encoding that its footer does not name",
                    self.column.path()
                )));
            }
            _ => return Ok(()),
        };
        let mut values = self.values(page);
        for _ in 0..differences {
            let claimed = values.and_then(delta::claimed);
            match claimed {
                Some((n, rest)) if n <= n_values => values = Some(rest),
                _ => {
                    let column = self.column.path();
                    return Err(damaged(format!(
                        "a page of its column `{column}` has not the lengths of its texts"
                    )));
                }
            }
        }
        Ok(())
    }

    /// What a page of data holds behind its levels.
    fn values<'a>(&self, page: &'a Page) -> Option<&'a [u8]> {
        let (definition, repetition) = (self.column.max_def_level(), self.column.max_rep_level());
        match page {
            Page::DataPage {
                buf,
                def_level_encoding,
                rep_level_encoding,
                ..
            } => {
                let levels = [
                    (repetition, rep_level_encoding),
                    (definition, def_level_encoding),
                ];
                let mut rest = buf.as_ref();
                for (_, encoding) in levels.into_iter().filter(|(most, _)| *most > 0) {
                    // The other encoding of levels is older than that of differences.
                    if *encoding != Encoding::RLE {
                        return None;
                    }
                    let (length, behind) = rest.split_first_chunk()?;
                    rest = behind.get(u32::from_le_bytes(*length) as usize..)?;
                }
                Some(rest)
            }
            Page::DataPageV2 {
                buf,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => buf.get(def_levels_byte_len.checked_add(*rep_levels_byte_len)? as usize..),
            Page::DictionaryPage { .. } => None,
        }
    }
}

impl Iterator for Checked {
    type Item = ParquetResult<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Checked {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.as_ref().map_or(Ok(()), |page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        self.pages.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.pages.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> ParquetResult<Option<Page>> {
        let page = self.pages.take_deferred_dictionary()?;
        page.as_ref().map_or(Ok(()), |page| self.check(page))?;
        Ok(page)
    }

    fn at_record_boundary(&mut self) -> ParquetResult<bool> {
        self.pages.at_record_boundary()
    }
}

/// A file of which the header of each page is looked through before the reader comes to it.
struct Pages(File);

impl Length for Pages {
    fn len(&self) -> u64 {
        Length::len(&self.0)
    }
}

impl ChunkReader for Pages {
    type T = Header;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let file = self.0.try_clone()?;
        let reader = None;
        Ok(Header {
            file,
            start,
            reader,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<bytes::Bytes> {
        self.0.get_bytes(start, length)
    }
}

/// What a page begins with. It is asked for at places where no page begins, too, but read from there alone.
struct Header {
    file: File,
    start: u64,
    /// Once it was looked through.
    reader: Option<BufReader<File>>,
}

impl Header {
    fn check(&self) -> ParquetResult<()> {
        let at = self.start;
        for length in HEADER_LENGTHS {
            let mut header = Vec::new();
            let mut start = self.file.get_read(at)?.take(length);
            let n_bytes = start.read_to_end(&mut header)?;
            if let Some((compressed, plain)) = thrift::page_sizes(&header) {
                let most = PAGE_BYTES.saturating_add(compressed.saturating_mul(PAGE_RATIO));
                return match plain > most {
                    true => Err(damaged(format!(
                        "its page at byte {at}, of {compressed} bytes, claims to have {plain} before it was compressed"
                    ))),
                    false => Ok(()),
                };
            }
            if (n_bytes as u64) < length {
                break;
            }
        }
        Err(damaged(format!(
            "the header of its page at byte {at} is not whole"
        )))
    }
}

impl Read for Header {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.reader.is_none() {
            self.check().map_err(std::io::Error::other)?;
        }
        let n_bytes = match &mut self.reader {
            Some(reader) => reader.read(buffer),
            none => none.insert(self.file.get_read(self.start)?).read(buffer),
        }?;
        // Who passes over items is not told that there are none.
        match n_bytes == 0 && !buffer.is_empty() {
            true => Err(ErrorKind::UnexpectedEof.into()),
            false => Ok(n_bytes),
        }
    }
}
