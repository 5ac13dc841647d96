//! Everything that a prediction needs: the network, what encodes the metadata, what prepares the images, what the
//! outputs mean.
//!
//! A [`Model`] is stored as two files, JSON and safetensors; nothing in them is executed.

#![cfg_attr(
    not(test),
    warn(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]

pub(crate) mod store;

use std::path::Path;
use std::sync::Arc;

use crate::config::{Arm, Config};
use crate::conformal::{Conformal, Thresholds};
use crate::dataset::Dataset;
use crate::encode::{Encoder, Unseen};
use crate::error::{Error, Result};
use crate::join::Joins;
use crate::loader::{Preprocess, Source};
use crate::network::head::PointsLayout;
use crate::network::{Layer, Network};
use crate::table::Table;
use crate::task::Task;
use crate::write::Extra;

/// A trained model, or one that is about to be trained.
#[derive(Debug, Clone)]
pub struct Model {
    /// What it was made with.
    pub config: Config,
    /// What its outputs mean.
    pub task: Arc<Task>,
    /// What encodes metadata.
    pub encoder: Arc<Encoder>,
    /// The network: its layers and their weights.
    pub network: Network,
    /// How far off it is, from rows that it has not learned from; `None`: that was not kept.
    pub conformal: Option<Conformal>,
}

impl Model {
    /// The model of a finished run, or of a folder that was made for the Hugging Face hub
    /// ([`export::share`](crate::export::share)).
    ///
    /// # Errors
    ///
    /// Those of [`Model::folder`] and [`Model::load`].
    ///
    /// # Example
    ///
    /// ```no_run
    /// use sidelight::Model;
    ///
    /// let model = Model::open("runs/a")?;
    /// let rows = model.read("new.csv")?;
    /// let predicted = model.predict(&rows, Default::default())?;
    /// # Ok::<(), sidelight::Error>(())
    /// ```
    pub fn open(run: impl AsRef<Path>) -> Result<Self> {
        Self::load(&Self::folder(run.as_ref())?)
    }

    /// Every row of a table of new rows, its columns meaning what they meant in training. Columns of the target need
    /// not be there; where they are, [`predict::evaluate`](crate::predict::evaluate) can score the predictions.
    ///
    /// The whole table is read; for one larger than memory see
    /// [`predict::predict_table`](crate::predict::predict_table).
    ///
    /// # Errors
    ///
    /// Those of [`Table::read_with`] and [`Dataset::for_prediction`].
    pub fn read(&self, table: impl AsRef<Path>) -> Result<Dataset> {
        let data = &self.config.data;
        let table = Table::read_as(table.as_ref(), &data.remote, &data.format_of_others())?;
        let table = Joins::for_new_rows(&self.config, &table.names())?.apply(table)?;
        let needs_image = self.needs_image();
        Ok(Dataset::for_prediction(&table, &self.config, needs_image)?)
    }

    /// What makes sets that hold the truth of so many rows, a share in (0, 1).
    ///
    /// # Errors
    ///
    /// [`Error::NoConformal`] of a model that does not know how far off it is, and those of [`Conformal::at`].
    pub fn thresholds(&self, coverage: f64) -> Result<Thresholds> {
        let known = self.conformal.as_ref().ok_or(Error::NoConformal)?;
        known.at(&self.task, coverage)
    }

    /// How what it says of points follows one another; `None` of other tasks.
    pub(crate) fn points_layout(&self) -> Option<PointsLayout> {
        let Task::Keypoints { columns, .. } = &*self.task else {
            return None;
        };
        Some(PointsLayout::of_network(&self.network, columns.len()))
    }

    /// Whether its points say how sure they are.
    pub fn says_confidence(&self) -> bool {
        self.points_layout().is_some_and(|layout| layout.is_sure)
    }

    /// What its predictions say beside themselves: points how sure they are, an ensemble how far its members are apart.
    pub(crate) fn extras(&self) -> Vec<Extra> {
        let layout = self.points_layout();
        let is_sure = layout.is_some_and(|layout| layout.is_sure);
        let n = layout.map_or(0, |layout| layout.n_candidates);
        let extras = [
            is_sure.then_some(Extra::Confidence),
            (n > 0).then_some(Extra::Candidates(n)),
            self.network.n_members().map(|_| Extra::Spread),
        ];
        extras.into_iter().flatten().collect()
    }

    /// What logits were divided by so that probabilities are as sure as they are right; 1 where nothing was fitted.
    pub fn temperature(&self) -> f32 {
        let layers = self.network.root.children.iter();
        let mut found = layers.filter_map(|(_, node)| match &node.layer {
            Layer::Temperature(layer) => Some(layer.temperature),
            _ => None,
        });
        found.next().unwrap_or(1.0)
    }

    /// How images become what its network reads.
    pub fn preprocess(&self) -> Preprocess {
        preprocess(&self.config, &self.network)
    }

    /// Whether it looks at images: all but a model of metadata alone do.
    pub fn reads_image(&self) -> bool {
        reads_image(self.config.model.arm)
    }

    /// Whether a row without an image cannot be predicted.
    ///
    /// It can by a model of metadata alone, by the metadata's branch of a [`Stack`](crate::network::layer::Stack), and by a
    /// model that was trained with the image of some rows left out (`model.drop_image`, a `drop_image` layer); points lie in
    /// an image's frame, and always need it.
    pub fn needs_image(&self) -> bool {
        let can_do_without = !self.reads_image() || self.network.drops_image();
        !can_do_without || matches!(*self.task, Task::Keypoints { .. })
    }

    /// What its batches are made of: these rows, their metadata encoded, nothing changed at random. Beside it what of
    /// the metadata training had not seen.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingMetadata`](crate::error::DataError::MissingMetadata), [`DataError::MetadataKind`](crate::error::DataError::MetadataKind):
    /// the table is not like the one trained on.
    pub fn source(&self, dataset: impl Into<Arc<Dataset>>) -> Result<(Source, Unseen)> {
        let dataset = dataset.into();
        let (metadata, unseen) = self.encoder.encode(&dataset.metadata)?;
        let source = Source {
            dataset,
            metadata: Arc::new(metadata),
            encoder: Arc::clone(&self.encoder),
            task: Arc::clone(&self.task),
            preprocess: self.preprocess(),
            augment: None,
            hide: None,
            reads_image: self.reads_image(),
            cache: None,
            seed: 0,
        };
        Ok((source, unseen))
    }
}

/// How images become what a network reads that was built for this configuration.
pub(crate) fn preprocess(config: &Config, network: &Network) -> Preprocess {
    Preprocess {
        size: config.train.size,
        resize: config.train.resize,
        mean: network.input.mean,
        sd: network.input.sd,
        range: config.image.range.known(),
        channels: network.input.channels,
    }
}

/// Whether a model of this arm looks at images.
pub(crate) fn reads_image(arm: Arm) -> bool {
    arm != Arm::Metadata
}
