//! Trains a network that reads the images and the metadata of a table, and writes a run folder.
//!
//! ```text
//! cargo run --release -p sidelight --example train
//! ```

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::path::Path;

use sidelight::Config;
use sidelight::config::{MetadataKind, TargetConfig};

fn main() -> sidelight::Result<()> {
    run("data/tiny/metadata.csv".as_ref(), "runs/tiny".as_ref())
}

/// Trains on the rows of `table` and writes the run folder `out`.
pub fn run(table: &Path, out: &Path) -> sidelight::Result<()> {
    // Four keypoints, and three columns of metadata. Without `with_metadata` the columns would be inferred.
    let config = Config::new(table, TargetConfig::keypoints(["x0..y3"]))
        .with_metadata("label_is_dirty", MetadataKind::Boolean)
        .with_metadata("img_source", MetadataKind::Categorical)
        .with_metadata("shutter_capture_time", MetadataKind::Continuous)
        .with_size(32)
        .with_epochs(3);

    let trained = sidelight::train(&config, out)?;
    for (metric, value) in trained.metrics.iter().flat_map(|metrics| &metrics.values) {
        println!("{metric} of the validation rows: {value:.3}");
    }
    println!("report: {}", trained.run.report_path().display());
    Ok(())
}
