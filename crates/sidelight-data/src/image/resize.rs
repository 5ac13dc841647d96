//! A picture fitted to the square that a network reads.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    reason = "sides of decoded images, which have them as u32, or of squares that a network reads"
)]

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8x3, U16x3};
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::{Affine, Picture};
use crate::config::ResizeMethod;

/// How many times as long as the square a picture's longer side may be after [`ResizeMethod::Crop`]'s scaling;
/// a longer strip is cut at its middle first, so that a 1 × 10 000 image cannot fill the memory.
pub const LONGEST: usize = 4;

/// Where an image of some size ends up when it is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layout {
    /// Width and height of the fitted picture, pixels.
    pub sides: [usize; 2],
    /// From pixels of the upright image to pixels of the fitted picture.
    pub map: Affine,
    /// The part of the image that is kept: left, top, width, height.
    kept: [f64; 4],
    /// Where that part lies in the fitted picture: left, top, width, height.
    inner: [usize; 4],
}

/// Where an upright image of this width and height ends up, without touching a pixel. See [`fit`].
pub fn layout([width, height]: [usize; 2], size: usize, method: ResizeMethod) -> Layout {
    let sides = [width, height].map(|side| side as f64);
    let shorter = sides[0].min(sides[1]);
    let longer = sides[0].max(sides[1]);
    let kept = match method {
        ResizeMethod::Crop => sides.map(|side| side.min(shorter * LONGEST as f64)),
        ResizeMethod::Squish | ResizeMethod::Pad => sides,
    };
    let scaled = |by: f64| kept.map(|side| (side * by).round() as usize);
    let inner = match method {
        ResizeMethod::Squish => [size; 2],
        ResizeMethod::Crop => scaled(size as f64 / shorter).map(|side| side.max(size)),
        ResizeMethod::Pad => scaled(size as f64 / longer).map(|side| side.clamp(1, size)),
    };
    let outer = match method {
        ResizeMethod::Pad => [size; 2],
        ResizeMethod::Squish | ResizeMethod::Crop => inner,
    };
    let [left, top] = [0, 1].map(|axis| (outer[axis] - inner[axis]) / 2);
    let [cut_left, cut_top] = [0, 1].map(|axis| (sides[axis] - kept[axis]) / 2.0);
    // The scale of each axis is the one really used, sides being whole pixels.
    let [sx, sy] = [0, 1].map(|axis| inner[axis] as f64 / kept[axis]);
    let map = [
        sx,
        0.0,
        left as f64 - cut_left * sx,
        0.0,
        sy,
        top as f64 - cut_top * sy,
    ];
    Layout {
        sides: outer,
        map: Affine(map.map(|value| value as f32)),
        kept: [cut_left, cut_top, kept[0], kept[1]],
        inner: [left, top, inner[0], inner[1]],
    }
}

/// Scales a picture for a square of `size` pixels, antialiased.
///
/// - [`ResizeMethod::Squish`]: `size` × `size`, aspect ratio not kept;
/// - [`ResizeMethod::Pad`]: `size` × `size`, the longer side fits, the rest has the colour `fill`;
/// - [`ResizeMethod::Crop`]: the shorter side is `size`; what is longer is cut by an augmentation at random,
///   or at the middle.
///
/// # Source
///
/// Bilinear convolution whose support grows with the reduction, as in Pillow's `Image.resize(…, BILINEAR)`,
/// which torchvision and fastai use; within one level of it.
pub fn fit(picture: &Picture, size: usize, method: ResizeMethod, fill: [u8; 3]) -> Picture {
    let Layout {
        sides,
        map,
        kept,
        inner,
    } = layout([picture.width, picture.height], size, method);
    let [_, _, width, height] = inner;
    let rgb = scale(picture, kept, width, height);
    let deep = picture.deep.as_ref().map(|deep| {
        let scaled = scale_deep(picture, deep, kept, width, height);
        padded(
            scaled,
            sides,
            inner,
            fill.map(|value| u16::from(value) * 257),
        )
    });
    Picture {
        width: sides[0],
        height: sides[1],
        rgb: padded(rgb, sides, inner, fill),
        deep,
        further: picture
            .further
            .iter()
            .map(|channels| fit(channels, size, method, fill))
            .collect(),
        from_stored: picture.from_stored.then(&map),
    }
}

/// The pixels of the `inner` part within a picture of these sides, the rest in one colour.
fn padded<T: Copy>(
    pixels: Vec<T>,
    sides: [usize; 2],
    [left, top, width, height]: [usize; 4],
    fill: [T; 3],
) -> Vec<T> {
    if sides == [width, height] {
        return pixels;
    }
    let mut padded = fill.repeat(sides[0] * sides[1]);
    for (y, line) in pixels.chunks_exact(width * 3).enumerate() {
        let start = ((top + y) * sides[0] + left) * 3;
        padded[start..start + line.len()].copy_from_slice(line);
    }
    padded
}

/// Bilinear, of a part `[left, top, width, height]`.
fn options([left, top, width, height]: [f64; 4]) -> ResizeOptions {
    ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(left, top, width, height)
}

/// Whether nothing is to be scaled.
fn is_same(picture: &Picture, [_, _, w, h]: [f64; 4], width: usize, height: usize) -> bool {
    [picture.width, picture.height] == [width, height] && [w, h] == [width as f64, height as f64]
}

/// As [`scale`], of the 16 bits of a picture.
#[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
fn scale_deep(
    picture: &Picture,
    deep: &[u16],
    kept: [f64; 4],
    width: usize,
    height: usize,
) -> Vec<u16> {
    if is_same(picture, kept, width, height) {
        return deep.to_vec();
    }
    let pixels = deep.as_chunks().0.iter().map(|rgb| U16x3::new(*rgb));
    let (w, h) = (picture.width as u32, picture.height as u32);
    let source = TypedImage::from_pixels(w, h, pixels.collect())
        .expect("a picture holds three values for each pixel");
    let mut target = TypedImage::<U16x3>::new(width as u32, height as u32);
    Resizer::new()
        .resize_typed(&source, &mut target, &options(kept))
        .expect("the part lies within the source");
    target.pixels().iter().flat_map(|pixel| pixel.0).collect()
}

/// Scales the part `[left, top, width, height]` of a picture to `width` × `height` pixels.
#[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
fn scale(picture: &Picture, kept: [f64; 4], width: usize, height: usize) -> Vec<u8> {
    if is_same(picture, kept, width, height) {
        return picture.rgb.clone();
    }
    // Typed: `Resizer::resize` would compile every kind of pixels, which took three minutes of a first build.
    let (w, h) = (picture.width as u32, picture.height as u32);
    let source = TypedImageRef::<U8x3>::from_buffer(w, h, &picture.rgb)
        .expect("a picture holds three bytes for each pixel");
    let mut rgb = vec![0; width * height * 3];
    let mut target = TypedImage::<U8x3>::from_buffer(width as u32, height as u32, &mut rgb)
        .expect("three bytes for each pixel");
    Resizer::new()
        .resize_typed(&source, &mut target, &options(kept))
        .expect("the part lies within the source");
    rgb
}
