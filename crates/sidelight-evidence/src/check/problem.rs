//! What can be wrong with a table and its images.

use std::fmt;
use std::path::PathBuf;

use sidelight_data::error::{Error, Place, in_full, nearest};
use sidelight_data::schema::{Disguise, Reason};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Training stops at it.
    Error,
    /// Training passes over it, and the result may not mean what it seems to.
    Warning,
}

/// A point that lies outside its image.
#[derive(Debug, Clone, PartialEq)]
pub struct OutsidePoint {
    /// The row.
    pub at: Place,
    /// Number of the point, from 0.
    pub point: usize,
    /// Where it is, in pixels.
    pub xy: [f32; 2],
    /// Width and height of the image, in pixels.
    pub size: [usize; 2],
}

/// One problem. Those that many rows share are one, with their number and the first three.
///
/// `Display` says what is wrong and where, [`Problem::hint`] what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// A column that the configuration names is not there.
    UnknownColumn {
        /// The table.
        path: PathBuf,
        /// The field that names it.
        field: String,
        /// The name.
        name: String,
        /// What there is.
        columns: Vec<String>,
    },
    /// Cells that are not what their column holds.
    Cells {
        /// The column.
        column: String,
        /// What they should be.
        expected: &'static str,
        /// How many are not.
        count: usize,
        /// The first three, with what is there.
        first: Vec<(Place, String)>,
    },
    /// Rows that name no image.
    NoImageName {
        /// How many.
        count: usize,
        /// The first three.
        first: Vec<Place>,
    },
    /// Images that are not there.
    MissingImages {
        /// How many.
        count: usize,
        /// Of how many.
        n_images: usize,
        /// The first three.
        first: Vec<(Place, PathBuf)>,
    },
    /// An image that is there and cannot be read.
    UnreadableImage {
        /// The first row with it.
        at: Place,
        /// Why not.
        source: Error,
    },
    /// Points outside their image.
    PointsOutside {
        /// How many points.
        n_points: usize,
        /// In how many images.
        n_images: usize,
        /// The first three.
        first: Vec<OutsidePoint>,
    },
    /// Classes that one row only has.
    ClassesOfOneRow {
        /// The target.
        column: String,
        /// The classes.
        classes: Vec<String>,
    },
    /// A target with one class.
    OneClass {
        /// The target.
        column: String,
        /// The class.
        class: String,
    },
    /// A label that all rows have, or none.
    OneSidedLabel {
        /// The label.
        label: String,
        /// Whether all rows have it.
        present: bool,
        /// Rows where it is known.
        rows: usize,
    },
    /// A target that no row has.
    NoTarget {
        /// The target's first column.
        column: String,
        /// Rows.
        rows: usize,
    },
    /// Groups that the split column divides.
    GroupsInTwoParts {
        /// The group column.
        column: String,
        /// How many are divided.
        n_divided: usize,
        /// Of how many.
        n_groups: usize,
        /// The first three.
        first: Vec<String>,
    },
    /// Images with the same bytes in several rows.
    DuplicateImages {
        /// Different images that occur more than once.
        n_images: usize,
        /// Rows that they are in.
        n_rows: usize,
        /// Of these images, those with rows of different targets.
        n_different_targets: usize,
        /// Of these images, those with rows in training and rows outside it.
        n_across: usize,
        /// The rows of the first three.
        first: Vec<Vec<Place>>,
    },
    /// A column that gives the target away.
    TargetInDisguise {
        /// The column.
        column: String,
        /// How.
        disguise: Disguise,
        /// Whether the configuration uses it as metadata.
        used: bool,
    },
    /// A metadata column that can hardly be one.
    Doubtful {
        /// The column.
        column: String,
        /// Why.
        reason: Reason,
    },
    /// A metadata column that is missing in every row.
    EmptyColumn {
        /// The column.
        column: String,
        /// Rows.
        rows: usize,
    },
    /// The file of pretrained weights is not there.
    NoWeights {
        /// The file.
        path: PathBuf,
    },
    /// The rows cannot be divided into training and validation.
    NoSplit {
        /// Why not.
        source: Error,
    },
}

impl Problem {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::UnknownColumn { .. }
            | Self::Cells { .. }
            | Self::NoImageName { .. }
            | Self::MissingImages { .. }
            | Self::UnreadableImage { .. }
            | Self::OneClass { .. }
            | Self::NoTarget { .. }
            | Self::GroupsInTwoParts { .. }
            | Self::NoWeights { .. }
            | Self::NoSplit { .. } => Severity::Error,
            Self::PointsOutside { .. }
            | Self::ClassesOfOneRow { .. }
            | Self::OneSidedLabel { .. }
            | Self::DuplicateImages { .. }
            | Self::TargetInDisguise { .. }
            | Self::Doubtful { .. }
            | Self::EmptyColumn { .. } => Severity::Warning,
        }
    }

    /// What to do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownColumn { name, columns, .. } => match nearest(name, columns) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the table has: {}", columns.join(", ")),
            },
            Self::Cells { column, first, .. } => {
                let mut found: Vec<&str> = first.iter().map(|(_, found)| found.as_str()).collect();
                found.dedup();
                format!("if they mean \"missing\", add {found:?} to `missing` of `{column}`, or give it another kind")
            }
            Self::NoImageName { .. } => "leave these rows out of the table".into(),
            Self::MissingImages { count, n_images, .. } if count == n_images => {
                "paths are relative to the folder of the table: is it the right one?".into()
            }
            Self::MissingImages { .. } => "copy them to where the table says, or leave their rows out".into(),
            Self::UnreadableImage { source, .. } => return source.hint(),
            Self::PointsOutside { .. } => {
                "they count for nothing in loss and metrics; are they in pixels of the image as it is stored?".into()
            }
            Self::ClassesOfOneRow { .. } => "a class needs two rows to be learned and scored".into(),
            Self::OneClass { .. } => "is this the right target column?".into(),
            Self::OneSidedLabel { .. } => "leave the label out: there is nothing to learn".into(),
            Self::NoTarget { .. } => "is this the right target column?".into(),
            Self::GroupsInTwoParts { .. } => {
                "scores on such a split flatter: leave `data.split.column` out, and the group is kept whole".into()
            }
            Self::DuplicateImages { n_across: 0, .. } => "leave one row of each, unless they are meant".into(),
            Self::DuplicateImages { .. } => {
                "the score counts what was learned by heart: leave one row of each, or give them one group".into()
            }
            Self::TargetInDisguise { column, used: true, .. } => {
                format!("take `{column}` out of [metadata], unless it is known before the target is")
            }
            Self::TargetInDisguise { column, used: false, .. } => format!("`{column}` is not used; leave it so"),
            Self::Doubtful { column, reason: Reason::Subject } => {
                format!("take it out of [metadata] and set `data.group = {column:?}`")
            }
            Self::Doubtful { .. } => "take it out of [metadata]".into(),
            Self::EmptyColumn { .. } => "take it out of [metadata]: it can say nothing".into(),
            Self::NoWeights { .. } => "a path is relative to the folder of the configuration".into(),
            Self::NoSplit { source } => return source.hint(),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownColumn {
                path, field, name, ..
            } => {
                write!(f, "`{field}`: no column `{name}` in {}", path.display())
            }
            Self::Cells {
                column,
                expected,
                count,
                first,
            } => {
                let first: Vec<String> = first
                    .iter()
                    .map(|(at, found)| format!("`{found}` in {at}"))
                    .collect();
                let are = if *count == 1 { "cell is" } else { "cells are" };
                write!(
                    f,
                    "column `{column}`: {count} {are} not {expected}: {}",
                    listed(&first, *count)
                )
            }
            Self::NoImageName { count, first } => {
                write!(
                    f,
                    "{count} {} no image: {}",
                    if *count == 1 {
                        "row names"
                    } else {
                        "rows name"
                    },
                    listed(first, *count)
                )
            }
            Self::MissingImages {
                count,
                n_images,
                first,
            } => {
                let first: Vec<String> = first
                    .iter()
                    .map(|(at, path)| format!("{} ({at})", path.display()))
                    .collect();
                let are = if *count == 1 { "is" } else { "are" };
                write!(
                    f,
                    "{count} of {n_images} images {are} not there: {}",
                    listed(&first, *count)
                )
            }
            Self::UnreadableImage { at, source } => {
                write!(f, "{at}: {}", in_full(source))
            }
            Self::PointsOutside {
                n_points,
                n_images,
                first,
            } => {
                let first: Vec<String> = first.iter().map(ToString::to_string).collect();
                let (points, images) = (plural(*n_points, "point"), plural(*n_images, "image"));
                write!(
                    f,
                    "{points} in {images} outside the image: {}",
                    listed(&first, *n_points)
                )
            }
            Self::ClassesOfOneRow { column, classes } => {
                let shown: Vec<String> = classes
                    .iter()
                    .take(3)
                    .map(|class| format!("`{class}`"))
                    .collect();
                let classes_have = if classes.len() == 1 {
                    "class has"
                } else {
                    "classes have"
                };
                write!(
                    f,
                    "column `{column}`: {} {classes_have} one row only: {}",
                    classes.len(),
                    listed(&shown, classes.len())
                )
            }
            Self::OneClass { column, class } => {
                write!(f, "column `{column}`: `{class}` is the only class")
            }
            Self::OneSidedLabel {
                label,
                present,
                rows,
            } => {
                let has = if *present { "every" } else { "no" };
                write!(
                    f,
                    "label `{label}`: {has} row has it, of the {rows} where it is known"
                )
            }
            Self::NoTarget { column, rows } => {
                write!(f, "target `{column}`: empty in all {rows} rows")
            }
            Self::GroupsInTwoParts {
                column,
                n_divided,
                n_groups,
                first,
            } => {
                let first: Vec<String> = first.iter().map(|name| format!("`{name}`")).collect();
                let are = if *n_divided == 1 { "is" } else { "are" };
                write!(
                    f,
                    "{n_divided} of {n_groups} values of group `{column}` {are} in several parts of the split column: {}",
                    listed(&first, *n_divided)
                )
            }
            Self::DuplicateImages {
                n_images,
                n_rows,
                n_different_targets,
                n_across,
                first,
            } => {
                write!(
                    f,
                    "{} in several rows ({n_rows} in all)",
                    plural(*n_images, "identical image")
                )?;
                if *n_across > 0 {
                    write!(f, ", {n_across} of them both in and outside training")?;
                }
                if *n_different_targets > 0 {
                    write!(f, ", {n_different_targets} with different targets")?;
                }
                let rows = |places: &Vec<Place>| {
                    let rows: Vec<String> = places
                        .iter()
                        .take(4)
                        .filter_map(|at| at.row)
                        .map(|row| row.to_string())
                        .collect();
                    let more = if places.len() > 4 { ", …" } else { "" };
                    format!("rows {}{more}", rows.join(" = "))
                };
                let first: Vec<String> = first.iter().map(rows).collect();
                write!(f, ": {}", listed(&first, *n_images))
            }
            Self::TargetInDisguise {
                column, disguise, ..
            } => write!(f, "column `{column}`: {disguise}"),
            Self::Doubtful { column, reason } => write!(f, "metadata `{column}`: {reason}"),
            Self::EmptyColumn { column, rows } => {
                write!(f, "metadata `{column}`: missing in all {rows} rows")
            }
            Self::NoWeights { path } => write!(f, "`model.weights`: no file {}", path.display()),
            Self::NoSplit { source } => write!(f, "{source}"),
        }
    }
}

impl fmt::Display for OutsidePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([x, y], [width, height]) = (self.xy, self.size);
        write!(
            f,
            "point {} at ({x}, {y}) of {width} × {height} in {}",
            self.point, self.at
        )
    }
}

/// The first few, and a sign that there are more.
fn listed(first: &[impl fmt::Display], count: usize) -> String {
    let shown: Vec<String> = first.iter().map(ToString::to_string).collect();
    format!(
        "{}{}",
        shown.join("; "),
        if count > first.len() { "; …" } else { "" }
    )
}

fn plural(count: usize, one: &str) -> String {
    if count == 1 {
        format!("1 {one}")
    } else {
        format!("{count} {one}s")
    }
}
