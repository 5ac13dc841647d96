//! From an annotation tool to a table, and predictions back into the tool.

use std::fs;
use std::path::Path;

use crate::folder::{Folder, has, png, refused};

/// A folder with a file that a tool wrote, and its images beside it.
fn with(name: &str) -> Folder {
    let folder = Folder::new();
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../sidelight-data/tests/reference/annotation");
    for name in [name, "images/a.png", "images/b.png"] {
        folder.write_bytes(name, &fs::read(source.join(name)).unwrap());
    }
    folder
}

#[test]
fn annotations_become_a_table_and_a_configuration() {
    let folder = with("cvat.xml");
    fs::create_dir(folder.path().join("points")).unwrap();
    let said = folder.done("import cvat.xml --out points/metadata.csv");
    assert_eq!(said.stdout, "");
    insta::assert_snapshot!(said.stderr, @r"
    cvat.xml: CVAT for images (its element `annotations`), 2 images
    3 instances in 2 images, 3 points each: 7 seen, 1 hidden, 1 not marked
    wrote points/metadata.csv: 3 rows
    wrote points/sidelight.toml
    next: sidelight check points/sidelight.toml
    ");
    insta::assert_snapshot!(folder.read("points/metadata.csv"), @r"
    image,nose_x,nose_y,left_eye_x,left_eye_y,right_eye_x,right_eye_y,nose_v,left_eye_v,right_eye_v,box_x,box_y,box_w,box_h,instance,pose,tag
    ../images/a.png,10.5,20.25,12.75,18,8.25,17.5,2,1,2,7.125,16.5,6.75,4.75,1,sitting & <still>,
    ../images/a.png,40,30.5,,,37.25,28.75,2,0,2,36.25,27.75,4.75,3.75,2,sitting & <still>,
    ../images/b.png,20.5,31,22.25,29.5,18,29.75,2,2,2,16.9375,28.5,6.375,3.5,1,sitting & <still>,outdoors
    ");
    has(
        &folder.read("points/sidelight.toml"),
        "\ngroup = \"image\"\n",
    );
    // What is there stays, unless it is to be replaced.
    folder.write("points/sidelight.toml", "# mine");
    let said = refused(&folder, "import cvat.xml --out points/metadata.csv");
    has(&said, "points/metadata.csv already exists");
    let said = folder.done("import cvat.xml --out points/metadata.csv --overwrite");
    has(
        &said.stderr,
        "points/sidelight.toml is there already and was left as it is",
    );
    assert_eq!(folder.read("points/sidelight.toml"), "# mine");
    folder.done("import cvat.xml --out other.jsonl --no-config");
    assert!(!folder.exists("sidelight.toml"));
}

#[test]
fn what_cannot_be_read_is_named_with_its_place_and_the_way_out() {
    let folder = with("datumaro.json");
    let text = folder.read("datumaro.json").replace("12.75", "\"left\"");
    folder.write("damaged.json", &text);
    insta::assert_snapshot!(refused(&folder, "import damaged.json --out t.csv"), @r#"
    error: damaged.json, `annotations[0].keypoints[3]`: not what the format has there
      caused by: invalid type: string "left", expected f64 at line 1 column 694

    hint: export it again from the annotation tool; is it of another format?
    "#);
    folder.write("table.csv", "a,b\n1,2\n");
    insta::assert_snapshot!(refused(&folder, "import table.csv --out t.csv"), @r"
    error: table.csv has no annotations of a kind that is read: text that begins `a,b`

    hint: COCO keypoints, YOLO pose, CVAT for images 1.1, LabelMe, Label Studio (its JSON, not JSON-MIN), DeepLabCut's CollectedData CSV and VIA are read; if it is one of them, --format says so
    ");
    let said = refused(&folder, "import nowhere.json --out t.csv");
    has(&said, "error: cannot read nowhere.json");
    let said = refused(&folder, "import datumaro.json --out t.xlsx");
    has(&said, "expected a name ending in .csv");
    assert!(!folder.exists("t.csv"));
}

#[test]
fn images_that_are_not_found_are_counted_and_found_where_told() {
    let folder = with("datumaro.json");
    let [images, photos] = ["images", "photos"].map(|name| folder.path().join(name));
    fs::rename(images, photos).unwrap();
    let said = folder.done("import datumaro.json --out t.csv");
    has(
        &said.stderr,
        "warning: 2 images of 2 not found, a.png for one: say where they are with --images",
    );
    has(&folder.read("t.csv"), "\na.png,10.5,");
    folder.done("import datumaro.json --out t.csv --overwrite --images photos");
    has(&folder.read("t.csv"), "\nphotos/a.png,10.5,");
}

/// A model of two points, and the table of sixteen rows that it learned from.
fn trained() -> Folder {
    let folder = Folder::new();
    let mut table = String::from("file,ear_x,ear_y,tail_x,tail_y,coat\n");
    for row in 0..16 {
        folder.write_bytes(&format!("images/{row}.png"), &png(row));
        let (x, y) = (1.0 + row as f64 / 4.0, 2.5);
        let (tail_x, tail_y) = (x + 1.5, y + 2.25);
        table += &format!("images/{row}.png,{x},{y},{tail_x},{tail_y},red\n");
    }
    folder.write("points.csv", &table);
    folder.write(
        "points.toml",
        "[data]\ntable = \"points.csv\"\nimage = \"file\"\nignore = [\"coat\"]\n\
         [target]\nkind = \"keypoints\"\ncolumns = [\"ear_x\", \"ear_y\", \"tail_x\", \"tail_y\"]\n\
         [train]\nepochs = 1\nsize = 32\nbatch = 8\n",
    );
    folder.done("train points.toml --out a --quiet");
    folder
}

/// The numbers of four columns, row by row.
fn points(folder: &Folder, table: &str) -> Vec<[f64; 4]> {
    let text = folder.read(table);
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let at = ["ear_x", "ear_y", "tail_x", "tail_y"]
        .map(|name| header.iter().position(|found| *found == name).unwrap());
    lines
        .map(|row| at.map(|at| row[at].parse().unwrap()))
        .collect()
}

#[test]
fn predictions_go_back_into_every_tool() {
    let folder = trained();
    folder.done("predict a points.csv --out plain.csv");
    let plain = points(&folder, "plain.csv");
    assert_eq!(plain.len(), 16);
    for (format, out) in [
        ("coco", "coco.json"),
        ("labelstudio", "ls.json"),
        ("cvat", "cvat.xml"),
        ("labelme", "lm"),
        ("yolo", "yolo"),
    ] {
        let line = format!("predict a points.csv --keep coat --out {out} --format {format}");
        let said = folder.done(&line);
        has(&said.stderr, &format!("annotations: {out}\n"));
        assert_eq!(points(&folder, &format!("{out}.csv")), plain, "{format}");
        let table = format!("{format}.back.csv");
        folder.done(&format!(
            "import {out} --out {table} --no-config --images images"
        ));
        let mut back = points(&folder, &table);
        if folder.path().join(out).is_dir() {
            // A folder is in the order of names: 0, 1, 10, 11, …
            let mut names: Vec<usize> = (0..16).collect();
            names.sort_by_key(ToString::to_string);
            let mut sorted = vec![[0.0; 4]; 16];
            for (row, found) in names.into_iter().zip(back) {
                sorted[row] = found;
            }
            back = sorted;
        }
        for (found, expected) in back.iter().flatten().zip(plain.iter().flatten()) {
            // Percent and shares are not exact in binary.
            let apart = (found - expected).abs();
            assert!(apart < 1e-12, "{format}: {found} {expected}");
        }
        let text = folder.read(&table);
        let header = text.lines().next().unwrap();
        assert_eq!(header.contains(",coat"), format != "yolo", "{format}");
    }
    // A person's folder is left as it is, and nothing is predicted first.
    let said = refused(
        &folder,
        "predict a points.csv --out images --format labelme",
    );
    has(
        &said,
        "error: images is there already, and is not an empty folder",
    );
    assert!(!folder.exists("images.csv"));
}

#[test]
fn what_has_no_points_is_refused_before_it_is_predicted() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out a --quiet");
    let said = refused(&folder, "predict a houses.csv --out x.json --format coco");
    has(
        &said,
        "error: --format writes keypoints, and the model predicts a target of kind regression",
    );
    assert!(!folder.exists("x.json.csv"));
}
