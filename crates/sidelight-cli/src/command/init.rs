//! `sidelight init TABLE --target a[,b…]`

use std::path::{Path, PathBuf};

use anyhow::Context;
use sidelight::config::{MetadataConfig, NumberScale};
use sidelight::run::write_whole;
use sidelight::schema::{ColumnSchema, Role, Schema, Wishes, target_of};
use sidelight::table::Table as Rows;

use super::Answer;
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
    let rows = Rows::read(&args.table)?;
    let mut wishes = Wishes::new(target_of(&rows, &args.target)?);
    wishes.group.clone_from(&args.group);
    wishes.ignore.clone_from(&args.ignore);
    let schema = Schema::infer(&rows, &wishes)?;
    let toml = schema.to_toml(&relative(
        &args.table,
        if prints { Path::new("") } else { &out },
    )?);
    if prints {
        terminal.data(&toml)?;
        return Ok(Answer::Done);
    }
    terminal.table(&columns(&schema), args.printed.format)?;
    write_whole(&out, |file| file.write_all(toml.as_bytes()))?;
    terminal.say(format!(
        "read {}; wrote {}",
        count(rows.n_rows, "row"),
        out.display()
    ));
    terminal.say(format!("next: sidelight check {}", out.display()));
    Ok(Answer::Done)
}

/// Each column: its role, the evidence for it, and doubts.
fn columns(schema: &Schema) -> Table {
    let mut table = Table::new(["column", "is", "evidence", "remark"]);
    for column in &schema.columns {
        table.push([
            column.name.as_str().into(),
            role(&column.role).into(),
            column.evidence.to_string().into(),
            remark(column).into(),
        ]);
    }
    table
}

fn role(role: &Role) -> String {
    match role {
        Role::Image => "image".into(),
        Role::Target => "target".into(),
        Role::Group => "group".into(),
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
