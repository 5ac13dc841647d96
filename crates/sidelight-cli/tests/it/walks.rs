//! What people of several trades have, from their table to predictions.

use crate::cases::case;
use crate::folder::{Folder, png};

/// Files of DICOM, a workbook from the office of records, decimals with a comma.
#[test]
fn a_clinic_has_dicom_files_and_a_workbook() {
    let folder = case("clinic");
    let said = folder.done("init records.xlsx --target Befund --out clinic.toml");
    for found in [
        "studies/{Studie}.dcm  image",
        "`0,5` is read as 0.5",
        "target, class",
    ] {
        assert!(said.stdout.contains(found), "{found}: {}", said.stdout);
    }
    // What the files say of the patient becomes metadata by its name; one says no age.
    let toml = folder.read("clinic.toml");
    let asked = "[metadata]\n\"dicom.PatientAge\" = \"continuous\"\n\"dicom.PatientSex\" = \"categorical\"\n";
    let at = toml.find("[metadata]").unwrap();
    let rest = toml[at..].split_once('\n').unwrap().1;
    folder.write("clinic.toml", &format!("{}{asked}{rest}", &toml[..at]));
    let said = folder.done("check clinic.toml");
    assert!(
        said.stderr.contains("32 rows and 32 images"),
        "{}",
        said.stderr
    );
    let said = folder.run("check clinic.toml --set metadata.\"dicom.PatienAge\"=continuous");
    assert_eq!(said.code, 1);
    assert!(
        said.stdout.contains("no column `dicom.PatienAge`"),
        "{}",
        said.stdout
    );

    // The bright square of the ill is within the window that the files say.
    let settings = "--set train.size=32 --set train.epochs=12 --set train.learning_rate=0.01";
    folder.done(&format!("train clinic.toml --out run {settings}"));
    let said = folder.done("eval run --format json");
    let scores: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let auroc = scores
        .as_array()
        .unwrap()
        .iter()
        .find(|score| score["metric"] == "auroc");
    assert_eq!(auroc.unwrap()["value"], 1.0, "{scores}");
    folder.done("predict run records.xlsx --keep Studie --out p.csv");
    let predicted = folder.read("p.csv");
    let lines: Vec<&str> = predicted.lines().collect();
    assert_eq!(lines.len(), 33);
    assert!(
        lines[1].starts_with("S0001,1,studies/S0001.dcm,unauffällig,"),
        "{}",
        lines[1]
    );
    let said = folder.done("explain run --format json");
    assert!(said.stdout.contains("dicom.PatientAge"), "{}", said.stdout);
    let said = folder.done("audit clinic.toml");
    assert!(said.stdout.contains("dicom.PatientAge"), "{}", said.stdout);
}

/// Three photographs of each plant, and the weather of each plot by its date.
#[test]
fn a_farm_has_three_photographs_a_plant_and_weather_by_date() {
    let folder = Folder::new();
    let (mut plants, mut weather) = (
        "bild,plant,plot,taken,sick\n".to_owned(),
        "parcel,day,rain_mm\n".to_owned(),
    );
    for n in 0..40 {
        let (plot, day) = (["a", "b"][n % 2], 11 + n / 2 % 20);
        // What makes plants sick is the rain of that day, nearly always.
        let rain = if n % 3 == 0 { 8 + n % 5 } else { n % 4 };
        let sick = ["no", "yes"][usize::from(rain > 6 && n != 6 || n == 7)];
        for k in 0..3 {
            folder.write_bytes(&format!("p{n}_{k}.png"), &png(n % 7 + k));
            plants += &format!("p{n}_{k}.png,{n},{plot},2026-05-{day}T09:3{k}:00,{sick}\n");
        }
        weather += &format!("{plot},2026-05-{day},{rain}.5\n");
    }
    folder.write("plants.csv", &plants);
    folder.write("weather.csv", &weather);
    let join = "--set data.join={table='weather.csv',on={plot='parcel'},latest={taken='day'}}";
    let said = folder.done(&format!(
        "init plants.csv --target sick --group plant --out farm.toml {join}"
    ));
    assert!(said.stdout.contains("rain_mm"), "{}", said.stdout);
    assert!(
        folder.read("farm.toml").contains("join"),
        "{}",
        folder.read("farm.toml")
    );
    folder.done("check farm.toml");
    let settings = "--set train.size=32 --set train.epochs=60 --set train.learning_rate=0.02";
    folder.done(&format!("train farm.toml --out run {settings}"));
    let said = folder.done("explain run --format json");
    let columns: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(columns[0]["column"], "rain_mm", "{columns}");
    // A plant is scored once, whatever its photographs.
    let said = folder.done("eval run --by plant --format json");
    let scores: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let counted = |of: &str| -> u64 {
        let mut scores = scores.as_array().unwrap().iter();
        let found = scores.find(|score| score["of"] == of && score["metric"] == "accuracy");
        found.unwrap()["n"].as_u64().unwrap()
    };
    assert_eq!(counted("all"), 3 * counted("by plant"), "{scores}");

    // New photographs are joined with the weather that is there by then, whatever the pieces; a table that has the column
    // itself needs no weather.
    weather += "a,2026-06-01,12.5\nb,2026-06-01,0.5\n";
    folder.write("weather.csv", &weather);
    folder.write(
        "new.csv",
        "bild,plot,taken\np1_0.png,a,2026-06-02\np1_0.png,b,2026-06-02\np1_0.png,c,2026-06-02\n",
    );
    folder.done("predict run new.csv --out new.out.csv");
    folder.done("predict run new.csv --out pieces.csv --part-rows 1");
    let predicted = folder.read("new.out.csv");
    assert_eq!(predicted, folder.read("pieces.csv"));
    let answers: Vec<&str> = predicted
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(2).unwrap())
        .collect();
    assert_eq!(answers[..2], ["yes", "no"], "{predicted}");
    folder.write("whole.csv", "bild,plot,taken,rain_mm\np1_0.png,a,2026-06-02,12.5\np1_0.png,b,2026-06-02,0.5\np1_0.png,c,2026-06-02,\n");
    folder.write(
        "photos.csv",
        "bild,plant,plot,taken\np1_0.png,x,a,2026-06-02\np2_0.png,y,b,2026-06-02\np1_1.png,x,a,2026-06-02\n",
    );
    folder.done("predict run photos.csv --by plant --out by_plant.csv");
    let by_plant = folder.read("by_plant.csv");
    let lines: Vec<&str> = by_plant.lines().collect();
    assert_eq!(lines.len(), 3, "{by_plant}");
    assert!(lines[1].starts_with("x,2,2,yes,"), "{by_plant}");
    assert!(lines[2].starts_with("y,1,1,no,"), "{by_plant}");
    std::fs::remove_file(folder.path().join("weather.csv")).unwrap();
    folder.done("predict run whole.csv --out whole.out.csv");
    assert_eq!(predicted, folder.read("whole.out.csv"));
    let said = folder.run("predict run new.csv --out none.csv");
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("weather.csv"), "{}", said.stderr);
    assert!(!folder.exists("none.csv"));
}

/// Four photographs of each house, of which some are missing; the price is in the kitchen and in the number of beds.
#[test]
fn an_estate_agent_has_four_photographs_of_a_house() {
    let folder = Folder::new();
    let rooms = ["front", "kitchen", "bath", "garden"];
    let mut table = format!("house,{},beds,price\n", rooms.join(","));
    let mut list = "house,photos,beds,price\n".to_owned();
    for n in 0..60_usize {
        let shades = [n % 5, n * 7 % 20, n * 3 % 4, n * 11 % 6];
        let mut photos = Vec::new();
        for (room, shade) in rooms.iter().zip(shades) {
            let is_missing = *room != "kitchen" && (n + shade) % 7 == 0;
            let name = format!("{n}_{room}.png");
            if !is_missing {
                folder.write_bytes(&name, &png(shade));
            }
            photos.push(if is_missing { String::new() } else { name });
        }
        let beds = 1 + n * 5 % 4;
        let price = 100_000 + 8_000 * shades[1] + 20_000 * beds + n * 613 % 5_000;
        table += &format!("{n},{},{beds},{price}\n", photos.join(","));
        photos.retain(|photo| !photo.is_empty());
        list += &format!("{n},{},{beds},{price}\n", photos.join(";"));
    }
    folder.write("houses.csv", &table);
    folder.write("list.csv", &list);

    // Whether other images are more of the same or masks only a person knows.
    let said = folder.done("init houses.csv --target price --out one.toml");
    assert!(folder.read("one.toml").contains("image = \"front\"\n"));
    let hint = "--image front,kitchen,bath,garden";
    assert!(said.stderr.contains(hint), "{}", said.stderr);
    folder.done(&format!(
        "init houses.csv --target price --out all.toml {hint}"
    ));
    let image = "image = [\"front\", \"kitchen\", \"bath\", \"garden\"]\n";
    assert!(folder.read("all.toml").contains(image));
    let said = folder.done("check all.toml");
    assert!(said.stderr.contains("60 rows and 2"), "{}", said.stderr);

    let settings = "--set train.size=32 --set train.epochs=40 --set train.learning_rate=0.01 --set train.batch=16";
    folder.done(&format!("train all.toml --out run {settings}"));
    let scores = |run: &str| -> serde_json::Value {
        let said = folder.done(&format!("eval {run} --format json"));
        serde_json::from_str(&said.stdout).unwrap()
    };
    let r2 = |scores: &serde_json::Value| {
        let mut scores = scores.as_array().unwrap().iter();
        let r2 = scores.find(|score| score["metric"] == "r2").unwrap();
        r2["value"].as_f64().unwrap()
    };
    let all = scores("run");
    assert!(r2(&all) > 0.7, "{all}");

    // A house without a garden, and one without any photograph, are predicted; a table without the column is refused.
    folder.write(
        "new.csv",
        "front,kitchen,bath,garden,beds\n1_front.png,1_kitchen.png,,,2\n,,,,2\n",
    );
    folder.done("predict run new.csv --out new.out.csv");
    let predicted = folder.read("new.out.csv");
    assert_eq!(predicted.lines().count(), 3, "{predicted}");
    assert!(
        predicted
            .lines()
            .nth(1)
            .unwrap()
            .starts_with("1,1_front.png;1_kitchen.png,"),
        "{predicted}"
    );
    folder.write(
        "less.csv",
        "front,kitchen,beds\n1_front.png,1_kitchen.png,2\n",
    );
    let said = folder.run("predict run less.csv --out less.out.csv");
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("no column `bath`"), "{}", said.stderr);
    assert!(!folder.exists("less.out.csv"));

    // As a list in one cell, which `init` sees by itself.
    let said = folder.done("init list.csv --target price --out list.toml");
    assert!(said.stdout.contains("photos  image"), "{}", said.stdout);
    assert!(folder.read("list.toml").contains("images_per_cell = 4"));
    folder.done("check list.toml");
    folder.done(&format!(
        "train list.toml --out of_list {settings} --set model.image_pooling=attention"
    ));
    let listed = scores("of_list");
    assert!(r2(&listed) > 0.5, "{listed}");

    folder.done("explain run --format json --out explain.html");
    folder.done("export run --onnx model.onnx");
    folder.done("show all.toml --out show.html");
    folder.done("audit all.toml");
    let said = folder.run(
        "train all.toml --out no --set data.image=['front','kitchen'] --set data.images_per_cell=2",
    );
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains("`data.images_per_cell`"),
        "{}",
        said.stderr
    );
}

/// A contest in histopathology: two columns, ids without ending, patches as TIFF in a folder for each part, and a file to
/// hand in.
#[test]
fn a_contestant_has_ids_without_ending_and_hands_in_what_was_predicted() {
    let folder = Folder::new();
    let id = |n: usize| format!("{:08x}", (n as u32).wrapping_mul(0x9e37_79b9));
    // Tumour in the middle of a patch makes it positive; elsewhere it does not.
    let label = |n: usize| (n * 7 + n / 3) % 5 < 2;
    let (n_train, n_test) = (80, 30);
    let mut train = "id,label\n".to_owned();
    for n in 0..n_train {
        train += &format!("{},{}\n", id(n), u8::from(label(n)));
        folder.write_bytes(&format!("train/{}.tif", id(n)), &patch(n, label(n)));
    }
    folder.write("train_labels.csv", &train);
    let tested = n_train..n_train + n_test;
    let mut test = "id\n".to_owned();
    for n in tested.clone() {
        test += &format!("{}\n", id(n));
        folder.write_bytes(&format!("test/{}.tif", id(n)), &patch(n, label(n)));
    }
    folder.write("test.csv", &test);

    let said = folder.done("init train_labels.csv --target label --out patches.toml");
    for found in ["train/{id}.tif  image", "target, class"] {
        assert!(said.stdout.contains(found), "{found}: {}", said.stdout);
    }
    let said = folder.done("check patches.toml");
    assert!(
        said.stderr.contains("80 rows and 80 images"),
        "{}",
        said.stderr
    );
    let settings = "--set model.backbone=small_cnn --set train.size=32 --set train.epochs=12 \
                    --set train.learning_rate=0.01";
    folder.done(&format!("train patches.toml --out run {settings}"));

    // The patches of the test are in a folder of their own: that is found out before rows are listed as bad.
    let said = folder.run("predict run test.csv --keep id --out submission.csv");
    assert_eq!(said.code, 2);
    for found in [
        "none of the first 30 images is at `train/{id}.tif`",
        "--image 'test/{id}.tif'",
    ] {
        assert!(said.stderr.contains(found), "{found}: {}", said.stderr);
    }
    assert!(!folder.exists("submission.csv") && !folder.exists("submission.csv.parts"));
    folder.done("predict run test.csv --image test/{id}.tif --keep id --out submission.csv");
    let submission = folder.read("submission.csv");
    let mut lines = submission.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let expected = [
        "id",
        "row",
        "image",
        "prediction",
        "probability",
        "p(0)",
        "p(1)",
        "problem",
    ];
    assert_eq!(header, expected);
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let ids: Vec<String> = rows.iter().map(|row| row[0].to_owned()).collect();
    assert_eq!(ids, tested.clone().map(id).collect::<Vec<_>>());
    // AUROC: how often a patch with tumour is above one without.
    let of = |which: bool| {
        let rows = rows.iter().zip(tested.clone());
        let rows = rows.filter(move |(_, n)| label(*n) == which);
        rows.map(|(row, _)| row[6].parse().unwrap())
            .collect::<Vec<f64>>()
    };
    let (with, without) = (of(true), of(false));
    let above = with
        .iter()
        .flat_map(|p| without.iter().map(move |q| p > q))
        .filter(|is_above| *is_above);
    let auroc = above.count() as f64 / (with.len() * without.len()) as f64;
    assert!(auroc > 0.8, "{auroc}\n{submission}");
}

/// A patch of 96 × 96 pixels as uncompressed TIFF: pink and noisy, with dark cells in the middle or beside it.
fn patch(n: usize, is_tumour: bool) -> Vec<u8> {
    const SIDE: usize = 96;
    let mut tif = b"II*\0\x08\0\0\0".to_vec();
    let entries: [[u32; 4]; 9] = [
        [256, 4, 1, SIDE as u32],
        [257, 4, 1, SIDE as u32],
        // Bits of each of three values, behind the list.
        [258, 3, 3, 122],
        [259, 3, 1, 1],
        [262, 3, 1, 2],
        [273, 4, 1, 128],
        [277, 3, 1, 3],
        [278, 4, 1, SIDE as u32],
        [279, 4, 1, (SIDE * SIDE * 3) as u32],
    ];
    tif.extend(9_u16.to_le_bytes());
    for [tag, kind, count, value] in entries {
        tif.extend((tag as u16).to_le_bytes());
        tif.extend((kind as u16).to_le_bytes());
        tif.extend(count.to_le_bytes());
        tif.extend(value.to_le_bytes());
    }
    tif.extend([0; 4]);
    tif.extend([8, 0, 8, 0, 8, 0]);
    let corner = [[4, 4], [60, 4], [4, 60], [60, 60]][n % 4];
    let [left, top] = if is_tumour { [32, 32] } else { corner };
    let mut noise = n as u32 + 1;
    for y in 0..SIDE {
        for x in 0..SIDE {
            let is_cell = (left..left + 32).contains(&x) && (top..top + 32).contains(&y);
            let colour = if is_cell {
                [90, 40, 130]
            } else {
                [220, 160, 190]
            };
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            tif.extend(colour.map(|value: u32| (value + (noise >> 24) / 8) as u8));
        }
    }
    tif
}
