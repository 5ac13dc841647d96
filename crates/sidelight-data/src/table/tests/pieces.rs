//! However a table is cut, its rows are the same; what is no row keeps its place.

use proptest::prelude::*;

use super::super::{Cell, MAX_ROW_BYTES, Pieces, ReadLimit, Table};
use super::file;

/// Every cell of a table as it reads, with the place of its row, and the reasons of bad rows: read in pieces of these sizes.
fn read(path: &std::path::Path, sizes: &[usize]) -> Vec<String> {
    let mut pieces = Pieces::open(&[path.to_path_buf()]).unwrap();
    let mut rows = Vec::new();
    let mut sizes = sizes.iter().cycle();
    while let Some(piece) = pieces
        .next(ReadLimit::rows(*sizes.next().unwrap()))
        .unwrap()
    {
        assert_eq!(piece.table.first_row, rows.len());
        for row in 0..piece.table.n_rows {
            let mut columns: Vec<_> = piece.table.columns.iter().collect();
            columns.sort_by_key(|column| &column.name);
            // A column that a piece does not name is missing there.
            let cells = columns
                .iter()
                .map(|column| (&column.name, column.cell(row)))
                .filter(|(_, cell)| *cell != Cell::Missing)
                .map(|(name, cell)| format!("{name}={cell:?}"));
            let cells: Vec<String> = cells.collect();
            let bad = piece.bad.iter().find(|bad| bad.row == row);
            rows.push(format!(
                "{}: {} {}",
                piece.table.row_place(row),
                cells.join(" "),
                bad.map_or(String::new(), |bad| bad.error.to_string())
            ));
        }
    }
    // Of a file without a byte nothing is read.
    if !rows.is_empty() {
        assert_eq!(pieces.share_read(), 1.0, "{}", path.display());
    }
    rows
}

/// The same rows when so many of them are passed over first.
fn read_after(path: &std::path::Path, n: usize) -> Vec<Cell<'static>> {
    let mut pieces = Pieces::open(&[path.to_path_buf()]).unwrap();
    let skipped = pieces.skip(n).unwrap();
    let Some(piece) = pieces.next(ReadLimit::rows(1)).unwrap() else {
        return Vec::new();
    };
    assert_eq!((skipped, piece.table.first_row), (n, n));
    let first = &piece.table.columns[0];
    vec![match first.cell(0) {
        Cell::Number(number) => Cell::Number(number),
        Cell::Text(text) => Cell::Text(Box::leak(text.to_owned().into_boxed_str())),
        other => panic!("{other:?}"),
    }]
}

#[test]
fn what_is_no_row_of_a_csv_keeps_its_place_and_says_why() {
    let (folder, path) = file(
        "t.csv",
        b"a,b\n1,2\n3\n\n5,\xff\n7,\xc3\xb6\n9,\"10\n11\"\n",
    );
    let rows = read(&path, &[2]);
    let folder = format!("{}/", folder.path().display());
    let rows: Vec<String> = rows.iter().map(|row| row.replace(&folder, "")).collect();
    assert_eq!(
        rows,
        [
            "t.csv, row 1 (line 2): a=Text(\"1\") b=Text(\"2\") ",
            "t.csv, row 2 (line 3):  t.csv, row 2 (line 3): 1 cells where the header has 2",
            "t.csv, row 3 (line 5):  t.csv, row 3 (line 5), column `b`: not valid UTF-8",
            "t.csv, row 4 (line 6): a=Text(\"7\") b=Text(\"ö\") ",
            "t.csv, row 5 (line 7): a=Text(\"9\") b=Text(\"10\\n11\") ",
        ]
    );
}

#[test]
fn what_is_no_row_of_json_lines_keeps_its_place_and_says_why() {
    let text = "{\"a\": 1}\n[1]\n\n{\"a\": \n{\"b\": \"x\"}\n";
    let (folder, path) = file("t.jsonl", text);
    let folder = format!("{}/", folder.path().display());
    let rows: Vec<String> = read(&path, &[3, 1])
        .iter()
        .map(|row| row.replace(&folder, ""))
        .collect();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0], "t.jsonl, row 1 (line 1): a=Number(1.0) ");
    assert!(rows[1].ends_with("found a list"), "{}", rows[1]);
    assert!(
        rows[2].ends_with("t.jsonl, row 3 (line 4): not valid JSON"),
        "{}",
        rows[2]
    );
    assert_eq!(rows[3], "t.jsonl, row 4 (line 5): b=Text(\"x\") ");
}

#[test]
fn a_line_of_json_that_is_too_long_is_passed_over() {
    let mut text = b"{\"a\": 1}\n{\"a\": \"".to_vec();
    text.resize(text.len() + MAX_ROW_BYTES, b'x');
    text.extend(b"\"}\n{\"a\": 3}\n");
    let (_folder, path) = file("t.jsonl", text);
    let rows = read(&path, &[2]);
    assert_eq!(rows.len(), 3);
    assert!(
        rows[1].ends_with("the row has more than 16777216 bytes"),
        "{}",
        rows[1]
    );
    assert!(rows[2].ends_with("a=Number(3.0) "), "{}", rows[2]);
    assert_eq!(read_after(&path, 2), [Cell::Number(3.0)]);
}

#[test]
fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
    let mut text = b"a,b\n1,2\n3,\"4\n".to_vec();
    (0..(MAX_ROW_BYTES / 8 + (1 << 17))).for_each(|_| text.extend(b"123,456\n"));
    let (_folder, path) = file("t.csv", text);
    let mut pieces = Pieces::open(std::slice::from_ref(&path)).unwrap();
    let error = pieces.next(ReadLimit::rows(2)).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("t.csv, row 2 (line 3): the row has more than 16777216 bytes"),
        "{error}"
    );
    assert_eq!(
        error.hint().unwrap(),
        "is a quote left open, or is the file not a table?"
    );
    assert!(Table::read(&path).is_err());
}

#[test]
fn a_parquet_file_is_read_from_any_row_on() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/table.parquet");
    let whole = read(&path, &[100]);
    assert_eq!(whole.len(), 3);
    assert_eq!(read(&path, &[1]), whole);
    assert_eq!(read(&path, &[2, 1]), whole);
    for n in 0..4 {
        let mut pieces = Pieces::open(std::slice::from_ref(&path)).unwrap();
        assert_eq!(pieces.skip(n).unwrap(), n.min(3));
        let left = pieces.next(ReadLimit::rows(9)).unwrap();
        let names = left.map(|piece| {
            let int8 = piece.table.column("int64").unwrap();
            (
                piece.table.n_rows,
                piece.table.first_row,
                format!("{:?}", int8.cell(0)),
            )
        });
        let expected = ["Number(1.0)", "Missing", "Number(3.0)"];
        assert_eq!(
            names,
            expected.get(n).map(|cell| (3 - n, n, (*cell).to_owned()))
        );
    }
}

#[test]
fn a_piece_full_of_bytes_ends_at_a_step() {
    let text: String = (0..40)
        .map(|n| format!("{n},{}\n", "x".repeat(100)))
        .collect();
    let (_folder, path) = file("t.csv", format!("a,b\n{text}"));
    let mut pieces = Pieces::open(&[path]).unwrap();
    let take = ReadLimit {
        rows: 32,
        step: 4,
        bytes: 1000,
    };
    let sizes: Vec<usize> = std::iter::from_fn(|| pieces.next(take).unwrap())
        .map(|piece| piece.table.n_rows)
        .collect();
    assert_eq!(sizes, [12, 12, 12, 4]);
}

#[test]
fn an_imagefolder_is_cut_as_well() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg"] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    let whole = read(folder.path(), &[9]);
    assert_eq!(whole.len(), 3);
    assert_eq!(read(folder.path(), &[1, 2]), whole);
    assert_eq!(read_after(folder.path(), 2), [Cell::Text("dog/1.jpg")]);
    let listing = |path: &std::path::Path| Pieces::open(&[path.to_path_buf()]).unwrap().listing();
    let before = listing(folder.path());
    std::fs::write(folder.path().join("cat/0.jpg"), "").unwrap();
    assert_ne!(listing(folder.path()), before);

    std::fs::write(folder.path().join("metadata.csv"), "file_name\n1.jpg\n").unwrap();
    let mut pieces = Pieces::open(&[folder.path().to_path_buf()]).unwrap();
    assert_eq!(pieces.files()[0].path(), folder.path().join("metadata.csv"));
    let piece = pieces.next(ReadLimit::rows(2)).unwrap().unwrap();
    assert_eq!(piece.table.root, folder.path());
}

#[test]
fn several_tables_that_are_no_archives_are_refused() {
    let (_folder, path) = file("t.csv", "a\n1\n");
    let error = Pieces::open(&[path.clone(), path]).unwrap_err();
    assert!(
        error.to_string().ends_with(
            "t.csv is not a tar archive; only tar archives can be read together as one table"
        ),
        "{error}"
    );
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        (-9i32..9).prop_map(|n| n.to_string()),
        Just("12345678901234567890".to_owned()),
        "[a-c]{0,2}".prop_map(|text| format!("\"{text}\"")),
        Just("[1, \"x\"]".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// A column of any mixture of types reads the same in any piece: nothing of a row depends on its neighbours.
    #[test]
    fn json_lines_read_the_same_however_they_are_cut(
        lines in proptest::collection::vec(prop_oneof![
            4 => (scalar(), scalar()).prop_map(|(a, b)| format!("{{\"a\": {a}, \"b\": {b}}}")),
            1 => scalar().prop_map(|late| format!("{{\"late\": {late}}}")),
            1 => Just(String::new()),
            1 => Just("{\"a\": 1,".to_owned()),
        ], 1..30),
        sizes in proptest::collection::vec(1usize..7, 1..4),
    ) {
        let (_folder, path) = file("t.jsonl", lines.join("\n"));
        prop_assert_eq!(read(&path, &sizes), read(&path, &[1]));
    }

    #[test]
    fn csv_reads_the_same_however_it_is_cut(
        lines in proptest::collection::vec("[ab,\"\n]{0,8}", 1..30),
        sizes in proptest::collection::vec(1usize..7, 1..4),
    ) {
        let (_folder, path) = file("t.csv", format!("a,b\n{}\n", lines.join("\n")));
        prop_assert_eq!(read(&path, &sizes), read(&path, &[1000]));
    }

    /// Any bytes are rows or errors.
    #[test]
    fn any_bytes_are_rows_or_errors(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        name in prop_oneof![Just("t.csv"), Just("t.jsonl"), Just("t.tar"), Just("t.parquet")],
    ) {
        let (_folder, path) = file(name, bytes);
        if let Ok(mut pieces) = Pieces::open(&[path]) {
            while let Ok(Some(_)) = pieces.next(ReadLimit::rows(3)) {}
        }
    }
}
