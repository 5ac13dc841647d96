//! Layers without children as nodes.

use super::graph::{Attr, Graph};
use super::network::Flow;
use crate::error::{Error, Result};
use crate::network::layer::{
    AdaptivePool, BatchNorm, ClassToken, Conv2d, Linear, Pool, SelfAttention,
};
use crate::network::{Layer, Node, Shape, join};
use crate::tensor::Activation;

/// A parameter of the layer, under its path.
pub(super) fn weight(graph: &mut Graph, node: &Node, path: &str, name: &str) -> String {
    let parameter = node
        .parameters
        .get(name)
        .unwrap_or_else(|| panic!("`{path}` has no parameter `{name}`"));
    graph.weight(&join(path, name), &parameter.shape(), &parameter.values())
}

/// Writes a layer that reads `x` and puts out `output`.
///
/// # Errors
///
/// [`Error::NoOnnx`] of a library user's own layer.
pub(super) fn write(
    graph: &mut Graph,
    layer: &Layer,
    node: &Node,
    path: &str,
    x: &Flow,
    output: Shape,
) -> Result<String> {
    if let Some(function) = layer.activation() {
        return Ok(activate(graph, &x.name, function));
    }
    Ok(match layer {
        Layer::Conv2d(conv) => convolve(graph, conv, node, path, x),
        Layer::BatchNorm(norm) => batch_norm(graph, norm, node, path, x),
        Layer::LayerNorm(norm) => {
            let of = [
                x.name.clone(),
                weight(graph, node, path, "weight"),
                weight(graph, node, path, "bias"),
            ];
            let is_map = matches!(x.shape, Shape::Map { .. });
            let y = match is_map {
                true => graph.transpose(&of[0], &[0, 2, 3, 1]),
                false => of[0].clone(),
            };
            let epsilon = ("epsilon", Attr::Float(norm.epsilon as f32));
            let axis = ("axis", Attr::Int(-1));
            let y = graph.call(
                "LayerNormalization",
                &[&y, &of[1], &of[2]],
                &[axis, epsilon],
            );
            match is_map {
                true => graph.transpose(&y, &[0, 3, 1, 2]),
                false => y,
            }
        }
        Layer::Linear(linear) => multiply(graph, linear, node, path, x),
        Layer::Scale(_) => {
            let factor = weight(graph, node, path, "gamma");
            scale(graph, x, &factor)
        }
        Layer::Slice(slice) => graph.slice(&x.name, slice.start, slice.start + slice.length, 1),
        Layer::SelfAttention(attention) => attend(graph, attention, node, path, x),
        Layer::ToTokens(_) => {
            let (channels, n) = (x.shape.channels() as i64, x.shape.positions() as i64);
            let y = graph.reshape(&x.name, &[0, channels, n]);
            graph.transpose(&y, &[0, 2, 1])
        }
        Layer::ClassToken(token) => class_token(graph, token, node, path, x),
        Layer::FirstToken => {
            let first = graph.int(0);
            graph.call("Gather", &[&x.name, &first], &[("axis", Attr::Int(1))])
        }
        Layer::MaxPool(window) => pool(graph, "MaxPool", window, x),
        Layer::AvgPool(window) => pool(graph, "AveragePool", window, x),
        Layer::AdaptiveAvgPool(grid) => mean_of_cells(graph, grid, x),
        Layer::AdaptiveConcatPool(grid) => {
            let Shape::Map { height, width, .. } = x.shape else {
                return Ok(x.name.clone());
            };
            let cell = [(height / grid.side) as i64, (width / grid.side) as i64];
            let window = [
                ("kernel_shape", Attr::Ints(&cell)),
                ("strides", Attr::Ints(&cell)),
            ];
            let largest = graph.call("MaxPool", &[&x.name], &window);
            let mean = graph.call("AveragePool", &[&x.name], &window);
            graph.concat(&[&largest, &mean], 1)
        }
        Layer::Upsample(upsample) => {
            let factor = upsample.factor as f32;
            let scales = graph.floats(&[4], &[1.0, 1.0, factor, factor]);
            graph.call(
                "Resize",
                &[&x.name, "", &scales],
                &[
                    ("mode", Attr::Text("nearest")),
                    ("coordinate_transformation_mode", Attr::Text("asymmetric")),
                    ("nearest_mode", Attr::Text("floor")),
                ],
            )
        }
        Layer::SoftArgmax => soft_argmax(graph, x),
        Layer::Flatten => {
            let width = output.channels() as i64;
            graph.reshape(&x.name, &[-1, width])
        }
        // Training alone changes anything here.
        Layer::Dropout(_) | Layer::DropPath(_) | Layer::DropImage(_) | Layer::Identity => {
            x.name.clone()
        }
        Layer::Custom(_) | Layer::Embedding(_) => {
            return Err(Error::NoOnnx {
                path: path.to_owned(),
                layer: layer.kind().to_owned(),
            });
        }
        Layer::Relu
        | Layer::Relu6
        | Layer::Silu
        | Layer::HardSwish
        | Layer::HardSigmoid
        | Layer::Gelu
        | Layer::Sigmoid
        | Layer::Tanh => unreachable!("activations were written above"),
        Layer::Sequential
        | Layer::Residual(_)
        | Layer::Gate
        | Layer::Auxiliary
        | Layer::Concat
        | Layer::Sum
        | Layer::Fusion(_)
        | Layer::Metadata(_) => unreachable!("the walk goes through containers itself"),
    })
}

fn activate(graph: &mut Graph, x: &str, function: Activation) -> String {
    let sixth = [
        ("alpha", Attr::Float(1.0 / 6.0)),
        ("beta", Attr::Float(0.5)),
    ];
    match function {
        Activation::Relu => graph.unary("Relu", x),
        Activation::Relu6 => {
            let (zero, six) = (graph.float(0.0), graph.float(6.0));
            graph.call("Clip", &[x, &zero, &six], &[])
        }
        Activation::Silu => {
            let gate = graph.unary("Sigmoid", x);
            graph.binary("Mul", x, &gate)
        }
        Activation::HardSwish => graph.unary("HardSwish", x),
        Activation::HardSigmoid => graph.call("HardSigmoid", &[x], &sixth),
        Activation::Gelu => {
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
        Activation::Sigmoid => graph.unary("Sigmoid", x),
        Activation::Tanh => graph.unary("Tanh", x),
    }
}

/// Each channel times the same factor in every row: `factor` is `[channels]`.
pub(super) fn scale(graph: &mut Graph, x: &Flow, factor: &str) -> String {
    let factor = match x.shape {
        Shape::Map { .. } => graph.reshape(factor, &[-1, 1, 1]),
        _ => factor.to_owned(),
    };
    graph.binary("Mul", &x.name, &factor)
}

fn convolve(graph: &mut Graph, conv: &Conv2d, node: &Node, path: &str, x: &Flow) -> String {
    let mut of = vec![x.name.clone(), weight(graph, node, path, "weight")];
    if conv.bias {
        of.push(weight(graph, node, path, "bias"));
    }
    let padding = match x.shape {
        Shape::Map { height, width, .. } => conv.paddings([height, width]),
        _ => [conv.padding; 4],
    };
    let padding = padding.map(|n| n as i64);
    let both = |n: usize| [n as i64; 2];
    let (kernel, stride, dilation) = (both(conv.kernel), both(conv.stride), both(conv.dilation));
    let of: Vec<&str> = of.iter().map(String::as_str).collect();
    graph.call(
        "Conv",
        &of,
        &[
            ("kernel_shape", Attr::Ints(&kernel)),
            ("strides", Attr::Ints(&stride)),
            ("pads", Attr::Ints(&padding)),
            ("dilations", Attr::Ints(&dilation)),
            ("group", Attr::Int(conv.groups.max(1) as i64)),
        ],
    )
}

fn batch_norm(graph: &mut Graph, norm: &BatchNorm, node: &Node, path: &str, x: &Flow) -> String {
    let n = norm.features;
    let (factor, offset) = if norm.affine {
        (
            weight(graph, node, path, "weight"),
            weight(graph, node, path, "bias"),
        )
    } else {
        (
            graph.floats(&[n], &vec![1.0; n]),
            graph.floats(&[n], &vec![0.0; n]),
        )
    };
    let mean = weight(graph, node, path, "running_mean");
    let variance = weight(graph, node, path, "running_var");
    graph.call(
        "BatchNormalization",
        &[&x.name, &factor, &offset, &mean, &variance],
        &[("epsilon", Attr::Float(norm.epsilon as f32))],
    )
}

fn multiply(graph: &mut Graph, linear: &Linear, node: &Node, path: &str, x: &Flow) -> String {
    let matrix = weight(graph, node, path, "weight"); // [out, in]
    let bias = linear.bias.then(|| weight(graph, node, path, "bias"));
    match x.shape {
        Shape::Tokens { .. } => of_tokens(graph, &x.name, &matrix, bias.as_deref()),
        // Of each pixel's channels: a 1×1 convolution.
        Shape::Map { .. } => {
            let kernel = graph.unsqueeze(&matrix, &[2, 3]);
            let of: Vec<&str> = [x.name.as_str(), &kernel]
                .into_iter()
                .chain(bias.as_deref())
                .collect();
            graph.call("Conv", &of, &[("kernel_shape", Attr::Ints(&[1, 1]))])
        }
        Shape::Nothing | Shape::Features(_) => {
            let of: Vec<&str> = [x.name.as_str(), &matrix]
                .into_iter()
                .chain(bias.as_deref())
                .collect();
            graph.call("Gemm", &of, &[("transB", Attr::Int(1))])
        }
    }
}

fn of_tokens(graph: &mut Graph, x: &str, matrix: &str, bias: Option<&str>) -> String {
    let matrix = graph.transpose(matrix, &[1, 0]);
    let y = graph.binary("MatMul", x, &matrix);
    match bias {
        Some(bias) => graph.binary("Add", &y, bias),
        None => y,
    }
}

fn attend(
    graph: &mut Graph,
    attention: &SelfAttention,
    node: &Node,
    path: &str,
    x: &Flow,
) -> String {
    let Shape::Tokens { n, width } = x.shape else {
        return x.name.clone();
    };
    let each = width / attention.heads;
    let [n, width, heads, of_head] = [n, width, attention.heads, each].map(|n| n as i64);
    let matrix = weight(graph, node, path, "qkv.weight");
    let bias = weight(graph, node, path, "qkv.bias");
    let qkv = of_tokens(graph, &x.name, &matrix, Some(&bias));
    let qkv = graph.reshape(&qkv, &[0, n, 3, heads, of_head]);
    let qkv = graph.transpose(&qkv, &[2, 0, 3, 1, 4]); // [3, batch, heads, tokens, each]
    let [queries, keys, values] = [0, 1, 2].map(|part| {
        let part = graph.int(part);
        graph.call("Gather", &[&qkv, &part], &[("axis", Attr::Int(0))])
    });
    let keys = graph.transpose(&keys, &[0, 1, 3, 2]);
    let scores = graph.binary("MatMul", &queries, &keys);
    let root = graph.float((each as f32).sqrt());
    let scores = graph.binary("Div", &scores, &root);
    let weights = graph.call("Softmax", &[&scores], &[("axis", Attr::Int(3))]);
    let joined = graph.binary("MatMul", &weights, &values); // [batch, heads, tokens, each]
    let joined = graph.transpose(&joined, &[0, 2, 1, 3]);
    let joined = graph.reshape(&joined, &[0, n, width]);
    let matrix = weight(graph, node, path, "proj.weight");
    let bias = weight(graph, node, path, "proj.bias");
    of_tokens(graph, &joined, &matrix, Some(&bias))
}

fn class_token(graph: &mut Graph, token: &ClassToken, node: &Node, path: &str, x: &Flow) -> String {
    let class = weight(graph, node, path, "cls_token"); // [1, 1, width]
    let places = weight(graph, node, path, "pos_embed");
    // As many of it as there are rows.
    let batch = graph.unary("Shape", &x.name);
    let batch = graph.slice(&batch, 0, 1, 0);
    let rest = graph.ints(&[1, token.width as i64]);
    let shape = graph.concat(&[&batch, &rest], 0);
    let class = graph.binary("Expand", &class, &shape);
    let y = graph.concat(&[&class, &x.name], 1);
    graph.binary("Add", &y, &places)
}

fn pool(graph: &mut Graph, op: &str, window: &Pool, x: &Flow) -> String {
    let (kernel, stride) = ([window.kernel as i64; 2], [window.stride as i64; 2]);
    let pads = [window.padding as i64; 4];
    let mut attributes = vec![
        ("kernel_shape", Attr::Ints(&kernel)),
        ("strides", Attr::Ints(&stride)),
        ("pads", Attr::Ints(&pads)),
    ];
    if op == "AveragePool" {
        attributes.push(("count_include_pad", Attr::Int(1)));
    }
    graph.call(op, &[&x.name], &attributes)
}

fn mean_of_cells(graph: &mut Graph, grid: &AdaptivePool, x: &Flow) -> String {
    let Shape::Map { height, width, .. } = x.shape else {
        return x.name.clone();
    };
    let side = grid.side;
    if [height, width] == [side, side] {
        return x.name.clone();
    }
    if side == 1 {
        return graph.unary("GlobalAveragePool", &x.name);
    }
    // Cells may overlap by a line where the sides do not divide: torch's bounds, as two products.
    let shares = |length: usize| -> Vec<f32> {
        (0..side)
            .flat_map(|cell| {
                let (start, end) = (cell * length / side, ((cell + 1) * length).div_ceil(side));
                (0..length).map(move |i| {
                    let is_in = (start..end).contains(&i);
                    if is_in {
                        1.0 / (end - start) as f32
                    } else {
                        0.0
                    }
                })
            })
            .collect()
    };
    let down = graph.floats(&[side, height], &shares(height));
    let across = graph.floats(&[side, width], &shares(width));
    let across = graph.transpose(&across, &[1, 0]);
    let y = graph.binary("MatMul", &down, &x.name);
    graph.binary("MatMul", &y, &across)
}

fn soft_argmax(graph: &mut Graph, x: &Flow) -> String {
    let Shape::Map {
        channels,
        height,
        width,
    } = x.shape
    else {
        return x.name.clone();
    };
    let at = |i: usize, n: usize| (2 * i + 1) as f32 / n as f32 - 1.0;
    let places: Vec<f32> = (0..height)
        .flat_map(|i| (0..width).flat_map(move |j| [at(j, width), at(i, height)]))
        .collect();
    let places = graph.floats(&[height * width, 2], &places);
    let y = graph.reshape(&x.name, &[0, channels as i64, (height * width) as i64]);
    let share = graph.call("Softmax", &[&y], &[("axis", Attr::Int(2))]);
    let place = graph.binary("MatMul", &share, &places); // [n, channels, 2]
    graph.reshape(&place, &[0, 2 * channels as i64])
}
