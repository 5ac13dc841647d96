//! Batches on the host, read by all cores, in an order that depends on the seed alone.
//!
//! A [`Source`] is what rows are made of, a [`BatchPlan`] says which rows make which batch, and a [`Loader`] is an
//! iterator over the batches of one epoch, filled ahead by threads of its own. The result is the same to the
//! bit whatever the number of threads.

mod pool;
mod sample;
mod shards;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::augment::{Augment, Change, MetadataDropout};
use crate::config::ResizeMethod;
use crate::dataset::{Dataset, ImageSource};
use crate::encode::{EncodedMetadata, Encoder};
use crate::error::Result;
use crate::image::cache::PixelCache;
use crate::image::resize::layout;
use crate::image::{Affine, PixelFormat, facts};
use crate::random::{Purpose, draw, for_row, shuffle};
use crate::task::Task;

pub use pool::{BadImage, Failure, Loader, LoaderOptions};
pub use sample::Sample;
pub use shards::Shards;

/// A batch before it becomes tensors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostBatch {
    /// Position in the data set of each row.
    pub rows: Vec<usize>,
    /// Side in pixels.
    pub size: usize,
    /// `[row][n_images][size][size][channels]`, normalised (in [0, 1], minus mean, over sd). Empty where the arm reads no
    /// image.
    pub images: Vec<f32>,
    /// The dense metadata features, `[row][d_dense]`.
    pub dense: Vec<f32>,
    /// The codes of embedded columns, `[row][n_embedded]`.
    pub codes: Vec<u32>,
    /// `[row][d_target]`: points in [-1, 1] of the input square. Empty where there are no targets.
    pub targets: Vec<f32>,
    /// `[row][d_target]`: what the row counts, 1 without weights, where the cell is known; 0 where it is missing or
    /// outside the frame.
    pub mask: Vec<f32>,
    /// `[row][n_points]`: 1 where a point is in the square and can be seen, else 0. Empty for other targets than points.
    pub visible: Vec<f32>,
    /// `[row][n_points]`: what the row counts where it is known whether the point can be seen, else 0.
    pub visible_mask: Vec<f32>,
    /// From pixels of the stored image to pixels of the input square, one a row: its inverse maps predictions back.
    pub to_input: Vec<Affine>,
    /// Whether the image was mirrored, one a row.
    pub is_flipped: Vec<bool>,
    /// `[row][n_images]`: whether there is an image; where there is none, its pixels are those of an even picture.
    pub has_image: Vec<bool>,
}

/// From a decoded image to the numbers that a network reads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// Side of the input square, pixels.
    pub size: usize,
    /// How an image is fitted to it.
    pub resize: ResizeMethod,
    /// Subtracted from red, green, blue in [0, 1]; also the colour that padding has.
    pub mean: [f32; 3],
    /// What the difference is divided by.
    pub sd: [f32; 3],
    /// Of pixels with more than 8 bits a channel: the values that are black and white; `None`: none and all.
    #[serde(default)]
    pub range: Option<[f32; 2]>,
    /// Channels of what the network takes: 3, red, green and blue; 1, their luminance; else those of the file.
    #[serde(default = "three")]
    pub channels: usize,
}

fn three() -> usize {
    3
}

impl Preprocess {
    /// From pixels of a stored image to pixels of the square, where nothing is changed at random; reads its header.
    ///
    /// # Errors
    ///
    /// Those of [`facts`].
    pub fn to_input(&self, image: &ImageSource) -> Result<Affine> {
        let facts = facts(image)?;
        let (mut sides, mut from_stored) = (facts.upright(), facts.from_stored);
        if let Some(area) = image.area() {
            let ([_, _, width, height], to_part) =
                area.place(&image.name(), &from_stored, sides)?;
            (sides, from_stored) = ([width, height], to_part);
        }
        let layout = layout(sides, self.size, self.resize);
        let change = Change::none(layout.sides, self.size);
        Ok(from_stored.then(&layout.map).then(&change.to_input))
    }

    /// How images are read for it.
    pub fn pixel_format(&self) -> PixelFormat {
        PixelFormat {
            range: self.range,
            channels: Some(self.channels),
        }
    }

    /// Mean and deviation of a channel: of the one that there is those of a grey; of more than three the colours' in turn, as
    /// the edit `input_channels` repeats their weights.
    pub fn moments(&self, channel: usize) -> [f32; 2] {
        let of_grey = |of: [f32; 3]| of.iter().sum::<f32>() / 3.0;
        match self.channels {
            1 => [of_grey(self.mean), of_grey(self.sd)],
            _ => [self.mean[channel % 3], self.sd[channel % 3]],
        }
    }

    /// A pixel of the colour that padding has: a value for each channel.
    pub fn even(&self) -> Vec<u8> {
        let fill = vec![self.fill().to_vec(); self.channels.div_ceil(3)];
        sample::interleaved(fill, self.channels)
    }

    /// The colour whose normalised value is nearest to 0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped"
    )]
    pub fn fill(&self) -> [u8; 3] {
        self.mean
            .map(|mean| (mean * 255.0).round().clamp(0.0, 255.0) as u8)
    }
}

/// What rows are made of. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Source {
    /// The images and targets.
    pub dataset: Arc<Dataset>,
    /// The metadata of every row of the data set, encoded.
    pub metadata: Arc<EncodedMetadata>,
    /// What encoded it: asked to swap sides when an image is mirrored.
    pub encoder: Arc<Encoder>,
    /// What the targets become.
    pub task: Arc<Task>,
    /// What the images become.
    pub preprocess: Preprocess,
    /// Random changes; `None` when evaluating.
    pub augment: Option<Augment>,
    /// Metadata that is hidden at random; `None` when evaluating.
    pub hide: Option<MetadataDropout>,
    /// Whether images are read at all; an arm of metadata alone does not.
    pub reads_image: bool,
    /// Where fitted images are kept; `None`: decoded each time.
    pub cache: Option<Arc<PixelCache>>,
    /// What the random changes come from.
    pub seed: u64,
}

impl HostBatch {
    /// How many images a row has at most.
    pub fn n_images(&self) -> usize {
        (self.has_image.len() / self.rows.len().max(1)).max(1)
    }

    /// A batch of rows that were made one at a time ([`Source::sample`]), in this order.
    pub fn of<'a>(
        samples: impl Iterator<Item = &'a Sample> + Clone,
        preprocess: &Preprocess,
    ) -> Self {
        sample::assemble(samples, preprocess)
    }
}

impl Source {
    /// One row made ready, as a [`Loader`] makes it in its first epoch: for those who get rows one at a time.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](crate::image::decode); a fault in a decoder is one as well.
    pub fn sample(&self, row: usize) -> Result<Sample> {
        sample::guarded(self, 0, row)
    }

    /// What a row's random changes are drawn by: its number in the table, not its place among those that were kept or
    /// in a piece of the table.
    pub(super) fn table_row(&self, row: usize) -> u64 {
        self.dataset.rows[row] as u64
    }

    /// Hides some of a row's encoded metadata, in place: a function of seed, epoch and row alone.
    pub fn hide(&self, epoch: u64, row: usize, dense: &mut [f32], codes: &mut [u32]) {
        if let Some(hide) = &self.hide {
            let mut stream = for_row(
                self.seed,
                epoch,
                self.table_row(row),
                Purpose::MetadataDropout,
            );
            hide.apply(&mut stream, &self.encoder, dense, codes);
        }
    }

    /// As [`Source::hide`], of every row of the plan's batch number `n`, counted from its start.
    pub fn hide_batch(&self, plan: &BatchPlan, n: usize, batch: &mut HostBatch) {
        let (d_dense, n_embedded) = (self.metadata.d_dense, self.metadata.n_embedded);
        for (i, &row) in batch.rows.iter().enumerate() {
            let dense = &mut batch.dense[i * d_dense..(i + 1) * d_dense];
            let codes = &mut batch.codes[i * n_embedded..(i + 1) * n_embedded];
            self.hide(plan.changes(n, i), row, dense, codes);
        }
    }
}

/// What to do with the rows that are left over when the others fill whole batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Last {
    /// They make a smaller batch.
    #[default]
    Keep,
    /// They are left out of this epoch, unless they are all there is.
    Drop,
}

/// Which rows make which batch, in one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPlan {
    epoch: u64,
    batches: Vec<Vec<usize>>,
    /// How often each of these rows came before in the epoch; empty where every row comes once.
    repeats: Vec<Vec<u64>>,
    first: usize,
    /// Numbers of the batches that are there for their place alone.
    padding: Vec<usize>,
}

impl BatchPlan {
    /// The rows at these positions in an order drawn from seed and epoch, `batch` at a time.
    pub fn training(rows: &[usize], batch: usize, last: Last, seed: u64, epoch: u64) -> Self {
        let mut rows = rows.to_vec();
        shuffle(&mut rows, &mut for_row(seed, epoch, 0, Purpose::Order));
        Self::ended(&rows, batch, last, epoch)
    }
    /// As [`BatchPlan::training`], in an order for which no more than `window` shards are needed at a time.
    pub fn windowed(
        rows: &[usize],
        shards: &Shards,
        window: usize,
        batch: usize,
        last: Last,
        seed: u64,
        epoch: u64,
    ) -> Self {
        Self::ended(&shards.order(rows, window, seed, epoch), batch, last, epoch)
    }
    fn ended(rows: &[usize], batch: usize, last: Last, epoch: u64) -> Self {
        let mut plan = Self::in_order(rows, batch, epoch);
        if last == Last::Drop && plan.batches.len() > 1 && !rows.len().is_multiple_of(batch.max(1))
        {
            plan.batches.pop();
        }
        plan
    }
    /// As many rows as there are at these positions, drawn with replacement, each as likely as its weight is large.
    ///
    /// # Source
    ///
    /// PyTorch's `WeightedRandomSampler` with `num_samples` rows and `replacement=True`.
    pub fn drawn(rows: &[usize], weights: &[f64], batch: usize, seed: u64, epoch: u64) -> Self {
        let mut stream = for_row(seed, epoch, 0, Purpose::Sample);
        let rows: Vec<usize> = draw(weights, rows.len(), &mut stream)
            .into_iter()
            .map(|place| rows[place])
            .collect();
        let mut seen = HashMap::new();
        let repeats: Vec<u64> = rows
            .iter()
            .map(|row| {
                let n = seen.entry(row).or_insert(0);
                *n += 1;
                *n - 1
            })
            .collect();
        Self {
            repeats: repeats.chunks(batch.max(1)).map(<[u64]>::to_vec).collect(),
            ..Self::in_order(&rows, batch, epoch)
        }
    }
    /// The rows at these positions, in this order, `batch` at a time; every one of them.
    pub fn evaluation(rows: &[usize], batch: usize) -> Self {
        Self::in_order(rows, batch, 0)
    }
    fn in_order(rows: &[usize], batch: usize, epoch: u64) -> Self {
        Self {
            epoch,
            batches: rows.chunks(batch.max(1)).map(<[usize]>::to_vec).collect(),
            repeats: Vec::new(),
            first: 0,
            padding: Vec::new(),
        }
    }
    /// The same plan, its first `step` batches done: what a resumed run goes on with.
    #[must_use]
    pub fn starting_at(mut self, step: usize) -> Self {
        self.first = step.min(self.batches.len());
        self
    }
    /// The same rows in the same order from the start on, each batch divided as evenly as can be into as few parts as
    /// there must be for none to be larger than `largest`.
    #[must_use]
    pub fn in_parts(self, largest: usize) -> Self {
        self.shared_out(largest, 0, 1)
    }
    /// What one of several ranks has to do of the same rows from the start on: each batch is divided as
    /// [`BatchPlan::in_parts`] does it, but into equally many parts for every rank, and rank `r` has the `r`-th run of them.
    ///
    /// Where a batch has fewer rows than parts, a part without a row is padded with the batch's first row: see
    /// [`BatchPlan::is_padding`].
    #[must_use]
    pub fn shared_out(self, largest: usize, rank: usize, n_ranks: usize) -> Self {
        let shared = |batch: usize, n: usize| {
            let n_parts = n_parts(n, largest, n_ranks);
            let each = n_parts / n_ranks;
            let end = move |part: usize| n * part / n_parts;
            (rank * each..(rank + 1) * each).map(move |part| (batch, end(part)..end(part + 1)))
        };
        let parts: Vec<_> = self
            .batches()
            .iter()
            .enumerate()
            .flat_map(|(i, rows)| shared(i, rows.len()))
            .collect();
        fn taken<T: Clone>(all: &[Vec<T>], parts: &[(usize, Range<usize>)]) -> Vec<Vec<T>> {
            let take = |(batch, part): &(usize, Range<usize>)| match part.is_empty() {
                true => all[*batch][..1].to_vec(),
                false => all[*batch][part.clone()].to_vec(),
            };
            parts.iter().map(take).collect()
        }
        let repeats = match self.repeats.is_empty() {
            true => Vec::new(),
            false => taken(&self.repeats[self.first..], &parts),
        };
        let is_empty = |(_, (_, part)): &(usize, &(usize, Range<usize>))| part.is_empty();
        Self {
            batches: taken(self.batches(), &parts),
            repeats,
            first: 0,
            padding: parts
                .iter()
                .enumerate()
                .filter(is_empty)
                .map(|(i, _)| i)
                .collect(),
            ..self
        }
    }
    /// Whether a batch (from the start on) is there so that every rank has as many: its row is another rank's, and must
    /// count for nothing.
    pub fn is_padding(&self, batch: usize) -> bool {
        self.padding.contains(&(self.first + batch))
    }
    /// Number of batches in the whole epoch, those before the start included.
    pub fn n_steps(&self) -> usize {
        self.batches.len()
    }
    /// The batches from the start on: positions in the data set.
    pub fn batches(&self) -> &[Vec<usize>] {
        &self.batches[self.first..]
    }
    /// What random changes to one row of one batch (from the start on) are drawn by: the epoch, and something else for
    /// each time that the row comes again in it.
    pub fn changes(&self, batch: usize, place: usize) -> u64 {
        let repeats = self.repeats.get(self.first + batch);
        self.epoch + (repeats.map_or(0, |repeats| repeats[place]) << 32)
    }
}

/// Parts of `n` rows, none of more than `largest`: as few as can be, equally many for each of the ranks.
pub fn n_parts(n: usize, largest: usize, n_ranks: usize) -> usize {
    n.div_ceil(largest.max(1)).next_multiple_of(n_ranks)
}
