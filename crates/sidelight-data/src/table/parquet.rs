//! Parquet: every column whose cells are numbers, truth values, text, times, images, or lists of them.

mod delta;
mod pages;
mod thrift;

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, RowGroups as _, RowSelection, RowSelector,
};
use ::parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use ::parquet::basic::{ConvertedType, Type};
use ::parquet::errors::{ParquetError, Result as ParquetResult};
use ::parquet::file::metadata::ParquetMetaData;
use ::parquet::schema::types::ColumnDescriptor;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, OffsetSizeTrait};
use arrow_schema::{DataType, FieldRef, TimeUnit};

use super::pieces::{OnBadRow, Piece, ReadLimit, Rows};
use super::{Accumulator, Column, Table, unique_names};
use crate::error::{Error, Result, cannot_read};
use crate::store::Shard;

/// Groups inside one another, at most: the reader recurses into them.
const MAX_DEPTH: usize = 100;
/// The most bytes of a footer.
const MAX_FOOTER: u32 = 256 << 20;
/// Whatever the size of the file, a table may have so many cells, and …
const CELLS: u64 = 4 << 20;
/// … so many for each byte of the file: a column of one value takes next to none.
const CELLS_PER_BYTE: u64 = 512;
/// Whatever the size of the file, its texts may have so many bytes, and …
const TEXT: u64 = 256 << 20;
/// … so many for each of its own: a text that many rows have is written once.
const TEXT_PER_BYTE: u64 = 64;
/// The most bytes of a value of fixed length, as one of a row.
const MAX_FIXED: i32 = 16 << 20;

/// The row groups of a file, decoded a batch at a time.
pub(super) struct Batches {
    path: PathBuf,
    file: File,
    metadata: Arc<ParquetMetaData>,
    levels: FieldLevels,
    names: Vec<String>,
    n_rows: usize,
    /// The row to give next.
    next: usize,
    reader: Option<ParquetRecordBatchReader>,
    /// What was decoded and not yet given.
    batch: Option<RecordBatch>,
    batch_rows: usize,
    /// The bytes of text that may be given yet.
    text_left: u64,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches")
            .field("path", &self.path)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Batches {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let cannot_read = cannot_read(path);
        let mut file = File::open(path).map_err(cannot_read)?;
        let n_bytes = file.metadata().map_err(cannot_read)?.len();
        let not_parquet = |source| Error::Parquet {
            path: path.to_path_buf(),
            source,
        };
        let (metadata, levels) = check_schema(&mut file)
            .map_err(cannot_read)?
            .and_then(|()| {
                guarded(|| {
                    let metadata = ArrowReaderMetadata::load(&file, Default::default())?;
                    let schema = metadata.metadata().file_metadata().schema_descr();
                    let fields = metadata.schema().fields().iter();
                    let hint = fields.map(as_views).collect();
                    let all = ProjectionMask::all();
                    let levels = parquet_to_arrow_field_levels(schema, all, Some(&hint))?;
                    Ok((metadata, levels))
                })
            })
            .map_err(not_parquet)?;
        let fields = metadata.schema().fields();
        let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        if names.is_empty() {
            return Err(Error::EmptyTable {
                path: path.to_path_buf(),
                what: "column",
            });
        }
        unique_names(path, names.iter().map(String::as_str))?;
        let metadata = metadata.metadata().clone();
        let n_rows = count_rows(&metadata, n_bytes).map_err(not_parquet)?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            names,
            n_rows,
            next: 0,
            reader: None,
            batch: None,
            batch_rows: rows_at_a_time(&metadata, n_rows),
            metadata,
            levels,
            text_left: TEXT.saturating_add(n_bytes.saturating_mul(TEXT_PER_BYTE)),
        })
    }

    /// What is decoded and not yet given, or the next batch; `None` at the end.
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(batch) = self.batch.take() {
            return Ok(Some(batch));
        }
        let not_parquet = |source| Error::Parquet {
            path: self.path.clone(),
            source,
        };
        if self.next >= self.n_rows {
            return Ok(None);
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let file = self.file.try_clone().map_err(cannot_read(&self.path))?;
                let (mut first, mut skipped) = (0, self.next);
                for group in self.metadata.row_groups() {
                    match skipped.checked_sub(pages::n_rows(group)) {
                        Some(rest) => (first, skipped) = (first + 1, rest),
                        None => break,
                    }
                }
                let groups = pages::Groups::new(file, self.metadata.clone(), first);
                let from_there = (skipped > 0).then(|| {
                    let rest = groups.num_rows().saturating_sub(skipped);
                    RowSelection::from(vec![RowSelector::skip(skipped), RowSelector::select(rest)])
                });
                let batch_rows = self.batch_rows.min(self.n_rows - self.next);
                let reader = || {
                    ParquetRecordBatchReader::try_new_with_row_groups(
                        &self.levels,
                        &groups,
                        batch_rows,
                        from_there,
                    )
                };
                none.insert(guarded(reader).map_err(not_parquet)?)
            }
        };
        guarded(|| Ok(reader.next().transpose()?)).map_err(not_parquet)
    }
}

/// What the reader says of a file; on some damaged ones it panics.
fn guarded<T>(read: impl FnOnce() -> ParquetResult<T>) -> ParquetResult<T> {
    let damaged = |_| ParquetError::General("the file is damaged: its reader gave up".into());
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| Err(damaged(panic)))
}

/// Looks at the schema before the reader, which recurses into it.
fn check_schema(file: &mut File) -> std::io::Result<ParquetResult<()>> {
    let refused = |reason: String| Ok(Err(ParquetError::General(reason)));
    let n_bytes = file.seek(SeekFrom::End(0))?;
    let mut tail = [0; 8];
    if n_bytes < 12 {
        return refused("the file is too short".into());
    }
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, mark @ ..] = tail;
    let length = u32::from_le_bytes([a, b, c, d]);
    if mark != *b"PAR1" || u64::from(length) > n_bytes - 8 || length > MAX_FOOTER {
        return refused(format!(
            "its footer is not whole, encrypted, or larger than {MAX_FOOTER} bytes"
        ));
    }
    let mut footer = vec![0; length as usize];
    file.seek(SeekFrom::Start(n_bytes - 8 - u64::from(length)))?;
    file.read_exact(&mut footer)?;
    file.rewind()?;
    match thrift::schema_depth(&footer) {
        None => refused("its footer is damaged".into()),
        Some(depth) if depth > MAX_DEPTH => refused(format!(
            "its schema nests groups {depth} deep; the limit is {MAX_DEPTH}"
        )),
        Some(_) => Ok(Ok(())),
    }
}

/// The rows of all groups, where a file of so many bytes may have as many.
fn count_rows(metadata: &ParquetMetaData, n_bytes: u64) -> ParquetResult<usize> {
    let groups = metadata.row_groups().iter();
    let n_rows = groups.fold(0_u64, |sum, group| {
        sum.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0))
    });
    let columns = metadata.file_metadata().schema_descr().columns();
    let n_cells = n_rows.saturating_mul(columns.len() as u64);
    let most = CELLS.saturating_add(n_bytes.saturating_mul(CELLS_PER_BYTE));
    if n_cells > most {
        return Err(pages::damaged(format!(
            "{n_rows} rows of {} columns in {n_bytes} bytes are more than the limit, {most} cells; a file with the columns \
             that say something has fewer",
            columns.len()
        )));
    }
    let too_long = |column: &&Arc<_>| width(column) > MAX_FIXED;
    if let Some(column) = columns.iter().find(too_long) {
        return Err(pages::damaged(format!(
            "each value of its column `{}` has {} bytes; the limit is {MAX_FIXED}",
            column.path(),
            width(column)
        )));
    }
    Ok(usize::try_from(n_rows).unwrap_or(0))
}

/// The bytes of each value of a column, where they have a fixed number.
fn width(column: &ColumnDescriptor) -> i32 {
    match column.physical_type() {
        Type::FIXED_LEN_BYTE_ARRAY => column.type_length(),
        _ => 0,
    }
}

/// The rows to decode at a time.
fn rows_at_a_time(metadata: &ParquetMetaData, n_rows: usize) -> usize {
    const FEW: usize = 16;
    const MANY: usize = 8192;
    const BYTES: usize = 64 << 20;
    let columns = metadata.file_metadata().schema_descr().columns();
    let is_text = |column: &ColumnDescriptor| {
        column.logical_type_ref().is_some() || column.converted_type() != ConvertedType::NONE
    };
    // Photographs are megabytes each.
    let is_long = |column: &Arc<ColumnDescriptor>| match column.physical_type() {
        Type::BYTE_ARRAY => !is_text(column),
        _ => width(column) > 64,
    };
    let groups = metadata.row_groups().iter();
    let mut chunks = groups.flat_map(|group| group.columns());
    if columns.iter().any(is_long) || chunks.clone().any(pages::has_prefixes) {
        return FEW;
    }
    let n_bytes = chunks.try_fold(0_i64, |sum, chunk| {
        sum.checked_add(chunk.uncompressed_size())
    });
    let n_bytes = n_bytes.and_then(|n| usize::try_from(n).ok());
    let in_each = n_bytes.unwrap_or(usize::MAX) / n_rows.max(1);
    (BYTES / in_each.max(1)).clamp(FEW, MANY)
}

/// A field whose texts and bytes are views of what is written once, however many rows have it.
fn as_views(field: &FieldRef) -> FieldRef {
    fn of(kind: &DataType) -> DataType {
        match kind {
            DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
            DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
            DataType::Dictionary(_, values) => of(values),
            DataType::List(items) => DataType::List(as_views(items)),
            DataType::LargeList(items) => DataType::LargeList(as_views(items)),
            DataType::FixedSizeList(items, n) => DataType::FixedSizeList(as_views(items), *n),
            DataType::Map(entries, sorted) => DataType::Map(as_views(entries), *sorted),
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(as_views).collect()),
            other => other.clone(),
        }
    }
    let kind = of(field.data_type());
    Arc::new(field.as_ref().clone().with_data_type(kind))
}

/// Where the items of a list of lists begin, and where they end.
fn ends<T: OffsetSizeTrait>(offsets: &[T]) -> Option<(usize, usize)> {
    Some((offsets.first()?.as_usize(), offsets.last()?.as_usize()))
}

/// The bytes of the texts and images of an array.
fn text_bytes(array: &dyn Array) -> u64 {
    // A view begins with the length of what it shows, of 32 bits.
    let shown = |views: &[u128]| views.iter().map(|view| (view & 0xffff_ffff) as u64).sum();
    let within = |items: &ArrayRef, ends: Option<(usize, usize)>| {
        let (from, to) = ends.unwrap_or_default();
        text_bytes(items.slice(from, to - from).as_ref())
    };
    match array.data_type() {
        DataType::Utf8View => shown(array.as_string_view().views()),
        DataType::BinaryView => shown(array.as_binary_view().views()),
        DataType::FixedSizeBinary(width) => array.len() as u64 * u64::try_from(*width).unwrap_or(0),
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.map(|column| text_bytes(column.as_ref())).sum()
        }
        DataType::FixedSizeList(..) => text_bytes(array.as_fixed_size_list().values().as_ref()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            within(list.values(), ends(list.value_offsets()))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            within(list.values(), ends(list.value_offsets()))
        }
        _ => 0,
    }
}

impl Rows for Batches {
    fn take(&mut self, first_row: usize, take: ReadLimit, on_bad_row: OnBadRow) -> Result<Piece> {
        let mut columns: Vec<_> = self.names.iter().map(|_| Accumulator::Empty(0)).collect();
        let (mut n_rows, mut n_bytes) = (0, 0);
        while !take.is_full(n_rows, n_bytes) {
            let Some(batch) = self.batch()? else {
                break;
            };
            // Where bytes are counted, a piece may have to end at any multiple of its step.
            let step = if take.bytes == usize::MAX {
                usize::MAX
            } else {
                take.step.max(1) - n_rows % take.step.max(1)
            };
            let n = batch.num_rows().min(take.rows - n_rows).min(step);
            let not_parquet = |source| Error::Parquet {
                path: self.path.clone(),
                source,
            };
            for (cells, array) in columns.iter_mut().zip(batch.columns()) {
                let array = array.slice(0, n);
                let left = self.text_left.checked_sub(text_bytes(array.as_ref()));
                self.text_left = left.ok_or_else(|| {
                    let reason = "its texts are longer than the limit, 256 MiB and 64 bytes for each of the file's";
                    not_parquet(pages::damaged(reason.into()))
                })?;
                n_bytes += guarded(|| Ok(append(cells, &array))).map_err(not_parquet)?;
            }
            if n < batch.num_rows() {
                self.batch = Some(batch.slice(n, batch.num_rows() - n));
            }
            n_rows += n;
            self.next += n;
        }
        let columns = self.names.iter().zip(columns);
        let columns = columns.map(|(name, cells)| Column {
            name: name.clone(),
            values: cells.finish(on_bad_row),
        });
        let table = Table {
            first_row,
            ..Table::of_file(&self.path, columns.collect(), n_rows, None)
        };
        Ok(Piece {
            table,
            bad: Vec::new(),
        })
    }

    fn skip(&mut self, _: usize, n_rows: usize) -> Result<usize> {
        let n_rows = n_rows.min(self.n_rows - self.next.min(self.n_rows));
        self.next += n_rows;
        self.batch = match self.batch.take() {
            Some(batch) if batch.num_rows() > n_rows => {
                Some(batch.slice(n_rows, batch.num_rows() - n_rows))
            }
            _ => {
                // The next reader begins there, and reads no row group before it.
                self.reader = None;
                None
            }
        };
        Ok(n_rows)
    }

    fn share_read(&self) -> f64 {
        self.next as f64 / self.n_rows.max(1) as f64
    }

    fn files(&self) -> Vec<Arc<Shard>> {
        vec![Arc::new(Shard::file(self.path.clone()))]
    }
}

/// Appends a batch of one column; returns the bytes of its images.
fn append(cells: &mut Accumulator, array: &ArrayRef) -> usize {
    let mut n_bytes = 0;
    // An embedded image: Hugging Face's `{bytes, path}`, or bare bytes.
    if let Some(fields) = array.as_struct_opt()
        && let Some(bytes) = fields.column_by_name("bytes")
    {
        let paths = fields.column_by_name("path");
        for row in 0..array.len() {
            let image = (!array.is_null(row)).then(|| binary(bytes, row)).flatten();
            n_bytes += image.map_or(0, <[u8]>::len);
            match (image, paths.and_then(|paths| text(paths, row))) {
                (None, None) => cells.push_missing(),
                (image, name) => cells.push_image(image, name.as_deref()),
            }
        }
        return n_bytes;
    }
    for row in 0..array.len() {
        match binary(array, row) {
            Some(image) => {
                n_bytes += image.len();
                cells.push_image(Some(image), None);
            }
            None => push(cells, cell(array.as_ref(), row)),
        }
    }
    n_bytes
}

/// A cell of any type that has a plain meaning.
enum Plain {
    Missing,
    Boolean(bool),
    Integer(i128),
    Number(f64),
    Text(String),
}

fn push(cells: &mut Accumulator, cell: Plain) {
    match cell {
        Plain::Missing => cells.push_missing(),
        Plain::Boolean(cell) => cells.push_boolean(cell),
        Plain::Integer(cell) => cells.push_integer(cell),
        Plain::Number(cell) => cells.push_number(cell),
        Plain::Text(cell) => cells.push_text(&cell),
    }
}

fn cell(array: &dyn Array, row: usize) -> Plain {
    scalar(array, row).unwrap_or_else(|| match json(array, row) {
        Some(value) => Plain::Text(value.to_string()),
        None => Plain::Missing,
    })
}

/// A cell of a type that is neither a list nor a structure; `None` of any other type.
fn scalar(array: &dyn Array, row: usize) -> Option<Plain> {
    if array.is_null(row) {
        return Some(Plain::Missing);
    }
    macro_rules! integer {
        ($kind:ty) => {
            Plain::Integer(array.as_primitive::<$kind>().value(row).into())
        };
    }
    // What the calendar makes of a time stamp; text, so that one reader understands all tables.
    macro_rules! time {
        ($read:ident, $kind:ty, $per_second:expr) => {
            $read(
                array.as_primitive::<$kind>().value(row) as i128,
                $per_second,
            )
        };
    }
    Some(match array.data_type() {
        DataType::Boolean => Plain::Boolean(array.as_boolean().value(row)),
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => integer!(UInt64Type),
        DataType::Float16 => Plain::Number(array.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => {
            // The shortest decimal that names this f32, not its long tail as an f64.
            let number = array.as_primitive::<Float32Type>().value(row);
            Plain::Number(number.to_string().parse().unwrap_or_else(|_| number.into()))
        }
        DataType::Float64 => Plain::Number(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => Plain::Number(
            array.as_primitive::<Decimal128Type>().value(row) as f64
                / 10f64.powi(i32::from(*scale)),
        ),
        DataType::Utf8View => Plain::Text(array.as_string_view().value(row).to_owned()),
        DataType::Date32 => instant(
            i128::from(array.as_primitive::<Date32Type>().value(row)) * 86_400,
            1,
        ),
        DataType::Date64 => time!(instant, Date64Type, 1_000),
        DataType::Timestamp(TimeUnit::Second, _) => time!(instant, TimestampSecondType, 1),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            time!(instant, TimestampMillisecondType, 1_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            time!(instant, TimestampMicrosecondType, 1_000_000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            time!(instant, TimestampNanosecondType, 1_000_000_000)
        }
        DataType::Time32(TimeUnit::Second) => time!(time_of_day, Time32SecondType, 1),
        DataType::Time32(_) => time!(time_of_day, Time32MillisecondType, 1_000),
        DataType::Time64(TimeUnit::Microsecond) => {
            time!(time_of_day, Time64MicrosecondType, 1_000_000)
        }
        DataType::Time64(_) => time!(time_of_day, Time64NanosecondType, 1_000_000_000),
        _ => return None,
    })
}

/// A time stamp as RFC 3339 in UTC.
fn instant(count: i128, per_second: i128) -> Plain {
    let nanoseconds = count * (1_000_000_000 / per_second);
    jiff::Timestamp::from_nanosecond(nanoseconds)
        .map_or(Plain::Missing, |time| Plain::Text(time.to_string()))
}

/// A time of day as `hh:mm:ss`.
fn time_of_day(count: i128, per_second: i128) -> Plain {
    match instant(count, per_second) {
        Plain::Text(text) => Plain::Text(
            text.trim_start_matches("1970-01-01T")
                .trim_end_matches('Z')
                .to_owned(),
        ),
        other => other,
    }
}

/// Lists and structures as JSON, so that a list of labels can be read as such.
fn json(array: &dyn Array, row: usize) -> Option<serde_json::Value> {
    use serde_json::Value;
    if array.is_null(row) {
        return Some(Value::Null);
    }
    let list = |items: ArrayRef| {
        (0..items.len())
            .map(|item| json(items.as_ref(), item))
            .collect::<Option<_>>()
            .map(Value::Array)
    };
    match array.data_type() {
        DataType::List(_) => list(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(array.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let object = fields
                .iter()
                .zip(columns)
                .map(|(field, column)| Some((field.name().clone(), json(column.as_ref(), row)?)));
            object.collect::<Option<_>>().map(Value::Object)
        }
        // What has no plain meaning (an interval, a union) is missing; it can be no metadata.
        _ => scalar(array, row).map(|cell| match cell {
            Plain::Missing => Value::Null,
            Plain::Boolean(value) => value.into(),
            Plain::Integer(value) => {
                i64::try_from(value).map_or_else(|_| value.to_string().into(), Into::into)
            }
            Plain::Number(value) => value.into(),
            Plain::Text(value) => value.into(),
        }),
    }
}

/// The bytes of a cell, where the column holds bytes.
fn binary(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::BinaryView => Some(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => Some(array.as_fixed_size_binary().value(row)),
        _ => None,
    }
}

/// The text of a cell, where it is text.
fn text(array: &ArrayRef, row: usize) -> Option<String> {
    match cell(array.as_ref(), row) {
        Plain::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}
