//! A network as a tree of nodes, and its walk.

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn::tensor::{Device, Tensor};

use super::fused;
use super::layer::{Layer, SHORTCUT};
use super::parameter::{Parameter, ParameterKind, Parameters, Start, each_rank, map_rank};
use super::plan::Plan;
use super::value::{Value, Walk};
use crate::tensor::Activation;

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
}

/// A path one level deeper.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl Node {
    /// Makes the layers of a description whose shapes were inferred; `path` is where it will stand.
    pub fn new(plan: &Plan, path: &str, start: Start, device: &Device) -> Self {
        let specs = plan.layer.parameters();
        let parameters = specs.iter().map(|spec| Parameter::new(spec, &join(path, &spec.name), start, device));
        Self {
            layer: plan.layer.clone(),
            parameters: Parameters(parameters.collect()),
            children: plan
                .children
                .iter()
                .map(|(name, child)| (name.clone(), Self::new(child, &join(path, name), start, device)))
                .collect(),
        }
    }

    /// Its description, without numbers.
    pub fn plan(&self) -> Plan {
        Plan::with(self.layer.clone(), self.children.iter().map(|(name, child)| (name.clone(), child.plan())))
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

    /// Runs it.
    ///
    /// # Panics
    ///
    /// Where the input is not of the shape that the network was built for, or the context lacks the metadata that it reads.
    pub fn forward(&self, x: Value, walk: &mut Walk<'_>) -> Value {
        match &self.layer {
            Layer::Sequential => self.in_turn(x, walk),
            Layer::Residual(residual) => {
                let at = self.children.iter().position(|(name, _)| name == SHORTCUT);
                let (before, after) = self.children.split_at(at.unwrap_or(self.children.len()));
                let (shortcut, after) = match after.split_first() {
                    Some(((name, child), after)) => (walk.within(name, |walk| child.forward(x.clone(), walk)), after),
                    None => (x.clone(), after),
                };
                let end = fused::End {
                    residual: Some(shortcut),
                    activation: residual.relu_after.then_some(Activation::Relu),
                };
                if after.is_empty() {
                    fused::run(before, x, end, walk)
                } else {
                    let body = fused::run(before, x, fused::End::default(), walk);
                    fused::run(after, body, end, walk)
                }
            }
            Layer::Gate => {
                let gate = match self.in_turn(x.clone(), walk) {
                    Value::Map(gate) if gate.dims()[2..] == [1, 1] => {
                        let [batch, channels, ..] = gate.dims();
                        gate.reshape([batch, channels])
                    }
                    gate => gate.pooled(),
                };
                x.times_channels(gate)
            }
            Layer::Concat => {
                let parts = self.children.iter().map(|(name, child)| {
                    walk.within(name, |walk| child.forward(x.clone(), walk)).features() // [batch, each]
                });
                Value::Features(Tensor::cat(parts.collect(), 1))
            }
            Layer::Sum => {
                let mut parts = self.children.iter();
                let (name, first) = parts.next().expect("the shape pass refuses an empty sum");
                let first = walk.within(name, |walk| first.forward(x.clone(), walk));
                parts.fold(first, |sum, (name, child)| {
                    sum.plus(walk.within(name, |walk| child.forward(x.clone(), walk)))
                })
            }
            Layer::Fusion(fusion) => {
                let control = self.in_turn(fusion.read(&x), walk).features();
                fusion.forward(x, control)
            }
            Layer::Metadata(source) => {
                let metadata = walk.context.metadata.clone().unwrap_or_else(|| {
                    panic!("`{}` reads metadata, and the context has none", walk.path())
                });
                let [batch, found] = metadata.dense.dims();
                assert!(
                    found == source.d_dense,
                    "`{}` reads metadata of width {}, and is given {found}",
                    walk.path(),
                    source.d_dense
                );
                let mut parts = Vec::with_capacity(1 + self.children.len());
                if source.d_dense > 0 {
                    parts.push(metadata.dense);
                }
                for (i, (_, table)) in self.children.iter().enumerate() {
                    if let Layer::Embedding(layer) = &table.layer {
                        let codes = metadata.codes.clone().narrow(1, i, 1).reshape([batch]);
                        parts.push(layer.look_up(&table.parameters, codes)); // [batch, width]
                    }
                }
                Value::Features(Tensor::cat(parts, 1))
            }
            leaf => leaf.forward(&self.parameters, x, walk),
        }
    }

    fn in_turn(&self, x: Value, walk: &mut Walk<'_>) -> Value {
        self.run(0, self.children.len(), x, walk)
    }

    /// Runs the children from one position up to another, one after the other.
    pub(super) fn run(&self, from: usize, to: usize, x: Value, walk: &mut Walk<'_>) -> Value {
        fused::run(&self.children[from..to], x, fused::End::default(), walk)
    }

    /// Whether its result depends on its input alone, and training does not change that: nothing learned,
    /// no metadata read, nothing dropped at random but inside what is frozen.
    pub(super) fn is_constant(&self) -> bool {
        fn look(node: &Node, parameters: &mut usize, random: &mut bool) -> bool {
            *parameters += node.parameters.0.len();
            *random |= matches!(node.layer, Layer::Dropout(_) | Layer::DropPath(_) | Layer::Custom(_));
            let still = node.parameters.0.iter().all(|parameter| parameter.frozen);
            still
                && !matches!(node.layer, Layer::Metadata(_))
                && node.children.iter().all(|(_, child)| look(child, parameters, random))
        }
        let (mut parameters, mut random) = (0, false);
        look(self, &mut parameters, &mut random) && (parameters > 0 || !random)
    }

    /// Runs the same on every parameter's Burn parameter, by value.
    fn each_value(self, f: &mut impl FnMut(Parameter) -> Parameter) -> Self {
        Self {
            layer: self.layer,
            parameters: Parameters(self.parameters.0.into_iter().map(&mut *f).collect()),
            children: self.children.into_iter().map(|(name, child)| (name, child.each_value(f))).collect(),
        }
    }
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
            let Parameter { name, kind, frozen, value } = parameter;
            mapper.enter_module(&name, CONTAINER);
            let value = map_rank!(value, param => Module::map(param, mapper));
            mapper.exit_module(&name, CONTAINER);
            let mut parameter = Parameter { name, kind, frozen, value };
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
        Self { layer: self.layer, parameters, children: children.collect() }
    }

    fn collect_devices(&self, mut devices: Devices) -> Devices {
        for parameter in &self.parameters.0 {
            devices = each_rank!(&parameter.value, param => param.collect_devices(devices));
        }
        self.children.iter().fold(devices, |devices, (_, child)| child.collect_devices(devices))
    }

    fn to_device(self, device: &Device) -> Self {
        self.each_value(&mut |p| Parameter { value: map_rank!(p.value, param => param.to_device(device)), ..p })
    }
    fn fork(self, device: &Device) -> Self {
        self.each_value(&mut |p| Parameter { value: map_rank!(p.value, param => param.fork(device)), ..p })
    }
    fn train(self) -> Self {
        self.each_value(&mut |p| Parameter { value: map_rank!(p.value, param => param.train()), ..p })
    }
    fn valid(&self) -> Self {
        self.clone().each_value(&mut |p| Parameter { value: map_rank!(&p.value, param => param.valid()), ..p })
    }
    fn materialize(self) -> Self {
        self.each_value(&mut |p| Parameter { value: map_rank!(p.value, param => param.materialize()), ..p })
    }
}
