//! The rows that a command is about: a table read as a model's or a configuration's data set.

use std::path::Path;

use anyhow::Context;
use sidelight::config::Config;
use sidelight::dataset::Dataset;
use sidelight::split::split;
use sidelight::table::Table;

use super::remote::reach;
use crate::terminal::Terminal;

/// Every row of a new table, as a trained model reads it.
pub(super) fn of_table(
    config: &Config,
    table: &Path,
    terminal: &mut Terminal,
) -> anyhow::Result<Dataset> {
    let mut data = config.data.clone();
    data.table = table.to_path_buf();
    reach(&mut data.remote, std::slice::from_ref(&data.table));
    let dataset = Dataset::for_prediction(&Table::read_with(&data.table, &data.remote)?, config)?;
    dataset
        .remarks
        .iter()
        .for_each(|remark| terminal.warn(remark));
    Ok(dataset)
}

/// The rows that were watched in training: of the run's own table, divided as it was.
pub(super) fn validation(config: &Config) -> anyhow::Result<Dataset> {
    let table = Table::read_with(&config.data.table, &config.data.remote)
        .context("the run's own table is needed for its validation rows")?;
    let dataset = Dataset::new(&table, config)?;
    let divided = split(&dataset, &config.data.split)?;
    Ok(dataset.select(&divided.valid))
}
