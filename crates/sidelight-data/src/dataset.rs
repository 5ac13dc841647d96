//! A table whose columns have meaning: images, metadata, targets, groups, parts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use crate::config::{Config, TargetKind};
use crate::error::Result;
use crate::image::Affine;
use crate::table::{BadRow, Piece, Table};

mod build;
mod cells;
mod crop;
mod fact;
mod files;
mod metadata;
mod outside;
mod request;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod weight;

pub use crate::image::ImageSource;
pub use crate::kind::Split;
pub use build::{Absent, Findings, inspect};
pub use cells::image_sources;
pub use fact::{Fact, image_facts};
pub use files::SimilarNames;
pub use metadata::Misread;
pub use outside::is_outside;
pub use request::RequestRow;
pub use time::Times;
pub use weight::{RowWeights, of_mean_one};

/// Rows ready to be encoded: everything typed, nothing fitted.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The table it came from, for places in messages.
    pub path: PathBuf,
    /// Row in that table (from 0) of each row here: some may have been left out (no target, `limit`).
    pub rows: Vec<usize>,
    /// The image of each row, or [all that it has](ImageSource::Several).
    pub images: Vec<ImageSource>,
    /// The metadata columns.
    pub metadata: Metadata,
    /// The targets; `None` where the table has none of the target's columns (new rows).
    pub targets: Option<Targets>,
    /// Group number of each row, where there is a group column.
    pub groups: Option<Vec<u32>>,
    /// The part each row is said to belong to, where there is a split column.
    pub splits: Option<Vec<Split>>,
    /// The fold of each row, where there is a column of folds.
    pub folds: Option<Folds>,
    /// The time of each row, where there is a column of times.
    pub times: Option<Times>,
    /// How much each row counts, where there is a column that says so. `None`: all the same.
    pub weights: Option<RowWeights>,
    /// Where the table's points are in pixels of the picture as it is seen (`target.frame = "upright"`): from pixels of
    /// each row's image as stored, in which points are kept here, to those.
    pub to_table: Option<Vec<Affine>>,
    /// What was noticed while reading and should be said (rows without target left out, say).
    pub remarks: Vec<String>,
}

/// The folds that a person has divided the rows into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    /// Number of each row's fold, an index into `names`.
    pub of_row: Vec<u32>,
    /// What the table calls them; numbers are in their order.
    pub names: Vec<String>,
}

/// What a command on a configuration begins with.
#[derive(Debug)]
pub struct Opened {
    /// The table as it was read.
    pub table: Table,
    /// The configuration with its metadata columns written out.
    pub config: Config,
    /// The rows, as that configuration reads them.
    pub dataset: Dataset,
    /// Rows of the table that are left out because they cannot be read or have no image, in order.
    pub bad: Vec<BadRow>,
}

/// Rows of a piece of a table, and those of them that get no prediction.
#[derive(Debug)]
pub struct PieceRows {
    /// All rows, one for each of the piece. Of a bad one the cells are missing or what could be read of them.
    pub dataset: Dataset,
    /// The piece, for places in messages.
    pub table: Table,
    /// The column of the images.
    pub image_column: String,
    /// Rows that cannot be read, in order, each once.
    pub bad: Vec<BadRow>,
    /// Columns of metadata that the piece lacks: they are missing in every row.
    pub absent: Vec<String>,
}

/// Metadata as read: typed columns of one length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// The columns, in the configuration's order.
    pub columns: Vec<MetadataColumn>,
    /// Number of rows (columns may be none).
    pub n_rows: usize,
}

/// One metadata column.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataColumn {
    /// Its name in the configuration.
    pub name: String,
    /// Its values; `None`: missing.
    pub values: MetadataValues,
}

/// The values of a metadata column, typed as its kind says; `None` is missing.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataValues {
    /// One boolean per row.
    Boolean(Vec<Option<bool>>),
    /// Finite numbers, in the column's unit.
    Continuous(Vec<Option<f64>>),
    /// Index into the names that occur in this table.
    Categorical {
        /// The names, in order of first appearance.
        names: Vec<String>,
        /// One a row.
        codes: Vec<Option<u32>>,
    },
    /// Seconds since 1970-01-01T00:00:00 (a time zone, if given, is applied).
    Datetime(Vec<Option<f64>>),
}

/// Targets as read.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// n points a row.
    Keypoints {
        /// Number of points.
        n_points: usize,
        /// `[row][point] = [x, y]`, pixels of the image as stored (before EXIF orientation); NaN: missing.
        xy: Vec<[f32; 2]>,
        /// `[row][point]`: whether it is there and can be seen; `None`: nobody has said anything of the row. Empty: where it
        /// has coordinates.
        visible: Vec<Option<bool>>,
        /// How large things are, where that is known.
        scale: PointScale,
    },
    /// One class a row.
    Class {
        /// The names that occur, sorted.
        names: Vec<String>,
        /// Index into them; `None`: missing.
        index: Vec<Option<u32>>,
    },
    /// Any number of labels a row.
    Multilabel {
        /// The labels that occur (one cell) or the columns, in order.
        names: Vec<String>,
        /// `[row][label]`; `None`: not known.
        present: Vec<Option<bool>>,
    },
    /// One or several numbers a row, in their own unit.
    Regression {
        /// Names of the target's columns, in order.
        names: Vec<String>,
        /// `[row][column]`; NaN: missing.
        values: Vec<f64>,
    },
}

impl Dataset {
    /// Reads a configuration's table and settles what its columns mean: where a command begins. Metadata that the
    /// configuration does not name is inferred and said in the data set's remarks; [`Opened::config`] has it by name, and
    /// is what is trained with, stored and used later.
    ///
    /// With `data.unreadable = "skip"` rows that cannot be read or have no image are left out and listed in
    /// [`Opened::bad`].
    ///
    /// # Errors
    ///
    /// Those of reading the table, of [`Schema::infer`](crate::schema::Schema::infer) and of [`Dataset::new`].
    pub fn open(config: &Config) -> Result<Opened> {
        build::open(config)
    }

    /// Gives the table's columns the meaning that the configuration says. Nothing is inferred: a configuration
    /// that names no metadata has none ([`Dataset::open`] infers).
    ///
    /// Rows without a target are left out and said in `remarks` when the table has the target's
    /// columns; where it has none of them (new rows to predict), all rows stay and `targets` is `None`.
    ///
    /// # Errors
    ///
    /// The first cell that is not what its column is said to be, with its place;
    /// [`Error::NoColumn`](crate::Error::NoColumn), [`Error::NoTarget`](crate::Error::NoTarget).
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::config::Config;
    /// use sidelight_data::dataset::{Dataset, MetadataValues};
    /// use sidelight_data::table::Table;
    ///
    /// let folder = tempfile::tempdir()?;
    /// std::fs::write(folder.path().join("houses.csv"), "file_name,price,beds\n1.jpg,100,4\n2.jpg,200,n/a\n")?;
    /// std::fs::write(
    ///     folder.path().join("houses.toml"),
    ///     r#"
    ///     data.table = "houses.csv"
    ///     target = { kind = "regression", column = "price" }
    ///     metadata.beds = "continuous"
    ///     "#,
    /// )?;
    /// let config = Config::read(&folder.path().join("houses.toml"), &[])?;
    /// let dataset = Dataset::new(&Table::read(&config.data.table)?, &config)?;
    /// assert_eq!(dataset.metadata.columns[0].values, MetadataValues::Continuous(vec![Some(4.0), None]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(table: &Table, config: &Config) -> Result<Self> {
        let nobody = HashSet::new();
        build::strict(table, config, &nobody)
    }

    /// As [`Dataset::for_prediction`], of rows that are to be scored: those with a target need `data.weight`, where it is
    /// set.
    ///
    /// # Errors
    ///
    /// Those of [`Dataset::for_prediction`]; [`Error::NoColumn`](crate::Error::NoColumn) for the column of weights, and
    /// [`Error::Cell`](crate::Error::Cell) for the first cell of it that is none.
    pub fn for_evaluation(table: &Table, config: &Config, needs_image: bool) -> Result<Self> {
        build::scored(table, config, needs_image)
    }

    /// Rows for a trained model: `config` is the one it was trained with, its metadata written out.
    ///
    /// Every row stays, with or without a target. A metadata column that the table lacks is missing throughout,
    /// a cell that is not what its column holds is missing; both are counted and said in `remarks`.
    ///
    /// # Errors
    ///
    /// [`Error::NoColumn`](crate::Error::NoColumn) for the image column; a row without an image, where `needs_image` says
    /// that one is needed.
    pub fn for_prediction(table: &Table, config: &Config, needs_image: bool) -> Result<Self> {
        build::lenient(table, config, needs_image)
    }

    /// The rows of a piece of a table for a trained model, as [`Dataset::for_prediction`]; targets are not looked at.
    ///
    /// Every row keeps its place, so that a row is read the same in whatever piece it is. A row with a cell that is not
    /// what its column holds, or without an image where `needs_image` says that one is needed, is in [`PieceRows::bad`].
    ///
    /// # Errors
    ///
    /// [`Error::NoColumn`](crate::Error::NoColumn) for the image column.
    pub fn of_piece(piece: Piece, config: &Config, needs_image: bool) -> Result<PieceRows> {
        build::piece(piece, config, needs_image)
    }

    /// The same rows in the groups of this column of their table, whatever `data.group` says.
    ///
    /// # Errors
    ///
    /// [`Error::NoColumn`](crate::Error::NoColumn).
    pub fn grouped_by(self, table: &Table, column: &str, config: &Config) -> Result<Self> {
        build::grouped_by(self, table, column, config)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// Every image once, in the order of its first row, with the rows that have it. Of rows of several images those that
    /// a row lacks are left out.
    pub fn rows_by_image<'a>(&'a self) -> Vec<(&'a ImageSource, Vec<usize>)> {
        let mut place: HashMap<&ImageSource, usize> = HashMap::new();
        let mut images: Vec<(&ImageSource, Vec<usize>)> = Vec::new();
        let of_row = |(row, image): (usize, &'a ImageSource)| {
            let parts = image.parts().iter();
            let named = parts.filter(move |part| !part.is_absent() || image.parts().len() == 1);
            named.map(move |part| (row, part))
        };
        for (row, source) in self.images.iter().enumerate().flat_map(of_row) {
            let at = *place.entry(source).or_insert_with(|| {
                images.push((source, Vec::new()));
                images.len() - 1
            });
            if images[at].1.last() != Some(&row) {
                images[at].1.push(row);
            }
        }
        // Of a million images most are of one row, for which a list keeps room for four.
        for (_, rows) in &mut images {
            rows.shrink_to_fit();
        }
        images
    }

    /// Groups of which rows are in several splits, each by its first row, and how many groups there are; nothing
    /// without a column of either.
    pub fn divided_groups(&self) -> (Vec<usize>, usize) {
        let mut groups: BTreeMap<u32, (usize, bool)> = BTreeMap::new();
        if let (Some(of_row), Some(splits)) = (&self.groups, &self.splits) {
            for (row, group) in of_row.iter().enumerate() {
                let (first, is_divided) = groups.entry(*group).or_insert((row, false));
                *is_divided |= splits[*first] != splits[row];
            }
        }
        let divided = groups.values().filter(|(_, is_divided)| *is_divided);
        (divided.map(|(first, _)| *first).collect(), groups.len())
    }

    /// How much each of these rows counts; `None`: all the same.
    pub fn weights_of(&self, rows: &[usize]) -> Option<Vec<f64>> {
        self.weights.as_ref()?.of(rows)
    }

    /// Which task the targets are.
    pub fn kind(&self) -> Option<TargetKind> {
        self.targets.as_ref().map(Targets::kind)
    }
    /// The rows at these positions, in this order. Category and class names stay as they are.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            path: self.path.clone(),
            rows: pick(&self.rows, indices),
            images: pick(&self.images, indices),
            metadata: self.metadata.select(indices),
            targets: self.targets.as_ref().map(|targets| targets.select(indices)),
            groups: self.groups.as_ref().map(|groups| pick(groups, indices)),
            splits: self.splits.as_ref().map(|splits| pick(splits, indices)),
            folds: self.folds.as_ref().map(|folds| Folds {
                of_row: pick(&folds.of_row, indices),
                names: folds.names.clone(),
            }),
            times: self.times.as_ref().map(|times| times.select(indices)),
            weights: self.weights.as_ref().map(|weights| weights.select(indices)),
            to_table: self.to_table.as_ref().map(|maps| pick(maps, indices)),
            remarks: self.remarks.clone(),
        }
    }
}

impl Metadata {
    /// The rows at these positions, in this order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let columns = self.columns.iter().map(|column| MetadataColumn {
            name: column.name.clone(),
            values: match &column.values {
                MetadataValues::Boolean(values) => MetadataValues::Boolean(pick(values, indices)),
                MetadataValues::Continuous(values) => {
                    MetadataValues::Continuous(pick(values, indices))
                }
                MetadataValues::Datetime(values) => MetadataValues::Datetime(pick(values, indices)),
                MetadataValues::Categorical { names, codes } => MetadataValues::Categorical {
                    names: names.clone(),
                    codes: pick(codes, indices),
                },
            },
        });
        Self {
            columns: columns.collect(),
            n_rows: indices.len(),
        }
    }
}

impl MetadataValues {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Boolean(values) => values.len(),
            Self::Continuous(values) | Self::Datetime(values) => values.len(),
            Self::Categorical { codes, .. } => codes.len(),
        }
    }
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Of each row, whether it is missing there.
    pub fn missing(&self) -> Vec<bool> {
        match self {
            Self::Boolean(values) => values.iter().map(Option::is_none).collect(),
            Self::Continuous(values) | Self::Datetime(values) => {
                values.iter().map(Option::is_none).collect()
            }
            Self::Categorical { codes, .. } => codes.iter().map(Option::is_none).collect(),
        }
    }
    /// Number of rows where it is missing.
    pub fn n_missing(&self) -> usize {
        let missing = self.missing().into_iter();
        missing.filter(|is_missing| *is_missing).count()
    }
    /// The names that it can have and the number of that of each row, for a category and for true and false; `None` for
    /// numbers and times.
    pub fn levels(&self) -> Option<(Vec<String>, Vec<Option<u32>>)> {
        match self {
            Self::Boolean(values) => {
                let codes = values.iter().map(|value| value.map(u32::from));
                Some((vec!["false".into(), "true".into()], codes.collect()))
            }
            Self::Categorical { names, codes } => Some((names.clone(), codes.clone())),
            Self::Continuous(_) | Self::Datetime(_) => None,
        }
    }
}

/// How large the things are that points are on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PointScale {
    /// `[row]`: millimetres that a pixel is wide and high; NaN: missing. Empty: not known.
    pub mm_per_px: Vec<[f32; 2]>,
    /// `[row]`: area of the object in pixels²; NaN: missing. Empty: not known.
    pub area: Vec<f32>,
}

impl Targets {
    /// `n_points` a row, `[row][point] = [x, y]`, visible where they have coordinates.
    pub fn keypoints(n_points: usize, xy: Vec<[f32; 2]>) -> Self {
        Self::Keypoints {
            n_points,
            xy,
            visible: Vec::new(),
            scale: PointScale::default(),
        }
    }

    /// Of each point of a row whether it is there and can be seen; `None`: not known. Empty for other kinds.
    ///
    /// Where the table does not say, a point with coordinates is visible, and one without is not there, unless the row has
    /// none at all: nobody may have looked at it.
    pub fn visible(&self, row: usize) -> Vec<Option<bool>> {
        let Self::Keypoints {
            n_points,
            xy,
            visible,
            ..
        } = self
        else {
            return Vec::new();
        };
        let points = row * n_points..(row + 1) * n_points;
        match visible.is_empty() {
            false => visible[points].to_vec(),
            true => {
                let known: Vec<bool> = xy[points].iter().map(|[x, _]| !x.is_nan()).collect();
                let is_any = known.contains(&true);
                known
                    .into_iter()
                    .map(|known| is_any.then_some(known))
                    .collect()
            }
        }
    }

    /// The rows at these positions, in this order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        match self {
            Self::Keypoints {
                n_points,
                xy,
                visible,
                scale,
            } => Self::Keypoints {
                n_points: *n_points,
                xy: pick_wide(xy, indices, *n_points),
                visible: match visible.is_empty() {
                    true => Vec::new(),
                    false => pick_wide(visible, indices, *n_points),
                },
                scale: PointScale {
                    mm_per_px: match scale.mm_per_px.is_empty() {
                        true => Vec::new(),
                        false => pick(&scale.mm_per_px, indices),
                    },
                    area: match scale.area.is_empty() {
                        true => Vec::new(),
                        false => pick(&scale.area, indices),
                    },
                },
            },
            Self::Class { names, index } => Self::Class {
                names: names.clone(),
                index: pick(index, indices),
            },
            Self::Multilabel { names, present } => Self::Multilabel {
                names: names.clone(),
                present: pick_wide(present, indices, names.len()),
            },
            Self::Regression { names, values } => Self::Regression {
                names: names.clone(),
                values: pick_wide(values, indices, names.len()),
            },
        }
    }

    /// Which kind of task they are of.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Keypoints { .. } => TargetKind::Keypoints,
            Self::Class { .. } => TargetKind::Class,
            Self::Multilabel { .. } => TargetKind::Multilabel,
            Self::Regression { .. } => TargetKind::Regression,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Keypoints { n_points, xy, .. } => xy.len() / (*n_points).max(1),
            Self::Class { index, .. } => index.len(),
            Self::Multilabel { names, present } => present.len() / names.len().max(1),
            Self::Regression { names, values } => values.len() / names.len().max(1),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cells of a row as bits that are equal where they are; `None`: missing.
    fn cells(&self, row: usize) -> Vec<Option<[u64; 2]>> {
        match self {
            Self::Class { index, .. } => vec![index[row].map(|class| [class.into(), 0])],
            Self::Keypoints { n_points, xy, .. } => {
                let points = xy[row * n_points..][..*n_points].iter();
                let bits = |point: &[f32; 2]| point.map(|at| u64::from(at.to_bits()));
                points
                    .map(|point| (!point[0].is_nan()).then(|| bits(point)))
                    .collect()
            }
            Self::Multilabel { names, present } => {
                let labels = present[row * names.len()..][..names.len()].iter();
                labels
                    .map(|present| present.map(|present| [present.into(), 0]))
                    .collect()
            }
            Self::Regression { names, values } => {
                let columns = values[row * names.len()..][..names.len()].iter();
                columns
                    .map(|value| (!value.is_nan()).then(|| [value.to_bits(), 0]))
                    .collect()
            }
        }
    }

    /// Whether two rows have the same target, what is missing in both included.
    pub fn same(&self, a: usize, b: usize) -> bool {
        self.cells(a) == self.cells(b)
    }

    /// Whether anything of this row's target is known.
    pub fn is_known(&self, row: usize) -> bool {
        // Of points that are not there it is known that they are not.
        let is_said = self.visible(row).iter().any(Option::is_some);
        is_said || self.cells(row).iter().any(Option::is_some)
    }
}

fn pick<T: Clone>(values: &[T], indices: &[usize]) -> Vec<T> {
    indices.iter().map(|index| values[*index].clone()).collect()
}

fn pick_wide<T: Clone>(values: &[T], indices: &[usize], width: usize) -> Vec<T> {
    indices
        .iter()
        .flat_map(|index| values[index * width..][..width].iter().cloned())
        .collect()
}
