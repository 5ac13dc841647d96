//! One file per command, and what several of them do alike.

pub(crate) mod audit;
pub(crate) mod backbones;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod demo;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod lr_find;
pub(crate) mod predict;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod train;

mod narration;
mod problems;
mod remote;
mod rows;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context;
use sidelight::config::Config;
use sidelight::predict::Model;
use sidelight::train::FeatureCache;

use crate::args::{Device, Kept, Machine, Precision};
use crate::terminal::Terminal;

/// How a command that could do its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// It is done, and the answer is no.
    No,
}

/// Features kept on disk, at most.
const FEATURE_BYTES: u64 = 4 << 30;

/// Does what looks at images on several threads, and draws how many are done.
fn counting_images<T>(
    terminal: &mut Terminal,
    work: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> T,
) -> T {
    let shared = Mutex::new(terminal);
    work(&|done, all| {
        // Where another thread is just drawing, this count can be skipped.
        if let Ok(mut terminal) = shared.try_lock() {
            terminal.progress(|| format!("{done} of {all} images"));
        }
    })
}

impl Kept {
    /// Where features are kept: as asked for, or in the user's cache folder; nowhere where there is none.
    pub(crate) fn features(&self) -> Option<FeatureCache> {
        let from = |variable: &str| {
            std::env::var_os(variable)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let dir = match &self.cache {
            Some(given) if given == Path::new("none") => None,
            Some(given) => Some(given.clone()),
            None => from("XDG_CACHE_HOME")
                .or_else(|| from("HOME").map(|home| home.join(".cache")))
                .map(|cache| cache.join("sidelight/features")),
        };
        dir.map(|dir| FeatureCache {
            dir,
            max_bytes: FEATURE_BYTES,
        })
    }
}

impl Machine {
    /// Makes the machine what was asked for: call it once, before anything is computed.
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        match self.device {
            Device::Cpu => {}
        }
        if self.threads > 0 {
            rayon::ThreadPoolBuilder::new()
                .num_threads(self.threads)
                .build_global()
                .context("cannot start the threads")?;
        }
        Ok(())
    }

    /// The same for the threads that read images, where the configuration leaves them open.
    pub(crate) fn configure(&self, config: &mut Config) {
        if config.train.workers == 0 {
            config.train.workers = self.threads;
        }
        match self.precision {
            None => {}
            Some(Precision::F32) => config.train.precision = "f32".into(),
            Some(Precision::Bf16) => config.train.precision = "bf16".into(),
        }
    }

    /// The same for a trained model.
    pub(crate) fn configure_model(&self, model: &mut Model) {
        self.configure(&mut model.config);
        model.network.precision = sidelight::tensor::Precision::of(&model.config.train);
    }
}
