//! Our kernels as Burn operations with gradients of their own, for f32 on the CPU (Burn's Flex device).
//!
//! Memory is channels-last; the tensors that come out are permuted views of it, logically
//! `[batch, channels, height, width]`. A tensor that comes in with another layout is gathered first.
//! Functions here are called behind [`is_ours`] only: on another device or type they would panic.
//!
//! # Source
//!
//! The way in is Burn's `backend_extension` (`burn-backend-extension` 0.22.1): a function over a backend's primitive
//! tensors, implemented for Flex (compute) and for its autodiff wrapper (compute, and remember what the gradients need).

mod convolution;
mod elementwise;
mod normalization;
mod pooling;

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, Dispatch, DispatchTensor, DispatchTensorKind, ExtensionType, Flex,
    backend_extension,
};
use burn::tensor::{DType, Tensor, TensorData};
use sidelight_kernels as kernel;

use super::{Activation, Convolution, SyncStatistics, Window};

pub(crate) use convolution::{PackedConvolution, pack};
pub(crate) use elementwise::{AddActivate, Gate};
pub(crate) use normalization::{Affine, Normalize, Statistics};
pub(crate) use pooling::{AdaptivePool, AveragePool, MaxPool};

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

/// What an operation reads.
#[derive(ExtensionType)]
pub(crate) enum Inputs<B: Backend> {
    One(FloatTensor<B>),
    Two(FloatTensor<B>, FloatTensor<B>),
    Three(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    Four(
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
    ),
}

impl<B: Backend> Inputs<B> {
    fn new(inputs: impl IntoIterator<Item = FloatTensor<B>>) -> Self {
        let mut inputs = inputs.into_iter();
        match [(); 4].map(|()| inputs.next()) {
            [Some(a), None, ..] => Self::One(a),
            [Some(a), Some(b), None, _] => Self::Two(a, b),
            [Some(a), Some(b), Some(c), None] => Self::Three(a, b, c),
            [Some(a), Some(b), Some(c), Some(d)] => Self::Four(a, b, c, d),
            [None, ..] => unreachable!("every operation reads something"),
        }
    }

    fn into_vec(self) -> Vec<FloatTensor<B>> {
        match self {
            Self::One(a) => vec![a],
            Self::Two(a, b) => vec![a, b],
            Self::Three(a, b, c) => vec![a, b, c],
            Self::Four(a, b, c, d) => vec![a, b, c, d],
        }
    }
}

/// One of our operations.
pub(crate) trait Operation {
    /// What it remembers for its gradients; `()` where it has none and is for what is frozen or evaluating.
    type Saved: Gradient;
    /// The output, and what is remembered.
    fn run(self, inputs: &[Flat]) -> (Flat, Self::Saved);
}

/// What an operation remembers for its gradients.
pub(crate) trait Gradient: Clone + Debug + Send + 'static {
    /// The gradients to the inputs that want one, from the output's.
    fn gradients(self, output: Flat, wanted: &[bool]) -> Vec<Option<Flat>>;
}

impl Gradient for () {
    fn gradients(self, _: Flat, _: &[bool]) -> Vec<Option<Flat>> {
        Vec::new()
    }
}

/// Runs `operation` on tensors that are [ours](is_ours).
pub(crate) fn run<const D: usize>(
    operation: impl Operation,
    inputs: impl IntoIterator<Item = DispatchTensor>,
) -> Tensor<D> {
    let inputs = Inputs::new(inputs);
    Tensor::from_dispatch(<Dispatch as Kernels>::sl_run(inputs, operation))
}

/// The way through Burn to the CPU, for every operation.
#[backend_extension(Flex, Autodiff)]
trait Kernels: Backend {
    fn sl_run<O: Operation>(
        #[extension_type] inputs: Inputs<Self>,
        operation: O,
    ) -> FloatTensor<Self>;
}

impl Kernels for Flex {
    fn sl_run<O: Operation>(inputs: Inputs<Self>, operation: O) -> Flat {
        operation.run(&inputs.into_vec()).0
    }
}

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn sl_run<O: Operation>(inputs: Inputs<Self>, operation: O) -> Tracked<C> {
        let parts = inputs.into_vec().into_iter().map(Tracked::<C>::into_parts);
        let (inputs, parents): (Vec<_>, Vec<_>) = parts.unzip();
        let (output, saved) = operation.run(&inputs);
        match parents.len() {
            1 => track::<C, _, 1>(parents, saved, output),
            2 => track::<C, _, 2>(parents, saved, output),
            3 => track::<C, _, 3>(parents, saved, output),
            _ => track::<C, _, 4>(parents, saved, output),
        }
    }
}

/// The backward step of every operation here.
#[derive(Debug)]
struct Step<S>(PhantomData<S>);

impl<S: Gradient, const N: usize> Backward<Flex, N> for Step<S> {
    type State = S;
    fn backward(self, ops: Ops<S, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let output = gradients.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let results = ops.state.gradients(output, &wanted);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let (Some(parent), Some(result)) = (parent, result) {
                gradients.register::<Flex>(parent.id, result);
            }
        }
    }
}

/// Lets an output remember its `N` parents and what their gradients need, where any of them wants one.
fn track<C: CheckpointStrategy, S: Gradient, const N: usize>(
    parents: Vec<NodeGuard>,
    saved: S,
    output: Flat,
) -> Tracked<C> {
    let parents: [NodeGuard; N] = parents.try_into().expect("as many as were counted");
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
