//! MetaBlock: gates and offsets through tanh and σ.
//!
//! `y = σ(tanh(f(m) · x) + g(m))`, with `f` and `g` linear in the metadata.
//!
//! # Source
//!
//! Pacheco and Krohling 2021, "An attention-based mechanism to combine images and metadata in deep learning
//! models applied to skin cancer classification", IEEE J. Biomedical and Health Informatics 25(9), eq. 3.
//! Departs from it: `f` starts at 1 and `g` at 0, and `f`'s offset is that 1. It squashes the features into (0, 1),
//! so that even zero metadata changes the image model; the head starts anew with it.

use super::prelude::*;

pub(super) struct Metablock;

impl Fuse for Metablock {
    fn children(&self, spec: &FusionSpec) -> Children {
        vec![
            ("embed", spec.source.architecture()),
            ("fc", Linear::new(2 * spec.map.channels()).zeros().into()),
        ]
    }
    fn n_controls(&self, channels: usize) -> usize {
        2 * channels
    }
    /// `control`: `f − 1`, then `g`.
    fn forward(&self, x: Value, control: Tensor<2>) -> Value {
        let (factor, offset) = halves(control);
        let squashed = map_value!(x.times_channels(factor), x => x.tanh());
        map_value!(squashed.plus_channels(offset), x => sigmoid(x))
    }
    fn onnx(&self, graph: &mut Graph, x: &Flow, control: &Flow) -> String {
        let (factor, offset) = onnx_halves(graph, x, control);
        let y = times_channels(graph, x, &factor);
        let y = graph.unary("Tanh", &y);
        let y = plus_channels(graph, &x.named(y), &offset);
        graph.unary("Sigmoid", &y)
    }
}
