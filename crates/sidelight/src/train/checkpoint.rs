//! All that a killed run needs to go on as if nothing had happened.
//!
//! A checkpoint is a folder: `state.json` with the place in training and the SHA-256 of each other file, its own in
//! `state.sha256`,
//! `network.safetensors` (weights and running statistics), `average.safetensors` where training keeps a moving average of
//! them, `optimizer.safetensors`, and `best.safetensors` once an epoch was scored. It is written beside the one before and put in its place when it is complete. Order of rows,
//! random changes and dropout are functions of (seed, epoch, step), so that their state is those three numbers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use crate::config::{Config, RemoteConfig};
use crate::digest;
use crate::error::{DataError, Error, Result, cannot_read};
use crate::ranks::{from_bytes, to_bytes};
use crate::run::{FolderWriter, Reached, Run, read_versioned, recover_folder, write_whole};
use crate::train::optimizer::StoredMemory;

const STATE: &str = "state.json";
const STATE_SUM: &str = "state.sha256";
const NETWORK: &str = "network.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const AVERAGE: &str = "average.safetensors";
const BEST: &str = "best.safetensors";
const SCHEMA: u32 = 1;

pub use crate::network::state::NamedValues;

/// The place in training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epoch that is going on, from 0; the number of epochs when all is done.
    pub epoch: usize,
    /// Steps of that epoch that are done.
    pub step: usize,
    /// Steps done since training began.
    pub total_step: usize,
    /// Sum of the losses of this epoch's steps so far, each times its rows.
    pub loss_sum: f64,
    /// Rows of this epoch so far.
    pub n_rows: usize,
    /// Rows since training began.
    pub total_rows: usize,
    /// Seconds of training, over all sittings.
    pub seconds: f64,
    /// The best epoch so far.
    pub best: Option<Best>,
}

/// An epoch and its score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The current epoch, from 0.
    pub epoch: usize,
    /// Score over the validation rows.
    pub score: f64,
}

/// What a step was when training began: a run that goes on with another number of ranks still takes the same steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Division {
    /// Rows of a step, at most.
    pub step: usize,
    /// Ranks that shared them; the learning rate depends on it (`train.scale_rate`).
    pub ranks: usize,
}

/// Everything that a run needs to resume, bit for bit.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What the run was begun with.
    pub config: Config,
    /// Training and validation rows, to notice that the table has changed.
    pub rows: RowsDigest,
    /// What a step is; `None` in checkpoints of versions before there were ranks.
    pub division: Option<Division>,
    /// The place in training.
    pub progress: Progress,
    /// Weights and running statistics.
    pub network: Vec<NamedValues>,
    /// Their moving average.
    pub ema: Option<Vec<NamedValues>>,
    /// What the optimizer remembers.
    pub optimizer: Vec<StoredMemory>,
    /// Weights and running statistics of the best epoch.
    pub best: Option<Vec<NamedValues>>,
}

impl Progress {
    /// Counts a step of so many rows and this mean loss.
    pub(super) fn count(&mut self, loss: f64, n_rows: usize) {
        self.step += 1;
        self.total_step += 1;
        self.n_rows += n_rows;
        self.total_rows += n_rows;
        self.loss_sum += loss * n_rows as f64;
    }

    /// What a log has of it.
    pub(super) fn reached(&self) -> Reached {
        Reached {
            total_step: self.total_step,
            in_epoch: self.step > 0,
        }
    }

    /// The epoch is done.
    pub(super) fn next_epoch(&mut self) {
        self.epoch += 1;
        self.step = 0;
        self.n_rows = 0;
        self.loss_sum = 0.0;
    }
}

/// What the rows were: how many, and a digest of which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsDigest {
    /// Number of training rows.
    pub train: usize,
    /// Number of validation rows.
    pub valid: usize,
    /// SHA-256 over rows, images and targets.
    pub sha256: String,
}

#[derive(Serialize, Deserialize)]
struct State {
    schema: u32,
    config: Config,
    rows: RowsDigest,
    #[serde(default)]
    division: Option<Division>,
    progress: Progress,
    optimizer_steps: BTreeMap<String, u32>,
    files: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Writes it; the one that was there stays until this one is complete.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write): disk full, no permission.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let folder = FolderWriter::create(dir)?;
        let mut files = BTreeMap::new();
        let mut put = |name: &str, tensors: Vec<(String, Numbers<'_>)>| -> Result<()> {
            let path = folder.path().join(name);
            safetensors::serialize_to_file(tensors, None, &path).map_err(|source| {
                DataError::Write {
                    path: path.clone(),
                    source: match source {
                        safetensors::SafeTensorError::IoError(source) => source,
                        other => std::io::Error::new(std::io::ErrorKind::InvalidData, other),
                    },
                }
            })?;
            files.insert(name.to_owned(), digest::of_file(&path)?.0);
            Ok(())
        };
        put(NETWORK, named(&self.network))?;
        let memory = self.optimizer.iter().flat_map(|memory| {
            [("first", &memory.first), ("second", &memory.second)]
                .into_iter()
                .filter(|(_, values)| !values.is_empty())
                .map(|(which, values)| {
                    (
                        format!("{which}.{}", memory.path),
                        Numbers {
                            shape: vec![values.len()],
                            values,
                        },
                    )
                })
        });
        put(OPTIMIZER, memory.collect())?;
        for (name, tensors) in [(AVERAGE, &self.ema), (BEST, &self.best)] {
            if let Some(tensors) = tensors {
                put(name, named(tensors))?;
            }
        }
        let state = State {
            schema: SCHEMA,
            config: self.config.clone(),
            rows: self.rows.clone(),
            division: self.division,
            progress: self.progress.clone(),
            optimizer_steps: self
                .optimizer
                .iter()
                .map(|memory| (memory.path.clone(), memory.steps))
                .collect(),
            files,
        };
        // Last: a folder without them is no checkpoint.
        let path = folder.path().join(STATE);
        write_whole(&path, |file| {
            Ok(serde_json::to_writer_pretty(file, &state)?)
        })?;
        let (sum, _) = digest::of_file(&path)?;
        write_whole(&folder.path().join(STATE_SUM), |file| {
            file.write_all(sum.as_bytes())
        })?;
        Ok(folder.finish()?)
    }

    /// Reads the checkpoint of a run folder; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`](crate::error::DataError::Read), [`Error::StoredJson`], [`Error::Checksum`], [`Error::StoredTensors`], [`Error::SchemaTooNew`].
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        // A kill between the two renames that put a checkpoint in its place leaves the old one aside.
        recover_folder(dir)?;
        if !dir.is_dir() {
            return Ok(None);
        }
        let check = |path: PathBuf, expected: String| -> Result<PathBuf> {
            let (found, _) = digest::of_file(&path)?;
            match found == expected {
                true => Ok(path),
                false => Err(Error::Checksum {
                    path,
                    expected,
                    found,
                }),
            }
        };
        let sum = dir.join(STATE_SUM);
        let path = check(
            dir.join(STATE),
            fs::read_to_string(&sum).map_err(cannot_read(&sum))?,
        )?;
        let wrong = |path, source| Error::StoredJson { path, source };
        let state: State = read_versioned(&path, SCHEMA, wrong)?;
        let get = |name: &str| {
            let expected = state.files.get(name).cloned().unwrap_or_default();
            read_tensors(&check(dir.join(name), expected)?)
        };
        let network = get(NETWORK)?;
        let optimizer = memory(
            get(OPTIMIZER)?,
            &state.optimizer_steps,
            &dir.join(OPTIMIZER),
        )?;
        let get_if_any = |name: &str| match state.files.contains_key(name) {
            true => get(name).map(Some),
            false => Ok(None),
        };
        let (ema, best) = (get_if_any(AVERAGE)?, get_if_any(BEST)?);
        let State {
            config,
            rows,
            division,
            progress,
            ..
        } = state;
        Ok(Some(Self {
            config,
            rows,
            division,
            progress,
            network,
            ema,
            optimizer,
            best,
        }))
    }

    /// The file of a run that says where its training is.
    pub(super) fn state_of(run: &Path) -> PathBuf {
        let dir = run.to_path_buf();
        Run { dir }.checkpoint_dir().join(STATE)
    }

    /// Whether a run of this configuration and these rows may go on from here.
    ///
    /// # Errors
    ///
    /// As [`check_same_run`]; [`Error::StoredJson`]: nothing can be divided as it says.
    pub fn check(&self, config: &Config, rows: &RowsDigest, path: &Path) -> Result<()> {
        check_same_run((&self.config, &self.rows), (config, rows), path)?;
        let Division { step, ranks } = self.division.unwrap_or(Division { step: 1, ranks: 1 });
        if !(1..=rows.train.max(1)).contains(&step) || !(1..=1 << 24).contains(&ranks) {
            let why = format!("steps of {step} rows on {ranks} ranks are none");
            let (path, source) = (Self::state_of(path), serde::de::Error::custom(why));
            return Err(Error::StoredJson { path, source });
        }
        Ok(())
    }
}

/// Whether a run that was begun with a configuration and rows may go on with others.
///
/// Threads, memory, the distance of checkpoints and where steps are written may differ: the result does not depend on
/// them.
///
/// # Errors
///
/// [`Error::ResumeDiffers`] with the first field that differs.
pub(super) fn check_same_run(
    (config, rows): (&Config, &RowsDigest),
    (now, rows_now): (&Config, &RowsDigest),
    path: &Path,
) -> Result<()> {
    let without_speed = |config: &Config| {
        let mut config = config.clone();
        config.train.workers = 0;
        config.train.checkpoint_steps = 0;
        config.train.memory = 0;
        config.train.log = Vec::new();
        config.data.remote = RemoteConfig::default();
        config.data.shuffle_shards = Some(config.data.shuffle_shards());
        // A folder may be moved, or named from elsewhere; the rows have a digest of their own.
        config.data.without_folders();
        if config.model.weights_are_a_file() {
            let weights = Path::new(&config.model.weights).file_name();
            let weights = weights.unwrap_or_default().to_string_lossy();
            config.model.weights = weights.into_owned();
        }
        serde_json::to_value(config).unwrap_or_default()
    };
    let (begun, now) = (without_speed(config), without_speed(now));
    let differs = |(field, begun, now)| Error::ResumeDiffers {
        path: path.to_path_buf(),
        field,
        begun,
        now,
    };
    if let Some(found) = first_difference("", &begun, &now) {
        return Err(differs(found));
    }
    if rows != rows_now {
        let text = |rows: &RowsDigest| {
            format!(
                "{} + {} rows, digest {:.8}",
                rows.train, rows.valid, rows.sha256
            )
        };
        return Err(differs(("data.table".into(), text(rows), text(rows_now))));
    }
    Ok(())
}

/// The path of the first field that differs, and both values.
fn first_difference(
    at: &str,
    a: &serde_json::Value,
    b: &serde_json::Value,
) -> Option<(String, String, String)> {
    use serde_json::Value;
    if let (Value::Object(a), Value::Object(b)) = (a, b) {
        let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
        return keys.into_iter().find_map(|key| {
            let path = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            first_difference(
                &path,
                a.get(key).unwrap_or(&Value::Null),
                b.get(key).unwrap_or(&Value::Null),
            )
        });
    }
    (a != b).then(|| (at.to_owned(), a.to_string(), b.to_string()))
}

/// Numbers on their way into a file, a tensor at a time.
struct Numbers<'a> {
    shape: Vec<usize>,
    values: &'a [f32],
}

impl View for Numbers<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        to_bytes(self.values).into()
    }
    fn data_len(&self) -> usize {
        self.values.len() * 4
    }
}

fn named(tensors: &[NamedValues]) -> Vec<(String, Numbers<'_>)> {
    tensors
        .iter()
        .map(|(path, shape, values)| {
            (
                path.clone(),
                Numbers {
                    shape: shape.clone(),
                    values,
                },
            )
        })
        .collect()
}

fn read_tensors(path: &Path) -> Result<Vec<NamedValues>> {
    let bytes = fs::read(path).map_err(cannot_read(path))?;
    let wrong = |source| Error::StoredTensors {
        path: path.to_path_buf(),
        expected: "safetensors".into(),
        source: Some(source),
    };
    let tensors = SafeTensors::deserialize(&bytes).map_err(wrong)?;
    Ok(tensors
        .iter()
        .map(|(name, tensor)| {
            let values = from_bytes(tensor.data());
            (name.to_owned(), tensor.shape().to_vec(), values)
        })
        .collect())
}

fn memory(
    tensors: Vec<NamedValues>,
    steps: &BTreeMap<String, u32>,
    path: &Path,
) -> Result<Vec<StoredMemory>> {
    let mut tensors: BTreeMap<String, Vec<f32>> = tensors
        .into_iter()
        .map(|(name, _, values)| (name, values))
        .collect();
    steps
        .iter()
        .map(|(parameter, &steps)| {
            let first = tensors
                .remove(&format!("first.{parameter}"))
                .ok_or_else(|| Error::StoredTensors {
                    path: path.to_path_buf(),
                    expected: format!("no tensor `first.{parameter}`"),
                    source: None,
                })?;
            let second = tensors
                .remove(&format!("second.{parameter}"))
                .unwrap_or_default();
            Ok(StoredMemory {
                path: parameter.clone(),
                steps,
                first,
                second,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        toml::from_str("[data]\ntable = \"a.csv\"\n[target]\nkind = \"class\"\ncolumn = \"c\"\n")
            .unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            config: config(),
            rows: RowsDigest {
                train: 8,
                valid: 2,
                sha256: "ab".into(),
            },
            division: Some(Division { step: 8, ranks: 2 }),
            progress: Progress {
                epoch: 1,
                step: 3,
                total_step: 13,
                loss_sum: 0.1 + 0.2,
                best: Some(Best {
                    epoch: 0,
                    score: 1.0 / 3.0,
                }),
                ..Progress::default()
            },
            network: vec![(
                "fc.weight".into(),
                vec![2, 2],
                vec![0.1, -2.0, 3e-20, f32::MIN_POSITIVE / 2.0],
            )],
            ema: Some(vec![("fc.weight".into(), vec![2, 2], vec![0.25; 4])]),
            optimizer: vec![StoredMemory {
                path: "fc.weight".into(),
                steps: 13,
                first: vec![0.5; 4],
                second: vec![],
            }],
            best: Some(vec![("fc.weight".into(), vec![2, 2], vec![1.0; 4])]),
        }
    }

    #[test]
    fn what_is_read_is_what_was_written_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("checkpoint");
        assert!(Checkpoint::read(&dir).unwrap().is_none());
        checkpoint().write(&dir).unwrap();
        assert_eq!(Checkpoint::read(&dir).unwrap(), Some(checkpoint()));
        let mut next = checkpoint();
        next.best = None;
        next.ema = None;
        next.progress.step = 4;
        next.write(&dir).unwrap();
        assert_eq!(Checkpoint::read(&dir).unwrap(), Some(next));
    }

    #[test]
    fn a_flipped_bit_is_noticed_and_the_file_named() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("checkpoint");
        checkpoint().write(&dir).unwrap();
        // In `state.json` the bit makes another digit of a seed, say: the JSON stays valid.
        for (name, at) in [(OPTIMIZER, "last"), (STATE, "steps")] {
            checkpoint().write(&dir).unwrap();
            let path = dir.join(name);
            let mut bytes = fs::read(&path).unwrap();
            match at {
                "last" => *bytes.last_mut().unwrap() ^= 1,
                _ => {
                    let text = String::from_utf8(bytes).unwrap();
                    let edited = text.replacen("\"step\": 3", "\"step\": 2", 1);
                    assert_ne!(edited, text);
                    bytes = edited.into_bytes();
                }
            }
            fs::write(&path, bytes).unwrap();
            let failed = Checkpoint::read(&dir).unwrap_err();
            assert!(
                matches!(&failed, Error::Checksum { path: at, .. } if *at == path),
                "{failed}"
            );
        }
    }

    #[test]
    fn a_failed_write_leaves_the_checkpoint_before() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("checkpoint");
        checkpoint().write(&dir).unwrap();
        let begun = FolderWriter::create(&dir).unwrap();
        fs::write(begun.path().join(NETWORK), "half").unwrap();
        drop(begun);
        assert_eq!(Checkpoint::read(&dir).unwrap(), Some(checkpoint()));
    }

    #[test]
    fn weights_may_be_moved_and_a_name_on_the_hub_is_compared_whole() {
        let with = |weights: &str| {
            let mut config = config();
            config.model.weights = weights.into();
            config
        };
        let check = |begun: &str, now: &str| {
            let checkpoint = Checkpoint {
                config: with(begun),
                ..checkpoint()
            };
            checkpoint.check(&with(now), &checkpoint.rows, Path::new("run"))
        };
        check("/old/net.pth", "new/net.pth").unwrap();
        check("timm/net", "timm/net").unwrap();
        assert!(
            matches!(check("timm/net", "other/net"), Err(Error::ResumeDiffers { field, .. }) if field == "model.weights")
        );
    }

    #[test]
    fn a_changed_setting_is_refused_by_name_and_another_number_of_threads_is_not() {
        let checkpoint = checkpoint();
        let mut now = config();
        now.train.workers = 3;
        checkpoint
            .check(&now, &checkpoint.rows, Path::new("run"))
            .unwrap();
        now.train.epochs = 7;
        let failed = checkpoint
            .check(&now, &checkpoint.rows, Path::new("run"))
            .unwrap_err();
        assert_eq!(
            failed.to_string(),
            "run: the run was started with `train.epochs = 10`, now it is `7`"
        );
        let rows = RowsDigest {
            sha256: "cd".into(),
            ..checkpoint.rows.clone()
        };
        assert!(
            matches!(checkpoint.check(&config(), &rows, Path::new("run")), Err(Error::ResumeDiffers { field, .. }) if field == "data.table")
        );
    }
}
