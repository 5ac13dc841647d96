//! A picture small enough to be part of a page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::thumbnail;
use image::{ImageFormat, RgbImage};

/// Longest side in a page, pixels: sharp on a display of double density at half that size.
pub(super) const LONGEST: u32 = 320;
/// Pictures up to this side are kept as they are, since JPEG would blur what little they have.
const LOSSLESS: u32 = 96;
const QUALITY: u8 = 82;

/// A picture as part of a page: scaled down, compressed, in text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// Width of the picture that it was made from, pixels: what points are measured in.
    pub width: usize,
    /// Height of the picture that it was made from, pixels.
    pub height: usize,
    /// The picture as a `data:image/jpeg;base64,…` URI.
    pub uri: String,
}

impl Thumbnail {
    /// Scales a picture `[height][width][3]` to at most 320 pixels a side and compresses it.
    ///
    /// # Panics
    ///
    /// Where a side is 0 or `rgb` is not `height · width · 3` long.
    #[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most `LONGEST`"
    )]
    pub fn new(width: usize, height: usize, rgb: &[u8]) -> Self {
        assert!(
            width > 0 && height > 0,
            "a picture of {width} × {height} pixels"
        );
        assert_eq!(
            rgb.len(),
            width * height * 3,
            "a picture of {width} × {height} pixels"
        );
        let [w, h] = [width, height]
            .map(|side| u32::try_from(side).expect("it was an image, whose sides are below 2³²"));
        let whole = RgbImage::from_raw(w, h, rgb.to_vec()).expect("the length was just compared");
        let scale = f64::from(LONGEST) / width.max(height) as f64;
        let side = |side: usize| ((side as f64 * scale).round() as u32).max(1);
        let small = match scale < 1.0 {
            true => thumbnail(&whole, side(width), side(height)),
            false => whole,
        };
        Self {
            width,
            height,
            uri: data_uri(&small),
        }
    }

    /// The network's input, `[size][size][3]` or several of those, back from normalised to colours: `pixel · sd + mean`.
    ///
    /// # Panics
    ///
    /// Where `pixels` are not whole squares.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped"
    )]
    pub fn from_input(size: usize, pixels: &[f32], mean: [f32; 3], sd: [f32; 3]) -> Self {
        let colour = |(at, pixel): (usize, &f32)| {
            let share = pixel * sd[at % 3] + mean[at % 3];
            (share * 255.0).round().clamp(0.0, 255.0) as u8
        };
        let rgb: Vec<u8> = pixels.iter().enumerate().map(colour).collect();
        Self::squares(size, &rgb)
    }

    /// Squares of `size` pixels that follow one another, `[squares][size][size][3]`, side by side.
    pub fn squares(size: usize, rgb: &[u8]) -> Self {
        let line = 3 * size;
        let n = rgb.len() / (line * size).max(1);
        let of_line = |y: usize| (0..n).map(move |square| (square * size + y) * line);
        let beside: Vec<u8> = (0..size)
            .flat_map(of_line)
            .flat_map(|start| &rgb[start..start + line])
            .copied()
            .collect();
        Self::new(n * size, size, &beside)
    }
}

#[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
fn data_uri(picture: &RgbImage) -> String {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let (kind, written) = match picture.width().max(picture.height()) <= LOSSLESS {
        true => ("png", picture.write_to(&mut bytes, ImageFormat::Png)),
        false => {
            let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
            ("jpeg", picture.write_with_encoder(encoder))
        }
    };
    written.expect("a picture this small is encoded into memory");
    format!(
        "data:image/{kind};base64,{}",
        STANDARD.encode(bytes.into_inner())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(thumbnail: &Thumbnail) -> RgbImage {
        let (_, text) = thumbnail.uri.split_once("base64,").unwrap();
        image::load_from_memory(&STANDARD.decode(text).unwrap())
            .unwrap()
            .to_rgb8()
    }

    #[test]
    fn a_large_picture_is_scaled_and_keeps_its_shape_and_colour() {
        let rgb = [200, 100, 50].repeat(1000 * 500);
        let thumbnail = Thumbnail::new(1000, 500, &rgb);
        assert_eq!((thumbnail.width, thumbnail.height), (1000, 500));
        assert!(thumbnail.uri.starts_with("data:image/jpeg;base64,"));
        let picture = decoded(&thumbnail);
        assert_eq!(picture.dimensions(), (320, 160));
        let pixel = picture.get_pixel(160, 80).0;
        for (found, expected) in pixel.into_iter().zip([200, 100, 50]) {
            assert!(found.abs_diff(expected) <= 3, "{pixel:?}");
        }
    }

    #[test]
    fn a_small_picture_is_kept_to_the_last_bit() {
        let rgb: Vec<u8> = (0..8 * 4 * 3).map(|k| k as u8).collect();
        let thumbnail = Thumbnail::new(8, 4, &rgb);
        assert!(thumbnail.uri.starts_with("data:image/png"));
        assert_eq!(decoded(&thumbnail).into_raw(), rgb);
    }

    #[test]
    fn normalised_pixels_get_their_colours_back() {
        let (mean, sd) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let rgb = [10u8, 128, 250].repeat(16);
        let normal =
            |(at, value): (usize, &u8)| (f32::from(*value) / 255.0 - mean[at % 3]) / sd[at % 3];
        let pixels: Vec<f32> = rgb.iter().enumerate().map(normal).collect();
        assert_eq!(
            decoded(&Thumbnail::from_input(4, &pixels, mean, sd)).into_raw(),
            rgb
        );
    }

    #[test]
    fn a_very_long_picture_keeps_at_least_one_pixel() {
        let thumbnail = Thumbnail::new(5000, 2, &[0; 5000 * 2 * 3]);
        assert_eq!(decoded(&thumbnail).dimensions(), (320, 1));
    }
}
