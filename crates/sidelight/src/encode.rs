//! One row of metadata as numbers: fitted on training rows, stored in the model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::MetadataConfig;
use crate::dataset::Metadata;
use crate::error::Result;

/// A fitted encoder. Rows become a dense vector of fixed width (`d_dense`: booleans, one-hot slots,
/// standardised numbers, validity flags, cyclic parts) and one code per embedded category.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    /// The columns, in order.
    pub columns: Vec<EncodedColumn>,
}

/// How one column is encoded, with what was fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodedColumn {
    /// Its name.
    pub name: String,
    /// What the person (or inference) said of it.
    pub config: MetadataConfig,
    // the fitted state follows (an enum by kind)
}

/// Rows as numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EncodedMetadata {
    /// Number of rows.
    pub n_rows: usize,
    /// Width of the dense part.
    pub d_dense: usize,
    /// `[row][d_dense]`.
    pub dense: Vec<f32>,
    /// Number of embedded columns.
    pub n_embedded: usize,
    /// `[row][n_embedded]`, each below its embedding's size.
    pub codes: Vec<u32>,
}

/// An embedding that the network must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embedding {
    /// The column.
    pub column: String,
    /// Number of codes: categories, the *missing* slot and the *unknown* slot.
    pub n_codes: usize,
    /// Width of a vector: min(600, round(1.6 · n^0.56)), fastai's rule.
    pub width: usize,
}

/// What an encoding met that training had not: counted and said, never an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unseen {
    /// Per column: unseen categories and how often.
    pub categories: BTreeMap<String, BTreeMap<String, usize>>,
    /// Per column without a gap in training: missing values now.
    pub new_gaps: BTreeMap<String, usize>,
}

impl Encoder {
    /// Fits on the rows at these positions (training rows only).
    ///
    /// # Errors
    ///
    /// A scale that its column does not allow (a period that is not above 0, say).
    pub fn fit(metadata: &Metadata, configs: &BTreeMap<String, MetadataConfig>, rows: &[usize]) -> Result<Self> {
        let _ = (metadata, configs, rows);
        todo!()
    }
    /// Encodes every row.
    ///
    /// # Errors
    ///
    /// A column of the encoder that the metadata lacks.
    pub fn encode(&self, metadata: &Metadata) -> Result<(EncodedMetadata, Unseen)> {
        let _ = metadata;
        todo!()
    }
    /// Width of the dense part.
    pub fn d_dense(&self) -> usize {
        todo!()
    }
    /// The embeddings, in the order of the codes.
    pub fn embeddings(&self) -> Vec<Embedding> {
        todo!()
    }
    /// What an all-missing row looks like.
    pub fn all_missing(&self) -> (Vec<f32>, Vec<u32>) {
        todo!()
    }
    /// The name of each dense slot (`area`, `area is known`, `source = reddit`, …), `d_dense` of them.
    pub fn slots(&self) -> Vec<String> {
        todo!()
    }
    /// Swaps the declared laterality of an encoded row in place: called when its image is flipped.
    pub fn flip(&self, dense: &mut [f32], codes: &mut [u32]) {
        let _ = (dense, codes);
        todo!()
    }
    /// What was read, from what was encoded: one cell per column as text, `None` where missing.
    pub fn decode(&self, dense: &[f32], codes: &[u32]) -> Vec<(String, Option<String>)> {
        let _ = (dense, codes);
        todo!()
    }
}
