//! One binary for all integration tests: linking Burn takes long.

mod models;
mod scenes;
mod training;
