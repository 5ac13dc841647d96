//! VIA, the VGG Image Annotator 1 and 2: its project, its JSON or its CSV, of which regions that are points are read.
//!
//! # Source
//!
//! <https://www.robots.ox.ac.uk/~vgg/software/via/docs/user_guide.html>. A region has attributes of a person's choice: one called `name`,
//! `label`, `keypoint` and the like, or the only one, is the name of the point; one called `instance`, `group`, `id` and the like says
//! which thing of the image it is of. Points without a name are numbered.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::named::{Named, NamedImage, numbered, placed};
use super::{Annotations, Point, bad, json};
use crate::error::{Error, Result};
use crate::table::extension;

/// What people call the attribute with a point's name, the likelier first.
const NAMES: [&str; 9] = [
    "name", "label", "keypoint", "landmark", "point", "part", "bodypart", "class", "type",
];
/// What they call the attribute that says which thing it is of.
const GROUPS: [&str; 6] = [
    "instance",
    "group",
    "group_id",
    "individual",
    "object",
    "id",
];
/// Where a project has its images.
pub(super) const IMAGES: &str = "_via_img_metadata";
/// The column of CSV that has the regions.
pub(super) const REGIONS: &str = "region_shape_attributes";

#[derive(Deserialize)]
struct Entry {
    filename: String,
    #[serde(default)]
    file_attributes: Map<String, Value>,
    /// A list, in version 1 a map by number.
    #[serde(default)]
    regions: Value,
}

#[derive(Deserialize)]
struct Region {
    shape_attributes: Shape,
    #[serde(default)]
    region_attributes: Map<String, Value>,
}

#[derive(Default, Deserialize)]
struct Shape {
    #[serde(default)]
    name: String,
    cx: Option<f64>,
    cy: Option<f64>,
    x: Option<f64>,
    y: Option<f64>,
    width: Option<f64>,
    height: Option<f64>,
}

/// The rows of one image.
struct FileRegions {
    name: String,
    /// What is said of the image.
    said: Vec<(String, String)>,
    /// Each with its place in the file.
    regions: Vec<(String, Region)>,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Annotations> {
    let images = match extension(path).as_str() {
        "csv" => read_csv(path)?,
        _ => read_json(path)?,
    };
    placed(path, &[], images)
}

fn read_json(path: &Path) -> Result<Vec<NamedImage>> {
    let mut file: Map<String, Value> = json::read(path)?;
    let (within, entries) = match file.remove(IMAGES) {
        Some(Value::Object(entries)) => (format!("{IMAGES}."), entries),
        Some(_) => {
            return Err(bad(
                path,
                format!("`{IMAGES}`"),
                "an object",
                "something else",
            ));
        }
        None => (String::new(), file),
    };
    let entries = entries.into_iter().map(|(key, entry)| {
        let at = format!("{within}{key}");
        let entry: Entry = typed(path, &at, entry)?;
        let regions = match entry.regions {
            Value::Array(regions) => regions,
            Value::Object(regions) => regions.into_iter().map(|(_, region)| region).collect(),
            _ => Vec::new(),
        };
        let regions = regions.into_iter().enumerate().map(|(place, region)| {
            let at = format!("{at}.regions[{place}]");
            Ok((format!("`{at}`"), typed::<Region>(path, &at, region)?))
        });
        let regions: Vec<_> = regions.collect::<Result<_>>()?;
        let said: Vec<_> = json::attributes(&entry.file_attributes).collect();
        image(path, entry.filename, &said, &regions)
    });
    entries.collect()
}

fn typed<T: serde::de::DeserializeOwned>(path: &Path, at: &str, value: Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| Error::AnnotationJson {
        path: path.to_path_buf(),
        at: format!("`{at}.{}`", error.path()),
        source: error.into_inner(),
    })
}

fn read_csv(path: &Path) -> Result<Vec<NamedImage>> {
    let text = json::text(path)?;
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = reader
        .headers()
        .map_err(|error| bad(path, "line 1", "a header", error))?;
    let column = |name: &str| {
        // The first name of some versions begins with `#`.
        let named = header
            .iter()
            .position(|found| found.trim_start_matches('#') == name);
        named.ok_or_else(|| bad(path, "line 1", format!("a column `{name}`"), "none"))
    };
    let (name, shape) = (column("filename")?, column(REGIONS)?);
    let (region, file) = (column("region_attributes")?, column("file_attributes")?);
    let mut files: Vec<FileRegions> = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| bad(path, "the table", "rows of CSV", error))?;
        let line = row.position().map_or(0, csv::Position::line);
        let within = |column: &str| format!("line {line}, column `{column}`");
        let cell = |at: usize| match row.get(at).unwrap_or_default() {
            "" => "{}",
            text => text,
        };
        let file_name = row.get(name).unwrap_or_default();
        if files.last().is_none_or(|last| last.name != file_name) {
            let at = within("file_attributes");
            let said: Map<String, Value> = json::parse(path, &at, cell(file).as_bytes())?;
            files.push(FileRegions {
                name: file_name.to_owned(),
                said: json::attributes(&said).collect(),
                regions: Vec::new(),
            });
        }
        let found = Region {
            shape_attributes: json::parse(path, &within(REGIONS), cell(shape).as_bytes())?,
            region_attributes: json::parse(
                path,
                &within("region_attributes"),
                cell(region).as_bytes(),
            )?,
        };
        if let Some(last) = files.last_mut() {
            last.regions.push((within(REGIONS), found));
        }
    }
    let files = files.into_iter();
    files
        .map(|file| image(path, file.name, &file.said, &file.regions))
        .collect()
}

/// An image from its regions, each with its place in the file.
fn image(
    path: &Path,
    file: String,
    said: &[(String, String)],
    regions: &[(String, Region)],
) -> Result<NamedImage> {
    let mut groups: Vec<(Option<String>, Named)> = Vec::new();
    let is_point = |region: &&(String, Region)| region.1.shape_attributes.name == "point";
    for (at, region) in regions.iter().filter(is_point) {
        let (Some(x), Some(y)) = (region.shape_attributes.cx, region.shape_attributes.cy) else {
            return Err(bad(path, at, "`cx` and `cy` of the point", "none"));
        };
        let mut attributes: Vec<(String, String)> =
            json::attributes(&region.region_attributes).collect();
        let group = taken(&mut attributes, &GROUPS);
        let name = match attributes.as_slice() {
            [_] => attributes.pop().map(|(_, name)| name),
            _ => taken(&mut attributes, &NAMES),
        };
        let known = groups.iter().position(|(known, _)| *known == group);
        let known = known.unwrap_or_else(|| {
            groups.push((group, Named::default()));
            groups.len() - 1
        });
        if let Some((_, instance)) = groups.get_mut(known) {
            let name = name.unwrap_or_else(|| numbered(instance.points.len()));
            instance.points.push((name, Point::Visible([x, y])));
            attributes
                .into_iter()
                .for_each(|attribute| instance.add(attribute));
        }
    }
    for (_, region) in regions {
        if let Some(bbox) = rectangle(&region.shape_attributes) {
            let mut attributes: Vec<_> = json::attributes(&region.region_attributes).collect();
            let group = taken(&mut attributes, &GROUPS);
            let of_group = groups.iter_mut().find(|(known, _)| *known == group);
            if let Some((_, instance)) = of_group {
                instance.bbox.get_or_insert(bbox);
            }
        }
    }
    for (_, instance) in &mut groups {
        said.iter().for_each(|said| instance.add(said.clone()));
    }
    Ok(NamedImage {
        file,
        size: None,
        instances: groups.into_iter().map(|(_, instance)| instance).collect(),
    })
}

fn rectangle(shape: &Shape) -> Option<[f64; 4]> {
    let is_rectangle = shape.name == "rect";
    let bbox = [shape.x?, shape.y?, shape.width?, shape.height?];
    is_rectangle.then_some(bbox)
}

/// Takes the first attribute that is called by one of these names.
fn taken(attributes: &mut Vec<(String, String)>, names: &[&str]) -> Option<String> {
    let place = names.iter().find_map(|name| {
        attributes
            .iter()
            .position(|(found, _)| found.eq_ignore_ascii_case(name))
    })?;
    Some(attributes.remove(place).1)
}
