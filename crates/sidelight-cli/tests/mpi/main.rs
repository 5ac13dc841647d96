//! The built program under `mpirun`: needs the feature `mpi`, and Open MPI where the tests run.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

#[path = "../it/folder.rs"]
#[allow(dead_code, reason = "what the other tests need of it")]
mod folder;
mod job;

use std::fmt::Write as _;

use folder::{Folder, Said};
use job::Job;

/// What makes a training the same however its rows are divided.
const PLAIN: &str = "--set train.sync_batch_norm=true --set train.learning_rate=2e-4 --set model.dropout=0 \
                     --set model.drop_image=0 --set augment.probability=0 --set augment.flip=false --quiet";

/// The weights of a finished run, sorted by name.
fn weights(folder: &Folder, run: &str) -> Vec<f32> {
    let bytes = folder.read_bytes(&format!("{run}/model/weights.safetensors"));
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let numbers = bytes[header..].as_chunks::<4>().0.iter();
    numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// As a share of their size.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |x: f32| f64::from(x).powi(2);
    let off: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    (off / expected.iter().map(|x| square(*x)).sum::<f64>()).sqrt()
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// It said no, one process for all.
fn assert_refused(said: &Said, what: &str) {
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert_eq!(count(&said.stderr, "error:"), 1, "{}", said.stderr);
    assert!(said.stderr.contains(what), "{}", said.stderr);
    assert_eq!(said.stdout, "");
}

#[test]
fn ranks_learn_what_one_process_does_and_the_same_every_time() {
    let folder = Folder::with_houses();
    folder.done(&format!(
        "train houses.toml --out one --set train.epochs=3 --set train.batch=8 {PLAIN}"
    ));
    let among = |n: usize, batch: usize, out: &str| {
        let line = format!(
            "train houses.toml --out {out} --set train.epochs=3 --set train.batch={batch} {PLAIN}"
        );
        let said = Job::run(&folder, n, &line);
        assert_eq!(said.code, 0, "{}", said.stderr);
        assert_eq!(count(&said.stdout, "mae"), 1, "{}", said.stdout);
        weights(&folder, out)
    };
    let (one, two) = (weights(&folder, "one"), among(2, 4, "two"));
    assert!(distance(&two, &one) < 1e-5, "{}", distance(&two, &one));
    let four = among(4, 2, "four");
    assert!(distance(&four, &one) < 1e-5, "{}", distance(&four, &one));
    assert!(
        two == among(2, 4, "again"),
        "another run learns something else"
    );
    let predictions = |run: &str| folder.read_bytes(&format!("{run}/predictions.csv"));
    assert_eq!(predictions("two"), predictions("again"));
    assert!(folder.read("two/log.jsonl").contains("2 ranks: steps of "));
    assert!(!folder.exists("two/checkpoint"));
}

#[test]
fn a_killed_rank_ends_the_job_and_another_number_of_ranks_goes_on() {
    let folder = Folder::with_houses();
    // Small steps and few normalisations, so that rounding stays rounding over 120 of them.
    let line = |out: &str| {
        format!(
            "train houses.toml --out {out} --set train.epochs=40 --set train.batch=8 --set train.checkpoint_steps=1 \
             {PLAIN} --set train.learning_rate=2e-5 --set model.fusion=concat"
        )
    };
    folder.done(&line("whole"));
    let resume = format!("{} --resume", line("a"));

    // One process is killed, then one of two; then four finish.
    let mut one = folder.command(&line("a")).spawn().unwrap();
    job::wait_for(|| job::steps(&folder, "a") >= 15);
    one.kill().unwrap();
    one.wait().unwrap();
    let before = job::steps(&folder, "a");

    let two = Job::start(&folder, 2, &resume);
    job::wait_for(|| job::steps(&folder, "a") >= before + 15);
    two.kill_rank(1, "KILL");
    let said = two.end();
    assert_ne!(said.code, 0);

    let said = Job::run(&folder, 4, &resume);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(job::steps(&folder, "a"), job::steps(&folder, "whole"));
    let off = distance(&weights(&folder, "a"), &weights(&folder, "whole"));
    assert!(off < 1e-5, "{off}");
}

#[test]
fn one_rank_that_is_asked_to_stop_stops_all_with_a_checkpoint() {
    let folder = Folder::with_houses();
    let line = "train houses.toml --out a --set train.epochs=2000 --set train.batch=4";
    let two = Job::start(&folder, 2, line);
    job::wait_for(|| job::steps(&folder, "a") >= 3);
    two.kill_rank(1, "TERM");
    let said = two.end();
    assert_refused(&said, "stopped; a checkpoint is saved in a");
    assert!(folder.exists("a/checkpoint/state.json"));
    let log = folder.read("a/log.jsonl");
    assert!(log.lines().last().unwrap().contains("stopped"), "{log}");
    // What was asked for stands in the checkpoint: a run of other steps is not this one.
    let said = Job::run(&folder, 2, &format!("{line} --resume --set train.batch=3"));
    assert_refused(&said, "train.batch");
}

#[test]
fn a_rank_that_fails_alone_says_why_and_ends_the_job() {
    let folder = Folder::with_houses();
    folder.write("5.png", "no image");
    let said = Job::run(
        &folder,
        2,
        "train houses.toml --out a --set train.batch=4 --quiet",
    );
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert_eq!(count(&said.stderr, "error: rank "), 1, "{}", said.stderr);
    assert_eq!(count(&said.stderr, "5.png"), 1, "{}", said.stderr);
    assert!(said.stderr.contains("row 6"), "{}", said.stderr);
}

#[test]
fn what_no_rank_can_do_is_said_once() {
    let folder = Folder::with_houses();
    let said = |line: &str| Job::run(&folder, 3, line);
    assert_refused(
        &said("train houses.toml --out a --set train.epoch=3"),
        "train.epoch",
    );
    assert_refused(&said("train houses.toml --out a --nonsense"), "--nonsense");
    assert_refused(
        &said("train houses.toml --out a --set data.table=none.csv"),
        "none.csv",
    );
    folder.write("full/other", "");
    assert_refused(&said("train houses.toml --out full"), "full");
    assert_refused(&said("eval nowhere"), "nowhere");
    assert_refused(&said("predict nowhere houses.csv --out b.csv"), "nowhere");
    for line in ["lr-find houses.toml", "backbones"] {
        assert_refused(&said(line), "runs in one process, but mpirun started 3");
    }
    assert_eq!(said("--version").stdout.lines().count(), 1);
}

#[test]
fn predictions_of_several_ranks_are_those_of_one_to_the_byte() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out a --set model.drop_image=0 --quiet");
    let mut rows = String::from("file_name,beds,tree\n");
    for row in 0..60 {
        let file = if row == 33 { 99 } else { row * 7 % 24 };
        writeln!(
            rows,
            "{file}.png,{},{}",
            row % 6,
            ["oak", "elm", "yew"][row % 3]
        )
        .unwrap();
    }
    folder.write("rows.csv", &rows);
    let line = |out: &str| format!("predict a rows.csv --out {out} --part-rows 8");
    let one = folder.run(&line("one.csv"));
    let two = Job::run(&folder, 2, &line("two.csv"));
    // A row without a prediction is an answer.
    assert_eq!([one.code, two.code], [1, 1], "{}", two.stderr);
    assert_eq!(folder.read("one.csv"), folder.read("two.csv"));
    assert_eq!(folder.read("one.bad.csv"), folder.read("two.bad.csv"));
    let ours = two.stderr.replace("two.", "one.");
    assert!(
        ours.contains(one.stderr.trim()),
        "{}\n{}",
        one.stderr,
        two.stderr
    );
    assert_refused(
        &Job::run(&folder, 2, &format!("{} --shard 1/2", line("three.csv"))),
        "--shard cannot be used under mpirun",
    );

    folder.write("5.png", "no image");
    let one = folder.run("eval a houses.csv");
    let three = Job::run(&folder, 3, "eval a houses.csv");
    assert_eq!(one.stdout, three.stdout);
    assert!(
        three.stderr.contains(one.stderr.trim()),
        "{}\n{}",
        one.stderr,
        three.stderr
    );
}

#[test]
fn a_comparison_of_several_ranks_is_that_of_one_to_the_byte() {
    let folder = Folder::with_houses();
    let line = |out: &str| format!("compare houses.toml --out {out} --quick --folds 2");
    folder.done(&line("one"));
    let said = Job::run(&folder, 3, &line("three"));
    assert_eq!(said.code, 0, "{}", said.stderr);
    for name in ["compare.json", "out_of_fold.csv"] {
        let read = |out: &str| folder.read(&format!("{out}/{name}"));
        assert_eq!(read("one"), read("three"), "{name}");
    }
    assert_eq!(count(&said.stderr, "trainings"), 1, "{}", said.stderr);
    // What a rank has finished is kept: asked again, nothing is left to do.
    let again = Job::run(&folder, 2, &line("three"));
    assert!(again.stderr.contains("0 to run"), "{}", again.stderr);
}
