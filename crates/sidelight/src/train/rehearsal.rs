//! What training begins with, and one batch of it, without learning: what would stop it is found before it runs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;

use crate::check::Ready;
use crate::config::{Config, ImageRange};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::hub::name_weights;
use crate::loader::Shards;
use crate::ranks::Alone;
use crate::split::SplitRows;

use super::Session;
use super::setup::measure_range;

/// Of a larger set so many rows of each part are tried first.
const ENOUGH_ROWS: usize = 10_000;

/// Does what [`train`](super::train) does up to its first step: fits encoder and task, builds the network, reads its
/// weights, and takes one batch of images through it, forward and backward. Nothing learns and nothing is written. What
/// should be said of it is returned.
///
/// Weights on the hub that were not fetched are not looked at, which is said.
///
/// # Errors
///
/// As [`train`](super::train).
pub fn rehearse(ready: Ready) -> Result<Vec<String>> {
    let Ready {
        mut config,
        dataset,
        rows,
    } = ready;
    let mut said = Vec::new();
    name_weights(&mut config.model)?;
    if config.model.fetched.is_none()
        && let Some(name) = config.model.weights_on_hub()?
    {
        said.push(format!(
            "the weights `{name}` were not looked at: training fetches them"
        ));
        config.model.weights = "none".into();
    }
    let asked = config.image.range;
    measure_range(&mut config, &dataset, &rows.train);
    said.extend(measured(asked, config.image.range));
    // How much room shards need is known from all of them.
    let is_large = dataset.len() > 2 * ENOUGH_ROWS && Shards::from_dataset(&dataset).is_none();
    let some = is_large.then(|| some(&dataset, &rows));
    match some.map(|(dataset, rows)| one_batch(&config, dataset, rows)) {
        Some(Ok(())) => {}
        // What some rows lack all of them may have.
        Some(Err(_)) | None => one_batch(&config, dataset, rows)?,
    }
    Ok(said)
}

/// Takes one batch through what training would begin with.
fn one_batch(config: &Config, dataset: Dataset, rows: SplitRows) -> Result<()> {
    let (mut session, _) = Session::from_rows(config, dataset, rows, &Device::flex().autodiff())?;
    session.share_out(Arc::new(Alone));
    let mut batches = session.setup.batches.training(0, 0);
    if let Some(step) = session.compute_gradients(&mut batches, &AtomicBool::new(false))? {
        session.check_loss(step.loss, session.setup.plan.at(0, 0))?;
    }
    Ok(())
}

/// Rows from all over each part, and the data set of these alone.
fn some(dataset: &Dataset, rows: &SplitRows) -> (Dataset, SplitRows) {
    let of_part = |rows: &[usize]| -> Vec<usize> {
        let every = rows.len().div_ceil(ENOUGH_ROWS).max(1);
        rows.iter().copied().step_by(every).collect()
    };
    let (train, valid) = (of_part(&rows.train), of_part(&rows.valid));
    let (n_train, n) = (train.len(), train.len() + valid.len());
    let dataset = dataset.select(&[train, valid].concat());
    let rows = SplitRows {
        train: (0..n_train).collect(),
        valid: (n_train..n).collect(),
        test: Vec::new(),
        remarks: Vec::new(),
    };
    (dataset, rows)
}

/// Which values training would make black and white, where it was to find out.
fn measured(asked: ImageRange, found: ImageRange) -> Option<String> {
    let [low, high] = found.known().filter(|_| asked == ImageRange::Auto)?;
    Some(format!(
        "`image.range` will be [{low}, {high}], as training images have it"
    ))
}
