//! What `data.yaml` says of a YOLO data set.

use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::super::images::folder_of;
use super::super::named::numbered;
use super::super::{bad, json, yaml};
use super::SPLITS;
use crate::config::one_or_several;
use crate::error::{Error, Result};
use crate::table::extension;

/// The file as it is; what Sidelight does not need is left out.
#[derive(Debug, Default, Deserialize)]
pub(super) struct DataSet {
    #[serde(default)]
    pub(super) path: Option<String>,
    #[serde(default)]
    names: Option<Value>,
    #[serde(default)]
    kpt_shape: Option<Vec<usize>>,
    #[serde(default)]
    pub(super) flip_idx: Option<Vec<usize>>,
    #[serde(default)]
    kpt_names: Option<Value>,
    #[serde(default)]
    node_names: Option<Value>,
    #[serde(default)]
    pub(super) skeleton: Option<Vec<[usize; 2]>>,
    #[serde(default, deserialize_with = "folders")]
    train: Option<Vec<String>>,
    #[serde(default, deserialize_with = "folders")]
    val: Option<Vec<String>>,
    #[serde(default, deserialize_with = "folders")]
    valid: Option<Vec<String>>,
    #[serde(default, deserialize_with = "folders")]
    test: Option<Vec<String>>,
}

fn folders<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let found = Option::<Value>::deserialize(deserializer)?;
    let expected = "a folder of images, or a list of them";
    let read = |found| one_or_several(found, expected).map_err(D::Error::custom);
    found.map(read).transpose()
}

impl DataSet {
    /// Reads the file.
    pub(super) fn read(described: &Path) -> Result<Self> {
        serde_path_to_error::deserialize(yaml::read(described)?).map_err(|error| {
            Error::AnnotationJson {
                path: described.to_path_buf(),
                at: format!("`{}`", error.path()),
                source: error.into_inner(),
            }
        })
    }

    /// The names of the classes by their numbers.
    pub(super) fn classes(&self) -> Vec<String> {
        listed(self.names.as_ref())
    }

    /// The folders of images of each part that there is.
    pub(super) fn splits(&self) -> impl Iterator<Item = (&'static str, Vec<String>)> {
        let folders = [&self.train, &self.val, &self.valid, &self.test];
        let named = SPLITS.into_iter().zip(folders);
        named.filter_map(|(split, folders)| Some((split, folders.clone()?)))
    }
}

/// The description in a folder: `data.yaml`, or the only other of that ending.
pub(in super::super) fn description(folder: &Path) -> Option<PathBuf> {
    let usual = folder.join("data.yaml");
    if usual.is_file() {
        return Some(usual);
    }
    let entries = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let yaml = entries
        .map(|entry| entry.path())
        .filter(|path| ["yaml", "yml"].contains(&extension(path).as_str()));
    let yaml: Vec<PathBuf> = yaml.collect();
    match yaml.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    }
}

/// The folder that parts are named from.
pub(super) fn root(described: &Path, path: Option<&str>) -> PathBuf {
    let beside = folder_of(described);
    let told = beside.join(path.unwrap_or(""));
    // Ultralytics looks for it in a folder of its settings; the description is in it.
    match told.is_dir() {
        true => told,
        false => beside.to_path_buf(),
    }
}

/// A list of names, or a map of them by number.
fn listed(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(names)) => names
            .iter()
            .map(|n| json::cell(n).unwrap_or_default())
            .collect(),
        Some(Value::Object(names)) => names.values().filter_map(json::cell).collect(),
        _ => Vec::new(),
    }
}

/// The names of the points: of the first class where classes have their own.
pub(super) fn point_names(described: &Path, set: &DataSet) -> Result<Vec<String>> {
    let Some([n, ..]) = set
        .kpt_shape
        .as_deref()
        .and_then(<[usize]>::first_chunk::<1>)
    else {
        let expected = "`kpt_shape`, how many points there are and how many numbers each has";
        return Err(bad(described, "", expected, "none"));
    };
    let of_class = match &set.kpt_names {
        Some(Value::Object(classes)) => classes.values().next(),
        other => other.as_ref(),
    };
    let found = [of_class, set.node_names.as_ref()].into_iter().flatten();
    let found = found
        .map(|names| listed(Some(names)))
        .find(|names| !names.is_empty());
    let names = found.unwrap_or_else(|| (0..(*n).min(1 << 16)).map(numbered).collect());
    match names.len() == *n {
        true => Ok(names),
        false => {
            let expected = format!("{n} names of points, as `kpt_shape` says");
            Err(bad(described, "", expected, names.len()))
        }
    }
}

pub(super) fn numbers_a_point(described: &Path, set: &DataSet) -> Result<usize> {
    match set.kpt_shape.as_deref() {
        Some(&[_, n @ (2 | 3)]) => Ok(n),
        found => {
            let expected = "a number of points, and 2 or 3 numbers a point";
            Err(bad(
                described,
                "`kpt_shape`",
                expected,
                format!("{:?}", found.unwrap_or_default()),
            ))
        }
    }
}

/// Pairs that change places.
pub(super) fn flipped(
    described: &Path,
    order: Option<&[usize]>,
    n: usize,
) -> Result<Vec<[usize; 2]>> {
    let Some(order) = order else {
        return Ok(Vec::new());
    };
    let is_mutual = |(place, other): (usize, &usize)| order.get(*other) == Some(&place);
    if order.len() != n || !order.iter().enumerate().all(is_mutual) {
        let expected = format!("for each of {n} points the one that it changes places with");
        return Err(bad(described, "`flip_idx`", expected, format!("{order:?}")));
    }
    let pairs = order.iter().enumerate();
    Ok(pairs
        .filter(|(place, other)| place < *other)
        .map(|(place, other)| [place, *other])
        .collect())
}
