//! A pretrained network, wrangled by hand: a layer before its first, metadata into its head, trained on keypoints.
//! The same in TOML: `wrangle.toml` beside this file (`sidelight train crates/sidelight/examples/wrangle.toml …`).
//!
//! ```text
//! cargo run --release -p sidelight --example wrangle -- DATA/frl_faces/metadata.csv WEIGHTS/mobilenet_v2-b0353104.pth
//! ```

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;

use sidelight::Config;
use sidelight::config::{HeadKind, MetadataKind, TargetConfig};
use sidelight::network::layer::{Layer, Linear, Scale};
use sidelight::network::{Architecture, Edit};
use sidelight::train::Session;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what| arguments.next().ok_or(format!("which {what}?"));
    let faces = TargetConfig::keypoints(["x0..y188"]);
    let mut config = Config::new(next("table")?, faces)
        .with_metadata("gender", MetadataKind::Categorical)
        .with_metadata("age", MetadataKind::Continuous)
        .with_metadata("ethnicity", MetadataKind::Categorical)
        .with_metadata("set", MetadataKind::Categorical)
        .with_weights(next("file of weights")?)
        .with_backbone("mobilenet_v2")
        .with_epochs(20);
    // Of many rows points would be read from heatmaps, by a head that is given a map and no features.
    config.model.head = HeadKind::Direct;
    Ok(run(&config)?)
}

/// Trains the wrangled network and prints its scores.
pub fn run(config: &Config) -> sidelight::Result<()> {
    let mut session = Session::from_config(config)?;
    let sides = [
        ("image", Layer::Identity.into()),
        ("row", session.metadata_layer()),
    ];
    session.edit([
        // A learned balance of the three colours, before everything.
        Edit::prepend("balance", Scale::default()),
        // The features and the row side by side, and one linear layer that takes both.
        Edit::insert_before("head", "sides", Architecture::with(Layer::Concat, sides)),
        Edit::replace("head", Linear::new(session.n_outputs()).zeros()),
    ])?;
    let session = session.fit()?;
    println!("{:?}", session.score()?.1.values);
    Ok(())
}
