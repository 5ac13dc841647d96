//! Tables, images and configurations.

use std::path::Path;

use sidelight::config::{Config, ResizeMethod, TargetConfig};
use sidelight::dataset::{ImageSource, image_facts};
use sidelight::error::in_full;
use sidelight::image::{self, Limits};
use sidelight::schema::{Schema, Wishes};
use sidelight::table::{Cell, Pieces, ReadLimit, Table};

use super::scratch::{crc32, put, zipped};

/// Small, so that an input which evades them is noticed.
const LIMITS: Limits = Limits {
    max_bytes: 1 << 20,
    max_pixels: 1 << 18,
};

/// CSV with commas, semicolons or tabs.
pub(crate) fn csv(data: &[u8]) {
    table("t.csv", data);
}

/// JSON Lines.
pub(crate) fn jsonl(data: &[u8]) {
    table("t.jsonl", data);
}

/// Parquet.
pub(crate) fn parquet(data: &[u8]) {
    table("t.parquet", data);
}

/// A workbook: an archive as it is; or its parts as text, which few mutants reach through an archive, each below a line
/// `==== NAME`.
pub(crate) fn xlsx(data: &[u8]) {
    const MARK: &[u8] = b"==== ";
    if !data.starts_with(MARK) {
        return table("t.xlsx", data);
    }
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        match (line.strip_prefix(MARK), parts.last_mut()) {
            (Some(name), _) => parts.push(name.to_vec()),
            (None, Some(part)) => part.extend(line),
            (None, None) => {}
        }
    }
    let parts: Vec<(&[u8], &[u8])> = parts
        .iter()
        .map(|part| {
            let end = part.iter().position(|byte| *byte == b'\n');
            part.split_at(end.unwrap_or(part.len()))
        })
        .collect();
    table("t.xlsx", &zipped(&parts));
}

/// A tar archive, as it is and with the checksums of its headers put right, as few mutants get past them.
pub(crate) fn tar(data: &[u8]) {
    table("t.tar", data);
    let mut whole = data.to_vec();
    let mut at = 0;
    while let Some(header) = whole.get_mut(at..at + 512) {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = str::from_utf8(&header[124..135]).unwrap_or_default();
        let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).unwrap_or(0);
        at = at.saturating_add(512 + size.next_multiple_of(512));
    }
    table("t.tar", &whole);
}

/// An image, as it is and, a PNG, with the checksums of its chunks put right.
pub(crate) fn image(data: &[u8]) {
    an_image(data);
    if data.starts_with(b"\x89PNG") {
        let mut whole = data.to_vec();
        let mut at = 8;
        while let Some(head) = whole.get(at..at + 8) {
            let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let end = at.saturating_add(8).saturating_add(length);
            let Some(sum) = whole.get(at + 4..end).map(crc32) else {
                break;
            };
            let Some(place) = whole.get_mut(end..end + 4) else {
                break;
            };
            place.copy_from_slice(&sum.to_be_bytes());
            at = end + 4;
        }
        an_image(&whole);
    }
}

/// A configuration, and after a line of `====` settings that override it.
pub(crate) fn toml(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (text, overrides) = text.split_once("\n====\n").unwrap_or((text, ""));
    let overrides: Vec<String> = overrides.lines().map(str::to_owned).collect();
    let path = Path::new("/x/sidelight.toml");
    match Config::parse(text, path, &overrides) {
        Ok(config) => {
            let Ok(written) = config.to_toml() else {
                return;
            };
            let again = Config::parse(&written, path, &[]);
            let again = again.unwrap_or_else(|error| panic!("{}\n{written}", in_full(&error)));
            assert_eq!(again, config.absolute().expect("written"), "{written}");
        }
        Err(error) => {
            let _ = (in_full(&error), error.hint());
        }
    }
}

fn table(name: &str, data: &[u8]) {
    let path = put(name, data);
    let whole = Table::read(&path);
    match &whole {
        Ok(table) => {
            for column in &table.columns {
                assert_eq!(column.len(), table.n_rows);
                for row in 0..table.n_rows.min(200) {
                    let _ = column.cell(row).to_text();
                    let _ = table.place(row, &column.name).to_string();
                    if let Cell::Member(member) = column.cell(row)
                        && member.n_bytes < 1 << 20
                    {
                        let _ = member.read();
                    }
                }
            }
        }
        Err(error) => {
            let _ = (in_full(error), error.hint());
        }
    }
    in_pieces(&path, whole.as_ref().ok());
    if let Ok(table) = whole
        && table.n_rows <= 200
        && table.columns.len() <= 60
    {
        let _ = Schema::infer(&table, &Wishes::new(TargetConfig::regression("price")));
    }
}

/// The same rows, three at a time.
fn in_pieces(path: &Path, whole: Option<&Table>) {
    let Ok(mut pieces) = Pieces::open(&[path.to_path_buf()]) else {
        return;
    };
    let limit = ReadLimit {
        rows: 3,
        step: 1,
        bytes: 4096,
    };
    let mut n_rows = 0;
    while let Ok(Some(piece)) = pieces.next(limit) {
        assert_eq!(piece.table.first_row, n_rows);
        assert!(piece.table.n_rows > 0, "an empty piece");
        if let (Some(whole), true) = (whole, piece.bad.is_empty()) {
            for column in &piece.table.columns {
                let other = whole.find(&column.name).expect("a column of the whole");
                for row in 0..piece.table.n_rows {
                    let (part, all) = (column.cell(row), other.cell(n_rows + row));
                    assert_eq!(part.to_text(), all.to_text(), "row {}", n_rows + row);
                }
            }
        }
        n_rows += piece.table.n_rows;
    }
    if let Some(whole) = whole {
        assert_eq!(n_rows, whole.n_rows);
    }
}

fn an_image(data: &[u8]) {
    let source = ImageSource::Bytes {
        name: "x".into(),
        bytes: data.into(),
    };
    let facts = image::facts(&source);
    let _ = image_facts(&source, &["dicom.PatientAge", "exif.Model"]);
    let Ok(picture) = image::decode_bytes("x", data, Some(32), &LIMITS) else {
        return;
    };
    let n_pixels = picture.width * picture.height;
    assert_eq!(picture.rgb.len(), n_pixels * 3);
    assert!(n_pixels as u64 <= LIMITS.max_pixels, "{n_pixels} pixels");
    let facts = facts.expect("facts of an image that can be decoded");
    assert_eq!(facts.upright(), [picture.width, picture.height]);
    for method in [ResizeMethod::Squish, ResizeMethod::Crop, ResizeMethod::Pad] {
        let fitted = image::resize::fit(&picture, 16, method, [1, 2, 3]);
        assert_eq!(fitted.rgb.len(), fitted.width * fitted.height * 3);
        let _ = fitted.from_stored.inverse();
    }
}
