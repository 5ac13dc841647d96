//! The fully connected layer, `y = x wᵀ + b`: a 1x1 convolution over images of one pixel.

use crate::activation::Epilogue;
use crate::conv::{self, Conv2d};

/// The shape of a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Linear {
    /// Rows of the input.
    pub rows: usize,
    /// Features of the input.
    pub inputs: usize,
    /// Features of the output.
    pub outputs: usize,
}

impl Linear {
    fn as_conv(self) -> Conv2d {
        Conv2d {
            batch: self.rows,
            in_h: 1,
            in_w: 1,
            in_c: self.inputs,
            out_c: self.outputs,
            kernel: [1, 1],
            stride: [1, 1],
            padding: [0, 0],
            groups: 1,
        }
    }
}

/// Computes `activation(x wᵀ + bias + residual)`.
///
/// # Shapes
///
/// - `x`: `[rows, inputs]`
/// - `w`: `[outputs, inputs]`
/// - `bias`: `[outputs]`
/// - `y` and `epilogue.residual`: `[rows, outputs]`
///
/// # Panics
///
/// When a length does not fit the shape.
pub fn linear_forward(
    l: &Linear,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    epilogue: Epilogue<'_>,
    y: &mut [f32],
) {
    conv::conv2d_forward(&l.as_conv(), x, w, bias, epilogue, y);
}

/// The gradient to the input: `dx = dy w`.
///
/// # Panics
///
/// When a length does not fit the shape.
pub fn linear_backward_input(l: &Linear, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    conv::conv2d_backward_input(&l.as_conv(), dy, w, dx);
}

/// The gradient to the weights: `dw = dyᵀ x`.
///
/// # Panics
///
/// When a length does not fit the shape.
pub fn linear_backward_weight(l: &Linear, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    conv::conv2d_backward_weight(&l.as_conv(), x, dy, dw);
}

/// The gradient to the bias: the sum of the rows of `dy`.
///
/// # Panics
///
/// When a length does not fit the shape.
pub fn linear_backward_bias(l: &Linear, dy: &[f32], db: &mut [f32]) {
    conv::conv2d_backward_bias(&l.as_conv(), dy, db);
}
