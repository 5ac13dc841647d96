//! What each column is, from its name and its cells.

use std::collections::HashSet;
use std::fmt;

use super::disguise::{Disguise, Target, disguise};
use super::scan::{Evidence, Scan, cut};
use super::{boolean, datetime, image_column, name};
use crate::config::{
    Arm, Config, MetadataConfig, MetadataEntry, MetadataKind, TargetConfig, TargetKind,
};
use crate::error::{Error, Result};
use crate::kind::Split;
use crate::table::{Cell, Column, IMAGE_ENDINGS, Table, Values};

/// What every column of a table means.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The columns, in the table's order.
    pub columns: Vec<ColumnSchema>,
    /// The target, as named or inferred.
    pub target: TargetConfig,
    /// A column that looks like a group where none was named.
    pub suggested_group: Option<String>,
}

/// What one column means, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnSchema {
    /// Name of the column.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// What was seen of it.
    pub evidence: Evidence,
    /// What a person should know about it.
    pub doubts: Vec<Doubt>,
}

/// What a column is.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// Names or holds the images.
    Image,
    /// To be predicted.
    Target,
    /// Rows that share its value stay together.
    Group,
    /// Says which part a row belongs to.
    Split,
    /// Read as metadata.
    Metadata(MetadataConfig),
    /// A column that is not used, and why.
    Ignored(Reason),
}

/// Why a column is not used.
#[derive(Debug, Clone, PartialEq, strum::Display)]
pub enum Reason {
    /// The person said so.
    #[strum(to_string = "ignored as told")]
    Told,
    /// No row has it.
    #[strum(to_string = "empty in every row")]
    Empty,
    /// All rows have the same value.
    #[strum(to_string = "the same in every row")]
    Constant,
    /// It tells rows apart, it says nothing about them.
    #[strum(to_string = "an identifier: (nearly) every row has its own")]
    Identifier,
    /// The cells are sentences, not values.
    #[strum(to_string = "free text")]
    FreeText,
    /// Numbers and other things, too many of them to be categories.
    #[strum(to_string = "numbers and text mixed, too many values for categories")]
    Mixed,
    /// A group, not a property.
    #[strum(to_string = "whom or what the image is of: a group, not a property")]
    Subject,
    /// It names images.
    #[strum(to_string = "names of images")]
    ImageNames,
    /// A column of parts that does not keep groups together.
    #[strum(
        to_string = "says which part a row belongs to, but divides {n_divided} of {n_groups} values of `{group}`"
    )]
    DividesGroups {
        /// The group column.
        group: String,
        /// Groups that it divides.
        n_divided: usize,
        /// Number of different groups.
        n_groups: usize,
    },
    /// A column of parts, none of them for training.
    #[strum(to_string = "says which part a row belongs to, but names no training rows")]
    NoTrainingRows,
    /// It gives the target away.
    #[strum(to_string = "{0}")]
    Target(Disguise),
}

impl Reason {
    /// Whether the column says which part a row belongs to.
    pub fn is_part(&self) -> bool {
        matches!(self, Self::DividesGroups { .. } | Self::NoTrainingRows)
    }
}

/// What a person should know about a column that is used, or might be.
#[derive(Debug, Clone, PartialEq)]
pub enum Doubt {
    /// Looks like numbers, is taken for names.
    NumberLooking {
        /// Why: its name, its digits.
        because: &'static str,
    },
    /// Hardly ever known.
    MostlyMissing,
    /// Numbers with other things among them.
    Mixed {
        /// Rows with something else.
        n_other: usize,
        /// Rows with anything.
        n_present: usize,
        /// Some of the other things, each with its first data row (from 1).
        examples: Vec<(String, usize)>,
    },
    /// One value and gaps: only whether it is known says something.
    OneValue,
    /// Categories of which most occur in one row only.
    RareCategories {
        /// Those that do.
        n_once: usize,
    },
    /// Positive and so skewed that its logarithm is easier to learn.
    Skewed,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NumberLooking { because } => {
                write!(f, "looks like a number, taken for a name: {because}")
            }
            Self::MostlyMissing => write!(f, "hardly ever known"),
            Self::Mixed {
                n_other,
                n_present,
                examples,
            } => {
                let examples: Vec<_> = examples
                    .iter()
                    .map(|(text, row)| format!("`{}` in row {row}", cut(text)))
                    .collect();
                write!(
                    f,
                    "not a number in {n_other} of {n_present} cells: {}",
                    examples.join(", ")
                )
            }
            Self::OneValue => write!(f, "one value and gaps"),
            Self::RareCategories { n_once } => write!(f, "{n_once} values occur once"),
            Self::Skewed => write!(f, "skewed: `scale = \"log\"` may suit it"),
        }
    }
}

/// What the person said about a table before its columns are inferred.
#[derive(Debug, Clone, PartialEq)]
pub struct Wishes {
    /// The target that was named.
    pub target: TargetConfig,
    /// The image column; `None`: found.
    pub image: Option<String>,
    /// The group column.
    pub group: Option<String>,
    /// The column of parts; `None`: found.
    pub split: Option<String>,
    /// Columns not to use.
    pub ignore: Vec<String>,
    /// Spellings of "missing" beside the empty cell.
    pub missing: Vec<String>,
}

impl Wishes {
    /// Only a target; all else found.
    pub fn new(target: TargetConfig) -> Self {
        let missing = crate::config::default_missing();
        Self {
            target,
            image: None,
            group: None,
            split: None,
            ignore: Vec::new(),
            missing,
        }
    }

    /// What a configuration says of this table. New rows have no target: where the table has none of the target's
    /// columns, no column can be it in disguise.
    ///
    /// # Errors
    ///
    /// [`Error::NoColumn`] for the image column.
    pub fn from_config(table: &Table, config: &Config) -> Result<Self> {
        let mut target = config.target.clone();
        let names = target.names();
        if names.iter().all(|name| table.find(name).is_none()) {
            target.column = None;
            target.columns = Vec::new();
        }
        Ok(Self {
            target,
            image: Some(image_column(table, &config.data.image)?.name.clone()),
            group: config.data.group.clone(),
            split: config.data.split.column.clone(),
            ignore: config.data.ignore.clone(),
            missing: config.data.missing.clone(),
        })
    }
}

impl Schema {
    /// Says of every column what it is, with the evidence.
    ///
    /// # Errors
    ///
    /// [`Error::NoColumn`] where a column that was named is not there, [`Error::NoImageColumn`].
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::schema::{Role, Schema, Wishes, target_of};
    /// use sidelight_data::table::Table;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("houses.csv");
    /// let rows: String = (0..40).map(|i| format!("{i}.jpg,{},{},{}\n", 1000 * i * i + 7, 1 + i % 5, 85000 + 250 * (i % 4) + 1)).collect();
    /// std::fs::write(&path, format!("file_name,price,beds,zipcode\n{rows}"))?;
    /// let table = Table::read(&path)?;
    /// let schema = Schema::infer(&table, &Wishes::new(target_of(&table, &["price".into()])?))?;
    /// let kind = |name| match &schema.column(name).unwrap().role { Role::Metadata(config) => format!("{:?}", config.kind), other => format!("{other:?}") };
    /// assert_eq!((kind("beds").as_str(), kind("zipcode").as_str()), ("Continuous", "Categorical"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn infer(table: &Table, wishes: &Wishes) -> Result<Self> {
        let targets = wishes.target.names();
        for name in targets
            .iter()
            .chain(&wishes.group)
            .chain(&wishes.split)
            .chain(&wishes.ignore)
        {
            table.column(name)?;
        }
        let image = match &wishes.image {
            Some(name) => table.column(name)?,
            None => find_image(table, &targets)?,
        };
        let scanned = scan_targets(table, wishes);
        let targets: HashSet<&String> = targets.iter().collect();
        let ignored: HashSet<&String> = wishes.ignore.iter().collect();
        let mut columns = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let scan = Scan::new(column, &wishes.missing);
            let is = |wish: &Option<String>| wish.as_ref() == Some(&column.name);
            let mut doubts = Vec::new();
            let role = if column.name == image.name {
                Role::Image
            } else if targets.contains(&column.name) {
                Role::Target
            } else if is(&wishes.group) {
                Role::Group
            } else if is(&wishes.split) {
                Role::Split
            } else if ignored.contains(&column.name) {
                Role::Ignored(Reason::Told)
            } else {
                let role = guess(column, &scan, &mut doubts);
                give_away(role, &scan, &scanned)
            };
            columns.push(ColumnSchema {
                name: column.name.clone(),
                role,
                evidence: scan.evidence(),
                doubts,
            });
        }
        let mut schema = Self {
            columns,
            target: wishes.target.clone(),
            suggested_group: None,
        };
        if wishes.group.is_none() {
            let subject = schema.columns.iter().find(|column| {
                column.role == Role::Ignored(Reason::Subject) && column.evidence.n_distinct > 1
            });
            schema.suggested_group = subject.map(|column| column.name.clone());
        }
        if wishes.split.is_none() {
            schema.check_parts(table, wishes);
        }
        Ok(schema)
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&ColumnSchema> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns that are metadata, as a configuration has them.
    pub fn metadata(&self) -> impl Iterator<Item = (&ColumnSchema, &MetadataConfig)> {
        self.columns.iter().filter_map(|column| match &column.role {
            Role::Metadata(config) => Some((column, config)),
            _ => None,
        })
    }

    /// The configuration with these columns as its metadata, and what should be said of it, in words. One that names its
    /// metadata stays as it is. Where no column can serve as metadata, a network of image and metadata together becomes
    /// one of the image alone (`model.arm`).
    pub fn resolve(&self, config: &Config) -> (Config, Vec<String>) {
        let (mut config, mut remarks) = (config.clone(), Vec::new());
        if !config.metadata.is_empty() {
            return (config, remarks);
        }
        config.metadata = self
            .metadata()
            .map(|(column, config)| (column.name.clone(), MetadataEntry::Full(config.clone())))
            .collect();
        let kinds = kinds_in_words(self);
        if !kinds.is_empty() {
            remarks.push(format!("metadata, inferred: {kinds}"));
        } else if config.model.arm == Arm::Both {
            config.model.arm = Arm::Image;
            remarks.push(
                "no column can serve as metadata: the image alone is read (`model.arm = \"image\"`)"
                    .into(),
            );
        } else {
            remarks.push("no column can serve as metadata".into());
        }
        for column in &self.columns {
            if let Role::Ignored(reason) = &column.role
                && *reason != Reason::Told
            {
                remarks.push(format!("`{}` is not used: {reason}", column.name));
            }
        }
        (config, remarks)
    }

    /// A found column of parts is used where it divides no group and names training rows.
    fn check_parts(&mut self, table: &Table, wishes: &Wishes) {
        let Some(found) = self
            .columns
            .iter()
            .position(|column| column.role == Role::Split)
        else {
            return;
        };
        let Some(parts) = table.find(&self.columns[found].name) else {
            return;
        };
        let names = &self.columns[found].evidence.commonest;
        let has_train = names
            .iter()
            .any(|(name, _)| Split::named(name) == Some(Split::Train));
        let group = wishes
            .group
            .as_ref()
            .or(self.suggested_group.as_ref())
            .and_then(|name| table.find(name));
        let (n_divided, n_groups) = group.map_or((0, 0), |group| divided_groups(group, parts));
        let reason = match group.filter(|_| n_divided > 0) {
            Some(group) => Reason::DividesGroups {
                group: group.name.clone(),
                n_divided,
                n_groups,
            },
            None if !has_train => Reason::NoTrainingRows,
            None => return,
        };
        self.columns[found].role = Role::Ignored(reason);
    }
}

/// Groups of which rows are in several parts: how many of how many.
pub(super) fn divided_groups(group: &Column, parts: &Column) -> (usize, usize) {
    let mut part_of = std::collections::HashMap::new();
    let mut divided = std::collections::HashSet::new();
    for row in 0..group.len() {
        let (Some(group), Some(part)) = (group.cell(row).to_text(), parts.cell(row).to_text())
        else {
            continue;
        };
        let part = Split::named(&part);
        let group = group.trim().to_owned();
        if *part_of.entry(group.clone()).or_insert(part) != part {
            divided.insert(group);
        }
    }
    (divided.len(), part_of.len())
}

/// The column of images: `file_name`, embedded images, or text of which nearly all ends like an image's name.
fn find_image<'a>(table: &'a Table, targets: &[String]) -> Result<&'a Column> {
    let free = || {
        table
            .columns
            .iter()
            .filter(|column| !targets.contains(&column.name))
    };
    free()
        .find(|column| matches!(column.values, Values::Members(_)))
        .or_else(|| free().find(|column| column.name == "file_name"))
        .or_else(|| free().find(|column| column.values.are_images()))
        .or_else(|| free().find(|column| names_images(column)))
        .ok_or_else(|| Error::NoImageColumn {
            path: table.path.clone(),
            columns: table.names(),
        })
}

/// Whether the first thousand cells nearly all end like an image's name.
fn names_images(column: &Column) -> bool {
    let Values::Text(_) = column.values else {
        return false;
    };
    let (mut n, mut n_images) = (0, 0);
    for row in 0..column.len().min(1000) {
        if let Cell::Text(text) = column.cell(row) {
            let end = text
                .trim()
                .rsplit('.')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            n += 1;
            n_images += usize::from(IMAGE_ENDINGS.contains(&end.as_str()));
        }
    }
    n > 0 && n_images * 10 >= n * 9
}

fn scan_targets<'a>(table: &'a Table, wishes: &Wishes) -> Vec<Target<'a>> {
    let mut targets = Vec::new();
    for name in wishes.target.names() {
        let Some(column) = table.find(&name) else {
            continue;
        };
        let scan = Scan::new(column, &wishes.missing);
        let kind = wishes.target.kind;
        let numbers = match kind {
            TargetKind::Keypoints | TargetKind::Regression => scan.number_rows(),
            TargetKind::Class | TargetKind::Multilabel => Vec::new(),
        };
        targets.push(Target {
            name,
            kind,
            scan,
            numbers,
        });
    }
    targets
}

/// The role, or ignored where the column gives a target away.
fn give_away(role: Role, scan: &Scan<'_>, targets: &[Target<'_>]) -> Role {
    let numeric = match &role {
        Role::Metadata(config) => config.kind == MetadataKind::Continuous,
        Role::Ignored(Reason::Mixed) => false,
        _ => return role,
    };
    match targets
        .iter()
        .find_map(|target| disguise(scan, numeric, target))
    {
        Some(disguise) => Role::Ignored(Reason::Target(disguise)),
        None => role,
    }
}

/// What a column is, when nobody said.
fn guess(column: &Column, scan: &Scan<'_>, doubts: &mut Vec<Doubt>) -> Role {
    let (n_present, n_distinct) = (scan.n_present(), scan.n_distinct());
    let metadata = |kind| Role::Metadata(MetadataConfig::new(kind));
    if column.values.are_images() {
        return Role::Ignored(Reason::ImageNames);
    }
    if n_present == 0 {
        return Role::Ignored(Reason::Empty);
    }
    if n_distinct == 1 {
        if scan.n_missing == 0 {
            return Role::Ignored(Reason::Constant);
        }
        doubts.push(Doubt::OneValue);
    }
    if scan.n_missing as f64 > 0.95 * scan.n_rows() as f64 {
        doubts.push(Doubt::MostlyMissing);
    }
    if names_images(column) {
        return Role::Ignored(Reason::ImageNames);
    }
    if n_distinct > 1
        && n_distinct <= 8
        && scan.names.iter().all(|name| Split::named(name).is_some())
    {
        return Role::Split;
    }
    if name::is_subject(&column.name) {
        let unique = n_distinct == n_present;
        return Role::Ignored(if unique {
            Reason::Identifier
        } else {
            Reason::Subject
        });
    }
    if is_boolean(scan) {
        return metadata(MetadataKind::Boolean);
    }
    let numbers = scan.numbers();
    let all_numbers = numbers.iter().all(Option::is_some);
    let all_times = (!all_numbers || name::is_time(&column.name))
        && scan
            .names
            .iter()
            .all(|name| datetime(Cell::Text(name)).is_some());
    if all_times {
        return metadata(MetadataKind::Datetime);
    }
    if all_numbers {
        let numbers: Vec<f64> = numbers.into_iter().flatten().collect();
        return guess_number(&column.name, scan, &numbers, doubts);
    }
    let n_numbers: usize = numbers
        .iter()
        .zip(&scan.counts)
        .filter(|(number, _)| number.is_some())
        .map(|(_, count)| count)
        .sum();
    if n_numbers * 2 >= n_present && n_present - n_numbers <= n_present / 2 {
        let others = (0..n_distinct).filter(|index| numbers[*index].is_none());
        let examples = others
            .take(3)
            .map(|index| (scan.names[index].to_string(), scan.first_rows[index] + 1))
            .collect();
        doubts.push(Doubt::Mixed {
            n_other: n_present - n_numbers,
            n_present,
            examples,
        });
        let few = n_distinct <= 20 && n_distinct * 3 <= n_present;
        return if few {
            metadata(MetadataKind::Categorical)
        } else {
            Role::Ignored(Reason::Mixed)
        };
    }
    guess_text(scan, doubts)
}

/// Truth values: words that are, both sides seen (`F` alone may be "female"), or nothing but 0 and 1.
fn is_boolean(scan: &Scan<'_>) -> bool {
    if scan.n_distinct() > 12 {
        return false;
    }
    let values: Option<Vec<bool>> = scan
        .names
        .iter()
        .map(|name| boolean(Cell::Text(name)))
        .collect();
    let Some(values) = values else { return false };
    let both = values.contains(&true) && values.contains(&false);
    both || scan
        .names
        .iter()
        .all(|name| ["true", "false", "yes", "no"].contains(&name.to_ascii_lowercase().as_str()))
}

fn guess_number(
    column_name: &str,
    scan: &Scan<'_>,
    numbers: &[f64],
    doubts: &mut Vec<Doubt>,
) -> Role {
    let metadata = |kind| Role::Metadata(MetadataConfig::new(kind));
    let (n_present, n_distinct) = (scan.n_present(), scan.n_distinct());
    let unique = n_present >= 5 && n_distinct as f64 >= 0.95 * n_present as f64;
    let whole = numbers
        .iter()
        .all(|number| number.fract() == 0.0 && number.abs() < 1e18);
    if whole {
        let span = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
            - numbers.iter().copied().fold(f64::INFINITY, f64::min);
        // 0, 1, 2, … down the table: the number of the row.
        let counts_rows = unique
            && n_distinct == n_present
            && span == n_present as f64 - 1.0
            && numbers.is_sorted();
        if counts_rows
            || (unique && (name::is_identifier(column_name) || name::is_code(column_name)))
        {
            return Role::Ignored(Reason::Identifier);
        }
        if let Some(because) = code_like(column_name, scan, numbers, span) {
            if n_distinct * 2 > n_present && n_present >= 20 {
                return Role::Ignored(Reason::Identifier);
            }
            doubts.push(Doubt::NumberLooking { because });
            return metadata(MetadataKind::Categorical);
        }
    }
    if is_skewed(numbers, &scan.counts) {
        doubts.push(Doubt::Skewed);
    }
    metadata(MetadataKind::Continuous)
}

/// Why whole numbers are codes, if they are.
fn code_like(
    column_name: &str,
    scan: &Scan<'_>,
    numbers: &[f64],
    span: f64,
) -> Option<&'static str> {
    // 01234: a quantity is not written with leading zeros; a counter (007 of 120) is.
    let padded = |name: &str| {
        name.len() >= 4 && name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit())
    };
    if scan.names.iter().any(|name| padded(name)) {
        return Some("leading zeros");
    }
    if name::is_code(column_name) || name::is_identifier(column_name) {
        return Some("its name says a code");
    }
    let digits = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(name.len())
    };
    let width = digits(&scan.names[0])?;
    let same_width = width >= 4 && scan.names.iter().all(|name| digits(name) == Some(width));
    let years = numbers
        .iter()
        .all(|number| (1800.0..=2100.0).contains(number));
    // Quantities are often round, and fill their range; codes do neither.
    let round = numbers.iter().fold(0_u64, |divisor, number| {
        greatest_common_divisor(divisor, *number as u64)
    }) >= 5;
    let sparse = (numbers.len() as f64) < 0.05 * (span + 1.0);
    let repeats = numbers.len() * 3 <= scan.n_present();
    (same_width && !years && !round && sparse && repeats)
        .then_some("all have the same number of digits, and few occur")
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// Whether positive values reach over a factor of 20 and lean far to the right.
pub(super) fn is_skewed(numbers: &[f64], counts: &[usize]) -> bool {
    let n: f64 = counts.iter().sum::<usize>() as f64;
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if numbers.len() < 10 || least <= 0.0 || greatest < 20.0 * least {
        return false;
    }
    let moment = |f: &dyn Fn(f64) -> f64| {
        numbers
            .iter()
            .zip(counts)
            .map(|(x, count)| f(*x) * *count as f64)
            .sum::<f64>()
            / n
    };
    let mean = moment(&|x| x);
    let variance = moment(&|x| (x - mean).powi(2));
    // Skewness above 1 is called high (Bulmer 1979, "Principles of Statistics", ch. 4).
    variance > 0.0 && moment(&|x| (x - mean).powi(3)) / variance.powf(1.5) > 1.0
}

fn guess_text(scan: &Scan<'_>, doubts: &mut Vec<Doubt>) -> Role {
    let (n_present, n_distinct) = (scan.n_present(), scan.n_distinct());
    let n_words: usize = scan
        .names
        .iter()
        .map(|name| name.split_whitespace().count())
        .sum();
    let sentences = n_words as f64 / n_distinct as f64 > 5.0;
    let mostly_unique = n_present >= 5 && n_distinct as f64 >= 0.95 * n_present as f64
        || n_present >= 20 && n_distinct * 2 > n_present;
    if mostly_unique {
        return Role::Ignored(if sentences {
            Reason::FreeText
        } else {
            Reason::Identifier
        });
    }
    if scan.names.iter().all(|name| name.starts_with(['[', '{'])) {
        return Role::Ignored(Reason::FreeText);
    }
    let n_once = scan.counts.iter().filter(|count| **count == 1).count();
    if n_once * 2 > n_distinct && n_distinct > 4 {
        doubts.push(Doubt::RareCategories { n_once });
    }
    Role::Metadata(MetadataConfig::new(MetadataKind::Categorical))
}

impl fmt::Display for ColumnSchema {
    /// `zipcode: categorical (49 distinct, 36372 to 98021; looks like a number, …)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match &self.role {
            Role::Image => "image".to_owned(),
            Role::Target => "target".to_owned(),
            Role::Group => "group".to_owned(),
            Role::Split => "split".to_owned(),
            Role::Metadata(config) => format!("{:?}", config.kind).to_lowercase(),
            Role::Ignored(reason) => format!("ignored, {reason}"),
        };
        write!(f, "{}: {role} ({}", self.name, self.evidence)?;
        for doubt in &self.doubts {
            write!(f, "; {doubt}")?;
        }
        write!(f, ")")
    }
}

/// `3 continuous, 1 categorical`, for one line about many columns.
fn kinds_in_words(schema: &Schema) -> String {
    let kinds = [
        MetadataKind::Boolean,
        MetadataKind::Continuous,
        MetadataKind::Categorical,
        MetadataKind::Datetime,
    ];
    let counted = kinds.into_iter().filter_map(|kind| {
        let names: Vec<&str> = schema
            .metadata()
            .filter(|(_, config)| config.kind == kind)
            .map(|(column, _)| column.name.as_str())
            .collect();
        let kind = format!("{kind:?}").to_lowercase();
        match names.len() {
            0 => None,
            1..=8 => Some(format!("{kind}: {}", names.join(", "))),
            n => Some(format!(
                "{kind}: {}, {} … {} ({n} columns)",
                names[0],
                names[1],
                names[n - 1]
            )),
        }
    });
    counted.collect::<Vec<_>>().join("; ")
}
