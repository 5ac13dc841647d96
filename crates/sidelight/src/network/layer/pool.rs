use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::network::shape::{At, Shape};
use crate::network::value::Value;
use crate::tensor::{Window, adaptive_avg_pool2d, adaptive_max_pool2d};

/// A square window that moves over a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Side of the window.
    pub kernel: usize,
    /// Pixels from one position to the next.
    pub stride: usize,
    /// Default: 0.
    #[serde(default)]
    pub padding: usize,
}

impl Pool {
    /// The window.
    pub fn window(&self) -> Window {
        Window {
            side: self.kernel,
            stride: self.stride,
            padding: self.padding,
        }
    }
    pub(super) fn output(&self, at: &At, input: Shape) -> Result<Shape> {
        let [channels, height, width] = at.map(input)?;
        if self.kernel == 0 || self.stride == 0 {
            return Err(at.field(
                "kernel",
                "at least 1, and so must `stride`",
                self.kernel.min(self.stride),
            ));
        }
        if self.padding * 2 > self.kernel {
            return Err(at.field(
                "padding",
                format!("at most half the kernel of {}", self.kernel),
                self.padding,
            ));
        }
        let side = |side: usize| {
            (side + 2 * self.padding)
                .checked_sub(self.kernel)
                .map(|free| free / self.stride + 1)
                .ok_or_else(|| {
                    at.misfit(
                        format!("at least {} pixels a side", self.kernel - 2 * self.padding),
                        input,
                        None,
                    )
                })
        };
        Ok(Shape::Map {
            channels,
            height: side(height)?,
            width: side(width)?,
        })
    }
}

/// A grid laid over a map, whatever the map's size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptivePool {
    /// Cells a side. Default: 1, the whole map.
    pub side: usize,
}

impl Default for AdaptivePool {
    fn default() -> Self {
        Self { side: 1 }
    }
}

impl AdaptivePool {
    pub(super) fn output(&self, at: &At, input: Shape, copies: usize) -> Result<Shape> {
        let [channels, height, width] = at.map(input)?;
        if self.side == 0 {
            return Err(at.field("side", "at least 1", 0));
        }
        if copies == 2 && (height % self.side != 0 || width % self.side != 0) {
            return Err(at.field(
                "side",
                format!("a divisor of {height} and {width}"),
                self.side,
            ));
        }
        Ok(Shape::square(channels * copies, self.side))
    }
    /// fastai's `AdaptiveConcatPool2d`: the largest, then the mean.
    pub(super) fn concat(&self, x: Tensor<4>) -> Value {
        let largest = adaptive_max_pool2d(x.clone(), self.side);
        Value::Map(Tensor::cat(
            vec![largest, adaptive_avg_pool2d(x, self.side)],
            1,
        ))
    }
}
