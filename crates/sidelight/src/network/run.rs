//! How layers that follow one another are run: as one where that saves a pass over memory. A convolution takes in its
//! normalisation, the sum at the end of a residual block and the function after it; what is frozen or evaluating has
//! its normalisation folded into the convolution's weights.

use burn::tensor::Tensor;

use super::layer::{BatchNorm, Conv2d, Layer};
use super::tree::Node;
use super::value::{Value, Walk};
use crate::tensor::{Activation, Folded, conv2d_folded};

/// What comes at the end of a residual body: the shortcut is added, then the function applied.
pub(super) struct End {
    pub(super) other: Tensor<4>,
    pub(super) then: Option<Activation>,
}

impl Node {
    /// Runs its children one after another.
    pub(super) fn in_turn(&self, x: Value, walk: &mut Walk<'_>) -> Value {
        self.run(0, self.children.len(), x, walk)
    }

    /// Runs the children from one position up to another, one after another.
    pub(super) fn run(&self, from: usize, to: usize, x: Value, walk: &mut Walk<'_>) -> Value {
        run_children(&self.children[from..to], x, walk, None).0
    }
}

/// Runs layers one after another; gives back the end of a residual body where no layer could take it in.
pub(super) fn run_children(
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
                norm.normalize(&node.parameters, x, other, then, walk)
            });
        };
        if let Some(y) = self.by_inference(&x, other.as_ref(), then, walk) {
            return y;
        }
        let y = within_map(walk, conv_name, |walk| {
            conv.convolve(&conv_node.parameters, x, walk.context.precision)
        });
        within_map(walk, name, |walk| {
            norm.normalize(&node.parameters, y, other, then, walk)
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
