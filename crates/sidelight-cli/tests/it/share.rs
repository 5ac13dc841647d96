//! A run for others: the folder for the hub, and what `train.log` asks for.

use crate::folder::{Folder, has, refused};

/// A trained run in `a`.
fn trained() -> Folder {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out a");
    folder
}

fn names(folder: &Folder, dir: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path().join(dir)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const FILES: [&str; 6] = [
    ".gitattributes",
    "README.md",
    "config.json",
    "config.toml",
    "model.json",
    "model.safetensors",
];

#[test]
fn a_folder_for_the_hub_predicts_to_the_byte_what_its_run_predicts() {
    let folder = trained();
    let said = folder.done("export a --hub shared");
    has(&said.stderr, "read shared/README.md before you publish it");
    has(&said.stderr, "warning: the licence is unknown");
    assert_eq!(names(&folder, "shared"), FILES);
    folder.done("predict a houses.csv --out of-run.csv");
    folder.done("predict shared houses.csv --out of-folder.csv");
    assert_eq!(folder.read("of-run.csv"), folder.read("of-folder.csv"));
    // Whatever else takes a model takes it.
    has(&folder.done("inspect shared").stdout, "head");
    folder.done("export shared --safetensors weights.safetensors");
    has(
        &refused(&folder, "export shared --hub again"),
        "is not a run: it has no `",
    );
    let own = folder.path().to_str().unwrap();
    for name in FILES {
        let bytes = folder.read_bytes(&format!("shared/{name}"));
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(own), "{name} names {own}");
    }
    // Beside its table it trains the same again.
    std::fs::copy(
        folder.path().join("houses.csv"),
        folder.path().join("shared/houses.csv"),
    )
    .unwrap();
    for row in 0..24 {
        let from = folder.path().join(format!("{row}.png"));
        std::fs::copy(from, folder.path().join(format!("shared/{row}.png"))).unwrap();
    }
    folder.done("train shared/config.toml --out again");
    assert_eq!(
        folder.read_bytes("again/model/weights.safetensors"),
        folder.read_bytes("a/model/weights.safetensors")
    );
}

#[test]
fn only_files_of_an_earlier_export_are_replaced() {
    let folder = trained();
    folder.done("export a --hub shared");
    folder.write("shared/.git/HEAD", "ref");
    folder.write("shared/.gitattributes", "mine");
    folder.write("shared/notes.txt", "years of work");
    let said = refused(&folder, "export a --hub shared");
    has(&said, "error: shared is not empty");
    has(&said, "--overwrite");
    let said = folder.done("export a --hub shared --overwrite --licence mit");
    has(&said.stderr, "has no line for `*.safetensors`");
    has(&folder.read("shared/README.md"), "\nlicense: mit\n");
    assert_eq!(folder.read("shared/.gitattributes"), "mine");
    assert_eq!(folder.read("shared/notes.txt"), "years of work");
    assert!(folder.exists("shared/.git/HEAD"));
    for (mine, text) in [
        ("README.md", "# My thesis"),
        ("config.json", "{}"),
        ("model.safetensors", ""),
    ] {
        let dir = format!("of-{mine}");
        folder.write(&format!("{dir}/{mine}"), text);
        let said = refused(&folder, &format!("export a --hub {dir} --overwrite"));
        has(&said, "not known to be written by an export");
        assert_eq!(names(&folder, &dir), [mine]);
        assert_eq!(folder.read(&format!("{dir}/{mine}")), text);
    }
    has(
        &refused(&folder, "export a --hub other --licence Apache/2"),
        "apache-2.0",
    );
    has(&refused(&folder, "export a --overwrite --onnx x"), "--hub");
}

#[test]
fn a_comparison_of_the_same_target_is_told_and_no_other() {
    let folder = trained();
    folder.done("compare houses.toml --out answer --quick --folds 3");
    folder.done("export a --hub shared --comparison answer");
    let card = folder.read("shared/README.md");
    has(&card, "Decided by `huber`");
    has(&card, "95 % interval");
    assert!(!card.contains("Not tested"), "{card}");
    let answer = folder.read("answer/compare.json");
    let verdict: serde_json::Value = serde_json::from_str(&answer).unwrap();
    has(&card, verdict["verdict"]["code"].as_str().unwrap());
    let n_doubts = verdict["verdict"]["doubts"].as_array().unwrap().len();
    assert!(n_doubts > 0, "24 rows leave doubts");
    let listed = card.split("## Results").next().unwrap();
    assert_eq!(listed.matches("\n- ").count() - tags(&card), n_doubts);

    folder.write(
        "other/compare.json",
        &answer.replace("\"huber\"", "\"log_loss\""),
    );
    let said = refused(&folder, "export a --hub b --comparison other");
    has(&said, "decided by `log_loss`");
    folder.write("other/compare.json", "{\"schema\": 1}");
    has(
        &refused(&folder, "export a --hub b --comparison other"),
        "not a valid result of a comparison",
    );
    has(
        &refused(&folder, "export a --hub b --comparison a"),
        "a has no `compare.json`",
    );
    assert!(
        !folder.exists("b"),
        "nothing is written before all is known"
    );
}

/// Lines of lists in the head of a card.
fn tags(card: &str) -> usize {
    let head = card.split("\n---\n").next().unwrap();
    head.matches("\n- ").count()
}

#[test]
fn names_that_look_like_markup_are_shown_in_a_card_as_they_are() {
    let folder = Folder::with_houses();
    let table = folder.read("houses.csv");
    let table = table.replace("oak", "<b>|oak").replace("beds", "b_e<ds");
    folder.write("houses.csv", &table);
    let config = folder.read("houses.toml");
    folder.write("houses.toml", &config.replace("beds", "\"b_e<ds\""));
    folder.done("train houses.toml --out a");
    folder.done("export a --hub shared");
    let card = folder.read("shared/README.md");
    has(&card, "| `b_e<ds` | number |");
    has(&card, "&lt;b\\>\\|oak");
}

#[test]
fn what_trackers_read_is_written_where_it_is_asked_for_and_nowhere_else() {
    let folder = trained();
    folder.done("train houses.toml --out b --set train.log=tensorboard --set train.epochs=2");
    assert_eq!(names(&folder, "b/tensorboard").len(), 1);
    assert!(!folder.exists("b/mlruns") && !folder.exists("a/tensorboard"));
    // A finished run is the one that was asked for, wherever its steps were written.
    folder.done("train houses.toml --out b --resume --set train.epochs=2");
    // It goes with its run, and what a person put there does not.
    folder.write("b/tensorboard/notes.txt", "years of work");
    let line = "train houses.toml --out b --overwrite";
    has(&refused(&folder, line), "notes.txt");
    std::fs::remove_file(folder.path().join("b/tensorboard/notes.txt")).unwrap();
    folder.done(line);
    assert!(!folder.exists("b/tensorboard"));
    assert_eq!(
        folder.read("a/predictions.csv"),
        folder.read("b/predictions.csv")
    );
    let said = refused(&folder, "train houses.toml --out c --set train.log=wandb");
    has(&said, "`tensorboard` or `mlflow`");
    let twice = "--set train.log=[\"mlflow\",\"mlflow\"]";
    has(
        &refused(&folder, &format!("train houses.toml --out c {twice}")),
        "each once",
    );
}

#[test]
fn killed_and_resumed_a_run_tells_mlflow_every_step_once() {
    let folder = Folder::with_houses();
    let line = "train houses.toml --set train.epochs=30 --set train.checkpoint_steps=1 \
                --set train.log=mlflow --quiet --out a";
    folder.killed(line, "a");
    folder.done(&format!("{line} --resume"));
    let runs = names(&folder, "a/mlruns/1");
    let runs: Vec<&String> = runs.iter().filter(|name| *name != "meta.yaml").collect();
    let [run] = runs[..] else {
        panic!("one run, not {runs:?}")
    };
    let steps = |metric: &str| -> Vec<usize> {
        let text = folder.read(&format!("a/mlruns/1/{run}/metrics/{metric}"));
        let step = |line: &str| line.rsplit(' ').next().unwrap().parse().unwrap();
        text.lines().map(step).collect()
    };
    let all = steps("train/loss");
    assert_eq!(all, (1..=all.len()).collect::<Vec<_>>());
    let log = folder.read("a/log.jsonl");
    assert_eq!(all.len(), log.matches("\"event\":\"step\"").count());
    assert_eq!(
        steps("epoch").len(),
        log.matches("\"event\":\"epoch\"").count()
    );
}
