//! FiLM: the metadata scales and shifts each channel of the backbone's last map.
//!
//! `y = (1 + γ(m)) · x + β(m)`, with `[γ, β]` from a network of one hidden layer.
//!
//! # Source
//!
//! Perez et al. 2018, "FiLM: visual reasoning with a general conditioning layer", arXiv:1709.07871, eq. 1–2.
//! Departs from it: the scale is `1 + γ` and the last layer starts as zeros, so that the image model
//! starts unchanged; one place (the last map) instead of every block.

use super::prelude::*;

pub(super) struct Film;

impl Fuse for Film {
    fn children(&self, spec: &FusionSpec) -> Children {
        two_layers(spec, 64, 2 * spec.map.channels())
    }
    fn n_controls(&self, channels: usize) -> usize {
        2 * channels
    }
    /// `control`: the scales γ, then the offsets β.
    fn forward(&self, x: Value, control: Tensor<2>) -> Value {
        modulate(x, control)
    }
    fn onnx(&self, graph: &mut Graph, x: &Flow, control: &Flow) -> String {
        modulate_onnx(graph, x, control)
    }
}

/// `(1 + γ) · x + β` of a control `[γ, β]`, `[batch, 2 · channels]`.
pub(super) fn modulate(x: Value, control: Tensor<2>) -> Value {
    let (factor, offset) = halves(control);
    x.times_channels(factor).plus_channels(offset)
}

/// [`modulate`] as nodes.
pub(super) fn modulate_onnx(graph: &mut Graph, x: &Flow, control: &Flow) -> String {
    let (factor, offset) = onnx_halves(graph, x, control);
    let y = times_channels(graph, x, &factor);
    plus_channels(graph, &x.named(y), &offset)
}
