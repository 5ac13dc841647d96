//! The XML that CVAT imports.

use std::fmt::{self, Write as _};
use std::path::Path;

use quick_xml::escape::escape;

use super::super::coco::{NO_LABEL, labels};
use super::super::{AnnotatedImage, Annotations, Instance, Point, read_as};
use crate::error::Result;
use crate::write::write_whole;

/// Writes the file: an instance with a label as a skeleton, one without as points of a group.
pub(in super::super) fn write(annotations: &Annotations, path: &Path) -> Result<()> {
    let mut text = String::new();
    // A `String` takes whatever is written to it.
    let _ = write_all(annotations, &mut text);
    write_whole(path, |file| file.write_all(text.as_bytes()))
}

fn write_all(annotations: &Annotations, text: &mut String) -> fmt::Result {
    text.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<annotations>\n");
    text.push_str("  <version>1.1</version>\n  <meta>\n    <task>\n");
    let n = annotations.images.len();
    writeln!(
        text,
        "      <size>{n}</size>\n      <mode>annotation</mode>"
    )?;
    text.push_str("      <labels>\n");
    write_labels(annotations, text)?;
    text.push_str("      </labels>\n    </task>\n  </meta>\n");
    for (at, image) in annotations.images.iter().enumerate() {
        write_image(annotations, at, image, text)?;
    }
    text.push_str("</annotations>\n");
    Ok(())
}

fn write_labels(annotations: &Annotations, text: &mut String) -> fmt::Result {
    let instances = || annotations.images.iter().flat_map(|image| &image.instances);
    let is_loose = instances().any(|instance| instance.label.is_none());
    let mut attributes: Vec<&str> = Vec::new();
    for (name, _) in instances().flat_map(|instance| &instance.attributes) {
        if !attributes.contains(&name.as_str()) {
            attributes.push(name);
        }
    }
    for label in labels(annotations) {
        let is_skeleton = instances().any(|instance| instance.label.as_deref() == Some(label));
        let (kind, svg) = match is_skeleton {
            true => ("skeleton", Some(drawn(annotations)?)),
            false => ("rectangle", None),
        };
        write_label(label, kind, &attributes, svg.as_deref(), None, text)?;
        for point in annotations.points.iter().filter(|_| is_skeleton) {
            write_label(point, "points", &[], None, Some(label), text)?;
        }
    }
    for point in annotations.points.iter().filter(|_| is_loose) {
        write_label(point, "points", &attributes, None, None, text)?;
    }
    Ok(())
}

fn write_label(
    name: &str,
    kind: &str,
    attributes: &[&str],
    svg: Option<&str>,
    parent: Option<&str>,
    text: &mut String,
) -> fmt::Result {
    writeln!(
        text,
        "        <label>\n          <name>{}</name>",
        escape(name)
    )?;
    writeln!(
        text,
        "          <type>{kind}</type>\n          <attributes>"
    )?;
    for attribute in attributes {
        writeln!(
            text,
            "            <attribute>\n              <name>{}</name>\n              <mutable>False</mutable>\n              <input_type>text</input_type>\n              <default_value></default_value>\n              <values></values>\n            </attribute>",
            escape(*attribute)
        )?;
    }
    text.push_str("          </attributes>\n");
    if let Some(svg) = svg {
        writeln!(text, "          <svg>{}</svg>", escape(svg))?;
    }
    if let Some(parent) = parent {
        writeln!(text, "          <parent>{}</parent>", escape(parent))?;
    }
    text.push_str("        </label>\n");
    Ok(())
}

/// The skeleton as CVAT draws it, its points in a circle of a picture of 100 by 100.
fn drawn(annotations: &Annotations) -> Result<String, fmt::Error> {
    let n = annotations.points.len();
    let places: Vec<(f64, f64)> = (0..n)
        .map(|at| (std::f64::consts::TAU * at as f64 / n as f64).sin_cos())
        .map(|(sin, cos)| (50.0 + 40.0 * sin, 50.0 - 40.0 * cos))
        .collect();
    let mut svg = String::new();
    for &[from, to] in &annotations.skeleton {
        if let (Some((x1, y1)), Some((x2, y2))) = (places.get(from), places.get(to)) {
            write!(
                svg,
                "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" data-type=\"edge\" data-node-from=\"{}\" data-node-to=\"{}\"></line>",
                from + 1,
                to + 1
            )?;
        }
    }
    for (at, (name, (x, y))) in annotations.points.iter().zip(&places).enumerate() {
        let node = at + 1;
        write!(
            svg,
            "<circle r=\"1.5\" cx=\"{x:.1}\" cy=\"{y:.1}\" data-type=\"element node\" data-element-id=\"{node}\" data-node-id=\"{node}\" data-label-name=\"{}\"></circle>",
            escape(name)
        )?;
    }
    Ok(svg)
}

fn write_image(
    annotations: &Annotations,
    at: usize,
    image: &AnnotatedImage,
    text: &mut String,
) -> fmt::Result {
    write!(
        text,
        "  <image id=\"{at}\" name=\"{}\"",
        escape(&image.file)
    )?;
    if let Some([width, height]) = image.size {
        write!(text, " width=\"{width}\" height=\"{height}\"")?;
    }
    text.push_str(">\n");
    for (at, instance) in image.instances.iter().enumerate() {
        let group = at + 1;
        if let Some([left, top, width, height]) = instance.bbox {
            let label = instance.label.as_deref().unwrap_or(NO_LABEL);
            let far = |near: f64, side: f64| read_as(side, near + side, |far| far - near);
            writeln!(
                text,
                "    <box label=\"{}\" source=\"file\" occluded=\"0\" xtl=\"{left}\" ytl=\"{top}\" xbr=\"{}\" ybr=\"{}\" z_order=\"0\" group_id=\"{group}\"></box>",
                escape(label),
                far(left, width),
                far(top, height)
            )?;
        }
        match &instance.label {
            Some(label) => {
                writeln!(
                    text,
                    "    <skeleton label=\"{}\" source=\"file\" z_order=\"0\" group_id=\"{group}\">",
                    escape(label)
                )?;
                write_attributes(instance, "      ", text)?;
                for (name, point) in annotations.points.iter().zip(&instance.points) {
                    write_point(name, *point, None, "      ", text)?;
                    text.push_str("</points>\n");
                }
                text.push_str("    </skeleton>\n");
            }
            None => write_loose(annotations, instance, group, text)?,
        }
    }
    text.push_str("  </image>\n");
    Ok(())
}

/// Points that no skeleton has, of which those that are missing are left out; the first has the attributes.
fn write_loose(
    annotations: &Annotations,
    instance: &Instance,
    group: usize,
    text: &mut String,
) -> fmt::Result {
    let points = annotations.points.iter().zip(&instance.points);
    let marked = points.filter(|(_, point)| **point != Point::Missing);
    for (at, (name, point)) in marked.enumerate() {
        write_point(name, *point, Some(group), "    ", text)?;
        if at == 0 && !instance.attributes.is_empty() {
            text.push('\n');
            write_attributes(instance, "      ", text)?;
            text.push_str("    ");
        }
        text.push_str("</points>\n");
    }
    Ok(())
}

fn write_point(
    name: &str,
    point: Point,
    group: Option<usize>,
    indent: &str,
    text: &mut String,
) -> fmt::Result {
    let [x, y] = point.xy().unwrap_or_default();
    let is = |said: bool| u8::from(said);
    write!(
        text,
        "{indent}<points label=\"{}\" source=\"file\" outside=\"{}\" occluded=\"{}\" points=\"{x},{y}\"",
        escape(name),
        is(point == Point::Missing),
        is(matches!(point, Point::Hidden(_)))
    )?;
    match group {
        Some(group) => write!(text, " z_order=\"0\" group_id=\"{group}\">"),
        None => write!(text, ">"),
    }
}

fn write_attributes(instance: &Instance, indent: &str, text: &mut String) -> fmt::Result {
    for (name, value) in &instance.attributes {
        let (name, value) = (escape(name), escape(value));
        writeln!(
            text,
            "{indent}<attribute name=\"{name}\">{value}</attribute>"
        )?;
    }
    Ok(())
}
