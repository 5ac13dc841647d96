//! One row, made from what is stored of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::augment::{Change, Level, swap_symmetric};
use crate::error::{Error, Result, message_of};
use crate::image::cache::fitted_as;
use crate::image::{Affine, Picture, name};
use crate::random::{Purpose, for_row};
use crate::task::Task;

use super::{HostBatch, Preprocess, Source};

/// A square `[size][size][channels]`, not yet normalised.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pixels {
    /// White is 255.
    Eight(Vec<u8>),
    /// White is 65535.
    Sixteen(Vec<u16>),
}

impl Pixels {
    fn len(&self) -> usize {
        match self {
            Self::Eight(values) => values.len(),
            Self::Sixteen(values) => values.len(),
        }
    }

    /// An even square of the colour that padding has.
    fn even(preprocess: &Preprocess) -> Self {
        Self::Eight(preprocess.even().repeat(preprocess.size * preprocess.size))
    }

    /// A fitted picture as the network sees it.
    fn of(picture: &Picture, change: &Change, preprocess: &Preprocess) -> Self {
        let Preprocess { size, channels, .. } = *preprocess;
        let deep: Option<Vec<Vec<u16>>> = picture
            .in_threes()
            .map(|three| change.render_deep(three, size))
            .collect();
        match deep {
            Some(squares) => Self::Sixteen(interleaved(squares, channels)),
            None => {
                let squares = picture.in_threes().map(|three| change.render(three, size));
                Self::Eight(interleaved(squares.collect(), channels))
            }
        }
    }
}

/// Squares of three channels each as one of so many; as one of one channel: the luminance (ITU-R BT.601), as Pillow's
/// `convert("L")`.
pub(super) fn interleaved<T: Level>(mut squares: Vec<Vec<T>>, channels: usize) -> Vec<T> {
    match channels {
        3 => squares.swap_remove(0),
        1 => squares[0]
            .as_chunks::<3>()
            .0
            .iter()
            .map(|rgb| {
                let [red, green, blue] = rgb.map(Into::<u32>::into);
                T::of((red * 299 + green * 587 + blue * 114 + 500) / 1000)
            })
            .collect(),
        _ => {
            let n_pixels = squares[0].len() / 3;
            let value =
                |pixel: usize, channel: usize| squares[channel / 3][3 * pixel + channel % 3];
            (0..n_pixels)
                .flat_map(|pixel| (0..channels).map(move |channel| (pixel, channel)))
                .map(|(pixel, channel)| value(pixel, channel))
                .collect()
        }
    }
}

/// One row of a batch, its pixels not yet normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    row: usize,
    /// Of each of the row's images; none where none is read.
    pixels: Vec<Pixels>,
    dense: Vec<f32>,
    codes: Vec<u32>,
    targets: Vec<f32>,
    mask: Vec<f32>,
    /// Of each point: 1 where it is in the square and can be seen; and whether that is known.
    visible: Vec<f32>,
    visible_mask: Vec<f32>,
    to_input: Affine,
    is_flipped: bool,
    /// Of each of the row's images.
    has_image: Vec<bool>,
}

impl Sample {
    pub(super) fn row(&self) -> usize {
        self.row
    }
    pub(super) fn pixels(&self) -> &Vec<Pixels> {
        &self.pixels
    }
    /// From pixels of the stored image to pixels of the input square.
    pub fn to_input(&self) -> &Affine {
        &self.to_input
    }
    /// Gives it another's pixels.
    pub(super) fn show(&mut self, pixels: Vec<Pixels>) {
        self.pixels = pixels;
    }
}

/// A row whose image cannot be used: an even picture, its metadata, and no target that is known.
pub(super) fn blank(source: &Source, row: usize) -> Sample {
    let metadata = &source.metadata;
    let n_images = source.dataset.images[row].parts().len();
    let targets = source.dataset.targets.as_ref();
    let width = targets.map_or(0, |targets| source.task.encode(targets, row).0.len());
    let n_points = targets.map_or(0, |targets| targets.visible(row).len());
    Sample {
        row,
        pixels: match source.reads_image {
            true => vec![Pixels::even(&source.preprocess); n_images],
            false => Vec::new(),
        },
        dense: metadata.dense_row(row).to_vec(),
        codes: metadata.codes_row(row).to_vec(),
        targets: vec![0.0; width],
        mask: vec![0.0; width],
        visible: vec![0.0; n_points],
        visible_mask: vec![0.0; n_points],
        to_input: Affine::IDENTITY,
        is_flipped: false,
        has_image: vec![true; n_images],
    }
}

/// As [`sample`]; a panic on the way is an error that names the image.
pub(super) fn guarded(source: &Source, changes: u64, row: usize) -> Result<Sample> {
    let made = catch_unwind(AssertUnwindSafe(|| sample(source, changes, row)));
    made.unwrap_or_else(|panic| {
        let images = &source.dataset.images;
        let image = images.get(row);
        Err(Error::ImageFault {
            name: image.map_or_else(|| format!("row {}", row + 1), name),
            message: message_of(&*panic),
        })
    })
}

/// The pictures of one row.
struct Pictures {
    /// Of each of its images.
    pixels: Vec<Pixels>,
    /// Of the first that is there.
    to_input: Affine,
    /// Of all of them.
    is_flipped: bool,
}

impl Pictures {
    /// None are read.
    fn unread(to_input: Affine) -> Self {
        Self {
            pixels: Vec::new(),
            to_input,
            is_flipped: false,
        }
    }
}

/// The pictures of a row, changed at random where it is trained on. One that is missing is an even one.
fn pictures(source: &Source, epoch: u64, row: usize) -> Result<Pictures> {
    let preprocess = &source.preprocess;
    let Preprocess { size, resize, .. } = *preprocess;
    let fill = preprocess.fill();
    let (mut pixels, mut first) = (Vec::new(), None);
    for (part, image) in source.dataset.images[row].parts().iter().enumerate() {
        if image.is_absent() {
            pixels.push(Pixels::even(preprocess));
            continue;
        }
        let picture = match &source.cache {
            Some(cache) => cache.fitted(image, size, resize, fill)?,
            None => Arc::new(fitted_as(
                image,
                size,
                resize,
                fill,
                preprocess.pixel_format(),
            )?),
        };
        let sides = [picture.width, picture.height];
        let flipped = first.map(|(_, is_flipped)| is_flipped);
        let change = match &source.augment {
            Some(augment) => {
                // Each picture of a row has a stream of its own; that of an only one is the row's.
                let changes = epoch + ((part as u64) << 48);
                let row = source.table_row(row);
                let mut stream = for_row(source.seed, changes, row, Purpose::Augment);
                augment.draw(&mut stream, sides, size, flipped)
            }
            None => Change::none(sides, size),
        };
        pixels.push(Pixels::of(&picture, &change, preprocess));
        let to_input = picture.from_stored.then(&change.to_input);
        first.get_or_insert((to_input, change.is_flipped));
    }
    let (to_input, is_flipped) = first.unwrap_or((Change::none([size; 2], size).to_input, false));
    Ok(Pictures {
        pixels,
        to_input,
        is_flipped,
    })
}

/// Makes the sample of one row: a function of source, epoch and the table's row alone.
fn sample(source: &Source, epoch: u64, row: usize) -> Result<Sample> {
    let size = source.preprocess.size;
    let image = &source.dataset.images[row];
    let Pictures {
        pixels,
        to_input,
        is_flipped,
    } = if source.reads_image {
        pictures(source, epoch, row)?
    } else if matches!(*source.task, Task::Keypoints { .. }) {
        // Metadata alone predicts points in the same square as the other arms, and so needs the image's size.
        Pictures::unread(source.preprocess.to_input(image)?)
    } else {
        Pictures::unread(Change::none([size; 2], size).to_input)
    };

    let metadata = &source.metadata;
    let mut dense = metadata.dense_row(row).to_vec();
    let mut codes = metadata.codes_row(row).to_vec();
    if is_flipped {
        source.encoder.flip(&mut dense, &mut codes);
    }
    source.hide(epoch, row, &mut dense, &mut codes);
    let (mut targets, mut mask) = match &source.dataset.targets {
        Some(targets) => source.task.encode(targets, row),
        None => (Vec::new(), Vec::new()),
    };
    let (mut visible, mut visible_mask) = (Vec::new(), Vec::new());
    if let Task::Keypoints { symmetric, .. } = &*source.task {
        let of_targets = source.dataset.targets.as_ref();
        let seen = of_targets.map_or_else(Vec::new, |targets| targets.visible(row));
        let is_left = place_points(&mut targets, &mut mask, &to_input, size);
        visible = seen
            .iter()
            .zip(is_left)
            .map(|(is, left)| share(*is == Some(true) && !left))
            .collect();
        visible_mask = seen.iter().map(|is| share(is.is_some())).collect();
        if is_flipped && !targets.is_empty() {
            swap_symmetric(&mut targets, 2, symmetric);
            swap_symmetric(&mut mask, 2, symmetric);
            swap_symmetric(&mut visible, 1, symmetric);
            swap_symmetric(&mut visible_mask, 1, symmetric);
        }
    }
    if let Some(weights) = &source.dataset.weights {
        let weight = weights.in_loss(row);
        let known = mask.iter_mut().chain(&mut visible_mask);
        known.for_each(|known| *known *= weight);
    }
    Ok(Sample {
        row,
        pixels,
        dense,
        codes,
        targets,
        mask,
        visible,
        visible_mask,
        to_input,
        is_flipped,
        has_image: image.parts().iter().map(|part| !part.is_absent()).collect(),
    })
}

/// 1 or 0.
fn share(is: bool) -> f32 {
    f32::from(u8::from(is))
}

/// Moves points from pixels of the stored image to [-1, 1] of the input square. A point that is not known or
/// not in the square is masked, and 0. Returns of each whether it is known to be outside.
fn place_points(xy: &mut [f32], mask: &mut [f32], to_input: &Affine, size: usize) -> Vec<bool> {
    let points = xy.chunks_exact_mut(2).zip(mask.chunks_exact_mut(2));
    let place = |(point, known): (&mut [f32], &mut [f32])| {
        let place = to_input
            .apply([point[0], point[1]])
            .map(|value| 2.0 * value / size as f32 - 1.0);
        // A point on the frame itself is in it, and rounding must not throw it out. NaN is nowhere.
        let is_in = place.iter().all(|value| (-1.0001..=1.0001).contains(value));
        let is_known = known.iter().all(|&known| known > 0.0);
        if is_in && is_known {
            point.copy_from_slice(&place.map(|value| value.clamp(-1.0, 1.0)));
        } else {
            point.fill(0.0);
            known.fill(0.0);
        }
        is_known && !is_in
    };
    points.map(place).collect()
}

/// Puts samples together, their pixels normalised.
#[expect(
    clippy::cast_possible_truncation,
    reason = "networks compute in single precision"
)]
pub(super) fn assemble<'a>(
    samples: impl Iterator<Item = &'a Sample> + Clone,
    preprocess: &Preprocess,
) -> HostBatch {
    let moments: Vec<[f64; 2]> = (0..preprocess.channels)
        .map(|channel| preprocess.moments(channel).map(f64::from))
        .collect();
    let normalised = |[mean, sd]: [f64; 2], share: f64| ((share - mean) / sd) as f32;
    // A pixel has 256 values a channel: each is normalised once, in f64.
    let tables: Vec<[f32; 256]> = moments
        .iter()
        .map(|&of| std::array::from_fn(|value| normalised(of, value as f64 / 255.0)))
        .collect();
    let mut batch = HostBatch {
        size: preprocess.size,
        ..HostBatch::default()
    };
    let squares = samples.clone().flat_map(|sample| &sample.pixels);
    batch.images = vec![0.0; squares.clone().map(Pixels::len).sum()];
    let mut rest = &mut batch.images[..];
    for square in squares {
        let (images, others) = rest.split_at_mut(square.len());
        rest = others;
        match (square, &*tables) {
            // Colours, by far the most frequent, in a loop that the compiler unrolls.
            (Pixels::Eight(values), [red, green, blue]) => {
                let pixels = values.as_chunks::<3>().0;
                for (image, &[r, g, b]) in images.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                    *image = [
                        red[usize::from(r)],
                        green[usize::from(g)],
                        blue[usize::from(b)],
                    ];
                }
            }
            (Pixels::Eight(values), tables) => {
                let tables = tables.iter().cycle();
                for ((image, &value), table) in images.iter_mut().zip(values).zip(tables) {
                    *image = table[usize::from(value)];
                }
            }
            (Pixels::Sixteen(values), _) => {
                let moments = moments.iter().cycle();
                for ((image, &value), &of) in images.iter_mut().zip(values).zip(moments) {
                    *image = normalised(of, f64::from(value) / 65_535.0);
                }
            }
        }
    }
    for sample in samples {
        batch.rows.push(sample.row);
        batch.dense.extend(&sample.dense);
        batch.codes.extend(&sample.codes);
        batch.targets.extend(&sample.targets);
        batch.mask.extend(&sample.mask);
        batch.visible.extend(&sample.visible);
        batch.visible_mask.extend(&sample.visible_mask);
        batch.to_input.push(sample.to_input);
        batch.is_flipped.push(sample.is_flipped);
        batch.has_image.extend(&sample.has_image);
    }
    batch
}
