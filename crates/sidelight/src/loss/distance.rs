//! Distances of numbers: coordinates of points, values.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// How far a number is from where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "distance", rename_all = "snake_case")]
pub enum Distance {
    /// Squared error, `d²`.
    Squared,
    /// Absolute error, `|d|`.
    Absolute,
    /// `d² / 2β` where `|d| < β`, else `|d| − β/2`: squared near the goal, absolute far from it.
    ///
    /// # Source
    ///
    /// Girshick 2015, "Fast R-CNN", arXiv:1504.08083, eq. 3; β as in PyTorch's `SmoothL1Loss`.
    SmoothL1 {
        /// Where it changes, above 0.
        beta: f32,
    },
    /// `w ln(1 + |d|/ε)` where `|d| < w`, else `|d| − w + w ln(1 + w/ε)`: small errors of landmarks keep their pull.
    ///
    /// # Source
    ///
    /// Feng et al. 2018, "Wing loss", arXiv:1711.06753, eq. 5.
    /// Departs from it: distances are in half-sides of the input, not in pixels.
    Wing {
        /// w, above 0.
        width: f32,
        /// ε, above 0.
        curvature: f32,
    },
}

impl Distance {
    /// The distance of each difference; any shape of two axes.
    pub(super) fn of(self, difference: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Squared => difference.clone() * difference,
            Self::Absolute => difference.abs(),
            Self::SmoothL1 { beta } => {
                let far = difference.clone().abs();
                let near = difference.clone() * difference * (0.5 / beta);
                let is_near = far.clone().lower_elem(beta);
                (far - 0.5 * beta).mask_where(is_near, near)
            }
            Self::Wing { width, curvature } => {
                let far = difference.abs();
                let near = (far.clone() / curvature).log1p() * width;
                let is_near = far.clone().lower_elem(width);
                let offset = width - width * (width / curvature).ln_1p();
                (far - offset).mask_where(is_near, near)
            }
        }
    }
}
