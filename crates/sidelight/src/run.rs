//! The run folder: which files there are, what they mean, written whole or not at all.
//!
//! | file | what | written |
//! |---|---|---|
//! | `.sidelight-run` | the mark of a run, and its lock; empty | first |
//! | `config.toml` | the resolved configuration | at the start |
//! | `log.jsonl` | what happened, step by step ([`Event`]) | as it happens |
//! | `tensorboard/`, `mlruns/` | the same for TensorBoard and MLflow, where `train.log` asks for them | as it happens |
//! | `skipped.csv` | records that could not be read (`data.unreadable = "skip"`), where there are any | with checkpoints and epochs |
//! | `checkpoint/` | all that a killed run needs to go on | now and then, gone at the end |
//! | `model/` | weights, architecture, encoder, task; nothing in it is executed | at the end |
//! | `predictions.csv` | validation rows: target, prediction, loss | at the end |
//! | `report.html` | the same for people | at the end |
//! | `metrics.json` | the scores ([`MetricsFile`]) | last: a folder that has it is a finished run |
//! | `.replaced/` | the run that this one overwrites | gone at the end |
//!
//! [`RunFolder`] writes one, [`Run`] opens one.

#![cfg_attr(
    not(test),
    warn(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]

mod folder;
mod log;
mod mlflow;
mod parts;
mod tensorboard;
mod tracking;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Arm, Config, HeadKind, TargetKind};
use crate::error::{Error, Result, cannot_read};

pub use crate::error::FolderContent;
pub use folder::{Existing, RunFolder};
pub(crate) use folder::{foreign_in, is_left_over};
#[cfg(feature = "report")]
pub use log::curves;
pub use log::{Event, Log, LogWriter, Reached, read_log};
pub use parts::{
    BadRowRecord, BadRowsWriter, Joined, Manifest, OldParts, PartRecord, Parts, TableFile,
    bad_rows_path, parts_dir, read_bad_rows,
};
pub use sidelight_data::write::{
    ColumnKind, Extra, FolderWriter, PredictionRow, PredictionsWriter, TableFormat, TableWriter,
    TargetCell, Value, WholeFile, prediction_rows, recover_folder, write_whole,
};
pub(crate) use tracking::Trackers;

/// The schema of `metrics.json` that this version writes, and the newest it reads.
pub const METRICS_SCHEMA: u32 = 1;

pub(crate) const CONFIG: &str = "config.toml";
pub(crate) const MODEL: &str = "model";
pub(crate) const LOG: &str = "log.jsonl";
pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const METRICS: &str = "metrics.json";
pub(crate) const PREDICTIONS: &str = "predictions.csv";
pub(crate) const REPORT: &str = "report.html";
pub(crate) const SKIPPED: &str = "skipped.csv";
/// The runs of the models of folds, `1`, `2`, …, and what they were begun with.
pub(crate) const FOLDS: &str = "folds";
/// In the folder of folds: the configuration and the rows that they were begun with.
pub(crate) const BEGUN: &str = "begun.json";
/// In the folder of a model.
pub(crate) const DESCRIPTION: &str = "model.json";
pub(crate) const TENSORBOARD: &str = "tensorboard";
pub(crate) const MLRUNS: &str = "mlruns";

/// A finished run on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The run folder.
    pub dir: PathBuf,
}

impl Run {
    /// Opens a finished run, after looking whether it is one.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`](crate::error::DataError::Read) (no such folder), [`Error::NotARun`], [`Error::UnfinishedRun`],
    /// [`Error::MetricsFile`], [`Error::SchemaTooNew`].
    pub fn open(dir: &Path) -> Result<Self> {
        fs::read_dir(dir).map_err(cannot_read(dir))?;
        let not_a_run = |missing| Error::NotARun {
            path: dir.to_path_buf(),
            missing,
        };
        if !dir.join(CONFIG).is_file() {
            return Err(not_a_run(CONFIG));
        }
        if !dir.join(METRICS).is_file() {
            // A folder that has the model in it was exported from a run.
            return Err(match dir.join(DESCRIPTION).is_file() {
                true => not_a_run(METRICS),
                false => Error::UnfinishedRun {
                    path: dir.to_path_buf(),
                },
            });
        }
        let run = Self {
            dir: dir.to_path_buf(),
        };
        run.metrics()?;
        match run.model_dir().is_dir() {
            true => Ok(run),
            false => Err(not_a_run(MODEL)),
        }
    }

    /// The resolved configuration it was made with.
    ///
    /// # Errors
    ///
    /// Those of [`Config::read`].
    pub fn config(&self) -> Result<Config> {
        let mut config = Config::read(&self.dir.join(CONFIG), &[])?;
        // Runs write which head they have; those of versions with one head for points did not.
        if config.model.head == HeadKind::Auto {
            config.model.head = HeadKind::Direct;
        }
        Ok(config)
    }

    /// Clears what a finished run does not need and a process killed at its very end has left, unless another is at it.
    pub fn tidy(&self) {
        folder::clear_what_is_over(&self.dir);
    }

    /// Its scores.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`](crate::error::DataError::Read), [`Error::MetricsFile`], [`Error::SchemaTooNew`].
    pub fn metrics(&self) -> Result<MetricsFile> {
        MetricsFile::read(&self.dir.join(METRICS))
    }

    /// What happened in training.
    ///
    /// # Errors
    ///
    /// Those of [`read_log`].
    pub fn log(&self) -> Result<Log> {
        read_log(&self.dir.join(LOG))
    }

    /// Where checkpoints of a run that is not finished are.
    pub fn checkpoint_dir(&self) -> PathBuf {
        self.dir.join(CHECKPOINT)
    }

    /// The folder with the model.
    pub fn model_dir(&self) -> PathBuf {
        self.dir.join(MODEL)
    }

    /// The table of validation rows with their predictions.
    pub fn predictions_path(&self) -> PathBuf {
        self.dir.join(PREDICTIONS)
    }

    /// The folder of the run of a fold, the first being 1, where a model was trained for each.
    pub fn fold_dir(&self, fold: usize) -> PathBuf {
        self.dir.join(FOLDS).join(fold.to_string())
    }

    /// The report, `report.html`.
    pub fn report_path(&self) -> PathBuf {
        self.dir.join(REPORT)
    }
}

/// `metrics.json`.
///
/// # Example
///
/// ```
/// use sidelight::config::{Arm, TargetKind};
/// use sidelight::run::MetricsFile;
/// let mut metrics = MetricsFile::new(TargetKind::Class, Arm::Both);
/// metrics.metrics.push(("accuracy".into(), 0.5));
/// assert_eq!(
///     serde_json::to_string(&metrics)?,
///     r#"{"schema":1,"task":"class","arm":"both","rows":{"train":0,"valid":0},"metrics":{"accuracy":0.5},"seconds":0.0,"images_per_second":0.0}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsFile {
    /// Version of the file's schema, [`METRICS_SCHEMA`].
    pub schema: u32,
    /// The kind of target.
    pub task: TargetKind,
    /// Which inputs the model read.
    pub arm: Arm,
    /// How many rows.
    pub rows: RowCounts,
    /// Scores over the validation rows, the main one first; not a number: `null`.
    #[serde(with = "scores")]
    pub metrics: Vec<(String, f64)>,
    /// The same of a constant guess from the training rows; empty for keypoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "scores")]
    pub constant: Vec<(String, f64)>,
    /// The same of groups (`data.group`), where they have several rows and one target each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_group: Option<GroupScores>,
    /// The same per class, point, label or column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_part: BTreeMap<String, BTreeMap<String, Option<f64>>>,
    /// Seconds of training, over all sittings.
    pub seconds: f64,
    /// Rows a second in training, input included.
    pub images_per_second: f64,
}

/// Scores of groups of validation rows: the mean of what is said of a group's rows, scored once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupScores {
    /// The column that they are of.
    pub column: String,
    /// How many groups.
    pub n: usize,
    /// As [`MetricsFile::metrics`].
    #[serde(with = "scores")]
    pub metrics: Vec<(String, f64)>,
}

impl From<(String, crate::metric::Metrics)> for GroupScores {
    fn from((column, metrics): (String, crate::metric::Metrics)) -> Self {
        Self {
            column,
            n: metrics.n,
            metrics: metrics.values,
        }
    }
}

/// Rows of each part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RowCounts {
    /// Number of training rows.
    pub train: usize,
    /// Watched; the metrics are over these.
    pub valid: usize,
}

impl MetricsFile {
    /// No scores yet.
    pub fn new(task: TargetKind, arm: Arm) -> Self {
        Self {
            schema: METRICS_SCHEMA,
            task,
            arm,
            rows: RowCounts::default(),
            metrics: Vec::new(),
            constant: Vec::new(),
            by_group: None,
            per_part: BTreeMap::new(),
            seconds: 0.0,
            images_per_second: 0.0,
        }
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`](crate::error::DataError::Read), [`Error::MetricsFile`], [`Error::SchemaTooNew`].
    pub fn read(path: &Path) -> Result<Self> {
        read_versioned(path, METRICS_SCHEMA, |path, source| Error::MetricsFile {
            path,
            source,
        })
    }

    /// Writes one, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write).
    pub fn write(&self, path: &Path) -> Result<()> {
        write_json(path, self)
    }
}

/// Writes JSON with a line break at its end, whole or not at all.
///
/// # Errors
///
/// [`DataError::Write`](crate::error::DataError::Write).
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    Ok(write_whole(path, |file| {
        serde_json::to_writer_pretty(&mut *file, value)?;
        file.write_all(b"\n")
    })?)
}

/// Reads JSON whose field `schema` says its version, up to a known one.
///
/// # Errors
///
/// [`DataError::Read`](crate::error::DataError::Read), [`Error::SchemaTooNew`], and `wrong` where it is no such JSON.
pub(crate) fn read_versioned<T: serde::de::DeserializeOwned>(
    path: &Path,
    known: u32,
    wrong: impl Fn(PathBuf, serde_json::Error) -> Error,
) -> Result<T> {
    #[derive(Deserialize)]
    struct SchemaOnly {
        schema: u32,
    }
    let wrong = |source| wrong(path.to_path_buf(), source);
    let bytes = fs::read(path).map_err(cannot_read(path))?;
    // The schema first: a newer one may not parse as this one.
    let SchemaOnly { schema: found } = serde_json::from_slice(&bytes).map_err(wrong)?;
    if found > known {
        return Err(Error::SchemaTooNew {
            path: path.to_path_buf(),
            found,
            known,
        });
    }
    serde_json::from_slice(&bytes).map_err(wrong)
}

/// Numbers that may be infinite or undefined, which JSON has no word for: `null`.
mod number {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        match value.is_finite() {
            true => to.serialize_f64(*value),
            false => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
    }
}

/// Named numbers in their order, as a JSON object.
mod scores {
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_json::{Map, Value};

    pub(super) fn serialize<S: Serializer>(
        scores: &[(String, f64)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let finite = |value: f64| value.is_finite().then_some(value);
        to.collect_map(scores.iter().map(|(name, value)| (name, finite(*value))))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        from: D,
    ) -> Result<Vec<(String, f64)>, D::Error> {
        let map = Map::<String, Value>::deserialize(from)?;
        Ok(map
            .into_iter()
            .map(|(name, value)| (name, value.as_f64().unwrap_or(f64::NAN)))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> MetricsFile {
        MetricsFile {
            rows: RowCounts {
                train: 428,
                valid: 107,
            },
            metrics: vec![
                ("mean_px".into(), 3.25),
                ("mean_nme".into(), f64::NAN),
                ("a_last".into(), 1.0),
            ],
            seconds: 61.5,
            images_per_second: 80.25,
            ..MetricsFile::new(TargetKind::Keypoints, Arm::Both)
        }
    }

    fn finished() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(CONFIG), "").unwrap();
        fs::create_dir(folder.path().join(MODEL)).unwrap();
        metrics().write(&folder.path().join(METRICS)).unwrap();
        folder
    }

    #[test]
    fn metrics_keep_their_order_and_say_null_for_what_is_undefined() {
        let text = serde_json::to_string(&metrics()).unwrap();
        insta::assert_snapshot!(text, @r#"{"schema":1,"task":"keypoints","arm":"both","rows":{"train":428,"valid":107},"metrics":{"mean_px":3.25,"mean_nme":null,"a_last":1.0},"seconds":61.5,"images_per_second":80.25}"#);
        let folder = finished();
        let read = Run::open(folder.path()).unwrap().metrics().unwrap();
        assert_eq!(read.metrics[0], ("mean_px".into(), 3.25));
        assert!(read.metrics[1].1.is_nan());
        assert_eq!(read.metrics[2].0, "a_last");
    }

    #[test]
    fn a_folder_that_is_not_a_run_is_said_to_lack_its_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let failed = Run::open(folder.path()).unwrap_err();
        let path = folder.path().display();
        assert_eq!(
            failed.to_string(),
            format!("{path} is not a run: it has no `config.toml`")
        );
        assert!(failed.hint().unwrap().contains("training writes"));
    }

    #[test]
    fn a_folder_that_does_not_exist_is_named() {
        let failed = Run::open(Path::new("no/such/run")).unwrap_err();
        assert_eq!(failed.to_string(), "cannot read no/such/run");
    }

    #[test]
    fn an_unfinished_run_is_refused_with_the_way_to_finish_it() {
        let folder = finished();
        fs::remove_file(folder.path().join(METRICS)).unwrap();
        let failed = Run::open(folder.path()).unwrap_err();
        assert!(matches!(failed, Error::UnfinishedRun { .. }), "{failed:?}");
        assert!(failed.hint().unwrap().starts_with("resume"));
    }

    #[test]
    fn a_run_without_its_model_is_refused() {
        let folder = finished();
        fs::remove_dir(folder.path().join(MODEL)).unwrap();
        let failed = Run::open(folder.path()).unwrap_err();
        assert!(
            matches!(
                failed,
                Error::NotARun {
                    missing: "model",
                    ..
                }
            ),
            "{failed:?}"
        );
    }

    #[test]
    fn a_newer_schema_is_refused_though_the_rest_cannot_be_parsed() {
        let folder = finished();
        fs::write(folder.path().join(METRICS), r#"{"schema":2,"scores":[]}"#).unwrap();
        let failed = Run::open(folder.path()).unwrap_err();
        assert!(
            matches!(
                failed,
                Error::SchemaTooNew {
                    found: 2,
                    known: 1,
                    ..
                }
            ),
            "{failed:?}"
        );
        assert!(failed.hint().unwrap().contains("newer version"));
    }

    #[test]
    fn metrics_that_are_not_json_are_named() {
        let folder = finished();
        fs::write(folder.path().join(METRICS), "{\"schema\":1,").unwrap();
        let failed = Run::open(folder.path()).unwrap_err();
        assert!(matches!(failed, Error::MetricsFile { .. }), "{failed:?}");
        assert!(
            failed
                .to_string()
                .ends_with("metrics.json is not a valid metrics file")
        );
    }
}
