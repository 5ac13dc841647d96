//! Who is trained on what: arms, folds, inner validation rows, jobs. All of it is known before the first step.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

use super::arm::{Arm, Model, first_fusion};
use super::{CompareOptions, Speed};
use crate::batch::all_image_sizes;
use crate::config::{self, Config, SplitConfig, Unreadable};
use crate::dataset::{Dataset, Folds, ImageSource, Opened, Times};
use crate::digest::hexadecimal;
use crate::error::{EvidenceError, Result, setting};
use crate::evidence::lone_units;
use crate::metric::{Evaluation, WeightedMetric, main_metric};
use crate::number::counted;
use crate::split::{FoldOrder, carve, folds, forward_folds};
use crate::table::Table;
use crate::task::Task;

/// Changes when results of an earlier version of this program no longer fit.
const VERSION: &str = "sidelight compare 5";
/// Each is a list of jobs, made before the first.
const MOST_SEEDS: usize = 1000;

/// Steps that a head on frozen features is given, at least: fewer than this and it has not begun.
const QUICK_STEPS: usize = 300;

/// All that is fixed before the first step.
#[derive(Debug)]
pub(super) struct Design {
    /// Its metadata written out.
    pub(super) config: Config,
    pub(super) table: Table,
    pub(super) dataset: Dataset,
    /// Fitted on all rows: it scores, no model is trained with it.
    pub(super) task: Task,
    pub(super) metric: String,
    pub(super) arms: Vec<Arm>,
    pub(super) models: Vec<Model>,
    pub(super) speed: Speed,
    /// `[seed][row]`.
    pub(super) folds: Vec<Vec<u32>>,
    /// Which of them are tested, and what is learned from then.
    pub(super) order: FoldOrder,
    /// `[seed][fold]`.
    pub(super) fold_rows: Vec<Vec<FoldRows>>,
    /// Width and height of each row's image, where the task is points.
    pub(super) sizes: Option<Vec<[f32; 2]>>,
    pub(super) remarks: Vec<String>,
    fingerprint: Vec<u8>,
}

/// Positions of a fold's rows: nothing is fitted on `test`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoldRows {
    pub(super) train: Vec<usize>,
    /// Inner validation rows: the best epoch and the vote's weight are chosen by them. Part of the folds learned from.
    pub(super) valid: Vec<usize>,
    pub(super) test: Vec<usize>,
}

/// One training.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Job {
    pub(super) model: Model,
    pub(super) seed: usize,
    pub(super) fold: usize,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, fold {}", self.model, self.fold + 1)?;
        if self.seed > 0 {
            write!(f, ", seed {}", self.seed + 1)?;
        }
        Ok(())
    }
}

impl Design {
    /// Reads the table, deals the folds, and looks whether everything can be compared.
    pub(super) fn new(config: &Config, options: &CompareOptions<'_>) -> Result<Self> {
        let mut arms = Arm::named(&options.arms, config)?;
        if config.data.unreadable == Unreadable::Skip {
            // Arms and folds must be of the same rows.
            let expected = "`refuse` in a comparison, whose arms see the same rows";
            return Err(setting("data.unreadable", expected, "skip").into());
        }
        let Opened {
            table,
            config,
            dataset,
            ..
        } = Dataset::open(config)?;
        let mut remarks = dataset.remarks.clone();
        if dataset.metadata.columns.is_empty() {
            return Err(setting("metadata", "at least one column to compare with", "none").into());
        }
        if !(1..=MOST_SEEDS).contains(&options.seeds) {
            return Err(setting("seeds", format!("1 to {MOST_SEEDS}"), options.seeds).into());
        }
        if arms.contains(&Arm::GapsOnly)
            && dataset
                .metadata
                .columns
                .iter()
                .all(|column| column.values.n_missing() == 0)
        {
            arms.retain(|arm| *arm != Arm::GapsOnly);
            remarks.push("no metadata is missing in any row: there is no arm `gaps-only`".into());
        }
        let same = match (&dataset.folds, &dataset.times) {
            (Some(_), _) => Some("those of `data.fold`"),
            (None, Some(_)) => Some("those of `data.time`"),
            (None, None) => None,
        };
        if let Some(same) = same.filter(|_| options.seeds > 1) {
            remarks.push(format!("every seed has the same folds, {same}"));
        }
        if config.data.split.column.is_some() {
            remarks.push("the split column is not used: folds divide all rows".into());
        }
        if !config.model.edit.is_empty() {
            remarks.push("edits of the network are left out where there is metadata alone".into());
        }

        let rows: Vec<usize> = (0..dataset.len()).collect();
        let task = Task::fit(&dataset, &config.target, &rows)?;
        let metric = options
            .metric
            .clone()
            .unwrap_or_else(|| main_metric(&task).0.to_owned());
        let sizes = matches!(task, Task::Keypoints { .. }).then(|| all_image_sizes(&dataset));
        let dealt = (0..options.seeds)
            .map(|seed| match (&dataset.folds, &dataset.times) {
                (Some(own), _) => own_folds(&dataset, own),
                (None, Some(times)) => Ok(forward_folds(times, options.folds)?),
                (None, None) => Ok(folds(
                    &dataset,
                    options.folds,
                    config.data.split.seed + seed as u64,
                )?),
            })
            .collect::<Result<Vec<_>>>()?;
        let order = match dataset.times {
            Some(_) => FoldOrder::Forward,
            None => FoldOrder::Any,
        };
        let n_folds = match &dataset.folds {
            Some(own) => own.names.len(),
            None => options.folds,
        };
        if dataset.folds.is_some() {
            remarks.push(format!("{n_folds} folds, those of `data.fold`"));
        }
        if let Some(times) = &dataset.times {
            remarks.push(by_time(times, &dealt[0], n_folds));
        }
        let rows_of = |(seed, of_row): (usize, &Vec<u32>)| {
            (0..)
                .filter(|fold| order.tests(*fold))
                .take(n_folds)
                .map(|fold| {
                    FoldRows::new(&dataset, (of_row, order), fold, seed, &config.data.split)
                })
                .collect()
        };
        let fold_rows = dealt
            .iter()
            .enumerate()
            .map(rows_of)
            .collect::<Result<Vec<Vec<FoldRows>>>>()?;
        let fingerprint = fingerprint(&dataset);
        let mut design = Self {
            models: Model::needed_by(&arms),
            speed: options.speed,
            folds: dealt,
            order,
            config,
            table,
            dataset,
            task,
            metric,
            arms,
            fold_rows,
            sizes,
            remarks,
            fingerprint,
        };
        design.check_metric()?;
        design.remarks.extend(lone_units(&design.dataset));
        design.remarks.extend(design.unlearned_classes());
        design.remarks.extend(design.unlearned_features());
        Ok(design)
    }

    /// What a quick comparison keeps frozen that has learned nothing yet.
    fn unlearned_features(&self) -> Option<String> {
        let model = &self.config.model;
        let reads_image = self.models.iter().any(Model::reads_image);
        (self.speed == Speed::Quick && reads_image && model.begins_from_scratch()).then(|| {
            format!(
                "`{}` is not pretrained (`model.weights = \"none\"`), and a quick comparison keeps it frozen as it begins: \
                 its features say little, and the many epochs of its heads may take longer than a full comparison; \
                 compare in full, or begin with pretrained weights",
                model.backbone
            )
        })
    }

    /// Every training, the models of one fold one after another: they have branches in common.
    pub(super) fn jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (seed, folds) in self.fold_rows.iter().enumerate() {
            for fold in 0..folds.len() {
                jobs.extend(self.models.iter().map(|model| Job {
                    model: model.clone(),
                    seed,
                    fold,
                }));
            }
        }
        jobs
    }

    pub(super) fn n_folds(&self) -> usize {
        self.fold_rows[0].len()
    }

    /// Rows that are held out in some fold: all but what is only learned from, in order. The same for every seed.
    pub(super) fn tested(&self) -> Vec<usize> {
        let folds = self.folds[0].iter().enumerate();
        folds
            .filter(|(_, fold)| self.order.tests(**fold))
            .map(|(row, _)| row)
            .collect()
    }

    /// The number of the fold that a row is held out in, from 1, as jobs are called.
    pub(super) fn fold_number(&self, seed: usize, row: usize) -> u32 {
        let first = (0..).find(|fold| self.order.tests(*fold)).unwrap_or(0);
        self.folds[seed][row] - first + 1
    }

    pub(super) fn rows_of(&self, job: &Job) -> &FoldRows {
        &self.fold_rows[job.seed][job.fold]
    }

    /// The fusion that is controlled and asked column by column.
    pub(super) fn first_fusion(&self) -> Option<Model> {
        first_fusion(&self.arms).map(|name| Model::Fusion(name.to_owned()))
    }

    /// The configuration that a job trains by.
    pub(super) fn job_config(&self, job: &Job) -> Config {
        let mut config = self.config.clone();
        config.model.arm = match &job.model {
            Model::Image => config::Arm::Image,
            Model::Metadata | Model::Trees | Model::GapsOnly => config::Arm::Metadata,
            Model::Fusion(name) | Model::Shuffled(name) => {
                config.model.fusion.clone_from(name);
                config::Arm::Both
            }
        };
        if !job.model.reads_image() {
            config.model.edit.clear();
        }
        config.train.seed += job.seed as u64;
        if self.speed == Speed::Quick {
            config.train.freeze = true;
            config.augment.flip = Some(false);
            config.augment.probability = 0.0;
            let steps = self.rows_of(job).train.len().div_ceil(config.train.batch);
            config.train.epochs = config.train.epochs.max(QUICK_STEPS.div_ceil(steps.max(1)));
        }
        config
    }

    /// What a job's result depends on: settings, rows, folds; not threads, nor where the files are.
    pub(super) fn digest(&self, job: &Job) -> Result<String> {
        let mut config = self.job_config(job);
        config.train.workers = 0;
        config.data.without_folders();
        let mut hash = Sha256::new();
        if let Ok(Some(path)) = config.model.weights_file() {
            let size = std::fs::metadata(&path).map_or(0, |file| file.len());
            hash.update(size.to_le_bytes());
            // A name on the hub says more than the file that it became.
            if config.model.weights_are_a_file() {
                config.model.weights = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
            }
        }
        hash.update(VERSION);
        hash.update(
            toml::to_string(&config)
                .map_err(|error| setting("config", "values that TOML can hold", error))?,
        );
        hash.update(job.model.to_string());
        hash.update(&self.fingerprint);
        let FoldRows { train, valid, test } = self.rows_of(job);
        for rows in [train, valid, test] {
            hash.update(rows.len().to_le_bytes());
            rows.iter().for_each(|row| hash.update(row.to_le_bytes()));
        }
        Ok(hexadecimal(&hash.finalize()))
    }

    /// What all results together depend on.
    pub(super) fn digest_of_all(&self) -> Result<String> {
        let mut hash = Sha256::new();
        for job in self.jobs() {
            hash.update(self.digest(&job)?);
        }
        Ok(hexadecimal(&hash.finalize()))
    }

    fn check_metric(&self) -> Result<()> {
        let rows: Vec<usize> = (0..self.dataset.len()).collect();
        let nothing = self.task.decode(&vec![0.0; self.task.n_outputs()]);
        let predictions = vec![nothing; rows.len()];
        let targets = self
            .dataset
            .targets
            .as_ref()
            .expect("the task was fitted on them");
        let evaluation = Evaluation {
            task: &self.task,
            targets,
            rows: &rows,
            predictions: &predictions,
            sizes: self.sizes.as_deref(),
            weights: None,
        };
        Ok(WeightedMetric::new(&self.metric, &evaluation)
            .map(|_| ())
            .ok_or_else(|| EvidenceError::Uncomparable {
                metric: self.metric.clone(),
                arm: "image".into(),
            })?)
    }

    /// Classes that some fold is tested on and not trained with.
    fn unlearned_classes(&self) -> Vec<String> {
        let Some(targets) = &self.dataset.targets else {
            return Vec::new();
        };
        let mut absent: BTreeMap<String, usize> = BTreeMap::new();
        for rows in self.fold_rows.iter().flatten() {
            // A fold that lacks even two classes is refused where it is trained.
            if let Ok(task) = Task::fit(&self.dataset, &self.config.target, &rows.train) {
                for name in task.unseen(targets, &rows.test).into_keys() {
                    *absent.entry(name).or_default() += 1;
                }
            }
        }
        absent
            .into_iter()
            .map(|(class, n)| format!("`{class}` is in the test rows but not in the training rows of {n} folds: all arms miss it there"))
            .collect()
    }
}

/// The folds that the table says, if there are several and none divides a group.
fn own_folds(dataset: &Dataset, folds: &Folds) -> Result<Vec<u32>> {
    if folds.names.len() < 2 {
        let found = folds.names.join(", ");
        return Err(setting("data.fold", "a column of at least two folds", found).into());
    }
    if let Some(groups) = &dataset.groups {
        let mut fold_of: BTreeMap<u32, usize> = BTreeMap::new();
        for (row, group) in groups.iter().enumerate() {
            let first = *fold_of.entry(*group).or_insert(row);
            if folds.of_row[first] != folds.of_row[row] {
                let expected = "folds that keep each group whole (`data.group`)";
                let [a, b] = [first, row].map(|row| dataset.rows[row] + 1);
                let found = format!("rows {a} and {b} of one group in two folds");
                return Err(setting("data.fold", expected, found).into());
            }
        }
    }
    Ok(folds.of_row.clone())
}

/// What should be said of folds in the order of time.
fn by_time(times: &Times, folds: &[u32], n_folds: usize) -> String {
    let (first, tested): (Vec<usize>, Vec<usize>) =
        (0..folds.len()).partition(|&row| !FoldOrder::Forward.tests(folds[row]));
    format!(
        "{n_folds} folds in the order of time: each is tested on what was learned from the rows before it; {} of `{}` {} are only \
         learned from, {} of {} are tested",
        counted(first.len(), "row"),
        times.column,
        times.range(&first),
        counted(tested.len(), "row"),
        times.range(&tested),
    )
}

impl FoldRows {
    fn new(
        dataset: &Dataset,
        (folds, order): (&[u32], FoldOrder),
        fold: u32,
        seed: usize,
        split: &SplitConfig,
    ) -> Result<Self> {
        let test = (0..folds.len()).filter(|&row| folds[row] == fold).collect();
        let learned = order.learned(folds, fold, dataset.groups.as_deref());
        let inner = SplitConfig {
            seed: split.seed + seed as u64,
            column: None,
            valid_where: Vec::new(),
            test_where: Vec::new(),
            ..split.clone()
        };
        let (train, valid) = carve(dataset, &learned, &inner)?;
        Ok(Self { train, valid, test })
    }
}

/// What the rows are: their images' names, metadata, targets, groups, what they count.
fn fingerprint(dataset: &Dataset) -> Vec<u8> {
    let mut hash = Sha256::new();
    for image in dataset.images.iter().flat_map(ImageSource::parts) {
        hash.update(image.local_name());
        if let ImageSource::Bytes { bytes, .. } = image.whole() {
            hash.update(bytes);
        }
        hash.update([0]);
    }
    // `Debug` of numbers is exact.
    for column in &dataset.metadata.columns {
        hash.update(format!("{column:?}"));
    }
    hash.update(format!(
        "{:?}{:?}{:?}",
        dataset.rows, dataset.targets, dataset.groups
    ));
    if let Some(weights) = &dataset.weights {
        hash.update(format!("{weights:?}"));
    }
    hash.finalize().to_vec()
}
