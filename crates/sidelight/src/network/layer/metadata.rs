use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::Layer;
use crate::encode::{Embedding, Encoder};
use crate::error::Result;
use crate::network::parameter::{Initial, ParameterKind, ParameterSpec, Parameters};
use crate::network::plan::Plan;
use crate::network::shape::{At, Shape};
use crate::tensor::embedding;

/// The row's metadata as features: the dense part, then each embedded column's vector.
/// It reads the context, never its input, so that any place in the network can have the metadata
/// without a global. Its children are the tables, named after the columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataSource {
    /// Width of the dense part. 0 and no embeddings, in an edit: all of the table's metadata.
    #[serde(default)]
    pub d_dense: usize,
    /// The embedded columns, in the order of the codes.
    #[serde(default)]
    pub embeddings: Vec<Embedding>,
}

impl MetadataSource {
    /// What this encoder makes of a row.
    pub fn of(encoder: &Encoder) -> Self {
        Self {
            d_dense: encoder.d_dense(),
            embeddings: encoder.embeddings(),
        }
    }
    /// The layer with its tables.
    pub fn plan(&self) -> Plan {
        let tables =
            self.table_names()
                .into_iter()
                .zip(&self.embeddings)
                .map(|(name, embedding)| {
                    let table = EmbeddingTable {
                        n_codes: embedding.n_codes,
                        width: embedding.width,
                    };
                    (name, Plan::leaf(Layer::Embedding(table)))
                });
        Plan::with(Layer::Metadata(self.clone()), tables)
    }
    /// Width of the features.
    pub fn width(&self) -> usize {
        self.d_dense
            + self
                .embeddings
                .iter()
                .map(|embedding| embedding.width)
                .sum::<usize>()
    }
    /// Names of the tables: the columns', dots replaced (a path's separator), made unique.
    pub fn table_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for embedding in &self.embeddings {
            let plain = embedding.column.replace('.', "_");
            let plain = if plain.is_empty() {
                "_".to_owned()
            } else {
                plain
            };
            let mut name = plain.clone();
            let mut n = 2;
            while names.contains(&name) {
                name = format!("{plain}_{n}");
                n += 1;
            }
            names.push(name);
        }
        names
    }
}

/// A learned vector per code.
///
/// # Shapes
///
/// - `weight`: `[n_codes, width]`
///
/// # Source
///
/// Guo and Berkhahn 2016, "Entity embeddings of categorical variables", arXiv:1604.06737.
/// Starts from normal numbers of standard deviation 0.05 (torch: 1), so that on few rows
/// no category's vector dominates the standardised numbers beside it before it was learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingTable {
    /// Rows of the table.
    pub n_codes: usize,
    /// Width of a vector.
    pub width: usize,
}

impl EmbeddingTable {
    pub(super) fn parameters(&self) -> Vec<ParameterSpec> {
        vec![ParameterSpec::new(
            "weight",
            [self.n_codes, self.width],
            ParameterKind::Weight,
            Initial::Normal(0.05),
        )]
    }
    pub(super) fn output(&self, at: &At) -> Result<Shape> {
        if self.n_codes == 0 || self.width == 0 {
            return Err(at.field(
                "n_codes",
                "at least 1, and so must `width`",
                self.n_codes.min(self.width),
            ));
        }
        Ok(Shape::Features(self.width))
    }
    /// The vectors of these codes: `[batch, width]`.
    pub(crate) fn look_up(&self, parameters: &Parameters, codes: Tensor<1, Int>) -> Tensor<2> {
        embedding(parameters.d2("weight"), codes)
    }
}
