//! What `train.log` asks for beside the log: the same events, in files that other programs read.
//!
//! A run that goes on from a checkpoint takes out what it will say again, as the log does ([`Reached`]).

use std::borrow::Cow;
use std::io;
use std::path::Path;

use super::{Event, MLRUNS, Reached, TENSORBOARD, mlflow, tensorboard};
use crate::config::{Config, Tracker};
use crate::error::{Error, Result};

/// The epoch that ended, the first being 1.
pub(super) const EPOCH: &str = "epoch";
const EPOCH_LOSS: &str = "train/epoch_loss";
/// Over the validation rows, at the end of each epoch.
const VALID: &str = "valid/";
/// Over the validation rows, of the network that was kept.
const FINAL: &str = "final/";

/// Numbers of one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Measurement {
    /// Optimiser steps since training began.
    pub(super) step: usize,
    /// What is told of it, by name.
    pub(super) values: Vec<(Cow<'static, str>, f64)>,
    /// How training ended, if it did.
    pub(super) ended: Option<Ended>,
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All of it is done.
    Done,
    /// It was asked to stop.
    Stopped,
}

/// Files of one program.
pub(super) trait Track {
    /// Adds a measurement; what is written survives the end of this process, however it ends.
    fn write(&mut self, measurement: &Measurement) -> Result<()>;
}

/// All that a run's events are written to beside its log.
#[derive(Default)]
pub(crate) struct Trackers {
    open: Vec<(Tracker, Box<dyn Track>)>,
    /// Optimiser steps so far.
    step: usize,
}

impl Trackers {
    /// Begins what `train.log` asks for, or goes on with it.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`](crate::error::DataError::Read), [`DataError::Write`](crate::error::DataError::Write).
    pub(crate) fn open(run: &Path, config: &Config, reached: Reached) -> Result<Self> {
        let open = |tracker: &Tracker| -> Result<(Tracker, Box<dyn Track>)> {
            let files: Box<dyn Track> = match tracker {
                Tracker::Tensorboard => {
                    let dir = run.join(TENSORBOARD);
                    Box::new(tensorboard::EventFile::open(&dir, config, reached)?)
                }
                Tracker::Mlflow => Box::new(mlflow::TrackedRun::open(run, config, reached)?),
            };
            Ok((*tracker, files))
        };
        Ok(Self {
            open: config.train.log.iter().map(open).collect::<Result<_>>()?,
            step: reached.total_step,
        })
    }

    /// Writes an event. Those that it could not be written to are closed, and said why.
    pub(crate) fn write(&mut self, event: &Event) -> Vec<(Tracker, Error)> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let Some(measurement) = Measurement::of(event, self.step) else {
            return Vec::new();
        };
        self.step = measurement.step;
        let mut failed = Vec::new();
        self.open
            .retain_mut(|(tracker, files)| match files.write(&measurement) {
                Ok(()) => true,
                Err(error) => {
                    failed.push((*tracker, error));
                    false
                }
            });
        failed
    }
}

impl Measurement {
    /// What an event tells in numbers; `step` is that of the event before.
    fn of(event: &Event, step: usize) -> Option<Self> {
        let values = |values: &[(&'static str, f64)]| {
            values
                .iter()
                .map(|(name, value)| (Cow::Borrowed(*name), *value))
                .collect()
        };
        Some(match event {
            Event::Step {
                total_step,
                loss,
                learning_rate,
                images_per_second,
                input_bound,
                ..
            } => Self {
                step: *total_step,
                values: values(&[
                    ("train/loss", *loss),
                    ("train/learning_rate", *learning_rate),
                    ("train/images_per_second", *images_per_second),
                    ("train/input_bound", *input_bound),
                ]),
                ended: None,
            },
            Event::Epoch {
                epoch,
                total_step,
                train_loss,
                valid_loss,
                score_name,
                score,
                ..
            } => Self {
                step: *total_step,
                values: {
                    let mut values: Vec<_> = values(&[
                        (EPOCH, *epoch as f64),
                        (EPOCH_LOSS, *train_loss),
                        ("valid/loss", *valid_loss),
                    ]);
                    // Where the monitored metric is not defined, the loss is monitored.
                    if score_name != "loss" {
                        values.push((format!("{VALID}{score_name}").into(), *score));
                    }
                    values
                },
                ended: None,
            },
            Event::Done { metrics, .. } => Self {
                step,
                values: metrics
                    .iter()
                    .map(|(name, value)| (format!("{FINAL}{name}").into(), *value))
                    .collect(),
                ended: Some(Ended::Done),
            },
            Event::Stopped { total_step } => Self {
                step: *total_step,
                values: Vec::new(),
                ended: Some(Ended::Stopped),
            },
            _ => return None,
        })
    }
}

/// Whether a value of this name and step was behind a checkpoint; if not, it will come again.
pub(super) fn is_behind(name: &str, step: i64, reached: Reached) -> bool {
    let is_of_epoch = name == EPOCH || name == EPOCH_LOSS || name.starts_with(VALID);
    let last = match is_of_epoch {
        true => reached.last_epoch_end(),
        false => reached.total_step,
    };
    !name.starts_with(FINAL) && usize::try_from(step).is_ok_and(|step| step <= last)
}

/// The first file in a run's folders of these programs that is not ours: put there by a person, or by the program.
pub(super) fn foreign_in(run: &Path) -> io::Result<Option<String>> {
    let found = match tensorboard::foreign_in(&run.join(TENSORBOARD))? {
        None => mlflow::foreign_in(&run.join(MLRUNS))?,
        found => found,
    };
    Ok(found.map(|path| path.display().to_string()))
}
