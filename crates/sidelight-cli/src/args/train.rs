//! `sidelight train CONFIG --out DIR`

use std::path::PathBuf;

use clap::Args;

use super::shared::positive;
use super::{Cached, Configured, Machine, Printed};

/// Arguments of `sidelight train`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct TrainArgs {
    /// Run folder to create
    ///
    /// It must not exist yet, or with --resume hold the run to continue.
    /// Example: --out runs/a
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Continue the interrupted run in --out
    ///
    /// Use it after Ctrl-C, a crash or a power cut. The configuration must be
    /// the same.
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,
    /// Replace the run in --out
    ///
    /// The old run is kept until the new one has finished. A folder that
    /// holds other files is never replaced.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Train a model for each of N folds, and join them
    ///
    /// Each model leaves out another fold; the run's model is the mean of
    /// them, scored on every row by the model that has not learned from it.
    /// Takes about N times as long. The same as --set data.split.folds=N.
    /// Example: --folds 5
    #[arg(long, value_name = "N", value_parser = positive)]
    #[arg(help_heading = "Configuration")]
    pub(crate) folds: Option<usize>,
    /// How the final metrics are printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
    /// The configuration.
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Threads and precision.
    #[command(flatten)]
    pub(crate) machine: Machine,
    /// The feature cache.
    #[command(flatten)]
    pub(crate) cached: Cached,
}
