//! Which format a file of annotations has, by what is in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::{Format, json, labelme, via, yolo};
use crate::error::{Error, Result, cannot_read};
use crate::table::extension;

/// The format, and how it is known.
pub(super) fn format_of(path: &Path) -> Result<(Format, String)> {
    match path.is_dir() {
        true => of_folder(path),
        false => of_file(path),
    }
}

fn unknown(path: &Path, found: impl Into<String>) -> Error {
    Error::AnnotationKind {
        path: path.to_path_buf(),
        found: found.into(),
    }
}

fn of_folder(path: &Path) -> Result<(Format, String)> {
    std::fs::read_dir(path).map_err(cannot_read(path))?;
    if let Some(description) = yolo::description(path) {
        let name = description
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        return Ok((Format::Yolo, format!("a folder with `{name}`")));
    }
    let files: Vec<PathBuf> = labelme::json_files(path)?;
    let Some(first) = files.first() else {
        return Err(unknown(path, "a folder with neither `data.yaml` nor JSON"));
    };
    match of_file(first)? {
        (Format::LabelMe, evidence) => {
            let name = first.file_name().unwrap_or_default().to_string_lossy();
            Ok((Format::LabelMe, format!("{evidence} of `{name}`")))
        }
        (other, _) => Err(unknown(
            path,
            format!("a folder of {}: name its files", other.title()),
        )),
    }
}

fn of_file(path: &Path) -> Result<(Format, String)> {
    if ["yaml", "yml"].contains(&extension(path).as_str()) {
        return Ok((Format::Yolo, "its ending".into()));
    }
    let bytes = json::bytes(path)?;
    let start = bytes.trim_ascii_start();
    match start.first() {
        None => Err(unknown(path, "an empty file")),
        Some(b'<') => of_xml(path, start),
        Some(b'[') => of_list(path, &bytes),
        Some(b'{') => of_object(path, &bytes),
        Some(_) => of_text(path, start),
    }
}

fn of_xml(path: &Path, start: &[u8]) -> Result<(Format, String)> {
    let beginning = start.get(..1 << 12).unwrap_or(start);
    let text = String::from_utf8_lossy(beginning);
    match text.contains("<annotations") {
        true => Ok((Format::Cvat, "its element `annotations`".into())),
        false => Err(unknown(path, "XML without `annotations`")),
    }
}

fn of_list(path: &Path, bytes: &[u8]) -> Result<(Format, String)> {
    let tasks: Vec<BTreeMap<String, IgnoredAny>> = json::parse(path, "", bytes)?;
    let is_task = |task: &BTreeMap<String, IgnoredAny>| is_task(|key| task.contains_key(key));
    match tasks.first() {
        Some(first) if is_task(first) => Ok((Format::LabelStudio, "a list of tasks".into())),
        Some(_) => Err(unknown(path, "a list of JSON whose members have no `data`")),
        None => Err(unknown(path, "an empty list")),
    }
}

fn is_task(has: impl Fn(&str) -> bool) -> bool {
    has("data")
        && ["annotations", "completions", "predictions"]
            .iter()
            .any(|key| has(key))
}

fn of_object(path: &Path, bytes: &[u8]) -> Result<(Format, String)> {
    let members: BTreeMap<String, IgnoredAny> = json::parse(path, "", bytes)?;
    let has = |key: &str| members.contains_key(key);
    let found = if has("images") && has("annotations") {
        Some((Format::Coco, "`images` and `annotations`"))
    } else if has("shapes") && has("imagePath") {
        Some((Format::LabelMe, "`shapes` and `imagePath`"))
    } else if has(via::IMAGES) {
        Some((Format::Via, "`_via_img_metadata`"))
    } else if is_task(has) {
        Some((Format::LabelStudio, "`data` and its annotations"))
    } else {
        let entries =
            json::parse::<BTreeMap<String, BTreeMap<String, IgnoredAny>>>(path, "", bytes);
        let mut entries = entries.unwrap_or_default().into_values();
        let is_entry = |entry: BTreeMap<String, IgnoredAny>| {
            ["filename", "regions"]
                .iter()
                .all(|key| entry.contains_key(*key))
        };
        let is_via = entries.next().is_some_and(is_entry);
        is_via.then_some((Format::Via, "`filename` and `regions` of each image"))
    };
    found
        .map(|(format, evidence)| (format, evidence.to_owned()))
        .ok_or_else(|| {
            let keys: Vec<&str> = members.keys().take(5).map(String::as_str).collect();
            unknown(path, format!("JSON with `{}`", keys.join("`, `")))
        })
}

fn of_text(path: &Path, start: &[u8]) -> Result<(Format, String)> {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or(start);
    let line = String::from_utf8_lossy(line.get(..1 << 12).unwrap_or(line));
    if line.starts_with("scorer,") {
        return Ok((Format::DeepLabCut, "its header `scorer`".into()));
    }
    if line.contains(via::REGIONS) {
        return Ok((Format::Via, format!("its column `{}`", via::REGIONS)));
    }
    let shown: String = line.chars().take(40).collect();
    Err(unknown(
        path,
        format!("text that begins `{}`", shown.trim()),
    ))
}
