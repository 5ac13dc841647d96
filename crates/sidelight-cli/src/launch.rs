//! `mpirun`: several processes of this program that do one thing together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sidelight::Error;
use sidelight::error::message_of;
#[cfg(feature = "mpi")]
use sidelight::ranks::Mpi;
use sidelight::ranks::{Alone, Ranks};

use crate::args::Command;
use crate::refusal::Refusal;

/// The rank of this process and the number of processes, as the launcher set them in the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Launch {
    rank: usize,
    size: usize,
}

impl Launch {
    /// Reads the variables of Open MPI's `mpirun`, of MPICH's and Intel's, and of Slurm's `srun --mpi=pmi2` and `--mpi=pmix`.
    pub(crate) fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok()?.parse().ok())
    }

    fn from_variables(number: impl Fn(&str) -> Option<usize>) -> Self {
        [
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
            ("PMI_RANK", "PMI_SIZE"),
            ("PMIX_RANK", "SLURM_STEP_NUM_TASKS"),
        ]
        .into_iter()
        .find_map(|(rank, size)| Some((number(rank)?, number(size)?)))
        .map_or(Self { rank: 0, size: 1 }, |(rank, size)| Self {
            rank,
            size,
        })
    }

    /// Whether this is the process that reports.
    pub(crate) fn is_first(self) -> bool {
        self.rank == 0
    }

    /// Joins the other processes, if there are any and the command can be shared.
    pub(crate) fn join(self, command: &Command) -> Result<World, Refusal> {
        if self.size <= 1 {
            return Ok(World::alone());
        }
        let can_share = matches!(
            command,
            Command::Train(_) | Command::Compare(_) | Command::Eval(_) | Command::Predict(_)
        );
        if !can_share {
            return Err(Refusal::new(
                format!(
                    "this command runs in one process, but mpirun started {}",
                    self.size
                ),
                "run it without mpirun; `train`, `compare`, `eval` and `predict` can share their work among processes",
            ));
        }
        self.join_job()
    }

    #[cfg(feature = "mpi")]
    fn join_job(self) -> Result<World, Refusal> {
        let Some(mpi) = Mpi::start().map(Arc::new) else {
            return Err(Refusal::new(
                "MPI is already running in this process",
                "please report it",
            ));
        };
        Ok(World {
            ranks: Arc::clone(&mpi) as Arc<dyn Ranks>,
            mpi: Some(mpi),
        })
    }

    #[cfg(not(feature = "mpi"))]
    fn join_job(self) -> Result<World, Refusal> {
        Err(Refusal::new(
            format!(
                "mpirun started {} processes, but this program was built without MPI: each would do all of the work",
                self.size
            ),
            "build it with `cargo build --release --features mpi` (this needs an MPI library, such as `libopenmpi-dev`, and \
             `libclang-dev`), or run it without mpirun",
        ))
    }
}

/// This process and the others.
#[derive(Debug)]
pub(crate) struct World {
    /// How they communicate.
    pub(crate) ranks: Arc<dyn Ranks>,
    #[cfg(feature = "mpi")]
    mpi: Option<Arc<Mpi>>,
}

/// What the other processes know of an error, and which process reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// They know; the first reports it.
    Known,
    /// They know; this one reports it.
    KnownAndOurs,
    /// Another process reports it.
    ReportedElsewhere,
    /// They do not know, and wait: this one reports it and ends them.
    Alone,
}

impl World {
    fn alone() -> Self {
        Self {
            ranks: Arc::new(Alone),
            #[cfg(feature = "mpi")]
            mpi: None,
        }
    }

    /// Runs the work. Among several processes a panic becomes an error, since it must not leave the others waiting.
    pub(crate) fn guard<T>(&self, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        if self.ranks.is_alone() {
            return work();
        }
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            Err(Error::OnRank {
                rank: self.ranks.rank(),
                host: self.ranks.host(),
                source: format!("internal error: {}", message_of(&*panic)).into(),
            }
            .into())
        })
    }

    /// Classifies an error.
    pub(crate) fn meaning(error: &anyhow::Error) -> Meaning {
        let found = error.chain().find_map(|cause| {
            Some(match cause.downcast_ref::<Error>()? {
                Error::OtherRank { .. } => Meaning::ReportedElsewhere,
                Error::OnRank { .. } => Meaning::Alone,
                Error::RanksDiffer { .. } => Meaning::KnownAndOurs,
                _ => return None,
            })
        });
        found.unwrap_or(Meaning::Known)
    }

    /// Ends the other processes, which wait for this one.
    pub(crate) fn abort(&self, code: i32) {
        #[cfg(feature = "mpi")]
        if let Some(mpi) = &self.mpi {
            mpi.abort(code);
        }
        let _ = code;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_launcher_is_understood() {
        let of = |pairs: &[(&str, usize)]| {
            let pairs = pairs.to_vec();
            Launch::from_variables(move |name| {
                let found = pairs.iter().find(|(other, _)| *other == name);
                found.map(|(_, number)| *number)
            })
        };
        assert_eq!(of(&[]), Launch { rank: 0, size: 1 });
        for (rank, size) in [
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
            ("PMI_RANK", "PMI_SIZE"),
            ("PMIX_RANK", "SLURM_STEP_NUM_TASKS"),
        ] {
            assert_eq!(of(&[(rank, 2), (size, 4)]), Launch { rank: 2, size: 4 });
            // A number alone says nothing.
            assert_eq!(of(&[(rank, 2)]), Launch { rank: 0, size: 1 });
        }
    }
}
