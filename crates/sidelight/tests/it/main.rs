//! One binary for all integration tests: linking Burn takes long.

mod scenes;
mod training;
