//! Edits of a network: refused before anything changes, or done with every kept weight as it was.

use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::Network;
use super::layer::Layer;
use super::parameter::{Freeze, Parameter, Start};
use super::path::split;
use super::plan::Plan;
use super::shape::{self, At};
use super::tree::{Node, join};
use crate::error::{Error, Result};

/// One edit. In the configuration: `[[model.edit]]` with `op` and the fields of the variant, as in
/// `{ op = "replace", path = "head.6", layer = { kind = "linear", out_features = 7 } }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// Another layer in the place of this one.
    Replace {
        /// The layer.
        path: String,
        /// The other.
        layer: Plan,
    },
    /// A new layer before this one.
    InsertBefore {
        /// The layer.
        path: String,
        /// The new one's name.
        name: String,
        /// The new one.
        layer: Plan,
    },
    /// A new layer after this one.
    InsertAfter {
        /// The layer.
        path: String,
        /// The new one's name.
        name: String,
        /// The new one.
        layer: Plan,
    },
    /// A new first layer inside this one.
    Prepend {
        /// The layer; left out: the network.
        #[serde(default)]
        path: String,
        /// The new one's name.
        name: String,
        /// The new one.
        layer: Plan,
    },
    /// A new last layer inside this one.
    Append {
        /// The layer; left out: the network.
        #[serde(default)]
        path: String,
        /// The new one's name.
        name: String,
        /// The new one.
        layer: Plan,
    },
    /// Takes a layer out.
    Remove {
        /// The layer.
        path: String,
    },
    /// Takes out everything after a layer.
    Cut {
        /// The last layer that stays.
        path: String,
    },
    /// No training of what a pattern means: a path, a prefix, or with `*`.
    Freeze {
        /// The pattern.
        path: String,
    },
    /// Training of what a pattern means.
    Unfreeze {
        /// The pattern.
        path: String,
    },
    /// Images of another number of channels.
    InputChannels {
        /// How many.
        n: usize,
    },
}

impl Edit {
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
    /// What it puts in.
    pub(super) fn layer_mut(&mut self) -> Option<&mut Plan> {
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

impl Network {
    /// Puts another layer in the place of the one at `path`. Returns the paths of the new parameters.
    ///
    /// # Errors
    ///
    /// As [`Network::edit`], and so for all of these.
    pub fn replace(
        &mut self,
        path: &str,
        layer: impl Into<Plan>,
        seed: u64,
    ) -> Result<Vec<String>> {
        self.edit(
            &Edit::Replace {
                path: path.to_owned(),
                layer: layer.into(),
            },
            seed,
        )
    }
    /// Puts a new layer before the one at `path`.
    ///
    /// # Errors
    ///
    /// As [`Network::edit`].
    pub fn insert_before(
        &mut self,
        path: &str,
        name: &str,
        layer: impl Into<Plan>,
        seed: u64,
    ) -> Result<Vec<String>> {
        self.edit(
            &Edit::InsertBefore {
                path: path.to_owned(),
                name: name.to_owned(),
                layer: layer.into(),
            },
            seed,
        )
    }
    /// Puts a new layer after the one at `path`.
    ///
    /// # Errors
    ///
    /// As [`Network::edit`].
    pub fn insert_after(
        &mut self,
        path: &str,
        name: &str,
        layer: impl Into<Plan>,
        seed: u64,
    ) -> Result<Vec<String>> {
        self.edit(
            &Edit::InsertAfter {
                path: path.to_owned(),
                name: name.to_owned(),
                layer: layer.into(),
            },
            seed,
        )
    }
    /// Puts a new layer first inside the one at `path` (empty: the network).
    ///
    /// # Errors
    ///
    /// As [`Network::edit`].
    pub fn prepend(
        &mut self,
        path: &str,
        name: &str,
        layer: impl Into<Plan>,
        seed: u64,
    ) -> Result<Vec<String>> {
        self.edit(
            &Edit::Prepend {
                path: path.to_owned(),
                name: name.to_owned(),
                layer: layer.into(),
            },
            seed,
        )
    }
    /// Puts a new layer last inside the one at `path` (empty: the network).
    ///
    /// # Errors
    ///
    /// As [`Network::edit`].
    pub fn append(
        &mut self,
        path: &str,
        name: &str,
        layer: impl Into<Plan>,
        seed: u64,
    ) -> Result<Vec<String>> {
        self.edit(
            &Edit::Append {
                path: path.to_owned(),
                name: name.to_owned(),
                layer: layer.into(),
            },
            seed,
        )
    }
    /// Takes out the layer at `path`.
    ///
    /// # Errors
    ///
    /// As [`Network::edit`].
    pub fn remove(&mut self, path: &str) -> Result<()> {
        self.edit(
            &Edit::Remove {
                path: path.to_owned(),
            },
            0,
        )
        .map(|_| ())
    }
    /// Takes out everything after the layer at `path`: the network gives that layer's features.
    ///
    /// # Errors
    ///
    /// As [`Network::edit`].
    pub fn cut(&mut self, path: &str) -> Result<()> {
        self.edit(
            &Edit::Cut {
                path: path.to_owned(),
            },
            0,
        )
        .map(|_| ())
    }

    /// Makes one edit. Shapes are inferred first: an edit that does not fit is refused and changes nothing.
    /// Kept layers keep their weights bit for bit. Returns the paths of the parameters that are new, whose
    /// first values come from `seed`.
    ///
    /// # Errors
    ///
    /// [`Error::NoLayer`], [`Error::LayerExists`], [`Error::LayerName`], [`Error::Shape`], [`Error::LayerField`];
    /// [`Error::NoParameter`] of a freeze that means nothing.
    pub fn edit(&mut self, edit: &Edit, seed: u64) -> Result<Vec<String>> {
        self.edit_all(std::slice::from_ref(edit), seed)
    }

    /// Makes several edits in order, all or none: between two of them shapes need not fit.
    ///
    /// # Errors
    ///
    /// As [`Network::edit`].
    pub fn edit_all(&mut self, edits: &[Edit], seed: u64) -> Result<Vec<String>> {
        // Tensors are shared by copies of the tree, so that a copy costs nothing.
        let mut draft = self.clone();
        let mut new = Vec::new();
        for edit in edits {
            match edit {
                Edit::Freeze { path } | Edit::Unfreeze { path } => {
                    // What is to be frozen may be new: its parameters must be there.
                    new.extend(draft.fill(seed)?);
                    let freeze = if matches!(edit, Edit::Freeze { .. }) {
                        Freeze::Yes
                    } else {
                        Freeze::No
                    };
                    if draft.set_frozen(path, freeze) == 0 {
                        let children = draft
                            .root
                            .children
                            .iter()
                            .map(|(name, _)| name.clone())
                            .collect();
                        return Err(Error::NoParameter {
                            pattern: path.clone(),
                            children,
                        });
                    }
                }
                Edit::InputChannels { n } => draft.set_input_channels(*n)?,
                Edit::Remove { path } => {
                    let (parent, at) = draft.root.parent_of(path)?;
                    parent.children.remove(at);
                }
                Edit::Cut { path } => cut(&mut draft.root, path)?,
                Edit::Replace { path, layer } => {
                    let (parent, at) = draft.root.parent_of(path)?;
                    parent.children[at].1 = blank(layer);
                }
                Edit::InsertBefore { path, name, layer }
                | Edit::InsertAfter { path, name, layer } => {
                    let (parent, at) = draft.root.parent_of(path)?;
                    let at = at + usize::from(matches!(edit, Edit::InsertAfter { .. }));
                    insert(parent, split(path).0, at, name, layer)?;
                }
                Edit::Prepend { path, name, layer } | Edit::Append { path, name, layer } => {
                    let parent = draft.root.get_mut(path)?;
                    let at = if matches!(edit, Edit::Prepend { .. }) {
                        0
                    } else {
                        parent.children.len()
                    };
                    insert(parent, path, at, name, layer)?;
                }
            }
        }
        new.extend(draft.fill(seed)?);
        *self = draft;
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
        let mut plan = self.root.plan();
        shape::infer(&mut plan, self.input.shape())?;
        let mut new = Vec::new();
        fill(&mut self.root, &plan, "", seed, &device, &mut new);
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
            children: self
                .root
                .children
                .iter()
                .map(|(name, _)| name.clone())
                .collect(),
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
        let device = weight_device(weight);
        let frozen = weight.frozen;
        let spec = Layer::Conv2d(specs).parameters().swap_remove(0);
        *weight = Parameter::new(&spec, "", Start::Zeros, &device);
        weight.set_values(adapted);
        weight.set_frozen(if frozen { Freeze::Yes } else { Freeze::No });

        self.input.channels = n;
        Ok(())
    }
}

fn weight_device(parameter: &Parameter) -> Device {
    super::parameter::each_rank!(&parameter.value, param => param.lazy_device())
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
fn blank(plan: &Plan) -> Node {
    Node {
        layer: plan.layer.clone(),
        parameters: super::Parameters::default(),
        prepared: Default::default(),
        children: plan
            .children
            .iter()
            .map(|(name, child)| (name.clone(), blank(child)))
            .collect(),
    }
}

/// Makes the parameters of the layers that have none and need some.
fn fill(
    node: &mut Node,
    plan: &Plan,
    path: &str,
    seed: u64,
    device: &Device,
    new: &mut Vec<String>,
) {
    let specs = plan.layer.parameters();
    if node.parameters.0.len() != specs.len() {
        node.layer = plan.layer.clone();
        for spec in &specs {
            let path = join(path, &spec.name);
            node.parameters
                .0
                .push(Parameter::new(spec, &path, Start::Seed(seed), device));
            new.push(path);
        }
    }
    for ((name, child), (_, plan)) in node.children.iter_mut().zip(&plan.children) {
        fill(child, plan, &join(path, name), seed, device, new);
    }
}

/// Puts a blank layer into a parent.
fn insert(parent: &mut Node, parent_path: &str, at: usize, name: &str, layer: &Plan) -> Result<()> {
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
