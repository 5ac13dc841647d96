//! `sidelight init TABLE --target a[,b…]`

use std::path::{Path, PathBuf};

use anyhow::Context;
use sidelight::config::{
    Config, DataConfig, ImageColumns, MetadataConfig, MetadataKind, ModelConfig, NumberScale,
    TargetConfig, TargetKind, with_overrides,
};
use sidelight::dataset::image_sources;
use sidelight::image::{ImageSource, Limits, deep_range, read, usual_range};
use sidelight::network::backbone::{BACKBONES, Backbone};
use sidelight::network::weights;
use sidelight::run::write_whole;
use sidelight::schema::{
    ColumnSchema, Role, Schema, TargetWishes, Wishes, images_of, target_of_kind,
};
use sidelight::spelling::Spelling;
use sidelight::table::{Cell, Table as Rows};

use super::environment::Variables;
use super::{Answer, schema};
use crate::args::init::InitArgs;
use crate::refusal::Refusal;
use crate::terminal::{Table, Terminal, count};

/// Infers what the columns mean, prints the evidence, writes the configuration.
pub(crate) fn run(args: &InitArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("sidelight.toml"));
    let prints = out.as_os_str() == "-";
    if !prints && !args.overwrite && out.exists() {
        let message = format!("{} already exists", out.display());
        anyhow::bail!(Refusal::new(
            message,
            "choose another file with --out, or replace it with --overwrite",
        ));
    }
    if prints && args.schema {
        anyhow::bail!(Refusal::new(
            "a configuration that is printed has no folder for its schema",
            "leave out `--out -`, or print the schema with `sidelight schema`",
        ));
    }
    let Begun {
        toml,
        rows,
        schema,
        range,
        more_images,
    } = begin(args, if prints { Path::new("-") } else { &out })?;
    for remark in &rows.remarks {
        terminal.warn(remark);
    }
    if prints {
        terminal.data(&toml)?;
        return Ok(Answer::Done);
    }
    let toml = with_schema(toml, &out, args, terminal)?;
    terminal.table(&columns(&schema), args.printed.format)?;
    if let Some([low, high]) = range {
        terminal.say(format!(
            "images have more than 8 bits a channel: {low} is black and {high} white (`image.range`)"
        ));
    }
    if !more_images.is_empty() {
        let all: Vec<&String> = schema.images.iter().chain(&more_images).collect();
        let all: Vec<&str> = all.into_iter().map(String::as_str).collect();
        terminal.say(format!(
            "{} names images as well: --image {} gives the network all of a row",
            more_images.join(", "),
            all.join(",")
        ));
    }
    if let Some(date) = ordered_by(&rows, &schema) {
        terminal.say(format!(
            "rows are in the order of `{date}`: where later ones are to be predicted, --time {date} validates on the latest"
        ));
    }
    write_whole(&out, |file| file.write_all(toml.as_bytes()))?;
    terminal.say(format!(
        "read {}; wrote {}",
        count(rows.n_rows, "row"),
        out.display()
    ));
    terminal.say(format!("next: sidelight check {}", out.display()));
    Ok(Answer::Done)
}

/// The text with a first line for editors, where the schema is beside the file, or is to be.
fn with_schema(
    toml: String,
    out: &Path,
    args: &InitArgs,
    terminal: &mut Terminal,
) -> anyhow::Result<String> {
    let path = out.with_file_name(schema::FILE);
    let is_there = path.exists();
    if args.schema && (args.overwrite || !is_there) {
        schema::write(&path)?;
        terminal.say(format!("wrote {}", path.display()));
    } else if !is_there {
        return Ok(toml);
    }
    Ok(format!("{}\n{toml}", schema::directive(schema::FILE)))
}

/// A configuration that was begun, and what it is from.
pub(crate) struct Begun {
    /// Its text.
    pub(crate) toml: String,
    rows: Rows,
    schema: Schema,
    /// What is black and what is white, where images have more than 8 bits a channel.
    range: Option<[f32; 2]>,
    /// Columns that name images as well.
    more_images: Vec<String>,
}

/// Begins a configuration, to be written to `out`, or printed.
pub(crate) fn begin(args: &InitArgs, out: &Path) -> anyhow::Result<Begun> {
    let told = told(args)?;
    let rows = told.data.read_table()?;
    let mut wishes = wishes(args, &told, &rows)?;
    // A path with columns in braces is a column of its own from here on.
    let (rows, more_images) = with_images(args, &told, rows, &mut wishes)?;
    let schema = Schema::infer(&rows, &wishes)?;
    let folder_of = if out == Path::new("-") {
        Path::new("")
    } else {
        out
    };
    let toml = schema.to_toml(&relative(&args.table, folder_of)?);
    let range = deep_range_of(&rows, &schema, &told)?;
    let written = range.map(|[low, high]| format!("image.range=[{low}, {high}]"));
    let sets: Vec<String> = written
        .into_iter()
        .chain(args.overrides.set.iter().cloned())
        .collect();
    let toml = with_overrides(&toml, out, &sets)?;
    // What is written can be read.
    let model = Config::parse(&toml, out, &[])?.model;
    let toml = match backbone_of_weights(&model, &args.overrides.set)? {
        Some(backbone) => {
            let set = format!("model.backbone={}", backbone.name);
            with_overrides(&toml, out, &[set])?
        }
        None => toml,
    };
    Ok(Begun {
        toml,
        rows,
        schema,
        range,
        more_images,
    })
}

/// The backbone that the weights are for, where they are said and the backbone is not.
fn backbone_of_weights(
    model: &ModelConfig,
    sets: &[String],
) -> anyhow::Result<Option<&'static Backbone>> {
    let is_set = |field: &str| {
        let mut names = sets.iter().filter_map(|set| set.split_once('='));
        names.any(|(name, _)| name.trim() == field)
    };
    if !is_set("model.weights") || is_set("model.backbone") {
        return Ok(None);
    }
    Ok(match model.weights_on_hub()? {
        Some(name) => BACKBONES
            .iter()
            .find(|backbone| backbone.hub == name.repository()),
        None => match model.weights_file() {
            Ok(Some(path)) => weights::backbone_of(&path)?,
            _ => None,
        },
    })
}

/// What the command line says of the configuration to be written: its target is a stand-in.
fn told(args: &InitArgs) -> anyhow::Result<Config> {
    let mut sets = args.overrides.set.clone();
    // Of what it is to predict, and so of the network for it, nothing is known yet.
    sets.retain(|set| set.trim_start().starts_with("data."));
    let mut told = Config::new(&args.table, TargetConfig::class("target"));
    let text = toml_of(&told.target);
    told = Config::parse(
        &format!("data.table = {:?}\n{text}", args.table.to_string_lossy()),
        Path::new("--set"),
        &sets,
    )?;
    Variables::from_process().reach(&mut told.data.remote);
    Ok(told)
}

/// The target as a section of a configuration.
fn toml_of(target: &TargetConfig) -> String {
    let columns: Vec<String> = target
        .names()
        .iter()
        .map(|name| format!("{name:?}"))
        .collect();
    let (kind, columns) = (target.kind, columns.join(", "));
    match &target.column {
        Some(_) => format!("target = {{ kind = \"{kind}\", column = {columns} }}\n"),
        None => format!("target = {{ kind = \"{kind}\", columns = [{columns}] }}\n"),
    }
}

/// What the person said about the table.
fn wishes(args: &InitArgs, told: &Config, rows: &Rows) -> anyhow::Result<Wishes> {
    let target = of_target(args, told, rows)?;
    let data = &told.data;
    Ok(Wishes {
        group: args.group.clone().or_else(|| data.group.clone()),
        split: data.split.column.clone(),
        fold: data.fold.clone(),
        time: args.time.clone().or_else(|| data.time.clone()),
        weight: args.weight.clone().or_else(|| data.weight.clone()),
        decimal: data.decimal,
        date_order: data.date_order,
        ignore: args.ignore.iter().chain(&data.ignore).cloned().collect(),
        missing: data.missing.clone(),
        ..Wishes::new(target)
    })
}

/// The target that --target names, as its cells and the other arguments say it is.
fn of_target(args: &InitArgs, told: &Config, rows: &Rows) -> anyhow::Result<TargetConfig> {
    let sets: Vec<String> = args
        .overrides
        .set
        .iter()
        .filter(|set| set.trim_start().starts_with("target."))
        .cloned()
        .collect();
    // Of a target without columns all that is set can be read.
    let stand_in = |kind: TargetKind, columns: &TargetConfig| {
        let text = TargetConfig {
            kind,
            ..columns.clone()
        };
        Config::parse(
            &format!("data.table = \"t\"\n{}", toml_of(&text)),
            Path::new("--set"),
            &sets,
        )
    };
    let said: TargetConfig = match sets.is_empty() {
        true => TargetConfig::class("target"),
        false => {
            let wishes = TargetWishes {
                kind: Some(TargetKind::Regression),
                ..TargetWishes::default()
            };
            let columns = target_of_kind(rows, &args.target, &wishes)?;
            stand_in(columns.kind, &columns)?.target
        }
    };
    let sets_kind = sets
        .iter()
        .any(|set| set.trim_start().starts_with("target.kind"));
    let kind = args
        .kind
        .map(TargetKind::from)
        .or(sets_kind.then_some(said.kind));
    let wishes = TargetWishes {
        kind,
        missing: told
            .data
            .missing
            .iter()
            .chain(&said.missing)
            .cloned()
            .collect(),
        decimal: said.decimal.or(told.data.decimal),
    };
    let mut target = target_of_kind(rows, &args.target, &wishes)?;
    target.missing = said.missing;
    target.unit = target.unit.or(said.unit);
    target.frame = said.frame;
    target.validate()?;
    Ok(target)
}

/// The table with the columns of its images, as told or found, and the names of other columns that name images.
fn with_images(
    args: &InitArgs,
    told: &Config,
    rows: Rows,
    wishes: &mut Wishes,
) -> anyhow::Result<(Rows, Vec<String>)> {
    let said = match args.image.is_empty() {
        true => told.data.image.clone(),
        false => ImageColumns::from(args.image.clone()),
    };
    wishes.images_per_cell = told.data.images_per_cell;
    let mut others = Vec::new();
    let images = match said.names() {
        [name] if name == "file_name" => {
            let found = images_of(&rows, &wishes.target.names())?;
            wishes.images_per_cell = found.per_cell.max(wishes.images_per_cell);
            others = found.others;
            ImageColumns::from(found.image)
        }
        _ => said,
    };
    let rows = rows.with_paths(images.names())?;
    wishes.images = images.names().to_vec();
    Ok((rows, others))
}

/// The range of images with more than 8 bits a channel, from some of them, where it is not all of 16 bits.
fn deep_range_of(rows: &Rows, schema: &Schema, told: &Config) -> anyhow::Result<Option<[f32; 2]>> {
    const LOOKED_AT: usize = 20;
    let is_image = |column: &&ColumnSchema| column.role == Role::Image;
    let image = schema.columns.iter().find(is_image);
    let Some(column) = image.and_then(|image| rows.find(&image.name)) else {
        return Ok(None);
    };
    let step = (column.len() / LOOKED_AT).max(1);
    let some: Vec<usize> = (0..column.len())
        .step_by(step)
        .filter(|row| matches!(column.cell(*row), Cell::Text(_)))
        .collect();
    let data = DataConfig {
        image: schema.images.clone().into(),
        images_per_cell: schema.images_per_cell,
        ..told.data.clone()
    };
    let images = image_sources(rows, &data, &some)?;
    let present = images.iter().flat_map(ImageSource::present);
    let found = range_of(present).map(usual_range);
    Ok(found.filter(|found| *found != [0.0, 65_535.0]))
}

/// The least and the greatest value of these images; `None` if one has 8 bits, or cannot be read.
fn range_of<'a>(images: impl Iterator<Item = &'a ImageSource>) -> Option<[f32; 2]> {
    let mut range: Option<[f32; 2]> = None;
    for source in images {
        let limits = Limits::default();
        let bytes = match source.name().to_ascii_lowercase() {
            name if name.ends_with(".jpg") || name.ends_with(".jpeg") => return None,
            _ => read(source, &limits).ok()?,
        };
        let [least, greatest] = deep_range(&source.name(), &bytes, &limits).ok()??;
        range = Some(range.map_or([least, greatest], |[low, high]| {
            [low.min(least), high.max(greatest)]
        }));
    }
    range
}

/// A column of dates in whose order the first rows are, where nothing says yet how rows are divided.
fn ordered_by(rows: &Rows, schema: &Schema) -> Option<String> {
    const LOOKED_AT: usize = 1000;
    const LEAST: usize = 20;
    let divides =
        |column: &ColumnSchema| matches!(column.role, Role::Time | Role::Split | Role::Fold);
    if schema.columns.iter().any(divides) {
        return None;
    }
    let is_ordered = |(column, config): (&ColumnSchema, &MetadataConfig)| {
        let spelling = Spelling {
            date_order: config.date_order.or(schema.date_order),
            ..Spelling::default()
        };
        let cells = rows.find(&column.name)?;
        let time = |row| match cells.cell(row) {
            Cell::Text(text) => spelling.datetime(text),
            _ => None,
        };
        let times: Vec<f64> = (0..cells.len().min(LOOKED_AT)).filter_map(time).collect();
        let n_steps = times.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let is_so = n_steps >= LEAST
            && (times.is_sorted() || times.is_sorted_by(|first, second| first >= second));
        is_so.then(|| column.name.clone())
    };
    schema
        .metadata()
        .filter(|(_, config)| config.kind == MetadataKind::Datetime)
        .find_map(is_ordered)
}

/// Each column: its role, the evidence for it, and doubts.
fn columns(schema: &Schema) -> Table {
    let mut table = Table::new(["column", "is", "evidence", "remark"]);
    for column in &schema.columns {
        table.push([
            column.name.as_str().into(),
            role(schema, &column.role).into(),
            column.evidence.to_string().into(),
            remark(column).into(),
        ]);
    }
    table
}

fn role(schema: &Schema, role: &Role) -> String {
    match role {
        Role::Image => "image".into(),
        Role::Target => match schema.target.kind {
            TargetKind::Regression => "target, value".into(),
            TargetKind::Class => "target, class".into(),
            TargetKind::Multilabel => "target, classes".into(),
            TargetKind::Keypoints => "target, points".into(),
        },
        Role::Fold => "fold".into(),
        Role::Group => "group".into(),
        Role::Time => "time".into(),
        Role::Weight => "weight".into(),
        Role::Split => "split".into(),
        Role::Metadata(MetadataConfig {
            kind,
            scale: NumberScale::Linear,
            ..
        }) => format!("{kind:?}").to_lowercase(),
        Role::Metadata(MetadataConfig { kind, scale, .. }) => {
            format!("{kind:?}, {scale:?}").to_lowercase()
        }
        Role::Ignored(_) => "ignored".into(),
    }
}

fn remark(column: &ColumnSchema) -> String {
    let reason = match &column.role {
        Role::Ignored(reason) => Some(reason.to_string()),
        _ => None,
    };
    let doubts = column.doubts.iter().map(ToString::to_string);
    reason
        .into_iter()
        .chain(doubts)
        .collect::<Vec<_>>()
        .join("; ")
}

/// The table's path relative to the folder of the `file` that names it if it lies in or below that folder, else absolute.
fn relative(table: &Path, file: &Path) -> anyhow::Result<PathBuf> {
    let absolute = |path: &Path| {
        std::path::absolute(path).with_context(|| format!("cannot resolve {}", path.display()))
    };
    let table = absolute(table)?;
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    Ok(table
        .strip_prefix(absolute(folder)?)
        .map(Path::to_path_buf)
        .unwrap_or(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_beside_or_below_the_file_is_named_relative_to_it_and_others_in_full() {
        let named = |table: &str, file: &str| relative(Path::new(table), Path::new(file)).unwrap();
        assert_eq!(
            named("/data/a/t.csv", "/data/a/sidelight.toml"),
            Path::new("t.csv")
        );
        assert_eq!(
            named("/data/a/t.csv", "/data/sidelight.toml"),
            Path::new("a/t.csv")
        );
        assert_eq!(
            named("/data/a/t.csv", "/other/sidelight.toml"),
            Path::new("/data/a/t.csv")
        );
        assert_eq!(named("t.csv", "sidelight.toml"), Path::new("t.csv"));
    }
}
