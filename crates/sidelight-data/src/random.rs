//! Random streams: each is named by what it is for, so that neither order nor threads matter, and is the same on every
//! machine and in every version.
//!
//! All are ChaCha8 (Bernstein 2008, "ChaCha, a variant of Salsa20") under a key of 256 bits: different keys, unrelated
//! streams.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// The stream whose key is the SHA-256 of these bytes, one after the other.
pub fn hashed(key: &[&[u8]]) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    for part in key {
        hash.update(part);
    }
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// The stream of a seed and a name (a layer's path, say): equal names, equal numbers.
pub fn named(seed: u64, name: &str) -> ChaCha8Rng {
    hashed(&[&seed.to_le_bytes(), name.as_bytes()])
}

/// The stream of a purpose and a seed, for divisions of rows and for statistics.
pub fn for_purpose(purpose: &str, seed: u64) -> ChaCha8Rng {
    hashed(&[purpose.as_bytes(), &[0], &seed.to_le_bytes()])
}

/// What a random stream is for: streams of different purposes have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The order of the rows in an epoch.
    Order,
    /// The changes to one row's image.
    Augment,
    /// Which of a row's metadata is hidden.
    MetadataDropout,
    /// Which rows are drawn for an epoch.
    Sample,
    /// The order of the shards in an epoch.
    Shards,
}

/// The random stream of one row in one epoch: the same whichever thread draws from it, and in whatever order
/// the rows are visited.
///
/// Its key is seed, epoch, row and purpose side by side.
pub fn for_row(seed: u64, epoch: u64, row: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (place, word) in key
        .chunks_exact_mut(8)
        .zip([seed, epoch, row, purpose as u64])
    {
        place.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A number in [0, 1), uniform, of 53 random bits.
pub fn uniform(stream: &mut ChaCha8Rng) -> f64 {
    (stream.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A whole number below `n`, each as likely as the next.
///
/// # Source
///
/// Lemire 2019, "Fast random integer generation in an interval", arXiv:1805.10941, algorithm 5. Written here
/// because a library's may change from one version to the next, and every result with it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low and the high half of a product, each below 2⁶⁴; the high one below `n`"
)]
pub fn below(stream: &mut ChaCha8Rng, n: usize) -> usize {
    let n = n as u64;
    let mut product = u128::from(stream.next_u64()) * u128::from(n);
    if (product as u64) < n {
        let threshold = n.wrapping_neg() % n;
        while (product as u64) < threshold {
            product = u128::from(stream.next_u64()) * u128::from(n);
        }
    }
    (product >> 64) as usize
}

/// Shuffles in place, every order as likely as the next.
///
/// # Source
///
/// Durstenfeld 1964, "Algorithm 235: Random permutation" (Fisher and Yates' shuffle).
pub fn shuffle<T>(items: &mut [T], stream: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(stream, last + 1));
    }
}

/// Draws `n` places of `weights` with replacement, each as likely as its weight is large. None where all weights are 0.
pub fn draw(weights: &[f64], n: usize, stream: &mut ChaCha8Rng) -> Vec<usize> {
    let mut sum = 0.0;
    let sums: Vec<f64> = weights
        .iter()
        .map(|weight| {
            sum += weight;
            sum
        })
        .collect();
    if sum <= 0.0 {
        return Vec::new();
    }
    (0..n)
        .map(|_| {
            let at = uniform(stream) * sum;
            sums.partition_point(|sum| *sum <= at)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers_below_a_bound_are_all_drawn() {
        let mut counts = [0usize; 7];
        let mut stream = for_row(0, 0, 0, Purpose::Order);
        for _ in 0..7000 {
            counts[below(&mut stream, 7)] += 1;
        }
        // Five standard deviations.
        assert!(
            counts.iter().all(|count| count.abs_diff(1000) < 147),
            "{counts:?}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn shuffling_loses_nothing(n in 0usize..60, seed in any::<u64>()) {
            let mut items: Vec<usize> = (0..n).collect();
            shuffle(&mut items, &mut for_row(seed, 0, 0, Purpose::Order));
            items.sort_unstable();
            prop_assert_eq!(items, (0..n).collect::<Vec<_>>());
        }
    }
}
