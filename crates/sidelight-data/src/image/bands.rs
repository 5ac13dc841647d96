//! TIFF of any number of channels, or of numbers that are no colours: floating-point greys, signed ones.

use std::borrow::Cow;
use std::io::Cursor;

use ::image::{DynamicImage, ImageBuffer, Pixel, Primitive, Rgb};
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{ByteOrder, Tag};
use tiff::{ColorType, TiffError, TiffResult};

use super::depth::span;
use super::{Limits, broken};
use crate::error::Result;

/// The channels of an image.
pub(super) struct Bands {
    width: u32,
    height: u32,
    /// How many there are.
    pub(super) n: usize,
    samples: Samples,
}

/// `[height][width][n]`.
enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
    /// White is 1 where no range is given.
    Float(Vec<f32>),
}

type Tiff<'a> = Decoder<Cursor<Cow<'a, [u8]>>>;

/// The sample format of unsigned whole numbers.
const UNSIGNED: u16 = 1;

/// Opens a TIFF. Its decoder gives of colours with further channels that are no transparency, near infrared, say, the
/// colours alone: of such it is told that they are greys.
fn open(bytes: &[u8]) -> TiffResult<Tiff<'_>> {
    let mut tiff = Decoder::new(Cursor::new(Cow::Borrowed(bytes)))?;
    match with_further_channels(bytes, &mut tiff)? {
        true => match as_greys(bytes, &mut tiff) {
            Some(greys) => Decoder::new(Cursor::new(Cow::Owned(greys))),
            None => Ok(tiff),
        },
        false => Ok(tiff),
    }
}

/// Whether a TIFF of colours has channels beside them.
fn with_further_channels(bytes: &[u8], tiff: &mut Tiff<'_>) -> TiffResult<bool> {
    let photometric = tiff.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation)?;
    if photometric != Some(RGB) || bytes.len() < HEADER {
        return Ok(false);
    }
    let samples = tiff.find_tag_unsigned::<u16>(Tag::SamplesPerPixel)?;
    let known = tiff.colortype().map_or(0, |colours| colours.num_samples());
    Ok(samples.is_some_and(|samples| samples > known))
}

/// TIFF 6.0: the photometric interpretations, the length of the header, and of an entry of the directory that stands after
/// a count, in which tag and kind are before another count and the value. BigTIFF has wider ones.
const GREY: u16 = 1;
const RGB: u16 = 2;
const HEADER: usize = 8;
const PHOTOMETRIC: u16 = 262;

/// The same file, its first image said to be grey.
fn as_greys(bytes: &[u8], tiff: &mut Tiff<'_>) -> Option<Vec<u8>> {
    let (read, written): (fn([u8; 2]) -> u16, _) = match tiff.byte_order() {
        ByteOrder::LittleEndian => (u16::from_le_bytes, GREY.to_le_bytes()),
        ByteOrder::BigEndian => (u16::from_be_bytes, GREY.to_be_bytes()),
    };
    let two = |at: usize| Some(read(*bytes.get(at..)?.first_chunk()?));
    let is_big = two(2)? == 43;
    let (count, entry, value) = if is_big { (8, 20, 12) } else { (2, 12, 8) };
    // Nobody writes more entries than two bytes count.
    let n_entries = match (is_big, tiff.byte_order()) {
        (true, ByteOrder::BigEndian) => 6,
        _ => 0,
    };
    let start = usize::try_from(tiff.ifd_pointer()?.0).ok()?;
    let n_entries = usize::from(two(start.checked_add(n_entries)?)?);
    let mut entries = (0..n_entries).map(|i| start + count + i * entry);
    let photometric = entries.find(|&at| two(at) == Some(PHOTOMETRIC))?;
    let mut greys = bytes.to_vec();
    let place = greys.get_mut(photometric + value..)?;
    place.first_chunk_mut::<2>()?.copy_from_slice(&written);
    Some(greys)
}

/// Whether a TIFF is one that the reader of grey images and colours does not take.
pub(super) fn is_of_bands(bytes: &[u8]) -> bool {
    let is = || -> TiffResult<bool> {
        let mut tiff = open(bytes)?;
        Ok(match tiff.colortype()? {
            ColorType::Multiband { .. } | ColorType::Gray(32 | 64) => true,
            ColorType::Gray(8 | 16) => {
                let format = tiff.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?;
                format.is_some_and(|format| format.iter().any(|&format| format != UNSIGNED))
            }
            _ => false,
        })
    };
    is().unwrap_or(false)
}

/// Whether a TIFF of one channel has as many pages as a network that takes several.
pub(super) fn has_pages(bytes: &[u8], n: usize) -> bool {
    let has = || -> TiffResult<bool> {
        let mut tiff = open(bytes)?;
        let mut pages = 1;
        while pages <= n && tiff.more_images() {
            tiff.next_image()?;
            pages += 1;
        }
        Ok(pages == n)
    };
    n > 1 && has().unwrap_or(false)
}

/// Width and height.
pub(super) fn size(name: &str, bytes: &[u8]) -> Result<[usize; 2]> {
    let size = open(bytes).and_then(|mut tiff| tiff.dimensions());
    let size = size.map_err(|why| broken(name, "TIFF", bytes.len(), why))?;
    Ok([size.0 as usize, size.1 as usize])
}

/// All channels; of `n_pages` pages, where the first has one channel and there are as many.
pub(super) fn read(name: &str, bytes: &[u8], n_pages: usize, limits: &Limits) -> Result<Bands> {
    let failed = |why: TiffError| broken(name, "TIFF", bytes.len(), why);
    let mut tiff = open(bytes).map_err(failed)?;
    let (width, height) = tiff.dimensions().map_err(failed)?;
    let n = usize::from(tiff.colortype().map_err(failed)?.num_samples());
    let n_pages = match n == 1 && has_pages(bytes, n_pages) {
        true => n_pages,
        false => 1,
    };
    let channels = n.max(n_pages);
    limits.check_pixels(name, width as usize, height as usize * channels.div_ceil(3))?;
    let most = usize::try_from(limits.max_pixels.saturating_mul(16)).unwrap_or(usize::MAX);
    let mut allowed = tiff::decoder::Limits::default();
    (
        allowed.decoding_buffer_size,
        allowed.intermediate_buffer_size,
    ) = (most, most);
    let mut tiff = tiff.with_limits(allowed);
    let mut pages = Vec::new();
    for page in 0..n_pages {
        if page > 0 {
            tiff.next_image().map_err(failed)?;
        }
        let mut read = DecodingResult::U8(Vec::new());
        let layout = tiff.read_image_to_buffer(&mut read).map_err(failed)?;
        let samples = Samples::of(read);
        pages.push(match layout.planes > 1 {
            true => samples.interleaved(n),
            false => samples,
        });
    }
    let n_pixels = width as usize * height as usize;
    let samples = match <[Samples; 1]>::try_from(pages) {
        Ok([only]) => Some(only),
        Err(pages) => Samples::joined(pages).map(|planes| planes.interleaved(n_pages)),
    };
    let whole = samples.filter(|samples| samples.len() == n_pixels * channels);
    let samples = whole.ok_or_else(|| {
        let why = std::io::Error::other("its pages are not all of one size and kind");
        broken(name, "TIFF", bytes.len(), why)
    })?;
    Ok(Bands {
        width,
        height,
        n: channels,
        samples,
    })
}

impl Samples {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "ranges are in single precision"
    )]
    fn of(read: DecodingResult) -> Self {
        let float = |values: Vec<f32>| Self::Float(values);
        match read {
            DecodingResult::U8(values) => Self::Eight(values),
            DecodingResult::U16(values) => Self::Sixteen(values),
            DecodingResult::U32(values) => float(values.into_iter().map(|v| v as f32).collect()),
            DecodingResult::U64(values) => float(values.into_iter().map(|v| v as f32).collect()),
            DecodingResult::I8(values) => float(values.into_iter().map(f32::from).collect()),
            DecodingResult::I16(values) => float(values.into_iter().map(f32::from).collect()),
            DecodingResult::I32(values) => float(values.into_iter().map(|v| v as f32).collect()),
            DecodingResult::I64(values) => float(values.into_iter().map(|v| v as f32).collect()),
            DecodingResult::F16(values) => float(values.into_iter().map(f32::from).collect()),
            DecodingResult::F32(values) => float(values),
            DecodingResult::F64(values) => float(values.into_iter().map(|v| v as f32).collect()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Eight(values) => values.len(),
            Self::Sixteen(values) => values.len(),
            Self::Float(values) => values.len(),
        }
    }

    /// Of `n` planes, one after another, the values of each pixel side by side.
    fn interleaved(self, n: usize) -> Self {
        fn of<T: Copy>(planes: &[T], n: usize) -> Vec<T> {
            let length = planes.len() / n.max(1);
            let pixel = |at: usize| planes.iter().skip(at).step_by(length.max(1)).take(n);
            (0..length).flat_map(pixel).copied().collect()
        }
        match self {
            Self::Eight(values) => Self::Eight(of(&values, n)),
            Self::Sixteen(values) => Self::Sixteen(of(&values, n)),
            Self::Float(values) => Self::Float(of(&values, n)),
        }
    }

    /// Pages one after another; `None`: not all are of one kind.
    fn joined(pages: Vec<Self>) -> Option<Self> {
        let mut pages = pages.into_iter();
        let mut all = pages.next()?;
        for page in pages {
            match (&mut all, page) {
                (Self::Eight(all), Self::Eight(page)) => all.extend(page),
                (Self::Sixteen(all), Self::Sixteen(page)) => all.extend(page),
                (Self::Float(all), Self::Float(page)) => all.extend(page),
                _ => return None,
            }
        }
        Some(all)
    }
}

impl Bands {
    /// Those of an image of colours or greys: transparency is one of them.
    pub(super) fn of(image: DynamicImage) -> Self {
        let (width, height) = (image.width(), image.height());
        let n = usize::from(image.color().channel_count());
        let samples = match image {
            DynamicImage::ImageLuma8(image) => Samples::Eight(image.into_raw()),
            DynamicImage::ImageLumaA8(image) => Samples::Eight(image.into_raw()),
            DynamicImage::ImageRgb8(image) => Samples::Eight(image.into_raw()),
            DynamicImage::ImageRgba8(image) => Samples::Eight(image.into_raw()),
            DynamicImage::ImageLuma16(image) => Samples::Sixteen(image.into_raw()),
            DynamicImage::ImageLumaA16(image) => Samples::Sixteen(image.into_raw()),
            DynamicImage::ImageRgb16(image) => Samples::Sixteen(image.into_raw()),
            DynamicImage::ImageRgba16(image) => Samples::Sixteen(image.into_raw()),
            DynamicImage::ImageRgb32F(image) => Samples::Float(image.into_raw()),
            DynamicImage::ImageRgba32F(image) => Samples::Float(image.into_raw()),
            // Kinds that the library may come to know.
            other => {
                let rgb = other.into_rgb8().into_raw();
                return Self {
                    width,
                    height,
                    n: 3,
                    samples: Samples::Eight(rgb),
                };
            }
        };
        Self {
            width,
            height,
            n,
            samples,
        }
    }

    /// What a person is shown: the first three channels as red, green and blue, of fewer the first as grey.
    pub(super) fn shown(&self) -> DynamicImage {
        match self.n {
            ..=2 => self.rgb([0; 3]),
            _ => self.rgb([0, 1, 2]),
        }
    }

    /// All of them, three at a time; those that there are not are 0.
    pub(super) fn in_threes(&self) -> Vec<DynamicImage> {
        let starts = (0..self.n).step_by(3);
        starts
            .map(|start| self.rgb([start, start + 1, start + 2]))
            .collect()
    }

    fn rgb(&self, channels: [usize; 3]) -> DynamicImage {
        fn of<T: Primitive>(
            bands: &Bands,
            values: &[T],
            channels: [usize; 3],
        ) -> ImageBuffer<Rgb<T>, Vec<T>>
        where
            Rgb<T>: Pixel<Subpixel = T>,
        {
            let pixel = |pixel: &[T]| {
                channels.map(|channel| pixel.get(channel).copied().unwrap_or_else(T::zero))
            };
            let rgb = values.chunks_exact(bands.n).flat_map(pixel).collect();
            ImageBuffer::from_raw(bands.width, bands.height, rgb).unwrap_or_default()
        }
        match &self.samples {
            Samples::Eight(values) => DynamicImage::ImageRgb8(of(self, values, channels)),
            Samples::Sixteen(values) => DynamicImage::ImageRgb16(of(self, values, channels)),
            Samples::Float(values) => DynamicImage::ImageRgb32F(of(self, values, channels)),
        }
    }

    /// The least and the greatest value; `None`: they have 8 bits.
    pub(super) fn deep_range(&self) -> Option<[f32; 2]> {
        match &self.samples {
            Samples::Eight(_) => None,
            Samples::Sixteen(values) => span(values.iter().map(|v| f32::from(*v))),
            Samples::Float(values) => span(values.iter().copied()),
        }
    }
}
