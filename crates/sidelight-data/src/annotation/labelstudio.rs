//! Label Studio: a list of tasks, each with an image and results in percent of its width and height.
//!
//! # Source
//!
//! <https://labelstud.io/guide/task_format> and <https://labelstud.io/tags/keypointlabels>. Points and a rectangle are one instance
//! where the rectangle is the points' parent (`parentID`), or a relation joins them, as `sleap-io` writes it. Of several answers to a
//! task the last that was not cancelled counts; where there is none, the last prediction. A point is hidden by `hidden` of its value,
//! which is how the converter of `label-studio-sdk` says it, or by the word among the region's notes (`meta.text`), where a person sees it.

mod write;

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::named::{Named, NamedImage, placed};
use super::{Annotations, Point, bad, json};
use crate::error::Result;
use crate::table::{IMAGE_ENDINGS, extension};

pub(super) use write::write;

/// How files in a folder of the machine are addressed.
const LOCAL: &str = "/data/local-files/?d=";

#[derive(Deserialize)]
struct Task {
    data: Map<String, Value>,
    #[serde(default, alias = "completions")]
    annotations: Vec<Answer>,
    #[serde(default)]
    predictions: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    result: Vec<Item>,
    #[serde(default)]
    was_cancelled: Option<bool>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    id: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    value: ItemValue,
    #[serde(default)]
    original_width: Option<u32>,
    #[serde(default)]
    original_height: Option<u32>,
    #[serde(default, rename = "parentID")]
    parent: Option<String>,
    #[serde(default)]
    from_name: Option<String>,
    #[serde(default)]
    from_id: Option<String>,
    #[serde(default)]
    to_id: Option<String>,
    #[serde(default)]
    meta: Option<Map<String, Value>>,
}

#[derive(Default, Deserialize)]
struct ItemValue {
    x: Option<f64>,
    y: Option<f64>,
    width: Option<f64>,
    height: Option<f64>,
    rotation: Option<f64>,
    hidden: Option<bool>,
    keypointlabels: Option<Vec<String>>,
    rectanglelabels: Option<Vec<String>>,
    choices: Option<Vec<String>>,
    text: Option<Value>,
    number: Option<f64>,
    rating: Option<f64>,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Annotations> {
    let bytes = json::bytes(path)?;
    let is_list = bytes.trim_ascii_start().starts_with(b"[");
    let tasks = match is_list {
        true => json::parse(path, "", &bytes)?,
        false => vec![json::parse::<Task>(path, "", &bytes)?],
    };
    let images = tasks
        .iter()
        .enumerate()
        .map(|(at, task)| read_task(path, at, task));
    let images: Result<Vec<NamedImage>> = images.collect();
    placed(path, &[], images?)
}

fn read_task(path: &Path, at: usize, task: &Task) -> Result<NamedImage> {
    let (key, file) = image_of(task).ok_or_else(|| {
        let expected = "an image (`image`, or a text that ends as images do)";
        let keys: Vec<String> = task.data.keys().cloned().collect();
        bad(
            path,
            format!("`[{at}].data`"),
            expected,
            format!("`{}`", keys.join("`, `")),
        )
    })?;
    let counts = |answer: &&Answer| answer.was_cancelled != Some(true);
    let answered = task.annotations.iter().rposition(|answer| counts(&answer));
    let (list, place) = match answered {
        Some(place) => ("annotations", Some(place)),
        None => ("predictions", task.predictions.len().checked_sub(1)),
    };
    let answers = match list {
        "annotations" => &task.annotations,
        _ => &task.predictions,
    };
    let items = place.and_then(|place| answers.get(place));
    let items = items.map_or(&[][..], |answer| &answer.result);
    let within = format!("[{at}].{list}[{}].result", place.unwrap_or_default());
    let mut instances = instances(path, &within, items)?;
    let said = json::attributes(&task.data).filter(|(name, _)| name != key);
    for said in said {
        instances
            .iter_mut()
            .for_each(|instance| instance.add(said.clone()));
    }
    let size = items
        .iter()
        .find_map(|item| item.original_width.zip(item.original_height));
    Ok(NamedImage {
        file,
        size: size.map(|(width, height)| [width, height]),
        instances,
    })
}

/// The key of the image, and its path.
fn image_of(task: &Task) -> Option<(&str, String)> {
    let texts = task
        .data
        .iter()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
    let texts: Vec<(&str, &str)> = texts.collect();
    let is_image = |text: &str| IMAGE_ENDINGS.contains(&extension(Path::new(text)).as_str());
    let named = texts.iter().find(|(key, _)| *key == "image");
    let (key, text) = named.or_else(|| texts.iter().find(|(_, text)| is_image(text)))?;
    let file = match text.split_once(LOCAL) {
        Some((_, local)) => decoded(local),
        None => (*text).to_owned(),
    };
    Some((key, file))
}

/// Text in which `%20` and the like stand for bytes.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend(before.bytes());
        let byte = after
            .get(..2)
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        rest = match byte {
            Some(byte) => {
                bytes.push(byte);
                after.get(2..).unwrap_or_default()
            }
            None => {
                bytes.push(b'%');
                after
            }
        };
    }
    bytes.extend(rest.bytes());
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// The results of a task as instances, in the order in which they begin.
fn instances(path: &Path, within: &str, items: &[Item]) -> Result<Vec<Named>> {
    let boxes = items.iter().filter(|item| item.kind == "rectanglelabels");
    let boxes: HashMap<&str, &Item> = boxes
        .filter_map(|item| Some((item.id.as_deref()?, item)))
        .collect();
    let related = relations(items, &boxes);
    // Of each instance its box, if it has one, and all the regions that are of it.
    let mut found: Vec<(Option<&str>, Vec<&str>, Named)> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let at = format!("`{within}[{at}]`");
        let id = item.id.as_deref();
        let own = match item.kind.as_str() {
            "rectanglelabels" => id,
            "keypointlabels" => {
                let parent = item.parent.as_deref().filter(|id| boxes.contains_key(id));
                parent.or_else(|| related.get(id?).copied())
            }
            _ => continue,
        };
        let known = found.iter().position(|(known, ..)| *known == own);
        let known = known.unwrap_or_else(|| {
            found.push((own, Vec::new(), Named::default()));
            found.len() - 1
        });
        let Some((_, regions, instance)) = found.get_mut(known) else {
            continue;
        };
        regions.extend(id);
        match item.kind.as_str() {
            "keypointlabels" => instance.points.push(point(path, &at, item)?),
            _ => {
                let labels = item.value.rectanglelabels.as_ref();
                instance.label = labels.and_then(|labels| labels.first().cloned());
                instance.bbox = bbox(path, &at, item)?;
            }
        }
    }
    found.retain(|(_, _, instance)| !instance.points.is_empty());
    for item in items {
        let Some(said) = said(item) else {
            continue;
        };
        let id = item.id.as_deref();
        let is_region =
            |(_, regions, _): &&mut (_, Vec<&str>, _)| id.is_some_and(|id| regions.contains(&id));
        let of_region = found.iter_mut().find(is_region);
        match of_region {
            Some((_, _, instance)) => instance.add(said),
            // Of the image.
            None => found
                .iter_mut()
                .for_each(|(_, _, instance)| instance.add(said.clone())),
        }
    }
    Ok(found.into_iter().map(|(_, _, instance)| instance).collect())
}

/// The box of each point that a relation joins to one.
fn relations<'a>(items: &'a [Item], boxes: &HashMap<&str, &Item>) -> HashMap<&'a str, &'a str> {
    let ends = items.iter().filter(|item| item.kind == "relation");
    let ends = ends.filter_map(|item| Some((item.from_id.as_deref()?, item.to_id.as_deref()?)));
    ends.filter_map(
        |(from, to)| match (boxes.contains_key(from), boxes.contains_key(to)) {
            (false, true) => Some((from, to)),
            (true, false) => Some((to, from)),
            _ => None,
        },
    )
    .collect()
}

fn point(path: &Path, at: &str, item: &Item) -> Result<(String, Point)> {
    let name = item
        .value
        .keypointlabels
        .as_ref()
        .and_then(|names| names.first());
    let name = name.ok_or_else(|| bad(path, at, "`keypointlabels` of the point", "none"))?;
    let [width, height] = size(path, at, item)?;
    let (Some(x), Some(y)) = (item.value.x, item.value.y) else {
        return Err(bad(path, at, "`x` and `y` of the point", "none"));
    };
    let xy = [in_pixels(x, width), in_pixels(y, height)];
    let notes = item.meta.as_ref().and_then(|meta| meta.get("text"));
    let notes = match notes {
        Some(Value::Array(notes)) => notes.as_slice(),
        Some(note) => std::slice::from_ref(note),
        None => &[],
    };
    let is_hidden = |note: &Value| matches!(note.as_str(), Some("hidden" | "occluded"));
    Ok(
        match item.value.hidden == Some(true) || notes.iter().any(is_hidden) {
            true => (name.clone(), Point::Hidden(xy)),
            false => (name.clone(), Point::Visible(xy)),
        },
    )
}

/// The box; none for one that is turned.
fn bbox(path: &Path, at: &str, item: &Item) -> Result<Option<[f64; 4]>> {
    let [width, height] = size(path, at, item)?;
    let value = &item.value;
    let (Some(x), Some(y), Some(across), Some(down)) =
        (value.x, value.y, value.width, value.height)
    else {
        return Err(bad(
            path,
            at,
            "`x`, `y`, `width` and `height` of the box",
            "fewer",
        ));
    };
    let is_turned = value.rotation.is_some_and(|angle| angle != 0.0);
    let places = [(x, width), (y, height), (across, width), (down, height)];
    Ok((!is_turned).then(|| places.map(|(percent, side)| in_pixels(percent, side))))
}

fn size(path: &Path, at: &str, item: &Item) -> Result<[f64; 2]> {
    match (item.original_width, item.original_height) {
        (Some(width), Some(height)) if width > 0 && height > 0 => Ok([width.into(), height.into()]),
        _ => {
            let expected =
                "`original_width` and `original_height`, of which the places are percent";
            Err(bad(path, at, expected, "none"))
        }
    }
}

/// Pixels of so many percent of a side.
fn in_pixels(percent: f64, side: f64) -> f64 {
    percent * side / 100.0
}

/// What an item says beside regions: choices, text, a number.
fn said(item: &Item) -> Option<(String, String)> {
    let value = &item.value;
    let text = match item.kind.as_str() {
        "choices" => value.choices.as_ref()?.join(";"),
        "textarea" => match value.text.as_ref()? {
            Value::Array(texts) => {
                let texts: Vec<String> = texts.iter().filter_map(json::cell).collect();
                texts.join("\n")
            }
            text => json::cell(text)?,
        },
        "number" => value.number?.to_string(),
        "rating" => value.rating?.to_string(),
        _ => return None,
    };
    let name = item.from_name.clone()?;
    (!text.is_empty()).then_some((name, text))
}
