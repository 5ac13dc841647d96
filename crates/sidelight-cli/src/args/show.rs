//! `sidelight show CONFIG|RUN`

use std::path::PathBuf;

use clap::Args;

use super::{Machine, Overrides, Page};

/// Arguments of `sidelight show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Configuration file, or a run folder
    #[arg(value_name = "CONFIG|RUN")]
    pub(crate) source: PathBuf,
    /// The page: images and keypoints as the network sees them.
    #[command(flatten)]
    pub(crate) page: Page,
    /// Number of rows to show
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(help_heading = "Output")]
    pub(crate) rows: usize,
    /// Overrides of a configuration.
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Threads and precision.
    #[command(flatten)]
    pub(crate) machine: Machine,
}
