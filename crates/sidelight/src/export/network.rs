//! The walk: the network's tree as nodes. Each layer's are named after its path, its weights are its parameters.

use std::collections::HashMap;

use super::fusion;
use super::graph::{Attr, Graph};
use super::layer;
use super::metadata::Encoded;
use crate::error::Result;
use crate::network::layer::{Residual, SHORTCUT};
use crate::network::{Layer, Network, Node, Shape, join};

/// What flows from one layer to the next.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    /// The value's name; empty: nothing.
    pub(super) name: String,
    /// Without the batch axis.
    pub(super) shape: Shape,
}

impl Flow {
    /// Another value of the same shape.
    pub(super) fn named(&self, name: String) -> Self {
        let shape = self.shape;
        Self { name, shape }
    }
}

/// Where the walk is.
pub(super) struct Walk<'a> {
    pub(super) graph: &'a mut Graph,
    /// Of every layer by its path, what comes out.
    outputs: HashMap<String, Shape>,
    metadata: &'a Encoded,
}

/// Writes the network's nodes; returns what comes out, `[n, n_outputs]`.
pub(super) fn write(
    graph: &mut Graph,
    network: &Network,
    image: Option<String>,
    metadata: &Encoded,
) -> Result<String> {
    let layers = network.inspect()?;
    let outputs = layers
        .into_iter()
        .map(|layer| (layer.path, layer.output))
        .collect();
    let mut walk = Walk {
        graph,
        outputs,
        metadata,
    };
    let shape = network.input.shape();
    let name = image.unwrap_or_default();
    Ok(walk.layer(&network.root, "", Flow { name, shape })?.name)
}

impl Walk<'_> {
    fn layer(&mut self, node: &Node, path: &str, x: Flow) -> Result<Flow> {
        let shape = self.outputs.get(path).copied().unwrap_or(x.shape);
        let name = match &node.layer {
            Layer::Sequential => self.in_turn(node, path, x)?.name,
            Layer::Residual(residual) => self.residual(residual, node, path, x)?,
            Layer::Gate => {
                let gate = self.in_turn(node, path, x.clone())?;
                self.graph.at(path);
                match gate.shape {
                    Shape::Map {
                        height: 1,
                        width: 1,
                        ..
                    } if matches!(x.shape, Shape::Map { .. }) => {
                        self.graph.binary("Mul", &x.name, &gate.name)
                    }
                    _ => {
                        let gate = pooled(self.graph, &gate);
                        times_channels(self.graph, &x, &gate)
                    }
                }
            }
            // Only training reads it.
            Layer::Auxiliary => x.name,
            Layer::Concat => {
                let parts = self.each(node, path, &x)?;
                let parts: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
                self.graph.at(path);
                self.graph.concat(&parts, 1)
            }
            Layer::Sum => {
                let parts = self.each(node, path, &x)?;
                self.graph.at(path);
                let mut parts = parts.into_iter().map(|part| part.name);
                let first = parts.next().unwrap_or_default();
                parts.fold(first, |sum, part| self.graph.binary("Add", &sum, &part))
            }
            Layer::Fusion(method) => {
                self.graph.at(path);
                let read = fusion::read(self.graph, method, &x);
                let control = self.in_turn(node, path, read)?;
                self.graph.at(path);
                fusion::write(self.graph, method, &x, &control)
            }
            Layer::Metadata(_) => self.metadata(node, path),
            leaf => {
                self.graph.at(path);
                layer::write(self.graph, leaf, node, path, &x, shape)?
            }
        };
        Ok(Flow { name, shape })
    }

    fn in_turn(&mut self, node: &Node, path: &str, x: Flow) -> Result<Flow> {
        node.children.iter().try_fold(x, |x, (name, child)| {
            self.layer(child, &join(path, name), x)
        })
    }

    /// Every child on the same input.
    fn each(&mut self, node: &Node, path: &str, x: &Flow) -> Result<Vec<Flow>> {
        node.children
            .iter()
            .map(|(name, child)| self.layer(child, &join(path, name), x.clone()))
            .collect()
    }

    /// The dense slots, then each embedded column's vector.
    fn metadata(&mut self, node: &Node, path: &str) -> String {
        let mut parts: Vec<String> = self.metadata.dense.clone().into_iter().collect();
        for ((name, table), code) in node.children.iter().zip(&self.metadata.codes) {
            let path = join(path, name);
            self.graph.at(&path);
            let table = layer::weight(self.graph, table, &path, "weight");
            parts.push(self.graph.binary("Gather", &table, code)); // [n, width]
        }
        self.graph.at(path);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.graph.concat(&parts, 1)
    }

    fn residual(
        &mut self,
        residual: &Residual,
        node: &Node,
        path: &str,
        x: Flow,
    ) -> Result<String> {
        let (shortcut, body): (Vec<_>, Vec<_>) =
            node.children.iter().partition(|(name, _)| name == SHORTCUT);
        let mut other = x.clone();
        for (name, child) in shortcut {
            other = self.layer(child, &join(path, name), other)?;
        }
        let mut y = x;
        // ConvNeXt's factor stands between the body and its stochastic depth.
        let mut is_scaled = residual.layer_scale == 0;
        for (name, child) in body {
            self.graph.at(path);
            if *name == residual.again_at {
                y = y.named(self.graph.binary("Add", &y.name, &other.name));
                other = y.clone();
            }
            if matches!(child.layer, Layer::DropPath(_)) && !is_scaled {
                y = self.scaled(node, path, &y);
                is_scaled = true;
            }
            y = self.layer(child, &join(path, name), y)?;
        }
        self.graph.at(path);
        if !is_scaled {
            y = self.scaled(node, path, &y);
        }
        let sum = self.graph.binary("Add", &y.name, &other.name);
        Ok(if residual.relu_after {
            self.graph.unary("Relu", &sum)
        } else {
            sum
        })
    }

    /// Times the residual block's factor per channel.
    fn scaled(&mut self, node: &Node, path: &str, y: &Flow) -> Flow {
        let factor = layer::weight(self.graph, node, path, "layer_scale"); // [channels, 1, 1]
        let factor = self.graph.reshape(&factor, &[-1]);
        y.named(layer::scale(self.graph, y, &factor))
    }
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

/// Each channel with its number of `[n, channels]`, by an operation on two values.
fn by_channels(graph: &mut Graph, op: &str, x: &Flow, of: &str) -> String {
    let of = match x.shape {
        Shape::Nothing | Shape::Features(_) => of.to_owned(),
        Shape::Tokens { .. } => graph.unsqueeze(of, &[1]),
        Shape::Map { .. } => graph.unsqueeze(of, &[2, 3]),
    };
    graph.binary(op, &x.name, &of)
}

/// Each channel times its factor: `factor` is `[n, channels]`.
pub(super) fn times_channels(graph: &mut Graph, x: &Flow, factor: &str) -> String {
    by_channels(graph, "Mul", x, factor)
}

/// Each channel plus its offset: `offset` is `[n, channels]`.
pub(super) fn plus_channels(graph: &mut Graph, x: &Flow, offset: &str) -> String {
    by_channels(graph, "Add", x, offset)
}
