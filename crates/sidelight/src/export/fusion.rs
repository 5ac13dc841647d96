//! The methods of [`Fusion`] as nodes.

use super::graph::{Attr, Graph};
use super::network::{Flow, plus_channels, pooled, times_channels};
use crate::network::Shape;
use crate::network::fusion::Fusion;

/// What the children are given.
pub(super) fn read(graph: &mut Graph, method: &Fusion, x: &Flow) -> Flow {
    match method {
        Fusion::Daft | Fusion::Gate => Flow {
            name: pooled(graph, x),
            shape: Shape::Features(x.shape.channels()),
        },
        Fusion::Film | Fusion::Metablock | Fusion::Metanet | Fusion::Attention | Fusion::Tile => {
            Flow {
                name: String::new(),
                shape: Shape::Nothing,
            }
        }
    }
}

/// The image's features changed by what the children made of the metadata.
pub(super) fn write(graph: &mut Graph, method: &Fusion, x: &Flow, control: &Flow) -> String {
    let channels = x.shape.channels();
    // The first half of the control plus 1, and the second.
    let halves = |graph: &mut Graph| {
        let factor = graph.slice(&control.name, 0, channels, 1);
        let one = graph.float(1.0);
        let factor = graph.binary("Add", &factor, &one);
        let offset = graph.slice(&control.name, channels, 2 * channels, 1);
        (factor, offset)
    };
    match method {
        Fusion::Film | Fusion::Daft => {
            let (factor, offset) = halves(graph);
            let y = times_channels(graph, x, &factor);
            plus_channels(graph, &x.named(y), &offset)
        }
        Fusion::Metablock => {
            let (factor, offset) = halves(graph);
            let y = times_channels(graph, x, &factor);
            let y = graph.unary("Tanh", &y);
            let y = plus_channels(graph, &x.named(y), &offset);
            graph.unary("Sigmoid", &y)
        }
        Fusion::Metanet => {
            let gate = graph.unary("Sigmoid", &control.name);
            times_channels(graph, x, &gate)
        }
        Fusion::Gate => {
            let gate = graph.unary("Sigmoid", &control.name);
            let two = graph.float(2.0);
            let gate = graph.binary("Mul", &gate, &two);
            times_channels(graph, x, &gate)
        }
        Fusion::Attention => look(graph, x, &control.name),
        Fusion::Tile => tile(graph, x, control),
    }
}

/// The positions weighed by where the query looks.
fn look(graph: &mut Graph, x: &Flow, query: &str) -> String {
    let (channels, n) = (x.shape.channels(), x.shape.positions());
    let root = graph.float((channels as f32).sqrt());
    let count = graph.float(n as f32);
    let weights = |graph: &mut Graph, scores: String, axis: i64| {
        let scores = graph.binary("Div", &scores, &root);
        let weights = graph.call("Softmax", &[&scores], &[("axis", Attr::Int(axis))]);
        graph.binary("Mul", &weights, &count)
    };
    match x.shape {
        Shape::Map { height, width, .. } => {
            let values = graph.reshape(&x.name, &[0, channels as i64, n as i64]);
            let query = graph.unsqueeze(query, &[1]); // [n, 1, channels]
            let scores = graph.binary("MatMul", &query, &values); // [n, 1, positions]
            let weights = weights(graph, scores, 2);
            let weights = graph.reshape(&weights, &[0, 1, height as i64, width as i64]);
            graph.binary("Mul", &x.name, &weights)
        }
        _ => {
            let query = graph.unsqueeze(query, &[2]); // [n, channels, 1]
            let scores = graph.binary("MatMul", &x.name, &query); // [n, tokens, 1]
            let weights = weights(graph, scores, 1);
            graph.binary("Mul", &x.name, &weights)
        }
    }
}

/// The metadata at every place, as further channels.
fn tile(graph: &mut Graph, x: &Flow, control: &Flow) -> String {
    let n = control.shape.channels() as i64;
    let control = &control.name;
    match x.shape {
        Shape::Nothing => control.clone(),
        Shape::Features(_) => graph.concat(&[&x.name, control], 1),
        // To an axis of 1 an expansion by 1 gives nothing: the batch keeps its length.
        Shape::Tokens { n: tokens, .. } => {
            let control = graph.unsqueeze(control, &[1]);
            let shape = graph.ints(&[1, tokens as i64, n]);
            let control = graph.binary("Expand", &control, &shape);
            graph.concat(&[&x.name, &control], 2)
        }
        Shape::Map { height, width, .. } => {
            let control = graph.unsqueeze(control, &[2, 3]);
            let shape = graph.ints(&[1, n, height as i64, width as i64]);
            let control = graph.binary("Expand", &control, &shape);
            graph.concat(&[&x.name, &control], 1)
        }
    }
}
