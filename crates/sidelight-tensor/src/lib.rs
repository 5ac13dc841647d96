//! Our operations: kernels on the CPU, Burn's elsewhere.
//!
//! Every function here takes and returns Burn tensors of logical shape
//! `[batch, channels, height, width]` or `[batch, features]`, and chooses how to compute:
//! f32 on the CPU goes through `sidelight-kernels`, whose memory is channels-last
//! (a permuted view, so no other operation notices); any other device or element type goes
//! through Burn's own operation. Both ways agree to rounding, forward and gradients; tests say so.

#![forbid(unsafe_code)]

mod activation;
mod convolution;
mod cpu;
mod dropout;
mod linear;
mod normalization;
mod pooling;
mod prepared;

pub use burn::tensor::Device;
pub use sidelight_kernels::{Precision, SimdPath};

pub use activation::{Activation, activate, add_activate, finish, scale_channels};
pub use convolution::{Convolution, Folded, conv2d, conv2d_folded};
pub use dropout::dropout_mask;
pub use linear::{embedding, linear, linear_tokens};
pub use normalization::{
    Normalized, SyncStatistics, batch_norm, batch_norm_train, fold, layer_norm, layer_norm_channels,
};
pub use prepared::Prepared;

pub use pooling::{Window, adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d};

/// Sums over all processes that compute one batch together, for statistics of the whole batch.
///
/// Collective: all call the same functions in the same order, and each waits for the others.
pub trait AllReduce: std::fmt::Debug + Send + Sync {
    /// Replaces each number by its sum over all ranks: the same bits on every rank, and in every run with as many.
    fn sum(&self, values: &mut [f32]);

    /// Replaces the values by their sums over all ranks, as [`AllReduce::sum`] does, in f64.
    fn sum_f64(&self, values: &mut [f64]);
}

/// Whether our kernels compute with this tensor.
pub fn is_on_cpu<const D: usize>(x: &burn::tensor::Tensor<D>) -> bool {
    cpu::is_ours(x)
}

/// A tensor's numbers on the host, in row-major order.
pub fn numbers<const D: usize>(tensor: burn::tensor::Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data_as::<f32>();
    data.try_into_vec().expect("converted to f32 just now")
}

#[cfg(test)]
mod tests;
