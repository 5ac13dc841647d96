//! Edits of a network: refused before anything changes, or done with every kept weight as it was.

use burn::module::Module;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Network;
use super::architecture::Architecture;
use super::layer::Layer;
use super::parameter::{Freeze, Parameter, Start, each_rank};
use super::path::split;
use super::shape::{self, At};
use super::tree::{Node, join};
use crate::error::{Error, Result};

/// One edit. In the configuration: `[[model.edit]]` with `op` and the fields of the variant, as in
/// `{ op = "replace", path = "head.6", layer = { kind = "linear", out_features = 7 } }`.
///
/// # Example
///
/// ```
/// use sidelight::network::{Edit, layer::Linear};
///
/// let in_rust = Edit::replace("head.6", Linear::new(7));
/// let in_toml = "op = 'replace'\npath = 'head.6'\nlayer = { kind = 'linear', out_features = 7 }";
/// assert_eq!(in_rust, Edit::from_table(0, &in_toml.parse()?)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// Another layer in the place of this one.
    Replace {
        /// The layer that goes.
        path: String,
        /// The layer that comes.
        layer: Architecture,
    },
    /// A new layer before this one.
    InsertBefore {
        /// The layer that it comes before.
        path: String,
        /// The new layer's name.
        name: String,
        /// The new layer.
        layer: Architecture,
    },
    /// A new layer after this one.
    InsertAfter {
        /// The layer that it comes after.
        path: String,
        /// The new layer's name.
        name: String,
        /// The new layer.
        layer: Architecture,
    },
    /// A new first layer inside this one.
    Prepend {
        /// The layer around it; left out: the network.
        #[serde(default)]
        path: String,
        /// The new layer's name.
        name: String,
        /// The new layer.
        layer: Architecture,
    },
    /// A new last layer inside this one.
    Append {
        /// The layer around it; left out: the network.
        #[serde(default)]
        path: String,
        /// The new layer's name.
        name: String,
        /// The new layer.
        layer: Architecture,
    },
    /// Takes a layer out.
    Remove {
        /// The layer that goes.
        path: String,
    },
    /// Takes out everything after a layer: the network gives that layer's features.
    Cut {
        /// The last layer that stays.
        path: String,
    },
    /// No training of what a pattern means: a path, a prefix, or with `*`.
    Freeze {
        /// The pattern of the parameters' paths.
        path: String,
    },
    /// Training of what a pattern means.
    Unfreeze {
        /// The pattern of the parameters' paths.
        path: String,
    },
    /// Images of another number of channels.
    InputChannels {
        /// Number of channels.
        n: usize,
    },
}

impl Edit {
    /// Another layer in the place of the one at `path`.
    pub fn replace(path: impl Into<String>, layer: impl Into<Architecture>) -> Self {
        let (path, layer) = (path.into(), layer.into());
        Self::Replace { path, layer }
    }
    /// A new layer of this name before the one at `path`.
    pub fn insert_before(
        path: impl Into<String>,
        name: impl Into<String>,
        layer: impl Into<Architecture>,
    ) -> Self {
        let (path, name, layer) = (path.into(), name.into(), layer.into());
        Self::InsertBefore { path, name, layer }
    }
    /// A new layer of this name after the one at `path`.
    pub fn insert_after(
        path: impl Into<String>,
        name: impl Into<String>,
        layer: impl Into<Architecture>,
    ) -> Self {
        let (path, name, layer) = (path.into(), name.into(), layer.into());
        Self::InsertAfter { path, name, layer }
    }
    /// A new first layer of the network.
    pub fn prepend(name: impl Into<String>, layer: impl Into<Architecture>) -> Self {
        let (path, name, layer) = (String::new(), name.into(), layer.into());
        Self::Prepend { path, name, layer }
    }
    /// A new last layer of the network.
    pub fn append(name: impl Into<String>, layer: impl Into<Architecture>) -> Self {
        let (path, name, layer) = (String::new(), name.into(), layer.into());
        Self::Append { path, name, layer }
    }
    /// Takes out the layer at `path`.
    pub fn remove(path: impl Into<String>) -> Self {
        let path = path.into();
        Self::Remove { path }
    }
    /// Takes out everything after the layer at `path`.
    pub fn cut(path: impl Into<String>) -> Self {
        let path = path.into();
        Self::Cut { path }
    }
    /// This edit, the first values of new parameters drawn from this seed instead of 0.
    pub fn with_seed(self, seed: u64) -> Edits {
        Edits::from(self).with_seed(seed)
    }
    /// Reads the edit at this position of `model.edit`.
    ///
    /// # Errors
    ///
    /// [`Error::LayerDescription`].
    pub fn from_table(position: usize, table: &toml::Table) -> Result<Self> {
        serde_json::to_value(table)
            .and_then(serde_json::from_value)
            .map_err(|source| Error::LayerDescription {
                at: format!("in `model.edit[{position}]`"),
                source,
            })
    }
    /// The layer that it puts in.
    pub(super) fn layer_mut(&mut self) -> Option<&mut Architecture> {
        match self {
            Self::Replace { layer, .. }
            | Self::InsertBefore { layer, .. }
            | Self::InsertAfter { layer, .. }
            | Self::Prepend { layer, .. }
            | Self::Append { layer, .. } => Some(layer),
            _ => None,
        }
    }
    /// The path that it is about; nothing for the input's channels.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Replace { path, .. }
            | Self::InsertBefore { path, .. }
            | Self::InsertAfter { path, .. }
            | Self::Prepend { path, .. }
            | Self::Append { path, .. }
            | Self::Remove { path }
            | Self::Cut { path }
            | Self::Freeze { path }
            | Self::Unfreeze { path } => Some(path),
            Self::InputChannels { .. } => None,
        }
    }
}

/// Edits to be made in order, all or none: between two of them shapes need not fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Edits {
    edits: Vec<Edit>,
    seed: u64,
}

impl Edits {
    /// The same, the first values of new parameters drawn from this seed instead of 0.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

impl From<Edit> for Edits {
    fn from(edit: Edit) -> Self {
        Self::from([edit])
    }
}

impl<I: IntoIterator<Item = Edit>> From<I> for Edits {
    fn from(edits: I) -> Self {
        Self {
            edits: edits.into_iter().collect(),
            seed: 0,
        }
    }
}

impl Network {
    /// Makes one edit, or several of which shapes need only fit after the last. An edit that does not fit is refused
    /// and changes nothing. Kept layers keep their weights bit for bit. Returns the paths of the parameters that are
    /// new, whose first values come from the edits' seed and these paths.
    ///
    /// # Errors
    ///
    /// [`Error::NoLayer`], [`Error::LayerExists`], [`Error::LayerName`], [`Error::Shape`], [`Error::LayerField`];
    /// [`Error::NoParameter`] of a freeze that means nothing.
    ///
    /// # Example
    ///
    /// torchvision's ResNet-18 with a head of five outputs, then cut for its features:
    ///
    /// ```
    /// use sidelight::network::{BackboneWeights, Edit, Layer, Network, Shape, backbone, layer::Linear};
    /// # let device = sidelight::tensor::Device::flex();
    /// let resnet = backbone::named("resnet18")?;
    /// let mut network = Network::original(resnet, 1000, 64, BackboneWeights::Seed(0), &device)?;
    ///
    /// let new = network.edit(Edit::replace("fc", Linear::new(5)))?;
    /// assert_eq!(new, ["fc.weight", "fc.bias"]);
    /// assert_eq!(network.inspect()?[0].output, Shape::Features(5));
    ///
    /// network.edit([Edit::cut("layer3"), Edit::append("flatten", Layer::Flatten)])?;
    /// assert_eq!(network.inspect()?[0].output, Shape::Features(256 * 4 * 4));
    ///
    /// let refused = network.edit(Edit::append("fc", Linear { in_features: 512, ..Linear::new(5) }));
    /// let message = "`fc` (linear) expects `in_features = 512`, but gets 4096 features";
    /// assert_eq!(refused.unwrap_err().to_string(), message);
    /// # Ok::<(), sidelight::Error>(())
    /// ```
    pub fn edit(&mut self, edits: impl Into<Edits>) -> Result<Vec<String>> {
        let Edits { edits, seed } = edits.into();
        // Tensors are shared by copies of the tree, so that a copy costs nothing.
        let mut draft = self.clone();
        let mut new = Vec::new();
        for edit in edits {
            new.extend(draft.make(edit, seed)?);
        }
        new.extend(draft.fill(seed)?);
        *self = draft;
        Ok(new)
    }

    /// Makes one edit, layers left blank where that is possible; returns the paths of the parameters made on the way.
    fn make(&mut self, edit: Edit, seed: u64) -> Result<Vec<String>> {
        match edit {
            Edit::Freeze { path } => return self.fill_and_set_frozen(path, Freeze::Yes, seed),
            Edit::Unfreeze { path } => return self.fill_and_set_frozen(path, Freeze::No, seed),
            Edit::InputChannels { n } => self.set_input_channels(n)?,
            Edit::Remove { path } => {
                let (parent, at) = self.root.parent_of(&path)?;
                parent.children.remove(at);
            }
            Edit::Cut { path } => cut(&mut self.root, &path)?,
            Edit::Replace { path, layer } => {
                let (parent, at) = self.root.parent_of(&path)?;
                parent.children[at].1 = blank(&layer);
            }
            Edit::InsertBefore { path, name, layer } => {
                let (parent, at) = self.root.parent_of(&path)?;
                insert(parent, split(&path).0, at, &name, &layer)?;
            }
            Edit::InsertAfter { path, name, layer } => {
                let (parent, at) = self.root.parent_of(&path)?;
                insert(parent, split(&path).0, at + 1, &name, &layer)?;
            }
            Edit::Prepend { path, name, layer } => {
                insert(self.root.get_mut(&path)?, &path, 0, &name, &layer)?;
            }
            Edit::Append { path, name, layer } => {
                let parent = self.root.get_mut(&path)?;
                insert(parent, &path, parent.children.len(), &name, &layer)?;
            }
        }
        Ok(Vec::new())
    }

    /// Freezes or thaws what a pattern means. What it means may be new: its parameters are made first.
    fn fill_and_set_frozen(
        &mut self,
        pattern: String,
        freeze: Freeze,
        seed: u64,
    ) -> Result<Vec<String>> {
        let new = self.fill(seed)?;
        if self.set_frozen(&pattern, freeze) == 0 {
            let children = self.root.child_names();
            return Err(Error::NoParameter { pattern, children });
        }
        Ok(new)
    }

    /// Infers every shape and gives the blank layers their parameters; returns the paths of these.
    pub(super) fn fill(&mut self, seed: u64) -> Result<Vec<String>> {
        let device = self
            .root
            .devices()
            .first()
            .cloned()
            .unwrap_or_else(Device::flex);
        let mut architecture = self.root.architecture();
        shape::infer(&mut architecture, self.input.shape())?;
        let mut new = Vec::new();
        fill(&mut self.root, &architecture, "", seed, &device, &mut new);
        Ok(new)
    }

    /// Lets the first convolution take images of `n` channels, its weights adapted.
    ///
    /// # Source
    ///
    /// timm's `adapt_input_conv` (Wightman 2019, `timm/models/_manipulate.py`): for one channel the sum over the
    /// three; for more the three repeated, cut to n, and scaled by 3 / n, so that activations keep their size.
    fn set_input_channels(&mut self, n: usize) -> Result<()> {
        let path = first_convolution(&self.root, "").ok_or_else(|| Error::NoLayer {
            path: "conv2d".into(),
            parent: String::new(),
            children: self.root.child_names(),
        })?;
        let at = At {
            path: &path,
            kind: "conv2d",
        };
        if n == 0 {
            return Err(at.field("in_channels", "at least 1", n));
        }
        let node = self.root.get_mut(&path)?;
        let Layer::Conv2d(conv) = &mut node.layer else {
            unreachable!("a convolution was found there")
        };
        let old = conv.in_channels;
        if conv.groups != 1 {
            return Err(at.field("groups", "1 where the input's channels change", conv.groups));
        }
        conv.in_channels = n;
        let area = conv.kernel * conv.kernel;
        let specs = conv.clone();
        // A new convolution has no weights yet: there is nothing to adapt.
        let Some(weight) = node.parameters.0.iter_mut().find(|p| p.name == "weight") else {
            conv.in_channels = 0;
            self.input.channels = n;
            return Ok(());
        };
        let values = weight.values();
        let mut adapted = Vec::with_capacity(values.len() / old * n);
        for filter in values.chunks(old * area) {
            for channel in 0..n {
                for pixel in 0..area {
                    adapted.push(if n == 1 {
                        (0..old).map(|c| filter[c * area + pixel]).sum()
                    } else {
                        filter[channel % old * area + pixel] * old as f32 / n as f32
                    });
                }
            }
        }
        let device = each_rank!(&weight.value, param => param.lazy_device());
        let freeze = if weight.frozen {
            Freeze::Yes
        } else {
            Freeze::No
        };
        let spec = Layer::Conv2d(specs).parameters().swap_remove(0);
        *weight = Parameter::new(&spec, "", Start::Zeros, &device);
        weight.set_values(adapted);
        weight.set_frozen(freeze);
        self.input.channels = n;
        Ok(())
    }
}

fn first_convolution(node: &Node, path: &str) -> Option<String> {
    if matches!(node.layer, Layer::Conv2d(_)) {
        return Some(path.to_owned());
    }
    node.children
        .iter()
        .find_map(|(name, child)| first_convolution(child, &join(path, name)))
}

/// The layers of a description without parameters, until the shapes are known.
fn blank(architecture: &Architecture) -> Node {
    Node {
        layer: architecture.layer.clone(),
        parameters: super::Parameters::default(),
        prepared: Default::default(),
        children: architecture
            .children
            .iter()
            .map(|(name, child)| (name.clone(), blank(child)))
            .collect(),
    }
}

/// Makes the parameters of the layers that have none and need some.
fn fill(
    node: &mut Node,
    architecture: &Architecture,
    path: &str,
    seed: u64,
    device: &Device,
    new: &mut Vec<String>,
) {
    let specs = architecture.layer.parameters();
    if node.parameters.0.len() != specs.len() {
        node.layer = architecture.layer.clone();
        for spec in &specs {
            let path = join(path, &spec.name);
            node.parameters
                .0
                .push(Parameter::new(spec, &path, Start::Seed(seed), device));
            new.push(path);
        }
    }
    for ((name, child), (_, architecture)) in node.children.iter_mut().zip(&architecture.children) {
        fill(child, architecture, &join(path, name), seed, device, new);
    }
}

/// Puts a blank layer into a parent.
fn insert(
    parent: &mut Node,
    parent_path: &str,
    at: usize,
    name: &str,
    layer: &Architecture,
) -> Result<()> {
    if name.is_empty() || name.contains('.') {
        return Err(Error::LayerName {
            name: name.to_owned(),
        });
    }
    let path = join(parent_path, name);
    if parent.children.iter().any(|(taken, _)| taken == name) {
        return Err(Error::LayerExists { path });
    }
    parent.children.insert(at, (name.to_owned(), blank(layer)));
    Ok(())
}

/// Takes out everything after the layer at `path`; what lies around it must be sequences.
fn cut(root: &mut Node, path: &str) -> Result<()> {
    root.get(path)?;
    let mut node = root;
    let mut reached = String::new();
    for name in path.split('.').filter(|_| !path.is_empty()) {
        if !matches!(node.layer, Layer::Sequential) {
            let at = At {
                path: &reached,
                kind: node.layer.kind(),
            };
            let fit = format!("cut at `{reached}` itself");
            return Err(at.misfit(
                "all of its layers",
                format!("a cut at its `{name}`"),
                Some(fit),
            ));
        }
        let at = node
            .children
            .iter()
            .position(|(child, _)| child == name)
            .expect("the path was just found");
        node.children.truncate(at + 1);
        node = &mut node.children[at].1;
        reached = join(&reached, name);
    }
    Ok(())
}
