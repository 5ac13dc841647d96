//! Situations from public reports of people who do this job: what they bring, and what they must be told. Each is named as
//! its folder in `tests/cases`, where its tables are; pictures that nobody looks at are made here.

use std::fs;
use std::path::Path;

use crate::folder::{Folder, Said, all, has, png, tiff};

/// A copy of a case's inputs, with pictures for all that its tables name.
pub(crate) fn case(name: &str) -> Folder {
    let folder = Folder::new();
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name);
    copy(&inputs, folder.path());
    for at in 0..104 {
        let picture = format!("img/p{at:03}.png");
        if !folder.exists(&picture) {
            folder.write_bytes(&picture, &png(at));
        }
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// One epoch of small pictures.
const QUICK: &str = "--set train.epochs=1 --set train.size=32 --quiet";

/// The line of `init`'s table about a column, blanks between its cells made one.
fn column(said: &Said, name: &str) -> String {
    let of_column = |line: &&str| line.split_whitespace().next() == Some(name);
    let line = said.stdout.lines().find(of_column);
    let line = line.unwrap_or_else(|| panic!("no column {name}\n{}{}", said.stdout, said.stderr));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The numbers of a column of a CSV that the program wrote.
fn numbers(folder: &Folder, file: &str, column: &str) -> Vec<f64> {
    let text = folder.read(file);
    let mut lines = text.lines();
    let at = lines
        .next()
        .unwrap()
        .split(',')
        .position(|name| name == column);
    let at = at.unwrap_or_else(|| panic!("no column {column} in {text}"));
    lines
        .map(|line| line.split(',').nth(at).unwrap().parse().unwrap())
        .collect()
}

#[test]
fn case_01_decimal_comma() {
    let folder = case("01-decimal-comma");
    for table in ["export", "quoted"] {
        let said = folder.done(&format!(
            "init {table}.csv --target Gewicht --out {table}.toml"
        ));
        has(
            &column(&said, "Gewicht"),
            "target, value 39 distinct, 1424.2 to 1889.6",
        );
        has(&column(&said, "Gewicht"), "`1502,8` is read as 1502.8");
        has(&column(&said, "Temperatur"), "continuous 40 distinct");
        has(&folder.read(&format!("{table}.toml")), "decimal = \",\"");
    }
    folder.done(&format!("train export.toml --out a {QUICK}"));
    let truth = numbers(&folder, "a/predictions.csv", "true_Gewicht");
    assert!(
        truth.iter().all(|weight| (1424.0..1890.0).contains(weight)),
        "{truth:?}"
    );

    // Five texts look like five categories.
    let said = folder.done("init few.csv --target Gewicht --out few.toml");
    has(
        &column(&said, "Temperatur"),
        "continuous 5 distinct, 20 to 22",
    );
    // Where a person says it by hand, the setting that reads it is named.
    let toml = folder.read("few.toml").replace("decimal = \",\"", "#");
    folder.write("hand.toml", &toml);
    let said = folder.run("check hand.toml");
    assert_eq!(said.code, 1);
    has(&said.stdout, "`20,0` in few.csv, row 1 (line 2)");
    has(&said.stdout, "`data.decimal = \",\"` reads it as 20");
}

#[test]
fn case_03_day_first_dates() {
    let folder = case("03-day-first-dates");
    let said = folder.done("init events.csv --target yield --out events.toml");
    has(&column(&said, "taken"), "datetime 39 distinct");
    has(
        &column(&said, "taken"),
        "dates are day/month/year, as `23/08/2011` shows",
    );
    has(&folder.read("events.toml"), "date_order = \"day-first\"");
    // Each as the table has it, day before month.
    let shown = folder.done("show events.toml --rows 16").stdout;
    let table = folder.read("events.csv");
    let mut n_shown = 0;
    for line in shown.lines().filter(|line| line.contains(".png")) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let row = table.lines().nth(cells[0].parse().unwrap()).unwrap();
        let date: Vec<&str> = row.split(';').nth(1).unwrap().split('/').collect();
        assert_eq!(cells[2], format!("{}-{}-{}", date[2], date[1], date[0]));
        n_shown += 1;
    }
    assert_eq!(n_shown, 16, "{shown}");
    let said = folder.done("init ambiguous.csv --target yield --out ambiguous.toml");
    has(&column(&said, "taken"), "datetime");
    has(
        &column(&said, "taken"),
        "dates fit both orders and are read as day/month/year: `data.date_order` sets it",
    );
    let said = folder.done("init german.csv --target yield --out german.toml");
    has(&column(&said, "taken"), "datetime");
    folder.done(&format!("train events.toml --out a {QUICK}"));
    // Said by hand without the order.
    folder.write(
        "hand.toml",
        &folder
            .read("events.toml")
            .replace("date_order", "# date_order"),
    );
    let said = folder.run("check hand.toml");
    assert_eq!(said.code, 1);
    has(&said.stdout, "`data.date_order = \"day-first\"`");
}

#[test]
fn case_04_na_is_a_region() {
    let folder = case("04-na-is-a-region");
    let said = folder.done("init sales.csv --target demand --out sales.toml");
    has(
        &column(&said, "zone"),
        "33 % missing, `NA` (12) read as missing",
    );
    has(
        &folder.read("sales.toml"),
        "take \"NA\" out if it is a name",
    );
    folder.done("init zone_is_target.csv --target zone --out target.toml");
    let said = folder.done("check target.toml");
    has(
        &said.stdout,
        "target `zone`: 12 rows are left out since their cells say `NA`",
    );
    has(&said.stdout, "`data.missing = []`");
    let said = folder.done("check target.toml --set data.missing=[]");
    has(&said.stderr, "no problems in 36 rows");
}

#[test]
fn case_05_excel_cp1252() {
    let folder = case("05-excel-cp1252");
    for table in ["bom.csv", "excel.csv", "unicode.txt", "utf16.csv"] {
        let said = folder.done(&format!(
            "init {table} --target prix --out c.toml --overwrite"
        ));
        has(&column(&said, "photo"), "image 30 distinct");
        has(
            &column(&said, "ville"),
            "Montréal (10), Orléans (10), Nantes (10)",
        );
        let is_guessed = all(&said).contains("is not UTF-8: read as windows-1252");
        assert_eq!(is_guessed, table == "excel.csv", "{table}");
    }
}

#[test]
fn case_06_duplicate_columns() {
    let folder = case("06-duplicate-columns");
    for (table, name, at) in [
        ("merged", "grade", "2 and 4"),
        ("two_targets", "price", "3 and 4"),
    ] {
        let said = folder.run(&format!("init {table}.csv --target price"));
        assert_eq!(said.code, 2);
        has(
            &said.stderr,
            &format!("duplicate column name `{name}` (columns {at})"),
        );
    }
}

#[test]
fn case_08_ids_without_extension() {
    let folder = case("08-ids-without-extension");
    for (at, line) in folder.read("train.csv").lines().skip(1).enumerate() {
        let id = line.split(',').next().unwrap();
        folder.write_bytes(&format!("jpeg/{id}.jpg"), &png(at));
    }
    let said = folder.done("init train.csv --target target --out train.toml");
    has(
        &folder.read("train.toml"),
        "image = \"jpeg/{image_name}.jpg\"",
    );
    has(
        &column(&said, "benign_malignant"),
        "the same as `target` in other words",
    );
    has(&folder.read("train.toml"), "group = \"patient_id\"");
    has(
        &folder.done("check train.toml").stderr,
        "in 36 rows and 36 images",
    );
    folder.done(&format!("train train.toml --out a {QUICK}"));
    folder.done("init with_folder.csv --target target --out folder.toml");
    has(
        &folder.done("check folder.toml").stderr,
        "in 36 rows and 36 images",
    );
    // By hand, and by the command line.
    folder.write("hand.toml", "[data]\ntable = \"train.csv\"\nimage = \"image_name\"\n[target]\nkind = \"class\"\ncolumn = \"target\"\n");
    let said = folder.run("check hand.toml");
    assert_eq!(said.code, 1);
    has(&said.stdout, "36 of 36 images are not there");
    has(
        &said.stdout,
        "`data.image = \"jpeg/{image_name}.jpg\"` finds them",
    );
    folder.done("init train.csv --target target --image jpeg/{image_name} --out other.toml");
    has(
        &folder.done("check other.toml").stderr,
        "in 36 rows and 36 images",
    );
}

#[test]
fn case_11_exif_points() {
    let folder = case("11-exif-points");
    for (table, outside) in [
        ("upright", "6 lie outside it so, 0 of the turned picture"),
        ("square", "0 lie outside it so, 0 of the turned picture"),
    ] {
        folder.done(&format!(
            "init {table}.csv --target x0,y0 --out {table}.toml"
        ));
        let said = folder.done(&format!("check {table}.toml"));
        has(&said.stdout, "6 of 12 images are turned by EXIF");
        has(&said.stdout, outside);
        let said = folder.done(&format!("check {table}.toml --set target.frame=upright"));
        has(&said.stderr, "no problems in 12 rows");
    }
    // Points come back in the frame that they were given in.
    folder.done(&format!(
        "train upright.toml --out a --set target.frame=upright {QUICK}"
    ));
    let table = folder.read("upright.csv");
    let rows: Vec<&str> = folder
        .read("a/predictions.csv")
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap().to_owned())
        .map(|row| table.lines().nth(row.parse().unwrap()).unwrap())
        .collect();
    let truth: Vec<f64> = rows
        .iter()
        .map(|row| row.split(',').nth(2).unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers(&folder, "a/predictions.csv", "true_x0"), truth);
    folder.done("init stored.csv --target x0,y0 --out stored.toml");
    let said = folder.done("check stored.toml --set target.frame=stored");
    has(&said.stderr, "no problems in 12 rows");
}

#[test]
fn case_12_twelve_bits_in_sixteen() {
    let folder = case("12-twelve-bits-in-sixteen");
    for table in ["sixteen", "tiff"] {
        folder.done(&format!(
            "init {table}.csv --target grain --out {table}.toml"
        ));
        has(&folder.read(&format!("{table}.toml")), "range = [0, 4095]");
        has(
            &folder.done(&format!("check {table}.toml")).stderr,
            "no problems in 8 rows",
        );
        // Where nobody said it.
        let toml = folder
            .read(&format!("{table}.toml"))
            .replace("range =", "# range =");
        folder.write("hand.toml", &toml);
        let said = folder.done("check hand.toml");
        has(
            &said.stdout,
            "8 images of more than 8 bits a channel have values from",
        );
        has(&said.stdout, "`image.range = [0, 4095]`");
        folder.done(&format!("train {table}.toml --out {table} {QUICK}"));
    }
    // Found by training in its images, and kept in the run.
    let auto = "--set image.range=auto";
    let said = folder.done(&format!("check hand.toml {auto}"));
    has(&said.stderr, "`image.range` will be [0, 4095]");
    folder.done(&format!("train hand.toml --out auto {QUICK} {auto}"));
    has(&folder.read("auto/config.toml"), "4095");
    assert_eq!(
        numbers(&folder, "auto/predictions.csv", "probability"),
        numbers(&folder, "tiff/predictions.csv", "probability")
    );
    // PNG and TIFF of the same values are the same pixels.
    assert_eq!(
        numbers(&folder, "sixteen/predictions.csv", "probability"),
        numbers(&folder, "tiff/predictions.csv", "probability")
    );
    // Features look for it in all of the table, however many pictures of 8 bits come first.
    let eight = "img/p000.png,0,small\n".repeat(2100);
    let deep = folder
        .read("sixteen.csv")
        .replacen("scan,slot,grain\n", "", 1);
    folder.write(
        "long.csv",
        &format!("scan,slot,grain\n{eight}{}", deep.repeat(10)),
    );
    let features = |range: &str| {
        folder.done(&format!(
            "features hand.toml sixteen.csv --out f.npy --overwrite --set data.table=long.csv \
             --set train.size=32 --quiet --set image.range={range}"
        ));
        folder.read_bytes("f.npy")
    };
    let found = features("auto");
    assert_eq!(found, features("[0,4095]"));
    assert_ne!(found, features("full"));
    // Floating-point values in units of their own: seen from the least to the greatest, and that is said.
    let said = folder.done("init float.csv --target grain --out float.toml");
    has(&all(&said), "-153.40001 is black and 2846.9 white");
    has(&folder.read("float.toml"), "range = [-153.40001, 2846.9]");
    folder.done("check float.toml");
    let said = folder.run("check float.toml --set image.range=full");
    has(&said.stdout, "what is outside 0 to 1 is black or white");
    folder.done(&format!("train float.toml --out physical {QUICK}"));
}

#[test]
fn case_13_alpha() {
    let folder = case("13-alpha");
    folder.done("init train.csv --target size --out train.toml");
    folder.done(&format!("train train.toml --out a {QUICK}"));
    folder.done("predict a twins.csv --out twins.out.csv --quiet");
    let text = folder.read("twins.out.csv");
    let mut of_twin = std::collections::BTreeMap::<String, Vec<String>>::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let number: String = cells[1].chars().filter(char::is_ascii_digit).collect();
        of_twin
            .entry(number)
            .or_default()
            .push(cells[2..].join(","));
    }
    assert_eq!(of_twin.len(), 6, "{text}");
    for twins in of_twin.values() {
        assert_eq!(twins.len(), 4);
        assert!(twins.iter().all(|twin| *twin == twins[0]), "{twins:?}");
    }
}

#[test]
fn case_14_heic_named_jpg() {
    let folder = case("14-heic-named-jpg");
    folder.done("init swapped.csv --target label --out swapped.toml");
    folder.done(&format!("train swapped.toml --out a {QUICK}"));
    folder.done("init phone.csv --target label --out phone.toml");
    let said = folder.run("check phone.toml");
    assert_eq!(said.code, 1);
    for (row, what) in [
        (5, "HEIC, AVIF"),
        (10, "HEIC, AVIF"),
        (18, "HEIC, AVIF"),
        (21, "HEIC, AVIF"),
        (22, "markup"),
        (23, "empty (0 bytes)"),
        (24, "Git LFS pointer"),
    ] {
        let of_row = |line: &&str| line.contains(&format!("row {row} (")) && line.contains(what);
        assert!(
            said.stdout.lines().any(|line| of_row(&line)),
            "{row} {what}\n{}",
            said.stdout
        );
    }
    has(&said.stderr, "7 errors");
    assert_eq!(
        folder
            .run(&format!("train phone.toml --out b {QUICK}"))
            .code,
        2
    );
}

#[test]
fn case_17_cmyk() {
    let folder = case("17-cmyk");
    folder.done("init rgb.csv --target ink --out rgb.toml");
    folder.done(&format!("train rgb.toml --out a {QUICK}"));
    for table in ["rgb", "cmyk", "tiff"] {
        folder.done(&format!(
            "predict a {table}.csv --out {table}.out.csv --quiet"
        ));
    }
    let red = |table: &str| numbers(&folder, &format!("{table}.out.csv"), "p(red)");
    for twin in ["cmyk", "tiff"] {
        for (a, b) in red("rgb").iter().zip(red(twin)) {
            assert!((a - b).abs() < 1e-3, "{a} and {b} of {twin}");
        }
    }
}

#[test]
fn case_18_unlabelled_points() {
    let folder = case("18-unlabelled-points");
    for at in 0..48 {
        folder.write_bytes(&format!("img/dog{at:03}.png"), &large(at));
    }
    for table in ["zeros", "minus", "empty", "coco"] {
        folder.done(&format!(
            "init {table}.csv --target x0,y0,x1,y1 --out {table}.toml"
        ));
    }
    let said = folder.done("check zeros.toml");
    has(&said.stdout, "point 1 at (0, 0) in 16 of 48 rows");
    has(&said.stdout, "`target.missing = [\"0\"]`");
    let said = folder.done("check zeros.toml --set target.missing=[0]");
    has(&said.stderr, "no problems in 48 rows");
    let said = folder.done("check minus.toml");
    has(&said.stdout, "16 points in 16 images outside the image");
    has(&said.stdout, "`target.missing = [\"-1\"]`");
    has(
        &folder.done("check empty.toml").stderr,
        "no problems in 48 rows",
    );
    has(&folder.read("coco.toml"), "# v1 = \"continuous\"");
    has(&folder.read("coco.toml"), "known only once it is labelled");
    // Masked is masked, however it is written.
    folder.done(&format!(
        "train zeros.toml --out zeros --set target.missing=[0] {QUICK}"
    ));
    folder.done(&format!("train empty.toml --out empty {QUICK}"));
    assert_eq!(
        folder.read("zeros/predictions.csv"),
        folder.read("empty/predictions.csv")
    );
}

/// 96 × 96 pixels of one grey, as a bitmap.
fn large(grey: u8) -> Vec<u8> {
    let side = 96_u32;
    let mut file = b"BM".to_vec();
    let n_bytes = 54 + side * side * 3;
    file.extend(n_bytes.to_le_bytes());
    file.extend([0; 4]);
    file.extend(54_u32.to_le_bytes());
    file.extend(40_u32.to_le_bytes());
    file.extend(side.to_le_bytes());
    file.extend(side.to_le_bytes());
    file.extend([1, 0, 24, 0]);
    file.extend([0; 24]);
    file.resize(n_bytes as usize, grey);
    file
}

#[test]
fn case_20_last_batch_of_one() {
    let folder = case("20-last-batch-of-one");
    folder.done("init split.csv --target label --out split.toml");
    for batch in [32, 8] {
        folder.done(&format!(
            "train split.toml --out b{batch} {QUICK} --set train.batch={batch}"
        ));
    }
    let said = folder.run(&format!(
        "train split.toml --out b1 {QUICK} --set train.batch=1"
    ));
    assert_eq!(said.code, 2);
    has(
        &said.stderr,
        "`train.batch`: expected at least 2 rows, since `",
    );
    assert_eq!(folder.run("check split.toml --set train.batch=1").code, 1);
}

#[test]
fn case_21_more_epochs() {
    let folder = case("21-more-epochs");
    folder.done("init train.csv --target label --out train.toml");
    folder.done(&format!("train train.toml --out a {QUICK}"));
    let said = folder.done(&format!("train train.toml --out a --resume {QUICK}"));
    has(&said.stdout, "log_loss");
    let more = QUICK.replace("epochs=1", "epochs=3");
    let said = folder.run(&format!("train train.toml --out a --resume {more}"));
    assert_eq!(said.code, 2);
    has(
        &said.stderr,
        "a is finished: it was trained with `train.epochs = 1`, now it is `3`",
    );
    has(&said.stderr, "--set model.weights=a");
    // What the hint says works, and begins where the run ended: rows are predicted as it did before anything is learned.
    let go_on = "--set model.weights=a --set train.freeze_epochs=0 --set train.learning_rate=1e-12 --set train.weight_decay=0";
    let said = folder.done(&format!(
        "train train.toml --out b {} {go_on}",
        QUICK.replace(" --quiet", "")
    ));
    has(&said.stderr, "parameters beside the backbone's come from");
    let (before, after) = ("a/predictions.csv", "b/predictions.csv");
    for (a, b) in numbers(&folder, before, "p(a)")
        .iter()
        .zip(numbers(&folder, after, "p(a)"))
    {
        assert!((a - b).abs() < 0.02, "{a} and {b}");
    }
}

#[test]
fn case_22_test_table() {
    let folder = case("22-test-table");
    folder.done("init train.csv --target height --out train.toml");
    folder.done(&format!("train train.toml --out a {QUICK}"));
    let heights = |table: &str| {
        folder.done(&format!("predict a {table} --out o.csv --quiet"));
        numbers(&folder, "o.csv", "height")
    };
    let same = heights("same.csv");
    assert_eq!(same.len(), 10);
    for table in [
        "no_target.csv",
        "empty_target.csv",
        "reordered.csv",
        "extra.csv",
        "semicolon.csv",
        "spaced.csv",
        "rows.jsonl",
    ] {
        assert_eq!(heights(table), same, "{table}");
    }
    let said = folder.run("predict a upper.csv --out upper.out.csv");
    assert_eq!(said.code, 2);
    has(&said.stderr, "did you mean `Photo`?");
    // A refusal leaves nothing that would hide the next message.
    assert!(!folder.exists("upper.out.csv.parts") && !folder.exists("upper.out.csv"));
    for (table, what) in [
        ("no_target", "height"),
        ("empty_target", "no row of empty_target.csv has a target"),
    ] {
        let said = folder.run(&format!("eval a {table}.csv"));
        assert_eq!(said.code, 2, "{table}");
        has(&said.stderr, what);
    }
}

#[test]
fn case_24_column_missing() {
    let folder = case("24-column-missing");
    folder.done("init train.csv --target height --out train.toml");
    folder.done(&format!("train train.toml --out a {QUICK}"));
    for (table, way) in [
        ("no_age", "the table has: photo, bark"),
        ("renamed", "did you mean `Age (years)` for `age`?"),
    ] {
        let said = folder.run(&format!("predict a {table}.csv --out o.csv"));
        assert_eq!(said.code, 2, "{table}");
        has(&said.stderr, "has no column `age`, which the model reads");
        has(&said.stderr, way);
        has(&said.stderr, "--allow-missing");
        assert!(!folder.exists("o.csv") && !folder.exists("o.csv.parts"));
    }
    let said = folder.done("predict a no_age.csv --out o.csv --allow-missing");
    has(&said.stderr, "treated as missing in every row");
    assert_eq!(numbers(&folder, "o.csv", "height").len(), 10);
    let said = folder.run("predict a no_photo.csv --out p.csv");
    assert_eq!(said.code, 2);
    has(&said.stderr, "no column `photo`");
}

#[test]
fn case_25_degenerate_columns() {
    let folder = case("25-degenerate-columns");
    let said = folder.done("init train.csv --target price --out train.toml");
    has(&column(&said, "never"), "empty in every row");
    has(&column(&said, "one"), "the same in every row");
    let all = "--set metadata.never=continuous --set metadata.one=categorical";
    for (run, more) in [("a", ""), ("b", all)] {
        folder.done(&format!("train train.toml --out {run} {QUICK} {more}"));
        let prices = numbers(&folder, &format!("{run}/predictions.csv"), "price");
        // 7 becomes 50 in validation, where training has no spread to divide by.
        assert!(
            prices.iter().all(|price| (0.0..30.0).contains(price)),
            "{prices:?}"
        );
    }
    folder.done("init only_categories.csv --target price --out cat.toml");
    folder.done(&format!("train cat.toml --out c {QUICK}"));
}

#[test]
fn case_26_log_of_zero() {
    let folder = case("26-log-of-zero");
    for (table, rows) in [
        ("train", "`0` in train.csv, row 4 (line 5)"),
        (
            "zero_in_valid",
            "`0` in zero_in_valid.csv, row 36 (line 37)",
        ),
    ] {
        folder.done(&format!(
            "init {table}.csv --target yield --out {table}.toml"
        ));
        let said = folder.run(&format!("check {table}.toml --set target.scale=log"));
        assert_eq!(said.code, 1);
        has(&said.stdout, rows);
        has(&said.stdout, "scale = \"linear\"");
        let said = folder.run(&format!(
            "train {table}.toml --out a {QUICK} --set target.scale=log"
        ));
        assert_eq!(said.code, 2);
    }
    // What the hint names exists.
    let said = folder.done("check train.toml --set target.scale=log --set target.missing=[0,-1]");
    has(
        &said.stderr,
        "3 of 40 rows have no target and are left out: 1 say `-1`, 2 say `0`",
    );
    let said = folder.done("init infinite.csv --target yield --out infinite.toml");
    has(&column(&said, "bed"), "`inf` in row 6, `1e400` in row 7");
    folder.done("init absurd.csv --target yield --out absurd.toml");
    let said = folder.done("check absurd.toml");
    has(&said.stdout, "is far from the others");
}

#[test]
fn case_27_no_validation() {
    let folder = case("27-no-validation");
    folder.done("init four.csv --target label --out four.toml");
    folder.done(&format!("train four.toml --out a {QUICK}"));
    folder.done("init one.csv --target height --out one.toml");
    let said = folder.run("check one.toml");
    assert_eq!(said.code, 1);
    has(&said.stdout, "training needs more rows");
    let said = folder.run("init header_only.csv --target label");
    assert_eq!(said.code, 2);
    has(&said.stderr, "header_only.csv has no row");
    let said = folder.done("init train_test.csv --target label --out tt.toml");
    has(&column(&said, "set"), "split");
    has(
        &folder.done("check tt.toml").stderr,
        "5 of its 24 training rows were taken (seed 0); the test rows stay untouched",
    );
}

#[test]
fn case_29_onnx_integer_category() {
    let folder = case("29-onnx-integer-category");
    let said = folder.done("init train.csv --target grade --out train.toml");
    has(
        &column(&said, "site_code"),
        "categorical 4 distinct, 10 to 40",
    );
    has(&column(&said, "grade"), "target, class 3 distinct, 1 to 4");
    folder.done(&format!("train train.toml --out a {QUICK}"));
    let said = folder.done("export a --onnx model.onnx");
    has(&said.stdout, "site_code");
    for at in 5..10 {
        folder.write_bytes(&format!("img/t{at}.png"), &large(at));
    }
    folder.done("predict a test.csv --out o.csv --quiet");
    let predicted = numbers(&folder, "o.csv", "prediction");
    assert!(
        predicted
            .iter()
            .all(|grade| [1.0, 2.0, 4.0].contains(grade)),
        "{predicted:?}"
    );
}

#[test]
fn case_32_patches_twice() {
    let folder = case("32-patches-twice");
    let table = folder.read("welds.csv");
    for (at, line) in table.lines().skip(1).enumerate().skip(40) {
        // Test pictures are copies of training pictures 0, 3, 6, …
        folder.write_bytes(line.split(',').next().unwrap(), &png((at - 40) * 3));
    }
    folder.done("init welds.csv --target label --out welds.toml");
    has(
        &folder.done("check welds.toml").stdout,
        "10 identical images in several rows",
    );
    folder.done("init patients.csv --target label --group patient --out patients.toml");
    let said = folder.done("check patients.toml");
    has(
        &said.stdout,
        "group `patient` has names that differ in case or blanks alone",
    );
    has(&said.stdout, "`P23`");
    let said = folder.run("check patients.toml --set data.split.column=split");
    assert_eq!(said.code, 1);
    has(&said.stdout, "in several parts of the split column: `p23`");
}

#[test]
fn case_33_ninety_five_to_five() {
    let folder = case("33-ninety-five-to-five");
    folder.done("init train.csv --target label --out train.toml");
    let said = folder.done(&format!("train train.toml --out a {QUICK}"));
    let line = column(&said, "accuracy");
    assert_eq!(line, "accuracy 0.9500 0.9500 20");
    has(
        &said.stderr,
        "no better than a constant guess: accuracy 0.9500 against 0.9500",
    );
    has(&said.stderr, "`train.class_weights = true`");
    let said = folder.done("eval a --quiet");
    has(&said.stderr, "no better than a constant guess");
}

#[test]
fn case_35_picture_and_label_only() {
    let folder = case("35-picture-and-label-only");
    for table in ["train", "with_ids"] {
        folder.done(&format!(
            "init {table}.csv --target label --out {table}.toml"
        ));
        has(&folder.read(&format!("{table}.toml")), "arm = \"image\"");
        has(
            &folder.done(&format!("check {table}.toml")).stderr,
            "no problems in 40 rows and 40 images",
        );
        folder.done(&format!("train {table}.toml --out {table} {QUICK}"));
    }
    folder.done("inspect with_ids.toml");
}

#[test]
fn case_36_value_or_class() {
    let folder = case("36-value-or-class");
    for (table, target, is) in [
        ("quality", "quality", "target, class 6 distinct, 3 to 8"),
        (
            "height",
            "height_m",
            "target, value 10 distinct, 1.25 to 5.75",
        ),
        ("age", "age_years", "target, value 17 distinct, 20 to 36"),
        ("count", "n_seeds", "target, value 20 distinct, 0 to 20"),
    ] {
        let said = folder.done(&format!(
            "init {table}.csv --target {target} --out {table}.toml"
        ));
        has(&column(&said, target), is);
        has(&column(&said, target), "--kind");
    }
    let said = folder.done(&format!(
        "train height.toml --out a {}",
        QUICK.replace(" --quiet", "")
    ));
    assert!(
        said.stderr
            .starts_with("`height_m`, a value: 48 training rows"),
        "{}",
        said.stderr
    );
    let said = folder.done("init height.csv --target height_m --kind class --out class.toml");
    has(&column(&said, "height_m"), "target, class");
}

#[test]
fn case_37_plant_is_a_category() {
    let folder = case("37-plant-is-a-category");
    for (table, target, name) in [
        ("leaves", "disease", "plant"),
        ("pets", "score", "animal"),
        ("eyes", "diagnosis", "eye"),
    ] {
        let said = folder.done(&format!(
            "init {table}.csv --target {target} --out {table}.toml"
        ));
        has(&column(&said, name), &format!("{name} categorical"));
        has(
            &column(&said, name),
            "if rows of one value belong together, set it as `data.group`",
        );
    }
    has(&folder.read("eyes.toml"), "flip = [[\"left\", \"right\"]]");
    has(
        &folder.done("check eyes.toml").stderr,
        "no problems in 60 rows",
    );
    let toml = folder.read("eyes.toml");
    let at = toml.find("eye = ").unwrap();
    let end = at + toml[at..].find('\n').unwrap();
    folder.write(
        "hand.toml",
        &format!("{}eye = \"categorical\"{}", &toml[..at], &toml[end..]),
    );
    has(
        &folder.done("check hand.toml").stdout,
        "metadata `eye` says left or right, and half of the training images are mirrored",
    );
}

#[test]
fn case_38_fold_columns() {
    let folder = case("38-fold-columns");
    for (table, name) in [
        ("phase", "phase"),
        ("is_valid", "is_valid"),
        ("training", "training"),
    ] {
        let said = folder.done(&format!(
            "init {table}.csv --target label --out {table}.toml"
        ));
        has(&column(&said, name), &format!("{name} split"));
        let said = folder.done(&format!(
            "train {table}.toml --out {table} {}",
            QUICK.replace(" --quiet", "")
        ));
        has(&said.stderr, "48 training rows, 12 validation rows");
    }
    // The rows that the table says, not twelve others.
    let table = folder.read("is_valid.csv");
    let said = |row: f64| table.lines().nth(row as usize).unwrap().contains("True");
    assert!(
        numbers(&folder, "is_valid/predictions.csv", "row")
            .into_iter()
            .all(said)
    );
    let said = folder.done("init fold.csv --target label --out fold.toml");
    has(&column(&said, "fold"), "fold fold 5 distinct, 0 to 4");
    let said = folder.done("check fold.toml");
    has(&said.stderr, "validation rows are those of fold 0");
    folder.done(&format!(
        "train fold.toml --out fold {QUICK} --set data.split.valid_where=[3]"
    ));
    let table = folder.read("fold.csv");
    let held = |row: f64| {
        table
            .lines()
            .nth(row as usize)
            .unwrap()
            .split(',')
            .any(|cell| cell == "3")
    };
    assert!(
        numbers(&folder, "fold/predictions.csv", "row")
            .into_iter()
            .all(held)
    );
}

#[test]
fn case_41_patience() {
    let folder = case("41-patience");
    folder.done("init train.csv --target label --out train.toml");
    let sets = "--set train.epochs=40 --set train.size=32 --set train.patience=3 --set train.learning_rate=0.01";
    let said = folder.done(&format!("train train.toml --out a {sets}"));
    let losses: Vec<f64> = said
        .stderr
        .lines()
        .filter(|line| line.starts_with("epoch"))
        .map(|line| {
            line.split("log_loss")
                .nth(1)
                .unwrap()
                .split_whitespace()
                .next()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let at = losses.iter().position(|loss| *loss == best).unwrap();
    assert!(losses.len() == 40 || losses.len() == at + 4, "{losses:?}");
    // What is kept, what is said of it and what it predicts are of one network.
    let file: serde_json::Value = serde_json::from_str(&folder.read("a/metrics.json")).unwrap();
    let said = folder.done("eval a --format json --quiet");
    let scores: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let scores = scores.as_array().unwrap().iter();
    let mut of_all = scores.filter(|score| score["of"] == "all" && score["metric"] == "log_loss");
    assert_eq!(of_all.next().unwrap()["value"], file["metrics"]["log_loss"]);
    let kept = file["metrics"]["log_loss"].as_f64().unwrap();
    // The factors of a stack are fitted after its last epoch.
    assert!((kept - best).abs() < 0.02, "{kept} and {best}");
}

#[test]
fn case_34_a_workbook_is_the_csv_saved_from_it_from_init_to_prediction() {
    let folder = case("34-workbook");
    let mut said = Vec::new();
    for kind in ["csv", "xlsx"] {
        let init = folder.done(&format!(
            "init patients.{kind} --target height --out {kind}.toml"
        ));
        let is_book = kind == "xlsx";
        let others = "read `Patients`, not `Codes`; `data.sheet` chooses another";
        assert_eq!(init.stderr.contains(others), is_book, "{}", init.stderr);
        folder.done(&format!("check {kind}.toml"));
        folder.done(&format!("train {kind}.toml --out {kind} {QUICK}"));
        folder.done(&format!(
            "predict {kind} patients.{kind} --part-rows 8 --keep patient,seen --out {kind}.out.csv"
        ));
        let scores = folder.done(&format!("eval {kind} patients.{kind} --format json"));
        said.push((init.stdout, scores.stdout));
    }
    assert_eq!(said[0], said[1]);
    let weights =
        ["csv", "xlsx"].map(|run| folder.read_bytes(&format!("{run}/model/weights.safetensors")));
    assert!(weights[0] == weights[1], "other weights");
    let predicted = folder.read("xlsx.out.csv");
    assert_eq!(predicted, folder.read("csv.out.csv"));
    // Leading zeros and dates are those of the sheet.
    let third = predicted.lines().nth(3).unwrap();
    assert!(third.starts_with("001,2024-02-04,"), "{third}");

    // Another sheet is another table, and a name that is not there is answered with those that are.
    let said =
        folder.run("init patients.xlsx --target means --set data.sheet=Codes --out codes.toml");
    assert_eq!(said.code, 2);
    has(&said.stderr, "has no row");
    let said = folder.run("check xlsx.toml --set data.sheet=patients");
    assert_eq!(said.code, 2);
    has(
        &said.stderr,
        "`data.sheet`: expected a sheet of patients.xlsx (`Patients`, `Codes`), found `patients`",
    );
    // A sheet that was chosen is chosen in later tables too.
    folder.done(&format!(
        "train xlsx.toml --set data.sheet=Patients --out named {QUICK}"
    ));
    folder.done("predict named patients.xlsx --out named.csv");
    folder.done("predict named patients.csv --out named_csv.csv");
    assert_eq!(folder.read("named.csv"), folder.read("named_csv.csv"));
}

#[test]
fn names_that_differ_from_the_files_in_capitals_unicode_form_or_slashes_are_found() {
    let folder = Folder::new();
    folder.write_bytes("probe", b"");
    // Some systems do not tell capitals apart, and have nothing to find.
    let tells_apart = !folder.exists("PROBE");
    let mut table = "bild,y\n".to_owned();
    for n in 0..12 {
        // Composed in the table, as macOS writes it on the disk; and a table that was written on Windows.
        folder.write_bytes(&format!("Fotos/OL\u{45}\u{301}_{n}.PNG"), &png(n));
        table += &format!("fotos\\ol\u{e9}_{n}.png,{}\n", ["a", "b"][n % 2]);
    }
    folder.write("t.csv", &table);
    folder.done("init t.csv --target y --out t.toml");
    let said = folder.done("check t.toml");
    has(&said.stderr, "12 rows and 12 images");
    if tells_apart {
        has(&all(&said), "12 images found under names that differ");
    }
    folder.done(&format!("train t.toml --out run {QUICK}"));
    folder.done("predict run t.csv --out p.csv");
    // Ids, where the folder has both another case and endings.
    let ids = table.replace("fotos\\", "").replace(".png", "");
    folder.write("ids.csv", &ids);
    folder.done("init ids.csv --target y --out ids.toml");
    has(&folder.read("ids.toml"), "image = \"Fotos/{bild}.PNG\"");
    has(
        &folder.done("check ids.toml").stderr,
        "12 rows and 12 images",
    );

    if tells_apart {
        // Which of two is meant is for a person to say.
        folder.write_bytes("Fotos/Ol\u{e9}_3.png", &png(3));
        let said = folder.run("check t.toml");
        assert_eq!(said.code, 1);
        has(&said.stdout, "1 of 12 images is not there");
        has(&said.stdout, "OLE\u{301}_3.PNG` and `Ol\u{e9}_3.png`");
    }
}

#[test]
fn a_network_takes_as_many_channels_as_the_images_have() {
    let folder = Folder::new();
    // What is to be found is in the fifth channel alone.
    let value = |row: usize| 10 + (row * 67) % 200;
    let mut rows = String::from("file_name,price,beds\n");
    for row in 0..48 {
        let pixel = |[x, y]: [usize; 2], c: usize| match c {
            4 => value(row) as u8,
            _ => ((y * 32 + x) * 13 + c * 50) as u8,
        };
        folder.write_bytes(&format!("{row}.tif"), &tiff(5, [32, 32], pixel));
        rows += &format!("{row}.tif,{},{}\n", 3 * value(row), row % 4);
    }
    folder.write("t.csv", &rows);
    let toml = |n: usize| {
        format!(
            r#"data.table = "t.csv"
target = {{ kind = "regression", column = "price" }}
metadata.beds = "continuous"
model = {{ backbone = "small_cnn", arm = "image", edit = [{{ op = "input_channels", n = {n} }}] }}
train = {{ size = 32, epochs = 30, batch = 16 }}
"#
        )
    };
    folder.write("five.toml", &toml(5));
    let said = folder.run("check five.toml");
    assert_eq!(said.code, 0, "{}", all(&said));
    let said = folder.run("train five.toml --out run");
    assert_eq!(said.code, 0, "{}", all(&said));
    let metrics: serde_json::Value =
        serde_json::from_str(&folder.read("run/metrics.json")).unwrap();
    let r2 = metrics["metrics"]["r2"].as_f64().unwrap();
    assert!(r2 > 0.8, "{metrics}");
    let said = folder.run("predict run t.csv --out p.csv");
    assert_eq!(said.code, 0, "{}", all(&said));
    assert_eq!(folder.read("p.csv").lines().count(), 49);
    let said = folder.run("export run --onnx m.onnx --image float");
    assert_eq!(said.code, 0, "{}", all(&said));
    has(&all(&said), "5 channels in [0, 1]");
    // Other networks are refused by what looks, and by what learns.
    for n in [1, 4] {
        folder.write("other.toml", &toml(n));
        let said = folder.run("check other.toml");
        assert_eq!(said.code, 1, "{}", all(&said));
        let why = format!("it has 5 channels, and the network takes {n}");
        has(&all(&said), &why);
        has(&all(&said), "the edit `input_channels`");
        let said = folder.run(&format!("train other.toml --out other{n}"));
        assert_eq!(said.code, 2, "{}", all(&said));
        has(&said.stderr, &why);
    }
}

#[test]
fn a_network_of_one_channel_reads_colours_as_grey() {
    let folder = Folder::with_houses();
    let edit = "[[model.edit]]\nop = \"input_channels\"\nn = 1\n";
    let toml = format!(
        "{}\n[model]\nbackbone = \"small_cnn\"\n{edit}",
        folder.read("houses.toml")
    );
    folder.write("grey.toml", &toml);
    for command in [
        "check grey.toml",
        "train grey.toml --out run",
        "predict run houses.csv --out p.csv",
    ] {
        let said = folder.run(command);
        assert_eq!(said.code, 0, "{command}: {}", all(&said));
    }
}
