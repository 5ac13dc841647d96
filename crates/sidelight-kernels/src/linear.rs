//! The fully connected layer, `y = x wᵀ + b`: a 1x1 convolution over images of one pixel.

use crate::activation::Epilogue;
use crate::conv::{self, Conv2d, Precision};

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
/// - returns, and `epilogue.residual`: `[rows, outputs]`
///
/// # Panics
///
/// When a length does not fit the shape.
#[must_use]
pub fn linear_output(
    l: &Linear,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    epilogue: Epilogue<'_>,
) -> Vec<f32> {
    conv::conv2d_output(&l.as_conv(), Precision::F32, x, w, bias, epilogue)
}

/// The gradient to the input, `dx = dy w`: `[rows, inputs]`.
///
/// # Panics
///
/// When a length does not fit the shape.
#[must_use]
pub fn linear_input_gradient(l: &Linear, dy: &[f32], w: &[f32]) -> Vec<f32> {
    conv::conv2d_input_gradient(&l.as_conv(), Precision::F32, dy, w)
}

/// The gradient to the weights, `dw = dyᵀ x`: `[outputs, inputs]`.
///
/// # Panics
///
/// When a length does not fit the shape.
#[must_use]
pub fn linear_weight_gradient(l: &Linear, x: &[f32], dy: &[f32]) -> Vec<f32> {
    conv::conv2d_weight_gradient(&l.as_conv(), Precision::F32, x, dy)
}

/// The gradient to the bias, the sum of the rows of `dy`: `[outputs]`.
///
/// # Panics
///
/// When a length does not fit the shape.
#[must_use]
pub fn linear_bias_gradient(l: &Linear, dy: &[f32]) -> Vec<f32> {
    conv::conv2d_bias_gradient(&l.as_conv(), dy)
}
