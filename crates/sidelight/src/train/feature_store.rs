//! Features: what the frozen part of a network says of each image, computed once.
//!
//! Features are computed from images without random changes: the same image always has the same features, and
//! an epoch over them costs next to nothing. They are kept in memory, as `f32`, and where there is a
//! [cache](super::FeatureCache) on disk from one run to the next.

use std::collections::HashMap;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::batch::{self, Batch, Input, image_tensor};
use crate::encode::EncodedMetadata;
use crate::error::Result;
use crate::image::{self, ImageSource, Limits};
use crate::loader::{BatchPlan, HostBatch};
use crate::network::{Network, Shape, Value};
use crate::ranks::{from_bytes, to_bytes};

use super::TrainingLog;
use super::batch_source::{BatchSource, Batches, Reads, Rows};
use super::feature_cache::{self, FeatureCache, Hash, Records};

/// Features of every row that training needs.
#[derive(Debug)]
pub(super) struct Features {
    /// How many of the network's first children they come from.
    pub(super) n: usize,
    pub(super) train: StoredRows,
    pub(super) valid: StoredRows,
}

/// The first children of a network, whose features are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prefix<'a> {
    /// The network, on a device without gradients.
    pub(crate) network: &'a Network,
    /// How many children.
    pub(crate) n: usize,
    /// Of so many rows in all, which together must fit in memory; 0: they do.
    pub(crate) total_rows: usize,
}

impl Prefix<'_> {
    /// The shape of what the children put out, of one row.
    fn shape(&self) -> Result<Vec<usize>> {
        let last = self
            .n
            .checked_sub(1)
            .and_then(|at| self.network.root.children.get(at));
        let layers = self.network.inspect()?;
        let output = last.and_then(|(name, _)| layers.iter().find(|layer| layer.path == *name));
        // Up to where they become one, what is said of several images stands one below the other.
        let images = match self.network.image_pool() {
            Some((pool, n_images)) if self.n <= pool => n_images,
            _ => 1,
        };
        Ok(match output.map(|layer| layer.output) {
            None | Some(Shape::Nothing) => Vec::new(),
            Some(Shape::Features(width)) => vec![images * width],
            Some(Shape::Tokens { n, width }) => vec![images * n, width],
            Some(Shape::Map {
                channels,
                height,
                width,
            }) => vec![channels, images * height, width],
        })
    }
}

/// Rows on the host, each with its features instead of its image.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoredRows {
    host: HostBatch,
    features: Vec<f32>,
    /// Of one row.
    shape: Vec<usize>,
    /// Place of each position of the data set.
    place: HashMap<usize, usize>,
}

impl BatchSource {
    /// Whether batches hold features instead of images.
    pub fn has_features(&self) -> bool {
        self.features.is_some()
    }

    /// Forgets the features: what made them is about to learn.
    pub fn drop_features(&mut self) {
        self.features = None;
    }

    /// Of these training rows, what the frozen layers say of their images, where that is known and a list of numbers.
    pub(super) fn vectors(&self, rows: &[usize]) -> Option<Vec<&[f32]>> {
        let StoredRows {
            features,
            shape,
            place,
            ..
        } = &self.features.as_ref()?.train;
        let &[width] = shape.as_slice() else {
            return None;
        };
        let of_row = |row| features.get(place.get(row)? * width..)?.get(..width);
        rows.iter().map(of_row).collect()
    }

    /// Computes what the network's frozen layers say of every row, once, where that is worth while: not where nothing is
    /// frozen, nor where features would not fit in memory.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn compute_features(&mut self, network: &Network, log: &mut TrainingLog<'_>) -> Result<()> {
        let n = network.frozen_prefix();
        if n == 0 || !self.source.reads_image {
            return Ok(());
        }
        let begun = Instant::now();
        let total_rows = self.train.len() + self.valid.len();
        let prefix = Prefix {
            network: &network.valid(),
            n,
            total_rows,
        };
        let mut of_rows = |rows: &[usize], before: usize| {
            self.features_of(prefix, rows, &mut |done| {
                log.features(before + done, total_rows);
            })
        };
        let features = match of_rows(&self.train, 0)? {
            Some(train) => {
                of_rows(&self.valid, train.len())?.map(|valid| Features { n, train, valid })
            }
            None => None,
        };
        if let Some(problem) = self.cannot_cache.get() {
            log.warn(format!("features are not kept for the next run: {problem}"));
        }
        if features.is_some() {
            let seconds_per_row = begun.elapsed().as_secs_f64() / total_rows.max(1) as f64;
            log.features_took(seconds_per_row, self.rows_per_step);
        }
        self.features = features;
        Ok(())
    }

    /// These rows, with their features where those are known already; no image is decoded.
    pub(crate) fn hold(&self, known: Option<&StoredRows>, rows: &[usize]) -> Result<StoredRows> {
        let mut stored = StoredRows::default();
        for host in self.read(
            BatchPlan::evaluation(rows, self.batch_size),
            Reads::TargetsAlone,
        ) {
            stored.append(host?);
        }
        if let Some(known) = known {
            stored.shape.clone_from(&known.shape);
            stored.features = pick(&known.features, known.len(), &known.places(rows));
        }
        Ok(stored)
    }

    /// Takes the features of its rows, those of the first `n` children, from what is known already; without any (a model
    /// of metadata alone), its rows are merely kept in memory.
    pub(crate) fn share(&mut self, n: usize, known: Option<&StoredRows>) -> Result<()> {
        let train = self.hold(known, &self.train)?;
        let valid = self.hold(known, &self.valid)?;
        self.features = Some(Features { n, train, valid });
        Ok(())
    }

    /// The features of these rows; each rank finds its share, and all get all. `None` where those of all rows together
    /// would not fit in memory.
    pub(crate) fn features_of(
        &self,
        prefix: Prefix<'_>,
        rows: &[usize],
        on_progress: &mut dyn FnMut(usize),
    ) -> Result<Option<StoredRows>> {
        if self.ranks.is_alone() {
            let images = self.image_hashes(rows)?;
            let (stored, records) = self.find(prefix, rows, &images, on_progress)?;
            self.keep(records);
            return Ok(stored);
        }
        let own = self.own(rows);
        let images = self.image_hashes(own)?;
        let n_ranks = self.ranks.size();
        let (found, _) = self.find(prefix, own, &images, &mut |done| {
            on_progress((done * n_ranks).min(rows.len()))
        })?;
        let Some((shape, features)) = self.gather(found) else {
            return Ok(None);
        };
        self.keep_all(prefix, &images, &shape, &features);
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
    fn gather(&self, own: Option<StoredRows>) -> Option<(Vec<usize>, Vec<f32>)> {
        let shape = own.as_ref().map(|own| &own.shape);
        let shape = serde_json::to_vec(&shape).expect("numbers are written as JSON");
        let shapes = self.ranks.gather(&shape);
        let read = |json: &Vec<u8>| -> Option<Vec<usize>> {
            serde_json::from_slice(json).expect("all ranks are of one version")
        };
        let shapes: Vec<Vec<usize>> = shapes.iter().map(read).collect::<Option<_>>()?;
        let features = self.ranks.gather(&to_bytes(&own?.features));
        let features = features.iter().flat_map(|bytes| from_bytes(bytes));
        // A rank without rows has seen none.
        let shape = shapes.into_iter().find(|shape| !shape.is_empty())?;
        Some((shape, features.collect()))
    }

    /// The features of these rows: from the cache what it has, the rest computed. With what the cache is to keep.
    fn find(
        &self,
        prefix: Prefix<'_>,
        rows: &[usize],
        images: &[Hash],
        on_progress: &mut dyn FnMut(usize),
    ) -> Result<(Option<StoredRows>, Option<Records>)> {
        let Some(cache) = self.cache() else {
            return Ok((self.compute(prefix, rows, on_progress)?, None));
        };
        let mut records = cache.open(self.key(prefix));
        records.keep_shape(&prefix.shape()?);
        let is_unknown = |(_, image): &(&usize, &Hash)| records.get(image).is_none();
        let (todo, todo_images): (Vec<usize>, Vec<Hash>) =
            rows.iter().zip(images).filter(is_unknown).unzip();
        if !todo.is_empty() {
            let known = rows.len() - todo.len();
            let found = self.compute(prefix, &todo, &mut |done| on_progress(known + done))?;
            let Some(found) = found else {
                return Ok((None, None));
            };
            records.put_all(&todo_images, &found.shape, &found.features);
        }
        if self.are_too_many(&records.shape, prefix.total_rows) {
            return Ok((None, Some(records)));
        }
        let mut stored = self.hold(None, rows)?;
        stored.shape.clone_from(&records.shape);
        for image in images {
            let Some(values) = records.get(image) else {
                let stored = self.compute(prefix, rows, on_progress)?;
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

    /// As [`BatchSource::keep`], of what all ranks have found; the first writes.
    fn keep_all(&self, prefix: Prefix<'_>, own: &[Hash], shape: &[usize], features: &[f32]) {
        let Some(cache) = self.cache() else {
            return;
        };
        let images = self.ranks.gather(own.as_flattened()).concat();
        if self.ranks.is_first() {
            let mut records = cache.open(self.key(prefix));
            records.put_all(images.as_chunks::<32>().0, shape, features);
            self.keep(Some(records));
        }
    }

    /// Where features are kept, if anywhere: what is said of a blank in the place of a record that cannot be read is no
    /// feature of that record.
    fn cache(&self) -> Option<&FeatureCache> {
        self.cache.as_ref().filter(|_| self.unreadable.is_none())
    }

    fn key(&self, prefix: Prefix<'_>) -> Hash {
        feature_cache::key(prefix.network, prefix.n, &self.source.preprocess)
    }

    /// Whether features of this shape of so many rows do not fit in memory.
    fn are_too_many(&self, shape: &[usize], n_rows: usize) -> bool {
        shape.iter().product::<usize>() * 4 * n_rows > self.max_feature_bytes
    }

    /// The hash of each row's image as stored; none where there is no cache to look it up in.
    fn image_hashes(&self, rows: &[usize]) -> Result<Vec<Hash>> {
        if self.cache().is_none() {
            return Ok(Vec::new());
        }
        let images = &self.source.dataset.images;
        rows.par_iter()
            .map(|&row| {
                let digest = |part: &ImageSource| -> Result<Hash> {
                    let bytes = image::read(part, &Limits::default())?;
                    Ok(image::content_hash(part, &bytes))
                };
                let ImageSource::Several(parts) = &images[row] else {
                    return digest(&images[row]);
                };
                let mut hash = Sha256::new();
                for part in parts.iter() {
                    match part.is_absent() {
                        true => hash.update([0; 32]),
                        false => hash.update(digest(part)?),
                    }
                }
                Ok(hash.finalize().into())
            })
            .collect()
    }

    fn compute(
        &self,
        prefix: Prefix<'_>,
        rows: &[usize],
        on_progress: &mut dyn FnMut(usize),
    ) -> Result<Option<StoredRows>> {
        let device = self.device.clone().inner();
        let mut stored = StoredRows::default();
        for host in self.read(BatchPlan::evaluation(rows, self.batch_size), Reads::Images) {
            let mut host = host?;
            let pixels = std::mem::take(&mut host.images);
            let shape = [host.rows.len(), host.n_images(), host.size];
            let images = image_tensor(pixels, shape, &device);
            let (shape, values) = to_numbers(prefix.network.forward_prefix(images, prefix.n));
            if self.are_too_many(&shape, prefix.total_rows) {
                return Ok(None);
            }
            stored.shape = shape;
            stored.features.extend(values);
            stored.append(host);
            on_progress(stored.len());
        }
        Ok(Some(stored))
    }
}

impl StoredRows {
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
            let features = self.value(places, device);
            let (shape, features) = to_numbers(network.forward_between(from, to, features));
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

    /// Its rows in order, `batch_size` at a time; their features are those of the first `n` children.
    pub(crate) fn batches(&self, n: usize, batch_size: usize, device: &Device) -> Batches<'_> {
        let rows = Rows::Stored {
            n,
            stored: self,
            plan: BatchPlan::evaluation(&self.host.rows, batch_size),
            hide: None,
        };
        Batches::new(rows, device.clone())
    }

    fn append(&mut self, batch: HostBatch) {
        for &row in &batch.rows {
            self.place.insert(row, self.place.len());
        }
        let host = &mut self.host;
        host.size = batch.size;
        host.rows.extend(batch.rows);
        host.dense.extend(batch.dense);
        host.codes.extend(batch.codes);
        host.targets.extend(batch.targets);
        host.mask.extend(batch.mask);
        host.visible.extend(batch.visible);
        host.visible_mask.extend(batch.visible_mask);
        host.to_input.extend(batch.to_input);
        host.has_image.extend(batch.has_image);
    }

    /// The rows at these positions of the data set, without their images.
    pub(super) fn host_batch(&self, rows: &[usize]) -> HostBatch {
        let (places, n_stored) = (self.places(rows), self.len());
        HostBatch {
            rows: rows.to_vec(),
            size: self.host.size,
            images: Vec::new(),
            dense: pick(&self.host.dense, n_stored, &places),
            codes: pick(&self.host.codes, n_stored, &places),
            targets: pick(&self.host.targets, n_stored, &places),
            mask: pick(&self.host.mask, n_stored, &places),
            visible: pick(&self.host.visible, n_stored, &places),
            visible_mask: pick(&self.host.visible_mask, n_stored, &places),
            to_input: pick(&self.host.to_input, n_stored, &places),
            is_flipped: vec![false; rows.len()],
            has_image: pick(&self.host.has_image, n_stored, &places),
        }
    }

    /// The same on the device, with their features.
    pub(super) fn batch(&self, host: HostBatch, n: usize, device: &Device) -> Batch {
        let value = self.value(&self.places(&host.rows), device);
        let (has_image, has_images) = match value {
            Value::Nothing => (None, None),
            _ => batch::has_images(&host.has_image, host.n_images(), device),
        };
        Batch {
            input: Input::Features { n, value },
            has_image,
            has_images,
            ..Batch::new(host, device)
        }
    }

    /// The features at these places, `[places, …]`.
    fn value(&self, places: &[usize], device: &Device) -> Value {
        let features = pick(&self.features, self.len(), places);
        from_numbers(features, places.len(), &self.shape, device)
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
fn to_numbers(value: Value) -> (Vec<usize>, Vec<f32>) {
    match value {
        Value::Nothing => (Vec::new(), Vec::new()),
        Value::Features(x) => (x.dims()[1..].to_vec(), batch::numbers(x)),
        Value::Tokens(x) => (x.dims()[1..].to_vec(), batch::numbers(x)),
        Value::Map(x) => (x.dims()[1..].to_vec(), batch::numbers(x)),
    }
}

/// `[n, shape…]`
fn from_numbers(numbers: Vec<f32>, n: usize, shape: &[usize], device: &Device) -> Value {
    fn tensor<const D: usize>(numbers: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(numbers, shape), device)
    }
    match *shape {
        [width] => Value::Features(tensor(numbers, [n, width], device)),
        [tokens, width] => Value::Tokens(tensor(numbers, [n, tokens, width], device)),
        [channels, height, width] => {
            Value::Map(tensor(numbers, [n, channels, height, width], device))
        }
        _ => Value::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_picked_with_their_width() {
        assert_eq!(pick(&[1, 2, 3, 4, 5, 6], 3, &[2, 0]), [5, 6, 1, 2]);
        assert_eq!(pick::<f32>(&[], 3, &[2, 0]), Vec::<f32>::new());
    }

    #[test]
    fn a_value_survives_the_host() {
        let device = Device::flex();
        let numbers: Vec<f32> = (0..24).map(|i| i as f32).collect();
        for shape in [vec![12], vec![3, 4], vec![3, 2, 2]] {
            let value = from_numbers(numbers.clone(), 2, &shape, &device);
            assert_eq!(to_numbers(value), (shape, numbers.clone()));
        }
    }
}
