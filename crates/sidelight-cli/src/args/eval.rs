//! `sidelight eval RUN [TABLE]`

use std::path::PathBuf;

use clap::Args;

use super::{Covering, Images, Machine, Printed, Tta};

/// Arguments of `sidelight eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Run folder, as `sidelight train` writes it
    pub(crate) run: PathBuf,
    /// Table with the same columns; default: the run's validation rows
    pub(crate) table: Option<PathBuf>,
    /// Where the images are.
    #[command(flatten)]
    pub(crate) images: Images,
    /// Score groups of rows as well: those that share a value of this column
    ///
    /// For several photographs of one thing: the mean of what is said of them
    /// is scored once. Rows of a group must agree in their target.
    /// Example: --by plant
    #[arg(long, value_name = "COLUMN", help_heading = "Output")]
    pub(crate) by: Option<String>,
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
