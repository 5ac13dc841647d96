//! The network: plain data, a tree of named layers.
//!
//! - [`Architecture`], [`Layer`]: what a network is, without numbers; written as JSON or TOML;
//! - [`shape`]: every shape, inferred from the architecture before anything runs;
//! - [`Node`]: the architecture with its parameters, a Burn module; paths into it, its edits ([`Edit`]);
//! - [`backbone`]: the published networks; [`fusion`]: how metadata joins them; [`head`];
//! - [`weights`]: files of weights, read without executing anything;
//! - [`Network`]: all of it together, from a configuration to predictions.
//!
//! The whole model is one tree. Its root is a sequence: the backbone's own children with torch's names,
//! torch's classifier removed, then `fusion` and `head`. A path, a checkpoint's key, an edit and
//! a parameter group are one string, as in `layer4.1.conv2.weight`.

mod architecture;
pub mod backbone;
mod build;
mod edit;
mod ensemble;
pub mod fusion;
#[doc(hidden)]
pub mod head;
pub mod layer;
mod onnx;
pub mod parameter;
mod path;
mod run;
pub mod shape;
#[doc(hidden)]
pub mod state;
mod tree;
mod value;
pub mod weights;

#[cfg(test)]
mod tests;

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sidelight_kernels::keep_awake;

pub use architecture::Architecture;
pub use build::BackboneWeights;
pub use edit::{Edit, Edits};
pub use layer::{Constructors, Custom, CustomLayer, Layer};
pub(crate) use onnx::GraphMetadata;
pub use parameter::{
    Freeze, Parameter, ParameterKind, ParameterSpec, ParameterValue, Parameters, Start,
};
pub use path::matches;
pub use shape::{Inferred, Shape};
pub use tree::Node;
pub use value::{BatchStatistics, Context, MetadataTensors, Mode, Value, Walk};

use layer::{Bins, Vote};

use crate::encode::Embedding;
use crate::error::{Error, Result};
use crate::tensor::Precision;

/// A whole model: images and metadata in, the task's numbers out.
#[derive(Debug, Clone)]
pub struct Network {
    /// The tree; its children run one after another.
    pub root: Node,
    /// Names of the root's children that come from the backbone.
    pub backbone: Vec<String>,
    /// What images it takes.
    pub input: InputSpec,
    /// How its convolutions form their products, whatever it is run for. Not part of its description.
    pub precision: Precision,
    /// Whether its head came with the weights: it is not to begin anew. Not part of its description.
    pub(crate) has_learned_head: bool,
    /// Parameters of fusion and head that came with the weights. Not part of its description.
    pub(crate) n_given: usize,
}

/// What a network is built for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelSpec {
    /// Numbers that the task asks for.
    pub n_outputs: usize,
    /// Width of the dense metadata.
    pub d_dense: usize,
    /// The embedded columns, in the order of the codes.
    pub embeddings: Vec<Embedding>,
    /// Side of the input, in pixels.
    pub size: usize,
    /// Images of a row; 0 and 1: one.
    pub n_images: usize,
    /// Whether the answer is where things are (points): the last map is flattened instead of averaged.
    pub spatial: bool,
    /// What the rows decide of the fusion `stacked`.
    pub stacking: Stacking,
}

/// What the training rows decide of the fusion `stacked`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stacking {
    /// How often each branch is there, each without the rows of one fold; 0 and 1: once, with all rows.
    pub members: usize,
    /// Where the numbers of the dense metadata are cut.
    pub numbers: Vec<Bins>,
    /// The dense metadata of a row whose columns are all missing.
    pub missing: Vec<f32>,
    /// What the mean of votes is taken of.
    pub vote: Vote,
}

/// What images a network takes: pixel = (rgb in [0, 1] − mean) / sd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputSpec {
    /// Subtracted, per channel.
    pub mean: [f32; 3],
    /// Divided by, per channel.
    pub sd: [f32; 3],
    /// Side, in pixels; 0: no image.
    pub size: usize,
    /// Channels of the tensor that [`Network::forward`] takes; 3 unless an edit changed it.
    pub channels: usize,
}

impl InputSpec {
    /// The shape that comes to the first layer.
    pub fn shape(&self) -> Shape {
        if self.size == 0 {
            Shape::Nothing
        } else {
            Shape::square(self.channels, self.size)
        }
    }
}

/// A parameter as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParameterInfo {
    /// Its path: the key in a file of weights.
    pub path: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Whether training changes it by its gradient.
    pub trainable: bool,
    /// What it is for.
    pub kind: ParameterKind,
}

/// Rows that go through the network together where there are many: few enough for the cache, enough to read the weights
/// seldom.
const ROWS_AT_ONCE: usize = 4;

/// The rows divided, first and number of each part, where nothing but the result is wanted of them.
///
/// A single row is a part as well: within the pool its kernels share their pieces out without putting the calling
/// thread to sleep for each.
fn parts(value: &Value, context: &Context, taps: &[String]) -> Option<Vec<(usize, usize)>> {
    let Value::Map(x) = value else {
        return None;
    };
    let [batch, ..] = x.dims();
    let is_plain = context.mode == Mode::Evaluate && taps.is_empty() && !x.is_autodiff();
    if !is_plain || batch == 0 || !crate::tensor::is_on_cpu(x) {
        return None;
    }
    let at_once = ROWS_AT_ONCE.min(batch.div_ceil(rayon::current_num_threads()));
    let starts = (0..batch).step_by(at_once);
    Some(
        starts
            .map(|start| (start, at_once.min(batch - start)))
            .collect(),
    )
}

impl Network {
    /// Runs the network: logits, values, or points as x, y in [-1, 1] of the input square.
    ///
    /// Leading layers that are wholly frozen behave as in evaluation, dropout included.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, size, size]`, normalised by [`Network::input`]; several of a row one below the other,
    ///   `[batch, channels, n_images · size, size]`; none for a model of metadata alone
    /// - returns: `[batch, n_outputs]`
    ///
    /// # Panics
    ///
    /// Where the images are not of that shape, or the context lacks the metadata that the network reads.
    ///
    /// # Example
    ///
    /// Ten logits for each of two images:
    ///
    /// ```
    /// use burn::tensor::Tensor;
    /// use sidelight::network::{BackboneWeights, Context, Network, backbone};
    /// use sidelight::tensor::Device;
    ///
    /// let device = Device::flex();
    /// let backbone = backbone::named("small_cnn")?;
    /// let network = Network::original(backbone, 10, 64, BackboneWeights::Seed(0), &device)?;
    /// let images = Tensor::<4>::zeros([2, 3, 64, 64], &device);
    /// let logits = network.forward(Some(images), &mut Context::evaluate(None));
    /// assert_eq!(logits.dims(), [2, 10]);
    /// # Ok::<(), sidelight::Error>(())
    /// ```
    pub fn forward(&self, images: Option<Tensor<4>>, context: &mut Context) -> Tensor<2> {
        self.forward_taps(images, context, &[]).0
    }

    /// As [`Network::forward`], and the values that come out of the layers at these paths.
    ///
    /// # Panics
    ///
    /// As [`Network::forward`].
    pub fn forward_taps(
        &self,
        images: Option<Tensor<4>>,
        context: &mut Context,
        taps: &[String],
    ) -> (Tensor<2>, Vec<(String, Value)>) {
        let value = images.map_or(Value::Nothing, Value::Map);
        let (mode, end) = (context.mode, self.root.children.len());
        // Two walks only where they differ: what passes between them is cut into parts and put together again.
        let n = match mode {
            Mode::Evaluate => 0,
            Mode::Train => self.frozen_prefix(),
        };
        let (value, mut tapped) = if n > 0 {
            context.mode = Mode::Evaluate;
            let walked = self.walk(0, n, value, context, taps);
            context.mode = mode;
            walked
        } else {
            (value, Vec::new())
        };
        let (value, later) = self.walk(n, end, value, context, taps);
        tapped.extend(later);
        (value.features(), tapped)
    }

    fn walk(
        &self,
        from: usize,
        to: usize,
        value: Value,
        context: &mut Context,
        taps: &[String],
    ) -> (Value, Vec<(String, Value)>) {
        context.precision = self.precision;
        if let Some(parts) = parts(&value, context, taps) {
            return (self.in_parts(from, to, &value, context, parts), Vec::new());
        }
        let mut walk = Walk::new(context, taps);
        let value = self.run(from, to, value, &mut walk);
        (value, walk.into_tapped())
    }

    /// A few rows at a time through all layers, on all threads: what passes between layers stays in a core's cache.
    fn in_parts(
        &self,
        from: usize,
        to: usize,
        value: &Value,
        context: &mut Context,
        parts: Vec<(usize, usize)>,
    ) -> Value {
        let of_part = |rows: &Option<Tensor<2>>, (start, n)| {
            rows.clone().map(|rows| rows.narrow(0, start, n))
        };
        let run = |part: (usize, usize)| {
            let metadata = context
                .metadata
                .as_ref()
                .map(|rows| rows.narrow(part.0, part.1));
            let mut context = Context {
                has_image: of_part(&context.has_image, part),
                has_images: of_part(&context.has_images, part),
                members: of_part(&context.members, part),
                precision: self.precision,
                ..Context::evaluate(metadata)
            };
            let mut walk = Walk::new(&mut context, &[]);
            let value = self.run(from, to, value.narrow(part.0, part.1), &mut walk);
            (value, (context.auxiliary, context.spread))
        };
        type Beside = (Vec<Tensor<2>>, Option<Tensor<2>>);
        let (values, beside): (Vec<Value>, Vec<Beside>) = match parts[..] {
            [part] => keep_awake(|| std::iter::once(run(part)).unzip()),
            _ => parts.into_par_iter().map(run).unzip(),
        };
        let (auxiliary, spread): (Vec<Vec<Tensor<2>>>, Vec<Option<Tensor<2>>>) =
            beside.into_iter().unzip();
        let spread: Option<Vec<Tensor<2>>> = spread.into_iter().collect();
        context.spread = spread.map(|parts| Tensor::cat(parts, 0));
        let n_branches = auxiliary.first().map_or(0, Vec::len);
        let branch =
            |b: usize| Tensor::cat(auxiliary.iter().map(|part| part[b].clone()).collect(), 0);
        context.auxiliary.extend((0..n_branches).map(branch));
        Value::cat(values)
    }

    /// Whether some layer reads the rows' metadata.
    pub fn reads_metadata(&self) -> bool {
        self.root.architecture().reads_metadata()
    }

    /// Whether it was built to do without the image of a row: some layer leaves it out while training.
    pub fn drops_image(&self) -> bool {
        fn drops(node: &Node) -> bool {
            let own = match &node.layer {
                Layer::DropImage(drop) => drop.p > 0.0,
                Layer::Stack(stack) => stack.can_miss_image(),
                _ => false,
            };
            own || node.children.iter().any(|(_, child)| drops(child))
        }
        drops(&self.root)
    }

    /// Where the images of a row become one, as a position among the root's children, and how many images that is. `None`:
    /// a row has one image.
    pub(crate) fn image_pool(&self) -> Option<(usize, usize)> {
        let mut children = self.root.children.iter().enumerate();
        children.find_map(|(at, (_, child))| match &child.layer {
            Layer::ImagePool(pool) => Some((at, pool.n)),
            _ => None,
        })
    }

    /// How many images of a row it reads at most.
    pub fn n_images(&self) -> usize {
        self.image_pool().map_or(1, |(_, n)| n)
    }

    /// Runs the root's children from one position up to another; where a row has several images, each of them by itself
    /// until they become one.
    fn run(&self, from: usize, to: usize, value: Value, walk: &mut Walk<'_>) -> Value {
        let Some((pool, n)) = self.image_pool() else {
            return self.root.run(from, to, value, walk);
        };
        let pool = pool.clamp(from, to);
        if pool == from {
            return self.root.run(from, to, value, walk);
        }
        let of_rows = walk.context.metadata.take();
        walk.context.metadata = of_rows.as_ref().map(|rows| rows.repeated(n));
        let value = self.root.run(from, pool, value.unstacked(n), walk);
        walk.context.metadata = of_rows;
        self.root.run(pool, to, value.stacked(n), walk)
    }

    /// Number of the root's leading children whose result is the same in every epoch: they hold
    /// nothing that training changes, read no metadata and drop nothing at random on their own.
    pub fn frozen_prefix(&self) -> usize {
        self.root
            .children
            .iter()
            .take_while(|(_, child)| child.is_constant())
            .count()
    }

    /// What comes out of the root's first `n` children, evaluating: features to be computed once.
    ///
    /// # Panics
    ///
    /// As [`Network::forward`].
    pub fn forward_prefix(&self, images: Tensor<4>, n: usize) -> Value {
        let mut context = Context::evaluate(None);
        self.walk(0, n, Value::Map(images), &mut context, &[]).0
    }

    /// From what [`Network::forward_prefix`] gave for the first `from` children, what it would give for the first `to`.
    ///
    /// # Panics
    ///
    /// As [`Network::forward`].
    pub fn forward_between(&self, from: usize, to: usize, value: Value) -> Value {
        let mut context = Context::evaluate(None);
        self.walk(from, to, value, &mut context, &[]).0
    }

    /// As [`Network::forward_between`], of rows with what the context has of them.
    ///
    /// # Panics
    ///
    /// As [`Network::forward`].
    pub(crate) fn forward_part(
        &self,
        from: usize,
        to: usize,
        value: Value,
        context: &mut Context,
    ) -> Value {
        self.walk(from, to, value, context, &[]).0
    }

    /// The rest of the network on what [`Network::forward_prefix`] gave.
    ///
    /// # Panics
    ///
    /// As [`Network::forward`].
    pub fn forward_from(&self, n: usize, value: Value, context: &mut Context) -> Tensor<2> {
        self.walk(n, self.root.children.len(), value, context, &[])
            .0
            .features()
    }

    /// Moves the running statistics towards a batch's: running = (1 − momentum) · running + momentum · batch.
    /// Torch's momentum is 0.1. Statistics of frozen or unknown layers are left out.
    pub fn apply_statistics(&mut self, statistics: Vec<BatchStatistics>, momentum: f32) {
        for BatchStatistics {
            path,
            mean,
            variance,
        } in statistics
        {
            let Ok(node) = self.root.get_mut(&path) else {
                continue;
            };
            for (name, batch) in [("running_mean", mean), ("running_var", variance)] {
                let Some(parameter) = node
                    .parameters
                    .0
                    .iter_mut()
                    .find(|p| p.name == name && !p.frozen)
                else {
                    continue;
                };
                let ParameterValue::D1(running) = &parameter.value else {
                    continue;
                };
                let moved = running.clone().map(|running| {
                    let on = running.device();
                    let moved = running.without_autodiff() * (1.0 - momentum)
                        + batch.without_autodiff() * momentum;
                    if on.is_autodiff() {
                        moved.autodiff()
                    } else {
                        moved
                    }
                });
                parameter.value = ParameterValue::D1(moved.set_require_grad(false));
            }
        }
    }

    /// The same network on a device without gradients, to evaluate with: a forward pass keeps nothing.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self {
            root: self.root.valid(),
            backbone: self.backbone.clone(),
            input: self.input.clone(),
            precision: self.precision,
            has_learned_head: self.has_learned_head,
            n_given: self.n_given,
        }
    }

    /// The same network with gradients, what is frozen excepted.
    #[must_use]
    pub fn train(self) -> Self {
        Self {
            root: self.root.train(),
            ..self
        }
    }

    /// The same network on another device.
    #[must_use]
    pub fn to_device(self, device: &Device) -> Self {
        Self {
            root: self.root.to_device(device),
            ..self
        }
    }

    /// Numbers that it learns or could learn: buffers not counted.
    pub fn n_parameters(&self) -> usize {
        let learned = self
            .parameters()
            .into_iter()
            .filter(|p| p.kind != ParameterKind::Buffer);
        learned
            .map(|parameter| parameter.shape.iter().product::<usize>())
            .sum()
    }

    /// Every parameter and buffer, in tree order.
    pub fn parameters(&self) -> Vec<ParameterInfo> {
        let mut all = Vec::new();
        self.root.each_parameter("", &mut |path, parameter| {
            all.push(ParameterInfo {
                path,
                shape: parameter.shape(),
                trainable: parameter.is_trainable(),
                kind: parameter.kind,
            });
        });
        all
    }

    /// Freezes what a pattern means (a path, a prefix, or with `*`), running statistics included: a frozen
    /// normalisation behaves as in evaluation. Returns how many parameters it meant.
    pub fn freeze(&mut self, pattern: &str) -> usize {
        self.set_frozen(pattern, Freeze::Yes)
    }

    /// Thaws what a pattern means. Returns how many parameters it meant.
    pub fn unfreeze(&mut self, pattern: &str) -> usize {
        self.set_frozen(pattern, Freeze::No)
    }

    pub(super) fn set_frozen(&mut self, pattern: &str, freeze: Freeze) -> usize {
        let mut n = 0;
        self.root.each_parameter_mut("", &mut |path, parameter| {
            if matches(pattern, path) {
                parameter.set_frozen(freeze);
                n += 1;
            }
        });
        n
    }

    /// Freezes or thaws the whole backbone.
    pub fn freeze_backbone(&mut self, freeze: Freeze) {
        for name in self.backbone.clone() {
            self.set_frozen(&name, freeze);
        }
    }

    /// Lets training start from these outputs instead of zeros: sets the bias of the layer that puts them out.
    /// Returns whether there is one; an edited head may have none.
    ///
    /// # Source
    ///
    /// Lin et al. 2017, "Focal loss", arXiv:1708.02002, section 3.3: a last layer whose bias already says how common
    /// the classes are does not spend its first steps on learning that.
    pub fn start_from(&mut self, outputs: &[f32]) -> bool {
        self.root.start_from(outputs)
    }

    /// What the weights of a run gave beside the backbone, in words.
    pub(crate) fn remark_on_weights(&self, config: &crate::config::ModelConfig) -> Option<String> {
        let head = match self.has_learned_head {
            true => "its head among them",
            false => "its head begins anew, as the target is another",
        };
        (self.n_given > 0).then(|| {
            format!(
                "{} parameters beside the backbone's come from {}, {head}",
                self.n_given, config.weights
            )
        })
    }

    /// Every shape, parameter count and number of products, for an image of the network's own size.
    ///
    /// # Errors
    ///
    /// As [`shape::infer`]; a network that was built or edited here has passed it already.
    pub fn inspect(&self) -> Result<Vec<Inferred>> {
        shape::infer(&mut self.root.architecture(), self.input.shape())
    }

    /// The architecture as JSON: everything but the numbers.
    pub fn describe(&self) -> serde_json::Value {
        let mut frozen = Vec::new();
        self.root.each_parameter("", &mut |path, parameter| {
            if parameter.frozen {
                frozen.push(path);
            }
        });
        let description = Description {
            schema: 1,
            input: self.input.clone(),
            backbone: self.backbone.clone(),
            frozen,
            root: self.root.architecture(),
        };
        serde_json::to_value(description).expect("a description has string keys and finite numbers")
    }

    /// The network of a description, its numbers all zero until they are loaded.
    ///
    /// # Errors
    ///
    /// [`Error::LayerDescription`], [`Error::Shape`], [`Error::CustomLayer`].
    pub fn from_description(description: &serde_json::Value, device: &Device) -> Result<Self> {
        Self::from_description_with(description, &Constructors::default(), device)
    }

    /// As [`Network::from_description`], with the constructors of a library user's own layers.
    ///
    /// # Errors
    ///
    /// As [`Network::from_description`].
    pub fn from_description_with(
        description: &serde_json::Value,
        constructors: &Constructors,
        device: &Device,
    ) -> Result<Self> {
        let Description {
            input,
            backbone,
            frozen,
            mut root,
            ..
        } = Description::deserialize(description).map_err(|source| Error::LayerDescription {
            at: "of the saved architecture".into(),
            source,
        })?;
        constructors.apply(&mut root)?;
        let mut network = Self {
            backbone,
            ..Self::new(root, input, Start::Zeros, device)?
        };
        let frozen: std::collections::HashSet<String> = frozen.into_iter().collect();
        network.root.each_parameter_mut("", &mut |path, parameter| {
            if frozen.contains(path) {
                parameter.set_frozen(Freeze::Yes);
            }
        });
        Ok(network)
    }
}

/// What is saved beside the weights.
#[derive(Serialize, Deserialize)]
struct Description {
    schema: u32,
    input: InputSpec,
    backbone: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    frozen: Vec<String>,
    root: Architecture,
}

/// The tree's. Where this trait is in scope, `network.freeze(pattern)` is written
/// `Network::freeze(&mut network, pattern)`: the trait has a `freeze` of its own.
impl Module for Network {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.root.visit(visitor);
    }
    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        Self {
            root: self.root.map(mapper),
            ..self
        }
    }
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.root.collect_devices(devices)
    }
    fn to_device(self, device: &Device) -> Self {
        Network::to_device(self, device)
    }
    fn fork(self, device: &Device) -> Self {
        Self {
            root: self.root.fork(device),
            ..self
        }
    }
    fn train(self) -> Self {
        Network::train(self)
    }
    fn valid(&self) -> Self {
        Network::valid(self)
    }
    fn materialize(self) -> Self {
        Self {
            root: self.root.materialize(),
            ..self
        }
    }
}
