//! JPEG: strict about damage, and quick with large photographs.

use std::borrow::Cow;

use ::image::RgbImage;
use ::image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Limits, broken};
use crate::error::{Error, Result};

/// What the markers before the first scan say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) orientation: Orientation,
    /// Written by Adobe software, which stores CMYK inverted.
    is_adobe: bool,
    /// Each pixel is coded once, not refined from scan to scan.
    is_sequential: bool,
}

/// A JPEG as stored, its orientation, and by how much its scale was reduced.
pub(super) fn decode(
    name: &str,
    bytes: &[u8],
    at_least: Option<usize>,
    limits: &Limits,
) -> Result<(RgbImage, Orientation, usize)> {
    let header = header(name, bytes)?;
    limits.check_pixels(name, header.width, header.height)?;
    let Some(end) = end_of_image(bytes) else {
        return Err(Error::ImageTruncated {
            name: name.into(),
            format: "JPEG",
            n_bytes: bytes.len(),
        });
    };
    let _ = at_least;
    // Where pixels are missing before the end marker, the decoder would make some up. Without the marker it complains,
    // once it has read through what follows; it reads 8 bytes ahead where nothing is missing.
    let n_bytes = bytes.len();
    let bytes: Cow<'_, [u8]> = match header.is_sequential {
        true => [&bytes[..end], &[0; 32]].concat().into(),
        false => bytes.into(),
    };
    let failed = |source| broken(name, "JPEG", n_bytes, source);
    let rgb = decode_full(&bytes, &header).map_err(failed)?;
    let image = RgbImage::from_raw(header.width as u32, header.height as u32, rgb);
    let sizes_differ = DecodeErrors::FormatStatic("its headers say different sizes");
    let image = image.ok_or_else(|| failed(sizes_differ))?;
    Ok((image, header.orientation, 1))
}

fn decode_full(bytes: &[u8], header: &Header) -> Result<Vec<u8>, DecodeErrors> {
    match decode_with(
        bytes,
        header,
        DecoderOptions::default().set_strict_mode(true),
    ) {
        // Bytes between two header segments hurt nobody, and cameras write them: the one complaint
        // of the strict mode that is not about missing or damaged pixels.
        Err(DecodeErrors::FormatStatic(message))
            if message.contains("Extra bytes between headers") =>
        {
            decode_with(
                bytes,
                header,
                DecoderOptions::default().set_strict_mode(false),
            )
        }
        result => result,
    }
}

fn decode_with(
    bytes: &[u8],
    header: &Header,
    options: DecoderOptions,
) -> Result<Vec<u8>, DecodeErrors> {
    // What was checked: another header that the decoder may find is held to it.
    let options = options
        .set_max_width(header.width)
        .set_max_height(header.height);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers()?;
    let is_cmyk = decoder.input_colorspace() == Some(ColorSpace::CMYK);
    let wanted = if is_cmyk {
        ColorSpace::CMYK
    } else {
        ColorSpace::RGB
    };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let pixels = decoder.decode()?;
    Ok(if is_cmyk {
        cmyk_to_rgb(&pixels, header.is_adobe)
    } else {
        pixels
    })
}

/// Ink to light without a colour profile: each of red, green, blue is what its ink and black let through.
///
/// # Source
///
/// Pillow, `src/libImaging/Convert.c`, `cmyk2rgb`: `R = (255 − C)(255 − K) / 255`.
fn cmyk_to_rgb(cmyk: &[u8], is_inverted: bool) -> Vec<u8> {
    let light = |ink: u8| u32::from(if is_inverted { ink } else { 255 - ink });
    cmyk.chunks_exact(4)
        .flat_map(|ink| {
            [0, 1, 2].map(|channel| ((light(ink[channel]) * light(ink[3]) + 127) / 255) as u8)
        })
        .collect()
}

/// Reads the markers up to the first scan.
pub(super) fn header(name: &str, bytes: &[u8]) -> Result<Header> {
    let truncated = || Error::ImageTruncated {
        name: name.into(),
        format: "JPEG",
        n_bytes: bytes.len(),
    };
    let (mut is_adobe, mut is_sequential) = (false, false);
    let mut orientation = Orientation::NoTransforms;
    let mut size = None;
    let mut at = 2;
    loop {
        let Segment { marker, data, end } = next_segment(bytes, at).ok_or_else(truncated)?;
        match marker {
            // Start of frame, of any coding (C4, C8 and CC are something else).
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let &[_, h1, h0, w1, w0, ..] = data else {
                    return Err(truncated());
                };
                is_sequential = marker <= 0xc1;
                size = Some(
                    [u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0])].map(usize::from),
                );
            }
            0xe1 if data.starts_with(b"Exif\0\0") => {
                orientation = Orientation::from_exif_chunk(&data[6..]).unwrap_or(orientation);
            }
            0xee if data.starts_with(b"Adobe") => is_adobe = true,
            0xda | 0xd9 => break,
            _ => {}
        }
        at = end;
    }
    match size {
        Some([width, height]) if width > 0 && height > 0 => Ok(Header {
            width,
            height,
            orientation,
            is_adobe,
            is_sequential,
        }),
        Some([width, height]) => Err(broken(
            name,
            "JPEG",
            bytes.len(),
            DecodeErrors::Format(format!("its header says {width} × {height} pixels")),
        )),
        None => Err(broken(
            name,
            "JPEG",
            bytes.len(),
            DecodeErrors::FormatStatic("it has no frame header"),
        )),
    }
}

/// Where the end-of-image marker is.
fn end_of_image(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        let Segment { marker, end, .. } = next_segment(bytes, at)?;
        if marker == 0xd9 {
            return Some(end - 2);
        }
        at = end;
    }
}

struct Segment<'a> {
    marker: u8,
    data: &'a [u8],
    end: usize,
}

/// The next marker at or after `at`, with its data. Coded pixels and stray bytes before it are passed over:
/// within them FF is followed by 00 or by a restart marker.
fn next_segment(bytes: &[u8], at: usize) -> Option<Segment<'_>> {
    let mut at = at;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        let marker = *bytes.get(at + 1)?;
        match marker {
            0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
            0xff => at += 1,
            0xd9 => {
                return Some(Segment {
                    marker,
                    data: &[],
                    end: at + 2,
                });
            }
            _ => {
                let length = bytes.get(at + 2..at + 4)?;
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                let data = bytes.get(at + 4..(at + 2 + length).max(at + 4))?;
                return Some(Segment {
                    marker,
                    data,
                    end: at + 2 + length.max(2),
                });
            }
        }
    }
}
