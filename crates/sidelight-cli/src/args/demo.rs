//! `sidelight demo`

use std::path::PathBuf;

use clap::Args;

use super::{Machine, Printed};

/// Arguments of `sidelight demo`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct DemoArgs {
    /// Folder to create
    ///
    /// Everything goes into it; delete it to start again.
    #[arg(long, value_name = "DIR", default_value = "demo")]
    #[arg(help_heading = "Output")]
    pub(crate) out: PathBuf,
    /// Number of images
    ///
    /// Fewer are faster, and the networks learn less. Example: --rows 300
    #[arg(long, value_name = "N")]
    pub(crate) rows: Option<usize>,
    /// Image width in pixels
    ///
    /// Larger images look better in the report; the networks see them at 96
    /// pixels, or what --set train.size says. Example: --side 320
    #[arg(long, value_name = "PX")]
    pub(crate) side: Option<usize>,
    /// Random seed of images, weights and shuffling
    ///
    /// Another seed generates other images. Example: --seed 1
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Write the data and its configuration, and train nothing
    ///
    /// The same command without it goes on from there.
    #[arg(long, conflicts_with = "set")]
    pub(crate) data_only: bool,
    /// Override a field of each arm's configuration; repeatable
    ///
    /// Example: --set train.epochs=5
    #[arg(long, value_name = "FIELD=VALUE", help_heading = "Training")]
    pub(crate) set: Vec<String>,
    /// How the comparison is printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
    /// Threads and precision.
    #[command(flatten)]
    pub(crate) machine: Machine,
}
