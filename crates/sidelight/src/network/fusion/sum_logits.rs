//! Sum of logits: a model of the image and a model of the metadata, their outputs added.
//!
//! `y = head(x) + W₂ ReLU(W₁ m) + W₃ m`.
//!
//! # Source
//!
//! Late fusion of Baltrušaitis et al. 2019, "Multimodal machine learning", arXiv:1705.09406, section 6.1,
//! trained jointly. Both ways end in layers of zeros: training starts at the mean of the targets.

use super::{FusionSpec, Parts, source};
use crate::network::layer::{Layer, Linear};
use crate::network::plan::Plan;

pub(super) fn build(spec: &FusionSpec) -> Parts {
    let width = if spec.hidden > 0 { spec.hidden / 2 } else { 64 };
    let deep = Plan::sequence([
        (
            "fc1",
            Plan::leaf(Layer::Linear(Linear::new(0, width.max(8)))),
        ),
        ("relu", Layer::Relu.into()),
        (
            "fc2",
            Layer::Linear(Linear::new(0, spec.n_outputs).zeros()).into(),
        ),
    ]);
    let wide = Plan::leaf(Layer::Linear(Linear::new(0, spec.n_outputs).zeros()));
    let metadata = Plan::sequence([
        ("embed", source(spec)),
        (
            "ways",
            Plan::with(Layer::Sum, [("deep", deep), ("wide", wide)]),
        ),
    ]);
    let image = crate::network::head::image(spec.reads, spec.hidden, spec.dropout, spec.n_outputs);
    // Each branch's output is what the auxiliary loss reads.
    let own_loss = |branch: Plan| {
        if !spec.auxiliary {
            return branch;
        }
        let own = Plan::with(Layer::Auxiliary, [("same", Plan::leaf(Layer::Identity))]);
        Plan::sequence([("branch", branch), ("auxiliary", own)])
    };
    let (image, metadata) = (own_loss(image), own_loss(metadata));
    Parts {
        at_map: None,
        at_features: None,
        head: Plan::with(Layer::Sum, [("image", image), ("metadata", metadata)]),
    }
}
