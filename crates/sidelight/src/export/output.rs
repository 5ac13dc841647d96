//! From the network's numbers to what a person asked for, as [`Task::decode`] does it.

use super::image::{Sides, to_pixels};
use crate::config::TargetScale;
use crate::loader::Preprocess;
use crate::onnx::proto::Type;
use crate::onnx::{Attr, Axis, Graph};
use crate::task::Task;

/// Points in pixels of the caller's image.
const POINTS: &str = "points";
/// Names of classes or labels.
const PREDICTION: &str = "prediction";
/// Probabilities of the classes or labels.
const PROBABILITIES: &str = "probabilities";
/// Values in their own unit.
const VALUES: &str = "values";

/// The names that outputs may have.
pub(super) const NAMES: [&str; 4] = [POINTS, PREDICTION, PROBABILITIES, VALUES];

/// A label is named where it is at least so probable.
const THRESHOLD: f32 = 0.5;

/// Declares the outputs. `sides` must be there for points.
pub(super) fn write(
    graph: &mut Graph,
    task: &Task,
    output: &str,
    sides: Option<&Sides>,
    preprocess: &Preprocess,
) {
    let n = task.n_outputs();
    let row = [Axis::Any("n"), Axis::Of(n)];
    graph.at("decode");
    match task {
        Task::Keypoints { .. } => {
            let sides = sides.expect("the sides are declared where points are asked for");
            let points = to_pixels(graph, output, sides, preprocess, n / 2);
            let shape = [Axis::Any("n"), Axis::Of(n / 2), Axis::Of(2)];
            let doc = "x and y in pixels of the image given, the left and upper edge being 0";
            graph.output(POINTS, &points, Type::Float, &shape, doc);
        }
        Task::Class { names, .. } => {
            let probabilities = graph.call("Softmax", &[output], &[("axis", Attr::Int(1))]);
            let best = [("axis", Attr::Int(1)), ("keepdims", Attr::Int(0))];
            let best = graph.call("ArgMax", &[output], &best);
            let keys: Vec<i64> = (0..n as i64).collect();
            let name = graph.call_ml(
                "LabelEncoder",
                &[&best],
                &[
                    ("keys_int64s", Attr::Ints(&keys)),
                    ("values_strings", Attr::Texts(names)),
                    ("default_string", Attr::Text("")),
                ],
            );
            let doc = "the most probable class";
            graph.output(PREDICTION, &name, Type::String, &[Axis::Any("n")], doc);
            let doc = "of each class, in the order of `names`; they sum to 1";
            graph.output(PROBABILITIES, &probabilities, Type::Float, &row, doc);
        }
        Task::Multilabel { names, .. } => {
            let probabilities = graph.unary("Sigmoid", output);
            let threshold = graph.float(THRESHOLD);
            let is_there = graph.binary("GreaterOrEqual", &probabilities, &threshold);
            let names = graph.texts(&[1, n], names);
            let nothing = graph.texts(&[1, 1], &[String::new()]);
            let named = graph.call("Where", &[&is_there, &names, &nothing], &[]);
            let doc = "each label that is at least 0.5 probable in its place, else an empty string";
            graph.output(PREDICTION, &named, Type::String, &row, doc);
            let doc = "of each label, in the order of `names`";
            graph.output(PROBABILITIES, &probabilities, Type::Float, &row, doc);
        }
        Task::Regression {
            scale, mean, sd, ..
        } => {
            let z = graph.cast(output, Type::Double);
            let (mean, sd) = (graph.doubles(&[1, n], mean), graph.doubles(&[1, n], sd));
            let values = graph.binary("Mul", &z, &sd);
            let mut values = graph.binary("Add", &values, &mean);
            if *scale == TargetScale::Log {
                let most = graph.double(f64::MAX);
                values = graph.unary("Exp", &values);
                values = graph.binary("Min", &values, &most);
            }
            let doc = "in the targets' own units, in the order of `names`";
            graph.output(VALUES, &values, Type::Double, &row, doc);
        }
    }
}
