//! `audit` and `explain`: what is said before training, and after.

use serde_json::Value;

use crate::folder::Folder;

/// The houses with their price in thousands beside it: the target in other words.
fn with_a_leak() -> Folder {
    let folder = Folder::with_houses();
    let mut lines = vec!["file_name,price,beds,tree,thousands".to_owned()];
    for line in folder.read("houses.csv").lines().skip(1) {
        let price: f64 = line.split(',').nth(1).unwrap().parse().unwrap();
        lines.push(format!("{line},{}", price / 1000.0));
    }
    folder.write("houses.csv", &(lines.join("\n") + "\n"));
    folder
}

#[test]
fn an_audit_of_a_column_to_drop_ends_with_1_and_names_it() {
    let folder = with_a_leak();
    let said = folder
        .run("audit houses.toml --set metadata.thousands=continuous --out page.html --format json");
    assert_eq!(said.code, 1, "{}", said.stderr);
    let rows: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(
        (rows[0]["column"].as_str(), rows[0]["advice"].as_str()),
        (Some("thousands"), Some("drop"))
    );
    assert!(said.stderr.contains("drop `thousands`;"), "{}", said.stderr);
    assert!(folder.read("page.html").contains("the target in disguise"));
}

#[test]
fn an_audit_of_columns_to_keep_ends_with_0_and_looks_at_those_left_out_too() {
    let folder = with_a_leak();
    let said = folder.done("audit houses.toml");
    let row = |name: &str| {
        let mut lines = said.stdout.lines();
        lines
            .find(|line| line.trim_start().starts_with(name))
            .unwrap_or_else(|| panic!("{name} in {}", said.stdout))
    };
    assert!(row("beds").contains("keep") && row("beds").contains(" yes "));
    assert!(row("thousands").contains("drop") && row("thousands").contains(" no "));
}

#[test]
fn a_run_is_explained_as_a_whole_and_row_by_row() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out a");
    let said = folder.done("explain a --out why.html --format csv");
    assert!(
        said.stdout.starts_with("column,mae,mae_sd\n") && said.stdout.lines().count() == 3,
        "{}",
        said.stdout
    );
    let page = folder.read("why.html");
    assert!(page.contains("data:image/") && page.contains("where it looks"));

    let said = folder.done("explain a houses.csv --row 7 --format json");
    let rows: Value = serde_json::from_str(&said.stdout).unwrap();
    let value = |nth: usize| rows[nth]["value"].as_f64().unwrap();
    assert_eq!(rows[3]["part"].as_str(), Some("prediction"));
    assert!(
        (value(0) + value(1) + value(2) - value(3)).abs() < 1e-9,
        "{rows}"
    );

    let said = folder.run("explain a houses.csv --row 99");
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.stderr, @r"
    error: row 99 is not among the rows to explain

    hint: rows are counted from 1 in the table; the first here is 1
    ");
}

#[test]
fn a_point_is_explained_by_what_each_column_moves_it_by() {
    let folder = Folder::with_houses();
    let mut lines = vec!["file_name,left_x,left_y,right_x,right_y,beds,tree".to_owned()];
    for (at, line) in folder.read("houses.csv").lines().skip(1).enumerate() {
        let cells: Vec<&str> = line.split(',').collect();
        let (file, beds, tree) = (cells[0], cells[2], cells[3]);
        lines.push(format!(
            "{file},{},4,9,{},{beds},{tree}",
            1 + at % 5,
            6 + at % 2
        ));
    }
    folder.write("points.csv", &(lines.join("\n") + "\n"));
    let toml = folder
        .read("houses.toml")
        .replace("houses.csv", "points.csv");
    let (before, rest) = toml.split_once("[target]").unwrap();
    let rest = &rest[rest.find("\n[").unwrap()..];
    let target = "[target]\nkind = \"keypoints\"\ncolumns = [\"left_x\", \"left_y\", \"right_x\", \"right_y\"]\nnames = [\"left\", \"right\"]\n";
    folder.write("points.toml", &format!("{before}{target}{rest}"));
    folder.done("train points.toml --out p");

    let said =
        folder.done("explain p points.csv --row 3 --point left --out why.html --format json");
    let rows: Value = serde_json::from_str(&said.stdout).unwrap();
    let rows = rows.as_array().unwrap();
    let columns: Vec<&str> = rows
        .iter()
        .map(|row| row["column"].as_str().unwrap())
        .collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(
        columns.contains(&"beds") && columns.contains(&"tree"),
        "{rows:?}"
    );
    let number = |row: usize, name: &str| rows[row][name].as_f64().unwrap();
    assert!(number(0, "length") >= number(1, "length"), "{rows:?}");
    assert!(
        (number(0, "dx").hypot(number(0, "dy")) - number(0, "length")).abs() < 1e-9,
        "{rows:?}"
    );
    assert!(
        said.stderr.contains("displacement of left, px"),
        "{}",
        said.stderr
    );
    let page = folder.read("why.html");
    for part in [
        "displacement of left, px",
        "face arrow",
        "length, px",
        "when this is hidden",
    ] {
        assert!(page.contains(part), "{part}");
    }

    // A point by its number, of the rows that a page would show.
    let said = folder.done("explain p --point 1 --format csv");
    assert!(
        said.stdout.starts_with("row,column,value,dx,dy,length\n"),
        "{}",
        said.stdout
    );

    let said = folder.run("explain p --point middle");
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.stderr, @r"
    error: no point `middle`

    hint: there are: left, right
    ");
    folder.done("train houses.toml --out a");
    let said = folder.run("explain a --point left");
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.stderr, @r"
    error: no point `left`

    hint: only a model of keypoints has points
    ");
}

#[test]
fn a_search_for_a_learning_rate_prints_one_and_draws_the_curve() {
    let folder = Folder::with_houses();
    let said = folder.run("lr-find houses.toml --out rates.html --format json");
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    let rate = found[0]["suggestion"].as_f64();
    assert_eq!(said.code, i32::from(rate.is_none()), "{}", said.stderr);
    assert!(
        rate.is_none_or(|rate| (1e-7..10.0).contains(&rate)),
        "{rate:?}"
    );
    assert!(found[0]["steps"].as_u64().unwrap() > 10, "{found}");
    assert!(folder.read("rates.html").contains("learning rate"));
}

#[test]
fn a_backbone_is_inspected_by_its_name() {
    let folder = Folder::new();
    let said = folder.done("inspect resnet18 --size 64 --match layer4.1.conv2 --format csv");
    assert_eq!(
        said.stdout,
        "layer,kind,output,numbers,trained,products\n\
         layer4.1.conv2,conv2d,a map of 512×2×2,2359296,2359296,9437184\n"
    );
    let tree = folder.done("inspect resnet18 --tree").stdout;
    assert!(tree.contains("\n  layer4 "), "{tree}");
    assert!(tree.contains("\n      conv2 "), "{tree}");
}
