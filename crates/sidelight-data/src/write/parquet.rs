//! Results tables as Parquet.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, Float32Builder, Float64Builder, Int64Builder, StringBuilder, make_builder,
};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::table::{ColumnKind, TableWriter, Value};
use super::whole::WholeFile;
use crate::error::{Error, Result, cannot_read};

/// Rows that are gathered before Parquet encodes them.
pub(super) const ROWS_PER_BATCH: usize = 8192;

/// Gathers rows into columns and hands them on in batches.
pub(super) struct ParquetSink {
    writer: ArrowWriter<WholeFile>,
    schema: Arc<Schema>,
    columns: Vec<Box<dyn ArrayBuilder>>,
    rows: usize,
}

impl ParquetSink {
    pub(super) fn open(file: WholeFile, columns: &[(String, ColumnKind)]) -> io::Result<Self> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, kind)| Field::new(name, data_type(*kind), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .build();
        let writer =
            ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(from_parquet)?;
        let columns = columns
            .iter()
            .map(|(_, kind)| make_builder(&data_type(*kind), 0));
        Ok(Self {
            writer,
            schema,
            columns: columns.collect(),
            rows: 0,
        })
    }

    pub(super) fn write(&mut self, row: &[Value<'_>]) -> io::Result<()> {
        for (column, value) in self.columns.iter_mut().zip(row) {
            push(column.as_mut(), value);
        }
        self.rows += 1;
        match self.rows < ROWS_PER_BATCH {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let arrays = self.columns.iter_mut().map(ArrayBuilder::finish).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(io::Error::other)?;
        self.rows = 0;
        self.writer.write(&batch).map_err(from_parquet)
    }

    pub(super) fn finish(mut self) -> io::Result<WholeFile> {
        if self.rows > 0 {
            self.flush()?;
        }
        self.writer.into_inner().map_err(from_parquet)
    }
}

/// Appends to a column made by [`make_builder`]; what is missing or no number is null.
fn push(column: &mut dyn ArrayBuilder, value: &Value<'_>) {
    let column = column.as_any_mut();
    if let Some(to) = column.downcast_mut::<Int64Builder>() {
        to.append_option(match value {
            Value::Integer(whole) => Some(*whole),
            _ => None,
        });
    } else if let Some(to) = column.downcast_mut::<Float64Builder>() {
        to.append_option(match value {
            Value::Number(number) => Some(*number).filter(|number| number.is_finite()),
            _ => None,
        });
    } else if let Some(to) = column.downcast_mut::<Float32Builder>() {
        to.append_option(match value {
            Value::Single(number) => Some(*number).filter(|number| number.is_finite()),
            _ => None,
        });
    } else if let Some(to) = column.downcast_mut::<StringBuilder>() {
        to.append_option(match value {
            Value::Text(text) => Some(text),
            _ => None,
        });
    }
}

fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Integer => DataType::Int64,
        ColumnKind::Number => DataType::Float64,
        ColumnKind::Single => DataType::Float32,
        ColumnKind::Text => DataType::Utf8,
    }
}

/// Appends a table row by row: how its pages are divided must not show where the parts were.
pub(super) fn append(writer: &mut TableWriter, table: &Path) -> Result<()> {
    let not_parquet = |source| Error::Parquet {
        path: table.to_path_buf(),
        source,
    };
    let file = File::open(table).map_err(cannot_read(table))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(ROWS_PER_BATCH).build())
        .map_err(not_parquet)?;
    let kinds = writer.kinds.clone();
    for batch in reader {
        let batch = batch.map_err(|error| not_parquet(error.into()))?;
        let found = batch
            .columns()
            .iter()
            .map(|array| array.data_type().clone());
        if !found.eq(kinds.iter().map(|kind| data_type(*kind))) {
            return Err(Error::PartDamaged {
                path: table.to_path_buf(),
            });
        }
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().zip(&kinds);
            let cells: Vec<Value<'_>> = cells
                .map(|(array, kind)| value_of(array, *kind, row))
                .collect();
            writer.write(&cells)?;
        }
    }
    Ok(())
}

/// A cell of a column whose type was looked at.
fn value_of(array: &ArrayRef, kind: ColumnKind, row: usize) -> Value<'_> {
    if array.is_null(row) {
        return Value::Missing;
    }
    match kind {
        ColumnKind::Integer => Value::Integer(array.as_primitive::<Int64Type>().value(row)),
        ColumnKind::Number => Value::Number(array.as_primitive::<Float64Type>().value(row)),
        ColumnKind::Single => Value::Single(array.as_primitive::<Float32Type>().value(row)),
        ColumnKind::Text => Value::Text(array.as_string::<i32>().value(row).into()),
    }
}

fn from_parquet(failed: ParquetError) -> io::Error {
    match failed {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(inner) => *inner,
            Err(inner) => io::Error::other(inner.to_string()),
        },
        other => io::Error::other(other),
    }
}
