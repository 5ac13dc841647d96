//! What can go wrong with the evidence of a comparison.

use strum::EnumProperty as _;

/// The result of what can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Arms that cannot be compared.
#[derive(Debug, thiserror::Error, strum::EnumProperty)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "a variant's message shows what its fields hold"
)]
pub enum Error {
    /// A comparison lacks an arm that it cannot do without.
    #[error("nothing to compare: no arm for {role}")]
    #[strum(props(
        hint = "name a fusion (`both` is the configuration's own) or a vote; `shuffled` and `all-missing` are of a fusion"
    ))]
    NoSuchArm {
        /// What is missing.
        role: &'static str,
    },
    /// A metric that the arms cannot be compared by.
    #[error(
        "arm `{arm}` cannot be compared by `{metric}`: it is not one of the task's metrics, or is undefined for these rows"
    )]
    #[strum(props(
        hint = "keypoints: mean_px, median_px, mean_nme, pck@0.1, mean_mm, sdr@2, oks, ar; class: accuracy, balanced_accuracy, auroc, log_loss, macro_f1, average_precision, brier, ece; multilabel: auroc, micro_auroc, map, macro_f1, micro_f1, hamming_accuracy, log_loss, brier, ece; regression: mae, rmse, r2, median_ae, mape"
    ))]
    Uncomparable { metric: String, arm: String },
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        self.get_str("hint").map(str::to_owned)
    }
}
