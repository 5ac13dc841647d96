//! Rows whose images have gone as far as the network reads no metadata.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::batch::{Batch, Input, device, evaluate, metadata_of};
use crate::dataset::Dataset;
use crate::encode::EncodedMetadata;
use crate::error::{Error, Result};
use crate::loader::{BadImage, BatchPlan, HostBatch, Loader, LoaderOptions, Source};
use crate::model::Model;
use crate::network::{Context, Network, Value};
use crate::task::Prediction;

/// Which image a row is predicted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picture {
    /// Its own.
    Own,
    /// The baseline's: every pixel of the normalisation's mean colour, which is 0 to the network.
    Blank,
}

/// Rows of a data set, ready to be predicted many times with other metadata.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// The trained model that is explained.
    pub model: &'a Model,
    /// The rows that it is explained on.
    pub dataset: &'a Dataset,
    /// Their metadata as the network gets it.
    pub metadata: EncodedMetadata,
    /// Rows whose image could not be read, and why; they have no predictions.
    pub problems: Vec<(usize, Arc<Error>)>,
    /// What the rows are made of.
    pub(super) source: Source,
    network: Network,
    /// Their images as far as the first layer that reads metadata.
    batches: Vec<Batch>,
    blank: Option<Value>,
}

impl<'a> Prepared<'a> {
    /// Reads every row's image and runs it as far as it goes; what comes out is kept in memory.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingMetadata`](crate::error::DataError::MissingMetadata), [`DataError::MetadataKind`](crate::error::DataError::MetadataKind): the table is not like the one trained on.
    pub fn new(
        model: &'a Model,
        dataset: &'a Dataset,
        on_progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let (source, _) = model.source(dataset.clone())?;
        let metadata = EncodedMetadata::clone(&source.metadata);
        let network = model.network.valid();
        let n = before_metadata(&network);
        let device = device(&network);
        let rows: Vec<usize> = (0..dataset.len()).collect();
        let mut loader = Loader::new(
            source.clone(),
            BatchPlan::evaluation(&rows, model.config.train.batch),
            LoaderOptions {
                workers: model.config.train.workers,
                bad_image: BadImage::Skip,
                ..LoaderOptions::default()
            },
        );
        let mut batches = Vec::new();
        let mut n_done = 0;
        for host in &mut loader {
            let mut batch = seen(host?, &device);
            if let Input::Images(images) = batch.input {
                let value = network.forward_prefix(images, n);
                batch.input = Input::Features { n, value };
            }
            n_done += batch.rows.len();
            batches.push(batch);
            on_progress(n_done, dataset.len());
        }
        let problems = loader.into_failures().into_iter();
        let problems = problems.map(|failure| (failure.row, Arc::new(failure.error.into())));
        let (size, channels) = (network.input.size, network.input.channels);
        let shape = [1, channels, network.n_images() * size, size];
        let blank = model
            .reads_image()
            .then(|| network.forward_prefix(Tensor::zeros(shape, &device), n));
        Ok(Self {
            model,
            dataset,
            metadata,
            problems: problems.collect(),
            source,
            network,
            batches,
            blank,
        })
    }

    /// The metadata of all rows, all of it missing.
    pub fn all_missing(&self) -> EncodedMetadata {
        let (dense, codes) = self.model.encoder.all_missing();
        let n_rows = self.metadata.n_rows;
        EncodedMetadata {
            dense: dense.repeat(n_rows),
            codes: codes.repeat(n_rows),
            ..self.metadata.clone()
        }
    }

    /// Predicts every row from its own image or the blank one, with this metadata; `None`: its image could not be read.
    pub fn predict(&self, picture: Picture, with: &EncodedMetadata) -> Vec<Option<Prediction>> {
        let device = device(&self.network);
        let changed = |batch: &Batch| {
            let mut batch = batch.clone();
            batch.metadata = metadata_of(with, &batch.rows, &device);
            // Without an image there is nothing that could be blank.
            if let (Picture::Blank, Input::Features { value, .. }, Some(blank)) =
                (picture, &mut batch.input, &self.blank)
            {
                *value = blank.select(&vec![0; batch.rows.len()]);
            }
            Ok(batch)
        };
        let mut all = vec![None; self.dataset.len()];
        let batches = self.batches.iter().map(changed);
        evaluate(&self.network, batches, |batch, output| {
            let predictions = batch.decode(&self.model.task, output);
            for (row, prediction) in batch.rows.iter().zip(predictions) {
                all[*row] = Some(prediction);
            }
        })
        .expect("the batches are in memory");
        all
    }

    /// Predicts one row, from its own image, with each of these rows of metadata.
    pub(super) fn predict_one(&self, row: usize, with: &EncodedMetadata) -> Vec<Prediction> {
        let place = |batch: &Batch| batch.rows.iter().position(|other| *other == row);
        let mut batches = self.batches.iter();
        match batches.find_map(|batch| Some((batch, place(batch)?))) {
            Some((batch, at)) => self.predict_repeated(batch, at, None, with),
            None => Vec::new(),
        }
    }

    /// One row as the network gets it, its pictures in full.
    ///
    /// # Errors
    ///
    /// Those of [`Source::sample`].
    pub(super) fn whole(&self, row: usize) -> Result<HostBatch> {
        let sample = self.source.sample(row)?;
        Ok(HostBatch::of(
            [&sample].into_iter(),
            &self.source.preprocess,
        ))
    }

    /// Predicts one row, made by [`Prepared::whole`], once with each of these masks: `[n][n_images · size][size]`, 0 where its
    /// pictures are hidden, else 1.
    pub(super) fn predict_masked(&self, whole: HostBatch, masks: Vec<f32>) -> Vec<Prediction> {
        let device = device(&self.network);
        let row = whole.rows[0];
        let batch = seen(whole, &device);
        let Input::Images(images) = &batch.input else {
            return Vec::new();
        };
        let [_, _, height, width] = images.dims();
        let n = masks.len() / (height * width);
        let masks = TensorData::new(masks, [n, 1, height, width]);
        let masked = images.clone() * Tensor::from_data(masks, &device); // [n, channels, n_images · size, size]
        let input = Input::Images(masked);
        self.predict_repeated(&batch, 0, Some(input), &self.repeated(row, n))
    }

    /// The metadata of a row, so many times.
    pub(super) fn repeated(&self, row: usize, n: usize) -> EncodedMetadata {
        EncodedMetadata {
            n_rows: n,
            dense: self.metadata.dense_row(row).repeat(n),
            codes: self.metadata.codes_row(row).repeat(n),
            ..self.metadata
        }
    }

    /// Predicts a row of a batch as often as there are rows of metadata, each from `input`'s, else from its own.
    fn predict_repeated(
        &self,
        batch: &Batch,
        at: usize,
        input: Option<Input>,
        with: &EncodedMetadata,
    ) -> Vec<Prediction> {
        let n = with.n_rows;
        let own = || match &batch.input {
            Input::Features { n: children, value } => Input::Features {
                n: *children,
                value: value.select(&vec![at; n]),
            },
            other => other.clone(),
        };
        let rows: Vec<usize> = (0..n).collect();
        let has_images = batch.has_images.as_ref();
        let batch = Batch {
            input: input.unwrap_or_else(own),
            metadata: metadata_of(with, &rows, &device(&self.network)),
            has_images: has_images.map(|has| has.clone().narrow(0, at, 1).repeat_dim(0, n)),
            to_input: vec![batch.to_input[at]; n],
            is_flipped: vec![false; n],
            rows,
            ..batch.clone()
        };
        let output = batch.run(&self.network, &mut Context::evaluate(None)); // [n, n_outputs]
        batch.decode(&self.model.task, output)
    }
}

/// Rows as they are explained: by the picture that the network gets, a blank one for a row without an image.
fn seen(host: HostBatch, device: &Device) -> Batch {
    let mut batch = Batch::new(host, device);
    batch.has_image = None;
    batch.has_images = batch.has_images.map(|has| {
        let without = 1.0 - has.clone().max_dim(1); // [batch, 1]
        has + without
    });
    batch
}

/// Number of the root's leading children that read no metadata.
fn before_metadata(network: &Network) -> usize {
    let children = network.root.children.iter();
    children
        .take_while(|(_, child)| !child.architecture().reads_metadata())
        .count()
}
