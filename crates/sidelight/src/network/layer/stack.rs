//! Branches that learn apart and are joined by a few factors.

use burn::tensor::{Device, TensorData};

use super::Vote;
use super::prelude::*;
use crate::encode::MISSING;
use crate::network::onnx::GraphMetadata;
use crate::network::value::{Context, MetadataTensors};
use crate::onnx::proto::Type;

/// The outputs of several branches, each with a loss of its own, joined by one factor each:
///
/// ```text
/// y = prior + Σ_b a_b (mean over members of f_b − prior)
/// ```
///
/// Or two votes: where `vote` is set, a row with both inputs is given the mean of what it would be given without metadata and
/// without an image, in the terms that the task predicts in.
///
/// The children are the branches, each there once a member, the members of a branch side by side. `prior` is what is best
/// put out before anything is known of a row. The factors `a_b ≥ 0` are not learned by steps: they are fitted
/// after the training, to rows that the branches have not learned from. A row that lacks an input has factors of its
/// own, of those branches that can do without.
///
/// # Shapes
///
/// - `prior`: `[n_outputs]`
/// - `factors`: `[3, branches]`: for rows with both inputs, without an image, without metadata
///
/// # Source
///
/// Wolpert 1992, "Stacked generalization", Neural Networks 5(2); nonnegative factors: Breiman 1996, "Stacked regressions",
/// Machine Learning 24. Members: the folds of van der Laan et al. 2007, "Super learner", kept and averaged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// The branches.
    pub branches: Vec<Branch>,
    /// How often each branch is there; member `k` does not learn from the rows of fold `k` where there are several.
    pub members: usize,
    /// Width of what it puts out; 0: inferred.
    #[serde(default)]
    pub n_outputs: usize,
    /// The dense metadata of a row whose columns are all missing.
    #[serde(default)]
    pub missing: Vec<f32>,
    /// How image and metadata vote; `None`: their branches are added.
    #[serde(default, skip_serializing_if = "is_default")]
    pub vote: Option<Vote>,
}

/// One of the branches of a [`Stack`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// The name, before the number of the member.
    pub name: String,
    /// Whether it reads the image.
    pub image: bool,
    /// Whether it reads the metadata.
    pub metadata: bool,
    /// Whether it is made before the training, and does not learn by steps.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fitted: bool,
}

impl Stack {
    /// Which inputs a row of the parameter [`Stack::FACTORS`] is for: image, metadata.
    pub const CASES: [(bool, bool); 3] = [(true, true), (false, true), (true, false)];
    const BOTH: usize = 0;
    const METADATA: usize = 1;
    const IMAGE: usize = 2;
    /// Name of the parameter of factors.
    pub const FACTORS: &str = "factors";
    /// Name of the parameter of what is put out where nothing is known.
    pub const PRIOR: &str = "prior";

    /// Whether any branch reads the metadata.
    pub(crate) fn reads_metadata(&self) -> bool {
        self.branches.iter().any(|branch| branch.metadata)
    }

    /// The branches that learn by steps.
    pub fn learning(&self) -> impl Iterator<Item = &Branch> {
        self.branches.iter().filter(|branch| !branch.fitted)
    }

    /// Whether there are rows without an image that it predicts.
    pub fn can_miss_image(&self) -> bool {
        self.branches.iter().any(|branch| !branch.image)
    }

    /// 1 for each row that is of this case, else 0: `[batch, 1]`.
    fn is_case(case: usize, [image, metadata]: &[Tensor<2>; 2]) -> Tensor<2> {
        let (has_image, has_metadata) = Self::CASES[case];
        let is = |wanted: bool, has: &Tensor<2>| match wanted {
            true => has.clone(),
            false => has.clone().neg() + 1.0,
        };
        is(has_image, image) * is(has_metadata, metadata)
    }

    /// The factors of a case, 0 where it lacks what a branch reads: `[1, branches]`.
    fn factors_of(&self, case: usize, factors: &Tensor<2>) -> Tensor<2> {
        factors.clone().narrow(0, case, 1) * self.usable(case, &factors.device())
    }

    /// The factors of a case in each row, `[batch, branches]`, or in every one, `[1, branches]`.
    fn factors_in(&self, case: usize, own: &Tensor<2>, context: &Context) -> Tensor<2> {
        let of_members = context.members.iter().flat_map(|members| {
            let factors = context.factors.iter().enumerate();
            factors.map(|(k, factors)| {
                members.clone().narrow(1, k, 1) * self.factors_of(case, factors)
            })
        });
        let of_rows = of_members.reduce(|sum, more| sum + more);
        of_rows.unwrap_or_else(|| self.factors_of(case, own))
    }

    /// Per row and branch its factor, `[batch, branches]`, of the factors of each case.
    fn weights(&self, factors: &[Tensor<2>], has: &[Tensor<2>; 2]) -> Tensor<2> {
        let n = self.branches.len();
        let of_case = |(case, factors): (usize, &Tensor<2>)| {
            let rows = Self::is_case(case, has); // [batch, 1]
            let batch = rows.dims()[0];
            rows.expand([batch, n]) * factors.clone()
        };
        let sum = factors
            .iter()
            .enumerate()
            .map(of_case)
            .reduce(|sum, more| sum + more);
        sum.expect("there are three cases")
    }

    /// 1 for each branch that has all that it reads in this case, else 0: `[1, branches]`.
    fn usable(&self, case: usize, device: &Device) -> Tensor<2> {
        row(self.usable_in(case), device)
    }

    /// 1 for each branch that has all that it reads in this case, else 0.
    pub fn usable_in(&self, case: usize) -> Vec<f32> {
        let (image, metadata) = Self::CASES[case];
        let can = |branch: &Branch| (image || !branch.image) && (metadata || !branch.metadata);
        let branches = self.branches.iter();
        branches
            .map(|branch| f32::from(u8::from(can(branch))))
            .collect()
    }

    /// Mean over the members of a branch, each row's as the context weighs them.
    fn mean(&self, outputs: &[Tensor<2>], walk: &Walk<'_>) -> Tensor<2> {
        let weighed = outputs
            .iter()
            .enumerate()
            .map(|(k, output)| match &walk.context.members {
                Some(members) => output.clone() * members.clone().narrow(1, k, 1),
                None => output.clone() / self.members as f32,
            });
        let sum = weighed.reduce(|sum, output| sum + output);
        sum.expect("a branch has at least one member")
    }
}

impl Operation for Stack {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let start = Initial::Constant((self.branches.len().max(1) as f32).recip());
        vec![
            ParameterSpec::new(
                Self::PRIOR,
                [self.n_outputs],
                ParameterKind::Buffer,
                Initial::Constant(0.0),
            ),
            ParameterSpec::new(
                Self::FACTORS,
                [Self::CASES.len(), self.branches.len()],
                ParameterKind::Buffer,
                start,
            ),
        ]
    }
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        let expected = self.branches.len().saturating_mul(self.members);
        if expected == 0 || inside.len() != expected || self.learning().next().is_none() {
            let expected = format!("{expected} children, one a branch and member");
            return Err(inside.at.misfit(expected, inside.len(), None));
        }
        for i in 0..inside.len() {
            let output = inside.child(i, input)?;
            let n = inside.at.features(output)?;
            inside
                .at
                .width("n_outputs", &mut self.n_outputs, n, output)?;
        }
        Ok(Shape::Features(self.n_outputs))
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let trains = walk.context.mode == Mode::Train;
        let children = node.children.chunks(self.members.max(1));
        // What does not learn has no part in a step.
        let runs: Vec<(usize, Vec<Tensor<2>>)> = children
            .zip(&self.branches)
            .enumerate()
            .filter(|(_, (_, branch))| !(trains && branch.fitted))
            .map(|(b, (children, _))| {
                let outputs = children.iter().map(|(name, child)| {
                    walk.within(name, |walk| child.forward(x.clone(), walk))
                        .features()
                });
                (b, outputs.collect())
            })
            .collect();
        let first = &runs[0].1[0];
        let (batch, device) = (first.dims()[0], first.device());
        let ones = || Tensor::<2>::ones([batch, 1], &device);
        let has_image = walk.context.has_image.clone().unwrap_or_else(ones);
        let has_metadata = match &walk.context.metadata {
            Some(metadata) if self.reads_metadata() => metadata.is_known(&self.missing),
            _ => ones(),
        };
        let (has, own) = ([has_image, has_metadata], node.parameters.d2(Self::FACTORS));
        let factors: Vec<Tensor<2>> = (0..Self::CASES.len())
            .map(|case| self.factors_in(case, &own, walk.context))
            .collect();
        let prior = node.parameters.d1(Self::PRIOR).reshape([1, self.n_outputs]);
        let means: Vec<(usize, Tensor<2>)> = runs
            .iter()
            .map(|(b, outputs)| (*b, self.mean(outputs, walk)))
            .collect();
        // `weights`: [batch or 1, branches].
        let join = |weights: &Tensor<2>| {
            let start = prior.clone().expand([batch, self.n_outputs]);
            let branches = means.iter();
            branches.fold(start, |y, (b, mean)| {
                y + (mean.clone() - prior.clone()) * weights.clone().narrow(1, *b, 1)
            })
        };
        let mut y = join(&self.weights(&factors, &has));
        if let Some(vote) = self.vote {
            let [image, metadata] = [Self::IMAGE, Self::METADATA].map(|case| join(&factors[case]));
            let both = Self::is_case(Self::BOTH, &has);
            let alone = both.clone().neg() + 1.0;
            y = vote.mean(vec![image, metadata]) * both + y * alone;
        }
        walk.context.auxiliary.extend(match trains {
            true => runs.into_iter().flat_map(|(_, outputs)| outputs).collect(),
            false => means.into_iter().map(|(_, mean)| mean).collect::<Vec<_>>(),
        });
        Value::Features(y)
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String> {
        let outputs = walk.each(node, path, &x)?;
        let prior = parameter(walk.graph, node, Self::PRIOR);
        let factors = node.parameters.d2(Self::FACTORS);
        let of_case = |graph: &mut Graph, case: usize| {
            let of_case = self.factors_of(case, &factors).inner();
            graph.floats(&[1, self.branches.len()], &tensor::numbers(of_case))
        };
        let mut moved = Vec::new();
        for of_branch in outputs.chunks(self.members) {
            let of_branch: Vec<&str> = of_branch.iter().map(String::as_str).collect();
            let mean = match of_branch[..] {
                [only] => only.to_owned(),
                _ => walk.graph.call("Mean", &of_branch, &[]),
            };
            moved.push(walk.graph.binary("Sub", &mean, &prior));
        }
        let join = |graph: &mut Graph, weights: &str| {
            let mut y = prior.clone();
            for (b, moved) in moved.iter().enumerate() {
                let weight = graph.slice(weights, b, b + 1, 1);
                let moved = graph.binary("Mul", moved, &weight);
                y = graph.binary("Add", &y, &moved);
            }
            y
        };
        // Every row of the graph has an image; only the metadata may be missing.
        let both = of_case(walk.graph, Self::BOTH);
        if !(self.reads_metadata() && self.branches.iter().any(|branch| branch.image)) {
            return Ok(join(walk.graph, &both));
        }
        let without = of_case(walk.graph, Self::IMAGE);
        let known = is_known(walk.graph, walk.metadata, &self.missing); // [n, 1]
        // What is `a` where the metadata is known, else `b`.
        let choose = |graph: &mut Graph, a: &str, b: &str| {
            let gain = graph.binary("Sub", a, b);
            let gain = graph.binary("Mul", &known, &gain);
            graph.binary("Add", b, &gain)
        };
        Ok(match self.vote {
            None => {
                let weights = choose(walk.graph, &both, &without);
                join(walk.graph, &weights)
            }
            Some(vote) => {
                let metadata = of_case(walk.graph, Self::METADATA);
                let metadata = join(walk.graph, &metadata);
                let image = join(walk.graph, &without);
                let both = vote.onnx(walk.graph, &[image.clone(), metadata]);
                choose(walk.graph, &both, &image)
            }
        })
    }
}

/// Numbers as one row, `[1, n]`.
fn row(values: Vec<f32>, device: &Device) -> Tensor<2> {
    let shape = [1, values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}

impl MetadataTensors {
    /// 1 where any column is known, 0 where all are missing, whose dense part is then `missing`: `[batch, 1]`.
    fn is_known(&self, missing: &[f32]) -> Tensor<2> {
        let [batch, width] = self.dense.dims();
        let device = self.dense.device();
        let mut differs = Tensor::<2>::zeros([batch, 1], &device);
        if width > 0 && width == missing.len() {
            let missing = row(missing.to_vec(), &device);
            differs = differs + (self.dense.clone() - missing).abs().sum_dim(1);
        }
        if self.codes.dims()[1] > 0 {
            let codes = self.codes.clone() - MISSING as i32;
            differs = differs + codes.abs().float().sum_dim(1);
        }
        differs.greater_elem(0.0).float()
    }
}

/// [`MetadataTensors::is_known`] as nodes.
fn is_known(graph: &mut Graph, metadata: &GraphMetadata, missing: &[f32]) -> String {
    let mut differs = Vec::new();
    if let Some(dense) = &metadata.dense {
        let missing = graph.floats(&[1, missing.len()], missing);
        let difference = graph.binary("Sub", dense, &missing);
        let difference = graph.unary("Abs", &difference);
        let axes = [("axes", Attr::Ints(&[1])), ("keepdims", Attr::Int(1))];
        differs.push(graph.call("ReduceMax", &[&difference], &axes));
    }
    for code in &metadata.codes {
        let code = graph.cast(code, Type::Float);
        let missing = graph.float(MISSING as f32);
        let difference = graph.binary("Sub", &code, &missing);
        let difference = graph.unary("Abs", &difference);
        differs.push(graph.unsqueeze(&difference, &[1]));
    }
    let sum = differs
        .into_iter()
        .reduce(|sum, more| graph.binary("Add", &sum, &more));
    let zero = graph.float(0.0);
    let known = graph.binary("Greater", &sum.unwrap_or_default(), &zero);
    graph.cast(&known, Type::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::layer::Linear;
    use crate::network::parameter::Start;
    use crate::network::shape::infer;

    /// Branches that put out their bias: 10, 12 of the image, 20, 24 of the metadata.
    fn stack(vote: Option<Vote>) -> Node {
        let branch = |name: &str, image, metadata| Branch {
            name: name.into(),
            image,
            metadata,
            fitted: false,
        };
        let layer = Stack {
            branches: vec![
                branch("image", true, false),
                branch("metadata", false, true),
            ],
            members: 2,
            n_outputs: 0,
            missing: vec![0.0, 7.0],
            vote,
        };
        let child = |name| (name, Linear::new(1).zeros().into());
        let mut architecture = Architecture::with(
            layer,
            ["image0", "image1", "metadata0", "metadata1"].map(child),
        );
        infer(&mut architecture, Shape::Features(3)).unwrap();
        let mut node = Node::new(&architecture, "", Start::Zeros, &Device::flex());
        let values = [[1.0].to_vec(), [0.5, 0.25, 0.0, 2.0, 1.0, 0.0].to_vec()];
        for (parameter, values) in node.parameters.0.iter_mut().zip(values) {
            parameter.set_values(values);
        }
        for ((_, child), bias) in node.children.iter_mut().zip([10.0, 12.0, 20.0, 24.0]) {
            let bias_of = |p: &&mut crate::network::Parameter| p.name == "bias";
            child
                .parameters
                .0
                .iter_mut()
                .find(bias_of)
                .unwrap()
                .set_values(vec![bias]);
        }
        node
    }

    fn run(context: &mut Context) -> Vec<f32> {
        let x = Value::Features(Tensor::zeros([3, 3], &Device::flex()));
        tensor::numbers(
            stack(None)
                .forward(x, &mut Walk::new(context, &[]))
                .features(),
        )
    }

    fn context() -> Context {
        let device = Device::flex();
        Context {
            metadata: Some(MetadataTensors {
                dense: Tensor::from_floats([[1.0, 7.0], [1.0, 7.0], [0.0, 7.0]], &device),
                codes: Tensor::zeros([3, 0], &device),
            }),
            has_image: Some(Tensor::from_floats([[1.0], [0.0], [1.0]], &device)),
            ..Context::default()
        }
    }

    #[test]
    fn a_row_is_joined_by_the_factors_of_what_it_has() {
        // Both: 1 + (11 − 1) / 2 + (22 − 1) / 4; no image: 1 + 2 · 21; no metadata: 1 + 10.
        assert_eq!(run(&mut context()), [11.25, 43.0, 11.0]);
        assert_eq!(context().auxiliary.len(), 0);
    }

    #[test]
    fn a_row_that_was_held_out_is_predicted_by_its_member_alone() {
        let mut context = context();
        let members = [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]];
        context.members = Some(Tensor::from_floats(members, &Device::flex()));
        // 1 + 9 / 2 + 19 / 4; 1 + 2 · 23; as before.
        assert_eq!(run(&mut context), [10.25, 47.0, 11.0]);
        assert_eq!(
            context.auxiliary.len(),
            2,
            "what each branch says is left in the context"
        );
    }

    #[test]
    fn a_row_that_was_held_out_is_joined_by_the_factors_of_its_member() {
        let device = Device::flex();
        let mut context = context();
        context.members = Some(Tensor::from_floats(
            [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]],
            &device,
        ));
        context.factors = vec![
            Tensor::from_floats([[1.0, 0.0], [0.0, 1.0], [0.5, 0.0]], &device),
            Tensor::from_floats([[0.0, 1.0], [0.0, 0.5], [1.5, 0.0]], &device),
        ];
        // 1 + 9; 1 + 23 / 2; 1 + 10 · (.5 + 1.5) / 2.
        assert_eq!(run(&mut context), [10.0, 12.5, 11.0]);
    }

    #[test]
    fn two_votes_are_the_mean_of_what_each_would_say_alone() {
        let vote = |vote| {
            let x = Value::Features(Tensor::zeros([3, 3], &Device::flex()));
            let mut context = context();
            tensor::numbers(
                stack(Some(vote))
                    .forward(x, &mut Walk::new(&mut context, &[]))
                    .features(),
            )
        };
        // The image alone: 1 + 10; the metadata alone: 1 + 2 · 21.
        assert_eq!(vote(Vote::Values), [27.0, 43.0, 11.0]);
        let labels = vote(Vote::Labels);
        let p = |z: f64| 1.0 / (1.0 + (-z).exp());
        let mean = f64::midpoint(p(11.0), p(43.0));
        let expected = (mean / (1.0 - mean)).ln();
        assert!(
            (f64::from(labels[0]) - expected).abs() < 0.05,
            "{labels:?}, not {expected}"
        );
        assert_eq!(labels[1..], [43.0, 11.0]);
    }
}
