//! Several images of a row become one list of features.

use burn::tensor::activation::softmax;

use super::prelude::*;
use crate::config::ImagePooling;

/// Joins the features of a row's images, those that are missing left out ([`Context::has_images`]). What stands before it
/// among the root's children runs on each image by itself, with the same weights.
///
/// # Shapes
///
/// - input: the features of each image, `[batch, n · features]`
/// - output: `[batch, features]`; `concat`: `[batch, n · features]`
///
/// # Source
///
/// `max`: Su et al. 2015, "Multi-view convolutional neural networks", arXiv:1505.00880, section 3.2. `attention`: Ilse et al.
/// 2018, "Attention-based deep multiple instance learning", arXiv:1802.04712, eq. 7 and 8, w starting as zeros: as the mean.
///
/// [`Context::has_images`]: crate::network::Context::has_images
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImagePool {
    /// Images of a row.
    pub n: usize,
    /// How their features are joined.
    pub by: ImagePooling,
    /// Width of the features of one; 0: inferred.
    #[serde(default)]
    pub width: usize,
}

/// Width of attention's hidden layer, L in the paper's equation 8.
const HIDDEN: usize = 64;
/// What is added to a score that is not to count.
const NEVER: f32 = -1e9;

impl ImagePool {
    /// The row's images as one: `x` is `[batch, n, width]`, `has` `[batch, n, 1]`, 1 where an image is there.
    fn joined(&self, node: &Node, x: Tensor<3>, has: Option<&Tensor<3>>) -> Tensor<2> {
        let [batch, n, width] = x.dims();
        let never = |has: &Tensor<3>| (has.clone() - 1.0) * -NEVER;
        let rows = |x: Tensor<3>| x.reshape([batch, width]);
        // Nothing of a row without any image.
        let of_any = |x: Tensor<3>| match has {
            Some(has) => rows(x * has.clone().max_dim(1)),
            None => rows(x),
        };
        match (self.by, has) {
            (ImagePooling::Mean, None) => rows(x.mean_dim(1)),
            (ImagePooling::Mean, Some(has)) => {
                let count = has.clone().sum_dim(1).clamp_min(1.0);
                rows((x * has.clone()).sum_dim(1) / count)
            }
            (ImagePooling::Max, None) => rows(x.max_dim(1)),
            (ImagePooling::Max, Some(has)) => of_any((x + never(has)).max_dim(1)),
            (ImagePooling::Attention, _) => {
                let scores = self.scores(node, x.clone());
                let scores = match has {
                    Some(has) => scores + never(has),
                    None => scores,
                };
                of_any((x * softmax(scores, 1)).sum_dim(1))
            }
            (ImagePooling::Concat, None) => x.reshape([batch, n * width]),
            (ImagePooling::Concat, Some(has)) => (x * has.clone()).reshape([batch, n * width]),
        }
    }

    /// How much each image matters, before the softmax: `[batch, n, 1]`.
    fn scores(&self, node: &Node, x: Tensor<3>) -> Tensor<3> {
        let [.., width] = x.dims();
        let hidden = node
            .parameters
            .d2("attention.weight")
            .reshape([1, HIDDEN, width]);
        let bias = node.parameters.d1("attention.bias").reshape([1, 1, HIDDEN]);
        let score = node.parameters.d2("score.weight").reshape([1, 1, HIDDEN]);
        let hidden = (x.matmul(hidden.swap_dims(1, 2)) + bias).tanh();
        (hidden * score).sum_dim(2)
    }
}

impl Operation for ImagePool {
    fn parameters(&self) -> Vec<ParameterSpec> {
        if self.by != ImagePooling::Attention {
            return Vec::new();
        }
        let spec = |name, shape: [usize; 2], start| {
            ParameterSpec::new(name, shape, ParameterKind::Weight, start)
        };
        let zeros = Initial::Constant(0.0);
        vec![
            spec(
                "attention.weight",
                [HIDDEN, self.width],
                Initial::Normal(0.02),
            ),
            ParameterSpec::new("attention.bias", [HIDDEN], ParameterKind::Bias, zeros),
            spec("score.weight", [1, HIDDEN], zeros),
        ]
    }
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        inside.refuse_any()?;
        let features = inside.at.features(input)?;
        if self.n < 2 {
            return Err(inside.at.field("n", "at least 2 images", self.n));
        }
        inside.at.width("width", &mut self.width, features, input)?;
        Ok(Shape::Features(match self.by {
            ImagePooling::Concat => self.n * features,
            _ => features,
        }))
    }
    fn multiply_adds(&self, _: Shape, _: Shape) -> usize {
        match self.by {
            ImagePooling::Attention => self.n * HIDDEN * (self.width + 1),
            _ => 0,
        }
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let x = x.features();
        let [batch, _] = x.dims();
        let has = walk.context.has_images.clone();
        let has = has.map(|has| has.reshape([batch, self.n, 1]));
        Value::Features(self.joined(node, x.reshape([batch, self.n, self.width]), has.as_ref()))
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, _: &str, x: Flow) -> Result<String> {
        let has = walk.metadata.has_images.clone().unwrap_or_default();
        let graph = &mut *walk.graph;
        let [n, width] = [self.n, self.width].map(|n| n as i64);
        let x = graph.reshape(&x.name, &[-1, n, width]);
        let has = graph.unsqueeze(&has, &[2]); // [rows, n, 1]
        let over = |graph: &mut Graph, op: &str, x: &str| match op {
            // Axes are an input of sums, an attribute of all others, in this version.
            "ReduceSum" => {
                let axes = graph.ints(&[1]);
                graph.call(op, &[x, &axes], &[("keepdims", Attr::Int(0))])
            }
            _ => graph.call(
                op,
                &[x],
                &[("axes", Attr::Ints(&[1])), ("keepdims", Attr::Int(0))],
            ),
        };
        let (one, far) = (graph.float(1.0), graph.float(-NEVER));
        let absent = graph.binary("Sub", &has, &one);
        let never = graph.binary("Mul", &absent, &far);
        let y = match self.by {
            ImagePooling::Concat => {
                let x = graph.binary("Mul", &x, &has);
                return Ok(graph.reshape(&x, &[-1, n * width]));
            }
            ImagePooling::Mean => {
                let x = graph.binary("Mul", &x, &has);
                let sum = over(graph, "ReduceSum", &x);
                let count = over(graph, "ReduceSum", &has);
                let count = graph.binary("Max", &count, &one);
                return Ok(graph.binary("Div", &sum, &count));
            }
            ImagePooling::Max => {
                let x = graph.binary("Add", &x, &never);
                over(graph, "ReduceMax", &x)
            }
            ImagePooling::Attention => {
                let [weight, bias, score] = ["attention.weight", "attention.bias", "score.weight"]
                    .map(|name| parameter(graph, node, name));
                let weight = graph.transpose(&weight, &[1, 0]);
                let hidden = graph.binary("MatMul", &x, &weight);
                let hidden = graph.binary("Add", &hidden, &bias);
                let hidden = graph.unary("Tanh", &hidden);
                let score = graph.transpose(&score, &[1, 0]);
                let scores = graph.binary("MatMul", &hidden, &score);
                let scores = graph.binary("Add", &scores, &never);
                let weights = graph.call("Softmax", &[&scores], &[("axis", Attr::Int(1))]);
                let x = graph.binary("Mul", &x, &weights);
                over(graph, "ReduceSum", &x)
            }
        };
        let any = over(graph, "ReduceMax", &has);
        Ok(graph.binary("Mul", &y, &any))
    }
}
