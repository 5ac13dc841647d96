//! HEIC, photographs of telephones: one that is upright, as the file says that it is to be turned.

use ::image::{DynamicImage, ImageBuffer};
use heic_rs::{DecodeOptions, Error as HeicError, PixelLayout, probe};

use super::{Limits, broken};
use crate::error::Result;

const NAME: &str = "HEIC";

/// Whether bytes are those of a still picture in HEVC: its brand is one of these, or it says that it is compatible.
pub(super) fn is_heic(bytes: &[u8]) -> bool {
    const BRANDS: [&[u8; 4]; 4] = [b"heic", b"heix", b"heim", b"heis"];
    let is_box = bytes.get(4..8) == Some(b"ftyp");
    let brands = bytes.get(8..64).unwrap_or_default().as_chunks::<4>().0;
    is_box && brands.iter().any(|brand| BRANDS.contains(&brand))
}

/// Width and height, upright.
pub(super) fn size(name: &str, bytes: &[u8]) -> Result<[usize; 2]> {
    let info = probe(bytes).map_err(|why| failed(name, bytes, why))?;
    Ok([info.width as usize, info.height as usize])
}

/// The pixels, in 16 bits where there are more than 8 a channel.
pub(super) fn decode(name: &str, bytes: &[u8], limits: &Limits) -> Result<DynamicImage> {
    let [width, height] = size(name, bytes)?;
    limits.check_pixels(name, width, height)?;
    let failed = |why| failed(name, bytes, why);
    let depth = probe(bytes).map_err(failed)?.bit_depth;
    let layout = match depth {
        ..=8 => PixelLayout::Rgba8,
        _ => PixelLayout::Rgba16,
    };
    // Images are decoded side by side: each on one thread.
    let options = DecodeOptions {
        layout,
        max_pixels: Some(limits.max_pixels),
        threads: Some(1),
        ..DecodeOptions::default()
    };
    let found = heic_rs::decode(bytes, &options).map_err(failed)?;
    let image = match layout {
        PixelLayout::Rgba8 => ImageBuffer::from_raw(found.width, found.height, found.data)
            .map(DynamicImage::ImageRgba8),
        _ => {
            let values = found.data.as_chunks::<2>().0.iter();
            let values = values.map(|value| u16::from_ne_bytes(*value)).collect();
            ImageBuffer::from_raw(found.width, found.height, values).map(DynamicImage::ImageRgba16)
        }
    };
    image.ok_or_else(|| {
        let why = std::io::Error::other("its decoder gave too few pixels");
        broken(name, NAME, bytes.len(), why)
    })
}

fn failed(name: &str, bytes: &[u8], why: HeicError) -> crate::Error {
    broken(name, NAME, bytes.len(), why)
}
