//! From a configuration to a network: backbone, its weights, its edits, fusion, head.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use super::architecture::Architecture;
use super::backbone::{self, Backbone, IMAGENET_MEAN, IMAGENET_SD};
use super::edit::{Edit, Edits};
use super::fusion::{self, FusionLayers, FusionSpec};
use super::head;
use super::layer::{ImagePool, Layer, MetadataSource, Stack};
use super::parameter::Start;
use super::path::shape_at;
use super::shape::{self, At, Shape};
use super::tree::Node;
use super::weights::{self, Fit, WeightsFile};
use super::{InputSpec, ModelSpec, Network, Stacking};
use crate::config::{Arm, HeadKind, ModelConfig};
use crate::error::{Error, Result, setting};
use crate::tensor::Precision;

/// Where the numbers of a backbone come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackboneWeights<'a> {
    /// A file of weights: safetensors, or torch's `.pth`.
    File(&'a Path),
    /// Random numbers from this seed and each parameter's path.
    Seed(u64),
}

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
    ///
    /// # Example
    ///
    /// A small network from scratch that reads images of 64 pixels a side and five numbers beside each:
    ///
    /// ```
    /// use sidelight::config::{Arm, ModelConfig};
    /// use sidelight::network::{ModelSpec, Network};
    ///
    /// let config = ModelConfig {
    ///     backbone: "small_cnn".into(),
    ///     fusion: "film".into(),
    ///     arm: Arm::Both,
    ///     ..ModelConfig::default()
    /// };
    /// let spec = ModelSpec {
    ///     n_outputs: 3,
    ///     d_dense: 5,
    ///     size: 64,
    ///     ..ModelSpec::default()
    /// };
    /// let device = sidelight::tensor::Device::flex();
    /// let network = Network::build(&config, &spec, 1, &device)?;
    /// let names = ["features", "fusion", "avgpool", "flatten", "head"];
    /// assert_eq!(network.root.child_names(), names);
    /// # Ok::<(), sidelight::Error>(())
    /// ```
    pub fn build(
        config: &ModelConfig,
        spec: &ModelSpec,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let source = MetadataSource {
            d_dense: spec.d_dense,
            embeddings: spec.embeddings.clone(),
            screened: false,
        };
        let builder = Builder {
            arm: check_arm(config, &source)?,
            config,
            spec,
            source,
            seed,
            device,
        };
        let edits = builder.edits()?;
        let (mut network, edits) = match builder.arm {
            Arm::Metadata => (builder.metadata_only()?, edits),
            _ => builder.with_backbone(edits)?,
        };
        network.edit(Edits::from(edits).with_seed(seed))?;
        network.check_output(config, spec.n_outputs)?;
        Ok(network)
    }

    /// The backbone of a configuration up to its features, without fusion and head: its weights read, its own edits made.
    /// Features of several images of a row become those of the row as `model.image_pooling` says.
    ///
    /// # Errors
    ///
    /// As [`Network::build`]; as [`Network::up_to_features`].
    pub fn backbone_alone(
        config: &ModelConfig,
        size: usize,
        n_images: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let config = &ModelConfig {
            arm: Arm::Image,
            ..config.clone()
        };
        let spec = ModelSpec {
            size,
            n_images,
            ..ModelSpec::default()
        };
        let source = MetadataSource::default();
        let builder = Builder {
            arm: check_arm(config, &source)?,
            config,
            spec: &spec,
            source,
            seed,
            device,
        };
        let Body {
            network, backbone, ..
        } = builder.body(builder.edits()?)?;
        let join = builder.image_pool().map(Architecture::from);
        network.cut_to_features(backbone, join)
    }

    /// What a row's features come from: the backbone's own layers and its pooling, which is put back where points are read
    /// from the last map, and what joins several images of a row. Fusion and head are left out.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`](crate::error::DataError::Setting) where the backbone was edited so that it does not end in
    /// features; [`Error::Shape`].
    pub fn up_to_features(&self, backbone: &Backbone) -> Result<Self> {
        let mut children = self.root.children.iter();
        let join = children.find_map(|(_, child)| match &child.layer {
            // How wide the features are is found anew.
            Layer::ImagePool(pool) => Some(Architecture::from(ImagePool {
                width: 0,
                ..pool.clone()
            })),
            _ => None,
        });
        self.cut_to_features(backbone, join)
    }

    fn cut_to_features(&self, backbone: &Backbone, join: Option<Architecture>) -> Result<Self> {
        let is_pooling = |name: &str| backbone.pooling.contains(&name);
        let own = |name: &str| {
            let mut children = self.root.children.iter();
            children.find(|(own, _)| own == name)
        };
        let mut network = self.clone();
        let children = &mut network.root.children;
        children.retain(|(name, _)| self.backbone.contains(name));
        let n_kept = children.len();
        let has_pooling = children.iter().any(|(name, _)| is_pooling(name));
        let mut architecture = network.root.architecture();
        let pooling = backbone.body().children.into_iter();
        let pooling = pooling.filter(|(name, _)| is_pooling(name) && !has_pooling);
        let join = join.map(|join| (IMAGE_POOL.to_owned(), join));
        architecture.children.extend(pooling.chain(join));
        let output = shape::infer(&mut architecture, self.input.shape())?[0].output;
        let Shape::Features(_) = output else {
            let expected = "a backbone that ends in features";
            return Err(setting("model.edit", expected, output).into());
        };
        let device = Module::devices(&self.root).into_iter().next();
        let device = device.unwrap_or_else(Device::flex);
        for (name, child) in &architecture.children[n_kept..] {
            // What it has learned stays, if it is of the same width.
            let learned = own(name).filter(|(_, node)| node.architecture() == *child);
            let node = match learned {
                Some((_, node)) => node.clone(),
                None => Node::new(child, name, Start::Zeros, &device),
            };
            network.root.children.push((name.clone(), node));
        }
        Ok(network)
    }

    /// A network of this architecture for these images, none of it counted as backbone.
    ///
    /// # Errors
    ///
    /// As [`shape::infer`].
    pub fn new(
        mut architecture: Architecture,
        input: InputSpec,
        start: Start,
        device: &Device,
    ) -> Result<Self> {
        shape::infer(&mut architecture, input.shape())?;
        Ok(Self {
            root: Node::new(&architecture, "", start, device),
            backbone: Vec::new(),
            input,
            has_learned_head: false,
            n_given: 0,
            precision: Precision::F32,
        })
    }

    /// The network of this name from its library, classifier of 1000 classes included, with torch's names for its layers
    /// and random first values, on the CPU; for images of `size` pixels a side.
    ///
    /// # Errors
    ///
    /// [`Error::NoBackbone`]; [`Error::Shape`] where the images are too small.
    ///
    /// # Example
    ///
    /// ```
    /// use sidelight::burn::tensor::{Device, Tensor};
    /// use sidelight::network::{Context, Network};
    ///
    /// let network = Network::from_scratch("resnet18", 64)?;
    /// let images = Tensor::<4>::zeros([2, 3, 64, 64], &Device::flex().autodiff());
    /// let logits = network.forward(Some(images), &mut Context::evaluate(None));
    /// assert_eq!(logits.dims(), [2, 1000]);
    /// # Ok::<(), sidelight::Error>(())
    /// ```
    pub fn from_scratch(backbone: &str, size: usize) -> Result<Self> {
        let device = Device::flex().autodiff();
        let (backbone, weights) = (backbone::named(backbone)?, BackboneWeights::Seed(0));
        Self::original(backbone, 1000, size, weights, &device)
    }

    /// As [`Network::from_scratch`], with the weights of a `.safetensors` or `.pth` file.
    ///
    /// # Errors
    ///
    /// As [`Network::original`]; [`Error::NoBackbone`].
    pub fn pretrained(backbone: &str, size: usize, weights: impl AsRef<Path>) -> Result<Self> {
        let (device, weights) = (
            Device::flex().autodiff(),
            BackboneWeights::File(weights.as_ref()),
        );
        Self::original(backbone::named(backbone)?, 1000, size, weights, &device)
    }

    /// A backbone with torch's own classifier of so many classes, for images of `size` pixels a side.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where the images are too small; those of [`weights::read`] and [`weights::load`].
    pub fn original(
        backbone: &Backbone,
        n_classes: usize,
        size: usize,
        weights: BackboneWeights<'_>,
        device: &Device,
    ) -> Result<Self> {
        let architecture = backbone.with_classifier(n_classes);
        Ok(Self::from_backbone(backbone, architecture, size, weights, device)?.0)
    }

    fn from_backbone(
        backbone: &Backbone,
        architecture: Architecture,
        size: usize,
        weights: BackboneWeights<'_>,
        device: &Device,
    ) -> Result<(Self, Option<WeightsFile>)> {
        let input = InputSpec::of_backbone(backbone, size);
        let start = match weights {
            BackboneWeights::File(_) => Start::Zeros,
            BackboneWeights::Seed(seed) => Start::Seed(seed),
        };
        let mut network = Self::new(architecture, input, start, device)?;
        network.backbone = network.root.child_names();
        let mut ours = None;
        if let BackboneWeights::File(path) = weights {
            let has_classifier = network
                .backbone
                .iter()
                .any(|name| name == backbone.classifier);
            let fit = Fit {
                removed: (!has_classifier).then_some(backbone.classifier),
                spellings: backbone.spellings,
                epsilon_beyond: backbone.epsilon_beyond,
            };
            let mut file = weights::read(path)?;
            ours = Some(file.split_off_ours(backbone));
            weights::load(&mut network.root, file, &fit).map_err(|error| explained(error, path))?;
        }
        Ok((network, ours))
    }

    /// Whether a path or pattern is about the backbone.
    fn is_of_body(&self, path: &str) -> bool {
        let first = path.split(['.', '*']).next().unwrap_or(path);
        !first.is_empty() && self.backbone.iter().any(|name| name == first)
    }

    /// Edits of the backbone; what a cut took of the pooling is put back.
    fn edit_body(&mut self, edits: &[Edit], backbone: &Backbone, seed: u64) -> Result<()> {
        let mut pooling = self.root.children.clone();
        pooling.retain(|(name, _)| backbone.pooling.contains(&name.as_str()));
        let is_cut = |edit: &Edit| matches!(edit, Edit::Cut { .. });
        for part in edits.chunk_by(|a, b| is_cut(a) == is_cut(b)) {
            self.edit(Edits::from(part.to_vec()).with_seed(seed))?;
            if is_cut(&part[0]) {
                let children = &mut self.root.children;
                children.retain(|(name, _)| !backbone.pooling.contains(&name.as_str()));
                children.extend(pooling.clone());
            }
        }
        self.backbone = self.root.child_names();
        Ok(())
    }

    /// Looks whether the network gives what the task asks for, so many numbers; and its candidates, where it is to have any.
    pub(crate) fn check_output(&self, config: &ModelConfig, n_outputs: usize) -> Result<()> {
        let n_outputs = n_outputs + config.n_candidates() * (n_outputs + 1);
        let output = self.inspect()?[0].output;
        if output == Shape::Features(n_outputs) {
            return Ok(());
        }
        let fit = format!(
            "let its last layer be {{ kind = \"linear\", out_features = {n_outputs} }}, at the end of `head`"
        );
        let at = At {
            path: "head",
            kind: "output",
        };
        let expected = format!("{n_outputs} features, as the target asks");
        Err(at.misfit(expected, output, Some(fit)))
    }
}

/// Weights of another backbone are called by its name.
fn explained(mut error: Error, path: &Path) -> Error {
    if let Error::WeightsKeys { of, .. } | Error::WeightsShape { of, .. } = &mut error {
        *of = weights::backbone_of(path)
            .ok()
            .flatten()
            .map(|backbone| backbone.name);
    }
    error
}

impl InputSpec {
    /// What a backbone's own weights take.
    fn of_backbone(backbone: &Backbone, size: usize) -> Self {
        Self {
            mean: backbone.mean,
            sd: backbone.sd,
            size,
            channels: 3,
        }
    }
}

/// The child of the root that joins several images of a row.
const IMAGE_POOL: &str = "image_pool";

/// A backbone before fusion and head.
struct Body {
    network: Network,
    backbone: &'static Backbone,
    /// What the file of weights has beside it.
    ours: Option<WeightsFile>,
    /// The edits that are left.
    late: Vec<Edit>,
}

/// One construction: what it is asked for.
struct Builder<'a> {
    config: &'a ModelConfig,
    spec: &'a ModelSpec,
    arm: Arm,
    source: MetadataSource,
    seed: u64,
    device: &'a Device,
}

impl Builder<'_> {
    /// The configuration's edits, metadata layers without widths given the table's.
    fn edits(&self) -> Result<Vec<Edit>> {
        let tables = self.config.edit.iter().enumerate();
        let edits = tables.map(|(i, table)| {
            let mut edit = Edit::from_table(i, table)?;
            if let Some(layer) = edit.layer_mut() {
                layer.fill_metadata(&self.source);
            }
            Ok(edit)
        });
        edits.collect()
    }

    /// The network of metadata alone.
    fn metadata_only(&self) -> Result<Network> {
        let spec = FusionSpec {
            auxiliary: 0.0,
            ..self.fusion_spec(Shape::Nothing, 0, head::Features::Pooled)
        };
        let layers = fusion::build(&self.config.fusion, self.arm, &spec)?;
        let fusion = layers.at_features.map(|fusion| ("fusion", fusion));
        let children = fusion.into_iter().chain([("head", layers.head)]);
        let input = InputSpec {
            mean: IMAGENET_MEAN,
            sd: IMAGENET_SD,
            size: 0,
            channels: 3,
        };
        let start = Start::Seed(self.seed);
        Network::new(Architecture::sequence(children), input, start, self.device)
    }

    /// The backbone, its own edits made.
    fn body(&self, edits: Vec<Edit>) -> Result<Body> {
        let backbone = backbone::named(&self.config.backbone)?;
        let file = self.config.weights_file()?;
        let weights = match &file {
            Some(path) => BackboneWeights::File(path),
            None => BackboneWeights::Seed(self.seed),
        };
        let (size, device) = (self.spec.size, self.device);
        let (mut network, ours) =
            Network::from_backbone(backbone, backbone.body(), size, weights, device)?;
        let (early, late): (Vec<Edit>, Vec<Edit>) = edits
            .into_iter()
            .partition(|edit| edit.path().is_none_or(|path| network.is_of_body(path)));
        network.edit_body(&early, backbone, self.seed)?;
        Ok(Body {
            network,
            backbone,
            ours,
            late,
        })
    }

    /// The network of the backbone, its own edits made; and the edits that are left.
    fn with_backbone(&self, edits: Vec<Edit>) -> Result<(Network, Vec<Edit>)> {
        let Body {
            mut network,
            backbone,
            ours,
            late,
        } = self.body(edits)?;
        self.attach(&mut network, backbone)?;
        if let Some(ours) = ours.filter(|ours| !ours.keys().is_empty()) {
            network.n_given = weights::load_fitting(&mut network.root, &ours)?;
            // A head of other classes begins anew; factors of a stack are fitted after the training in any case.
            let keys = ours.keys();
            let mut is_whole = true;
            network.root.each_parameter("", &mut |path, parameter| {
                let is_of_head = path.starts_with("head.") && !path.ends_with(Stack::FACTORS);
                let shape = parameter.shape();
                let is_given = || keys.iter().any(|(key, of)| *key == path && *of == shape);
                is_whole &= !is_of_head || is_given();
            });
            network.has_learned_head = is_whole;
        }
        Ok((network, late))
    }

    /// Puts fusion and head on a backbone.
    fn attach(&self, network: &mut Network, backbone: &Backbone) -> Result<()> {
        let is_pooling = |name: &String| backbone.pooling.contains(&name.as_str());
        let children = &network.root.children;
        let kept = children
            .iter()
            .position(|(name, _)| is_pooling(name))
            .unwrap_or(children.len());
        let map = match kept.checked_sub(1) {
            Some(last) => shape_at(&network.inspect()?, &children[last].0)
                .map_or(network.input.shape(), |(_, out)| out),
            None => network.input.shape(),
        };
        let pooled = children[kept..].iter();
        let pooled = pooled.map(|(name, node)| (name.clone(), node.architecture()));
        let (reads, mut after) = self.after_map(map, pooled.collect())?;
        if let Some(pool) = self.image_pool() {
            after.push((IMAGE_POOL.into(), pool.into()));
        }
        let layers = self.fusion_layers(map, reads, &after)?;

        network.root.children.truncate(kept);
        let mut architecture = network.root.architecture();
        let named =
            |name: &str, layer: Option<Architecture>| layer.map(|layer| (name.into(), layer));
        architecture.children.extend(named("fusion", layers.at_map));
        architecture.children.extend(after);
        architecture
            .children
            .extend(named("fusion", layers.at_features));
        architecture.children.push(("head".into(), layers.head));
        shape::infer(&mut architecture, network.input.shape())?;
        for (name, child) in &architecture.children[kept..] {
            let node = Node::new(child, name, Start::Seed(self.seed), self.device);
            network.root.children.push((name.clone(), node));
        }
        let names = network.root.child_names();
        network.backbone.retain(|name| {
            let is_own = ["fusion", "spatial", IMAGE_POOL, "head"].contains(&name.as_str());
            names.contains(name) && !is_own && !(self.spec.spatial && is_pooling(name))
        });
        Ok(())
    }

    /// What joins several images of a row; `None`: there is one.
    fn image_pool(&self) -> Option<ImagePool> {
        (self.spec.n_images > 1).then_some(ImagePool {
            n: self.spec.n_images,
            by: self.config.image_pooling,
            width: 0,
        })
    }

    /// What the head reads of the image, and the layers that stand between the last map and it.
    fn after_map(
        &self,
        map: Shape,
        pooled: Vec<(String, Architecture)>,
    ) -> Result<(head::Features, Vec<(String, Architecture)>)> {
        let reads_map = matches!(self.config.head, HeadKind::Heatmap | HeadKind::Candidates);
        if self.spec.spatial && reads_map {
            let Shape::Map { height, width, .. } = map else {
                let expected = "`direct`, since this backbone ends in tokens, not in a map";
                let head: &str = self.config.head.into();
                return Err(setting("model.head", expected, head).into());
            };
            let side = height.min(width);
            return Ok((head::Features::Map { side }, Vec::new()));
        }
        let spatial = self.spec.spatial.then(|| head::spatial(map)).flatten();
        Ok(match spatial {
            Some(spatial) => {
                let flatten = ("flatten".into(), Layer::Flatten.into());
                (
                    head::Features::Grid,
                    vec![("spatial".into(), spatial), flatten],
                )
            }
            None => (head::Features::Pooled, pooled),
        })
    }

    /// Fusion and head for what the layers `after` make of the last map.
    fn fusion_layers(
        &self,
        map: Shape,
        reads: head::Features,
        after: &[(String, Architecture)],
    ) -> Result<FusionLayers> {
        if let (HeadKind::Candidates, head::Features::Map { side }) = (self.config.head, reads) {
            return Ok(FusionLayers {
                at_map: None,
                at_features: None,
                head: self.candidates(side),
            });
        }
        let features = match reads {
            head::Features::Map { .. } => map.channels(),
            _ => width_after(map, after)?,
        };
        fusion::build(
            self.fusion(),
            self.arm,
            &self.fusion_spec(map, features, reads),
        )
    }

    /// Candidates in the image, among which the metadata chooses where it is read.
    fn candidates(&self, side: usize) -> Architecture {
        let metadata = (self.arm == Arm::Both).then_some(&self.source);
        let hidden = (self.config.hidden, self.config.dropout);
        let n = self.config.candidates;
        head::candidates((side, n), metadata, hidden, self.spec.n_outputs)
    }

    /// Two votes are a fusion of their own.
    fn fusion(&self) -> &str {
        match self.arm {
            Arm::Vote => fusion::VOTE,
            _ => &self.config.fusion,
        }
    }

    fn fusion_spec(&self, map: Shape, features: usize, reads: head::Features) -> FusionSpec {
        FusionSpec {
            source: self.source.clone(),
            map,
            features,
            reads,
            drop_image: self.config.drop_image,
            auxiliary: self.config.auxiliary,
            stacking: Stacking {
                missing: match self.spec.stacking.missing.is_empty() {
                    true => vec![0.0; self.spec.d_dense],
                    false => self.spec.stacking.missing.clone(),
                },
                ..self.spec.stacking.clone()
            },
            hidden: self.config.hidden,
            dropout: self.config.dropout,
            n_outputs: self.spec.n_outputs,
        }
    }
}

/// Looks whether the arm is one network and has something to read.
fn check_arm(config: &ModelConfig, source: &MetadataSource) -> Result<Arm> {
    let learned = "`vote`, or `both`, whose fusion `stacked` learns how much each input counts";
    let no_metadata = "`image`, since the table has no metadata columns";
    match config.arm {
        Arm::WeightedVote => Err(setting("model.arm", learned, "weighted-vote").into()),
        Arm::Metadata if source.width() == 0 => {
            Err(setting("model.arm", no_metadata, "metadata").into())
        }
        Arm::Both if source.width() == 0 => Err(setting("model.arm", no_metadata, "both").into()),
        Arm::Vote if source.width() == 0 => Err(setting("model.arm", no_metadata, "vote").into()),
        Arm::Image | Arm::Both | Arm::Vote if config.backbone == backbone::NONE => Err(setting(
            "model.backbone",
            "the name of one, since `model.arm` reads images",
            backbone::NONE,
        )
        .into()),
        arm => Ok(arm),
    }
}

/// Width of the features that these layers make of the last map.
fn width_after(map: Shape, layers: &[(String, Architecture)]) -> Result<usize> {
    let mut architecture = Architecture::sequence(layers.to_vec());
    let output = shape::infer(&mut architecture, map)?[0].output;
    let at = At {
        path: "head",
        kind: "sequential",
    };
    at.features(output)
}
