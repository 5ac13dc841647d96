//! Normalisation over the batch, and over each row's features.

use std::sync::Arc;

use burn::tensor::{Tensor, module};

use super::activation::{Activation, finish};
use super::convolution::Folded;
use super::cpu;
use crate::AllReduce;

/// A batch normalised by its own statistics, and those statistics.
#[derive(Debug)]
pub struct Normalized<const D: usize> {
    /// As the input.
    pub output: Tensor<D>,
    /// Mean of each channel, `[channels]`, detached.
    pub mean: Tensor<1>,
    /// `[channels]`, divided by n − 1 (as torch keeps it in `running_var`), detached.
    pub variance: Tensor<1>,
    /// Numbers a channel that these are of.
    pub n: f64,
}

/// The rows of all ranks are one batch: each holds its own, and is normalised by the statistics of all.
#[derive(Debug, Clone)]
pub struct SyncStatistics {
    /// All ranks whose rows are normalised together.
    pub ranks: Arc<dyn AllReduce>,
    /// Whether the rows here count: where a rank has none, one is there to fill its place.
    pub counts: bool,
}

/// Normalises each channel by given statistics: `(x − mean) / √(variance + ε) · weight + bias`.
///
/// # Shapes
///
/// - `x`: `[batch, channels, …]`; all others `[channels]`
///
/// # Source
///
/// Ioffe and Szegedy 2015, "Batch Normalization", arXiv:1502.03167, algorithm 2.
pub fn batch_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    mean: Tensor<1>,
    variance: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let is_tracked = x.is_tracked() || weight.is_tracked() || bias.is_tracked();
    if (D == 2 || D == 4) && !is_tracked && cpu::is_ours(&x) && cpu::is_ours(&weight) {
        let Folded { scale, shift } = fold(weight, bias, mean, variance, epsilon);
        let inputs = [
            x.into_dispatch(),
            scale.into_dispatch(),
            shift.into_dispatch(),
        ];
        return cpu::run(cpu::Affine, inputs);
    }
    module::batch_norm(x, weight, bias, mean, variance, epsilon)
}

/// A normalisation by given statistics as a factor and an offset per channel.
pub fn fold(
    weight: Tensor<1>,
    bias: Tensor<1>,
    mean: Tensor<1>,
    variance: Tensor<1>,
    epsilon: f64,
) -> Folded {
    let scale = weight / (variance + epsilon).sqrt();
    let shift = bias - mean * scale.clone();
    Folded { scale, shift }
}

/// Normalises each channel by the batch's own statistics, through which gradients flow; then adds `other` and applies
/// `then`, in the same pass over memory where our kernels do it.
///
/// With `together` the batch is that of all ranks, forward and backward: gradients are those of the sum of all ranks'
/// losses. On another device than the CPU each rank is then still normalised by its own.
///
/// # Shapes
///
/// - `x`, `other`: `[batch, channels, …]`; `weight`, `bias`: `[channels]`
///
/// # Source
///
/// Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1. The output is divided by the biased
/// deviation and the returned variance is unbiased, as in PyTorch.
pub fn batch_norm_train<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
    (other, then): (Option<Tensor<D>>, Option<Activation>),
    together: Option<SyncStatistics>,
) -> Normalized<D> {
    let is_ours = (D == 2 || D == 4) && cpu::is_ours(&x) && cpu::is_ours(&weight);
    let is_known = then.is_none_or(|function| cpu::known(function).is_some());
    match (is_ours, is_known, &together) {
        (true, true, _) => {}
        (true, false, Some(_)) => {
            let plain = batch_norm_train(x, weight, bias, epsilon, (None, None), together);
            return Normalized {
                output: finish(plain.output, other, then),
                ..plain
            };
        }
        _ => return train_by_burn(x, weight, bias, epsilon, (other, then)),
    }
    let how = cpu::Normalize {
        epsilon: epsilon as f32,
        then,
        together,
    };
    let (mut statistics, device) = (cpu::Statistics::default(), x.device());
    let inputs = [
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ];
    let inputs = inputs.into_iter().chain(other.map(Tensor::into_dispatch));
    let output = cpu::run((how, &mut statistics), inputs);
    let cpu::Statistics { mean, variance, n } = statistics;
    let of_channels = |values: &[f32]| Tensor::from_data(values, &device);
    Normalized {
        output,
        mean: of_channels(&mean),
        variance: of_channels(&variance) * (n / (n - 1.0)),
        n,
    }
}

/// Numbers per channel.
fn rows_of<const D: usize>(x: &Tensor<D>) -> f64 {
    let dims = x.dims();
    (dims.iter().product::<usize>() / dims[1]) as f64
}

/// The normalisation by Burn's operations.
pub(super) fn train_by_burn<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
    (other, then): (Option<Tensor<D>>, Option<Activation>),
) -> Normalized<D> {
    let n = rows_of(&x);
    let result = module::batch_norm_train(x, weight, bias, epsilon);
    Normalized {
        output: finish(result.output, other, then),
        mean: result.mean,
        variance: result.variance * (n / (n - 1.0)),
        n,
    }
}

/// Normalises the last axis of each row.
///
/// # Shapes
///
/// - `x`: `[…, features]`; `weight`, `bias`: `[features]`
///
/// # Source
///
/// Ba et al. 2016, "Layer Normalization", arXiv:1607.06450, eq. 4.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    module::layer_norm(x, weight, Some(bias), epsilon)
}

/// [`layer_norm`] over the channels of each pixel.
///
/// # Shapes
///
/// - `x`: `[batch, channels, height, width]`; `weight`, `bias`: `[channels]`
///
/// # Source
///
/// Liu et al. 2022, "A ConvNet for the 2020s", arXiv:2201.03545: `LayerNorm2d`.
pub fn layer_norm_channels(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<4> {
    layer_norm(x.permute([0, 2, 3, 1]), weight, bias, epsilon).permute([0, 3, 1, 2])
}
