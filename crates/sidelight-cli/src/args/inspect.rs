//! `sidelight inspect CONFIG|RUN|BACKBONE|WEIGHTS`

use std::path::PathBuf;

use clap::Args;

use super::{Overrides, Printed};

/// Arguments of `sidelight inspect`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct InspectArgs {
    /// Configuration file, run folder, backbone name, or weights file
    #[arg(value_name = "CONFIG|RUN|BACKBONE|WEIGHTS")]
    #[arg(help_heading = None::<&str>)]
    pub(crate) source: PathBuf,
    /// Print the layers as a tree
    #[arg(long)]
    pub(crate) tree: bool,
    /// Image size of a backbone in pixels; default: its own
    ///
    /// Example: sidelight inspect resnet18 --size 128
    #[arg(long, value_name = "PIXELS", help_heading = "Configuration")]
    pub(crate) size: Option<usize>,
    /// List only matching paths; `*` matches anything
    ///
    /// Example: --match 'head.*'
    #[arg(long = "match", value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,
    /// Overrides of a configuration.
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// How the list is printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
}
