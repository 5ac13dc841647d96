//! The threads that make samples ahead of the one who wants batches.
//!
//! Work is handed out one row at a time, in the plan's order, so that a large photograph holds up nobody else.
//! Whoever makes the last sample of a batch puts the batch together. No row is begun that lies more than a
//! few batches ahead: that bounds the memory.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, Place, Result};
use crate::image::ImageSource;
use crate::store::ReadAhead;

use super::sample::{Sample, assemble, blank, guarded};
use super::{BatchPlan, HostBatch, Source};

/// What to do with a row whose image cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BadImage {
    /// Stop, and say which: an epoch is never silently shorter than its plan.
    #[default]
    Error,
    /// Leave the row out of its batch, and remember it in [`Loader::failures`].
    Skip,
    /// Keep the row's place in its batch, with nothing to learn from it, and remember it in [`Loader::failures`]: its
    /// mask is 0, and its image that of the row before it in the batch, so that statistics of the batch are of images.
    Blank,
}

/// How a plan is carried out. Nothing of it changes what a batch holds, but for [`LoaderOptions::bad_image`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoaderOptions {
    /// Threads; 0: as many as cores. Default: 0.
    pub workers: usize,
    /// Bytes of batches that may wait, beyond the two that always may. Default: 256 MiB.
    pub max_bytes_ahead: usize,
    /// What to do with a bad image. Default: stop.
    pub bad_image: BadImage,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self {
            workers: 0,
            max_bytes_ahead: 256 << 20,
            bad_image: BadImage::default(),
        }
    }
}

/// A row that was left out, or is blank.
#[derive(Debug)]
pub struct Failure {
    /// Position in the data set.
    pub row: usize,
    /// Why its image could not be read.
    pub error: Error,
}

/// The batches of one epoch, in the plan's order.
///
/// After an error the iterator ends. Dropping it stops its threads.
#[derive(Debug)]
pub struct Loader {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    n_left: usize,
    failures: Vec<Failure>,
    started: Option<Instant>,
    ended: Option<Instant>,
    waited: Duration,
    /// Fetches the images that are elsewhere.
    _ahead: Option<ReadAhead>,
}

#[derive(Debug)]
struct Shared {
    source: Source,
    plan: BatchPlan,
    bad_image: BadImage,
    /// Batches that may be begun before the first of them is taken.
    ahead: usize,
    state: Mutex<State>,
    work_allowed: Condvar,
    batch_done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The next row to begin: its batch, and its place there.
    next: (usize, usize),
    /// Batches already taken.
    n_taken: usize,
    /// The batches begun and not yet taken, the first being number `n_taken`.
    begun: VecDeque<Slot>,
    is_stopped: bool,
}

/// A batch in the making.
#[derive(Debug)]
struct Slot {
    /// One a row, `None` until it is made.
    made: Vec<Option<Result<Sample>>>,
    n_missing: usize,
    done: Option<Result<Done>>,
}

#[derive(Debug)]
struct Done {
    batch: HostBatch,
    failures: Vec<Failure>,
}

impl Loader {
    /// Starts the threads; they begin at once.
    pub fn new(source: Source, plan: BatchPlan, options: LoaderOptions) -> Self {
        let workers = match options.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            workers => workers,
        };
        let n_batches = plan.batches().len();
        let n_rows = plan.batches().iter().map(Vec::len).sum();
        let longest = plan.batches().iter().map(Vec::len).max().unwrap_or(0);
        // The pixels once as bytes and once as f32.
        let row_bytes = if source.reads_image {
            source.preprocess.size.pow(2) * 3 * 5
        } else {
            256
        };
        let images = &source.dataset.images;
        let rows = plan.batches().iter().flatten();
        let needed = rows.filter_map(|row| images.get(*row));
        let ahead_of_rows = ImageSource::read_ahead(needed.filter(|_| source.reads_image));
        let affordable = options.max_bytes_ahead / (longest * row_bytes).max(1);
        // More would only fill memory, but where a batch is a row or two every thread must find something to do.
        let ahead = affordable.clamp(2, 2 + 2 * workers);
        let shared = Arc::new(Shared {
            source,
            plan,
            bad_image: options.bad_image,
            ahead,
            state: Mutex::default(),
            work_allowed: Condvar::new(),
            batch_done: Condvar::new(),
        });
        let threads = (0..workers.min(n_rows))
            .map(|_| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.work())
            })
            .collect();
        Self {
            shared,
            threads,
            n_left: n_batches,
            failures: Vec::new(),
            started: None,
            ended: None,
            waited: Duration::ZERO,
            _ahead: ahead_of_rows,
        }
    }

    /// The share of the time, from the first batch asked for until now (or the end), that was spent waiting for
    /// a batch; in [0, 1]. Near 0 the images keep up with the training, near 1 the training waits for images.
    pub fn input_bound(&self) -> f64 {
        let Some(started) = self.started else {
            return 0.0;
        };
        let whole = self
            .ended
            .unwrap_or_else(Instant::now)
            .duration_since(started);
        if whole.is_zero() {
            0.0
        } else {
            (self.waited.as_secs_f64() / whole.as_secs_f64()).min(1.0)
        }
    }

    /// What it carries out.
    pub fn plan(&self) -> &BatchPlan {
        &self.shared.plan
    }

    /// The rows that were left out of the batches given so far or are blank in them.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// The same, given away.
    pub fn into_failures(mut self) -> Vec<Failure> {
        self.take_failures()
    }

    /// Those of the batches since the last call.
    pub fn take_failures(&mut self) -> Vec<Failure> {
        std::mem::take(&mut self.failures)
    }

    fn take(&mut self) -> Result<Done> {
        let asked = Instant::now();
        self.started.get_or_insert(asked);
        let shared = &*self.shared;
        let mut state = shared.state();
        let done = loop {
            if let Some(done) = state.begun.front_mut().and_then(|slot| slot.done.take()) {
                break done;
            }
            state = shared
                .batch_done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        };
        state.begun.pop_front();
        state.n_taken += 1;
        state.is_stopped |= done.is_err();
        drop(state);
        shared.work_allowed.notify_all();
        self.waited += asked.elapsed();
        done
    }
}

impl Iterator for Loader {
    type Item = Result<HostBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.n_left > 0 {
            self.n_left -= 1;
            let done = self.take();
            if done.is_err() {
                self.n_left = 0;
            }
            if self.n_left == 0 {
                self.ended = Some(Instant::now());
            }
            match done {
                Ok(Done { batch, failures }) => {
                    self.failures.extend(failures);
                    // A batch of which every row was left out is no batch.
                    if !batch.rows.is_empty() {
                        return Some(Ok(batch));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.n_left))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.state().is_stopped = true;
        self.shared.work_allowed.notify_all();
        for thread in self.threads.drain(..) {
            // A worker catches whatever its samples throw: there is nothing of its own to report.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Every change of the state is made whole, so that what a panicking thread left behind is sound.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some((batch, place)) = self.next_row() {
            let made = self.make(batch, place);
            let mut state = self.state();
            let Some(slot) = state.slot(batch) else {
                return;
            };
            slot.made[place] = Some(made);
            slot.n_missing -= 1;
            if slot.n_missing == 0 {
                let made = std::mem::take(&mut slot.made);
                drop(state);
                let done = self.put_together(&self.plan.batches()[batch], made);
                if let Some(slot) = self.state().slot(batch) {
                    slot.done = Some(done);
                }
                self.batch_done.notify_all();
            }
        }
    }

    /// The next row to make, once it lies near enough; `None`: nothing more to do.
    fn next_row(&self) -> Option<(usize, usize)> {
        let batches = self.plan.batches();
        let mut state = self.state();
        loop {
            if state.is_stopped || state.next.0 >= batches.len() {
                return None;
            }
            if state.next.0 < state.n_taken + self.ahead {
                break;
            }
            state = self
                .work_allowed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let (batch, place) = state.next;
        let n_rows = batches[batch].len();
        if place == 0 {
            let made = std::iter::repeat_with(|| None).take(n_rows).collect();
            state.begun.push_back(Slot {
                made,
                n_missing: n_rows,
                done: None,
            });
        }
        state.next = if place + 1 == n_rows {
            (batch + 1, 0)
        } else {
            (batch, place + 1)
        };
        Some((batch, place))
    }

    /// The sample of a row, or why there is none.
    fn make(&self, batch: usize, place: usize) -> Result<Sample> {
        let dataset = &self.source.dataset;
        let row = self.plan.batches()[batch][place];
        let changes = self.plan.changes(batch, place);
        guarded(&self.source, changes, row).map_err(|source| {
            let at = Place::file(&dataset.path).with_row(dataset.rows.get(row).unwrap_or(&row) + 1);
            Error::RowImage {
                at,
                source: Box::new(source),
            }
        })
    }

    /// A batch of its samples; of several failures the plan's first is reported, whichever thread met it first.
    #[expect(clippy::expect_used, reason = "its message says why it cannot fail")]
    fn put_together(&self, rows: &[usize], made: Vec<Option<Result<Sample>>>) -> Result<Done> {
        let mut failures = Vec::new();
        let mut samples: Vec<Sample> = Vec::with_capacity(rows.len());
        for (&row, made) in rows.iter().zip(made) {
            match (
                made.expect("a batch is put together when every row of it is made"),
                self.bad_image,
            ) {
                (Ok(sample), _) => samples.push(sample),
                (Err(error), BadImage::Error) => return Err(error),
                (Err(error), BadImage::Skip) => failures.push(Failure { row, error }),
                (Err(error), BadImage::Blank) => {
                    samples.push(blank(&self.source, row));
                    failures.push(Failure { row, error });
                }
            }
        }
        if self.bad_image == BadImage::Blank && failures.len() < rows.len() {
            let is_blank = |sample: &Sample| failures.iter().any(|bad| bad.row == sample.row());
            let first = samples.iter().position(|sample| !is_blank(sample));
            let mut good = first.unwrap_or(0);
            for place in 0..samples.len() {
                match is_blank(&samples[place]) {
                    true => {
                        let pixels = samples[good].pixels().clone();
                        samples[place].show(pixels);
                    }
                    false => good = place,
                }
            }
        }
        Ok(Done {
            batch: assemble(samples.iter(), &self.source.preprocess),
            failures,
        })
    }
}

impl State {
    /// A batch in the making; `None` once the loader has stopped and given it up.
    fn slot(&mut self, batch: usize) -> Option<&mut Slot> {
        batch
            .checked_sub(self.n_taken)
            .and_then(|index| self.begun.get_mut(index))
    }
}
