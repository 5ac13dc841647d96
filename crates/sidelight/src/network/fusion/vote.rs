//! Vote: what the model of the image alone and that of the metadata alone say, on average.
//!
//! ```text
//! p = (p_image + p_metadata) / 2        probabilities of classes or labels, values on the scale of the target, points
//! ```
//!
//! Two models that learn apart in one network: the branches of [`stacked`](super::stacked) without the one that reads both,
//! and no factors between image and metadata.
//!
//! # Source
//!
//! Soft voting: Kittler et al. 1998, "On combining classifiers", IEEE TPAMI 20(3), the sum rule.

use super::prelude::*;
use super::stacked::{Stacked, stack};

pub(super) struct Vote;

impl Method for Vote {
    fn layers(&self, spec: &FusionSpec) -> FusionLayers {
        stack(spec, Some(spec.stacking.vote))
    }
    fn image_alone(&self, spec: &FusionSpec) -> FusionLayers {
        Stacked.image_alone(spec)
    }
    fn metadata_alone(&self, spec: &FusionSpec) -> FusionLayers {
        Stacked.metadata_alone(spec)
    }
}
