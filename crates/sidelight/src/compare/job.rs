//! One training: one model on one fold with one seed, and what it predicts of rows it has not seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Event;
use super::arm::Model;
use super::design::{Design, FoldRows, Job};
use super::features::{Features, session};
use super::shared::{Shared, has_branches_in_common, has_trees_of_the_arm, lock};
use super::trees::Trees;
use super::variant::{column_permuted, only_gaps, permuted, with_gaps};
use crate::batch::{evaluate, score};
use crate::encode::EncodedMetadata;
use crate::error::Result;
use crate::network::{Freeze, Network};
use crate::task::Prediction;
use crate::train::feature_store::{Prefix, StoredRows};
use crate::train::{self, Ended, Session, TrainingLog, fit};

/// Shares of the metadata that are missing when a model is asked again.
pub(super) const SHARES: [f64; 4] = [0.25, 0.5, 0.75, 1.0];
/// Rows that are held at once while a trained model is asked again and again.
const ROWS_AT_ONCE: usize = 256;
/// Rows of a forward pass without gradients.
const BATCH: usize = 64;

/// What a job found; a file under `jobs/`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Finished {
    pub(super) schema: u32,
    /// What it depends on: see [`Design::digest`].
    pub(super) digest: String,
    /// Seconds it took.
    pub(super) seconds: f64,
    /// The epoch that was chosen by the inner validation rows, from 1; `None`: the last.
    pub(super) best_epoch: Option<usize>,
    /// Predictions of the inner validation rows, where a vote asks for them.
    pub(super) valid: Vec<Prediction>,
    /// Predictions of the held-out rows.
    pub(super) test: Vec<Prediction>,
    /// The same with a share of the metadata missing, one for each of [`SHARES`].
    pub(super) with_gaps: Vec<Vec<Prediction>>,
    /// Scores of the held-out rows, one column permuted among them.
    pub(super) columns: Vec<ColumnPermuted>,
}

impl Finished {
    /// Whether it has the predictions that such a job makes: a file may have been edited.
    pub(super) fn is_of(&self, design: &Design, job: &Job) -> bool {
        let FoldRows { valid, test, .. } = design.rows_of(job);
        let n_gaps = match job.model.can_miss_metadata() {
            true => SHARES.len(),
            false => 0,
        };
        let of_rows = |predictions: &Vec<Prediction>, rows: &[usize]| {
            let fits = |prediction: &Prediction| prediction.fits(&design.task);
            predictions.len() == rows.len() && predictions.iter().all(fits)
        };
        of_rows(&self.test, test)
            && self.with_gaps.len() == n_gaps
            && self.with_gaps.iter().all(|gap| of_rows(gap, test))
            && (of_rows(&self.valid, valid) || !job.model.is_voter())
    }
}

/// Scores with one column permuted among the held-out rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ColumnPermuted {
    pub(super) column: String,
    pub(super) metrics: Vec<(String, f64)>,
}

/// What jobs are done with.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) design: &'a Design,
    pub(super) features: &'a Features,
    pub(super) shared: &'a Shared,
    pub(super) stop: &'a AtomicBool,
}

impl Place<'_> {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Trains and predicts; `None`: someone asked to stop.
pub(super) fn run(
    at: Place<'_>,
    job: &Job,
    on_event: &mut dyn FnMut(Event),
) -> Result<Option<Finished>> {
    let begun = Instant::now();
    let design = at.design;
    let found = match job.model {
        Model::Trees => by_trees(at, job)?,
        _ => by_network(at, job, on_event)?,
    };
    let Some(mut finished) = found else {
        return Ok(None);
    };
    finished.digest = design.digest(job)?;
    finished.seconds = begun.elapsed().as_secs_f64();
    Ok(Some(finished))
}

fn by_trees(at: Place<'_>, job: &Job) -> Result<Option<Finished>> {
    let design = at.design;
    let session = session(design, job)?;
    let goes_on = || at.goes_on();
    let grown = match has_trees_of_the_arm(&session) {
        true => at.shared.of(job).trees(&session, &goes_on)?,
        false => None,
    };
    let trees = match grown {
        Some(grown) => Some(Trees::of_network(design, &session, &grown)),
        None => Trees::fit(design, job, &session, &goes_on)?,
    };
    let Some(trees) = trees else {
        return Ok(None);
    };
    let metadata = &session.setup.batches.source.metadata;
    let FoldRows { valid, test, .. } = design.rows_of(job);
    let with_gaps = gaps(design, job, &session);
    Ok(Some(Finished {
        schema: 1,
        digest: String::new(),
        seconds: 0.0,
        best_epoch: None,
        valid: trees.predict(metadata, valid),
        test: trees.predict(metadata, test),
        with_gaps: with_gaps
            .iter()
            .map(|gaps| trees.predict(gaps, test))
            .collect(),
        columns: Vec::new(),
    }))
}

/// The metadata with a share of the held-out cells missing, one for each of [`SHARES`].
fn gaps(design: &Design, job: &Job, session: &Session) -> Vec<EncodedMetadata> {
    let source = &session.setup.batches.source;
    let (test, seed) = (
        &design.rows_of(job).test,
        design.config.train.seed + job.seed as u64,
    );
    let gaps = SHARES.map(|share| with_gaps(&source.metadata, &source.encoder, share, test, seed));
    gaps.to_vec()
}

fn by_network(
    at: Place<'_>,
    job: &Job,
    on_event: &mut dyn FnMut(Event),
) -> Result<Option<Finished>> {
    let of_fold = at.shared.of(job);
    // Whoever needs its branches waits for them.
    let mut branches = of_fold.branches_of(&job.model).map(lock);
    let Some((mut session, known)) = trained(at, job, on_event)? else {
        return Ok(None);
    };
    if let Some(branches) = branches
        .as_mut()
        .filter(|_| has_branches_in_common(&session))
    {
        **branches = Some(Arc::new(session.learned_branches()));
    }
    drop(branches);
    // As `train` ends: the arms are the models that a person would use.
    session.calibrate()?;
    let mut finished = TrainedJob::new(at.design, job, &session, known).predict_all()?;
    finished.best_epoch = session.epoch_to_keep().map(|best| best.epoch + 1);
    Ok(Some(finished))
}

/// A job's session at its end, and the features that its network begins with.
type TrainedSession = (Session, Option<Arc<StoredRows>>);

/// `None`: someone asked to stop.
fn trained(
    at: Place<'_>,
    job: &Job,
    on_event: &mut dyn FnMut(Event),
) -> Result<Option<TrainedSession>> {
    let mut session = session(at.design, job)?;
    arrange(at.design, job, &mut session);
    let known = at.features.give(at.design, &mut session)?;
    if has_branches_in_common(&session) && !take_over(at, job, &mut session)? {
        return Ok(None);
    }
    let mut tell = |event| {
        if let train::Event::Step {
            total_step,
            total_steps,
            ..
        } = event
        {
            on_event(Event::Step {
                done: total_step as f64 / total_steps.max(1) as f64,
            });
        }
    };
    let mut log = TrainingLog::new(&mut tell).without_scores();
    let (session, ended) = fit(session, &mut log, at.stop)?;
    Ok((ended == Ended::Finished).then_some((session, known)))
}

/// Gives a session what others of its fold have learned, or learns it for all. `false`: someone asked to stop.
fn take_over(at: Place<'_>, job: &Job, session: &mut Session) -> Result<bool> {
    let of_fold = at.shared.of(job);
    let hides_metadata = session.setup.batches.source.hide.is_some();
    let alone: &[Model] = match &job.model {
        Model::Fusion(_) if !hides_metadata => &[Model::Image, Model::Metadata],
        Model::Fusion(_) | Model::Shuffled(_) => &[Model::Image],
        _ => &[],
    };
    for model in alone {
        let job = Job {
            model: model.clone(),
            ..job.clone()
        };
        let Some(branches) = of_fold.branches_of(model) else {
            continue;
        };
        let mut branches = lock(branches);
        if branches.is_none() {
            let Some((other, _)) = trained(at, &job, &mut |_| {})? else {
                return Ok(false);
            };
            *branches = Some(Arc::new(other.learned_branches()));
        }
        if let Some(learned) = &*branches {
            session.adopt(learned);
        }
    }
    let reads_true_metadata = matches!(job.model, Model::Metadata | Model::Fusion(_));
    if reads_true_metadata
        && session.can_have_trees()
        && let Some(grown) = of_fold.trees(session, &|| at.goes_on())?
    {
        session.plant(&grown);
    }
    Ok(at.goes_on())
}

/// Gives the controls their own metadata; the encoder was fitted on the true one.
fn arrange(design: &Design, job: &Job, session: &mut Session) {
    let source = &mut session.setup.batches.source;
    let FoldRows { train, valid, test } = design.rows_of(job);
    match job.model {
        Model::Shuffled(_) => {
            source.metadata = Arc::new(permuted(
                &source.metadata,
                &[train, valid, test],
                session.setup.config.train.seed,
            ));
        }
        Model::GapsOnly => source.metadata = Arc::new(only_gaps(&source.metadata, &source.encoder)),
        _ => {}
    }
}

/// A trained model, and the rows that it predicts again and again with other metadata.
struct TrainedJob<'a> {
    design: &'a Design,
    job: &'a Job,
    session: &'a Session,
    network: Network,
    /// Leading layers whose result does not depend on metadata.
    n: usize,
    known: Option<Arc<StoredRows>>,
}

impl<'a> TrainedJob<'a> {
    fn new(
        design: &'a Design,
        job: &'a Job,
        session: &'a Session,
        known: Option<Arc<StoredRows>>,
    ) -> Self {
        let mut network = session.state.network.valid();
        network.freeze_backbone(Freeze::Yes);
        let n = match known {
            None if session.setup.batches.source.reads_image => network.frozen_prefix(),
            // The layers before were cut off.
            _ => 0,
        };
        Self {
            design,
            job,
            session,
            network,
            n,
            known,
        }
    }

    fn predict_all(&self) -> Result<Finished> {
        let FoldRows { valid, test, .. } = self.design.rows_of(self.job);
        let source = &self.session.setup.batches.source;
        let on_valid = if self.job.model.is_voter() {
            self.predict(valid, &[])?.swap_remove(0)
        } else {
            Vec::new()
        };
        let seed = self.design.config.train.seed + self.job.seed as u64;
        let mut variants: Vec<EncodedMetadata> = Vec::new();
        if self.job.model.can_miss_metadata() {
            variants.extend(gaps(self.design, self.job, self.session));
        }
        let n_gaps = variants.len();
        let by_column = self.design.first_fusion().as_ref() == Some(&self.job.model);
        if by_column {
            let columns = 0..source.encoder.columns.len();
            variants.extend(columns.map(|column| {
                column_permuted(&source.metadata, &source.encoder, column, test, seed)
            }));
        }
        let mut found = self.predict(test, &variants)?.into_iter();
        Ok(Finished {
            schema: 1,
            digest: String::new(),
            seconds: 0.0,
            best_epoch: None,
            valid: on_valid,
            test: found.next().unwrap_or_default(),
            with_gaps: found.by_ref().take(n_gaps).collect(),
            columns: source
                .encoder
                .columns
                .iter()
                .zip(found)
                .map(|(column, predictions)| ColumnPermuted {
                    column: column.name.clone(),
                    metrics: self.design.score(test, predictions),
                })
                .collect(),
        })
    }

    /// What it predicts of these rows: with their own metadata, then with each of the others.
    fn predict(
        &self,
        rows: &[usize],
        variants: &[EncodedMetadata],
    ) -> Result<Vec<Vec<Prediction>>> {
        let batches = &self.session.setup.batches;
        let prefix = Prefix {
            network: &self.network,
            n: self.n,
            // There is no limit to so few rows.
            total_rows: 0,
        };
        let mut all = vec![Vec::new(); 1 + variants.len()];
        for some in rows.chunks(ROWS_AT_ONCE) {
            let mut held = match &self.known {
                Some(known) => batches.hold(Some(known), some)?,
                None if !batches.source.reads_image => batches.hold(None, some)?,
                None => batches
                    .features_of(prefix, some, &mut |_| {})?
                    .expect("there is no limit to so few rows"),
            };
            all[0].extend(self.forward(&held)?);
            for (variant, predictions) in variants.iter().zip(&mut all[1..]) {
                held.set_metadata(variant);
                predictions.extend(self.forward(&held)?);
            }
        }
        Ok(all)
    }

    fn forward(&self, held: &StoredRows) -> Result<Vec<Prediction>> {
        let device = self.session.setup.batches.device.clone().inner();
        let own = &self.session.setup.task;
        let mut predictions = Vec::new();
        let members = &self.session.setup.members;
        let batches = held.batches(self.n, BATCH, &device);
        let batches = batches.map(|batch| Ok(members.hold_out(batch?, &device)));
        evaluate(&self.network, batches, |batch, output| {
            let decoded = batch.decode(own, output);
            let adopted = decoded.iter().map(|one| self.design.task.adopt(one, own));
            predictions.extend(adopted);
        })?;
        Ok(predictions)
    }
}

impl Design {
    /// Every metric of predictions of these rows.
    pub(super) fn score(&self, rows: &[usize], predictions: Vec<Prediction>) -> Vec<(String, f64)> {
        let targets = self
            .dataset
            .targets
            .as_ref()
            .expect("the task was fitted on them");
        let sizes: Option<Vec<[f32; 2]>> = self
            .sizes
            .as_ref()
            .map(|sizes| rows.iter().map(|&row| sizes[row]).collect());
        let predictions: Vec<Option<Prediction>> = predictions.into_iter().map(Some).collect();
        let weights = self.dataset.weights.as_ref();
        score(
            &self.task,
            targets,
            weights,
            rows,
            &predictions,
            sizes.as_deref(),
        )
        .values
    }
}
