//! Predicting tables of any length: every format, cut anyhow, killed, shared, with rows that cannot be.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::folder::{Folder, Said};

/// A model of metadata alone in `a`, in less than a second.
fn trained_on_metadata() -> Folder {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out a --set model.arm=metadata --quiet");
    folder
}

/// A model that reads the image as well in `a`, and cannot do without it.
fn trained_on_both() -> Folder {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out a --set model.fusion=concat --quiet");
    folder
}

/// Houses without their price, as CSV; the pictures come again and again.
fn rows(n: usize) -> String {
    let mut text = String::from("file_name,beds,tree\n");
    for row in 0..n {
        let tree = ["oak", "elm", "birch", ""][row % 4];
        writeln!(text, "{}.png,{},{tree}", row * 7 % 24, row % 6).unwrap();
    }
    text
}

/// The same as JSON Lines.
fn as_json_lines(csv: &str) -> String {
    let mut text = String::new();
    for line in csv.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        writeln!(text, "{}", json(&cells)).unwrap();
    }
    text
}

fn json(cells: &[&str]) -> serde_json::Value {
    let tree = (!cells[2].is_empty()).then_some(cells[2]);
    let beds: f64 = cells[1].parse().unwrap();
    serde_json::json!({"file_name": cells[0], "beds": beds, "tree": tree})
}

/// The same as archives of so many samples each.
fn as_archives(folder: &Folder, csv: &str, name: &str, n_each: usize) {
    let lines: Vec<&str> = csv.lines().skip(1).collect();
    for (shard, lines) in lines.chunks(n_each).enumerate() {
        let mut builder = tar::Builder::new(Vec::new());
        for (row, line) in lines.iter().enumerate() {
            let cells: Vec<&str> = line.split(',').collect();
            let key = format!("{shard:02}/{row:04}");
            append(
                &mut builder,
                &format!("{key}.png"),
                &folder.read_bytes(cells[0]),
            );
            append(
                &mut builder,
                &format!("{key}.json"),
                json(&cells).to_string().as_bytes(),
            );
        }
        folder.write_bytes(
            &format!("{name}-{shard:02}.tar"),
            &builder.into_inner().unwrap(),
        );
    }
}

fn append(builder: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    // Past the writer's own scruples: what others write may lead out of any folder.
    let field = &mut header.as_gnu_mut().unwrap().name;
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    builder.append(&header, bytes).unwrap();
}

#[test]
fn sets_are_columns_and_a_coverage_that_few_rows_cannot_tell_is_refused() {
    let folder = trained_on_metadata();
    folder.write("t.csv", &rows(7));
    folder.done("predict a t.csv --out p.csv --coverage 0.6");
    let written = folder.read("p.csv");
    assert!(
        written.starts_with("row,image,price,price_low,price_high,problem\n"),
        "{written}"
    );
    // Parts of another coverage are not gone on with.
    folder.write("long.csv", &rows(20));
    let part = "predict a long.csv --out q.csv --part-rows 8";
    folder.done(&format!("{part} --coverage 0.6 --shard 1/2"));
    let said = folder.run(&format!("{part} --coverage 0.5 --shard 2/2"));
    assert_eq!(said.code, 2, "{said:?}");

    let said = folder.run("predict a t.csv --out p.csv --coverage 0.99");
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.stderr
            .contains("too few for a coverage of 0.99: at least 99 are needed"),
        "{said:?}"
    );
    assert_eq!(folder.read("p.csv"), written, "what was there is as it was");
    let said = folder.run("predict a t.csv --out p.csv --coverage 90");
    assert!(
        said.code == 2 && said.stderr.contains("0.9 is nine in ten"),
        "{said:?}"
    );

    let said = folder.done("eval a houses.csv --coverage 0.6 --format json");
    let scores: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let value = |name: &str| {
        let all = scores.as_array().unwrap();
        let found = all
            .iter()
            .find(|score| score["metric"] == name && score["of"] == "all");
        found.unwrap_or_else(|| panic!("{name}: {scores}"))["value"]
            .as_f64()
            .unwrap()
    };
    assert!((0.0..=1.0).contains(&value("coverage")) && value("mean_width") > 0.0);
}

/// The column `price`.
fn prices(csv: &str) -> Vec<String> {
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let at = header.iter().position(|name| *name == "price").unwrap();
    let cell = |line: &str| line.split(',').nth(at).unwrap().to_owned();
    csv.lines().skip(1).map(cell).collect()
}

/// What is in the folder and begins so.
fn left(folder: &Folder, prefix: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter(|name| name.trim_start_matches('.').starts_with(prefix))
        .collect();
    names.sort();
    names
}

fn last_line(said: &Said) -> &str {
    said.stderr.lines().last().unwrap_or_default()
}

#[test]
fn every_format_gives_the_same_predictions() {
    let folder = trained_on_both();
    let csv = rows(50);
    folder.write("new.csv", &csv);
    folder.write("new.tsv", &csv.replace(',', "\t"));
    folder.write("new.jsonl", &as_json_lines(&csv));
    as_archives(&folder, &csv, "new", 20);
    for (table, out) in [
        ("new.csv", "csv.csv"),
        ("new.tsv", "tsv.csv"),
        ("new.jsonl", "jsonl.csv"),
        ("new-{00..02}.tar", "braces.csv"),
        ("new-00.tar new-01.tar new-02.tar", "list.csv"),
    ] {
        let said = folder.done(&format!("predict a {table} --out {out} --part-rows 16"));
        assert_eq!(last_line(&said), format!("50 rows predicted: {out}"));
        assert_eq!(left(&folder, out), [out]);
    }
    let expected = prices(&folder.read("csv.csv"));
    assert_eq!(expected.len(), 50);
    assert!(expected.iter().all(|price| price.parse::<f64>().is_ok()));
    for out in ["tsv.csv", "jsonl.csv", "braces.csv", "list.csv"] {
        assert_eq!(prices(&folder.read(out)), expected, "{out}");
    }
    // Of an archive the image is named as it is there.
    let named = folder.read("braces.csv");
    assert!(
        named.lines().nth(1).unwrap().starts_with("1,00/0000.png,"),
        "{named}"
    );
}

#[test]
fn parquet_gives_the_same_predictions_however_it_is_cut() {
    let folder = trained_on_metadata();
    folder.write("new.csv", &rows(50));
    // Predictions are a table themselves, and one can learn from them.
    for format in ["csv", "jsonl", "parquet"] {
        folder.done(&format!("predict a new.csv --out table.{format}"));
    }
    folder.write(
        "b.toml",
        "[data]\ntable = \"table.csv\"\nimage = \"image\"\n[target]\nkind = \"regression\"\ncolumn = \"price\"\n\
         [metadata]\nrow = \"continuous\"\n[train]\nepochs = 1\nsize = 32\nbatch = 8\n",
    );
    folder.done("train b.toml --out b --quiet");
    folder.done("predict b table.csv --out expected.csv");
    let expected = prices(&folder.read("expected.csv"));
    assert_eq!(expected.len(), 50);
    for (table, options) in [
        ("table.jsonl", ""),
        ("table.parquet", ""),
        ("table.parquet", "--part-rows 16"),
        ("table.parquet", "--part-rows 24 --shard 2/2"),
        ("table.parquet", "--part-rows 24 --shard 1/2"),
    ] {
        folder.done(&format!("predict b {table} --out p.csv {options}"));
        if !options.ends_with("2/2") {
            assert_eq!(prices(&folder.read("p.csv")), expected, "{table} {options}");
            std::fs::remove_file(folder.path().join("p.csv")).unwrap();
        }
    }
}

#[test]
fn how_a_table_is_cut_and_who_makes_which_part_does_not_show() {
    let folder = trained_on_both();
    // Bad rows in some batches: those that are left are computed as before.
    let csv = rows(61)
        .replacen("7.png,1,elm", "7.png,many,elm", 1)
        .replacen("14.png,2,birch", "nowhere.png,2,birch", 1);
    folder.write("new.csv", &csv);
    for format in ["csv", "jsonl", "parquet"] {
        let line = format!("predict a new.csv --tta 2 --out whole.{format}");
        assert_eq!(folder.run(&line).code, 1);
        let whole = folder.read_bytes(&format!("whole.{format}"));
        for options in [
            "--part-rows 8",
            "--part-rows 24 --threads 1",
            "--part-rows 30 --threads 3",
        ] {
            let out = format!("cut.{format}");
            let said = folder.run(&format!("predict a new.csv --tta 2 --out {out} {options}"));
            assert_eq!(said.code, 1, "{}", said.stderr);
            let is_rounded = said
                .stderr
                .contains("parts of 32 rows instead of 30: --part-rows");
            assert_eq!(is_rounded, options.contains("30"), "{}", said.stderr);
            assert_eq!(folder.read_bytes(&out), whole, "{format} {options}");
            assert_eq!(folder.read("cut.bad.csv"), folder.read("whole.bad.csv"));
        }
        // Three shares, and a fourth process that does the same as the second.
        for share in ["2/3", "3/3", "2/3", "1/3"] {
            let out = format!("shared.{format}");
            let line =
                format!("predict a new.csv --tta 2 --out {out} --part-rows 8 --shard {share}");
            let said = folder.run(&line);
            if share == "1/3" {
                assert_eq!(
                    last_line(&said),
                    format!(
                        "59 rows predicted, 2 rows without a prediction: {out}, the reasons in shared.bad.csv"
                    )
                );
                assert_eq!(folder.read_bytes(&out), whole, "{format}");
                assert_eq!(folder.read("shared.bad.csv"), folder.read("whole.bad.csv"));
            } else {
                assert!(
                    last_line(&said).contains("of 8 parts are still missing from shared."),
                    "{}",
                    said.stderr
                );
                assert!(!folder.exists(&out));
            }
        }
        assert_eq!(
            left(&folder, "shared"),
            ["shared.bad.csv".to_owned(), format!("shared.{format}")]
        );
        std::fs::remove_file(folder.path().join(format!("shared.{format}"))).unwrap();
    }
}

#[test]
fn shares_that_run_at_once_join_once() {
    let folder = trained_on_both();
    folder.write("new.csv", &rows(200));
    folder.done("predict a new.csv --out whole.csv");
    let processes: Vec<_> = (1..=3)
        .map(|i| {
            let line =
                format!("predict a new.csv --out shared.csv --part-rows 8 --quiet --shard {i}/3");
            folder.command(&line).spawn().unwrap()
        })
        .collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(folder.read("shared.csv"), folder.read("whole.csv"));
    assert_eq!(left(&folder, "shared"), ["shared.csv"]);
}

#[test]
fn killed_and_started_again_it_ends_with_the_same_bytes() {
    let folder = trained_on_both();
    folder.write(
        "new.csv",
        &rows(400).replacen("7.png,1,elm", "7.png,many,elm", 1),
    );
    let options = "new.csv --tta 4 --part-rows 8";
    assert_eq!(
        folder
            .run(&format!("predict a {options} --out whole.csv"))
            .code,
        1
    );

    let line = format!("predict a {options} --out killed.csv");
    // Killed once after each of so many parts, and wherever it is then in the next.
    for part in [1, 2, 9] {
        let mut process = folder.command(&format!("{line} --quiet")).spawn().unwrap();
        let start = Instant::now();
        while !folder.exists(&format!("killed.csv.parts/{part:05}.json")) {
            assert!(
                process.try_wait().unwrap().is_none(),
                "it was over before part {part}"
            );
            assert!(start.elapsed() < Duration::from_secs(120), "no part {part}");
            std::thread::sleep(Duration::from_millis(1));
        }
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(
            !folder.exists("killed.csv"),
            "it was killed too late to show anything"
        );
    }
    // A part whose files are written but not yet recorded is none.
    std::fs::remove_file(folder.path().join("killed.csv.parts/00001.json")).unwrap();
    let said = folder.run(&line);
    assert_eq!(said.code, 1, "{}", said.stderr);
    let before: usize = said.stderr.split(' ').next().unwrap().parse().unwrap();
    assert!((9..50).contains(&before), "{}", said.stderr);
    assert!(
        said.stderr.contains("of 50 parts done already"),
        "{}",
        said.stderr
    );
    assert_eq!(folder.read("killed.csv"), folder.read("whole.csv"));
    assert_eq!(folder.read("killed.bad.csv"), folder.read("whole.bad.csv"));
    assert_eq!(left(&folder, "killed"), ["killed.bad.csv", "killed.csv"]);
}

#[test]
fn text_that_a_spreadsheet_would_run_has_an_apostrophe_where_asked_for() {
    let folder = trained_on_metadata();
    folder.write(
        "new.csv",
        "file_name,beds,tree\n=HYPERLINK(1).png,1,oak\n=1.png,many,oak\n",
    );
    let said = folder.run("predict a new.csv --out p.csv");
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(folder.read("p.csv").contains("\n1,=HYPERLINK(1).png,"));
    let said = folder.run("predict a new.csv --out p.csv --spreadsheet-safe");
    assert_eq!(said.code, 1, "{}", said.stderr);
    let (safe, bad) = (folder.read("p.csv"), folder.read("p.bad.csv"));
    assert!(safe.contains("\n1,'=HYPERLINK(1).png,"), "{safe}");
    assert!(safe.contains("\n2,'=1.png,"), "{safe}");
    assert!(bad.contains("many"), "{bad}");
}

#[test]
fn kept_columns_come_before_the_predictions_as_the_table_has_them() {
    let folder = trained_on_metadata();
    folder.write(
        "new.csv",
        "id,beds,tree,row,file_name\n007,3,oak,a,0.png\n 0x1F,many,elm,,1.png\n\"a,\"\"b\"\"\",1,,\"\nc\",2.png\n,2,oak,d,3.png\n",
    );
    let said = folder.run("predict a new.csv --out p.csv --keep id,row --part-rows 16");
    assert_eq!(said.code, 1, "{}", said.stderr);
    let written = folder.read("p.csv");
    let kept = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split(',').take(2).collect::<Vec<_>>().join(","))
            .collect()
    };
    insta::assert_snapshot!(written.lines().next().unwrap(), @"id,row,row_2,image,price,problem");
    assert_eq!(kept(&written)[1..3], ["007,a", " 0x1F,"]);
    assert!(
        written.contains("\n\"a,\"\"b\"\"\",\"\nc\",3,2.png,"),
        "{written}"
    );
    assert!(written.contains("\n,d,4,3.png,"), "{written}");
    // In one order whatever the table's is, and the predictions are the same.
    assert_eq!(folder.run("predict a new.csv --out q.csv").code, 1);
    let prices_of = |text: &str, at: usize| -> Vec<String> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader
            .records()
            .map(|record| record.unwrap()[at].to_owned())
            .collect()
    };
    assert_eq!(prices_of(&written, 4), prices_of(&folder.read("q.csv"), 2));

    // No digit of a number of JSON is lost.
    folder.write(
        "new.jsonl",
        "{\"file_name\":\"0.png\",\"beds\":3,\"tree\":\"oak\",\"id\":9007199254740993,\"is_new\":true}\n\
         {\"file_name\":\"1.png\",\"beds\":3,\"tree\":\"oak\",\"id\":12}\n",
    );
    folder.done("predict a new.jsonl --out p.jsonl --keep id,is_new");
    let lines: Vec<serde_json::Value> = folder
        .read("p.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["id"], "9007199254740993");
    assert_eq!(
        (&lines[0]["is_new"], &lines[1]["id"]),
        (&"true".into(), &"12".into())
    );
    assert!(lines[1]["is_new"].is_null());

    let said = folder.run("predict a new.csv --out r.csv --keep idd");
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.stderr, @r"
    error: no column `idd` in new.csv

    hint: did you mean `id`?
    ");
    assert!(!folder.exists("r.csv.parts"));
}

/// Parts of a job that one share of two has done.
fn half_done() -> Folder {
    let folder = trained_on_metadata();
    folder.write("new.csv", &rows(60));
    folder.done("predict a new.csv --out p.csv --part-rows 16 --shard 1/2");
    assert!(folder.exists("p.csv.parts/00000.json") && !folder.exists("p.csv"));
    folder
}

#[test]
fn parts_of_another_model_table_or_options_are_refused() {
    let folder = half_done();
    let refused = |line: &str, what: &str| {
        let said = folder.run(line);
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert!(
            said.stderr.starts_with(&format!(
                "error: the predictions in p.csv.parts were begun with a different {what}: "
            )),
            "{}",
            said.stderr
        );
        assert!(
            said.stderr.contains("discard them with --overwrite"),
            "{}",
            said.stderr
        );
    };
    refused(
        "predict a new.csv --out p.csv --part-rows 24",
        "number of rows a part",
    );
    refused(
        "predict a new.csv --out p.csv --part-rows 16 --tta 2",
        "setting",
    );
    refused(
        "predict a new.csv --out p.csv --part-rows 16 --spreadsheet-safe",
        "way to write text",
    );
    // Another processor's parts, whose last bits may be others.
    let manifest = folder.read("p.csv.parts/manifest.json");
    let mut other: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let options = other["options"].as_str().unwrap();
    let (options, _) = options.rsplit_once(", ").unwrap();
    other["options"] = format!("{options}, Sve2").into();
    folder.write("p.csv.parts/manifest.json", &other.to_string());
    refused("predict a new.csv --out p.csv --part-rows 16", "setting");
    folder.write("p.csv.parts/manifest.json", &manifest);
    folder.done("train houses.toml --out b --set model.arm=metadata --set train.epochs=2 --quiet");
    refused("predict b new.csv --out p.csv --part-rows 16", "model");
    folder.write("new.csv", &rows(60).replacen("elm", "fir", 1));
    refused("predict a new.csv --out p.csv --part-rows 16", "table");
    let said = folder.run("predict a new.csv --out p.csv --overwrite --shard 1/2");
    assert_eq!(said.code, 2, "{}", said.stderr);
    folder.done("predict a new.csv --out p.csv --overwrite");
    assert_eq!(prices(&folder.read("p.csv")).len(), 60);
    assert_eq!(left(&folder, "p.csv"), ["p.csv"]);
}

#[test]
fn a_table_of_the_same_bytes_elsewhere_is_the_same_table() {
    let folder = half_done();
    folder.write("moved/new.csv", &rows(60));
    let said = folder.done("predict a moved/new.csv --out p.csv --part-rows 16");
    assert!(
        said.stderr.starts_with("2 of 4 parts done already\n"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_part_whose_record_is_damaged_is_made_again() {
    let folder = half_done();
    folder.write("p.csv.parts/00002.json", "{\"schema\": 1");
    // One of more rows than can be counted together with others.
    let record = folder.read("p.csv.parts/00000.json");
    let edited = record.replacen("16", "18446744073709551615", 1);
    assert_ne!(edited, record);
    folder.write("p.csv.parts/00000.json", &edited);
    folder.done("predict a new.csv --out p.csv --part-rows 16");
    folder.done("predict a new.csv --out whole.csv");
    assert_eq!(folder.read("p.csv"), folder.read("whole.csv"));
}

#[test]
fn a_part_that_is_damaged_is_made_again() {
    let folder = half_done();
    let part = "p.csv.parts/00002.csv";
    folder.write(part, &folder.read(part).replacen('1', "2", 1));
    let line = "predict a new.csv --out p.csv --part-rows 16";
    let said = folder.run(line);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(
        said.stderr.contains("error: p.csv.parts/00002.csv is damaged and was removed\n\nhint: the same command makes that part again"),
        "{}",
        said.stderr
    );
    assert!(!folder.exists("p.csv"));
    folder.done(line);
    folder.done("predict a new.csv --out whole.csv");
    assert_eq!(folder.read("p.csv"), folder.read("whole.csv"));

    folder.write("q.csv.parts/manifest.json", "{\"schema\": 1}");
    let said = folder.run("predict a new.csv --out q.csv");
    assert!(
        said.code == 2
            && said
                .stderr
                .contains("is not a valid file of partial predictions"),
        "{}",
        said.stderr
    );
    folder.write("r.csv.parts/notes.txt", "mine");
    let said = folder.run("predict a new.csv --out r.csv --overwrite");
    assert!(
        said.code == 2 && said.stderr.contains("already holds r.csv.parts/notes.txt"),
        "{}",
        said.stderr
    );
    assert_eq!(folder.read("r.csv.parts/notes.txt"), "mine");
}

#[test]
fn a_row_without_an_image_is_predicted_where_training_left_images_out() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out a --quiet");
    let predicted = |rows: &str| {
        folder.write("new.csv", &format!("file_name,beds,tree\n{rows}"));
        folder.done("predict a new.csv --out p.csv");
        prices(&folder.read("p.csv"))
    };
    let found = predicted("0.png,3,oak\n,3,oak\n1.png,3,oak\n,5,elm\n");
    assert!(found.iter().all(|price| !price.is_empty()), "{found:?}");
    assert!(found[1] != found[0] && found[1] != found[3], "{found:?}");
    assert_eq!(predicted(",3,oak\n"), [found[1].clone()]);
    // And it is scored and explained as well: by its metadata alone.
    folder.write(
        "known.csv",
        "file_name,beds,tree,price\n0.png,3,oak,9\n,3,oak,9\n",
    );
    folder.done("eval a known.csv");
    let why = folder.done("explain a known.csv --row 2 --format json");
    let why: serde_json::Value = serde_json::from_str(&why.stdout).unwrap();
    let parts = why.as_array().unwrap();
    let of = |part: &str| parts.iter().find(|row| row["part"] == part).unwrap()["value"].clone();
    // Of a price of 180, in single precision.
    assert!(of("image").as_f64().unwrap().abs() < 1e-3, "{why}");
    // A name without a file is a slip, not a row without an image.
    folder.write("new.csv", "file_name,beds,tree\nnowhere.png,3,oak\n");
    assert_eq!(folder.run("predict a new.csv --out p.csv").code, 1);
}

#[test]
fn bad_rows_of_a_csv_are_listed_and_the_others_predicted() {
    let folder = trained_on_both();
    let whole = folder.read_bytes("3.png");
    folder.write_bytes("cut.png", &whole[..whole.len() / 2]);
    folder.write(
        "new.csv",
        "file_name,beds,tree\n0.png,3,oak\n1.png,3\n2.png,many,elm\nnowhere.png,1,elm\ncut.png,1,oak\n,1,oak\n3.png,2,oak\n",
    );
    folder.write("p.bad.csv", "of an earlier job");
    let said = folder.run("predict a new.csv --out p.csv");
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert_eq!(
        last_line(&said),
        "2 rows predicted, 5 rows without a prediction: p.csv, the reasons in p.bad.csv"
    );
    insta::assert_snapshot!(folder.read("p.bad.csv"), @r#"
    row,file,line,key,column,reason
    2,new.csv,3,,,2 cells where the header has 3
    3,new.csv,4,,beds,"expected a number, found `many`"
    4,new.csv,5,,file_name,cannot read nowhere.png: No such file or directory (os error 2)
    5,new.csv,6,,file_name,cut.png: the PNG image is truncated after 134 bytes
    6,new.csv,7,,file_name,"expected the name of an image, found ``"
    "#);
    let table = folder.read("p.csv");
    assert_eq!(table.lines().count(), 8, "{table}");
    let empty: Vec<bool> = prices(&table).iter().map(String::is_empty).collect();
    assert_eq!(empty, [false, true, true, true, true, true, false]);

    // A row that is left is predicted as if the others were not there.
    folder.write(
        "good.csv",
        "file_name,beds,tree\n0.png,3,oak\n3.png,2,oak\n",
    );
    folder.done("predict a good.csv --out good.csv.out.csv");
    assert_eq!(
        prices(&folder.read("good.csv.out.csv")),
        [prices(&table)[0].clone(), prices(&table)[6].clone()]
    );

    let said = folder.run("predict a new.csv --out strict.csv --strict");
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.stderr, @r"
    error: new.csv, row 2 (line 3): 2 cells where the header has 3

    hint: without --strict the job goes on, and such rows are listed in a file beside the predictions
    ");
    assert!(!folder.exists("strict.csv"));

    // All is well: no side file, and no old one that would say otherwise.
    folder.done("predict a good.csv --out p.csv");
    assert!(!folder.exists("p.bad.csv"));
}

#[test]
fn bad_rows_of_json_lines_are_listed_and_the_others_predicted() {
    let folder = trained_on_both();
    folder.write(
        "new.jsonl",
        "{\"file_name\": \"0.png\", \"beds\": 3, \"tree\": \"oak\"}\n{\"file_name\": \n\n[]\n{\"beds\": 3}\n{\"file_name\": \"1.png\", \"beds\": [1]}\n{\"file_name\": \"1.png\", \"beds\": \"2\"}\n",
    );
    let said = folder.run("predict a new.jsonl --out p.csv");
    assert_eq!(said.code, 1, "{}", said.stderr);
    insta::assert_snapshot!(folder.read("p.bad.csv"), @r#"
    row,file,line,key,column,reason
    2,new.jsonl,2,,,not valid JSON: EOF while parsing a value at line 1 column 13
    3,new.jsonl,4,,,"expected an object (`{""file_name"": …}`), found a list"
    4,new.jsonl,5,,file_name,"expected the name of an image, found ``"
    5,new.jsonl,6,,beds,"expected a number, found `[1]`"
    "#);
    let empty: Vec<bool> = prices(&folder.read("p.csv"))
        .iter()
        .map(String::is_empty)
        .collect();
    assert_eq!(empty, [false, true, true, true, true, false]);
}

#[test]
fn bad_samples_and_archives_cut_short_are_listed_and_the_others_predicted() {
    let folder = trained_on_both();
    let csv = rows(6);
    as_archives(&folder, &csv, "new", 3);
    let mut builder = tar::Builder::new(Vec::new());
    append(&mut builder, "x.json", b"{\"beds\": 1}");
    append(&mut builder, "y.png", b"not a picture");
    append(&mut builder, "y.json", b"{\"beds\": 1}");
    append(&mut builder, "z.png", &folder.read_bytes("0.png"));
    append(&mut builder, "z.json", b"{\"beds\"}");
    append(&mut builder, "../../evil.png", &folder.read_bytes("0.png"));
    append(&mut builder, "../../evil.json", b"{}");
    folder.write_bytes("new-02.tar", &builder.into_inner().unwrap());
    let whole = folder.read_bytes("new-00.tar");
    folder.write_bytes("new-00.tar", &whole[..2660]);
    let said = folder.run("predict a new-{00..02}.tar --out p.csv");
    assert_eq!(said.code, 1, "{}", said.stderr);
    // Row 1 to 2 are the first archive, 3 to 5 the second; of the third, `../../evil` is predicted, and written nowhere.
    insta::assert_snapshot!(folder.read("p.bad.csv"), @r#"
    row,file,line,key,column,reason
    2,new-00.tar,,00/0001,,new-00.tar: cut short at byte 2660
    6,new-02.tar,,x,image,"expected an image beside its metadata (.jpg, .png, .webp, …), found ``"
    7,new-02.tar,,y,image,"new-02.tar: y.png: not a JPEG, PNG, WebP, TIFF, BMP or DICOM image (it begins with bytes 6e 6f 74 20 61 20 70 69)"
    8,new-02.tar,,z,,not valid JSON: expected `:` at line 1 column 8
    "#);
    folder.write("good.csv", &csv);
    folder.done("predict a good.csv --out good.csv.out.csv");
    let (found, expected) = (
        prices(&folder.read("p.csv")),
        prices(&folder.read("good.csv.out.csv")),
    );
    // Its first archive lost all but the first sample.
    assert_eq!((&found[0], found[1].as_str()), (&expected[0], ""));
    assert_eq!(found[2..5], expected[3..6]);
}

#[test]
fn a_webdataset_is_a_table_to_train_on() {
    let folder = Folder::with_houses();
    let mut builder = tar::Builder::new(Vec::new());
    for row in 0..24 {
        let cells = serde_json::json!({"price": 100 + 7 * row, "beds": row % 5, "tree": (["oak", "elm"][row % 2])});
        append(
            &mut builder,
            &format!("{row:03}.png"),
            &folder.read_bytes(&format!("{row}.png")),
        );
        append(
            &mut builder,
            &format!("{row:03}.json"),
            cells.to_string().as_bytes(),
        );
    }
    folder.write_bytes("houses.tar", &builder.into_inner().unwrap());
    folder.done("init houses.tar --target price --out tar.toml");
    let written = folder.read("tar.toml");
    assert!(written.contains("image = \"image\""), "{written}");
    let said = folder.run("check tar.toml");
    assert!(
        !said.stdout.contains("error"),
        "{}{}",
        said.stdout,
        said.stderr
    );
    let size = "--set train.epochs=1 --set train.size=32 --set train.batch=8";
    folder.done(&format!("train tar.toml --out t {size} --quiet"));
    folder.done("eval t");
    // The same rows as a CSV beside its images: the same model, to the bit.
    folder.done(&format!(
        "train tar.toml --out c {size} --quiet --set data.table=houses.csv --set data.image=file_name"
    ));
    assert_eq!(
        folder.read_bytes("t/model/weights.safetensors"),
        folder.read_bytes("c/model/weights.safetensors")
    );
}

#[cfg(unix)]
#[test]
fn predictions_go_to_stdout_as_well() {
    let folder = trained_on_metadata();
    folder.write("new.csv", &rows(20));
    folder.done("predict a new.csv --out p.csv");
    let said = folder.done("predict a new.csv --out /dev/stdout --part-rows 8");
    assert_eq!(said.stdout, folder.read("p.csv"));
}

#[test]
fn an_output_that_cannot_be_written_is_said_before_the_work() {
    let folder = trained_on_metadata();
    folder.write("new.csv", &rows(20));
    let said = folder.run("predict a new.csv --out nowhere/p.csv");
    insta::assert_snapshot!(said.stderr, @r"
    error: cannot write nowhere/p.csv
      caused by: No such file or directory (os error 2)

    hint: the folder nowhere does not exist
    ");
    let said = folder.run("predict a new.csv --out p.xlsx");
    assert!(
        said.code == 2 && said.stderr.contains("expected a name ending in"),
        "{}",
        said.stderr
    );
    let said = folder.run("predict a new.csv new.csv --out p.csv");
    assert!(
        said.code == 2
            && said
                .stderr
                .contains("only tar archives can be read together"),
        "{}",
        said.stderr
    );
    folder.write("empty.csv", "file_name,beds,tree\n");
    let said = folder.run("predict a empty.csv --out p.csv");
    assert!(
        said.code == 2 && said.stderr.contains("empty.csv has no row"),
        "{}",
        said.stderr
    );
}
