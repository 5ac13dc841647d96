//! A model of several folds (`--folds`) as a user of the program meets it.

use crate::folder::{Folder, has, refused};

fn trained() -> Folder {
    let folder = Folder::with_houses();
    let said = folder.done("train houses.toml --out a --folds 3 --format json");
    for fold in 1..=3 {
        has(&said.stderr, &format!("fold {fold} of 3"));
        assert!(folder.exists(&format!("a/folds/{fold}/report.html")));
    }
    has(&said.stderr, "the model is the mean of 3");
    let scores: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(scores[0]["n"], 24, "every row is scored: {scores}");
    folder
}

#[test]
fn all_commands_take_the_model_of_folds() {
    let folder = trained();
    let said = folder.done("inspect a --match members.3.head");
    has(&said.stdout, "members.3.head");
    folder.done("predict a houses.csv --out new.csv --coverage 0.8");
    let new = folder.read("new.csv");
    assert_eq!(new.lines().count(), 25);
    has(
        new.lines().next().unwrap(),
        "price,price_spread,price_low,price_high",
    );
    let said = folder.done("eval a houses.csv");
    has(&said.stderr, "over 24 rows");
    let said = folder.done("explain a houses.csv");
    has(&said.stdout, "beds");
    let said = folder.done("explain a houses.csv --row 3");
    has(&said.stdout, "tree");
    let said = folder.done("export a --onnx a.onnx");
    for input in ["image", "beds", "tree"] {
        let lines = said.stdout.lines();
        let named = lines.filter(|line| line.split_whitespace().any(|word| word == input));
        assert_eq!(named.count(), 1, "{input}: {}", said.stdout);
    }
    folder.done("export a --hub card");
    has(
        &folder.read("card/README.md"),
        "24, each left out of the training of one of 3 models",
    );
    folder.done("predict card houses.csv --out again.csv --coverage 0.8");
    assert_eq!(folder.read("again.csv"), new);
}

#[test]
fn what_has_no_validation_rows_says_where_there_are_some() {
    let folder = trained();
    insta::assert_snapshot!(refused(&folder, "eval a"), @"
    error: the model is the mean of those of 3 folds, which together have learned from all rows: it has no validation rows

    hint: give another table, or the run of a fold: RUN/folds/1; the run's metrics.json and predictions.csv are of each row by the model that has not learned from it
    ");
    assert_eq!(refused(&folder, "explain a"), refused(&folder, "eval a"));
    folder.done("eval a/folds/2");
    folder.done("explain a/folds/2");
    has(
        &refused(&folder, "train houses.toml --out b --folds 1"),
        "`data.split.folds`: expected 2 to 100, or 0 for one model, found `1`",
    );
}

#[test]
fn a_finished_run_of_other_folds_is_not_taken_for_this_one() {
    let folder = trained();
    let said = folder.done("train houses.toml --out a --folds 3 --resume");
    has(&said.stderr, "nothing to resume");
    has(
        &refused(&folder, "train houses.toml --out a --folds 4 --resume"),
        "`data.split.folds = 3`, now it is `4`",
    );
    has(
        &refused(&folder, "train houses.toml --out a --resume"),
        "`data.split.folds = 3`, now it is `0`",
    );
}
