//! `sidelight explain RUN [TABLE]`

use std::path::PathBuf;

use clap::Args;

use super::{Machine, Page, Printed};

/// Arguments of `sidelight explain`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rows")]
pub(crate) struct ExplainArgs {
    /// Run folder, as `sidelight train` writes it
    #[arg(help_heading = None::<&str>)]
    pub(crate) run: PathBuf,
    /// Table with the same columns; default: the run's validation rows
    #[arg(help_heading = None::<&str>)]
    pub(crate) table: Option<PathBuf>,
    /// Row to explain, counted from 1 in the table
    ///
    /// Example: --row 214
    #[arg(long, value_name = "N")]
    pub(crate) row: Option<usize>,
    /// The page: images, where the network looks, what-if curves.
    #[command(flatten)]
    pub(crate) page: Page,
    /// Shuffles of each column
    ///
    /// More give a more reliable spread and take longer.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) repeats: usize,
    /// Random seed of the shuffles
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How the explanation is printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
    /// Threads and precision.
    #[command(flatten)]
    pub(crate) machine: Machine,
}
