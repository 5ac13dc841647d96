//! JSON Schema of `sidelight.toml`, for editors that complete and check it.

use serde_json::{Value, json};

use crate::loss::NAMES;
use crate::network::backbone::BACKBONES;
use crate::network::{Edit, fusion};

/// JSON Schema (draft 2020-12) of a `sidelight.toml`: every field with its type, default and description, and the words
/// that it takes, those of backbones, fusions, losses and layers included.
///
/// Whatever can be trained is valid; ranges of numbers, and what one field asks of another, are checked by
/// [`Config::read`](crate::Config::read) alone.
///
/// # Example
///
/// ```
/// let schema = sidelight::json_schema::of_configuration();
/// let model = &schema["$defs"]["ModelConfig"]["properties"];
/// assert_eq!(model["backbone"]["default"], "small_cnn");
/// assert!(model["fusion"]["enum"].as_array().is_some_and(|names| names.contains(&"film".into())));
/// ```
pub fn of_configuration() -> Value {
    let mut schema = crate::config::json_schema::<Edit>();
    let backbones: Vec<&str> = BACKBONES.iter().map(|backbone| backbone.name).collect();
    let words = [
        ("ModelConfig/properties/backbone", "enum", json!(backbones)),
        (
            "ModelConfig/properties/fusion",
            "enum",
            json!(fusion::NAMES),
        ),
        (
            "TrainConfig/properties/precision",
            "enum",
            json!(["f32", "bf16"]),
        ),
        ("TrainConfig/properties/loss", "anyOf", losses()),
    ];
    for (pointer, keyword, words) in words {
        if let Some(Value::Object(field)) = schema.pointer_mut(&format!("/$defs/{pointer}")) {
            field.insert(keyword.to_owned(), words);
        }
    }
    schema
}

/// A loss by its name, or with a number after a colon.
fn losses() -> Value {
    let names: Vec<&str> = std::iter::once("").chain(NAMES).collect();
    json!([{ "enum": names }, { "pattern": format!("^({}):", NAMES.join("|")) }])
}
