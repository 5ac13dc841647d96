//! Concat: image features and metadata side by side, the default.
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
//! of columns loses to it. For the same reason `drop` leaves out the whole image of some rows while training
//! (`model.drop_image`, [`DropImage`]), and a row that has none is predicted all the same.
//! `W₂` and `W₃` start as zeros, so that training starts at the mean of the targets.

use super::{FusionSpec, Parts, source};
use crate::network::head;
use crate::network::layer::{DropImage, Layer, Linear, Slice};
use crate::network::plan::Plan;

pub(super) fn build(spec: &FusionSpec) -> Parts {
    let width = head::joined(spec.hidden);
    let mut parts = Vec::new();
    if spec.features > 0 {
        let mut image = head::branch(width);
        image.extend(own_loss(spec));
        if spec.drop_image > 0.0 {
            let p = spec.drop_image;
            image.push(("drop", Layer::DropImage(DropImage { p }).into()));
        }
        parts.push(("image", Plan::sequence(image)));
    }
    let both_ways = Plan::with(
        Layer::Concat,
        [
            ("direct", Plan::leaf(Layer::Identity)),
            (
                "own",
                Plan::sequence(head::branch(width).into_iter().chain(own_loss(spec))),
            ),
        ],
    );
    parts.push((
        "metadata",
        Plan::sequence([("embed", source(spec)), ("ways", both_ways)]),
    ));

    // The metadata as it is comes after the image's features.
    let direct = Slice {
        start: if spec.features > 0 { width } else { 0 },
        length: spec.source.width(),
    };
    let wide = Plan::sequence([
        ("metadata", Plan::leaf(Layer::Slice(direct))),
        (
            "fc",
            Layer::Linear(Linear::new(0, spec.n_outputs).zeros()).into(),
        ),
    ]);
    let deep = head::deep(spec.hidden, spec.dropout, spec.n_outputs);
    Parts {
        at_map: None,
        at_features: Some(Plan::with(Layer::Concat, parts)),
        head: Plan::with(Layer::Sum, [("deep", deep), ("wide", wide)]),
    }
}

/// A linear layer to the outputs, which only an auxiliary loss reads.
fn own_loss(spec: &FusionSpec) -> Option<(&'static str, Plan)> {
    let out = Layer::Linear(Linear::new(0, spec.n_outputs).zeros()).into();
    spec.auxiliary
        .then(|| ("auxiliary", Plan::with(Layer::Auxiliary, [("fc", out)])))
}
