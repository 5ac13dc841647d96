//! Every problem of table and images, listed at once.

mod images;
mod problem;
#[cfg(test)]
mod tests;

use sidelight_data::config::{Arm, Config};
use sidelight_data::dataset::{self, Dataset, Findings, MetadataValues, Targets};
use sidelight_data::error::{Error, Result};
use sidelight_data::schema::{self, Reason, Role, Schema, Wishes};
use sidelight_data::split;
use sidelight_data::table::Table;

pub use problem::{OutsidePoint, Problem, Severity};

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
/// use sidelight_data::{check::check, config::Config};
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
    let table = Table::read_with(&config.data.table, &config.data.remote)?;
    let mut problems = Vec::new();
    let mut remarks = Vec::new();

    let schema = infer(&table, config);
    let mut resolved = config.clone();
    if config.metadata.is_empty() {
        match schema::resolve(&table, config) {
            Ok((config, said)) => {
                resolved = config;
                remarks.extend(said);
            }
            // The column that is not there is listed below.
            Err(Error::NoColumn { .. }) => {}
            Err(other) => return Err(other),
        }
    }
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
    targets(&dataset, &resolved, &table, &mut problems);
    empty_columns(&dataset, &findings, &mut problems);
    let divided = groups(&dataset, &table, &resolved, &mut problems);

    // Without rows or images there is nothing to divide or decode, and that was said above.
    let mut n_images = 0;
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
            Err(source) => {
                problems.push(Problem::NoSplit { source });
                None
            }
        };
        if resolved.model.arm != Arm::Metadata && !no_images {
            n_images = images::check(
                &table,
                &dataset,
                &findings,
                parts.as_ref(),
                progress,
                &mut problems,
            );
        }
    }
    problems.sort_by_key(Problem::severity);
    Ok(Report {
        n_rows: table.n_rows,
        n_used: dataset.len(),
        n_images,
        problems,
        remarks,
    })
}

/// What the columns would be if nobody had said; `None` where a column that was named is not there.
fn infer(table: &Table, config: &Config) -> Option<Schema> {
    let wishes = Wishes {
        target: config.target.clone(),
        image: Some(
            schema::image_column(table, &config.data.image)
                .ok()?
                .name
                .clone(),
        ),
        group: config.data.group.clone(),
        split: config.data.split.column.clone(),
        ignore: config.data.ignore.clone(),
        missing: config.data.missing.clone(),
    };
    Schema::infer(table, &wishes).ok()
}

fn weights(config: &Config, problems: &mut Vec<Problem>) {
    if config.model.weights_are_a_file() && !std::path::Path::new(&config.model.weights).is_file() {
        problems.push(Problem::NoWeights {
            path: config.model.weights.clone().into(),
        });
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
    let ignored = config
        .data
        .ignore
        .iter()
        .filter(|name| table.find(name).is_none());
    absent.extend(ignored.map(|name| ("data.ignore".to_owned(), name.clone())));
    for (field, name) in absent {
        problems.push(Problem::UnknownColumn {
            path: table.path.clone(),
            field,
            name,
            columns: table.names(),
        });
    }
    for misread in &findings.misread {
        let first = misread
            .first
            .iter()
            .map(|(row, found)| (table.row_place(*row), found.clone()))
            .collect();
        problems.push(Problem::Cells {
            column: misread.column.clone(),
            expected: misread.expected,
            count: misread.count,
            first,
        });
    }
    if !findings.no_image.is_empty() {
        let first = findings
            .no_image
            .iter()
            .take(3)
            .map(|row| table.row_place(*row))
            .collect();
        problems.push(Problem::NoImageName {
            count: findings.no_image.len(),
            first,
        });
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
    for column in &schema.columns {
        let Role::Ignored(reason) = &column.role else {
            continue;
        };
        let entries = config
            .metadata
            .iter()
            .map(|(name, entry)| (name, entry.full()));
        // A pattern takes a part of the column, which may be honest.
        let used = named
            && entries
                .filter(|(_, entry)| entry.pattern.is_none())
                .any(|(name, entry)| entry.from.as_ref().unwrap_or(name) == &column.name);
        let name = column.name.clone();
        match reason {
            Reason::Target(disguise) => {
                problems.push(Problem::TargetInDisguise {
                    column: name,
                    disguise: disguise.clone(),
                    used,
                });
            }
            // Where cells do not read as what the column is said to be, that is the thing to say.
            Reason::Identifier | Reason::Subject | Reason::Constant
                if used
                    && findings
                        .misread
                        .iter()
                        .all(|misread| misread.column != name) =>
            {
                problems.push(Problem::Doubtful {
                    column: name,
                    reason: reason.clone(),
                });
            }
            _ => {}
        }
    }
}

/// Classes that cannot be learned, and tables without targets.
fn targets(dataset: &Dataset, config: &Config, table: &Table, problems: &mut Vec<Problem>) {
    let column = config.target.names().into_iter().next().unwrap_or_default();
    let Some(targets) = &dataset.targets else {
        return;
    };
    if dataset.is_empty() {
        problems.push(Problem::NoTarget {
            column,
            rows: table.n_rows,
        });
        return;
    }
    if let Targets::Class { names, index } = targets {
        let mut counts = vec![0; names.len()];
        for class in index.iter().flatten() {
            counts[*class as usize] += 1;
        }
        let present: Vec<&String> = names
            .iter()
            .zip(&counts)
            .filter(|(_, count)| **count > 0)
            .map(|(name, _)| name)
            .collect();
        if let [only] = present[..] {
            problems.push(Problem::OneClass {
                column: column.clone(),
                class: only.clone(),
            });
        }
        let rare: Vec<String> = names
            .iter()
            .zip(&counts)
            .filter(|(_, count)| **count == 1)
            .map(|(name, _)| name.clone())
            .collect();
        if !rare.is_empty() {
            problems.push(Problem::ClassesOfOneRow {
                column,
                classes: rare,
            });
        }
    }
    if let Targets::Multilabel { names, present } = targets {
        for (label, name) in names.iter().enumerate() {
            let known = present.iter().skip(label).step_by(names.len()).flatten();
            let (n_with, n_known) = known.fold((0, 0), |(with, known), present| {
                (with + usize::from(*present), known + 1)
            });
            if n_with == 0 || n_with == n_known {
                problems.push(Problem::OneSidedLabel {
                    label: name.clone(),
                    present: n_with > 0,
                    rows: n_known,
                });
            }
        }
    }
}

fn empty_columns(dataset: &Dataset, findings: &Findings, problems: &mut Vec<Problem>) {
    for column in &dataset.metadata.columns {
        let field = format!("metadata.{}", sidelight_data::config::key(&column.name));
        if findings.absent.iter().any(|absent| absent.field == field) {
            continue;
        }
        let values: &MetadataValues = &column.values;
        if !values.is_empty() && values.n_missing() == values.len() {
            problems.push(Problem::EmptyColumn {
                column: column.name.clone(),
                rows: values.len(),
            });
        }
    }
}

/// Groups that the split column divides. Whether there are any.
fn groups(dataset: &Dataset, table: &Table, config: &Config, problems: &mut Vec<Problem>) -> bool {
    let (Some(groups), Some(parts), Some(column)) =
        (&dataset.groups, &dataset.splits, &config.data.group)
    else {
        return false;
    };
    let n_groups = groups.iter().max().map_or(0, |last| *last as usize + 1);
    let mut first_row = vec![None; n_groups];
    let mut divided = vec![false; n_groups];
    for (row, (group, part)) in groups.iter().zip(parts).enumerate() {
        let group = *group as usize;
        match first_row[group] {
            None => first_row[group] = Some((row, *part)),
            Some((_, first)) => divided[group] |= first != *part,
        }
    }
    let names: Vec<String> = (0..n_groups)
        .filter(|group| divided[*group])
        .filter_map(|group| {
            let (row, _) = first_row[group]?;
            let cell = table.find(column)?.cell(dataset.rows[row]);
            Some(cell.to_text()?.trim().to_owned())
        })
        .collect();
    if names.is_empty() {
        return false;
    }
    let n_divided = names.len();
    let first = names.into_iter().take(3).collect();
    problems.push(Problem::GroupsInTwoParts {
        column: column.clone(),
        n_divided,
        n_groups,
        first,
    });
    true
}
