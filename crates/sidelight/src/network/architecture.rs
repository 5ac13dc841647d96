//! A network as data without numbers: layers, their names and their order.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value as Json, json};

use super::layer::{Layer, MetadataSource};

/// A layer and the layers inside it. Written as JSON or TOML it is the layer's fields
/// (`kind` first) and `children`, an array of the same with a `name` each.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// What it does.
    pub layer: Layer,
    /// The layers inside, in order.
    pub children: Vec<(String, Architecture)>,
}

impl Architecture {
    /// A layer with these inside.
    pub fn with<N: Into<String>>(
        layer: impl Into<Layer>,
        children: impl IntoIterator<Item = (N, Architecture)>,
    ) -> Self {
        let children = children.into_iter();
        Self {
            layer: layer.into(),
            children: children.map(|(name, child)| (name.into(), child)).collect(),
        }
    }
    /// Layers one after another, with these names.
    pub fn sequence<N: Into<String>>(
        children: impl IntoIterator<Item = (N, Architecture)>,
    ) -> Self {
        Self::with(Layer::Sequential, children)
    }
    /// Layers one after another, named `0`, `1`, … as torch does.
    pub fn numbered(children: impl IntoIterator<Item = Architecture>) -> Self {
        let children = children.into_iter().enumerate();
        Self::sequence(children.map(|(i, child)| (i.to_string(), child)))
    }
    /// The layer at a path.
    pub fn get(&self, path: &str) -> Option<&Architecture> {
        path.split('.')
            .filter(|name| !name.is_empty())
            .try_fold(self, |architecture, name| {
                architecture
                    .children
                    .iter()
                    .find(|(child, _)| child == name)
                    .map(|(_, child)| child)
            })
    }
    /// Gives every metadata layer that was written without widths the table's metadata.
    pub(super) fn fill_metadata(&mut self, source: &MetadataSource) {
        match &self.layer {
            Layer::Metadata(found) if found.width() == 0 => *self = source.architecture(),
            _ => {
                for (_, child) in &mut self.children {
                    child.fill_metadata(source);
                }
            }
        }
    }
    /// Whether this layer or one inside it reads the metadata.
    pub fn reads_metadata(&self) -> bool {
        matches!(self.layer, Layer::Metadata(_))
            || self
                .children
                .iter()
                .any(|(_, child)| child.reads_metadata())
    }
}

/// A layer with none inside.
impl<L: Into<Layer>> From<L> for Architecture {
    fn from(layer: L) -> Self {
        Self {
            layer: layer.into(),
            children: Vec::new(),
        }
    }
}

impl Serialize for Architecture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        to_json(None, self)
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

fn to_json(name: Option<&str>, architecture: &Architecture) -> serde_json::Result<Json> {
    let mut object = Map::new();
    if let Some(name) = name {
        object.insert("name".into(), name.into());
    }
    if let Json::Object(fields) = serde_json::to_value(&architecture.layer)? {
        object.extend(fields);
    }
    if !architecture.children.is_empty() {
        let children: serde_json::Result<_> = architecture
            .children
            .iter()
            .map(|(name, child)| to_json(Some(name), child))
            .collect();
        object.insert("children".into(), Json::Array(children?));
    }
    Ok(Json::Object(object))
}

impl<'de> Deserialize<'de> for Architecture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Map::deserialize(deserializer)?;
        from_json(object, DEPTH)
            .map(|(_, architecture)| architecture)
            .map_err(D::Error::custom)
    }
}

/// How deep layers may lie inside layers; more is a mistake or an attack on the stack.
const DEPTH: usize = 64;

fn from_json(
    mut object: Map<String, Json>,
    depth: usize,
) -> serde_json::Result<(Option<String>, Architecture)> {
    if depth == 0 {
        return Err(serde_json::Error::custom(format!(
            "layers lie more than {DEPTH} deep inside one another"
        )));
    }
    let name = match object.remove("name") {
        None => None,
        Some(Json::String(name)) => Some(name),
        Some(other) => {
            return Err(serde_json::Error::custom(format!(
                "`name` must be a string, found `{other}`"
            )));
        }
    };
    let children = match object.remove("children") {
        None => Vec::new(),
        Some(Json::Array(children)) => children,
        Some(other) => {
            return Err(serde_json::Error::custom(format!(
                "`children` must be an array, found `{other}`"
            )));
        }
    };
    let layer: Layer = serde_json::from_value(Json::Object(object))?;
    let mut architecture = Architecture::from(layer);
    for (i, child) in children.into_iter().enumerate() {
        let Json::Object(child) = child else {
            return Err(serde_json::Error::custom(format!(
                "a child must be a table, found `{child}`"
            )));
        };
        let (name, child) = from_json(child, depth - 1)?;
        let name = name.unwrap_or_else(|| i.to_string());
        if name.is_empty() || name.contains('.') {
            return Err(serde_json::Error::custom(format!(
                "`{name}` cannot be a layer's name"
            )));
        }
        if architecture
            .children
            .iter()
            .any(|(taken, _)| *taken == name)
        {
            return Err(serde_json::Error::custom(format!(
                "two layers are called `{name}`"
            )));
        }
        architecture.children.push((name, child));
    }
    Ok((name, architecture))
}

impl JsonSchema for Architecture {
    fn schema_name() -> Cow<'static, str> {
        "Architecture".into()
    }
    /// That of its layer, with a name and what is inside beside the layer's own fields.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Layer::json_schema(generator);
        let children = json!({
            "description": "The layers inside, in order.",
            "type": "array",
            "items": generator.subschema_for::<Self>(),
        });
        let name = json!({
            "description": "Its name among the layers inside another; default: its number.",
            "type": "string",
        });
        if let Some(Json::Array(layers)) = schema.get_mut("oneOf") {
            for layer in layers {
                if let Some(Json::Object(fields)) = layer.get_mut("properties") {
                    fields.insert("name".into(), name.clone());
                    fields.insert("children".into(), children.clone());
                }
            }
        }
        schema
    }
}
