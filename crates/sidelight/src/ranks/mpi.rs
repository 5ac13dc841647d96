//! Ranks that are processes started by `mpirun`.

use mpi::collective::SystemOperation;
use mpi::environment::{Threading, Universe, initialize_with_threading, processor_name};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

use super::Ranks;
use crate::tensor::AllReduce;

/// Numbers that go in one message, at most: 4 MiB of `f32`. MPI counts in `i32`, and a message of a whole network would
/// need another network's memory beside it.
const MOST: usize = 1 << 20;

/// A process of an MPI job. Dropping it ends MPI for this process, which can then not begin it again.
///
/// MPI promises (and Open MPI keeps) that sums have the same bits on every rank, and in every run of as many ranks on
/// as many machines.
pub struct Mpi {
    universe: Universe,
    rank: usize,
    size: usize,
}

impl std::fmt::Debug for Mpi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.size)
    }
}

impl Mpi {
    /// Joins the job; `None` where this process did so before. Waits for all others to do so too.
    ///
    /// Where MPI itself fails it ends the job: so are its calls set up, and nothing could be done.
    pub fn start() -> Option<Self> {
        // All calls come from the thread that trains.
        let (universe, _) = initialize_with_threading(Threading::Funneled)?;
        let world = universe.world();
        // MPI counts in `i32`, from 0.
        let [rank, size] = [world.rank(), world.size()].map(|n| n.unsigned_abs() as usize);
        Some(Self {
            universe,
            rank,
            size,
        })
    }

    /// Ends all processes of the job at once, with this exit code.
    pub fn abort(&self, code: i32) -> ! {
        self.world().abort(code)
    }

    fn world(&self) -> SimpleCommunicator {
        self.universe.world()
    }
}

impl AllReduce for Mpi {
    fn sum(&self, values: &mut [f32]) {
        for part in values.chunks_mut(MOST) {
            let own = part.to_vec();
            self.world()
                .all_reduce_into(&own[..], part, SystemOperation::sum());
        }
    }
    fn sum_f64(&self, values: &mut [f64]) {
        for part in values.chunks_mut(MOST) {
            let own = part.to_vec();
            self.world()
                .all_reduce_into(&own[..], part, SystemOperation::sum());
        }
    }
}

impl Ranks for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.size
    }
    fn host(&self) -> String {
        processor_name().unwrap_or_else(|_| "an unnamed machine".into())
    }
    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        let world = self.world();
        let mut lengths = vec![0usize; self.size];
        world.all_gather_into(&own.len(), &mut lengths[..]);
        let from = |(rank, &length): (i32, &usize)| {
            let mut bytes = match rank == world.rank() {
                true => own.to_vec(),
                false => vec![0; length],
            };
            let root = world.process_at_rank(rank);
            for part in bytes.chunks_mut(4 * MOST) {
                root.broadcast_into(part);
            }
            bytes
        };
        (0..).zip(&lengths).map(from).collect()
    }
}
