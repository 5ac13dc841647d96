//! One of several classes.

use std::collections::BTreeMap;

use super::Task;
use crate::config::TargetConfig;
use crate::encode::category::{codes_of, natural_order};
use crate::error::{Error, Result};

/// Fits on the rows at these positions: the classes that occur there, as a person would sort them.
pub(super) fn fit(
    config: &TargetConfig,
    names: &[String],
    index: &[Option<u32>],
    rows: &[usize],
) -> Result<Task> {
    let mut counts = vec![0; names.len()];
    rows.iter()
        .filter_map(|&row| index[row])
        .for_each(|class| counts[class as usize] += 1);
    let counted = names.iter().cloned().zip(counts);
    let mut found: Vec<(String, usize)> = counted.filter(|(_, count)| *count > 0).collect();
    found.sort_by(|a, b| natural_order(&a.0, &b.0));
    let (names, counts): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let column = config.names().join(", ");
    if names.len() < 2 {
        return Err(Error::TooFewClasses {
            column,
            n_rows: rows.len(),
            names,
        });
    }
    Ok(Task::Class {
        column,
        names,
        counts,
    })
}

/// The index among `names` of a class of the table's, whose classes are `found`.
pub(super) fn encode(names: &[String], found: &[String], class: Option<u32>) -> Option<f32> {
    position(names, found, class? as usize).map(|class| class as f32)
}

/// Classes of the table's that are not among `names`, and in how many rows.
pub(super) fn unseen(
    names: &[String],
    found: &[String],
    index: &[Option<u32>],
    rows: &[usize],
) -> BTreeMap<String, usize> {
    let own = codes_of(names, found.iter().map(String::as_str));
    let mut unseen = BTreeMap::new();
    for class in rows.iter().filter_map(|&row| index[row]) {
        if own[class as usize].is_none() {
            *unseen.entry(found[class as usize].clone()).or_default() += 1;
        }
    }
    unseen
}

/// The place of class `idx` of `theirs` among `names`. Mostly both are the same list.
fn position(names: &[String], theirs: &[String], idx: usize) -> Option<usize> {
    let name = theirs.get(idx)?;
    if names.get(idx) == Some(name) {
        return Some(idx);
    }
    names
        .iter()
        .position(|own| own == name)
        .or_else(|| codes_of(names, [name.as_str()].into_iter())[0])
}
