//! Any number of several labels.

use std::collections::BTreeMap;

use super::Task;
use crate::config::TargetConfig;
use crate::encode::category::{codes_of, natural_order};
use crate::error::{Error, Result};

/// Fits on the rows at these positions: the labels that occur there.
pub(super) fn fit(
    config: &TargetConfig,
    names: &[String],
    present: &[Option<bool>],
    rows: &[usize],
) -> Result<Task> {
    let cells = |label: usize| {
        rows.iter()
            .map(move |&row| present[row * names.len() + label])
    };
    let mut found: Vec<(String, usize, usize)> = names
        .iter()
        .enumerate()
        .map(|(label, name)| {
            let with = cells(label).filter(|cell| *cell == Some(true)).count();
            (name.clone(), with, cells(label).flatten().count())
        })
        .filter(|(_, with, _)| *with > 0)
        .collect();
    // Columns keep the person's order; labels found in cells are sorted.
    if config.columns.is_empty() {
        found.sort_by(|a, b| natural_order(&a.0, &b.0));
    }
    if found.is_empty() {
        let column = config.names().join(", ");
        return Err(Error::TooFewClasses {
            column,
            n_rows: rows.len(),
            names: vec![],
        });
    }
    Ok(Task::Multilabel {
        names: found.iter().map(|label| label.0.clone()).collect(),
        counts: found.iter().map(|label| label.1).collect(),
        known: found.iter().map(|label| label.2).collect(),
    })
}

/// Whether a row has each of `names`; `cells` are the table's, whose labels are `found`.
pub(super) fn encode(
    names: &[String],
    found: &[String],
    cells: &[Option<bool>],
) -> Vec<Option<f32>> {
    let labels = names.iter().enumerate();
    labels
        .map(|(i, name)| label_cell(i, name, found, cells).map(f32::from))
        .collect()
}

/// Whether a row has a label. A label that their table never mentions is absent from every row
/// of which anything is known (a cell that lists labels lists all of them).
fn label_cell(i: usize, name: &String, theirs: &[String], cells: &[Option<bool>]) -> Option<bool> {
    let place = if theirs.get(i) == Some(name) {
        Some(i)
    } else {
        theirs.iter().position(|other| other == name)
    };
    match place {
        Some(place) => cells[place],
        None => cells.iter().any(Option::is_some).then_some(false),
    }
}

/// Probabilities from logits.
#[expect(clippy::cast_possible_truncation, reason = "in [0, 1]")]
pub(super) fn sigmoid(logits: &[f32]) -> Vec<f32> {
    let sigmoid = |&logit: &f32| (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32;
    logits.iter().map(sigmoid).collect()
}

/// Labels of the table's that are not among `names`, and in how many rows.
pub(super) fn unseen(
    names: &[String],
    found: &[String],
    present: &[Option<bool>],
    rows: &[usize],
) -> BTreeMap<String, usize> {
    let own = codes_of(names, found.iter().map(String::as_str));
    let mut unseen = BTreeMap::new();
    for &row in rows {
        let cells = &present[row * found.len()..(row + 1) * found.len()];
        for (label, name) in found.iter().enumerate() {
            if cells[label] == Some(true) && own[label].is_none() {
                *unseen.entry(name.clone()).or_default() += 1;
            }
        }
    }
    unseen
}
