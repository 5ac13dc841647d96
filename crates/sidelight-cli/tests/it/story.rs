//! What a user does, from a table to predictions.

use std::time::{Duration, Instant};

use crate::folder::{Folder, has, refused};

/// A folder with the demonstration's data, few and small, and nothing trained.
fn cards() -> Folder {
    let folder = Folder::new();
    let said = folder.done("demo --rows 60 --side 48 --set train.epochs=1 --set train.size=48");
    assert!(
        said.stdout.contains("both") && said.stdout.contains("shuffled"),
        "{}",
        said.stdout
    );
    assert!(said.stderr.contains("12 held-out rows"), "{}", said.stderr);
    folder
}

#[test]
fn from_the_demonstrations_table_to_predictions() {
    let folder = cards();
    assert!(folder.read("demo/report.html").contains("img_<wbr>source"));

    let said = folder
        .done("init demo/data/metadata.csv --target x0,y0,x1,y1,x2,y2,x3,y3 --out cards.toml");
    assert!(said.stdout.contains("label_is_dirty"), "{}", said.stdout);
    let toml = folder.read("cards.toml");
    assert!(
        toml.contains("table = \"demo/data/metadata.csv\"")
            && toml.contains("kind = \"keypoints\""),
        "{toml}"
    );

    let said = folder.done("check cards.toml");
    assert!(
        said.stderr.contains("60 rows and 60 images"),
        "{}",
        said.stderr
    );

    let said = folder.done(
        "train cards.toml --out runs/a --set train.epochs=1 --set train.size=48 --format json",
    );
    let scores: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(
        (scores[0]["metric"].as_str(), scores[0]["n"].as_u64()),
        (Some("mean_px"), Some(12)),
        "{scores}"
    );
    for file in [
        "config.toml",
        "log.jsonl",
        "metrics.json",
        "predictions.csv",
        "report.html",
    ] {
        assert!(folder.exists(&format!("runs/a/{file}")), "{file}");
    }

    let evaluated = folder.done("eval runs/a --format json");
    let again: serde_json::Value = serde_json::from_str(&evaluated.stdout).unwrap();
    assert_eq!(
        again[0]["value"], scores[0]["value"],
        "the same rows, the same model, the same score"
    );
    // All pictures are of one size: the guess is the mean place of each corner over the training rows.
    let guess = mean_distance_from_mean_corners(
        &folder.read("demo/data/metadata.csv"),
        &folder.read("runs/a/predictions.csv"),
    );
    for said in [&scores, &again] {
        let constant = said[0]["constant"].as_f64().unwrap();
        assert!(
            (constant - guess).abs() < 1e-4 * guess,
            "{constant} {guess}"
        );
    }

    folder.done("eval runs/a --tta 2");
    let said = folder.run("eval runs/a --tta 0");
    assert_eq!(said.code, 2, "{}", said.stderr);
    folder.done("predict runs/a demo/data/metadata.csv --out predictions.jsonl --tta 2");
    let predictions = folder.read("predictions.jsonl");
    assert_eq!(predictions.lines().count(), 60);
    let first: serde_json::Value =
        serde_json::from_str(predictions.lines().next().unwrap()).unwrap();
    assert!(first["x0"].is_number() && first["row"] == 1, "{first}");

    let said = folder.done("show runs/a --out page.html");
    assert!(
        said.stdout.contains("img_source = reddit"),
        "{}",
        said.stdout
    );
    assert!(folder.read("page.html").contains("data:image/"));
    folder.done("show cards.toml --rows 3 --set train.size=48");

    // The layers of the head are those that the configuration has, at the place that is said.
    let begun = folder.done("inspect cards.toml --set train.size=48 --match head");
    has(
        &begun.stderr,
        "in the trained run `head` is `head.read.places`",
    );
    let run = folder.done("inspect runs/a --match head.read.places");
    has(
        &run.stderr,
        "`head.read.places` is what `[[model.edit]]` calls `head`",
    );
    let paths = |said: &str, head: &str| -> Vec<String> {
        let paths = said
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        let below = paths.filter_map(|path| path.strip_prefix(head));
        below.map(String::from).collect()
    };
    let below = paths(&begun.stdout, "head");
    assert!(below.len() > 2, "{}", begun.stdout);
    assert_eq!(paths(&run.stdout, "head.read.places"), below);
    let backbone = folder.done("inspect cards.toml --match features");
    assert!(
        !backbone.stderr.contains("head.read.places"),
        "{}",
        backbone.stderr
    );
}

/// How far the corners of the rows that were predicted lie from the mean corners of the others, in pixels.
fn mean_distance_from_mean_corners(table: &str, predictions: &str) -> f64 {
    let column = |header: &str, name: &str| header.split(',').position(|cell| cell == name);
    let cells = |line: &str| line.split(',').map(String::from).collect::<Vec<_>>();
    let (header, rows) = table.split_once('\n').unwrap();
    let first = column(header, "x0").unwrap();
    let of_row = |line: &str| -> Vec<f64> {
        let numbers = cells(line).into_iter().skip(first).take(8);
        numbers.map(|cell| cell.parse().unwrap()).collect()
    };
    let corners: Vec<Vec<f64>> = rows.lines().map(of_row).collect();
    let (header, predicted) = predictions.split_once('\n').unwrap();
    let at = column(header, "row").unwrap();
    let predicted = predicted
        .lines()
        .map(|line| cells(line)[at].parse().unwrap());
    let valid: Vec<usize> = predicted.map(|row: usize| row - 1).collect();
    let train: Vec<usize> = (0..corners.len())
        .filter(|row| !valid.contains(row))
        .collect();
    let mean =
        |i: usize| train.iter().map(|&row| corners[row][i]).sum::<f64>() / train.len() as f64;
    let mean: Vec<f64> = (0..8).map(mean).collect();
    let distances = valid.iter().flat_map(|&row| {
        let (corner, mean) = (&corners[row], &mean);
        let from = move |i: usize| corner[i] - mean[i];
        (0..4).map(move |point| from(2 * point).hypot(from(2 * point + 1)))
    });
    let distances: Vec<f64> = distances.collect();
    distances.iter().sum::<f64>() / distances.len() as f64
}

#[test]
fn a_finished_demonstration_is_read_again_and_one_of_other_settings_refused() {
    let folder = cards();
    let before = folder.read("demo/both/metrics.json");
    cards_again(&folder);
    assert_eq!(folder.read("demo/both/metrics.json"), before);
    let said = folder.run("demo --rows 61 --side 48");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr
            .contains("holds a demonstration with other settings"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_demonstrations_data_can_be_had_alone() {
    let folder = Folder::new();
    let line = "demo --data-only --rows 60 --side 48";
    let said = folder.done(line);
    has(&said.stderr, "next: sidelight train");
    let entries = std::fs::read_dir(folder.path().join("demo")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["data", "demo.json"]);
    assert_eq!(folder.read("demo/data/metadata.csv").lines().count(), 61);
    let said = folder.done("check demo/data/sidelight.toml");
    has(&said.stderr, "no problems in 60 rows");
    let said = refused(&folder, &format!("{line} --set train.epochs=1"));
    has(&said, "cannot be used with");
}

fn cards_again(folder: &Folder) {
    folder.done("demo --rows 60 --side 48 --set train.epochs=1 --set train.size=48");
}

#[test]
fn new_rows_need_no_target_and_unseen_categories_and_gaps_are_said() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out a");
    folder.write(
        "new.csv",
        "file_name,beds,tree\n0.png,3,birch\n1.png,,oak\nnowhere.png,1,elm\n",
    );
    let said = folder.run("predict a new.csv --out new_prices.csv");
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(
        said.stderr.contains("warning: `tree` has 1 category"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("warning: `beds` is missing in 1 row"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr
            .contains("warning: 1 row of 3 without a prediction"),
        "{}",
        said.stderr
    );
    let table = folder.read("new_prices.csv");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "row,image,price,problem");
    assert_eq!(lines.len(), 4);
    assert!(lines[3].contains("nowhere.png,,"), "{table}");
}

#[test]
fn check_says_no_where_training_would_stop_and_lists_everything_at_once() {
    let folder = Folder::with_houses();
    let table = folder
        .read("houses.csv")
        .replace("4.png,128,4,", "4.png,128,lots,");
    folder.write("houses.csv", &table);
    std::fs::remove_file(folder.path().join("7.png")).unwrap();
    let said = folder.run("check houses.toml");
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(
        said.stdout.contains("`lots`") && said.stdout.contains("7.png"),
        "{}",
        said.stdout
    );
    let said = folder.run("check houses.toml --format json");
    assert_eq!(said.code, 1);
    let problems: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert!(
        problems
            .as_array()
            .unwrap()
            .iter()
            .filter(|problem| problem["severity"] == "error")
            .count()
            >= 2,
        "{problems}"
    );
}

#[test]
fn an_exported_model_says_what_it_takes_and_gives() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out a");
    let line = "export a --onnx model.onnx --safetensors weights.safetensors --format json";
    let said = folder.done(line);
    let ports: Vec<serde_json::Value> = serde_json::from_str(&said.stdout).unwrap();
    let ports: Vec<String> = ports
        .iter()
        .map(|port| format!("{} {} {}", port["name"], port["type"], port["shape"]).replace('"', ""))
        .collect();
    assert_eq!(
        ports,
        [
            "image uint8 [n, height, width, 3]",
            "beds float64 [n]",
            "tree string [n]",
            "values float64 [n, 1]"
        ]
    );
    assert!(said.stderr.contains("opset 17"), "{}", said.stderr);
    // Field 1 of the message, the version of the format: 8.
    assert_eq!(folder.read_bytes("model.onnx")[..2], [8, 8]);
    let weights = folder
        .done("inspect weights.safetensors --match head")
        .stdout;
    assert!(weights.contains("head.deep.0.weight"), "{weights}");

    let sized = folder
        .done("export a --onnx model.onnx --image sized")
        .stdout;
    assert!(sized.contains("[n, 32, 32, 3]"), "{sized}");
    let said = folder.run("export a");
    assert!(
        said.code == 2 && said.stderr.contains("--onnx"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_folder_with_a_run_is_not_trained_over_unless_told() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out a");
    let said = folder.run("train houses.toml --out a");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr
            .starts_with("error: a already holds a finished run\n\nhint: "),
        "{}",
        said.stderr
    );
    folder.done("train houses.toml --out a --overwrite");
}

#[test]
fn killed_and_resumed_a_run_ends_with_the_same_weights() {
    let folder = Folder::with_houses();
    let line = "train houses.toml --set train.epochs=30 --set train.checkpoint_steps=1 --quiet";
    folder.done(&format!("{line} --out whole"));

    folder.killed(&format!("{line} --out killed"), "killed");

    let said = folder.run("eval killed");
    assert!(
        said.code == 2 && said.stderr.contains("is not finished"),
        "{}",
        said.stderr
    );
    folder.done(&format!("{line} --out killed --resume"));
    assert_eq!(
        folder.read_bytes("killed/model/weights.safetensors"),
        folder.read_bytes("whole/model/weights.safetensors")
    );
    assert_eq!(
        folder.read("killed/predictions.csv"),
        folder.read("whole/predictions.csv")
    );
}

#[test]
fn threads_do_not_change_the_result() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out one --threads 1");
    folder.done("train houses.toml --out three --threads 3");
    assert_eq!(
        folder.read_bytes("one/model/weights.safetensors"),
        folder.read_bytes("three/model/weights.safetensors")
    );
}

#[cfg(unix)]
#[test]
fn asked_to_stop_it_saves_says_how_to_go_on_and_goes_on() {
    let folder = Folder::with_houses();
    let line = "train houses.toml --out a --set train.epochs=2000";
    let process = folder
        .command(line)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !folder.exists("a/log.jsonl") || !folder.read("a/log.jsonl").contains("epoch") {
        assert!(start.elapsed() < Duration::from_secs(120), "no epoch");
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = std::process::Command::new("kill")
        .args(["-INT", &process.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("error: stopped; a checkpoint is saved in a\n\nhint: continue with `sidelight train houses.toml --out a --resume`"), "{said}");
    assert!(folder.exists("a/checkpoint"));
}

#[test]
fn a_comparison_says_the_answer_goes_on_and_can_be_shared() {
    let folder = Folder::with_houses();
    let line = "compare houses.toml --folds 3 --quick --arms metadata,vote,both";
    let said = folder.done(&format!("{line} --out a"));
    let (table, verdict) = said.stdout.split_once("\n\n").unwrap();
    let arms: Vec<&str> = table
        .lines()
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(
        arms,
        ["arm", "image", "metadata", "vote", "stacked", "chance"]
    );
    // Of what, of which level: the header says it; the verdict is data as well.
    for word in ["vs image", "95 % low", "95 % high"] {
        assert!(table.lines().next().unwrap().contains(word), "{table}");
    }
    assert!(
        verdict.contains("metadata") && verdict.lines().count() == 1,
        "{verdict}"
    );
    assert!(
        said.stderr.contains("report: a/report.html"),
        "{}",
        said.stderr
    );
    has(
        &said.stderr,
        "`small_cnn` is not pretrained (`model.weights = \"none\"`)",
    );
    assert!(
        said.stderr.contains("warning: only 24 independent units"),
        "{}",
        said.stderr
    );
    let full = folder.done(&format!("{} --out full", line.replace("--quick ", "")));
    assert!(!full.stderr.contains("not pretrained"), "{}", full.stderr);
    let again = folder.done(&format!("{line} --out a --format csv"));
    assert!(
        again.stderr.contains("9 are done already; 0 to run"),
        "{}",
        again.stderr
    );
    assert!(
        again
            .stdout
            .starts_with("arm,mae,sd,n,difference,low,high,p\nimage,"),
        "{}",
        again.stdout
    );

    // Programs read the table alone, and still are told the verdict.
    let quiet = folder.done(&format!("{line} --out a --format csv --quiet"));
    assert_eq!(quiet.stdout, again.stdout);
    assert!(quiet.stderr.contains(verdict), "{}", quiet.stderr);
    let quiet = folder.done(&format!("{line} --out a --quiet"));
    assert!(quiet.stdout.ends_with(verdict), "{}", quiet.stdout);

    let first = folder.done(&format!("{line} --out b --jobs 1/2"));
    assert!(
        first
            .stderr
            .contains("this share is done; 5 of all 9 trainings are in b"),
        "{}",
        first.stderr
    );
    folder.done(&format!("{line} --out b --jobs 2/2"));
    folder.done(&format!("{line} --out b --merge"));
    assert_eq!(folder.read("b/compare.json"), folder.read("a/compare.json"));

    let said = folder.run("compare houses.toml --folds 4 --quick --out a");
    assert_eq!(said.code, 2);
    assert!(
        said.stderr
            .contains("was made with different settings or rows\n\nhint: "),
        "{}",
        said.stderr
    );
}

#[test]
fn the_images_of_another_table_are_scored_where_they_are_said_to_be() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out a");
    let here = folder.done("eval a houses.csv --format json").stdout;
    folder.write("test/houses.csv", &folder.read("houses.csv"));
    for row in 0..24 {
        let bytes = folder.read_bytes(&format!("{row}.png"));
        folder.write_bytes(&format!("test/photos/{row}.png"), &bytes);
    }
    let there = folder.done("eval a test/houses.csv --image photos/{file_name} --format json");
    assert_eq!(there.stdout, here);
    let said = refused(&folder, "eval a test/houses.csv --image a,b");
    has(&said, "--image names 2 columns");
    let said = refused(&folder, "eval a --image photos/{file_name}");
    has(&said, "<TABLE>");
}
