//! `sidelight lr-find CONFIG`

use clap::Args;

use super::{Configured, Machine, Page, Printed};

/// Arguments of `sidelight lr-find`.
#[derive(Debug, Args)]
pub(crate) struct LrFindArgs {
    /// The configuration.
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// The page: the loss at each rate.
    #[command(flatten)]
    pub(crate) page: Page,
    /// How the suggestion is printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
    /// Threads and precision.
    #[command(flatten)]
    pub(crate) machine: Machine,
}
