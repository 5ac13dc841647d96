//! The served models by name; a model whose folder changes is reloaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use axum::http::StatusCode;
use sidelight::error::in_full;
use sidelight::predict::{Model, Predictor};

use super::engine::{Batching, Engine, Queue};
use super::fault::Fault;
use super::log::Log;
use super::metrics::Metrics;
use crate::args::Machine;
use crate::refusal::Refusal;

/// Time between two looks at the folders.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// All served models.
#[derive(Debug)]
pub(crate) struct Models {
    all: Vec<ServedModel>,
    batching: Batching,
    metrics: Arc<Metrics>,
    machine: Machine,
}

/// A model by its name.
#[derive(Debug)]
pub(crate) struct ServedModel {
    /// Its name in requests.
    pub(crate) name: String,
    dir: PathBuf,
    /// The newest engine; requests that took an older one keep it until they are answered.
    engine: RwLock<Arc<Engine>>,
    /// Of the files that it was first loaded from, taken before they were read.
    first: Option<FileStamps>,
    /// Outlives the engine.
    queue: Queue,
}

/// Length and modification time of each file of a model.
type FileStamps = Vec<(u64, Option<SystemTime>)>;

impl Models {
    /// Loads every run: `DIR`, or `NAME=DIR`; their queues have `queue_length` rows each.
    pub(crate) fn open(
        runs: &[String],
        batching: Batching,
        queue_length: usize,
        metrics: Arc<Metrics>,
        machine: Machine,
    ) -> anyhow::Result<Self> {
        let mut models = Self {
            all: Vec::new(),
            batching,
            metrics,
            machine,
        };
        for run in runs {
            let (name, dir) = named(run)?;
            if models.all.iter().any(|other| other.name == name) {
                return Err(Refusal::new(
                    format!("two models are named `{name}`"),
                    format!("give one of them another name: `other={}`", dir.display()),
                )
                .into());
            }
            let queue = Queue::new(queue_length, models.metrics.queue_rows(&name));
            let first = stamp(&dir);
            let engine = models.start(&name, &dir, &queue)?;
            models.all.push(ServedModel {
                name,
                dir,
                engine: RwLock::new(Arc::new(engine)),
                first,
                queue,
            });
        }
        Ok(models)
    }

    fn start(&self, name: &str, dir: &Path, queue: &Queue) -> anyhow::Result<Engine> {
        let predictor = Predictor::new(self.machine.load(dir)?);
        let batch_rows = self.metrics.batch_rows(name);
        let engine = Engine::start(name, predictor, self.batching, queue.clone(), batch_rows);
        engine.with_context(|| format!("the model `{name}` cannot be served"))
    }

    /// All of them, the default first.
    pub(crate) fn all(&self) -> &[ServedModel] {
        &self.all
    }

    /// The model of this name; without a name, the first. A name is looked up, never opened as a path.
    pub(crate) fn get(&self, name: Option<&str>) -> Result<&ServedModel, Fault> {
        let found = match name {
            None => self.all.first(),
            Some(name) => self.all.iter().find(|model| model.name == name),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self.all.iter().map(|model| &*model.name).collect();
            let asked: String = name.unwrap_or_default().chars().take(100).collect();
            Fault::new(StatusCode::NOT_FOUND, format!("no model `{asked}`"))
                .hint(format!("the models are: {}", names.join(", ")))
        })
    }

    /// Watches the folders forever, and reloads models that have changed.
    pub(crate) async fn watch(self: Arc<Self>, log: Arc<Log>) {
        let mut seen: Vec<Option<FileStamps>> =
            self.all.iter().map(|model| model.first.clone()).collect();
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            for (at, seen) in seen.iter_mut().enumerate() {
                let now = stamp(&self.all[at].dir);
                // A folder that is being replaced is missing for a moment: the old model stays.
                if now.is_none() || now == *seen {
                    continue;
                }
                let models = Arc::clone(&self);
                let read = tokio::task::spawn_blocking(move || models.reload(at)).await;
                match read {
                    Ok(Ok(done)) => log.say(&done),
                    Ok(Err(failed)) => log.warn(&failed),
                    Err(_) => log.warn("reloading a model failed: internal error"),
                }
                *seen = now;
            }
        }
    }

    /// What was done, or why it was not.
    fn reload(&self, at: usize) -> Result<String, String> {
        let model = &self.all[at];
        let started = self.start(&model.name, &model.dir, &model.queue);
        self.metrics.reload(&model.name, started.is_ok());
        match started {
            Ok(engine) => {
                *model.engine.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(engine);
                Ok(format!("reloaded `{}`: its folder changed", model.name))
            }
            Err(error) => Err(format!(
                "`{}` changed but cannot be reloaded, the old model stays: {}",
                model.name,
                in_full(&*error)
            )),
        }
    }
}

impl ServedModel {
    /// The newest engine.
    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A run's name and folder; without a given name, that of the folder.
fn named(run: &str) -> anyhow::Result<(String, PathBuf)> {
    let is_name = |name: &str| !name.is_empty() && !name.contains(['/', '\\']);
    if let Some((name, dir)) = run.split_once('=')
        && is_name(name)
        && !Path::new(run).exists()
    {
        return Ok((name.to_owned(), dir.into()));
    }
    let dir = PathBuf::from(run);
    let whole = fs::canonicalize(&dir).unwrap_or_else(|_| dir.clone());
    match whole.file_name() {
        Some(name) => Ok((name.to_string_lossy().into_owned(), dir)),
        None => Err(Refusal::new(
            format!("{run} has no name of its own"),
            format!("name it: `model={run}`"),
        )
        .into()),
    }
}

/// `None`: there is no whole model.
fn stamp(dir: &Path) -> Option<FileStamps> {
    let files = Model::files(&Model::folder(dir).ok()?);
    if files.len() < 2 {
        return None;
    }
    let of = |file: &PathBuf| {
        let found = fs::metadata(file).ok()?;
        Some((found.len(), found.modified().ok()))
    };
    files.iter().map(of).collect()
}
