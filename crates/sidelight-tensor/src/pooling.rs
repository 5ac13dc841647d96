//! Summaries of windows of a map.

use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use burn::tensor::{Tensor, module};

use super::cpu;

/// A square window that moves over a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Side, in pixels.
    pub side: usize,
    /// Pixels from one position to the next.
    pub stride: usize,
    /// Pixels around the map.
    pub padding: usize,
}

/// The largest number of each window.
///
/// # Shapes
///
/// - `x`: `[batch, channels, height, width]`
/// - returns: `[batch, channels, (height + 2·padding − side) / stride + 1, …]`
pub fn max_pool2d(x: Tensor<4>, window: Window) -> Tensor<4> {
    if window.side <= LARGEST_WINDOW && cpu::is_ours(&x) {
        let is_tracked = x.is_tracked();
        return cpu::run(cpu::MaxPool { window, is_tracked }, [x.into_dispatch()]);
    }
    max_by_burn(x, window)
}

/// The kernels remember in one byte which pixel of a window was the largest.
const LARGEST_WINDOW: usize = 15;

/// The largest by Burn's operation.
pub(super) fn max_by_burn(x: Tensor<4>, window: Window) -> Tensor<4> {
    let mut options = MaxPoolOptions::new([window.side; 2]);
    options.stride = [window.stride; 2];
    options.padding = [(window.padding, window.padding); 2];
    module::max_pool2d(x, options)
}

/// The mean of each window, padding counted as zeros (as torch does by default).
///
/// # Shapes
///
/// As [`max_pool2d`].
pub fn avg_pool2d(x: Tensor<4>, window: Window) -> Tensor<4> {
    if window.side <= LARGEST_WINDOW && cpu::is_ours(&x) {
        return cpu::run(cpu::AveragePool(window), [x.into_dispatch()]);
    }
    avg_by_burn(x, window)
}

/// The mean by Burn's operation.
pub(super) fn avg_by_burn(x: Tensor<4>, window: Window) -> Tensor<4> {
    let mut options = AvgPoolOptions::new([window.side; 2]);
    options.stride = [window.stride; 2];
    options.padding = [(window.padding, window.padding); 2];
    module::avg_pool2d(x, options)
}

/// The mean of each cell of a `side` × `side` grid laid over the map.
///
/// # Shapes
///
/// - `x`: `[batch, channels, height, width]`
/// - returns: `[batch, channels, side, side]`
pub fn adaptive_avg_pool2d(x: Tensor<4>, side: usize) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    if [height, width] == [side, side] {
        return x;
    }
    if cpu::is_ours(&x) {
        return cpu::run(cpu::AdaptivePool(side), [x.into_dispatch()]);
    }
    adaptive_avg_by_burn(x, side)
}

/// The mean of a grid's cells by Burn's operations.
pub(super) fn adaptive_avg_by_burn(x: Tensor<4>, side: usize) -> Tensor<4> {
    if side == 1 {
        return x.mean_dim(3).mean_dim(2);
    }
    module::adaptive_avg_pool2d(x, [side, side])
}

/// The largest number of each cell of a `side` × `side` grid laid over the map.
///
/// # Shapes
///
/// As [`adaptive_avg_pool2d`].
///
/// # Panics
///
/// Where `side` does not divide height and width; the static shape pass finds that before.
pub fn adaptive_max_pool2d(x: Tensor<4>, side: usize) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    if side == 1 {
        return x.max_dim(3).max_dim(2);
    }
    assert!(
        height % side == 0 && width % side == 0,
        "a {height}×{width} map cannot be divided into {side}×{side} equal cells"
    );
    if height == width {
        let cell = height / side;
        return max_pool2d(
            x,
            Window {
                side: cell,
                stride: cell,
                padding: 0,
            },
        );
    }
    let mut options = MaxPoolOptions::new([height / side, width / side]);
    options.stride = [height / side, width / side];
    module::max_pool2d(x, options)
}
