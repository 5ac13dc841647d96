//! Against timm, its keys included: `tests/reference/timm_backbones.py`.

use std::path::Path;

use burn::tensor::Device;
use serde::Deserialize;

use super::{images, largest_difference, noise, numbers};
use crate::network::{BackboneWeights, Context, Network, backbone, weights};

/// What the script says of one network.
#[derive(Deserialize)]
struct Case {
    /// Pixels a side.
    size: usize,
    /// Variance of the weights, times their fan-in.
    gain: f64,
    /// `conv_stem.weight 32 3 3 3`; a normalisation's four are `bn1.* 32`.
    keys: Vec<String>,
    /// Of four images, ten each.
    logits: Vec<f32>,
}

impl Case {
    fn of(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/timm_backbones.json");
        let text = std::fs::read_to_string(path).unwrap();
        let mut all: serde_json::Value = serde_json::from_str(&text).unwrap();
        serde_json::from_value(all[name].take()).unwrap()
    }
    /// Keys and shapes.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let tensors = self.keys.iter().flat_map(|line| {
            let mut words = line.split(' ');
            let key = words.next().unwrap();
            let shape: Vec<usize> = words.map(|n| n.parse().unwrap()).collect();
            let keys = match key.strip_suffix('*') {
                Some(module) => ["weight", "bias", "running_mean", "running_var"]
                    .map(|name| format!("{module}{name}"))
                    .to_vec(),
                None => vec![key.to_owned()],
            };
            keys.into_iter().map(move |key| (key, shape.clone()))
        });
        tensors.collect()
    }
    /// `fill` of the script.
    fn values(&self, key: &str, shape: &[usize]) -> Vec<f32> {
        let n: usize = shape.iter().product();
        let fan_in = (n / shape[0]) as f64;
        let value = |u: f64| {
            if key.ends_with("running_var") {
                1.0 + 0.5 * u.abs()
            } else if shape.len() >= 2 {
                u * (3.0 * self.gain / fan_in).sqrt()
            } else if key.ends_with("weight") || key.ends_with("scale") {
                1.0 + 0.1 * u
            } else {
                0.1 * u
            }
        };
        let u = noise(key, n).into_iter();
        u.map(|u| value(u) as f32).collect()
    }
    /// A file as one that timm's `save_pretrained` writes.
    fn write(&self, path: &Path) {
        let tensors = self.tensors().into_iter().map(|(key, shape)| {
            let values = self.values(&key, &shape);
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (key, shape, bytes)
        });
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = tensors.collect();
        weights::write(path, &tensors, None).unwrap();
    }
}

/// Its file says what it is, is read whole, classifier and all, and gives timm's logits.
fn same_logits_as_timm(name: &str) {
    let (case, device) = (Case::of(name), Device::flex());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    case.write(&path);
    let whose = weights::backbone_of(&path).unwrap();
    assert_eq!(whose.map(|backbone| backbone.name), Some(name));

    let backbone = backbone::named(name).unwrap();
    let from = BackboneWeights::File(&path);
    let network = Network::original(backbone, 10, case.size, from, &device).unwrap();
    let images = images(4, 3, case.size, &device);
    let logits = numbers(network.forward(Some(images), &mut Context::default()));
    let difference = largest_difference(&logits, &case.logits);
    println!("{name}: {difference:.1e}");
    assert!(difference < 1e-4, "{name}: {difference}");
}

macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            same_logits_as_timm(stringify!($name));
        })*
    };
}

cases! {
    mobilenet_v3_small
    mobilenet_v3_large
    efficientnet_lite1
    efficientnet_lite2
    mobilenetv4_conv_small
    mobilenetv4_conv_medium
    hgnetv2_b0
    hgnetv2_b1
    hgnetv2_b2
    regnety_016
    convnext_atto
    convnext_femto
    convnext_pico
    convnext_nano
}
