//! From the network's numbers to what a person asked for, as [`Task::decode`] does it.

use super::image::{Sides, side, to_pixels};
use crate::config::TargetScale;
use crate::conformal::Thresholds;
use crate::loader::Preprocess;
use crate::network::head::PointsLayout;
use crate::onnx::proto::Type;
use crate::onnx::{Attr, Axis, Graph};
use crate::task::{LabelState, Task};

/// Points in pixels of the caller's image.
const POINTS: &str = "points";
/// Names of classes or labels.
const PREDICTION: &str = "prediction";
/// Probabilities of the classes or labels.
const PROBABILITIES: &str = "probabilities";
/// Values in their own unit.
const VALUES: &str = "values";
/// Classes that may be the true one, or for each label whether it is there.
const SET: &str = "set";
/// Where values lie.
const INTERVALS: &str = "intervals";
/// Probability of each point that it is in the image and can be seen.
const VISIBLE: &str = "visible";
/// How far off each point is expected to be.
const EXPECTED_ERROR: &str = "expected_error";
/// Where else the object may be.
const CANDIDATES: &str = "candidates";
/// How probable each of these is.
const CANDIDATE_PROBABILITIES: &str = "candidate_probabilities";
/// How far from where they are said to be points lie.
const RADII: &str = "radii";

/// The names that outputs may have, with a coverage or without.
pub(super) fn names(covers: bool) -> impl Iterator<Item = &'static str> {
    let predictions = [
        POINTS,
        VISIBLE,
        EXPECTED_ERROR,
        CANDIDATES,
        CANDIDATE_PROBABILITIES,
        PREDICTION,
        PROBABILITIES,
        VALUES,
    ];
    let sets = [SET, INTERVALS, RADII].into_iter().filter(move |_| covers);
    predictions.into_iter().chain(sets)
}

/// A label is named where it is at least so probable.
const THRESHOLD: f32 = 0.5;

/// Declares the outputs. `sides` must be there for points; those whose network says so say how sure they are.
pub(super) fn write(
    graph: &mut Graph,
    task: &Task,
    (output, layout): (&str, Option<PointsLayout>),
    sides: Option<&Sides>,
    preprocess: &Preprocess,
    within: Option<&Thresholds>,
) {
    let n = task.n_outputs();
    let row = [Axis::Any("n"), Axis::Of(n)];
    graph.at("decode");
    match task {
        Task::Keypoints { .. } => {
            let sides = sides.expect("the sides are declared where points are asked for");
            let layout = layout.expect("points have a layout");
            let (certainty, candidates) = (layout.certainty(), layout.log_probabilities());
            let places = match certainty.is_empty() && candidates.is_empty() {
                true => output.to_owned(),
                false => graph.slice(output, 0, n, 1),
            };
            let points = to_pixels(graph, &places, sides, preprocess, n / 2);
            let shape = [Axis::Any("n"), Axis::Of(n / 2), Axis::Of(2)];
            let doc = "x and y in pixels of the image given, the left and upper edge being 0";
            graph.output(POINTS, &points, Type::Float, &shape, doc);
            if !candidates.is_empty() {
                let (count, all) = (candidates.len(), n..candidates.start);
                graph.at("candidates");
                let places = graph.slice(output, all.start, all.end, 1);
                let places = to_pixels(graph, &places, sides, preprocess, count * n / 2);
                let shape = [count as i64, n as i64 / 2, 2];
                let places = graph.reshape(&places, &[-1, shape[0], shape[1], shape[2]]);
                let [count_of, points_of] = [count, n / 2].map(Axis::Of);
                let shape = [Axis::Any("n"), count_of, points_of, Axis::Of(2)];
                let doc = "each candidate for where the points lie, in no order";
                graph.output(CANDIDATES, &places, Type::Float, &shape, doc);
                let logarithm = graph.slice(output, candidates.start, candidates.end, 1);
                let probability = graph.unary("Exp", &logarithm);
                let shape = [Axis::Any("n"), Axis::Of(count)];
                let doc = "how probable each candidate is; the most probable one is `points`";
                graph.output(
                    CANDIDATE_PROBABILITIES,
                    &probability,
                    Type::Float,
                    &shape,
                    doc,
                );
                graph.at("decode");
            }
            if !certainty.is_empty() {
                let (width, shape) = (n / 2, [Axis::Any("n"), Axis::Of(n / 2)]);
                let side = side(graph, sides, preprocess);
                graph.at("confidence");
                let log_odds = graph.slice(output, certainty.start, certainty.start + width, 1);
                let visible = graph.unary("Sigmoid", &log_odds);
                let doc = "probability that each point is in the image and can be seen";
                graph.output(VISIBLE, &visible, Type::Float, &shape, doc);
                let half = graph.double(0.5);
                let half = graph.binary("Mul", &side, &half);
                let half = graph.reshape(&half, &[-1, 1]); // [n or 1, 1]
                let half = graph.cast(&half, Type::Float);
                let logarithm = graph.slice(output, certainty.start + width, certainty.end, 1);
                let error = graph.unary("Exp", &logarithm);
                let error = graph.binary("Mul", &error, &half);
                let doc = "how far off each point is expected to be, in pixels of the image given";
                graph.output(EXPECTED_ERROR, &error, Type::Float, &shape, doc);
                graph.at("decode");
            }
            if let Some(within) = within {
                let side = side(graph, sides, preprocess);
                graph.at("radii");
                let side = graph.reshape(&side, &[-1, 1]); // [n or 1, 1]
                let parts = graph.doubles(&[1, n / 2], &within.of_part);
                let radii = graph.binary("Mul", &side, &parts);
                // As many rows as there are points, where one size is that of all images.
                let x = graph.slice(&points, 0, 1, 2);
                let x = graph.reshape(&x, &[-1, n as i64 / 2]);
                let (x, nothing) = (graph.cast(&x, Type::Double), graph.double(0.0));
                let none = graph.binary("Mul", &x, &nothing);
                let radii = graph.binary("Add", &radii, &none);
                let radii = graph.cast(&radii, Type::Float);
                let doc = "of a disc about each point, in pixels of the image given";
                let shape = [Axis::Any("n"), Axis::Of(n / 2)];
                graph.output(RADII, &radii, Type::Float, &shape, doc);
            }
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
            if let Some(within) = within {
                graph.at("set");
                let (p, one) = (graph.cast(&probabilities, Type::Double), graph.double(1.0));
                let error = graph.binary("Sub", &one, &p);
                let within = graph.double(within.of_part[0]);
                let is_in = graph.binary("LessOrEqual", &error, &within);
                let names = graph.texts(&[1, n], names);
                let nothing = graph.texts(&[1, 1], &[String::new()]);
                let set = graph.call("Where", &[&is_in, &names, &nothing], &[]);
                let doc = "each class that is in the set in its place, else an empty string";
                graph.output(SET, &set, Type::String, &row, doc);
            }
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
            if let Some(within) = within {
                graph.at("set");
                let (p, one) = (graph.cast(&probabilities, Type::Double), graph.double(1.0));
                let parts = graph.doubles(&[1, n], &within.of_part);
                let error = graph.binary("Sub", &one, &p);
                let may_be = graph.binary("LessOrEqual", &error, &parts);
                let may_not = graph.binary("LessOrEqual", &p, &parts);
                let is_sure = graph.binary("Xor", &may_be, &may_not);
                let [yes, no, unsure] = [LabelState::Yes, LabelState::No, LabelState::Unsure]
                    .map(|state| graph.texts(&[1, 1], &[state.word().to_owned()]));
                let sure = graph.call("Where", &[&may_be, &yes, &no], &[]);
                let set = graph.call("Where", &[&is_sure, &sure, &unsure], &[]);
                let doc = "`yes`, `no` or `unsure` for each label";
                graph.output(SET, &set, Type::String, &row, doc);
            }
        }
        Task::Regression {
            scale, mean, sd, ..
        } => {
            let z = graph.cast(output, Type::Double);
            let sd_of = sd;
            let (mean, sd) = (graph.doubles(&[1, n], mean), graph.doubles(&[1, n], sd));
            let values = graph.binary("Mul", &z, &sd);
            let scaled = graph.binary("Add", &values, &mean);
            let own_unit = |graph: &mut Graph, scaled: &str| match scale {
                TargetScale::Linear => scaled.to_owned(),
                TargetScale::Log => {
                    let most = graph.double(f64::MAX);
                    let values = graph.unary("Exp", scaled);
                    graph.binary("Min", &values, &most)
                }
            };
            let values = own_unit(graph, &scaled);
            let doc = "in the targets' own units, in the order of `names`";
            graph.output(VALUES, &values, Type::Double, &row, doc);
            if let Some(within) = within {
                graph.at("intervals");
                let reach = within.of_part.iter().zip(sd_of);
                let reach: Vec<f64> = reach.map(|(within, sd)| within * sd).collect();
                let reach = graph.doubles(&[1, n], &reach);
                let ends = ["Sub", "Add"].map(|op| {
                    let end = graph.binary(op, &scaled, &reach);
                    let end = own_unit(graph, &end);
                    graph.unsqueeze(&end, &[2])
                });
                let intervals = graph.concat(&[&ends[0], &ends[1]], 2);
                let doc = "lower and upper end about each value, in its own unit";
                let shape = [Axis::Any("n"), Axis::Of(n), Axis::Of(2)];
                graph.output(INTERVALS, &intervals, Type::Double, &shape, doc);
            }
        }
    }
}
