//! DAFT: scale and offset per channel, decided by the metadata and the pooled image together.
//!
//! `y = (1 + α(x̄, m)) · x + β(x̄, m)`, with `x̄` the mean over all positions and `[α, β]` from a bottleneck network.
//!
//! # Source
//!
//! Pölsterl et al. 2021, "Combining 3D image and tabular data via the Dynamic Affine Feature map Transform",
//! arXiv:2107.05990, eq. 1–3. Departs from it: the scale is `1 + α` and the last layer starts as zeros, so
//! that the image model starts unchanged; bottleneck of (channels + metadata) / 7 as theirs, but at least 8.

use super::{FusionSpec, source};
use crate::network::layer::{Layer, Linear};
use crate::network::plan::Plan;

pub(super) fn children(spec: &FusionSpec) -> Vec<(&'static str, Plan)> {
    let channels = spec.map.channels();
    let squeezed = ((channels + spec.source.width()) / 7).max(8);
    let joined = [
        ("image", Plan::leaf(Layer::Identity)),
        ("embed", source(spec)),
    ];
    vec![
        ("join", Plan::with(Layer::Concat, joined)),
        (
            "fc1",
            Layer::Linear(Linear::new(0, squeezed).without_bias()).into(),
        ),
        ("relu", Layer::Relu.into()),
        (
            "fc2",
            Layer::Linear(Linear::new(0, 2 * channels).without_bias().zeros()).into(),
        ),
    ]
}
