//! Several images of a row.

use burn::tensor::{Device, Tensor, TensorData};
use strum::IntoEnumIterator;

use super::{config, images, metadata, numbers, shake, spec};
use crate::config::{Arm, ImagePooling, ModelConfig};
use crate::network::{Context, Freeze, ModelSpec, Network, Value, fusion};

const SIZE: usize = 48;
const N: usize = 3;

fn network(fusion: &str, by: ImagePooling, n_images: usize) -> Network {
    let config = ModelConfig {
        image_pooling: by,
        ..config("small_cnn", fusion, Arm::Both)
    };
    let spec = ModelSpec {
        n_images,
        ..spec(3, SIZE)
    };
    let mut network = Network::build(&config, &spec, 1, &Device::flex()).unwrap();
    shake(&mut network);
    network
}

/// Rows of `N` images, `[rows, 3, N · size, size]`, of images in this order.
fn rows(order: &[usize]) -> Tensor<4> {
    let device = Device::flex();
    let all = Value::Map(images(order.iter().max().unwrap() + 1, 3, SIZE, &device));
    all.select(order).stacked(N).map()
}

fn context(n: usize, has: Option<&[f32]>) -> Context {
    let device = Device::flex();
    let tensor = |has: &[f32]| Tensor::from_data(TensorData::new(has.to_vec(), [n, N]), &device);
    Context {
        has_images: has.map(tensor),
        ..Context::evaluate(Some(metadata(n, &device)))
    }
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    super::largest_difference(a, b)
}

#[test]
fn rows_and_images_are_the_same_numbers_in_one_order() {
    let device = Device::flex();
    let values: Vec<f32> = (0..2 * 3 * 2 * 5 * 4).map(|i| i as f32).collect();
    let nhwc = Tensor::<4>::from_data(TensorData::new(values.clone(), [2, 10, 4, 3]), &device);
    let stacked = Value::Map(nhwc.permute([0, 3, 1, 2]));
    let each = stacked.unstacked(2).map();
    assert_eq!(each.dims(), [4, 3, 5, 4]);
    // The second image of the first row begins after one image's 60 numbers.
    let second = numbers(each.clone().slice([1..2, 0..1, 0..1, 0..2]));
    assert_eq!(second, [60.0, 63.0]);
    let back = numbers(Value::Map(each).stacked(2).map().permute([0, 2, 3, 1]));
    assert_eq!(back, values);
}

/// By every fusion, those that read the metadata before the pooling among them.
#[test]
fn images_that_are_all_the_same_are_as_one() {
    for name in fusion::NAMES {
        for by in [
            ImagePooling::Mean,
            ImagePooling::Max,
            ImagePooling::Attention,
        ] {
            let several = network(name, by, N);
            let one = network(name, by, 1);
            let expected = images(2, 3, SIZE, &Device::flex());
            let expected = numbers(one.forward(Some(expected), &mut context(2, None)));
            let same = rows(&[0, 0, 0, 1, 1, 1]);
            let found = numbers(several.forward(Some(same), &mut context(2, None)));
            let difference = difference(&found, &expected);
            assert!(difference < 1e-5, "{name}, {by}: {difference}");
        }
    }
}

#[test]
fn an_image_that_is_missing_counts_for_nothing() {
    for by in ImagePooling::iter() {
        let network = network("concat", by, N);
        let has = [1.0, 0.0, 1.0, 1.0, 1.0, 0.0];
        let run = |order: &[usize], has: Option<&[f32]>| {
            numbers(network.forward(Some(rows(order)), &mut context(2, has)))
        };
        let a = run(&[0, 1, 2, 3, 4, 5], Some(&has));
        // Other pixels where nothing is.
        let b = run(&[0, 5, 2, 3, 4, 1], Some(&has));
        assert_eq!(a, b, "{by}");
        let whole = run(&[0, 1, 2, 3, 4, 5], None);
        assert!(difference(&a, &whole) > 1e-4, "{by}");
        // What is there is the same as if it were all there is.
        if by != ImagePooling::Concat {
            let twice = run(&[0, 0, 2, 3, 4, 4], None);
            let [left, right] = [&a[..3], &twice[..3]];
            let is_same = difference(left, right) < 1e-5;
            assert_eq!(is_same, by == ImagePooling::Max, "{by}");
        }
        let nothing = run(&[0, 1, 2, 3, 4, 5], Some(&[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]));
        assert!(nothing.iter().all(|value| value.is_finite()), "{by}");
    }
}

#[test]
fn the_order_of_images_matters_side_by_side_alone() {
    for by in ImagePooling::iter() {
        let network = network("stacked", by, N);
        let run =
            |order: &[usize]| numbers(network.forward(Some(rows(order)), &mut context(1, None)));
        let is_same = difference(&run(&[0, 1, 2]), &run(&[2, 0, 1])) < 1e-5;
        assert_eq!(is_same, by != ImagePooling::Concat, "{by}");
    }
}

#[test]
fn attention_starts_as_the_mean_and_learns() {
    let device = Device::flex().autodiff();
    let config = ModelConfig {
        image_pooling: ImagePooling::Attention,
        ..config("small_cnn", "concat", Arm::Both)
    };
    let spec = ModelSpec {
        n_images: N,
        ..spec(3, SIZE)
    };
    let mut attention = Network::build(&config, &spec, 1, &device).unwrap();
    let mut mean = network("concat", ImagePooling::Mean, N);
    for (network, score) in [(&mut attention, true), (&mut mean, false)] {
        shake(network);
        if score {
            network.root.each_parameter_mut("", &mut |path, parameter| {
                if path == "image_pool.score.weight" {
                    parameter.set_values(vec![0.0; 64]);
                }
            });
        }
    }
    let order = [0, 1, 2, 3, 4, 5];
    let a = numbers(
        attention
            .valid()
            .forward(Some(rows(&order)), &mut context(2, None)),
    );
    let b = numbers(mean.forward(Some(rows(&order)), &mut context(2, None)));
    assert!(difference(&a, &b) < 1e-5, "{a:?} {b:?}");

    let batch = rows(&order).autodiff();
    let mut context = Context::train(Some(metadata(2, &device)), 3);
    let output = attention.train().forward(Some(batch), &mut context);
    assert_eq!(output.dims(), [2, 3]);
    // Every normalisation of the backbone has seen six images, that of the head two rows.
    assert!(
        context
            .statistics
            .iter()
            .any(|seen| seen.path.starts_with("features"))
    );
}

#[test]
fn what_frozen_layers_say_of_each_image_is_kept_row_by_row() {
    let mut network = network("stacked", ImagePooling::Mean, N);
    network.freeze_backbone(Freeze::Yes);
    let n = network.frozen_prefix();
    assert_eq!(network.root.children[n].0, "image_pool");
    let order = [0, 1, 2, 3, 4, 5];
    let has = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0];
    let whole = numbers(network.forward(Some(rows(&order)), &mut context(2, Some(&has))));
    let features = network.forward_prefix(rows(&order), n);
    let [n_rows, _] = features.clone().features().dims();
    assert_eq!(n_rows, 2);
    let later = numbers(network.forward_from(n, features, &mut context(2, Some(&has))));
    assert!(difference(&whole, &later) < 1e-6);
    // Cut in the middle of the backbone, a map of both.
    let map = network.forward_prefix(rows(&order), 1);
    let later = numbers(network.forward_from(1, map, &mut context(2, Some(&has))));
    assert!(difference(&whole, &later) < 1e-5);
}

#[test]
fn metadata_without_one_of_its_kinds_is_repeated() {
    let device = Device::flex();
    let rows = crate::network::MetadataTensors {
        dense: Tensor::from_floats([[1.0, 2.0], [3.0, 4.0]], &device),
        codes: Tensor::zeros([2, 0], &device),
    };
    let three = rows.repeated(3);
    assert_eq!(three.codes.dims(), [6, 0]);
    let dense = numbers(three.dense);
    assert_eq!(
        dense,
        [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0, 3.0, 4.0]
    );
}
