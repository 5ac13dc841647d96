use sidelight_kernels::elementwise;

use super::{
    Activation, Flat, Gradient, Then, contiguous, dims4, from_channels_last, from_values,
    like_rows, numbers, rows, then,
};

pub(super) fn add_activate(x: &Flat, other: Option<&Flat>, function: Then) -> Flat {
    let (values, other) = (rows(x), other.map(rows));
    let values = numbers(&values);
    let mut y = vec![0.0; values.len()];
    elementwise::add_activate(values, other.as_ref().map(numbers), then(function), &mut y);
    like_rows(y, x)
}

#[derive(Debug, Clone)]
pub(super) struct SavedActivation {
    pub(super) x: Flat,
    pub(super) function: Activation,
}

impl Gradient<1> for SavedActivation {
    fn gradients(self, output: Flat, _: [bool; 1]) -> [Option<Flat>; 1] {
        [Some(pull(&self.x, None, Some(self.function), &output))]
    }
}

/// A sum remembers its parts where a function follows.
#[derive(Debug, Clone)]
pub(super) struct SavedSum(Option<(Flat, Flat, Activation)>);

impl SavedSum {
    pub(super) fn new(x: Flat, other: Flat, then: Then) -> Self {
        Self(then.map(|function| (x, other, function)))
    }
}

impl Gradient<2> for SavedSum {
    fn gradients(self, output: Flat, [x, other]: [bool; 2]) -> [Option<Flat>; 2] {
        let pulled = match self.0 {
            Some((x, other, function)) => pull(&x, Some(&other), Some(function), &output),
            None => output,
        };
        [x.then(|| pulled.clone()), other.then_some(pulled)]
    }
}

fn pull(x: &Flat, other: Option<&Flat>, function: Then, output: &Flat) -> Flat {
    let (values, other, dy) = (rows(x), other.map(rows), rows(output));
    let values = numbers(&values);
    let mut dx = vec![0.0; values.len()];
    elementwise::add_activate_backward(
        values,
        other.as_ref().map(numbers),
        then(function),
        numbers(&dy),
        &mut dx,
    );
    like_rows(dx, x)
}

/// `x`: `[batch, channels, height, width]`; `gate`: `[batch, channels]`.
pub(super) fn gate(x: &Flat, gate: &Flat) -> Flat {
    let [batch, channels, ..] = dims4(x);
    let (values, gate) = (rows(x), contiguous(gate));
    let values = numbers(&values);
    let mut y = vec![0.0; values.len()];
    elementwise::scale_channels(values, numbers(&gate), batch, channels, &mut y);
    from_channels_last(y, dims4(x))
}

#[derive(Debug, Clone)]
pub(super) struct SavedGate {
    pub(super) x: Flat,
    pub(super) gate: Flat,
}

impl Gradient<2> for SavedGate {
    fn gradients(self, output: Flat, _: [bool; 2]) -> [Option<Flat>; 2] {
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
        [
            Some(from_channels_last(dx, dims4(&self.x))),
            Some(from_values(d_gate, &sizes)),
        ]
    }
}
