//! A `sidelight.toml` that a person can read and edit, every column with the evidence for what it is said to be.

use std::fmt::Write as _;
use std::path::Path;

use super::scan::short;
use super::{ColumnSchema, Doubt, Reason, Role, Schema};
use crate::config::{
    ImageColumns, MetadataConfig, NumberScale, TargetKind, TargetScale, collapse_range, key,
};

/// Fewer groups can hardly be divided into parts.
const LEAST_GROUPS: usize = 10;

impl Schema {
    /// The configuration file that `init` writes: what was inferred, column by column with the evidence, what was
    /// left out with the reason, and the settings that one is likely to want.
    ///
    /// `table` is written as it is: a path relative to the file's folder, or an absolute one. The result reads
    /// with [`Config::parse`](crate::config::Config::parse).
    pub fn to_toml(&self, table: &Path) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self
            .write_data(&mut out, table)
            .and_then(|()| self.write_target(&mut out));
        let _ = self.write_metadata(&mut out);
        let arm = match self.metadata().next() {
            Some(_) => "both",
            None => "image",
        };
        out + &SETTINGS.replace("ARM", arm)
    }

    fn write_data(&self, out: &mut String, table: &Path) -> std::fmt::Result {
        let n_rows = self
            .columns
            .first()
            .map_or(0, |column| column.evidence.n_rows);
        writeln!(
            out,
            "# {n_rows} rows, {} columns. Edit what is wrong: a line with a leading # is not in use.\n",
            self.columns.len()
        )?;
        writeln!(out, "[data]")?;
        // As a string, whatever the system's separator: `/` works on all.
        writeln!(out, "table = {}", string(&table.to_string_lossy()))?;
        let images = ImageColumns::from(self.images.clone());
        writeln!(out, "image = {}", images.to_toml())?;
        if self.images_per_cell > 1 {
            writeln!(
                out,
                "images_per_cell = {}  # at most; `model.image_pooling` says how they are joined",
                self.images_per_cell
            )?;
        }
        if let Some(group) = self.with_role(&Role::Group).next() {
            writeln!(
                out,
                "group = {}  # {}; never divided between parts",
                string(&group.name),
                group.evidence
            )?;
        } else if let Some(group) = self
            .suggested_group
            .as_ref()
            .and_then(|name| self.column(name))
        {
            // Left out by mistake, a group flatters every score; put in by mistake, it costs nothing.
            let off = if group.evidence.n_distinct < LEAST_GROUPS {
                "# "
            } else {
                ""
            };
            writeln!(
                out,
                "{off}group = {}  # found: {}; never divided between parts",
                string(&group.name),
                group.evidence
            )?;
        }
        // Rows are divided by time or as the table says, not by both.
        let time = self.with_role(&Role::Time).next();
        if let Some(time) = time {
            writeln!(
                out,
                "time = {}  # {}; training validates on the latest rows",
                string(&time.name),
                time.evidence
            )?;
        }
        if let Some(weight) = self.with_role(&Role::Weight).next() {
            writeln!(
                out,
                "weight = {}  # {}; how much each row counts in the loss and in every metric",
                string(&weight.name),
                weight.evidence
            )?;
        }
        let split = self.with_role(&Role::Split).next();
        if let Some(split) = split.filter(|_| time.is_none()) {
            writeln!(
                out,
                "split = {{ column = {} }}  # {}",
                string(&split.name),
                split.evidence
            )?;
        } else {
            let part = self
                .columns
                .iter()
                .find(|column| matches!(&column.role, Role::Ignored(reason) if reason.is_part()));
            if let Some(part) = part {
                writeln!(
                    out,
                    "# split = {{ column = {} }}  # {}",
                    string(&part.name),
                    role_in_words(part)
                )?;
            }
            writeln!(out, "split = {{ valid = 0.2, seed = 0, stratify = true }}")?;
        }
        if let Some(fold) = self.with_role(&Role::Fold).next() {
            let off = if time.is_some() { "# " } else { "" };
            writeln!(
                out,
                "{off}fold = {}  # {}; `compare` holds them out, training validates on the first",
                string(&fold.name),
                fold.evidence
            )?;
        }
        if let Some(decimal) = self.decimal {
            writeln!(
                out,
                "decimal = \"{}\"  # what stands before the decimals of numbers",
                decimal.sign()
            )?;
        }
        if let Some(order) = self.date_order {
            let proof = self
                .columns
                .iter()
                .flat_map(|column| &column.doubts)
                .find_map(|doubt| match doubt {
                    Doubt::DateOrder {
                        proof: Some(proof), ..
                    } => Some(format!("`{proof}` shows it")),
                    _ => None,
                });
            writeln!(
                out,
                "date_order = \"{}\"  # {}",
                order.name(),
                proof.unwrap_or_else(|| "or the other one: dates fit both".into())
            )?;
        }
        let names = self
            .columns
            .iter()
            .flat_map(|column| &column.doubts)
            .filter_map(|doubt| match doubt {
                Doubt::MissingName { name, .. } => Some(name.as_str()),
                _ => None,
            });
        let names: std::collections::BTreeSet<&str> = names.collect();
        if !names.is_empty() {
            let spellings = crate::config::default_missing();
            let spellings: Vec<String> = spellings.iter().map(|name| string(name)).collect();
            writeln!(
                out,
                "missing = [{}]  # beside the empty cell; take {} out if it is a name",
                spellings.join(", "),
                names.into_iter().map(string).collect::<Vec<_>>().join(", ")
            )?;
        }
        let told: Vec<String> = self
            .columns
            .iter()
            .filter(|column| column.role == Role::Ignored(Reason::Told))
            .map(|column| string(&column.name))
            .collect();
        if !told.is_empty() {
            writeln!(out, "ignore = [{}]", told.join(", "))?;
        }
        writeln!(out)
    }

    fn write_target(&self, out: &mut String) -> std::fmt::Result {
        let target = &self.target;
        let kind = format!("{:?}", target.kind).to_lowercase();
        writeln!(out, "[target]")?;
        writeln!(
            out,
            "kind = \"{kind}\"  # keypoints | class | multilabel | regression"
        )?;
        if let Some(decimal) = target.decimal {
            writeln!(out, "decimal = \"{}\"", decimal.sign())?;
        }
        if let Some(unit) = &target.unit {
            writeln!(out, "unit = {}  # beside each number", string(unit))?;
        }
        if let Some(name) = &target.column {
            let evidence = self
                .column(name)
                .map(|column| format!("  # {}", role_in_words(column)))
                .unwrap_or_default();
            writeln!(out, "column = {}{evidence}", string(name))?;
        } else {
            let names: Vec<String> = collapse_range(&target.columns)
                .iter()
                .map(|name| string(name))
                .collect();
            let n = target.columns.len();
            let what = if target.kind == TargetKind::Keypoints {
                format!("{} points", n / 2)
            } else {
                format!("{n} columns")
            };
            writeln!(out, "columns = [{}]  # {what}", names.join(", "))?;
        }
        let range = target
            .column
            .as_ref()
            .and_then(|name| self.column(name))
            .and_then(|column| column.evidence.range);
        match (target.kind, target.scale) {
            (TargetKind::Regression, TargetScale::Log) => {
                let over = range
                    .map(|[a, b]| format!(" over a factor of {}", short((b / a).round())))
                    .unwrap_or_default();
                writeln!(
                    out,
                    "scale = \"log\"  # positive and skewed{over}: errors count in proportion; or \"linear\""
                )?;
            }
            (TargetKind::Regression, TargetScale::Linear) => {
                writeln!(out, "# scale = \"log\"  # for positive, skewed values")?
            }
            (TargetKind::Keypoints, _) => {
                writeln!(
                    out,
                    "# frame = \"upright\"  # points were made on pictures turned as EXIF says; default: as they are stored"
                )?;
                writeln!(
                    out,
                    "# missing = [\"0\"]  # cells of the target that say a point was not set"
                )?;
                writeln!(
                    out,
                    "# symmetric = [[0, 1]]  # points that swap when the image is mirrored (`augment.flip`)"
                )?;
                writeln!(
                    out,
                    "# normalizer = {{ between = [0, 1] }}  # errors in shares of this distance; default: the diagonal"
                )?;
            }
            _ => {}
        }
        writeln!(out)
    }

    fn write_metadata(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "[metadata]  # boolean | continuous | categorical | datetime"
        )?;
        let lines: Vec<(String, String)> = self
            .metadata()
            .map(|(column, config)| {
                (
                    format!("{} = {}", key(&column.name), entry(config)),
                    role_in_words(column),
                )
            })
            .collect();
        if lines.is_empty() {
            writeln!(out, "# no column can serve as metadata")?;
        }
        write_aligned(out, &lines)?;
        let left_out: Vec<(String, String)> = self
            .columns
            .iter()
            .filter(|column| match &column.role {
                Role::Ignored(reason) => *reason != Reason::Told && !reason.is_part(),
                _ => false,
            })
            .map(|column| {
                let kind = if column.evidence.range.is_some() {
                    "continuous"
                } else {
                    "categorical"
                };
                (
                    format!("# {} = \"{kind}\"", key(&column.name)),
                    role_in_words(column),
                )
            })
            .collect();
        if !left_out.is_empty() {
            writeln!(out, "# Left out, with the reason:")?;
            write_aligned(out, &left_out)?;
        }
        writeln!(out)
    }

    fn with_role(&self, role: &Role) -> impl Iterator<Item = &ColumnSchema> {
        self.columns
            .iter()
            .filter(move |column| column.role == *role)
    }
}

/// What follows the data: the settings that one is likely to want, with their defaults.
const SETTINGS: &str = r#"[model]
backbone = "mobilenet_v2"  # `sidelight backbones` lists them: small_cnn, resnet18, …; none: metadata only
weights = "auto"  # pretrained: the backbone's own, downloaded once from the Hugging Face hub; or org/name there, a .pth or .safetensors file, or none
arm = "ARM"  # image | metadata | both

[train]
epochs = 10
size = 128  # side of the network's input in pixels; 224 is what most pretrained weights saw
batch = 32
learning_rate = 2e-3
"#;

/// Lines with their comments, aligned where a line is short enough.
fn write_aligned(out: &mut String, lines: &[(String, String)]) -> std::fmt::Result {
    let width = lines
        .iter()
        .map(|(line, _)| line.chars().count())
        .filter(|width| *width <= 44)
        .max()
        .unwrap_or(0);
    for (line, comment) in lines {
        writeln!(out, "{line:width$}  # {comment}")?;
    }
    Ok(())
}

/// The evidence and the doubts; for a column that is not used, the reason first.
fn role_in_words(column: &ColumnSchema) -> String {
    let mut words = match &column.role {
        Role::Ignored(reason) => format!("{reason}; {}", column.evidence),
        _ => column.evidence.to_string(),
    };
    for doubt in &column.doubts {
        let _ = write!(words, "; {doubt}");
    }
    // A comment ends with its line.
    words
        .replace(['\n', '\r'], " ")
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

fn entry(config: &MetadataConfig) -> String {
    let kind = format!("{:?}", config.kind).to_lowercase();
    let mut more = String::new();
    if config.scale != NumberScale::Linear {
        more += &format!(
            ", scale = \"{}\"",
            format!("{:?}", config.scale).to_lowercase()
        );
    }
    if let Some(decimal) = config.decimal {
        more += &format!(", decimal = \"{}\"", decimal.sign());
    }
    if let Some(unit) = &config.unit {
        more += &format!(", unit = {}", string(unit));
    }
    if let Some(order) = config.date_order {
        more += &format!(", date_order = \"{}\"", order.name());
    }
    if let [[a, b]] = &config.flip[..] {
        more += &format!(", flip = [[{}, {}]]", string(a), string(b));
    }
    match more.is_empty() {
        true => format!("\"{kind}\""),
        false => format!("{{ kind = \"{kind}\"{more} }}"),
    }
}

fn string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
