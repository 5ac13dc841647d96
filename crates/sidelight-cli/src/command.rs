//! One file per command, and what several of them do alike.

pub(crate) mod audit;
pub(crate) mod backbones;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod features;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod lr_find;
pub(crate) mod man;
pub(crate) mod predict;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod train;

mod baseline;
pub(crate) mod configuration;
mod environment;
mod narration;
mod problems;
mod rows;

use std::path::Path;
use std::sync::Mutex;

use anyhow::Context;
use sidelight::config::Config;
use sidelight::predict::Model;
use sidelight::run::write_whole;
use sidelight::train::FeatureCache;

use crate::args::{Cached, Machine, Page, Precision};
use crate::terminal::Terminal;
use environment::Variables;

/// How a command that could do its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Success.
    Done,
    /// Success, and the answer is no.
    No,
}

/// Size limit of the feature cache, bytes.
const FEATURE_BYTES: u64 = 4 << 30;

/// Runs work that reads images on several threads, and shows how many are done.
fn counting_images<T>(
    terminal: &mut Terminal,
    work: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> T,
) -> T {
    let shared = Mutex::new(terminal);
    work(&|done, all| {
        // While another thread draws, this count can be skipped.
        if let Ok(mut terminal) = shared.try_lock() {
            terminal.progress(|| format!("{done} of {all} images"));
        }
    })
}

impl Page {
    /// Writes the page if `--out` asks for one.
    fn write(
        &self,
        terminal: &mut Terminal,
        html: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        if let Some(path) = &self.out {
            let html = html()?;
            write_whole(path, |file| file.write_all(html.as_bytes()))?;
            terminal.say(format!("page: {}", path.display()));
        }
        Ok(())
    }
}

impl Cached {
    /// The feature cache: as asked for, or in the user's cache folder; none without such a folder.
    pub(crate) fn features(&self) -> Option<FeatureCache> {
        let dir = match &self.cache {
            Some(given) if given == Path::new("none") => None,
            Some(given) => Some(given.clone()),
            None => Variables::from_process().cache("features"),
        };
        dir.map(|dir| FeatureCache {
            dir,
            max_bytes: FEATURE_BYTES,
        })
    }
}

impl Machine {
    /// Starts the threads: call it once, before anything is computed.
    fn prepare(&self) -> anyhow::Result<()> {
        if self.threads > 0 {
            rayon::ThreadPoolBuilder::new()
                .num_threads(self.threads)
                .build_global()
                .context("cannot start the threads")?;
        }
        Ok(())
    }

    /// Fills in the loader's threads, if the configuration leaves them open, and the precision.
    fn configure(&self, config: &mut Config) {
        if config.train.workers == 0 {
            config.train.workers = self.threads;
        }
        match self.precision {
            None => {}
            Some(Precision::F32) => config.train.precision = "f32".into(),
            Some(Precision::Bf16) => config.train.precision = "bf16".into(),
        }
    }

    /// Loads the model of a run, or of a folder for the hub, to compute as this machine is set.
    pub(crate) fn load(&self, run: &Path) -> anyhow::Result<Model> {
        let mut model = Model::open(run)?;
        self.configure(&mut model.config);
        Variables::from_process().reach(&mut model.config.data.remote);
        model.network.precision =
            sidelight::tensor::Precision::from_name(&model.config.train.precision);
        Ok(model)
    }
}
