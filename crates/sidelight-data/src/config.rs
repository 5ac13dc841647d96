//! `sidelight.toml`: what the person says about table, target, metadata, model and training.
//!
//! Every field has a default but the table and the target; every field can be overridden
//! by `--set a.b=c`. The resolved configuration is written into the run folder.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod build;
mod columns;
mod hub_name;
mod images;
mod read;
mod schema;
mod share;
#[cfg(test)]
mod tests;
mod validate;
mod weights;

pub use columns::{collapse_range, expand_range, expand_ranges};
pub use read::with_overrides;
pub use schema::json_schema;
pub use validate::key;

use crate::error::Result;
pub use crate::kind::{MetadataKind, TargetKind};
pub use crate::spelling::{DateOrder, Decimal, Spelling};
use crate::store::is_remote;
pub use crate::store::{Environment, Proxies, RemoteConfig};
use crate::table::SourceFormat;
pub use hub_name::{HubName, check_hub_part};
pub use images::ImageColumns;
pub use weights::{AUTO, NONE};

/// One whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The table and how to divide it.
    pub data: DataConfig,
    /// What is to be predicted.
    pub target: TargetConfig,
    /// The metadata columns; empty: inferred from the table, and said ([`Dataset::open`](crate::dataset::Dataset::open)).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, MetadataEntry>,
    /// The network: backbone, weights, fusion, head.
    #[serde(default)]
    pub model: ModelConfig,
    /// How it is trained.
    #[serde(default)]
    pub train: TrainConfig,
    /// How images are read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub image: ImageConfig,
    /// Random changes to training images.
    #[serde(default)]
    pub augment: AugmentConfig,
}

/// `[image]`: how images are read.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageConfig {
    /// Of pixels with more than 8 bits a channel: which values become black and white, `[0, 4095]` for 12 bits in 16.
    /// Default: none and all, `full`.
    #[serde(skip_serializing_if = "ImageRange::is_full")]
    pub range: ImageRange,
}

/// `image.range`: `"full"`, `"auto"` or two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(from = "RangeSetting", into = "RangeSetting")]
pub enum ImageRange {
    /// 0 is black, and the largest number that the bits hold white.
    #[default]
    Full,
    /// As training finds it in its images, and then writes it into the run.
    Auto,
    /// These values are black and white.
    Between([f32; 2]),
}

impl ImageRange {
    /// The values that are black and white, where they are numbers.
    pub fn known(self) -> Option<[f32; 2]> {
        match self {
            Self::Between(range) => Some(range),
            Self::Full | Self::Auto => None,
        }
    }

    fn is_full(&self) -> bool {
        *self == Self::Full
    }
}

/// As it is written.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "`\"auto\"`, `\"full\"` or two numbers, as in `[0, 4095]`"
)]
enum RangeSetting {
    Word(RangeWord),
    Values([f32; 2]),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RangeWord {
    Auto,
    Full,
}

impl From<RangeSetting> for ImageRange {
    fn from(setting: RangeSetting) -> Self {
        match setting {
            RangeSetting::Word(RangeWord::Auto) => Self::Auto,
            RangeSetting::Word(RangeWord::Full) => Self::Full,
            RangeSetting::Values(range) => Self::Between(range),
        }
    }
}

impl From<ImageRange> for RangeSetting {
    fn from(range: ImageRange) -> Self {
        match range {
            ImageRange::Auto => Self::Word(RangeWord::Auto),
            ImageRange::Full => Self::Word(RangeWord::Full),
            ImageRange::Between(range) => Self::Values(range),
        }
    }
}

/// `[data]`: the table, its image column, and how rows are split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// CSV, TSV, JSON Lines, Parquet, a workbook (.xlsx), tar archives, or a directory of images or archives; relative to the TOML. Archives
    /// may be addresses: `s3://bucket/train-{000..099}.tar`, `gs://`, `az://`, `https://`.
    pub table: PathBuf,
    /// Column with the image's path (relative to the table) or its bytes; or the path itself, with columns in braces:
    /// `"train/{id}.tif"`. Several images a row: a list of those, `["frontal", "kitchen"]`. Default: `file_name`.
    #[serde(default = "default_image")]
    #[schemars(schema_with = "schema::one_or_several::<String>")]
    pub image: ImageColumns,
    /// How many images a cell of `image` names at most: `a.jpg;b.jpg`, `a.jpg|b.jpg`, or a JSON list. Default: 1, and a
    /// cell is one name.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub images_per_cell: usize,
    /// Columns of x, y, width and height of the part of the image that the network sees, in the pixels that points are in:
    /// the box about one of several objects. Points and predictions stay in pixels of the whole image. A row whose cells
    /// are empty has the whole image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<[String; 4]>,
    /// Rows that share a value of this column are never divided between parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How rows are divided into training and validation.
    #[serde(default)]
    pub split: SplitConfig,
    /// Column with the number or name of each row's fold: `compare` holds these out one by one, and training validates
    /// on the first (or on those of `split.valid_where`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<String>,
    /// Column with the time of each row, a date, a time or a number: training validates on the latest `split.valid` of
    /// the rows, and `compare` tests each block of time on what was learned from those before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Column with how much each row counts in the loss and in every metric: numbers, 0 or more, of which only the
    /// proportions matter. Default: all rows count the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Other tables whose columns are read beside those of this one.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "joins"
    )]
    #[schemars(schema_with = "schema::one_or_several::<JoinConfig>")]
    pub join: Vec<JoinConfig>,
    /// Use only so many rows, a seeded sample; 0: all.
    #[serde(default)]
    pub limit: usize,
    /// Columns that are neither metadata nor anything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Cells that mean "missing", beside the empty one. Default: the usual spellings.
    #[serde(default = "default_missing", deserialize_with = "names")]
    #[schemars(with = "Vec<Name>")]
    pub missing: Vec<String>,
    /// What stands before the decimals of numbers written as text: `"."` or `","`; the other one, blanks and
    /// apostrophes may then group thousands. Default: a point, and thousands are not grouped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<Decimal>,
    /// Which of day and month stands first in `03/04/2011`: `day-first` or `month-first`. Default: such a date is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_order: Option<DateOrder>,
    /// The character between the cells of a text table. Default: found in its header (a comma, a semicolon, a tab, `|`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<char>,
    /// The encoding of a text table, by its name on the web: `windows-1252`, `shift_jis`, … Default: UTF-8 or UTF-16 as
    /// its bytes say, else windows-1252, which is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// The sheet of a workbook. Default: the first that has cells; which others have is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// Tar archives whose rows are shuffled together: so many, and as many that are read ahead, need be at hand at a
    /// time. 0: the rows of all. Default: 0; 8 where the table is in an object store or on an HTTP server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shuffle_shards: Option<usize>,
    /// What a record that cannot be read does to a training: `refuse` ends it, `skip` counts nothing and is listed in
    /// the run's `skipped.csv`. Default: refuse.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unreadable: Unreadable,
    /// How shards are fetched that are in an object store or on an HTTP server.
    #[serde(default, skip_serializing_if = "is_default")]
    pub remote: RemoteConfig,
}

/// `data.join`: another table, and which of its rows belongs to a row of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinConfig {
    /// The other table; relative to the TOML.
    pub table: PathBuf,
    /// Columns whose cells are equal in both.
    #[serde(default, skip_serializing_if = "JoinColumns::is_empty")]
    pub on: JoinColumns,
    /// A column of dates, times or numbers in both: of several rows the latest that is not later than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<JoinColumns>,
    /// The sheet of a workbook. Default: the first that has cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
}

/// Columns by which tables are joined: of one name in both, or of a name in each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "the name of a column, a list of names, or names with those in the other table: `{ plot = \"parcel\" }`"
)]
pub enum JoinColumns {
    /// One column that is so called in both.
    Same(String),
    /// Several, each so called in both.
    Several(Vec<String>),
    /// Columns of this table, with those of the other.
    Pairs(BTreeMap<String, String>),
}

impl Default for JoinColumns {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl JoinColumns {
    /// Each name in this table, and in the other.
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Same(name) => vec![(name, name)],
            Self::Several(names) => names.iter().map(|name| (&**name, &**name)).collect(),
            Self::Pairs(names) => names.iter().map(|(a, b)| (&**a, &**b)).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.pairs().is_empty()
    }
}

// Not by [`one_or_several`], so that a mistake within a table is told.
fn joins<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<JoinConfig>, D::Error> {
    let value = toml::Value::deserialize(deserializer)?;
    let several = match value {
        toml::Value::Array(several) => several,
        one => vec![one],
    };
    let one = |value| JoinConfig::deserialize(value).map_err(serde::de::Error::custom);
    several.into_iter().map(one).collect()
}

impl DataConfig {
    /// The files that it names, without the folders they are in: a folder may be moved, or named from elsewhere.
    pub fn without_folders(&mut self) {
        let joined = self.join.iter_mut().map(|join| &mut join.table);
        for table in std::iter::once(&mut self.table).chain(joined) {
            *table = table.file_name().map_or_else(Default::default, Into::into);
        }
    }

    /// How the table's file is written, as far as it is said.
    pub fn source_format(&self) -> SourceFormat {
        SourceFormat {
            separator: self.separator,
            encoding: self.encoding.clone(),
            sheet: self.sheet.clone(),
        }
    }

    /// What is said of the files of other tables, which have the same sheet as this one, if any, but may be written in
    /// another way.
    pub fn format_of_others(&self) -> SourceFormat {
        SourceFormat {
            sheet: self.sheet.clone(),
            ..SourceFormat::default()
        }
    }

    /// How many shards are shuffled together, 0: all rows.
    pub fn shuffle_shards(&self) -> usize {
        let default = if is_remote(&self.table) { 8 } else { 0 };
        self.shuffle_shards.unwrap_or(default)
    }
}

/// What a record that cannot be read does to a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unreadable {
    /// It ends it.
    #[default]
    Refuse,
    /// It keeps its place, counts nothing, and is listed; too many end it.
    Skip,
}

fn default_image() -> ImageColumns {
    "file_name".into()
}

fn one() -> usize {
    1
}

/// The usual spellings of "missing".
pub(crate) fn default_missing() -> Vec<String> {
    ["NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None"]
        .map(String::from)
        .to_vec()
}

/// `split = { valid = 0.2, seed = 0, stratify = true }` or `{ column = "split" }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// Share of rows for validation, in (0, 1). Default: 0.2.
    pub valid: f64,
    /// Seed of the division. Default: 0.
    pub seed: u64,
    /// Keep the classes' shares (or the value's quantiles) equal in both parts. Default: true.
    pub stratify: bool,
    /// A column that says it: `train`/`training`, `valid`/`validation`/`val`/`dev`, `test`; true or false, where its name
    /// says of what (`is_valid`, `is_train`, `is_test`); or anything, with `valid_where` or `test_where`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Values of `column` (or of `data.fold`) in validation rows: `[4]`. All others, but those of `test_where`, train.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    #[schemars(with = "Vec<Name>")]
    pub valid_where: Vec<String>,
    /// Values of `column` in test rows, which are set aside: `[2]`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    #[schemars(with = "Vec<Name>")]
    pub test_where: Vec<String>,
    /// Train a model for each of so many folds, on all rows but the fold's, and join them as one model whose prediction is
    /// the mean of theirs; scores are of each row by the model that has not learned from it. 0: one model. Default: 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub folds: usize,
    /// Train only the model of this fold, from 1: its rows are the validation rows. 0: all of them. Default: 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub fold: usize,
}

/// Whether a number need not be written down.
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl SplitConfig {
    /// Whether a model is trained for each fold and the models are joined.
    pub fn joins_folds(&self) -> bool {
        self.folds > 0 && self.fold == 0
    }
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self {
            valid: 0.2,
            seed: 0,
            stratify: true,
            column: None,
            valid_where: Vec::new(),
            test_where: Vec::new(),
            folds: 0,
            fold: 0,
        }
    }
}

/// A name, where a number or a truth value may be written as such.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Name {
    /// As text.
    Text(String),
    /// As a whole number.
    Whole(i64),
    /// As a number.
    Number(f64),
    /// As a truth value.
    Truth(bool),
}

/// Names, where numbers and truth values may be written as such: `[4, "b", true]`.
fn names<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<Name>::deserialize(deserializer)?;
    let text = |name| match name {
        Name::Text(text) => text,
        Name::Whole(number) => number.to_string(),
        Name::Number(number) => number.to_string(),
        Name::Truth(truth) => truth.to_string(),
    };
    Ok(names.into_iter().map(text).collect())
}

/// `[target]`: what is predicted, and from which columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// Which of the four tasks.
    pub kind: TargetKind,
    /// One column (`class`, `regression`; `multilabel`: one cell lists them, separated by `;` or `|`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Several columns (`keypoints`: x0, y0, x1, y1, …; `multilabel`: one boolean each; `regression`: several numbers).
    /// A range stands for all its columns: `["x0..y188"]`; [`Config::read`] writes it out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// `regression`: the scale that it is learned on. Metrics are in the target's own unit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scale: TargetScale,
    /// Cells of the target's columns that mean "missing", beside those of `data.missing`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "names"
    )]
    #[schemars(with = "Vec<Name>")]
    pub missing: Vec<String>,
    /// As `data.decimal`, of the target alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<Decimal>,
    /// What stands beside each number: `kg`, `%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// `keypoints`: the picture that points were made on, where EXIF turns it: as `stored`, or `upright`, as browsers and
    /// labelling tools show it. Default: stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// `keypoints`: a column for each point that says whether it can be seen: 0 not there, 1 hidden, 2 visible, as in COCO;
    /// or false and true. A point without coordinates is not there in any case. Default: those with coordinates are visible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub visibility: Vec<String>,
    /// `keypoints`: what each point is called. Default: its number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// `keypoints`: pairs of point numbers between which pictures draw a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skeleton: Vec<[usize; 2]>,
    /// `keypoints`: pairs of point numbers that swap under a horizontal flip.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symmetric: Vec<[usize; 2]>,
    /// `keypoints`: millimetres a pixel of the image as stored is wide and high, for scores in millimetres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Spacing>,
    /// `keypoints`: how far annotators are apart, as a share of an object's size, for COCO's object keypoint similarity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigmas: Option<Sigmas>,
    /// `keypoints`: the column with the area of the object in pixels², for that similarity. Default: the box around the true
    /// points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
    /// `keypoints`: what errors are divided by for `mean_nme` and PCK. Default: the image's diagonal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalizer: Option<Normalizer>,
}

impl TargetConfig {
    /// All columns that annotators filled in: the target's, those of visibility, that of the area.
    pub fn all_columns(&self) -> Vec<String> {
        let beside = expand_ranges(&self.visibility).into_iter();
        let names = self.names().into_iter();
        names.chain(beside).chain(self.area.clone()).collect()
    }

    /// The target's columns, however they were named; ranges (`x0..y188`) written out.
    pub fn names(&self) -> Vec<String> {
        self.column
            .iter()
            .cloned()
            .chain(expand_ranges(&self.columns))
            .collect()
    }
}

/// The picture that points were made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Frame {
    /// The pixels as they are stored in the file.
    Stored,
    /// The picture turned as EXIF says, as it is seen.
    Upright,
}

/// The scale a number is learned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetScale {
    /// As it is, standardised over training rows.
    #[default]
    Linear,
    /// Its logarithm, standardised over training rows; all values must be above 0.
    Log,
}

/// Millimetres that a pixel is wide and high.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Spacing {
    /// Of all images: both.
    Same(f64),
    /// Of all images: across and down.
    Each([f64; 2]),
    /// The column of both.
    Column(String),
    /// The columns of those across and down.
    Columns([String; 2]),
}

impl Spacing {
    /// The columns that it is read from; none of numbers.
    pub fn columns(&self) -> &[String] {
        match self {
            Self::Same(_) | Self::Each(_) => &[],
            Self::Column(column) => std::slice::from_ref(column),
            Self::Columns(columns) => columns,
        }
    }
}

/// How far annotators are apart: σ of each point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Sigmas {
    /// `"coco"`: those of its seventeen points of a person.
    Named(NamedSigmas),
    /// Of all points the same.
    Same(f64),
    /// Of each.
    Each(Vec<f64>),
}

/// Sigmas that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NamedSigmas {
    /// <https://cocodataset.org/#keypoints-eval>, as pycocotools has them.
    Coco,
}

/// σ of nose, eyes, ears, shoulders, elbows, wrists, hips, knees and ankles: pycocotools' `Params.kpt_oks_sigmas`.
const COCO_SIGMAS: [f64; 17] = [
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
    0.087, 0.087, 0.089, 0.089,
];

impl Sigmas {
    /// One a point.
    pub fn of_points(&self, n_points: usize) -> Vec<f64> {
        match self {
            Self::Named(NamedSigmas::Coco) => COCO_SIGMAS.to_vec(),
            Self::Same(sigma) => vec![*sigma; n_points],
            Self::Each(sigmas) => sigmas.clone(),
        }
    }
}

/// What an error in pixels is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalizer {
    /// `"diagonal"`: the image's diagonal.
    Diagonal,
    /// `{ between = [0, 1] }`: the true distance between two points (pupils, say).
    Between([usize; 2]),
    /// `"box"`: √(width · height) of the box around the true points.
    Box,
}

/// One line of `[metadata]`: `"boolean"` or `{ kind = "continuous", scale = "log" }`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum MetadataEntry {
    /// Only the kind.
    Kind(MetadataKind),
    /// The kind and more.
    Full(MetadataConfig),
}

impl MetadataEntry {
    /// The entry written out.
    pub fn full(&self) -> MetadataConfig {
        match self {
            Self::Kind(kind) => MetadataConfig::new(*kind),
            Self::Full(config) => config.clone(),
        }
    }
}

// By hand, because the derived one answers every mistake with "did not match any variant".
impl<'de> Deserialize<'de> for MetadataEntry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;
        impl<'de> serde::de::Visitor<'de> for Entry {
            type Value = MetadataEntry;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a kind (`\"continuous\"`) or a table (`{ kind = \"continuous\", scale = \"log\" }`)")
            }
            fn visit_str<E: serde::de::Error>(self, kind: &str) -> Result<Self::Value, E> {
                MetadataKind::deserialize(serde::de::value::StrDeserializer::new(kind))
                    .map(MetadataEntry::Kind)
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Self::Value, A::Error> {
                MetadataConfig::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(MetadataEntry::Full)
            }
        }
        deserializer.deserialize_any(Entry)
    }
}

/// One metadata column in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetadataConfig {
    /// What it holds.
    pub kind: MetadataKind,
    /// `continuous`: how the number is scaled.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scale: NumberScale,
    /// `continuous`, `scale = "periodic"`: the period in the column's unit (360 for degrees).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<f64>,
    /// `categorical`: one-hot or a learned embedding. Default: by the number of categories.
    #[serde(default, skip_serializing_if = "is_default")]
    pub encoding: CategoryEncoding,
    /// Cells of this column that mean "missing", beside those of `data.missing`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "names"
    )]
    #[schemars(with = "Vec<Name>")]
    pub missing: Vec<String>,
    /// `continuous`: as `data.decimal`, of this column alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<Decimal>,
    /// `continuous`: what stands beside each number: `cm`, `$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// `datetime`: as `data.date_order`, of this column alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_order: Option<DateOrder>,
    /// `categorical`: values that swap when the image is flipped: `[["left", "right"]]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flip: Vec<[String; 2]>,
    /// The column that the value is taken from, where it is not the column of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// A regular expression over `from`; the first capture group is the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

impl MetadataConfig {
    /// A column of this kind, all else by default.
    pub fn new(kind: MetadataKind) -> Self {
        Self {
            kind,
            scale: NumberScale::default(),
            period: None,
            encoding: CategoryEncoding::default(),
            missing: Vec::new(),
            decimal: None,
            unit: None,
            date_order: None,
            flip: Vec::new(),
            from: None,
            pattern: None,
        }
    }
}

/// How a metadata number is scaled before it is standardised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NumberScale {
    /// As it is.
    #[default]
    Linear,
    /// Sign-preserving logarithm, `sign(x) ln(1 + |x|/s)` with `s` from training rows.
    Log,
    /// Its normal score among training rows.
    Quantile,
    /// Sine and cosine over `period`.
    Periodic,
}

/// How a category becomes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CategoryEncoding {
    /// One-hot up to 16 categories, an embedding above.
    #[default]
    Auto,
    /// One column of 0/1 per category.
    OneHot,
    /// A learned vector per category.
    Embedding,
}

/// Candidates of an object, where nothing else is said.
const CANDIDATES: usize = 4;

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_usual_candidates(n: &usize) -> bool {
    *n == CANDIDATES
}

/// How points are read from the image.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum HeadKind {
    /// `heatmap` where a backbone that ends in a map learns from at least 500 training rows, else `direct`.
    #[default]
    Auto,
    /// Coordinates from linear layers, as fastai does.
    Direct,
    /// A heatmap per point; the point is where its mass lies, finer than a pixel.
    Heatmap,
    /// Several heatmaps per point, each a candidate for where the object lies; the metadata and what is seen there choose
    /// one.
    Candidates,
}

/// How the features of several images of a row become those of the row, images that are missing left out.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumIter,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ImagePooling {
    /// Their mean.
    #[default]
    Mean,
    /// The largest of each feature, as in Su et al. 2015, "Multi-view convolutional neural networks", arXiv:1505.00880.
    Max,
    /// Their mean with learned weights.
    Attention,
    /// Side by side, in the order of `data.image`; zeros where one is missing.
    Concat,
}

/// `[model]`: backbone, weights, fusion and head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Name of a backbone (`sidelight backbones` lists them). Default: `small_cnn`.
    pub backbone: String,
    /// `.pth` or `.safetensors`, or the folder of a run, relative to the TOML; `org/name` or `org/name@revision` on the Hugging Face hub;
    /// `auto`: the backbone's own there (`sidelight backbones`); `none`: from scratch. Default: `none`; `sidelight init` writes `auto`.
    pub weights: String,
    /// The file of the weights that `org/name` names, once they are fetched; it is written nowhere.
    #[serde(skip)]
    pub fetched: Option<PathBuf>,
    /// How metadata joins the image. Default: `stacked`.
    pub fusion: String,
    /// Which inputs the model reads. Default: both.
    pub arm: Arm,
    /// Dropout before the head's last layer, in [0, 1). Default: 0.5.
    pub dropout: f64,
    /// Width of the head's hidden layer; 0: none. Default: 256.
    pub hidden: usize,
    /// Share of training rows whose image `concat` leaves out, so that the metadata learns to stand alone, in [0, 1).
    /// Above 0, a row without an image is predicted as well. Default: 0.
    #[serde(skip_serializing_if = "is_default")]
    pub drop_image: f64,
    /// Weight of a loss of each branch's own, beside that of both, so that neither branch leaves the work to the other.
    /// `arm = "both"`, `concat` and `sum-logits` only. Default: 0, none.
    #[serde(skip_serializing_if = "is_default")]
    pub auxiliary: f64,
    /// How points are read from the image. Default: `auto`, which of `heatmap` and `direct` was better as measured.
    #[serde(skip_serializing_if = "is_default")]
    pub head: HeadKind,
    /// How many candidates `head = "candidates"` has. Default: 4.
    #[serde(skip_serializing_if = "is_usual_candidates")]
    pub candidates: usize,
    /// How the features of several images of a row become those of the row. Default: `mean`.
    #[serde(skip_serializing_if = "is_default")]
    pub image_pooling: ImagePooling,
    /// Edits of the network, in order, after the weights were read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<BTreeMap<String, serde_json::Value>>")]
    pub edit: Vec<toml::Table>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            backbone: "small_cnn".into(),
            weights: NONE.into(),
            fetched: None,
            fusion: "stacked".into(),
            arm: Arm::Both,
            dropout: 0.5,
            hidden: 256,
            drop_image: 0.0,
            auxiliary: 0.0,
            head: HeadKind::default(),
            candidates: CANDIDATES,
            image_pooling: ImagePooling::default(),
            edit: Vec::new(),
        }
    }
}

impl ModelConfig {
    /// How many candidates its points have; 0: none.
    pub fn n_candidates(&self) -> usize {
        match self.head {
            HeadKind::Candidates => self.candidates,
            HeadKind::Auto | HeadKind::Direct | HeadKind::Heatmap => 0,
        }
    }
}

/// Which inputs a model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// The image alone.
    Image,
    /// The metadata alone.
    Metadata,
    /// Both, joined in the network.
    #[default]
    Both,
    /// Two independent models, their predictions averaged.
    Vote,
    /// Two independent models, their weight learned on held-out rows.
    WeightedVote,
}

/// `[train]`: epochs, batches, optimiser, loss and what is random.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training rows with the whole network training. Default: 10.
    pub epochs: usize,
    /// Passes before that with the pretrained part frozen (`fine_tune`), over features that are computed once.
    /// Default: as many as make 300 steps, at least 1; 0 where nothing is pretrained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze_epochs: Option<usize>,
    /// true: the pretrained part stays frozen throughout. Default: false.
    pub freeze: bool,
    /// How the pretrained part thaws after that: `all` at once, or `gradual`, block by block from the last to the first,
    /// one an epoch or more, so that all have thawed by half of the epochs. Default: all.
    #[serde(skip_serializing_if = "is_default")]
    pub unfreeze: Unfreeze,
    /// Side of the network's input, in pixels. Default: 128.
    pub size: usize,
    /// How an image is fitted to it. Default: squish.
    pub resize: ResizeMethod,
    /// Rows per batch; under `mpirun`, of every rank. Default: 32.
    pub batch: usize,
    /// Batches per step of the optimiser: `batch = 8` with `accumulate = 4` learns what `batch = 32` does in a quarter of
    /// the memory, but for normalisations over the batch, which see 8 rows. Default: 1.
    #[serde(skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// Peak learning rate of the one-cycle schedule. Default: 2e-3.
    pub learning_rate: f64,
    /// Under `mpirun`, where a step has the batches of every rank: what that does to the rates. `none`: nothing; `sqrt`,
    /// `linear`: they are multiplied by the root of the number of ranks, or by the number. Default: none.
    #[serde(skip_serializing_if = "is_default")]
    pub scale_rate: ScaleRate,
    /// Under `mpirun`: normalisations over the batch are by the rows of all ranks together, as if they were one batch.
    /// Otherwise each rank's are by its own `batch` rows. Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub sync_batch_norm: bool,
    /// Decoupled weight decay (not on norms and biases). Default: 0.01.
    pub weight_decay: f64,
    /// Share of the peak rate for the pretrained part's first layers, 1: none smaller. Default: 0.1.
    pub backbone_rate: f64,
    /// End a phase (frozen, everything) after so many of its epochs without a better validation score, and keep the best
    /// epoch; 0: never, and the last epoch is kept, at the end of the schedule. Default: 0.
    pub patience: usize,
    /// Largest norm of the whole gradient; 0: no clipping. Default: 1.
    pub clip: f64,
    /// Decay of a moving average of the network, in [0, 1): it is the average that is scored, kept and saved. 0.999 looks
    /// back about a thousand steps. 0: none. Default: 0.
    #[serde(skip_serializing_if = "is_default")]
    pub ema: f64,
    /// `ema`: look back less in the first steps, so that a short training is not held where it began. Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub ema_warmup: bool,
    /// Loss, by name; empty: the task's default.
    pub loss: String,
    /// `head = "heatmap"`: what the shape of a heatmap counts beside the place that it says: its Kullback–Leibler divergence
    /// from a Gaussian of one of its pixels around the point. 0: nothing. Default: 1.
    #[serde(skip_serializing_if = "is_default_heatmap_loss")]
    pub heatmap_loss: f64,
    /// Weigh classes by inverse frequency. Default: false.
    pub class_weights: bool,
    /// Which rows an epoch is made of: `even`, every one once; `balanced`, as many, drawn with replacement so that all
    /// classes come equally often (kind `class` alone). Default: even.
    #[serde(skip_serializing_if = "is_default")]
    pub sampling: Sampling,
    /// Rows are blended in pairs: α of the Beta(α, α) that their shares come from; 0.2 to 0.4 is usual (kinds `class` and
    /// `multilabel` alone). Dense metadata is blended like the image; embedded columns are those of the row with the larger
    /// share. 0: no blending. Default: 0.
    #[serde(skip_serializing_if = "is_default")]
    pub mixup: f64,
    /// Everything random in training comes from it. Default: 0.
    pub seed: u64,
    /// `f32` or `bf16`. Default: f32.
    pub precision: String,
    /// Threads that read images; 0: as many as cores. The result does not depend on it. Default: 0.
    pub workers: usize,
    /// Steps between checkpoints that a killed run resumes from; 0: at the end of each epoch. Default: 0.
    pub checkpoint_steps: usize,
    /// MiB that may hold what was made of images for later epochs: two thirds features of frozen layers, one third
    /// decoded images. What would not fit is made anew in each epoch. The result does not depend on it. Default: 3072.
    #[serde(skip_serializing_if = "is_default_memory")]
    pub memory: usize,
    /// Where else steps and epochs are written while training runs: `["tensorboard", "mlflow"]`, one of them, or none; in the
    /// run's folder, as files that those programs read. The result does not depend on it. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "trackers")]
    #[schemars(schema_with = "schema::one_or_several::<Tracker>")]
    pub log: Vec<Tracker>,
}

/// A program that shows how training went, by its own files.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
#[serde(rename_all = "lowercase")]
pub enum Tracker {
    /// TensorBoard: event files in `RUN/tensorboard`.
    #[strum(serialize = "TensorBoard")]
    Tensorboard,
    /// MLflow: a file store in `RUN/mlruns`.
    #[strum(serialize = "MLflow")]
    Mlflow,
}

fn trackers<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Tracker>, D::Error> {
    let expected = "`tensorboard` or `mlflow`, or a list of them: `[\"tensorboard\", \"mlflow\"]`";
    one_or_several(deserializer, expected)
}

/// Reads one of these, or a list of them; the answer to anything else is what is `expected`.
pub(crate) fn one_or_several<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
    expected: &str,
) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written<T> {
        One(T),
        Several(Vec<T>),
    }
    match Written::deserialize(deserializer) {
        Ok(Written::One(one)) => Ok(vec![one]),
        Ok(Written::Several(several)) => Ok(several),
        Err(_) => Err(serde::de::Error::custom(expected)),
    }
}

/// [`TrainConfig::memory`] where nothing is said.
const MEMORY: usize = 3072;

/// [`TrainConfig::heatmap_loss`] where nothing is said: what was best on inner splits (`bench/points_recipe.py`).
const HEATMAP_LOSS: f64 = 1.0;

fn is_default_heatmap_loss(weight: &f64) -> bool {
    *weight == HEATMAP_LOSS
}

fn is_default_memory(mebibytes: &usize) -> bool {
    *mebibytes == MEMORY
}

impl TrainConfig {
    /// Whether the best epoch is kept instead of the last.
    pub fn restores_best(&self) -> bool {
        self.patience > 0
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            freeze_epochs: None,
            freeze: false,
            unfreeze: Unfreeze::All,
            size: 128,
            resize: ResizeMethod::Squish,
            batch: 32,
            accumulate: 1,
            learning_rate: 2e-3,
            scale_rate: ScaleRate::None,
            sync_batch_norm: false,
            weight_decay: 0.01,
            backbone_rate: 0.1,
            patience: 0,
            clip: 1.0,
            ema: 0.0,
            ema_warmup: false,
            loss: String::new(),
            heatmap_loss: HEATMAP_LOSS,
            class_weights: false,
            sampling: Sampling::Even,
            mixup: 0.0,
            seed: 0,
            precision: "f32".into(),
            workers: 0,
            checkpoint_steps: 0,
            memory: MEMORY,
            log: Vec::new(),
        }
    }
}

/// What several ranks do to the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScaleRate {
    /// Nothing: it is the one that was asked for.
    #[default]
    None,
    /// It is multiplied by the root of their number: as much noise in a step of Adam as before.
    ///
    /// # Source
    ///
    /// Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997, section 5;
    /// of Adam: Malladi et al. 2022, "On the SDEs and scaling rules for adaptive gradient algorithms", arXiv:2205.10287.
    Sqrt,
    /// It is multiplied by their number: a step goes as far as theirs would have gone one after the other.
    ///
    /// # Source
    ///
    /// Goyal et al. 2017, "Accurate, large minibatch SGD", arXiv:1706.02677, section 2.1; of SGD.
    Linear,
}

impl ScaleRate {
    /// What rates are multiplied by, of so many ranks.
    pub fn factor(self, n_ranks: usize) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Sqrt => (n_ranks as f64).sqrt(),
            Self::Linear => n_ranks as f64,
        }
    }
}

/// How the pretrained part thaws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unfreeze {
    /// All of it at once.
    #[default]
    All,
    /// Block by block, from the last to the first.
    Gradual,
}

/// Which rows an epoch is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sampling {
    /// Every row once.
    #[default]
    Even,
    /// As many rows, drawn with replacement, every class as likely as the next.
    Balanced,
}

/// How an image is fitted to a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResizeMethod {
    /// Both sides scaled to fit, aspect ratio not kept.
    #[default]
    Squish,
    /// The shorter side fits, the rest is cut (at the centre; at random in training).
    Crop,
    /// The longer side fits, the rest is filled with the mean colour.
    Pad,
}

/// `[augment]`: random changes to training images; points move with them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Mirror left and right half of the time. Default: false for points, true otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flip: Option<bool>,
    /// Largest rotation, degrees. Default: 10.
    pub rotate: f64,
    /// Largest change of scale, fraction. Default: 0.1.
    pub zoom: f64,
    /// Largest shift, fraction of the side. Default: 0.05.
    pub shift: f64,
    /// Largest change of brightness and contrast, fraction. Default: 0.2.
    pub light: f64,
    /// Share of images that are changed at all besides the flip. Default: 0.75.
    pub probability: f64,
    /// `arm = "both"`: share of rows whose whole metadata is hidden, as if missing. Default: 0.5 for points, whose
    /// places are in the image, so that it is not the metadata that is learned by heart; 0 otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hide_metadata: Option<f64>,
    /// `arm = "both"`: share of cells that are hidden, column by column. Default: 0.
    pub hide_column: f64,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            flip: None,
            rotate: 10.0,
            zoom: 0.1,
            shift: 0.05,
            light: 0.2,
            probability: 0.75,
            hide_metadata: None,
            hide_column: 0.0,
        }
    }
}

fn is_one(n: &usize) -> bool {
    *n == 1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Config {
    /// How the numbers and dates of a metadata column are written.
    pub fn spelling<'a>(&'a self, column: &'a MetadataConfig) -> Spelling<'a> {
        Spelling {
            decimal: column.decimal.or(self.data.decimal),
            unit: column.unit.as_deref(),
            date_order: column.date_order.or(self.data.date_order),
        }
    }

    /// How the numbers and dates of columns are written of which nothing more is said.
    pub fn table_spelling(&self) -> Spelling<'_> {
        Spelling {
            decimal: self.data.decimal,
            unit: None,
            date_order: self.data.date_order,
        }
    }

    /// How the numbers of the target are written.
    pub fn target_spelling(&self) -> Spelling<'_> {
        Spelling {
            decimal: self.target.decimal.or(self.data.decimal),
            unit: self.target.unit.as_deref(),
            date_order: None,
        }
    }

    /// The metadata columns written out in full, as the encoder wants them.
    pub fn metadata_configs(&self) -> BTreeMap<String, MetadataConfig> {
        self.metadata
            .iter()
            .map(|(name, entry)| (name.clone(), entry.full()))
            .collect()
    }
}
