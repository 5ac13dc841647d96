//! `mpirun`: several processes of this program that do one thing together.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sidelight::Error;
#[cfg(feature = "mpi")]
use sidelight::ranks::Mpi;
use sidelight::ranks::{Alone, Ranks};

use crate::args::Command;
use crate::refusal::Refusal;

/// What the environment says of this process: which of how many it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Launch {
    rank: usize,
    size: usize,
}

impl Launch {
    /// As Open MPI's `mpirun` says it, or MPICH's and Intel's, or Slurm's `srun --mpi=pmi2` or `--mpi=pmix`.
    pub(crate) fn of_environment() -> Self {
        Self::said(|name| std::env::var(name).ok()?.parse().ok())
    }

    fn said(number: impl Fn(&str) -> Option<usize>) -> Self {
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

    /// Whether it is the one that speaks.
    pub(crate) fn is_first(self) -> bool {
        self.rank == 0
    }

    /// Joins the others, where there are any and the command is one that can be shared.
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
                    "this command runs in one process, and mpirun started {}",
                    self.size
                ),
                "start it without mpirun; `train`, `compare`, `eval` and `predict` share their work among processes",
            ));
        }
        self.join_job()
    }

    #[cfg(feature = "mpi")]
    fn join_job(self) -> Result<World, Refusal> {
        let Some(mpi) = Mpi::start().map(Arc::new) else {
            return Err(Refusal::new(
                "MPI is running already in this process",
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
                "mpirun started {} processes, and this program was built without MPI: each would do all of the work",
                self.size
            ),
            "build it with `cargo build --release --features mpi` (it needs an MPI library, say `libopenmpi-dev`, and \
             `libclang-dev`), or start it without mpirun",
        ))
    }
}

/// This process and the others.
#[derive(Debug)]
pub(crate) struct World {
    /// How they know of each other.
    pub(crate) ranks: Arc<dyn Ranks>,
    #[cfg(feature = "mpi")]
    mpi: Option<Arc<Mpi>>,
}

/// What an error means for the other processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// They know, and this one is to say it if it is the first.
    Known,
    /// They know, and this one is to say it.
    KnownBySaying,
    /// Another says it.
    SaidElsewhere,
    /// They do not know, and wait: this one is to say it and end them.
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

    /// Does something; among several a panic is an error like others, for it must not leave them waiting.
    pub(crate) fn guard<T>(&self, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        if self.ranks.is_alone() {
            return work();
        }
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            Err(Error::OnRank {
                rank: self.ranks.rank(),
                host: self.ranks.host(),
                source: format!("a fault in the program: {}", message_of(&*panic)).into(),
            }
            .into())
        })
    }

    /// What an error means for the others.
    pub(crate) fn meaning(error: &anyhow::Error) -> Meaning {
        let found = error.chain().find_map(|cause| {
            Some(match cause.downcast_ref::<Error>()? {
                Error::OtherRank { .. } => Meaning::SaidElsewhere,
                Error::OnRank { .. } => Meaning::Alone,
                Error::RanksDiffer { .. } => Meaning::KnownBySaying,
                _ => return None,
            })
        });
        found.unwrap_or(Meaning::Known)
    }

    /// Ends the others, who wait for this one.
    pub(crate) fn abort(&self, code: i32) {
        #[cfg(feature = "mpi")]
        if let Some(mpi) = &self.mpi {
            mpi.abort(code);
        }
        let _ = code;
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_launcher_is_understood() {
        let of = |pairs: &[(&str, usize)]| {
            let pairs = pairs.to_vec();
            Launch::said(move |name| {
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
