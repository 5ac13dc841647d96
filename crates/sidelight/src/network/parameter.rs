//! Parameters: what a layer learns or remembers, named as torch names it.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::random::named;

/// What a parameter is for: decides on weight decay and on gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterKind {
    /// A matrix, a kernel or a table: decays.
    Weight,
    /// A bias: does not decay.
    Bias,
    /// Scale or bias of a normalisation: does not decay.
    Norm,
    /// Remembered, not learned (running mean and variance): has no gradient.
    Buffer,
}

/// What a parameter starts as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initial {
    /// All this number.
    Constant(f32),
    /// Normal, mean 0, with this standard deviation.
    Normal(f64),
    /// Uniform in ±this.
    Uniform(f64),
}

/// A parameter that a layer asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec {
    /// Its name in the layer: `weight`, `running_mean`, …
    pub name: String,
    /// One to four axes.
    pub shape: Vec<usize>,
    /// What it is for.
    pub kind: ParameterKind,
    /// What it starts as.
    pub initial: Initial,
}

impl ParameterSpec {
    /// A parameter of this name, shape, kind and start.
    pub fn new(
        name: &str,
        shape: impl Into<Vec<usize>>,
        kind: ParameterKind,
        initial: Initial,
    ) -> Self {
        Self {
            name: name.to_owned(),
            shape: shape.into(),
            kind,
            initial,
        }
    }
}

/// Where the first values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From this seed and the parameter's path: the same wherever the layer stands in the order of building.
    Seed(u64),
    /// Zeros, since they are about to be read from a file.
    Zeros,
}

/// A tensor of one to four axes that Burn can train.
#[derive(Debug, Clone)]
pub enum ParameterValue {
    /// A vector: biases, scales.
    D1(Param<Tensor<1>>),
    /// A matrix or a table.
    D2(Param<Tensor<2>>),
    /// Scales of a map's channels, tokens with their batch axis.
    D3(Param<Tensor<3>>),
    /// Kernels of a convolution.
    D4(Param<Tensor<4>>),
}

/// One parameter of one layer.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name in the layer.
    pub name: String,
    /// What it is for.
    pub kind: ParameterKind,
    /// Does not change in training: no gradient, and a frozen running mean stays as it is.
    pub frozen: bool,
    /// The numbers, as Burn trains them.
    pub value: ParameterValue,
}

/// Runs the same expression on the `Param` whatever its rank, giving its result.
macro_rules! each_rank {
    ($value:expr, $param:ident => $body:expr) => {
        match $value {
            $crate::network::ParameterValue::D1($param) => $body,
            $crate::network::ParameterValue::D2($param) => $body,
            $crate::network::ParameterValue::D3($param) => $body,
            $crate::network::ParameterValue::D4($param) => $body,
        }
    };
}
/// As `each_rank`, putting the result back into the same rank.
macro_rules! map_rank {
    ($value:expr, $param:ident => $body:expr) => {
        match $value {
            $crate::network::ParameterValue::D1($param) => {
                $crate::network::ParameterValue::D1($body)
            }
            $crate::network::ParameterValue::D2($param) => {
                $crate::network::ParameterValue::D2($body)
            }
            $crate::network::ParameterValue::D3($param) => {
                $crate::network::ParameterValue::D3($body)
            }
            $crate::network::ParameterValue::D4($param) => {
                $crate::network::ParameterValue::D4($body)
            }
        }
    };
}
pub(crate) use {each_rank, map_rank};

impl Parameter {
    /// Makes it with its first values; `path` is its full path, by which its random numbers are drawn.
    pub fn new(spec: &ParameterSpec, path: &str, start: Start, device: &Device) -> Self {
        let n = spec.shape.iter().product();
        let values = match start {
            Start::Zeros => vec![0.0; n],
            Start::Seed(seed) => draw(spec.initial, n, &mut named(seed, path)),
        };
        let value = value_from(&spec.shape, values, device);
        let mut parameter = Self {
            name: spec.name.clone(),
            kind: spec.kind,
            frozen: false,
            value,
        };
        parameter.set_frozen(Freeze::No);
        parameter
    }
    /// Length of each axis.
    pub fn shape(&self) -> Vec<usize> {
        each_rank!(&self.value, param => param.lazy_shape().to_vec())
    }
    /// Its values in row-major order.
    pub fn values(&self) -> Vec<f32> {
        each_rank!(&self.value, param => param.val().into_data_as::<f32>().try_into_vec::<f32>())
            .expect("parameters are made of f32")
    }
    /// Takes other values, of the same shape, keeping its identity for the optimiser.
    ///
    /// # Panics
    ///
    /// Where the number of values is not that of the shape.
    pub fn set_values(&mut self, values: Vec<f32>) {
        let learned = self.is_trainable();
        let data = TensorData::new(values, self.shape());
        let value = std::mem::replace(&mut self.value, ParameterValue::D1(placeholder()));
        self.value = map_rank!(value, param => {
            let device = param.lazy_device();
            param.map(|_| Tensor::from_data(data, &device))
        });
        self.require_grad(learned);
    }
    /// Whether training changes it by its gradient.
    pub fn is_trainable(&self) -> bool {
        self.kind != ParameterKind::Buffer && !self.frozen
    }
    /// Freezes or thaws it.
    pub fn set_frozen(&mut self, freeze: Freeze) {
        self.frozen = freeze == Freeze::Yes;
        self.require_grad(self.is_trainable());
    }
    /// Sets the flag that Burn reads; buffers never have gradients, whatever a mapper did to them.
    pub(crate) fn require_grad(&mut self, learned: bool) {
        let value = std::mem::replace(&mut self.value, ParameterValue::D1(placeholder()));
        self.value = map_rank!(value, param => param.set_require_grad(learned));
    }
}

/// Whether a parameter is to change in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// It stays as it is.
    Yes,
    /// It is learned.
    No,
}

/// What stands in the place of a parameter while it is being changed.
fn placeholder() -> Param<Tensor<1>> {
    Param::initialized(
        burn::module::ParamId::new(),
        Tensor::zeros([1], &Device::flex()),
    )
}

fn value_from(shape: &[usize], values: Vec<f32>, device: &Device) -> ParameterValue {
    let data = TensorData::new(values, shape.to_vec());
    match shape.len() {
        1 => ParameterValue::D1(Param::from_tensor(Tensor::from_data(data, device))),
        2 => ParameterValue::D2(Param::from_tensor(Tensor::from_data(data, device))),
        3 => ParameterValue::D3(Param::from_tensor(Tensor::from_data(data, device))),
        4 => ParameterValue::D4(Param::from_tensor(Tensor::from_data(data, device))),
        n => unreachable!("layers declare parameters of one to four axes, not {n}"),
    }
}

fn draw(initial: Initial, n: usize, stream: &mut ChaCha8Rng) -> Vec<f32> {
    match initial {
        Initial::Constant(value) => vec![value; n],
        Initial::Uniform(bound) => (0..n)
            .map(|_| ((2.0 * unit(stream) - 1.0) * bound) as f32)
            .collect(),
        Initial::Normal(sd) => {
            let mut values = Vec::with_capacity(n + 1);
            while values.len() < n {
                // Box and Muller 1958: two normal numbers from two uniform ones.
                let radius = (-2.0 * unit(stream).ln()).sqrt() * sd;
                let (sine, cosine) = (std::f64::consts::TAU * unit(stream)).sin_cos();
                values.extend([(radius * cosine) as f32, (radius * sine) as f32]);
            }
            values.truncate(n);
            values
        }
    }
}

/// Uniform in (0, 1): never 0, so that its logarithm exists.
fn unit(stream: &mut ChaCha8Rng) -> f64 {
    (f64::from(stream.next_u32()) + 0.5) / 4_294_967_296.0
}

/// The parameters of one layer, asked for by name.
#[derive(Debug, Clone, Default)]
pub struct Parameters(pub Vec<Parameter>);

/// The tensors of a layer by name and number of axes.
macro_rules! by_axes {
    ($($name:ident $Rank:ident $n:literal $axes:literal),*) => {
        $(
            #[doc = concat!("The parameter of this name, of ", $axes, ".")]
            ///
            /// # Panics
            ///
            /// Where the layer did not declare it so.
            pub fn $name(&self, name: &str) -> Tensor<$n> {
                match self.get(name).map(|parameter| &parameter.value) {
                    Some(ParameterValue::$Rank(param)) => param.val(),
                    _ => panic!("the layer has no parameter `{name}` of {}", $axes),
                }
            }
        )*
    };
}

impl Parameters {
    /// The parameter of this name.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.0.iter().find(|parameter| parameter.name == name)
    }
    by_axes! { d1 D1 1 "one axis", d2 D2 2 "two axes", d3 D3 3 "three axes", d4 D4 4 "four axes" }

    /// The one-axis parameter of this name, where the layer has it.
    pub fn bias(&self, name: &str) -> Option<Tensor<1>> {
        self.get(name).map(|_| self.d1(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_values_depend_on_seed_and_path_only() {
        let spec = ParameterSpec::new(
            "weight",
            [4, 5],
            ParameterKind::Weight,
            Initial::Normal(2.0),
        );
        let device = Device::flex();
        let make = |seed, path| Parameter::new(&spec, path, Start::Seed(seed), &device).values();
        assert_eq!(make(1, "fc.weight"), make(1, "fc.weight"));
        assert_ne!(make(1, "fc.weight"), make(2, "fc.weight"));
        assert_ne!(make(1, "fc.weight"), make(1, "gc.weight"));
    }

    #[test]
    fn drawn_numbers_have_the_asked_spread() {
        let normal = draw(Initial::Normal(3.0), 40_001, &mut named(0, "n"));
        let n = normal.len() as f64;
        let mean = normal.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let sd = (normal
            .iter()
            .map(|v| (f64::from(*v) - mean).powi(2))
            .sum::<f64>()
            / n)
            .sqrt();
        assert!(
            mean.abs() < 0.05 && (sd - 3.0).abs() < 0.05,
            "mean {mean}, sd {sd}"
        );
        let uniform = draw(Initial::Uniform(0.5), 40_001, &mut named(0, "u"));
        assert!(uniform.iter().all(|v| v.abs() <= 0.5) && uniform.iter().any(|v| *v > 0.49));
    }

    #[test]
    fn a_buffer_never_has_a_gradient() {
        let device = Device::flex().autodiff();
        let spec = ParameterSpec::new(
            "running_mean",
            [3],
            ParameterKind::Buffer,
            Initial::Constant(0.0),
        );
        let mut parameter = Parameter::new(&spec, "bn.running_mean", Start::Zeros, &device);
        parameter.set_frozen(Freeze::No);
        let ParameterValue::D1(param) = &parameter.value else {
            panic!("one axis")
        };
        assert!(!param.val().is_require_grad());
    }
}
