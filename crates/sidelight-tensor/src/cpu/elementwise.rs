use sidelight_kernels::elementwise;

use super::{
    Activation, Flat, Gradient, Operation, Then, contiguous, dims4, from_channels_last,
    from_values, like_rows, numbers, rows, then,
};

/// `then(x + other)` of `x` and, where there is one, `other`.
pub(crate) struct AddActivate(pub(crate) Then);

impl Operation for AddActivate {
    type Saved = SavedSum;
    fn run(self, inputs: &[Flat]) -> (Flat, SavedSum) {
        let (x, other) = (&inputs[0], inputs.get(1).map(rows));
        let values = rows(x);
        let values = numbers(&values);
        let mut y = vec![0.0; values.len()];
        elementwise::add_activate(values, other.as_ref().map(numbers), then(self.0), &mut y);
        let saved = self.0.map(|function| (inputs.to_vec(), function));
        (like_rows(y, x), SavedSum(saved))
    }
}

/// A sum remembers its parts where a function follows.
#[derive(Debug, Clone)]
pub(crate) struct SavedSum(Option<(Vec<Flat>, Activation)>);

impl Gradient for SavedSum {
    fn gradients(self, output: Flat, wanted: &[bool]) -> Vec<Option<Flat>> {
        let pulled = match self.0 {
            Some((inputs, function)) => pull(&inputs, function, &output),
            None => output,
        };
        let each = wanted.iter().map(|wanted| wanted.then(|| pulled.clone()));
        each.collect()
    }
}

fn pull(inputs: &[Flat], function: Activation, output: &Flat) -> Flat {
    let (x, other, dy) = (&inputs[0], inputs.get(1).map(rows), rows(output));
    let values = rows(x);
    let values = numbers(&values);
    let mut dx = vec![0.0; values.len()];
    elementwise::add_activate_backward(
        values,
        other.as_ref().map(numbers),
        then(Some(function)),
        numbers(&dy),
        &mut dx,
    );
    like_rows(dx, x)
}

/// Each channel of `x`, `[batch, channels, height, width]`, times its factor in `gate`, `[batch, channels]`.
pub(crate) struct Gate;

impl Operation for Gate {
    type Saved = SavedGate;
    fn run(self, inputs: &[Flat]) -> (Flat, SavedGate) {
        let (x, gate) = (inputs[0].clone(), inputs[1].clone());
        let [batch, channels, ..] = dims4(&x);
        let (values, factors) = (rows(&x), contiguous(&gate));
        let values = numbers(&values);
        let mut y = vec![0.0; values.len()];
        elementwise::scale_channels(values, numbers(&factors), batch, channels, &mut y);
        (from_channels_last(y, dims4(&x)), SavedGate { x, gate })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct SavedGate {
    x: Flat,
    gate: Flat,
}

impl Gradient for SavedGate {
    fn gradients(self, output: Flat, _: &[bool]) -> Vec<Option<Flat>> {
        let [batch, channels, ..] = dims4(&self.x);
        let (x, gate, dy) = (rows(&self.x), contiguous(&self.gate), rows(&output));
        let (mut dx, mut d_gate) = (vec![0.0; numbers(&x).len()], vec![0.0; batch * channels]);
        let sizes = [batch, channels];
        elementwise::scale_channels_backward(
            numbers(&x),
            numbers(&gate),
            numbers(&dy),
            sizes,
            &mut dx,
            &mut d_gate,
        );
        vec![
            Some(from_channels_last(dx, dims4(&self.x))),
            Some(from_values(d_gate, &sizes)),
        ]
    }
}
