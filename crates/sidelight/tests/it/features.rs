//! Frozen features are what the backbone says in training and in predictions, whatever else is around it.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use sidelight::dataset::{Dataset, ImageSource, Targets};
use sidelight::loader::{BatchPlan, Loader, LoaderOptions};
use sidelight::model::Model;
use sidelight::network::{Network, Value};
use sidelight::predict::{FeatureExtractor, FeatureOptions, Features};
use sidelight::tensor::numbers;

use crate::scenes::{config, first};
use crate::training::{CLASS, planted, session};

fn features(extractor: &FeatureExtractor, data: &Dataset, workers: usize) -> Features {
    let options = FeatureOptions {
        loader: LoaderOptions {
            workers,
            ..LoaderOptions::default()
        },
        ..FeatureOptions::default()
    };
    let found = extractor.features(data.clone(), options).unwrap();
    found.expect("nobody stopped it")
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// What a network's first `n` children say of all rows, batches of eight.
fn of_prefix(model: &Model, network: &Network, n: usize, data: &Dataset) -> Vec<f32> {
    let (source, _) = model.source(Arc::new(data.clone())).unwrap();
    let rows: Vec<usize> = (0..data.len()).collect();
    let plan = BatchPlan::evaluation(&rows, 8);
    let batches = Loader::new(source, plan, LoaderOptions::default());
    let of_batch = |host: sidelight::loader::HostBatch| {
        let shape = [host.rows.len(), host.size, host.size, 3];
        let images = TensorData::new(host.images, shape);
        let images = Tensor::<4>::from_data(images, &Device::flex()).permute([0, 3, 1, 2]);
        match network.forward_prefix(images, n) {
            Value::Features(values) => numbers(values),
            value => numbers(value.map()),
        }
    };
    batches.flat_map(|host| of_batch(host.unwrap())).collect()
}

#[test]
fn they_are_what_the_frozen_layers_of_a_training_say() {
    let (data, _) = planted(20);
    let config = config(CLASS, "freeze = true\nepochs = 1\nseed = 3\n");
    let begun = session(&config, &data, &first(14, &data));
    let network = begun.state.network.valid();
    let names = network.root.child_names();
    let is_ours = |name: &String| ["fusion", "head"].contains(&name.as_str());
    let n = names.iter().position(is_ours).unwrap();
    let found = features(&FeatureExtractor::of_config(&config).unwrap(), &data, 1);
    assert_eq!(found.values.len(), 20 * found.width);
    assert!(found.problems.is_empty());
    let model = begun.fit().unwrap().into_model();
    assert_eq!(
        bits(&found.values),
        bits(&of_prefix(&model, &network, n, &data))
    );
    // Frozen, the run's are the same; its fusion and its head are left out.
    let of_run = features(&FeatureExtractor::of_model(&model).unwrap(), &data, 1);
    assert_eq!(bits(&of_run.values), bits(&found.values));
}

#[test]
fn those_of_a_run_are_of_its_trained_backbone() {
    let (data, _) = planted(20);
    let config = config(
        CLASS,
        "epochs = 2\nfreeze_epochs = 0\nseed = 3\n[model]\nfusion = \"film\"\n",
    );
    let begun = session(&config, &data, &first(14, &data));
    let model = begun.fit().unwrap().into_model();
    let found = features(&FeatureExtractor::of_model(&model).unwrap(), &data, 2);
    // The fusion reads metadata before the pooling; the backbone alone is what stands before it, pooled.
    let names = model.network.root.child_names();
    let at = names.iter().position(|name| name == "fusion").unwrap();
    let map = of_prefix(&model, &model.network.valid(), at, &data);
    let side = map.len() / found.values.len();
    let pooled: Vec<f32> = map
        .chunks(side)
        .map(|pixels| pixels.iter().sum::<f32>() / side as f32)
        .collect();
    let mut far = found.values.iter().zip(&pooled).map(|(a, b)| (a - b).abs());
    assert!(far.all(|far| far < 1e-5), "{side} pixels of a channel");
    let begun = features(&FeatureExtractor::of_config(&config).unwrap(), &data, 2);
    assert_ne!(bits(&begun.values), bits(&found.values), "it has learned");
}

#[test]
fn a_model_of_points_has_pooled_features_too() {
    let (mut data, _) = planted(12);
    data.targets = Some(Targets::keypoints(1, vec![[5.0, 7.0]; 12]));
    let points = "kind = \"keypoints\"\ncolumns = [\"x0\", \"y0\"]";
    let config = config(points, "freeze = true\nepochs = 1\n");
    let model = session(&config, &data, &first(8, &data)).fit().unwrap();
    let found = features(
        &FeatureExtractor::of_model(&model.into_model()).unwrap(),
        &data,
        1,
    );
    let own = features(&FeatureExtractor::of_config(&config).unwrap(), &data, 1);
    assert_eq!(bits(&found.values), bits(&own.values));
}

#[test]
fn neither_batches_nor_threads_show() {
    let (data, _) = planted(21);
    let of = |batch: usize, workers: usize| {
        let mut config = config(CLASS, "seed = 3\n");
        config.train.batch = batch;
        let extractor = FeatureExtractor::of_config(&config).unwrap();
        bits(&features(&extractor, &data, workers).values)
    };
    let first = of(8, 1);
    assert_eq!(of(1, 3), first);
    assert_eq!(of(64, 2), first);
}

#[test]
fn a_row_whose_image_cannot_be_read_keeps_its_place() {
    let (mut data, _) = planted(10);
    let whole = data.clone();
    data.images[4] = ImageSource::Bytes {
        name: "4.png".into(),
        bytes: Arc::from(&b"\x89PNG and no more"[..]),
    };
    let extractor = FeatureExtractor::of_config(&config(CLASS, "")).unwrap();
    let (found, whole) = (
        features(&extractor, &data, 1),
        features(&extractor, &whole, 1),
    );
    let rows: Vec<usize> = found.problems.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, [4]);
    let of_row = found.values.chunks(found.width);
    for (row, (found, whole)) in of_row.zip(whole.values.chunks(found.width)).enumerate() {
        match row {
            4 => assert!(found.iter().all(|value| value.is_nan())),
            _ => assert_eq!(bits(found), bits(whole), "row {row}"),
        }
    }
}

#[test]
fn several_images_of_a_row_become_one_row_of_features() {
    let config = config(CLASS, "");
    let alone = |n: usize| {
        let device = Device::flex();
        Network::backbone_alone(&config.model, 24, n, 1, &device).unwrap()
    };
    let images = Tensor::<4>::random(
        [2, 3, 48, 24],
        burn::tensor::Distribution::Default,
        &Device::flex(),
    );
    let halves = images.clone().chunk(2, 2);
    let run = |network: &Network, images: Tensor<4>| {
        let mut context = sidelight::network::Context::evaluate(None);
        numbers(network.forward(Some(images), &mut context))
    };
    let [a, b] = [0, 1].map(|at| run(&alone(1), halves[at].clone()));
    let both = run(&alone(2), images);
    for ((a, b), both) in a.iter().zip(&b).zip(&both) {
        assert!(((a + b) / 2.0 - both).abs() < 1e-5);
    }
}
