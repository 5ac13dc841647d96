//! Files of Parquet that say much in few bytes, and what is read of those that do not lie.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, Encoding};
use ::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::{ArrayRef, BooleanArray, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_array::{ListArray, StringViewArray};

use super::*;

fn written(
    properties: WriterPropertiesBuilder,
    columns: impl IntoIterator<Item = (&'static str, ArrayRef)>,
) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = Some(properties.build());
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), properties).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// Why a file is refused, of as many bytes as stated at most.
fn reason(bytes: Vec<u8>, most: usize) -> String {
    assert!(bytes.len() < most, "{} bytes", bytes.len());
    let (_folder, path) = file("t.parquet", bytes);
    let error = Table::read(&path).unwrap_err();
    std::error::Error::source(&error).unwrap().to_string()
}

#[test]
fn a_text_that_many_rows_have_is_not_written_out_for_each() {
    let text = "a".repeat(64 << 10);
    let keys = Int32Array::from(vec![0; 6_000]);
    let values = Arc::new(StringArray::from(vec![text]));
    let column = Arc::new(DictionaryArray::<Int32Type>::new(keys, values)) as ArrayRef;
    let many = written(WriterProperties::builder(), [("x", column)]);
    let why = reason(many, 256 << 10);
    assert!(why.contains("its texts are longer than the limit"), "{why}");
    // As many as a table has.
    let column = StringArray::from_iter_values((0..20_000).map(|_| "google-image"));
    let few = written(WriterProperties::builder(), [("x", Arc::new(column) as _)]);
    let table = read("t.parquet", few);
    assert_eq!(table.n_rows, 20_000);
    assert_eq!(cells(&table, "x")[19_999], Cell::Text("google-image"));
}

#[test]
fn more_cells_than_a_file_of_its_length_has_are_refused() {
    let column = Arc::new(BooleanArray::from(vec![None; 5_000_000]));
    let in_one_page = || {
        WriterProperties::builder()
            .set_max_row_group_row_count(None)
            .set_data_page_row_count_limit(usize::MAX)
    };
    let rows = written(in_one_page(), [("x", column as _)]);
    let why = reason(rows, 4 << 10);
    assert!(
        why.contains("5000000 rows of 1 columns") && why.contains("more than the limit"),
        "{why}"
    );
    let mut list = ListBuilder::new(Int32Builder::new());
    list.append_value(vec![None; 9_000_000]);
    let items = Arc::new(list.finish());
    let why = reason(written(in_one_page(), [("x", items as _)]), 16 << 10);
    assert!(
        why.contains("where the lists of the file may have"),
        "{why}"
    );
}

#[test]
fn a_page_that_inflates_beyond_measure_is_refused() {
    let text = "a".repeat(80 << 20);
    let column = Arc::new(StringArray::from(vec![text]));
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(Default::default()));
    let why = reason(written(properties, [("x", column as _)]), 64 << 10);
    assert!(why.contains("before it was compressed"), "{why}");
}

#[test]
fn texts_are_the_same_in_every_encoding() {
    let texts = ["", "red", "redder", "reddest", "blue", "blueberry", "ß 🦀"];
    let column = || (0..3_000).map(|row| (row % 11 > 0).then(|| texts[row % 7]));
    let lists = || {
        let mut lists = ListBuilder::new(arrow_array::builder::StringBuilder::new());
        (0..3_000).for_each(|row| match row % 5 {
            0 => lists.append_null(),
            n => lists.append_value(texts[..n].iter().map(|text| Some(*text))),
        });
        let lists: ListArray = lists.finish();
        Arc::new(lists) as ArrayRef
    };
    let plain = Arc::new(StringArray::from_iter(column())) as ArrayRef;
    let views = Arc::new(StringViewArray::from_iter(column())) as ArrayRef;
    let keys: DictionaryArray<Int8Type> = column().collect();
    let keys = Arc::new(keys) as ArrayRef;
    let builder = WriterProperties::builder;
    let of = |encoding| {
        builder()
            .set_dictionary_enabled(false)
            .set_encoding(encoding)
            .set_data_page_row_count_limit(700)
    };
    let second = || builder().set_writer_version(WriterVersion::PARQUET_2_0);
    let mut tables = Vec::new();
    for texts in [plain, views, keys] {
        for properties in [
            builder(),
            second(),
            of(Encoding::PLAIN),
            of(Encoding::DELTA_LENGTH_BYTE_ARRAY),
            of(Encoding::DELTA_BYTE_ARRAY),
            of(Encoding::DELTA_LENGTH_BYTE_ARRAY).set_writer_version(WriterVersion::PARQUET_2_0),
            of(Encoding::DELTA_BYTE_ARRAY).set_writer_version(WriterVersion::PARQUET_2_0),
        ] {
            let bytes = written(properties, [("texts", texts.clone()), ("lists", lists())]);
            let table = read("t.parquet", bytes);
            tables.push(
                [cells(&table, "texts"), cells(&table, "lists")].map(|cells| format!("{cells:?}")),
            );
        }
    }
    assert_eq!(tables.len(), 21);
    assert!(tables.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(tables[0][0].starts_with(r#"[Missing, Text("red"), Text("redder")"#));
}

#[test]
fn the_row_to_begin_with_may_lie_in_any_group_of_rows() {
    let column = Arc::new(Int32Array::from_iter_values(0..1_000));
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(300))
        .set_data_page_row_count_limit(70);
    let (_folder, path) = file("t.parquet", written(properties, [("x", column as _)]));
    for first in [0, 1, 299, 300, 301, 650, 999, 1_000] {
        let mut pieces = Pieces::open(std::slice::from_ref(&path)).unwrap();
        assert_eq!(pieces.skip(first).unwrap(), first);
        let piece = pieces.next(ReadLimit::rows(2_000)).unwrap();
        let read = piece.map_or(0, |piece| {
            assert_eq!(cells(&piece.table, "x")[0], Cell::Number(first as f64));
            piece.table.n_rows
        });
        assert_eq!(read, 1_000 - first);
    }
}
