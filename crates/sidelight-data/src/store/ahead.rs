//! Objects fetched before they are asked for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::Shard;

/// An order of shards, and how far those who read them are.
#[derive(Debug)]
pub(super) struct Ahead {
    order: Vec<Arc<Shard>>,
    place: HashMap<PathBuf, usize>,
    group: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The shard to fetch next.
    next: usize,
    /// The last in the order that was asked for.
    asked: usize,
    is_stopped: bool,
}

/// Fetches shards in the background until it is dropped.
#[derive(Debug)]
pub struct ReadAhead {
    ahead: Arc<Ahead>,
    /// They are not waited for: what they fetch is whole or absent, and may be wanted by the next.
    _threads: Vec<JoinHandle<()>>,
}

impl Ahead {
    pub(super) fn new(order: Vec<Arc<Shard>>, group: usize) -> Self {
        let places = order.iter().enumerate();
        Self {
            place: places
                .map(|(place, shard)| (shard.path().to_path_buf(), place))
                .collect(),
            order,
            group: group.max(1),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn asked_for(&self, path: &Path) {
        let Some(&place) = self.place.get(path) else {
            return;
        };
        let mut state = self.state();
        if place > state.asked {
            state.asked = place;
            self.changed.notify_all();
        }
    }

    /// The next shard to fetch, once it is near enough; `None` at the end.
    fn next(&self) -> Option<&Arc<Shard>> {
        let mut state = self.state();
        loop {
            if state.is_stopped {
                return None;
            }
            let shard = self.order.get(state.next)?;
            let end = (state.asked / self.group + 2) * self.group;
            if state.next < end {
                state.next += 1;
                return Some(shard);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadAhead {
    pub(super) fn start(ahead: Arc<Ahead>, threads: usize) -> Self {
        let thread = |_| {
            let ahead = Arc::clone(&ahead);
            std::thread::spawn(move || {
                while let Some(shard) = ahead.next() {
                    // What cannot be fetched is said to the one who needs it.
                    let _ = shard.fetch();
                }
            })
        };
        Self {
            _threads: (0..threads).map(thread).collect(),
            ahead,
        }
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        if let Some(store) = self.ahead.order.first().and_then(|shard| shard.store()) {
            store.end(&self.ahead);
        }
        self.ahead.state().is_stopped = true;
        self.ahead.changed.notify_all();
    }
}
