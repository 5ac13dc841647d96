//! The row's metadata in the network.

use super::prelude::*;
use crate::encode::{Embedding, Encoder};
use crate::tensor::embedding;

/// The row's metadata as features: the dense part, then each embedded column's vector.
/// It reads the context, never its input, so that any place in the network can have the metadata
/// without a global. Its children are the tables, named after the columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetadataSource {
    /// Width of the dense part. 0 and no embeddings, in an edit: all of the table's metadata.
    #[serde(default)]
    pub d_dense: usize,
    /// The embedded columns, in the order of the codes.
    #[serde(default)]
    pub embeddings: Vec<Embedding>,
    /// Whether it has a factor for each number that it puts out: 0 for those of columns that say nothing of the target.
    #[serde(default, skip_serializing_if = "is_default")]
    pub screened: bool,
}

impl MetadataSource {
    /// Name of the parameter of factors, 1 or 0, of a screened one: `[width]`.
    pub const KEPT: &str = "kept";

    /// The features that this encoder makes of a row.
    pub fn from_encoder(encoder: &Encoder) -> Self {
        Self {
            d_dense: encoder.d_dense(),
            embeddings: encoder.embeddings(),
            screened: false,
        }
    }
    /// The layer with an embedding table per embedded column.
    pub fn architecture(&self) -> Architecture {
        let names = self.table_names().into_iter();
        let tables = names.zip(&self.embeddings).map(|(name, embedding)| {
            let table = EmbeddingTable {
                n_codes: embedding.n_codes,
                width: embedding.width,
            };
            (name, table.into())
        });
        Architecture::with(self.clone(), tables)
    }
    /// Width of the features.
    pub fn width(&self) -> usize {
        let widths = self.embeddings.iter().map(|embedding| embedding.width);
        self.d_dense + widths.sum::<usize>()
    }
    /// Names of the tables: the columns', dots replaced (a path's separator), made unique.
    pub fn table_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for embedding in &self.embeddings {
            let plain = match embedding.column.as_str() {
                "" => "_".to_owned(),
                column => column.replace('.', "_"),
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

impl Operation for MetadataSource {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let kept = || {
            let (shape, start) = ([self.width()], Initial::Constant(1.0));
            ParameterSpec::new(Self::KEPT, shape, ParameterKind::Buffer, start)
        };
        self.screened.then(kept).into_iter().collect()
    }
    fn infer(&mut self, inside: &mut Inside<'_>, _: Shape) -> Result<Shape> {
        if inside.len() != self.embeddings.len() || self.width() == 0 {
            let expected = format!("one table for each of {} columns", self.embeddings.len());
            let found = format!("{} for {} features", inside.len(), self.width());
            return Err(inside.at.misfit(expected, found, None));
        }
        for (i, embedding) in self.embeddings.iter().enumerate() {
            let Embedding {
                column,
                n_codes,
                width,
            } = embedding;
            // Its rows are read by code, which no other layer has.
            let Layer::Embedding(table) = inside.layer(i) else {
                let expected = format!("a table (`embedding`) for `{column}`");
                let found = format!("`{}`", inside.layer(i).kind());
                return Err(inside.at.misfit(expected, found, None));
            };
            let found = format!("{} of {}", table.n_codes, table.width);
            if (table.n_codes, table.width) != (*n_codes, *width) {
                let expected = format!("{n_codes} vectors of {width} for `{column}`");
                return Err(inside.at.misfit(expected, found, None));
            }
            inside.child(i, Shape::Nothing)?;
        }
        Ok(Shape::Features(self.width()))
    }
    fn run(&self, node: &Node, _: Value, walk: &mut Walk<'_>) -> Value {
        let metadata = walk.context.metadata.clone().unwrap_or_else(|| {
            panic!("`{}` reads metadata, and the context has none", walk.path())
        });
        let [batch, found] = metadata.dense.dims();
        assert!(
            found == self.d_dense,
            "`{}` reads metadata of width {}, and is given {found}",
            walk.path(),
            self.d_dense
        );
        let mut parts = Vec::with_capacity(1 + node.children.len());
        if self.d_dense > 0 {
            parts.push(metadata.dense);
        }
        for (i, (_, table)) in node.children.iter().enumerate() {
            let codes = metadata.codes.clone().narrow(1, i, 1).reshape([batch]);
            parts.push(embedding(table.parameters.d2("weight"), codes)); // [batch, width]
        }
        let all = Tensor::cat(parts, 1);
        Value::Features(match self.screened {
            true => all * node.parameters.d1(Self::KEPT).reshape([1, self.width()]),
            false => all,
        })
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, _: Flow) -> Result<String> {
        let mut parts: Vec<String> = walk.metadata.dense.clone().into_iter().collect();
        for ((name, table), code) in node.children.iter().zip(&walk.metadata.codes) {
            walk.graph.at(&join(path, name));
            let table = parameter(walk.graph, table, "weight");
            parts.push(walk.graph.binary("Gather", &table, code)); // [n, width]
        }
        walk.graph.at(path);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let all = walk.graph.concat(&parts, 1);
        Ok(match self.screened {
            true => {
                let kept = parameter(walk.graph, node, Self::KEPT);
                walk.graph.binary("Mul", &all, &kept)
            }
            false => all,
        })
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingTable {
    /// Rows of the table.
    pub n_codes: usize,
    /// Width of a vector.
    pub width: usize,
}

impl Leaf for EmbeddingTable {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let (shape, start) = ([self.n_codes, self.width], Initial::Normal(0.05));
        vec![ParameterSpec::new(
            "weight",
            shape,
            ParameterKind::Weight,
            start,
        )]
    }
    fn output(&mut self, at: &At<'_>, _: Shape) -> Result<Shape> {
        let least = self.n_codes.min(self.width);
        if least == 0 {
            return Err(at.field("n_codes", "at least 1, and so must `width`", least));
        }
        Ok(Shape::Features(self.width))
    }
    /// Its rows are read by the [`MetadataSource`] around it, which has the codes.
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        x
    }
    fn onnx(&self, _: &mut Graph, _: &Node, _: &Flow) -> Option<String> {
        None
    }
}
