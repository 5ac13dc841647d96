//! The pixels of the first frame, whichever way they are written.

use jpeg_decoder::PixelFormat;

use super::elements::{Value, items};
use super::{Failure, Header};
use crate::image::{Limits, jpeg};

const OTHER_SIZE: Failure =
    Failure::Damaged("it says of its pixels another size than they say themselves");

/// Values of pixels, those of a pixel beside each other.
pub(super) struct Frame {
    pub(super) values: Vec<u16>,
    /// Whether what decoded them made RGB of whatever they were.
    pub(super) is_rgb: bool,
}

pub(super) fn first_frame(
    name: &str,
    header: &Header,
    syntax: &str,
    pixels: Option<Value<'_>>,
    limits: &Limits,
) -> Result<Frame, Failure> {
    let (width, height) = (usize::from(header.columns), usize::from(header.rows));
    let samples = usize::from(header.samples);
    if width * height == 0 {
        return Err(Failure::Damaged("it does not say how many pixels it has"));
    }
    limits
        .check_pixels(name, width, height)
        .map_err(Failure::Said)?;
    let n_bytes = match (samples, header.allocated) {
        (1 | 3, 8) => 1,
        (1, 16) => 2,
        (samples, bits) => {
            return Err(Failure::Unread(format!(
                "pixels of {samples} values of {bits} bits are not read: save them as grey of 8 or 16 bits, or as RGB of 8"
            )));
        }
    };
    let values = match pixels {
        None | Some(Value::Sequence) => return Err(Failure::Damaged("it has no pixels")),
        Some(Value::Bytes(_))
            if header.photometric.starts_with("YBR") && header.photometric != "YBR_FULL" =>
        {
            return Err(Failure::Unread(format!(
                "its colours are `{}`, uncompressed, which is not read: save them as RGB",
                header.photometric
            )));
        }
        Some(Value::Bytes(bytes)) => {
            let n = width * height * samples;
            let bytes = bytes.get(..n * n_bytes).ok_or(Failure::Truncated)?;
            let values: Vec<u16> = match n_bytes {
                1 => bytes.iter().map(|byte| u16::from(*byte)).collect(),
                _ => {
                    let (words, _) = bytes.as_chunks();
                    words.iter().map(|word| u16::from_le_bytes(*word)).collect()
                }
            };
            match header.is_planar && samples > 1 {
                true => beside_each_other(&values, width * height, samples),
                false => values,
            }
        }
        Some(Value::Items(bytes)) => {
            let frame = compressed(bytes, header.n_frames)?;
            match syntax {
                "1.2.840.10008.1.2.5" => run_lengths(&frame, width * height, samples, n_bytes)?,
                "1.2.840.10008.1.2.4.50" | "1.2.840.10008.1.2.4.51" => {
                    let of_jpeg = jpeg::header(name, &frame).map_err(Failure::Said)?;
                    // Where neither the file nor the JPEG says that colours were turned into others.
                    let is_jfif = frame.get(6..10) == Some(b"JFIF");
                    let is_rgb = header.photometric == "RGB" && !is_jfif;
                    let image = jpeg::pixels(name, &frame, &of_jpeg, limits, is_rgb);
                    let image = image.map_err(Failure::Said)?;
                    let every = if samples == 1 { 3 } else { 1 };
                    let values = image.as_raw().iter().step_by(every);
                    let values: Vec<u16> = values.map(|value| u16::from(*value)).collect();
                    if (image.width(), image.height())
                        != (header.columns.into(), header.rows.into())
                    {
                        return Err(OTHER_SIZE);
                    }
                    return Ok(Frame {
                        values,
                        is_rgb: true,
                    });
                }
                "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" => lossless(&frame, header)?,
                "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => {
                    return Err(Failure::unread("JPEG-LS", syntax));
                }
                "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => {
                    return Err(Failure::unread("JPEG 2000", syntax));
                }
                _ => return Err(Failure::unread("another", syntax)),
            }
        }
    };
    Ok(Frame {
        values,
        is_rgb: false,
    })
}

/// The bytes of the first frame; several pieces may be one.
fn compressed(bytes: &[u8], n_frames: f64) -> Result<Vec<u8>, Failure> {
    let (offsets, mut pieces) = items(bytes)?;
    if n_frames > 1.0 {
        // The second begins so many bytes behind the first, the eight before each piece among them.
        let second = offsets
            .get(4..8)
            .and_then(|bytes| bytes.first_chunk().copied());
        let second = second.map_or(0, u32::from_le_bytes) as usize;
        let mut end = 0;
        pieces.retain(|piece| {
            let is_first = end == 0;
            end += piece.len() + 8;
            is_first || end <= second
        });
    }
    Ok(pieces.concat())
}

/// Values of which each kind lies apart.
fn beside_each_other(values: &[u16], n_pixels: usize, samples: usize) -> Vec<u16> {
    (0..n_pixels)
        .flat_map(|pixel| values.iter().skip(pixel).step_by(n_pixels).take(samples))
        .copied()
        .collect()
}

/// Lengths of runs (PS3.5, annex G): sixteen numbers, how many planes there are and where each begins; for each sample its
/// bytes, the highest first.
fn run_lengths(
    bytes: &[u8],
    n_pixels: usize,
    samples: usize,
    n_bytes: usize,
) -> Result<Vec<u16>, Failure> {
    let (numbers, _) = bytes.get(..64).ok_or(Failure::Truncated)?.as_chunks();
    let mut numbers = numbers
        .iter()
        .map(|number| u32::from_le_bytes(*number) as usize);
    if numbers.next() != Some(samples * n_bytes) {
        return Err(Failure::Damaged(
            "it has another number of planes than its pixels have bytes",
        ));
    }
    let begins: Vec<usize> = numbers.take(samples * n_bytes).collect();
    let mut values = vec![0; n_pixels * samples];
    for (plane, begin) in begins.into_iter().enumerate() {
        let mut rest = bytes.get(begin..).ok_or(Failure::Truncated)?;
        let mut places = values.iter_mut().skip(plane / n_bytes).step_by(samples);
        let mut left = n_pixels;
        while left > 0 {
            let control = *rest.split_off_first().ok_or(Failure::Truncated)?;
            let (run, again) = match control {
                128 => continue,
                0..128 => (usize::from(control) + 1, false),
                129.. => (257 - usize::from(control), true),
            };
            let run = run.min(left);
            let written = rest
                .split_off(..if again { 1 } else { run })
                .ok_or(Failure::Truncated)?;
            for (value, byte) in places.by_ref().take(run).zip(written.iter().cycle()) {
                *value = (*value << 8) | u16::from(*byte);
            }
            left -= run;
        }
    }
    Ok(values)
}

/// JPEG without loss (process 14).
fn lossless(bytes: &[u8], header: &Header) -> Result<Vec<u16>, Failure> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let failed = |error: jpeg_decoder::Error| Failure::Unread(error.to_string());
    decoder.read_info().map_err(failed)?;
    let info = decoder.info().ok_or(Failure::Truncated)?;
    let samples = match info.pixel_format {
        PixelFormat::L8 | PixelFormat::L16 => 1,
        PixelFormat::RGB24 => 3,
        PixelFormat::CMYK32 => 4,
    };
    if (info.width, info.height, samples) != (header.columns, header.rows, header.samples) {
        return Err(OTHER_SIZE);
    }
    decoder.set_max_decoding_buffer_size(usize::from(info.width) * usize::from(info.height) * 4);
    let bytes = decoder.decode().map_err(failed)?;
    Ok(match info.pixel_format {
        PixelFormat::L16 => {
            let (words, _) = bytes.as_chunks();
            words.iter().map(|word| u16::from_ne_bytes(*word)).collect()
        }
        _ => bytes.into_iter().map(u16::from).collect(),
    })
}
