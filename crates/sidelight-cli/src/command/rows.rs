//! The rows that a trained model is applied to: a table, or the run's own validation rows.

use std::path::Path;
use std::slice;

use anyhow::Context;
use sidelight::config::Config;
use sidelight::dataset::Dataset;
use sidelight::split::split;

use super::environment::Variables;
use crate::terminal::Terminal;

/// The rows of a table, or without one the run's validation rows, and the noun for them.
pub(super) fn read(
    config: &Config,
    table: Option<&Path>,
    terminal: &mut Terminal,
) -> anyhow::Result<(Dataset, &'static str)> {
    let Some(table) = table else {
        return Ok((validation(config)?, "validation row"));
    };
    let mut data = config.data.clone();
    data.table = table.to_path_buf();
    Variables::from_process().reach(&mut data.remote, slice::from_ref(&data.table));
    let dataset = Dataset::for_evaluation(&data.read_table()?, config)?;
    for remark in &dataset.remarks {
        terminal.warn(remark);
    }
    Ok((dataset, "row"))
}

/// The run's validation rows: its own table, split as in training.
pub(super) fn validation(config: &Config) -> anyhow::Result<Dataset> {
    let table = config
        .data
        .read_table()
        .context("the validation rows are read from the run's own table")?;
    let dataset = Dataset::new(&table, config)?;
    let divided = split(&dataset, &config.data.split)?;
    Ok(dataset.select(&divided.valid))
}
