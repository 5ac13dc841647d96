//! Training: from a configuration to a finished run.
//!
//! [`fit`] is the loop, told in order. [`train`] is everything around it: it reads the table, divides the rows,
//! fits encoder and task, builds the network, trains it, predicts the validation rows and writes the run folder.
//! One seed gives one result, whatever the number of threads, and whether or not the run was interrupted.

pub mod average;
pub mod checkpoint;
mod depth;
mod descent;
mod feature_cache;
pub mod feed;
mod journal;
pub mod lr_find;
mod mixup;
pub mod optimizer;
mod prepare;
mod results;
pub mod schedule;
pub mod unreadable;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::Rng;
use sha2::{Digest, Sha256};

use crate::config::{Config, Unfreeze};
use crate::digest::hexadecimal;
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::metric::{self, Metrics};
use crate::network::{Context, Freeze, Network};
use crate::predict::batch::{Batch, decode};
use crate::predict::{Model, Predictions, gather, score};
use crate::random::named;
use crate::ranks::{Ranks, gather_numbers, same, to_bytes};
use crate::run::{Existing, LogLine, Run};
use crate::task::Task;

use average::Average;
use checkpoint::{Best, Checkpoint, Division, NamedValues, Progress, RowsDigest};
use depth::{Blocks, freeze_all_but};
use feed::Feed;
use journal::StepTaken;
use optimizer::{Optimizer, clip_factor};
use schedule::{Backbone, Plan};

pub use feature_cache::FeatureCache;
pub use journal::{Event, Journal};
pub use prepare::train;

/// Share of a batch's statistics in the running ones; PyTorch's default.
const STATISTICS_MOMENTUM: f32 = 0.1;

/// Where a run goes, and who watches it.
pub struct TrainOptions<'a> {
    /// The run folder.
    pub out: PathBuf,
    /// What to do with a run that is already there: refuse, go on with it, or replace it.
    pub existing: Existing,
    /// Where features of frozen layers are kept from one run to the next; `None`: nowhere.
    pub cache: Option<FeatureCache>,
    /// Who takes part: all of them call [`train`], on the same folder. The first writes and tells of events.
    pub ranks: Arc<dyn Ranks>,
    /// Set by anyone (Ctrl-C, say): training saves a checkpoint and stops after the step that it is in.
    pub stop: &'a AtomicBool,
    /// Called with everything that happens.
    pub on_event: &'a mut dyn FnMut(Event),
}

impl std::fmt::Debug for TrainOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainOptions")
            .field("out", &self.out)
            .field("existing", &self.existing)
            .finish_non_exhaustive()
    }
}

/// A trained run.
#[derive(Debug)]
pub struct Trained {
    /// Scores over the validation rows; `None`: it was stopped before its end.
    pub metrics: Option<Metrics>,
    /// Its folder.
    pub run: Run,
    /// Whether it was asked to stop: it can be resumed.
    pub stopped: bool,
}

/// Everything that training changes or reads.
#[derive(Debug)]
pub struct Session {
    /// What the person asked for.
    pub config: Config,
    /// What the outputs mean.
    pub task: Task,
    /// What learns, on a device with gradients.
    pub network: Network,
    /// Parameters that an edit has frozen for good.
    pub frozen: Vec<String>,
    /// How it steps.
    pub optimizer: Optimizer,
    /// The moving average of the network, where one is asked for.
    pub average: Option<Average>,
    /// The rates.
    pub plan: Plan,
    /// What it makes small.
    pub loss: Loss,
    /// The rows.
    pub feed: Feed,
    /// Which rows they are.
    pub rows: RowsDigest,
    /// What a step is, and how many ranks shared it when training began.
    pub division: Division,
    /// Width and height of each validation row's image as stored, where the task's metrics ask for them.
    pub sizes: Option<Vec<[f32; 2]>>,
    /// Where it is.
    pub progress: Progress,
    /// The numbers of the best epoch.
    pub best: Option<Vec<NamedValues>>,
}

/// How a [`fit`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All epochs are done, or patience is at its end.
    Finished,
    /// It was asked to stop.
    Stopped,
}

/// The loop. At its end the session's network is that of the best epoch.
///
/// # Errors
///
/// An image that cannot be read, [`Error::Diverged`].
pub fn fit(
    mut session: Session,
    journal: &mut Journal<'_>,
    stop: &AtomicBool,
) -> Result<(Session, Ended)> {
    while let Some(epoch) = session.next_epoch() {
        session.enter(epoch, journal)?;
        journal.begin_epoch();
        let mut batches = session.feed.training(epoch, session.progress.step);
        // Forward and backward over the batches of a step.
        while let Some(mut descent) =
            session.descend(&mut batches, session.progress.total_step, stop)?
        {
            let (loss, rows) = (descent.loss, descent.rows);
            let rates = session.plan.at(epoch, session.progress.step);
            if !loss.is_finite() {
                return Err(session.diverged(loss, rates.rate));
            }

            let gradients = &descent.gradients;
            let scale = clip_factor(gradients.norm(), session.config.train.clip);
            session.network.root =
                session
                    .optimizer
                    .step(session.network.root, "", gradients, rates, scale);
            descent.apply_statistics(&mut session.network, &*session.feed.ranks);

            session.progress.count(loss, rows);
            if let Some(average) = &mut session.average {
                average.follow(&session.network, session.progress.total_step);
            }
            let taken = session
                .progress
                .taken(loss, rates.rate, rows, batches.input_bound());
            session.progress.seconds += journal.step(&session.plan, &taken);
            // Of several ranks all stop after the same step: what one is told they all know one step later.
            if descent.stops || (session.feed.ranks.is_alone() && stop.load(Ordering::Relaxed)) {
                session.feed.write_unreadable()?;
                journal.save(|| session.checkpoint());
                journal.write(&LogLine::Stopped {
                    total_step: session.progress.total_step,
                });
                journal.tell(Event::Stopped);
                return Ok((session, Ended::Stopped));
            }
            let every = session.config.train.checkpoint_steps;
            if every > 0 && session.progress.total_step.is_multiple_of(every) {
                session.feed.write_unreadable()?;
                journal.save(|| session.checkpoint());
            }
        }
        drop(batches);
        session.check_ranks()?;

        let (valid_loss, metrics) = session.score()?;
        session.feed.write_unreadable()?;
        let (name, score) = session.watched(&metrics, valid_loss);
        let best = session.keep_if_best(epoch, score)?;
        journal.epoch(
            &session.progress,
            valid_loss,
            (name.to_owned(), score),
            best,
        );
        session.progress.next_epoch();
        if journal.is_checkpoint_cheap() {
            journal.save(|| session.checkpoint());
        }
    }
    // Where no epoch had a score, the last one's numbers stand.
    session.network = session.scored()?;
    session.average = None;
    if let Some(best) = session.best.take() {
        session.network.load_state(best)?;
    }
    Ok((session, Ended::Finished))
}

/// A seed of its own for each batch of each step.
fn step_seed(seed: u64, total_step: usize, part: usize) -> u64 {
    let name = match part {
        0 => format!("step {total_step}"),
        part => format!("step {total_step}, part {part}"),
    };
    named(seed, &name).next_u64()
}

impl Session {
    /// Gets ready for an epoch in which the pretrained part learns or does not.
    fn enter(&mut self, epoch: usize, journal: &mut Journal<'_>) -> Result<()> {
        match self.plan.backbone(epoch) {
            Backbone::Frozen if self.feed.has_features() => {}
            Backbone::Frozen => {
                self.network.freeze_backbone(Freeze::Yes);
                journal.features(&mut self.feed, &self.network)?;
            }
            Backbone::Training => {
                if self.plan.thaws_in(epoch) && self.progress.step == 0 {
                    self.wind_back()?;
                }
                self.feed.drop_features();
                self.network.freeze_backbone(Freeze::No);
                if self.config.train.unfreeze == Unfreeze::Gradual {
                    let n_blocks = Blocks::of(&self.network).len();
                    freeze_all_but(&mut self.network, self.plan.thawed(epoch, n_blocks));
                }
                for path in &self.frozen {
                    Network::freeze(&mut self.network, path);
                }
            }
        }
        let parameters = self.network.parameters();
        if !parameters.iter().any(|parameter| parameter.trainable) {
            return Err(Error::NothingToTrain {
                n_parameters: parameters.len(),
            });
        }
        Ok(())
    }

    /// Goes back to the best epoch so far, with an optimiser that remembers nothing of what came after it.
    ///
    /// Hundreds of steps over features without random changes can learn a small table by heart; what then learns with the
    /// backbone would begin from there, and its gradients would be of a head that no longer generalises.
    fn wind_back(&mut self) -> Result<()> {
        let Some(best) = &self.best else {
            return Ok(());
        };
        self.network.load_state(best.clone())?;
        if let Some(average) = self.average.as_mut().filter(|average| average.has_begun()) {
            average.restore(best.clone());
        }
        self.optimizer.restore(Vec::new());
        Ok(())
    }

    /// The epoch to go on with; where patience is at its end, the next phase's first.
    fn next_epoch(&mut self) -> Option<usize> {
        let (now, patience) = (self.progress.epoch, self.config.train.patience);
        if now == self.plan.epochs() {
            return None;
        }
        let phase = self.plan.epochs_of_phase(now);
        let better = self.progress.best.map_or(0, |best| best.epoch + 1);
        if patience > 0 && now.saturating_sub(better.max(phase.start)) >= patience {
            self.progress.epoch = phase.end;
        }
        (self.progress.epoch < self.plan.epochs()).then_some(self.progress.epoch)
    }

    /// The network that is scored and kept: the average of what learns, where there is one.
    fn scored(&self) -> Result<Network> {
        let mut network = self.network.clone();
        if let Some(average) = self.average.as_ref().filter(|average| average.has_begun()) {
            network.load_state(average.values())?;
        }
        Ok(network)
    }

    /// Loss and scores over the validation rows.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn score(&self) -> Result<(f64, Metrics)> {
        let (predicted, loss) = self.predict_validation()?;
        Ok((loss, self.score_of(&predicted)))
    }

    /// Scores of predictions of the validation rows.
    fn score_of(&self, predicted: &Predictions) -> Metrics {
        let targets = self
            .feed
            .source
            .dataset
            .targets
            .as_ref()
            .expect("a session has targets");
        score(
            &self.task,
            targets,
            &self.feed.valid,
            &predicted.predictions,
            self.sizes.as_deref(),
        )
    }

    /// The score that the best epoch is chosen by; the loss where it is not defined (an AUROC without positives, say).
    fn watched(&self, metrics: &Metrics, loss: f64) -> (&'static str, f64) {
        let (name, _) = metric::selection_metric(&self.task);
        metrics
            .get(name)
            .map_or(("loss", loss), |score| (name, score))
    }

    /// Predicts the validation rows, in order, and their mean loss; every rank its share, and all get all.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn predict_validation(&self) -> Result<(Predictions, f64)> {
        // Forward passes with gradients but no backward pass would pile up what they remember.
        let network = self.scored()?.valid();
        let size = self.feed.source.preprocess.size;
        let mut predicted = Predictions {
            losses: Some(Vec::new()),
            ..Predictions::default()
        };
        let mut sums = Vec::new();
        for batch in self.feed.validation() {
            let batch: Batch = batch?;
            let output = batch.run(&network, &mut Context::evaluate(None));
            if let Some((target, mask)) = batch.targets {
                let (losses, weights) =
                    self.loss.sums(output.clone(), target.clone(), mask.clone());
                sums.extend([losses, weights]);
                predicted
                    .losses
                    .get_or_insert_default()
                    .extend(self.loss.rows(output.clone(), target, mask));
            }
            predicted.predictions.extend(
                decode(&self.task, output, &batch.to_input, size)
                    .into_iter()
                    .map(Some),
            );
        }
        // What was said of a blank is no prediction.
        for (place, &row) in self.feed.own(&self.feed.valid).iter().enumerate() {
            if self.feed.is_unreadable(row) {
                predicted.predictions[place] = None;
                if let Some(losses) = &mut predicted.losses {
                    losses[place] = f32::NAN;
                }
            }
        }
        // Each rank predicted its share; all go on with all of it, added up in the order of the rows.
        let ranks = &*self.feed.ranks;
        let predicted = gather(ranks, &self.task, predicted, 0)?;
        let (mut sum, mut weight) = (0.0, 0.0);
        for pair in gather_numbers(ranks, &sums).chunks_exact(2) {
            sum += pair[0];
            weight += pair[1];
        }
        Ok((
            predicted,
            if weight > 0.0 { sum / weight } else { f64::NAN },
        ))
    }

    /// Keeps the network's numbers if no epoch before had a better score.
    fn keep_if_best(&mut self, epoch: usize, score: f64) -> Result<bool> {
        let (_, better) = metric::selection_metric(&self.task);
        let is_better = self
            .progress
            .best
            .is_none_or(|best| better.prefers(score, best.score));
        // A score that is not a number is never the best: nothing compares with it.
        if !is_better || score.is_nan() {
            return Ok(false);
        }
        self.progress.best = Some(Best { epoch, score });
        self.best = Some(self.scored()?.state_dict());
        Ok(true)
    }

    /// Everything that a run needs to go on from here.
    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            config: self.config.clone(),
            rows: self.rows.clone(),
            division: Some(self.division),
            progress: self.progress.clone(),
            network: self.network.state_dict(),
            average: self.average.as_ref().map(|average| average.values()),
            optimizer: self.optimizer.memory(),
            best: self.best.clone(),
        }
    }

    /// Shares the rows of every step among ranks: `train.accumulate` batches of `train.batch` rows of each.
    pub fn share_out(&mut self, ranks: Arc<dyn Ranks>) {
        let train = &self.config.train;
        let largest = train.batch * train.accumulate * ranks.size();
        let division = Division {
            step: feed::even(self.feed.train.len(), largest),
            ranks: ranks.size(),
        };
        self.divide(ranks, division);
    }

    /// Shares steps of so many rows among ranks, in as many batches of `train.batch` rows as that takes.
    pub fn divide(&mut self, ranks: Arc<dyn Ranks>, division: Division) {
        self.division = division;
        let batch = self.config.train.batch;
        self.feed.share_out(division.step, batch, ranks);
        self.plan = prepare::plan(&self.config, self.feed.steps_per_epoch(), division.ranks);
    }

    /// Whether all ranks hold the same network to the bit, as they must after the same steps.
    fn check_ranks(&self) -> Result<()> {
        let ranks = &*self.feed.ranks;
        if ranks.is_alone() {
            return Ok(());
        }
        let mut hash = Sha256::new();
        for (_, _, values) in self.network.state_dict() {
            hash.update(to_bytes(&values));
        }
        same(ranks, "weights", &hexadecimal(&hash.finalize()[..8]))
    }

    /// Goes on from a checkpoint.
    ///
    /// # Errors
    ///
    /// [`Error::State`]: the checkpoint is of another network.
    pub fn resume(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.network.load_state(checkpoint.network)?;
        if let Some(division) = checkpoint.division {
            self.divide(Arc::clone(&self.feed.ranks), division);
        }
        if let (Some(average), Some(values)) = (&mut self.average, checkpoint.average) {
            average.restore(values);
        }
        self.optimizer.restore(checkpoint.optimizer);
        self.progress = checkpoint.progress;
        self.best = checkpoint.best;
        Ok(())
    }

    fn diverged(&self, loss: f64, learning_rate: f64) -> Error {
        let Progress { epoch, step, .. } = self.progress;
        Error::Diverged {
            epoch: epoch + 1,
            step: step + 1,
            loss,
            learning_rate,
        }
    }

    /// The trained model, on a device without gradients.
    pub fn into_model(self) -> Model {
        let Self {
            config,
            task,
            network,
            feed,
            ..
        } = self;
        Model {
            config,
            task,
            encoder: (*feed.source.encoder).clone(),
            network: network.valid(),
        }
    }
}

impl Progress {
    fn count(&mut self, loss: f64, n_rows: usize) {
        self.step += 1;
        self.total_step += 1;
        self.n_rows += n_rows;
        self.total_rows += n_rows;
        self.loss_sum += loss * n_rows as f64;
    }

    fn taken(&self, loss: f64, learning_rate: f64, rows: usize, input_bound: f64) -> StepTaken {
        let Self {
            epoch,
            step,
            total_step,
            ..
        } = *self;
        StepTaken {
            epoch,
            step,
            total_step,
            rows,
            loss,
            learning_rate,
            input_bound,
        }
    }

    fn next_epoch(&mut self) {
        self.epoch += 1;
        self.step = 0;
        self.n_rows = 0;
        self.loss_sum = 0.0;
    }
}
