//! Gradients of the branches of a stack, against differences of the losses that they are gradients of.

use burn::tensor::{Device, Tensor};

use super::{config, images, metadata, noise, numbers, shake, spec};
use crate::config::Arm;
use crate::network::layer::Bins;
use crate::network::{Context, ModelSpec, Network, ParameterValue, Stacking};

const SIZE: usize = 16;
/// How far a parameter is moved, as a whole.
const STEP: f64 = 3e-4;

/// Of several outputs the mean squares, added.
fn cost(outputs: &[Tensor<2>]) -> f64 {
    let mean_square = |output: &Tensor<2>| {
        let values = numbers(output.clone());
        let squares = values.iter().map(|v| f64::from(*v).powi(2));
        squares.sum::<f64>() / values.len() as f64
    };
    outputs.iter().map(mean_square).sum()
}

/// What is joined, and what each branch and member puts out, in a step of a fixed seed.
fn outputs(network: &Network, device: &Device) -> Vec<Tensor<2>> {
    let mut context = Context::train(Some(metadata(4, device)), 5);
    let joined = network.forward(Some(images(4, 3, SIZE, device)), &mut context);
    [joined].into_iter().chain(context.auxiliary).collect()
}

/// The first column of numbers, and the second embedded one, are kept from the members.
fn kept() -> Vec<f32> {
    let mut kept = vec![1.0; 10];
    kept[0] = 0.0;
    kept[8..].fill(0.0);
    kept
}

#[test]
fn gradients_of_every_branch_of_a_stack_and_of_a_screened_source_are_finite_differences() {
    let plain = Device::flex();
    let spec = ModelSpec {
        stacking: Stacking {
            members: 2,
            numbers: vec![Bins {
                slot: 1,
                known: 2,
                edges: vec![-0.6, 0.1, 0.7],
            }],
            missing: vec![9.0; 5],
            ..Stacking::default()
        },
        ..spec(3, SIZE)
    };
    let config = config("small_cnn", "stacked", Arm::Both);
    let mut network = Network::build(&config, &spec, 1, &plain).unwrap();
    shake(&mut network);
    let stack = network.root.stack_mut().unwrap();
    stack.screen_branches(|_, _| kept());

    let learns = network.clone().to_device(&plain.clone().autodiff()).train();
    let found = outputs(&learns, &plain.clone().autodiff());
    // Image, trunk, metadata and both, twice each; and what is made of them.
    assert_eq!(found.len(), 9);
    let sum = found
        .iter()
        .cloned()
        .map(|output| output.powi_scalar(2).mean());
    let gradients = sum.reduce(|sum, more| sum + more).unwrap().backward();
    let mut of_paths = Vec::new();
    learns.root.each_parameter("", &mut |path, parameter| {
        let gradient = match &parameter.value {
            ParameterValue::D1(param) => param.val().grad(&gradients).map(numbers),
            ParameterValue::D2(param) => param.val().grad(&gradients).map(numbers),
            ParameterValue::D3(param) => param.val().grad(&gradients).map(numbers),
            ParameterValue::D4(param) => param.val().grad(&gradients).map(numbers),
        };
        // The backbone's have tests of their own; a step there crosses many a bend of what follows.
        let is_in_branch = path.starts_with("head.");
        of_paths.extend(
            gradient
                .filter(|_| is_in_branch)
                .map(|gradient| (path, gradient)),
        );
    });

    let mut n_screened = 0;
    for (path, gradient) in of_paths {
        let length = |of: &[f64]| of.iter().map(|x| x * x).sum::<f64>().sqrt();
        let gradient: Vec<f64> = gradient.into_iter().map(f64::from).collect();
        let steepest = length(&gradient);
        // The second embedded column's table, wherever it stands.
        if path.ends_with("zip_code_2.weight") {
            n_screened += 1;
            assert_eq!(steepest, 0.0, "{path} is kept from what reads it");
        }
        let random = noise(&path, gradient.len());
        let scales = [steepest.max(1e-12).recip(), length(&random).recip()];
        for part in [0.0, 1.0] {
            // Along the gradient, and somewhere between it and anywhere.
            let along = gradient.iter().zip(&random);
            let along = along.map(|(g, r)| g * scales[0] + part * r * scales[1]);
            let along: Vec<f64> = along.collect();
            let moved = |by: f64| {
                let mut network = network.clone();
                network.root.each_parameter_mut("", &mut |own, parameter| {
                    if own == path {
                        let values = parameter.values();
                        let moved = values.iter().zip(&along);
                        let moved = moved.map(|(v, d)| (f64::from(*v) + by * d) as f32);
                        parameter.set_values(moved.collect());
                    }
                });
                cost(&outputs(&network, &plain))
            };
            let found = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let expected: f64 = gradient.iter().zip(&along).map(|(g, d)| g * d).sum();
            assert!(
                (found - expected).abs() < 0.02 * steepest + 2e-3,
                "{path}: {expected}, and by differences {found}"
            );
        }
    }
    // Of metadata and both, two members each.
    assert_eq!(n_screened, 4);
}
