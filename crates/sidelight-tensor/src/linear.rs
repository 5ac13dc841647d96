//! Matrix products with torch's layouts.

use burn::tensor::{Int, Tensor};

use super::convolution::{Convolution, conv2d};
use super::cpu;

/// `x · weightᵀ + bias`; on the CPU as a convolution of single pixels.
///
/// # Shapes
///
/// - `x`: `[batch, in]`
/// - `weight`: `[out, in]`, torch's layout
/// - `bias`: `[out]`
/// - returns: `[batch, out]`
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    if cpu::is_ours(&x) && cpu::is_ours(&weight) {
        let ([batch, width], [out, _]) = (x.dims(), weight.dims());
        let pixels = x.reshape([batch, width, 1, 1]);
        let kernel = weight.reshape([out, width, 1, 1]);
        return conv2d(pixels, kernel, bias, Convolution::POINTWISE).reshape([batch, out]);
    }
    by_burn(x, weight, bias)
}

/// The product by Burn's operations.
pub(super) fn by_burn(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let y = x.matmul(weight.transpose()); // [batch, out]
    match bias {
        Some(bias) => y + bias.unsqueeze::<2>(),
        None => y,
    }
}

/// [`linear`] for each token.
///
/// # Shapes
///
/// - `x`: `[batch, tokens, in]`
/// - returns: `[batch, tokens, out]`
pub fn linear_tokens(x: Tensor<3>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<3> {
    let [batch, tokens, width] = x.dims();
    let out = weight.dims()[0];
    linear(x.reshape([batch * tokens, width]), weight, bias).reshape([batch, tokens, out])
}

/// The rows of a table at these codes.
///
/// # Shapes
///
/// - `table`: `[codes, width]`
/// - `codes`: `[batch]`, each below the table's number of rows
/// - returns: `[batch, width]`
pub fn embedding(table: Tensor<2>, codes: Tensor<1, Int>) -> Tensor<2> {
    table.select(0, codes)
}
