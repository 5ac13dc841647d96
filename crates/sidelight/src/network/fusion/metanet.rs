//! MetaNet: the metadata gives each channel a factor in (0, 1).
//!
//! `y = σ(W₂ ReLU(W₁ m)) · x`.
//!
//! # Source
//!
//! Li et al. 2020, "Fusing metadata and dermoscopy images for skin disease diagnosis", ISBI, section 2.2.
//! Departs from it: `W₂` starts as zeros, so that every channel starts at one half
//! (the image's features keep their proportions).

use super::prelude::*;

pub(super) struct Metanet;

impl Fuse for Metanet {
    fn children(&self, spec: &FusionSpec) -> Children {
        two_layers(spec, 256, spec.map.channels())
    }
    /// `control`: the factors before σ.
    fn forward(&self, x: Value, control: Tensor<2>) -> Value {
        x.times_channels(sigmoid(control))
    }
    fn onnx(&self, graph: &mut Graph, x: &Flow, control: &Flow) -> String {
        let gate = graph.unary("Sigmoid", &control.name);
        times_channels(graph, x, &gate)
    }
}
