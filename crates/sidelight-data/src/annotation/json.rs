//! Files of JSON: bounded, read into what a format has, with the path of what is wrong.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::bad;
use crate::error::{Error, Result, cannot_read};

/// The largest file of annotations: four times those of COCO's training set.
const MAX_BYTES: u64 = 1 << 30;

/// The bytes of a file of annotations, without a byte order mark.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>> {
    let failed = cannot_read(path);
    // Before opening: opening a pipe would wait forever.
    let found = std::fs::metadata(path).map_err(failed)?;
    if !found.is_file() {
        return Err(bad(path, "", "a file", "something else"));
    }
    if found.len() > MAX_BYTES {
        let expected = format!("at most {MAX_BYTES} bytes");
        return Err(bad(path, "", expected, found.len()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => Ok(rest.to_vec()),
        None => Ok(bytes),
    }
}

/// The text of a file of annotations.
pub(super) fn text(path: &Path) -> Result<String> {
    String::from_utf8(bytes(path)?).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to());
        let n_before = before.unwrap_or_default().iter().filter(|b| **b == b'\n');
        let line = format!("line {}", n_before.count() + 1);
        bad(path, line, "UTF-8", "other bytes")
    })
}

/// A file of JSON as what a format has.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    parse(path, "", &bytes(path)?)
}

/// JSON as what a format has; `within` is where in the file it stands, if it is not all of it.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, within: &str, bytes: &[u8]) -> Result<T> {
    let failed = |at: String, source| Error::AnnotationJson {
        path: path.to_path_buf(),
        at,
        source,
    };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let inner = error.path().to_string();
        let inner = match inner.as_str() {
            "." | "?" => String::new(),
            inner => format!("`{inner}`"),
        };
        let parts: Vec<&str> = [within, &inner]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        failed(parts.join(", "), error.into_inner())
    })?;
    reader
        .end()
        .map_err(|error| failed(within.to_owned(), error))?;
    Ok(value)
}

/// A value as the text of a cell: none for what is empty, and for lists and objects.
pub(super) fn cell(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The members of an object that are cells.
pub(super) fn attributes(
    object: &Map<String, Value>,
) -> impl Iterator<Item = (String, String)> + '_ {
    object
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), cell(value)?)))
}
