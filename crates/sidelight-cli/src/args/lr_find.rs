//! `sidelight lr-find CONFIG`

use clap::Args;

use super::{Configured, Machine, Page, Printed};

/// Arguments of `sidelight lr-find`.
#[derive(Debug, Args)]
pub(crate) struct LrFindArgs {
    /// The page: the loss at each rate.
    #[command(flatten)]
    pub(crate) page: Page,
    /// How the suggestion is printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
    /// The configuration.
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Threads and precision.
    #[command(flatten)]
    pub(crate) machine: Machine,
}
