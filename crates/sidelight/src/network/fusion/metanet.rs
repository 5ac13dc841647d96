//! MetaNet: the metadata gives each channel a factor in (0, 1).
//!
//! `y = σ(W₂ ReLU(W₁ m)) · x`.
//!
//! # Source
//!
//! Li et al. 2020, "Fusing metadata and dermoscopy images for skin disease diagnosis", ISBI, section 2.2.
//! Departs from it: `W₂` starts as zeros, so that every channel starts at one half
//! (the image's features keep their proportions).

use burn::tensor::{Tensor, activation::sigmoid};

use super::{FusionSpec, two_layers};
use crate::network::plan::Plan;
use crate::network::value::Value;

pub(super) fn children(spec: &FusionSpec) -> Vec<(&'static str, Plan)> {
    two_layers(spec, 256, spec.map.channels())
}

/// `control`: `[batch, channels]`.
pub(super) fn attend(x: Value, control: Tensor<2>) -> Value {
    x.times_channels(sigmoid(control))
}
