//! Tasks with predictions, as Label Studio imports them to be corrected.

use std::path::Path;

use serde_json::{Value, json};

use super::super::coco::NO_LABEL;
use super::super::{AnnotatedImage, Annotations, Instance, Point, read_as};
use super::{LOCAL, in_pixels};
use crate::error::{Error, Result};
use crate::write::write_whole;

/// How large a point is drawn, percent of the image's width.
const DOT: f64 = 0.5;

/// Writes the file.
pub(in super::super) fn write(annotations: &Annotations, path: &Path) -> Result<()> {
    let tasks = annotations
        .images
        .iter()
        .map(|image| task(annotations, image, path));
    let tasks: Result<Vec<Value>> = tasks.collect();
    let tasks = tasks?;
    write_whole(path, |file| Ok(serde_json::to_writer(file, &tasks)?))
}

fn task(annotations: &Annotations, image: &AnnotatedImage, path: &Path) -> Result<Value> {
    let size = match (image.size, image.instances.is_empty()) {
        (Some(size), _) => size,
        (None, true) => [1, 1],
        (None, false) => {
            return Err(Error::AnnotationImage {
                path: path.to_path_buf(),
                image: image.file.clone(),
            });
        }
    };
    let writer = Writer {
        annotations,
        size,
        is_alone: image.instances.len() == 1,
    };
    let instances = image.instances.iter().enumerate();
    let result: Vec<Value> = instances
        .flat_map(|(at, instance)| writer.items(at, instance))
        .collect();
    Ok(json!({
        "data": { "image": address(&image.file) },
        "predictions": [{ "model_version": "sidelight", "result": result }],
    }))
}

/// The image as Label Studio addresses it: a file of its local storage, unless it has an address already.
fn address(file: &str) -> String {
    if file.contains("://") || file.starts_with("/data/") {
        return file.to_owned();
    }
    let mut address = LOCAL.to_owned();
    for letter in file.chars() {
        match letter {
            '%' | '?' | '#' | '&' | '+' | ' ' => address += &format!("%{:02X}", u32::from(letter)),
            letter => address.push(letter),
        }
    }
    address
}

struct Writer<'a> {
    annotations: &'a Annotations,
    size: [u32; 2],
    /// Whether it is the only instance of its image, which needs no box to be told from others.
    is_alone: bool,
}

impl Writer<'_> {
    fn items(&self, at: usize, instance: &Instance) -> Vec<Value> {
        let mut items = Vec::new();
        let needs_box = instance.label.is_some() || !self.is_alone;
        let bbox = instance.bbox.or(instance.hull().filter(|_| needs_box));
        let parent = bbox.map(|_| format!("box{at}"));
        let mut first = parent.clone();
        if let (Some([left, top, width, height]), Some(id)) = (bbox, &parent) {
            let label = instance.label.as_deref().unwrap_or(NO_LABEL);
            let value = json!({
                "x": self.percent(left, 0),
                "y": self.percent(top, 1),
                "width": self.percent(width, 0),
                "height": self.percent(height, 1),
                "rotation": 0,
                "rectanglelabels": [label],
            });
            items.push(self.item(id, "box", "rectanglelabels", &value));
        }
        let points = self.annotations.points.iter().zip(&instance.points);
        for (place, (name, point)) in points.enumerate() {
            let Some([x, y]) = point.xy() else {
                continue;
            };
            let id = format!("point{at}.{place}");
            let value = json!({
                "x": self.percent(x, 0),
                "y": self.percent(y, 1),
                "width": DOT,
                "hidden": matches!(point, Point::Hidden(_)),
                "keypointlabels": [name],
            });
            let mut item = self.item(&id, "point", "keypointlabels", &value);
            if let (Value::Object(item), Some(parent)) = (&mut item, &parent) {
                item.insert("parentID".into(), parent.as_str().into());
            }
            if let (Value::Object(item), Point::Hidden(_)) = (&mut item, point) {
                item.insert("meta".into(), json!({ "text": ["hidden"] }));
            }
            first.get_or_insert(id);
            items.push(item);
        }
        let first = first.unwrap_or_default();
        for (name, value) in &instance.attributes {
            let value = json!({ "text": [value] });
            items.push(self.item(&first, name, "textarea", &value));
        }
        items
    }

    fn item(&self, id: &str, from_name: &str, kind: &str, value: &Value) -> Value {
        let [width, height] = self.size;
        json!({
            "id": id,
            "type": kind,
            "from_name": from_name,
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": value,
        })
    }

    /// Pixels as percent of a side: 0 the width, 1 the height.
    fn percent(&self, pixels: f64, axis: usize) -> f64 {
        let side = self.size.get(axis).copied().map_or(1.0, f64::from);
        read_as(pixels, pixels / side * 100.0, |percent| {
            in_pixels(percent, side)
        })
    }
}
