//! `sidelight schema [--out FILE]`

use std::path::PathBuf;

use clap::Args;

/// Arguments of `sidelight schema`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct SchemaArgs {
    /// File to write; default: stdout
    ///
    /// Written atomically; an existing file is replaced.
    /// Example: --out sidelight.schema.json
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
