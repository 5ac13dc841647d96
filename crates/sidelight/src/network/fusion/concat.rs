//! Concat: image features and metadata side by side, the default.
//!
//! ```text
//! image    = ReLU(W dropout(norm(x)))                      the pooled image, to the metadata's size
//! metadata = [m, ReLU(W m)]                                as it is, and through a layer of its own
//! y        = W₂ dropout(ReLU(W₁ [image, metadata])) + W₃ m      deep, and a direct way from the metadata
//! ```
//!
//! # Source
//!
//! Wide & deep: Cheng et al. 2016, arXiv:1606.07792, fig. 1 (the direct way `W₃ m`). It is there because on a few
//! hundred rows a linear model of the columns is hard to beat, and joining thousands of image features to a handful
//! of columns loses to it. `W₂` and `W₃` start as zeros, so that training starts at the mean of the targets.

use super::{FusionSpec, Parts, source};
use crate::network::layer::{BatchNorm, Dropout, Layer, Linear, Slice};
use crate::network::plan::Plan;

pub(super) fn build(spec: &FusionSpec) -> Parts {
    let joined = join_width(spec);
    let mut parts = Vec::new();
    if spec.features > 0 {
        parts.push((
            "image",
            Plan::sequence([
                ("norm", Plan::leaf(Layer::BatchNorm(BatchNorm::default()))),
                (
                    "dropout",
                    Layer::Dropout(Dropout {
                        p: spec.dropout / 2.0,
                    })
                    .into(),
                ),
                ("fc", Layer::Linear(Linear::new(0, joined)).into()),
                ("relu", Layer::Relu.into()),
            ]),
        ));
    }
    let own = Plan::sequence([
        ("fc", Plan::leaf(Layer::Linear(Linear::new(0, joined)))),
        ("relu", Layer::Relu.into()),
    ]);
    let both_ways = Plan::with(
        Layer::Concat,
        [("direct", Plan::leaf(Layer::Identity)), ("own", own)],
    );
    parts.push((
        "metadata",
        Plan::sequence([("embed", source(spec)), ("ways", both_ways)]),
    ));

    // The metadata as it is comes after the image's features.
    let direct = Slice {
        start: if spec.features > 0 { joined } else { 0 },
        length: spec.source.width(),
    };
    let wide = Plan::sequence([
        ("metadata", Plan::leaf(Layer::Slice(direct))),
        (
            "fc",
            Layer::Linear(Linear::new(0, spec.n_outputs).zeros()).into(),
        ),
    ]);
    let deep = crate::network::head::deep(spec.hidden, spec.dropout, spec.n_outputs);
    Parts {
        at_map: None,
        at_features: Some(Plan::with(Layer::Concat, parts)),
        head: Plan::with(Layer::Sum, [("deep", deep), ("wide", wide)]),
    }
}

/// Width of each side before they are joined.
fn join_width(spec: &FusionSpec) -> usize {
    if spec.hidden > 0 {
        (spec.hidden / 2).max(8)
    } else {
        64
    }
}
