//! From a map to tokens, and from tokens to features.

use super::prelude::*;

/// A map as a sequence of its pixels, row by row.
///
/// # Shapes
///
/// - input: `[batch, channels, height, width]`
/// - output: `[batch, height · width, channels]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToTokens {}

impl Leaf for ToTokens {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        let [channels, height, width] = at.map(input)?;
        Ok(Shape::Tokens {
            n: height * width,
            width: channels,
        })
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        Value::Tokens(x.map().flatten::<3>(2, 3).swap_dims(1, 2))
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        let (channels, n) = (x.shape.channels() as i64, x.shape.positions() as i64);
        let y = graph.reshape(&x.name, &[0, channels, n]);
        Some(graph.transpose(&y, &[0, 2, 1]))
    }
}

/// Puts a learned token first and adds a learned position to every token.
///
/// # Shapes
///
/// - input: `[batch, tokens, width]`; output: `[batch, tokens + 1, width]`
/// - `cls_token`: `[1, 1, width]`; `pos_embed`: `[1, tokens + 1, width]`
///
/// # Source
///
/// Dosovitskiy et al. 2021, "An image is worth 16×16 words", arXiv:2010.11929, eq. 1.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClassToken {
    /// Tokens that come in; 0: inferred.
    pub tokens: usize,
    /// Width of a token; 0: inferred.
    pub width: usize,
}

impl Leaf for ClassToken {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let spec = |name, tokens| {
            let start = Initial::Normal(0.02);
            ParameterSpec::new(name, [1, tokens, self.width], ParameterKind::Bias, start)
        };
        vec![spec("cls_token", 1), spec("pos_embed", self.tokens + 1)]
    }
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        let Shape::Tokens { n, width } = input else {
            return Err(at.misfit("tokens", input, None));
        };
        at.width("width", &mut self.width, width, input)?;
        at.width("tokens", &mut self.tokens, n, input)?;
        Ok(Shape::Tokens { n: n + 1, width })
    }
    fn forward(&self, node: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        let x = x.tokens();
        let [batch, _, width] = x.dims();
        let class = node.parameters.d3("cls_token").expand([batch, 1, width]);
        Value::Tokens(Tensor::cat(vec![class, x], 1) + node.parameters.d3("pos_embed"))
    }
    fn onnx(&self, graph: &mut Graph, node: &Node, x: &Flow) -> Option<String> {
        let class = parameter(graph, node, "cls_token"); // [1, 1, width]
        let positions = parameter(graph, node, "pos_embed");
        // As many of it as there are rows.
        let batch = graph.unary("Shape", &x.name);
        let batch = graph.slice(&batch, 0, 1, 0);
        let rest = graph.ints(&[1, self.width as i64]);
        let shape = graph.concat(&[&batch, &rest], 0);
        let class = graph.binary("Expand", &class, &shape);
        let y = graph.concat(&[&class, &x.name], 1);
        Some(graph.binary("Add", &y, &positions))
    }
}

pub(super) struct FirstToken;

impl Leaf for FirstToken {
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        match input {
            Shape::Tokens { width, .. } => Ok(Shape::Features(width)),
            other => Err(at.misfit("tokens", other, None)),
        }
    }
    fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        let x = x.tokens();
        let [batch, _, width] = x.dims();
        Value::Features(x.narrow(1, 0, 1).reshape([batch, width]))
    }
    fn onnx(&self, graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
        let first = graph.int(0);
        Some(graph.call("Gather", &[&x.name, &first], &[("axis", Attr::Int(1))]))
    }
}
