//! Self-attention.

use burn::tensor::activation::softmax;

use super::linear::onnx_of_tokens;
use super::prelude::*;
use crate::tensor::linear_tokens;

/// Multi-head self-attention over tokens, with timm's and DINOv2's names
/// (`qkv.weight`, `qkv.bias`, `proj.weight`, `proj.bias`).
///
/// # Shapes
///
/// - input and output: `[batch, tokens, width]`
///
/// # Source
///
/// Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762, section 3.2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelfAttention {
    /// Width of a token; 0: inferred.
    #[serde(default)]
    pub width: usize,
    /// Heads, a divisor of the width.
    pub heads: usize,
}

impl SelfAttention {
    /// With so many heads, which must divide the tokens' width.
    pub fn new(heads: usize) -> Self {
        Self { width: 0, heads }
    }
}

impl Leaf for SelfAttention {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let width = self.width;
        let weight = |name, out| {
            let start = Initial::Normal(0.02);
            ParameterSpec::new(name, [out, width], ParameterKind::Weight, start)
        };
        let bias = |name, out| {
            ParameterSpec::new(name, [out], ParameterKind::Bias, Initial::Constant(0.0))
        };
        vec![
            weight("qkv.weight", 3 * width),
            bias("qkv.bias", 3 * width),
            weight("proj.weight", width),
            bias("proj.bias", width),
        ]
    }
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        let Shape::Tokens { width, .. } = input else {
            return Err(at.misfit("tokens", input, None));
        };
        at.width("width", &mut self.width, width, input)?;
        if self.heads == 0 || width % self.heads != 0 {
            return Err(at.field("heads", format!("a divisor of {width}"), self.heads));
        }
        Ok(input)
    }
    fn multiply_adds(&self, input: Shape, _: Shape) -> usize {
        let n = input.positions();
        4 * n * self.width * self.width + 2 * n * n * self.width
    }
    fn forward(&self, node: &Node, x: Value, _: &mut Walk<'_>) -> Value {
        let x = x.tokens();
        let [batch, tokens, width] = x.dims();
        let each = width / self.heads;
        let qkv = linear_tokens(
            x,
            node.parameters.d2("qkv.weight"),
            Some(node.parameters.d1("qkv.bias")),
        )
        .reshape([batch, tokens, 3, self.heads, each])
        .permute([2, 0, 3, 1, 4]); // [3, batch, heads, tokens, each]
        let part = |i| {
            qkv.clone()
                .narrow(0, i, 1)
                .reshape([batch, self.heads, tokens, each])
        };
        let weights = softmax(
            part(0).matmul(part(1).swap_dims(2, 3)) / (each as f64).sqrt(),
            3,
        ); // [batch, heads, tokens, tokens]
        let joined = weights
            .matmul(part(2))
            .swap_dims(1, 2)
            .reshape([batch, tokens, width]);
        Value::Tokens(linear_tokens(
            joined,
            node.parameters.d2("proj.weight"),
            Some(node.parameters.d1("proj.bias")),
        ))
    }
    fn onnx(&self, graph: &mut Graph, node: &Node, x: &Flow) -> Option<String> {
        let Shape::Tokens { n, width } = x.shape else {
            return None;
        };
        let each = width / self.heads;
        let [n, width, heads, of_head] = [n, width, self.heads, each].map(|n| n as i64);
        let matrix = parameter(graph, node, "qkv.weight");
        let bias = parameter(graph, node, "qkv.bias");
        let qkv = onnx_of_tokens(graph, &x.name, &matrix, Some(&bias));
        let qkv = graph.reshape(&qkv, &[0, n, 3, heads, of_head]);
        let qkv = graph.transpose(&qkv, &[2, 0, 3, 1, 4]); // [3, batch, heads, tokens, each]
        let [queries, keys, values] = [0, 1, 2].map(|part| {
            let part = graph.int(part);
            graph.call("Gather", &[&qkv, &part], &[("axis", Attr::Int(0))])
        });
        let keys = graph.transpose(&keys, &[0, 1, 3, 2]);
        let scores = graph.binary("MatMul", &queries, &keys);
        let root = graph.float((each as f32).sqrt());
        let scores = graph.binary("Div", &scores, &root);
        let weights = graph.call("Softmax", &[&scores], &[("axis", Attr::Int(3))]);
        let joined = graph.binary("MatMul", &weights, &values); // [batch, heads, tokens, each]
        let joined = graph.transpose(&joined, &[0, 2, 1, 3]);
        let joined = graph.reshape(&joined, &[0, n, width]);
        let matrix = parameter(graph, node, "proj.weight");
        let bias = parameter(graph, node, "proj.bias");
        Some(onnx_of_tokens(graph, &joined, &matrix, Some(&bias)))
    }
}
