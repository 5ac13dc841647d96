//! Layer normalisation.

use super::prelude::*;
use crate::tensor::{layer_norm, layer_norm_channels};

/// Normalisation over each row's features, each token, or the channels of each pixel.
///
/// # Source
///
/// Ba et al. 2016, "Layer Normalization", arXiv:1607.06450.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LayerNorm {
    /// Features or channels; 0: inferred.
    pub features: usize,
    /// Added to the variance. Default: 1e-5, torch's.
    pub epsilon: f64,
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self {
            features: 0,
            epsilon: 1e-5,
        }
    }
}

impl LayerNorm {
    /// With the ε of torchvision's and timm's transformers, 1e-6.
    pub fn of_transformers() -> Self {
        Self {
            epsilon: 1e-6,
            ..Self::default()
        }
    }
}

/// Refuses what no variance can be added to.
pub(super) fn check_epsilon(epsilon: f64, at: &At<'_>) -> Result<()> {
    match epsilon >= 0.0 && (epsilon as f32).is_finite() {
        true => Ok(()),
        false => Err(at.field("epsilon", "a number from 0 on", epsilon)),
    }
}

impl Leaf for LayerNorm {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let spec = |name, value| {
            let start = Initial::Constant(value);
            ParameterSpec::new(name, [self.features], ParameterKind::Norm, start)
        };
        vec![spec("weight", 1.0), spec("bias", 0.0)]
    }
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        if input == Shape::Nothing {
            return Err(at.misfit("a map, tokens or features", input, None));
        }
        at.width("features", &mut self.features, input.channels(), input)?;
        check_epsilon(self.epsilon, at)?;
        Ok(input)
    }
    fn forward(&self, node: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        let (weight, bias) = (node.parameters.d1("weight"), node.parameters.d1("bias"));
        match x {
            Value::Map(x) => Value::Map(layer_norm_channels(x, weight, bias, self.epsilon)),
            x => map_value!(x, x => layer_norm(x, weight, bias, self.epsilon)),
        }
    }
    fn onnx(&self, graph: &mut Graph, node: &Node, x: &Flow) -> Option<String> {
        let (weight, bias) = (
            parameter(graph, node, "weight"),
            parameter(graph, node, "bias"),
        );
        let is_map = matches!(x.shape, Shape::Map { .. });
        let y = match is_map {
            true => graph.transpose(&x.name, &[0, 2, 3, 1]),
            false => x.name.clone(),
        };
        let epsilon = ("epsilon", Attr::Float(self.epsilon as f32));
        let axis = ("axis", Attr::Int(-1));
        let y = graph.call(
            "LayerNormalization",
            &[&y, &weight, &bias],
            &[axis, epsilon],
        );
        Some(match is_map {
            true => graph.transpose(&y, &[0, 3, 1, 2]),
            false => y,
        })
    }
}
