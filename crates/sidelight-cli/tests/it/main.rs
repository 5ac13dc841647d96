//! The built program on small generated data: its help, its errors, one whole story.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]
#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod addresses;
mod advice;
mod cases;
mod columns;
mod corpus;
mod errors;
mod features;
mod folder;
mod folds;
mod groups;
mod help;
mod hub;
mod import;
mod install;
mod points;
mod predict;
mod schema;
mod serve;
mod shards;
mod share;
mod show;
mod story;
mod time;
mod torture;
mod walks;
mod weight;
