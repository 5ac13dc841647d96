//! Frames of Python as tables on disk, and tables as lists.
//!
//! A run names the table that it learned from, so that it can be resumed, scored again and opened from a command line: a
//! frame is written as Parquet, straight from its Arrow columns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use arrow_array::cast::AsArray as _;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, LargeStringArray, RecordBatch,
    RecordBatchReader as _,
};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyCapsule, PyDict, PyFloat, PyInt, PyList};
use sidelight::table::{Cell, Table};

use crate::error::Failed;

/// What a capsule of a stream is called: the Arrow PyCapsule interface.
const STREAM: &std::ffi::CStr = c"arrow_array_stream";

/// Writes a stream of Arrow record batches as a Parquet file; relative paths in these columns become paths below `root`.
///
/// The same file stays as it is where it has the same content; another file at `path` is refused unless `overwrite`.
#[pyfunction]
pub(crate) fn write_stream(
    py: Python<'_>,
    capsule: &Bound<'_, PyCapsule>,
    path: PathBuf,
    images: Vec<String>,
    root: PathBuf,
    overwrite: bool,
) -> Result<(), Failed> {
    let pointer = capsule.pointer_checked(Some(STREAM))?;
    // SAFETY: the capsule has the name that the Arrow PyCapsule interface gives to a pointer to an `ArrowArrayStream`; it
    // is moved out, which leaves a released stream behind for the capsule's destructor.
    #[allow(unsafe_code, reason = "the C interface of Arrow")]
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr().cast()) };
    let written = py.detach(|| {
        let reader = RecordBatchStreamReader::try_new(stream)?;
        let schema = reader.schema();
        let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>()?;
        write(&schema, batches, &path, &images, &root, overwrite)
    });
    Ok(written?)
}

/// As [`write_stream`], of lists by the name of their column.
#[pyfunction]
pub(crate) fn write_columns(
    columns: &Bound<'_, PyDict>,
    path: PathBuf,
    images: Vec<String>,
    root: PathBuf,
    overwrite: bool,
) -> Result<(), Failed> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (name, cells) in columns.iter() {
        let name: String = name.extract()?;
        let cells = cells.cast::<PyList>().map_err(PyErr::from)?;
        let array = array(cells)?;
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(anyhow::Error::from)?;
    Ok(write(
        &schema,
        vec![batch],
        &path,
        &images,
        &root,
        overwrite,
    )?)
}

/// A column of one type: truth values, numbers, else text.
fn array(cells: &Bound<'_, PyList>) -> PyResult<ArrayRef> {
    let is_missing = |cell: &Bound<'_, PyAny>| {
        cell.is_none()
            || cell
                .cast::<PyFloat>()
                .is_ok_and(|number| number.value().is_nan())
    };
    let known: Vec<Option<Bound<'_, PyAny>>> = cells
        .iter()
        .map(|cell| (!is_missing(&cell)).then_some(cell))
        .collect();
    let all = |is: fn(&Bound<'_, PyAny>) -> bool| known.iter().flatten().all(is);
    if all(|cell| cell.is_instance_of::<PyBool>()) {
        let values = known
            .iter()
            .map(|cell| cell.as_ref().map(|cell| cell.extract()).transpose());
        return Ok(Arc::new(values.collect::<PyResult<BooleanArray>>()?));
    }
    if all(|cell| cell.is_instance_of::<PyInt>() || cell.is_instance_of::<PyFloat>()) {
        let values = known
            .iter()
            .map(|cell| cell.as_ref().map(|cell| cell.extract()).transpose());
        return Ok(Arc::new(values.collect::<PyResult<Float64Array>>()?));
    }
    let values = known.iter().map(|cell| {
        let text = cell.as_ref().map(|cell| cell.str()).transpose()?;
        text.map(|text| text.extract::<String>()).transpose()
    });
    Ok(Arc::new(values.collect::<PyResult<LargeStringArray>>()?))
}

fn write(
    schema: &Schema,
    batches: Vec<RecordBatch>,
    path: &Path,
    images: &[String],
    root: &Path,
    overwrite: bool,
) -> anyhow::Result<()> {
    let batches: Vec<RecordBatch> = batches
        .into_iter()
        .map(|batch| below(&batch, images, root))
        .collect::<anyhow::Result<_>>()?;
    let schema = batches
        .first()
        .map_or_else(|| Arc::new(schema.clone()), RecordBatch::schema);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("cannot write in {}", folder.display()))?;
    // Types as Parquet has them: categories are text, and any reader knows them.
    let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(&mut file, schema, options)?;
    for batch in &batches {
        writer.write(batch)?;
    }
    writer.close()?;
    if path.exists() && !overwrite {
        if std::fs::read(path)? == std::fs::read(file.path())? {
            return Ok(());
        }
        bail!(sidelight_cli::embed::refused(
            format!("{} is there already, with other rows", path.display()),
            "choose another `out`, or replace the run and its table with overwrite=True",
        ));
    }
    file.persist(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// The batch with the paths of these columns below a folder, where they are relative; where none is named, of those of
/// whose first cells one is the path of a file there.
fn below(batch: &RecordBatch, images: &[String], root: &Path) -> anyhow::Result<RecordBatch> {
    let schema = batch.schema();
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let are_images =
            images.contains(field.name()) || images.is_empty() && is_of_images(array, root);
        let moved = match are_images {
            true => paths(array, root),
            false => None,
        };
        match moved {
            Some(moved) => {
                fields.push(Arc::new(Field::new(
                    field.name(),
                    DataType::LargeUtf8,
                    true,
                )));
                arrays.push(moved);
            }
            None => {
                fields.push(Arc::clone(field));
                arrays.push(Arc::clone(array));
            }
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// Cells that are looked at for whether a column names files.
const LOOKED_AT: usize = 20;

/// Whether a column names files below a folder, as far as one of its first cells says.
fn is_of_images(array: &ArrayRef, root: &Path) -> bool {
    let first = paths(&array.slice(0, array.len().min(LOOKED_AT)), root);
    first.is_some_and(|first| {
        let mut cells = first.as_string::<i64>().iter().flatten();
        cells.any(|cell| Path::new(cell).extension().is_some() && Path::new(cell).is_file())
    })
}

/// Text of an Arrow array of any kind of text, as paths; `None`: it is no text.
fn paths(array: &ArrayRef, root: &Path) -> Option<ArrayRef> {
    let path = |text: &str| match text.trim().is_empty() || text.contains("://") {
        true => text.to_owned(),
        false => root.join(text).to_string_lossy().into_owned(),
    };
    let all = |texts: &mut dyn Iterator<Item = Option<&str>>| -> ArrayRef {
        Arc::new(
            texts
                .map(|text| text.map(path))
                .collect::<LargeStringArray>(),
        )
    };
    Some(match array.data_type() {
        DataType::Utf8 => all(&mut array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => all(&mut array.as_string::<i64>().iter()),
        DataType::Utf8View => all(&mut array.as_string_view().iter()),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary_opt()?;
            let values = paths(dictionary.values(), root)?;
            let values = values.as_string::<i64>();
            let keys = dictionary.normalized_keys();
            let texts = keys.iter().enumerate().map(|(row, &key)| {
                (array.is_valid(row) && values.is_valid(key)).then(|| values.value(key))
            });
            Arc::new(texts.collect::<LargeStringArray>())
        }
        _ => return None,
    })
}

/// A table as lists by the name of their column: truth values, whole numbers, numbers, text; `None` where a cell is missing.
/// Of a file of text a column is of numbers if all its cells are, but for those of `texts`.
#[pyfunction]
pub(crate) fn read_table<'py>(
    py: Python<'py>,
    path: PathBuf,
    texts: Vec<String>,
) -> Result<Bound<'py, PyDict>, Failed> {
    let table = py.detach(|| Table::read(&path))?;
    let columns = PyDict::new(py);
    for column in &table.columns {
        let cells: Vec<Cell<'_>> = (0..table.n_rows).map(|row| column.cell(row)).collect();
        let is_text = texts.contains(&column.name);
        let list = match (is_text, all(&cells, whole), all(&cells, number)) {
            (false, Some(numbers), _) => PyList::new(py, numbers),
            (false, None, Some(numbers)) => PyList::new(py, numbers),
            _ => {
                let list = PyList::empty(py);
                cells.iter().try_for_each(|cell| match cell {
                    Cell::Boolean(truth) => list.append(*truth),
                    Cell::Text(text) => list.append(*text),
                    Cell::Number(number) => list.append(*number),
                    _ => list.append(py.None()),
                })?;
                Ok(list)
            }
        };
        columns.set_item(&column.name, list?)?;
    }
    Ok(columns)
}

/// The numbers of cells that are all numbers, or missing.
fn all<T>(cells: &[Cell<'_>], number: fn(&Cell<'_>) -> Option<T>) -> Option<Vec<Option<T>>> {
    let one = |cell: &Cell<'_>| match cell {
        Cell::Missing => Some(None),
        cell => number(cell).map(Some),
    };
    cells.iter().map(one).collect()
}

fn whole(cell: &Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn number(cell: &Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Text(text) => text.trim().parse().ok(),
        Cell::Number(number) => Some(*number),
        _ => None,
    }
}
