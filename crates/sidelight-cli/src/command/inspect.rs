//! `sidelight inspect CONFIG|RUN|WEIGHTS`

use std::path::Path;

use anyhow::Context;
use sidelight::config::TargetKind;
use sidelight::network::backbone::{self, Backbone};
use sidelight::network::{BackboneWeights, Network, matches, weights};
use sidelight::tensor::Device;
use sidelight::train::Session;

use super::Answer;
use crate::args::inspect::InspectArgs;
use crate::args::{Configured, Machine};
use crate::terminal::{Table, Terminal, count};

/// Classes of ImageNet: the head of a backbone on its own.
const N_IMAGENET: usize = 1000;
/// Where the head of a network of points is in a configuration, and where in a run.
const HEAD: &str = "head";
const PLACES: &str = "head.read.places";

/// Lists layers, or the tensors of a file.
pub(crate) fn run(args: &InspectArgs, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let is_wanted = |path: &str| {
        args.pattern
            .as_ref()
            .is_none_or(|pattern| matches(pattern, path))
    };
    let (is_file, noun) = match extension(&args.source) {
        Some("pth" | "pt" | "bin" | "safetensors") => (true, "tensor"),
        _ => (false, "layer"),
    };
    let table = match extension(&args.source) {
        _ if is_file => tensors(&args.source, &is_wanted)?,
        Some("toml") => {
            let configured = Configured::new(args.source.clone(), args.overrides.set.clone());
            let config = configured.read_to_look(&Machine::default())?;
            let (session, remarks) = Session::new(&config, &Device::flex())?;
            terminal.say_all(&remarks);
            let network = &session.state.network;
            if config.target.kind == TargetKind::Keypoints && has_below(HEAD, network, &is_wanted)?
            {
                terminal.say(format!(
                    "in the trained run `{HEAD}` is `{PLACES}`, beside layers that say how sure each point is; \
                     `[[model.edit]]` names it as listed here"
                ));
            }
            layers(network, &is_wanted, args.tree)?
        }
        _ => match backbone_named(&args.source) {
            Some(backbone) => {
                let size = args.size.unwrap_or(backbone.size);
                let device = Device::flex();
                let network = Network::original(
                    backbone,
                    N_IMAGENET,
                    size,
                    BackboneWeights::Seed(0),
                    &device,
                )?;
                layers(&network, &is_wanted, args.tree)?
            }
            None => {
                let model = Machine::default().load(&args.source)?;
                let network = &model.network;
                if has_below(PLACES, network, &is_wanted)? {
                    terminal.say(format!(
                        "`{PLACES}` is what `[[model.edit]]` calls `{HEAD}`: training put it beside layers that say how \
                         sure each point is"
                    ));
                }
                layers(network, &is_wanted, args.tree)?
            }
        },
    };
    if table.is_empty() {
        terminal.warn("nothing matches");
    }
    terminal.table(&table, args.printed.format)?;
    terminal.say(format!("{} listed", count(table.len(), noun)));
    Ok(Answer::Done)
}

fn extension(path: &Path) -> Option<&str> {
    path.extension().and_then(|extension| extension.to_str())
}

fn tensors(path: &Path, is_wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Table> {
    let file = weights::read(path)?;
    let mut table = Table::new(["tensor", "shape", "numbers"]);
    for (key, shape) in file.keys().into_iter().filter(|(key, _)| is_wanted(key)) {
        table.push([
            key.into(),
            shape
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("×")
                .into(),
            shape.iter().product::<usize>().into(),
        ]);
    }
    Ok(table)
}

/// The backbone of this name, unless a file or folder has the name.
fn backbone_named(source: &Path) -> Option<&'static Backbone> {
    let name = source.to_str().filter(|_| !source.exists())?;
    backbone::named(name).ok()
}

fn layers(
    network: &Network,
    is_wanted: &dyn Fn(&str) -> bool,
    as_tree: bool,
) -> anyhow::Result<Table> {
    let inferred = network
        .inspect()
        .context("the network does not fit together")?;
    let parameters = network.parameters();
    let mut table = Table::new(["layer", "kind", "output", "numbers", "trained", "products"]);
    for layer in inferred
        .iter()
        .filter(|layer| !layer.path.is_empty() && is_wanted(&layer.path))
    {
        let own = |path: &str| {
            path.rsplit_once('.')
                .is_some_and(|(parent, _)| parent == layer.path)
        };
        let trained = parameters
            .iter()
            .filter(|parameter| own(&parameter.path) && parameter.trainable);
        let n_trained: usize = trained
            .map(|parameter| parameter.shape.iter().product::<usize>())
            .sum();
        table.push([
            if as_tree {
                branch(&layer.path)
            } else {
                layer.path.clone()
            }
            .into(),
            layer.kind.into(),
            layer.output.to_string().into(),
            layer.n_parameters.into(),
            n_trained.into(),
            layer.multiply_adds.into(),
        ]);
    }
    Ok(table)
}

/// Whether any layer at this path or below it is listed.
fn has_below(
    path: &str,
    network: &Network,
    is_wanted: &dyn Fn(&str) -> bool,
) -> anyhow::Result<bool> {
    let layers = network.inspect()?;
    let mut listed = layers.iter().filter(|layer| is_wanted(&layer.path));
    Ok(listed.any(|layer| matches(path, &layer.path)))
}

/// The last name of a path, indented by its depth.
fn branch(path: &str) -> String {
    let depth = path.matches('.').count();
    let name = path.rsplit('.').next().unwrap_or(path);
    format!("{}{name}", "  ".repeat(depth))
}
