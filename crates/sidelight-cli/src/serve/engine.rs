//! One model at work: rows come in one at a time and are predicted together.
//!
//! A row takes a place in the queue, is read on a thread of its own, and waits for the one thread that runs the
//! network. That thread takes what is ready; it waits for more, a few milliseconds at most, only while others that
//! have a place are still being read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use sidelight::dataset::RequestRow;
use sidelight::error::DataError;
use sidelight::image::{Facts, Limits as ImageLimits};
use sidelight::predict::{Predictor, ReadyRow};
use sidelight::task::Prediction;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinSet, spawn_blocking};

use super::fault::Fault;
use super::metrics::Metrics;

/// Pixels that are counted as one when it is added up what is being decoded.
const PIXELS: u64 = 1 << 16;

/// How rows are gathered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batching {
    /// Rows predicted together, at most.
    pub(crate) most: usize,
    /// How long a row waits for others, at most.
    pub(crate) wait: Duration,
}

/// What bounds the decoding of images, of all models together.
#[derive(Debug)]
pub(crate) struct Decoders {
    threads: Arc<Semaphore>,
    /// As many pixels as the largest image may have, however many images that are.
    pixels: Arc<Semaphore>,
    limits: ImageLimits,
}

/// The places of a queue.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    all: usize,
}

/// A row's answer.
#[derive(Debug)]
pub(crate) struct Predicted {
    /// What its image's header says.
    pub(crate) image: Option<Facts>,
    /// What training had not seen, in sentences.
    pub(crate) notes: Vec<String>,
    /// The prediction.
    pub(crate) prediction: Prediction,
}

/// A model with its thread, which ends when the last reference to the engine is gone.
#[derive(Debug)]
pub(crate) struct Engine {
    predictor: Arc<Predictor>,
    jobs: Sender<Job>,
    places: Places,
}

#[derive(Debug)]
struct Job {
    row: ReadyRow,
    answer: oneshot::Sender<Result<Prediction, Fault>>,
    /// Given back when the row is answered.
    place: OwnedSemaphorePermit,
}

impl Places {
    /// So many.
    pub(crate) fn new(all: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(all)),
            all,
        }
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.all.saturating_sub(self.free.available_permits())
    }

    /// Takes places for so many rows, or for none.
    pub(crate) fn take(&self, n: usize) -> Result<OwnedSemaphorePermit, Fault> {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        Arc::clone(&self.free)
            .try_acquire_many_owned(n)
            .map_err(|_| Fault::busy(&format!("its queue of {} rows is full", self.all)))
    }
}

impl Decoders {
    /// As many threads as cores; images up to so many pixels.
    pub(crate) fn new(max_pixels: u64) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            threads: Arc::new(Semaphore::new(cores)),
            pixels: Arc::new(Semaphore::new(max_pixels.div_ceil(PIXELS).max(1) as usize)),
            limits: ImageLimits {
                max_pixels,
                ..ImageLimits::default()
            },
        }
    }

    /// Permission to decode an image of so many pixels on a thread of its own.
    pub(crate) async fn admit(
        &self,
        predictor: &Arc<Predictor>,
        row: &Arc<RequestRow>,
        is_one_of_many: bool,
    ) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), Fault> {
        let thread = acquire(&self.threads, 1).await?;
        let (predictor, row, limits) = (Arc::clone(predictor), Arc::clone(row), self.limits);
        let looked = spawn_blocking(move || {
            let looked = catch_unwind(AssertUnwindSafe(|| predictor.look(&row, &limits)));
            looked
                .unwrap_or_else(|_| {
                    Err(DataError::ImageFault {
                        name: "the image".into(),
                        message: "its header cannot be read".into(),
                    }
                    .into())
                })
                .map_err(|error| Fault::of_row(&error, row.number, is_one_of_many))
        });
        let facts = looked
            .await
            .map_err(|_| Fault::ours("an image was not looked at"))??;
        let pixels = facts.map_or(1, |facts| facts.width as u64 * facts.height as u64);
        let pixels = acquire(&self.pixels, pixels.div_ceil(PIXELS).max(1) as u32).await?;
        Ok((thread, pixels))
    }
}

async fn acquire(semaphore: &Arc<Semaphore>, n: u32) -> Result<OwnedSemaphorePermit, Fault> {
    let permit = Arc::clone(semaphore).acquire_many_owned(n).await;
    permit.map_err(|_| Fault::ours("a gate is closed"))
}

impl Engine {
    /// Starts the model's thread.
    pub(crate) fn start(
        name: &str,
        predictor: Predictor,
        batching: Batching,
        places: Places,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = channel();
        let predictor = Arc::new(predictor);
        let worker = Worker {
            name: name.to_owned(),
            predictor: Arc::clone(&predictor),
            batching,
            places: places.clone(),
            metrics,
        };
        std::thread::Builder::new()
            .name(format!("model {name}"))
            .spawn(move || worker.work(&waiting))?;
        Ok(Self {
            predictor,
            jobs,
            places,
        })
    }

    /// The model.
    pub(crate) fn predictor(&self) -> &Arc<Predictor> {
        &self.predictor
    }

    /// Takes a place in the queue for something else than a prediction.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.places.take(1)
    }

    /// Predicts rows; the first that cannot be read refuses all of them. Who stops waiting gives up the places.
    pub(crate) async fn predict(
        self: &Arc<Self>,
        rows: Vec<RequestRow>,
        decoders: &Arc<Decoders>,
    ) -> Result<Vec<Predicted>, Fault> {
        let n = rows.len();
        let mut places = self.places.take(n)?;
        let mut reading = JoinSet::new();
        for (at, row) in rows.into_iter().enumerate() {
            let (engine, decoders) = (Arc::clone(self), Arc::clone(decoders));
            let place = places
                .split(1)
                .ok_or_else(|| Fault::ours("a place is missing"))?;
            reading.spawn(async move { (at, engine.one(row, n > 1, &decoders, place).await) });
        }
        let mut answers: Vec<Option<Predicted>> = (0..n).map(|_| None).collect();
        while let Some(done) = reading.join_next().await {
            let (at, answer) = done.map_err(|_| Fault::ours("a row was lost"))?;
            answers[at] = Some(answer?);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    async fn one(
        &self,
        row: RequestRow,
        is_one_of_many: bool,
        decoders: &Decoders,
        place: OwnedSemaphorePermit,
    ) -> Result<Predicted, Fault> {
        let row = Arc::new(row);
        let permits = decoders
            .admit(&self.predictor, &row, is_one_of_many)
            .await?;
        let (predictor, limits) = (Arc::clone(&self.predictor), decoders.limits);
        // The permits go along: whoever stops waiting does not stop the thread.
        let read = spawn_blocking(move || {
            let read = predictor.read(&row, &limits);
            drop(permits);
            read.map_err(|error| Fault::of_row(&error, row.number, is_one_of_many))
        });
        let row = read
            .await
            .map_err(|_| Fault::ours("a row was not read"))??;
        let (image, notes) = (row.image, row.unseen.sentences());
        let (answer, answered) = oneshot::channel();
        let gone = |_| {
            Fault::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the model's thread has ended",
            )
        };
        self.jobs
            .send(Job { row, answer, place })
            .map_err(|_| gone(()))?;
        let prediction = answered.await.map_err(|_| gone(()))??;
        Ok(Predicted {
            image,
            notes,
            prediction,
        })
    }
}

struct Worker {
    name: String,
    predictor: Arc<Predictor>,
    batching: Batching,
    places: Places,
    metrics: Arc<Metrics>,
}

impl Worker {
    fn work(&self, waiting: &Receiver<Job>) {
        while let Ok(first) = waiting.recv() {
            let mut batch = vec![first];
            self.gather(waiting, &mut batch);
            // Whose client has gone needs no answer.
            batch.retain(|job| !job.answer.is_closed());
            self.answer(batch);
        }
    }

    fn gather(&self, waiting: &Receiver<Job>, batch: &mut Vec<Job>) {
        let until = Instant::now() + self.batching.wait;
        while batch.len() < self.batching.most {
            let next = match waiting.try_recv() {
                Ok(job) => Some(job),
                // Nobody else has a place: nobody will come.
                Err(_) if self.places.taken() <= batch.len() => None,
                Err(_) => waiting
                    .recv_timeout(until.saturating_duration_since(Instant::now()))
                    .ok(),
            };
            match next {
                Some(job) => batch.push(job),
                None => break,
            }
        }
    }

    fn answer(&self, batch: Vec<Job>) {
        if batch.is_empty() {
            return;
        }
        self.metrics.batch(&self.name, batch.len());
        let rows: Vec<&ReadyRow> = batch.iter().map(|job| &job.row).collect();
        let answers = self.predict(&rows).unwrap_or_else(|| {
            // One row's fault is not that of the others: each by itself.
            let alone = |row: &&ReadyRow| {
                let one = self.predict(&[row]).and_then(|mut one| one.pop());
                one.unwrap_or_else(|| Err(Fault::ours("the network failed on this row")))
            };
            rows.iter().map(alone).collect()
        });
        for (job, answer) in batch.into_iter().zip(answers) {
            drop(job.place);
            // Who no longer waits is not told.
            let _ = job.answer.send(answer);
        }
    }

    /// The rows' predictions; `None`: the network panicked.
    fn predict(&self, rows: &[&ReadyRow]) -> Option<Vec<Result<Prediction, Fault>>> {
        let predicted = catch_unwind(AssertUnwindSafe(|| self.predictor.predict(rows))).ok()?;
        (predicted.len() == rows.len()).then(|| predicted.into_iter().map(Ok).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_for_all_rows_or_none_and_given_back() {
        let places = Places::new(4);
        let three = places.take(3).unwrap();
        let refused = places.take(2).unwrap_err();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            refused.message,
            "the server is busy: its queue of 4 rows is full"
        );
        let one = places.take(1).unwrap();
        assert_eq!(places.taken(), 4);
        drop((three, one));
        assert_eq!(places.taken(), 0);
        assert!(places.take(5).is_err() && places.take(usize::MAX).is_err());
    }
}
