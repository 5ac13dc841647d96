//! Dynamic batching for one model: rows arrive one at a time and are predicted together.
//!
//! A row takes a slot in the queue, is read on a thread of its own, and waits for the one thread that runs the
//! network. That thread takes what is ready; it waits for more, a few milliseconds at most, only while other rows
//! with a slot are still being read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use sidelight::dataset::{ImageSource, RequestRow};
use sidelight::error::DataError;
use sidelight::image::{Facts, Limits as ImageLimits};
use sidelight::predict::{Predictor, ReadyRow};
use sidelight::task::Prediction;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinSet, spawn_blocking};

use super::fault::Fault;

/// Pixels per permit of [`Decoders::pixels`].
const PIXELS: u64 = 1 << 16;

/// How rows are gathered into batches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batching {
    /// Largest batch, rows.
    pub(crate) most: usize,
    /// Longest wait for a batch to fill.
    pub(crate) wait: Duration,
}

/// Bounds on the decoding of images, over all models.
#[derive(Debug)]
pub(crate) struct Decoders {
    threads: Arc<Semaphore>,
    /// As many pixels as the largest image may have, over all images that are being decoded.
    pixels: Arc<Semaphore>,
    limits: ImageLimits,
}

/// A queue of bounded length.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    free: Arc<Semaphore>,
    length: usize,
    /// The slots that are taken, for the metrics.
    gauge: Gauge,
}

/// Slots of a queue, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Slots {
    permit: OwnedSemaphorePermit,
    gauge: Gauge,
}

/// The prediction of a row.
#[derive(Debug)]
pub(crate) struct PredictedRow {
    /// Format and size of its image.
    pub(crate) image: Option<Facts>,
    /// Sentences about values that training had not seen.
    pub(crate) notes: Vec<String>,
    /// The prediction.
    pub(crate) prediction: Prediction,
    /// Side of the square that the network sees, in pixels of the stored image.
    pub(crate) side: f64,
}

/// A model with its thread, which ends when the last reference to the engine is dropped.
#[derive(Debug)]
pub(crate) struct Engine {
    predictor: Arc<Predictor>,
    jobs: Sender<Job>,
    queue: Queue,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Job {
    row: ReadyRow,
    answer: oneshot::Sender<Result<Prediction, Fault>>,
    slot: Slots,
}

impl Queue {
    /// A queue of `length` rows; `gauge` shows how many are in it.
    pub(crate) fn new(length: usize, gauge: Gauge) -> Self {
        Self {
            free: Arc::new(Semaphore::new(length)),
            length,
            gauge,
        }
    }

    fn taken(&self) -> usize {
        self.length.saturating_sub(self.free.available_permits())
    }

    /// Takes `n` slots, or none and refuses.
    pub(crate) fn take(&self, n: usize) -> Result<Slots, Fault> {
        let permits = u32::try_from(n).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.free)
            .try_acquire_many_owned(permits)
            .map_err(|_| Fault::busy(&format!("its queue of {} rows is full", self.length)))?;
        self.gauge.inc_by(i64::from(permits));
        let gauge = self.gauge.clone();
        Ok(Slots { permit, gauge })
    }
}

impl Slots {
    fn split_one(&mut self) -> Option<Self> {
        let permit = self.permit.split(1)?;
        let gauge = self.gauge.clone();
        Some(Self { permit, gauge })
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let n = i64::try_from(self.permit.num_permits());
        self.gauge.dec_by(n.unwrap_or(i64::MAX));
    }
}

impl Decoders {
    /// As many threads as cores, and images of `max_pixels` at most.
    pub(crate) fn new(max_pixels: u64) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            threads: Arc::new(Semaphore::new(cores)),
            pixels: Arc::new(Semaphore::new(units(max_pixels) as usize)),
            limits: ImageLimits {
                max_pixels,
                ..ImageLimits::default()
            },
        }
    }

    /// Waits for a thread and for room to decode the row's image.
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
                .map_err(|error| Fault::from_row_error(&error, row.number, is_one_of_many))
        });
        let facts = looked
            .await
            .map_err(|_| Fault::internal("an image was not inspected"))??;
        // Several images of a row are decoded one after another.
        let pixels = facts
            .iter()
            .map(|facts| facts.width as u64 * facts.height as u64);
        let pixels = pixels.max().unwrap_or(1);
        let pixels = acquire(&self.pixels, units(pixels)).await?;
        Ok((thread, pixels))
    }
}

/// Permits for so many pixels: at most those of the largest image, which was checked before.
fn units(pixels: u64) -> u32 {
    u32::try_from(pixels.div_ceil(PIXELS).max(1)).unwrap_or(u32::MAX)
}

async fn acquire(semaphore: &Arc<Semaphore>, n: u32) -> Result<OwnedSemaphorePermit, Fault> {
    let permit = Arc::clone(semaphore).acquire_many_owned(n).await;
    permit.map_err(|_| Fault::internal("a semaphore is closed"))
}

/// A white pixel.
const PIXEL: &[u8] = include_bytes!("pixel.png");

/// Has the model answer a row of which nothing is known: a model that cannot is never served, and the first client does
/// not wait for what is prepared once.
fn first_answer(predictor: &Predictor) -> anyhow::Result<()> {
    let row = RequestRow {
        number: 1,
        image: predictor.reads_image().then(|| ImageSource::Bytes {
            name: "a white pixel".into(),
            bytes: PIXEL.into(),
        }),
        ..RequestRow::default()
    };
    let answer = || -> Result<usize, sidelight::Error> {
        let row = predictor.read(&row, &ImageLimits::default())?;
        Ok(predictor.predict(&[&row]).len())
    };
    match catch_unwind(AssertUnwindSafe(answer)) {
        Ok(Ok(1)) => Ok(()),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(_)) | Err(_) => anyhow::bail!("it does not answer"),
    }
}

impl Engine {
    /// Has the model answer a row without metadata, then starts its thread.
    pub(crate) fn start(
        name: &str,
        predictor: Predictor,
        batching: Batching,
        queue: Queue,
        batch_rows: Histogram,
    ) -> anyhow::Result<Self> {
        first_answer(&predictor)?;
        let (jobs, waiting) = channel();
        let predictor = Arc::new(predictor);
        let worker = Worker {
            predictor: Arc::clone(&predictor),
            batching,
            queue: queue.clone(),
            batch_rows,
        };
        let thread = std::thread::Builder::new()
            .name(format!("model {name}"))
            .spawn(move || worker.work(&waiting))?;
        Ok(Self {
            predictor,
            jobs,
            queue,
            thread,
        })
    }

    /// Whether the model's thread waits for rows.
    pub(crate) fn is_alive(&self) -> bool {
        !self.thread.is_finished()
    }

    /// The model.
    pub(crate) fn predictor(&self) -> &Arc<Predictor> {
        &self.predictor
    }

    /// Takes a slot in the queue for other work than a prediction.
    pub(crate) fn slot(&self) -> Result<Slots, Fault> {
        self.queue.take(1)
    }

    /// Predicts rows; fails if one of them cannot be read. A caller who stops waiting gives up the slots.
    pub(crate) async fn predict(
        self: &Arc<Self>,
        rows: Vec<RequestRow>,
        decoders: &Arc<Decoders>,
    ) -> Result<Vec<PredictedRow>, Fault> {
        let n = rows.len();
        let mut slots = self.queue.take(n)?;
        let mut reading = JoinSet::new();
        for (at, row) in rows.into_iter().enumerate() {
            let (engine, decoders) = (Arc::clone(self), Arc::clone(decoders));
            let slot = slots
                .split_one()
                .ok_or_else(|| Fault::internal("a slot is missing"))?;
            reading
                .spawn(async move { (at, engine.predict_one(row, n > 1, &decoders, slot).await) });
        }
        let mut answers: Vec<Option<PredictedRow>> = (0..n).map(|_| None).collect();
        while let Some(done) = reading.join_next().await {
            let (at, answer) = done.map_err(|_| Fault::internal("a row was lost"))?;
            answers[at] = Some(answer?);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    async fn predict_one(
        &self,
        row: RequestRow,
        is_one_of_many: bool,
        decoders: &Decoders,
        slot: Slots,
    ) -> Result<PredictedRow, Fault> {
        let row = Arc::new(row);
        let permits = decoders
            .admit(&self.predictor, &row, is_one_of_many)
            .await?;
        let (predictor, limits) = (Arc::clone(&self.predictor), decoders.limits);
        // The permits go along: a caller who stops waiting does not stop the thread.
        let read = spawn_blocking(move || {
            let read = predictor.read(&row, &limits);
            drop(permits);
            read.map_err(|error| Fault::from_row_error(&error, row.number, is_one_of_many))
        });
        let row = read
            .await
            .map_err(|_| Fault::internal("a row was not read"))??;
        let (image, notes) = (row.image, row.unseen.sentences());
        let side = row.side(self.predictor.model());
        let (answer, answered) = oneshot::channel();
        let gone = |_| {
            Fault::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the model's thread has ended",
            )
        };
        self.jobs
            .send(Job { row, answer, slot })
            .map_err(|_| gone(()))?;
        let prediction = answered.await.map_err(|_| gone(()))??;
        Ok(PredictedRow {
            image,
            notes,
            prediction,
            side,
        })
    }
}

struct Worker {
    predictor: Arc<Predictor>,
    batching: Batching,
    queue: Queue,
    batch_rows: Histogram,
}

impl Worker {
    fn work(&self, waiting: &Receiver<Job>) {
        while let Ok(first) = waiting.recv() {
            let mut batch = vec![first];
            self.gather(waiting, &mut batch);
            // Clients that have gone need no answer.
            batch.retain(|job| !job.answer.is_closed());
            self.answer(batch);
        }
    }

    fn gather(&self, waiting: &Receiver<Job>, batch: &mut Vec<Job>) {
        let until = Instant::now() + self.batching.wait;
        while batch.len() < self.batching.most {
            let next = match waiting.try_recv() {
                Ok(job) => Some(job),
                // No other row has a slot: none will come.
                Err(_) if self.queue.taken() <= batch.len() => None,
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
        self.batch_rows.observe(batch.len() as f64);
        let rows: Vec<&ReadyRow> = batch.iter().map(|job| &job.row).collect();
        let answers = self.predict(&rows).unwrap_or_else(|| {
            // One row must not fail the others: each by itself.
            let alone = |row: &&ReadyRow| {
                let one = self.predict(&[row]).and_then(|mut one| one.pop());
                one.unwrap_or_else(|| Err(Fault::internal("the network failed on this row")))
            };
            rows.iter().map(alone).collect()
        });
        for (job, answer) in batch.into_iter().zip(answers) {
            drop(job.slot);
            // A client that no longer waits is not told.
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
    fn slots_are_taken_for_all_rows_or_none_and_given_back() {
        let gauge = Gauge::default();
        let queue = Queue::new(4, gauge.clone());
        let mut three = queue.take(3).unwrap();
        let refused = queue.take(2).unwrap_err();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            refused.message,
            "the server is busy: its queue of 4 rows is full"
        );
        let one = queue.take(1).unwrap();
        assert_eq!((queue.taken(), gauge.get()), (4, 4));
        drop(three.split_one());
        assert_eq!((queue.taken(), gauge.get()), (3, 3));
        drop((three, one));
        assert_eq!((queue.taken(), gauge.get()), (0, 0));
        assert!(queue.take(5).is_err() && queue.take(usize::MAX).is_err());
    }
}
