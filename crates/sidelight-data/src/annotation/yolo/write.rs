//! A YOLO data set: `data.yaml` and a text file an image, to be put beside the images.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::super::coco::{NO_LABEL, labels};
use super::super::images::inner_parts;
use super::super::{AnnotatedImage, Annotations, Instance, Point, bad, read_as};
use super::{SPLIT, SPLITS, box_of};
use crate::error::{Error, Result, cannot_write};
use crate::write::FolderWriter;

/// Writes the folder.
pub(in super::super) fn write(annotations: &Annotations, path: &Path) -> Result<()> {
    let folder = FolderWriter::create(path)?;
    let labels = labels(annotations);
    // Folders of images of each part, and text files by name.
    let mut splits: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut files: BTreeMap<String, &str> = BTreeMap::new();
    for image in &annotations.images {
        let split = split_of(image);
        let (images, file) = place_of(image, split);
        let folders = splits.entry(split).or_default();
        if !folders.contains(&images) {
            folders.push(images.clone());
        }
        let name = format!("{}/{file}", labels_beside(&images));
        if let Some(other) = files.insert(name.clone(), &image.file) {
            let expected = "images with labels of different names";
            let found = format!("`{other}` and `{}`", image.file);
            return Err(bad(path, format!("`{name}`"), expected, found));
        }
        let text = text_of(image, &labels, path)?;
        let target = folder.path().join(&name);
        let written = std::fs::create_dir_all(target.parent().unwrap_or(folder.path()))
            .and_then(|()| std::fs::write(&target, text));
        written.map_err(cannot_write(&path.join(&name)))?;
    }
    let yaml = description(annotations, &labels, &splits);
    let name = "data.yaml";
    std::fs::write(folder.path().join(name), yaml).map_err(cannot_write(&path.join(name)))?;
    folder.finish()
}

/// The part of the data set that an image is of.
fn split_of(image: &AnnotatedImage) -> &str {
    let attributes = image
        .instances
        .iter()
        .flat_map(|instance| &instance.attributes);
    let said = attributes
        .filter(|(name, _)| name == SPLIT)
        .map(|(_, value)| value.as_str());
    let mut known = said.filter(|value| SPLITS.contains(value));
    known.next().unwrap_or("train")
}

/// The folder of images that one is of, and its text file in that of the labels.
fn place_of(image: &AnnotatedImage, split: &str) -> (String, String) {
    let mut parts = inner_parts(&image.file);
    let last = parts.pop().unwrap_or_default();
    let stem = Path::new(&last).with_extension("txt");
    let file = stem.to_string_lossy().into_owned();
    match parts.iter().rposition(|part| part == "images") {
        // The folder of a part is the one below `images`, or that itself: `images/train`, `train/images`.
        Some(at) => {
            let n_folder = match parts.get(at + 1) {
                Some(below) if SPLITS.contains(&below.as_str()) => at + 2,
                _ => at + 1,
            };
            let inner = parts.split_off(n_folder);
            (parts.join("/"), joined(&inner, file))
        }
        None => (format!("{split}/images"), joined(&parts, file)),
    }
}

fn joined(folders: &[String], file: String) -> String {
    match folders.is_empty() {
        true => file,
        false => format!("{}/{file}", folders.join("/")),
    }
}

fn labels_beside(images: &str) -> String {
    let parts = images.split('/').map(|part| part.to_owned());
    let mut parts: Vec<String> = parts.collect();
    if let Some(part) = parts.iter_mut().rfind(|part| *part == "images") {
        "labels".clone_into(part);
    }
    parts.join("/")
}

fn text_of(image: &AnnotatedImage, labels: &[&str], path: &Path) -> Result<String> {
    if image.instances.is_empty() {
        return Ok(String::new());
    }
    let Some(size) = image.size else {
        return Err(Error::AnnotationImage {
            path: path.to_path_buf(),
            image: image.file.clone(),
        });
    };
    let lines = image.instances.iter();
    Ok(lines
        .map(|instance| line_of(instance, labels, size.map(f64::from)))
        .collect())
}

fn line_of(instance: &Instance, labels: &[&str], size: [f64; 2]) -> String {
    let label = instance.label.as_deref().unwrap_or(NO_LABEL);
    let class = labels.iter().position(|known| *known == label);
    let mut line = class.unwrap_or_default().to_string();
    let bbox = instance.bbox.or(instance.hull()).unwrap_or_default();
    for number in shares(bbox, size) {
        let _ = write!(line, " {number}");
    }
    for point in &instance.points {
        let [x, y] = point.xy().unwrap_or_default();
        let [width, height] = size;
        let share = |at: f64, side: f64| read_as(at, at / side, |share| share * side);
        let (x, y) = match point {
            Point::Missing => (0.0, 0.0),
            Point::Hidden(_) | Point::Visible(_) => (share(x, width), share(y, height)),
        };
        let _ = write!(line, " {x} {y} {}", point.visibility());
    }
    line.push('\n');
    line
}

/// The middle and the size of a box as shares of an image.
pub(in super::super) fn shares(
    [left, top, width, height]: [f64; 4],
    [all_x, all_y]: [f64; 2],
) -> [f64; 4] {
    let along = |start: f64, length: f64, side: f64| {
        let share = read_as(length, length / side, |share| share * side);
        let guess = (start + length / 2.0) / side;
        let middle = read_as(start, guess, |middle| {
            let [start, ..] = box_of([middle, 0.0, share, 0.0], [side, 1.0]);
            start
        });
        (middle, share)
    };
    let (x, width) = along(left, width, all_x);
    let (y, height) = along(top, height, all_y);
    [x, y, width, height]
}

fn description(
    annotations: &Annotations,
    labels: &[&str],
    splits: &BTreeMap<&str, Vec<String>>,
) -> String {
    let points = &annotations.points;
    let quoted = |text: &str| format!("'{}'", text.replace(['\'', '\n'], " "));
    let mut text = String::from("path: .\n");
    for (split, folders) in splits {
        let _ = match folders.as_slice() {
            [one] => writeln!(text, "{split}: {}", quoted(one)),
            several => {
                let several: Vec<String> = several.iter().map(|one| quoted(one)).collect();
                writeln!(text, "{split}: [{}]", several.join(", "))
            }
        };
    }
    if !splits.contains_key("val") {
        // Ultralytics asks for the key; which rows it validates on is for the person to say.
        text.push_str("val:\n");
    }
    let _ = writeln!(text, "kpt_shape: [{}, 3]", points.len());
    let mut flip: Vec<usize> = (0..points.len()).collect();
    for &[one, two] in &annotations.symmetric {
        if one.max(two) < flip.len() {
            flip.swap(one, two);
        }
    }
    let _ = writeln!(text, "flip_idx: {flip:?}");
    text.push_str("names:\n");
    for (at, label) in labels.iter().enumerate() {
        let _ = writeln!(text, "  {at}: {}", quoted(label));
    }
    text.push_str("node_names:\n");
    for name in points {
        let _ = writeln!(text, "  - {}", quoted(name));
    }
    let _ = writeln!(text, "kpt_names:");
    for at in 0..labels.len() {
        let names: Vec<String> = points.iter().map(|name| quoted(name)).collect();
        let _ = writeln!(text, "  {at}: [{}]", names.join(", "));
    }
    if !annotations.skeleton.is_empty() {
        let _ = writeln!(text, "skeleton: {:?}", annotations.skeleton);
    }
    text
}
