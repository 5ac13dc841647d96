//! One binary for all integration tests: linking Burn takes long.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod comparison;
mod examples;
mod explain;
mod export;
mod features;
mod folds;
mod links;
mod models;
mod options;
mod ranks;
mod scenes;
mod shards;
mod tidy;
mod training;
mod weights;
