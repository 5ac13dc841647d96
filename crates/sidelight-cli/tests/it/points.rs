//! Points as people who annotate them know them: which can be seen, how sure a prediction is, one of several objects.

use crate::folder::{Folder, all, has, tiff};

/// A white square of 6 pixels about each point, on a grey that no other image has.
fn square(nth: usize, sides: [usize; 2], middles: &[[usize; 2]]) -> Vec<u8> {
    tiff(3, sides, |[x, y], _| {
        let is_in = |[mx, my]: &[usize; 2]| x.abs_diff(*mx) < 3 && y.abs_diff(*my) < 3;
        match middles.iter().any(is_in) {
            true => 250,
            false => 40 + ((x * 7 + y * 13 + nth) % 20 + nth / 2) as u8,
        }
    })
}

/// Cells of a CSV file by the names of their columns, row by row.
fn rows(csv: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<String> = lines.next().unwrap().collect();
    lines
        .map(|cells| names.iter().cloned().zip(cells).collect())
        .collect()
}

#[test]
fn points_that_cannot_be_seen_are_told_from_those_that_can() {
    let folder = Folder::new();
    let mut table = String::from("file_name,nose_x,nose_y,nose_v\n");
    for row in 0..120 {
        let [x, y] = [5 + row * 7 % 22, 5 + row * 11 % 22];
        let is_there = row % 3 > 0;
        let middles: &[[usize; 2]] = if is_there { &[[x, y]] } else { &[] };
        folder.write_bytes(&format!("{row}.tif"), &square(row, [32, 32], middles));
        table += &match is_there {
            true => format!("{row}.tif,{x},{y},2\n"),
            false => format!("{row}.tif,0,0,0\n"),
        };
    }
    folder.write("t.csv", &table);
    folder.write(
        "t.toml",
        r#"data.table = "t.csv"
target = { kind = "keypoints", columns = ["nose_x", "nose_y"], visibility = ["nose_v"], names = ["nose"] }
model = { backbone = "small_cnn", arm = "image" }
train = { size = 32, epochs = 40, batch = 16 }
"#,
    );
    let said = folder.run("check t.toml");
    assert_eq!(said.code, 0, "{}", all(&said));
    let said = folder.run("train t.toml --out run");
    assert_eq!(said.code, 0, "{}", all(&said));
    // Rows without a point are there to be learned from, and to be scored in how sure the model is of them.
    let held_out = rows(&folder.read("run/predictions.csv"));
    let confidence = |is_there: bool| {
        let number = |cell: &String| cell.parse::<f64>().unwrap();
        let of: Vec<f64> = held_out
            .iter()
            .filter(|row| row["true_nose_x"].is_empty() != is_there)
            .map(|row| number(&row["nose_conf"]))
            .collect();
        assert!(of.len() > 4, "{held_out:?}");
        of
    };
    let (seen, hidden) = (confidence(true), confidence(false));
    let pairs = seen.iter().flat_map(|a| hidden.iter().map(move |b| a > b));
    let n_right = pairs.filter(|is_right| *is_right).count();
    let auroc = n_right as f64 / (seen.len() * hidden.len()) as f64;
    assert!(auroc > 0.9, "{auroc}: {seen:?} {hidden:?}");

    let said = folder.run("predict run t.csv --min-confidence 0.5 --out p.csv");
    assert_eq!(said.code, 0, "{}", all(&said));
    let found = rows(&folder.read("p.csv"));
    assert_eq!(found.len(), 120);
    for row in &found {
        let is_sure = row["nose_conf"].parse::<f64>().unwrap() >= 0.5;
        assert_eq!(row["nose_x"].is_empty(), !is_sure, "{row:?}");
        assert!(row["nose_error"].parse::<f64>().unwrap() > 0.0);
    }
    let n_left = found.iter().filter(|row| !row["nose_x"].is_empty()).count();
    assert!((60..=100).contains(&n_left), "{n_left}");
    // Points, and how sure they are, go on the way that all predictions go.
    let said = folder.run("export run --onnx m.onnx");
    assert_eq!(said.code, 0, "{}", all(&said));
    has(&all(&said), "visible");
    has(&all(&said), "expected_error");
    // The head of this run begins the next, whatever stands beside it.
    let said = folder.run("train t.toml --out next --set model.weights=run --set train.epochs=1");
    assert_eq!(said.code, 0, "{}", all(&said));
    let said = folder.run("predict run t.csv --min-confidence 1.5 --out q.csv");
    assert_eq!(said.code, 2, "{}", all(&said));
    has(&said.stderr, "a number from 0 to 1");
}

#[test]
fn metadata_chooses_one_of_the_candidates_that_an_image_has() {
    let folder = Folder::new();
    let mut table = String::from("file_name,x,y,side\n");
    for row in 0..200 {
        let y = |side: usize| 5 + (row * 11 + side * 17) % 22;
        let (left, right) = ([5 + row * 7 % 16, y(0)], [43 + row * 13 % 16, y(1)]);
        folder.write_bytes(
            &format!("{row}.tif"),
            &square(row % 7, [64, 32], &[left, right]),
        );
        // In a tenth of the rows the cell is missing that says which.
        let (side, [x, y]) = match row * 31 % 7 < 3 {
            true => ("left", left),
            false => ("right", right),
        };
        let side = if row % 10 == 0 { "" } else { side };
        table += &format!("{row}.tif,{x},{y},{side}\n");
    }
    folder.write("t.csv", &table);
    folder.write(
        "t.toml",
        r#"data.table = "t.csv"
target = { kind = "keypoints", columns = ["x", "y"] }
metadata.side = "categorical"
model = { backbone = "small_cnn", head = "candidates", candidates = 3, dropout = 0.0 }
augment = { hide_metadata = 0.1 }
train = { size = 32, epochs = 30, batch = 16 }
"#,
    );
    let said = folder.run("train t.toml --out run");
    assert_eq!(said.code, 0, "{}", all(&said));
    let number = |cell: &String| cell.parse::<f64>().unwrap();
    let (mut n, mut n_right) = (0, 0);
    for row in rows(&folder.read("run/predictions.csv")) {
        let probabilities: Vec<f64> = (1..=3)
            .map(|k| number(&row[&format!("candidate{k}_probability")]))
            .collect();
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-4);
        assert!(probabilities.is_sorted_by(|a, b| a >= b), "{row:?}");
        let index: usize = row["image"].trim_end_matches(".tif").parse().unwrap();
        if !index.is_multiple_of(10) {
            let off = |axis: &str| number(&row[axis]) - number(&row[&format!("true_{axis}")]);
            n += 1;
            n_right += usize::from(off("x").hypot(off("y")) < 8.0);
        }
    }
    assert!(n > 20 && n_right * 100 >= n * 95, "{n_right} of {n}");
    // Several looks, as any prediction; the columns are there for every row.
    let said = folder.run("predict run t.csv --tta 2 --out p.csv");
    assert_eq!(said.code, 0, "{}", all(&said));
    let predicted = rows(&folder.read("p.csv"));
    assert!(
        predicted
            .iter()
            .all(|row| number(&row["candidate2_x"]) > 0.0)
    );
    let said = folder.run("export run --onnx m.onnx");
    assert_eq!(said.code, 0, "{}", all(&said));
    has(&all(&said), "candidate_probabilities");
    // What candidates do not go with is said before anything is read.
    let refused = |set: &str, words: &str| {
        let said = folder.run(&format!("train t.toml --out no --set {set}"));
        assert_eq!(said.code, 2, "{}", all(&said));
        has(&said.stderr, words);
    };
    refused("model.fusion=film", "the metadata chooses one");
    refused("model.arm=metadata", "reads no image");
    refused("model.arm=vote", "no candidates");
    refused("model.candidates=1", "2 to 32");
}

#[test]
fn one_of_two_objects_is_found_in_its_box_and_told_in_pixels_of_the_image() {
    let folder = Folder::new();
    let mut table = String::from("file_name,x,y,bx,by,bw,bh\n");
    for image in 0..80 {
        let y = |side: usize| 5 + (image * 11 + side * 5) % 22;
        let (left, right) = ([5 + image * 7 % 22, y(0)], [37 + image * 13 % 22, y(1)]);
        folder.write_bytes(
            &format!("{image}.tif"),
            &square(image, [64, 32], &[left, right]),
        );
        for ([x, y], start) in [(left, 0), (right, 32)] {
            table += &format!("{image}.tif,{x},{y},{start},0,32,32\n");
        }
    }
    folder.write("t.csv", &table);
    folder.write(
        "t.toml",
        r#"data = { table = "t.csv", crop = ["bx", "by", "bw", "bh"], group = "file_name" }
target = { kind = "keypoints", columns = ["x", "y"] }
model = { backbone = "small_cnn", arm = "image" }
train = { size = 32, epochs = 40, batch = 16 }
"#,
    );
    let said = folder.run("check t.toml");
    assert_eq!(said.code, 0, "{}", all(&said));
    // Two parts of one image are not the same image twice.
    has(&all(&said), "no problems");
    let said = folder.run("train t.toml --out run");
    assert_eq!(said.code, 0, "{}", all(&said));
    let metrics: serde_json::Value =
        serde_json::from_str(&folder.read("run/metrics.json")).unwrap();
    // Who does not know which of the two is meant is 16 pixels off.
    let px = metrics["metrics"]["mean_px"].as_f64().unwrap();
    assert!(px < 5.0, "{metrics}");
    let said = folder.run("predict run t.csv --out p.csv");
    assert_eq!(said.code, 0, "{}", all(&said));
    for (at, row) in rows(&folder.read("p.csv")).iter().enumerate() {
        let x: f64 = row["x"].parse().unwrap();
        assert_eq!(x > 32.0, at % 2 == 1, "{row:?}");
    }
    // A box beside its image is named, with both.
    folder.write("u.csv", "file_name,x,y,bx,by,bw,bh\n0.tif,5,5,90,0,32,32\n");
    let said = folder.run("predict run u.csv --out q.csv");
    assert_eq!(said.code, 1, "{}", all(&said));
    has(
        &all(&said),
        "32 × 32 at (90, 0) lies outside its 64 × 32 pixels",
    );
    // So is a width that is none, by its cell.
    folder.write("t.csv", &table.replacen("0,0,32,32", "0,0,-3,32", 1));
    let said = folder.run("train t.toml --out other");
    assert_eq!(said.code, 2, "{}", all(&said));
    has(&said.stderr, "bw");
    has(&said.stderr, "a number above 0");
}
