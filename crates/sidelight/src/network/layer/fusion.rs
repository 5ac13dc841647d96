//! The place in the tree of a fusion of [`crate::network::fusion`]: its children make of the metadata what the method
//! changes the input by.

use super::prelude::*;
pub use crate::network::fusion::Fusion;
use crate::network::onnx::pooled;

impl Operation for Fusion {
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        let method = self.method();
        method.accepts(&inside.at, input)?;
        let read = match method.reads_image() {
            true => Shape::Features(input.channels()),
            false => Shape::Nothing,
        };
        let control = inside.in_turn(read)?;
        method.output(&inside.at, input, control)
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let method = self.method();
        let read = match method.reads_image() {
            true => Value::Features(x.pooled()),
            false => Value::Nothing,
        };
        let control = node.in_turn(read, walk).features();
        method.forward(x, control)
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String> {
        let method = self.method();
        let read = match method.reads_image() {
            true => Flow {
                name: pooled(walk.graph, &x),
                shape: Shape::Features(x.shape.channels()),
            },
            false => Flow {
                name: String::new(),
                shape: Shape::Nothing,
            },
        };
        let control = walk.in_turn(node, path, read)?;
        Ok(method.onnx(walk.graph, &x, &control))
    }
}
