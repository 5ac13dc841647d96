//! Does the metadata help? Every arm trained on the same folds and seeds, and what that says.
//!
//! [`compare`] divides the rows into folds (groups whole, classes in proportion; or as the table says, `data.fold`),
//! trains each model on the others,
//! predicts the rows held out, and [evaluates](crate::evidence::evaluate) the predictions. No test row is ever fitted on:
//! encoder, scale of the target, the factors of a `stacked` network and the vote's weight come from the other folds, of which
//! a part is set aside to choose by (group-safe as well).
//!
//! Where rows have times (`data.time`), folds follow one another: each is predicted by what was learned from the rows
//! before it, and the part that is set aside is the latest of those. The first rows are only learned from: no number here
//! counts them ([`forward_folds`](crate::split::forward_folds)).
//!
//! # Arms and controls
//!
//! - `image`, `metadata`: one input alone.
//! - `trees`: the metadata alone, by gradient boosting instead of a network: what a person without one would
//!   do. Rows that a model left out say how many trees the others have.
//! - `vote`: the mean of what `image` and `metadata` predict (probabilities, values, points). `weighted-vote`: their weighted mean,
//!   the weight being the one of 0, 0.05, … 1 that is best on the inner validation rows. Neither is trained.
//! - a fusion's name (`concat`, `film`, …): both in one network.
//! - `shuffled`: the first fusion, trained and tested with metadata of other rows. It is permuted among the training
//!   rows, among the inner validation rows and among the test rows, whole rows at a time: what columns say of each
//!   other stays, what they say of image and target is gone. It has as many numbers to learn as the true one, so a
//!   gain of it is none of the metadata.
//! - `all-missing`: the first fusion as trained, all metadata missing when it predicts.
//! - `gaps-only`: a model of metadata alone that sees only which values are missing.
//!
//! # Two speeds
//!
//! [`Speed::Quick`] keeps the pretrained part frozen and computes what it says of each image once, without random
//! changes, for all arms, folds and seeds: a first answer. Heads learn for 300 steps at least, all of
//! them, unless `train.patience` says otherwise: to choose the best epoch by the inner validation rows costs more than it
//! gains where those are few. [`Speed::Full`] trains as the configuration says.
//!
//! # Jobs
//!
//! A job is one model, fold and seed. Its result is a file of its own, written when it is done: a comparison that was
//! killed goes on where it was, several machines can share the work ([`Work::Share`]) and one joins it
//! ([`Work::Join`]). Several [ranks](CompareOptions::ranks) take jobs from one queue until none is left, and the first
//! says what they found. The answer is the same to the byte however the work was divided, and whatever the number of
//! threads.

mod answer;
pub mod arm;
mod design;
mod features;
mod job;
mod job_store;
#[cfg(feature = "report")]
mod page;
mod queue;
mod shared;
mod trees;
mod variant;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::evidence::Evidence;
use crate::ranks::{Alone, Ranks, all_equal, all_or_none, as_collective_error, gather_numbers};
use crate::run::{
    ColumnKind, Extra, PredictionsWriter, Value, prediction_rows, read_versioned, write_json,
    write_whole,
};
use crate::train::FeatureCache;
use crate::write::CsvText;

use answer::Answer;
use design::{Design, Job};
use job_store::{ANSWER, JobStore, PREDICTIONS};
use queue::Jobs;

/// How a comparison is made, where it goes, and who watches it. A path is options enough: all else then has its default.
pub struct CompareOptions<'a> {
    /// The folder: `compare.json`, `out_of_fold.csv`, `report.html`, and `jobs/` to go on from.
    pub out: PathBuf,
    /// What to do with results that are already there. Default: [`Earlier::Reuse`].
    pub earlier: Earlier,
    /// Number of folds that are held out, each once. Default: 5.
    pub folds: usize,
    /// How often the rows are divided into folds anew, each time with a seed of its own. Default: 1.
    pub seeds: usize,
    /// Names of arms. Default: all that the configuration suggests (see [`arm::Arm::named`]).
    pub arms: Vec<String>,
    /// The metric that arms are compared by. Default: the task's main metric.
    pub metric: Option<String>,
    /// Whether everything is trained, or only heads over a frozen backbone. Default: [`Speed::Full`].
    pub speed: Speed,
    /// All jobs, or a share of them. Default: [`Work::All`].
    pub work: Work,
    /// Where features of frozen layers are cached from one run to the next. Default: nowhere.
    pub cache: Option<FeatureCache>,
    /// Who takes part; all write to the same folder. Default: [`Alone`].
    pub ranks: Arc<dyn Ranks>,
    /// Once it is set (by Ctrl-C, say), the comparison stops after the current step and keeps what is finished.
    /// Default: never.
    pub stop: Option<&'a AtomicBool>,
    /// Called with everything that happens. Default: nobody is told.
    pub on_event: Option<&'a mut dyn FnMut(Event)>,
}

impl CompareOptions<'_> {
    /// A comparison in this folder, all else by default.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            earlier: Earlier::default(),
            folds: 5,
            seeds: 1,
            arms: Vec::new(),
            metric: None,
            speed: Speed::default(),
            work: Work::default(),
            cache: None,
            ranks: Arc::new(Alone),
            stop: None,
            on_event: None,
        }
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for CompareOptions<'_> {
    fn from(out: &P) -> Self {
        Self::new(out.as_ref())
    }
}

impl std::fmt::Debug for CompareOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompareOptions")
            .field("out", &self.out)
            .field("folds", &self.folds)
            .field("seeds", &self.seeds)
            .field("arms", &self.arms)
            .field("speed", &self.speed)
            .field("work", &self.work)
            .finish_non_exhaustive()
    }
}

/// How much is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// As the configuration says; the pretrained part learns unless it says otherwise.
    #[default]
    Full,
    /// The pretrained part stays frozen and sees each image once.
    Quick,
}

/// Which jobs are done, and whether they are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Work {
    /// Whatever is missing; then the answer.
    #[default]
    All,
    /// Every `of`-th job, beginning with the `index`-th (from 0); no answer.
    Share {
        /// Which share, from 0.
        index: usize,
        /// How many there are.
        of: usize,
    },
    /// No job; the answer from the results that are there.
    Join,
}

/// What to do with results of an earlier comparison in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Earlier {
    /// Go on with them; refuse those of other settings or rows.
    #[default]
    Reuse,
    /// Delete them and begin anew.
    Discard,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Something the person should know.
    Remark(String),
    /// What is about to be done.
    Plan {
        /// Arms and controls, by name.
        arms: Vec<String>,
        /// Rows that are used.
        rows: usize,
        /// Folds of each seed.
        folds: usize,
        /// Number of seeds, each with folds of its own.
        seeds: usize,
        /// Trainings in all.
        jobs: usize,
        /// Of which are finished already.
        kept: usize,
        /// Of which are to be done now.
        todo: usize,
    },
    /// Features of the frozen part are being computed, once for all.
    Features {
        /// Rows whose features are computed.
        done: usize,
        /// Rows in all.
        rows: usize,
    },
    /// A job begins.
    Job {
        /// What it trains: `concat, fold 2`.
        name: String,
        /// Its number among those to be done, from 1.
        number: usize,
        /// How many are to be done.
        of: usize,
        /// Estimate for all that is left, this one included; `None`: nothing was measured yet.
        seconds_left: Option<f64>,
    },
    /// A step of the job was taken.
    Step {
        /// Share of the job that is done, in [0, 1].
        done: f64,
    },
    /// All jobs are done; their predictions are weighed.
    Weighing,
}

/// How a comparison ended.
#[derive(Debug)]
pub enum Compared {
    /// With an answer.
    Answer(Box<Evidence>),
    /// Its share is done; so many of all jobs are.
    Share {
        /// Jobs whose results are there.
        done: usize,
        /// Number of all jobs of the comparison.
        jobs: usize,
    },
    /// It was asked to stop; what is finished is kept.
    Stopped {
        /// Jobs whose results are there.
        done: usize,
        /// Number of all jobs of the comparison.
        jobs: usize,
    },
}

/// Trains all arms on the same folds and says whether the metadata helps.
///
/// The options are a path, the folder of the comparison, or [`CompareOptions`].
///
/// # Example
///
/// ```no_run
/// use sidelight::Config;
/// use sidelight::compare::Compared;
/// use sidelight::config::TargetConfig;
///
/// let config = Config::new("houses.csv", TargetConfig::regression("price"));
/// if let Compared::Answer(evidence) = sidelight::compare(&config, "runs/answer")? {
///     println!("{}", evidence.verdict.sentence);
/// }
/// # Ok::<(), sidelight::Error>(())
/// ```
///
/// # Errors
///
/// Before the first step: [`Error::NoArm`], [`EvidenceError::NoSuchArm`](crate::error::EvidenceError::NoSuchArm),
/// [`DataError::TooManyFolds`](crate::error::DataError::TooManyFolds), [`EvidenceError::Uncomparable`](crate::error::EvidenceError::Uncomparable) for the
/// metric, [`Error::OutputNotEmpty`], [`Error::JobDiffers`],
/// all that a table and a configuration can be wrong in. Later: those of
/// [`train`](crate::train::train) and, joining, [`Error::JobsMissing`].
pub fn compare<'a>(config: &Config, options: impl Into<CompareOptions<'a>>) -> Result<Compared> {
    let options = options.into();
    let ranks = Arc::clone(&options.ranks);
    let design = all_or_none(&*ranks, Design::new(config, &options))?;
    all_equal(&*ranks, "comparison", &design.digest_of_all()?)?;
    let store = open(&*ranks, &options)?;
    let CompareOptions {
        work,
        cache,
        stop,
        on_event,
        ..
    } = options;
    let (mut nobody, never) = (|_| {}, AtomicBool::new(false));
    let on_event: &mut dyn FnMut(Event) = match on_event {
        Some(on_event) => on_event,
        None => &mut nobody,
    };
    let jobs = design.jobs();
    let (todo, n_kept) = all_or_none(&*ranks, todo(&design, &store, &jobs, work))?;
    on_event(Event::Plan {
        arms: design
            .arms
            .iter()
            .map(|arm| arm.name().to_owned())
            .collect(),
        rows: design.dataset.len(),
        folds: design.n_folds(),
        seeds: design.fold_rows.len(),
        jobs: jobs.len(),
        kept: n_kept,
        todo: todo.len(),
    });
    design
        .remarks
        .iter()
        .for_each(|remark| on_event(Event::Remark(remark.clone())));

    let todo_jobs = Jobs {
        design: &design,
        store: &store,
        todo: &todo,
        ranks: &ranks,
        stop: stop.unwrap_or(&never),
    };
    let own = todo_jobs
        .train(cache, on_event)
        .map_err(|error| as_collective_error(&*ranks, error))?;
    let n_new: f64 = gather_numbers(&*ranks, &[own as f64]).iter().sum();
    let (done, jobs) = (n_kept + n_new as usize, jobs.len());
    if done < n_kept + todo.len() {
        return Ok(Compared::Stopped { done, jobs });
    }
    if let Work::Share { .. } = work {
        return Ok(Compared::Share { done, jobs });
    }
    let answered = match ranks.is_first() {
        true => answer(&design, &store, on_event).map(|evidence| Compared::Answer(evidence.into())),
        false => Ok(Compared::Share { done, jobs }),
    };
    all_or_none(&*ranks, answered)
}

/// The folder, made by the first rank before any other looks at it.
fn open(ranks: &dyn Ranks, options: &CompareOptions<'_>) -> Result<JobStore> {
    let first = ranks.is_first().then(|| {
        let store = JobStore::open(&options.out, options.earlier)?;
        store.forget_claims()?;
        Ok::<_, crate::Error>(store)
    });
    let first = all_or_none(ranks, first.transpose())?;
    let store = first.map_or_else(|| JobStore::open(&options.out, Earlier::Reuse), Ok);
    all_or_none(ranks, store)
}

/// What all jobs say together, written as `compare.json`, `out_of_fold.csv` and `report.html`.
fn answer(design: &Design, store: &JobStore, on_event: &mut dyn FnMut(Event)) -> Result<Evidence> {
    // What is weighed is read back, so that a result is the same whoever made it.
    let finished = store.all(design)?;
    on_event(Event::Weighing);
    let answer = Answer::new(design, &finished)?;
    write_predictions(design, &answer, &store.path(PREDICTIONS))?;
    #[cfg(feature = "report")]
    {
        let title = store.dir().display().to_string();
        let html = page::page(design, &answer, &title)?.html();
        write_whole(&store.path(job_store::REPORT), |file| {
            file.write_all(html.as_bytes())
        })?;
    }
    let file = AnswerFile {
        evidence: &answer.evidence,
        speed: design.speed,
        remarks: &design.remarks,
    };
    write_json(&store.path(ANSWER), &file)?;
    Ok(answer.evidence)
}

/// `compare.json`.
#[derive(Serialize)]
struct AnswerFile<'a> {
    #[serde(flatten)]
    evidence: &'a Evidence,
    speed: Speed,
    remarks: &'a [String],
}

/// What a finished comparison says: its `compare.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StoredAnswer {
    /// The answer and all that it is made of.
    #[serde(flatten)]
    pub evidence: Evidence,
    /// How much was trained.
    pub speed: Speed,
}

impl StoredAnswer {
    /// Reads the answer in the folder of a comparison.
    ///
    /// # Errors
    ///
    /// [`Error::NoAnswer`], [`Error::StoredSize`], [`Error::JobFile`], [`Error::SchemaTooNew`],
    /// [`DataError::Read`](crate::error::DataError::Read).
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(ANSWER);
        let Ok(found) = std::fs::metadata(&path).map(|found| found.len()) else {
            return Err(Error::NoAnswer {
                path: dir.to_path_buf(),
            });
        };
        if found > LARGEST_ANSWER {
            return Err(Error::StoredSize {
                path,
                found,
                largest: LARGEST_ANSWER,
            });
        }
        read_versioned(&path, SCHEMA, |path, source| Error::JobFile {
            path,
            source,
        })
    }
}

/// The newest schema of `compare.json` that this version reads.
const SCHEMA: u32 = 1;

/// No answer is larger, whatever it has of folds, classes and subgroups.
const LARGEST_ANSWER: u64 = 64 << 20;

/// One line an arm, seed and row.
fn write_predictions(design: &Design, answer: &Answer, path: &Path) -> Result<()> {
    let mut extras = vec![Extra::Target];
    if design.dataset.groups.is_some() {
        extras.insert(0, Extra::Group);
    }
    let labels = [
        ("arm", ColumnKind::Text),
        ("seed", ColumnKind::Integer),
        ("fold", ColumnKind::Integer),
    ];
    let text = CsvText::Exact;
    let mut writer = PredictionsWriter::with_labels(path, &design.task, &extras, &labels, text)?;
    let rows = design.tested();
    for arm in &answer.arms {
        for (seed, predictions) in arm.predictions.iter().enumerate() {
            let tested: Vec<_> = rows.iter().map(|&row| predictions[row].clone()).collect();
            let written = prediction_rows(&design.dataset, &rows, &tested, None);
            for (&row, written) in rows.iter().zip(written) {
                let labels = [
                    Value::Text(arm.name.as_str().into()),
                    Value::Integer(seed as i64 + 1),
                    Value::Integer(i64::from(design.fold_number(seed, row))),
                ];
                writer.write_labelled(&labels, &[written])?;
            }
        }
    }
    Ok(writer.finish()?)
}

/// The jobs to do now, and how many of all are done.
fn todo<'a>(
    design: &Design,
    store: &JobStore,
    jobs: &'a [Job],
    work: Work,
) -> Result<(Vec<&'a Job>, usize)> {
    let (mut todo, mut n_kept) = (Vec::new(), 0);
    for (at, job) in jobs.iter().enumerate() {
        let is_kept = store.get(design, job)?.is_some();
        let is_mine = match work {
            Work::All => true,
            Work::Share { index, of } => at % of.max(1) == index,
            Work::Join => false,
        };
        n_kept += usize::from(is_kept);
        if is_mine && !is_kept {
            todo.push(job);
        }
    }
    Ok((todo, n_kept))
}
