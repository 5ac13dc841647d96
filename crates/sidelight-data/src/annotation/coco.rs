//! COCO keypoints: one JSON with images, annotations and categories.
//!
//! # Source
//!
//! <https://cocodataset.org/#format-data>: `keypoints` is x, y, v of each point in turn, v 0: not labelled (x = y = 0), 1:
//! labelled but not visible, 2: labelled and visible; `skeleton` counts from 1. Departs from it: a skeleton with a 0 counts from
//! 0, as some exporters write it; members of `attributes`, which CVAT and Datumaro add, are read and written.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::json;
use super::named::{Named, NamedImage, numbered, placed};
use super::{AnnotatedImage, Annotations, Instance, Point, bad};
use crate::error::Result;
use crate::write::write_whole;

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: Id,
    file_name: String,
    #[serde(default)]
    width: Option<u32>,
    #[serde(default)]
    height: Option<u32>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Id,
    category_id: Id,
    #[serde(default)]
    keypoints: Option<Vec<f64>>,
    #[serde(default)]
    bbox: Option<Vec<f64>>,
    #[serde(default)]
    attributes: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Category {
    id: Id,
    name: String,
    #[serde(default)]
    keypoints: Option<Vec<String>>,
    #[serde(default)]
    skeleton: Option<Vec<[usize; 2]>>,
}

/// Numbers are the rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged, expecting = "a number or a text")]
enum Id {
    Number(i64),
    Text(String),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Annotations> {
    let file: File = json::read(path)?;
    let images = file.images.iter().map(|image| NamedImage {
        file: image.file_name.clone(),
        size: size(image),
        instances: Vec::new(),
    });
    let mut images: Vec<NamedImage> = images.collect();
    let places = file.images.iter().enumerate();
    let places: HashMap<&Id, usize> = places.map(|(at, image)| (&image.id, at)).collect();
    let of_id = file
        .categories
        .iter()
        .map(|category| (&category.id, category));
    let categories: HashMap<&Id, &Category> = of_id.collect();
    for (at, annotation) in file.annotations.iter().enumerate() {
        let Some(keypoints) = &annotation.keypoints else {
            // A box or an outline alone.
            continue;
        };
        let at = format!("annotations[{at}]");
        let unknown = |field: &str, id: &Id| {
            let expected = format!("an id of `{field}`");
            bad(path, format!("`{at}`"), expected, format!("`{id}`"))
        };
        let image = places.get(&annotation.image_id);
        let image = image.and_then(|place| images.get_mut(*place));
        let image = image.ok_or_else(|| unknown("images", &annotation.image_id))?;
        let category = categories.get(&annotation.category_id);
        let category = category.ok_or_else(|| unknown("categories", &annotation.category_id))?;
        let mut instance = Named {
            label: Some(category.name.clone()),
            points: points(path, &at, keypoints, category)?,
            bbox: bbox(path, &at, annotation.bbox.as_deref())?,
            attributes: Vec::new(),
        };
        let attributes = annotation.attributes.iter().flat_map(json::attributes);
        attributes.for_each(|attribute| instance.add(attribute));
        image.instances.push(instance);
    }
    let mut known: Vec<String> = Vec::new();
    let named = file
        .categories
        .iter()
        .flat_map(|category| &category.keypoints);
    for name in named.flatten() {
        if !known.contains(name) {
            known.push(name.clone());
        }
    }
    let mut annotations = placed(path, &known, images)?;
    annotations.skeleton = skeleton(path, &file.categories, &annotations.points)?;
    Ok(annotations)
}

fn size(image: &Image) -> Option<[u32; 2]> {
    let size = [image.width?, image.height?];
    (!size.contains(&0)).then_some(size)
}

fn points(
    path: &Path,
    at: &str,
    keypoints: &[f64],
    category: &Category,
) -> Result<Vec<(String, Point)>> {
    let names = category.keypoints.as_deref().unwrap_or_default();
    let at = format!("`{at}.keypoints`");
    let (triples, rest) = keypoints.as_chunks::<3>();
    if !rest.is_empty() || (!names.is_empty() && triples.len() != names.len()) {
        let expected = match names.len() {
            0 => "three numbers a point".to_owned(),
            n => format!("{} numbers, three for each of {n} points", 3 * n),
        };
        return Err(bad(path, at, expected, keypoints.len()));
    }
    let point = |(place, &[x, y, v]): (usize, &[f64; 3])| {
        let name = names.get(place).cloned();
        let point = Point::of_coco([x, y], v).ok_or_else(|| {
            let expected = format!("0, 1 or 2 for how well point {place} is seen");
            bad(path, at.clone(), expected, format!("`{v}`"))
        })?;
        Ok((name.unwrap_or_else(|| numbered(place)), point))
    };
    triples.iter().enumerate().map(point).collect()
}

fn bbox(path: &Path, at: &str, found: Option<&[f64]>) -> Result<Option<[f64; 4]>> {
    match found {
        None | Some([]) => Ok(None),
        Some(&[x, y, width, height]) if width >= 0.0 && height >= 0.0 => {
            Ok(Some([x, y, width, height]))
        }
        Some(found) => {
            let expected = "left, top, width and height of a box";
            Err(bad(
                path,
                format!("`{at}.bbox`"),
                expected,
                format!("{found:?}"),
            ))
        }
    }
}

/// The lines of all categories, between the places of their points.
fn skeleton(path: &Path, categories: &[Category], points: &[String]) -> Result<Vec<[usize; 2]>> {
    let mut lines = Vec::new();
    for (at, category) in categories.iter().enumerate() {
        let names = category.keypoints.as_deref().unwrap_or_default();
        let pairs = category.skeleton.as_deref().unwrap_or_default();
        let first = usize::from(!pairs.as_flattened().contains(&0));
        for (line, pair) in pairs.iter().enumerate() {
            let place = |number: usize| {
                let name = names.get(number.checked_sub(first)?)?;
                points.iter().position(|point| point == name)
            };
            let [Some(from), Some(to)] = pair.map(place) else {
                let at = format!("`categories[{at}].skeleton[{line}]`");
                let expected = format!("two of {} points", names.len());
                return Err(bad(path, at, expected, format!("{pair:?}")));
            };
            if !lines.contains(&[from, to]) {
                lines.push([from, to]);
            }
        }
    }
    Ok(lines)
}

#[derive(Serialize)]
struct WrittenFile<'a> {
    images: Vec<WrittenImage<'a>>,
    annotations: Vec<WrittenAnnotation>,
    categories: Vec<WrittenCategory<'a>>,
}

#[derive(Serialize)]
struct WrittenImage<'a> {
    id: usize,
    file_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
}

#[derive(Serialize)]
struct WrittenAnnotation {
    id: usize,
    image_id: usize,
    category_id: usize,
    segmentation: [f64; 0],
    keypoints: Vec<f64>,
    num_keypoints: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    bbox: Option<[f64; 4]>,
    area: f64,
    iscrowd: u8,
    #[serde(skip_serializing_if = "Map::is_empty")]
    attributes: Map<String, Value>,
}

#[derive(Serialize)]
struct WrittenCategory<'a> {
    id: usize,
    name: &'a str,
    supercategory: &'a str,
    keypoints: &'a [String],
    skeleton: Vec<[usize; 2]>,
}

/// What an instance without a label is called where a format asks for one.
pub(super) const NO_LABEL: &str = "object";

/// The labels of all instances, in the order in which they come.
pub(super) fn labels(annotations: &Annotations) -> Vec<&str> {
    let mut labels = Vec::new();
    for instance in annotations.images.iter().flat_map(|image| &image.instances) {
        let label = instance.label.as_deref().unwrap_or(NO_LABEL);
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    labels
}

/// Writes the file.
pub(super) fn write(annotations: &Annotations, path: &Path) -> Result<()> {
    let labels = labels(annotations);
    let counted = |[from, to]: &[usize; 2]| [from + 1, to + 1];
    let categories = labels
        .iter()
        .enumerate()
        .map(|(at, label)| WrittenCategory {
            id: at + 1,
            name: label,
            supercategory: label,
            keypoints: &annotations.points,
            skeleton: annotations.skeleton.iter().map(counted).collect(),
        });
    let mut file = WrittenFile {
        images: Vec::new(),
        annotations: Vec::new(),
        categories: categories.collect(),
    };
    for (at, image) in annotations.images.iter().enumerate() {
        file.images.push(written_image(at + 1, image));
        for instance in &image.instances {
            let id = file.annotations.len() + 1;
            let label = instance.label.as_deref().unwrap_or(NO_LABEL);
            let category = labels.iter().position(|known| *known == label);
            let category_id = category.map_or(0, |place| place + 1);
            file.annotations
                .push(written_annotation(id, at + 1, category_id, instance));
        }
    }
    write_whole(path, |writer| Ok(serde_json::to_writer(writer, &file)?))
}

fn written_image(id: usize, image: &AnnotatedImage) -> WrittenImage<'_> {
    let (width, height) = image.size.map(|[width, height]| (width, height)).unzip();
    WrittenImage {
        id,
        file_name: &image.file,
        width,
        height,
    }
}

fn written_annotation(
    id: usize,
    image_id: usize,
    category_id: usize,
    instance: &Instance,
) -> WrittenAnnotation {
    let triple = |point: &Point| {
        let [x, y] = point.xy().unwrap_or_default();
        [x, y, point.visibility().into()]
    };
    let [.., width, height] = instance.bbox.or(instance.hull()).unwrap_or_default();
    let is_marked = |point: &&Point| **point != Point::Missing;
    let attributes = instance.attributes.iter();
    WrittenAnnotation {
        id,
        image_id,
        category_id,
        segmentation: [],
        keypoints: instance.points.iter().flat_map(triple).collect(),
        num_keypoints: instance.points.iter().filter(is_marked).count(),
        bbox: instance.bbox,
        area: width * height,
        iscrowd: 0,
        attributes: attributes
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect(),
    }
}
