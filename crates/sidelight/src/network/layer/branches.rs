//! Layers that run each of those inside them on the same input.

use super::prelude::*;

pub(super) struct Concat;

impl Operation for Concat {
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        let mut total = 0;
        for i in 0..inside.len() {
            let output = inside.child(i, input)?;
            let Shape::Features(n) = output else {
                let at = At {
                    path: &join(inside.at.path, inside.name(i)),
                    ..inside.at
                };
                return Err(at.misfit("features from each of its parts", output, None));
            };
            total += n;
        }
        if inside.len() == 0 {
            return Err(inside.at.misfit("at least one part", "none", None));
        }
        Ok(Shape::Features(total))
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let parts = node.children.iter().map(|(name, child)| {
            walk.within(name, |walk| child.forward(x.clone(), walk))
                .features() // [batch, each]
        });
        Value::Features(Tensor::cat(parts.collect(), 1))
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String> {
        let parts = walk.each(node, path, &x)?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(walk.graph.concat(&parts, 1))
    }
}

pub(super) struct Sum;

impl Operation for Sum {
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        let mut sum = None;
        for i in 0..inside.len() {
            let output = inside.child(i, input)?;
            let first = *sum.get_or_insert(output);
            if first != output {
                let expected = format!("the same from each of its parts ({first})");
                return Err(inside.at.misfit(expected, output, None));
            }
        }
        sum.ok_or_else(|| inside.at.misfit("at least one part", "none", None))
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let parts = node
            .children
            .iter()
            .map(|(name, child)| walk.within(name, |walk| child.forward(x.clone(), walk)));
        parts
            .reduce(Value::plus)
            .expect("the shape pass refuses an empty sum")
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String> {
        let parts = walk.each(node, path, &x)?.into_iter();
        let sum = parts.reduce(|sum, part| walk.graph.binary("Add", &sum, &part));
        Ok(sum.unwrap_or_default())
    }
}
