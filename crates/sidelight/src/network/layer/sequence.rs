//! Layers that run those inside them one after another.

use super::prelude::*;
use crate::network::onnx::{pooled, times_channels};

pub(super) struct Sequential;

impl Operation for Sequential {
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        inside.in_turn(input)
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        node.in_turn(x, walk)
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String> {
        Ok(walk.in_turn(node, path, x)?.name)
    }
}

pub(super) struct Gate;

impl Operation for Gate {
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        let gate = inside.in_turn(input)?;
        if gate.channels() == input.channels() && ![gate, input].contains(&Shape::Nothing) {
            return Ok(input);
        }
        let expected = format!("a gate of {} channels", input.channels());
        Err(inside.at.misfit(expected, gate, None))
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let gate = match node.in_turn(x.clone(), walk) {
            Value::Map(gate) if gate.dims()[2..] == [1, 1] => {
                let [batch, channels, ..] = gate.dims();
                gate.reshape([batch, channels])
            }
            gate => gate.pooled(),
        };
        x.times_channels(gate)
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String> {
        let gate = walk.in_turn(node, path, x.clone())?;
        Ok(match (gate.shape, x.shape) {
            (
                Shape::Map {
                    height: 1,
                    width: 1,
                    ..
                },
                Shape::Map { .. },
            ) => walk.graph.binary("Mul", &x.name, &gate.name),
            _ => {
                let gate = pooled(walk.graph, &gate);
                times_channels(walk.graph, &x, &gate)
            }
        })
    }
}

pub(super) struct Auxiliary;

impl Operation for Auxiliary {
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        beside(inside, input)
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let own = said_beside(node, &x, walk);
        walk.context.auxiliary.extend(own);
        x
    }
    fn write(&self, _: &mut OnnxWalk<'_>, _: &Node, _: &str, x: Flow) -> Result<String> {
        Ok(x.name)
    }
}

pub(super) struct Visibility;

impl Operation for Visibility {
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        beside(inside, input)
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        walk.context.visibility = said_beside(node, &x, walk);
        x
    }
    fn write(&self, _: &mut OnnxWalk<'_>, _: &Node, _: &str, x: Flow) -> Result<String> {
        Ok(x.name)
    }
}

/// What the children make of the input while training.
fn said_beside(node: &Node, x: &Value, walk: &mut Walk<'_>) -> Option<Tensor<2>> {
    let trains = walk.context.mode == Mode::Train;
    trains.then(|| node.in_turn(x.clone(), walk).features())
}

/// The children make features of the input, which goes on as it is.
fn beside(inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
    match inside.in_turn(input)? {
        Shape::Features(_) => Ok(input),
        own => Err(inside.at.misfit("features from its children", own, None)),
    }
}
