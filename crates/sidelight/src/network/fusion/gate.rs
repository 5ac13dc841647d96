//! Gate: squeeze-and-excitation whose gates the metadata and the image decide together.
//!
//! `y = 2 σ(W₂ ReLU(W₁ [x̄, m])) · x`, with `x̄` the mean over all positions.
//!
//! # Source
//!
//! Hu et al. 2018, "Squeeze-and-excitation networks", arXiv:1709.01507, eq. 2–4, and the multimodal form of
//! Joze et al. 2020, "MMTM", arXiv:1911.08670, eq. 4–5 (their factor 2). `W₂` starts as zeros: the image model
//! starts unchanged.

use burn::tensor::{Tensor, activation::sigmoid};

use super::{FusionSpec, source};
use crate::network::layer::{Layer, Linear};
use crate::network::plan::Plan;
use crate::network::value::Value;

pub(super) fn children(spec: &FusionSpec) -> Vec<(&'static str, Plan)> {
    let channels = spec.map.channels();
    let joined = [
        ("image", Plan::leaf(Layer::Identity)),
        ("embed", source(spec)),
    ];
    vec![
        ("join", Plan::with(Layer::Concat, joined)),
        (
            "fc1",
            Layer::Linear(Linear::new(0, (channels / 4).max(8))).into(),
        ),
        ("relu", Layer::Relu.into()),
        (
            "fc2",
            Layer::Linear(Linear::new(0, channels).zeros()).into(),
        ),
    ]
}

/// `control`: `[batch, channels]`.
pub(super) fn gate(x: Value, control: Tensor<2>) -> Value {
    x.times_channels(sigmoid(control) * 2.0)
}
