//! A graph in the making: nodes in the order in which they run, constants, inputs, outputs.

use std::collections::{HashMap, HashSet};

use super::proto::{
    Attribute, Dimension, Graph as GraphMessage, Node, Tensor, TensorShape, TensorType, Type,
    TypeInfo, ValueInfo, attribute_type,
};

/// An attribute of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Attr<'a> {
    Int(i64),
    Float(f32),
    Text(&'a str),
    Ints(&'a [i64]),
    Texts(&'a [String]),
}

/// One axis of an input or output: a number, or a name for what varies.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Axis {
    Of(usize),
    Any(&'static str),
}

/// Constants of at most so many bytes are written once, however often they are used.
const SHARED_BYTES: usize = 4096;

/// Values are known by their names, which are unique: those of inputs and outputs are kept free for them.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    message: GraphMessage,
    taken: HashSet<String>,
    shared: HashMap<(Type, Vec<i64>, Vec<u8>), String>,
    place: String,
}

impl Graph {
    /// A graph in which these names are not given to anything else.
    pub(crate) fn new(reserved: impl IntoIterator<Item = String>) -> Self {
        let message = GraphMessage {
            name: Some("sidelight".into()),
            ..GraphMessage::default()
        };
        Self {
            message,
            taken: reserved.into_iter().collect(),
            ..Self::default()
        }
    }

    /// What comes next belongs to this place: nodes are named after it.
    pub(crate) fn at(&mut self, place: &str) {
        place.clone_into(&mut self.place);
    }

    /// The place that comes next.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// A node with one output, whose name is returned.
    pub(crate) fn call(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, Attr<'_>)],
    ) -> String {
        self.node(None, op, inputs, attributes)
    }

    /// The same, of the operators for classical machine learning.
    pub(crate) fn call_ml(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, Attr<'_>)],
    ) -> String {
        self.node(Some("ai.onnx.ml"), op, inputs, attributes)
    }

    fn node(
        &mut self,
        domain: Option<&str>,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, Attr<'_>)],
    ) -> String {
        let output = self.free(&format!("{}/{op}", self.place));
        self.push(op, inputs, attributes, &output, domain);
        output
    }

    fn push(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, Attr<'_>)],
        output: &str,
        domain: Option<&str>,
    ) {
        self.message.node.push(Node {
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.to_owned()],
            name: Some(output.to_owned()),
            op_type: Some(op.to_owned()),
            attribute: attributes
                .iter()
                .map(|(name, value)| attribute(name, *value))
                .collect(),
            domain: domain.map(str::to_owned),
        });
    }

    /// A name that nothing has yet.
    fn free(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut n = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{wanted}_{n}");
            n += 1;
        }
        name
    }

    /// Declares an input; its name was reserved.
    pub(crate) fn input(&mut self, name: &str, of: Type, shape: &[Axis], doc: &str) {
        self.message.input.push(info(name, of, shape, doc));
    }

    /// Makes a value an output of this reserved name.
    pub(crate) fn output(&mut self, name: &str, value: &str, of: Type, shape: &[Axis], doc: &str) {
        self.push("Identity", &[value], &[], name, None);
        self.message.output.push(info(name, of, shape, doc));
    }

    /// Learned numbers under the name of their path.
    pub(crate) fn weight(&mut self, path: &str, shape: &[usize], values: &[f32]) -> String {
        let name = self.free(path);
        let dims = shape.iter().map(|&n| n as i64).collect();
        self.tensor(&name, Type::Float, dims, bytes(values, f32::to_le_bytes));
        name
    }

    fn tensor(&mut self, name: &str, of: Type, dims: Vec<i64>, raw: Vec<u8>) {
        self.message.initializer.push(Tensor {
            dims,
            data_type: Some(of as i32),
            name: Some(name.to_owned()),
            raw_data: Some(raw),
            ..Tensor::default()
        });
    }

    fn constant(&mut self, of: Type, dims: &[usize], raw: Vec<u8>) -> String {
        let dims: Vec<i64> = dims.iter().map(|&n| n as i64).collect();
        if raw.len() > SHARED_BYTES {
            let name = self.free("constant");
            self.tensor(&name, of, dims, raw);
            return name;
        }
        let key = (of, dims.clone(), raw.clone());
        if let Some(name) = self.shared.get(&key) {
            return name.clone();
        }
        let name = self.free("constant");
        self.tensor(&name, of, dims, raw);
        self.shared.insert(key, name.clone());
        name
    }

    /// Whole numbers in one axis: a shape, a list of axes.
    pub(crate) fn ints(&mut self, values: &[i64]) -> String {
        let raw = bytes(values, i64::to_le_bytes);
        self.constant(Type::Int64, &[values.len()], raw)
    }
    /// One whole number, no axis.
    pub(crate) fn int(&mut self, value: i64) -> String {
        self.constant(Type::Int64, &[], value.to_le_bytes().to_vec())
    }
    /// One whole number of 32 bits, no axis.
    pub(crate) fn int32(&mut self, value: i32) -> String {
        self.constant(Type::Int32, &[], value.to_le_bytes().to_vec())
    }
    /// Single-precision numbers of this shape.
    pub(crate) fn floats(&mut self, shape: &[usize], values: &[f32]) -> String {
        self.constant(Type::Float, shape, bytes(values, f32::to_le_bytes))
    }
    /// One single-precision number, no axis.
    pub(crate) fn float(&mut self, value: f32) -> String {
        self.floats(&[], &[value])
    }
    /// Double-precision numbers of this shape.
    pub(crate) fn doubles(&mut self, shape: &[usize], values: &[f64]) -> String {
        self.constant(Type::Double, shape, bytes(values, f64::to_le_bytes))
    }
    /// One double-precision number, no axis.
    pub(crate) fn double(&mut self, value: f64) -> String {
        self.doubles(&[], &[value])
    }
    /// Text of this shape.
    pub(crate) fn texts(&mut self, shape: &[usize], values: &[String]) -> String {
        let name = self.free("constant");
        self.message.initializer.push(Tensor {
            dims: shape.iter().map(|&n| n as i64).collect(),
            data_type: Some(Type::String as i32),
            name: Some(name.clone()),
            string_data: values
                .iter()
                .map(|text| text.clone().into_bytes())
                .collect(),
            ..Tensor::default()
        });
        name
    }

    /// The same numbers as another type.
    pub(crate) fn cast(&mut self, x: &str, to: Type) -> String {
        self.call("Cast", &[x], &[("to", Attr::Int(to as i64))])
    }
    /// The same numbers in another shape; 0 keeps an axis, −1 is what is left.
    pub(crate) fn reshape(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.ints(shape);
        self.call("Reshape", &[x, &shape], &[])
    }
    /// With further axes of 1.
    pub(crate) fn unsqueeze(&mut self, x: &str, axes: &[i64]) -> String {
        let axes = self.ints(axes);
        self.call("Unsqueeze", &[x, &axes], &[])
    }
    /// With its axes in this order.
    pub(crate) fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        self.call("Transpose", &[x], &[("perm", Attr::Ints(order))])
    }
    /// Side by side along an axis.
    pub(crate) fn concat(&mut self, parts: &[&str], axis: i64) -> String {
        if let [only] = parts {
            return (*only).to_owned();
        }
        self.call("Concat", parts, &[("axis", Attr::Int(axis))])
    }
    /// From `start` up to `end` along an axis.
    pub(crate) fn slice(&mut self, x: &str, start: usize, end: usize, axis: i64) -> String {
        let (start, end) = (self.ints(&[start as i64]), self.ints(&[end as i64]));
        let axis = self.ints(&[axis]);
        self.call("Slice", &[x, &start, &end, &axis], &[])
    }
    /// Two values, element by element.
    pub(crate) fn binary(&mut self, op: &str, a: &str, b: &str) -> String {
        self.call(op, &[a, b], &[])
    }
    /// One value, element by element.
    pub(crate) fn unary(&mut self, op: &str, x: &str) -> String {
        self.call(op, &[x], &[])
    }

    /// The message, without the constants that nothing reads.
    pub(crate) fn finish(self) -> GraphMessage {
        let mut message = self.message;
        let read: HashSet<&String> = message.node.iter().flat_map(|node| &node.input).collect();
        message
            .initializer
            .retain(|tensor| tensor.name.as_ref().is_some_and(|name| read.contains(name)));
        message
    }
}

fn bytes<T: Copy, const N: usize>(values: &[T], of: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| of(value)).collect()
}

fn attribute(name: &str, value: Attr<'_>) -> Attribute {
    let mut attribute = Attribute {
        name: Some(name.to_owned()),
        ..Attribute::default()
    };
    let of = match value {
        Attr::Int(value) => {
            attribute.i = Some(value);
            attribute_type::INT
        }
        Attr::Float(value) => {
            attribute.f = Some(value);
            attribute_type::FLOAT
        }
        Attr::Text(value) => {
            attribute.s = Some(value.as_bytes().to_vec());
            attribute_type::STRING
        }
        Attr::Ints(values) => {
            attribute.ints = values.to_vec();
            attribute_type::INTS
        }
        Attr::Texts(values) => {
            attribute.strings = values
                .iter()
                .map(|text| text.clone().into_bytes())
                .collect();
            attribute_type::STRINGS
        }
    };
    attribute.r#type = Some(of);
    attribute
}

fn info(name: &str, of: Type, shape: &[Axis], doc: &str) -> ValueInfo {
    let dimension = |axis: &Axis| match axis {
        Axis::Of(n) => Dimension {
            dim_value: Some(*n as i64),
            dim_param: None,
        },
        Axis::Any(name) => Dimension {
            dim_value: None,
            dim_param: Some((*name).to_owned()),
        },
    };
    ValueInfo {
        name: Some(name.to_owned()),
        r#type: Some(TypeInfo {
            tensor_type: Some(TensorType {
                elem_type: Some(of as i32),
                shape: Some(TensorShape {
                    dim: shape.iter().map(dimension).collect(),
                }),
            }),
        }),
        doc_string: Some(doc.to_owned()),
    }
}
