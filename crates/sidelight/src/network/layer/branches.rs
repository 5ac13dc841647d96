//! Layers that put what several others say side by side, or add it.

use super::prelude::*;

pub(super) struct Concat;

impl Operation for Concat {
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        let mut joined = None;
        for i in 0..inside.len() {
            let output = inside.child(i, input)?;
            joined = Some(beside(inside, i, joined, output)?);
        }
        joined.ok_or_else(|| inside.at.misfit("at least one part", "none", None))
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let parts = node
            .children
            .iter()
            .map(|(name, child)| walk.within(name, |walk| child.forward(x.clone(), walk)));
        side_by_side(parts.collect())
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String> {
        let parts = walk.each(node, path, &x)?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(walk.graph.concat(&parts, 1))
    }
}

pub(super) struct Aggregate;

impl Operation for Aggregate {
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        let (mut x, mut joined) = (input, input);
        for i in 0..inside.len() {
            x = inside.child(i, x)?;
            joined = beside(inside, i, Some(joined), x)?;
        }
        match inside.len() {
            0 => Err(inside.at.misfit("at least one part", "none", None)),
            _ => Ok(joined),
        }
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let mut parts = vec![x.clone()];
        let mut x = x;
        for (name, child) in &node.children {
            x = walk.within(name, |walk| child.forward(x, walk));
            parts.push(x.clone());
        }
        side_by_side(parts)
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String> {
        let mut parts = vec![x.name.clone()];
        let mut x = x;
        for child in &node.children {
            x = walk.child(path, child, x)?;
            parts.push(x.name.clone());
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(walk.graph.concat(&parts, 1))
    }
}

/// The shape of what came before, if anything did, with what child `i` says beside it.
fn beside(inside: &Inside<'_>, i: usize, before: Option<Shape>, next: Shape) -> Result<Shape> {
    let expected = match (before, next) {
        (None, Shape::Features(_) | Shape::Map { .. }) => return Ok(next),
        (Some(Shape::Features(n)), Shape::Features(more)) => return Ok(Shape::Features(n + more)),
        (Some(before @ Shape::Map { height, width, .. }), next) => {
            let side_by_side = before.with_channels(before.channels() + next.channels());
            if side_by_side == next.with_channels(side_by_side.channels()) {
                return Ok(side_by_side);
            }
            format!("a map of {height}×{width} pixels, as what it is put beside")
        }
        (Some(Shape::Features(_)), _) => "features from each of its parts".to_owned(),
        _ => "features or a map from each of its parts".to_owned(),
    };
    let at = At {
        path: &join(inside.at.path, inside.name(i)),
        ..inside.at
    };
    Err(at.misfit(expected, next, None))
}

/// Features, or maps, of the same rows side by side.
fn side_by_side(parts: Vec<Value>) -> Value {
    if !matches!(parts[0], Value::Map(_)) {
        let parts = parts.into_iter().map(Value::features); // [batch, each]
        return Value::Features(Tensor::cat(parts.collect(), 1));
    }
    // Channels are last in memory.
    let parts = parts.into_iter().map(|x| x.map().permute([0, 2, 3, 1]));
    Value::Map(Tensor::cat(parts.collect(), 3).permute([0, 3, 1, 2]))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::layer::{Conv2d, Linear};
    use crate::network::shape;

    /// What comes out of these beside each other, of a map of 4×8×8.
    fn inferred<const N: usize>(layer: Layer, parts: [Architecture; N]) -> Result<Shape> {
        let parts = parts.into_iter().enumerate();
        let parts = parts.map(|(i, part)| (i.to_string(), part));
        let mut architecture = Architecture::with(layer, parts);
        Ok(shape::infer(&mut architecture, Shape::square(4, 8))?[0].output)
    }

    #[test]
    fn maps_side_by_side_are_of_one_size() {
        let same = || Conv2d::new(6, 3).into();
        let halved = || Conv2d::new(6, 3).with_stride(2).into();
        let joined = inferred(Layer::Concat, [same(), same()]).unwrap();
        assert_eq!(joined, Shape::square(12, 8));
        let smaller = inferred(Layer::Concat, [halved(), halved()]).unwrap();
        assert_eq!(smaller, Shape::square(12, 4));
        // What comes in is the first part.
        let joined = inferred(Layer::Aggregate, [same(), same()]).unwrap();
        assert_eq!(joined, Shape::square(16, 8));
        for refused in [
            inferred(Layer::Concat, [same(), halved()]),
            inferred(Layer::Concat, [same(), Layer::Flatten.into()]),
            inferred(Layer::Aggregate, [halved()]),
        ] {
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("a map of 8×8 pixels"), "{said}");
        }
        let features =
            || Architecture::sequence([("0", Layer::Flatten.into()), ("1", Linear::new(5).into())]);
        let joined = inferred(Layer::Concat, [features(), features()]).unwrap();
        assert_eq!(joined, Shape::Features(10));
        let said = inferred(Layer::Concat, [features(), same()]).unwrap_err();
        assert!(said.to_string().contains("features from each"), "{said}");
        for layer in [Layer::Concat, Layer::Aggregate] {
            assert!(inferred::<0>(layer, []).is_err());
        }
    }
}
