//! Functions applied to each number, and how each is written in ONNX.

use super::prelude::*;

macro_rules! activations {
    ($($Name:ident($graph:ident, $x:ident) $onnx:block)*) => {
        $(
            pub(super) struct $Name;

            impl Leaf for $Name {
                fn activation(&self) -> Option<Activation> {
                    Some(Activation::$Name)
                }
                fn output(&mut self, _: &At<'_>, input: Shape) -> Result<Shape> {
                    Ok(input)
                }
                fn forward(&self, _: &Node, x: Value, _: &mut Walk<'_>) -> Value {
                    map_value!(x, x => tensor::activate(x, Activation::$Name))
                }
                fn onnx(&self, $graph: &mut Graph, _: &Node, x: &Flow) -> Option<String> {
                    let $x = x.name.as_str();
                    Some($onnx)
                }
            }
        )*
    };
}

activations! {
    Relu(graph, x) { graph.unary("Relu", x) }
    Relu6(graph, x) {
        let (zero, six) = (graph.float(0.0), graph.float(6.0));
        graph.call("Clip", &[x, &zero, &six], &[])
    }
    Silu(graph, x) {
        let gate = graph.unary("Sigmoid", x);
        graph.binary("Mul", x, &gate)
    }
    HardSwish(graph, x) { graph.unary("HardSwish", x) }
    HardSigmoid(graph, x) {
        let sixth = [("alpha", Attr::Float(1.0 / 6.0)), ("beta", Attr::Float(0.5))];
        graph.call("HardSigmoid", &[x], &sixth)
    }
    Gelu(graph, x) {
        let (root, one, half) = (
            graph.float(std::f32::consts::SQRT_2),
            graph.float(1.0),
            graph.float(0.5),
        );
        let y = graph.binary("Div", x, &root);
        let y = graph.unary("Erf", &y);
        let y = graph.binary("Add", &y, &one);
        let y = graph.binary("Mul", x, &y);
        graph.binary("Mul", &y, &half)
    }
    Sigmoid(graph, x) { graph.unary("Sigmoid", x) }
    Tanh(graph, x) { graph.unary("Tanh", x) }
}
