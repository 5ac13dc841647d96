//! Concat: image features and metadata side by side.
//!
//! ```text
//! image    = drop(ReLU(norm(W x)))                         the pooled image, to the metadata's size
//! metadata = [m, ReLU(norm(W m))]                          as it is, and through a layer of its own
//! y        = W₂ dropout(ReLU(W₁ [image, metadata])) + W₃ m      deep, and a direct way from the metadata
//! ```
//!
//! # Source
//!
//! Wide & deep: Cheng et al. 2016, arXiv:1606.07792, fig. 1 (the direct way `W₃ m`). It is there because on a few
//! hundred rows a linear model of the columns is hard to beat, and joining thousands of image features to a handful
//! of columns loses to it. `drop` leaves out the whole image of some rows while training where that is asked for
//! (`model.drop_image`, [`DropImage`]), and a row that has none is then predicted all the same.
//! `W₂` and `W₃` start as zeros, so that training starts at the mean of the targets.

use super::prelude::*;
use crate::network::layer::{DropImage, Fusion, Slice};

pub(super) struct Concat;

impl Method for Concat {
    fn has_branches(&self) -> bool {
        true
    }
    fn drops_image(&self) -> bool {
        true
    }
    fn layers(&self, spec: &FusionSpec) -> FusionLayers {
        if matches!(spec.reads, head::Features::Map { .. }) {
            return Fusion::Tile.layers(spec);
        }
        let width = head::branch_width(spec.hidden);
        let mut parts = Vec::new();
        if spec.features > 0 {
            parts.push(("image", image_branch(spec, width)));
        }
        let own = head::branch(width).into_iter().chain(auxiliary(spec));
        let ways = [
            ("direct", Layer::Identity.into()),
            ("own", Architecture::sequence(own)),
        ];
        let ways = Architecture::with(Layer::Concat, ways);
        let embed = spec.source.architecture();
        let metadata = Architecture::sequence([("embed", embed), ("ways", ways)]);
        parts.push(("metadata", metadata));
        FusionLayers {
            at_map: None,
            at_features: Some(Architecture::with(Layer::Concat, parts)),
            head: deep_and_wide(spec, width),
        }
    }
}

/// The pooled image through a layer of its own.
fn image_branch(spec: &FusionSpec, width: usize) -> Architecture {
    let mut image = head::branch(width);
    image.extend(auxiliary(spec));
    if spec.drop_image > 0.0 {
        let p = spec.drop_image;
        image.push(("drop", DropImage { p }.into()));
    }
    Architecture::sequence(image)
}

/// The head of both, plus the direct way from the metadata.
fn deep_and_wide(spec: &FusionSpec, width: usize) -> Architecture {
    // The metadata as it is comes after the image's features.
    let direct = Slice {
        start: if spec.features > 0 { width } else { 0 },
        length: spec.source.width(),
    };
    let wide = Architecture::sequence([
        ("metadata", direct.into()),
        ("fc", Linear::new(spec.n_outputs).zeros().into()),
    ]);
    let deep = head::deep(spec.hidden, spec.dropout, spec.n_outputs);
    Architecture::with(Layer::Sum, [("deep", deep), ("wide", wide)])
}

/// A linear layer to the outputs, which only an auxiliary loss reads.
fn auxiliary(spec: &FusionSpec) -> Option<(&'static str, Architecture)> {
    let out = [("fc", Linear::new(spec.n_outputs).zeros().into())];
    let layer = Architecture::with(Layer::Auxiliary, out);
    (spec.auxiliary > 0.0).then_some(("auxiliary", layer))
}
