//! ONNX graphs in the making: what a layer or a decoder needs to write itself as nodes.
//!
//! The messages are structs of ours ([`proto`]), encoded by `prost`; [`Graph`] names values, shares constants and keeps
//! nodes in the order in which they run.

mod graph;
pub(crate) mod proto;

pub(crate) use graph::{Attr, Axis, Graph};
