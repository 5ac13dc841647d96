//! Facts about an image that can be asked for as metadata: camera tags, width, height, size of the file.

use std::io::{BufRead, BufReader, Cursor, Seek};
use std::sync::Arc;

use crate::image::dicom::{self, Attribute};
use crate::image::{self, ImageSource, Limits};
use crate::table::Cell;

/// A larger member of an archive is not read; as an image it would be refused.
const MAX_MEMBER_BYTES: u64 = 512 << 20;

/// A fact about an image.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// A number: pixels, bytes, or the tag's own unit (seconds for `exif.ExposureTime`, degrees for GPS).
    Number(f64),
    /// Text, as the camera wrote it.
    Text(String),
}

impl Fact {
    pub(super) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Number(number) => Cell::Number(*number),
            Self::Text(text) => Cell::Text(text),
        }
    }
}

/// Whether a column of this name is computed from the image where the table has none:
/// `image.width`, `image.height`, `image.bytes`, `exif.<Tag>`, `dicom.<Attribute>`.
pub(super) fn is_computed(name: &str) -> bool {
    matches!(name, "image.width" | "image.height" | "image.bytes")
        || name
            .strip_prefix("exif.")
            .is_some_and(|tag| !tag.is_empty())
        || name.strip_prefix("dicom.").is_some_and(dicom::is_known)
}

/// Reads facts about one image from its header: the pixels are not decoded.
///
/// Each name is `image.width`, `image.height` (pixels as stored, before EXIF orientation), `image.bytes`
/// `exif.<Tag>` with the tag's name in the EXIF standard (`exif.ExposureTime`, in seconds), or `dicom.<Attribute>` with its
/// keyword in the DICOM standard (`dicom.PatientAge`, in years) or eight hexadecimal digits (`dicom.00101010`): of dates
/// `2026-11-29`, of several values the first.
/// `None` where the image does not say, or cannot be read.
///
/// # Example
///
/// ```
/// use sidelight_data::dataset::{Fact, ImageSource, image_facts};
///
/// let bytes = sidelight_example_bmp();
/// let source = ImageSource::Bytes { name: "a.bmp".into(), bytes: bytes.into() };
/// let facts = image_facts(&source, &["image.width", "exif.ExposureTime"]);
/// assert_eq!(facts, [Some(Fact::Number(3.0)), None]);
///
/// # fn sidelight_example_bmp() -> Vec<u8> {
/// #     let mut bytes = std::io::Cursor::new(Vec::new());
/// #     image::RgbImage::new(3, 2).write_to(&mut bytes, image::ImageFormat::Bmp).unwrap();
/// #     bytes.into_inner()
/// # }
/// ```
pub fn image_facts(source: &ImageSource, names: &[&str]) -> Vec<Option<Fact>> {
    let source = source.first().whole();
    match source {
        source if source.is_absent() => vec![None; names.len()],
        ImageSource::Bytes { bytes, .. } => facts(
            source,
            || Some(Cursor::new(&bytes[..])),
            Some(bytes.len() as u64),
            names,
        ),
        ImageSource::Member(member) => {
            let allowed = member.n_bytes <= MAX_MEMBER_BYTES;
            let bytes = allowed.then(|| member.read().ok()).flatten();
            let bytes: Arc<[u8]> = bytes.unwrap_or_default().into();
            let read = ImageSource::Bytes {
                name: source.name(),
                bytes: bytes.clone(),
            };
            facts(
                &read,
                || Some(Cursor::new(&bytes[..])),
                Some(member.n_bytes),
                names,
            )
        }
        ImageSource::Object(_) => match image::read(source, &Limits::default()) {
            Ok(bytes) => {
                let bytes: Arc<[u8]> = bytes.into();
                let read = ImageSource::Bytes {
                    name: source.name(),
                    bytes,
                };
                image_facts(&read, names)
            }
            Err(_) => vec![None; names.len()],
        },
        ImageSource::Path(path) => {
            // A pipe is no image, and opening it would wait forever.
            let n_bytes = std::fs::metadata(path)
                .ok()
                .filter(std::fs::Metadata::is_file)
                .map(|file| file.len());
            let open = || {
                n_bytes?;
                std::fs::File::open(path).ok().map(BufReader::new)
            };
            facts(source, open, n_bytes, names)
        }
        // The first of several is not several, and a whole no part.
        ImageSource::Several(_) | ImageSource::Crop(_) => vec![None; names.len()],
    }
}

fn facts<R: BufRead + Seek>(
    source: &ImageSource,
    open: impl Fn() -> Option<R>,
    n_bytes: Option<u64>,
    names: &[&str],
) -> Vec<Option<Fact>> {
    let wants = |prefix: &str| names.iter().any(|name| name.starts_with(prefix));
    let wants_size = wants("image.w") || wants("image.h");
    let header = wants_size.then(|| image::facts(source).ok()).flatten();
    // What is left of damaged tags is read as far as it goes.
    let tags = wants("exif.").then(|| {
        let mut reader = exif::Reader::new();
        reader.continue_on_error(true);
        reader
            .read_from_container(&mut open()?)
            .or_else(|error| error.distill_partial_result(|_| {}))
            .ok()
    });
    let tags = tags.flatten();
    let attributes: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix("dicom."))
        .collect();
    let mut attributes = match attributes.is_empty() {
        true => Vec::new(),
        false => image::attributes(source, &attributes),
    }
    .into_iter();
    let fact = |name: &&str| match *name {
        "image.width" => header.map(|header| Fact::Number(header.width as f64)),
        "image.height" => header.map(|header| Fact::Number(header.height as f64)),
        "image.bytes" => n_bytes.map(|bytes| Fact::Number(bytes as f64)),
        name if name.starts_with("dicom.") => attributes.next()?.map(|value| match value {
            Attribute::Number(number) => Fact::Number(number),
            Attribute::Text(text) => Fact::Text(text),
        }),
        name => tag_value(tags.as_ref()?, name.strip_prefix("exif.")?),
    };
    names.iter().map(fact).collect()
}

fn tag_value(tags: &exif::Exif, name: &str) -> Option<Fact> {
    let find = |name: &str| {
        let named = |field: &&exif::Field| field.tag.to_string() == name;
        tags.fields()
            .find(|field| field.ifd_num == exif::In::PRIMARY && named(field))
            .or_else(|| tags.fields().find(named))
    };
    let value = &find(name)?.value;
    if let exif::Value::Ascii(texts) = value {
        let text = String::from_utf8_lossy(texts.first()?).trim().to_owned();
        return (!text.is_empty()).then_some(Fact::Text(text));
    }
    // Latitude and longitude are degrees, minutes and seconds; the sign is a tag of its own.
    if (name == "GPSLatitude" || name == "GPSLongitude")
        && let exif::Value::Rational(parts) = value
        && let [degrees, minutes, seconds] = parts[..]
    {
        let side = find(&format!("{name}Ref"))
            .map(|field| field.display_value().to_string())
            .unwrap_or_default();
        let angle = degrees.to_f64() + minutes.to_f64() / 60.0 + seconds.to_f64() / 3600.0;
        let sign = if side.starts_with(['S', 'W']) {
            -1.0
        } else {
            1.0
        };
        return angle.is_finite().then_some(Fact::Number(sign * angle));
    }
    let number = match value {
        exif::Value::Rational(numbers) => numbers.first()?.to_f64(),
        exif::Value::SRational(numbers) => numbers.first()?.to_f64(),
        exif::Value::Float(numbers) => f64::from(*numbers.first()?),
        exif::Value::Double(numbers) => *numbers.first()?,
        exif::Value::SByte(numbers) => f64::from(*numbers.first()?),
        exif::Value::SShort(numbers) => f64::from(*numbers.first()?),
        exif::Value::SLong(numbers) => f64::from(*numbers.first()?),
        other => f64::from(other.get_uint(0)?),
    };
    // 0/0 is how a camera writes "unknown".
    number.is_finite().then_some(Fact::Number(number))
}
