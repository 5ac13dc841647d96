//! Logits made as sure as they are right.

use super::prelude::*;

/// Each number divided by the same temperature: above 1 for logits that are too sure, below 1 for those that are not sure
/// enough. Which is the largest stays as it is. A network ends with one where one was fitted after its training.
///
/// # Source
///
/// Guo et al. 2017, "On calibration of modern neural networks", arXiv:1706.04599, section 4.2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Temperature {
    /// What the numbers are divided by, above 0.
    pub temperature: f32,
}

impl Temperature {
    /// What the numbers are multiplied by.
    pub fn factor(&self) -> f32 {
        self.temperature.recip()
    }
}

impl Leaf for Temperature {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        let factor = self.factor();
        if !(factor.is_normal() && factor > 0.0) {
            return Err(at.field("temperature", "above 0", self.temperature));
        }
        at.features(input)?;
        Ok(input)
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        Value::Features(x.features() * self.factor())
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        let factor = graph.float(self.factor());
        Some(graph.binary("Mul", &x.name, &factor))
    }
}
