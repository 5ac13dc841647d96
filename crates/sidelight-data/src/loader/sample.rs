//! One row, made from what is stored of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::augment::{Change, swap_symmetric};
use crate::error::{Error, Result, message_of};
use crate::image::cache::fitted_in_range;
use crate::image::resize::layout;
use crate::image::{Affine, facts, name};
use crate::random::{Purpose, for_row};
use crate::task::Task;

use super::{HostBatch, Preprocess, Source};

/// One row of a batch, its pixels not yet normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    row: usize,
    rgb: Vec<u8>,
    dense: Vec<f32>,
    codes: Vec<u32>,
    targets: Vec<f32>,
    mask: Vec<f32>,
    to_input: Affine,
    is_flipped: bool,
    has_image: bool,
}

impl Sample {
    pub(super) fn row(&self) -> usize {
        self.row
    }
    pub(super) fn rgb(&self) -> &[u8] {
        &self.rgb
    }
    /// From pixels of the stored image to pixels of the input square.
    pub fn to_input(&self) -> &Affine {
        &self.to_input
    }
    /// Gives it another's pixels.
    pub(super) fn show(&mut self, rgb: Vec<u8>) {
        self.rgb = rgb;
    }
}

/// A row whose image cannot be used: an even picture, its metadata, and no target that is known.
pub(super) fn blank(source: &Source, row: usize) -> Sample {
    let (size, metadata) = (source.preprocess.size, &source.metadata);
    let targets = source.dataset.targets.as_ref();
    let width = targets.map_or(0, |targets| source.task.encode(targets, row).0.len());
    Sample {
        row,
        rgb: match source.reads_image {
            true => source.preprocess.fill().repeat(size * size),
            false => Vec::new(),
        },
        dense: metadata.dense_row(row).to_vec(),
        codes: metadata.codes_row(row).to_vec(),
        targets: vec![0.0; width],
        mask: vec![0.0; width],
        to_input: Affine::IDENTITY,
        is_flipped: false,
        has_image: true,
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

/// Makes the sample of one row: a function of source, epoch and the table's row alone.
fn sample(source: &Source, epoch: u64, row: usize) -> Result<Sample> {
    let Preprocess {
        size,
        resize,
        range,
        ..
    } = source.preprocess;
    let image = &source.dataset.images[row];
    let draw = |sides| match &source.augment {
        Some(augment) => augment.draw(
            &mut for_row(source.seed, epoch, source.table_row(row), Purpose::Augment),
            sides,
            size,
        ),
        None => Change::none(sides, size),
    };
    let has_image = !image.is_absent();
    let (rgb, change, from_stored) = if source.reads_image && !has_image {
        let change = Change::none([size; 2], size);
        let even = source.preprocess.fill().repeat(size * size);
        (even, change, Affine::IDENTITY)
    } else if source.reads_image {
        let fill = source.preprocess.fill();
        let picture = match &source.cache {
            Some(cache) => cache.fitted(image, size, resize, fill)?,
            None => Arc::new(fitted_in_range(image, size, resize, fill, range)?),
        };
        let change = draw([picture.width, picture.height]);
        (change.render(&picture, size), change, picture.from_stored)
    } else if matches!(*source.task, Task::Keypoints { .. }) {
        // Metadata alone predicts points in the same square as the other arms, and so needs the image's size.
        let facts = facts(image)?;
        let layout = layout(facts.upright(), size, resize);
        let change = Change::none(layout.sides, size);
        (Vec::new(), change, facts.from_stored.then(&layout.map))
    } else {
        (Vec::new(), Change::none([size; 2], size), Affine::IDENTITY)
    };
    let to_input = from_stored.then(&change.to_input);

    let metadata = &source.metadata;
    let mut dense = metadata.dense_row(row).to_vec();
    let mut codes = metadata.codes_row(row).to_vec();
    if change.is_flipped {
        source.encoder.flip(&mut dense, &mut codes);
    }
    source.hide(epoch, row, &mut dense, &mut codes);
    let (mut targets, mut mask) = match &source.dataset.targets {
        Some(targets) => source.task.encode(targets, row),
        None => (Vec::new(), Vec::new()),
    };
    if let Task::Keypoints { symmetric, .. } = &*source.task {
        place_points(&mut targets, &mut mask, &to_input, size);
        if change.is_flipped && !targets.is_empty() {
            swap_symmetric(&mut targets, &mut mask, symmetric);
        }
    }
    if let Some(weights) = &source.dataset.weights {
        let weight = weights.in_loss(row);
        mask.iter_mut().for_each(|known| *known *= weight);
    }
    Ok(Sample {
        row,
        rgb,
        dense,
        codes,
        targets,
        mask,
        to_input,
        is_flipped: change.is_flipped,
        has_image,
    })
}

/// Moves points from pixels of the stored image to [-1, 1] of the input square. A point that is not known or
/// not in the square is masked, and 0.
fn place_points(xy: &mut [f32], mask: &mut [f32], to_input: &Affine, size: usize) {
    for (point, known) in xy.chunks_exact_mut(2).zip(mask.chunks_exact_mut(2)) {
        let place = to_input
            .apply([point[0], point[1]])
            .map(|value| 2.0 * value / size as f32 - 1.0);
        // A point on the frame itself is in it, and rounding must not throw it out. NaN is nowhere.
        let is_in = place.iter().all(|value| (-1.0001..=1.0001).contains(value));
        if is_in && known.iter().all(|&known| known > 0.0) {
            point.copy_from_slice(&place.map(|value| value.clamp(-1.0, 1.0)));
        } else {
            point.fill(0.0);
            known.fill(0.0);
        }
    }
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
    // A pixel has 256 values a channel: each is normalised once, in f64.
    let tables: [[f32; 256]; 3] = std::array::from_fn(|channel| {
        let (mean, sd) = (
            f64::from(preprocess.mean[channel]),
            f64::from(preprocess.sd[channel]),
        );
        std::array::from_fn(|value| ((value as f64 / 255.0 - mean) / sd) as f32)
    });
    let mut batch = HostBatch {
        size: preprocess.size,
        ..HostBatch::default()
    };
    batch.images = vec![0.0; samples.clone().map(|sample| sample.rgb.len()).sum()];
    let rgb = samples
        .clone()
        .flat_map(|sample| sample.rgb.chunks_exact(3));
    for (normalised, pixel) in batch.images.chunks_exact_mut(3).zip(rgb) {
        for channel in 0..3 {
            normalised[channel] = tables[channel][usize::from(pixel[channel])];
        }
    }
    for sample in samples {
        batch.rows.push(sample.row);
        batch.dense.extend(&sample.dense);
        batch.codes.extend(&sample.codes);
        batch.targets.extend(&sample.targets);
        batch.mask.extend(&sample.mask);
        batch.to_input.push(sample.to_input);
        batch.is_flipped.push(sample.is_flipped);
        batch.has_image.push(sample.has_image);
    }
    batch
}
