//! LabelMe: a JSON an image, in which points and rectangles of one group are an instance.
//!
//! # Source
//!
//! <https://github.com/wkentaro/labelme>, `labelme/_label_file.py` of 6.3. Departs from it: the flag `hidden` (or `occluded`) of a point
//! says that it is hidden, and members of `attributes` of a shape, which LabelMe keeps as it finds them, are read and written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::coco::NO_LABEL;
use super::named::{Named, NamedImage, placed};
use super::{AnnotatedImage, Annotations, Instance, Point, bad, read_as};
use crate::error::{Result, cannot_read, cannot_write};
use crate::table::extension;
use crate::write::FolderWriter;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    image_path: String,
    #[serde(default)]
    image_width: Option<u32>,
    #[serde(default)]
    image_height: Option<u32>,
    #[serde(default)]
    flags: Option<Map<String, Value>>,
    shapes: Vec<Shape>,
}

#[derive(Deserialize)]
struct Shape {
    label: String,
    points: Vec<[f64; 2]>,
    #[serde(default)]
    group_id: Option<i64>,
    #[serde(default)]
    shape_type: Option<String>,
    #[serde(default)]
    flags: Option<Map<String, Value>>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    attributes: Option<Map<String, Value>>,
}

/// The flags of a point that is hidden.
const HIDDEN: [&str; 2] = ["hidden", "occluded"];

/// Reads a file, or all those of a folder by their names.
pub(super) fn read(path: &Path) -> Result<Annotations> {
    let files = match path.is_dir() {
        true => json_files(path)?,
        false => vec![path.to_path_buf()],
    };
    let images: Result<Vec<_>> = files.iter().map(|file| read_image(file)).collect();
    placed(path, &[], images?)
}

/// The files of JSON in a folder, by name.
pub(super) fn json_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = cannot_read(folder);
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<std::io::Result<_>>().map_err(failed)?;
    paths.retain(|path| extension(path) == "json" && path.is_file());
    paths.sort();
    Ok(paths)
}

fn read_image(path: &Path) -> Result<NamedImage> {
    let file: File = super::json::read(path)?;
    // Of each group its number, in the order in which they come.
    let mut groups: Vec<(Option<i64>, Named)> = Vec::new();
    for (at, shape) in file.shapes.iter().enumerate() {
        if shape.shape_type.as_deref() != Some("point") {
            continue;
        }
        let &[xy] = shape.points.as_slice() else {
            let at = format!("`shapes[{at}].points`");
            return Err(bad(path, at, "one point", shape.points.len()));
        };
        let said = |flag: &str| {
            shape
                .flags
                .as_ref()
                .and_then(|flags| flags.get(flag)?.as_bool())
        };
        let point = match HIDDEN.iter().any(|flag| said(flag) == Some(true)) {
            true => Point::Hidden(xy),
            false => Point::Visible(xy),
        };
        let known = groups
            .iter()
            .position(|(group, _)| *group == shape.group_id);
        let known = known.unwrap_or_else(|| {
            groups.push((shape.group_id, Named::default()));
            groups.len() - 1
        });
        if let Some((_, instance)) = groups.get_mut(known) {
            instance.points.push((shape.label.clone(), point));
            let attributes = shape.attributes.iter().flat_map(super::json::attributes);
            attributes.for_each(|attribute| instance.add(attribute));
        }
    }
    for (group, instance) in &mut groups {
        let rectangles = file.shapes.iter().enumerate();
        let rectangles: Vec<_> = rectangles
            .filter(|(_, shape)| {
                shape.shape_type.as_deref() == Some("rectangle") && shape.group_id == *group
            })
            .collect();
        match (rectangles.as_slice(), *group) {
            // Without a group, of several it cannot be told.
            ([], _) | ([_, _, ..], None) => {}
            ([(at, shape), ..], _) => add_rectangle(path, *at, shape, instance)?,
        }
        let flags = file.flags.iter().flat_map(super::json::attributes);
        flags.for_each(|flag| instance.add(flag));
    }
    let size = file.image_width.zip(file.image_height);
    Ok(NamedImage {
        file: file.image_path.replace('\\', "/"),
        size: size.map(|(width, height)| [width, height]),
        instances: groups.into_iter().map(|(_, instance)| instance).collect(),
    })
}

/// What the rectangle of an instance says of it.
fn add_rectangle(path: &Path, at: usize, shape: &Shape, instance: &mut Named) -> Result<()> {
    let &[[x1, y1], [x2, y2]] = shape.points.as_slice() else {
        let at = format!("`shapes[{at}].points`");
        return Err(bad(path, at, "two corners", shape.points.len()));
    };
    let (left, top) = (x1.min(x2), y1.min(y2));
    instance.bbox = Some([left, top, x1.max(x2) - left, y1.max(y2) - top]);
    instance.label = Some(shape.label.clone());
    let described = shape.description.iter().filter(|text| !text.is_empty());
    let described = described.map(|text| ("description".to_owned(), text.clone()));
    let flags = shape.flags.iter().flat_map(super::json::attributes);
    let attributes = shape.attributes.iter().flat_map(super::json::attributes);
    for attribute in attributes.chain(described).chain(flags) {
        instance.add(attribute);
    }
    Ok(())
}

/// Writes a folder with a file an image, each called as its image is.
pub(super) fn write(annotations: &Annotations, path: &Path) -> Result<()> {
    let folder = FolderWriter::create(path)?;
    let mut written: BTreeMap<String, &str> = BTreeMap::new();
    for image in &annotations.images {
        let inner = super::images::inner_parts(&image.file);
        let stem = Path::new(inner.last().map_or("image", String::as_str)).with_extension("json");
        let name = stem.to_string_lossy().into_owned();
        if let Some(other) = written.insert(name.clone(), &image.file) {
            let expected = "images of different names";
            let found = format!("`{other}` and `{}`", image.file);
            return Err(bad(path, format!("`{name}`"), expected, found));
        }
        let text = serde_json::to_string_pretty(&as_json(annotations, image));
        let text = text.map_err(|error| cannot_write(&path.join(&name))(error.into()))?;
        std::fs::write(folder.path().join(&name), text).map_err(cannot_write(&path.join(&name)))?;
    }
    folder.finish()
}

fn as_json(annotations: &Annotations, image: &AnnotatedImage) -> Value {
    let instances = image.instances.iter().enumerate();
    let shapes = instances.flat_map(|(at, one)| shapes(annotations, at + 1, one));
    let (width, height) = image.size.map(|[width, height]| (width, height)).unzip();
    json!({
        "version": "6.3.1",
        "flags": {},
        "shapes": shapes.collect::<Vec<Value>>(),
        "imagePath": image.file,
        "imageData": null,
        "imageHeight": height,
        "imageWidth": width,
    })
}

fn shapes(annotations: &Annotations, group: usize, instance: &Instance) -> Vec<Value> {
    let mut shapes = Vec::new();
    if let Some([left, top, width, height]) = instance.bbox {
        let far = |near: f64, side: f64| read_as(side, near + side, |far| far - near);
        let corners = [[left, top], [far(left, width), far(top, height)]];
        let label = instance.label.as_deref().unwrap_or(NO_LABEL);
        shapes.push(shape(label, &corners, group, "rectangle", &json!({})));
    }
    for (name, point) in annotations.points.iter().zip(&instance.points) {
        let flags = match point {
            Point::Hidden(_) => json!({ "hidden": true }),
            Point::Missing | Point::Visible(_) => json!({}),
        };
        if let Some(xy) = point.xy() {
            shapes.push(shape(name, &[xy], group, "point", &flags));
        }
    }
    let attributes = instance.attributes.iter();
    let attributes: Map<String, Value> = attributes
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    if let (Some(Value::Object(first)), false) = (shapes.first_mut(), attributes.is_empty()) {
        first.insert("attributes".into(), attributes.into());
    }
    shapes
}

fn shape(label: &str, points: &[[f64; 2]], group: usize, kind: &str, flags: &Value) -> Value {
    json!({
        "label": label,
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": flags,
        "mask": null,
    })
}
