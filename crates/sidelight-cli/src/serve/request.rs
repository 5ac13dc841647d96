//! Parses untrusted bodies into rows: JSON or multipart.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use sidelight::dataset::{ImageSource, RequestRow};

use super::fault::Fault;

/// Most cells of a request, those of all its rows together.
const MAX_CELLS: usize = 100_000;
/// Most images of a row: as many as a model reads.
const MAX_IMAGES: usize = 64;
/// Most bytes that the texts and columns of all those cells take.
const MAX_CELL_BYTES: usize = 32 << 20;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The rows of a request.
#[derive(Debug)]
pub(crate) struct PredictRequest {
    /// At least one.
    pub(crate) rows: Vec<RequestRow>,
    /// Whether the answer is a list.
    pub(crate) is_list: bool,
}

/// Parses a body of `max_rows` rows at most, by its content type.
pub(crate) async fn parse(
    headers: &HeaderMap,
    body: Bytes,
    max_rows: usize,
) -> Result<PredictRequest, Fault> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match kind {
        "application/json" => parse_json(&body, max_rows),
        "multipart/form-data" => parse_form(headers, body, max_rows).await,
        _ => {
            let found = if kind.is_empty() { "none" } else { kind };
            let found: String = found.chars().take(100).collect();
            Err(Fault::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!(
                    "expected content type application/json or multipart/form-data, found {found}"
                ),
            )
            .hint("with curl: -H 'content-type: application/json', or -F image=@photo.jpg"))
        }
    }
}

fn malformed(message: impl fmt::Display) -> Fault {
    Fault::new(StatusCode::BAD_REQUEST, message.to_string())
}

fn too_many(max_rows: usize) -> Fault {
    Fault::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("more than {max_rows} rows in one request"),
    )
    .hint("send them in several requests")
}

/// Refuses more cells than a request may have: `n` rows of such cells.
fn check_cells<'c>(
    rows: impl Iterator<Item = (usize, &'c Map<String, Value>)>,
) -> Result<(), Fault> {
    let (mut n_cells, mut n_bytes) = (0_usize, 0_usize);
    for (n, cells) in rows {
        let bytes: usize = cells
            .iter()
            .map(|(column, cell)| column.len() + cell.as_str().map_or(0, str::len))
            .sum();
        n_cells = n_cells.saturating_add(n.saturating_mul(cells.len()));
        n_bytes = n_bytes.saturating_add(n.saturating_mul(bytes));
    }
    if n_cells <= MAX_CELLS && n_bytes <= MAX_CELL_BYTES {
        return Ok(());
    }
    Err(too_many_cells(format!(
        "the rows of the request have {n_cells} cells of {n_bytes} bytes in all; the limits are {MAX_CELLS} cells and {} MiB",
        MAX_CELL_BYTES >> 20
    )))
}

fn too_many_cells(message: String) -> Fault {
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message)
        .hint("send fewer rows or columns in one request")
}

fn parse_json(body: &[u8], max_rows: usize) -> Result<PredictRequest, Fault> {
    let beyond = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(body);
    let seed = Rows {
        max_rows,
        beyond: &beyond,
    };
    let read = seed.deserialize(&mut reader);
    let read = read.and_then(|read| reader.end().map(|()| read));
    let (rows, is_list) = read.map_err(|error| beyond.take().unwrap_or_else(|| {
        malformed(format!("not a row in JSON: {error}"))
            .hint(r#"a row is {"image": base64, "metadata": {column: value or null}}, or {"images": {column: base64}, …}; send several as a list"#)
    }))?;
    if rows.is_empty() {
        return Err(malformed("the list has no row to predict"));
    }
    let row = |(at, row): (usize, Row<'_>)| {
        let number = at + 1;
        let name = match is_list {
            true => format!("the image of row {number}"),
            false => "the image".to_owned(),
        };
        let image = row.image.map(|text| decoded(&name, &text.0)).transpose()?;
        let images = row.images.map_or_else(Vec::new, |images| images.0);
        let images = images.into_iter().map(|(column, text)| {
            let image = decoded(&format!("{name} ({})", shortened(&column)), &text.0)?;
            Ok((column, image))
        });
        Ok(RequestRow {
            number,
            image,
            images: images.collect::<Result<_, Fault>>()?,
            cells: row.metadata.map(|cells| cells.0).unwrap_or_default(),
        })
    };
    let rows = rows
        .into_iter()
        .enumerate()
        .map(row)
        .collect::<Result<_, Fault>>()?;
    Ok(PredictRequest { rows, is_list })
}

/// Decodes an image in base64: with or without a `data:` prefix, padding or line breaks, in either alphabet.
fn decoded(name: &str, text: &str) -> Result<ImageSource, Fault> {
    let text = match text.strip_prefix("data:") {
        Some(uri) => uri.split_once(";base64,").map_or(text, |(_, data)| data),
        None => text,
    };
    let text: Cow<'_, str> = match text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        true => text.split_ascii_whitespace().collect::<String>().into(),
        false => text.into(),
    };
    let alphabet = match text.contains(['-', '_']) {
        true => &BASE64_URL,
        false => &BASE64,
    };
    let bytes = alphabet
        .decode(&*text)
        .map_err(|error| malformed(format!("{name} is not base64: {error}")))?;
    Ok(ImageSource::Bytes {
        name: name.into(),
        bytes: bytes.into(),
    })
}

async fn parse_form(
    headers: &HeaderMap,
    body: Bytes,
    max_rows: usize,
) -> Result<PredictRequest, Fault> {
    let mut request = Request::new(Body::from(body));
    *request.headers_mut() = headers.clone();
    // The body was read within its own limit; axum's, of 2 MB, is another.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| malformed(error.body_text()))?;
    let (mut images, mut metadata, mut cells) = (Vec::new(), Vec::new(), Map::new());
    let mut named = BTreeMap::new();
    while let Some(part) = form
        .next_field()
        .await
        .map_err(|error| malformed(error.body_text()))?
    {
        let Some(name) = part.name().map(str::to_owned) else {
            return Err(malformed("a part of the form has no name"));
        };
        let file = part.file_name().map(last_of_path);
        let bytes = part
            .bytes()
            .await
            .map_err(|error| malformed(error.body_text()))?;
        if name == "image" {
            let name = file
                .filter(|name| !name.is_empty())
                .unwrap_or("the image".into());
            let bytes = bytes[..].into();
            images.push(ImageSource::Bytes { name, bytes });
            if images.len() > max_rows {
                return Err(too_many(max_rows));
            }
            continue;
        }
        if let Some(column) = name.strip_prefix("images.") {
            let name = file
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| shortened(column));
            let bytes = bytes[..].into();
            named.insert(column.to_owned(), ImageSource::Bytes { name, bytes });
            if named.len() > MAX_IMAGES {
                return Err(malformed(format!("more than {MAX_IMAGES} images of a row")));
            }
            continue;
        }
        if name == "metadata" {
            let row: Cells = serde_json::from_slice(&bytes).map_err(|error| {
                malformed(format!("`metadata` is not an object of cells: {error}"))
            })?;
            metadata.push(row.0);
            if metadata.len() > max_rows {
                return Err(too_many(max_rows));
            }
            check_cells(metadata.iter().map(|row| (1, row)))?;
            continue;
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| malformed(format!("`{}` is not UTF-8 text", shortened(&name))))?;
        if cells.insert(name.clone(), text.into()).is_some() {
            return Err(malformed(format!("`{}` is given twice", shortened(&name))));
        }
    }
    let n = images.len().max(metadata.len()).max(1);
    if n > max_rows {
        return Err(too_many(max_rows));
    }
    let fits = |found: usize| found <= 1 || found == n;
    if !fits(images.len()) || !fits(metadata.len()) {
        return Err(malformed(format!(
            "{} images do not match {} `metadata` parts",
            images.len(),
            metadata.len()
        ))
        .hint("send as many of each, or one of either for all rows"));
    }
    let own = |row| (n / metadata.len(), row);
    check_cells(metadata.iter().map(own).chain([(n, &cells)]))?;
    let of = |at: usize, found: usize| if found == 1 { 0 } else { at };
    let row = |at: usize| {
        let mut all = cells.clone();
        if let Some(own) = metadata.get(of(at, metadata.len())) {
            all.extend(own.clone());
        }
        RequestRow {
            number: at + 1,
            image: images.get(of(at, images.len())).cloned(),
            images: named.clone(),
            cells: all,
        }
    };
    Ok(PredictRequest {
        rows: (0..n).map(row).collect(),
        is_list: n > 1,
    })
}

/// A file's name without its folders; it is displayed, never opened.
fn last_of_path(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    shortened(last)
}

fn shortened(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// A row in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    #[serde(borrow, default)]
    image: Option<Text<'a>>,
    #[serde(borrow, default)]
    images: Option<Images<'a>>,
    #[serde(default)]
    metadata: Option<Cells>,
}

/// Text borrowed from the body if possible: serde always copies an `Option<Cow<str>>`.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an image in base64")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowed)
    }
}

/// Images of a row by their columns; those that are `null` are left out.
struct Images<'a>(Vec<(String, Text<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Images<'a> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Images<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of columns and their images in base64")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut images, mut n) = (Vec::new(), 0);
                while let Some((column, image)) = map.next_entry::<String, Option<Text<'de>>>()? {
                    n += 1;
                    if n > MAX_IMAGES {
                        return Err(de::Error::custom(format_args!(
                            "more than {MAX_IMAGES} images of a row"
                        )));
                    }
                    images.extend(image.map(|image| (column, image)));
                }
                Ok(Images(images))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// An object of scalars; nested values are refused before they are built.
struct Cells(Map<String, Value>);

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Cells;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of columns and their values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut cells = Map::new();
                while let Some((column, value)) = map.next_entry::<String, Single>()? {
                    if cells.len() >= MAX_CELLS {
                        return Err(de::Error::custom(format_args!(
                            "more than {MAX_CELLS} cells"
                        )));
                    }
                    let shown = shortened(&column);
                    if cells.insert(column, value.0).is_some() {
                        return Err(de::Error::custom(format_args!("`{shown}` is given twice")));
                    }
                }
                Ok(Cells(cells))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A scalar: true, false, a number, text or null.
struct Single(Value);

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl Visitor<'_> for One {
            type Value = Single;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, a number, text or null")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Single, E> {
                Ok(Single(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Single, E> {
                Ok(Single(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Single, E> {
                Ok(Single(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Single, E> {
                Ok(Single(value.into()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Single, E> {
                Ok(Single(value.into()))
            }
            fn visit_unit<E>(self) -> Result<Single, E> {
                Ok(Single(Value::Null))
            }
        }
        deserializer.deserialize_any(One)
    }
}

/// One row, or a list of at most `max_rows`; the flag says whether it is a list.
struct Rows<'c> {
    max_rows: usize,
    /// The refusal of a list that is well formed but beyond a limit.
    beyond: &'c Cell<Option<Fault>>,
}

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = (Vec<Row<'de>>, bool);
    fn deserialize<D: de::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = (Vec<Row<'de>>, bool);
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row or a list of rows")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let row = Row::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok((vec![row], false))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut rows, mut n_cells) = (Vec::new(), 0);
        while let Some(row) = list.next_element::<Row<'de>>()? {
            if rows.len() == self.max_rows {
                self.beyond.set(Some(too_many(self.max_rows)));
                return Err(de::Error::custom("too many rows"));
            }
            n_cells += row.metadata.as_ref().map_or(0, |cells| cells.0.len());
            if n_cells > MAX_CELLS {
                self.beyond.set(Some(too_many_cells(format!(
                    "the first {} rows of the request have {n_cells} cells; the limit is {MAX_CELLS}",
                    rows.len() + 1
                ))));
                return Err(de::Error::custom("too many cells"));
            }
            rows.push(row);
        }
        Ok((rows, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> String {
        parse_json(body.as_bytes(), 2).unwrap_err().message
    }

    #[test]
    fn a_row_and_a_list_of_rows_are_told_apart() {
        let one = parse_json(
            br#"{"image": "aGk", "metadata": {"beds": 3, "tree": null}}"#,
            2,
        )
        .unwrap();
        assert!(!one.is_list);
        assert_eq!(one.rows[0].cells["beds"], 3);
        let Some(ImageSource::Bytes { bytes, .. }) = &one.rows[0].image else {
            panic!("an image")
        };
        assert_eq!(&bytes[..], b"hi");
        let list = parse_json(br#"[{}, {"image": null}]"#, 2).unwrap();
        assert!(list.is_list && list.rows.len() == 2 && list.rows[1].image.is_none());
    }

    #[test]
    fn base64_may_have_padding_line_breaks_another_alphabet_and_a_data_uri() {
        for text in ["+/8=", "+/8", "-_8", "+/\n8=", "data:image/png;base64,+/8="] {
            let Ok(ImageSource::Bytes { bytes, .. }) = decoded("x", text) else {
                panic!("{text}")
            };
            assert_eq!(&bytes[..], [0xfb, 0xff], "{text}");
        }
        assert!(decoded("x", "!").is_err());
    }

    #[test]
    fn what_is_no_row_is_refused_with_its_place() {
        assert!(
            refusal(r#"{"metadata": {"a": [1]}}"#)
                .contains("expected true, false, a number, text or null")
        );
        assert!(refusal(r#"{"metadata": {"a": NaN}}"#).contains("line 1 column"));
        assert!(refusal(r#"{"metadata": {"a": 1, "a": 2}}"#).contains("`a` is given twice"));
        assert!(refusal(r#"{"picture": ""}"#).contains("unknown field `picture`"));
        assert!(refusal("[{}, {}, {}]").contains("more than 2 rows"));
        assert!(refusal("[]").contains("no row to predict"));
        assert!(refusal("{} {}").contains("trailing"));
    }

    #[test]
    fn of_a_files_name_only_the_last_part_is_kept() {
        assert_eq!(last_of_path("../../etc/passwd"), "passwd");
        assert_eq!(last_of_path("C:\\a\\b.jpg"), "b.jpg");
        assert_eq!(last_of_path("a\u{0}\nb"), "ab");
    }
}
