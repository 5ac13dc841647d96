//! What every backbone, fusion and head keeps.

use burn::tensor::Device;

use super::{config, evaluate, images, metadata, numbers, shake, spec};
use crate::config::{Arm, HeadKind, ModelConfig};
use crate::network::value::map_value;
use crate::network::{
    BackboneWeights, Context, Freeze, MetadataTensors, ModelSpec, Network, ParameterValue,
    backbone, fusion,
};

/// Small enough to be quick, large enough for every backbone.
const SIZE: usize = 64;

/// The tests of each fusion: `fusions::film::heatmap`, say.
mod fusions {
    macro_rules! tests {
        (
            composed { $($composed:ident::$Composed:ident = $composed_name:literal,)* }
            layers { $($layer:ident::$Layer:ident = $layer_name:literal: $doc:literal,)* }
            inner { $($inner:tt)* }
        ) => {
            $(mod $composed {
                tests!(@of_any $composed_name);
            })*
            $(mod $layer {
                tests!(@of_any $layer_name);

                #[test]
                fn starts_as_the_image_model() {
                    super::super::starts_as_the_image_model($layer_name);
                }
            })*
        };
        (@of_any $name:literal) => {
            use super::super::*;

            #[test]
            fn pooled() {
                keeps_the_contract(&config("small_cnn", $name, Arm::Both), &spec(3, SIZE));
            }
            #[test]
            fn spatial() {
                keeps_the_contract(&config("small_cnn", $name, Arm::Both), &keypoints(3));
            }
            #[test]
            fn heatmap() {
                keeps_the_contract(&with_heatmap("small_cnn", $name), &keypoints(4));
            }
            #[test]
            fn auxiliary_loss() {
                auxiliary_loss_where_there_are_branches($name);
            }
        };
    }
    crate::network::fusion::each_fusion!(tests);
}

/// The tests of each backbone: `backbones::resnet18::image`, say. One fusion for all: what differs between them is not
/// the fusion.
mod backbones {
    macro_rules! tests {
        ($($file:ident { $($name:ident: $BACKBONE:ident),* })*) => {
            $($(mod $name {
                use super::super::*;

                const NAME: &str = stringify!($name);

                #[test]
                fn image() {
                    keeps_the_contract(&config(NAME, "concat", Arm::Image), &spec(3, SIZE));
                }
                #[test]
                fn concat_and_keypoints() {
                    keeps_the_contract(&config(NAME, "concat", Arm::Both), &keypoints(4));
                }
            })*)*
        };
    }
    crate::network::backbone::each_backbone!(tests);
}

fn keypoints(n_outputs: usize) -> ModelSpec {
    ModelSpec {
        spatial: true,
        ..spec(n_outputs, SIZE)
    }
}

fn with_heatmap(backbone: &str, fusion: &str) -> ModelConfig {
    ModelConfig {
        head: HeadKind::Heatmap,
        ..config(backbone, fusion, Arm::Both)
    }
}

#[test]
fn a_heatmap_of_a_residual_network_keeps_the_contract() {
    keeps_the_contract(&with_heatmap("resnet18", "concat"), &keypoints(4));
}
#[test]
fn a_heatmap_of_an_inverted_residual_network_keeps_the_contract() {
    keeps_the_contract(&with_heatmap("mobilenet_v2", "film"), &keypoints(4));
}
/// They do not start at the mean of the targets, for candidates that are all alike would stay so.
fn candidates_keep_the_contract(backbone: &str, arm: Arm) {
    let config = ModelConfig {
        head: HeadKind::Candidates,
        candidates: 3,
        ..config(backbone, "stacked", arm)
    };
    let device = Device::flex();
    let mut network = Network::build(&config, &keypoints(4), 1, &device).unwrap();
    shake(&mut network);
    let before = evaluate(&network, 3, &device);
    // The chosen one, all three, the logarithms of their probabilities.
    let width = 4 + 3 * 4 + 3;
    assert_eq!(before.len(), 3 * width);
    for row in before.chunks_exact(width) {
        let total: f32 = row[16..].iter().map(|logarithm| logarithm.exp()).sum();
        assert!((total - 1.0).abs() < 1e-5, "{row:?}");
        let best = (0..3).max_by(|&a, &b| row[16 + a].total_cmp(&row[16 + b]));
        let first = 4 + 4 * best.unwrap();
        assert_eq!(row[..4], row[first..first + 4], "{row:?}");
    }
    row_is_independent_of_its_batch(&network, &before, width);
    saved_and_loaded_is_the_same(&network, &before);
    if arm != Arm::Image {
        metadata_matters(&network, &before);
    }
    every_parameter_learns(&network);
}

#[test]
fn candidates_of_both_keep_the_contract() {
    candidates_keep_the_contract("small_cnn", Arm::Both);
}
#[test]
fn candidates_of_the_image_alone_keep_the_contract() {
    candidates_keep_the_contract("mobilenet_v2", Arm::Image);
}
#[test]
fn candidates_of_a_transformer_are_refused() {
    let config = ModelConfig {
        head: HeadKind::Candidates,
        ..config("vit_s16", "stacked", Arm::Both)
    };
    let refused = Network::build(&config, &keypoints(4), 1, &Device::flex()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`model.head`: expected `direct`, since this backbone ends in tokens, not in a map, found `candidates`"
    );
}

#[test]
fn metadata_alone_keeps_the_contract() {
    keeps_the_contract(&config("none", "concat", Arm::Metadata), &spec(3, SIZE));
}
#[test]
fn a_head_without_hidden_layer_keeps_the_contract() {
    let no_hidden = ModelConfig {
        hidden: 0,
        ..config("small_cnn", "concat", Arm::Both)
    };
    keeps_the_contract(&no_hidden, &spec(3, SIZE));
}

fn auxiliary_loss_where_there_are_branches(fusion: &str) {
    let auxiliary = ModelConfig {
        auxiliary: 0.5,
        ..config("small_cnn", fusion, Arm::Both)
    };
    if fusion::with_branches().any(|name| name == fusion) {
        return keeps_the_contract(&auxiliary, &spec(3, SIZE));
    }
    let refused = Network::build(&auxiliary, &spec(3, SIZE), 1, &Device::flex()).unwrap_err();
    let message = format!(
        "`model.auxiliary`: expected 0, since `{fusion}` has no branches; `concat` and `sum-logits` have, found `0.5`"
    );
    assert_eq!(refused.to_string(), message);
}

fn keeps_the_contract(config: &ModelConfig, spec: &ModelSpec) {
    let device = Device::flex();
    let mut network = Network::build(config, spec, 1, &device).unwrap();
    let start = evaluate(&network, 3, &device);
    assert_eq!(
        start.len(),
        3 * spec.n_outputs,
        "one row of outputs per row"
    );
    assert!(
        start.iter().all(|v| *v == 0.0),
        "training starts at the mean of the targets"
    );
    shake(&mut network);
    let before = evaluate(&network, 3, &device);
    assert!(before.iter().all(|v| v.is_finite()), "finite");

    row_is_independent_of_its_batch(&network, &before, spec.n_outputs);
    saved_and_loaded_is_the_same(&network, &before);
    if config.arm != Arm::Image {
        metadata_matters(&network, &before);
    }
    every_parameter_learns(&network);
}

fn row_is_independent_of_its_batch(network: &Network, three: &[f32], n_outputs: usize) {
    let device = Device::flex();
    let one = evaluate(network, 1, &device);
    let difference = super::largest_difference(&one, &three[..n_outputs]);
    assert!(
        difference < 1e-5,
        "a row's output changes with its batch by {difference}"
    );
}

fn saved_and_loaded_is_the_same(network: &Network, before: &[f32]) {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    network.save_weights(&file).unwrap();
    let text = serde_json::to_string(&network.describe()).unwrap();
    let mut again =
        Network::from_description(&serde_json::from_str(&text).unwrap(), &device).unwrap();
    assert_eq!(
        again.root.architecture(),
        network.root.architecture(),
        "the description is read as it was written"
    );
    again.load_weights(&file).unwrap();
    assert_eq!(evaluate(&again, 3, &device), before, "saved and loaded");
}

fn metadata_matters(network: &Network, before: &[f32]) {
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
        "all-missing metadata is accepted"
    );
    assert!(
        super::largest_difference(&output, before) > 1e-6,
        "metadata changes the output"
    );
    let coded = MetadataTensors {
        dense,
        codes: codes.zeros_like(),
    };
    let output = numbers(network.forward(input(), &mut Context::evaluate(Some(coded))));
    assert!(
        super::largest_difference(&output, before) > 1e-7,
        "a category changes the output"
    );
}

fn every_parameter_learns(network: &Network) {
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
        "every normalisation returns what it saw"
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
            "gradient of {path}"
        );
        if let Some(gradient) = gradient {
            assert!(
                gradient.iter().all(|v| v.is_finite()),
                "gradient of {path} is finite"
            );
            assert!(
                gradient.iter().any(|v| *v != 0.0),
                "gradient of {path} is not zero everywhere"
            );
        }
    });
}

/// Methods that squash or halve the image's features from the start; all others promise to leave them as they are.
const CHANGE_AT_THE_START: [&str; 2] = ["metablock", "metanet"];

fn starts_as_the_image_model(fusion: &str) {
    let device = Device::flex();
    let config = config("small_cnn", fusion, Arm::Both);
    let both = Network::build(&config, &spec(3, SIZE), 1, &device).unwrap();
    let taps = ["features".to_owned(), "fusion".to_owned()];
    let mut context = Context::evaluate(Some(metadata(2, &device)));
    let (_, tapped) = both.forward_taps(Some(images(2, 3, SIZE, &device)), &mut context, &taps);
    let [(_, before), (_, after)] = tapped.try_into().unwrap();
    let difference = super::largest_difference(&numbers(before.map()), &numbers(after.map()));
    let is_same = difference < 1e-6;
    assert_eq!(
        is_same,
        !CHANGE_AT_THE_START.contains(&fusion),
        "{difference}"
    );
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
    let features = network.forward_prefix(images(4, 3, SIZE, &device), 3);
    let features = map_value!(features, x => x.without_autodiff());
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
        let backbone = backbone::named(name).unwrap();
        let weights = BackboneWeights::Seed(0);
        let network = Network::original(backbone, 1000, 224, weights, &Device::flex()).unwrap();
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
