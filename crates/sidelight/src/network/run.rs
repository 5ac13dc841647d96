//! The walk: how a tree of layers is run.
//!
//! Layers that follow one another are run as one where that saves a pass over memory: a convolution, its
//! normalisation, the sum at the end of a residual block and the function after it. What is frozen or evaluating has
//! its normalisation folded into the convolution's weights.

use burn::tensor::Tensor;

use super::layer::{BatchNorm, Conv2d, Layer, Residual, SHORTCUT};
use super::tree::Node;
use super::value::{Mode, Value, Walk};
use crate::tensor::{
    Activation, Convolution, Folded, Precision, activate, add_activate, conv2d_folded,
};

/// What comes at the end of a residual body: the shortcut is added, then the function applied.
struct End {
    other: Tensor<4>,
    then: Option<Activation>,
}

impl Node {
    /// Runs it.
    ///
    /// # Panics
    ///
    /// Where the input is not of the shape that the network was built for, or the context lacks the metadata that it reads.
    pub fn forward(&self, x: Value, walk: &mut Walk<'_>) -> Value {
        match &self.layer {
            Layer::Sequential => self.in_turn(x, walk),
            Layer::Residual(residual) => self.residual(residual, x, walk),
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
            Layer::Auxiliary => {
                if walk.context.mode == Mode::Train {
                    let own = self.in_turn(x.clone(), walk).features();
                    walk.context.auxiliary.push(own);
                }
                x
            }
            Layer::Concat => {
                let parts = self.children.iter().map(|(name, child)| {
                    walk.within(name, |walk| child.forward(x.clone(), walk))
                        .features() // [batch, each]
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
            Layer::Linear(_) => match self.linear_by_inference(&x, walk) {
                Some(y) => y,
                None => self.layer.forward(&self.parameters, x, walk),
            },
            leaf => leaf.forward(&self.parameters, x, walk),
        }
    }

    /// A linear layer with its weights packed once, where nothing wants a gradient: a convolution over single pixels.
    fn linear_by_inference(&self, x: &Value, walk: &Walk<'_>) -> Option<Value> {
        let Value::Features(x) = x else {
            return None;
        };
        let (weight, bias) = (self.parameters.d2("weight"), self.parameters.bias("bias"));
        let is_tracked =
            x.is_tracked() || weight.is_tracked() || bias.as_ref().is_some_and(Tensor::is_tracked);
        if is_tracked || walk.context.mode == Mode::Train {
            return None;
        }
        let ([batch, width], [out, _]) = (x.dims(), weight.dims());
        let fold = || Folded {
            scale: Tensor::ones([out], &weight.device()),
            shift: bias
                .clone()
                .unwrap_or_else(|| Tensor::zeros([out], &weight.device())),
        };
        let how = Convolution {
            stride: 1,
            padding: 0,
            dilation: 1,
            groups: 1,
            precision: Precision::F32,
        };
        let pixels = x.clone().reshape([batch, width, 1, 1]);
        let kernel = weight.clone().reshape([out, width, 1, 1]);
        let of = bias.as_slice();
        let y = self
            .prepared
            .run(&pixels, &kernel, of, fold, (None, None), how)?;
        Some(Value::Features(y.reshape([batch, out])))
    }

    fn in_turn(&self, x: Value, walk: &mut Walk<'_>) -> Value {
        self.run(0, self.children.len(), x, walk)
    }

    /// Runs the children from one position up to another, one after the other.
    pub(super) fn run(&self, from: usize, to: usize, x: Value, walk: &mut Walk<'_>) -> Value {
        run_children(&self.children[from..to], x, walk, None).0
    }

    fn residual(&self, residual: &Residual, x: Value, walk: &mut Walk<'_>) -> Value {
        let (shortcut, body): (Vec<_>, Vec<_>) =
            self.children.iter().partition(|(name, _)| name == SHORTCUT);
        let relu = residual.relu_after.then_some(Activation::Relu);
        let other = shortcut.into_iter().fold(x.clone(), |x, (name, child)| {
            walk.within(name, |walk| child.forward(x, walk))
        });
        // In every backbone the body lies before the shortcut; where it does not, it is run layer by layer below.
        let is_together = self.children[..body.len()]
            .iter()
            .all(|(name, _)| name != SHORTCUT);
        let is_plain = residual.layer_scale == 0 && residual.again_at.is_empty();
        if let (true, true, Value::Map(map)) = (is_plain, is_together, &other) {
            let end = End {
                other: map.clone(),
                then: relu,
            };
            let (y, end) = run_children(&self.children[..body.len()], x, walk, Some(end));
            return match (y, end) {
                (Value::Map(y), Some(End { other, then })) => {
                    Value::Map(add_activate(y, other, then))
                }
                (y, _) => y,
            };
        }
        let (mut y, mut other) = (x, other);
        // ConvNeXt's factor stands between the body and its stochastic depth.
        let mut scale = (residual.layer_scale > 0).then(|| {
            self.parameters
                .d3("layer_scale")
                .reshape([residual.layer_scale])
        });
        for (name, child) in body {
            if *name == residual.again_at {
                y = y.plus(other);
                other = y.clone();
            }
            if matches!(child.layer, Layer::DropPath(_))
                && let Some(scale) = scale.take()
            {
                y = y.scaled(scale);
            }
            y = walk.within(name, |walk| child.forward(y, walk));
        }
        if let Some(scale) = scale {
            y = y.scaled(scale);
        }
        match y.plus(other) {
            Value::Map(sum) => Value::Map(relu.map_or(sum.clone(), |relu| activate(sum, relu))),
            Value::Features(sum) => {
                Value::Features(relu.map_or(sum.clone(), |relu| activate(sum, relu)))
            }
            sum => sum,
        }
    }
}

/// Runs layers one after another; gives back the end of a residual body where no layer could take it in.
fn run_children(
    children: &[(String, Node)],
    mut x: Value,
    walk: &mut Walk<'_>,
    mut end: Option<End>,
) -> (Value, Option<End>) {
    let mut at = 0;
    while let Some((name, child)) = children.get(at) {
        if let (Some(group), Value::Map(map)) = (Group::at(&children[at..]), &x)
            && !walk.is_tapped()
        {
            at += group.len();
            // The sum comes before the function: only a normalisation that stands last can take it in.
            let taken = if at == children.len() && group.then.is_none() {
                end.take()
            } else {
                None
            };
            x = Value::Map(group.run(map.clone(), taken, walk));
            continue;
        }
        at += 1;
        if at == children.len()
            && end.is_some()
            && matches!(child.layer, Layer::Sequential)
            && !walk.is_tapped()
        {
            let mut left = None;
            let taken = end.take();
            x = walk.within(name, |walk| {
                let (y, end) = run_children(&child.children, x, walk, taken);
                left = end;
                y
            });
            return (x, left);
        }
        x = walk.within(name, |walk| child.forward(x, walk));
    }
    (x, end)
}

/// A convolution, a normalisation and a function that follow one another, the first and the last where they are there.
struct Group<'a> {
    conv: Option<(&'a str, &'a Conv2d, &'a Node)>,
    norm: (&'a str, &'a BatchNorm, &'a Node),
    then: Option<Activation>,
}

impl<'a> Group<'a> {
    /// The group that these layers begin with.
    fn at(children: &'a [(String, Node)]) -> Option<Self> {
        let conv = match &children.first()?.1.layer {
            Layer::Conv2d(conv) => Some((children[0].0.as_str(), conv, &children[0].1)),
            _ => None,
        };
        let rest = &children[usize::from(conv.is_some())..];
        let (name, node) = rest.first()?;
        let Layer::BatchNorm(norm) = &node.layer else {
            return None;
        };
        let then = rest.get(1).and_then(|(_, next)| next.layer.activation());
        Some(Self {
            conv,
            norm: (name, norm, node),
            then,
        })
    }

    /// Number of its layers.
    fn len(&self) -> usize {
        1 + usize::from(self.conv.is_some()) + usize::from(self.then.is_some())
    }

    fn run(&self, x: Tensor<4>, end: Option<End>, walk: &mut Walk<'_>) -> Tensor<4> {
        let (other, then) = match end {
            Some(End { other, then }) => (Some(other), then),
            None => (None, self.then),
        };
        let (name, norm, node) = self.norm;
        let Some((conv_name, conv, conv_node)) = self.conv else {
            return within_map(walk, name, |walk| {
                norm.run(&node.parameters, x, other, then, walk)
            });
        };
        if let Some(y) = self.by_inference(&x, other.as_ref(), then, walk) {
            return y;
        }
        let y = within_map(walk, conv_name, |walk| {
            conv.run(&conv_node.parameters, x, walk.context.precision)
        });
        within_map(walk, name, |walk| {
            norm.run(&node.parameters, y, other, then, walk)
        })
    }
}

impl Group<'_> {
    /// With the normalisation folded into the convolution, where that stands still and nothing wants a gradient.
    fn by_inference(
        &self,
        x: &Tensor<4>,
        other: Option<&Tensor<4>>,
        then: Option<Activation>,
        walk: &Walk<'_>,
    ) -> Option<Tensor<4>> {
        let (_, norm, node) = self.norm;
        let (_, conv, conv_node) = self.conv?;
        if !BatchNorm::is_inference(&node.parameters, walk.context.mode) {
            return None;
        }
        let weight = conv_node.parameters.d4("weight");
        let bias = conv_node.parameters.bias("bias");
        let mut of = vec![
            node.parameters.d1("running_mean"),
            node.parameters.d1("running_var"),
        ];
        if norm.affine {
            of.extend([node.parameters.d1("weight"), node.parameters.d1("bias")]);
        }
        of.extend(bias.clone());
        let is_tracked = x.is_tracked()
            || weight.is_tracked()
            || of.iter().any(Tensor::is_tracked)
            || other.is_some_and(Tensor::is_tracked);
        if is_tracked {
            return None;
        }
        let fold = || {
            let Folded { scale, mut shift } = norm.folded(&node.parameters);
            if let Some(bias) = bias.clone() {
                shift = shift + bias * scale.clone();
            }
            Folded { scale, shift }
        };
        let (x, how) = conv.padded(x.clone(), walk.context.precision);
        let packed = &conv_node.prepared;
        let y = packed.run(&x, &weight, &of, fold, (other, then), how);
        Some(y.unwrap_or_else(|| conv2d_folded(x, weight, fold(), other.cloned(), how, then)))
    }
}

/// Runs something one level deeper that makes a map.
fn within_map(
    walk: &mut Walk<'_>,
    name: &str,
    run: impl FnOnce(&mut Walk<'_>) -> Tensor<4>,
) -> Tensor<4> {
    walk.within(name, |walk| Value::Map(run(walk))).map()
}
