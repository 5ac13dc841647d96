//! Predictions as JSON.

use serde_json::{Map, Value, json};
use sidelight::conformal::Thresholds;
use sidelight::image::{Affine, Facts};
use sidelight::task::{Confidence, Prediction, PredictionSet, Task, argmax};

use super::engine::PredictedRow;

/// The answer for one row; `within` makes what holds the truth as often as was asked, where that was.
pub(crate) fn row(
    model: &str,
    task: &Task,
    row: &PredictedRow,
    within: Option<&Thresholds>,
) -> Value {
    let mut answer = json!({
        "model": model,
        "prediction": prediction(task, &row.prediction),
        "notes": row.notes,
    });
    if let Some(within) = within {
        answer["coverage"] = within.coverage.into();
        let (key, value) = set(task, &within.set(&row.prediction, row.side));
        answer["prediction"][key] = value;
    }
    if let Some(facts) = &row.image {
        answer["image"] = image(facts);
    }
    answer
}

/// Facts about an image. Keypoints are in pixels of the image as stored; viewers show it upright.
pub(crate) fn image(facts: &Facts) -> Value {
    json!({
        "format": facts.format,
        "width": facts.width,
        "height": facts.height,
        "to_upright": affine(&facts.from_stored),
    })
}

/// An affine map: `x' = a x + b y + c`, `y' = d x + e y + f`.
pub(crate) fn affine(map: &Affine) -> Value {
    map.0.iter().map(|x| single(*x)).collect()
}

/// A prediction in the target's own unit, by name.
pub(crate) fn prediction(task: &Task, prediction: &Prediction) -> Value {
    let names = task.names();
    match prediction {
        Prediction::Keypoints {
            xy,
            confidence,
            candidates,
        } => {
            let points = |xy: &[[f32; 2]]| -> Value {
                let points = xy.iter().map(|xy| xy.map(single).into_iter().collect());
                Value::Array(points.collect())
            };
            let mut said = json!({"kind": "keypoints", "points": points(xy)});
            if !confidence.is_empty() {
                let all = |of: fn(&Confidence) -> f32| -> Value {
                    confidence.iter().map(|point| single(of(point))).collect()
                };
                said["visible"] = all(|point| point.visible);
                said["expected_error"] = all(|point| point.error);
            }
            if !candidates.is_empty() {
                let candidates = candidates.iter().map(|candidate| {
                    let probability = single(candidate.probability);
                    json!({"probability": probability, "points": points(&candidate.xy)})
                });
                said["candidates"] = candidates.collect();
            }
            said
        }
        Prediction::Class { probabilities } => {
            let best = argmax(probabilities).unwrap_or_default();
            json!({
                "kind": "class",
                "class": names.get(best),
                "probability": probabilities.get(best).copied().map(single),
                "probabilities": by_name(names, probabilities.iter().map(|p| single(*p))),
            })
        }
        Prediction::Multilabel { probabilities } => json!({
            "kind": "multilabel",
            "probabilities": by_name(names, probabilities.iter().map(|p| single(*p))),
        }),
        Prediction::Regression { values } => json!({
            "kind": "regression",
            "values": by_name(names, values.iter().map(|value| Value::from(*value))),
        }),
    }
}

/// What holds the truth as often as was asked, and its name in a prediction.
fn set(task: &Task, set: &PredictionSet) -> (&'static str, Value) {
    let names = task.names();
    match set {
        PredictionSet::Keypoints { radii } => (
            "radii",
            radii.iter().map(|radius| single(*radius)).collect(),
        ),
        PredictionSet::Class { contains } => {
            let in_set = names.iter().zip(contains).filter(|(_, is_in)| **is_in);
            ("set", in_set.map(|(name, _)| name.as_str()).collect())
        }
        PredictionSet::Multilabel { states } => {
            let words = states.iter().map(|state| state.word().into());
            ("set", by_name(names, words))
        }
        PredictionSet::Regression { intervals } => {
            let ends = intervals.iter().map(|ends| json!(ends));
            ("intervals", by_name(names, ends))
        }
    }
}

fn by_name(names: &[String], values: impl Iterator<Item = Value>) -> Value {
    names
        .iter()
        .cloned()
        .zip(values)
        .collect::<Map<_, _>>()
        .into()
}

/// A single-precision number by way of text, so that 0.1 does not become 0.10000000149.
pub(crate) fn single(number: f32) -> Value {
    number
        .to_string()
        .parse::<f64>()
        .map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_the_first_of_the_likeliest_and_numbers_are_short() {
        let task = Task::Class {
            column: "tree".into(),
            names: ["elm", "oak", "yew"].map(String::from).to_vec(),
            counts: vec![1; 3],
        };
        let probabilities = vec![0.2, 0.4, 0.4];
        assert_eq!(
            prediction(&task, &Prediction::Class { probabilities }).to_string(),
            r#"{"kind":"class","class":"oak","probability":0.4,"probabilities":{"elm":0.2,"oak":0.4,"yew":0.4}}"#
        );
    }
}
