//! A model for each fold, trained on all other rows, and all of them as one (`data.split.folds`).
//!
//! Each fold is a run of its own below `folds/`, as [`train`](super::train) writes it and goes on with it. What joins them is
//! made of the finished runs alone: one network whose prediction is the mean of theirs ([`Ensemble`]), each member with the
//! encoding and the units that it was trained with, so that nothing of a row is in the member that left it out. Scores,
//! `predictions.csv` and what is known of how far off the model is ([`Conformal`]) are of each row by that member.
//!
//! A new row is predicted by the mean of all members, which is a little better than any of them: scores and sets are a little
//! too cautious, never too bold. Each member's temperature was fitted to the rows that it left out.
//!
//! [`Ensemble`]: crate::network::layer::Ensemble
//!
//! # Source
//!
//! Errors of the models that left a row out, for the sets of all models together: Vovk 2015, "Cross-conformal predictors",
//! Annals of Mathematics and Artificial Intelligence 74.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::batch::{
    Batch, Predictions, constant_guesses, device, evaluate, gather, image_sizes, of_task, score,
};
use crate::config::{Config, SplitConfig};
use crate::conformal::{Conformal, RowError};
use crate::dataset::{Dataset, Opened};
use crate::encode::Encoder;
use crate::error::{Error, Result};
use crate::loader::{BadImage, BatchPlan, Failure, Loader, LoaderOptions};
use crate::loss::{Loss, Weights};
use crate::metric::Metrics;
use crate::model::Model;
use crate::network::Network;
use crate::network::layer::{Member, Vote, VotedOutputs};
use crate::ranks::{Ranks, all_equal, all_or_none, gather_numbers};
use crate::run::{
    BEGUN, Event, Existing, FOLDS, GroupScores, MetricsFile, RowCounts, Run, RunFolder,
    read_versioned, write_json,
};
use crate::split::split;
use crate::task::{Prediction, Task};

use super::checkpoint::{RowsDigest, check_same_run};
#[cfg(feature = "report")]
use super::page;
use super::results::{group_scores, scores_file, write_predictions};
use super::setup::{digest, measure_range};
use super::{TrainOptions, Trained, TrainingLog, check_ranks_match, train};

/// The schema of what the runs of folds were begun with.
const SCHEMA: u32 = 1;

/// Trains a model for each fold and joins them.
///
/// # Errors
///
/// As [`train`].
pub(super) fn train_folds(config: &Config, options: TrainOptions<'_>) -> Result<Trained> {
    let TrainOptions {
        out,
        existing,
        cache,
        ranks,
        stop,
        mut on_event,
    } = options;
    check_ranks_match(&*ranks, config)?;
    let folder = match ranks.is_first() {
        true => RunFolder::create(&out, existing).map(Some),
        false => Ok(None),
    };
    let folder = all_or_none(&*ranks, folder)?;
    let division = all_or_none(&*ranks, Division::new(config))?;
    let rows = division.digest();
    all_equal(&*ranks, "rows", &rows.sha256)?;
    let begun = folder.as_ref().map_or(Ok(()), |folder| {
        division.check_begun(rows, folder)?;
        folder.write_config(&division.config.to_toml()?)
    });
    all_or_none(&*ranks, begun)?;

    let run = Run { dir: out };
    let n = division.valid.len();
    for fold in 1..=n {
        let dir = run.fold_dir(fold);
        // The first looks, so that all do the same.
        let is_done = gather_numbers(&*ranks, &[f64::from(u8::from(Run::open(&dir).is_ok()))]);
        if is_done.first() == Some(&1.0) {
            continue;
        }
        let mut tell = |event: Event| {
            if let Some(on_event) = &mut on_event {
                on_event(event);
            }
        };
        if ranks.is_first() {
            let text = format!("fold {fold} of {n}");
            tell(Event::Remark { text });
        }
        let options = TrainOptions {
            out: dir,
            existing: Existing::Resume,
            cache: cache.clone(),
            ranks: Arc::clone(&ranks),
            stop,
            on_event: Some(&mut tell),
        };
        let trained = train(&division.of_fold(fold), options)?;
        if trained.stopped {
            return Ok(Trained {
                metrics: None,
                constant: None,
                run,
                stopped: true,
            });
        }
    }

    let joined = Joined::new(&division, &run, &*ranks);
    let joined = all_or_none(&*ranks, joined)?;
    let (metrics, constant) = (joined.metrics(), joined.constant());
    let finished = folder.map_or(Ok(()), |folder| {
        let mut nobody = |_| {};
        let on_event: &mut dyn FnMut(Event) = match on_event {
            Some(on_event) => on_event,
            None => &mut nobody,
        };
        joined.finish(&metrics, constant.as_ref(), folder, on_event)
    });
    all_or_none(&*ranks, finished)?;
    Ok(Trained {
        metrics: Some(metrics),
        constant,
        run,
        stopped: false,
    })
}

/// Refuses to go on in a folder where models of folds were begun with a training that is one model's.
///
/// # Errors
///
/// [`Error::ResumeDiffers`], [`Error::StoredJson`].
pub(super) fn check_no_folds(config: &Config, options: &TrainOptions<'_>) -> Result<()> {
    let path = options.out.join(FOLDS).join(BEGUN);
    if options.existing != Existing::Resume || !path.is_file() {
        return Ok(());
    }
    let begun = Begun::read(&path)?.config.data.split.folds;
    Err(other_folds(&options.out, begun, config))
}

fn other_folds(path: &Path, begun: usize, config: &Config) -> Error {
    Error::ResumeDiffers {
        path: path.to_path_buf(),
        field: "data.split.folds".into(),
        begun: begun.to_string(),
        now: config.data.split.folds.to_string(),
    }
}

/// The rows, and which fold leaves out which of them.
struct Division {
    /// The configuration of all folds, its metadata columns by name.
    config: Config,
    dataset: Arc<Dataset>,
    /// The rows of each fold.
    valid: Vec<Vec<usize>>,
}

/// What the runs of folds were begun with.
#[derive(Serialize, Deserialize)]
struct Begun {
    schema: u32,
    config: Config,
    rows: RowsDigest,
}

impl Begun {
    fn read(path: &Path) -> Result<Self> {
        let wrong = |path, source| Error::StoredJson { path, source };
        read_versioned(path, SCHEMA, wrong)
    }
}

impl Division {
    fn new(config: &Config) -> Result<Self> {
        let Opened {
            mut config,
            dataset,
            ..
        } = Dataset::open(config)?;
        let folds = 1..=config.data.split.folds;
        let of_fold = |fold| {
            let split_config = SplitConfig {
                fold,
                ..config.data.split.clone()
            };
            Ok(split(&dataset, &split_config)?.valid)
        };
        let valid: Vec<Vec<usize>> = folds.map(of_fold).collect::<Result<_>>()?;
        // All members see images as one of them does.
        let mut rows = valid.concat();
        rows.sort_unstable();
        measure_range(&mut config, &dataset, &rows);
        Ok(Self {
            config,
            dataset: Arc::new(dataset),
            valid,
        })
    }

    /// The configuration of the run of a fold, the first being 1.
    fn of_fold(&self, fold: usize) -> Config {
        let mut config = self.config.clone();
        config.data.split.fold = fold;
        config
    }

    fn digest(&self) -> RowsDigest {
        digest(&self.dataset, &self.valid.concat(), &[])
    }

    /// Whether the runs that are there were begun with this configuration and these rows; where there are none, writes down
    /// what they are begun with.
    ///
    /// # Errors
    ///
    /// [`Error::ResumeDiffers`], [`Error::StoredJson`].
    fn check_begun(&self, rows: RowsDigest, folder: &RunFolder) -> Result<()> {
        if folder.checkpoint_dir().is_dir() {
            return Err(other_folds(folder.dir(), 0, &self.config));
        }
        let path = folder.begun_path()?;
        if !path.is_file() {
            let begun = Begun {
                schema: SCHEMA,
                config: self.config.clone(),
                rows,
            };
            return write_json(&path, &begun);
        }
        let begun = Begun::read(&path)?;
        let begun = (&begun.config, &begun.rows);
        check_same_run(begun, (&self.config, &rows), folder.dir())
    }
}

/// The model of all folds, and what its members say of the rows that they left out.
struct Joined {
    model: Model,
    dataset: Arc<Dataset>,
    /// Positions of the rows of all folds, in order.
    rows: Vec<usize>,
    /// One for each of `rows`, in the classes and units of the joined model.
    predicted: Predictions,
    /// Constant guesses of the members that left the rows out.
    guesses: Vec<Option<Prediction>>,
    sizes: Option<Vec<[f32; 2]>>,
    /// Seconds of all trainings, and rows that they saw in them.
    seconds: f64,
    rows_seen: f64,
}

/// What a model says of rows that it has not learned from.
struct LeftOut {
    predicted: Predictions,
    /// Side of the square that the network sees of each row, in pixels of the stored image.
    sides: Vec<f64>,
}

impl LeftOut {
    /// Every rank predicts its share, and all get all.
    fn predict(
        model: &Model,
        dataset: &Arc<Dataset>,
        rows: &[usize],
        ranks: &dyn Ranks,
    ) -> Result<Self> {
        let share = ranks.share(rows.len());
        let own = &rows[share.clone()];
        let (source, _) = model.source(Arc::clone(dataset))?;
        let loss = Loss::new(&model.task, &model.config.train.loss, Weights::Even)?;
        let network = model.network.valid();
        let device = device(&network);
        let plan = BatchPlan::evaluation(own, model.config.train.batch);
        let options = LoaderOptions {
            bad_image: BadImage::Skip,
            ..LoaderOptions::default()
        };
        let mut loader = Loader::new(source, plan, options);
        let batches = loader.by_ref().map(|host| Ok(Batch::new(host?, &device)));
        let mut predictions = vec![None; own.len()];
        let mut losses = vec![f32::NAN; own.len()];
        let mut sides = vec![f64::NAN; own.len()];
        let place = |row: &usize| own.binary_search(row).unwrap_or_default();
        evaluate(&network, batches, |batch, output| {
            if let Some((target, mask)) = batch.targets.clone() {
                let of_rows = loss.rows(of_task(&model.task, output.clone()), target, mask);
                for (row, loss) in batch.rows.iter().zip(of_rows) {
                    losses[place(row)] = loss;
                }
            }
            let found = batch.decode(&model.task, output).into_iter();
            for ((row, side), found) in batch.rows.iter().zip(batch.sides()).zip(found) {
                sides[place(row)] = side;
                predictions[place(row)] = Some(found);
            }
        })?;
        let problem = |Failure { row, error, .. }| (place(&row), Arc::new(error.into()));
        let own = Predictions {
            predictions,
            losses: Some(losses),
            problems: loader.into_failures().into_iter().map(problem).collect(),
            ..Predictions::default()
        };
        Ok(Self {
            predicted: gather(ranks, &model.task, own, share.start)?,
            sides: gather_numbers(ranks, &sides),
        })
    }
}

impl Joined {
    fn new(division: &Division, run: &Run, ranks: &dyn Ranks) -> Result<Self> {
        let Division { dataset, valid, .. } = division;
        let mut rows = valid.concat();
        rows.sort_unstable();
        let folds: Vec<Run> = (1..=valid.len())
            .map(|fold| Run::open(&run.fold_dir(fold)))
            .collect::<Result<_>>()?;
        let models: Vec<Model> = folds
            .iter()
            .map(|fold| Model::load(&fold.model_dir()))
            .collect::<Result<_>>()?;
        let mut model = join(division, &models, &run.dir)?;

        let n = dataset.len();
        let (mut predictions, mut guesses) = (vec![None; n], vec![None; n]);
        let (mut losses, mut of_rows) = (vec![f32::NAN; n], Vec::new());
        let mut problems = Vec::new();
        for (member, rows) in models.iter().zip(valid) {
            let LeftOut { predicted, sides } = LeftOut::predict(member, dataset, rows, ranks)?;
            let adopt = |found: &Prediction| model.task.adopt(found, &member.task);
            let (constant, _) = constant_guesses(&member.task, dataset, rows);
            let of_row = predicted
                .losses
                .unwrap_or_else(|| vec![f32::NAN; rows.len()]);
            let found = predicted.predictions.iter().zip(constant).zip(of_row);
            for ((&row, side), ((found, guess), loss)) in rows.iter().zip(sides).zip(found) {
                predictions[row] = found.as_ref().map(adopt);
                guesses[row] = guess.as_ref().map(adopt);
                losses[row] = loss;
                if let Some(found) = &predictions[row] {
                    let error = RowError::measure(&model.task, found, dataset, row, side);
                    of_rows.push(error);
                }
            }
            let of_fold = predicted.problems.into_iter();
            problems.extend(of_fold.map(|(at, error)| (rows[at], error)));
        }
        let grouped = dataset.groups.is_some();
        model.conformal = Some(Conformal::new(&model.task, &of_rows, grouped));
        let in_order = |all: &mut Vec<Option<Prediction>>| {
            rows.iter().map(|&row| all[row].take()).collect::<Vec<_>>()
        };
        let predicted = Predictions {
            predictions: in_order(&mut predictions),
            losses: Some(rows.iter().map(|&row| losses[row]).collect()),
            problems,
            ..Predictions::default()
        };
        let guesses = in_order(&mut guesses);
        let scores: Vec<MetricsFile> = folds.iter().map(Run::metrics).collect::<Result<_>>()?;
        Ok(Self {
            sizes: image_sizes(&model.task, dataset, &rows),
            seconds: scores.iter().map(|fold| fold.seconds).sum(),
            rows_seen: scores
                .iter()
                .map(|fold| fold.seconds * fold.images_per_second)
                .sum(),
            dataset: Arc::clone(dataset),
            model,
            rows,
            predicted,
            guesses,
        })
    }

    fn score(&self, predictions: &[Option<Prediction>]) -> Metrics {
        let dataset = &self.dataset;
        let targets = dataset.targets.as_ref();
        score(
            &self.model.task,
            targets.expect("the task was fitted on them"),
            dataset.weights.as_ref(),
            &self.rows,
            predictions,
            self.sizes.as_deref(),
        )
    }

    /// Scores of all rows, each as the member that left it out predicts it.
    fn metrics(&self) -> Metrics {
        self.score(&self.predicted.predictions)
    }

    /// What a constant guess from the rows of the other folds scores.
    fn constant(&self) -> Option<Metrics> {
        let is_any = self.guesses.iter().any(Option::is_some);
        is_any.then(|| self.score(&self.guesses))
    }

    /// Writes all that a finished run has.
    fn finish(
        self,
        metrics: &Metrics,
        constant: Option<&Metrics>,
        folder: RunFolder,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let mut log = TrainingLog::new(on_event).with_file(folder.log(0)?);
        let n = self.model.network.n_members().unwrap_or_default();
        log.warn(format!(
            "the model is the mean of {n}, one for each fold: every row is scored by the one that has not learned from it"
        ));
        if !self.predicted.problems.is_empty() {
            log.warn(format!(
                "{} rows have an image that could not be read: they are in no score",
                self.predicted.problems.len()
            ));
        }
        let done = Event::Done {
            seconds: self.seconds,
            metrics: metrics.values.clone(),
        };
        log.write(&done);
        let Self {
            model,
            dataset,
            rows,
            predicted,
            ..
        } = &self;
        write_predictions(dataset, &model.task, rows, predicted, &folder)?;
        let groups = group_scores(&model.config, &model.task, dataset, rows, predicted);
        #[cfg(feature = "report")]
        if let Err(error) = self.write_report(metrics, constant, groups.clone(), &folder) {
            log.warn(format!("warning: no report: {error}"));
        }
        let mut scores = MetricsFile {
            rows: RowCounts {
                train: rows.len(),
                valid: rows.len(),
            },
            seconds: self.seconds,
            images_per_second: self.rows_seen / self.seconds.max(1e-9),
            ..scores_file(&model.config, metrics, constant)
        };
        scores.by_group = groups.map(GroupScores::from);
        folder.write_config(&model.config.to_toml()?)?;
        folder.write_model(|dir| model.save(dir))?;
        folder.finish(&scores)?;
        log.tell(done);
        Ok(())
    }

    #[cfg(feature = "report")]
    fn write_report(
        &self,
        metrics: &Metrics,
        constant: Option<&Metrics>,
        groups: Option<(String, Metrics)>,
        folder: &RunFolder,
    ) -> Result<()> {
        use crate::report::number;
        let config = &self.model.config;
        let mut facts = page::facts_of_model(config);
        facts.extend([
            (
                "models",
                format!("{}, one for each fold", config.data.split.folds),
            ),
            ("rows", number::count(self.rows.len())),
            ("seed", config.train.seed.to_string()),
            ("time", number::duration(self.seconds)),
        ]);
        let scored = page::Scored {
            config,
            task: &self.model.task,
            dataset: &self.dataset,
            rows: &self.rows,
            predicted: &self.predicted,
            metrics,
            groups,
            // Without a guess there is nothing to compare with.
            baseline: constant.unwrap_or(metrics).clone(),
            facts: page::named(facts),
        };
        folder.write_report(&scored.page(folder)?.html())
    }
}

/// The models of all folds as one; how far off it is, is not known yet.
fn join(division: &Division, models: &[Model], run: &Path) -> Result<Model> {
    let Division { dataset, valid, .. } = division;
    let parts = |part, expected: String, found: String| Error::ModelParts {
        path: run.to_path_buf(),
        part,
        expected,
        found,
    };
    let Some(first) = models.first() else {
        return Err(parts("folds", "two at least".into(), "none".into()));
    };
    let mut config = first.config.clone();
    config.data.split.fold = 0;
    let rows = valid.concat();
    // What a person sees of the columns is of all rows; the members read what each was trained with.
    let encoder = Encoder::fit(&dataset.metadata, &config.metadata_configs(), &rows)?;
    let names = |encoder: &Encoder| -> Vec<String> {
        let columns = encoder.columns.iter();
        columns.map(|column| column.name.clone()).collect()
    };
    if let Some(other) = models
        .iter()
        .find(|model| names(&model.encoder) != names(&encoder))
    {
        let (expected, found) = (names(&encoder).join(", "), names(&other.encoder).join(", "));
        return Err(parts("metadata columns", expected, found));
    }
    let encoders: Vec<Encoder> = models
        .iter()
        .map(|model| (*model.encoder).clone())
        .collect();
    let encoder = encoder.with_members(&encoders);
    let task = Task::fit(dataset, &config.target, &rows)?;
    let members = models.iter().enumerate().map(|(at, model)| {
        let (dense, codes) = encoder.places_of_member(at);
        let member = Member {
            dense,
            codes,
            ..in_terms_of(&task, &model.task)
        };
        (member, model.network.clone())
    });
    let n = task.n_outputs();
    let mut outputs = vec![VotedOutputs {
        by: Vote::of_task(&task),
        width: n,
    }];
    if first.says_confidence() {
        let points = n / 2;
        let beside = [Vote::Labels, Vote::Logarithms];
        outputs.extend(beside.map(|by| VotedOutputs { by, width: points }));
    }
    let network = Network::joined(members.collect(), outputs)?;
    Ok(Model {
        config,
        task: Arc::new(task),
        encoder: Arc::new(encoder),
        network,
        conformal: None,
    })
}

/// How the outputs for a task are brought to those of one that was fitted on more rows.
fn in_terms_of(all: &Task, own: &Task) -> Member {
    match (all, own) {
        (
            Task::Regression { mean, sd, .. },
            Task::Regression {
                mean: own_mean,
                sd: own_sd,
                ..
            },
        ) => {
            let of_column = mean.iter().zip(sd).zip(own_mean.iter().zip(own_sd));
            let (scale, offset) = of_column
                .map(|((mean, sd), (own_mean, own_sd))| {
                    ((own_sd / sd) as f32, ((own_mean - mean) / sd) as f32)
                })
                .unzip();
            Member {
                scale,
                offset,
                ..Member::default()
            }
        }
        _ if all.names() == own.names() => Member::default(),
        _ => {
            let place = |name: &String| all.names().iter().position(|other| other == name);
            Member {
                places: own.names().iter().filter_map(place).collect(),
                ..Member::default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TargetScale;

    #[test]
    fn values_keep_their_meaning_in_the_units_of_all_rows() {
        let task = |mean: f64, sd: f64| Task::Regression {
            columns: vec!["price".into()],
            scale: TargetScale::Linear,
            mean: vec![mean],
            sd: vec![sd],
            range: vec![[0.0, 1.0]],
        };
        let (all, own) = (task(100.0, 20.0), task(90.0, 10.0));
        let Member { scale, offset, .. } = in_terms_of(&all, &own);
        let z = 1.5_f32;
        let brought = z * scale[0] + offset[0];
        assert_eq!(all.decode(&[brought]), own.decode(&[z]), "105 in both");
    }

    #[test]
    fn classes_are_found_by_their_names() {
        let task = |names: &[&str]| Task::Class {
            column: "species".into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            counts: vec![1; names.len()],
        };
        let all = task(&["ash", "elm", "oak"]);
        assert_eq!(in_terms_of(&all, &task(&["elm", "oak"])).places, [1, 2]);
        assert!(in_terms_of(&all, &all).places.is_empty());
    }
}
