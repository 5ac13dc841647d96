//! Frozen features: what a backbone says of the images of a table, a row of numbers each, for those who go on elsewhere.
//!
//! They are what comes out of the same layers in the same walk as in predictions and in `compare --quick`; fusion and head
//! are left out. Nothing is changed at random, and nothing is learned.

#![cfg_attr(
    not(test),
    warn(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;

use super::table::{LISTED, PIECE_BYTES, PIECE_ROWS, Progress, bad_of};
use crate::batch::{Batch, device, evaluate, numbers};
use crate::config::{Config, ImageRange};
use crate::dataset::{Dataset, PieceRows};
use crate::encode::Encoder;
use crate::error::{DataError, Error, Result, setting};
use crate::image::measured_range;
use crate::join::Joins;
use crate::loader::{BadImage, BatchPlan, Loader, LoaderOptions, Source};
use crate::model::{Model, preprocess};
use crate::network::{Network, Shape, backbone};
use crate::run::{BadRowRecord, ColumnKind, TableFormat, TableWriter, Value, prediction_rows};
use crate::table::{Pieces, ReadLimit};
use crate::task::Task;
use crate::tensor::Precision;
use crate::write::NpyWriter;

/// What computes features: a backbone and its pooling, and how images come to it.
///
/// # Example
///
/// ```no_run
/// use sidelight::Model;
/// use sidelight::predict::{FeatureExtractor, FeatureOptions};
///
/// let model = Model::open("runs/a")?;
/// let extractor = FeatureExtractor::of_model(&model)?;
/// let tables = ["new.csv".into()];
/// extractor.write(Some(&tables), "features.npy".as_ref(), FeatureOptions::default())?;
/// # Ok::<(), sidelight::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct FeatureExtractor {
    /// Without metadata: none is read.
    config: Config,
    /// With it, for what is joined to tables.
    joined: Config,
    network: Network,
    width: usize,
}

/// How features are computed.
#[derive(Default)]
pub struct FeatureOptions<'a> {
    /// Threads, and memory for images to come.
    pub loader: LoaderOptions,
    /// Set by someone who wants it to stop after the batch at hand. Default: nobody does.
    pub stop: Option<&'a AtomicBool>,
    /// Called as rows are done. Default: nobody is told.
    pub on_progress: Option<&'a mut dyn FnMut(Progress)>,
}

impl std::fmt::Debug for FeatureOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeatureOptions")
            .field("loader", &self.loader)
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

/// The features of rows.
#[derive(Debug, Clone)]
pub struct Features {
    /// `[rows][width]`, in the order of the rows; NaN throughout where a row has no image, or none that could be read.
    pub values: Vec<f32>,
    /// Features of a row.
    pub width: usize,
    /// The rows whose image could not be read, and why.
    pub problems: Vec<(usize, Arc<Error>)>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeaturesOutcome {
    /// Rows of the table.
    pub n_rows: usize,
    /// Features of each.
    pub width: usize,
    /// Rows without features.
    pub n_bad: usize,
    /// The first of them, ten at most, in words.
    pub first_bad: Vec<String>,
}

impl FeatureExtractor {
    /// The backbone that a configuration names, with its weights and its own edits; what target, metadata, fusion and head it
    /// has does not matter. Where `image.range` is `auto`, it is measured in images from all over the configuration's own
    /// table, as [`measured_range`] does for training.
    ///
    /// # Errors
    ///
    /// As [`Network::backbone_alone`]; those of reading the table, where it is looked at.
    pub fn of_config(config: &Config) -> Result<Self> {
        let (settings, device) = (&config.train, Device::flex());
        let n_images = config.data.n_images();
        let (model, size, seed) = (&config.model, settings.size, settings.seed);
        let mut network = Network::backbone_alone(model, size, n_images, seed, &device)?;
        network.precision = Precision::from_name(&settings.precision);
        let mut extractor = Self::new(config.clone(), network)?;
        if config.image.range == ImageRange::Auto {
            extractor.config.image.range = extractor.measured()?;
        }
        Ok(extractor)
    }

    /// The backbone of a trained model.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`](crate::error::DataError::Setting) of a model that reads no image; as [`Network::up_to_features`].
    pub fn of_model(model: &Model) -> Result<Self> {
        if !model.reads_image() {
            let expected = "`image` or `both`, since features are of images";
            return Err(setting("model.arm", expected, "metadata").into());
        }
        if let Some(n) = model.network.n_members()
            && model.network.backbone.is_empty()
        {
            let expected = "one backbone (that of a fold, in `folds/1` of the run; or the same in all models, with `train.freeze`)";
            let found = format!("{n}, one in each model of a fold");
            return Err(setting("model.backbone", expected, found).into());
        }
        let backbone = backbone::named(&model.config.model.backbone)?;
        let network = model.network.valid().up_to_features(backbone)?;
        Self::new(model.config.clone(), network)
    }

    fn new(joined: Config, network: Network) -> Result<Self> {
        let output = network.inspect()?.first().map(|root| root.output);
        let Some(Shape::Features(width)) = output else {
            let found = output.unwrap_or(Shape::Nothing);
            return Err(setting("model.backbone", "one that ends in features", found).into());
        };
        let mut config = joined.clone();
        config.metadata.clear();
        Ok(Self {
            config,
            joined,
            network,
            width,
        })
    }

    /// Features of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Takes images from other columns than those configured, as many and in that order.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`](crate::error::DataError::Setting) where there are more or fewer.
    pub fn with_images(mut self, columns: &[String]) -> Result<Self> {
        let images = &mut self.config.data.image;
        if images.names().len() != columns.len() {
            let expected = format!("as many columns as `{images}` has");
            return Err(setting("data.image", expected, columns.join(",")).into());
        }
        *images = columns.to_vec().into();
        Ok(self)
    }

    /// The features of every row of a data set. A row whose image cannot be read has none, and is named in
    /// [`Features::problems`]; `None`: someone asked to stop.
    ///
    /// What a row's features are depends on nothing but the row: not on the batch it is in, nor on the number of threads.
    ///
    /// # Errors
    ///
    /// [`DataError::MetadataKind`](crate::error::DataError::MetadataKind): never of the data sets that this library reads.
    pub fn features(
        &self,
        dataset: impl Into<Arc<Dataset>>,
        options: FeatureOptions<'_>,
    ) -> Result<Option<Features>> {
        let FeatureOptions {
            loader,
            stop,
            mut on_progress,
        } = options;
        let source = self.source(dataset.into())?;
        let (n_rows, width) = (source.dataset.len(), self.width);
        let rows: Vec<usize> = (0..n_rows).collect();
        let plan = BatchPlan::evaluation(&rows, self.config.train.batch);
        let options = LoaderOptions {
            bad_image: BadImage::Skip,
            ..loader
        };
        let device = device(&self.network);
        let is_stopped = || stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
        let mut values = vec![f32::NAN; n_rows * width];
        let mut n_done = 0;
        let mut loader = Loader::new(source, plan, options);
        let batches = loader.by_ref().take_while(|_| !is_stopped());
        let batches = batches.map(|host| Ok(Batch::new(host?, &device)));
        evaluate(&self.network, batches, |batch, output| {
            let found = numbers(output);
            let has_image = batch.has_image.clone().map(numbers);
            for (at, found) in found.chunks_exact(width).enumerate() {
                // In the place of an image that is not there is an even picture.
                if has_image.as_ref().is_none_or(|has| has[at] > 0.0) {
                    let row = batch.rows[at];
                    values[row * width..(row + 1) * width].copy_from_slice(found);
                }
            }
            n_done += batch.rows.len();
            if let Some(on_progress) = &mut on_progress {
                on_progress(Progress {
                    n_rows: n_done,
                    share_read: n_done as f64 / n_rows.max(1) as f64,
                    share_before: 0.0,
                });
            }
        })?;
        if is_stopped() {
            return Ok(None);
        }
        let failures = loader.into_failures().into_iter();
        Ok(Some(Features {
            values,
            width,
            problems: failures
                .map(|failure| (failure.row, Arc::new(failure.error.into())))
                .collect(),
        }))
    }

    /// Computes the features of every row of a table and writes them to `out`, whole or not at all: `.npy`, a matrix of f32
    /// `[rows, width]` in the order of the table; `.parquet`, `.csv` or `.jsonl`, a table with the columns `row` (from 1),
    /// `image`, `f0`, `f1`, …. A row whose image cannot be read keeps its place: NaN, or empty cells.
    ///
    /// `tables` is one table, or several tar archives; without it the configuration's own. It is read piece by piece, and what
    /// is computed is written at once: memory does not grow with its rows. `None`: someone asked to stop, and nothing is
    /// written.
    ///
    /// # Errors
    ///
    /// [`DataError::EmptyTable`](crate::error::DataError::EmptyTable), [`DataError::NoColumn`](crate::error::DataError::NoColumn), and those of reading and writing.
    pub fn write(
        &self,
        tables: Option<&[PathBuf]>,
        out: &Path,
        options: FeatureOptions<'_>,
    ) -> Result<Option<FeaturesOutcome>> {
        let FeatureOptions {
            loader,
            stop,
            mut on_progress,
        } = options;
        let mut pieces = self.pieces(tables)?;
        let mut sink = Sink::create(out, self.width)?;
        let mut outcome = FeaturesOutcome {
            n_rows: 0,
            width: self.width,
            n_bad: 0,
            first_bad: Vec::new(),
        };
        let mut share_before = 0.0;
        while let Some(rows) = self.next(&mut pieces)? {
            let (n_before, share_read) = (outcome.n_rows, pieces.share_read());
            let mut tell = |progress: Progress| {
                if let Some(on_progress) = &mut on_progress {
                    on_progress(Progress {
                        n_rows: n_before + progress.n_rows,
                        share_read: share_before
                            + progress.share_read * (share_read - share_before),
                        share_before: 0.0,
                    });
                }
            };
            let options = FeatureOptions {
                loader,
                stop,
                on_progress: Some(&mut tell),
            };
            let Some(found) = self.features(rows.dataset.clone(), options)? else {
                return Ok(None);
            };
            let bad = bad_of(&rows, &found.problems);
            sink.write(&rows, &found.values)?;
            outcome.n_rows += rows.dataset.len();
            outcome.list(&bad);
            share_before = share_read;
        }
        if outcome.n_rows == 0 {
            let own = || self.config.data.table.clone();
            let path = tables.and_then(|tables| tables.first().cloned());
            let path = path.unwrap_or_else(own);
            return Err(DataError::EmptyTable { path, what: "row" }.into());
        }
        sink.finish()?;
        Ok(Some(outcome))
    }

    /// Opens tables; without any, the configuration's own.
    fn pieces(&self, tables: Option<&[PathBuf]>) -> Result<Pieces> {
        let data = &self.config.data;
        Ok(match tables {
            Some(tables) => Pieces::open_as(tables, &data.remote, &data.format_of_others())?,
            None => {
                let own = [data.table.clone()];
                Pieces::open_as(&own, &data.remote, &data.source_format())?
            }
        })
    }

    /// The next rows of a table; every one keeps its place. `None`: that was all.
    fn next(&self, pieces: &mut Pieces) -> Result<Option<PieceRows>> {
        let batch = self.config.train.batch.max(1);
        let take = ReadLimit {
            rows: PIECE_ROWS.next_multiple_of(batch),
            step: batch,
            bytes: PIECE_BYTES,
        };
        let Some(piece) = pieces.next(take)? else {
            return Ok(None);
        };
        let joins = Joins::for_new_rows(&self.joined, &piece.table.names())?;
        let piece = joins.apply_to(piece)?;
        Ok(Some(Dataset::of_piece(piece, &self.config, true)?))
    }

    /// Which values of deep pixels are black and white, as images from all over the configuration's table show.
    fn measured(&self) -> Result<ImageRange> {
        let mut pieces = self.pieces(None)?;
        let mut images = Vec::new();
        while let Some(rows) = self.next(&mut pieces)? {
            images.extend_from_slice(&rows.dataset.images);
        }
        let found = measured_range(images.iter());
        Ok(found.map_or(ImageRange::Full, ImageRange::Between))
    }

    /// Images and nothing else.
    fn source(&self, dataset: Arc<Dataset>) -> Result<Source> {
        let encoder = Encoder {
            columns: Vec::new(),
        };
        let (metadata, _) = encoder.encode(&dataset.metadata)?;
        let dataset = match dataset.targets {
            None => dataset,
            // They would be asked what they mean.
            Some(_) => Arc::new(Dataset {
                targets: None,
                ..(*dataset).clone()
            }),
        };
        Ok(Source {
            dataset,
            metadata: Arc::new(metadata),
            encoder: Arc::new(encoder),
            // There are no targets.
            task: Arc::new(Task::Multilabel {
                names: Vec::new(),
                counts: Vec::new(),
                known: Vec::new(),
            }),
            preprocess: preprocess(&self.config, &self.network),
            augment: None,
            hide: None,
            reads_image: true,
            cache: None,
            seed: 0,
        })
    }
}

impl FeaturesOutcome {
    fn list(&mut self, bad: &[BadRowRecord]) {
        let room = LISTED.saturating_sub(self.first_bad.len());
        let first = bad.iter().take(room);
        self.first_bad.extend(first.map(ToString::to_string));
        self.n_bad += bad.len();
    }
}

/// Where features go.
enum Sink {
    Matrix(NpyWriter),
    Table(TableWriter),
}

impl Sink {
    /// By the ending of the file's name.
    fn create(out: &Path, width: usize) -> Result<Self> {
        let ending = out.extension().and_then(|ending| ending.to_str());
        if ending.is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
            return Ok(Self::Matrix(NpyWriter::create(out, width)?));
        }
        match TableFormat::from_path(out) {
            Err(DataError::OutputFormat { path }) => {
                let expected = "a name ending in .npy, .parquet, .csv or .jsonl";
                return Err(setting("out", expected, path.display()).into());
            }
            found => found?,
        };
        let numbers = (0..width).map(|i| (format!("f{i}"), ColumnKind::Single));
        let before = [
            ("row".to_owned(), ColumnKind::Integer),
            ("image".to_owned(), ColumnKind::Text),
        ];
        let columns: Vec<(String, ColumnKind)> = before.into_iter().chain(numbers).collect();
        Ok(Self::Table(TableWriter::create(out, &columns)?))
    }

    /// Appends the rows of a piece with their features.
    fn write(&mut self, rows: &PieceRows, values: &[f32]) -> Result<()> {
        let table = match self {
            Self::Matrix(matrix) => return Ok(matrix.write(values)?),
            Self::Table(table) => table,
        };
        let n = rows.dataset.len();
        let positions: Vec<usize> = (0..n).collect();
        let none = vec![None; n];
        let named = prediction_rows(&rows.dataset, &positions, &none, None);
        let width = values.len() / n.max(1);
        for (row, values) in named.zip(values.chunks_exact(width.max(1))) {
            let image = match row.image.is_empty() {
                true => Value::Missing,
                false => Value::Text(row.image.into()),
            };
            let mut cells = vec![Value::count(row.row), image];
            cells.extend(values.iter().map(|value| Value::Single(*value)));
            table.write(&cells)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Matrix(matrix) => matrix.finish()?,
            Self::Table(table) => table.finish()?,
        }
        Ok(())
    }
}
