//! JPEG: strict about damage, and quick with large photographs.

mod segments;

use ::image::RgbImage;
use ::image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Limits, broken};
use crate::error::{Error, Result};

pub(super) use segments::{Header, header};

/// A JPEG as stored, its orientation, and by how much its scale was reduced.
pub(super) fn decode(
    name: &str,
    bytes: &[u8],
    at_least: Option<usize>,
    limits: &Limits,
) -> Result<(RgbImage, Orientation, usize)> {
    let header = header(name, bytes)?;
    let image = pixels(name, bytes, &header, limits, false)?;
    let _ = at_least;
    Ok((image, header.orientation, 1))
}

/// The pixels as stored; `is_rgb`: three values a pixel are those, whatever a JPEG alone would mean by them.
pub(super) fn pixels(
    name: &str,
    bytes: &[u8],
    header: &Header,
    limits: &Limits,
    is_rgb: bool,
) -> Result<RgbImage> {
    limits.check_pixels(name, header.width, header.height)?;
    let truncated = || Error::ImageTruncated {
        name: name.into(),
        format: "JPEG",
        n_bytes: bytes.len(),
    };
    let n_bytes = bytes.len();
    let bytes = segments::strict(bytes).ok_or_else(truncated)?;
    let failed = |source| broken(name, "JPEG", n_bytes, source);
    let rgb = decode_strict(&bytes, header, is_rgb).map_err(failed)?;
    let sides = [header.width, header.height].map(u32::try_from);
    let image = match sides {
        [Ok(width), Ok(height)] => RgbImage::from_raw(width, height, rgb),
        _ => None,
    };
    let sizes_differ = DecodeErrors::FormatStatic("its headers say different sizes");
    image.ok_or_else(|| failed(sizes_differ))
}

fn decode_strict(bytes: &[u8], header: &Header, is_rgb: bool) -> Result<Vec<u8>, DecodeErrors> {
    // What was checked: another header that the decoder may find is held to it.
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(header.width)
        .set_max_height(header.height);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers()?;
    // Of three, too, the decoder says this where Adobe's mark says that they are RGB.
    let is_cmyk = header.n_components == 4 && decoder.input_colorspace() == Some(ColorSpace::CMYK);
    let wanted = match decoder.input_colorspace() {
        _ if is_cmyk => ColorSpace::CMYK,
        Some(ColorSpace::YCbCr) if is_rgb => ColorSpace::YCbCr,
        _ => ColorSpace::RGB,
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
#[expect(
    clippy::cast_possible_truncation,
    reason = "a mean of values up to 255"
)]
fn cmyk_to_rgb(cmyk: &[u8], is_inverted: bool) -> Vec<u8> {
    let light = |ink: u8| u32::from(if is_inverted { ink } else { 255 - ink });
    let pixels = cmyk.as_chunks().0.iter();
    pixels
        .flat_map(|&[cyan, magenta, yellow, black]| {
            [cyan, magenta, yellow].map(|ink| ((light(ink) * light(black) + 127) / 255) as u8)
        })
        .collect()
}
