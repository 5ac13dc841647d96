//! Decodes one image, in whatever form it comes, to RGB; facts about it for use as metadata.
//!
//! - [`decode`]: JPEG, PNG, WebP, TIFF, BMP or DICOM → [`Picture`], upright, RGB of 8 bits, and of 16 where there are more;
//! - [`resize`]: a picture fitted to the square that a network reads;
//! - [`cache`]: squares kept from one epoch to the next;
//! - [`Affine`]: where a pixel of the stored image went, through all of it.
//!
//! Images of other channels than one or three are read three channels at a time ([`Picture::further`]), so that all that is
//! done to pictures of colours is done to them.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod area;
mod bands;
pub mod cache;
mod depth;
pub(crate) mod dicom;
#[cfg(feature = "heic")]
mod heic;
mod jpeg;
pub mod resize;
mod source;

use std::borrow::Cow;
use std::io::{Cursor, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result, cannot_read, message_of};

pub use area::Area;
use bands::Bands;
pub use depth::{deep_range, measured_range, usual_range};
pub use source::ImageSource;

/// A decoded image, EXIF orientation applied: RGB, rows top to bottom.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Width of the picture in pixels.
    pub width: usize,
    /// Height of the picture in pixels.
    pub height: usize,
    /// The pixels in 8 bits, `[height][width][3]`.
    pub rgb: Vec<u8>,
    /// The same in 16 bits, where the image has more than 8 bits a channel: what a network reads.
    pub deep: Option<Vec<u16>>,
    /// Channels after the third, three at a time, in the same place; those that there are not are 0. Empty unless a network
    /// of more channels asked for them.
    pub further: Vec<Self>,
    /// From pixels of the image as stored to pixels here (orientation, reduced-scale decoding).
    pub from_stored: Affine,
}

impl Picture {
    /// It and its further channels, three at a time.
    pub fn in_threes(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.further)
    }
}

/// How a network reads images.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PixelFormat {
    /// Of pixels with more than 8 bits a channel: the values that are black and white; `None`: none and all.
    pub range: Option<[f32; 2]>,
    /// Channels that it takes. `None`: what a person can be shown, red, green and blue.
    pub channels: Option<usize>,
}

/// What is read of a large file before all of it is: headers of JPEG and PNG are at the start.
const START_BYTES: u64 = 256 << 10;

/// A 2 × 3 matrix over pixel coordinates: `x' = a x + b y + c`, `y' = d x + e y + f`.
/// Pixel centres are at half-integers: the left edge of the image is x = 0, the right edge x = width.
///
/// # Example
///
/// ```
/// use sidelight_data::image::Affine;
///
/// let half = Affine::scale(0.5, 0.5);
/// let moved = half.then(&Affine::translation(10.0, 0.0));
/// assert_eq!(moved.apply([4.0, 6.0]), [12.0, 3.0]);
/// assert_eq!(moved.inverse().apply([12.0, 3.0]), [4.0, 6.0]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine(pub [f32; 6]);

impl Affine {
    /// Leaves every point where it is.
    pub const IDENTITY: Self = Self([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);

    /// Stretches both axes, away from the top left corner.
    pub fn scale(x: f32, y: f32) -> Self {
        Self([x, 0.0, 0.0, 0.0, y, 0.0])
    }
    /// Moves by so many pixels to the right and down.
    pub fn translation(x: f32, y: f32) -> Self {
        Self([1.0, 0.0, x, 0.0, 1.0, y])
    }
    /// This first, `next` afterwards.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "maps are in single precision"
    )]
    pub fn then(&self, next: &Self) -> Self {
        let [a, b, c, d, e, f] = self.0.map(f64::from);
        let [na, nb, nc, nd, ne, nf] = next.0.map(f64::from);
        Self(
            [
                na * a + nb * d,
                na * b + nb * e,
                na * c + nb * f + nc,
                nd * a + ne * d,
                nd * b + ne * e,
                nd * c + ne * f + nf,
            ]
            .map(|value| value as f32),
        )
    }
    /// The way back.
    ///
    /// # Panics
    ///
    /// Where the plane was flattened to a line (determinant 0), which no decoding, resizing or augmentation does.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "maps are in single precision"
    )]
    pub fn inverse(&self) -> Self {
        let [a, b, c, d, e, f] = self.0.map(f64::from);
        let determinant = a * e - b * d;
        assert!(
            determinant != 0.0,
            "{self:?} flattens the plane: it has no inverse"
        );
        Self(
            [
                e / determinant,
                -b / determinant,
                (b * f - c * e) / determinant,
                -d / determinant,
                a / determinant,
                (c * d - a * f) / determinant,
            ]
            .map(|value| value as f32),
        )
    }
    /// How many times longer a line becomes, in the geometric mean over all directions.
    pub fn stretch(&self) -> f64 {
        let [a, b, _, d, e, _] = self.0.map(f64::from);
        (a * e - b * d).abs().sqrt()
    }

    /// Where a point `[x, y]` goes.
    pub fn apply(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [a, b, c, d, e, f] = self.0;
        [a * x + b * y + c, d * x + e * y + f]
    }
}

/// How large an image may be before it is refused, unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest encoded size, bytes. Default: 512 MiB.
    pub max_bytes: u64,
    /// Largest width × height. Default: 200 million, above any camera today (600 MB once decoded).
    pub max_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 512 << 20,
            max_pixels: 200_000_000,
        }
    }
}

impl Limits {
    fn check_pixels(&self, name: &str, width: usize, height: usize) -> Result<()> {
        if width as u64 * height as u64 > self.max_pixels {
            return Err(Error::ImagePixels {
                name: name.into(),
                width,
                height,
                max_pixels: self.max_pixels,
            });
        }
        Ok(())
    }
}

/// What an image's header says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts {
    /// JPEG, PNG, WebP, TIFF, BMP or DICOM: what the bytes are, whatever the extension says.
    pub format: &'static str,
    /// Pixels of the image as stored, before EXIF orientation.
    pub width: usize,
    /// Pixels of the image as stored.
    pub height: usize,
    /// From pixels of the image as stored to pixels of the upright image.
    pub from_stored: Affine,
}

impl Facts {
    /// Width and height once upright, as [`decode`] without `at_least` gives them.
    pub fn upright(&self) -> [usize; 2] {
        let [a, ..] = self.from_stored.0;
        if a == 0.0 {
            [self.height, self.width]
        } else {
            [self.width, self.height]
        }
    }
}

/// What messages call an image.
pub fn name(source: &ImageSource) -> String {
    source.name()
}

/// Decodes an image; `at_least`: a side in pixels below which a reduced-scale decoding must not go. Several
/// images of a row are decoded side by side, in one height; [`facts`] and [`read`] are of the first that is there.
///
/// The format is found in the bytes, whatever the extension says. Grey becomes R = G = B, palettes are
/// looked up, of 16 bits and floating-point numbers there are the 8 and the 16 bits ([`PixelFormat::range`] chooses of which
/// values), CMYK is converted without a colour profile, transparency is
/// composited on white, EXIF orientation is applied, and of an animation the first frame is taken. Grey values of DICOM
/// are rescaled and seen through the window of the file, else all that their bits can store become black to white.
/// Colour profiles are not applied. JPEGs of at least 2 × `at_least` pixels a side may be decoded at
/// 1/2, 1/4 or 1/8 of their size, neither side falling below `at_least`.
///
/// # Errors
///
/// Names the file and what is wrong: missing, truncated, unknown format, too many pixels. An image of which
/// a part is missing or damaged is an error too: nothing is filled in. What cannot be seen are pixels of a JPEG that
/// were overwritten by others, as the format has no checksum.
pub fn decode(source: &ImageSource, at_least: Option<usize>) -> Result<Picture> {
    decode_within(source, at_least, &Limits::default())
}

/// [`decode`] with limits of the caller's choice.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_within(
    source: &ImageSource,
    at_least: Option<usize>,
    limits: &Limits,
) -> Result<Picture> {
    if matches!(source, ImageSource::Several(_)) && !source.is_absent() {
        return strip(source, at_least, limits);
    }
    let bytes = read(source, limits)?;
    decode_bytes(&name(source), &bytes, at_least, limits)
}

/// The images of a row that are there, from left to right, as high as the lowest of them.
fn strip(row: &ImageSource, at_least: Option<usize>, limits: &Limits) -> Result<Picture> {
    let pictures: Vec<Picture> = row
        .present()
        .map(|part| decode_within(part, at_least, limits))
        .collect::<Result<_>>()?;
    let lowest = pictures.iter().map(|picture| picture.height).min();
    let height = lowest
        .unwrap_or(1)
        .min(at_least.unwrap_or(usize::MAX))
        .max(1);
    let scaled: Vec<RgbImage> = pictures
        .into_iter()
        .map(|picture| picture.of_height(height))
        .collect();
    let width = scaled.iter().map(RgbImage::width).sum();
    let mut strip = RgbImage::new(width, u32::try_from(height).unwrap_or(1));
    let mut left = 0;
    for picture in &scaled {
        ::image::imageops::replace(&mut strip, picture, left, 0);
        left += i64::from(picture.width());
    }
    Ok(Picture {
        width: strip.width() as usize,
        height: strip.height() as usize,
        rgb: strip.into_raw(),
        deep: None,
        further: Vec::new(),
        from_stored: Affine::IDENTITY,
    })
}

impl Picture {
    /// The pixels scaled to this height, sides in proportion.
    fn of_height(self, height: usize) -> RgbImage {
        let side = |pixels: usize| u32::try_from(pixels.max(1)).unwrap_or(u32::MAX);
        let width = self.width * height / self.height.max(1);
        let (from, to) = (
            [self.width, self.height].map(side),
            [width, height].map(side),
        );
        let image = RgbImage::from_raw(from[0], from[1], self.rgb).unwrap_or_default();
        match from == to {
            true => image,
            false => ::image::imageops::thumbnail(&image, to[0], to[1]),
        }
    }
}

/// Decodes the bytes of an image that messages call `name`.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_bytes(
    name: &str,
    bytes: &[u8],
    at_least: Option<usize>,
    limits: &Limits,
) -> Result<Picture> {
    decode_as(name, bytes, at_least, limits, PixelFormat::default())
}

/// As [`decode_bytes`], for a network that reads images in this way.
///
/// # Errors
///
/// As [`decode`]; [`Error::ImageChannels`]: the image has others than the network takes.
pub fn decode_as(
    name: &str,
    bytes: &[u8],
    at_least: Option<usize>,
    limits: &Limits,
    reading: PixelFormat,
) -> Result<Picture> {
    let format = sniff(name, bytes)?;
    let (image, orientation, scale) = guarded(name, bytes, format, || {
        let upright = Orientation::NoTransforms;
        let n_pages = reading.channels.unwrap_or(1);
        Ok(match format {
            Format::Jpeg => {
                let (image, orientation, scale) = jpeg::decode(name, bytes, at_least, limits)?;
                (image.into(), orientation, scale)
            }
            Format::Dicom => {
                let image = dicom::decode(name, bytes, limits, reading.range)?;
                (image.into(), upright, 1)
            }
            Format::Bands => {
                let bands = bands::read(name, bytes, n_pages, limits)?;
                (Stored::Bands(bands), upright, 1)
            }
            #[cfg(feature = "heic")]
            Format::Heic => (heic::decode(name, bytes, limits)?.into(), upright, 1),
            Format::Other(ImageFormat::Tiff) if bands::has_pages(bytes, n_pages) => {
                let bands = bands::read(name, bytes, n_pages, limits)?;
                (Stored::Bands(bands), upright, 1)
            }
            Format::Other(other) => {
                let (image, orientation) = decode_stored(name, bytes, other, limits)?;
                (image.into(), orientation, 1)
            }
        })
    })?;
    let range = reading.range.filter(|_| format != Format::Dicom);
    let images = in_threes(name, image, reading.channels)?.into_iter();
    let mut pictures = images.map(|image| {
        let image = match range {
            Some(range) => depth::stretched(image, range),
            None => image,
        };
        picture(image, orientation, scale)
    });
    let first = pictures.next();
    let further = pictures.collect();
    first
        .map(|first| Picture { further, ..first })
        .ok_or_else(|| Error::ImageEmpty { name: name.into() })
}

/// As [`decode_as`], of the part of an image that a network sees ([`ImageSource::area`]); `bytes` are those of the whole.
///
/// # Errors
///
/// As [`decode_as`]; [`Error::ImageArea`]: the part lies outside.
pub fn decode_part(
    source: &ImageSource,
    bytes: &[u8],
    at_least: Option<usize>,
    limits: &Limits,
    reading: PixelFormat,
) -> Result<Picture> {
    let name = name(source);
    match source.area() {
        None => decode_as(&name, bytes, at_least, limits, reading),
        // How far the whole may be reduced depends on how small the part is.
        Some(area) => decode_as(&name, bytes, None, limits, reading)?.cropped(&name, area),
    }
}

/// What tells the contents of an image, or of the part that a network sees, from all others; `bytes` are those of the whole.
pub fn content_hash(source: &ImageSource, bytes: &[u8]) -> [u8; 32] {
    let whole = Sha256::digest(bytes);
    match source.area() {
        None => whole.into(),
        Some(area) => {
            let part = Sha256::new().chain_update(whole);
            part.chain_update(area.to_string()).finalize().into()
        }
    }
}

/// What is stored in a file.
enum Stored {
    /// Grey or colours, transparent or not.
    Image(DynamicImage),
    /// Whatever its channels are.
    Bands(Bands),
}

impl From<DynamicImage> for Stored {
    fn from(image: DynamicImage) -> Self {
        Self::Image(image)
    }
}

impl From<RgbImage> for Stored {
    fn from(image: RgbImage) -> Self {
        Self::Image(image.into())
    }
}

/// The channels that are asked for, three at a time.
fn in_threes(name: &str, stored: Stored, channels: Option<usize>) -> Result<Vec<DynamicImage>> {
    let misfit = |found: usize, expected: usize| Error::ImageChannels {
        name: name.into(),
        found,
        expected,
    };
    match (stored, channels) {
        (Stored::Image(image), None | Some(1 | 3)) => Ok(vec![image]),
        (Stored::Bands(bands), None) => Ok(vec![bands.shown()]),
        (Stored::Bands(bands), Some(1 | 3)) if [1, 3].contains(&bands.n) => Ok(vec![bands.shown()]),
        (stored, Some(expected)) => {
            let bands = match stored {
                Stored::Bands(bands) => bands,
                Stored::Image(image) => Bands::of(image),
            };
            match bands.n == expected {
                true => Ok(bands.in_threes()),
                false => Err(misfit(bands.n, expected)),
            }
        }
    }
}

/// An image as stored, upright.
fn picture(image: DynamicImage, orientation: Orientation, scale: usize) -> Picture {
    let deep = depth::deep(&image).map(|deep| {
        let mut deep = DynamicImage::ImageRgb16(deep);
        deep.apply_orientation(orientation);
        deep.into_rgb16().into_raw()
    });
    let (width, height) = (image.width() as usize, image.height() as usize);
    let scaled = Affine::scale(1.0 / scale as f32, 1.0 / scale as f32);
    let from_stored = scaled.then(&upright(orientation, width, height));
    let mut image = DynamicImage::ImageRgb8(on_white(image));
    image.apply_orientation(orientation);
    let image = image.into_rgb8();
    Picture {
        width: image.width() as usize,
        height: image.height() as usize,
        rgb: image.into_raw(),
        deep,
        further: Vec::new(),
        from_stored,
    }
}

/// Reads an image's header; of a large file no more than its start where that is enough.
///
/// # Errors
///
/// As [`decode`], except that damage after the header is not noticed.
pub fn facts(source: &ImageSource) -> Result<Facts> {
    let limits = Limits::default();
    let source = source.first().whole();
    let name = name(source);
    if let ImageSource::Path(path) = source {
        let (start, n_bytes) = read_file(path, &limits, START_BYTES)?;
        if n_bytes <= START_BYTES {
            return header(&name, &start);
        }
        // Elsewhere the header may be anywhere in the file.
        let is_first = matches!(
            sniff(&name, &start)?,
            Format::Jpeg | Format::Dicom | Format::Other(ImageFormat::Png)
        );
        if is_first && let Ok(facts) = header(&name, &start) {
            return Ok(facts);
        }
    }
    header(&name, &read(source, &limits)?)
}

fn header(name: &str, bytes: &[u8]) -> Result<Facts> {
    let format = sniff(name, bytes)?;
    let ([width, height], orientation) = guarded(name, bytes, format, || match format {
        Format::Jpeg => {
            let header = jpeg::header(name, bytes)?;
            Ok(([header.width, header.height], header.orientation))
        }
        Format::Dicom => Ok((dicom::size(name, bytes)?, Orientation::NoTransforms)),
        Format::Bands => Ok((bands::size(name, bytes)?, Orientation::NoTransforms)),
        #[cfg(feature = "heic")]
        Format::Heic => Ok((heic::size(name, bytes)?, Orientation::NoTransforms)),
        Format::Other(other) => {
            let mut decoder = open_other(name, bytes, other)?;
            let (width, height) = decoder.dimensions();
            let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
            Ok(([width as usize, height as usize], orientation))
        }
    })?;
    Ok(Facts {
        format: format.name(),
        width,
        height,
        from_stored: upright(orientation, width, height),
    })
}

/// What a DICOM file says of each attribute; of a large file no more than its start is read where that is enough.
pub(crate) fn attributes(source: &ImageSource, names: &[&str]) -> Vec<Option<dicom::Attribute>> {
    let limits = Limits::default();
    let source = source.first().whole();
    let of = |bytes: &[u8]| match dicom::is_dicom(bytes) {
        true => dicom::attributes(bytes, names),
        false => (vec![None; names.len()], true),
    };
    if let ImageSource::Path(path) = source
        && let Ok((start, _)) = read_file(path, &limits, START_BYTES)
        && let (values, true) = of(&start)
    {
        return values;
    }
    of(&read(source, &limits).unwrap_or_default()).0
}

/// The encoded bytes of an image.
///
/// # Errors
///
/// Missing, not a file, empty, or larger than is allowed.
pub fn read<'a>(source: &'a ImageSource, limits: &Limits) -> Result<Cow<'a, [u8]>> {
    let too_large = |n_bytes: u64| Error::ImageBytes {
        name: name(source),
        n_bytes,
        max_bytes: limits.max_bytes,
    };
    let bytes: Cow<[u8]> = match source {
        ImageSource::Bytes { bytes, .. } => Cow::Borrowed(bytes),
        // The file may have grown since it was measured: never read more than is allowed.
        ImageSource::Path(path) => Cow::Owned(read_file(path, limits, limits.max_bytes + 1)?.0),
        ImageSource::Member(member) => {
            if member.n_bytes > limits.max_bytes {
                return Err(too_large(member.n_bytes));
            }
            Cow::Owned(member.read()?)
        }
        ImageSource::Object(object) => {
            let n_bytes = object.n_bytes()?;
            if n_bytes > limits.max_bytes {
                return Err(too_large(n_bytes));
            }
            let mut bytes = Vec::new();
            let file = object.open()?;
            file.take(limits.max_bytes + 1)
                .read_to_end(&mut bytes)
                .map_err(cannot_read(object.path()))?;
            Cow::Owned(bytes)
        }
        ImageSource::Several(_) => return read(source.first(), limits),
        ImageSource::Crop(_) => return read(source.whole(), limits),
    };
    if bytes.is_empty() {
        return Err(Error::ImageEmpty { name: name(source) });
    }
    if bytes.len() as u64 > limits.max_bytes {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// At most `most` bytes of a file, and how long it is.
fn read_file(path: &Path, limits: &Limits, most: u64) -> Result<(Vec<u8>, u64)> {
    let failed = cannot_read(path);
    let name = || path.display().to_string();
    // Before opening: opening a pipe would wait forever.
    let found = std::fs::metadata(path).map_err(failed)?;
    if !found.is_file() {
        return Err(Error::ImageNotAFile { name: name() });
    }
    let n_bytes = found.len();
    if n_bytes > limits.max_bytes {
        return Err(Error::ImageBytes {
            name: name(),
            n_bytes,
            max_bytes: limits.max_bytes,
        });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(n_bytes.min(most)).unwrap_or(0) + 1);
    std::fs::File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(failed)?;
    Ok((bytes, n_bytes))
}

/// What the bytes are.
fn sniff(name: &str, bytes: &[u8]) -> Result<Format> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let other = |format| Ok(Format::Other(format));
    let found = match bytes {
        [] => return Err(Error::ImageEmpty { name: name.into() }),
        _ if starts(b"\xff\xd8\xff") => return Ok(Format::Jpeg),
        _ if starts(b"\x89PNG\r\n\x1a\n") => return other(ImageFormat::Png),
        _ if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => {
            return other(ImageFormat::WebP);
        }
        // Before TIFF, as the 128 bytes before its mark may be those of one.
        _ if dicom::is_dicom(bytes) => return Ok(Format::Dicom),
        _ if starts(b"II*\0") || starts(b"MM\0*") || starts(b"II+\0") || starts(b"MM\0+") => {
            return match bands::is_of_bands(bytes) {
                true => Ok(Format::Bands),
                false => other(ImageFormat::Tiff),
            };
        }
        _ if starts(b"BM") && bytes.len() >= 26 => return other(ImageFormat::Bmp),
        _ if starts(b"GIF8") => "a GIF".to_owned(),
        _ if starts(b"%PDF") => "a PDF".to_owned(),
        #[cfg(feature = "heic")]
        _ if heic::is_heic(bytes) => return Ok(Format::Heic),
        _ if bytes.get(4..8) == Some(b"ftyp") => "a HEIC, AVIF or video file".to_owned(),
        _ if starts(b"<") => "markup, such as a web page or SVG".to_owned(),
        _ if starts(b"version https://git-lfs") => {
            "a Git LFS pointer: `git lfs pull` fetches the image".to_owned()
        }
        _ => {
            let start: Vec<String> = bytes
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("it begins with bytes {}", start.join(" "))
        }
    };
    Err(Error::ImageFormat {
        name: name.into(),
        found,
    })
}

/// Whose decoder an image is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Jpeg,
    Dicom,
    /// TIFF that is neither grey nor of colours in whole numbers.
    Bands,
    #[cfg(feature = "heic")]
    Heic,
    Other(ImageFormat),
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Dicom => "DICOM",
            Self::Bands => "TIFF",
            #[cfg(feature = "heic")]
            Self::Heic => "HEIC",
            Self::Other(ImageFormat::Png) => "PNG",
            Self::Other(ImageFormat::WebP) => "WebP",
            Self::Other(ImageFormat::Tiff) => "TIFF",
            Self::Other(_) => "BMP",
        }
    }
}

/// From pixels of a stored image of this size to pixels of the upright one.
fn upright(orientation: Orientation, width: usize, height: usize) -> Affine {
    let (w, h) = (width as f32, height as f32);
    Affine(match orientation {
        Orientation::NoTransforms => [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        Orientation::FlipHorizontal => [-1.0, 0.0, w, 0.0, 1.0, 0.0],
        Orientation::Rotate180 => [-1.0, 0.0, w, 0.0, -1.0, h],
        Orientation::FlipVertical => [1.0, 0.0, 0.0, 0.0, -1.0, h],
        Orientation::Rotate90FlipH => [0.0, 1.0, 0.0, 1.0, 0.0, 0.0],
        Orientation::Rotate90 => [0.0, -1.0, h, 1.0, 0.0, 0.0],
        Orientation::Rotate270FlipH => [0.0, -1.0, h, -1.0, 0.0, w],
        Orientation::Rotate270 => [0.0, 1.0, 0.0, -1.0, 0.0, w],
    })
}

/// What decoders make of an image; on some damaged ones they panic.
fn guarded<T>(
    name: &str,
    bytes: &[u8],
    format: Format,
    read: impl FnOnce() -> Result<T>,
) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let why = format!("its decoder gave up: {}", message_of(&*panic));
        let source = std::io::Error::other(why);
        Err(broken(name, format.name(), bytes.len(), source))
    })
}

fn open_other<'a>(
    name: &str,
    bytes: &'a [u8],
    format: ImageFormat,
) -> Result<impl ImageDecoder + use<'a>> {
    ImageReader::with_format(Cursor::new(bytes), format)
        .into_decoder()
        .map_err(|source| broken(name, Format::Other(format).name(), bytes.len(), source))
}

/// PNG, WebP, TIFF or BMP, as stored.
fn decode_stored(
    name: &str,
    bytes: &[u8],
    format: ImageFormat,
    limits: &Limits,
) -> Result<(DynamicImage, Orientation)> {
    let failed = |source| broken(name, Format::Other(format).name(), bytes.len(), source);
    let mut decoder = open_other(name, bytes, format)?;
    let (width, height) = decoder.dimensions();
    limits.check_pixels(name, width as usize, height as usize)?;
    if is_cut_short(format, bytes) {
        return Err(Error::ImageTruncated {
            name: name.into(),
            format: Format::Other(format).name(),
            n_bytes: bytes.len(),
        });
    }
    // A camera tag that cannot be read is no reason to refuse the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut allowed = ::image::Limits::no_limits();
    // 16 bits of RGBA a pixel, twice (a decoder's own buffer), and some.
    allowed.max_alloc = Some(
        limits
            .max_pixels
            .saturating_mul(16)
            .saturating_add(64 << 20),
    );
    decoder.set_limits(allowed).map_err(failed)?;
    let image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok((image, orientation))
}

/// Whether a container ends before it says it does. Decoders read on through some such cuts.
fn is_cut_short(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Png => {
            // Signature, then chunks: length, kind, data, checksum; the last is IEND.
            let mut at = 8;
            loop {
                let Some(&[a, b, c, d, ref kind @ ..]) =
                    bytes.get(at..).and_then(<[u8]>::first_chunk::<8>)
                else {
                    return true;
                };
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                at = at.saturating_add(length).saturating_add(12);
                if kind == b"IEND" {
                    return at > bytes.len();
                }
            }
        }
        ImageFormat::WebP => match bytes {
            &[_, _, _, _, a, b, c, d, ..] => {
                u64::from(u32::from_le_bytes([a, b, c, d])) + 8 > bytes.len() as u64
            }
            _ => true,
        },
        _ => false,
    }
}

/// 8 bits of RGB; what is transparent shows white.
#[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a mean of values up to 255"
)]
fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    let (width, height) = image.dimensions();
    let rgb = image
        .as_raw()
        .as_chunks()
        .0
        .iter()
        .flat_map(|&[red, green, blue, alpha]| {
            let alpha = u32::from(alpha);
            [red, green, blue]
                .map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
        })
        .collect();
    RgbImage::from_raw(width, height, rgb).expect("three bytes were written for each pixel")
}

/// The error for a decoder's complaint: truncated where the data ran out, otherwise damaged or unknown.
fn broken(
    name: &str,
    format: &'static str,
    n_bytes: usize,
    source: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&source);
    while let Some(error) = cause {
        let ran_out = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == ErrorKind::UnexpectedEof);
        let text = error.to_string();
        if ran_out
            || text.contains("nexpected end of file")
            || text.contains("failed to fill whole buffer")
        {
            return Error::ImageTruncated {
                name: name.into(),
                format,
                n_bytes,
            };
        }
        cause = error.source();
    }
    Error::ImageDecode {
        name: name.into(),
        format,
        source: Box::new(source),
    }
}
