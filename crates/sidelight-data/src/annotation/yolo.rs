//! YOLO pose: a folder with `data.yaml`, images, and beside each folder of images one of labels with a text file an image.
//!
//! # Source
//!
//! Ultralytics, "Pose estimation datasets" (<https://docs.ultralytics.com/datasets/pose/>): a line is the class, the middle and the
//! size of the box, then x, y and how well it is seen of each point, all but class and visibility as shares of the image's width
//! and height. `images` in the path of an image is `labels` in that of its text file (`img2label_paths` of `ultralytics.data.utils`).
//! `skeleton` and `node_names` are as `sleap-io` writes them.

mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::images::{folder_of, relative_to};
use super::named::{Named, NamedImage, numbered, placed};
use super::{Annotations, ImageFolders, Point, bad, finite, json, yaml};
use crate::error::{Error, Result, cannot_read};
use crate::image::{ImageSource, facts};
use crate::table::{IMAGE_ENDINGS, extension};

#[cfg(test)]
pub(super) use write::shares;
pub(super) use write::write;

/// The parts of a data set, as `data.yaml` names them.
const SPLITS: [&str; 4] = ["train", "val", "valid", "test"];
/// What their column is called.
const SPLIT: &str = "split";
/// Folders inside one another, at most.
const MAX_DEPTH: usize = 16;

#[derive(Debug, Default, Deserialize)]
struct DataSet {
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    names: Option<Value>,
    #[serde(default)]
    kpt_shape: Option<Vec<usize>>,
    #[serde(default)]
    flip_idx: Option<Vec<usize>>,
    #[serde(default)]
    kpt_names: Option<Value>,
    #[serde(default)]
    node_names: Option<Value>,
    #[serde(default)]
    skeleton: Option<Vec<[usize; 2]>>,
    #[serde(default)]
    train: Option<OneOrSeveral>,
    #[serde(default)]
    val: Option<OneOrSeveral>,
    #[serde(default)]
    valid: Option<OneOrSeveral>,
    #[serde(default)]
    test: Option<OneOrSeveral>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a folder of images, or a list of them")]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

impl DataSet {
    /// The folders of images of each part that there is.
    fn splits(&self) -> impl Iterator<Item = (&'static str, Vec<String>)> {
        let folders = [&self.train, &self.val, &self.valid, &self.test];
        let named = SPLITS.into_iter().zip(folders);
        named.filter_map(|(split, folders)| match folders.clone()? {
            OneOrSeveral::One(folder) => Some((split, vec![folder])),
            OneOrSeveral::Several(folders) => Some((split, folders)),
        })
    }
}

/// The description in a folder: `data.yaml`, or the only other of that ending.
pub(super) fn description(folder: &Path) -> Option<PathBuf> {
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

/// Reads a data set: its folder, or its `data.yaml`.
pub(super) fn read(path: &Path, folders: &ImageFolders) -> Result<Annotations> {
    let described = match path.is_dir() {
        true => description(path),
        false => Some(path.to_path_buf()),
    };
    let Some(described) = described else {
        return Err(bad(path, "", "`data.yaml`", "none"));
    };
    let set: DataSet =
        serde_path_to_error::deserialize(yaml::read(&described)?).map_err(|error| {
            Error::AnnotationJson {
                path: described.clone(),
                at: format!("`{}`", error.path()),
                source: error.into_inner(),
            }
        })?;
    let reader = Reader {
        described: &described,
        root: root(&described, set.path.as_deref()),
        names: point_names(&described, &set)?,
        n_numbers: numbers_a_point(&described, &set)?,
        classes: listed(set.names.as_ref()),
        folders,
    };
    let mut images = Vec::new();
    let splits: Vec<_> = set.splits().collect();
    for (split, entries) in &splits {
        let first = images.len();
        for entry in entries {
            reader.read_folder(&reader.root.join(entry), &mut images)?;
        }
        let of_split = images.iter_mut().skip(first);
        if splits.len() > 1 {
            of_split
                .flat_map(|image: &mut NamedImage| &mut image.instances)
                .for_each(|instance| instance.add((SPLIT.to_owned(), (*split).to_owned())));
        }
    }
    if images.is_empty() {
        let expected = "`train` or `val`: folders of images beside one of labels";
        return Err(bad(&described, "", expected, "none with a text file in it"));
    }
    let mut annotations = placed(&described, reader.names.clone(), images)?;
    let n = annotations.points.len();
    annotations.skeleton = set.skeleton.unwrap_or_default();
    if let Some(line) = annotations
        .skeleton
        .iter()
        .find(|line| line.iter().any(|end| *end >= n))
    {
        let expected = format!("two of {n} points");
        return Err(bad(&described, "`skeleton`", expected, format!("{line:?}")));
    }
    annotations.symmetric = flipped(&described, set.flip_idx.as_deref(), n)?;
    Ok(annotations)
}

/// The folder that parts are named from.
fn root(described: &Path, path: Option<&str>) -> PathBuf {
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
fn point_names(described: &Path, set: &DataSet) -> Result<Vec<String>> {
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

fn numbers_a_point(described: &Path, set: &DataSet) -> Result<usize> {
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
fn flipped(described: &Path, order: Option<&[usize]>, n: usize) -> Result<Vec<[usize; 2]>> {
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

struct Reader<'a> {
    described: &'a Path,
    root: PathBuf,
    names: Vec<String>,
    n_numbers: usize,
    classes: Vec<String>,
    folders: &'a ImageFolders,
}

impl Reader<'_> {
    /// Reads the labels of a folder of images.
    fn read_folder(&self, folder: &Path, images: &mut Vec<NamedImage>) -> Result<()> {
        if extension(folder) == "txt" {
            let expected = "a folder of images";
            return Err(bad(
                self.described,
                "",
                expected,
                format!("`{}`", folder.display()),
            ));
        }
        let labels = label_folder(folder);
        let mut files = Vec::new();
        if labels.is_dir() {
            text_files(&labels, 0, &mut files)?;
        }
        let pictures = pictures(folder);
        for file in files {
            let stem = relative_to(&file.with_extension(""), &labels);
            images.push(self.read_labels(&file, folder, &stem, pictures.get(&stem))?);
        }
        Ok(())
    }

    fn read_labels(
        &self,
        file: &Path,
        folder: &Path,
        stem: &str,
        picture: Option<&PathBuf>,
    ) -> Result<NamedImage> {
        let inside = relative_to(folder, &self.root);
        let endings = IMAGE_ENDINGS.iter();
        let mut named = endings.map(|ending| format!("{inside}/{stem}.{ending}"));
        let picture = picture.cloned();
        let picture = picture.or_else(|| named.find_map(|name| self.folders.find(&name)));
        let Some(picture) = picture else {
            return Err(Error::AnnotationImage {
                path: file.to_path_buf(),
                image: format!("{inside}/{stem}.jpg"),
            });
        };
        let facts = facts(&ImageSource::Path(picture.clone()))?;
        // Ultralytics measures pictures as EXIF turns them.
        let size = facts
            .upright()
            .map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        let text = json::text(file)?;
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty());
        let instances = lines.map(|(at, line)| {
            self.instance(line, size)
                .map_err(|(expected, found)| bad(file, format!("line {}", at + 1), expected, found))
        });
        let ending = picture.extension().unwrap_or_default().to_string_lossy();
        Ok(NamedImage {
            file: format!("{inside}/{stem}.{ending}"),
            size: Some(size),
            instances: instances.collect::<Result<_>>()?,
        })
    }

    fn instance(&self, line: &str, size: [u32; 2]) -> Result<Named, (String, String)> {
        let n = 5 + self.names.len() * self.n_numbers;
        let numbers: Option<Vec<f64>> = line.split_whitespace().map(finite).collect();
        let numbers =
            numbers.ok_or_else(|| ("numbers".to_owned(), format!("`{}`", line.trim())))?;
        let wrong_number = || {
            let expected = format!(
                "{n} numbers: a class, a box, and {} points",
                self.names.len()
            );
            (expected, numbers.len().to_string())
        };
        if numbers.len() != n {
            return Err(wrong_number());
        }
        let ([class, x, y, width, height], points) =
            numbers.split_first_chunk::<5>().ok_or_else(wrong_number)?;
        let label = match class.fract() == 0.0 && *class >= 0.0 {
            true => self.class(*class),
            false => return Err(("the number of a class".into(), format!("`{class}`"))),
        };
        let sides = size.map(f64::from);
        let points = points.chunks_exact(self.n_numbers).zip(&self.names);
        let points = points.map(|(point, name)| Ok((name.clone(), in_pixels(point, sides)?)));
        Ok(Named {
            label: Some(label),
            points: points.collect::<Result<_, (String, String)>>()?,
            bbox: Some(box_of([*x, *y, *width, *height], sides)),
            attributes: Vec::new(),
        })
    }

    fn class(&self, number: f64) -> String {
        let mut names = self.classes.iter().zip(0_u32..);
        let found = names.find(|(name, at)| f64::from(*at) == number && !name.is_empty());
        found.map_or_else(|| format!("class {number}"), |(name, _)| name.clone())
    }
}

/// Left, top, width and height of a box in pixels.
pub(super) fn box_of([x, y, width, height]: [f64; 4], [all_x, all_y]: [f64; 2]) -> [f64; 4] {
    let (width, height) = (width * all_x, height * all_y);
    [
        x * all_x - width / 2.0,
        y * all_y - height / 2.0,
        width,
        height,
    ]
}

/// A point of two or three numbers in pixels.
fn in_pixels(point: &[f64], [width, height]: [f64; 2]) -> Result<Point, (String, String)> {
    match *point {
        [0.0, 0.0] => Ok(Point::Missing),
        [x, y] => Ok(Point::Visible([x * width, y * height])),
        [x, y, seen] => Point::of_coco([x * width, y * height], seen).ok_or_else(|| {
            (
                "0, 1 or 2 for how well a point is seen".into(),
                format!("`{seen}`"),
            )
        }),
        _ => Ok(Point::Missing),
    }
}

/// The folder of the labels of a folder of images.
fn label_folder(images: &Path) -> PathBuf {
    let parts: Vec<_> = images.components().collect();
    let last = parts.iter().rposition(|part| part.as_os_str() == "images");
    match last {
        Some(last) => {
            let (before, from) = parts.split_at(last);
            let after = from.iter().skip(1);
            let before: PathBuf = before.iter().collect();
            before.join("labels").join(after.collect::<PathBuf>())
        }
        None => images.to_path_buf(),
    }
}

/// The text files of a folder and those in it, by name.
fn text_files(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed = cannot_read(folder);
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<std::io::Result<_>>().map_err(failed)?;
    paths.sort();
    for path in paths {
        if path.is_dir() && depth < MAX_DEPTH {
            text_files(&path, depth + 1, files)?;
        } else if extension(&path) == "txt" && path.file_name() != Some("classes.txt".as_ref()) {
            files.push(path);
        }
    }
    Ok(())
}

/// The images of a folder and those in it, by their path in it without the ending.
fn pictures(folder: &Path) -> HashMap<String, PathBuf> {
    let mut found = HashMap::new();
    let mut left = vec![(folder.to_path_buf(), 0)];
    while let Some((inner, depth)) = left.pop() {
        for entry in std::fs::read_dir(&inner).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && depth < MAX_DEPTH {
                left.push((path, depth + 1));
            } else if IMAGE_ENDINGS.contains(&extension(&path).as_str()) {
                found.insert(relative_to(&path.with_extension(""), folder), path);
            }
        }
    }
    found
}
