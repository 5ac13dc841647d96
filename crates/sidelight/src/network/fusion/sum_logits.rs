//! Sum of logits: a model of the image and a model of the metadata, their outputs added.
//!
//! `y = head(x) + W₂ ReLU(W₁ m) + W₃ m`.
//!
//! # Source
//!
//! Late fusion of Baltrušaitis et al. 2019, "Multimodal machine learning", arXiv:1705.09406, section 6.1,
//! trained jointly. Both ways end in layers of zeros: training starts at the mean of the targets.

use super::prelude::*;

pub(super) struct SumLogits;

impl Method for SumLogits {
    fn has_branches(&self) -> bool {
        true
    }
    fn layers(&self, spec: &FusionSpec) -> FusionLayers {
        let width = if spec.hidden > 0 { spec.hidden / 2 } else { 64 };
        let last = || Linear::new(spec.n_outputs).zeros().into();
        let deep = Architecture::sequence([
            ("fc1", Linear::new(width.max(8)).into()),
            ("relu", Layer::Relu.into()),
            ("fc2", last()),
        ]);
        let ways = Architecture::with(Layer::Sum, [("deep", deep), ("wide", last())]);
        let embed = spec.source.architecture();
        let metadata = Architecture::sequence([("embed", embed), ("ways", ways)]);
        let image = head::image(spec.reads, spec.hidden, spec.dropout, spec.n_outputs);
        let branches = [
            ("image", with_own_loss(spec, image)),
            ("metadata", with_own_loss(spec, metadata)),
        ];
        FusionLayers {
            at_map: None,
            at_features: None,
            head: Architecture::with(Layer::Sum, branches),
        }
    }
}

/// The branch, whose output an auxiliary loss reads where one is asked for.
fn with_own_loss(spec: &FusionSpec, branch: Architecture) -> Architecture {
    if spec.auxiliary == 0.0 {
        return branch;
    }
    let same = [("same", Layer::Identity.into())];
    let own = Architecture::with(Layer::Auxiliary, same);
    Architecture::sequence([("branch", branch), ("auxiliary", own)])
}
