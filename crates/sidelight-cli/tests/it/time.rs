//! Rows divided by time, from the table to the verdict.

use crate::folder::{Folder, has, png};

/// Forty visits, one every three days from 1 January 2011 on, in an order of their own; the columns of `rows` after the date.
fn visits(columns: &str, cells: impl Fn(usize) -> String) -> Folder {
    let folder = Folder::new();
    let mut csv = format!("file_name,score,visit,{columns}\n");
    for row in 0..40 {
        csv += &format!(
            "{row}.png,{},{},{}\n",
            100 + row,
            date(visit(row)),
            cells(row)
        );
        folder.write_bytes(&format!("{row}.png"), &png(row));
    }
    folder.write("visits.csv", &csv);
    folder
}

/// Which visit in time a row is.
fn visit(row: usize) -> usize {
    7 * row % 40
}

/// The day of a visit, day before month: 28 days a month, which is enough of a calendar here.
fn date(visit: usize) -> String {
    let day = 3 * visit;
    format!("{}/{}/2011", day % 28 + 1, day / 28 + 1)
}

/// A column of a CSV that the program wrote.
fn column(folder: &Folder, file: &str, name: &str) -> Vec<String> {
    let text = folder.read(file);
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = header.iter().position(|cell| *cell == name).unwrap();
    let cell = |line: &str| line.split(',').nth(at).unwrap().to_owned();
    lines.map(cell).collect()
}

/// The visits of the table's rows that a file names, in order.
fn visits_of(folder: &Folder, file: &str) -> Vec<usize> {
    let rows = column(folder, file, "row").into_iter();
    let mut visits: Vec<usize> = rows
        .map(|row| visit(row.parse::<usize>().unwrap() - 1))
        .collect();
    visits.sort_unstable();
    visits
}

const QUICK: &str = "--set train.epochs=1 --set train.size=32";

#[test]
fn the_latest_rows_are_validated_on_and_each_stretch_of_time_is_tested_on_what_was_before_it() {
    let folder = visits("dose,fold", |row| format!("{},{}", row % 7, row % 5));
    let said = folder.done("init visits.csv --target score --time visit --out visits.toml");
    let toml = folder.read("visits.toml");
    has(&toml, "\ntime = \"visit\"  # ");
    has(&toml, "\ndate_order = \"day-first\"");
    // What the table calls a fold is not used as well.
    has(&toml, "\n# fold = \"fold\"");
    assert!(!toml.contains("\nvisit = "), "{toml}");
    let line = said
        .stdout
        .lines()
        .find(|line| line.trim_start().starts_with("visit"));
    has(line.unwrap(), " time ");
    let checked = folder.done("check visits.toml");
    has(
        &checked.stderr,
        "rows are divided by time: training rows are of `visit` 2011-01-01 to 2011-04-10, validation rows of 2011-04-13 to 2011-05-06",
    );

    let said = folder.done(&format!("train visits.toml --out a {QUICK}"));
    has(
        said.stderr.lines().next().unwrap(),
        "32 training rows, 8 validation rows (the latest by `visit`: 2011-04-13 to 2011-05-06)",
    );
    has(
        &folder.read("a/report.html"),
        "8, the latest by <code>visit</code>: 2011-04-13 to 2011-05-06",
    );
    assert_eq!(
        visits_of(&folder, "a/predictions.csv"),
        (32..40).collect::<Vec<_>>()
    );
    // A table without the column is predicted all the same.
    folder.write("new.csv", "file_name,dose\n0.png,3\n");
    folder.done("predict a new.csv --out new-predictions.csv --quiet");

    let said = folder.done(&format!(
        "compare visits.toml --out b --folds 3 --arms both,shuffled {QUICK}"
    ));
    has(
        &said.stderr,
        "3 folds in the order of time: each is tested on what was learned from the rows before it; \
         10 rows of `visit` 2011-01-01 to 2011-01-28 are only learned from, 30 rows of 2011-02-03 to 2011-05-06 are tested",
    );
    // The blocks of scikit-learn's `TimeSeriesSplit(3)`: 10 to 20, 20 to 30, 30 to 40.
    let rows = column(&folder, "b/out_of_fold.csv", "row");
    let folds = column(&folder, "b/out_of_fold.csv", "fold");
    let arms = column(&folder, "b/out_of_fold.csv", "arm");
    assert_eq!(rows.len(), 30 * 3, "three arms");
    for ((row, fold), arm) in rows.iter().zip(&folds).zip(&arms) {
        let visit = visit(row.parse::<usize>().unwrap() - 1);
        assert_eq!(
            fold.parse::<usize>().unwrap(),
            visit / 10,
            "row {row} of {arm}"
        );
    }
    let answer: serde_json::Value = serde_json::from_str(&folder.read("b/compare.json")).unwrap();
    assert_eq!((&answer["rows"], &answer["folds"]), (&30.into(), &3.into()));
    for arm in answer["arms"].as_array().unwrap() {
        assert_eq!(arm["n"], 30, "{arm}");
        assert_eq!(arm["per_fold"].as_array().unwrap().len(), 3, "{arm}");
    }
    has(
        &folder.read("b/report.html"),
        "in the order of <code>visit</code>",
    );
}

#[test]
fn a_row_without_a_time_and_contradictions_are_refused() {
    let folder = visits("dose", |row| (row % 7).to_string());
    folder.done("init visits.csv --target score --time visit --out visits.toml");
    let refused = |line: &str| {
        let said = folder.run(line);
        assert_eq!(said.code, 2, "{line}\n{}", said.stderr);
        said.stderr
    };
    let said = refused("train visits.toml --out a --set data.fold=dose");
    has(&said, "`data.time`: expected no `data.fold` beside it");
    let said = refused("train visits.toml --out a --set data.split.column=dose");
    has(
        &said,
        "`data.time`: expected no `data.split.column` beside it",
    );
    let said = refused("train visits.toml --out a --set data.time=score");
    has(
        &said,
        "`data.time`: expected a column that is not the target",
    );
    let said = refused("compare visits.toml --out b --quick --set data.time=dose --folds 7");
    has(&said, "expected at least 8 times for 7 folds, found 7");
    has(&said, "use at most 6 folds");

    let table = folder.read("visits.csv");
    let third = format!(",{},", date(visit(2)));
    for (cell, hint) in [
        ("", "write its time, or leave the row out of the table"),
        ("soon", "write its time, or leave the row out of the table"),
    ] {
        folder.write("visits.csv", &table.replace(&third, &format!(",{cell},")));
        let said = refused("train visits.toml --out a");
        has(&said, "row 3");
        has(&said, "column `visit`");
        has(&said, "expected the time of its row: a date or a time");
        has(&said, hint);
    }
    folder.write("visits.csv", &table);
    let line = folder.read("visits.toml");
    let order = line
        .lines()
        .find(|line| line.starts_with("date_order"))
        .unwrap();
    folder.write("visits.toml", &line.replace(order, ""));
    // Metadata is named, so the order is not found anew.
    let said = refused("train visits.toml --out a");
    has(&said, "`data.date_order = \"day-first\"");
}

#[test]
fn init_says_when_rows_are_in_the_order_of_a_date() {
    let folder = visits("dose", |row| (row % 7).to_string());
    let said = folder.done("init visits.csv --target score --out visits.toml");
    assert!(!said.stderr.contains("--time"), "{}", said.stderr);
    let mut csv = "file_name,score,visit,dose\n".to_owned();
    for row in 0..40 {
        csv += &format!("{row}.png,{},{},{}\n", 100 + row, date(row), row % 7);
    }
    folder.write("ordered.csv", &csv);
    let said = folder.done("init ordered.csv --target score --out ordered.toml");
    has(
        &said.stderr,
        "rows are in the order of `visit`: where later ones are to be predicted, --time visit validates on the latest",
    );
    assert!(!folder.read("ordered.toml").contains("\ntime = "));
}
