//! A network as data without numbers: layers, their names and their order.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value as Json};

use super::layer::{Layer, MetadataSource};

/// A layer and the layers inside it. Written as JSON or TOML it is the layer's fields
/// (`kind` first) and `children`, an array of the same with a `name` each.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What it does.
    pub layer: Layer,
    /// The layers inside, in order.
    pub children: Vec<(String, Plan)>,
}

impl Plan {
    /// A layer with none inside.
    pub fn leaf(layer: Layer) -> Self {
        Self {
            layer,
            children: Vec::new(),
        }
    }
    /// A layer with these inside.
    pub fn with<N: Into<String>>(
        layer: Layer,
        children: impl IntoIterator<Item = (N, Plan)>,
    ) -> Self {
        Self {
            layer,
            children: children
                .into_iter()
                .map(|(name, child)| (name.into(), child))
                .collect(),
        }
    }
    /// Layers one after another, with these names.
    pub fn sequence<N: Into<String>>(children: impl IntoIterator<Item = (N, Plan)>) -> Self {
        Self::with(Layer::Sequential, children)
    }
    /// Layers one after another, named `0`, `1`, … as torch does.
    pub fn numbered(children: impl IntoIterator<Item = Plan>) -> Self {
        Self::sequence(
            children
                .into_iter()
                .enumerate()
                .map(|(i, child)| (i.to_string(), child)),
        )
    }
    /// The layer at a path.
    pub fn get(&self, path: &str) -> Option<&Plan> {
        path.split('.')
            .filter(|name| !name.is_empty())
            .try_fold(self, |plan, name| {
                plan.children
                    .iter()
                    .find(|(child, _)| child == name)
                    .map(|(_, child)| child)
            })
    }
    /// Gives every metadata layer that was written without widths the table's metadata.
    pub(super) fn fill_metadata(&mut self, source: &MetadataSource) {
        match &self.layer {
            Layer::Metadata(found) if found.width() == 0 => *self = source.plan(),
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

impl From<Layer> for Plan {
    fn from(layer: Layer) -> Self {
        Self::leaf(layer)
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        plan_to_json(None, self)
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

fn plan_to_json(name: Option<&str>, plan: &Plan) -> serde_json::Result<Json> {
    let mut object = Map::new();
    if let Some(name) = name {
        object.insert("name".into(), name.into());
    }
    if let Json::Object(fields) = serde_json::to_value(&plan.layer)? {
        object.extend(fields);
    }
    if !plan.children.is_empty() {
        let children: serde_json::Result<_> = plan
            .children
            .iter()
            .map(|(name, child)| plan_to_json(Some(name), child))
            .collect();
        object.insert("children".into(), Json::Array(children?));
    }
    Ok(Json::Object(object))
}

impl<'de> Deserialize<'de> for Plan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Map::deserialize(deserializer)?;
        plan_from_json(object, DEPTH)
            .map(|(_, plan)| plan)
            .map_err(D::Error::custom)
    }
}

/// How deep layers may lie inside layers; more is a mistake or an attack on the stack.
const DEPTH: usize = 64;

fn plan_from_json(
    mut object: Map<String, Json>,
    depth: usize,
) -> serde_json::Result<(Option<String>, Plan)> {
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
    let layer = serde_json::from_value(Json::Object(object))?;
    let mut plan = Plan::leaf(layer);
    for (i, child) in children.into_iter().enumerate() {
        let Json::Object(child) = child else {
            return Err(serde_json::Error::custom(format!(
                "a child must be a table, found `{child}`"
            )));
        };
        let (name, child) = plan_from_json(child, depth - 1)?;
        let name = name.unwrap_or_else(|| i.to_string());
        if name.is_empty() || name.contains('.') {
            return Err(serde_json::Error::custom(format!(
                "`{name}` cannot be a layer's name"
            )));
        }
        if plan.children.iter().any(|(taken, _)| *taken == name) {
            return Err(serde_json::Error::custom(format!(
                "two layers are called `{name}`"
            )));
        }
        plan.children.push((name, child));
    }
    Ok((name, plan))
}
