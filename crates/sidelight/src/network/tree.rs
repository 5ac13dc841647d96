//! A network as a tree of nodes: a Burn module.

use std::collections::BTreeMap;

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn::tensor::Device;

use super::architecture::Architecture;
use super::layer::{Branch, Layer, MetadataSource, Stack};
use super::parameter::{Freeze, Parameter, ParameterKind, Parameters, Start, each_rank, map_rank};
use crate::tensor::Prepared;

/// One layer with its parameters and the layers inside it.
///
/// Its parameters are named as torch names them, so that the path of a parameter is its checkpoint's key.
/// The Burn [`Module`] is written by hand, since the tree's names are data.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it does.
    pub layer: Layer,
    /// What it has learned.
    pub parameters: Parameters,
    /// The layers inside, in order.
    pub children: Vec<(String, Node)>,
    /// Its convolution made ready for inference, where it is one.
    pub(super) prepared: Prepared,
}

/// A path one level deeper.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

impl Node {
    /// Makes the layers of a description whose shapes were inferred; `path` is where it will stand.
    pub fn new(architecture: &Architecture, path: &str, start: Start, device: &Device) -> Self {
        let specs = architecture.layer.parameters();
        let parameters = specs
            .iter()
            .map(|spec| Parameter::new(spec, &join(path, &spec.name), start, device));
        Self {
            layer: architecture.layer.clone(),
            parameters: Parameters(parameters.collect()),
            prepared: Prepared::default(),
            children: architecture
                .children
                .iter()
                .map(|(name, child)| {
                    (
                        name.clone(),
                        Self::new(child, &join(path, name), start, device),
                    )
                })
                .collect(),
        }
    }

    /// Its description, without numbers.
    pub fn architecture(&self) -> Architecture {
        Architecture::with(
            self.layer.clone(),
            self.children
                .iter()
                .map(|(name, child)| (name.clone(), child.architecture())),
        )
    }

    /// Runs `f` on each parameter with its path, in tree order.
    pub fn each_parameter<'a>(&'a self, path: &str, f: &mut impl FnMut(String, &'a Parameter)) {
        for parameter in &self.parameters.0 {
            f(join(path, &parameter.name), parameter);
        }
        for (name, child) in &self.children {
            child.each_parameter(&join(path, name), f);
        }
    }

    /// As [`Node::each_parameter`], to change them.
    pub fn each_parameter_mut(&mut self, path: &str, f: &mut impl FnMut(&str, &mut Parameter)) {
        for parameter in &mut self.parameters.0 {
            f(&join(path, &parameter.name), parameter);
        }
        for (name, child) in &mut self.children {
            child.each_parameter_mut(&join(path, name), f);
        }
    }

    /// Lets what it puts out start from these numbers: sets the bias of the linear layer whose result is its result; of several
    /// that are added, of the first; of several that are joined, of each. Returns whether there is one.
    pub(super) fn start_from(&mut self, outputs: &[f32]) -> bool {
        let set = |name: &str, parameters: &mut Parameters| {
            let mut named = parameters.0.iter_mut();
            match named.find(|p| p.name == name && p.shape() == [outputs.len()]) {
                Some(parameter) => {
                    parameter.set_values(outputs.to_vec());
                    true
                }
                None => false,
            }
        };
        match self.layer {
            Layer::Linear(_) => set("bias", &mut self.parameters),
            Layer::Stack(_) => {
                let children = self.children.iter_mut();
                let started =
                    children.fold(true, |all, (_, child)| child.start_from(outputs) && all);
                set(Stack::PRIOR, &mut self.parameters) && started
            }
            Layer::Sequential => {
                let passes_on = |child: &Self| matches!(child.layer, Layer::Auxiliary);
                let mut children = self.children.iter_mut().rev();
                let last = children.find(|(_, child)| !passes_on(child));
                last.is_some_and(|(_, last)| last.start_from(outputs))
            }
            Layer::Sum => {
                let first = self.children.first_mut();
                first.is_some_and(|(_, first)| first.start_from(outputs))
            }
            _ => false,
        }
    }

    /// The stack in it, if there is one.
    pub(crate) fn stack(&self) -> Option<(&Stack, &Self)> {
        match &self.layer {
            Layer::Stack(stack) => Some((stack, self)),
            _ => self.children.iter().find_map(|(_, child)| child.stack()),
        }
    }

    /// As [`Node::stack`], to change it.
    pub(crate) fn stack_mut(&mut self) -> Option<&mut Self> {
        match &self.layer {
            Layer::Stack(_) => Some(self),
            _ => self
                .children
                .iter_mut()
                .find_map(|(_, child)| child.stack_mut()),
        }
    }

    /// Gives a stack one more branch, of these children; the factors start equal.
    pub(crate) fn append_branch(
        &mut self,
        branch: Branch,
        children: Vec<(String, Self)>,
        device: &Device,
    ) {
        let Layer::Stack(stack) = &mut self.layer else {
            return;
        };
        stack.branches.push(branch);
        self.children.extend(children);
        for spec in self.layer.parameters() {
            if spec.name == Stack::FACTORS {
                self.parameters.0.retain(|own| own.name != spec.name);
                let factors = Parameter::new(&spec, &spec.name, Start::Zeros, device);
                self.parameters.0.push(factors);
            }
        }
    }

    /// Sets the branches of a stack whose numbers are all known, by their paths in it. They no longer learn.
    pub(crate) fn fix_branches(&mut self, known: &BTreeMap<String, Vec<f32>>) {
        let Layer::Stack(stack) = &mut self.layer else {
            return;
        };
        let children = self.children.chunks_mut(stack.members.max(1));
        for (branch, children) in stack.branches.iter_mut().zip(children) {
            let mut all = true;
            for (name, child) in &mut *children {
                child.each_parameter(name, &mut |path, parameter| {
                    let n: usize = parameter.shape().iter().product();
                    all &= known.get(&path).is_some_and(|values| values.len() == n);
                });
            }
            if !all {
                continue;
            }
            branch.fitted = true;
            for (name, child) in children {
                child.each_parameter_mut(name, &mut |path, parameter| {
                    parameter.set_frozen(Freeze::Yes);
                    parameter.set_values(known[path].clone());
                });
            }
        }
    }

    /// Sets which of the metadata's numbers come into each branch of a stack and each of its members, 1 or 0.
    pub(crate) fn screen_branches(&mut self, kept: impl Fn(&Branch, usize) -> Vec<f32>) {
        let Layer::Stack(stack) = &self.layer else {
            return;
        };
        let children = self.children.chunks_mut(stack.members.max(1));
        for (branch, children) in stack.branches.iter().zip(children) {
            for (member, (_, child)) in children.iter_mut().enumerate() {
                child.screen(&kept(branch, member));
            }
        }
    }

    fn screen(&mut self, kept: &[f32]) {
        if let Layer::Metadata(MetadataSource { screened: true, .. }) = self.layer {
            let mut named = self.parameters.0.iter_mut();
            if let Some(parameter) = named.find(|one| one.name == MetadataSource::KEPT) {
                parameter.set_values(kept.to_vec());
            }
        }
        self.children
            .iter_mut()
            .for_each(|(_, child)| child.screen(kept));
    }

    /// Whether its result depends on its input alone, and training does not change that: nothing learned,
    /// no metadata read, nothing dropped at random but inside what is frozen.
    pub(super) fn is_constant(&self) -> bool {
        fn look(node: &Node, parameters: &mut usize, random: &mut bool) -> bool {
            *parameters += node.parameters.0.len();
            *random |= matches!(
                node.layer,
                Layer::Dropout(_) | Layer::DropPath(_) | Layer::DropImage(_) | Layer::Custom(_)
            );
            let still = node.parameters.0.iter().all(|parameter| parameter.frozen);
            still
                && !matches!(
                    node.layer,
                    // Which images a row lacks is known where the row is, as its metadata is.
                    Layer::Metadata(_) | Layer::Trees(_) | Layer::ImagePool(_)
                )
                && node
                    .children
                    .iter()
                    .all(|(_, child)| look(child, parameters, random))
        }
        let (mut parameters, mut random) = (0, false);
        look(self, &mut parameters, &mut random) && (parameters > 0 || !random)
    }

    /// Runs the same on every parameter's Burn parameter, by value.
    fn each_value(self, f: &mut impl FnMut(Parameter) -> Parameter) -> Self {
        Self {
            layer: self.layer,
            parameters: Parameters(self.parameters.0.into_iter().map(&mut *f).collect()),
            prepared: Prepared::default(),
            children: self
                .children
                .into_iter()
                .map(|(name, child)| (name, child.each_value(f)))
                .collect(),
        }
    }
}

/// The tree with the same done to every parameter's Burn parameter.
macro_rules! each_param {
    ($node:expr, $param:ident => $body:expr) => {
        $node.each_value(&mut |p| Parameter {
            value: map_rank!(p.value, $param => $body),
            ..p
        })
    };
}

/// What Burn calls a node where it prints or filters containers.
const CONTAINER: &str = "Struct:Node";

impl Module for Node {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for parameter in &self.parameters.0 {
            visitor.enter_module(&parameter.name, CONTAINER);
            each_rank!(&parameter.value, param => param.visit(visitor));
            visitor.exit_module(&parameter.name, CONTAINER);
        }
        for (name, child) in &self.children {
            visitor.enter_module(name, CONTAINER);
            child.visit(visitor);
            visitor.exit_module(name, CONTAINER);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let parameters = self.parameters.0.into_iter().map(|parameter| {
            let Parameter {
                name,
                kind,
                frozen,
                value,
            } = parameter;
            mapper.enter_module(&name, CONTAINER);
            let value = map_rank!(value, param => Module::map(param, mapper));
            mapper.exit_module(&name, CONTAINER);
            let mut parameter = Parameter {
                name,
                kind,
                frozen,
                value,
            };
            if kind == ParameterKind::Buffer {
                // A mapper that asks for gradients everywhere (Burn's `unfreeze`) must not reach what is not learned.
                parameter.require_grad(false);
            }
            parameter
        });
        let parameters = Parameters(parameters.collect());
        let children = self.children.into_iter().map(|(name, child)| {
            mapper.enter_module(&name, CONTAINER);
            let child = child.map(mapper);
            mapper.exit_module(&name, CONTAINER);
            (name, child)
        });
        Self {
            layer: self.layer,
            parameters,
            children: children.collect(),
            prepared: Prepared::default(),
        }
    }

    fn collect_devices(&self, mut devices: Devices) -> Devices {
        for parameter in &self.parameters.0 {
            devices = each_rank!(&parameter.value, param => param.collect_devices(devices));
        }
        self.children.iter().fold(devices, |devices, (_, child)| {
            child.collect_devices(devices)
        })
    }

    fn to_device(self, device: &Device) -> Self {
        each_param!(self, param => param.to_device(device))
    }
    fn fork(self, device: &Device) -> Self {
        each_param!(self, param => param.fork(device))
    }
    fn train(self) -> Self {
        each_param!(self, param => param.train())
    }
    fn valid(&self) -> Self {
        each_param!(self.clone(), param => param.valid())
    }
    fn materialize(self) -> Self {
        each_param!(self, param => param.materialize())
    }
}
