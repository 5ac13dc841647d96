//! Does the metadata help? The image alone, the metadata alone and both, on the same folds, and a verdict.
//!
//! ```text
//! cargo run --release -p sidelight --example compare
//! ```

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::path::Path;

use sidelight::Config;
use sidelight::compare::{CompareOptions, Compared, Speed};
use sidelight::config::{MetadataKind, TargetConfig};

fn main() -> sidelight::Result<()> {
    run(
        "data/tiny/metadata.csv".as_ref(),
        "runs/tiny-compare".as_ref(),
    )
}

/// Compares on the rows of `table`; `out` keeps every finished training, so that a second call resumes.
pub fn run(table: &Path, out: &Path) -> sidelight::Result<()> {
    let config = Config::new(table, TargetConfig::keypoints(["x0..y3"]))
        .with_metadata("label_is_dirty", MetadataKind::Boolean)
        .with_metadata("img_source", MetadataKind::Categorical)
        .with_size(32)
        .with_epochs(2);

    let options = CompareOptions {
        folds: 2,
        arms: vec!["metadata".into(), "concat".into()],
        speed: Speed::Quick,
        ..CompareOptions::new(out)
    };
    if let Compared::Answer(evidence) = sidelight::compare(&config, options)? {
        println!("{}", evidence.verdict.sentence);
        for doubt in &evidence.verdict.doubts {
            println!("but {}", doubt.sentence);
        }
    }
    Ok(())
}
