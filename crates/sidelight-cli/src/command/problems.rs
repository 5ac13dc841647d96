//! Warns of rows that could not be predicted.

use std::fmt::Display;

use sidelight::dataset::Dataset;
use sidelight::error::in_full;
use sidelight::predict::Predictions;

use crate::terminal::{Terminal, count};

/// Number of rows that are listed.
const LISTED: usize = 10;

/// Warns of unseen categories, new gaps, and rows whose images could not be read.
pub(super) fn say(dataset: &Dataset, predictions: &Predictions, terminal: &mut Terminal) {
    for sentence in predictions.unseen.sentences() {
        terminal.warn(sentence);
    }
    // Each error names its row.
    let errors = predictions.problems.iter().take(LISTED);
    let listed: Vec<String> = errors.map(|(_, error)| in_full(error)).collect();
    list(predictions.problems.len(), dataset.len(), &listed, terminal);
}

/// Warns of `n` of `n_rows` rows without a prediction, and lists the first of them with the reasons.
pub(super) fn list(n: usize, n_rows: usize, first: &[impl Display], terminal: &mut Terminal) {
    list_without("a prediction", n, n_rows, first, terminal);
}

/// As [`list`], of rows without something else.
pub(super) fn list_without(
    what: &str,
    n: usize,
    n_rows: usize,
    first: &[impl Display],
    terminal: &mut Terminal,
) {
    if n == 0 {
        return;
    }
    let rows = count(n, "row");
    terminal.warn(format!("{rows} of {n_rows} without {what}"));
    for row in first {
        terminal.say(format!("  {row}"));
    }
    if n > first.len() {
        terminal.say(format!("  and {} more", n - first.len()));
    }
}
