//! Rows whose images have gone as far as the network reads no metadata.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::batch::{Batch, Input, device, evaluate, metadata_of, numbers};
use crate::dataset::Dataset;
use crate::encode::EncodedMetadata;
use crate::error::{Error, Result};
use crate::loader::{BadImage, BatchPlan, Loader, LoaderOptions};
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
            source,
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
            let mut batch = Batch::new(host?, &device);
            if let Input::Images(images) = batch.input {
                let value = network.forward_prefix(images, n);
                batch.input = Input::Features { n, value };
            }
            // Shares are of the picture that the network gets, a blank one for a row without an image.
            batch.has_image = None;
            batch.has_images = batch.has_images.map(|has| {
                let without = 1.0 - has.clone().max_dim(1); // [batch, 1]
                has + without
            });
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
        self.run(picture, with, |batch, output| {
            batch.decode(&self.model.task, output)
        })
    }

    /// What the network says, before it is decoded: logits, standardised values, points in [-1, 1] of the input.
    pub fn outputs(&self, picture: Picture, with: &EncodedMetadata) -> Vec<Option<Vec<f32>>> {
        self.run(picture, with, |_, output| {
            let [_, width] = output.dims();
            let values = numbers(output);
            values.chunks_exact(width).map(<[f32]>::to_vec).collect()
        })
    }

    fn run<T: Clone>(
        &self,
        picture: Picture,
        with: &EncodedMetadata,
        read: impl Fn(&Batch, Tensor<2>) -> Vec<T>,
    ) -> Vec<Option<T>> {
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
            for (row, value) in batch.rows.iter().zip(read(batch, output)) {
                all[*row] = Some(value);
            }
        })
        .expect("the batches are in memory");
        all
    }

    /// Predicts one row, from its own image, with each of these rows of metadata.
    pub(super) fn predict_one(&self, row: usize, with: &EncodedMetadata) -> Vec<Prediction> {
        let Some((batch, at)) = self.place(row) else {
            return Vec::new();
        };
        let rows: Vec<usize> = (0..with.n_rows).collect();
        let input = match &batch.input {
            Input::Features { n, value } => Input::Features {
                n: *n,
                value: value.select(&vec![at; with.n_rows]),
            },
            other => other.clone(),
        };
        let batch = Batch {
            input,
            metadata: metadata_of(with, &rows, &device(&self.network)),
            has_images: batch
                .has_images
                .as_ref()
                .map(|has| has.clone().narrow(0, at, 1).repeat_dim(0, with.n_rows)),
            to_input: vec![batch.to_input[at]; with.n_rows],
            is_flipped: vec![false; with.n_rows],
            rows,
            ..batch.clone()
        };
        let output = batch.run(&self.network, &mut Context::evaluate(None)); // [rows, n_outputs]
        batch.decode(&self.model.task, output)
    }

    fn place(&self, row: usize) -> Option<(&Batch, usize)> {
        self.batches.iter().find_map(|batch| {
            let at = batch.rows.iter().position(|other| *other == row)?;
            Some((batch, at))
        })
    }
}

/// Number of the root's leading children that read no metadata.
pub(super) fn before_metadata(network: &Network) -> usize {
    let children = network.root.children.iter();
    children
        .take_while(|(_, child)| !child.architecture().reads_metadata())
        .count()
}
