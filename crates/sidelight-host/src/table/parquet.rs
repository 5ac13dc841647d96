//! Parquet: every column whose cells are numbers, truth values, text, times, images, or lists of them.

use std::fs::File;
use std::path::Path;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use super::{Accumulator, Column, Table, unique_names};
use crate::error::{Error, Result};

pub(super) fn read(path: &Path) -> Result<Table> {
    let file = File::open(path).map_err(|source| Error::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let not_parquet = |source| Error::Parquet {
        path: path.to_path_buf(),
        source,
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(not_parquet)?;
    let names: Vec<String> = builder
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    if names.is_empty() {
        return Err(Error::EmptyTable {
            path: path.to_path_buf(),
            what: "column",
        });
    }
    let reader = builder.with_batch_size(8192).build().map_err(not_parquet)?;
    let mut columns: Vec<Accumulator> = names.iter().map(|_| Accumulator::Empty(0)).collect();
    let mut n_rows = 0;
    for batch in reader {
        let batch = batch.map_err(|error| not_parquet(error.into()))?;
        n_rows += batch.num_rows();
        for (cells, array) in columns.iter_mut().zip(batch.columns()) {
            append(cells, array);
        }
    }
    let columns: Vec<Column> = names
        .into_iter()
        .zip(columns)
        .map(|(name, cells)| Column {
            name,
            values: cells.finish(),
        })
        .collect();
    unique_names(path, &columns)?;
    Ok(Table::of_file(path, columns, n_rows, None))
}

/// Appends a batch of one column.
fn append(cells: &mut Accumulator, array: &ArrayRef) {
    // An embedded image: Hugging Face's `{bytes, path}`, or bare bytes.
    if let Some(fields) = array.as_struct_opt()
        && let Some(bytes) = fields.column_by_name("bytes")
    {
        let paths = fields.column_by_name("path");
        for row in 0..array.len() {
            let image = (!array.is_null(row)).then(|| binary(bytes, row)).flatten();
            match (image, paths.and_then(|paths| text(paths, row))) {
                (None, None) => cells.push_missing(),
                (image, name) => cells.push_image(image, name.as_deref()),
            }
        }
        return;
    }
    for row in 0..array.len() {
        match binary(array, row) {
            Some(image) => cells.push_image(Some(image), None),
            None => push(cells, cell(array.as_ref(), row)),
        }
    }
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
    if array.is_null(row) {
        return Plain::Missing;
    }
    macro_rules! integer {
        ($kind:ty) => {
            Plain::Integer(array.as_primitive::<$kind>().value(row).into())
        };
    }
    // What the calendar makes of a time stamp; text, so that one reader understands all tables.
    macro_rules! instant {
        ($kind:ty, $per_second:expr) => {
            instant(
                array.as_primitive::<$kind>().value(row) as i128,
                $per_second,
            )
        };
    }
    match array.data_type() {
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
        DataType::Utf8 => Plain::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Plain::Text(array.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Plain::Text(array.as_string_view().value(row).to_owned()),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            // Only valid keys are normalised; this one is valid, the cell is not null.
            dictionary_key(dictionary.keys(), row).map_or(Plain::Missing, |key| {
                cell(dictionary.values().as_ref(), key)
            })
        }
        DataType::Date32 => instant(
            i128::from(array.as_primitive::<Date32Type>().value(row)) * 86_400,
            1,
        ),
        DataType::Date64 => instant!(Date64Type, 1_000),
        DataType::Timestamp(TimeUnit::Second, _) => instant!(TimestampSecondType, 1),
        DataType::Timestamp(TimeUnit::Millisecond, _) => instant!(TimestampMillisecondType, 1_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            instant!(TimestampMicrosecondType, 1_000_000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            instant!(TimestampNanosecondType, 1_000_000_000)
        }
        DataType::Time32(TimeUnit::Second) => time_of_day(
            array.as_primitive::<Time32SecondType>().value(row).into(),
            1,
        ),
        DataType::Time32(_) => time_of_day(
            array
                .as_primitive::<Time32MillisecondType>()
                .value(row)
                .into(),
            1_000,
        ),
        DataType::Time64(TimeUnit::Microsecond) => time_of_day(
            array
                .as_primitive::<Time64MicrosecondType>()
                .value(row)
                .into(),
            1_000_000,
        ),
        DataType::Time64(_) => time_of_day(
            array
                .as_primitive::<Time64NanosecondType>()
                .value(row)
                .into(),
            1_000_000_000,
        ),
        _ => json(array, row).map_or(Plain::Missing, |value| Plain::Text(value.to_string())),
    }
}

fn dictionary_key(keys: &dyn Array, row: usize) -> Option<usize> {
    let Plain::Integer(key) = cell(keys, row) else {
        return None;
    };
    usize::try_from(key).ok()
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
        DataType::Map(..)
        | DataType::Union(..)
        | DataType::Interval(_)
        | DataType::Duration(_)
        | DataType::Null => None,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => None,
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Dictionary(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(..)
        | DataType::Time32(_)
        | DataType::Time64(_) => Some(match cell(array, row) {
            Plain::Missing => Value::Null,
            Plain::Boolean(value) => value.into(),
            Plain::Integer(value) => {
                i64::try_from(value).map_or_else(|_| value.to_string().into(), Into::into)
            }
            Plain::Number(value) => value.into(),
            Plain::Text(value) => value.into(),
        }),
        _ => None,
    }
}

/// The bytes of a cell, where the column holds bytes.
fn binary(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Binary => Some(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row)),
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
