//! Decodes one image, in whatever form it comes, to RGB; facts about it for use as metadata.

use crate::dataset::ImageSource;
use crate::error::Result;

/// A decoded image, EXIF orientation applied: RGB, 8 bits, rows top to bottom.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// `[height][width][3]`.
    pub rgb: Vec<u8>,
    /// From pixels of the image as stored to pixels here (orientation, reduced-scale decoding).
    pub from_stored: Affine,
}

/// A 2 × 3 matrix over pixel coordinates: `x' = a x + b y + c`, `y' = d x + e y + f`.
/// Pixel centres are at half-integers: the left edge of the image is x = 0, the right edge x = width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine(pub [f32; 6]);

/// Decodes an image; `at_least`: a side in pixels below which a reduced-scale decoding must not go.
///
/// # Errors
///
/// Names the file and what is wrong: missing, truncated, unknown format, too many pixels.
pub fn decode(source: &ImageSource, at_least: Option<usize>) -> Result<Picture> {
    let _ = (source, at_least);
    todo!()
}
