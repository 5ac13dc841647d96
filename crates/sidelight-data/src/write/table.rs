//! A results table written row by row as CSV, JSON Lines or Parquet; it appears when it is whole.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

#[cfg(feature = "parquet")]
use super::parquet::ParquetSink;
use super::spreadsheet::CsvText;
use super::whole::WholeFile;
use crate::error::{Error, Result, cannot_read, cannot_write};
use crate::table::extension;

/// How a results table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum TableFormat {
    /// Commas, a header line, an empty cell for what is missing.
    Csv,
    /// One JSON object a line, `null` for what is missing.
    Jsonl,
    /// Typed columns, compressed.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl TableFormat {
    /// The format that a name's ending asks for: `csv`, `jsonl` or `ndjson`, `parquet`.
    /// A device (`/dev/stdout`) has no ending and takes CSV.
    ///
    /// # Errors
    ///
    /// [`Error::OutputFormat`] for any other ending.
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight_data::write::TableFormat;
    /// assert_eq!(TableFormat::from_path("predictions.parquet".as_ref())?, TableFormat::Parquet);
    /// assert!(TableFormat::from_path("predictions.xlsx".as_ref()).is_err());
    /// # Ok::<(), sidelight_data::Error>(())
    /// ```
    pub fn from_path(path: &Path) -> Result<Self> {
        match extension(path).as_str() {
            "csv" => Ok(Self::Csv),
            "jsonl" | "ndjson" => Ok(Self::Jsonl),
            #[cfg(feature = "parquet")]
            "parquet" | "pq" => Ok(Self::Parquet),
            #[cfg(not(feature = "parquet"))]
            "parquet" | "pq" => Err(Error::NotBuilt {
                what: path.display().to_string(),
                feature: "parquet",
            }),
            "" if path.starts_with("/dev") => Ok(Self::Csv),
            _ => Err(Error::OutputFormat {
                path: path.to_path_buf(),
            }),
        }
    }

    /// The ending of its files' names.
    pub fn extension(self) -> &'static str {
        self.into()
    }
}

/// What a column of results holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Integers of 64 bits.
    Integer,
    /// Numbers of double precision.
    Number,
    /// Numbers of single precision, as networks put them out.
    Single,
    /// UTF-8 text.
    Text,
}

/// One cell of results; it must be of its column's kind. Numbers that are not finite are written as missing.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// An empty cell.
    Missing,
    /// A cell of a [`ColumnKind::Integer`].
    Integer(i64),
    /// A cell of a [`ColumnKind::Number`].
    Number(f64),
    /// A cell of a [`ColumnKind::Single`].
    Single(f32),
    /// A cell of a [`ColumnKind::Text`].
    Text(Cow<'a, str>),
}

impl Value<'_> {
    /// A count, or the number of a row or line, as a cell of a [`ColumnKind::Integer`].
    pub fn count(n: impl TryInto<i64>) -> Self {
        Self::Integer(n.try_into().unwrap_or(i64::MAX))
    }

    fn fits(&self, kind: ColumnKind) -> bool {
        matches!(
            (self, kind),
            (Self::Missing, _)
                | (Self::Integer(_), ColumnKind::Integer)
                | (Self::Number(_), ColumnKind::Number)
                | (Self::Single(_), ColumnKind::Single)
                | (Self::Text(_), ColumnKind::Text)
        )
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Self::Missing => serde_json::Value::Null,
            Self::Integer(whole) => (*whole).into(),
            Self::Text(text) => text.as_ref().into(),
            // By way of text, so that 0.1 stays 0.1 and does not become 0.10000000149.
            Self::Number(_) | Self::Single(_) => {
                let number = self.to_string().parse::<f64>().ok();
                number
                    .and_then(serde_json::Number::from_f64)
                    .map_or(serde_json::Value::Null, Into::into)
            }
        }
    }
}

/// The shortest text that reads back as the same number; nothing for what is missing.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => Ok(()),
            Self::Integer(whole) => write!(f, "{whole}"),
            Self::Text(text) => f.write_str(text),
            Self::Number(number) if !number.is_finite() => Ok(()),
            Self::Single(number) if !number.is_finite() => Ok(()),
            Self::Number(number) if plain(*number) => write!(f, "{number}"),
            Self::Single(number) if plain((*number).into()) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number:e}"),
            Self::Single(number) => write!(f, "{number:e}"),
        }
    }
}

/// Whether a number is readable without an exponent.
fn plain(number: f64) -> bool {
    number == 0.0 || (1e-4..1e15).contains(&number.abs())
}

/// Writes a results table; dropped before [`finish`](Self::finish), it leaves nothing.
pub struct TableWriter {
    path: PathBuf,
    pub(super) kinds: Vec<ColumnKind>,
    names: Vec<String>,
    text: CsvText,
    sink: Sink,
}

enum Sink {
    Csv(Box<csv::Writer<WholeFile>>),
    Jsonl(WholeFile),
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetSink>),
}

impl fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableWriter")
            .field("path", &self.path)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl TableWriter {
    /// Begins a table in the format of the path's ending. Names of columns must differ.
    ///
    /// # Errors
    ///
    /// [`Error::OutputFormat`], [`Error::Write`].
    pub fn create(path: &Path, columns: &[(String, ColumnKind)]) -> Result<Self> {
        Self::create_as(path, columns, CsvText::Exact)
    }

    /// As [`TableWriter::create`], with a say in how text is written as CSV.
    ///
    /// # Errors
    ///
    /// As [`TableWriter::create`].
    pub fn create_as(path: &Path, columns: &[(String, ColumnKind)], text: CsvText) -> Result<Self> {
        let format = TableFormat::from_path(path)?;
        let file = WholeFile::create(path)?;
        let (names, kinds): (Vec<_>, Vec<_>) = columns.iter().cloned().unzip();
        let sink = Sink::open(format, file, columns, text);
        let sink = sink.map_err(cannot_write(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            kinds,
            names,
            text,
            sink,
        })
    }

    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Appends one row.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    ///
    /// # Panics
    ///
    /// Where the row is not as wide as the table or a value is not of its column's kind.
    pub fn write(&mut self, row: &[Value<'_>]) -> Result<()> {
        assert_eq!(row.len(), self.kinds.len(), "a row as wide as the table");
        for (value, (kind, name)) in row.iter().zip(self.kinds.iter().zip(&self.names)) {
            assert!(
                value.fits(*kind),
                "{value:?} in column `{name}` of {kind:?}"
            );
        }
        let written = match &mut self.sink {
            Sink::Csv(csv) => csv
                .write_record(row.iter().map(|value| match value {
                    Value::Text(text) => self.text.write(text).into_owned(),
                    value => value.to_string(),
                }))
                .map_err(from_csv),
            Sink::Jsonl(file) => write_json(file, &self.names, row),
            #[cfg(feature = "parquet")]
            Sink::Parquet(parquet) => parquet.write(row),
        };
        written.map_err(cannot_write(&self.path))
    }

    /// Puts the table in its place.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn finish(self) -> Result<()> {
        let file = match self.sink {
            Sink::Csv(csv) => csv.into_inner().map_err(|failed| {
                let kind = failed.error().kind();
                io::Error::new(kind, failed.error().to_string())
            }),
            Sink::Jsonl(file) => Ok(file),
            #[cfg(feature = "parquet")]
            Sink::Parquet(parquet) => parquet.finish(),
        };
        file.map_err(cannot_write(&self.path))?.finish()
    }
}

/// Puts tables of the same columns and format one after another into one, which is the same to the byte as if its rows
/// had been written at once; it appears when it is whole.
///
/// # Errors
///
/// [`Error::OutputFormat`], [`Error::Write`], [`Error::Read`], for Parquet what its reader says; [`Error::PartDamaged`] for a table
/// of other columns.
pub fn join_tables(
    path: &Path,
    columns: &[(String, ColumnKind)],
    tables: &[PathBuf],
    text: CsvText,
) -> Result<()> {
    let format = TableFormat::from_path(path)?;
    #[cfg(feature = "parquet")]
    if format == TableFormat::Parquet {
        let mut writer = TableWriter::create(path, columns)?;
        for table in tables {
            super::parquet::append(&mut writer, table)?;
        }
        return writer.finish();
    }
    let header = match format {
        TableFormat::Csv => csv_header(columns, text),
        _ => Ok(Vec::new()),
    };
    let header = header.map_err(cannot_write(path))?;
    let mut joined = WholeFile::create(path)?;
    joined.write_all(&header).map_err(cannot_write(path))?;
    for table in tables {
        let cannot_read = cannot_read(table);
        let mut file = File::open(table).map_err(cannot_read)?;
        let mut found = vec![0; header.len()];
        file.read_exact(&mut found).map_err(cannot_read)?;
        if found != header {
            return Err(Error::PartDamaged {
                path: table.clone(),
            });
        }
        io::copy(&mut file, &mut joined).map_err(cannot_write(path))?;
    }
    joined.finish()
}

/// The header line of a CSV.
fn csv_header(columns: &[(String, ColumnKind)], text: CsvText) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(
        columns
            .iter()
            .map(|(name, _)| text.write(name).into_owned()),
    )
    .map_err(from_csv)?;
    csv.into_inner()
        .map_err(|failed| io::Error::new(failed.error().kind(), failed.error().to_string()))
}

impl Sink {
    fn open(
        format: TableFormat,
        file: WholeFile,
        columns: &[(String, ColumnKind)],
        text: CsvText,
    ) -> io::Result<Self> {
        Ok(match format {
            TableFormat::Csv => {
                let mut file = file;
                file.write_all(&csv_header(columns, text)?)?;
                let csv = csv::Writer::from_writer(file);
                Self::Csv(Box::new(csv))
            }
            TableFormat::Jsonl => Self::Jsonl(file),
            #[cfg(feature = "parquet")]
            TableFormat::Parquet => Self::Parquet(Box::new(ParquetSink::open(file, columns)?)),
        })
    }
}

fn write_json(file: &mut WholeFile, names: &[String], row: &[Value<'_>]) -> io::Result<()> {
    let object: serde_json::Map<_, _> = names
        .iter()
        .cloned()
        .zip(row.iter().map(Value::json))
        .collect();
    serde_json::to_writer(&mut *file, &object)?;
    file.write_all(b"\n")
}

/// What the system said, where it said something; a full disk must be told from a bad value.
fn from_csv(failed: csv::Error) -> io::Error {
    failed.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn columns() -> Vec<(String, ColumnKind)> {
        [
            ("row", ColumnKind::Integer),
            ("na,me", ColumnKind::Text),
            ("p(\"x\")", ColumnKind::Single),
            ("price", ColumnKind::Number),
        ]
        .map(|(name, kind)| (name.to_owned(), kind))
        .to_vec()
    }

    fn rows() -> Vec<Vec<Value<'static>>> {
        vec![
            vec![
                Value::Integer(1),
                Value::Text("a, \"b\"\nc".into()),
                Value::Single(0.1),
                Value::Number(535_000.0),
            ],
            vec![
                Value::Integer(2),
                Value::Missing,
                Value::Single(f32::NAN),
                Value::Missing,
            ],
            vec![
                Value::Integer(3),
                Value::Text("é".into()),
                Value::Single(1.2e-7),
                Value::Number(-0.25),
            ],
        ]
    }

    fn written(name: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut table = TableWriter::create(&path, &columns()).unwrap();
        for row in rows() {
            table.write(&row).unwrap();
        }
        assert!(!path.exists());
        table.finish().unwrap();
        (folder, path)
    }

    #[test]
    fn csv_comes_back_as_it_was() {
        let (_folder, path) = written("a.csv");
        let mut reader = csv::Reader::from_path(path).unwrap();
        assert_eq!(
            reader.headers().unwrap(),
            &["row", "na,me", "p(\"x\")", "price"][..]
        );
        let back: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(back[0], ["1", "a, \"b\"\nc", "0.1", "535000"][..]);
        assert_eq!(back[1], ["2", "", "", ""][..]);
        assert_eq!(back[2], ["3", "é", "1.2e-7", "-0.25"][..]);
    }

    #[test]
    fn what_a_spreadsheet_would_run_has_an_apostrophe_where_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let columns = [
            ("=1+1".to_owned(), ColumnKind::Text),
            ("price".to_owned(), ColumnKind::Number),
        ];
        for (text, expected) in [
            (CsvText::Exact, "=1+1,price\n=HYPERLINK(1),-0.5\n"),
            (
                CsvText::SpreadsheetSafe,
                "'=1+1,price\n'=HYPERLINK(1),-0.5\n",
            ),
        ] {
            let mut table = TableWriter::create_as(&path, &columns, text).unwrap();
            let row = [Value::Text("=HYPERLINK(1)".into()), Value::Number(-0.5)];
            table.write(&row).unwrap();
            table.finish().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        }
        for text in ["+1", "-x", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(CsvText::SpreadsheetSafe.write(text), format!("'{text}"));
        }
        for text in ["", "a=1", " =1", "'=1"] {
            assert_eq!(CsvText::SpreadsheetSafe.write(text), text);
        }
    }

    #[test]
    fn jsonl_comes_back_as_it_was() {
        let (_folder, path) = written("a.jsonl");
        insta::assert_snapshot!(fs::read_to_string(path).unwrap(), @r#"
        {"row":1,"na,me":"a, \"b\"\nc","p(\"x\")":0.1,"price":535000.0}
        {"row":2,"na,me":null,"p(\"x\")":null,"price":null}
        {"row":3,"na,me":"é","p(\"x\")":1.2e-7,"price":-0.25}
        "#);
    }

    #[test]
    fn parquet_comes_back_as_it_was() {
        use arrow_array::Array;
        use arrow_array::cast::AsArray;
        use arrow_array::types::{Float32Type, Float64Type, Int64Type};
        use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

        let (_folder, path) = written("a.parquet");
        let file = fs::File::open(path).unwrap();
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap();
        let batch = reader.next().unwrap().unwrap();
        assert_eq!(batch.num_rows(), 3);
        assert_eq!(
            batch.column(0).as_primitive::<Int64Type>().values(),
            &[1, 2, 3]
        );
        let names = batch.column(1).as_string::<i32>();
        assert_eq!((names.value(0), names.value(2)), ("a, \"b\"\nc", "é"));
        let single = batch.column(2).as_primitive::<Float32Type>();
        assert_eq!((single.value(0), single.value(2)), (0.1, 1.2e-7));
        let number = batch.column(3).as_primitive::<Float64Type>();
        assert_eq!((number.value(0), number.value(2)), (535_000.0, -0.25));
        assert!((1..4).all(|column| batch.column(column).is_null(1)));
    }

    #[test]
    fn more_rows_than_a_batch_all_arrive() {
        use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let columns = [("row".to_owned(), ColumnKind::Integer)];
        let mut table = TableWriter::create(&path, &columns).unwrap();
        let n = crate::write::parquet::ROWS_PER_BATCH + 5;
        for row in 0..n {
            table.write(&[Value::Integer(row as i64)]).unwrap();
        }
        table.finish().unwrap();
        let file = fs::File::open(path).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap();
        assert_eq!(
            reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(),
            n
        );
    }

    #[test]
    fn a_table_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.csv", "a.jsonl", "a.parquet"] {
            let mut table = TableWriter::create(&folder.path().join(name), &columns()).unwrap();
            table.write(&rows()[0]).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_unknown_ending_is_refused_with_those_we_know() {
        let failed = TableWriter::create(Path::new("out.xlsx"), &columns()).unwrap_err();
        assert_eq!(
            failed.to_string(),
            "out.xlsx: expected a name ending in .csv, .jsonl or .parquet"
        );
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        /// Any text and any number, through CSV and through JSON Lines.
        #[test]
        fn whatever_is_written_is_read(text in ".*", number: f64, single: f32) {
            let folder = tempfile::tempdir().unwrap();
            let row = [
                Value::Integer(7),
                Value::Text(text.as_str().into()),
                Value::Single(single),
                Value::Number(number),
            ];
            let written = |name: &str| {
                let path = folder.path().join(name);
                let mut table = TableWriter::create(&path, &columns()).unwrap();
                table.write(&row).unwrap();
                table.finish().unwrap();
                fs::read(path).unwrap()
            };
            let csv = written("a.csv");
            let record = csv::Reader::from_reader(&csv[..]).records().next().unwrap().unwrap();
            proptest::prop_assert_eq!(&record[1], &text);
            let json: serde_json::Value = serde_json::from_slice(&written("a.jsonl")).unwrap();
            proptest::prop_assert_eq!(&json["na,me"], &text);
            if number.is_finite() {
                proptest::prop_assert_eq!(record[3].parse::<f64>().unwrap(), number);
                proptest::prop_assert_eq!(json["price"].as_f64().unwrap(), number);
            }
            if single.is_finite() {
                proptest::prop_assert_eq!(record[2].parse::<f32>().unwrap(), single);
                proptest::prop_assert_eq!(json["p(\"x\")"].as_f64().unwrap() as f32, single);
            }
        }
    }
}
