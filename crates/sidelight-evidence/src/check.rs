//! Every problem of table and images, listed at once.

mod doubts;
mod images;
mod problem;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use sidelight_data::config::{Arm, Config};
use sidelight_data::dataset::{self, Dataset, Findings, MetadataValues, Targets};
use sidelight_data::error::{self, Error, Result, nearest};
use sidelight_data::schema::{Doubt, Reason, Role, Schema, Wishes};
use sidelight_data::split::{self, SplitRows};
use sidelight_data::table::Table;

use problem::listed;
pub use problem::{Problem, ProblemKind, Severity};

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// Rows of the table.
    pub n_rows: usize,
    /// Rows that training would use: those with a target, or a sample of them.
    pub n_used: usize,
    /// Images that were read and decoded.
    pub n_images: usize,
    /// Everything that is wrong or doubtful: errors first.
    pub problems: Vec<Problem>,
    /// What is not wrong, but should be said.
    pub remarks: Vec<String>,
    /// What training would begin with, where it can.
    pub ready: Option<Ready>,
}

/// What training begins with.
#[derive(Debug)]
pub struct Ready {
    /// The configuration with its metadata columns written out.
    pub config: Config,
    /// The rows.
    pub dataset: Dataset,
    /// How they are divided.
    pub rows: SplitRows,
}

impl Report {
    /// Problems that training would stop at.
    pub fn n_errors(&self) -> usize {
        self.problems
            .iter()
            .filter(|problem| problem.severity() == Severity::Error)
            .count()
    }
    /// Problems that training would pass over.
    pub fn n_warnings(&self) -> usize {
        self.problems.len() - self.n_errors()
    }
}

/// Reads the table, gives its columns their meaning and decodes every image, and lists all that is wrong.
///
/// `progress` is told the number of images done and of all images, from any thread.
/// Images are left alone where the arm reads none.
///
/// # Errors
///
/// Only where the table itself cannot be read; everything else is a [`Problem`].
///
/// # Example
///
/// ```
/// use sidelight_data::config::Config;
/// use sidelight_evidence::check::check;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("t.csv"), "file_name,price,beds\n1.jpg,100,4\n2.jpg,200,lots\n")?;
/// let text = r#"
///     data.table = "t.csv"
///     target = { kind = "regression", column = "price" }
///     metadata.beds = "continuous"
/// "#;
/// let config = Config::parse(text, &folder.path().join("t.toml"), &[])?;
/// let report = check(&config, &|_done, _all| {})?;
/// let lines: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
/// assert!(lines[0].starts_with("column `beds`: 1 cell is not a number: `lots` in"));
/// assert!(lines[1].starts_with("2 of 2 images are not there"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check(config: &Config, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Report> {
    let table = config.data.read_table()?;
    let mut problems = Vec::new();

    // A column that is not there is listed below.
    let wishes = Wishes::from_config(&table, config);
    let schema = wishes
        .and_then(|wishes| Schema::infer(&table, &wishes))
        .ok();
    let (resolved, mut remarks) = match &schema {
        Some(schema) => schema.resolve(config),
        None => (config.clone(), Vec::new()),
    };
    let (dataset, findings) = dataset::inspect(&table, &resolved)?;
    remarks.extend(dataset.remarks.iter().cloned());

    weights(&resolved, &mut problems);
    columns(&table, &resolved, &findings, &mut problems);
    if let Some(schema) = &schema {
        disguises(
            schema,
            &resolved,
            !config.metadata.is_empty(),
            &findings,
            &mut problems,
        );
    }
    row_weights(&dataset, &resolved, &findings, &mut problems);
    targets(&dataset, &resolved, &table, &mut problems);
    if let Some(schema) = &schema {
        target_column(schema, &resolved, &mut problems);
    }
    // What is known of every column takes room that images will need.
    drop(schema);
    doubts::all(&dataset, &resolved, &table, &mut problems);
    empty_columns(&dataset, &findings, &mut problems);
    let divided = groups(&dataset, &table, &resolved, &mut problems);

    // Without rows or images there is nothing to divide or decode, and that was said above.
    let (mut n_images, mut divided_rows) = (0, None);
    let no_images = findings
        .absent
        .iter()
        .any(|absent| absent.field == "data.image");
    if !dataset.is_empty() {
        let parts = match split::split(&dataset, &resolved.data.split) {
            Ok(split) => {
                remarks.extend(split.remarks.iter().cloned());
                Some(split)
            }
            Err(Error::GroupInTwoParts { .. }) if divided => None,
            Err(error) => {
                let sentence = error.to_string();
                problems.push(Problem::from_error(ProblemKind::NoSplit, sentence, &error));
                None
            }
        };
        if resolved.model.arm != Arm::Metadata && !no_images {
            n_images = images::check(
                &table,
                &dataset,
                &findings,
                &resolved,
                parts.as_ref(),
                progress,
                &mut problems,
            );
        }
        divided_rows = parts;
    }
    problems.sort_by_key(Problem::severity);
    let n_used = dataset.len();
    let ready = divided_rows.map(|rows| Ready {
        config: resolved,
        dataset,
        rows,
    });
    Ok(Report {
        n_rows: table.n_rows,
        n_used,
        n_images,
        problems,
        remarks,
        ready,
    })
}

fn weights(config: &Config, problems: &mut Vec<Problem>) {
    let path = &config.model.weights;
    if config.model.weights_are_a_file() && !std::path::Path::new(path).is_file() {
        problems.push(Problem::new(
            ProblemKind::NoWeights,
            format!("`model.weights`: no file {path}"),
            "a path is relative to the folder of the configuration",
        ));
    }
}

/// Columns that are not there, and cells that are not what their column holds.
fn columns(table: &Table, config: &Config, findings: &Findings, problems: &mut Vec<Problem>) {
    let mut absent: Vec<(String, String)> = findings
        .absent
        .iter()
        .map(|absent| (absent.field.clone(), absent.column.clone()))
        .collect();
    // A table of new rows may have no target; one to train on may not.
    let targets = config.target.names();
    if targets.iter().all(|name| table.find(name).is_none()) {
        absent.extend(targets.into_iter().map(|name| ("target".to_owned(), name)));
    }
    let by_name = table.by_name();
    let ignored = config
        .data
        .ignore
        .iter()
        .filter(|name| !by_name.contains_key(name.as_str()));
    absent.extend(ignored.map(|name| ("data.ignore".to_owned(), name.clone())));
    let names = table.names();
    for (field, name) in absent {
        problems.push(Problem::new(
            ProblemKind::UnknownColumn,
            format!("`{field}`: no column `{name}` in {}", table.path.display()),
            match nearest(&name, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the table has: {}", error::listed(&names)),
            },
        ));
    }
    for misread in &findings.misread {
        let (column, count) = (&misread.column, misread.count);
        let mut found: Vec<&str> = misread.first.iter().map(|(_, found)| &**found).collect();
        found.dedup();
        let first = misread.first.iter();
        let first = first.map(|(row, found)| format!("`{found}` in {}", table.row_place(*row)));
        let are = if count == 1 { "cell is" } else { "cells are" };
        problems.push(Problem::new(
            ProblemKind::Cells,
            format!(
                "column `{column}`: {count} {are} not {}: {}",
                misread.expected,
                listed(first, count)
            ),
            error::cell_hint(misread.expected, found.first().copied().unwrap_or_default()),
        ));
    }
    let count = findings.no_image.len();
    if count > 0 {
        let rows = if count == 1 { "row names" } else { "rows name" };
        let first = findings.no_image.iter().map(|row| table.row_place(*row));
        problems.push(Problem::new(
            ProblemKind::NoImageName,
            format!("{count} {rows} no image: {}", listed(first, count)),
            "leave these rows out of the table",
        ));
    }
}

/// Weights of rows that are 0 throughout; those that are none were said among the cells.
fn row_weights(
    dataset: &Dataset,
    config: &Config,
    findings: &Findings,
    problems: &mut Vec<Problem>,
) {
    let (Some(weights), Some(column)) = (&dataset.weights, &config.data.weight) else {
        return;
    };
    if findings
        .misread
        .iter()
        .any(|misread| misread.column == *column)
    {
        return;
    }
    let rows: Vec<usize> = (0..dataset.len()).collect();
    if let Err(error) = weights.check(column, &rows, "the rows") {
        let sentence = error.to_string();
        problems.push(Problem::from_error(ProblemKind::Cells, sentence, &error));
    }
}

/// Metadata that gives the target away, or is none.
fn disguises(
    schema: &Schema,
    config: &Config,
    named: bool,
    findings: &Findings,
    problems: &mut Vec<Problem>,
) {
    let entries = config
        .metadata
        .iter()
        .map(|(name, entry)| (name, entry.full()));
    // A pattern takes a part of the column, which may be honest.
    let used: HashSet<String> = entries
        .filter(|(_, entry)| named && entry.pattern.is_none())
        .map(|(name, entry)| entry.from.unwrap_or_else(|| name.clone()))
        .collect();
    let misread: HashSet<&str> = findings
        .misread
        .iter()
        .map(|misread| misread.column.as_str())
        .collect();
    for column in &schema.columns {
        let Role::Ignored(reason) = &column.role else {
            continue;
        };
        let name = &column.name;
        let used = used.contains(name);
        match reason {
            Reason::Target(disguise) => problems.push(Problem::new(
                ProblemKind::TargetInDisguise,
                format!("column `{name}`: {disguise}"),
                match used {
                    true => format!(
                        "take `{name}` out of [metadata], unless it is known before the target is"
                    ),
                    false => format!("`{name}` is not used; leave it so"),
                },
            )),
            // Where cells do not read as what the column is said to be, that is the thing to say.
            Reason::Identifier | Reason::Subject | Reason::Constant | Reason::Visibility
                if used && !misread.contains(name.as_str()) =>
            {
                problems.push(Problem::new(
                    ProblemKind::DoubtfulColumn,
                    format!("metadata `{name}`: {reason}"),
                    match reason {
                        Reason::Subject => {
                            format!("take it out of [metadata] and set `data.group = {name:?}`")
                        }
                        _ => "take it out of [metadata]".into(),
                    },
                ));
            }
            _ => {}
        }
    }
}

/// Classes that cannot be learned, and tables without targets.
fn targets(dataset: &Dataset, config: &Config, table: &Table, problems: &mut Vec<Problem>) {
    let column = config.target.names().into_iter().next().unwrap_or_default();
    match &dataset.targets {
        Some(_) if dataset.is_empty() => problems.push(Problem::new(
            ProblemKind::NoTarget,
            format!("target `{column}`: empty in all {} rows", table.n_rows),
            "is this the right target column?",
        )),
        Some(Targets::Class { names, index }) => classes(&column, names, index, problems),
        Some(Targets::Multilabel { names, present }) => labels(names, present, problems),
        _ => {}
    }
}

/// What is doubtful about the cells of the target's column.
fn target_column(schema: &Schema, config: &Config, problems: &mut Vec<Problem>) {
    let names = config.target.names();
    let columns = schema
        .columns
        .iter()
        .filter(|column| names.contains(&column.name));
    for (column, doubt) in
        columns.flat_map(|column| column.doubts.iter().map(move |doubt| (&column.name, doubt)))
    {
        match doubt {
            Doubt::MissingName { name, n_rows } => problems.push(Problem::new(
                ProblemKind::MissingName,
                format!("target `{column}`: {n_rows} rows are left out since their cells say `{name}`, which is read as missing"),
                format!("if `{name}` is a class, take it out of `data.missing` (`data.missing = []` leaves the empty cell alone)"),
            )),
            Doubt::FarOut { .. } => problems.push(Problem::new(
                ProblemKind::FarOut,
                format!("target `{column}`: {doubt}"),
                "one such value outweighs all others: correct it, leave its row out, or add it to `target.missing`",
            )),
            _ => {}
        }
    }
}

fn classes(column: &str, names: &[String], index: &[Option<u32>], problems: &mut Vec<Problem>) {
    let mut counts = vec![0; names.len()];
    for class in index.iter().flatten() {
        counts[*class as usize] += 1;
    }
    let counted = || names.iter().zip(&counts);
    let present: Vec<&String> = counted()
        .filter(|(_, n)| **n > 0)
        .map(|(name, _)| name)
        .collect();
    if let [only] = present[..] {
        problems.push(Problem::new(
            ProblemKind::OneClass,
            format!("column `{column}`: `{only}` is the only class"),
            "is this the right target column?",
        ));
    }
    let rare: Vec<String> = counted()
        .filter(|(_, n)| **n == 1)
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    if !rare.is_empty() {
        let have = if rare.len() == 1 {
            "class has"
        } else {
            "classes have"
        };
        problems.push(Problem::new(
            ProblemKind::ClassesOfOneRow,
            format!(
                "column `{column}`: {} {have} one row only: {}",
                rare.len(),
                listed(&rare, rare.len())
            ),
            "a class needs two rows to be learned and scored",
        ));
    }
}

fn labels(names: &[String], present: &[Option<bool>], problems: &mut Vec<Problem>) {
    for (label, name) in names.iter().enumerate() {
        let known = present.iter().skip(label).step_by(names.len()).flatten();
        let (n_with, n_known) = known.fold((0, 0), |(with, known), present| {
            (with + usize::from(*present), known + 1)
        });
        if n_with == 0 || n_with == n_known {
            let has = if n_with > 0 { "every" } else { "no" };
            problems.push(Problem::new(
                ProblemKind::OneSidedLabel,
                format!("label `{name}`: {has} row has it, of the {n_known} where it is known"),
                "leave the label out: there is nothing to learn",
            ));
        }
    }
}

fn empty_columns(dataset: &Dataset, findings: &Findings, problems: &mut Vec<Problem>) {
    let absent: HashSet<&str> = findings
        .absent
        .iter()
        .map(|absent| absent.field.as_str())
        .collect();
    for column in &dataset.metadata.columns {
        let field = format!("metadata.{}", sidelight_data::config::key(&column.name));
        if absent.contains(field.as_str()) {
            continue;
        }
        let values: &MetadataValues = &column.values;
        if !values.is_empty() && values.n_missing() == values.len() {
            problems.push(Problem::new(
                ProblemKind::EmptyColumn,
                format!(
                    "metadata `{}`: missing in all {} rows",
                    column.name,
                    values.len()
                ),
                "take it out of [metadata]: it can say nothing",
            ));
        }
    }
}

/// Groups that the split column divides. Whether there are any.
fn groups(dataset: &Dataset, table: &Table, config: &Config, problems: &mut Vec<Problem>) -> bool {
    let (divided, n_groups) = dataset.divided_groups();
    let (Some(column), false) = (&config.data.group, divided.is_empty()) else {
        return false;
    };
    let name = |row: &usize| {
        let cell = table.find(column)?.cell(dataset.rows[*row]);
        Some(format!("`{}`", cell.to_text()?.trim()))
    };
    let n_divided = divided.len();
    let are = if n_divided == 1 { "is" } else { "are" };
    problems.push(Problem::new(
        ProblemKind::DividedGroups,
        format!(
            "{n_divided} of {n_groups} values of group `{column}` {are} in several parts of the split column: {}",
            listed(divided.iter().filter_map(name), n_divided)
        ),
        "scores on such a split are too optimistic: leave `data.split.column` out, and the group is kept whole",
    ));
    true
}
