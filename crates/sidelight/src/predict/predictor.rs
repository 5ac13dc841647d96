//! A model for rows that come one at a time, as a service gets them.

use super::Model;
use crate::batch::{Batch, device, side};
use crate::dataset::{Dataset, ImageSource, RequestRow};
use crate::encode::Unseen;
use crate::error::{DataError, Result};
use crate::image::{Facts, Limits, facts};
use crate::loader::{HostBatch, Sample};
use crate::network::Context;
use crate::task::{Prediction, Task};

/// A trained model with all made once that [`Model::predict`] makes for each table: for rows that come one at a time.
///
/// A row is [read](Predictor::read) by itself, on any thread, and what was read is predicted with whatever else is
/// ready. A row's prediction is the same to the bit as [`Model::predict`]'s of the same image and cells.
#[derive(Debug)]
pub struct Predictor {
    model: Model,
}

/// A row ready for the network: its image decoded and fitted, its metadata encoded.
#[derive(Debug, Clone)]
pub struct ReadyRow {
    sample: Sample,
    /// What its image's header says; `None`: no image was looked at.
    pub image: Option<Facts>,
    /// What of its metadata training had not seen.
    pub unseen: Unseen,
}

impl ReadyRow {
    /// Side of the square that the network sees, in pixels of the stored image: what
    /// [`Thresholds::set`](crate::conformal::Thresholds::set) asks for.
    pub fn side(&self, model: &Model) -> f64 {
        side(model.config.train.size, self.sample.to_input())
    }
}

impl Predictor {
    /// Makes a model ready.
    pub fn new(model: Model) -> Self {
        // Once: each clone of a network packs its weights anew.
        let network = model.network.valid();
        Self {
            model: Model { network, ..model },
        }
    }

    /// The model that rows are predicted by.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Whether a row without an image cannot be predicted, as [`Model::needs_image`] says.
    pub fn needs_image(&self) -> bool {
        self.model.needs_image()
    }

    /// Whether the image of a row that has one is looked at.
    pub fn reads_image(&self) -> bool {
        self.model.reads_image() || matches!(*self.model.task, Task::Keypoints { .. })
    }

    /// Whether the model reads metadata.
    pub fn reads_metadata(&self) -> bool {
        !self.model.encoder.columns.is_empty() && self.model.network.reads_metadata()
    }

    /// Header of each of a row's images, within these limits; none where the model reads none, or does without.
    ///
    /// It costs little, whatever the image: what decoding it would cost can be known before.
    ///
    /// # Errors
    ///
    /// Those of [`facts`] and [`RequestRow::source`], [`DataError::ImagePixels`](crate::error::DataError::ImagePixels), [`DataError::ImageEmpty`](crate::error::DataError::ImageEmpty) where there is none.
    pub fn look(&self, row: &RequestRow, limits: &Limits) -> Result<Vec<Facts>> {
        if !self.reads_image() {
            return Ok(Vec::new());
        }
        let image = row.source(&self.model.config)?;
        if image.is_absent() && self.needs_image() {
            return Err(DataError::ImageEmpty {
                name: format!("row {}", row.number),
            }
            .into());
        }
        let facts = |part| Ok(facts_within(part, limits)?);
        image.present().map(facts).collect()
    }

    /// The row as a data set of its own: what [`explain`](crate::explain) works on.
    ///
    /// # Errors
    ///
    /// Those of [`Dataset::of_request`].
    pub fn dataset(&self, row: &RequestRow) -> Result<Dataset> {
        Ok(Dataset::of_request(row, &self.model.config)?)
    }

    /// Reads a row: decodes its image, encodes its metadata.
    ///
    /// # Errors
    ///
    /// Those of [`Predictor::look`], [`Dataset::of_request`] and [`decode`](crate::image::decode); a fault in a
    /// decoder is one as well.
    pub fn read(&self, row: &RequestRow, limits: &Limits) -> Result<ReadyRow> {
        let images = self.look(row, limits)?;
        let (source, unseen) = self.model.source(self.dataset(row)?)?;
        Ok(ReadyRow {
            sample: source.sample(0)?,
            image: images.into_iter().next(),
            unseen,
        })
    }

    /// Predicts rows that this predictor read, together; one prediction a row, in their order.
    pub fn predict(&self, rows: &[&ReadyRow]) -> Vec<Prediction> {
        if rows.is_empty() {
            return Vec::new();
        }
        let preprocess = self.model.preprocess();
        let samples = rows.iter().map(|row| &row.sample);
        let network = &self.model.network;
        let batch = Batch::new(HostBatch::of(samples, &preprocess), &device(network));
        let output = batch.run(network, &mut Context::evaluate(None)); // [batch, n_outputs]
        batch.decode(&self.model.task, output)
    }
}

/// Header of an image that is not too large.
fn facts_within(image: &ImageSource, limits: &Limits) -> Result<Facts, DataError> {
    let found = facts(image)?;
    let (width, height) = (found.width, found.height);
    if width as u64 * height as u64 > limits.max_pixels {
        return Err(DataError::ImagePixels {
            name: crate::image::name(image),
            width,
            height,
            max_pixels: limits.max_pixels,
        });
    }
    Ok(found)
}
