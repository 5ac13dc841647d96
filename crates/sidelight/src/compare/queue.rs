//! Who does which job: threads of one process, ranks, processes that share a folder.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use crate::error::Result;
use crate::ranks::Ranks;
use crate::train::FeatureCache;

use super::design::{Design, Job};
use super::features::{Features, Readiness};
use super::job::Place;
use super::job_store::JobStore;
use super::shared::Shared;
use super::{Event, Speed, job};

/// Jobs to be done, and with whom.
#[derive(Clone, Copy)]
pub(super) struct Jobs<'a> {
    pub(super) design: &'a Design,
    pub(super) store: &'a JobStore,
    pub(super) todo: &'a [&'a Job],
    pub(super) ranks: &'a Arc<dyn Ranks>,
    pub(super) stop: &'a AtomicBool,
}

impl Jobs<'_> {
    /// Does them; how many were finished before someone asked to stop.
    ///
    /// A full training keeps all cores busy, and jobs are done one after another. The heads of a quick one are too small
    /// for that, and as many jobs are done at once as there are threads.
    pub(super) fn train(
        self,
        cache: Option<FeatureCache>,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<usize> {
        if self.todo.is_empty() {
            return Ok(0);
        }
        let mut features = Features::new(self.design, cache, Arc::clone(self.ranks))?;
        let readiness = features.prepare(self.design, self.todo, self.stop, on_event)?;
        if readiness == Readiness::Stopped {
            return Ok(0);
        }
        let queue = Queue {
            jobs: self,
            features,
            shared: Shared::new(self.todo),
            begun: Instant::now(),
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
        };
        let n_threads = match self.design.speed {
            Speed::Full => 1,
            Speed::Quick => rayon::current_num_threads().min(self.todo.len()),
        };
        if n_threads < 2 {
            queue.work(on_event)?;
        } else {
            queue.work_on(n_threads, on_event)?;
        }
        Ok(queue.done.into_inner())
    }
}

/// Jobs as one or several threads of one or several ranks take them.
struct Queue<'a> {
    jobs: Jobs<'a>,
    features: Features,
    shared: Shared,
    begun: Instant,
    next: AtomicUsize,
    done: AtomicUsize,
}

impl Queue<'_> {
    fn work(&self, on_event: &mut dyn FnMut(Event)) -> Result<()> {
        let Jobs {
            design,
            store,
            todo,
            ranks,
            stop,
        } = self.jobs;
        let place = Place {
            design,
            features: &self.features,
            shared: &self.shared,
            stop,
        };
        while !stop.load(Ordering::Relaxed) {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = todo.get(at) else { break };
            // Ranks go through the same jobs in the same order: each is done by who comes to it first.
            let is_mine = ranks.is_alone() || store.claim(job)?;
            if !is_mine {
                self.shared.leave(job);
                continue;
            }
            on_event(Event::Job {
                name: job.to_string(),
                number: at + 1,
                of: todo.len(),
                seconds_left: self.seconds_left(at),
            });
            let found = job::run(place, job, on_event);
            self.shared.leave(job);
            let Some(finished) = found.inspect_err(|_| self.end())? else {
                break;
            };
            store.put(job, &finished).inspect_err(|_| self.end())?;
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
        self.next.store(self.jobs.todo.len(), Ordering::Relaxed);
    }

    /// From how long the jobs before this one took: those that are done, of several ranks those that were taken.
    fn seconds_left(&self, at: usize) -> Option<f64> {
        let done = match self.jobs.ranks.is_alone() {
            true => self.done.load(Ordering::Relaxed),
            false => at,
        };
        let per_job = self.begun.elapsed().as_secs_f64() / done.max(1) as f64;
        (done > 0).then(|| per_job * (self.jobs.todo.len() - done) as f64)
    }
}
