//! `sidelight features`: a row of numbers for each row of a table, in its order.

use crate::folder::{Folder, has, refused};

/// The matrix of a `.npy`: its shape and its numbers.
fn matrix(bytes: &[u8]) -> ([usize; 2], Vec<f32>) {
    let length = usize::from(u16::from_le_bytes(bytes[8..10].try_into().unwrap()));
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!(header.contains("'descr': '<f4', 'fortran_order': False"));
    let shape = header.split('(').nth(1).unwrap().split(')').next().unwrap();
    let sides: Vec<usize> = shape
        .split(',')
        .map(|side| side.trim().parse().unwrap())
        .collect();
    let numbers = bytes[10 + length..].as_chunks::<4>().0.iter();
    let numbers: Vec<f32> = numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect();
    assert_eq!(numbers.len(), sides[0] * sides[1]);
    ([sides[0], sides[1]], numbers)
}

#[test]
fn a_table_and_a_matrix_say_the_same_whatever_the_threads_and_batches() {
    let folder = Folder::with_houses();
    let said = folder.done("features houses.toml");
    has(&said.stderr, "`small_cnn` has random weights");
    let bytes = folder.read_bytes("features.npy");
    let ([n_rows, width], numbers) = matrix(&bytes);
    assert_eq!(n_rows, 24);
    has(
        &said.stderr,
        &format!("24 rows of {width} features: features.npy"),
    );
    folder.done("features houses.toml --out b.npy --threads 1 --set train.batch=5 --quiet");
    assert!(folder.read_bytes("b.npy") == bytes);

    folder.done("features houses.toml --out f.csv");
    let csv = folder.read("f.csv");
    let mut lines = csv.lines();
    assert!(lines.next().unwrap().starts_with("row,image,f0,f1,"));
    for (at, line) in lines.enumerate() {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[0], (at + 1).to_string());
        assert!(cells[1].ends_with(&format!("{at}.png")), "{line}");
        let found: Vec<f32> = cells[2..]
            .iter()
            .map(|cell| cell.parse().unwrap())
            .collect();
        assert_eq!(found, numbers[at * width..(at + 1) * width]);
    }
    folder.done("features houses.toml --out f.parquet");
    assert!(folder.read_bytes("f.parquet").starts_with(b"PAR1"));
}

#[test]
fn rows_without_a_usable_image_are_listed_and_are_not_numbers() {
    let folder = Folder::with_houses();
    folder.done("features houses.toml --out whole.npy");
    let ([_, width], whole) = matrix(&folder.read_bytes("whole.npy"));
    std::fs::remove_file(folder.path().join("3.png")).unwrap();
    folder.write("5.png", "no picture");
    let table = folder.read("houses.csv");
    folder.write("houses.csv", &table.replace("\n7.png,", "\n,"));
    let said = folder.run("features houses.toml --out f.npy");
    assert_eq!(said.code, 1, "{said:?}");
    has(&said.stderr, "3 rows of 24 without features");
    for row in ["row 4", "row 6", "row 8"] {
        has(&said.stderr, row);
    }
    let (shape, found) = matrix(&folder.read_bytes("f.npy"));
    assert_eq!(shape, [24, width]);
    for row in 0..24 {
        let of_row = row * width..(row + 1) * width;
        match row {
            3 | 5 | 7 => assert!(found[of_row].iter().all(|value| value.is_nan())),
            _ => assert_eq!(found[of_row.clone()], whole[of_row], "row {row}"),
        }
    }
}

#[test]
fn a_run_gives_those_of_its_trained_backbone_for_any_table() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out a --quiet --set train.freeze_epochs=0");
    folder.write("new.csv", "picture\n4.png\n9.png\n");
    folder.done("features a new.csv --image picture --out new.npy");
    let ([n_rows, width], new) = matrix(&folder.read_bytes("new.npy"));
    assert_eq!(n_rows, 2);
    folder.done("features a --out own.npy");
    let (_, own) = matrix(&folder.read_bytes("own.npy"));
    assert_eq!(new[..width], own[4 * width..5 * width]);
    assert_eq!(new[width..], own[9 * width..10 * width]);
    folder.done("features houses.toml --out begun.npy");
    let (_, begun) = matrix(&folder.read_bytes("begun.npy"));
    assert_ne!(begun, own);
    let said = refused(&folder, "features a --out x.npy --set train.size=64");
    has(&said, "hint: leave out --set, or give a sidelight.toml");
}

#[test]
fn a_target_is_not_asked_for() {
    let folder = Folder::with_houses();
    folder.write("few.csv", "file_name\n1.png\n2.png\n");
    folder.done("features houses.toml few.csv --out f.npy");
    assert_eq!(matrix(&folder.read_bytes("f.npy")).0[0], 2);
}

#[test]
fn what_cannot_be_written_or_read_is_refused() {
    let folder = Folder::with_houses();
    folder.write("f.npy", "mine");
    let said = refused(&folder, "features houses.toml --out f.npy");
    has(&said, "f.npy already exists");
    assert_eq!(folder.read("f.npy"), "mine");
    folder.done("features houses.toml --out f.npy --overwrite");
    assert_eq!(matrix(&folder.read_bytes("f.npy")).0[0], 24);
    let said = refused(&folder, "features houses.toml --out f.txt");
    has(&said, "a name ending in .npy, .parquet, .csv or .jsonl");
    folder.done("train houses.toml --out m --quiet --set model.arm=metadata");
    let said = refused(&folder, "features m --out g.npy");
    has(&said, "model.arm");
    folder.write("none.csv", "file_name\n");
    refused(&folder, "features houses.toml none.csv --out g.npy");
    assert!(!folder.exists("g.npy"));
}
