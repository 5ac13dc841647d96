//! Batch normalisation.

use super::layer_norm::check_epsilon;
use super::prelude::*;
use crate::network::value::BatchStatistics;

/// Normalisation over the batch, of maps or features.
///
/// While training it normalises by the batch's own statistics and *returns* them through the
/// context; the loop applies them ([`Network::apply_statistics`](crate::network::Network::apply_statistics)).
/// Evaluating, or where its running mean is frozen, it uses the running statistics.
///
/// # Shapes
///
/// - input and output: `[batch, features, …]`; parameters: `[features]`
///
/// # Source
///
/// Ioffe and Szegedy 2015, arXiv:1502.03167; torch's definition, its unbiased running variance included.
/// Departs from it: a batch with one number a channel has no variance, and is normalised by the running
/// statistics (torch refuses it).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNorm {
    /// Channels or features; 0: inferred.
    pub features: usize,
    /// Added to the variance. Default: 1e-5, torch's.
    pub epsilon: f64,
    /// Whether it has a learned scale and bias. Default: true.
    pub affine: bool,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self {
            features: 0,
            epsilon: 1e-5,
            affine: true,
        }
    }
}

impl BatchNorm {
    /// With this ε in the place of torch's 1e-5.
    pub fn with_epsilon(epsilon: f64) -> Self {
        Self {
            epsilon,
            ..Self::default()
        }
    }
    /// Whether it normalises by its running statistics.
    pub(in crate::network) fn is_inference(parameters: &Parameters, mode: Mode) -> bool {
        mode == Mode::Evaluate
            || parameters
                .get("running_mean")
                .is_some_and(|mean| mean.frozen)
    }
    /// Normalises, adds `other`, applies `then`.
    pub(in crate::network) fn normalize<const D: usize>(
        &self,
        parameters: &Parameters,
        x: Tensor<D>,
        other: Option<Tensor<D>>,
        then: Option<Activation>,
        walk: &mut Walk<'_>,
    ) -> Tensor<D> {
        let (weight, bias) = self.affine(parameters);
        let own = x.dims().iter().product::<usize>() / self.features.max(1);
        let sync = walk.context.sync_statistics.clone();
        if !Self::is_inference(parameters, walk.context.mode) && (own >= 2 || sync.is_some()) {
            let (x, weight, bias) = (x.clone(), weight.clone(), bias.clone());
            let after = (other.clone(), then);
            let normalized = tensor::batch_norm_train(x, weight, bias, self.epsilon, after, sync);
            // Over all ranks it may still be the only one.
            if normalized.n >= 2.0 {
                walk.context.statistics.push(BatchStatistics {
                    path: walk.path().to_owned(),
                    mean: normalized.mean.without_autodiff(),
                    variance: normalized.variance.without_autodiff(),
                });
                return normalized.output;
            }
        }
        let (mean, variance) = (parameters.d1("running_mean"), parameters.d1("running_var"));
        let y = tensor::batch_norm(x, weight, bias, mean, variance, self.epsilon);
        tensor::finish(y, other, then)
    }
    /// The normalisation by its running statistics as a factor and an offset per channel.
    pub(in crate::network) fn folded(&self, parameters: &Parameters) -> tensor::Folded {
        let (weight, bias) = self.affine(parameters);
        tensor::fold(
            weight,
            bias,
            parameters.d1("running_mean"),
            parameters.d1("running_var"),
            self.epsilon,
        )
    }
    /// Scale and bias, ones and zeros where it has none.
    fn affine(&self, parameters: &Parameters) -> (Tensor<1>, Tensor<1>) {
        if self.affine {
            return (parameters.d1("weight"), parameters.d1("bias"));
        }
        let device = parameters.d1("running_mean").device();
        (
            Tensor::ones([self.features], &device),
            Tensor::zeros([self.features], &device),
        )
    }
}

impl Leaf for BatchNorm {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let spec = |name, kind, value| {
            ParameterSpec::new(name, [self.features], kind, Initial::Constant(value))
        };
        let affine = [
            spec("weight", ParameterKind::Norm, 1.0),
            spec("bias", ParameterKind::Norm, 0.0),
        ];
        let running = [
            spec("running_mean", ParameterKind::Buffer, 0.0),
            spec("running_var", ParameterKind::Buffer, 1.0),
        ];
        let affine = affine.into_iter().filter(|_| self.affine);
        affine.chain(running).collect()
    }
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        if matches!(input, Shape::Nothing | Shape::Tokens { .. }) {
            return Err(at.misfit("a map or features", input, None));
        }
        at.width("features", &mut self.features, input.channels(), input)?;
        check_epsilon(self.epsilon, at)?;
        Ok(input)
    }
    fn forward(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        map_value!(x, x => self.normalize(&node.parameters, x, None, None, walk))
    }
    fn onnx(&self, graph: &mut Graph, node: &Node, x: &Flow) -> Option<String> {
        let n = self.features;
        let (factor, bias) = if self.affine {
            (
                parameter(graph, node, "weight"),
                parameter(graph, node, "bias"),
            )
        } else {
            (
                graph.floats(&[n], &vec![1.0; n]),
                graph.floats(&[n], &vec![0.0; n]),
            )
        };
        let mean = parameter(graph, node, "running_mean");
        let variance = parameter(graph, node, "running_var");
        Some(graph.call(
            "BatchNormalization",
            &[&x.name, &factor, &bias, &mean, &variance],
            &[("epsilon", Attr::Float(self.epsilon as f32))],
        ))
    }
}
