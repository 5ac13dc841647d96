//! Layers that choose, scale or flatten what comes in.

use super::prelude::*;
use crate::network::onnx::scaled;

/// Channel by channel, row by row, as torch's `flatten(1)`.
pub(super) struct Flatten;

impl Leaf for Flatten {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        match input {
            Shape::Nothing => Err(at.misfit("a map", input, None)),
            other => Ok(Shape::Features(other.channels() * other.positions())),
        }
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        match x {
            Value::Map(x) => Value::Features(x.flatten(1, 3)),
            Value::Tokens(x) => Value::Features(x.flatten(1, 2)),
            other => other,
        }
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        let width = x.shape.channels() * x.shape.positions();
        Some(graph.reshape(&x.name, &[-1, width as i64]))
    }
}

pub(super) struct Identity;

impl Leaf for Identity {
    fn output(&mut self, _: &At<'_>, input: Shape) -> Result<Shape> {
        Ok(input)
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        x
    }
    fn onnx(&self, _: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        Some(x.name.clone())
    }
}

/// The features from `start` on, `length` of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// Position of the first feature.
    pub start: usize,
    /// Number of features.
    pub length: usize,
}

impl Leaf for Slice {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        let features = at.features(input)?;
        if self.length == 0 {
            return Err(at.field("length", "at least 1", 0));
        }
        let end = self.start + self.length;
        if end > features {
            return Err(at.misfit(format!("at least {end} features"), input, None));
        }
        Ok(Shape::Features(self.length))
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        Value::Features(x.features().narrow(1, self.start, self.length))
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        Some(graph.slice(&x.name, self.start, self.start + self.length, 1))
    }
}

/// A learned factor per channel, the parameter `gamma`.
///
/// # Source
///
/// Touvron et al. 2021, "Going deeper with image transformers" (LayerScale), arXiv:2103.17239, eq. 6.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Channels; 0: inferred.
    #[serde(default)]
    pub features: usize,
    /// What it starts as. Default: 1.
    #[serde(default = "one")]
    pub start: f32,
}

fn one() -> f32 {
    1.0
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            features: 0,
            start: one(),
        }
    }
}

impl Leaf for Scale {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let start = Initial::Constant(self.start);
        vec![ParameterSpec::new(
            "gamma",
            [self.features],
            ParameterKind::Norm,
            start,
        )]
    }
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        if input == Shape::Nothing {
            return Err(at.misfit("a map, tokens or features", input, None));
        }
        at.width("features", &mut self.features, input.channels(), input)?;
        Ok(input)
    }
    fn forward(&self, node: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        x.scaled(node.parameters.d1("gamma"))
    }
    fn onnx(&self, graph: &mut Graph, node: &Node, x: &Flow) -> Option<String> {
        let factor = parameter(graph, node, "gamma");
        Some(scaled(graph, x, &factor))
    }
}
