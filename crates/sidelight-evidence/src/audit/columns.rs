//! Which columns are looked at, and as what.

use std::collections::{BTreeMap, HashSet};

use sidelight_data::config::{Config, MetadataConfig, MetadataEntry, MetadataKind};
use sidelight_data::error::Result;
use sidelight_data::schema::{self, Reason, Role, Schema, Wishes};
use sidelight_data::table::{Cell, Column, Table};

/// What is known of a column before its power is measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    /// How it is read.
    pub(super) config: MetadataConfig,
    /// Whether the configuration has it as metadata.
    pub(super) used: bool,
    /// It tells of the image's file.
    pub(super) from_file: bool,
    /// Why it would not be taken for metadata, if so.
    pub(super) reason: Option<Reason>,
}

/// What an image's file says, and as what it is read. Width, height and size are those the network may see
/// through the resizing; the rest is what a camera or a clinic wrote.
const FILE: [(&str, MetadataKind); 22] = [
    ("image.width", MetadataKind::Continuous),
    ("image.height", MetadataKind::Continuous),
    ("image.bytes", MetadataKind::Continuous),
    ("exif.Make", MetadataKind::Categorical),
    ("exif.Model", MetadataKind::Categorical),
    ("exif.Software", MetadataKind::Categorical),
    ("exif.Orientation", MetadataKind::Categorical),
    ("exif.ExposureTime", MetadataKind::Continuous),
    ("exif.FNumber", MetadataKind::Continuous),
    ("exif.PhotographicSensitivity", MetadataKind::Continuous),
    ("exif.FocalLength", MetadataKind::Continuous),
    ("exif.Flash", MetadataKind::Categorical),
    ("dicom.PatientAge", MetadataKind::Continuous),
    ("dicom.PatientSex", MetadataKind::Categorical),
    ("dicom.Modality", MetadataKind::Categorical),
    ("dicom.BodyPartExamined", MetadataKind::Categorical),
    ("dicom.ViewPosition", MetadataKind::Categorical),
    ("dicom.ImageLaterality", MetadataKind::Categorical),
    ("dicom.Manufacturer", MetadataKind::Categorical),
    ("dicom.ManufacturerModelName", MetadataKind::Categorical),
    ("dicom.InstitutionName", MetadataKind::Categorical),
    ("dicom.KVP", MetadataKind::Continuous),
];

/// Whether a column of this name is read from the image's file.
fn is_of_file(name: &str) -> bool {
    ["image.", "exif.", "dicom."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Every column that is not image, target, group or part, whether the configuration uses it or not, and facts of
/// the files. Beside them the column that says which part a row belongs to, where nobody said.
///
/// # Errors
///
/// As [`Schema::infer`].
pub(super) fn candidates(
    table: &Table,
    config: &Config,
    with_images: bool,
) -> Result<(BTreeMap<String, Candidate>, Option<String>)> {
    let wishes = Wishes {
        target: config.target.clone(),
        // What is ignored is looked at all the same.
        ignore: Vec::new(),
        ..Wishes::from_config(table, config)?
    };
    let schema = Schema::infer(table, &wishes)?;
    let mut found = BTreeMap::new();
    let mut part = None;
    let by_name = table.by_name();
    let ignored: HashSet<&String> = config.data.ignore.iter().collect();
    for column in &schema.columns {
        let Some(cells) = by_name.get(column.name.as_str()) else {
            continue;
        };
        // Where the configuration names none, training reads those that are inferred.
        let is_used = match &column.role {
            Role::Metadata(_) => config.metadata.is_empty() && !ignored.contains(&column.name),
            _ => false,
        };
        let (config, reason) = match &column.role {
            Role::Metadata(config) => {
                let mut config = config.clone();
                config.decimal = config.decimal.or(schema.decimal);
                config.date_order = config.date_order.or(schema.date_order);
                (config, None)
            }
            Role::Ignored(reason) => {
                if reason.is_part() {
                    part = part.or(Some(column.name.clone()));
                }
                (MetadataConfig::new(plain_kind(cells)), Some(reason.clone()))
            }
            Role::Fold => continue,
            Role::Split => {
                part = part.or(Some(column.name.clone()));
                continue;
            }
            Role::Image | Role::Target | Role::Group | Role::Time | Role::Weight => continue,
        };
        let candidate = Candidate {
            config,
            used: is_used,
            from_file: is_of_file(&column.name),
            reason,
        };
        found.insert(column.name.clone(), candidate);
    }
    if with_images {
        for (name, kind) in FILE.iter().filter(|(name, _)| table.find(name).is_none()) {
            let candidate = Candidate {
                config: MetadataConfig::new(*kind),
                used: false,
                from_file: true,
                reason: None,
            };
            found.insert((*name).to_owned(), candidate);
        }
    }
    for (name, entry) in &config.metadata {
        let config = entry.full();
        // A pattern takes a part of the column, which may be honest.
        let whole = config.pattern.is_none();
        let source = config.from.as_ref().unwrap_or(name);
        let reason = found.get(source).filter(|_| whole);
        let candidate = Candidate {
            reason: reason.and_then(|source| source.reason.clone()),
            used: true,
            from_file: is_of_file(source),
            config,
        };
        found.insert(name.clone(), candidate);
    }
    Ok((found, part))
}

/// The configuration with every candidate as metadata.
pub(super) fn with_all(
    config: &Config,
    candidates: &BTreeMap<String, Candidate>,
    part: Option<String>,
) -> Config {
    let mut config = config.clone();
    let entry = |(name, candidate): (&String, &Candidate)| {
        (name.clone(), MetadataEntry::Full(candidate.config.clone()))
    };
    config.metadata = candidates.iter().map(entry).collect();
    config.data.split.column = config.data.split.column.or(part);
    config
}

/// What a column holds that nobody would take for metadata: numbers where all cells are, else names.
fn plain_kind(column: &Column) -> MetadataKind {
    let is_number = |row| match column.cell(row) {
        Cell::Missing => true,
        cell => schema::number(cell).is_some(),
    };
    match (0..column.len()).all(is_number) {
        true => MetadataKind::Continuous,
        false => MetadataKind::Categorical,
    }
}
