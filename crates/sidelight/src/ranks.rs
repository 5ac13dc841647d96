//! Several processes that train or predict together, each with its share of the rows.
//!
//! A rank is one of them, by its number. What they must know of each other goes through [`Ranks`], which is handed to
//! whoever needs it: [`Alone`] where there is one process, [`Threads`] for several ranks in one process, `Mpi` for
//! processes that were started by `mpirun` (feature `mpi`).
//!
//! Every function of [`Ranks`] is collective: all ranks call the same ones in the same order, and each waits for the
//! others. Where one cannot go on it must end the others too, or they wait forever: see [`as_collective_error`].

#![cfg_attr(
    not(test),
    warn(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]

#[cfg(feature = "mpi")]
mod mpi;
mod threads;

use std::fmt::Display;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::tensor::AllReduce;

#[cfg(feature = "mpi")]
pub use mpi::Mpi;
pub use threads::Threads;

/// How a rank knows of the others.
pub trait Ranks: AllReduce {
    /// Its number, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// The machine that it runs on.
    fn host(&self) -> String;

    /// What every rank gives, in the order of the ranks; the lengths may differ.
    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>>;

    /// Whether it is the one that writes and speaks.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Whether there are no others.
    fn is_alone(&self) -> bool {
        self.size() == 1
    }

    /// Which of `n` things in a row are its own: as even as can be, the ranks' one after the other.
    fn share(&self, n: usize) -> Range<usize> {
        n * self.rank() / self.size()..n * (self.rank() + 1) / self.size()
    }

    /// Waits until all ranks are here.
    fn wait(&self) {
        self.gather(&[]);
    }
}

/// The only process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alone;

impl AllReduce for Alone {
    fn sum(&self, _: &mut [f32]) {}
    fn sum_f64(&self, _: &mut [f64]) {}
}

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }
    fn size(&self) -> usize {
        1
    }
    fn host(&self) -> String {
        "this machine".into()
    }
    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        vec![own.to_vec()]
    }
}

/// Goes on where all ranks could do something; else no rank does.
///
/// Where none could (a wrong configuration, a missing file) the first returns its error as it is, for all of them. Where
/// some could, the first that could not returns [`Error::OnRank`]. All others return [`Error::OtherRank`].
///
/// # Errors
///
/// Those of any rank.
pub fn all_or_none<T, E>(ranks: &dyn Ranks, own: Result<T, E>) -> Result<T, E>
where
    E: From<Error> + Display + Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let has_failed: Vec<bool> = ranks
        .gather(&[u8::from(own.is_err())])
        .iter()
        .map(|flag| flag == &[1])
        .collect();
    let Some(first) = has_failed.iter().position(|failed| *failed) else {
        return own;
    };
    match own {
        Err(error) if first == ranks.rank() => Err(match has_failed.contains(&false) {
            true => on_rank(ranks, error.into()).into(),
            false => error,
        }),
        _ => Err(Error::OtherRank { rank: first }.into()),
    }
}

/// The error of a rank between two exchanges, as the others see it. What all ranks find at once (a loss that is not a
/// number, say) the first returns as it is, the others as [`Error::OtherRank`]. Of anything else they do not know: whoever
/// gets an [`Error::OnRank`] must end them. A process that is alone has no number.
pub fn as_collective_error(ranks: &dyn Ranks, error: Error) -> Error {
    match &error {
        _ if ranks.is_alone() => error,
        Error::OnRank { .. } | Error::OtherRank { .. } | Error::RanksDiffer { .. } => error,
        Error::Diverged { .. } | Error::NothingToTrain { .. } => match ranks.is_first() {
            true => error,
            false => Error::OtherRank { rank: 0 },
        },
        _ => on_rank(ranks, error.into()),
    }
}

fn on_rank(ranks: &dyn Ranks, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::OnRank {
        rank: ranks.rank(),
        host: ranks.host(),
        source,
    }
}

/// Fails on every rank where they do not have the same: what they are about to do together would be nonsense.
///
/// # Errors
///
/// [`Error::RanksDiffer`], on the first rank that differs from rank 0; [`Error::OtherRank`] on the others.
pub fn all_equal(ranks: &dyn Ranks, what: &'static str, own: &str) -> Result<()> {
    let all = ranks.gather(own.as_bytes());
    let Some(other) = all.iter().position(|one| *one != all[0]) else {
        return Ok(());
    };
    match ranks.rank() == other {
        true => Err(Error::RanksDiffer {
            what,
            rank: other,
            host: ranks.host(),
            first: String::from_utf8_lossy(&all[0]).into_owned(),
            found: own.to_owned(),
        }),
        false => Err(Error::OtherRank { rank: other }),
    }
}

/// Numbers as bytes, for [`Ranks::gather`].
pub(crate) fn to_bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// The numbers of [`to_bytes`].
pub(crate) fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect()
}

/// The numbers of all ranks, in their order.
pub(crate) fn gather_numbers(ranks: &dyn Ranks, own: &[f64]) -> Vec<f64> {
    let own: Vec<u8> = own.iter().flat_map(|value| value.to_le_bytes()).collect();
    let all = ranks.gather(&own).concat();
    let (numbers, _) = all.as_chunks::<8>();
    numbers
        .iter()
        .map(|bytes| f64::from_le_bytes(*bytes))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_all_of_it_and_even() {
        for n in [0, 1, 2, 3, 4, 5, 31, 32] {
            let shares: Vec<Range<usize>> =
                Threads::of(4).iter().map(|ranks| ranks.share(n)).collect();
            assert_eq!((shares[0].start, shares[3].end), (0, n));
            for pair in shares.windows(2) {
                assert_eq!(pair[0].end, pair[1].start);
            }
            let lengths = shares.iter().map(ExactSizeIterator::len);
            assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1);
        }
    }

    fn outcome(failing: &[usize]) -> Vec<String> {
        Threads::run(3, |ranks| {
            let own = match failing.contains(&ranks.rank()) {
                true => Err(Error::from(crate::error::DataError::ImageEmpty {
                    name: format!("{}.png", ranks.rank()),
                })),
                false => Ok(ranks.rank()),
            };
            match all_or_none(&*ranks, own) {
                Ok(rank) => format!("{rank}"),
                Err(error) => crate::error::in_full(&error),
            }
        })
    }

    #[test]
    fn what_one_cannot_do_none_does_and_one_says_it() {
        assert_eq!(outcome(&[]), ["0", "1", "2"]);
        let others = "rank 1 cannot continue";
        let found = outcome(&[1, 2]);
        assert_eq!([&found[0], &found[2]], [others; 2]);
        assert!(
            found[1].starts_with("rank 1 on a thread of "),
            "{}",
            found[1]
        );
        assert!(
            found[1].ends_with("1.png: the image is empty (0 bytes)"),
            "{}",
            found[1]
        );
        // What all met is said without a number, once.
        let found = outcome(&[0, 1, 2]);
        assert_eq!(found[0], "0.png: the image is empty (0 bytes)");
        assert_eq!([&found[1], &found[2]], ["rank 0 cannot continue"; 2]);
    }

    #[test]
    fn ranks_that_see_something_else_do_not_begin() {
        let found = Threads::run(3, |ranks| {
            let own = ["a", "a", "b"][ranks.rank()];
            all_equal(&*ranks, "rows", own).map_err(|error| error.to_string())
        });
        assert_eq!(found[0], Err("rank 2 cannot continue".into()));
        assert!(found[2].as_ref().unwrap_err().contains("rows"));
    }
}
