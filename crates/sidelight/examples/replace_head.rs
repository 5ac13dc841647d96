//! Replaces the head of a network: shapes are checked, every other layer keeps its weights.
//!
//! ```text
//! cargo run --release -p sidelight --example replace_head
//! ```

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use sidelight::network::layer::{Layer, Linear};
use sidelight::network::{Architecture, Edit, Network};

fn main() -> sidelight::Result<()> {
    run()
}

/// ResNet-18 with torchvision's layer names, its classifier replaced by a small network of five outputs.
pub fn run() -> sidelight::Result<()> {
    let mut network = Network::from_scratch("resnet18", 64)?;

    let head = [
        ("hidden", Linear::new(64).into()),
        ("relu", Layer::Relu.into()),
        ("out", Linear::new(5).into()),
    ];
    let new = network.edit(Edit::replace("fc", Architecture::sequence(head)))?;
    println!("new parameters: {}", new.join(", "));

    // What does not fit is refused, and nothing has changed.
    let too_wide = Linear {
        in_features: 1000,
        ..Linear::new(5)
    };
    if let Err(error) = network.edit(Edit::replace("fc.hidden", too_wide)) {
        println!("refused: {error}");
    }
    network.freeze("layer*");
    println!(
        "{} of {} parameters are trainable",
        n_trainable(&network),
        network.n_parameters()
    );
    Ok(())
}

fn n_trainable(network: &Network) -> usize {
    let parameters = network.parameters().into_iter();
    let trainable = parameters.filter(|parameter| parameter.trainable);
    trainable
        .map(|parameter| parameter.shape.iter().product::<usize>())
        .sum()
}
