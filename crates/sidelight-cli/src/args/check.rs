//! `sidelight check CONFIG`

use clap::Args;

use super::{Configured, Printed};

/// Arguments of `sidelight check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// How the problems are printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
    /// The configuration.
    #[command(flatten)]
    pub(crate) configured: Configured,
}
