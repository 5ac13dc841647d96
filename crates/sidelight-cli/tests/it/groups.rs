//! Several photographs of one thing, each a row: predicted and scored together (`--by`).

use std::collections::BTreeMap;

use crate::folder::{Folder, has, png, refused};

const TREES: &str = r#"data.table = "trees.csv"
data.group = "plant"
target = { kind = "class", column = "species" }
metadata.height = "continuous"
train = { epochs = 1, size = 32, batch = 4, freeze = true }
"#;

/// Sixty photographs of twenty trees, those of a tree apart; its species and its age are its own.
fn trees() -> Folder {
    let folder = Folder::new();
    let mut csv = String::from("file_name,species,age,height,plant\n");
    for row in 0..60 {
        let plant = row * 7 % 20;
        let species = ["oak", "elm"][plant % 2];
        csv += &format!(
            "{row}.png,{species},{},{}.5,P{plant}\n",
            10 + plant,
            row % 11
        );
        folder.write_bytes(&format!("{row}.png"), &png(row));
    }
    folder.write("trees.csv", &csv);
    folder.write("trees.toml", TREES);
    let ages = TREES.replace(
        r#"target = { kind = "class", column = "species" }"#,
        r#"target = { kind = "regression", column = "age", scale = "log" }"#,
    );
    folder.write("ages.toml", &ages);
    folder
}

/// The cells of a CSV that the program wrote, by the names of their columns.
fn cells(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        let cells = line.split(',').map(str::to_owned);
        header
            .iter()
            .map(|name| (*name).to_owned())
            .zip(cells)
            .collect()
    };
    lines.map(row).collect()
}

fn number(row: &BTreeMap<String, String>, name: &str) -> f64 {
    row[name]
        .parse()
        .unwrap_or_else(|_| panic!("{name} of {row:?}"))
}

/// The mean of a column over the rows of a plant.
fn mean(rows: &[BTreeMap<String, String>], plant: &str, column: &str) -> f64 {
    let own = rows.iter().filter(|row| row["plant"] == plant);
    let values: Vec<f64> = own.map(|row| number(row, column)).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn a_plant_is_predicted_by_the_mean_of_its_photographs() {
    let folder = trees();
    for (config, run, columns) in [
        ("trees.toml", "a", ["p(elm)", "p(oak)"].as_slice()),
        ("ages.toml", "b", ["age"].as_slice()),
    ] {
        folder.done(&format!("train {config} --out {run} --quiet"));
        folder.done(&format!(
            "predict {run} trees.csv --out rows.csv --keep plant --quiet"
        ));
        let said = folder.done(&format!(
            "predict {run} trees.csv --out plants.csv --by plant"
        ));
        has(
            &said.stderr,
            "60 rows predicted, 20 groups by `plant`: plants.csv",
        );
        let rows = cells(&folder.read("rows.csv"));
        let plants = cells(&folder.read("plants.csv"));
        // In the order of their first photographs.
        let names: Vec<String> = (0..20).map(|row| format!("P{}", row * 7 % 20)).collect();
        let found: Vec<&String> = plants.iter().map(|plant| &plant["plant"]).collect();
        assert_eq!(found, names.iter().collect::<Vec<_>>());
        for plant in &plants {
            assert_eq!((&*plant["rows"], &*plant["predicted"]), ("3", "3"));
            for column in columns {
                let (found, expected) =
                    (number(plant, column), mean(&rows, &plant["plant"], column));
                let off = (found - expected).abs();
                assert!(
                    off <= 1e-6 * expected,
                    "{column}: {found} is not {expected}"
                );
            }
            if run == "a" {
                let best = match number(plant, "p(elm)") >= number(plant, "p(oak)") {
                    true => "elm",
                    false => "oak",
                };
                assert_eq!(plant["prediction"], best);
            }
        }
    }
    assert!(!folder.exists("plants.csv.parts"));
    // Every format says the same.
    folder.done("predict a trees.csv --out plants.jsonl --by plant --quiet");
    folder.done("predict a trees.csv --out plants.parquet --by plant --quiet");
    folder.done("predict a trees.csv --out again.csv --by plant --quiet");
    let csv = cells(&folder.read("again.csv"));
    let lines = folder.read("plants.jsonl");
    assert_eq!(lines.lines().count(), 20);
    for (line, plant) in lines.lines().zip(&csv) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["plant"], *plant["plant"]);
        assert_eq!(line["rows"], 3);
        assert_eq!(line["p(elm)"].as_f64(), Some(number(plant, "p(elm)")));
    }
    let parquet = sidelight::table::Table::read(&folder.path().join("plants.parquet")).unwrap();
    assert_eq!(parquet.n_rows, 20);
    assert_eq!(
        parquet.column("plant").unwrap().cell(1).to_text().unwrap(),
        "P7"
    );
}

#[test]
fn rows_without_a_prediction_or_a_group_are_counted_as_what_they_are() {
    let folder = trees();
    folder.done("train trees.toml --out a --quiet");
    let text = "file_name,height,plant\n0.png,1,A\nnowhere.png,1,A\n2.png,1,\nnowhere.png,1,B\n4.png,1, A \n5.png,1,NA\n";
    folder.write("new.csv", text);
    let said = folder.run("predict a new.csv --out plants.csv --by plant");
    assert_eq!(said.code, 1, "{}", said.stderr);
    let plants = cells(&folder.read("plants.csv"));
    let counts: Vec<[&str; 3]> = plants
        .iter()
        .map(|plant| [&*plant["plant"], &*plant["rows"], &*plant["predicted"]])
        .collect();
    // A row without a group is one of its own.
    let expected = [
        ["A", "3", "2"],
        ["", "1", "1"],
        ["B", "1", "0"],
        ["", "1", "1"],
    ];
    assert_eq!(counts, expected);
    assert_eq!(plants[2]["prediction"], "");
    has(&folder.read("plants.bad.csv"), "nowhere.png");
}

#[test]
fn a_job_of_groups_goes_on_after_a_kill_as_any_other() {
    let folder = trees();
    folder.done("train trees.toml --out a --quiet");
    folder.done("predict a trees.csv --out whole.csv --by plant --quiet");
    // What a kill leaves: some parts, and no file.
    folder.done("predict a trees.csv --out out.csv --by plant --part-rows 8 --shard 1/3 --quiet");
    assert!(!folder.exists("out.csv") && folder.exists("out.csv.parts/00000.csv"));
    let other = "predict a trees.csv --out out.csv --part-rows 8";
    has(&refused(&folder, other), "for means of groups");
    let said = folder.done("predict a trees.csv --out out.csv --by plant --part-rows 8");
    has(&said.stderr, "3 of 8 parts done already");
    assert_eq!(folder.read("out.csv"), folder.read("whole.csv"));
    assert!(!folder.exists("out.csv.parts"));
}

#[test]
fn what_has_no_mean_is_refused() {
    let folder = trees();
    folder.done("train trees.toml --out a --quiet");
    has(
        &refused(&folder, "predict a trees.csv --out b.csv --by plnt"),
        "did you mean `plant`?",
    );
    for more in ["--coverage 0.9", "--keep height"] {
        let line = format!("predict a trees.csv --out b.csv --by plant {more}");
        has(&refused(&folder, &line), "cannot be used with");
    }
    let rows: String = (0..60)
        .map(|row| format!("{row}.png,{},{}.5,P{}\n", row % 8, row % 7, row % 20))
        .collect();
    folder.write("points.csv", &format!("file_name,x,y,plant\n{rows}"));
    let points = TREES
        .replace("trees.csv", "points.csv")
        .replace(
            r#"{ kind = "class", column = "species" }"#,
            r#"{ kind = "keypoints", columns = ["x", "y"] }"#,
        )
        .replace("metadata.height = \"continuous\"\n", "");
    folder.write("points.toml", &points);
    folder.done("train points.toml --out points --set model.arm=image --quiet");
    let line = "predict points points.csv --out b.csv --by plant";
    has(
        &refused(&folder, line),
        "`by`: expected a class, labels or numbers: points are places in one image, and those in several have no mean, found `keypoints`",
    );
    assert!(!folder.exists("b.csv.parts"));
    has(
        &refused(&folder, "eval points points.csv --by plant"),
        "points are places in one image",
    );
}

#[test]
fn groups_are_scored_beside_their_rows() {
    let folder = trees();
    let said = folder.done("train trees.toml --out a");
    has(
        &said.stderr,
        " groups by `plant`, the mean of their rows: accuracy ",
    );
    let metrics: serde_json::Value = serde_json::from_str(&folder.read("a/metrics.json")).unwrap();
    let by_group = &metrics["by_group"];
    assert_eq!(by_group["column"], "plant");
    assert_eq!(
        by_group["n"].as_u64().unwrap() * 3,
        metrics["rows"]["valid"].as_u64().unwrap()
    );
    has(&folder.read("a/report.html"), "by `plant`");

    folder.done("predict a trees.csv --out plants.csv --by plant --quiet");
    let said = folder.done("eval a trees.csv --by plant --format csv");
    let value = |of: &str, metric: &str, column: &str| {
        let rows = cells(&said.stdout);
        let row = rows
            .iter()
            .find(|row| row["of"] == of && row["metric"] == metric);
        number(row.unwrap_or_else(|| panic!("{}", said.stdout)), column)
    };
    assert_eq!(
        (
            value("all", "accuracy", "n"),
            value("by plant", "accuracy", "n")
        ),
        (60.0, 20.0)
    );
    // The plants' own species, from the table of predictions.
    let plants = cells(&folder.read("plants.csv"));
    let species = |plant: &BTreeMap<String, String>| {
        let number: usize = plant["plant"][1..].parse().unwrap();
        ["oak", "elm"][number % 2]
    };
    let right = plants
        .iter()
        .filter(|plant| plant["prediction"] == species(plant));
    let accuracy = right.count() as f64 / 20.0;
    assert!((value("by plant", "accuracy", "value") - accuracy).abs() < 1e-9);
    let losses = plants.iter().map(|plant| {
        let p = number(plant, &format!("p({})", species(plant)));
        -p.ln()
    });
    let log_loss = losses.sum::<f64>() / 20.0;
    let found = value("by plant", "log_loss", "value");
    assert!(
        (found - log_loss).abs() < 1e-3 * log_loss,
        "{found} is not {log_loss}"
    );
    has(
        &said.stderr,
        "over 60 rows with a known target, 20 groups by `plant`",
    );
    // Its own validation rows, too.
    has(&folder.done("eval a --by plant").stdout, "by plant");
    // Two photographs of one plant that say different things of it.
    let text = folder
        .read("trees.csv")
        .replacen("20.png,oak", "20.png,elm", 1);
    assert_ne!(text, folder.read("trees.csv"));
    folder.write("torn.csv", &text);
    has(
        &refused(&folder, "eval a torn.csv --by plant"),
        "`by`: expected a column whose groups have one target each, found `rows 1 and 21 of torn.csv, which have one plant and different targets`",
    );
    folder.done("eval a torn.csv");
}

#[test]
fn a_comparison_tells_the_groups_as_well() {
    let folder = trees();
    folder.done("compare trees.toml --out b --folds 3 --arms metadata,both --quiet");
    let answer: serde_json::Value = serde_json::from_str(&folder.read("b/compare.json")).unwrap();
    for arm in answer["arms"].as_array().unwrap() {
        assert!(arm["by_unit"].is_number(), "{arm}");
    }
    has(&folder.read("b/report.html"), "by group");
    // A row each: there is nothing to tell.
    let alone = folder
        .read("trees.toml")
        .replace("data.group = \"plant\"\n", "");
    folder.write("alone.toml", &alone);
    folder.done("compare alone.toml --out c --folds 3 --arms metadata,both --quiet");
    assert!(!folder.read("c/compare.json").contains("by_unit"));
}
