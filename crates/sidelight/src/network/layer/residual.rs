//! Residual blocks: a body and a way around it.

use schemars::Schema;
use serde_json::{Value as Json, json};

use super::prelude::*;
use crate::network::onnx::scaled;
use crate::network::run::{End, run_children};
use crate::tensor::{activate, add_activate};

/// The child of a residual block that the input goes through on its way around the body; torchvision's name.
const SHORTCUT: &str = "downsample";

/// `y = body(x) + shortcut(x)`.
///
/// # Source
///
/// He et al. 2016, "Deep residual learning", arXiv:1512.03385. The factor per channel: Liu et al. 2022, arXiv:2201.03545.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = with_old_name)]
pub struct Residual {
    /// Whether a ReLU follows the sum. Default: false.
    pub relu_after: bool,
    /// A child before which a second residual begins, as in a transformer's block: `x = x + a(x)`, then `x + b(x)`.
    /// Empty, the default: there is one.
    #[serde(alias = "again_at", skip_serializing_if = "String::is_empty")]
    pub second_residual_at: String,
    /// Channels of a learned factor of the body, the parameter `layer_scale` `[channels, 1, 1]`, applied
    /// before a `stochastic_depth` child. Default: 0, none.
    #[serde(skip_serializing_if = "is_default")]
    pub layer_scale: usize,
}

/// The old name of a field, which is still read, in the schema (the derive does not see aliases).
fn with_old_name(schema: &mut Schema) {
    if let Some(Json::Object(fields)) = schema.get_mut("properties") {
        let description = "An old name of `second_residual_at`.";
        let old = json!({ "description": description, "type": "string", "deprecated": true });
        fields.insert("again_at".into(), old);
    }
}

impl Operation for Residual {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let shape = [self.layer_scale, 1, 1];
        let start = Initial::Constant(1e-6);
        let scale = ParameterSpec::new("layer_scale", shape, ParameterKind::Norm, start);
        (self.layer_scale > 0)
            .then_some(scale)
            .into_iter()
            .collect()
    }

    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        let (mut output, mut shortcut) = (input, input);
        for i in 0..inside.len() {
            if inside.name(i) == SHORTCUT {
                shortcut = inside.child(i, input)?;
                continue;
            }
            if inside.name(i) == self.second_residual_at {
                refuse_difference(&inside.at, shortcut, output)?;
                shortcut = output;
            }
            output = inside.child(i, output)?;
        }
        refuse_difference(&inside.at, shortcut, output)?;
        if self.layer_scale > 0 && self.layer_scale != output.channels() {
            let expected = format!("{} as its channels", output.channels());
            return Err(inside.at.field("layer_scale", expected, self.layer_scale));
        }
        Ok(output)
    }

    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let (shortcut, body) = parts(node);
        let relu = self.relu_after.then_some(Activation::Relu);
        let other = shortcut.into_iter().fold(x.clone(), |x, (name, child)| {
            walk.within(name, |walk| child.forward(x, walk))
        });
        // In every backbone the body lies before the shortcut; where it does not, it is run layer by layer below.
        let is_together = node.children[..body.len()]
            .iter()
            .all(|(name, _)| name != SHORTCUT);
        let is_plain = self.layer_scale == 0 && self.second_residual_at.is_empty();
        if let (true, true, Value::Map(map)) = (is_plain, is_together, &other) {
            let end = End {
                other: map.clone(),
                then: relu,
            };
            return match run_children(&node.children[..body.len()], x, walk, Some(end)) {
                (Value::Map(y), Some(End { other, then })) => {
                    Value::Map(add_activate(y, other, then))
                }
                (y, _) => y,
            };
        }
        let sum = self.run_one_by_one(node, &body, x, other, walk);
        match relu {
            Some(relu) => map_value!(sum, sum => activate(sum, relu)),
            None => sum,
        }
    }

    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String> {
        let (shortcut, body) = parts(node);
        let mut other = x.clone();
        for child in shortcut {
            other = walk.child(path, child, other)?;
        }
        let mut y = x;
        let mut is_scaled = self.layer_scale == 0;
        for child in body {
            if child.0 == self.second_residual_at {
                y = y.named(walk.graph.binary("Add", &y.name, &other.name));
                other = y.clone();
            }
            if matches!(child.1.layer, Layer::DropPath(_)) && !is_scaled {
                y = write_scale(walk.graph, node, &y);
                is_scaled = true;
            }
            y = walk.child(path, child, y)?;
        }
        if !is_scaled {
            y = write_scale(walk.graph, node, &y);
        }
        let sum = walk.graph.binary("Add", &y.name, &other.name);
        Ok(match self.relu_after {
            true => walk.graph.unary("Relu", &sum),
            false => sum,
        })
    }
}

impl Residual {
    /// The body layer by layer, with its factor and its second sum where it has them, plus the shortcut's result.
    fn run_one_by_one(
        &self,
        node: &Node,
        body: &[&(String, Node)],
        x: Value,
        other: Value,
        walk: &mut Walk<'_>,
    ) -> Value {
        let (mut y, mut other) = (x, other);
        // ConvNeXt's factor stands between the body and its stochastic depth.
        let mut scale = (self.layer_scale > 0).then(|| {
            let scale = node.parameters.d3("layer_scale");
            scale.reshape([self.layer_scale])
        });
        for (name, child) in body {
            if *name == self.second_residual_at {
                y = y.plus(other);
                other = y.clone();
            }
            if matches!(child.layer, Layer::DropPath(_))
                && let Some(scale) = scale.take()
            {
                y = y.scaled(scale);
            }
            y = walk.within(name, |walk| child.forward(y, walk));
        }
        if let Some(scale) = scale {
            y = y.scaled(scale);
        }
        y.plus(other)
    }
}

/// Layers by name.
type Named<'a> = Vec<&'a (String, Node)>;

/// The children around the body, and those of the body.
fn parts(node: &Node) -> (Named<'_>, Named<'_>) {
    node.children.iter().partition(|(name, _)| name == SHORTCUT)
}

fn write_scale(graph: &mut Graph, node: &Node, y: &Flow) -> Flow {
    let factor = parameter(graph, node, "layer_scale"); // [channels, 1, 1]
    let factor = graph.reshape(&factor, &[-1]);
    y.named(scaled(graph, y, &factor))
}

/// Both ways of a block must come to the same shape; the error names the shortcut that would make them so.
fn refuse_difference(at: &At<'_>, shortcut: Shape, output: Shape) -> Result<()> {
    if output == shortcut {
        return Ok(());
    }
    let expected = format!("the same from its body and its shortcut ({shortcut})");
    let fit = match (shortcut, output) {
        (
            Shape::Map { height, .. },
            Shape::Map {
                channels,
                height: out,
                ..
            },
        ) if out > 0 && height % out == 0 => Some(format!(
            "give it a shortcut: {{ op = \"append\", path = \"{}\", name = \"downsample\", \
             layer = {{ kind = \"conv2d\", out_channels = {channels}, kernel = 1, stride = {} }} }}",
            at.path,
            height / out
        )),
        _ => None,
    };
    Err(at.misfit(expected, output, fit))
}
