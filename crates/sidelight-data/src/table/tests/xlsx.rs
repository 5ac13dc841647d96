//! Workbooks against the CSV of what their cells hold, and workbooks made to do harm.

use std::io::Write as _;
use std::path::Path;

use super::*;

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/xlsx");
    folder.join(name)
}

/// Compares cell for cell.
fn same_as_csv(name: &str) -> Table {
    let book = Table::read(&fixture(&format!("{name}.xlsx"))).unwrap();
    let csv = Table::read(&fixture(&format!("{name}.csv"))).unwrap();
    assert_eq!(book.names(), csv.names());
    assert_eq!(book.n_rows, csv.n_rows);
    for column in csv.names() {
        assert_eq!(cells(&book, &column), cells(&csv, &column), "{column}");
    }
    book
}

/// A zip archive of these parts, stored or deflated.
fn zip(parts: &[(&str, &[u8])], deflates: bool) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in parts {
        let packed = match deflates {
            true => {
                let level = flate2::Compression::best();
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
            false => content.to_vec(),
        };
        let mut facts = vec![20, 0, 0, 0, if deflates { 8 } else { 0 }, 0];
        facts.extend([0; 8]);
        // A size that is not believed.
        for size in [packed.len() as u32, 1] {
            facts.extend(size.to_le_bytes());
        }
        facts.extend((name.len() as u16).to_le_bytes());
        facts.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&facts);
        directory.extend([0; 10]);
        directory.extend((bytes.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&facts);
        bytes.extend(name.as_bytes());
        bytes.extend(&packed);
    }
    let n = (parts.len() as u16).to_le_bytes();
    let start = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([n, n].concat());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// A workbook of one sheet with these rows, and these shared strings.
fn book(rows: &str, strings: &str) -> Vec<u8> {
    book_of(&sheet(rows), strings)
}

fn sheet(rows: &str) -> String {
    format!("<worksheet><sheetData>{rows}</sheetData></worksheet>")
}

fn book_of(sheet: &str, strings: &str) -> Vec<u8> {
    let strings = format!("<sst>{strings}</sst>");
    zip(&parts_of(sheet.as_bytes(), strings.as_bytes()), true)
}

fn parts_of<'a>(sheet: &'a [u8], strings: &'a [u8]) -> [(&'static str, &'a [u8]); 4] {
    let workbook = br#"<workbook><sheets><sheet name="S" id="a"/></sheets></workbook>"#;
    let relations = br#"<Relationships><Relationship Id="a" Type="x/worksheet" Target="s.xml"/>
        <Relationship Id="b" Type="x/sharedStrings" Target="t.xml"/></Relationships>"#;
    [
        ("xl/workbook.xml", workbook),
        ("xl/_rels/workbook.xml.rels", relations),
        ("xl/s.xml", sheet),
        ("xl/t.xml", strings),
    ]
}

/// A row of cells as they are in XML.
fn row(number: u32, cells: &str) -> String {
    format!("<row r=\"{number}\">{cells}</row>")
}

fn text(cells: &[&str]) -> String {
    let cells = cells.iter();
    let cells = cells.map(|cell| format!("<c t=\"inlineStr\"><is><t>{cell}</t></is></c>"));
    cells.collect()
}

#[test]
fn a_workbook_is_the_csv_saved_from_it_cell_for_cell() {
    let table = same_as_csv("types");
    // Rows are those that the spreadsheet program shows: the header is in its row 3.
    assert_eq!(place(&table, 0), (Some(1), Some(4)));
    assert_eq!(place(&table, 5), (Some(6), Some(9)));
    assert_eq!(table.remarks, [""; 0]);
    same_as_csv("types_1904");
    let table = same_as_csv("sheets");
    assert_eq!(place(&table, 1), (Some(2), Some(3)));
    // Named in words, so that a fault of the script is noticed as well.
    assert_eq!(
        cells(&same_as_csv("types"), "patient")[..3],
        [Cell::Text("007"), Cell::Missing, Cell::Text("010")]
    );
}

#[test]
fn a_workbook_in_pieces_is_the_whole() {
    let path = fixture("types.xlsx");
    let whole = Table::read(&path).unwrap();
    for n in 1..=6 {
        let mut pieces = Pieces::open(std::slice::from_ref(&path)).unwrap();
        assert_eq!(pieces.skip(1).unwrap(), 1);
        let mut next = 1;
        while let Some(piece) = pieces.next(ReadLimit::rows(n)).unwrap() {
            let table = &piece.table;
            assert_eq!(table.first_row, next);
            for (column, all) in table.columns.iter().zip(&whole.columns) {
                let own: Vec<_> = (0..table.n_rows).map(|row| column.cell(row)).collect();
                let all: Vec<_> = (0..table.n_rows).map(|row| all.cell(next + row)).collect();
                assert_eq!(own, all);
            }
            assert_eq!(table.row_place(0), whole.row_place(next));
            next += table.n_rows;
        }
        assert_eq!((next, pieces.share_read()), (6, 1.0));
        assert_eq!(pieces.skip(1).unwrap(), 0);
    }
}

#[test]
fn the_first_sheet_with_cells_is_read_or_the_one_that_is_named() {
    let path = fixture("sheets.xlsx");
    let read = |sheet: Option<&str>| {
        let format = SourceFormat {
            sheet: sheet.map(str::to_owned),
            ..SourceFormat::default()
        };
        Table::read_as(&path, &RemoteConfig::default(), &format)
    };
    let first = read(None).unwrap();
    assert_eq!(first.n_rows, 3);
    assert_eq!(
        first.remarks,
        [format!(
            "{} has several sheets: read `Patients & co`, not `Codes`, `Hidden`; `data.sheet` chooses another",
            path.display()
        )]
    );
    let codes = read(Some("Codes")).unwrap();
    assert_eq!(cells(&codes, "code"), [Cell::Text("1")]);
    assert_eq!(codes.remarks, [""; 0]);
    let unknown = read(Some("codes")).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        format!(
            "`data.sheet`: expected a sheet of {} (`Empty`, `Hidden`, `Patients & co`, `Codes`), found `codes`",
            path.display()
        )
    );
    assert!(matches!(
        read(Some("Empty")).unwrap_err(),
        Error::EmptyTable { .. }
    ));
    // A sheet of a text table says nothing, as a separator of a workbook.
    let csv = fixture("sheets.csv");
    let format = SourceFormat {
        sheet: Some("Codes".into()),
        ..SourceFormat::default()
    };
    assert!(Table::read_as(&csv, &RemoteConfig::default(), &format).is_ok());
}

#[test]
fn a_cell_whose_formula_failed_is_named_with_its_sheet_row_and_column() {
    let failed = "<c><v>1</v></c><c t=\"e\"><f>1/0</f><v>#DIV/0!</v></c>";
    let rows = [
        row(1, &text(&["a", "b"])),
        row(2, "<c><v>1</v></c><c t=\"e\"><v>#N/A</v></c>"),
        row(4, failed),
        row(5, "<c><v>3</v></c>"),
    ];
    let bytes = book(&rows.concat(), "");
    let (message, hint) = refusal("t.xlsx", &bytes);
    assert_eq!(
        message,
        "t.xlsx, row 3 (line 4), column `b`: the cell in sheet `S` holds the error `#DIV/0!`"
    );
    assert!(hint.contains("clear the cell"), "{hint}");
    // In pieces it keeps its place, without cells.
    let (_folder, path) = file("t.xlsx", &bytes);
    let piece = Pieces::open(&[path]).unwrap().next(ReadLimit::rows(9));
    let piece = piece.unwrap().unwrap();
    assert_eq!(piece.bad.len(), 1);
    assert_eq!(piece.bad[0].row, 2);
    let a = cells(&piece.table, "a");
    let one = Cell::Text("1");
    assert_eq!(a, [one, Cell::Missing, Cell::Missing, Cell::Text("3")]);
    assert_eq!(cells(&piece.table, "b"), [Cell::Missing; 4]);
}

#[test]
fn what_programs_write_in_other_ways_is_understood() {
    // Namespaces, cells without places, in disorder or twice, entities, a date as text, a flag as a word.
    let rows = r#"<x:row><x:c t="str"><x:v>a&amp;b</x:v></x:c><x:c t="inlineStr"><x:is><x:t>d</x:t></x:is></x:c></x:row>
        <x:row><x:c r="B2" t="d"><x:v>2024-03-01</x:v></x:c><x:c r="A2"><x:v>1</x:v></x:c><x:c r="A2"><x:v>2.50</x:v></x:c></x:row>
        <x:row/><x:row><x:c t="b"><x:v>true</x:v></x:c><x:c t="inlineStr"><x:is><x:t>&#xe9;</x:t><x:rPh><x:t>no</x:t></x:rPh></x:is></x:c></x:row>
        <x:row><x:c/><x:c t="str"><x:v></x:v></x:c></x:row>"#;
    let table = read("t.XLSM", book(rows, ""));
    let (text, missing) = (Cell::Text, Cell::Missing);
    assert_eq!(cells(&table, "a&b"), [text("2.5"), missing, text("TRUE")]);
    assert_eq!(cells(&table, "d"), [text("2024-03-01"), missing, text("é")]);
}

#[test]
fn a_title_above_the_header_is_doubted_aloud() {
    let rows = [
        row(1, &text(&["All patients"])),
        row(2, &text(&["a", "b", "c"])),
        row(3, &text(&["1", "2", "3"])),
    ];
    let table = read("t.xlsx", book(&rows.concat(), ""));
    assert_eq!(table.names(), ["All patients", "column 2", "column 3"]);
    let remark = &table.remarks[0];
    assert!(
        remark.contains("names 1 of 3 columns; if it is a title, delete it"),
        "{remark}"
    );
}

#[test]
fn what_is_no_workbook_is_refused_with_the_way_out() {
    let not = |bytes: &[u8]| {
        let (message, hint) = refusal("t.xlsx", bytes);
        assert!(
            hint.contains("save it as .xlsx, without a password"),
            "{hint}"
        );
        message
    };
    assert_eq!(
        not(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and more"),
        "cannot read t.xlsx as a workbook: it is locked with a password, or of the old format .xls"
    );
    assert_eq!(
        not(b"a,b\n1,2\n"),
        "cannot read t.xlsx as a workbook: it is no workbook but another kind of file"
    );
    let cut = book(&row(1, "<c><v>1</v></c>"), "");
    not(&cut[..cut.len() - 40]);
    assert_eq!(
        not(&zip(&[("a.txt", b"a")], true)),
        "cannot read t.xlsx as a workbook: it has no part `xl/workbook.xml`"
    );
    assert_eq!(
        not(&book(&row(1, "<c t=\"s\"><v>7</v></c>"), "")),
        "cannot read t.xlsx as a workbook: a cell of it names a shared string that is not there"
    );
    assert_eq!(
        not(&book("<row r=\"2\"/><row r=\"1\"/>", "")),
        "cannot read t.xlsx as a workbook: after its row 2 comes row 1"
    );
    assert_eq!(
        not(&book_of("<worksheet><sheetData><row><c><v>1", "")),
        "cannot read t.xlsx as a workbook: it is cut short"
    );
    let (_, hint) = refusal("t.ods", b"");
    assert_eq!(hint, "save it as .xlsx or CSV in the spreadsheet program");
}

#[test]
fn a_workbook_that_inflates_beyond_measure_or_has_a_cell_far_off_is_refused() {
    // 10 MB of nothing in a file of 10 kB: as blanks of the sheet, within a row, as a shared string, and as tags.
    let blank = " ".repeat(10 << 20);
    let one = row(1, "<c><v>1</v></c>");
    for bytes in [
        book(&blank, ""),
        book(&row(1, &blank), ""),
        book(&one, &format!("<si><t>{blank}</t></si>")),
        book(&"<row/>".repeat(1 << 20), ""),
    ] {
        assert!(bytes.len() < 1 << 16);
        let (message, _) = refusal("t.xlsx", bytes);
        assert!(message.contains("it inflates to more than"), "{message}");
    }
    // A row that is no smaller in the file.
    let wide = sheet(&row(1, &" ".repeat(17 << 20)));
    let bytes = zip(&parts_of(wide.as_bytes(), b"<sst></sst>"), false);
    let (message, _) = refusal("t.xlsx", bytes);
    assert!(message.contains("more than 16777216 bytes"), "{message}");
    // A long text that many cells share.
    let many = "<c t=\"s\"><v>0</v></c>".repeat(1000);
    let rows: String = (1..10).map(|number| row(number, &many)).collect();
    let long = format!("<si><t>{}</t></si>", "x".repeat(4000));
    let (message, _) = refusal("t.xlsx", book(&rows, &long));
    assert!(message.contains("bytes of text"), "{message}");
    // The last cell that a sheet can have, and one beyond.
    let first = row(1, &text(&["a"]));
    let last = row(1 << 20, "<c r=\"XFD1048576\"><v>1</v></c>");
    let (message, _) = refusal("t.xlsx", book(&(first.clone() + &last), ""));
    let told = "t.xlsx, row 1048575 (line 1048576): the rows so far leave 17179852799 cells empty";
    assert!(message.starts_with(told), "{message}");
    for far in [row(1, "<c r=\"XFE1\"><v>1</v></c>"), row(1 << 21, "")] {
        let (message, _) = refusal("t.xlsx", book(&far, ""));
        assert!(message.contains("a workbook: "), "{message}");
    }
    // One column may have as many rows as there are.
    let last = row(1 << 20, "<c r=\"A1048576\"><v>1</v></c>");
    assert_eq!(
        read("t.xlsx", book(&(first + &last), "")).n_rows,
        (1 << 20) - 1
    );
    // Depth, and entities that name one another.
    let deep = "<a>".repeat(100);
    let (message, _) = refusal("t.xlsx", book(&deep, ""));
    assert!(message.contains("64 deep"), "{message}");
    let laughs = "<!DOCTYPE w [<!ENTITY a \"aaa\"><!ENTITY b \"&a;&a;\">]>";
    let rows = row(1, "<c t=\"str\"><v>&b;</v></c>");
    let (message, _) = refusal("t.xlsx", book_of(&format!("{laughs}{}", sheet(&rows)), ""));
    assert!(
        message.contains("an entity that XML does not have"),
        "{message}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Any rows between the tags, and any bytes in an archive of the right shape.
    #[test]
    fn any_bytes_of_a_workbook_are_rows_or_errors(
        rows in "(<row( r=\"[0-9]{0,3}\")?>|</row>|<c( r=\"[A-C]?[0-9]?\")?( t=\"(s|b|e|n|d|str|inlineStr)\")?>|</c>|<v>|</v>|<is>|</is>|<t>|</t>|[-0-9.a&;#]){0,40}",
        at in 0_usize..2000,
        byte in any::<u8>(),
    ) {
        for mut bytes in [book(&rows, "<si><t>a</t></si>"), std::fs::read(fixture("sheets.xlsx")).unwrap()] {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let (_folder, path) = file("t.xlsx", bytes);
            if let Ok(table) = Table::read(&path) {
                for column in &table.columns {
                    prop_assert_eq!(column.len(), table.n_rows);
                }
            }
        }
    }
}
