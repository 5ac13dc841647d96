//! Ranks that are threads of one process.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::Ranks;
use crate::tensor::AllReduce;

/// A rank that is a thread: for programs that want several in one process, and for tests.
///
/// A rank that leaves (its thread returns or panics) while others wait for it ends them with a panic.
#[derive(Debug)]
pub struct Threads {
    rank: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What the ranks give in the exchange that goes on.
    given: Vec<Option<Vec<u8>>>,
    /// Exchanges that are done.
    n_done: u64,
    /// What came of the last of them.
    result: Arc<Vec<Vec<u8>>>,
    /// Whether a rank is gone.
    is_broken: bool,
}

impl Threads {
    /// So many ranks, each to be moved to its own thread.
    pub fn of(size: usize) -> Vec<Arc<dyn Ranks>> {
        let shared = Arc::new(Shared {
            size,
            state: Mutex::new(State {
                given: vec![None; size],
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        let rank = |rank| {
            let shared = Arc::clone(&shared);
            Arc::new(Self { rank, shared }) as Arc<dyn Ranks>
        };
        (0..size).map(rank).collect()
    }

    /// Does the same on so many threads, and returns what each made, in order.
    ///
    /// # Panics
    ///
    /// Where one of them does.
    pub fn run<T: Send>(size: usize, work: impl Fn(Arc<dyn Ranks>) -> T + Sync) -> Vec<T> {
        let work = &work;
        std::thread::scope(|scope| {
            let threads: Vec<_> = Self::of(size)
                .into_iter()
                .map(|ranks| scope.spawn(move || work(ranks)))
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        })
    }

    fn exchange(&self, own: Vec<u8>) -> Arc<Vec<Vec<u8>>> {
        let Shared { size, changed, .. } = &*self.shared;
        let mut state = self.shared.state();
        let this = state.n_done;
        state.given[self.rank] = Some(own);
        if state.given.iter().all(Option::is_some) {
            let given = std::mem::replace(&mut state.given, vec![None; *size]);
            state.result = Arc::new(given.into_iter().flatten().collect());
            state.n_done += 1;
            changed.notify_all();
        }
        while state.n_done == this {
            let is_broken = state.is_broken;
            if is_broken {
                drop(state);
                panic!("rank {} waits for a rank that is gone", self.rank);
            }
            state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Arc::clone(&state.result)
    }
}

impl Shared {
    /// Every change of the state is made whole: what a panicking thread left behind is sound.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.state().is_broken = true;
        self.shared.changed.notify_all();
    }
}

impl AllReduce for Threads {
    fn sum(&self, values: &mut [f32]) {
        let own = values.iter().flat_map(|value| value.to_le_bytes());
        let all = self.exchange(own.collect());
        values.fill(0.0);
        for one in all.iter() {
            for (sum, value) in values.iter_mut().zip(super::from_bytes(one)) {
                *sum += value;
            }
        }
    }
    fn sum_f64(&self, values: &mut [f64]) {
        let own = values.iter().flat_map(|value| value.to_le_bytes());
        let all = self.exchange(own.collect());
        values.fill(0.0);
        for one in all.iter() {
            let (numbers, _) = one.as_chunks::<8>();
            for (sum, bytes) in values.iter_mut().zip(numbers) {
                *sum += f64::from_le_bytes(*bytes);
            }
        }
    }
}

impl Ranks for Threads {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.shared.size
    }
    fn host(&self) -> String {
        "a thread of this machine".into()
    }
    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        (*self.exchange(own.to_vec())).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_of_all_ranks_in_their_order() {
        // In f32 the order shows: 2²⁴ + 1 is 2²⁴, and so (2²⁴ + 1) − 2²⁴ is 0 and not 1.
        let given = [16_777_216.0_f32, 1.0, -16_777_216.0];
        let found = Threads::run(3, |ranks| {
            let mut values = [given[ranks.rank()], ranks.rank() as f32];
            let mut wide = [f64::from(given[ranks.rank()])];
            for _ in 0..50 {
                values[0] = given[ranks.rank()];
                values[1] = ranks.rank() as f32;
                wide[0] = f64::from(values[0]);
                ranks.sum(&mut values);
                ranks.sum_f64(&mut wide);
            }
            (values, wide)
        });
        assert_eq!(found, [([0.0, 3.0], [1.0]); 3]);
    }

    #[test]
    fn bytes_come_in_the_order_of_the_ranks_whatever_their_number() {
        let found = Threads::run(3, |ranks| ranks.gather(&vec![7; ranks.rank()]));
        assert_eq!(found, vec![vec![vec![], vec![7], vec![7, 7]]; 3]);
    }

    #[test]
    fn a_rank_that_leaves_ends_those_that_wait() {
        let left = std::panic::catch_unwind(|| {
            Threads::run(2, |ranks| {
                if ranks.rank() == 0 {
                    ranks.wait();
                }
            })
        });
        assert!(left.is_err());
    }
}
