//! Gate: squeeze-and-excitation whose gates the metadata and the image decide together.
//!
//! `y = 2 σ(W₂ ReLU(W₁ [x̄, m])) · x`, with `x̄` the mean over all positions.
//!
//! # Source
//!
//! Hu et al. 2018, "Squeeze-and-excitation networks", arXiv:1709.01507, eq. 2–4, and the multimodal form of
//! Joze et al. 2020, "MMTM", arXiv:1911.08670, eq. 4–5 (their factor 2). `W₂` starts as zeros: the image model
//! starts unchanged.

use super::prelude::*;

pub(super) struct Gate;

impl Fuse for Gate {
    fn reads_image(&self) -> bool {
        true
    }
    fn children(&self, spec: &FusionSpec) -> Children {
        let channels = spec.map.channels();
        vec![
            ("join", image_and_metadata(spec)),
            ("fc1", Linear::new((channels / 4).max(8)).into()),
            ("relu", Layer::Relu.into()),
            ("fc2", Linear::new(channels).zeros().into()),
        ]
    }
    /// `control`: the gates before σ.
    fn forward(&self, x: Value, control: Tensor<2>) -> Value {
        x.times_channels(sigmoid(control) * 2.0)
    }
    fn onnx(&self, graph: &mut Graph, x: &Flow, control: &Flow) -> String {
        let gate = graph.unary("Sigmoid", &control.name);
        let two = graph.float(2.0);
        let gate = graph.binary("Mul", &gate, &two);
        times_channels(graph, x, &gate)
    }
}
