//! From a configuration, or from rows already divided, to a session: all that comes before the training.

use std::sync::Arc;

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use crate::augment::{Augment, MetadataDropout};
use crate::batch::image_sizes;
use crate::config::{
    Arm, Config, HeadKind, ImageRange, Sampling, TargetKind, Unreadable as OnUnreadable,
};
use crate::dataset::{Dataset, Opened, RowWeights, Targets};
use crate::digest::hexadecimal;
use crate::encode::Encoder;
use crate::error::{Error, Result, setting};
use crate::image::cache::PixelCache;
use crate::image::measured_range;
use crate::loader::{Shards, Source};
use crate::loss::{Loss, Weights};
use crate::model::{Model, reads_image};
use crate::network::backbone::{self, Backbone};
use crate::network::fusion;
use crate::network::layer::MetadataSource;
use crate::network::{Architecture, Edits, Inferred, ModelSpec, Network, Shape};
use crate::run::BadRowRecord;
use crate::split::{SplitRows, split};
use crate::task::Task;
use crate::tensor::Precision;

use super::batch_source::BatchSource;
use super::certainty;
use super::checkpoint::{Division, Progress, RowsDigest};
use super::ema::Ema;
use super::layer_groups::groups;
use super::optimizer::{Method, Optimizer};
use super::schedule::TrainingPlan;
use super::session::{Session, Setup, State};
use super::stacking::{MemberFolds, stacking};
use super::unreadable::Unreadable;

impl Session {
    /// Reads the table, settles what its columns mean, divides the rows, fits encoder and task, builds the network: all
    /// but the training. Beside the session what should be said before it begins.
    ///
    /// # Errors
    ///
    /// As [`train`](super::train).
    pub fn new(config: &Config, device: &Device) -> Result<(Self, Vec<String>)> {
        let Opened {
            table,
            config,
            dataset,
            bad,
        } = Dataset::open(config)?;
        let divided = split(&dataset, &config.data.split)?;
        let (session, remarks) = Self::from_rows(&config, dataset, divided, device)?;
        if let Some(unreadable) = &session.setup.batches.unreadable {
            bad.iter()
                .try_for_each(|bad| unreadable.note(BadRowRecord::of_row(bad, &table)))?;
        }
        Ok((session, remarks))
    }

    /// As [`Session::new`], of rows that are already read and divided. `config` names their metadata columns; encoder and
    /// task are fitted on the training rows alone.
    ///
    /// # Errors
    ///
    /// [`Error::TooFewRows`] below two training rows, and those of [`train`](super::train).
    pub fn from_rows(
        config: &Config,
        dataset: Dataset,
        rows: SplitRows,
        device: &Device,
    ) -> Result<(Self, Vec<String>)> {
        if rows.train.len() < 2 {
            return Err(Error::TooFewRows {
                path: dataset.path.clone(),
                expected: 2,
                found: rows.train.len(),
            });
        }
        if let (Some(weights), Some(column)) = (&dataset.weights, &config.data.weight) {
            weights.check(column, &rows.train, "the training rows")?;
            weights.check(column, &rows.valid, "the validation rows")?;
        }
        let mut remarks = dataset.remarks.clone();
        let mut config = with_vote_as_fusion(config);
        remarks.extend(settle_head(&mut config, rows.train.len()));
        remarks.extend(measure_range(&mut config, &dataset, &rows.train));
        let config = &config;
        remarks.extend(rows.remarks.iter().cloned());
        let dataset = Arc::new(dataset);
        let (model, members) = build(config, &dataset, &rows.train, device)?;
        let (source, unseen) = model.source(Arc::clone(&dataset))?;
        let sentences = unseen.sentences().into_iter();
        remarks.extend(sentences.map(|text| format!("validation rows: {text}")));
        remarks.extend(model.network.remark_on_weights(&config.model));
        if model.network.precision == Precision::Bf16 && model.reads_image() {
            remarks.push("convolutions multiply in bf16 and add in f32 (`train.precision`)".into());
        }
        let Model {
            mut config,
            task,
            network,
            ..
        } = model;
        check_batch(&network, &config)?;
        let loss = Loss::new(&task, &config.train.loss, class_weights(&config))?;
        let source = augmented(source, &config, rows.train.len() + rows.valid.len())?;
        let batches = batch_source(source, rows, &config, device)?;
        // Written out, since what it is where nothing is said depends on where the table is.
        if batches.shards.is_some() {
            config.data.shuffle_shards = Some(batches.window);
        }
        let (state, frozen) = first_state(network, &config, &batches)?;
        let setup = Setup {
            plan: plan(&config, batches.steps_per_epoch(), 1),
            rows: digest(&dataset, &batches.train, &batches.valid),
            division: Division {
                step: batches.rows_per_step,
                ranks: 1,
            },
            sizes: image_sizes(&task, &dataset, &batches.valid),
            config,
            task,
            loss,
            batches,
            frozen,
            members,
        };
        Ok((Self { setup, state }, remarks))
    }

    /// A session on the CPU: rows read and divided, encoder and task fitted, the network built. What should be said
    /// before training is left out; [`Session::new`] returns it.
    ///
    /// # Errors
    ///
    /// As [`train`](super::train).
    ///
    /// # Example
    ///
    /// ```no_run
    /// use sidelight::Config;
    /// use sidelight::config::TargetConfig;
    /// use sidelight::network::{Edit, layer::Linear};
    /// use sidelight::train::Session;
    ///
    /// let config = Config::new("houses.csv", TargetConfig::regression("price"));
    /// let mut session = Session::from_config(&config)?;
    /// session.edit(Edit::replace("head", Linear::new(session.n_outputs())))?;
    /// let session = session.fit()?;
    /// println!("{:?}", session.score()?);
    /// # Ok::<(), sidelight::Error>(())
    /// ```
    pub fn from_config(config: &Config) -> Result<Self> {
        Ok(Self::new(config, &Device::flex().autodiff())?.0)
    }

    /// Edits the network before the first step, as [`Network::edit`]. Outputs start anew at what is best put out before
    /// anything is known of a row (the mean of the keypoints, say), the optimiser's groups are those of the new layers,
    /// and parameters frozen by an edit stay frozen. Returns the paths of the new parameters.
    ///
    /// # Errors
    ///
    /// Those of [`Network::edit`]; [`Error::Shape`] where the network no longer puts out what the task asks for. Nothing
    /// has changed then.
    pub fn edit(&mut self, edits: impl Into<Edits>) -> Result<Vec<String>> {
        let Setup { config, task, .. } = &self.setup;
        let mut network = self.state.network.clone();
        let new = network.edit(edits.into().with_seed(config.train.seed))?;
        network.check_output(&config.model, task.n_outputs())?;
        network.has_learned_head = false;
        (self.state, self.setup.frozen) = first_state(network, config, &self.setup.batches)?;
        Ok(new)
    }

    /// Width of what the network puts out for a row: what a new last layer needs.
    pub fn n_outputs(&self) -> usize {
        self.setup.task.n_outputs()
    }

    /// A layer that gives each row's metadata as features, whatever comes into it.
    pub fn metadata_layer(&self) -> Architecture {
        MetadataSource::from_encoder(&self.setup.batches.source.encoder).architecture()
    }
}

/// `model.arm = "vote"` is both inputs, joined by the fusion of that name.
fn with_vote_as_fusion(config: &Config) -> Config {
    let mut config = config.clone();
    if config.model.arm == Arm::Vote {
        config.model.arm = Arm::Both;
        config.model.fusion = fusion::VOTE.into();
    }
    config
}

/// From so many training rows on, points are read from heatmaps.
const ROWS_FOR_HEATMAPS: usize = 500;

/// Settles how points are read from an image. Measured (`docs/results.md`): heatmaps are better where there are many rows and
/// what they are read from learns with them, coordinates where it is frozen; what ends in tokens has no map. Edits that name
/// layers of a head were written for `direct`, which was there first. Says so where it is not.
fn settle_head(config: &mut Config, n_rows: usize) -> Option<String> {
    let model = &config.model;
    if model.head != HeadKind::Auto || config.target.kind != TargetKind::Keypoints {
        return None;
    }
    let is_of_head = |edit: &toml::Table| {
        let path = edit.get("path").and_then(toml::Value::as_str);
        path.is_some_and(|path| {
            ["head", "spatial"]
                .iter()
                .any(|name| path.starts_with(name))
        })
    };
    let are_many = n_rows >= ROWS_FOR_HEATMAPS;
    let learns = are_many && reads_image(model.arm) && !config.train.freeze;
    let backbone = backbone::named(&model.backbone);
    let is_map = learns && backbone.is_ok_and(Backbone::ends_in_map);
    let is_heatmap = is_map && !model.edit.iter().any(is_of_head);
    config.model.head = match is_heatmap {
        true => HeadKind::Heatmap,
        false => HeadKind::Direct,
    };
    is_heatmap.then(|| {
        format!("{n_rows} training rows are enough for a heatmap of each point (`model.head = \"direct\"`: coordinates)")
    })
}

/// Finds which values of deep pixels are black and white (`image.range = "auto"`) in training images, and says so.
pub(super) fn measure_range(
    config: &mut Config,
    dataset: &Dataset,
    train: &[usize],
) -> Option<String> {
    if config.image.range != ImageRange::Auto {
        return None;
    }
    let images = train.iter().map(|row| &dataset.images[*row]);
    let found = match reads_image(config.model.arm) {
        true => measured_range(images),
        false => None,
    };
    config.image.range = found.map_or(ImageRange::Full, ImageRange::Between);
    let [low, high] = found?;
    Some(format!(
        "training images have more than 8 bits a channel: {low} is black and {high} white (`image.range`)"
    ))
}

/// All that steps will change, before the first; and the parameters that an edit has frozen for good.
fn first_state(
    mut network: Network,
    config: &Config,
    batches: &BatchSource,
) -> Result<(State, Vec<String>)> {
    if !network.has_learned_head {
        network.start_from(&first_outputs(batches, class_weights(config))?);
    }
    let mut frozen = Vec::new();
    network.root.each_parameter("", &mut |path, parameter| {
        if parameter.frozen {
            frozen.push(path);
        }
    });
    let settings = &config.train;
    let state = State {
        optimizer: Optimizer::new(
            Method::default(),
            groups(&network, settings.backbone_rate, settings.weight_decay),
        ),
        ema: (settings.ema > 0.0).then(|| Ema::new(settings.ema, settings.ema_warmup)),
        progress: Progress::default(),
        best: None,
        conformal: None,
        network,
    };
    Ok((state, frozen))
}

/// Refuses batches of one row where the network normalises features over the batch: of one row they are all its mean, so
/// that what is learned has little to do with what is evaluated.
fn check_batch(network: &Network, config: &Config) -> Result<()> {
    if config.train.batch > 1 || config.train.sync_batch_norm {
        return Ok(());
    }
    let over_rows =
        |layer: &Inferred| layer.kind == "batch_norm" && matches!(layer.output, Shape::Features(_));
    match network.inspect()?.into_iter().find(over_rows) {
        Some(layer) => {
            let expected = format!(
                "at least 2 rows, since `{}` normalises over the rows of a batch (`train.accumulate` does not help)",
                layer.path
            );
            Err(setting("train.batch", expected, config.train.batch).into())
        }
        None => Ok(()),
    }
}

/// How the loss weighs classes.
fn class_weights(config: &Config) -> Weights {
    match config.train.class_weights {
        true => Weights::InverseFrequency,
        false => Weights::Even,
    }
}

/// A model that has learned nothing yet: encoder and task fitted on these rows, the network built for them.
fn build(
    config: &Config,
    dataset: &Dataset,
    rows: &[usize],
    device: &Device,
) -> Result<(Model, MemberFolds)> {
    let encoder = Encoder::fit(&dataset.metadata, &config.metadata_configs(), rows)?;
    let task = Task::fit(dataset, &config.target, rows)?;
    let members = MemberFolds::deal(dataset, config, &task, rows)?;
    let spec = ModelSpec {
        n_outputs: task.n_outputs(),
        d_dense: encoder.d_dense(),
        embeddings: encoder.embeddings(),
        size: config.train.size,
        n_images: config.data.n_images(),
        spatial: matches!(task, Task::Keypoints { .. }),
        stacking: stacking(
            &config.model,
            (&task, &encoder),
            &dataset.metadata,
            rows,
            &members,
        )?,
    };
    let mut network = Network::build(&config.model, &spec, config.train.seed, device)?;
    network.precision = Precision::from_name(&config.train.precision);
    if let (Task::Keypoints { .. }, Some(targets), false) =
        (&task, &dataset.targets, config.train.freeze)
    {
        certainty::watch(&mut network, targets, rows)?;
    }
    let model = Model {
        config: config.clone(),
        task: Arc::new(task),
        encoder: Arc::new(encoder),
        network,
        conformal: None,
    };
    Ok((model, members))
}

/// What training rows are made of: changed at random as configured, their decoded images kept where that is worth while.
fn augmented(source: Source, config: &Config, n_images: usize) -> Result<Source> {
    let cache_bytes = memory(config) / 3;
    let keeps_images = source.reads_image
        && !is_one_epoch(config)
        && is_worth_keeping(n_images, source.preprocess.size, cache_bytes);
    Ok(Source {
        augment: Some(Augment::new(&config.augment, config.target.kind)?),
        hide: MetadataDropout::new(&config.augment, config.target.kind)?
            .filter(|_| config.model.arm == Arm::Both),
        cache: keeps_images.then(|| {
            Arc::new(PixelCache::new(cache_bytes).with_format(source.preprocess.pixel_format()))
        }),
        seed: config.train.seed,
        ..source
    })
}

/// The rows of one process, how they become batches, and what becomes of those that cannot be read.
fn batch_source(
    source: Source,
    rows: SplitRows,
    config: &Config,
    device: &Device,
) -> Result<BatchSource> {
    let n_rows = source.dataset.rows.last().map_or(0, |last| last + 1);
    let unreadable = (config.data.unreadable == OnUnreadable::Skip)
        .then(|| Unreadable::new(source.dataset.path.clone(), n_rows));
    let shards = Shards::from_dataset(&source.dataset);
    let window = shards.as_ref().map_or(0, |_| config.data.shuffle_shards());
    check_room(shards.as_ref(), window)?;
    let SplitRows { train, valid, .. } = rows;
    let mut batches = BatchSource::new(source, train, valid, &config.train, device.clone());
    batches.shards = shards;
    batches.window = window;
    batches.unreadable = unreadable;
    batches.max_feature_bytes = memory(config) / 3 * 2;
    if config.train.sampling == Sampling::Balanced {
        batches.weights = Some(balanced(&batches));
    }
    Ok(batches)
}

/// Bytes that training may keep images and features in.
fn memory(config: &Config) -> usize {
    config.train.memory << 20
}

/// What is best put out before anything is known of a row: the mean of the points, how common each class or label is
/// (as logits; all the same where the loss or the sampling evens them out). Values are standardised, so theirs is 0.
fn first_outputs(batches: &BatchSource, weights: Weights) -> Result<Vec<f32>> {
    let task = &*batches.source.task;
    Ok(match task {
        Task::Keypoints { .. } => batches.mean_target()?,
        Task::Class { counts, .. } if weights == Weights::Even && batches.weights.is_none() => {
            counts.iter().map(|&n| (n as f32).ln()).collect()
        }
        Task::Multilabel { counts, known, .. } if weights == Weights::Even => counts
            .iter()
            .zip(known)
            // Half a row more on each side: never sure.
            .map(|(&n, &known)| ((n as f32 + 0.5) / ((known - n) as f32 + 0.5)).ln())
            .collect(),
        _ => vec![0.0; task.n_outputs()],
    })
}

/// Whether the shards that are shuffled together, and one more, fit in the folder that they are fetched into.
fn check_room(shards: Option<&Shards>, window: usize) -> Result<()> {
    let Some(shards) = shards else {
        return Ok(());
    };
    let Some(store) = shards.all().first().and_then(|shard| shard.store()) else {
        return Ok(());
    };
    let mut sizes: Vec<u64> = shards
        .all()
        .iter()
        .map(|shard| shard.n_bytes())
        .collect::<Result<_, _>>()?;
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let at_once = if window == 0 { sizes.len() } else { window + 1 };
    let needed: u64 = sizes.iter().take(at_once).sum();
    if needed > store.max_bytes() {
        let expected = format!(
            "at least {} MiB for the {} shards that are needed at a time (or fewer, by `data.shuffle_shards`)",
            needed.div_ceil(1 << 20),
            at_once.min(sizes.len()),
        );
        let found = store.max_bytes() >> 20;
        return Err(setting("data.remote.cache_size", expected, found).into());
    }
    Ok(())
}

/// Whether there is no next epoch, whatever the number of steps.
fn is_one_epoch(config: &Config) -> bool {
    let frozen = config.train.freeze_epochs.unwrap_or(0);
    config.model.begins_from_scratch() && frozen + config.train.epochs <= 1
}

/// Whether decoded images are kept for the next epoch. In a random order a cache of so many bytes that throws nothing
/// out serves as large a share of the images as it holds; below a half it costs more memory than it saves time.
fn is_worth_keeping(n_images: usize, size: usize, max_bytes: usize) -> bool {
    let n_bytes = n_images.saturating_mul(size * size * 3);
    n_bytes / 2 <= max_bytes
}

/// How likely each training row is drawn so that all classes come equally often: one over how often its class comes;
/// never, where its class is not known.
fn balanced(batches: &BatchSource) -> Vec<f64> {
    let task = &*batches.source.task;
    let (Task::Class { counts, .. }, Some(targets)) = (task, &batches.source.dataset.targets)
    else {
        unreachable!("a class is asked for before anything is read")
    };
    let weight = |&row: &usize| {
        let (class, known) = task.encode(targets, row);
        f64::from(known[0]) / counts[class[0] as usize].max(1) as f64
    };
    batches.train.iter().map(weight).collect()
}

/// Steps that the new layers learn alone, at least, before what is pretrained learns too.
const FROZEN_STEPS: usize = 300;

/// The phases of a configuration: what is pretrained is at first (or always) frozen, what is not trains throughout.
///
/// fastai's `fine_tune` gives the new layers one epoch. On a few hundred rows that is a dozen steps, too few for
/// anything, and epochs over features that were computed once cost next to nothing.
pub(super) fn plan(config: &Config, steps_per_epoch: usize, n_ranks: usize) -> TrainingPlan {
    let settings = &config.train;
    let rate = settings.learning_rate * settings.scale_rate.factor(n_ranks);
    let epochs = settings.epochs;
    let is_pretrained = !config.model.begins_from_scratch();
    let default = if is_pretrained {
        FROZEN_STEPS.div_ceil(steps_per_epoch.max(1))
    } else {
        0
    };
    let frozen = settings.freeze_epochs.unwrap_or(default);
    match config.model.arm {
        _ if settings.freeze => TrainingPlan::frozen(epochs, rate),
        // Nothing is pretrained there, but an arm that learned for fewer epochs would be no fair comparison.
        Arm::Metadata => TrainingPlan::from_scratch(frozen + epochs, rate),
        _ if frozen == 0 => TrainingPlan::from_scratch(epochs, rate),
        _ => TrainingPlan::fine_tune(frozen, epochs, rate),
    }
    .with_steps_per_epoch(steps_per_epoch)
}

/// What the rows are: their place in the table, their images' names, their targets, what they count.
pub(super) fn digest(dataset: &Dataset, train: &[usize], valid: &[usize]) -> RowsDigest {
    let mut hash = Sha256::new();
    for &row in train.iter().chain(valid) {
        hash.update(dataset.rows[row].to_le_bytes());
        for image in dataset.images[row].parts() {
            hash.update(image.local_name());
        }
    }
    match &dataset.targets {
        Some(Targets::Keypoints { xy, .. }) => xy
            .iter()
            .flatten()
            .for_each(|value| hash.update(value.to_le_bytes())),
        Some(Targets::Class { index, .. }) => index
            .iter()
            .for_each(|value| hash.update(value.unwrap_or(u32::MAX).to_le_bytes())),
        Some(Targets::Multilabel { present, .. }) => present
            .iter()
            .for_each(|value| hash.update([value.map_or(2, u8::from)])),
        Some(Targets::Regression { values, .. }) => values
            .iter()
            .for_each(|value| hash.update(value.to_le_bytes())),
        None => {}
    }
    let weights = dataset.weights.iter().flat_map(RowWeights::of_row);
    weights.for_each(|weight| hash.update(weight.to_le_bytes()));
    RowsDigest {
        train: train.len(),
        valid: valid.len(),
        sha256: hexadecimal(&hash.finalize()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TargetConfig;

    #[test]
    fn heatmaps_are_for_many_rows_of_points_and_a_backbone_that_learns_and_ends_in_a_map() {
        let points = || Config::new("t.csv", TargetConfig::keypoints(["x", "y"]));
        let settled = |change: &dyn Fn(&mut Config), n_rows: usize| {
            let mut config = points();
            change(&mut config);
            let is_said = settle_head(&mut config, n_rows).is_some();
            (config.model.head, is_said)
        };
        let (heatmap, direct) = ((HeadKind::Heatmap, true), (HeadKind::Direct, false));
        assert_eq!(settled(&|_| {}, ROWS_FOR_HEATMAPS), heatmap);
        assert_eq!(settled(&|_| {}, ROWS_FOR_HEATMAPS - 1), direct);
        let edit = |path: &str| {
            let table = format!("op = \"remove\"\npath = \"{path}\"");
            vec![toml::from_str(&table).unwrap()]
        };
        assert_eq!(settled(&|c| c.train.freeze = true, 9999), direct);
        assert_eq!(settled(&|c| c.model.arm = Arm::Metadata, 9999), direct);
        assert_eq!(
            settled(&|c| c.model.backbone = "vit_s16".into(), 9999),
            direct
        );
        assert_eq!(settled(&|c| c.model.edit = edit("head.3"), 9999), direct);
        assert_eq!(
            settled(&|c| c.model.edit = edit("features.3"), 9999),
            heatmap
        );
        // What a person asks for stays, and what is not of points is nothing to settle.
        let asked = (HeadKind::Direct, false);
        assert_eq!(settled(&|c| c.model.head = HeadKind::Direct, 9999), asked);
        let of_value = |c: &mut Config| c.target = TargetConfig::regression("price");
        assert_eq!(settled(&of_value, 9999), (HeadKind::Auto, false));
    }
}
