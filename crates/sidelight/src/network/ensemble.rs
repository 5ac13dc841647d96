//! Several trained networks of one task as one.

use super::layer::{Ensemble, Layer, Member, VotedOutputs};
use super::parameter::Parameters;
use super::shape;
use super::tree::Node;
use super::{InputSpec, Network};
use crate::error::{Error, Result};
use crate::tensor::Prepared;

/// Where the members stand in a network that is several.
pub(crate) const MEMBERS: &str = "members";

impl Network {
    /// One network of several that are given the same images. What all of them begin with (a backbone that was frozen in all
    /// trainings) is there once, the rest of each below `members`, named `1`, `2`, ….
    ///
    /// # Errors
    ///
    /// [`Error::Shape`]: of no network, of networks that take other images than the first, or that do not put out what
    /// `outputs` and their member say.
    pub(crate) fn joined(members: Vec<(Member, Self)>, outputs: Vec<VotedOutputs>) -> Result<Self> {
        let misfit = |expected: String, found: String| Error::Shape {
            path: MEMBERS.into(),
            layer: "ensemble".into(),
            expected,
            found,
            fit: None,
        };
        let Some((_, first)) = members.first() else {
            return Err(misfit("at least one member".into(), "none".into()));
        };
        let first = first.clone();
        let image = |input: &InputSpec| format!("{input:?}");
        let mut inputs = members.iter().map(|(_, network)| &network.input);
        if let Some(other) = inputs.find(|input| **input != first.input) {
            return Err(misfit(image(&first.input), image(other)));
        }
        let n_shared = n_shared(&members);
        let mut children: Vec<(String, Node)> = first.root.children[..n_shared].to_vec();
        let shared: Vec<&String> = children.iter().map(|(name, _)| name).collect();
        // What is below the members is no child of the root: then none of it counts as backbone.
        let is_whole = first.backbone.iter().all(|name| shared.contains(&name));
        let backbone = match is_whole {
            true => first.backbone.clone(),
            false => Vec::new(),
        };
        let (members, networks): (Vec<Member>, Vec<Self>) = members.into_iter().unzip();
        let rest = networks.into_iter().enumerate().map(|(at, network)| {
            let Node {
                layer,
                parameters,
                mut children,
                ..
            } = network.root;
            children.drain(..n_shared);
            let node = Node {
                layer,
                parameters,
                children,
                prepared: Prepared::default(),
            };
            ((at + 1).to_string(), node)
        });
        let ensemble = Node {
            layer: Layer::Ensemble(Ensemble { outputs, members }),
            parameters: Parameters(Vec::new()),
            children: rest.collect(),
            prepared: Prepared::default(),
        };
        children.push((MEMBERS.into(), ensemble));
        let root = Node {
            layer: Layer::Sequential,
            parameters: Parameters(Vec::new()),
            children,
            prepared: Prepared::default(),
        };
        shape::infer(&mut root.architecture(), first.input.shape())?;
        Ok(Self {
            root,
            backbone,
            ..first
        })
    }

    /// How many networks it is the mean of, where it is one of several.
    pub fn n_members(&self) -> Option<usize> {
        let mut children = self.root.children.iter();
        children.find_map(|(_, child)| match &child.layer {
            Layer::Ensemble(ensemble) => Some(ensemble.members.len()),
            _ => None,
        })
    }
}

/// How many leading layers are the same in all networks, their numbers included, and need nothing but what comes into them.
/// Each network keeps at least one of its own.
fn n_shared(members: &[(Member, Network)]) -> usize {
    let roots: Vec<&Node> = members.iter().map(|(_, network)| &network.root).collect();
    let least = roots.iter().map(|root| root.children.len()).min();
    let most = least.unwrap_or(0).saturating_sub(1);
    let is_shared = |at: &usize| {
        let (name, first) = &roots[0].children[*at];
        let (layers, numbers) = (first.architecture(), numbers(first));
        let is_same = |root: &&Node| {
            let (other, node) = &root.children[*at];
            other == name && node.architecture() == layers && self::numbers(node) == numbers
        };
        first.is_constant() && roots[1..].iter().all(is_same)
    };
    (0..most).take_while(is_shared).count()
}

/// The bits of all numbers of a layer and those inside it.
fn numbers(node: &Node) -> Vec<u32> {
    let mut all = Vec::new();
    node.each_parameter("", &mut |_, parameter| {
        all.extend(parameter.values().into_iter().map(f32::to_bits));
    });
    all
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::config::{Arm, ModelConfig};
    use crate::network::layer::Vote;
    use crate::network::{Context, Freeze, ModelSpec};

    fn network(head_seed: u64, backbone_seed: u64) -> Network {
        let config = ModelConfig {
            arm: Arm::Image,
            backbone: "small_cnn".into(),
            ..ModelConfig::default()
        };
        let spec = ModelSpec {
            n_outputs: 2,
            size: 32,
            ..ModelSpec::default()
        };
        let device = Device::flex();
        let mut network = Network::build(&config, &spec, backbone_seed, &device).unwrap();
        network.freeze_backbone(Freeze::Yes);
        let mut state = network.state_dict();
        for (path, _, values) in &mut state {
            // Last layers start as zeros, which would be the same in all.
            if path.starts_with("head") && path.ends_with("bias") {
                let bias = |at: usize| (head_seed * 10) as f32 + at as f32;
                *values = (0..values.len()).map(bias).collect();
            }
        }
        network.load_state(state).unwrap();
        network
    }

    fn joined(networks: &[&Network]) -> Network {
        let members = networks
            .iter()
            .map(|network| (Member::default(), (*network).clone()));
        let outputs = VotedOutputs {
            by: Vote::Values,
            width: 2,
        };
        Network::joined(members.collect(), vec![outputs]).unwrap()
    }

    fn said(network: &Network) -> Vec<f32> {
        let images = Tensor::<4>::ones([3, 3, 32, 32], &Device::flex());
        let mut context = Context::evaluate(None);
        let said = crate::tensor::numbers(network.forward(Some(images), &mut context));
        let is_joined = network.n_members().is_some();
        let spread = context.spread.map(|spread| spread.dims());
        assert_eq!(spread, is_joined.then_some([3, 2]), "of all rows");
        said
    }

    #[test]
    fn the_mean_of_networks_is_put_out_and_a_common_backbone_is_there_once() {
        let (a, b) = (network(1, 7), network(2, 7));
        let both = joined(&[&a, &b]);
        let names = ["features", "avgpool", "flatten", MEMBERS];
        assert_eq!(both.root.child_names(), names);
        assert_eq!(both.backbone, a.backbone);
        let mean = said(&a).into_iter().zip(said(&b));
        let mean: Vec<f32> = mean.map(|(a, b)| (a + b) * 0.5).collect();
        assert_eq!(said(&both), mean);
        assert_ne!(said(&both), said(&a));
    }

    #[test]
    fn a_backbone_of_its_own_stays_with_each_member() {
        let (a, b) = (network(1, 7), network(1, 8));
        let both = joined(&[&a, &b]);
        assert_eq!(both.root.child_names(), [MEMBERS]);
        assert!(both.backbone.is_empty());
        let mean = said(&a).into_iter().zip(said(&b));
        let mean: Vec<f32> = mean.map(|(a, b)| (a + b) * 0.5).collect();
        assert_eq!(said(&both), mean);
        // As a description and its numbers it is the same again.
        let device = Device::flex();
        let mut read = Network::from_description(&both.describe(), &device).unwrap();
        read.load_state(both.state_dict()).unwrap();
        assert_eq!(said(&read), mean);
    }

    #[test]
    fn networks_of_other_images_are_not_joined() {
        let a = network(1, 7);
        let mut b = network(2, 7);
        b.input.mean = [0.0; 3];
        let members = [a, b].map(|network| (Member::default(), network));
        let outputs = VotedOutputs {
            by: Vote::Values,
            width: 2,
        };
        let refused = Network::joined(members.into(), vec![outputs]).unwrap_err();
        assert!(matches!(refused, Error::Shape { .. }), "{refused:?}");
    }
}
