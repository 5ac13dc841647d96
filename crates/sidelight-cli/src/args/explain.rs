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
    /// Point to explain, by its name or its number
    ///
    /// Prints what each column moves it by in each row that is explained, in pixels: from
    /// where the point would be if the column were missing to where it is.
    ///
    /// Example: --row 214 --point nose
    #[arg(long, value_name = "POINT")]
    pub(crate) point: Option<String>,
    /// The page: images, where the network looks, what-if curves, arrows.
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
