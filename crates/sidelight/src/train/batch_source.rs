//! Where the loop's batches come from: images read and changed anew in each epoch, or, while the pretrained part
//! is frozen, its [features](super::feature_store), computed once.

use std::sync::{Arc, OnceLock};

use burn::tensor::Device;

use crate::batch::Batch;
use crate::config::TrainConfig;
use crate::dataset::ImageSource;
use crate::error::Result;
use crate::loader::{
    BadImage, BatchPlan, HostBatch, Last, Loader, LoaderOptions, Shards, Source, n_parts,
};
use crate::ranks::{Alone, Ranks};
use crate::run::BadRowRecord;
use crate::store::ReadAhead;

use super::feature_cache::FeatureCache;
use super::feature_store::{Features, StoredRows};
use super::unreadable::Unreadable;

/// A mean of so many rows is as good as that of more.
const MOST_ROWS_FOR_MEAN: usize = 2000;

/// Rows, and how they become batches.
#[derive(Debug)]
pub struct BatchSource {
    /// What rows are made of, random changes included.
    pub source: Source,
    /// Training rows: positions in the data set.
    pub train: Vec<usize>,
    /// How likely each training row is drawn; `None`: every one comes once an epoch.
    pub weights: Option<Vec<f64>>,
    /// Validation rows: positions in the data set.
    pub valid: Vec<usize>,
    /// Rows of a step, at most, those of all ranks.
    pub rows_per_step: usize,
    /// Rows of a micro-batch, at most: a step is one or several of every rank.
    pub batch_size: usize,
    /// Who takes part.
    pub ranks: Arc<dyn Ranks>,
    /// Threads that read images; 0: as many as cores.
    pub workers: usize,
    /// Where batches go.
    pub device: Device,
    /// The shards that images are in; `None`: they are in none.
    pub shards: Option<Shards>,
    /// So many shards are shuffled together; 0: all rows are.
    pub window: usize,
    /// Records that cannot be read; `None`: the first is an error.
    pub unreadable: Option<Unreadable>,
    /// Features beyond so many bytes are not kept; the frozen part then runs in every step, without its gradients.
    pub max_feature_bytes: usize,
    /// Where features are kept from one run to the next; not used where records may be unreadable.
    pub cache: Option<FeatureCache>,
    /// Why they could not be kept: that costs time, no more.
    pub(super) cannot_cache: OnceLock<String>,
    pub(super) features: Option<Features>,
}

impl BatchSource {
    /// Rows of which images are read, for one process. Steps of an epoch are of even sizes, none larger than
    /// `accumulate` batches of `batch` rows; so are the batches of a step.
    pub fn new(
        source: Source,
        train: Vec<usize>,
        valid: Vec<usize>,
        settings: &TrainConfig,
        device: Device,
    ) -> Self {
        let rows_per_step = even(train.len(), settings.batch * settings.accumulate);
        let mut batches = Self {
            source,
            train,
            weights: None,
            valid,
            rows_per_step,
            batch_size: settings.batch,
            ranks: Arc::new(Alone),
            workers: settings.workers,
            device,
            shards: None,
            window: 0,
            unreadable: None,
            max_feature_bytes: 2 << 30,
            cache: None,
            cannot_cache: OnceLock::new(),
            features: None,
        };
        batches.share_out(rows_per_step, settings.batch, Arc::new(Alone));
        batches
    }

    /// Divides steps of so many rows among ranks, in micro-batches of `largest` rows at most.
    pub(crate) fn share_out(
        &mut self,
        rows_per_step: usize,
        largest: usize,
        ranks: Arc<dyn Ranks>,
    ) {
        self.rows_per_step = rows_per_step.max(1);
        let n = n_parts(self.rows_per_step, largest, ranks.size());
        self.batch_size = self.rows_per_step.div_ceil(n);
        self.ranks = ranks;
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.train.len().div_ceil(self.rows_per_step.max(1))
    }

    /// Micro-batches of a step, of this rank as of every other; the last step of an epoch may have fewer.
    pub fn batches_per_step(&self) -> usize {
        n_parts(self.rows_per_step, self.batch_size, self.ranks.size()) / self.ranks.size()
    }

    /// Mean of each number to learn over the training rows where it is known, without random changes; of more than
    /// 2000 rows, every so many. Reads no more of an image than its size.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn mean_target(&self) -> Result<Vec<f32>> {
        let every = self.train.len().div_ceil(MOST_ROWS_FOR_MEAN).max(1);
        let rows: Vec<usize> = self.train.iter().copied().step_by(every).collect();
        let mut sums: Vec<(f64, f64)> = Vec::new();
        for host in self.read(
            BatchPlan::evaluation(&rows, self.batch_size),
            Reads::TargetsAlone,
        ) {
            let host = host?;
            let width = host.targets.len() / host.rows.len().max(1);
            sums.resize(width, (0.0, 0.0));
            for (i, (&target, &known)) in host.targets.iter().zip(&host.mask).enumerate() {
                sums[i % width].0 += f64::from(target * known);
                sums[i % width].1 += f64::from(known);
            }
        }
        Ok(sums
            .into_iter()
            .map(|(sum, n)| if n > 0.0 { (sum / n) as f32 } else { 0.0 })
            .collect())
    }

    /// This rank's micro-batches of an epoch, from this step on. All ranks have equally many.
    pub fn training(&self, epoch: usize, step: usize) -> Batches<'_> {
        let (rows, seed, epoch) = (&self.train, self.source.seed, epoch as u64);
        let rows_per_step = self.rows_per_step;
        let plan = match (&self.weights, &self.shards) {
            (Some(weights), _) => BatchPlan::drawn(rows, weights, rows_per_step, seed, epoch),
            (None, Some(shards)) if self.window > 0 => BatchPlan::windowed(
                rows,
                shards,
                self.window,
                rows_per_step,
                Last::Keep,
                seed,
                epoch,
            ),
            _ => BatchPlan::training(rows, rows_per_step, Last::Keep, seed, epoch),
        };
        let (rank, n_ranks) = (self.ranks.rank(), self.ranks.size());
        let plan = plan
            .starting_at(step)
            .shared_out(self.batch_size, rank, n_ranks);
        let rows = match &self.features {
            Some(Features { n, train, .. }) => Rows::Stored {
                n: *n,
                stored: train,
                plan,
                hide: Some(&self.source),
            },
            None => Rows::Read(self.read(plan, Reads::ChangedImages)),
        };
        Batches::new(rows, self.device.clone())
    }

    /// This rank's share of the validation rows, in order, on the device without gradients.
    pub fn validation(&self) -> Batches<'_> {
        let stored = self.features.as_ref();
        self.in_order(&self.valid, stored.map(|known| (known.n, &known.valid)))
    }

    /// This rank's share of the training rows, in order and unchanged, on the device without gradients.
    pub(super) fn training_in_order(&self) -> Batches<'_> {
        let stored = self.features.as_ref();
        self.in_order(&self.train, stored.map(|known| (known.n, &known.train)))
    }

    fn in_order<'a>(
        &'a self,
        rows: &[usize],
        stored: Option<(usize, &'a StoredRows)>,
    ) -> Batches<'a> {
        let plan = BatchPlan::evaluation(self.own(rows), self.batch_size);
        let rows = match stored {
            Some((n, stored)) => Rows::Stored {
                n,
                stored,
                plan,
                hide: None,
            },
            None => Rows::Read(self.read(plan, Reads::Images)),
        };
        Batches::new(rows, self.device.clone().inner())
    }

    /// This rank's share of rows: whole batches, and what is left over is the last rank's.
    pub(crate) fn own<'a>(&self, rows: &'a [usize]) -> &'a [usize] {
        let share = self
            .ranks
            .share(rows.len().div_ceil(self.batch_size.max(1)));
        let end = |batch: usize| (batch * self.batch_size).min(rows.len());
        &rows[end(share.start)..end(share.end)]
    }

    /// Reads the rows of a plan on threads of their own.
    pub(super) fn read(&self, plan: BatchPlan, reads: Reads) -> Reader<'_> {
        let mut source = self.source.clone();
        if reads != Reads::ChangedImages {
            source.augment = None;
            source.hide = None;
        }
        source.reads_image &= reads != Reads::TargetsAlone;
        let bad_image = match self.unreadable {
            Some(_) => BadImage::Blank,
            None => BadImage::Error,
        };
        let options = LoaderOptions {
            workers: self.workers,
            bad_image,
            ..LoaderOptions::default()
        };
        let shards = self.shards.as_ref().filter(|_| source.reads_image);
        let ahead = shards.and_then(|shards| {
            let store = shards.all().first()?.store()?;
            let group = match reads {
                Reads::ChangedImages => self.window,
                _ => 1,
            };
            Some(store.read_ahead(shards.needed(&plan), group))
        });
        Reader {
            _ahead: ahead,
            loader: Loader::new(source, plan, options),
            batches: self,
        }
    }

    /// Whether the row at this position of the data set is known to be unreadable.
    pub(crate) fn is_unreadable(&self, position: usize) -> bool {
        let list = self.unreadable.as_ref();
        list.is_some_and(|list| list.contains(&self.source.dataset, position))
    }

    /// Writes the list of unreadable records, if it has grown; of several ranks all get to know what any has found.
    ///
    /// # Errors
    ///
    /// [`DataError::Write`](crate::error::DataError::Write).
    pub(crate) fn write_unreadable(&self) -> Result<()> {
        let Some(list) = &self.unreadable else {
            return Ok(());
        };
        if !self.ranks.is_alone() {
            for other in self.ranks.gather(&list.to_json()) {
                list.merge(&other)?;
            }
        }
        list.write()
    }
}

/// Batches as they are read; those of their rows that are unreadable are noted.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    loader: Loader,
    batches: &'a BatchSource,
    /// Fetches the shards that are elsewhere.
    _ahead: Option<ReadAhead>,
}

impl Iterator for Reader<'_> {
    type Item = Result<HostBatch>;

    fn next(&mut self) -> Option<Result<HostBatch>> {
        let batch = self.loader.next()?;
        let dataset = &self.batches.source.dataset;
        for failure in self.loader.take_failures() {
            let list = self.batches.unreadable.as_ref()?;
            let number = dataset.rows[failure.row] + 1;
            let mut record = BadRowRecord::of_data(number, &failure.error);
            if let ImageSource::Member(member) = &dataset.images[failure.row] {
                record.at = member.place(number);
            }
            if let Err(error) = list.note(record) {
                return Some(Err(error));
            }
        }
        Some(batch.map_err(Into::into))
    }
}

/// What is read of a row's image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// The image, changed at random.
    ChangedImages,
    /// The image as it is.
    Images,
    /// Its size, where the targets depend on it.
    TargetsAlone,
}

/// The size of batches that divides `n` rows into as few as batches of `largest` would, but evenly:
/// a last batch of one or two rows would be a step in a random direction, and no statistics for a normalisation.
pub(super) fn even(n: usize, largest: usize) -> usize {
    let largest = largest.max(1);
    n.div_ceil(n.div_ceil(largest).max(1)).max(1)
}

/// Batches of one epoch.
#[derive(Debug)]
pub struct Batches<'a> {
    rows: Rows<'a>,
    n_taken: usize,
    device: Device,
}

/// Where the rows of batches are.
#[derive(Debug)]
pub(super) enum Rows<'a> {
    /// Read by threads of their own.
    Read(Reader<'a>),
    /// In memory, with what the first `n` children of the network made of their images.
    Stored {
        n: usize,
        stored: &'a StoredRows,
        plan: BatchPlan,
        /// Hides metadata while training.
        hide: Option<&'a Source>,
    },
}

impl<'a> Batches<'a> {
    pub(super) fn new(rows: Rows<'a>, device: Device) -> Self {
        Self {
            rows,
            n_taken: 0,
            device,
        }
    }

    /// Share of the time spent waiting for input, in [0, 1].
    pub fn input_bound(&self) -> f64 {
        match &self.rows {
            Rows::Read(reader) => reader.loader.input_bound(),
            Rows::Stored { .. } => 0.0,
        }
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        let at = self.n_taken;
        self.n_taken += 1;
        let (batch, is_padding) = match &mut self.rows {
            Rows::Read(reader) => {
                let host = match reader.next()? {
                    Ok(host) => host,
                    Err(error) => return Some(Err(error)),
                };
                let is_padding = reader.loader.plan().is_padding(at);
                (Batch::new(host, &self.device), is_padding)
            }
            Rows::Stored {
                n,
                stored,
                plan,
                hide,
            } => {
                let mut host = stored.host_batch(plan.batches().get(at)?);
                if let Some(source) = hide {
                    source.hide_batch(plan, at, &mut host);
                }
                let batch = stored.batch(host, *n, &self.device);
                (batch, plan.is_padding(at))
            }
        };
        Some(Ok(Batch {
            is_padding,
            ..batch
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_even() {
        assert_eq!(even(33, 32), 17);
        assert_eq!(even(64, 32), 32);
        assert_eq!(even(65, 32), 22);
        assert_eq!(even(5, 32), 5);
        assert_eq!(even(0, 32), 1);
    }
}
