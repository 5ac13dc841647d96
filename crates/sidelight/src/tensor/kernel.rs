//! The CPU kernels as Burn operations with their own backward, for f32 on the CPU.
//!
//! Burn sees `[batch, channels, height, width]`; the memory is `[batch, height, width, channels]`, a permuted
//! view that any other operation still understands. An operand whose memory is laid out otherwise is copied once.
//! Each operation keeps for backward only what its gradient needs: a convolution its input and weight, a
//! normalisation its input and two numbers a channel, a pooling one byte a number.

use std::borrow::Cow;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, DispatchTensorKind, ExtensionType, Flex, backend_extension,
};
use burn::tensor::{DType, Tensor, TensorData};
use sidelight_kernels as kernels;
use sidelight_kernels::pool::{self, AdaptivePool2d, Pool2d};

use super::{Activation, Convolution, Window};

/// A batch normalised by its own statistics: `[batch, channels, height, width]` and two of `[channels]`.
#[derive(ExtensionType)]
#[allow(missing_debug_implementations, reason = "Burn's macro gives the type a backend parameter that has no Debug")]
pub struct BatchNormed<B: Backend> {
    /// The output.
    pub y: FloatTensor<B>,
    /// Means.
    pub mean: FloatTensor<B>,
    /// Biased variances.
    pub variance: FloatTensor<B>,
}

/// What a normalisation is followed by.
#[derive(Debug, Clone, Copy)]
pub struct NormEnd {
    /// Added to the variance.
    pub epsilon: f32,
    /// Applied last.
    pub activation: kernels::Activation,
}

/// The operations. Only the CPU has them; [`applies`] is asked before each.
#[backend_extension(Flex, Autodiff)]
pub trait Kernels: Backend {
    /// A convolution without offset.
    fn sl_conv2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, how: Convolution) -> FloatTensor<Self>;
    /// Convolution, offset and activation in one pass, for evaluating: no gradient goes through it.
    fn sl_conv2d_ended(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        how: Convolution,
        activation: kernels::Activation,
    ) -> FloatTensor<Self>;
    /// [`Kernels::sl_conv2d_ended`] with a residual added before the activation.
    fn sl_conv2d_added(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        how: Convolution,
        activation: kernels::Activation,
    ) -> FloatTensor<Self>;
    /// Batch norm by the batch's statistics, and an activation.
    fn sl_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        end: NormEnd,
    ) -> BatchNormed<Self>;
    /// [`Kernels::sl_batch_norm`] with a residual added before the activation.
    fn sl_batch_norm_added(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        end: NormEnd,
    ) -> BatchNormed<Self>;
    /// An activation.
    fn sl_activate(x: FloatTensor<Self>, activation: kernels::Activation) -> FloatTensor<Self>;
    /// A sum, and an activation.
    fn sl_add_activate(x: FloatTensor<Self>, other: FloatTensor<Self>, activation: kernels::Activation) -> FloatTensor<Self>;
    /// The largest number of each window.
    fn sl_max_pool(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self>;
    /// The mean of each cell of a grid.
    fn sl_adaptive_avg_pool(x: FloatTensor<Self>, side: usize) -> FloatTensor<Self>;
}

/// Whether a tensor is f32 on the CPU.
pub fn applies<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32
        && match &x.clone().into_dispatch().kind {
            DispatchTensorKind::Flex(_) => true,
            DispatchTensorKind::Autodiff(inner) => matches!(**inner, DispatchTensorKind::Flex(_)),
            #[allow(unreachable_patterns, reason = "there are more kinds where more devices are built in")]
            _ => false,
        }
}

/// The kernels' name of a function, where they have it.
pub fn kernel_activation(activation: Activation) -> Option<kernels::Activation> {
    match activation {
        Activation::Relu => Some(kernels::Activation::Relu),
        Activation::Relu6 => Some(kernels::Activation::Relu6),
        Activation::Silu => Some(kernels::Activation::Silu),
        Activation::HardSwish => Some(kernels::Activation::HardSwish),
        Activation::Sigmoid => Some(kernels::Activation::Sigmoid),
        Activation::HardSigmoid => Some(kernels::Activation::HardSigmoid),
        Activation::Gelu | Activation::Tanh => None,
    }
}

type Plain = FloatTensor<Flex>;

/// A map's memory, channels last: a view of what is there, or a copy where it is laid out otherwise.
struct Pixels(Plain);

impl Pixels {
    fn of(x: &Plain) -> Self {
        let last = x.permute(&[0, 2, 3, 1]);
        Self(if last.as_slice::<f32>().is_some() { last } else { last.to_contiguous() })
    }
    fn slice(&self) -> &[f32] {
        self.0.as_slice().expect("contiguous f32, as made")
    }
}

/// A map from memory that is channels last; `[batch, channels, height, width]`.
fn map(values: Vec<f32>, [batch, channels, height, width]: [usize; 4]) -> Plain {
    Plain::from_data(TensorData::new(values, [batch, height, width, channels])).permute(&[0, 3, 1, 2])
}

fn flat(values: Vec<f32>, shape: &[usize]) -> Plain {
    Plain::from_data(TensorData::new(values, shape.to_vec()))
}

fn numbers(x: &Plain) -> Cow<'_, [f32]> {
    match x.as_slice::<f32>() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(x.to_contiguous().as_slice::<f32>().expect("contiguous f32, as made").to_vec()),
    }
}

fn dims(x: &Plain) -> [usize; 4] {
    let shape = x.layout().shape();
    [shape[0], shape[1], shape[2], shape[3]]
}

fn shape_of(x: &Plain, weight: &Plain, how: Convolution) -> kernels::Conv2d {
    let [batch, in_c, in_h, in_w] = dims(x);
    let [out_c, _, kernel_h, kernel_w] = dims(weight);
    kernels::Conv2d {
        batch,
        in_h,
        in_w,
        in_c,
        out_c,
        kernel: [kernel_h, kernel_w],
        stride: [how.stride; 2],
        padding: [how.padding; 2],
        groups: how.groups,
    }
}

fn convolve(
    x: &Plain,
    weight: &Plain,
    bias: Option<&Plain>,
    residual: Option<&Plain>,
    how: Convolution,
    activation: kernels::Activation,
) -> Plain {
    let c = shape_of(x, weight, how);
    let mut y = vec![0.0; c.output_len()];
    let residual = residual.map(Pixels::of);
    let epilogue = kernels::Epilogue { activation, residual: residual.as_ref().map(Pixels::slice) };
    let bias = bias.map(numbers);
    kernels::conv2d_forward(&c, Pixels::of(x).slice(), &numbers(weight), bias.as_deref(), epilogue, &mut y);
    map(y, [c.batch, c.out_c, c.out_h(), c.out_w()])
}

fn normalize(x: &Plain, weight: &Plain, bias: &Plain, residual: Option<&Plain>, end: NormEnd) -> BatchNormed<Flex> {
    let shape = dims(x);
    let (x, weight, bias, residual) = (Pixels::of(x), numbers(weight), numbers(bias), residual.map(Pixels::of));
    let norm = kernels::BatchNorm {
        gamma: &weight,
        beta: &bias,
        eps: end.epsilon,
        residual: residual.as_ref().map(Pixels::slice),
        activation: end.activation,
    };
    let mut y = vec![0.0; x.slice().len()];
    let (mut mean, mut variance) = (vec![0.0; shape[1]], vec![0.0; shape[1]]);
    kernels::batch_norm_forward(&norm, x.slice(), &mut y, &mut mean, &mut variance);
    BatchNormed { y: map(y, shape), mean: flat(mean, &[shape[1]]), variance: flat(variance, &[shape[1]]) }
}

fn added(x: &Plain, other: Option<&Plain>, activation: kernels::Activation) -> Plain {
    let (pixels, other) = (Pixels::of(x), other.map(Pixels::of));
    let mut y = vec![0.0; pixels.slice().len()];
    kernels::elementwise::add_activate(pixels.slice(), other.as_ref().map(Pixels::slice), activation, &mut y);
    map(y, dims(x))
}

fn added_backward(x: &Plain, other: Option<&Plain>, activation: kernels::Activation, dy: &Plain) -> Plain {
    let (pixels, other, dy) = (Pixels::of(x), other.map(Pixels::of), Pixels::of(dy));
    let mut dx = vec![0.0; pixels.slice().len()];
    let other = other.as_ref().map(Pixels::slice);
    kernels::elementwise::add_activate_backward(pixels.slice(), other, activation, dy.slice(), &mut dx);
    map(dx, dims(x))
}

fn pool_of(x: &Plain, window: Window) -> Pool2d {
    let [batch, channels, in_h, in_w] = dims(x);
    Pool2d {
        batch,
        in_h,
        in_w,
        channels,
        kernel: [window.side; 2],
        stride: [window.stride; 2],
        padding: [window.padding; 2],
    }
}

fn max_pool(x: &Plain, window: Window, argmax: Option<&mut [u8]>) -> Plain {
    let p = pool_of(x, window);
    let mut y = vec![0.0; p.output_len()];
    pool::max_pool_forward(&p, Pixels::of(x).slice(), &mut y, argmax);
    map(y, [p.batch, p.channels, p.out_h(), p.out_w()])
}

fn grid_of(x: &Plain, side: usize) -> AdaptivePool2d {
    let [batch, channels, in_h, in_w] = dims(x);
    AdaptivePool2d { batch, in_h, in_w, channels, out: [side; 2] }
}

impl Kernels for Flex {
    fn sl_conv2d(x: Plain, weight: Plain, how: Convolution) -> Plain {
        convolve(&x, &weight, None, None, how, kernels::Activation::None)
    }
    fn sl_conv2d_ended(x: Plain, weight: Plain, bias: Plain, how: Convolution, activation: kernels::Activation) -> Plain {
        convolve(&x, &weight, Some(&bias), None, how, activation)
    }
    fn sl_conv2d_added(
        x: Plain,
        weight: Plain,
        bias: Plain,
        residual: Plain,
        how: Convolution,
        activation: kernels::Activation,
    ) -> Plain {
        convolve(&x, &weight, Some(&bias), Some(&residual), how, activation)
    }
    fn sl_batch_norm(x: Plain, weight: Plain, bias: Plain, end: NormEnd) -> BatchNormed<Self> {
        normalize(&x, &weight, &bias, None, end)
    }
    fn sl_batch_norm_added(x: Plain, weight: Plain, bias: Plain, residual: Plain, end: NormEnd) -> BatchNormed<Self> {
        normalize(&x, &weight, &bias, Some(&residual), end)
    }
    fn sl_activate(x: Plain, activation: kernels::Activation) -> Plain {
        added(&x, None, activation)
    }
    fn sl_add_activate(x: Plain, other: Plain, activation: kernels::Activation) -> Plain {
        added(&x, Some(&other), activation)
    }
    fn sl_max_pool(x: Plain, window: Window) -> Plain {
        max_pool(&x, window, None)
    }
    fn sl_adaptive_avg_pool(x: Plain, side: usize) -> Plain {
        let p = grid_of(&x, side);
        let mut y = vec![0.0; p.batch * side * side * p.channels];
        pool::adaptive_average_pool_forward(&p, Pixels::of(&x).slice(), &mut y);
        map(y, [p.batch, p.channels, side, side])
    }
}

#[derive(Debug)]
struct ConvBackward;

impl Backward<Flex, 2> for ConvBackward {
    type State = (Plain, Plain, Convolution);
    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [to_x, to_weight] = ops.parents; // `None`: that gradient is not wanted, nor its work
        let dy = Pixels::of(&gradients.consume::<Flex>(&ops.node));
        let (x, weight, how) = ops.state;
        let c = shape_of(&x, &weight, how);
        if let Some(node) = to_weight {
            let mut dw = vec![0.0; c.weight_len()];
            kernels::conv2d_backward_weight(&c, Pixels::of(&x).slice(), dy.slice(), &mut dw);
            gradients.register::<Flex>(node.id, flat(dw, &dims(&weight)));
        }
        if let Some(node) = to_x {
            let mut dx = vec![0.0; c.input_len()];
            kernels::conv2d_backward_input(&c, dy.slice(), &numbers(&weight), &mut dx);
            gradients.register::<Flex>(node.id, map(dx, dims(&x)));
        }
    }
}

/// What a normalisation keeps: input, scale, offset, statistics, residual.
#[derive(Debug, Clone)]
struct NormState {
    x: Plain,
    weight: Plain,
    bias: Plain,
    mean: Plain,
    variance: Plain,
    residual: Option<Plain>,
    end: NormEnd,
}

impl NormState {
    /// Gradients to input, scale, offset and (where there is one) residual.
    fn backward(&self, dy: &Plain) -> (Plain, Plain, Plain, Option<Plain>) {
        let shape = dims(&self.x);
        let (x, dy) = (Pixels::of(&self.x), Pixels::of(dy));
        let (weight, bias) = (numbers(&self.weight), numbers(&self.bias));
        let residual = self.residual.as_ref().map(Pixels::of);
        let norm = kernels::BatchNorm {
            gamma: &weight,
            beta: &bias,
            eps: self.end.epsilon,
            residual: residual.as_ref().map(Pixels::slice),
            activation: self.end.activation,
        };
        let mut dx = vec![0.0; x.slice().len()];
        let mut d_residual = residual.as_ref().map(|residual| vec![0.0; residual.slice().len()]);
        let (mut d_gamma, mut d_beta) = (vec![0.0; shape[1]], vec![0.0; shape[1]]);
        let into = kernels::BatchNormGradients {
            dx: &mut dx,
            d_gamma: &mut d_gamma,
            d_beta: &mut d_beta,
            d_residual: d_residual.as_deref_mut(),
        };
        let (mean, variance) = (numbers(&self.mean), numbers(&self.variance));
        kernels::batch_norm_backward(&norm, x.slice(), dy.slice(), &mean, &variance, into);
        let channels = [shape[1]];
        (map(dx, shape), flat(d_gamma, &channels), flat(d_beta, &channels), d_residual.map(|d| map(d, shape)))
    }
}

#[derive(Debug)]
struct NormBackward;

impl Backward<Flex, 3> for NormBackward {
    type State = NormState;
    fn backward(self, ops: Ops<NormState, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [to_x, to_weight, to_bias] = ops.parents;
        let dy = gradients.consume::<Flex>(&ops.node);
        let (dx, d_weight, d_bias, _) = ops.state.backward(&dy);
        for (node, gradient) in [(to_x, dx), (to_weight, d_weight), (to_bias, d_bias)] {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct NormAddedBackward;

impl Backward<Flex, 4> for NormAddedBackward {
    type State = NormState;
    fn backward(self, ops: Ops<NormState, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [to_x, to_weight, to_bias, to_residual] = ops.parents;
        let dy = gradients.consume::<Flex>(&ops.node);
        let (dx, d_weight, d_bias, d_residual) = ops.state.backward(&dy);
        for (node, gradient) in [(to_x, Some(dx)), (to_weight, Some(d_weight)), (to_bias, Some(d_bias)), (to_residual, d_residual)] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct ActivateBackward;

impl Backward<Flex, 1> for ActivateBackward {
    type State = (Plain, kernels::Activation);
    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [to_x] = ops.parents;
        let dy = gradients.consume::<Flex>(&ops.node);
        let (x, activation) = ops.state;
        if let Some(node) = to_x {
            gradients.register::<Flex>(node.id, added_backward(&x, None, activation, &dy));
        }
    }
}

#[derive(Debug)]
struct AddActivateBackward;

impl Backward<Flex, 2> for AddActivateBackward {
    type State = Option<(Plain, Plain, kernels::Activation)>;
    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [to_x, to_other] = ops.parents;
        let dy = gradients.consume::<Flex>(&ops.node);
        // Both operands get the same gradient: a plain sum's is the one that comes in.
        let dx = match ops.state {
            Some((x, other, activation)) => added_backward(&x, Some(&other), activation, &dy),
            None => dy,
        };
        if let Some(node) = to_x {
            gradients.register::<Flex>(node.id, dx.clone());
        }
        if let Some(node) = to_other {
            gradients.register::<Flex>(node.id, dx);
        }
    }
}

#[derive(Debug)]
struct MaxPoolBackward;

impl Backward<Flex, 1> for MaxPoolBackward {
    type State = (Pool2d, std::sync::Arc<[u8]>);
    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [to_x] = ops.parents;
        let dy = Pixels::of(&gradients.consume::<Flex>(&ops.node));
        let (p, argmax) = ops.state;
        if let Some(node) = to_x {
            let mut dx = vec![0.0; p.input_len()];
            pool::max_pool_backward(&p, dy.slice(), &argmax, &mut dx);
            gradients.register::<Flex>(node.id, map(dx, [p.batch, p.channels, p.in_h, p.in_w]));
        }
    }
}

#[derive(Debug)]
struct AdaptiveAvgPoolBackward;

impl Backward<Flex, 1> for AdaptiveAvgPoolBackward {
    type State = AdaptivePool2d;
    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [to_x] = ops.parents;
        let dy = Pixels::of(&gradients.consume::<Flex>(&ops.node));
        let p = ops.state;
        if let Some(node) = to_x {
            let mut dx = vec![0.0; p.batch * p.in_h * p.in_w * p.channels];
            pool::adaptive_average_pool_backward(&p, dy.slice(), &mut dx);
            gradients.register::<Flex>(node.id, map(dx, [p.batch, p.channels, p.in_h, p.in_w]));
        }
    }
}

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn sl_conv2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, how: Convolution) -> FloatTensor<Self> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let y = Flex::sl_conv2d(x.clone(), weight.clone(), how);
        match ConvBackward.prepare::<C>([x_node, weight_node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x, weight, how), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
    fn sl_conv2d_ended(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        how: Convolution,
        activation: kernels::Activation,
    ) -> FloatTensor<Self> {
        let (x, weight, bias) = (x.into_parts().0, weight.into_parts().0, bias.into_parts().0);
        <Self as AutodiffBackend>::from_inner(Flex::sl_conv2d_ended(x, weight, bias, how, activation))
    }
    fn sl_conv2d_added(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        how: Convolution,
        activation: kernels::Activation,
    ) -> FloatTensor<Self> {
        let (x, weight, bias) = (x.into_parts().0, weight.into_parts().0, bias.into_parts().0);
        let y = Flex::sl_conv2d_added(x, weight, bias, residual.into_parts().0, how, activation);
        <Self as AutodiffBackend>::from_inner(y)
    }
    fn sl_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        end: NormEnd,
    ) -> BatchNormed<Self> {
        let ((x, x_node), (weight, weight_node), (bias, bias_node)) = (x.into_parts(), weight.into_parts(), bias.into_parts());
        let BatchNormed { y, mean, variance } = Flex::sl_batch_norm(x.clone(), weight.clone(), bias.clone(), end);
        let y = match NormBackward.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (mean, variance) = (mean.clone(), variance.clone());
                prepared.finish(NormState { x, weight, bias, mean, variance, residual: None, end }, y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        };
        let inner = <Self as AutodiffBackend>::from_inner;
        BatchNormed { y, mean: inner(mean), variance: inner(variance) }
    }
    fn sl_batch_norm_added(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        end: NormEnd,
    ) -> BatchNormed<Self> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let ((bias, bias_node), (residual, residual_node)) = (bias.into_parts(), residual.into_parts());
        let BatchNormed { y, mean, variance } =
            Flex::sl_batch_norm_added(x.clone(), weight.clone(), bias.clone(), residual.clone(), end);
        let nodes = [x_node, weight_node, bias_node, residual_node];
        let y = match NormAddedBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (mean, variance) = (mean.clone(), variance.clone());
                prepared.finish(NormState { x, weight, bias, mean, variance, residual: Some(residual), end }, y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        };
        let inner = <Self as AutodiffBackend>::from_inner;
        BatchNormed { y, mean: inner(mean), variance: inner(variance) }
    }
    fn sl_activate(x: FloatTensor<Self>, activation: kernels::Activation) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let y = Flex::sl_activate(x.clone(), activation);
        match ActivateBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x, activation), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
    fn sl_add_activate(x: FloatTensor<Self>, other: FloatTensor<Self>, activation: kernels::Activation) -> FloatTensor<Self> {
        let ((x, x_node), (other, other_node)) = (x.into_parts(), other.into_parts());
        let y = Flex::sl_add_activate(x.clone(), other.clone(), activation);
        match AddActivateBackward.prepare::<C>([x_node, other_node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let kept = (activation != kernels::Activation::None).then_some((x, other, activation));
                prepared.finish(kept, y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
    fn sl_max_pool(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match MaxPoolBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let p = pool_of(&x, window);
                let mut argmax = vec![0; p.output_len()];
                let y = max_pool(&x, window, Some(&mut argmax));
                prepared.finish((p, argmax.into()), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(max_pool(&x, window, None)),
        }
    }
    fn sl_adaptive_avg_pool(x: FloatTensor<Self>, side: usize) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let p = grid_of(&x, side);
        let y = Flex::sl_adaptive_avg_pool(x, side);
        match AdaptiveAvgPoolBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(p, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
}

/// [`Kernels::sl_conv2d`] on tensors.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, how: Convolution) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Kernels>::sl_conv2d(x.into_dispatch(), weight.into_dispatch(), how))
}

/// Convolution, offset, residual and activation in one pass, for evaluating.
pub fn conv2d_ended(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    residual: Option<Tensor<4>>,
    how: Convolution,
    activation: kernels::Activation,
) -> Tensor<4> {
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(match residual {
        Some(residual) => Dispatch::sl_conv2d_added(x, weight, bias, residual.into_dispatch(), how, activation),
        None => Dispatch::sl_conv2d_ended(x, weight, bias, how, activation),
    })
}

/// Batch norm by the batch's statistics, residual and activation in one operation: output, means, biased variances.
pub fn batch_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    residual: Option<Tensor<4>>,
    end: NormEnd,
) -> (Tensor<4>, Tensor<1>, Tensor<1>) {
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    let normed = match residual {
        Some(residual) => Dispatch::sl_batch_norm_added(x, weight, bias, residual.into_dispatch(), end),
        None => Dispatch::sl_batch_norm(x, weight, bias, end),
    };
    (Tensor::from_dispatch(normed.y), Tensor::from_dispatch(normed.mean), Tensor::from_dispatch(normed.variance))
}

/// [`Kernels::sl_activate`] on a tensor.
pub fn activate(x: Tensor<4>, activation: kernels::Activation) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::sl_activate(x.into_dispatch(), activation))
}

/// [`Kernels::sl_add_activate`] on tensors.
pub fn add_activate(x: Tensor<4>, other: Tensor<4>, activation: kernels::Activation) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::sl_add_activate(x.into_dispatch(), other.into_dispatch(), activation))
}

/// [`Kernels::sl_max_pool`] on a tensor.
pub fn max_pool2d(x: Tensor<4>, window: Window) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::sl_max_pool(x.into_dispatch(), window))
}

/// [`Kernels::sl_adaptive_avg_pool`] on a tensor.
pub fn adaptive_avg_pool2d(x: Tensor<4>, side: usize) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::sl_adaptive_avg_pool(x.into_dispatch(), side))
}
