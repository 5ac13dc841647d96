//! A configuration that names no metadata: its columns are inferred once, and are there in all that follows.

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::serve::client::{Server, row};

const BARE: &str =
    "[data]\ntable = \"houses.csv\"\n[target]\nkind = \"value\"\ncolumn = \"price\"\n";

/// Trains `a` from a configuration of table and target alone. What was said of it.
fn trained(folder: &Folder) -> String {
    folder.write("bare.toml", BARE);
    let quick = "--set train.epochs=1 --set train.size=32 --set train.batch=8";
    folder
        .done(&format!("train bare.toml --out a {quick}"))
        .stderr
}

/// The value that a run predicted of its first validation row, and that row's place in the table.
fn first_validation_row(folder: &Folder) -> (usize, f64) {
    let table = folder.read("a/predictions.csv");
    let mut lines = table
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let cells = lines.next().unwrap();
    let cell = |name: &str| cells[header.iter().position(|column| *column == name).unwrap()];
    (cell("row").parse().unwrap(), cell("price").parse().unwrap())
}

/// Scores, predicts, serves and exports `a`, which must agree. `metadata` is that of a table row, from 1; `columns` are
/// the inputs of the exported model beside the image.
fn used_in_all_that_follows(folder: &Folder, metadata: impl Fn(usize) -> Value, columns: &[&str]) {
    let scores: Value = serde_json::from_str(&folder.read("a/metrics.json")).unwrap();
    for line in ["eval a --format json", "eval a houses.csv --format json"] {
        let found: Value = serde_json::from_str(&folder.done(line).stdout).unwrap();
        assert_eq!(found[0]["metric"], "mae");
        if !line.contains("csv") {
            assert_eq!(found[0]["value"], scores["metrics"]["mae"], "{scores}");
        }
    }

    let (number, value) = first_validation_row(folder);
    let said = folder.done("predict a houses.csv --out predictions.jsonl");
    assert!(!said.stderr.contains("warning"), "{}", said.stderr);
    let predictions = folder.read("predictions.jsonl");
    assert_eq!(predictions.lines().count(), 24);
    let predicted: Value =
        serde_json::from_str(predictions.lines().nth(number - 1).unwrap()).unwrap();
    assert_eq!(predicted["price"].as_f64(), Some(value));

    let server = Server::start(folder, "a");
    let image = folder.read_bytes(&format!("{}.png", number - 1));
    let answer = server.post("/v1/predict", &row(&image, &metadata(number)));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.json()["prediction"]["values"]["price"].as_f64(),
        Some(value)
    );
    let schema = server.get("/v1/schema").json();
    for column in columns {
        assert!(
            schema.to_string().contains(&format!("\"{column}\"")),
            "{schema}"
        );
    }

    let said = folder.done("export a --onnx model.onnx --format json");
    let ports: Vec<Value> = serde_json::from_str(&said.stdout).unwrap();
    let names: Vec<&str> = ports
        .iter()
        .map(|port| port["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, [&["image"], columns, &["values"]].concat());
}

#[test]
fn metadata_that_nobody_named_is_used_in_all_that_follows() {
    let folder = Folder::with_houses();
    // A column called `tree` would be taken for what the image is of.
    let table = folder.read("houses.csv").replace("beds,tree", "beds,side");
    folder.write("houses.csv", &table);
    let said = trained(&folder);
    let inferred = "metadata, inferred: continuous: beds; categorical: side";
    assert!(said.contains(inferred), "{said}");
    let config = folder.read("a/config.toml");
    assert!(
        config.contains("[metadata.beds]") && config.contains("[metadata.side]"),
        "{config}"
    );
    let metadata = |number: usize| {
        let row = number - 1;
        let side = ["oak", "elm"][row % 2];
        json!({"beds": row % 5, "side": side})
    };
    used_in_all_that_follows(&folder, metadata, &["beds", "side"]);
    // What is said once is said in the words of the configuration from then on.
    folder.done("show a");
    folder.done("explain a houses.csv --out explained.html");
}

#[test]
fn a_table_without_metadata_trains_the_image_alone_and_says_so() {
    let folder = Folder::with_houses();
    let rows: String = (0..24)
        .map(|row| format!("{row}.png,{}\n", 100 + 7 * row))
        .collect();
    folder.write("houses.csv", &format!("file_name,price\n{rows}"));
    let said = trained(&folder);
    let alone =
        "no column can serve as metadata: the image alone is read (`model.arm = \"image\"`)";
    assert!(said.contains(alone), "{said}");
    assert!(folder.read("a/config.toml").contains("arm = \"image\""));
    used_in_all_that_follows(&folder, |_| json!({}), &[]);
    let said = folder.run("check bare.toml");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    assert!(said.stderr.contains(alone), "{}", said.stderr);
    // There is nothing to compare the image with.
    let said = folder.run("compare bare.toml --quick --out b");
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("metadata"), "{}", said.stderr);
}
