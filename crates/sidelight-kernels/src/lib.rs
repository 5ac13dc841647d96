//! CPU kernels for convolutional networks over channels-last slices.
//!
//! Activations are `f32` slices of shape `[batch, height, width, channels]`, contiguous; convolution weights keep
//! PyTorch's layout `[out, in / groups, kernel_h, kernel_w]`. Every function checks the lengths it is given and panics
//! when they do not fit, as slice indexing does. The instruction set is chosen when the program runs ([`SimdPath`]).
//!
//! **Threads.** Work is split over the rayon pool the caller runs in (`ThreadPool::install`), or the global one;
//! [`keep_awake`] keeps that pool's threads from falling asleep between one short kernel and the next.
//!
//! **Determinism.** A result depends on the inputs and the instruction set, never on the number of threads: sums are
//! cut into pieces whose number follows from the shape alone, and the pieces are added in a fixed order.
//!
//! **Reading order.** [`dispatch`] chooses the instruction set, `simd` is its vocabulary, `tile` the register-blocked
//! product under every convolution and matrix product (a convolution of single pixels); then [`conv`], [`norm`],
//! [`pool`], [`elementwise`], [`optimizer`]. `tests/it/reference.rs` holds the plain loops that the tests trust.

#![allow(unsafe_code, reason = "kernels: each block says why it is sound")]

pub mod activation;
pub mod conv;
pub mod dispatch;
pub mod elementwise;
pub mod norm;
pub mod optimizer;
pub mod pool;

mod awake;
mod parallel;
mod scratch;
mod simd;
mod tile;

pub use activation::{Activation, Epilogue};
pub use awake::keep_awake;
pub use conv::{
    Conv2d, PackedConv2d, Precision, conv2d_bias_gradient, conv2d_input_gradient, conv2d_output,
    conv2d_weight_gradient,
};
pub use dispatch::{SimdPath, with_path};
pub use norm::{
    BatchNorm, BatchNormGradients, BatchNormOutput, BatchStatistics, StatisticsReducer, affine,
    batch_norm_gradients, batch_norm_output,
};
