//! `sidelight init TABLE --target a[,b…]`

use std::path::PathBuf;

use clap::Args;

use super::Printed;

/// Arguments of `sidelight init`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Columns")]
pub(crate) struct InitArgs {
    /// CSV, TSV, JSON Lines, Parquet, or a Hugging Face imagefolder
    #[arg(help_heading = None::<&str>)]
    pub(crate) table: PathBuf,
    /// Column to predict, or several separated by commas
    ///
    /// Keypoints are columns x0,y0,x1,y1,… in pixels.
    /// Example: --target x0,y0,x1,y1
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    #[arg(required = true)]
    pub(crate) target: Vec<String>,
    /// Column whose equal values belong together (a patient, a house)
    ///
    /// Rows that share a value are never split between training and
    /// validation. Example: --group patientid
    #[arg(long, value_name = "COLUMN")]
    pub(crate) group: Option<String>,
    /// Column to ignore; repeatable
    ///
    /// For a column that will not be known at prediction time.
    /// Example: --ignore finding
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// Configuration file to write
    ///
    /// Default: sidelight.toml; `-` prints it. Example: --out -
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the configuration file if it exists
    #[arg(long, help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// How the columns are printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
}
