//! `sidelight man --out DIR`

use std::path::PathBuf;

use clap::Args;

/// Arguments of `sidelight man`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ManArgs {
    /// Folder for the pages, made if it is not there
    ///
    /// Pages of the same names are replaced. Example: --out man1
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}
