//! Archives: their samples, their names, and every way they can be broken.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::{Cell, MAX_ROW_BYTES, Pieces, ReadLimit, Table, Values};
use super::cells;

/// An archive of these files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Two whole samples, one without an image.
fn shard() -> Vec<u8> {
    tar(&[
        ("a/0.jpg", b"first"),
        (
            "a/0.json",
            br#"{"beds": 3, "image": "not this one", "tags": ["x"]}"#,
        ),
        ("a/0.cls", b"7\n"),
        ("a/1.seg.png", b"a mask"),
        ("a/1.json", br#"{"beds": null}"#),
        ("a/1.PNG", b"second"),
        ("a/1.txt", "Gr\u{fc}n".as_bytes()),
        ("._hidden", b""),
        ("2.json", br#"{"beds": "many"}"#),
    ])
}

struct Shards(tempfile::TempDir);

impl Shards {
    fn new(shards: &[(&str, Vec<u8>)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in shards {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        Self(folder)
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    /// Places and reasons of bad rows, the folder left out; and the number of rows.
    fn bad(&self, name: &str) -> (usize, Vec<String>) {
        let (n_rows, bad) = bad(&self.path(name), 2);
        let folder = format!("{}/", self.0.path().display());
        (
            n_rows,
            bad.iter().map(|bad| bad.replace(&folder, "")).collect(),
        )
    }
}

fn bad(path: &Path, rows: usize) -> (usize, Vec<String>) {
    let mut pieces = Pieces::open(&[path.to_path_buf()]).unwrap();
    let (mut n_rows, mut bad) = (0, Vec::new());
    while let Some(piece) = pieces.next(ReadLimit::rows(rows)).unwrap() {
        n_rows += piece.table.n_rows;
        bad.extend(
            piece
                .bad
                .iter()
                .map(|bad| format!("{}: {}", piece.table.row_place(bad.row), bad.error)),
        );
    }
    (n_rows, bad)
}

#[test]
fn the_texts_beside_images_count_as_bytes_of_a_piece() {
    let text = [b'x'; 3000];
    let names: Vec<String> = (0..12)
        .map(|file| format!("{}.{}", file / 3, ["cls", "json", "txt"][file % 3]))
        .collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| match name.ends_with("json") {
            true => (name.as_str(), b"{}".as_slice()),
            false => (name.as_str(), text.as_slice()),
        })
        .collect();
    let shards = Shards::new(&[("a.tar", tar(&files))]);
    let mut pieces = Pieces::open(&[shards.path("a.tar")]).unwrap();
    let limit = ReadLimit {
        rows: 100,
        step: 1,
        bytes: 10_000,
    };
    // 6,002 bytes a row: the second is beyond the limit.
    for _ in 0..2 {
        assert_eq!(pieces.next(limit).unwrap().unwrap().table.n_rows, 2);
    }
    assert!(pieces.next(limit).unwrap().is_none());
}

#[test]
fn files_of_one_name_are_a_row() {
    let shards = Shards::new(&[("s.tar", shard())]);
    let table = Table::read(&shards.path("s.tar")).unwrap();
    assert_eq!(table.n_rows, 3);
    assert_eq!(
        table.names(),
        ["image", "__key__", "beds", "tags", "cls", "txt"]
    );
    assert_eq!(
        cells(&table, "__key__"),
        ["a/0", "a/1", "2"].map(Cell::Text)
    );
    assert_eq!(
        cells(&table, "beds"),
        [Cell::Text("3"), Cell::Missing, Cell::Text("many")]
    );
    assert_eq!(cells(&table, "cls")[0], Cell::Text("7"));
    assert_eq!(cells(&table, "txt")[1], Cell::Text("Gr\u{fc}n"));
    let Values::Members(images) = &table.column("image").unwrap().values else {
        panic!("images are members");
    };
    let bytes = |row: usize| images[row].as_ref().map(|member| member.read().unwrap());
    assert_eq!(bytes(0).unwrap(), b"first");
    assert_eq!(bytes(1).unwrap(), b"second");
    assert_eq!(bytes(2), None);
    assert!(
        table
            .place(1, "beds")
            .to_string()
            .ends_with("s.tar, row 2, sample `a/1`, column `beds`"),
        "{}",
        table.place(1, "beds")
    );
}

#[test]
fn long_names_in_either_manner_are_names() {
    let long = format!("{}/x.jpg", "folder/".repeat(40).trim_end_matches('/'));
    let mut pax = ::tar::Builder::new(Vec::new());
    pax.append_pax_extensions([("path", long.as_bytes())])
        .unwrap();
    let mut header = ::tar::Header::new_ustar();
    header.set_size(3);
    header.set_path("short.jpg").unwrap();
    header.set_cksum();
    pax.append(&header, &b"abc"[..]).unwrap();
    for bytes in [tar(&[(long.as_str(), b"abc")]), pax.into_inner().unwrap()] {
        let shards = Shards::new(&[("s.tar", bytes)]);
        let table = Table::read(&shards.path("s.tar")).unwrap();
        let key = long.trim_end_matches(".jpg");
        assert_eq!(cells(&table, "__key__"), [Cell::Text(key)]);
    }
}

#[test]
fn archives_are_named_by_braces_by_folder_or_one_by_one() {
    let one = |key: &str| {
        tar(&[
            (&format!("{key}.jpg"), b"x"),
            (&format!("{key}.json"), b"{}"),
        ])
    };
    let shards = Shards::new(&[
        ("s-00.tar", one("a")),
        ("s-01.tar", one("b")),
        ("s-10.tar", one("c")),
        ("notes.txt", b"not an archive".to_vec()),
    ]);
    let keys = |paths: &[PathBuf]| {
        let mut pieces = Pieces::open(paths).unwrap();
        let piece = pieces.next(ReadLimit::rows(9)).unwrap().unwrap();
        let keys = cells(&piece.table, "__key__");
        keys.iter()
            .map(|cell| cell.to_text().unwrap().into_owned())
            .collect::<String>()
    };
    assert_eq!(keys(&[shards.path("")]), "abc");
    assert_eq!(keys(&[shards.path("s-{00..01}.tar")]), "ab");
    assert_eq!(keys(&[shards.path("s-{10,00}.tar")]), "ca");
    assert_eq!(keys(&[shards.path("s-{0,1}0.tar")]), "ac");
    assert_eq!(
        keys(&[shards.path("s-10.tar"), shards.path("s-{00..01}.tar")]),
        "cab"
    );
    assert_eq!(Table::read(&shards.path("")).unwrap().n_rows, 3);

    let refused = |name: &str| {
        let error = Pieces::open(&[shards.path(name)]).unwrap_err();
        let folder = format!("{}/", shards.0.path().display());
        error.to_string().replace(&folder, "")
    };
    assert_eq!(refused("s-{00..02}.tar"), "cannot read s-02.tar");
    assert_eq!(
        refused("s-{00.tar"),
        "s-{00.tar: expected braces as in `{000..009}` or `{a,b}`, found `00.tar`"
    );
    assert!(refused("s-{0..99999999}.tar").contains("expected braces"));
    assert!(refused("s-{x}.tar").contains("expected braces"));
}

#[test]
fn a_bad_sample_keeps_its_place_and_the_next_are_read() {
    let mut large = br#"{"a": ""#.to_vec();
    large.resize(MAX_ROW_BYTES + 1, b'x');
    let shards = Shards::new(&[(
        "s.tar",
        tar(&[
            ("0.jpg", b"x"),
            ("0.json", b"{"),
            ("1.jpg", b"x"),
            ("1.json", b"[1]"),
            ("2.json", &large),
            ("2.jpg", b"x"),
            ("3.cls", b"\xff"),
            ("4.jpg", b"x"),
            ("4.json", b"{}"),
        ]),
    )]);
    let (n_rows, bad) = shards.bad("s.tar");
    assert_eq!(n_rows, 5);
    insta::assert_snapshot!(bad.join("\n"), @r#"
    s.tar, row 1, sample `0`: s.tar, row 1, sample `0`: not valid JSON
    s.tar, row 2, sample `1`: s.tar, row 2, sample `1`: expected an object (`{"file_name": …}`), found a list
    s.tar, row 3, sample `2`: s.tar, row 3, sample `2`: `2.json` has 16777217 bytes; the limit is 16777216
    s.tar, row 4, sample `3`: s.tar, row 4, sample `3`, column `cls`: not valid UTF-8
    "#);
}

#[test]
fn an_archive_that_is_cut_short_is_named_with_its_offset_and_the_next_is_read() {
    let whole = shard();
    // Inside the second sample's image: headers of 512 bytes, contents padded to as many.
    let cut = whole
        .windows(6)
        .position(|bytes| bytes == b"second")
        .unwrap()
        + 3;
    let shards = Shards::new(&[("s-0.tar", whole[..cut].to_vec()), ("s-1.tar", shard())]);
    let (n_rows, bad) = shards.bad("s-{0..1}.tar");
    assert_eq!(n_rows, 5);
    assert_eq!(
        bad,
        [format!(
            "s-0.tar, row 2, sample `a/1`: s-0.tar: cut short at byte {cut}"
        )]
    );
    // The file that it broke off in may be the next sample's: the one before is whole.
    let cut = whole
        .windows(6)
        .position(|bytes| bytes == b"2.json")
        .unwrap()
        + 514;
    let shards = Shards::new(&[("s-0.tar", whole[..cut].to_vec())]);
    let (n_rows, bad) = shards.bad("s-0.tar");
    let expected = format!("s-0.tar, row 3, sample `2`: s-0.tar: cut short at byte {cut}");
    assert_eq!((n_rows, bad), (3, vec![expected]));
    let error = Table::read(&shards.path("s-0.tar")).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with(&format!("cut short at byte {cut}")),
        "{error}"
    );
    assert_eq!(
        error.hint().unwrap(),
        "copy the archive again from its source"
    );
}

#[test]
fn a_damaged_header_is_named_with_its_offset() {
    let mut bytes = shard();
    let header = bytes
        .windows(8)
        .position(|bytes| bytes == b"a/1.json")
        .unwrap();
    bytes[header + 3] ^= 1;
    let shards = Shards::new(&[("s.tar", bytes)]);
    let (n_rows, bad) = shards.bad("s.tar");
    assert_eq!(n_rows, 2);
    assert_eq!(
        bad,
        [format!(
            "s.tar, row 2, sample `a/1`: s.tar: a damaged header at byte {header}"
        )]
    );
}

#[test]
fn wherever_an_archive_is_cut_it_is_said() {
    let whole = shard();
    let shards = Shards::new(&[]);
    let path = shards.path("s.tar");
    // From the start of the two blocks of zeros on, an archive has said that it ends.
    let end = whole.len() - 1024 + 512;
    for cut in (0..end).step_by(61).chain([end - 1, end - 512]) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (n_rows, bad) = bad(&path, 2);
        assert_eq!(bad.len(), 1, "cut at {cut}: {bad:?}");
        assert!(
            bad[0].ends_with(&format!("cut short at byte {cut}")),
            "{bad:?}"
        );
        assert!((1..=4).contains(&n_rows), "{n_rows}");
    }
    std::fs::write(&path, &whole[..end]).unwrap();
    assert_eq!(bad(&path, 2), (3, Vec::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Damaged bytes give rows or named errors, the same however they are cut; never a panic, never more than there is.
    #[test]
    fn a_damaged_archive_gives_rows_or_named_errors(
        damage in proptest::collection::vec((0usize..8192, any::<u8>()), 1..6),
        rows in 1usize..4,
    ) {
        let mut bytes = shard();
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let shards = Shards::new(&[("s.tar", bytes)]);
        let path = shards.path("s.tar");
        let found = bad(&path, rows);
        prop_assert_eq!(&found, &bad(&path, 100));
        prop_assert!(found.0 <= 16);
        let mut pieces = Pieces::open(&[path]).unwrap();
        prop_assert_eq!(pieces.skip(100).unwrap(), found.0);
    }
}
