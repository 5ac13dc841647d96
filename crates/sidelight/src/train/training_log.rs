//! What is said and kept while training runs: events for whoever watches, the log, checkpoints.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::run::{Event, LogWriter, Trackers};

use super::checkpoint::{Checkpoint, Progress};
use super::schedule::{Backbone, Rates, TrainingPlan};

/// Tells, logs and saves, and knows how long everything takes.
pub struct TrainingLog<'a> {
    on_event: &'a mut dyn FnMut(Event),
    file: Option<LogWriter>,
    trackers: Trackers,
    checkpoint: Option<PathBuf>,
    last_checkpoint: Instant,
    checkpoint_cost: Duration,
    epoch_start: Instant,
    epoch_rows: usize,
    /// Whether the scores of epochs are of interest.
    pub(super) hears_scores: bool,
    /// Measured seconds of a step, frozen and training; `None`: none yet.
    step_seconds: [Option<f64>; 2],
    last_step: Instant,
}

impl std::fmt::Debug for TrainingLog<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainingLog")
            .field("checkpoint", &self.checkpoint)
            .finish_non_exhaustive()
    }
}

/// Checkpoints at the ends of epochs may take up this share of the time: a short epoch has none.
const CHECKPOINT_SHARE: u32 = 20;

/// A full training step costs about this many times a forward pass alone.
const STEP_PER_FORWARD: f64 = 3.0;

impl<'a> TrainingLog<'a> {
    /// Tells `on_event` of everything; nothing is written.
    pub fn new(on_event: &'a mut dyn FnMut(Event)) -> Self {
        let now = Instant::now();
        Self {
            on_event,
            file: None,
            trackers: Trackers::default(),
            checkpoint: None,
            last_checkpoint: now,
            checkpoint_cost: Duration::ZERO,
            epoch_start: now,
            epoch_rows: 0,
            hears_scores: true,
            step_seconds: [None; 2],
            last_step: now,
        }
    }

    /// The same, with a log file.
    #[must_use]
    pub fn with_file(mut self, file: impl Into<Option<LogWriter>>) -> Self {
        self.file = file.into();
        self
    }

    /// The same, with what `train.log` asks for.
    #[must_use]
    pub(crate) fn with_trackers(mut self, trackers: Option<Trackers>) -> Self {
        self.trackers = trackers.unwrap_or_default();
        self
    }

    /// The same, with checkpoints in this folder.
    #[must_use]
    pub fn with_checkpoints(mut self, dir: impl Into<Option<PathBuf>>) -> Self {
        self.checkpoint = dir.into();
        self
    }

    /// The same, of a training whose epochs need no scores but to choose one of them.
    #[must_use]
    pub(crate) fn without_scores(mut self) -> Self {
        self.hears_scores = false;
        self
    }

    /// Tells of an event and logs it.
    pub fn emit(&mut self, event: Event) {
        self.write(&event);
        self.tell(event);
    }

    /// Says something that the person should know.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.emit(Event::Remark { text: text.into() });
    }

    /// Tells of an event without logging it.
    pub(crate) fn tell(&mut self, event: Event) {
        (self.on_event)(event);
    }

    /// Logs an event. A log, or what a tracker reads, that cannot be written is said once, and training goes on.
    pub(crate) fn write(&mut self, event: &Event) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write(event)
        {
            self.file = None;
            self.warn(format!(
                "warning: {}; training goes on without a log",
                explain(&error)
            ));
        }
        for (tracker, error) in self.trackers.write(event) {
            self.warn(format!(
                "warning: {}; training goes on without {tracker}",
                explain(&error)
            ));
        }
    }

    /// The clock of an epoch starts.
    pub(crate) fn begin_epoch(&mut self) {
        self.epoch_start = Instant::now();
        self.last_step = self.epoch_start;
        self.epoch_rows = 0;
    }

    /// Says that a step was taken; `progress` counts it already.
    pub(crate) fn step(&mut self, plan: &TrainingPlan, progress: &mut Progress, step: StepSummary) {
        let now = Instant::now();
        let seconds = now.duration_since(self.last_step).as_secs_f64();
        self.last_step = now;
        progress.seconds += seconds;
        self.epoch_rows += step.rows;
        let epoch = progress.epoch;
        let slot = &mut self.step_seconds[usize::from(plan.backbone(epoch) == Backbone::Training)];
        // The first step of an epoch also waits for the first images; a running mean forgets it soon.
        *slot = Some(slot.map_or(seconds, |mean| mean + (seconds - mean) * 0.1));
        let elapsed = now.duration_since(self.epoch_start).as_secs_f64();
        self.emit(Event::Step {
            epoch: epoch + 1,
            total_step: progress.total_step,
            loss: step.loss,
            learning_rate: step.rates.rate,
            images_per_second: self.epoch_rows as f64 / elapsed.max(1e-9),
            input_bound: step.input_bound,
            step: progress.step,
            steps: plan.steps_per_epoch,
            total_steps: plan.total_steps(),
            seconds_left: self.seconds_left(plan, epoch, progress.step),
        });
    }

    /// Says how far the features of the frozen part are.
    pub(crate) fn features(&mut self, done: usize, rows: usize) {
        self.emit(Event::Features { done, rows });
    }

    /// Notes what the features cost a row: from that a step is estimated, before one was taken.
    pub(crate) fn features_took(&mut self, seconds_per_row: f64, rows_per_step: usize) {
        let [_, training] = &mut self.step_seconds;
        training.get_or_insert(seconds_per_row * rows_per_step as f64 * STEP_PER_FORWARD);
    }

    /// Says how an epoch ended.
    pub(crate) fn epoch(
        &mut self,
        progress: &Progress,
        valid_loss: f64,
        (name, score): (&str, f64),
        best: bool,
    ) {
        self.emit(Event::Epoch {
            epoch: progress.epoch + 1,
            total_step: progress.total_step,
            rows: progress.n_rows,
            train_loss: progress.loss_sum / progress.n_rows.max(1) as f64,
            valid_loss,
            score_name: name.to_owned(),
            score,
            seconds: self.epoch_start.elapsed().as_secs_f64(),
            best,
        });
    }

    fn seconds_left(&self, plan: &TrainingPlan, epoch: usize, step: usize) -> f64 {
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
            Ok(()) => self.emit(Event::Checkpoint),
            Err(error) => self.warn(format!(
                "warning: no checkpoint: {}; training goes on, a resumed run would begin at the checkpoint before",
                explain(&error)
            )),
        }
        self.checkpoint_cost = begun.elapsed();
        self.last_checkpoint = Instant::now();
    }
}

/// A step in numbers, its place in training aside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepSummary {
    pub(crate) rows: usize,
    pub(crate) loss: f64,
    pub(crate) rates: Rates,
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
        let mut log = TrainingLog::new(&mut ignore);
        let plan = TrainingPlan::fine_tune(2, 3, 1e-3).with_steps_per_epoch(10);
        log.step_seconds = [Some(0.1), Some(2.0)];
        // 4 steps of this epoch, 10 of the other frozen one, 30 of the rest.
        assert!((log.seconds_left(&plan, 0, 6) - (14.0 * 0.1 + 30.0 * 2.0)).abs() < 1e-9);
        assert!((log.seconds_left(&plan, 4, 9) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_is_a_remark() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = Vec::new();
        let mut keep = |event| events.push(event);
        let nowhere = folder.path().join("missing/checkpoint");
        let mut log = TrainingLog::new(&mut keep).with_checkpoints(nowhere);
        let config = "[data]\ntable = \"a.csv\"\n[target]\nkind = \"class\"\ncolumn = \"c\"\n";
        log.save(|| Checkpoint {
            config: toml::from_str(config).unwrap(),
            rows: crate::train::checkpoint::RowsDigest {
                train: 1,
                valid: 1,
                sha256: String::new(),
            },
            division: None,
            progress: Default::default(),
            network: Vec::new(),
            ema: None,
            optimizer: Vec::new(),
            best: None,
        });
        let [Event::Remark { text }] = &events[..] else {
            panic!("{events:?}")
        };
        assert!(
            text.starts_with("warning: no checkpoint: cannot write"),
            "{text}"
        );
    }
}
