//! `sidelight eval RUN [TABLE]`

use std::path::PathBuf;

use clap::Args;

use super::{Covering, Machine, Printed, Tta};

/// Arguments of `sidelight eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Run folder, as `sidelight train` writes it
    pub(crate) run: PathBuf,
    /// Table with the same columns; default: the run's validation rows
    pub(crate) table: Option<PathBuf>,
    /// How the metrics are printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
    /// Sets beside predictions.
    #[command(flatten)]
    pub(crate) covering: Covering,
    /// Test-time augmentation.
    #[command(flatten)]
    pub(crate) tta: Tta,
    /// Threads and precision.
    #[command(flatten)]
    pub(crate) machine: Machine,
}
