//! Problems of made-up tables, one by one, and of the real ones, against what their makers say.

use std::path::PathBuf;

use super::*;
use sidelight_data::config::Config;
use sidelight_data::schema;
use sidelight_data::task::Task;

use crate::evidence::Facts;

struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new(csv: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), csv).unwrap();
        Self { folder }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    /// An image that differs from that of any other shade.
    fn image(&self, name: &str, shade: u8) {
        image::RgbImage::from_pixel(8, 6, image::Rgb([shade, 0, 0]))
            .save(self.path(name))
            .unwrap();
    }
    fn check(&self, text: &str) -> Report {
        let text = format!("data.table = \"t.csv\"\n{text}");
        let config = Config::parse(&text, &self.path("t.toml"), &[]).unwrap();
        check(&config, &|_, _| {}).unwrap()
    }
    /// Every problem as text, the folder left out.
    fn problems(&self, text: &str) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        self.check(text)
            .problems
            .iter()
            .map(|problem| problem.to_string().replace(&folder, ""))
            .collect()
    }
}

const CLASS: &str = "target = { kind = \"class\", column = \"y\" }\n";

#[test]
fn a_sound_table_has_no_problem() {
    let case = Case::new("file_name,y,n\na.png,1,2\nb.png,0,3\nc.png,1,4\nd.png,0,5\n");
    for (shade, name) in (1..).zip(["a.png", "b.png", "c.png", "d.png"]) {
        case.image(name, shade);
    }
    let report = case.check(&format!(
        "{CLASS}data.split.valid = 0.5\nmetadata.n = \"continuous\""
    ));
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(
        (
            report.n_rows,
            report.n_used,
            report.n_images,
            report.n_errors(),
            report.n_warnings()
        ),
        (4, 4, 4, 0, 0)
    );
}

#[test]
fn every_problem_is_listed_at_once() {
    let case = Case::new(
        "file_name,y,n,empty,who,split\n\
         a.png,cat,2,,p,train\n\
         b.png,cat,x,,q,valid\n\
         c.png,dog,y,,p,valid\n\
         d.png,dog,3,,r,train\n\
         ,dog,4,,s,train\n\
         f.png,bird,z,,t,train\n\
         g.png,dog,w,,u,train\n",
    );
    case.image("a.png", 1);
    case.image("b.png", 2);
    std::fs::copy(case.path("b.png"), case.path("c.png")).unwrap();
    std::fs::write(case.path("d.png"), "no image").unwrap();
    let whole = {
        case.image("whole.png", 9);
        std::fs::read(case.path("whole.png")).unwrap()
    };
    std::fs::write(case.path("f.png"), &whole[..whole.len() - 20]).unwrap();
    let problems = case.problems(&format!(
        "{CLASS}data.group = \"who\"\ndata.split.column = \"split\"\nmodel.weights = \"net.pth\"\n[metadata]\nn = \"continuous\"\nempty = \"categorical\"\nnn = \"continuous\"\nwho = \"categorical\"\n"
    ));
    assert_eq!(
        problems,
        [
            "`model.weights`: no file net.pth",
            "`metadata.nn`: no column `nn` in t.csv",
            "column `n`: 4 cells are not a number: `x` in t.csv, row 2 (line 3); `y` in t.csv, row 3 (line 4); `z` in t.csv, row 6 (line 7); …",
            "1 row names no image: t.csv, row 5 (line 6)",
            "1 of 6 values of group `who` is in several parts of the split column: `p`",
            "t.csv, row 4 (line 5): d.png: not a JPEG, PNG, WebP, TIFF, BMP or DICOM image (it begins with bytes 6e 6f 20 69 6d 61 67 65)",
            "t.csv, row 6 (line 7): f.png: the PNG image is truncated after 114 bytes",
            "1 of 6 images is not there: g.png (t.csv, row 7 (line 8))",
            "column `y`: 1 class has one row only: `bird`",
            "metadata `empty`: missing in all 7 rows",
            "1 identical image in several rows (2 in all), 1 with different targets: rows 2 = 3",
        ]
    );
}

#[test]
fn points_outside_their_image_are_listed_with_its_size() {
    let case = Case::new(
        "file_name,x0,y0,x1,y1\na.png,0,0,8,6\nb.png,-1,2,3,7.5\nc.png,1,2,,\nd.png,1,2,3,4\n",
    );
    for (shade, name) in (1..).zip(["a.png", "b.png", "c.png", "d.png"]) {
        case.image(name, shade);
    }
    let problems = case.problems("target = { kind = \"keypoints\", columns = [\"x0..y1\"] }");
    assert_eq!(
        problems,
        [
            "2 points in 1 image outside the image: point 0 at (-1, 2) of 8 × 6 in t.csv, row 2 (line 3); point 1 at (3, 7.5) of 8 × 6 in t.csv, row 2 (line 3)"
        ]
    );
}

#[test]
fn images_of_the_same_bytes_across_the_split_are_said() {
    let case = Case::new(
        "file_name,y,split\na.png,1,train\nb.png,1,valid\nc.png,0,train\nd.png,0,valid\n",
    );
    for (shade, name) in [(1, "a.png"), (1, "b.png"), (2, "c.png"), (3, "d.png")] {
        case.image(name, shade);
    }
    let report = case.check(&format!("{CLASS}data.split.column = \"split\""));
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert_eq!(
        report.problems[0].to_string(),
        "1 identical image in several rows (2 in all), 1 of them both in and outside training: rows 1 = 2"
    );
    assert_eq!(
        report.problems[0].hint.as_deref().unwrap(),
        "the score rewards memorising: leave one row of each, or give them one group"
    );
}

#[test]
fn a_column_that_is_the_target_in_disguise_is_said_used_or_not() {
    let mut csv = String::from("file_name,y,finding,n\n");
    for row in 0..40 {
        csv.push_str(&format!(
            "{row}.png,{},f{},{}\n",
            row % 5 < 2,
            row % 5,
            row * 7 % 13
        ));
    }
    let case = Case::new(&csv);
    for row in 0..40 {
        case.image(&format!("{row}.png"), row);
    }
    let line = "column `finding`: each value belongs to one `y`: the target in disguise";
    let report = case.check(&format!("{CLASS}metadata.finding = \"categorical\""));
    assert_eq!(report.problems[0].to_string(), line);
    assert_eq!(
        report.problems[0].hint.as_deref().unwrap(),
        "take `finding` out of [metadata], unless it is known before the target is"
    );
    let report = case.check(CLASS);
    assert_eq!(report.problems[0].to_string(), line);
    assert_eq!(
        report.problems[0].hint.as_deref().unwrap(),
        "`finding` is not used; leave it so"
    );
    assert_eq!(report.n_errors(), 0);
}

#[test]
fn progress_counts_every_image_to_the_last() {
    let case = Case::new("file_name,y\na.png,1\nb.png,0\na.png,1\n");
    case.image("a.png", 1);
    case.image("b.png", 2);
    let text = format!("data.table = \"t.csv\"\n{CLASS}");
    let config = Config::parse(&text, &case.path("t.toml"), &[]).unwrap();
    let most = std::sync::atomic::AtomicUsize::new(0);
    check(&config, &|done, all| {
        assert_eq!(all, 2);
        most.fetch_max(done, std::sync::atomic::Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(most.into_inner(), 2);
}

#[test]
fn one_class_no_target_and_wrong_columns_are_said() {
    let case = Case::new("file_name,y,z\na.png,1,\nb.png,1,\n");
    case.image("a.png", 1);
    case.image("b.png", 2);
    assert!(
        case.problems(CLASS)
            .contains(&"column `y`: `1` is the only class".to_owned())
    );
    let problems = case.problems("target = { kind = \"class\", column = \"z\" }");
    assert_eq!(problems, ["target `z`: empty in all 2 rows"]);
    let problems = case.problems("target = { kind = \"class\", column = \"yy\" }\ndata.image = \"filename\"\ndata.ignore = [\"zz\"]");
    assert_eq!(
        problems,
        [
            "`data.image`: no column `filename` in t.csv",
            "`target`: no column `yy` in t.csv",
            "`data.ignore`: no column `zz` in t.csv",
        ]
    );
}

/// A real data set with the configuration that `init` would write.
/// 30 places of four pictures each; of those of one place the colors are nearly one, unless they are `mixed`.
fn places(mixed: bool) -> Case {
    let mut csv = String::from("file_name,y,spot\n");
    for i in 0..120_u32 {
        csv += &format!("{i}.png,{},place {}\n", i % 2, i / 4);
    }
    let case = Case::new(&csv);
    for i in 0..120_u32 {
        let shade = if mixed {
            (i * 37 + i * i) % 120 * 2
        } else {
            i / 4 * 8
        };
        case.image(&format!("{i}.png"), shade as u8);
    }
    case
}

#[test]
fn a_column_whose_values_are_places_is_doubted_by_their_pictures() {
    let text = format!("{CLASS}metadata.spot = \"categorical\"");
    let doubted = |case: &Case, text: &str| {
        let problems = case.problems(text);
        let of_it = problems
            .iter()
            .filter(|problem| problem.starts_with("metadata `spot`"));
        of_it.cloned().collect::<Vec<_>>()
    };
    let of_places = doubted(&places(false), &text);
    assert_eq!(of_places.len(), 1, "{of_places:?}");
    assert!(
        of_places[0].starts_with("metadata `spot`: 30 values of 4 rows on average, and images of one value resemble each other"),
        "{of_places:?}"
    );
    assert_eq!(doubted(&places(true), &text), Vec::<String>::new());
    // A comparison sees the same.
    let case = places(false);
    let Ready {
        config, dataset, ..
    } = case.check(&text).ready.unwrap();
    let rows: Vec<usize> = (0..dataset.len()).collect();
    let task = Task::fit(&dataset, &config.target, &rows).unwrap();
    let folds: Vec<u32> = (0..).take(rows.len()).map(|row| row % 5).collect();
    let table = config.data.read_table().unwrap();
    let facts = Facts::gather(
        &table,
        &config,
        &dataset,
        &task,
        (&folds, split::FoldOrder::Any),
        None,
    );
    assert!(facts.columns[0].resemblance.unwrap() > 0.95, "{facts:?}");
    // Who has named a group has decided.
    let grouped = format!("data.group = \"spot\"\n{text}");
    assert_eq!(doubted(&places(false), &grouped), Vec::<String>::new());
}

fn real(name: &str, target: &str, settings: &[&str]) -> Option<Report> {
    let Some(folder) = std::env::var_os("SIDELIGHT_DATA") else {
        println!("skipped: SIDELIGHT_DATA is not set");
        return None;
    };
    let path = PathBuf::from(folder).join(name).join("metadata.csv");
    let table = Table::read(&path).unwrap();
    let wishes = Wishes::new(schema::target_of(&table, &[target.to_owned()]).unwrap());
    let text = Schema::infer(&table, &wishes).unwrap().to_toml(&path);
    let settings: Vec<String> = settings
        .iter()
        .map(|setting| (*setting).to_owned())
        .collect();
    let config = Config::parse(&text, std::path::Path::new("sidelight.toml"), &settings).unwrap();
    Some(check(&config, &|_, _| {}).unwrap())
}

fn texts(report: &Report) -> Vec<String> {
    report.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn houses_have_four_pairs_of_identical_photographs_two_with_different_prices() {
    let Some(report) = real("houses", "price", &[]) else {
        return;
    };
    let found = texts(&report);
    assert_eq!(
        (report.n_images, report.n_errors(), found.len()),
        (535, 0, 1),
        "{found:?}"
    );
    assert!(
        found[0].starts_with("4 identical images in several rows (8 in all), "),
        "{found:?}"
    );
    assert!(
        found[0].contains(", 2 with different targets: rows "),
        "{found:?}"
    );
}

#[test]
fn udacity_has_its_persons_in_both_official_parts_and_points_outside() {
    let Some(report) = real("udacity_faces", "x0..y67", &["data.split.column=split"]) else {
        return;
    };
    let found = texts(&report);
    assert!(
        found[0].starts_with(
            "347 of 347 values of group `person` are in several parts of the split column: `"
        ),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("19 points in 6 images outside the image: point ")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|line| line.starts_with(
            "3 identical images in several rows (8 in all), 2 of them both in and outside training"
        )),
        "{found:?}"
    );
    // Five rows too many for three images, as its maker counted.
    assert_eq!(report.n_images, 4232);
}

#[test]
fn covid_findings_are_flagged_and_not_used() {
    let Some(report) = real("covid_cxr", "covid19", &[]) else {
        return;
    };
    let found = texts(&report);
    for column in ["finding", "finding_group"] {
        assert!(
            found.contains(&format!(
                "column `{column}`: each value belongs to one `covid19`: the target in disguise"
            )),
            "{found:?}"
        );
    }
    assert_eq!(report.n_errors(), 0, "{found:?}");
}

#[test]
fn figure1_is_small_and_sound_enough_to_be_warned_about() {
    let Some(report) = real(
        "figure1",
        "finding",
        &["metadata.survival=boolean", "metadata.age_text=continuous"],
    ) else {
        return;
    };
    let found = texts(&report);
    assert!(found[0].starts_with("column `age_text`: "), "{found:?}");
    assert!(
        found.contains(&"metadata `survival`: missing in all 40 rows".to_owned()),
        "{found:?}"
    );
    assert!(
        report
            .remarks
            .contains(&"15 of 55 rows have no target and are left out".to_owned()),
        "{:?}",
        report.remarks
    );
}
