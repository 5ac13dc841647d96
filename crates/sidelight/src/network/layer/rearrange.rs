//! Layers that choose, scale, move or flatten what comes in.

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

/// One learned factor and one learned offset for all numbers, the parameters `scale` and `bias`, `[1]` each.
///
/// # Source
///
/// `LearnableAffineBlock` of PaddlePaddle's PP-HGNetV2 (PaddleClas, `pp_hgnet_v2.py`); there is no paper.
pub(super) struct Affine;

impl Leaf for Affine {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let spec = |name, start| {
            ParameterSpec::new(name, [1], ParameterKind::Norm, Initial::Constant(start))
        };
        vec![spec("scale", 1.0), spec("bias", 0.0)]
    }
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        match input {
            Shape::Nothing => Err(at.misfit("a map, tokens or features", input, None)),
            _ => Ok(input),
        }
    }
    fn forward(&self, node: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        let (scale, bias) = (node.parameters.d1("scale"), node.parameters.d1("bias"));
        map_value!(x, x => affine(x, scale, bias))
    }
    fn onnx(&self, graph: &mut Graph, node: &Node, x: &Flow) -> Option<String> {
        let (scale, bias) = (
            parameter(graph, node, "scale"),
            parameter(graph, node, "bias"),
        );
        let y = graph.binary("Mul", &x.name, &scale);
        Some(graph.binary("Add", &y, &bias))
    }
}

/// In one pass over memory: as a normalisation that finds the mean 0 and the variance 1.
fn affine<const D: usize>(x: Tensor<D>, scale: Tensor<1>, bias: Tensor<1>) -> Tensor<D> {
    let (n, device) = (x.dims()[1], x.device());
    let (mean, variance) = (Tensor::zeros([n], &device), Tensor::ones([n], &device));
    tensor::batch_norm(x, scale.expand([n]), bias.expand([n]), mean, variance, 0.0)
}

/// Zeros around a map.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pad {
    /// Rows above. Default: 0.
    pub top: usize,
    /// Columns on the left. Default: 0.
    pub left: usize,
    /// Rows below. Default: 0.
    pub bottom: usize,
    /// Columns on the right. Default: 0.
    pub right: usize,
}

impl Leaf for Pad {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        let [channels, height, width] = at.map(input)?;
        for (field, n, side) in [
            ("top", self.top, height),
            ("left", self.left, width),
            ("bottom", self.bottom, height),
            ("right", self.right, width),
        ] {
            if n > side {
                let expected = format!("at most {side}, the side of the map");
                return Err(at.field(field, expected, n));
            }
        }
        Ok(Shape::Map {
            channels,
            height: self.top + height + self.bottom,
            width: self.left + width + self.right,
        })
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        let sides = (self.left, self.right, self.top, self.bottom);
        Value::Map(x.map().pad(sides, 0.0))
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        let before = [0, 0, self.top, self.left];
        let after = [0, 0, self.bottom, self.right];
        let sides: Vec<i64> = before.into_iter().chain(after).map(|n| n as i64).collect();
        let sides = graph.ints(&sides);
        Some(graph.call("Pad", &[&x.name, &sides], &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::shape;

    #[test]
    fn zeros_around_a_map_are_no_wider_than_it() {
        let inferred = |pad: Pad| {
            let mut pad = Architecture::from(pad);
            Ok::<_, Error>(shape::infer(&mut pad, Shape::square(4, 8))?[0].output)
        };
        let below = Pad {
            bottom: 2,
            left: 1,
            ..Pad::default()
        };
        let expected = Shape::Map {
            channels: 4,
            height: 10,
            width: 9,
        };
        assert_eq!(inferred(below).unwrap(), expected);
        let far = Pad {
            top: 9,
            ..Pad::default()
        };
        let said = inferred(far).unwrap_err().to_string();
        assert!(said.contains("at most 8"), "{said}");
    }
}
