//! Several candidates for where all points of an object lie, and the choice among them.

use burn::tensor::Int;
use burn::tensor::activation::{log_softmax, softmax};

use super::heatmap::{coordinates, coordinates_tensor};
use super::prelude::*;

/// `n` candidates for the places of all points, and how probable each is.
///
/// ```text
/// h_kp  = softmax over pixels of maps(x)          a heatmap for point p of candidate k
/// c_kp  = Σ h_kp · (x, y)                         its place, as SoftArgmax has it
/// s_k   = [Σ h_k · look(x), mean of c_kp, spread] what is seen there and where that is; h_k: mean over the points
/// l     = gate(s_1 … s_n)                         logits of the candidates; where the gate reads metadata, it chooses
/// y     = [c of the most probable, all c_k, ln softmax(l / T)]
/// ```
///
/// The gate is given what the candidates are, and learns which of them is meant; no gradient goes from the choice to
/// where candidates lie.
///
/// # Shapes
///
/// - input: `[batch, channels, height, width]`
/// - output: `[batch, 2 points + n (2 points + 1)]`
/// - `temperature`: `[1]`, T
///
/// Its children are `maps` (to `[batch, n · points, height, width]`), `look` (to `[batch, any, height, width]`) and `gate`
/// (from `[batch, n · (any + 3)]` to `[batch, n]`).
///
/// # Source
///
/// Several hypotheses of which one is to be right: Guzman-Rivera et al. 2012, "Multiple choice learning", NIPS; their
/// probabilities as of a mixture density network: Bishop 1994, NCRG/94/004. Places: Nibali et al. 2018, arXiv:1801.07372.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidates {
    /// How many.
    pub n: usize,
    /// Points of each.
    pub points: usize,
}

/// Beside what a candidate looks like: the mean of its places, and how far its heatmaps spread.
const ABOUT_PLACE: usize = 3;

impl Candidates {
    /// Name of the parameter by which logits are divided.
    pub const TEMPERATURE: &str = "temperature";
    const CHILDREN: [&str; 3] = ["maps", "look", "gate"];

    /// Numbers that it puts out.
    pub fn width(&self) -> usize {
        2 * self.points + self.n * (2 * self.points + 1)
    }

    /// Numbers that come to the gate where this many channels tell what a place looks like.
    fn seen(&self, channels: usize) -> usize {
        self.n * (channels + ABOUT_PLACE)
    }

    /// What a child makes of the map.
    fn map(node: &Node, child: usize, x: &Value, walk: &mut Walk<'_>) -> Tensor<4> {
        let (name, child) = &node.children[child];
        walk.within(name, |walk| child.forward(x.clone(), walk))
            .map()
    }
}

impl Operation for Candidates {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let one = Initial::Constant(1.0);
        vec![ParameterSpec::new(
            Self::TEMPERATURE,
            [1],
            ParameterKind::Buffer,
            one,
        )]
    }
    fn infer(&mut self, inside: &mut Inside<'_>, input: Shape) -> Result<Shape> {
        let [_, height, width] = inside.at.map(input)?;
        let names: Vec<&str> = (0..inside.len()).map(|i| inside.name(i)).collect();
        if names != Self::CHILDREN {
            let found = names.join(", ");
            return Err(inside.at.misfit("`maps`, `look`, `gate`", found, None));
        }
        if self.n == 0 || self.points == 0 {
            let least = self.n.min(self.points);
            return Err(inside
                .at
                .field("n", "at least 1, and so must `points`", least));
        }
        let maps = inside.child(0, input)?;
        let channels = self.n * self.points;
        let wanted = Shape::Map {
            channels,
            height,
            width,
        };
        if maps != wanted {
            let fit = format!("let the last layer of `maps` have {channels} channels");
            return Err(inside.at.misfit(wanted, maps, Some(fit)));
        }
        let look = inside.child(1, input)?;
        let channels = look.channels();
        if look != maps.with_channels(channels) {
            return Err(inside.at.misfit("a map as large from `look`", look, None));
        }
        let gate = inside.child(2, Shape::Features(self.seen(channels)))?;
        if gate != Shape::Features(self.n) {
            let expected = format!("{} features from `gate`, one a candidate", self.n);
            return Err(inside.at.misfit(expected, gate, None));
        }
        Ok(Shape::Features(self.width()))
    }
    fn run(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        let (n, points) = (self.n, self.points);
        let maps = Self::map(node, 0, &x, walk);
        let look = Self::map(node, 1, &x, walk);
        let [batch, _, height, width] = maps.dims();
        let pixels = height * width;
        let share = softmax(maps.reshape([batch * n * points, pixels]), 1);
        let at = coordinates_tensor(height, width, &share.device());
        let places = share.clone().matmul(at.clone()); // [batch · n · points, 2]
        let of_points = |x: Tensor<2>| x.reshape([batch * n, points, 2]).mean_dim(1);
        let middle = of_points(places.clone().detach()).reshape([batch, n, 2]);
        let squares = share.clone().detach().matmul(at.powi_scalar(2)); // E of x² and y²
        let spread = of_points(squares - places.clone().detach().powi_scalar(2));
        let spread = spread
            .sum_dim(2)
            .clamp_min(0.0)
            .sqrt()
            .reshape([batch, n, 1]);
        let share = share.detach().reshape([batch, n, points, pixels]);
        let share = share.mean_dim(2).reshape([batch, n, pixels]);
        let [_, channels, ..] = look.dims();
        let look = look.reshape([batch, channels, pixels]).swap_dims(1, 2);
        let seen = Tensor::cat(vec![share.matmul(look), middle, spread], 2);
        let seen = Value::Features(seen.reshape([batch, self.seen(channels)]));
        let (name, gate) = &node.children[2];
        let logits = walk
            .within(name, |walk| gate.forward(seen, walk))
            .features();
        let temperature = node.parameters.d1(Self::TEMPERATURE).reshape([1, 1]);
        let logits = log_softmax(logits / temperature, 1); // [batch, n]
        let best = logits.clone().argmax(1).expand([batch, n]);
        let order = Tensor::<1, Int>::arange(0..n as i64, &logits.device());
        let is_best = order.reshape([1, n]).expand([batch, n]).equal(best).float();
        let places = places.reshape([batch, n, 2 * points]);
        let best = (places.clone() * is_best.reshape([batch, n, 1])).sum_dim(1);
        let parts = vec![
            best.reshape([batch, 2 * points]),
            places.reshape([batch, n * 2 * points]),
            logits,
        ];
        Value::Features(Tensor::cat(parts, 1))
    }
    fn write(&self, walk: &mut OnnxWalk<'_>, node: &Node, path: &str, x: Flow) -> Result<String> {
        let Shape::Map { height, width, .. } = x.shape else {
            return Err(Error::NoOnnx {
                path: path.to_owned(),
                layer: node.layer.kind().to_owned(),
            });
        };
        let (n, points, pixels) = (self.n as i64, self.points as i64, height * width);
        let maps = walk.child(path, &node.children[0], x.clone())?;
        let look = walk.child(path, &node.children[1], x)?;
        let channels = look.shape.channels();
        let seen = {
            let graph = &mut *walk.graph;
            let at = coordinates(height, width);
            let squares: Vec<f32> = at.iter().map(|at| at * at).collect();
            let at = graph.floats(&[pixels, 2], &at);
            let squares = graph.floats(&[pixels, 2], &squares);
            let maps = graph.reshape(&maps.name, &[-1, pixels as i64]);
            let share = graph.call("Softmax", &[&maps], &[("axis", Attr::Int(1))]);
            let places = graph.binary("MatMul", &share, &at);
            let mean = |graph: &mut Graph, x: &str, shape: &[i64], axis: i64| {
                let x = graph.reshape(x, shape);
                let axes = [axis];
                let keep = [("axes", Attr::Ints(&axes)), ("keepdims", Attr::Int(0))];
                graph.call("ReduceMean", &[&x], &keep)
            };
            let middle = mean(graph, &places, &[-1, n, points, 2], 2); // [batch, n, 2]
            let squares = graph.binary("MatMul", &share, &squares);
            let of_places = graph.binary("Mul", &places, &places);
            let spread = graph.binary("Sub", &squares, &of_places);
            // The mean over points and axes, times 2: the mean of what both axes sum up to.
            let spread = mean(graph, &spread, &[-1, n, 2 * points], 2);
            let spread = graph.unsqueeze(&spread, &[2]); // [batch, n, 1]
            let two = graph.float(2.0);
            let spread = graph.binary("Mul", &spread, &two);
            let spread = graph.unary("Relu", &spread);
            let spread = graph.unary("Sqrt", &spread);
            let share = mean(graph, &share, &[-1, n, points, pixels as i64], 2);
            let look = graph.reshape(&look.name, &[0, channels as i64, pixels as i64]);
            let look = graph.call("Transpose", &[&look], &[("perm", Attr::Ints(&[0, 2, 1]))]);
            let look = graph.binary("MatMul", &share, &look); // [batch, n, channels]
            let seen = graph.concat(&[&look, &middle, &spread], 2);
            let name = graph.reshape(&seen, &[-1, self.seen(channels) as i64]);
            let shape = Shape::Features(self.seen(channels));
            (Flow { name, shape }, places)
        };
        let (seen, places) = seen;
        let gate = walk.child(path, &node.children[2], seen)?;
        let temperature = parameter(walk.graph, node, Self::TEMPERATURE);
        let graph = &mut *walk.graph;
        let logits = graph.binary("Div", &gate.name, &temperature);
        let logits = graph.call("LogSoftmax", &[&logits], &[("axis", Attr::Int(1))]);
        let first = [("axis", Attr::Int(1)), ("keepdims", Attr::Int(1))];
        let best = graph.call("ArgMax", &[&logits], &first); // [batch, 1]
        let order: Vec<i64> = (0..n).collect();
        let order = graph.ints(&order);
        let is_best = graph.binary("Equal", &order, &best);
        let is_best = graph.cast(&is_best, crate::onnx::proto::Type::Float);
        let is_best = graph.unsqueeze(&is_best, &[1]); // [batch, 1, n]
        let all = graph.reshape(&places, &[-1, n, 2 * points]);
        let best = graph.binary("MatMul", &is_best, &all); // [batch, 1, 2 points]
        let best = graph.reshape(&best, &[-1, 2 * points]);
        let all = graph.reshape(&all, &[-1, n * 2 * points]);
        Ok(graph.concat(&[&best, &all, &logits], 1))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::network::layer::Linear;
    use crate::network::parameter::Start;
    use crate::network::value::Context;
    use crate::network::{InputSpec, Network};

    /// One point, two candidates on 1 × 2 pixels, the heatmaps being the channels of the input itself; a gate that only
    /// asks how bright the third channel is where each of them is.
    fn by_hand(temperature: f32) -> Network {
        let linear = |n| Linear::new(n).without_bias().per_pixel().into();
        let gate = Linear::new(2).without_bias().into();
        let candidates = Candidates { n: 2, points: 1 };
        let children = [("maps", linear(2)), ("look", linear(1)), ("gate", gate)];
        let input = InputSpec {
            mean: [0.0; 3],
            sd: [1.0; 3],
            size: 2,
            channels: 3,
        };
        let all = Architecture::sequence([("head", Architecture::with(candidates, children))]);
        let mut network = Network::new(all, input, Start::Zeros, &Device::flex()).unwrap();
        network.root.each_parameter_mut("", &mut |path, parameter| {
            parameter.set_values(match path {
                "head.maps.weight" => vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
                "head.look.weight" => vec![0.0, 0.0, 1.0],
                // Of each candidate: what is seen there, x, y, spread.
                "head.gate.weight" => {
                    let mut weight = vec![0.0; 16];
                    (weight[0], weight[8 + 4]) = (1.0, 1.0);
                    weight
                }
                "head.temperature" => vec![temperature],
                other => panic!("{other}"),
            });
        });
        network
    }

    fn said(temperature: f32, third: [f32; 4]) -> Vec<f32> {
        // 2 × 2 pixels: the first candidate is at the left above, the second at the right below.
        let (first, second) = ([50.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 50.0]);
        let pixels = TensorData::new([first, second, third].concat(), [1, 3, 2, 2]);
        let pixels = Tensor::from_data(pixels, &Device::flex());
        let network = by_hand(temperature);
        let output = network.forward(Some(pixels), &mut Context::evaluate(None));
        tensor::numbers(output)
    }

    #[test]
    fn the_candidate_is_chosen_where_the_gate_sees_what_it_likes() {
        let near = |found: &[f32], wanted: &[f32]| {
            let mut pairs = found.iter().zip(wanted);
            assert!(
                pairs.all(|(a, b)| (a - b).abs() < 1e-5),
                "{found:?} {wanted:?}"
            );
            assert_eq!(found.len(), wanted.len());
        };
        let places = [-0.5, -0.5, 0.5, 0.5];
        // 3 at the second, 1 at the first: logits 1 and 3.
        let all = said(1.0, [1.0, 0.0, 0.0, 3.0]);
        let second = (1.0 + (-2.0_f32).exp()).recip();
        near(&all[..2], &places[2..]);
        near(&all[2..6], &places);
        near(&all[6..], &[(1.0 - second).ln(), second.ln()]);
        // The other way round; and half as sure at twice the temperature.
        let all = said(2.0, [3.0, 0.0, 0.0, 1.0]);
        let first = (1.0 + (-1.0_f32).exp()).recip();
        near(&all[..2], &places[..2]);
        near(&all[6..], &[first.ln(), (1.0 - first).ln()]);
        // Of two that are as good the first is taken.
        near(&said(1.0, [2.0; 4])[..2], &places[..2]);
    }
}
