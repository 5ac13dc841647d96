//! YOLO pose: a folder with `data.yaml`, images, and beside each folder of images one of labels with a text file an image.
//!
//! # Source
//!
//! Ultralytics, "Pose estimation datasets" (<https://docs.ultralytics.com/datasets/pose/>): a line is the class, the middle and the
//! size of the box, then x, y and how well it is seen of each point, all but class and visibility as shares of the image's width
//! and height. `images` in the path of an image is `labels` in that of its text file (`img2label_paths` of `ultralytics.data.utils`).
//! `skeleton` and `node_names` are as `sleap-io` writes them.

mod description;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::images::{folder_of, relative_to};
use super::named::{Named, NamedImage, placed};
use super::{Annotations, ImageFolders, Point, bad, finite, json};
use crate::error::{Error, Result, cannot_read};
use crate::image::{ImageSource, facts};
use crate::table::{IMAGE_ENDINGS, extension};

pub(super) use description::description;
#[cfg(test)]
pub(super) use write::shares;
pub(super) use write::write;

use description::{DataSet, flipped, numbers_a_point, point_names, root};

/// The parts of a data set, as `data.yaml` names them.
const SPLITS: [&str; 4] = ["train", "val", "valid", "test"];
/// What their column is called.
const SPLIT: &str = "split";
/// Folders inside one another, at most.
const MAX_DEPTH: usize = 16;

/// Reads a data set: its folder, or its `data.yaml`.
pub(super) fn read(path: &Path, folders: &ImageFolders) -> Result<Annotations> {
    let described = match path.is_dir() {
        true => description(path),
        false => Some(path.to_path_buf()),
    };
    let Some(described) = described else {
        return Err(bad(path, "", "`data.yaml`", "none"));
    };
    let set = DataSet::read(&described)?;
    let reader = Reader {
        described: &described,
        root: root(&described, set.path.as_deref()),
        names: point_names(&described, &set)?,
        n_numbers: numbers_a_point(&described, &set)?,
        classes: set.classes(),
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
    let mut annotations = placed(&described, &reader.names, images)?;
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
        // From the description, which is where images are looked for.
        let inside = relative_to(folder, folder_of(self.described));
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
