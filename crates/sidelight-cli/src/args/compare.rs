//! `sidelight compare CONFIG --out DIR`

use std::path::PathBuf;

use clap::Args;

use super::shared::share;
use super::{Cached, Configured, Machine, Printed};

/// Arguments of `sidelight compare`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Comparison")]
pub(crate) struct CompareArgs {
    /// Folder of the comparison
    ///
    /// Created, or continued if it exists. Example: --out runs/answer
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) out: PathBuf,
    /// Delete an earlier comparison in --out and start over
    #[arg(long, conflicts_with = "merge", help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// How the arms are printed.
    #[command(flatten)]
    pub(crate) printed: Printed,
    /// Arms to compare; default: all arms of one fusion
    ///
    /// image, metadata, trees (boosting on the metadata), vote, weighted-vote,
    /// the name of a fusion (both: the configured one), and the controls
    /// shuffled, all-missing, gaps-only.
    /// The image alone is always included, as the reference.
    /// Example: --arms metadata,vote,concat,film,shuffled
    #[arg(long, value_name = "ARM,…", value_delimiter = ',')]
    pub(crate) arms: Vec<String>,
    /// Folds: rows are divided into N parts; each is held out once
    ///
    /// With data.time, N stretches of time, each held out from what was learned
    /// before it.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) folds: usize,
    /// Repeats: fold assignments, each with a seed of its own
    ///
    /// More repeats narrow the interval. Example: --seeds 3
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seeds: usize,
    /// Train the head only, on cached features, without augmentation
    ///
    /// The backbone stays frozen: a first answer in a fraction of the time. Leave
    /// it out where the backbone is not pretrained.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Metric to compare by; default: the task's headline metric
    ///
    /// Trainings do not depend on it. Example: --metric auroc
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Option<String>,
    /// Run only the I-th of N shares of the trainings
    ///
    /// For several machines or a job array that write to the same folder.
    /// Example: --jobs 2/8
    #[arg(long, value_name = "I/N", value_parser = share)]
    #[arg(conflicts_with = "merge", help_heading = "Sharing the work")]
    pub(crate) jobs: Option<(usize, usize)>,
    /// Train nothing; combine the results of all shares
    #[arg(long, help_heading = "Sharing the work")]
    pub(crate) merge: bool,
    /// The configuration.
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Threads and precision.
    #[command(flatten)]
    pub(crate) machine: Machine,
    /// The feature cache.
    #[command(flatten)]
    pub(crate) cached: Cached,
}
