//! Says what was wrong with rows that were predicted all the same, or could not be.

use sidelight::dataset::Dataset;
use sidelight::error::in_full;
use sidelight::predict::Predictions;

use crate::terminal::{Terminal, count};

/// How many rows are named.
const MOST: usize = 10;

/// Unseen categories, new gaps, and the rows whose images could not be read, each with its reason.
pub(super) fn say(dataset: &Dataset, predictions: &Predictions, terminal: &mut Terminal) {
    for sentence in predictions.unseen.sentences() {
        terminal.warn(sentence);
    }
    let n = predictions.problems.len();
    if n > 0 {
        terminal.warn(format!(
            "{} of {} without a prediction",
            count(n, "row"),
            dataset.len()
        ));
    }
    // The error names the row itself.
    for (_, error) in predictions.problems.iter().take(MOST) {
        terminal.say(format!("  {}", in_full(error)));
    }
    if n > MOST {
        terminal.say(format!("  and {} more", n - MOST));
    }
}
