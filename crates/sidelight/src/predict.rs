//! A trained model on rows that it has not seen.
//!
//! [`Model`] is everything that a prediction needs: the network, what encodes the metadata, what prepares the
//! images, what the outputs mean. It is stored as two files, JSON and safetensors; nothing in them is executed.

pub mod batch;
mod predictor;
mod store;
mod table;
mod together;

pub use predictor::{Predictor, ReadyRow};

pub(crate) use together::gather;

pub use table::{BadRows, Progress, TableOptions, TableOutcome, predict_table};

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::augment::Augment;
use crate::config::{Arm, Config, Normalizer};
use crate::dataset::{Dataset, Targets};
use crate::encode::{Encoder, Unseen};
use crate::error::{Error, Result};
use crate::image::cache::PixelCache;
use crate::image::facts;
use crate::loader::{BadImage, Loader, LoaderOptions, Plan, Preprocess, Source};
use crate::loss::{Loss, Weights};
use crate::metric::{self, Metrics};
use crate::network::{Context, Network};
use crate::ranks::{Alone, Ranks};
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

/// How rows are predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PredictOptions {
    /// Threads, and memory for images to come.
    pub loader: LoaderOptions,
    /// Looks at each image: the first at it as it is, each other at it changed at random as in training (`[augment]`), by
    /// the number of the look and the row alone. A row's prediction is the mean ([`Task::mean`]), its points mapped back;
    /// its loss is that of the first look. A model of metadata alone looks once. Default: 1.
    ///
    /// # Source
    ///
    /// Test-time augmentation, Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks",
    /// section 4.1. Departs from fastai's `tta`, where the image as it is has a weight of its own (`beta`): a plain mean.
    pub looks: usize,
}

impl Default for PredictOptions {
    fn default() -> Self {
        Self {
            loader: LoaderOptions::default(),
            looks: 1,
        }
    }
}

/// Decoded images kept in memory for the next look, at most.
const CACHE_BYTES: usize = 1 << 30;

impl Model {
    /// How images become what its network reads.
    pub fn preprocess(&self) -> Preprocess {
        preprocess(&self.config, &self.network)
    }

    /// Whether a row without an image cannot be predicted.
    ///
    /// It can by a model of metadata alone, and by one that was trained with the image of some rows left out
    /// (`model.drop_image`, a `drop_image` layer); points lie in an image's frame, and always need it.
    pub fn needs_image(&self) -> bool {
        let can_do_without = !reads_image(self.config.model.arm) || self.network.drops_image();
        !can_do_without || matches!(self.task, Task::Keypoints { .. })
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
        self.predict_with(dataset, PredictOptions::default(), on_progress)
    }

    /// As [`Model::predict`], with so many threads and looks at each image.
    ///
    /// # Errors
    ///
    /// As [`Model::predict`].
    pub fn predict_with(
        &self,
        dataset: &Dataset,
        options: PredictOptions,
        on_progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Predictions> {
        let (encoded, unseen) = self.encoder.encode(&dataset.metadata)?;
        let loss = Loss::new(&self.task, &self.config.train.loss, Weights::Even)?;
        let reads_image = reads_image(self.config.model.arm);
        let n_looks = if reads_image { options.looks.max(1) } else { 1 };
        let mut source = Source {
            dataset: shared(dataset),
            metadata: Arc::new(encoded),
            encoder: shared(&self.encoder),
            task: shared(&self.task),
            preprocess: self.preprocess(),
            augment: None,
            hide: None,
            reads_image,
            cache: (n_looks > 1).then(|| Arc::new(PixelCache::new(CACHE_BYTES))),
            seed: 0,
        };
        let n_rows = dataset.len();
        let mut seen: Vec<Vec<Prediction>> = vec![Vec::new(); n_rows];
        let mut losses = dataset.targets.is_some().then(|| vec![f32::NAN; n_rows]);
        let (mut problems, mut n_done) = (Vec::new(), 0);
        for look in 0..n_looks {
            if look > 0 {
                let Config {
                    augment, target, ..
                } = &self.config;
                source.augment = Some(Augment::new(augment, target.kind)?);
                source.seed = look as u64;
            }
            let failures = self.look(&source, options.loader, &mut |batch, output| {
                if let (0, Some(losses), Some((target, mask))) =
                    (look, &mut losses, batch.targets.clone())
                {
                    let of_rows = loss.rows(output.clone(), target, mask);
                    for (&row, loss) in batch.rows.iter().zip(of_rows) {
                        losses[row] = loss;
                    }
                }
                let size = source.preprocess.size;
                let predictions = decode(&self.task, output, &batch.to_input, size);
                for (i, prediction) in predictions.into_iter().enumerate() {
                    seen[batch.rows[i]].push(match batch.is_flipped[i] {
                        true => self.task.unmirrored(prediction),
                        false => prediction,
                    });
                }
                n_done += batch.rows.len();
                on_progress(n_done, n_rows * n_looks);
            })?;
            if look == 0 {
                problems = failures;
            }
        }
        let one = |mut of_row: Vec<Prediction>| match of_row.len() {
            1 => of_row.pop(),
            _ => self.task.mean(&of_row),
        };
        Ok(Predictions {
            predictions: seen.into_iter().map(one).collect(),
            problems,
            losses,
            unseen,
        })
    }

    /// Runs the network on every row once; returns the rows whose image cannot be read, and why.
    fn look(
        &self,
        source: &Source,
        options: LoaderOptions,
        on_batch: &mut dyn FnMut(&Batch, Tensor<2>),
    ) -> Result<Vec<(usize, Arc<Error>)>> {
        // Training needs gradients; predicting must not keep what they would need.
        let network = self.network.valid();
        let device = device(&network);
        let rows: Vec<usize> = (0..source.dataset.len()).collect();
        let mut loader = Loader::new(
            source.clone(),
            Plan::evaluation(&rows, self.config.train.batch),
            LoaderOptions {
                bad_image: BadImage::Skip,
                ..options
            },
        );
        for host in &mut loader {
            let batch = Batch::new(host?, &device);
            let output = batch.run(&network, &mut Context::evaluate(None)); // [batch, n_outputs]
            on_batch(&batch, output);
        }
        let failures = loader.into_failures().into_iter();
        Ok(failures
            .map(|failure| (failure.row, Arc::new(failure.error)))
            .collect())
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
    evaluate_with(model, dataset, PredictOptions::default(), on_progress)
}

/// As [`evaluate`], with so many threads and looks at each image.
///
/// # Errors
///
/// As [`evaluate`].
pub fn evaluate_with(
    model: &Model,
    dataset: &Dataset,
    options: PredictOptions,
    on_progress: &mut dyn FnMut(usize, usize),
) -> Result<(Metrics, Predictions)> {
    evaluate_among(model, &Alone, dataset, options, on_progress)
}

/// As [`evaluate_with`], by several ranks: each predicts its share of the rows, and all get all.
///
/// # Errors
///
/// As [`evaluate`].
pub fn evaluate_among(
    model: &Model,
    ranks: &dyn Ranks,
    dataset: &Dataset,
    options: PredictOptions,
    on_progress: &mut dyn FnMut(usize, usize),
) -> Result<(Metrics, Predictions)> {
    let Some(targets) = &dataset.targets else {
        return Err(Error::NoTargets {
            path: dataset.path.clone(),
            columns: model.config.target.names(),
        });
    };
    let predicted = model.predict_among(ranks, dataset, options, on_progress)?;
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
    metric::score(&metric::Evaluation {
        task,
        targets,
        rows: &rows,
        predictions: &predictions,
        sizes: sizes.as_deref(),
    })
}

/// Width and height of each row's image as stored, where errors are divided by its diagonal; read from the
/// files' headers alone. NaN where an image cannot be read.
pub(crate) fn image_sizes(task: &Task, dataset: &Dataset, rows: &[usize]) -> Option<Vec<[f32; 2]>> {
    let Task::Keypoints {
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
