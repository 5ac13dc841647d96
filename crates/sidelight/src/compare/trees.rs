//! The arm `trees`: gradient boosting on the columns, what a person without a network would do with them.
//!
//! Trees read what the encoder makes of a row, since scale and shape of a number are nothing to them; but a missing value
//! is missing, and a category of an embedded column is a question of its own. One model predicts all classes, and one all
//! points (in shares of the image's sides); of labels and values each has its own.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::boosting::{Boosted, Examples, Loss};
use super::design::{Design, FoldRows, Job};
use crate::encode::{EncodedMetadata, Encoder, Fitted};
use crate::task::{Prediction, Task};
use crate::train::Session;

/// Categories of an embedded column that are asked for one by one: the most frequent of the training rows.
const CATEGORIES: usize = 64;

/// Where an input of the trees stands in an encoded row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// A dense slot, as it is.
    Dense(usize),
    /// A dense slot that counts only where its flag is not 0.
    Flagged { slot: usize, flag: usize },
    /// Whether an embedded column has this code.
    Is { place: usize, code: u32 },
}

impl Slot {
    fn read(self, dense: &[f32], codes: &[u32]) -> f32 {
        match self {
            Self::Dense(slot) => dense[slot],
            Self::Flagged { flag, .. } if dense[flag] == 0.0 => f32::NAN,
            Self::Flagged { slot, .. } => dense[slot],
            Self::Is { place, code } => f32::from(u8::from(codes[place] == code)),
        }
    }
}

/// What trees read of these rows.
fn slots(encoder: &Encoder, encoded: &EncodedMetadata, rows: &[usize]) -> Vec<Slot> {
    let mut slots = Vec::new();
    for (column, span) in encoder.columns.iter().zip(encoder.spans()) {
        match column.fitted {
            Fitted::Category(_) => slots.extend(span.dense.map(Slot::Dense)),
            _ => {
                let flag = span.dense.end - 1;
                slots.extend((span.dense.start..flag).map(|slot| Slot::Flagged { slot, flag }));
            }
        }
        for place in span.codes {
            let mut counts = std::collections::BTreeMap::<u32, usize>::new();
            for &row in rows {
                *counts.entry(encoded.codes_row(row)[place]).or_default() += 1;
            }
            let mut codes: Vec<(u32, usize)> = counts.into_iter().collect();
            codes.sort_by_key(|&(code, n)| (std::cmp::Reverse(n), code));
            slots.extend(
                codes
                    .iter()
                    .take(CATEGORIES)
                    .map(|&(code, _)| Slot::Is { place, code }),
            );
        }
    }
    slots
}

/// One fold's models.
pub(super) struct Trees<'a> {
    design: &'a Design,
    session: &'a Session,
    slots: Vec<Slot>,
    models: Vec<Boosted>,
}

impl<'a> Trees<'a> {
    /// Fits on the job's training rows; its inner validation rows choose the number of trees. `None`: someone asked to stop.
    pub(super) fn fit(
        design: &'a Design,
        job: &Job,
        session: &'a Session,
        stop: &AtomicBool,
    ) -> Option<Self> {
        let source = &session.setup.batches.source;
        let task = &*session.setup.task;
        let FoldRows { train, valid, .. } = design.rows_of(job);
        let (loss, parts) = parts(task);
        let mut fitted = Self {
            design,
            session,
            slots: slots(&source.encoder, &source.metadata, train),
            models: Vec::new(),
        };
        for part in parts {
            let examples = |rows: &[usize]| fitted.examples(rows, part.clone());
            let goes_on = || !stop.load(Ordering::Relaxed);
            let seed = session.setup.config.train.seed;
            let model = Boosted::fit(&examples(train), &examples(valid), loss, seed, &goes_on)?;
            fitted.models.push(model);
        }
        Some(fitted)
    }

    fn inputs(&self, metadata: &EncodedMetadata, row: usize) -> Vec<f32> {
        let (dense, codes) = (metadata.dense_row(row), metadata.codes_row(row));
        self.slots
            .iter()
            .map(|slot| slot.read(dense, codes))
            .collect()
    }

    /// These rows, as far as anything is known of this part of their targets.
    fn examples(&self, rows: &[usize], part: Range<usize>) -> Examples {
        let mut examples = Examples::default();
        for &row in rows {
            let targets = self.targets(row)[part.clone()].to_vec();
            if targets.iter().any(|target| !target.is_nan()) {
                examples
                    .inputs
                    .push(self.inputs(&self.session.setup.batches.source.metadata, row));
                examples.targets.push(targets);
            }
        }
        examples
    }

    /// A row's targets as trees learn them: of two classes the second, of more a 1 among zeros.
    fn targets(&self, row: usize) -> Vec<f64> {
        let task = &*self.session.setup.task;
        let targets = self
            .design
            .dataset
            .targets
            .as_ref()
            .expect("the task was fitted on them");
        let ((cells, mask), unit) = (task.encode(targets, row), self.unit(row));
        let known = |at: usize, value: f64| if mask[at] == 0.0 { f64::NAN } else { value };
        match task {
            Task::Class { names, .. } if names.len() > 2 => {
                let is = |class| f64::from(u8::from(cells[0] as usize == class));
                (0..names.len()).map(|class| known(0, is(class))).collect()
            }
            _ => {
                let in_units =
                    |(at, &cell): (usize, &f32)| known(at, f64::from(cell) / unit[at % 2]);
                cells.iter().enumerate().map(in_units).collect()
            }
        }
    }

    /// What x and y of points are counted in, in pixels: the sides of the row's image.
    fn unit(&self, row: usize) -> [f64; 2] {
        self.design
            .sizes
            .as_ref()
            .map_or([1.0; 2], |sizes| sizes[row].map(f64::from))
    }

    /// What they say of these rows, of which this is the metadata.
    pub(super) fn predict(&self, metadata: &EncodedMetadata, rows: &[usize]) -> Vec<Prediction> {
        let own = &*self.session.setup.task;
        let predict = |&row: &usize| {
            let inputs = self.inputs(metadata, row);
            let mut outputs: Vec<f64> = self
                .models
                .iter()
                .flat_map(|model| model.outputs(&inputs))
                .collect();
            if outputs.len() < own.n_outputs() {
                // Of two classes: the first one's logit is 0.
                outputs.insert(0, 0.0);
            }
            let unit = self.unit(row);
            let outputs: Vec<f32> = outputs
                .iter()
                .enumerate()
                .map(|(at, x)| (x * unit[at % 2]) as f32)
                .collect();
            self.design.task.adopt(&own.decode(&outputs), own)
        };
        rows.iter().map(predict).collect()
    }
}

/// What is minimised, and which outputs each model has.
fn parts(task: &Task) -> (Loss, Vec<Range<usize>>) {
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
