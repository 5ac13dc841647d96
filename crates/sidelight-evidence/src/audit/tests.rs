//! Truths planted in made-up tables, and found.

use std::path::PathBuf;

use super::*;
use sidelight_data::random::{below, for_purpose};

struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    /// A table of these columns, each a function of the row; no images are read.
    fn new(n: usize, columns: &[(&str, &dyn Fn(usize) -> String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let mut csv = format!("file_name,{}\n", names.join(","));
        for row in 0..n {
            let cells: Vec<String> = columns.iter().map(|(_, cell)| cell(row)).collect();
            csv += &format!("{row}.png,{}\n", cells.join(","));
        }
        std::fs::write(folder.path().join("t.csv"), csv).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, text: &str) -> Config {
        let text = format!("data.table = \"t.csv\"\n{text}");
        Config::parse(&text, &self.path("t.toml"), &[]).unwrap()
    }

    fn audit(&self, text: &str) -> Audit {
        audit(&self.config(text), &|_, _| {}).unwrap().0
    }
}

const CLASS: &str = "target = { kind = \"class\", column = \"y\" }\nmodel.arm = \"metadata\"\n";

fn column<'a>(found: &'a Audit, name: &str) -> &'a ColumnAudit {
    let mut columns = found.columns.iter();
    columns.find(|column| column.name == name).unwrap()
}

/// A number below `n` that depends on what and where, and on nothing else.
fn chance(what: &str, row: usize, n: usize) -> usize {
    below(&mut for_purpose(what, row as u64), n)
}

fn class(row: usize) -> usize {
    chance("class", row, 2)
}

#[test]
fn a_column_that_is_the_target_in_other_words_is_to_be_dropped() {
    let case = Case::new(
        200,
        &[
            ("y", &|row| ["ill", "well"][class(row)].to_owned()),
            ("ward", &|row| ["A", "B"][class(row)].to_owned()),
        ],
    );
    let found = case.audit(&format!("{CLASS}metadata.ward = \"categorical\""));
    let ward = column(&found, "ward");
    assert_eq!(ward.advice, Advice::Drop);
    assert!(matches!(ward.why[0], Why::Disguise(_)), "{:?}", ward.why);
    assert!(ward.alone.unwrap().score > 0.999);
    assert_eq!(found.count(Advice::Drop), 1);
    assert_eq!(found.sentence(), "drop `ward` (200 rows, target y)");
}

#[test]
fn a_number_that_gives_the_class_away_without_sorting_it_is_to_be_dropped() {
    // Each hundred is of one class, in turn: no order, no value that repeats.
    let case = Case::new(
        400,
        &[
            ("y", &|row| ["a", "b"][row / 100 % 2].to_owned()),
            ("x", &|row| format!("{}", row as f64 + 0.5)),
        ],
    );
    let found = case.audit(&format!("{CLASS}metadata.x = \"continuous\""));
    let x = column(&found, "x");
    assert!(matches!(x.why[..], [Why::Perfect(_)]), "{:?}", x.why);
    assert_eq!(x.advice, Advice::Drop);
}

/// The iceberg challenge: the angle is missing for so many per cent of one class only, and says nothing else.
fn icebergs(missing: usize) -> Case {
    let angle = |row: usize| match class(row) == 1 && chance("gap", row, 100) < missing {
        true => String::new(),
        false => format!("{}", chance("angle", row, 1000)),
    };
    Case::new(
        1600,
        &[
            ("y", &|row| ["ship", "iceberg"][class(row)].to_owned()),
            ("angle", &angle),
        ],
    )
}

#[test]
fn a_column_that_is_missing_for_some_of_one_class_is_to_be_looked_at_and_named() {
    let case = icebergs(15);
    let found = case.audit(&format!("{CLASS}metadata.angle = \"continuous\""));
    let angle = column(&found, "angle");
    assert_eq!(angle.advice, Advice::LookAt);
    let [Why::Missingness(power)] = angle.why[..] else {
        panic!("{:?}", angle.why)
    };
    // Of the rows a share q = 0.075 is missing, all of one class: the rest has p = 0.425 / 0.925 of it.
    // Skill: 1 − (1 − q) p (1 − p) / 0.25 = 0.081.
    assert!((power.score - 0.081).abs() < 0.03, "{power:?}");
    assert!(power.p <= 0.01);
    assert_eq!(found.sentence(), "look at `angle` (1600 rows, target y)");
}

#[test]
fn gaps_that_tell_little_are_no_finding_however_sure_they_are() {
    // Missing in 4 % of one class only: as above with q = 0.02, a skill of 0.020.
    let case = icebergs(4);
    let found = case.audit(&format!("{CLASS}metadata.angle = \"continuous\""));
    let angle = column(&found, "angle");
    let gaps = angle.gaps.unwrap();
    assert!(
        gaps.p <= 0.01 && (gaps.score - 0.02).abs() < 0.01,
        "{gaps:?}"
    );
    assert_eq!(angle.advice, Advice::Keep, "{:?}", angle.why);
}

#[test]
fn columns_that_are_missing_together_for_one_class_are_a_finding() {
    // Each column is missing in half of the rows whatever the class; both or neither only where the class is a.
    let gap = |row: usize| chance("gap", row, 2) == 0;
    let cell = |is_missing: bool, row: usize| match is_missing {
        true => String::new(),
        false => format!("{}", chance("cell", row, 100)),
    };
    let case = Case::new(
        300,
        &[
            ("y", &|row| ["a", "b"][class(row)].to_owned()),
            ("u", &|row| cell(gap(row), row)),
            ("v", &|row| cell(gap(row) == (class(row) == 0), row + 1000)),
        ],
    );
    let found = case.audit(&format!(
        "{CLASS}metadata = {{ u = \"continuous\", v = \"continuous\" }}"
    ));
    assert!(
        found
            .columns
            .iter()
            .all(|column| column.gaps.is_some_and(|gaps| gaps.p > 0.05))
    );
    let [Finding::GapsTogether(power)] = found.findings[..] else {
        panic!("{:?}", found.findings)
    };
    assert!(power.score > 0.95, "{power:?}");
}

#[test]
fn an_identifier_is_to_be_dropped_and_cannot_predict() {
    let case = Case::new(
        150,
        &[
            ("y", &|row| ["a", "b"][class(row)].to_owned()),
            ("serial", &|row| format!("S{:05}", row * 7919 % 100_000)),
        ],
    );
    let found = case.audit(&format!("{CLASS}metadata.serial = \"categorical\""));
    let serial = column(&found, "serial");
    assert_eq!(serial.advice, Advice::Drop);
    assert_eq!(serial.why[0], Why::NotAProperty(Reason::Identifier));
    assert_eq!(serial.alone.unwrap().score, 0.0);
    assert!(serial.identifier);
}

#[test]
fn noise_is_kept_and_scores_about_0() {
    let case = Case::new(
        500,
        &[
            ("y", &|row| format!("{}", chance("value", row, 10_000))),
            ("number", &|row| {
                format!("{}", chance("number", row, 10_000))
            }),
            ("name", &|row| format!("n{}", chance("name", row, 12))),
        ],
    );
    let found = case.audit(
        "target = { kind = \"regression\", column = \"y\" }\nmodel.arm = \"metadata\"\n\
         metadata = { number = \"continuous\", name = \"categorical\" }",
    );
    for column in &found.columns {
        assert_eq!(
            (column.advice, &column.why[..]),
            (Advice::Keep, &[Why::Nothing][..])
        );
        let power = column.alone.unwrap();
        assert!(power.score.abs() < 0.02 && power.p > 0.05, "{column:?}");
    }
    assert_eq!(found.count(Advice::Drop), 0);
}

#[test]
fn noise_is_seldom_taken_for_a_finding() {
    // 30 tables of 6 columns of noise: at 5 % a table one and a half are expected, 6 or more once in 300 times.
    let mut alarms = 0;
    for table in 0..30 {
        let noise =
            |what: usize| move |row| format!("{}", chance(&format!("{table} {what}"), row, 8));
        let y = noise(0);
        let names: Vec<String> = (1..7).map(|what| format!("c{what}")).collect();
        let cells: Vec<_> = (1..7).map(noise).collect();
        let mut columns: Vec<(&str, &dyn Fn(usize) -> String)> = vec![("y", &y)];
        for (name, cell) in names.iter().zip(&cells) {
            columns.push((name, cell));
        }
        let found = Case::new(120, &columns).audit(CLASS);
        assert_eq!(found.columns.len(), 6);
        let is_found = |column: &ColumnAudit| column.alone.is_some_and(|power| power.p <= 0.05);
        alarms += usize::from(found.columns.iter().any(is_found));
    }
    assert!(alarms < 6, "{alarms} false alarms in 30 tables");
}

#[test]
fn columns_that_are_left_out_are_looked_at_and_do_not_decide() {
    let case = Case::new(
        200,
        &[
            ("y", &|row| ["a", "b"][class(row)].to_owned()),
            ("leak", &|row| ["x", "z"][class(row)].to_owned()),
            ("noise", &|row| format!("{}", chance("noise", row, 1000))),
        ],
    );
    let found = case.audit(&format!(
        "{CLASS}metadata.noise = \"continuous\"\ndata.ignore = [\"leak\"]"
    ));
    assert_eq!(column(&found, "leak").advice, Advice::Drop);
    assert!(!column(&found, "leak").used);
    assert_eq!(found.count(Advice::Drop), 0);
    assert_eq!(found.sentence(), "keep `noise` (200 rows, target y)");
}

#[test]
fn a_column_that_moved_between_parts_is_to_be_looked_at() {
    let train = |row: usize| !row.is_multiple_of(3);
    let case = Case::new(
        300,
        &[
            ("y", &|row| format!("{}", chance("y", row, 1000))),
            ("split", &|row| {
                if train(row) { "train" } else { "test" }.to_owned()
            }),
            ("age", &|row| {
                format!(
                    "{}",
                    chance("age", row, 50) + if train(row) { 0 } else { 30 }
                )
            }),
            ("same", &|row| format!("{}", chance("same", row, 50))),
        ],
    );
    let found = case.audit(
        "target = { kind = \"regression\", column = \"y\" }\nmodel.arm = \"metadata\"\n\
         data.split.column = \"split\"\nmetadata = { age = \"continuous\", same = \"continuous\" }",
    );
    let age = column(&found, "age");
    assert!(
        matches!(age.why[..], [Why::Shifted { distance }] if distance > 0.4),
        "{age:?}"
    );
    assert_eq!(column(&found, "same").advice, Advice::Keep);
}

#[test]
fn images_that_occur_twice_are_found_with_their_conflicts_groups_and_parts() {
    let case = Case::new(
        8,
        &[
            ("y", &|row| ["a", "b"][row % 2].to_owned()),
            ("person", &|row| format!("p{}", row / 2)),
            ("split", &|row| {
                if row < 6 { "train" } else { "test" }.to_owned()
            }),
        ],
    );
    let wave = |row: usize| {
        image::RgbImage::from_fn(64, 48, |x, y| {
            let (x, y) = (x as f32 / 9.0, y as f32 / 7.0);
            let row = row as f32;
            image::Rgb(
                [(128.0 + 100.0 * (x * (1.0 + row / 5.0) + row).sin() * (y + row).cos()) as u8; 3],
            )
        })
    };
    for row in 0..8 {
        wave(row).save(case.path(&format!("{row}.png"))).unwrap();
    }
    // Row 3 has the file of row 0 (another class and person), row 7 nearly the picture of row 5 (in the other part).
    std::fs::copy(case.path("0.png"), case.path("3.png")).unwrap();
    let mut nearly = wave(5);
    nearly
        .pixels_mut()
        .for_each(|pixel| pixel.0[0] = pixel.0[0].saturating_add(3));
    nearly.save(case.path("7.png")).unwrap();
    let text = "target = { kind = \"class\", column = \"y\" }\n\
                data.group = \"person\"\ndata.split.column = \"split\"";
    let found = case.audit(text);
    let same = |rows: [usize; 2], copies, conflict, across_parts| SameImage {
        rows: rows.to_vec(),
        copies,
        conflict,
        across_groups: true,
        across_parts,
    };
    assert_eq!(
        found.same_images,
        [same([0, 3], 1, true, false), same([5, 7], 0, false, true)]
    );
    assert_eq!(found.pairs(), [[0, 3], [5, 7]]);
    let said: Vec<String> = found.findings.iter().map(Finding::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    2 images in 4 rows that share them: 1 to the last byte, 1 nearly the same
    1 image to the last byte the same in rows of different targets: one of them is wrong, or the target is not visible
    1 image both in training rows and in others by `split`: the score rewards memorising
    2 images in rows of several values of `person`: they can end up in both training and test
    only 4 independent units: no figure here is reliable
    ");
}

#[test]
fn the_size_of_images_is_a_predictor_like_any_other() {
    let case = Case::new(60, &[("y", &|row| ["a", "b"][class(row)].to_owned())]);
    for row in 0..60 {
        let shade = (row * 4) as u8;
        image::RgbImage::from_fn(8 + 2 * class(row) as u32, 8, |x, y| {
            image::Rgb([shade, (x * 20) as u8, (y * 20) as u8])
        })
        .save(case.path(&format!("{row}.png")))
        .unwrap();
    }
    let found = case.audit("target = { kind = \"class\", column = \"y\" }");
    let width = column(&found, "image.width");
    assert!(matches!(width.why[0], Why::Perfect(_)), "{width:?}");
    assert!(width.from_file && !width.used && found.count(Advice::Drop) == 0);
    // The height is the same everywhere, and EXIF is not there: nothing to list.
    assert!(
        found
            .columns
            .iter()
            .all(|column| column.name != "image.height")
    );
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let case = Case::new(
        120,
        &[
            ("y", &|row| ["a", "b", "c"][chance("y", row, 3)].to_owned()),
            ("x", &|row| {
                format!("{}", chance("y", row, 3) + chance("x", row, 5))
            }),
            ("z", &|row| format!("{}", chance("z", row, 100))),
        ],
    );
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| case.audit(CLASS).columns)
    };
    assert_eq!(on(1), on(4));
}
