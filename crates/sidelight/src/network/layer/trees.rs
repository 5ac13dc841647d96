//! Decision trees over the row's metadata.

use burn::tensor::TensorData;

use super::prelude::*;
use crate::network::onnx::GraphMetadata;
use crate::network::value::MetadataTensors;
use crate::onnx::proto::Type;

/// The sum of symmetric decision trees, all of whose nodes of a level ask the same question of the row's metadata: is one of the
/// `inputs` above a threshold? They are grown before the training (gradient boosting) and do not learn by steps.
///
/// It reads the context, never its input. Its parameters are the trees, all of one depth:
///
/// # Shapes
///
/// - `columns`: `[trees, depth]`, which input a question is about; `thresholds`: `[trees, depth]`
/// - `leaves`: `[trees · 2^depth, n_outputs]`; the answer to the first question is the highest bit of a leaf's number
/// - `base`: `[n_outputs]`, added to the sum
/// - output: `[batch, n_outputs]`
///
/// # Source
///
/// Prokhorenkova et al. 2018, "CatBoost", arXiv:1706.09516 (oblivious trees).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trees {
    /// What questions can be about.
    pub inputs: Vec<TreeInput>,
    /// How many trees there are.
    pub trees: usize,
    /// Questions of each.
    pub depth: usize,
    /// Width of what it puts out.
    pub n_outputs: usize,
}

/// A number that trees ask about, from an encoded row, and what it counts as where it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
pub enum TreeInput {
    /// A dense slot, as it is.
    Dense {
        /// Its place.
        slot: usize,
    },
    /// A dense slot that counts only where its flag is not 0.
    Flagged {
        /// Its place.
        slot: usize,
        /// The place of its flag.
        flag: usize,
        /// What it counts as elsewhere.
        missing: f32,
    },
    /// 1 where an embedded column has this code, else 0.
    Is {
        /// Which embedded column.
        place: usize,
        /// The code.
        code: u32,
    },
}

impl TreeInput {
    /// Its value in an encoded row; NaN where that is missing.
    pub fn read(self, dense: &[f32], codes: &[u32]) -> f32 {
        match self {
            Self::Dense { slot } => dense[slot],
            Self::Flagged { flag, .. } if dense[flag] == 0.0 => f32::NAN,
            Self::Flagged { slot, .. } => dense[slot],
            Self::Is { place, code } => f32::from(u8::from(codes[place] == code)),
        }
    }

    /// As [`TreeInput::read`] of a row of tensors, a missing value being what it counts as. What a row lacks is 0.
    fn value(self, dense: &[f32], codes: &[i32]) -> f32 {
        let at = |slot: usize| dense.get(slot).copied().unwrap_or_default();
        match self {
            Self::Dense { slot } => at(slot),
            Self::Flagged { flag, missing, .. } if at(flag) == 0.0 => missing,
            Self::Flagged { slot, .. } => at(slot),
            Self::Is { place, code } => {
                let is = codes.get(place).is_some_and(|&own| own as u32 == code);
                f32::from(u8::from(is))
            }
        }
    }
}

impl Trees {
    /// Names of the parameters.
    pub const COLUMNS: &str = "columns";
    /// See [`Trees::COLUMNS`].
    pub const THRESHOLDS: &str = "thresholds";
    /// See [`Trees::COLUMNS`].
    pub const LEAVES: &str = "leaves";
    /// See [`Trees::COLUMNS`].
    pub const BASE: &str = "base";
    /// No tree asks more questions.
    pub const DEEPEST: usize = 12;

    /// What it asks of a row that has only so many dense numbers and codes, or of inputs that it has not.
    pub(crate) fn misread(
        &self,
        parameters: &Parameters,
        d_dense: usize,
        n_codes: usize,
    ) -> Option<String> {
        let is_there = |input: &TreeInput| match *input {
            TreeInput::Dense { slot } => slot < d_dense,
            TreeInput::Flagged { slot, flag, .. } => slot.max(flag) < d_dense,
            TreeInput::Is { place, .. } => place < n_codes,
        };
        if let Some(input) = self.inputs.iter().find(|input| !is_there(input)) {
            return Some(format!("trees that ask about {input:?}"));
        }
        let columns = tensor::numbers(parameters.d2(Self::COLUMNS)).into_iter();
        let mut columns = columns.map(f32::round);
        let n = self.inputs.len();
        let beyond = columns.find(|column| !(0.0..n as f32).contains(column));
        beyond.map(|column| format!("trees that ask about input {column} of {n}"))
    }

    fn outputs(&self, parameters: &Parameters, metadata: &MetadataTensors) -> Vec<f32> {
        let [n, d_dense] = metadata.dense.dims();
        let n_codes = metadata.codes.dims()[1];
        let dense = tensor::numbers(metadata.dense.clone());
        let codes: Vec<i32> = match n_codes {
            0 => Vec::new(),
            _ => tensor::numbers(metadata.codes.clone().float())
                .into_iter()
                .map(|code| code as i32)
                .collect(),
        };
        let [columns, thresholds] =
            [Self::COLUMNS, Self::THRESHOLDS].map(|name| tensor::numbers(parameters.d2(name)));
        let leaves = tensor::numbers(parameters.d2(Self::LEAVES));
        let base = tensor::numbers(parameters.d1(Self::BASE));
        let k = self.n_outputs;
        let mut outputs = Vec::with_capacity(n * k);
        for row in 0..n {
            let dense = &dense[row * d_dense..(row + 1) * d_dense];
            let codes = &codes[row * n_codes..(row + 1) * n_codes];
            let inputs: Vec<f32> = self
                .inputs
                .iter()
                .map(|input| input.value(dense, codes))
                .collect();
            let mut sum = base.clone();
            let questions = columns
                .chunks_exact(self.depth.max(1))
                .zip(thresholds.chunks_exact(self.depth.max(1)));
            for (tree, (columns, thresholds)) in questions.enumerate() {
                let leaf = columns
                    .iter()
                    .zip(thresholds)
                    .fold(0, |leaf, (column, threshold)| {
                        // Averages of weights leave a place where it is but for rounding.
                        let value = inputs
                            .get(column.round() as usize)
                            .copied()
                            .unwrap_or_default();
                        leaf * 2 + usize::from(value > *threshold)
                    });
                let from = ((tree << self.depth) + leaf) * k;
                sum.iter_mut()
                    .zip(&leaves[from..from + k])
                    .for_each(|(sum, value)| *sum += value);
            }
            outputs.extend(sum);
        }
        outputs
    }

    /// The inputs of all questions, `[n, trees · depth]`.
    fn asked(&self, graph: &mut Graph, node: &Node, metadata: &GraphMetadata) -> String {
        let inputs: Vec<String> = self
            .inputs
            .iter()
            .map(|input| match (*input, &metadata.dense) {
                (TreeInput::Dense { slot }, Some(dense)) => graph.slice(dense, slot, slot + 1, 1),
                (
                    TreeInput::Flagged {
                        slot,
                        flag,
                        missing,
                    },
                    Some(dense),
                ) => {
                    let value = graph.slice(dense, slot, slot + 1, 1);
                    let flag = graph.slice(dense, flag, flag + 1, 1);
                    let zero = graph.float(0.0);
                    let lacks = graph.binary("Equal", &flag, &zero);
                    let missing = graph.float(missing);
                    graph.call("Where", &[&lacks, &missing, &value], &[])
                }
                (TreeInput::Is { place, code }, _) => {
                    let codes = metadata.codes.get(place).cloned().unwrap_or_default();
                    let code = graph.int(i64::from(code));
                    let is = graph.binary("Equal", &codes, &code);
                    let is = graph.cast(&is, Type::Float);
                    graph.unsqueeze(&is, &[1])
                }
                (_, None) => String::new(),
            })
            .collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let inputs = graph.concat(&inputs, 1);
        let columns = tensor::numbers(node.parameters.d2(Self::COLUMNS));
        let columns: Vec<i64> = columns.iter().map(|column| column.round() as i64).collect();
        let columns = graph.ints(&columns);
        graph.call("Gather", &[&inputs, &columns], &[("axis", Attr::Int(1))])
    }
}

impl Operation for Trees {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let buffer = |name, shape: &[usize]| {
            let zeros = Initial::Constant(0.0);
            ParameterSpec::new(name, shape, ParameterKind::Buffer, zeros)
        };
        let leaves = self
            .trees
            .saturating_mul(1 << self.depth.min(Self::DEEPEST));
        vec![
            buffer(Self::COLUMNS, &[self.trees, self.depth]),
            buffer(Self::THRESHOLDS, &[self.trees, self.depth]),
            buffer(Self::LEAVES, &[leaves, self.n_outputs]),
            buffer(Self::BASE, &[self.n_outputs]),
        ]
    }
    fn infer(&mut self, inside: &mut Inside<'_>, _: Shape) -> Result<Shape> {
        if inside.len() > 0 {
            return Err(inside.at.misfit("no children", inside.len(), None));
        }
        let at = &inside.at;
        for (name, value, most) in [
            ("depth", self.depth, Self::DEEPEST),
            ("trees", self.trees, 1 << 20),
            ("n_outputs", self.n_outputs, 1 << 20),
        ] {
            if !(1..=most).contains(&value) {
                return Err(at.field(name, format!("1 to {most}"), value.to_string()));
            }
        }
        Ok(Shape::Features(self.n_outputs))
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let Some(metadata) = &walk.context.metadata else {
            let batch = match &x {
                Value::Nothing => 0,
                Value::Features(x) => x.dims()[0],
                Value::Tokens(x) => x.dims()[0],
                Value::Map(x) => x.dims()[0],
            };
            let base = node.parameters.d1(Self::BASE).reshape([1, self.n_outputs]);
            return Value::Features(base.expand([batch, self.n_outputs]));
        };
        let device = metadata.dense.device();
        let shape = [metadata.dense.dims()[0], self.n_outputs];
        let outputs = TensorData::new(self.outputs(&node.parameters, metadata), shape);
        Value::Features(Tensor::from_data(outputs, &device))
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, _: &str, _: Flow) -> Result<String> {
        let metadata = walk.metadata;
        let graph = &mut *walk.graph;
        let (trees, depth) = (self.trees as i64, self.depth as i64);
        let asked = self.asked(graph, node, metadata);
        let thresholds = tensor::numbers(node.parameters.d2(Self::THRESHOLDS));
        let thresholds = graph.floats(&[1, thresholds.len()], &thresholds);
        let above = graph.binary("Greater", &asked, &thresholds);
        let above = graph.cast(&above, Type::Float);
        let above = graph.reshape(&above, &[-1, trees, depth]);
        let bits: Vec<f32> = (0..depth).rev().map(|bit| (1_u32 << bit) as f32).collect();
        let bits = graph.floats(&[self.depth, 1], &bits);
        let leaf = graph.binary("MatMul", &above, &bits); // [n, trees, 1]
        let leaf = graph.reshape(&leaf, &[-1, trees]);
        let firsts: Vec<f32> = (0..self.trees)
            .map(|tree| (tree << self.depth) as f32)
            .collect();
        let firsts = graph.floats(&[1, self.trees], &firsts);
        let leaf = graph.binary("Add", &leaf, &firsts);
        let leaf = graph.cast(&leaf, Type::Int64);
        let leaves = parameter(graph, node, Self::LEAVES);
        let values = graph.call("Gather", &[&leaves, &leaf], &[("axis", Attr::Int(0))]); // [n, trees, n_outputs]
        let axes = graph.ints(&[1]);
        let sum = graph.call(
            "ReduceSum",
            &[&values, &axes],
            &[("keepdims", Attr::Int(0))],
        );
        let base = parameter(graph, node, Self::BASE);
        Ok(graph.binary("Add", &sum, &base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Context;
    use crate::network::parameter::Start;

    #[test]
    fn a_row_is_what_its_leaves_and_the_base_add_up_to() {
        let inputs = vec![
            TreeInput::Flagged {
                slot: 0,
                flag: 1,
                missing: f32::MIN,
            },
            TreeInput::Is { place: 0, code: 7 },
        ];
        let layer = Trees {
            inputs,
            trees: 2,
            depth: 2,
            n_outputs: 1,
        };
        let device = burn::tensor::Device::flex();
        let mut node = Node::new(&layer.clone().into(), "", Start::Zeros, &device);
        let values = [
            vec![0.0, 1.0, 1.0, 0.0],
            vec![0.5, 0.5, 0.5, f32::MIN],
            vec![1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0],
            vec![100.0],
        ];
        for (parameter, values) in node.parameters.0.iter_mut().zip(values) {
            parameter.set_values(values);
        }
        let mut context = Context {
            metadata: Some(MetadataTensors {
                dense: Tensor::from_floats([[1.0, 1.0], [1.0, 0.0], [0.2, 1.0]], &device),
                codes: Tensor::from_ints([[7], [7], [3]], &device),
            }),
            ..Context::default()
        };
        let x = Value::Features(Tensor::zeros([3, 1], &device));
        let y = node
            .forward(x, &mut Walk::new(&mut context, &[]))
            .features();
        // Above .5 and code 7: leaf 3, and leaf 3; missing and code 7: leaf 1, and leaf 2; neither, but known: leaf 0, and leaf 1.
        assert_eq!(tensor::numbers(y), [144.0, 132.0, 121.0]);
    }
}
