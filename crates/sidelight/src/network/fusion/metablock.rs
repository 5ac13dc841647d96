//! MetaBlock: gates and offsets through tanh and σ.
//!
//! `y = σ(tanh(f(m) · x) + g(m))`, with `f` and `g` linear in the metadata.
//!
//! # Source
//!
//! Pacheco and Krohling 2021, "An attention-based mechanism to combine images and metadata in deep learning
//! models applied to skin cancer classification", IEEE J. Biomedical and Health Informatics 25(9), eq. 3.
//! Departs from it: `f` starts at 1 and `g` at 0, and `f`'s offset is that 1. It squashes the features into (0, 1),
//! so that even zero metadata changes the image model; the head starts anew with it.

use burn::tensor::{Tensor, activation::sigmoid};

use super::{FusionSpec, source};
use crate::network::layer::{Layer, Linear};
use crate::network::plan::Plan;
use crate::network::value::Value;

pub(super) fn children(spec: &FusionSpec) -> Vec<(&'static str, Plan)> {
    let out = 2 * spec.map.channels();
    vec![
        ("embed", source(spec)),
        ("fc", Layer::Linear(Linear::new(0, out).zeros()).into()),
    ]
}

/// `control`: `[batch, 2 · channels]`, `f − 1` first.
pub(super) fn block(x: Value, control: Tensor<2>) -> Value {
    let channels = control.dims()[1] / 2;
    let factor = control.clone().narrow(1, 0, channels) + 1.0; // [batch, channels]
    let offset = control.narrow(1, channels, channels); // [batch, channels]
    let squashed = match x.times_channels(factor) {
        Value::Map(x) => Value::Map(x.tanh()),
        Value::Tokens(x) => Value::Tokens(x.tanh()),
        Value::Features(x) => Value::Features(x.tanh()),
        Value::Nothing => Value::Nothing,
    };
    match squashed.plus_channels(offset) {
        Value::Map(x) => Value::Map(sigmoid(x)),
        Value::Tokens(x) => Value::Tokens(sigmoid(x)),
        Value::Features(x) => Value::Features(sigmoid(x)),
        Value::Nothing => Value::Nothing,
    }
}
