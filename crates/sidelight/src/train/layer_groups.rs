//! Layer-wise learning rates and gradual unfreezing, by the blocks of the backbone.

use std::collections::HashMap;

use crate::network::{Network, ParameterKind};

use super::optimizer::Group;

/// The blocks of a backbone, from the image on. A block is what has the same first two names in its path
/// (`layer1.0`, `features.3`).
#[derive(Debug)]
pub(super) struct Blocks<'a> {
    backbone: &'a [String],
    names: Vec<String>,
}

impl<'a> Blocks<'a> {
    /// Those of this network.
    pub(super) fn of_backbone(network: &'a Network) -> Self {
        let mut blocks = Self {
            backbone: &network.backbone,
            names: Vec::new(),
        };
        for parameter in network.parameters() {
            let name = block(&parameter.path);
            if blocks.has(&parameter.path) && !blocks.names.contains(&name) {
                blocks.names.push(name);
            }
        }
        blocks
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The block of a parameter, the one nearest to the image being 0; `None`: it is not of the backbone.
    pub(super) fn depth(&self, path: &str) -> Option<usize> {
        let block = block(path);
        self.names
            .iter()
            .position(|name| *name == block)
            .filter(|_| self.has(path))
    }

    fn has(&self, path: &str) -> bool {
        let first = path.split('.').next();
        self.backbone.iter().any(|name| first == Some(name))
    }
}

fn block(path: &str) -> String {
    let module = path.rsplit_once('.').map_or("", |(module, _)| module);
    module.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// What each parameter does differently: no decay of norms and biases; the earlier in the backbone, the lower the rate.
///
/// The share goes geometrically from `backbone_rate` at the backbone's first block to nearly 1 at its last; all that
/// comes after it has 1.
///
/// # Source
///
/// Discriminative rates: Howard & Ruder 2018, "ULMFiT", arXiv:1801.06146, section 3.2. fastai's `slice(lr/100, lr)`
/// is geometric over three groups of layers; here it is over blocks, and its range is `train.backbone_rate`.
pub(super) fn groups(network: &Network, backbone_rate: f64, decay: f64) -> HashMap<String, Group> {
    let blocks = Blocks::of_backbone(network);
    let rate = |depth: usize| backbone_rate.powf(1.0 - depth as f64 / blocks.len() as f64);
    network
        .parameters()
        .into_iter()
        .filter(|parameter| parameter.kind != ParameterKind::Buffer)
        .map(|parameter| {
            let group = Group {
                rate: blocks.depth(&parameter.path).map_or(1.0, rate),
                decay: match parameter.kind {
                    ParameterKind::Weight => decay,
                    _ => 0.0,
                },
            };
            (parameter.path, group)
        })
        .collect()
}

/// Freezes all blocks of the backbone but the last `n_thawed`.
///
/// # Source
///
/// Gradual unfreezing: Howard & Ruder 2018, "ULMFiT", arXiv:1801.06146, section 3.3; the epochs are those of
/// [`TrainingPlan::thawed`](super::schedule::TrainingPlan::thawed).
pub(super) fn freeze_all_but(network: &mut Network, n_thawed: usize) {
    let blocks = Blocks::of_backbone(network);
    let n_frozen = blocks.len() - n_thawed.min(blocks.len());
    let is_frozen = |path: &str| blocks.depth(path).is_some_and(|depth| depth < n_frozen);
    let mut paths: Vec<String> = network.parameters().into_iter().map(|p| p.path).collect();
    paths.retain(|path| is_frozen(path));
    for path in paths {
        Network::freeze(network, &path);
    }
}
