//! The arm `trees`: gradient boosting on the columns, what a person without a network would do with them.

use super::design::{Design, FoldRows, Job};
use crate::boosting::columns::{Folded, grow, inputs, read, targets};
use crate::boosting::{Boosted, MEMBERS, ROUNDS};
use crate::encode::EncodedMetadata;
use crate::error::Result;
use crate::network::layer::TreeInput;
use crate::split::{deal, n_units};
use crate::task::Prediction;
use crate::train::Session;
use crate::train::calibrate::temperature;
use crate::train::trees::Grown;

/// One fold's models.
pub(super) struct Trees<'a> {
    design: &'a Design,
    session: &'a Session,
    inputs: Vec<TreeInput>,
    /// Of each part of the outputs, models that left out a fold each.
    models: Vec<Vec<Boosted>>,
    /// What logits are divided by, as those of every other arm are.
    temperature: f32,
}

impl<'a> Trees<'a> {
    /// Fits on the job's training and inner validation rows. `None`: `goes_on` said no.
    ///
    /// # Errors
    ///
    /// As [`deal`].
    pub(super) fn fit(
        design: &'a Design,
        job: &Job,
        session: &'a Session,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<Self>> {
        let source = &session.setup.batches.source;
        let FoldRows { train, valid, .. } = design.rows_of(job);
        let mut rows = [train.as_slice(), valid].concat();
        rows.sort_unstable();
        let n_folds = MEMBERS.min(n_units(&design.dataset, &rows)).max(2);
        let folds = deal(
            &design.dataset,
            &rows,
            n_folds,
            session.setup.config.train.seed,
        )?;
        let mut fitted = Self {
            design,
            session,
            inputs: inputs(&source.encoder, &source.metadata, &rows),
            models: Vec::new(),
            temperature: 1.0,
        };
        let weights = design.dataset.weights_of(&rows);
        let folded = Folded {
            rows: &rows,
            folds: &folds,
            n_folds,
            weights: weights.as_deref(),
        };
        let grown = grow(
            &session.setup.task,
            &fitted.inputs,
            &source.metadata,
            &folded,
            &|at| fitted.targets(rows[at]),
            ROUNDS,
            goes_on,
        );
        let Some(models) = grown else {
            return Ok(None);
        };
        fitted.models = models;
        Ok(Some(fitted.calibrated(&rows, &folds)))
    }

    /// Those of a network's branch: each part is the mean of what its members have.
    pub(super) fn of_network(design: &'a Design, session: &'a Session, grown: &Grown) -> Self {
        let n_parts = grown.models.first().map_or(0, Vec::len);
        let of_part = |part: usize| {
            let members = grown.models.iter();
            members.flat_map(|parts| parts[part].clone()).collect()
        };
        let (rows, folds) = grown.rows_and_folds();
        let trees = Self {
            design,
            session,
            inputs: grown.inputs.clone(),
            models: (0..n_parts).map(of_part).collect(),
            temperature: 1.0,
        };
        trees.calibrated(rows, folds)
    }

    /// With the temperature of what is said of each of these rows by the model that left it out.
    fn calibrated(mut self, rows: &[usize], folds: &[u32]) -> Self {
        let setup = &self.session.setup;
        let metadata = &setup.batches.source.metadata;
        let targets = self.design.dataset.targets.as_ref();
        let targets = targets.expect("the task was fitted on them");
        let outputs = |at: usize| {
            let left_out = folds[at] as usize..folds[at] as usize + 1;
            self.outputs(metadata, rows[at], |models| &models[left_out.clone()])
        };
        let weights = self.design.dataset.weights_of(rows);
        let fitted = temperature(&setup.task, rows, outputs, weights.as_deref(), |row| {
            setup.task.encode(targets, row)
        });
        self.temperature = fitted.unwrap_or(1.0);
        self
    }

    fn targets(&self, row: usize) -> Vec<f64> {
        let known = self.design.dataset.targets.as_ref();
        let known = known.expect("the task was fitted on them");
        targets(&self.session.setup.task, known, row, self.unit(row))
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
            let mut outputs = self.outputs(metadata, row, |models| models);
            outputs
                .iter_mut()
                .for_each(|output| *output /= self.temperature);
            self.design.task.adopt(&own.decode(&outputs), own)
        };
        rows.iter().map(predict).collect()
    }

    /// The mean of what some of the models of each part say of a row.
    fn outputs(
        &self,
        metadata: &EncodedMetadata,
        row: usize,
        some: impl Fn(&[Boosted]) -> &[Boosted],
    ) -> Vec<f32> {
        let inputs = read(&self.inputs, metadata, row);
        let of_parts = self.models.iter();
        let mut outputs: Vec<f64> = of_parts
            .flat_map(|models| mean(some(models), &inputs))
            .collect();
        if outputs.len() < self.session.setup.task.n_outputs() {
            // Of two classes: the first one's logit is 0.
            outputs.insert(0, 0.0);
        }
        let unit = self.unit(row);
        let outputs = outputs.iter().enumerate();
        outputs.map(|(at, x)| (x * unit[at % 2]) as f32).collect()
    }
}

/// What several models say of a row, on average.
fn mean(models: &[Boosted], inputs: &[f32]) -> Vec<f64> {
    let share = (models.len() as f64).recip();
    let all = models.iter().map(|model| model.outputs(inputs));
    let sum = all.reduce(|sum, own| sum.iter().zip(own).map(|(a, b)| a + b).collect());
    sum.unwrap_or_default()
        .iter()
        .map(|sum| sum * share)
        .collect()
}
