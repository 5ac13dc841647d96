//! Our kernels as Burn operations with gradients of their own, for f32 on the CPU (Burn's Flex device).
//!
//! Memory is channels-last; the tensors that come out are permuted views of it, logically
//! `[batch, channels, height, width]`. A tensor that comes in with another layout is gathered first.
//! Functions here are called behind [`is_ours`] only: on another device or type they would panic.
//!
//! # Source
//!
//! The way in is Burn's `backend_extension` (`burn-backend-extension` 0.22.1): a trait of functions over a
//! backend's primitive tensors, implemented for Flex (compute) and for its autodiff wrapper (compute, and remember what
//! the gradients need).

mod convolution;
mod elementwise;
mod linear;
mod normalization;
mod pooling;

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, DispatchTensorKind, ExtensionType, Flex,
    backend_extension,
};
use burn::tensor::{DType, Tensor, TensorData};
use sidelight_kernels as kernel;

use super::prepared::Packed;
use super::{Activation, Convolution, Precision, SyncStatistics, Window};

pub(crate) use convolution::pack;

/// A tensor of the Flex backend.
pub(crate) type Flat = FloatTensor<Flex>;
/// A tensor that remembers how it was made.
type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

/// What follows an operation in the same pass over memory: nothing, or one of the kernels' functions.
pub(crate) type Then = Option<Activation>;

/// Whether our kernels take this tensor: f32 on Flex, tracked or not.
pub(crate) fn is_ours<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32
        && match &x.clone().into_dispatch().kind {
            DispatchTensorKind::Flex(_) => true,
            DispatchTensorKind::Autodiff(inner) => matches!(**inner, DispatchTensorKind::Flex(_)),
            // Only where the crate is built with another device as well.
            #[allow(unreachable_patterns)]
            _ => false,
        }
}

/// Whether the kernels know this function.
pub(crate) fn known(function: Activation) -> Option<kernel::Activation> {
    match function {
        Activation::Relu => Some(kernel::Activation::Relu),
        Activation::Relu6 => Some(kernel::Activation::Relu6),
        Activation::Silu => Some(kernel::Activation::Silu),
        Activation::HardSwish => Some(kernel::Activation::HardSwish),
        Activation::HardSigmoid => Some(kernel::Activation::HardSigmoid),
        Activation::Sigmoid => Some(kernel::Activation::Sigmoid),
        Activation::Gelu | Activation::Tanh => None,
    }
}

fn then(function: Then) -> kernel::Activation {
    function.and_then(known).unwrap_or_default()
}

/// What a normalisation by the batch gives.
#[derive(ExtensionType)]
pub(crate) struct NormalizedParts<B: Backend> {
    pub(crate) output: FloatTensor<B>,
    pub(crate) mean: FloatTensor<B>,
    /// Divided by n.
    pub(crate) variance: FloatTensor<B>,
    /// `[1]`: numbers a channel, those of all ranks that are normalised together.
    pub(crate) n: FloatTensor<B>,
}

/// How a normalisation by the batch is done.
#[derive(Debug, Clone)]
pub(crate) struct Normalize {
    pub(crate) epsilon: f32,
    pub(crate) then: Then,
    pub(crate) together: Option<SyncStatistics>,
}

/// The operations. Those whose name ends in `_done` have no gradient: they are for what is frozen or evaluating.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Kernels: Backend {
    fn sl_convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        how: Convolution,
    ) -> FloatTensor<Self>;
    fn sl_convolve_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        how: Convolution,
    ) -> FloatTensor<Self>;
    fn sl_convolve_packed(x: FloatTensor<Self>, packed: Packed, then: Then) -> FloatTensor<Self>;
    fn sl_convolve_add_packed(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        packed: Packed,
        then: Then,
    ) -> FloatTensor<Self>;
    fn sl_normalize(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        how: Normalize,
    ) -> NormalizedParts<Self>;
    fn sl_normalize_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        other: FloatTensor<Self>,
        how: Normalize,
    ) -> NormalizedParts<Self>;
    fn sl_affine_done(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        then: Then,
    ) -> FloatTensor<Self>;
    fn sl_activate(x: FloatTensor<Self>, function: Activation) -> FloatTensor<Self>;
    fn sl_add(x: FloatTensor<Self>, other: FloatTensor<Self>, then: Then) -> FloatTensor<Self>;
    fn sl_gate(x: FloatTensor<Self>, gate: FloatTensor<Self>) -> FloatTensor<Self>;
    fn sl_max_pool(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self>;
    fn sl_avg_pool(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self>;
    fn sl_adaptive_avg_pool(x: FloatTensor<Self>, side: usize) -> FloatTensor<Self>;
    fn sl_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    fn sl_linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl Kernels for Flex {
    fn sl_convolve(x: Flat, weight: Flat, how: Convolution) -> Flat {
        convolution::forward(&x, &weight, None, None, how, None)
    }
    fn sl_convolve_bias(x: Flat, weight: Flat, bias: Flat, how: Convolution) -> Flat {
        convolution::forward(&x, &weight, Some(&bias), None, how, None)
    }
    fn sl_convolve_packed(x: Flat, packed: Packed, then: Then) -> Flat {
        convolution::by_packed(&x, &packed.0, None, then)
    }
    fn sl_convolve_add_packed(x: Flat, other: Flat, packed: Packed, then: Then) -> Flat {
        convolution::by_packed(&x, &packed.0, Some(&other), then)
    }
    fn sl_normalize(x: Flat, weight: Flat, bias: Flat, how: Normalize) -> NormalizedParts<Flex> {
        normalization::forward(&x, &weight, &bias, None, &how)
    }
    fn sl_normalize_add(
        x: Flat,
        weight: Flat,
        bias: Flat,
        other: Flat,
        how: Normalize,
    ) -> NormalizedParts<Flex> {
        normalization::forward(&x, &weight, &bias, Some(&other), &how)
    }
    fn sl_affine_done(x: Flat, scale: Flat, shift: Flat, then: Then) -> Flat {
        normalization::affine(&x, &scale, &shift, then)
    }
    fn sl_activate(x: Flat, function: Activation) -> Flat {
        elementwise::add_activate(&x, None, Some(function))
    }
    fn sl_add(x: Flat, other: Flat, then: Then) -> Flat {
        elementwise::add_activate(&x, Some(&other), then)
    }
    fn sl_gate(x: Flat, gate: Flat) -> Flat {
        elementwise::gate(&x, &gate)
    }
    fn sl_max_pool(x: Flat, window: Window) -> Flat {
        pooling::max(&x, window, None)
    }
    fn sl_avg_pool(x: Flat, window: Window) -> Flat {
        pooling::average(&x, window)
    }
    fn sl_adaptive_avg_pool(x: Flat, side: usize) -> Flat {
        pooling::adaptive_average(&x, side)
    }
    fn sl_linear(x: Flat, weight: Flat) -> Flat {
        linear::forward(&x, &weight, None)
    }
    fn sl_linear_bias(x: Flat, weight: Flat, bias: Flat) -> Flat {
        linear::forward(&x, &weight, Some(&bias))
    }
}

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn sl_convolve(x: Tracked<C>, weight: Tracked<C>, how: Convolution) -> Tracked<C> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let y = convolution::forward(&x, &weight, None, None, how, None);
        track::<C, _, 2>(
            [x_node, weight_node],
            convolution::Saved { x, weight, how },
            y,
        )
    }
    fn sl_convolve_bias(
        x: Tracked<C>,
        weight: Tracked<C>,
        bias: Tracked<C>,
        how: Convolution,
    ) -> Tracked<C> {
        let ((x, x_node), (weight, weight_node), (bias, bias_node)) =
            (x.into_parts(), weight.into_parts(), bias.into_parts());
        let y = convolution::forward(&x, &weight, Some(&bias), None, how, None);
        track::<C, _, 3>(
            [x_node, weight_node, bias_node],
            convolution::Saved { x, weight, how },
            y,
        )
    }
    fn sl_convolve_packed(x: Tracked<C>, packed: Packed, then: Then) -> Tracked<C> {
        <Self as AutodiffBackend>::from_inner(Flex::sl_convolve_packed(plain(x), packed, then))
    }
    fn sl_convolve_add_packed(
        x: Tracked<C>,
        other: Tracked<C>,
        packed: Packed,
        then: Then,
    ) -> Tracked<C> {
        let y = Flex::sl_convolve_add_packed(plain(x), plain(other), packed, then);
        <Self as AutodiffBackend>::from_inner(y)
    }
    fn sl_normalize(
        x: Tracked<C>,
        weight: Tracked<C>,
        bias: Tracked<C>,
        how: Normalize,
    ) -> NormalizedParts<Self> {
        let ((x, x_node), (weight, weight_node), (bias, bias_node)) =
            (x.into_parts(), weight.into_parts(), bias.into_parts());
        let parts = normalization::forward(&x, &weight, &bias, None, &how);
        let saved = normalization::Saved::new(x, weight, bias, None, &parts, how);
        let output = track::<C, _, 3>([x_node, weight_node, bias_node], saved, parts.output);
        let inner = <Self as AutodiffBackend>::from_inner;
        NormalizedParts {
            output,
            mean: inner(parts.mean),
            variance: inner(parts.variance),
            n: inner(parts.n),
        }
    }
    fn sl_normalize_add(
        x: Tracked<C>,
        weight: Tracked<C>,
        bias: Tracked<C>,
        other: Tracked<C>,
        how: Normalize,
    ) -> NormalizedParts<Self> {
        let ((x, x_node), (weight, weight_node), (bias, bias_node)) =
            (x.into_parts(), weight.into_parts(), bias.into_parts());
        let (other, other_node) = other.into_parts();
        let parts = normalization::forward(&x, &weight, &bias, Some(&other), &how);
        let saved = normalization::Saved::new(x, weight, bias, Some(other), &parts, how);
        let output = track::<C, _, 4>(
            [x_node, weight_node, bias_node, other_node],
            saved,
            parts.output,
        );
        let inner = <Self as AutodiffBackend>::from_inner;
        NormalizedParts {
            output,
            mean: inner(parts.mean),
            variance: inner(parts.variance),
            n: inner(parts.n),
        }
    }
    fn sl_affine_done(
        x: Tracked<C>,
        scale: Tracked<C>,
        shift: Tracked<C>,
        then: Then,
    ) -> Tracked<C> {
        let y = Flex::sl_affine_done(plain(x), plain(scale), plain(shift), then);
        <Self as AutodiffBackend>::from_inner(y)
    }
    fn sl_activate(x: Tracked<C>, function: Activation) -> Tracked<C> {
        let (x, node) = x.into_parts();
        let y = elementwise::add_activate(&x, None, Some(function));
        track::<C, _, 1>([node], elementwise::SavedActivation { x, function }, y)
    }
    fn sl_add(x: Tracked<C>, other: Tracked<C>, then: Then) -> Tracked<C> {
        let ((x, x_node), (other, other_node)) = (x.into_parts(), other.into_parts());
        let y = elementwise::add_activate(&x, Some(&other), then);
        track::<C, _, 2>(
            [x_node, other_node],
            elementwise::SavedSum::new(x, other, then),
            y,
        )
    }
    fn sl_gate(x: Tracked<C>, gate: Tracked<C>) -> Tracked<C> {
        let ((x, x_node), (gate, gate_node)) = (x.into_parts(), gate.into_parts());
        let y = elementwise::gate(&x, &gate);
        track::<C, _, 2>([x_node, gate_node], elementwise::SavedGate { x, gate }, y)
    }
    fn sl_max_pool(x: Tracked<C>, window: Window) -> Tracked<C> {
        let (x, node) = x.into_parts();
        let mut largest = Vec::new();
        let y = pooling::max(&x, window, Some(&mut largest));
        track::<C, _, 1>([node], pooling::SavedMax::new(&x, window, largest), y)
    }
    fn sl_avg_pool(x: Tracked<C>, window: Window) -> Tracked<C> {
        let (x, node) = x.into_parts();
        let y = pooling::average(&x, window);
        track::<C, _, 1>([node], pooling::SavedAverage::new(&x, window), y)
    }
    fn sl_adaptive_avg_pool(x: Tracked<C>, side: usize) -> Tracked<C> {
        let (x, node) = x.into_parts();
        let y = pooling::adaptive_average(&x, side);
        track::<C, _, 1>([node], pooling::SavedAdaptive::new(&x, side), y)
    }
    fn sl_linear(x: Tracked<C>, weight: Tracked<C>) -> Tracked<C> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let y = linear::forward(&x, &weight, None);
        track::<C, _, 2>([x_node, weight_node], linear::Saved { x, weight }, y)
    }
    fn sl_linear_bias(x: Tracked<C>, weight: Tracked<C>, bias: Tracked<C>) -> Tracked<C> {
        let ((x, x_node), (weight, weight_node), (bias, bias_node)) =
            (x.into_parts(), weight.into_parts(), bias.into_parts());
        let y = linear::forward(&x, &weight, Some(&bias));
        track::<C, _, 3>(
            [x_node, weight_node, bias_node],
            linear::Saved { x, weight },
            y,
        )
    }
}

/// The numbers alone (what is tracked is of the same type whatever the strategy of checkpoints).
fn plain(x: FloatTensor<Autodiff<Flex>>) -> Flat {
    x.into_parts().0
}

/// What an operation remembers for its gradients to `N` parents.
trait Gradient<const N: usize>: Clone + Debug + Send + 'static {
    /// The gradients to the parents that want one, from the output's.
    fn gradients(self, output: Flat, wanted: [bool; N]) -> [Option<Flat>; N];
}

/// The backward step of every operation here.
#[derive(Debug)]
struct Step<S>(PhantomData<S>);

impl<S: Gradient<N>, const N: usize> Backward<Flex, N> for Step<S> {
    type State = S;
    fn backward(self, ops: Ops<S, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let output = gradients.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let results = ops.state.gradients(output, wanted);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let (Some(parent), Some(result)) = (parent, result) {
                gradients.register::<Flex>(parent.id, result);
            }
        }
    }
}

/// Lets an output remember its parents and what their gradients need, where any of them wants one.
fn track<C: CheckpointStrategy, S: Gradient<N>, const N: usize>(
    parents: [NodeGuard; N],
    saved: S,
    output: Flat,
) -> Tracked<C> {
    match Step::<S>(PhantomData)
        .prepare::<C>(parents)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prepared) => prepared.finish(saved, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

// — layout —

/// The same numbers as a contiguous `[batch, height, width, channels]`; a copy only where they lie otherwise.
fn channels_last(x: &Flat) -> Flat {
    contiguous(&x.permute(&[0, 2, 3, 1]))
}

/// The same numbers in row-major order; a copy only where they lie otherwise.
fn contiguous(x: &Flat) -> Flat {
    if x.as_slice::<f32>().is_some() {
        x.clone()
    } else {
        x.to_contiguous()
    }
}

/// The numbers of a contiguous tensor.
fn numbers(x: &Flat) -> &[f32] {
    x.as_slice::<f32>()
        .expect("the tensor was made contiguous, and is f32 behind `is_ours`")
}

/// The four lengths of a logical `[batch, channels, height, width]`.
fn dims4(x: &Flat) -> [usize; 4] {
    let shape = x.layout().shape();
    [shape[0], shape[1], shape[2], shape[3]]
}

/// A channels-last buffer as the logical `[batch, channels, height, width]`.
fn from_channels_last(values: Vec<f32>, [batch, channels, height, width]: [usize; 4]) -> Flat {
    from_values(values, &[batch, height, width, channels]).permute(&[0, 3, 1, 2])
}

fn from_values(values: Vec<f32>, shape: &[usize]) -> Flat {
    Flat::from_data(TensorData::new(values, shape.to_vec()))
}

/// Maps as `[rows, channels]`: channels-last for four axes, as they are for two. With what makes the result of the
/// same shape again.
fn rows(x: &Flat) -> Flat {
    if x.layout().num_dims() == 4 {
        channels_last(x)
    } else {
        contiguous(x)
    }
}

/// A `[rows, channels]` buffer in the logical shape of `like`.
fn like_rows(values: Vec<f32>, like: &Flat) -> Flat {
    if like.layout().num_dims() == 4 {
        from_channels_last(values, dims4(like))
    } else {
        from_values(values, like.layout().shape())
    }
}

// — the operations over Burn's tensors —

/// An operation of four axes and one weight: how the functions of `tensor` call these.
macro_rules! call {
    ($name:ident($($argument:expr),+)) => {
        burn::tensor::Tensor::from_dispatch(<burn::backend::Dispatch as $crate::cpu::Kernels>::$name($($argument),+))
    };
}
pub(crate) use call;

/// As [`Kernels::sl_normalize`] over Burn's tensors, with an optional sum before the function: output, mean, variance
/// and `n`.
pub(crate) fn normalize<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    other: Option<Tensor<D>>,
    how: Normalize,
) -> (Tensor<D>, [Tensor<1>; 3]) {
    let (x, weight, bias) = (
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    );
    let parts = match other {
        None => <Dispatch as Kernels>::sl_normalize(x, weight, bias, how),
        Some(other) => {
            <Dispatch as Kernels>::sl_normalize_add(x, weight, bias, other.into_dispatch(), how)
        }
    };
    (
        Tensor::from_dispatch(parts.output),
        [parts.mean, parts.variance, parts.n].map(Tensor::from_dispatch),
    )
}
