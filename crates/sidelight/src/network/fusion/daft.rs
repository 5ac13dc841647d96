//! DAFT: scale and offset per channel, decided by the metadata and the pooled image together.
//!
//! `y = (1 + α(x̄, m)) · x + β(x̄, m)`, with `x̄` the mean over all positions and `[α, β]` from a bottleneck network.
//!
//! # Source
//!
//! Pölsterl et al. 2021, "Combining 3D image and tabular data via the Dynamic Affine Feature map Transform",
//! arXiv:2107.05990, eq. 1–3. Departs from it: the scale is `1 + α` and the last layer starts as zeros, so
//! that the image model starts unchanged; bottleneck of (channels + metadata) / 7 as theirs, but at least 8.

use super::film::{modulate, modulate_onnx};
use super::prelude::*;

pub(super) struct Daft;

impl Fuse for Daft {
    fn reads_image(&self) -> bool {
        true
    }
    fn children(&self, spec: &FusionSpec) -> Children {
        let channels = spec.map.channels();
        let squeezed = ((channels + spec.source.width()) / 7).max(8);
        let last = Linear::new(2 * channels).without_bias().zeros();
        vec![
            ("join", image_and_metadata(spec)),
            ("fc1", Linear::new(squeezed).without_bias().into()),
            ("relu", Layer::Relu.into()),
            ("fc2", last.into()),
        ]
    }
    fn n_controls(&self, channels: usize) -> usize {
        2 * channels
    }
    /// `control`: the scales α, then the offsets β.
    fn forward(&self, x: Value, control: Tensor<2>) -> Value {
        modulate(x, control)
    }
    fn onnx(&self, graph: &mut Graph, x: &Flow, control: &Flow) -> String {
        modulate_onnx(graph, x, control)
    }
}
