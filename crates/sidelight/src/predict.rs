//! A trained model on rows that it has not seen.
//!
//! [`Model`] is everything that a prediction needs: the network, what encodes the metadata, what prepares the
//! images, what the outputs mean. It is stored as two files, JSON and safetensors; nothing in them is executed.

pub mod batch;
mod store;

pub(crate) use store::checksum;

use std::sync::Arc;

use burn::module::Module;
use rayon::prelude::*;

use crate::config::{Arm, Config, Normalizer};
use crate::dataset::{Dataset, Targets};
use crate::encode::{Encoder, Unseen};
use crate::error::{Error, Result};
use crate::image::facts;
use crate::loader::{BadImage, Loader, LoaderOptions, Plan, Preprocess, Source};
use crate::loss::{Loss, Weights};
use crate::metric::{self, Metrics};
use crate::network::{Context, Network};
use crate::task::{Prediction, Task};

use batch::{Batch, decode, shared};

/// Everything that a prediction needs.
#[derive(Debug, Clone)]
pub struct Model {
    /// What it was made with.
    pub config: Config,
    /// What its outputs mean.
    pub task: Task,
    /// What encodes metadata.
    pub encoder: Encoder,
    /// The network.
    pub network: Network,
}

/// Predictions of the rows of a data set.
#[derive(Debug, Clone, Default)]
pub struct Predictions {
    /// One a row; `None`: its image could not be read.
    pub predictions: Vec<Option<Prediction>>,
    /// The rows that have none, and why.
    pub problems: Vec<(usize, Arc<Error>)>,
    /// Loss of each row, where the data set has targets; NaN where the row's is not known.
    pub losses: Option<Vec<f32>>,
    /// What of the metadata training had not seen.
    pub unseen: Unseen,
}

impl Model {
    /// How images become what its network reads.
    pub fn preprocess(&self) -> Preprocess {
        preprocess(&self.config, &self.network)
    }

    /// Predicts every row of a data set, `train.batch` at a time.
    ///
    /// A row whose image cannot be read gets none, and is named in `problems`; unseen categories and new gaps of
    /// the metadata never fail, they are counted in `unseen`. `on_progress` is called with the rows done and all rows.
    ///
    /// # Errors
    ///
    /// [`Error::MissingMetadata`], [`Error::MetadataKind`]: the table is not like the one trained on.
    pub fn predict(
        &self,
        dataset: &Dataset,
        on_progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Predictions> {
        self.predict_with(dataset, LoaderOptions::default(), on_progress)
    }

    /// As [`Model::predict`], with so many threads and so much memory for images to come.
    ///
    /// # Errors
    ///
    /// As [`Model::predict`]; with [`BadImage::Error`] the first image that cannot be read.
    pub fn predict_with(
        &self,
        dataset: &Dataset,
        options: LoaderOptions,
        on_progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Predictions> {
        let (encoded, unseen) = self.encoder.encode(&dataset.metadata)?;
        let loss = Loss::new(&self.task, &self.config.train.loss, Weights::Even)?;
        // Training needs gradients; predicting must not keep what they would need.
        let network = self.network.valid();
        let device = device(&network);
        let preprocess = self.preprocess();
        let source = Source {
            dataset: shared(dataset),
            metadata: Arc::new(encoded),
            encoder: shared(&self.encoder),
            task: shared(&self.task),
            preprocess,
            augment: None,
            hide: None,
            reads_image: reads_image(self.config.model.arm),
            cache: None,
            seed: 0,
        };
        let n_rows = dataset.len();
        let rows: Vec<usize> = (0..n_rows).collect();
        let plan = Plan::evaluation(&rows, self.config.train.batch);
        let mut loader = Loader::new(
            source,
            plan,
            LoaderOptions {
                bad_image: BadImage::Skip,
                ..options
            },
        );
        let mut predictions = vec![None; n_rows];
        let mut losses = dataset.targets.is_some().then(|| vec![f32::NAN; n_rows]);
        let mut n_done = 0;
        for host in &mut loader {
            let batch = Batch::new(host?, &device);
            let output = batch.run(&network, &mut Context::evaluate(None));
            if let (Some(losses), Some((target, mask))) = (&mut losses, &batch.targets) {
                for (&row, value) in
                    batch
                        .rows
                        .iter()
                        .zip(loss.rows(output.clone(), target.clone(), mask.clone()))
                {
                    losses[row] = value;
                }
            }
            for (&row, prediction) in
                batch
                    .rows
                    .iter()
                    .zip(decode(&self.task, output, &batch.to_input, preprocess.size))
            {
                predictions[row] = Some(prediction);
            }
            n_done += batch.rows.len();
            on_progress(n_done, n_rows);
        }
        let problems = loader
            .into_failures()
            .into_iter()
            .map(|failure| (failure.row, Arc::new(failure.error)))
            .collect();
        Ok(Predictions {
            predictions,
            problems,
            losses,
            unseen,
        })
    }
}

/// Predicts every row and scores the predictions against the targets.
///
/// # Errors
///
/// [`Error::NoTargets`], and those of [`Model::predict`].
pub fn evaluate(
    model: &Model,
    dataset: &Dataset,
    on_progress: &mut dyn FnMut(usize, usize),
) -> Result<(Metrics, Predictions)> {
    let Some(targets) = &dataset.targets else {
        return Err(Error::NoTargets {
            path: dataset.path.clone(),
            columns: model.config.target.names(),
        });
    };
    let predicted = model.predict(dataset, on_progress)?;
    let rows: Vec<usize> = (0..dataset.len()).collect();
    let sizes = image_sizes(&model.task, dataset, &rows);
    let metrics = score(
        &model.task,
        targets,
        &rows,
        &predicted.predictions,
        sizes.as_deref(),
    );
    Ok((metrics, predicted))
}

/// Scores the rows that have a prediction. `predictions` and `sizes` are one for each of `rows`.
pub(crate) fn score(
    task: &Task,
    targets: &Targets,
    rows: &[usize],
    predictions: &[Option<Prediction>],
    sizes: Option<&[[f32; 2]]>,
) -> Metrics {
    let has = |i: &usize| predictions[*i].is_some();
    let kept: Vec<usize> = (0..rows.len()).filter(has).collect();
    let sizes: Option<Vec<[f32; 2]>> = sizes.map(|sizes| kept.iter().map(|&i| sizes[i]).collect());
    let predictions: Vec<Prediction> = kept
        .iter()
        .filter_map(|&i| predictions[i].clone())
        .collect();
    let rows: Vec<usize> = kept.into_iter().map(|i| rows[i]).collect();
    metric::score(task, targets, &rows, &predictions, sizes.as_deref())
}

/// Width and height of each row's image as stored, where errors are divided by its diagonal; read from the
/// files' headers alone. NaN where an image cannot be read.
pub(crate) fn image_sizes(task: &Task, dataset: &Dataset, rows: &[usize]) -> Option<Vec<[f32; 2]>> {
    let Task::Points {
        normalizer: Normalizer::Diagonal,
        ..
    } = task
    else {
        return None;
    };
    Some(sizes_of(dataset, rows))
}

/// Width and height of every row's image as stored; NaN where it cannot be read.
pub(crate) fn all_image_sizes(dataset: &Dataset) -> Vec<[f32; 2]> {
    let rows: Vec<usize> = (0..dataset.len()).collect();
    sizes_of(dataset, &rows)
}

fn sizes_of(dataset: &Dataset, rows: &[usize]) -> Vec<[f32; 2]> {
    let size = |&row: &usize| match facts(&dataset.images[row]) {
        Ok(facts) => [facts.width as f32, facts.height as f32],
        Err(_) => [f32::NAN; 2],
    };
    rows.par_iter().map(size).collect()
}

/// Whether an arm looks at images.
pub(crate) fn reads_image(arm: Arm) -> bool {
    arm != Arm::Metadata
}

/// The device that a network's numbers are on.
pub(crate) fn device(network: &Network) -> burn::tensor::Device {
    network
        .root
        .devices()
        .into_iter()
        .next()
        .unwrap_or_else(burn::tensor::Device::flex)
}

/// How images become what a network reads.
pub(crate) fn preprocess(config: &Config, network: &Network) -> Preprocess {
    Preprocess {
        size: config.train.size,
        resize: config.train.resize,
        mean: network.input.mean,
        sd: network.input.sd,
    }
}
