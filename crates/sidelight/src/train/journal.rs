//! What is said and kept while training runs: events for whoever watches, the log, checkpoints.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::network::Network;
use crate::run::{LogLine, LogWriter};
use crate::train::checkpoint::{Checkpoint, Progress};
use crate::train::feed::Feed;
use crate::train::schedule::{Backbone, Plan};

/// Something that happened in training.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Something the person should know.
    Remark(String),
    /// What is about to be done.
    Plan {
        /// Rows learned from.
        rows_train: usize,
        /// Rows watched.
        rows_valid: usize,
        /// Steps of an epoch.
        steps_per_epoch: usize,
        /// Epochs in all, frozen ones included.
        epochs: usize,
        /// The backbone's name.
        backbone: String,
        /// Numbers of the network, frozen ones included.
        n_parameters: usize,
    },
    /// Features of the frozen part are being computed, once.
    Features {
        /// Rows done.
        done: usize,
        /// Rows in all.
        rows: usize,
    },
    /// A rate was tried in a search.
    Rate {
        /// The first being 1.
        step: usize,
        /// Steps of a whole search.
        steps: usize,
        /// The rate.
        rate: f64,
        /// The smoothed loss at it.
        loss: f64,
    },
    /// A step was taken.
    Step {
        /// Epoch, the first being 1.
        epoch: usize,
        /// Step in the epoch, the first being 1.
        step: usize,
        /// Steps of an epoch.
        steps: usize,
        /// Steps since training began.
        total_step: usize,
        /// Steps of the whole training.
        total_steps: usize,
        /// Mean loss of this step's rows.
        loss: f64,
        /// Rows a second in this epoch so far.
        images_per_second: f64,
        /// Estimate for the rest of the training.
        seconds_left: f64,
        /// Share of this epoch's time spent waiting for input, in [0, 1].
        input_bound: f64,
    },
    /// An epoch was scored.
    Epoch {
        /// The first being 1.
        epoch: usize,
        /// Mean loss over its rows, as changed at random.
        train_loss: f64,
        /// Mean loss over the validation rows.
        valid_loss: f64,
        /// The score that is watched, and its name.
        score: (String, f64),
        /// Seconds it took, scoring included.
        seconds: f64,
        /// Whether it is the best so far.
        best: bool,
    },
    /// A checkpoint was written.
    Checkpoint,
    /// Training was asked to stop, and did, after a checkpoint.
    Stopped,
    /// All done.
    Done {
        /// Scores over the validation rows, the main one first.
        metrics: Vec<(String, f64)>,
        /// Seconds of training, over all sittings.
        seconds: f64,
    },
}

/// Tells, logs and saves.
pub struct Journal<'a> {
    on_event: &'a mut dyn FnMut(Event),
    log: Option<LogWriter>,
    checkpoint: Option<PathBuf>,
    last_checkpoint: Instant,
    checkpoint_cost: Duration,
    epoch_start: Instant,
    epoch_rows: usize,
    /// Measured seconds of a step, frozen and training; `None`: none yet.
    step_seconds: [Option<f64>; 2],
    last_step: Instant,
}

impl std::fmt::Debug for Journal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("checkpoint", &self.checkpoint)
            .finish_non_exhaustive()
    }
}

/// Checkpoints at the ends of epochs may take up this share of the time: a short epoch has none.
const CHECKPOINT_SHARE: u32 = 20;

/// A full training step costs about this many times a forward pass alone.
const STEP_PER_FORWARD: f64 = 3.0;

impl<'a> Journal<'a> {
    /// Tells `on_event`; logs and saves where it is given somewhere to.
    pub fn new(
        on_event: &'a mut dyn FnMut(Event),
        log: Option<LogWriter>,
        checkpoint: Option<PathBuf>,
    ) -> Self {
        let now = Instant::now();
        Self {
            on_event,
            log,
            checkpoint,
            last_checkpoint: now,
            checkpoint_cost: Duration::ZERO,
            epoch_start: now,
            epoch_rows: 0,
            step_seconds: [None; 2],
            last_step: now,
        }
    }

    /// Tells of an event, without logging it.
    pub fn tell(&mut self, event: Event) {
        (self.on_event)(event);
    }

    /// Says something, and logs it.
    pub fn remark(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.write(&LogLine::Remark { text: text.clone() });
        (self.on_event)(Event::Remark(text));
    }

    /// Logs a line. A log that cannot be written is said once, and training goes on.
    pub fn write(&mut self, line: &LogLine) {
        if let Some(log) = &mut self.log
            && let Err(error) = log.write(line)
        {
            self.log = None;
            (self.on_event)(Event::Remark(format!(
                "warning: {}; training goes on without a log",
                explain(&error)
            )));
        }
    }

    /// The clock of an epoch starts.
    pub(crate) fn begin_epoch(&mut self) {
        self.epoch_start = Instant::now();
        self.last_step = self.epoch_start;
        self.epoch_rows = 0;
    }

    /// Notes the cost of a step and tells of it. Returns the seconds since the step before.
    pub(crate) fn step(&mut self, plan: &Plan, taken: &StepTaken) -> f64 {
        let now = Instant::now();
        let seconds = now.duration_since(self.last_step).as_secs_f64();
        self.last_step = now;
        self.epoch_rows += taken.rows;
        let slot =
            &mut self.step_seconds[usize::from(plan.backbone(taken.epoch) == Backbone::Training)];
        // The first step of an epoch also waits for the first images; a running mean forgets it soon.
        *slot = Some(slot.map_or(seconds, |mean| mean + (seconds - mean) * 0.1));
        let elapsed = now.duration_since(self.epoch_start).as_secs_f64();
        let images_per_second = self.epoch_rows as f64 / elapsed.max(1e-9);
        self.write(&LogLine::Step {
            epoch: taken.epoch + 1,
            total_step: taken.total_step,
            loss: taken.loss,
            learning_rate: taken.learning_rate,
            images_per_second,
            input_bound: taken.input_bound,
        });
        let seconds_left = self.seconds_left(plan, taken.epoch, taken.step);
        self.tell(Event::Step {
            epoch: taken.epoch + 1,
            step: taken.step,
            steps: plan.steps_per_epoch,
            total_step: taken.total_step,
            total_steps: plan.total_steps(),
            loss: taken.loss,
            images_per_second,
            seconds_left,
            input_bound: taken.input_bound,
        });
        seconds
    }

    /// Has the frozen part's features computed, once, and notes what that cost.
    pub(crate) fn features(&mut self, feed: &mut Feed, network: &Network) -> Result<()> {
        let begun = Instant::now();
        let rows = feed.train.len() + feed.valid.len();
        let step = feed.step;
        let is_stored = feed.compute_features(network, &mut |done, rows| {
            self.tell(Event::Features { done, rows })
        })?;
        if let Some(problem) = feed.cannot_cache.get() {
            self.remark(format!("features are not kept for the next run: {problem}"));
        }
        if is_stored {
            let seconds_per_row = begun.elapsed().as_secs_f64() / rows.max(1) as f64;
            let [_, training] = &mut self.step_seconds;
            training.get_or_insert(seconds_per_row * step as f64 * STEP_PER_FORWARD);
        }
        Ok(())
    }

    /// Logs and tells how an epoch ended.
    pub(crate) fn epoch(
        &mut self,
        progress: &Progress,
        valid_loss: f64,
        score: (String, f64),
        best: bool,
    ) {
        let train_loss = progress.loss_sum / progress.n_rows.max(1) as f64;
        let (epoch, seconds) = (progress.epoch + 1, self.epoch_start.elapsed().as_secs_f64());
        self.write(&LogLine::Epoch {
            epoch,
            total_step: progress.total_step,
            rows: progress.n_rows,
            train_loss,
            valid_loss,
            score_name: score.0.clone(),
            score: score.1,
            seconds,
            best,
        });
        self.tell(Event::Epoch {
            epoch,
            train_loss,
            valid_loss,
            score,
            seconds,
            best,
        });
    }

    fn seconds_left(&self, plan: &Plan, epoch: usize, step: usize) -> f64 {
        let [frozen, training] = self.step_seconds;
        let of = |backbone| match backbone {
            Backbone::Frozen => frozen.or(training).unwrap_or(0.0),
            Backbone::Training => training.or(frozen).unwrap_or(0.0),
        };
        let this = (plan.steps_per_epoch - step) as f64 * of(plan.backbone(epoch));
        let later = (epoch + 1..plan.epochs())
            .map(|epoch| plan.steps_per_epoch as f64 * of(plan.backbone(epoch)));
        this + later.sum::<f64>()
    }

    /// Whether enough time has passed that another checkpoint does not slow training down.
    pub(crate) fn is_checkpoint_cheap(&self) -> bool {
        self.checkpoint.is_some()
            && self.last_checkpoint.elapsed() >= self.checkpoint_cost * CHECKPOINT_SHARE
    }

    /// Writes a checkpoint. One that cannot be written is said, and training goes on with the one before.
    pub(crate) fn save(&mut self, checkpoint: impl FnOnce() -> Checkpoint) {
        let Some(dir) = self.checkpoint.clone() else {
            return;
        };
        let begun = Instant::now();
        match checkpoint().write(&dir) {
            Ok(()) => self.tell(Event::Checkpoint),
            Err(error) => self.remark(format!(
                "warning: no checkpoint: {}; training goes on, a resumed run would begin at the checkpoint before",
                explain(&error)
            )),
        }
        self.checkpoint_cost = begun.elapsed();
        self.last_checkpoint = Instant::now();
    }
}

/// A step as the journal notes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepTaken {
    /// From 0.
    pub(crate) epoch: usize,
    /// Steps of the epoch done, this one included.
    pub(crate) step: usize,
    /// Steps since training began, this one included.
    pub(crate) total_step: usize,
    pub(crate) rows: usize,
    pub(crate) loss: f64,
    pub(crate) learning_rate: f64,
    pub(crate) input_bound: f64,
}

/// An error with its cause, in one line.
fn explain(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_knows_that_frozen_epochs_are_cheaper() {
        let mut ignore = |_| {};
        let mut journal = Journal::new(&mut ignore, None, None);
        let plan = Plan::fine_tune(2, 3, 1e-3).with_steps_per_epoch(10);
        journal.step_seconds = [Some(0.1), Some(2.0)];
        // 4 steps of this epoch, 10 of the other frozen one, 30 of the rest.
        assert!((journal.seconds_left(&plan, 0, 6) - (14.0 * 0.1 + 30.0 * 2.0)).abs() < 1e-9);
        assert!((journal.seconds_left(&plan, 4, 9) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_is_a_remark() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = Vec::new();
        let mut keep = |event| events.push(event);
        let nowhere = folder.path().join("missing/checkpoint");
        let mut journal = Journal::new(&mut keep, None, Some(nowhere));
        let config = "[data]\ntable = \"a.csv\"\n[target]\nkind = \"class\"\ncolumn = \"c\"\n";
        journal.save(|| Checkpoint {
            config: toml::from_str(config).unwrap(),
            rows: crate::train::checkpoint::RowsDigest {
                train: 1,
                valid: 1,
                sha256: String::new(),
            },
            division: None,
            progress: Default::default(),
            network: Vec::new(),
            average: None,
            optimizer: Vec::new(),
            best: None,
        });
        let [Event::Remark(text)] = &events[..] else {
            panic!("{events:?}")
        };
        assert!(
            text.starts_with("warning: no checkpoint: cannot write"),
            "{text}"
        );
    }
}
