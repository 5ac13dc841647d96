//! What every backbone, fusion and head keeps.

use burn::tensor::Device;

use super::{config, evaluate, images, metadata, numbers, shake, spec};
use crate::config::{Arm, HeadKind, ModelConfig};
use crate::network::{
    Context, Freeze, MetadataTensors, ModelSpec, Network, ParameterValue, backbone, fusion,
};

/// Small enough to be quick, large enough for every backbone.
const SIZE: usize = 64;

fn every_network() -> Vec<(String, ModelConfig, ModelSpec)> {
    let mut all = Vec::new();
    for backbone in backbone::BACKBONES {
        // One fusion for the large ones: what differs between them is not the fusion.
        let spatial = ModelSpec {
            spatial: true,
            ..spec(4, SIZE)
        };
        let name = backbone.name;
        all.push((
            format!("{name}, image"),
            config(name, "concat", Arm::Image),
            spec(3, SIZE),
        ));
        all.push((
            format!("{name}, concat, points"),
            config(name, "concat", Arm::Both),
            spatial,
        ));
    }
    for fusion in fusion::NAMES {
        for spatial in [false, true] {
            let spec = ModelSpec {
                spatial,
                ..spec(3, SIZE)
            };
            all.push((
                format!("small_cnn, {fusion}, spatial {spatial}"),
                config("small_cnn", fusion, Arm::Both),
                spec,
            ));
        }
    }
    for (backbone, fusion) in fusion::NAMES
        .map(|fusion| ("small_cnn", fusion))
        .into_iter()
        .chain([("resnet18", "concat"), ("mobilenet_v2", "film")])
    {
        let heatmap = ModelConfig {
            head: HeadKind::Heatmap,
            ..config(backbone, fusion, Arm::Both)
        };
        let spec = ModelSpec {
            spatial: true,
            ..spec(4, SIZE)
        };
        all.push((format!("{backbone}, {fusion}, heatmap"), heatmap, spec));
    }
    for fusion in fusion::WITH_BRANCHES {
        let auxiliary = ModelConfig {
            auxiliary: 0.5,
            ..config("small_cnn", fusion, Arm::Both)
        };
        all.push((format!("{fusion}, auxiliary"), auxiliary, spec(3, SIZE)));
    }
    all.push((
        "metadata".into(),
        config("none", "concat", Arm::Metadata),
        spec(3, SIZE),
    ));
    let no_hidden = ModelConfig {
        hidden: 0,
        ..config("small_cnn", "concat", Arm::Both)
    };
    all.push(("no hidden layer".into(), no_hidden, spec(3, SIZE)));
    all
}

#[test]
fn every_network_keeps_the_contract() {
    for (name, config, spec) in every_network() {
        let device = Device::flex();
        let mut network =
            Network::build(&config, &spec, 1, &device).unwrap_or_else(|e| panic!("{name}: {e}"));
        let start = evaluate(&network, 3, &device);
        assert_eq!(
            start.len(),
            3 * spec.n_outputs,
            "{name}: one row of outputs per row"
        );
        assert!(
            start.iter().all(|v| *v == 0.0),
            "{name}: training starts at the mean of the targets"
        );
        shake(&mut network);
        let before = evaluate(&network, 3, &device);
        assert!(before.iter().all(|v| v.is_finite()), "{name}: finite");

        row_is_independent_of_its_batch(&name, &network, &before, spec.n_outputs);
        saved_and_loaded_is_the_same(&name, &network, &before);
        if config.arm != Arm::Image {
            metadata_matters(&name, &network, &before);
        }
        every_parameter_learns(&name, &network);
    }
}

fn row_is_independent_of_its_batch(name: &str, network: &Network, three: &[f32], n_outputs: usize) {
    let device = Device::flex();
    let one = evaluate(network, 1, &device);
    let difference = super::largest_difference(&one, &three[..n_outputs]);
    assert!(
        difference < 1e-5,
        "{name}: a row's output changes with its batch by {difference}"
    );
}

fn saved_and_loaded_is_the_same(name: &str, network: &Network, before: &[f32]) {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    network.save_weights(&file).unwrap();
    let text = serde_json::to_string(&network.describe()).unwrap();
    let mut again =
        Network::from_description(&serde_json::from_str(&text).unwrap(), &device).unwrap();
    assert_eq!(
        again.root.plan(),
        network.root.plan(),
        "{name}: the description is read as it was written"
    );
    again.load_weights(&file).unwrap();
    assert_eq!(
        evaluate(&again, 3, &device),
        before,
        "{name}: saved and loaded"
    );
}

fn metadata_matters(name: &str, network: &Network, before: &[f32]) {
    let device = Device::flex();
    let MetadataTensors { dense, codes } = metadata(3, &device);
    let input = || (network.input.size > 0).then(|| images(3, 3, network.input.size, &device));
    let missing = MetadataTensors {
        dense: dense.zeros_like(),
        codes: codes.clone().zeros_like(),
    };
    let output = numbers(network.forward(input(), &mut Context::evaluate(Some(missing))));
    assert!(
        output.iter().all(|v| v.is_finite()),
        "{name}: all-missing metadata is accepted"
    );
    assert!(
        super::largest_difference(&output, before) > 1e-6,
        "{name}: metadata changes the output"
    );
    let coded = MetadataTensors {
        dense,
        codes: codes.zeros_like(),
    };
    let output = numbers(network.forward(input(), &mut Context::evaluate(Some(coded))));
    assert!(
        super::largest_difference(&output, before) > 1e-7,
        "{name}: a category changes the output"
    );
}

fn every_parameter_learns(name: &str, network: &Network) {
    let device = Device::flex().autodiff();
    let network = network.clone().train();
    let images = (network.input.size > 0).then(|| images(3, 3, network.input.size, &device));
    let mut context = Context::train(Some(metadata(3, &device)), 5);
    let output = network.forward(images, &mut context);
    let own = std::mem::take(&mut context.auxiliary);
    let loss = own
        .into_iter()
        .fold((output.clone() * output).mean(), |sum, own| {
            sum + (own.clone() * own).mean()
        });
    let gradients = loss.backward();
    let n_norms = network
        .parameters()
        .iter()
        .filter(|p| p.path.ends_with("running_mean"))
        .count();
    assert_eq!(
        context.statistics.len(),
        n_norms,
        "{name}: every normalisation returns what it saw"
    );
    network.root.each_parameter("", &mut |path, parameter| {
        let gradient = match &parameter.value {
            ParameterValue::D1(param) => param.val().grad(&gradients).map(numbers),
            ParameterValue::D2(param) => param.val().grad(&gradients).map(numbers),
            ParameterValue::D3(param) => param.val().grad(&gradients).map(numbers),
            ParameterValue::D4(param) => param.val().grad(&gradients).map(numbers),
        };
        assert_eq!(
            gradient.is_some(),
            parameter.is_trainable(),
            "{name}: gradient of {path}"
        );
        if let Some(gradient) = gradient {
            assert!(
                gradient.iter().all(|v| v.is_finite()),
                "{name}: gradient of {path} is finite"
            );
            assert!(
                gradient.iter().any(|v| *v != 0.0),
                "{name}: gradient of {path} is not zero everywhere"
            );
        }
    });
}

#[test]
fn where_a_fusion_promises_it_zero_metadata_starts_as_the_image_model() {
    let device = Device::flex();
    for name in ["film", "daft", "gate", "attention"] {
        let both = Network::build(
            &config("small_cnn", name, Arm::Both),
            &spec(3, SIZE),
            1,
            &device,
        )
        .unwrap();
        let taps = ["features".to_owned(), "fusion".to_owned()];
        let mut context = Context::evaluate(Some(metadata(2, &device)));
        let (_, tapped) = both.forward_taps(Some(images(2, 3, SIZE, &device)), &mut context, &taps);
        let [(_, before), (_, after)] = tapped.try_into().unwrap();
        let difference = super::largest_difference(&numbers(before.map()), &numbers(after.map()));
        assert!(difference < 1e-6, "{name}: {difference}");
    }
}

#[test]
fn the_same_seed_gives_the_same_network_and_the_same_dropout() {
    let device = Device::flex();
    let make = |seed| {
        Network::build(
            &config("small_cnn", "concat", Arm::Both),
            &spec(3, SIZE),
            seed,
            &device,
        )
        .unwrap()
    };
    assert_eq!(make(3).state_dict(), make(3).state_dict());
    assert_ne!(make(3).state_dict(), make(4).state_dict());
    let mut network = make(3);
    shake(&mut network);
    let step = |seed| {
        let mut context = Context::train(Some(metadata(3, &device)), seed);
        numbers(network.forward(Some(images(3, 3, SIZE, &device)), &mut context))
    };
    assert_eq!(step(1), step(1));
    assert_ne!(step(1), step(2));
}

#[test]
fn a_frozen_backbone_gives_its_features_once() {
    let device = Device::flex().autodiff();
    let mut network = Network::build(
        &config("small_cnn", "concat", Arm::Both),
        &spec(3, SIZE),
        1,
        &device,
    )
    .unwrap();
    shake(&mut network);
    assert_eq!(network.backbone, ["features", "avgpool", "flatten"]);
    assert_eq!(network.frozen_prefix(), 0);
    network.freeze_backbone(Freeze::Yes);
    assert_eq!(network.frozen_prefix(), 3);
    assert!(
        network
            .parameters()
            .iter()
            .all(|p| p.trainable != p.path.starts_with("features") || p.path.contains("running"))
    );

    let mut whole = Context::train(Some(metadata(4, &device)), 9);
    let output = network.forward(Some(images(4, 3, SIZE, &device)), &mut whole);
    let features = network
        .forward_prefix(images(4, 3, SIZE, &device), 3)
        .detached();
    let mut later = Context::train(Some(metadata(4, &device)), 9);
    let again = network.forward_from(3, features, &mut later);
    assert_eq!(numbers(output), numbers(again));
    let paths: Vec<&str> = whole.statistics.iter().map(|s| s.path.as_str()).collect();
    assert_eq!(
        paths,
        ["fusion.image.norm", "fusion.metadata.ways.own.norm"],
        "frozen normalisations behave as in evaluation"
    );

    network.unfreeze("features.4");
    assert_eq!(
        network.frozen_prefix(),
        0,
        "`features` is one child of the root"
    );
}

#[test]
fn points_keep_the_grid_and_other_tasks_the_mean() {
    let device = Device::flex();
    let config = config("resnet18", "concat", Arm::Image);
    let points = Network::build(
        &config,
        &ModelSpec {
            spatial: true,
            ..spec(8, 128)
        },
        0,
        &device,
    )
    .unwrap();
    let names = |network: &Network| {
        network
            .root
            .children
            .iter()
            .map(|(n, _)| n.clone())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        names(&points),
        "conv1 bn1 relu maxpool layer1 layer2 layer3 layer4 spatial flatten head"
    );
    let flat = points
        .inspect()
        .unwrap()
        .into_iter()
        .find(|layer| layer.path == "flatten")
        .unwrap();
    assert_eq!(flat.output, crate::network::Shape::Features(64 * 4 * 4));
    let class = Network::build(&config, &spec(8, 128), 0, &device).unwrap();
    assert_eq!(
        names(&class),
        "conv1 bn1 relu maxpool layer1 layer2 layer3 layer4 avgpool flatten head"
    );
}

#[test]
fn published_sizes_are_met() {
    let n_parameters = |name| {
        let network = Network::original(
            backbone::named(name).unwrap(),
            1000,
            224,
            None,
            0,
            &Device::flex(),
        )
        .unwrap();
        (
            network.n_parameters(),
            network
                .inspect()
                .unwrap()
                .iter()
                .map(|layer| layer.multiply_adds)
                .sum::<usize>(),
        )
    };
    // torchvision's documentation: parameters, and multiply-adds in units of 10⁹.
    assert_eq!(n_parameters("resnet18").0, 11_689_512);
    assert_eq!(n_parameters("resnet50").0, 25_557_032);
    let (n, multiply_adds) = n_parameters("mobilenet_v2");
    assert_eq!(n, 3_504_872);
    assert!(
        (multiply_adds as f64 / 1e9 - 0.301).abs() < 0.001,
        "{multiply_adds}"
    );
}
