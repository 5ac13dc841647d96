//! Divides rows into parts or folds, never splitting a group.

use crate::config::SplitConfig;
use crate::dataset::Dataset;
use crate::error::Result;

/// Positions of the rows of each part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Learned from.
    pub train: Vec<usize>,
    /// Watched.
    pub valid: Vec<usize>,
    /// Set aside (only where a split column says so).
    pub test: Vec<usize>,
}

/// Divides a data set as configured: by its column, or at random by seed, group-safe and stratified.
///
/// # Errors
///
/// A part that would be empty, a group in two parts of a split column.
pub fn split(dataset: &Dataset, config: &SplitConfig) -> Result<Split> {
    let _ = (dataset, config);
    todo!()
}

/// Fold number of each row, in `0..n_folds`: stratified, groups whole.
///
/// # Errors
///
/// Fewer groups (or rows) than folds.
pub fn folds(dataset: &Dataset, n_folds: usize, seed: u64) -> Result<Vec<u32>> {
    let _ = (dataset, n_folds, seed);
    todo!()
}
