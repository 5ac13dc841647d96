//! One file per command, and what several of them do alike.

pub(crate) mod audit;
pub(crate) mod backbones;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod demo;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod lr_find;
pub(crate) mod predict;
pub(crate) mod show;
pub(crate) mod train;

mod narration;
mod problems;
mod rows;

use anyhow::Context;
use sidelight::config::Config;

use crate::args::{Device, Machine};

/// How a command that could do its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// It is done, and the answer is no.
    No,
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
    }
}
