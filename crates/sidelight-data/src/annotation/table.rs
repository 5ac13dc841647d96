//! The table that annotations become, a row an instance, and the configuration that reads it.

use std::fmt::Write as _;
use std::path::Path;

use super::images::{folder_of, relative_to};
use super::named::numbered;
use super::{AnnotatedImage, Annotations, Instance, Point};
use crate::config::collapse_range;
use crate::error::Result;
use crate::image::{ImageSource, facts};
use crate::write::{ColumnKind, TableWriter, Value, made_different};

/// How much of its width and height a box about points has beside them, on each side.
const MARGIN: f64 = 0.25;
/// The least that it has, pixels: a single point has neither width nor height.
const LEAST_MARGIN: f64 = 1.0;
/// Images whose headers are compared with what the annotations say of them, at most.
const MOST_COMPARED: usize = 1000;

/// Which columns the table of some annotations has.
#[derive(Debug, Clone, PartialEq)]
pub struct TableLayout {
    columns: Vec<(String, ColumnKind)>,
    n_points: usize,
    has_visibility: bool,
    has_boxes: bool,
    has_labels: bool,
    /// The names of attributes, in the order in which they come.
    attributes: Vec<String>,
    /// Points were made on the picture as EXIF turns it.
    is_upright: bool,
    /// Images that are neither as large as the annotations say nor turned so, of those that were looked at.
    pub n_of_other_size: usize,
    /// Rows of the table: instances with a point.
    pub n_rows: usize,
    /// Images that have such instances.
    pub n_images: usize,
    /// Points of the rows that are seen, hidden and not marked.
    pub n_points_by_visibility: [usize; 3],
}

/// The images that have rows, each with its instances that have a point.
fn marked(annotations: &Annotations) -> impl Iterator<Item = (&AnnotatedImage, Vec<&Instance>)> {
    annotations.images.iter().filter_map(|image| {
        let instances = image.instances.iter().filter(|one| one.is_marked());
        let instances: Vec<&Instance> = instances.collect();
        (!instances.is_empty()).then_some((image, instances))
    })
}

impl TableLayout {
    /// The columns for these annotations; the headers of the first images that were found are read.
    pub fn of(annotations: &Annotations) -> Self {
        let mut seen = [0; 3];
        let mut attributes: Vec<String> = Vec::new();
        let (mut first_label, mut has_labels) = (None, false);
        let (mut n_rows, mut n_images, mut has_boxes) = (0, 0, false);
        for (_, instances) in marked(annotations) {
            n_images += 1;
            n_rows += instances.len();
            has_boxes |= instances.len() > 1;
            for instance in instances {
                for point in &instance.points {
                    let [visible, hidden, missing] = &mut seen;
                    *match point {
                        Point::Visible(_) => visible,
                        Point::Hidden(_) => hidden,
                        Point::Missing => missing,
                    } += 1;
                }
                for (name, _) in &instance.attributes {
                    if !attributes.contains(name) {
                        attributes.push(name.clone());
                    }
                }
                has_labels |= *first_label.get_or_insert(&instance.label) != &instance.label;
            }
        }
        let [_, hidden, missing] = seen;
        let [n_upright, n_of_other_size] = compared(annotations);
        let mut layout = Self {
            columns: Vec::new(),
            n_points: annotations.points.len(),
            has_visibility: hidden + missing > 0,
            has_boxes,
            has_labels,
            attributes,
            is_upright: n_upright > 0,
            n_of_other_size,
            n_rows,
            n_images,
            n_points_by_visibility: seen,
        };
        layout.columns = layout.named(&annotations.points);
        layout
    }

    fn named(&self, points: &[String]) -> Vec<(String, ColumnKind)> {
        let text = |name: &str| (name.to_owned(), ColumnKind::Text);
        let mut columns = vec![text("image")];
        for name in points {
            columns.extend(["x", "y"].map(|axis| (format!("{name}_{axis}"), ColumnKind::Number)));
        }
        if self.has_visibility {
            let seen = points
                .iter()
                .map(|name| (format!("{name}_v"), ColumnKind::Integer));
            columns.extend(seen);
        }
        if self.has_boxes {
            let sides = ["x", "y", "w", "h"];
            columns.extend(sides.map(|side| (format!("box_{side}"), ColumnKind::Number)));
            columns.push(("instance".to_owned(), ColumnKind::Integer));
        }
        if self.has_labels {
            columns.push(text("label"));
        }
        columns.extend(self.attributes.iter().map(|name| text(name)));
        made_different(&mut columns);
        columns
    }

    /// The names of the columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Writes the table as CSV, JSON Lines or Parquet, by the path's ending. Images that were found are named from the
    /// table's folder, others as the annotations name them.
    ///
    /// # Errors
    ///
    /// [`Error::OutputFormat`](crate::Error::OutputFormat), [`Error::Write`](crate::Error::Write).
    pub fn write(&self, annotations: &Annotations, path: &Path) -> Result<()> {
        let folder = folder_of(path);
        let mut writer = TableWriter::create(path, &self.columns)?;
        for (image, instances) in marked(annotations) {
            let name = match &image.found {
                Some(found) => relative_to(found, folder),
                None => image.file.clone(),
            };
            for (at, instance) in instances.into_iter().enumerate() {
                writer.write(&self.cells(image, &name, at + 1, instance))?;
            }
        }
        writer.finish()
    }

    fn cells<'a>(
        &self,
        image: &AnnotatedImage,
        name: &'a str,
        number: usize,
        instance: &'a Instance,
    ) -> Vec<Value<'a>> {
        let mut cells = vec![Value::Text(name.into())];
        let text =
            |text: Option<&'a str>| text.map_or(Value::Missing, |text| Value::Text(text.into()));
        for point in &instance.points {
            cells.extend(match point.xy() {
                Some(xy) => xy.map(Value::Number),
                None => [Value::Missing, Value::Missing],
            });
        }
        if self.has_visibility {
            let seen = instance.points.iter().map(|point| point.visibility());
            cells.extend(seen.map(Value::count));
        }
        if self.has_boxes {
            let bbox = instance.bbox.or_else(|| grown(instance, image));
            cells.extend(bbox.unwrap_or_default().map(Value::Number));
            cells.push(Value::count(number));
        }
        if self.has_labels {
            cells.push(text(instance.label.as_deref()));
        }
        cells.extend(self.attributes.iter().map(|name| {
            let said = instance.attributes.iter().find(|(known, _)| known == name);
            text(said.map(|(_, value)| value.as_str()))
        }));
        cells
    }

    /// The configuration that learns these points, for a table of this name in its own folder.
    pub fn to_toml(&self, annotations: &Annotations, table: &str) -> String {
        let string = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let list = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|name| string(name)).collect();
            format!("[{}]", names.join(", "))
        };
        let names: Vec<String> = self.names().map(str::to_owned).collect();
        let mut rest = names.into_iter();
        let mut next = |n: usize| -> Vec<String> { rest.by_ref().take(n).collect() };
        let image = next(1).concat();
        let columns = next(2 * self.n_points);
        let visibility = next(if self.has_visibility {
            self.n_points
        } else {
            0
        });
        let boxes = next(if self.has_boxes { 4 } else { 0 });
        let instance = next(usize::from(self.has_boxes));
        next(usize::from(self.has_labels));
        let attributes = self.attributes.iter().zip(rest);
        let split = attributes
            .filter(|(name, _)| *name == "split")
            .map(|(_, column)| column);
        let mut toml = String::from("[data]\n");
        let mut line = |name: &str, value: String| {
            // A `String` takes whatever is written to it.
            let _ = writeln!(toml, "{name} = {value}");
        };
        line("table", string(table));
        line("image", string(&image));
        if self.has_boxes {
            line("group", string(&image));
            line("crop", list(&boxes));
            line("ignore", list(&instance));
        }
        for column in split {
            line("split", format!("{{ column = {} }}", string(&column)));
        }
        toml.push_str("\n[target]\nkind = \"keypoints\"\n");
        let mut line = |name: &str, value: String| {
            let _ = writeln!(toml, "{name} = {value}");
        };
        line("columns", list(&collapse_range(&columns)));
        line("names", list(&annotations.points));
        if !visibility.is_empty() {
            line("visibility", list(&collapse_range(&visibility)));
        }
        if !annotations.skeleton.is_empty() {
            line("skeleton", format!("{:?}", annotations.skeleton));
        }
        if !annotations.symmetric.is_empty() {
            line("symmetric", format!("{:?}", annotations.symmetric));
        }
        if self.is_upright {
            line("frame", string("upright"));
        }
        toml
    }
}

/// The box about the points of an instance with a margin, clipped to the image where its size is known.
fn grown(instance: &Instance, image: &AnnotatedImage) -> Option<[f64; 4]> {
    let [left, top, width, height] = instance.hull()?;
    let size = image.size.map(|size| size.map(f64::from));
    let size = size.or_else(|| {
        let facts = facts(&ImageSource::Path(image.found.clone()?)).ok()?;
        Some(facts.upright().map(|side| side as f64))
    });
    let along = |start: f64, length: f64, side: Option<f64>| {
        let margin = (MARGIN * length).max(LEAST_MARGIN);
        let (low, high) = (start - margin, start + length + margin);
        match side {
            Some(side) => (low.clamp(0.0, side), high.clamp(0.0, side)),
            None => (low, high),
        }
    };
    let (low_x, high_x) = along(left, width, size.map(|[width, _]| width));
    let (low_y, high_y) = along(top, height, size.map(|[_, height]| height));
    Some([low_x, low_y, high_x - low_x, high_y - low_y])
}

/// How many images are as large as the annotations say only once EXIF has turned them, and how many are not even so.
fn compared(annotations: &Annotations) -> [usize; 2] {
    let known = annotations.images.iter();
    let known = known.filter_map(|image| Some((image.found.clone()?, image.size?)));
    let (mut n_upright, mut n_other) = (0, 0);
    for (found, size) in known.take(MOST_COMPARED) {
        let Ok(facts) = facts(&ImageSource::Path(found)) else {
            continue;
        };
        let size = size.map(|side| usize::try_from(side).unwrap_or(usize::MAX));
        if size == [facts.width, facts.height] {
            continue;
        }
        match size == facts.upright() {
            true => n_upright += 1,
            false => n_other += 1,
        }
    }
    [n_upright, n_other]
}

/// The names of points whose columns are these, x and y of each in turn: what is before `_x` (`nose_x`) or behind `x`; `p0`, `p1`, …
/// where that is a number, nothing, or not of one point alone.
///
/// # Example
///
/// ```
/// use sidelight_data::annotation::point_names;
///
/// let names = |columns: [&str; 4]| point_names(&columns.map(String::from));
/// assert_eq!(names(["nose_x", "nose_y", "ear.x", "ear.y"]), ["nose", "ear"]);
/// assert_eq!(names(["x0", "y0", "x1", "y1"]), ["p0", "p1"]);
/// assert_eq!(names(["a", "b", "c", "d"]), ["p0", "p1"]);
/// ```
pub fn point_names(columns: &[String]) -> Vec<String> {
    let (pairs, _) = columns.as_chunks::<2>();
    let names: Option<Vec<String>> = pairs.iter().map(|[x, y]| common_name(x, y)).collect();
    let are_different = |names: &Vec<String>| {
        let seen: std::collections::HashSet<&String> = names.iter().collect();
        seen.len() == names.len()
    };
    names
        .filter(are_different)
        .unwrap_or_else(|| (0..pairs.len()).map(numbered).collect())
}

fn common_name(x: &str, y: &str) -> Option<String> {
    let between = ['_', '.', '-', ' '];
    let name = [("x", "y"), ("X", "Y")]
        .into_iter()
        .find_map(|(of_x, of_y)| {
            let before = (x.strip_suffix(of_x), y.strip_suffix(of_y));
            let behind = (x.strip_prefix(of_x), y.strip_prefix(of_y));
            match (before, behind) {
                ((Some(name), Some(other)), _) if name == other => {
                    Some(name.trim_end_matches(between))
                }
                (_, (Some(name), Some(other))) if name == other => {
                    Some(name.trim_start_matches(between))
                }
                _ => None,
            }
        })?;
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    Some(match is_number {
        true => format!("p{name}"),
        false => name.to_owned(),
    })
}
