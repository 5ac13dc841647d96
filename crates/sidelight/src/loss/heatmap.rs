//! The loss of a heatmap's shape.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, softmax};

use crate::network::layer::coordinates_tensor;

/// Standard deviation of the heatmap that is aimed at, in its pixels.
const SD: f64 = 1.0;

/// How far heatmaps are from a Gaussian of one pixel around the truth, the mean over known points:
///
/// ```text
/// g = softmax over pixels of −|pixel − t|² / 2σ²     h = softmax over pixels of the map
/// l = KL(g ‖ h) = Σ g (ln g − ln h)
/// ```
///
/// A place is the mean of its heatmap, and many heatmaps have the same mean; this one says where the object is at every
/// pixel, and the gradient of each is plainly `h − g`.
///
/// # Shapes
///
/// - `maps`: `[batch, n_points, height, width]`, before the softmax
/// - `target`, `mask`: `[batch, 2 n_points]`; `share`: of each row's loss, `[batch, 1]`
///
/// # Source
///
/// Nibali et al. 2018, "Numerical coordinate regression with convolutional neural networks" (DSNT), arXiv:1801.07372, section
/// 3.3, eq. 7, whose figures are best with σ = 1 pixel. Departs from it: the divergence is of the heatmap from the Gaussian
/// (`KL(g ‖ h)`), whose gradient does not vanish where the heatmap has no mass yet.
pub(crate) fn divergence(
    maps: Tensor<4>,
    target: Tensor<2>,
    mask: Tensor<2>,
    share: Option<Tensor<2>>,
) -> Tensor<1> {
    let [batch, n, height, width] = maps.dims();
    let pixels = height * width;
    // Where a coordinate is not known it may be anything, NaN included.
    let target = target.mask_fill(mask.clone().equal_elem(0.0), 0.0);
    let target = target.reshape([batch * n, 2]);
    let weight = mask.reshape([batch * n, 2]).min_dim(1); // [batch · n, 1]
    let at = coordinates_tensor(height, width, &maps.device()); // [pixels, 2], x and y in [-1, 1]
    let off = |axis: usize, side: usize| {
        let target = target.clone().narrow(1, axis, 1);
        let at = at.clone().narrow(1, axis, 1).reshape([1, pixels]);
        let off = (at - target) * (side as f64 / 2.0 / SD); // in standard deviations
        off.clone() * off
    };
    let gaussian = (off(0, width) + off(1, height)) * -0.5; // [batch · n, pixels]
    let log_h = log_softmax(maps.reshape([batch * n, pixels]), 1);
    let aim = softmax(gaussian.clone(), 1);
    let log_aim = log_softmax(gaussian, 1);
    let divergence = (aim * (log_aim - log_h)).sum_dim(1); // [batch · n, 1]
    let known = weight.clone().sum();
    let weight = match share {
        Some(share) => {
            let of_points = share.reshape([batch, 1]).expand([batch, n]);
            weight * of_points.reshape([batch * n, 1])
        }
        None => weight,
    };
    (divergence * weight).sum() / known.clamp_min(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use serde_json::Value;

    use super::*;
    use crate::tensor::numbers;

    /// Made by `tests/reference/heatmap.py` with PyTorch.
    const REFERENCE: &str = include_str!("../../tests/reference/heatmap.json");

    #[test]
    fn the_divergence_and_its_gradient_agree_with_pytorch() {
        let case: Value = serde_json::from_str(REFERENCE).unwrap();
        let device = Device::flex().autodiff();
        let list = |name: &str| -> Vec<f32> { serde_json::from_value(case[name].clone()).unwrap() };
        let maps = TensorData::new(list("maps"), [3, 2, 4, 5]);
        let maps = Tensor::<4>::from_data(maps, &device).require_grad();
        let of = |name: &str, width: usize| {
            Tensor::<2>::from_data(TensorData::new(list(name), [3, width]), &device)
        };
        // The place of what is not known is not read.
        let unknown = of("mask", 4).equal_elem(0.0);
        let target = of("target", 4).mask_fill(unknown, f32::NAN);
        let loss = divergence(maps.clone(), target, of("mask", 4), Some(of("share", 1)));
        let mut gradients = loss.backward();
        let wanted = case["loss"].as_f64().unwrap();
        assert!((f64::from(loss.into_scalar::<f32>()) - wanted).abs() < 1e-6);
        let gradient = maps.grad_remove(&mut gradients).unwrap();
        let gradient = gradient
            .into_data()
            .convert::<f32>()
            .try_into_vec::<f32>()
            .unwrap();
        for (found, wanted) in gradient.iter().zip(list("gradient")) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }

    #[test]
    fn nothing_known_costs_nothing() {
        let device = Device::flex();
        let zeros = Tensor::<2>::zeros([1, 2], &device);
        let maps = Tensor::<4>::zeros([1, 1, 2, 2], &device);
        let loss = divergence(maps, zeros.clone() + f32::NAN, zeros, None);
        assert_eq!(numbers(loss.reshape([1, 1])), [0.0]);
    }
}
