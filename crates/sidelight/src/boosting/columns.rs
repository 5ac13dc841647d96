//! What trees read of a row, and what they learn of it.
//!
//! They read what the encoder makes of a row, since scale and shape of a number are nothing to them; but a missing value
//! is missing, and a category of an embedded column is a question of its own. One model predicts all classes, and one all
//! points; of labels and values each has its own.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use super::{Boosted, Examples, Loss};
use crate::dataset::{Targets, of_mean_one};
use crate::encode::{EncodedMetadata, Encoder, Fitted};
use crate::network::layer::TreeInput;
use crate::task::Task;

/// Categories of an embedded column that are asked for one by one: the most frequent of the training rows.
const CATEGORIES: usize = 64;

/// What trees read of rows, of which these are the training's.
pub(crate) fn inputs(
    encoder: &Encoder,
    encoded: &EncodedMetadata,
    rows: &[usize],
) -> Vec<TreeInput> {
    let mut inputs = Vec::new();
    for (column, span) in encoder.columns.iter().zip(encoder.spans()) {
        match column.fitted {
            Fitted::Category(_) => inputs.extend(span.dense.map(|slot| TreeInput::Dense { slot })),
            _ => {
                let flag = span.dense.end - 1;
                inputs.extend((span.dense.start..flag).map(|slot| TreeInput::Flagged {
                    slot,
                    flag,
                    missing: f32::MIN,
                }));
            }
        }
        for place in span.codes {
            let mut counts = BTreeMap::<u32, usize>::new();
            for &row in rows {
                *counts.entry(encoded.codes_row(row)[place]).or_default() += 1;
            }
            let mut codes: Vec<(u32, usize)> = counts.into_iter().collect();
            codes.sort_by_key(|&(code, n)| (Reverse(n), code));
            let codes = codes.iter().take(CATEGORIES);
            inputs.extend(codes.map(|&(code, _)| TreeInput::Is { place, code }));
        }
    }
    inputs
}

/// These inputs of a row; NaN: missing.
pub(crate) fn read(inputs: &[TreeInput], metadata: &EncodedMetadata, row: usize) -> Vec<f32> {
    let (dense, codes) = (metadata.dense_row(row), metadata.codes_row(row));
    let inputs = inputs.iter();
    inputs.map(|input| input.read(dense, codes)).collect()
}

/// A row's targets as trees learn them: of two classes the second, of more a 1 among zeros. x and y of points are counted
/// in `unit`.
pub(crate) fn targets(task: &Task, targets: &Targets, row: usize, unit: [f64; 2]) -> Vec<f64> {
    let (cells, mask) = task.encode(targets, row);
    let known = |at: usize, value: f64| if mask[at] == 0.0 { f64::NAN } else { value };
    match task {
        Task::Class { names, .. } if names.len() > 2 => {
            let is = |class| f64::from(u8::from(cells[0] as usize == class));
            (0..names.len()).map(|class| known(0, is(class))).collect()
        }
        _ => {
            let in_units = |(at, &cell): (usize, &f32)| known(at, f64::from(cell) / unit[at % 2]);
            cells.iter().enumerate().map(in_units).collect()
        }
    }
}

/// Rows of a table, and the fold of each, below `n_folds`.
pub(crate) struct Folded<'a> {
    pub(crate) rows: &'a [usize],
    pub(crate) folds: &'a [u32],
    pub(crate) n_folds: usize,
    /// How much each counts; `None`: all the same.
    pub(crate) weights: Option<&'a [f64]>,
}

/// Of each part of the outputs, models that left out a fold each, grown on the rows of which anything of it is known.
/// `target_of` has what they learn of the row at a place among these ([`targets`]); `None`: `goes_on` said no.
pub(crate) fn grow(
    task: &Task,
    inputs: &[TreeInput],
    metadata: &EncodedMetadata,
    folded: &Folded<'_>,
    target_of: &dyn Fn(usize) -> Vec<f64>,
    most: usize,
    goes_on: &dyn Fn() -> bool,
) -> Option<Vec<Vec<Boosted>>> {
    let (loss, parts) = parts(task);
    let grow = |part: Range<usize>| {
        let (mut examples, mut folds) = (Examples::default(), Vec::new());
        let mut weights = Vec::new();
        for (at, (&row, &fold)) in folded.rows.iter().zip(folded.folds).enumerate() {
            let targets = target_of(at)[part.clone()].to_vec();
            if targets.iter().any(|target| !target.is_nan()) {
                examples.inputs.push(read(inputs, metadata, row));
                examples.targets.push(targets);
                folds.push(fold);
                weights.push(folded.weights.map_or(1.0, |weights| weights[at]));
            }
        }
        // Whatever they are in, leaves are pulled towards 0 as by so many rows.
        examples.weights = match folded.weights {
            Some(_) => of_mean_one(&weights),
            None => weights,
        };
        Boosted::fit_folds(&examples, (&folds, folded.n_folds), loss, most, goes_on)
    };
    parts.into_iter().map(grow).collect()
}

/// What is minimised, and which outputs each model has.
pub(crate) fn parts(task: &Task) -> (Loss, Vec<Range<usize>>) {
    let n = task.n_outputs();
    let each = || (0..n).map(|output| output..output + 1).collect();
    let one = |outputs: Range<usize>| std::iter::once(outputs).collect();
    match task {
        Task::Class { .. } if n == 2 => (Loss::Logistic, one(0..1)),
        Task::Class { .. } => (Loss::Softmax, one(0..n)),
        Task::Multilabel { .. } => (Loss::Logistic, each()),
        Task::Regression { .. } => (Loss::Squared, each()),
        Task::Keypoints { .. } => (Loss::Squared, one(0..n)),
    }
}
