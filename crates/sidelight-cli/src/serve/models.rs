//! The models by name, and the folders they came from: a folder that changes is read again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use sidelight::error::in_full;
use sidelight::predict::{Model, Predictor};
use sidelight::run::Run;
use tokio::sync::mpsc::UnboundedSender;

use super::Said;
use super::engine::{Batching, Engine, Places};
use super::fault::Fault;
use super::metrics::Metrics;
use crate::args::Machine;
use crate::refusal::Refusal;

/// How often folders are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// All models.
#[derive(Debug)]
pub(crate) struct Models {
    all: Vec<Shelved>,
    batching: Batching,
    metrics: Arc<Metrics>,
    machine: Machine,
}

/// One model.
#[derive(Debug)]
pub(crate) struct Shelved {
    /// What requests call it.
    pub(crate) name: String,
    dir: PathBuf,
    /// The newest; whoever took an older one keeps it until the answer.
    engine: RwLock<Arc<Engine>>,
    /// Of the files that it was first read from, taken before they were read.
    first: Option<Stamp>,
    /// Kept from one engine to the next.
    pub(crate) places: Places,
}

/// Length and time of change of the files of a model.
type Stamp = Vec<(u64, Option<SystemTime>)>;

impl Models {
    /// Reads every run: `DIR`, or `NAME=DIR`.
    pub(crate) fn open(
        runs: &[String],
        batching: Batching,
        queue: usize,
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
            let places = Places::new(queue);
            let first = stamp(&dir);
            let engine = models.start(&name, &dir, &places)?;
            models.all.push(Shelved {
                name,
                dir,
                engine: RwLock::new(Arc::new(engine)),
                first,
                places,
            });
        }
        Ok(models)
    }

    fn start(&self, name: &str, dir: &Path, places: &Places) -> anyhow::Result<Engine> {
        let mut model = Model::load(&Run::open(dir)?.model_dir())?;
        self.machine.configure_model(&mut model);
        let predictor = Predictor::new(model);
        let metrics = Arc::clone(&self.metrics);
        Ok(Engine::start(
            name,
            predictor,
            self.batching,
            places.clone(),
            metrics,
        )?)
    }

    /// All of them, the default first.
    pub(crate) fn all(&self) -> &[Shelved] {
        &self.all
    }

    /// The model of a name, the first where none is named. A name is looked up, never opened.
    pub(crate) fn get(&self, name: Option<&str>) -> Result<&Shelved, Fault> {
        let found = match name {
            None => self.all.first(),
            Some(name) => self.all.iter().find(|model| model.name == name),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self.all.iter().map(|model| &*model.name).collect();
            let asked: String = name.unwrap_or_default().chars().take(100).collect();
            Fault::new(StatusCode::NOT_FOUND, format!("no model `{asked}`"))
                .hint(format!("there is: {}", names.join(", ")))
        })
    }

    /// Looks at the folders for ever, and reads again what has changed.
    pub(crate) async fn watch(self: Arc<Self>, say: UnboundedSender<Said>) {
        let mut seen: Vec<Option<Stamp>> =
            self.all.iter().map(|model| model.first.clone()).collect();
        loop {
            tokio::time::sleep(EVERY).await;
            for (at, seen) in seen.iter_mut().enumerate() {
                let now = stamp(&self.all[at].dir);
                // A folder in the making is not there yet: the old model stays.
                if now.is_none() || now == *seen {
                    continue;
                }
                let models = Arc::clone(&self);
                let read = tokio::task::spawn_blocking(move || models.again(at)).await;
                let said = match read {
                    Ok(said) => said,
                    Err(_) => Said::Warning("reading a model again stopped at a fault".into()),
                };
                // Nobody listens any more once the server stops.
                let _ = say.send(said);
                *seen = now;
            }
        }
    }

    fn again(&self, at: usize) -> Said {
        let model = &self.all[at];
        let started = self.start(&model.name, &model.dir, &model.places);
        self.metrics.reload(&model.name, started.is_ok());
        match started {
            Ok(engine) => {
                *model.engine.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(engine);
                Said::Line(format!(
                    "`{}` was read again: its folder had changed",
                    model.name
                ))
            }
            Err(error) => Said::Warning(format!(
                "`{}` has changed and cannot be read, the old one stays: {}",
                model.name,
                in_full(&*error)
            )),
        }
    }
}

impl Shelved {
    /// The newest of it.
    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A run's name and folder: the folder's own name where none is given.
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
fn stamp(dir: &Path) -> Option<Stamp> {
    let run = Run::open(dir).ok()?;
    let files = ["model.json", "weights.safetensors"].map(|file| run.model_dir().join(file));
    let of = |file: &PathBuf| {
        let found = fs::metadata(file).ok()?;
        Some((found.len(), found.modified().ok()))
    };
    files.iter().map(of).collect()
}
