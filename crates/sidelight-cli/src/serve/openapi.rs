//! The description of the service that programs read, <https://spec.openapis.org/oas/v3.1.0>.

use serde_json::{Map, Value, json};

use super::models::Models;
use super::schema;

/// The whole document.
pub(crate) fn document(models: &Models, max_rows: usize, has_token: bool) -> Value {
    let name_of = |at: usize| format!("Row{at}");
    let mut schemas = Map::new();
    for (at, model) in models.all().iter().enumerate() {
        let mut row = schema::of_model(&model.name, model.engine().predictor());
        if let Some(row) = row.as_object_mut() {
            row.remove("$schema");
        }
        schemas.insert(name_of(at), row);
    }
    let row = |at: usize| json!({"$ref": format!("#/components/schemas/{}", name_of(at))});
    let one = match models.all().len() {
        1 => row(0),
        n => json!({"anyOf": (0..n).map(row).collect::<Vec<_>>()}),
    };
    let list = json!({"type": "array", "items": one, "minItems": 1, "maxItems": max_rows});
    schemas.insert("Answer".into(), answer());
    schemas.insert("Fault".into(), fault());
    let form = json!({
        "type": "object",
        "properties": {
            "image": {"type": "string", "contentMediaType": "application/octet-stream", "description": "may be there several times"},
            "metadata": {"type": "string", "contentMediaType": "application/json", "description": "an object of cells; as many as images, or one for all"},
        },
        "additionalProperties": {"type": "string", "description": "a cell of the column of this name, for all rows"},
    });
    let names: Vec<&str> = models.all().iter().map(|model| &*model.name).collect();
    let which = json!([{
        "name": "model", "in": "query", "required": false,
        "description": "which model; the first where none is named",
        "schema": {"type": "string", "enum": names},
    }]);
    let answered = json!({"anyOf": [
        {"$ref": "#/components/schemas/Answer"},
        {"type": "array", "items": {"$ref": "#/components/schemas/Answer"}},
    ]});
    let body = |schema: Value| {
        json!({"required": true, "content": {
            "application/json": {"schema": schema},
            "multipart/form-data": {"schema": form},
        }})
    };
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sidelight",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Predictions from images and the row of metadata beside each.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/v1/predict": {"post": {
                "operationId": "predict",
                "summary": "Predicts one row, or a list of rows",
                "parameters": which,
                "requestBody": body(json!({"anyOf": [one, list]})),
                "responses": responses("the prediction, or one a row", &json_content(&answered)),
            }},
            "/v1/explain": {"post": {
                "operationId": "explain",
                "summary": "Says why the prediction of one row is what it is",
                "parameters": which,
                "requestBody": body(one),
                "responses": responses("shares, heat and curves", &json_content(&json!({"type": "object"}))),
            }},
            "/v1/schema": {"get": {
                "operationId": "schema",
                "summary": "JSON Schema of a row",
                "parameters": which,
                "responses": responses("the schema", &json_content(&json!({"type": "object"}))),
            }},
            "/v1/models": {"get": {
                "operationId": "models",
                "summary": "Names of the models, the default first",
                "responses": responses("the names", &json_content(&json!({"type": "array", "items": {"type": "string"}}))),
            }},
            "/openapi.json": {"get": {
                "operationId": "openapi",
                "summary": "This document",
                "responses": responses("the document", &json_content(&json!({"type": "object"}))),
            }},
            "/healthz": {"get": {
                "operationId": "healthz",
                "summary": "Whether the server answers",
                "security": [],
                "responses": responses("ok", &text_content()),
            }},
            "/metrics": {"get": {
                "operationId": "metrics",
                "summary": "Counts and times for Prometheus",
                "responses": responses("the metrics", &text_content()),
            }},
        },
        "components": {"schemas": schemas},
    });
    if has_token {
        document["components"]["securitySchemes"] =
            json!({"token": {"type": "http", "scheme": "bearer"}});
        document["security"] = json!([{"token": []}]);
    }
    document
}

fn json_content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

fn text_content() -> Value {
    json!({"text/plain": {"schema": {"type": "string"}}})
}

fn responses(description: &str, content: &Value) -> Value {
    let mut responses = json!({"200": {"description": description, "content": content}});
    let faults = [
        ("400", "not a request that can be read"),
        ("401", "the token is missing or wrong"),
        ("404", "no such model"),
        ("408", "the request took too long to arrive"),
        ("413", "larger than is allowed: bytes, pixels or rows"),
        ("415", "neither JSON nor a form"),
        (
            "422",
            "an image that cannot be read, or a cell that is not what its column holds",
        ),
        ("429", "the queue is full"),
        ("500", "a fault of the program"),
        ("503", "the answer took too long to make"),
    ];
    for (status, description) in faults {
        responses[status] = json!({
            "description": description,
            "content": json_content(&json!({"$ref": "#/components/schemas/Fault"})),
        });
    }
    responses
}

fn answer() -> Value {
    json!({
        "type": "object",
        "properties": {
            "model": {"type": "string"},
            "prediction": {
                "type": "object",
                "properties": {
                    "kind": {"enum": ["keypoints", "class", "multilabel", "regression"]},
                    "points": {"type": "array", "items": {"type": "array", "items": {"type": ["number", "null"]}}, "description": "pixels of the image as stored"},
                    "class": {"type": "string"},
                    "probability": {"type": ["number", "null"]},
                    "probabilities": {"type": "object", "additionalProperties": {"type": ["number", "null"]}},
                    "values": {"type": "object", "additionalProperties": {"type": ["number", "null"]}},
                },
                "required": ["kind"],
            },
            "image": {
                "type": "object",
                "properties": {
                    "format": {"type": "string"},
                    "width": {"type": "integer"},
                    "height": {"type": "integer"},
                    "to_upright": {"type": "array", "items": {"type": "number"}, "description": "x' = a x + b y + c, y' = d x + e y + f"},
                },
            },
            "notes": {"type": "array", "items": {"type": "string"}, "description": "what training had not seen"},
        },
        "required": ["model", "prediction", "notes"],
    })
}

fn fault() -> Value {
    json!({
        "type": "object",
        "properties": {"error": {"type": "string"}, "hint": {"type": "string"}},
        "required": ["error"],
    })
}
