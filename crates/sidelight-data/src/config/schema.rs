//! JSON Schema of `sidelight.toml`, from the types that read it: what is documented there, an editor shows.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{Config, JoinColumns, MetadataConfig, MetadataKind, TargetConfig};

/// JSON Schema (draft 2020-12) of a configuration: every field with its type, default and description, the words that
/// it takes, and the old ones that are still read. `Edit` is what an entry of `model.edit` holds, which is not known
/// here.
///
/// Whatever [`Config::read`] accepts is valid. What it refuses is not always invalid: ranges of numbers, and what one
/// field asks of another, are checked there alone.
///
/// # Example
///
/// ```
/// use std::collections::BTreeMap;
///
/// let schema = sidelight_data::config::json_schema::<BTreeMap<String, serde_json::Value>>();
/// assert_eq!(schema["$defs"]["TrainConfig"]["properties"]["batch"]["default"], 32);
/// ```
pub fn json_schema<Edit: JsonSchema>() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let edit = generator.subschema_for::<Edit>().to_value();
    let mut schema = generator.into_root_schema_for::<Config>();
    RecursiveTransform(as_toml).transform(&mut schema);
    let mut schema = schema.to_value();
    let root = [
        ("title", "sidelight.toml"),
        (
            "description",
            "What Sidelight is told of a table, its target, its metadata, the model and its training.",
        ),
        (
            "$comment",
            concat!("`sidelight schema`, version ", env!("CARGO_PKG_VERSION")),
        ),
    ];
    for (name, text) in root {
        put(&mut schema, "", name, text.into());
    }
    for (pointer, default) in unwritten() {
        put(&mut schema, &pointer, "default", default);
    }
    for (old, new) in OLD_KINDS {
        if let Some(Value::Array(kinds)) = schema.pointer_mut("/$defs/TargetKind/oneOf") {
            let description = format!("An old name of `{new}`.");
            kinds.push(json!({
                "description": description, "type": "string", "const": old, "deprecated": true
            }));
        }
    }
    put(
        &mut schema,
        "/$defs/ModelConfig/properties/edit",
        "items",
        edit,
    );
    schema
}

/// Names of kinds of targets that are still read, and what they are called now. (The derive does not see aliases.)
const OLD_KINDS: [(&str, &str); 3] = [
    ("points", "keypoints"),
    ("classes", "multilabel"),
    ("value", "regression"),
];

/// Puts a keyword into the part of a schema that the pointer names.
fn put(schema: &mut Value, pointer: &str, keyword: &str, value: Value) {
    if let Some(Value::Object(part)) = schema.pointer_mut(pointer) {
        part.insert(keyword.to_owned(), value);
    }
}

/// Defaults that are not written into a run, so that the derive does not see them either.
fn unwritten() -> Vec<(String, Value)> {
    let Config {
        data,
        target,
        metadata,
        model,
        train,
        image,
        ..
    } = Config::new("metadata.csv", TargetConfig::class("class"));
    let column = MetadataConfig::new(MetadataKind::Boolean);
    let of = |name: &str, defaults: Value| {
        let Value::Object(defaults) = defaults else {
            return Vec::new();
        };
        let of_field = |(field, default)| (format!("{name}/properties/{field}"), default);
        defaults.into_iter().map(of_field).collect::<Vec<_>>()
    };
    [
        of("", json!({ "metadata": metadata, "image": image })),
        of("/$defs/ImageConfig", json!({ "range": image.range })),
        of(
            "/$defs/DataConfig",
            json!({
                "images_per_cell": data.images_per_cell,
                "join": data.join,
                "ignore": data.ignore,
                "unreadable": data.unreadable,
                "remote": data.remote,
            }),
        ),
        of(
            "/$defs/SplitConfig",
            json!({
                "valid_where": data.split.valid_where,
                "test_where": data.split.test_where,
            }),
        ),
        of(
            "/$defs/RemoteConfig",
            json!({ "options": data.remote.options }),
        ),
        of("/$defs/JoinConfig", json!({ "on": JoinColumns::default() })),
        of(
            "/$defs/TargetConfig",
            json!({
                "columns": target.columns,
                "scale": target.scale,
                "missing": target.missing,
                "visibility": target.visibility,
                "names": target.names,
                "skeleton": target.skeleton,
                "symmetric": target.symmetric,
            }),
        ),
        of(
            "/$defs/MetadataConfig",
            json!({
                "scale": column.scale,
                "encoding": column.encoding,
                "missing": column.missing,
                "flip": column.flip,
            }),
        ),
        of(
            "/$defs/ModelConfig",
            json!({
                "drop_image": model.drop_image,
                "auxiliary": model.auxiliary,
                "head": model.head,
                "candidates": model.candidates,
                "image_pooling": model.image_pooling,
                "edit": [],
            }),
        ),
        of(
            "/$defs/TrainConfig",
            json!({
                "unfreeze": train.unfreeze,
                "accumulate": train.accumulate,
                "scale_rate": train.scale_rate,
                "sync_batch_norm": train.sync_batch_norm,
                "ema": train.ema,
                "ema_warmup": train.ema_warmup,
                "heatmap_loss": train.heatmap_loss,
                "sampling": train.sampling,
                "mixup": train.mixup,
                "memory": train.memory,
                "log": train.log,
            }),
        ),
    ]
    .concat()
}

/// One of these, or a list of them.
pub(super) fn one_or_several<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let one = generator.subschema_for::<T>();
    schemars::json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
}

/// A part of a schema as TOML has it: there is no null, whoever leaves a field out has its default. Formats of numbers
/// are Rust's.
fn as_toml(schema: &mut Schema) {
    let Some(part) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::String(doc)) = part.get("description") {
        let text = text(doc);
        part.insert("description".into(), text.into());
    }
    part.remove("format");
    if part.get("default").is_some_and(Value::is_null) {
        part.remove("default");
    }
    without_null(part);
}

fn without_null(part: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = part.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_mut_slice() {
            let one = one.take();
            part.insert("type".into(), one);
        }
    }
    let Some(Value::Array(alternatives)) = part.get_mut("anyOf") else {
        return;
    };
    alternatives.retain(|alternative| *alternative != json!({ "type": "null" }));
    if let [Value::Object(only)] = alternatives.as_mut_slice() {
        let only = std::mem::take(only);
        part.remove("anyOf");
        part.extend(only);
    }
}

/// A documentation comment as text: its paragraphs up to the first heading, each in one line, links to items of the code
/// as their names.
fn text(doc: &str) -> String {
    let before_headings = doc.split("\n\n# ").next().unwrap_or(doc);
    let mut rest = before_headings;
    let mut text = String::new();
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else {
            break;
        };
        text.extend([before, "`", name, "`"]);
        let target = after
            .strip_prefix('(')
            .and_then(|target| target.split_once(')'));
        rest = target.map_or(after, |(_, after)| after);
    }
    text.push_str(rest);
    let paragraphs = text.split("\n\n");
    let in_one_line = |paragraph: &str| paragraph.lines().collect::<Vec<_>>().join(" ");
    paragraphs.map(in_one_line).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_read_as_text() {
        let doc = "What [`Config::read`] or\n[`Dataset::open`](crate::dataset::Dataset::open) does.\n\nMore: `[0, 1]`.\n\n# Source\n\nA paper";
        assert_eq!(
            text(doc),
            "What `Config::read` or `Dataset::open` does.\n\nMore: `[0, 1]`."
        );
    }

    #[test]
    fn old_names_are_those_that_are_read() {
        for (old, new) in OLD_KINDS {
            let kind = |name: &str| serde_json::from_value::<super::super::TargetKind>(name.into());
            assert_eq!(kind(old).unwrap(), kind(new).unwrap());
        }
        let source = include_str!("../kind.rs");
        assert_eq!(source.matches("alias = ").count(), OLD_KINDS.len());
    }
}
