//! Pixels of more than 8 bits a channel: which values they have, and which of them become black and white.

use ::image::{DynamicImage, ImageBuffer, ImageDecoder, Luma, Pixel, Rgb};

use rayon::prelude::*;

use super::{
    Format, ImageSource, Limits, bands, decode_stored, dicom, guarded, open_other, read, sniff,
};
use crate::error::Result;

/// The least and the greatest value of a channel of an image with 16 bits or floating-point numbers; `None`: it has 8 bits.
///
/// # Errors
///
/// As [`super::decode`].
pub fn deep_range(name: &str, bytes: &[u8], limits: &Limits) -> Result<Option<[f32; 2]>> {
    let format = sniff(name, bytes)?;
    guarded(name, bytes, format, || {
        let other = match format {
            Format::Jpeg => return Ok(None),
            Format::Dicom => return dicom::deep_range(name, bytes, limits),
            Format::Bands => return Ok(bands::read(name, bytes, 1, limits)?.deep_range()),
            // Cameras use all that their bits hold.
            #[cfg(feature = "heic")]
            Format::Heic => return Ok(None),
            Format::Other(other) => other,
        };
        if !is_deep(open_other(name, bytes, other)?.color_type()) {
            return Ok(None);
        }
        let (image, _) = decode_stored(name, bytes, other, limits)?;
        let range = match &image {
            DynamicImage::ImageLuma16(image) => span(image.iter().map(|v| f32::from(*v))),
            DynamicImage::ImageRgb16(image) => span(image.iter().map(|v| f32::from(*v))),
            DynamicImage::ImageLumaA16(image) => span(image.pixels().map(|p| f32::from(p.0[0]))),
            DynamicImage::ImageRgba16(image) => {
                span(image.pixels().flat_map(|p| p.to_rgb().0).map(f32::from))
            }
            DynamicImage::ImageRgb32F(image) => span(image.iter().copied()),
            DynamicImage::ImageRgba32F(image) => span(image.pixels().flat_map(|p| p.to_rgb().0)),
            _ => None,
        };
        Ok(range)
    })
}

/// The range that is meant by the values of these images, as [`usual_range`] has it, of 256 from all over them where there
/// are more; those of 8 bits, and those that cannot be read, say nothing. `None`: no image says anything.
pub fn measured_range<'a>(
    images: impl ExactSizeIterator<Item = &'a ImageSource>,
) -> Option<[f32; 2]> {
    /// So many show what there is.
    const LOOKED_AT: usize = 256;
    let limits = Limits::default();
    let every = images.len().div_ceil(LOOKED_AT).max(1);
    let images: Vec<&ImageSource> = images.step_by(every).collect();
    let _ahead = ImageSource::read_ahead(images.iter().copied());
    let range_of = |image: &&ImageSource| {
        let bytes = read(image, &limits).ok()?;
        deep_range(&image.name(), &bytes, &limits).ok()?
    };
    let widest = |[a, b]: [f32; 2], [c, d]: [f32; 2]| [a.min(c), b.max(d)];
    let images: Vec<&ImageSource> = images.iter().flat_map(|image| image.parts()).collect();
    let ranges = images.par_iter().filter_map(range_of);
    ranges.reduce_with(widest).map(usual_range)
}

/// The range that is meant where values are these: of whole numbers from 0 on all of so many bits, else the values.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "in [1, 65535]"
)]
pub fn usual_range([least, greatest]: [f32; 2]) -> [f32; 2] {
    let is_whole = least >= 0.0 && greatest.fract() == 0.0 && (1.0..=65_535.0).contains(&greatest);
    match is_whole {
        true => [0.0, (greatest as u32 + 1).next_power_of_two() as f32 - 1.0],
        false => [least, greatest],
    }
}

/// The image in 16 bits of RGB, what is transparent showing white; `None`: it has 8.
#[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a mean of values up to 65535"
)]
pub(super) fn deep(image: &DynamicImage) -> Option<ImageBuffer<Rgb<u16>, Vec<u16>>> {
    const WHITE: u64 = 65_535;
    if !is_deep(image.color()) {
        return None;
    }
    if !image.color().has_alpha() {
        return Some(image.to_rgb16());
    }
    let image = image.to_rgba16();
    let (width, height) = image.dimensions();
    let on_white = |&[red, green, blue, alpha]: &[u16; 4]| {
        let alpha = u64::from(alpha);
        [red, green, blue].map(|value| {
            ((u64::from(value) * alpha + WHITE * (WHITE - alpha) + WHITE / 2) / WHITE) as u16
        })
    };
    let rgb = image.as_raw().as_chunks().0.iter().flat_map(on_white);
    let rgb = ImageBuffer::from_raw(width, height, rgb.collect());
    Some(rgb.expect("three values were written for each pixel"))
}

fn is_deep(color: ::image::ColorType) -> bool {
    usize::from(color.bytes_per_pixel()) > usize::from(color.channel_count())
}

pub(super) fn span(values: impl Iterator<Item = f32>) -> Option<[f32; 2]> {
    let finite = values.filter(|value| value.is_finite());
    finite.fold(None, |range: Option<[f32; 2]>, value| match range {
        None => Some([value; 2]),
        Some([least, greatest]) => Some([least.min(value), greatest.max(value)]),
    })
}

/// The image with this range of values stretched to all of it: what is below is black, what is above white. One of 8 bits
/// is left as it is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "in [0, 65535]; what is no number is black"
)]
pub(super) fn stretched(image: DynamicImage, [low, high]: [f32; 2]) -> DynamicImage {
    let share = |value: f32| ((value - low) / (high - low)).clamp(0.0, 1.0);
    let deep = |value: u16| (share(f32::from(value)) * 65_535.0).round() as u16;
    match image {
        DynamicImage::ImageLuma16(mut image) => {
            image.pixels_mut().for_each(|Luma([v])| *v = deep(*v));
            DynamicImage::ImageLuma16(image)
        }
        DynamicImage::ImageLumaA16(mut image) => {
            image
                .pixels_mut()
                .for_each(|pixel| pixel.0[0] = deep(pixel.0[0]));
            DynamicImage::ImageLumaA16(image)
        }
        DynamicImage::ImageRgb16(mut image) => {
            image.iter_mut().for_each(|v| *v = deep(*v));
            DynamicImage::ImageRgb16(image)
        }
        DynamicImage::ImageRgba16(mut image) => {
            let colours = image
                .pixels_mut()
                .flat_map(|pixel| pixel.0.iter_mut().take(3));
            colours.for_each(|v| *v = deep(*v));
            DynamicImage::ImageRgba16(image)
        }
        DynamicImage::ImageRgb32F(mut image) => {
            image.iter_mut().for_each(|v| *v = share(*v));
            DynamicImage::ImageRgb32F(image)
        }
        DynamicImage::ImageRgba32F(mut image) => {
            let colours = image
                .pixels_mut()
                .flat_map(|pixel| pixel.0.iter_mut().take(3));
            colours.for_each(|v| *v = share(*v));
            DynamicImage::ImageRgba32F(image)
        }
        shallow => shallow,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ::image::{ImageBuffer, ImageFormat};

    use super::*;
    use crate::image::{PixelFormat, decode_as, decode_bytes};

    fn sixteen(values: Vec<u16>) -> Vec<u8> {
        let image = ImageBuffer::<Luma<u16>, _>::from_raw(values.len() as u32, 1, values).unwrap();
        let mut bytes = Vec::new();
        DynamicImage::ImageLuma16(image)
            .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
            .unwrap();
        bytes
    }

    #[test]
    fn a_range_of_twelve_bits_is_stretched_to_all_of_eight() {
        let bytes = sixteen(vec![0, 300, 360, 4095, 5000]);
        let limits = Limits::default();
        assert_eq!(
            deep_range("a.png", &bytes, &limits).unwrap(),
            Some([0.0, 5000.0])
        );
        let grey = |picture: crate::image::Picture| -> Vec<u8> {
            picture.rgb.chunks_exact(3).map(|pixel| pixel[0]).collect()
        };
        let reading = PixelFormat {
            range: Some([0.0, 4095.0]),
            ..PixelFormat::default()
        };
        let seen = decode_as("a.png", &bytes, None, &limits, reading).unwrap();
        assert_eq!(grey(seen), [0, 19, 22, 255, 255]);
        assert_eq!(usual_range([0.0, 4000.0]), [0.0, 4095.0]);
        assert_eq!(usual_range([-1000.0, 3000.0]), [-1000.0, 3000.0]);
        // Without it they are nearly one grey.
        let seen = decode_bytes("a.png", &bytes, None, &limits).unwrap();
        assert_eq!(grey(seen), [0, 1, 1, 16, 19]);
    }
}
