//! Layers of a library user's own.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};
use serde::{Deserializer, Serializer};

use super::prelude::*;

/// A layer of a library user's own. Its parameters are declared, and are then trained, frozen,
/// saved and loaded as any other's.
pub trait CustomLayer: fmt::Debug + Send + Sync {
    /// The name by which it is saved and found again.
    fn name(&self) -> &str;
    /// What is to be saved of it, besides the parameters.
    fn config(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    /// The parameters that it needs.
    fn parameters(&self) -> Vec<ParameterSpec> {
        Vec::new()
    }
    /// The shape that it makes of its input.
    ///
    /// # Errors
    ///
    /// [`At::misfit`] where it does not take the input.
    fn output(&self, at: &At<'_>, input: Shape) -> Result<Shape>;
    /// Runs it. `walk.context` has the metadata, the mode and the step's seed.
    fn forward(&self, parameters: &Parameters, x: Value, walk: &mut Walk<'_>) -> Value;
}

/// A [`CustomLayer`] in the tree.
#[derive(Clone)]
pub struct Custom(pub Arc<dyn CustomLayer>);

impl Custom {
    /// Puts a layer into the tree.
    pub fn new(layer: impl CustomLayer + 'static) -> Self {
        Self(Arc::new(layer))
    }
}

impl Leaf for Custom {
    fn parameters(&self) -> Vec<ParameterSpec> {
        self.0.parameters()
    }
    fn output(&mut self, at: &At<'_>, input: Shape) -> Result<Shape> {
        self.0.output(at, input)
    }
    fn forward(&self, node: &Node, x: Value, walk: &mut Walk<'_>) -> Value {
        self.0.forward(&node.parameters, x, walk)
    }
    fn onnx(&self, _: &mut Graph, _: &Node, _: &Flow) -> Option<String> {
        None
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name() && self.0.config() == other.0.config()
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Written {
    /// Not `name`, which is the child's in the tree.
    layer: String,
    #[serde(default)]
    config: serde_json::Value,
}

impl Serialize for Custom {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        Written {
            layer: self.0.name().to_owned(),
            config: self.0.config(),
        }
        .serialize(serializer)
    }
}

impl JsonSchema for Custom {
    fn schema_name() -> Cow<'static, str> {
        "Custom".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Written::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for Custom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let Written { layer, config } = Written::deserialize(deserializer)?;
        Ok(Self(Arc::new(Unknown {
            name: layer,
            config,
        })))
    }
}

/// What was read of a custom layer before its constructor made it.
#[derive(Debug)]
struct Unknown {
    name: String,
    config: serde_json::Value,
}

impl CustomLayer for Unknown {
    fn name(&self) -> &str {
        &self.name
    }
    fn config(&self) -> serde_json::Value {
        self.config.clone()
    }
    fn output(&self, at: &At<'_>, _: Shape) -> Result<Shape> {
        Err(Error::CustomLayer {
            path: at.path.to_owned(),
            name: self.name.clone(),
        })
    }
    fn forward(&self, _: &Parameters, x: Value, _: &mut Walk<'_>) -> Value {
        // No network can be built with it: the shape pass refuses it.
        x
    }
}

/// How custom layers are made from what was saved of them, by name.
#[derive(Default)]
pub struct Constructors(BTreeMap<String, Constructor>);

/// Makes a layer from its saved configuration.
type Constructor = Box<dyn Fn(&serde_json::Value) -> Result<Custom> + Send + Sync>;

impl fmt::Debug for Constructors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Constructors {
    /// Adds the constructor of the layer of this name.
    #[must_use]
    pub fn with(
        mut self,
        name: &str,
        make: impl Fn(&serde_json::Value) -> Result<Custom> + Send + Sync + 'static,
    ) -> Self {
        self.0.insert(name.to_owned(), Box::new(make));
        self
    }
    /// Puts the real layers in the place of what was read of them.
    pub(crate) fn apply(&self, architecture: &mut Architecture) -> Result<()> {
        if let Layer::Custom(custom) = &mut architecture.layer
            && let Some(make) = self.0.get(custom.0.name())
        {
            *custom = make(&custom.0.config())?;
        }
        architecture
            .children
            .iter_mut()
            .try_for_each(|(_, child)| self.apply(child))
    }
}
