//! Several networks of one task as one.

use burn::tensor::{Device, Int, TensorData};

use super::Vote;
use super::prelude::*;
use super::vote::mean;
use crate::network::onnx::GraphMetadata;
use crate::network::value::MetadataTensors;

/// The children are networks of one task, each trained on other rows; what it puts out is the mean of what they predict.
///
/// Each member reads the metadata in its own encoding, so that nothing of the rows that it left out is in it: the encodings of
/// all stand side by side in what the network is given, and a member is shown its own. A class that a member has not met has
/// the probability 0 with it; values come in each member's own units, and are brought to common ones.
///
/// How far the members are apart is left in the context ([`Context::spread`](crate::network::Context::spread)).
///
/// # Source
///
/// The mean of what networks trained on other folds predict: Krogh & Vedelsby 1995, "Neural network ensembles, cross
/// validation, and active learning", NIPS 7, whose ambiguity is the square of the spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ensemble {
    /// What its outputs are, one after another; the first are what the task predicts.
    pub outputs: Vec<VotedOutputs>,
    /// How each member sees the row and is understood, in the order of the children.
    pub members: Vec<Member>,
}

/// Outputs beside each other whose mean is taken alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VotedOutputs {
    /// What the mean is taken of.
    pub by: Vote,
    /// How many outputs.
    pub width: usize,
}

/// A member of an [`Ensemble`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The dense numbers of a row that it is given, by their places.
    #[serde(default)]
    pub dense: Vec<usize>,
    /// The codes of a row that it is given, by their places.
    #[serde(default)]
    pub codes: Vec<usize>,
    /// Which of the first outputs each of its own is; empty: the same, in the same order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub places: Vec<usize>,
    /// What its first outputs are multiplied by; empty: 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scale: Vec<f32>,
    /// What is added to them then; empty: 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub offset: Vec<f32>,
}

impl Member {
    /// Its own part of a row's metadata.
    fn own(&self, all: &MetadataTensors) -> MetadataTensors {
        let device = all.dense.device();
        let [rows, _] = all.dense.dims();
        let places = |places: &[usize]| {
            let places: Vec<i32> = places.iter().map(|&place| place as i32).collect();
            let shape = [places.len()];
            Tensor::<1, Int>::from_data(TensorData::new(places, shape), &device)
        };
        MetadataTensors {
            dense: match self.dense.is_empty() {
                true => Tensor::zeros([rows, 0], &device),
                false => all.dense.clone().select(1, places(&self.dense)),
            },
            codes: match self.codes.is_empty() {
                true => Tensor::zeros([rows, 0], &device),
                false => all.codes.clone().select(1, places(&self.codes)),
            },
        }
    }

    /// As [`Member::own`], as nodes.
    fn write_own(&self, graph: &mut Graph, all: &GraphMetadata) -> GraphMetadata {
        let dense = all.dense.as_ref().filter(|_| !self.dense.is_empty());
        let dense = dense.map(|dense| {
            let places: Vec<i64> = self.dense.iter().map(|&place| place as i64).collect();
            let places = graph.ints(&places);
            graph.call("Gather", &[dense, &places], &[("axis", Attr::Int(1))])
        });
        let codes = self.codes.iter();
        GraphMetadata {
            dense,
            codes: codes.map(|&place| all.codes[place].clone()).collect(),
            has_images: all.has_images.clone(),
        }
    }

    /// 1 where one of its own outputs, a row, is an output of all, a column: `[own, width]`.
    fn selection(&self, width: usize) -> Vec<f32> {
        let mut selection = vec![0.0; self.places.len() * width];
        for (own, place) in self.places.iter().enumerate() {
            selection[own * width + place] = 1.0;
        }
        selection
    }

    /// How many of the first outputs it has.
    fn n_own(&self, width: usize) -> usize {
        match self.places.is_empty() {
            true => width,
            false => self.places.len(),
        }
    }
}

/// Numbers as a matrix.
fn matrix(values: &[f32], shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

impl Ensemble {
    /// Width of what it puts out.
    fn width(&self) -> usize {
        let widths = self.outputs.iter().map(|outputs| outputs.width);
        widths.fold(0, usize::saturating_add)
    }

    /// What a member predicts in the terms that the mean is taken in, of each part of the outputs.
    fn terms(&self, member: &Member, output: &Tensor<2>) -> Vec<Tensor<2>> {
        let mut start = 0;
        let parts = self.outputs.iter().enumerate();
        parts
            .map(|(at, &VotedOutputs { by, width })| {
                let is_first = at == 0;
                let n_own = if is_first { member.n_own(width) } else { width };
                let own = output.clone().narrow(1, start, n_own);
                start += n_own;
                let mut terms = by.terms(own);
                if is_first && !member.places.is_empty() {
                    let shape = [n_own, width];
                    let selection = matrix(&member.selection(width), shape, &terms.device());
                    terms = terms.matmul(selection);
                }
                if is_first && !member.scale.is_empty() {
                    let of = |values| matrix(values, [1, width], &terms.device());
                    let (scale, offset) = (of(&member.scale), of(&member.offset));
                    terms = terms * scale + offset;
                }
                terms
            })
            .collect()
    }

    /// [`Ensemble::terms`] as nodes.
    fn write_terms(&self, graph: &mut Graph, member: &Member, output: &str) -> Vec<String> {
        let mut start = 0;
        let mut all = Vec::new();
        for (at, &VotedOutputs { by, width }) in self.outputs.iter().enumerate() {
            let is_first = at == 0;
            let n_own = if is_first { member.n_own(width) } else { width };
            let own = match self.outputs.len() {
                1 => output.to_owned(),
                _ => graph.slice(output, start, start + n_own, 1),
            };
            start += n_own;
            let mut terms = by.write_terms(graph, &own);
            if is_first && !member.places.is_empty() {
                let selection = graph.floats(&[n_own, width], &member.selection(width));
                terms = graph.binary("MatMul", &terms, &selection);
            }
            if is_first && !member.scale.is_empty() {
                let scale = graph.floats(&[1, width], &member.scale);
                let offset = graph.floats(&[1, width], &member.offset);
                terms = graph.binary("Mul", &terms, &scale);
                terms = graph.binary("Add", &terms, &offset);
            }
            all.push(terms);
        }
        all
    }
}

/// The standard deviation of what several say, from n − 1: 0 of one.
fn spread(all: &[Tensor<2>]) -> Tensor<2> {
    let middle = mean(all.to_vec());
    let squares = all
        .iter()
        .map(|one| (one.clone() - middle.clone()).powi_scalar(2));
    let sum = squares.reduce(|sum, square| sum + square);
    let n = all.len().saturating_sub(1).max(1) as f64;
    (sum.expect("there is at least one") / n).sqrt()
}

impl Operation for Ensemble {
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        let n = self.members.len();
        if n == 0 || inside.len() != n {
            let expected = format!("{} children, one a member", n.max(1));
            return Err(inside.at.misfit(expected, inside.len(), None));
        }
        let first = self.outputs.first().map_or(0, |outputs| outputs.width);
        let width = self.width();
        if first == 0 {
            return Err(inside.at.field("outputs", "at least one", first));
        }
        for (at, member) in self.members.iter().enumerate() {
            let are_places = member.places.iter().all(|&place| place < first);
            let is_scaled = [&member.scale, &member.offset]
                .iter()
                .all(|numbers| numbers.len() == first);
            let is_plain = member.scale.is_empty() && member.offset.is_empty();
            if !are_places || !(is_scaled || is_plain) {
                let expected = format!("outputs among the first {first}, and a factor for each");
                return Err(inside.at.field("members", expected, at));
            }
            let own = Shape::Features(width - first + member.n_own(first));
            let output = inside.child(at, input)?;
            if output != own {
                let expected = format!("{own} from `{}`", inside.name(at));
                return Err(inside.at.misfit(expected, output, None));
            }
        }
        Ok(Shape::Features(width))
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let all = walk.context.metadata.take();
        let mut terms: Vec<Vec<Tensor<2>>> = vec![Vec::new(); self.outputs.len()];
        for (member, (name, child)) in self.members.iter().zip(&node.children) {
            walk.context.metadata = all.as_ref().map(|all| member.own(all));
            let output = walk
                .within(name, |walk| child.forward(x.clone(), walk))
                .features(); // [batch, own]
            for (part, own) in terms.iter_mut().zip(self.terms(member, &output)) {
                part.push(own);
            }
        }
        walk.context.metadata = all;
        // What the branches of a stack in a member said is of no use to anyone here.
        walk.context.auxiliary.clear();
        walk.context.spread = Some(spread(&terms[0]));
        let parts = self.outputs.iter().zip(terms);
        let parts = parts.map(|(outputs, terms)| outputs.by.outputs(mean(terms)));
        Value::Features(Tensor::cat(parts.collect(), 1))
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String> {
        let mut terms: Vec<Vec<String>> = vec![Vec::new(); self.outputs.len()];
        for (member, child) in self.members.iter().zip(&node.children) {
            let own = member.write_own(walk.graph, walk.metadata);
            let output = walk.with_metadata(&own, |walk| walk.child(path, child, x.clone()))?;
            let own = self.write_terms(walk.graph, member, &output.name);
            for (part, own) in terms.iter_mut().zip(own) {
                part.push(own);
            }
        }
        let mut parts = Vec::new();
        for (outputs, terms) in self.outputs.iter().zip(terms) {
            let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
            let mean = walk.graph.call("Mean", &terms, &[]);
            parts.push(outputs.by.write_outputs(walk.graph, &mean));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(walk.graph.concat(&parts, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::layer::{Linear, MetadataSource};
    use crate::network::parameter::Start;
    use crate::network::shape::infer;
    use crate::network::value::Context;

    /// Two members that put out one number of their metadata and their bias: `outputs` is what these are.
    fn ensemble(by: Vote, members: [Member; 2], biases: [&[f32]; 2]) -> (Node, Shape) {
        let width = members[0].places.iter().chain(&members[1].places).max();
        let width = width.map_or(biases[0].len(), |last| last + 1);
        let child = |member: &Member, bias: &[f32]| {
            let source = MetadataSource {
                d_dense: member.dense.len(),
                ..MetadataSource::default()
            };
            let layers = [
                source.architecture(),
                Linear::new(bias.len()).zeros().into(),
            ];
            Architecture::numbered(layers)
        };
        let children = members
            .iter()
            .zip(biases)
            .enumerate()
            .map(|(at, (member, bias))| ((at + 1).to_string(), child(member, bias)));
        let children: Vec<(String, Architecture)> = children.collect();
        let layer = Ensemble {
            outputs: vec![VotedOutputs { by, width }],
            members: members.to_vec(),
        };
        let mut architecture = Architecture::with(layer, children);
        let output = infer(&mut architecture, Shape::Features(3)).unwrap()[0].output;
        let mut node = Node::new(&architecture, "", Start::Zeros, &Device::flex());
        node.each_parameter_mut("", &mut |path, parameter| {
            let (member, name) = path.split_once('.').unwrap();
            let member: usize = member.parse().unwrap();
            match name {
                "1.weight" => {
                    let mut weight = vec![0.0; parameter.shape().iter().product()];
                    weight[0] = 1.0;
                    parameter.set_values(weight);
                }
                _ => parameter.set_values(biases[member - 1].to_vec()),
            }
        });
        (node, output)
    }

    fn run(node: &Node) -> (Vec<f32>, Vec<f32>) {
        let device = Device::flex();
        let mut context = Context::evaluate(Some(MetadataTensors {
            dense: Tensor::from_floats([[1.0, 10.0, 100.0]], &device),
            codes: Tensor::zeros([1, 0], &device),
        }));
        let x = Value::Features(Tensor::zeros([1, 3], &device));
        let y = node.forward(x, &mut Walk::new(&mut context, &[]));
        let dense = context.metadata.map(|metadata| metadata.dense.dims());
        assert_eq!(dense, Some([1, 3]), "the row's metadata is there again");
        let spread = context.spread.unwrap();
        (tensor::numbers(y.features()), tensor::numbers(spread))
    }

    fn member(dense: &[usize]) -> Member {
        Member {
            dense: dense.to_vec(),
            ..Member::default()
        }
    }

    #[test]
    fn each_member_reads_its_own_metadata_and_the_mean_is_put_out() {
        let members = [member(&[0]), member(&[2, 1])];
        let (node, output) = ensemble(Vote::Values, members, [&[0.0, 5.0], &[1.0, 7.0]]);
        assert_eq!(output, Shape::Features(2));
        // 1 and 101; 5 and 7. The deviation of two from n − 1 is their distance over √2.
        let (y, spread) = run(&node);
        assert_eq!(y, [51.0, 6.0]);
        assert!((spread[0] - 100.0 / 2f32.sqrt()).abs() < 1e-4, "{spread:?}");
        assert!((spread[1] - 2f32.sqrt()).abs() < 1e-6, "{spread:?}");
    }

    #[test]
    fn values_are_brought_to_common_units() {
        let own = Member {
            scale: vec![10.0],
            offset: vec![3.0],
            ..member(&[0])
        };
        let (node, _) = ensemble(Vote::Values, [own, member(&[1])], [&[1.0], &[0.0]]);
        // (1 + 1) · 10 + 3 and 10.
        assert_eq!(run(&node).0, [16.5]);
    }

    #[test]
    fn a_class_that_a_member_has_not_met_has_no_probability_with_it() {
        let with = |places: &[usize]| Member {
            places: places.to_vec(),
            ..member(&[0])
        };
        // Its metadata adds 1 to the first logit of each.
        let members = [with(&[2, 0]), with(&[0, 1, 2])];
        let (node, output) = ensemble(Vote::Classes, members, [&[-1.0, 0.0], &[-1.0, 0.0, 0.0]]);
        assert_eq!(output, Shape::Features(3));
        let (y, _) = run(&node);
        let p: Vec<f32> = y.iter().map(|y| y.exp()).collect();
        let third = 1.0 / 3.0;
        let wanted = [(0.5 + third) / 2.0, third / 2.0, (0.5 + third) / 2.0];
        let mut pairs = p.iter().zip(wanted);
        assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-6), "{p:?}");
    }

    #[test]
    fn members_of_other_widths_and_places_beyond_are_refused() {
        let layer = |member: Member| Ensemble {
            outputs: vec![VotedOutputs {
                by: Vote::Classes,
                width: 2,
            }],
            members: vec![member],
        };
        let infer = |layer: Ensemble, n: usize| {
            let child = ("1", Architecture::from(Linear::new(n)));
            infer(&mut Architecture::with(layer, [child]), Shape::Features(3))
        };
        assert!(infer(layer(Member::default()), 2).is_ok());
        let refused = infer(layer(Member::default()), 3).unwrap_err();
        assert!(matches!(refused, Error::Shape { .. }), "{refused:?}");
        let beyond = Member {
            places: vec![0, 2],
            ..Member::default()
        };
        let refused = infer(layer(beyond), 2).unwrap_err();
        assert!(matches!(refused, Error::LayerField { .. }), "{refused:?}");
    }
}
