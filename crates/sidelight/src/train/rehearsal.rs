//! What training begins with, and one batch of it, without learning: what would stop it is found before it runs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;

use crate::check::Ready;
use crate::config::ImageRange;
use crate::error::Result;
use crate::ranks::Alone;

use super::Session;

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
    if config.model.fetched.is_none()
        && let Some(name) = config.model.weights_on_hub()?
    {
        said.push(format!(
            "the weights `{name}` were not looked at: training fetches them"
        ));
        config.model.weights = "none".into();
    }
    let (mut session, _) = Session::from_rows(&config, dataset, rows, &Device::flex().autodiff())?;
    said.extend(measured(
        config.image.range,
        session.setup.config.image.range,
    ));
    session.share_out(Arc::new(Alone));
    let mut batches = session.setup.batches.training(0, 0);
    if let Some(step) = session.compute_gradients(&mut batches, &AtomicBool::new(false))? {
        session.check_loss(step.loss, session.setup.plan.at(0, 0))?;
    }
    drop(batches);
    Ok(said)
}

/// Which values training would make black and white, where it was to find out.
fn measured(asked: ImageRange, found: ImageRange) -> Option<String> {
    let [low, high] = found.known().filter(|_| asked == ImageRange::Auto)?;
    Some(format!(
        "`image.range` will be [{low}, {high}], as training images have it"
    ))
}
