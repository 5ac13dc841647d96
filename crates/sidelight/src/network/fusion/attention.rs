//! Attention: the metadata asks where in the image to look.
//!
//! `a = softmax over positions of ⟨q(m), x⟩ / √channels`, `y = x · (positions · a)`: the map weighed by where
//! the metadata looks, so that its mean over positions is the attended sum `Σ a x`.
//!
//! # Source
//!
//! Scaled dot products of Vaswani et al. 2017, arXiv:1706.03762, eq. 1, with one query from the metadata and the
//! positions of the last map as keys and values, as in the attention pooling of Ilse et al. 2018, arXiv:1802.04712.
//! `q`'s last layer starts as zeros: attention starts uniform and the image model unchanged.

use burn::tensor::activation::softmax;

use super::prelude::*;

pub(super) struct Attention;

impl Fuse for Attention {
    fn accepts(&self, at: &At<'_>, input: Shape) -> Result<()> {
        if matches!(input, Shape::Map { .. } | Shape::Tokens { .. }) {
            return Ok(());
        }
        let fit = "it belongs before the pooling, where there are places to look at".to_owned();
        Err(at.misfit("a map or tokens", input, Some(fit)))
    }
    fn children(&self, spec: &FusionSpec) -> Children {
        two_layers(spec, 64, spec.map.channels())
    }
    /// `control`: the query.
    fn forward(&self, x: Value, control: Tensor<2>) -> Value {
        match x {
            Value::Map(x) => {
                let [batch, channels, height, width] = x.dims();
                let n = height * width;
                let keys = x.clone().reshape([batch, channels, n]).swap_dims(1, 2); // [batch, n, channels]
                Value::Map(x * weights(keys, control, n).reshape([batch, 1, height, width]))
            }
            Value::Tokens(x) => {
                let n = x.dims()[1];
                Value::Tokens(x.clone() * weights(x, control, n))
            }
            other => other,
        }
    }
    fn onnx(&self, graph: &mut Graph, x: &Flow, control: &Flow) -> String {
        let (channels, n) = (x.shape.channels(), x.shape.positions());
        let root = graph.float((channels as f32).sqrt());
        let count = graph.float(n as f32);
        let weights = |graph: &mut Graph, scores: String, axis: i64| {
            let scores = graph.binary("Div", &scores, &root);
            let weights = graph.call("Softmax", &[&scores], &[("axis", Attr::Int(axis))]);
            graph.binary("Mul", &weights, &count)
        };
        let weights = match x.shape {
            Shape::Map { height, width, .. } => {
                let values = graph.reshape(&x.name, &[0, channels as i64, n as i64]);
                let query = graph.unsqueeze(&control.name, &[1]); // [n, 1, channels]
                let scores = graph.binary("MatMul", &query, &values); // [n, 1, positions]
                let weights = weights(graph, scores, 2);
                graph.reshape(&weights, &[0, 1, height as i64, width as i64])
            }
            _ => {
                let query = graph.unsqueeze(&control.name, &[2]); // [n, channels, 1]
                let scores = graph.binary("MatMul", &x.name, &query); // [n, tokens, 1]
                weights(graph, scores, 1)
            }
        };
        graph.binary("Mul", &x.name, &weights)
    }
}

/// `[batch, n, 1]`, of mean 1 over the n positions.
fn weights(keys: Tensor<3>, query: Tensor<2>, n: usize) -> Tensor<3> {
    let [batch, channels] = query.dims();
    let scores = keys.matmul(query.reshape([batch, channels, 1])) / (channels as f64).sqrt(); // [batch, n, 1]
    softmax(scores, 1) * (n as f64)
}
