//! Every example is run, on `data/tiny`; so is the program of the README.

#![allow(
    unreachable_pub,
    reason = "what is public in an example is so for its readers"
)]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sidelight::Config;
use sidelight::config::{MetadataKind, TargetConfig};
use sidelight::demo::{self, DemoConfig};

// Each example as a module, so that it runs in the tests' own process.
#[allow(dead_code, reason = "`main` is for `cargo run --example`")]
#[path = "../../examples/compare.rs"]
mod compare;
#[allow(dead_code, reason = "`main` is for `cargo run --example`")]
#[path = "../../examples/own_layer.rs"]
mod own_layer;
#[allow(dead_code, reason = "`main` is for `cargo run --example`")]
#[path = "../../examples/predict.rs"]
mod predict;
#[allow(dead_code, reason = "`main` is for `cargo run --example`")]
#[path = "../../examples/replace_head.rs"]
mod replace_head;
#[allow(dead_code, reason = "`main` is for `cargo run --example`")]
#[path = "../../examples/train.rs"]
mod train;
#[allow(dead_code, reason = "`main` is for `cargo run --example`")]
#[path = "../../examples/wrangle.rs"]
mod wrangle;

/// The folder of the tiny data set.
fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/tiny")
}

#[test]
fn train_writes_a_run_and_predict_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let (table, run) = (tiny().join("metadata.csv"), folder.path().join("run"));
    train::run(&table, &run).unwrap();
    assert!(run.join("report.html").is_file());
    predict::run(&run, &table).unwrap();
}

#[test]
fn compare_answers() {
    let folder = tempfile::tempdir().unwrap();
    compare::run(&tiny().join("metadata.csv"), folder.path()).unwrap();
    assert!(folder.path().join("compare.json").is_file());
}

#[test]
fn a_head_is_replaced() {
    replace_head::run().unwrap();
}

#[test]
fn a_layer_of_ones_own_is_found_again() {
    own_layer::run().unwrap();
}

#[test]
fn the_tiny_data_set_is_what_the_generator_makes() {
    let folder = tempfile::tempdir().unwrap();
    let config = DemoConfig {
        rows: 48,
        side: 64,
        seed: 0,
    };
    demo::generate(
        folder.path(),
        &config,
        &mut |_, _| ControlFlow::Continue(()),
    )
    .unwrap();
    let mut names = vec!["metadata.csv".to_owned()];
    names.extend((0..48).map(|row| format!("images/{row:05}.jpg")));
    for name in names {
        let kept = fs::read(tiny().join(&name)).unwrap();
        assert!(
            kept == fs::read(folder.path().join(&name)).unwrap(),
            "{name} differs"
        );
    }
}

#[test]
fn the_program_of_the_readme_is_the_example_train() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("../../README.md")).unwrap();
    let program = readme.split("```rust").nth(1).unwrap();
    let program = program.split("```").next().unwrap();
    let example = fs::read_to_string(root.join("examples/train.rs")).unwrap();
    let statements = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| line.starts_with('.'))
            .collect()
    };
    assert_eq!(statements(program), statements(&example));
}

#[test]
fn a_network_is_wrangled() {
    let corners = TargetConfig::keypoints(["x0..y3"]);
    let config = Config::new(tiny().join("metadata.csv"), corners)
        .with_metadata("img_source", MetadataKind::Categorical)
        .with_size(32)
        .with_epochs(1);
    wrangle::run(&config).unwrap();
}
