//! DICOM: the first frame of an image, its values seen through the window that the file says.
//!
//! # Source
//!
//! The DICOM standard: files PS3.10, elements PS3.5, run lengths PS3.5 annex G, pixels PS3.3 C.7.6.3, rescaling C.11.1,
//! windows C.11.2, dicom.nema.org/medical/dicom/current.

mod elements;
mod pixels;
mod tags;

use ::image::{DynamicImage, ImageBuffer, Luma, RgbImage};

use super::{Limits, broken};
use crate::error::{Error, Result};

use elements::{PIXEL_DATA, Tag, Value};
pub(crate) use tags::{Attribute, attributes, is_known};

/// Whether bytes are a DICOM file.
pub(super) fn is_dicom(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM")
}

/// Why a file cannot be read.
#[derive(Debug)]
enum Failure {
    Truncated,
    Damaged(&'static str),
    Unread(String),
    /// What has been said in full.
    Said(Error),
}

impl Failure {
    fn unread(how: &str, syntax: &str) -> Self {
        Self::Unread(format!(
            "its transfer syntax is {how} ({syntax}), which is not read; `gdcmconv --raw` writes one that is"
        ))
    }
    fn in_full(self, name: &str, n_bytes: usize) -> Error {
        let why = match self {
            Self::Truncated => std::io::Error::from(std::io::ErrorKind::UnexpectedEof),
            Self::Damaged(why) => std::io::Error::other(why),
            Self::Unread(why) => std::io::Error::other(why),
            Self::Said(error) => return error,
        };
        broken(name, "DICOM", n_bytes, why)
    }
}

/// What a file says of its pixels.
#[derive(Default)]
struct Header {
    rows: u16,
    columns: u16,
    /// Values of each pixel.
    samples: u16,
    photometric: String,
    /// Whether each colour is apart.
    is_planar: bool,
    n_frames: f64,
    /// Bits of each value, with those that say nothing.
    allocated: u16,
    stored: u16,
    high_bit: u16,
    is_signed: bool,
    window: Option<(f64, f64)>,
    function: String,
    slope: Option<f64>,
    intercept: Option<f64>,
    /// First value and number of bits of the colours, then red, green, blue.
    palette: (Option<(u16, u16)>, [Vec<u8>; 3]),
}

/// The header, the transfer syntax and the pixels as they lie in the file.
fn read(bytes: &[u8]) -> std::result::Result<(Header, String, Option<Value<'_>>), Failure> {
    let mut header = Header {
        samples: 1,
        ..Default::default()
    };
    let (mut center, mut width, mut pixels) = (None, None, None);
    let syntax = elements::each(bytes, |element| {
        let number = |value: &mut u16| *value = element.u16().unwrap_or(0);
        let text = || element.text().unwrap_or_default();
        match element.tag {
            (0x0028, 0x0002) => number(&mut header.samples),
            (0x0028, 0x0004) => header.photometric = text(),
            (0x0028, 0x0006) => header.is_planar = element.u16() == Some(1),
            (0x0028, 0x0008) => header.n_frames = element.decimal().unwrap_or(1.0),
            (0x0028, 0x0010) => number(&mut header.rows),
            (0x0028, 0x0011) => number(&mut header.columns),
            (0x0028, 0x0100) => number(&mut header.allocated),
            (0x0028, 0x0101) => number(&mut header.stored),
            (0x0028, 0x0102) => number(&mut header.high_bit),
            (0x0028, 0x0103) => header.is_signed = element.u16() == Some(1),
            (0x0028, 0x1050) => center = element.decimal(),
            (0x0028, 0x1051) => width = element.decimal(),
            (0x0028, 0x1052) => header.intercept = element.decimal(),
            (0x0028, 0x1053) => header.slope = element.decimal(),
            (0x0028, 0x1056) => header.function = text(),
            (0x0028, 0x1101) => {
                header.palette.0 = element.bytes().and_then(|bytes| match *bytes {
                    [_, _, a, b, c, d, ..] => {
                        Some((u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])))
                    }
                    _ => None,
                });
            }
            (0x0028, colour @ 0x1201..=0x1203) => {
                let place = usize::from(colour - 0x1201);
                if let (Some(bytes), Some(of)) = (element.bytes(), header.palette.1.get_mut(place))
                {
                    *of = bytes.iter().copied().take(1 << 17).collect();
                }
            }
            PIXEL_DATA => pixels = Some(element.value),
            _ => {}
        }
        true
    })?;
    header.window = center.zip(width);
    Ok((header, syntax, pixels))
}

/// Width and height, which stand near the start.
pub(super) fn size(name: &str, bytes: &[u8]) -> Result<[usize; 2]> {
    const ROWS: Tag = (0x0028, 0x0010);
    const COLUMNS: Tag = (0x0028, 0x0011);
    let mut size = [None; 2];
    let read = elements::each(bytes, |element| {
        match element.tag {
            COLUMNS => size[0] = element.u16(),
            ROWS => size[1] = element.u16(),
            _ => {}
        }
        element.tag < COLUMNS
    });
    let size = read.and_then(|_| match size {
        [Some(width @ 1..), Some(height @ 1..)] => Ok([width.into(), height.into()]),
        _ => Err(Failure::Damaged("it does not say how many pixels it has")),
    });
    size.map_err(|failure| failure.in_full(name, bytes.len()))
}

/// The first frame, as many bits a channel as are allocated: of grey values, those of the range are stretched to all of it, or those of the window
/// that the file says, or all that it can store.
pub(super) fn decode(
    name: &str,
    bytes: &[u8],
    limits: &Limits,
    range: Option<[f32; 2]>,
) -> Result<DynamicImage> {
    decoded(name, bytes, limits, range).map_err(|failure| failure.in_full(name, bytes.len()))
}

/// The least and the greatest value, rescaled, of a grey image that says no window; `None` of others and of 8 bits.
pub(super) fn deep_range(name: &str, bytes: &[u8], limits: &Limits) -> Result<Option<[f32; 2]>> {
    let span = || {
        let (header, syntax, pixels) = read(bytes)?;
        let is_shown = header.window.is_some() || header.photometric == PALETTE;
        if is_shown || header.samples != 1 || header.allocated <= 8 {
            return Ok(None);
        }
        let frame = pixels::first_frame(name, &header, &syntax, pixels, limits)?;
        let values = frame.values.iter().map(|value| header.rescaled(*value));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "ranges are in single precision"
        )]
        Ok(super::depth::span(values.map(|value| value as f32)))
    };
    span().map_err(|failure: Failure| failure.in_full(name, bytes.len()))
}

fn decoded(
    name: &str,
    bytes: &[u8],
    limits: &Limits,
    range: Option<[f32; 2]>,
) -> std::result::Result<DynamicImage, Failure> {
    let (header, syntax, pixels) = read(bytes)?;
    let frame = pixels::first_frame(name, &header, &syntax, pixels, limits)?;
    let (width, height) = (header.columns.into(), header.rows.into());
    let image = match header.samples {
        1 if header.photometric == PALETTE => {
            let colours = header.of_palette(&frame.values)?;
            RgbImage::from_raw(width, height, colours).map(DynamicImage::ImageRgb8)
        }
        1 => {
            let shown = header.shown(range);
            let grey = frame
                .values
                .iter()
                .map(|value| shown.get(usize::from(*value)));
            let grey: Vec<u16> = grey.map(|grey| grey.copied().unwrap_or(0)).collect();
            let grey = ImageBuffer::<Luma<u16>, _>::from_raw(width, height, grey);
            let grey = grey.map(DynamicImage::ImageLuma16);
            match header.allocated {
                ..=8 => grey.map(|grey| DynamicImage::ImageLuma8(grey.into_luma8())),
                _ => grey,
            }
        }
        _ => {
            let colours = header.colours(frame)?;
            RgbImage::from_raw(width, height, colours).map(DynamicImage::ImageRgb8)
        }
    };
    image.ok_or(Failure::Damaged("its pixels are not as many as it says"))
}

const PALETTE: &str = "PALETTE COLOR";

impl Header {
    /// The value of a pixel that is stored as this, in the units of the modality (C.11.1).
    fn rescaled(&self, stored: u16) -> f64 {
        let bits = u32::from(self.stored.clamp(1, 16));
        let low = (u32::from(self.high_bit) + 1).saturating_sub(bits);
        let value = (u32::from(stored) >> low.min(15)) & ((1 << bits) - 1);
        let is_negative = self.is_signed && value >> (bits - 1) == 1;
        let value = f64::from(value)
            - if is_negative {
                f64::from(1_u32 << bits)
            } else {
                0.0
            };
        value * self.slope.unwrap_or(1.0) + self.intercept.unwrap_or(0.0)
    }

    /// The least and the greatest value that can be stored, in the units of the modality.
    fn storable(&self) -> [f64; 2] {
        let sign = 1 << self.high_bit.min(15);
        // The sign alone; all bits but the sign.
        let ends = if self.is_signed {
            [sign, sign - 1]
        } else {
            [0, u16::MAX]
        };
        let [a, b] = ends.map(|value| self.rescaled(value));
        [a.min(b), a.max(b)]
    }

    /// What is seen of each value that can be stored.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in [0, 65535]; what is no number is black"
    )]
    fn shown(&self, range: Option<[f32; 2]>) -> Vec<u16> {
        let window = self.window.filter(|_| range.is_none());
        let [low, high] = range.map_or_else(|| self.storable(), |range| range.map(f64::from));
        let share = |value: f64| match (window, self.function.as_str()) {
            (None, _) => (value - low) / (high - low),
            (Some((center, width)), "SIGMOID") => {
                1.0 / (1.0 + (-4.0 * (value - center) / width).exp())
            }
            (Some((center, width)), "LINEAR_EXACT") => (value - center) / width + 0.5,
            // A window of one value is a threshold.
            (Some((center, width)), _) if width <= 1.0 => f64::from(u8::from(value > center - 0.5)),
            (Some((center, width)), _) => (value - (center - 0.5)) / (width - 1.0) + 0.5,
        };
        let is_inverted = self.photometric == "MONOCHROME1";
        let grey = |stored| {
            let share = share(self.rescaled(stored)).clamp(0.0, 1.0);
            let share = if is_inverted { 1.0 - share } else { share };
            (share * 65_535.0).round() as u16
        };
        (0..=u16::MAX).map(grey).collect()
    }

    fn of_palette(&self, values: &[u16]) -> std::result::Result<Vec<u8>, Failure> {
        let (first, bits) = self
            .palette
            .0
            .ok_or(Failure::Damaged("it has no palette"))?;
        let colour = |table: &[u8], value: u16| {
            let place = usize::from(value.saturating_sub(first));
            let last = table.len() / if bits > 8 { 2 } else { 1 };
            let place = place.min(last.saturating_sub(1));
            // Of 16 bits, little-endian, the upper eight.
            table
                .get(if bits > 8 { 2 * place + 1 } else { place })
                .copied()
        };
        let tables = &self.palette.1;
        let colours = values
            .iter()
            .flat_map(|value| tables.iter().map(|table| colour(table, *value)));
        colours
            .collect::<Option<_>>()
            .ok_or(Failure::Damaged("its palette has no colours"))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "values of 8 bits"
    )]
    fn colours(&self, frame: pixels::Frame) -> std::result::Result<Vec<u8>, Failure> {
        let colours = frame.values.into_iter().map(|value| value as u8);
        match self.photometric.as_str() {
            _ if frame.is_rgb => Ok(colours.collect()),
            "RGB" => Ok(colours.collect()),
            "YBR_FULL" => {
                let mut colours: Vec<u8> = colours.collect();
                for pixel in colours.as_chunks_mut().0 {
                    let [y, blue, red] = pixel.map(f32::from);
                    let (blue, red) = (blue - 128.0, red - 128.0);
                    *pixel = [
                        y + 1.402 * red,
                        y - 0.344_136 * blue - 0.714_136 * red,
                        y + 1.772 * blue,
                    ]
                    .map(|value| value.round().clamp(0.0, 255.0) as u8);
                }
                Ok(colours)
            }
            other => Err(Failure::Unread(format!(
                "its colours are `{other}`, which is not read: save them as RGB"
            ))),
        }
    }
}

#[cfg(test)]
mod tests;
