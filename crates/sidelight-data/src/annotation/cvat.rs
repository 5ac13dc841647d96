//! CVAT for images 1.1: one XML with skeletons or points in each image.
//!
//! # Source
//!
//! <https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/>. A `skeleton` has a `points` element for each of its
//! points; outside a skeleton, `points` of one point is a point called by its label, and one of several is an instance whose points
//! have no names. Boxes and points of one `group_id` are one instance.

mod write;

use std::path::Path;

use super::named::{Named, NamedImage, numbered, placed};
use super::xml::{self, Element};
use super::{Annotations, Point, bad, finite};
use crate::error::Result;

pub(super) use write::write;

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Annotations> {
    let root = xml::read(path)?;
    if root.name != "annotations" {
        let at = format!("line {}", root.line);
        return Err(bad(
            path,
            at,
            "`annotations` of CVAT",
            format!("`{}`", root.name),
        ));
    }
    if let Some(track) = root.all("track").next() {
        let expected = "`image` (export as \"CVAT for images 1.1\")";
        let found = "`track`, of a video";
        return Err(bad(path, format!("line {}", track.line), expected, found));
    }
    let images: Result<Vec<NamedImage>> = root
        .all("image")
        .map(|image| read_image(path, image))
        .collect();
    let images = images?;
    let labels = labels(&root);
    let known = known_names(&labels, &images);
    let mut annotations = placed(path, &known, images)?;
    annotations.skeleton = skeleton(path, &labels, &annotations.points);
    Ok(annotations)
}

/// A label of the task.
struct Label<'a> {
    name: &'a str,
    /// The skeleton that it is a point of.
    parent: Option<&'a str>,
    /// How a skeleton is drawn.
    svg: Option<&'a str>,
}

fn labels(root: &Element) -> Vec<Label<'_>> {
    let meta = root.all("meta").flat_map(|meta| meta.below("label"));
    meta.filter_map(|label| {
        Some(Label {
            name: label.text_of("name")?,
            parent: label.text_of("parent"),
            svg: label.text_of("svg"),
        })
    })
    .collect()
}

/// The names of points in the order of the task's labels: those of skeletons that occur, and labels that are points.
fn known_names(labels: &[Label<'_>], images: &[NamedImage]) -> Vec<String> {
    let instances = || images.iter().flat_map(|image| &image.instances);
    let is_used = |label: &&Label<'_>| match label.parent {
        Some(parent) => instances().any(|one| one.label.as_deref() == Some(parent)),
        None => instances().any(|one| {
            let mut names = one.points.iter().map(|(name, _)| name);
            one.label.is_none() && names.any(|name| name == label.name)
        }),
    };
    let used = labels.iter().filter(is_used);
    used.map(|label| label.name.to_owned()).collect()
}

/// The lines of the skeletons, as their pictures have them; a picture that cannot be read has none.
fn skeleton(path: &Path, labels: &[Label<'_>], points: &[String]) -> Vec<[usize; 2]> {
    let mut lines = Vec::new();
    for svg in labels.iter().filter_map(|label| label.svg) {
        let Ok(drawn) = xml::parse(path, &format!("<svg>{svg}</svg>")) else {
            continue;
        };
        let circles = drawn.below("circle");
        let place = |node: Option<&str>| {
            let is_node = |circle: &&&Element| circle.attribute("data-node-id") == node;
            let circle = circles.iter().find(is_node)?;
            let name = circle.attribute("data-label-name")?;
            points.iter().position(|point| point == name)
        };
        for line in drawn.below("line") {
            let ends = ["data-node-from", "data-node-to"].map(|end| line.attribute(end));
            if let [Some(from), Some(to)] = ends.map(place)
                && !lines.contains(&[from, to])
            {
                lines.push([from, to]);
            }
        }
    }
    lines
}

/// An instance in the making, and the group that others of it are in.
#[derive(Default)]
struct Group {
    id: Option<String>,
    /// Whether it is of points that are called by their labels, and so has no label itself.
    is_loose: bool,
    instance: Named,
}

fn read_image(path: &Path, image: &Element) -> Result<NamedImage> {
    let missing = |name: &str| {
        let expected = format!("`{name}` of the image");
        bad(path, format!("line {}", image.line), expected, "none")
    };
    let file = image.attribute("name").ok_or_else(|| missing("name"))?;
    let side = |name: &str| -> Result<Option<u32>> {
        let Some(text) = image.attribute(name) else {
            return Ok(None);
        };
        let side = text.parse().map_err(|_| {
            let at = format!("line {}", image.line);
            bad(path, at, format!("pixels in `{name}`"), format!("`{text}`"))
        })?;
        Ok(Some(side))
    };
    let size = match (side("width")?, side("height")?) {
        (Some(width), Some(height)) => Some([width, height]),
        _ => None,
    };
    let mut groups: Vec<Group> = Vec::new();
    for shape in &image.children {
        match shape.name.as_str() {
            "skeleton" => groups.push(skeleton_of(path, shape)?),
            "points" => add_points(path, shape, &mut groups)?,
            _ => {}
        }
    }
    for shape in image.all("box") {
        let group = group_of(shape);
        let of_group = |known: &&mut Group| group.is_some() && known.id == group;
        let mut known = groups.iter_mut().filter(of_group);
        if let Some(free) = known.find(|known| known.instance.bbox.is_none()) {
            free.instance.bbox = Some(bbox(path, shape)?);
        }
    }
    let tags: Vec<&str> = image
        .all("tag")
        .filter_map(|tag| tag.attribute("label"))
        .collect();
    let mut instances: Vec<Named> = groups.into_iter().map(|group| group.instance).collect();
    if !tags.is_empty() {
        let said = ("tag".to_owned(), tags.join(";"));
        instances
            .iter_mut()
            .for_each(|instance| instance.add(said.clone()));
    }
    Ok(NamedImage {
        file: file.to_owned(),
        size,
        instances,
    })
}

/// The group of a shape; CVAT's 0 is none.
fn group_of(shape: &Element) -> Option<String> {
    let id = shape.attribute("group_id")?;
    (id != "0" && !id.is_empty()).then(|| id.to_owned())
}

fn label_of<'a>(path: &Path, shape: &'a Element) -> Result<&'a str> {
    shape.attribute("label").ok_or_else(|| {
        let expected = format!("`label` of `{}`", shape.name);
        bad(path, format!("line {}", shape.line), expected, "none")
    })
}

fn add_attributes(shape: &Element, instance: &mut Named) {
    for attribute in shape.all("attribute") {
        let value = attribute.text.trim();
        if let (Some(name), false) = (attribute.attribute("name"), value.is_empty()) {
            instance.add((name.to_owned(), value.to_owned()));
        }
    }
}

fn skeleton_of(path: &Path, shape: &Element) -> Result<Group> {
    let mut instance = Named {
        label: Some(label_of(path, shape)?.to_owned()),
        ..Named::default()
    };
    add_attributes(shape, &mut instance);
    for point in shape.all("points") {
        let name = label_of(path, point)?;
        match places(path, point)?.as_slice() {
            &[xy] => instance.points.push((name.to_owned(), seen(point, xy))),
            several => {
                let at = format!("line {}", point.line);
                let expected = format!("one point `{name}`");
                return Err(bad(path, at, expected, several.len()));
            }
        }
    }
    Ok(Group {
        id: group_of(shape),
        is_loose: false,
        instance,
    })
}

fn add_points(path: &Path, shape: &Element, groups: &mut Vec<Group>) -> Result<()> {
    let label = label_of(path, shape)?.to_owned();
    let id = group_of(shape);
    match places(path, shape)?.as_slice() {
        &[xy] => {
            let at = groups
                .iter()
                .position(|known| known.is_loose && known.id == id);
            let at = at.unwrap_or_else(|| {
                groups.push(Group {
                    id,
                    is_loose: true,
                    ..Group::default()
                });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(at) {
                group.instance.points.push((label, seen(shape, xy)));
                add_attributes(shape, &mut group.instance);
            }
        }
        several => {
            let points = several.iter().enumerate();
            let mut instance = Named {
                label: Some(label),
                points: points
                    .map(|(at, xy)| (numbered(at), seen(shape, *xy)))
                    .collect(),
                ..Named::default()
            };
            add_attributes(shape, &mut instance);
            groups.push(Group {
                id,
                is_loose: false,
                instance,
            });
        }
    }
    Ok(())
}

/// The points of a shape.
fn places(path: &Path, shape: &Element) -> Result<Vec<[f64; 2]>> {
    let text = shape.attribute("points").unwrap_or_default();
    let pairs = text.split(';').map(|pair| {
        let (x, y) = pair.split_once(',')?;
        Some([finite(x)?, finite(y)?])
    });
    pairs.collect::<Option<_>>().ok_or_else(|| {
        let at = format!("line {}", shape.line);
        bad(path, at, "points as in `1.5,2;3,4`", format!("`{text}`"))
    })
}

fn seen(shape: &Element, xy: [f64; 2]) -> Point {
    let is = |name: &str| shape.attribute(name) == Some("1");
    match (is("outside"), is("occluded")) {
        (true, _) => Point::Missing,
        (false, true) => Point::Hidden(xy),
        (false, false) => Point::Visible(xy),
    }
}

fn bbox(path: &Path, shape: &Element) -> Result<[f64; 4]> {
    let corner = |name: &str| {
        let text = shape.attribute(name).unwrap_or_default();
        finite(text).ok_or_else(|| {
            let expected = format!("a number in `{name}`");
            bad(
                path,
                format!("line {}", shape.line),
                expected,
                format!("`{text}`"),
            )
        })
    };
    let (left, top) = (corner("xtl")?, corner("ytl")?);
    Ok([left, top, corner("xbr")? - left, corner("ybr")? - top])
}
