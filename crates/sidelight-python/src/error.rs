//! Errors of the library as exceptions of Python.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use sidelight::Place;
use sidelight::error::{DataError, Error, EvidenceError, in_full};

/// What went wrong, on its way to Python.
pub(crate) enum Failed {
    /// In the library or the command line.
    Ours(anyhow::Error),
    /// In Python: a callback that raised, Ctrl-C.
    Python(PyErr),
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self::Ours(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Ours(error.into())
    }
}

impl From<DataError> for Failed {
    fn from(error: DataError) -> Self {
        Self::Ours(error.into())
    }
}

impl From<PyErr> for Failed {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<Failed> for PyErr {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Python(error) => error,
            Failed::Ours(error) => {
                Python::attach(|py| raised(py, &error).unwrap_or_else(|error| error))
            }
        }
    }
}

/// The exception: `sidelight.errors` has the classes, with place and hint as attributes.
fn raised(py: Python<'_>, error: &anyhow::Error) -> PyResult<PyErr> {
    let about = PyDict::new(py);
    let place = error.chain().find_map(place);
    if let Some(place) = place {
        about.set_item("file", place.file.to_string_lossy())?;
        about.set_item("row", place.row)?;
        about.set_item("line", place.line)?;
        about.set_item("column", place.column)?;
    }
    let hint = error.chain().find_map(hint);
    let kind = error.chain().find_map(kind).unwrap_or("SidelightError");
    let message = in_full(&**error);
    let class = py.import("sidelight.errors")?.getattr(kind)?;
    let exception = class.call((message, hint), Some(&about))?;
    Ok(PyErr::from_value(exception))
}

type Cause<'a> = &'a (dyn std::error::Error + 'static);

fn data(cause: Cause<'_>) -> Option<&DataError> {
    match cause.downcast_ref::<Error>() {
        Some(Error::Data(error)) => Some(error),
        _ => cause.downcast_ref(),
    }
}

fn place(cause: Cause<'_>) -> Option<Place> {
    let error = data(cause)?;
    if let Some(place) = error.place() {
        return Some(place.clone());
    }
    let at = |path: &std::path::Path, line: Option<usize>, column: Option<&String>| Place {
        line,
        column: column.cloned(),
        ..Place::file(path)
    };
    match error {
        DataError::Read { path, .. } | DataError::Write { path, .. } => Some(at(path, None, None)),
        DataError::Config { path, line, .. } => Some(at(path, *line, None)),
        DataError::NoColumn { path, name, .. } => Some(at(path, None, Some(name))),
        _ => None,
    }
}

fn hint(cause: Cause<'_>) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<Error>() {
        return error.hint();
    }
    if let Some(error) = cause.downcast_ref::<DataError>() {
        return error.hint();
    }
    if let Some(error) = cause.downcast_ref::<EvidenceError>() {
        return error.hint();
    }
    sidelight_cli::embed::hint(cause)
}

/// Name of the class of `sidelight.errors`.
fn kind(cause: Cause<'_>) -> Option<&'static str> {
    use DataError as D;
    if let Some(error) = data(cause) {
        return Some(match error {
            D::NoColumn { .. }
            | D::DuplicateColumn { .. }
            | D::NoTarget { .. }
            | D::NoImageColumn { .. }
            | D::MissingMetadata { .. }
            | D::MetadataKind { .. } => "ColumnError",
            D::Config { .. }
            | D::UnknownField { .. }
            | D::UnknownChoice { .. }
            | D::Override { .. }
            | D::Setting { .. }
            | D::HubName { .. } => "ConfigError",
            D::ImageEmpty { .. }
            | D::ImageFormat { .. }
            | D::ImageArea { .. }
            | D::ImageChannels { .. }
            | D::ImageTruncated { .. }
            | D::ImageDecode { .. }
            | D::ImagePixels { .. }
            | D::ImageBytes { .. }
            | D::ImageNotAFile { .. }
            | D::ImageFault { .. }
            | D::RowImage { .. } => "ImageError",
            _ => "DataError",
        });
    }
    match cause.downcast_ref::<Error>()? {
        Error::AbsentColumns { .. } => Some("ColumnError"),
        Error::OutputNotEmpty { .. }
        | Error::NotARun { .. }
        | Error::UnfinishedRun { .. }
        | Error::RunInUse { .. } => Some("RunError"),
        Error::NoBackbone { .. }
        | Error::NoLayer { .. }
        | Error::NoParameter { .. }
        | Error::Shape { .. }
        | Error::LayerField { .. }
        | Error::LayerDescription { .. } => Some("NetworkError"),
        Error::HubOffline { .. }
        | Error::HubUnreachable { .. }
        | Error::HubNotFound { .. }
        | Error::HubRefused { .. }
        | Error::WeightsFile { .. }
        | Error::WeightsKeys { .. }
        | Error::WeightsShape { .. } => Some("WeightsError"),
        _ => None,
    }
}
