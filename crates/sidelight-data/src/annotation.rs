//! Points that people marked in an annotation tool: read into one plain form, made a table of, written back.
//!
//! | format | what is read | written |
//! |---|---|---|
//! | COCO | a JSON with `images`, `annotations`, `categories` | yes |
//! | YOLO pose | a folder with `data.yaml` and a text file an image | yes |
//! | CVAT | "CVAT for images 1.1", skeletons and points | yes |
//! | LabelMe | a JSON an image, or a folder of them | yes |
//! | Label Studio | its JSON, key points in percent | yes |
//! | DeepLabCut | `CollectedData_….csv` with its three or four header lines | no |
//! | VIA | its project, its JSON or its CSV, regions that are points | no |
//!
//! [`read`] finds the format by the content, [`Annotations::locate`] the images, [`TableLayout`] makes a table and a
//! configuration, [`write()`] writes what can be written. Coordinates are pixels, the origin is the outer corner of the top left
//! pixel; nothing is rounded.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod coco;
mod cvat;
mod deeplabcut;
mod images;
mod json;
mod labelme;
mod labelstudio;
mod merge;
mod named;
mod sniff;
mod symmetry;
mod table;
#[cfg(test)]
mod tests;
mod via;
mod xml;
mod yaml;
mod yolo;

use std::path::{Path, PathBuf};

pub use images::{ImageFolders, relative_to};
pub use symmetry::symmetric_pairs;
pub use table::{TableLayout, point_names};

use crate::error::{Error, Result, setting};

/// What files of annotations say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Annotations {
    /// The names of the points, each once. One without a name is `p0`, `p1`, … by its place.
    pub points: Vec<String>,
    /// Pairs of points (by their place in `points`) that a line joins.
    pub skeleton: Vec<[usize; 2]>,
    /// Pairs of points that change places under a horizontal flip, the lower place first.
    pub symmetric: Vec<[usize; 2]>,
    /// The images, in the order of the file.
    pub images: Vec<AnnotatedImage>,
}

/// An image and what is marked in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnnotatedImage {
    /// The image as the file names it.
    pub file: String,
    /// Where it is, once it was looked for and found.
    pub found: Option<PathBuf>,
    /// Width and height in pixels, where the file says them.
    pub size: Option<[u32; 2]>,
    /// Persons, animals, things: whatever has the points.
    pub instances: Vec<Instance>,
}

/// One thing that has the points.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Instance {
    /// What it is called.
    pub label: Option<String>,
    /// A point for each of [`Annotations::points`].
    pub points: Vec<Point>,
    /// Left, top, width and height of its box, pixels.
    pub bbox: Option<[f64; 4]>,
    /// What else is said of it, each name once.
    pub attributes: Vec<(String, String)>,
}

/// A point: x and y in pixels, where it is marked.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Point {
    /// Not marked.
    #[default]
    Missing,
    /// Marked, and hidden behind something.
    Hidden([f64; 2]),
    /// Marked and seen.
    Visible([f64; 2]),
}

impl Point {
    /// x and y, where it is marked.
    pub fn xy(self) -> Option<[f64; 2]> {
        match self {
            Self::Missing => None,
            Self::Hidden(xy) | Self::Visible(xy) => Some(xy),
        }
    }

    /// As COCO says it: 0 not marked, 1 hidden, 2 seen.
    pub fn visibility(self) -> u8 {
        match self {
            Self::Missing => 0,
            Self::Hidden(_) => 1,
            Self::Visible(_) => 2,
        }
    }

    /// From COCO's number; `None` for a number that it does not have.
    fn of_coco(xy: [f64; 2], visibility: f64) -> Option<Self> {
        match visibility {
            0.0 => Some(Self::Missing),
            1.0 => Some(Self::Hidden(xy)),
            2.0 => Some(Self::Visible(xy)),
            _ => None,
        }
    }
}

impl Instance {
    /// Whether it has a point at all.
    pub fn is_marked(&self) -> bool {
        self.points.iter().any(|point| *point != Point::Missing)
    }

    /// Left, top, width and height of the smallest box about its points, pixels; `None` without a point.
    pub fn hull(&self) -> Option<[f64; 4]> {
        let mut marked = self.points.iter().filter_map(|point| point.xy());
        let first = marked.next()?;
        let (low, high) = marked.fold((first, first), |(low, high), [x, y]| {
            let [left, top] = low;
            let [right, bottom] = high;
            ([left.min(x), top.min(y)], [right.max(x), bottom.max(y)])
        });
        let ([left, top], [right, bottom]) = (low, high);
        Some([left, top, right - left, bottom - top])
    }
}

/// A format of annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter)]
pub enum Format {
    /// COCO keypoints.
    Coco,
    /// YOLO pose, as Ultralytics has it.
    Yolo,
    /// CVAT for images 1.1.
    Cvat,
    /// LabelMe.
    LabelMe,
    /// Label Studio.
    LabelStudio,
    /// DeepLabCut.
    DeepLabCut,
    /// VGG Image Annotator.
    Via,
}

impl Format {
    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Coco => "COCO keypoints",
            Self::Yolo => "YOLO pose",
            Self::Cvat => "CVAT for images",
            Self::LabelMe => "LabelMe",
            Self::LabelStudio => "Label Studio",
            Self::DeepLabCut => "DeepLabCut",
            Self::Via => "VIA",
        }
    }

    /// Whether it is written as a folder of files.
    pub fn is_folder(self) -> bool {
        matches!(self, Self::Yolo | Self::LabelMe)
    }
}

/// A file of annotations, and how it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The file or folder.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// How that is known, in words: `images` and `annotations` at the top.
    pub evidence: String,
}

/// Reads a file or folder of annotations. The format is found by the content where none is told; `folders` is where images
/// may be, which YOLO asks for their sizes.
///
/// # Errors
///
/// [`Error::Read`]; [`Error::AnnotationKind`] where the content is of none of the formats; [`Error::Annotation`],
/// [`Error::AnnotationJson`] and [`Error::AnnotationRepeats`] with the place of what cannot be; [`Error::AnnotationImage`] for a size
/// that is needed.
pub fn read(
    path: &Path,
    told: Option<Format>,
    folders: &ImageFolders,
) -> Result<(Source, Annotations)> {
    let (format, evidence) = match told {
        Some(format) => (format, "as told".to_owned()),
        None => sniff::format_of(path)?,
    };
    let mut annotations = match format {
        Format::Coco => coco::read(path),
        Format::Yolo => yolo::read(path, folders),
        Format::Cvat => cvat::read(path),
        Format::LabelMe => labelme::read(path),
        Format::LabelStudio => labelstudio::read(path),
        Format::DeepLabCut => deeplabcut::read(path),
        Format::Via => via::read(path),
    }?;
    if annotations.symmetric.is_empty() {
        annotations.symmetric = symmetric_pairs(&annotations.points);
    }
    let source = Source {
        path: path.to_path_buf(),
        format,
        evidence,
    };
    Ok((source, annotations))
}

/// Writes annotations as a file, or as a folder ([`Format::is_folder`]), whole or not at all. Images are named as they are in the
/// annotations, and not copied.
///
/// # Errors
///
/// [`Error::Setting`] for a format that is only read; [`Error::OutputFolder`] for a folder in which something lies;
/// [`Error::AnnotationImage`] where the format needs the size of an image that has none; [`Error::Write`].
pub fn write(annotations: &Annotations, format: Format, path: &Path) -> Result<()> {
    check_output(format, path)?;
    match format {
        Format::Coco => coco::write(annotations, path),
        Format::Yolo => yolo::write(annotations, path),
        Format::Cvat => cvat::write(annotations, path),
        Format::LabelMe => labelme::write(annotations, path),
        Format::LabelStudio => labelstudio::write(annotations, path),
        Format::DeepLabCut | Format::Via => Err(setting(
            "format",
            "coco, yolo, cvat, labelme or labelstudio",
            format.title(),
        )),
    }
}

/// Whether annotations can be written there: a folder must be new or empty.
///
/// # Errors
///
/// [`Error::OutputFolder`].
pub fn check_output(format: Format, path: &Path) -> Result<()> {
    let is_free = match std::fs::read_dir(path) {
        Ok(mut entries) => format.is_folder() && entries.next().is_none(),
        // What is no folder is replaced by a file, and a folder cannot stand in its place.
        Err(_) => !(format.is_folder() && path.exists()),
    };
    match is_free {
        true => Ok(()),
        false => Err(Error::OutputFolder {
            path: path.to_path_buf(),
        }),
    }
}

/// A finite number, as programs write it.
fn finite(text: &str) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

/// The number that is read back as `value`, or the nearest there is: what a share of a width is written as. `guess` is that
/// number but for rounding, `read` what a reader makes of it.
fn read_as(value: f64, guess: f64, read: impl Fn(f64) -> f64) -> f64 {
    // Encoding and decoding round four times together, each time by half a unit in the last place.
    const STEPS: usize = 8;
    let (mut below, mut above) = (guess, guess);
    let mut nearest = guess;
    for _ in 0..STEPS {
        for near in [below, above] {
            if (read(near) - value).abs() < (read(nearest) - value).abs() {
                nearest = near;
            }
        }
        (below, above) = (below.next_down(), above.next_up());
    }
    nearest
}

/// An error about a place in a file of annotations.
fn bad(
    path: &Path,
    at: impl Into<String>,
    expected: impl Into<String>,
    found: impl std::fmt::Display,
) -> Error {
    Error::Annotation {
        path: path.to_path_buf(),
        at: at.into(),
        expected: expected.into(),
        found: found.to_string(),
    }
}
