//! One row of metadata as numbers: fitted on training rows, stored in the model.
//!
//! | kind | dense slots | missing |
//! |---|---|---|
//! | boolean | −1 or +1, *is known* | 0, 0 |
//! | continuous | the number ([`number::Number`]; sine and cosine on a periodic scale), *is known* | 0, 0 |
//! | categorical, one-hot | one per category, *is missing*, *is unknown* | the *missing* slot |
//! | categorical, embedding | none; a code: 0 missing, 1 unknown, then the categories | 0 |
//! | datetime | sine and cosine of time of day, of week, of year; trend; *is known* | all 0 |
//!
//! The *is known* flag is 1 or 0 and stands beside every number, whether or not training had gaps.
//! A value that is missing is the average one (0 after standardising) with the flag down.
//! A column without a single value in training stays missing whatever comes later: nothing was
//! learned that a value could mean.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{MetadataConfig, MetadataKind};
use crate::dataset::{Metadata, MetadataColumn, MetadataValues};
use crate::error::{Error, Result};
use crate::number::counted;

pub mod category;
pub mod datetime;
pub mod number;

pub use category::MISSING;
use category::{Category, CategoryForm, UNKNOWN};
use datetime::Datetime;
use number::Number;

/// A fitted encoder. Rows become a dense vector of fixed width (`d_dense`: booleans, one-hot slots,
/// standardised numbers, validity flags, cyclic parts) and one code per embedded category.
///
/// # Example
///
/// ```
/// use std::collections::BTreeMap;
/// use sidelight_data::dataset::{Metadata, MetadataColumn, MetadataValues};
/// use sidelight_data::encode::Encoder;
///
/// let area = MetadataValues::Continuous(vec![Some(80.0), Some(120.0), None]);
/// let columns = vec![MetadataColumn { name: "area".into(), values: area }];
/// let metadata = Metadata { columns, n_rows: 3 };
/// let encoder = Encoder::fit(&metadata, &BTreeMap::new(), &[0, 1, 2])?;
/// let (encoded, _unseen) = encoder.encode(&metadata)?;
/// assert_eq!(encoder.slots(), ["area", "area is known"]);
/// assert_eq!(encoded.dense, [-1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
/// assert_eq!(encoder.decode(&encoded.dense[..2], &[]), [("area".into(), Some("80".into()))]);
/// # Ok::<(), sidelight_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    /// The columns, in order.
    pub columns: Vec<EncodedColumn>,
}

/// How one column is encoded, with what was fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodedColumn {
    /// Name of the column.
    pub name: String,
    /// What the person (or inference) said of it.
    pub config: MetadataConfig,
    /// Training rows where it has a value.
    pub known: usize,
    /// Training rows where it is missing.
    pub missing: usize,
    /// Smallest and largest value of a number or a time (seconds since 1970) in training rows; `None` for other kinds,
    /// and for a model of a version that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// What was learned from the training rows that have a value.
    pub fitted: Fitted,
    /// The same column as each member of an ensemble was given it, fitted on that member's own training rows: their slots and
    /// codes follow its own. Empty of a model that is no ensemble.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Self>,
}

/// The fitted state of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Fitted {
    /// Nothing to fit: false is −1, true +1.
    Boolean,
    /// A number's scale.
    Number(Number),
    /// The categories seen in training, and how they become numbers.
    Category(Category),
    /// A moment's trend, and its cycles (time of day, weekday, season).
    Datetime(Datetime),
}

/// Rows as numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EncodedMetadata {
    /// Number of rows.
    pub n_rows: usize,
    /// Width of the dense part.
    pub d_dense: usize,
    /// The dense features, `[row][d_dense]`.
    pub dense: Vec<f32>,
    /// Number of embedded columns.
    pub n_embedded: usize,
    /// `[row][n_embedded]`, each below its embedding's size.
    pub codes: Vec<u32>,
}

impl EncodedMetadata {
    /// The dense part of a row.
    pub fn dense_row(&self, row: usize) -> &[f32] {
        &self.dense[row * self.d_dense..(row + 1) * self.d_dense]
    }
    /// The codes of a row.
    pub fn codes_row(&self, row: usize) -> &[u32] {
        &self.codes[row * self.n_embedded..(row + 1) * self.n_embedded]
    }
    /// Both parts of a row, to change in place.
    pub fn row_mut(&mut self, row: usize) -> (&mut [f32], &mut [u32]) {
        (
            &mut self.dense[row * self.d_dense..(row + 1) * self.d_dense],
            &mut self.codes[row * self.n_embedded..(row + 1) * self.n_embedded],
        )
    }
}

/// An embedding that the network must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Embedding {
    /// Name of the metadata column.
    pub column: String,
    /// Number of codes: categories, the *missing* slot and the *unknown* slot.
    pub n_codes: usize,
    /// Width of a vector: min(600, round(1.6 · n^0.56)), fastai's rule.
    pub width: usize,
}

/// What an encoding met that training had not: counted and said, never an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unseen {
    /// Per column: categories that training saw in one row at most, and in how many rows they are now.
    pub categories: BTreeMap<String, BTreeMap<String, usize>>,
    /// Per column without a gap in training: missing values now.
    pub new_gaps: BTreeMap<String, usize>,
    /// Per column without a value in training: values now, all of them taken as missing.
    #[serde(default)]
    pub new_values: BTreeMap<String, usize>,
}

impl Unseen {
    /// Whether nothing was new.
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty() && self.new_gaps.is_empty() && self.new_values.is_empty()
    }

    /// Adds what other rows met. At most a thousand categories of a column are told apart: beyond that they are counted
    /// under `…`, so that a column of free text does not fill the memory.
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::encode::Unseen;
    /// let gaps = |n| Unseen { new_gaps: [("area".to_string(), n)].into(), ..Unseen::default() };
    /// let mut all = gaps(3);
    /// all.absorb(gaps(2));
    /// assert_eq!(all, gaps(5));
    /// ```
    pub fn absorb(&mut self, other: Self) {
        const MOST: usize = 1000;
        for (column, names) in other.categories {
            let all = self.categories.entry(column).or_default();
            for (name, n) in names {
                let is_known = all.contains_key(&name);
                let name = if is_known || all.len() < MOST {
                    name
                } else {
                    "…".into()
                };
                *all.entry(name).or_default() += n;
            }
        }
        for (column, n) in other.new_gaps {
            *self.new_gaps.entry(column).or_default() += n;
        }
        for (column, n) in other.new_values {
            *self.new_values.entry(column).or_default() += n;
        }
    }

    /// One sentence per column that met something new.
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::encode::Unseen;
    /// let unseen = Unseen { new_gaps: [("area".to_string(), 3)].into(), ..Unseen::default() };
    /// assert_eq!(unseen.sentences(), ["`area` is missing in 3 rows, in none of the training rows"]);
    /// ```
    pub fn sentences(&self) -> Vec<String> {
        let categories = self.categories.iter().map(|(column, names)| {
            let total: usize = names.values().sum();
            let mut listed: Vec<(&String, &usize)> = names.iter().collect();
            listed.sort_by(|a, b| b.1.cmp(a.1));
            let examples: Vec<String> = listed
                .iter()
                .take(5)
                .map(|(name, n)| format!("{name} ({n})"))
                .collect();
            let more = if listed.len() > 5 { ", …" } else { "" };
            format!(
                "`{column}` has {} that training saw in one row at most, in {}: {}{more}",
                counted(names.len(), "category"),
                counted(total, "row"),
                examples.join(", ")
            )
        });
        let gaps = self.new_gaps.iter().map(|(column, n)| {
            format!(
                "`{column}` is missing in {}, in none of the training rows",
                counted(*n, "row")
            )
        });
        let values = self.new_values.iter().map(|(column, n)| {
            format!(
                "`{column}` has a value in {} but had none in training: taken as missing",
                counted(*n, "row")
            )
        });
        categories.chain(gaps).chain(values).collect()
    }
}

/// What an encoded cell says.
#[derive(Debug, Clone, PartialEq)]
pub enum DecodedValue {
    /// The value is missing.
    Missing,
    /// A category without a place of its own.
    Unknown,
    /// The value of a boolean column.
    Boolean(bool),
    /// A number in the column's unit.
    Number(f64),
    /// The name of the category.
    Category(String),
    /// A date, a time or both.
    Datetime {
        /// Seconds since 1970-01-01T00:00:00, without a time zone.
        seconds: f64,
        /// The same moment in ISO 8601.
        text: String,
    },
}

impl fmt::Display for DecodedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("(missing)"),
            Self::Unknown => f.write_str("(unknown)"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Number(x) if *x == 0.0 || (1e-5..1e15).contains(&x.abs()) => write!(f, "{x}"),
            Self::Number(x) => write!(f, "{x:e}"),
            Self::Category(name) => f.write_str(name),
            Self::Datetime { text, .. } => f.write_str(text),
        }
    }
}

/// Where a column is in an encoded row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its dense slots.
    pub dense: Range<usize>,
    /// Its places among the codes: one or none.
    pub codes: Range<usize>,
}

impl Span {
    /// Gives the column in row `at` of `to` what it is in a row of `from`.
    ///
    /// # Panics
    ///
    /// Where a row is not there, or either was encoded by another encoder.
    pub fn copy(&self, from: &EncodedMetadata, row: usize, to: &mut EncodedMetadata, at: usize) {
        let (dense, codes) = to.row_mut(at);
        dense[self.dense.clone()].copy_from_slice(&from.dense_row(row)[self.dense.clone()]);
        codes[self.codes.clone()].copy_from_slice(&from.codes_row(row)[self.codes.clone()]);
    }
}

impl Encoder {
    /// The first column of a stored encoder that contradicts itself, and how: what was fitted must be of its kind, and
    /// pairs that swap must be categories that it has.
    pub fn misfit(&self) -> Option<(&str, &'static str)> {
        let wrong = |column: &EncodedColumn| match &column.fitted {
            fitted if fitted.kind() != column.config.kind => Some("it was fitted as another kind"),
            Fitted::Category(category) => category.misfit(),
            _ => None,
        };
        let n_members = self.columns.first().map_or(0, |first| first.members.len());
        let of_members = |column: &EncodedColumn| {
            let is_same = |member: &EncodedColumn| {
                let is_of_it = member.name == column.name && member.members.is_empty();
                is_of_it && member.config.kind == column.config.kind
            };
            match column.members.len() == n_members && column.members.iter().all(is_same) {
                true => column.members.iter().find_map(wrong),
                false => Some("its members are not those of an ensemble"),
            }
        };
        self.columns.iter().find_map(|column| {
            let why = wrong(column).or_else(|| of_members(column))?;
            Some((&*column.name, why))
        })
    }
}

impl Fitted {
    fn kind(&self) -> MetadataKind {
        match self {
            Self::Boolean => MetadataKind::Boolean,
            Self::Number(_) => MetadataKind::Continuous,
            Self::Category(_) => MetadataKind::Categorical,
            Self::Datetime(_) => MetadataKind::Datetime,
        }
    }
}

impl EncodedColumn {
    fn fit(column: &MetadataColumn, config: MetadataConfig, rows: &[usize]) -> Result<Self> {
        let name = column.name.clone();
        check_kind(&name, config.kind, &column.values)?;
        let mut range = None;
        let (known, fitted) = match &column.values {
            MetadataValues::Boolean(values) => (
                rows.iter().filter(|&&row| values[row].is_some()).count(),
                Fitted::Boolean,
            ),
            MetadataValues::Continuous(values) => {
                let present: Vec<f64> =
                    rows.iter().filter_map(|&row| finite(values[row])).collect();
                range = ends(&present);
                (
                    present.len(),
                    Fitted::Number(Number::fit(&name, &config, &present)?),
                )
            }
            MetadataValues::Datetime(values) => {
                let present: Vec<f64> =
                    rows.iter().filter_map(|&row| finite(values[row])).collect();
                range = ends(&present);
                (present.len(), Fitted::Datetime(Datetime::fit(&present)))
            }
            MetadataValues::Categorical { names, codes } => {
                let mut counts = vec![0; names.len()];
                for code in rows.iter().filter_map(|&row| codes[row]) {
                    counts[code as usize] += 1;
                }
                let occurrences = names.iter().map(String::as_str).zip(counts.iter().copied());
                let category = Category::fit(&name, &config, occurrences)?;
                (counts.iter().sum(), Fitted::Category(category))
            }
        };
        Ok(Self {
            name,
            config,
            known,
            missing: rows.len() - known,
            range,
            fitted,
            members: Vec::new(),
        })
    }

    /// Itself, then its members: each is encoded by itself, side by side.
    pub fn parts(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.members)
    }

    /// Width in the dense part, flags and members included.
    pub fn width(&self) -> usize {
        self.parts().map(Self::own_width).sum()
    }

    /// [`EncodedColumn::width`] without its members.
    fn own_width(&self) -> usize {
        match &self.fitted {
            Fitted::Boolean => 2,
            Fitted::Number(number) => number.width() + 1,
            Fitted::Category(category) => category.width(),
            Fitted::Datetime(_) => datetime::WIDTH + 1,
        }
    }

    /// Where the values of a number or a time usually are: training's range, else two standard deviations about its mean
    /// (on the scale that they are encoded on); `[0, 0]` for other kinds.
    pub fn usual(&self) -> [f64; 2] {
        match (&self.range, &self.fitted) {
            (Some(range), _) => *range,
            (None, Fitted::Number(number)) => number.about_the_mean(2.0),
            (None, Fitted::Datetime(datetime)) => datetime.trend.about_the_mean(2.0),
            (None, Fitted::Boolean | Fitted::Category(_)) => [0.0; 2],
        }
    }

    fn n_embedded(&self) -> usize {
        self.parts().map(Self::own_embedded).sum()
    }

    fn own_embedded(&self) -> usize {
        let embedded = matches!(&self.fitted, Fitted::Category(category) if category.form == CategoryForm::Embedding);
        usize::from(embedded)
    }

    /// Names of its dense slots.
    pub fn slots(&self) -> Vec<String> {
        let of_members = self.members.iter().enumerate().flat_map(|(at, member)| {
            let slots = member.own_slots().into_iter();
            slots.map(move |slot| format!("{slot} (member {})", at + 1))
        });
        self.own_slots().into_iter().chain(of_members).collect()
    }

    fn own_slots(&self) -> Vec<String> {
        let mut slots = match &self.fitted {
            Fitted::Boolean => vec![self.name.clone()],
            Fitted::Number(number) => number.slots(&self.name),
            Fitted::Category(category) => return category.slots(&self.name),
            Fitted::Datetime(_) => Datetime::slots(&self.name),
        };
        slots.push(format!("{} is known", self.name));
        slots
    }

    #[expect(
        clippy::unreachable,
        reason = "its message says why it cannot be reached"
    )]
    fn write(&self, cell: Cell, dense: &mut [f32], codes: &mut [u32]) {
        if let (Fitted::Category(category), Cell::Code(code)) = (&self.fitted, cell) {
            return category.write(code, dense, codes);
        }
        let Some((flag, slots)) = dense.split_last_mut() else {
            return;
        };
        *flag = 1.0;
        match (&self.fitted, cell) {
            (Fitted::Boolean, Cell::Boolean(value)) => slots[0] = if value { 1.0 } else { -1.0 },
            (Fitted::Number(number), Cell::Number(x)) => number.write(x, slots),
            (Fitted::Datetime(datetime), Cell::Number(seconds)) => datetime.write(seconds, slots),
            _ => unreachable!("the kind was checked before any cell was written"),
        }
    }

    fn write_missing(&self, dense: &mut [f32], codes: &mut [u32]) {
        match &self.fitted {
            Fitted::Category(category) => category.write(MISSING, dense, codes),
            _ => dense.fill(0.0),
        }
    }

    fn read(&self, dense: &[f32], codes: &[u32]) -> DecodedValue {
        let (dense, codes) = (&dense[..self.own_width()], &codes[..self.own_embedded()]);
        let Some((flag, values)) = dense.split_last() else {
            return self.read_category(dense, codes);
        };
        match &self.fitted {
            Fitted::Category(_) => self.read_category(dense, codes),
            _ if *flag < 0.5 => DecodedValue::Missing,
            Fitted::Boolean => DecodedValue::Boolean(values[0] > 0.0),
            Fitted::Number(number) => DecodedValue::Number(number.read(values)),
            Fitted::Datetime(datetime) => {
                let seconds = datetime.read(values);
                DecodedValue::Datetime {
                    seconds,
                    text: datetime.text(seconds),
                }
            }
        }
    }

    fn read_category(&self, dense: &[f32], codes: &[u32]) -> DecodedValue {
        let Fitted::Category(category) = &self.fitted else {
            return DecodedValue::Missing;
        };
        match category.read(dense, codes) {
            MISSING => DecodedValue::Missing,
            UNKNOWN => DecodedValue::Unknown,
            code => category
                .names
                .get((code - category::FIRST) as usize)
                .map_or(DecodedValue::Unknown, |name| {
                    DecodedValue::Category(name.clone())
                }),
        }
    }
}

impl Encoder {
    /// Fits on the rows at these positions (training rows only).
    ///
    /// A column without an entry in `configs` is encoded by the kind of its values, all else by default.
    ///
    /// # Errors
    ///
    /// - [`Error::MissingMetadata`]: `configs` names a column that the metadata lacks.
    /// - [`Error::MetadataKind`]: a column's values are not of the configured kind.
    /// - [`Error::Setting`]: a period that is not above 0; flip pairs that overlap.
    pub fn fit(
        metadata: &Metadata,
        configs: &BTreeMap<String, MetadataConfig>,
        rows: &[usize],
    ) -> Result<Self> {
        let names = metadata.columns.iter().map(|column| &column.name);
        let names: HashSet<&String> = names.collect();
        if let Some(name) = configs.keys().find(|name| !names.contains(name)) {
            find(metadata, name, 0)?;
        }
        let columns = metadata.columns.iter().map(|column| {
            let config = configs.get(&column.name).cloned();
            let config = config.unwrap_or_else(|| MetadataConfig::new(kind_of(&column.values)));
            EncodedColumn::fit(column, config, rows)
        });
        Ok(Self {
            columns: columns.collect::<Result<_>>()?,
        })
    }

    /// Encodes every row.
    ///
    /// # Errors
    ///
    /// [`Error::MissingMetadata`] for a column of the encoder that the metadata lacks,
    /// [`Error::MetadataKind`] for one of another kind. Values never fail.
    pub fn encode(&self, metadata: &Metadata) -> Result<(EncodedMetadata, Unseen)> {
        let (n_rows, d_dense) = (metadata.n_rows, self.d_dense());
        let n_embedded = self.columns.iter().map(EncodedColumn::n_embedded).sum();
        let mut encoded = EncodedMetadata {
            n_rows,
            d_dense,
            dense: vec![0.0; n_rows * d_dense],
            n_embedded,
            codes: vec![MISSING; n_rows * n_embedded],
        };
        let mut unseen = Unseen::default();
        let mut parts = self.parts().into_iter();
        for (nth, column) in self.columns.iter().enumerate() {
            let source = find(metadata, &column.name, nth)?;
            check_kind(&column.name, column.config.kind, &source.values)?;
            for (at, (part, span)) in parts.by_ref().take(1 + column.members.len()).enumerate() {
                // What a member has not seen the others may have.
                let mut of_member = Unseen::default();
                let unseen = match at {
                    0 => &mut unseen,
                    _ => &mut of_member,
                };
                write_column(part, &span, &source.values, &mut encoded, unseen);
            }
        }
        Ok((encoded, unseen))
    }

    /// Width of the dense part.
    pub fn d_dense(&self) -> usize {
        self.columns.iter().map(EncodedColumn::width).sum()
    }

    /// Where each column is in an encoded row.
    pub fn spans(&self) -> Vec<Span> {
        let (mut dense, mut code) = (0, 0);
        let span = |column: &EncodedColumn| {
            let span = Span {
                dense: dense..dense + column.width(),
                codes: code..code + column.n_embedded(),
            };
            (dense, code) = (span.dense.end, span.codes.end);
            span
        };
        self.columns.iter().map(span).collect()
    }

    /// Every column, each followed by its members, and where it is in an encoded row.
    fn parts(&self) -> Vec<(&EncodedColumn, Span)> {
        let (mut dense, mut code) = (0, 0);
        let parts = self.columns.iter().flat_map(EncodedColumn::parts);
        parts
            .map(|part| {
                let span = Span {
                    dense: dense..dense + part.own_width(),
                    codes: code..code + part.own_embedded(),
                };
                (dense, code) = (span.dense.end, span.codes.end);
                (part, span)
            })
            .collect()
    }

    /// This encoder with what each of these makes of a column beside what it makes of it itself: what the members of an
    /// ensemble read. All must have its columns, in its order.
    #[must_use]
    pub fn with_members(mut self, members: &[Self]) -> Self {
        for (at, column) in self.columns.iter_mut().enumerate() {
            let of_column = members.iter().map(|member| member.columns[at].clone());
            column.members = of_column.collect();
        }
        self
    }

    /// Which dense slots and which codes of an encoded row are a member's, in the order of that member's own encoder.
    pub fn places_of_member(&self, member: usize) -> (Vec<usize>, Vec<usize>) {
        let (mut dense, mut codes) = (Vec::new(), Vec::new());
        let mut parts = self.parts().into_iter();
        for column in &self.columns {
            let of_column = parts.by_ref().take(1 + column.members.len());
            if let Some((_, span)) = of_column.collect::<Vec<_>>().get(1 + member) {
                dense.extend(span.dense.clone());
                codes.extend(span.codes.clone());
            }
        }
        (dense, codes)
    }

    /// The embeddings, in the order of the codes.
    ///
    /// # Source
    ///
    /// The width is fastai's `emb_sz_rule`: Howard & Gugger 2020, "fastai: A Layered API for Deep
    /// Learning", Information 11(2):108.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 1.6 · (2⁶⁴)^0.56"
    )]
    pub fn embeddings(&self) -> Vec<Embedding> {
        let embedded = self.embedded().map(|(column, category)| {
            let n_codes = category.n_codes();
            let width = (1.6 * (n_codes as f64).powf(0.56)).round() as usize;
            Embedding {
                column: column.name.clone(),
                n_codes,
                width: width.min(600),
            }
        });
        embedded.collect()
    }

    fn embedded(&self) -> impl Iterator<Item = (&EncodedColumn, &Category)> {
        self.columns
            .iter()
            .flat_map(EncodedColumn::parts)
            .filter_map(|column| match &column.fitted {
                Fitted::Category(category) if category.form == CategoryForm::Embedding => {
                    Some((column, category))
                }
                _ => None,
            })
    }

    /// What an all-missing row looks like.
    pub fn all_missing(&self) -> (Vec<f32>, Vec<u32>) {
        let mut dense = vec![0.0; self.d_dense()];
        let mut codes = vec![MISSING; self.embedded().count()];
        for column_idx in 0..self.columns.len() {
            self.set_missing(column_idx, &mut dense, &mut codes);
        }
        (dense, codes)
    }

    /// Makes one column of an encoded row missing, in place.
    pub fn set_missing(&self, column_idx: usize, dense: &mut [f32], codes: &mut [u32]) {
        let span = &self.spans()[column_idx];
        let (mut dense, mut codes) = (
            &mut dense[span.dense.clone()],
            &mut codes[span.codes.clone()],
        );
        for part in self.columns[column_idx].parts() {
            let (own, others) = dense.split_at_mut(part.own_width());
            let (own_codes, other_codes) = codes.split_at_mut(part.own_embedded());
            part.write_missing(own, own_codes);
            (dense, codes) = (others, other_codes);
        }
    }

    /// Leaves of an encoded row only which columns are missing, in place: every present value
    /// becomes the same one. What still predicts the target from such rows does so by the gaps alone.
    pub fn keep_only_gaps(&self, dense: &mut [f32], codes: &mut [u32]) {
        for (column, span) in self.parts() {
            let (dense, codes) = (&mut dense[span.dense], &mut codes[span.codes]);
            match &column.fitted {
                Fitted::Category(category) => {
                    if category.read(dense, codes) != MISSING {
                        dense.fill(0.0);
                        codes.fill(UNKNOWN);
                    }
                }
                _ => {
                    let flag = dense.len() - 1;
                    dense[..flag].fill(0.0);
                }
            }
        }
    }

    /// The name of each dense slot (`area`, `area is known`, `source = reddit`, …), `d_dense` of them.
    pub fn slots(&self) -> Vec<String> {
        self.columns.iter().flat_map(EncodedColumn::slots).collect()
    }

    /// Swaps the declared laterality of an encoded row in place: called when its image is flipped.
    pub fn flip(&self, dense: &mut [f32], codes: &mut [u32]) {
        let flips = |column: &EncodedColumn| matches!(&column.fitted, Fitted::Category(category) if !category.flip.is_empty());
        if !self
            .columns
            .iter()
            .flat_map(EncodedColumn::parts)
            .any(flips)
        {
            return;
        }
        for (column, span) in self.parts() {
            if let Fitted::Category(category) = &column.fitted {
                category.swap(&mut dense[span.dense], &mut codes[span.codes]);
            }
        }
    }

    /// What was read, from what was encoded: one cell per column.
    ///
    /// Exact but for the precision of an `f32`; a periodic number comes back within its first
    /// period, a category without a place of its own as [`DecodedValue::Unknown`].
    pub fn read(&self, dense: &[f32], codes: &[u32]) -> Vec<(String, DecodedValue)> {
        let cells = self.columns.iter().zip(self.spans());
        cells
            .map(|(column, span)| {
                (
                    column.name.clone(),
                    column.read(&dense[span.dense], &codes[span.codes]),
                )
            })
            .collect()
    }

    /// What was read, from what was encoded: one cell per column as text, `None` where missing,
    /// `(unknown)` for a category without a place of its own.
    pub fn decode(&self, dense: &[f32], codes: &[u32]) -> Vec<(String, Option<String>)> {
        let text =
            |reading: DecodedValue| (reading != DecodedValue::Missing).then(|| reading.to_string());
        self.read(dense, codes)
            .into_iter()
            .map(|(name, reading)| (name, text(reading)))
            .collect()
    }
}

/// A present value, ready to be written.
#[derive(Debug, Clone, Copy)]
enum Cell {
    Boolean(bool),
    Number(f64),
    Code(u32),
}

/// Writes a column of every row and counts what training had not seen.
fn write_column(
    column: &EncodedColumn,
    span: &Span,
    values: &MetadataValues,
    encoded: &mut EncodedMetadata,
    unseen: &mut Unseen,
) {
    let (mut gaps, mut present) = (0, 0);
    for (row, cell) in cells(&column.fitted, values).enumerate() {
        let (dense, codes) = encoded.row_mut(row);
        let (dense, codes) = (
            &mut dense[span.dense.clone()],
            &mut codes[span.codes.clone()],
        );
        match cell {
            Some(cell) if column.known > 0 => column.write(cell, dense, codes),
            _ => column.write_missing(dense, codes),
        }
        if cell.is_some() {
            present += 1
        } else {
            gaps += 1
        }
    }
    if column.known == 0 && present > 0 {
        unseen.new_values.insert(column.name.clone(), present);
    }
    if column.missing == 0 && gaps > 0 {
        unseen.new_gaps.insert(column.name.clone(), gaps);
    }
    if let (Fitted::Category(category), MetadataValues::Categorical { names, codes }) =
        (&column.fitted, values)
        && column.known > 0
    {
        let unknown = unknown_names(category, names, codes);
        if !unknown.is_empty() {
            unseen.categories.insert(column.name.clone(), unknown);
        }
    }
}

/// The cells of a column whose kind was checked.
fn cells<'a>(
    fitted: &Fitted,
    values: &'a MetadataValues,
) -> Box<dyn Iterator<Item = Option<Cell>> + 'a> {
    match values {
        MetadataValues::Boolean(values) => {
            Box::new(values.iter().map(|value| value.map(Cell::Boolean)))
        }
        MetadataValues::Continuous(values) | MetadataValues::Datetime(values) => {
            Box::new(values.iter().map(|value| finite(*value).map(Cell::Number)))
        }
        MetadataValues::Categorical { names, codes } => {
            let own = match fitted {
                Fitted::Category(category) => category.codes(names.iter().map(String::as_str)),
                _ => Vec::new(),
            };
            Box::new(codes.iter().map(move |code| {
                code.map(|code| Cell::Code(own.get(code as usize).copied().unwrap_or(UNKNOWN)))
            }))
        }
    }
}

fn unknown_names(
    category: &Category,
    names: &[String],
    codes: &[Option<u32>],
) -> BTreeMap<String, usize> {
    let own = category.codes(names.iter().map(String::as_str));
    let mut counts = vec![0; names.len()];
    for &code in codes.iter().flatten() {
        counts[code as usize] += usize::from(own[code as usize] == UNKNOWN);
    }
    let mut unknown = BTreeMap::new();
    for (name, count) in names.iter().zip(counts).filter(|(_, count)| *count > 0) {
        *unknown.entry(category::canonical(name)).or_default() += count;
    }
    unknown
}

/// Smallest and largest.
fn ends(values: &[f64]) -> Option<[f64; 2]> {
    let first = *values.first()?;
    Some(
        values
            .iter()
            .fold([first; 2], |[low, high], &x| [low.min(x), high.max(x)]),
    )
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|x| x.is_finite())
}

fn kind_of(values: &MetadataValues) -> MetadataKind {
    match values {
        MetadataValues::Boolean(_) => MetadataKind::Boolean,
        MetadataValues::Continuous(_) => MetadataKind::Continuous,
        MetadataValues::Categorical { .. } => MetadataKind::Categorical,
        MetadataValues::Datetime(_) => MetadataKind::Datetime,
    }
}

fn check_kind(column: &str, expected: MetadataKind, values: &MetadataValues) -> Result<()> {
    let found = kind_of(values);
    if found == expected {
        return Ok(());
    }
    Err(Error::MetadataKind {
        column: column.into(),
        expected,
        found,
    })
}

/// The column of this name, which is most often the `nth`: there may be 100,000.
fn find<'a>(metadata: &'a Metadata, name: &str, nth: usize) -> Result<&'a MetadataColumn> {
    let columns = &metadata.columns;
    let likely = columns.get(nth).into_iter();
    likely
        .chain(columns)
        .find(|column| column.name == name)
        .ok_or_else(|| Error::MissingMetadata {
            column: name.into(),
            columns: metadata
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect(),
        })
}
