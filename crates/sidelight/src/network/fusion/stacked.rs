//! Stacked: the default. Branches of the image, of the metadata and of both learn apart, and a factor each joins them.
//!
//! ```text
//! image    = head(x)                                    the head of a model of the image alone
//! trunk    = W₂ drop(ReLU(W₁ ReLU(norm(W x))))           what `joint` is without the metadata; for pooled features
//! metadata = W₃ drop(ReLU(W₂ drop(ReLU(W₁ p)))) + W₄ p     p: the metadata, its numbers also cut into pieces
//! joint    = concat(x, m)                               the fusion `concat`
//! trees    = base + Σ_t leaf_t(m)                       boosted trees; added before the first step, not for keypoints
//! y        = prior + Σ_b a_b (f_b − prior)                a_b ≥ 0, fitted to rows that no branch has learned from
//! ```
//!
//! Each branch has a loss of its own, so that none holds another back, and what a branch cannot say of rows that it has
//! not seen gets a factor of 0. A model of one input alone is the same network without the branches that read the other: what it
//! lacks is that input and nothing else, and a row that lacks an input is predicted as that model would.
//!
//! The trees do not depend on the rest: they are grown on the training rows when training begins, one model for each member and
//! its folds, and their factor is fitted like the others'. They find thresholds and pass over columns that say nothing,
//! which the other branches learn from few rows only at a price. So they are not given such columns: trees, correlation and what
//! an image leaves of the target decide which (`boosting/screen.rs`).
//!
//! # Source
//!
//! [`Stack`] has those of the factors. Losses of each branch: Wang et al. 2020, "What makes training multi-modal
//! classification networks hard?", arXiv:1905.12681. Numbers in pieces: [`PiecewiseLinear`].

use super::concat::Concat;
use super::prelude::*;
use crate::network::layer::{Branch, Dropout, PiecewiseLinear, Stack, Vote};

/// Dropout between the layers of the metadata's branch, where that of the head is not less.
const METADATA_DROPOUT: f64 = 0.1;

pub(super) struct Stacked;

impl Method for Stacked {
    fn layers(&self, spec: &FusionSpec) -> FusionLayers {
        stack(spec, None)
    }
    fn image_alone(&self, spec: &FusionSpec) -> FusionLayers {
        let source = MetadataSource::default();
        self.layers(&FusionSpec {
            source,
            ..spec.clone()
        })
    }
    fn metadata_alone(&self, spec: &FusionSpec) -> FusionLayers {
        self.layers(&FusionSpec {
            map: Shape::Nothing,
            ..spec.clone()
        })
    }
}

/// The branches, added; or image and metadata apart, whose votes are counted.
pub(super) fn stack(spec: &FusionSpec, vote: Option<Vote>) -> FusionLayers {
    let source = MetadataSource {
        screened: true,
        ..spec.source.clone()
    };
    let spec = &FusionSpec {
        source,
        ..spec.clone()
    };
    let branch = |name, image, metadata, layers| {
        (
            Branch {
                name: String::from(name),
                image,
                metadata,
                fitted: false,
            },
            layers,
        )
    };
    let (has_image, has_metadata) = (spec.map != Shape::Nothing, spec.source.width() > 0);
    let mut branches = Vec::new();
    if has_image {
        let head = |reads| head::image(reads, spec.hidden, spec.dropout, spec.n_outputs);
        branches.push(branch("image", true, false, head(spec.reads)));
        if spec.reads == head::Features::Pooled {
            branches.push(branch("trunk", true, false, head(head::Features::Grid)));
        }
    }
    if has_metadata {
        branches.push(branch("metadata", false, true, metadata(spec)));
    }
    if has_image && has_metadata && vote.is_none() {
        branches.push(branch("joint", true, true, joint(spec)));
    }
    let members = spec.stacking.members.max(1);
    let child = |(branch, layers): &(Branch, Architecture), k| {
        (format!("{}{k}", branch.name), layers.clone())
    };
    let children: Vec<_> = branches
        .iter()
        .flat_map(|branch| (0..members).map(|k| child(branch, k)))
        .collect();
    let stack = Stack {
        branches: branches.into_iter().map(|(branch, _)| branch).collect(),
        members,
        n_outputs: spec.n_outputs,
        missing: spec.stacking.missing.clone(),
        vote: vote.filter(|_| has_image && has_metadata),
    };
    FusionLayers {
        at_map: None,
        at_features: None,
        head: Architecture::with(stack, children),
    }
}

/// The metadata through a small network, and linearly.
fn metadata(spec: &FusionSpec) -> Architecture {
    let last = || Linear::new(spec.n_outputs).zeros().into();
    let mut deep = Vec::new();
    if spec.hidden > 0 {
        for _ in 0..2 {
            let dropout = Dropout {
                p: METADATA_DROPOUT.min(spec.dropout),
            };
            deep.extend([
                Linear::new(spec.hidden).into(),
                Layer::Relu.into(),
                dropout.into(),
            ]);
        }
    }
    deep.push(last());
    let ways = [("deep", Architecture::numbered(deep)), ("wide", last())];
    let numbers = spec.stacking.numbers.clone();
    Architecture::sequence([
        ("embed", spec.source.architecture()),
        ("pieces", PiecewiseLinear { numbers }.into()),
        ("ways", Architecture::with(Layer::Sum, ways)),
    ])
}

/// Both in one network.
fn joint(spec: &FusionSpec) -> Architecture {
    let layers = Concat.layers(spec);
    let join = layers.at_map.or(layers.at_features);
    let join = join.map(|join| ("join", join));
    Architecture::sequence(join.into_iter().chain([("head", layers.head)]))
}
