//! What each column is, from its name and its cells.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use super::disguise::{Disguise, Target, disguise};
use super::locate::{self, Folders};
use super::scan::{Evidence, Scan, cut, short};
use super::usual::{Usual, usual};
use super::{Parts, boolean, datetime, image_columns, name};
use crate::config::{
    Arm, Config, MetadataConfig, MetadataEntry, MetadataKind, TargetConfig, TargetKind,
};
use crate::error::{Error, Result};
use crate::kind::Split;
use crate::spelling::{DateOrder, Decimal, FoundOrder, NumberStyle, Written, date_order};
use crate::store::is_remote;
use crate::table::{Cell, Column, IMAGE_ENDINGS, Table, Values};

/// What every column of a table means.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The columns, in the table's order.
    pub columns: Vec<ColumnSchema>,
    /// The target, as named or inferred.
    pub target: TargetConfig,
    /// The columns of the images, in the order in which a network is given them.
    pub images: Vec<String>,
    /// How many images a cell of them names at most.
    pub images_per_cell: usize,
    /// A column that looks like a group where none was named.
    pub suggested_group: Option<String>,
    /// How numbers are written throughout the table, where not as programs do.
    pub decimal: Option<Decimal>,
    /// The order of its dates that begin with neither the year nor a time.
    pub date_order: Option<DateOrder>,
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
    /// Says which fold a row belongs to.
    Fold,
    /// Says when a row was made, by which rows are divided.
    Time,
    /// Says how much a row counts.
    Weight,
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
    /// Numbers that mean one thing in one country and another in the next.
    #[strum(
        to_string = "`{example}` may be a thousand or a decimal: set `data.decimal` to \".\" or \",\""
    )]
    AmbiguousNumber {
        /// One of them.
        example: String,
    },
    /// Whether a point of the target is seen: known only with the point.
    #[strum(to_string = "says whether a point is visible: known only once it is labelled")]
    Visibility,
    /// Dates of which some have the day first and some the month.
    #[strum(
        to_string = "dates in two orders (`{day_first}`, `{month_first}`): write them as 2024-05-31"
    )]
    MixedDates {
        /// One that has its day first.
        day_first: String,
        /// One that has its month first.
        month_first: String,
    },
    /// By its name a column of parts, by its cells of nothing known.
    #[strum(
        to_string = "by its name says which part a row belongs to: say of which values, as in `split = {{ column = \"{column}\", valid_where = [{value}] }}`"
    )]
    Division {
        /// The column.
        column: String,
        /// One of its values.
        value: String,
    },
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
    /// Numbers that are not written as programs write them, and how they were read.
    Written {
        /// A cell.
        example: String,
        /// What it was read as.
        number: f64,
    },
    /// Dates of one order, and which.
    DateOrder {
        /// The order.
        order: DateOrder,
        /// A cell that has no other order; `None`: all have both.
        proof: Option<String>,
    },
    /// Cells that were read as missing and may be a name.
    MissingName {
        /// What they say.
        name: String,
        /// Rows.
        n_rows: usize,
    },
    /// A bare name of a subject, over few names with many rows each.
    MayBeGroup,
    /// Numbers that are never negative, under a name that weights of rows have.
    MayBeWeight,
    /// Numbers taken for classes.
    NumbersAsClasses,
    /// Few different numbers, not taken for classes.
    FewNumbers,
    /// Values so far from the others that one of them outweighs all.
    FarOut {
        /// The farthest.
        value: f64,
        /// Where the middle half of the values lies.
        usual: [f64; 2],
    },
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
            Self::Written { example, number } => {
                write!(f, "`{}` is read as {}", cut(example), short(*number))
            }
            Self::DateOrder {
                order,
                proof: Some(proof),
            } => write!(f, "dates are {}, as `{proof}` shows", order.in_words()),
            Self::DateOrder { order, proof: None } => write!(
                f,
                "dates fit both orders and are read as {}: `data.date_order` sets it",
                order.in_words()
            ),
            Self::MissingName { name, n_rows } => write!(
                f,
                "`{name}` in {n_rows} rows is read as missing: if it is a name, take it out of `data.missing`"
            ),
            Self::MayBeGroup => write!(
                f,
                "a property by its cells; if rows of one value belong together, set it as `data.group`"
            ),
            Self::MayBeWeight => write!(
                f,
                "read as a property; if it says how much its row counts, set it as `data.weight` (--weight)"
            ),
            Self::NumbersAsClasses => write!(
                f,
                "few whole numbers, taken for classes; `kind = \"value\"` (--kind value) predicts a number"
            ),
            Self::FewNumbers => write!(
                f,
                "predicted as a number; `kind = \"class\"` (--kind class) makes a class of each"
            ),
            Self::FarOut { value, usual } => write!(
                f,
                "{} is far from the others (half of them from {} to {}): is it one?",
                short(*value),
                short(usual[0]),
                short(usual[1])
            ),
        }
    }
}

/// What the person said about a table before its columns are inferred.
#[derive(Debug, Clone, PartialEq)]
pub struct Wishes {
    /// The target that was named.
    pub target: TargetConfig,
    /// The columns of the images; none: found.
    pub images: Vec<String>,
    /// How many images a cell of them names at most.
    pub images_per_cell: usize,
    /// The group column.
    pub group: Option<String>,
    /// The column of parts; `None`: found.
    pub split: Option<String>,
    /// The column of folds; `None`: found.
    pub fold: Option<String>,
    /// The column of times by which rows are divided.
    pub time: Option<String>,
    /// The column of how much each row counts.
    pub weight: Option<String>,
    /// How numbers are written; `None`: found.
    pub decimal: Option<Decimal>,
    /// The order of dates; `None`: found.
    pub date_order: Option<DateOrder>,
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
            images: Vec::new(),
            images_per_cell: 1,
            group: None,
            split: None,
            fold: None,
            time: None,
            weight: None,
            decimal: None,
            date_order: None,
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
            target.visibility = Vec::new();
        }
        // What says where to look is not what is seen.
        let crop = config.data.crop.iter().flatten().cloned();
        let crop = crop.filter(|name| table.find(name).is_some());
        let ignored = config.data.ignore.iter().cloned();
        Ok(Self {
            target,
            images: image_columns(table, &config.data)?
                .into_iter()
                .map(|column| column.name.clone())
                .collect(),
            images_per_cell: config.data.images_per_cell,
            group: config.data.group.clone(),
            split: config.data.split.column.clone(),
            fold: config.data.fold.clone(),
            time: config.data.time.clone(),
            weight: config.data.weight.clone(),
            decimal: config.data.decimal,
            date_order: config.data.date_order,
            ignore: ignored.chain(crop).collect(),
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
        let targets = wishes.target.all_columns();
        for name in targets
            .iter()
            .chain(&wishes.group)
            .chain(&wishes.split)
            .chain(&wishes.fold)
            .chain(&wishes.time)
            .chain(&wishes.weight)
            .chain(&wishes.ignore)
        {
            table.column(name)?;
        }
        let mut images = Vec::new();
        for name in &wishes.images {
            images.push(table.column(name)?.name.clone());
        }
        if images.is_empty() {
            images.push(find_image(table, &targets)?.name.clone());
        }
        let usual = usual(table, wishes);
        let scanned = scan_targets(table, wishes, &usual);
        let targets: HashSet<&String> = targets.iter().collect();
        let ignored: HashSet<&String> = wishes.ignore.iter().collect();
        let mut columns = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let mut scan = Scan::new(column, &wishes.missing);
            let is = |wish: &Option<String>| wish.as_ref() == Some(&column.name);
            let mut doubts = Vec::new();
            let role = if images.contains(&column.name) {
                Role::Image
            } else if targets.contains(&column.name) {
                target_doubts(&mut scan, wishes, &usual, &mut doubts);
                Role::Target
            } else if is(&wishes.group) {
                Role::Group
            } else if is(&wishes.split) {
                Role::Split
            } else if is(&wishes.fold) {
                Role::Fold
            } else if is(&wishes.time) {
                // Only for what should be said of the order of day and month.
                guess_dates(&scan, &usual, &mut doubts);
                Role::Time
            } else if is(&wishes.weight) {
                Role::Weight
            } else if ignored.contains(&column.name) {
                Role::Ignored(Reason::Told)
            } else {
                match is_visibility(&column.name, &scan, &targets) {
                    true => Role::Ignored(Reason::Visibility),
                    false => {
                        let role = guess(column, &mut scan, &usual, &mut doubts);
                        give_away(role, &scan, &scanned)
                    }
                }
            };
            if let Role::Metadata(MetadataConfig {
                kind: MetadataKind::Categorical,
                ..
            }) = role
            {
                doubts.extend(missing_names(&scan));
            }
            if wishes.weight.is_none() && may_be_weight(&column.name, &role, &scan) {
                doubts.push(Doubt::MayBeWeight);
            }
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
            images,
            images_per_cell: wishes.images_per_cell,
            suggested_group: None,
            decimal: usual.decimal.filter(|decimal| *decimal == Decimal::Comma),
            date_order: usual.date_order,
        };
        schema.keep_one_fold();
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
        config.data.decimal = config.data.decimal.or(self.decimal);
        config.data.date_order = config.data.date_order.or(self.date_order);
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
            let name = &column.name;
            match &column.role {
                Role::Ignored(reason) if *reason != Reason::Told => {
                    remarks.push(format!("`{name}` is not used: {reason}"));
                }
                // Rows are divided by time, and not by what else the table says.
                Role::Split | Role::Fold if config.data.time.is_some() => {}
                Role::Split if config.data.split.column.is_none() => remarks.push(format!(
                    "`{name}` says which part a row belongs to and is not metadata: `data.split.column = \"{name}\"` divides by it"
                )),
                Role::Fold if config.data.fold.is_none() => remarks.push(format!(
                    "`{name}` is the number of a fold and is not metadata: `data.fold = \"{name}\"` holds folds out"
                )),
                _ => {}
            }
        }
        (config, remarks)
    }

    /// Of several columns of folds the first is used.
    fn keep_one_fold(&mut self) {
        let folds = self.columns.iter_mut();
        let folds = folds.filter(|column| column.role == Role::Fold).skip(1);
        for column in folds {
            column.role = Role::Ignored(Reason::Division {
                column: column.name.clone(),
                value: column
                    .evidence
                    .commonest
                    .first()
                    .map_or_else(String::new, |(name, _)| name.clone()),
            });
        }
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
        let part = Parts::of_name(&self.columns[found].name);
        let has_train = names
            .iter()
            .any(|(name, _)| part.read(name) == Some(Split::Train));
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
    let part_named = Parts::of_name(&parts.name);
    let mut part_of = std::collections::HashMap::new();
    let mut divided = std::collections::HashSet::new();
    for row in 0..group.len() {
        let (Some(group), Some(part)) = (group.cell(row).to_text(), parts.cell(row).to_text())
        else {
            continue;
        };
        let part = part_named.read(&part);
        let group = group.trim().to_owned();
        if *part_of.entry(group.clone()).or_insert(part) != part {
            divided.insert(group);
        }
    }
    (divided.len(), part_of.len())
}

/// Where a table's images were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundImages {
    /// The column, or the path of each row's image with it in braces.
    pub image: String,
    /// How many images its cells name at most.
    pub per_cell: usize,
    /// Other columns of which nearly all cells name images that are there: further images of the same rows, or masks.
    pub others: Vec<String>,
}

/// The column of images (`file_name`, embedded images, or text of which nearly all ends like an image's name), or the path
/// of each row's image with that column in braces, where the files are elsewhere or have an ending that cells lack.
///
/// # Errors
///
/// [`Error::NoImageColumn`].
pub fn images_of(table: &Table, targets: &[String]) -> Result<FoundImages> {
    let image = image_of(table, targets)?;
    let per_cell = table
        .find(&image)
        .map_or(1, |column| locate::per_cell(table, column));
    let is_other = |column: &&Column| {
        column.name != image
            && !targets.contains(&column.name)
            && !image.contains(&format!("{{{}}}", column.name))
            && names_images(column)
            && locate::are_there(table, column)
    };
    let others = table.columns.iter().filter(is_other);
    Ok(FoundImages {
        per_cell,
        others: others.map(|column| column.name.clone()).collect(),
        image,
    })
}

fn image_of(table: &Table, targets: &[String]) -> Result<String> {
    let found = find_image(table, targets);
    if let Ok(column) = &found
        && column.values.are_images()
    {
        return Ok(column.name.clone());
    }
    let folders = Folders::of(&table.root);
    let locate = |column| folders.locate(table, column);
    match found {
        // Where nothing is found, its name is what was meant.
        Ok(column) => Ok(locate(column).unwrap_or_else(|| column.name.clone())),
        Err(error) => {
            let free_columns = || {
                let columns = table.columns.iter();
                columns.filter(|column| !targets.contains(&column.name))
            };
            let mut free = free_columns();
            let address = || free_columns().find(|column| names_addresses(column));
            let found = free.find_map(locate);
            found.or_else(|| Some(address()?.name.clone())).ok_or(error)
        }
    }
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

/// Whether the first thousand cells are all addresses of objects: `https://host/5128`.
fn names_addresses(column: &Column) -> bool {
    let mut cells = (0..column.len().min(1000)).filter_map(|row| match column.cell(row) {
        Cell::Text(text) => Some(is_remote(Path::new(text.trim()))),
        _ => None,
    });
    cells.next() == Some(true) && cells.all(|is_address| is_address)
}

/// Whether the first thousand cells nearly all end like an image's name.
fn names_images(column: &Column) -> bool {
    let Values::Text(_) = column.values else {
        return false;
    };
    let (mut n, mut n_images) = (0, 0);
    for row in 0..column.len().min(1000) {
        if let Cell::Text(text) = column.cell(row) {
            // Of several names in a cell the last.
            let last = text.trim().trim_end_matches(['"', ']', ' ']);
            let end = last
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

/// What a person should know about a target's column.
fn target_doubts(scan: &mut Scan<'_>, wishes: &Wishes, usual: &Usual, doubts: &mut Vec<Doubt>) {
    let target = &wishes.target;
    let is_number = matches!(
        scan.find_spelling(target.decimal.or(usual.decimal)),
        NumberStyle::So(_)
    );
    match target.kind {
        TargetKind::Class | TargetKind::Multilabel => {
            doubts.extend(missing_names(scan));
            let numbers = scan.numbers();
            let truth = |number: &Option<f64>| matches!(number, Some(0.0 | 1.0));
            if is_number && target.kind == TargetKind::Class && !numbers.iter().all(truth) {
                doubts.push(Doubt::NumbersAsClasses);
            }
        }
        TargetKind::Regression => {
            doubts.extend(how_written(scan));
            if scan.n_distinct() <= 20 && target.column.is_some() {
                doubts.push(Doubt::FewNumbers);
            }
            doubts.extend(far_out(&scan.number_rows()));
        }
        TargetKind::Keypoints => doubts.extend(how_written(scan)),
    }
}

/// A value that is so far from the others that nothing else counts.
fn far_out(numbers: &[f64]) -> Option<Doubt> {
    /// A normal distribution has nothing beyond 3, a log-normal one of any common width nothing beyond 300.
    const FAR: f64 = 1000.0;
    let mut sorted: Vec<f64> = numbers.iter().copied().filter(|x| x.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let (n, least, greatest) = (sorted.len(), sorted.first()?, sorted.last()?);
    let usual = [sorted[n / 4], sorted[n * 3 / 4]];
    let width = usual[1] - usual[0];
    let value = match greatest - usual[1] > usual[0] - least {
        true => *greatest,
        false => *least,
    };
    let distance = (value - usual[1]).max(usual[0] - value);
    (n >= 10 && width > 0.0 && distance > FAR * width).then_some(Doubt::FarOut { value, usual })
}

/// What cells say that were read as missing, where it could be a name like the others.
fn missing_names(scan: &Scan<'_>) -> impl Iterator<Item = Doubt> {
    let spelt = scan.spelt_missing.clone().into_iter();
    spelt.map(|(name, n_rows)| Doubt::MissingName { name, n_rows })
}

/// How numbers were read that are not written as programs write them.
fn how_written(scan: &Scan<'_>) -> Option<Doubt> {
    if scan.written == Written::default() {
        return None;
    }
    let is_telling = |text: &&str| text.trim().parse::<f64>().is_err();
    let example = scan.texts().find(is_telling)?;
    Some(Doubt::Written {
        number: scan.spelling().number(example)?,
        example: example.to_owned(),
    })
}

fn scan_targets<'a>(table: &'a Table, wishes: &Wishes, usual: &Usual) -> Vec<Target<'a>> {
    let mut targets = Vec::new();
    for name in wishes.target.names() {
        let Some(column) = table.find(&name) else {
            continue;
        };
        let mut scan = Scan::new(column, &wishes.missing);
        scan.find_spelling(wishes.target.decimal.or(usual.decimal));
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
fn guess(column: &Column, scan: &mut Scan<'_>, usual: &Usual, doubts: &mut Vec<Doubt>) -> Role {
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
    if let Some(role) = guess_part(column, scan) {
        return role;
    }
    // Tomato and potato are kinds of plants; P01 and P02 are plants.
    let is_kind = name::may_be_kind(&column.name)
        && n_distinct <= 12
        && n_present >= 5 * n_distinct
        && !scan
            .names
            .iter()
            .any(|name| name.contains(|c: char| c.is_ascii_digit()));
    if is_kind {
        doubts.push(Doubt::MayBeGroup);
    } else if name::is_subject(&column.name) {
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
    let found = scan.find_spelling(usual.decimal);
    let numbers = scan.numbers();
    let all_numbers = matches!(found, NumberStyle::So(_));
    let all_times = (!all_numbers || name::is_time(&column.name))
        && scan
            .names
            .iter()
            .all(|name| datetime(Cell::Text(name)).is_some());
    if all_times {
        return metadata(MetadataKind::Datetime);
    }
    if let Some(role) = guess_dates(scan, usual, doubts) {
        return role;
    }
    if found == NumberStyle::Ambiguous {
        return Role::Ignored(Reason::AmbiguousNumber {
            example: scan.names[0].to_string(),
        });
    }
    if all_numbers {
        let numbers: Vec<f64> = numbers.into_iter().flatten().collect();
        let mut role = guess_number(&column.name, scan, &numbers, doubts);
        if let Role::Metadata(config) = &mut role
            && config.kind == MetadataKind::Continuous
        {
            doubts.extend(how_written(scan));
            let of_table = usual.decimal.filter(|decimal| *decimal == Decimal::Comma);
            config.decimal = scan
                .written
                .decimal
                .filter(|decimal| Some(*decimal) != of_table);
            config.unit.clone_from(&scan.written.unit);
        }
        return role;
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

/// Whether it is COCO's flag of a point: `v0` beside `x0` and `y0`, of 0, 1 and 2.
fn is_visibility(name: &str, scan: &Scan<'_>, targets: &HashSet<&String>) -> bool {
    let is_flag = |text: &str| {
        matches!(
            text,
            "0" | "1" | "2" | "0.0" | "1.0" | "2.0" | "true" | "false" | "True" | "False"
        )
    };
    let has_point = ["v", "vis", "visible", "visibility", "V"]
        .iter()
        .any(|flag| {
            name.match_indices(flag).any(|(at, _)| {
                let with =
                    |axis: &str| format!("{}{axis}{}", &name[..at], &name[at + flag.len()..]);
                [["x", "y"], ["X", "Y"]]
                    .iter()
                    .any(|axes| axes.iter().all(|axis| targets.contains(&&with(axis))))
            })
        });
    has_point && scan.texts().all(is_flag)
}

/// The two values of a column that are sides, left and right, as they are written there.
pub fn sides<'a>(names: impl Iterator<Item = &'a str>) -> Option<[String; 2]> {
    let names: Vec<&str> = names.collect();
    let pairs = [
        ["left", "right"],
        ["l", "r"],
        ["os", "od"],
        ["links", "rechts"],
        ["gauche", "droite"],
        ["izquierda", "derecha"],
    ];
    pairs.iter().find_map(|pair| {
        let named = |side: &str| names.iter().find(|name| name.eq_ignore_ascii_case(side));
        let others = |name: &&&str| !pair.iter().any(|side| name.eq_ignore_ascii_case(side));
        // Beside the sides there may be both or none.
        let is_sides = names.iter().filter(others).count() <= 2;
        Some([named(pair[0])?, named(pair[1])?].map(|name| (*name).to_owned())).filter(|_| is_sides)
    })
}

/// A column that says how rows are divided.
fn guess_part(column: &Column, scan: &Scan<'_>) -> Option<Role> {
    let n_distinct = scan.n_distinct();
    if n_distinct < 2 {
        return None;
    }
    let part = Parts::of_name(&column.name);
    if n_distinct <= 8 && scan.texts().all(|text| part.read(text).is_some()) {
        return Some(Role::Split);
    }
    let is_whole = |text: &str| text.parse::<u32>().is_ok();
    if name::is_fold(&column.name) && n_distinct <= 50 && scan.n_present() >= 2 * n_distinct {
        return Some(Role::Fold);
    }
    let is_division = name::is_division(&column.name)
        && n_distinct <= 5
        && scan.n_present() >= 5 * n_distinct
        && scan.texts().all(is_whole);
    is_division.then(|| {
        // The rarest is hardly the one to train on.
        let rarest = (0..n_distinct).min_by_key(|index| scan.counts[*index]);
        Role::Ignored(Reason::Division {
            column: column.name.clone(),
            value: scan.names[rarest.unwrap_or(0)].to_string(),
        })
    })
}

/// Whether a column of numbers may say how much each row counts: a person says so, for a weight may be one in kilograms.
fn may_be_weight(column: &str, role: &Role, scan: &Scan<'_>) -> bool {
    let is_number =
        matches!(role, Role::Metadata(config) if config.kind == MetadataKind::Continuous);
    let range = scan.evidence().range;
    is_number && name::is_weight(column) && range.is_some_and(|[least, _]| least >= 0.0)
}

/// Dates with day and month before the year, where all cells are.
fn guess_dates(scan: &Scan<'_>, usual: &Usual, doubts: &mut Vec<Doubt>) -> Option<Role> {
    let found = date_order(&scan.texts());
    let in_order = |order| move |text: &&str| crate::spelling::date_in_order(text, order).is_some();
    let only = |order: DateOrder| {
        let other = match order {
            DateOrder::DayFirst => DateOrder::MonthFirst,
            DateOrder::MonthFirst => DateOrder::DayFirst,
        };
        let is_proof = |text: &&str| in_order(order)(text) && !in_order(other)(text);
        scan.texts().find(is_proof).map(str::to_owned)
    };
    let (order, proof) = match found {
        FoundOrder::NotDates => return None,
        FoundOrder::Mixed => {
            return Some(Role::Ignored(Reason::MixedDates {
                day_first: only(DateOrder::DayFirst)?,
                month_first: only(DateOrder::MonthFirst)?,
            }));
        }
        FoundOrder::Proven(order) => (order, only(order)),
        FoundOrder::Ambiguous => (usual.date_order.unwrap_or(DateOrder::DayFirst), None),
    };
    // With points, and where another column proves it, nothing is in doubt.
    let is_sure = found != FoundOrder::Ambiguous && proof.is_none();
    if !is_sure {
        doubts.push(Doubt::DateOrder { order, proof });
    }
    let mut config = MetadataConfig::new(MetadataKind::Datetime);
    config.date_order = (usual.date_order != Some(order)).then_some(order);
    Some(Role::Metadata(config))
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
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "all are digits; saturates"
    )]
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
    let mut config = MetadataConfig::new(MetadataKind::Categorical);
    // Images are mirrored unless they have points, and sides must follow.
    config.flip.extend(sides(scan.texts()));
    let n_once = scan.counts.iter().filter(|count| **count == 1).count();
    if n_once * 2 > n_distinct && n_distinct > 4 {
        doubts.push(Doubt::RareCategories { n_once });
    }
    Role::Metadata(config)
}

impl fmt::Display for ColumnSchema {
    /// `zipcode: categorical (49 distinct, 36372 to 98021; looks like a number, …)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match &self.role {
            Role::Image => "image".to_owned(),
            Role::Target => "target".to_owned(),
            Role::Group => "group".to_owned(),
            Role::Split => "split".to_owned(),
            Role::Fold => "fold".to_owned(),
            Role::Time => "time".to_owned(),
            Role::Weight => "weight".to_owned(),
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
