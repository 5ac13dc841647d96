//! `sidelight backbones`

use clap::Args;

use super::Printed;

/// Arguments of `sidelight backbones`.
#[derive(Debug, Args)]
pub(crate) struct BackbonesArgs {
    /// How the list is printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
}
