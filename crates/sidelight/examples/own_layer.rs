//! A layer of your own in a network: declared, shape-checked, trained, frozen and saved like any other.
//!
//! ```text
//! cargo run --release -p sidelight --example own_layer
//! ```

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use sidelight::burn::tensor::Device;
use sidelight::network::parameter::Initial;
use sidelight::network::shape::At;
use sidelight::network::{
    Constructors, Custom, CustomLayer, Edit, Network, ParameterKind, ParameterSpec, Parameters,
    Shape, Value, Walk,
};

/// Adds a learned bias to each channel of a feature map.
#[derive(Debug)]
struct ChannelBias {
    channels: usize,
}

impl CustomLayer for ChannelBias {
    fn name(&self) -> &str {
        "channel_bias"
    }

    fn config(&self) -> serde_json::Value {
        self.channels.into()
    }

    fn parameters(&self) -> Vec<ParameterSpec> {
        let (kind, start) = (ParameterKind::Bias, Initial::Constant(0.0));
        vec![ParameterSpec::new("bias", [self.channels], kind, start)]
    }

    /// `[batch, channels, height, width]` stays what it is; other widths are refused.
    fn output(&self, at: &At<'_>, input: Shape) -> sidelight::Result<Shape> {
        match input.channels() == self.channels {
            true => Ok(input),
            false => Err(at.misfit(format!("{} channels", self.channels), input, None)),
        }
    }

    fn forward(&self, parameters: &Parameters, x: Value, _: &mut Walk<'_>) -> Value {
        let bias = parameters.d1("bias").reshape([1, self.channels, 1, 1]);
        Value::Map(x.map() + bias) // [batch, channels, height, width]
    }
}

fn main() -> sidelight::Result<()> {
    run()
}

/// ResNet-18 with the new layer after its first block, described and built again.
pub fn run() -> sidelight::Result<()> {
    let mut network = Network::from_scratch("resnet18", 64)?;
    let layer = Custom::new(ChannelBias { channels: 64 });
    let new = network.edit(Edit::insert_after("layer1", "bias", layer))?;
    println!("new parameters: {}", new.join(", "));

    // What is read back needs to know how the layer is made.
    let constructors = Constructors::default().with("channel_bias", |config| {
        let channels = config.as_u64().unwrap_or_default() as usize;
        Ok(Custom::new(ChannelBias { channels }))
    });
    let description = network.describe();
    let again = Network::from_description_with(&description, &constructors, &Device::flex())?;
    println!(
        "{} parameters, and {} again",
        network.n_parameters(),
        again.n_parameters()
    );
    Ok(())
}
