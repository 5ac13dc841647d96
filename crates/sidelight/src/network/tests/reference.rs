//! Against torch and torchvision: `tests/reference/torch_backbones.py`.

use std::path::PathBuf;

use burn::tensor::Device;
use serde_json::Value as Json;

use super::{images, largest_difference, noise, numbers, shake};
use crate::network::layer::{
    AdaptiveAvgPool, AvgPool, BatchNorm, Conv2d, Layer, LayerNorm, Linear, MaxPool, Pool,
};
use crate::network::{
    Architecture, BackboneWeights, Context, InputSpec, Network, ParameterValue, Shape, Start,
    Value, Walk, backbone,
};

fn expected() -> Json {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference/torch_backbones.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn floats(json: &Json) -> Vec<f32> {
    json.as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap() as f32)
        .collect()
}

fn same_logits_as_torchvision(name: &str) {
    let expected = &expected()[name];
    let size = expected["size"].as_u64().unwrap() as usize;
    let device = Device::flex();
    let backbone = backbone::named(name).unwrap();
    let mut network =
        Network::original(backbone, 10, size, BackboneWeights::Seed(0), &device).unwrap();
    shake(&mut network);
    let logits =
        numbers(network.forward(Some(images(4, 3, size, &device)), &mut Context::default()));
    let difference = largest_difference(&logits, &floats(&expected["logits"]));
    assert!(difference < 1e-4, "{name}: {difference}");
}

#[test]
fn resnet18_gives_torchvisions_logits() {
    same_logits_as_torchvision("resnet18");
}
#[test]
fn resnet34_gives_torchvisions_logits() {
    same_logits_as_torchvision("resnet34");
}
#[test]
fn resnet50_gives_torchvisions_logits() {
    same_logits_as_torchvision("resnet50");
}
#[test]
fn resnet101_gives_torchvisions_logits() {
    same_logits_as_torchvision("resnet101");
}
#[test]
fn mobilenet_v2_gives_torchvisions_logits() {
    same_logits_as_torchvision("mobilenet_v2");
}

#[test]
fn mobilenet_v3_small_gives_torchvisions_logits() {
    same_logits_as_torchvision("mobilenet_v3_small");
}
#[test]
fn mobilenet_v3_large_gives_torchvisions_logits() {
    same_logits_as_torchvision("mobilenet_v3_large");
}
#[test]
fn efficientnet_b0_gives_torchvisions_logits() {
    same_logits_as_torchvision("efficientnet_b0");
}
#[test]
fn convnext_tiny_gives_torchvisions_logits() {
    same_logits_as_torchvision("convnext_tiny");
}
#[test]
fn vit_s16_gives_torchs_logits() {
    same_logits_as_torchvision("vit_s16");
}
#[test]
fn dinov2_s14_gives_torchs_logits() {
    same_logits_as_torchvision("dinov2_s14");
}

/// Both files of the real weights give the logits that torch gives.
fn same_logits_with_real_weights(name: &str, files: [&str; 2]) {
    let Some(folder) = std::env::var_os("SIDELIGHT_WEIGHTS") else {
        println!("skipped: SIDELIGHT_WEIGHTS is not set");
        return;
    };
    let expected = &expected()[format!("{name} real")];
    let size = expected["size"].as_u64().unwrap() as usize;
    let device = Device::flex();
    let backbone = backbone::named(name).unwrap();
    for file in files {
        let path = PathBuf::from(&folder).join(file);
        let network =
            Network::original(backbone, 1000, size, BackboneWeights::File(&path), &device).unwrap();
        let logits =
            numbers(network.forward(Some(images(4, 3, size, &device)), &mut Context::default()));
        let difference = largest_difference(&logits, &floats(&expected["logits"]));
        assert!(difference < 1e-4, "{file}: {difference}");
    }
}

#[test]
fn efficientnet_lite0_with_the_real_weights_gives_its_authors_logits() {
    let files = [
        "efficientnet-lite0-57934424.pth",
        "efficientnet-lite0-57934424.safetensors",
    ];
    same_logits_with_real_weights("efficientnet_lite0", files);
}

#[test]
fn mobilenet_v2_with_the_real_weights_gives_torchvisions_logits() {
    // The old pickle stream and safetensors hold the same.
    same_logits_with_real_weights(
        "mobilenet_v2",
        [
            "mobilenet_v2-b0353104.pth",
            "mobilenet_v2-b0353104.safetensors",
        ],
    );
}

#[test]
fn a_training_step_of_a_small_network_is_torchs() {
    let expected = &expected()["small_training_step"];
    let device = Device::flex().autodiff();
    let window = |kernel, padding| Pool {
        kernel,
        stride: 2,
        padding,
    };
    let architecture = Architecture::numbered([
        Conv2d::new(8, 3).with_stride(2).into(),
        BatchNorm::default().into(),
        Layer::Relu.into(),
        MaxPool(window(3, 1)).into(),
        Conv2d::depthwise(3).with_bias().into(),
        BatchNorm::default().into(),
        Layer::Relu6.into(),
        Conv2d::new(12, 1).into(),
        Layer::HardSwish.into(),
        AvgPool(window(2, 0)).into(),
        AdaptiveAvgPool::default().into(),
        Layer::Flatten.into(),
        Linear::new(10).into(),
        BatchNorm::default().into(),
        Layer::Gelu.into(),
        LayerNorm::default().into(),
        Linear::new(5).into(),
    ]);
    let input = InputSpec {
        mean: [0.0; 3],
        sd: [1.0; 3],
        size: 24,
        channels: 3,
    };
    let mut network = Network::new(architecture, input, Start::Zeros, &device).unwrap();
    shake(&mut network);

    let mut context = Context::train(None, 0);
    let output = network.forward(Some(images(4, 3, 24, &device)), &mut context);
    let difference = largest_difference(&numbers(output.clone()), &floats(&expected["output"]));
    assert!(difference < 1e-5, "output: {difference}");

    let gradients = (output.clone() * output).mean().backward();
    let mut compared = 0;
    network.root.each_parameter("", &mut |path, parameter| {
        if !parameter.is_trainable() {
            return;
        }
        let gradient = match &parameter.value {
            ParameterValue::D1(param) => numbers(param.val().grad(&gradients).unwrap()),
            ParameterValue::D2(param) => numbers(param.val().grad(&gradients).unwrap()),
            ParameterValue::D3(param) => numbers(param.val().grad(&gradients).unwrap()),
            ParameterValue::D4(param) => numbers(param.val().grad(&gradients).unwrap()),
        };
        let torchs = floats(&expected["gradients"][&path]);
        let scale = torchs.iter().fold(1.0_f32, |scale, v| scale.max(v.abs()));
        let difference = largest_difference(&gradient, &torchs) / scale;
        assert!(difference < 2e-5, "gradient of {path}: {difference}");
        compared += 1;
    });
    assert_eq!(compared, expected["gradients"].as_object().unwrap().len());

    network.apply_statistics(context.statistics, 0.1);
    let mut compared = 0;
    for (path, _, values) in network.state_dict() {
        if path.contains("running") {
            let difference = largest_difference(&values, &floats(&expected["running"][&path]));
            assert!(difference < 1e-5, "{path}: {difference}");
            compared += 1;
        }
    }
    assert_eq!(compared, 6);
}

#[test]
fn noise_is_the_scripts() {
    // From the script: noise("fc.weight", 3).
    let found = noise("fc.weight", 3);
    let difference = found
        .iter()
        .zip([NOISE[0], NOISE[1], NOISE[2]])
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    assert!(difference < 1e-9, "{found:?}");
}
const NOISE: [f64; 3] = [
    -0.6265562679618597,
    -0.7590769547969103,
    -0.2646234412677586,
];

#[test]
fn a_tap_gives_the_feature_map_of_a_layer() {
    let device = Device::flex();
    let resnet = backbone::named("resnet18").unwrap();
    let network = Network::original(resnet, 10, 64, BackboneWeights::Seed(0), &device).unwrap();
    let taps = ["layer2".to_owned(), "layer4.1.conv2".to_owned()];
    let (logits, tapped) = network.forward_taps(
        Some(images(2, 3, 64, &device)),
        &mut Context::default(),
        &taps,
    );
    assert_eq!(logits.dims(), [2, 10]);
    let shapes: Vec<(String, Shape)> = tapped
        .into_iter()
        .map(|(path, value)| (path, value.shape()))
        .collect();
    assert_eq!(
        shapes,
        [
            ("layer2".into(), Shape::square(128, 8)),
            ("layer4.1.conv2".into(), Shape::square(512, 2))
        ]
    );
    let mut context = Context::default();
    let mut walk = Walk::new(&mut context, &[]);
    let whole = network
        .root
        .forward(Value::Map(images(2, 3, 64, &device)), &mut walk)
        .features();
    // Without taps neighbouring layers run as one: equal to rounding.
    let difference = largest_difference(&numbers(whole), &numbers(logits));
    assert!(difference < 1e-5, "{difference}");
}
