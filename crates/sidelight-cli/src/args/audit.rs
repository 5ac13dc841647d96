//! `sidelight audit CONFIG`

use clap::Args;

use super::{Configured, Page, Printed};

/// Arguments of `sidelight audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The page: the table, a chart, and duplicate images.
    #[command(flatten)]
    pub(crate) page: Page,
    /// How the columns are printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
    /// The configuration.
    #[command(flatten)]
    pub(crate) configured: Configured,
}
