//! FiLM: the metadata scales and shifts each channel of the backbone's last map.
//!
//! `y = (1 + γ(m)) · x + β(m)`, with `[γ, β]` from a network of one hidden layer.
//!
//! # Source
//!
//! Perez et al. 2018, "FiLM: visual reasoning with a general conditioning layer", arXiv:1709.07871, eq. 1–2.
//! Departs from it: the scale is `1 + γ` and the last layer starts as zeros, so that the image model
//! starts unchanged; one place (the last map) instead of every block.

use burn::tensor::Tensor;

use super::{FusionSpec, two_layers};
use crate::network::plan::Plan;
use crate::network::value::Value;

pub(super) fn children(spec: &FusionSpec) -> Vec<(&'static str, Plan)> {
    two_layers(spec, 64, 2 * spec.map.channels())
}

/// `control`: `[batch, 2 · channels]`, the scales first.
pub(super) fn modulate(x: Value, control: Tensor<2>) -> Value {
    let channels = control.dims()[1] / 2;
    let scale = control.clone().narrow(1, 0, channels) + 1.0; // [batch, channels]
    let offset = control.narrow(1, channels, channels); // [batch, channels]
    x.times_channels(scale).plus_channels(offset)
}
