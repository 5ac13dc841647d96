//! Words for the parts of a division.

use crate::kind::Split;

/// The part a cell names: `train`, `valid` and `test`, but `training`, `validation`, `val`, `dev` and `testing` are
/// understood too, in any case.
pub(crate) fn part_named(text: &str) -> Option<Split> {
    match text.trim().to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "valid" | "validation" | "val" | "dev" => Some(Split::Valid),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}
