//! Where the loop's batches come from: images read and changed anew in each epoch, or, while the pretrained part
//! is frozen, what it says of each image, computed once.
//!
//! Features are computed from images without random changes: the same image always has the same features, and
//! an epoch over them costs next to nothing. They are kept in memory, as `f32`.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::dataset::ImageSource;
use crate::encode::EncodedMetadata;
use crate::error::Result;
use crate::image::{self, Limits};
use crate::loader::{
    BadImage, HostBatch, Last, Loader, LoaderOptions, Plan, Shards, Source, n_parts,
};
use crate::network::{Network, Value};
use crate::predict::batch::{Batch, Input};
use crate::ranks::{self, Alone, Ranks};
use crate::run::BadRowRecord;
use crate::store::ReadAhead;
use crate::train::feature_cache::{self, FeatureCache, Hash, Records};
use crate::train::unreadable::Unreadable;

/// A mean of so many rows is as good as that of more.
const MOST_ROWS_FOR_MEAN: usize = 2000;

/// Rows, and how they become batches.
#[derive(Debug)]
pub struct Feed {
    /// What rows are made of, random changes included.
    pub source: Source,
    /// Learned from: positions in the data set.
    pub train: Vec<usize>,
    /// How likely each row to learn from is drawn; `None`: every one comes once an epoch.
    pub weights: Option<Vec<f64>>,
    /// Watched.
    pub valid: Vec<usize>,
    /// Rows of a step, at most, those of all ranks.
    pub step: usize,
    /// Rows of a batch, at most: a step is one or several of every rank.
    pub batch: usize,
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
    pub(crate) cannot_cache: OnceLock<String>,
    features: Option<Features>,
}

/// What the frozen layers say of every row.
#[derive(Debug)]
struct Features {
    /// How many of the network's first children they come from.
    n: usize,
    train: Stored,
    valid: Stored,
}

/// Rows on the host, each with its features instead of its image.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    host: HostBatch,
    features: Vec<f32>,
    /// Of one row.
    shape: Vec<usize>,
    /// Place of each position of the data set.
    place: HashMap<usize, usize>,
}

impl Feed {
    /// A feed that reads images. Steps of an epoch are of even sizes, none larger than `accumulate` batches of `batch`
    /// rows; so are the batches of a step.
    pub fn new(
        source: Source,
        train: Vec<usize>,
        valid: Vec<usize>,
        (batch, accumulate): (usize, usize),
        workers: usize,
        device: Device,
    ) -> Self {
        let mut feed = Self {
            source,
            step: even(train.len(), batch * accumulate),
            train,
            weights: None,
            valid,
            batch,
            ranks: Arc::new(Alone),
            workers,
            device,
            shards: None,
            window: 0,
            unreadable: None,
            max_feature_bytes: 2 << 30,
            cache: None,
            cannot_cache: OnceLock::new(),
            features: None,
        };
        feed.share_out(feed.step, batch, Arc::new(Alone));
        feed
    }

    /// Divides steps of so many rows among ranks, in batches of `batch` at most.
    pub(crate) fn share_out(&mut self, step: usize, batch: usize, ranks: Arc<dyn Ranks>) {
        self.step = step.max(1);
        let n = n_parts(self.step, batch, ranks.size());
        self.batch = self.step.div_ceil(n);
        self.ranks = ranks;
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.train.len().div_ceil(self.step.max(1))
    }

    /// Batches of a step, of this rank as of every other; the last step of an epoch may have fewer.
    pub fn batches_per_step(&self) -> usize {
        n_parts(self.step, self.batch, self.ranks.size()) / self.ranks.size()
    }

    /// Whether batches hold features instead of images.
    pub fn has_features(&self) -> bool {
        self.features.is_some()
    }

    /// Forgets the features: what made them is about to learn.
    pub fn drop_features(&mut self) {
        self.features = None;
    }

    /// Computes what the network's frozen layers say of every row, once. Returns whether it was worth while:
    /// not where nothing is frozen, nor where they would not fit in memory.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn compute_features(
        &mut self,
        network: &Network,
        on_progress: &mut dyn FnMut(usize, usize),
    ) -> Result<bool> {
        let n = network.frozen_prefix();
        if n == 0 || !self.source.reads_image {
            return Ok(false);
        }
        let network = network.valid();
        let total = self.train.len() + self.valid.len();
        let Some(train) = self.store(&network, n, &self.train, total, &mut |done| {
            on_progress(done, total)
        })?
        else {
            return Ok(false);
        };
        let before = self.train.len();
        let Some(valid) = self.store(&network, n, &self.valid, total, &mut |done| {
            on_progress(before + done, total)
        })?
        else {
            return Ok(false);
        };
        self.features = Some(Features { n, train, valid });
        Ok(true)
    }

    /// What the network's first `n` children say of these rows; `None` where that of all `total` rows would not fit
    /// in memory (0: these are few enough).
    pub(crate) fn features_of(
        &self,
        network: &Network,
        n: usize,
        rows: &[usize],
        total: usize,
    ) -> Result<Option<Stored>> {
        self.store(network, n, rows, total, &mut |_| {})
    }

    /// These rows, with their features where those are known already; no image is decoded.
    pub(crate) fn hold(&self, known: Option<&Stored>, rows: &[usize]) -> Result<Stored> {
        let mut stored = Stored::default();
        for host in self.loader(Plan::evaluation(rows, self.batch), Reads::TargetsAlone) {
            stored.append(host?);
        }
        if let Some(known) = known {
            let places: Vec<usize> = rows.iter().map(|row| known.place[row]).collect();
            stored.shape.clone_from(&known.shape);
            stored.features = pick(&known.features, known.len(), &places);
        }
        Ok(stored)
    }

    /// Takes what the first `n` children say of its rows from what is known already; without any (a model of
    /// metadata alone), its rows are merely kept in memory.
    pub(crate) fn share(&mut self, n: usize, known: Option<&Stored>) -> Result<()> {
        let train = self.hold(known, &self.train)?;
        let valid = self.hold(known, &self.valid)?;
        self.features = Some(Features { n, train, valid });
        Ok(())
    }

    /// Mean of each number to learn over the training rows where it is known, without random changes; of more than
    /// 2000 rows, every so many. Reads no more of an image than its size.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn mean_target(&self) -> Result<Vec<f32>> {
        let rows: Vec<usize> = self
            .train
            .iter()
            .copied()
            .step_by(self.train.len().div_ceil(MOST_ROWS_FOR_MEAN).max(1))
            .collect();
        let mut sums: Vec<(f64, f64)> = Vec::new();
        for host in self.loader(Plan::evaluation(&rows, self.batch), Reads::TargetsAlone) {
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

    /// What the network's first `n` children say of these rows; each rank finds out its share, and all get all.
    fn store(
        &self,
        network: &Network,
        n: usize,
        rows: &[usize],
        total: usize,
        on_progress: &mut dyn FnMut(usize),
    ) -> Result<Option<Stored>> {
        if self.ranks.is_alone() {
            let images = self.image_hashes(rows)?;
            let (stored, records) = self.find(network, n, rows, &images, total, on_progress)?;
            self.keep(records);
            return Ok(stored);
        }
        let own = self.own(rows);
        let images = self.image_hashes(own)?;
        let n_ranks = self.ranks.size();
        let (found, _) = self.find(network, n, own, &images, total, &mut |done| {
            on_progress((done * n_ranks).min(rows.len()))
        })?;
        let Some((shape, features)) = self.gather(found) else {
            return Ok(None);
        };
        if let Some(cache) = self.cache() {
            let images = self.ranks.gather(images.as_flattened()).concat();
            let images = images.as_chunks::<32>().0;
            if self.ranks.is_first() {
                let mut records = cache.open(self.key(network, n));
                let width = shape.iter().product::<usize>().max(1);
                for (image, values) in images.iter().zip(features.chunks_exact(width)) {
                    if records.get(image).is_none() {
                        records.put(*image, &shape, values.to_vec());
                    }
                }
                self.keep(Some(records));
            }
        }
        self.write_unreadable()?;
        let mut stored = self.hold(None, rows)?;
        (stored.shape, stored.features) = (shape, features);
        // What no rank could read counts nothing with any.
        let width = stored.host.mask.len() / rows.len().max(1);
        for (&row, mask) in rows.iter().zip(stored.host.mask.chunks_mut(width.max(1))) {
            if self.is_unreadable(row) {
                mask.fill(0.0);
            }
        }
        Ok(Some(stored))
    }

    /// Shape and features of all ranks' rows; `None` where some have too many.
    fn gather(&self, own: Option<Stored>) -> Option<(Vec<usize>, Vec<f32>)> {
        // A shape of four numbers, and whether there is one; a rank without rows has no numbers in its shape.
        let mut shape = vec![f32::from(u8::from(own.is_some()))];
        let own = own.unwrap_or_default();
        if own.len() > 0 {
            shape.extend(own.shape.iter().map(|&side| side as f32));
        }
        let shapes = self.ranks.gather(&ranks::to_bytes(&shape));
        let shapes: Vec<Vec<f32>> = shapes
            .iter()
            .map(|bytes| ranks::from_bytes(bytes))
            .collect();
        if shapes.iter().any(|shape| shape[0] == 0.0) {
            return None;
        }
        let features = self.ranks.gather(&ranks::to_bytes(&own.features));
        let features = features.iter().flat_map(|bytes| ranks::from_bytes(bytes));
        let shape = shapes.iter().find(|shape| shape.len() > 1)?;
        Some((
            shape[1..].iter().map(|&side| side as usize).collect(),
            features.collect(),
        ))
    }

    /// What the network's first `n` children say of these rows: from the cache what it has, the rest computed. With
    /// what the cache is to keep.
    fn find(
        &self,
        network: &Network,
        n: usize,
        rows: &[usize],
        images: &[Hash],
        total: usize,
        on_progress: &mut dyn FnMut(usize),
    ) -> Result<(Option<Stored>, Option<Records>)> {
        let Some(cache) = self.cache() else {
            let stored = self.compute(network, n, rows, total, on_progress)?;
            return Ok((stored, None));
        };
        let mut records = cache.open(self.key(network, n));
        let is_unknown = |(_, image): &(&usize, &Hash)| records.get(image).is_none();
        let todo: Vec<(usize, Hash)> = rows
            .iter()
            .zip(images)
            .filter(is_unknown)
            .map(|(row, image)| (*row, *image))
            .collect();
        if !todo.is_empty() {
            let todo_rows: Vec<usize> = todo.iter().map(|(row, _)| *row).collect();
            let known = rows.len() - todo.len();
            let found = self.compute(network, n, &todo_rows, total, &mut |done| {
                on_progress(known + done)
            })?;
            let Some(found) = found else {
                return Ok((None, None));
            };
            for ((_, image), values) in todo
                .iter()
                .zip(found.features.chunks_exact(found.row_len().max(1)))
            {
                records.put(*image, &found.shape, values.to_vec());
            }
        }
        if records.shape.iter().product::<usize>() * 4 * total > self.max_feature_bytes {
            return Ok((None, Some(records)));
        }
        let mut stored = self.hold(None, rows)?;
        stored.shape.clone_from(&records.shape);
        for image in images {
            let Some(values) = records.get(image) else {
                let stored = self.compute(network, n, rows, total, on_progress)?;
                return Ok((stored, Some(records)));
            };
            stored.features.extend_from_slice(values);
        }
        Ok((Some(stored), Some(records)))
    }

    /// Writes what is new to the cache, if there is one.
    fn keep(&self, records: Option<Records>) {
        if let (Some(cache), Some(records)) = (self.cache(), records)
            && let Err(problem) = cache.save(&records)
        {
            let _ = self.cannot_cache.set(problem.to_string());
        }
    }

    /// Where features are kept, if anywhere: what is said of a blank in the place of a record that cannot be read is no
    /// feature of that record.
    fn cache(&self) -> Option<&FeatureCache> {
        self.cache.as_ref().filter(|_| self.unreadable.is_none())
    }

    fn key(&self, network: &Network, n: usize) -> Hash {
        feature_cache::key(network, n, &self.source.preprocess)
    }

    /// The hash of each row's image as stored; none where there is no cache to look it up in.
    fn image_hashes(&self, rows: &[usize]) -> Result<Vec<Hash>> {
        if self.cache().is_none() {
            return Ok(Vec::new());
        }
        let images = &self.source.dataset.images;
        rows.par_iter()
            .map(|&row| {
                let bytes = image::read(&images[row], &Limits::default())?;
                Ok(Sha256::digest(&bytes).into())
            })
            .collect()
    }

    fn compute(
        &self,
        network: &Network,
        n: usize,
        rows: &[usize],
        total: usize,
        on_progress: &mut dyn FnMut(usize),
    ) -> Result<Option<Stored>> {
        let device = self.device.clone().inner();
        let mut stored = Stored {
            features: Vec::new(),
            ..Stored::default()
        };
        for host in self.loader(Plan::evaluation(rows, self.batch), Reads::Images) {
            let mut host = host?;
            let images = std::mem::take(&mut host.images);
            let n_rows = host.rows.len();
            let batch = Batch::new(
                HostBatch {
                    rows: host.rows.clone(),
                    size: host.size,
                    images,
                    ..HostBatch::default()
                },
                &device,
            );
            let Input::Images(images) = batch.input else {
                unreachable!("the feed reads images")
            };
            let (shape, values) = numbers(network.forward_prefix(images, n));
            if shape.iter().product::<usize>() * 4 * total > self.max_feature_bytes {
                return Ok(None);
            }
            stored.shape = shape;
            stored.features.extend(values);
            stored.append(host);
            on_progress(stored.host.rows.len());
            debug_assert_eq!(
                stored.features.len() / stored.host.rows.len() * n_rows / n_rows,
                stored.row_len()
            );
        }
        Ok(Some(stored))
    }

    /// This rank's batches of an epoch, from this step on. All ranks have equally many.
    pub fn training(&self, epoch: usize, step: usize) -> Batches<'_> {
        let (rows, seed, epoch) = (&self.train, self.source.seed, epoch as u64);
        let plan = match (&self.weights, &self.shards) {
            (Some(weights), _) => Plan::drawn(rows, weights, self.step, seed, epoch),
            (None, Some(shards)) if self.window > 0 => Plan::windowed(
                rows,
                shards,
                self.window,
                self.step,
                Last::Keep,
                seed,
                epoch,
            ),
            _ => Plan::training(rows, self.step, Last::Keep, seed, epoch),
        };
        let (rank, n_ranks) = (self.ranks.rank(), self.ranks.size());
        let plan = plan.starting_at(step).shared_out(self.batch, rank, n_ranks);
        match &self.features {
            Some(features) => Batches::stored(
                features.n,
                &features.train,
                plan,
                Some(&self.source),
                self.device.clone(),
            ),
            None => Batches::images(self.loader(plan, Reads::ChangedImages), self.device.clone()),
        }
    }

    /// This rank's share of the validation rows, in order, on the device without gradients.
    pub fn validation(&self) -> Batches<'_> {
        let device = self.device.clone().inner();
        let plan = Plan::evaluation(self.own(&self.valid), self.batch);
        match &self.features {
            Some(features) => Batches::stored(features.n, &features.valid, plan, None, device),
            None => Batches::images(self.loader(plan, Reads::Images), device),
        }
    }

    /// This rank's share of rows: whole batches, and what is left over is the last rank's.
    pub(crate) fn own<'a>(&self, rows: &'a [usize]) -> &'a [usize] {
        let share = self.ranks.share(rows.len().div_ceil(self.batch.max(1)));
        let end = |batch: usize| (batch * self.batch).min(rows.len());
        &rows[end(share.start)..end(share.end)]
    }

    fn loader(&self, plan: Plan, reads: Reads) -> Reader<'_> {
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
            feed: self,
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
pub struct Reader<'a> {
    loader: Loader,
    feed: &'a Feed,
    /// Fetches the shards that are elsewhere.
    _ahead: Option<ReadAhead>,
}

impl Iterator for Reader<'_> {
    type Item = Result<HostBatch>;

    fn next(&mut self) -> Option<Result<HostBatch>> {
        let batch = self.loader.next()?;
        let dataset = &self.feed.source.dataset;
        for failure in self.loader.take_failures() {
            let list = self.feed.unreadable.as_ref()?;
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
enum Reads {
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
pub enum Batches<'a> {
    /// Read by threads of their own.
    Images {
        /// The threads.
        reader: Reader<'a>,
        /// How many are taken.
        n_taken: usize,
        /// Where they go.
        device: Device,
    },
    /// Gathered from memory.
    Features(Gathered<'a>),
}

/// Stored rows, batch by batch.
#[derive(Debug)]
pub struct Gathered<'a> {
    n: usize,
    stored: &'a Stored,
    plan: Plan,
    n_taken: usize,
    /// Hides metadata while training.
    hide: Option<&'a Source>,
    device: Device,
}

impl<'a> Batches<'a> {
    fn images(reader: Reader<'a>, device: Device) -> Self {
        Self::Images {
            reader,
            n_taken: 0,
            device,
        }
    }

    fn stored(
        n: usize,
        stored: &'a Stored,
        plan: Plan,
        hide: Option<&'a Source>,
        device: Device,
    ) -> Self {
        Self::Features(Gathered {
            n,
            stored,
            plan,
            n_taken: 0,
            hide,
            device,
        })
    }

    /// Share of the time spent waiting for input, in [0, 1].
    pub fn input_bound(&self) -> f64 {
        match self {
            Self::Images { reader, .. } => reader.loader.input_bound(),
            Self::Features(_) => 0.0,
        }
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        match self {
            Self::Images {
                reader,
                n_taken,
                device,
            } => {
                let host = reader.next()?;
                let is_padding = reader.loader.plan().is_padding(*n_taken);
                *n_taken += 1;
                Some(host.map(|host| Batch {
                    is_padding,
                    ..Batch::new(host, device)
                }))
            }
            Self::Features(gathered) => {
                let rows = gathered.plan.batches().get(gathered.n_taken)?;
                let mut host = gathered.stored.host_batch(rows);
                if let Some(source) = gathered.hide {
                    source.hide_batch(&gathered.plan, gathered.n_taken, &mut host);
                }
                let is_padding = gathered.plan.is_padding(gathered.n_taken);
                gathered.n_taken += 1;
                Some(Ok(Batch {
                    is_padding,
                    ..gathered.stored.gather(host, gathered.n, &gathered.device)
                }))
            }
        }
    }
}

impl Stored {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.host.rows.len()
    }

    /// Adds other rows, seen by the same layers.
    pub(crate) fn extend(&mut self, other: Self) {
        self.shape = other.shape;
        self.features.extend(other.features);
        self.append(other.host);
    }

    /// What the first `to` children say, from what the first `from` said.
    pub(crate) fn deepen(
        &self,
        network: &Network,
        from: usize,
        to: usize,
        device: &Device,
    ) -> Self {
        let mut deeper = Self {
            features: Vec::new(),
            ..self.clone()
        };
        let places: Vec<usize> = (0..self.len()).collect();
        for places in places.chunks(64) {
            let features = pick(&self.features, self.len(), places);
            let features = value(features, places.len(), &self.shape, device);
            let (shape, features) = numbers(network.forward_between(from, to, features));
            deeper.shape = shape;
            deeper.features.extend(features);
        }
        deeper
    }

    /// Gives its rows this metadata, encoded for every row of the data set.
    pub(crate) fn set_metadata(&mut self, encoded: &EncodedMetadata) {
        let host = &mut self.host;
        host.dense.clear();
        host.codes.clear();
        for &row in &host.rows {
            host.dense.extend(encoded.dense_row(row));
            host.codes.extend(encoded.codes_row(row));
        }
    }

    /// Its rows in order, `batch` at a time.
    pub(crate) fn batches(&self, n: usize, batch: usize, device: &Device) -> Batches<'_> {
        let plan = Plan::evaluation(&self.host.rows, batch);
        Batches::stored(n, self, plan, None, device.clone())
    }

    fn row_len(&self) -> usize {
        self.shape.iter().product()
    }

    fn append(&mut self, batch: HostBatch) {
        let HostBatch {
            rows,
            size,
            dense,
            codes,
            targets,
            mask,
            to_input,
            ..
        } = batch;
        for &row in &rows {
            self.place.insert(row, self.place.len());
        }
        let host = &mut self.host;
        host.size = size;
        host.rows.extend(rows);
        host.dense.extend(dense);
        host.codes.extend(codes);
        host.targets.extend(targets);
        host.mask.extend(mask);
        host.to_input.extend(to_input);
    }

    /// The rows at these positions of the data set, without their images.
    fn host_batch(&self, rows: &[usize]) -> HostBatch {
        let (places, n_stored) = (self.places(rows), self.host.rows.len());
        HostBatch {
            rows: rows.to_vec(),
            size: self.host.size,
            images: Vec::new(),
            dense: pick(&self.host.dense, n_stored, &places),
            codes: pick(&self.host.codes, n_stored, &places),
            targets: pick(&self.host.targets, n_stored, &places),
            mask: pick(&self.host.mask, n_stored, &places),
            to_input: pick(&self.host.to_input, n_stored, &places),
            is_flipped: vec![false; rows.len()],
            has_image: vec![true; rows.len()],
        }
    }

    /// The same on the device, with their features.
    fn gather(&self, host: HostBatch, n: usize, device: &Device) -> Batch {
        let places = self.places(&host.rows);
        let features = pick(&self.features, self.host.rows.len(), &places);
        let value = value(features, places.len(), &self.shape, device);
        Batch {
            input: Input::Features { n, value },
            ..Batch::new(host, device)
        }
    }

    fn places(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|row| self.place[row]).collect()
    }
}

/// The rows at these places of `n` rows of equal width.
fn pick<T: Copy>(values: &[T], n: usize, places: &[usize]) -> Vec<T> {
    let width = values.len() / n.max(1);
    let mut picked = Vec::with_capacity(places.len() * width);
    for &place in places {
        picked.extend_from_slice(&values[place * width..(place + 1) * width]);
    }
    picked
}

/// The shape of one row and the numbers of all.
fn numbers(value: Value) -> (Vec<usize>, Vec<f32>) {
    fn read<const D: usize>(tensor: Tensor<D>) -> (Vec<usize>, Vec<f32>) {
        let shape = tensor.dims()[1..].to_vec();
        (
            shape,
            tensor
                .into_data_as::<f32>()
                .try_into_vec()
                .expect("converted to f32 just now"),
        )
    }
    match value {
        Value::Nothing => (Vec::new(), Vec::new()),
        Value::Features(x) => read(x),
        Value::Tokens(x) => read(x),
        Value::Map(x) => read(x),
    }
}

fn value(numbers: Vec<f32>, n: usize, shape: &[usize], device: &Device) -> Value {
    match *shape {
        [width] => Value::Features(Tensor::from_data(
            TensorData::new(numbers, [n, width]),
            device,
        )),
        [tokens, width] => Value::Tokens(Tensor::from_data(
            TensorData::new(numbers, [n, tokens, width]),
            device,
        )),
        [channels, height, width] => Value::Map(Tensor::from_data(
            TensorData::new(numbers, [n, channels, height, width]),
            device,
        )),
        _ => Value::Nothing,
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

    #[test]
    fn rows_are_picked_with_their_width() {
        assert_eq!(pick(&[1, 2, 3, 4, 5, 6], 3, &[2, 0]), [5, 6, 1, 2]);
        assert_eq!(pick::<f32>(&[], 3, &[2, 0]), Vec::<f32>::new());
    }

    #[test]
    fn a_value_survives_the_host() {
        let device = Device::flex();
        let numbers_in: Vec<f32> = (0..24).map(|i| i as f32).collect();
        for shape in [vec![12], vec![3, 4], vec![3, 2, 2]] {
            let (found, out) = numbers(value(numbers_in.clone(), 2, &shape, &device));
            assert_eq!((found, out), (shape, numbers_in.clone()));
        }
    }
}
