//! What becomes of the rows of a table, and what stops them.

use std::path::{Path, PathBuf};

use super::*;
use crate::error::Error;

/// A table and a configuration in a folder of their own.
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
    fn config(&self, text: &str) -> Config {
        let text = format!("data.table = \"t.csv\"\n{text}");
        Config::parse(&text, &self.path("t.toml"), &[]).unwrap()
    }
    fn table(&self) -> Table {
        Table::read(&self.path("t.csv")).unwrap()
    }
    fn read(&self, text: &str) -> Dataset {
        Dataset::new(&self.table(), &self.config(text)).unwrap()
    }
    fn predict(&self, text: &str) -> Dataset {
        Dataset::for_prediction(&self.table(), &self.config(text), true).unwrap()
    }
    /// The message, the folder left out, and the hint.
    fn refusal(&self, text: &str) -> (String, String) {
        let error = Dataset::new(&self.table(), &self.config(text)).unwrap_err();
        let folder = format!("{}/", self.folder.path().display());
        (
            error.to_string().replace(&folder, ""),
            error.hint().unwrap_or_default(),
        )
    }
}

const CLASS: &str = "target = { kind = \"class\", column = \"y\" }\n";

fn values<'a>(dataset: &'a Dataset, name: &str) -> &'a MetadataValues {
    &dataset
        .metadata
        .columns
        .iter()
        .find(|column| column.name == name)
        .unwrap()
        .values
}

#[test]
fn cells_become_what_their_column_is_said_to_hold() {
    let case = Case::new(
        "file_name,y,dirty,beds,zip,taken\na.jpg,1,Yes,3,01234,2024-05-01\nb.jpg,0,0,n/a,99,\nc.jpg,1,?,-2.5, 01234 ,1970-01-01T01:00:00+01:00\n",
    );
    let dataset = case.read(&format!(
        "{CLASS}[metadata]\ndirty = {{ kind = \"boolean\", missing = [\"?\"] }}\nbeds = \"continuous\"\nzip = \"categorical\"\ntaken = \"datetime\"\n"
    ));
    assert_eq!(
        values(&dataset, "dirty"),
        &MetadataValues::Boolean(vec![Some(true), Some(false), None])
    );
    assert_eq!(
        values(&dataset, "beds"),
        &MetadataValues::Continuous(vec![Some(3.0), None, Some(-2.5)])
    );
    let (names, codes) = (
        vec!["01234".to_owned(), "99".to_owned()],
        vec![Some(0), Some(1), Some(0)],
    );
    assert_eq!(
        values(&dataset, "zip"),
        &MetadataValues::Categorical { names, codes }
    );
    assert_eq!(
        values(&dataset, "taken"),
        &MetadataValues::Datetime(vec![Some(1_714_521_600.0), None, Some(0.0)])
    );
    assert_eq!(dataset.images[1], ImageSource::Path(case.path("b.jpg")));
    assert_eq!(dataset.rows, [0, 1, 2]);
    let (names, index) = (
        vec!["0".to_owned(), "1".to_owned()],
        vec![Some(1), Some(0), Some(1)],
    );
    assert_eq!(dataset.targets, Some(Targets::Class { names, index }));
}

#[test]
fn a_number_that_stands_for_missing_is_missing_in_its_column_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    std::fs::write(&path, "{\"file_name\": \"a\", \"y\": 1, \"a\": -999, \"b\": -999}\n{\"file_name\": \"b\", \"y\": 2, \"a\": 3, \"b\": 4}\n").unwrap();
    let text = "data.table = \"t.jsonl\"\ntarget = { kind = \"class\", column = \"y\" }\n[metadata]\na = { kind = \"continuous\", missing = [\"-999\"] }\nb = \"continuous\"";
    let config = Config::parse(text, &folder.path().join("t.toml"), &[]).unwrap();
    let dataset = Dataset::new(&Table::read(&path).unwrap(), &config).unwrap();
    assert_eq!(
        values(&dataset, "a"),
        &MetadataValues::Continuous(vec![None, Some(3.0)])
    );
    assert_eq!(
        values(&dataset, "b"),
        &MetadataValues::Continuous(vec![Some(-999.0), Some(4.0)])
    );
}

#[test]
fn points_have_gaps_and_values_may_be_several() {
    let case = Case::new("file_name,x0,y0,x1,y1\na,1,2,3,4\nb,5,6,7,\nc,,,,\n");
    let dataset = case.read("target = { kind = \"keypoints\", columns = [\"x0..y1\"] }");
    let Some(Targets::Keypoints {
        n_points: 2, xy, ..
    }) = &dataset.targets
    else {
        panic!("{:?}", dataset.targets)
    };
    assert_eq!(xy[..3], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    assert!(xy[3][0].is_nan() && xy[3][1].is_nan() && xy.len() == 4);
    assert_eq!(dataset.rows, [0, 1]);
    assert!(
        dataset
            .remarks
            .contains(&"1 of 3 rows have no target and are left out".to_owned()),
        "{:?}",
        dataset.remarks
    );

    let dataset = case.read("target = { kind = \"regression\", columns = [\"x0\", \"y1\"] }");
    let Some(Targets::Regression { names, values }) = &dataset.targets else {
        panic!("{:?}", dataset.targets)
    };
    assert_eq!((names.len(), &values[..3]), (2, &[1.0, 4.0, 5.0][..]));
    assert!(values[3].is_nan() && values.len() == 4);
}

#[test]
fn labels_are_one_cell_or_a_column_each() {
    let case = Case::new(
        "file_name,tags,cat,dog\na,cat; dog,1,yes\nb,dog|bird,0,\nc,,,\nd,\"[\"\"cat\"\"]\",t,f\n",
    );
    let dataset = case.read("target = { kind = \"multilabel\", column = \"tags\" }");
    let Some(Targets::Multilabel { names, present }) = &dataset.targets else {
        panic!("{:?}", dataset.targets)
    };
    assert_eq!(names, &["bird", "cat", "dog"]);
    let expected = [false, true, true, true, false, true, false, true, false].map(Some);
    assert_eq!(present, &expected);
    let dataset = case.read("target = { kind = \"multilabel\", columns = [\"cat\", \"dog\"] }");
    let Some(Targets::Multilabel { names, present }) = &dataset.targets else {
        panic!("{:?}", dataset.targets)
    };
    assert_eq!(names, &["cat", "dog"]);
    assert_eq!(
        present,
        &[
            Some(true),
            Some(true),
            Some(false),
            None,
            Some(true),
            Some(false)
        ]
    );
}

#[test]
fn groups_parts_and_samples_follow_the_configuration() {
    let mut csv = String::from("file_name,y,who,split\n");
    for row in 0..40 {
        let who = if row == 7 {
            String::new()
        } else {
            format!("p{}", row % 4)
        };
        csv.push_str(&format!(
            "{row}.jpg,{},{who},{}\n",
            row % 2,
            ["Train", "dev", "test"][row % 3]
        ));
    }
    let case = Case::new(&csv);
    let text = format!(
        "{CLASS}data.group = \"who\"\ndata.split.column = \"split\"\nmetadata.who = \"categorical\""
    );
    let dataset = case.read(&text.replace(CLASS, &format!("{CLASS}data.limit = 0\n")));
    let groups = dataset.groups.as_ref().unwrap();
    assert_eq!(groups[..9], [0, 1, 2, 3, 0, 1, 2, 4, 0]);
    assert_eq!(
        dataset.splits.as_ref().unwrap()[..3],
        [Split::Train, Split::Valid, Split::Test]
    );
    assert!(
        dataset
            .remarks
            .contains(&"1 rows have no `who`: each is taken as a group of its own".to_owned())
    );

    let sampled = |seed: u64| {
        case.read(&format!(
            "{text}\ndata.limit = 10\ndata.split.seed = {seed}\n"
        ))
    };
    assert_eq!(sampled(1).rows, sampled(1).rows);
    assert_ne!(sampled(1).rows, sampled(2).rows);
    assert_eq!(sampled(1).len(), 10);
    assert!(sampled(1).rows.is_sorted());
}

#[test]
fn selecting_rows_selects_everything_of_them() {
    let case =
        Case::new("file_name,x0,y0,who,split,n\na,1,2,p,train,1\nb,3,4,q,test,2\nc,5,6,p,train,\n");
    let dataset = case.read(
        "target = { kind = \"keypoints\", columns = [\"x0\", \"y0\"] }\ndata.group = \"who\"\ndata.split.column = \"split\"\nmetadata.n = \"continuous\"",
    );
    let selected = dataset.select(&[2, 0, 2]);
    assert_eq!(selected.rows, [2, 0, 2]);
    assert_eq!(selected.images[1], dataset.images[0]);
    assert_eq!(
        selected.targets,
        Some(Targets::keypoints(
            1,
            vec![[5.0, 6.0], [1.0, 2.0], [5.0, 6.0]]
        ))
    );
    assert_eq!(selected.groups, Some(vec![0, 0, 0]));
    assert_eq!(selected.splits, Some(vec![Split::Train; 3]));
    assert_eq!(
        values(&selected, "n"),
        &MetadataValues::Continuous(vec![None, Some(1.0), None])
    );
    assert_eq!(selected.metadata.n_rows, 3);
}

#[test]
fn a_pattern_takes_its_value_from_a_name() {
    let case =
        Case::new("file_name,y,note\nimages/ann_12_left.jpg,1,3 beds\nimages/bob.jpg,0,none\n");
    let dataset = case.read(&format!(
        "{CLASS}[metadata]\nframe = {{ kind = \"continuous\", from = \"file_name\", pattern = '_(\\d+)_' }}\nside = {{ kind = \"categorical\", pattern = '_(left|right)\\.jpg$' }}\nbeds = {{ kind = \"continuous\", from = \"note\", pattern = '^(\\d+) beds$' }}\n"
    ));
    assert_eq!(
        values(&dataset, "frame"),
        &MetadataValues::Continuous(vec![Some(12.0), None])
    );
    let (names, codes) = (vec!["left".to_owned()], vec![Some(0), None]);
    assert_eq!(
        values(&dataset, "side"),
        &MetadataValues::Categorical { names, codes }
    );
    assert_eq!(
        values(&dataset, "beds"),
        &MetadataValues::Continuous(vec![Some(3.0), None])
    );
}

/// A JPEG of 3 × 2 pixels whose EXIF says 1/250 s, 2024-05-01 13:30:00 and 9° 30′ south.
fn photograph() -> Vec<u8> {
    use exif::{Field, In, Rational, Tag, Value};
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(3, 2)
        .write_to(&mut jpeg, image::ImageFormat::Jpeg)
        .unwrap();
    let jpeg = jpeg.into_inner();
    let rational = |num, denom| Rational { num, denom };
    let field = |tag, value| Field {
        tag,
        ifd_num: In::PRIMARY,
        value,
    };
    let fields = [
        field(Tag::ExposureTime, Value::Rational(vec![rational(1, 250)])),
        field(Tag::ISOSpeed, Value::Long(vec![400])),
        field(Tag::FNumber, Value::Rational(vec![rational(0, 0)])),
        field(
            Tag::DateTimeOriginal,
            Value::Ascii(vec![b"2024:05:01 13:30:00".to_vec()]),
        ),
        field(Tag::Make, Value::Ascii(vec![b"Acme ".to_vec()])),
        field(Tag::GPSLatitudeRef, Value::Ascii(vec![b"S".to_vec()])),
        field(
            Tag::GPSLatitude,
            Value::Rational(vec![rational(9, 1), rational(30, 1), rational(0, 1)]),
        ),
    ];
    let mut writer = exif::experimental::Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut tags = std::io::Cursor::new(b"Exif\0\0".to_vec());
    let mut tiff = std::io::Cursor::new(Vec::new());
    writer.write(&mut tiff, false).unwrap();
    tags.get_mut().extend(tiff.into_inner());
    let tags = tags.into_inner();
    // After the two bytes that begin a JPEG: the marker APP1, its length, the tags.
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, 0xe1]);
    bytes.extend((tags.len() as u16 + 2).to_be_bytes());
    bytes.extend(tags);
    bytes.extend(&jpeg[2..]);
    bytes
}

#[test]
fn camera_tags_and_sizes_are_columns_that_can_be_asked_for() {
    let case = Case::new("file_name,y\na.jpg,1\nb.png,0\nnone.jpg,0\n");
    let photograph = photograph();
    std::fs::write(case.path("a.jpg"), &photograph).unwrap();
    image::RgbImage::new(5, 4).save(case.path("b.png")).unwrap();
    let dataset = case.read(&format!(
        r#"{CLASS}[metadata]
"exif.ExposureTime" = "continuous"
"exif.ISOSpeed" = "continuous"
"exif.FNumber" = "continuous"
"exif.DateTimeOriginal" = "datetime"
"exif.Make" = "categorical"
"exif.GPSLatitude" = "continuous"
shutter = {{ kind = "continuous", from = "exif.ExposureTime", scale = "log" }}
"image.width" = "continuous"
"image.height" = "continuous"
"image.bytes" = "continuous"
"#
    ));
    let number = |name: &str| match values(&dataset, name) {
        MetadataValues::Continuous(values) => values.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(number("exif.ExposureTime"), [Some(0.004), None, None]);
    assert_eq!(number("shutter"), [Some(0.004), None, None]);
    assert_eq!(number("exif.ISOSpeed"), [Some(400.0), None, None]);
    assert_eq!(number("exif.FNumber"), [None, None, None]);
    assert_eq!(number("exif.GPSLatitude"), [Some(-9.5), None, None]);
    assert_eq!(number("image.width"), [Some(3.0), Some(5.0), None]);
    assert_eq!(number("image.height"), [Some(2.0), Some(4.0), None]);
    assert_eq!(number("image.bytes")[0], Some(photograph.len() as f64));
    assert_eq!(
        values(&dataset, "exif.DateTimeOriginal"),
        &MetadataValues::Datetime(vec![Some(1_714_570_200.0), None, None])
    );
    let (names, codes) = (vec!["Acme".to_owned()], vec![Some(0), None, None]);
    assert_eq!(
        values(&dataset, "exif.Make"),
        &MetadataValues::Categorical { names, codes }
    );
}

#[test]
fn a_column_of_the_table_goes_before_one_that_is_computed() {
    let case = Case::new("file_name,y,image.width\na.jpg,1,77\n");
    let dataset = case.read(&format!("{CLASS}metadata.\"image.width\" = \"continuous\""));
    assert_eq!(
        values(&dataset, "image.width"),
        &MetadataValues::Continuous(vec![Some(77.0)])
    );
}

#[test]
fn backslashes_of_another_system_are_understood() {
    let case = Case::new("file_name,y\nimages\\a.jpg,1\n");
    let dataset = case.read(CLASS);
    assert_eq!(
        dataset.images[0],
        ImageSource::Path(case.path("images/a.jpg"))
    );
}

#[test]
fn metadata_that_nobody_named_is_inferred_and_said() {
    let mut csv = String::from("file_name,y,beds,id,side\n");
    for row in 0..40 {
        csv.push_str(&format!(
            "{row}.jpg,{},{},{},{}\n",
            row % 2,
            row * 7 % 11,
            1000 + row,
            ["l", "r", "m"][row * 5 % 3]
        ));
    }
    let case = Case::new(&csv);
    let Opened {
        config, dataset, ..
    } = Dataset::open(&case.config(CLASS)).unwrap();
    assert!(config.metadata.keys().eq(["beds", "side"]), "{config:?}");
    let names: Vec<&str> = dataset
        .metadata
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["beds", "side"]);
    assert_eq!(
        dataset.remarks,
        [
            "metadata, inferred: continuous: beds; categorical: side",
            "`id` is not used: an identifier: (nearly) every row has its own"
        ]
    );
}

#[test]
fn new_rows_need_no_target_and_may_have_gaps_and_junk() {
    let case = Case::new("file_name,beds,zip\na.jpg,n/a?,1\nb.jpg,3,2\nc.jpg,lots,\n");
    let text = format!(
        "{CLASS}data.group = \"who\"\ndata.limit = 1\n[metadata]\nbeds = \"continuous\"\nzip = \"categorical\"\narea = \"continuous\"\n"
    );
    let dataset = case.predict(&text);
    assert_eq!((dataset.len(), &dataset.targets), (3, &None));
    assert_eq!(
        values(&dataset, "beds"),
        &MetadataValues::Continuous(vec![None, Some(3.0), None])
    );
    assert_eq!(
        values(&dataset, "area"),
        &MetadataValues::Continuous(vec![None; 3])
    );
    assert_eq!(
        dataset.remarks,
        [
            "the table has no column `area`: it is missing in every row",
            "2 cells of column `beds` are not a number, read as missing: \"n/a?\" in row 1, …",
        ]
    );
    // With targets, rows without one stay: they are to be predicted.
    let case = Case::new("file_name,y\na.jpg,1\nb.jpg,\n");
    let dataset = case.predict(CLASS);
    assert_eq!(
        dataset.targets,
        Some(Targets::Class {
            names: vec!["1".into()],
            index: vec![Some(0), None]
        })
    );
}

#[test]
fn a_request_in_json_is_metadata() {
    let case = Case::new("file_name,y\na.jpg,1\n");
    let config = case.config(&format!(
        "{CLASS}metadata = {{ area = \"continuous\", dirty = \"boolean\", \
         side = {{ kind = \"categorical\", from = \"file_name\", pattern = \"_(l|r)\" }} }}\n"
    ));
    let ask = |number: usize, text: &str| {
        let row = RequestRow {
            number,
            cells: serde_json::from_str(text).unwrap(),
            ..RequestRow::default()
        };
        Dataset::of_request(&row, &config)
    };
    let side = |name: &str| MetadataValues::Categorical {
        names: vec![name.into()],
        codes: vec![Some(0)],
    };
    let nothing = MetadataValues::Categorical {
        names: vec![],
        codes: vec![None],
    };
    for (text, area, dirty, expected) in [
        (
            r#"{"area": "12.5", "dirty": 1, "file_name": "a_l.jpg"}"#,
            Some(12.5),
            Some(true),
            side("l"),
        ),
        (
            r#"{"area": null, "dirty": false}"#,
            None,
            Some(false),
            nothing.clone(),
        ),
        ("{}", None, None, nothing),
        (r#"{"side": "r"}"#, None, None, side("r")),
    ] {
        let dataset = ask(1, text).unwrap();
        let area = MetadataValues::Continuous(vec![area]);
        assert_eq!(values(&dataset, "area"), &area, "{text}");
        let dirty = MetadataValues::Boolean(vec![dirty]);
        assert_eq!(values(&dataset, "dirty"), &dirty, "{text}");
        assert_eq!(values(&dataset, "side"), &expected, "{text}");
    }

    let refusal = |number: usize, text: &str| {
        let error: Error = ask(number, text).unwrap_err();
        (error.to_string(), error.hint().unwrap_or_default())
    };
    assert_eq!(
        refusal(2, r#"{"area": "big"}"#).0,
        "request, row 2, column `area`: expected a number, found `big`"
    );
    assert_eq!(
        refusal(1, r#"{"file_name": "left.jpg", "side": ["l"]}"#).0,
        "request, row 1, column `side`: expected a name, found `[\"l\"]`"
    );
    assert_eq!(
        refusal(1, r#"{"area": [1]}"#).0,
        "request, row 1, column `area`: expected a number, found `[1]`"
    );
    assert_eq!(
        refusal(1, r#"{"aera": 1}"#),
        (
            "no column `aera` in request".to_owned(),
            "did you mean `area`?".to_owned()
        )
    );
}

#[test]
fn a_cell_that_is_not_what_its_column_holds_is_named() {
    let case = Case::new("file_name,y,beds\na.jpg,1,3\n\nb.jpg,0,50+\n");
    let (message, hint) = case.refusal(&format!("{CLASS}metadata.beds = \"continuous\""));
    assert_eq!(
        message,
        "t.csv, row 2 (line 4), column `beds`: expected a number, found `50+`"
    );
    assert_eq!(
        hint,
        "if it means \"missing\", add \"50+\" to `missing` of the column"
    );
    let (message, _) = case.refusal(&format!("{CLASS}metadata.beds = \"boolean\""));
    assert_eq!(
        message,
        "t.csv, row 1 (line 2), column `beds`: expected true or false, found `3`"
    );
    let (message, _) = case.refusal(&format!("{CLASS}metadata.beds = \"datetime\""));
    assert_eq!(
        message,
        "t.csv, row 1 (line 2), column `beds`: expected a date or a time (2024-05-01, 2024-05-01T13:30:00, 13:30), found `3`"
    );
}

#[test]
fn targets_that_are_not_what_they_should_be_are_named() {
    let case = Case::new("file_name,y,x0,y0\na.jpg,-1,1,2\nb.jpg,ten,1,b\nc.jpg,0,,\n");
    assert_eq!(
        case.refusal("target = { kind = \"regression\", column = \"y\" }")
            .0,
        "t.csv, row 2 (line 3), column `y`: expected a number within ±1e100, found `ten`"
    );
    assert_eq!(
        case.refusal("target = { kind = \"regression\", column = \"y\", scale = \"log\" }")
            .0,
        "t.csv, row 1 (line 2), column `y`: expected a number above 0 (its logarithm is learned) and up to 1e100, found `-1`"
    );
    assert_eq!(
        case.refusal("target = { kind = \"keypoints\", columns = [\"x0\", \"y0\"] }")
            .0,
        "t.csv, row 2 (line 3), column `y0`: expected a number (pixels) within ±1e9, found `b`"
    );
    assert_eq!(
        case.refusal("target = { kind = \"multilabel\", columns = [\"y\"] }")
            .0,
        "t.csv, row 1 (line 2), column `y`: expected true or false, found `-1`"
    );
    // Their squares would be infinite, and every score with them.
    let case = Case::new("file_name,y,x0,y0\na.jpg,1,1,2\nb.jpg,1e308,1,2\nc.jpg,0,1,-2e9\n");
    for scale in ["linear", "log"] {
        let (message, _) = case.refusal(&format!(
            "target = {{ kind = \"regression\", column = \"y\", scale = \"{scale}\" }}"
        ));
        let expected = match scale {
            "log" => "a number above 0 (its logarithm is learned) and up to 1e100",
            _ => "a number within ±1e100",
        };
        assert_eq!(
            message,
            format!("t.csv, row 2 (line 3), column `y`: expected {expected}, found `1e308`")
        );
    }
    assert_eq!(
        case.refusal("target = { kind = \"keypoints\", columns = [\"x0\", \"y0\"] }")
            .0,
        "t.csv, row 3 (line 4), column `y0`: expected a number (pixels) within ±1e9, found `-2e9`"
    );
    let (message, hint) =
        case.refusal("target = { kind = \"keypoints\", columns = [\"x0\", \"Y0\"] }");
    assert_eq!(message, "no column `Y0` in t.csv");
    assert_eq!(hint, "did you mean `y0`?");
}

#[test]
fn a_target_without_any_value_is_refused() {
    let case = Case::new("file_name,y\na.jpg,\nb.jpg,NA\n");
    assert_eq!(
        case.refusal(CLASS).0,
        "no row of t.csv has a target: `y` is empty in all 2"
    );
}

#[test]
fn columns_that_are_not_there_are_answered_with_the_nearest() {
    let case = Case::new("file_name,y,patientid\na.jpg,1,p\n");
    for (setting, name, near) in [
        (
            "metadata.patient_id = \"categorical\"",
            "patient_id",
            "patientid",
        ),
        ("data.group = \"patient id\"", "patient id", "patientid"),
        ("data.image = \"filename\"", "filename", "file_name"),
        (
            "data.split.column = \"patientsid\"",
            "patientsid",
            "patientid",
        ),
    ] {
        let (message, hint) = case.refusal(&format!("{CLASS}{setting}"));
        assert_eq!(message, format!("no column `{name}` in t.csv"));
        assert_eq!(hint, format!("did you mean `{near}`?"));
    }
}

#[test]
fn a_row_without_image_and_a_part_of_no_name_are_refused() {
    let case = Case::new("file_name,y,split\na.jpg,1,train\n,0,holdout\n");
    assert_eq!(
        case.refusal(CLASS).0,
        "t.csv, row 2 (line 3), column `file_name`: expected the name of an image, found ``"
    );
    assert_eq!(
        case.refusal(&format!("{CLASS}data.split.column = \"split\""))
            .0,
        "t.csv, row 2 (line 3), column `split`: expected `train`, `valid` or `test`, found `holdout`"
    );
    let new =
        |needs_image| Dataset::for_prediction(&case.table(), &case.config(CLASS), needs_image);
    assert_eq!(new(false).unwrap().len(), case.table().n_rows);
    let error = new(true).unwrap_err();
    assert!(matches!(error, Error::Cell { .. }), "{error}");
}

#[test]
fn embedded_images_are_their_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/table.parquet");
    let table = Table::read(&path).unwrap();
    let text = format!(
        "data.table = {path:?}\ntarget = {{ kind = \"regression\", column = \"uint16\" }}\nmetadata.int8 = \"continuous\""
    );
    let config = Config::parse(&text, Path::new("t.toml"), &[]).unwrap();
    // The third row has neither bytes nor a path.
    let error = Dataset::new(&table, &config).unwrap_err();
    assert!(
        error.to_string().ends_with(
            "table.parquet, row 3, column `file_name`: expected the name of an image, found ``"
        ),
        "{error}"
    );
}

#[test]
fn a_row_of_a_request_becomes_what_the_same_row_of_a_table_becomes() {
    let case = Case::new("file_name,y,area,tree\nhouse_l.png,1,12.5,NA\n");
    let mut png = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::new(7, 5);
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    std::fs::write(case.path("house_l.png"), &png).unwrap();
    let text = format!(
        "{CLASS}metadata = {{ area = \"continuous\", tree = \"categorical\", \"image.width\" = \"continuous\", \
         tall = {{ kind = \"continuous\", from = \"image.height\" }}, \
         side = {{ kind = \"categorical\", pattern = \"_(l|r)\" }} }}\n"
    );
    let of_table = case.predict(&text);
    let ask = |cells: serde_json::Value, name: &str| {
        let row = RequestRow {
            number: 3,
            image: Some(ImageSource::Bytes {
                name: name.into(),
                bytes: png.clone().into(),
            }),
            cells: cells.as_object().unwrap().clone(),
            ..RequestRow::default()
        };
        Dataset::of_request(&row, &case.config(&text))
    };
    let cells = serde_json::json!({"area": 12.5, "tree": "NA"});
    let of_request = ask(cells, "house_l.png").unwrap();
    assert_eq!(of_request.metadata, of_table.metadata);
    assert_eq!(
        values(&of_request, "tall"),
        &MetadataValues::Continuous(vec![Some(5.0)])
    );
    // What the row says itself counts more than what the image says.
    let cells = serde_json::json!({"image.width": null, "image.height": 9, "side": "r"});
    let said = ask(cells, "house_l.png").unwrap();
    assert_eq!(
        values(&said, "image.width"),
        &MetadataValues::Continuous(vec![None])
    );
    assert_eq!(
        values(&said, "tall"),
        &MetadataValues::Continuous(vec![Some(9.0)])
    );
    assert_eq!(
        values(&said, "side"),
        &MetadataValues::Categorical {
            names: vec!["r".into()],
            codes: vec![Some(0)]
        }
    );
    let error = ask(serde_json::json!({"area": "big"}), "x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "request, row 3, column `area`: expected a number, found `big`"
    );
}

#[test]
fn an_address_without_a_folder_to_fetch_into_is_named_by_its_cell() {
    let case = Case::new("file_name,y\na.jpg,1\nhttps://host/b.jpg,0\n");
    let error = Dataset::new(&case.table(), &case.config(CLASS)).unwrap_err();
    let at = error.place().unwrap();
    assert_eq!((at.row, at.column.as_deref()), (Some(2), Some("file_name")));
    assert!(
        crate::error::in_full(&error).contains("data.remote.cache"),
        "{error}"
    );
}

#[test]
fn points_outside_their_image_are_missing() {
    let case = Case::new(
        "file_name,x0,y0,x1,y1\na.png,1,2,-30,500\nb.png,4,3,4,3\nc.png,0,0,4.5,1\nnone.png,-1,-1,2,2\n",
    );
    for name in ["a.png", "b.png", "c.png"] {
        ::image::RgbImage::new(4, 3).save(case.path(name)).unwrap();
    }
    let text = "target = { kind = \"keypoints\", columns = [\"x0\", \"y0\", \"x1\", \"y1\"] }\n";
    let config = case.config(text);
    let opened = Dataset::open(&config).unwrap();
    let Some(Targets::Keypoints { xy, .. }) = &opened.dataset.targets else {
        panic!("points")
    };
    // The edge is on the image; where there is no image to look at, nothing is known to be outside.
    let known: Vec<bool> = xy.iter().map(|[x, _]| !x.is_nan()).collect();
    let expected = [true, false, true, true, true, false, true, true];
    assert_eq!(known, expected, "{xy:?}");
    let said = "2 points in 2 rows outside the image: they count for nothing";
    assert!(
        opened.dataset.remarks.iter().any(|remark| remark == said),
        "{:?}",
        opened.dataset.remarks
    );
    // What is scored is read alike; what `check` lists is not.
    let table = case.table();
    let scored = Dataset::for_evaluation(&table, &config, true).unwrap();
    assert_eq!(
        format!("{:?}", scored.targets),
        format!("{:?}", opened.dataset.targets)
    );
    let (listed, _) = inspect(&table, &config).unwrap();
    let Some(Targets::Keypoints { xy, .. }) = listed.targets else {
        panic!("points")
    };
    assert_eq!(xy[1], [-30.0, 500.0]);
}

#[test]
fn points_that_are_all_outside_are_refused() {
    let case = Case::new("file_name,x,y\na.png,100,2\nb.png,4,-3\n");
    for name in ["a.png", "b.png"] {
        ::image::RgbImage::new(4, 3).save(case.path(name)).unwrap();
    }
    let (said, _) = case.refusal("target = { kind = \"keypoints\", columns = [\"x\", \"y\"] }\n");
    assert_eq!(
        said,
        "`target.columns`: expected points in pixels of their image, found `2, every one of them outside`"
    );
}

#[test]
fn visibility_is_read_as_coco_has_it_or_as_truth_values() {
    let target =
        "target = { kind = \"keypoints\", columns = [\"x0\", \"y0\"], visibility = [\"v\"] }";
    let seen = |cells: &str| {
        let dataset = Case::new(&format!("file_name,x0,y0,v\n{cells}")).read(target);
        let targets = dataset.targets.unwrap();
        let Targets::Keypoints { xy, .. } = &targets else {
            panic!("{targets:?}")
        };
        let place = |row: usize| !xy[row][0].is_nan();
        let rows = 0..targets.len();
        rows.map(|row| (place(row), targets.visible(row)[0]))
            .collect::<Vec<_>>()
    };
    let (yes, no) = (Some(true), Some(false));
    // With a 2 among them: not there, whatever its coordinates; hidden; visible; visible unless the table says otherwise.
    assert_eq!(
        seen("a,0,0,0\nb,1,2,1\nc,1,2,2\nd,3,4,\n"),
        [(false, no), (true, no), (true, yes), (true, yes)]
    );
    // Without: false and true, a point that is hidden has its place.
    assert_eq!(seen("a,1,2,0\nb,1,2,1\n"), [(true, no), (true, yes)]);
    assert_eq!(seen("a,1,2,no\nb,1,2,yes\n"), [(true, no), (true, yes)]);
    // A row of which nothing is said is left out.
    assert_eq!(seen("a,,,\nb,1,2,2\n"), [(true, yes)]);
    let case = Case::new("file_name,x0,y0,v\na,1,2,5\n");
    let (refused, _) = case.refusal(target);
    assert!(refused.contains("0, 1 or 2"), "{refused}");
}
