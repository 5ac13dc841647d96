//! From a configuration to a network: backbone, its weights, its edits, fusion, head.

use std::path::Path;

use burn::tensor::Device;

use super::backbone::{self, Backbone, IMAGENET_MEAN, IMAGENET_SD};
use super::edit::Edit;
use super::fusion::{self, FusionSpec};
use super::head;
use super::layer::{Layer, MetadataSource};
use super::parameter::Start;
use super::path::shape_at;
use super::plan::Plan;
use super::shape::{self, At, Shape};
use super::tree::Node;
use super::weights::{self, Fit};
use super::{InputSpec, ModelSpec, Network};
use crate::config::{Arm, HeadKind, ModelConfig};
use crate::error::{Error, Result, setting};
use crate::tensor::Precision;

/// Default of `model.drop_image` but for points, which are in the image alone.
const DROP_IMAGE: f64 = 0.5;

impl Network {
    /// Builds the network of a configuration; reads its weights; makes its edits.
    ///
    /// Edits of the backbone are made before fusion and head are built, which fit themselves to what comes
    /// out; a `cut` of the backbone keeps its pooling. All random first values come from `seed` and the
    /// parameter's path.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`](crate::error::DataError::Setting) of an arm that is not one network or has nothing to read, [`Error::NoBackbone`],
    /// [`Error::NoFusion`], those of [`ModelConfig::weights_file`], [`weights::read`] and [`weights::load`], those of [`Network::edit`].
    pub fn build(
        config: &ModelConfig,
        spec: &ModelSpec,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let source = MetadataSource {
            d_dense: spec.d_dense,
            embeddings: spec.embeddings.clone(),
        };
        let arm = check_arm(config, &source)?;
        let mut edits: Vec<Edit> = config
            .edit
            .iter()
            .enumerate()
            .map(|(i, table)| Edit::from_table(i, table))
            .collect::<Result<_>>()?;
        for layer in edits.iter_mut().filter_map(Edit::layer_mut) {
            layer.fill_metadata(&source);
        }
        if arm == Arm::Metadata {
            let nothing = FusionSpec {
                source,
                map: Shape::Nothing,
                features: 0,
                reads: head::Features::Pooled,
                drop_image: 0.0,
                auxiliary: false,
                hidden: config.hidden,
                dropout: config.dropout,
                n_outputs: spec.n_outputs,
            };
            let parts = fusion::metadata_only(&nothing);
            let mut plan = Plan::sequence(
                parts
                    .at_features
                    .map(|plan| ("fusion", plan))
                    .into_iter()
                    .chain([("head", parts.head)]),
            );
            let input = InputSpec {
                mean: IMAGENET_MEAN,
                sd: IMAGENET_SD,
                size: 0,
                channels: 3,
            };
            shape::infer(&mut plan, input.shape())?;
            let root = Node::new(&plan, "", Start::Seed(seed), device);
            let network = Self {
                root,
                backbone: Vec::new(),
                input,
                precision: Precision::F32,
            };
            return network.finish(&edits, spec, seed);
        }

        let backbone = backbone::named(&config.backbone)?;
        let weights = config.weights_file()?;
        let mut network = Self::body(backbone, spec.size, weights.as_deref(), seed, device)?;
        let (early, late): (Vec<Edit>, Vec<Edit>) = edits
            .into_iter()
            .partition(|edit| edit.path().is_none_or(|path| network.is_of_body(path)));
        network.edit_body(&early, backbone, seed)?;
        network.attach(config, spec, arm, source, backbone, seed, device)?;
        network.finish(&late, spec, seed)
    }

    /// A backbone with torch's own classifier of so many classes, for images of its own size unless `size` says another.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where the images are too small; those of [`weights::read`] and [`weights::load`].
    pub fn original(
        backbone: &Backbone,
        n_classes: usize,
        size: usize,
        weights: Option<&Path>,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        Self::from_plan(
            backbone,
            backbone.classifier(n_classes),
            None,
            size,
            weights,
            seed,
            device,
        )
    }

    /// A backbone up to its features: torch's classifier removed.
    ///
    /// # Errors
    ///
    /// As [`Network::original`].
    pub fn body(
        backbone: &Backbone,
        size: usize,
        weights: Option<&Path>,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        Self::from_plan(
            backbone,
            backbone.body(),
            Some(backbone.classifier),
            size,
            weights,
            seed,
            device,
        )
    }

    fn from_plan(
        backbone: &Backbone,
        mut plan: Plan,
        removed: Option<&str>,
        size: usize,
        weights: Option<&Path>,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let input = InputSpec {
            mean: backbone.mean,
            sd: backbone.sd,
            size,
            channels: 3,
        };
        shape::infer(&mut plan, input.shape())?;
        let start = if weights.is_some() {
            Start::Zeros
        } else {
            Start::Seed(seed)
        };
        let mut root = Node::new(&plan, "", start, device);
        if let Some(path) = weights {
            let fit = Fit {
                removed,
                spellings: backbone.spellings,
            };
            weights::load(&mut root, weights::read(path)?, &fit)?;
        }
        let backbone = root.children.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self {
            root,
            backbone,
            input,
            precision: Precision::F32,
        })
    }

    /// Whether a path or pattern is about the backbone.
    fn is_of_body(&self, path: &str) -> bool {
        let first = path.split(['.', '*']).next().unwrap_or(path);
        !first.is_empty() && self.backbone.iter().any(|name| name == first)
    }

    /// Edits of the backbone; what a cut took of the pooling is put back.
    fn edit_body(&mut self, edits: &[Edit], backbone: &Backbone, seed: u64) -> Result<()> {
        let is_pooling = |name: &str| backbone.pooling.contains(&name);
        let pooling: Vec<(String, Node)> = self
            .root
            .children
            .iter()
            .filter(|(name, _)| is_pooling(name))
            .cloned()
            .collect();
        for part in
            edits.chunk_by(|a, b| matches!(a, Edit::Cut { .. }) == matches!(b, Edit::Cut { .. }))
        {
            self.edit_all(part, seed)?;
            if matches!(part, [Edit::Cut { .. }, ..]) {
                self.root.children.retain(|(name, _)| !is_pooling(name));
                self.root.children.extend(pooling.clone());
            }
        }
        self.backbone = self
            .root
            .children
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        Ok(())
    }

    /// Puts fusion and head on a backbone.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one construction, told once"
    )]
    fn attach(
        &mut self,
        config: &ModelConfig,
        spec: &ModelSpec,
        arm: Arm,
        source: MetadataSource,
        backbone: &Backbone,
        seed: u64,
        device: &Device,
    ) -> Result<()> {
        let pooling = self.pooling_start(backbone);
        let found = self.inspect()?;
        let map = match pooling.checked_sub(1) {
            Some(last) => shape_at(&found, &self.root.children[last].0)
                .map_or(self.input.shape(), |(_, out)| out),
            None => self.input.shape(),
        };
        let mut after: Vec<(String, Plan)> = Vec::new();
        let is_heatmap = spec.spatial && config.head == HeadKind::Heatmap;
        let spatial = if spec.spatial && !is_heatmap {
            head::spatial(map)
        } else {
            None
        };
        let reads = match (map, &spatial) {
            (Shape::Map { height, width, .. }, _) if is_heatmap => head::Features::Map {
                side: height.min(width),
            },
            (_, _) if is_heatmap => {
                return Err(setting(
                    "model.head",
                    "`direct`, since this backbone ends in tokens, not in a map",
                    "heatmap",
                )
                .into());
            }
            (_, Some(_)) => head::Features::Grid,
            _ => head::Features::Pooled,
        };
        match spatial {
            _ if is_heatmap => self.root.children.truncate(pooling),
            Some(spatial) => {
                self.root.children.truncate(pooling);
                after.push(("spatial".into(), spatial));
                after.push(("flatten".into(), Layer::Flatten.into()));
            }
            None => {
                let pooled = self.root.children.split_off(pooling);
                after.extend(
                    pooled
                        .iter()
                        .map(|(name, node)| (name.clone(), node.plan())),
                );
            }
        }
        let features = if is_heatmap {
            map.channels()
        } else {
            width_after(map, &after)?
        };
        let parts = if arm == Arm::Both {
            let spec = FusionSpec {
                source,
                map,
                features,
                reads,
                drop_image: config.drop_image.unwrap_or(if spec.spatial {
                    0.0
                } else {
                    DROP_IMAGE
                }),
                auxiliary: config.auxiliary > 0.0,
                hidden: config.hidden,
                dropout: config.dropout,
                n_outputs: spec.n_outputs,
            };
            if spec.auxiliary && !fusion::WITH_BRANCHES.contains(&config.fusion.as_str()) {
                return Err(setting(
                    "model.auxiliary",
                    format!(
                        "0, since `{}` has no branches; {} have",
                        config.fusion,
                        fusion::WITH_BRANCHES
                            .map(|name| format!("`{name}`"))
                            .join(" and ")
                    ),
                    config.auxiliary,
                )
                .into());
            }
            fusion::build(&config.fusion, &spec)?
        } else {
            let head = head::image(reads, config.hidden, config.dropout, spec.n_outputs);
            fusion::Parts {
                at_map: None,
                at_features: None,
                head,
            }
        };
        let mut tail: Vec<(String, Plan)> = Vec::new();
        tail.extend(parts.at_map.map(|plan| ("fusion".into(), plan)));
        tail.extend(after);
        tail.extend(parts.at_features.map(|plan| ("fusion".into(), plan)));
        tail.push(("head".into(), parts.head));

        let mut plan = self.root.plan();
        let kept = plan.children.len();
        plan.children.extend(tail);
        shape::infer(&mut plan, self.input.shape())?;
        for (name, child) in &plan.children[kept..] {
            self.root.children.push((
                name.clone(),
                Node::new(child, name, Start::Seed(seed), device),
            ));
        }
        let names: Vec<&String> = self.root.children.iter().map(|(name, _)| name).collect();
        let own = ["fusion", "spatial", "head"];
        let is_kept = |name: &String| names.contains(&name) && !own.contains(&name.as_str());
        self.backbone.retain(is_kept);
        if spec.spatial {
            self.backbone
                .retain(|name| !backbone.pooling.contains(&name.as_str()));
        }
        Ok(())
    }

    /// Position of the first child of the pooling.
    fn pooling_start(&self, backbone: &Backbone) -> usize {
        let is_pooling = |(name, _): &(String, Node)| backbone.pooling.contains(&name.as_str());
        self.root
            .children
            .iter()
            .position(is_pooling)
            .unwrap_or(self.root.children.len())
    }

    /// Makes the late edits and looks whether the network still gives what the task asks for.
    fn finish(mut self, edits: &[Edit], spec: &ModelSpec, seed: u64) -> Result<Self> {
        self.edit_all(edits, seed)?;
        let output = self.inspect()?[0].output;
        if output != Shape::Features(spec.n_outputs) {
            let fit = format!(
                "let its last layer be {{ kind = \"linear\", out_features = {} }}, at the end of `head`",
                spec.n_outputs
            );
            let at = At {
                path: "head",
                kind: "output",
            };
            return Err(at.misfit(
                format!("{} features, as the target asks", spec.n_outputs),
                output,
                Some(fit),
            ));
        }
        Ok(self)
    }
}

/// Looks whether the arm is one network and has something to read.
fn check_arm(config: &ModelConfig, source: &MetadataSource) -> Result<Arm> {
    let wrong = |expected: &str, found: &str| Err(setting("model.arm", expected, found).into());
    let two = "`image`, `metadata` or `both`: a vote is two networks";
    let none = "`image`, since the table has no metadata columns";
    match config.arm {
        Arm::Vote => wrong(two, "vote"),
        Arm::WeightedVote => wrong(two, "weighted-vote"),
        Arm::Metadata if source.width() == 0 => wrong(none, "metadata"),
        Arm::Both if source.width() == 0 => wrong(none, "both"),
        Arm::Image | Arm::Both if config.backbone == backbone::NONE => Err(setting(
            "model.backbone",
            "the name of one, since `model.arm` reads images",
            backbone::NONE,
        )
        .into()),
        arm => Ok(arm),
    }
}

/// Width of the features that these layers make of the last map.
fn width_after(map: Shape, layers: &[(String, Plan)]) -> Result<usize> {
    let mut plan = Plan::sequence(layers.to_vec());
    let output = shape::infer(&mut plan, map)?[0].output;
    match output {
        Shape::Features(n) => Ok(n),
        other => Err(At {
            path: "head",
            kind: "sequential",
        }
        .features(other)
        .err()
        .unwrap_or(Error::NoLayer {
            path: "flatten".into(),
            parent: String::new(),
            children: Vec::new(),
        })),
    }
}
