//! Does the metadata help? Every arm trained on the same folds and seeds, and what that says.
//!
//! [`compare`] divides the rows into folds (groups whole, classes in proportion), trains each model on the others,
//! predicts the rows held out, and [evaluates](crate::evidence::evaluate) the predictions. No test row is ever fitted on:
//! encoder, scale of the target, best epoch and the vote's weight come from the other folds, of which a part is set
//! aside to choose by (group-safe as well).
//!
//! # Arms and controls
//!
//! - `image`, `metadata`: one input alone.
//! - `vote`: the mean of what those two predict (probabilities, values, points). `weighted-vote`: their weighted mean,
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
//! changes, for all arms, folds and seeds: a first answer. Heads learn for 300 steps at least, and stop when a quarter
//! of their epochs (five at least) have brought no better score of the inner validation rows, unless `train.patience`
//! says otherwise. [`Speed::Full`] trains as the configuration says.
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
mod page;
mod shelf;
mod variant;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::Result;
use crate::evidence::Evidence;
use crate::ranks::{Ranks, agree, gather_numbers, met_alone, same};
use crate::train::FeatureCache;

use answer::Answer;
use design::{Design, Job};
use features::{Features, Given};
use shelf::Shelf;

/// How a comparison is made, where it goes, and who watches it.
pub struct CompareOptions<'a> {
    /// The folder: `compare.json`, `out_of_fold.csv`, `report.html`, and `jobs/` to go on from.
    pub out: PathBuf,
    /// What to do with results that are already there.
    pub earlier: Earlier,
    /// Parts that rows are divided into; each is held out once. Default: 5.
    pub folds: usize,
    /// Divisions, each trained with a seed of its own. Default: 1.
    pub seeds: usize,
    /// Names of arms; none: all that the configuration suggests (see [`arm::Arm::named`]).
    pub arms: Vec<String>,
    /// What arms are compared by; `None`: the task's main metric.
    pub metric: Option<String>,
    /// Quick or full.
    pub speed: Speed,
    /// All of it, or a share.
    pub work: Work,
    /// Where features of frozen layers are kept from one run to the next; `None`: nowhere.
    pub cache: Option<FeatureCache>,
    /// Who takes part; all write to the same folder.
    pub ranks: Arc<dyn Ranks>,
    /// Set by anyone (Ctrl-C, say): it stops after the step that it is in, and keeps what is finished.
    pub stop: &'a AtomicBool,
    /// Called with everything that happens.
    pub on_event: &'a mut dyn FnMut(Event),
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
        /// Seeds.
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
        /// Rows done.
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
        /// All jobs.
        jobs: usize,
    },
    /// It was asked to stop; what is finished is kept.
    Stopped {
        /// Jobs whose results are there.
        done: usize,
        /// All jobs.
        jobs: usize,
    },
}

/// Trains all arms on the same folds and says whether the metadata helps.
///
/// # Errors
///
/// Before the first step: [`Error::NoArm`](crate::Error::NoArm), [`Error::NoSuchArm`](crate::Error::NoSuchArm),
/// [`Error::TooManyFolds`](crate::Error::TooManyFolds), [`Error::Uncomparable`](crate::Error::Uncomparable) for the
/// metric, [`Error::OutputNotEmpty`](crate::Error::OutputNotEmpty), [`Error::JobDiffers`](crate::Error::JobDiffers),
/// all that a table and a configuration can be wrong in. Later: those of
/// [`train`](crate::train::train) and, joining, [`Error::JobsMissing`](crate::Error::JobsMissing).
pub fn compare(config: &Config, options: CompareOptions<'_>) -> Result<Compared> {
    let ranks = Arc::clone(&options.ranks);
    let design = agree(&*ranks, Design::new(config, &options))?;
    same(&*ranks, "comparison", &design.digest_of_all()?)?;
    let shelf = open(&*ranks, &options)?;
    let CompareOptions {
        work,
        cache,
        stop,
        on_event,
        ..
    } = options;
    let jobs = design.jobs();
    let (todo, n_kept) = agree(&*ranks, todo(&design, &shelf, &jobs, work))?;
    on_event(Event::Plan {
        arms: design
            .arms
            .iter()
            .map(|arm| arm.name().to_owned())
            .collect(),
        rows: design.dataset.len(),
        folds: design.n_folds(),
        seeds: design.parts.len(),
        jobs: jobs.len(),
        kept: n_kept,
        todo: todo.len(),
    });
    design
        .remarks
        .iter()
        .for_each(|remark| on_event(Event::Remark(remark.clone())));

    let own = train_all(&design, &shelf, &todo, cache, &ranks, stop, on_event)
        .map_err(|error| met_alone(&*ranks, error))?;
    let n_new: f64 = gather_numbers(&*ranks, &[own as f64]).iter().sum();
    let (done, jobs) = (n_kept + n_new as usize, jobs.len());
    if done < n_kept + todo.len() {
        return Ok(Compared::Stopped { done, jobs });
    }
    if let Work::Share { .. } = work {
        return Ok(Compared::Share { done, jobs });
    }
    let mut answer = || {
        // What is weighed is read back, so that a result is the same whoever made it.
        let finished = shelf.all(&design)?;
        on_event(Event::Weighing);
        let answer = Answer::of(&design, &finished)?;
        answer.write(&design, &shelf)?;
        Ok(Compared::Answer(Box::new(answer.evidence)))
    };
    let answered = match ranks.is_first() {
        true => answer(),
        false => Ok(Compared::Share { done, jobs }),
    };
    agree(&*ranks, answered)
}

/// The folder, made by the first rank before any other looks at it.
fn open(ranks: &dyn Ranks, options: &CompareOptions<'_>) -> Result<Shelf> {
    let first = ranks.is_first().then(|| {
        let shelf = Shelf::open(&options.out, options.earlier)?;
        shelf.forget_claims()?;
        Ok(shelf)
    });
    let first = agree(ranks, first.transpose())?;
    let shelf = first.map_or_else(|| Shelf::open(&options.out, Earlier::Reuse), Ok);
    agree(ranks, shelf)
}

/// The jobs to do now, and how many of all are done.
fn todo<'a>(
    design: &Design,
    shelf: &Shelf,
    jobs: &'a [Job],
    work: Work,
) -> Result<(Vec<&'a Job>, usize)> {
    let (mut todo, mut n_kept) = (Vec::new(), 0);
    for (at, job) in jobs.iter().enumerate() {
        let is_kept = shelf.get(design, job)?.is_some();
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

/// Does the jobs; how many were finished before someone asked to stop.
///
/// A full training keeps all cores busy, and jobs are done one after another. The heads of a quick one are too small
/// for that, and as many jobs are done at once as there are threads.
fn train_all(
    design: &Design,
    shelf: &Shelf,
    todo: &[&Job],
    cache: Option<FeatureCache>,
    ranks: &Arc<dyn Ranks>,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> Result<usize> {
    if todo.is_empty() {
        return Ok(0);
    }
    let mut features = Features::new(design, cache, Arc::clone(ranks))?;
    if features.prepare(design, todo, stop, on_event)? == Given::Stopped {
        return Ok(0);
    }
    let queue = Queue {
        design,
        shelf,
        todo,
        features,
        ranks: &**ranks,
        stop,
        begun: Instant::now(),
        next: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
    };
    let n_threads = match design.speed {
        Speed::Full => 1,
        Speed::Quick => rayon::current_num_threads().min(todo.len()),
    };
    if n_threads < 2 {
        queue.work(on_event)?;
    } else {
        queue.work_on(n_threads, on_event)?;
    }
    Ok(queue.done.into_inner())
}

/// Jobs to be done, by one or several threads of one or several ranks.
struct Queue<'a> {
    design: &'a Design,
    shelf: &'a Shelf,
    todo: &'a [&'a Job],
    features: Features,
    ranks: &'a dyn Ranks,
    stop: &'a AtomicBool,
    begun: Instant,
    next: AtomicUsize,
    done: AtomicUsize,
}

impl Queue<'_> {
    fn work(&self, on_event: &mut dyn FnMut(Event)) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = self.todo.get(at) else { break };
            // Ranks go through the same jobs in the same order: each is done by who comes to it first.
            let is_mine = self.ranks.is_alone() || self.shelf.claim(job)?;
            if !is_mine {
                continue;
            }
            on_event(Event::Job {
                name: job.to_string(),
                number: at + 1,
                of: self.todo.len(),
                seconds_left: self.seconds_left(at),
            });
            let found = job::run(self.design, job, &self.features, self.stop, on_event);
            let Some(finished) = found.inspect_err(|_| self.end())? else {
                break;
            };
            self.shelf.put(job, &finished).inspect_err(|_| self.end())?;
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Several threads at it; what they say is said from this one.
    fn work_on(&self, n_threads: usize, on_event: &mut dyn FnMut(Event)) -> Result<()> {
        std::thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            let threads: Vec<_> = (0..n_threads)
                .map(|_| {
                    let tell = tell.clone();
                    scope.spawn(move || {
                        // Steps of several jobs at once would say nothing. Nobody listens only when all is over.
                        let mut tell = |event| {
                            if !matches!(event, Event::Step { .. }) {
                                let _ = tell.send(event);
                            }
                        };
                        // Kernels that wait for each other's threads cost more than these heads do.
                        match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                            Ok(own) => own.install(|| self.work(&mut tell)),
                            Err(_) => self.work(&mut tell),
                        }
                    })
                })
                .collect();
            drop(tell);
            told.iter().for_each(on_event);
            let ended = threads.into_iter().map(|thread| {
                let ended = thread.join();
                ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            ended.collect::<Vec<_>>().into_iter().collect()
        })
    }

    /// No further job begins.
    fn end(&self) {
        self.next.store(self.todo.len(), Ordering::Relaxed);
    }

    /// From how long the jobs before this one took: those that are done, of several ranks those that were taken.
    fn seconds_left(&self, at: usize) -> Option<f64> {
        let done = match self.ranks.is_alone() {
            true => self.done.load(Ordering::Relaxed),
            false => at,
        };
        let per_job = self.begun.elapsed().as_secs_f64() / done.max(1) as f64;
        (done > 0).then(|| per_job * (self.todo.len() - done) as f64)
    }
}
