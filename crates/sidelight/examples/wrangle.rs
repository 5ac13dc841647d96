//! A pretrained network, wrangled by hand: a layer before its first, metadata into its head, trained on points.
//! The same in TOML: `wrangle.toml` beside this file (`sidelight train crates/sidelight/examples/wrangle.toml …`).
//!
//! ```text
//! cargo run --release -p sidelight --example wrangle -- DATA/frl_faces/metadata.csv WEIGHTS/mobilenet_v2-b0353104.pth
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::error::Error;
use std::sync::atomic::AtomicBool;

use sidelight::config::Config;
use sidelight::network::layer::{Layer, Linear, MetadataSource, Scale};
use sidelight::network::{Architecture, BackboneWeights, Edit, Network, backbone};
use sidelight::tensor::Device;
use sidelight::train::{Event, Session, TrainingLog, fit};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what| arguments.next().ok_or(format!("which {what}?"));
    let (table, weights) = (next("table")?, next("weights")?);
    let device = Device::flex().autodiff();

    // The rows, their points, their metadata as numbers: what the TOML says of the table.
    let config = "bench/configs/frl_faces.toml".as_ref();
    let config = Config::read(config, &[format!("data.table={table}")])?;
    let (mut session, _) = Session::new(&config, &device)?;
    let row = MetadataSource::from_encoder(&session.setup.batches.source.encoder);

    // torchvision's MobileNetV2 with its own classifier, which is called `classifier.1`.
    let mobilenet = backbone::named("mobilenet_v2")?;
    let size = config.train.size;
    let weights = BackboneWeights::File(weights.as_ref());
    let mut network = Network::original(mobilenet, 1000, size, weights, &device)?;
    let parts = [
        ("image", Layer::Identity.into()),
        ("row", row.architecture()),
    ];
    let head = Architecture::sequence([
        ("join", Architecture::with(Layer::Concat, parts)),
        ("fc", Linear::new(session.setup.task.n_outputs()).zeros().into()),
    ]);
    network.edit([
        Edit::prepend("balance", Scale::default()),
        Edit::replace("classifier.1", head),
    ])?;

    // Frozen at first are the pretrained layers; what is new starts at the mean of the points.
    network.backbone.retain(|name| name == "features");
    network.start_from(&session.setup.batches.mean_target()?);
    session.state.network = network;
    let mut say = |_: Event| {};
    let mut log = TrainingLog::new(&mut say);
    let (session, _) = fit(session, &mut log, &AtomicBool::new(false))?;
    println!("{:?}", session.score()?.1.values);
    Ok(())
}
