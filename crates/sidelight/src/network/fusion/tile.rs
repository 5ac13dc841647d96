//! Tile: the metadata at every place of the map, as further channels. What `concat` is before a heatmap.
//!
//! `y = [x, m, ReLU(norm(W m))]`, the metadata the same at every pixel.
//!
//! # Source
//!
//! Concatenation at a spatial stage, as conditions are given to convolutional networks: Reed et al. 2016, "Generative
//! adversarial text to image synthesis", arXiv:1605.05396, section 4 (there after a linear layer; here beside it too).

use burn::tensor::Tensor;

use super::{FusionSpec, source};
use crate::network::head;
use crate::network::layer::Layer;
use crate::network::plan::Plan;
use crate::network::value::Value;

pub(super) fn children(spec: &FusionSpec) -> Vec<(&'static str, Plan)> {
    let own = Plan::sequence(head::branch(head::joined(spec.hidden)));
    let ways = [("direct", Plan::leaf(Layer::Identity)), ("own", own)];
    vec![
        ("embed", source(spec)),
        ("ways", Plan::with(Layer::Concat, ways)),
    ]
}

/// `control`: `[batch, channels of the metadata]`.
pub(super) fn tile(x: Value, control: Tensor<2>) -> Value {
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
