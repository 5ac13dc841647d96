//! Tables whose cells are addresses of images.

use crate::folder::{Folder, Said};
use crate::shards::serve;

/// The houses, once with paths and once with the addresses that a server has their pictures under.
fn with_addresses() -> (Folder, String) {
    let folder = Folder::with_houses();
    let (root, _) = serve(folder.path());
    let there: String = folder
        .read("houses.csv")
        .lines()
        .map(|line| match line.starts_with("file_name") {
            true => format!("{line}\n"),
            false => format!("{root}/{line}\n"),
        })
        .collect();
    folder.write("there.csv", &there);
    (folder, root)
}

#[track_caller]
fn has(said: &Said, part: &str) {
    let all = format!("{}{}", said.stdout, said.stderr);
    assert!(all.contains(part), "no {part:?} in\n{all}");
}

#[test]
fn images_at_addresses_train_and_predict_as_those_on_disk() {
    let (folder, root) = with_addresses();
    let init = |table: &str, toml: &str| {
        folder.done(&format!(
            "init {table} --target price --ignore tree --out {toml} --set train.size=32 --set train.epochs=1"
        ))
    };
    init("houses.csv", "local.toml");
    has(&init("there.csv", "there.toml"), "file_name  image");
    let said = folder.done("check there.toml");
    has(&said, "24 rows and 24 images");
    folder.done("train local.toml --quiet --out local");
    folder.done("train there.toml --quiet --out there");
    let weights = "model/weights.safetensors";
    assert!(
        folder.read_bytes(&format!("local/{weights}"))
            == folder.read_bytes(&format!("there/{weights}"))
    );
    folder.done("predict there there.csv --out there.out.csv");
    folder.done("predict local houses.csv --out local.out.csv");
    assert_eq!(
        folder
            .read("there.out.csv")
            .replace(&format!("{root}/"), ""),
        folder.read("local.out.csv")
    );
    // The columns that make the address, as those that make a path.
    let ids: String = folder.read("houses.csv").replace(".png", "");
    folder.write("ids.csv", &ids);
    let toml = folder.read("there.toml").replace("there.csv", "ids.csv");
    folder.write("ids.toml", &toml);
    let image = format!("--set data.image={root}/{{file_name}}.png");
    folder.done(&format!("train ids.toml --quiet --out ids {image}"));
    assert!(
        folder.read_bytes(&format!("local/{weights}"))
            == folder.read_bytes(&format!("ids/{weights}"))
    );
    folder.done("eval there --format json");
}

#[test]
fn an_address_that_nobody_has_is_a_missing_image_and_one_that_is_none_is_said_to_be() {
    let (folder, root) = with_addresses();
    let gone = folder
        .read("there.csv")
        .replace(&format!("{root}/3.png"), &format!("{root}/gone.png"));
    folder.write("there.csv", &gone);
    folder.write(
        "there.toml",
        &folder
            .read("houses.toml")
            .replace("houses.csv", "there.csv"),
    );
    let said = folder.run("check there.toml");
    assert_eq!(said.code, 1);
    has(
        &said,
        &format!("1 of 24 images is not there: {root}/gone.png (there.csv, row 4 (line 5))"),
    );
    has(&said, "correct the addresses, or leave their rows out");
    let said = folder.run("train there.toml --out run");
    assert_eq!(said.code, 2);
    has(&said, "row 4");
    has(
        &said,
        &format!("cannot fetch {root}/gone.png: it is not there"),
    );
    has(&said, "of an image, correct its cell, or leave the row out");

    folder.done("train houses.toml --quiet --out good");
    let odd = gone
        .replace(&format!("{root}/5.png"), "ftp://host/5.png")
        .replace(&format!("{root}/7.png"), &format!("{root}/7.png?size=8"));
    folder.write("odd.csv", &odd);
    let said = folder.run("predict good odd.csv --out odd.out.csv");
    assert_eq!(said.code, 1, "{}", said.stderr);
    let out = folder.read("odd.out.csv");
    let line = |row: usize| out.lines().nth(row).unwrap();
    assert!(line(4).contains("gone.png: it is not there"), "{out}");
    assert!(line(6).contains("s3://bucket/key"), "{out}");
    assert!(line(8).contains("without `?` and `#`"), "{out}");
    assert_eq!(
        out.lines().filter(|line| line.ends_with(',')).count(),
        21,
        "{out}"
    );
}
