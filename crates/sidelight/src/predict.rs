//! A trained model on rows that it has not seen: a data set, rows that come one at a time, a table of any length. What its
//! backbone alone says of them: [`FeatureExtractor`].

mod annotate;
mod features;
mod groups;
mod predictor;
mod table;

pub use annotate::write_annotations;
pub use features::{FeatureExtractor, FeatureOptions, Features, FeaturesOutcome};
pub use predictor::{Predictor, ReadyRow};
pub use table::{Absent, BadRows, Progress, TableOptions, TableOutcome, predict_table};

pub use crate::batch::Predictions;
pub use crate::model::Model;

use std::sync::Arc;

use crate::augment::Augment;
use crate::batch::{
    Batch, device, evaluate_with_spread, gather, image_sizes, of_task, score, score_groups,
    score_of_constant,
};
use crate::conformal::Covered;
use crate::dataset::Dataset;
use crate::error::{Error, Result, setting};
use crate::image::cache::PixelCache;
use crate::loader::{BadImage, BatchPlan, Loader, LoaderOptions};
use crate::loss::{Loss, Weights};
use crate::metric::{Metrics, NoGroups};
use crate::ranks::{Alone, Ranks, gather_numbers};
use crate::task::Prediction;

/// How rows are predicted.
pub struct PredictOptions<'a> {
    /// Threads, and memory for images to come.
    pub loader: LoaderOptions,
    /// Passes over each image, test-time augmentation: the first sees it as it is, each other changed at random as in
    /// training (`[augment]`), by the number of the pass and the row alone. A row's prediction is the mean
    /// ([`Task::mean`](crate::task::Task::mean)), its points mapped back; its loss is that of the first pass. A model of
    /// metadata alone makes one pass. Default: 1.
    ///
    /// # Source
    ///
    /// Test-time augmentation, Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks",
    /// section 4.1. Departs from fastai's `tta`, where the image as it is has a weight of its own (`beta`): a plain mean.
    pub tta_passes: usize,
    /// The share of rows, in (0, 1), whose truth a [`PredictionSet`](crate::task::PredictionSet) beside the prediction is to
    /// hold. Default: no sets.
    pub coverage: Option<f64>,
    /// Who takes part: each rank predicts its share of the rows, and all get all, to the last bit what one would have
    /// predicted. Default: [`Alone`].
    pub ranks: &'a dyn Ranks,
    /// Called with the rows done and all rows, each counted once a pass. Default: nobody is told.
    pub on_progress: Option<&'a mut dyn FnMut(usize, usize)>,
}

impl Default for PredictOptions<'_> {
    fn default() -> Self {
        Self {
            loader: LoaderOptions::default(),
            tta_passes: 1,
            coverage: None,
            ranks: &Alone,
            on_progress: None,
        }
    }
}

impl std::fmt::Debug for PredictOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PredictOptions")
            .field("loader", &self.loader)
            .field("tta_passes", &self.tta_passes)
            .field("coverage", &self.coverage)
            .field("ranks", &self.ranks)
            .finish_non_exhaustive()
    }
}

/// Decoded images kept in memory for the next pass, at most.
const CACHE_BYTES: usize = 1 << 30;

impl Model {
    /// Predicts every row of a data set, `train.batch` at a time.
    ///
    /// A row whose image cannot be read gets none, and is named in [`Predictions::problems`]; unseen categories and new
    /// gaps of the metadata never fail, they are counted in [`Predictions::unseen`].
    ///
    /// # Errors
    ///
    /// [`DataError::MissingMetadata`](crate::error::DataError::MissingMetadata), [`DataError::MetadataKind`](crate::error::DataError::MetadataKind): the table is not like the one trained on. Those of
    /// [`Model::thresholds`], where a coverage is asked for. Of several ranks also [`Error::OtherRank`].
    pub fn predict(&self, dataset: &Dataset, options: PredictOptions<'_>) -> Result<Predictions> {
        let ranks = options.ranks;
        let within = options.coverage.map(|coverage| self.thresholds(coverage));
        let within = within.transpose()?;
        let (mut predicted, sides) = if ranks.is_alone() {
            self.predict_own(&Arc::new(dataset.clone()), options)?
        } else {
            let share: Vec<usize> = ranks.share(dataset.len()).collect();
            let (own, sides) = self.predict_own(&Arc::new(dataset.select(&share)), options)?;
            let first = share.first().copied().unwrap_or(0);
            let spread = own.spread.clone();
            let mut all = gather(ranks, &self.task, own, first)?;
            all.spread = gather_spread(ranks, spread);
            (all, gather_numbers(ranks, &sides))
        };
        predicted.sets = within.map(|within| {
            let rows = predicted.predictions.iter().zip(sides);
            rows.map(|(found, side)| Some(within.set(found.as_ref()?, side)))
                .collect()
        });
        Ok(predicted)
    }

    /// Predicts one rank's rows; beside their predictions the side of the square that the network sees of each, in pixels
    /// of the stored image.
    fn predict_own(
        &self,
        dataset: &Arc<Dataset>,
        options: PredictOptions<'_>,
    ) -> Result<(Predictions, Vec<f64>)> {
        let PredictOptions {
            loader,
            tta_passes,
            ranks,
            mut on_progress,
            ..
        } = options;
        let (mut source, unseen) = self.source(Arc::clone(dataset))?;
        let loss = Loss::new(&self.task, &self.config.train.loss, Weights::Even)?;
        // Training needs gradients; predicting must not keep what they would need.
        let network = self.network.valid();
        let device = device(&network);
        let n_passes = if source.reads_image {
            tta_passes.max(1)
        } else {
            1
        };
        let reading = source.preprocess.pixel_format();
        source.cache =
            (n_passes > 1).then(|| Arc::new(PixelCache::new(CACHE_BYTES).with_format(reading)));
        let (n_rows, n_ranks) = (dataset.len(), ranks.size());
        let rows: Vec<usize> = (0..n_rows).collect();
        let mut found: Vec<Vec<Prediction>> = vec![Vec::new(); n_rows];
        let mut losses = dataset.targets.is_some().then(|| vec![f32::NAN; n_rows]);
        let mut sides = vec![f64::NAN; n_rows];
        let is_ensemble = network.n_members().is_some();
        let mut spread = is_ensemble.then(|| vec![Vec::new(); n_rows]);
        let (mut problems, mut n_done) = (Vec::new(), 0);
        for pass in 0..n_passes {
            if pass > 0 {
                let config = &self.config;
                source.augment = Some(Augment::new(&config.augment, config.target.kind)?);
                source.seed = pass as u64;
            }
            let plan = BatchPlan::evaluation(&rows, self.config.train.batch);
            let options = LoaderOptions {
                bad_image: BadImage::Skip,
                ..loader
            };
            let mut loader = Loader::new(source.clone(), plan, options);
            let batches = loader.by_ref().map(|host| Ok(Batch::new(host?, &device)));
            evaluate_with_spread(&network, batches, |batch, output, apart| {
                if let (0, Some(losses), Some((target, mask))) =
                    (pass, &mut losses, batch.targets.clone())
                {
                    let of_rows = loss.rows(of_task(&self.task, output.clone()), target, mask);
                    for (&row, loss) in batch.rows.iter().zip(of_rows) {
                        losses[row] = loss;
                    }
                }
                if pass == 0 {
                    for (&row, side) in batch.rows.iter().zip(batch.sides()) {
                        sides[row] = side;
                    }
                }
                let predictions = batch.decode(&self.task, output);
                if let (0, Some(spread), Some(apart)) = (pass, &mut spread, apart) {
                    let of_rows = batch.spread(&self.task, apart, &predictions);
                    for (&row, of_row) in batch.rows.iter().zip(of_rows) {
                        spread[row] = of_row;
                    }
                }
                for (&row, prediction) in batch.rows.iter().zip(predictions) {
                    found[row].push(prediction);
                }
                n_done += batch.rows.len();
                if let Some(on_progress) = &mut on_progress {
                    on_progress(n_done * n_ranks, n_rows * n_passes * n_ranks);
                }
            })?;
            if pass == 0 {
                let failures = loader.into_failures().into_iter();
                let problem =
                    |failure: crate::loader::Failure| (failure.row, Arc::new(failure.error.into()));
                problems = failures.map(problem).collect();
            }
        }
        let mean = |mut of_row: Vec<Prediction>| match of_row.len() {
            1 => of_row.pop(),
            _ => self.task.mean(&of_row),
        };
        let predicted = Predictions {
            predictions: found.into_iter().map(mean).collect(),
            sets: None,
            spread,
            problems,
            losses,
            unseen,
        };
        Ok((predicted, sides))
    }
}

/// How far members are apart in the rows of all ranks: each is as wide as the others or empty, and all know how wide.
fn gather_spread(ranks: &dyn Ranks, own: Option<Vec<Vec<f64>>>) -> Option<Vec<Vec<f64>>> {
    let own = own?;
    let width = own.iter().map(Vec::len).max().unwrap_or(0);
    let widths = gather_numbers(ranks, &[width as f64]);
    let width = widths.into_iter().fold(0.0, f64::max) as usize;
    let flat = own.iter().flat_map(|of_row| {
        let known = f64::from(u8::from(!of_row.is_empty()));
        let numbers = of_row.iter().copied().chain(std::iter::repeat(f64::NAN));
        std::iter::once(known).chain(numbers.take(width))
    });
    let flat = gather_numbers(ranks, &flat.collect::<Vec<_>>());
    let of_row = |row: &[f64]| match row[0] > 0.0 {
        true => row[1..].to_vec(),
        false => Vec::new(),
    };
    Some(flat.chunks_exact(1 + width).map(of_row).collect())
}

/// What a constant guess from the training rows scores on a data set ([`Task::constant`](crate::task::Task::constant));
/// `None` without targets, or for a model of keypoints that does not know their mean places.
pub fn constant(model: &Model, dataset: &Dataset) -> Option<Metrics> {
    let rows: Vec<usize> = (0..dataset.len()).collect();
    score_of_constant(&model.task, dataset, &rows)
}

/// Predicts every row and scores the predictions against the targets; with a coverage, also how many sets hold the truth
/// (`coverage`), and how large they are on the average ([`Covered::size_name`]).
///
/// # Errors
///
/// [`Error::NoTargets`], and those of [`Model::predict`].
pub fn evaluate(
    model: &Model,
    dataset: &Dataset,
    options: PredictOptions<'_>,
) -> Result<(Metrics, Predictions)> {
    let Some(targets) = &dataset.targets else {
        return Err(Error::NoTargets {
            path: dataset.path.clone(),
            columns: model.config.target.names(),
        });
    };
    let predicted = model.predict(dataset, options)?;
    let rows: Vec<usize> = (0..dataset.len()).collect();
    let sizes = image_sizes(&model.task, dataset, &rows);
    let mut metrics = score(
        &model.task,
        targets,
        dataset.weights.as_ref(),
        &rows,
        &predicted.predictions,
        sizes.as_deref(),
    );
    if let Some(sets) = &predicted.sets {
        let covered = Covered::count(&model.task, targets, &predicted.predictions, sets);
        covered.add_to(&mut metrics, &model.task);
    }
    Ok((metrics, predicted))
}

/// Scores what was predicted of groups of rows ([`Dataset::groups`]): the mean of a group's predictions against its target.
/// Where rows have weights, a group counts what its rows do on the average.
///
/// # Errors
///
/// [`Error::NoTargets`]; [`DataError::Setting`](crate::error::DataError::Setting) without groups, of keypoints, and of a group
/// whose rows have different targets.
pub fn evaluate_groups(
    model: &Model,
    dataset: &Dataset,
    predicted: &Predictions,
    column: &str,
) -> Result<Metrics> {
    if dataset.targets.is_none() {
        return Err(Error::NoTargets {
            path: dataset.path.clone(),
            columns: model.config.target.names(),
        });
    }
    groups::check_task(&model.task)?;
    let rows: Vec<usize> = (0..dataset.len()).collect();
    match score_groups(&model.task, dataset, &rows, &predicted.predictions) {
        Some(Ok(metrics)) => Ok(metrics),
        Some(Err(NoGroups::Differ([first, second]))) => {
            let [first, second] = [first, second].map(|row| dataset.rows[row] + 1);
            let found = format!(
                "rows {first} and {second} of {}, which have one {column} and different targets",
                dataset.path.display()
            );
            Err(setting("by", "a column whose groups have one target each", found).into())
        }
        // Of keypoints it was refused; without groups there is nothing that a column could be of.
        Some(Err(NoGroups::Keypoints)) | None => {
            let expected = "rows that are in groups (`Dataset::grouped_by`)";
            Err(setting("by", expected, column).into())
        }
    }
}
