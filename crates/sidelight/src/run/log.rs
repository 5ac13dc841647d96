//! `log.jsonl`: what happened, one JSON object a line, written as it happens.
//!
//! Each line is flushed, so that a killed run has lost at most the line it was writing;
//! reading tolerates that torn last line and nothing else.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, cannot_read, cannot_write};
#[cfg(feature = "report")]
use crate::report::Curves;
use crate::write::write_whole;

/// What happened in training: told to whoever watches and, but for what passes by, a line of the log.
///
/// Fields that only those who watch need are not in the log, and are empty in an event that was read from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Event {
    /// What is about to be done.
    Plan {
        /// Number of training rows.
        rows_train: usize,
        /// Number of validation rows.
        rows_valid: usize,
        /// Where rows are divided by time: the column, and from when to when the validation rows are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid_times: Option<[String; 2]>,
        /// Optimiser steps of an epoch.
        steps_per_epoch: usize,
        /// Epochs in all, frozen ones included.
        epochs: usize,
        /// The first so many of which leave the backbone frozen.
        #[serde(default)]
        frozen_epochs: usize,
        /// Numbers of the network, frozen ones included.
        n_parameters: usize,
        /// The backbone's name.
        #[serde(skip)]
        backbone: String,
        /// What is predicted, in words.
        #[serde(skip)]
        target: String,
    },
    /// One optimiser step.
    Step {
        /// Epoch, the first being 1.
        epoch: usize,
        /// Optimiser steps since training began, this one included.
        total_step: usize,
        /// Mean loss over the step's rows.
        #[serde(with = "super::number")]
        loss: f64,
        /// Learning rate of the head.
        learning_rate: f64,
        /// Rows a second in this epoch so far.
        images_per_second: f64,
        /// Share of this epoch's time spent waiting for input, in [0, 1].
        input_bound: f64,
        /// Step in the epoch, the first being 1.
        #[serde(skip)]
        step: usize,
        /// Steps of an epoch.
        #[serde(skip)]
        steps: usize,
        /// Steps of the whole training.
        #[serde(skip)]
        total_steps: usize,
        /// Estimate for the rest of the training, in seconds.
        #[serde(skip)]
        seconds_left: f64,
    },
    /// The end of an epoch.
    Epoch {
        /// Epoch, the first being 1.
        epoch: usize,
        /// Optimiser steps since training began.
        total_step: usize,
        /// Training rows that it was made of, those before an interruption included; 0 in old logs.
        #[serde(default)]
        rows: usize,
        /// Mean loss over the epoch's training rows, as augmented.
        #[serde(with = "super::number")]
        train_loss: f64,
        /// Mean loss over the validation rows.
        #[serde(with = "super::number")]
        valid_loss: f64,
        /// Name of the monitored metric.
        score_name: String,
        /// Its value over the validation rows.
        #[serde(with = "super::number")]
        score: f64,
        /// Seconds the epoch took, scoring included.
        seconds: f64,
        /// Whether this is the best epoch so far.
        best: bool,
    },
    /// Something the person should know.
    Remark {
        /// The sentence to show.
        text: String,
    },
    /// Training went on from a checkpoint.
    Resumed {
        /// Optimiser steps that the checkpoint had behind it.
        total_step: usize,
    },
    /// Training was asked to stop, saved and stopped.
    Stopped {
        /// Optimiser steps since training began.
        total_step: usize,
    },
    /// Training is done.
    Done {
        /// Seconds of training, over all sittings.
        seconds: f64,
        /// Scores over the validation rows, the main one first.
        #[serde(skip)]
        metrics: Vec<(String, f64)>,
    },
    /// Features of the frozen part are being computed, once. Not in the log.
    #[serde(skip)]
    Features {
        /// Rows whose features are computed.
        done: usize,
        /// Rows in all.
        rows: usize,
    },
    /// A rate was tried in a search. Not in the log.
    #[serde(skip)]
    Rate {
        /// The first being 1.
        step: usize,
        /// Steps of a whole search.
        steps: usize,
        /// The learning rate that was tried.
        rate: f64,
        /// The smoothed loss at it.
        loss: f64,
    },
    /// A checkpoint was written. Not in the log.
    #[serde(skip)]
    Checkpoint,
    /// An event of a newer version.
    #[serde(other)]
    Unknown,
}

impl Event {
    /// Whether the log has it.
    pub fn is_logged(&self) -> bool {
        !matches!(
            self,
            Self::Features { .. } | Self::Rate { .. } | Self::Checkpoint
        )
    }

    /// Whether it happened after a checkpoint that is so far: it was lost, and will happen again.
    fn is_after(&self, reached: Reached) -> bool {
        match self {
            Self::Step { total_step, .. }
            | Self::Resumed { total_step }
            | Self::Stopped { total_step } => *total_step > reached.total_step,
            Self::Epoch { total_step, .. } => *total_step > reached.last_epoch_end(),
            // What is resumed was not done.
            Self::Done { .. } => true,
            _ => false,
        }
    }
}

/// How far a checkpoint is. A number of steps is one: after the last of them the epoch, if it was its end, is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// Optimiser steps since training began.
    pub total_step: usize,
    /// Whether the epoch of the last of them is still to end: it may have no more steps, but was not scored.
    pub in_epoch: bool,
}

impl From<usize> for Reached {
    fn from(total_step: usize) -> Self {
        Self {
            total_step,
            in_epoch: false,
        }
    }
}

impl Reached {
    /// The largest number of steps at which an epoch may have ended.
    pub(crate) fn last_epoch_end(self) -> usize {
        match self.in_epoch {
            true => self.total_step.saturating_sub(1),
            false => self.total_step,
        }
    }
}

/// A log as read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Log {
    /// The events, in the order in which they were written.
    pub lines: Vec<Event>,
    /// Whether the last line was cut off, as by a kill; it is not among `lines`.
    pub torn: bool,
}

/// The curves that a log tells.
#[cfg(feature = "report")]
pub fn curves(log: &[Event]) -> Curves {
    let mut curves = Curves::default();
    for line in log {
        match line {
            Event::Plan {
                rows_train,
                rows_valid,
                ..
            } => {
                curves.n_rows = Some([*rows_train, *rows_valid]);
            }
            Event::Step {
                total_step,
                learning_rate,
                ..
            } => {
                curves
                    .learning_rate
                    .push([*total_step as f64, *learning_rate]);
            }
            Event::Epoch {
                epoch,
                train_loss,
                valid_loss,
                score_name,
                score,
                best,
                seconds,
                ..
            } => {
                let epoch = *epoch as f64;
                curves.train_loss.push([epoch, *train_loss]);
                curves.valid_loss.push([epoch, *valid_loss]);
                curves.score.push([epoch, *score]);
                curves.score_name.clone_from(score_name);
                curves.seconds += seconds;
                if *best {
                    curves.best_epoch = Some(epoch);
                }
            }
            _ => {}
        }
    }
    curves
}

/// Reads a log; a last line without its end is tolerated and said.
///
/// # Errors
///
/// [`DataError::Read`](crate::error::DataError::Read); [`Error::LogLine`] for any whole line that is not one of ours.
///
/// # Example
///
/// ```
/// use sidelight::run::{Event, LogWriter, read_log};
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("log.jsonl");
/// let mut log = LogWriter::create(&path)?;
/// log.write(&Event::Resumed { total_step: 12 })?;
/// assert_eq!(read_log(&path)?.lines, [Event::Resumed { total_step: 12 }]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_log(path: &Path) -> Result<Log> {
    let (lines, torn) = parse_log(path)?;
    let lines = lines.into_iter().map(|(line, event)| {
        event.map_err(|source| Error::LogLine {
            path: path.to_path_buf(),
            line,
            source,
        })
    });
    Ok(Log {
        lines: lines.collect::<Result<_>>()?,
        torn,
    })
}

/// The number of each whole line and what it says; whether there is another, torn.
type ParsedLines = (Vec<(usize, serde_json::Result<Event>)>, bool);

fn parse_log(path: &Path) -> Result<ParsedLines> {
    let bytes = fs::read(path).map_err(cannot_read(path))?;
    let whole = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let lines = bytes[..whole].split(|&byte| byte == b'\n').enumerate();
    let lines = lines
        .filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace))
        .map(|(number, line)| (number + 1, serde_json::from_slice(line)));
    Ok((lines.collect(), whole < bytes.len()))
}

/// Appends lines to a log.
#[derive(Debug)]
pub struct LogWriter {
    path: PathBuf,
    file: File,
}

impl LogWriter {
    /// A new log; an old one of that name is replaced.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write).
    pub fn create(path: &Path) -> Result<Self> {
        write_whole(path, |_| Ok(()))?;
        Self::append(path)
    }

    /// Goes on with a log where a checkpoint was: what was logged after it
    /// happened in a sitting that was lost, will happen again, and is taken out. So is a line that is damaged: what
    /// training goes on from is the checkpoint.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`](crate::error::DataError::Read), [`DataError::Write`](crate::error::DataError::Write).
    pub fn resume(path: &Path, reached: impl Into<Reached>) -> Result<Self> {
        let reached = reached.into();
        let lines = match path.exists() {
            true => parse_log(path)?.0,
            false => Vec::new(),
        };
        let kept: Vec<Event> = lines
            .into_iter()
            .filter_map(|(_, event)| event.ok())
            .collect();
        let after = kept
            .iter()
            .position(|line| line.is_after(reached))
            .unwrap_or(kept.len());
        write_whole(path, |file| {
            kept[..after]
                .iter()
                .try_for_each(|line| write_line(file, line))
        })?;
        let mut log = Self::append(path)?;
        log.write(&Event::Resumed {
            total_step: reached.total_step,
        })?;
        Ok(log)
    }

    /// Writes one line and flushes it; of an event that passes by, nothing.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write).
    pub fn write(&mut self, line: &Event) -> Result<()> {
        if !line.is_logged() {
            return Ok(());
        }
        Ok(write_line(&mut self.file, line).map_err(cannot_write(&self.path))?)
    }

    fn append(path: &Path) -> Result<Self> {
        let file = File::options()
            .append(true)
            .open(path)
            .map_err(cannot_write(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
        })
    }
}

/// One write a line, so that lines never interleave and a kill tears the last one only.
fn write_line(to: &mut (impl Write + ?Sized), line: &Event) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    to.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "report")]
    #[test]
    fn curves_are_read_from_the_log() {
        let epoch = |epoch: usize, loss: f64, best: bool| Event::Epoch {
            epoch,
            total_step: epoch * 10,
            rows: 0,
            train_loss: loss,
            valid_loss: loss * 1.1,
            score_name: "mean_px".into(),
            score: loss * 10.0,
            seconds: 2.0,
            best,
        };
        let log = [
            epoch(1, 1.0, true),
            epoch(2, 0.5, true),
            epoch(3, 0.6, false),
        ];
        let curves = curves(&log);
        assert_eq!(curves.train_loss, [[1.0, 1.0], [2.0, 0.5], [3.0, 0.6]]);
        assert_eq!(curves.best_epoch, Some(2.0));
        assert_eq!(curves.seconds, 6.0);
    }

    fn step(total_step: usize, loss: f64) -> Event {
        Event::Step {
            epoch: 1,
            total_step,
            loss,
            learning_rate: 1e-3,
            images_per_second: 80.0,
            input_bound: 0.1,
            step: 0,
            steps: 0,
            total_steps: 0,
            seconds_left: 0.0,
        }
    }

    fn written(lines: &[Event]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut log = LogWriter::create(&path).unwrap();
        for line in lines {
            log.write(line).unwrap();
        }
        (folder, path)
    }

    #[test]
    fn a_line_is_one_flat_json_object() {
        let (_folder, path) = written(&[step(3, 0.25)]);
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "{\"event\":\"step\",\"epoch\":1,\"total_step\":3,\"loss\":0.25,\"learning_rate\":0.001,\
             \"images_per_second\":80.0,\"input_bound\":0.1}\n"
        );
    }

    #[test]
    fn a_torn_last_line_is_tolerated_and_said() {
        let (_folder, path) = written(&[step(1, 0.5), step(2, 0.4)]);
        let whole = fs::read(&path).unwrap();
        for cut in 1..whole.len() / 2 {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let log = read_log(&path).unwrap();
            assert_eq!(
                log,
                Log {
                    lines: vec![step(1, 0.5)],
                    torn: true
                },
                "cut by {cut}"
            );
        }
    }

    #[test]
    fn a_damaged_line_does_not_stop_a_resume() {
        let (_folder, path) = written(&[step(1, 0.5), step(2, 0.4)]);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("event", "\u{fffd}", 1)).unwrap();
        drop(LogWriter::resume(&path, 2).unwrap());
        let expected = [step(2, 0.4), Event::Resumed { total_step: 2 }];
        assert_eq!(read_log(&path).unwrap().lines, expected);
    }

    #[test]
    fn a_bad_line_in_the_middle_is_named() {
        let (_folder, path) = written(&[step(1, 0.5)]);
        fs::write(&path, "{\"event\":\"done\",\"seconds\":1.0}\nnonsense\n").unwrap();
        let failed = read_log(&path).unwrap_err();
        assert!(
            matches!(&failed, Error::LogLine { line: 2, .. }),
            "{failed:?}"
        );
        assert_eq!(
            failed.to_string(),
            format!("{}, line 2: not a valid log line", path.display())
        );
    }

    #[test]
    fn a_diverged_loss_is_written_and_read() {
        let (_folder, path) = written(&[step(1, f64::NAN)]);
        let log = read_log(&path).unwrap();
        assert!(matches!(log.lines[0], Event::Step { loss, .. } if loss.is_nan()));
    }

    #[test]
    fn resuming_takes_out_what_will_happen_again() {
        let (_folder, path) = written(&[step(1, 0.5), step(2, 0.4), step(3, 0.3)]);
        let mut log = LogWriter::resume(&path, 2).unwrap();
        log.write(&step(3, 0.3)).unwrap();
        let expected = [
            step(1, 0.5),
            step(2, 0.4),
            Event::Resumed { total_step: 2 },
            step(3, 0.3),
        ];
        assert_eq!(read_log(&path).unwrap().lines, expected);
    }

    #[test]
    fn an_epoch_that_ended_after_the_checkpoint_at_its_last_step_is_told_once() {
        let end = Event::Epoch {
            epoch: 1,
            total_step: 2,
            rows: 16,
            train_loss: 0.5,
            valid_loss: 0.6,
            score_name: "accuracy".into(),
            score: 0.7,
            seconds: 1.0,
            best: true,
        };
        let done = Event::Done {
            seconds: 1.0,
            metrics: Vec::new(),
        };
        let resumed = Event::Resumed { total_step: 2 };
        for (in_epoch, kept) in [(false, true), (true, false)] {
            let (_folder, path) = written(&[step(2, 0.4), end.clone(), done.clone()]);
            let reached = Reached {
                total_step: 2,
                in_epoch,
            };
            drop(LogWriter::resume(&path, reached).unwrap());
            let mut expected = vec![step(2, 0.4), resumed.clone()];
            if kept {
                expected.insert(1, end.clone());
            }
            assert_eq!(read_log(&path).unwrap().lines, expected);
        }
    }

    #[test]
    fn an_event_of_a_newer_version_does_not_stop_the_reader() {
        let (_folder, path) = written(&[]);
        fs::write(&path, "{\"event\":\"teleported\",\"to\":\"mars\"}\n").unwrap();
        assert_eq!(read_log(&path).unwrap().lines, [Event::Unknown]);
    }
}
