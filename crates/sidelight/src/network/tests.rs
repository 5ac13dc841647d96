//! Contracts that every network keeps.

mod contract;
mod gradients;
mod reference;
mod several;
mod surgery;
mod timm;
mod weights;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Context, MetadataTensors, ModelSpec, Network};
use crate::config::{Arm, ModelConfig};
use crate::encode::Embedding;

/// Numbers in [-1, 1) from a hash of name and position: `noise` of `tests/reference/torch_backbones.py`.
pub(super) fn noise(name: &str, n: usize) -> Vec<f64> {
    let seed = name.bytes().fold(0x811C_9DC5_u32, |h, byte| {
        (h ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (0..n)
        .map(|i| {
            let mut h = (i as u32).wrapping_mul(0x9E37_79B9).wrapping_add(seed);
            h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
            h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
            f64::from(h ^ (h >> 16)) / 2_147_483_648.0 - 1.0
        })
        .collect()
}

/// Smooth images: `images` of the script.
fn images(n: usize, channels: usize, size: usize, device: &Device) -> Tensor<4> {
    let mut values = Vec::new();
    for b in 0..n {
        for c in 0..channels {
            for y in 0..size {
                for x in 0..size {
                    let (b, c, y, x) = (b as f64, c as f64, y as f64, x as f64);
                    let wave = (0.11 * (b + 1.0) * x + c).sin() * (0.07 * (c + 1.0) * y - b).cos();
                    values.push((wave + 0.3 * (0.9 * x + 0.7 * y * (b + 1.0)).sin()) as f32);
                }
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [n, channels, size, size]), device)
}

/// Two embedded columns and five numbers.
fn spec(n_outputs: usize, size: usize) -> ModelSpec {
    let embedding = |column: &str, n_codes, width| Embedding {
        column: column.into(),
        n_codes,
        width,
    };
    ModelSpec {
        n_outputs,
        d_dense: 5,
        embeddings: vec![embedding("zip.code", 7, 3), embedding("zip_code", 4, 2)],
        size,
        ..ModelSpec::default()
    }
}

fn metadata(n: usize, device: &Device) -> MetadataTensors {
    let dense: Vec<f32> = noise("dense", n * 5)
        .into_iter()
        .map(|v| v as f32)
        .collect();
    let codes: Vec<i64> = (0..n)
        .flat_map(|i| [(i % 7) as i64, (i % 4) as i64])
        .collect();
    MetadataTensors {
        dense: Tensor::from_data(TensorData::new(dense, [n, 5]), device),
        codes: Tensor::<2, Int>::from_data(TensorData::new(codes, [n, 2]), device),
    }
}

fn config(backbone: &str, fusion: &str, arm: Arm) -> ModelConfig {
    ModelConfig {
        backbone: backbone.into(),
        fusion: fusion.into(),
        arm,
        hidden: 16,
        ..ModelConfig::default()
    }
}

/// Gives every parameter numbers, so that nothing is hidden behind a start of zeros.
fn shake(network: &mut Network) {
    network.root.each_parameter_mut("", &mut |path, parameter| {
        let shape = parameter.shape();
        let n: usize = shape.iter().product();
        let u = noise(path, n);
        let values = if path.ends_with("running_var") {
            u.iter().map(|u| 1.0 + 0.5 * u.abs()).collect()
        } else if shape.len() >= 2 {
            let fan_in = (n / shape[0]) as f64;
            u.iter().map(|u| u * (3.0 / fan_in).sqrt()).collect()
        } else if path.ends_with("weight") {
            u.iter().map(|u| 1.0 + 0.1 * u).collect()
        } else {
            u.iter().map(|u| 0.1 * u).collect::<Vec<f64>>()
        };
        parameter.set_values(values.into_iter().map(|v| v as f32).collect());
    });
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .without_autodiff()
        .into_data()
        .try_into_vec::<f32>()
        .unwrap()
}

fn evaluate(network: &Network, n: usize, device: &Device) -> Vec<f32> {
    let images = (network.input.size > 0)
        .then(|| images(n, network.input.channels, network.input.size, device));
    numbers(network.forward(images, &mut Context::evaluate(Some(metadata(n, device)))))
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}
