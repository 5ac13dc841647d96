//! The tree as ONNX nodes: each is named after its layer's path, weights after their parameters'.

use std::collections::HashMap;

use super::tree::{Node, join};
use super::{Network, Shape};
use crate::error::Result;
use crate::onnx::{Attr, Graph};

/// What flows from one layer to the next.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    /// The value's name in the graph; empty: nothing.
    pub(super) name: String,
    /// Its shape without the batch axis.
    pub(super) shape: Shape,
}

impl Flow {
    /// Another value of the same shape.
    pub(super) fn named(&self, name: String) -> Self {
        let shape = self.shape;
        Self { name, shape }
    }
}

/// The rows' metadata as values of a graph.
#[derive(Debug, Default)]
pub(crate) struct GraphMetadata {
    /// `float32`, `[n, d_dense]`; none where that is nothing.
    pub(crate) dense: Option<String>,
    /// `int64`, `[n]` each.
    pub(crate) codes: Vec<String>,
    /// `float32`, `[n, n_images]`: 1 where a row has an image, else 0; none where it has no several.
    pub(crate) has_images: Option<String>,
}

impl GraphMetadata {
    /// Each row as often as it has images, one after another.
    fn repeated(&self, graph: &mut Graph, n_images: usize) -> Self {
        let n = n_images as i64;
        let dense = self.dense.as_ref().map(|dense| {
            let rows = graph.unsqueeze(dense, &[1]); // [n, 1, d_dense]
            let repeats = graph.ints(&[1, n, 1]);
            let rows = graph.call("Tile", &[&rows, &repeats], &[]);
            // [n, n_images, d_dense], the last two axes as they are and the first two as one.
            let shape = graph.call("Shape", &[dense], &[("start", Attr::Int(1))]);
            let all = graph.ints(&[-1]);
            let shape = graph.concat(&[&all, &shape], 0);
            graph.call("Reshape", &[&rows, &shape], &[])
        });
        let codes = self.codes.iter().map(|codes| {
            let rows = graph.unsqueeze(codes, &[1]);
            let repeats = graph.ints(&[1, n]);
            let rows = graph.call("Tile", &[&rows, &repeats], &[]);
            graph.reshape(&rows, &[-1])
        });
        Self {
            codes: codes.collect(),
            dense,
            has_images: None,
        }
    }
}

/// A graph in the making, with what layers read besides their input.
pub(super) struct OnnxWalk<'a> {
    pub(super) graph: &'a mut Graph,
    pub(super) metadata: &'a GraphMetadata,
    /// Of every layer by its path, what comes out.
    outputs: HashMap<String, Shape>,
}

impl Network {
    /// Writes the network's nodes; returns the name of what comes out, `[n, n_outputs]`.
    pub(crate) fn write_onnx(
        &self,
        graph: &mut Graph,
        image: Option<String>,
        metadata: &GraphMetadata,
    ) -> Result<String> {
        let layers = self.inspect()?.into_iter();
        let outputs: HashMap<String, Shape> =
            layers.map(|layer| (layer.path, layer.output)).collect();
        let mut flow = Flow {
            name: image.unwrap_or_default(),
            shape: self.input.shape(),
        };
        let mut children = self.root.children.iter();
        if let Some((pool, n_images)) = self.image_pool() {
            // Up to there every image is a row.
            let metadata = &metadata.repeated(graph, n_images);
            let outputs = outputs.clone();
            let mut walk = OnnxWalk {
                graph,
                metadata,
                outputs,
            };
            let mut each = children.by_ref().take(pool);
            flow = each.try_fold(flow, |flow, child| walk.child("", child, flow))?;
        }
        let mut walk = OnnxWalk {
            graph,
            metadata,
            outputs,
        };
        let last = children.try_fold(flow, |flow, child| walk.child("", child, flow))?;
        Ok(last.name)
    }
}

impl OnnxWalk<'_> {
    /// Writes something whose layers are given other metadata.
    pub(super) fn with_metadata<T>(
        &mut self,
        metadata: &GraphMetadata,
        write: impl FnOnce(&mut OnnxWalk<'_>) -> T,
    ) -> T {
        let mut walk = OnnxWalk {
            graph: &mut *self.graph,
            metadata,
            outputs: std::mem::take(&mut self.outputs),
        };
        let written = write(&mut walk);
        self.outputs = walk.outputs;
        written
    }
    fn layer(&mut self, node: &Node, path: &str, x: Flow) -> Result<Flow> {
        let shape = self.outputs.get(path).copied().unwrap_or(x.shape);
        self.graph.at(path);
        let name = node.write(self, path, x)?;
        Ok(Flow { name, shape })
    }
    /// Writes a child of the layer at `path`, where the graph's place then is again.
    pub(super) fn child(&mut self, path: &str, child: &(String, Node), x: Flow) -> Result<Flow> {
        let y = self.layer(&child.1, &join(path, &child.0), x)?;
        self.graph.at(path);
        Ok(y)
    }
    /// The children of a layer, one after another.
    pub(super) fn in_turn(&mut self, node: &Node, path: &str, x: Flow) -> Result<Flow> {
        let mut children = node.children.iter();
        children.try_fold(x, |x, child| self.child(path, child, x))
    }
    /// Every child of a layer on the same input; the names of their results.
    pub(super) fn each(&mut self, node: &Node, path: &str, x: &Flow) -> Result<Vec<String>> {
        let children = node.children.iter();
        children
            .map(|child| Ok(self.child(path, child, x.clone())?.name))
            .collect()
    }
}

/// A parameter of the layer that is being written, under its path.
pub(super) fn parameter(graph: &mut Graph, node: &Node, name: &str) -> String {
    let path = join(graph.place(), name);
    let parameter = node
        .parameters
        .get(name)
        .unwrap_or_else(|| panic!("there is no parameter `{path}`"));
    graph.weight(&path, &parameter.shape(), &parameter.values())
}

/// The mean over all positions: `[n, channels]`.
pub(super) fn pooled(graph: &mut Graph, x: &Flow) -> String {
    let axes: &[i64] = match x.shape {
        Shape::Nothing | Shape::Features(_) => return x.name.clone(),
        Shape::Tokens { .. } => &[1],
        Shape::Map { .. } => &[2, 3],
    };
    graph.call(
        "ReduceMean",
        &[&x.name],
        &[("axes", Attr::Ints(axes)), ("keepdims", Attr::Int(0))],
    )
}

/// Each channel times the same factor in every row: `factor` is `[channels]`.
pub(super) fn scaled(graph: &mut Graph, x: &Flow, factor: &str) -> String {
    let factor = match x.shape {
        Shape::Map { .. } => graph.reshape(factor, &[-1, 1, 1]),
        _ => factor.to_owned(),
    };
    graph.binary("Mul", &x.name, &factor)
}

/// Each channel times its factor: `factor` is `[n, channels]`.
pub(super) fn times_channels(graph: &mut Graph, x: &Flow, factor: &str) -> String {
    with_channels(graph, "Mul", x, factor)
}

/// Each channel plus its offset: `offset` is `[n, channels]`.
pub(super) fn plus_channels(graph: &mut Graph, x: &Flow, offset: &str) -> String {
    with_channels(graph, "Add", x, offset)
}

fn with_channels(graph: &mut Graph, op: &str, x: &Flow, other: &str) -> String {
    let other = match x.shape {
        Shape::Nothing | Shape::Features(_) => other.to_owned(),
        Shape::Tokens { .. } => graph.unsqueeze(other, &[1]),
        Shape::Map { .. } => graph.unsqueeze(other, &[2, 3]),
    };
    graph.binary(op, &x.name, &other)
}
