//! The rows that a command is about: a table read as a model's or a configuration's data set.

use std::path::Path;

use anyhow::Context;
use sidelight::config::Config;
use sidelight::dataset::Dataset;
use sidelight::split::split;
use sidelight::table::Table;

use crate::terminal::Terminal;

/// Whether a table's targets are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Targets {
    /// Rows without one are left out.
    Wanted,
    /// Every row stays, and none has one.
    Ignored,
}

/// Every row of a table, with the meaning that a configuration gives its columns.
pub(super) fn of_table(config: &Config, table: &Path, targets: Targets, terminal: &mut Terminal) -> anyhow::Result<Dataset> {
    let mut config = config.clone();
    config.data.table = table.to_path_buf();
    config.data.limit = 0;
    let mut table = Table::read(table)?;
    if targets == Targets::Ignored {
        let names = config.target.names();
        table.columns.retain(|column| !names.contains(&column.name));
    }
    let dataset = Dataset::new(&table, &config)?;
    dataset.remarks.iter().for_each(|remark| terminal.say(remark));
    Ok(dataset)
}

/// The rows that were watched in training: of the run's own table, divided as it was.
pub(super) fn validation(config: &Config) -> anyhow::Result<Dataset> {
    let table = Table::read(&config.data.table).context("the run's own table is needed for its validation rows")?;
    let dataset = Dataset::new(&table, config)?;
    let divided = split(&dataset, &config.data.split)?;
    Ok(dataset.select(&divided.valid))
}
