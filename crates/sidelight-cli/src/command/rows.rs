//! The rows that a trained model is applied to: a table, or the run's own validation rows.

use std::path::Path;

use anyhow::Context;
use sidelight::config::Config;
use sidelight::dataset::Dataset;
use sidelight::model::Model;
use sidelight::split::split;

use crate::args::Images;
use crate::refusal::Refusal;
use crate::terminal::{Terminal, count};

/// Lets a model look for images where the command line says that they are.
pub(super) fn with_images(model: &mut Model, images: &Images) -> anyhow::Result<()> {
    let Images { image } = images;
    if image.is_empty() {
        return Ok(());
    }
    let trained = &mut model.config.data.image;
    if image.len() != trained.names().len() {
        anyhow::bail!(Refusal::new(
            format!(
                "--image names {} and the model was trained with {trained}",
                count(image.len(), "column"),
            ),
            "name as many, in that order",
        ));
    }
    *trained = image.clone().into();
    Ok(())
}

/// The rows of a table, or without one the run's validation rows, and the noun for them; in the groups of a column, where
/// one is named.
pub(super) fn read(
    model: &Model,
    table: Option<&Path>,
    by: Option<&str>,
    terminal: &mut Terminal,
) -> anyhow::Result<(Dataset, &'static str)> {
    let config = &model.config;
    let Some(table) = table else {
        return Ok((validation(config, by)?, "validation row"));
    };
    let mut data = config.data.clone();
    data.table = table.to_path_buf();
    let table = data.read_table()?;
    let mut dataset = Dataset::for_evaluation(&table, config, model.needs_image())?;
    if let Some(by) = by {
        dataset = dataset.grouped_by(&table, by, config)?;
    }
    for remark in &dataset.remarks {
        terminal.warn(remark);
    }
    Ok((dataset, "row"))
}

/// The run's validation rows: its own table, split as in training.
pub(super) fn validation(config: &Config, by: Option<&str>) -> anyhow::Result<Dataset> {
    if config.data.split.joins_folds() {
        anyhow::bail!(Refusal::new(
            format!(
                "the model is the mean of those of {} folds, which together have learned from all rows: it has no validation rows",
                config.data.split.folds
            ),
            "give another table, or the run of a fold: RUN/folds/1; the run's metrics.json and predictions.csv are of each row by the model that has not learned from it",
        ));
    }
    let table = config
        .data
        .read_table()
        .context("the validation rows are read from the run's own table")?;
    let dataset = Dataset::new(&table, config)?;
    let divided = split(&dataset, &config.data.split)?;
    let rows = dataset.select(&divided.valid);
    Ok(match by {
        Some(by) => rows.grouped_by(&table, by, config)?,
        None => rows,
    })
}
