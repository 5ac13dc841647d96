//! Steps every parameter along its gradient: AdamW and SGD, with rates by depth.
//!
//! Gradients leave the graph in one place, [`Gradients::take`], as flat buffers named by path; that is where
//! they are clipped, added up, and summed over the ranks. On the CPU a step works in
//! place on the parameters' memory, in one pass; on other devices it is made of tensor operations.

use std::collections::{BTreeMap, HashMap};

use burn::backend::{BackendTensor, DispatchTensorKind};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use sidelight_kernels::optimizer::{AdamW, Momentum, Sgd, sum_of_squares};

use crate::batch::numbers;
use crate::ranks::Ranks;
use crate::train::schedule::Rates;

/// How a gradient becomes a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Method {
    /// Adam with decoupled weight decay; β₁ is the schedule's momentum.
    ///
    /// `p ← p (1 − rate · decay)`, `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`,
    /// `p ← p − rate · m̂ / (√v̂ + ε)` with `m̂ = m / (1 − β₁ᵗ)`, `v̂ = v / (1 − β₂ᵗ)`.
    ///
    /// # Source
    ///
    /// Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2; arithmetic in the order of PyTorch's `AdamW`.
    AdamW {
        /// β₂. Default: 0.99, as fastai.
        beta2: f64,
        /// ε. Default: 1e-5, as fastai.
        epsilon: f64,
    },
    /// Momentum; the decay is part of the gradient.
    ///
    /// `g ← g + decay · p`, `b ← momentum · b + g` (the first `b` is `g`), `p ← p − rate · b`.
    ///
    /// # Source
    ///
    /// PyTorch's `SGD` with `dampening = 0`; Sutskever et al. 2013.
    Sgd,
}

impl Default for Method {
    fn default() -> Self {
        Self::AdamW {
            beta2: 0.99,
            epsilon: 1e-5,
        }
    }
}

/// What one parameter does differently.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// Its share of the schedule's rate.
    pub rate: f64,
    /// Its weight decay.
    pub decay: f64,
}

/// Numbers of gradients that are summed over the ranks at once: 4 MiB.
const BUFFER: usize = 1 << 20;

/// Gradients of one backward pass (or the sum of several), flat, in the order of the tree.
#[derive(Debug, Clone, Default)]
pub struct Gradients {
    items: Vec<(String, Tensor<1>)>,
}

impl Gradients {
    /// Takes the gradient of every parameter that has one.
    pub fn take<M: Module>(module: &M, mut graph: burn::tensor::Gradients) -> Self {
        let mut taker = Taker {
            path: Path::default(),
            graph: &mut graph,
            items: Vec::new(),
        };
        module.visit(&mut taker);
        Self { items: taker.items }
    }

    /// Adds those of another batch, for batches larger than memory.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        if self.items.is_empty() {
            return other;
        }
        assert_eq!(
            self.items.len(),
            other.items.len(),
            "both from the same trainable parameters"
        );
        let add = |((path, a), (_, b)): ((String, Tensor<1>), (String, Tensor<1>))| (path, a + b);
        Self {
            items: self.items.into_iter().zip(other.items).map(add).collect(),
        }
    }

    /// Each times `factor`.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        if factor == 1.0 {
            return self;
        }
        let times = |(path, gradient): (String, Tensor<1>)| (path, gradient * factor);
        Self {
            items: self.items.into_iter().map(times).collect(),
        }
    }

    /// Euclidean norm of the whole gradient.
    ///
    /// On the CPU the squares are summed in `f64`, in one order whatever the number of threads.
    pub fn norm(&self) -> f64 {
        let squares = self
            .items
            .iter()
            .map(|(_, gradient)| on_host(gradient, sum_of_squares));
        squares.sum::<f64>().sqrt()
    }

    /// The sum of those of all ranks. Goes out in buffers of a few MiB, in the order of the tree.
    #[must_use]
    pub(crate) fn summed(self, ranks: &dyn Ranks) -> Self {
        let mut summed = Vec::with_capacity(self.items.len());
        let mut buffer: Vec<f32> = Vec::new();
        let mut waiting: Vec<(String, usize, Device)> = Vec::new();
        let mut items = self.items.into_iter().peekable();
        while let Some((path, gradient)) = items.next() {
            let [n] = gradient.dims();
            on_host(&gradient, |values| buffer.extend_from_slice(values));
            waiting.push((path, n, gradient.device()));
            if buffer.len() < BUFFER && items.peek().is_some() {
                continue;
            }
            ranks.sum(&mut buffer);
            let mut rest = &buffer[..];
            for (path, n, device) in waiting.drain(..) {
                let (own, later) = rest.split_at(n);
                let data = TensorData::new(own.to_vec(), [n]);
                summed.push((path, Tensor::from_data(data, &device)));
                rest = later;
            }
            buffer.clear();
        }
        Self { items: summed }
    }

    /// Number of parameters with a gradient.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing has a gradient.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Paths and gradients, in the order of the tree.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<1>)> {
        self.items
            .iter()
            .map(|(path, gradient)| (path.as_str(), gradient))
    }
}

/// The factor that brings a gradient of this norm down to at most `largest`; 1 where it is, or `largest` is 0.
///
/// # Source
///
/// Pascanu et al. 2013, arXiv:1211.5063, algorithm 1.
pub fn clip_factor(norm: f64, largest: f64) -> f64 {
    if largest > 0.0 && norm > largest {
        largest / norm
    } else {
        1.0
    }
}

/// The rates' shares, the decays and the memory of past gradients, all by path.
#[derive(Debug, Clone)]
pub struct Optimizer {
    method: Method,
    groups: HashMap<String, Group>,
    state: BTreeMap<String, Memory>,
}

/// What is remembered of a parameter's gradients.
#[derive(Debug, Clone)]
struct Memory {
    steps: u32,
    buffers: Buffers,
}

#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "one a parameter, a few hundred in all"
)]
enum Buffers {
    /// On the CPU; the second is empty for SGD.
    Host(Vec<f32>, Vec<f32>),
    /// On another device.
    Device(Tensor<1>, Option<Tensor<1>>),
}

/// A parameter's memory as numbers, for checkpoints.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredMemory {
    /// Path of the parameter.
    pub path: String,
    /// Steps taken so far.
    pub steps: u32,
    /// AdamW's m, SGD's b.
    pub first: Vec<f32>,
    /// AdamW's v; empty for SGD.
    pub second: Vec<f32>,
}

impl Optimizer {
    /// An optimizer that remembers nothing yet. A parameter that no group names has a share of 1 and no decay.
    pub fn new(method: Method, groups: HashMap<String, Group>) -> Self {
        Self {
            method,
            groups,
            state: BTreeMap::new(),
        }
    }

    /// One step of every parameter that has a gradient, each first multiplied by `scale` (see [`clip_factor`]).
    ///
    /// The rate's share and the decay are those of the parameter's group.
    #[must_use]
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: &Gradients,
        rates: Rates,
        scale: f64,
    ) -> M {
        module.map(&mut Stepper {
            path: Path::default(),
            optimizer: self,
            gradients: gradients.iter().collect(),
            rates,
            scale,
        })
    }

    /// What is remembered, for a checkpoint; sorted by path.
    pub fn memory(&self) -> Vec<StoredMemory> {
        let numbers = |tensor: &Tensor<1>| numbers(tensor.clone());
        self.state
            .iter()
            .map(|(path, memory)| {
                let (first, second) = match &memory.buffers {
                    Buffers::Host(first, second) => (first.clone(), second.clone()),
                    Buffers::Device(first, second) => (
                        numbers(first),
                        second.as_ref().map(numbers).unwrap_or_default(),
                    ),
                };
                StoredMemory {
                    path: path.clone(),
                    steps: memory.steps,
                    first,
                    second,
                }
            })
            .collect()
    }

    /// Takes up what a checkpoint remembered.
    pub fn restore(&mut self, memory: Vec<StoredMemory>) {
        self.state = memory
            .into_iter()
            .map(|stored| {
                // Memory moves to the parameter's device when it is next needed.
                let memory = Memory {
                    steps: stored.steps,
                    buffers: Buffers::Host(stored.first, stored.second),
                };
                (stored.path, memory)
            })
            .collect();
    }
}

/// Names joined by dots while a tree is walked.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn to_text(&self) -> String {
        self.0.join(".")
    }
}

struct Taker<'a> {
    path: Path,
    graph: &'a mut burn::tensor::Gradients,
    items: Vec<(String, Tensor<1>)>,
}

impl ModuleVisitor for Taker<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.0.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.0.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.graph) {
            let n = gradient.shape().num_elements();
            self.items
                .push((self.path.to_text(), gradient.reshape([n])));
        }
    }
}

struct Stepper<'a> {
    path: Path,
    optimizer: &'a mut Optimizer,
    gradients: HashMap<&'a str, &'a Tensor<1>>,
    rates: Rates,
    scale: f64,
}

impl ModuleMapper for Stepper<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.0.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.0.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.to_text();
        let Some(gradient) = self.gradients.get(path.as_str()) else {
            return param;
        };
        let group = self.optimizer.groups.get(&path).copied().unwrap_or(Group {
            rate: 1.0,
            decay: 0.0,
        });
        let method = self.optimizer.method;
        let memory = self.optimizer.state.entry(path).or_insert_with(|| Memory {
            steps: 0,
            buffers: Buffers::Host(Vec::new(), Vec::new()),
        });
        memory.steps = memory.steps.saturating_add(1);
        let numbers = Numbers {
            method,
            lr: self.rates.rate * group.rate,
            decay: group.decay,
            momentum: self.rates.momentum,
            step: memory.steps,
            scale: self.scale,
        };

        let (id, tensor, mapper) = param.consume();
        let requires = tensor.is_require_grad();
        let is_autodiff = tensor.is_autodiff();
        let mut stepped = step_tensor(tensor.inner(), gradient, &mut memory.buffers, &numbers);
        if is_autodiff {
            stepped = Tensor::from_inner(stepped).set_require_grad(requires);
        }
        Param::from_mapped_value(id, stepped, mapper)
    }
}

/// What is one number per parameter and step.
#[derive(Clone, Copy)]
struct Numbers {
    method: Method,
    lr: f64,
    decay: f64,
    momentum: f64,
    /// Steps that the parameter has taken, this one included.
    step: u32,
    /// Multiplies the gradient first.
    scale: f64,
}

fn step_tensor<const D: usize>(
    tensor: Tensor<D>,
    gradient: &Tensor<1>,
    buffers: &mut Buffers,
    numbers: &Numbers,
) -> Tensor<D> {
    let mut dispatch = tensor.into_dispatch();
    if let DispatchTensorKind::Flex(BackendTensor::Float(parameter)) = &mut dispatch.kind
        && parameter.dtype() == DType::F32
    {
        let whole = |p: &burn::backend::tensor::FloatTensor<burn::backend::Flex>| {
            p.layout().contiguous_offsets() == Some((0, p.storage::<f32>().len()))
        };
        if !whole(parameter) {
            *parameter = burn::backend::tensor::FloatTensor::<burn::backend::Flex>::from_data(
                parameter.clone().into_data(),
            );
        }
        // Copied only where someone else holds the same memory (the best weights so far, say).
        let values = parameter.storage_mut::<f32>();
        let Buffers::Host(first, second) = buffers else {
            panic!("a parameter went from another device to the CPU")
        };
        first.resize(values.len(), 0.0);
        if matches!(numbers.method, Method::AdamW { .. }) {
            second.resize(values.len(), 0.0);
        }
        on_host(gradient, |gradient| {
            step_host(values, gradient, first, second, numbers)
        });
        return Tensor::from_dispatch(dispatch);
    }
    step_device(
        Tensor::from_dispatch(dispatch),
        gradient.clone(),
        buffers,
        numbers,
    )
}

/// One pass over the memory, by the kernels.
fn step_host(
    values: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    numbers: &Numbers,
) {
    let Numbers {
        lr,
        decay,
        scale,
        momentum,
        step,
        method,
    } = *numbers;
    let (lr, weight_decay, gradient_scale) = (lr as f32, decay as f32, scale as f32);
    match method {
        Method::AdamW { beta2, epsilon } => {
            let (beta1, beta2, eps) = (momentum as f32, beta2 as f32, epsilon as f32);
            AdamW {
                lr,
                beta1,
                beta2,
                eps,
                weight_decay,
                step: step.into(),
                gradient_scale,
            }
            .update(values, gradient, first, second);
        }
        Method::Sgd => {
            let kind = Momentum::Classical;
            Sgd {
                lr,
                momentum: momentum as f32,
                kind,
                weight_decay,
                gradient_scale,
            }
            .update(values, gradient, first);
        }
    }
}

fn step_device<const D: usize>(
    tensor: Tensor<D>,
    gradient: Tensor<1>,
    buffers: &mut Buffers,
    numbers: &Numbers,
) -> Tensor<D> {
    let (shape, device) = (tensor.shape(), tensor.device());
    let n = shape.num_elements();
    let on_device = |host: &[f32]| match host {
        [] => Tensor::<1>::zeros([n], &device),
        host => Tensor::from_data(TensorData::new(host.to_vec(), [n]), &device),
    };
    let (first, second) = match buffers {
        Buffers::Host(first, second) => (on_device(first), on_device(second)),
        Buffers::Device(first, second) => (
            first.clone(),
            second.clone().unwrap_or_else(|| on_device(&[])),
        ),
    };
    let Numbers {
        lr,
        decay,
        momentum,
        step,
        ..
    } = *numbers;
    let gradient = gradient.to_device(&device) * numbers.scale;
    let value = tensor.reshape([n]);
    let power = i32::try_from(step).unwrap_or(i32::MAX);
    let stepped = match numbers.method {
        Method::AdamW { beta2, epsilon } => {
            let first = first * momentum + gradient.clone() * (1.0 - momentum);
            let second = second * beta2 + gradient.clone() * gradient * (1.0 - beta2);
            let root = (1.0 - beta2.powi(power)).sqrt();
            let rate = lr / (1.0 - momentum.powi(power));
            let stepped = value * (1.0 - lr * decay)
                - first.clone() / (second.clone().sqrt() / root + epsilon) * rate;
            *buffers = Buffers::Device(first, Some(second));
            stepped
        }
        Method::Sgd => {
            let first = first * momentum + gradient + value.clone() * decay;
            *buffers = Buffers::Device(first.clone(), None);
            value - first * lr
        }
    };
    stepped.reshape(shape)
}

/// Reads a tensor's numbers, without a copy where it is contiguous on the CPU.
fn on_host<R>(tensor: &Tensor<1>, read: impl FnOnce(&[f32]) -> R) -> R {
    let dispatch = tensor.clone().into_dispatch();
    if let DispatchTensorKind::Flex(BackendTensor::Float(primitive)) = &dispatch.kind
        && let Some(values) = primitive.as_slice::<f32>()
    {
        return read(values);
    }
    let data = Tensor::<1>::from_dispatch(dispatch).into_data_as::<f32>();
    read(data.as_slice().expect("converted to f32 just now"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use serde_json::Value;

    /// Made by `tests/reference/optimizers.py` with PyTorch.
    const REFERENCE: &str = include_str!("../../tests/reference/optimizers.json");

    #[derive(Module, Debug)]
    struct Pair {
        weight: Param<Tensor<2>>,
        bias: Param<Tensor<1>>,
    }

    fn pair(weight: Vec<f32>, bias: Vec<f32>, device: &Device) -> Pair {
        let rows = bias.len();
        let shape = [rows, weight.len() / rows];
        Pair {
            weight: Param::from_tensor(
                Tensor::from_data(TensorData::new(weight, shape), device).require_grad(),
            ),
            bias: Param::from_tensor(
                Tensor::from_data(TensorData::new(bias, [rows]), device).require_grad(),
            ),
        }
    }

    /// The loss whose gradient with respect to each parameter is the given one.
    fn gradients_of(module: &Pair, weight: &[f32], bias: &[f32], device: &Device) -> Gradients {
        let shape = module.weight.val().shape();
        let weight = Tensor::<2>::from_data(TensorData::new(weight.to_vec(), shape), device);
        let bias = Tensor::<1>::from_data(TensorData::new(bias.to_vec(), [bias.len()]), device);
        let loss = (module.weight.val() * weight).sum() + (module.bias.val() * bias).sum();
        Gradients::take(module, loss.backward())
    }

    fn floats(value: &Value) -> Vec<f32> {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn values<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
        param
            .val()
            .inner()
            .into_data_as::<f32>()
            .try_into_vec()
            .unwrap()
    }

    #[test]
    fn five_steps_agree_with_pytorch() {
        let device = Device::flex().autodiff();
        for case in serde_json::from_str::<Vec<Value>>(REFERENCE).unwrap() {
            let method: Method = serde_json::from_value(case["method"].clone()).unwrap();
            let decay = case["weight_decay"].as_f64().unwrap();
            let groups = HashMap::from([
                ("weight".to_owned(), Group { rate: 1.0, decay }),
                (
                    "bias".to_owned(),
                    Group {
                        rate: 0.5,
                        decay: 0.0,
                    },
                ),
            ]);
            let mut optimizer = Optimizer::new(method, groups);
            let mut module = pair(floats(&case["weight"]), floats(&case["bias"]), &device);
            for step in case["steps"].as_array().unwrap() {
                let gradients = gradients_of(
                    &module,
                    &floats(&step["weight_gradient"]),
                    &floats(&step["bias_gradient"]),
                    &device,
                );
                let norm = gradients.norm();
                assert!((norm - step["norm"].as_f64().unwrap()).abs() < 1e-6, "norm");
                let scale = clip_factor(norm, case["clip"].as_f64().unwrap());
                let rates = Rates {
                    rate: step["rate"].as_f64().unwrap(),
                    momentum: step["momentum"].as_f64().unwrap(),
                };
                module = optimizer.step(module, &gradients, rates, scale);
                for (found, expected) in [
                    (values(&module.weight), &step["weight"]),
                    (values(&module.bias), &step["bias"]),
                ] {
                    for (found, expected) in found.iter().zip(floats(expected)) {
                        assert!(
                            (found - expected).abs() < 1e-6,
                            "{method:?}: {found} is not {expected}"
                        );
                    }
                }
            }
            assert!(module.weight.val().is_require_grad());
        }
    }

    #[test]
    fn tensor_operations_agree_with_the_pass_in_place() {
        let device = Device::flex();
        for method in [Method::default(), Method::Sgd] {
            let start: Vec<f32> = (0..50).map(|i| (i as f32 * 0.37).sin()).collect();
            let (mut host, mut other) = (
                Tensor::<1>::from_floats(&start[..], &device),
                Tensor::<1>::from_floats(&start[..], &device),
            );
            let (mut a, mut b) = (Buffers::Host(vec![], vec![]), Buffers::Host(vec![], vec![]));
            for step in 1..=3 {
                let gradient: Vec<f32> = (0..50)
                    .map(|i| (i as f32 * 0.11 + step as f32).cos())
                    .collect();
                let gradient = Tensor::<1>::from_floats(&gradient[..], &device);
                let numbers = Numbers {
                    method,
                    lr: 0.01,
                    decay: 0.1,
                    momentum: 0.9,
                    step,
                    scale: 0.5,
                };
                host = step_tensor(host, &gradient, &mut a, &numbers);
                other = step_device(other, gradient, &mut b, &numbers);
            }
            let difference: f32 = (host - other).abs().max().into_scalar();
            assert!(difference < 1e-6, "{method:?}: {difference}");
        }
    }

    #[test]
    fn a_snapshot_taken_before_a_step_does_not_move() {
        let device = Device::flex().autodiff();
        let module = pair(vec![1.0; 4], vec![1.0; 2], &device);
        let before = module.clone();
        let gradients = gradients_of(&module, &[1.0; 4], &[1.0; 2], &device);
        let mut optimizer = Optimizer::new(Method::Sgd, HashMap::new());
        let after = optimizer.step(
            module,
            &gradients,
            Rates {
                rate: 0.1,
                momentum: 0.9,
            },
            1.0,
        );
        assert_eq!(values(&before.weight), [1.0; 4]);
        assert_eq!(values(&after.weight), [0.9; 4]);
    }

    #[test]
    fn stored_memory_goes_on_bit_for_bit() {
        let device = Device::flex().autodiff();
        let rates = Rates {
            rate: 0.1,
            momentum: 0.9,
        };
        let step = |module: Pair, optimizer: &mut Optimizer, k: f32| {
            let gradients = gradients_of(&module, &[k, 0.3, -k, 1.0], &[0.1, k], &device);
            optimizer.step(module, &gradients, rates, 1.0)
        };
        let mut optimizer = Optimizer::new(Method::default(), HashMap::new());
        let module = step(
            pair(vec![1.0; 4], vec![1.0; 2], &device),
            &mut optimizer,
            0.7,
        );
        let mut resumed = Optimizer::new(Method::default(), HashMap::new());
        resumed.restore(optimizer.memory());
        assert_eq!(resumed.memory(), optimizer.memory());
        let one = step(module.clone(), &mut optimizer, -0.2);
        let other = step(module, &mut resumed, -0.2);
        assert_eq!(values(&one.weight), values(&other.weight));
        assert_eq!(values(&one.bias), values(&other.bias));
    }

    #[test]
    fn a_parameter_without_gradient_stays() {
        let device = Device::flex().autodiff();
        let module = pair(vec![1.0; 4], vec![1.0; 2], &device);
        let gradients = Gradients::take(&module, module.bias.val().sum().backward());
        assert_eq!(
            gradients.iter().map(|(path, _)| path).collect::<Vec<_>>(),
            ["bias"]
        );
        let mut optimizer = Optimizer::new(Method::default(), HashMap::new());
        let module = optimizer.step(
            module,
            &gradients,
            Rates {
                rate: 0.1,
                momentum: 0.9,
            },
            1.0,
        );
        assert_eq!(values(&module.weight), [1.0; 4]);
        assert!(values(&module.bias).iter().all(|value| *value < 1.0));
    }

    #[test]
    fn the_sum_of_two_batches_is_added_by_path() {
        let device = Device::flex().autodiff();
        let module = pair(vec![1.0; 4], vec![1.0; 2], &device);
        let sum = Gradients::default()
            .plus(gradients_of(
                &module,
                &[3.0, 0.0, 0.0, 0.0],
                &[0.0, 0.0],
                &device,
            ))
            .plus(gradients_of(
                &module,
                &[0.0, 0.0, 0.0, 0.0],
                &[4.0, 0.0],
                &device,
            ));
        assert_eq!(sum.norm(), 5.0);
        assert_eq!(clip_factor(5.0, 1.0), 0.2);
        assert_eq!(clip_factor(0.5, 1.0), 1.0);
        assert_eq!(clip_factor(5.0, 0.0), 1.0);
    }
}
