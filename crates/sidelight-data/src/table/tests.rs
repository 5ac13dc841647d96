//! Reading tables of every format, and every way they can be refused.

#[cfg(feature = "parquet")]
mod parquet;
mod pieces;
mod webdataset;
#[cfg(feature = "xlsx")]
mod xlsx;

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// A file in a folder of its own.
fn file(name: &str, bytes: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read(name: &str, bytes: impl AsRef<[u8]>) -> Table {
    let (_folder, path) = file(name, bytes);
    Table::read(&path).unwrap()
}

/// The message, the folder left out, and the hint.
fn refusal(name: &str, bytes: impl AsRef<[u8]>) -> (String, String) {
    let (folder, path) = file(name, bytes);
    let error = Table::read(&path).unwrap_err();
    let folder = format!("{}/", folder.path().display());
    (
        error.to_string().replace(&folder, ""),
        error.hint().unwrap_or_default(),
    )
}

fn cells<'a>(table: &'a Table, column: &str) -> Vec<Cell<'a>> {
    let column = table.column(column).unwrap();
    (0..table.n_rows).map(|row| column.cell(row)).collect()
}

fn place(table: &Table, row: usize) -> (Option<usize>, Option<usize>) {
    let place = table.row_place(row);
    (place.row, place.line)
}

#[test]
fn csv_keeps_quoted_line_breaks_and_knows_its_lines() {
    let table = read(
        "t.csv",
        "file_name,note\na.jpg,\"two\nlines\"\n\nb.jpg,\"a \"\"quote\"\"\"\r\nc.jpg,\n",
    );
    assert_eq!(table.names(), ["file_name", "note"]);
    assert_eq!(
        cells(&table, "note"),
        [
            Cell::Text("two\nlines"),
            Cell::Text("a \"quote\""),
            Cell::Missing
        ]
    );
    assert_eq!(
        [place(&table, 0), place(&table, 1), place(&table, 2)],
        [(Some(1), Some(2)), (Some(2), Some(5)), (Some(3), Some(6))]
    );
    assert!(
        table
            .place(1, "note")
            .to_string()
            .ends_with("t.csv, row 2 (line 5), column `note`")
    );
}

#[test]
fn a_plain_csv_needs_no_list_of_lines() {
    let table = read("t.csv", "a,b\n1,2\n3,4\n");
    assert!(table.lines.is_none());
    assert_eq!(place(&table, 1), (Some(2), Some(3)));
}

#[test]
fn a_byte_order_mark_spaces_and_an_unnamed_index_do_no_harm() {
    let table = read("t.csv", "\u{feff}, file_name ,b\n0,x.jpg,1\n");
    assert_eq!(table.names(), ["column 1", "file_name", "b"]);
    let table = read("t.csv", "\u{feff}\"file_name\",b\nx.jpg,1,\n");
    assert_eq!(table.names(), ["file_name", "b"]);
}

#[test]
fn tabs_and_semicolons_separate_where_they_must() {
    for (name, text) in [
        ("t.tsv", "a\tb, c\n1\t2,5\n"),
        ("t.csv", "a;b, c\n1;2,5\n"),
        ("t.csv", "a\tb\n1\t2,5\n"),
    ] {
        let table = read(name, text.replace("b, c", "b"));
        assert_eq!(
            (cells(&table, "a"), cells(&table, "b")),
            (vec![Cell::Text("1")], vec![Cell::Text("2,5")]),
            "{text}"
        );
    }
}

#[test]
fn json_lines_have_the_keys_of_all_lines_and_the_narrowest_types() {
    let table = read(
        "t.jsonl",
        "{\"file_name\": \"a.jpg\", \"n\": 1, \"yes\": true}\n\n{\"n\": null, \"late\": 2.5, \"file_name\": \"b.jpg\"}\n{\"n\": \"50+\", \"tags\": [\"x\", \"y\"], \"id\": 12345678901234567890}",
    );
    assert_eq!(
        table.names(),
        ["file_name", "n", "yes", "late", "tags", "id"]
    );
    assert_eq!(
        cells(&table, "n"),
        [Cell::Text("1"), Cell::Missing, Cell::Text("50+")]
    );
    assert_eq!(
        cells(&table, "yes"),
        [Cell::Boolean(true), Cell::Missing, Cell::Missing]
    );
    assert_eq!(
        cells(&table, "late"),
        [Cell::Missing, Cell::Number(2.5), Cell::Missing]
    );
    assert_eq!(
        cells(&table, "tags"),
        [Cell::Missing, Cell::Missing, Cell::Text("[\"x\",\"y\"]")]
    );
    assert_eq!(cells(&table, "id")[2], Cell::Text("12345678901234567890"));
    assert_eq!(
        [place(&table, 0), place(&table, 1), place(&table, 2)],
        [(Some(1), Some(1)), (Some(2), Some(3)), (Some(3), Some(4))]
    );
}

/// The fixture is made by `tests/reference/table.py`.
#[test]
fn parquet_of_every_type_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/table.parquet");
    let table = Table::read(&path).unwrap();
    let (number, text, none) = (Cell::Number, Cell::Text, Cell::Missing);
    for (name, expected) in [
        (
            "image",
            [Cell::Image(b"\x89PNG first"), text("b.png"), none],
        ),
        ("int8", [number(1.0), none, number(-3.0)]),
        ("uint16", [number(1.0), number(2.0), number(65535.0)]),
        ("int64", [number(1.0), none, number(3.0)]),
        ("big", [text("1"), text("9007199254740993"), none]),
        ("float32", [number(0.1), none, none]),
        ("float64", [number(0.1), number(1e300), none]),
        ("bool", [Cell::Boolean(true), none, Cell::Boolean(false)]),
        ("string", [text("a"), none, none]),
        ("large_string", [text("a"), text("b"), none]),
        ("category", [text("left"), text("right"), none]),
        (
            "date",
            [
                text("2024-05-01T00:00:00Z"),
                none,
                text("1969-12-31T00:00:00Z"),
            ],
        ),
        ("stamp", [text("2024-05-01T13:30:00.25Z"), none, none]),
        ("zoned", [text("2024-05-01T13:30:00Z"), none, none]),
        ("time", [text("13:30:05"), none, none]),
        ("decimal", [number(12.5), none, number(-0.01)]),
        ("labels", [text("[\"cat\",\"dog\"]"), text("[]"), none]),
        ("null", [none, none, none]),
    ] {
        assert_eq!(cells(&table, name), expected, "{name}");
    }
    assert_eq!(table.columns.len(), 18);
    assert_eq!(place(&table, 1), (Some(2), None));
}

#[test]
fn an_imagefolder_with_a_metadata_file_has_it_as_its_table() {
    let (folder, _) = file("metadata.csv", "file_name,side\na.jpg,left\n");
    let table = Table::read(folder.path()).unwrap();
    assert_eq!(table.root, folder.path());
    assert_eq!(table.path, folder.path().join("metadata.csv"));
    assert_eq!(cells(&table, "side"), [Cell::Text("left")]);
}

#[test]
fn an_imagefolder_with_a_metadata_file_for_each_part_is_one_table() {
    let folder = tempfile::tempdir().unwrap();
    for (part, name, text) in [
        (
            "test",
            "metadata.jsonl",
            "{\"file_name\": \"c.jpg\", \"late\": 3}\n",
        ),
        (
            "train",
            "metadata.csv",
            "file_name,side\na.jpg,left\nb.jpg,right\n",
        ),
    ] {
        std::fs::create_dir(folder.path().join(part)).unwrap();
        std::fs::write(folder.path().join(part).join(name), text).unwrap();
    }
    let table = Table::read(folder.path()).unwrap();
    assert_eq!(table.n_rows, 3);
    assert_eq!(
        cells(&table, "file_name"),
        ["test/c.jpg", "train/a.jpg", "train/b.jpg"].map(Cell::Text)
    );
    assert_eq!(
        cells(&table, "split"),
        ["test", "train", "train"].map(Cell::Text)
    );
    assert_eq!(
        cells(&table, "side"),
        [Cell::Missing, Cell::Text("left"), Cell::Text("right")]
    );
    assert_eq!(
        cells(&table, "late"),
        [Cell::Number(3.0), Cell::Missing, Cell::Missing]
    );
    assert!(
        table
            .row_place(2)
            .to_string()
            .ends_with("train/metadata.csv, row 2 (line 3)"),
        "{}",
        table.row_place(2)
    );
    assert!(
        table
            .row_place(0)
            .to_string()
            .ends_with("test/metadata.jsonl, row 1 (line 1)")
    );
}

#[test]
fn folders_of_images_are_classes_and_folders_of_parts_may_stand_above_them() {
    let folder = tempfile::tempdir().unwrap();
    let add = |path: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    };
    [
        "dog/2.PNG",
        "cat/1.jpg",
        "cat/notes.txt",
        "cat/.hidden.jpg",
        "dog/1.jpg",
    ]
    .into_iter()
    .for_each(add);
    let table = Table::read(folder.path()).unwrap();
    assert_eq!(
        cells(&table, "file_name"),
        ["cat/1.jpg", "dog/1.jpg", "dog/2.PNG"].map(Cell::Text)
    );
    assert_eq!(
        cells(&table, "label"),
        ["cat", "dog", "dog"].map(Cell::Text)
    );
    assert_eq!(table.names(), ["file_name", "label"]);

    let folder = tempfile::tempdir().unwrap();
    for path in ["train/cat/1.jpg", "val/dog/2.jpg"] {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    let table = Table::read(folder.path()).unwrap();
    assert_eq!(
        cells(&table, "file_name"),
        ["train/cat/1.jpg", "val/dog/2.jpg"].map(Cell::Text)
    );
    assert_eq!(cells(&table, "split"), ["train", "val"].map(Cell::Text));
}

#[test]
fn two_hundred_thousand_rows_are_columns_not_maps() {
    let mut text = String::from("file_name,age,side\n");
    for row in 0..200_000 {
        text.push_str(&format!(
            "{row}.jpg,{},{}\n",
            row % 90,
            if row % 2 == 0 { "left" } else { "right" }
        ));
    }
    let table = read("t.csv", &text);
    assert_eq!((table.n_rows, table.columns.len()), (200_000, 3));
    assert_eq!(table.column("age").unwrap().cell(199_999), Cell::Text("19"));
    assert_eq!(place(&table, 199_999), (Some(200_000), Some(200_001)));
    // Cells take their text and an offset of eight bytes; nothing is kept per row beside them.
    let bytes: usize = table
        .columns
        .iter()
        .map(|column| match &column.values {
            Values::Text(cells) => arrow_array::Array::get_buffer_memory_size(cells),
            other => panic!("{other:?}"),
        })
        .sum();
    assert!(
        bytes < 4 * text.len() + 3 * 9 * 200_000,
        "{bytes} bytes for {} of text",
        text.len()
    );
}

#[test]
fn a_column_that_is_not_there_is_answered_with_the_nearest() {
    let table = read("t.csv", "file_name,zipcode\na,1\n");
    let error = table.column("zip_code").unwrap_err();
    assert!(
        error.to_string().starts_with("no column `zip_code` in "),
        "{error}"
    );
    assert_eq!(error.hint().unwrap(), "did you mean `zipcode`?");
    assert_eq!(
        table.column("q").unwrap_err().hint().unwrap(),
        "the table has: file_name, zipcode"
    );
}

#[test]
fn a_table_that_is_not_there_is_named() {
    for name in [
        "no/such.csv",
        "no/such.parquet",
        "no/such.jsonl",
        "no/such",
        "no/such.xlsx",
    ] {
        assert_eq!(
            Table::read(Path::new(name)).unwrap_err().to_string(),
            format!("cannot read {name}")
        );
    }
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let (message, hint) = refusal("t.ods", "PK");
    assert_eq!(message, "unsupported table format: t.ods");
    assert!(
        hint.starts_with("save it as .xlsx or CSV in the spreadsheet program"),
        "{hint}"
    );
    assert_eq!(
        refusal("t.doc", "PK").1,
        "the name must end in .csv, .txt, .tsv, .jsonl, .ndjson, .parquet, .xlsx or .tar, or be a folder of images or of tar archives"
    );
}

#[test]
fn tables_without_header_or_rows_are_refused() {
    assert_eq!(refusal("t.csv", "").0, "t.csv has no header");
    assert_eq!(refusal("t.csv", "a,b\n").0, "t.csv has no row");
    assert_eq!(refusal("t.jsonl", "\n\n").0, "t.jsonl has no row");
}

#[test]
fn a_ragged_row_is_named_with_its_line() {
    let (message, hint) = refusal("t.csv", "a,b\n1,2\n\n3\n");
    assert_eq!(
        message,
        "t.csv, row 2 (line 4): 1 cells where the header has 2"
    );
    assert_eq!(
        hint,
        "a cell that contains the separator must be in double quotes"
    );
    let (message, hint) = refusal("t.csv", "a,b,c\n1,\"2,3\n4,5,6\n7,8,9\n");
    assert_eq!(
        message,
        "t.csv, row 1 (line 2): 2 cells where the header has 3"
    );
    assert_eq!(
        hint,
        "a cell of this row spans several lines: is a quote left open?"
    );
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let (message, hint) = refusal("t.csv", "a,b, a\n1,2,3\n");
    assert_eq!(
        message,
        "t.csv: duplicate column name `a` (columns 1 and 3)"
    );
    assert_eq!(hint, "rename one of them in the header");
}

#[test]
fn text_that_is_not_utf8_is_named_by_its_cell() {
    // Some letters are UTF-8: the others are damaged, not of another encoding.
    let (message, hint) = refusal("t.csv", b"a,town\n1,B\xc3\xb6nn\n2,K\xf6ln\n");
    assert_eq!(
        message,
        "t.csv, row 2 (line 3), column `town`: not valid UTF-8"
    );
    assert_eq!(hint, "save the table as UTF-8");
    assert_eq!(
        refusal("t.csv", b"K\xf6ln,\xc3\xb6\n1,2\n").0,
        "t.csv, line 1: not valid UTF-8"
    );
    assert_eq!(
        refusal("t.jsonl", b"{\"a\": 1}\n{\"a\": \"\xf6\"}\n").0,
        "t.jsonl, row 2 (line 2): not valid UTF-8"
    );
}

#[test]
fn text_of_spreadsheet_programs_is_read_in_its_encoding() {
    let utf_16 = |big: bool, text: &str| -> Vec<u8> {
        let units = text.encode_utf16();
        units
            .flat_map(|unit| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            })
            .collect()
    };
    let text = "photo\tville\r\na.png\tMontréal\r\n";
    let marked = format!("\u{feff}{text}");
    let western: Vec<u8> = text.chars().map(|c| c as u8).collect();
    for (bytes, is_guessed) in [
        (utf_16(false, &marked), false),
        (utf_16(true, &marked), false),
        (utf_16(false, text), false),
        (western, true),
        (marked.clone().into_bytes(), false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.txt");
        std::fs::write(&path, bytes).unwrap();
        let table = Table::read(&path).unwrap();
        assert_eq!(table.names(), ["photo", "ville"]);
        assert_eq!(
            table.column("ville").unwrap().cell(0),
            Cell::Text("Montréal")
        );
        assert_eq!(table.row_place(0).line, Some(2));
        assert_eq!(table.remarks.len(), usize::from(is_guessed));
    }
}

#[test]
fn what_is_told_of_a_text_table_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, b"a,b|c\n1,2|\x83\x41\n").unwrap();
    let format = SourceFormat {
        separator: Some('|'),
        encoding: Some("shift_jis".into()),
        ..SourceFormat::default()
    };
    let read = |format: &SourceFormat| Table::read_as(&path, &RemoteConfig::default(), format);
    let table = read(&format).unwrap();
    assert_eq!(table.names(), ["a,b", "c"]);
    assert_eq!(table.column("c").unwrap().cell(0), Cell::Text("ア"));
    let unknown = SourceFormat {
        encoding: Some("klingon".into()),
        ..format
    };
    let error = read(&unknown).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`data.encoding`: expected the name of an encoding")
    );
}

#[test]
fn the_separator_is_what_lines_have_equally_often() {
    for (text, names) in [
        ("a;b\n1,5;2,5\n3;4\n", vec!["a", "b"]),
        ("a|b\n1,5|2\n", vec!["a", "b"]),
        ("a,b\n1;2,3\n4,5\n", vec!["a", "b"]),
        ("a,\"b;c\"\n1,2\n", vec!["a", "b;c"]),
        ("a\n1\n", vec!["a"]),
        ("sep=;\na,b;c\n1,2;3\n", vec!["a,b", "c"]),
        ("a,\"b\nc\"\n1,2\n", vec!["a", "b\nc"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        assert_eq!(Table::read(&path).unwrap().names(), names, "{text}");
    }
}

#[test]
fn a_path_is_put_together_from_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, "site,id\nnorth,7\n,8\n").unwrap();
    let table = || Table::read(&path).unwrap();
    let with = table().with_paths(&["{site}/{id}.tif".into()]).unwrap();
    let paths = with.column("{site}/{id}.tif").unwrap();
    assert_eq!(paths.cell(0), Cell::Text("north/7.tif"));
    assert_eq!(paths.cell(1), Cell::Missing);
    assert_eq!(table().with_paths(&["id".into()]).unwrap().columns.len(), 2);
    let error = table().with_paths(&["{side}/{id}".into()]).unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean `site`?");
    assert!(table().with_paths(&["{id".into()]).is_err());
}

#[test]
fn a_line_that_is_no_json_object_is_named() {
    let (message, _) = refusal("t.jsonl", "{\"a\": 1}\n\n{\"a\": }\n");
    assert_eq!(message, "t.jsonl, row 2 (line 3): not valid JSON");
    let (message, hint) = refusal("t.jsonl", "[{\"a\": 1}]\n");
    assert_eq!(
        message,
        "t.jsonl, row 1 (line 1): expected an object (`{\"file_name\": …}`), found a list"
    );
    assert_eq!(
        hint,
        "JSON Lines has one object per line, and no list around them"
    );
}

#[test]
fn a_truncated_parquet_file_is_refused() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/table.parquet");
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(
        refusal("t.parquet", &bytes[..bytes.len() / 2]).0,
        "cannot read t.parquet as Parquet"
    );
    assert_eq!(
        refusal("t.parquet", "a,b\n1,2\n").0,
        "cannot read t.parquet as Parquet"
    );
    // Any damage is an error or another table, never a panic.
    for at in (0..bytes.len()).step_by(37) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let (_folder, path) = file("t.parquet", damaged);
        let _ = Table::read(&path);
    }
}

#[test]
fn rows_that_leave_nearly_all_cells_empty_do_not_fill_the_memory() {
    let names: Vec<String> = (0..10_000).map(|n| format!("\"{n}\": 1")).collect();
    let wide = format!("{{{}}}\n", names.join(","));
    let (message, hint) = refusal("t.jsonl", wide.clone() + &"{}\n".repeat(60_000));
    assert!(message.starts_with("t.jsonl, row 5"), "{message}");
    assert!(message.contains("cells empty"), "{message}");
    assert!(hint.contains("one table"), "{hint}");
    // Every other row has all of them: no complaint.
    let sparse = (wide + "{}\n").repeat(20);
    assert_eq!(read("t.jsonl", sparse).n_rows, 40);
}

#[test]
fn a_header_of_more_columns_than_any_table_is_refused() {
    let header: Vec<String> = (0..100_001).map(|n| n.to_string()).collect();
    let (message, _) = refusal("t.csv", header.join(",") + "\n");
    assert_eq!(
        message,
        "t.csv: more than 100000 columns in the rows so far"
    );
}

#[test]
fn a_schema_of_too_many_groups_inside_one_another_is_refused() {
    // Version, a schema of 3,000 groups inside one another and a column, no rows.
    let mut footer = vec![0x15, 2, 0x19, 0xfc, 0xb9, 0x17];
    (0..3_000).for_each(|_| footer.extend([0x48, 1, b'a', 0x15, 2, 0]));
    footer.extend([0x48, 1, b'x', 0, 0x16, 0, 0x19, 0x0c, 0]);
    let mut bytes = b"PAR1".to_vec();
    bytes.extend(&footer);
    bytes.extend((footer.len() as u32).to_le_bytes());
    bytes.extend(b"PAR1");
    let (_folder, path) = file("t.parquet", bytes);
    let error = Table::read(&path).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("3001 deep; the limit is 100"), "{cause}");
}

#[test]
fn a_folder_of_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = Table::read(folder.path()).unwrap_err().to_string();
    let expected =
        "contains no metadata.csv, .jsonl or .parquet, no tar archives and no folders of images";
    assert_eq!(message, format!("{} {expected}", folder.path().display()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever text a CSV writer wrote, the table gives back; blank cells are missing.
    #[test]
    fn what_is_written_as_csv_is_read_back(
        rows in proptest::collection::vec(proptest::array::uniform3("[ -~\u{e9}\n\r\t\",;]{0,12}"), 1..20)
    ) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["first", "second", "third"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let table = read("t.csv", writer.into_inner().unwrap());
        prop_assert_eq!(table.n_rows, rows.len());
        for (column, values) in table.columns.iter().enumerate() {
            for (row, expected) in rows.iter().enumerate() {
                let expected = &expected[column];
                let expected = if expected.trim().is_empty() { Cell::Missing } else { Cell::Text(expected) };
                prop_assert_eq!(values.cell(row), expected);
            }
        }
    }
}
