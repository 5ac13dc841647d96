//! One training step, or one prediction, over and over: Sidelight's side of `bench/side_by_side.py`.
//!
//! ```text
//! cargo run --release -p sidelight --example step -- \
//!   '{"mode":"train","backbone":"resnet18","batch":32,"size":128,"precision":"f32","warmup":2,"steps":5}'
//! ```
//!
//! A step is what `sidelight train` does for a batch that is already in memory: forward, cross-entropy over 1000
//! classes, backward, AdamW on every parameter, running statistics. Prints images per second (median of the steps) and
//! the peak of the process's memory.

#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::time::Instant;

use burn::tensor::{Distribution, Tensor};
use serde::Deserialize;
use sidelight::loss::Loss;
use sidelight::network::{BackboneWeights, Context, Network, backbone};

use sidelight::tensor::{Device, Precision};
use sidelight::train::optimizer::{Gradients, Method, Optimizer};
use sidelight::train::schedule::Rates;

const N_CLASSES: usize = 1000;

#[derive(Deserialize)]
struct Work {
    mode: Mode,
    backbone: String,
    batch: usize,
    size: usize,
    precision: String,
    warmup: usize,
    steps: usize,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Train,
    Infer,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let work: Work = serde_json::from_str(
        &std::env::args()
            .nth(1)
            .ok_or("usage: step '{\"mode\":…}'")?,
    )?;
    let device = match work.mode {
        Mode::Train => Device::flex().autodiff(),
        Mode::Infer => Device::flex(),
    };
    let mut network = Network::original(
        backbone::named(&work.backbone)?,
        N_CLASSES,
        work.size,
        BackboneWeights::Seed(0),
        &device,
    )?;
    network.precision = Precision::from_name(&work.precision);
    // As a loader's batch lies in memory: channels last.
    let images = Tensor::<4>::random(
        [work.batch, work.size, work.size, 3],
        Distribution::Normal(0.0, 1.0),
        &device,
    )
    .permute([0, 3, 1, 2]);
    let mut trainer = Trainer::new(&work, &device);
    let mut seconds = Vec::new();
    for step in 0..work.warmup + work.steps {
        let started = Instant::now();
        match work.mode {
            Mode::Train => network = trainer.step(network, images.clone(), step),
            Mode::Infer => {
                let output = network.forward(Some(images.clone()), &mut Context::evaluate(None));
                std::hint::black_box(output.into_data());
            }
        }
        if step >= work.warmup {
            seconds.push(started.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    println!(
        "{}",
        serde_json::json!({
            "images_per_second": work.batch as f64 / median,
            "peak_mib": peak_mib(),
        })
    );
    Ok(())
}

/// What a step needs beside the network.
struct Trainer {
    optimizer: Optimizer,
    loss: Loss,
    target: Tensor<2>,
    mask: Tensor<2>,
}

impl Trainer {
    fn new(work: &Work, device: &Device) -> Self {
        let classes: Vec<f32> = (0..work.batch)
            .map(|row| (row * 31 % N_CLASSES) as f32)
            .collect();
        Self {
            optimizer: Optimizer::new(Method::default(), Default::default()),
            loss: Loss::CrossEntropy {
                class_weights: Vec::new(),
                smoothing: 0.0,
                focus: 0.0,
            },
            target: Tensor::<1>::from_floats(classes.as_slice(), device).reshape([work.batch, 1]),
            mask: Tensor::ones([work.batch, 1], device),
        }
    }

    fn step(&mut self, mut network: Network, images: Tensor<4>, step: usize) -> Network {
        let mut context = Context::train(None, step as u64);
        let output = network.forward(Some(images), &mut context);
        let loss = self
            .loss
            .mean(output, self.target.clone(), self.mask.clone());
        let gradients = Gradients::take(&network, loss.backward());
        let rates = Rates {
            rate: 1e-3,
            momentum: 0.9,
        };
        network = self.optimizer.step(network, &gradients, rates, 1.0);
        network.apply_statistics(context.statistics, 0.1);
        network
    }
}

/// Most memory that this process has had at once, in MiB; 0 where the system does not say.
fn peak_mib() -> f64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        })
        .map_or(0.0, |kib| kib / 1024.0)
}
