//! One file per command, and what several of them do alike.

pub mod backbones;
pub mod check;
pub mod demo;
pub mod eval;
pub mod init;
pub mod inspect;
pub mod predict;
pub mod show;
pub mod train;

mod narration;
mod problems;
mod rows;

use anyhow::Context;
use sidelight::config::Config;

use crate::args::{Device, Machine};

/// How a command that could do its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// It is done, and the answer is no.
    No,
}

impl Machine {
    /// Makes the machine what was asked for: call it once, before anything is computed.
    pub fn prepare(&self) -> anyhow::Result<()> {
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
    pub fn configure(&self, config: &mut Config) {
        if config.train.workers == 0 {
            config.train.workers = self.threads;
        }
    }
}
