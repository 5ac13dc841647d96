//! Rows whose images have gone as far as the network reads no metadata.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::dataset::Dataset;
use crate::encode::EncodedMetadata;
use crate::error::{Error, Result};
use crate::loader::{BadImage, Loader, LoaderOptions, Plan, Source};
use crate::network::{Context, Network, Value};
use crate::predict::batch::{Batch, Input, decode, metadata, shared};
use crate::predict::{Model, device, reads_image};
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
    /// The model.
    pub model: &'a Model,
    /// The rows.
    pub dataset: &'a Dataset,
    /// Their metadata as the network gets it.
    pub metadata: EncodedMetadata,
    /// Rows whose image could not be read, and why; they have no predictions.
    pub problems: Vec<(usize, Arc<Error>)>,
    network: Network,
    /// Children of the network that read no metadata, those before the first that does.
    n: usize,
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
        let (encoded, _) = model.encoder.encode(&dataset.metadata)?;
        let network = model.network.valid();
        let n = before_metadata(&network);
        let device = device(&network);
        let source = Source {
            dataset: shared(dataset),
            metadata: Arc::new(encoded.clone()),
            encoder: shared(&model.encoder),
            task: shared(&model.task),
            preprocess: model.preprocess(),
            augment: None,
            hide: None,
            reads_image: reads_image(model.config.model.arm),
            cache: None,
            seed: 0,
        };
        let rows: Vec<usize> = (0..dataset.len()).collect();
        let mut loader = Loader::new(
            source,
            Plan::evaluation(&rows, model.config.train.batch),
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
            n_done += batch.rows.len();
            batches.push(batch);
            on_progress(n_done, dataset.len());
        }
        let problems = loader.into_failures().into_iter();
        let problems = problems.map(|failure| (failure.row, Arc::new(failure.error.into())));
        let (size, channels) = (network.input.size, network.input.channels);
        let blank = reads_image(model.config.model.arm)
            .then(|| network.forward_prefix(Tensor::zeros([1, channels, size, size], &device), n));
        Ok(Self {
            model,
            dataset,
            metadata: encoded,
            problems: problems.collect(),
            network,
            n,
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
        self.run(picture, with, |output, batch| {
            let size = self.model.config.train.size;
            decode(&self.model.task, output, &batch.to_input, size)
        })
    }

    /// What the network says, before it is decoded: logits, standardised values, points in [-1, 1] of the input.
    pub fn outputs(&self, picture: Picture, with: &EncodedMetadata) -> Vec<Option<Vec<f32>>> {
        self.run(picture, with, |output, _| {
            let [_, width] = output.dims();
            let data = output.into_data_as::<f32>();
            let values = data
                .try_into_vec::<f32>()
                .expect("converted to f32 just now");
            values.chunks_exact(width).map(<[f32]>::to_vec).collect()
        })
    }

    fn run<T: Clone>(
        &self,
        picture: Picture,
        with: &EncodedMetadata,
        read: impl Fn(Tensor<2>, &Batch) -> Vec<T>,
    ) -> Vec<Option<T>> {
        let device = device(&self.network);
        let mut all = vec![None; self.dataset.len()];
        for batch in &self.batches {
            let tensors = tensors(with, &batch.rows, &device);
            let mut context = Context::evaluate(tensors);
            let output = match (&batch.input, picture, &self.blank) {
                (Input::Features { n, .. }, Picture::Blank, Some(blank)) => {
                    let value = repeated(blank, batch.rows.len());
                    self.network.forward_from(*n, value, &mut context)
                }
                (Input::Features { n, value }, ..) => {
                    self.network.forward_from(*n, value.clone(), &mut context)
                }
                // Without an image there is nothing that could be blank.
                _ => self.network.forward(None, &mut context),
            };
            for (row, value) in batch.rows.iter().zip(read(output, batch)) {
                all[*row] = Some(value);
            }
        }
        all
    }

    /// Predicts one row, from its own image, with each of these rows of metadata.
    pub(super) fn predict_one(&self, row: usize, with: &EncodedMetadata) -> Vec<Prediction> {
        let Some((batch, at)) = self.place(row) else {
            return Vec::new();
        };
        let device = device(&self.network);
        let rows: Vec<usize> = (0..with.n_rows).collect();
        let mut context = Context::evaluate(tensors(with, &rows, &device));
        let output = match &batch.input {
            Input::Features { value, .. } => {
                let value = repeated(&narrowed(value, at), with.n_rows);
                self.network.forward_from(self.n, value, &mut context)
            }
            _ => self.network.forward(None, &mut context),
        };
        let to_input = vec![batch.to_input[at]; with.n_rows];
        decode(
            &self.model.task,
            output,
            &to_input,
            self.model.config.train.size,
        )
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
        .take_while(|(_, child)| !child.plan().reads_metadata())
        .count()
}

/// The metadata of these rows as tensors.
pub(super) fn tensors(
    with: &EncodedMetadata,
    rows: &[usize],
    device: &Device,
) -> Option<crate::network::MetadataTensors> {
    let dense = rows.iter().flat_map(|row| with.dense_row(*row)).copied();
    let codes = rows.iter().flat_map(|row| with.codes_row(*row)).copied();
    metadata(rows.len(), dense.collect(), codes.collect(), device)
}

fn repeated(value: &Value, n: usize) -> Value {
    match value.clone() {
        Value::Nothing => Value::Nothing,
        Value::Features(x) => Value::Features(Tensor::cat(vec![x; n], 0)),
        Value::Tokens(x) => Value::Tokens(Tensor::cat(vec![x; n], 0)),
        Value::Map(x) => Value::Map(Tensor::cat(vec![x; n], 0)),
    }
}

fn narrowed(value: &Value, at: usize) -> Value {
    match value.clone() {
        Value::Nothing => Value::Nothing,
        Value::Features(x) => Value::Features(x.narrow(0, at, 1)),
        Value::Tokens(x) => Value::Tokens(x.narrow(0, at, 1)),
        Value::Map(x) => Value::Map(x.narrow(0, at, 1)),
    }
}
