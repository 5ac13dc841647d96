//! What jobs of one fold have in common: branches that learn apart in any case learn once.
//!
//! Over frozen features no branch of a `stacked` network holds another back, so that the image's and the metadata's in the
//! fusion are those of the arms that have nothing else, number for number: the arms then differ in what they read, and not
//! by chance. The control `shuffled` shares the image's; what reads the metadata it learns anew. A job that finds nothing to
//! share (another process has it) learns it again, to the same bits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arm::Model;
use super::design::Job;
use crate::boosting::{MEMBERS, ROUNDS};
use crate::error::Result;
use crate::network::fusion;
use crate::train::Session;
use crate::train::branches::LearnedBranches;
use crate::train::trees::{Grown, MOST_ROWS};

/// By seed and fold.
#[derive(Debug)]
pub(super) struct Shared {
    folds: Mutex<BTreeMap<(usize, usize), Fold>>,
}

#[derive(Debug)]
struct Fold {
    /// Jobs that may still ask.
    n_jobs: usize,
    known: Arc<OfFold>,
}

/// What is known of a fold. Whoever makes something holds its lock, and who needs it waits.
#[derive(Debug, Default)]
pub(super) struct OfFold {
    image: Mutex<Option<Arc<LearnedBranches>>>,
    metadata: Mutex<Option<Arc<LearnedBranches>>>,
    trees: Mutex<Option<Option<Arc<Grown>>>>,
}

impl Shared {
    /// For these jobs.
    pub(super) fn new(todo: &[&Job]) -> Self {
        let mut folds = BTreeMap::<_, Fold>::new();
        for job in todo {
            let fold = folds.entry((job.seed, job.fold)).or_insert_with(|| Fold {
                n_jobs: 0,
                known: Arc::default(),
            });
            fold.n_jobs += 1;
        }
        Self {
            folds: Mutex::new(folds),
        }
    }

    /// What is known of a job's fold.
    pub(super) fn of(&self, job: &Job) -> Arc<OfFold> {
        let folds = lock(&self.folds);
        let fold = folds.get(&(job.seed, job.fold));
        fold.map_or_else(Arc::default, |fold| Arc::clone(&fold.known))
    }

    /// A job is done, here or elsewhere: after its fold's last one nothing is kept of it.
    pub(super) fn leave(&self, job: &Job) {
        let mut folds = lock(&self.folds);
        if let Some(fold) = folds.get_mut(&(job.seed, job.fold)) {
            fold.n_jobs -= 1;
            if fold.n_jobs == 0 {
                folds.remove(&(job.seed, job.fold));
            }
        }
    }
}

impl OfFold {
    /// Where the branches of a model of one input are kept; `None`: nobody asks for this model's.
    pub(super) fn branches_of(
        &self,
        model: &Model,
    ) -> Option<&Mutex<Option<Arc<LearnedBranches>>>> {
        match model {
            Model::Image => Some(&self.image),
            Model::Metadata => Some(&self.metadata),
            _ => None,
        }
    }

    /// The trees of the true metadata, grown by the first who asks, for a session that reads it. `None`: there are none, or
    /// `goes_on` said no.
    ///
    /// # Errors
    ///
    /// As [`Session::grow`].
    pub(super) fn trees(
        &self,
        session: &Session,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<Arc<Grown>>> {
        let mut trees = lock(&self.trees);
        if let Some(known) = &*trees {
            return Ok(known.clone());
        }
        let most = match has_trees_of_the_arm(session) {
            true => ROUNDS,
            false => session.most_trees(),
        };
        let grown = session.grow(most, goes_on)?.map(Arc::new);
        if goes_on() {
            *trees = Some(grown.clone());
        }
        Ok(grown)
    }
}

/// Whether its branches are those of another session of the same fold.
pub(super) fn has_branches_in_common(session: &Session) -> bool {
    let model = &session.setup.config.model;
    // Of a vote nothing would be left to learn.
    session.setup.members.are_several() && model.edit.is_empty() && model.fusion != fusion::VOTE
}

/// Whether the trees of its network are those of the arm `trees` as well: as many rows, as many members.
pub(super) fn has_trees_of_the_arm(session: &Session) -> bool {
    let setup = &session.setup;
    has_branches_in_common(session)
        && session.can_have_trees()
        && setup.members.n() == MEMBERS
        && setup.batches.train.len() <= MOST_ROWS
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
