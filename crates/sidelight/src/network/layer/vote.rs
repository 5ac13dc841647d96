//! The mean of what several networks say, in the terms that a task predicts in.

use burn::tensor::activation::{sigmoid, softmax};

use super::prelude::*;
use crate::task::Task;

/// What the mean of several votes is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Vote {
    /// Of values and points, as they are.
    #[default]
    Values,
    /// Of the probabilities of classes.
    Classes,
    /// Of the probability of each label.
    Labels,
    /// Of what each number is the logarithm of: expected errors.
    Logarithms,
}

/// No probability is below.
const TINY: f64 = 1e-12;

impl Vote {
    /// What the outputs of a task are.
    pub fn of_task(task: &Task) -> Self {
        match task {
            Task::Class { .. } => Self::Classes,
            Task::Multilabel { .. } => Self::Labels,
            Task::Regression { .. } | Task::Keypoints { .. } => Self::Values,
        }
    }

    /// Outputs in the terms that their mean is taken in: probabilities, values, errors. `[batch, n]`, as all here.
    pub(super) fn terms(self, outputs: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Values => outputs,
            Self::Classes => softmax(outputs, 1),
            Self::Labels => sigmoid(outputs),
            Self::Logarithms => outputs.exp(),
        }
    }

    /// The way back from [`Vote::terms`].
    pub(super) fn outputs(self, terms: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Values => terms,
            Self::Classes | Self::Logarithms => terms.clamp_min(TINY).log(),
            Self::Labels => {
                let q = terms.clone().neg() + 1.0;
                terms.clamp_min(TINY).log() - q.clamp_min(TINY).log()
            }
        }
    }

    /// The outputs whose prediction is the mean of those of each of these, of which there is at least one.
    pub(super) fn mean(self, outputs: Vec<Tensor<2>>) -> Tensor<2> {
        let terms = outputs.into_iter().map(|outputs| self.terms(outputs));
        self.outputs(mean(terms.collect()))
    }

    /// [`Vote::terms`] as nodes.
    pub(super) fn write_terms(self, graph: &mut Graph, outputs: &str) -> String {
        match self {
            Self::Values => outputs.to_owned(),
            Self::Classes => graph.call("Softmax", &[outputs], &[("axis", Attr::Int(1))]),
            Self::Labels => graph.unary("Sigmoid", outputs),
            Self::Logarithms => graph.unary("Exp", outputs),
        }
    }

    /// [`Vote::outputs`] as nodes.
    pub(super) fn write_outputs(self, graph: &mut Graph, terms: &str) -> String {
        let log = |graph: &mut Graph, p: &str| {
            let tiny = graph.float(TINY as f32);
            let p = graph.binary("Max", p, &tiny);
            graph.unary("Log", &p)
        };
        match self {
            Self::Values => terms.to_owned(),
            Self::Classes | Self::Logarithms => log(graph, terms),
            Self::Labels => {
                let one = graph.float(1.0);
                let q = graph.binary("Sub", &one, terms);
                let (p, q) = (log(graph, terms), log(graph, &q));
                graph.binary("Sub", &p, &q)
            }
        }
    }

    /// [`Vote::mean`] as nodes.
    pub(super) fn onnx(self, graph: &mut Graph, outputs: &[String]) -> String {
        let terms = outputs.iter();
        let terms: Vec<String> = terms
            .map(|outputs| self.write_terms(graph, outputs))
            .collect();
        let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
        let mean = graph.call("Mean", &terms, &[]);
        self.write_outputs(graph, &mean)
    }
}

/// The mean of at least one.
pub(super) fn mean(all: Vec<Tensor<2>>) -> Tensor<2> {
    let share = (all.len() as f64).recip();
    let sum = all.into_iter().reduce(|sum, one| sum + one);
    sum.expect("there is at least one") * share
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn row(values: &[f32]) -> Tensor<2> {
        Tensor::<1>::from_floats(values, &Device::flex()).reshape([1, values.len()])
    }

    #[test]
    fn the_mean_is_of_what_the_task_predicts() {
        let mean = |vote: Vote, a: &[f32], b: &[f32]| -> Vec<f32> {
            tensor::numbers(vote.terms(vote.mean(vec![row(a), row(b)])))
        };
        let near = |found: Vec<f32>, wanted: &[f32]| {
            let mut pairs = found.iter().zip(wanted);
            assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
            assert_eq!(found.len(), wanted.len());
        };
        near(mean(Vote::Values, &[1.0, -2.0], &[3.0, 6.0]), &[2.0, 2.0]);
        // Probabilities ½, ½ and ¾, ¼.
        let classes = mean(Vote::Classes, &[0.0, 0.0], &[3f32.ln(), 0.0]);
        near(classes, &[0.625, 0.375]);
        let labels = mean(Vote::Labels, &[0.0, 0.0], &[3f32.ln(), -(3f32.ln())]);
        near(labels, &[0.625, 0.375]);
        near(mean(Vote::Logarithms, &[2f32.ln()], &[6f32.ln()]), &[4.0]);
    }

    #[test]
    fn those_who_are_sure_of_opposites_leave_numbers() {
        for vote in [Vote::Classes, Vote::Labels] {
            let all = vote.mean(vec![row(&[200.0, -200.0]), row(&[200.0, -200.0])]);
            let found: Vec<f32> = tensor::numbers(all);
            assert!(found.iter().all(|x| x.is_finite()), "{found:?}");
            assert!(found[0] > found[1], "{found:?}");
        }
    }
}
