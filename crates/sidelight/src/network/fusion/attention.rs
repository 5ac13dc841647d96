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

use burn::tensor::{Tensor, activation::softmax};

use super::{FusionSpec, two_layers};
use crate::network::plan::Plan;
use crate::network::value::Value;

pub(super) fn children(spec: &FusionSpec) -> Vec<(&'static str, Plan)> {
    two_layers(spec, 64, spec.map.channels())
}

/// `control`: `[batch, channels]`, the query.
pub(super) fn look(x: Value, control: Tensor<2>) -> Value {
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

/// `[batch, n, 1]`, of mean 1 over the n positions.
fn weights(keys: Tensor<3>, query: Tensor<2>, n: usize) -> Tensor<3> {
    let [batch, channels] = query.dims();
    let scores = keys.matmul(query.reshape([batch, channels, 1])) / (channels as f64).sqrt(); // [batch, n, 1]
    softmax(scores, 1) * (n as f64)
}
