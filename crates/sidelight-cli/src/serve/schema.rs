//! JSON Schema of a model's rows; the page builds its form from it.
//!
//! Keywords that begin with `x-` are for people who fill in the form: the range of values and the categories in
//! training. None of them is a bound: other values are predicted as well.

use serde_json::{Map, Value, json};
use sidelight::dataset::{Metadata, MetadataColumn, MetadataValues};
use sidelight::encode::number::Transform;
use sidelight::encode::{EncodedColumn, Fitted};
use sidelight::predict::Predictor;
use sidelight::task::Task;

/// A PNG of one pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";

/// JSON Schema of a model's row, with its target.
pub(crate) fn model_schema(name: &str, predictor: &Predictor) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let names = predictor.model().config.data.image_names();
    if predictor.reads_image() && names.len() > 1 {
        let one = image(&json!(["string", "null"]));
        let each: Map<String, Value> = names
            .iter()
            .map(|name| (name.clone(), one.clone()))
            .collect();
        let images = json!({
            "type": "object",
            "description": "images that are left out or null are missing",
            "properties": each,
            "additionalProperties": false,
            "minProperties": usize::from(predictor.needs_image()),
        });
        properties.insert("images".into(), images);
        if predictor.needs_image() {
            required.push("images");
        }
    } else if predictor.reads_image() {
        let kind = match predictor.needs_image() {
            true => json!("string"),
            false => json!(["string", "null"]),
        };
        properties.insert("image".into(), image(&kind));
        if predictor.needs_image() {
            required.push("image");
        }
    } else {
        let unread = json!({"type": ["string", "null"], "contentEncoding": "base64", "description": "not read"});
        properties.insert("image".into(), unread);
    }
    let columns = &predictor.model().encoder.columns;
    let cells: Map<String, Value> = columns
        .iter()
        .map(|column| (column.name.clone(), column_schema(column)))
        .collect();
    properties.insert(
        "metadata".into(),
        json!({
            "type": ["object", "null"],
            "description": "columns that are left out or null are missing",
            "properties": cells,
            "additionalProperties": false,
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
        "x-target": task_schema(&predictor.model().task),
        "x-reads-image": predictor.reads_image(),
        "x-images": names,
        "x-needs-image": predictor.needs_image(),
        "x-reads-metadata": predictor.reads_metadata(),
        "x-backbone": predictor.model().config.model.backbone,
    })
}

/// An image, or also none, as `kind` says.
fn image(kind: &Value) -> Value {
    json!({
        "type": kind,
        "contentEncoding": "base64",
        "description": "JPEG, PNG, WebP, TIFF, BMP or DICOM in base64",
        "examples": [PIXEL],
    })
}

fn column_schema(column: &EncodedColumn) -> Value {
    let mut schema = match &column.fitted {
        Fitted::Boolean => json!({"type": ["boolean", "null"]}),
        Fitted::Number(number) => json!({
            "type": ["number", "null"],
            "x-scale": match number.transform {
                Transform::Log { .. } => "log",
                _ => "linear",
            },
            "x-training-range": column.range,
            "x-usual": column.usual(),
        }),
        Fitted::Category(category) => json!({
            "type": ["string", "null"],
            "examples": category.names,
            "x-categories": category.names,
            "x-counts": category.counts,
        }),
        Fitted::Datetime(_) => {
            let [from, to] = column.usual().map(moment);
            json!({
                "type": ["string", "null"],
                "description": "2024-05-01, 2024-05-01T13:30:00 or 13:30",
                "examples": [from],
                "x-moment": true,
                "x-training-range": column.range.map(|range| range.map(moment)),
                "x-usual": [from, to],
            })
        }
    };
    schema["x-known-in-training"] = json!([column.known, column.known + column.missing]);
    schema
}

/// Seconds since 1970 as text.
fn moment(seconds: f64) -> String {
    let column = MetadataColumn {
        name: String::new(),
        values: MetadataValues::Datetime(vec![Some(seconds)]),
    };
    let columns = vec![column];
    let cell = Metadata { columns, n_rows: 1 }.row_as_text(0).pop();
    cell.and_then(|(_, text)| text).unwrap_or_default()
}

fn task_schema(task: &Task) -> Value {
    match task {
        Task::Keypoints {
            columns,
            names,
            skeleton,
            ..
        } => {
            let mut said = json!({"kind": "keypoints", "names": columns});
            if !names.is_empty() {
                said["points"] = json!(names);
            }
            if !skeleton.is_empty() {
                said["skeleton"] = json!(skeleton);
            }
            said
        }
        Task::Class {
            column,
            names,
            counts,
        } => {
            json!({"kind": "class", "column": column, "names": names, "counts": counts})
        }
        Task::Multilabel { names, counts, .. } => {
            json!({"kind": "multilabel", "names": names, "counts": counts})
        }
        Task::Regression { columns, range, .. } => {
            json!({"kind": "regression", "names": columns, "training_range": range})
        }
    }
}
