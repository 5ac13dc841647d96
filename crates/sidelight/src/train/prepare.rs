//! From a configuration to a session, and from a session to a finished run.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::Device;
use sha2::{Digest, Sha256};
use sidelight_kernels::SimdPath;

use crate::augment::{Augment, MetadataDropout};
use crate::config::{self, Arm, Config, Sampling, ScaleRate};
use crate::dataset::{Dataset, ImageSource, Targets};
use crate::digest::hexadecimal;
use crate::encode::Encoder;
use crate::error::{Error, Result};
use crate::image::cache::PixelCache;
use crate::loader::{Shards, Source};
use crate::loss::{Loss, Weights};
use crate::network::{ModelSpec, Network};
use crate::predict::{image_sizes, preprocess, reads_image};
use crate::ranks::{Ranks, agree, met_alone, same};
use crate::run::{BadRowRecord, Existing, LogLine, LogWriter, Run, RunFolder};
use crate::split::{SplitRows, split};
use crate::table::Table;
use crate::task::Task;
use crate::tensor::Precision;

use super::average::Average;
use super::checkpoint::{Checkpoint, Division, Progress, RowsDigest};
use super::depth::groups;
use super::feed::Feed;
use super::optimizer::{Method, Optimizer};
use super::results::finish;
use super::schedule::Plan;
use super::unreadable::Unreadable;
use super::{Ended, Event, Journal, Session, TrainOptions, Trained, fit};

/// Trains a model as configured and writes its run folder.
///
/// Several ranks ([`TrainOptions::ranks`]) train one model together: all read the table, the images of their share of the
/// rows, and the run folder's checkpoint; the first writes.
///
/// # Errors
///
/// Everything that can be wrong with configuration, table, images and weights, before the first step where it can
/// be known; [`Error::Diverged`]; [`Error::Write`] where the results cannot be written. What is only a loss of
/// comfort (a checkpoint, the log, the report) is said as a remark. Of several ranks: [`Error::OnRank`] where the others do
/// not know of it and must be ended; [`Error::OtherRank`] where another says what it is; [`Error::RanksDiffer`].
pub fn train(config: &Config, options: TrainOptions<'_>) -> Result<Trained> {
    let ranks = Arc::clone(&options.ranks);
    alike(&*ranks, config)?;
    // What the others look for in the folder is there once the first has it.
    let folder = match ranks.is_first() {
        true => RunFolder::create(&options.out, options.existing).map(Some),
        false => Ok(None),
    };
    let folder = agree(&*ranks, folder)?;
    let begun = begin(config, &options, folder.as_ref());
    let Begun {
        session,
        remarks,
        log,
    } = agree(&*ranks, begun)?;
    same(&*ranks, "rows", &session.rows.sha256)?;

    let mut nobody = |_| {};
    let mut journal = match &folder {
        Some(folder) => Journal::new(options.on_event, log, Some(folder.checkpoint_dir())),
        None => Journal::new(&mut nobody, None, None),
    };
    session.announce(&remarks, &mut journal);
    let fitted = fit(session, &mut journal, options.stop);
    let (session, ended) = fitted.map_err(|error| met_alone(&*ranks, error))?;
    let run = Run { dir: options.out };
    if ended == Ended::Stopped {
        return Ok(Trained {
            metrics: None,
            run,
            stopped: true,
        });
    }
    let predicted = session
        .predict_validation()
        .map_err(|error| met_alone(&*ranks, error))?
        .0;
    let metrics = session.score_of(&predicted);
    let finished = match folder {
        Some(folder) => finish(session, &predicted, &metrics, folder, &mut journal),
        None => Ok(()),
    };
    agree(&*ranks, finished)?;
    Ok(Trained {
        metrics: Some(metrics),
        run,
        stopped: false,
    })
}

/// Whether all ranks are about to do the same, and would do it alike.
fn alike(ranks: &dyn Ranks, config: &Config) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    same(ranks, "versions of sidelight", env!("CARGO_PKG_VERSION"))?;
    same(ranks, "processors", &format!("{:?}", SimdPath::best()))?;
    let mut config = config.clone();
    config.train.workers = 0;
    same(ranks, "configurations", &config.to_toml()?)
}

/// What a training begins with.
struct Begun {
    session: Session,
    remarks: Vec<String>,
    log: Option<LogWriter>,
}

/// All that comes before the first step; only the first rank has a folder to write to.
fn begin(config: &Config, options: &TrainOptions<'_>, folder: Option<&RunFolder>) -> Result<Begun> {
    let (mut session, mut remarks) = Session::new(config, &Device::flex().autodiff())?;
    session.feed.cache.clone_from(&options.cache);
    session.share_out(Arc::clone(&options.ranks));
    if let Some(folder) = folder {
        folder.write_config(&session.config.to_toml()?)?;
    }
    let checkpoint = match options.existing {
        Existing::Resume => {
            let dir = options.out.clone();
            Checkpoint::read(&Run { dir }.checkpoint_dir())?
        }
        _ => None,
    };
    if let (Some(unreadable), Some(folder)) = (&session.feed.unreadable, folder) {
        unreadable.write_to(folder.skipped_path(), checkpoint.is_some())?;
    }
    if let Some(checkpoint) = checkpoint {
        checkpoint.check(&session.config, &session.rows, &options.out)?;
        session.resume(checkpoint)?;
    }
    if session.progress.total_step == 0 {
        remarks.extend(session.remark_on_ranks());
    }
    let log = folder.map(|folder| folder.log(session.progress.total_step));
    Ok(Begun {
        log: log.transpose()?,
        session,
        remarks,
    })
}

impl Session {
    /// Reads the table, divides the rows, fits encoder and task, builds the network: all but the training.
    /// The remarks are what should be said before it begins.
    ///
    /// # Errors
    ///
    /// As [`train`].
    pub fn new(config: &Config, device: &Device) -> Result<(Self, Vec<String>)> {
        let (dataset, bad) = match config.data.unreadable {
            config::Unreadable::Refuse => {
                let table = Table::read_with(&config.data.table, &config.data.remote)?;
                (Dataset::new(&table, config)?, Vec::new())
            }
            config::Unreadable::Skip => {
                let mut piece = Table::read_with_gaps(&config.data.table, &config.data.remote)?;
                let dataset = Dataset::of_readable(&mut piece, config)?;
                let record = |bad| BadRowRecord::of_row(bad, &piece.table);
                (dataset, piece.bad.iter().map(record).collect())
            }
        };
        let divided = split(&dataset, &config.data.split)?;
        let (session, remarks) = Self::of(config, dataset, divided, device)?;
        if let Some(unreadable) = &session.feed.unreadable {
            bad.into_iter().try_for_each(|bad| unreadable.note(bad))?;
        }
        Ok((session, remarks))
    }

    /// As [`Session::new`], of rows that are already read and divided.
    ///
    /// # Errors
    ///
    /// As [`train`].
    pub fn of(
        config: &Config,
        dataset: Dataset,
        divided: SplitRows,
        device: &Device,
    ) -> Result<(Self, Vec<String>)> {
        let SplitRows {
            train,
            valid,
            remarks: said,
            ..
        } = divided;
        if train.len() < 2 {
            return Err(Error::TooFewRows {
                path: dataset.path.clone(),
                expected: 2,
                found: train.len(),
            });
        }
        let mut remarks = dataset.remarks.clone();
        remarks.extend(said);
        let configs: BTreeMap<_, _> = config
            .metadata
            .iter()
            .map(|(name, entry)| (name.clone(), entry.full()))
            .collect();
        let encoder = Encoder::fit(&dataset.metadata, &configs, &train)?;
        let (encoded, unseen) = encoder.encode(&dataset.metadata)?;
        remarks.extend(
            unseen
                .sentences()
                .into_iter()
                .map(|text| format!("validation rows: {text}")),
        );
        let task = Task::fit(&dataset, &config.target, &train)?;

        let settings = &config.train;
        let spec = ModelSpec {
            n_outputs: task.n_outputs(),
            d_dense: encoder.d_dense(),
            embeddings: encoder.embeddings(),
            size: settings.size,
            spatial: matches!(task, Task::Keypoints { .. }),
        };
        let mut network = Network::build(&config.model, &spec, settings.seed, device)?;
        network.precision = Precision::of(settings);
        if network.precision == Precision::Bf16 && reads_image(config.model.arm) {
            remarks.push("convolutions multiply in bf16 and add in f32 (`train.precision`)".into());
        }
        let weights = if settings.class_weights {
            Weights::InverseFrequency
        } else {
            Weights::Even
        };
        let loss = Loss::new(&task, &settings.loss, weights)?;
        let rows = digest(&dataset, &train, &valid);
        let reads_image = reads_image(config.model.arm);
        let sizes = image_sizes(&task, &dataset, &valid);
        let n_rows = dataset.rows.last().map_or(0, |last| last + 1);
        let unreadable = (config.data.unreadable == config::Unreadable::Skip)
            .then(|| Unreadable::new(dataset.path.clone(), n_rows));
        let shards = Shards::from_dataset(&dataset);
        let window = shards.as_ref().map_or(0, |_| config.data.shuffle_shards());
        check_room(shards.as_ref(), window)?;
        let memory = settings.memory << 20;
        let preprocess = preprocess(config, &network);
        let n_images = train.len() + valid.len();
        let source = Source {
            preprocess,
            augment: Some(Augment::new(&config.augment, config.target.kind)?),
            hide: MetadataDropout::new(&config.augment, config.target.kind)?
                .filter(|_| config.model.arm == Arm::Both),
            dataset: Arc::new(dataset),
            metadata: Arc::new(encoded),
            encoder: Arc::new(encoder),
            task: Arc::new(task.clone()),
            reads_image,
            cache: (reads_image
                && !is_one_epoch(config)
                && is_worth_keeping(n_images, preprocess.size, memory / 3))
            .then(|| Arc::new(PixelCache::new(memory / 3))),
            seed: settings.seed,
        };
        let mut feed = Feed::new(
            source,
            train,
            valid,
            (settings.batch, settings.accumulate),
            settings.workers,
            device.clone(),
        );
        feed.shards = shards;
        feed.window = window;
        feed.unreadable = unreadable;
        feed.max_feature_bytes = memory / 3 * 2;
        feed.weights = (settings.sampling == Sampling::Balanced).then(|| balanced(&feed));
        network.start_from(&first_outputs(&feed, weights)?);
        let division = Division {
            step: feed.step,
            ranks: 1,
        };
        let plan = plan(config, feed.steps_per_epoch(), division.ranks);
        let mut frozen = Vec::new();
        network.root.each_parameter("", &mut |path, parameter| {
            if parameter.frozen {
                frozen.push(path);
            }
        });
        let groups = groups(&network, settings.backbone_rate, settings.weight_decay);
        let mut config = config.clone();
        // Written out, since what it is where nothing is said depends on where the table is.
        if feed.shards.is_some() {
            config.data.shuffle_shards = Some(window);
        }
        let session = Self {
            config,
            task,
            frozen,
            optimizer: Optimizer::new(Method::default(), groups),
            average: (settings.ema > 0.0).then(|| Average::new(settings.ema, settings.ema_warmup)),
            plan,
            loss,
            feed,
            rows,
            division,
            sizes,
            progress: Progress::default(),
            best: None,
            network,
        };
        Ok((session, remarks))
    }

    /// What several ranks do to a step, in words.
    fn remark_on_ranks(&self) -> Option<String> {
        let (ranks, train) = (&self.feed.ranks, &self.config.train);
        if ranks.is_alone() {
            return None;
        }
        let scale = match train.scale_rate {
            ScaleRate::None => "none",
            ScaleRate::Sqrt => "sqrt",
            ScaleRate::Linear => "linear",
        };
        let rows = match train.sync_batch_norm {
            true => "those of all ranks together",
            false => "each rank's own",
        };
        Some(format!(
            "{} ranks: steps of {} rows, batches of {} a rank (`train.batch`); peak learning rate {} \
             (`train.scale_rate` is {scale}); normalisations over the batch are by {rows} (`train.sync_batch_norm`)",
            ranks.size(),
            self.feed.step,
            self.feed.batch,
            train.learning_rate * train.scale_rate.factor(self.division.ranks),
        ))
    }

    /// Says what is about to be done.
    pub fn announce(&self, remarks: &[String], journal: &mut Journal<'_>) {
        let n_parameters = self
            .network
            .parameters()
            .iter()
            .map(|p| p.shape.iter().product::<usize>())
            .sum();
        let (rows_train, rows_valid) = (self.feed.train.len(), self.feed.valid.len());
        let (steps_per_epoch, epochs) = (self.plan.steps_per_epoch, self.plan.epochs());
        match self.progress.total_step {
            0 => journal.write(&LogLine::Plan {
                rows_train,
                rows_valid,
                steps_per_epoch,
                epochs,
                n_parameters,
            }),
            total_step => journal.write(&LogLine::Resumed { total_step }),
        }
        let backbone = self.config.model.backbone.clone();
        journal.tell(Event::Plan {
            rows_train,
            rows_valid,
            steps_per_epoch,
            epochs,
            backbone,
            n_parameters,
        });
        if self.progress.total_step == 0 {
            for remark in remarks {
                journal.remark(remark.clone());
            }
        } else {
            journal.tell(Event::Remark(format!(
                "going on from step {}",
                self.progress.total_step
            )));
            if let Some(remark) = self.remark_on_ranks() {
                journal.remark(remark);
            }
        }
    }
}

/// What is best put out before anything is known of a row: the mean of the points, how common each class or label is
/// (as logits; all the same where the loss or the sampling evens them out). Values are standardised, so theirs is 0.
fn first_outputs(feed: &Feed, weights: Weights) -> Result<Vec<f32>> {
    let task = &*feed.source.task;
    Ok(match task {
        Task::Keypoints { .. } => feed.mean_target()?,
        Task::Class { counts, .. } if weights == Weights::Even && feed.weights.is_none() => {
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
        .collect::<Result<_>>()?;
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let at_once = if window == 0 { sizes.len() } else { window + 1 };
    let needed: u64 = sizes.iter().take(at_once).sum();
    if needed > store.max_bytes() {
        return Err(Error::Setting {
            field: "data.remote.cache_size".into(),
            expected: format!(
                "at least {} MiB for the {} shards that are needed at a time (or fewer, by `data.shuffle_shards`)",
                needed.div_ceil(1 << 20),
                at_once.min(sizes.len()),
            ),
            found: (store.max_bytes() >> 20).to_string(),
        });
    }
    Ok(())
}

/// Whether there is no next epoch, whatever the number of steps.
fn is_one_epoch(config: &Config) -> bool {
    let frozen = config.train.freeze_epochs.unwrap_or(0);
    config.model.weights == "none" && frozen + config.train.epochs <= 1
}

/// Whether decoded images are kept for the next epoch. In a random order a cache of so many bytes that throws nothing
/// out serves as large a share of the images as it holds; below a half it costs more memory than it saves time.
fn is_worth_keeping(n_images: usize, size: usize, max_bytes: usize) -> bool {
    let n_bytes = n_images.saturating_mul(size * size * 3);
    n_bytes / 2 <= max_bytes
}

/// How likely each training row is drawn so that all classes come equally often: one over how often its class comes;
/// never, where its class is not known.
fn balanced(feed: &Feed) -> Vec<f64> {
    let task = &*feed.source.task;
    let (Task::Class { counts, .. }, Some(targets)) = (task, &feed.source.dataset.targets) else {
        unreachable!("a class is asked for before anything is read")
    };
    let weight = |&row: &usize| {
        let (class, known) = task.encode(targets, row);
        f64::from(known[0]) / counts[class[0] as usize].max(1) as f64
    };
    feed.train.iter().map(weight).collect()
}

/// Steps that the new layers learn alone, at least, before what is pretrained learns too.
const FROZEN_STEPS: usize = 300;

/// The phases of a configuration: what is pretrained is at first (or always) frozen, what is not trains throughout.
///
/// fastai's `fine_tune` gives the new layers one epoch. On a few hundred rows that is a dozen steps, too few for
/// anything, and epochs over features that were computed once cost next to nothing.
pub(super) fn plan(config: &Config, steps_per_epoch: usize, n_ranks: usize) -> Plan {
    let settings = &config.train;
    let rate = settings.learning_rate * settings.scale_rate.factor(n_ranks);
    let epochs = settings.epochs;
    let is_pretrained = config.model.weights != "none";
    let default = if is_pretrained {
        FROZEN_STEPS.div_ceil(steps_per_epoch.max(1))
    } else {
        0
    };
    let frozen = settings.freeze_epochs.unwrap_or(default);
    match config.model.arm {
        _ if settings.freeze => Plan::frozen(epochs, rate),
        // Nothing is pretrained there, but an arm that learned for fewer epochs would be no fair comparison.
        Arm::Metadata => Plan::from_scratch(frozen + epochs, rate),
        _ if frozen == 0 => Plan::from_scratch(epochs, rate),
        _ => Plan::fine_tune(frozen, epochs, rate),
    }
    .with_steps_per_epoch(steps_per_epoch)
}

/// What the rows are: their place in the table, their images' names, their targets.
fn digest(dataset: &Dataset, train: &[usize], valid: &[usize]) -> RowsDigest {
    let mut hash = Sha256::new();
    for &row in train.iter().chain(valid) {
        hash.update(dataset.rows[row].to_le_bytes());
        match &dataset.images[row] {
            // The name alone: a folder may be moved between two sittings.
            ImageSource::Path(path) => {
                hash.update(path.file_name().unwrap_or_default().as_encoded_bytes())
            }
            ImageSource::Bytes { name, .. } => hash.update(name),
            ImageSource::Member(member) => hash.update(&member.name),
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
    RowsDigest {
        train: train.len(),
        valid: valid.len(),
        sha256: hexadecimal(&hash.finalize()),
    }
}
