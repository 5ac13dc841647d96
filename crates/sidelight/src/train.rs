//! Training: from a configuration to a finished run.
//!
//! [`fit`] is the loop, told in order. [`train`] is everything around it: it reads the table, divides the rows,
//! fits encoder and task, builds the network, trains it, predicts the validation rows and writes the run folder.
//! One seed gives one result, whatever the number of threads, and whether or not the run was interrupted.

#[doc(hidden)]
pub mod batch_source;
pub(crate) mod branches;
pub(crate) mod calibrate;
mod certainty;
#[doc(hidden)]
pub mod checkpoint;
#[doc(hidden)]
pub mod ema;
mod feature_cache;
#[doc(hidden)]
pub mod feature_store;
mod folds;
mod layer_groups;
pub mod lr_find;
mod mixup;
#[doc(hidden)]
pub mod optimizer;
#[cfg(feature = "report")]
mod page;
mod rehearsal;
mod residual;
mod results;
#[doc(hidden)]
pub mod schedule;
mod session;
mod setup;
#[doc(hidden)]
pub mod stacking;
mod step_gradients;
mod training_log;
pub(crate) mod trees;
#[doc(hidden)]
pub mod unreadable;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use sidelight_kernels::SimdPath;

use crate::config::Config;
use crate::error::{Result, first_of, quoted};
use crate::metric::Metrics;
use crate::ranks::{Alone, Ranks, all_equal, all_or_none, as_collective_error};
use crate::run::{Existing, LogWriter, Run, RunFolder, Trackers};

use checkpoint::Checkpoint;
use folds::{check_no_folds, train_folds};
use optimizer::clip_factor;
use results::finish;
use training_log::StepSummary;

pub use crate::run::Event;
pub use feature_cache::FeatureCache;
pub use rehearsal::rehearse;
pub use session::{Session, Setup, State};
pub use training_log::TrainingLog;

/// Where a run goes, and who watches it. A path is options enough: all else then has its default.
///
/// # Example
///
/// ```
/// use sidelight::run::Existing;
/// use sidelight::train::{Event, TrainOptions};
///
/// let mut on_event = |event: Event| println!("{event:?}");
/// let options = TrainOptions {
///     existing: Existing::Resume,
///     on_event: Some(&mut on_event),
///     ..TrainOptions::new("runs/a")
/// };
/// assert!(options.cache.is_none());
/// ```
pub struct TrainOptions<'a> {
    /// The run folder.
    pub out: PathBuf,
    /// What to do with a run that is already there: refuse, resume or replace it. Default: [`Existing::Refuse`].
    pub existing: Existing,
    /// Where features of frozen layers are cached from one run to the next. Default: nowhere.
    pub cache: Option<FeatureCache>,
    /// Who takes part: all of them call [`train`], on the same folder. The first writes and reports events.
    /// Default: [`Alone`].
    pub ranks: Arc<dyn Ranks>,
    /// Once it is set (by Ctrl-C, say), training saves a checkpoint and stops after the current step. Default: never.
    pub stop: Option<&'a AtomicBool>,
    /// Called with everything that happens. Default: nobody is told.
    pub on_event: Option<&'a mut dyn FnMut(Event)>,
}

impl TrainOptions<'_> {
    /// A run in this folder, all else by default.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            existing: Existing::default(),
            cache: None,
            ranks: Arc::new(Alone),
            stop: None,
            on_event: None,
        }
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for TrainOptions<'_> {
    fn from(out: &P) -> Self {
        Self::new(out.as_ref())
    }
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
    /// What a constant guess from the training rows scores over the same; `None`: as above, or without a guess.
    pub constant: Option<Metrics>,
    /// The run folder: model, scores, log, report.
    pub run: Run,
    /// Whether it was asked to stop: it can be resumed.
    pub stopped: bool,
}

/// How a [`fit`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All epochs are done, or patience is at its end.
    Finished,
    /// It was asked to stop.
    Stopped,
}

/// The loop. At its end the session's network is that of the last epoch; with `train.patience`, of the best; and of the best
/// with the pretrained part frozen, where no epoch after those was better.
///
/// `stop` may be set by anyone at any time: training then saves a checkpoint and ends after the step that it is in.
///
/// # Errors
///
/// An image that cannot be read, [`Error::Diverged`](crate::Error::Diverged).
pub fn fit(
    mut session: Session,
    log: &mut TrainingLog<'_>,
    stop: &AtomicBool,
) -> Result<(Session, Ended)> {
    while let Some(epoch) = session.next_epoch() {
        session.begin_epoch(epoch, log)?;
        let unread = session.grow_trees()?;
        if !unread.is_empty() {
            log.warn(left_to_trees(&unread));
        }
        log.begin_epoch();
        let batches = &session.setup.batches;
        let mut batches = batches.training(epoch, session.state.progress.step);
        // Forward and backward, over the micro-batches of a step and all ranks.
        while let Some(mut step) = session.compute_gradients(&mut batches, stop)? {
            let rates = session.setup.plan.at(epoch, session.state.progress.step);
            session.check_loss(step.loss, rates)?;
            let norm = step.gradients.norm() / session.n_losses().sqrt();
            // One that is not a number would reach every weight, and the next checkpoint.
            session.check_loss(norm, rates)?;
            let scale = clip_factor(norm, session.setup.config.train.clip);
            session.state.network =
                session
                    .state
                    .optimizer
                    .step(session.state.network, &step.gradients, rates, scale);
            step.update_running_statistics(
                &mut session.state.network,
                &*session.setup.batches.ranks,
            );
            session.state.progress.count(step.loss, step.rows);
            session.state.update_ema();
            let summary = StepSummary {
                loss: step.loss,
                rows: step.rows,
                rates,
                input_bound: batches.input_bound(),
            };
            log.step(&session.setup.plan, &mut session.state.progress, summary);

            // Of several ranks all stop after the same step: what one is told they all know one step later.
            let is_alone = session.setup.batches.ranks.is_alone();
            if step.stops || (is_alone && stop.load(Ordering::Relaxed)) {
                session.save(log)?;
                log.emit(Event::Stopped {
                    total_step: session.state.progress.total_step,
                });
                return Ok((session, Ended::Stopped));
            }
            if session.is_checkpoint_due() {
                session.save(log)?;
            }
        }
        drop(batches);
        session.check_ranks()?;

        if log.hears_scores || session.chooses_epoch() {
            let (valid_loss, metrics) = session.score()?;
            let (name, score) = session.monitored_metric(&metrics, valid_loss);
            let is_best = session.keep_if_best(epoch, score)?;
            let is_kept = is_best && session.setup.config.train.restores_best();
            log.epoch(&session.state.progress, valid_loss, (name, score), is_kept);
        }
        session.setup.batches.write_unreadable()?;
        session.state.progress.next_epoch();
        if log.is_checkpoint_cheap() {
            log.save(|| session.checkpoint());
        }
    }
    let kept = session.epoch_to_keep();
    if let Some(best) = kept.filter(|_| !session.setup.config.train.restores_best()) {
        log.warn(format!(
            "the validation rows are not better for what the backbone learned: the model is that of epoch {}, with the backbone as it was pretrained",
            best.epoch + 1
        ));
    }
    session.state.end(kept.is_some())?;
    session.fit_factors()?;
    Ok((session, Ended::Finished))
}

/// Says which columns only trees may ask for.
fn left_to_trees(columns: &[String]) -> String {
    format!(
        "metadata that says nothing of the target, as far as the training rows tell, and is read by trees alone: {}",
        first_of(&quoted(columns), COLUMNS_SHOWN)
    )
}

/// Columns that a remark names, at most.
const COLUMNS_SHOWN: usize = 8;

/// Trains a model as configured and writes its run folder.
///
/// The options are a path, the run folder, or [`TrainOptions`].
///
/// # Example
///
/// ```no_run
/// use sidelight::Config;
/// use sidelight::config::TargetConfig;
///
/// let config = Config::new("houses.csv", TargetConfig::regression("price")).with_epochs(20);
/// let trained = sidelight::train(&config, "runs/a")?;
/// println!("{:?}", trained.metrics);
/// # Ok::<(), sidelight::Error>(())
/// ```
///
/// With `data.split.folds` a model is trained for each fold, on all other rows, below `folds/` of the run folder; the run's own
/// model is the mean of them, its scores are of each row by the model that has not learned from it.
///
/// Several ranks ([`TrainOptions::ranks`]) train one model together: all read the table, the images of their share of the
/// rows, and the run folder's checkpoint; the first writes.
///
/// # Errors
///
/// Everything that can be wrong with configuration, table, images and weights, before the first step where it can
/// be known; [`Error::Diverged`](crate::Error::Diverged); [`DataError::Write`](crate::error::DataError::Write) where the results cannot
/// be written. What is only a loss of comfort (a checkpoint, the log, the report) is said as a remark. Of several ranks:
/// [`Error::OnRank`](crate::Error::OnRank) where the others do not know of it and must be ended;
/// [`Error::OtherRank`](crate::Error::OtherRank) where another says what it is;
/// [`Error::RanksDiffer`](crate::Error::RanksDiffer).
pub fn train<'a>(config: &Config, options: impl Into<TrainOptions<'a>>) -> Result<Trained> {
    let options = options.into();
    if config.data.split.joins_folds() {
        return train_folds(config, options);
    }
    let ranks = Arc::clone(&options.ranks);
    check_ranks_match(&*ranks, config)?;
    // What the others look for in the folder is there once the first has it.
    let folder = match ranks.is_first() {
        true => check_no_folds(config, &options)
            .and_then(|()| RunFolder::create(&options.out, options.existing))
            .map(Some),
        false => Ok(None),
    };
    let folder = all_or_none(&*ranks, folder)?;
    let begun = begin(config, &options, folder.as_ref());
    let (session, remarks, written) = all_or_none(&*ranks, begun)?;
    all_equal(&*ranks, "rows", &session.setup.rows.sha256)?;

    let (mut nobody, never) = (|_| {}, AtomicBool::new(false));
    let on_event: &mut dyn FnMut(Event) = match options.on_event {
        Some(on_event) if folder.is_some() => on_event,
        _ => &mut nobody,
    };
    let (file, trackers) = written.unzip();
    let mut log = TrainingLog::new(on_event)
        .with_file(file)
        .with_trackers(trackers)
        .with_checkpoints(folder.as_ref().map(|folder| folder.checkpoint_dir()));
    session.announce(&remarks, &mut log);
    let fitted = fit(session, &mut log, options.stop.unwrap_or(&never));
    let (mut session, ended) = fitted.map_err(|error| as_collective_error(&*ranks, error))?;
    let run = Run { dir: options.out };
    if ended == Ended::Stopped {
        return Ok(Trained {
            metrics: None,
            constant: None,
            run,
            stopped: true,
        });
    }
    session
        .calibrate()
        .and_then(|()| session.assure())
        .map_err(|error| as_collective_error(&*ranks, error))?;
    let (predicted, _) = session
        .predict_validation()
        .map_err(|error| as_collective_error(&*ranks, error))?;
    let metrics = session.score_of(&predicted);
    let constant = session.score_of_constant();
    let finished = match folder {
        Some(folder) => finish(
            session,
            &predicted,
            &metrics,
            constant.as_ref(),
            folder,
            &mut log,
        ),
        None => Ok(()),
    };
    all_or_none(&*ranks, finished)?;
    Ok(Trained {
        metrics: Some(metrics),
        constant,
        run,
        stopped: false,
    })
}

/// Whether all ranks are about to do the same, and would do it alike.
fn check_ranks_match(ranks: &dyn Ranks, config: &Config) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    all_equal(ranks, "versions of sidelight", env!("CARGO_PKG_VERSION"))?;
    all_equal(ranks, "processors", &format!("{:?}", SimdPath::best()))?;
    let mut config = config.clone();
    config.train.workers = 0;
    all_equal(ranks, "configurations", &config.to_toml()?)
}

/// A session, what should be said of it, and what steps are written to.
type Begun = (Session, Vec<String>, Option<(LogWriter, Trackers)>);

/// All that comes before the first step. Only the first rank has a folder to write to.
fn begin(config: &Config, options: &TrainOptions<'_>, folder: Option<&RunFolder>) -> Result<Begun> {
    let (mut session, mut remarks) = Session::new(config, &Device::flex().autodiff())?;
    session.setup.batches.cache.clone_from(&options.cache);
    session.share_out(Arc::clone(&options.ranks));
    let checkpoint = match options.existing {
        Existing::Resume => {
            let dir = options.out.clone();
            Checkpoint::read(&Run { dir }.checkpoint_dir())?
        }
        _ => None,
    };
    let goes_on = checkpoint.is_some();
    if let Some(checkpoint) = checkpoint {
        checkpoint.check(&session.setup.config, &session.setup.rows, &options.out)?;
        session.resume(checkpoint)?;
        session.check_place(&Checkpoint::state_of(&options.out))?;
    }
    // After a refusal the folder is as it was.
    if let Some(folder) = folder {
        folder.write_config(&session.setup.config.to_toml()?)?;
        if let Some(unreadable) = &session.setup.batches.unreadable {
            unreadable.write_to(folder.skipped_path(), goes_on)?;
        }
    }
    let reached = session.state.progress.reached();
    if reached.total_step == 0 {
        remarks.extend(session.remark_on_ranks());
    }
    let write = |folder: &RunFolder| -> Result<_> {
        let log = folder.log(reached)?;
        Ok((log, folder.trackers(&session.setup.config, reached)?))
    };
    let written = folder.map(write).transpose()?;
    Ok((session, remarks, written))
}
