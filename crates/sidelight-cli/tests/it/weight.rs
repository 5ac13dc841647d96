//! Rows that count more or less than others (`data.weight`), from the table to the verdict.

use crate::folder::{Folder, has, png, refused};

/// Thirty trees of two species, and how much each row counts.
fn trees(weight: impl Fn(usize) -> String) -> Folder {
    let folder = Folder::new();
    let mut csv = String::from("file_name,species,height,w\n");
    for row in 0..30 {
        let species = ["oak", "elm"][row % 2];
        csv += &format!(
            "{row}.png,{species},{}.5,{}\n",
            3 + row * 7 % 11,
            weight(row)
        );
        folder.write_bytes(&format!("{row}.png"), &png(row));
    }
    folder.write("trees.csv", &csv);
    folder.write("trees.toml", TREES);
    folder
}

const TREES: &str = r#"data.table = "trees.csv"
data.weight = "w"
target = { kind = "class", column = "species" }
metadata.height = "continuous"
train = { epochs = 1, size = 32, freeze = true }
"#;

#[test]
fn a_cell_that_is_no_weight_is_refused_with_its_place() {
    let cell = |text: &str| trees(|row| if row == 7 { text.into() } else { "2".into() });
    insta::assert_snapshot!(refused(&cell(""), "train trees.toml --out a"), @r#"
    error: trees.csv, row 8 (line 9), column `w`: expected the weight of its row: a number, 0 or more, found ``

    hint: write how much its row counts (0: not at all), or leave the row out of the table; without `data.weight` all rows count the same; `sidelight check` lists all such cells
    "#);
    insta::assert_snapshot!(refused(&cell("-1"), "train trees.toml --out a"), @r#"
    error: trees.csv, row 8 (line 9), column `w`: expected the weight of its row: a number, 0 or more, found `-1`

    hint: write how much its row counts (0: not at all), or leave the row out of the table; without `data.weight` all rows count the same; `sidelight check` lists all such cells
    "#);
    insta::assert_snapshot!(refused(&cell("heavy"), "compare trees.toml --out a"), @r#"
    error: trees.csv, row 8 (line 9), column `w`: expected the weight of its row: a number, 0 or more, found `heavy`

    hint: write how much its row counts (0: not at all), or leave the row out of the table; without `data.weight` all rows count the same; `sidelight check` lists all such cells
    "#);
    has(&refused(&cell("NA"), "train trees.toml --out a"), "`NA`");
    has(&refused(&cell("inf"), "train trees.toml --out a"), "`inf`");
    has(
        &refused(&cell("\"1,5\""), "train trees.toml --out a"),
        "`data.decimal = \",\"` reads it as 1.5",
    );
    let said = cell("-1").run("check trees.toml");
    assert_eq!(said.code, 1);
    has(
        &said.stdout,
        "column `w`: 1 cell is not the weight of its row: a number, 0 or more: `-1` in trees.csv, row 8",
    );
    // A row without a target is left out, whatever it weighs.
    let folder = cell("");
    let text = folder.read("trees.csv").replace("7.png,elm", "7.png,");
    folder.write("trees.csv", &text);
    folder.done("train trees.toml --out a");
}

#[test]
fn weights_that_are_0_throughout_and_columns_that_are_something_else_are_refused() {
    let none = trees(|_| "0".into());
    has(
        &refused(&none, "train trees.toml --out a"),
        "`data.weight`: expected a column that is above 0 in some of the rows, found `w, which is 0 in all 30 of them`",
    );
    has(
        &none.run("check trees.toml").stdout,
        "`data.weight`: expected a column that is above 0 in some of the rows",
    );
    let folder = trees(|row| (row % 3).to_string());
    for (set, found) in [
        (
            "species",
            "`data.weight`: expected a column that is not the target",
        ),
        (
            "height",
            "`metadata.height`: expected a column that is not `data.weight`",
        ),
        (
            "file_name",
            "`data.weight`: expected a column of its own, not that of `data.image`",
        ),
        ("wt", "no column `wt` in trees.csv"),
    ] {
        let line = format!("train trees.toml --out a --set data.weight={set}");
        has(&refused(&folder, &line), found);
    }
    let line = "train trees.toml --out a --set data.group=w";
    has(
        &refused(&folder, line),
        "`data.weight`: expected a column of its own, not that of `data.group`",
    );
}

#[test]
fn init_leaves_the_column_out_of_the_metadata_only_where_it_is_told() {
    let folder = trees(|row| format!("{}.5", row % 9));
    let text = folder.read("trees.csv").replace(",w\n", ",sample_weight\n");
    folder.write("trees.csv", &text);
    let said = folder.done("init trees.csv --target species --out a.toml");
    has(
        &said.stdout,
        "if it says how much its row counts, set it as `data.weight` (--weight)",
    );
    has(&folder.read("a.toml"), "\nsample_weight = \"continuous\"");
    folder.done("init trees.csv --target species --weight sample_weight --out b.toml");
    let toml = folder.read("b.toml");
    has(&toml, "\nweight = \"sample_weight\"  # ");
    assert!(!toml.contains("\nsample_weight = "), "{toml}");
    folder.done("check b.toml");
}

#[test]
fn equal_weights_change_no_byte_and_others_change_scores_and_verdict() {
    let equal = trees(|_| "0.3".into());
    let uneven = trees(|row| (row % 3).to_string());
    let quick = "--set train.batch=8 --quiet";
    for folder in [&equal, &uneven] {
        folder.done(&format!("train trees.toml --out a {quick}"));
        folder.done(&format!(
            "compare trees.toml --out b --folds 3 --arms metadata,trees,both {quick}"
        ));
    }
    // Without the column's name all rows count the same.
    let text = equal
        .read("trees.toml")
        .replace("data.weight = \"w\"\n", "");
    equal.write("plain.toml", &text);
    equal.done(&format!("train plain.toml --out plain {quick}"));
    let line = format!("compare plain.toml --out c --folds 3 --arms metadata,trees,both {quick}");
    equal.done(&line);
    for file in ["predictions.csv", "model/weights.safetensors"] {
        let [with, without] = ["a", "plain"].map(|run| equal.read_bytes(&format!("{run}/{file}")));
        assert!(with == without, "{file} differs");
        let others = uneven.read_bytes(&format!("a/{file}"));
        assert!(others != without, "{file} is the same");
    }
    let scores = |folder: &Folder, run: &str| -> serde_json::Value {
        let text = folder.read(&format!("{run}/metrics.json"));
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["metrics"].clone()
    };
    assert_eq!(scores(&equal, "a"), scores(&equal, "plain"));
    assert_ne!(scores(&uneven, "a"), scores(&equal, "plain"));
    assert_eq!(equal.read("b/compare.json"), equal.read("c/compare.json"));
    assert_ne!(uneven.read("b/compare.json"), equal.read("c/compare.json"));
    let answer: serde_json::Value = serde_json::from_str(&uneven.read("b/compare.json")).unwrap();
    // Every third row counts nothing.
    assert_eq!(answer["rows"], 20);

    // To be scored rows need their weight, to be predicted they do not.
    let new = "file_name,species,height\n0.png,oak,3\n1.png,elm,4\n";
    uneven.write("new.csv", new);
    has(
        &refused(&uneven, "eval a new.csv"),
        "no column `w` in new.csv",
    );
    uneven.done("predict a new.csv --out out.csv --quiet");
    uneven.write(
        "rows.csv",
        "file_name,species,height,w\n0.png,oak,3,3\n1.png,elm,4,1\n",
    );
    uneven.write(
        "repeated.csv",
        "file_name,species,height,w\n0.png,oak,3,1\n0.png,oak,3,1\n0.png,oak,3,1\n1.png,elm,4,1\n",
    );
    let table = |name: &str| {
        let said = uneven.done(&format!("eval a {name} --format csv")).stdout;
        let cells = |line: &str| line.split(',').take(3).collect::<Vec<_>>().join(",");
        said.lines().map(cells).collect::<Vec<_>>()
    };
    let [weighed, repeated] = ["rows.csv", "repeated.csv"].map(table);
    assert_eq!(weighed, repeated);
    uneven.write("bad.csv", "file_name,species,height,w\n0.png,oak,3,x\n");
    has(&refused(&uneven, "eval a bad.csv"), "row 1");
}
