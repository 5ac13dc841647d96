//! `sidelight features CONFIG|RUN [TABLE]`

use std::path::PathBuf;

use clap::Args;

use super::{Machine, Overrides};

/// Arguments of `sidelight features`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct FeaturesArgs {
    /// Configuration file, or a run folder
    #[arg(value_name = "CONFIG|RUN", help_heading = None::<&str>)]
    pub(crate) source: PathBuf,
    /// Another table than the configuration's own, or tar archives
    #[arg(help_heading = None::<&str>)]
    pub(crate) table: Vec<PathBuf>,
    /// File to write: .npy, .parquet, .csv or .jsonl
    ///
    /// .npy is a matrix [rows, features] of float32 in the order of the table; a
    /// table has the columns row, image, f0, f1 and so on. Written atomically.
    /// Example: --out features.parquet
    #[arg(long, value_name = "FILE", default_value = "features.npy")]
    pub(crate) out: PathBuf,
    /// Replace --out if it exists
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Column with the images, or the path of each row's with columns in braces
    ///
    /// Default: as configured. Example: --image 'test/{id}.tif'
    #[arg(
        long,
        value_name = "COLUMN|PATH",
        help_heading = "Input",
        value_delimiter = ','
    )]
    pub(crate) image: Vec<String>,
    /// Overrides of a configuration.
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Threads and precision.
    #[command(flatten)]
    pub(crate) machine: Machine,
}
