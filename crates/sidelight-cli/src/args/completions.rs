//! `sidelight completions SHELL`

use clap::Args;
use clap_complete::Shell;

/// Arguments of `sidelight completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to complete in
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}
