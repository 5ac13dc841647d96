//! Random masks that depend on the random stream alone, never on a device or a number of threads.

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;

/// A mask of 0 (with probability `p`) and 1/(1 − p), of this shape, on this device.
///
/// # Source
///
/// Srivastava et al. 2014, "Dropout", JMLR 15; scaled in training ("inverted"), as PyTorch does it.
pub fn dropout_mask<const D: usize>(
    shape: [usize; D],
    p: f64,
    mut stream: impl Rng,
    device: &Device,
) -> Tensor<D> {
    // A draw is dropped below this bound: 32 random bits per number.
    let bound = (p.clamp(0.0, 1.0) * 4_294_967_296.0) as u64;
    let kept = if p < 1.0 {
        (1.0 / (1.0 - p)) as f32
    } else {
        0.0
    };
    let n = shape.iter().product();
    let mask: Vec<f32> = (0..n)
        .map(|_| {
            if u64::from(stream.next_u32()) < bound {
                0.0
            } else {
                kept
            }
        })
        .collect();
    Tensor::from_data(TensorData::new(mask, shape), device)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_mask_keeps_its_share_and_the_mean() {
        let mask = dropout_mask(
            [100, 100],
            0.3,
            ChaCha8Rng::seed_from_u64(1),
            &Device::flex(),
        );
        let values: Vec<f32> = mask.into_data().try_to_vec().unwrap();
        let dropped = values.iter().filter(|v| **v == 0.0).count() as f64 / 1e4;
        assert!((dropped - 0.3).abs() < 0.02, "dropped {dropped}");
        assert!(
            values
                .iter()
                .all(|v| *v == 0.0 || (*v - 1.0 / 0.7).abs() < 1e-6)
        );
    }

    #[test]
    fn a_mask_depends_on_the_stream_only() {
        let device = Device::flex();
        let draw = |seed| {
            dropout_mask([64], 0.5, ChaCha8Rng::seed_from_u64(seed), &device)
                .into_data()
                .try_to_vec::<f32>()
                .unwrap()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
