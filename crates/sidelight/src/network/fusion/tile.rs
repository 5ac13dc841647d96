//! Tile: the metadata at every place of the map, as further channels. What `concat` is before a heatmap.
//!
//! `y = [x, m, ReLU(norm(W m))]`, the metadata the same at every pixel.
//!
//! # Source
//!
//! Concatenation at a spatial stage, as conditions are given to convolutional networks: Reed et al. 2016, "Generative
//! adversarial text to image synthesis", arXiv:1605.05396, section 4 (there after a linear layer; here beside it too).

use super::prelude::*;

pub(super) struct Tile;

impl Fuse for Tile {
    fn children(&self, spec: &FusionSpec) -> Children {
        let own = Architecture::sequence(head::branch(head::branch_width(spec.hidden)));
        let ways = [("direct", Layer::Identity.into()), ("own", own)];
        vec![
            ("embed", spec.source.architecture()),
            ("ways", Architecture::with(Layer::Concat, ways)),
        ]
    }
    fn output(&self, at: &At<'_>, input: Shape, control: Shape) -> Result<Shape> {
        match control {
            Shape::Features(n) => Ok(input.with_channels(input.channels() + n)),
            _ => Err(at.misfit("features from its children", control, None)),
        }
    }
    /// `control`: the further channels.
    fn forward(&self, x: Value, control: Tensor<2>) -> Value {
        let [_, n] = control.dims();
        match x {
            Value::Map(x) => {
                let [batch, _, height, width] = x.dims();
                let control = control
                    .reshape([batch, n, 1, 1])
                    .expand([batch, n, height, width]);
                Value::Map(Tensor::cat(vec![x, control], 1))
            }
            Value::Tokens(x) => {
                let [batch, tokens, _] = x.dims();
                let control = control.reshape([batch, 1, n]).expand([batch, tokens, n]);
                Value::Tokens(Tensor::cat(vec![x, control], 2))
            }
            Value::Features(x) => Value::Features(Tensor::cat(vec![x, control], 1)),
            Value::Nothing => Value::Features(control),
        }
    }
    fn onnx(&self, graph: &mut Graph, x: &Flow, control: &Flow) -> String {
        let n = control.shape.channels() as i64;
        let control = &control.name;
        match x.shape {
            Shape::Nothing => control.clone(),
            Shape::Features(_) => graph.concat(&[&x.name, control], 1),
            // To an axis of 1 an expansion by 1 gives nothing: the batch keeps its length.
            Shape::Tokens { n: tokens, .. } => {
                let control = graph.unsqueeze(control, &[1]);
                let shape = graph.ints(&[1, tokens as i64, n]);
                let control = graph.binary("Expand", &control, &shape);
                graph.concat(&[&x.name, &control], 2)
            }
            Shape::Map { height, width, .. } => {
                let control = graph.unsqueeze(control, &[2, 3]);
                let shape = graph.ints(&[1, n, height as i64, width as i64]);
                let control = graph.binary("Expand", &control, &shape);
                graph.concat(&[&x.name, &control], 1)
            }
        }
    }
}
