//! Neighbouring layers run as one: a convolution with the normalisation and activation after it (evaluating), a
//! normalisation with its residual and activation (training). The result is that of the layers one by one, to rounding.

use crate::tensor::{self, Ending};

use super::layer::{BatchNorm, Layer};
use super::tree::Node;
use super::value::{BatchStatistics, Mode, Value, Walk};

/// Runs children in turn, then adds `residual` and applies a ReLU where they are given.
pub(super) fn run(children: &[(String, Node)], mut x: Value, mut end: End, walk: &mut Walk<'_>) -> Value {
    let mut rest = children;
    while !rest.is_empty() {
        let last_of = |n: usize| rest.len() == n;
        (x, rest) = match step(rest, x, &mut end, last_of, walk) {
            Ok((y, n)) => (y, &rest[n..]),
            Err(x) => {
                let (name, child) = &rest[0];
                (walk.within(name, |walk| child.forward(x, walk)), &rest[1..])
            }
        };
    }
    end.apply(x)
}

/// What a residual block adds after its body.
#[derive(Debug, Default)]
pub(super) struct End {
    /// The shortcut.
    pub(super) residual: Option<Value>,
    /// Applied to the sum.
    pub(super) activation: Option<tensor::Activation>,
}

impl End {
    fn apply(self, x: Value) -> Value {
        let x = match self.residual {
            Some(residual) => x.plus(residual),
            None => x,
        };
        match (x, self.activation) {
            (Value::Map(x), Some(function)) => Value::Map(tensor::activate(x, function)),
            (Value::Features(x), Some(function)) => Value::Features(tensor::activate(x, function)),
            (Value::Tokens(x), Some(function)) => Value::Tokens(tensor::activate(x, function)),
            (x, _) => x,
        }
    }
    /// Taken by a fused operation at the end of a body, if it is a map's.
    fn take(&mut self) -> Ending {
        match self.residual.take() {
            Some(Value::Map(residual)) => Ending { residual: Some(residual), activation: self.activation.take() },
            other => {
                self.residual = other;
                Ending::default()
            }
        }
    }
}

/// Runs the longest group of layers at the front that has a fused form; gives the input back where there is none.
fn step(
    children: &[(String, Node)],
    x: Value,
    end: &mut End,
    last_of: impl Fn(usize) -> bool,
    walk: &mut Walk<'_>,
) -> Result<(Value, usize), Value> {
    if !matches!(x, Value::Map(_)) || walk.is_tapping() {
        return Err(x);
    }
    let activation_at = |i: usize| children.get(i).and_then(|(_, node)| node.layer.activation());
    let mut ending = |n: usize| match activation_at(n) {
        Some(function) => (Ending { residual: None, activation: Some(function) }, n + 1),
        None if last_of(n) => (end.take(), n),
        None => (Ending::default(), n),
    };
    match children {
        [(_, conv), (_, norm), ..] if walk.context.mode == Mode::Evaluate => {
            let (Layer::Conv2d(layer), Layer::BatchNorm(norm_layer)) = (&conv.layer, &norm.layer) else { return Err(x) };
            let weight = conv.parameters.d4("weight");
            if layer.bias || weight.device().is_autodiff() {
                return Err(x);
            }
            let (ending, n) = ending(2);
            let (scale, offset) = norm_layer.affine(&norm.parameters);
            let running = [scale, offset, norm.parameters.d1("running_mean"), norm.parameters.d1("running_var")];
            let y = tensor::conv2d_batch_norm(x.map(), weight, layer.how(), running, norm_layer.epsilon, ending);
            Ok((Value::Map(y), n))
        }
        [(name, node), ..] if walk.context.mode == Mode::Train => {
            let Layer::BatchNorm(layer) = &node.layer else { return Err(x) };
            let x = x.map();
            let [batch, _, height, width] = x.dims();
            if BatchNorm::is_inference(&node.parameters, Mode::Train) || batch * height * width < 2 {
                return Err(Value::Map(x));
            }
            let (ending, n) = ending(1);
            let (scale, offset) = layer.affine(&node.parameters);
            let y = walk.within(name, |walk| {
                let normalized = tensor::batch_norm_train_ended(x, scale, offset, layer.epsilon, ending);
                walk.context.statistics.push(BatchStatistics {
                    path: walk.path().to_owned(),
                    mean: normalized.mean.without_autodiff(),
                    variance: normalized.variance.without_autodiff(),
                });
                Value::Map(normalized.output)
            });
            Ok((y, n))
        }
        _ => Err(x),
    }
}
